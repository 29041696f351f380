/* SPDX-License-Identifier: PostgreSQL */
/*
 * The guard: what a pass may do by itself. It only ever turns ready into held
 * or blocked, never the other way, except for a plan that was approved.
 *
 * Blocked, whatever was declared or approved: changing our own role, the
 * bootstrap superuser, predefined roles and protected names.
 * Held until approved: drops over the budget, revokes over the budget (by
 * number, or by share of what lives in scope), and what the diff itself marked
 * (loss of login, weaker row security, expressions that cannot be compared).
 */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"

/* Shares are not judged below this many revokes: one extra grant among five would be 20 %. */
#define PERCENT_FLOOR 10

/* Names that belong to the provider of a managed service. */
static const char *const always_protected[] = { "pg_*", "rdsadmin", "rds_superuser", "rdsrepladmin", "cloudsqladmin", "cloudsqlsuperuser",
						"azuresu", "azure_pg_admin", "alloydbadmin", "alloydbsuperuser" };

bool guard_touches_role(const struct change *c)
{
	switch (c->op) {
	case CHANGE_CREATE_ROLE: case CHANGE_ALTER_ROLE: case CHANGE_RENAME_ROLE: case CHANGE_SET_PASSWORD: case CHANGE_COMMENT_ROLE:
	case CHANGE_SET_SETTING: case CHANGE_RESET_SETTING: case CHANGE_GRANT_MEMBERSHIP: case CHANGE_REVOKE_MEMBERSHIP:
	case CHANGE_DROP_ROLE: case CHANGE_REASSIGN_OWNED: case CHANGE_END_SESSIONS: case CHANGE_REVOKE:
	case CHANGE_REVOKE_GRANT_OPTION: case CHANGE_DEFAULT_REVOKE:
		return c->role != NAME_NONE && !c->own;
	default:
		return false;
	}
}

bool guard_protects(const struct guard_settings *guard, const char *name)
{
	for (size_t i = 0; i < sizeof always_protected / sizeof *always_protected; i++)
		if (glob_match(always_protected[i], name))
			return true;
	for (uint32_t i = 0; i < guard->n_protected_roles; i++)
		if (glob_match(guard->protected_roles[i], name))
			return true;
	return false;
}

bool is_protected(const struct differ *d, const char *name)
{
	return guard_protects(d->context->guard, name);
}

static void protect_role(struct differ *d, struct change *c, name_id role)
{
	const char *name = names_text(d->names, role);

	if (role == d->me)
		change_block(c, "this is the role that dbreconcile logs in as", "remove it from the manifest; change it by hand");
	else if (role == d->server->facts.bootstrap)
		change_block(c, "this is the bootstrap superuser", "remove it from the manifest; change it by hand");
	else if (is_protected(d, name))
		change_block(c, "the role is protected (guard.protected_roles or built in)", "remove it from the manifest, or unprotect it");
}

/* Is it CONNECT that we have by this role, or by PUBLIC? */
static bool our_connect(const struct differ *d, name_id grantee, privs_t privs)
{
	return (privs & PRIV_CONNECT) && (grantee == NAME_NONE || reaches(d, grantee, REACH_PRIVILEGES));
}

static bool takes_connect(const struct differ *d, const struct change *c)
{
	return c->op == CHANGE_REVOKE && c->object_kind == OBJECT_DATABASE && c->state != CHANGE_BLOCKED && our_connect(d, c->role, c->privs);
}

static bool names_database(const struct change *c, const char *database)
{
	for (uint32_t i = 0; i < c->n; i++)
		if (strcmp(c->names[i], database) == 0)
			return true;
	return false;
}

static bool is_taken(const struct differ *d, const struct database *db, const struct acl_entry *entry)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (takes_connect(d, c) && c->role == entry->grantee && (c->grantor ? c->grantor : db->owner) == entry->grantor &&
		    names_database(c, names_text(d->names, db->name)))
			return true;
	}
	return false;
}

/* Some of what lets us connect is to go: is there more? */
static bool we_stay_connected(const struct differ *d, const struct database *db)
{
	if (reaches(d, db->owner, REACH_PRIVILEGES))
		return true;
	for (uint32_t e = 0; e < db->acl->n; e++)
		if (our_connect(d, db->acl->v[e].grantee, db->acl->v[e].privs) && !is_taken(d, db, &db->acl->v[e]))
			return true;
	return false;
}

/* Never lock ourselves out. */
static void keep_connected(struct differ *d, struct change *c)
{
	for (uint32_t i = 0; !d->server->facts.is_superuser && takes_connect(d, c) && i < d->server->n_databases; i++) {
		const struct database *db = &d->server->databases[i];

		if (names_database(c, names_text(d->names, db->name)) && !we_stay_connected(d, db))
			change_block(c, talloc_asprintf(d->plan, "dbreconcile itself connects through %s and would be locked out",
							c->role ? names_text(d->names, c->role) : "PUBLIC"),
				     differ_sql(d, "GRANT CONNECT ON DATABASE ", db->name, " TO ", d->me, ""));
	}
}

static bool is_revoke(const struct change *c)
{
	return c->op == CHANGE_REVOKE || c->op == CHANGE_REVOKE_GRANT_OPTION || c->op == CHANGE_DEFAULT_REVOKE ||
	       c->op == CHANGE_REVOKE_MEMBERSHIP;
}

static bool is_drop(const struct change *c)
{
	return c->op == CHANGE_DROP_ROLE || c->op == CHANGE_DROP_EXTENSION || c->op == CHANGE_DROP_POLICY || c->op == CHANGE_REPLACE_POLICY ||
	       (c->retires && (c->op == CHANGE_ALTER_ROLE || c->op == CHANGE_END_SESSIONS));
}

/* The steps of one retirement are one drop: the login counts while the role itself cannot be dropped yet. */
static bool counts_as_drop(const struct differ *d, const struct change *c)
{
	if (c->op == CHANGE_END_SESSIONS)
		return false;
	if (c->op != CHANGE_ALTER_ROLE)
		return is_drop(c);
	for (uint32_t i = 0; c->retires && i < d->plan->n_changes; i++)
		if (d->plan->changes[i].op == CHANGE_DROP_ROLE && d->plan->changes[i].role == c->role &&
		    d->plan->changes[i].state != CHANGE_BLOCKED)
			return false;
	return c->retires;
}

static void hold_all(struct differ *d, bool (*which)(const struct change *), const char *reason)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];

		if (which(c) && c->state == CHANGE_READY) {
			c->state = CHANGE_HELD;
			c->reason = reason;
		}
	}
}

static void release_drops(struct differ *d)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];

		if (is_drop(c) && c->state == CHANGE_HELD && !c->undone) {
			c->state = CHANGE_READY;
			c->reason = NULL;
		}
	}
}

static void budgets(struct differ *d)
{
	const struct guard_settings *guard = d->context->guard;
	uint64_t revokes = 0, drops = 0;

	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->state == CHANGE_BLOCKED)
			continue;
		if (is_revoke(c))
			revokes += c->n;
		if (counts_as_drop(d, c))
			drops += c->n;
	}
	if (drops > guard->max_drops)
		hold_all(d, is_drop, talloc_asprintf(d->plan, "%llu drops, max_drops is %u", (unsigned long long)drops, guard->max_drops));
	else if (drops)
		release_drops(d);
	if (revokes > guard->max_revokes)
		hold_all(d, is_revoke, talloc_asprintf(d->plan, "%llu revokes, max_revokes is %u", (unsigned long long)revokes, guard->max_revokes));
	else if (revokes >= PERCENT_FLOOR && revokes * 100 > (uint64_t)guard->max_percent * d->plan->in_scope)
		hold_all(d, is_revoke, talloc_asprintf(d->plan, "%llu revokes of %u privileges in scope, max_percent is %u",
						       (unsigned long long)revokes, d->plan->in_scope, guard->max_percent));
}

void guard_protect(struct differ *d)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];

		if (guard_touches_role(c))
			protect_role(d, c, c->role);
		if (c->op == CHANGE_RENAME_ROLE)
			protect_role(d, c, c->other);
		keep_connected(d, c);
	}
}

void guard_apply(struct differ *d)
{
	guard_protect(d);
	budgets(d);
}
