/* SPDX-License-Identifier: PostgreSQL */
/* File names, good and bad, with what each is: the rules are Flyway's (ResourceNameParser), in versions stricter. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/migration.h"

static const struct {
	const char *name;
	enum migration_name outcome;
	enum migration_type type;
	const char *version, *description;
} names[] = {
	{ "V1__a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a" },
	{ "V1.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "" },
	{ "V001__create_users.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "001", "create users" },
	{ "V1_1__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.1", "x" },
	{ "V1.2__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.2", "x" },
	{ "V1.2.3__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.2.3", "x" },
	{ "V1_2_3__x_y_z.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.2.3", "x y z" },
	{ "V20240131120000__init.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "20240131120000", "init" },
	{ "V1__.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "" },
	{ "V1___a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", " a" },
	{ "V1____.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "  " },
	{ "V1__a__b.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a  b" },
	{ "V1__a.b.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a.b" },
	{ "V1__a.SQL", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a" },
	{ "V1__a.Sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a" },
	{ "V1__a.sqL", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a" },
	{ "V0__zero.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "0", "zero" },
	{ "V0.0.1__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "0.0.1", "x" },
	{ "V00__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "00", "x" },
	{ "V10__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "10", "x" },
	{ "V1.10__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.10", "x" },
	{ "V1.09__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.09", "x" },
	{ "V2021.01.05.1200__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "2021.01.05.1200", "x" },
	{ "V2021_01_05__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "2021.01.05", "x" },
	{ "V1.2_3__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.2.3", "x" },
	{ "V99999999999999999999999999__big.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "99999999999999999999999999", "big" },
	{ "V1__with space.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "with space" },
	{ "V1__Grüße.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "Grüße" },
	{ "V1__a-b.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a-b" },
	{ "V1__a,b.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a,b" },
	{ "V1__$x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "$x" },
	{ "V1__'quote.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "'quote" },
	{ "V1__\"q.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "\"q" },
	{ "V1__a+b.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a+b" },
	{ "V1__V2__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "V2  x" },
	{ "V1__sql.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "sql" },
	{ "V1__.sql.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", ".sql" },
	{ "V1__a.sql.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a.sql" },
	{ "V1__UPPER.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "UPPER" },
	{ "V1__1.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "1" },
	{ "V01.02__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "01.02", "x" },
	{ "V1_0__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.0", "x" },
	{ "V3.0.0__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "3.0.0", "x" },
	{ "V7__~x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "~x" },
	{ "V7__#x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "#x" },
	{ "V7__%25.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "%25" },
	{ "V7__日本.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "日本" },
	{ "V7__a_.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "a " },
	{ "V7__(a).sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "(a)" },
	{ "V7__{a}.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "7", "{a}" },
	{ "sub/V1__a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1", "a" },
	{ "a/b/c/V1.2__a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "1.2", "a" },
	{ "V1__dir/V2__a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "2", "a" },
	{ "x__y/V3__a.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "3", "a" },
	{ "V12345678901234567890123456789012345678901234567890__x.sql", MIGRATION_NAME_OK, MIGRATION_VERSIONED, "12345678901234567890123456789012345678901234567890", "x" },
	{ "R__a.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "a" },
	{ "R.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "" },
	{ "R__.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "" },
	{ "R__a_view.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "a view" },
	{ "R___a.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, " a" },
	{ "R__a__b.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "a  b" },
	{ "R__1.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "1" },
	{ "R__V1__a.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "V1  a" },
	{ "R__x.SQL", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "x" },
	{ "sub/R__x.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "x" },
	{ "R__Ä.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "Ä" },
	{ "R__.sql.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, ".sql" },
	{ "R__R.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "R" },
	{ "R__a b.sql", MIGRATION_NAME_OK, MIGRATION_REPEATABLE, NULL, "a b" },
	{ "B1__a.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "1", "a" },
	{ "B1.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "1", "" },
	{ "B001__x.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "001", "x" },
	{ "B1_5__x_y.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "1.5", "x y" },
	{ "B1.5.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "1.5", "" },
	{ "B2024__all.SQL", MIGRATION_NAME_OK, MIGRATION_BASELINE, "2024", "all" },
	{ "sub/B3__x.sql", MIGRATION_NAME_OK, MIGRATION_BASELINE, "3", "x" },
	{ "a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "1.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "001.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "001_create.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "001__create.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "init.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "schema.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "seed.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "create users.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "v1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "v1.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "r__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "b1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V_1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1_.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1_a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1_a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Va__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1-1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1-a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1 a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1 __a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V 1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V-1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V+1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1.__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V.1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1..2__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1._2__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1.2.__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1,2__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1.a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Vlatest__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Vcurrent__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Vnext__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V0x10__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1e5__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V１__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V١__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1.2a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1+1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1:2__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1;2__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "VV1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Version1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Views.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Va.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1_2_.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__a .sql/x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V123456789012345678901234567890123456789012345678901__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Rfoo.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R_a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R_.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R1.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Ra__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R.a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "R-a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Report.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "RR__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Ba__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B1a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B_1__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B1_.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B-1.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Backup.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "B1..1.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "U.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "U__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Users.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Ua__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "Undo.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "U1a__b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "UV1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "u1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ ".sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "_.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "__.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "down.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "1.up.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "1.down.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "000001_init.up.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "20200101120000_create.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "beforemigrate.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "BeforeMigrate.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "beforeMigrat.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "beforeMigrates.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "beforeMigrate_x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "aftermigrate.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "after.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "callback.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "test.V1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "xV1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ " V1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "-V1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "(V1)__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "T1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "D1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "S1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "VB1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1\n__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__a\nb.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__a\x1b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__\x7f.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__\xff.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__\xc3.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "sub/a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "sub/v1__a.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "V1__a/b.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "README.md", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.txt", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql.conf", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql~", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql.bak", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql.orig", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql.swp", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.pgsql", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.ddl", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "sql", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "asql", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ ".gitkeep", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "Makefile", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.java", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "R__a.py", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "atlas.sum", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sqlx", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "notes.sq", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.sql ", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "flyway.conf", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "sub/README", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "sub.sql/README", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "V1__a.psql.", MIGRATION_NAME_OTHER, 0, NULL, NULL },
	{ "U1__a.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "1", "a" },
	{ "U1.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "1", "" },
	{ "U001__x.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "001", "x" },
	{ "U1_2__x.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "1.2", "x" },
	{ "U1.2.3__x.SQL", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "1.2.3", "x" },
	{ "sub/U9__x.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "9", "x" },
	{ "U1__.sql", MIGRATION_NAME_UNDO, MIGRATION_UNDO, "1", "" },
	{ "U__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "U1a__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "u1__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "U123456789012345678901234567890123456789012345678901__x.sql", MIGRATION_NAME_BAD, 0, NULL, NULL },
	{ "beforeMigrate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterMigrate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "beforeMigrate__x.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterMigrate__a__b.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterMigrateError.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterMigrateApplied.SQL", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "beforeEachMigrate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterEachMigrate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "beforeClean.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "createSchema.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterConnect.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "beforeValidate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterVersioned.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "sub/beforeMigrate.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "beforeBaseline__.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
	{ "afterEachMigrateStatementError.sql", MIGRATION_NAME_CALLBACK, 0, NULL, NULL },
};

static void assert_text(const char *name, const char *what, const char *got, const char *wanted)
{
	if (!wanted ? got != NULL : !got || strcmp(got, wanted))
		fail_msg("%s: %s is '%s', wanted '%s'", name, what, got ? got : "(none)", wanted ? wanted : "(none)");
}

static void each_name(void **state)
{
	(void)state;
	assert_true(sizeof names / sizeof *names >= 200);
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		void *mem = talloc_new(NULL);
		struct migration_file file;
		struct error err = { 0 };
		int outcome = migration_name_parse(mem, names[i].name, &file, &err);

		if (outcome != (int)names[i].outcome)
			fail_msg("%s: outcome %d, wanted %d", names[i].name, outcome, (int)names[i].outcome);
		if (outcome == MIGRATION_NAME_OK || outcome == MIGRATION_NAME_UNDO) {
			assert_int_equal(file.type, names[i].type);
			assert_text(names[i].name, "version", file.version, names[i].version);
			assert_text(names[i].name, "description", file.description, names[i].description);
			assert_string_equal(file.script, names[i].name);
		}
		/* an error names the file, the reason and the expected form; nothing else fills it */
		assert_int_equal(error_is_set(&err), outcome == MIGRATION_NAME_BAD);
		if (outcome == MIGRATION_NAME_BAD) {
			assert_non_null(strstr(err.text, "file name '"));
			assert_non_null(strstr(err.hint, "V<version>__<description>.sql"));
			assert_true(err.file[0]);
		}
		talloc_free(mem);
	}
}

static int order(const char *a, const char *b)
{
	int forth = migration_version_compare(a, b), back = migration_version_compare(b, a);

	assert_true((forth > 0) == (back < 0) && (forth < 0) == (back > 0));
	return (forth > 0) - (forth < 0);
}

static void version_order(void **state)
{
	static const char *const rising[] = { "0", "0.0.1", "0.1", "1", "1.0.1", "1.1", "1.9", "1.10", "1.10.1", "2", "9", "10", "99", "2024.01.31",
					      "20240131", "99999999999999999998", "99999999999999999999", "100000000000000000000" };
	size_t n = sizeof rising / sizeof *rising;

	(void)state;
	for (size_t i = 0; i < n; i++)
		for (size_t j = 0; j < n; j++)
			assert_int_equal(order(rising[i], rising[j]), (i > j) - (i < j));
	assert_int_equal(order("1", "1.0"), 0);
	assert_int_equal(order("1", "001"), 0);
	assert_int_equal(order("1.0.0.0", "1"), 0);
	assert_int_equal(order("1_1", "1.1"), 0);
	assert_int_equal(order("01.010", "1.10"), 0);
	assert_int_equal(order("0", "0.0"), 0);
	/* other tools' words in a ledger come after every number, and never crash */
	assert_int_equal(order("latest", "99999"), 1);
	assert_int_equal(order("", "0"), 1);
	assert_int_equal(order("a", "b"), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(each_name), cmocka_unit_test(version_order) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
