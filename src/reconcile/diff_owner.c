/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who owns what. An exact name is stronger than a pattern, and what stands first than what comes later: two that speak of one
 * object would give it to each other in turn, in every pass.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

struct asked {
	const struct owner_wish *wish;
	name_id owner;
	bool found, in_extension;    /* in_extension: also, or only, among members of extensions */
};

struct asked_list {
	struct asked *v;
	uint32_t n;
	struct asked **here;         /* those that may be about the group which is looked at */
	uint32_t n_here;
};

/* What belongs to the whole server is asked for by any of its manifests. */
static struct asked_list collect(struct differ *d)
{
	struct asked_list list = { NULL, 0, NULL, 0 };
	uint32_t n, most = 0;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t m = 0; m < n; m++)
		most += manifests[m]->n_owners;
	list.v = talloc_zero_array(d->temporary, struct asked, most + 1);
	list.here = talloc_array(d->temporary, struct asked *, most + 1);
	if (!list.v || !list.here)
		abort();
	for (uint32_t m = 0; m < n; m++) {
		for (uint32_t i = 0; i < manifests[m]->n_owners; i++) {
			const struct owner_wish *wish = &manifests[m]->owners[i];

			if (object_kind_info(wish->on.kind)->shared == (d->database == NULL))
				list.v[list.n++] = (struct asked){ .wish = wish, .owner = names_put(d->names, wish->owner) };
		}
	}
	return list;
}

static bool in_its_schema(const struct selector *on, const char *schema)
{
	if (!on->schema || !schema)
		return !on->schema;
	return on->schema_literal ? strcmp(on->schema, schema) == 0 : glob_match(on->schema, schema);
}

static void choose_for(struct asked_list *list, const struct object_group *g, const char *schema)
{
	list->n_here = 0;
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].wish->on.kind == g->kind && in_its_schema(&list->v[i].wish->on, schema))
			list->here[list->n_here++] = &list->v[i];
}

static const struct asked *strongest(struct asked_list *list, const struct object_group *g, const char *schema, const char *name, size_t len)
{
	struct asked *first = NULL;

	for (uint32_t i = 0; i < list->n_here; i++) {
		struct asked *asked = list->here[i];

		if (!selector_matches(&asked->wish->on, g->relkind, schema, name, len))
			continue;
		asked->found |= !g->in_extension;
		asked->in_extension |= g->in_extension;
		if (!first || (asked->wish->on.name_literal && !first->wish->on.name_literal))
			first = asked;
	}
	return first;
}

/* A column whose list names the new owner loses that as well, and nothing here would give it back. */
static void columns_name_owner(struct differ *d, struct change *c, const char *table, size_t table_len)
{
	for (uint32_t i = 0; c->object_kind == OBJECT_TABLE && i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;
		bool names = false;

		if (g->kind != OBJECT_COLUMN || g->schema != c->schema)
			continue;
		for (uint32_t e = 0; e < g->acl->n; e++)
			names |= g->acl->v[e].grantee == c->role || g->acl->v[e].grantor == c->role;
		while (names && (name = object_group_next(g, &cursor, d->scratch, &len)))
			if (len == table_len && memcmp(name, table, len) == 0)
				c->was.no_inverse = "the new owner held privileges on single columns, which became one with the owner's";
	}
}

static void change_owner(struct differ *d, const struct object_group *g, const struct asked *asked, const char *name, size_t len)
{
	struct change like = { .op = CHANGE_OWNER, .kind = DRIFT_OWNER, .phase = PHASE_OWNERS, .object_kind = g->kind, .relkind = g->relkind,
			       .schema = g->schema, .role = asked->owner, .other = g->owner, .source = asked->wish->source };
	const char *copy = talloc_strndup(d->temporary, name, len);      /* the name may live in the scratch */

	owner_was(&like, g->acl);
	columns_name_owner(d, &like, copy, len);
	differ_object(d, &like, copy, len);
}

/* Do 'databases' or 'schemas' say whose it is? */
static bool said_elsewhere(const struct differ *d, const struct object_group *g, const char *name, size_t len)
{
	name_id id = names_find(d->names, name, len);
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t i = 0; g->kind == OBJECT_DATABASE && i < d->desired->n_databases; i++)
		if (d->desired->databases[i].name == id && d->desired->databases[i].owner)
			return true;
	for (uint32_t m = 0; g->kind == OBJECT_SCHEMA && m < n; m++)
		for (uint32_t i = 0; i < manifests[m]->n_schemas; i++)
			if (manifests[m]->schemas[i].owner && names_find(d->names, manifests[m]->schemas[i].name, strlen(manifests[m]->schemas[i].name)) == id)
				return true;
	return false;
}

static void diff_group(struct differ *d, struct asked_list *list, const struct object_group *g)
{
	const char *schema = g->schema ? names_text(d->names, g->schema) : NULL, *name;
	size_t cursor = 0, len;

	choose_for(list, g, schema);
	while (list->n_here && (name = object_group_next(g, &cursor, d->scratch, &len))) {
		const struct asked *asked = strongest(list, g, schema, name, len);

		if (asked && !g->in_extension && g->owner != asked->owner && !said_elsewhere(d, g, name, len))
			change_owner(d, g, asked, name, len);
	}
}

/* One object that was named and is not there, or is not ours to give. */
static void report_missed(struct differ *d, const struct asked *asked)
{
	const struct selector *on = &asked->wish->on;
	struct change *change;

	if (!on->name_literal || asked->found)
		return;
	change = differ_add(d, CHANGE_OWNER, DRIFT_OWNER, PHASE_OWNERS, asked->wish->source);
	change->object_kind = on->kind;
	change->schema = names_put(d->names, on->schema);
	change->names = talloc_array(d->plan, const char *, 1);
	change->names[0] = on->name;
	change->role = asked->owner;
	if (asked->in_extension)
		change_block(change, talloc_asprintf(d->plan, "%s belongs to an extension, and so does its owner", selector_format(d->plan, on)),
			     "remove it from the manifest");
	else
		change_block(change, talloc_asprintf(d->plan, "%s does not exist", selector_format(d->plan, on)),
			     "create it (a migration?) or correct the name");
}

void diff_owners(struct differ *d, const struct object_group *groups, uint32_t n)
{
	struct asked_list list = collect(d);

	for (uint32_t i = 0; list.n && i < n; i++)
		diff_group(d, &list, &groups[i]);
	for (uint32_t i = 0; i < list.n; i++)
		report_missed(d, &list.v[i]);
}
