/* SPDX-License-Identifier: PostgreSQL */
/*
 * A decoded look as text: one fact per line, cells as in COPY, lines sorted. What the tests compare with files and with
 * what the server itself says. Names of grantees: \N is PUBLIC.
 */
#ifndef DBR_TESTS_MODEL_TEXT_H
#define DBR_TESTS_MODEL_TEXT_H

#include "model/observed.h"

/* Talloc children of parent. */
char *model_text_server(void *parent, const struct server_state *);
char *model_text_database(void *parent, const struct database_state *);

#endif
