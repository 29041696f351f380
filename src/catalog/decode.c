/* SPDX-License-Identifier: PostgreSQL */
/* Which answer goes to which decoder, and what is done before and after. */
#include "catalog/decode.h"

#include <stdlib.h>
#include <talloc.h>

#include "catalog/look.h"

enum target { SERVER = 1, DATABASE = 2 };

static const struct {
	unsigned targets;          /* enum target */
	unsigned columns;
	answer_decoder decode;
} decoders[QUERIES] = {
	[QUERY_ROLES] = { SERVER, 7, decode_roles },
	[QUERY_MEMBERSHIPS] = { SERVER, 7, decode_memberships },
	[QUERY_SETTINGS] = { SERVER, 3, decode_settings },
	[QUERY_DATABASES] = { SERVER, 6, decode_databases },
	[QUERY_TABLESPACES] = { SERVER, 8, decode_objects },
	[QUERY_PARAMETERS] = { SERVER, 8, decode_objects },
	[QUERY_SCHEMAS] = { DATABASE, 8, decode_objects },
	[QUERY_RELATIONS] = { DATABASE, 10, decode_objects },
	[QUERY_COLUMNS] = { DATABASE, 9, decode_objects },
	[QUERY_ROUTINES] = { DATABASE, 8, decode_objects },
	[QUERY_TYPES] = { DATABASE, 8, decode_objects },
	[QUERY_LANGUAGES] = { DATABASE, 8, decode_objects },
	[QUERY_FOREIGN] = { DATABASE, 8, decode_objects },
	[QUERY_LARGE_OBJECTS] = { DATABASE, 8, decode_objects },
	[QUERY_DEFAULT_ACLS] = { DATABASE, 4, decode_default_acls },
	[QUERY_EVENT_TRIGGERS] = { DATABASE, 4, decode_event_triggers },
	[QUERY_EXTENSIONS] = { DATABASE, 5, decode_extensions },
	[QUERY_AVAILABLE_EXTENSIONS] = { DATABASE, 3, decode_available_extensions },
	[QUERY_POLICIES] = { DATABASE, 12, decode_policies },
	[QUERY_LEDGER_FOUND] = { DATABASE, 7, decode_ledger_relation },
	[QUERY_LEDGER_RELATION] = { DATABASE, 7, decode_ledger_relation },
	[QUERY_ROLE_DEPENDENCIES] = { SERVER | DATABASE, 6, decode_role_dependencies },
};

int decode_facts(struct names *names, const struct rowset *rows, struct server_facts *ret, struct error *err)
{
	struct server_facts facts = { 0 };
	struct reader reader;

	reader_begin(&reader, "facts", rows, 15, names, err);
	if (!reader.failed && rows->rows != 1) {
		error_set(err, "query facts: %u rows instead of one", rows->rows);
		error_hint(err, "was the role of this session renamed or dropped just now?");
		return 1;
	}
	facts.version_num = (int)cell_number(&reader, 0, 1, 9999999);
	facts.in_recovery = cell_bool(&reader, 1);
	facts.system_identifier = cell_number_u64(&reader, 2);
	facts.me = cell_name(&reader, 3);
	facts.is_superuser = cell_bool(&reader, 4);
	facts.createrole = cell_bool(&reader, 5);
	facts.createdb = cell_bool(&reader, 6);
	facts.replication = cell_bool(&reader, 7);
	facts.bypassrls = cell_bool(&reader, 8);
	facts.can_read_verifiers = cell_bool(&reader, 9);
	facts.bootstrap = cell_name_or_none(&reader, 10);
	facts.database = cell_name(&reader, 11);
	facts.database_oid = (uint32_t)cell_number(&reader, 12, 1, UINT32_MAX);
	facts.snapshot = cell_text(&reader, 13);
	facts.now = cell_text(&reader, 14);
	if (reader.failed)
		return 1;
	*ret = facts;
	return 0;
}

/* The facts come first wherever they stand: the version says what a NULL ACL means. */
static int find_facts(struct names *names, const enum query_id *ids, const struct rowset *answers, unsigned n,
		      struct server_facts *ret, struct error *err)
{
	for (unsigned i = 0; i < n; i++)
		if (ids[i] == QUERY_FACTS)
			return decode_facts(names, &answers[i], ret, err);
	error_set(err, "query facts: no answer");
	return 1;
}

static int decode_answer(struct look *look, enum target target, enum query_id id, const struct rowset *rows)
{
	struct reader reader;
	const struct query *query = id < QUERIES ? query_get(id, look->version_num, false) : NULL;

	if (id == QUERY_FACTS)
		return 0;
	if (!query || (decoders[id].targets & target) == 0) {
		error_set(look->err, "query %s is not one of this look", query ? query->name : "?");
		return 1;
	}
	reader_begin(&reader, query->name, rows, decoders[id].columns, look->names, look->err);
	if (!reader.failed)
		decoders[id].decode(look, id, &reader);
	return reader.failed ? 1 : 0;
}

static int decode_answers(struct look *look, enum target target, void *parent, const enum query_id *ids,
			  const struct rowset *answers, unsigned n)
{
	int r = 0;

	look->acls = acl_cache_new(parent, look->version_num);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = decode_answer(look, target, ids[i], &answers[i]);
	talloc_free(look->acls);
	return r;
}

int decode_server(void *parent, struct names *names, const enum query_id *ids, const struct rowset *answers, unsigned n,
		  struct server_state **ret, struct error *err)
{
	struct server_state *server = talloc_zero(parent, struct server_state);
	struct look look = { .names = names, .err = err, .server = server };

	if (!server)
		abort();
	server->names = names;
	if (find_facts(names, ids, answers, n, &server->facts, err))
		goto failed;
	look.version_num = server->facts.version_num;
	if (decode_answers(&look, SERVER, server, ids, answers, n))
		goto failed;
	*ret = server;
	return 0;
failed:
	talloc_free(server);
	return 1;
}

int decode_database(void *parent, struct names *names, const enum query_id *ids, const struct rowset *answers, unsigned n,
		    struct database_state **ret, struct error *err)
{
	struct database_state *database = talloc_zero(parent, struct database_state);
	struct look look = { .names = names, .err = err, .database = database };

	if (!database)
		abort();
	database->names = names;
	if (find_facts(names, ids, answers, n, &database->facts, err))
		goto failed;
	look.version_num = database->facts.version_num;
	if (decode_answers(&look, DATABASE, database, ids, answers, n))
		goto failed;
	decode_default_versions(&look);
	*ret = database;
	return 0;
failed:
	talloc_free(database);
	return 1;
}
