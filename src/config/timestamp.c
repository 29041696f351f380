/* SPDX-License-Identifier: PostgreSQL */
/* Points in time as people write them, in the one form that is compared with the server's. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "config/reader.h"

struct moment {
	int year, month, day, hour, minute, second, micro, offset;   /* offset east of UTC, minutes */
};

static int days_in_month(int year, int month)
{
	static const int days[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;

	return days[month - 1] + (month == 2 && leap);
}

static bool digits(const char **s, int n, int *ret)
{
	*ret = 0;
	for (int i = 0; i < n; i++) {
		if (!isdigit((unsigned char) (*s)[i]))
			return false;
		*ret = *ret * 10 + ((*s)[i] - '0');
	}
	*s += n;
	return true;
}

static bool literal(const char **s, const char *chars)
{
	if (**s == '\0' || !strchr(chars, **s))
		return false;
	(*s)++;
	return true;
}

static bool parse_fraction(const char **s, int *ret)
{
	int scale = 100000;

	*ret = 0;
	if (!literal(s, "."))
		return true;
	if (!isdigit((unsigned char) **s))
		return false;
	for (; isdigit((unsigned char) **s); (*s)++, scale /= 10)
		*ret += (**s - '0') * scale;
	return true;
}

static bool parse_zone(const char **s, int *ret)
{
	int hours, minutes;
	bool west = **s == '-';

	*ret = 0;
	if (literal(s, "Zz"))
		return true;
	if (!literal(s, "+-") || !digits(s, 2, &hours) || !literal(s, ":") || !digits(s, 2, &minutes) || hours > 23 || minutes > 59)
		return false;
	*ret = (west ? -1 : 1) * (hours * 60 + minutes);
	return true;
}

/* "2027-01-01" (midnight UTC) or RFC 3339, whose zone must be said. */
static bool parse_moment(const char *s, struct moment *m)
{
	*m = (struct moment) { 0 };
	if (!digits(&s, 4, &m->year) || !literal(&s, "-") || !digits(&s, 2, &m->month) || !literal(&s, "-") || !digits(&s, 2, &m->day))
		return false;
	if (m->year < 1 || m->month < 1 || m->month > 12 || m->day < 1 || m->day > days_in_month(m->year, m->month))
		return false;
	if (*s == '\0')
		return true;
	if (!literal(&s, "Tt ") || !digits(&s, 2, &m->hour) || !literal(&s, ":") || !digits(&s, 2, &m->minute) ||
	    !literal(&s, ":") || !digits(&s, 2, &m->second) || !parse_fraction(&s, &m->micro) || !parse_zone(&s, &m->offset))
		return false;
	return *s == '\0' && m->hour < 24 && m->minute < 60 && m->second < 60;
}

static void day_before(struct moment *m)
{
	if (--m->day > 0)
		return;
	if (--m->month == 0) {
		m->month = 12;
		m->year--;
	}
	m->day = days_in_month(m->year, m->month);
}

static void day_after(struct moment *m)
{
	if (++m->day <= days_in_month(m->year, m->month))
		return;
	m->day = 1;
	if (++m->month > 12) {
		m->month = 1;
		m->year++;
	}
}

int timestamp_parse(const char *s, char ret[32])
{
	struct moment m;
	int minutes;

	if (strcasecmp(s, "infinity") == 0) {
		ret[0] = '\0';
		return 0;
	}
	if (!parse_moment(s, &m))
		return 1;
	minutes = m.hour * 60 + m.minute - m.offset;
	if (minutes < 0) {
		minutes += 24 * 60;
		day_before(&m);
	} else if (minutes >= 24 * 60) {
		minutes -= 24 * 60;
		day_after(&m);
	}
	if (m.year < 1 || m.year > 9999)
		return 1;
	/* the modulo tells the compiler what was checked: four digits, two digits, ... */
	snprintf(ret, 32, "%04u-%02u-%02uT%02u:%02u:%02u.%06uZ", (unsigned) m.year % 10000u, (unsigned) m.month % 100u,
		 (unsigned) m.day % 100u, (unsigned) minutes / 60 % 100u, (unsigned) minutes % 60, (unsigned) m.second % 100u,
		 (unsigned) m.micro % 1000000u);
	return 0;
}
