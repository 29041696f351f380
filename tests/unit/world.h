/* SPDX-License-Identifier: PostgreSQL */
/*
 * A small model of a server and one database, for proofs about plans: it can
 * be observed as a look would see it, and a change can be applied to it as
 * PostgreSQL would. Semantics of GRANT and REVOKE: aclupdate() and
 * recursive_revoke() of acl.c, executed by a superuser.
 */
#ifndef DBR_TESTS_WORLD_H
#define DBR_TESTS_WORLD_H

#include "reconcile/plan.h"

struct world_acl {
	bool is_null;
	uint32_t n;
	struct acl_entry v[64];
};

struct world_object {
	enum object_kind kind;
	char relkind;
	name_id schema, owner;
	const char *name;
	struct world_acl acl;
	struct { const char *name; struct world_acl acl; } columns[4];
	uint32_t n_columns;
	bool dropped;
};

struct world_default {
	name_id role, schema;
	char objtype;
	struct world_acl acl;
};

struct world {
	struct names *names;
	int version_num;
	name_id superuser;
	struct role roles[32]; uint32_t n_roles;
	struct membership memberships[256]; uint32_t n_memberships;
	struct setting settings[256]; uint32_t n_settings;
	struct world_object objects[64]; uint32_t n_objects;
	struct world_default defaults[128]; uint32_t n_defaults;
};

struct world *world_new(void *parent, int version_num);
name_id world_role(struct world *, const char *name, unsigned attrs);
struct world_object *world_object(struct world *, enum object_kind, const char *schema, const char *name, const char *owner);
void world_grant(struct world *, struct world_acl *, enum object_kind, name_id owner, name_id grantor, name_id grantee, privs_t, bool option);

/* grouped: equal objects share a group with an array of names, as QUERY_RELATIONS gives them. */
struct server_state *world_server(void *parent, struct world *);
struct database_state *world_database(void *parent, struct world *, bool grouped);

/* Everything in it as sorted lines: equal for worlds that are the same. */
char *world_text(void *parent, struct world *);

/* 0 applied; 1 PostgreSQL would refuse: *ret_why. */
int world_apply(struct world *, const struct plan *, const struct change *, const char **ret_why);

#endif
