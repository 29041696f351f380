/* SPDX-License-Identifier: PostgreSQL */
/* A server and a database of a small model (world.h), a manifest beside them, and the plans that come of it. */
#ifndef DBR_TESTS_BENCH_H
#define DBR_TESTS_BENCH_H

#include "world.h"

/* One server "s" with one database "d", one exact manifest; the parts are filled by the tests. */
struct bench {
	struct world *world;
	struct manifest manifest;
	const struct manifest *manifests[1];
	struct server_settings server;
	struct database_settings database;
	struct guard_settings guard;
};

int bench_setup(void **state);
int bench_teardown(void **state);
#define TEST(f) cmocka_unit_test_setup_teardown(f, bench_setup, bench_teardown)

struct role_wish *wish_role(struct bench *b, const char *name);
struct strings names_of(struct bench *b, const char *name);
struct grant_wish *wish_grant(struct bench *b, const char *to, privs_t privs, const char *on);
struct plan *server_plan(struct bench *b, const char *approved);
struct plan *database_plan(struct bench *b, const char *approved);
struct plan *empty_plan(struct bench *b);
struct change *change_of(struct plan *plan, enum change_op op);

#endif
