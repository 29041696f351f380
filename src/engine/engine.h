/* SPDX-License-Identifier: PostgreSQL */
/*
 * The engine: targets, when each does what, and what it publishes. One thread,
 * one libevent base; control/ and service/ see only this header.
 */
#ifndef DBR_ENGINE_ENGINE_H
#define DBR_ENGINE_ENGINE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "config/load.h"
#include "engine/wave.h"
#include "migrate/mend.h"
#include "migrate/migration.h"
#include "reconcile/plan.h"
#include "session/session.h"
#include "state/state.h"

struct event_base;
struct engine;
struct schema_diff;

/* What is known of the schemas of a database that is watched for drift. */
struct schema_view {
	int64_t looked_ms;             /* wall clock; 0 = not yet by this process */
	int64_t baseline_ms;           /* since when the baseline is what it is */
	const char *baseline_version;  /* of the ledger then; may be NULL */
	uint32_t objects;
	const char *error;             /* why the last look could not be made; NULL = it was */
	const struct schema_diff *drift;      /* from the baseline; NULL = not known yet */
	uint32_t peers;                /* databases at the same version of the same files, itself counted */
	const char *reference;         /* one of most of them; NULL = it is like most */
	const struct schema_diff *differs;    /* from the reference; NULL = it is like most */
};

struct engine_options {
	struct config_paths paths;
	bool observe_only;             /* --observe */
	bool once;                     /* --once */
	bool verbose;                  /* --verbose: the log's level is not the configuration's */
};

/* What people call the state of a target, in the order of how bad it is. Lower-case words of status. */
enum target_status {
	TARGET_IN_SYNC, TARGET_DRIFT, TARGET_PENDING, TARGET_RUNNING, TARGET_HELD, TARGET_BLOCKED, TARGET_SUSPENDED,
	TARGET_UNREACHABLE, TARGET_FAILED, TARGET_STATUSES
};
const char *target_status_name(enum target_status);   /* "in_sync" */

/* What a target publishes at the end of each step. Owned by the target, replaced as a whole; readers copy what they keep. */
struct target_view {
	const char *name;              /* "prod" or "prod/orders" */
	const char *server;
	const char *database;          /* NULL for the server target */
	enum run_mode mode;            /* effective */
	enum target_status status;
	bool busy;                     /* a pass is under way or ordered */
	const char *message;           /* one line: why, and what to do next */
	const char *phase;             /* name of the machine's state: "look", "apply", ... */
	const char *failure;           /* failure_name(), or NULL */
	const char *sqlstate;
	int64_t last_attempt_ms, last_success_ms, next_ms, in_sync_since_ms;   /* wall clock; 0 = never */
	uint32_t consecutive_failures;
	uint64_t passes_begun;         /* counted when a pass begins; passes: when it has ended, well or not. An order given now is
	                                  done when passes > passes_begun of now. */
	uint64_t passes, pass_failures, changes_applied, change_failures;
	uint64_t looks_unchanged;      /* whose answers were those of the look before */
	uint64_t failures_by[FAILURE_INTERNAL + 1];
	uint64_t applied_by[DRIFT_KINDS], change_failures_by[DRIFT_KINDS];
	int64_t last_duration_us, last_cpu_us;         /* of the last pass: wall clock, and CPU time of ours */
	int64_t last_applied_us;       /* from its begin until its last change was committed; 0 = it made none */
	int server_version;            /* 0 = not known */
	bool reachable;
	bool suspended; const char *suspend_reason; int64_t suspend_until_ms;
	const struct plan *plan;       /* of the last look; NULL = never looked */
	int64_t looked_ms;             /* wall clock of that look */
	const struct migration_list *migrations;   /* NULL = none configured or not read yet */
	const struct migration_settings *migration_settings;       /* of the newest configuration; NULL = none */
	bool migration_failed;         /* a migration or a hook failed: it waits for other files or an order */
	int64_t version_since_ms;      /* wall clock: since when nothing is pending; 0 = something is, or not known */
	struct wave_wait waiting;      /* why pending migrations do not run; why is WAVE_GO when they need not wait */
	const struct schema_view *schema;      /* NULL = its schemas are not watched */
	const char *last_error;        /* of the last failed pass or change */
	int64_t last_error_ms;
	const struct server_state *server_state;       /* last look, may be NULL */
	const struct database_state *database_state;   /* last look of a database target, may be NULL */
};

/* Builds the targets of the first generation; nothing is connected before the first turn. 0 ok, negative unexpected (err). */
int engine_new(void *parent, struct event_base *, const struct engine_options *, struct state *, struct settings *first,
	       struct engine **ret, struct error *err);

/* One turn of the loop after the events were dispatched; false when the engine has ended (--once, or stopped). */
bool engine_turn(struct engine *, msec_t now);
/* Begins to stop: running statements are finished or rolled back within grace. */
void engine_stop(struct engine *, msec_t now, msec_t grace);
int engine_once_result(const struct engine *);         /* exit code of --once */

/* Reading what is published: valid until the next turn, owned by the engine. */
const struct settings *engine_settings(const struct engine *);
uint32_t engine_targets(const struct engine *);
const struct target_view *engine_view(const struct engine *, uint32_t index);
const struct target_view *engine_find(const struct engine *, const char *target);
struct state *engine_state(struct engine *);

/* Orders, each recorded with the actor. 0 ok; 1 refused: err says why. */
int engine_reconcile(struct engine *, const char *target /* NULL = all */, const char *actor);
/* A pass that looks and plans and writes nothing, whatever the mode; counted as a pass. 1: no such target. */
int engine_look(struct engine *, const char *target /* NULL = all */, const char *actor);
/* These two may be done and have something to say: 0, and err is set. */
int engine_suspend(struct engine *, const char *target, const char *reason, int64_t for_ms, const char *actor, struct error *err);
int engine_resume(struct engine *, const char *target, const char *actor, struct error *err);
int engine_approve(struct engine *, const char *target, const char *plan, const char *actor, struct error *err);
/* The line of its migrations no longer waits for this target, until it has other files. */
int engine_release(struct engine *, const char *target, const char *actor, struct error *err);
/* What its schemas were when they were looked at last is what they are to be. */
int engine_accept_schema(struct engine *, const char *target, const char *actor, struct error *err);
int engine_reject(struct engine *, const char *target, const char *plan, const char *actor, struct error *err);
/*
 * Plans the inverse of a recorded change: it is held until its plan is approved. 0 it waits, newly or already; 1 refused;
 * 2 there is no such change. Texts of the answer are talloc children of parent.
 */
struct undo_answer {
	int64_t change;
	const char *target, *plan;     /* plan: the id to approve or reject */
	const char *description;       /* of the change that is to be undone */
	const char **statements;
	uint32_t n_statements;
	bool already;                  /* it was waiting before */
};
int engine_undo(struct engine *, int64_t change, const char *actor, void *parent, struct undo_answer *ret, struct error *err);
/*
 * An order on the ledger of a database: baseline, repair, resolve, one file out of order, undo. It runs on a connection of the
 * migration user, beside the passes, under the lock of the ledger. 0 begun: *ret_id; 1 refused.
 */
int engine_ledger_order(struct engine *, const char *target, const struct ledger_order *, const char *actor, uint64_t *ret_id,
			struct error *err);
struct ledger_answer {
	bool over, ok;
	const struct mending *mending;        /* what was done, or would be; NULL until it is over, and when it did not begin */
	const struct error *error;            /* when not ok */
};
/* False: no such order. The answer is valid until the next turn. */
bool engine_ledger_answer(const struct engine *, uint64_t id, struct ledger_answer *ret);
/* The answer is not wanted any more; the order itself goes on. */
void engine_ledger_forget(struct engine *, uint64_t id);
/* Reads the files again: 0 a new generation runs; 1 refused, the old one runs on: *ret_errors; negative: the same, of config_load(). */
int engine_reload(struct engine *, const char *actor, void *parent, struct config_errors **ret_errors);

/* Passes since the start of each target: `reconcile --wait` waits until it has grown and the target is idle again. */
struct engine_numbers {
	uint32_t targets, workers_active, workers_max, connections_open, queue_depth;
	msec_t loop_lag_max, loop_lag_last;      /* time between "ready" and "handled", ms */
	double loop_lag_seconds;                 /* last turn */
	uint64_t reloads, reload_failures;
	int64_t last_reload_ms;
	bool last_reload_ok;
	int64_t accepted_ms;                     /* when the configuration that runs was */
	uint64_t duration_buckets[12];           /* le .05 .1 .25 .5 1 2.5 5 10 30 60 300 +Inf, cumulative not */
	uint64_t duration_count; double duration_sum;
	uint64_t wait_buckets[12];               /* the same bounds: from due to begun, waiting for a free worker or connection */
	uint64_t wait_count; double wait_sum;
	msec_t longest_running;
	bool full_cycle_done;                    /* every target has been looked at once, or tried */
	int64_t last_cycle_ms;
};
void engine_numbers(const struct engine *, struct engine_numbers *ret);

#endif
