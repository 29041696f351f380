/* SPDX-License-Identifier: PostgreSQL */
#include "engine/held.h"
#include "engine/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* ---- what a restart must not forget ---- */

static void key_of(const char *what, const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "migrations/%s/%s", what, t->name);
}

void waves_load(struct target *t)
{
	char key[300], *text = NULL;

	key_of("version", t, key, sizeof(key));
	if (state_get(t->engine->state, NULL, key, &text) == 0 &&
	    sscanf(text, "%d %" SCNd64, &t->version_rank, &t->version_since_ms) != 2)
		t->version_since_ms = 0;
	TALLOC_FREE(text);
	key_of("released", t, key, sizeof(key));
	if (state_get(t->engine->state, NULL, key, &text) == 0)
		t->line_released = strtoull(text, NULL, 16);
	talloc_free(text);
}

/*
 * Since when the newest row is there: the ledger's own time is in the time zone of whoever wrote it, so it is when we first
 * saw it. What was never seen before soaks from now on.
 */
void waves_note(struct target *t)
{
	char key[300], value[64];

	bool done = !t->migrations->blocked && migrations_pending(t) == 0;

	if (done && !t->at_version)
		waves_moved(t->engine);
	t->at_version = done;
	if (!done)
		return;
	if (t->version_since_ms != 0 && t->version_rank == t->migrations->last_rank)
		return;
	t->version_rank = t->migrations->last_rank;
	t->version_since_ms = clock_wall();
	key_of("version", t, key, sizeof(key));
	snprintf(value, sizeof(value), "%d %" PRId64, t->version_rank, t->version_since_ms);
	state_put(t->engine->state, key, value);
}

/* ---- who is how far ---- */

static const struct migration_settings *settings_of(const struct target *t)
{
	return t->configured != NULL && t->configured->migrations.enabled && !t->removed ? &t->configured->migrations : NULL;
}

/* One directory in common is one line: the same change goes to both. */
static bool same_line(const struct migration_settings *a, const struct migration_settings *b)
{
	if (a == b)
		return true;
	if (a->format != b->format)
		return false;
	for (uint32_t i = 0; i < a->n_directories; i++)
		for (uint32_t k = 0; k < b->n_directories; k++)
			if (strcmp(a->directories[i], b->directories[k]) == 0)
				return true;
	return false;
}

static bool cannot_be_asked(const struct target *t)
{
	return t->server->down || t->view.status == TARGET_UNREACHABLE || (t->migrations == NULL && t->view.status == TARGET_FAILED);
}

static enum wave_state state_of(const struct target *t, const struct source_files *now)
{
	bool same = t->files != NULL && source_files_of(t->files, now);
	bool current = t->migrations != NULL && same && t->gen == t->server->gen;

	if (t->brake.kind != BRAKE_NONE && (same || t->files == NULL))
		return WAVE_FAILED;
	if (current && t->migrations->blocked)
		return WAVE_BLOCKED;
	if (current && migrations_pending(t) == 0)
		return WAVE_DONE;
	if (cannot_be_asked(t))
		return WAVE_UNREACHABLE;
	if (current && t->migrations->stop != NULL && held_free(t) == 0)
		return WAVE_UNAPPROVED;
	return t->migrations != NULL && (t->suspended || target_mode(t) == MODE_OBSERVE) ? WAVE_PAUSED : WAVE_PENDING;
}

static bool is_released(const struct target *t, struct source_files *now)
{
	return t->line_released != 0 && now->files != NULL && t->line_released == source_files_digest(now);
}

struct asking {
	const struct target *t;
	const struct migration_settings *own;
	struct source_files *files;       /* of the own directories, as they are now */
	int64_t wall;
	struct wave_wait *wait;
};

static void meet(struct asking *a, const struct target *other, const struct migration_settings *m)
{
	bool mine = m == a->own || source_same(m, a->own);
	struct source_files *files = mine ? a->files : source_files_get(a->t->engine, m);
	struct wave_member member = {
		.name = other->name, .wave = m->wave, .state = state_of(other, files), .released = is_released(other, files),
		.since_ms = other->version_since_ms, .soak_ms = m->soak,
	};

	wave_meet(a->wait, a->own->wave, &member, a->wall);
	if (!mine)
		source_files_unref(files);
}

/* A server that was never seen may hold databases that a pattern means: its own name stands for them. */
static void meet_unseen(struct asking *a, const struct server *s)
{
	const struct server_settings *settings = s->gen->server;

	if (s->removed || (s->look != NULL && s->look->gen == s->gen))
		return;
	for (uint32_t i = 0; i < settings->n_databases; i++) {
		const struct migration_settings *m = &settings->databases[i].migrations;
		struct wave_member member = { .name = s->root->name, .wave = m->wave, .state = cannot_be_asked(s->root) ? WAVE_UNREACHABLE :
					      WAVE_PENDING, .released = is_released(s->root, a->files) };

		if (settings->databases[i].match != NULL && m->enabled && m != a->own && m->wave < a->own->wave && same_line(a->own, m))
			wave_meet(a->wait, a->own->wave, &member, a->wall);
	}
}

void waves_ask(const struct target *t, struct wave_wait *ret)
{
	struct engine *e = t->engine;
	const struct migration_settings *m;
	struct asking a = { .t = t, .own = settings_of(t), .wall = clock_wall(), .wait = ret };

	*ret = (struct wave_wait){ .why = WAVE_GO };
	if (a.own == NULL)
		return;
	a.files = source_files_get(e, a.own);
	for (uint32_t i = 0; i < e->n_order; i++) {
		m = settings_of(e->order[i]);
		if (e->order[i] != t && m != NULL && m->wave <= a.own->wave && same_line(a.own, m))
			meet(&a, e->order[i], m);
	}
	for (uint32_t i = 0; i < e->n_servers; i++)
		meet_unseen(&a, e->servers[i]);
	source_files_unref(a.files);
	if (ret->why == WAVE_GO && !t->migrating && t->server->migrating >= target_server_settings(t)->max_migrations)
		*ret = (struct wave_wait){ .why = WAVE_BUSY, .n = t->server->migrating };
}

/* For a server that was never seen: the first of its patterns that is in a line. */
static const struct migration_settings *released_settings(const struct target *t)
{
	const struct server_settings *s = t->server->gen->server;

	if (!target_is_root(t))
		return settings_of(t);
	for (uint32_t i = 0; i < s->n_databases; i++)
		if (s->databases[i].match != NULL && s->databases[i].migrations.enabled)
			return &s->databases[i].migrations;
	return NULL;
}

int waves_release(struct target *t, struct error *err)
{
	const struct migration_settings *m = released_settings(t);
	struct source_files *files;
	char key[300], value[24];

	if (m == NULL) {
		error_set(err, "%s has no migrations that anybody could wait for", t->name);
		return 1;
	}
	files = source_files_get(t->engine, m);
	t->line_released = source_files_digest(files);
	source_files_unref(files);
	if (t->line_released == 0) {
		error_set(err, "the migration files of %s cannot be read: nobody can go on", t->name);
		return 1;
	}
	key_of("released", t, key, sizeof(key));
	snprintf(value, sizeof(value), "%016" PRIx64, t->line_released);
	state_put(t->engine->state, key, value);
	waves_moved(t->engine);
	return 0;
}

/* ---- waiting and going on ---- */

void waves_rest(struct target *t)
{
	t->wait = (struct wave_wait){ .why = WAVE_GO };
	if (!migrations_wants(t) || brake_holds(t) || t->suspended || target_mode(t) == MODE_OBSERVE || t->pass->observed_only)
		return;
	waves_ask(t, &t->wait);
	if (t->wait.why == WAVE_GO && migrations_runnable(t)) {       /* it waited until a moment ago */
		t->wait = (struct wave_wait){ .why = WAVE_BUSY, .n = 1 };
		waves_moved(t->engine);
	}
}

msec_t waves_due(const struct target *t, msec_t next, msec_t now)
{
	msec_t end;

	if (t->wait.why != WAVE_SOAKING)
		return next;
	end = now + (t->wait.until_ms - clock_wall());
	return end > now && end < next ? end : next;
}

void waves_enter(struct target *t)
{
	if (!t->migrating)
		t->server->migrating++;
	t->migrating = true;
}

void waves_leave(struct target *t)
{
	if (!t->migrating)
		return;
	t->migrating = false;
	t->server->migrating--;
	waves_moved(t->engine);
}

void waves_moved(struct engine *e)
{
	e->line_moved = true;
}

/* As many of a server as may run there; the others are asked again when one of these is over. */
static void go_on(struct target *t, msec_t now)
{
	t->server->called++;
	t->wait.why = WAVE_GO;
	t->due = now;
	target_wake_at(t, now);
}

static bool waits(const struct target *t)
{
	return t->wait.why != WAVE_GO && target_state_at_rest(t->state) && !t->removed;
}

static bool others_at_work(const struct engine *e)
{
	for (uint32_t i = 0; i < e->n_order; i++)
		if (!e->order[i]->once_done && !waits(e->order[i]))
			return true;
	return false;
}

/* --once: nobody is left who could move the line. */
static void give_up(struct engine *e)
{
	if (others_at_work(e))
		return;
	for (uint32_t i = 0; i < e->n_order; i++)
		if (waits(e->order[i]))
			e->order[i]->once_done = true;
}

/* Of one line and wave all hear the same, but for their server's limit: a thousand tenants are not a thousand questions. */
struct answers {
	struct { const struct migration_settings *m; enum wave_why why; } *v;
	unsigned n;
};

static enum wave_why answer(struct answers *known, const struct target *t)
{
	const struct migration_settings *m = settings_of(t);
	struct wave_wait wait;

	for (unsigned i = 0; m != NULL && i < known->n; i++)
		if (known->v[i].m == m || (known->v[i].m->wave == m->wave && source_same(known->v[i].m, m)))
			return known->v[i].why;
	waves_ask(t, &wait);
	if (m != NULL) {
		if ((known->n & (known->n - 1)) == 0)
			known->v = talloc_realloc_size(t->engine, known->v, (known->n == 0 ? 1 : known->n * 2) * sizeof(*known->v));
		known->v[known->n].m = m;
		known->v[known->n++].why = wait.why;
	}
	return wait.why;
}

void waves_turn(struct engine *e, msec_t now)
{
	struct answers known = { NULL, 0 };

	if ((!e->line_moved && !e->options.once) || e->stopping)
		return;
	e->line_moved = false;
	for (uint32_t i = 0; i < e->n_servers; i++)
		e->servers[i]->called = 0;
	for (uint32_t i = 0; i < e->n_order; i++) {
		struct target *t = e->order[i];

		if (!waits(t) || (e->options.once && t->once_done))
			continue;
		if (t->server->migrating + t->server->called >= target_server_settings(t)->max_migrations)
			continue;
		if (answer(&known, t) <= WAVE_BUSY)
			go_on(t, now);
	}
	talloc_free(known.v);
	if (e->options.once)
		give_up(e);
}
