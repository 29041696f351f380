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
	{ "create table t();\ncommit", 2, "begin or end transactions" },
	{ "select 1;\r\nselect 2;\r\nCoMmIt and chain;", 3, "begin or end transactions" },
	{ "select 1;\rcommit;", 2, "begin or end transactions" },
	{ "end work;", 1, "begin or end transactions" },
	{ "start /* x */ transaction;", 1, "begin or end transactions" },
	{ "rollback;", 1, "begin or end transactions" },
	{ "ABORT", 1, "begin or end transactions" },
	{ "prepare transaction 'x'", 1, "begin or end transactions" },
	{ "/* /* */ commit; */ select 1", 0, NULL },
	{ "/*/ commit; */ select 1", 0, NULL },
	{ "-- commit;\nselect 1", 0, NULL },
	{ "-- x\rcommit;", 2, "begin or end transactions" },
	{ "savepoint a; rollback to a; rollback work to savepoint a; release a", 0, NULL },
	{ "rollback and chain", 1, "begin or end transactions" },
	{ "prepare p as select 1; execute p; deallocate p", 0, NULL },
	{ "select 'x;commit;'", 0, NULL },
	{ "select 'it''s;commit;'", 0, NULL },
	{ "select '\\'; commit; --'", 1, "begin or end transactions" },
	{ "select E'\\'; commit; --'", 0, NULL },
	{ "select e'a'\n'\\'; commit; --'", 0, NULL },
	{ "select E'a' -- x\n  '\\'; commit; --'", 0, NULL },
	{ "select E'a' '\\'; commit; --'", 1, "begin or end transactions" },
	{ "select type'\\'; commit; --'", 1, "begin or end transactions" },
	{ "select U&'\\0041'; commit", 1, "begin or end transactions" },
	{ "select \"a;commit;\"\"\"", 0, NULL },
	{ "do $$ begin perform 1; commit; end $$", 0, NULL },
	{ "do $a$ $$ commit; $b$ $a$; select 1", 0, NULL },
	{ "select $1; commit", 1, "begin or end transactions" },
	{ "select a$b$c; commit; select a$b$c", 1, "begin or end transactions" },
	{ "select $ü$;commit;$ü$", 0, NULL },
	{ "create rule r as on insert to t do (delete from a; commit);", 0, NULL },
	{ "create function f() returns int begin atomic select 1; select case when true then 1 end; end; commit", 1, "begin or end" },
	{ "create or replace procedure p() begin atomic insert into t values (1); end;\nselect 1;\nend", 3, "begin or end" },
	{ "create table atomic_test (begin int, atomic int);\ncommit", 2, "begin or end" },
	{ "create function f() returns int begin atomic select (case when (a) then 1 else (2) end); end", 0, NULL },
	/* strings */
	{ "set standard_conforming_strings = on;", 0, NULL },
	{ "SET standard_conforming_strings = 'on';", 0, NULL },
	{ "set local standard_conforming_strings to off;", 1, "standard_conforming_strings" },
	{ "select 1;\nSET standard_conforming_strings = 'off';", 2, "standard_conforming_strings" },
	/* outside a transaction */
	{ "create index concurrently i on t (a)", 1, "inside a transaction" },
	{ "CREATE UNIQUE INDEX CONCURRENTLY ON t (a)", 1, "inside a transaction" },
	{ "create index i on t (concurrently)", 0, NULL },
	{ "drop index concurrently i", 1, "inside a transaction" },
	{ "reindex table concurrently t", 1, "inside a transaction" },
	{ "reindex (verbose, concurrently) index i", 1, "inside a transaction" },
	{ "reindex table t", 0, NULL },
	{ "reindex (verbose) database d", 1, "inside a transaction" },
	{ "reindex schema s", 1, "inside a transaction" },
	{ "vacuum", 1, "inside a transaction" },
	{ "vacuum (analyze) t", 1, "inside a transaction" },
	{ "analyze t", 0, NULL },
	{ "cluster", 1, "inside a transaction" },
	{ "cluster verbose", 1, "inside a transaction" },
	{ "cluster t using i", 0, NULL },
	{ "create database d", 1, "inside a transaction" },
	{ "drop database if exists d", 1, "inside a transaction" },
	{ "alter database d set tablespace t", 1, "inside a transaction" },
	{ "alter database d set search_path = x", 0, NULL },
	{ "create tablespace t location '/x'", 1, "inside a transaction" },
	{ "drop tablespace t", 1, "inside a transaction" },
	{ "alter system set work_mem = '1MB'", 1, "inside a transaction" },
	{ "create subscription s connection 'x' publication p", 1, "inside a transaction" },
	{ "alter table \"a\".b detach partition c.\"d\" concurrently", 1, "inside a transaction" },
	{ "alter table a detach partition b", 0, NULL },
	{ "commit prepared 'x'", 1, "inside a transaction" },
	{ "rollback prepared 'x'", 1, "inside a transaction" },
	{ "discard all", 1, "inside a transaction" },
	{ "discard temp", 0, NULL },
	{ "alter type t add value 'x'", 0, NULL },
	{ "refresh materialized view concurrently v", 0, NULL },
	/* psql */
	{ "\\restrict 5abcDEF\nselect 1;\n\\unrestrict 5abcDEF\n", 0, NULL },
	{ "\\set ON_ERROR_STOP on\nselect 1", 1, "psql" },
	{ "select 1;\n\\i other.sql", 2, "psql" },
	{ "select 1 \\gx", 1, "psql" },
	{ "select 1; \\restrict x", 1, "psql" },
	{ "\\restricted", 1, "psql" },
	{ "select '\\d'", 0, NULL },
	{ "copy t from stdin;\n1\tit's\n\\.\nselect 1;", 0, NULL },
	{ "copy t (a, b) from stdin with (format csv);\n\"x\n;commit;\n\\.\ncommit;", 5, "begin or end" },
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
	assert_non_null(check(mem, "select '${schema}'")->note);
	assert_null(check(mem, "select '${}', '$ {a}', '${a b}'")->note);
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
		cmocka_unit_test(what_is_sent),
		cmocka_unit_test(positions),
		cmocka_unit_test(same_as_postgresql),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
