/* SPDX-License-Identifier: PostgreSQL */
/* The pure parts of dbreconcilectl, and that the tables and the man page say the same. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "ctl/ctl.h"

static void ranges(void **state)
{
	static const struct { const char *text; int result; double value; bool alerts; } cases[] = {
		{ "10", 0, 10, false }, { "10", 0, 11, true }, { "10", 0, -1, true }, { "0", 0, 0, false }, { "0", 0, 1, true },
		{ "10:", 0, 9, true }, { "10:", 0, 1e9, false }, { "~:10", 0, -5, false }, { "~:10", 0, 11, true },
		{ "10:20", 0, 15, false }, { "10:20", 0, 21, true }, { "@10:20", 0, 15, true }, { "@10:20", 0, 21, false },
		{ "", 1, 0, false }, { "x", 1, 0, false }, { "20:10", 1, 0, false }, { "1;2", 1, 0, false }, { "nan", 1, 0, false }, { "@", 1, 0, false },
	};
	struct range range;

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		if (range_parse(cases[i].text, &range) != cases[i].result)
			fail_msg("range \"%s\": expected result %d", cases[i].text, cases[i].result);
		if (cases[i].result == 0 && range_alerts(&range, cases[i].value) != cases[i].alerts)
			fail_msg("range \"%s\" and %g: expected %s", cases[i].text, cases[i].value, cases[i].alerts ? "an alert" : "none");
	}
}

static void times(void **state)
{
	static const struct { int64_t ahead_s; const char *text; } cases[] = {
		{ 0, "now" }, { 1, "in 1s" }, { -12, "12s ago" }, { 48, "in 48s" }, { -119, "119s ago" }, { -120, "2min ago" },
		{ 3 * 3600, "in 3h" }, { -3 * 86400, "3d ago" },
	};
	int64_t now, ms;
	char buf[32], time[32];

	(void)state;
	assert_int_equal(when_parse("2026-11-21T09:30:00Z", &now), 0);
	assert_int_equal(now, INT64_C(1795253400000));
	assert_int_equal(when_parse("2026-11-21T09:30:00.25Z", &ms), 0);
	assert_int_equal(ms, now + 250);
	assert_int_equal(when_parse("2026-11-21T09:30:00", &ms), 1);
	assert_int_equal(when_parse("2026-11-21T09:30:00+01:00", &ms), 1);
	assert_int_equal(when_parse("", &ms), 1);
	assert_string_equal(when_relative(NULL, now, buf, sizeof buf), "-");
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		clock_rfc3339(now + cases[i].ahead_s * 1000, time, sizeof time);
		assert_string_equal(when_relative(time, now, buf, sizeof buf), cases[i].text);
	}
}

static void durations(void **state)
{
	msec_t ms;

	(void)state;
	assert_int_equal(ctl_duration("5", &ms), 0);
	assert_int_equal(ms, 5000);
	assert_int_equal(ctl_duration("0.5", &ms), 0);
	assert_int_equal(ms, 500);
	assert_int_equal(ctl_duration("2min", &ms), 0);
	assert_int_equal(ms, 120000);
	assert_int_equal(ctl_duration("", &ms), 1);
	assert_int_equal(ctl_duration("-1", &ms), 1);
	assert_int_equal(ctl_duration("1e99", &ms), 1);
	assert_int_equal(ctl_duration("inf", &ms), 1);
	assert_int_equal(ctl_duration("soon", &ms), 1);
}

static void prefixes(void **state)
{
	char buf[256];
	int n;

	(void)state;
	assert_string_equal(ctl_command_find("st", buf, sizeof buf, &n)->name, "status");
	assert_string_equal(ctl_command_find("status", buf, sizeof buf, &n)->name, "status");
	assert_null(ctl_command_find("re", buf, sizeof buf, &n));
	assert_int_equal(n, 4);
	assert_string_equal(buf, "reconcile, reject, resume, reload");
	assert_null(ctl_command_find("x", buf, sizeof buf, &n));
	assert_int_equal(n, 0);
	for (const struct ctl_command *c = ctl_commands; c->name; c++)
		assert_ptr_equal(ctl_command_find(c->name, buf, sizeof buf, &n), c);
}

/* Each row of the tables says all that help, completion and parsing need. */
static void tables_are_whole(void **state)
{
	(void)state;
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		unsigned n = 0;

		assert_true(c->usage && *c->help && c->run && c->min_args >= 0 && (c->max_args < 0 || c->max_args >= c->min_args));
		for (const struct ctl_option *o = c->options; o && o->name; o++, n++) {
			assert_true(*o->help && (o->arg == ARG_NONE) == (o->arg_name == NULL));
			assert_null(o->set);
		}
		assert_true(n <= CTL_OPTIONS_MAX);
	}
	for (const struct ctl_option *o = ctl_global_options; o->name; o++)
		assert_true(*o->help && o->set && (o->arg == ARG_NONE) == (o->arg_name == NULL));
}

static char *page;

static int read_page(void **state)
{
	const char *top = getenv("top_srcdir");
	char path[512];
	FILE *file;
	size_t n;

	(void)state;
	snprintf(path, sizeof path, "%s/man/dbreconcilectl.1", top ? top : "..");
	file = fopen(path, "r");
	if (!file)
		return 1;
	page = calloc(1, 1 << 18);
	n = page ? fread(page, 1, (1 << 18) - 1, file) : 0;
	fclose(file);
	return n == 0;
}

static int free_page(void **state)
{
	(void)state;
	free(page);
	return 0;
}

/* An item of a list of the page: ".It Ic status", ".It Fl s , -socket". */
static bool page_has(const char *kind, const char *word)
{
	const char *line = page;
	char rest[256];

	while ((line = strstr(line, "\n.It ")) != NULL) {
		size_t len = strcspn(line += 5, "\n");

		if (strncmp(line, kind, strlen(kind)) != 0)
			continue;
		snprintf(rest, sizeof rest, " %.*s ", (int)(len < 250 ? len : 250), line);
		if (strstr(rest, word))
			return true;
	}
	return false;
}

static void need_option(const char *where, const struct ctl_option *o)
{
	char longname[64], letter[8];

	snprintf(longname, sizeof longname, " -%s ", o->name);
	snprintf(letter, sizeof letter, " Fl %c ", o->letter);
	if (!page_has("Fl ", longname))
		fail_msg("dbreconcilectl(1) does not list --%s (%s)", o->name, where);
	if (o->letter && !page_has("Fl ", letter))
		fail_msg("dbreconcilectl(1) does not list -%c (%s)", o->letter, where);
}

static void page_is_whole(void **state)
{
	char word[64];

	(void)state;
	for (const struct ctl_command *c = ctl_commands; c->name; c++) {
		snprintf(word, sizeof word, " Ic %s ", c->name);
		if (!page_has("Ic ", word))
			fail_msg("dbreconcilectl(1) does not list the command %s", c->name);
		for (const struct ctl_option *o = c->options; o && o->name; o++)
			need_option(c->name, o);
	}
	for (const struct ctl_option *o = ctl_global_options; o->name; o++)
		need_option("global", o);
	for (const struct ctl_exit *e = ctl_exits; e->help; e++) {
		snprintf(word, sizeof word, "\n.It %d\n", e->code);
		if (!strstr(page, word))
			fail_msg("dbreconcilectl(1) does not list the exit code %d", e->code);
	}
	assert_false(page_has("Ic ", " Ic nonsense "));
	assert_false(page_has("Fl ", " -nonsense "));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(ranges), cmocka_unit_test(times), cmocka_unit_test(durations), cmocka_unit_test(prefixes),
		cmocka_unit_test(tables_are_whole), cmocka_unit_test_setup_teardown(page_is_whole, read_page, free_page),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
