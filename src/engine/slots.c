/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who may connect: a cap for the whole daemon and one per server. Each server
 * has its own queue and they are served in turn, so that a saturated server
 * delays nobody else.
 */
#include "engine/internal.h"

/* At the head of the queue, but behind the server itself: its databases wait for what it finds, with a connection in hand. */
static void queue_first(struct server *s, struct target *t)
{
	struct target **at = &s->queue;

	if (*at != NULL && target_is_root(*at))
		at = &(*at)->queue_next;
	t->queue_next = *at;
	*at = t;
	if (t->queue_next == NULL)
		s->queue_tail = &t->queue_next;
}

void slots_queue(struct target *t, bool first)
{
	struct server *s = t->server;

	if (t->queued)
		return;
	t->queued = true;
	t->engine->numbers.queue_depth++;
	if (first) {
		queue_first(s, t);
		return;
	}
	t->queue_next = NULL;
	*s->queue_tail = t;
	s->queue_tail = &t->queue_next;
}

void slots_unqueue(struct target *t)
{
	struct server *s = t->server;
	struct target **at = &s->queue;

	if (!t->queued)
		return;
	while (*at != t)
		at = &(*at)->queue_next;
	*at = t->queue_next;
	if (*at == NULL)
		s->queue_tail = at;
	t->queue_next = NULL;
	t->queued = false;
	t->engine->numbers.queue_depth--;
}

void slots_release(struct target *t)
{
	if (!t->has_slot)
		return;
	t->has_slot = false;
	t->server->open--;
	t->engine->open--;
}

static void slot_take(struct target *t)
{
	t->has_slot = true;
	t->server->open++;
	t->engine->open++;
}

void slots_keep(struct target *t, bool keep)
{
	keep = keep && !target_is_root(t);
	if (t->kept == keep)
		return;
	t->kept = keep;
	t->server->kept += keep ? 1 : -1u;
}

/* A kept connection to a database gives way to who has work. */
static bool evict_database(struct server *s)
{
	for (uint32_t i = 0; s->kept > 0 && i < s->n_databases; i++) {
		if (!s->databases[i]->kept)
			continue;
		target_disconnect(s->databases[i]);
		return true;
	}
	return false;
}

/* And after those of the databases the ones that are only kept for the quiet check. */
static bool evict(struct engine *e)
{
	for (uint32_t i = 0; i < e->n_servers; i++)
		if (evict_database(e->servers[i]))
			return true;
	for (uint32_t i = 0; i < e->n_servers; i++) {
		struct target *root = e->servers[i]->root;

		if (root->session == NULL || root->pass != NULL || e->servers[i]->asking)
			continue;
		target_disconnect(root);
		return true;
	}
	return false;
}

/* With one connection allowed, keeping it would starve the databases. */
bool slots_may_keep(const struct target *t)
{
	const struct engine *e = t->engine;

	if (!target_is_root(t) && t->server->kept >= t->server->gen->server->keep_connections)
		return false;
	return !e->stopping && !t->removed && !e->options.once && target_server_settings(t)->max_connections >= 2 &&
	       e->hold->settings->max_connections > e->n_servers && e->open < e->hold->settings->max_connections;
}

static bool slot_is_free(struct engine *e, struct server *s)
{
	if (s->open >= s->gen->server->max_connections && !evict_database(s))
		return false;
	return e->open < e->hold->settings->max_connections || evict(e);
}

/* The first that may go: who kept a connection needs no slot. When there is none, one of those goes first, wherever it
   stands: queued again during its pass it holds, while it waits, the slot that the head of the queue waits for. */
static struct target *next_of(struct engine *e, struct server *s)
{
	struct target *t = s->queue;

	if (t == NULL || (target_is_root(t) && s->asking))      /* its session is asked whether anything changed: soon it has answered */
		return NULL;
	if (t->session != NULL || slot_is_free(e, s))
		return t;
	while (t != NULL && t->session == NULL)
		t = t->queue_next;
	return t;
}

static bool admit_one(struct engine *e, struct server *s, msec_t now)
{
	struct target *t = next_of(e, s);

	if (t == NULL)
		return false;
	if (t->session == NULL)
		slot_take(t);
	slots_unqueue(t);
	target_work_begin(t);
	target_event(t, t->session != NULL ? TE_KEPT : TE_SLOT, now);
	target_work_end(t);
	return true;
}

void slots_admit(struct engine *e, msec_t now)
{
	uint32_t idle = 0;

	while (e->n_servers > 0 && idle < e->n_servers) {
		struct server *s = e->servers[e->server_turn++ % e->n_servers];

		idle = admit_one(e, s, now) ? 0 : idle + 1;
	}
}
