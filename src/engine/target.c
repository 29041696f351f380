/* SPDX-License-Identifier: PostgreSQL */
/*
 * Executes for one target what the table in target_fsm.c decides: sessions are
 * opened, turned and closed here, batches are submitted and pulled; what the
 * rows mean is look.c's, judge.c's and apply.c's.
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

void pass_note_failure(struct pass *p, enum failure failure, const struct error *err)
{
	if (p->failure != FAILURE_NONE)
		return;
	p->failure = failure;
	p->error = *err;
}

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

static void fail_session(struct target *t, msec_t now)
{
	struct error err = *session_error(t->session);
	enum failure failure = session_failure(t->session);

	if (!error_is_set(&err))
		error_set(&err, "the connection was lost");
	target_fail(t, failure == FAILURE_NONE ? FAILURE_CONNECT : failure, &err, now);
}

/* ---- the connection ---- */

void target_disconnect(struct target *t)
{
	watch_close(t);
	slots_keep(t, false);
	t->asserted = false;
	if (t->session != NULL && target_is_root(t))
		quiet_lost(t->server, t->engine->now);
	talloc_free(t->session);
	t->session = NULL;
	slots_release(t);
}

static msec_t min_msec(msec_t a, msec_t b)
{
	return a < b ? a : b;
}

static void bucket(uint64_t buckets[12], uint64_t *count, double *sum, msec_t span)
{
	static const double limits[] = { .05, .1, .25, .5, 1, 2.5, 5, 10, 30, 60, 300 };
	double seconds = (double)span / 1000;
	unsigned i = 0;

	while (i < sizeof(limits) / sizeof(limits[0]) && seconds > limits[i])
		i++;
	buckets[i]++;
	(*count)++;
	*sum += seconds;
}

/* A connection is there: from now on the pass has a deadline; from due to here it waited. */
static void pass_admitted(struct target *t, msec_t now)
{
	struct engine_numbers *n = &t->engine->numbers;

	if (t->pass->deadline != MSEC_NEVER)
		return;
	t->pass->deadline = now + target_settings(t)->pass_timeout;
	if (t->pass->admitted)
		return;
	t->pass->admitted = true;
	bucket(n->wait_buckets, &n->wait_count, &n->wait_sum, now > t->pass_due ? now - t->pass_due : 0);
}

static int session_make(struct target *t, struct error *err)
{
	const struct settings *settings = target_settings(t);
	const struct server_settings *server = target_server_settings(t);
	void *scratch = talloc_new(t->pass);
	char *password = NULL;
	int r = secrets_get(t, scratch, &server->password, &password, err);

	if (r == 0) {
		struct session_config config = {
			.name = t->name, .conninfo = server->conninfo, .database = t->database, .password = password,
			.application_name = "dbreconciled", .version_num = t->server->version_num, .superuser = t->server->superuser,
			.connect_timeout = settings->connect_timeout, .lock_timeout = settings->lock_timeout,
			.statement_timeout = settings->statement_timeout,
		};

		t->session = session_new(t, &config);
	}
	talloc_free(scratch);
	return r;
}

/* With the password at hand at once, or later: a command may have to run for it. */
static void connect_begin(struct target *t, msec_t now)
{
	struct error err;
	int r;

	error_clear(&err);
	r = session_make(t, &err);
	if (r == 2)
		return;
	if (r != 0)
		target_fail(t, FAILURE_AUTH, &err, now);
	else if (session_connect(t->session, now) != 0)
		fail_session(t, now);
	else
		target_mark(t);
}

static void effect_connect(struct target *t, msec_t now)
{
	watch_close(t);
	t->asserted = false;
	if (t->session != NULL && target_is_root(t))
		quiet_lost(t->server, now);
	TALLOC_FREE(t->session);
	pass_admitted(t, now);
	connect_begin(t, now);
}

static void connect_turn(struct target *t, msec_t now)
{
	if (t->session == NULL) {
		if (!t->waiting_secret)
			connect_begin(t, now);
		return;
	}
	switch (session_state(t->session)) {
	case SESSION_READY:
		if (target_is_root(t))
			t->server->epoch++;
		target_event(t, TE_READY, now);
		break;
	case SESSION_FAILED:
	case SESSION_CLOSED:
		if (target_is_root(t))
			t->server->version_num = 0;      /* perhaps another version answers now: begin with the short list again */
		if (session_failure(t->session) == FAILURE_AUTH)
			secrets_forget(t->engine, &target_server_settings(t)->password);
		fail_session(t, now);
		break;
	default:
		break;
	}
}

/* ---- the pass ---- */

static int pass_done(struct pass *p)
{
	look_unref(p->look);
	source_files_unref(p->files);
	source_files_unref(p->seed_files);
	return 0;
}

static void pass_begin(struct target *t, msec_t now)
{
	slots_keep(t, false);
	t->pass = talloc_zero(t, struct pass);
	talloc_set_destructor(t->pass, pass_done);
	t->pass->started = now;
	t->pass->started_us = clock_monotonic_us();
	t->pass->deadline = MSEC_NEVER;
	t->pass->ordered = t->ordered;
	t->pass->observed_only = t->ordered && t->order_observed;
	t->pass->retry = (t->retry || t->engine->options.once) && !t->pass->observed_only;
	t->retry = t->retry && t->pass->observed_only;
	t->ordered = t->order_observed = false;
	suspension_expire(t);
	flapping_pass(t);
	t->pass_due = t->due == MSEC_NEVER || t->due > now ? now : t->due;
	t->due = MSEC_NEVER;
	publish_start(t);
}

void target_work_begin(struct target *t)
{
	t->engine->cpu_mark = clock_cpu_us();
}

void target_work_end(struct target *t)
{
	int64_t cpu = clock_cpu_us();

	if (t->pass != NULL)
		t->pass->cpu_us += cpu - t->engine->cpu_mark;
	t->engine->cpu_mark = cpu;
}

static void note_duration(struct target *t, msec_t now)
{
	struct engine_numbers *n = &t->engine->numbers;

	bucket(n->duration_buckets, &n->duration_count, &n->duration_sum, now - t->pass->started);
	target_work_end(t);
	t->view.last_duration_us = clock_monotonic_us() - t->pass->started_us;
	t->view.last_cpu_us = t->pass->cpu_us;
	t->view.last_applied_us = t->pass->applied_us;
}

/* Only what was asserted and looked at once: the next pass on it begins with the look. */
static bool session_may_stay(const struct target *t)
{
	if (t->session == NULL || !t->asserted || t->look == NULL)
		return false;
	return session_state(t->session) == SESSION_READY && session_transaction(t->session) == 'I' && slots_may_keep(t);
}

/* The plans of its databases that waited for it can be made. */
static void server_looked(struct server *s)
{
	for (uint32_t i = 0; i < s->n_databases; i++)
		if (s->databases[i]->state == TS_PLAN)
			target_mark(s->databases[i]);
}

/* Both ends of a pass: the connection goes or is kept, the next due time is set. */
static void pass_end(struct target *t, msec_t next, msec_t now)
{
	bool first = !t->once_done;

	if (t->pass != NULL)
		note_duration(t, now);
	slots_unqueue(t);
	migrations_forget(t);
	if (session_may_stay(t))
		slots_keep(t, true);
	else
		target_disconnect(t);
	TALLOC_FREE(t->pass);
	t->once_done = t->wait.why == WAVE_GO;      /* else waves.c says when */
	t->waiting_secret = false;
	if (t->resume_due != 0 && t->resume_due < next)
		next = t->resume_due > now ? t->resume_due : now;      /* looking must not put off correcting */
	t->resume_due = 0;
	next = waves_due(t, t->soon ? now : next, now);
	t->soon = false;
	t->due = t->engine->options.once ? MSEC_NEVER : next;
	if (t->again) {
		t->again = false;
		t->ordered = true;
		t->due = now;
	}
	t->view.next_ms = t->due == MSEC_NEVER ? 0 : clock_wall() + (t->due - now);
	t->view.busy = t->due <= now;
	if (target_is_root(t)) {
		fleet_release(t->server, now);
		server_looked(t->server);
	}
	if (first && t->due <= now)
		target_mark(t);
	target_wake_at(t, t->due);
}

/* What it looked at has changed: a pass at once, or as soon as the one under way is over. */
static void target_soon(struct target *t, msec_t now)
{
	if (t->engine->options.once)
		return;
	if (!target_state_at_rest(t->state)) {
		t->soon = true;
	} else if (t->due != MSEC_NEVER) {
		t->due = now;
		target_wake_at(t, now);
	}
}

static void effect_rest(struct target *t, msec_t now)
{
	bool wrote = t->pass->wrote;
	msec_t next = schedule_next(t->engine, target_server_settings(t)->interval, t->pass->started, now);

	t->failures = 0;
	publish_rest(t, now);
	pass_end(t, next, now);
	/* the last step of a retirement is the server's: as soon as nothing here depends on the role */
	if (wrote && !target_is_root(t) && t->look != NULL && t->server->look != NULL && t->server->look->server_state->n_dependencies > 0)
		target_soon(t->server->root, now);
	/* roles changed: what stood blocked may go now */
	for (uint32_t i = 0; wrote && target_is_root(t) && i < t->server->n_databases; i++)
		target_soon(t->server->databases[i], now);
}

static void effect_backoff(struct target *t, msec_t now)
{
	msec_t wait = schedule_backoff(t->engine, ++t->failures, t->engine->hold->settings->backoff_max);
	struct error err = t->pass->error;
	enum failure failure = t->pass->failure;

	publish_failure(t, failure == FAILURE_NONE ? FAILURE_INTERNAL : failure, &err, now);
	pass_end(t, now + wait, now);
	if (!target_is_root(t))
		return;
	/* what failed on the server itself does not keep its databases waiting, once it has been looked at */
	if (!t->server->down && t->server->look != NULL && t->server->look->gen == t->server->gen)
		fleet_release(t->server, now);
	if (t->server->down || !t->server->released)
		publish_server_down(t->server, now);
}

/* ---- the other effects ---- */

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
	[FX_NONE] = effect_none, [FX_ASK] = effect_ask, [FX_QUEUE] = effect_queue, [FX_CONNECT] = effect_connect,
	[FX_FACTS] = effect_facts, [FX_LOOK] = effect_look, [FX_PLAN] = effect_plan, [FX_APPLY] = apply_begin,
	[FX_MIGRATE] = migrations_run, [FX_JUDGE] = effect_judge, [FX_REST] = effect_rest, [FX_BACKOFF] = effect_backoff,
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
	[TS_QUEUED] = kept_turn, [TS_CONNECT] = connect_turn, [TS_ASSERT] = facts_turn, [TS_LOOK] = look_turn, [TS_PLAN] = effect_plan,
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
