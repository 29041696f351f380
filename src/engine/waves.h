/* SPDX-License-Identifier: PostgreSQL */
/*
 * Waves in the engine: who is how far (wave.c decides what that means), what
 * a restart must not forget of it, and who goes on when the line moves. For
 * engine/ alone.
 */
#ifndef DBR_ENGINE_WAVES_H
#define DBR_ENGINE_WAVES_H

#include "base/clock.h"
#include "engine/wave.h"

struct engine;
struct error;
struct target;

/* Called when a target is made: what state.db knows of it. */
void waves_load(struct target *);
/* The ledger was compared anew: since when is it at its version? */
void waves_note(struct target *);
/* May it be migrated now? The name in *ret is the other target's: copy it before the next turn. */
void waves_ask(const struct target *, struct wave_wait *ret);
/* Keeps the answer for those who look; next is when it is due, at the latest at the end of a soak. */
void waves_rest(struct target *);
msec_t waves_due(const struct target *, msec_t next, msec_t now);
/* It begins to migrate, or is over. */
void waves_enter(struct target *);
void waves_leave(struct target *);
/* Nobody waits for it any more, until its files change. A server target stands for the databases of a server that was never
   seen. 1: it is in no line: err. */
int waves_release(struct target *, struct error *err);
/* Something of a line has changed: at the end of this turn those who wait are asked again. */
void waves_moved(struct engine *);
void waves_turn(struct engine *, msec_t now);

#endif
