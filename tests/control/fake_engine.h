/* SPDX-License-Identifier: PostgreSQL */
/* An engine without servers, for tests of control/ and service/: engine.h by hand, with a target of every sort. */
#ifndef DBR_TESTS_FAKE_ENGINE_H
#define DBR_TESTS_FAKE_ENGINE_H

#include "engine/engine.h"

/* Sockets are put into directory. extra more targets "fleet/db00000" beside the named ones. Reloads are refused while the
   file "broken" is in directory. */
struct engine *fake_engine_new(void *parent, struct state *state, const char *directory, uint32_t extra);
struct settings *fake_engine_settings(struct engine *);
/* Ends the passes that were ordered before; those of "prod/stuck" never end. */
void fake_engine_turn(struct engine *);
bool fake_engine_busy(const struct engine *);

#endif
