/* SPDX-License-Identifier: PostgreSQL */
/* Statements and what they do to others, as PostgreSQL's documentation has it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lint.h"
#include "model/lint_rule.h"

/* "rule LOCK relation[ rewrites][ scans][ destroys]", joined by ", ". */
static char *lint(void *mem, const char *sql)
{
	struct migration_file file = { .type = MIGRATION_VERSIONED, .version = "1", .description = "a", .script = "V1__a.sql", .text = sql,
				       .len = strlen(sql), .transactional = true };
	struct migration_finding *v;
	struct text *out = text_new(mem);
	uint32_t n;

	if (migration_script_check(mem, &file) != 0)
		return talloc_asprintf(mem, "refused: %s", file.refused.text);
	assert_int_equal(migration_lint(mem, &file, lint_made_new(mem), &v, &n), 0);
	for (uint32_t i = 0; i < n; i++) {
		assert_true(lint_rule_known(v[i].rule));
		if (!v[i].made)
			text_addf(out, "%s%s %s %s%s%s%s%s%s", out->len ? ", " : "", v[i].rule, lock_mode_name(v[i].lock), v[i].schema ? v[i].schema : "",
			  v[i].schema ? "." : "", v[i].relation ? v[i].relation : "-", v[i].rewrites ? " rewrites" : "", v[i].scans ? " scans" : "",
			  v[i].destroys ? " destroys" : "");
	}
	return out->s;
}

#define AE "ACCESS EXCLUSIVE"
#define SRE "SHARE ROW EXCLUSIVE"
#define BRIEF "brief-lock " AE

static const struct { const char *sql, *expected; } table[] = {
	/* adding columns */
	{ "ALTER TABLE t ADD a int", BRIEF " t" },
	{ "ALTER TABLE s.t ADD a int DEFAULT 7", BRIEF " s.t" },
	{ "ALTER TABLE t ADD a int NOT NULL DEFAULT 0", BRIEF " t" },
	{ "ALTER TABLE t ADD a text DEFAULT 'x' || 'y'", BRIEF " t" },
	{ "ALTER TABLE t ADD a uuid DEFAULT gen_random_uuid()", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a float DEFAULT 1 + random()", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a serial", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a bigserial", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a int GENERATED ALWAYS AS IDENTITY", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a int GENERATED ALWAYS AS (b + 1) STORED", "add-column " AE " t rewrites" },
	{ "ALTER TABLE t ADD a int PRIMARY KEY", "add-unique " AE " t scans, " BRIEF " t" },
	{ "ALTER TABLE t ADD a int UNIQUE", "add-unique " AE " t scans, " BRIEF " t" },
	{ "ALTER TABLE t ADD a int CHECK (a > 0)", "add-check " AE " t scans, " BRIEF " t" },
	{ "ALTER TABLE t ADD a int REFERENCES o", "foreign-key " SRE " t scans, foreign-key " SRE " o, " BRIEF " t" },
	/* changing columns */
	{ "ALTER TABLE t DROP a", "drop-column " AE " t destroys" },
	{ "ALTER TABLE t ALTER a TYPE bigint", "alter-type " AE " t rewrites" },
	{ "ALTER TABLE t ALTER a SET NOT NULL", "set-not-null " AE " t scans" },
	{ "ALTER TABLE t ALTER a DROP NOT NULL", BRIEF " t" },
	{ "ALTER TABLE t ALTER a SET DEFAULT 1", BRIEF " t" },
	{ "ALTER TABLE t ALTER a DROP DEFAULT", BRIEF " t" },
	{ "ALTER TABLE t ALTER a SET STATISTICS 100", "" },
	{ "ALTER TABLE t ALTER a SET (n_distinct = 5)", "" },
	{ "ALTER TABLE t RENAME a TO b", "rename " AE " t" },
	{ "ALTER TABLE t RENAME TO u", "rename " AE " t" },
	{ "ALTER TABLE t SET SCHEMA x", "rename " AE " t" },
	/* constraints */
	{ "ALTER TABLE t ADD CHECK (a > 0)", "add-check " AE " t scans" },
	{ "ALTER TABLE t ADD CHECK (a > 0) NOT VALID", BRIEF " t" },
	{ "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES s.o (id)", "foreign-key " SRE " t scans, foreign-key " SRE " s.o" },
	{ "ALTER TABLE t ADD FOREIGN KEY (a) REFERENCES o (id) NOT VALID", "foreign-key " SRE " t, foreign-key " SRE " o" },
	{ "ALTER TABLE t VALIDATE CONSTRAINT c", "" },
	{ "ALTER TABLE t DROP CONSTRAINT c", BRIEF " t" },
	{ "ALTER TABLE t ADD PRIMARY KEY (a)", "add-unique " AE " t scans" },
	{ "ALTER TABLE t ADD UNIQUE (a)", "add-unique " AE " t scans" },
	{ "ALTER TABLE t ADD CONSTRAINT c UNIQUE USING INDEX i", BRIEF " t" },
	{ "ALTER TABLE t ADD CONSTRAINT c PRIMARY KEY USING INDEX i", BRIEF " t" },
	{ "ALTER TABLE t ADD EXCLUDE USING gist (a WITH =)", "add-unique " AE " t scans" },
	/* the table as a whole */
	{ "ALTER TABLE t SET LOGGED", "rewrite " AE " t rewrites" },
	{ "ALTER TABLE t SET UNLOGGED", "rewrite " AE " t rewrites" },
	{ "ALTER TABLE t SET TABLESPACE x", "rewrite " AE " t rewrites" },
	{ "ALTER TABLE t SET (fillfactor = 70)", "" },
	{ "ALTER TABLE t RESET (fillfactor)", "" },
	{ "ALTER TABLE t CLUSTER ON i", "" },
	{ "ALTER TABLE t OWNER TO x", BRIEF " t" },
	{ "ALTER TABLE t ENABLE ROW LEVEL SECURITY", BRIEF " t" },
	{ "ALTER TABLE t DISABLE TRIGGER x", "trigger " SRE " t" },
	{ "ALTER TABLE t DISABLE TRIGGER ALL", "trigger " SRE " t" },
	{ "ALTER TABLE t DISABLE TRIGGER USER", "trigger " SRE " t" },
	{ "ALTER TABLE t ENABLE TRIGGER USER", "trigger " SRE " t" },
	{ "ALTER TABLE t ENABLE ALWAYS TRIGGER x", "trigger " SRE " t" },
	{ "ALTER TABLE t ENABLE REPLICA TRIGGER x", "trigger " SRE " t" },
	{ "ALTER TABLE t DISABLE RULE x", BRIEF " t" },
	{ "ALTER VIEW v SET (security_barrier = true)", BRIEF " v" },
	{ "ALTER TABLE t ATTACH PARTITION s.p FOR VALUES IN (1)", "attach-partition " AE " s.p scans" },
	{ "ALTER TABLE t DETACH PARTITION s.p", "detach-partition " AE " t, detach-partition " AE " s.p" },
	{ "ALTER TABLE t DETACH PARTITION p CONCURRENTLY", "" },
	{ "ALTER TABLE t DETACH PARTITION p FINALIZE", "" },
	{ "ALTER TABLE t INHERIT p", BRIEF " t" },
	{ "ALTER TABLE t ADD a int, DROP b, ALTER c SET NOT NULL", BRIEF " t, drop-column " AE " t destroys, set-not-null " AE " t scans" },
	/* indexes */
	{ "CREATE INDEX ON t (a)", "create-index SHARE t scans" },
	{ "CREATE UNIQUE INDEX i ON s.t (a)", "create-index SHARE s.t scans" },
	{ "CREATE INDEX CONCURRENTLY i ON t (a)", "" },
	{ "DROP INDEX i", "drop-index " AE " i" },
	{ "DROP INDEX CONCURRENTLY i", "" },
	{ "REINDEX TABLE t", "reindex SHARE t scans" },
	{ "REINDEX INDEX i", "reindex SHARE i scans" },
	{ "REINDEX TABLE CONCURRENTLY t", "" },
	{ "ALTER INDEX i RENAME TO j", "" },
	{ "ALTER INDEX i RENAME TO j; DROP INDEX j", "drop-index " AE " j" },
	{ "ALTER INDEX s.i ATTACH PARTITION s.p", BRIEF " s.p" },
	/* data */
	{ "DROP TABLE a.t, u CASCADE", "drop-table " AE " a.t destroys, drop-table " AE " u destroys" },
	{ "DROP SCHEMA s CASCADE", "drop-schema no lock s destroys" },
	{ "DROP SEQUENCE q", "drop-relation " AE " q destroys" },
	{ "DROP VIEW v", "drop-relation " AE " v" },
	{ "DROP FOREIGN TABLE f", "drop-relation " AE " f" },
	{ "DROP TRIGGER g ON s.t", BRIEF " s.t" },
	{ "DROP TRIGGER IF EXISTS g ON t CASCADE", BRIEF " t" },
	{ "DROP POLICY p ON s.t", BRIEF " s.t" },
	{ "DROP RULE r ON t", BRIEF " t" },
	{ "DROP EVENT TRIGGER g", "" },
	{ "DROP MATERIALIZED VIEW m", "drop-relation " AE " m" },
	{ "DROP FUNCTION f()", "" },
	{ "DROP FUNCTION f() CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP TYPE s.x", "" },
	{ "DROP TYPE s.x CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP DOMAIN x CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP EXTENSION postgis CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP COLLATION x CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP ACCESS METHOD x CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP OPERATOR FAMILY x USING btree CASCADE", "drop-cascade no lock - destroys" },
	{ "DROP OWNED BY a, b", "drop-owned no lock - destroys" },
	{ "DROP DATABASE x", "drop-database no lock - destroys" },
	{ "TRUNCATE t, s.u", "truncate " AE " t destroys, truncate " AE " s.u destroys" },
	{ "TRUNCATE t CASCADE", "truncate " AE " t destroys" },
	{ "DELETE FROM t", "delete-all ROW EXCLUSIVE t destroys" },
	{ "DELETE FROM t WHERE a = 1", "" },
	{ "UPDATE t SET a = 1", "update-all ROW EXCLUSIVE t rewrites" },
	{ "UPDATE t SET a = 1 WHERE b", "" },
	{ "INSERT INTO t VALUES (1)", "" },
	/* its first word says enough: hundreds of thousands of these are not parsed */
	{ "insert\ninto t VALUES (1) RETURNING WITH (OLD AS o) o.a", "" },
	{ "INSERT_ALL INTO t", "not-classified no lock -" },
	{ "UPDATE t SET a = (SELECT 1 WHERE true), b = '(' WHERE c RETURNING WITH (OLD AS o) o.a", "" },
	{ "UPDATE t SET a = (SELECT 1 FROM b WHERE true)", "update-all ROW EXCLUSIVE t rewrites" },
	{ "UPDATE t SET a = b.where FROM b", "update-all ROW EXCLUSIVE t rewrites" },
	{ "UPDATE t SET a = 1 -- WHERE b", "update-all ROW EXCLUSIVE t rewrites" },
	{ "UPDATE t SET a = ' WHERE ', \"WHERE\" = 1", "update-all ROW EXCLUSIVE t rewrites" },
	{ "UPDATE t SET a = 1 RETURNING a AS where", "update-all ROW EXCLUSIVE t rewrites" },
	{ "DELETE FROM t USING (SELECT 1 WHERE true) u", "delete-all ROW EXCLUSIVE t destroys" },
	{ "delete\nfrom t where a = 1", "" },
	{ "WITH gone AS (DELETE FROM s.t RETURNING *) INSERT INTO kept SELECT * FROM gone", "delete-all ROW EXCLUSIVE s.t destroys" },
	{ "WITH gone AS (DELETE FROM t WHERE a RETURNING *), new AS (UPDATE u SET a = 1) SELECT 1", "update-all ROW EXCLUSIVE u rewrites" },
	{ "WITH x AS (SELECT 1) DELETE FROM t", "delete-all ROW EXCLUSIVE t destroys" },
	{ "VACUUM t", "" },
	{ "VACUUM FULL t", "rewrite " AE " t rewrites" },
	{ "CLUSTER t USING i", "rewrite " AE " t rewrites" },
	{ "REFRESH MATERIALIZED VIEW m", "refresh " AE " m rewrites" },
	{ "REFRESH MATERIALIZED VIEW CONCURRENTLY m", "refresh EXCLUSIVE m rewrites" },
	{ "LOCK TABLE t IN SHARE MODE", "lock-table SHARE t" },
	{ "LOCK t", "lock-table " AE " t" },
	/* the rest */
	{ "CREATE TABLE t (id int PRIMARY KEY)", "" },
	{ "CREATE TABLE t (o int REFERENCES s.o, FOREIGN KEY (o) REFERENCES p)", "foreign-key " SRE " s.o, foreign-key " SRE " p" },
	{ "CREATE TABLE p PARTITION OF s.t FOR VALUES IN (1)", "partition-of " AE " s.t" },
	{ "CREATE VIEW v AS SELECT 1", "" },
	{ "CREATE OR REPLACE VIEW s.v AS SELECT 1", BRIEF " s.v" },
	{ "CREATE SEQUENCE q", "" },
	{ "ALTER SEQUENCE s.q RESTART", "brief-lock " SRE " s.q" },
	{ "ALTER SEQUENCE q OWNED BY s.t.a", "brief-lock " SRE " q" },
	{ "ALTER DOMAIN d ADD CHECK (value > 0)", "add-check no lock - scans" },
	{ "ALTER DOMAIN d ADD CHECK (value > 0) NOT VALID", "" },
	{ "ALTER DOMAIN d VALIDATE CONSTRAINT c", "add-check no lock - scans" },
	{ "ALTER DOMAIN d SET NOT NULL", "add-check no lock - scans" },
	{ "ALTER DOMAIN d DROP NOT NULL", "" },
	{ "ALTER DOMAIN d DROP CONSTRAINT c", "" },
	{ "ALTER DOMAIN d SET DEFAULT 1", "" },
	{ "CREATE TRIGGER g AFTER INSERT ON s.t FOR EACH ROW EXECUTE FUNCTION f()", "trigger " SRE " s.t" },
	{ "CREATE POLICY p ON t USING (true)", BRIEF " t" },
	{ "CREATE RULE r AS ON INSERT TO t DO NOTHING", BRIEF " t" },
	{ "COMMENT ON TABLE t IS 'x'", "" },
	{ "GRANT SELECT ON t TO x", "" },
	{ "DO $$ BEGIN END $$", "not-classified no lock -" },
	{ "CALL p()", "not-classified no lock -" },
	{ "SELECT 1_000 FROM t WHERE", "not-classified no lock -" },
	/* what the file itself made nobody uses */
	{ "CREATE TABLE s.t (a int); CREATE INDEX ON s.t (a); ALTER TABLE s.t ADD b int; DROP TABLE s.t", "" },
	{ "CREATE TABLE t AS SELECT 1; CREATE INDEX ON t (a); CREATE INDEX ON s.t (a)", "create-index SHARE s.t scans" },
	{ "CREATE MATERIALIZED VIEW m AS SELECT 1; CREATE UNIQUE INDEX ON m (a)", "" },
	{ "CREATE TABLE s.t (a int); ALTER TABLE s.t RENAME TO u; DROP TABLE s.u", "" },
	{ "CREATE TABLE s.t (a int); ALTER TABLE s.t SET SCHEMA x; DROP TABLE x.t", "" },
	{ "CREATE VIEW s.v AS SELECT 1; CREATE OR REPLACE VIEW s.v AS SELECT 2; DROP VIEW s.v", "" },
	{ "CREATE SEQUENCE s.q; ALTER SEQUENCE s.q OWNED BY s.t.a; DROP SEQUENCE s.q", "" },
	/* what was there already is not made */
	{ "CREATE SEQUENCE IF NOT EXISTS s.q; DROP SEQUENCE s.q", "drop-relation " AE " s.q destroys" },
	{ "CREATE OR REPLACE VIEW s.v AS SELECT 1; DROP VIEW s.v", BRIEF " s.v, drop-relation " AE " s.v" },
	{ "CREATE TABLE IF NOT EXISTS s.t (a int); DROP TABLE s.t", "drop-table " AE " s.t destroys" },
	{ "CREATE TABLE IF NOT EXISTS s.t AS SELECT 1; DROP TABLE s.t", "drop-table " AE " s.t destroys" },
	{ "CREATE TABLE s.t (); ALTER TABLE s.t RENAME TO u; ALTER TABLE s.o RENAME TO t; DROP TABLE s.t",
	  "rename " AE " s.o, drop-table " AE " s.t destroys" },
	{ "CREATE TABLE s.n (); ALTER TABLE s.t RENAME TO o; ALTER TABLE s.n RENAME TO t; DROP TABLE s.t; DROP TABLE s.o",
	  "rename " AE " s.t, drop-table " AE " s.o destroys" },
	/* silenced */
	{ "-- dbreconcile:lint-ignore create-index\nCREATE INDEX ON t (a)", "" },
	{ "-- dbreconcile:lint-ignore\nDROP TABLE t; DROP TABLE u", "drop-table " AE " u destroys" },
	{ "-- dbreconcile:lint-ignore drop-table\nCREATE INDEX ON t (a)", "create-index SHARE t scans" },
	{ "-- dbreconcile:lint-ignore drop-column alter-type\nALTER TABLE t DROP a, ALTER b TYPE int, ALTER c SET NOT NULL", "set-not-null " AE " t scans" },
	{ "-- dbreconcile:lint-ignore drop-column\r\n-- dbreconcile:lint-ignore  alter-type \t\r\n\r\nALTER TABLE t DROP a, ALTER b TYPE int", "" },
	{ "-- dbreconcile:lint-ignore\n-- dbreconcile:lint-ignore drop-table\nDROP SCHEMA s", "" },
	{ "-- dbreconcile:lint-ignore drop\nDROP TABLE t", "drop-table " AE " t destroys" },
	{ "-- dbreconcile:lint-ignored\nDROP TABLE t", "drop-table " AE " t destroys" },
	{ "-- dbreconcile:lint-ignore drop-table\n-- said why\nDROP TABLE t", "drop-table " AE " t destroys" },
};

static void every_statement(void **state)
{
	unsigned bad = 0;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		void *mem = talloc_new(NULL);
		char *found = lint(mem, table[i].sql);

		if (strcmp(found, table[i].expected) != 0) {
			print_error("%s:\n  expected \"%s\"\n  found    \"%s\"\n", table[i].sql, table[i].expected, found);
			bad++;
		}
		talloc_free(mem);
	}
	assert_int_equal(bad, 0);
	assert_true(sizeof table / sizeof *table >= 80);
}

/* More than the tree can be read for is not passed over. */
static void what_is_nested_deeply(void **state)
{
	void *mem = talloc_new(NULL);
	struct text *sql = text_new(mem);

	(void)state;
	text_add(sql, "UPDATE t SET a = 0");
	for (unsigned i = 0; i < 2000; i++)
		text_add(sql, " + 1");
	assert_string_equal(lint(mem, sql->s), "not-classified no lock -");
	talloc_free(mem);
}

/* Twice as many statements take twice as long: the daemon does nothing else meanwhile. Half a minute, were each counted from the beginning. */
static void many_statements(void **state)
{
	void *mem = talloc_new(NULL);
	struct text *sql = text_new(mem);
	struct migration_file file = { .type = MIGRATION_VERSIONED, .version = "1", .description = "a", .script = "V1__a.sql", .transactional = true };
	struct migration_finding *v;
	uint32_t n;

	(void)state;
	for (unsigned i = 0; i < 20000; i++)
		text_addf(sql, "ALTER TABLE app.part_%u\n\tADD COLUMN c int;\n", i);
	file.text = sql->s;
	file.len = sql->len;
	assert_int_equal(migration_script_check(mem, &file), 0);
	assert_int_equal(migration_lint(mem, &file, lint_made_new(mem), &v, &n), 0);
	assert_int_equal(n, 20000);
	assert_int_equal(v[n - 1].line, 2 * n - 1);
	talloc_free(mem);
}

static void messages(void **state)
{
	static const char sql[] = "SELECT 1;\n\nALTER TABLE app.orders\n  ALTER a SET NOT NULL;\n";
	struct migration_file file = { .type = MIGRATION_VERSIONED, .version = "1", .description = "a", .script = "V1__a.sql", .text = sql,
				       .len = strlen(sql), .transactional = true };
	void *mem = talloc_new(NULL);
	struct migration_finding *v;
	uint32_t n;

	(void)state;
	assert_int_equal(migration_script_check(mem, &file), 0);
	assert_int_equal(migration_lint(mem, &file, lint_made_new(mem), &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v->statement, 1);
	assert_int_equal(v->line, 3);
	assert_string_equal(v->message, "ACCESS EXCLUSIVE on app.orders: blocks reads and writes; reads the whole table, unless a valid "
					"CHECK (... IS NOT NULL) says so already");
	talloc_free(mem);
}

/* "now = live" of each finding; live is what the database has to be asked for. */
static void renamed_relations(void **state)
{
	static const struct { const char *sql, *expected; } cases[] = {
		{ "DROP TABLE s.t; DROP TABLE u", "s.t = s.t, u = u" },
		{ "ALTER TABLE s.t RENAME TO o; DROP TABLE s.o", "s.t = s.t, s.o = s.t" },
		{ "ALTER TABLE t RENAME TO a; ALTER TABLE a RENAME TO b; ALTER TABLE b SET SCHEMA x; DROP TABLE x.b", "t = t, a = t, b = t, x.b = t" },
		{ "ALTER TABLE t RENAME a TO b; DROP TABLE b", "t = t, b = b" },
		{ "ALTER TABLE t RENAME CONSTRAINT a TO b; DROP TABLE b", "t = t, b = b" },
		{ "ALTER VIEW s.v RENAME TO w; DROP VIEW s.w", "s.v = s.v, s.w = s.v" },
		{ "ALTER TABLE a RENAME TO c; ALTER TABLE b RENAME TO a; ALTER TABLE c RENAME TO b; DROP TABLE a; DROP TABLE b",
		  "a = a, b = b, c = a, a = b, b = a" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		void *mem = talloc_new(NULL);
		struct migration_file file = { .type = MIGRATION_VERSIONED, .version = "1", .description = "a", .script = "V1__a.sql",
					       .text = cases[i].sql, .len = strlen(cases[i].sql), .transactional = true };
		struct migration_finding *v;
		struct text *out = text_new(mem);
		uint32_t n;

		assert_int_equal(migration_script_check(mem, &file), 0);
		assert_int_equal(migration_lint(mem, &file, lint_made_new(mem), &v, &n), 0);
		for (uint32_t k = 0; k < n; k++)
			text_addf(out, "%s%s%s%s = %s%s%s", k ? ", " : "", v[k].schema ? v[k].schema : "", v[k].schema ? "." : "", v[k].relation,
				  v[k].live_schema ? v[k].live_schema : "", v[k].live_schema ? "." : "", v[k].live_relation);
		assert_string_equal(out->s, cases[i].expected);
		talloc_free(mem);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(every_statement), cmocka_unit_test(what_is_nested_deeply), cmocka_unit_test(many_statements), cmocka_unit_test(messages),
					    cmocka_unit_test(renamed_relations) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
