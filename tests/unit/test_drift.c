/* SPDX-License-Identifier: PostgreSQL */
/* What a plan makes of a look where it is easily wrong: each of these was once. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "base/text.h"
#include "bench.h"
#include "reconcile/diff.h"

static struct plan *plan_of_server(struct bench *b, const struct server_state *server)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s" };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_server(b, b->world->names, &b->server, &desired, NULL), 0);
	assert_int_equal(plan_server(b, &context, desired, server, &plan, NULL), 0);
	return plan;
}

static struct plan *plan_of_database(struct bench *b, const struct server_state *server, const struct database_state *database)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s/d", .applies = true };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_database(b, b->world->names, &b->server, &b->database, "d", &desired, NULL), 0);
	assert_int_equal(plan_database(b, &context, desired, server, database, &plan, NULL), 0);
	return plan;
}

static name_id id(struct bench *b, const char *name)
{
	return names_put(b->world->names, name);
}

/* A database of owner, where who else may connect; PUBLIC may not, when there is somebody. */
static struct server_state *with_database(struct bench *b, const char *owner, const char *who)
{
	struct server_state *server = world_server(b, b->world);
	struct acl *acl = talloc_zero_size(b, sizeof *acl + 3 * sizeof *acl->v);

	acl->v[acl->n++] = (struct acl_entry){ id(b, owner), id(b, owner), PRIV_CREATE | PRIV_CONNECT | PRIV_TEMPORARY, 0 };
	acl->v[acl->n++] = (struct acl_entry){ id(b, who), id(b, owner), PRIV_CONNECT, 0 };
	acl_sort(acl);
	server->databases = talloc_zero_array(server, struct database, 1);
	server->databases[0] = (struct database){ .name = id(b, "d"), .owner = id(b, owner), .oid = 16384, .allow_connections = true,
						  .connection_limit = -1, .acl = acl };
	server->n_databases = 1;
	return server;
}

/* The database that those who log in as me look at, me being no superuser. */
static void no_superuser(struct bench *b, struct server_state *server, const char *me)
{
	server->facts.me = id(b, me);
	server->facts.is_superuser = false;
	server->facts.createrole = true;
}

static struct schema_wish *wish_schema(struct bench *b, const char *name, const char *owner)
{
	b->manifest.schemas = talloc_realloc(b, b->manifest.schemas, struct schema_wish, b->manifest.n_schemas + 1);
	b->manifest.schemas[b->manifest.n_schemas] = (struct schema_wish){ .name = name, .owner = owner, .source = { "m.conf", 3 } };
	return &b->manifest.schemas[b->manifest.n_schemas++];
}

/* --- roles that go ------------------------------------------------------------------------------------------------- */

static void what_is_shared_stays_with_a_role_that_can_log_in(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "old", ROLE_LOGIN | ROLE_INHERIT);
	wish_role(b, "old")->absent = true;
	plan = plan_of_server(b, with_database(b, "owner", "old"));
	assert_non_null(change_of(plan, CHANGE_REVOKE));
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->state, CHANGE_HELD);
	b->world->roles[b->world->n_roles - 1].attrs &= ~(unsigned)ROLE_LOGIN;
	plan = plan_of_server(b, with_database(b, "owner", "old"));
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->state, CHANGE_READY);
}

/* What it gives to others ends with it, not before: what it makes meanwhile would be granted to nobody. */
static void defaults_of_a_role_that_can_log_in_stay(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "old", ROLE_LOGIN | ROLE_INHERIT);
	world_role(b->world, "reader", ROLE_INHERIT);
	wish_role(b, "old")->absent = true;
	b->world->defaults[b->world->n_defaults++] = (struct world_default){ .role = id(b, "old"), .schema = id(b, "app"), .objtype = 'r',
		.acl = { .n = 1, .v = { { id(b, "reader"), id(b, "old"), PRIV_SELECT, 0 } } } };
	plan = database_plan(b, NULL);
	assert_int_equal(change_of(plan, CHANGE_DEFAULT_REVOKE)->state, CHANGE_HELD);
}

/* --- our own way in ------------------------------------------------------------------------------------------------ */

/* We have what ops has, whose CONNECT the manifest takes; the owner's we could only put on. */
static void we_connect_by_ops(struct bench *b)
{
	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "ops", ROLE_INHERIT);
	world_role(b->world, "me", ROLE_LOGIN | ROLE_INHERIT);
	b->world->memberships[b->world->n_memberships++] = (struct membership){ id(b, "ops"), id(b, "me"), b->world->superuser, false, true, true };
	b->world->memberships[b->world->n_memberships++] = (struct membership){ id(b, "owner"), id(b, "me"), b->world->superuser, false, false, true };
	wish_role(b, "ops");
	wish_grant(b, "ops", 0, "database d");
}

static void our_group_keeps_connect(void **state)
{
	struct bench *b = *state;
	struct server_state *server;
	struct plan *plan;

	we_connect_by_ops(b);
	server = with_database(b, "owner", "ops");
	no_superuser(b, server, "me");
	plan = plan_of_server(b, server);
	assert_int_equal(change_of(plan, CHANGE_REVOKE)->state, CHANGE_BLOCKED);
	assert_non_null(strstr(change_of(plan, CHANGE_REVOKE)->reason, "locked out"));
	assert_string_equal(change_of(plan, CHANGE_REVOKE)->remedy, "GRANT CONNECT ON DATABASE \"d\" TO \"me\"");
}

/* PUBLIC would leave us our group, and our group PUBLIC: one of them has to stay. */
static void one_way_in_of_two_stays(void **state)
{
	struct bench *b = *state;
	struct server_state *server;
	struct acl *acl;
	struct plan *plan;

	we_connect_by_ops(b);
	wish_grant(b, "PUBLIC", 0, "database d");
	server = with_database(b, "owner", "ops");
	acl = talloc_zero_size(b, sizeof *acl + 3 * sizeof *acl->v);
	acl->v[acl->n++] = (struct acl_entry){ NAME_NONE, id(b, "owner"), PRIV_CONNECT, 0 };
	memcpy(acl->v + 1, server->databases[0].acl->v, 2 * sizeof *acl->v);
	acl->n = 3;
	server->databases[0].acl = acl;
	no_superuser(b, server, "me");
	plan = plan_of_server(b, server);
	assert_int_equal(plan->n_changes, 2);
	assert_int_equal(plan->blocked, 1);
}

/* --- schemas that are still to be made ----------------------------------------------------------------------------- */

static void the_owner_of_a_new_schema_needs_no_grant(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	wish_role(b, "owner");
	wish_schema(b, "app", "owner");
	wish_grant(b, "owner", PRIV_USAGE, "schema app");
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->changes[0].op, CHANGE_CREATE_SCHEMA);
}

static struct default_wish *wish_default(struct bench *b, const char *creator, const char *schema, const char *to)
{
	b->manifest.defaults = talloc_realloc(b, b->manifest.defaults, struct default_wish, b->manifest.n_defaults + 1);
	b->manifest.defaults[b->manifest.n_defaults] = (struct default_wish){ .creators = names_of(b, creator), .schema = schema, .objtype = 'r',
									      .to = names_of(b, to), .privs = PRIV_SELECT, .source = { "m.conf", 7 } };
	return &b->manifest.defaults[b->manifest.n_defaults++];
}

static void defaults_wait_for_their_schema(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	wish_role(b, "owner");
	wish_role(b, "app");
	wish_default(b, "owner", "later", "app");
	plan = database_plan(b, NULL);
	assert_int_equal(change_of(plan, CHANGE_DEFAULT_GRANT)->state, CHANGE_BLOCKED);
	assert_string_equal(change_of(plan, CHANGE_DEFAULT_GRANT)->reason, "schema later does not exist");
	wish_schema(b, "later", "owner");
	plan = database_plan(b, NULL);
	assert_int_equal(change_of(plan, CHANGE_DEFAULT_GRANT)->state, CHANGE_READY);
}

static void a_warning_is_given_once(void **state)
{
	static const struct level read_only = { .name = "read-only", .schema = PRIV_USAGE, .table = PRIV_SELECT };
	struct bench *b = *state;
	struct world_object *schema;
	struct grant_wish *level;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	wish_role(b, "owner");
	wish_role(b, "app");
	schema = world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	world_grant(b->world, &schema->acl, OBJECT_SCHEMA, id(b, "owner"), id(b, "owner"), NAME_NONE, PRIV_CREATE, false);
	wish_default(b, "owner", "app", "app");
	level = wish_grant(b, "app", 0, "schema app");
	level->level = &read_only;
	level->schemas = names_of(b, "app");
	level->n_on = 0;
	assert_int_equal(database_plan(b, NULL)->n_warnings, 1);
}

/* --- extensions ---------------------------------------------------------------------------------------------------- */

static void a_column_of_an_extensions_table_is_read(void **state)
{
	struct bench *b = *state;
	struct world_object *table;
	struct database_state *database;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	wish_role(b, "app");
	wish_grant(b, "app", PRIV_SELECT, "table app.settings")->columns = names_of(b, "name");
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	table = world_object(b->world, OBJECT_TABLE, "app", "settings", "owner");
	table->columns[table->n_columns++].name = "name";
	table->columns[0].acl.is_null = true;
	world_grant(b->world, &table->columns[0].acl, OBJECT_COLUMN, id(b, "owner"), id(b, "owner"), id(b, "app"), PRIV_SELECT, false);
	database = world_database(b, b->world, true);
	for (uint32_t i = 0; i < database->n_objects; i++)
		database->objects[i].in_extension = database->objects[i].kind != OBJECT_SCHEMA;
	plan = plan_of_database(b, world_server(b, b->world), database);
	assert_int_equal(plan->n_changes, 0);
}

/* --- columns ------------------------------------------------------------------------------------------------------- */

/* Of two entries of a table one is taken, with what it takes from the column, and one cannot be: the column is granted again. */
static void a_column_is_granted_again_after_the_revoke_that_is_made(void **state)
{
	struct bench *b = *state;
	struct world_object *table;
	struct plan *plan;
	bool again = false;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "boss", ROLE_INHERIT | ROLE_SUPERUSER);     /* whose REVOKE is the owner's */
	world_role(b->world, "app", ROLE_INHERIT);
	wish_role(b, "app");
	wish_role(b, "boss")->external = true;
	b->guard.max_percent = 100;
	wish_grant(b, "app", PRIV_SELECT, "table app.users")->columns = names_of(b, "name");
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	table = world_object(b->world, OBJECT_TABLE, "app", "users", "owner");
	table->columns[table->n_columns++].name = "name";
	table->columns[0].acl.is_null = true;
	world_grant(b->world, &table->columns[0].acl, OBJECT_COLUMN, id(b, "owner"), id(b, "owner"), id(b, "app"), PRIV_SELECT, false);
	world_grant(b->world, &table->acl, OBJECT_TABLE, id(b, "owner"), id(b, "owner"), id(b, "boss"), PRIV_SELECT, true);
	world_grant(b->world, &table->acl, OBJECT_TABLE, id(b, "owner"), id(b, "boss"), id(b, "app"), PRIV_SELECT, false);
	world_grant(b->world, &table->acl, OBJECT_TABLE, id(b, "owner"), id(b, "owner"), id(b, "app"), PRIV_SELECT, false);
	plan = database_plan(b, NULL);
	for (uint32_t i = 0; i < plan->n_changes; i++)
		again |= plan->changes[i].op == CHANGE_GRANT && plan->changes[i].object_kind == OBJECT_COLUMN && plan->changes[i].state == CHANGE_READY;
	assert_true(again);
}

/* --- owners -------------------------------------------------------------------------------------------------------- */

static struct owner_wish *wish_owner(struct bench *b, const char *on, const char *owner)
{
	b->manifest.owners = talloc_realloc(b, b->manifest.owners, struct owner_wish, b->manifest.n_owners + 1);
	b->manifest.owners[b->manifest.n_owners] = (struct owner_wish){ .owner = owner, .source = { "m.conf", 9 } };
	assert_int_equal(selector_parse(b, on, &b->manifest.owners[b->manifest.n_owners].on, NULL), 0);
	return &b->manifest.owners[b->manifest.n_owners++];
}

static void what_an_extension_made_is_not_said_to_be_absent(void **state)
{
	struct bench *b = *state;
	struct database_state *database;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "other", ROLE_INHERIT);
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	world_object(b->world, OBJECT_TABLE, "app", "settings", "owner");
	wish_role(b, "other");
	wish_owner(b, "table app.settings", "other");
	database = world_database(b, b->world, true);
	database->objects[1].in_extension = true;
	plan = plan_of_database(b, world_server(b, b->world), database);
	assert_int_equal(plan->n_changes, 1);
	assert_int_equal(plan->changes[0].state, CHANGE_BLOCKED);
	assert_string_equal(plan->changes[0].reason, "table app.settings belongs to an extension, and so does its owner");
}

/* Two that speak of one object: the exact name, else the first, and not each in turn. */
static void an_object_has_one_owner(void **state)
{
	struct bench *b = *state;
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "a", ROLE_INHERIT);
	world_role(b->world, "b", ROLE_INHERIT);
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	world_object(b->world, OBJECT_TABLE, "app", "t1", "a");
	world_object(b->world, OBJECT_TABLE, "app", "t2", "owner");
	wish_owner(b, "table app.*", "a");
	wish_owner(b, "table app.t*", "owner");
	wish_owner(b, "table app.t2", "b");
	plan = database_plan(b, NULL);
	assert_int_equal(plan->n_changes, 1);
	assert_string_equal(plan->changes[0].names[0], "t2");
	assert_int_equal(plan->changes[0].role, id(b, "b"));
}

/* --- policies ------------------------------------------------------------------------------------------------------ */

/* What keeps the role is said in the server's plan; without its policies row security would hide everything. */
static void a_policy_waits_for_its_role(void **state)
{
	struct bench *b = *state;
	struct policy_wish policy = { .name = "p", .command = '*', .permissive = true, .to = names_of(b, "app"), .using_expr = "true" };
	struct row_security_wish wish = { .schema = "app", .table = "t", .has_enable = true, .enable = true, .policies = &policy, .n_policies = 1 };
	struct plan *plan;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	world_object(b->world, OBJECT_TABLE, "app", "t", "owner");
	wish_role(b, "app");
	b->manifest.row_security = &wish;
	b->manifest.n_row_security = 1;
	plan = plan_of_database(b, world_server(b, b->world), world_database(b, b->world, true));
	assert_string_equal(change_of(plan, CHANGE_CREATE_POLICY)->reason, "role app does not exist yet");
	assert_string_equal(change_of(plan, CHANGE_CREATE_POLICY)->remedy, "see the plan of target s");
	assert_int_equal(change_of(plan, CHANGE_ROW_SECURITY)->state, CHANGE_BLOCKED);
	world_role(b->world, "app", ROLE_INHERIT);
	plan = plan_of_database(b, world_server(b, b->world), world_database(b, b->world, true));
	assert_int_equal(plan->ready, 2);
}

/* --- sizes --------------------------------------------------------------------------------------------------------- */

/* From 18 on a transaction locks every table that it names; on every version so does OWNER TO. */
static void a_transaction_names_a_thousand_objects(void **state)
{
	enum { N = 2500 };
	struct bench *b = *state;
	struct database_state *database;
	struct text *names = text_new(b);
	struct group *groups;
	struct plan *plan;
	uint32_t n, total = 0;

	world_role(b->world, "owner", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	wish_role(b, "app");
	wish_grant(b, "app", PRIV_SELECT, "table app.*");
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "owner");
	world_object(b->world, OBJECT_TABLE, "app", "t", "owner");
	database = world_database(b, b->world, true);
	for (int i = 0; i < N; i++)
		text_addf(names, "%ct%d", i ? ',' : '{', i);
	text_add(names, "}");
	database->objects[1].names = names->s;
	database->objects[1].names_len = names->len;
	database->objects[1].n = N;
	plan = plan_of_database(b, world_server(b, b->world), database);
	groups = plan_groups(b, plan, PHASE_ROLES, PHASE_DROPS, &n);
	for (uint32_t i = 0; i < n; i++) {
		uint32_t objects = 0;

		for (uint32_t k = 0; k < groups[i].n; k++)
			objects += plan->changes[groups[i].first + k].n;
		assert_in_range(objects, 1, 1000);
		total += objects;
	}
	assert_int_equal(total, N);
	for (uint32_t i = 1; i < plan->n_changes; i++)      /* which are together does not depend on how a look groups them */
		assert_true(strcmp(plan->changes[i - 1].names[plan->changes[i - 1].n - 1], plan->changes[i].names[0]) < 0);
}

/* --- words --------------------------------------------------------------------------------------------------------- */

/* What an administrator is told to run must be what he can run, and must help. */
static void remedies_are_sql(void **state)
{
	struct bench *b = *state;
	struct server_state *server;
	struct database_state *database;
	struct plan *plan;

	world_role(b->world, "o\"wner", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	world_role(b->world, "m\"e", ROLE_LOGIN);
	wish_role(b, "app");
	wish_grant(b, "app", PRIV_SELECT, "table app.t");
	world_object(b->world, OBJECT_SCHEMA, NULL, "app", "o\"wner");
	world_object(b->world, OBJECT_TABLE, "app", "t", "o\"wner");
	server = world_server(b, b->world);
	no_superuser(b, server, "m\"e");
	database = world_database(b, b->world, true);
	plan = plan_of_database(b, server, database);
	assert_int_equal(change_of(plan, CHANGE_GRANT)->state, CHANGE_BLOCKED);
	assert_string_equal(change_of(plan, CHANGE_GRANT)->remedy,
			    "as a superuser, run once: GRANT \"o\"\"wner\" TO \"m\"\"e\" WITH INHERIT TRUE, SET TRUE");
}

/* Nobody can be made a member of pg_database_owner: its one member is whoever owns the database. */
static void the_owner_of_the_database_is_named(void **state)
{
	struct bench *b = *state;
	struct server_state *server;
	struct database_state *database;
	struct plan *plan;

	world_role(b->world, "pg_database_owner", ROLE_INHERIT);
	world_role(b->world, "dba", ROLE_INHERIT);
	world_role(b->world, "app", ROLE_INHERIT);
	world_role(b->world, "me", ROLE_LOGIN | ROLE_INHERIT);
	wish_role(b, "app");
	wish_grant(b, "app", PRIV_USAGE, "schema public");
	wish_schema(b, "mine", "pg_database_owner");
	world_object(b->world, OBJECT_SCHEMA, NULL, "public", "pg_database_owner");
	world_object(b->world, OBJECT_SCHEMA, NULL, "mine", "me");
	server = with_database(b, "dba", "app");
	no_superuser(b, server, "me");
	database = world_database(b, b->world, true);
	database->facts.database = id(b, "d");
	plan = plan_of_database(b, server, database);
	assert_string_equal(change_of(plan, CHANGE_GRANT)->remedy, "as a superuser, run once: GRANT \"dba\" TO \"me\" WITH INHERIT TRUE, SET TRUE");
	assert_string_equal(change_of(plan, CHANGE_OWNER)->remedy, "GRANT \"dba\" TO \"me\" WITH INHERIT TRUE, SET TRUE");
	server->databases[0].owner = id(b, "me");
	plan = plan_of_database(b, server, database);
	assert_int_equal(change_of(plan, CHANGE_GRANT)->state, CHANGE_READY);
	assert_int_equal(change_of(plan, CHANGE_OWNER)->state, CHANGE_READY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_shared_stays_with_a_role_that_can_log_in), TEST(defaults_of_a_role_that_can_log_in_stay), TEST(our_group_keeps_connect),
		TEST(one_way_in_of_two_stays), TEST(the_owner_of_a_new_schema_needs_no_grant), TEST(defaults_wait_for_their_schema),
		TEST(a_warning_is_given_once), TEST(a_column_of_an_extensions_table_is_read),
		TEST(a_column_is_granted_again_after_the_revoke_that_is_made), TEST(what_an_extension_made_is_not_said_to_be_absent),
		TEST(an_object_has_one_owner), TEST(a_policy_waits_for_its_role), TEST(a_transaction_names_a_thousand_objects), TEST(remedies_are_sql),
		TEST(the_owner_of_the_database_is_named),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
