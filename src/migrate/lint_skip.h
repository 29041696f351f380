/* SPDX-License-Identifier: PostgreSQL */
/* What is not linted, told by the text alone: rows of data, and what a comment silences. For lint.c. */
#ifndef DBR_MIGRATE_LINT_SKIP_H
#define DBR_MIGRATE_LINT_SKIP_H

#include "migrate/migration.h"

/* The rules of all "-- dbreconcile:lint-ignore RULE ..." lines right above what starts there, each between blanks: a child of
   parent. "" = every rule; NULL = none. */
const char *lint_ignored_above(void *parent, const struct migration_file *, size_t start);
bool lint_ignores(const char *ignored, const char *rule);

/* Rows that come, or some that change: nobody waits for them. A data file holds hundreds of thousands of such statements, and
   parsing them takes seconds. */
bool lint_changes_some_rows(const char *text, size_t len);

#endif
