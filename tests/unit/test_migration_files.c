/* SPDX-License-Identifier: PostgreSQL */
/* Reading directories: what is taken, what is left alone, and every error at once with its file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/migration.h"

struct fixture {
	char *dir;
	struct migration_files *files;
	struct error *errs;
	uint32_t n_errs;
};

static void put_mode(struct fixture *f, const char *name, const void *bytes, size_t len, mode_t mode)
{
	char *path = talloc_asprintf(f, "%s/%s", f->dir, name);
	FILE *out;

	for (char *p = strchr(path + strlen(f->dir) + 1, '/'); p; p = strchr(p + 1, '/')) {
		*p = '\0';
		mkdir(path, 0755);
		*p = '/';
	}
	out = fopen(path, "wb");
	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	fclose(out);
	assert_int_equal(chmod(path, mode), 0);
}

static void put(struct fixture *f, const char *name, const char *text)
{
	put_mode(f, name, text, strlen(text), 0644);
}

static int read_it(struct fixture *f)
{
	const char *dirs[] = { f->dir };

	f->files = NULL;
	f->errs = NULL;
	f->n_errs = 0;
	return migration_files_read(f, dirs, 1, &f->files, &f->errs, &f->n_errs);
}

static const struct error *find_error(const struct fixture *f, const char *file, const char *text)
{
	for (uint32_t i = 0; i < f->n_errs; i++)
		if (strstr(f->errs[i].file, file) && strstr(f->errs[i].text, text))
			return &f->errs[i];
	for (uint32_t i = 0; i < f->n_errs; i++)
		print_error("%s: %s\n", f->errs[i].file, f->errs[i].text);
	fail_msg("no error about %s with '%s'", file, text);
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	const char *tmp = getenv("TMPDIR");

	f->dir = talloc_asprintf(f, "%s/dbr-files-XXXXXX", tmp && *tmp ? tmp : "/tmp");
	if (!mkdtemp(f->dir) || chmod(f->dir, 0755))
		return -1;
	*state = f;
	return 0;
}

static void remove_tree(void *mem, const char *path)
{
	static const char *const names[] = { "sub/V1.5__c.sql", "sub/.hidden.sql", "sub/2/3/4/5/V2__b.sql", "sub/2/3/4/5", "sub/2/3/4/V1__d.sql",
					     "sub/2/3/4", "sub/2/3", "sub/2", "sub", NULL };

	for (const char *const *name = names; *name; name++)
		remove(talloc_asprintf(mem, "%s/%s", path, *name));
}

static int teardown(void **state)
{
	static const char *const names[] = { "V2__b.sql", "V10__a.sql", "V1__d.sql", "R__z.sql", "R__a.sql", "README.md", "U1__d.sql", "U10__a.sql", "U2__b.sql", "U02__again.sql",
					     "U3__alone.sql", "U3__alone.sql.conf", "beforeMigrate.sql",
					     ".hidden.sql", "V1__d.sql.conf", "V1__bom.sql", "bad.sql", "V01__other.sql", "V2__nul.sql", "V3__latin1.sql",
					     "V4__open.sql", "V5__fifo.sql", "V6__link.sql", "V7__dangling.sql", "R__same.sql", "V8__commit.sql", NULL };
	struct fixture *f = *state;

	remove_tree(f, f->dir);
	for (const char *const *name = names; *name; name++)
		remove(talloc_asprintf(f, "%s/%s", f->dir, *name));
	assert_int_equal(rmdir(f->dir), 0);
	talloc_free(f);
	return 0;
}

static void order_and_warnings(void **state)
{
	static const char *const order[] = { "V1__d.sql", "sub/V1.5__c.sql", "V2__b.sql", "V10__a.sql", "R__a.sql", "R__z.sql" };
	struct fixture *f = *state;

	put(f, "V10__a.sql", "select 10;");
	put(f, "V2__b.sql", "\xEF\xBB\xBFselect 2;\r\n");
	put(f, "V1__d.sql", "");
	put(f, "sub/V1.5__c.sql", "select 15");
	put(f, "R__z.sql", "select 1");
	put(f, "R__a.sql", "select 1");
	put(f, "README.md", "no");
	put(f, "V1__d.sql.conf", "executeInTransaction=true");
	put(f, "U1__d.sql", "drop table t");
	put(f, "beforeMigrate.sql", "select 1");
	put(f, ".hidden.sql", "select 1");
	put(f, "sub/.hidden.sql", "select 1");
	assert_int_equal(read_it(f), 0);
	assert_int_equal(f->files->n, 6);
	for (uint32_t i = 0; i < 6; i++)
		assert_string_equal(f->files->v[i].script, order[i]);
	assert_string_equal(f->files->v[2].text, "select 2;\r\n");         /* the mark is not sent */
	assert_int_equal(f->files->v[2].checksum, migration_checksum("select 2;", 9));
	assert_int_equal(f->files->v[0].checksum, 0);
	assert_int_equal(f->files->n_warnings, 1);
	assert_non_null(strstr(f->files->warnings[0], "beforeMigrate.sql"));
	assert_int_equal(f->files->n_undo, 1);
	assert_string_equal(f->files->undo[0].text, "drop table t");
}

/* What is wrong with one is said, and keeps nothing else from running. */
static void undo_files(void **state)
{
	static const char *const files[] = { "V1__d.sql", "V2__b.sql", "V10__a.sql", "U10__a.sql", "U2__b.sql", "U02__again.sql", "U3__alone.sql" };
	struct fixture *f = *state;
	const struct migration_file *undo;

	for (size_t i = 0; i < sizeof files / sizeof *files; i++)
		put(f, files[i], "select 1");
	put(f, "U3__alone.sql.conf", "executeInTransaction=false");
	put_mode(f, "U1__d.sql", "drop\0 table", 11, 0644);
	assert_int_equal(read_it(f), 0);
	assert_int_equal(f->files->n, 3);
	assert_int_equal(f->files->n_undo, 5);
	undo = f->files->undo;
	assert_string_equal(undo[0].version, "1");
	assert_string_equal(undo[0].refused.text, "a NUL byte");
	assert_non_null(strstr(undo[1].refused.text, "two undo files") ? strstr(undo[2].refused.text, "two undo files") : NULL);
	assert_non_null(strstr(undo[1].refused.text, undo[2].path));
	assert_string_equal(undo[3].version, "3");
	assert_false(undo[3].transactional);
	assert_false(error_is_set(&undo[3].refused));
	assert_string_equal(undo[4].version, "10");
	assert_true(undo[4].transactional && !error_is_set(&undo[4].refused));
	assert_int_equal(f->files->n_warnings, 4);
	assert_non_null(strstr(f->files->warnings[0], "U1__d.sql: it cannot undo anything: a NUL byte"));
	assert_non_null(strstr(f->files->warnings[3], "U3__alone.sql: it cannot undo anything: there is no V file of its version"));
}

static void every_error_at_once(void **state)
{
	struct fixture *f = *state;

	put(f, "V1__d.sql", "select 1");
	put(f, "V01__other.sql", "select 1");
	put(f, "bad.sql", "select 1");
	put_mode(f, "V2__nul.sql", "select 1;\nselect\0 2;", 19, 0644);
	put(f, "V3__latin1.sql", "select 1;\n\nselect '\xE4';");
	put_mode(f, "V4__open.sql", "select 1", 8, 0664);
	assert_int_equal(mkfifo(talloc_asprintf(f, "%s/V5__fifo.sql", f->dir), 0644), 0);
	assert_int_equal(symlink("nowhere", talloc_asprintf(f, "%s/V7__dangling.sql", f->dir)), 0);
	assert_int_equal(read_it(f), 1);
	assert_null(f->files);
	assert_int_equal(f->n_errs, 7);
	assert_non_null(strstr(find_error(f, "V1__d.sql", "twice")->text, "V01__other.sql"));
	assert_non_null(strstr(find_error(f, "bad.sql", "file name 'bad.sql'")->hint, "V<version>__<description>.sql"));
	assert_int_equal(find_error(f, "V2__nul.sql", "NUL")->line, 2);
	assert_int_equal(find_error(f, "V3__latin1.sql", "not UTF-8")->line, 3);
	assert_non_null(strstr(find_error(f, "V4__open.sql", "group can write")->hint, "chmod go-w"));
	find_error(f, "V5__fifo.sql", "regular");
	find_error(f, "V7__dangling.sql", "No such file");
}

static void links_are_followed(void **state)
{
	struct fixture *f = *state;

	put(f, ".hidden.sql", "select 6");        /* as a mounted ConfigMap has it */
	assert_int_equal(symlink(".hidden.sql", talloc_asprintf(f, "%s/V6__link.sql", f->dir)), 0);
	assert_int_equal(read_it(f), 0);
	assert_int_equal(f->files->n, 1);
	assert_string_equal(f->files->v[0].sql, "select 6");
}

static void folders_have_a_depth(void **state)
{
	struct fixture *f = *state;

	put(f, "sub/2/3/4/V1__d.sql", "select 1");
	assert_int_equal(read_it(f), 0);
	assert_int_equal(f->files->n, 1);
	assert_string_equal(f->files->v[0].script, "sub/2/3/4/V1__d.sql");
	put(f, "sub/2/3/4/5/V2__b.sql", "select 2");
	assert_int_equal(read_it(f), 1);
	assert_int_equal(f->n_errs, 1);
	find_error(f, "/sub/2/3/4/5", "more than 4 folders deep");
}

static void directory_that_others_can_write(void **state)
{
	struct fixture *f = *state;

	put(f, "V1__d.sql", "select 1");
	assert_int_equal(chmod(f->dir, 0777), 0);
	assert_int_equal(read_it(f), 1);
	assert_int_equal(f->n_errs, 1);
	assert_non_null(strstr(f->errs[0].text, "everybody can write it"));
	assert_int_equal(chmod(f->dir, 0755), 0);
	assert_int_equal(read_it(f), 0);
}

static void missing_directory(void **state)
{
	struct fixture *f = *state, other = { .dir = talloc_asprintf(f, "%s/none", f->dir) };
	const char *dirs[] = { other.dir };

	assert_int_equal(migration_files_read(f, dirs, 1, &f->files, &f->errs, &f->n_errs), 1);
	assert_non_null(strstr(f->errs[0].file, "/none"));
	assert_non_null(strstr(f->errs[0].text, "No such file"));
}

static void refusal_waits_for_pending(void **state)
{
	struct fixture *f = *state;

	put(f, "V8__commit.sql", "select 1;\ncommit;\nselect 2;");
	assert_int_equal(read_it(f), 0);
	assert_int_equal(f->files->v[0].refused.line, 2);
	assert_non_null(strstr(f->files->v[0].refused.file, "V8__commit.sql"));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(order_and_warnings), TEST(undo_files), TEST(every_error_at_once), TEST(links_are_followed),
		TEST(folders_have_a_depth), TEST(directory_that_others_can_write), TEST(missing_directory), TEST(refusal_waits_for_pending),
	};

	umask(022);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
