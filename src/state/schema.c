/* SPDX-License-Identifier: PostgreSQL */
/* Schemas of databases as they were looked at, each kept once however many databases have it. */
#include "config.h"
#include "state/state.h"

#include <errno.h>
#include <talloc.h>
#include <zlib.h>

#include "state/statement.h"

#define PIECE_MAX (4u << 20)

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

/* Definitions are wordy: a tenth of the pages, and of what a checkpoint has to write. Four bytes of length, then zlib's. */
static unsigned char *pack(void *parent, const char *data, size_t len, size_t *ret_len)
{
	uLongf room = compressBound(len);
	unsigned char *out = talloc_array(parent, unsigned char, 4 + room);

	for (unsigned i = 0; i < 4; i++)
		out[i] = (unsigned char)(len >> (24 - 8 * i));
	if (compress2(out + 4, &room, (const unsigned char *)data, len, 1) != Z_OK)
		return NULL;
	*ret_len = 4 + room;
	return out;
}

/* NULL: not what pack() made. */
static char *unpack(void *parent, const unsigned char *data, size_t len, size_t *ret_len)
{
	uLongf room = 0;
	char *out;

	if (len < 4)
		return NULL;
	for (unsigned i = 0; i < 4; i++)
		room = room << 8 | data[i];
	if (room > PIECE_MAX)
		return NULL;
	*ret_len = room;
	out = talloc_array(parent, char, room + 1);
	if (uncompress((unsigned char *)out, &room, data + 4, len - 4) != Z_OK || room != *ret_len)
		TALLOC_FREE(out);
	return out;
}

int state_schema_put(struct state *state, const char *digest, uint32_t part, const char *data, size_t len)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_SCHEMA_PUT);
	unsigned char *packed = len <= PIECE_MAX ? pack(NULL, data, len, &len) : NULL;
	int r;

	if (!packed)
		return -EINVAL;
	if (stmt) {
		bind_text(stmt, 1, digest);
		bind_int(stmt, 2, part);
		sqlite3_bind_blob64(stmt, 3, packed, len, SQLITE_STATIC);
	}
	r = state_run(state, stmt);
	talloc_free(packed);
	return r;
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
	if (rc == SQLITE_ROW)
		*ret = unpack(parent, sqlite3_column_blob(stmt, 0), (size_t)sqlite3_column_bytes(stmt, 0), ret_len);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : rc == SQLITE_ROW && !*ret ? -EUCLEAN : state_errno(rc);
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

int state_schema_sweep(struct state *state)
{
	return state_run_hit(state, state_statement(state, SQL_SCHEMA_SWEEP));
}

/* It is not there any more for anybody; its pieces go later. */
static int drop(struct state *state, const char *digest)
{
	int r = exists(state, SQL_SCHEMA_USED, digest);
	sqlite3_stmt *stmt;

	if (r != 1)
		return r;
	stmt = state_statement(state, SQL_SCHEMA_DROP);
	if (stmt)
		bind_text(stmt, 1, digest);
	return state_run(state, stmt);
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
