/* SPDX-License-Identifier: PostgreSQL */
/*
 * Undoing in a plan. What somebody asked to be taken back is one change of it, held until it is approved, whatever the
 * budgets say. What was taken back and is still declared is held too: a daemon that makes again what people undid fights them.
 */
#include "reconcile/inverse.h"

#include <stdlib.h>
#include <talloc.h>

#include "reconcile/diff.h"

/* --- what was undone is not made again by itself ------------------------------------------------------------------- */

/* Which of the undone changes this one, or its object, would make again; NULL = none. */
static const struct plan_undone *undone_by(const struct plan_context *context, const struct change *c, const char *name)
{
	for (uint32_t i = 0; i < context->n_undone; i++) {
		const struct plan_undone *u = &context->undone[i];

		for (uint32_t k = 0; k < u->n_forward; k++)
			if (change_repeats(c, &u->forward[k]) && (!name || change_names_object(&u->forward[k], name)))
				return u;
	}
	return NULL;
}

static void hold_undone(struct change *c, const struct plan_undone *u)
{
	*u->wanted = true;
	if (c->state != CHANGE_READY)
		return;
	c->state = CHANGE_HELD;
	c->reason = u->reason;
}

/* Objects that came since are not kept waiting by those that were undone: they become a change of their own. */
static void split_undone(struct differ *d, uint32_t at)
{
	struct change *c = &d->plan->changes[at], *rest;
	const char **mine = talloc_array(d->plan, const char *, c->n), **others = talloc_array(d->plan, const char *, c->n);
	uint32_t n_mine = 0, n_others = 0;

	for (uint32_t i = 0; i < c->n; i++) {
		if (undone_by(d->context, c, c->names[i]))
			mine[n_mine++] = c->names[i];
		else
			others[n_others++] = c->names[i];
	}
	if (n_mine == 0 || n_others == 0)
		return;
	rest = differ_add(d, c->op, c->kind, c->phase, c->source);
	c = &d->plan->changes[at];
	*rest = *c;
	rest->names = others;
	rest->n = n_others;
	c->names = mine;
	c->n = n_mine;
}

void undone_hold(struct differ *d)
{
	uint32_t n = d->plan->n_changes;

	for (uint32_t i = 0; d->context->n_undone && i < n; i++) {
		const struct plan_undone *u = undone_by(d->context, &d->plan->changes[i], NULL);

		if (!u)
			continue;
		if (d->plan->changes[i].names && d->plan->changes[i].n > 1)
			split_undone(d, i);
		hold_undone(&d->plan->changes[i], u);
	}
}

/* --- what is to be undone ------------------------------------------------------------------------------------------ */

/* The parts alone, with what the checks of every change say of them. */
static void check_parts(struct differ *d, struct change *parts, uint32_t n)
{
	struct change *others = d->plan->changes;
	uint32_t n_others = d->plan->n_changes;

	d->plan->changes = NULL;
	d->plan->n_changes = 0;
	for (uint32_t i = 0; i < n; i++)
		*differ_add(d, parts[i].op, parts[i].kind, parts[i].phase, parts[i].source) = parts[i];
	usage_apply(d);
	rights_apply(d);
	guard_protect(d);
	guard_event_triggers(d);
	for (uint32_t i = 0; i < n && i < d->plan->n_changes; i++)
		parts[i] = d->plan->changes[i];
	talloc_free(d->plan->changes);
	d->plan->changes = others;
	d->plan->n_changes = n_others;
}

static void add_undo(struct differ *d, const struct plan_undo *wish)
{
	struct undo_change *undo = talloc_zero(d->plan, struct undo_change);
	struct change *parts = talloc_memdup(d->plan, wish->parts, wish->n_parts * sizeof *parts), *change;

	if (!undo || !parts)
		abort();
	check_parts(d, parts, wish->n_parts);
	*undo = (struct undo_change){ .id = wish->id, .parts = parts, .n_parts = wish->n_parts, .forward = wish->forward,
				      .n_forward = wish->n_forward };
	change = differ_add(d, CHANGE_UNDO, parts[0].kind, PHASE_DROPS, (struct source){ NULL, 0 });
	change->undo = undo;
	change->approval = wish->approval;
	change->state = wish->approved ? CHANGE_READY : CHANGE_HELD;
	change->reason = wish->approved ? NULL : wish->reason;
	for (uint32_t i = 0; i < wish->n_parts; i++) {
		if (parts[i].n > change->n)
			change->n = parts[i].n;
		if (parts[i].state == CHANGE_BLOCKED)
			change_block(change, parts[i].reason, parts[i].remedy);
	}
}

void undo_add(struct differ *d)
{
	for (uint32_t i = 0; i < d->context->n_undos; i++)
		add_undo(d, &d->context->undos[i]);
}
