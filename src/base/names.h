/* SPDX-License-Identifier: PostgreSQL */
/*
 * Interned names: one small number for each distinct string, so that the
 * model compares roles and schemas as integers. Number 0 is "no name"; in an
 * ACL it is PUBLIC.
 */
#ifndef DBR_BASE_NAMES_H
#define DBR_BASE_NAMES_H

#include <stddef.h>
#include <stdint.h>

typedef uint32_t name_id;
#define NAME_NONE 0u

struct names;

struct names *names_new(void *parent);                                   /* a talloc child of parent */
name_id names_intern(struct names *, const char *text, size_t len);      /* copies; "" is NAME_NONE */
name_id names_put(struct names *, const char *text);                     /* NULL is NAME_NONE */
name_id names_find(const struct names *, const char *text, size_t len);  /* NAME_NONE when unknown */
const char *names_text(const struct names *, name_id id);                /* owned by names; "" for NAME_NONE */
uint32_t names_count(const struct names *);                              /* ids are 1..count */

#endif
