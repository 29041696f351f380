/* SPDX-License-Identifier: PostgreSQL */
/* Making the engine, and what others may ask it. */
#include "engine/internal.h"

#include <event2/event.h>
#include <openssl/rand.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "dbreconcile/protocol.h"
#include "engine/hook.h"

static void timer_fired(evutil_socket_t fd, short what, void *data)
{
	struct engine *e = data;

	(void)fd;
	(void)what;
	e->timer_fired = e->timer_at;
	e->timer_at = MSEC_NEVER;     /* it may have come a little early: armed anew in any case */
}

static int engine_done(struct engine *e)
{
	for (uint32_t i = 0; i < e->n_order; i++)
		watch_close(e->order[i]);
	if (e->timer != NULL)
		event_free(e->timer);
	return 0;
}

/* What a crash left open is not known: said once, the next look tells what holds. */
static void close_open_intents(struct engine *e)
{
	struct event *v = NULL;
	uint32_t n = 0;
	void *scratch = talloc_new(NULL);

	if (state_events_open(e->state, scratch, &v, &n) == 0)
		for (uint32_t i = 0; i < n; i++)
			state_event_close(e->state, v[i].id, "unknown", NULL, "the daemon ended before its outcome was known");
	talloc_free(scratch);
}

int engine_new(void *parent, struct event_base *base, const struct engine_options *options, struct state *state, struct settings *first,
	       struct engine **ret, struct error *err)
{
	struct engine *e = talloc_zero(parent, struct engine);

	e->base = base;
	e->options = *options;
	e->state = state;
	e->marked_tail = &e->marked;
	e->timer_at = MSEC_NEVER;
	e->now = clock_monotonic();
	e->cycle_started = e->now;
	e->timer = event_new(base, -1, 0, timer_fired, e);
	if (e->timer == NULL || RAND_bytes((unsigned char *)&e->random, sizeof(e->random)) != 1) {
		error_set(err, "the event loop or the random source could not be set up");
		talloc_free(e);
		return 1;
	}
	talloc_set_destructor(e, engine_done);
	e->generation = 1;
	first->generation = 1;
	e->hold = settings_hold_new(e, first);
	e->numbers.last_reload_ok = true;
	e->numbers.last_reload_ms = e->numbers.accepted_ms = clock_wall();
	e->secrets = secrets_new(e);
	hook_sweep(first);
	close_open_intents(e);
	fleet_configure(e, e->hold, e->now);
	*ret = e;
	return 0;
}

const struct settings *engine_settings(const struct engine *e)
{
	return e->hold->settings;
}

uint32_t engine_targets(const struct engine *e)
{
	return e->n_shown;
}

const struct target_view *engine_view(const struct engine *e, uint32_t index)
{
	return index < e->n_shown ? &e->order[index]->view : NULL;
}

const struct target_view *engine_find(const struct engine *e, const char *target)
{
	const struct target *t = fleet_target(e, target);

	return t != NULL ? &t->view : NULL;
}

struct state *engine_state(struct engine *e)
{
	return e->state;
}

void engine_numbers(const struct engine *e, struct engine_numbers *ret)
{
	*ret = e->numbers;
	ret->connections_open = e->open;
	ret->workers_max = e->hold->settings->max_connections;
	ret->workers_active = 0;
	ret->longest_running = 0;
	for (uint32_t i = 0; i < e->n_order; i++) {
		const struct pass *p = e->order[i]->pass;

		if (p == NULL || e->order[i]->queued)
			continue;
		ret->workers_active++;
		if (e->now - p->started > ret->longest_running)
			ret->longest_running = e->now - p->started;
	}
}

int engine_once_result(const struct engine *e)
{
	int result = DBR_EXIT_OK;

	for (uint32_t i = 0; i < e->n_order; i++) {
		enum target_status status = e->order[i]->view.status;

		if (status == TARGET_IN_SYNC)
			continue;
		if (status == TARGET_DRIFT || status == TARGET_HELD || status == TARGET_SUSPENDED) {
			if (result == DBR_EXIT_OK)
				result = DBR_EXIT_DRIFT;
			continue;
		}
		result = DBR_EXIT_FAILED;
	}
	return result;
}
