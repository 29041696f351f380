/* SPDX-License-Identifier: PostgreSQL */
/* What a policy holds: findings by words, sizes and what is there; and where a run stops. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/hold.h"
#include "model/lint_rule.h"

#define KB INT64_C(1024)
#define HERE .relation = "t", .live_relation = "t", .measured = true

static bool applies(const char *const words[3], int64_t above, const struct migration_finding *f, bool empty)
{
	struct hold_policy policy = { .words = words, .above = above };

	while (policy.n < 3 && words[policy.n])
		policy.n++;
	return hold_applies(&policy, f, empty);
}

static const struct {
	const char *words[3];
	int64_t above;
	struct migration_finding f;
	bool empty, expected;
} table[] = {
	/* words */
	{ { NULL }, 0, { .rule = "drop-table", .destroys = true, HERE }, false, false },
	{ { "drop-table" }, 0, { .rule = "drop-table", .destroys = true, HERE }, false, true },
	{ { "drop-column" }, 0, { .rule = "drop-table", .destroys = true, HERE }, false, false },
	{ { "destroy" }, 0, { .rule = "drop-table", .destroys = true, HERE }, false, true },
	{ { "drop" }, 0, { .rule = "drop-table", .destroys = true, HERE }, false, true },
	{ { "drop" }, 0, { .rule = "truncate", .destroys = true, HERE }, false, false },
	{ { "rewrite" }, 0, { .rule = "alter-type", .rewrites = true, HERE }, false, true },
	{ { "rewrite" }, 0, { .rule = "rewrite", .rewrites = true, HERE }, false, true },
	{ { "scan" }, 0, { .rule = "alter-type", .rewrites = true, HERE }, false, false },
	{ { "scan" }, 0, { .rule = "add-check", .scans = true, HERE }, false, true },
	{ { "lock" }, 0, { .rule = "brief-lock", .lock = LOCK_ACCESS_EXCLUSIVE, HERE }, false, true },
	{ { "lock" }, 0, { .rule = "create-index", .lock = LOCK_SHARE, HERE }, false, true },
	{ { "lock" }, 0, { .rule = "update-all", .lock = LOCK_ROW_EXCLUSIVE, .rewrites = true, HERE }, false, false },
	{ { "scan", "drop", "truncate" }, 0, { .rule = "truncate", .destroys = true, HERE }, false, true },
	{ { "all" }, 0, { .rule = "rename", .lock = LOCK_ACCESS_EXCLUSIVE, HERE }, false, true },
	/* sizes: not where data goes */
	{ { "rewrite" }, 64 * KB, { .rule = "alter-type", .rewrites = true, HERE, .bytes = 64 * KB - 1 }, false, false },
	{ { "rewrite" }, 64 * KB, { .rule = "alter-type", .rewrites = true, HERE, .bytes = 64 * KB }, false, true },
	{ { "all" }, 64 * KB, { .rule = "drop-index", .lock = LOCK_ACCESS_EXCLUSIVE, HERE, .bytes = 1 }, false, false },
	{ { "all" }, 64 * KB, { .rule = "drop-table", .destroys = true, HERE, .bytes = 1 }, false, true },
	/* what is not known counts */
	{ { "rewrite" }, 64 * KB, { .rule = "alter-type", .rewrites = true, .relation = "t" }, false, true },
	{ { "rewrite" }, 64 * KB, { .rule = "alter-type", .rewrites = true, .relation = "t" }, true, true },
	/* what is not there does not, nor what the files make */
	{ { "all" }, 0, { .rule = "drop-table", .destroys = true, .relation = "t", .absent = true }, false, false },
	{ { "all" }, 0, { .rule = "drop-table", .destroys = true, .relation = "t", .made = true }, false, false },
	/* without a relation: only where somebody has one */
	{ { "all" }, 64 * KB, { .rule = "not-classified" }, false, true },
	{ { "all" }, 64 * KB, { .rule = "not-classified" }, true, false },
	{ { "lock", "destroy" }, 0, { .rule = "not-classified" }, false, false },
	{ { "destroy" }, 0, { .rule = "drop-owned", .destroys = true }, true, false },
	{ { "destroy" }, 0, { .rule = "drop-database", .destroys = true }, true, true },
};

static void each_case(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++)
		if (applies(table[i].words, table[i].above, &table[i].f, table[i].empty) != table[i].expected)
			fail_msg("case %zu: %s", i, table[i].f.rule);
}

static void words_are_known(void **state)
{
	size_t n;
	const char *const *words = lint_words(&n);

	(void)state;
	for (size_t i = 0; i < n; i++)
		assert_true((lint_class_of(words[i]) != 0) || lint_rule_known(words[i]));
	assert_int_equal(lint_class_of("all"), LINT_ALL);
	assert_int_equal(lint_class_of("scan"), LINT_SCAN);
	assert_true(lint_rule_known("rewrite"));
	assert_false(lint_rule_known("destroy") || lint_rule_known("") || lint_class_of(""));
}

/* ---- lists ---- */

static struct migration_finding drop = { .rule = "drop-table", .destroys = true, HERE, .statement = 2 };
static struct migration_finding brief = { .rule = "brief-lock", .lock = LOCK_ACCESS_EXCLUSIVE, HERE };
static const char *const destroy[] = { "destroy" };
static const struct hold_policy policy = { .words = destroy, .n = 1 };

static void where_it_stops(void **state)
{
	struct migration v[] = {
		{ .state = MIGRATION_APPLIED, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_PENDING, .findings = &brief, .n_findings = 1 },
		{ .state = MIGRATION_PENDING, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_PENDING },
		{ .state = MIGRATION_OUTDATED, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_PENDING },
	};
	struct migration_list list = { .v = v, .n = 6 };

	(void)state;
	hold_mark(&list, &policy);
	hold_stop(&list);
	assert_true(!v[0].hold && !v[1].hold && v[2].hold == &drop && !v[3].hold && v[4].hold && !v[5].hold);
	assert_ptr_equal(list.stop, &v[2]);
	assert_int_equal(hold_free(&list), 1);
	v[2].released = true;
	hold_stop(&list);
	assert_ptr_equal(list.stop, &v[4]);
	assert_int_equal(hold_free(&list), 3);
	v[4].released = true;
	hold_stop(&list);
	assert_null(list.stop);
	assert_int_equal(hold_free(&list), 5);
	hold_mark(&list, &policy);             /* another look: nothing is released by itself */
	hold_stop(&list);
	assert_ptr_equal(list.stop, &v[2]);
	assert_int_equal(hold_free(NULL), 0);
}

/* What has begun goes on; what goes on in the middle after a failure is judged by the rest. */
static void what_has_begun(void **state)
{
	struct migration v[] = {
		{ .state = MIGRATION_INDETERMINATE, .find_out = true, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_PENDING, .from = 3, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_PENDING, .from = 2, .findings = &drop, .n_findings = 1 },
		{ .state = MIGRATION_INDETERMINATE, .findings = &drop, .n_findings = 1 },
	};
	struct migration_list list = { .v = v, .n = 4 };

	(void)state;
	hold_mark(&list, &policy);
	assert_true(!v[0].hold && !v[1].hold && v[2].hold && !v[3].hold);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_case), cmocka_unit_test(words_are_known), cmocka_unit_test(where_it_stops), cmocka_unit_test(what_has_begun),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
