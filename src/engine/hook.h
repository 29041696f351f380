/* SPDX-License-Identifier: PostgreSQL */
/*
 * A command that an operator wants before the first or after the last
 * migration of a pass, pg_dump for example: as the migration user, in a process
 * group of its own, beside the loop. For engine/ alone.
 */
#ifndef DBR_ENGINE_HOOK_H
#define DBR_ENGINE_HOOK_H

#include <stdbool.h>

#include "base/clock.h"
#include "base/error.h"

struct hook;
struct settings;
struct target;

/* Starts it; password may be NULL. 1: it may not or cannot be started, err says why. The target is marked when it has something. */
int hook_new(struct target *, bool before, const char *password, msec_t now, struct hook **ret, struct error *err);
/* 0 it runs; 1 it has ended well; 2 not: err. */
int hook_turn(struct hook *, msec_t now, struct error *err);
/* The daemon stops: asks it to end. */
void hook_terminate(struct hook *);
msec_t hook_deadline(const struct hook *, msec_t now);
/* At the start: password files that a killed daemon left behind, wherever it may have put them. */
void hook_sweep(const struct settings *);

#endif
