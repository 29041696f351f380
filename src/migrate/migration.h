/* SPDX-License-Identifier: PostgreSQL */
/*
 * Migration files and the ledger, and how the two compare. Names, order,
 * checksum and table are Flyway's (flyway_schema_history), so that a history
 * that is there continues. Pure: bytes and rows in, a list with states out.
 */
#ifndef DBR_MIGRATE_MIGRATION_H
#define DBR_MIGRATE_MIGRATION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"
#include "model/rowset.h"

enum migration_type { MIGRATION_VERSIONED, MIGRATION_REPEATABLE, MIGRATION_BASELINE };

enum migration_state {
	MIGRATION_APPLIED,
	MIGRATION_PENDING,
	MIGRATION_MISSING,             /* in the ledger, no file */
	MIGRATION_FAILED,              /* success = false in the ledger */
	MIGRATION_CHECKSUM_MISMATCH,
	MIGRATION_OUT_OF_ORDER,        /* pending, but below the highest applied version */
	MIGRATION_FUTURE,              /* in the ledger, above every file */
	MIGRATION_IGNORED,             /* below the baseline */
	MIGRATION_BASELINED,           /* the ledger's baseline or schema marker row */
	MIGRATION_OUTDATED,            /* repeatable whose text changed: runs again */
	MIGRATION_INDETERMINATE,       /* non-transactional and interrupted */
	MIGRATION_STATES
};
const char *migration_state_name(enum migration_state);   /* "checksum_mismatch" */

struct migration_file {
	enum migration_type type;
	const char *version;           /* ledger text: "001", "1.2"; NULL when repeatable */
	const char *description;       /* '_' -> ' ' */
	const char *script;            /* path relative to the location */
	const char *path;
	const char *text;              /* the bytes that are hashed and run, read once; BOM stripped; terminated */
	size_t len;
	int32_t checksum;
	bool transactional;
};

struct migration_files {
	struct migration_file *v;      /* versioned in version order, then repeatable by description */
	uint32_t n;
};

/* A row of the ledger. */
struct ledger_row {
	int rank;
	const char *version, *description, *type, *script, *installed_by, *installed_on;
	bool has_checksum; int32_t checksum;
	int execution_time_ms;
	bool success;
};

struct migration {
	enum migration_state state;
	const struct migration_file *file;   /* NULL when only the ledger knows it */
	const struct ledger_row *row;        /* NULL when pending */
	const char *note;                    /* why, for people: "only line ends differ"; may be NULL */
};

struct migration_list {
	struct migration *v;
	uint32_t n;
	uint32_t counts[MIGRATION_STATES];
	int last_rank;
	const char *current_version;         /* highest applied, NULL = none */
	bool blocked;                        /* a mismatch, a missing or failed row: nothing may run */
	struct error why;                    /* the first reason when blocked: names the file or version, and what to do */
};

/* Reads the directories once. 1: a bad name, duplicate version, NUL byte, bad UTF-8, transaction control or a psql
   meta-command: every reason in errs (a talloc array of n_errs). Unrecognised names ending in .sql are errors; U files and
   other suffixes are left alone. A directory or file that group or others can write is refused. */
int migration_files_read(void *parent, const char *const *directories, uint32_t n, struct migration_files **ret,
			 struct error **errs, uint32_t *n_errs);

/* The parts, for tests and tools. */
int migration_name_parse(void *parent, const char *script, struct migration_file *ret, struct error *err);
int migration_version_compare(const char *a, const char *b);
int32_t migration_checksum(const char *text, size_t len);
int migration_script_check(const struct migration_file *, struct error *err);

/* The ledger: SQL text for one table (quoted names inside), for a connection of the migration user or a reader of it. */
char *ledger_sql_create(void *parent, const char *schema, const char *table);
char *ledger_sql_select(void *parent, const char *schema, const char *table);
/* INSERT ... VALUES ($1..$8): rank, version, description, type, script, checksum, execution_time, success; installed_by is current_user. */
char *ledger_sql_insert(void *parent, const char *schema, const char *table);
/* Flyway's advisory lock key of the table (facts: "Flyway" + Java hashCode of the quoted name). */
int64_t ledger_lock_key(const char *schema, const char *table);
int ledger_decode(void *parent, const struct rowset *, struct ledger_row **ret, uint32_t *ret_n, struct error *err);

/* Compares files with rows; rows may be NULL (no ledger yet). */
struct migration_list *migration_compare(void *parent, const struct migration_files *, const struct ledger_row *rows, uint32_t n_rows);

#endif
