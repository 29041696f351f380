/* SPDX-License-Identifier: PostgreSQL */
/* Placeholders and side files: what runs, what it is called in the ledger, and where an error is said to be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/migration.h"

static const struct migration_placeholder values[] = { { "Schema", "app" }, { "empty", "" }, { "long_name", "x" }, { "wide", "größer" },
						       { "flyway:user", "migrator" }, { "flyway:timestamp", "2026-11-21 00:00:00" } };
static const struct migration_view view = { .placeholders = values, .n = sizeof values / sizeof *values, .prefix = "${", .suffix = "}",
					    .replace = true, .tolerate = MIGRATION_TOLERATE_FUTURE };

static struct migration_file *render(void *mem, struct migration_file file, const char *text)
{
	struct migration_files *raw = talloc_zero(mem, struct migration_files), *seen;

	file.text = text;
	file.len = strlen(text);
	file.path = "/m/sub/V1__a.sql";
	file.script = "sub/V1__a.sql";
	file.checksum = migration_checksum(text, strlen(text));
	file.transactional = true;
	raw->tolerate = MIGRATION_TOLERATE_FUTURE;
	raw->v = talloc_memdup(raw, &file, sizeof file);
	raw->n = 1;
	assert_int_equal(migration_script_check(raw, raw->v), 0);
	assert_int_equal(migration_files_render(mem, raw, &view, &seen), 0);
	return seen->v;
}

static const struct migration_file versioned = { .type = MIGRATION_VERSIONED, .version = "1", .description = "a" };
static const struct migration_file repeatable = { .type = MIGRATION_REPEATABLE, .description = "a" };

static void values_are_put_in(void **state)
{
	static const char *const texts[][2] = {
		{ "select 1", "select 1" },
		{ "create table ${schema}.t ()", "create table app.t ()" },
		{ "${SCHEMA}${sChEmA}", "appapp" },
		{ "select '${empty}', \"${long_name}\" -- ${schema}\n", "select '', \"x\" -- app\n" },
		{ "$$ ${schema} $$ $ {x} $1 {schema}", "$$ app $$ $ {x} $1 {schema}" },
		{ "select '${flyway:USER}', '${flyway:filename}', '${flyway:timestamp}'", "select 'migrator', 'V1__a.sql', '2026-11-21 00:00:00'" },
		{ "select '${wide}'", "select 'größer'" },
	};
	void *mem = talloc_new(NULL);

	(void)state;
	for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
		struct migration_file *file = render(mem, versioned, texts[i][0]);

		assert_string_equal(file->text, texts[i][1]);
		assert_int_equal(file->len, strlen(texts[i][1]));
		assert_string_equal(file->sql, texts[i][1]);
		assert_false(error_is_set(&file->refused));
		assert_int_equal(file->checksum, migration_checksum(texts[i][0], strlen(texts[i][0])));
	}
	talloc_free(mem);
}

static void a_repeatable_is_its_text_with_the_values(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file *file = render(mem, repeatable, "select '${schema}'");

	(void)state;
	assert_int_equal(file->checksum, migration_checksum("select 'app'", 12));
	assert_int_equal(file->raw_checksum, migration_checksum("select '${schema}'", 18));
	talloc_free(mem);
}

static void what_has_no_value_is_refused_with_its_line(void **state)
{
	static const struct { const char *text; unsigned line; const char *why; } bad[] = {
		{ "select 1;\nselect '${nobody}'", 2, "placeholder ${nobody}: there is no value for it" },
		{ "a\r\nb\r\n  ${x y}", 3, "placeholder ${x y}: there is no value" },
		{ "select 1 -- ${schema} ${\n}", 1, "does not end on this line" },
		{ "${", 1, "does not end" },
	};
	void *mem = talloc_new(NULL);
	struct migration_file *file;

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		file = render(mem, versioned, bad[i].text);
		assert_true(error_is_set(&file->refused));
		assert_non_null(strstr(file->refused.text, bad[i].why));
		assert_int_equal(file->refused.line, bad[i].line);
		assert_string_equal(file->refused.file, "/m/sub/V1__a.sql");
		assert_non_null(strstr(file->refused.hint, "migrations.placeholders"));
		assert_string_equal(file->text, bad[i].text);
	}
	file = render(mem, repeatable, "select '${flyway:timestamp}'");
	assert_non_null(strstr(file->refused.text, "would run in every pass"));
	talloc_free(mem);
}

static void a_verbatim_file_stays(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file file = versioned;

	(void)state;
	file.verbatim = true;
	assert_string_equal(render(mem, file, "select '${schema} ${nobody}'")->text, "select '${schema} ${nobody}'");
	talloc_free(mem);
}

/* Where the server points is where it is in the file, in characters. */
static void positions_are_those_of_the_file(void **state)
{
	static const char text[] = "select '${wide}';\r\nselect '${long_name}ä', ${schema}.x, nonsense;\n";
	void *mem = talloc_new(NULL);
	struct migration_file *file = render(mem, versioned, text);
	const char *at = strstr(file->text, "nonsense");
	unsigned line, column, position = 1;
	char *shown;

	(void)state;
	for (const char *p = file->text; p < at; p++)
		position += ((unsigned char)*p & 0xC0) != 0x80;
	assert_true(migration_position(mem, file, position, &line, &column, &shown));
	assert_int_equal(line, 2);
	assert_int_equal(column, 1 + (int)strlen("select '${long_name}a', ${schema}.x, "));
	assert_string_equal(shown, "select '${long_name}ä', ${schema}.x, nonsense;");
	/* inside of a value: where the placeholder begins */
	assert_true(migration_position(mem, file, (unsigned)strlen("select 'gr"), &line, &column, &shown));
	assert_int_equal(line, 1);
	assert_int_equal(column, 9);
	assert_true(migration_statement(mem, file, 1, &line, &shown));
	assert_int_equal(line, 2);
	assert_non_null(strstr(shown, "${long_name}"));
	talloc_free(mem);
}

static void mismatches_are_explained(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file *file = render(mem, versioned, "a\r\nb ${schema}\n\n");

	(void)state;
	assert_string_equal(migration_checksum_explain(file, migration_checksum("a\nb app\n", 8)),
			    "only placeholders differ: the ledger has the text with their values");
	assert_null(migration_checksum_explain(file, 12345));
	/* sums over line ends: Flyway before 4.0.1, and tools that hash bytes with the same polynomial */
	assert_string_equal(migration_checksum_explain(file, 1666346126), "only line ends differ");
	talloc_free(mem);
}

static void side_files(void **state)
{
	static const struct { const char *text; int r; unsigned line; const char *why; } table[] = {
		{ "", 0, 0, NULL },
		{ "# a comment\n! another\n\n  executeInTransaction = false \r\n", 0, 0, NULL },
		{ "encoding=utf-8\nplaceholderReplacement:false\nshouldExecute=true", 0, 0, NULL },
		{ "executeInTransaction=maybe", 1, 1, "neither true nor false" },
		{ "\nexecuteinTransaction=true", 1, 2, "unknown key" },
		{ "encoding=ISO-8859-1", 1, 1, "only UTF-8" },
		{ "shouldExecute=false", 1, 1, "not supported" },
		{ "shouldExecute=${env}==prod", 1, 1, "neither true nor false" },
		{ "executeInTransaction", 1, 1, "without '='" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		struct migration_file file = { 0 };
		struct error err = { 0 };

		assert_int_equal(migration_side_file(&file, "V1__a.sql.conf", table[i].text, strlen(table[i].text), &err), table[i].r);
		if (!table[i].r)
			continue;
		assert_int_equal(err.line, table[i].line);
		assert_non_null(strstr(err.text, table[i].why));
		assert_string_equal(err.file, "V1__a.sql.conf");
	}
	struct migration_file file = { 0 };
	struct error err = { 0 };

	assert_int_equal(migration_side_file(&file, "c", table[1].text, strlen(table[1].text), &err), 0);
	assert_int_equal(file.side, SIDE_FALSE);
	assert_int_equal(migration_side_file(&file, "c", table[2].text, strlen(table[2].text), &err), 0);
	assert_true(file.verbatim);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values_are_put_in), cmocka_unit_test(a_repeatable_is_its_text_with_the_values),
		cmocka_unit_test(what_has_no_value_is_refused_with_its_line), cmocka_unit_test(a_verbatim_file_stays),
		cmocka_unit_test(positions_are_those_of_the_file), cmocka_unit_test(mismatches_are_explained), cmocka_unit_test(side_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
