/* SPDX-License-Identifier: PostgreSQL */
/* What is left of files that did not finish, what a statement is about, and what orders on a ledger write. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/lint.h"
#include "migrate/mend.h"
#include "migrate/subject.h"

#define N(array) ((uint32_t)(sizeof(array) / sizeof *(array)))

static struct migration_file make(void *mem, const char *version, const char *description, const char *text)
{
	struct migration_file file = { .type = version ? MIGRATION_VERSIONED : MIGRATION_REPEATABLE, .version = version,
				       .description = description, .script = talloc_asprintf(mem, "V%s.sql", version ? version : "R"),
				       .path = talloc_asprintf(mem, "/m/V%s.sql", version ? version : "R"), .text = text, .len = strlen(text),
				       .transactional = true };

	file.checksum = migration_checksum(text, file.len);
	assert_int_equal(migration_script_check(mem, &file), 0);
	return file;
}

/* ---- what a statement is about ---- */

static const struct {
	const char *sql, *expected;      /* "schema|name|table_schema|table|if", "" = not understood */
} subjects[] = {
	{ "create index concurrently i on t (a)", "|i||t|" },
	{ "CREATE UNIQUE INDEX CONCURRENTLY IF NOT EXISTS \"I\"\"x\" ON ONLY App.\"T\" USING btree (a)", "|I\"x|app|T|if" },
	{ "create index concurrently on app.t(a)", "||app|t|" },
	{ "create index concurrently /* x */ \"on\" on t using gin (a)", "|on||t|" },
	{ "create index concurrently aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffgggggggggg on t(a)",
	  "|aaaaaaaaaabbbbbbbbbbccccccccccddddddddddeeeeeeeeeeffffffffffggg||t|" },
	{ "create index concurrently u&\"i\" on t (a)", "" },
	{ "drop index concurrently if exists app.i cascade", "app|i|||if" },
	{ "drop index concurrently i", "|i|||" },
	{ "drop index concurrently u&\"i\"", "" },
	{ "drop index concurrently d.app.i", "" },
	{ "drop database u&\"d\"", "" },
	{ "create database d owner x", "|d|||" },
	{ "drop database if exists \"D 1\" with (force)", "|D 1|||if" },
	{ "create tablespace t location '/x'", "|t|||" },
	{ "drop tablespace t", "|t|||" },
	{ "vacuum t", "" },
};

static const char *or_empty(const char *s)
{
	return s ? s : "";
}

static void what_a_statement_is_about(void **state)
{
	(void)state;
	for (size_t i = 0; i < N(subjects); i++) {
		void *mem = talloc_new(NULL);
		struct migration_file file = make(mem, "1", "x", subjects[i].sql);
		struct script_subject s;
		const char *got = "";

		if (script_subject(mem, &file, 0, &s))
			got = talloc_asprintf(mem, "%s|%s|%s|%s|%s", or_empty(s.schema), or_empty(s.name), or_empty(s.table_schema), or_empty(s.table),
					      s.if_exists ? "if" : "");
		if (strcmp(got, subjects[i].expected))
			fail_msg("%s: %s instead of %s", subjects[i].sql, got, subjects[i].expected);
		assert_int_equal(script_can_find_out(&file, 0), !strcmp(subjects[i].sql, "vacuum t") || (*got && s.name));
		talloc_free(mem);
	}
}

/* ---- what goes on, and what asks ---- */

static const char split_text[] = "-- dbreconcile:transaction=false\nset search_path = a;\ncreate index concurrently i on t (a);\ncall p();\n"
				 "insert into t values (1);\nvacuum";

static struct migration_list *apply(void *mem, struct migration_file *file, struct ledger_row *rows, uint32_t n_rows,
				    struct migration_progress *p)
{
	struct migration_files *files = talloc_zero(mem, struct migration_files);
	struct migration_list *list;
	uint32_t sum = 0;

	files->v = file;
	files->n = 1;
	list = migration_compare(mem, files, rows, n_rows);
	progress_apply(list, p, 1);
	for (int s = 0; s < MIGRATION_STATES; s++)
		sum += list->counts[s];
	assert_int_equal(sum, list->n);
	assert_int_equal(list->blocked, error_is_set(&list->why));
	return list;
}

static struct migration_progress noted(const struct migration_file *file, uint32_t done, enum progress_state s)
{
	return (struct migration_progress){ .version = file->version, .description = file->description, .script = file->script,
					    .checksum = file->checksum, .statements = file->n_statements, .done = done,
					    .prefix = progress_prefix(file, done), .state = s, .statement = "what ran", .message = "why" };
}

static void what_goes_on_and_what_asks(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file file = make(mem, "2", "x", split_text), other;
	struct migration_progress p = noted(&file, 0, PROGRESS_BETWEEN);
	struct migration_list *list = apply(mem, &file, NULL, 0, &p);

	(void)state;
	assert_int_equal(list->v[0].state, MIGRATION_PENDING);
	assert_int_equal(list->v[0].from, 0);
	p = noted(&file, 4, PROGRESS_BETWEEN);
	list = apply(mem, &file, NULL, 0, &p);
	assert_int_equal(list->v[0].from, 4);
	assert_true(migration_runs(&list->v[0]) && !list->blocked);
	assert_non_null(strstr(list->v[0].note, "statement 5 of 5"));
	/* interrupted in the build: the server can tell */
	p = noted(&file, 1, PROGRESS_RUNNING);
	list = apply(mem, &file, NULL, 0, &p);
	assert_int_equal(list->v[0].state, MIGRATION_INDETERMINATE);
	assert_true(list->v[0].find_out && migration_runs(&list->v[0]) && !list->blocked);
	/* in the CALL: nobody can */
	p = noted(&file, 2, PROGRESS_RUNNING);
	list = apply(mem, &file, NULL, 0, &p);
	assert_int_equal(list->v[0].state, MIGRATION_INDETERMINATE);
	assert_true(list->blocked && !migration_runs(&list->v[0]));
	assert_int_equal(list->why.line, 4);
	assert_non_null(strstr(list->why.hint, "resolve 2 --from-statement 3"));
	assert_int_equal(list->counts[MIGRATION_INDETERMINATE], 1);
	assert_int_equal(list->counts[MIGRATION_PENDING], 0);
	/* behind the last statement there is none to go on from */
	other = make(mem, "2", "x", "-- dbreconcile:transaction=false\nselect 1;\ncall p()");
	p = noted(&other, 1, PROGRESS_RUNNING);
	list = apply(mem, &other, NULL, 0, &p);
	assert_non_null(strstr(list->why.hint, "--from-statement 2 (it did not), --applied (it did"));
	assert_null(strstr(list->why.hint, "--from-statement 3"));
	p = noted(&file, 1, PROGRESS_STUCK);
	assert_string_equal(apply(mem, &file, NULL, 0, &p)->why.text, "why");
	/* another text: only what is done must be the same */
	p = noted(&file, 2, PROGRESS_FAILED);
	other = make(mem, "2.0", "x", "-- dbreconcile:transaction=false\r\nset search_path = a;\r\ncreate index concurrently i on t (a);\nselect 7");
	list = apply(mem, &other, NULL, 0, &p);
	assert_true(!list->blocked && list->v[0].from == 2);
	other = make(mem, "2", "x", "-- dbreconcile:transaction=false\nset search_path = b;\ncreate index concurrently i on t (a);\nselect 7");
	assert_true(apply(mem, &other, NULL, 0, &p)->blocked);
	other = make(mem, "2", "x", "create table t ()");
	assert_true(apply(mem, &other, NULL, 0, &p)->blocked);
	/* temporary objects are gone */
	other = make(mem, "2", "x", "-- dbreconcile:transaction=false\ncreate temp table t ();\nselect 1;\nvacuum");
	p = noted(&other, 2, PROGRESS_BETWEEN);
	assert_true(apply(mem, &other, NULL, 0, &p)->blocked);
	/* of another version: nothing */
	p.version = "3";
	assert_false(apply(mem, &other, NULL, 0, &p)->blocked);
	talloc_free(mem);
}

static void a_failed_row_says_which_statement(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file file = make(mem, "2", "x", split_text);
	struct migration_progress p = noted(&file, 3, PROGRESS_FAILED);
	struct ledger_row failed = { .rank = 1, .version = "2", .description = "x", .type = "SQL", .script = "V2.sql", .installed_on = "",
				     .installed_by = "", .has_checksum = true, .checksum = file.checksum };
	struct migration_list *list = apply(mem, &file, &failed, 1, &p);

	(void)state;
	assert_int_equal(list->v[0].state, MIGRATION_FAILED);
	assert_int_equal(list->why.line, 5);
	assert_non_null(strstr(list->why.text, "version 2 failed in statement 4 of 5: why; the statements before it are done"));
	assert_non_null(strstr(list->why.hint, "migrations TARGET repair"));
	talloc_free(mem);
}

/* ---- orders ---- */

static int mend(void *mem, const struct ledger_order *order, struct migration_file *v, uint32_t n, struct ledger_row *rows, uint32_t n_rows,
		struct migration_progress *p, struct mending *ret, struct error *err)
{
	struct migration_files *files = talloc_zero(mem, struct migration_files);
	struct mend_input in = { .schema = "s", .table = "t", .ledger_exists = n_rows > 0, .progress_exists = p != NULL, .rows = rows,
				 .n_rows = n_rows, .files = files };
	struct migration_list *list;

	files->v = v;
	files->n = n;
	list = migration_compare(mem, files, rows, n_rows);
	progress_apply(list, p, p != NULL);
	in.list = list;
	error_clear(err);
	return mend_plan(mem, order, &in, ret, err);
}

static void has(const struct mend_action *a, const char *begins, const char *expected)
{
	char *text = talloc_strdup(NULL, "");

	assert_non_null(strstr(a->sql, begins));
	for (unsigned i = 0; i < a->n_params; i++)
		text = talloc_asprintf_append(text, "%s%s", i ? "|" : "", a->params[i] ? a->params[i] : "NULL");
	assert_string_equal(text, expected);
	talloc_free(text);
}

static struct ledger_row row(int rank, const char *version, const char *type, int32_t checksum, bool success)
{
	return (struct ledger_row){ .rank = rank, .version = version, .description = "d", .type = type, .script = "f.sql", .installed_by = "u",
				    .installed_on = "", .has_checksum = true, .checksum = checksum, .success = success };
}

static void baselines(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { make(mem, "1", "d", "select 1"), make(mem, "2", "d", "select 1") };
	struct ledger_row marker[] = { { .rank = 0, .description = "<< Flyway Schema Creation >>", .type = "SCHEMA", .script = "\"s\"", .success = true,
					 .installed_on = "", .installed_by = "" } };
	struct ledger_row used[] = { row(1, "1", "SQL", 1, true) }, based[] = { row(1, "1", "BASELINE", 1, true) };
	struct ledger_order order = { .verb = LEDGER_BASELINE, .version = "1" };
	struct mending m;
	struct error err;

	(void)state;
	assert_int_equal(mend(mem, &order, files, 2, NULL, 0, NULL, &m, &err), 0);
	assert_true(m.needs_ledger && m.n == 2 && m.v[0].sql == NULL);
	has(&m.v[1], "INSERT INTO \"s\".\"t\"", "1|1|<< Flyway Baseline >>|BASELINE|<< Flyway Baseline >>|NULL|0|t");
	assert_non_null(strstr(m.v[1].text, "1 file up to it counts as applied, 1 above"));
	assert_int_equal(mend(mem, &order, files, 2, marker, 1, NULL, &m, &err), 0);
	has(&m.v[0], "INSERT", "1|1|<< Flyway Baseline >>|BASELINE|<< Flyway Baseline >>|NULL|0|t");
	assert_int_equal(mend(mem, &order, files, 2, used, 1, NULL, &m, &err), 1);
	assert_int_equal(mend(mem, &order, files, 2, based, 1, NULL, &m, &err), 1);
	order.version = "0";
	assert_int_equal(mend(mem, &order, files, 2, marker, 1, NULL, &m, &err), 1);
	order.version = "latest";
	assert_int_equal(mend(mem, &order, files, 2, NULL, 0, NULL, &m, &err), 1);
	talloc_free(mem);
}

static void repairs(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { make(mem, "1", "d", "select 1"), make(mem, "3", "e", "select 3"), make(mem, "4", "d", "vacuum") };
	struct ledger_row rows[] = { row(1, "1", "SQL", files[0].checksum, true), row(2, "2", "SQL", 22, true), row(3, "3", "JDBC", 33, true),
				     row(4, "4", "SQL", files[2].checksum, false) };
	struct ledger_order order = { .verb = LEDGER_REPAIR };
	struct mending m;
	struct error err;

	(void)state;
	assert_int_equal(mend(mem, &order, files, 3, rows, 4, NULL, &m, &err), 0);
	assert_int_equal(m.n, 3);
	has(&m.v[0], "DELETE FROM ONLY \"s\".\"t\" WHERE \"installed_rank\" = $1 AND NOT \"success\"", "4");
	has(&m.v[1], "INSERT", "5|2|d|DELETE|f.sql|22|0|t");
	has(&m.v[2], "UPDATE ONLY \"s\".\"t\" SET \"description\" = $1, \"type\" = $2, \"checksum\" = $3",
	    talloc_asprintf(mem, "e|SQL|%d|3", files[1].checksum));
	assert_int_equal(mend(mem, &order, files, 1, rows, 1, NULL, &m, &err), 1);
	assert_non_null(strstr(err.text, "nothing to repair"));
	assert_int_equal(mend(mem, &order, files, 1, NULL, 0, NULL, &m, &err), 1);
	talloc_free(mem);
}

static void resolves(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { make(mem, "1", "d", "select 1"), make(mem, "2", "d", split_text) };
	struct ledger_row rows[] = { row(1, "1", "SQL", files[0].checksum, true), row(2, "2", "SQL", files[1].checksum, false) };
	struct migration_progress p = noted(&files[1], 2, PROGRESS_RUNNING);
	struct ledger_order order = { .verb = LEDGER_RESOLVE, .version = "2.0", .how = RESOLVE_APPLIED };
	struct mending m;
	struct error err;

	(void)state;
	assert_int_equal(mend(mem, &order, files, 2, rows, 1, &p, &m, &err), 0);
	assert_int_equal(m.n, 2);
	has(&m.v[0], "DELETE FROM ONLY \"s\".\"t_progress\"", "2|d");
	has(&m.v[1], "INSERT", talloc_asprintf(mem, "2|2|d|SQL|V2.sql|%d|0|t", files[1].checksum));
	order.how = RESOLVE_NOT_APPLIED;
	assert_int_equal(mend(mem, &order, files, 2, rows, 2, &p, &m, &err), 0);
	assert_int_equal(m.n, 2);
	has(&m.v[0], "DELETE FROM ONLY \"s\".\"t\"", "2");
	order.how = RESOLVE_FROM;
	order.from = 3;
	assert_int_equal(mend(mem, &order, files, 2, rows, 2, NULL, &m, &err), 0);
	assert_true(m.n == 2 && m.needs_progress);
	has(&m.v[1], "INSERT INTO \"s\".\"t_progress\"",
	    talloc_asprintf(mem, "2|d|V2.sql|%d|5|2|%d|between||resolved", files[1].checksum, progress_prefix(&files[1], 2)));
	order.from = 6;
	assert_int_equal(mend(mem, &order, files, 2, rows, 1, &p, &m, &err), 1);
	order.version = "1";
	assert_int_equal(mend(mem, &order, files, 2, rows, 1, &p, &m, &err), 1);
	assert_non_null(strstr(err.text, "nothing to resolve"));
	order.version = "9";
	assert_int_equal(mend(mem, &order, files, 2, rows, 1, &p, &m, &err), 1);
	talloc_free(mem);
}

static void runs_out_of_order(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { make(mem, "1", "d", "select 1"), make(mem, "2", "d", "select 2"), make(mem, "3", "d", "select 3") };
	struct ledger_row rows[] = { row(1, "1", "SQL", files[0].checksum, true), row(2, "3", "SQL", files[2].checksum, true) };
	struct ledger_order order = { .verb = LEDGER_RUN, .version = "2", .out_of_order = true };
	struct mending m;
	struct error err;

	(void)state;
	assert_int_equal(mend(mem, &order, files, 3, rows, 2, NULL, &m, &err), 0);
	assert_int_equal(m.runs, 2);
	order.version = "3";
	assert_int_equal(mend(mem, &order, files, 3, rows, 2, NULL, &m, &err), 1);
	order.version = "2";
	rows[0].checksum = 0;
	assert_int_equal(mend(mem, &order, files, 3, rows, 2, NULL, &m, &err), 1);
	rows[0].checksum = files[0].checksum;
	files[1] = make(mem, "2", "d", "vacuum");
	assert_int_equal(mend(mem, &order, files, 3, rows, 2, NULL, &m, &err), 0);
	assert_string_equal(m.v[0].text, "run V2.sql, though version 3 is applied");
	talloc_free(mem);
}

/* Statement by statement: what has begun blocks everybody else until somebody orders the rest of it. */
static void goes_on_out_of_order(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { make(mem, "2", "d", "-- dbreconcile:transaction=false\nset x = 1; vacuum; select 3"), make(mem, "3", "d", "select 3"),
					  make(mem, "4", "d", "select 4") };
	struct ledger_row rows[] = { row(1, "3", "SQL", files[1].checksum, true) };
	struct ledger_order order = { .verb = LEDGER_RUN, .version = "2", .out_of_order = true };
	static const struct { enum progress_state state; uint32_t done; const char *text; } cases[] = {
		{ PROGRESS_BETWEEN, 2, "goes on with statement 3 of 3" }, { PROGRESS_FAILED, 1, "goes on with statement 2 of 3" },
		{ PROGRESS_RUNNING, 1, "statement 2 of 3 was interrupted, and what became of it is looked up then" },
	};
	struct migration_progress p;
	struct mending m;
	struct error err;

	(void)state;
	for (unsigned i = 0; i < 6; i++) {
		struct migration_files all = { .v = files, .n = 3, .tolerate = i < 3 ? 0 : MIGRATION_TOLERATE_IGNORED };
		struct migration_list *list = migration_compare(mem, &all, rows, 1);
		const struct migration *entry = &list->v[1];

		p = noted(&files[0], cases[i % 3].done, cases[i % 3].state);
		p.version = "2";
		p.description = "d";
		progress_apply(list, &p, 1);
		assert_int_equal(entry->state, MIGRATION_OUT_OF_ORDER);
		assert_int_equal(entry->from, cases[i % 3].done);
		assert_true(list->blocked && !migration_runs(entry) && entry->interrupted == (i % 3 == 2));
		assert_non_null(strstr(list->why.text, cases[i % 3].text));
		assert_non_null(strstr(list->why.hint, "run 2 --out-of-order"));
		assert_int_equal(mend(mem, &order, files, 3, rows, 1, &p, &m, &err), 0);
		assert_non_null(strstr(m.v[0].text, i % 3 ? ": from statement 2 of 3" : ": from statement 3 of 3"));
	}
	p = noted(&files[0], 1, PROGRESS_STUCK);
	p.version = "2";
	p.description = "d";
	p.message = "index i is invalid";
	assert_int_equal(mend(mem, &order, files, 3, rows, 1, &p, &m, &err), 1);
	assert_string_equal(err.text, "index i is invalid");
	talloc_free(mem);
}

/* ---- undo, and what was undone runs again ---- */

struct history {
	void *mem;
	struct migration_files files;
	struct ledger_row rows[8];
	uint32_t n_rows;
	const struct migration_progress *progress;
	struct mending out;
	struct error err;
};

/* V1, V2, V3 and their undo files; 1 and 2 are applied. */
static struct history history(void *mem)
{
	struct history h = { .mem = mem, .files = { .n = 3, .n_undo = 3 }, .n_rows = 2 };
	static const char *const versions[] = { "1", "2", "3" };

	h.files.v = talloc_array(mem, struct migration_file, 3);
	h.files.undo = talloc_array(mem, struct migration_file, 3);
	for (uint32_t i = 0; i < 3; i++) {
		h.files.v[i] = make(mem, versions[i], "d", talloc_asprintf(mem, "create table t%u ()", i));
		h.files.undo[i] = make(mem, versions[i], "d", talloc_asprintf(mem, "drop table t%u", i));
		h.files.undo[i].type = MIGRATION_UNDO;
		h.files.undo[i].script = talloc_asprintf(mem, "U%s.sql", versions[i]);
		h.rows[i] = row((int)i + 1, versions[i], "SQL", h.files.v[i].checksum, true);
	}
	return h;
}

/* The text of what it does, or why not. */
static const char *order_on(struct history *h, enum ledger_verb verb, const char *version, bool out_of_order)
{
	struct ledger_order order = { .verb = verb, .version = version, .out_of_order = out_of_order };
	struct mend_input in = { .schema = "s", .table = "t", .ledger_exists = h->n_rows > 0, .rows = h->rows, .n_rows = h->n_rows, .files = &h->files };
	struct migration_list *list = migration_compare(h->mem, &h->files, h->rows, h->n_rows);

	progress_apply(list, h->progress, h->progress != NULL);
	in.list = list;
	error_clear(&h->err);
	if (mend_plan(h->mem, &order, &in, &h->out, &h->err)) {
		assert_true(error_is_set(&h->err));
		return h->err.text;
	}
	assert_int_equal(h->out.n, 1);
	assert_null(h->out.v[0].sql);        /* the runner writes its row, in the transaction of the file */
	assert_ptr_equal(list->v[h->out.runs].file ? list->v[h->out.runs].file->version : NULL, verb == LEDGER_RUN ? h->out.file->version :
			 list->v[h->out.runs].file->version);
	return h->out.v[0].text;
}

static const char *undo(struct history *h, const char *version)
{
	return order_on(h, LEDGER_UNDO, version, false);
}

static void says(const char *got, const char *expected)
{
	if (!strstr(got, expected))
		fail_msg("'%s' instead of '%s'", got, expected);
}

static void undoes(void **state)
{
	void *mem = talloc_new(NULL);
	struct history h = history(mem);

	(void)state;
	says(undo(&h, NULL), "run U2.sql, which undoes version 2");
	assert_ptr_equal(h.out.file, &h.files.undo[1]);
	assert_string_equal(ledger_type(h.out.file), "UNDO_SQL");
	assert_int_equal(h.out.n_findings, 1);
	assert_string_equal(h.out.findings[0].rule, "drop-table");
	says(undo(&h, "2.0"), "run U2.sql");
	says(undo(&h, "1"), "version 1 is not the newest: applied after it: 2");
	says(undo(&h, "3"), "version 3 is not applied: it is pending");
	says(undo(&h, "9"), "there is no migration 9");
	says(undo(&h, "latest"), "there is no migration latest");
	h.n_rows = 0;
	says(undo(&h, NULL), "there is no ledger");
	/* in the order of applying */
	h = history(mem);
	h.n_rows = 3;
	h.rows[1] = row(2, "3", "SQL", h.files.v[2].checksum, true);
	h.rows[2] = row(3, "2", "SQL", h.files.v[1].checksum, true);
	says(undo(&h, NULL), "run U2.sql");
	says(undo(&h, "1"), "applied after it: 2, 3");
	says(undo(&h, "3"), "applied after it: 2");
	/* one after the other */
	h.rows[3] = row(4, "2", "UNDO_SQL", 1, true);
	h.n_rows = 4;
	says(undo(&h, "2"), "version 2 was undone already");
	says(undo(&h, NULL), "run U3.sql");
	h.rows[4] = row(5, "3", "UNDO_SQL", 1, true);
	h.rows[5] = row(6, "1", "UNDO_SQL", 1, true);
	h.n_rows = 6;
	says(undo(&h, NULL), "no version is applied");
	talloc_free(mem);
}

static void undo_is_refused(void **state)
{
	void *mem = talloc_new(NULL);
	struct history h = history(mem);
	struct migration_progress p;

	(void)state;
	h.files.undo[1].transactional = false;
	says(undo(&h, NULL), "it runs statement by statement");
	assert_string_equal(h.err.file, h.files.undo[1].path);
	error_set(&h.files.undo[1].refused, "a NUL byte");
	says(undo(&h, NULL), "a NUL byte");
	h.files.undo[1] = h.files.undo[2];
	h.files.n_undo = 2;
	says(undo(&h, NULL), "there is no undo file for version 2: beside /m/V2.sql");
	assert_non_null(strstr(h.err.text, "U2__DESCRIPTION.sql"));
	/* the history is not what the files say */
	h = history(mem);
	h.rows[1].checksum++;
	says(undo(&h, NULL), "V2.sql is not what was applied");
	h.rows[0].checksum++;
	h.rows[1].checksum--;
	says(undo(&h, NULL), "V1.sql is checksum_mismatch: that comes first");
	h = history(mem);
	h.rows[2].success = false;
	h.n_rows = 3;
	says(undo(&h, NULL), "V3.sql is failed: that comes first");
	assert_non_null(strstr(h.err.hint, "repair (or resolve)"));
	h = history(mem);
	h.rows[1].type = "JDBC";
	h.files.n = 1;
	says(undo(&h, NULL), "version 2 (JDBC) was not applied from a V file");
	h.rows[1].type = "SQL";
	says(undo(&h, NULL), "f.sql is future: what undoes it is not known");
	h.files.n = 3;
	h.files.tolerate = MIGRATION_TOLERATE_MISSING;
	h.rows[1].version = "1.5";
	says(undo(&h, NULL), "f.sql is missing: what undoes it is not known");
	h.rows[1] = row(2, "2", "BASELINE", 0, true);
	says(undo(&h, NULL), "version 2 is a baseline");
	/* another one has begun, or was interrupted */
	h = history(mem);
	h.files.v[2] = make(mem, "3", "d", split_text);
	p = noted(&h.files.v[2], 3, PROGRESS_BETWEEN);
	h.progress = &p;
	says(undo(&h, NULL), "V3.sql has begun and not finished");
	p = noted(&h.files.v[2], 2, PROGRESS_RUNNING);
	says(undo(&h, NULL), "V3.sql is indeterminate: that comes first");
	assert_non_null(strstr(h.err.hint, "resolve 3"));
	talloc_free(mem);
}

static void runs_what_was_undone(void **state)
{
	void *mem = talloc_new(NULL);
	struct history h = history(mem);
	struct migration_progress p;

	(void)state;
	says(order_on(&h, LEDGER_RUN, "3", false), "V3.sql is pending: by order runs what was undone");
	assert_non_null(strstr(h.err.hint, "reconcile TARGET"));
	h.rows[2] = row(3, "2", "UNDO_SQL", 1, true);
	h.n_rows = 3;
	says(order_on(&h, LEDGER_RUN, "2", false), "run V2.sql, which was undone");
	assert_ptr_equal(h.out.file, &h.files.v[1]);
	says(order_on(&h, LEDGER_RUN, "3", false), "V2.sql comes before V3.sql");
	assert_non_null(strstr(h.err.hint, "migrations TARGET run 2"));
	says(order_on(&h, LEDGER_RUN, "1", false), "V1.sql is applied");
	h.rows[0].checksum++;
	says(order_on(&h, LEDGER_RUN, "2", false), "V1.sql is checksum_mismatch: that comes first");
	h.rows[0].checksum--;
	/* what is new before it has to go first */
	h.n_rows = 4;
	h.rows[3] = row(4, "1", "UNDO_SQL", 1, true);
	h.files.v[0] = make(mem, "1", "d", "select 'corrected'");
	says(order_on(&h, LEDGER_RUN, "2", false), "V1.sql comes before V2.sql");
	says(order_on(&h, LEDGER_RUN, "1", false), "run V1.sql");
	/* below what is applied */
	h = history(mem);
	h.rows[2] = row(3, "1", "UNDO_SQL", 1, true);
	h.n_rows = 3;
	says(order_on(&h, LEDGER_RUN, "1", false), "V1.sql is out of order: version 2 is applied");
	says(order_on(&h, LEDGER_RUN, "1", true), "run V1.sql, though version 2 is applied");
	/* it goes on where it stopped */
	h.rows[2] = row(3, "2", "UNDO_SQL", 1, true);
	h.files.v[1] = make(mem, "2", "d", split_text);
	h.rows[1].checksum = h.files.v[1].checksum;
	p = noted(&h.files.v[1], 3, PROGRESS_BETWEEN);
	h.progress = &p;
	says(order_on(&h, LEDGER_RUN, "2", false), "run V2.sql, which was undone: from statement 4 of 5");
	/* without its file */
	h.files.n = 1;
	h.progress = NULL;
	says(order_on(&h, LEDGER_RUN, "2", false), "has no file any more");
	talloc_free(mem);
}

/* What Flyway Teams wrote in a dry run of its undo, on files that are public. */
static void undo_files_have_the_checksum_of_any(void **state)
{
	static const struct { const char *text; int32_t checksum; } known[] = {
		{ "ALTER TABLE customers DROP COLUMN title;", -626936101 }, { "DROP TABLE orders;", 392885628 }, { "DROP TABLE Customers;\n", 1240976200 },
		{ "ALTER TABLE orders \nDROP COLUMN requested_date  \nDROP COLUMN order_status;", 1604632158 },
	};

	(void)state;
	for (size_t i = 0; i < N(known); i++)
		assert_int_equal(migration_checksum(known[i].text, strlen(known[i].text)), known[i].checksum);
}

/* ---- the table beside the ledger ---- */

static void names_of_the_table(void **state)
{
	void *mem = talloc_new(NULL);

	(void)state;
	assert_string_equal(progress_table(mem, "flyway_schema_history"), "flyway_schema_history_progress");
	assert_int_equal(strlen(progress_table(mem, "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa")), 63);
	assert_non_null(strstr(progress_sql_create(mem, "a\"b", "t"), "CREATE TABLE \"a\"\"b\".\"t_progress\""));
	talloc_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_statement_is_about),
		cmocka_unit_test(what_goes_on_and_what_asks),
		cmocka_unit_test(a_failed_row_says_which_statement),
		cmocka_unit_test(baselines),
		cmocka_unit_test(repairs),
		cmocka_unit_test(resolves),
		cmocka_unit_test(runs_out_of_order), cmocka_unit_test(goes_on_out_of_order),
		cmocka_unit_test(undoes), cmocka_unit_test(undo_is_refused), cmocka_unit_test(runs_what_was_undone),
		cmocka_unit_test(undo_files_have_the_checksum_of_any),
		cmocka_unit_test(names_of_the_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
