/* SPDX-License-Identifier: PostgreSQL */
/*
 * Which rules speak of an object, and what they want of it. Only for
 * src/reconcile: shared by the grants on objects and those on columns.
 */
#ifndef DBR_RECONCILE_CANDIDATES_H
#define DBR_RECONCILE_CANDIDATES_H

#include "reconcile/diff.h"

#define RULES_MAX 4096               /* rules that may speak of one object */

/* The rules that may speak of a group, and whether any of them reads names. */
struct candidates {
	uint32_t whole[RULES_MAX], n_whole;
	uint32_t named[RULES_MAX], n_named;
};

void candidates_of(struct differ *, const struct object_group *, enum object_kind kind, struct candidates *ret);
/* Does it, by name and exceptions? The candidates' other properties are looked at already. */
bool rule_speaks_of(const struct rule *, char relkind, const char *schema, const char *name, size_t len);

/* What the rules want of one part, added up per grantee. */
struct want_list {
	struct wanted *v;            /* talloc child of the differ's temporary memory */
	uint32_t n;
	bool exact, public_named, revoke_unmanaged;
};

void want_add(struct differ *, struct want_list *, const struct rule *, enum object_kind kind);

#endif
