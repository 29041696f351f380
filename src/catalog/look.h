/* SPDX-License-Identifier: PostgreSQL */
/* What the decoders of one look share. Private to this folder. */
#ifndef DBR_CATALOG_LOOK_H
#define DBR_CATALOG_LOOK_H

#include "catalog/acl_cache.h"
#include "catalog/decode.h"

struct look {
	struct names *names;
	struct acl_cache *acls;
	struct error *err;
	int version_num;
	struct server_state *server;       /* one of the two is NULL */
	struct database_state *database;
	const struct rowset *available;    /* answer of QUERY_AVAILABLE_EXTENSIONS, or NULL */
};

/* Each reads one whole answer: the reader stands before its first row. A failure stays in the reader. */
typedef void (*answer_decoder)(struct look *, enum query_id, struct reader *);

void decode_roles(struct look *, enum query_id, struct reader *);
void decode_memberships(struct look *, enum query_id, struct reader *);
void decode_settings(struct look *, enum query_id, struct reader *);
void decode_databases(struct look *, enum query_id, struct reader *);
void decode_objects(struct look *, enum query_id, struct reader *);
void decode_default_acls(struct look *, enum query_id, struct reader *);
void decode_event_triggers(struct look *, enum query_id, struct reader *);
void decode_extensions(struct look *, enum query_id, struct reader *);
void decode_available_extensions(struct look *, enum query_id, struct reader *);
void decode_policies(struct look *, enum query_id, struct reader *);
void decode_ledger_relation(struct look *, enum query_id, struct reader *);
void decode_role_dependencies(struct look *, enum query_id, struct reader *);

/* When every answer has been read, in whatever order they came. */
void decode_default_versions(struct look *);

#endif
