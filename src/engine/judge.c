/* SPDX-License-Identifier: PostgreSQL */
/* From a look to a plan, and from a plan to what the target does next. */
#include "engine/held.h"
#include "engine/internal.h"
#include "engine/undo.h"

#include <string.h>
#include <talloc.h>

static int plan_once(struct target *t, const char *approved, struct plan **ret, struct error *err)
{
	const struct server_settings *server = target_server_settings(t);
	struct plan_context context = {
		.guard = target_is_root(t) ? &server->guard : &t->db->guard,
		.server = server->name,
		.target = t->name,
		.approved = approved,
		.applies = target_applies(t),
		.password = password_state,
		.password_data = t,
		.expression = expression_state,
		.expression_data = t,
		.database_known = identity_database_known,
		.database_data = t,
	};

	void *memory = talloc_new(t);
	int r;

	undo_context(t, memory, &context);
	if (target_is_root(t))
		r = plan_server(t, &context, t->gen->desired, t->look->server_state, ret, err);
	else
		r = plan_database(t, &context, t->desired, t->plan_look->server_state, t->look->database_state, ret, err);
	if (r == 0)
		talloc_steal(*ret, memory);
	else
		talloc_free(memory);
	return r;
}

/* A held plan that an operator released is made again with his word in it. */
static int plan_approved(struct target *t, struct plan **plan, struct error *err)
{
	struct approval approval;
	struct plan *released = NULL;
	void *scratch;
	int r = 0;

	t->rejected_by = NULL;
	if ((*plan)->id[0] == '\0')
		return 0;
	scratch = talloc_new(NULL);
	if (state_approval(t->engine->state, scratch, t->name, (*plan)->id, clock_wall(), &approval) == 0) {
		if (approval.rejected) {
			t->rejected_by = talloc_strdup(*plan, approval.actor);
		} else {
			r = plan_once(t, (*plan)->id, &released, err);
			if (r == 0) {
				t->pass->approved = talloc_strdup(t->pass, (*plan)->id);
				talloc_free(*plan);
				*plan = released;
			}
		}
	}
	talloc_free(scratch);
	return r;
}

/* The server's look that a database's plan stands on: its names and roles must be of the same generation. */
static int take_server_look(struct target *t, struct error *err)
{
	struct look *look = t->server->look;

	if (target_is_root(t))
		return 0;
	if (look == NULL || look->gen != t->gen) {
		error_set(err, "the server %s has not been looked at with this configuration yet", t->server->name);
		return 1;
	}
	look_ref(look);
	look_unref(t->plan_look);
	t->plan_look = look;
	return 0;
}

static int plan_anew(struct target *t, struct error *err)
{
	struct plan *plan = NULL;

	TALLOC_FREE(t->plan);
	t->view.plan = NULL;
	if (take_server_look(t, err) != 0 || plan_once(t, NULL, &plan, err) != 0)
		return 1;
	if (plan_approved(t, &plan, err) != 0) {
		talloc_free(plan);
		return 1;
	}
	undo_planned(t);
	t->plan = plan;
	t->view.plan = plan;
	t->plan_applies = target_applies(t);
	t->plan_stale = false;
	return 0;
}

int plan_make(struct target *t, msec_t now, struct error *err)
{
	if (!plan_stands(t) && plan_anew(t, err) != 0)
		return 1;
	if (!target_is_root(t) && t->db->migrations.enabled) {
		held_judge(t);
		migrations_append(t, t->plan);
	}
	held_identify(t, t->plan);
	flapping_mark_plan(t, t->plan);
	t->verdict = plan_verdict(t);
	(void)now;
	return 0;
}

static bool ready_changes(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].state == CHANGE_READY && plan->changes[i].op != CHANGE_MIGRATE)
			return true;
	return false;
}

static bool ready_before_migrations(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].state == CHANGE_READY && plan->changes[i].phase < PHASE_MIGRATIONS)
			return true;
	return false;
}

bool plan_stage_first(const struct target *t)
{
	return !t->pass->migrated && migrations_runnable(t);
}

/* What the target's machine is told. */
enum target_event plan_verdict(const struct target *t)
{
	const struct plan *plan = t->plan;

	if (plan->n_changes == 0)
		return TE_IN_SYNC;
	if (target_mode(t) == MODE_OBSERVE || t->pass->observed_only)
		return TE_MAY_NOT;
	if (t->suspended)
		return TE_PAUSED;
	if (plan_stage_first(t))
		return ready_before_migrations(plan) ? TE_CORRECT : TE_PENDING;
	if (ready_changes(plan))
		return TE_CORRECT;
	return t->pass->failure != FAILURE_NONE ? TE_FAILED : TE_HOLD;
}
