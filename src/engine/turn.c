/* SPDX-License-Identifier: PostgreSQL */
/*
 * One turn of the loop: events have only marked who is ready; all work is done
 * here, in a fixed order, with one reading of the clock. A turn that has worked
 * for TURN_BUDGET leaves the rest for the next, so that requests are answered.
 */
#include "engine/internal.h"

#include <event2/event.h>
#include <string.h>
#include <talloc.h>

#include "engine/schema.h"

#define TURN_BUDGET 15          /* ms */

/* ---- marks ---- */

void target_mark(struct target *t)
{
	struct engine *e = t->engine;

	if (t->marked)
		return;
	t->marked = true;
	t->mark_next = NULL;
	*e->marked_tail = t;
	e->marked_tail = &t->mark_next;
}

void target_unmark(struct target *t)
{
	struct engine *e = t->engine;
	struct target **at = &e->marked;

	if (!t->marked)
		return;
	while (*at != t)
		at = &(*at)->mark_next;
	*at = t->mark_next;
	if (*at == NULL)
		e->marked_tail = at;
	t->marked = false;
}

static struct target *marked_pop(struct engine *e)
{
	struct target *t = e->marked;

	if (t != NULL)
		target_unmark(t);
	return t;
}

/* ---- a heap of wake times ---- */

static void heap_put(struct engine *e, uint32_t at, struct target *t)
{
	e->heap[at] = t;
	t->heap_at = at + 1;
}

static void heap_up(struct engine *e, uint32_t at)
{
	struct target *t = e->heap[at];

	while (at > 0 && e->heap[(at - 1) / 2]->wake > t->wake) {
		heap_put(e, at, e->heap[(at - 1) / 2]);
		at = (at - 1) / 2;
	}
	heap_put(e, at, t);
}

static void heap_down(struct engine *e, uint32_t at)
{
	struct target *t = e->heap[at];

	for (;;) {
		uint32_t child = 2 * at + 1;

		if (child + 1 < e->n_heap && e->heap[child + 1]->wake < e->heap[child]->wake)
			child++;
		if (child >= e->n_heap || e->heap[child]->wake >= t->wake)
			break;
		heap_put(e, at, e->heap[child]);
		at = child;
	}
	heap_put(e, at, t);
}

static void heap_remove(struct engine *e, struct target *t)
{
	uint32_t at = t->heap_at - 1;
	struct target *last = e->heap[--e->n_heap];

	t->heap_at = 0;
	if (last == t)
		return;
	heap_put(e, at, last);
	heap_up(e, at);
	heap_down(e, last->heap_at - 1);
}

void target_wake_at(struct target *t, msec_t when)
{
	struct engine *e = t->engine;

	if (t->heap_at != 0 && t->wake == when)
		return;
	if (t->heap_at != 0)
		heap_remove(e, t);
	t->wake = when;
	if (when == MSEC_NEVER)
		return;
	if (e->n_heap == e->heap_cap) {
		e->heap_cap = e->heap_cap == 0 ? 64 : e->heap_cap * 2;
		e->heap = talloc_realloc(e, e->heap, struct target *, e->heap_cap);
	}
	heap_put(e, e->n_heap++, t);
	heap_up(e, e->n_heap - 1);
}

/* ---- the turn ---- */

static void mark_due(struct engine *e, msec_t now)
{
	while (e->n_heap > 0 && e->heap[0]->wake <= now) {
		struct target *t = e->heap[0];

		target_wake_at(t, MSEC_NEVER);
		target_mark(t);
	}
}

/* Each marked target once, until the budget is spent; always at least one. */
static void turn_targets(struct engine *e, msec_t now)
{
	struct target *last = NULL, *t;
	msec_t began = clock_monotonic();

	for (t = e->marked; t != NULL; t = t->mark_next)
		last = t;
	while ((t = marked_pop(e)) != NULL) {
		target_turn(t, now);
		if (t == last || clock_monotonic() - began > TURN_BUDGET)
			break;
	}
}

void engine_arm(struct engine *e, msec_t now)
{
	msec_t when = e->marked != NULL ? now : e->n_heap > 0 ? e->heap[0]->wake : MSEC_NEVER;
	struct timeval tv;

	if (schema_peers_deadline(e) < when)
		when = schema_peers_deadline(e);
	if (secrets_deadline(e) < when)
		when = secrets_deadline(e);
	if (ledger_orders_deadline(e) < when)
		when = ledger_orders_deadline(e);
	if (e->stopping && e->stop_deadline < when)
		when = e->stop_deadline;
	if (when == e->timer_at)
		return;
	e->timer_at = when;
	if (when == MSEC_NEVER) {
		event_del(e->timer);
		return;
	}
	if (when < now)
		when = now;
	tv.tv_sec = (when - now) / 1000;
	tv.tv_usec = (when - now) % 1000 * 1000;
	event_add(e->timer, &tv);
}

static void measure(struct engine *e, msec_t late)
{
	msec_t end = clock_monotonic();
	msec_t lag = e->first_event != 0 ? end - e->first_event : end - e->now;

	if (late > lag)
		lag = late;
	e->first_event = 0;
	e->numbers.loop_lag_last = lag;
	e->numbers.loop_lag_seconds = (double)lag / 1000;
	if (lag > e->numbers.loop_lag_max)
		e->numbers.loop_lag_max = lag;
}

static bool all_stopped(const struct engine *e)
{
	for (uint32_t i = 0; i < e->n_order; i++)
		if (e->order[i]->state != TS_STOPPED)
			return false;
	return true;
}

static bool once_over(const struct engine *e)
{
	for (uint32_t i = 0; i < e->n_order; i++)
		if (!e->order[i]->once_done)
			return false;
	return true;
}

static void note_cycle(struct engine *e)
{
	if (e->numbers.full_cycle_done)
		return;
	for (uint32_t i = 0; i < e->n_order; i++)
		if (e->order[i]->view.passes == 0 && e->order[i]->view.failure == NULL)
			return;
	e->numbers.full_cycle_done = true;
	e->numbers.last_cycle_ms = clock_wall();
}

/* The grace is over: whoever is still at it is cut off; the server rolls back. */
static void stop_now(struct engine *e, msec_t now)
{
	for (uint32_t i = 0; i < e->n_order; i++) {
		if (e->order[i]->state == TS_STOPPED)
			continue;
		target_event(e->order[i], TE_STOP, now);
		if (e->order[i]->state == TS_DRAIN)
			target_event(e->order[i], TE_FAILED, now);
	}
}

bool engine_turn(struct engine *e, msec_t now)
{
	msec_t late = e->timer_fired > 0 && now > e->timer_fired ? now - e->timer_fired : 0;

	e->now = now;
	e->timer_fired = 0;
	if (e->stopping && now >= e->stop_deadline)
		stop_now(e, now);
	secrets_turn(e, now);
	ledger_orders_turn(e, now);
	mark_due(e, now);
	turn_targets(e, now);
	slots_admit(e, now);
	waves_turn(e, now);
	schema_peers_turn(e);
	fleet_reap(e);
	secrets_watch(e);
	note_cycle(e);
	history_watch(e);
	engine_arm(e, now);
	measure(e, late);
	if (e->options.once && !e->stopping && once_over(e))
		engine_stop(e, now, 0);
	return !(e->stopping && all_stopped(e) && (ledger_orders_over(e) || now >= e->stop_deadline));
}

void engine_stop(struct engine *e, msec_t now, msec_t grace)
{
	if (e->stopping)
		return;
	e->stopping = true;
	e->stop_deadline = now + grace;
	for (uint32_t i = 0; i < e->n_order; i++)
		target_event(e->order[i], TE_STOP, now);
	ledger_orders_stop(e, now);
	engine_arm(e, now);
}
