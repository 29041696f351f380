/* SPDX-License-Identifier: PostgreSQL */
/*
 * A simulated fleet: thousands of targets for hours of their time, with a seed.
 * Caps hold, nobody starves, drift goes within the interval, storms are spread,
 * a target that hangs costs nobody else anything.
 *
 *   test_fleet [SEED]     the seed of a failure replays it
 */
#include <event2/event.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include <cmocka.h>

#include "base/log.h"
#include "engine/internal.h"
#include "engine/undo.h"
#include "tests/sim/world.h"

#define INTERVAL 60000

struct world world;
static uint64_t seed;

struct fleet {
	void *root;
	struct event_base *base;
	struct engine *engine;
	struct state *state;
	uint64_t random;
};

/* The linker puts these in the place of base/clock.c's. */
msec_t __wrap_clock_monotonic(void);
int64_t __wrap_clock_wall(void);

msec_t __wrap_clock_monotonic(void)
{
	if (world.busy > 0 && ++world.readings % world.busy == 0)
		world.now += 25;
	return world.now;
}

int64_t __wrap_clock_wall(void)
{
	return 1700000000000 + world.now;
}

static uint64_t roll(struct fleet *f)
{
	f->random ^= f->random << 13;
	f->random ^= f->random >> 7;
	f->random ^= f->random << 17;
	return f->random;
}

struct world_database *world_find(const char *name)
{
	const char *slash = strchr(name, '/');
	unsigned s = (unsigned)strtoul(name + 1, NULL, 10);

	assert_true(s < world.n);
	if (slash == NULL)
		return &world.servers[s].root;
	return &world.servers[s].databases[strtoul(slash + 2, NULL, 10)];
}

void world_drift(struct world_database *db)
{
	if (db->drift || db->frozen || db->absent || db->server->down)
		return;
	db->drift = true;
	db->drift_since = world.now;
	db->server->version++;
}

static void world_make(void *parent, unsigned servers, unsigned databases)
{
	world = (struct world){ .n = servers, .latency = 3, .servers = talloc_zero_array(parent, struct world_server, servers) };
	for (unsigned i = 0; i < servers; i++) {
		struct world_server *s = &world.servers[i];

		snprintf(s->name, sizeof(s->name), "s%u", i);
		snprintf(s->root.name, sizeof(s->root.name), "s%u", i);
		s->root.server = s;
		s->version = 1000;
		s->second = -1;
		s->databases = talloc_zero_array(parent, struct world_database, databases);
		s->n = databases;
		for (unsigned k = 0; k < databases; k++) {
			s->databases[k].server = s;
			snprintf(s->databases[k].name, sizeof(s->databases[k].name), "s%u/d%u", i, k);
		}
	}
}

static void server_settings_fill(struct settings *settings, struct server_settings *s, unsigned i, uint32_t max_connections)
{
	s->name = talloc_asprintf(settings, "s%u", i);
	s->conninfo = "host=nowhere";
	s->mode = MODE_ENFORCE;
	s->interval = INTERVAL;
	s->full_interval = 10 * INTERVAL;
	s->max_connections = max_connections;
	s->databases = talloc_zero_array(settings, struct database_settings, 1);
	s->databases[0] = (struct database_settings){ .match = "d*", .mode = MODE_ENFORCE };
	s->n_databases = 1;
	world.servers[i].limit = max_connections;
}

static struct settings *settings_make(void *parent, unsigned servers, uint32_t max_connections, uint32_t per_server)
{
	struct settings *settings = talloc_zero(parent, struct settings);

	settings->mode = MODE_ENFORCE;
	settings->interval = INTERVAL;
	settings->max_connections = max_connections;
	settings->connect_timeout = 10000;
	settings->statement_timeout = 30000;
	settings->lock_timeout = 500;
	settings->pass_timeout = 300000;
	settings->backoff_max = 300000;
	settings->log_level = LOG_LEVEL_ERROR;
	settings->n_servers = servers;
	settings->servers = talloc_zero_array(settings, struct server_settings, servers);
	for (unsigned i = 0; i < servers; i++)
		server_settings_fill(settings, &settings->servers[i], i, per_server);
	return settings;
}

static struct fleet *fleet_make(unsigned servers, unsigned databases, uint32_t max_connections, uint32_t per_server)
{
	struct fleet *f = talloc_zero(NULL, struct fleet);
	struct settings *settings;
	struct engine_options options = { .once = false };
	struct error err;

	error_clear(&err);
	world_make(f, servers, databases);
	settings = settings_make(f, servers, max_connections, per_server);
	f->random = seed;
	f->base = event_base_new();
	log_set_level(LOG_LEVEL_ERROR);
	assert_int_equal(state_open(f, ":memory:", &f->state, &err), 0);
	assert_int_equal(engine_new(f, f->base, &options, f->state, settings, &f->engine, &err), 0);
	f->engine->random = seed;
	for (uint32_t i = 0; i < f->engine->n_order; i++) {       /* all at once, not spread over the interval */
		f->engine->order[i]->due = f->engine->order[i]->due == MSEC_NEVER ? MSEC_NEVER : 0;
		target_wake_at(f->engine->order[i], f->engine->order[i]->due);
	}
	return f;
}

static void fleet_end(struct fleet *f)
{
	engine_stop(f->engine, world.now, 10000);
	for (unsigned i = 0; i < 20000 && engine_turn(f->engine, world.now); i++)
		world.now++;
	assert_false(engine_turn(f->engine, world.now));
	assert_int_equal(world.open, 0);
	event_base_free(f->base);
	talloc_free(f->engine);
	talloc_free(f);
}

static void check_caps(const struct fleet *f)
{
	assert_true(world.open <= f->engine->hold->settings->max_connections);
	for (unsigned i = 0; i < world.n; i++)
		assert_true(world.servers[i].open <= world.servers[i].limit);
}

/* Turns until then; every moment at which something happens is visited. */
static void run_until(struct fleet *f, msec_t then)
{
	while (world.now < then) {
		msec_t next;

		engine_turn(f->engine, world.now);
		check_caps(f);
		if (f->engine->marked != NULL)
			continue;
		next = f->engine->n_heap > 0 ? f->engine->heap[0]->wake : then;
		world.now = next <= world.now ? world.now : next < then ? next : then;
	}
}

/* ---- tests ---- */

static void everybody_is_looked_at_and_then_only_asked(void **state)
{
	struct fleet *f = fleet_make(20, 100, 64, 8);
	uint64_t looks;

	(void)state;
	run_until(f, 30000);
	for (unsigned i = 0; i < world.n; i++)
		for (unsigned k = 0; k < world.servers[i].n; k++)
			assert_true(world.servers[i].databases[k].looks > 0);
	run_until(f, 5 * INTERVAL);                     /* until every server's connection could be kept */
	looks = world.looks;
	run_until(f, 9 * INTERVAL);
	assert_int_equal(world.looks, looks);           /* nothing changed: one question per target, no look */
	assert_true(world.quiet > 0);
	run_until(f, 16 * INTERVAL);
	assert_true(world.looks > looks);               /* but every full_interval all the same */
	fleet_end(f);
}

/* An order for a server comes while its kept connection is being asked for the databases. */
static void orders_wait_for_the_question_under_way(void **state)
{
	struct fleet *f = fleet_make(5, 40, 64, 8);
	unsigned asked = 0;

	(void)state;
	run_until(f, 5 * INTERVAL);
	for (unsigned step = 0; step < 60000; step++) {
		run_until(f, world.now + 2);
		for (uint32_t i = 0; i < f->engine->n_servers; i++) {
			if (!f->engine->servers[i]->asking || roll(f) % 2 == 0)
				continue;
			order_pass(f->engine->servers[i]->root, false, world.now);
			asked++;
		}
	}
	run_until(f, world.now + INTERVAL);
	for (uint32_t i = 0; i < f->engine->n_order; i++) {
		assert_int_equal(f->engine->order[i]->view.pass_failures, 0);
		assert_int_equal(f->engine->order[i]->view.status, TARGET_IN_SYNC);
	}
	assert_true(asked > 20);
	fleet_end(f);
}

/* Roles were changed while databases were being looked at: they are looked at again, soon. */
static void what_changed_on_the_server_reaches_every_database(void **state)
{
	struct fleet *f = fleet_make(3, 40, 64, 8);

	(void)state;
	run_until(f, 5 * INTERVAL);
	for (unsigned step = 0; step < 40; step++) {
		struct server *s = f->engine->servers[step % f->engine->n_servers];
		unsigned fixes = world.servers[step % world.n].root.fixes;
		msec_t fixed;

		flapping_forget(s->root);
		world_drift(&world.servers[step % world.n].root);
		order_pass(s->root, false, world.now);
		for (unsigned wait = 0; world.servers[step % world.n].root.fixes == fixes; wait++) {
			assert_true(wait < 1000);
			order_pass(s->databases[roll(f) % s->n_databases], false, world.now);
			run_until(f, world.now + 1);
		}
		fixed = world.now;
		run_until(f, world.now + 3000);
		for (uint32_t i = 0; i < s->n_databases; i++)
			assert_true(s->databases[i]->look->at >= fixed);
	}
	fleet_end(f);
}

static void drift_goes_within_the_interval(void **state)
{
	struct fleet *f = fleet_make(10, 200, 64, 8);

	(void)state;
	run_until(f, INTERVAL);
	for (unsigned step = 0; step < 600; step++) {
		struct world_server *s = &world.servers[roll(f) % world.n];

		/* not so often that the same thing looks like a fight */
		world_drift(roll(f) % 20 == 0 && s->root.fixes < 4 ? &s->root : &s->databases[roll(f) % s->n]);
		run_until(f, world.now + (msec_t)(roll(f) % 2000));
	}
	run_until(f, world.now + 2 * INTERVAL);
	for (unsigned i = 0; i < world.n; i++) {
		assert_false(world.servers[i].root.drift);
		assert_true(world.servers[i].root.longest_drift <= INTERVAL + 2000);
		for (unsigned k = 0; k < world.servers[i].n; k++) {
			assert_false(world.servers[i].databases[k].drift);
			assert_true(world.servers[i].databases[k].longest_drift <= INTERVAL + 2000);
		}
	}
	fleet_end(f);
}

/* A tenth of each server's databases hang, one server hangs whole: the others do not notice. */
static void who_hangs_delays_nobody(void **state)
{
	struct fleet *f = fleet_make(10, 100, 80, 8);

	(void)state;
	for (unsigned i = 0; i < world.n; i++)
		for (unsigned k = 0; k < world.servers[i].n; k += 50)
			world.servers[i].databases[k].frozen = true;
	world.servers[3].root.frozen = true;
	run_until(f, INTERVAL);
	for (unsigned step = 0; step < 300; step++) {
		struct world_server *s = &world.servers[roll(f) % world.n];

		if (s != &world.servers[3])
			world_drift(&s->databases[roll(f) % s->n]);
		run_until(f, world.now + (msec_t)(roll(f) % 2000));
	}
	run_until(f, world.now + 2 * INTERVAL);
	for (unsigned i = 0; i < world.n; i++)
		for (unsigned k = 0; i != 3 && k < world.servers[i].n; k++) {
			struct world_database *db = &world.servers[i].databases[k];

			assert_false(db->drift);
			assert_true(db->longest_drift <= INTERVAL + 5000);
			if (!db->frozen)
				assert_true(db->looks > 0);
		}
	fleet_end(f);
}

/* A server that is down is asked by one connection only, with growing pauses, and all come back soon after it does. */
static void an_outage_is_no_storm(void **state)
{
	struct fleet *f = fleet_make(4, 500, 64, 8);
	struct world_server *s = &world.servers[1];
	uint32_t connects;

	(void)state;
	run_until(f, 2 * INTERVAL);
	s->down = true;
	s->version++;                                   /* nobody is content with "nothing changed" */
	run_until(f, world.now + INTERVAL);
	connects = s->connects;
	run_until(f, world.now + 60 * INTERVAL);
	assert_true(s->connects - connects <= 60);
	s->down = false;
	run_until(f, world.now + 301000);               /* backoff_max at the most */
	run_until(f, world.now + INTERVAL);
	for (unsigned k = 0; k < s->n; k++)
		assert_string_equal(target_status_name(engine_find(f->engine, s->databases[k].name)->status), "in_sync");
	fleet_end(f);
}

static void a_database_that_is_missing_backs_off(void **state)
{
	struct fleet *f = fleet_make(2, 10, 16, 4);
	struct world_database *db = &world.servers[0].databases[4];
	uint32_t connects;

	(void)state;
	run_until(f, INTERVAL);
	assert_non_null(engine_find(f->engine, db->name));
	db->absent = true;
	db->server->version++;
	run_until(f, 3 * INTERVAL);
	assert_null(engine_find(f->engine, db->name));  /* it was found by a pattern: it goes with its database */
	connects = db->connects;
	run_until(f, 20 * INTERVAL);
	assert_int_equal(db->connects, connects);
	db->absent = false;
	db->server->version++;
	run_until(f, 22 * INTERVAL);
	assert_non_null(engine_find(f->engine, db->name));
	assert_true(db->connects > connects);
	fleet_end(f);
}

/* Whose drift always comes back is not corrected for ever. */
static void a_fight_is_given_up(void **state)
{
	struct fleet *f = fleet_make(1, 3, 8, 4);
	struct world_database *db = &world.servers[0].databases[1];

	(void)state;
	run_until(f, INTERVAL);
	db->stubborn = true;
	world_drift(db);
	run_until(f, 60 * INTERVAL);
	assert_in_range(db->fixes, 3, 8);
	assert_string_equal(target_status_name(engine_find(f->engine, db->name)->status), "blocked");
	db->stubborn = false;
	assert_int_equal(engine_reconcile(f->engine, db->name, "test"), 0);
	for (uint32_t i = 0; i < f->engine->n_order; i++)       /* orders are stamped with the real clock */
		if (strcmp(f->engine->order[i]->name, db->name) == 0) {
			f->engine->order[i]->due = world.now;
			target_wake_at(f->engine->order[i], world.now);
		}
	run_until(f, world.now + INTERVAL);
	assert_false(db->drift);
	fleet_end(f);
}

static struct target *target_of(struct fleet *f, const char *name)
{
	for (uint32_t i = 0; i < f->engine->n_order; i++)
		if (strcmp(f->engine->order[i]->name, name) == 0)
			return f->engine->order[i];
	fail_msg("no target %s", name);
	return NULL;
}

/* Orders are stamped with the real clock. */
static void now_due(struct fleet *f, const char *name)
{
	struct target *t = target_of(f, name);

	t->due = world.now;
	target_wake_at(t, world.now);
	run_until(f, world.now + 5000);
}

static int64_t last_change(struct fleet *f, const char *target)
{
	struct event *v;
	uint32_t n;
	int64_t id = 0;

	assert_int_equal(state_events_last(f->state, f, 0, target, 100, &v, &n), 0);
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(v[i].kind, "change") == 0)
			id = v[i].id;
	return id;
}

static void status_is(struct fleet *f, const char *target, const char *status)
{
	assert_string_equal(target_status_name(engine_find(f->engine, target)->status), status);
}

/* As after a restart: what the target knows is what the state file says. */
static void forget_and_load(struct target *t)
{
	TALLOC_FREE(t->undo);
	undo_load(t);
	t->plan_stale = true;
}

/* Held, through a restart, until it is approved; then not made again by ourselves, through a restart, until that is approved. */
static void an_undo_waits_and_is_not_undone_again(void **state)
{
	struct fleet *f = fleet_make(1, 3, 8, 4);
	struct world_database *db = &world.servers[0].databases[1];
	struct undo_answer answer, again;
	struct error err;
	int64_t change;

	(void)state;
	error_clear(&err);
	run_until(f, INTERVAL);
	world_drift(db);
	run_until(f, world.now + 2 * INTERVAL);
	assert_int_equal(db->fixes, 1);
	change = last_change(f, db->name);
	assert_int_equal(engine_undo(f->engine, change + 1000, "test", f, &answer, &err), 2);
	assert_int_equal(engine_undo(f->engine, change, "test", f, &answer, &err), 0);
	assert_int_equal(engine_undo(f->engine, change, "other", f, &again, &err), 0);
	assert_true(again.already);
	assert_string_equal(answer.plan, again.plan);
	now_due(f, db->name);
	status_is(f, db->name, "held");
	assert_string_equal(engine_find(f->engine, db->name)->plan->id, answer.plan);
	forget_and_load(target_of(f, db->name));
	now_due(f, db->name);
	run_until(f, world.now + 3 * INTERVAL);
	status_is(f, db->name, "held");
	assert_int_equal(db->unfixes, 0);
	assert_int_equal(engine_approve(f->engine, db->name, answer.plan, "test", &err), 0);
	now_due(f, db->name);
	assert_int_equal(db->unfixes, 1);
	assert_true(db->drift);
	forget_and_load(target_of(f, db->name));
	now_due(f, db->name);
	run_until(f, world.now + 20 * INTERVAL);
	assert_int_equal(db->fixes, 1);                 /* nobody makes it again */
	assert_int_equal(db->unfixes, 1);
	status_is(f, db->name, "held");
	assert_int_equal(engine_undo(f->engine, change, "test", f, &answer, &err), 1);        /* it was undone already */
	assert_int_equal(engine_approve(f->engine, db->name, engine_find(f->engine, db->name)->plan->id, "test", &err), 0);
	now_due(f, db->name);
	assert_int_equal(db->fixes, 2);
	status_is(f, db->name, "in_sync");
	world_drift(db);                                /* and from then on it is corrected as before */
	run_until(f, world.now + 2 * INTERVAL);
	assert_int_equal(db->fixes, 3);
	fleet_end(f);
}

static void a_rejected_undo_is_dropped_and_one_not_declared_any_more_forgotten(void **state)
{
	struct fleet *f = fleet_make(1, 3, 8, 4);
	struct world_database *db = &world.servers[0].databases[1];
	struct undo_answer answer, again;
	struct error err;

	(void)state;
	error_clear(&err);
	run_until(f, INTERVAL);
	world_drift(db);
	run_until(f, world.now + 2 * INTERVAL);
	assert_int_equal(engine_undo(f->engine, last_change(f, db->name), "test", f, &answer, &err), 0);
	assert_int_equal(engine_reject(f->engine, db->name, answer.plan, "test", &err), 0);
	now_due(f, db->name);
	status_is(f, db->name, "in_sync");
	assert_int_equal(engine_undo(f->engine, last_change(f, db->name), "test", f, &again, &err), 0);
	assert_string_not_equal(answer.plan, again.plan);
	assert_int_equal(engine_approve(f->engine, db->name, again.plan, "test", &err), 0);
	now_due(f, db->name);
	assert_int_equal(db->unfixes, 1);
	status_is(f, db->name, "held");
	db->drift = false;                              /* the manifest no longer asks for it */
	db->server->version++;
	run_until(f, world.now + 2 * INTERVAL);
	status_is(f, db->name, "in_sync");
	world_drift(db);
	run_until(f, world.now + 2 * INTERVAL);
	assert_int_equal(db->fixes, 2);
	fleet_end(f);
}

/* As engine_reload() does, but for the files. */
static void reconfigure(struct fleet *f, struct settings *settings)
{
	struct engine *e = f->engine;

	settings->generation = ++e->generation;
	settings_hold_unref(e->hold);
	e->hold = settings_hold_new(e, settings);
	fleet_configure(e, e->hold, world.now);
}

/* It has begun a transaction, and nothing comes back: whoever is told to stop waits for the end of it. */
static void hang_while_writing(struct fleet *f, struct world_database *db)
{
	struct target *t = target_of(f, db->name);

	world_drift(db);
	order_pass(t, false, world.now);
	for (unsigned wait = 0; t->state != TS_APPLY; wait++) {
		assert_true(wait < 1000);
		run_until(f, world.now + 1);
	}
	db->frozen = true;
}

static void everybody_once(struct fleet *f, uint32_t n)
{
	assert_int_equal(engine_targets(f->engine), n);
	for (uint32_t i = 0; i < n; i++)
		assert_ptr_equal(engine_find(f->engine, engine_view(f->engine, i)->name), engine_view(f->engine, i));
}

static void everybody_once_and_in_sync(struct fleet *f, uint32_t n)
{
	everybody_once(f, n);
	for (uint32_t i = 0; i < n; i++)
		status_is(f, engine_view(f->engine, i)->name, "in_sync");
}

/* A server is taken out and put back while it still stops. */
static void a_server_that_comes_back_comes_back_once(void **state)
{
	struct fleet *f = fleet_make(2, 3, 32, 8);
	struct world_database *db = &world.servers[1].databases[1];

	(void)state;
	run_until(f, INTERVAL);
	hang_while_writing(f, db);
	reconfigure(f, settings_make(f, 1, 32, 8));
	run_until(f, world.now + 1000);
	assert_int_equal(target_of(f, db->name)->state, TS_DRAIN);
	for (unsigned i = 0; i < 3; i++) {
		reconfigure(f, settings_make(f, 2, 32, 8));
		run_until(f, world.now + 1000);
	}
	assert_false(fleet_target(f->engine, "s1")->removed);
	assert_true(f->engine->n_order > 8);
	everybody_once(f, 8);
	db->frozen = false;
	run_until(f, world.now + 3 * INTERVAL);
	everybody_once_and_in_sync(f, 8);
	assert_int_equal(f->engine->n_order, 8);
	fleet_end(f);
}

/* So is a database, by its name: nothing else would find it again. */
static void a_database_that_comes_back_is_there_again(void **state)
{
	struct fleet *f = fleet_make(1, 3, 32, 8);
	struct world_database *db = &world.servers[0].databases[1];

	(void)state;
	for (unsigned i = 0; i < 4; i++) {
		struct settings *settings = settings_make(f, 1, 32, 8);

		settings->servers[0].databases[0] = (struct database_settings){ .name = i == 1 ? "d0" : "d1", .mode = MODE_ENFORCE };
		reconfigure(f, settings);
		run_until(f, world.now + (i == 0 ? INTERVAL : 1000));
		if (i == 0)
			hang_while_writing(f, db);
	}
	assert_int_equal(target_of(f, db->name)->state, TS_DRAIN);
	db->frozen = false;
	run_until(f, world.now + 3 * INTERVAL);
	everybody_once_and_in_sync(f, 2);
	fleet_end(f);
}

/* All of them suspended; where a turn walked them for each of them, this took a minute. */
static void a_server_of_very_many_databases_starts(void **state)
{
	enum { MANY = 5000 };
	struct fleet *f = fleet_make(1, MANY, 4, 3);

	(void)state;
	state_batch_begin(f->state);
	for (unsigned i = 0; i < MANY; i++)
		assert_int_equal(state_suspend(f->state, &(struct suspension){ .target = world.servers[0].databases[i].name }), 0);
	assert_int_equal(state_batch_end(f->state), 0);
	run_until(f, 100);
	assert_int_equal(engine_targets(f->engine), 1 + MANY);
	fleet_expand(f->engine->servers[0], world.now);
	assert_int_equal(engine_targets(f->engine), 1 + MANY);
	fleet_end(f);
}

static struct plan *plan_of_roles(void *parent, const char *prefix, uint32_t n)
{
	struct plan *plan = talloc_zero(parent, struct plan);
	char role[32];

	plan->names = names_new(plan);
	plan->changes = talloc_zero_array(plan, struct change, n);
	plan->n_changes = n;
	for (uint32_t i = 0; i < n; i++) {
		snprintf(role, sizeof(role), "%s%u", prefix, i);
		plan->changes[i] = (struct change){ .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .n = 1, .role = names_put(plan->names, role) };
	}
	return plan;
}

/* What is given up stays so, whatever else was corrected about then and is forgotten since. */
static void what_was_given_up_is_not_forgotten_with_others(void **state)
{
	struct target *t = talloc_zero(NULL, struct target);
	struct plan *others = plan_of_roles(t, "other", 700), *fought = plan_of_roles(t, "fought", 200);

	(void)state;
	for (uint32_t i = 0; i < others->n_changes; i++)
		flapping_count(t, others, &others->changes[i]);
	for (unsigned pass = 0; pass < 5; pass++) {
		for (uint32_t i = 0; i < fought->n_changes; i++)
			flapping_count(t, fought, &fought->changes[i]);
		flapping_pass(t);
	}
	for (unsigned pass = 0; pass < 20; pass++)
		flapping_pass(t);
	flapping_mark_plan(t, fought);
	for (uint32_t i = 0; i < fought->n_changes; i++)
		if (fought->changes[i].state != CHANGE_BLOCKED)
			fail_msg("item %u is corrected again", i);
	talloc_free(t);
}

/* One connection per server: nothing can be kept, and still everybody gets his turn. */
static void the_smallest_caps_still_serve_everybody(void **state)
{
	struct fleet *f = fleet_make(6, 30, 3, 1);

	(void)state;
	run_until(f, 10 * INTERVAL);
	for (unsigned i = 0; i < world.n; i++)
		for (unsigned k = 0; k < world.servers[i].n; k++)
			assert_true(world.servers[i].databases[k].looks >= 8);
	fleet_end(f);
}

/* Who is ordered again during his pass waits in line with his connection, and holds what those before him wait for. */
static void who_waits_with_a_connection_keeps_nobody_waiting(void **state)
{
	struct fleet *f = fleet_make(3, 40, 64, 4);

	(void)state;
	for (uint32_t i = 0; i < f->engine->hold->settings->n_servers; i++)
		f->engine->hold->settings->servers[i].keep_connections = 3;
	for (unsigned step = 0; step < 200; step++) {
		for (uint32_t i = 0; i < f->engine->n_order; i++)
			order_pass(f->engine->order[i], false, world.now);
		run_until(f, world.now + 1 + (msec_t)(roll(f) % 1000));
	}
	run_until(f, world.now + 3 * INTERVAL);
	for (uint32_t i = 0; i < engine_targets(f->engine); i++)
		if (engine_view(f->engine, i)->last_success_ms < __wrap_clock_wall() - 2 * INTERVAL)
			fail_msg("seed %llu: nobody has looked at %s for %lld s", (unsigned long long)seed, engine_view(f->engine, i)->name,
				 (long long)(__wrap_clock_wall() - engine_view(f->engine, i)->last_success_ms) / 1000);
	fleet_end(f);
}

/* Random trouble everywhere for an hour, then quiet: all are in sync. */
static void trouble(unsigned busy)
{
	struct fleet *f = fleet_make(12, 80, 48, 6);

	world.busy = busy;
	for (unsigned step = 0; step < 3000; step++) {
		struct world_server *s = &world.servers[roll(f) % world.n];
		struct world_database *db = &s->databases[roll(f) % s->n];

		switch (roll(f) % 8) {
		case 0: s->down = true; break;
		case 1: case 2: s->down = false; break;
		case 3: db->frozen = true; break;
		case 4: case 5: db->frozen = false; break;
		case 6: s->root.frozen = !s->root.frozen; break;
		default: world_drift(db); break;
		}
		run_until(f, world.now + (msec_t)(roll(f) % 2400));
	}
	for (unsigned i = 0; i < world.n; i++) {
		world.servers[i].down = world.servers[i].root.frozen = false;
		for (unsigned k = 0; k < world.servers[i].n; k++)
			world.servers[i].databases[k].frozen = false;
	}
	run_until(f, world.now + 301000 + 2 * INTERVAL);
	for (uint32_t i = 0; i < engine_targets(f->engine); i++)
		if (engine_view(f->engine, i)->status != TARGET_IN_SYNC)
			fail_msg("seed %llu: %s is %s: %s", (unsigned long long)seed, engine_view(f->engine, i)->name,
				 target_status_name(engine_view(f->engine, i)->status), engine_view(f->engine, i)->message);
	fleet_end(f);
}

static void after_any_trouble_all_converge(void **state)
{
	(void)state;
	trouble(0);
}

static void on_a_busy_machine_too(void **state)
{
	(void)state;
	trouble(100);
	trouble(7);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(everybody_is_looked_at_and_then_only_asked), cmocka_unit_test(orders_wait_for_the_question_under_way),
		cmocka_unit_test(what_changed_on_the_server_reaches_every_database), cmocka_unit_test(drift_goes_within_the_interval),
		cmocka_unit_test(who_hangs_delays_nobody), cmocka_unit_test(an_outage_is_no_storm),
		cmocka_unit_test(a_database_that_is_missing_backs_off), cmocka_unit_test(a_fight_is_given_up),
		cmocka_unit_test(an_undo_waits_and_is_not_undone_again),
		cmocka_unit_test(a_server_that_comes_back_comes_back_once), cmocka_unit_test(a_database_that_comes_back_is_there_again),
		cmocka_unit_test(what_was_given_up_is_not_forgotten_with_others), cmocka_unit_test(a_server_of_very_many_databases_starts),
		cmocka_unit_test(a_rejected_undo_is_dropped_and_one_not_declared_any_more_forgotten),
		cmocka_unit_test(the_smallest_caps_still_serve_everybody), cmocka_unit_test(who_waits_with_a_connection_keeps_nobody_waiting),
		cmocka_unit_test(after_any_trouble_all_converge),
		cmocka_unit_test(on_a_busy_machine_too),
	};

	seed = argc > 1 ? strtoull(argv[1], NULL, 0) : 103;
	printf("seed %llu\n", (unsigned long long)seed);
	return cmocka_run_group_tests_name("fleet", tests, NULL, NULL);
}
