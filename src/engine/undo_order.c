/* SPDX-License-Identifier: PostgreSQL */
/*
 * Can this recorded change be undone? Each reason against it is said once, with what helps. What then waits is planned with
 * everything else (undo.c), so that nothing is written here.
 */
#include "engine/internal.h"
#include "engine/undo.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "reconcile/inverse.h"

#define RECORDS_AT_ONCE 16
#define RECORDS_MAX 50000             /* and so many bytes: the loop waits for it */
#define RECORDS_BYTES (64u << 20)

/* ---- what came after it ---- */

struct later {
	int64_t id, undoes;
};

/* Only what matters: what touched the same, and every undo. */
struct history {
	struct later *touching, *undos;
	uint32_t n_touching, n_undos, read;
	size_t bytes;
	bool too_long;
};

static bool touch(const struct changes *later, const struct changes *earlier)
{
	for (uint32_t i = 0; i < later->n; i++)
		for (uint32_t k = 0; k < earlier->n; k++)
			if (change_touches(&later->v[i], &earlier->v[k]))
				return true;
	return false;
}

static void later_add(void *parent, struct later **v, uint32_t *n, struct later it)
{
	if ((*n & (*n - 1)) == 0)
		*v = talloc_realloc(parent, *v, struct later, *n > 0 ? *n * 2 : 1);
	(*v)[(*n)++] = it;
}

/* Of a change that cannot be read nobody knows what it touched. */
static void note_later(struct history *h, void *parent, struct names *names, const struct state_record *row, const struct change_record *record)
{
	void *scratch = talloc_new(NULL);
	struct change_record later;
	bool read = change_record_read(scratch, names, row->record, &later) == 0;
	struct later it = { row->id, read ? later.undoes : 0 };

	if (it.undoes != 0)
		later_add(parent, &h->undos, &h->n_undos, it);
	if (!read || touch(&later.forward, &record->forward))
		later_add(parent, &h->touching, &h->n_touching, it);
	h->read++;
	h->bytes += row->record != NULL ? strlen(row->record) : 0;
	h->too_long = h->read >= RECORDS_MAX || h->bytes >= RECORDS_BYTES;
	talloc_free(scratch);
}

static int read_history(struct engine *e, void *parent, struct names *names, const char *target, int64_t id, const struct change_record *record,
			struct history *ret)
{
	int64_t after = id;
	uint32_t n = RECORDS_AT_ONCE;

	*ret = (struct history){ .read = 0 };
	while (n == RECORDS_AT_ONCE && !ret->too_long) {
		void *scratch = talloc_new(NULL);
		struct state_record *rows;
		int r = state_records(e->state, scratch, target, after, RECORDS_AT_ONCE, &rows, &n);

		for (uint32_t i = 0; r == 0 && i < n; i++) {
			note_later(ret, parent, names, &rows[i], record);
			after = rows[i].id;
		}
		talloc_free(scratch);
		if (r < 0)
			return r;
	}
	return 0;
}

/* The undo of it that was not undone itself; 0 = it holds. An undo is always later than what it undoes. */
static int64_t undone_by(const struct history *h, int64_t id)
{
	for (uint32_t i = h->n_undos; i-- > 0;)
		if (h->undos[i].undoes == id && undone_by(h, h->undos[i].id) == 0)
			return h->undos[i].id;
	return 0;
}

/* A later change and the undo of it cancel each other. */
static int64_t in_the_way(const struct history *h, int64_t id)
{
	for (uint32_t i = h->n_touching; i-- > 0;)
		if (h->touching[i].undoes <= id && undone_by(h, h->touching[i].id) == 0)
			return h->touching[i].id;
	return 0;
}

static int refuse_by_history(const struct history *h, const struct event *event, struct error *err)
{
	int64_t by = undone_by(h, event->id), other;

	if (by != 0) {
		error_set(err, "change %" PRId64 " was undone already, by change %" PRId64, event->id, by);
		error_hint(err, "to make it again: dbreconcilectl undo %" PRId64, by);
		return 1;
	}
	if (h->too_long) {
		error_set(err, "too many changes have been made to %s since: they are not searched for what depends on change %" PRId64, event->target,
			  event->id);
		error_hint(err, "see it with dbreconcilectl events -o json, and run its \"inverse\" by hand if it still holds");
		return 1;
	}
	other = in_the_way(h, event->id);
	if (other != 0) {
		error_set(err, "change %" PRId64 " touched the same object later", other);
		error_hint(err, "undo that first: dbreconcilectl undo %" PRId64, other);
		return 1;
	}
	return 0;
}

/* ---- the event itself ---- */

static const struct {
	const char *kind, *help;
} not_changes[] = {
	{ "reload", "a reload is taken back by the files before it, and another reload" },
	{ "migration", "a migration is taken back by another one, or by its U file: dbreconcilectl migrations TARGET undo" },
	{ "ledger", "an order on a ledger is taken back by another: dbreconcilectl migrations" },
	{ "suspended", "a suspension ends with dbreconcilectl resume" },
	{ "resumed", "to stop again: dbreconcilectl suspend" },
	{ "approved", "an approval is taken back with dbreconcilectl reject as long as it was not used; then undo the changes it made" },
	{ "rejected", "a rejection is taken back with dbreconcilectl approve" },
	{ "held", "what is held was not made: reject it with dbreconcilectl reject" },
};

static int refuse_by_kind(const struct event *event, struct error *err)
{
	if (strcmp(event->kind, "change") == 0)
		return 0;
	error_set(err, "number %" PRId64 " is no change, but a record of the kind '%s'", event->id, event->kind);
	for (size_t i = 0; i < sizeof(not_changes) / sizeof(not_changes[0]); i++)
		if (strcmp(not_changes[i].kind, event->kind) == 0)
			error_hint(err, "%s", not_changes[i].help);
	return 1;
}

static int refuse_by_result(const struct event *event, struct error *err)
{
	const char *result = event->result != NULL ? event->result : "unknown";

	if (strcmp(result, "ok") == 0)
		return 0;
	if (strcmp(result, "failed") == 0) {
		error_set(err, "change %" PRId64 " was not made: %s", event->id, event->message != NULL ? event->message : "it failed");
	} else if (strcmp(result, "started") == 0) {
		error_set(err, "change %" PRId64 " is being made, or the daemon was killed while it was", event->id);
		error_hint(err, "wait for the pass; of what a killed daemon left only a look at the server tells whether it was made");
	} else {
		error_set(err, "nobody knows whether change %" PRId64 " was made: %s", event->id, event->message != NULL ? event->message : "unknown");
		error_hint(err, "look at the server, and run the \"inverse\" of the event by hand if it was");
	}
	return 1;
}

static int refuse_by_record(const struct event *event, const char *text, bool read, const struct change_record *record, struct error *err)
{
	if (text == NULL || !read) {
		error_set(err, "of change %" PRId64 " too little was recorded to undo it: it was made by an earlier version, or is very large", event->id);
		error_hint(err, "see it with dbreconcilectl events -o json, and run its \"inverse\" by hand if it still holds");
		return 1;
	}
	if (record->back.n == 0) {
		error_set(err, "change %" PRId64 " has no inverse: %s", event->id, record->no_inverse != NULL ? record->no_inverse : "none was recorded");
		return 1;
	}
	return 0;
}

/* ---- where it was made ---- */

/* As configured now, whatever the last pass began with. */
static bool observes(const struct target *t)
{
	if (t->engine->options.observe_only)
		return true;
	return target_is_root(t) ? t->server->gen->server->mode == MODE_OBSERVE : t->configured == NULL || t->configured->mode == MODE_OBSERVE;
}

static int refuse_by_target(struct target *t, const struct change_record *record, struct error *err)
{
	if (!identity_is(t, record->system_identifier, record->database_oid)) {
		error_set(err, "the change was made in another cluster or database than %s is now", t->name);
		return 1;
	}
	if (observes(t)) {
		error_set(err, "%s is in observe mode: nothing is written there, neither is anything undone", t->name);
		error_hint(err, "set mode = \"enforce\" for it and reload, or start the daemon without --observe");
		return 1;
	}
	if (t->suspended) {
		error_set(err, "%s is suspended", t->name);
		error_hint(err, "dbreconcilectl resume %s", t->name);
		return 1;
	}
	return 0;
}

static bool is_ours(const struct target *t, const char *role)
{
	const struct look *look = t->server->look;

	return look != NULL && look->server_state != NULL && strcmp(names_text(look->gen->names, look->server_state->facts.me), role) == 0;
}

/* What the guard would block for ever need not wait. The plan's own checks hold all the same. */
static int refuse_by_guard(const struct target *t, const struct names *names, const struct change_record *record, struct error *err)
{
	const struct guard_settings *guard = target_is_root(t) ? &t->server->gen->server->guard : &t->configured->guard;

	for (uint32_t i = 0; i < record->back.n; i++) {
		const char *role = names_text(names, record->back.v[i].role);

		if (!guard_touches_role(&record->back.v[i]))
			continue;
		if (is_ours(t, role)) {
			error_set(err, "role %s is the one that dbreconcile logs in as", role);
			error_hint(err, "change it by hand, as somebody else");
			return 1;
		}
		if (!guard_protects(guard, role))
			continue;
		error_set(err, "role %s is protected (guard.protected_roles or built in)", role);
		error_hint(err, "change it by hand, or unprotect it");
		return 1;
	}
	return 0;
}

/* ---- the order ---- */

static void answer(const struct target *t, void *parent, struct names *names, const struct event *event, const struct change_record *record,
		   struct undo_answer *ret)
{
	struct plan plan = { .names = names };
	int version = t->view.server_version != 0 ? t->view.server_version : record->version_num;
	struct statements statements = { 0 };

	ret->target = talloc_strdup(parent, t->name);
	ret->description = talloc_strdup(parent, event->object != NULL ? event->object : "");
	changes_sql_display(parent, &plan, record->back.v, record->back.n, version, &statements);
	ret->statements = statements.v;
	ret->n_statements = statements.n;
}

static int ask(struct target *t, const struct event *event, const char *text, const char *actor, struct undo_answer *ret, void *parent,
	       struct error *err)
{
	const struct undo_entry *waits = undo_pending(t, event->id);

	ret->already = waits != NULL;
	if (waits == NULL && undo_ask(t, event->id, actor, text) != 0) {
		error_set(err, "it could not be stored; see the log of the daemon");
		return 1;
	}
	waits = undo_pending(t, event->id);
	ret->plan = talloc_strdup(parent, waits->approval);
	if (!ret->already) {
		char *object = talloc_asprintf(NULL, "change %" PRId64 ": %s", event->id, ret->description);

		order_record(t->engine, t->name, "undo", actor, object, ret->plan);
		talloc_free(object);
		order_judge_again(t);
	}
	return 0;
}

static int undo(struct engine *e, const struct event *event, const char *actor, void *parent, void *scratch, struct undo_answer *ret, struct error *err)
{
	struct names *names = names_new(scratch);
	struct change_record record;
	struct history history;
	struct error nowhere;
	const char *text = NULL;
	struct target *t;
	bool read;

	if (refuse_by_kind(event, err) != 0 || refuse_by_result(event, err) != 0)
		return 1;
	state_record(e->state, scratch, event->id, &text);
	read = change_record_read(scratch, names, text, &record) == 0;
	if (refuse_by_record(event, text, read, &record, err) != 0)
		return 1;
	error_clear(&nowhere);
	t = order_target(e, event->target, &nowhere);
	if (t == NULL) {
		error_set(err, "%s, to which change %" PRId64 " was made, is not configured any more", event->target, event->id);
		return 1;
	}
	if (refuse_by_target(t, &record, err) != 0 || refuse_by_guard(t, names, &record, err) != 0)
		return 1;
	if (read_history(e, scratch, names, event->target, event->id, &record, &history) < 0) {
		error_set(err, "the history cannot be read; see the log of the daemon");
		return 1;
	}
	if (refuse_by_history(&history, event, err) != 0)
		return 1;
	answer(t, parent, names, event, &record, ret);
	return ask(t, event, text, actor, ret, parent, err);
}

int engine_undo(struct engine *e, int64_t change, const char *actor, void *parent, struct undo_answer *ret, struct error *err)
{
	void *scratch = talloc_new(NULL);
	struct event *event;
	int r = state_event_get(e->state, scratch, change, &event);

	*ret = (struct undo_answer){ .change = change };
	if (r != 0) {
		error_set(err, r > 0 ? "there is no change %" PRId64 " in the history" : "change %" PRId64 " cannot be read from the history", change);
		error_hint(err, "dbreconcilectl events prints the numbers");
		r = 2;
	} else {
		r = undo(e, event, actor, parent, scratch, ret, err);
	}
	talloc_free(scratch);
	return r;
}
