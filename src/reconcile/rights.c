/* SPDX-License-Identifier: PostgreSQL */
/*
 * What we cannot do because we are no superuser is blocked, with the statement
 * that an administrator can run, instead of tried and failed in every pass.
 *
 * Making a schema for a role, or giving something to it, needs SET ROLE to it;
 * default privileges of a role need its privileges (ALTER DEFAULT PRIVILEGES,
 * CREATE SCHEMA and ALTER ... OWNER in PostgreSQL's documentation). Who made a
 * role has neither from 16 on, and before 16 only when made a member.
 */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

#define DEPTH_MAX 16

enum need { NEED_NOTHING, NEED_SET, NEED_PRIVILEGES };

static bool reaches(const struct differ *d, name_id role, enum need need, int depth)
{
	if (role == d->me)
		return true;
	for (uint32_t i = 0; depth < DEPTH_MAX && i < d->server->n_memberships; i++) {
		const struct membership *m = &d->server->memberships[i];

		/* before 16 any membership will do */
		if (m->role != role || (d->version_num >= 160000 && !(need == NEED_SET ? m->set : m->inherit)))
			continue;
		if (reaches(d, m->member, need, depth + 1))
			return true;
	}
	return false;
}

static enum need need_of(const struct change *c, name_id *ret_role)
{
	switch (c->op) {
	case CHANGE_CREATE_SCHEMA: case CHANGE_OWNER:
		*ret_role = c->role;
		return NEED_SET;
	case CHANGE_DEFAULT_GRANT: case CHANGE_DEFAULT_REVOKE:
		*ret_role = c->other;
		return NEED_PRIVILEGES;
	case CHANGE_REASSIGN_OWNED:
		*ret_role = c->role;
		return NEED_PRIVILEGES;
	default:
		return NEED_NOTHING;
	}
}

static char *membership_sql(struct differ *d, name_id role)
{
	struct text *sql = text_new(d->plan);

	text_add(sql, "GRANT ");
	quote_ident(sql, names_text(d->names, role));
	text_add(sql, " TO ");
	quote_ident(sql, names_text(d->names, d->me));
	text_add(sql, d->version_num >= 160000 ? " WITH INHERIT TRUE, SET TRUE" : "");
	return sql->s;
}

static bool schema_is_blocked(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_CREATE_SCHEMA && c->state == CHANGE_BLOCKED && strcmp(c->name, name) == 0)
			return true;
	}
	return false;
}

/* Grants on a schema that cannot be made. */
static void follow_schema(struct differ *d, struct change *c)
{
	if (c->op != CHANGE_GRANT || c->object_kind != OBJECT_SCHEMA || c->state != CHANGE_READY)
		return;
	for (uint32_t i = 0; i < c->n; i++)
		if (schema_is_blocked(d, c->names[i])) {
			change_block(c, talloc_asprintf(d->plan, "schema %s does not exist and cannot be made", c->names[i]),
				     "see what blocks the schema");
			return;
		}
}

void rights_apply(struct differ *d)
{
	if (d->server->facts.is_superuser)
		return;
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];
		name_id role = NAME_NONE;
		enum need need = need_of(c, &role);

		if (need == NEED_NOTHING || role == NAME_NONE || c->state == CHANGE_BLOCKED || reaches(d, role, need, 0))
			continue;
		change_block(c, talloc_asprintf(d->plan, "dbreconcile is no superuser and cannot act as role %s", names_text(d->names, role)),
			     membership_sql(d, role));
	}
	for (uint32_t i = 0; i < d->plan->n_changes; i++)
		follow_schema(d, &d->plan->changes[i]);
}
