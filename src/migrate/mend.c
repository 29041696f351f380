/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/mend.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/mender.h"
#include "model/quote.h"

#define BASELINE_TEXT "<< Flyway Baseline >>"

const char *ledger_verb_name(enum ledger_verb verb)
{
	static const char *const names[LEDGER_VERBS] = { "baseline", "repair", "resolve", "run", "undo" };

	return names[verb];
}

struct mend_action *mender_add(struct mender *m, const char *sql, unsigned n_params, const char *text)
{
	struct mend_action *action;

	m->out->v = talloc_realloc(m->parent, m->out->v, struct mend_action, m->out->n + 1);
	if (!m->out->v)
		abort();
	action = &m->out->v[m->out->n++];
	*action = (struct mend_action){ .text = text, .sql = sql, .n_params = n_params };
	return action;
}

static char *sql_on_ledger(struct mender *m, const char *before, const char *after)
{
	struct text *text = text_new(m->parent);

	text_add(text, before);
	quote_ident(text, m->in->schema);
	text_add_char(text, '.');
	quote_ident(text, m->in->table);
	text_add(text, after);
	return text->s;
}

static const char *number(struct mender *m, int64_t value)
{
	return talloc_asprintf(m->parent, "%" PRId64, value);
}

const char *mender_label(struct mender *m, const char *version, const char *description)
{
	return version ? talloc_asprintf(m->parent, "version %s", version) : talloc_asprintf(m->parent, "repeatable '%s'", description);
}

static const char *label_row(struct mender *m, const struct ledger_row *row)
{
	return mender_label(m, row->version, row->description);
}

static void insert(struct mender *m, const struct ledger_row *row, const char *text)
{
	struct mend_action *a = mender_add(m, ledger_sql_insert(m->parent, m->in->schema, m->in->table), 8, text);

	a->params[0] = number(m, ++m->rank);
	a->params[1] = row->version;
	a->params[2] = row->description;
	a->params[3] = row->type;
	a->params[4] = row->script;
	a->params[5] = row->has_checksum ? number(m, row->checksum) : NULL;
	a->params[6] = "0";
	a->params[7] = row->success ? "t" : "f";
}

static void delete_failed(struct mender *m, const struct ledger_row *row)
{
	struct mend_action *a = mender_add(m, sql_on_ledger(m, "DELETE FROM ONLY ", " WHERE \"installed_rank\" = $1 AND NOT \"success\""), 1,
				    talloc_asprintf(m->parent, "delete the failed row of %s (rank %d)", label_row(m, row), row->rank));

	a->params[0] = number(m, row->rank);
}

/* ---- baseline ---- */

static int refuse_baseline(struct mender *m)
{
	uint32_t real = 0;

	for (uint32_t i = 0; i < m->in->n_rows; i++) {
		const struct ledger_row *row = &m->in->rows[i];

		if (!strcmp(row->type, "SCHEMA") && migration_version_compare(m->order->version, "0"))
			continue;
		real++;
		if (strcmp(row->type, "BASELINE") || !row->version)
			continue;
		error_set(m->err, "%s.%s has a baseline already, at version %s", m->in->schema, m->in->table, row->version);
		return 1;
	}
	if (!real)
		return 0;
	error_set(m->err, "%s.%s holds %" PRIu32 " migrations: a baseline is the first row of a history", m->in->schema, m->in->table, real);
	error_hint(m->err, "a version that was applied by hand is recorded with: dbreconcilectl migrations TARGET resolve VERSION --applied");
	return 1;
}

static int baseline(struct mender *m)
{
	const struct ledger_row row = { .version = m->order->version, .description = BASELINE_TEXT, .type = "BASELINE",
					.script = BASELINE_TEXT, .success = true };
	uint32_t below = 0, above = 0;

	if (!migration_version_valid(m->order->version, strlen(m->order->version))) {
		error_set(m->err, "'%s' is not a version", m->order->version);
		return 1;
	}
	if (refuse_baseline(m))
		return 1;
	for (uint32_t i = 0; i < m->in->files->n; i++) {
		const struct migration_file *file = &m->in->files->v[i];

		if (file->version && file->type == MIGRATION_VERSIONED)
			*(migration_version_compare(file->version, m->order->version) <= 0 ? &below : &above) += 1;
	}
	if (!m->in->ledger_exists)
		mender_add(m, NULL, 0, talloc_asprintf(m->parent, "create the ledger %s.%s", m->in->schema, m->in->table));
	m->out->needs_ledger = !m->in->ledger_exists;
	insert(m, &row, talloc_asprintf(m->parent, "write the baseline at version %s: %" PRIu32 " file%s up to it count%s as applied, %" PRIu32
					" above it will run", row.version, below, below == 1 ? "" : "s", below == 1 ? "s" : "", above));
	return 0;
}

/* ---- repair ---- */

static void mark_deleted(struct mender *m, const struct ledger_row *row)
{
	struct ledger_row gone = *row;

	gone.type = "DELETE";
	insert(m, &gone, talloc_asprintf(m->parent, "mark %s as deleted: its file is missing", label_row(m, row)));
}

static void realign(struct mender *m, const struct migration *entry)
{
	const struct migration_file *file = entry->file;
	struct mend_action *a;

	a = mender_add(m, sql_on_ledger(m, "UPDATE ONLY ", " SET \"description\" = $1, \"type\" = $2, \"checksum\" = $3 WHERE \"installed_rank\" = $4"), 4,
		talloc_asprintf(m->parent, "take over checksum %d, description and type from %s for %s (rank %d had %d)", file->checksum,
				file->script, label_row(m, entry->row), entry->row->rank, entry->row->checksum));
	a->params[0] = ledger_description(m->parent, file);
	a->params[1] = ledger_type(file);
	a->params[2] = number(m, file->checksum);
	a->params[3] = number(m, entry->row->rank);
}

/* What is tolerated to be missing stays as it is. */
bool mender_is_missing(const struct mender *m, const struct migration *entry)
{
	return entry->state == MIGRATION_MISSING &&
	       !(m->in->files->tolerate & (entry->row->version ? MIGRATION_TOLERATE_MISSING : MIGRATION_TOLERATE_MISSING_REPEATABLE));
}

/* Changed; or a repeatable whose checksum is that of the text before values were put in, which counts, but not for long. */
static bool is_other(const struct migration *entry)
{
	if (!entry->file || !entry->row)
		return false;
	return entry->state == MIGRATION_CHECKSUM_MISMATCH ||
	       (entry->state == MIGRATION_APPLIED && !entry->row->version && entry->row->has_checksum &&
		entry->row->checksum != entry->file->checksum);
}

static int repair(struct mender *m)
{
	for (uint32_t i = 0; i < m->in->n_rows; i++)
		if (!m->in->rows[i].success)
			delete_failed(m, &m->in->rows[i]);
	for (uint32_t i = 0; i < m->in->list->n; i++) {
		const struct migration *entry = &m->in->list->v[i];

		if (mender_is_missing(m, entry))
			mark_deleted(m, entry->row);
		else if (is_other(entry))
			realign(m, entry);
	}
	if (m->out->n)
		return 0;
	error_set(m->err, "there is nothing to repair: no migration failed, is missing or was changed");
	if (m->in->list->blocked && m->in->list->counts[MIGRATION_INDETERMINATE])
		error_hint(m->err, "what was interrupted is decided with: dbreconcilectl migrations TARGET resolve VERSION");
	return 1;
}

/* ---- resolve: one migration ---- */

static bool is_meant(const struct migration *entry, const char *version)
{
	const char *own = entry->file ? entry->file->version : entry->row->version;

	if (own && migration_version_valid(version, strlen(version)))
		return !migration_version_compare(own, version);
	return !own && !strcmp(entry->file ? entry->file->description : entry->row->description, version);
}

/* The entry that can be resolved before any other of that version: a baseline may have the same. */
const struct migration *mender_find(struct mender *m)
{
	const struct migration *found = NULL;

	for (uint32_t i = 0; i < m->in->list->n; i++) {
		const struct migration *entry = &m->in->list->v[i];

		if (is_meant(entry, m->order->version) && (!found || entry->progress || entry->state == MIGRATION_FAILED))
			found = entry;
	}
	if (!found)
		error_set(m->err, "there is no migration %s, neither as a file nor in the ledger", m->order->version);
	return found;
}

static void forget_progress(struct mender *m, const struct migration *entry)
{
	struct mend_action *a;

	if (!entry->progress)
		return;
	a = mender_add(m, progress_sql_delete(m->parent, m->in->schema, m->in->table), 2,
		talloc_asprintf(m->parent, "forget that %" PRIu32 " of %" PRIu32 " statements were done", entry->progress->done,
				entry->progress->statements));
	a->params[0] = entry->progress->version;
	a->params[1] = entry->progress->description;
}

static void record(struct mender *m, const struct migration *entry)
{
	const struct migration_file *file = entry->file;
	const struct ledger_row row = {
		.version = file->version, .description = ledger_description(m->parent, file), .type = ledger_type(file),
		.script = ledger_script(m->parent, file), .has_checksum = true, .checksum = file->checksum, .success = true,
	};

	insert(m, &row, talloc_asprintf(m->parent, "record %s as applied", mender_label(m, file->version, file->description)));
}

static void go_on_from(struct mender *m, const struct migration *entry)
{
	const struct migration_file *file = entry->file;
	uint32_t done = m->order->from - 1;
	struct mend_action *a;

	m->out->needs_progress = !m->in->progress_exists;
	a = mender_add(m, progress_sql_put(m->parent, m->in->schema, m->in->table), PROGRESS_PARAMS,
		talloc_asprintf(m->parent, "go on with statement %" PRIu32 " of %" PRIu32 " of %s: those before it count as done", done + 1,
				file->n_statements, mender_label(m, file->version, file->description)));
	a->params[0] = entry->progress ? entry->progress->version : progress_version(file);
	a->params[1] = entry->progress ? entry->progress->description : ledger_description(m->parent, file);
	a->params[2] = ledger_script(m->parent, file);
	a->params[3] = number(m, file->checksum);
	a->params[4] = number(m, file->n_statements);
	a->params[5] = number(m, done);
	a->params[6] = number(m, progress_prefix(file, done));
	a->params[7] = progress_state_name(PROGRESS_BETWEEN);
	a->params[8] = "";
	a->params[9] = "resolved";
}

static int check_from(struct mender *m, const struct migration *entry)
{
	if (m->order->how != RESOLVE_FROM)
		return 0;
	if (entry->file->transactional) {
		error_set(m->err, "%s runs in one transaction: it cannot begin in the middle", entry->file->script);
		return 1;
	}
	if (!m->order->from || m->order->from > entry->file->n_statements) {
		error_set(m->err, "%s has %" PRIu32 " statements: from-statement is 1 to %" PRIu32, entry->file->script,
			  entry->file->n_statements, entry->file->n_statements);
		error_hint(m->err, "when all of them are done, resolve it with --applied");
		return 1;
	}
	return 0;
}

static int resolve(struct mender *m)
{
	const struct migration *entry = mender_find(m);

	if (!entry)
		return 1;
	if (entry->state != MIGRATION_INDETERMINATE && entry->state != MIGRATION_FAILED && !entry->progress) {
		error_set(m->err, "%s is %s: there is nothing to resolve", entry->file ? entry->file->script : entry->row->script,
			  migration_state_name(entry->state));
		return 1;
	}
	if (!entry->file) {
		error_set(m->err, "%s has no file any more", entry->row->script);
		error_hint(m->err, "dbreconcilectl migrations TARGET repair deletes its failed row");
		return 1;
	}
	if (check_from(m, entry))
		return 1;
	if (entry->state == MIGRATION_FAILED)
		delete_failed(m, entry->row);
	if (m->order->how == RESOLVE_FROM) {
		go_on_from(m, entry);
		return 0;
	}
	forget_progress(m, entry);
	if (m->order->how == RESOLVE_APPLIED)
		record(m, entry);
	return 0;
}

int mend_plan(void *parent, const struct ledger_order *order, const struct mend_input *in, struct mending *ret, struct error *err)
{
	static int (*const verbs[LEDGER_VERBS])(struct mender *) = { baseline, repair, resolve, mender_run, mender_undo };
	struct mender m = { parent, order, in, ret, err, in->list->last_rank };

	*ret = (struct mending){ .v = NULL };
	if (order->verb != LEDGER_BASELINE && !in->ledger_exists) {
		error_set(err, "there is no ledger %s.%s yet", in->schema, in->table);
		return 1;
	}
	return verbs[order->verb](&m);
}
