/* SPDX-License-Identifier: PostgreSQL */
/* Checksums, what a script may hold, what of it is sent, and where a server's position is in it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <pg_query.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lexer.h"
#include "migrate/migration.h"

static int32_t checksum(const char *text)
{
	return migration_checksum(text, strlen(text));
}

static void checksums(void **state)
{
	(void)state;
	assert_int_equal(checksum("a\nb"), -1635563411);
	assert_int_equal(checksum("ab"), -1635563411);
	assert_int_equal(checksum("a\r\nb\r\n"), -1635563411);
	assert_int_equal(checksum("a\rb"), -1635563411);
	assert_int_equal(checksum("\xEF\xBB\xBF" "a\r\nb"), -1635563411);
	assert_int_equal(checksum("a\n\n\nb\n\n"), -1635563411);
	assert_int_not_equal(checksum("a \nb"), -1635563411);
	assert_int_not_equal(checksum("a\n\xEF\xBB\xBF" "b"), -1635563411);
	assert_int_equal(checksum(""), 0);
	assert_int_equal(checksum("\n\r\n"), 0);
	assert_int_equal(checksum("123456789"), (int32_t)0xCBF43926u);     /* CRC-32's own check value */
}

static struct migration_file *check(void *mem, const char *text)
{
	struct migration_file *file = talloc_zero(mem, struct migration_file);
	int r;

	file->text = text;
	file->len = strlen(text);
	file->script = "V1__x.sql";
	file->path = "/m/V1__x.sql";
	file->transactional = true;
	r = migration_script_check(file, file);
	assert_int_equal(r, error_is_set(&file->refused));
	return file;
}

static const struct {
	const char *text;
	unsigned line;              /* 0 = may run */
	const char *reason;
} scripts[] = {
	{ "", 0, NULL },
	{ "-- only a comment", 0, NULL },
	{ "create table t (a int);\ninsert into t values (1);", 0, NULL },
	/* transaction control */
	{ "BEGIN;", 1, "begin or end transactions" },
	{ "create table t();\nabort", 2, "begin or end transactions" },
	{ "select 1;\r\nselect 2;\r\nCoMmIt and chain;", 3, "begin or end transactions" },
	{ "select 1;\rabort;", 2, "begin or end transactions" },
	{ "end work;", 1, "begin or end transactions" },
	{ "start /* x */ transaction;", 1, "begin or end transactions" },
	{ "rollback;", 1, "begin or end transactions" },
	{ "ABORT", 1, "begin or end transactions" },
	{ "prepare transaction 'x'", 1, "begin or end transactions" },
	{ "/* /* */ commit; */ select 1", 0, NULL },
	{ "/*/ commit; */ select 1", 0, NULL },
	{ "-- commit;\nselect 1", 0, NULL },
	{ "-- x\rabort;", 2, "begin or end transactions" },
	{ "savepoint a; rollback to a; rollback work to savepoint a; release a", 0, NULL },
	{ "rollback and chain", 1, "begin or end transactions" },
	{ "prepare p as select 1; execute p; deallocate p", 0, NULL },
	{ "select 'x;commit;'", 0, NULL },
	{ "select 'it''s;commit;'", 0, NULL },
	{ "select '\\'; abort; --'", 1, "begin or end transactions" },
	{ "select E'\\'; commit; --'", 0, NULL },
	{ "select e'a'\n'\\'; commit; --'", 0, NULL },
	{ "select E'a' -- x\n  '\\'; commit; --'", 0, NULL },
	{ "select E'a' '\\'; abort; --'", 1, "begin or end transactions" },
	{ "select type'\\'; abort; --'", 1, "begin or end transactions" },
	{ "select U&'\\0041'; abort", 1, "begin or end transactions" },
	{ "select \"a;commit;\"\"\"", 0, NULL },
	{ "do $$ begin perform 1; commit; end $$", 0, NULL },
	{ "do $a$ $$ commit; $b$ $a$; select 1", 0, NULL },
	{ "select $1; abort", 1, "begin or end transactions" },
	{ "select a$b$c; commit; select a$b$c", 1, "begin or end transactions" },
	{ "select $ü$;commit;$ü$", 0, NULL },
	{ "create rule r as on insert to t do (delete from a; commit);", 0, NULL },
	{ "create function f() returns int begin atomic select 1; select case when true then 1 end; end; abort", 1, "begin or end" },
	{ "create or replace procedure p() begin atomic insert into t values (1); end;\nselect 1;\nend", 3, "begin or end" },
	{ "create table atomic_test (begin int, atomic int);\nabort", 2, "begin or end" },
	{ "create function f() returns int begin atomic select (case when (a) then 1 else (2) end); end", 0, NULL },
	/* strings */
	{ "set standard_conforming_strings = on;", 0, NULL },
	{ "SET standard_conforming_strings = 'on';", 0, NULL },
	{ "set local standard_conforming_strings to off;", 1, "standard_conforming_strings" },
	{ "select 1;\nSET standard_conforming_strings = 'off';", 2, "standard_conforming_strings" },
	/* outside a transaction */
	{ "create index i on t (concurrently)", 0, NULL },
	{ "reindex table t", 0, NULL },
	{ "analyze t", 0, NULL },
	{ "cluster t using i", 0, NULL },
	{ "alter database d set search_path = x", 0, NULL },
	{ "alter table a detach partition b", 0, NULL },
	{ "discard all", 1, "lock of the ledger" },
	{ "discard temp", 0, NULL },
	{ "alter type t add value 'x'", 0, NULL },
	{ "refresh materialized view concurrently v", 0, NULL },
	/* mixed, and the directive */
	{ "create table t (a int);\ncreate index concurrently i on t (a)", 2, "inside a transaction" },
	{ "vacuum;\nselect 1", 1, "inside a transaction" },
	{ "set search_path = x; vacuum; reset all", 0, NULL },
	{ "-- dbreconcile:transaction=false\ncreate table t (a int);\ncreate index concurrently i on t (a)", 0, NULL },
	{ "/* x */\n  --  dbreconcile: transaction = false  \nselect 1; vacuum", 0, NULL },
	{ "-- dbreconcile:transaction=true\nvacuum", 2, "transaction=true" },
	{ "-- dbreconcile:transaction=true\nselect 1", 0, NULL },
	{ "-- dbreconcile:transaction=true\n-- dbreconcile:transaction=true\nselect 1", 0, NULL },
	{ "-- dbreconcile:transaction=false\n-- dbreconcile:transaction=true\nselect 1", 2, "contradicts the one above" },
	{ "select 1;\n-- dbreconcile:transaction=false\nvacuum", 3, "inside a transaction" },
	{ "-- x\n-- dbreconcile:transaction=no\nselect 1", 2, "unknown directive" },
	{ "-- dbreconcile:transaction=false or so\nselect 1", 1, "unknown directive" },
	{ "-- dbreconcile:tx=false\nselect 1", 1, "unknown directive" },
	{ "-- dbreconcile is a program\nselect 1", 0, NULL },
	{ "-- dbreconcile:transaction=false\nbegin; select 1; commit", 2, "begin or end" },
	{ "-- dbreconcile:transaction=false\ncall p(); do $$ begin commit; end $$", 0, NULL },
	{ "select 1\n\\restrict x\n", 2, "psql" },
	/* its own transaction around the whole file */
	{ "-- c\nBEGIN;\nselect 1;\nsavepoint a; rollback to a;\nCOMMIT;\n-- end\n", 0, NULL },
	{ "start transaction; select 1; end work", 0, NULL },
	{ "begin transaction; commit transaction;;", 0, NULL },
	{ "begin;\ncopy t from stdin;\n1\n\\.\ncommit;", 0, NULL },
	{ "begin;\nselect 1;", 1, "begin or end" },
	{ "select 1;\nbegin; select 2; commit;", 2, "begin or end" },
	{ "begin isolation level serializable; select 1; commit", 1, "begin or end" },
	{ "begin;\nselect 1;\ncommit and chain;", 3, "begin or end" },
	{ "begin;\nselect 1;\nrollback;", 3, "begin or end" },
	{ "begin;\nbegin; commit;", 2, "begin or end" },
	{ "begin; select 1; commit;\nselect 2;", 2, "follows the COMMIT" },
	{ "begin; commit;\nbegin; commit;", 2, "follows the COMMIT" },
	{ "begin;\nvacuum;\ncommit;", 2, "inside a transaction" },
	{ "-- dbreconcile:transaction=true\nbegin; select 1; commit", 0, NULL },
	{ "-- c\nset client_min_messages = warning; reset role;\nbegin;\nselect 1;\ncommit;", 0, NULL },
	{ "set a = 1; select 1;\nbegin; commit;", 2, "begin or end" },
	{ "vacuum;\nbegin; commit;", 2, "begin or end" },
	/* the end of one alone, as the scripts of Quartz have it */
	{ "create table t();\ncommit", 0, NULL },
	{ "create table t();\nCOMMIT WORK;\n-- end\n;", 0, NULL },
	{ "commit", 0, NULL },
	{ "vacuum;\ncommit;", 0, NULL },
	{ "-- dbreconcile:transaction=true\nselect 1;\ncommit;", 0, NULL },
	{ "-- dbreconcile:transaction=false\nselect 1;\ncommit;", 3, "begin or end" },
	{ "select 1;\ncommit;\nselect 2;", 2, "begin or end" },
	{ "select 1;\ncommit;\ncommit;", 2, "begin or end" },
	{ "select 1;\ncommit;\nbegin;", 2, "begin or end" },
	{ "select 1;\ncommit;\nselect 'never closed", 3, "never closed" },
	{ "select 1;\nend;", 2, "begin or end" },
	/* psql */
	{ "\\restrict 5abcDEF\nselect 1;\n\\unrestrict 5abcDEF\n", 0, NULL },
	{ "\\set ON_ERROR_STOP on\nselect 1", 1, "psql" },
	{ "select 1;\n\\i other.sql", 2, "psql" },
	{ "select 1 \\gx", 1, "psql" },
	{ "select 1; \\restrict x", 1, "psql" },
	{ "\\restricted", 1, "psql" },
	{ "select '\\d'", 0, NULL },
	{ "copy t from stdin;\n1\tit's\n\\.\nselect 1;", 0, NULL },
	{ "copy t (a, b) from stdin with (format csv);\n\"x\n;commit;\n\\.\nabort;", 5, "begin or end" },
	{ "copy t from stdin;\n1", 1, "no end" },
	{ "copy t from stdin", 1, "no end" },
	{ "copy t from stdin; select 1;\n1\n\\.\n", 1, "on the line of COPY" },
	{ "select 1;\ncopy t to stdout;", 2, "nowhere" },
	{ "copy (select 1 from stdin) to '/x'", 0, NULL },
	/* what never ends */
	{ "select 1;\nselect 'abc;\n", 2, "never closed" },
	{ "select $$ abc", 1, "never closed" },
	{ "select \"abc", 1, "never closed" },
	{ "\n\n/* /* */", 3, "never ends" },
};

/* Statements that make a file run statement by statement: Flyway's list and what it misses (PreventInTransactionBlock). */
static const char *const outside[] = {
	"create index concurrently i on t (a)",
	"CREATE UNIQUE INDEX CONCURRENTLY ON t (a)",
	"drop index concurrently i",
	"reindex table concurrently t",
	"reindex (verbose, concurrently) index i",
	"reindex (verbose) database d",
	"reindex schema s",
	"vacuum",
	"vacuum (analyze) t",
	"cluster",
	"cluster verbose",
	"create database d",
	"drop database if exists d",
	"alter database d set tablespace t",
	"create tablespace t location '/x'",
	"drop tablespace t",
	"alter system set work_mem = '1MB'",
	"create subscription s connection 'x' publication p",
	"alter table \"a\".b detach partition c.\"d\" concurrently",
	"commit prepared 'x'",
	"rollback prepared 'x'",
};

static void hazard_what_cannot_run_in_a_transaction(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof outside / sizeof *outside; i++) {
		void *mem = talloc_new(NULL);
		struct migration_file *file = check(mem, outside[i]), *mixed;

		if (file->transactional || file->n_statements != 1 || file->statements[0].kind < SCRIPT_ONCE || error_is_set(&file->refused))
			fail_msg("%s: not seen as one that runs by itself", outside[i]);
		mixed = check(mem, talloc_asprintf(mem, "insert into t values (1);\n%s;", outside[i]));
		assert_int_equal(mixed->refused.line, 2);
		assert_non_null(strstr(mixed->refused.hint, "dbreconcile:transaction=false"));
		talloc_free(mem);
	}
}

static void each_script(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof scripts / sizeof *scripts; i++) {
		void *mem = talloc_new(NULL);
		struct migration_file *file = check(mem, scripts[i].text);
		const struct error *err = &file->refused;

		if (error_is_set(err) != (scripts[i].line > 0) || err->line != scripts[i].line ||
		    (scripts[i].reason && !strstr(err->text, scripts[i].reason)))
			fail_msg("%s\n  gave line %u: '%s', wanted line %u: '%s'", scripts[i].text, err->line, err->text, scripts[i].line,
				 scripts[i].reason ? scripts[i].reason : "");
		if (scripts[i].line) {
			assert_string_equal(err->file, "/m/V1__x.sql");
			assert_true(err->hint[0]);
		}
		talloc_free(mem);
	}
}

static void what_is_sent(void **state)
{
	void *mem = talloc_new(NULL);
	const char *text = "\\restrict xyz\ncopy t from stdin;\n1\tä'\r\n2\n\\.\ncopy t from stdin;\n\\.\nselect 'ü';";
	struct migration_file *file = check(mem, text);

	(void)state;
	assert_string_equal(file->sql, "             \ncopy t from stdin;\n    \r\n \n  \ncopy t from stdin;\n  \nselect 'ü';");
	assert_int_equal(utf8_count(file->sql, strlen(file->sql)), utf8_count(text, strlen(text)));
	assert_int_equal(file->n_copies, 2);
	assert_int_equal(file->copies[0].len, strlen("1\tä'\r\n2\n"));
	assert_memory_equal(file->copies[0].data, "1\tä'\r\n2\n", file->copies[0].len);
	assert_int_equal(file->copies[0].line, 3);
	assert_int_equal(file->copies[1].len, 0);
	assert_int_equal(file->copies[1].line, 7);
	assert_true(file->transactional);
	file = check(mem, "select 1");
	assert_ptr_equal(file->sql, file->text);
	assert_false(check(mem, "vacuum")->transactional);
	file = check(mem, "-- ä\nBEGIN /* x */ WORK;\nselect 1;\nCOMMIT;\n-- end");
	assert_string_equal(file->sql, "-- ä\n                   \nselect 1;\n       \n-- end");
	assert_true(file->transactional && file->n_statements == 1);
	file = check(mem, "select 1;\nCOMMIT;\n-- end");
	assert_string_equal(file->sql, "select 1;\n       \n-- end");
	assert_true(file->transactional && file->n_statements == 1);
	file = check(mem, "set a = 1;\nbegin;\nselect 1;\ncommit;");
	assert_string_equal(file->sql, "set a = 1;\n      \nselect 1;\n       ");
	assert_true(file->transactional && file->n_statements == 2);
	file = check(mem, "vacuum;\ncommit;");
	assert_true(!file->transactional && file->n_statements == 1);
	talloc_free(mem);
}

static void is_cut(struct migration_file *file, unsigned i, const char *text, enum script_kind kind)
{
	assert_true(i < file->n_statements);
	assert_int_equal(file->statements[i].len, strlen(text));
	assert_memory_equal(file->text + file->statements[i].start, text, strlen(text));
	assert_int_equal(file->statements[i].kind, kind);
}

static void statements_are_cut(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file *file = check(mem, "-- dbreconcile:transaction=false\nset search_path = a;; -- x;\n"
		"create function f() returns int begin atomic select 1; select case when true then 2 end; end;\n"
		"copy t from stdin;\n1;\n\\.\n"
		"create rule r as on insert to t do (delete from a; delete from b); create table atomic_test (a int);"
		"Create Unique Index Concurrently i on t (a) ; copy t from stdin;\n2\n\\.\ncall p(';'); create temp table x ()");

	(void)state;
	assert_false(file->transactional);
	assert_int_equal(file->n_statements, 9);
	is_cut(file, 0, "set search_path = a", SCRIPT_SESSION);
	is_cut(file, 1, "create function f() returns int begin atomic select 1; select case when true then 2 end; end", SCRIPT_ORDINARY);
	is_cut(file, 2, "copy t from stdin", SCRIPT_ORDINARY);
	is_cut(file, 3, "create rule r as on insert to t do (delete from a; delete from b)", SCRIPT_ORDINARY);
	is_cut(file, 4, "create table atomic_test (a int)", SCRIPT_ORDINARY);
	is_cut(file, 5, "Create Unique Index Concurrently i on t (a) ", SCRIPT_CREATE_INDEX);
	is_cut(file, 6, "copy t from stdin", SCRIPT_ORDINARY);
	is_cut(file, 7, "call p(';')", SCRIPT_ONCE);
	is_cut(file, 8, "create temp table x ()", SCRIPT_TEMPORARY);
	assert_true(file->statements[5].patient);
	assert_int_equal(file->statements[2].copies, 0);
	assert_int_equal(file->statements[6].copies, 1);
	talloc_free(mem);
}

static void positions(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file *file = check(mem, "-- äöü\r\nselect\r\n  ßx;\rlast");
	unsigned line, column;
	char *text;

	(void)state;
	assert_true(migration_position(mem, file, 1, &line, &column, &text));
	assert_int_equal(line * 100 + column, 101);
	assert_string_equal(text, "-- äöü");
	assert_true(migration_position(mem, file, 20, &line, &column, &text));   /* the x behind ß */
	assert_int_equal(line * 100 + column, 304);
	assert_string_equal(text, "  ßx;");
	assert_true(migration_position(mem, file, 23, &line, &column, &text));
	assert_int_equal(line * 100 + column, 401);
	assert_true(migration_position(mem, file, 27, &line, &column, &text));   /* end of input */
	assert_int_equal(line * 100 + column, 405);
	assert_false(migration_position(mem, file, 28, &line, &column, &text));
	assert_false(migration_position(mem, file, 0, &line, &column, &text));
	file = check(mem, ";; -- nothing\n;select 1;\n(select 2); /* x */ ;\ncopy t from stdin;\n1;2;3\n\\.\ninsert into t\n values (1)");
	assert_int_equal(file->n_statements, 4);
	assert_true(migration_statement(mem, file, 1, &line, &text));
	assert_int_equal(line, 3);
	assert_true(migration_statement(mem, file, 3, &line, &text));
	assert_int_equal(line, 7);
	assert_string_equal(text, "insert into t");
	assert_false(migration_statement(mem, file, 4, &line, &text));
	talloc_free(mem);
}

/* One varint of a protobuf message. */
static uint64_t varint(const unsigned char **p, const unsigned char *end)
{
	uint64_t value = 0;

	for (unsigned shift = 0; *p < end; shift += 7) {
		unsigned char c = *(*p)++;

		value |= (uint64_t)(c & 127) << shift;
		if (c < 128)
			break;
	}
	return value;
}

/* Offsets of the ';', '(' and ')' that PostgreSQL's own scanner finds: ScanResult { tokens = 2: { start = 1, end = 2, token = 4 } }. */
static void their_marks(const char *sql, struct text *out)
{
	PgQueryScanResult result = pg_query_scan(sql);
	const unsigned char *p = (const unsigned char *)result.pbuf.data, *end = p + result.pbuf.len;

	if (result.error)
		fail_msg("libpg_query cannot scan %s: %s", sql, result.error->message);
	while (p < end) {
		uint64_t tag = varint(&p, end), value = varint(&p, end);
		const unsigned char *stop = p + value;
		uint64_t fields[8] = { 0 };

		if (tag != (2 << 3 | 2))
			continue;
		while (p < stop) {
			uint64_t field = varint(&p, stop) >> 3;

			fields[field & 7] = varint(&p, stop);
		}
		if (fields[4] == ';' || fields[4] == '(' || fields[4] == ')')
			text_addf(out, "%u%c ", (unsigned)fields[1], (int)fields[4]);
	}
	pg_query_free_scan_result(result);
}

static void our_marks(const char *sql, struct text *out)
{
	struct lexer lexer = { sql, strlen(sql), 0 };
	struct token token;

	while ((token = lexer_next(&lexer)).kind != TOKEN_END)
		if (token.kind == TOKEN_SYMBOL && strchr(";()", sql[token.start]))
			text_addf(out, "%u%c ", (unsigned)token.start, sql[token.start]);
}

/* Random text of the pieces that make SQL hard to cut, where PostgreSQL's scanner and ours must agree. */
static void same_as_postgresql(void **state)
{
	static const char *const pieces[] = { "'", "''", "\"", "$$", "$a$", "$a", "E'", "e'", "U&'", "B'", "X'", "N'", "\\", "\\'", "--", "/*", "*/", "/*/",
					      "\n", "\r", " ", ";", "(", ")", "a", "ä", "1", ".", "$1", "+", "*", "=", "e", "x", "\t", "begin", "1e5", "a$" };
	unsigned seed = 1, compared = 0;

	(void)state;
	for (unsigned round = 0; round < 60000; round++) {
		void *mem = talloc_new(NULL);
		struct text *sql = text_new(mem), *ours = text_new(mem), *theirs = text_new(mem);
		PgQueryScanResult probe;

		for (unsigned i = 0; i < 3 + round % 10; i++) {
			seed = seed * 1103515245u + 12345u;
			text_add(sql, pieces[(seed >> 16) % (sizeof pieces / sizeof *pieces)]);
		}
		probe = pg_query_scan(sql->s);
		if (!probe.error) {
			compared++;
			our_marks(sql->s, ours);
			their_marks(sql->s, theirs);
			if (strcmp(ours->s, theirs->s))
				fail_msg("%s\n ours: %s\n theirs: %s", sql->s, ours->s, theirs->s);
		}
		pg_query_free_scan_result(probe);
		talloc_free(mem);
	}
	assert_true(compared > 10000);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(checksums),
		cmocka_unit_test(each_script),
		cmocka_unit_test(hazard_what_cannot_run_in_a_transaction),
		cmocka_unit_test(statements_are_cut),
		cmocka_unit_test(what_is_sent),
		cmocka_unit_test(positions),
		cmocka_unit_test(same_as_postgresql),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
