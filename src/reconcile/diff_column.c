/* SPDX-License-Identifier: PostgreSQL */
/*
 * Grants on columns: the wanted ones and the live ones meet in one map by (schema, table, column).
 */
#include "reconcile/candidates.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

/* One (table, column) that some rule or some live entry speaks of. */
struct column_slot {
	const struct object_group *table, *live;
	struct want_list *want;
	bool own_want;               /* want is of this slot alone */
	name_id key_schema, key_table, key_column;
	const char *column;
};

struct column_map {
	struct names *names;         /* of tables and columns */
	struct column_slot *slots;
	uint32_t n;
	uint32_t *index;             /* open addressing by (schema, table, column): slot + 1; 0 = free */
	uint32_t mask;
};

static uint32_t column_hash(name_id schema, name_id table, name_id column)
{
	uint32_t h = schema * 2654435761u ^ table * 2246822519u ^ column * 3266489917u;

	return h ^ h >> 15;
}

static uint32_t *column_place(const struct column_map *map, name_id schema, name_id table, name_id column)
{
	uint32_t i = column_hash(schema, table, column) & map->mask;

	for (; map->index[i]; i = (i + 1) & map->mask) {
		const struct column_slot *slot = &map->slots[map->index[i] - 1];

		if (slot->key_table == table && slot->key_schema == schema && slot->key_column == column)
			break;
	}
	return &map->index[i];
}

static void column_map_grow(struct differ *d, struct column_map *map)
{
	uint32_t room = map->index ? (map->mask + 1) * 2 : 512;

	talloc_free(map->index);
	map->mask = room - 1;
	map->index = talloc_zero_array(d->temporary, uint32_t, room);
	map->slots = talloc_realloc(d->temporary, map->slots, struct column_slot, room / 2);
	if (!map->index || !map->slots)
		abort();
	for (uint32_t i = 0; i < map->n; i++) {
		const struct column_slot *slot = &map->slots[i];

		*column_place(map, slot->key_schema, slot->key_table, slot->key_column) = i + 1;
	}
}

static struct column_slot *slot_for(struct differ *d, struct column_map *map, name_id schema, const char *table, size_t table_len,
				    const char *column)
{
	name_id table_id = names_intern(map->names, table, table_len), column_id = names_put(map->names, column);
	uint32_t *place;

	if (map->n * 2 >= (map->index ? map->mask : 0))
		column_map_grow(d, map);
	place = column_place(map, schema, table_id, column_id);
	if (!*place) {
		map->slots[map->n++] = (struct column_slot){ .key_schema = schema, .key_table = table_id, .key_column = column_id };
		*place = map->n;
	}
	return &map->slots[*place - 1];
}

/* Most columns are spoken of by one rule: they share its list, which is copied when another rule adds to it. */
static void want_column(struct differ *d, struct column_slot *slot, struct want_list **by_rule, uint32_t rule)
{
	const struct want_list *shared = slot->want;

	if (!shared) {
		if (!by_rule[rule]) {
			by_rule[rule] = talloc_zero(d->temporary, struct want_list);
			want_add(d, by_rule[rule], &d->desired->rules[rule], OBJECT_COLUMN);
		}
		slot->want = by_rule[rule];
		return;
	}
	if (!slot->own_want) {
		slot->want = talloc_memdup(d->temporary, shared, sizeof *shared);
		slot->want->v = talloc_memdup(d->temporary, shared->v, shared->n * sizeof *shared->v);
		slot->own_want = true;
	}
	want_add(d, slot->want, &d->desired->rules[rule], OBJECT_COLUMN);
}

static void wanted_columns(struct differ *d, struct column_map *map, struct candidates *c, bool *matched)
{
	struct want_list **by_rule = talloc_zero_array(d->temporary, struct want_list *, d->desired->n_rules + 1);

	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		const char *schema, *name;
		size_t cursor = 0, len;

		if (g->kind != OBJECT_TABLE)
			continue;
		candidates_of(d, g, OBJECT_COLUMN, c);
		if (!candidates_named(c))
			continue;
		schema = names_text(d->names, g->schema);
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			uint32_t n = candidates_hit(d, c, g, schema, name, len);

			for (uint32_t r = 0; r < n; r++) {
				const char *column = d->desired->rules[c->hits[r]].column;
				struct column_slot *slot = slot_for(d, map, g->schema, name, len, column);

				matched[c->hits[r]] = true;
				slot->table = g;
				slot->column = column;
				want_column(d, slot, by_rule, c->hits[r]);
			}
		}
	}
}

/* Members of extensions only where a rule names them. */
static bool is_spoken_of(const struct column_map *map, const struct object_group *g, const char *table, size_t table_len)
{
	name_id table_id = names_find(map->names, table, table_len), column_id = names_find(map->names, g->column, strlen(g->column));

	return map->n && table_id && column_id && *column_place(map, g->schema, table_id, column_id);
}

static void live_columns(struct differ *d, struct column_map *map)
{
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_COLUMN)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			struct column_slot *slot;

			if (g->in_extension && !is_spoken_of(map, g, name, len))
				continue;
			slot = slot_for(d, map, g->schema, name, len, g->column);
			slot->live = g;
			slot->column = g->column;
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

static bool revokes_on_table(const struct change *change)
{
	return (change->op == CHANGE_REVOKE || change->op == CHANGE_REVOKE_GRANT_OPTION) && change->object_kind == OBJECT_TABLE;
}

/* For the way back: the column's privilege comes with the table's. */
static void note_taken(struct differ *d, struct change *change, const char *column, const char *table, const struct acl_entry *entry)
{
	struct column_taken taken = { .table = table, .column = column, .options = change->privs & entry->grantable };
	uint32_t n = change->was.n_columns;

	taken.privs = change->op == CHANGE_REVOKE ? change->privs & entry->privs : taken.options;
	if (!taken.privs)
		return;
	if ((n & (n - 1)) == 0)
		change->was.columns = talloc_realloc(d->plan, change->was.columns, struct column_taken, n ? n * 2 : 1);
	if (!change->was.columns)
		abort();
	change->was.columns[change->was.n_columns++] = taken;
}

/* A REVOKE on a table takes the same privilege, or its grant option, from the columns too (PostgreSQL documentation, REVOKE):
   what is wanted on a column must be granted again after it. */
static struct taken revoked_on_table(struct differ *d, uint32_t n_changes, const struct object_group *g, const char *table,
				     const char *column, const struct acl_entry *entry, bool note)
{
	struct taken revoked = { 0 };

	for (uint32_t i = 0; i < n_changes; i++) {
		struct change *change = &d->plan->changes[i];

		if (!revokes_on_table(change) || change->schema != g->schema || change->role != entry->grantee ||
		    change->state == CHANGE_BLOCKED || (change->grantor ? change->grantor : g->owner) != entry->grantor)
			continue;
		for (uint32_t k = 0; k < change->n; k++) {
			if (strcmp(change->names[k], table) != 0)
				continue;
			if (change->op == CHANGE_REVOKE)
				revoked.privs |= change->privs & entry->privs;
			else
				revoked.options |= change->privs & entry->grantable;
			if (note)
				note_taken(d, change, column, change->names[k], entry);
		}
	}
	revoked.options &= ~revoked.privs;
	return revoked;
}

/* The other privileges of a change of one table, as a change of their own. Returns the first one's new address. */
static struct change *split_off_rest(struct differ *d, struct change *alone, privs_t blocked)
{
	size_t at = (size_t)(alone - d->plan->changes);
	struct change *rest;

	if (!(alone->privs & ~blocked))
		return alone;
	rest = differ_add(d, CHANGE_REVOKE, DRIFT_GRANT, PHASE_REVOKES, alone->source);
	alone = &d->plan->changes[at];
	*rest = *alone;
	rest->privs &= ~blocked;
	rest->names = talloc_array(d->plan, const char *, 1);
	rest->names[0] = talloc_strdup(rest->names, alone->names[0]);
	alone->privs &= blocked;
	return alone;
}

/* A column's list forbids what a table's REVOKE, even of the grant option alone, would do to it: that privilege of the table
   leaves the change, blocked. */
static void unplan_table_revoke(struct column_emit *e, const struct change *like)
{
	for (uint32_t i = 0; i < e->n_changes; i++) {
		struct change *change = &e->d->plan->changes[i], *alone;

		if (!revokes_on_table(change) || change->schema != like->schema || change->role != like->role ||
		    change->grantor != like->grantor || !(change->privs & like->privs) || change->state == CHANGE_BLOCKED)
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
			alone = split_off_rest(e->d, alone, like->privs);
			change_block(alone, "a column of the table carries privileges granted on from this one to roles that no manifest names",
				     "revoke those by hand, or declare the roles");
			break;
		}
	}
}

static void emit_column(void *data, const struct change *like)
{
	struct column_emit *e = data;
	struct change copy = *like;

	if (like->state == CHANGE_BLOCKED && (like->op == CHANGE_REVOKE || like->op == CHANGE_REVOKE_GRANT_OPTION))
		unplan_table_revoke(e, like);
	if (e->probe)
		return;
	if (e->after_revokes && copy.op == CHANGE_GRANT)
		copy.phase = PHASE_REVOKES;
	differ_object(e->d, &copy, e->table, strlen(e->table));
}

/* What the plan's table revokes will take along of each entry of a column; NULL when nothing. */
static const struct taken *taken_from_column(struct differ *d, const struct acl *acl, const struct object_group *g, const char *table,
					     const char *column, uint32_t n_changes, bool note)
{
	struct taken *taken = NULL;

	for (uint32_t i = 0; i < acl->n; i++) {
		struct taken gone = revoked_on_table(d, n_changes, g, table, column, &acl->v[i], note);

		if (!gone.privs && !gone.options)
			continue;
		if (!taken)
			taken = talloc_zero_array(d->temporary, struct taken, acl->n);
		taken[i] = gone;
	}
	return taken;
}

static bool table_loses_anything(const struct differ *d, uint32_t n_changes, name_id schema, const char *table)
{
	for (uint32_t i = 0; i < n_changes; i++) {
		const struct change *change = &d->plan->changes[i];

		if (!revokes_on_table(change) || change->schema != schema)
			continue;
		for (uint32_t k = 0; k < change->n; k++)
			if (strcmp(change->names[k], table) == 0)
				return true;
	}
	return false;
}

static bool has_column_work(const struct differ *d)
{
	bool exact = d->desired->n_scopes > 0 || d->n_retiring > 0;

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

			if ((g->in_extension && !rule->on.name_literal) ||
			    !rule_speaks_of(rule, g->relkind, names_text(d->names, g->schema), table, strlen(table)))
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

		if (matched[i] || rule->on.kind != OBJECT_COLUMN || !rule->on.name_literal || (!rule->privs && !rule->all) ||
		    rule_excepts_itself(rule))
			continue;
		change = differ_add(d, CHANGE_GRANT, DRIFT_GRANT, PHASE_GRANTS, rule->source);
		change->role = rule->grantee;
		change->object_kind = OBJECT_COLUMN;
		change->schema = rule->schema;
		change->column = rule->column;
		change->privs = rule->all ? kind_privileges(OBJECT_COLUMN, d->version_num) : rule->privs;
		change->names = talloc_array(d->plan, const char *, 1);
		change->names[0] = rule->on.name;
		change_block(change, talloc_asprintf(d->plan, "table %s.%s does not exist", rule->on.schema, rule->on.name),
			     "create it (a migration?) or correct the name");
	}
}

/* The list of the column's table, looked for only where somebody else than the owner granted on the column. */
static const struct acl *acl_above(struct differ *d, const struct object_group *g, const struct acl *acl, const char *table)
{
	bool foreign = false;

	for (uint32_t i = 0; i < acl->n; i++)
		foreign |= acl->v[i].grantor != g->owner;
	for (uint32_t i = 0; foreign && i < d->database->n_objects; i++) {
		const struct object_group *t = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if ((t->kind != OBJECT_TABLE && t->kind != OBJECT_SEQUENCE) || t->schema != g->schema || t->owner != g->owner)
			continue;
		while ((name = object_group_next(t, &cursor, d->scratch, &len)))
			if (strlen(table) == len && memcmp(name, table, len) == 0)
				return t->acl;
	}
	return NULL;
}

static void diff_column_slots(struct differ *d, const struct column_map *map, uint32_t n_changes, bool probe)
{
	static const struct acl nobody = { .n = 0 };

	for (uint32_t i = 0; i < map->n; i++) {
		const struct column_slot *slot = &map->slots[i];
		const struct object_group *g = slot->live ? slot->live : slot->table;
		const struct scope_schema *scope = g->in_extension ? NULL : desired_scope(d->desired, g->schema);
		struct acl_context context = { .kind = OBJECT_COLUMN, .schema = g->schema, .owner = g->owner, .column = slot->column,
					       .initial = slot->live ? slot->live->initial : NULL };
		uint32_t known = probe ? d->plan->n_changes : n_changes;      /* a probe may split changes */
		struct column_emit data = { d, names_text(map->names, slot->key_table), known, false, probe };
		const struct acl *acl = slot->live ? slot->live->acl : &nobody;
		uint32_t n_unmanaged = d->plan->n_unmanaged;

		context.above = acl_above(d, g, acl, data.table);
		context.taken = taken_from_column(d, acl, g, data.table, slot->column, known, !probe);
		data.after_revokes = table_loses_anything(d, known, g->schema, data.table);
		context.exact = scope || (slot->want && slot->want->exact);
		context.revoke_unmanaged = (scope && scope->revoke_unmanaged) || (slot->want && slot->want->revoke_unmanaged);
		context.public_named = slot->want && slot->want->public_named;
		scope_of_table(d, g, data.table, &context);
		diff_acl(d, acl, &context, slot->want ? slot->want->v : NULL, slot->want ? slot->want->n : 0, 1, emit_column, &data);
		for (; n_unmanaged < d->plan->n_unmanaged; n_unmanaged++)
			d->plan->unmanaged[n_unmanaged].names = talloc_asprintf(d->plan, "%s of table %s", slot->column, data.table);
	}
}

/* Only table revokes reach columns: without one the plan so far does not matter to them. */
static bool revokes_on_tables(const struct differ *d)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++)
		if (revokes_on_table(&d->plan->changes[i]))
			return true;
	return false;
}

void diff_columns(struct differ *d)
{
	uint32_t n_changes = revokes_on_tables(d) ? d->plan->n_changes : 0;
	struct column_map map = { .n = 0 };
	struct candidates *c;
	bool *matched;

	if (!has_column_work(d))
		return;
	map.names = names_new(d->temporary);
	c = candidates_new(d);
	matched = talloc_zero_array(d->temporary, bool, d->desired->n_rules + 1);
	wanted_columns(d, &map, c, matched);
	live_columns(d, &map);
	if (n_changes) {
		/* what may not be revoked on tables must be known before it is said what tables take from columns */
		uint32_t in_scope = d->plan->in_scope, n_unmanaged = d->plan->n_unmanaged;

		diff_column_slots(d, &map, n_changes, true);
		d->plan->in_scope = in_scope;
		d->plan->n_unmanaged = n_unmanaged;
		n_changes = d->plan->n_changes;      /* some were split */
	}
	diff_column_slots(d, &map, n_changes, false);
	report_absent_columns(d, matched);
}
