/* SPDX-License-Identifier: PostgreSQL */
/*
 * One access control list against the wanted entries. The owner's own entries
 * are never drift; an entry is wanted whoever granted it, and removed as the
 * one who granted it, because a REVOKE of somebody else's grant is a silent
 * no-op.
 *
 * Removing a grant option takes along what was granted from it. Such entries
 * are "doomed": where they are wanted the owner grants them first, and they
 * are removed before what they hang on, so that no REVOKE needs CASCADE.
 */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

#define ENTRIES_FAST 64

/* What happens to one live entry. */
struct fate {
	privs_t remove;              /* the privilege goes */
	privs_t remove_option;       /* only the grant option goes */
	privs_t alone, alone_option; /* the same, of the entry by itself */
	privs_t blocked;             /* of these: would be removed, but somebody out of scope depends on them */
	bool in_scope;
};

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

static bool owners_own(const struct acl_context *c, name_id grantee)
{
	return grantee == c->owner && grantee != NAME_NONE;
}

/* Who must speak so that the entry is the owner's. A superuser's word counts as the owner's; anybody else may be taken for
   another role that he inherits and that holds a grant option (select_best_grantor() of acl.c takes the first), so he says
   who he is. NAME_NONE = no need, or no way. */
static name_id as_owner(struct differ *d, name_id owner)
{
	if (d->server->facts.is_superuser || owner == d->me)
		return NAME_NONE;
	if (d->owner_asked != owner) {
		d->owner_asked = owner;
		d->owner_answer = reaches(d, owner, REACH_SET) ? owner : NAME_NONE;
	}
	return d->owner_answer;
}

/* Grant options that we hold on the object ourselves, by roles that we inherit. */
static privs_t own_options(const struct differ *d, const struct acl *acl)
{
	privs_t options = 0;

	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantable && acl->v[i].grantee && reaches(d, acl->v[i].grantee, REACH_PRIVILEGES))
			options |= acl->v[i].grantable;
	return options;
}

/* What the server would refuse, or take for a grant of somebody else, is said before it is tried. */
static void block_out_of_reach(struct differ *d, const struct acl *acl, const struct acl_context *c, struct change *like)
{
	name_id needed = like->grantor ? like->grantor : role_really(d, c->owner);
	const char *me = names_text(d->names, d->me), *who = names_text(d->names, needed);
	const struct role *role = server_role(d->server, needed);

	if (d->server->facts.is_superuser || c->as_default || like->state == CHANGE_BLOCKED || c->owner == d->me)
		return;
	if (like->grantor ? like->grantor == d->me || reaches(d, like->grantor, REACH_SET) : reaches(d, needed, REACH_PRIVILEGES))
		return;
	if (!like->grantor && like->op == CHANGE_GRANT && (like->privs & ~own_options(d, acl)) == 0)
		return;
	change_block(like, talloc_asprintf(d->plan, "%s cannot act as %s, who %s it", me, who, like->grantor ? "granted" : "owns"),
		     role && (role->attrs & ROLE_SUPERUSER) ? "as a superuser, run the statement once, or give the object another owner" :
		     become_sql(d, "as a superuser, run once: ", needed));
}

/* What the grantee holds from this grantor. */
static privs_t given_by(const struct acl *acl, name_id grantee, name_id grantor)
{
	privs_t privs = 0;

	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantee == grantee && acl->v[i].grantor == grantor)
			privs |= acl->v[i].privs;
	return privs;
}

static void missing(struct differ *d, const struct acl *acl, const struct acl_context *c, const struct fate *fates, const struct wanted *w, acl_emit emit,
		    void *data)
{
	privs_t held = 0, grantable = 0, lacking, lacking_option;
	struct change like = template(c, w->grantee, w->source);

	if (owners_own(c, w->grantee) && !c->as_default)
		return;
	for (uint32_t i = 0; i < acl->n; i++) {
		privs_t gone = fates ? fates[i].remove & ~fates[i].blocked : 0;
		privs_t bare = fates ? fates[i].remove_option & ~fates[i].blocked : 0;

		if (acl->v[i].grantee != w->grantee)
			continue;
		held |= acl->v[i].privs & ~gone;
		grantable |= acl->v[i].grantable & ~(gone | bare);
	}
	lacking_option = w->grantable & ~grantable;
	lacking = w->privs & ~held & ~lacking_option;
	like.op = c->as_default ? CHANGE_DEFAULT_GRANT : CHANGE_GRANT;
	like.phase = c->as_default ? PHASE_DEFAULTS : w->phase;
	if (!c->as_default)
		like.grantor = as_owner(d, c->owner);
	if (lacking) {
		struct change plain = like;

		plain.privs = lacking;
		block_out_of_reach(d, acl, c, &plain);
		emit(data, &plain);
	}
	if (lacking_option) {
		like.privs = lacking_option;
		like.grantable = true;
		like.was.privs = lacking_option & given_by(acl, w->grantee, like.grantor ? like.grantor : c->owner);
		block_out_of_reach(d, acl, c, &like);
		emit(data, &like);
	}
}

/* Extension members keep what their script gave (pg_init_privs) unless something else is declared. */
static privs_t given_initially(const struct acl *initial, name_id grantee)
{
	privs_t privs = 0, grantable;

	if (initial)
		acl_held(initial, grantee, &privs, &grantable);
	return privs;
}

static void list_unmanaged(struct differ *d, const struct acl_context *c, const struct acl_entry *entry, uint32_t objects)
{
	struct plan *plan = d->plan;

	if (plan->n_unmanaged >= d->max_unmanaged || entry->grantee == d->me || is_ignored(d, entry->grantee))
		return;
	plan->unmanaged = talloc_realloc(plan, plan->unmanaged, struct unmanaged, plan->n_unmanaged + 1);
	plan->unmanaged[plan->n_unmanaged++] = (struct unmanaged){
		.grantee = entry->grantee, .grantor = entry->grantor, .kind = c->kind, .relkind = c->relkind, .schema = c->schema,
		.n = objects, .privs = entry->privs,
		.names = c->as_default ? talloc_asprintf(plan, "that %s will create", names_text(d->names, c->creator)) : NULL,
	};
}

/* What was granted before its grantor became a superuser: he speaks as the owner now (select_best_grantor() in acl.c), and the
   owner's REVOKE does not reach it. It would succeed and do nothing, over and over. A member of the owner is asked for his
   own grant options first, so that his word still takes back what he gave. */
static bool owners_voice(const struct differ *d, const struct acl_context *c, const struct acl_entry *entry)
{
	const struct role *grantor = entry->grantor != NAME_NONE && entry->grantor != c->owner ? server_role(d->server, entry->grantor) : NULL;

	return !c->as_default && grantor && (grantor->attrs & ROLE_SUPERUSER);
}

static void block_owners_voice(struct differ *d, const struct acl_context *c, struct change *like)
{
	change_block(like, talloc_asprintf(d->plan, "%s, who granted it, is a superuser now: the server would revoke in the name of the owner %s and "
					   "do nothing", names_text(d->names, like->grantor), names_text(d->names, c->owner)),
		     "take SUPERUSER away from the role for the time of the revoke");
}

/* Somebody whom no manifest names and whom unmanaged_grantees = "revoke" reaches. */
static bool is_stranger(const struct differ *d, name_id grantee)
{
	return grantee != d->me && grantee != d->server->facts.bootstrap && !is_ignored(d, grantee) &&
	       !is_protected(d, names_text(d->names, grantee));
}

/* What is surplus in one entry by itself. */
static struct fate judge(struct differ *d, const struct acl_context *c, const struct acl_entry *entry, const struct wanted *w)
{
	bool goes = !w && retiring(d, entry->grantee);
	privs_t known = ~(privs_t)PRIV_UNKNOWN, initial = goes ? 0 : given_initially(c->initial, entry->grantee);
	struct fate fate = { 0 };

	if (owners_own(c, entry->grantee))
		return fate;
	if (goes || c->everyone)
		fate.in_scope = true;
	else if (!c->exact)
		return fate;
	else if (entry->grantee == NAME_NONE)
		fate.in_scope = c->public_named || w;
	else
		fate.in_scope = w || desired_manages(d->desired, entry->grantee) || (c->revoke_unmanaged && is_stranger(d, entry->grantee));
	if (!fate.in_scope)
		return fate;
	fate.remove = entry->privs & ~(w ? w->privs : initial) & known;
	fate.remove_option = entry->grantable & ~fate.remove & ~(w ? w->grantable : 0) & known;
	if (!w && c->initial && !goes)
		fate.remove_option = 0;
	if (owners_voice(d, c, entry))
		fate.blocked = entry->privs;     /* and what it was granted from stays with it: see spread() */
	return fate;
}

/* Grant options on p that the grantee keeps from other entries. */
static privs_t kept_options(const struct acl *acl, const struct fate *fates, name_id grantee)
{
	privs_t kept = 0;

	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantee == grantee)
			kept |= acl->v[i].grantable & ~((fates[i].remove | fates[i].remove_option) & ~fates[i].blocked);
	return kept;
}

/* Somebody unknown holds these privileges by a grant option of this grantee, so one of his entries has to keep it: the one that
   the owner gave, where there is one, because nothing else has to stay for it. */
static void keep_alive(const struct acl *acl, const struct acl_context *c, struct fate *fates, uint32_t entry, privs_t hanging)
{
	for (uint32_t i = 0; i < acl->n; i++) {
		privs_t gives = acl->v[i].grantable & (fates[i].remove | fates[i].remove_option) & ~fates[i].blocked & hanging;

		if (acl->v[i].grantee != acl->v[entry].grantee || acl->v[i].grantor != c->owner || !gives)
			continue;
		fates[i].blocked |= gives;
		return;
	}
	fates[entry].blocked |= hanging;
}

/* What stays lets go of everything that was to be removed because of it. */
static void begin_again(struct fate *fates, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		fates[i].remove = fates[i].alone;
		fates[i].remove_option = fates[i].alone_option;
	}
}

/* Spreads removal along the chains of grantors until nothing changes. Each beginning has more that is blocked, so it ends. */
static void spread(const struct acl *acl, const struct acl_context *c, struct fate *fates)
{
	bool changed = true;

	for (uint32_t i = 0; i < acl->n; i++) {
		fates[i].alone = fates[i].remove;
		fates[i].alone_option = fates[i].remove_option;
	}
	while (changed) {
		changed = false;
		for (uint32_t i = 0; i < acl->n; i++) {
			const struct acl_entry *entry = &acl->v[i];
			privs_t going = (fates[i].remove | fates[i].remove_option) & entry->grantable & ~fates[i].blocked;
			privs_t lost;

			if (!going || entry->grantee == c->owner)
				continue;
			lost = going & ~kept_options(acl, fates, entry->grantee);
			for (uint32_t j = 0; lost && j < acl->n; j++) {
				privs_t hanging = acl->v[j].privs & lost & ~(fates[j].remove & ~fates[j].blocked);

				if (acl->v[j].grantor != entry->grantee || j == i || !hanging)
					continue;
				if ((fates[j].in_scope || owners_own(c, acl->v[j].grantee)) && !fates[j].blocked) {
					fates[j].remove |= hanging;
					fates[j].remove_option &= ~hanging;
				} else {
					keep_alive(acl, c, fates, i, hanging);
					begin_again(fates, acl->n);
					going = lost = 0;
				}
				changed = true;
			}
		}
	}
}

static privs_t options_of(const struct acl *acl, name_id role)
{
	privs_t options = 0;

	for (uint32_t i = 0; acl && i < acl->n; i++)
		if (acl->v[i].grantee == role)
			options |= acl->v[i].grantable;
	return options;
}

/* A grant can outlive the option that it was made from (GRANT on a column from the table's option, circles). As its grantor
   it cannot be revoked then, and as the owner a REVOKE does nothing. */
static void block_orphan(struct differ *d, const struct acl *acl, const struct acl_context *c, struct change *like)
{
	name_id grantor = like->grantor;

	if (c->as_default || grantor == NAME_NONE || grantor == c->owner || like->state == CHANGE_BLOCKED ||
	    !(like->privs & ~(options_of(acl, grantor) | options_of(c->above, grantor))))
		return;
	change_block(like, talloc_asprintf(d->plan, "%s, who granted it, holds no grant option any more", names_text(d->names, grantor)),
		     talloc_asprintf(d->plan, "as the owner, grant it to %s WITH GRANT OPTION once: then it can be taken back",
				     names_text(d->names, grantor)));
}

static void emit_removal(struct differ *d, const struct acl *acl, const struct acl_context *c, const struct acl_entry *entry, enum change_op op, privs_t privs,
			 privs_t blocked, struct source source, acl_emit emit, void *data)
{
	struct change like = template(c, entry->grantee, source);

	like.op = c->as_default ? CHANGE_DEFAULT_REVOKE : op;
	like.phase = PHASE_REVOKES;
	like.grantor = entry->grantor != c->owner ? entry->grantor : c->as_default ? NAME_NONE : as_owner(d, c->owner);
	like.grantable = op == CHANGE_REVOKE_GRANT_OPTION;
	if (privs & ~blocked) {
		struct change plain = like;

		plain.privs = privs & ~blocked;
		plain.was.options = op == CHANGE_REVOKE ? entry->grantable & plain.privs : 0;
		block_orphan(d, acl, c, &plain);
		block_out_of_reach(d, acl, c, &plain);
		emit(data, &plain);
	}
	if (privs & blocked) {
		like.privs = privs & blocked;
		if (owners_voice(d, c, entry))
			block_owners_voice(d, c, &like);
		else
			change_block(&like, "somebody keeps a privilege that was granted with this one, and no manifest speaks of it",
				     "declare that grant, which the owner makes then, or revoke it by hand");
		emit(data, &like);
	}
}

static void remove_surplus(struct differ *d, const struct acl *acl, const struct acl_context *c, const struct wanted *wanted,
			   uint32_t n_wanted, uint32_t objects, struct fate *fates, acl_emit emit, void *data)
{
	for (uint32_t i = 0; i < acl->n; i++) {
		const struct acl_entry *entry = &acl->v[i];
		const struct wanted *w = find_wanted(wanted, n_wanted, entry->grantee);
		struct source source = w ? w->source : c->scope_source;
		privs_t taken = c->taken ? c->taken[i].privs & ~fates[i].blocked : 0;
		privs_t bared = c->taken ? c->taken[i].options & ~fates[i].blocked : 0;

		if (fates[i].in_scope)
			d->plan->in_scope += objects;
		else if (c->exact && entry->grantee != NAME_NONE && !owners_own(c, entry->grantee))
			list_unmanaged(d, c, entry, objects);
		if (fates[i].remove & ~taken)
			emit_removal(d, acl, c, entry, CHANGE_REVOKE, fates[i].remove & ~taken, fates[i].blocked, source, emit, data);
		if (fates[i].remove_option & ~bared)
			emit_removal(d, acl, c, entry, CHANGE_REVOKE_GRANT_OPTION, fates[i].remove_option & ~bared, fates[i].blocked, source, emit, data);
	}
}

void diff_acl(struct differ *d, const struct acl *acl, const struct acl_context *c, const struct wanted *wanted, uint32_t n_wanted,
	      uint32_t objects, acl_emit emit, void *data)
{
	struct fate fast[ENTRIES_FAST], *fates = NULL;
	bool foreign = false;

	if (c->exact || c->everyone || names_retiring(d, acl)) {
		fates = acl->n <= ENTRIES_FAST ? fast : talloc_array(d->temporary, struct fate, acl->n);
		for (uint32_t i = 0; i < acl->n; i++) {
			fates[i] = judge(d, c, &acl->v[i], find_wanted(wanted, n_wanted, acl->v[i].grantee));
			if (c->taken) {
				fates[i].remove |= c->taken[i].privs;
				fates[i].remove_option |= c->taken[i].options & ~fates[i].remove;
			}
			foreign |= acl->v[i].grantor != c->owner;
		}
		if (foreign)
			spread(acl, c, fates);
	}
	for (uint32_t i = 0; i < n_wanted; i++)
		missing(d, acl, c, fates, &wanted[i], emit, data);
	if (fates)
		remove_surplus(d, acl, c, wanted, n_wanted, objects, fates, emit, data);
	if (fates && fates != fast)
		talloc_free(fates);
}
