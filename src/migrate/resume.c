/* SPDX-License-Identifier: PostgreSQL */
/* What is not finished: goes on, is to be found out, or waits for somebody who knows. */
#include <string.h>
#include <talloc.h>

#include "migrate/progress.h"
#include "migrate/subject.h"

struct resume {
	struct migration_list *list;
	struct migration *m;
	const struct migration_progress *p;
	const char *label;         /* for commands: the version, or the description in quotes */
};

static void set_state(struct resume *r, enum migration_state state, const char *note)
{
	r->list->counts[r->m->state]--;
	r->list->counts[state]++;
	r->m->state = state;
	r->m->note = note;
}

static const char *label(struct migration_list *list, const struct migration_file *file)
{
	return file->version ? file->version : talloc_asprintf(list, "'%s'", file->description);
}

static unsigned line_of_statement(struct resume *r, uint32_t statement)
{
	unsigned line = 0;
	char *text;

	migration_statement(r->list, r->m->file, statement, &line, &text);
	return line;
}

static void stop(struct resume *r, unsigned line, const char *why, const char *hint)
{
	const char *path = r->m->file->path ? r->m->file->path : r->m->file->script;

	if (r->list->blocked && strcmp(r->list->why.file, path))
		return;                /* by another one */
	r->list->blocked = true;
	error_clear(&r->list->why);
	error_set_at(&r->list->why, path, line, "%s", why);
	error_hint(&r->list->why, "%s", hint);
}

static void block(struct resume *r, unsigned line, const char *why, const char *hint)
{
	set_state(r, MIGRATION_INDETERMINATE, why);
	stop(r, line, why, hint);
}

/* What is to be said when nobody but a person can tell. */
static const char *resolve_hint(struct resume *r, bool running)
{
	uint32_t next = r->p->done + 1;

	if (running && next == r->m->file->n_statements)
		return talloc_asprintf(r->list, "find out whether it happened, then: dbreconcilectl migrations TARGET resolve %s "
				       "--from-statement %u (it did not), --applied (it did, and so all of the file) or --not-applied (nothing of it "
				       "is there)", r->label, next);
	if (running)
		return talloc_asprintf(r->list, "find out whether it happened, then: dbreconcilectl migrations TARGET resolve %s "
				       "--from-statement %u (it did not), --from-statement %u (it did), --applied (all of the file is done) or "
				       "--not-applied (nothing of it is there)", r->label, next, next + 1);
	return talloc_asprintf(r->list, "put the database right, then: dbreconcilectl migrations TARGET resolve %s --from-statement N, "
			       "--applied (all of the file is done) or --not-applied (nothing of it is there)", r->label);
}

/* Temporary objects, prepared statements and cursors went with the session that made them. */
static const struct script_statement *temporary(const struct migration_file *file, uint32_t done)
{
	for (uint32_t i = 0; i < done; i++)
		if (file->statements[i].kind == SCRIPT_TEMPORARY)
			return &file->statements[i];
	return NULL;
}

static bool is_same_text(const struct resume *r)
{
	const struct migration_file *file = r->m->file;

	return !file->transactional && r->p->done <= file->n_statements && progress_prefix(file, r->p->done) == r->p->prefix;
}

static bool runs_by_order(const struct migration *m)
{
	return m->state == MIGRATION_OUT_OF_ORDER || m->state == MIGRATION_UNDONE;
}

/* Somebody ordered it, and only an order goes on with it: until then nothing else runs over what is half there. */
static void goes_on_by_order(struct resume *r, const char *text)
{
	r->m->from = r->p->done;
	r->m->note = talloc_asprintf(r->list, "%s; %s", r->m->note, text);
	stop(r, line_of_statement(r, r->p->done), talloc_asprintf(r->list, "version %s was run %s and has not finished: %s", r->label,
								  r->m->state == MIGRATION_UNDONE ? "after its undo" : "out of order", text),
	     talloc_asprintf(r->list, "dbreconcilectl migrations TARGET run %s%s", r->label,
			     migration_is_late(r->list, r->m->file->version) ? " --out-of-order" : ""));
}

static void goes_on(struct resume *r)
{
	const struct migration_file *file = r->m->file;
	const char *next;

	if (temporary(file, r->p->done)) {
		block(r, 0, talloc_asprintf(r->list, "the first %u of %u statements are done, and what they made for the session is gone: it cannot "
					    "go on", r->p->done, file->n_statements), resolve_hint(r, false));
		return;
	}
	next = talloc_asprintf(r->list, "goes on with statement %u of %u", r->p->done + 1, file->n_statements);
	if (runs_by_order(r->m)) {
		goes_on_by_order(r, next);
		return;
	}
	r->m->from = r->p->done;
	if (r->p->done)
		r->m->note = next;
}

static void was_interrupted(struct resume *r)
{
	const struct migration_file *file = r->m->file;
	uint32_t next = r->p->done + 1;
	const char *where = talloc_asprintf(r->list, "statement %u of %u", next, r->p->statements);

	if (r->p->checksum != file->checksum) {
		block(r, 0, talloc_asprintf(r->list, "%s was interrupted (%s), and the file was changed since", where, r->p->statement),
		      resolve_hint(r, true));
	} else if (!script_can_find_out(file, r->p->done) || temporary(file, r->p->done)) {
		block(r, line_of_statement(r, r->p->done), talloc_asprintf(r->list, "%s was interrupted, and nothing tells whether it happened: %s",
									   where, r->p->statement), resolve_hint(r, true));
	} else if (runs_by_order(r->m)) {
		r->m->interrupted = true;
		goes_on_by_order(r, talloc_asprintf(r->list, "%s was interrupted, and what became of it is looked up then", where));
	} else {
		set_state(r, MIGRATION_INDETERMINATE, talloc_asprintf(r->list, "%s was interrupted: what became of it is looked up before "
								      "migrations run", where));
		r->m->find_out = true;
		r->m->from = r->p->done;
	}
}

/* More than the ledger says: which statement, and why. */
static void has_failed(struct resume *r)
{
	const struct migration_file *file = r->m->file;
	const char *path = file->path ? file->path : file->script;
	struct error *why = &r->list->why;

	r->m->note = talloc_asprintf(r->list, "statement %u of %u failed: %s", r->p->done + 1, r->p->statements, r->p->message);
	if (strcmp(why->file, path))
		return;                /* it is about another one */
	error_clear(why);
	error_set_at(why, path, line_of_statement(r, r->p->done), "version %s failed in statement %u of %u: %s%s", r->label,
		     r->p->done + 1, r->p->statements, r->p->message, r->p->done ? "; the statements before it are done" : "");
	error_hint(why, "put the database right, then: dbreconcilectl migrations TARGET repair (it deletes the failed row); the file goes on "
		   "with statement %u", r->p->done + 1);
}

static void apply_one(struct resume *r)
{
	const struct migration_progress *p = r->p;

	r->m->progress = p;
	if (r->m->state == MIGRATION_FAILED) {
		has_failed(r);
		return;
	}
	if (p->state == PROGRESS_STUCK)
		block(r, line_of_statement(r, p->done), p->message, resolve_hint(r, true));
	else if (p->done && !is_same_text(r))
		block(r, 0, talloc_asprintf(r->list, "%u of %u statements of the file as it was are done, and that part of it was changed",
					    p->done, p->statements), resolve_hint(r, false));
	else if (p->state == PROGRESS_RUNNING)
		was_interrupted(r);
	else if (p->done)
		goes_on(r);
}

static bool belongs(const struct migration_progress *p, const struct migration_file *file)
{
	char *description;
	bool same;

	if (*p->version || file->version)
		return *p->version && file->version && !migration_version_compare(p->version, file->version);
	description = ledger_description(NULL, file);
	same = !strcmp(description, p->description);
	talloc_free(description);
	return same;
}

void progress_apply(struct migration_list *list, const struct migration_progress *rows, uint32_t n)
{
	for (uint32_t i = 0; n && i < list->n; i++) {
		struct resume r = { .list = list, .m = &list->v[i] };

		if (!r.m->file || (!migration_runs(r.m) && r.m->state != MIGRATION_FAILED && !runs_by_order(r.m)))
			continue;
		for (uint32_t j = 0; j < n && !r.p; j++)
			if (belongs(&rows[j], r.m->file))
				r.p = &rows[j];
		if (!r.p)
			continue;
		r.label = label(list, r.m->file);
		apply_one(&r);
	}
}
