/* SPDX-License-Identifier: PostgreSQL */
/* Users and groups by name, as a directory service gives them. */
#include "config.h"

#include <errno.h>
#include <grp.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "control/names.h"

int __wrap_getgrnam_r(const char *name, struct group *group, char *buf, size_t size, struct group **found);

/* The answer holds all members of a group. */
int __wrap_getgrnam_r(const char *name, struct group *group, char *buf, size_t size, struct group **found)
{
	(void)buf;
	*found = NULL;
	if (strcmp(name, "everybody") != 0)
		return 0;
	if (size < 1000000)
		return ERANGE;
	*group = (struct group){ .gr_gid = 4711 };
	*found = group;
	return 0;
}

static void a_group_may_have_very_many_members(void **arg)
{
	gid_t gid = 0;

	(void)arg;
	assert_int_equal(group_number("everybody", &gid), 0);
	assert_int_equal(gid, 4711);
	assert_int_equal(group_number("nobody", &gid), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_group_may_have_very_many_members),
	};

	return cmocka_run_group_tests_name("names", tests, NULL, NULL);
}
