/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who can do what, by every path: what a role holds itself, what it owns, what PUBLIC has, what it inherits or could have by
 * SET ROLE from the roles that it is a member of, what predefined roles and superusers can. From the last look; pure.
 * A privilege that has several paths is told once for each. Functions that run as their owner are no path here.
 */
#ifndef DBR_RECONCILE_ACCESS_H
#define DBR_RECONCILE_ACCESS_H

#include "model/observed.h"
#include "model/selector.h"

#define ACCESS_NAMES_MAX 100     /* of the objects of one entry */
#define ACCESS_ENTRIES_MAX 5000  /* of one target */

enum access_how { ACCESS_GRANT, ACCESS_OWNER, ACCESS_PUBLIC, ACCESS_PREDEFINED, ACCESS_SUPERUSER, ACCESS_HOWS };
const char *access_how_name(enum access_how);    /* "grant" */

struct access_entry {
	name_id role;                /* who; NAME_NONE = PUBLIC, which is everybody */
	enum access_how how;
	name_id through;             /* the role whose privileges these are; the same as role where it has them itself */
	name_id *chain; uint32_t n_chain;        /* from role to through, both left out */
	name_id set_role;            /* only after SET ROLE to this one; NAME_NONE = at once */
	enum object_kind kind;       /* OBJECT_NONE: everything there is (superusers) */
	char relkind;
	name_id schema;
	const char *column;
	const char **names; uint32_t n_names, n;     /* n objects, of which some are named; none: all of the kind */
	privs_t privs, grantable;
	bool no_usage;               /* without USAGE on the schema */
	bool row_security;           /* policies decide which rows */
};

struct access_list {
	struct access_entry *v; uint32_t n;
	bool truncated;
};

/* database NULL: what is shared. 1 there is no such role on the server. */
int access_of_role(void *parent, const struct server_state *, const struct database_state *, const char *role, struct access_list **ret);
/* on NULL: to everything. */
struct access_list *access_to_object(void *parent, const struct server_state *, const struct database_state *, const struct selector *);

#endif
