/* SPDX-License-Identifier: PostgreSQL */
/*
 * Undo, for engine/ alone: what was asked to be undone and waits for its approval, and what was undone and is still
 * declared. Both survive a restart, one key of state.db each.
 *
 *   undo.c        the two lists, from plan to plan
 *   undo_order.c  whether a recorded change can be undone at all
 */
#ifndef DBR_ENGINE_UNDO_H
#define DBR_ENGINE_UNDO_H

#include <stdbool.h>
#include <stdint.h>

struct change;
struct plan_context;
struct target;

struct undo_entry {
	int64_t id;                   /* of the recorded change */
	int64_t at_ms;                /* when it was asked for, or undone */
	const char *actor;
	const char *approval;         /* the id under which it is approved */
	const char *record;           /* of the change: reconcile/inverse.h */
	int64_t event;                /* of undoing it, while that is under way */
	bool wanted;                  /* undone: the last plan holds it again */
};
struct undo_entries {
	struct undo_entry *v;
	uint32_t n;
};
struct undo_list {
	struct undo_entries pending, undone;
};

/* Called when a target is made: what state.db knows of it. */
void undo_load(struct target *);
/* Asks for it. Negative: it could not be stored, and is not asked for. */
int undo_ask(struct target *, int64_t id, const char *actor, const char *record);
const struct undo_entry *undo_pending(const struct target *, int64_t id);
/* Is this the id of something that waits to be undone? */
const struct undo_entry *undo_waits(const struct target *, const char *approval);
/* Somebody rejected a plan, or one undo alone: what it was to undo is dropped. */
void undo_rejected(struct target *, const char *plan);

/* Before a plan is made: fills in what is to be undone, and what was. memory must live as long as the plan. */
void undo_context(struct target *, void *memory, struct plan_context *);
/* After it: what was undone and is not declared any more is forgotten. */
void undo_planned(struct target *);

/* For the history: what a change is recorded with, who did it (NULL = the daemon), under which event. */
char *undo_record(const struct target *, void *parent, const struct change *);
char *undo_actor(const struct target *, void *parent, const struct change *);
void undo_begun(struct target *, const struct change *, int64_t event);
/* The change was made: of an undo that it is done, of another that it is no longer undone. */
void undo_applied(struct target *, const struct change *);
/* It cannot be made: it was tried once. */
void undo_failed(struct target *, const struct change *);
/* What was in doubt: it was made, or nobody will know. */
void undo_settled(struct target *, int64_t event);

#endif
