/* SPDX-License-Identifier: PostgreSQL */
#include "engine/held.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "engine/internal.h"
#include "migrate/hold.h"

static struct hold_policy policy_of(const struct target *t)
{
	const struct migration_settings *m = &t->db->migrations;

	return (struct hold_policy){ .words = m->hold, .n = m->n_hold, .above = m->hold_above };
}

bool held_wanted(const struct target *t)
{
	return t->db->migrations.n_hold > 0;
}

/* ---- the hook after the last file ---- */

static void owed_key(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "migrations/after/%s", t->name);
}

static void noted_key(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "held/%s", t->name);
}

void held_load(struct target *t)
{
	char key[300], *text = NULL;

	owed_key(t, key, sizeof(key));
	t->after_owed = !target_is_root(t) && state_get(t->engine->state, NULL, key, &text) == 0;
	TALLOC_FREE(text);
	noted_key(t, key, sizeof(key));
	if (state_get(t->engine->state, NULL, key, &text) == 0)
		snprintf(t->held_noted, sizeof(t->held_noted), "%s", text);
	talloc_free(text);
}

void held_owe_after(struct target *t, bool owed)
{
	char key[300];

	if (owed == t->after_owed)
		return;
	t->after_owed = owed;
	owed_key(t, key, sizeof(key));
	if (owed)
		state_put(t->engine->state, key, "owed");
	else
		state_delete(t->engine->state, key);
}

bool held_owes_after(const struct target *t)
{
	return t->after_owed && t->db->migrations.after != NULL && t->migrations != NULL && t->migrations->stop == NULL;
}

/* ---- history ---- */

static char *describe_held(void *parent, const struct plan *plan)
{
	char *text = NULL;

	for (uint32_t i = 0; i < plan->n_changes && text == NULL; i++)
		if (plan->changes[i].state == CHANGE_HELD)
			text = change_describe(parent, plan, &plan->changes[i]);
	return plan->held > 1 && text != NULL ? talloc_asprintf_append(text, ", and %u more", plan->held - 1) : text;
}

void held_record(struct target *t)
{
	const char *id = t->plan->held > 0 && target_applies(t) ? t->plan->id : "";
	char key[300], *object;
	struct event event = {
		.at_ms = clock_wall(), .target = t->name, .kind = "held", .actor = "daemon", .result = "ok", .message = t->plan->held_reason, .plan = id,
	};

	if (strcmp(id, t->held_noted) == 0)
		return;
	snprintf(t->held_noted, sizeof(t->held_noted), "%s", id);
	noted_key(t, key, sizeof(key));
	if (id[0] == '\0') {
		state_delete(t->engine->state, key);
		return;
	}
	event.object = object = describe_held(NULL, t->plan);
	state_put(t->engine->state, key, id);
	state_event_add(t->engine->state, &event, NULL);
	talloc_free(object);
}

/* ---- the decision ---- */

/* Who, where, which text, and what the policy has against it. Sizes change from minute to minute: they are no part of it, and
   neither is how far the file has come. */
static const char *approval_id(const struct target *t, const struct hold_policy *policy, const struct migration *m)
{
	const struct server_facts *facts = &t->look->database_state->facts;
	struct text *all = text_new(NULL);
	char id[17];

	text_addf(all, "migration\n%s\n%" PRIu64 "/%" PRIu32 "\n%s\n%s\n", t->name, facts->system_identifier, facts->database_oid,
		  m->file->version != NULL ? m->file->version : "", m->file->script);
	plan_digest(m->file->text, m->file->len, id);
	text_addf(all, "%s\n", id);
	for (uint32_t i = 0; i < m->n_findings; i++)
		if (hold_names(policy, &m->findings[i]))
			text_addf(all, "%u %s\n", m->findings[i].statement, m->findings[i].rule);
	plan_digest(all->s, all->len, id);
	talloc_free(all);
	return talloc_strdup(t->migrations, id);
}

/* Looks for a decision on the id: 0 none, 1 approved, 2 rejected, by *ret_actor. */
static int decision(const struct target *t, const char *id, void *parent, const char **ret_actor)
{
	struct approval approval;

	if (state_approval(t->engine->state, parent, t->name, id, clock_wall(), &approval) != 0)
		return 0;
	*ret_actor = approval.actor;
	return approval.rejected ? 2 : 1;
}

static void note(struct migration *m, void *parent, const char *text)
{
	m->note = m->note == NULL ? text : talloc_asprintf(parent, "%s; %s", m->note, text);
}

void held_judge(struct target *t)
{
	const struct hold_policy policy = policy_of(t);
	struct migration_list *list = t->migrations;
	const char *actor = NULL;

	if (list == NULL || policy.n == 0 || list->blocked)
		return;
	hold_mark(list, &policy);
	for (uint32_t i = 0; i < list->n; i++) {
		struct migration *m = &list->v[i];

		if (m->hold == NULL)
			continue;
		m->approval = approval_id(t, &policy, m);
		m->released = decision(t, m->approval, list, &actor) == 1;
		m->released_by = m->released ? actor : NULL;
		note(m, list, m->released ? talloc_asprintf(list, "approved by %s", actor) :
		     talloc_asprintf(list, "waits for approval: %s at line %u", m->hold->rule, m->hold->line));
	}
	hold_stop(list);
}

/* ---- the plan ---- */

uint32_t held_free(const struct target *t)
{
	return hold_free(t->migrations);
}

static char *why_held(const struct target *t, void *parent, const struct migration *m)
{
	const struct migration_finding *f = m->hold;
	const struct migration_list *list = t->migrations;
	char age[32], *text = talloc_asprintf(parent, "%s at line %u of %s: %s", f->rule, f->line, m->file->script, f->message);

	if (f->relation != NULL && !f->measured && !f->destroys && t->db->migrations.hold_above > 0)
		text = talloc_asprintf_append(text, " (its size could not be found out)");
	if (list->oldest_s > 0)
		text = talloc_asprintf_append(text, "; the oldest transaction is %s old (pid %" PRId64 ")",
					      duration_format(list->oldest_s * 1000, age, sizeof(age)), list->oldest_pid);
	return text;
}

static bool is_behind(const struct migration_list *list, const struct migration *m)
{
	return list->stop != NULL && (m == NULL || m >= list->stop);
}

void held_fill(const struct target *t, struct plan *plan, const struct migration *m, struct change *c)
{
	const struct migration_list *list = t->migrations;

	if (m != NULL && m->approval != NULL && m->hold != NULL)
		c->approval = talloc_strdup(plan, m->approval);
	if (!is_behind(list, m))
		return;
	c->state = CHANGE_HELD;
	if (m != NULL && m->hold != NULL && !m->released)
		c->reason = why_held(t, plan, m);
	else
		c->reason = talloc_asprintf(plan, "%s before it waits for approval", list->stop->file->script);
}

void held_identify(struct target *t, struct plan *plan)
{
	struct text *all = text_new(NULL);
	const char *actor = NULL;
	const char *undo = NULL;
	uint32_t n = 0;

	memcpy(plan->guard_id, plan->id, sizeof(plan->guard_id));
	text_addf(all, "plan\n%s\n", plan->guard_id);
	for (uint32_t i = 0; i < plan->n_changes; i++) {
		if (plan->changes[i].approval == NULL)
			continue;
		text_addf(all, "%s\n", plan->changes[i].approval);
		undo = plan->changes[i].op == CHANGE_UNDO ? plan->changes[i].approval : undo;
		n++;
	}
	if (n > 0) {
		if (n == 1 && undo != NULL && plan->guard_id[0] == '\0')
			snprintf(plan->id, sizeof(plan->id), "%s", undo);       /* alone it is known by its own id */
		else
			plan_digest(all->s, all->len, plan->id);
		t->rejected_by = decision(t, plan->id, plan, &actor) == 2 ? actor : NULL;
	}
	talloc_free(all);
}

static const struct migration *released(const struct target *t, const char *script)
{
	for (uint32_t i = 0; i < t->migrations->n; i++) {
		const struct migration *m = &t->migrations->v[i];

		if (m->released && m->approval != NULL && strcmp(m->file->script, script) == 0)
			return m;
	}
	return NULL;
}

const char *held_plan(const struct target *t, const char *script)
{
	const struct migration *m = t->plan != NULL ? released(t, script) : NULL;
	const char *actor;
	bool whole;
	void *scratch;

	if (m == NULL)
		return NULL;
	scratch = talloc_new(NULL);
	whole = decision(t, t->plan->id, scratch, &actor) == 1;      /* else he said it to another plan, which held this file too */
	talloc_free(scratch);
	return whole ? t->plan->id : NULL;
}

const char *held_applied(struct target *t, const char *script)
{
	const struct migration *m = released(t, script);

	if (m == NULL)
		return NULL;
	state_approval_used(t->engine->state, t->name, m->approval);
	return talloc_asprintf(t->migrations, "approved by %s", m->released_by);
}

void held_rejected(struct target *t)
{
	for (uint32_t i = 0; t->plan != NULL && t->migrations != NULL && i < t->migrations->n; i++)
		t->migrations->v[i].released = false;
	if (t->migrations != NULL)
		hold_stop(t->migrations);
}
