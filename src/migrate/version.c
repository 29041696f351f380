/* SPDX-License-Identifier: PostgreSQL */
/*
 * Versions as Flyway orders them: '_' is '.', parts are numbers of any size,
 * missing parts are zero. 1 = 1.0 = 001, 1.10 > 1.9. Of what Flyway's integer
 * parser also takes (signs, other scripts' digits, "latest") nothing is accepted.
 */
#include "migrate/migration.h"

#include <string.h>

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

bool migration_version_valid(const char *text, size_t len)
{
	if (!len || !is_digit(text[0]) || !is_digit(text[len - 1]))
		return false;
	for (size_t i = 1; i < len; i++)
		if (!is_digit(text[i]) && ((text[i] != '.' && text[i] != '_') || !is_digit(text[i - 1])))
			return false;
	return true;
}

/* Takes the next part from *p: its digits without leading zeros; none left is zero. */
static size_t next_part(const char **p, const char **ret)
{
	const char *start;
	size_t len;

	while (**p == '0')
		++*p;
	start = *p;
	while (is_digit(**p))
		++*p;
	len = (size_t)(*p - start);
	if (**p)
		++*p;       /* '.' or '_' */
	*ret = start;
	return len;
}

int migration_version_compare(const char *a, const char *b)
{
	bool valid_a = migration_version_valid(a, strlen(a)), valid_b = migration_version_valid(b, strlen(b));

	if (!valid_a || !valid_b)
		return valid_a ? -1 : valid_b ? 1 : strcmp(a, b);
	while (*a || *b) {
		const char *part_a, *part_b;
		size_t len_a = next_part(&a, &part_a), len_b = next_part(&b, &part_b);
		int order;

		if (len_a != len_b)
			return len_a < len_b ? -1 : 1;
		order = memcmp(part_a, part_b, len_a);
		if (order)
			return order;
	}
	return 0;
}
