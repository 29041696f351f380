/* SPDX-License-Identifier: PostgreSQL */
/* Schema drift in the documents of one target and of the fleet. */
#ifndef DBR_CTL_SCHEMA_H
#define DBR_CTL_SCHEMA_H

#include <jansson.h>

#include "ctl/ctl.h"

/* What differs, a line each; nothing where nothing is watched. */
void schema_print(struct ctl *, const json_t *doc, const char *indent);
/* "as migrations made it; 210 objects, version 002": NULL where nothing is watched. */
const char *schema_line(struct ctl *, const json_t *schema);
/* A row of the fleet: "as migrated", "drift 3", "differs 1"; "-" where it is not watched or not known. */
const char *schema_summary(struct ctl *, const json_t *schema, enum ctl_color *);

#endif
