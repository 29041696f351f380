/* SPDX-License-Identifier: PostgreSQL */
/* Between apply.c (transactions) and history.c (what is recorded about them). */
#ifndef DBR_ENGINE_APPLY_H
#define DBR_ENGINE_APPLY_H

#include "engine/internal.h"

enum apply_step { APPLY_PREFLIGHT, APPLY_STATEMENTS, APPLY_COMMIT, APPLY_ROLLBACK, APPLY_ALONE };

struct apply {
	struct group *groups;
	uint32_t n, at;
	enum apply_step step;
	bool staged;                      /* migrations follow: only the phases before them */
	bool owners_first;                /* a new look follows: nothing after the owners */
	bool any_failed, failed_before_split;
	void *texts, *outcomes;           /* of the group under way */
	struct statement *statements, end_statement;
	unsigned n_statements;
	uint32_t *owner;                  /* statement -> change within the group */
	char **described;
	int64_t *events;                  /* 0 = its intent could not be stored */
	struct event *intents;
	uint32_t n_events;                /* 0 = no intent stands */
	char *xid;
	const char *key, *params[1];
	enum failure failure;
	struct error error;
	uint32_t culprit;                 /* change within the group */
};

void apply_event_add(struct target *, uint32_t slot, const char *sql, const char *inverse);
void apply_events_stored(struct target *);               /* the end of a batch of them */
void apply_events_committed(struct target *);
/* retried: the changes come again one by one, so that this is no failure of theirs yet. */
void apply_events_failed(struct target *, const struct error *, bool retried);
void apply_doubt(struct target *);

#endif
