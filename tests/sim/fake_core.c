/* SPDX-License-Identifier: PostgreSQL */
/* Decoders and reconcile/ over the simulated world: a target has drift or has none, and one statement corrects it. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "catalog/decode.h"
#include "reconcile/inverse.h"
#include "tests/sim/world.h"

struct desired {
	int unused;
};

static struct world_database *answered_by(const struct rowset *rows)
{
	return *(struct world_database *const *)rows->data;
}

static void facts_fill(struct names *names, struct world_database *db, struct server_facts *facts, void *parent)
{
	*facts = (struct server_facts){ .version_num = 160000, .system_identifier = 1 + (uint64_t)(db->server - world.servers),
					.is_superuser = true, .can_read_verifiers = true };
	facts->me = names_put(names, "postgres");
	facts->database_oid = (uint32_t)(db - db->server->databases) + 16384;
	facts->snapshot = talloc_asprintf(parent, "%llu:%llu:", (unsigned long long)db->server->version, (unsigned long long)db->server->version);
}

int decode_facts(struct names *names, const struct rowset *rows, struct server_facts *ret, struct error *err)
{
	(void)err;
	facts_fill(names, answered_by(rows), ret, rows->data);
	return 0;
}

int decode_server(void *parent, struct names *names, const enum query_id *ids, const struct rowset *answers, unsigned n,
		  struct server_state **ret, struct error *err)
{
	struct world_database *db = answered_by(&answers[0]);
	struct server_state *state = talloc_zero(parent, struct server_state);

	(void)ids;
	(void)n;
	(void)err;
	facts_fill(names, db, &state->facts, state);
	state->names = names;
	state->databases = talloc_zero_array(state, struct database, db->server->n);
	for (unsigned i = 0; i < db->server->n; i++) {
		if (db->server->databases[i].absent)
			continue;
		state->databases[state->n_databases++] = (struct database){
			.name = names_put(names, strchr(db->server->databases[i].name, '/') + 1), .allow_connections = true,
			.connection_limit = -1 };
	}
	*ret = state;
	return 0;
}

int decode_database(void *parent, struct names *names, const enum query_id *ids, const struct rowset *answers, unsigned n,
		    struct database_state **ret, struct error *err)
{
	struct database_state *state = talloc_zero(parent, struct database_state);

	(void)ids;
	(void)n;
	(void)err;
	facts_fill(names, answered_by(&answers[0]), &state->facts, state);
	state->names = names;
	*ret = state;
	return 0;
}

int desired_server(void *parent, struct names *names, const struct server_settings *server, struct desired **ret, struct error *err)
{
	(void)names;
	(void)server;
	(void)err;
	*ret = talloc_zero(parent, struct desired);
	return 0;
}

int desired_database(void *parent, struct names *names, const struct server_settings *server, const struct database_settings *settings,
		     const char *database, struct desired **ret, struct error *err)
{
	(void)settings;
	(void)database;
	return desired_server(parent, names, server, ret, err);
}

static void add(struct plan *plan, const struct plan_context *context, struct change c)
{
	for (uint32_t i = 0; i < context->n_undone; i++) {
		if (!change_repeats(&c, context->undone[i].forward))
			continue;
		*context->undone[i].wanted = true;
		c.undone = true;
		c.state = CHANGE_HELD;
		snprintf(plan->id, sizeof(plan->id), "%016x", 77);
	}
	if (c.state == CHANGE_HELD && c.op != CHANGE_UNDO && context->approved != NULL && strcmp(context->approved, plan->id) == 0)
		c.state = CHANGE_READY;
	plan->changes[plan->n_changes++] = c;
	plan->ready += c.state == CHANGE_READY;
	plan->held += c.state == CHANGE_HELD;
	plan->drift_objects++;
	plan->drift[DRIFT_GRANT]++;
}

static int plan_any(void *parent, const struct plan_context *context, struct names *names, struct plan **ret)
{
	struct plan *plan = talloc_zero(parent, struct plan);

	plan->names = names;
	plan->changes = talloc_zero_array(plan, struct change, 1 + context->n_undos);
	if (world_find(context->target)->drift)
		add(plan, context, (struct change){ .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .phase = PHASE_GRANTS, .n = 1, .role = names_put(names, "x"),
						    .object_kind = OBJECT_TABLE, .privs = PRIV_SELECT });
	for (uint32_t i = 0; i < context->n_undos; i++) {
		const struct plan_undo *wish = &context->undos[i];
		struct undo_change *undo = talloc_zero(plan, struct undo_change);

		*undo = (struct undo_change){ wish->id, wish->parts, wish->forward, wish->n_parts, wish->n_forward };
		add(plan, context, (struct change){ .op = CHANGE_UNDO, .kind = DRIFT_GRANT, .phase = PHASE_DROPS, .n = 1, .undo = undo,
						    .approval = wish->approval, .state = wish->approved ? CHANGE_READY : CHANGE_HELD });
	}
	*ret = plan;
	return 0;
}

struct expression_pair *plan_expressions(void *parent, struct desired *desired, const struct database_state *state, uint32_t *ret_n)
{
	(void)parent;
	(void)desired;
	(void)state;
	*ret_n = 0;
	return NULL;
}

int plan_server(void *parent, const struct plan_context *context, struct desired *desired, const struct server_state *state,
		struct plan **ret, struct error *err)
{
	(void)desired;
	(void)err;
	return plan_any(parent, context, state->names, ret);
}

int plan_database(void *parent, const struct plan_context *context, struct desired *desired, const struct server_state *server,
		  const struct database_state *state, struct plan **ret, struct error *err)
{
	(void)desired;
	(void)server;
	(void)err;
	return plan_any(parent, context, state->names, ret);
}

struct group *plan_groups(void *parent, const struct plan *plan, enum change_phase from, enum change_phase to, uint32_t *ret_n)
{
	struct group *groups = talloc_zero_array(parent, struct group, plan->n_changes + 1);

	*ret_n = 0;
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].state == CHANGE_READY && from <= plan->changes[i].phase && plan->changes[i].phase <= to)
			groups[(*ret_n)++] = (struct group){ i, 1, plan->changes[i].phase };
	return groups;
}

int change_sql(void *parent, const struct plan *plan, const struct change *c, int version_num, struct statements *ret)
{
	(void)plan;
	(void)version_num;
	ret->v = talloc_zero_array(parent, const char *, 1);
	ret->v[0] = c->op == CHANGE_UNDO ? "UNFIX" : "FIX";
	ret->n = 1;
	return 0;
}

int change_sql_display(void *parent, const struct plan *plan, const struct change *c, int version_num, struct statements *ret)
{
	return change_sql(parent, plan, c, version_num, ret);
}

char *change_describe(void *parent, const struct plan *plan, const struct change *c)
{
	(void)plan;
	(void)c;
	return talloc_strdup(parent, "fix");
}
