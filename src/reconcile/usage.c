/* SPDX-License-Identifier: PostgreSQL */
/*
 * Whoever names an object needs USAGE on its schema, its owner and a grantor
 * too. A grant is taken back as its grantor; where he has lost USAGE he gets
 * it for the length of that transaction.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* The last question and its answer: changes of one schema come together. */
struct asked {
	name_id role, schema, owner;
	bool may_use;
};

/* By name id: the role and every role whose privileges it has. */
static uint8_t *privileges_of(struct differ *d, name_id role)
{
	uint8_t *has = talloc_zero_array(d->temporary, uint8_t, names_count(d->names) + 1);
	bool changed = true;

	if (!has)
		abort();
	has[role] = 1;
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < d->server->n_memberships; i++) {
			const struct membership *m = &d->server->memberships[i];

			if (!has[m->member] || !m->inherit || has[m->role])
				continue;
			has[m->role] = 1;
			changed = true;
		}
	}
	return has;
}

/* USAGE on every schema comes with these (PostgreSQL documentation, "Predefined Roles"). */
static bool reads_everything(const struct differ *d, const uint8_t *has)
{
	static const char *const predefined[] = { "pg_read_all_data", "pg_write_all_data" };

	for (size_t i = 0; i < sizeof predefined / sizeof *predefined; i++) {
		name_id id = names_find(d->names, predefined[i], strlen(predefined[i]));

		if (id != NAME_NONE && has[id])
			return true;
	}
	return false;
}

static bool may_use(struct differ *d, name_id role, const struct object_group *schema)
{
	const struct role *live = server_role(d->server, role);
	uint8_t *has;
	bool answer;

	if (!live || (live->attrs & ROLE_SUPERUSER))
		return true;
	has = privileges_of(d, role);
	answer = reads_everything(d, has);
	for (uint32_t i = 0; i < schema->acl->n && !answer; i++) {
		name_id grantee = schema->acl->v[i].grantee;

		answer = (schema->acl->v[i].privs & PRIV_USAGE) &&
			 (grantee == NAME_NONE || has[grantee] || role_really(d, grantee) == role);
	}
	talloc_free(has);
	return answer;
}

/* Does this plan give it USAGE before anything is taken away? */
static bool will_use(const struct differ *d, name_id role, name_id schema)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op != CHANGE_GRANT || c->object_kind != OBJECT_SCHEMA || c->role != role || !(c->privs & PRIV_USAGE) ||
		    c->state != CHANGE_READY)
			continue;
		for (uint32_t k = 0; k < c->n; k++)
			if (strcmp(c->names[k], names_text(d->names, schema)) == 0)
				return true;
	}
	return false;
}

static void ask(struct differ *d, struct asked *asked, name_id role, name_id schema)
{
	const struct object_group *group;

	if (asked->role == role && asked->schema == schema)
		return;
	group = schema_group(d, schema);
	*asked = (struct asked){ .role = role, .schema = schema, .owner = group ? group->owner : NAME_NONE };
	asked->may_use = !group || may_use(d, role, group) || will_use(d, role, schema);
}

static void lend(struct differ *d, struct change *c, name_id owner)
{
	c->lends_usage = true;
	if (d->server->facts.is_superuser || owner == d->me)
		return;
	c->lender = owner;
	if (!reaches(d, role_really(d, owner), REACH_SET))
		change_block(c, talloc_asprintf(d->plan, "%s, who granted it, has no USAGE on schema %s", names_text(d->names, c->grantor),
						names_text(d->names, c->schema)),
			     differ_sql(d, "as a superuser, run once: GRANT USAGE ON SCHEMA ", c->schema, " TO ", c->grantor, ""));
}

void usage_apply(struct differ *d)
{
	struct asked asked = { 0 };

	for (uint32_t i = 0; d->database && i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];

		if ((c->op != CHANGE_GRANT && c->op != CHANGE_REVOKE && c->op != CHANGE_REVOKE_GRANT_OPTION) || !c->grantor || !c->schema ||
		    c->state == CHANGE_BLOCKED)
			continue;
		ask(d, &asked, c->grantor, c->schema);
		if (!asked.may_use)
			lend(d, c, asked.owner);
	}
}
