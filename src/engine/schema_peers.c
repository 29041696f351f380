/* SPDX-License-Identifier: PostgreSQL */
/*
 * Databases beside each other: of those at the same version of the same files
 * most look alike, and the others differ from these. Which are most takes one
 * sort of digests; only what differs is read and compared, once for each
 * schema that differs, a few milliseconds of a turn.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "engine/schema.h"

#define SLICE 500
#define BUDGET 8                        /* ms of one turn */
#define PAUSE 200                       /* ms between two rounds: a thousand looks are not a thousand rounds */

struct member {
	struct target *t;
	uint64_t kin;
	char digest[SCHEMA_DIGEST + 1];
	bool drifted;
	uint32_t run;
};

/* Members of one kin with the same digest. */
struct run {
	uint32_t from, to;
	uint32_t kin_from, kin_to;
	uint32_t reference;              /* a member of the run that most are in */
	struct schema_diff *diff;        /* NULL: it is that run */
};

struct round {
	struct member *v;
	uint32_t n;
	struct run *runs;
	uint32_t n_runs, at;
	struct schema_loading loading[2];
	struct schema *lists[2];
	struct schema_compare *compare;
};

struct schema_peers {
	struct round *shown, *next;
	msec_t begun;
};

void schema_peers_moved(struct engine *e)
{
	e->schemas_moved = true;
}

msec_t schema_peers_deadline(const struct engine *e)
{
	const struct schema_peers *p = e->schema_peers;

	if (e->stopping || !e->numbers.full_cycle_done)
		return MSEC_NEVER;
	if (p != NULL && p->next != NULL)
		return e->now;
	return !e->schemas_moved ? MSEC_NEVER : p != NULL ? p->begun + PAUSE : e->now;
}

static void clear(struct schema_view *view)
{
	view->peers = 0;
	view->reference = NULL;
	view->differs = NULL;
}

void schema_peers_forget(struct engine *e)
{
	struct round *shown = e->schema_peers != NULL ? e->schema_peers->shown : NULL;

	if (e->schema_peers == NULL)
		return;
	for (uint32_t i = 0; shown != NULL && i < shown->n; i++)
		if (shown->v[i].t->schema != NULL)
			clear(&shown->v[i].t->schema->view);
	TALLOC_FREE(e->schema_peers);
	schema_peers_moved(e);
}

/* ---- who is beside whom ---- */

static int by_kin(const void *a, const void *b)
{
	const struct member *x = a, *y = b;
	int r = x->kin < y->kin ? -1 : x->kin > y->kin;

	if (r == 0)
		r = strcmp(x->digest, y->digest);
	return r != 0 ? r : strcmp(x->t->name, y->t->name);
}

static bool takes_part(const struct target *t)
{
	return t->schema != NULL && t->schema->looked && t->schema->kin != 0 && schema_is_watched(t) && !t->removed;
}

static void gather(struct round *round, const struct engine *e)
{
	round->v = talloc_zero_array(round, struct member, e->n_order + 1);
	for (uint32_t i = 0; i < e->n_order; i++) {
		struct target *t = e->order[i];
		struct member *m = &round->v[round->n];

		if (!takes_part(t))
			continue;
		*m = (struct member){ .t = t, .kin = t->schema->kin, .drifted = t->schema->drift->total > 0 };
		memcpy(m->digest, t->schema->last, sizeof m->digest);
		round->n++;
	}
	qsort(round->v, round->n, sizeof(*round->v), by_kin);
}

/* More databases; then one that is as its migrations made it; then by name. */
static bool better(const struct round *round, const struct run *a, const struct run *b)
{
	const struct member *x = &round->v[a->from], *y = &round->v[b->from];

	if (a->to - a->from != b->to - b->from)
		return a->to - a->from > b->to - b->from;
	if (x->drifted != y->drifted)
		return y->drifted;
	return strcmp(x->t->name, y->t->name) < 0;
}

/* The runs from first on are one kin. */
static void end_kin(struct round *round, uint32_t first)
{
	const struct run *best = &round->runs[first];

	for (uint32_t i = first; i < round->n_runs; i++)
		if (better(round, &round->runs[i], best))
			best = &round->runs[i];
	for (uint32_t i = first; i < round->n_runs; i++) {
		round->runs[i].reference = best->from;
		round->runs[i].kin_from = round->runs[first].from;
		round->runs[i].kin_to = round->runs[round->n_runs - 1].to;
	}
}

static void find_runs(struct round *round)
{
	uint32_t first = 0;

	round->runs = talloc_zero_array(round, struct run, round->n + 1);
	for (uint32_t i = 0; i < round->n; i++) {
		struct member *m = &round->v[i];
		bool kin = i > 0 && m[-1].kin == m->kin;

		if (!kin && i > 0) {
			end_kin(round, first);
			first = round->n_runs;
		}
		if (!kin || strcmp(m[-1].digest, m->digest) != 0)
			round->runs[round->n_runs++].from = i;
		m->run = round->n_runs - 1;
		round->runs[m->run].to = i + 1;
	}
	if (round->n > 0)
		end_kin(round, first);
}

static void begin(struct engine *e)
{
	if (e->schema_peers == NULL)
		e->schema_peers = talloc_zero(e, struct schema_peers);
	e->schema_peers->begun = e->now;
	e->schema_peers->next = talloc_zero(e->schema_peers, struct round);
	gather(e->schema_peers->next, e);
	find_runs(e->schema_peers->next);
	e->schemas_moved = false;
}

/* ---- what differs ---- */

static void next_run(struct round *round)
{
	TALLOC_FREE(round->compare);
	for (unsigned i = 0; i < 2; i++)
		TALLOC_FREE(round->lists[i]);
	round->at++;
}

/* 0 more of this run, 1 it is over, 2 a newer look has taken the place of one: another round comes. */
static int compare_run(struct engine *e, struct round *round)
{
	struct run *run = &round->runs[round->at];
	const uint32_t which[] = { run->reference, run->from };

	if (run->reference == run->from)
		return 1;
	for (unsigned i = 0; i < 2; i++) {
		int r;

		if (round->lists[i] == NULL) {
			schema_loading_begin(&round->loading[i], round, round->v[which[i]].digest);
			round->lists[i] = round->loading[i].list;
		}
		if (round->loading[i].list == NULL)
			continue;
		r = schema_loading_turn(&round->loading[i], e);
		if (r == 2)
			return 2;
		if (r == 1)
			round->loading[i].list = NULL;
		return 0;
	}
	if (round->compare == NULL)
		round->compare = schema_compare_new(round, round->lists[0], round->lists[1]);
	if (!schema_compare_turn(round->compare, SLICE))
		return 0;
	run->diff = schema_compare_take(round, round->compare);
	return 1;
}

/* ---- what is told ---- */

/* Said once, over a restart too. */
static void tell(struct target *t, const struct schema_view *view)
{
	struct state *state = t->engine->state;
	void *scratch = talloc_new(NULL);
	char key[300], *known = NULL, object[160];
	struct event event = { .at_ms = clock_wall(), .target = t->name, .actor = "daemon", .object = object, .result = "ok" };

	snprintf(key, sizeof key, "schema/differs/%s", t->name);
	if ((state_get(state, scratch, key, &known) == 0) == (view->differs != NULL)) {
		talloc_free(scratch);
		return;
	}
	if (view->differs != NULL) {
		event.kind = "schema_differs";
		event.message = view->differs->n > 0 ? schema_change_text(scratch, &view->differs->v[0]) : NULL;
		snprintf(object, sizeof object, "%u object%s differ%s from %s", view->differs->total, view->differs->total == 1 ? "" : "s",
			 view->differs->total == 1 ? "s" : "", view->reference);
		state_put(state, key, view->reference);
	} else {
		event.kind = "schema_alike";
		snprintf(object, sizeof object, "is like the other databases at its version");
		state_delete(state, key);
	}
	state_event_add(state, &event, NULL);
	talloc_free(scratch);
}

static void show(struct engine *e)
{
	struct schema_peers *p = e->schema_peers;
	struct round *old = p->shown;

	for (uint32_t i = 0; old != NULL && i < old->n; i++)
		if (old->v[i].t->schema != NULL)
			clear(&old->v[i].t->schema->view);
	p->shown = p->next;
	p->next = NULL;
	for (uint32_t i = 0; i < p->shown->n; i++) {
		const struct member *m = &p->shown->v[i];
		const struct run *run = &p->shown->runs[m->run];
		struct schema_view *view = m->t->schema != NULL ? &m->t->schema->view : NULL;

		if (view == NULL)
			continue;
		view->peers = run->kin_to - run->kin_from;
		view->differs = run->diff;
		view->reference = run->diff != NULL ? p->shown->v[run->reference].t->name : NULL;
		tell(m->t, view);
	}
	talloc_free(old);
}

void schema_peers_turn(struct engine *e)
{
	msec_t start = clock_monotonic();
	struct round *round;

	if (e->stopping || !e->numbers.full_cycle_done)       /* of the first few that were looked at none is like most */
		return;
	if (e->schemas_moved && (e->schema_peers == NULL || (e->schema_peers->next == NULL && e->now - e->schema_peers->begun >= PAUSE)))
		begin(e);
	round = e->schema_peers != NULL ? e->schema_peers->next : NULL;
	while (round != NULL && round->at < round->n_runs) {
		int r = compare_run(e, round);

		if (r == 1)
			next_run(round);
		if (r == 2)
			TALLOC_FREE(e->schema_peers->next);
		if (r == 2 || clock_monotonic() - start >= BUDGET)
			return;
	}
	if (round != NULL)
		show(e);
}
