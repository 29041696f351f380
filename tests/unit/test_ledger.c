/* SPDX-License-Identifier: PostgreSQL */
/* The ledger's text and rows, and the comparison with files: every kind of row that Flyway writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "migrate/migration.h"

static void lock_key(void **state)
{
	(void)state;
	assert_true(ledger_lock_key("public", "flyway_schema_history") == INT64_C(77433833903597));
	/* Java: "\"ü\".\"😀\"".hashCode() is over UTF-16 units:*/
	assert_true(ledger_lock_key("ü", "😀") == INT64_C(77431708279161) + (510483363));
}

static void texts(void **state)
{
	void *mem = talloc_new(NULL);

	(void)state;
	assert_string_equal(ledger_sql_insert(mem, "public", "flyway_schema_history"),
			    "INSERT INTO \"public\".\"flyway_schema_history\" (\"installed_rank\", \"version\", \"description\", \"type\", "
			    "\"script\", \"checksum\", \"installed_by\", \"execution_time\", \"success\") "
			    "VALUES ($1, $2, $3, $4, $5, $6, CURRENT_USER, $7, $8)");
	assert_non_null(strstr(ledger_sql_create(mem, "a\"b", "t"), "ADD CONSTRAINT \"t_pk\" PRIMARY KEY (\"installed_rank\")"));
	assert_non_null(strstr(ledger_sql_create(mem, "a\"b", "t"), "CREATE INDEX \"t_s_idx\" ON \"a\"\"b\".\"t\" (\"success\")"));
	assert_null(strstr(ledger_sql_create(mem, "a", "t"), "IF NOT EXISTS"));
	talloc_free(mem);
}

static void cuts(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file file = { 0 };
	char description[2 * 201 + 1] = "", script[1003] = "";

	(void)state;
	for (int i = 0; i < 200; i++)
		memcpy(description + 2 * i, "ü", 2);
	memset(script, 'x', 1000);
	memcpy(script, "abcd", 4);
	file.description = description;
	file.script = script;
	assert_string_equal(ledger_description(mem, &file), description);
	assert_string_equal(ledger_script(mem, &file), script);
	memcpy(description + 2 * 200, "ü", 2);
	memcpy(script + 1000, "yz", 2);
	assert_int_equal(strlen(ledger_description(mem, &file)), 197 * 2 + 3);
	assert_string_equal(ledger_description(mem, &file) + 197 * 2, "...");
	/* "..." and characters 3 to 999 */
	assert_int_equal(strlen(ledger_script(mem, &file)), 1000);
	assert_memory_equal(ledger_script(mem, &file), "...dx", 5);
	assert_string_equal(ledger_script(mem, &file) + 998, "xx");
	talloc_free(mem);
}

struct table {
	unsigned columns;
	const char *const *cells;
};

static const char *cell(const struct rowset *rows, unsigned row, unsigned column, size_t *len)
{
	const struct table *table = rows->data;
	const char *text = table->cells[row * table->columns + column];

	*len = text ? strlen(text) : 0;
	return text;
}

static int decode(void *mem, const char *const *cells, unsigned n, unsigned columns, struct ledger_row **ret, struct error *err)
{
	struct table table = { columns, cells };
	struct rowset rows = { .rows = n, .columns = columns, .cell = cell, .data = &table };
	uint32_t n_rows = 0;
	int r = ledger_decode(mem, &rows, ret, &n_rows, err);

	if (!r)
		assert_int_equal(n_rows, n);
	return r;
}

static void decoding(void **state)
{
	void *mem = talloc_new(NULL);
	struct ledger_row *rows;
	struct error err = { 0 };
	const char *good[] = { "0", NULL, "<< Flyway Schema Creation >>", "SCHEMA", "\"app\"", NULL, "u", "2020-01-01 00:00:00", "0", "t",
			       "1", "1.1", "a", "SQL", "V1_1__a.sql", "-2147483648", "u", "2020-01-01 00:00:00.5", "12", "f" };

	(void)state;
	assert_int_equal(decode(mem, good, 2, 10, &rows, &err), 0);
	assert_null(rows[0].version);
	assert_false(rows[0].has_checksum);
	assert_int_equal(rows[1].checksum, INT32_MIN);
	assert_string_equal(rows[1].version, "1.1");
	assert_int_equal(rows[1].execution_time_ms, 12);
	assert_false(rows[1].success);
	assert_int_equal(decode(mem, good, 1, 9, &rows, &err), 1);
	for (unsigned broken = 0; broken < 10; broken++) {
		const char *copy[10], *words[] = { "x", "1x", "99999999999", "", NULL };

		if (broken == 1 || broken == 2 || broken == 3 || broken == 4 || broken == 6 || broken == 7)
			continue;        /* any text will do */
		for (unsigned w = 0; w < 5; w++) {
			memcpy(copy, good + 10, sizeof copy);
			copy[broken] = words[w];
			error_clear(&err);
			assert_int_equal(decode(mem, copy, 1, 10, &rows, &err), broken == 5 && !words[w] ? 0 : 1);
		}
	}
	talloc_free(mem);
}

#define WITH_HASHES(hash, mixed) "1", "1", "a", "SQL", "V1__a.sql", "5", "u", "2020-01-01 00:00:00", "1", "t", hash, mixed

static void sums(void **state)
{
	const char *const rows[] = { WITH_HASHES("-9223372036854775808", "-1"), WITH_HASHES("-9223372036854775807", "3"), WITH_HASHES("x", "1"),
				     WITH_HASHES(NULL, "1"), WITH_HASHES("-", "1") };
	const char *const sum[] = { "2", "-18446744073709551615", "2" }, *const none[] = { "0", NULL, NULL }, *const bad[] = { "1", NULL, "2" };
	struct table table = { 12, rows }, table_sum = { 3, sum }, table_none = { 3, none }, table_bad = { 3, bad };
	struct rowset read = { .rows = 2, .columns = 12, .cell = cell, .data = &table };
	struct rowset summed = { .rows = 1, .columns = 3, .cell = cell, .data = &table_sum };
	struct ledger_sum a, b;

	(void)state;
	assert_true(ledger_sum_rows(&read, &a) && ledger_sum_decode(&summed, &b));
	assert_true(ledger_sum_same(&a, &b) && a.rows == 2 && a.sum == 1 && a.mixed == 2);
	for (unsigned i = 0; i < 3; i++) {
		b = a;
		(&b.rows)[i]++;
		assert_false(ledger_sum_same(&a, &b));
	}
	read.rows = 1;
	for (unsigned i = 2; i < 5; i++) {
		table.cells = rows + 12 * i;
		assert_false(ledger_sum_rows(&read, &a));
	}
	table.cells = rows;
	assert_true(ledger_sum_rows(&read, &a));
	read.columns = 10;
	assert_false(ledger_sum_rows(&read, &a));
	summed.data = &table_none;
	assert_true(ledger_sum_decode(&summed, &b) && b.rows == 0 && b.sum == 0);
	summed.data = &table_bad;
	assert_false(ledger_sum_decode(&summed, &b));
	summed.columns = 2;
	assert_false(ledger_sum_decode(&summed, &b));
}

/* ---- comparison ---- */

static struct migration_file file(enum migration_type type, const char *version, const char *description, int32_t checksum)
{
	return (struct migration_file){ .type = type, .version = version, .description = description, .script = description,
					.text = "", .sql = "", .checksum = checksum, .transactional = true };
}

static struct ledger_row row(int rank, const char *version, const char *description, const char *type, int32_t checksum, bool success)
{
	return (struct ledger_row){ .rank = rank, .version = version, .description = description, .type = type, .script = "s",
				    .installed_by = "u", .installed_on = "2020-01-01", .has_checksum = true, .checksum = checksum,
				    .success = success };
}

#define V(version, description, checksum) file(MIGRATION_VERSIONED, version, description, checksum)
#define R(description, checksum) file(MIGRATION_REPEATABLE, NULL, description, checksum)
#define B(version, description, checksum) file(MIGRATION_BASELINE, version, description, checksum)
#define SQL(rank, version, description, checksum) row(rank, version, description, "SQL", checksum, true)

/* One line per entry: "1 applied, 2 pending". */
static struct migration_list *compare(void *mem, struct migration_file *files, uint32_t n_files, struct ledger_row *rows, uint32_t n_rows,
				      const char *expected)
{
	struct migration_files *all = talloc_zero(mem, struct migration_files);
	struct migration_list *list;
	char *text = talloc_strdup(mem, "");
	uint32_t sum = 0;

	all->v = files;
	all->tolerate = MIGRATION_TOLERATE_FUTURE;
	all->n = n_files;
	list = migration_compare(mem, all, rows, n_rows);
	for (uint32_t i = 0; i < list->n; i++) {
		const struct migration *m = &list->v[i];
		const char *version = m->file ? m->file->version : m->row->version;

		text = talloc_asprintf_append(text, "%s%s %s", i ? ", " : "",
					      version ? version : m->file ? m->file->description : m->row->description,
					      migration_state_name(m->state));
	}
	for (int s = 0; s < MIGRATION_STATES; s++)
		sum += list->counts[s];
	assert_int_equal(sum, list->n);
	assert_string_equal(text, expected);
	assert_int_equal(list->blocked, error_is_set(&list->why));
	if (list->blocked)
		assert_true(list->why.hint[0]);
	return list;
}

#define N(array) (sizeof(array) / sizeof *(array))

static void simple_states(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), V("2", "b", 2), V("10", "c", 3), R("view", 4) };
	struct ledger_row two[] = { SQL(1, "1.0", "a", 1), SQL(2, "2", "b", 2) };
	struct ledger_row changed[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 99) };
	struct ledger_row renamed[] = { SQL(1, "1", "old name", 1) };
	struct ledger_row gap[] = { SQL(1, "1", "a", 1), SQL(2, "10", "c", 3) };
	struct ledger_row missing[] = { SQL(1, "1", "a", 1), SQL(2, "1.5", "x", 7) };
	struct ledger_row future[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2), SQL(3, "10", "c", 3), SQL(4, "11", "later", 9) };
	struct ledger_row failed[] = { SQL(1, "1", "a", 1), row(2, "2", "b", "SQL", 2, false) };
	struct migration_list *list;

	(void)state;
	list = compare(mem, files, N(files), NULL, 0, "1 pending, 2 pending, 10 pending, view pending");
	assert_false(list->blocked);
	assert_null(list->current_version);
	assert_int_equal(list->last_rank, 0);
	list = compare(mem, files, N(files), two, N(two), "1 applied, 2 applied, 10 pending, view pending");
	assert_string_equal(list->current_version, "2");
	assert_int_equal(list->last_rank, 2);
	list = compare(mem, files, N(files), changed, N(changed), "1 applied, 2 checksum_mismatch, 10 pending, view pending");
	assert_true(list->blocked);
	assert_string_equal(list->why.file, "b");
	assert_non_null(strstr(list->why.text, "changed after it was applied"));
	assert_true(compare(mem, files, N(files), renamed, 1, "1 checksum_mismatch, 2 pending, 10 pending, view pending")->blocked);
	list = compare(mem, files, N(files), gap, N(gap), "1 applied, 10 applied, 2 out_of_order, view pending");
	assert_true(list->blocked);
	assert_non_null(strstr(list->why.hint, "above 10"));
	list = compare(mem, files, N(files), missing, N(missing), "1 applied, 1.5 missing, 2 pending, 10 pending, view pending");
	assert_true(list->blocked);
	assert_non_null(strstr(list->why.text, "missing"));
	list = compare(mem, files, N(files), future, N(future), "1 applied, 2 applied, 10 applied, 11 future, view pending");
	assert_false(list->blocked);
	assert_int_equal(list->n_warnings, 1);
	list = compare(mem, files, N(files), failed, N(failed), "1 applied, 2 failed, 10 pending, view pending");
	assert_true(list->blocked);
	assert_non_null(strstr(list->why.hint, "migrations TARGET repair"));
	/* no file at all is not "the database is ahead" */
	assert_true(compare(mem, NULL, 0, two, N(two), "1.0 missing, 2 missing")->blocked);
	talloc_free(mem);
}

static void repeatables(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), R("view", 4) };
	struct migration_file later[] = { V("1", "a", 1), V("2", "b", 2), R("a new one", 5), R("view", 4) };
	struct ledger_row rows[] = { SQL(1, NULL, "view", 3), SQL(2, "1", "a", 1), SQL(3, NULL, "view", 4) };
	struct ledger_row gone[] = { SQL(1, "1", "a", 1), SQL(2, NULL, "other", 3) };

	(void)state;
	compare(mem, files, N(files), rows, N(rows), "1 applied, view applied");
	rows[2].checksum = 5;
	assert_false(compare(mem, files, N(files), rows, N(rows), "1 applied, view outdated")->blocked);
	/* repeatable ones run after every version, also those that ran before */
	assert_false(compare(mem, later, N(later), rows, N(rows), "1 applied, 2 pending, a new one pending, view outdated")->blocked);
	/* the sum of the text before placeholders were replaced is accepted too */
	files[1].raw = "x";
	files[1].raw_checksum = 5;
	assert_false(compare(mem, files, N(files), rows, N(rows), "1 applied, view applied")->blocked);
	assert_true(compare(mem, files, N(files), gone, N(gone), "1 applied, other missing, view pending")->blocked);
	talloc_free(mem);
}

/* As large as a ledger may be, of repeatables that ran with every deployment: the daemon does nothing else meanwhile. */
static void many_repeatables(void **state)
{
	static char descriptions[20][16];
	void *mem = talloc_new(NULL);
	struct migration_file v[20];
	struct migration_files files = { .v = v, .n = 20 };
	struct ledger_row *rows = talloc_zero_array(mem, struct ledger_row, 100000);
	struct migration_list *list;

	(void)state;
	for (unsigned i = 0; i < 20; i++) {
		snprintf(descriptions[i], sizeof descriptions[i], "view number %02u", i);
		v[i] = (struct migration_file){ .type = MIGRATION_REPEATABLE, .description = descriptions[i], .script = "R.sql", .checksum = 7 };
	}
	for (int i = 0; i < 100000; i++)
		rows[i] = (struct ledger_row){ .rank = i + 1, .description = talloc_strdup(mem, descriptions[i % 20]), .type = "SQL", .script = "R.sql",
					       .installed_by = "x", .installed_on = "", .success = true, .has_checksum = true,
					       .checksum = i < 99990 ? i : 7 };
	list = migration_compare(mem, &files, rows, 100000);
	assert_int_equal(list->n, 20);
	assert_int_equal(list->counts[MIGRATION_APPLIED], 10);
	assert_int_equal(list->counts[MIGRATION_OUTDATED], 10);
	assert_int_equal(list->last_rank, 100000);
	talloc_free(mem);
}

/* What Flyway's commands leave: baseline, schema creation, repair of a missing file, undo, Java migrations. */
static void flyway_rows(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), V("2", "b", 2), V("3", "c", 3) };
	struct ledger_row baseline[] = { row(0, NULL, "<< Flyway Schema Creation >>", "SCHEMA", 0, true),
					 row(1, "2", "<< Flyway Baseline >>", "BASELINE", 0, true) };
	struct ledger_row deleted[] = { SQL(1, "1", "a", 1), SQL(2, "1.5", "x", 7), row(3, "1.5", "x", "DELETE", 7, true), SQL(4, "2", "b", 2) };
	struct ledger_row undone[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2), row(3, "2", "b", "UNDO_SQL", 5, true) };
	struct ledger_row redone[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 9), row(3, "2", "b", "UNDO_SQL", 5, true), SQL(4, "2", "b", 2) };
	struct ledger_row java[] = { SQL(1, "1", "a", 1), row(2, "1.5", "J", "JDBC", 0, true) };
	struct ledger_row taken[] = { SQL(1, "1", "a", 1), row(2, "2", "b", "JDBC", 2, true) };
	struct ledger_row unknown[] = { SQL(1, "1", "a", 1) };
	struct migration_list *list;

	(void)state;
	list = compare(mem, files, N(files), baseline, N(baseline),
		       "<< Flyway Schema Creation >> baselined, 2 baselined, 1 ignored, 2 ignored, 3 pending");
	assert_false(list->blocked);
	assert_string_equal(list->current_version, "2");
	assert_int_equal(list->last_rank, 1);
	assert_false(compare(mem, files, N(files), deleted, N(deleted), "1 applied, 2 applied, 3 pending")->blocked);
	assert_true(compare(mem, files, N(files), undone, N(undone), "1 applied, 2 undone, 3 pending")->blocked);
	assert_false(compare(mem, files, N(files), redone, N(redone), "1 applied, 2 applied, 3 pending")->blocked);
	assert_false(compare(mem, files, N(files), java, N(java), "1 applied, 1.5 applied, 2 pending, 3 pending")->blocked);
	assert_true(compare(mem, files, N(files), taken, N(taken), "1 applied, 2 checksum_mismatch, 3 pending")->blocked);
	unknown[0].has_checksum = false;
	assert_false(compare(mem, files, N(files), unknown, 1, "1 applied, 2 pending, 3 pending")->blocked);
	talloc_free(mem);
}

#define UNDO(rank, version, description) row(rank, version, description, "UNDO_SQL", 55, true)

/* What was undone runs by order only, and holds up the rest, until its file is another one or gone. */
static void undone(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), V("2", "b", 2), V("3", "c", 3), R("view", 4) };
	struct migration_file without[] = { V("1", "a", 1), V("3", "c", 3) }, late[] = { V("1", "a", 1), V("2.5", "x", 9), V("3", "c", 3) };
	struct ledger_row rows[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2), UNDO(3, "2.0", "b"), SQL(4, "2", "b", 2), UNDO(5, "2", "b"),
				     SQL(6, "2", "b", 2), SQL(7, "3", "c", 3), UNDO(8, "3", "c"), UNDO(9, "2", "b") };
	struct ledger_row order[] = { SQL(1, "1", "a", 1), SQL(2, "3", "c", 3), SQL(3, "2.5", "x", 9), UNDO(4, "2.5", "x") };
	struct ledger_row failed[] = { SQL(1, "1", "a", 1), UNDO(2, "1", "a"), row(3, "1", "a", "SQL", 1, false) };
	struct ledger_row undo_failed[] = { SQL(1, "1", "a", 1), row(2, "1", "a", "UNDO_SQL", 5, false) };
	struct ledger_row deleted[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2), UNDO(3, "2", "b"), row(4, "2", "b", "DELETE", 2, true) };
	struct ledger_row alone[] = { SQL(1, "1", "a", 1), UNDO(2, "2", "b") };
	struct migration_list *list;

	(void)state;
	list = compare(mem, files, N(files), rows, 3, "1 applied, 2 undone, 3 pending, view pending");
	assert_true(list->blocked);
	assert_string_equal(list->current_version, "1");
	assert_int_equal(list->last_rank, 3);
	assert_int_equal(list->v[1].row->rank, 3);
	assert_int_equal(list->v[1].file - files, 1);
	assert_false(migration_runs(&list->v[1]));
	assert_string_equal(list->why.file, "b");
	assert_string_equal(list->why.text, "version 2 was undone at 2020-01-01 by u: neither it nor what comes after it runs by itself");
	assert_non_null(strstr(list->why.hint, "migrations TARGET run 2 applies it again"));
	/* applied again, undone again, and again */
	assert_false(compare(mem, files, N(files), rows, 4, "1 applied, 2 applied, 3 pending, view pending")->blocked);
	assert_true(compare(mem, files, N(files), rows, 5, "1 applied, 2 undone, 3 pending, view pending")->blocked);
	assert_false(compare(mem, files, N(files), rows, 7, "1 applied, 2 applied, 3 applied, view pending")->blocked);
	assert_true(compare(mem, files, N(files), rows, 8, "1 applied, 2 applied, 3 undone, view pending")->blocked);
	/* of two the first is the reason */
	list = compare(mem, files, N(files), rows, 9, "1 applied, 2 undone, 3 undone, view pending");
	assert_non_null(strstr(list->why.text, "version 2 was undone"));
	/* a corrected file is pending like any; the last run is what it is compared with */
	files[1].checksum = 22;
	list = compare(mem, files, N(files), rows, 3, "1 applied, 2 pending, 3 pending, view pending");
	assert_false(list->blocked);
	assert_true(migration_runs(&list->v[1]));
	rows[3].checksum = 22;
	assert_true(compare(mem, files, N(files), rows, 5, "1 applied, 2 undone, 3 pending, view pending")->blocked);
	/* ... but for what is called no change elsewhere: line ends */
	files[1].text = "a\n";
	files[1].len = 2;
	files[1].checksum = migration_checksum("a", 1);
	rows[3].checksum = -571825913;
	assert_true(compare(mem, files, N(files), rows, 5, "1 applied, 2 undone, 3 pending, view pending")->blocked);
	/* what is to run before it does not wait for it */
	files[1].checksum = 33;
	list = compare(mem, files, N(files), rows, 9, "1 applied, 2 pending, 3 undone, view pending");
	assert_false(list->blocked);
	assert_true(migration_runs(&list->v[1]));
	assert_false(migration_runs(&list->v[2]) || migration_runs(&list->v[3]));
	files[1].checksum = 22;
	/* without its file it is in the ledger's place, and nothing waits */
	list = compare(mem, without, N(without), rows, 7, "1 applied, 2 missing, 3 applied");
	assert_true(list->blocked);
	list = compare(mem, without, N(without), rows, 5, "1 applied, 2 undone, 3 pending");
	assert_false(list->blocked);
	/* ... also above every file */
	assert_false(compare(mem, without, 1, rows, 5, "1 applied, 2 undone")->blocked);
	/* below what is applied */
	list = compare(mem, late, N(late), order, N(order), "1 applied, 3 applied, 2.5 undone");
	assert_non_null(strstr(list->why.hint, "run 2.5 --out-of-order"));
	late[1].checksum = 10;
	assert_true(compare(mem, late, N(late), order, N(order), "1 applied, 3 applied, 2.5 out_of_order")->blocked);
	/* it failed when it ran again; its undo failed */
	assert_true(compare(mem, without, 1, failed, N(failed), "1 failed")->blocked);
	list = compare(mem, without, 1, undo_failed, N(undo_failed), "1 applied, 1 failed");
	assert_non_null(strstr(list->why.text, "the undo of version 1 failed"));
	/* somebody marked it as deleted since; the ledger lost what was undone */
	assert_false(compare(mem, without, 1, deleted, N(deleted), "1 applied")->blocked);
	files[1].checksum = 7;
	assert_true(compare(mem, files, 2, alone, N(alone), "1 applied, 2 undone")->blocked);
	talloc_free(mem);
}

/* Neither what a baseline stands for nor the baseline itself is ever undone. */
static void undone_beside_baselines(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), B("2", "all", 8), V("2", "b", 2), V("3", "c", 3) };
	struct ledger_row marker[] = { row(1, "2", "<< Flyway Baseline >>", "BASELINE", 0, true), UNDO(2, "2", "b") };
	struct ledger_row file_row[] = { row(1, "2", "all", "SQL_BASELINE", 8, true), UNDO(2, "2", "b") };

	(void)state;
	assert_false(compare(mem, files, N(files), marker, 2, "2 baselined, 1 ignored, 2 ignored, 2 ignored, 3 pending")->blocked);
	assert_false(compare(mem, files, N(files), file_row, 2, "2 applied, 1 ignored, 2 ignored, 3 pending")->blocked);
	talloc_free(mem);
}

static void baseline_files(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), B("2", "old", 8), V("2", "b", 2), B("3", "all", 9), V("3", "c", 3), V("4", "d", 4) };
	struct migration_file short_of[] = { B("3", "all", 9), V("4", "d", 4) };
	struct ledger_row schema[] = { row(0, NULL, "<< Flyway Schema Creation >>", "SCHEMA", 0, true) };
	struct ledger_row after[] = { row(1, "3", "all", "SQL_BASELINE", 9, true) };
	struct ledger_row before[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2), SQL(3, "3", "c", 3) };
	const char *fresh = "1 ignored, 2 ignored, 2 ignored, 3 pending, 3 ignored, 4 pending";

	(void)state;
	compare(mem, files, N(files), NULL, 0, fresh);
	assert_false(compare(mem, files, N(files), schema, 1,
			     "<< Flyway Schema Creation >> baselined, 1 ignored, 2 ignored, 2 ignored, 3 pending, 3 ignored, 4 pending")->blocked);
	assert_false(compare(mem, files, N(files), after, 1, "3 applied, 1 ignored, 2 ignored, 2 ignored, 3 ignored, 4 pending")->blocked);
	after[0].checksum = 10;
	assert_true(compare(mem, files, N(files), after, 1,
			    "3 checksum_mismatch, 1 ignored, 2 ignored, 2 ignored, 3 ignored, 4 pending")->blocked);
	assert_false(compare(mem, files, N(files), before, 3, "1 applied, 2 applied, 3 applied, 2 ignored, 3 ignored, 4 pending")->blocked);
	/* the old files may go when a baseline stands for them */
	assert_false(compare(mem, short_of, N(short_of), before, 3, "1 ignored, 2 ignored, 3 ignored, 3 ignored, 4 pending")->blocked);
	talloc_free(mem);
}

static void refused_files(void **state)
{
	void *mem = talloc_new(NULL);
	struct migration_file files[] = { V("1", "a", 1), V("2", "b", 2) };
	struct ledger_row one[] = { SQL(1, "1", "a", 1) }, both[] = { SQL(1, "1", "a", 1), SQL(2, "2", "b", 2) };
	struct migration_list *list;

	(void)state;
	error_set_at(&files[1].refused, "b.sql", 7, "COMMIT: not here");
	error_hint(&files[1].refused, "take it out");
	list = compare(mem, files, 2, one, 1, "1 applied, 2 pending");
	assert_true(list->blocked);
	assert_int_equal(list->why.line, 7);
	assert_non_null(strstr(list->v[1].note, "line 7: COMMIT"));
	/* what Flyway ran long ago may be as it is */
	assert_false(compare(mem, files, 2, both, 2, "1 applied, 2 applied")->blocked);
	talloc_free(mem);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(lock_key), cmocka_unit_test(texts), cmocka_unit_test(cuts), cmocka_unit_test(decoding), cmocka_unit_test(sums),
		cmocka_unit_test(simple_states), cmocka_unit_test(repeatables), cmocka_unit_test(many_repeatables), cmocka_unit_test(flyway_rows),
		cmocka_unit_test(undone), cmocka_unit_test(undone_beside_baselines), cmocka_unit_test(baseline_files), cmocka_unit_test(refused_files),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
