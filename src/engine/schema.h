/* SPDX-License-Identifier: PostgreSQL */
/*
 * Schema drift: what a database's schemas hold beside what its migrations have
 * made, and beside what others at its version hold. Reports, never corrects.
 *
 * Two lists are kept of a database: the baseline, which is what migrations are
 * taken to have made, and the one that was seen last. When the ledger has
 * moved since then, what changed between the last look and this one is the
 * migration's, and goes into the baseline; everything else that differs from
 * the baseline is drift.
 *
 *   schema.c        when to look, and the steps of one look
 *   schema_keep.c   what is kept of it, and what people are told
 *   schema_peers.c  databases beside each other
 */
#ifndef DBR_ENGINE_SCHEMA_H
#define DBR_ENGINE_SCHEMA_H

#include "engine/engine.h"
#include "migrate/schema.h"

struct target;
struct engine;

/* Of a target that is watched, or has been since the daemon began. */
struct schema_watch {
	char baseline[SCHEMA_DIGEST + 1], last[SCHEMA_DIGEST + 1];     /* "" = none */
	char mark[64];                   /* what the ledger and the watch were at the last look */
	unsigned serial;                 /* moves when somebody else than a look changes the baseline */
	bool looked;                     /* by this process */
	unsigned lost;                   /* connections in a row that a look cost */
	msec_t at, failed_at;            /* the last look; when it could not be made, 0 = it was */
	char seen[SCHEMA_DIGEST + 1];    /* last, when peers were told */
	uint64_t kin;                    /* databases of one kin are compared; 0 = nobody */
	struct schema_diff *drift;       /* NULL: not known yet */
	void *error_ctx;
	struct schema_view view;
};

/* One look under way: a child of the pass. */
struct schema_job;

/* begin: false when there is nothing to look at now. turn: 0 under way, 1 over, 2 the session failed. */
bool schema_begin(struct target *, msec_t now);
int schema_turn(struct target *, msec_t now);
/* A look is due and was not made since the catalogs were looked at: that nothing changed since then says nothing. */
bool schema_due(const struct target *, msec_t now);
/* The database was made anew. */
void schema_forget(struct target *);
/* How many objects are known to differ from the baseline. */
uint32_t schema_drift(const struct target *);
/* What was seen last is the baseline from now on. 1: err. */
int schema_accept(struct target *, const char *actor, struct error *err);

/* schema_keep.c, for schema.c */
void schema_load(struct target *);
bool schema_is_watched(const struct target *);
char *schema_mark(void *parent, const struct target *);
void schema_point(struct target *, const char *role, const char *digest, const char *note);
void schema_failed(struct target *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Tells what came and what went, and keeps drift instead of what was known. */
void schema_publish(struct target *, struct schema_diff *drift, uint32_t objects);
void schema_tell_baseline(struct target *, uint32_t objects, const char *why);

/* schema_peers.c: which databases differ from most of their kin. */
void schema_peers_moved(struct engine *);
void schema_peers_forget(struct engine *);      /* a target is about to be freed */
void schema_peers_turn(struct engine *);
msec_t schema_peers_deadline(const struct engine *);     /* MSEC_NEVER = nothing to compare */

/* schema_keep.c: steps over kept lists, shared by the looks and the peers. */
struct schema_loading {
	struct schema *list;
	char digest[SCHEMA_DIGEST + 1];
	uint32_t part;
};
void schema_loading_begin(struct schema_loading *, void *parent, const char *digest);
int schema_loading_turn(struct schema_loading *, struct engine *);      /* 0 more to come, 1 over, 2 it is not there or damaged */

#endif
