/* SPDX-License-Identifier: PostgreSQL */
/* A pass from its first moment to its last: what it begins with, what it took, and when the next one is due. */
#include "engine/internal.h"

#include <talloc.h>

static int pass_done(struct pass *p)
{
	look_unref(p->look);
	source_files_unref(p->files);
	source_files_unref(p->seed_files);
	return 0;
}

void pass_begin(struct target *t, msec_t now)
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

void pass_admitted(struct target *t, msec_t now)
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

void pass_note_failure(struct pass *p, enum failure failure, const struct error *err)
{
	if (p->failure != FAILURE_NONE)
		return;
	p->failure = failure;
	p->error = *err;
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

void server_looked(struct server *s)
{
	for (uint32_t i = 0; i < s->n_databases; i++)
		if (s->databases[i]->state == TS_PLAN)
			target_mark(s->databases[i]);
}

/* However it ended: the connection goes or is kept, the next due time is set. */
static void pass_end(struct target *t, msec_t next, msec_t now)
{
	bool first = !t->once_done;

	if (t->pass != NULL)
		note_duration(t, now);
	slots_unqueue(t);
	quiet_forget(t);
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

void pass_rest(struct target *t, msec_t now)
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

void pass_backoff(struct target *t, msec_t now)
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
