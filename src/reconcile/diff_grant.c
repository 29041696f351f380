/* SPDX-License-Identifier: PostgreSQL */
/*
 * Grants on objects. Groups come whole: only where a rule names single objects
 * are the members' names read, and the group is cut into parts that the same
 * rules speak of.
 */
#include "reconcile/diff.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define RULES_MAX 4096               /* rules that may speak of one object */

/* The rules that may speak of a group, and whether any of them reads names. */
struct candidates {
	uint32_t whole[RULES_MAX], n_whole;
	uint32_t named[RULES_MAX], n_named;
};

static void candidates_of(struct differ *d, const struct object_group *g, enum object_kind kind, struct candidates *ret)
{
	const struct desired *desired = d->desired;
	name_id lists[2] = { g->schema, NAME_NONE };

	ret->n_whole = ret->n_named = 0;
	for (int l = 0; l < (g->schema ? 2 : 1); l++) {
		uint32_t n;
		const struct rule_key *key = desired_rules(desired, kind, lists[l], &n);

		for (uint32_t i = 0; i < n; i++) {
			const struct rule *rule = &desired->rules[key[i].rule];

			if (rule->on.relkind && g->relkind && rule->on.relkind != g->relkind)
				continue;
			if (rule->on.schema && !rule->on.schema_literal && !glob_match(rule->on.schema, names_text(d->names, g->schema)))
				continue;
			/* members of extensions are outside patterns: only their exact name reaches them */
			if (g->in_extension && !rule->on.name_literal)
				continue;
			if (rule->whole && ret->n_whole < RULES_MAX)
				ret->whole[ret->n_whole++] = key[i].rule;
			else if (!rule->whole && ret->n_named < RULES_MAX)
				ret->named[ret->n_named++] = key[i].rule;
		}
	}
}

/* What the rules want of one part, added up per grantee. */
struct want_list {
	struct wanted *v;            /* talloc child of the differ's temporary memory */
	uint32_t n;
	bool exact, public_named, revoke_unmanaged;
};

static void want_add(struct differ *d, struct want_list *list, const struct rule *rule, enum object_kind kind)
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
	if (list.n || context.exact)
		diff_acl(d, g->acl, &context, list.v, list.n, objects, emit_objects, &data);
	name_unmanaged(d, n_unmanaged, g, part);
	talloc_free(list.v);
}

static bool excepted(const struct rule *rule, char relkind, const char *schema, const char *name, size_t len)
{
	for (uint32_t i = 0; i < rule->n_except; i++)
		if (selector_matches(&rule->except[i], relkind, schema, name, len))
			return true;
	return false;
}

static bool rule_speaks_of(const struct rule *rule, char relkind, const char *schema, const char *name, size_t len)
{
	return selector_matches(&rule->on, relkind, schema, name, len) && !(rule->n_except && excepted(rule, relkind, schema, name, len));
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

static void diff_by_name(struct differ *d, const struct object_group *g, const struct candidates *c, bool *matched)
{
	void *memory = talloc_new(d->temporary);
	const char *schema = g->schema ? names_text(d->names, g->schema) : NULL, *name;
	struct part *parts = NULL;
	uint32_t n_parts = 0, *hits = talloc_array(memory, uint32_t, c->n_named + 1);
	size_t cursor = 0, len;

	while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
		struct part *part;
		uint32_t n = 0;

		for (uint32_t i = 0; i < c->n_named; i++) {
			if (!rule_speaks_of(&d->desired->rules[c->named[i]], g->relkind, schema, name, len))
				continue;
			hits[n++] = c->named[i];
			matched[c->named[i]] = true;
		}
		/* each schema is in scope by its own name */
		part = part_for(memory, &parts, &n_parts, hits, n, g->kind == OBJECT_SCHEMA);
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

/* Will this plan make the schema that the rule is about? Then its grant simply follows. */
static bool schema_will_be_made(const struct differ *d, const struct rule *rule)
{
	for (uint32_t i = 0; rule->on.kind == OBJECT_SCHEMA && i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_CREATE_SCHEMA && c->state == CHANGE_READY && strcmp(c->name, rule->on.name) == 0)
			return names_text(d->names, rule->grantee)[0] == '\0' || c->role != rule->grantee;
	}
	return false;
}

/* A rule that names one object that is not there. */
static void report_absent(struct differ *d, const bool *matched, bool shared)
{
	for (uint32_t i = 0; i < d->desired->n_rules; i++) {
		const struct rule *rule = &d->desired->rules[i];
		struct change *change;
		char *what;

		if (matched[i] || rule->whole || rule->level || !rule->on.name_literal || rule->on.kind == OBJECT_COLUMN ||
		    object_kind_info(rule->on.kind)->shared != shared || (!rule->privs && !rule->all))
			continue;
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
		if (schema_will_be_made(d, rule))
			continue;
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

void diff_grants(struct differ *d, const struct object_group *groups, uint32_t n)
{
	struct candidates *c = talloc(d->temporary, struct candidates);
	bool *matched = talloc_zero_array(d->temporary, bool, d->desired->n_rules + 1);
	bool shared = d->database == NULL;

	for (uint32_t i = 0; i < n; i++) {
		const struct object_group *g = &groups[i];

		if (g->kind == OBJECT_COLUMN)
			continue;
		candidates_of(d, g, g->kind, c);
		for (uint32_t w = 0; w < c->n_whole; w++)
			matched[c->whole[w]] = true;
		if (c->n_named || (g->kind == OBJECT_SCHEMA && d->desired->n_scopes))
			diff_by_name(d, g, c, matched);
		else if (c->n_whole || (g->schema && desired_scope(d->desired, g->schema)))
			diff_part(d, g, c, NULL);
	}
	report_absent(d, matched, shared);
	talloc_free(matched);
	talloc_free(c);
}

/* --- columns ------------------------------------------------------------------------------------------------------- */

/* One (table, column) that some rule or some live entry speaks of. */
struct column_slot {
	const struct object_group *table, *live;
	struct want_list *want;
	name_id key_table;
	const char *column;
};

struct column_map {
	struct names *keys;          /* "table NUL column" */
	struct column_slot *slots;   /* by id - 1 */
	uint32_t n;
};

static struct column_slot *slot_for(struct differ *d, struct column_map *map, name_id schema, const char *table, size_t table_len,
				    const char *column)
{
	char *key = talloc_asprintf(d->temporary, "%u/%.*s", schema, (int)table_len, table);
	size_t len = strlen(key) + 1 + strlen(column);
	name_id id;

	/* column names are appended after a separator that no name of the catalog can hold unescaped twice */
	key = talloc_asprintf_append(key, "\1%s", column);
	id = names_intern(map->keys, key, len);
	talloc_free(key);
	if (id > map->n) {
		if ((map->n & (map->n - 1)) == 0)
			map->slots = talloc_realloc(d->temporary, map->slots, struct column_slot, map->n ? map->n * 2 : 1);
		memset(&map->slots[map->n], 0, sizeof *map->slots);
		map->n++;
	}
	return &map->slots[id - 1];
}

static void wanted_columns(struct differ *d, struct column_map *map, struct names *tables, struct candidates *c, bool *matched)
{
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		const char *schema, *name;
		size_t cursor = 0, len;

		if (g->kind != OBJECT_TABLE)
			continue;
		candidates_of(d, g, OBJECT_COLUMN, c);
		if (c->n_named == 0)
			continue;
		schema = names_text(d->names, g->schema);
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			for (uint32_t r = 0; r < c->n_named; r++) {
				const struct rule *rule = &d->desired->rules[c->named[r]];
				struct column_slot *slot;

				if (!rule_speaks_of(rule, g->relkind, schema, name, len))
					continue;
				matched[c->named[r]] = true;
				slot = slot_for(d, map, g->schema, name, len, rule->column);
				if (!slot->want)
					slot->want = talloc_zero(d->temporary, struct want_list);
				slot->table = g;
				slot->column = rule->column;
				slot->key_table = names_intern(tables, name, len);
				want_add(d, slot->want, rule, OBJECT_COLUMN);
			}
		}
	}
}

static void live_columns(struct differ *d, struct column_map *map, struct names *tables)
{
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_COLUMN || g->in_extension)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			struct column_slot *slot = slot_for(d, map, g->schema, name, len, g->column);

			slot->live = g;
			slot->column = g->column;
			slot->key_table = names_intern(tables, name, len);
		}
	}
}

struct column_emit {
	struct differ *d;
	const char *table;
	uint32_t n_changes;          /* of the plan before columns were looked at */
	bool after_revokes;
	bool probe;                  /* only find the table revokes that columns forbid */
};

/* A REVOKE on a table takes the same privilege from its columns too (PostgreSQL documentation, REVOKE): what is wanted on
   a column must be granted again after it. */
static privs_t revoked_on_table(const struct differ *d, uint32_t n_changes, const struct object_group *g, const char *table,
				const struct acl_entry *entry)
{
	privs_t revoked = 0;

	for (uint32_t i = 0; i < n_changes; i++) {
		const struct change *change = &d->plan->changes[i];

		if (change->op != CHANGE_REVOKE || change->object_kind != OBJECT_TABLE || change->schema != g->schema ||
		    change->role != entry->grantee || change->state == CHANGE_BLOCKED ||
		    (change->grantor ? change->grantor : g->owner) != entry->grantor)
			continue;
		for (uint32_t k = 0; k < change->n; k++)
			if (strcmp(change->names[k], table) == 0)
				revoked |= change->privs;
	}
	return revoked;
}

/* A column's list forbids what a table's REVOKE would do to it: that table leaves the change and is blocked. */
static void unplan_table_revoke(struct column_emit *e, const struct change *like)
{
	for (uint32_t i = 0; i < e->n_changes; i++) {
		struct change *change = &e->d->plan->changes[i], *alone;

		if (change->op != CHANGE_REVOKE || change->object_kind != OBJECT_TABLE || change->schema != like->schema ||
		    change->role != like->role || change->grantor != like->grantor || !(change->privs & like->privs) ||
		    change->state == CHANGE_BLOCKED)
			continue;
		for (uint32_t k = 0; k < change->n; k++) {
			if (strcmp(change->names[k], e->table) != 0)
				continue;
			if (change->n > 1) {
				change->names[k] = change->names[--change->n];
				alone = differ_add(e->d, CHANGE_REVOKE, DRIFT_GRANT, PHASE_REVOKES, change->source);
				change = &e->d->plan->changes[i];
				*alone = *change;
				alone->n = 1;
				alone->names = talloc_array(e->d->plan, const char *, 1);
				alone->names[0] = talloc_strdup(alone->names, e->table);
			} else {
				alone = change;
			}
			change_block(alone, "a column of the table carries privileges granted on from this one to roles that no manifest names",
				     "revoke those by hand, or declare the roles");
			return;
		}
	}
}

static void emit_column(void *data, const struct change *like)
{
	struct column_emit *e = data;
	struct change copy = *like;

	if (like->op == CHANGE_REVOKE && like->state == CHANGE_BLOCKED)
		unplan_table_revoke(e, like);
	if (e->probe)
		return;
	if (e->after_revokes && copy.op == CHANGE_GRANT)
		copy.phase = PHASE_REVOKES;
	differ_object(e->d, &copy, e->table, strlen(e->table));
}

/* What the plan's table revokes will take along of each entry of a column; NULL when nothing. */
static const privs_t *taken_from_column(struct differ *d, const struct acl *acl, const struct object_group *g, const char *table,
					uint32_t n_changes)
{
	privs_t *taken = NULL;

	for (uint32_t i = 0; i < acl->n; i++) {
		privs_t gone = acl->v[i].privs & revoked_on_table(d, n_changes, g, table, &acl->v[i]);

		if (!gone)
			continue;
		if (!taken)
			taken = talloc_zero_array(d->temporary, privs_t, acl->n);
		taken[i] = gone;
	}
	return taken;
}

static bool table_loses_anything(const struct differ *d, uint32_t n_changes, name_id schema, const char *table)
{
	for (uint32_t i = 0; i < n_changes; i++) {
		const struct change *change = &d->plan->changes[i];

		if (change->op != CHANGE_REVOKE || change->object_kind != OBJECT_TABLE || change->schema != schema)
			continue;
		for (uint32_t k = 0; k < change->n; k++)
			if (strcmp(change->names[k], table) == 0)
				return true;
	}
	return false;
}

static bool has_column_work(const struct differ *d)
{
	bool exact = d->desired->n_scopes > 0;

	for (uint32_t i = 0; i < d->desired->n_rules; i++) {
		if (d->desired->rules[i].on.kind == OBJECT_COLUMN)
			return true;
		exact |= d->desired->rules[i].exact && d->desired->rules[i].on.kind == OBJECT_TABLE;
	}
	if (!exact)
		return false;
	for (uint32_t i = 0; i < d->database->n_objects; i++)
		if (d->database->objects[i].kind == OBJECT_COLUMN)
			return true;
	return false;
}

/* What the rules of a table say of its columns too: they are part of it. */
static void scope_of_table(const struct differ *d, const struct object_group *g, const char *table, struct acl_context *context)
{
	name_id lists[2] = { g->schema, NAME_NONE };

	for (int l = 0; l < 2; l++) {
		uint32_t n;
		const struct rule_key *key = desired_rules(d->desired, OBJECT_TABLE, lists[l], &n);

		for (uint32_t i = 0; i < n; i++) {
			const struct rule *rule = &d->desired->rules[key[i].rule];

			if (!rule_speaks_of(rule, g->relkind, names_text(d->names, g->schema), table, strlen(table)))
				continue;
			context->exact |= rule->exact;
			context->revoke_unmanaged |= rule->exact && rule->revoke_unmanaged;
			context->public_named |= rule->grantee == NAME_NONE;
		}
	}
}

static void report_absent_columns(struct differ *d, const bool *matched)
{
	for (uint32_t i = 0; i < d->desired->n_rules; i++) {
		const struct rule *rule = &d->desired->rules[i];
		struct change *change;

		if (matched[i] || rule->on.kind != OBJECT_COLUMN || !rule->on.name_literal)
			continue;
		change = differ_add(d, CHANGE_GRANT, DRIFT_GRANT, PHASE_GRANTS, rule->source);
		change->role = rule->grantee;
		change->object_kind = OBJECT_COLUMN;
		change->schema = rule->schema;
		change->column = rule->column;
		change->privs = rule->privs;
		change->names = talloc_array(d->plan, const char *, 1);
		change->names[0] = rule->on.name;
		change_block(change, talloc_asprintf(d->plan, "table %s.%s does not exist", rule->on.schema, rule->on.name),
			     "create it (a migration?) or correct the name");
	}
}

static void diff_column_slots(struct differ *d, const struct column_map *map, struct names *tables, uint32_t n_changes, bool probe)
{
	static const struct acl nobody = { .n = 0 };

	for (uint32_t i = 0; i < map->n; i++) {
		const struct column_slot *slot = &map->slots[i];
		const struct object_group *g = slot->live ? slot->live : slot->table;
		const struct scope_schema *scope = desired_scope(d->desired, g->schema);
		struct acl_context context = { .kind = OBJECT_COLUMN, .schema = g->schema, .owner = g->owner, .column = slot->column };
		struct column_emit data = { d, names_text(tables, slot->key_table), n_changes, false, probe };
		const struct acl *acl = slot->live ? slot->live->acl : &nobody;

		context.taken = taken_from_column(d, acl, g, data.table, n_changes);
		data.after_revokes = table_loses_anything(d, n_changes, g->schema, data.table);
		context.exact = scope || (slot->want && slot->want->exact);
		context.revoke_unmanaged = (scope && scope->revoke_unmanaged) || (slot->want && slot->want->revoke_unmanaged);
		context.public_named = slot->want && slot->want->public_named;
		scope_of_table(d, g, data.table, &context);
		diff_acl(d, acl, &context, slot->want ? slot->want->v : NULL, slot->want ? slot->want->n : 0, 1, emit_column, &data);
	}
}

void diff_columns(struct differ *d)
{
	struct column_map map = { .keys = NULL };
	struct candidates *c;
	struct names *tables;
	uint32_t n_changes = d->plan->n_changes;
	bool *matched;

	if (!has_column_work(d))
		return;
	map.keys = names_new(d->temporary);
	tables = names_new(d->temporary);
	c = talloc(d->temporary, struct candidates);
	matched = talloc_zero_array(d->temporary, bool, d->desired->n_rules + 1);
	wanted_columns(d, &map, tables, c, matched);
	live_columns(d, &map, tables);
	if (n_changes) {
		/* what may not be revoked on tables must be known before it is said what tables take from columns */
		uint32_t in_scope = d->plan->in_scope, n_unmanaged = d->plan->n_unmanaged;

		diff_column_slots(d, &map, tables, n_changes, true);
		d->plan->in_scope = in_scope;
		d->plan->n_unmanaged = n_unmanaged;
	}
	diff_column_slots(d, &map, tables, n_changes, false);
	report_absent_columns(d, matched);
}
