/* SPDX-License-Identifier: PostgreSQL */
/* Levels: the built-in ones, and how own ones are put together. Inside config/ only. */
#ifndef DBR_CONFIG_LEVELS_H
#define DBR_CONFIG_LEVELS_H

#include "config/reader.h"

extern const struct level level_pending;             /* stands where a name is still to be looked up */

const struct level *level_builtin(const char *name);   /* NULL when there is none */
/* Completes every own level with what it extends, then fills the places that named one. */
void levels_resolve(struct reader *);

#endif
