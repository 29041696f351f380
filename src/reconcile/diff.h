/* SPDX-License-Identifier: PostgreSQL */
/*
 * (desired, observed) -> changes. Only for src/reconcile: plan.c calls the
 * parts in turn. Everything found is appended to one list; equal grants on
 * several objects become one change with many names.
 */
#ifndef DBR_RECONCILE_DIFF_H
#define DBR_RECONCILE_DIFF_H

#include "reconcile/desired_internal.h"
#include "reconcile/plan.h"

/* A role that is declared absent and still there. */
struct retiring {
	name_id role, heir;                      /* heir: reassign_owned_to, or NAME_NONE */
	const struct role_wish *wish;
};

struct differ {
	struct plan *plan;
	const struct plan_context *context;
	struct desired *desired;
	const struct server_state *server;
	const struct database_state *database;   /* NULL for the server target */
	struct names *names;
	int version_num;
	name_id me;
	uint32_t *merge;                         /* hash of open grant changes: see differ_object() */
	uint32_t merge_mask;
	struct text *scratch;
	void *temporary;                         /* freed with the differ */
	uint32_t max_unmanaged;
	name_id owner_asked, owner_answer;       /* the last answer of as_owner() */
	struct retiring *retiring;
	uint32_t n_retiring;
	uint8_t *reach;                          /* by name id: see reaches() */
	uint32_t n_reach;
};

/* A zeroed change at the end of the list, state ready. The address is good until the next call. */
struct change *differ_add(struct differ *, enum change_op, enum drift_kind, enum change_phase, struct source);
/* Adds one object's name to the change with the same op, kind, relkind, schema, roles, privileges and column, or starts one. */
void differ_object(struct differ *, const struct change *like, const char *name, size_t len);
void differ_warn(struct differ *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void change_block(struct change *, const char *reason, const char *remedy);
/* For remedies: begin "first" middle "second" end, the names quoted; second may be NAME_NONE. */
char *differ_sql(struct differ *, const char *begin, name_id first, const char *middle, name_id second, const char *end);
/* What an administrator runs so that we can act as the role, after these words. */
char *become_sql(struct differ *, const char *words, name_id role);

void diff_roles(struct differ *);
void diff_memberships(struct differ *);
/* diff_admin.c. For the changes of memberships from this one on: what was granted with an ADMIN option that goes. */
void diff_admin_dependents(struct differ *, uint32_t first);
void diff_settings(struct differ *);
void diff_databases(struct differ *);
void diff_create_databases(struct differ *);
/* Grants on the given groups, for the rules of the target. */
void diff_grants(struct differ *, const struct object_group *groups, uint32_t n);
void diff_columns(struct differ *);
void diff_defaults(struct differ *);
void diff_schemas(struct differ *);
void diff_extensions(struct differ *);
/* Of the given groups: those of a database, or what is shared. */
void diff_owners(struct differ *, const struct object_group *groups, uint32_t n);
void diff_row_security(struct differ *);

struct taken {
	privs_t privs, options;      /* options: of privileges that stay */
};

/* One ACL against what is wanted of it; names are added to changes by the caller's object walk. */
struct wanted {
	name_id grantee;
	privs_t privs, grantable;
	enum change_phase phase;                 /* of granting what is missing */
	struct source source;
};
struct acl_context {
	enum object_kind kind;
	char relkind, objtype;
	name_id schema, owner, creator;
	const char *column;
	bool exact, revoke_unmanaged, public_named;
	bool as_default;                         /* default privileges instead of an object */
	bool everyone;                           /* every entry is in scope: the defaults of a creator that is to go */
	const struct acl *initial;
	const struct acl *above;                 /* of a column's table: who may pass on there may do so on its columns */
	const struct taken *taken;               /* by entry: what other changes of this plan take along; NULL = nothing */
	struct source scope_source;
};

/* For each difference one change template is handed to emit. */
typedef void (*acl_emit)(void *data, const struct change *like);
void diff_acl(struct differ *, const struct acl *, const struct acl_context *, const struct wanted *wanted, uint32_t n_wanted,
	      uint32_t objects, acl_emit emit, void *data);

/* For a membership that changes: the row as it is there. */
void membership_was(struct change *, const struct membership *);
/* For an owner that changes: what the list says of the new one, who takes the old one's place in it. */
void owner_was(struct change *, const struct acl *);

/* Do two values of a setting mean the same? Lists, units, booleans. */
bool setting_equal(const char *name, const char *a, const char *b);
/* Is it one of the settings whose value is a list of quoted names or paths? */
bool setting_is_list(const char *name);
/* Name, and value of a list, as ALTER ... SET takes them. */
void setting_write_name(struct text *, const char *name);
void setting_write_list(struct text *, const char *name, const char *value);

/* May role create in the schema: owner, CREATE by grant, or membership in such a one; of superusers only the owner counts. */
struct id_list { name_id *v; uint32_t n; };
struct id_list schema_creators(struct differ *, name_id schema);

/* The schemas whose group this is; NULL when there is none of that name. */
const struct object_group *schema_group(struct differ *, name_id schema);

/* reach.c. As whom we can act: always true for a superuser. */
enum reach {
	REACH_MEMBER,                            /* a member, however */
	REACH_PRIVILEGES,                        /* its privileges are ours: memberships that inherit */
	REACH_SET,                               /* SET ROLE is allowed */
};
void reach_begin(struct differ *);
bool reaches(const struct differ *, name_id role, enum reach how);
/* pg_database_owner has one member that no catalog shows: the owner of the database that we are in. */
name_id role_really(const struct differ *, name_id role);

/* retire.c. Steps of roles that are to go; their privileges are taken by diff_acl() wherever it is handed an ACL. */
void retire_begin(struct differ *);
const struct retiring *retiring(const struct differ *, name_id role);      /* NULL = stays */
bool names_retiring(const struct differ *, const struct acl *);            /* does one of them hold something? */
void retire_on_server(struct differ *);
void retire_in_database(struct differ *);          /* after every other part: it looks at what they planned */

/* literal.c. The first literal of the expression that may run somebody's code when it is only parsed, because its type may be his;
   NULL = there is none, or no expression. A talloc child of parent. */
const char *expression_trap(void *parent, const char *expression);

/* unmanaged.c */
void list_unmanaged_roles(struct differ *);
void list_unmanaged_schemas(struct differ *);
bool is_ignored(const struct differ *, name_id role);      /* by guard.ignored_roles: neither listed nor touched as unmanaged */

/* guard.c */
void guard_apply(struct differ *);
/* The part of it that no budget and no approval changes: our own role, protected names, our way in. */
void guard_protect(struct differ *);
bool is_protected(const struct differ *, const char *role);
/* undo.c. Before every check: what was undone is held. After them: what is to be undone is added. */
void undone_hold(struct differ *);
void undo_add(struct differ *);
/* regrant.c. After the guard: what columns are granted again waits with the revoke that takes it from them. */
void regrant_with_revokes(struct differ *);
/* usage.c. Who takes back what he granted, and may not use the schema any more, is lent USAGE on it. */
void usage_apply(struct differ *);
/* event_trigger.c. Blocks what would call a function of somebody else with our rights. */
void guard_event_triggers(struct differ *);
/* rights.c. Blocks what needs the rights of a role that we are not a member of. Before the guard: what is blocked counts in no budget. */
void rights_apply(struct differ *);

#endif
