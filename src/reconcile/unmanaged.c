/* SPDX-License-Identifier: PostgreSQL */
/*
 * What is there and no manifest speaks of: roles of the server, schemas of a
 * database. Only listed, so that somebody can ask whose they are; privileges
 * that nobody declared are found by diff_acl.c.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define LISTED_MAX 1000

static void list_name(struct plan *plan, struct name_list *list, const char *name)
{
	if (list->n++ >= LISTED_MAX)
		return;                          /* counted all the same */
	if ((list->listed & (list->listed - 1)) == 0)
		list->v = talloc_realloc(plan, list->v, const char *, list->listed ? list->listed * 2 : 1);
	if (!list->v)
		abort();
	list->v[list->listed++] = name;
}

bool is_ignored(const struct differ *d, name_id role)
{
	const struct guard_settings *guard = d->context->guard;

	for (uint32_t i = 0; i < guard->n_ignored_roles; i++)
		if (glob_match(guard->ignored_roles[i], names_text(d->names, role)))
			return true;
	return false;
}

void list_unmanaged_roles(struct differ *d)
{
	struct name_list *list = &d->plan->unmanaged_roles;

	for (uint32_t i = 0; i < d->server->n_roles; i++) {
		name_id role = d->server->roles[i].name;

		if (desired_names(d->desired, role) || role == d->me || role == d->server->facts.bootstrap || is_protected(d, names_text(d->names, role)) ||
		    is_ignored(d, role))
			continue;
		list_name(d->plan, list, names_text(d->names, role));
	}
	if (list->listed > 1)
		qsort(list->v, list->listed, sizeof *list->v, text_compare);
}

/* Bits by name id: the schemas that a rule, a scope, a wish or the ledger names. Patterns are held against the rest. */
static uint8_t *named_schemas(struct differ *d)
{
	uint8_t *named = talloc_zero_array(d->temporary, uint8_t, names_count(d->names) + 1);
	const struct desired *desired = d->desired;
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(desired, &n);

	if (!named)
		abort();
	for (uint32_t i = 0; i < desired->n_rules; i++) {
		const struct rule *rule = &desired->rules[i];

		named[rule->schema] = 1;
		if (rule->on.kind == OBJECT_SCHEMA && rule->on.name_literal)
			named[names_find(d->names, rule->on.name, strlen(rule->on.name))] = 1;
	}
	for (uint32_t i = 0; i < desired->n_defaults; i++)
		named[desired->defaults[i].schema] = 1;
	for (uint32_t m = 0; m < n; m++) {
		const struct manifest *manifest = manifests[m];

		for (uint32_t i = 0; i < manifest->n_schemas; i++)
			named[names_find(d->names, manifest->schemas[i].name, strlen(manifest->schemas[i].name))] = 1;
		for (uint32_t i = 0; i < manifest->n_row_security; i++)
			named[names_find(d->names, manifest->row_security[i].schema, strlen(manifest->row_security[i].schema))] = 1;
	}
	if (desired->database->migrations.enabled && desired->database->migrations.table_schema)
		named[names_find(d->names, desired->database->migrations.table_schema, strlen(desired->database->migrations.table_schema))] = 1;
	return named;
}

static bool matches_pattern(const struct differ *d, const char *schema)
{
	for (uint32_t i = 0; i < d->desired->n_rules; i++) {
		const struct selector *on = &d->desired->rules[i].on;

		if (on->kind == OBJECT_SCHEMA ? !on->name_literal && glob_match(on->name, schema) :
		    on->schema && !on->schema_literal && glob_match(on->schema, schema))
			return true;
	}
	return false;
}

void list_unmanaged_schemas(struct differ *d)
{
	struct name_list *list = &d->plan->unmanaged_schemas;
	uint8_t *named = named_schemas(d);
	size_t len;

	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0;
		const char *name;

		if (g->kind != OBJECT_SCHEMA || g->in_extension)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			name_id id = names_find(d->names, name, len);
			char *copy;

			if (id && named[id])
				continue;
			copy = talloc_strndup(d->plan, name, len);
			if (strncmp(copy, "pg_", 3) != 0 && strcmp(copy, "information_schema") != 0 && !matches_pattern(d, copy))
				list_name(d->plan, list, copy);
			else
				talloc_free(copy);
		}
	}
	if (list->listed > 1)
		qsort(list->v, list->listed, sizeof *list->v, text_compare);
}
