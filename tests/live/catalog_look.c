/* SPDX-License-Identifier: PostgreSQL */
/*
 * Looks at a real server with the program's own queries and decoders, everything of the server and of the database in
 * one pipelined batch, and prints what was understood. Run by tests/live/test_catalog.py.
 *
 *	catalog_look [--ledger SCHEMA TABLE] [--dump DIRECTORY] [--dependencies ROLES] CONNINFO
 *
 * --dump writes each answer as the file that tests/unit/test_catalog reads.
 */
#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/decode.h"
#include "support/model_text.h"
#include "support/tsv.h"

struct options {
	const char *ledger_schema, *ledger_table, *dump, *role, *conninfo;
};

static void die(const char *what, const char *why)
{
	fprintf(stderr, "catalog_look: %s: %s\n", what, why);
	exit(1);
}

static const char *pg_cell(const struct rowset *rows, unsigned row, unsigned column, size_t *ret_len)
{
	if (PQgetisnull(rows->data, (int)row, (int)column))
		return NULL;
	*ret_len = (size_t)PQgetlength(rows->data, (int)row, (int)column);
	return PQgetvalue(rows->data, (int)row, (int)column);
}

static struct rowset rows_of(PGresult *result)
{
	return (struct rowset){ .rows = (unsigned)PQntuples(result), .columns = (unsigned)PQnfields(result), .cell = pg_cell,
				.data = result };
}

static PGconn *connect_pinned(const char *conninfo)
{
	const char *keys[] = { "dbname", "options", NULL };
	const char *values[] = { conninfo,
		"-c search_path=pg_catalog,pg_temp -c role=none -c TimeZone=UTC -c DateStyle=ISO -c IntervalStyle=postgres"
		" -c extra_float_digits=1 -c bytea_output=hex -c quote_all_identifiers=off -c row_security=off", NULL };
	PGconn *conn = PQconnectdbParams(keys, values, 1);

	if (PQstatus(conn) != CONNECTION_OK)
		die("connect", PQerrorMessage(conn));
	if (PQsetClientEncoding(conn, PQparameterStatus(conn, "server_encoding")))
		die("client_encoding", PQerrorMessage(conn));
	return conn;
}

static PGresult *ask(PGconn *conn, enum query_id id, int version, unsigned n_params, const char *const *params)
{
	const struct query *query = query_get(id, version, false);
	PGresult *result = PQexecParams(conn, query->sql, (int)n_params, NULL, params, NULL, NULL, 0);

	if (PQresultStatus(result) != PGRES_TUPLES_OK)
		die(query->name, PQerrorMessage(conn));
	return result;
}

static void send_query(PGconn *conn, const char *sql, unsigned n_params, const char *const *params)
{
	if (!PQsendQueryParams(conn, sql, (int)n_params, NULL, params, NULL, NULL, 0))
		die("send", PQerrorMessage(conn));
}

static PGresult *receive(PGconn *conn, const char *name, ExecStatusType wanted)
{
	PGresult *result = PQgetResult(conn);

	if (PQresultStatus(result) != wanted)
		die(name, PQerrorMessage(conn));
	if (wanted != PGRES_PIPELINE_SYNC && PQgetResult(conn))
		die(name, "more than one result");
	return result;
}

static void look(PGconn *conn, const struct options *options, int version, bool verifiers, const enum query_id *ids, unsigned n,
		 PGresult **results)
{
	const char *params[] = { options->ledger_schema, options->ledger_table };

	if (!PQenterPipelineMode(conn))
		die("pipeline", PQerrorMessage(conn));
	send_query(conn, LOOK_BEGIN, 0, NULL);
	for (unsigned i = 0; i < n; i++) {
		const struct query *query = query_get(ids[i], version, verifiers);

		send_query(conn, query->sql, query->params, params);
	}
	send_query(conn, LOOK_END, 0, NULL);
	if (!PQpipelineSync(conn))
		die("sync", PQerrorMessage(conn));
	PQclear(receive(conn, LOOK_BEGIN, PGRES_COMMAND_OK));
	for (unsigned i = 0; i < n; i++)
		results[i] = receive(conn, query_get(ids[i], version, verifiers)->name, PGRES_TUPLES_OK);
	PQclear(receive(conn, LOOK_END, PGRES_COMMAND_OK));
	PQclear(receive(conn, "sync", PGRES_PIPELINE_SYNC));
}

static void dump(const char *directory, const char *name, const struct rowset *rows)
{
	struct text *text = text_new(NULL);
	char *path = talloc_asprintf(text, "%s/%s.tsv", directory, name);
	FILE *file = fopen(path, "w");

	if (!file)
		die(path, "cannot be written");
	for (unsigned row = 0; row < rows->rows; row++) {
		for (unsigned column = 0; column < rows->columns; column++) {
			size_t len = 0;
			const char *value = rows->cell(rows, row, column, &len);

			if (column)
				text_add_char(text, '\t');
			tsv_cell(text, value, len);
		}
		text_add_char(text, '\n');
	}
	fwrite(text->s, 1, text->len, file);
	if (fclose(file))
		die(path, "cannot be written");
	talloc_free(text);
}

static void print_models(const enum query_id *ids, const struct rowset *answers, unsigned n_server, unsigned n)
{
	void *mem = talloc_new(NULL);
	struct names *names = names_new(mem);
	struct server_state *server;
	struct database_state *database;
	struct error err = { 0 };

	if (decode_server(mem, names, ids, answers, n_server, &server, &err) ||
	    decode_database(mem, names, ids + n_server, answers + n_server, n - n_server, &database, &err))
		die("decode", err.text);
	fputs(model_text_server(mem, server), stdout);
	fputs("--\n", stdout);
	fputs(model_text_database(mem, database), stdout);
	talloc_free(mem);
}

static void print_dependencies(PGconn *conn, int version, const char *roles)
{
	void *mem = talloc_new(NULL);
	struct names *names = names_new(mem);
	const enum query_id ids[] = { QUERY_FACTS, QUERY_ROLE_DEPENDENCIES };
	PGresult *results[] = { ask(conn, ids[0], version, 0, NULL), ask(conn, ids[1], version, 1, &roles) };
	struct rowset answers[] = { rows_of(results[0]), rows_of(results[1]) };
	struct server_state *server;
	struct error err;

	if (decode_server(mem, names, ids, answers, 2, &server, &err))
		die("decode", err.text);
	for (uint32_t i = 0; i < server->n_dependencies; i++) {
		const struct role_dependency *v = &server->dependencies[i];

		printf("%s\t%s\t%c\t%s\t%u\t%s\n", names_text(names, v->role), names_text(names, v->database), v->type, v->catalog ? v->catalog : "",
		       v->n, v->objects ? v->objects : "");
	}
	PQclear(results[0]);
	PQclear(results[1]);
	talloc_free(mem);
}

static void run(PGconn *conn, const struct options *options)
{
	int version = PQserverVersion(conn);
	PGresult *facts = ask(conn, QUERY_FACTS, version, 0, NULL), *results[2 * QUERIES];
	bool verifiers = *PQgetvalue(facts, 0, 9) == 't';
	enum query_id ids[2 * QUERIES];
	struct rowset answers[2 * QUERIES];
	unsigned n_server = query_server_look(version, verifiers, ids);
	unsigned n = n_server + query_database_look(version, options->ledger_table != NULL, true, ids + n_server);

	/* what the daemon asks under the lock: the judgement is what there is to test */
	for (unsigned i = 0; i < n && !options->dump; i++)
		ids[i] = ids[i] == QUERY_LEDGER_FOUND ? QUERY_LEDGER_RELATION : ids[i];
	PQclear(facts);
	look(conn, options, version, verifiers, ids, n, results);
	for (unsigned i = 0; i < n; i++) {
		answers[i] = rows_of(results[i]);
		if (options->dump)
			dump(options->dump, query_get(ids[i], version, false)->name, &answers[i]);
	}
	print_models(ids, answers, n_server, n);
	for (unsigned i = 0; i < n; i++)
		PQclear(results[i]);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	PGconn *conn;

	for (int i = 1; i < argc; i++) {
		if (strcmp(argv[i], "--ledger") == 0 && i + 2 < argc) {
			options.ledger_schema = argv[++i];
			options.ledger_table = argv[++i];
		} else if (strcmp(argv[i], "--dump") == 0 && i + 1 < argc) {
			options.dump = argv[++i];
		} else if (strcmp(argv[i], "--dependencies") == 0 && i + 1 < argc) {
			options.role = argv[++i];
		} else {
			options.conninfo = argv[i];
		}
	}
	if (!options.conninfo)
		die("usage", "catalog_look [--ledger SCHEMA TABLE] [--dump DIRECTORY] [--dependencies ROLES] CONNINFO");
	conn = connect_pinned(options.conninfo);
	if (options.role)
		print_dependencies(conn, PQserverVersion(conn), options.role);
	else
		run(conn, &options);
	PQfinish(conn);
	return 0;
}
