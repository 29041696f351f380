/* SPDX-License-Identifier: PostgreSQL */
/* Orders that run one file: a version out of order or after its undo, and an undo. */
#include "migrate/mender.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "migrate/lint.h"

#define NAMED_MAX 10

static const char *script_of(const struct migration *entry)
{
	return entry->file ? entry->file->script : entry->row->script;
}

static const char *version_of(const struct migration *entry)
{
	return entry->file ? entry->file->version : entry->row->version;
}

static int refuse(struct mender *m, const char *hint, const char *format, ...) __attribute__((format(printf, 3, 4)));

static int refuse(struct mender *m, const char *hint, const char *format, ...)
{
	char *text;
	va_list args;

	va_start(args, format);
	text = talloc_vasprintf(m->parent, format, args);
	va_end(args);
	error_set(m->err, "%s", text);
	if (hint)
		error_hint(m->err, "%s", hint);
	return 1;
}

/* ---- what else must be put right first ---- */

static const char *way_out(struct mender *m, const struct migration *entry)
{
	switch (entry->state) {
	case MIGRATION_INDETERMINATE:
		return talloc_asprintf(m->parent, "dbreconcilectl migrations TARGET resolve %s",
				       version_of(entry) ? version_of(entry) : "DESCRIPTION");
	case MIGRATION_FAILED:
		return "put the database right, then: dbreconcilectl migrations TARGET repair (or resolve)";
	case MIGRATION_CHECKSUM_MISMATCH:
		return "restore the file as it was when it was applied";
	case MIGRATION_MISSING:
		return "put the file back under the migration directory";
	default:
		return "dbreconcilectl migrations TARGET says how it goes on";
	}
}

static bool is_in_the_way(const struct mender *m, const struct migration *entry)
{
	return mender_is_missing(m, entry) || entry->state == MIGRATION_FAILED || entry->state == MIGRATION_CHECKSUM_MISMATCH ||
	       entry->state == MIGRATION_INDETERMINATE || entry->from > 0 || entry->interrupted;
}

static int refuse_what_is_unsettled(struct mender *m, const struct migration *own)
{
	for (uint32_t i = 0; i < m->in->list->n; i++) {
		const struct migration *entry = &m->in->list->v[i];

		if (entry == own || !is_in_the_way(m, entry))
			continue;
		if (entry->from > 0 || entry->interrupted)
			return refuse(m, way_out(m, entry), "%s has begun and not finished: that comes first", script_of(entry));
		return refuse(m, way_out(m, entry), "%s is %s: that comes first", script_of(entry), migration_state_name(entry->state));
	}
	return 0;
}

/* ---- run ---- */

/* What was undone, and what waits behind it, go in the order of their versions. */
static int check_turn(struct mender *m, const struct migration *entry)
{
	const struct migration *v = m->in->list->v;
	uint32_t i = 0;

	while (&v[i] != entry && !(v[i].file && (v[i].state == MIGRATION_UNDONE || migration_runs(&v[i]))))
		i++;
	if (&v[i] == entry)
		return 0;
	return refuse(m, talloc_asprintf(m->parent, "dbreconcilectl migrations TARGET run %s", version_of(&v[i])), "%s comes before %s",
		      script_of(&v[i]), script_of(entry));
}

static int check_state(struct mender *m, const struct migration *entry)
{
	const struct migration_list *list = m->in->list;
	bool runs = entry->state == MIGRATION_OUT_OF_ORDER || (entry->state == MIGRATION_UNDONE && entry->file) ||
		    (entry->state == MIGRATION_PENDING && list->counts[MIGRATION_UNDONE] && !m->order->out_of_order);

	if (entry->state == MIGRATION_UNDONE && !entry->file)
		return refuse(m, "put the file back under the migration directory", "version %s was undone and has no file any more", version_of(entry));
	if (!runs && m->order->out_of_order)
		return refuse(m, NULL, "%s is %s, not out of order", script_of(entry), migration_state_name(entry->state));
	if (!runs)
		return refuse(m, entry->state == MIGRATION_PENDING ? "dbreconcilectl reconcile TARGET runs what is pending" : NULL,
			      "%s is %s: by order runs what was undone, or is out of order", script_of(entry), migration_state_name(entry->state));
	if (migration_is_late(list, version_of(entry)) && !m->order->out_of_order)
		return refuse(m, talloc_asprintf(m->parent, "if that is meant: dbreconcilectl migrations TARGET run %s --out-of-order", version_of(entry)),
			      "%s is out of order: version %s is applied", script_of(entry), list->current_version);
	return entry->state == MIGRATION_OUT_OF_ORDER ? 0 : check_turn(m, entry);
}

/* Fills out with the file that is to run. */
static void plan_file(struct mender *m, const struct migration *entry, const struct migration_file *file, const char *text)
{
	m->out->runs = (uint32_t)(entry - m->in->list->v);
	m->out->file = file;
	mender_add(m, NULL, 0, text);
	migration_lint(m->parent, file, lint_made_new(m->parent), &m->out->findings, &m->out->n_findings);
}

static const char *where_from(struct mender *m, const struct migration *entry)
{
	if (!entry->from && !entry->interrupted)
		return "";
	return talloc_asprintf(m->parent, ": from statement %" PRIu32 " of %" PRIu32, entry->from + 1, entry->file->n_statements);
}

int mender_run(struct mender *m)
{
	const struct migration_list *list = m->in->list;
	const struct migration *entry = mender_find(m);
	const char *why;

	if (!entry)
		return 1;
	if (entry->state == MIGRATION_INDETERMINATE && !entry->find_out) {
		*m->err = list->why;
		return 1;
	}
	if (check_state(m, entry) || refuse_what_is_unsettled(m, entry))
		return 1;
	if (error_is_set(&entry->file->refused)) {
		*m->err = entry->file->refused;
		return 1;
	}
	why = migration_is_late(list, version_of(entry)) ? talloc_asprintf(m->parent, ", though version %s is applied", list->current_version) :
	      entry->state == MIGRATION_UNDONE ? ", which was undone" : "";
	plan_file(m, entry, entry->file, talloc_asprintf(m->parent, "run %s%s%s", entry->file->script, why, where_from(m, entry)));
	return 0;
}

/* ---- undo ---- */

/* Of a version, and not taken back since. */
static bool is_in_ledger(const struct migration *entry)
{
	return entry->row && entry->row->version && entry->row->success && entry->state != MIGRATION_UNDONE && entry->state != MIGRATION_FAILED;
}

/* As Flyway's undo goes: backwards in the order of applying, which is not always that of versions. */
static const struct migration *find_newest(const struct migration_list *list, int below)
{
	const struct migration *newest = NULL;

	for (uint32_t i = 0; i < list->n; i++)
		if (is_in_ledger(&list->v[i]) && list->v[i].row->rank < below && (!newest || list->v[i].row->rank > newest->row->rank))
			newest = &list->v[i];
	return newest;
}

static const struct migration *find_applied(struct mender *m)
{
	const struct migration_list *list = m->in->list;
	const struct migration *other;

	for (uint32_t i = 0; i < list->n; i++)
		if (is_in_ledger(&list->v[i]) && !migration_version_compare(list->v[i].row->version, m->order->version))
			return &list->v[i];
	other = mender_find(m);
	if (other && other->state == MIGRATION_UNDONE)
		refuse(m, NULL, "version %s was undone already%s%s", m->order->version, *other->row->installed_on ? ", at " : "",
		       other->row->installed_on);
	else if (other && !version_of(other))
		refuse(m, "change the file: it runs again then", "'%s' is repeatable: only versions are undone", m->order->version);
	else if (other)
		refuse(m, NULL, "version %s is not applied: it is %s", m->order->version, migration_state_name(other->state));
	return NULL;
}

/* The newest first: that is the order in which they are to be undone. */
static int refuse_older(struct mender *m, const struct migration *entry)
{
	const struct migration_list *list = m->in->list;
	const struct migration *next = find_newest(list, INT32_MAX);
	char *names = talloc_strdup(m->parent, "");
	uint32_t n = 0;

	for (uint32_t i = 0; i < list->n; i++)
		n += is_in_ledger(&list->v[i]) && list->v[i].row->rank > entry->row->rank;
	for (uint32_t i = 0; i < n && i < NAMED_MAX; i++, next = find_newest(list, next->row->rank))
		names = talloc_asprintf_append(names, "%s%s", i > 0 ? ", " : "", next->row->version);
	if (n > NAMED_MAX)
		names = talloc_asprintf_append(names, " and %" PRIu32 " more", n - NAMED_MAX);
	return refuse(m, "undo them first, in this order", "version %s is not the newest: applied after it: %s", entry->row->version, names);
}

static int check_kind(struct mender *m, const struct migration *entry)
{
	const struct ledger_row *row = entry->row;

	if (strstr(row->type, "BASELINE") || !strcmp(row->type, "SCHEMA"))
		return refuse(m, NULL, "version %s is a baseline: what it stands for was not made by migrations, and is not undone", row->version);
	if (entry->state == MIGRATION_FUTURE || entry->state == MIGRATION_MISSING)
		return refuse(m, "put the files of this version back under the migration directory", "%s is %s: what undoes it is not known",
			      row->script, migration_state_name(entry->state));
	if (entry->state == MIGRATION_CHECKSUM_MISMATCH)
		return refuse(m, "restore the file as it was, undo it, and change it then", "%s is not what was applied: whether its undo file undoes "
			      "that is not known", script_of(entry));
	if (entry->state != MIGRATION_APPLIED || !entry->file || strcmp(row->type, "SQL"))
		return refuse(m, NULL, "version %s (%s) was not applied from a V file, or lies below a baseline: it is not undone", row->version, row->type);
	return 0;
}

static int check_file(struct mender *m, const struct migration *entry)
{
	const struct migration_file *undo = entry->undo;

	if (!undo)
		return refuse(m, "write one, or put what is to be taken back into a new version", "there is no undo file for version %s: beside %s and in "
			      "the other directories a file called U%s__DESCRIPTION.sql was looked for", entry->row->version, entry->file->path ?
			      entry->file->path : entry->file->script, entry->row->version);
	if (error_is_set(&undo->refused)) {
		*m->err = undo->refused;
		return 1;
	}
	if (undo->transactional)
		return 0;
	error_set_at(m->err, undo->path ? undo->path : undo->script, 0, "it runs statement by statement, because of what it holds, a comment in it or its .conf: "
		     "an undo runs in one transaction, wholly or not at all");
	error_hint(m->err, "DROP INDEX without CONCURRENTLY, for example; or put it into a new version");
	return 1;
}

int mender_undo(struct mender *m)
{
	const struct migration *newest = find_newest(m->in->list, INT32_MAX), *entry = newest;

	if (m->order->version) {
		entry = find_applied(m);
		if (!entry)
			return 1;
	}
	if (!entry)
		return refuse(m, NULL, "no version is applied: there is nothing to undo");
	if (entry != newest)
		return refuse_older(m, entry);
	if (check_kind(m, entry) || refuse_what_is_unsettled(m, entry) || check_file(m, entry))
		return 1;
	plan_file(m, entry, entry->undo, talloc_asprintf(m->parent, "run %s, which undoes version %s; it then runs by order only, as long as %s is the same",
							 entry->undo->script, entry->row->version, entry->file->script));
	return 0;
}
