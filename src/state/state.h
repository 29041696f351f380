/* SPDX-License-Identifier: PostgreSQL */
/*
 * What must survive a restart, in one SQLite file (WAL): history of changes,
 * suspensions, approvals, identities, remembered digests. The only folder
 * that includes sqlite3.h. A missing or unwritable file is said once and the
 * daemon goes on with ":memory:": it is memory, never authority.
 *
 * A power cut may lose the last second of it, never its consistency
 * (synchronous = NORMAL): no call waits for a disk to spin, so the loop may
 * call all of them. Returned strings are talloc children of parent.
 */
#ifndef DBR_STATE_STATE_H
#define DBR_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct state;

/* Opens or creates path (mode 0600); ":memory:" works. Runs its own schema steps. 1: damaged, or of a newer format; the
   file is left as it is. Negative: cannot be opened, is not ours, or others can write it. err says what to do. */
int state_open(void *parent, const char *path, struct state **ret, struct error *err);
/* How large the file may grow, in pages of 4 KiB; the oldest events make room for others, for decisions and for facts. 256 MiB
   when not called. */
int state_limit(struct state *, uint32_t pages);

struct event {
	int64_t id;                /* given by state_event_add */
	int64_t at_ms;             /* wall clock */
	const char *target;
	const char *kind;          /* "change", "failure", "held", "approved", "suspended", "resumed", "reload", "migration", ... */
	const char *actor;         /* "daemon", or "uid 1000 (alice)" */
	const char *object;        /* one line: what */
	const char *statement;     /* redacted SQL, may be NULL */
	const char *inverse;       /* SQL that undoes it, may be NULL */
	const char *result;        /* "ok", "started", "failed", "unknown" */
	const char *sqlstate, *message;   /* may be NULL */
	const char *plan;          /* plan id, may be NULL */
	const char *record;        /* of a change: both of its directions, for undo; kept whole or not at all, not read back with events */
};
/* What is written between the two is one transaction: a hundred intents cost one commit. Negative: nothing of it was
   stored, and the ids that were given out are void, as others will get them. */
void state_batch_begin(struct state *);
int state_batch_end(struct state *);
/* How many events, and ends of events, could not be stored since it was opened, and why the last one could not. */
uint64_t state_lost(const struct state *, int *ret_error);
/* A negative result in words, for people. */
const char *state_reason(int error);
/* The path of what was removed or replaced by another file since it was opened: what is recorded ends with this process. NULL = nothing. */
const char *state_moved(struct state *);

/* 0 ok, *ret_id filled (ret_id may be NULL); negative on I/O, and the id is 0, which is no event. An intent is an event with result "started", later closed by
   state_event_close. A text over 64 KiB is cut and ends in "…". */
int state_event_add(struct state *, const struct event *, int64_t *ret_id);
/* 1 = no such event. */
int state_event_close(struct state *, int64_t id, const char *result, const char *sqlstate, const char *message);
/* Events with id > after and at >= since_ms, oldest first, at most limit. target NULL = all. A talloc array of parent. */
int state_events(struct state *, void *parent, int64_t after, int64_t since_ms, const char *target, uint32_t limit,
		 struct event **ret, uint32_t *ret_n);
/* The newest limit of them, oldest first. */
int state_events_last(struct state *, void *parent, int64_t since_ms, const char *target, uint32_t limit,
		      struct event **ret, uint32_t *ret_n);
/* Intents that were never closed: what a crash left behind, oldest first. */
int state_events_open(struct state *, void *parent, struct event **ret, uint32_t *ret_n);
int state_event_get(struct state *, void *parent, int64_t id, struct event **ret);   /* 1 = no such event */
/* What undo needs to know of a change; record NULL = it was recorded by an earlier version, or is too large. */
struct state_record { int64_t id; const char *record; };
int state_record(struct state *, void *parent, int64_t id, const char **ret);                /* 1 = no such event */
/* Of the changes to target after id that were made, or may have been, oldest first, at most limit. */
int state_records(struct state *, void *parent, const char *target, int64_t after, uint32_t limit, struct state_record **ret, uint32_t *ret_n);
/* Counts up with each added or closed event: followers look only when it has moved. */
uint64_t state_events_changed(const struct state *);

struct suspension { const char *target, *reason, *actor; int64_t since_ms, until_ms; /* 0 = until resumed */ };
int state_suspend(struct state *, const struct suspension *);
int state_resume(struct state *, const char *target);                         /* 1 = was not suspended */
/* 1 = is not suspended. One that has run out is found, too: the reader compares until_ms with its clock. */
int state_suspension(struct state *, void *parent, const char *target, struct suspension *ret);

struct approval { const char *target, *plan, *actor; int64_t at_ms, expires_ms; bool rejected; };
/* The last word counts: a rejection after an approval withdraws it, an approval after its use is a new one. */
int state_approve(struct state *, const struct approval *);
/* 0 found, valid at now_ms and not used yet: *ret filled, a rejection has rejected set. 1 none. */
int state_approval(struct state *, void *parent, const char *target, const char *plan, int64_t now_ms, struct approval *ret);
/* 1 = there was none to use, or it was used before: the caller must not go on. */
int state_approval_used(struct state *, const char *target, const char *plan);

/* Small facts by key: pinned system identifiers ("identity/prod"), password fingerprints, policy digests. */
int state_get(struct state *, void *parent, const char *key, char **ret);     /* 1 = none */
int state_put(struct state *, const char *key, const char *value);
int state_delete(struct state *, const char *key);
/* The facts whose keys begin with prefix, by key. */
struct state_fact { const char *key, *value; };
int state_list(struct state *, void *parent, const char *prefix, struct state_fact **ret, uint32_t *ret_n);

/*
 * Schemas by their digest, in pieces, kept for as long as some target points to them: a thousand tenants with one schema keep
 * it once. role: "baseline", "last", or "writing" and "merging" for what a look is at work on.
 */
struct schema_ref { const char *digest, *note; int64_t at_ms; };
int state_schema_has(struct state *, const char *digest);       /* 1 = not, or not all of it */
int state_schema_put(struct state *, const char *digest, uint32_t part, const char *data, size_t len);
int state_schema_whole(struct state *, const char *digest);     /* every piece is there */
/* 1 = there is no such piece. */
int state_schema_get(struct state *, void *parent, const char *digest, uint32_t part, char **ret, size_t *ret_len);
int state_schema_ref(struct state *, void *parent, const char *target, const char *role, struct schema_ref *ret);   /* 1 = none */
/* What was pointed to before goes when nobody else points to it, its pieces with the sweeps that follow. NULL points to nothing. */
int state_schema_point(struct state *, const char *target, const char *role, const struct schema_ref *to);
int state_schema_sweep(struct state *);                         /* a few pieces; 1 = there was nothing to sweep */

#endif
