/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "ctl/ctl.h"

int when_parse(const char *s, int64_t *ret_ms)
{
	struct tm tm = { 0 };
	const char *rest = s && strlen(s) < 64 ? strptime(s, "%Y-%m-%dT%H:%M:%S", &tm) : NULL;
	int64_t ms = 0;

	if (!rest)
		return 1;
	if (*rest == '.') {
		int64_t unit = 100;

		for (rest++; *rest >= '0' && *rest <= '9'; rest++, unit /= 10)
			ms += (*rest - '0') * unit;
	}
	if (strcmp(rest, "Z") != 0)
		return 1;
	*ret_ms = (int64_t)timegm(&tm) * 1000 + ms;
	return 0;
}

const char *when_relative(const char *rfc3339, int64_t now_ms, char *buf, size_t size)
{
	static const struct { int64_t below, unit; const char *name; } spans[] = {
		{ 120, 1, "s" }, { 7200, 60, "min" }, { 48 * 3600, 3600, "h" }, { INT64_MAX, 86400, "d" },
	};
	int64_t ms, s;
	size_t i = 0;

	if (!rfc3339 || when_parse(rfc3339, &ms) != 0)
		return "-";
	s = (ms - now_ms) / 1000;
	if (s == 0)
		return "now";
	while (llabs(s) >= spans[i].below)
		i++;
	if (s > 0)
		snprintf(buf, size, "in %" PRId64 "%s", s / spans[i].unit, spans[i].name);
	else
		snprintf(buf, size, "%" PRId64 "%s ago", -s / spans[i].unit, spans[i].name);
	return buf;
}

const char *ctl_when(struct ctl *ctl, const json_t *object, const char *key)
{
	const char *time = json_string_value(json_object_get(object, key));
	char buf[32];

	if (ctl->output == OUTPUT_TSV)
		return time ? ctl_escape(ctl, time) : "";
	return talloc_strdup(ctl->scratch, when_relative(time, clock_wall(), buf, sizeof buf));
}
