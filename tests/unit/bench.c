/* SPDX-License-Identifier: PostgreSQL */
#include "bench.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <talloc.h>

int bench_setup(void **state)
{
	struct bench *b = talloc_zero(NULL, struct bench);

	b->world = world_new(b, 160000);
	b->manifest = (struct manifest){ .name = "m", .file = "m.conf", .authority = AUTHORITY_EXACT };
	b->manifests[0] = &b->manifest;
	b->server = (struct server_settings){ .name = "s", .manifests = b->manifests, .n_manifests = 1, .all_manifests = b->manifests,
					      .n_all_manifests = 1 };
	b->database = (struct database_settings){ .name = "d", .manifests = b->manifests, .n_manifests = 1 };
	b->guard = (struct guard_settings){ .max_revokes = 20, .max_drops = 0, .max_percent = 10 };
	*state = b;
	return 0;
}

int bench_teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

struct role_wish *wish_role(struct bench *b, const char *name)
{
	b->manifest.roles = talloc_realloc(b, b->manifest.roles, struct role_wish, b->manifest.n_roles + 1);
	b->manifest.roles[b->manifest.n_roles] = (struct role_wish){ .name = name, .source = { "m.conf", b->manifest.n_roles + 1 } };
	return &b->manifest.roles[b->manifest.n_roles++];
}

struct strings names_of(struct bench *b, const char *name)
{
	const char **v = talloc_array(b, const char *, 1);

	v[0] = name;
	return (struct strings){ v, 1 };
}

struct grant_wish *wish_grant(struct bench *b, const char *to, privs_t privs, const char *on)
{
	struct grant_wish *g;

	b->manifest.grants = talloc_realloc(b, b->manifest.grants, struct grant_wish, b->manifest.n_grants + 1);
	g = &b->manifest.grants[b->manifest.n_grants++];
	*g = (struct grant_wish){ .to = names_of(b, to), .privs = privs, .n_on = 1, .source = { "m.conf", 50 } };
	g->on = talloc_zero_array(b, struct selector, 1);
	assert_int_equal(selector_parse(b, on, &g->on[0], NULL), 0);
	return g;
}

struct plan *server_plan(struct bench *b, const char *approved)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s", .approved = approved };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_server(b, b->world->names, &b->server, &desired, NULL), 0);
	assert_int_equal(plan_server(b, &context, desired, world_server(b, b->world), &plan, NULL), 0);
	return plan;
}

struct plan *database_plan(struct bench *b, const char *approved)
{
	struct plan_context context = { .guard = &b->guard, .server = "s", .target = "s/d", .approved = approved };
	struct desired *desired;
	struct plan *plan;

	assert_int_equal(desired_database(b, b->world->names, &b->server, &b->database, "d", &desired, NULL), 0);
	assert_int_equal(plan_database(b, &context, desired, world_server(b, b->world), world_database(b, b->world, true), &plan, NULL), 0);
	return plan;
}

struct plan *empty_plan(struct bench *b)
{
	struct plan *plan = talloc_zero(b, struct plan);

	plan->names = b->world->names;
	return plan;
}

struct change *change_of(struct plan *plan, enum change_op op)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].op == op)
			return &plan->changes[i];
	return NULL;
}
