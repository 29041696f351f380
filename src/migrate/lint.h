/* SPDX-License-Identifier: PostgreSQL */
/*
 * What the statements of a migration do to those who use the database
 * meanwhile: which lock on which relation, whether the table is rewritten or
 * read whole, whether data goes. By PostgreSQL's own parser (libpg_query); what
 * its grammar does not know is said to be unclassified, never guessed.
 *
 * Facts: PostgreSQL's documentation, "Explicit Locking" and ALTER TABLE.
 */
#ifndef DBR_MIGRATE_LINT_H
#define DBR_MIGRATE_LINT_H

#include "migrate/migration.h"

enum lock_mode {           /* as pg_locks numbers them */
	LOCK_NONE, LOCK_ACCESS_SHARE, LOCK_ROW_SHARE, LOCK_ROW_EXCLUSIVE, LOCK_SHARE_UPDATE_EXCLUSIVE, LOCK_SHARE,
	LOCK_SHARE_ROW_EXCLUSIVE, LOCK_EXCLUSIVE, LOCK_ACCESS_EXCLUSIVE, LOCK_MODES
};
const char *lock_mode_name(enum lock_mode);      /* "ACCESS EXCLUSIVE" */

struct migration_finding {
	uint32_t statement;        /* of the file, from 0 */
	unsigned line;
	const char *rule;          /* "set-not-null": what a comment may silence */
	const char *schema, *relation;      /* as written; NULL = by the search_path, or no relation */
	enum lock_mode lock;
	const char *live_schema, *live_relation;      /* the names the database knows it by, before the pending files rename it */
	bool rewrites, scans, destroys;
	bool measured;             /* by the engine: the two below are known */
	bool made;                 /* by these files, as far as the name tells: nothing to be shown */
	bool absent;               /* by the engine: there is no such relation, so nobody uses it */
	int64_t bytes, tuples;     /* of the relation with its indexes, TOAST and partitions; tuples -1 = never analyzed */
	const char *message;       /* "ACCESS EXCLUSIVE on app.orders: blocks reads and writes; reads the whole table" */
};

/* Relations that earlier statements made, which nobody else uses yet, and what they renamed. */
struct lint_made;
struct lint_made *lint_made_new(void *parent);

/* The findings of one file, children of parent; made grows by what the file makes. A statement is passed over when the line
   above it is "-- dbreconcile:lint-ignore RULE" (or without a rule: all). 0 or -ENOMEM. */
int migration_lint(void *parent, const struct migration_file *, struct lint_made *, struct migration_finding **ret, uint32_t *ret_n);
/* The findings of what is to run, in the order of running: of max files at most. */
void migration_list_lint(struct migration_list *, uint32_t max);
/* With their texts. */
struct migration_finding *migration_findings_copy(void *parent, const struct migration_finding *, uint32_t n);

#endif
