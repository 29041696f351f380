/* SPDX-License-Identifier: PostgreSQL */
/*
 * A manifest: the desired state as it was written, with names still text and
 * every wish knowing its file and line. reconcile/desired.c compiles manifests
 * into what a target should look like.
 */
#ifndef DBR_CONFIG_MANIFEST_H
#define DBR_CONFIG_MANIFEST_H

#include <stdbool.h>
#include <stdint.h>

#include "model/change.h"
#include "model/selector.h"

enum secret_kind { SECRET_NONE, SECRET_FILE, SECRET_CREDENTIAL, SECRET_COMMAND };

/* Where a password comes from; the password itself is never in the settings. */
struct secret_source {
	enum secret_kind kind;
	const char *value;            /* path, credential name, command line */
	struct source source;
};

struct strings {
	const char **v;
	uint32_t n;
};

struct name_value {
	const char *name, *value;     /* value NULL = must be absent (settings) */
	struct source source;
};

struct setting_block {
	const char *database;         /* NULL = everywhere */
	struct name_value *v;
	uint32_t n;
	struct source source;
};

struct role_wish {
	const char *name, *renamed_from;
	bool absent;                  /* ensure = "absent" */
	bool external;                /* ensure = "external": referenced, never altered */
	unsigned attrs, attrs_mask;   /* only what was written is managed */
	bool has_connection_limit; int32_t connection_limit;
	bool has_valid_until; const char *valid_until;   /* as the server prints it in UTC; NULL = infinity */
	const char *comment;          /* NULL = not managed; "" = none */
	struct secret_source password;
	struct setting_block *settings; uint32_t n_settings;
	struct strings member_of;
	const char *reassign_owned_to;   /* absent only */
	struct source source;
};

struct membership_wish {
	const char *role;
	struct strings members;
	bool has_admin, admin, has_inherit, inherit, has_set, set;
	const char *until;            /* UTC timestamp after which the membership is withdrawn; NULL = for ever */
	struct source source;
};

enum ensure { ENSURE_PRESENT, ENSURE_ABSENT };

struct extension_wish {
	const char *name, *version, *schema;   /* NULL = not managed */
	enum ensure ensure;
	struct source source;
};

struct schema_wish {
	const char *name, *owner;     /* owner NULL = not managed */
	struct source source;
};

/* What a level gives, per kind of object; "read-only", "read-write", "admin" are built in. */
struct level {
	const char *name;
	const char *extends;          /* as written; what it gives is already in the fields below */
	privs_t schema, table, sequence, routine, type;
	bool complete;                /* config/ only: while levels are put together */
	struct source source;
};

struct grant_wish {
	struct strings to;            /* role names; "PUBLIC" means PUBLIC */
	const struct level *level;    /* with schemas; NULL = explicit privileges */
	struct strings schemas;       /* level: schema names (no globs) */
	privs_t privs;                /* explicit; 0 = exactly nothing */
	bool all;                     /* "ALL": every privilege of the kind on that server */
	struct selector *on; uint32_t n_on;
	struct selector *except; uint32_t n_except;
	struct strings columns;
	bool grant_option;
	struct source source;
};

struct default_wish {
	struct strings creators;      /* for = ...; empty = every role that can create in the schema */
	const char *schema;           /* NULL = global */
	char objtype;                 /* r S f T n L */
	struct strings to;
	privs_t privs; bool all;      /* 0 = exactly nothing */
	bool grant_option;
	struct source source;
};

struct owner_wish {
	struct selector on;
	const char *owner;
	struct source source;
};

struct database_wish {            /* databases: ( { name = "orders"; owner; connection_limit; settings } ) in a manifest */
	const char *name;             /* NULL = the database that the manifest is used for */
	const char *owner;
	bool has_connection_limit; int32_t connection_limit;
	struct name_value *settings; uint32_t n_settings;      /* NULL = none are written; an empty list is one */
	struct source source;
};

struct policy_wish {
	const char *name;
	char command;                 /* '*' r a w d */
	bool permissive;
	struct strings to;            /* empty = PUBLIC */
	const char *using_expr, *check_expr;
	enum ensure ensure;
	struct source source;
};

struct row_security_wish {
	const char *schema, *table;
	bool has_enable, enable, has_force, force;
	struct policy_wish *policies; uint32_t n_policies;
	struct source source;
};

enum authority { AUTHORITY_ADDITIVE, AUTHORITY_EXACT };

struct manifest {
	const char *name;             /* file name without .conf */
	const char *file;
	enum authority authority;
	bool revoke_unmanaged_grantees;
	bool end_marker;              /* the file ends with "# end" */
	bool doubtful;                /* config/ only: it or its roles could not be read, what it declares is not known */
	struct role_wish *roles; uint32_t n_roles;
	struct membership_wish *memberships; uint32_t n_memberships;
	struct extension_wish *extensions; uint32_t n_extensions;
	struct schema_wish *schemas; uint32_t n_schemas;
	struct grant_wish *grants; uint32_t n_grants;
	struct default_wish *defaults; uint32_t n_defaults;
	struct owner_wish *owners; uint32_t n_owners;
	struct database_wish *databases; uint32_t n_databases;
	struct name_value *settings; uint32_t n_settings;      /* of every role in every database: ALTER ROLE ALL SET */
	struct row_security_wish *row_security; uint32_t n_row_security;
	struct level *levels; uint32_t n_levels;       /* own ones */
};

/* names.c: can a manifest hold it? 0, or 1 with *ret_reason. What is inside of a database has the names that its owners gave it;
   those of roles and databases hold no control characters. */
int object_name_check(const char *name, const char **ret_reason);
int name_check(const char *name, const char **ret_reason);
int role_name_check(const char *name, const char **ret_reason);
/* timestamp.c: text to "2027-01-01T00:00:00.000000Z"; "" for infinity. 1: not a time. */
int timestamp_parse(const char *s, char ret[32]);
/* gucs.c: is it a name that PostgreSQL takes for a setting? */
bool setting_name_check(const char *name);

#endif
