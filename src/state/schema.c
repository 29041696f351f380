/* SPDX-License-Identifier: PostgreSQL */
/* Schemas of databases as they were looked at, each kept once however many databases have it. */
#include "config.h"
#include "state/state.h"

#include <talloc.h>

#include "state/statement.h"

static int exists(struct state *state, enum state_sql which, const char *digest)
{
	sqlite3_stmt *stmt = state_statement(state, which);
	int rc;

	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, digest);
	rc = sqlite3_step(stmt);
	sqlite3_reset(stmt);
	return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? 1 : state_errno(rc);
}

int state_schema_has(struct state *state, const char *digest)
{
	return exists(state, SQL_SCHEMA_HAS, digest);
}

int state_schema_put(struct state *state, const char *digest, uint32_t part, const char *data, size_t len)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SCHEMA_PUT);

	if (stmt) {
		bind_text(stmt, 1, digest);
		bind_int(stmt, 2, part);
		sqlite3_bind_blob64(stmt, 3, data, len, SQLITE_TRANSIENT);
	}
	return state_run(state, stmt);
}

int state_schema_whole(struct state *state, const char *digest)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SCHEMA_WHOLE);

	if (stmt)
		bind_text(stmt, 1, digest);
	return state_run(state, stmt);
}

int state_schema_get(struct state *state, void *parent, const char *digest, uint32_t part, char **ret, size_t *ret_len)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SCHEMA_GET);
	int rc;

	*ret = NULL;
	*ret_len = 0;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, digest);
	bind_int(stmt, 2, part);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		*ret_len = (size_t)sqlite3_column_bytes(stmt, 0);
		*ret = talloc_memdup(parent, *ret_len > 0 ? sqlite3_column_blob(stmt, 0) : "", *ret_len > 0 ? *ret_len : 1);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

int state_schema_ref(struct state *state, void *parent, const char *target, const char *role, struct schema_ref *ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SCHEMA_REF);
	int rc;

	*ret = (struct schema_ref){ .digest = NULL };
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, target);
	bind_text(stmt, 2, role);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = (struct schema_ref){ column_text(parent, stmt, 0), column_text(parent, stmt, 1), sqlite3_column_int64(stmt, 2) };
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

/* What nothing points to any more goes. */
static int drop(struct state *state, const char *digest)
{
	static const enum state_sql steps[] = { SQL_SCHEMA_DROP, SQL_SCHEMA_DROP_PIECES };
	int r = exists(state, SQL_SCHEMA_USED, digest);

	for (size_t i = 0; r == 1 && i < sizeof(steps) / sizeof(steps[0]); i++) {
		sqlite3_stmt *stmt = state_statement(state, steps[i]);
		int failed;

		if (stmt)
			bind_text(stmt, 1, digest);
		failed = state_run(state, stmt);
		if (failed < 0)
			return failed;
	}
	return r < 0 ? r : 0;
}

static int point(struct state *state, const char *target, const char *role, const struct schema_ref *to)
{
	sqlite3_stmt *stmt = state_statement(state, to ? SQL_SCHEMA_POINT : SQL_SCHEMA_UNPOINT);

	if (stmt) {
		bind_text(stmt, 1, target);
		bind_text(stmt, 2, role);
	}
	if (stmt && to) {
		bind_text(stmt, 3, to->digest);
		bind_text(stmt, 4, to->note);
		bind_int(stmt, 5, to->at_ms);
	}
	return state_run(state, stmt);
}

int state_schema_point(struct state *state, const char *target, const char *role, const struct schema_ref *to)
{
	struct schema_ref was;
	void *scratch = talloc_new(NULL);
	int r = state_schema_ref(state, scratch, target, role, &was);

	if (r >= 0)
		r = point(state, target, role, to);
	if (r == 0 && was.digest)
		r = drop(state, was.digest);
	talloc_free(scratch);
	return r;
}
