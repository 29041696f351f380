/* SPDX-License-Identifier: PostgreSQL */
/*
 * SQL quoting, the only place for it. Identifiers are always quoted, so no
 * keyword list is needed; literals rely on standard_conforming_strings = on,
 * which every session pins.
 */
#ifndef DBR_MODEL_QUOTE_H
#define DBR_MODEL_QUOTE_H

#include "base/text.h"

void quote_ident(struct text *, const char *name);                  /* "na""me" */
void quote_ident_len(struct text *, const char *name, size_t len);
void quote_literal(struct text *, const char *value);               /* 'val''ue' */
void quote_array_add(struct text *, const char *value);             /* an array's text so far: {"a\"b","c" */
/* Quoted only when needed by the rules of a plain lower-case identifier: for people, never for the server. */
void quote_ident_display(struct text *, const char *name);

#endif
