/* SPDX-License-Identifier: PostgreSQL */
/* The texts of the catalog queries: complete for every version, and judged by PostgreSQL's own parser. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <jansson.h>
#include <pg_query.h>

#include "catalog/query.h"

static const int versions[] = { 140000, 140023, 150000, 150020, 160000, 170010, 180000, 190000 };
#define N_VERSIONS (sizeof versions / sizeof *versions)

static const char *first_name(json_t *list)
{
	return json_string_value(json_object_get(json_object_get(json_array_get(list, 0), "String"), "sval"));
}

/* Functions and types: the first of two names is the schema. */
static unsigned check_name(json_t *node, const char *key, const char *query)
{
	json_t *list = json_object_get(node, key);
	const char *schema = first_name(list);
	char *shown;

	if (json_array_size(list) == 2 && schema && strcmp(schema, "pg_catalog") == 0)
		return 0;
	shown = json_dumps(list, JSON_COMPACT | JSON_ENCODE_ANY);
	print_error("%s: %s without its schema: %s\n", query, key, shown ? shown : "none");
	free(shown);
	return 1;
}

static unsigned check_relation(json_t *node, const char *query)
{
	const char *schema = json_string_value(json_object_get(node, "schemaname"));

	if (schema && strcmp(schema, "pg_catalog") == 0)
		return 0;
	print_error("%s: relation %s without its schema\n", query, json_string_value(json_object_get(node, "relname")));
	return 1;
}

static const char *const forbidden[] = { "intoClause", "lockingClause", "withClause" };

/* How many things in the tree may resolve to something in a database. */
static unsigned check_tree(json_t *tree, const char *query, bool operators)
{
	unsigned bad = 0;
	const char *key;
	json_t *value;
	size_t i;

	json_array_foreach(tree, i, value)
		bad += check_tree(value, query, operators);
	json_object_foreach(tree, key, value) {
		if (strcmp(key, "FuncCall") == 0)
			bad += check_name(value, "funcname", query);
		else if (strcmp(key, "TypeName") == 0 || strcmp(key, "typeName") == 0)
			bad += check_name(value, "names", query);
		else if (strcmp(key, "RangeVar") == 0)
			bad += check_relation(value, query);
		else if (strcmp(key, "A_Expr") == 0 && !operators) {
			print_error("%s: an operator\n", query);
			bad++;
		}
		for (size_t f = 0; f < sizeof forbidden / sizeof *forbidden; f++)
			bad += strcmp(key, forbidden[f]) == 0;
		bad += check_tree(value, query, operators);
	}
	return bad;
}

static unsigned check_query(const char *name, const char *sql, bool operators)
{
	PgQueryParseResult parsed = pg_query_parse(sql);
	json_t *tree, *statements;
	unsigned bad;

	if (parsed.error) {
		print_error("%s: %s at %d\n", name, parsed.error->message, parsed.error->cursorpos);
		pg_query_free_parse_result(parsed);
		return 1;
	}
	tree = json_loads(parsed.parse_tree, 0, NULL);
	assert_non_null(tree);
	statements = json_object_get(tree, "stmts");
	bad = json_array_size(statements) != 1;
	bad += json_object_get(json_object_get(json_array_get(statements, 0), "stmt"), "SelectStmt") == NULL;
	bad += check_tree(statements, name, operators);
	json_decref(tree);
	pg_query_free_parse_result(parsed);
	return bad;
}

static void every_name_is_qualified(void **state)
{
	unsigned bad = 0, n = 0;

	(void)state;
	for (enum query_id id = 0; id < QUERIES; id++)
		for (size_t v = 0; v < N_VERSIONS; v++)
			for (int verifiers = 0; verifiers <= 1; verifiers++) {
				const struct query *query = query_get(id, versions[v], verifiers);

				if (!query)
					continue;
				bad += check_query(query->name, query->sql, id != QUERY_ASSERT_SESSION);
				n++;
			}
	assert_int_equal(bad, 0);
	assert_true(n > 100);
}

/* The check above must be able to fail. */
static void a_bad_query_is_found(void **state)
{
	static const char *const bad[] = {
		"SELECT lower('x')", "SELECT 1 FROM pg_class", "SELECT 1 FROM public.pg_class", "SELECT 'x'::regclass", "SELECT public.f()",
		"SELECT 1; SELECT 2", "DELETE FROM pg_catalog.pg_class", "SELECT 1 FROM pg_catalog.pg_class FOR UPDATE",
		"SELECT * INTO x FROM pg_catalog.pg_class", "WITH x AS (DELETE FROM pg_catalog.pg_class) SELECT 1", "SELECT (SELECT f(1))",
	};

	(void)state;
	print_message("what follows are the findings that are expected:\n");
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		if (check_query("planted", bad[i], true) == 0)
			fail_msg("not found: %s", bad[i]);
	assert_true(check_query("planted", "SELECT 1 = 1", false) > 0);
	assert_int_equal(check_query("planted", "SELECT pg_catalog.lower('x') FROM pg_catalog.pg_class", true), 0);
}

static void every_query_is_there(void **state)
{
	(void)state;
	for (enum query_id id = 0; id < QUERIES; id++)
		for (size_t v = 0; v < N_VERSIONS; v++) {
			const struct query *query = query_get(id, versions[v], false);

			if (id == QUERY_PARAMETERS && versions[v] < 150000) {
				assert_null(query);
				continue;
			}
			assert_non_null(query);
			assert_non_null(query->name);
			for (unsigned p = 1; p <= 3; p++) {
				const char param[] = { '$', (char)('0' + p), '\0' };

				assert_int_equal(strstr(query->sql, param) != NULL, p <= query->params);
			}
		}
}

/* Names are those of prepared statements: another text, another name. */
static void names_are_unique(void **state)
{
	const struct query *seen[4 * QUERIES];
	size_t n = 0;

	(void)state;
	for (enum query_id id = 0; id < QUERIES; id++)
		for (size_t v = 0; v < N_VERSIONS; v++)
			for (int verifiers = 0; verifiers <= 1; verifiers++) {
				const struct query *query = query_get(id, versions[v], verifiers);
				size_t i = 0;

				while (query && i < n && seen[i] != query) {
					assert_string_not_equal(seen[i]->name, query->name);
					i++;
				}
				if (query && i == n)
					seen[n++] = query;
			}
	assert_true(n > QUERIES);
}

static void verifiers_only_when_readable(void **state)
{
	(void)state;
	assert_null(strstr(query_get(QUERY_ROLES, 150000, false)->sql, "rolpassword"));
	assert_non_null(strstr(query_get(QUERY_ROLES, 150000, true)->sql, "rolpassword"));
	assert_ptr_not_equal(query_get(QUERY_MEMBERSHIPS, 150000, false), query_get(QUERY_MEMBERSHIPS, 160000, false));
}

static bool has(const enum query_id *v, unsigned n, enum query_id id)
{
	for (unsigned i = 0; i < n; i++)
		if (v[i] == id)
			return true;
	return false;
}

static void looks(void **state)
{
	enum query_id v[QUERIES];
	unsigned n = query_server_look(140000, true, v);

	(void)state;
	assert_int_equal(v[0], QUERY_FACTS);
	assert_false(has(v, n, QUERY_PARAMETERS));
	assert_true(has(v, n, QUERY_MEMBERSHIPS) && !has(v, n, QUERY_RELATIONS));
	n = query_server_look(150000, true, v);
	assert_true(has(v, n, QUERY_PARAMETERS));
	n = query_database_look(150000, false, false, v);
	assert_int_equal(v[0], QUERY_FACTS);
	assert_false(has(v, n, QUERY_LEDGER_FOUND) || has(v, n, QUERY_AVAILABLE_EXTENSIONS) || has(v, n, QUERY_SNAPSHOT) ||
		     has(v, n, QUERY_ROLES));
	n = query_database_look(150000, true, true, v);
	assert_true(has(v, n, QUERY_LEDGER_FOUND) && has(v, n, QUERY_AVAILABLE_EXTENSIONS) && has(v, n, QUERY_POLICIES));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name_is_qualified), cmocka_unit_test(a_bad_query_is_found), cmocka_unit_test(every_query_is_there),
		cmocka_unit_test(names_are_unique), cmocka_unit_test(verifiers_only_when_readable), cmocka_unit_test(looks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
