/* SPDX-License-Identifier: PostgreSQL */
/* Prepared statements of the state file, for this folder only. */
#ifndef DBR_STATE_STATEMENT_H
#define DBR_STATE_STATEMENT_H

#include <sqlite3.h>
#include <sys/types.h>

#include "state/state.h"

enum state_sql {
	SQL_EVENT_ADD, SQL_EVENT_CLOSE, SQL_EVENTS, SQL_EVENTS_LAST, SQL_EVENTS_OPEN, SQL_EVENT_GET, SQL_RECORD, SQL_RECORDS,
	SQL_PRUNE_OLDEST, SQL_PRUNE_APPROVALS,
	SQL_SUSPEND, SQL_RESUME, SQL_SUSPENSION,
	SQL_APPROVE, SQL_APPROVAL, SQL_APPROVAL_USED,
	SQL_GET, SQL_PUT, SQL_DELETE, SQL_LIST,
	SQL_SCHEMA_HAS, SQL_SCHEMA_PUT, SQL_SCHEMA_WHOLE, SQL_SCHEMA_GET, SQL_SCHEMA_REF, SQL_SCHEMA_POINT, SQL_SCHEMA_UNPOINT,
	SQL_SCHEMA_USED, SQL_SCHEMA_DROP, SQL_SCHEMA_SWEEP, SQL_COUNT
};

/* Which file it was when it was opened. */
struct state_file { const char *path; dev_t device; ino_t inode; };

struct state {
	sqlite3 *db;
	sqlite3_stmt *prepared[SQL_COUNT];
	uint64_t events_changed;
	uint64_t lost;             /* events, and ends of events */
	int lost_error;
	bool batch;
	int batch_error;           /* why the batch under way will not be stored */
	uint32_t batch_events;
	struct state_file files[2];       /* the database and its journal */
};

/* -errno for a result code that is an error, 0 for SQLITE_OK, SQLITE_ROW and SQLITE_DONE. */
int state_errno(int rc);

/* A statement from the table, prepared on first use, reset and without parameters. NULL when it cannot be prepared. */
sqlite3_stmt *state_statement(struct state *, enum state_sql);
void bind_text(sqlite3_stmt *, int position, const char *value);      /* NULL = SQL NULL; cut at 64 KiB */
void bind_whole(sqlite3_stmt *, int position, const char *value);     /* never cut; NULL when it is over 4 MiB */
void bind_int(sqlite3_stmt *, int position, int64_t value);
/* Runs to the end, without rows, and resets. 0 ok, negative; in a batch that has failed already it does nothing. */
int state_run(struct state *, sqlite3_stmt *);
/* The same for changes that must hit a row. 1 = no row was there. */
int state_run_hit(struct state *, sqlite3_stmt *);
/* As state_run(); at the limit of the file the oldest events make room, and a batch fails with each that cannot be stored. */
int state_store(struct state *, sqlite3_stmt *);
/* So many events are not in the file, because of error (negative). */
void state_lose(struct state *, uint32_t n, int error);
/* A copy of a text column as a talloc child of parent; NULL for SQL NULL. */
char *column_text(void *parent, sqlite3_stmt *, int column);

#endif
