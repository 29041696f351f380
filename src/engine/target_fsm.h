/* SPDX-License-Identifier: PostgreSQL */
/*
 * The state machine of a target, as a table: which step follows which, and
 * why. Pure: target.c raises events and executes the effects that come back.
 * docs/states.md is printed from this table and a test keeps it true.
 */
#ifndef DBR_ENGINE_TARGET_FSM_H
#define DBR_ENGINE_TARGET_FSM_H

#include <stdbool.h>
#include <stdio.h>

enum target_state {
	/* at rest: nothing is open but the kept connection of a server target */
	TS_IDLE, TS_HELD, TS_SUSPENDED, TS_BACKOFF,
	/* a pass */
	TS_QUIET, TS_QUEUED, TS_CONNECT, TS_ASSERT, TS_LOOK, TS_PLAN, TS_APPLY, TS_MIGRATE, TS_VERIFY, TS_JUDGE,
	/* the end */
	TS_DRAIN, TS_STOPPED,
	TARGET_STATES
};

enum target_event {
	TE_DUE_QUIET,    /* due, and the server connection can be asked whether anything changed */
	TE_DUE,          /* due or ordered: a full look is wanted */
	TE_CHANGED,      /* the quiet check proved nothing, or there is work */
	TE_SLOT,         /* a connection is free for us */
	TE_KEPT,         /* our kept connection serves */
	TE_READY,        /* connected */
	TE_LEARNED,      /* version and rights are known for the first time */
	TE_ASSERTED,     /* right server, right database, settings in force */
	TE_LOOKED,       /* every row is in and decoded */
	TE_IN_SYNC, TE_CORRECT, TE_PENDING, TE_MAY_NOT, TE_PAUSED, TE_HOLD,     /* what the plan says */
	TE_MORE,         /* the plan after an apply holds only changes that were not possible before it */
	TE_APPLIED,      /* every group is over */
	TE_STAGED,       /* the groups before the migrations are over */
	TE_MIGRATED,     /* the migration runner is over */
	TE_FAILED,
	TE_STOP,         /* the daemon stops, or the target is no longer configured */
	TARGET_EVENTS
};

enum target_effect {
	FX_NONE, FX_ASK, FX_QUEUE, FX_CONNECT, FX_FACTS, FX_LOOK, FX_PLAN, FX_APPLY, FX_MIGRATE, FX_JUDGE, FX_REST, FX_BACKOFF, FX_CLOSE,
	FX_BUG,          /* this event cannot come in this state: logged, then treated as a failure */
	TARGET_EFFECTS
};

struct target_step {
	enum target_state next;
	enum target_effect effect;
	const char *why;
};

/* Total: every pair has exactly one row. */
struct target_step target_fsm_step(enum target_state state, enum target_event event);
/* How many rows cover a pair; the test wants 1 everywhere. */
unsigned target_fsm_rows(enum target_state state, enum target_event event);

const char *target_state_name(enum target_state);      /* "look": the phase that people see */
const char *target_event_name(enum target_event);
const char *target_effect_name(enum target_effect);
bool target_state_at_rest(enum target_state);

/* docs/states.md: a diagram and the table, as Markdown. */
void target_fsm_print(FILE *out);

#endif
