/* SPDX-License-Identifier: PostgreSQL */
/* What a session needs no server for: causes of failures, texts of servers, lookups, pins, environments. */
#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

static int setup(void **state)
{
	*state = talloc_new(NULL);
	return 0;
}

static int teardown(void **state)
{
	talloc_free(*state);
	return 0;
}

/* Failures */

static void test_failures(void **state)
{
	static const struct { const char *sqlstate, *message, *name; bool transient; } v[] = {
		{ "28P01", "", "auth", false }, { "28000", "", "auth", false }, { "53300", "", "too_many_connections", true },
		{ "57P03", "", "starting", true }, { "57P01", "", "starting", true }, { "42501", "", "permission", false },
		{ "55P03", "", "lock", true }, { "40P01", "", "lock", true }, { "40001", "", "conflict", true },
		{ "XX000", "tuple concurrently updated", "conflict", true }, { "XX000", "tuple concurrently deleted", "conflict", true },
		{ "XX000", "cache lookup failed for relation 1", "conflict", true }, { "XX000", "other", "sql", false },
		{ "23505", "duplicate key value violates unique constraint \"pg_authid_rolname_index\"", "conflict", true },
		{ "23505", "duplicate key value violates unique constraint \"users_pkey\"", "sql", false },
		{ "3D000", "", "no_database", false }, { "42601", "", "sql", false }, { "", "", "connect", true }, { NULL, NULL, "connect", true },
		{ "08P01", "unsupported startup parameter: options", "identity", false }, { "08006", "", "connect", true },
		{ "25006", "", "identity", false }, { "57014", "canceling statement due to statement timeout", "timeout", true },
		{ "57014", "canceling statement due to user request", "sql", false },
	};

	(void)state;
	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		const enum failure failure = failure_from_sqlstate(v[i].sqlstate, v[i].message);

		assert_string_equal(failure_name(failure), v[i].name);
		assert_int_equal(failure_is_transient(failure), v[i].transient);
	}
	for (int f = FAILURE_NONE; f <= FAILURE_INTERNAL; f++)
		assert_true(failure_name((enum failure)f)[0] != '\0');
	assert_string_equal(failure_name((enum failure)99), "internal");
}

static void test_connect_messages(void **state)
{
	static const struct { const char *message, *text, *sqlstate; enum failure failure; } v[] = {
		{ "connection to server at \"10.0.0.1\", port 5432 failed: FATAL:  28P01: password authentication failed for user \"x\"\n"
		  "LOCATION:  auth_failed, auth.c:338\n",
		  "connection to server at \"10.0.0.1\", port 5432 failed: FATAL: password authentication failed for user \"x\"", "28P01",
		  FAILURE_AUTH },
		{ "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: No such file or directory\n\tIs the server running locally?\n",
		  "connection to server on socket \"/tmp/.s.PGSQL.5432\" failed: No such file or directory; Is the server running locally?", "",
		  FAILURE_CONNECT },
		{ "connection to server failed: fe_sendauth: no password supplied\n", "connection to server failed: fe_sendauth: no password supplied",
		  "", FAILURE_AUTH },
		{ "server closed the connection unexpectedly\n\tThis probably means the server terminated abnormally\n\tbefore or while\n",
		  "server closed the connection unexpectedly", "", FAILURE_CONNECT },
		{ "FATAL:  \x1b[31mnot:  a code: \x07\n", "FATAL:  \\x1B[31mnot:  a code: \\x07", "", FAILURE_CONNECT },
		{ "", "", "", FAILURE_CONNECT },
	};
	char *large = talloc_array(*state, char, 2000000);
	struct error err;

	for (size_t i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		assert_int_equal(message_from_connect(v[i].message, &err), v[i].failure);
		if (v[i].text[0] && strcasecmp(err.text, v[i].text) != 0)
			fail_msg("\"%s\" instead of \"%s\"", err.text, v[i].text);
		assert_string_equal(err.sqlstate, v[i].sqlstate);
		assert_true(error_is_set(&err));
		assert_true(err.hint[0] != '\0');
	}
	memset(large, '\n', 1000000);
	memset(large + 1000000, 'x', 999999);
	large[1999999] = '\0';
	message_from_connect(large, &err);
	assert_true(strlen(err.text) < ERROR_TEXT_MAX);
}

/* Look-ups */

static void test_lookup(void **state)
{
	struct lookup *lookup;
	const char *reason = NULL;
	char **addresses;
	unsigned n;
	struct pollfd p;

	assert_int_equal(lookup_start(*state, "localhost", &lookup), 0);
	p = (struct pollfd){ .fd = lookup_fd(lookup), .events = POLLIN };
	assert_int_equal(poll(&p, 1, 20000), 1);
	assert_int_equal(lookup_result(lookup, *state, &addresses, &n, &reason), 0);
	assert_true(n >= 1);
	assert_true(strcmp(addresses[0], "127.0.0.1") == 0 || strcmp(addresses[0], "::1") == 0);

	assert_int_equal(lookup_start(*state, "no-such-host.invalid", &lookup), 0);
	p.fd = lookup_fd(lookup);
	assert_int_equal(poll(&p, 1, 60000), 1);
	assert_int_equal(lookup_result(lookup, *state, &addresses, &n, &reason), 2);
	assert_non_null(reason);
}

/* An abandoned lookup may still be inside glibc's resolver when this program ends: its buffer is nobody's leak. */
const char *__lsan_default_suppressions(void);
const char *__lsan_default_suppressions(void)
{
	return "leak:res_context_send\nleak:res_context_query\n";
}

/* The thread outlives who asked. */
static void test_lookup_abandoned(void **state)
{
	for (unsigned i = 0; i < 50; i++) {
		struct lookup *lookup;

		assert_int_equal(lookup_start(*state, "localhost", &lookup), 0);
		talloc_free(lookup);
	}
}

/* Rows: a result made by hand. */
static void test_rows(void **state)
{
	PGresAttDesc columns[2] = { { .name = (char *)"a" }, { .name = (char *)"b" } };
	PGresult *res = PQmakeEmptyPGresult(NULL, PGRES_TUPLES_OK);
	struct rows *rows = rows_new(*state, 2), *narrow = rows_new(*state, 1);
	struct rowset set;
	size_t len;

	PQsetResultAttrs(res, 2, columns);
	PQsetvalue(res, 0, 0, (char *)"one", 3);
	PQsetvalue(res, 0, 1, NULL, -1);
	PQsetvalue(res, 1, 0, (char *)"", 0);
	PQsetvalue(res, 1, 1, (char *)"b\0c", 3);
	assert_int_equal(rows_add(rows, res, 0), 0);
	assert_int_equal(rows_add(rows, res, 1), 0);
	assert_int_equal(rows_add(narrow, res, 0), 1);
	PQclear(res);
	rows_view(rows, &set);
	assert_int_equal(set.rows, 2);
	assert_int_equal(set.columns, 2);
	assert_string_equal(set.cell(&set, 0, 0, &len), "one");
	assert_int_equal(len, 3);
	assert_null(set.cell(&set, 0, 1, NULL));
	assert_string_equal(set.cell(&set, 1, 0, &len), "");
	assert_memory_equal(set.cell(&set, 1, 1, &len), "b\0c", 4);
	assert_int_equal(len, 3);
	assert_null(set.cell(&set, 2, 0, &len));
	assert_null(set.cell(&set, 0, 2, &len));
}

/* Pins: what belongs to which server and role. */
static bool is_pinned(void *parent, int version, bool superuser, bool migrations, const char *name, const char *shown)
{
	const struct session_config config = { .conninfo = "", .version_num = version, .superuser = superuser,
		.for_migrations = migrations, .lock_timeout = migrations ? 0 : 90000, .statement_timeout = 1500 };
	struct session *s = session_new(parent, &config);
	unsigned n;
	const struct pinned_setting *v = session_pinned(s, &n);
	bool found = false;

	for (unsigned i = 0; i < n; i++)
		found |= strcmp(v[i].name, name) == 0 && (!shown || (v[i].shown && strcmp(v[i].shown, shown) == 0));
	talloc_free(s);
	return found;
}

static void test_pins(void **state)
{
	assert_true(is_pinned(*state, 0, false, false, "search_path", "pg_catalog,pg_temp"));
	assert_true(is_pinned(*state, 0, false, false, "lock_timeout", "90s"));
	assert_true(is_pinned(*state, 0, false, false, "statement_timeout", "1500ms"));
	assert_false(is_pinned(*state, 0, false, false, "transaction_timeout", NULL));
	assert_false(is_pinned(*state, 160009, false, false, "transaction_timeout", NULL));
	assert_true(is_pinned(*state, 170000, false, false, "transaction_timeout", NULL));
	assert_false(is_pinned(*state, 170000, false, false, "event_triggers", NULL));
	assert_true(is_pinned(*state, 170000, true, false, "event_triggers", "off"));
	assert_false(is_pinned(*state, 160000, true, false, "event_triggers", NULL));
	assert_false(is_pinned(*state, 150007, true, false, "restrict_nonsystem_relation_kind", NULL));
	assert_true(is_pinned(*state, 150008, true, false, "restrict_nonsystem_relation_kind", NULL));
	assert_false(is_pinned(*state, 180000, true, true, "search_path", NULL));
	assert_true(is_pinned(*state, 0, true, true, "standard_conforming_strings", "on"));
	assert_false(is_pinned(*state, 0, true, true, "lock_timeout", NULL));
	assert_true(is_pinned(*state, 0, true, true, "statement_timeout", "1500ms"));
}

static void test_environment(void **state)
{
	(void)state;
	setenv("PGHOST", "elsewhere", 1);
	setenv("PGPASSWORD", "x", 1);
	setenv("PGTZ", "Mars", 1);
	setenv("OTHER_PGHOST", "stays", 1);
	session_environment_clear();
	assert_null(getenv("PGHOST"));
	assert_null(getenv("PGPASSWORD"));
	assert_null(getenv("PGTZ"));
	assert_string_equal(getenv("OTHER_PGHOST"), "stays");
}

/* What a hook's client programs connect by: conninfo, our defaults, and nothing of what we ourselves were started with. */
static const char *entry(char **env, const char *name)
{
	size_t len = strlen(name);
	const char *found = NULL;

	for (; *env; env++)
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
			assert_null(found);
			found = *env + len + 1;
		}
	return found;
}

static void test_client_environment(void **state)
{
	struct session_config config = { .conninfo = "host=db1 port=5433 user=root dbname=postgres", .database = "orders", .user = "migrator" };
	char **env;

	setenv("PGPASSWORD", "of somebody else", 1);
	setenv("PGSERVICE", "elsewhere", 1);
	setenv("NOTIFY_SOCKET", "/run/systemd/notify", 1);
	setenv("MY_OWN", "stays", 1);
	env = session_environment(*state, &config, "/run/x.pgpass");
	assert_string_equal(entry(env, "PGHOST"), "db1");
	assert_string_equal(entry(env, "PGPORT"), "5433");
	assert_string_equal(entry(env, "PGUSER"), "migrator");
	assert_string_equal(entry(env, "PGDATABASE"), "orders");
	assert_string_equal(entry(env, "PGSSLMODE"), "verify-full");
	assert_string_equal(entry(env, "PGPASSFILE"), "/run/x.pgpass");
	assert_string_equal(entry(env, "MY_OWN"), "stays");
	assert_null(entry(env, "PGPASSWORD"));
	assert_null(entry(env, "PGSERVICE"));
	assert_null(entry(env, "NOTIFY_SOCKET"));
	config.conninfo = "host=/run/postgresql";
	env = session_environment(*state, &config, NULL);
	assert_null(entry(env, "PGSSLMODE"));
	assert_string_equal(entry(env, "PGPASSFILE"), "/dev/null/none");
	config.conninfo = "host=db1 sslmode=require";
	assert_string_equal(entry(session_environment(*state, &config, NULL), "PGSSLMODE"), "require");
	unsetenv("PGPASSWORD");
	unsetenv("PGSERVICE");
	unsetenv("NOTIFY_SOCKET");
	unsetenv("MY_OWN");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failures), cmocka_unit_test(test_connect_messages),
		cmocka_unit_test(test_lookup), cmocka_unit_test(test_lookup_abandoned), cmocka_unit_test(test_rows), cmocka_unit_test(test_pins),
		cmocka_unit_test(test_environment), cmocka_unit_test(test_client_environment),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
