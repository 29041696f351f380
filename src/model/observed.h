/* SPDX-License-Identifier: PostgreSQL */
/*
 * What a look found: the shared catalogs of a server, and the catalogs of one
 * database. Decoded by catalog/, read by reconcile/. Strings point into the
 * rowsets, which must outlive the model; arrays are talloc children of it.
 *
 * Objects come grouped: one struct object_group for all objects that share
 * (kind, schema, owner, flags, acl), with the members' names as the server's
 * array text, split only when somebody must name them. That is why 20,000
 * tables cost some hundred groups.
 */
#ifndef DBR_MODEL_OBSERVED_H
#define DBR_MODEL_OBSERVED_H

#include <stdbool.h>
#include <stdint.h>

#include "base/names.h"
#include "model/acl.h"
#include "model/role.h"

struct server_facts {
	int version_num;               /* 150020 */
	bool in_recovery;
	uint64_t system_identifier;    /* 0 when withdrawn */
	name_id me;                    /* current_user */
	bool is_superuser, createrole, createdb, replication, bypassrls;
	bool can_read_verifiers;       /* SELECT on pg_authid */
	name_id bootstrap;             /* the role with oid 10 */
	name_id database;              /* the one this session is in */
	uint32_t database_oid;
	const char *snapshot;          /* pg_current_snapshot() of the look */
	const char *now;               /* server's clock, UTC, "2026-11-21T09:30:00.000000Z": judges valid_until and until */
};

struct database {
	name_id name, owner;
	uint32_t oid;
	bool allow_connections;
	int32_t connection_limit;      /* -2 = half-dropped */
	const struct acl *acl;
};

struct object_group {
	enum object_kind kind;
	char relkind;                  /* OBJECT_TABLE: r p v m f; OBJECT_COLUMN: its table's, or S; else 0 */
	bool row_security, force_row_security;
	bool in_extension;             /* members of an extension: outside patterns */
	name_id schema;                /* NAME_NONE when the kind lives in none */
	name_id owner;
	const char *column;            /* OBJECT_COLUMN: the column's name; the members are tables */
	const struct acl *acl;         /* never NULL; equal texts share one */
	const struct acl *initial;     /* pg_init_privs of extension members, else NULL */
	uint32_t n;
	const char *names;             /* array text "{a,\"b c\"}", or the bare name when n == 1 and names_array is false */
	size_t names_len;
	bool names_array;
};

struct default_acl {
	name_id role, schema;          /* schema NAME_NONE = global */
	char objtype;                  /* r S f T n L */
	const struct acl *acl;
};

/* Its function runs with the rights of whoever makes a statement that it watches, and its owner may replace it. */
struct event_trigger {
	const char *name;
	const char *function;          /* app.audit() */
	name_id owner;                 /* of the function */
	const char *tags;              /* array text: the commands that it watches; NULL = every one */
	size_t tags_len;
};

struct extension {
	const char *name, *version, *schema;
	const char *default_version;   /* NULL when available extensions were not asked for, or this one is not available */
	name_id owner;
	bool relocatable;
};

struct policy {
	name_id schema;
	const char *table, *name, *comment;
	char command;                  /* '*' r a w d */
	bool permissive;
	const char *roles;             /* array text of role names, "PUBLIC" for 0 */
	const char *using_expr, *check_expr;   /* NULL = none */
};

/* A relation that may be the migration ledger: read only when it is what we think it is. */
struct ledger_relation {
	bool exists;
	uint32_t oid;
	char relkind;
	name_id owner;
	bool plain;                    /* ordinary table, no rules, triggers, policies, inheritance */
	bool readable;                 /* by our session */
	const char *schema_owner;
	bool schema_exists;
};

/* What a role that is to go leaves behind, counted; strings point into the rows. Asked for only when roles are to go. */
struct role_dependency {
	name_id role;
	name_id database;              /* NAME_NONE = shared objects */
	char type;                     /* pg_shdepend.deptype: 'o' owner, 'a' ACL, 'r' policy, 'i' initial ACL (17+); 's' sessions */
	const char *catalog;           /* "pg_class"; NULL when not known here */
	uint32_t n;
	const char *objects;           /* some of them: "table app.users, view app.v"; NULL in other databases */
};

struct server_state {
	struct server_facts facts;
	struct names *names;           /* not owned */
	struct role *roles; uint32_t n_roles;                     /* sorted by name id */
	struct membership *memberships; uint32_t n_memberships;   /* sorted by (role, member, grantor) */
	struct setting *settings; uint32_t n_settings;            /* sorted by (role, database, name) */
	struct database *databases; uint32_t n_databases;
	struct object_group *objects; uint32_t n_objects;         /* tablespaces, parameters */
	struct role_dependency *dependencies; uint32_t n_dependencies;
};

/* Half dropped: nobody may connect, and DROP DATABASE alone is taken (DATCONNLIMIT_INVALID_DB of PostgreSQL). */
static inline bool database_is_invalid(const struct database *database)
{
	return database->connection_limit == -2;
}

struct database_state {
	struct server_facts facts;
	struct names *names;           /* not owned */
	struct object_group *objects; uint32_t n_objects;         /* schemas and everything in them, languages, ... */
	struct default_acl *default_acls; uint32_t n_default_acls;
	struct event_trigger *event_triggers; uint32_t n_event_triggers;
	struct extension *extensions; uint32_t n_extensions;
	const char **available_extensions; uint32_t n_available;  /* NULL when not asked */
	const bool *untrusted_extensions;                         /* of each: only a superuser may create it */
	struct policy *policies; uint32_t n_policies;
	struct ledger_relation ledger;
	struct role_dependency *dependencies; uint32_t n_dependencies;
};

/* NULL when there is no such role; roles are sorted, this is a binary search. */
const struct role *server_role(const struct server_state *, name_id name);
/* First of the settings of a role (NAME_NONE = of every one) in a database (NAME_NONE = in each), *ret_n of them: they are sorted so. */
const struct setting *server_settings_of(const struct server_state *, name_id role, name_id database, uint32_t *ret_n);
/* Is it what PostgreSQL 16 and later give who creates a role and is no superuser: ADMIN alone, granted by the bootstrap superuser? Who
   may not create roles any more, or never could, holds it by somebody's will. */
bool membership_of_creator(const struct server_state *, const struct membership *);
/* The database that was looked at, among those of the server's look; NULL when that has none of its name, or here is NULL. */
const struct database *server_database(const struct server_state *, const struct database_state *here);

/* Walks the members of a group: pass *cursor = 0 first; returns the next name, unescaped into scratch (a talloc
   text the caller owns) or pointing into the rows, with its length; NULL at the end. */
struct text;
const char *object_group_next(const struct object_group *, size_t *cursor, struct text *scratch, size_t *ret_len);
/* The same walk over any one-dimensional array text of the server. An element that is NULL comes as "". */
const char *array_next(const char *array, size_t len, size_t *cursor, struct text *scratch, size_t *ret_len);

#endif
