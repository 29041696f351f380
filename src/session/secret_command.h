/* SPDX-License-Identifier: PostgreSQL */
/*
 * password_command: a program whose first line of output is the password, for
 * tokens that expire. Runs beside the loop, never through a shell, and what it
 * said is kept for a while. Pulled like a session: watch its descriptors, turn it.
 */
#ifndef DBR_SESSION_SECRET_COMMAND_H
#define DBR_SESSION_SECRET_COMMAND_H

#include <stdbool.h>

#include "base/clock.h"
#include "session/secret.h"

struct secret_commands;

/* Answers are kept for ttl (<= 0: 10 min), failures for 30 s. Freeing it ends what runs. */
struct secret_commands *secret_commands_new(void *parent, msec_t ttl);

/* secret_read() for every kind. 0 ok; 1 unavailable, err says why; 2 the command runs: ask again after secret_commands_turn()
   has returned true, at the latest at secret_commands_deadline(). */
int secret_get(struct secret_commands *, void *parent, const struct secret_source *, msec_t now, char **ret, struct error *err);
/* The server refused what secret_get() gave: the next one runs the command anew. */
void secret_forget(struct secret_commands *, const struct secret_source *);

/* Descriptors to wait for (readable), at most max are written. Returns how many there are. */
unsigned secret_commands_fds(const struct secret_commands *, int *fds, unsigned max);
msec_t secret_commands_deadline(const struct secret_commands *);   /* MSEC_NEVER when nothing runs */
/* True when a command has finished, well or not. Never blocks. */
bool secret_commands_turn(struct secret_commands *, msec_t now);

/* words_split() of base/words.h. 1: err. */
int secret_command_split(void *parent, const char *line, char ***ret, struct error *err);

#endif
