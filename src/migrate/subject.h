/* SPDX-License-Identifier: PostgreSQL */
/* What a statement that was interrupted is about, for who asks the catalogs whether it happened. Called by the migration runner. */
#ifndef DBR_MIGRATE_SUBJECT_H
#define DBR_MIGRATE_SUBJECT_H

#include "migrate/migration.h"

struct script_subject {
	char *schema;              /* as written, NULL = by the search_path */
	char *name;                /* of the index, database or tablespace; NULL: the statement leaves it to the server */
	char *table_schema, *table;/* of a new index */
	bool if_exists;            /* IF EXISTS, IF NOT EXISTS */
};

/* Of a statement whose kind is SCRIPT_CREATE_INDEX or later. False: not understood (U&"..." and the like). */
bool script_subject(void *parent, const struct migration_file *, uint32_t statement, struct script_subject *ret);
/* Can it be found out from the catalogs, or run again without harm, whether the statement happened? */
bool script_can_find_out(const struct migration_file *, uint32_t statement);

#endif
