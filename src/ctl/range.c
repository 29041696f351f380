/* SPDX-License-Identifier: PostgreSQL */
/* Ranges of the monitoring plugins: "10", "10:", "~:10", "10:20", "@10:20". */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "ctl/ctl.h"

static int number(const char *s, const char *end, double *ret)
{
	char *stop;

	*ret = strtod(s, &stop);
	return stop != end || stop == s || !isfinite(*ret);
}

int range_parse(const char *s, struct range *ret)
{
	const char *colon;

	*ret = (struct range){ .start = 0, .end = INFINITY, .inside = *s == '@' };
	s += ret->inside;
	colon = strchr(s, ':');
	if (colon && strncmp(s, "~:", 2) == 0)
		ret->start = -INFINITY;
	else if (colon && number(s, colon, &ret->start) != 0)
		return 1;
	s = colon ? colon + 1 : s;
	if (!(colon && *s == '\0') && number(s, s + strlen(s), &ret->end) != 0)
		return 1;
	return ret->start > ret->end;
}

bool range_alerts(const struct range *range, double value)
{
	bool within = value >= range->start && value <= range->end;

	return within == range->inside;
}
