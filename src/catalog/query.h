/* SPDX-License-Identifier: PostgreSQL */
/*
 * Every catalog query of the program: text, name, and the versions it is for.
 * Pure text; the session sends it, decode.h reads the answers.
 */
#ifndef DBR_CATALOG_QUERY_H
#define DBR_CATALOG_QUERY_H

#include <stdbool.h>

#include "model/observed.h"

enum query_id {
	QUERY_FACTS,              /* version, rights, identity, snapshot: first of every look */
	QUERY_ASSERT_SESSION,     /* rows (name, value): settings (NULL = this server has none of that name), then
	                             pg_backend_pid(), pg_is_in_recovery(), system_identifier, current_user ... */
	/* server target */
	QUERY_ROLES,
	QUERY_MEMBERSHIPS,
	QUERY_SETTINGS,
	QUERY_DATABASES,
	QUERY_TABLESPACES,
	QUERY_PARAMETERS,         /* 15+ */
	/* database target */
	QUERY_SCHEMAS,
	QUERY_RELATIONS,
	QUERY_COLUMNS,
	QUERY_ROUTINES,
	QUERY_TYPES,
	QUERY_LANGUAGES,
	QUERY_FOREIGN,            /* wrappers and servers */
	QUERY_LARGE_OBJECTS,
	QUERY_DEFAULT_ACLS,
	QUERY_EVENT_TRIGGERS,     /* that fire in our sessions: name, function, its owner, tags or NULL */
	QUERY_EXTENSIONS,
	QUERY_AVAILABLE_EXTENSIONS, /* reads files of the server: only when a manifest is about extensions */
	QUERY_POLICIES,
	QUERY_LEDGER_FOUND,       /* $1 schema, $2 table: as QUERY_LEDGER_RELATION, plain as far as pg_class says */
	/* on demand */
	QUERY_PLACE,              /* in recovery, oid of the database, system_identifier or NULL, pid of the backend */
	QUERY_LEDGER_RELATION,    /* $1 schema, $2 table; judged, to be asked under a lock */
	QUERY_SNAPSHOT,           /* pg_current_snapshot()::text */
	QUERY_ROLE_DEPENDENCIES,  /* $1 array of roles: their sessions and what blocks DROP ROLE, cluster-wide. Part of a look
	                             when roles are to go */
	QUERY_RELATION_SIZES,     /* $1 array of names: schema, name, bytes by pg_class.relpages, reltuples; schemas with no name */
	QUERY_EXACT_SIZES,        /* the same, bytes as they are: waits for who locks the table */
	QUERY_USER_TABLES,        /* $1 schema and $2 array of names that do not count: schema and name of a table, when there is one */
	QUERY_INDEX_LEFTOVERS,    /* invalid, and nobody builds it: schema, index, table */
	QUERY_OLD_TRANSACTIONS,   /* of this database, over a minute: how many, age of the oldest in seconds, its pid */
	QUERY_XACT_STATUS,        /* $1 xid */
	QUERY_FOREIGN_LEDGER,     /* as QUERY_LEDGER_RELATION, of a table that is only read: foreign keys are no harm */
	QUERY_ADVISORY_LOCK,      /* $1, $2 the halves of a key: is it held in this database */
	QUERY_SCHEMA_OBJECTS,     /* $1 patterns of schemas, $2 schema of the ledger, $3 its tables: see migrate/schema.h */
	QUERY_LEDGER_OIDS,        /* $1 schema, $2 and $3 tables: is the schema there, oids of the tables or NULL */
	QUERY_LEDGER_SAME,        /* $1 schema, $2 table, $3 its oid, $4 the table beside it: fails (22012) unless the table is still this
	                             one, plain and readable, and there is none beside it */
	QUERIES
};

struct query {
	const char *name;         /* also the prepared statement's */
	const char *sql;
	unsigned params;
};

/* Around every look, so that all its answers are of one snapshot (names in ACLs and expressions are newer, maybe). */
#define LOOK_BEGIN "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY"
#define LOOK_END "COMMIT"

/* The text for this server; NULL when the query does not exist there. can_read_verifiers picks pg_authid over pg_roles. */
const struct query *query_get(enum query_id, int version_num, bool can_read_verifiers);

/* The queries of one look, in order. Returns how many were written to v (at most QUERIES). */
unsigned query_server_look(int version_num, bool can_read_verifiers, enum query_id *v);
unsigned query_database_look(int version_num, bool with_ledger, bool with_available_extensions, enum query_id *v);

#endif
