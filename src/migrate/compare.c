/* SPDX-License-Identifier: PostgreSQL */
/*
 * Files against ledger: the state of each, and whether anything may run. The
 * rules are Flyway's defaults (validate on, out of order off, future ignored);
 * what its "repair" would smooth over blocks here, always with a way out.
 */
#include "migrate/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static const char *const state_names[MIGRATION_STATES] = {
	[MIGRATION_APPLIED] = "applied",
	[MIGRATION_PENDING] = "pending",
	[MIGRATION_MISSING] = "missing",
	[MIGRATION_FAILED] = "failed",
	[MIGRATION_CHECKSUM_MISMATCH] = "checksum_mismatch",
	[MIGRATION_OUT_OF_ORDER] = "out_of_order",
	[MIGRATION_FUTURE] = "future",
	[MIGRATION_IGNORED] = "ignored",
	[MIGRATION_BASELINED] = "baselined",
	[MIGRATION_OUTDATED] = "outdated",
	[MIGRATION_INDETERMINATE] = "indeterminate",
	[MIGRATION_UNDONE] = "undone",
	[MIGRATION_UNKNOWN] = "unknown",
};

const char *migration_state_name(enum migration_state state)
{
	return state_names[state];
}

void migration_list_add(struct migration_list *list, enum migration_state state, const struct migration_file *file, const struct ledger_row *row,
			const char *note)
{
	list->v[list->n++] = (struct migration){ .state = state, .file = file, .row = row, .note = note };
	list->counts[state]++;
}

void migration_list_warn(struct migration_list *list, const char *text)
{
	list->warnings = talloc_realloc(list, list->warnings, const char *, list->n_warnings + 1);
	if (!list->warnings)
		abort();
	list->warnings[list->n_warnings++] = text;
}

/* An undo that nothing came after, and the run that it took back; NULL: the ledger has no row of that. */
struct undoing {
	const struct ledger_row *row, *was;
};

struct comparison {
	struct migration_list *list;
	const struct migration_files *files;
	const struct ledger_row *rows;
	uint32_t n_rows;
	bool *gone;                  /* rows that later rows took back or replaced */
	bool *used;                  /* files that a row belongs to */
	const struct ledger_row **outdated;   /* by file: the row of a repeatable that runs again, in the order of files */
	struct undoing *undoings;    /* those that stand */
	uint32_t n_undoings;
	const struct undoing **undone;       /* by file: what was undone and now has the file that it had */
	const char *baseline;        /* highest baseline in the ledger, or NULL */
	const char *new_baseline;    /* the B file that runs on an empty history, or NULL */
	const char *newest_b;        /* highest B file, or NULL */
	const char *highest_file;    /* highest version of all files, or NULL */
};

static bool type_is(const struct ledger_row *row, const char *type)
{
	return !strcmp(row->type, type);
}

static bool is_marker(const struct ledger_row *row)
{
	return type_is(row, "SCHEMA") || type_is(row, "BASELINE") || type_is(row, "JDBC_BASELINE");
}

static bool is_undo(const struct ledger_row *row)
{
	return !strncmp(row->type, "UNDO", 4);
}

static bool same_migration(const struct ledger_row *a, const struct ledger_row *b)
{
	if (!a->version || !b->version)
		return !a->version && !b->version && !strcmp(a->description, b->description);
	return !migration_version_compare(a->version, b->version);
}

static bool at_most(const char *version, const char *limit)
{
	return limit && migration_version_compare(version, limit) <= 0;
}

static void raise(const char **highest, const char *version)
{
	if (version && (!*highest || migration_version_compare(version, *highest) > 0))
		*highest = version;
}

/* A baseline is not undone. */
static bool can_take_back(const struct ledger_row *row, const struct ledger_row *older)
{
	return !is_marker(older) && same_migration(row, older) && !(is_undo(row) && type_is(older, "SQL_BASELINE"));
}

/* What comes after an undo of the same version ends it: it was applied again, or marked as deleted. */
static void end_undoing(struct comparison *c, const struct ledger_row *row)
{
	for (uint32_t i = 0; i < c->n_undoings; i++)
		if (same_migration(row, c->undoings[i].row)) {
			c->undoings[i] = c->undoings[--c->n_undoings];
			return;
		}
}

/* Rows that nothing has taken back yet, in their order. A repeatable may have tens of thousands of which one is left. */
struct standing {
	uint32_t *v, n;
};

/* The last of those that are gone now, or NULL. */
static const struct ledger_row *take_back(struct comparison *c, struct standing *standing, const struct ledger_row *row)
{
	const struct ledger_row *was = NULL;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < standing->n; i++) {
		uint32_t at = standing->v[i];

		if (can_take_back(row, &c->rows[at])) {
			c->gone[at] = true;
			was = &c->rows[at];
		} else {
			standing->v[kept++] = at;
		}
	}
	standing->n = kept;
	return was;
}

/* DELETE (Flyway's repair of a missing file) and UNDO take rows back; a repeatable's newest row replaces the ones before. */
static void mark_gone(struct comparison *c, uint32_t *scratch)
{
	struct standing versions = { scratch, 0 }, repeatables = { scratch + c->n_rows, 0 };

	for (uint32_t i = 0; i < c->n_rows; i++) {
		const struct ledger_row *row = &c->rows[i], *was = NULL;
		struct standing *standing = row->version ? &versions : &repeatables;
		bool undo = is_undo(row) && row->success, takes_back = type_is(row, "DELETE") || undo;

		if (is_marker(row))
			continue;
		if (!is_undo(row) || undo)
			end_undoing(c, row);
		if (takes_back || (!row->version && !is_undo(row)))
			was = take_back(c, standing, row);
		if (undo)
			c->undoings[c->n_undoings++] = (struct undoing){ row, was };
		c->gone[i] = takes_back;
		if (!takes_back)
			standing->v[standing->n++] = i;
	}
}

static void find_limits(struct comparison *c)
{
	bool empty = true;

	for (uint32_t i = 0; i < c->n_rows; i++) {
		const struct ledger_row *row = &c->rows[i];

		if (row->rank > c->list->last_rank)
			c->list->last_rank = row->rank;
		if (is_undo(row) && row->rank > c->list->last_undo)
			c->list->last_undo = row->rank;
		if (!type_is(row, "SCHEMA"))
			empty = false;
		if (c->gone[i] || !row->success || is_undo(row) || !row->version)
			continue;
		raise(&c->list->current_version, row->version);
		if (type_is(row, "BASELINE") || type_is(row, "JDBC_BASELINE") || type_is(row, "SQL_BASELINE"))
			raise(&c->baseline, row->version);
	}
	for (uint32_t i = 0; i < c->files->n; i++) {
		raise(&c->highest_file, c->files->v[i].version);
		if (c->files->v[i].type == MIGRATION_BASELINE)
			raise(&c->newest_b, c->files->v[i].version);
	}
	if (empty)
		c->new_baseline = c->newest_b;
}

/* Where to say why: NULL when a reason was given before, the first one stays. */
static struct error *block(struct comparison *c)
{
	bool first = !c->list->blocked;

	c->list->blocked = true;
	return first ? &c->list->why : NULL;
}

static const char *file_name(const struct migration_file *file)
{
	return file->path ? file->path : file->script;
}

static void add(struct comparison *c, enum migration_state state, const struct migration_file *file, const struct ledger_row *row,
		const char *note)
{
	migration_list_add(c->list, state, file, row, note);
}

/* A long description is there as it was cut. */
static bool is_described(struct comparison *c, const struct migration_file *file, const struct ledger_row *row)
{
	char *description;
	bool same;

	if (!strcmp(file->description, row->description))
		return true;
	if (strncmp(file->description, row->description, 100))
		return false;
	description = ledger_description(c->list, file);
	same = !strcmp(description, row->description);
	talloc_free(description);
	return same;
}

static const struct migration_file *find_file(struct comparison *c, const struct ledger_row *row)
{
	enum migration_type type = !row->version ? MIGRATION_REPEATABLE : type_is(row, "SQL_BASELINE") ? MIGRATION_BASELINE :
				   MIGRATION_VERSIONED;
	uint32_t low = 0, high = c->files->n;

	while (row->version && low < high) {     /* versions are sorted, a baseline before the version it stands for */
		uint32_t middle = low + (high - low) / 2;
		const struct migration_file *file = &c->files->v[middle];
		int order = file->version ? migration_version_compare(file->version, row->version) : 1;

		if (!order && file->type == type)
			return file;
		if (order < 0 || (!order && type == MIGRATION_VERSIONED))
			low = middle + 1;
		else
			high = middle;
	}
	for (uint32_t i = 0; !row->version && i < c->files->n; i++)
		if (!c->files->v[i].version && is_described(c, &c->files->v[i], row))
			return &c->files->v[i];
	return NULL;
}

static const char *row_label(struct comparison *c, const struct ledger_row *row)
{
	return row->version ? talloc_asprintf(c->list, "version %s", row->version) :
			      talloc_asprintf(c->list, "repeatable '%s'", row->description);
}

/* Flyway accepts the sum of the text before replacement too. */
static void compare_repeatable(struct comparison *c, const struct migration_file *file, const struct ledger_row *row)
{
	if (row->has_checksum && (row->checksum == file->checksum || (file->raw && row->checksum == file->raw_checksum))) {
		add(c, MIGRATION_APPLIED, file, row, NULL);
		return;
	}
	c->used[file - c->files->v] = false;
	c->outdated[file - c->files->v] = row;
}

static void compare_checksum(struct comparison *c, const struct migration_file *file, const struct ledger_row *row)
{
	const char *why;
	struct error *err;

	if (row->has_checksum && row->checksum != file->checksum) {
		why = migration_checksum_explain(file, row->checksum);
		add(c, MIGRATION_CHECKSUM_MISMATCH, file, row, why ? why :
		    talloc_asprintf(c->list, "checksum %d in the ledger, %d of the file", row->checksum, file->checksum));
		err = block(c);
		error_set_at(err, file_name(file), 0, "the file of version %s was changed after it was applied%s%s (%s%schecksum %d then, %d now)",
			     row->version, *row->installed_on ? " at " : "", row->installed_on, why ? why : "", why ? "; " : "", row->checksum,
			     file->checksum);
		error_hint(err, why ? "dbreconcilectl migrations TARGET repair takes the checksum of the file" :
			   "restore the file as it was and put the change into a new version");
		return;
	}
	add(c, MIGRATION_APPLIED, file, row, row->has_checksum ? NULL : "the ledger has no checksum to compare with");
}

static void compare_versioned(struct comparison *c, const struct migration_file *file, const struct ledger_row *row)
{
	char *description = ledger_description(c->list, file);
	struct error *err;

	if (at_most(row->version, c->baseline) && !type_is(row, "SQL_BASELINE")) {
		add(c, MIGRATION_APPLIED, file, row, "below the baseline: not compared");
	} else if (strcmp(row->type, ledger_type(file))) {
		add(c, MIGRATION_CHECKSUM_MISMATCH, file, row, talloc_asprintf(c->list, "applied as type %s", row->type));
		err = block(c);
		error_set_at(err, file_name(file), 0, "version %s was applied as another kind of migration (%s)", row->version, row->type);
		error_hint(err, "give the file a new version, or take it away");
	} else if (strcmp(row->description, description)) {
		add(c, MIGRATION_CHECKSUM_MISMATCH, file, row, talloc_asprintf(c->list, "applied as '%s'", row->description));
		err = block(c);
		error_set_at(err, file_name(file), 0, "version %s was applied with the description '%s'", row->version, row->description);
		error_hint(err, "give the file its old name back, or a new version");
	} else {
		compare_checksum(c, file, row);
	}
	talloc_free(description);
}

/* A row without a file. */
static void compare_alone(struct comparison *c, const struct ledger_row *row)
{
	struct error *err;

	if (!type_is(row, "SQL") && !type_is(row, "SQL_BASELINE")) {
		add(c, MIGRATION_APPLIED, NULL, row, talloc_asprintf(c->list, "applied by Flyway as %s: not a file of ours", row->type));
		return;
	}
	if (row->version && (at_most(row->version, c->baseline) || at_most(row->version, c->newest_b))) {
		add(c, MIGRATION_IGNORED, NULL, row, "no file, but a baseline stands for it");
		return;
	}
	if (row->version && c->highest_file && !at_most(row->version, c->highest_file)) {
		add(c, MIGRATION_FUTURE, NULL, row, "the database is ahead of the files");
		migration_list_warn(c->list, talloc_asprintf(c->list, "version %s is in the ledger and above every file: are these files older than the database?",
					row->version));
		if (c->files->tolerate & MIGRATION_TOLERATE_FUTURE)
			return;
		err = block(c);
		error_set(err, "version %s is in the ledger and above every file", row->version);
		error_hint(err, "deploy the newer files, or write \"*:future\" in ignore_migration_patterns");
		return;
	}
	add(c, MIGRATION_MISSING, NULL, row, "the ledger has it, but there is no file");
	if (c->files->tolerate & (row->version ? MIGRATION_TOLERATE_MISSING : MIGRATION_TOLERATE_MISSING_REPEATABLE))
		return;
	err = block(c);
	error_set(err, "the file of %s ('%s', applied%s%s) is missing", row_label(c, row), row->script,
		  *row->installed_on ? " at " : "", row->installed_on);
	error_hint(err, "put the file back under the migration directory");
}

static void compare_row(struct comparison *c, const struct ledger_row *row)
{
	const struct migration_file *file;
	struct error *err;

	if (is_marker(row)) {
		add(c, MIGRATION_BASELINED, NULL, row, NULL);
		return;
	}
	file = find_file(c, row);
	if (file)
		c->used[file - c->files->v] = true;
	if (!row->success) {
		add(c, MIGRATION_FAILED, file, row, "its row in the ledger says that it failed");
		err = block(c);
		error_set_at(err, file && !is_undo(row) ? file_name(file) : row->script, 0, "%s%s failed%s%s and may have been applied in part",
			     is_undo(row) ? "the undo of " : "", row_label(c, row),
			     *row->installed_on ? " at " : "", row->installed_on);
		error_hint(err, "put the database right, then: dbreconcilectl migrations TARGET repair (it deletes the failed row)");
	} else if (!file) {
		compare_alone(c, row);
	} else if (!row->version) {
		compare_repeatable(c, file, row);
	} else {
		compare_versioned(c, file, row);
	}
}

bool migration_is_late(const struct migration_list *list, const char *version)
{
	return version && at_most(version, list->current_version);
}

/* A text that was never undone is new, and whoever changed it wants it to run. One that differs by line ends or the like is the same. */
static bool is_another_text(const struct migration_file *file, const struct ledger_row *was)
{
	return was && was->has_checksum && was->checksum != file->checksum && !migration_checksum_explain(file, was->checksum);
}

/* Without its file it has its place in the ledger; with it, in the order of files: see add_undone(). */
static void compare_undoing(struct comparison *c, const struct ledger_row *row)
{
	const struct migration_file *file;
	uint32_t i = 0;

	while (i < c->n_undoings && c->undoings[i].row != row)
		i++;
	if (i == c->n_undoings)
		return;
	file = find_file(c, row);
	if (!file)
		add(c, MIGRATION_UNDONE, NULL, row, "it was undone, and has no file any more");
	else if (!is_another_text(file, c->undoings[i].was))
		c->undone[file - c->files->v] = &c->undoings[i];
}

static void add_undone(struct comparison *c, const struct migration_file *file, const struct undoing *u)
{
	add(c, MIGRATION_UNDONE, file, u->row, talloc_asprintf(c->list, "undone by %s: it runs by order only", u->row->installed_by));
}

static void block_undone(struct comparison *c, const struct migration *m)
{
	const char *when = *m->row->installed_on ? talloc_asprintf(c->list, " at %s", m->row->installed_on) : "";
	const char *version = m->file->version;
	struct error *err = block(c);

	error_set_at(err, file_name(m->file), 0, "version %s was undone%s by %s: neither it nor what comes after it runs by itself", version, when,
		     m->row->installed_by);
	error_hint(err, "dbreconcilectl migrations TARGET run %s%s applies it again; a corrected file runs by itself; without its file the others go on",
		   version, migration_is_late(c->list, version) ? " --out-of-order" : "");
}

/* What comes before the first one that was undone runs, a corrected file for example; then it is its turn, and nothing runs. */
static void stop_at_undone(struct comparison *c)
{
	struct migration_list *list = c->list;
	bool runs = false;
	uint32_t i = 0;

	for (; i < list->n && !(list->v[i].state == MIGRATION_UNDONE && list->v[i].file); i++)
		runs |= migration_runs(&list->v[i]);
	if (i < list->n && !runs)
		block_undone(c, &list->v[i]);
	for (; runs && i < list->n; i++)
		list->v[i].waits = true;
}

/* A file without a row. */
static void compare_file(struct comparison *c, const struct migration_file *file)
{
	struct error *err;

	if (file->type == MIGRATION_BASELINE) {
		bool runs = c->new_baseline && !migration_version_compare(file->version, c->new_baseline);

		add(c, runs ? MIGRATION_PENDING : MIGRATION_IGNORED, file, NULL,
		    runs ? NULL : c->new_baseline ? "a newer baseline runs" : "a baseline runs on an empty history only");
		return;
	}
	if (file->version && (at_most(file->version, c->baseline) || at_most(file->version, c->new_baseline))) {
		add(c, MIGRATION_IGNORED, file, NULL, "below the baseline");
		return;
	}
	if (!file->version || !at_most(file->version, c->list->current_version)) {
		add(c, MIGRATION_PENDING, file, NULL, NULL);
		return;
	}
	add(c, MIGRATION_OUT_OF_ORDER, file, NULL, talloc_asprintf(c->list, "version %s is applied already", c->list->current_version));
	if (c->files->tolerate & MIGRATION_TOLERATE_IGNORED)
		return;
	err = block(c);
	error_set_at(err, file_name(file), 0, "version %s is new, but version %s is applied already", file->version, c->list->current_version);
	error_hint(err, "give the file a version above %s", c->list->current_version);
}

/* A file that may not run blocks only when it would. */
static void check_pending(struct comparison *c)
{
	for (uint32_t i = 0; i < c->list->n; i++) {
		struct migration *m = &c->list->v[i];

		if (!migration_runs(m))
			continue;
		if (!error_is_set(&m->file->refused))
			continue;
		m->note = talloc_asprintf(c->list, "refused: line %u: %s", m->file->refused.line, m->file->refused.text);
		if (!c->list->blocked)
			c->list->why = m->file->refused;
		c->list->blocked = true;
	}
}

static const struct migration_file *find_undo_file(const struct migration_files *files, const char *version)
{
	uint32_t low = 0, high = files->n_undo;

	while (low < high) {
		uint32_t middle = low + (high - low) / 2;
		int order = migration_version_compare(files->undo[middle].version, version);

		if (!order)
			return &files->undo[middle];
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return NULL;
}

static void find_undo_files(struct comparison *c)
{
	for (uint32_t i = 0; c->files->n_undo && i < c->list->n; i++) {
		struct migration *m = &c->list->v[i];

		if (m->state == MIGRATION_APPLIED && m->file && m->row && m->row->version)
			m->undo = find_undo_file(c->files, m->row->version);
	}
}

struct migration_list *migration_compare(void *parent, const struct migration_files *files, const struct ledger_row *rows, uint32_t n_rows)
{
	struct migration_list *list = files->foreign ? NULL : talloc_zero(parent, struct migration_list);
	struct comparison c = { .list = list, .files = files, .rows = rows, .n_rows = n_rows };
	uint32_t *scratch;

	if (files->foreign)
		return foreign_compare(parent, files, rows, n_rows);
	if (!list)
		return NULL;
	list->v = talloc_zero_array(list, struct migration, n_rows + files->n + 1);
	scratch = talloc_array(list, uint32_t, 2 * (size_t)n_rows + 1);
	c.gone = talloc_zero_array(list, bool, n_rows + 1);
	c.used = talloc_zero_array(list, bool, files->n + 1);
	c.outdated = talloc_zero_array(list, const struct ledger_row *, files->n + 1);
	c.undone = talloc_zero_array(list, const struct undoing *, files->n + 1);
	c.undoings = talloc_zero_array(list, struct undoing, n_rows + 1);
	if (!list->v || !scratch || !c.gone || !c.used || !c.outdated || !c.undone || !c.undoings) {
		talloc_free(list);
		return NULL;
	}
	mark_gone(&c, scratch);
	talloc_free(scratch);
	find_limits(&c);
	for (uint32_t i = 0; i < files->n_warnings; i++)
		migration_list_warn(c.list, files->warnings[i]);
	for (uint32_t i = 0; i < n_rows; i++)
		if (!c.gone[i])
			compare_row(&c, &rows[i]);
		else if (is_undo(&rows[i]))
			compare_undoing(&c, &rows[i]);
	for (uint32_t i = 0; i < files->n; i++)
		if (c.outdated[i])
			add(&c, MIGRATION_OUTDATED, &files->v[i], c.outdated[i], "its text changed: it runs again");
		else if (!c.used[i] && c.undone[i] && !at_most(files->v[i].version, c.baseline))
			add_undone(&c, &files->v[i], c.undone[i]);
		else if (!c.used[i])
			compare_file(&c, &files->v[i]);
	stop_at_undone(&c);
	check_pending(&c);
	find_undo_files(&c);
	talloc_free(c.gone);
	talloc_free(c.used);
	talloc_free(c.outdated);
	talloc_free(c.undone);
	talloc_free(c.undoings);
	return list;
}
