/* SPDX-License-Identifier: PostgreSQL */
/* Ledgers of other tools: their files, their rows, and what is said of the two. */
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

#include "base/text.h"
#include "migrate/foreign.h"

struct fixture {
	void *mem;
	char *dir;
	struct migration_files *files;
	struct error *errs;
	uint32_t n_errs;
};

static int setup(void **state)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	char template[] = "/tmp/dbreconcile-foreign-XXXXXX";

	f->mem = f;
	f->dir = talloc_strdup(f, mkdtemp(template));
	*state = f;
	return f->dir == NULL;
}

static const char *const written[] = { "names", "sqitch.plan", "a.py", "b.py", "c.py", "d.py", "__init__.py", "1_a.sql", "2_b.sql", "010_c.sql",
				       "readme.sql", "01_x.up.sql", "01_x.down.sql", "2_y.up.sql", "10_z.up.sql", "001_w.up.sql",
				       "99999999999999999999_v.up.sql", "1-b.sql" };

static void clean(struct fixture *f)
{
	for (size_t i = 0; i < sizeof written / sizeof *written; i++)
		unlink(talloc_asprintf(f, "%s/%s", f->dir, written[i]));
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	clean(f);
	rmdir(f->dir);
	talloc_free(f);
	return 0;
}

static void put(struct fixture *f, const char *name, const char *text)
{
	char *path = talloc_asprintf(f, "%s/%s", f->dir, name);
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	fputs(text, file);
	fclose(file);
	assert_int_equal(chmod(path, 0644), 0);
}

static int read_as(struct fixture *f, enum ledger_format format)
{
	const char *dirs[] = { f->dir };

	f->files = NULL;
	return foreign_files_read(f, format, dirs, 1, &f->files, &f->errs, &f->n_errs);
}

static void refused(struct fixture *f, enum ledger_format format, const char *why, unsigned line)
{
	assert_int_equal(read_as(f, format), 1);
	assert_int_equal(f->n_errs, 1);
	if (!strstr(f->errs[0].text, why))
		fail_msg("'%s' is not in '%s'", why, f->errs[0].text);
	assert_int_equal(f->errs[0].line, line);
}

/* "state version; ..." in order */
static void compared(struct fixture *f, const struct ledger_row *rows, uint32_t n, const char *expected)
{
	struct migration_list *list = migration_compare(f, f->files, rows, n);
	struct text *text = text_new(f);

	for (uint32_t i = 0; i < list->n; i++)
		text_addf(text, "%s %s; ", migration_state_name(list->v[i].state),
			  list->v[i].file ? list->v[i].file->version : list->v[i].row->version);
	assert_string_equal(text->s, expected);
	/* nothing of it ever runs */
	assert_true(list->blocked || list->counts[MIGRATION_PENDING] == 0);
	if (list->blocked)
		assert_non_null(strstr(list->why.text, "read-only ledger"));
}

#define ROW(v) { .version = v, .description = "", .script = "", .type = "x", .installed_on = "", .installed_by = "", .success = true }
#define DIRTY(v) { .version = v, .description = "", .script = "", .type = "x", .installed_on = "", .installed_by = "", .success = false }

static void dbmate(void **state)
{
	struct fixture *f = *state;
	const struct ledger_row rows[] = { ROW("010"), ROW("1"), ROW("7") };

	put(f, "1_a.sql", "");
	put(f, "2_b.sql", "");
	put(f, "010_c.sql", "");
	put(f, "readme.sql", "");
	assert_int_equal(read_as(f, LEDGER_DBMATE), 0);
	assert_int_equal(f->files->n_warnings, 1);
	assert_string_equal(f->files->v[0].version, "010");       /* by name, not by number */
	assert_string_equal(f->files->v[1].description, "a");
	compared(f, NULL, 0, "pending 010; pending 1; pending 2; ");
	compared(f, rows, 3, "applied 010; applied 1; pending 2; unknown 7; ");
	put(f, "1-b.sql", "");
	refused(f, LEDGER_DBMATE, "version 1 is there twice", 0);
}

static void golang(void **state)
{
	struct fixture *f = *state;

	put(f, "01_x.up.sql", "");
	put(f, "01_x.down.sql", "");
	put(f, "2_y.up.sql", "");
	put(f, "10_z.up.sql", "");
	put(f, "readme.sql", "");
	assert_int_equal(read_as(f, LEDGER_GOLANG_MIGRATE), 0);
	assert_int_equal(f->files->n_warnings, 1);
	assert_string_equal(f->files->v[0].description, "x");
	compared(f, NULL, 0, "pending 01; pending 2; pending 10; ");
	compared(f, (const struct ledger_row[]){ ROW("2") }, 1, "applied 01; applied 2; pending 10; ");
	compared(f, (const struct ledger_row[]){ DIRTY("2") }, 1, "applied 01; failed 2; pending 10; ");
	compared(f, (const struct ledger_row[]){ ROW("11") }, 1, "applied 01; applied 2; applied 10; unknown 11; ");
	compared(f, (const struct ledger_row[]){ DIRTY("-1") }, 1, "pending 01; pending 2; pending 10; failed -1; ");
	put(f, "001_w.up.sql", "");
	refused(f, LEDGER_GOLANG_MIGRATE, "is there twice", 0);
	unlink(talloc_asprintf(f, "%s/001_w.up.sql", f->dir));
	put(f, "99999999999999999999_v.up.sql", "");
	refused(f, LEDGER_GOLANG_MIGRATE, "too large", 0);
}

static void alembic(void **state)
{
	struct fixture *f = *state;

	put(f, "c.py", "\"\"\"first of all\n\nrevision = 'not this'\nRevision ID: base1\n\"\"\"\nfrom alembic import op\n\n"
		       "revision: str = 'base1'\ndown_revision: Union[str, None] = None\nbranch_labels = ('main',)\ndepends_on = None\n\n"
		       "def upgrade():\n    op.execute('''\nrevision = nonsense\n''')\n");
	put(f, "a.py", "\"\"\"left\"\"\"\nrevision = \"left1\"\ndown_revision = \"base1\"  # a comment\n");
	put(f, "b.py", "revision = 'right1'\ndown_revision = 'base1'\n");
	put(f, "d.py", "revision = 'merge1'\ndown_revision = (\n    'left1',   # one\n    \"right1\",\n)\n");
	put(f, "__init__.py", "");
	assert_int_equal(read_as(f, LEDGER_ALEMBIC), 0);
	assert_int_equal(f->files->n_warnings, 0);
	assert_string_equal(f->files->v[0].description, "first of all");
	compared(f, NULL, 0, "pending base1; pending left1; pending right1; pending merge1; ");
	compared(f, (const struct ledger_row[]){ ROW("left1") }, 1, "applied base1; applied left1; pending right1; pending merge1; ");
	compared(f, (const struct ledger_row[]){ ROW("left1"), ROW("right1") }, 2,
		 "applied base1; applied left1; applied right1; pending merge1; ");
	compared(f, (const struct ledger_row[]){ ROW("merge1") }, 1, "applied base1; applied left1; applied right1; applied merge1; ");
	/* of files that are older than the database nobody can say what is applied */
	compared(f, (const struct ledger_row[]){ ROW("later1") }, 1,
		 "unknown base1; unknown left1; unknown right1; unknown merge1; unknown later1; ");
	put(f, "d.py", "revision = 'other1'\ndown_revision = None\ndepends_on = 'left1'\n");
	assert_int_equal(read_as(f, LEDGER_ALEMBIC), 0);
	assert_int_equal(f->files->n_warnings, 1);
	assert_non_null(strstr(f->files->warnings[0], "several heads"));
	compared(f, (const struct ledger_row[]){ ROW("other1") }, 1, "applied base1; applied left1; pending right1; applied other1; ");
}

static void alembic_refusals(void **state)
{
	static const struct { const char *text, *why; unsigned line; } bad[] = {
		{ "x = 1\n", "there is no 'revision", 0 },
		{ "revision = make()\n", "the value of 'revision'", 1 },
		{ "revision = None\n", "the value of 'revision'", 1 },
		{ "revision = 'a'\ndown_revision = f()\n", "the value of 'down_revision'", 2 },
		{ "revision = 'a'\ndown_revision = ('b'\n", "the value of 'down_revision'", 2 },
		{ "revision = 'a'\n\ndown_revision = 'b'\n", "no file has this revision", 3 },
		{ "revision = 'a'\ndown_revision = 'a'\n", "built on itself", 2 },
		{ "revision = 'a\n", "the value of 'revision'", 1 },
		{ "revision = '''a'''", "the value of 'revision'", 1 },
	};
	struct fixture *f = *state;

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		put(f, "a.py", bad[i].text);
		refused(f, LEDGER_ALEMBIC, bad[i].why, bad[i].line);
	}
	put(f, "a.py", "revision = 'a'\n");
	put(f, "b.py", "revision = 'a'\n");
	refused(f, LEDGER_ALEMBIC, "is there twice", 1);
}

static const char plan[] = "%syntax-version=1.0.0\n%project=flipr\n%uri=https://example.com/\n\n# a comment\n"
	"appschema 2026-01-02T03:04:05Z Marge N. O’Vera <marge@example.com> # App schema # of all.\n"
	"users [appschema] 2026-01-02T03:04:06Z Marge <marge@example.com>\r\n"
	"@v1.0 2026-01-02T03:05:00Z Marge <marge@example.com> # Tag\n"
	"  + users [users@v1.0 !other other:thing] 2026-01-03T03:04:05Z Marge <marge@example.com> # again\n";

static void sqitch(void **state)
{
	struct fixture *f = *state;
	struct ledger_row rows[] = { ROW("appschema 2026-01-02T03:04:05Z"), ROW("users 2026-01-02T03:04:06Z"), ROW("users 2020-01-01T00:00:00Z"),
				     ROW("appschema 2026-01-02T03:04:05Z") };

	rows[0].description = "appschema";
	rows[1].description = rows[2].description = "users";
	rows[0].script = rows[1].script = rows[2].script = "flipr";
	rows[3].script = "somebody else's";
	put(f, "sqitch.plan", plan);
	assert_int_equal(read_as(f, LEDGER_SQITCH), 0);
	assert_int_equal(f->files->n, 3);
	assert_string_equal(f->files->v[1].script, "deploy/users@v1.0.sql");
	assert_string_equal(f->files->v[2].script, "deploy/users.sql");
	compared(f, rows, 2, "applied appschema 2026-01-02T03:04:05Z; applied users 2026-01-02T03:04:06Z; pending users 2026-01-03T03:04:05Z; ");
	compared(f, rows, 3, "applied appschema 2026-01-02T03:04:05Z; applied users 2026-01-02T03:04:06Z; pending users 2026-01-03T03:04:05Z; "
			     "unknown users 2020-01-01T00:00:00Z; ");
	compared(f, rows + 3, 1, "pending appschema 2026-01-02T03:04:05Z; pending users 2026-01-02T03:04:06Z; pending users 2026-01-03T03:04:05Z; ");
	put(f, "sqitch.plan", "%project=a\nappschema\n");
	refused(f, LEDGER_SQITCH, "expected a time", 2);
	put(f, "sqitch.plan", "appschema 2026-01-02T03:04:05Z x <x>\n");
	refused(f, LEDGER_SQITCH, "there is no %project", 0);
	clean(f);
	refused(f, LEDGER_SQITCH, "there is no sqitch.plan", 0);
}

static void others_may_not_write(void **state)
{
	struct fixture *f = *state;

	put(f, "1_a.sql", "");
	assert_int_equal(chmod(talloc_asprintf(f, "%s/1_a.sql", f->dir), 0666), 0);
	refused(f, LEDGER_DBMATE, "everybody can write it", 0);
}

struct table {
	unsigned columns;
	const char *const *cells;
};

static const char *cell(const struct rowset *rows, unsigned row, unsigned column, size_t *len)
{
	const struct table *table = rows->data;
	const char *s = table->cells[row * table->columns + column];

	*len = s ? strlen(s) : 0;
	return s;
}

static int decode(struct fixture *f, enum ledger_format format, unsigned columns, unsigned rows, const char *const *cells, struct ledger_row **ret)
{
	struct table table = { columns, cells };
	struct rowset set = { .rows = rows, .columns = columns, .cell = cell, .data = &table };
	struct error err = { 0 };
	uint32_t n;

	return foreign_decode(f, format, &set, ret, &n, &err);
}

static void rows(void **state)
{
	struct fixture *f = *state;
	struct ledger_row *v;

	assert_int_equal(decode(f, LEDGER_GOLANG_MIGRATE, 2, 1, (const char *const[]){ "3", "t" }, &v), 0);
	assert_string_equal(v[0].version, "3");
	assert_false(v[0].success);
	assert_int_equal(decode(f, LEDGER_GOLANG_MIGRATE, 2, 1, (const char *const[]){ "3", "yes" }, &v), 1);
	assert_int_equal(decode(f, LEDGER_GOLANG_MIGRATE, 1, 1, (const char *const[]){ "3" }, &v), 1);
	assert_int_equal(decode(f, LEDGER_DBMATE, 1, 1, (const char *const[]){ NULL }, &v), 1);
	assert_int_equal(decode(f, LEDGER_SQITCH, 5, 1, (const char *const[]){ "users", "2026-01-02 03:04:06+00", "2026-01-02 04:00:00.5+00", "Marge",
			 "flipr" }, &v), 0);
	assert_string_equal(v[0].version, "users 2026-01-02T03:04:06Z");
	assert_string_equal(v[0].installed_by, "Marge");
	assert_string_equal(foreign_sql_select(f, LEDGER_ALEMBIC, "a\"b", "t"),
			    "SELECT \"version_num\" FROM ONLY \"a\"\"b\".\"t\" ORDER BY \"version_num\" LIMIT 100001");
}

#define CASE(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		CASE(dbmate), CASE(golang), CASE(alembic), CASE(alembic_refusals), CASE(sqitch), CASE(others_may_not_write), CASE(rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
