/* SPDX-License-Identifier: PostgreSQL */
/*
 * diff -> plan -> guard, all pure: (desired, observed, settings) in, an ordered
 * list of changes out, each ready, held or blocked.
 */
#ifndef DBR_RECONCILE_PLAN_H
#define DBR_RECONCILE_PLAN_H

#include "model/change.h"
#include "reconcile/desired.h"

struct role_wish;

enum password_state {
	PASSWORD_IN_SYNC,
	PASSWORD_DIFFERS,     /* *ret_verifier: a fresh SCRAM verifier, kept by the callee as long as the pass */
	PASSWORD_UNAVAILABLE, /* the secret cannot be read: *ret_reason; nothing is written */
};

/* Do two texts of a policy's expression mean the same? The parser cannot always tell; the server can. */
enum expression_state {
	EXPRESSION_UNKNOWN,   /* nobody has compared them on the server yet, or it could not be done: *ret_reason */
	EXPRESSION_SAME,
	EXPRESSION_DIFFERS,
};

/* A recorded change that somebody asked to be taken back. */
struct plan_undo {
	int64_t id;                   /* of the recorded change */
	const char *approval;         /* under which id it is approved, whatever else is held */
	bool approved;
	const char *reason;           /* why it is held */
	const struct change *parts, *forward;        /* what takes it back; what it did. Both must live as long as the plan */
	uint32_t n_parts, n_forward;
};

/* A change that was taken back: making it again needs a word. */
struct plan_undone {
	const struct change *forward;
	uint32_t n_forward;
	const char *reason;
	bool *wanted;                 /* set: the plan holds it again, in whatever state */
};

/* What the caller knows beside the catalogs. */
struct plan_context {
	const struct guard_settings *guard;
	const char *server, *target;          /* names, for the plan id */
	bool applies;                         /* what is ready will be made: enforce mode, not suspended */
	const char *approved;                 /* plan id that an operator approved, or NULL */
	/* Passwords: for each role with a secret source, what the stored verifier means. Called during the diff. */
	enum password_state (*password)(void *data, const struct role_wish *, const struct role *live,
					const char **ret_verifier, const char **ret_reason);
	void *password_data;
	/* Asked for each pair of plan_expressions(); NULL = every pair is unknown. */
	enum expression_state (*expression)(void *data, const char *schema, const char *table, const char *wanted, const char *live,
					    const char **ret_reason);
	void *expression_data;
	/* Did the server have this database once? Then its absence is a surprise, and creating it needs approval. NULL = never. */
	bool (*database_known)(void *data, const char *database);
	void *database_data;
	const struct plan_undo *undos;
	uint32_t n_undos;
	const struct plan_undone *undone;
	uint32_t n_undone;
};

/* A privilege that nobody declared, held by a role that no manifest names: listed, not touched. */
struct unmanaged {
	name_id grantee, grantor;
	enum object_kind kind;
	char relkind;
	name_id schema;
	const char *names;    /* for people: one name, or "12 tables" */
	uint32_t n;
	privs_t privs;
};

/* Names that nobody declared, sorted; n counts them all, at most a thousand are listed. */
struct name_list {
	const char **v;
	uint32_t n, listed;
};

struct plan {
	char id[17];                  /* 16 hex digits of a digest over identity, held changes and what they assume; "" when nothing is held */
	char guard_id[17];            /* the part of it that the guard holds: a pass may apply the others before it, and the rest stays approved */
	struct change *changes;       /* ordered by phase */
	uint32_t n_changes;
	uint32_t ready, held, blocked;          /* changes */
	uint32_t drift[DRIFT_KINDS];            /* objects, all states */
	uint32_t drift_objects, held_objects, blocked_objects;
	uint32_t blocked_by_kind[DRIFT_KINDS];
	uint32_t in_scope;                      /* live entries that the scope covers: what max_percent is of */
	const char *held_reason;                /* of the first held change */
	struct unmanaged *unmanaged;
	uint32_t n_unmanaged;
	struct name_list unmanaged_roles;       /* of a server */
	struct name_list unmanaged_schemas;     /* of a database */
	const char *next_until;                 /* when the first membership ends by itself, as server_facts.now; NULL = none */
	const char **warnings;                  /* for example: someone who may create has no default privileges */
	uint32_t n_warnings;
	struct names *names;
};

/* What is approved goes by such an id: 16 hex digits of a digest. */
void plan_digest(const void *bytes, size_t len, char id[17]);

/* The plan is a talloc child of parent; strings may point into desired and observed. */
int plan_server(void *parent, const struct plan_context *, struct desired *, const struct server_state *,
		struct plan **ret, struct error *err);
/* server is the last look at the shared catalogs of the same server. */
int plan_database(void *parent, const struct plan_context *, struct desired *, const struct server_state *server,
		  const struct database_state *, struct plan **ret, struct error *err);

/* An event trigger that a statement of ours would fire, or NULL: its function belongs to somebody who has less than we and would
   run as we. any_command: also one that watches only what we do not send ourselves, but what an extension's script may. */
const struct event_trigger *untrusted_event_trigger(const struct server_state *, const struct database_state *, bool any_command);

/* The expressions of policies that read back differently from what is declared: to be compared on the server before the
   plan is made. A talloc array; strings point into desired and the observed model. */
struct expression_pair {
	const char *schema, *table;
	const char *wanted, *live;
};
struct expression_pair *plan_expressions(void *parent, struct desired *, const struct database_state *, uint32_t *ret_n);

/* Statements of one change, in order, each one statement (extended protocol). A talloc array of strings. */
struct statements {
	const char **v;
	uint32_t n;
};
int change_sql(void *parent, const struct plan *, const struct change *, int version_num, struct statements *ret);
/* The statements as people may see them: passwords redacted. */
int change_sql_display(void *parent, const struct plan *, const struct change *, int version_num, struct statements *ret);
/* One line for people: "GRANT SELECT ON 12 tables in schema app TO analytics". A talloc child of parent. */
char *change_describe(void *parent, const struct plan *, const struct change *);
/* "+", "~" or "-". */
char change_sign(const struct change *);
/* Statements that undo the change, from what was there; NULL-filled when there is no inverse. */
int change_inverse_sql(void *parent, const struct plan *, const struct change *, int version_num, struct statements *ret);

/* The ready changes cut into groups: each is one transaction. Positions into plan->changes. */
struct group {
	uint32_t first, n;
	enum change_phase phase;
};
/* Groups of the ready changes between two phases (inclusive). A talloc array. A group never holds more than 1,000 objects. */
struct group *plan_groups(void *parent, const struct plan *, enum change_phase from, enum change_phase to, uint32_t *ret_n);

/* Does the change do something to its role, so that it must not be a protected one? What gives it something does not. */
bool guard_touches_role(const struct change *);
/* Is the role one that nothing may be done to: built in, or guard.protected_roles? */
bool guard_protects(const struct guard_settings *, const char *role);

#endif
