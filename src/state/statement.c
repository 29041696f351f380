/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"
#include "state/statement.h"

#include <errno.h>
#include <string.h>
#include <talloc.h>

#define STATE_TEXT_MAX (64 * 1024)
#define STATE_WHOLE_MAX (4 * 1024 * 1024)

#define EVENT_COLUMNS "id, at_ms, target, kind, actor, object, statement, inverse, result, sqlstate, message, plan"

static const char *const statements[SQL_COUNT] = {
	/* SELECT, not VALUES: SQLite keeps a journal of this statement then, and at the limit of the file takes back only this one.
	   Without, it rolls back the whole transaction: what a batch has written before. */
	[SQL_EVENT_ADD] = "INSERT INTO event (at_ms, target, kind, actor, object, statement, inverse, result, sqlstate, message, plan, record)"
			  " SELECT ?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12",
	[SQL_EVENT_CLOSE] = "UPDATE event SET result = ?2, sqlstate = ?3, message = ?4 WHERE id = ?1",
	[SQL_EVENTS] = "SELECT " EVENT_COLUMNS " FROM event WHERE id > ?1 AND at_ms >= ?2 AND (?3 IS NULL OR target = ?3)"
		       " ORDER BY id LIMIT ?4",
	[SQL_EVENTS_LAST] = "SELECT * FROM (SELECT " EVENT_COLUMNS " FROM event WHERE at_ms >= ?1 AND (?2 IS NULL OR target = ?2)"
			    " ORDER BY id DESC LIMIT ?3) ORDER BY id",
	[SQL_EVENTS_OPEN] = "SELECT " EVENT_COLUMNS " FROM event WHERE result = 'started' ORDER BY id",
	[SQL_EVENT_GET] = "SELECT " EVENT_COLUMNS " FROM event WHERE id = ?1",
	[SQL_RECORD] = "SELECT record FROM event WHERE id = ?1",
	[SQL_RECORDS] = "SELECT id, record FROM event WHERE target = ?1 AND id > ?2 AND kind = 'change'"
			" AND result IN ('ok', 'started', 'unknown') ORDER BY id LIMIT ?3",
	[SQL_PRUNE_OLDEST] = "DELETE FROM event WHERE id IN (SELECT id FROM event ORDER BY id LIMIT 200)",
	[SQL_PRUNE_APPROVALS] = "DELETE FROM approval WHERE expires_ms < ?1",
	[SQL_SUSPEND] = "INSERT OR REPLACE INTO suspension (target, reason, actor, since_ms, until_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_RESUME] = "DELETE FROM suspension WHERE target = ?1",
	[SQL_SUSPENSION] = "SELECT reason, actor, since_ms, until_ms FROM suspension WHERE target = ?1",
	[SQL_APPROVE] = "INSERT OR REPLACE INTO approval (target, plan, actor, at_ms, expires_ms, rejected, used)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6, 0)",
	[SQL_APPROVAL] = "SELECT actor, at_ms, expires_ms, rejected FROM approval"
			 " WHERE target = ?1 AND plan = ?2 AND used = 0 AND expires_ms > ?3",
	[SQL_APPROVAL_USED] = "UPDATE approval SET used = 1 WHERE target = ?1 AND plan = ?2 AND used = 0 AND rejected = 0",
	[SQL_GET] = "SELECT value FROM fact WHERE key = ?1",
	[SQL_PUT] = "INSERT OR REPLACE INTO fact (key, value) VALUES (?1, ?2)",
	[SQL_DELETE] = "DELETE FROM fact WHERE key = ?1",
	[SQL_LIST] = "SELECT key, value FROM fact WHERE key >= ?1 AND key < ?1 || char(1114111) ORDER BY key",
	[SQL_SCHEMA_HAS] = "SELECT 1 FROM schema_snapshot WHERE digest = ?1",
	[SQL_SCHEMA_PUT] = "INSERT OR REPLACE INTO schema_piece (digest, part, data) VALUES (?1, ?2, ?3)",
	[SQL_SCHEMA_WHOLE] = "INSERT OR REPLACE INTO schema_snapshot (digest) VALUES (?1)",
	[SQL_SCHEMA_GET] = "SELECT data FROM schema_piece WHERE digest = ?1 AND part = ?2",
	[SQL_SCHEMA_REF] = "SELECT digest, note, at_ms FROM schema_ref WHERE target = ?1 AND role = ?2",
	[SQL_SCHEMA_POINT] = "INSERT OR REPLACE INTO schema_ref (target, role, digest, note, at_ms) VALUES (?1, ?2, ?3, ?4, ?5)",
	[SQL_SCHEMA_UNPOINT] = "DELETE FROM schema_ref WHERE target = ?1 AND role = ?2",
	[SQL_SCHEMA_USED] = "SELECT 1 FROM schema_ref WHERE digest = ?1 LIMIT 1",
	[SQL_SCHEMA_DROP] = "DELETE FROM schema_snapshot WHERE digest = ?1",
	[SQL_SCHEMA_SWEEP] = "DELETE FROM schema_piece WHERE rowid IN (SELECT p.rowid FROM schema_piece p"
			     " WHERE NOT EXISTS (SELECT 1 FROM schema_ref r WHERE r.digest = p.digest) LIMIT 8)",
};

int state_errno(int rc)
{
	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_FULL:
		return -ENOSPC;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		return -EBUSY;
	case SQLITE_READONLY:
		return -EROFS;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_CANTOPEN:
		return -ENOENT;
	case SQLITE_PERM:
	case SQLITE_AUTH:
		return -EACCES;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		return -EUCLEAN;
	default:
		return -EIO;
	}
}

const char *state_reason(int error)
{
	switch (error) {
	case -ENOSPC:
		return "the disk is full";
	case -EBUSY:
		return "another process has the state file locked";
	case -EROFS:
	case -EACCES:
		return "the state file may not be written";
	case -ENOENT:
		return "the state file or its journal cannot be opened";
	case -EUCLEAN:
		return "the state file is damaged";
	default:
		return strerror(-error);
	}
}

sqlite3_stmt *state_statement(struct state *state, enum state_sql which)
{
	sqlite3_stmt **slot = &state->prepared[which];

	if (!*slot && sqlite3_prepare_v3(state->db, statements[which], -1, SQLITE_PREPARE_PERSISTENT, slot, NULL) != SQLITE_OK)
		return NULL;
	sqlite3_reset(*slot);
	sqlite3_clear_bindings(*slot);
	return *slot;
}

void bind_text(sqlite3_stmt *stmt, int position, const char *value)
{
	static const char ellipsis[] = "…";
	char *cut;
	size_t len;

	if (!value) {
		sqlite3_bind_null(stmt, position);
		return;
	}
	len = strlen(value);
	if (len <= STATE_TEXT_MAX) {
		sqlite3_bind_text(stmt, position, value, (int)len, SQLITE_TRANSIENT);
		return;
	}
	len = STATE_TEXT_MAX - sizeof(ellipsis);
	while (len > 0 && ((unsigned char)value[len] & 0xc0) == 0x80)   /* not inside a character */
		len--;
	cut = sqlite3_malloc((int)(len + sizeof(ellipsis)));
	if (!cut)
		return;
	memcpy(cut, value, len);
	memcpy(cut + len, ellipsis, sizeof(ellipsis));
	sqlite3_bind_text(stmt, position, cut, -1, sqlite3_free);
}

void bind_whole(sqlite3_stmt *stmt, int position, const char *value)
{
	size_t len = value ? strlen(value) : 0;

	if (!value || len > STATE_WHOLE_MAX)
		sqlite3_bind_null(stmt, position);
	else
		sqlite3_bind_text(stmt, position, value, (int)len, SQLITE_TRANSIENT);
}

void bind_int(sqlite3_stmt *stmt, int position, int64_t value)
{
	sqlite3_bind_int64(stmt, position, value);
}

int state_run(struct state *state, sqlite3_stmt *stmt)
{
	int r;

	if (state->batch_error < 0)
		return state->batch_error;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	r = state_errno(sqlite3_step(stmt));
	sqlite3_reset(stmt);
	/* Some failures end the transaction: what follows would be stored without what came before. */
	if (r < 0 && state->batch && sqlite3_get_autocommit(state->db))
		state->batch_error = r;
	return r;
}

int state_run_hit(struct state *state, sqlite3_stmt *stmt)
{
	int r = state_run(state, stmt);

	return r < 0 ? r : sqlite3_changes(state->db) == 0;
}

/* What is stored now matters more than the oldest history. A disk that is full refuses the DELETE as well, which ends the loop. */
int state_store(struct state *state, sqlite3_stmt *stmt)
{
	int r = state_run(state, stmt);

	for (unsigned tries = 0; r == -ENOSPC && tries < 16; tries++) {
		if (state_run_hit(state, state_statement(state, SQL_PRUNE_OLDEST)) != 0)
			break;
		r = state_run(state, stmt);
	}
	if (r < 0 && state->batch)
		state->batch_error = r;
	return r;
}

char *column_text(void *parent, sqlite3_stmt *stmt, int column)
{
	const char *s = (const char *)sqlite3_column_text(stmt, column);

	return s ? talloc_strndup(parent, s, (size_t)sqlite3_column_bytes(stmt, column)) : NULL;
}
