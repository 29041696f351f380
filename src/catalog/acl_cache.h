/* SPDX-License-Identifier: PostgreSQL */
/* Every distinct ACL text of a look is parsed once, and every default made once. Private to this folder. */
#ifndef DBR_CATALOG_ACL_CACHE_H
#define DBR_CATALOG_ACL_CACHE_H

#include "catalog/cells.h"
#include "model/acl.h"

struct acl_cache;

/* The lists are talloc children of parent and outlive the cache, which the caller frees. */
struct acl_cache *acl_cache_new(void *parent, int version_num);
/* The list in a cell, fully decoded; NULL stands for acl_default(kind, owner). Never NULL, but after a failure. */
const struct acl *acl_cache_cell(struct acl_cache *, struct reader *, unsigned column, enum object_kind kind, name_id owner);
/* The same, where NULL means that there is none. */
const struct acl *acl_cache_cell_or_null(struct acl_cache *, struct reader *, unsigned column);

#endif
