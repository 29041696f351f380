/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>
#include <sqlite3.h>
#include <talloc.h>

#include "state/state.h"

struct fixture {
	char dir[64];
	char *path;
	struct state *state;
};

static int set_up(void **arg)
{
	struct fixture *f = talloc_zero(NULL, struct fixture);
	struct error err = { 0 };

	snprintf(f->dir, sizeof(f->dir), "/tmp/dbr-state-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	f->path = talloc_asprintf(f, "%s/state.db", f->dir);
	assert_int_equal(state_open(f, f->path, &f->state, &err), 0);
	*arg = f;
	return 0;
}

static int tear_down(void **arg)
{
	struct fixture *f = *arg;
	static const char *const names[] = { "state.db", "state.db-wal", "state.db-shm", "link" };

	TALLOC_FREE(f->state);
	for (size_t i = 0; i < sizeof(names) / sizeof(names[0]); i++) {
		char *path = talloc_asprintf(f, "%s/%s", f->dir, names[i]);

		unlink(path);
		rmdir(path);
	}
	assert_int_equal(rmdir(f->dir), 0);
	talloc_free(f);
	return 0;
}

static void reopen(struct fixture *f)
{
	struct error err = { 0 };

	TALLOC_FREE(f->state);
	assert_int_equal(state_open(f, f->path, &f->state, &err), 0);
}

static int64_t add(struct fixture *f, int64_t at, const char *target, const char *result)
{
	struct event event = {
		.at_ms = at, .target = target, .kind = "change", .actor = "daemon", .object = "GRANT SELECT ON 2 tables TO app",
		.statement = "GRANT SELECT ON TABLE \"app\".\"a\" TO \"app\"", .result = result,
	};
	int64_t id = 0;

	assert_int_equal(state_event_add(f->state, &event, &id), 0);
	assert_true(id > 0);
	return id;
}

static void file_is_private(void **arg)
{
	struct fixture *f = *arg;
	struct stat st;
	char *wal = talloc_asprintf(f, "%s-wal", f->path);

	add(f, 1, "prod", "ok");
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(stat(wal, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	/* Readable for others is repaired, writable is refused. */
	TALLOC_FREE(f->state);
	assert_int_equal(chmod(f->path, 0644), 0);
	reopen(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void unsafe_files_are_refused(void **arg)
{
	struct fixture *f = *arg;
	struct error err = { 0 };
	char *link = talloc_asprintf(f, "%s/link", f->dir);

	TALLOC_FREE(f->state);
	assert_int_equal(chmod(f->path, 0620), 0);
	assert_int_equal(state_open(f, f->path, &f->state, &err), -EPERM);
	assert_null(f->state);
	assert_non_null(strstr(err.text, "can be written by group or others"));
	assert_int_equal(chmod(f->path, 0600), 0);

	assert_int_equal(symlink(f->path, link), 0);
	error_clear(&err);
	assert_int_equal(state_open(f, link, &f->state, &err), -ELOOP);
	assert_true(error_is_set(&err));
	unlink(link);

	error_clear(&err);
	assert_int_equal(mkdir(link, 0700), 0);
	assert_true(state_open(f, link, &f->state, &err) < 0);
	assert_true(error_is_set(&err));

	error_clear(&err);
	assert_int_equal(state_open(f, "/nonexistent/dir/state.db", &f->state, &err), -ENOENT);
	assert_non_null(strstr(err.hint, "directory must exist"));
}

static void events_survive_reopen(void **arg)
{
	struct fixture *f = *arg;
	struct event *v;
	uint32_t n;
	int64_t first = add(f, 1000, "prod/orders", "started");
	int64_t second = add(f, 2000, "prod", "ok");
	uint64_t changed = state_events_changed(f->state);

	assert_true(second > first);
	assert_int_equal(state_event_close(f->state, first, "failed", "42501", "permission denied"), 0);
	assert_true(state_events_changed(f->state) > changed);
	assert_int_equal(state_event_close(f->state, 999, "ok", NULL, NULL), 1);
	reopen(f);

	assert_int_equal(state_events(f->state, f, 0, 0, NULL, 10, &v, &n), 0);
	assert_int_equal(n, 2);
	assert_int_equal(v[0].id, first);
	assert_string_equal(v[0].result, "failed");
	assert_string_equal(v[0].sqlstate, "42501");
	assert_string_equal(v[0].message, "permission denied");
	assert_null(v[0].inverse);
	assert_null(v[0].plan);
	assert_int_equal(v[1].at_ms, 2000);
	talloc_free(v);

	assert_int_equal(state_events(f->state, f, first, 0, NULL, 10, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(state_events(f->state, f, 0, 1500, NULL, 10, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(state_events(f->state, f, 0, 0, "prod/orders", 10, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_string_equal(v[0].target, "prod/orders");
	assert_int_equal(state_events(f->state, f, 0, 0, NULL, 1, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].id, first);
	assert_int_equal(state_events_last(f->state, f, 0, NULL, 1, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].id, second);
	assert_int_equal(state_event_get(f->state, f, second, &v), 0);
	assert_string_equal(v->target, "prod");
	assert_int_equal(state_event_get(f->state, f, 12345, &v), 1);
	assert_null(v);
}

static void intents_of_a_crash_are_found(void **arg)
{
	struct fixture *f = *arg;
	struct event *v;
	uint32_t n;
	int64_t open = add(f, 1, "prod", "started");

	add(f, 2, "prod", "ok");
	reopen(f);
	assert_int_equal(state_events_open(f->state, f, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].id, open);
	assert_int_equal(state_event_close(f->state, open, "unknown", NULL, "the daemon ended in between"), 0);
	assert_int_equal(state_events_open(f->state, f, &v, &n), 0);
	assert_int_equal(n, 0);
}

static void long_texts_are_cut_between_characters(void **arg)
{
	struct fixture *f = *arg;
	char *long_text = talloc_array(f, char, 200001);
	struct event *v;
	struct event event = { .at_ms = 1, .target = "prod", .kind = "change", .result = "ok", .statement = long_text };
	int64_t id;

	for (size_t i = 0; i < 200000; i += 2)
		memcpy(long_text + i, "é", 2);
	long_text[200000] = '\0';
	assert_int_equal(state_event_add(f->state, &event, &id), 0);
	assert_int_equal(state_event_get(f->state, f, id, &v), 0);
	assert_true(strlen(v->statement) <= 65536);
	assert_true(strlen(v->statement) > 65000);
	assert_string_equal(v->statement + strlen(v->statement) - 5, "é…");
}

/* A history at its limit loses its oldest, never the newest, and never fails. */
static void full_history_makes_room(void **arg)
{
	struct fixture *f = *arg;
	struct event *v;
	uint32_t n;
	int64_t last = 0;
	struct stat st;

	assert_int_equal(state_limit(f->state, 100), 0);
	for (int i = 0; i < 6000; i++)
		last = add(f, i, "prod", "ok");
	assert_int_equal(state_events(f->state, f, 0, 0, NULL, 10000, &v, &n), 0);
	assert_true(n > 500 && n < 6000);
	assert_int_equal(v[n - 1].id, last);
	assert_int_equal(v[0].id, last - n + 1);
	reopen(f);
	assert_int_equal(stat(f->path, &st), 0);
	assert_true(st.st_size <= 100 * 4096);
}

/* At the limit the oldest make room, and what the batch has written before stays. */
static void full_history_keeps_the_batch_under_way(void **arg)
{
	struct fixture *f = *arg;
	int64_t ids[60];

	assert_int_equal(state_limit(f->state, 100), 0);
	for (int i = 0; i < 3000; i++)
		add(f, i, "prod", "ok");
	for (int batch = 0; batch < 20; batch++) {
		state_batch_begin(f->state);
		for (int i = 0; i < 60; i++) {
			ids[i] = add(f, 3000 + batch, "prod", "started");
			assert_true(i == 0 || ids[i] > ids[i - 1]);
		}
		assert_int_equal(state_batch_end(f->state), 0);
		for (int i = 0; i < 60; i++)
			assert_int_equal(state_event_close(f->state, ids[i], "ok", NULL, NULL), 0);
	}
}

/* What operators decide and what must be remembered is worth more than the oldest history, too. */
static void full_history_makes_room_for_decisions(void **arg)
{
	struct fixture *f = *arg;
	char name[32], *value;
	struct event *v;
	uint32_t n;

	assert_int_equal(state_limit(f->state, 100), 0);
	for (int i = 0; i < 3000; i++)
		add(f, i, "prod", "ok");
	for (int i = 0; i < 500; i++) {
		snprintf(name, sizeof(name), "prod/d%d", i);
		assert_int_equal(state_suspend(f->state, &(struct suspension){ .target = name, .reason = "release" }), 0);
		assert_int_equal(state_approve(f->state, &(struct approval){ .target = name, .plan = "0123456789abcdef", .expires_ms = 9 }), 0);
		assert_int_equal(state_put(f->state, name, "fact"), 0);
	}
	assert_int_equal(state_get(f->state, f, "prod/d0", &value), 0);
	assert_int_equal(state_events(f->state, f, 0, 0, NULL, 10000, &v, &n), 0);
	assert_true(n > 200);
}

/* A decision has parts: all of them are stored, or the operator is told that none is. */
static void a_decision_is_stored_whole(void **arg)
{
	struct fixture *f = *arg;
	struct approval approval = { .target = "prod", .plan = "0123456789abcdef", .actor = "uid 0 (root)", .at_ms = 1, .expires_ms = 1000 }, found;
	char *large = talloc_zero_size(f, 600000);

	memset(large, 'x', 599999);
	assert_int_equal(state_limit(f->state, 100), 0);
	state_batch_begin(f->state);
	assert_int_equal(state_approve(f->state, &approval), 0);
	assert_int_equal(state_put(f->state, "part", large), -ENOSPC);
	assert_int_equal(state_batch_end(f->state), -ENOSPC);
	assert_int_equal(state_approval(f->state, f, "prod", "0123456789abcdef", 2, &found), 1);
	assert_int_equal(state_approve(f->state, &approval), 0);
	assert_int_equal(state_approval(f->state, f, "prod", "0123456789abcdef", 2, &found), 0);
}

static void approvals_that_expired_go(void **arg)
{
	struct fixture *f = *arg;
	struct approval approval = { .target = "prod", .plan = "0123456789abcdef", .actor = "uid 0 (root)", .at_ms = 1, .expires_ms = 1000 }, found;

	assert_int_equal(state_approve(f->state, &approval), 0);
	approval.plan = "fedcba9876543210";
	approval.at_ms = 1001;
	approval.expires_ms = 2000;
	assert_int_equal(state_approve(f->state, &approval), 0);
	assert_int_equal(state_approval(f->state, f, "prod", "0123456789abcdef", 2, &found), 1);
	assert_int_equal(state_approval(f->state, f, "prod", "fedcba9876543210", 2, &found), 0);
}

/* Whatever did not fit: what state_batch_end() says of the rest is true. */
static void a_batch_that_was_lost_says_so(void **arg)
{
	struct fixture *f = *arg;
	char key[32], *large = talloc_zero_size(f, 60000), *value;
	int64_t id;
	int r = 0;

	memset(large, 'x', 59999);
	assert_int_equal(state_limit(f->state, 100), 0);
	id = add(f, 1, "prod", "started");
	state_batch_begin(f->state);
	assert_int_equal(state_put(f->state, "first", "1"), 0);
	for (int i = 0; i < 20 && r == 0; i++) {
		snprintf(key, sizeof(key), "large/%d", i);
		r = state_put(f->state, key, large);
	}
	assert_int_equal(r, -ENOSPC);
	assert_true(state_event_close(f->state, id, "failed", NULL, large) < 0);
	state_put(f->state, "last", "1");
	r = state_batch_end(f->state);
	assert_int_equal(state_get(f->state, f, "first", &value), r == 0 ? 0 : 1);
	assert_int_equal(state_get(f->state, f, "last", &value), r == 0 ? 0 : 1);
	assert_int_equal(state_put(f->state, "after", "1"), 0);
}

static void damaged_file_is_an_outcome(void **arg)
{
	struct fixture *f = *arg;
	struct error err = { 0 };
	char junk[4096];
	int fd;

	for (int i = 0; i < 500; i++)
		add(f, i, "prod", "ok");
	TALLOC_FREE(f->state);
	memset(junk, 0x5a, sizeof(junk));
	fd = open(f->path, O_WRONLY);
	for (off_t at = 4096; at < 10 * 4096; at += 4096)
		assert_int_equal(pwrite(fd, junk, sizeof(junk), at), (int)sizeof(junk));
	close(fd);
	assert_int_equal(state_open(f, f->path, &f->state, &err), 1);
	assert_null(f->state);
	assert_non_null(strstr(err.text, "is damaged"));
	assert_non_null(strstr(err.hint, "move it away"));
}

static void other_content_is_an_outcome(void **arg)
{
	struct fixture *f = *arg;
	struct error err = { 0 };
	int fd;

	TALLOC_FREE(f->state);
	fd = open(f->path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is no database file at all, is it", 38), 38);
	close(fd);
	assert_int_equal(state_open(f, f->path, &f->state, &err), 1);
	assert_non_null(strstr(err.text, "is damaged"));
}

static void newer_format_is_an_outcome(void **arg)
{
	struct fixture *f = *arg;
	struct error err = { 0 };
	sqlite3 *db;

	TALLOC_FREE(f->state);
	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version = 99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(state_open(f, f->path, &f->state, &err), 1);
	assert_non_null(strstr(err.text, "format 99"));
}

static void suspensions(void **arg)
{
	struct fixture *f = *arg;
	struct suspension s;

	assert_int_equal(state_suspend(f->state, &(struct suspension){ "prod/orders", "release", "uid 0 (root)", 5, 0 }), 0);
	assert_int_equal(state_suspend(f->state, &(struct suspension){ "prod", NULL, "uid 0 (root)", 5, 99 }), 0);
	assert_int_equal(state_suspend(f->state, &(struct suspension){ "prod", "again", "uid 7", 6, 100 }), 0);
	reopen(f);
	assert_int_equal(state_suspension(f->state, f, "prod", &s), 0);
	assert_string_equal(s.target, "prod");
	assert_string_equal(s.reason, "again");
	assert_string_equal(s.actor, "uid 7");
	assert_int_equal(s.since_ms, 6);
	assert_int_equal(s.until_ms, 100);
	assert_int_equal(state_suspension(f->state, f, "prod/orders", &s), 0);
	assert_string_equal(s.reason, "release");
	assert_int_equal(state_suspension(f->state, f, "prod/other", &s), 1);
	assert_int_equal(state_resume(f->state, "prod"), 0);
	assert_int_equal(state_resume(f->state, "prod"), 1);
	assert_int_equal(state_suspension(f->state, f, "prod", &s), 1);
	assert_int_equal(state_suspension(f->state, f, "prod/orders", &s), 0);
}

static void approvals_are_used_once(void **arg)
{
	struct fixture *f = *arg;
	struct approval a = { "prod", "0123456789abcdef", "uid 0 (root)", 1000, 2000, false };
	struct approval got = { 0 };

	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1500, &got), 1);
	assert_int_equal(state_approval_used(f->state, "prod", a.plan), 1);
	assert_int_equal(state_approve(f->state, &a), 0);
	assert_int_equal(state_approval(f->state, f, "other", a.plan, 1500, &got), 1);
	assert_int_equal(state_approval(f->state, f, "prod", "fedcba9876543210", 1500, &got), 1);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1500, &got), 0);
	assert_string_equal(got.actor, "uid 0 (root)");
	assert_false(got.rejected);
	assert_int_equal(state_approval_used(f->state, "prod", a.plan), 0);
	reopen(f);
	assert_int_equal(state_approval_used(f->state, "prod", a.plan), 1);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1500, &got), 1);
	assert_int_equal(state_approve(f->state, &a), 0);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1500, &got), 0);
}

static void approvals_expire_and_are_rejected(void **arg)
{
	struct fixture *f = *arg;
	struct approval a = { "prod", "0123456789abcdef", "uid 0 (root)", 1000, 2000, false };
	struct approval got = { 0 };

	assert_int_equal(state_approve(f->state, &a), 0);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1999, &got), 0);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 2000, &got), 1);
	a.rejected = true;
	assert_int_equal(state_approve(f->state, &a), 0);
	assert_int_equal(state_approval(f->state, f, "prod", a.plan, 1500, &got), 0);
	assert_true(got.rejected);
	assert_int_equal(state_approval_used(f->state, "prod", a.plan), 1);
}

static void facts(void **arg)
{
	struct fixture *f = *arg;
	char *value;

	assert_int_equal(state_get(f->state, f, "identity/prod", &value), 1);
	assert_null(value);
	assert_int_equal(state_put(f->state, "identity/prod", "7300000000000000000"), 0);
	assert_int_equal(state_put(f->state, "identity/prod", "7300000000000000001"), 0);
	reopen(f);
	assert_int_equal(state_get(f->state, f, "identity/prod", &value), 0);
	assert_string_equal(value, "7300000000000000001");
	assert_int_equal(state_delete(f->state, "identity/prod"), 0);
	assert_int_equal(state_get(f->state, f, "identity/prod", &value), 1);
}

/* Somebody else holding the write lock is an error soon, never a hang. */
/* What undo stands on is never cut: a part of it would undo a part. */
static void records_are_whole_or_not_there(void **arg)
{
	struct fixture *f = *arg;
	char *large = talloc_array(f, char, 1 << 20), *larger = talloc_array(f, char, 5 << 20);
	struct event e = { .at_ms = 1, .target = "prod", .kind = "change", .result = "started", .record = "first" };
	struct state_record *v;
	const char *text;
	int64_t id[5];
	uint32_t n;

	memset(large, 'x', 1 << 20);
	large[(1 << 20) - 1] = '\0';
	memset(larger, 'x', 5 << 20);
	larger[(5 << 20) - 1] = '\0';
	assert_int_equal(state_event_add(f->state, &e, &id[0]), 0);
	e.record = large;
	e.result = "ok";
	assert_int_equal(state_event_add(f->state, &e, &id[1]), 0);
	e.record = larger;
	assert_int_equal(state_event_add(f->state, &e, &id[2]), 0);
	e.record = "failed";
	e.result = "failed";
	assert_int_equal(state_event_add(f->state, &e, &id[3]), 0);
	e.kind = "held";
	e.result = "ok";
	assert_int_equal(state_event_add(f->state, &e, &id[4]), 0);
	reopen(f);
	assert_int_equal(state_record(f->state, f, id[0], &text), 0);
	assert_string_equal(text, "first");
	assert_int_equal(state_record(f->state, f, id[1], &text), 0);
	assert_int_equal(strlen(text), (1 << 20) - 1);
	assert_int_equal(state_record(f->state, f, id[2], &text), 0);
	assert_null(text);
	assert_int_equal(state_record(f->state, f, 999, &text), 1);
	/* those that may have been made, after one, of one target */
	assert_int_equal(state_records(f->state, f, "prod", 0, 10, &v, &n), 0);
	assert_int_equal(n, 3);
	assert_int_equal(v[0].id, id[0]);
	assert_int_equal(state_records(f->state, f, "prod", id[0], 1, &v, &n), 0);
	assert_int_equal(n, 1);
	assert_int_equal(v[0].id, id[1]);
	assert_int_equal(state_records(f->state, f, "prod/orders", 0, 10, &v, &n), 0);
	assert_int_equal(n, 0);
	assert_true(state_put(f->state, "undo/prod/1", larger) < 0);
}

static void facts_are_listed_by_prefix(void **arg)
{
	struct fixture *f = *arg;
	struct state_fact *v;
	uint32_t n;

	assert_int_equal(state_put(f->state, "undo/prod/2", "b\nc"), 0);
	assert_int_equal(state_put(f->state, "undo/prod/10", "a"), 0);
	assert_int_equal(state_put(f->state, "undo/prod/orders/3", "d"), 0);
	assert_int_equal(state_put(f->state, "undo/proe/4", "e"), 0);
	assert_int_equal(state_put(f->state, "undo/pro", "f"), 0);
	assert_int_equal(state_list(f->state, f, "undo/prod/", &v, &n), 0);
	assert_int_equal(n, 3);
	assert_string_equal(v[0].key, "undo/prod/10");
	assert_string_equal(v[1].value, "b\nc");
	assert_int_equal(state_list(f->state, f, "nothing/", &v, &n), 0);
	assert_int_equal(n, 0);
}

static void busy_file_is_an_error(void **arg)
{
	struct fixture *f = *arg;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(state_put(f->state, "a", "b"), -EBUSY);
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(state_put(f->state, "a", "b"), 0);
	sqlite3_close(db);
}

static void busy_batch_is_an_error(void **arg)
{
	struct fixture *f = *arg;
	struct event event = { .at_ms = 1, .target = "prod", .kind = "change", .result = "started" }, *v;
	int64_t first = add(f, 1, "prod", "ok"), id = first, later;
	uint32_t n;
	int error;
	sqlite3 *db;

	assert_int_equal(sqlite3_open(f->path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	state_batch_begin(f->state);
	assert_int_equal(state_event_add(f->state, &event, &id), -EBUSY);
	assert_int_equal(id, 0);
	/* What comes after the failure is not stored without what came before. */
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(state_event_add(f->state, &event, &id), -EBUSY);
	assert_int_equal(state_put(f->state, "a", "b"), -EBUSY);
	assert_int_equal(state_batch_end(f->state), -EBUSY);
	assert_int_equal(state_lost(f->state, &error), 2);
	assert_int_equal(error, -EBUSY);
	later = add(f, 2, "other", "started");
	assert_int_equal(state_event_close(f->state, 0, "failed", NULL, NULL), 1);
	assert_int_equal(state_events(f->state, f, first, 0, NULL, 10, &v, &n), 0);
	assert_true(n == 1 && v[0].id == later);
	assert_int_equal(state_lost(f->state, &error), 2);
	sqlite3_close(db);
}

/* At the limit of the file the end of an event makes room as its begin does. */
static void full_history_is_closed(void **arg)
{
	struct fixture *f = *arg;
	char message[5001];
	int error;

	memset(message, 'x', sizeof(message) - 1);
	message[sizeof(message) - 1] = '\0';
	assert_int_equal(state_limit(f->state, 100), 0);
	for (int i = 0; i < 3000; i++)
		add(f, i, "prod", "ok");
	for (int i = 0; i < 20; i++)
		assert_int_equal(state_event_close(f->state, add(f, i, "prod", "started"), "failed", "42501", message), 0);
	assert_int_equal(state_lost(f->state, &error), 0);
}

static void removed_file_is_noticed(void **arg)
{
	static const char *const suffixes[] = { "", "-wal" };
	struct fixture *f = *arg;

	add(f, 1, "prod", "ok");
	assert_null(state_moved(f->state));
	for (size_t i = 0; i < 2; i++) {
		char *path = talloc_asprintf(f, "%s%s", f->path, suffixes[i]), *aside = talloc_asprintf(f, "%s/link", f->dir);
		int fd;

		assert_int_equal(rename(path, aside), 0);
		assert_string_equal(state_moved(f->state), path);
		fd = open(path, O_CREAT | O_WRONLY, 0600);
		assert_string_equal(state_moved(f->state), path);
		close(fd);
		assert_int_equal(rename(aside, path), 0);
		assert_null(state_moved(f->state));
	}
}

static void memory_works(void **arg)
{
	struct fixture *f = *arg;
	struct error err = { 0 };
	struct state *state;
	char *value;

	assert_int_equal(state_open(f, ":memory:", &state, &err), 0);
	assert_int_equal(state_put(state, "a", "b"), 0);
	assert_int_equal(state_get(state, f, "a", &value), 0);
	talloc_free(state);
}

static void point(struct fixture *f, const char *target, const char *role, const char *digest)
{
	struct schema_ref to = { digest, "note", 5 };

	assert_int_equal(state_schema_point(f->state, target, role, digest ? &to : NULL), 0);
}

static void put_schema(struct fixture *f, const char *digest)
{
	assert_int_equal(state_schema_put(f->state, digest, 0, "a\0b", 3), 0);
	assert_int_equal(state_schema_put(f->state, digest, 1, "", 0), 0);
	assert_int_equal(state_schema_has(f->state, digest), 1);       /* not whole yet */
	assert_int_equal(state_schema_whole(f->state, digest), 0);
}

static void schemas_live_while_something_points_to_them(void **arg)
{
	struct fixture *f = *arg;
	struct schema_ref ref;
	size_t len;
	char *data;

	put_schema(f, "one");
	put_schema(f, "two");
	point(f, "prod/a", "baseline", "one");
	point(f, "prod/a", "last", "two");
	point(f, "prod/b", "last", "one");
	reopen(f);
	assert_int_equal(state_schema_ref(f->state, f, "prod/a", "last", &ref), 0);
	assert_string_equal(ref.digest, "two");
	assert_string_equal(ref.note, "note");
	assert_int_equal(ref.at_ms, 5);
	assert_int_equal(state_schema_get(f->state, f, "one", 0, &data, &len), 0);
	assert_int_equal(len, 3);
	assert_memory_equal(data, "a\0b", 3);
	assert_int_equal(state_schema_get(f->state, f, "one", 1, &data, &len), 0);
	assert_int_equal(len, 0);
	assert_int_equal(state_schema_get(f->state, f, "one", 2, &data, &len), 1);
	point(f, "prod/a", "last", "one");
	assert_int_equal(state_schema_has(f->state, "two"), 1);
	while (state_schema_sweep(f->state) == 0)
		;
	assert_int_equal(state_schema_get(f->state, f, "two", 0, &data, &len), 1);
	assert_int_equal(state_schema_get(f->state, f, "one", 0, &data, &len), 0);
	point(f, "prod/a", "baseline", NULL);
	point(f, "prod/a", "last", NULL);
	point(f, "prod/a", "last", NULL);
	assert_int_equal(state_schema_has(f->state, "one"), 0);        /* b has it still */
	point(f, "prod/b", "last", NULL);
	assert_int_equal(state_schema_has(f->state, "one"), 1);
	assert_int_equal(state_schema_ref(f->state, f, "prod/b", "last", &ref), 1);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		CASE(file_is_private), CASE(unsafe_files_are_refused), CASE(events_survive_reopen),
		CASE(intents_of_a_crash_are_found), CASE(long_texts_are_cut_between_characters),
		CASE(full_history_makes_room), CASE(full_history_keeps_the_batch_under_way), CASE(full_history_makes_room_for_decisions), CASE(a_batch_that_was_lost_says_so),
		CASE(a_decision_is_stored_whole), CASE(approvals_that_expired_go), CASE(damaged_file_is_an_outcome),
		CASE(other_content_is_an_outcome), CASE(newer_format_is_an_outcome), CASE(suspensions),
		CASE(approvals_are_used_once), CASE(approvals_expire_and_are_rejected), CASE(facts), CASE(records_are_whole_or_not_there),
		CASE(facts_are_listed_by_prefix), CASE(busy_file_is_an_error), CASE(busy_batch_is_an_error),
		CASE(full_history_is_closed), CASE(removed_file_is_noticed),
		CASE(schemas_live_while_something_points_to_them), CASE(memory_works),
	};

	return cmocka_run_group_tests_name("state", tests, NULL, NULL);
}
