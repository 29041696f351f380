/* SPDX-License-Identifier: PostgreSQL */
/*
 * What libconfig does not tell: a look at the raw text before libconfig parses
 * it. libconfig 1.5 wraps integers, drops "\x00", accepts an empty file and
 * says "syntax error" where a file was cut. Not a parser: grammar, values and
 * duplicate keys stay libconfig's.
 */
#ifndef DBR_CONFIG_SCAN_H
#define DBR_CONFIG_SCAN_H

#include <stddef.h>

#include "config/errors.h"

/* Adds what is wrong to errors. 0 nothing; 1 the text may be parsed (to find more), but not used; 2 do not parse it. */
int config_scan(const char *file, const char *text, size_t len, struct config_errors *errors);

#endif
