/* SPDX-License-Identifier: PostgreSQL */
/*
 * Runs the pending migrations of one database, on a connection of its own with
 * the migration user's login: never as the role that reconciles, because SET
 * ROLE is no sandbox. Each file, its row in the ledger and the COMMIT are one
 * transaction. Called by the engine between roles and grants of a pass; pulled
 * like a session, never calls up, never blocks, logs nothing.
 *
 * A file that cannot run in a transaction runs statement by statement; what is
 * done of it is noted in a table beside the ledger, so that the next run goes on
 * where it is certain what happened, and is blocked where it is not
 * (migrator_split.c). With an order it mends the ledger instead.
 *
 * What to trust afterwards: a migration is recorded or it did not happen. When
 * the connection is lost while COMMIT is under way, it reconnects and asks
 * pg_xact_status(); only when that cannot be asked is the outcome "unknown",
 * and the next run's comparison with the ledger decides.
 */
#ifndef DBR_ENGINE_MIGRATOR_H
#define DBR_ENGINE_MIGRATOR_H

#include "migrate/mend.h"
#include "migrate/migration.h"
#include "session/session.h"

struct migrator;

struct migrator_params {
	struct session_config session;        /* the migration user's; for_migrations is set here. Copied */
	const char *schema, *table;           /* of the ledger; the schema must be there. Copied */
	const struct migration_files *files;  /* must outlive the migrator */
	const struct migration_list *planned; /* what the plan showed: only that runs, up to its stop; anything else is an error. NULL =
	                                         whatever is pending. Its files are these, and it must outlive the migrator; stop may move meanwhile */
	uint32_t database_oid;                /* the database that was looked at; 0 = do not check */
	uint64_t system_identifier;           /* likewise */
	bool ledger_expected;                 /* there was a ledger: a missing one stops, it is not an empty one */
	const struct ledger_order *order;     /* mend the ledger instead of running what is pending; must outlive the migrator. NULL = run */
	msec_t lock_timeout;                  /* of each file's statements, as SET LOCAL; <= 0 is the user's own, or 500 ms. A file may set its own */
	msec_t lock_wait;                     /* how long to poll for the ledger's lock; <= 0 is 30 s */
	msec_t file_timeout;                  /* our deadline for one file; <= 0 is 24 h */
};

enum migrator_status {
	MIGRATOR_RUNNING,
	MIGRATOR_DONE,                        /* everything that was to run has run */
	MIGRATOR_BLOCKED,                     /* the comparison under the lock says that nothing may run, or not what was planned */
	MIGRATOR_FAILED,                      /* a file, the connection or the lock: see error and failure */
	MIGRATOR_CANCELLED,
};

struct migrator_progress {
	enum migrator_status status;
	const char *phase;                    /* "connect", "lock", "script", ...: for people */
	uint32_t done, total;                 /* files of this run */
	const struct migration_file *current; /* NULL outside of a file */
	uint32_t statement;                   /* of a file that runs statement by statement, from 1; 0 = it runs as a whole */
	const char *holder;                   /* who has held the lock of the ledger for a second; NULL = we wait for nobody */
	const struct migration_list *list;    /* compared under the lock, before anything ran; NULL until then */
	enum failure failure;
	const struct error *error;            /* of a migration: file, line, column, sqlstate, the line itself; never NULL */
};

/* One step worth recording, in order. */
enum migrator_event_kind { MIGRATOR_STARTED, MIGRATOR_APPLIED, MIGRATOR_FAILED_FILE, MIGRATOR_UNKNOWN };
struct migrator_event {
	enum migrator_event_kind kind;
	int64_t at_ms;                        /* wall clock */
	const struct migration_file *file;
	int execution_time_ms;
	const struct error *error;            /* of MIGRATOR_FAILED_FILE and MIGRATOR_UNKNOWN, else NULL; belongs to the migrator */
};

/* A talloc child of parent; it starts at the first turn. */
struct migrator *migrator_new(void *parent, const struct migrator_params *, msec_t now);
/* Moves everything on; ready is what its session's socket is ready for. True: turn again without waiting. */
bool migrator_turn(struct migrator *, unsigned ready, msec_t now);
/* The socket to watch (session_fd, session_wants, session_socket_epoch). It may be closed while the migrator waits. */
struct session *migrator_session(struct migrator *);
/* When it must be turned at the latest. */
msec_t migrator_deadline(const struct migrator *);
/* Stops: what runs is rolled back; a COMMIT that was sent is waited for. Goes on turning until it is not RUNNING. */
void migrator_cancel(struct migrator *, msec_t now);
/* The file under way ends as it would, and no other begins. */
void migrator_enough(struct migrator *);
void migrator_progress(const struct migrator *, struct migrator_progress *ret);
bool migrator_next(struct migrator *, struct migrator_event *ret);
bool migrator_has_news(const struct migrator *);      /* would it give one? */
/* What the order does, or would do: known once the ledger was compared under the lock. It belongs to the migrator. */
const struct mending *migrator_mending(const struct migrator *);

#endif
