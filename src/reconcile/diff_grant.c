/* SPDX-License-Identifier: PostgreSQL */
/*
 * Grants on objects. Groups come whole: only where a rule names single objects
 * are the members' names read, and the group is cut into parts that the same
 * rules speak of.
 */
#include "reconcile/candidates.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

void want_add(struct differ *d, struct want_list *list, const struct rule *rule, enum object_kind kind)
{
	privs_t possible = kind_privileges(kind, d->version_num);
	privs_t privs = (rule->all ? possible : rule->privs & possible);
	struct wanted *w = NULL;

	for (uint32_t i = 0; i < list->n && !w; i++)
		if (list->v[i].grantee == rule->grantee)
			w = &list->v[i];
	if (!w) {
		if ((list->n & (list->n - 1)) == 0)
			list->v = talloc_realloc(d->temporary, list->v, struct wanted, list->n ? list->n * 2 : 1);
		if (!list->v)
			abort();
		w = &list->v[list->n++];
		*w = (struct wanted){ .grantee = rule->grantee, .phase = PHASE_GRANTS, .source = rule->source };
	}
	if (rule->ledger) {
		w->phase = PHASE_SCHEMAS;
		privs |= d->database && !d->database->ledger.exists ? PRIV_CREATE : 0;
	}
	w->privs |= privs;
	if (rule->grantable)
		w->grantable |= privs;
	list->exact |= rule->exact;
	list->revoke_unmanaged |= rule->exact && rule->revoke_unmanaged;
	list->public_named |= rule->grantee == NAME_NONE;
}

/* Members of one group for which the same named rules speak. */
struct part {
	uint32_t *rules, n_rules;
	struct { const char *name; size_t len; } *members;
	uint32_t n;
};

struct emit_data {
	struct differ *d;
	const struct object_group *group;
	const struct part *part;             /* NULL = every member of the group */
};

static void emit_objects(void *data, const struct change *like)
{
	struct emit_data *e = data;
	size_t cursor = 0, len;
	const char *name;

	for (uint32_t i = 0; e->part && i < e->part->n; i++)
		differ_object(e->d, like, e->part->members[i].name, e->part->members[i].len);
	while (!e->part && (name = object_group_next(e->group, &cursor, e->d->scratch, &len)))
		differ_object(e->d, like, name, len);
}

/* Unmanaged entries get the words for what they are about: one name, or a number of them. */
static void name_unmanaged(struct differ *d, uint32_t from, const struct object_group *g, const struct part *part)
{
	uint32_t n = part ? part->n : g->n;
	size_t cursor = 0, len = 0;
	const char *name, *words;

	if (from == d->plan->n_unmanaged)
		return;
	if (part) {
		name = part->members[0].name;
		len = part->members[0].len;
	} else {
		name = object_group_next(g, &cursor, d->scratch, &len);
	}
	words = n == 1 && name ? talloc_strndup(d->plan, name, len) :
		talloc_asprintf(d->plan, "%u %s", n, object_kind_info(g->kind)->plural);
	for (; from < d->plan->n_unmanaged; from++)
		d->plan->unmanaged[from].names = words;
}

static void diff_part(struct differ *d, const struct object_group *g, const struct candidates *c, const struct part *part)
{
	const struct scope_schema *scope = desired_scope(d->desired, g->schema);
	struct want_list list = { .n = 0 };
	struct acl_context context = { .kind = g->kind, .relkind = g->relkind, .schema = g->schema, .owner = g->owner, .initial = g->initial };
	struct emit_data data = { d, g, part };
	uint32_t objects = part ? part->n : g->n, n_unmanaged = d->plan->n_unmanaged;

	for (uint32_t i = 0; i < c->n_whole; i++)
		want_add(d, &list, &d->desired->rules[c->whole[i]], g->kind);
	for (uint32_t i = 0; part && i < part->n_rules; i++)
		want_add(d, &list, &d->desired->rules[part->rules[i]], g->kind);
	context.exact = list.exact || (scope && !g->in_extension && g->schema);
	context.revoke_unmanaged = list.revoke_unmanaged || (scope && g->schema && scope->revoke_unmanaged);
	context.public_named = list.public_named;
	/* a schema itself is in scope when it is named as a whole */
	if (g->kind == OBJECT_SCHEMA && part && !context.exact) {
		scope = desired_scope(d->desired, names_find(d->names, part->members[0].name, part->members[0].len));
		context.exact = scope != NULL;
		context.revoke_unmanaged = scope && scope->revoke_unmanaged;
	}
	if (list.n || context.exact || names_retiring(d, g->acl))
		diff_acl(d, g->acl, &context, list.v, list.n, objects, emit_objects, &data);
	name_unmanaged(d, n_unmanaged, g, part);
	talloc_free(list.v);
}

static struct part *part_for(void *memory, struct part **parts, uint32_t *n_parts, const uint32_t *rules, uint32_t n_rules, bool alone)
{
	struct part *part;

	for (uint32_t i = 0; !alone && i < *n_parts; i++)
		if ((*parts)[i].n_rules == n_rules && (n_rules == 0 || memcmp((*parts)[i].rules, rules, n_rules * sizeof *rules) == 0))
			return &(*parts)[i];
	*parts = talloc_realloc(memory, *parts, struct part, *n_parts + 1);
	if (!*parts)
		abort();
	part = &(*parts)[(*n_parts)++];
	*part = (struct part){ .n_rules = n_rules };
	part->rules = n_rules ? talloc_memdup(memory, rules, n_rules * sizeof *rules) : NULL;
	return part;
}

static void diff_by_name(struct differ *d, const struct object_group *g, struct candidates *c, bool *matched)
{
	void *memory = talloc_new(d->temporary);
	const char *schema = g->schema ? names_text(d->names, g->schema) : NULL, *name;
	struct part *parts = NULL;
	uint32_t n_parts = 0;
	size_t cursor = 0, len;

	while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
		uint32_t n = candidates_hit(d, c, g, schema, name, len);
		struct part *part;

		for (uint32_t i = 0; i < n; i++)
			matched[c->hits[i]] = true;
		/* each schema is in scope by its own name */
		part = part_for(memory, &parts, &n_parts, c->hits, n, g->kind == OBJECT_SCHEMA);
		if ((part->n & (part->n - 1)) == 0)
			part->members = talloc_realloc_size(memory, part->members, sizeof *part->members * (part->n ? part->n * 2 : 1));
		/* a name that had to be unescaped lives in the scratch: keep a copy of those */
		part->members[part->n].name = name == d->scratch->s ? talloc_strndup(memory, name, len) : name;
		part->members[part->n++].len = len;
	}
	for (uint32_t i = 0; i < n_parts; i++)
		diff_part(d, g, c, &parts[i]);
	talloc_free(memory);
}

/* The change that makes the schema which the rule is about; NULL when this plan makes none. */
static const struct change *schema_to_be_made(const struct differ *d, const struct rule *rule)
{
	for (uint32_t i = 0; rule->on.kind == OBJECT_SCHEMA && i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_CREATE_SCHEMA && c->state == CHANGE_READY && strcmp(c->name, rule->on.name) == 0)
			return c;
	}
	return NULL;
}

/* A rule that names one object that is not there. */
static void report_absent(struct differ *d, const bool *matched, bool shared)
{
	for (uint32_t i = 0; i < d->desired->n_rules; i++) {
		const struct rule *rule = &d->desired->rules[i];
		const struct change *schema;
		struct change *change;
		char *what;

		if (matched[i] || rule->whole || rule->level || !rule->on.name_literal || rule->on.kind == OBJECT_COLUMN ||
		    object_kind_info(rule->on.kind)->shared != shared || (!rule->privs && !rule->all) || rule_excepts_itself(rule))
			continue;
		schema = schema_to_be_made(d, rule);
		if (schema && rule->grantee && schema->role == rule->grantee)
			continue;                /* its owner to be */
		what = selector_format(d->plan, &rule->on);
		change = differ_add(d, CHANGE_GRANT, DRIFT_GRANT, PHASE_GRANTS, rule->source);
		change->role = rule->grantee;
		change->object_kind = rule->on.kind;
		change->relkind = rule->on.relkind;
		change->schema = rule->schema;
		change->privs = rule->all ? kind_privileges(rule->on.kind, d->version_num) : rule->privs;
		change->grantable = rule->grantable;
		change->names = talloc_array(d->plan, const char *, 1);
		change->names[0] = rule->on.args ? talloc_asprintf(d->plan, "%s(%s)", rule->on.name, rule->on.args) : rule->on.name;
		if (schema)
			continue;                /* then its grant simply follows */
		/* a parameter without a row in pg_parameter_acl has its default: nobody but the superuser */
		if (rule->on.kind == OBJECT_PARAMETER && d->version_num >= 150000) {
			if (!d->server->facts.is_superuser)
				change_block(change, "only a superuser may grant on a parameter that nobody was granted yet",
					     "as a superuser, run the statement once");
			continue;
		}
		if (rule->on.kind == OBJECT_PARAMETER)
			change_block(change, "parameters can be granted from PostgreSQL 15 on", "remove the grant for this server");
		else
			change_block(change, talloc_asprintf(d->plan, "%s does not exist", what), "create it (a migration?) or correct the name");
	}
}

/* Levels and ALL mean what the server has; a privilege that was written out and is not known there is told. */
static void tell_unknown(struct differ *d)
{
	for (uint32_t i = 0; d->database && i < d->desired->n_rules; i++) {
		const struct rule *rule = &d->desired->rules[i];

		if (rule->all || rule->level || !(rule->privs & PRIV_MAINTAIN) || (kind_privileges(rule->on.kind, d->version_num) & PRIV_MAINTAIN))
			continue;
		differ_warn(d, "MAINTAIN can be granted from PostgreSQL 17 on: it is left out here");
		return;
	}
}

void diff_grants(struct differ *d, const struct object_group *groups, uint32_t n)
{
	struct candidates *c = candidates_new(d);
	bool *matched = talloc_zero_array(d->temporary, bool, d->desired->n_rules + 1);
	bool shared = d->database == NULL;

	for (uint32_t i = 0; i < n; i++) {
		const struct object_group *g = &groups[i];

		if (g->kind == OBJECT_COLUMN)
			continue;
		candidates_of(d, g, g->kind, c);
		for (uint32_t w = 0; w < c->n_whole; w++)
			matched[c->whole[w]] = true;
		if (candidates_named(c) || (g->kind == OBJECT_SCHEMA && d->desired->n_scopes))
			diff_by_name(d, g, c, matched);
		else if (c->n_whole || (g->schema && desired_scope(d->desired, g->schema)) || names_retiring(d, g->acl))
			diff_part(d, g, c, NULL);
	}
	report_absent(d, matched, shared);
	tell_unknown(d);
	talloc_free(matched);
	talloc_free(c);
}
