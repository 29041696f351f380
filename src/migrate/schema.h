/* SPDX-License-Identifier: PostgreSQL */
/*
 * What migrations have made, as a sorted list of objects with their
 * definitions in parts, and what differs between two such lists. Pure; a list
 * may have a hundred thousand objects, so whatever walks one does so in
 * slices: the caller says how many, and goes on until it is over.
 *
 * A part is kept as it is when it is short ("type: integer -> bigint"), as a
 * digest when it is long or is never told (bodies, definitions of views).
 */
#ifndef DBR_MIGRATE_SCHEMA_H
#define DBR_MIGRATE_SCHEMA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/text.h"
#include "model/rowset.h"

#define SCHEMA_OBJECTS_MAX 500000        /* columns and constraints counted; the query returns one more than that */
#define SCHEMA_CHANGES_MAX 200           /* listed; all are counted */
#define SCHEMA_PARTS 9
#define SCHEMA_COLUMNS (3 + SCHEMA_PARTS)
#define SCHEMA_DIGEST 64                 /* hexadecimal digits */

/* One list. */
struct schema;
struct schema *schema_new(void *parent);
uint32_t schema_count(const struct schema *);

/* A row of QUERY_SCHEMA_OBJECTS; what matches one of the patterns, or belongs to what does, is left out. 0 ok, 1 not understood. */
int schema_add(struct schema *, const struct rowset *, unsigned row, const char *const *ignored, uint32_t n_ignored);

/* The list as text in pieces of some 100 kB, and its digest when the last one was taken. */
struct schema_writer {
	uint32_t at;
	char digest[SCHEMA_DIGEST + 1];
};
bool schema_write(const struct schema *, struct schema_writer *, struct text *piece);     /* false: there is no more */
/* A piece that was kept. 1 = damaged. */
int schema_read(struct schema *, const char *piece, size_t len);

enum schema_difference { SCHEMA_ADDED, SCHEMA_REMOVED, SCHEMA_CHANGED };
struct schema_part {
	const char *name;                /* "type" */
	const char *before, *after;      /* NULL: there is none, or it is not told: see told */
	bool told;
};
struct schema_change {
	enum schema_difference difference;
	const char *kind, *name;         /* "column", "app.orders.total" */
	struct schema_part *parts;       /* of one that was changed */
	uint32_t n_parts;
};
struct schema_diff {
	struct schema_change *v;         /* SCHEMA_CHANGES_MAX at most */
	uint32_t n, total;
};
const char *schema_difference_name(enum schema_difference);     /* "added" */
/* "changed: type integer -> bigint, default": one line for people. A talloc child of parent. */
char *schema_change_text(void *parent, const struct schema_change *);

/*
 * From one list to another. What goes or comes with its table is not counted beside it, and a column that stands at another
 * place only because one before it went has not changed.
 */
struct schema_compare;
struct schema_compare *schema_compare_new(void *parent, const struct schema *from, const struct schema *to);
bool schema_compare_turn(struct schema_compare *, uint32_t slice);      /* true: over */
/* Of a comparison that is over, with its texts in it: a talloc child of parent. */
struct schema_diff *schema_compare_take(void *parent, struct schema_compare *);

/*
 * What is expected after a migration: what was expected before it, with what changed from before to after, part by part.
 * What had drifted and was not touched by it goes on being drift.
 */
struct schema_merge;
struct schema_merge *schema_merge_new(void *parent, const struct schema *expected, const struct schema *before,
				      const struct schema *after);
bool schema_merge_turn(struct schema_merge *, uint32_t slice);
struct schema *schema_merge_take(void *parent, struct schema_merge *);

/* For comparison and merging alone. */
struct schema_object {
	const char *line;                /* kind, name, parent and parts, a tab before each but the first, escaped */
	uint32_t key;                    /* length of kind and name */
};
const struct schema_object *schema_object(const struct schema *, uint32_t at);       /* NULL behind the last */
int schema_object_compare(const struct schema_object *, const struct schema_object *);
void schema_append(struct schema *, const char *line, size_t len);
/* The nth field, from 0 = kind; not terminated. */
const char *schema_field(const struct schema_object *, unsigned n, size_t *ret_len);
/* Is there a relation of this name (escaped)? */
bool schema_has_relation(const struct schema *, const char *name, size_t len);
char *schema_unescape(void *parent, const char *s, size_t len);
const char *schema_kind_name(char kind);
const char *schema_part_name(char kind, unsigned part);

#endif
