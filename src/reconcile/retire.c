/* SPDX-License-Identifier: PostgreSQL */
/*
 * Roles declared absent. A role is retired in steps, and each look finds out
 * anew which are left, so that it can be interrupted anywhere:
 *
 *   server      no login any more, its sessions are ended, its databases and tablespaces go to reassign_owned_to
 *   databases   what it owns goes to reassign_owned_to, its privileges and default privileges are revoked one by one
 *   server      dropped, when nothing in any database depends on it
 *
 * The first and the last step are drops to the guard; in between nothing is done while the role can still log in. What
 * the program does not do by itself (hand over without being told to whom, policies that name the role, privileges on
 * the system's own objects, databases that are no targets) is reported with the statement that helps. DROP OWNED and
 * CASCADE are never used: both drop more than was asked for.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/load.h"
#include "model/quote.h"

/* --- who ----------------------------------------------------------------------------------------------------------- */

static bool goes(const struct differ *d, const struct role_wish *wish)
{
	return wish->absent && server_role(d->server, names_put(d->names, wish->name)) != NULL;
}

void retire_begin(struct differ *d)
{
	const struct server_settings *server = d->desired->server;

	for (uint32_t m = 0; m < server->n_all_manifests; m++) {
		const struct manifest *manifest = server->all_manifests[m];

		for (uint32_t i = 0; i < manifest->n_roles; i++) {
			const struct role_wish *wish = &manifest->roles[i];

			if (!goes(d, wish))
				continue;
			d->retiring = talloc_realloc(d->temporary, d->retiring, struct retiring, d->n_retiring + 1);
			if (!d->retiring)
				abort();
			d->retiring[d->n_retiring++] = (struct retiring){
				.role = names_put(d->names, wish->name),
				.heir = wish->reassign_owned_to ? names_put(d->names, wish->reassign_owned_to) : NAME_NONE, .wish = wish };
		}
	}
}

const struct retiring *retiring(const struct differ *d, name_id role)
{
	for (uint32_t i = 0; role != NAME_NONE && i < d->n_retiring; i++)
		if (d->retiring[i].role == role)
			return &d->retiring[i];
	return NULL;
}

bool names_retiring(const struct differ *d, const struct acl *acl)
{
	for (uint32_t i = 0; d->n_retiring && i < acl->n; i++)
		if (retiring(d, acl->v[i].grantee))
			return true;
	return false;
}

static bool can_log_in(const struct differ *d, name_id role)
{
	const struct role *live = server_role(d->server, role);

	return live && (live->attrs & ROLE_LOGIN);
}

/* --- what is left -------------------------------------------------------------------------------------------------- */

static const char *quoted(struct differ *d, name_id role)
{
	struct text *out = text_new(d->plan);

	quote_ident(out, names_text(d->names, role));
	return out->s;
}

static const char *type_words(char type, uint32_t n)
{
	switch (type) {
	case 'o': return n == 1 ? "object that it owns" : "objects that it owns";
	case 'r': return n == 1 ? "policy that names it" : "policies that name it";
	case 'i': return n == 1 ? "initial privilege" : "initial privileges";
	default: return n == 1 ? "object with privileges of it" : "objects with privileges of it";
	}
}

static bool is_target(const struct differ *d, const char *database)
{
	bool match;

	return settings_database(d->desired->server, database, &match) != NULL;
}

/* "in database one: 3 objects that it owns, 2 objects with privileges of it" */
static void text_left(struct text *out, struct differ *d, const struct retiring *r, name_id database)
{
	static const char types[] = "oari";
	const char *comma = "";

	if (database)
		text_addf(out, "%sin database %s: ", out->len ? "; " : "", names_text(d->names, database));
	else
		text_add(out, "of the server: ");
	for (const char *type = types; *type; type++) {
		uint32_t n = 0;

		for (uint32_t i = 0; i < d->server->n_dependencies; i++) {
			const struct role_dependency *dep = &d->server->dependencies[i];

			if (dep->role == r->role && dep->database == database && dep->type == *type)
				n += dep->n;
		}
		if (n)
			text_addf(out, "%s%u %s", comma, n, type_words(*type, n));
		comma = n ? ", " : comma;
	}
}

/* Why the role cannot be dropped yet; NULL when it can. *ret_foreign: a database in the way that is no target, or NULL.
   The rows come sorted by role and database. */
static char *what_is_left(struct differ *d, const struct retiring *r, const char **ret_foreign)
{
	const struct role_dependency *last = NULL;
	struct text *out = NULL;

	*ret_foreign = NULL;
	for (uint32_t i = 0; i < d->server->n_dependencies; i++) {
		const struct role_dependency *dep = &d->server->dependencies[i];

		if (dep->role != r->role || dep->type == 's' || (last && last->database == dep->database))
			continue;
		last = dep;
		if (!out)
			out = text_new(d->plan);
		text_left(out, d, r, dep->database);
		if (dep->database && !is_target(d, names_text(d->names, dep->database)))
			*ret_foreign = names_text(d->names, dep->database);
	}
	return out ? out->s : NULL;
}

static struct change *step(struct differ *d, const struct retiring *r, enum change_op op, enum drift_kind kind, enum change_phase phase)
{
	struct change *change = differ_add(d, op, kind, phase, r->wish->source);

	change->role = r->role;
	change->retires = true;
	return change;
}

/* --- on the server ------------------------------------------------------------------------------------------------- */

static uint32_t sessions(const struct differ *d, name_id role)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < d->server->n_dependencies; i++)
		if (d->server->dependencies[i].role == role && d->server->dependencies[i].type == 's')
			n += d->server->dependencies[i].n;
	return n;
}

static void take_login(struct differ *d, const struct retiring *r)
{
	static const char why[] = "the role would lose its login: the first step of its retirement";
	struct change *change;
	uint32_t n = sessions(d, r->role);

	if (can_log_in(d, r->role)) {
		change = step(d, r, CHANGE_ALTER_ROLE, DRIFT_ROLE, PHASE_ROLES);
		change->attrs_mask = ROLE_LOGIN;
		change->was.attrs = ROLE_LOGIN;
		change->state = CHANGE_HELD;
		change->reason = why;
	}
	if (n == 0)
		return;
	change = step(d, r, CHANGE_END_SESSIONS, DRIFT_ROLE, PHASE_DROPS);
	change->n = n;
	if (can_log_in(d, r->role)) {
		change->state = CHANGE_HELD;
		change->reason = why;
	}
}

static bool owner_planned(const struct differ *d, enum object_kind kind, const char *name)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_OWNER && c->object_kind == kind && strcmp(c->names[0], name) == 0)
			return true;
	}
	return false;
}

/* One database or tablespace to the heir. */
static void hand_over(struct differ *d, const struct retiring *r, enum object_kind kind, const struct acl *acl, const char *name, size_t len)
{
	struct change *change;

	name = talloc_strndup(d->plan, name, len);
	if (owner_planned(d, kind, name))
		return;
	change = step(d, r, r->heir ? CHANGE_OWNER : CHANGE_REASSIGN_OWNED, DRIFT_OWNER, PHASE_OWNERS);
	change->object_kind = kind;
	change->names = talloc_array(d->plan, const char *, 1);
	change->names[0] = name;
	if (r->heir == NAME_NONE) {
		change_block(change, talloc_asprintf(d->plan, "the role is to go and owns %s %s", object_kind_info(kind)->name, name),
			     "say in reassign_owned_to who receives it, or give it another owner");
		return;
	}
	change->role = r->heir;
	change->other = r->role;
	owner_was(change, acl);
	if (can_log_in(d, r->role)) {
		change->state = CHANGE_HELD;
		change->reason = "its owner can still log in: that ends first";
	}
}

static void hand_over_shared(struct differ *d, const struct retiring *r)
{
	for (uint32_t i = 0; i < d->server->n_databases; i++) {
		const char *name = names_text(d->names, d->server->databases[i].name);

		if (d->server->databases[i].owner == r->role)
			hand_over(d, r, OBJECT_DATABASE, d->server->databases[i].acl, name, strlen(name));
	}
	for (uint32_t i = 0; i < d->server->n_objects; i++) {
		const struct object_group *g = &d->server->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_TABLESPACE || g->owner != r->role)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len)))
			hand_over(d, r, g->kind, g->acl, name, len);
	}
}

static void drop(struct differ *d, const struct retiring *r)
{
	struct change *change = step(d, r, CHANGE_DROP_ROLE, DRIFT_ROLE, PHASE_DROPS);
	const char *foreign;
	char *left = what_is_left(d, r, &foreign);

	change->other = r->heir;
	change->state = CHANGE_HELD;
	change->reason = "drops need approval";
	if (!left)
		return;
	change_block(change, talloc_asprintf(d->plan, "waits until nothing depends on the role: %s", left),
		     !foreign ? "see the plans of these databases; what is in none is shared by the server" :
		     talloc_asprintf(d->plan, "database %s is no target: add it to the configuration, or run there: REASSIGN OWNED BY %s TO %s; "
				     "DROP OWNED BY %s", foreign, quoted(d, r->role),
				     r->heir ? quoted(d, r->heir) : "another role", quoted(d, r->role)));
}

/* --- in a database ------------------------------------------------------------------------------------------------- */

static bool revokes_planned(const struct differ *d, name_id role)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if ((c->role == role && (c->op == CHANGE_REVOKE || c->op == CHANGE_DEFAULT_REVOKE || c->op == CHANGE_REVOKE_GRANT_OPTION)) ||
		    ((c->op == CHANGE_DEFAULT_REVOKE || c->op == CHANGE_DEFAULT_GRANT) && c->other == role))
			return true;
	}
	return false;
}

static void reassign(struct differ *d, const struct retiring *r, uint32_t n, const char *objects)
{
	struct change *change = step(d, r, CHANGE_REASSIGN_OWNED, DRIFT_OWNER, PHASE_OWNERS);

	change->n = n;
	change->other = r->heir;
	change->from = objects;
	if (r->heir == NAME_NONE)
		change_block(change, talloc_asprintf(d->plan, "the role is to go and owns %u object%s here (%s%s)", n, n == 1 ? "" : "s", objects,
						     n > 3 ? ", ..." : ""),
			     "say in reassign_owned_to who receives them, or drop them");
}

/* What no change of this plan takes away. */
static void report_rest(struct differ *d, const struct retiring *r, const struct role_dependency *dep)
{
	struct change *change = step(d, r, CHANGE_DROP_ROLE, DRIFT_ROLE, PHASE_DROPS);

	change->n = dep->n ? dep->n : 1;
	change_block(change, talloc_asprintf(d->plan, "%u %s here (%s%s)", dep->n, type_words(dep->type, dep->n), dep->objects ? dep->objects : "?",
					     dep->n > 3 ? ", ..." : ""),
		     dep->type == 'r' ? "change or drop the policies: without the role they would apply to others, or to nobody" :
		     talloc_asprintf(d->plan, "revoke by hand, or when the role owns nothing here any more: DROP OWNED BY %s", quoted(d, r->role)));
}

static void retire_here(struct differ *d, const struct retiring *r)
{
	bool privileges = revokes_planned(d, r->role);
	const char *objects = NULL;
	uint32_t owned = 0;

	for (uint32_t i = 0; i < d->database->n_dependencies; i++) {
		const struct role_dependency *dep = &d->database->dependencies[i];

		if (dep->role != r->role || dep->database != d->database->facts.database)
			continue;
		if (dep->type == 'o' && dep->catalog && strcmp(dep->catalog, "pg_default_acl") == 0)
			continue;                /* revoked, not handed over */
		if (dep->type == 'o') {
			owned += dep->n;
			objects = !objects ? dep->objects : talloc_asprintf(d->plan, "%s, %s", objects, dep->objects ? dep->objects : "?");
		} else if (dep->type == 'r' || ((dep->type == 'a' || dep->type == 'i') && !privileges)) {
			report_rest(d, r, dep);
		}
	}
	if (owned)
		reassign(d, r, owned, objects ? objects : "?");
}

/* Whose login it waits for; NAME_NONE = for nobody's. What a role gives to others by its defaults is part of what it has. */
static name_id waits_for(const struct differ *d, const struct change *c)
{
	name_id role = NAME_NONE;

	if (c->op == CHANGE_REASSIGN_OWNED || c->op == CHANGE_REVOKE || c->op == CHANGE_REVOKE_GRANT_OPTION)
		role = c->role;
	else if (c->op == CHANGE_DEFAULT_REVOKE || c->op == CHANGE_DEFAULT_GRANT)
		role = retiring(d, c->other) ? c->other : c->role;
	return c->state == CHANGE_READY && retiring(d, role) && can_log_in(d, role) ? role : NAME_NONE;
}

/* Nothing is taken from a role that can still log in: that it goes is not decided yet. */
static void wait_for_login(struct differ *d, const char *what_comes_first)
{
	for (uint32_t i = 0; d->n_retiring && i < d->plan->n_changes; i++) {
		struct change *c = &d->plan->changes[i];
		name_id role = waits_for(d, c);

		if (role == NAME_NONE)
			continue;
		c->state = CHANGE_HELD;
		c->reason = talloc_asprintf(d->plan, "role %s can still log in: %s", names_text(d->names, role), what_comes_first);
	}
}

void retire_in_database(struct differ *d)
{
	for (uint32_t i = 0; i < d->n_retiring; i++)
		retire_here(d, &d->retiring[i]);
	wait_for_login(d, talloc_asprintf(d->plan, "its retirement begins with the plan of target %s", d->context->server));
}

void retire_on_server(struct differ *d)
{
	for (uint32_t i = 0; i < d->n_retiring; i++) {
		take_login(d, &d->retiring[i]);
		hand_over_shared(d, &d->retiring[i]);
		drop(d, &d->retiring[i]);
	}
	wait_for_login(d, "that ends first");
}
