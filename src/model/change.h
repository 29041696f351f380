/* SPDX-License-Identifier: PostgreSQL */
/*
 * A change: one correction that a plan may hold, from the diff to the SQL text
 * and to the line that people read. Neutral values only; reconcile/sql.c turns
 * one into statements.
 */
#ifndef DBR_MODEL_CHANGE_H
#define DBR_MODEL_CHANGE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/names.h"
#include "model/kind.h"

enum change_op {
	CHANGE_CREATE_ROLE,
	CHANGE_RENAME_ROLE,
	CHANGE_ALTER_ROLE,            /* attributes, connection limit, valid until: only what differs */
	CHANGE_SET_PASSWORD,
	CHANGE_COMMENT_ROLE,
	CHANGE_SET_SETTING,           /* role and/or database */
	CHANGE_RESET_SETTING,
	CHANGE_GRANT_MEMBERSHIP,
	CHANGE_REVOKE_MEMBERSHIP,
	CHANGE_CREATE_DATABASE,       /* no transaction may be open */
	CHANGE_CREATE_SCHEMA,
	CHANGE_CREATE_EXTENSION,
	CHANGE_UPDATE_EXTENSION,
	CHANGE_MOVE_EXTENSION,        /* SET SCHEMA */
	CHANGE_DROP_EXTENSION,
	CHANGE_MIGRATE,               /* one pending migration; run by the engine, not as SQL of ours */
	CHANGE_OWNER,
	CHANGE_GRANT,
	CHANGE_REVOKE,
	CHANGE_REVOKE_GRANT_OPTION,
	CHANGE_DEFAULT_GRANT,
	CHANGE_DEFAULT_REVOKE,
	CHANGE_ROW_SECURITY,          /* enable, disable, force, no force */
	CHANGE_CREATE_POLICY,
	CHANGE_ALTER_POLICY,
	CHANGE_REPLACE_POLICY,        /* command or kind differs: drop and create in one transaction */
	CHANGE_DROP_POLICY,
	CHANGE_REASSIGN_OWNED,
	CHANGE_END_SESSIONS,          /* of a role that is to go */
	CHANGE_DROP_ROLE,
	CHANGE_DROP_SCHEMA,           /* an empty one; only to take back that it was made */
	CHANGE_COMMENT_POLICY,        /* likewise: replacing a policy loses its comment */
	CHANGE_UNDO,                  /* several changes that take back a recorded one, see struct undo_change */
	CHANGE_OPS
};
const char *change_op_name(enum change_op);      /* "grant_membership" */

/* The metrics label and the sections of `show`. */
enum drift_kind {
	DRIFT_ROLE, DRIFT_MEMBERSHIP, DRIFT_SETTING, DRIFT_DATABASE, DRIFT_SCHEMA, DRIFT_EXTENSION, DRIFT_OWNER, DRIFT_GRANT,
	DRIFT_DEFAULT_PRIVILEGE, DRIFT_ROW_SECURITY, DRIFT_LEDGER, DRIFT_KINDS
};
const char *drift_kind_name(enum drift_kind);    /* "default_privilege" */

enum change_state { CHANGE_READY, CHANGE_HELD, CHANGE_BLOCKED };

/* The order in which a pass works; one phase may hold many groups (transactions). */
enum change_phase {
	PHASE_ROLES, PHASE_SCHEMAS, PHASE_EXTENSIONS, PHASE_MEMBERSHIPS, PHASE_DATABASES, PHASE_SETTINGS, PHASE_MIGRATIONS, PHASE_OWNERS, PHASE_GRANTS,
	PHASE_DEFAULTS, PHASE_ROW_SECURITY, PHASE_REVOKES, PHASE_DROPS, PHASES
};

/* Where a wish was written. */
struct source {
	const char *file;
	unsigned line;
};

struct change;

/* One column that a REVOKE on its table takes along. */
struct column_taken {
	const char *table, *column;
	privs_t privs, options;       /* options: of privileges held WITH GRANT OPTION */
};

/* What was there before, as far as the change itself does not tell: so it can be taken back exactly. */
struct change_was {
	unsigned attrs;
	int32_t connection_limit;
	const char *valid_until;
	const char *comment;          /* of the policy */
	const struct change *policy;  /* a CHANGE_CREATE_POLICY of the one that was there */
	bool member, admin, inherit, set;     /* member: the membership was there, with these options */
	name_id grantor;              /* of a membership */
	privs_t privs, options;       /* GRANT: of privs, what the same grantor had given. REVOKE: of privs, what was grantable.
	                                 OWNER: what the new owner held from the old one */
	bool named;                   /* OWNER: the list names the new owner as a grantee, privs and own hold */
	privs_t own, own_options;     /* OWNER: what the old owner held himself */
	const char *behind;           /* RESET of a setting: see change.behind */
	struct column_taken *columns;
	uint32_t n_columns;
	const char *no_inverse;       /* why it cannot be taken back exactly, though changes of its kind can */
};

/* Takes back change number id. forward: what that one did, which is in turn what takes this back. */
struct undo_change {
	int64_t id;
	const struct change *parts, *forward;
	uint32_t n_parts, n_forward;
};

struct change {
	enum change_op op;
	enum drift_kind kind;
	enum change_phase phase;
	enum change_state state;
	const char *reason;           /* why held or blocked; NULL when ready */
	const char *remedy;           /* what to do about it: SQL for an administrator, or words; may be NULL */
	name_id role;                 /* the role changed, the grantee (NAME_NONE = PUBLIC), the new owner, the member */
	name_id other;                /* the group role, the creator of defaults, the reassign target, the old name or owner */
	name_id grantor;              /* act as this role (NAME_NONE = ourselves); memberships: GRANTED BY */
	/* the objects: n names of one kind, in one schema */
	enum object_kind object_kind;
	char relkind;
	char objtype;                 /* default privileges: r S f T n L */
	name_id schema;
	const char **names;           /* routines with their arguments: f(integer, text) */
	uint32_t n;                   /* how many objects this counts for in drift and budgets: >= 1 */
	const char *column;
	privs_t privs;
	bool grantable;               /* WITH GRANT OPTION / ADMIN */
	bool own;                     /* REVOKE of what the owner holds himself: part of giving an object back, no harm to him */
	bool inherit, set, admin;     /* membership options */
	unsigned attrs, attrs_mask;   /* roles: bits to set, and which */
	bool has_connection_limit; int32_t connection_limit;
	bool has_valid_until; const char *valid_until;     /* NULL = infinity */
	name_id database;             /* settings IN DATABASE, database privileges */
	const char *name;             /* setting, extension, policy, migration version */
	const char *value;            /* wanted value or text; for CHANGE_SET_PASSWORD the verifier: never shown */
	const char *extra;            /* second text: check expression, schema of an extension, script name */
	const char *roles;            /* policy roles as SQL list text */
	const char *behind;           /* SET of a setting that comes back: the names that stood behind it, a line each */
	char command;                 /* policy: '*' r a w d */
	bool permissive, enable, force, has_enable, has_force;
	bool lends_usage;             /* the grantor has no USAGE on the schema: it is lent to him, by lender if that is somebody else than we */
	name_id lender;
	bool undone;                  /* somebody took it back: held, whatever the budgets allow */
	bool retires;                 /* part of retiring a role: done before it is dropped */
	const char *approval;         /* a migration that a policy holds, an undo: under which id it is approved */
	struct migration_finding *findings;   /* of a migration: what it does to others (migrate/lint.h) */
	uint32_t n_findings;
	int64_t oldest_transaction_s; /* who would keep its locks waiting; 0 = nobody for long */
	const char *from;             /* what is there, for people; may be NULL */
	struct change_was was;
	const struct undo_change *undo;
	struct source source;
};

#endif
