/* SPDX-License-Identifier: PostgreSQL */
/*
 * Which pending files a policy holds for approval. Pure: the findings of the
 * lint, measured beside the database, and the policy in, marks out. What is not
 * known counts as dangerous.
 */
#ifndef DBR_MIGRATE_HOLD_H
#define DBR_MIGRATE_HOLD_H

#include "migrate/lint.h"

struct hold_policy {
	const char *const *words;      /* model/lint_rule.h */
	uint32_t n;
	int64_t above;                 /* bytes */
};

/* Does the policy speak of such a finding, whatever is there now? */
bool hold_names(const struct hold_policy *, const struct migration_finding *);
/* And is there something that is large enough, or will be gone? empty: nobody has a table in the database yet. */
bool hold_applies(const struct hold_policy *, const struct migration_finding *, bool empty);
/* Fills hold of what is to run. What has begun under an approval goes on: of a file that was interrupted nothing is asked again,
   of one that goes on in the middle only what is left. */
void hold_mark(struct migration_list *, const struct hold_policy *);
/* Fills stop: the first that is held and not released. */
void hold_stop(struct migration_list *);
/* What is to run and need not wait. */
uint32_t hold_free(const struct migration_list *);

#endif
