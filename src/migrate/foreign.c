/* SPDX-License-Identifier: PostgreSQL */
/* What the ledgers of other tools hold, and how that compares with the files. */
#include "migrate/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

#define ROWS_MAX 100000

static const struct {
	const char *columns, *order;
	unsigned n;
} shapes[LEDGER_FORMATS] = {
	[LEDGER_DBMATE] = { "\"version\"", "\"version\"", 1 },
	[LEDGER_GOLANG_MIGRATE] = { "\"version\", \"dirty\"", "\"version\"", 2 },
	[LEDGER_ALEMBIC] = { "\"version_num\"", "\"version_num\"", 1 },
	[LEDGER_SQITCH] = { "\"change\", \"planned_at\", \"committed_at\", \"committer_name\", \"project\"", "\"committed_at\"", 5 },
};

char *foreign_sql_select(void *parent, enum ledger_format format, const char *schema, const char *table)
{
	struct text *text = text_new(NULL);
	char *sql;

	text_addf(text, "SELECT %s FROM ONLY ", shapes[format].columns);
	quote_ident(text, schema);
	text_add_char(text, '.');
	quote_ident(text, table);
	text_addf(text, " ORDER BY %s LIMIT %d", shapes[format].order, ROWS_MAX + 1);
	sql = talloc_steal(parent, text->s);
	talloc_free(text);
	return sql;
}

/* "2026-01-02 03:04:05.678+00" -> "2026-01-02T03:04:05Z", as sqitch.plan has it; anything else stays. */
static char *planned(void *parent, const char *stamp)
{
	size_t len = strlen(stamp);

	if (len < 22 || stamp[10] != ' ' || strcmp(stamp + len - 3, "+00") != 0)
		return talloc_strdup(parent, stamp);
	return talloc_asprintf(parent, "%.10sT%.8sZ", stamp, stamp + 11);
}

static int decode_row(void *parent, enum ledger_format format, const char *const *cells, struct ledger_row *ret)
{
	*ret = (struct ledger_row){ .rank = ret->rank, .description = "", .type = ledger_tool(format)->name, .script = "", .installed_by = "",
				    .installed_on = "", .execution_time_ms = -1, .success = true };
	if (cells[0] == NULL)
		return 1;
	ret->version = talloc_strdup(parent, cells[0]);
	if (format == LEDGER_GOLANG_MIGRATE) {
		if (cells[1] == NULL || (strcmp(cells[1], "t") != 0 && strcmp(cells[1], "f") != 0))
			return 1;
		ret->success = cells[1][0] == 'f';
	} else if (format == LEDGER_SQITCH) {
		for (int i = 1; i < 5; i++)
			if (cells[i] == NULL)
				return 1;
		ret->version = talloc_asprintf(parent, "%s %s", cells[0], planned(parent, cells[1]));
		ret->description = talloc_strdup(parent, cells[0]);
		ret->installed_on = talloc_strdup(parent, cells[2]);
		ret->installed_by = talloc_strdup(parent, cells[3]);
		ret->script = talloc_strdup(parent, cells[4]);        /* the project, for the comparison */
	}
	return 0;
}

int foreign_decode(void *parent, enum ledger_format format, const struct rowset *rows, struct ledger_row **ret, uint32_t *ret_n,
		   struct error *err)
{
	const char *cells[5] = { NULL };
	struct ledger_row *v;
	size_t len;

	if (rows->columns != shapes[format].n || rows->rows > ROWS_MAX) {
		error_set(err, rows->rows > ROWS_MAX ? "the ledger has more than 100,000 rows" : "the ledger's answer has other columns than were asked for");
		return 1;
	}
	v = talloc_zero_array(parent, struct ledger_row, rows->rows + 1);
	if (!v)
		return -ENOMEM;
	for (unsigned i = 0; i < rows->rows; i++) {
		for (unsigned c = 0; c < rows->columns; c++)
			cells[c] = rows->cell(rows, i, c, &len);
		v[i].rank = (int)i + 1;
		if (decode_row(v, format, cells, &v[i])) {
			error_set(err, "row %u of the ledger of %s cannot be understood", i + 1, ledger_tool(format)->name);
			talloc_free(v);
			return 1;
		}
	}
	*ret = v;
	*ret_n = rows->rows;
	return 0;
}

/* ---- the comparison ---- */

struct comparison {
	struct migration_list *list;
	const struct migration_files *files;
	const struct ledger_row *rows;
	uint32_t n_rows;
	const struct ledger_row **sorted;      /* rows by version */
};

static void add(struct comparison *c, enum migration_state state, const struct migration_file *file, const struct ledger_row *row,
		const char *note)
{
	migration_list_add(c->list, state, file, row, note);
}

static void add_unknown(struct comparison *c, const struct ledger_row *row, const char *note)
{
	add(c, MIGRATION_UNKNOWN, NULL, row, note);
	migration_list_warn(c->list, talloc_asprintf(c->list, "version %s is in the ledger, but not in the files: are these files older than the database?", row->version));
}

static int by_version(const void *a, const void *b)
{
	return strcmp((*(const struct ledger_row *const *)a)->version, (*(const struct ledger_row *const *)b)->version);
}

static const struct ledger_row *find_row(const struct comparison *c, const char *version)
{
	const struct ledger_row key = { .version = version }, *at = &key;
	const struct ledger_row **found = bsearch(&at, c->sorted, c->n_rows, sizeof(*c->sorted), by_version);

	return found ? *found : NULL;
}

static bool *used_rows(struct comparison *c)
{
	bool *used = talloc_zero_array(c->list, bool, c->n_rows + 1);

	if (!used)
		abort();
	return used;
}

/* The ledger is a set of versions. */
static void compare_dbmate(struct comparison *c)
{
	bool *used = used_rows(c);

	for (uint32_t i = 0; i < c->files->n; i++) {
		const struct migration_file *file = &c->files->v[i];
		const struct ledger_row *row = find_row(c, file->version);

		add(c, row ? MIGRATION_APPLIED : MIGRATION_PENDING, file, row, NULL);
		if (row)
			used[row - c->rows] = true;
	}
	for (uint32_t i = 0; i < c->n_rows; i++) {
		if (!used[i])
			add_unknown(c, &c->rows[i], "no file has this version");
		if (!c->list->current_version || strcmp(c->rows[i].version, c->list->current_version) > 0)
			c->list->current_version = c->rows[i].version;
	}
	talloc_free(used);
}

/* The ledger is a pointer: what is below it is believed to be applied. */
static void compare_golang(struct comparison *c)
{
	const struct ledger_row *row = c->n_rows > 0 ? &c->rows[0] : NULL;
	long long pointer = row ? strtoll(row->version, NULL, 10) : -1;
	bool found = false;

	for (uint32_t i = 0; i < c->files->n; i++) {
		const struct migration_file *file = &c->files->v[i];
		long long version = strtoll(file->version, NULL, 10);

		found |= row && version == pointer;
		if (row && version == pointer)
			add(c, row->success ? MIGRATION_APPLIED : MIGRATION_FAILED, file, row, row->success ? NULL : "dirty in the ledger");
		else
			add(c, version < pointer ? MIGRATION_APPLIED : MIGRATION_PENDING, file, NULL,
			    version < pointer ? "below the version of the ledger, which names no others" : NULL);
	}
	if (row && !found && !row->success)
		add(c, MIGRATION_FAILED, NULL, row, "dirty in the ledger, and no file has this version");
	else if (row && !found)
		add_unknown(c, row, "no file has this version");
	c->list->current_version = row && pointer >= 0 ? row->version : NULL;
	if (c->n_rows > 1)
		migration_list_warn(c->list, "the ledger of golang-migrate has more than one row: only the first is looked at");
}

/* The ledger has the heads: what they are built on is applied. */
static void compare_alembic(struct comparison *c)
{
	bool *applied = talloc_zero_array(c->list, bool, c->files->n + 1), *used = used_rows(c), lost = false;

	for (uint32_t i = 0; i < c->n_rows; i++) {
		used[i] = alembic_mark(c->files, c->rows[i].version, applied);
		lost |= !used[i];
		c->list->current_version = !c->list->current_version ? c->rows[i].version :
			talloc_asprintf(c->list, "%s, %s", c->list->current_version, c->rows[i].version);
	}
	for (uint32_t i = 0; i < c->files->n; i++) {
		const struct migration_file *file = &c->files->v[i];

		if (applied[i])
			add(c, MIGRATION_APPLIED, file, find_row(c, file->version), NULL);
		else
			add(c, lost ? MIGRATION_UNKNOWN : MIGRATION_PENDING, file, NULL,
			    lost ? "the ledger is at a revision that no file has: whether this is below it is not known" : NULL);
	}
	for (uint32_t i = 0; i < c->n_rows; i++)
		if (!used[i])
			add_unknown(c, &c->rows[i], "no file has this revision");
	talloc_free(applied);
	talloc_free(used);
}

static const char *sqitch_note(struct comparison *c, const struct ledger_row *row)
{
	for (uint32_t i = 0; i < c->files->n; i++)
		if (strcmp(c->files->v[i].description, row->description) == 0)
			return "the plan has this change, planned at another time";
	return "the plan does not have this change";
}

/* Name and time of planning say which one of a reworked change it is. */
static void compare_sqitch(struct comparison *c)
{
	bool *used = used_rows(c);

	for (uint32_t i = 0; i < c->files->n; i++) {
		const struct migration_file *file = &c->files->v[i];
		const struct ledger_row *row = find_row(c, file->version);

		if (row && strcmp(row->script, c->files->foreign->project) != 0)
			row = NULL;
		add(c, row ? MIGRATION_APPLIED : MIGRATION_PENDING, file, row, NULL);
		if (row)
			used[row - c->rows] = true;
	}
	for (uint32_t i = 0; i < c->n_rows; i++) {
		if (strcmp(c->rows[i].script, c->files->foreign->project) != 0)
			continue;                 /* another project of the same registry */
		c->list->current_version = c->rows[i].description;
		if (!used[i])
			add_unknown(c, &c->rows[i], sqitch_note(c, &c->rows[i]));
	}
	talloc_free(used);
}

static void (*const comparers[LEDGER_FORMATS])(struct comparison *) = {
	[LEDGER_DBMATE] = compare_dbmate, [LEDGER_GOLANG_MIGRATE] = compare_golang, [LEDGER_ALEMBIC] = compare_alembic,
	[LEDGER_SQITCH] = compare_sqitch,
};

/* Nothing of it is ever run from here. */
static void refuse(struct comparison *c)
{
	const struct ledger_tool *tool = ledger_tool(c->files->foreign->format);
	struct migration_list *list = c->list;

	if (list->counts[MIGRATION_FAILED] > 0) {
		list->blocked = true;
		error_set(&list->why, "read-only ledger of %s: version %s is dirty, it failed or is running", tool->name, c->rows[0].version);
		error_hint(&list->why, "put the database right, then: migrate force %s", c->rows[0].version);
	} else if (list->counts[MIGRATION_PENDING] > 0) {
		list->blocked = true;
		error_set(&list->why, "read-only ledger of %s: %u pending, the daemon does not run them", tool->name, list->counts[MIGRATION_PENDING]);
		error_hint(&list->why, "%s", tool->command);
	}
}

struct migration_list *foreign_compare(void *parent, const struct migration_files *files, const struct ledger_row *rows, uint32_t n_rows)
{
	struct migration_list *list = talloc_zero(parent, struct migration_list);
	struct comparison c = { .list = list, .files = files, .rows = rows, .n_rows = n_rows };

	if (!list)
		return NULL;
	list->v = talloc_zero_array(list, struct migration, n_rows + files->n + 1);
	c.sorted = talloc_array(list, const struct ledger_row *, n_rows + 1);
	if (!list->v || !c.sorted) {
		talloc_free(list);
		return NULL;
	}
	for (uint32_t i = 0; i < n_rows; i++)
		c.sorted[i] = &rows[i];
	if (n_rows > 1)
		qsort(c.sorted, n_rows, sizeof(*c.sorted), by_version);
	list->last_rank = (int)n_rows;
	for (uint32_t i = 0; i < files->n_warnings; i++)
		migration_list_warn(c.list, files->warnings[i]);
	comparers[files->foreign->format](&c);
	refuse(&c);
	return list;
}
