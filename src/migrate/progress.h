/* SPDX-License-Identifier: PostgreSQL */
/*
 * How far the files that run statement by statement have come: a row for each
 * in a table beside the ledger (never in it: Flyway knows its own types only).
 * Written before a statement that runs outside of a transaction and after it;
 * for any other in the statement's own transaction. It goes with the ledger's
 * row of the whole file, so a row here means: not finished.
 *
 * Pure: rows in, states of a compared list out.
 */
#ifndef DBR_MIGRATE_PROGRESS_H
#define DBR_MIGRATE_PROGRESS_H

#include "migrate/migration.h"

enum progress_state {
	PROGRESS_BETWEEN,          /* nothing is under way: it goes on with the next statement */
	PROGRESS_RUNNING,          /* the next statement was begun, outside of a transaction, and no answer was noted */
	PROGRESS_FAILED,           /* the server said that the next statement failed */
	PROGRESS_STUCK,            /* it was interrupted and looked up: somebody must decide, message says what */
	PROGRESS_STATES
};

struct migration_progress {
	const char *version;       /* "" = repeatable */
	const char *description, *script;
	int32_t checksum;          /* of the file that ran */
	uint32_t statements, done; /* how many it has, how many are certainly done */
	int32_t prefix;            /* checksum of the text up to the end of those */
	enum progress_state state;
	const char *statement, *message;
};

/* "<table>_progress", cut as the server would. */
char *progress_table(void *parent, const char *ledger_table);
char *progress_sql_create(void *parent, const char *schema, const char *ledger_table);
char *progress_sql_select(void *parent, const char *schema, const char *ledger_table);
/* $1..$10: version, description, script, checksum, statements, done, prefix, state, statement, message; new or instead of the old. */
#define PROGRESS_PARAMS 10
char *progress_sql_put(void *parent, const char *schema, const char *ledger_table);
/* $1 version, $2 description. */
char *progress_sql_delete(void *parent, const char *schema, const char *ledger_table);
int progress_decode(void *parent, const struct rowset *, struct migration_progress **ret, uint32_t *ret_n, struct error *err);
const char *progress_state_name(enum progress_state);
/* The version and description a file has there. */
const char *progress_version(const struct migration_file *);
/* Of the text of the first done statements. */
int32_t progress_prefix(const struct migration_file *, uint32_t done);

/* Sets from, progress, find_out and the states of what has not finished; may block the list. rows must outlive it. */
void progress_apply(struct migration_list *, const struct migration_progress *rows, uint32_t n);

#endif
