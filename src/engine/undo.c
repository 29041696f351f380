/* SPDX-License-Identifier: PostgreSQL */
#include "engine/undo.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/internal.h"
#include "reconcile/inverse.h"

/* ---- the lists ---- */

static struct undo_list *list_of(struct target *t)
{
	if (t->undo == NULL)
		t->undo = talloc_zero(t, struct undo_list);
	return t->undo;
}

static void key_of(const struct target *t, const char *word, int64_t id, char *key, size_t size)
{
	snprintf(key, size, "%s/%s/%" PRId64, word, t->name, id);
}

static int store(struct target *t, const char *word, const struct undo_entry *e)
{
	char key[320], *value = talloc_asprintf(NULL, "%" PRId64 "\n%s\n%s\n%s", e->at_ms, e->actor, e->approval, e->record);
	int r;

	key_of(t, word, e->id, key, sizeof(key));
	r = state_put(t->engine->state, key, value);
	talloc_free(value);
	return r;
}

static void entry_add(struct target *t, struct undo_entries *list, const struct undo_entry *e)
{
	struct undo_entry *copy;

	list->v = talloc_realloc(list_of(t), list->v, struct undo_entry, list->n + 1);
	copy = &list->v[list->n++];
	*copy = *e;
	copy->actor = talloc_strdup(list->v, e->actor);
	copy->approval = talloc_strdup(list->v, e->approval);
	copy->record = talloc_strdup(list->v, e->record);
}

static void entry_drop(struct target *t, const char *word, struct undo_entries *list, uint32_t at)
{
	struct undo_entry *e = &list->v[at];
	char key[320];

	key_of(t, word, e->id, key, sizeof(key));
	state_delete(t->engine->state, key);
	talloc_free((void *)(uintptr_t)e->actor);
	talloc_free((void *)(uintptr_t)e->approval);
	talloc_free((void *)(uintptr_t)e->record);
	memmove(&list->v[at], &list->v[at + 1], (list->n - at - 1) * sizeof(*list->v));
	list->n--;
}

static uint32_t entry_find(const struct undo_entries *list, int64_t id)
{
	uint32_t i = 0;

	while (i < list->n && list->v[i].id != id)
		i++;
	return i;
}

/* ---- what survives a restart ---- */

/* "prod/12" is prod's, "prod/orders/12" is not. */
static bool fact_parse(const char *rest, char *value, struct undo_entry *ret)
{
	char *lines[3], *next = value;

	if (rest[0] == '\0' || rest[strspn(rest, "0123456789")] != '\0')
		return false;
	for (unsigned i = 0; i < 3; i++) {
		lines[i] = next;
		next = strchr(next, '\n');
		if (next == NULL)
			return false;
		*next++ = '\0';
	}
	*ret = (struct undo_entry){ .id = strtoll(rest, NULL, 10), .at_ms = strtoll(lines[0], NULL, 10), .actor = lines[1],
				    .approval = lines[2], .record = next, .wanted = true };
	return true;
}

static void load(struct target *t, const char *word, bool pending)
{
	char *prefix = talloc_asprintf(NULL, "%s/%s/", word, t->name);
	struct state_fact *facts = NULL;
	uint32_t n = 0;

	if (state_list(t->engine->state, prefix, prefix, &facts, &n) < 0)
		n = 0;
	for (uint32_t i = 0; i < n; i++) {
		char *value = talloc_strdup(prefix, facts[i].value);
		struct undo_entry e;

		if (fact_parse(facts[i].key + strlen(prefix), value, &e))
			entry_add(t, pending ? &list_of(t)->pending : &list_of(t)->undone, &e);
	}
	talloc_free(prefix);
}

void undo_load(struct target *t)
{
	load(t, "undo", true);
	load(t, "undone", false);
}

/* ---- asking, and thinking better of it ---- */

/* Who, where, what, and a random number: asked for again after a rejection it is another one. */
static void approval_id(const struct target *t, const struct undo_entry *e, char id[17])
{
	char *all = talloc_asprintf(NULL, "undo\n%s\n%" PRId64 "\n%" PRIu64 "\n%s", t->name, e->id, engine_random(t->engine), e->record);

	plan_digest(all, strlen(all), id);
	talloc_free(all);
}

int undo_ask(struct target *t, int64_t id, const char *actor, const char *record)
{
	struct undo_entry e = { .id = id, .at_ms = clock_wall(), .actor = actor, .record = record };
	char approval[17];
	int r;

	approval_id(t, &e, approval);
	e.approval = approval;
	r = store(t, "undo", &e);
	if (r == 0)
		entry_add(t, &list_of(t)->pending, &e);
	return r;
}

const struct undo_entry *undo_pending(const struct target *t, int64_t id)
{
	uint32_t at = t->undo != NULL ? entry_find(&t->undo->pending, id) : 0;

	return t->undo != NULL && at < t->undo->pending.n ? &t->undo->pending.v[at] : NULL;
}

const struct undo_entry *undo_waits(const struct target *t, const char *approval)
{
	for (uint32_t i = 0; t->undo != NULL && i < t->undo->pending.n; i++)
		if (strcmp(t->undo->pending.v[i].approval, approval) == 0)
			return &t->undo->pending.v[i];
	return NULL;
}

static void pending_drop(struct target *t, uint32_t at, const char *why)
{
	log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_ORDER, "undo of change %" PRId64 " dropped: %s", t->undo->pending.v[at].id, why);
	entry_drop(t, "undo", &t->undo->pending, at);
}

/* Is it in the plan whose id this is? */
static bool part_of(const struct target *t, const char *approval, const char *plan)
{
	if (strcmp(approval, plan) == 0)
		return true;
	for (uint32_t i = 0; t->plan != NULL && strcmp(t->plan->id, plan) == 0 && i < t->plan->n_changes; i++)
		if (t->plan->changes[i].op == CHANGE_UNDO && strcmp(t->plan->changes[i].approval, approval) == 0)
			return true;
	return false;
}

void undo_rejected(struct target *t, const char *plan)
{
	for (uint32_t i = 0; t->undo != NULL && i < t->undo->pending.n;) {
		if (part_of(t, t->undo->pending.v[i].approval, plan))
			pending_drop(t, i, "rejected");
		else
			i++;
	}
}

/* ---- plans ---- */

/* Recorded on the cluster and in the database that this look saw? What nobody could read (0) cannot differ. */
static bool recorded_here(const struct target *t, const struct change_record *record)
{
	const struct server_facts *facts = target_is_root(t) ? &t->look->server_state->facts : &t->look->database_state->facts;
	uint32_t oid = target_is_root(t) ? 0 : facts->database_oid;

	return (record->system_identifier == 0 || facts->system_identifier == 0 || record->system_identifier == facts->system_identifier) &&
	       (record->database_oid == 0 || record->database_oid == oid);
}

static void wish_fill(const struct target *t, void *memory, const struct undo_entry *e, const struct change_record *record, struct plan_undo *ret)
{
	struct approval approval;
	bool decided = state_approval(t->engine->state, memory, t->name, e->approval, clock_wall(), &approval) == 0;

	*ret = (struct plan_undo){
		.id = e->id, .approval = talloc_strdup(memory, e->approval), .approved = decided && !approval.rejected,
		.reason = talloc_asprintf(memory, "undo of change %" PRId64 ", asked for by %s", e->id, e->actor),
		.parts = record->back.v, .n_parts = record->back.n, .forward = record->forward.v, .n_forward = record->forward.n,
	};
}

static void pending_context(struct target *t, void *memory, struct plan_context *context)
{
	struct undo_entries *list = &t->undo->pending;
	struct plan_undo *wishes = talloc_zero_array(memory, struct plan_undo, list->n);
	uint32_t n = 0;

	for (uint32_t i = 0; i < list->n;) {
		struct change_record record;

		if (change_record_read(memory, t->gen->names, list->v[i].record, &record) != 0 || record.back.n == 0) {
			pending_drop(t, i, "what was recorded cannot be read");
		} else if (!recorded_here(t, &record)) {
			pending_drop(t, i, "the change was made in another cluster or database");
		} else {
			wish_fill(t, memory, &list->v[i], &record, &wishes[n++]);
			i++;
		}
	}
	context->undos = wishes;
	context->n_undos = n;
}

/* "2026-11-21 09:30 UTC" */
static void day_and_time(int64_t at_ms, char *buf, size_t size)
{
	time_t seconds = (time_t)(at_ms / 1000);
	struct tm tm;

	if (gmtime_r(&seconds, &tm) == NULL || strftime(buf, size, "%Y-%m-%d %H:%M UTC", &tm) == 0)
		snprintf(buf, size, "an unknown time");
}

static void undone_context(struct target *t, void *memory, struct plan_context *context)
{
	struct undo_entries *list = &t->undo->undone;
	struct plan_undone *undone = talloc_zero_array(memory, struct plan_undone, list->n);
	uint32_t n = 0;

	for (uint32_t i = 0; i < list->n; i++) {
		struct undo_entry *e = &list->v[i];
		struct change_record record;
		char when[40];

		e->wanted = false;
		if (change_record_read(memory, t->gen->names, e->record, &record) != 0 || !recorded_here(t, &record))
			continue;
		day_and_time(e->at_ms, when, sizeof(when));
		undone[n++] = (struct plan_undone){
			.forward = record.forward.v, .n_forward = record.forward.n, .wanted = &e->wanted,
			.reason = talloc_asprintf(memory, "change %" PRId64 " was undone by %s at %s: held until the manifest no longer asks for it, "
						  "or it is approved", e->id, e->actor, when),
		};
	}
	context->undone = undone;
	context->n_undone = n;
}

void undo_context(struct target *t, void *memory, struct plan_context *context)
{
	if (t->undo == NULL)
		return;
	pending_context(t, memory, context);
	undone_context(t, memory, context);
}

/* What hangs together is planned together: a privilege that is not asked for while the one it hangs on is held back may be
   again later. So the marks go together, when a plan asks for none of them. */
void undo_planned(struct target *t)
{
	bool wanted = t->undo != NULL && t->undo->pending.n > 0;

	for (uint32_t i = 0; t->undo != NULL && i < t->undo->undone.n; i++)
		wanted |= t->undo->undone.v[i].wanted;
	while (!wanted && t->undo != NULL && t->undo->undone.n > 0)
		entry_drop(t, "undone", &t->undo->undone, t->undo->undone.n - 1);
}

/* ---- history ---- */

char *undo_record(const struct target *t, void *parent, const struct change *c)
{
	const struct server_facts *facts = target_is_root(t) ? &t->look->server_state->facts : &t->look->database_state->facts;
	struct change_record record = {
		.system_identifier = facts->system_identifier, .database_oid = target_is_root(t) ? 0 : facts->database_oid,
		.version_num = facts->version_num, .undoes = c->undo != NULL ? c->undo->id : 0,
	};

	change_forward(parent, c, &record.forward);
	record.no_inverse = change_inverse(parent, c, facts->version_num, &record.back);
	return change_record_write(parent, t->plan->names, &record);
}

char *undo_actor(const struct target *t, void *parent, const struct change *c)
{
	const struct undo_entry *e = c->undo != NULL ? undo_pending(t, c->undo->id) : NULL;
	struct approval approval;

	if (e == NULL)
		return NULL;
	if (state_approval(t->engine->state, parent, t->name, e->approval, clock_wall(), &approval) != 0)
		return talloc_strdup(parent, e->actor);
	return talloc_asprintf(parent, "%s, approved by %s", e->actor, approval.actor);
}

void undo_begun(struct target *t, const struct change *c, int64_t event)
{
	uint32_t at = c->undo != NULL && t->undo != NULL ? entry_find(&t->undo->pending, c->undo->id) : 0;

	if (c->undo != NULL && t->undo != NULL && at < t->undo->pending.n)
		t->undo->pending.v[at].event = event;
}

/* It waits no longer, and its approval has served. */
static void pending_end(struct target *t, uint32_t at)
{
	state_approval_used(t->engine->state, t->name, t->undo->pending.v[at].approval);
	entry_drop(t, "undo", &t->undo->pending, at);
}

static void done(struct target *t, uint32_t at)
{
	struct undo_entry e = t->undo->pending.v[at];

	e.at_ms = clock_wall();
	e.wanted = true;
	entry_add(t, &t->undo->undone, &e);
	if (store(t, "undone", &e) != 0)
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_STATE_NOT_STORED,
			   "that change %" PRId64 " was undone could not be stored: after a restart it is made again when it is declared", e.id);
	pending_end(t, at);
}

/* In whose name counts here: what one grantor takes back is still undone of another. */
static bool repeats_any(const struct changes *made, const struct changes *undone)
{
	for (uint32_t i = 0; i < made->n; i++)
		for (uint32_t k = 0; k < undone->n; k++)
			if (change_repeats(&made->v[i], &undone->v[k]) && made->v[i].grantor == undone->v[k].grantor)
				return true;
	return false;
}

/* What is made again, by approval or by undoing the undo, is not undone any more. */
static void made_again(struct target *t, const struct change *c)
{
	void *scratch = talloc_new(NULL);
	struct changes made;

	change_forward(scratch, c, &made);
	for (uint32_t i = 0; i < t->undo->undone.n;) {
		struct change_record record;

		if (change_record_read(scratch, t->plan->names, t->undo->undone.v[i].record, &record) == 0 && repeats_any(&made, &record.forward))
			entry_drop(t, "undone", &t->undo->undone, i);
		else
			i++;
	}
	talloc_free(scratch);
}

void undo_applied(struct target *t, const struct change *c)
{
	uint32_t at;

	if (t->undo == NULL)
		return;
	if (t->undo->undone.n > 0 && (c->undone || c->undo != NULL))
		made_again(t, c);
	at = c->undo != NULL ? entry_find(&t->undo->pending, c->undo->id) : t->undo->pending.n;
	if (at < t->undo->pending.n)
		done(t, at);
}

void undo_failed(struct target *t, const struct change *c)
{
	uint32_t at = c->undo != NULL && t->undo != NULL ? entry_find(&t->undo->pending, c->undo->id) : 0;

	if (c->undo == NULL || t->undo == NULL || at == t->undo->pending.n)
		return;
	log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_ORDER, "undo of change %" PRId64 " dropped: it was tried once and failed", c->undo->id);
	pending_end(t, at);
}

void undo_settled(struct target *t, int64_t event)
{
	for (uint32_t i = 0; t->undo != NULL && i < t->undo->pending.n; i++) {
		if (event != 0 && t->undo->pending.v[i].event == event) {
			done(t, i);
			return;
		}
	}
}
