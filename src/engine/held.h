/* SPDX-License-Identifier: PostgreSQL */
/*
 * Pending files that a policy holds (migrate/hold.h), and what people said to
 * them. Each file is approved by itself, under an id of its text and of what
 * the lint says: the id of a plan names all of them, and what the guard holds.
 * For engine/ alone.
 */
#ifndef DBR_ENGINE_HELD_H
#define DBR_ENGINE_HELD_H

#include <stdbool.h>
#include <stdint.h>

struct change;
struct migration;
struct plan;
struct target;

/* Called when a target is made: what state.db knows of it. */
void held_load(struct target *);
/* At rest: that a plan is held, by whatever, is history once. */
void held_record(struct target *);
/* Files have run, and the hook after the last one is still to be called: others are held, or we may die before. Or it was. */
void held_owe_after(struct target *, bool owed);
bool held_owes_after(const struct target *);
/* Is there a policy? */
bool held_wanted(const struct target *);
/* Marks the files of the last comparison: held, released, and where the run stops. */
void held_judge(struct target *);
/* What is to run and does not wait for an approval. */
uint32_t held_free(const struct target *);
/* Of a file that is to run (NULL: what comes after all files) its change: held, if it is or stands behind one that is. */
void held_fill(const struct target *, struct plan *, const struct migration *, struct change *);
/* After the migrations were appended: the id of the whole plan, and whether somebody has rejected that. */
void held_identify(struct target *, struct plan *);
/* The id of the plan that is applied, when this file is released by it; NULL = it was not held, or was released with another plan. */
const char *held_plan(const struct target *, const char *script);
/* The file was applied: its approval has served. What is to be said of it, NULL = it was not held. */
const char *held_applied(struct target *, const char *script);
/* Somebody took approvals back: a run that is under way stops before the next file that was held. */
void held_rejected(struct target *);

#endif
