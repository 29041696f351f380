/* SPDX-License-Identifier: PostgreSQL */
/* What operators decided: suspensions and approvals. */
#include "config.h"
#include "state/state.h"

#include <errno.h>
#include <talloc.h>

#include "state/statement.h"

int state_suspend(struct state *state, const struct suspension *suspension)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SUSPEND);

	if (stmt) {
		bind_text(stmt, 1, suspension->target);
		bind_text(stmt, 2, suspension->reason);
		bind_text(stmt, 3, suspension->actor);
		bind_int(stmt, 4, suspension->since_ms);
		bind_int(stmt, 5, suspension->until_ms);
	}
	return state_store(state, stmt);
}

int state_resume(struct state *state, const char *target)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_RESUME);

	if (stmt)
		bind_text(stmt, 1, target);
	return state_run_hit(state, stmt);
}

int state_suspension(struct state *state, void *parent, const char *target, struct suspension *ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SUSPENSION);
	int rc;

	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, target);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		ret->target = talloc_strdup(parent, target);
		ret->reason = column_text(parent, stmt, 0);
		ret->actor = column_text(parent, stmt, 1);
		ret->since_ms = sqlite3_column_int64(stmt, 2);
		ret->until_ms = sqlite3_column_int64(stmt, 3);
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

/* Those that have expired go when another comes. */
int state_approve(struct state *state, const struct approval *approval)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_PRUNE_APPROVALS);

	if (stmt)
		bind_int(stmt, 1, approval->at_ms);
	state_run(state, stmt);
	stmt = state_statement(state, SQL_APPROVE);
	if (stmt) {
		bind_text(stmt, 1, approval->target);
		bind_text(stmt, 2, approval->plan);
		bind_text(stmt, 3, approval->actor);
		bind_int(stmt, 4, approval->at_ms);
		bind_int(stmt, 5, approval->expires_ms);
		bind_int(stmt, 6, approval->rejected);
	}
	return state_store(state, stmt);
}

int state_approval(struct state *state, void *parent, const char *target, const char *plan, int64_t now_ms, struct approval *ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_APPROVAL);
	int rc;

	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, target);
	bind_text(stmt, 2, plan);
	bind_int(stmt, 3, now_ms);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW) {
		ret->target = talloc_strdup(parent, target);
		ret->plan = talloc_strdup(parent, plan);
		ret->actor = column_text(parent, stmt, 0);
		ret->at_ms = sqlite3_column_int64(stmt, 1);
		ret->expires_ms = sqlite3_column_int64(stmt, 2);
		ret->rejected = sqlite3_column_int(stmt, 3) != 0;
	}
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

int state_approval_used(struct state *state, const char *target, const char *plan)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_APPROVAL_USED);

	if (stmt) {
		bind_text(stmt, 1, target);
		bind_text(stmt, 2, plan);
	}
	return state_run_hit(state, stmt);
}
