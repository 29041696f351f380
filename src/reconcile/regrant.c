/* SPDX-License-Identifier: PostgreSQL */
/*
 * What a REVOKE on a table takes from its columns is granted there again after it. Where that REVOKE is not made now, the
 * columns keep what they have, and the grant would be made over and over for nothing: it waits with the REVOKE.
 */
#include "reconcile/diff.h"
#include "reconcile/inverse.h"

#include <string.h>

static bool holds(struct differ *d, const struct change *grant, const char *table)
{
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;
		privs_t privs, grantable;

		if (g->kind != OBJECT_COLUMN || g->schema != grant->schema || strcmp(g->column, grant->column) != 0)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			if (strlen(table) != len || memcmp(name, table, len) != 0)
				continue;
			acl_held(g->acl, grant->role, &privs, &grantable);
			return ((grant->grantable ? grantable : privs) & grant->privs) == grant->privs;
		}
	}
	return false;
}

static bool share_a_table(const struct change *grant, const struct change *revoke)
{
	for (uint32_t k = 0; k < grant->n; k++)
		if (change_names_object(revoke, grant->names[k]))
			return true;
	return false;
}

/* The REVOKE on one of its tables that waits, or cannot be made; NULL when there is none, or another one is made now. */
static const struct change *revoke_that_waits(const struct differ *d, const struct change *grant)
{
	const struct change *waits = NULL;

	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if ((c->op != CHANGE_REVOKE && c->op != CHANGE_REVOKE_GRANT_OPTION) || c->object_kind != OBJECT_TABLE || c->role != grant->role ||
		    c->schema != grant->schema || !(c->privs & grant->privs) || !share_a_table(grant, c))
			continue;
		if (c->state == CHANGE_READY)
			return NULL;
		waits = c;
	}
	return waits;
}

static bool nothing_to_do_now(struct differ *d, const struct change *grant)
{
	for (uint32_t i = 0; i < grant->n; i++)
		if (!holds(d, grant, grant->names[i]))
			return false;
	return true;
}

void regrant_with_revokes(struct differ *d)
{
	uint32_t kept = 0;

	for (uint32_t i = 0; d->database && i < d->plan->n_changes; i++)
		change_sort_names(&d->plan->changes[i]);
	for (uint32_t i = 0; d->database && i < d->plan->n_changes; i++) {
		struct change c = d->plan->changes[i];
		const struct change *revoke = NULL;

		if (c.op == CHANGE_GRANT && c.object_kind == OBJECT_COLUMN && c.phase == PHASE_REVOKES && c.state == CHANGE_READY)
			revoke = revoke_that_waits(d, &c);
		if (revoke && nothing_to_do_now(d, &c)) {
			if (revoke->state == CHANGE_BLOCKED)
				continue;
			c.state = CHANGE_HELD;
			c.reason = revoke->reason;
			c.undone = revoke->undone;
		}
		d->plan->changes[kept++] = c;
	}
	if (d->database)
		d->plan->n_changes = kept;
}
