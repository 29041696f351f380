/* SPDX-License-Identifier: PostgreSQL */
/*
 * Undoing in a plan. What somebody asked to be taken back is one change of it, held until it is approved, whatever the
 * budgets say. What was taken back and is still declared is held too: a daemon that makes again what people undid fights them.
 */
#include "reconcile/inverse.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "reconcile/diff.h"

/* --- what was undone is not made again by itself ------------------------------------------------------------------- */

/* The next forward change of the undone ones, from *cursor = 0 on, that this change would make again; NULL = no more. */
static const struct change *next_repeated(const struct plan_context *context, const struct change *c, uint32_t *cursor, const struct plan_undone **ret)
{
	uint32_t at = 0;

	for (uint32_t i = 0; i < context->n_undone; i++) {
		const struct plan_undone *u = &context->undone[i];

		for (uint32_t k = 0; k < u->n_forward; k++) {
			if (at++ < *cursor || !change_repeats(c, &u->forward[k]))
				continue;
			*cursor = at;
			*ret = u;
			return &u->forward[k];
		}
	}
	return NULL;
}

static void hold_undone(struct change *c, const struct plan_undone *u)
{
	*u->wanted = true;
	if (c->state == CHANGE_BLOCKED)
		return;
	c->undone = true;
	c->state = CHANGE_HELD;
	c->reason = u->reason;
}

/* Objects that came since are not kept waiting by those that were undone: they become a change of their own. */
static void split_undone(struct differ *d, uint32_t at)
{
	struct change *c = &d->plan->changes[at], *rest;
	bool *undone = talloc_zero_array(d->temporary, bool, c->n);
	const char **mine = talloc_array(d->plan, const char *, c->n), **others = talloc_array(d->plan, const char *, c->n);
	const struct change *forward;
	const struct plan_undone *u;
	uint32_t n_mine = 0, n_others = 0, cursor = 0;

	while ((forward = next_repeated(d->context, c, &cursor, &u)))
		for (uint32_t i = 0; i < c->n; i++)
			undone[i] |= change_names_object(forward, c->names[i]);
	for (uint32_t i = 0; i < c->n; i++) {
		if (undone[i])
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

/* What the owner to be holds meanwhile becomes his own with the object: taking it from him is drift only as long as the change
   of owner is held back, and would take his own afterwards. */
static bool is_of_owner_to_be(const struct differ *d, const struct change *c)
{
	if (c->op != CHANGE_REVOKE && c->op != CHANGE_REVOKE_GRANT_OPTION)
		return false;
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *owner = &d->plan->changes[i];

		if (owner->op == CHANGE_OWNER && owner->undone && owner->role == c->role && change_touches(c, owner))
			return true;
	}
	return false;
}

static void leave_owner_to_be(struct differ *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change c = d->plan->changes[i];
		bool leave = is_of_owner_to_be(d, &c);

		if (!leave)
			d->plan->changes[kept++] = c;
	}
	d->plan->n_changes = kept;
}

void undone_hold(struct differ *d)
{
	uint32_t n = d->plan->n_changes;

	for (uint32_t i = 0; d->context->n_undone && i < n; i++) {
		const struct plan_undone *u;
		uint32_t cursor = 0;

		change_sort_names(&d->plan->changes[i]);
		if (!next_repeated(d->context, &d->plan->changes[i], &cursor, &u))
			continue;
		if (d->plan->changes[i].names && d->plan->changes[i].n > 1)
			split_undone(d, i);
		hold_undone(&d->plan->changes[i], u);
		while (next_repeated(d->context, &d->plan->changes[i], &cursor, &u))
			*u->wanted = true;
	}
	if (d->context->n_undone)
		leave_owner_to_be(d);
}

/* --- what is to be undone ------------------------------------------------------------------------------------------ */

struct parts {
	struct change *v;
	uint32_t n;
};

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

static const struct setting *live_setting(const struct differ *d, const struct change *c, const char *name)
{
	for (uint32_t i = 0; i < d->server->n_settings; i++) {
		const struct setting *s = &d->server->settings[i];

		if (s->role == c->role && s->database == c->database && strcmp(s->name, name) == 0)
			return s;
	}
	return NULL;
}

static void add_part(struct differ *d, struct parts *parts, const struct change *c)
{
	parts->v = talloc_realloc(d->plan, parts->v, struct change, parts->n + 1);
	if (!parts->v)
		abort();
	parts->v[parts->n++] = *c;
}

/* Those that stood behind it and still do come behind it again, with the values that they have now. For the sake of a dump
   alone, so not where somebody else than a superuser might be refused. */
static void add_settings_behind(struct differ *d, struct parts *parts, const struct change *c)
{
	for (const char *name = c->behind, *end; d->server->facts.is_superuser && name && (end = strchr(name, '\n')); name = end + 1) {
		const struct setting *s = live_setting(d, c, talloc_strndup(d->plan, name, (size_t)(end - name)));
		struct change again = *c;

		if (!s)
			continue;
		again.behind = NULL;
		again.name = s->name;
		again.value = s->value;
		again.op = CHANGE_RESET_SETTING;
		add_part(d, parts, &again);
		again.op = CHANGE_SET_SETTING;
		add_part(d, parts, &again);
	}
}

static void grant_column(struct differ *d, struct parts *parts, const struct change *revoke, const char *column, const char *table,
			 privs_t privs, bool grantable)
{
	struct change again = *revoke;

	if (!privs)
		return;
	again.op = CHANGE_GRANT;
	again.object_kind = OBJECT_COLUMN;
	again.relkind = 0;
	again.column = column;
	again.privs = privs;
	again.grantable = grantable;
	again.n = 1;
	again.names = talloc_array(d->plan, const char *, 1);
	again.names[0] = table;
	add_part(d, parts, &again);
}

static void keep_columns(struct differ *d, struct parts *parts, const struct change *revoke, const struct object_group *g,
			 const struct acl_entry *entry)
{
	bool option_alone = revoke->op == CHANGE_REVOKE_GRANT_OPTION;
	privs_t taken = revoke->privs & (option_alone ? entry->grantable : entry->privs);
	size_t cursor = 0, len;
	const char *name;

	if (!taken || entry->grantee != revoke->role || entry->grantor != (revoke->grantor ? revoke->grantor : g->owner))
		return;
	while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
		const char *table = talloc_strndup(d->plan, name, len);

		if (!change_names_object(revoke, table))
			continue;
		grant_column(d, parts, revoke, g->column, table, taken & ~entry->grantable, false);
		grant_column(d, parts, revoke, g->column, table, taken & entry->grantable, true);
	}
}

/* Did the grantee of this entry pass some of it on? */
static bool passed_on(const struct acl *acl, const struct acl_entry *entry, privs_t privs)
{
	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantor == entry->grantee && entry->grantee != entry->grantor && (acl->v[i].privs & entry->grantable & privs))
			return true;
	return false;
}

/* A REVOKE on a table takes from its columns too what was granted on them alone: that is given back at once. */
static void add_columns_kept(struct differ *d, struct parts *parts, const struct change *c)
{
	uint32_t at = parts->n - 1;

	if (!d->database || c->object_kind != OBJECT_TABLE || (c->op != CHANGE_REVOKE && c->op != CHANGE_REVOKE_GRANT_OPTION))
		return;
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];

		if (g->kind != OBJECT_COLUMN || g->schema != c->schema)
			continue;
		for (uint32_t e = 0; e < g->acl->n; e++) {
			uint32_t before = parts->n;

			keep_columns(d, parts, c, g, &g->acl->v[e]);
			if (parts->n > before && passed_on(g->acl, &g->acl->v[e], c->privs))
				change_block(&parts->v[at], "a column of the table carries privileges granted on from one that the REVOKE on the table would "
					     "take along", "revoke those by hand");
		}
	}
}

static void add_undo(struct differ *d, const struct plan_undo *wish)
{
	struct undo_change *undo = talloc_zero(d->plan, struct undo_change);
	struct parts parts = { NULL, 0 };
	struct change *change;

	if (!undo)
		abort();
	for (uint32_t i = 0; i < wish->n_parts; i++) {
		add_part(d, &parts, &wish->parts[i]);
		add_settings_behind(d, &parts, &wish->parts[i]);
		add_columns_kept(d, &parts, &wish->parts[i]);
	}
	check_parts(d, parts.v, parts.n);
	*undo = (struct undo_change){ .id = wish->id, .parts = parts.v, .n_parts = parts.n, .forward = wish->forward, .n_forward = wish->n_forward };
	change = differ_add(d, CHANGE_UNDO, parts.v[0].kind, PHASE_DROPS, (struct source){ NULL, 0 });
	change->undo = undo;
	change->approval = wish->approval;
	change->state = wish->approved ? CHANGE_READY : CHANGE_HELD;
	change->reason = wish->approved ? NULL : wish->reason;
	for (uint32_t i = 0; i < parts.n; i++) {
		if (parts.v[i].n > change->n)
			change->n = parts.v[i].n;
		if (parts.v[i].state == CHANGE_BLOCKED)
			change_block(change, parts.v[i].reason, parts.v[i].remedy);
	}
}

void undo_add(struct differ *d)
{
	for (uint32_t i = 0; i < d->context->n_undos; i++)
		add_undo(d, &d->context->undos[i]);
}
