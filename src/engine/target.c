/* SPDX-License-Identifier: PostgreSQL */
/*
 * Executes for one target what the table in target_fsm.c decides, and gives it
 * its turns; batches are submitted and pulled here. What the rows mean is
 * look.c's, judge.c's and apply.c's.
 */
#include "engine/internal.h"

#include <stdarg.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"

#define ROUNDS 4                /* of applying in one pass */
#define SERVER_WAIT 2000        /* ms: a server that hangs does not keep its databases from their plans */

/* ---- batches ---- */

void collect_begin(struct collect *c, void *parent)
{
	*c = (struct collect){ .parent = parent };
}

int collect_turn(struct target *t, struct collect *c)
{
	struct outcome *o;

	while ((o = session_next(t->session, c->parent)) != NULL) {
		c->v = talloc_realloc(c->parent, c->v, struct outcome *, c->n + 1);
		c->v[c->n++] = o;
		if (o->status == OUTCOME_ERROR && c->error == NULL)
			c->error = o;
		if (o->last) {
			c->over = true;
			return 1;
		}
	}
	return session_state(t->session) == SESSION_FAILED || session_state(t->session) == SESSION_CLOSED ? 2 : 0;
}

int target_submit(struct target *t, enum batch_mode mode, struct statement *statements, unsigned n, msec_t budget, msec_t now)
{
	t->pass->batch = (struct batch){ .mode = mode, .statements = statements, .n = n, .budget = budget };
	if (session_submit(t->session, &t->pass->batch, now) == 0) {
		target_mark(t);       /* turned once without waiting: bytes want to go out */
		return 0;
	}
	target_failf(t, FAILURE_INTERNAL, now, NULL, "the session was not ready for a batch");
	return 1;
}

/* ---- failing ---- */

void target_fail(struct target *t, enum failure failure, const struct error *err, msec_t now)
{
	if (t->pass != NULL) {
		t->pass->failure = failure;
		if (err != &t->pass->error)
			t->pass->error = *err;
		error_name_target(&t->pass->error, t->name);
	}
	if (target_is_root(t) && (t->state == TS_CONNECT || t->state == TS_ASSERT))
		t->server->down = true;       /* its databases need not try */
	target_event(t, TE_FAILED, now);
}

void target_failf(struct target *t, enum failure failure, msec_t now, const char *hint, const char *format, ...)
{
	struct error err;
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_clear(&err);
	error_set(&err, "%s", text);
	if (hint != NULL)
		error_hint(&err, "%s", hint);
	target_fail(t, failure, &err, now);
}

/* ---- effects ---- */

static void effect_none(struct target *t, msec_t now)
{
	(void)t;
	(void)now;
}

static void effect_ask(struct target *t, msec_t now)
{
	pass_begin(t, now);
	quiet_ask(t, now);
}

static void effect_queue(struct target *t, msec_t now)
{
	if (t->pass == NULL)
		pass_begin(t, now);
	if (target_rebase(t, now))
		slots_queue(t, t->pass->ordered || target_is_root(t));
}

static void effect_facts(struct target *t, msec_t now)
{
	facts_begin(t, now);
}

static void effect_look(struct target *t, msec_t now)
{
	pass_admitted(t, now);
	look_begin(t, now);
}

/* Ordered together, the server and its databases are looked at side by side; but what the server has now is what they are
   planned by. */
static bool server_is_looking(const struct target *t)
{
	const struct target *root = t->server->root;

	if (root->ordered)
		return true;
	return root->pass != NULL && root->pass->ordered &&
	       (root->state == TS_QUEUED || root->state == TS_CONNECT || root->state == TS_ASSERT || root->state == TS_LOOK);
}

static bool plan_waits(struct target *t, msec_t now)
{
	if (target_is_root(t) || !t->pass->ordered || !server_is_looking(t))
		return false;
	if (t->pass->server_by == 0)
		t->pass->server_by = now + SERVER_WAIT;
	return now < t->pass->server_by;
}

static void effect_plan(struct target *t, msec_t now)
{
	struct error err;

	if (plan_waits(t, now))
		return;                       /* the next turn asks again */
	if (target_is_root(t))
		server_looked(t->server);
	error_clear(&err);
	if (plan_make(t, now, &err) != 0) {
		target_fail(t, FAILURE_INTERNAL, &err, now);
		return;
	}
	if (t->verdict == TE_FAILED)
		target_fail(t, t->pass->failure, &t->pass->error, now);
	else
		target_event(t, t->verdict, now);
}

/* After an apply: changes that were made and are needed again have not converged; others were not possible before. */
static void judge_remaining(struct target *t)
{
	struct error err;

	if (t->verdict == TE_CORRECT && t->pass->progress && ++t->pass->rounds < ROUNDS && !flapping_made_now(t, t->plan)) {
		t->verdict = TE_MORE;
		return;
	}
	error_clear(&err);
	error_set(&err, "not converged: %u change%s still needed after all that could be made was made", t->plan->ready,
		  t->plan->ready == 1 ? " is" : "s are");
	error_hint(&err, "something undoes them or hides them; see the events of this target");
	pass_note_failure(t->pass, FAILURE_CONFLICT, &err);
}

static void effect_judge(struct target *t, msec_t now)
{
	struct error err;

	error_clear(&err);
	if (plan_make(t, now, &err) != 0) {
		target_fail(t, FAILURE_INTERNAL, &err, now);
		return;
	}
	if (t->verdict == TE_CORRECT)
		judge_remaining(t);
	if (t->verdict == TE_PENDING && t->pass->failure != FAILURE_NONE)
		t->verdict = TE_FAILED;       /* what stands before the migrations is not there: they would only fail */
	if (t->verdict == TE_FAILED)
		target_fail(t, t->pass->failure, &t->pass->error, now);
	else
		target_event(t, t->verdict, now);
}

static void effect_close(struct target *t, msec_t now)
{
	(void)now;
	slots_unqueue(t);
	quiet_forget(t);
	if (t->pass != NULL && t->pass->apply != NULL)
		apply_lost(t);
	migrations_forget(t);
	target_disconnect(t);
	TALLOC_FREE(t->pass);
	target_unmark(t);
	target_wake_at(t, MSEC_NEVER);
	t->once_done = true;
	t->view.busy = false;
	t->engine->reap += t->removed;
}

static void effect_bug(struct target *t, msec_t now)
{
	log_target(LOG_LEVEL_ERROR, t->name, NULL, "internal error: an event came in state %s that cannot come there", target_state_name(t->state));
	if (t->pass != NULL)
		target_failf(t, FAILURE_INTERNAL, now, "please report this", "internal error in state %s", target_state_name(t->state));
}

typedef void (*target_effect_run)(struct target *, msec_t now);

static const target_effect_run effects[TARGET_EFFECTS] = {
	[FX_NONE] = effect_none, [FX_ASK] = effect_ask, [FX_QUEUE] = effect_queue, [FX_CONNECT] = connection_open,
	[FX_FACTS] = effect_facts, [FX_LOOK] = effect_look, [FX_PLAN] = effect_plan, [FX_APPLY] = apply_begin,
	[FX_MIGRATE] = migrations_run, [FX_JUDGE] = effect_judge, [FX_REST] = pass_rest, [FX_BACKOFF] = pass_backoff,
	[FX_CLOSE] = effect_close, [FX_BUG] = effect_bug,
};

void target_event(struct target *t, enum target_event event, msec_t now)
{
	struct target_step step = target_fsm_step(t->state, event);

	if (log_enabled(LOG_LEVEL_DEBUG))
		log_target(LOG_LEVEL_DEBUG, t->name, NULL, "%s, %s: %s (%s)", target_state_name(t->state), target_event_name(event),
			   target_state_name(step.next), step.why);
	t->state = step.next;
	publish_state(t);
	effects[step.effect](t, now);
}

/* ---- one turn ---- */

static msec_t min_msec(msec_t a, msec_t b)
{
	return a < b ? a : b;
}

/* At rest or waiting, for a slot too: a kept connection may have an answer for the quiet check, or may be gone. */
static void kept_turn(struct target *t, msec_t now)
{
	if (t->session == NULL)
		return;
	if (target_is_root(t))
		quiet_turn(t->server, now);
	if (t->session == NULL || session_state(t->session) == SESSION_READY || session_state(t->session) == SESSION_RUNNING)
		return;
	target_disconnect(t);
	if (target_is_root(t))
		t->due = min_msec(t->due, now);      /* look why at once */
}

static const target_effect_run turns[TARGET_STATES] = {
	[TS_IDLE] = kept_turn, [TS_HELD] = kept_turn, [TS_SUSPENDED] = kept_turn, [TS_BACKOFF] = kept_turn, [TS_QUIET] = kept_turn,
	[TS_QUEUED] = kept_turn, [TS_CONNECT] = connection_turn, [TS_ASSERT] = facts_turn, [TS_LOOK] = look_turn, [TS_PLAN] = effect_plan,
	[TS_APPLY] = apply_turn, [TS_MIGRATE] = migrations_turn, [TS_VERIFY] = look_turn, [TS_JUDGE] = effect_none,
	[TS_DRAIN] = effect_none, [TS_STOPPED] = effect_none,
};

static void drain_turn(struct target *t, msec_t now)
{
	if (t->pass->migrator != NULL || t->pass->hook != NULL)
		migrations_turn(t, now);
	else if (t->pass->apply != NULL)
		apply_turn(t, now);
	else
		target_event(t, TE_FAILED, now);      /* it had not begun */
}

/* A pass begins when it is due and, for a database, when its server has been seen. */
static void begin_if_due(struct target *t, msec_t now)
{
	if (!target_state_at_rest(t->state) || t->due > now || t->engine->stopping)
		return;
	if (!target_is_root(t) && (!t->server->released || t->server->down)) {
		t->due = MSEC_NEVER;          /* fleet_release() sets it */
		return;
	}
	target_event(t, !t->ordered && quiet_possible(t, now) ? TE_DUE_QUIET : TE_DUE, now);
}

static void set_wake(struct target *t)
{
	msec_t wake = target_state_at_rest(t->state) ? t->due : MSEC_NEVER;

	if (t->state == TS_STOPPED)
		return;
	if (t->session != NULL)
		wake = min_msec(wake, session_deadline(t->session));
	if (t->pass != NULL)
		wake = min_msec(wake, t->pass->deadline);
	if (t->pass != NULL && (t->pass->migrator != NULL || t->pass->hook != NULL))
		wake = min_msec(wake, t->pass->runner_deadline);
	if (target_is_root(t) && t->server->asking)
		wake = min_msec(wake, t->server->ask_deadline);
	if (t->state == TS_PLAN)
		wake = min_msec(wake, t->pass->server_by);
	target_wake_at(t, wake);
}

void target_turn(struct target *t, msec_t now)
{
	unsigned ready = t->watch.ready;

	t->watch.ready = 0;
	target_work_begin(t);
	if (t->session != NULL && session_turn(t->session, ready, now))
		target_mark(t);
	if (t->pass != NULL)
		t->pass->ready = ready;
	if (t->state == TS_DRAIN)
		drain_turn(t, now);
	else
		turns[t->state](t, now);
	if (t->pass != NULL && t->pass->deadline <= now)
		target_failf(t, FAILURE_TIMEOUT, now, "the server is slow or frozen, or there is very much to do: raise pass_timeout",
			     "the pass did not end in time (in step %s)", target_state_name(t->state));
	begin_if_due(t, now);
	if (t->pass == NULL || t->pass->migrator == NULL)
		watch_update(t);
	set_wake(t);
	target_work_end(t);
}
