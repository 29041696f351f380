/* SPDX-License-Identifier: PostgreSQL */
/* The compiled wishes of one target. Only for src/reconcile. */
#ifndef DBR_RECONCILE_DESIRED_INTERNAL_H
#define DBR_RECONCILE_DESIRED_INTERNAL_H

#include "reconcile/desired.h"

/* One grantee on one selector: every grant of a manifest becomes some of these. */
struct rule {
	name_id grantee;              /* NAME_NONE = PUBLIC */
	struct selector on;           /* kind may be OBJECT_COLUMN: then on selects the tables */
	name_id schema;               /* of a literal schema, else NAME_NONE */
	const struct selector *except;
	uint32_t n_except;
	const char *column;
	privs_t privs;
	bool all;                     /* every privilege of the kind on that server */
	bool grantable;
	bool whole;                   /* every object of the kind in the schema: no name needs to be read */
	bool exact;                   /* its manifest is exact: the objects are in scope */
	bool revoke_unmanaged;
	bool level;                   /* from a level: an absent object is no surprise */
	bool ledger;                  /* what the migration user needs on the schema of its ledger: CREATE too until the table is there */
	struct source source;
};

/* Rules of one (kind, schema), found by binary search; schema NAME_NONE holds the ones with a glob for a schema and the
   kinds that live in no schema. */
struct rule_key {
	uint64_t key;
	uint32_t rule;
};

/* Default privileges wanted: from levels (creators = whoever can create in the schema) or written out. */
struct default_rule {
	name_id creator;              /* NAME_NONE = every role that can create in schema */
	name_id schema;               /* NAME_NONE = global */
	char objtype;
	name_id grantee;
	privs_t privs;
	bool all, grantable, exact, revoke_unmanaged;
	struct source source;
};

/* A schema that an exact manifest names as a whole. */
struct scope_schema {
	name_id schema;
	bool revoke_unmanaged;
};

struct membership_want {
	name_id role, member;
	bool has_admin, admin, has_inherit, inherit, has_set, set;
	const char *until;
	struct source source;
};

struct setting_want {
	name_id role, database;
	const char *name, *value;     /* value NULL = must be absent */
	struct source source;
};

struct role_want {
	name_id name, renamed_from, reassign_to;
	const struct role_wish *wish;
	bool exact;                   /* declared in an exact manifest */
};

/* Whose settings an exact manifest describes completely. */
struct setting_scope {
	name_id role, database;
};

struct database_want {
	name_id name;
	name_id owner;
	const struct database_wish *wish;
};

struct desired {
	struct names *names;
	const struct server_settings *server;
	const struct database_settings *database;    /* NULL: the server target */
	uint8_t *managed;             /* by name_id: 1 declared, 2 named only (external, member_of) */
	uint32_t n_managed;
	struct role_want *roles; uint32_t n_roles;
	struct membership_want *memberships; uint32_t n_memberships;
	struct setting_want *settings; uint32_t n_settings;
	struct setting_scope *setting_scopes; uint32_t n_setting_scopes;
	struct database_want *databases; uint32_t n_databases;
	struct rule *rules; uint32_t n_rules;
	struct rule_key *keys; uint32_t n_keys;
	struct default_rule *defaults; uint32_t n_defaults;
	struct scope_schema *scopes; uint32_t n_scopes;
};

static inline bool desired_manages(const struct desired *desired, name_id role)
{
	return role < desired->n_managed && desired->managed[role] == 1;
}

/* Declared, or external. */
static inline bool desired_names(const struct desired *desired, name_id role)
{
	return role < desired->n_managed && desired->managed[role] != 0;
}

/* Of a server: with what manifests say of "their" database where they are used for a pattern, for each database that is there. A
   copy, child of parent, or the same when there is nothing to add. */
struct desired *desired_with_patterns(void *parent, struct desired *, const struct server_state *);

/* The manifests that speak for this target. */
const struct manifest *const *desired_manifests(const struct desired *, uint32_t *ret_n);

/* NULL when no exact manifest names the schema as a whole. */
const struct scope_schema *desired_scope(const struct desired *, name_id schema);

/* First of the rules for (kind, schema), *ret_n of them in a row. */
const struct rule_key *desired_rules(const struct desired *, enum object_kind kind, name_id schema, uint32_t *ret_n);

#endif
