/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rows -> observed model. Pure: rowsets in, structs out. The rowsets must live
 * as long as the model. Hostile input is expected: a row that makes no sense
 * gives an error and never a crash. A row twice is an error too.
 *
 * Names of roles, schemas and databases that are not valid UTF-8 (made through a
 * database in another encoding) are kept, escaped and longer than 63 bytes, the
 * same everywhere, ACLs included: nothing that a manifest says is about them.
 * The names inside groups, and texts, are as the server sent them.
 */
#ifndef DBR_CATALOG_DECODE_H
#define DBR_CATALOG_DECODE_H

#include "base/error.h"
#include "catalog/query.h"
#include "model/observed.h"
#include "model/rowset.h"

#define FACTS_STEADY 13      /* the columns of QUERY_FACTS before those that differ from look to look: snapshot, clock */

/* answers[i] belongs to ids[i]. 0 ok; 1 the answer cannot be understood (err says which query and row). */
int decode_facts(struct names *, const struct rowset *, struct server_facts *ret, struct error *err);
int decode_server(void *parent, struct names *, const enum query_id *ids, const struct rowset *answers, unsigned n,
		  struct server_state **ret, struct error *err);
int decode_database(void *parent, struct names *, const enum query_id *ids, const struct rowset *answers, unsigned n,
		    struct database_state **ret, struct error *err);

#endif
