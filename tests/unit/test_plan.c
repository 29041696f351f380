/* SPDX-License-Identifier: PostgreSQL */
/* The guard's budgets, what may never be touched, plan ids and approvals, and the SQL of every kind of change. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "reconcile/diff.h"
#include "bench.h"

/* n tables in schema app, on each of which app holds SELECT (wanted) and, when extra, DELETE (not wanted). */
static void many_tables(struct bench *b, uint32_t n, uint32_t extra)
{
	name_id app = world_role(b->world, "app", ROLE_LOGIN | ROLE_INHERIT), owner = world_role(b->world, "owner", ROLE_INHERIT);

	wish_role(b, "app");
	wish_grant(b, "app", PRIV_SELECT, "table app.*");
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	for (uint32_t i = 0; i < n; i++) {
		struct world_object *o = world_object(b->world, OBJECT_TABLE, "app", talloc_asprintf(b, "t%u", i), "owner");

		world_grant(b->world, &o->acl, OBJECT_TABLE, owner, owner, app, PRIV_SELECT, false);
		if (i < extra)
			world_grant(b->world, &o->acl, OBJECT_TABLE, owner, owner, app, PRIV_DELETE, false);
	}
}

static void budget_of_revokes(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	many_tables(b, 50, 12);
	b->guard.max_percent = 100;
	for (uint32_t limit = 11; limit <= 13; limit++) {
		b->guard.max_revokes = limit;
		plan = database_plan(b, NULL);
		assert_int_equal(plan->drift[DRIFT_GRANT], 12);
		assert_int_equal(plan->held_objects, limit < 12 ? 12 : 0);
	}
	b->guard.max_revokes = 11;
	plan = database_plan(b, NULL);
	assert_string_equal(plan->held_reason, "12 revokes, max_revokes is 11");
	assert_int_equal(strlen(plan->id), 16);
}

static void budget_in_percent(void **state)
{
	struct bench *b = *state;

	many_tables(b, 50, 12);
	b->guard.max_percent = 23;             /* 12 of 50 */
	assert_int_equal(database_plan(b, NULL)->held_objects, 12);
	b->guard.max_percent = 24;
	assert_int_equal(database_plan(b, NULL)->held_objects, 0);
}

static void a_few_revokes_are_no_percentage(void **state)
{
	struct bench *b = *state;

	many_tables(b, 3, 3);
	assert_int_equal(database_plan(b, NULL)->held_objects, 0);
}

static void grants_are_not_held_with_revokes(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	many_tables(b, 30, 25);
	wish_grant(b, "app", PRIV_INSERT, "table app.t0");
	plan = database_plan(b, NULL);
	assert_int_equal(plan->held_objects, 25);
	assert_int_equal(plan->ready, 1);
}

static void an_approval_releases_exactly_its_plan(void **state)
{
	struct bench *b = *state;
	struct plan *held, *released;
	char *id;

	many_tables(b, 50, 25);
	held = database_plan(b, NULL);
	id = talloc_strdup(b, held->id);
	released = database_plan(b, id);
	assert_int_equal(released->held, 0);
	assert_string_equal(released->id, id);
	/* one table more: another plan, and the approval is worth nothing */
	world_grant(b->world, &b->world->objects[40].acl, OBJECT_TABLE, b->world->objects[40].owner, b->world->objects[40].owner,
		    names_put(b->world->names, "app"), PRIV_DELETE, false);
	released = database_plan(b, id);
	assert_true(released->held > 0);
	assert_string_not_equal(released->id, id);
}

static void drops_are_held(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "legacy", ROLE_LOGIN);
	wish_role(b, "legacy")->absent = true;
	plan = server_plan(b, NULL);
	assert_int_equal(plan->ready, 0);
	assert_true(plan->held > 0);
	plan = server_plan(b, plan->id);
	assert_int_equal(plan->held, 0);
	assert_int_equal(plan->changes[plan->n_changes - 1].op, CHANGE_DROP_ROLE);
}

static void removing_every_line_drops_nothing(void **state)
{
	struct bench *b = *state;

	many_tables(b, 10, 10);
	b->manifest.n_roles = b->manifest.n_grants = 0;
	assert_int_equal(database_plan(b, NULL)->n_changes, 0);
	assert_int_equal(server_plan(b, NULL)->n_changes, 0);
}

static void adopting_a_rich_role_changes_nothing(void **state)
{
	struct bench *b = *state;
	struct role *role;

	world_role(b->world, "rich", ROLE_LOGIN | ROLE_CREATEDB | ROLE_CREATEROLE | ROLE_BYPASSRLS);
	role = &b->world->roles[b->world->n_roles - 1];
	role->connection_limit = 7;
	role->valid_until = "2030-01-01T00:00:00.000000Z";
	role->comment = "kept";
	wish_role(b, "rich");
	assert_int_equal(server_plan(b, NULL)->n_changes, 0);
}

static const char *only_reason(const struct plan *plan)
{
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->changes[0].state, CHANGE_BLOCKED);
	return plan->changes[0].reason;
}

static void untouchable_roles(void **state)
{
	static const char *const names[] = { "postgres", "rds_superuser", "pg_monitor", "team_admin" };
	static const char *protected_roles[] = { "team_*" };

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		struct bench *b;
		struct role_wish *wish;

		bench_setup((void **)&b);
		b->guard.protected_roles = protected_roles;
		b->guard.n_protected_roles = 1;
		world_role(b->world, names[i], ROLE_LOGIN);
		wish = wish_role(b, names[i]);
		wish->has_connection_limit = true;
		wish->connection_limit = 3;
		/* approval does not help */
		assert_non_null(only_reason(server_plan(b, "0123456789abcdef")));
		talloc_free(b);
	}
	(void)state;
}

static void loss_of_login_is_held(void **state)
{
	struct bench *b = *state;
	struct role_wish *wish;
	struct plan *plan;

	world_role(b->world, "app", ROLE_LOGIN);
	wish = wish_role(b, "app");
	wish->attrs_mask = ROLE_LOGIN;
	plan = server_plan(b, NULL);
	assert_int_equal(plan->held, 1);
	assert_string_equal(plan->held_reason, "the role would lose its login");
	wish->attrs_mask = 0;
	wish->has_valid_until = true;
	wish->valid_until = "2020-01-01T00:00:00.000000Z";
	assert_int_equal(server_plan(b, NULL)->held, 1);
}

static void a_group_that_is_a_superuser_makes_no_members(void **state)
{
	struct bench *b = *state;

	world_role(b->world, "root_team", ROLE_SUPERUSER);
	world_role(b->world, "app", ROLE_LOGIN);
	wish_role(b, "app")->member_of = names_of(b, "root_team");
	assert_string_equal(only_reason(server_plan(b, NULL)), "membership in a superuser role makes a superuser");
}

static void provider_groups_may_be_given(void **state)
{
	static const char *protected_roles[] = { "rds*" };
	struct bench *b = *state;

	b->guard.protected_roles = protected_roles;
	b->guard.n_protected_roles = 1;
	world_role(b->world, "rds_iam", 0);
	world_role(b->world, "app", ROLE_LOGIN);
	wish_role(b, "app")->member_of = names_of(b, "rds_iam");
	assert_int_equal(server_plan(b, NULL)->ready, 1);
}

static void public_is_only_touched_where_named(void **state)
{
	struct bench *b = *state;
	struct world_object *f;

	world_role(b->world, "owner", 0);
	world_role(b->world, "app", ROLE_LOGIN);
	wish_role(b, "app");
	f = world_object(b->world, OBJECT_FUNCTION, "app", "f()", "owner");
	wish_grant(b, "app", PRIV_EXECUTE, "function app.f()");
	world_grant(b->world, &f->acl, OBJECT_FUNCTION, f->owner, f->owner, names_put(b->world->names, "app"), PRIV_EXECUTE, false);
	assert_int_equal(database_plan(b, NULL)->n_changes, 0);
	wish_grant(b, "PUBLIC", 0, "function app.f()");
	assert_int_equal(database_plan(b, NULL)->drift[DRIFT_GRANT], 1);
}

static void additive_takes_nothing_away(void **state)
{
	struct bench *b = *state;

	many_tables(b, 5, 5);
	b->manifest.authority = AUTHORITY_ADDITIVE;
	assert_int_equal(database_plan(b, NULL)->n_changes, 0);
}

static void what_others_hold_is_listed(void **state)
{
	struct bench *b = *state;
	struct plan *plan;
	name_id stranger;

	many_tables(b, 4, 0);
	stranger = world_role(b->world, "stranger", ROLE_LOGIN);
	world_grant(b->world, &b->world->objects[1].acl, OBJECT_TABLE, b->world->objects[1].owner, b->world->objects[1].owner, stranger, PRIV_SELECT,
		    false);
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_changes, 0);
	assert_int_equal(plan->n_unmanaged, 1);
	assert_int_equal(plan->unmanaged[0].grantee, stranger);
	assert_string_equal(plan->unmanaged[0].names, "t0");
	b->manifest.revoke_unmanaged_grantees = true;
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->changes[0].op, CHANGE_REVOKE);
}

static void a_forgotten_creator_is_warned_of(void **state)
{
	struct bench *b = *state;
	struct world_object *schema;
	name_id helper;
	struct plan *plan;

	many_tables(b, 1, 0);
	schema = &b->world->objects[0];
	helper = world_role(b->world, "helper", ROLE_LOGIN);
	b->manifest.authority = AUTHORITY_ADDITIVE;
	b->manifest.defaults = talloc_zero_array(b, struct default_wish, 1);
	b->manifest.n_defaults = 1;
	b->manifest.defaults[0] = (struct default_wish){ .creators = names_of(b, "owner"), .schema = "app", .objtype = 'r',
							 .to = names_of(b, "app"), .privs = PRIV_SELECT };
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_warnings, 0);
	world_grant(b->world, &schema->acl, OBJECT_SCHEMA, schema->owner, schema->owner, helper, PRIV_CREATE, false);
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_warnings, 1);
	assert_non_null(strstr(plan->warnings[0], "helper may create there"));
}

static void the_migration_user_reaches_its_ledger(void **state)
{
	struct bench *b = *state;
	struct world_object *schema;
	struct plan *plan;

	world_role(b->world, "migrator", ROLE_LOGIN);
	wish_role(b, "migrator");
	wish_grant(b, "PUBLIC", 0, "schema public");
	schema = world_object(b->world, OBJECT_SCHEMA, NULL, "public", "postgres");
	world_grant(b->world, &schema->acl, OBJECT_SCHEMA, schema->owner, schema->owner, NAME_NONE, PRIV_USAGE, false);
	b->database.migrations = (struct migration_settings){ .enabled = true, .user = "migrator", .table_schema = "public", .table_name = "l" };
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_changes, 2);
	assert_int_equal(plan->changes[0].op, CHANGE_GRANT);
	assert_int_equal(plan->changes[0].privs, PRIV_USAGE | PRIV_CREATE);
	assert_true(plan->changes[0].phase < PHASE_MIGRATIONS);
	assert_int_equal(plan->changes[1].op, CHANGE_REVOKE);
	assert_int_equal(plan->changes[1].role, NAME_NONE);
}

/* --- SQL ----------------------------------------------------------------------------------------------------------- */

/* However many rules name single objects of one schema, none is forgotten: what it gives would be revoked. */
static void thousands_of_rules_are_all_heard(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	many_tables(b, 40, 1);
	b->manifest.n_grants = 0;
	for (uint32_t i = 5000; i-- > 0;)
		wish_grant(b, "app", PRIV_SELECT, talloc_asprintf(b, "table app.t%u", i));
	plan = database_plan(b, NULL);
	assert_int_equal(plan->in_scope, 40);
	assert_int_equal(plan->n_changes, 4960 + 1);   /* tables that are not there, and the DELETE of one */
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->privs, PRIV_DELETE);
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->n, 1);
}

/* Login, then what it holds, then the role: each held or waiting as long as it must. */
static void a_role_is_retired_in_steps(void **state)
{
	struct bench *b = *state;
	name_id old = world_role(b->world, "old", ROLE_LOGIN | ROLE_INHERIT), owner = world_role(b->world, "owner", ROLE_INHERIT);
	struct world_object *o = world_object(b->world, OBJECT_TABLE, "other", "t", "owner");
	struct plan *plan;

	world_grant(b->world, &o->acl, OBJECT_TABLE, owner, owner, old, PRIV_SELECT | PRIV_UPDATE, false);
	wish_role(b, "old")->absent = true;
	b->guard.max_percent = 100;
	plan = server_plan(b, NULL);
	assert_int_equal(plan->n_changes, 2);
	assert_int_equal(change_of(plan, CHANGE_ALTER_ROLE)->state, CHANGE_HELD);
	assert_int_equal(change_of(plan, CHANGE_DROP_ROLE)->state, CHANGE_HELD);
	plan = database_plan(b, NULL);
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->state, CHANGE_HELD);
	assert_non_null(strstr(change_of(plan, CHANGE_REVOKE)->reason, "can still log in"));
	b->guard.max_drops = 1;                        /* one retirement is one drop */
	plan = server_plan(b, NULL);
	assert_int_equal(plan->held, 0);
	b->world->roles[b->world->n_roles - 2].attrs &= ~(unsigned)ROLE_LOGIN;
	b->guard.max_drops = 0;
	plan = database_plan(b, NULL);                 /* the schema is in no manifest's scope: what the role holds goes anyway */
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->state, CHANGE_READY);
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->privs, PRIV_SELECT | PRIV_UPDATE);
	plan = server_plan(b, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(change_of(plan, CHANGE_DROP_ROLE)->state, CHANGE_HELD);
}

static void expect_sql(struct bench *b, struct change change, int version_num, const char *sql)
{
	struct text *all = text_new(b);
	struct statements statements;
	struct plan *plan = empty_plan(b);

	change_sql(b, plan, &change, version_num, &statements);
	for (uint32_t i = 0; i < statements.n; i++)
		text_addf(all, "%s%s", i ? "; " : "", statements.v[i]);
	assert_string_equal(all->s, sql);
	assert_non_null(change_describe(b, plan, &change));
	assert_true(strchr("+-~", change_sign(&change)) != NULL);
}

#define ID(name) names_put(b->world->names, name)

static void sql_of_grants(void **state)
{
	static const char *two[] = { "t1", "we\"ird" }, *f[] = { "f(integer, \"odd(type\")" }, *schema[] = { "app" };
	struct bench *b = *state;
	struct change grant = { .op = CHANGE_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = two, .n = 2, .role = ID("A b"),
				.privs = PRIV_SELECT | PRIV_INSERT };
	struct change revoke = { .op = CHANGE_REVOKE, .object_kind = OBJECT_FUNCTION, .schema = ID("app"), .names = f, .n = 1, .privs = PRIV_EXECUTE };

	expect_sql(b, grant, 160000, "GRANT SELECT, INSERT ON TABLE \"app\".\"t1\", \"app\".\"we\"\"ird\" TO \"A b\"");
	grant.grantable = true;
	grant.column = "em\"ail";
	grant.object_kind = OBJECT_COLUMN;
	grant.n = 1;
	expect_sql(b, grant, 160000,
		   "GRANT SELECT (\"em\"\"ail\"), INSERT (\"em\"\"ail\") ON TABLE \"app\".\"t1\" TO \"A b\" WITH GRANT OPTION");
	expect_sql(b, revoke, 160000, "REVOKE EXECUTE ON FUNCTION \"app\".\"f\"(integer, \"odd(type\") FROM PUBLIC");
	revoke.grantor = ID("g");
	revoke.role = ID("x");
	revoke.op = CHANGE_REVOKE_GRANT_OPTION;
	expect_sql(b, revoke, 160000, "SET LOCAL ROLE \"g\"; REVOKE GRANT OPTION FOR EXECUTE ON FUNCTION \"app\".\"f\"(integer, \"odd(type\") "
		   "FROM \"x\"; RESET ROLE");
	revoke.lends_usage = true;
	expect_sql(b, revoke, 160000, "GRANT USAGE ON SCHEMA \"app\" TO \"g\"; SET LOCAL ROLE \"g\"; REVOKE GRANT OPTION FOR EXECUTE ON FUNCTION "
		   "\"app\".\"f\"(integer, \"odd(type\") FROM \"x\"; RESET ROLE; REVOKE USAGE ON SCHEMA \"app\" FROM \"g\"");
	grant = (struct change){ .op = CHANGE_GRANT, .object_kind = OBJECT_SCHEMA, .names = schema, .n = 1, .role = ID("x"), .privs = PRIV_USAGE };
	expect_sql(b, grant, 160000, "GRANT USAGE ON SCHEMA \"app\" TO \"x\"");
}

static void sql_of_roles(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_CREATE_ROLE, .role = ID("app"), .attrs = ROLE_LOGIN, .attrs_mask = ROLE_LOGIN | ROLE_CREATEDB,
			    .has_connection_limit = true, .connection_limit = 5 };

	expect_sql(b, c, 160000, "CREATE ROLE \"app\" NOCREATEDB LOGIN CONNECTION LIMIT 5");
	expect_sql(b, (struct change){ .op = CHANGE_ALTER_ROLE, .role = ID("app"), .has_valid_until = true }, 160000,
		   "ALTER ROLE \"app\" VALID UNTIL 'infinity'");
	expect_sql(b, (struct change){ .op = CHANGE_SET_PASSWORD, .role = ID("app"), .value = "SCRAM-SHA-256$4096:a$b:c" }, 160000,
		   "ALTER ROLE \"app\" PASSWORD 'SCRAM-SHA-256$4096:a$b:c'");
	expect_sql(b, (struct change){ .op = CHANGE_COMMENT_ROLE, .role = ID("app"), .value = "it's" }, 160000,
		   "COMMENT ON ROLE \"app\" IS 'it''s'");
	expect_sql(b, (struct change){ .op = CHANGE_SET_SETTING, .role = ID("app"), .database = ID("d"), .name = "search_path",
				       .value = "app, \"$user\", \"B \"\"c\"" }, 160000,
		   "ALTER ROLE \"app\" IN DATABASE \"d\" SET \"search_path\" TO 'app', '$user', 'B \"c'");
	expect_sql(b, (struct change){ .op = CHANGE_RESET_SETTING, .database = ID("d"), .name = "my.setting" }, 160000,
		   "ALTER DATABASE \"d\" RESET \"my\".\"setting\"");
	c = (struct change){ .op = CHANGE_GRANT_MEMBERSHIP, .role = ID("m"), .other = ID("g"), .admin = true, .set = true };
	expect_sql(b, c, 160000, "GRANT \"g\" TO \"m\" WITH ADMIN TRUE, INHERIT FALSE, SET TRUE");
	expect_sql(b, c, 150000, "GRANT \"g\" TO \"m\" WITH ADMIN OPTION");
	c.op = CHANGE_REVOKE_MEMBERSHIP;
	c.grantor = ID("x");
	expect_sql(b, c, 160000, "REVOKE \"g\" FROM \"m\" GRANTED BY \"x\"");
}

static void a_verifier_is_never_displayed(void **state)
{
	struct bench *b = *state;
	struct change c = { .op = CHANGE_SET_PASSWORD, .role = ID("app"), .value = "SCRAM-SHA-256$4096:canary$b:c" };
	struct statements statements;

	change_sql_display(b, empty_plan(b), &c, 160000, &statements);
	assert_null(strstr(statements.v[0], "canary"));
	assert_null(strstr(change_describe(b, empty_plan(b), &c), "canary"));
}

static void inverses(void **state)
{
	static const char *one[] = { "t1" };
	struct bench *b = *state;
	struct change grant = { .op = CHANGE_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = one, .n = 1, .role = ID("x"),
				.privs = PRIV_SELECT };
	struct change set = { .op = CHANGE_SET_SETTING, .role = ID("x"), .name = "work_mem", .value = "1GB", .from = "4MB" };
	struct statements statements;

	change_inverse_sql(b, empty_plan(b), &grant, 160000, &statements);
	assert_string_equal(statements.v[0], "REVOKE SELECT ON TABLE \"app\".\"t1\" FROM \"x\"");
	change_inverse_sql(b, empty_plan(b), &set, 160000, &statements);
	assert_string_equal(statements.v[0], "ALTER ROLE \"x\" SET \"work_mem\" TO '4MB'");
}

static void a_thousand_objects_are_one_statement(void **state)
{
	struct bench *b = *state;
	const char **names = talloc_array(b, const char *, 2500);
	struct change c = { .op = CHANGE_GRANT, .object_kind = OBJECT_TABLE, .schema = ID("app"), .names = names, .n = 2500, .role = ID("x"),
			    .privs = PRIV_SELECT };
	struct statements statements;

	for (int i = 0; i < 2500; i++)
		names[i] = "t";
	change_sql(b, empty_plan(b), &c, 160000, &statements);
	assert_int_equal(statements.n, 3);
}

static void settings_that_mean_the_same(void **state)
{
	static const struct { const char *name, *a, *b; bool same; } cases[] = {
		{ "work_mem", "64MB", "65536", true }, { "work_mem", "64MB", "65536kB", true }, { "work_mem", "64MB", "64", false },
		{ "statement_timeout", "5min", "300000", true }, { "statement_timeout", "5min", "300s", true },
		{ "statement_timeout", "5min", "5", false }, { "jit", "off", "OFF", true }, { "jit", "off", "false", true },
		{ "jit", "on", "off", false }, { "search_path", "app, public", "app,public", true },
		{ "search_path", "\"app\", \"$user\"", "app, $user", true }, { "search_path", "App", "\"App\"", false },
		{ "search_path", "app", "app, public", false }, { "log_statement", "DDL", "ddl", true }, { "my.flag", "A", "a", false },
		{ "temp_buffers", "8MB", "1024", true }, { "TimeZone", "UTC", "utc", true }, { "search_path", "", "\"\"", true },
		{ "search_path", "App, public", "app, public", true }, { "local_preload_libraries", "$libdir/Foo", "\"$libdir/Foo\"", true },
		{ "local_preload_libraries", "$libdir/Foo", "\"$libdir/foo\"", false }, { "app.release", "1.10", "1.1", false },
		{ "app.flag", "on", "true", false }, { "application_name", "Billing", "billing", false }, { "application_name", "007", "7", false },
		{ "role", "App", "app", false }, { "DateStyle", "ISO, DMY", "iso, dmy", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
		if (setting_equal(cases[i].name, cases[i].a, cases[i].b) != cases[i].same)
			fail_msg("%s: %s and %s: expected %s", cases[i].name, cases[i].a, cases[i].b, cases[i].same ? "the same" : "different");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(budget_of_revokes), TEST(budget_in_percent), TEST(a_few_revokes_are_no_percentage), TEST(grants_are_not_held_with_revokes),
		TEST(an_approval_releases_exactly_its_plan), TEST(drops_are_held), TEST(removing_every_line_drops_nothing),
		TEST(adopting_a_rich_role_changes_nothing), TEST(untouchable_roles), TEST(loss_of_login_is_held),
		TEST(a_group_that_is_a_superuser_makes_no_members), TEST(provider_groups_may_be_given), TEST(public_is_only_touched_where_named),
		TEST(additive_takes_nothing_away), TEST(what_others_hold_is_listed), TEST(a_forgotten_creator_is_warned_of), TEST(the_migration_user_reaches_its_ledger), 
		TEST(thousands_of_rules_are_all_heard), TEST(a_role_is_retired_in_steps), TEST(sql_of_grants), TEST(sql_of_roles),
		TEST(a_verifier_is_never_displayed), TEST(inverses), TEST(a_thousand_objects_are_one_statement), TEST(settings_that_mean_the_same),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
