/* SPDX-License-Identifier: PostgreSQL */
/*
 * A program beside the loop: without a shell, in a process group of its own
 * that is ended as a whole, with bounded output and a deadline. Pulled like a
 * session: watch its descriptors, turn it; it never blocks and never calls up.
 */
#ifndef DBR_SESSION_CHILD_H
#define DBR_SESSION_CHILD_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/clock.h"
#include "base/error.h"

#define CHILD_FDS 2u

struct child;

/* posix_spawnp with an empty stdin; out is its stdout, err its stderr (-1: ours). env NULL: ours. 0, or errno. */
int child_spawn(char *const *argv, char *const *env, int out, int err, pid_t *ret_pid);
/* A descriptor that becomes readable when the process ends; -1 on old kernels. */
int child_pidfd(pid_t);

/* Starts it; what it writes to stdout and stderr is read, the last 4 KiB are kept. 1: it cannot be started, err says why.
   Freeing it kills the whole group and waits for the program itself. */
int child_start(void *parent, char *const *argv, char *const *env, msec_t timeout, msec_t now, struct child **ret, struct error *err);
/* True when it has ended. Ends the whole group at the deadline. */
bool child_turn(struct child *, msec_t now);
/* Asks the whole group to end (SIGTERM). */
void child_terminate(struct child *);
/* After its end: 0 with exit code 0; 1 otherwise: err says how it ended, with the last lines that it wrote. */
int child_result(const struct child *, const char *what, struct error *err);
/* Descriptors to wait for (readable): how many. */
unsigned child_fds(const struct child *, int fds[CHILD_FDS]);
msec_t child_deadline(const struct child *, msec_t now);

#endif
