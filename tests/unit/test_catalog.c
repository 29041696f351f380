/* SPDX-License-Identifier: PostgreSQL */
/*
 * The decoders, on answers of real servers (tests/golden/catalog) and on answers that make no sense.
 * UPDATE_GOLDEN=1 writes what they make of the former instead of comparing it.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <talloc.h>

#include "catalog/decode.h"
#include "support/model_text.h"
#include "support/tsv.h"

static const char facts[] =
	"150020\tf\t7000000000000000001\tme\tf\tt\tf\tf\tf\tf\tpostgres\tdb\t16384\t1:1:\t2026-11-21T09:30:00.000000Z\n";

struct test {
	void *mem;
	struct names *names;
	struct error err;
	struct server_state *server;
	struct database_state *database;
};

static struct test *test_new(void)
{
	struct test *t = talloc_zero(NULL, struct test);

	t->mem = t;
	t->names = names_new(t);
	return t;
}

/* The answer of one query, with facts beside it. */
static int decode(struct test *t, enum query_id id, const char *text, unsigned columns)
{
	enum query_id ids[] = { id, QUERY_FACTS };
	struct rowset answers[] = { *tsv_rows(t, text, strlen(text), columns), *tsv_rows(t, facts, sizeof facts - 1, 0) };

	error_clear(&t->err);
	t->server = NULL;
	t->database = NULL;
	return id >= QUERY_ROLES && id <= QUERY_PARAMETERS ? decode_server(t, t->names, ids, answers, 2, &t->server, &t->err)
							   : decode_database(t, t->names, ids, answers, 2, &t->database, &t->err);
}

static name_id name(const struct test *t, const char *text)
{
	return names_find(t->names, text, strlen(text));
}

static void facts_are_read(void **state)
{
	struct test *t = test_new();
	struct server_facts f;

	(void)state;
	assert_int_equal(decode_facts(t->names, tsv_rows(t, facts, sizeof facts - 1, 0), &f, &t->err), 0);
	assert_int_equal(f.version_num, 150020);
	assert_true(f.system_identifier == 7000000000000000001u);
	assert_true(f.createrole && !f.is_superuser && !f.in_recovery);
	assert_string_equal(names_text(t->names, f.me), "me");
	assert_int_equal(f.database_oid, 16384);
	assert_string_equal(f.snapshot, "1:1:");
	/* no row: our own role is gone */
	assert_int_equal(decode_facts(t->names, tsv_rows(t, "", 0, 15), &f, &t->err), 1);
	assert_non_null(strstr(t->err.text, "0 rows"));
	talloc_free(t);
}

static void roles_are_sorted_and_found(void **state)
{
	struct test *t = test_new();
	const struct role *r;

	(void)state;
	names_put(t->names, "zed");
	assert_int_equal(decode(t, QUERY_ROLES,
		"16001\tapp\t18\t5\t2027-01-01T00:00:00.000000Z\tSCRAM\tweb\n"
		"16002\tzed\t109\t-1\t\\N\t\\N\t\\N\n", 0), 0);
	assert_int_equal(t->server->n_roles, 2);
	assert_true(t->server->roles[0].name < t->server->roles[1].name);
	r = server_role(t->server, name(t, "app"));
	assert_int_equal(r->attrs, ROLE_INHERIT | ROLE_LOGIN);
	assert_int_equal(r->connection_limit, 5);
	assert_string_equal(r->valid_until, "2027-01-01T00:00:00.000000Z");
	assert_string_equal(r->verifier, "SCRAM");
	assert_string_equal(r->comment, "web");
	r = server_role(t->server, name(t, "zed"));
	assert_int_equal(r->attrs, ROLE_SUPERUSER | ROLE_CREATEROLE | ROLE_CREATEDB | ROLE_REPLICATION | ROLE_BYPASSRLS);
	assert_null(r->valid_until);
	assert_null(r->comment);
	talloc_free(t);
}

static void settings_split_at_the_first_equals(void **state)
{
	struct test *t = test_new();

	(void)state;
	assert_int_equal(decode(t, QUERY_SETTINGS, "app\t\\N\tmy.x=a=b\n\\N\tdb\tsearch_path=\n", 0), 0);
	assert_int_equal(t->server->settings[0].role, NAME_NONE);
	assert_string_equal(t->server->settings[0].name, "search_path");
	assert_string_equal(t->server->settings[0].value, "");
	assert_string_equal(t->server->settings[1].name, "my.x");
	assert_string_equal(t->server->settings[1].value, "a=b");
	talloc_free(t);
}

static void lists_are_shared(void **state)
{
	struct test *t = test_new();
	struct object_group *g;

	(void)state;
	assert_int_equal(decode(t, QUERY_RELATIONS,
		"r\tapp\towner\tf\t{ro=r/owner}\t\\N\t2\t{a,\"b c\"}\tt\tf\n"
		"v\tapp\towner\tf\t{ro=r/owner}\t\\N\t1\t{v}\tf\tf\n"
		"r\tapp\towner\tf\t\\N\t\\N\t1\t{c}\tf\tf\n"
		"m\tother\towner\tf\t\\N\t\\N\t1\t{d}\tf\tf\n"
		"S\tapp\towner\tf\t\\N\t\\N\t1\t{s}\tf\tf\n"
		"r\tapp\tro\tt\t{}\t{=r/owner}\t1\t{e}\tf\tt\n", 0), 0);
	g = t->database->objects;
	assert_int_equal(t->database->n_objects, 6);
	assert_ptr_equal(g[0].acl, g[1].acl);
	assert_ptr_equal(g[2].acl, g[3].acl);
	assert_ptr_not_equal(g[2].acl, g[4].acl);
	assert_true(g[2].acl->is_null && !g[0].acl->is_null && !g[5].acl->is_null);
	assert_int_equal(g[5].acl->n, 0);
	assert_int_equal(g[5].initial->n, 1);
	assert_true(g[0].row_security && !g[0].force_row_security && g[5].force_row_security && g[5].in_extension);
	assert_int_equal(g[0].n, 2);
	assert_int_equal(g[4].kind, OBJECT_SEQUENCE);
	assert_int_equal(g[1].relkind, 'v');
	talloc_free(t);
}

/* The same unreadable name is the same role wherever it stands, another one another, and none is one that is legal. */
static void undecodable_names(void **state)
{
	struct test *t = test_new();
	const struct acl *acl;
	name_id cafe, other;

	(void)state;
	assert_int_equal(decode(t, QUERY_ROLES,
		"16001\tcaf\xe9\t18\t-1\t\\N\t\\N\t\\N\n"
		"16002\tcaf\\\\xe9\t18\t-1\t\\N\t\\N\t\\N\n"
		"16003\tcaf\xe8\t18\t-1\t\\N\t\\N\tbad \xe8\n", 0), 0);
	cafe = name(t, "caf\\xe9 (this name has bytes that are not valid UTF-8: cannot be managed)");
	other = name(t, "caf\\xe8 (this name has bytes that are not valid UTF-8: cannot be managed)");
	assert_non_null(server_role(t->server, cafe));
	assert_non_null(server_role(t->server, other));
	assert_non_null(server_role(t->server, name(t, "caf\\xe9")));
	assert_true(strlen(names_text(t->names, cafe)) > 63);
	assert_int_equal(decode(t, QUERY_DATABASES, "1\tdb\tcaf\xe9\tt\t-1\t{\"\\\\\"caf\xe9\\\\\"=c/\\\\\"caf\xe8\\\\\"\",a=c/a}\n", 0), 0);
	acl = t->server->databases[0].acl;
	assert_int_equal(t->server->databases[0].owner, cafe);
	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantee == cafe)
			assert_int_equal(acl->v[i].grantor, other);
	assert_true(acl->v[0].grantee == cafe || acl->v[1].grantee == cafe);
	assert_true(acl->v[0].grantee < acl->v[1].grantee);
	talloc_free(t);
}

static void a_table_that_vanished_has_no_policy(void **state)
{
	struct test *t = test_new();

	(void)state;
	assert_int_equal(decode(t, QUERY_POLICIES,
		"app\t{t}\tgone\tr\tt\t{PUBLIC}\tt\t\\N\tf\t\\N\t\\N\t1\n"
		"app\t{u,\"t 1\"}\tone\t*\tf\t{ro,PUBLIC}\tt\t(a = 1)\tf\t\\N\twhy\t2\n", 0), 0);
	assert_int_equal(t->database->n_policies, 2);
	assert_string_equal(t->database->policies[0].table, "t 1");
	assert_string_equal(t->database->policies[1].table, "u");
	assert_string_equal(t->database->policies[0].name, "one");
	assert_string_equal(t->database->policies[0].roles, "{ro,PUBLIC}");
	assert_null(t->database->policies[0].check_expr);
	assert_false(t->database->policies[0].permissive);
	talloc_free(t);
}

static void ledger_that_is_not_there(void **state)
{
	struct test *t = test_new();

	(void)state;
	assert_int_equal(decode(t, QUERY_LEDGER_RELATION, "f\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n", 0), 0);
	assert_false(t->database->ledger.exists || t->database->ledger.schema_exists);
	assert_int_equal(decode(t, QUERY_LEDGER_RELATION, "t\towner\t16400\tr\towner\tt\t\\N\n", 0), 0);
	assert_true(t->database->ledger.exists && t->database->ledger.plain && !t->database->ledger.readable);
	talloc_free(t);
}

#define ROLE "\t18\t-1\t\\N\t\\N\t\\N\n"

static const struct {
	enum query_id id;
	const char *text, *expected;
} nonsense[] = {
	{ QUERY_ROLES, "16001\tapp\n", "query roles: the answer has 2 columns instead of 7" },
	{ QUERY_ROLES, "x\tapp" ROLE, "query roles, row 1, column 1: a number in range expected, \"x\" found" },
	{ QUERY_ROLES, "\tapp" ROLE, "query roles, row 1, column 1: a number in range expected, \"\" found" },
	{ QUERY_ROLES, " 7\tapp" ROLE, "query roles, row 1, column 1: a number in range expected, \" 7\" found" },
	{ QUERY_ROLES, "99999999999\tapp" ROLE, "query roles, row 1, column 1: a number in range expected" },
	{ QUERY_ROLES, "99999999999999999999999\tapp" ROLE, "query roles, row 1, column 1: a number in range expected" },
	{ QUERY_ROLES, "0\tapp" ROLE, "query roles, row 1, column 1: a number in range expected" },
	{ QUERY_ROLES, "-1\tapp" ROLE, "query roles, row 1, column 1: a number in range expected" },
	{ QUERY_ROLES, "1\t\\N" ROLE, "query roles, row 1, column 2: NULL where a name must be" },
	{ QUERY_ROLES, "1\t" ROLE, "query roles, row 1, column 2: an empty name" },
	{ QUERY_ROLES, "1\ta" ROLE "2\tb\tyes\t-1\t\\N\t\\N\t\\N\n",
	  "query roles, row 2, column 3: a number in range expected, \"yes\" found" },
	{ QUERY_ROLES, "1\ta" ROLE "2\ta" ROLE, "role \"a\" comes twice" },
	{ QUERY_ROLES, "1\ta\t18\t\\N\t\\N\t\\N\t\\N\n", "query roles, row 1, column 4: NULL where a value must be" },
	{ QUERY_ROLES, "1\ta\x1b[2J\t18\tx\x1b[2J\t\\N\t\\N\t\\N\n", "expected, \"x\\x1b[2J\" found" },
	{ QUERY_MEMBERSHIPS, "a\tc\tt\tt\tt\t1\t{b}\na\tc\tt\tt\tf\t2\t{x,b}\n", "membership of \"b\" in \"a\" by one grantor comes twice" },
	{ QUERY_ROLES, "1\ta\t128\t-1\t\\N\t\\N\t\\N\n", "query roles, row 1, column 3: a number in range expected" },
	{ QUERY_MEMBERSHIPS, "a\tc\tt\tt\tt\t2\t{b}\n", "row 1, column 7: 1 names instead of 2" },
	{ QUERY_SETTINGS, "a\t\\N\twork_mem\n", "query settings, row 1, column 3: name=value expected" },
	{ QUERY_SETTINGS, "a\t\\N\t=1\n", "query settings, row 1, column 3: name=value expected" },
	{ QUERY_SETTINGS, "a\t\\N\tx=1\na\t\\N\tx=2\n", "a setting comes twice" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\tnonsense\n", "query databases, row 1, column 6: an array expected, \"nonsense\" found" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{a}\n", "query databases, row 1, column 6: not an access control list item" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{=T/}\n", "query databases, row 1, column 6: not an access control list item" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{\"\\\\\"a=c/a\"}\n", "query databases, row 1, column 6: not an access control list item" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{a=c/a\n", "an array expected" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{a=c/a}}\n", "an array expected" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{a=c/a,}\n", "an array expected" },
	{ QUERY_DATABASES, "1\tdb\towner\tt\t-1\t{NULL}\n", "an array expected" },
	{ QUERY_RELATIONS, "x\tapp\to\tf\t\\N\t\\N\t1\t{a}\tf\tf\n", "query relations, row 1, column 1: kind of object 0x78 is not known" },
	{ QUERY_RELATIONS, "rr\tapp\to\tf\t\\N\t\\N\t1\t{a}\tf\tf\n", "one letter expected" },
	{ QUERY_RELATIONS, "r\t\\N\to\tf\t\\N\t\\N\t1\t{a}\tf\tf\n", "query relations, row 1, column 2: a table without a schema" },
	{ QUERY_RELATIONS, "r\tapp\to\tf\t\\N\t\\N\t2\t{a}\tf\tf\n", "query relations, row 1, column 8: 1 names instead of 2" },
	{ QUERY_RELATIONS, "r\tapp\to\tf\t\\N\t\\N\t0\t{}\tf\tf\n", "query relations, row 1, column 7: a number in range expected" },
	{ QUERY_RELATIONS, "r\tapp\to\tf\t\\N\t\\N\t1\t\\N\tf\tf\n", "NULL where an array must be" },
	{ QUERY_RELATIONS, "r\tapp\to\tf\t\\N\t\\N\t1\t{\"\"}\tf\tf\n", "an array expected" },
	{ QUERY_RELATIONS, "r\tapp\to\tf\t\\N\t\\N\t1\t{{a}}\tf\tf\n", "an array expected" },
	{ QUERY_SCHEMAS, "n\tapp\to\tf\t\\N\t\\N\t1\t{a}\n", "query schemas, row 1, column 2: a schema in a schema" },
	{ QUERY_DEFAULT_ACLS, "a\t\\N\tr\t\\N\n", "query default_acls, row 1, column 4: NULL where" },
	{ QUERY_POLICIES, "app\t{t}\tone\t*\tf\t{}\tt\t(a = 1)\tf\t\\N\twhy\t1\n", "a policy for no role" },
	{ QUERY_LEDGER_RELATION, "f\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\nf\t\\N\t\\N\t\\N\t\\N\t\\N\t\\N\n", "2 rows instead of one" },
	{ QUERY_AVAILABLE_EXTENSIONS, "b\t1\tf\na\t1\tf\n", "extensions out of order" },
	{ QUERY_DATABASES, "1\tdb\to\tt\t-1\t\\N\n2\tx\to\tt\t-1\t\\N\n3\tdb\to\tt\t-1\t\\N\n", "a database comes twice" },
	{ QUERY_DEFAULT_ACLS, "a\tb\tr\t{}\na\t\\N\tr\t{}\na\tb\tr\t{}\n", "default privileges for one role, schema and kind come twice" },
	{ QUERY_EXTENSIONS, "x\t1\tpublic\to\tt\nx\t2\tpublic\to\tt\n", "an extension comes twice" },
	{ QUERY_POLICIES, "a\t{t}\tp\tr\tt\t{PUBLIC}\tf\t\\N\tf\t\\N\t\\N\t1\na\t{s,t}\tp\tr\tt\t{PUBLIC}\tf\t\\N\tf\t\\N\t\\N\t2\n", "a policy comes twice" },
	{ QUERY_SNAPSHOT, "1:1:\n", "query snapshot is not one of this look" },
};

static void nonsense_is_named(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof nonsense / sizeof *nonsense; i++) {
		struct test *t = test_new();

		if (decode(t, nonsense[i].id, nonsense[i].text, 0) != 1)
			fail_msg("accepted: %s", nonsense[i].text);
		if (!strstr(t->err.text, nonsense[i].expected))
			fail_msg("\"%s\" instead of \"%s\"", t->err.text, nonsense[i].expected);
		talloc_free(t);
	}
}

static const char *endless(const struct rowset *rows, unsigned row, unsigned column, size_t *ret_len)
{
	(void)row;
	(void)column;
	*ret_len = *(size_t *)rows->data;
	return "a";
}

/* Without having to make them: the reader must refuse before it looks at the text. */
static void absurd_sizes_are_refused(void **state)
{
	struct test *t = test_new();
	size_t len = (size_t)9 << 20;
	struct rowset rows = { .rows = 1, .columns = 3, .cell = endless, .data = &len };
	enum query_id ids[] = { QUERY_FACTS, QUERY_SETTINGS };
	struct rowset answers[] = { *tsv_rows(t, facts, sizeof facts - 1, 0), rows };

	(void)state;
	assert_int_equal(decode_server(t, t->names, ids, answers, 2, &t->server, &t->err), 1);
	assert_non_null(strstr(t->err.text, "query settings, row 1, column 1: a value of 9437184 bytes"));
	error_clear(&t->err);
	answers[1].rows = 1000001;
	assert_int_equal(decode_server(t, t->names, ids, answers, 2, &t->server, &t->err), 1);
	assert_non_null(strstr(t->err.text, "query settings: the answer has more than 1000000 rows"));
	error_clear(&t->err);
	assert_int_equal(decode_server(t, t->names, ids + 1, answers + 1, 1, &t->server, &t->err), 1);
	assert_non_null(strstr(t->err.text, "query facts: no answer"));
	talloc_free(t);
}

static void zero_bytes_are_refused(void **state)
{
	static const char row[] = "a\0b\t\\N\tx=1\n";
	struct test *t = test_new();
	enum query_id ids[] = { QUERY_FACTS, QUERY_SETTINGS };
	struct rowset answers[] = { *tsv_rows(t, facts, sizeof facts - 1, 0), *tsv_rows(t, row, sizeof row - 1, 0) };

	(void)state;
	assert_int_equal(decode_server(t, t->names, ids, answers, 2, &t->server, &t->err), 1);
	assert_non_null(strstr(t->err.text, "query settings, row 1, column 1: a text with a zero byte"));
	talloc_free(t);
}

static void dependencies_are_read(void **state)
{
	static const char rows[] = "old\t\\N\to\tpg_database\t1\tdatabase db\nold\tother\ta\t\\N\t7\t\\N\nold\tdb\ts\tpg_stat_activity\t2\t\\N\n";
	struct test *t = test_new();
	enum query_id ids[] = { QUERY_FACTS, QUERY_ROLE_DEPENDENCIES };
	struct rowset answers[] = { *tsv_rows(t, facts, sizeof facts - 1, 0), *tsv_rows(t, rows, sizeof rows - 1, 0) };
	const struct role_dependency *v;

	(void)state;
	assert_int_equal(decode_server(t, t->names, ids, answers, 2, &t->server, &t->err), 0);
	assert_int_equal(t->server->n_dependencies, 3);
	v = t->server->dependencies;
	assert_string_equal(names_text(t->names, v[0].role), "old");
	assert_int_equal(v[0].database, NAME_NONE);
	assert_string_equal(v[0].objects, "database db");
	assert_int_equal(v[1].n, 7);
	assert_null(v[1].objects);
	assert_int_equal(v[2].type, 's');
	talloc_free(t);
}

/* ---- answers of real servers ---- */

static const char *backwards_cell(const struct rowset *rows, unsigned row, unsigned column, size_t *ret_len)
{
	const struct rowset *inner = rows->data;

	return inner->cell(inner, inner->rows - 1 - row, column, ret_len);
}

/* The same rows in the opposite order; extensions stay, their order is promised. */
static struct rowset backwards(const struct rowset *rows)
{
	return (struct rowset){ .rows = rows->rows, .columns = rows->columns, .cell = backwards_cell, .data = (void *)rows };
}

static void read_answers(void *mem, const char *dir, int version, const enum query_id *ids, unsigned n, struct rowset *answers)
{
	for (unsigned i = 0; i < n; i++) {
		char *path = talloc_asprintf(mem, "%s/%s.tsv", dir, query_get(ids[i], version, false)->name);
		size_t len;
		char *text = tsv_read_file(mem, path, &len);

		if (!text)
			fail_msg("%s: not there", path);
		answers[i] = *tsv_rows(mem, text, len, len ? 0 : ids[i] == QUERY_POLICIES ? 12 : ids[i] == QUERY_DEFAULT_ACLS ? 4 : 8);
	}
}

static void expect_file(void *mem, const char *dir, const char *file, const char *text)
{
	char *path = talloc_asprintf(mem, "%s/%s", dir, file), *wanted;
	size_t len;

	if (getenv("UPDATE_GOLDEN")) {
		FILE *out = fopen(path, "w");

		assert_non_null(out);
		fputs(text, out);
		assert_int_equal(fclose(out), 0);
	}
	wanted = tsv_read_file(mem, path, &len);
	assert_non_null(wanted);
	assert_string_equal(text, wanted);
}

static void golden(const char *name_of_dir, int version, bool turned)
{
	struct test *t = test_new();
	const char *srcdir = getenv("top_srcdir");
	char *dir = talloc_asprintf(t, "%s/tests/golden/catalog/%s", srcdir ? srcdir : ".", name_of_dir);
	struct rowset answers[2][QUERIES], inner[2][QUERIES];
	enum query_id ids[2][QUERIES];
	unsigned n[2] = { query_server_look(version, true, ids[0]), query_database_look(version, true, true, ids[1]) };

	for (int target = 0; target < 2; target++) {
		read_answers(t, dir, version, ids[target], n[target], inner[target]);
		for (unsigned i = 0; i < n[target]; i++)
			answers[target][i] = turned && ids[target][i] != QUERY_AVAILABLE_EXTENSIONS ? backwards(&inner[target][i])
												   : inner[target][i];
	}
	if (decode_server(t, t->names, ids[0], answers[0], n[0], &t->server, &t->err) ||
	    decode_database(t, t->names, ids[1], answers[1], n[1], &t->database, &t->err))
		fail_msg("%s: %s", dir, t->err.text);
	expect_file(t, dir, "server.txt", model_text_server(t, t->server));
	expect_file(t, dir, "database.txt", model_text_database(t, t->database));
	talloc_free(t);
}

static void golden_14(void **state)
{
	(void)state;
	golden("postgresql-14", 140023, false);
	golden("postgresql-14", 140023, true);
}

static void golden_18(void **state)
{
	(void)state;
	golden("postgresql-18", 180004, false);
	golden("postgresql-18", 180004, true);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(facts_are_read), cmocka_unit_test(roles_are_sorted_and_found),
		cmocka_unit_test(settings_split_at_the_first_equals), cmocka_unit_test(lists_are_shared),
		cmocka_unit_test(undecodable_names), cmocka_unit_test(a_table_that_vanished_has_no_policy),
		cmocka_unit_test(ledger_that_is_not_there), cmocka_unit_test(nonsense_is_named),
		cmocka_unit_test(absurd_sizes_are_refused), cmocka_unit_test(dependencies_are_read),
		cmocka_unit_test(zero_bytes_are_refused),
		cmocka_unit_test(golden_14), cmocka_unit_test(golden_18),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
