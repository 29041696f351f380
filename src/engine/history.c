/* SPDX-License-Identifier: PostgreSQL */
/* What is recorded about changes: intent before, outcome after, and the doubt when a connection broke at COMMIT. */
#include "engine/apply.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/undo.h"

static struct change *change_at(struct target *t, uint32_t slot)
{
	return &t->plan->changes[t->pass->apply->groups[t->pass->apply->at].first + slot];
}

void apply_event_add(struct target *t, uint32_t slot, const char *sql, const char *inverse)
{
	struct apply *a = t->pass->apply;
	const struct change *c = change_at(t, slot);
	struct event *event = &a->intents[slot];

	*event = (struct event){
		.at_ms = clock_wall(), .target = t->name, .kind = "change", .actor = "daemon", .object = a->described[slot],
		.statement = sql, .inverse = inverse, .result = "started", .plan = t->pass->approved != NULL ? t->plan->id : NULL,
		.record = undo_record(t, a->texts, c),
	};

	if (c->undo != NULL) {
		event->plan = c->approval;
		event->actor = undo_actor(t, a->texts, c);
	}
	state_event_add(t->engine->state, event, &a->events[slot]);
	undo_begun(t, c, a->events[slot]);
}

void apply_events_stored(struct target *t)
{
	struct apply *a = t->pass->apply;

	if (state_batch_end(t->engine->state) == 0)
		return;
	memset(a->events, 0, a->n_events * sizeof(*a->events));       /* their numbers are given to others */
	log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_STATE_NOT_STORED, "the history of these changes could not be stored");
}

/* Where the intent is not there, both at once: the trouble may be over by now. */
static void outcome(struct target *t, uint32_t slot, const char *result, const char *sqlstate, const char *message)
{
	struct apply *a = t->pass->apply;
	struct event event = a->intents[slot];

	if (a->events[slot] != 0) {
		state_event_close(t->engine->state, a->events[slot], result, sqlstate, message);
		return;
	}
	event.result = result;
	event.sqlstate = sqlstate;
	event.message = message;
	state_event_add(t->engine->state, &event, NULL);
}

void apply_events_committed(struct target *t)
{
	struct apply *a = t->pass->apply;

	state_batch_begin(t->engine->state);
	for (uint32_t i = 0; i < a->n_events; i++) {
		const struct change *c = change_at(t, i);

		outcome(t, i, "ok", NULL, NULL);
		log_target(LOG_LEVEL_INFO, t->name, MESSAGE_CHANGE_APPLIED, "%s", a->described[i]);
		flapping_count(t, t->plan, c);
		undo_applied(t, c);
		if (c->op == CHANGE_SET_PASSWORD)
			passwords_applied(t, t->plan, c);
		t->view.changes_applied++;
		t->view.applied_by[c->kind]++;
	}
	apply_events_stored(t);
}

void apply_events_failed(struct target *t, const struct error *err, bool retried)
{
	struct apply *a = t->pass->apply;

	state_batch_begin(t->engine->state);
	for (uint32_t i = 0; i < a->n_events; i++) {
		const struct change *c = change_at(t, i);
		bool culprit = i == a->culprit;

		outcome(t, i, "failed", culprit ? err->sqlstate : NULL, culprit ? err->text : "rolled back with its group");
		if (retried)
			continue;
		if (a->failure != FAILURE_NONE && !failure_is_transient(a->failure))
			undo_failed(t, c);
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_CHANGE_FAILED, "failed: %s: %s", a->described[i], err->text);
		t->view.change_failures++;
		t->view.change_failures_by[c->kind]++;
	}
	apply_events_stored(t);
}

void apply_doubt(struct target *t)
{
	struct apply *a = t->pass->apply;
	struct doubt *d = talloc_zero(t, struct doubt);

	d->xid = talloc_steal(d, a->xid);
	a->xid = NULL;
	d->n_events = a->n_events;
	d->events = talloc_memdup(d, a->events, a->n_events * sizeof(*a->events));
	talloc_free(t->doubt);
	t->doubt = d;
	log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_IN_DOUBT, "the connection was lost at COMMIT of transaction %s: asking after it on the next one",
		   d->xid);
}

void doubt_settle(struct target *t, const char *status)
{
	struct doubt *d = t->doubt;
	const char *result = "unknown", *message = "the server does not remember the transaction";

	if (status != NULL && strcmp(status, "committed") == 0) {
		result = "ok";
		message = NULL;
	} else if (status != NULL && strcmp(status, "aborted") == 0) {
		result = "failed";
		message = "the connection was lost at COMMIT: rolled back";
	}
	for (uint32_t i = 0; i < d->n_events; i++) {
		state_event_close(t->engine->state, d->events[i], result, NULL, message);
		if (strcmp(result, "failed") != 0)
			undo_settled(t, d->events[i]);
	}
	log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_IN_DOUBT_RESOLVED, "transaction %s, in doubt since its connection was lost: %s", d->xid,
		   status != NULL ? status : "not known");
	TALLOC_FREE(t->doubt);
}

static void say_lost(struct history_watch *w, uint64_t lost, int error, bool stored)
{
	if (lost != w->lost && !w->failing) {
		w->failing = true;
		w->lost_before = w->lost;
		log_target(LOG_LEVEL_WARNING, NULL, MESSAGE_STATE_NOT_STORED, "the history cannot be written, %s: what is done is not found in it until that is over",
			   state_reason(error));
	} else if (lost == w->lost && w->failing && stored) {
		w->failing = false;
		log_target(LOG_LEVEL_NOTICE, NULL, MESSAGE_STATE_NOT_STORED, "the history is written again; it lacks %" PRIu64 " events or their ends",
			   lost - w->lost_before);
	}
}

/* Said when it begins and when it is over, not with every event. A file that is gone is noticed with the next event. */
void history_watch(struct engine *e)
{
	struct history_watch *w = &e->history;
	int error;
	uint64_t lost = state_lost(e->state, &error), changed = state_events_changed(e->state);
	const char *moved;

	if (lost == w->lost && changed == w->changed)
		return;
	say_lost(w, lost, error, changed != w->changed);
	w->lost = lost;
	w->changed = changed;
	moved = w->moved ? NULL : state_moved(e->state);
	if (moved == NULL)
		return;
	w->moved = true;
	log_target(LOG_LEVEL_ERROR, NULL, MESSAGE_STATE_NOT_STORED,
		   "%s was removed or replaced while it is in use: history, suspensions and approvals may end with this process "
		   "(put back what was there and restart dbreconciled, then look at what is suspended)", moved);
}
