/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who corrects the same thing again and again is fighting somebody: after
 * FLAPPING_HITS corrections of one item within FLAPPING_PASSES passes that
 * item is left alone until an operator orders a pass.
 */
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>

#include "base/hash.h"

#define FLAPPING_HITS 5
#define FLAPPING_PASSES 10
#define FLAPPING_GIVEN_UP (1u << 15)     /* stays until an operator orders a pass */
#define FLAPPING_ITEMS 4096       /* a power of two; more are not watched */

struct item {
	uint64_t key;             /* 0 = free */
	uint16_t passes;          /* bit 0: this pass; and FLAPPING_GIVEN_UP */
};

struct flapping {
	struct item v[FLAPPING_ITEMS];
};

/* What is corrected, not how: a privilege taken away and given back, whoever holds it, is one item. */
static uint64_t change_key(const struct plan *plan, const struct change *c)
{
	uint64_t hash = HASH_START;
	const uint32_t words[] = { c->op, c->kind, c->object_kind, (uint32_t)c->objtype, c->privs, c->attrs_mask };

	hash = hash_mix(hash, words, sizeof(words));
	hash = hash_mix_text(hash, names_text(plan->names, c->role));
	hash = hash_mix_text(hash, names_text(plan->names, c->other));
	hash = hash_mix_text(hash, names_text(plan->names, c->schema));
	hash = hash_mix_text(hash, names_text(plan->names, c->database));
	hash = hash_mix_text(hash, c->column);
	return hash_mix_text(hash, c->name);
}

static uint64_t object_key(uint64_t hash, const struct change *c, uint32_t i)
{
	hash = c->names != NULL ? hash_mix_text(hash, c->names[i]) : hash;
	return hash != 0 ? hash : 1;
}

static uint32_t object_count(const struct change *c)
{
	return c->names != NULL ? c->n : 1;
}

/* Its place, or a free one. It may stand behind one that was forgotten since. */
static struct item *item_find(struct flapping *f, uint64_t key)
{
	struct item *free_one = NULL;

	for (unsigned i = 0; i < 8; i++) {
		struct item *item = &f->v[(key + i) % FLAPPING_ITEMS];

		if (item->key == key)
			return item;
		if (item->key == 0 && free_one == NULL)
			free_one = item;
	}
	return free_one;          /* NULL: crowded, not watched */
}

void flapping_pass(struct target *t)
{
	for (unsigned i = 0; t->flapping != NULL && i < FLAPPING_ITEMS; i++) {
		struct item *item = &t->flapping->v[i];

		item->passes = (uint16_t)((item->passes << 1 & ((1u << FLAPPING_PASSES) - 1)) | (item->passes & FLAPPING_GIVEN_UP));
		if (item->passes == 0)
			item->key = 0;
	}
}

void flapping_count(struct target *t, const struct plan *plan, const struct change *c)
{
	uint64_t base = change_key(plan, c);

	if (c->op == CHANGE_UNDO)
		return;                   /* somebody asked for it, once */
	if (t->flapping == NULL)
		t->flapping = talloc_zero(t, struct flapping);
	for (uint32_t i = 0; i < object_count(c); i++) {
		uint64_t key = object_key(base, c, i);
		struct item *item = item_find(t->flapping, key);

		if (item == NULL)
			continue;
		item->key = key;
		item->passes |= 1;
		if (__builtin_popcount(item->passes) >= FLAPPING_HITS)
			item->passes |= FLAPPING_GIVEN_UP;
	}
}

/* Is any bit of mask set for any object of the change? */
static bool change_marked(struct flapping *f, const struct plan *plan, const struct change *c, unsigned mask)
{
	uint64_t base = change_key(plan, c);

	for (uint32_t i = 0; i < object_count(c); i++) {
		uint64_t key = object_key(base, c, i);
		const struct item *item = item_find(f, key);

		if (item != NULL && item->key == key && (item->passes & mask) != 0)
			return true;
	}
	return false;
}

bool flapping_made_now(const struct target *t, const struct plan *plan)
{
	for (uint32_t i = 0; t->flapping != NULL && i < plan->n_changes; i++)
		if (plan->changes[i].state == CHANGE_READY && change_marked(t->flapping, plan, &plan->changes[i], 1))
			return true;
	return false;
}

void flapping_mark_plan(struct target *t, struct plan *plan)
{
	for (uint32_t i = 0; t->flapping != NULL && i < plan->n_changes; i++) {
		struct change *c = &plan->changes[i];

		if (c->state != CHANGE_READY || c->op == CHANGE_MIGRATE || c->op == CHANGE_UNDO ||
		    !change_marked(t->flapping, plan, c, FLAPPING_GIVEN_UP))
			continue;
		c->state = CHANGE_BLOCKED;
		c->reason = "flapping: corrected 5 times within 10 passes and undone each time; somebody else changes it";
		c->remedy = "find who does (server log, pg_stat_activity), then order a pass: dbreconcilectl reconcile";
		plan->ready--;
		plan->blocked++;
		plan->blocked_objects += c->n;
		plan->blocked_by_kind[c->kind] += c->n;
	}
}

void flapping_forget(struct target *t)
{
	TALLOC_FREE(t->flapping);
}
