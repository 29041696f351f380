/* SPDX-License-Identifier: PostgreSQL */
/*
 * Row security: the two flags of a table and its policies. A policy whose
 * expressions read back differently is reported and held, never rewritten by
 * itself: the server prints a deparse of the parsed tree, so text that differs
 * need not mean another policy.
 */
#include "reconcile/diff.h"

#include <pg_query.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

/* The group of the relation; NULL when there is none of that name. */
static const struct object_group *find_relation(struct differ *d, const char *schema, const char *table)
{
	name_id id = names_find(d->names, schema, strlen(schema));
	size_t want_len = strlen(table), len;
	const char *name;

	for (uint32_t i = 0; id && i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0;

		if (g->kind != OBJECT_TABLE || g->schema != id)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len)))
			if (len == want_len && memcmp(name, table, len) == 0)
				return g;
	}
	return NULL;
}

static struct change *policy_change(struct differ *d, enum change_op op, const struct row_security_wish *wish,
				    const struct policy_wish *policy)
{
	struct change *change = differ_add(d, op, DRIFT_ROW_SECURITY, PHASE_ROW_SECURITY, policy ? policy->source : wish->source);

	change->object_kind = OBJECT_TABLE;
	change->schema = names_put(d->names, wish->schema);
	change->names = talloc_array(d->plan, const char *, 1);
	change->names[0] = wish->table;
	if (policy) {
		change->name = policy->name;
		change->command = policy->command;
		change->permissive = policy->permissive;
		change->value = policy->using_expr;
		change->extra = policy->check_expr;
	}
	return change;
}

static void hold_policy(struct change *change, const char *reason)
{
	change->state = CHANGE_HELD;
	change->reason = reason;
}

/* Whether some policy of the table that is wanted cannot be made now; the changes about it begin at `first`. */
static bool lacks_policies(const struct differ *d, uint32_t first)
{
	for (uint32_t i = first; i < d->plan->n_changes; i++)
		if (d->plan->changes[i].op == CHANGE_CREATE_POLICY && d->plan->changes[i].state != CHANGE_READY)
			return true;
	return false;
}

static void want_flags(struct differ *d, const struct row_security_wish *wish, const struct object_group *g, uint32_t first)
{
	bool enable = wish->has_enable && wish->enable != g->row_security;
	bool force = wish->has_force && wish->force != g->force_row_security;
	struct change *change;

	if (!enable && !force)
		return;
	change = policy_change(d, CHANGE_ROW_SECURITY, wish, NULL);
	change->has_enable = enable;
	change->enable = wish->enable;
	change->has_force = force;
	change->force = wish->force;
	/* enabling comes after the policies, disabling before: an enabled table without policies shows nobody anything */
	if ((enable && !wish->enable) || (force && !wish->force))
		hold_policy(change, "row security would be weakened");
	else if (lacks_policies(d, first))
		change_block(change, "not all of its policies can be made, and without them nobody would see the rows",
			     "see what blocks the policies of this table");
}

/* The expression as the parser understands it, printed again: blanks, case, parentheses that change nothing are gone,
   precedence stays exact. The text itself when it cannot be parsed. */
static const char *normalised(void *parent, const char *expr)
{
	/* a newline before the end, so that a trailing comment ends */
	PgQueryProtobufParseResult parsed = pg_query_parse_protobuf(talloc_asprintf(parent, "SELECT 1 WHERE %s\n", expr));
	const char *result = expr;
	char *copy;

	if (!parsed.error) {
		PgQueryDeparseResult printed = pg_query_deparse_protobuf(parsed.parse_tree);

		if (!printed.error)
			result = talloc_strdup(parent, printed.query);
		pg_query_free_deparse_result(printed);
	}
	pg_query_free_protobuf_parse_result(parsed);
	/* literals are read back with their type: 'twitch'::text */
	copy = talloc_strdup(parent, result);
	for (char *cast; (cast = strstr(copy, "'::text")) != NULL;)
		memmove(cast + 1, cast + 7, strlen(cast + 7) + 1);
	return copy;
}

/* What cannot be shown to the server, for example because of what a table's owner wrote into a policy. */
static bool is_trapped(void *memory, const char *wanted, const char *live)
{
	return expression_trap(memory, wanted) || expression_trap(memory, live);
}

static bool parsed_alike(void *memory, const char *wanted, const char *live)
{
	return strcmp(wanted, live) == 0 || strcmp(normalised(memory, wanted), normalised(memory, live)) == 0;
}

/* An absent expression is told apart before. */
static enum expression_state compare_expressions(struct differ *d, const struct row_security_wish *wish, const char *wanted,
						 const char *live, const char **ret_reason)
{
	if (!wanted || !live)
		return wanted == live ? EXPRESSION_SAME : EXPRESSION_DIFFERS;
	if (parsed_alike(d->temporary, wanted, live))
		return EXPRESSION_SAME;
	if (is_trapped(d->temporary, wanted, live)) {
		*ret_reason = "a literal in it may be of a type of somebody else, whose code would run with the rights of dbreconcile";
		return EXPRESSION_UNKNOWN;
	}
	if (!d->context->expression)
		return EXPRESSION_UNKNOWN;
	return d->context->expression(d->context->expression_data, wish->schema, wish->table, wanted, live, ret_reason);
}

static bool same_roles(struct differ *d, const struct strings *to, const char *live)
{
	const char **wanted = talloc_array(d->temporary, const char *, to->n + 1);
	uint32_t n = to->n ? to->n : 1, seen = 0;
	size_t cursor = 0, len;
	const char *name;

	wanted[0] = "PUBLIC";
	for (uint32_t i = 0; i < to->n; i++)
		wanted[i] = to->v[i];
	qsort(wanted, n, sizeof *wanted, text_compare);
	while ((name = array_next(live, strlen(live), &cursor, d->scratch, &len))) {
		char *copy = talloc_strndup(d->temporary, name, len);

		if (!bsearch(&copy, wanted, n, sizeof *wanted, text_compare))
			return false;
		seen++;
	}
	return seen == n;
}

static const char *roles_sql(struct differ *d, const struct strings *to)
{
	struct text *out = text_new(d->plan);

	for (uint32_t i = 0; i < to->n; i++) {
		text_add(out, i ? ", " : "");
		if (strcmp(to->v[i], "PUBLIC") == 0)
			text_add(out, "PUBLIC");
		else
			quote_ident(out, to->v[i]);
	}
	return to->n ? out->s : "PUBLIC";
}

/* A role that the policy names and that is neither there nor about to be made, as rights.c has it for the roles of other changes;
   NULL when there is none. */
static const char *unknown_role(const struct differ *d, const struct strings *to)
{
	for (uint32_t i = 0; i < to->n; i++) {
		name_id role = names_find(d->names, to->v[i], strlen(to->v[i]));

		if (strcmp(to->v[i], "PUBLIC") == 0 || (role && server_role(d->server, role)))
			continue;
		if (d->context->applies || !role || !desired_manages(d->desired, role))
			return to->v[i];
	}
	return NULL;
}

static void block_unknown_roles(struct differ *d, const struct policy_wish *policy, struct change *change)
{
	const char *role = unknown_role(d, &policy->to);

	if (role && desired_manages(d->desired, names_find(d->names, role, strlen(role))))
		change_block(change, talloc_asprintf(d->plan, "role %s does not exist yet", role),
			     talloc_asprintf(d->plan, "see the plan of target %s", d->context->server));
	else if (role)
		change_block(change, talloc_asprintf(d->plan, "role %s does not exist on this server", role),
			     "declare it in 'roles', or create it where it comes from");
}

static void block_trap(struct differ *d, const struct policy_wish *policy, struct change *change)
{
	const char *trap = expression_trap(d->plan, policy->using_expr);

	if (!trap)
		trap = expression_trap(d->plan, policy->check_expr);
	if (trap)
		change_block(change, talloc_asprintf(d->plan, "the literal %s may be of a type of somebody else, whose code would run with the rights of "
						     "dbreconcile", trap),
			     "say its type, as in '{a,b}'::text[], when it is one of PostgreSQL's own; of another type write ARRAY['a', 'b']::app.t[] or "
			     "ROW('a', 'b')::app.t");
}

/* Its roles as they come in an array; pg_get_expr() of the look wrote the expressions with every name qualified. */
static const char *live_roles_sql(struct differ *d, const char *live)
{
	struct text *out = text_new(d->plan);
	size_t cursor = 0, len;
	const char *name;

	while ((name = array_next(live, strlen(live), &cursor, d->scratch, &len))) {
		text_add(out, out->len ? ", " : "");
		if (len == 6 && memcmp(name, "PUBLIC", 6) == 0)
			text_add(out, "PUBLIC");
		else
			quote_ident_len(out, name, len);
	}
	return out->len ? out->s : "PUBLIC";
}

static void was_policy(struct differ *d, struct change *change, const struct policy *live)
{
	struct change *was = talloc_memdup(d->plan, change, sizeof *change);

	was->op = CHANGE_CREATE_POLICY;
	was->command = live->command;
	was->permissive = live->permissive;
	was->value = live->using_expr;
	was->extra = live->check_expr;
	was->roles = live_roles_sql(d, live->roles);
	change->was.policy = was;
	change->was.comment = live->comment;
	/* somebody else wrote these expressions: to make them again is to have them parsed as us */
	if (expression_trap(d->plan, live->using_expr) || expression_trap(d->plan, live->check_expr))
		change->was.no_inverse = "the policy before it has a literal whose type may be of somebody else: its code would run with the rights "
					 "of dbreconcile";
}

static void want_policy(struct differ *d, const struct row_security_wish *wish, const struct policy_wish *policy, const struct policy *live)
{
	enum expression_state using_state, check_state;
	const char *reason = NULL;
	struct change *change;

	if (policy->ensure == ENSURE_ABSENT) {
		if (!live)
			return;
		change = policy_change(d, CHANGE_DROP_POLICY, wish, policy);
		was_policy(d, change, live);
		hold_policy(change, "dropping a policy changes who sees which rows");
		return;
	}
	if (!live) {
		change = policy_change(d, CHANGE_CREATE_POLICY, wish, policy);
		change->roles = roles_sql(d, &policy->to);
		block_unknown_roles(d, policy, change);
		block_trap(d, policy, change);
		return;
	}
	if (live->command != policy->command || live->permissive != policy->permissive ||
	    (live->using_expr && !policy->using_expr) || (live->check_expr && !policy->check_expr)) {
		change = policy_change(d, CHANGE_REPLACE_POLICY, wish, policy);
		change->roles = roles_sql(d, &policy->to);
		was_policy(d, change, live);
		hold_policy(change, "replacing a policy changes who sees which rows");
		block_unknown_roles(d, policy, change);
		block_trap(d, policy, change);
		return;
	}
	using_state = compare_expressions(d, wish, policy->using_expr, live->using_expr, &reason);
	check_state = compare_expressions(d, wish, policy->check_expr, live->check_expr, &reason);
	if (same_roles(d, &policy->to, live->roles) && using_state == EXPRESSION_SAME && check_state == EXPRESSION_SAME)
		return;
	change = policy_change(d, CHANGE_ALTER_POLICY, wish, policy);
	change->roles = roles_sql(d, &policy->to);
	change->from = live->using_expr ? live->using_expr : live->check_expr;
	was_policy(d, change, live);
	if (using_state == EXPRESSION_UNKNOWN || check_state == EXPRESSION_UNKNOWN)
		hold_policy(change, talloc_asprintf(d->plan, "the expression reads back differently and could not be compared: %s",
						    reason ? reason : "not compared yet"));
	block_unknown_roles(d, policy, change);
	block_trap(d, policy, change);
}

static const struct policy *live_policy(const struct differ *d, name_id schema, const char *table, const char *name)
{
	for (uint32_t i = 0; i < d->database->n_policies; i++) {
		const struct policy *p = &d->database->policies[i];

		if (p->schema == schema && strcmp(p->table, table) == 0 && strcmp(p->name, name) == 0)
			return p;
	}
	return NULL;
}

static void want_row_security(struct differ *d, const struct row_security_wish *wish)
{
	const struct object_group *g = find_relation(d, wish->schema, wish->table);
	name_id schema = names_put(d->names, wish->schema);
	uint32_t first = d->plan->n_changes;

	if (!g) {
		change_block(policy_change(d, CHANGE_ROW_SECURITY, wish, NULL),
			     talloc_asprintf(d->plan, "table %s.%s does not exist", wish->schema, wish->table),
			     "create it (a migration?) or correct the name");
		return;
	}
	if (g->relkind != 'r' && g->relkind != 'p') {
		change_block(policy_change(d, CHANGE_ROW_SECURITY, wish, NULL),
			     talloc_asprintf(d->plan, "%s.%s is a %s: only tables have row security", wish->schema, wish->table,
					     object_kind_word(g->kind, g->relkind)),
			     "correct the name, or remove it from the manifest");
		return;
	}
	for (uint32_t i = 0; i < wish->n_policies; i++)
		want_policy(d, wish, &wish->policies[i], live_policy(d, schema, wish->table, wish->policies[i].name));
	want_flags(d, wish, g, first);
}

static bool policy_declared(const struct differ *d, const struct policy *live)
{
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);
	const char *schema = names_text(d->names, live->schema);

	for (uint32_t m = 0; m < n; m++) {
		for (uint32_t i = 0; i < manifests[m]->n_row_security; i++) {
			const struct row_security_wish *wish = &manifests[m]->row_security[i];

			if (strcmp(wish->schema, schema) != 0 || strcmp(wish->table, live->table) != 0)
				continue;
			for (uint32_t p = 0; p < wish->n_policies; p++)
				if (strcmp(wish->policies[p].name, live->name) == 0)
					return true;
		}
	}
	return false;
}

/* A policy is an object, so not even an exact manifest drops one that it does not name; but one more may open the table. */
static void tell_undeclared(struct differ *d, const struct row_security_wish *wish)
{
	name_id schema = names_put(d->names, wish->schema);

	for (uint32_t i = 0; wish->n_policies > 0 && i < d->database->n_policies; i++) {
		const struct policy *live = &d->database->policies[i];

		if (live->schema == schema && strcmp(live->table, wish->table) == 0 && !policy_declared(d, live))
			differ_warn(d, "table %s.%s has policy %s, which no manifest declares; ensure = \"absent\" would drop it", wish->schema,
				    wish->table, live->name);
	}
}

void diff_row_security(struct differ *d)
{
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t m = 0; m < n; m++) {
		for (uint32_t i = 0; i < manifests[m]->n_row_security; i++) {
			want_row_security(d, &manifests[m]->row_security[i]);
			if (manifests[m]->authority == AUTHORITY_EXACT)
				tell_undeclared(d, &manifests[m]->row_security[i]);
		}
	}
}

static void add_pair(void *parent, struct expression_pair **pairs, uint32_t *n, const struct row_security_wish *wish, const char *wanted,
		     const char *live)
{
	void *memory;

	if (!wanted || !live)
		return;
	memory = talloc_new(NULL);
	if (!parsed_alike(memory, wanted, live) && !is_trapped(memory, wanted, live)) {
		*pairs = talloc_realloc(parent, *pairs, struct expression_pair, *n + 1);
		(*pairs)[(*n)++] = (struct expression_pair){ wish->schema, wish->table, wanted, live };
	}
	talloc_free(memory);
}

static void add_pairs_of(void *parent, struct expression_pair **pairs, uint32_t *n, const struct row_security_wish *wish,
			 const struct database_state *database)
{
	name_id schema = names_find(database->names, wish->schema, strlen(wish->schema));

	for (uint32_t i = 0; i < wish->n_policies; i++) {
		const struct policy_wish *policy = &wish->policies[i];

		for (uint32_t k = 0; k < database->n_policies; k++) {
			const struct policy *live = &database->policies[k];

			if (live->schema != schema || strcmp(live->table, wish->table) != 0 || strcmp(live->name, policy->name) != 0)
				continue;
			add_pair(parent, pairs, n, wish, policy->using_expr, live->using_expr);
			add_pair(parent, pairs, n, wish, policy->check_expr, live->check_expr);
		}
	}
}

struct expression_pair *plan_expressions(void *parent, struct desired *desired, const struct database_state *database, uint32_t *ret_n)
{
	struct expression_pair *pairs = NULL;
	uint32_t n_manifests;
	const struct manifest *const *manifests = desired_manifests(desired, &n_manifests);

	*ret_n = 0;
	for (uint32_t m = 0; m < n_manifests; m++)
		for (uint32_t i = 0; i < manifests[m]->n_row_security; i++)
			add_pairs_of(parent, &pairs, ret_n, &manifests[m]->row_security[i], database);
	return pairs;
}
