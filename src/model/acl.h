/* SPDX-License-Identifier: PostgreSQL */
/*
 * Access control lists as sets of entries. Text of an aclitem[] goes in,
 * compared sets come out; the order of items never matters.
 */
#ifndef DBR_MODEL_ACL_H
#define DBR_MODEL_ACL_H

#include "base/error.h"
#include "base/names.h"
#include "model/kind.h"

struct acl_entry {
	name_id grantee;      /* NAME_NONE = PUBLIC */
	name_id grantor;
	privs_t privs;        /* all held, with or without grant option */
	privs_t grantable;    /* the subset held WITH GRANT OPTION */
};

struct acl {
	uint32_t n;
	bool is_null;         /* the catalog had NULL: entries are acldefault() */
	struct acl_entry v[];
};

/* Parses the server's text of an aclitem[] ("{ro=r/owner,\"a b\"=arw*\/owner}"), sorted by (grantee, grantor).
   Role names are interned. Positive 1 when the text is not an aclitem[]; err says where. */
int acl_parse(void *parent, struct names *, const char *text, size_t len, struct acl **ret, struct error *err);

/* By (grantee, grantor), as acl_parse() leaves it. */
void acl_sort(struct acl *);

/* What NULL means: acldefault(kind, owner) on a server of this version. */
struct acl *acl_default(void *parent, enum object_kind kind, name_id owner, int version_num);

/* Union of what grantee holds, over all grantors. */
void acl_held(const struct acl *, name_id grantee, privs_t *ret_privs, privs_t *ret_grantable);

#endif
