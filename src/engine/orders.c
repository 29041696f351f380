/* SPDX-License-Identifier: PostgreSQL */
/* What operators may tell the engine. Each order is recorded with its actor. */
#include "engine/held.h"
#include "engine/internal.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/schema.h"
#include "engine/undo.h"

#define APPROVAL_LASTS INT64_C(86400000)     /* ms: a day */

void order_record(struct engine *e, const char *target, const char *kind, const char *actor, const char *object, const char *plan)
{
	struct event event = {
		.at_ms = clock_wall(), .target = target, .kind = kind, .actor = actor, .object = object, .result = "ok", .plan = plan,
	};

	state_event_add(e->state, &event, NULL);
	log_target(LOG_LEVEL_NOTICE, target, MESSAGE_ORDER, "%s by %s%s%s", kind, actor, object != NULL ? ": " : "", object != NULL ? object : "");
}

struct target *order_target(const struct engine *e, const char *name, struct error *err)
{
	struct target *t = fleet_target(e, name);

	if (t == NULL)
		error_set(err, "there is no target '%s'", name);
	return t;
}

/* A pass as soon as a connection is free; one that is under way is followed by another. */
void order_pass(struct target *t, bool observed_only, msec_t now)
{
	bool correcting = (t->ordered || t->again) && !t->order_observed;

	if (t->db != NULL && t->db->migrations.enabled)
		source_files_ask_again(t->engine, &t->db->migrations);
	t->order_observed = observed_only && !correcting;
	t->view.busy = true;
	if (!target_state_at_rest(t->state)) {
		t->again = true;
		return;
	}
	if (t->order_observed && t->resume_due == 0)
		t->resume_due = t->due;
	t->ordered = true;
	t->failures = 0;
	t->due = now;
	target_wake_at(t, now);
}

static void wake_server(struct target *t, msec_t now)
{
	struct target *root = t->server->root;

	if (target_is_root(t) || (t->server->released && !t->server->down))
		return;
	root->due = target_state_at_rest(root->state) ? now : root->due;
	target_wake_at(root, now);
}

static int order_each(struct engine *e, const char *target, bool observed_only)
{
	msec_t now = clock_monotonic();
	struct target *one = target != NULL ? fleet_target(e, target) : NULL;

	if (target != NULL && one == NULL)
		return 1;
	for (uint32_t i = 0; i < e->n_order; i++) {
		struct target *t = e->order[i];

		if ((one != NULL && t != one) || t->removed)
			continue;
		if (!observed_only) {
			flapping_forget(t);
			t->retry = true;
		}
		order_pass(t, observed_only, now);
		wake_server(t, now);
	}
	engine_arm(e, now);
	return 0;
}

int engine_reconcile(struct engine *e, const char *target, const char *actor)
{
	if (order_each(e, target, false) != 0)
		return 1;
	order_record(e, target != NULL ? target : "", "reconcile", actor, target != NULL ? NULL : "every target", NULL);
	return 0;
}

int engine_look(struct engine *e, const char *target, const char *actor)
{
	(void)actor;                  /* looking changes nothing: not history */
	return order_each(e, target, true);
}

int engine_release(struct engine *e, const char *target, const char *actor, struct error *err)
{
	struct target *t = order_target(e, target, err);

	if (t == NULL || waves_release(t, err) != 0)
		return 1;
	order_record(e, t->name, "released", actor, "the line of migrations goes on without it", NULL);
	engine_arm(e, clock_monotonic());
	return 0;
}

int engine_accept_schema(struct engine *e, const char *target, const char *actor, struct error *err)
{
	struct target *t = order_target(e, target, err);

	return t == NULL ? 1 : schema_accept(t, actor, err);
}

void order_judge_again(struct target *t)
{
	t->plan_stale = true;
	order_pass(t, false, clock_monotonic());
	engine_arm(t->engine, clock_monotonic());
}

int engine_suspend(struct engine *e, const char *target, const char *reason, int64_t for_ms, const char *actor, struct error *err)
{
	struct target *t = order_target(e, target, err);
	int64_t wall = clock_wall();
	struct suspension s = { .target = target, .reason = reason, .actor = actor, .since_ms = wall, .until_ms = for_ms > 0 ? wall + for_ms : 0 };

	if (t == NULL)
		return 1;
	if (state_suspend(e->state, &s) != 0) {
		error_set(err, "corrections are suspended, but that could not be stored: it ends with this process; see the log of the daemon");
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_STATE_NOT_STORED, "the suspension could not be stored: it ends with this process");
	}
	t->suspended = true;
	t->suspend_until = s.until_ms;
	talloc_free(t->suspend_reason);
	t->suspend_reason = reason != NULL && reason[0] != '\0' ? talloc_strdup(t, reason) : NULL;
	publish_suspension(t);
	order_record(e, t->name, "suspended", actor, reason, NULL);
	order_judge_again(t);
	return 0;
}

static void resume(struct target *t)
{
	state_resume(t->engine->state, t->name);
	t->suspended = false;
	t->suspend_until = 0;
	TALLOC_FREE(t->suspend_reason);
	publish_suspension(t);
}

int engine_resume(struct engine *e, const char *target, const char *actor, struct error *err)
{
	struct target *t = order_target(e, target, err);

	if (t == NULL)
		return 1;
	if (!t->suspended) {
		error_set(err, "it was not suspended");
		return 0;
	}
	resume(t);
	t->retry = true;
	order_record(e, t->name, "resumed", actor, NULL, NULL);
	order_judge_again(t);
	return 0;
}

void suspension_expire(struct target *t)
{
	if (!t->suspended || t->suspend_until == 0 || t->suspend_until > clock_wall())
		return;
	resume(t);
	order_record(t->engine, t->name, "resumed", "daemon", "the time of the suspension is over", NULL);
}

/* The id of the plan that is held now, of one undo in it, or of an identity that waits to be accepted. */
static bool approvable(const struct target *t, const char *plan)
{
	if (t->plan != NULL && t->plan->id[0] != '\0' && strcmp(t->plan->id, plan) == 0)
		return true;
	if (undo_waits(t, plan) != NULL)
		return true;
	return t->identity_offered[0] != '\0' && strcmp(t->identity_offered, plan) == 0;
}

/* What the plan holds is decided part by part, so that what stays of it stays approved when the first has been applied. */
static int decide_parts(struct target *t, const struct approval *whole)
{
	struct state *state = t->engine->state;
	struct approval part = *whole;
	bool one = t->plan == NULL || strcmp(t->plan->id, whole->plan) != 0;      /* an identity, one undo alone */

	state_batch_begin(state);
	state_approve(state, whole);
	part.plan = one ? "" : t->plan->guard_id;
	if (part.plan[0] != '\0' && strcmp(part.plan, whole->plan) != 0)
		state_approve(state, &part);
	for (uint32_t i = 0; !one && i < t->plan->n_changes; i++) {
		part.plan = t->plan->changes[i].approval;
		if (part.plan != NULL)
			state_approve(state, &part);
	}
	return state_batch_end(state);
}

static char *joined(char *text, const char *more)
{
	return text == NULL ? talloc_strdup(NULL, more) : talloc_asprintf_append(text, ", %s", more);
}

/* The files and the undos that the decision is about; NULL = none. */
static char *parts_of(const struct target *t, const char *plan)
{
	const struct undo_entry *alone = undo_waits(t, plan);
	char *text = NULL;

	if (alone != NULL)
		return talloc_asprintf(NULL, "undo of change %" PRId64, alone->id);
	for (uint32_t i = 0; t->plan != NULL && strcmp(t->plan->id, plan) == 0 && i < t->plan->n_changes; i++) {
		const struct change *c = &t->plan->changes[i];
		char *undo = c->undo != NULL ? talloc_asprintf(NULL, "undo of change %" PRId64, c->undo->id) : NULL;

		if (c->approval != NULL)
			text = joined(text, undo != NULL ? undo : c->extra);
		talloc_free(undo);
	}
	return text;
}

static int decide(struct engine *e, const char *target, const char *plan, const char *actor, bool rejected, struct error *err)
{
	struct target *t = order_target(e, target, err);
	int64_t wall = clock_wall();
	struct approval a = { .target = target, .plan = plan, .actor = actor, .at_ms = wall, .expires_ms = wall + APPROVAL_LASTS, .rejected = rejected };
	char *parts;

	if (t == NULL)
		return 1;
	if (!approvable(t, plan)) {
		if (t->plan != NULL && t->plan->id[0] != '\0')
			error_set(err, "%s does not hold plan %s; it holds %s now", target, plan, t->plan->id);
		else
			error_set(err, "%s does not hold plan %s; it holds none now", target, plan);
		error_hint(err, "look at it first: dbreconcilectl diff %s", target);
		return 1;
	}
	if (decide_parts(t, &a) != 0) {
		error_set(err, "the decision could not be stored; see the log of the daemon");
		return 1;
	}
	parts = parts_of(t, plan);
	if (rejected) {
		held_rejected(t);
		undo_rejected(t, plan);
	}
	order_record(e, t->name, rejected ? "rejected" : "approved", actor, parts, plan);
	talloc_free(parts);
	order_judge_again(t);
	return 0;
}

int engine_approve(struct engine *e, const char *target, const char *plan, const char *actor, struct error *err)
{
	return decide(e, target, plan, actor, false, err);
}

int engine_reject(struct engine *e, const char *target, const char *plan, const char *actor, struct error *err)
{
	return decide(e, target, plan, actor, true, err);
}

int engine_reload(struct engine *e, const char *actor, void *parent, struct config_errors **ret_errors)
{
	struct settings *settings = NULL;
	struct config_errors *errors = NULL;
	char object[64];
	int r;

	e->numbers.reloads++;
	e->numbers.last_reload_ms = clock_wall();
	r = config_load(e, &e->options.paths, &settings, &errors);
	if (r != 0) {
		e->numbers.reload_failures++;
		e->numbers.last_reload_ok = false;
		log_target(LOG_LEVEL_ERROR, NULL, MESSAGE_RELOAD_REFUSED, "reload refused, the old configuration runs on: %u error%s", errors != NULL ? errors->n : 0,
			 errors != NULL && errors->n == 1 ? "" : "s");
		*ret_errors = errors != NULL ? talloc_steal(parent, errors) : NULL;
		return r;
	}
	talloc_free(errors);
	e->numbers.last_reload_ok = true;
	e->numbers.accepted_ms = e->numbers.last_reload_ms;
	settings->generation = ++e->generation;
	settings_hold_unref(e->hold);
	e->hold = settings_hold_new(e, settings);
	if (!e->options.verbose)
		log_set_level((enum log_level)settings->log_level);
	fleet_configure(e, e->hold, clock_monotonic());
	snprintf(object, sizeof(object), "generation %llu", (unsigned long long)e->generation);
	order_record(e, "", "reload", actor, object, NULL);
	return 0;
}
