/* SPDX-License-Identifier: PostgreSQL */
/*
 * Taking changes back: the inverse of one, comparing two, and the text in which both directions of a change are kept in the
 * history. Pure; the engine records and reads, reconcile/undo.c plans.
 */
#ifndef DBR_RECONCILE_INVERSE_H
#define DBR_RECONCILE_INVERSE_H

#include "reconcile/plan.h"

struct changes {
	struct change *v;
	uint32_t n;
};

/* The changes that take c back, in order, as talloc children of parent; strings point to those of c. NULL: *ret is filled;
   else why there are none. */
const char *change_inverse(void *parent, const struct change *c, int version_num, struct changes *ret);
/* What c does without what a plan thinks of it: the change itself, or the parts of an undo. */
void change_forward(void *parent, const struct change *c, struct changes *ret);
/* Their statements as people may see them. */
int changes_sql_display(void *parent, const struct plan *, const struct change *v, uint32_t n, int version_num, struct statements *ret);

/* What follows searches names of objects: they must be sorted, as those of a plan and of a record are. */
void change_sort_names(struct change *);
/* Does the one do, of what the other did, at least a part? By operation, roles, privileges and names of objects. When it
   cannot be told apart, it does. */
bool change_repeats(const struct change *planned, const struct change *made);
/* For changes on several objects: is this one among those of made? */
bool change_names_object(const struct change *made, const char *name);
/* Did both touch the same thing, so that taking back the earlier one alone would not give what was there before it? */
bool change_touches(const struct change *later, const struct change *earlier);

/* One recorded change: where it was made, what it did, and what takes it back. */
struct change_record {
	uint64_t system_identifier;
	uint32_t database_oid;
	int version_num;
	int64_t undoes;               /* the change that it took back; 0 = it is no undo */
	const char *no_inverse;       /* why back is empty */
	struct changes forward, back;
};
/* As text, without secrets. A talloc child of parent. */
char *change_record_write(void *parent, const struct names *, const struct change_record *);
/* 1: not such a text, or of a newer version. Names are interned, everything else lives with parent. */
int change_record_read(void *parent, struct names *, const char *text, struct change_record *ret);

#endif
