/* SPDX-License-Identifier: PostgreSQL */
/*
 * Access control lists as grants. An entry is told by whom it is for, what it gives and on which kind of object; where it holds
 * for everything of its kind in a schema, a pattern says so, else every object is named.
 */
#include "reconcile/import_internal.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/selector.h"

/* One sort of entry in one schema, and the groups that have it. */
struct tally {
	enum object_kind kind;
	name_id schema, who;         /* who: NAME_NONE = PUBLIC; of owners the owner */
	privs_t privs;
	bool option, in_extension;
	const char *column;
	uint32_t n;                  /* objects */
	const struct object_group **groups; uint32_t n_groups;
};

struct tallies {
	struct tally *v; uint32_t n;
};

static void count(struct import *im, struct tallies *all, struct tally like, const struct object_group *g)
{
	struct tally *tally = NULL;

	for (uint32_t i = 0; i < all->n && !tally; i++)
		if (all->v[i].kind == like.kind && all->v[i].schema == like.schema && all->v[i].who == like.who && all->v[i].privs == like.privs &&
		    all->v[i].option == like.option && all->v[i].in_extension == g->in_extension && text_same(all->v[i].column, like.column))
			tally = &all->v[i];
	if (!tally) {
		tally = IMPORT_ADD(im, all->v, all->n);
		*tally = like;
		tally->in_extension = g->in_extension;
	}
	tally->n += g->n;
	*IMPORT_ADD(im, tally->groups, tally->n_groups) = g;
}

/* ---- selectors ---- */

static uint32_t objects_of(const struct object_group *groups, uint32_t n, enum object_kind kind, name_id schema)
{
	uint32_t total = 0;

	for (uint32_t i = 0; i < n; i++)
		if (groups[i].kind == kind && groups[i].schema == schema && !groups[i].in_extension)
			total += groups[i].n;
	return total;
}

static struct selector pattern(struct import *im, const struct tally *tally)
{
	return (struct selector){ .kind = tally->kind, .schema = names_text(im->names, tally->schema), .name = "*", .schema_literal = true };
}

/* Without the arguments of a routine. */
static size_t name_len(const struct object_group *g, const char *name, size_t len)
{
	const char *args = g->kind == OBJECT_FUNCTION || g->kind == OBJECT_PROCEDURE ? routine_arguments(name, len) : NULL;

	return args ? (size_t)(args - name) : len;
}

static struct selector literal(struct import *im, const struct object_group *g, const char *name, size_t len)
{
	const enum object_kind kind = g->kind == OBJECT_COLUMN ? OBJECT_TABLE : g->kind;
	const char *args = kind == OBJECT_FUNCTION || kind == OBJECT_PROCEDURE ? routine_arguments(name, len) : NULL;
	struct selector on = { .kind = kind, .schema = g->schema ? names_text(im->names, g->schema) : NULL, .schema_literal = true, .name_literal = true };

	if (g->kind == OBJECT_TABLE && (g->relkind == 'v' || g->relkind == 'm' || g->relkind == 'f'))
		on.relkind = g->relkind;
	on.name = talloc_strndup(im->mem, name, name_len(g, name, len));
	if (args)
		on.args = talloc_strndup(im->mem, args + 1, len - (size_t)(args - name) - 2);
	return on;
}

/* Calls back for one pattern, or for each object. */
static void each_selector(struct import *im, const struct tally *tally, uint32_t total, void (*take)(struct import *, void *, struct selector), void *to)
{
	if (tally->schema && !import_id_fits(im, "what is in schema", tally->schema))
		return;
	/* A group of one object is as short by its name; extensions are outside of patterns. */
	if (object_kind_info(tally->kind)->in_schema && tally->kind != OBJECT_COLUMN && tally->n == total && total > 1 &&
	    !tally->in_extension) {
		take(im, to, pattern(im, tally));
		return;
	}
	for (uint32_t i = 0; i < tally->n_groups; i++) {
		const struct object_group *g = tally->groups[i];
		size_t cursor = 0, len;
		const char *name;

		while ((name = object_group_next(g, &cursor, im->scratch, &len)))
			if (import_name_fits(im, object_kind_info(g->kind)->name, name, name_len(g, name, len)))
				take(im, to, literal(im, g, name, len));
	}
}

/* ---- grants ---- */

static void add_on(struct import *im, void *to, struct selector on)
{
	struct grant_wish *wish = to;

	*IMPORT_ADD(im, wish->on, wish->n_on) = on;
}

static bool same_grant(const struct grant_wish *wish, const struct tally *tally, const char *who)
{
	enum object_kind kind = tally->kind == OBJECT_COLUMN ? OBJECT_TABLE : tally->kind;

	return wish->n_on > 0 && wish->on[0].kind == kind && wish->privs == tally->privs && wish->grant_option == tally->option &&
	       strcmp(wish->to.v[0], who) == 0 && (wish->columns.n ? text_same(wish->columns.v[0], tally->column) : !tally->column);
}

static void grant(struct import *im, const struct tally *tally, uint32_t total)
{
	const char *who = tally->who ? names_text(im->names, tally->who) : "PUBLIC";
	struct grant_wish *wish = NULL;

	for (uint32_t i = 0; i < im->manifest->n_grants && !wish; i++)
		if (same_grant(&im->manifest->grants[i], tally, who))
			wish = &im->manifest->grants[i];
	if (!wish) {
		wish = IMPORT_ADD(im, im->manifest->grants, im->manifest->n_grants);
		import_string(im, &wish->to, who);
		wish->privs = tally->privs;
		wish->grant_option = tally->option;
		if (tally->column)
			import_string(im, &wish->columns, tally->column);
	}
	each_selector(im, tally, total, add_on, wish);
	if (wish->n_on == 0)         /* the last one, of objects that are all left out */
		im->manifest->n_grants--;
}

static privs_t held(const struct acl *acl, name_id who, privs_t *ret_grantable)
{
	privs_t privs = 0, grantable = 0;

	if (acl)
		acl_held(acl, who, &privs, &grantable);
	*ret_grantable = grantable & ~(privs_t)PRIV_UNKNOWN;
	return privs & ~(privs_t)PRIV_UNKNOWN;
}

static void count_grantee(struct import *im, struct tallies *all, const struct object_group *g, name_id who, privs_t usual)
{
	privs_t grantable, privs = held(g->acl, who, &grantable), initial_grantable, initial = held(g->initial, who, &initial_grantable);
	struct tally like = { .kind = g->kind, .schema = g->schema, .who = who, .column = g->kind == OBJECT_COLUMN ? g->column : NULL };

	/* an extension's own baseline, where its script made one */
	if (g->initial ? privs == initial && grantable == initial_grantable : privs == usual && !grantable)
		return;
	like.privs = privs & ~grantable;
	if (like.privs || !privs)
		count(im, all, like, g);
	like.privs = grantable;
	like.option = true;
	if (grantable)
		count(im, all, like, g);
}

static bool seen_before(const struct acl *acl, uint32_t at)
{
	for (uint32_t i = 0; i < at; i++)
		if (acl->v[i].grantee == acl->v[at].grantee)
			return true;
	return false;
}

static void count_group(struct import *im, struct tallies *all, const struct object_group *g)
{
	const struct acl *usual = g->kind == OBJECT_COLUMN ? NULL : acl_default(im->mem, g->kind, g->owner, im->version_num);
	privs_t grantable;

	if (g->kind == OBJECT_COLUMN && !import_name_fits(im, "privileges on column", g->column, strlen(g->column)))
		return;
	if (g->kind != OBJECT_COLUMN || held(g->acl, NAME_NONE, &grantable))
		count_grantee(im, all, g, NAME_NONE, held(usual, NAME_NONE, &grantable));
	for (uint32_t i = 0; i < g->acl->n; i++) {
		name_id who = g->acl->v[i].grantee;

		if (who == NAME_NONE || who == g->owner || seen_before(g->acl, i) || import_role(im, who) == IMPORT_ROLE_NOBODY)
			continue;
		count_grantee(im, all, g, who, 0);
	}
}

void import_grants(struct import *im, const struct object_group *groups, uint32_t n)
{
	struct tallies all = { 0 };

	for (uint32_t i = 0; i < n; i++)
		count_group(im, &all, &groups[i]);
	for (uint32_t i = 0; i < all.n; i++)
		grant(im, &all.v[i], objects_of(groups, n, all.v[i].kind, all.v[i].schema));
}

/* ---- owners ---- */

static void add_owner(struct import *im, void *owner, struct selector on)
{
	*IMPORT_ADD(im, im->manifest->owners, im->manifest->n_owners) = (struct owner_wish){ .on = on, .owner = owner };
}

void import_owners(struct import *im, const struct object_group *groups, uint32_t n)
{
	struct tallies all = { 0 };

	for (uint32_t i = 0; i < n; i++) {
		const struct object_group *g = &groups[i];

		/* a column's is its table's; schemas say theirs; what an extension made is its business */
		if (g->kind == OBJECT_COLUMN || g->kind == OBJECT_SCHEMA || g->in_extension || import_role(im, g->owner) != IMPORT_ROLE_MANAGED)
			continue;
		count(im, &all, (struct tally){ .kind = g->kind, .schema = g->schema, .who = g->owner }, g);
	}
	for (uint32_t i = 0; i < all.n; i++)
		each_selector(im, &all.v[i], objects_of(groups, n, all.v[i].kind, all.v[i].schema), add_owner,
			      (void *)names_text(im->names, all.v[i].who));
}

/* ---- default privileges ---- */

static enum object_kind kind_of(char objtype)
{
	for (int kind = OBJECT_NONE + 1; kind < OBJECT_KINDS; kind++)
		if (object_kind_info((enum object_kind)kind)->default_acl == objtype)
			return (enum object_kind)kind;
	return OBJECT_NONE;
}

static void add_default(struct import *im, const struct default_acl *row, name_id who, privs_t privs, bool option)
{
	struct default_wish *wish = IMPORT_ADD(im, im->manifest->defaults, im->manifest->n_defaults);

	import_string(im, &wish->creators, names_text(im->names, row->role));
	import_string(im, &wish->to, who ? names_text(im->names, who) : "PUBLIC");
	wish->schema = row->schema ? names_text(im->names, row->schema) : NULL;
	wish->objtype = row->objtype;
	wish->privs = privs;
	wish->grant_option = option;
}

static void default_grantee(struct import *im, const struct default_acl *row, name_id who, privs_t usual)
{
	privs_t grantable, privs = held(row->acl, who, &grantable);

	if (privs == usual && !grantable)
		return;
	if ((privs & ~grantable) || !privs)
		add_default(im, row, who, privs & ~grantable, false);
	if (grantable)
		add_default(im, row, who, grantable, true);
}

void import_defaults(struct import *im)
{
	for (uint32_t i = 0; i < im->database->n_default_acls; i++) {
		const struct default_acl *row = &im->database->default_acls[i];
		/* a row for every schema stands in the place of what is built in, one for a schema is added to it */
		const struct acl *usual = row->schema ? NULL : acl_default(im->mem, kind_of(row->objtype), row->role, im->version_num);
		privs_t grantable;

		if (row->schema && !import_id_fits(im, "default privileges in schema", row->schema))
			continue;
		if (import_role(im, row->role) == IMPORT_ROLE_NOBODY) {
			import_note(im, "left out: default privileges of %s, which is not declared here", names_text(im->names, row->role));
			continue;
		}
		default_grantee(im, row, NAME_NONE, held(usual, NAME_NONE, &grantable));
		for (uint32_t k = 0; k < row->acl->n; k++) {
			name_id who = row->acl->v[k].grantee;

			if (who == NAME_NONE || (who == row->role && !row->schema) || seen_before(row->acl, k) || import_role(im, who) == IMPORT_ROLE_NOBODY)
				continue;
			default_grantee(im, row, who, 0);
		}
	}
}
