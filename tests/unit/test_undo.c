/* SPDX-License-Identifier: PostgreSQL */
/* Undo in a plan: what is taken back, and that nobody makes it again. The inverses themselves: test_inverse.c. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "inverse_check.h"
#include "model/observed.h"
#include "reconcile/inverse.h"

struct bench {
	struct names *names;
	struct server_settings settings;
	struct guard_settings guard;
	struct server_state server;
	struct manifest manifest;
	const struct manifest *manifests[1];
};

#define ID(text) names_put(b->names, text)

static int setup(void **state)
{
	struct bench *b = talloc_zero(NULL, struct bench);

	b->names = names_new(b);
	b->manifest = (struct manifest){ .name = "m", .file = "m.conf", .authority = AUTHORITY_EXACT };
	b->manifests[0] = &b->manifest;
	b->settings = (struct server_settings){ .name = "s", .manifests = b->manifests, .n_manifests = 1, .all_manifests = b->manifests,
						.n_all_manifests = 1 };
	b->guard = (struct guard_settings){ .max_revokes = 20, .max_percent = 100 };
	b->server = (struct server_state){ .names = b->names, .facts = { .version_num = 160000, .is_superuser = true, .system_identifier = 7 } };
	b->server.facts.me = b->server.facts.bootstrap = ID("postgres");
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

static const char *t1[] = { "t1" };

static struct plan *plan_of(struct bench *b, const struct plan_undo *undo, const struct plan_undone *undone, const char *approved)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s", .approved = approved, .applies = true,
					.undos = undo, .n_undos = undo != NULL, .undone = undone, .n_undone = undone != NULL };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_server(b, b->names, &b->settings, &desired, NULL), 0);
	assert_int_equal(plan_server(b, &context, desired, &b->server, &plan, NULL), 0);
	return plan;
}

static void wish_role(struct bench *b, const char *name)
{
	b->manifest.roles = talloc_realloc(b, b->manifest.roles, struct role_wish, b->manifest.n_roles + 1);
	b->manifest.roles[b->manifest.n_roles++] = (struct role_wish){ .name = name, .source = { "m.conf", 1 } };
}

static void live_role(struct bench *b, const char *name)
{
	b->server.roles = talloc_realloc(b, b->server.roles, struct role, b->server.n_roles + 1);
	b->server.roles[b->server.n_roles++] = (struct role){ .name = ID(name), .connection_limit = -1 };
}

static void an_undo_is_held_by_an_id_of_its_own(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .role = ID("r"), .n = 1 }, back = forward;
	struct plan_undo undo = { .id = 12, .approval = "00112233445566ff", .reason = "asked", .parts = &back, .n_parts = 1, .forward = &forward, .n_forward = 1 };
	struct plan *plan;

	back.op = CHANGE_DROP_ROLE;
	live_role(b, "r");
	plan = plan_of(b, &undo, NULL, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->held, 1);
	assert_string_equal(plan->id, "");
	assert_string_equal(plan->held_reason, "asked");
	assert_string_equal(change_describe(b, plan, &plan->changes[0]), "UNDO 12: DROP ROLE r");
	wish_role(b, "gone");
	b->manifest.roles[0].absent = true;
	live_role(b, "gone");
	plan = plan_of(b, &undo, NULL, NULL);
	assert_true(plan->id[0] != '\0' && plan->held >= 2);
	plan = plan_of(b, &undo, NULL, plan->id);       /* what the guard holds was approved, the undo was not */
	assert_int_equal(plan->held, 1);
	undo.approved = true;
	b->manifest.n_roles = 0;
	plan = plan_of(b, &undo, NULL, NULL);
	assert_int_equal(plan->ready, 1);               /* max_drops is 0, and does not count here */
}

static void the_guard_holds_for_an_undo(void **state)
{
	struct bench *b = *state;
	static const char *names[] = { "postgres", "precious", "pg_monitor" };

	b->guard.protected_roles = &names[1];
	b->guard.n_protected_roles = 1;
	for (int i = 0; i < 3; i++) {
		struct change back = { .op = CHANGE_REVOKE_MEMBERSHIP, .kind = DRIFT_MEMBERSHIP, .role = ID(names[i]), .other = ID("g"), .n = 1 };
		struct plan_undo undo = { .id = 1, .approval = "00112233445566ff", .approved = true, .parts = &back, .n_parts = 1, .forward = &back,
					  .n_forward = 1 };
		struct plan *plan = plan_of(b, &undo, NULL, NULL);

		assert_int_equal(plan->blocked, 1);
		assert_int_equal(plan->ready, 0);
		assert_non_null(plan->changes[0].remedy);
	}
}

static void what_was_undone_is_held_and_nothing_else(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_CREATE_ROLE, .kind = DRIFT_ROLE, .role = ID("one"), .n = 1 };
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	wish_role(b, "one");
	wish_role(b, "two");
	plan = plan_of(b, NULL, &undone, NULL);
	assert_true(wanted);
	assert_int_equal(plan->held, 1);
	assert_int_equal(plan->ready, 1);
	assert_string_equal(plan->held_reason, "was undone");
	plan = plan_of(b, NULL, &undone, plan->id);
	assert_int_equal(plan->ready, 2);
	b->manifest.roles[0].comment = "what belongs to it waits with it";
	plan = plan_of(b, NULL, &undone, NULL);
	assert_int_equal(plan->held, 2);
	assert_int_equal(plan->blocked, 0);
	assert_int_equal(plan_of(b, NULL, &undone, plan->id)->ready, 3);
	wanted = false;
	b->manifest.roles[0].name = "three";
	plan_of(b, NULL, &undone, NULL);
	assert_false(wanted);
}

/* A budget that allows drops must not release what was undone: the policy would go again. */
static void a_budget_does_not_release_what_was_undone(void **state)
{
	struct bench *b = *state;
	struct change forward = { .op = CHANGE_ALTER_ROLE, .kind = DRIFT_ROLE, .role = ID("old"), .n = 1, .attrs_mask = ROLE_LOGIN };
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	b->guard.max_drops = 10;
	wish_role(b, "old");
	b->manifest.roles[0].absent = true;
	live_role(b, "old");
	b->server.roles[0].attrs = ROLE_LOGIN;
	plan = plan_of(b, NULL, NULL, NULL);
	assert_int_equal(plan->held, 0);
	plan = plan_of(b, NULL, &undone, NULL);
	assert_true(wanted);
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].op == CHANGE_ALTER_ROLE)
			assert_int_equal(plan->changes[i].state, CHANGE_HELD);
}

/* Of the objects of one change those that were undone are held, the others are not. */
static void objects_that_came_since_are_not_held(void **state)
{
	struct bench *b = *state;
	static const char *databases[] = { "d1", "d2" };
	struct change forward = { .op = CHANGE_GRANT, .kind = DRIFT_GRANT, .object_kind = OBJECT_DATABASE, .role = ID("r"), .n = 1, .names = databases,
				  .privs = PRIV_CONNECT };
	struct grant_wish *g = talloc_zero(b, struct grant_wish);
	const char *to = "r";
	bool wanted = false;
	struct plan_undone undone = { .forward = &forward, .n_forward = 1, .reason = "was undone", .wanted = &wanted };
	struct plan *plan;

	wish_role(b, "r");
	live_role(b, "r");
	*g = (struct grant_wish){ .to = { &to, 1 }, .privs = PRIV_CONNECT, .n_on = 1, .source = { "m.conf", 5 }, .on = talloc_zero(b, struct selector) };
	assert_int_equal(selector_parse(b, "database *", &g->on[0], NULL), 0);
	b->manifest.grants = g;
	b->manifest.n_grants = 1;
	b->server.databases = talloc_zero_array(b, struct database, 2);
	b->server.n_databases = 2;
	for (int i = 0; i < 2; i++)
		b->server.databases[i] = (struct database){ .name = ID(databases[i]), .owner = ID("postgres"), .connection_limit = -1,
							    .acl = talloc_zero(b, struct acl) };
	assert_int_equal(plan_of(b, NULL, NULL, NULL)->n_changes, 1);
	plan = plan_of(b, NULL, &undone, NULL);
	assert_int_equal(plan->held, 1);
	assert_int_equal(plan->ready, 1);
	for (uint32_t i = 0; i < 2; i++) {
		assert_int_equal(plan->changes[i].n, 1);
		assert_string_equal(plan->changes[i].names[0], plan->changes[i].state == CHANGE_HELD ? "d1" : "d2");
	}
}

/* One table with one policy, of somebody else. */
static struct database_state *database_with(struct bench *b, const char *using)
{
	struct database_state *state = talloc_zero(b, struct database_state);

	state->names = b->names;
	state->facts = b->server.facts;
	state->n_objects = 1;
	state->objects = talloc_zero(state, struct object_group);
	state->objects[0] = (struct object_group){ .kind = OBJECT_TABLE, .relkind = 'r', .schema = ID("app"), .owner = ID("theirs"), .n = 1, .names = "t1",
						   .names_len = 2, .acl = talloc_zero(state, struct acl) };
	state->n_policies = 1;
	state->policies = talloc_zero(state, struct policy);
	state->policies[0] = (struct policy){ .schema = ID("app"), .table = "t1", .name = "p", .command = '*', .permissive = true, .roles = "{PUBLIC}",
					      .using_expr = using };
	return state;
}

static struct plan *database_plan(struct bench *b, const struct database_state *state, const struct plan_undo *undo)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s/d", .applies = true, .undos = undo, .n_undos = undo != NULL };
	struct database_settings *settings = talloc_zero(b, struct database_settings);
	struct desired *desired;
	struct plan *plan;

	*settings = (struct database_settings){ .name = "d", .manifests = b->manifests, .n_manifests = 1 };
	b->settings.databases = settings;
	b->settings.n_databases = 1;
	assert_int_equal(desired_database(b, b->names, &b->settings, settings, "d", &desired, NULL), 0);
	assert_int_equal(plan_database(b, &context, desired, &b->server, state, &plan, NULL), 0);
	return plan;
}

static struct acl *granted(struct bench *b, privs_t privs)
{
	struct acl *acl = talloc_zero_size(b, sizeof *acl + sizeof *acl->v);

	acl->n = 1;
	acl->v[0] = (struct acl_entry){ .grantee = ID("x"), .grantor = ID("theirs"), .privs = privs };
	return acl;
}

/* x holds SELECT on the table and on its column, and is to have that on the column alone. */
static void a_column_is_granted_again_only_when_it_lost_something(void **state)
{
	struct bench *b = *state;
	struct database_state *database = database_with(b, "true");
	const char *to = "x", *column = "id";
	struct selector on;
	struct grant_wish wish = { .to = { &to, 1 }, .columns = { &column, 1 }, .privs = PRIV_SELECT, .on = &on, .n_on = 1, .source = { "m.conf", 5 } };
	struct plan *plan;

	wish_role(b, "x");
	live_role(b, "x");
	assert_int_equal(selector_parse(b, "table app.t1", &on, NULL), 0);
	b->manifest.grants = &wish;
	b->manifest.n_grants = 1;
	database->objects = talloc_realloc(database, database->objects, struct object_group, 2);
	database->n_objects = 2;
	database->objects[0].acl = granted(b, PRIV_SELECT);
	database->objects[1] = database->objects[0];
	database->objects[1].kind = OBJECT_COLUMN;
	database->objects[1].column = "id";
	database->objects[1].acl = granted(b, PRIV_SELECT);
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->ready, 2);            /* the REVOKE takes it along */
	b->guard.max_revokes = 0;
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->held, 2);             /* held, it takes nothing */
	assert_int_equal(plan->ready, 0);
	database->objects[1].acl = granted(b, PRIV_UPDATE);
	plan = database_plan(b, database, NULL);
	assert_int_equal(plan->ready, 1);            /* what is missing is granted all the same */
}

/* What somebody else wrote into a policy is parsed as us when it is made again. */
static void a_trap_in_the_policy_before_has_no_inverse(void **state)
{
	struct bench *b = *state;
	struct policy_wish gone = { .name = "p", .ensure = ENSURE_ABSENT, .source = { "m.conf", 3 } };
	struct row_security_wish wish = { .schema = "app", .table = "t1", .policies = &gone, .n_policies = 1, .source = { "m.conf", 2 } };
	struct plan *plan;

	b->manifest.row_security = &wish;
	b->manifest.n_row_security = 1;
	plan = database_plan(b, database_with(b, "(id > 3)"), NULL);
	assert_int_equal(plan->n_changes, 1);
	expect_inverse(b->names, &plan->changes[0], 160000, "CREATE POLICY \"p\" ON \"app\".\"t1\" AS PERMISSIVE FOR ALL TO PUBLIC USING ((id > 3)\n)");
	plan = database_plan(b, database_with(b, "(tags = '{1}'::app.d[])"), NULL);
	expect_none(b->names, &plan->changes[0], "somebody else");
}

static void an_undo_fires_no_event_trigger_of_others(void **state)
{
	struct bench *b = *state;
	struct database_state *database = database_with(b, "true");
	struct change back = { .op = CHANGE_REVOKE, .kind = DRIFT_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = t1, .n = 1, .role = ID("x"),
			       .privs = PRIV_SELECT };
	struct plan_undo undo = { .id = 1, .approval = "00112233445566ff", .approved = true, .parts = &back, .n_parts = 1, .forward = &back, .n_forward = 1 };
	struct event_trigger trigger = { .name = "watch", .function = "app.f()", .owner = ID("theirs") };

	live_role(b, "theirs");
	assert_int_equal(database_plan(b, database, &undo)->ready, 1);
	database->event_triggers = &trigger;
	database->n_event_triggers = 1;
	assert_int_equal(database_plan(b, database, &undo)->blocked, 1);
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(an_undo_is_held_by_an_id_of_its_own), TEST(the_guard_holds_for_an_undo), TEST(what_was_undone_is_held_and_nothing_else),
		TEST(a_budget_does_not_release_what_was_undone), TEST(a_trap_in_the_policy_before_has_no_inverse),
		TEST(a_column_is_granted_again_only_when_it_lost_something),
		TEST(an_undo_fires_no_event_trigger_of_others), TEST(objects_that_came_since_are_not_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
