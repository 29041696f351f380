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

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(what_is_shared_stays_with_a_role_that_can_log_in), TEST(defaults_of_a_role_that_can_log_in_stay),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
