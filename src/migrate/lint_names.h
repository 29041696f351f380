/* SPDX-License-Identifier: PostgreSQL */
/* What pending files have made and renamed so far: their names are not those that the database knows. For migrate/ alone. */
#ifndef DBR_MIGRATE_LINT_NAMES_H
#define DBR_MIGRATE_LINT_NAMES_H

#include <stdbool.h>

struct lint_made;

/* A schema is "" where none is written. */
void lint_made_add(struct lint_made *, const char *schema, const char *name);
bool lint_made_has(const struct lint_made *, const char *schema, const char *name);
void lint_made_rename(struct lint_made *, const char *schema, const char *name, const char *to_schema, const char *to_name);
/* The names before the renamings of these files. */
void lint_made_live_name(const struct lint_made *, const char **schema, const char **name);

#endif
