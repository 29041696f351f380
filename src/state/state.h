/* SPDX-License-Identifier: PostgreSQL */
/*
 * What must survive a restart, in one SQLite file (WAL): history of changes,
 * suspensions, approvals, identities, remembered digests. The only folder
 * that includes sqlite3.h. A missing or unwritable file is said once and the
 * daemon goes on without: it is memory, never authority.
 */
#ifndef DBR_STATE_STATE_H
#define DBR_STATE_STATE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/error.h"

struct state;

/* Opens or creates path (mode 0600); ":memory:" works. Runs its own schema steps. 1: damaged or of a newer format. */
int state_open(void *parent, const char *path, struct state **ret, struct error *err);

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
};
/* 0 ok, *ret_id filled; negative on I/O. An intent is an event with result "started", later closed by state_event_close. */
int state_event_add(struct state *, const struct event *, int64_t *ret_id);
int state_event_close(struct state *, int64_t id, const char *result, const char *sqlstate, const char *message);
/* Events with id > after and at >= since_ms, oldest first, at most limit. target NULL = all. A talloc array of parent. */
int state_events(struct state *, void *parent, int64_t after, int64_t since_ms, const char *target, uint32_t limit,
		 struct event **ret, uint32_t *ret_n);
int state_event_get(struct state *, void *parent, int64_t id, struct event **ret);   /* 1 = no such event */
int state_prune(struct state *, int64_t before_ms);

struct suspension { const char *target, *reason, *actor; int64_t since_ms, until_ms; /* 0 = until resumed */ };
int state_suspend(struct state *, const struct suspension *);
int state_resume(struct state *, const char *target);
int state_suspensions(struct state *, void *parent, struct suspension **ret, uint32_t *ret_n);

struct approval { const char *target, *plan, *actor; int64_t at_ms, expires_ms; bool rejected; };
int state_approve(struct state *, const struct approval *);
/* 0 found, valid at now_ms and not used yet: *ret filled. 1 none. */
int state_approval(struct state *, void *parent, const char *target, const char *plan, int64_t now_ms, struct approval *ret);
int state_approval_used(struct state *, const char *target, const char *plan);

/* Small facts by key: pinned system identifiers ("identity/prod"), password fingerprints, policy digests. */
int state_get(struct state *, void *parent, const char *key, char **ret);     /* 1 = none */
int state_put(struct state *, const char *key, const char *value);
int state_delete(struct state *, const char *key);

#endif
