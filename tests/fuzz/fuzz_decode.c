/* SPDX-License-Identifier: PostgreSQL */
/*
 * Fuzz target: a server's answers. The input is a file of answers: "#roles" begins the answer of that query, rows
 * follow as in COPY. Linked with replay.c it runs the corpus in `make check`; with -fsanitize=fuzzer it searches.
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "catalog/decode.h"
#include "support/model_text.h"
#include "support/tsv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

#define ANSWERS_MAX 64

static const char facts[] =
	"180000\tf\t7000000000000000001\tpostgres\tt\tt\tt\tt\tt\tt\tpostgres\tdb\t16384\t1:1:\t2026-11-21T09:30:00.000000Z\n";

struct answers {
	enum query_id ids[ANSWERS_MAX];
	struct rowset rows[ANSWERS_MAX];
	unsigned n;
};

static void must(bool what)
{
	if (!what)
		abort();
}

static enum query_id query_named(const char *name, size_t len)
{
	for (enum query_id id = 0; id < QUERIES; id++) {
		const struct query *query = query_get(id, 180000, false);

		if (query && strlen(query->name) == len && memcmp(query->name, name, len) == 0)
			return id;
	}
	return QUERIES;
}

static void add(void *mem, struct answers *a, enum query_id id, const char *text, size_t len)
{
	if (a->n == ANSWERS_MAX)
		return;
	a->ids[a->n] = id;
	a->rows[a->n++] = *tsv_rows(mem, text, len, 8);
}

static void split(void *mem, struct answers *a, const char *text, size_t size)
{
	const char *p = text, *end = text + size;

	while (p < end && *p == '#') {
		const char *newline = memchr(p, '\n', (size_t)(end - p)), *rows, *next;

		if (!newline)
			return;
		rows = newline + 1;
		for (next = rows; next < end && *next != '#'; ) {
			const char *line_end = memchr(next, '\n', (size_t)(end - next));

			next = line_end ? line_end + 1 : end;
		}
		add(mem, a, query_named(p + 1, (size_t)(newline - p - 1)), rows, (size_t)(next - rows));
		p = next;
	}
}

static bool has_facts(const struct answers *a)
{
	for (unsigned i = 0; i < a->n; i++)
		if (a->ids[i] == QUERY_FACTS)
			return true;
	return false;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	void *mem = talloc_new(NULL);
	struct names *names = names_new(mem);
	struct answers a = { .n = 0 };
	struct server_state *server;
	struct database_state *database;
	struct error err = { 0 };

	split(mem, &a, (const char *)data, size);
	if (!has_facts(&a))
		add(mem, &a, QUERY_FACTS, facts, sizeof facts - 1);
	if (decode_server(mem, names, a.ids, a.rows, a.n, &server, &err) == 0)
		must(model_text_server(mem, server) != NULL && !error_is_set(&err));
	else
		must(error_is_set(&err));
	error_clear(&err);
	if (decode_database(mem, names, a.ids, a.rows, a.n, &database, &err) == 0)
		must(model_text_database(mem, database) != NULL && !error_is_set(&err));
	else
		must(error_is_set(&err));
	talloc_free(mem);
	return 0;
}
