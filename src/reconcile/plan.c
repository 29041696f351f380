/* SPDX-License-Identifier: PostgreSQL */
/* diff, guard, order, identity: one plan. */
#include "reconcile/plan.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "reconcile/diff.h"
#include "reconcile/inverse.h"

#define UNMANAGED_MAX 1000
#define GROUP_OBJECTS_MAX 1000

static int differ_begin(struct differ *d, void *parent, const struct plan_context *context, struct desired *desired,
			const struct server_state *server, const struct database_state *database)
{
	*d = (struct differ){ .context = context, .desired = desired, .server = server, .database = database, .names = desired->names };
	d->plan = talloc_zero(parent, struct plan);
	d->temporary = talloc_new(NULL);
	if (!d->plan || !d->temporary)
		abort();
	d->plan->names = d->names;
	d->scratch = text_new(d->temporary);
	d->version_num = server->facts.version_num;
	d->me = server->facts.me;
	d->max_unmanaged = UNMANAGED_MAX;
	reach_begin(d);
	retire_begin(d);
	return 0;
}

/* Last in its phase? Among the revokes schemas: whoever still has to take something back there needs USAGE for it. Among the
   owners sequences: one that a column owns follows its table, and is refused alone. */
static bool comes_last(const struct change *c)
{
	return (c->phase == PHASE_REVOKES && c->object_kind == OBJECT_SCHEMA) || (c->phase == PHASE_OWNERS && c->object_kind == OBJECT_SEQUENCE);
}

static int compare_changes(const void *a, const void *b)
{
	const struct change *const *x = a, *const *y = b;

	if ((*x)->phase != (*y)->phase)
		return (*x)->phase < (*y)->phase ? -1 : 1;
	if (comes_last(*x) != comes_last(*y))
		return comes_last(*x) ? 1 : -1;
	return (*x > *y) - (*x < *y);
}

static bool is_privilege_revoke(const struct change *c)
{
	return c->op == CHANGE_REVOKE || c->op == CHANGE_REVOKE_GRANT_OPTION;
}

static bool same_family(enum object_kind a, enum object_kind b)
{
	/* a table's REVOKE reaches its columns' lists too */
	return a == b || (a == OBJECT_COLUMN && b == OBJECT_TABLE);
}

static bool share_an_object(const struct change *a, const struct change *b)
{
	if (a->object_kind == OBJECT_COLUMN && b->object_kind == OBJECT_COLUMN && strcmp(a->column, b->column) != 0)
		return false;
	for (uint32_t i = 0; i < a->n; i++)
		if (change_names_object(b, a->names[i]))
			return true;
	return false;
}

static bool lessens_membership(const struct change *c)
{
	return c->phase == PHASE_REVOKES && (c->op == CHANGE_REVOKE_MEMBERSHIP || c->op == CHANGE_GRANT_MEMBERSHIP);
}

/* Does b take away what a was granted from? Then a must go first (2BP01 otherwise). */
static bool hangs_on(const struct change *a, const struct change *b)
{
	if (lessens_membership(a) && lessens_membership(b))
		return a->grantor != NAME_NONE && a->other == b->other && a->grantor == b->role;
	return is_privilege_revoke(a) && is_privilege_revoke(b) && a->grantor != NAME_NONE && a->grantor == b->role && (a->privs & b->privs) &&
	       same_family(a->object_kind, b->object_kind) && a->schema == b->schema && share_an_object(a, b);
}

/* Revokes along chains of grantors, ends of the chains first. Quadratic, but only over revokes of foreign grants. */
static void sort_chains(const struct change **order, uint32_t n)
{
	uint32_t moves = 0;

	for (uint32_t i = 0; i < n; i++) {
		for (uint32_t j = i + 1; j < n; j++) {
			const struct change *later = order[j];

			/* two that hang on each other both keep a grant of the owner's until later */
			if (!hangs_on(later, order[i]) || hangs_on(order[i], later) || moves++ > n * 8)
				continue;
			memmove(order + i + 1, order + i, (j - i) * sizeof *order);
			order[i] = later;
			j = i;
		}
	}
}

static bool any_foreign(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if ((is_privilege_revoke(&plan->changes[i]) || lessens_membership(&plan->changes[i])) && plan->changes[i].grantor)
			return true;
	return false;
}

/* A transaction touches at most so many objects: from PostgreSQL 18 on GRANT locks each that it names, as OWNER TO always did, and
   there is room for some thousand locks. What is in which piece depends on the names alone. */
static uint32_t pieces_of(const struct change *c)
{
	return c->names && c->n > GROUP_OBJECTS_MAX ? (c->n + GROUP_OBJECTS_MAX - 1) / GROUP_OBJECTS_MAX : 1;
}

static struct change piece_of(const struct change *c, uint32_t piece)
{
	struct change copy = *c;
	uint32_t before = piece * GROUP_OBJECTS_MAX;

	if (pieces_of(c) > 1) {
		copy.names += before;
		copy.n = c->n - before < GROUP_OBJECTS_MAX ? c->n - before : GROUP_OBJECTS_MAX;
	}
	return copy;
}

static void sort_changes(struct plan *plan)
{
	const struct change **order = talloc_array(plan, const struct change *, plan->n_changes + 1);
	uint32_t n_pieces = 0, n = 0;
	struct change *sorted;

	for (uint32_t i = 0; i < plan->n_changes; i++) {
		/* a look gives the members of a group in no order; a plan's id must not depend on it */
		change_sort_names(&plan->changes[i]);
		order[i] = &plan->changes[i];
		n_pieces += pieces_of(order[i]);
	}
	qsort(order, plan->n_changes, sizeof *order, compare_changes);
	if (any_foreign(plan))
		sort_chains(order, plan->n_changes);
	sorted = talloc_array(plan, struct change, n_pieces + 1);
	for (uint32_t i = 0; i < plan->n_changes; i++) {
		if (order[i]->names)
			talloc_steal(sorted, order[i]->names);
		for (uint32_t piece = 0; piece < pieces_of(order[i]); piece++)
			sorted[n++] = piece_of(order[i], piece);
	}
	talloc_free(order);
	talloc_free(plan->changes);
	plan->changes = sorted;
	plan->n_changes = n;
}

/* An undo is approved by an id of its own. */
static bool waits_for_plan(const struct change *c)
{
	return c->state == CHANGE_HELD && c->op != CHANGE_UNDO;
}

static bool anything_waits(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (waits_for_plan(&plan->changes[i]))
			return true;
	return false;
}

/* What one held change would do, and what it assumes to find. */
static char *held_text(struct differ *d, const struct change *c)
{
	struct text *text = text_new(d->temporary);
	struct statements statements;

	change_sql_display(d->temporary, d->plan, c, d->version_num, &statements);
	for (uint32_t s = 0; s < statements.n; s++)
		text_addf(text, "%s;\n", statements.v[s]);
	text_addf(text, "-- from %s\n", c->from ? c->from : "");
	return text->s;
}

/* The identity of what is held: who, where, what, and what it assumes. In which order it was found says nothing: other grants
   on the same tables change how a look groups them. */
static void make_id(struct differ *d)
{
	struct plan *plan = d->plan;
	struct text *all = text_new(d->temporary);
	const char **texts = talloc_array(d->temporary, const char *, plan->n_changes + 1);
	uint32_t n = 0;

	text_addf(all, "%s\n%llu/%u\n", d->context->target, (unsigned long long)d->server->facts.system_identifier,
		  d->database ? d->database->facts.database_oid : 0);
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (waits_for_plan(&plan->changes[i]))
			texts[n++] = held_text(d, &plan->changes[i]);
	qsort(texts, n, sizeof *texts, text_compare);
	for (uint32_t i = 0; i < n; i++)
		text_add(all, texts[i]);
	plan_digest(all->s, all->len, plan->id);
}

static void release_approved(struct differ *d)
{
	if (!d->context->approved || strcmp(d->context->approved, d->plan->id) != 0)
		return;
	for (uint32_t i = 0; i < d->plan->n_changes; i++)
		if (waits_for_plan(&d->plan->changes[i]))
			d->plan->changes[i].state = CHANGE_READY;
}

static void count(struct plan *plan)
{
	plan->ready = plan->held = plan->blocked = 0;
	for (uint32_t i = 0; i < plan->n_changes; i++) {
		const struct change *c = &plan->changes[i];

		plan->drift[c->kind] += c->n;
		plan->drift_objects += c->n;
		if (c->state == CHANGE_READY) {
			plan->ready++;
		} else if (c->state == CHANGE_HELD) {
			plan->held++;
			plan->held_objects += c->n;
			if (!plan->held_reason)
				plan->held_reason = c->reason;
		} else {
			plan->blocked++;
			plan->blocked_objects += c->n;
			plan->blocked_by_kind[c->kind] += c->n;
		}
	}
}

static void differ_end(struct differ *d, struct plan **ret)
{
	undone_hold(d);
	usage_apply(d);
	rights_apply(d);
	guard_event_triggers(d);
	guard_apply(d);
	regrant_with_revokes(d);
	undo_add(d);
	sort_changes(d->plan);
	count(d->plan);
	if (anything_waits(d->plan)) {
		make_id(d);
		release_approved(d);
		d->plan->held_reason = NULL;
		memset(d->plan->drift, 0, sizeof d->plan->drift);
		memset(d->plan->blocked_by_kind, 0, sizeof d->plan->blocked_by_kind);
		d->plan->drift_objects = d->plan->held_objects = d->plan->blocked_objects = 0;
		count(d->plan);
	}
	talloc_free(d->temporary);
	*ret = d->plan;
}

/* Databases beside the other shared objects, as groups of one. */
static struct object_group *shared_objects(struct differ *d, const struct server_state *server, uint32_t *ret_n)
{
	struct object_group *groups = talloc_zero_array(d->temporary, struct object_group, server->n_objects + server->n_databases + 1);
	uint32_t n = server->n_objects;

	if (n)
		memcpy(groups, server->objects, n * sizeof *groups);
	for (uint32_t i = 0; i < server->n_databases; i++) {
		const struct database *db = &server->databases[i];
		const char *name = names_text(d->names, db->name);

		groups[n++] = (struct object_group){ .kind = OBJECT_DATABASE, .owner = db->owner, .acl = db->acl, .n = 1, .names = name,
						     .names_len = strlen(name) };
	}
	*ret_n = n;
	return groups;
}

int plan_server(void *parent, const struct plan_context *context, struct desired *desired, const struct server_state *server,
		struct plan **ret, struct error *err)
{
	struct object_group *shared;
	struct differ d;
	uint32_t n;

	(void)err;
	differ_begin(&d, parent, context, desired, server, NULL);
	d.desired = desired_with_patterns(d.temporary, desired, server);
	diff_roles(&d);
	diff_memberships(&d);
	diff_settings(&d);
	diff_databases(&d);
	diff_create_databases(&d);
	shared = shared_objects(&d, server, &n);
	diff_owners(&d, shared, n);
	diff_grants(&d, shared, n);
	retire_on_server(&d);
	list_unmanaged_roles(&d);
	differ_end(&d, ret);
	return 0;
}

int plan_database(void *parent, const struct plan_context *context, struct desired *desired, const struct server_state *server,
		  const struct database_state *database, struct plan **ret, struct error *err)
{
	struct differ d;

	(void)err;
	differ_begin(&d, parent, context, desired, server, database);
	diff_schemas(&d);
	diff_extensions(&d);
	diff_owners(&d, database->objects, database->n_objects);
	diff_grants(&d, database->objects, database->n_objects);
	diff_columns(&d);
	diff_defaults(&d);
	diff_row_security(&d);
	retire_in_database(&d);
	list_unmanaged_schemas(&d);
	differ_end(&d, ret);
	return 0;
}

/* --- groups -------------------------------------------------------------------------------------------------------- */

/* Changes that belong into one transaction with the one before: everything about one role, one table's row security; grants
   and revokes in bulk. */
static bool belongs(const struct change *a, const struct change *b)
{
	if (a->phase != b->phase)
		return false;
	switch (a->phase) {
	case PHASE_ROLES:
		return a->role == b->role;
	case PHASE_ROW_SECURITY:
		return a->schema == b->schema && strcmp(a->names[0], b->names[0]) == 0;
	case PHASE_GRANTS: case PHASE_REVOKES: case PHASE_DEFAULTS: case PHASE_MEMBERSHIPS: case PHASE_SETTINGS:
		return true;
	default:
		return false;
	}
}

struct group *plan_groups(void *parent, const struct plan *plan, enum change_phase from, enum change_phase to, uint32_t *ret_n)
{
	struct group *groups = talloc_array(parent, struct group, plan->n_changes + 1);
	uint32_t n = 0, objects = 0;
	const struct change *last = NULL;

	for (uint32_t i = 0; i < plan->n_changes; i++) {
		const struct change *c = &plan->changes[i];

		if (c->state != CHANGE_READY || c->phase < from || c->phase > to || c->op == CHANGE_MIGRATE)
			continue;
		if (last && last == c - 1 && belongs(last, c) && objects + c->n <= GROUP_OBJECTS_MAX) {
			groups[n - 1].n++;
			objects += c->n;
		} else {
			groups[n++] = (struct group){ .first = i, .n = 1, .phase = c->phase };
			objects = c->n;
		}
		last = c;
	}
	*ret_n = n;
	return groups;
}
