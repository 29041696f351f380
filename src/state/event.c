/* SPDX-License-Identifier: PostgreSQL */
/* The history: what was done, by whom, with which statement and result. */
#include "config.h"
#include "state/state.h"

#include <errno.h>
#include <talloc.h>

#include "state/statement.h"

static void bind_event(sqlite3_stmt *stmt, const struct event *event)
{
	bind_int(stmt, 1, event->at_ms);
	bind_text(stmt, 2, event->target ? event->target : "");
	bind_text(stmt, 3, event->kind ? event->kind : "");
	bind_text(stmt, 4, event->actor);
	bind_text(stmt, 5, event->object);
	bind_text(stmt, 6, event->statement);
	bind_text(stmt, 7, event->inverse);
	bind_text(stmt, 8, event->result);
	bind_text(stmt, 9, event->sqlstate);
	bind_text(stmt, 10, event->message);
	bind_text(stmt, 11, event->plan);
	bind_whole(stmt, 12, event->record);
}

/* What cannot be stored is counted: of a batch when it ends. */
static int stored(struct state *state, int r)
{
	if (state->batch)
		state->batch_events++;
	if (r == 0)
		state->events_changed++;
	else if (r < 0 && !state->batch)
		state_lose(state, 1, r);
	return r;
}

int state_event_add(struct state *state, const struct event *event, int64_t *ret_id)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_EVENT_ADD);
	int r;

	if (stmt)
		bind_event(stmt, event);
	r = stored(state, state_store(state, stmt));
	if (ret_id)
		*ret_id = r == 0 ? sqlite3_last_insert_rowid(state->db) : 0;
	return r;
}

int state_event_close(struct state *state, int64_t id, const char *result, const char *sqlstate, const char *message)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_EVENT_CLOSE);
	int r;

	if (stmt) {
		bind_int(stmt, 1, id);
		bind_text(stmt, 2, result);
		bind_text(stmt, 3, sqlstate);
		bind_text(stmt, 4, message);
	}
	r = state_store(state, stmt);
	return stored(state, r < 0 ? r : sqlite3_changes(state->db) == 0);
}

static void read_event(void *parent, sqlite3_stmt *stmt, struct event *ret)
{
	ret->id = sqlite3_column_int64(stmt, 0);
	ret->at_ms = sqlite3_column_int64(stmt, 1);
	ret->target = column_text(parent, stmt, 2);
	ret->kind = column_text(parent, stmt, 3);
	ret->actor = column_text(parent, stmt, 4);
	ret->object = column_text(parent, stmt, 5);
	ret->statement = column_text(parent, stmt, 6);
	ret->inverse = column_text(parent, stmt, 7);
	ret->result = column_text(parent, stmt, 8);
	ret->sqlstate = column_text(parent, stmt, 9);
	ret->message = column_text(parent, stmt, 10);
	ret->plan = column_text(parent, stmt, 11);
}

static int collect_events(struct state *state, void *parent, sqlite3_stmt *stmt, struct event **ret, uint32_t *ret_n)
{
	struct event *v = talloc_zero_array(parent, struct event, 16);
	uint32_t n = 0;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	if (!stmt || !v) {
		talloc_free(v);
		return stmt ? -ENOMEM : state_errno(sqlite3_errcode(state->db));
	}
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		if (n == talloc_array_length(v))
			v = talloc_realloc(parent, v, struct event, n * 2);
		read_event(v, stmt, &v[n++]);
	}
	sqlite3_reset(stmt);
	if (rc != SQLITE_DONE) {
		talloc_free(v);
		return state_errno(rc);
	}
	*ret = v;
	*ret_n = n;
	return 0;
}

int state_events(struct state *state, void *parent, int64_t after, int64_t since_ms, const char *target, uint32_t limit,
		 struct event **ret, uint32_t *ret_n)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_EVENTS);

	if (stmt) {
		bind_int(stmt, 1, after);
		bind_int(stmt, 2, since_ms);
		bind_text(stmt, 3, target);
		bind_int(stmt, 4, limit);
	}
	return collect_events(state, parent, stmt, ret, ret_n);
}

int state_events_last(struct state *state, void *parent, int64_t since_ms, const char *target, uint32_t limit,
		      struct event **ret, uint32_t *ret_n)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_EVENTS_LAST);

	if (stmt) {
		bind_int(stmt, 1, since_ms);
		bind_text(stmt, 2, target);
		bind_int(stmt, 3, limit);
	}
	return collect_events(state, parent, stmt, ret, ret_n);
}

int state_events_open(struct state *state, void *parent, struct event **ret, uint32_t *ret_n)
{
	return collect_events(state, parent, state_statement(state, SQL_EVENTS_OPEN), ret, ret_n);
}

int state_event_get(struct state *state, void *parent, int64_t id, struct event **ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_EVENT_GET);
	uint32_t n;
	int r;

	if (stmt)
		bind_int(stmt, 1, id);
	r = collect_events(state, parent, stmt, ret, &n);
	if (r == 0 && n == 0) {
		TALLOC_FREE(*ret);
		r = 1;
	}
	return r;
}

int state_record(struct state *state, void *parent, int64_t id, const char **ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_RECORD);
	int rc;

	*ret = NULL;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_int(stmt, 1, id);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = column_text(parent, stmt, 0);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

int state_records(struct state *state, void *parent, const char *target, int64_t after, uint32_t limit, struct state_record **ret, uint32_t *ret_n)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_RECORDS);
	struct state_record *v = NULL;
	uint32_t n = 0;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, target);
	bind_int(stmt, 2, after);
	bind_int(stmt, 3, limit);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		v = talloc_realloc(parent, v, struct state_record, n + 1);
		v[n].id = sqlite3_column_int64(stmt, 0);
		v[n].record = column_text(v, stmt, 1);
		n++;
	}
	sqlite3_reset(stmt);
	*ret = v;
	*ret_n = n;
	return state_errno(rc);
}

uint64_t state_events_changed(const struct state *state)
{
	return state->events_changed;
}
