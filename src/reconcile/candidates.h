/* SPDX-License-Identifier: PostgreSQL */
/*
 * Which rules speak of an object, and what they want of it. Only for
 * src/reconcile: shared by the grants on objects and those on columns.
 */
#ifndef DBR_RECONCILE_CANDIDATES_H
#define DBR_RECONCILE_CANDIDATES_H

#include "reconcile/diff.h"

/* The rules that may speak of a group: all of its members, or those with certain names. Patterns are held against every
   name, the others are found by it. The memory is used again for each group. */
struct candidates {
	bool known;
	struct candidates_key {
		enum object_kind kind;
		name_id schema;
		char relkind;
		bool in_extension;
	} key;                       /* what they were found for */
	uint32_t *whole, n_whole;
	uint32_t *patterns, n_patterns;
	uint32_t n_literals;
	uint32_t *first;             /* by hash of the name: rule + 1 */
	uint32_t *next;              /* by rule: another one with that hash, + 1 */
	uint32_t mask;
	uint32_t *hits;              /* of the last candidates_hit() */
};

struct candidates *candidates_new(struct differ *);      /* a child of the differ's temporary memory */
/* The same as before where nothing that they depend on differs from the last group's. */
void candidates_of(struct differ *, const struct object_group *, enum object_kind kind, struct candidates *);
/* Does any of them read names? */
static inline bool candidates_named(const struct candidates *c)
{
	return c->n_patterns + c->n_literals > 0;
}
/* The rules that speak of this member of the group into c->hits, always in the same order. Returns how many. */
uint32_t candidates_hit(const struct differ *, struct candidates *, const struct object_group *, const char *schema, const char *name,
			size_t len);
/* Does it, by name and exceptions? The candidates' other properties are looked at already. */
bool rule_speaks_of(const struct rule *, char relkind, const char *schema, const char *name, size_t len);
/* Is the one object that it names among its exceptions? Then it is about nothing, whether the object is there or not. */
bool rule_excepts_itself(const struct rule *);

/* What the rules want of one part, added up per grantee. */
struct want_list {
	struct wanted *v;            /* talloc child of the differ's temporary memory */
	uint32_t n;
	bool exact, public_named, revoke_unmanaged;
};

void want_add(struct differ *, struct want_list *, const struct rule *, enum object_kind kind);

#endif
