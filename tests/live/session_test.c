/* SPDX-License-Identifier: PostgreSQL */
/*
 * Sessions against a real server. test_session.py prepares the server and its faults, then runs one test by name; the
 * connection comes in DBR_CONNINFO, DBR_PASSWORD, DBR_USER, DBR_DATABASE.
 */
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
#include <time.h>

#include "session/session.h"

/* A turn that waited for a server would wait for three seconds, the connect_timeout below, or for ever; one that only works is
   some milliseconds long, and many times that on a machine that does other things. */
#define TURN_CPU_MAX_US 2000000
#define TURN_MAX_US 2500000

struct driver {
	struct session *session;
	struct session_config config;
	int64_t longest_us, longest_cpu_us;    /* of a turn */
	unsigned turns;
};

static int64_t now_us(clockid_t clock)
{
	struct timespec ts;

	clock_gettime(clock, &ts);
	return (int64_t)ts.tv_sec * 1000000 + ts.tv_nsec / 1000;
}

static struct driver *driver_new(void)
{
	struct driver *d = talloc_zero(NULL, struct driver);

	d->config = (struct session_config){
		.name = "test", .conninfo = getenv("DBR_CONNINFO"), .password = getenv("DBR_PASSWORD"),
		.user = getenv("DBR_USER"), .database = getenv("DBR_DATABASE"), .connect_timeout = 3000,
		.lock_timeout = 500, .statement_timeout = 20000,
		.version_num = getenv("DBR_VERSION") ? (int)strtol(getenv("DBR_VERSION"), NULL, 10) : 0, .superuser = getenv("DBR_SUPERUSER") != NULL,
	};
	return d;
}

/* One wait and one turn, as a loop would do it. */
static void step(struct driver *d)
{
	struct session *s = d->session;
	const msec_t left = session_deadline(s) == MSEC_NEVER ? 10000 : session_deadline(s) - clock_monotonic();
	struct pollfd p = { .fd = session_fd(s) };
	static const short want[] = { 0, POLLIN, POLLOUT, POLLIN | POLLOUT };
	unsigned ready = 0;
	int64_t begin, begin_cpu;
	bool more;

	p.events = want[session_wants(s)];
	poll(&p, 1, left > 0 ? (int)left + 1 : 0);
	if (p.revents & (POLLIN | POLLHUP | POLLERR))
		ready |= SESSION_READ;
	if (p.revents & (POLLOUT | POLLHUP | POLLERR))
		ready |= SESSION_WRITE;
	do {
		begin = now_us(CLOCK_MONOTONIC);
		begin_cpu = now_us(CLOCK_THREAD_CPUTIME_ID);
		more = session_turn(s, ready, clock_monotonic());
		if (now_us(CLOCK_THREAD_CPUTIME_ID) - begin_cpu > d->longest_cpu_us)
			d->longest_cpu_us = now_us(CLOCK_THREAD_CPUTIME_ID) - begin_cpu;
		if (now_us(CLOCK_MONOTONIC) - begin > d->longest_us)
			d->longest_us = now_us(CLOCK_MONOTONIC) - begin;
		d->turns++;
		ready = SESSION_READ | SESSION_WRITE;
	} while (more && session_state(s) == SESSION_RUNNING);
}

static enum session_state drive_connect(struct driver *d)
{
	d->session = session_new(d, &d->config);
	assert_int_equal(session_connect(d->session, clock_monotonic()), 0);
	while (session_state(d->session) == SESSION_CONNECTING)
		step(d);
	return session_state(d->session);
}

static struct driver *connected(void)
{
	struct driver *d = driver_new();

	if (drive_connect(d) != SESSION_READY)
		fail_msg("not connected: %s", session_error(d->session)->text);
	return d;
}

static void finish(struct driver *d)
{
	print_message("longest turn: %d us, %d us of the processor\n", (int)d->longest_us, (int)d->longest_cpu_us);
	assert_true(d->longest_us < TURN_MAX_US);
	assert_true(d->longest_cpu_us < TURN_CPU_MAX_US);
	talloc_free(d);
}

struct answers {
	struct outcome *v[64];
	unsigned n;
	bool complete;
};

static void collect(struct driver *d, struct answers *a)
{
	for (struct outcome *o; (o = session_next(d->session, d));) {
		assert_true(a->n < 64);
		assert_false(a->complete);
		a->v[a->n++] = o;
		a->complete = o->last;
	}
}

static struct answers run(struct driver *d, const struct batch *batch)
{
	struct answers a = { .n = 0 };

	assert_int_equal(session_submit(d->session, batch, clock_monotonic()), 0);
	assert_int_equal(session_submit(d->session, batch, clock_monotonic()), 1);
	while (session_state(d->session) == SESSION_RUNNING) {
		step(d);
		collect(d, &a);
	}
	collect(d, &a);
	assert_true(a.complete == (session_state(d->session) == SESSION_READY));
	return a;
}

static struct answers pipeline(struct driver *d, const char *const *sql, unsigned n)
{
	struct statement *v = talloc_zero_array(d, struct statement, n);

	for (unsigned i = 0; i < n; i++)
		v[i].sql = sql[i];
	return run(d, &(struct batch){ .mode = BATCH_PIPELINE, .statements = v, .n = n });
}
#define PIPELINE(d, ...) pipeline(d, (const char *const[]){ __VA_ARGS__ }, \
				  sizeof((const char *const[]){ __VA_ARGS__ }) / sizeof(char *))

static struct answers script(struct driver *d, const char *sql, const struct copy_data *copies, unsigned n_copies)
{
	struct statement st = { .sql = sql };

	return run(d, &(struct batch){ .mode = BATCH_SCRIPT, .statements = &st, .n = 1, .copies = copies, .n_copies = n_copies });
}

static const char *cell(const struct outcome *o, unsigned row, unsigned column)
{
	size_t len;
	const char *text = o->rows.cell(&o->rows, row, column, &len);

	assert_true(!text || strlen(text) == len);
	return text;
}

static const char *value(struct driver *d, const char *sql)
{
	struct answers a = PIPELINE(d, sql);

	assert_int_equal(a.n, 1);
	if (a.v[0]->status != OUTCOME_ROWS)
		fail_msg("%s: %s", sql, a.v[0]->error.text);
	assert_int_equal(a.v[0]->rows.rows, 1);
	return cell(a.v[0], 0, 0);
}

static void failed_with(struct driver *d, enum failure failure, const char *text)
{
	const struct error *err = session_error(d->session);

	assert_int_equal(session_state(d->session), SESSION_FAILED);
	print_message("%s: %s [%s] (%s)\n", failure_name(session_failure(d->session)), err->text, err->sqlstate, err->hint);
	assert_string_equal(failure_name(session_failure(d->session)), failure_name(failure));
	if (!strstr(err->text, text))
		fail_msg("\"%s\" is not in \"%s\"", text, err->text);
	assert_int_equal(session_fd(d->session), -1);
	assert_true(session_deadline(d->session) == MSEC_NEVER);
}

/* Connecting */

static void test_connect(void **state)
{
	struct driver *d = connected();

	(void)state;
	assert_true(session_server_version(d->session) >= 140000);
	assert_true(session_backend_pid(d->session) > 0);
	assert_int_equal(session_transaction(d->session), 'I');
	assert_int_equal(strtol(value(d, "SELECT pg_backend_pid()"), NULL, 10), session_backend_pid(d->session));
	assert_string_equal(value(d, "SELECT application_name FROM pg_stat_activity WHERE pid = pg_backend_pid()"), "dbreconciled");
	session_close(d->session);
	assert_int_equal(session_state(d->session), SESSION_CLOSED);
	assert_int_equal(session_connect(d->session, clock_monotonic()), 0);
	assert_int_equal(session_connect(d->session, clock_monotonic()), 1);
	finish(d);
}

/* What DBR_FAILURE and DBR_TEXT say, within DBR_WITHIN ms. */
static void test_connect_fails(void **state)
{
	struct driver *d = driver_new();
	const msec_t begin = clock_monotonic();
	enum failure failure = FAILURE_NONE;

	(void)state;
	assert_int_equal(drive_connect(d), SESSION_FAILED);
	while (strcmp(failure_name(failure), getenv("DBR_FAILURE")) != 0)
		assert_true(++failure <= FAILURE_INTERNAL);
	failed_with(d, failure, getenv("DBR_TEXT"));
	assert_true(clock_monotonic() - begin < strtol(getenv("DBR_WITHIN"), NULL, 10));
	assert_true(session_error(d->session)->hint[0] != '\0');
	finish(d);
}

/* Pipelines */

static void test_pipeline(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT 1, NULL, ''", "SELECT 2 WHERE false", "CREATE TEMP TABLE t (a int)",
				    "INSERT INTO t SELECT generate_series(1, 5)", "", "SELECT FROM t");

	(void)state;
	assert_int_equal(a.n, 6);
	for (unsigned i = 0; i < 6; i++) {
		assert_int_equal(a.v[i]->index, i);
		assert_int_equal(a.v[i]->last, i == 5);
		assert_null(a.v[i]->notice);
	}
	assert_int_equal(a.v[0]->status, OUTCOME_ROWS);
	assert_int_equal(a.v[0]->rows.columns, 3);
	assert_string_equal(cell(a.v[0], 0, 0), "1");
	assert_null(cell(a.v[0], 0, 1));
	assert_string_equal(cell(a.v[0], 0, 2), "");
	assert_null(cell(a.v[0], 1, 0));
	assert_int_equal(a.v[1]->status, OUTCOME_ROWS);
	assert_int_equal(a.v[1]->rows.rows, 0);
	assert_int_equal(a.v[1]->rows.columns, 1);
	assert_int_equal(a.v[2]->status, OUTCOME_DONE);
	assert_string_equal(a.v[3]->command_tag, "INSERT 0 5");
	assert_int_equal(a.v[4]->status, OUTCOME_DONE);
	assert_int_equal(a.v[5]->rows.rows, 5);
	assert_int_equal(a.v[5]->rows.columns, 0);
	finish(d);
}

static void test_pipeline_error(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "CREATE TABLE public.lost (a int)", "SELECT 1 / 0", "SELECT 3", "SELECT 4");

	(void)state;
	assert_int_equal(a.n, 4);
	assert_int_equal(a.v[0]->status, OUTCOME_DONE);
	assert_int_equal(a.v[1]->status, OUTCOME_ERROR);
	assert_string_equal(a.v[1]->error.sqlstate, "22012");
	assert_string_equal(a.v[1]->error.text, "division by zero");
	assert_int_equal(a.v[1]->failure, FAILURE_SQL);
	assert_int_equal(a.v[2]->status, OUTCOME_SKIPPED);
	assert_int_equal(a.v[3]->status, OUTCOME_SKIPPED);
	assert_true(a.v[3]->last);
	assert_int_equal(session_transaction(d->session), 'I');
	assert_null(value(d, "SELECT to_regclass('public.lost')"));
	finish(d);
}

/* The transaction ends with the sync: an error there belongs to nobody else than the last statement. */
static void test_pipeline_commit_error(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "CREATE TABLE public.parent (a int PRIMARY KEY)",
				    "CREATE TABLE public.child (a int REFERENCES public.parent DEFERRABLE INITIALLY DEFERRED)");

	(void)state;
	assert_int_equal(a.v[1]->status, OUTCOME_DONE);
	a = PIPELINE(d, "INSERT INTO public.parent VALUES (1)", "INSERT INTO public.child VALUES (2)");
	assert_int_equal(a.n, 2);
	assert_int_equal(a.v[0]->status, OUTCOME_DONE);
	assert_int_equal(a.v[1]->status, OUTCOME_ERROR);
	assert_true(a.v[1]->last);
	assert_string_equal(a.v[1]->error.sqlstate, "23503");
	assert_string_equal(value(d, "SELECT count(*) FROM public.parent"), "0");
	PIPELINE(d, "DROP TABLE public.child, public.parent");
	finish(d);
}

static void test_prepared(void **state)
{
	struct driver *d = connected();
	const char *params[] = { "41" };
	struct statement v[] = {
		{ .name = "plus", .sql = "SELECT $1::int + 1", .n_params = 1, .params = params },
		{ .name = "plus", .sql = "SELECT $1::int + 1", .n_params = 1, .params = params },
	};
	struct statement bad = { .name = "bad", .sql = "SELECT no_such_column" };
	struct answers a;

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		a = run(d, &(struct batch){ .statements = v, .n = 2 });
		assert_int_equal(a.n, 2);
		assert_string_equal(cell(a.v[1], 0, 0), "42");
	}
	assert_string_equal(value(d, "SELECT count(*) FROM pg_prepared_statements WHERE name = 'plus'"), "1");
	v[0].sql = "SELECT 'another text'";
	assert_int_equal(session_submit(d->session, &(struct batch){ .statements = v, .n = 1 }, clock_monotonic()), -22);
	v[0].sql = v[1].sql;

	/* A text that cannot be parsed fails each time it is tried. */
	for (unsigned i = 0; i < 2; i++) {
		a = run(d, &(struct batch){ .statements = &bad, .n = 1 });
		assert_int_equal(a.n, 1);
		assert_string_equal(a.v[0]->error.sqlstate, "42703");
	}
	/* Deallocated behind our back: one failure, then it is parsed again. */
	PIPELINE(d, "DEALLOCATE ALL");
	a = run(d, &(struct batch){ .statements = v, .n = 2 });
	assert_string_equal(a.v[0]->error.sqlstate, "26000");
	assert_int_equal(a.v[1]->status, OUTCOME_SKIPPED);
	a = run(d, &(struct batch){ .statements = v, .n = 2 });
	assert_string_equal(cell(a.v[0], 0, 0), "42");
	finish(d);
}

/* An earlier error skips the Parse: the name must not be taken for known. */
static void test_prepared_skipped(void **state)
{
	struct driver *d = connected();
	struct statement v[] = { { .sql = "SELECT 1 / 0" }, { .name = "one", .sql = "SELECT 1" } };
	struct answers a = run(d, &(struct batch){ .statements = v, .n = 2 });

	(void)state;
	assert_int_equal(a.n, 2);
	assert_int_equal(a.v[1]->status, OUTCOME_SKIPPED);
	a = run(d, &(struct batch){ .statements = v + 1, .n = 1 });
	assert_string_equal(cell(a.v[0], 0, 0), "1");
	finish(d);
}

static void test_warnings(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT 1", "DO $$ BEGIN RAISE NOTICE 'no'; RAISE WARNING 'first'; RAISE WARNING 'second'; END $$",
				    "SELECT 3", "DO $$ BEGIN RAISE WARNING '%', repeat(E'\\x1b[31mx\\n', 100000); END $$");

	(void)state;
	assert_int_equal(a.n, 4);
	assert_null(a.v[0]->notice);
	assert_string_equal(a.v[1]->notice, "first");
	assert_string_equal(a.v[1]->notice_sqlstate, "01000");
	assert_null(a.v[2]->notice);
	assert_true(strlen(a.v[3]->notice) < 1100 && strlen(a.v[3]->notice) > 900);
	assert_null(strchr(a.v[3]->notice, '\x1b'));
	assert_null(strchr(a.v[3]->notice, '\n'));
	finish(d);
}

static void test_large_result(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT i, repeat('x', 50), NULL FROM generate_series(1, 100000) i", "SELECT 'next'");

	(void)state;
	assert_int_equal(a.v[0]->rows.rows, 100000);
	assert_string_equal(cell(a.v[0], 99999, 0), "100000");
	assert_int_equal(strlen(cell(a.v[0], 77777, 1)), 50);
	assert_null(cell(a.v[0], 50000, 2));
	assert_string_equal(cell(a.v[1], 0, 0), "next");
	print_message("100,000 rows in %u turns\n", d->turns);
	assert_true(d->turns > 20);
	finish(d);
}

static void test_many_statements(void **state)
{
	struct driver *d = connected();
	const unsigned n = 5000;
	struct statement *v = talloc_zero_array(d, struct statement, n);
	unsigned seen = 0;

	(void)state;
	for (unsigned i = 0; i < n; i++)
		v[i].sql = talloc_asprintf(v, "SELECT %u, repeat('y', 500)", i);
	assert_int_equal(session_submit(d->session, &(struct batch){ .statements = v, .n = n }, clock_monotonic()), 0);
	while (session_state(d->session) == SESSION_RUNNING) {
		step(d);
		for (struct outcome *o; (o = session_next(d->session, d)); talloc_free(o)) {
			assert_int_equal(o->index, seen++);
			assert_int_equal(o->last, seen == n);
		}
	}
	assert_int_equal(seen, n);
	finish(d);
}

static void test_too_large(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT repeat('z', 1000000) FROM generate_series(1, 400)");

	(void)state;
	assert_int_equal(a.n, 0);
	failed_with(d, FAILURE_SQL, "more than 5000000 rows or 200 MiB");
	finish(d);
}

/* A server that begins a row of a gigabyte. */
static void test_flood(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT 1");

	(void)state;
	assert_int_equal(a.n, 0);
	failed_with(d, FAILURE_SQL, "a message of more than 64 MiB");
	finish(d);
}

/* Freed at every moment of connecting: nothing may be left, nothing touched afterwards. */
static void test_abandoned(void **state)
{
	(void)state;
	for (unsigned turns = 0; turns < 30; turns++) {
		struct driver *d = driver_new();

		d->session = session_new(d, &d->config);
		session_connect(d->session, clock_monotonic());
		for (unsigned i = 0; i < turns && session_state(d->session) == SESSION_CONNECTING; i++)
			step(d);
		finish(d);
	}
}

static void test_killed(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT 1", "SELECT pg_terminate_backend(pg_backend_pid())", "SELECT 3");

	(void)state;
	assert_true(a.n >= 1 && a.n <= 3);
	assert_string_equal(cell(a.v[0], 0, 0), "1");
	failed_with(d, FAILURE_STARTING, "terminating connection due to administrator command");
	assert_string_equal(session_error(d->session)->sqlstate, "57P01");
	assert_int_equal(session_transaction(d->session), '?');
	assert_int_equal(drive_connect(d), SESSION_READY);
	finish(d);
}

static void test_killed_idle(void **state)
{
	struct driver *d = connected(), *other = connected();
	char sql[100];

	(void)state;
	snprintf(sql, sizeof(sql), "SELECT pg_terminate_backend(%d)", session_backend_pid(d->session));
	assert_string_equal(value(other, sql), "t");
	while (session_state(d->session) == SESSION_READY)
		step(d);
	failed_with(d, FAILURE_STARTING, "terminating connection");
	finish(d);
	finish(other);
}

/* The proxy freezes when it sees the word: our deadline ends it. */
static void test_freeze(void **state)
{
	struct driver *d = connected();
	const char *sql[] = { "SELECT 1", "SELECT 'freeze-now'", "SELECT 3" };
	struct statement v[3] = { { .sql = sql[0] }, { .sql = sql[1] }, { .sql = sql[2] } };
	const msec_t begin = clock_monotonic();
	struct answers a = run(d, &(struct batch){ .statements = v, .n = 3, .budget = 700 });

	(void)state;
	assert_false(a.complete);
	failed_with(d, FAILURE_TIMEOUT, "700ms");
	assert_true(clock_monotonic() - begin >= 700);
	assert_true(clock_monotonic() - begin < 1700);
	finish(d);
}

static void test_timeouts_on_server(void **state)
{
	struct driver *d = driver_new();
	struct answers a;

	(void)state;
	d->config.statement_timeout = 150;
	assert_int_equal(drive_connect(d), SESSION_READY);
	a = PIPELINE(d, "SELECT pg_sleep(10)");
	assert_int_equal(a.v[0]->failure, FAILURE_TIMEOUT);
	assert_string_equal(a.v[0]->error.sqlstate, "57014");
	finish(d);
}

static void test_lock_timeout(void **state)
{
	struct driver *d = connected(), *other = connected();
	struct answers a;

	(void)state;
	PIPELINE(other, "CREATE TABLE public.locked ()");
	PIPELINE(other, "BEGIN");
	PIPELINE(other, "LOCK TABLE public.locked");
	assert_int_equal(session_transaction(other->session), 'T');
	a = PIPELINE(d, "SELECT FROM public.locked");
	assert_int_equal(a.v[0]->failure, FAILURE_LOCK);
	PIPELINE(other, "ROLLBACK");
	PIPELINE(other, "DROP TABLE public.locked");
	finish(d);
	finish(other);
}

static void test_conflict(void **state)
{
	struct driver *d = driver_new(), *other = connected();
	struct answers a = { .n = 0 };
	struct statement grant = { .sql = "GRANT USAGE ON SCHEMA public TO pg_monitor" };

	(void)state;
	d->config.lock_timeout = 10000;
	assert_int_equal(drive_connect(d), SESSION_READY);
	PIPELINE(other, "BEGIN");
	PIPELINE(other, "GRANT CREATE ON SCHEMA public TO pg_monitor");
	assert_int_equal(session_submit(d->session, &(struct batch){ .statements = &grant, .n = 1 }, clock_monotonic()), 0);
	while (strcmp(value(other, "SELECT count(*) FROM pg_locks WHERE NOT granted"), "0") == 0)
		session_turn(d->session, SESSION_READ | SESSION_WRITE, clock_monotonic());
	PIPELINE(other, "COMMIT");
	while (session_state(d->session) == SESSION_RUNNING)
		step(d);
	collect(d, &a);
	assert_int_equal(a.v[0]->status, OUTCOME_ERROR);
	assert_string_equal(a.v[0]->error.sqlstate, "XX000");
	assert_int_equal(a.v[0]->failure, FAILURE_CONFLICT);
	PIPELINE(other, "REVOKE CREATE ON SCHEMA public FROM pg_monitor");
	finish(d);
	finish(other);
}

static void test_alone(void **state)
{
	struct driver *d = connected();
	struct statement st = { .sql = "CREATE DATABASE alone" };
	struct answers a = PIPELINE(d, "SELECT 1", "CREATE DATABASE alone");

	(void)state;
	assert_string_equal(a.v[1]->error.sqlstate, "25001");
	a = run(d, &(struct batch){ .mode = BATCH_ALONE, .statements = &st, .n = 1, .budget = 60000 });
	if (a.v[0]->status != OUTCOME_DONE)
		fail_msg("%s", a.v[0]->error.text);
	assert_string_equal(a.v[0]->command_tag, "CREATE DATABASE");
	st.sql = "DROP DATABASE alone; SELECT 2";
	a = run(d, &(struct batch){ .mode = BATCH_ALONE, .statements = &st, .n = 1 });
	assert_int_equal(a.n, 1);
	assert_string_equal(a.v[0]->error.sqlstate, "42601");
	st.sql = "DROP DATABASE alone";
	a = run(d, &(struct batch){ .mode = BATCH_ALONE, .statements = &st, .n = 1 });
	assert_int_equal(a.v[0]->status, OUTCOME_DONE);
	finish(d);
}

/* Scripts */

static void test_script(void **state)
{
	struct driver *d = driver_new();
	struct answers a;

	(void)state;
	d->config.for_migrations = true;
	assert_int_equal(drive_connect(d), SESSION_READY);
	a = script(d, "BEGIN;\nCREATE TEMP TABLE t (a int, b text);\nCOPY t FROM stdin;\nSELECT sum(a), string_agg(b, ',') FROM t;\n"
		      "COPY t TO stdout;\nCOPY t (a) FROM stdin WITH (FORMAT csv);\nSELECT count(*) FROM t; -- end",
		   (struct copy_data[]){ { "1\tone\n2\ttw\xc3\xb6\n", 13 }, { "3\n4\n", 4 } }, 2);
	for (unsigned i = 0; i < a.n; i++)
		assert_int_equal(a.v[i]->index, i);
	assert_int_equal(a.n, 7);
	assert_string_equal(a.v[2]->command_tag, "COPY 2");
	assert_string_equal(cell(a.v[3], 0, 0), "3");
	assert_string_equal(cell(a.v[3], 0, 1), "one,tw\xc3\xb6");
	assert_string_equal(a.v[4]->command_tag, "COPY 2");
	assert_string_equal(a.v[5]->command_tag, "COPY 2");
	assert_string_equal(cell(a.v[6], 0, 0), "4");
	assert_true(a.v[6]->last);
	assert_int_equal(session_transaction(d->session), 'T');
	a = script(d, "ROLLBACK", NULL, 0);
	assert_int_equal(session_transaction(d->session), 'I');
	a = script(d, "-- nothing\n", NULL, 0);
	assert_int_equal(a.n, 1);
	assert_int_equal(a.v[0]->status, OUTCOME_DONE);
	finish(d);
}

static void test_script_errors(void **state)
{
	struct driver *d = driver_new();
	struct answers a;

	(void)state;
	d->config.for_migrations = true;
	assert_int_equal(drive_connect(d), SESSION_READY);
	a = script(d, "SELECT '\xc3\xa4\xc3\xb6\xc3\xbc';\r\nSELEC 1;", NULL, 0);
	assert_int_equal(a.n, 1);
	assert_string_equal(a.v[0]->error.sqlstate, "42601");
	assert_int_equal(a.v[0]->position, 16);
	a = script(d, "SELECT 1; CREATE TEMP TABLE c (a int); COPY c FROM stdin; SELECT 2", NULL, 0);
	assert_int_equal(a.n, 3);
	assert_int_equal(a.v[2]->status, OUTCOME_ERROR);
	assert_non_null(strstr(a.v[2]->error.text, "the script has no data for this COPY"));
	a = script(d, "CREATE TEMP TABLE c (a int); COPY c FROM stdin; SELECT 2", (struct copy_data[]){ { "1\nx\n", 4 } }, 1);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.v[1]->error.sqlstate, "22P02");
	assert_true(a.v[1]->last);
	assert_string_equal(value(d, "SELECT 'still alive'"), "still alive");
	finish(d);
}

/* Far more data than any buffer holds, and a server that refuses it at once. */
static void test_script_large_copy(void **state)
{
	struct driver *d = driver_new();
	const size_t rows = 2000000;
	char *data = talloc_array(d, char, rows * 8 + 1);
	struct answers a;

	(void)state;
	for (size_t i = 0; i < rows; i++)
		snprintf(data + i * 8, 9, "%07zu\n", i);
	d->config.for_migrations = true;
	assert_int_equal(drive_connect(d), SESSION_READY);
	a = script(d, "CREATE TEMP TABLE big (a text); COPY big FROM stdin", (struct copy_data[]){ { data, rows * 8 } }, 1);
	assert_int_equal(a.n, 2);
	assert_string_equal(a.v[1]->command_tag, "COPY 2000000");
	data[3] = '\0';
	a = script(d, "COPY big FROM stdin", (struct copy_data[]){ { data, rows * 8 } }, 1);
	assert_int_equal(a.v[0]->status, OUTCOME_ERROR);
	assert_string_equal(value(d, "SELECT count(*) FROM big"), "2000000");
	finish(d);
}

/* A script that commits our transaction is seen: by the transaction's status, or by its number. */
static void test_script_escape(void **state)
{
	struct driver *d = driver_new();
	const char *before;
	struct answers a;

	(void)state;
	d->config.for_migrations = true;
	assert_int_equal(drive_connect(d), SESSION_READY);
	script(d, "BEGIN", NULL, 0);
	a = script(d, "SELECT 1; COMMIT; SELECT 2", NULL, 0);
	assert_string_equal(a.v[1]->command_tag, "COMMIT");
	assert_int_equal(session_transaction(d->session), 'I');
	script(d, "BEGIN", NULL, 0);
	before = value(d, "SELECT pg_current_xact_id()");
	script(d, "SELECT 1; COMMIT AND CHAIN; SELECT 2", NULL, 0);
	assert_int_equal(session_transaction(d->session), 'T');
	assert_string_not_equal(before, value(d, "SELECT pg_current_xact_id()"));
	a = script(d, "BEGIN; ROLLBACK", NULL, 0);
	assert_non_null(a.v[0]->notice);
	assert_string_equal(a.v[0]->notice_sqlstate, "25001");
	finish(d);
}

/* Settings: DBR_DATABASE belongs to somebody who set them against us. */
static void test_pinned(void **state)
{
	struct driver *d = driver_new();
	const struct pinned_setting *pins;
	unsigned n, compared = 0;

	(void)state;
	assert_int_equal(drive_connect(d), SESSION_READY);
	if (d->config.version_num != 0)
		assert_int_equal(session_server_version(d->session), d->config.version_num);
	pins = session_pinned(d->session, &n);
	assert_true(n > 30);
	for (unsigned i = 0; i < n; i++) {
		const char *params[] = { pins[i].name };
		struct statement st = { .sql = "SELECT pg_catalog.current_setting($1)", .n_params = 1, .params = params };
		struct answers a;

		if (!pins[i].shown)
			continue;
		a = run(d, &(struct batch){ .statements = &st, .n = 1 });
		if (a.v[0]->status != OUTCOME_ROWS || strcmp(cell(a.v[0], 0, 0), pins[i].shown) != 0)
			fail_msg("%s is \"%s\", not \"%s\"", pins[i].name,
				 a.v[0]->status == OUTCOME_ROWS ? cell(a.v[0], 0, 0) : a.v[0]->error.text, pins[i].shown);
		compared++;
	}
	print_message("%u settings pinned, %u compared\n", n, compared);
	assert_string_equal(value(d, "SHOW client_encoding"), "SQL_ASCII");
	PIPELINE(d, "DISCARD TEMP");
	script(d, "RESET ALL", NULL, 0);
	assert_string_equal(value(d, "SHOW search_path"), "pg_catalog,pg_temp");
	finish(d);
}

/* A pooler that swallows our settings: what a check of the pins must find. */
static void test_pooled(void **state)
{
	struct driver *d = connected();
	const struct pinned_setting *pins;
	unsigned n, wrong = 0;

	(void)state;
	pins = session_pinned(d->session, &n);
	for (unsigned i = 0; i < n; i++)
		wrong += pins[i].shown &&
			 strcmp(value(d, talloc_asprintf(d, "SELECT current_setting('%s')", pins[i].name)), pins[i].shown) != 0;
	assert_true(wrong > 3);
	assert_int_not_equal(strtol(value(d, "SELECT pg_backend_pid()"), NULL, 10), session_backend_pid(d->session));
	finish(d);
}

/* One role with bytes that are no UTF-8 must not hide the others. */
static void test_undecodable(void **state)
{
	struct driver *d = connected();
	struct answers a = PIPELINE(d, "SELECT rolname FROM pg_catalog.pg_roles WHERE rolname LIKE 'bad%'");

	(void)state;
	assert_int_equal(a.v[0]->rows.rows, 1);
	assert_memory_equal(cell(a.v[0], 0, 0), "bad\xe4", 5);
	finish(d);
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_connect), cmocka_unit_test(test_connect_fails), cmocka_unit_test(test_pipeline),
		cmocka_unit_test(test_pipeline_error), cmocka_unit_test(test_pipeline_commit_error), cmocka_unit_test(test_prepared),
		cmocka_unit_test(test_prepared_skipped), cmocka_unit_test(test_warnings), cmocka_unit_test(test_large_result),
		cmocka_unit_test(test_many_statements), cmocka_unit_test(test_flood), cmocka_unit_test(test_abandoned),
		cmocka_unit_test(test_too_large), cmocka_unit_test(test_killed),
		cmocka_unit_test(test_killed_idle), cmocka_unit_test(test_freeze), cmocka_unit_test(test_timeouts_on_server),
		cmocka_unit_test(test_lock_timeout), cmocka_unit_test(test_conflict), cmocka_unit_test(test_alone),
		cmocka_unit_test(test_script), cmocka_unit_test(test_script_errors), cmocka_unit_test(test_script_large_copy),
		cmocka_unit_test(test_script_escape), cmocka_unit_test(test_pinned), cmocka_unit_test(test_undecodable), cmocka_unit_test(test_pooled),
	};

	session_environment_clear();
	if (argc != 2) {
		fprintf(stderr, "usage: DBR_CONNINFO=... %s TEST\n", argv[0]);
		return 2;
	}
	cmocka_set_test_filter(argv[1]);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
