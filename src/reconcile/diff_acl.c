/* SPDX-License-Identifier: PostgreSQL */
/*
 * One access control list against the wanted entries. The owner's own entries
 * are never drift; an entry is wanted whoever granted it, and removed as the
 * one who granted it, because a REVOKE of somebody else's grant is a silent
 * no-op.
 */
#include "reconcile/diff.h"

#include <talloc.h>

static const struct wanted *find_wanted(const struct wanted *wanted, uint32_t n, name_id grantee)
{
	for (uint32_t i = 0; i < n; i++)
		if (wanted[i].grantee == grantee)
			return &wanted[i];
	return NULL;
}

static struct change template(const struct acl_context *c, name_id grantee, struct source source)
{
	return (struct change){
		.kind = c->as_default ? DRIFT_DEFAULT_PRIVILEGE : DRIFT_GRANT, .n = 1, .object_kind = c->kind, .relkind = c->relkind,
		.objtype = c->objtype, .schema = c->schema, .column = c->column, .role = grantee, .other = c->creator, .source = source,
	};
}

static void missing(const struct acl *acl, const struct acl_context *c, const struct wanted *w, acl_emit emit, void *data)
{
	privs_t held, grantable, lacking, lacking_option;
	struct change like = template(c, w->grantee, w->source);

	if (w->grantee == c->owner && w->grantee != NAME_NONE && !c->as_default)
		return;
	acl_held(acl, w->grantee, &held, &grantable);
	lacking_option = w->grantable & ~grantable;
	lacking = w->privs & ~held & ~lacking_option;
	like.op = c->as_default ? CHANGE_DEFAULT_GRANT : CHANGE_GRANT;
	like.phase = c->as_default ? PHASE_DEFAULTS : PHASE_GRANTS;
	if (lacking) {
		like.privs = lacking;
		emit(data, &like);
	}
	if (lacking_option) {
		like.privs = lacking_option;
		like.grantable = true;
		emit(data, &like);
	}
}

static bool in_initial(const struct acl *initial, const struct acl_entry *entry)
{
	privs_t privs, grantable;

	if (!initial)
		return false;
	acl_held(initial, entry->grantee, &privs, &grantable);
	return (entry->privs & ~privs) == 0;
}

static void list_unmanaged(struct differ *d, const struct acl_context *c, const struct acl_entry *entry, uint32_t objects)
{
	struct plan *plan = d->plan;

	if (plan->n_unmanaged >= d->max_unmanaged || entry->grantee == d->me)
		return;
	plan->unmanaged = talloc_realloc(plan, plan->unmanaged, struct unmanaged, plan->n_unmanaged + 1);
	plan->unmanaged[plan->n_unmanaged++] = (struct unmanaged){
		.grantee = entry->grantee, .grantor = entry->grantor, .kind = c->kind, .relkind = c->relkind, .schema = c->schema,
		.n = objects, .privs = entry->privs,
	};
}

static void extra(struct differ *d, const struct acl_context *c, const struct acl_entry *entry, const struct wanted *w, acl_emit emit,
		  void *data)
{
	struct change like = template(c, entry->grantee, w ? w->source : c->scope_source);
	privs_t surplus = entry->privs & ~(w ? w->privs : 0) & ~(privs_t)PRIV_UNKNOWN;
	privs_t surplus_option = entry->grantable & ~surplus & ~(w ? w->grantable : 0) & ~(privs_t)PRIV_UNKNOWN;

	like.phase = PHASE_REVOKES;
	if (entry->grantor != c->owner)
		like.grantor = entry->grantor;
	if (surplus) {
		like.op = c->as_default ? CHANGE_DEFAULT_REVOKE : CHANGE_REVOKE;
		like.privs = surplus;
		emit(data, &like);
	}
	if (surplus_option && !c->as_default) {
		like.op = CHANGE_REVOKE_GRANT_OPTION;
		like.privs = surplus_option;
		like.grantable = true;
		emit(data, &like);
	}
	(void)d;
}

void diff_acl(struct differ *d, const struct acl *acl, const struct acl_context *c, const struct wanted *wanted, uint32_t n_wanted,
	      uint32_t objects, acl_emit emit, void *data)
{
	for (uint32_t i = 0; i < n_wanted; i++)
		missing(acl, c, &wanted[i], emit, data);
	if (!c->exact)
		return;
	for (uint32_t i = 0; i < acl->n; i++) {
		const struct acl_entry *entry = &acl->v[i];
		const struct wanted *w = find_wanted(wanted, n_wanted, entry->grantee);
		bool managed = entry->grantee == NAME_NONE ? c->public_named : desired_manages(d->desired, entry->grantee);

		if (entry->grantee == c->owner && entry->grantee != NAME_NONE)
			continue;
		if (!w && in_initial(c->initial, entry))
			continue;
		if (managed || w)
			d->plan->in_scope += objects;
		if (!managed && !w && entry->grantee != NAME_NONE) {
			if (c->revoke_unmanaged)
				extra(d, c, entry, NULL, emit, data);
			else
				list_unmanaged(d, c, entry, objects);
			continue;
		}
		if (managed || w)
			extra(d, c, entry, w, emit, data);
	}
}
