/* SPDX-License-Identifier: PostgreSQL */
/* Spans of time and sizes as strings with units: libconfig's integers wrap silently, so they are not trusted with these. */
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

#define TEN_YEARS_MS (INT64_C(3653) * 24 * 3600 * 1000)

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit time_units[] = {
	{ "ms", 1 }, { "s", 1000 }, { "min", 60000 }, { "m", 60000 }, { "h", 3600000 }, { "d", 86400000 },
};

static const struct unit size_units[] = {
	{ "", 1 }, { "B", 1 }, { "kB", 1024 }, { "MB", 1048576 }, { "GB", 1073741824 }, { "TB", UINT64_C(1099511627776) },
};

static int parse(const char *s, const struct unit *units, size_t n, uint64_t max, uint64_t *ret)
{
	uint64_t value = 0;
	size_t digits = 0;

	for (; s[digits] >= '0' && s[digits] <= '9'; digits++) {
		uint64_t digit = (uint64_t)(s[digits] - '0');

		if (value > (max - digit) / 10)
			return 1;
		value = value * 10 + digit;
	}
	if (digits == 0)
		return 1;
	for (size_t i = 0; i < n; i++) {
		if (strcmp(s + digits, units[i].name) != 0)
			continue;
		if (value > max / units[i].factor)
			return 1;
		*ret = value * units[i].factor;
		return 0;
	}
	/* plain zero needs no unit */
	if (s[digits] == '\0' && value == 0) {
		*ret = 0;
		return 0;
	}
	return 1;
}

int duration_parse(const char *s, msec_t *ret_ms)
{
	uint64_t value;
	int r = parse(s, time_units, sizeof time_units / sizeof *time_units, TEN_YEARS_MS, &value);

	if (r == 0)
		*ret_ms = (msec_t)value;
	return r;
}

int size_parse(const char *s, uint64_t *ret_bytes)
{
	return parse(s, size_units, sizeof size_units / sizeof *size_units, UINT64_C(1) << 62, ret_bytes);
}

const char *duration_format(msec_t ms, char *buf, size_t size)
{
	static const struct unit order[] = { { "d", 86400000 }, { "h", 3600000 }, { "min", 60000 }, { "s", 1000 }, { "ms", 1 } };

	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		if (ms % (msec_t)order[i].factor != 0)
			continue;
		if (ms == 0)
			snprintf(buf, size, "0s");
		else
			snprintf(buf, size, "%" PRId64 "%s", ms / (msec_t)order[i].factor, order[i].name);
		break;
	}
	return buf;
}
