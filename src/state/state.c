/* SPDX-License-Identifier: PostgreSQL */
/* Opening the file safely, its schema, and the small facts. */
#include "config.h"
#include "state/state.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "state/statement.h"

#define STATE_PAGES_DEFAULT 65536u
/* Somebody else's reader or backup may hold the file for a moment; the loop waits no longer than this. */
#define STATE_BUSY_MS 20
/* At the start nobody waits for the loop, and to go on without would forget what is suspended. */
#define STATE_BUSY_START_MS 5000

/* Step n brings user_version from n to n + 1. Steps are only ever added. */
static const char *const schema_steps[] = {
	"CREATE TABLE event (id INTEGER PRIMARY KEY AUTOINCREMENT, at_ms INTEGER NOT NULL, target TEXT NOT NULL, kind TEXT NOT NULL,"
	" actor TEXT, object TEXT, statement TEXT, inverse TEXT, result TEXT, sqlstate TEXT, message TEXT, plan TEXT);"
	"CREATE INDEX event_at ON event (at_ms);"
	"CREATE INDEX event_target ON event (target, id);"
	"CREATE INDEX event_open ON event (id) WHERE result = 'started';"
	"CREATE TABLE suspension (target TEXT PRIMARY KEY, reason TEXT, actor TEXT, since_ms INTEGER NOT NULL,"
	" until_ms INTEGER NOT NULL) WITHOUT ROWID;"
	"CREATE TABLE approval (target TEXT NOT NULL, plan TEXT NOT NULL, actor TEXT, at_ms INTEGER NOT NULL,"
	" expires_ms INTEGER NOT NULL, rejected INTEGER NOT NULL, used INTEGER NOT NULL, PRIMARY KEY (target, plan))"
	" WITHOUT ROWID;"
	"CREATE TABLE fact (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;",
	"CREATE TABLE schema_snapshot (digest TEXT PRIMARY KEY) WITHOUT ROWID;"
	"CREATE TABLE schema_piece (digest TEXT NOT NULL, part INTEGER NOT NULL, data BLOB NOT NULL, PRIMARY KEY (digest, part));"
	"CREATE TABLE schema_ref (target TEXT NOT NULL, role TEXT NOT NULL, digest TEXT NOT NULL, note TEXT, at_ms INTEGER NOT NULL,"
	" PRIMARY KEY (target, role)) WITHOUT ROWID;"
	"CREATE INDEX schema_ref_digest ON schema_ref (digest);",
	"ALTER TABLE event ADD COLUMN record TEXT;",
};
#define SCHEMA_VERSION ((int)(sizeof(schema_steps) / sizeof(schema_steps[0])))

static int state_free(struct state *state)
{
	for (size_t i = 0; i < SQL_COUNT; i++)
		sqlite3_finalize(state->prepared[i]);
	sqlite3_close(state->db);
	return 0;
}

static int wrong_mode(const char *path, const struct stat *st, struct error *err)
{
	if (!S_ISREG(st->st_mode)) {
		error_set(err, "state file '%s' is not a regular file", path);
		return -EINVAL;
	}
	if (st->st_uid != geteuid() && st->st_uid != 0) {
		error_set(err, "state file '%s' belongs to uid %u, not to the daemon's user", path, (unsigned)st->st_uid);
		return -EPERM;
	}
	if (st->st_mode & (S_IWGRP | S_IWOTH)) {
		error_set(err, "state file '%s' can be written by group or others (mode %04o)", path, st->st_mode & 07777u);
		error_hint(err, "chmod 0600 '%s', after a look at who may have changed it", path);
		return -EPERM;
	}
	return 0;
}

/* SQLite would create the file by umask and follow a link: make it ourselves first. */
static int prepare_file(const char *path, struct error *err)
{
	struct stat st;
	int fd, r;

	fd = open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC | O_NONBLOCK | O_NOCTTY, 0600);
	if (fd < 0) {
		r = -errno;
		error_set(err, "cannot open state file '%s': %s", path, strerror(errno));
		error_hint(err, "its directory must exist and belong to the daemon's user");
		return r;
	}
	r = fstat(fd, &st) < 0 ? -errno : wrong_mode(path, &st, err);
	if (r == 0 && (st.st_mode & 077) && fchmod(fd, 0600) < 0) {
		r = -errno;
		error_set(err, "cannot make state file '%s' private: %s", path, strerror(errno));
	}
	close(fd);
	return r;
}

static int pragma_int(sqlite3 *db, const char *sql, int *ret)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		*ret = sqlite3_column_int(stmt, 0);
	sqlite3_finalize(stmt);
	return rc == SQLITE_ROW ? 0 : rc == SQLITE_DONE ? -EIO : state_errno(rc);
}

/* quick_check reads every page once: a damaged file is found now, not in the middle of a pass. */
static int check_integrity(struct state *state, const char *path, struct error *err)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(state->db, "PRAGMA quick_check(1)", -1, &stmt, NULL);
	bool sound = false;

	if (rc == SQLITE_OK && (rc = sqlite3_step(stmt)) == SQLITE_ROW)
		sound = strcmp((const char *)sqlite3_column_text(stmt, 0), "ok") == 0;
	if (!sound) {
		error_set(err, "state file '%s' is damaged: %s", path,
			  rc == SQLITE_ROW ? (const char *)sqlite3_column_text(stmt, 0) : sqlite3_errmsg(state->db));
		error_hint(err, "move it away: history, suspensions and approvals in it are lost, databases are not touched by that");
	}
	sqlite3_finalize(stmt);
	return sound ? 0 : 1;
}

static int run_step(struct state *state, int from)
{
	char commit[64];
	int rc = sqlite3_exec(state->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);

	if (rc == SQLITE_OK)
		rc = sqlite3_exec(state->db, schema_steps[from], NULL, NULL, NULL);
	sqlite3_snprintf(sizeof(commit), commit, "PRAGMA user_version = %d; COMMIT", from + 1);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(state->db, commit, NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
	return state_errno(rc);
}

static int bring_up_to_date(struct state *state, const char *path, struct error *err)
{
	int version = 0;
	int r = pragma_int(state->db, "PRAGMA user_version", &version);

	if (r == 0 && (version < 0 || version > SCHEMA_VERSION)) {
		error_set(err, "state file '%s' has format %d; this version knows up to %d", path, version, SCHEMA_VERSION);
		error_hint(err, "run the newer dbreconciled again, or move the file away");
		return 1;
	}
	for (; r == 0 && version < SCHEMA_VERSION; version++)
		r = run_step(state, version);
	if (r < 0)
		error_set(err, "cannot prepare state file '%s': %s", path, sqlite3_errmsg(state->db));
	return r;
}

static int set_up(struct state *state, const char *path, struct error *err)
{
	/* Nothing is asked for often enough to be worth two megabytes, SQLite's own size for its cache. */
	static const char pragmas[] = "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA journal_size_limit = 4194304;"
				      "PRAGMA trusted_schema = OFF; PRAGMA cell_size_check = ON; PRAGMA cache_size = -256";
	int r = check_integrity(state, path, err);

	if (r != 0)
		return r;
	r = state_errno(sqlite3_exec(state->db, pragmas, NULL, NULL, NULL));
	if (r == 0)
		r = state_limit(state, STATE_PAGES_DEFAULT);
	if (r < 0) {
		error_set(err, "cannot use state file '%s': %s", path, sqlite3_errmsg(state->db));
		return r;
	}
	return bring_up_to_date(state, path, err);
}

int state_open(void *parent, const char *path, struct state **ret, struct error *err)
{
	struct state *state;
	int r;

	*ret = NULL;
	if (strcmp(path, ":memory:") != 0) {
		r = prepare_file(path, err);
		if (r < 0)
			return r;
	}
	state = talloc_zero(parent, struct state);
	if (!state)
		return -ENOMEM;
	r = state_errno(sqlite3_open_v2(path, &state->db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX, NULL));
	talloc_set_destructor(state, state_free);
	if (r < 0) {
		error_set(err, "cannot open state file '%s': %s", path, state->db ? sqlite3_errmsg(state->db) : strerror(-r));
	} else {
		sqlite3_extended_result_codes(state->db, 1);
		sqlite3_busy_timeout(state->db, STATE_BUSY_START_MS);
		r = set_up(state, path, err);
		sqlite3_busy_timeout(state->db, STATE_BUSY_MS);
	}
	if (r != 0) {
		talloc_free(state);
		return r;
	}
	if (strcmp(path, ":memory:") != 0) {
		state->files[0].path = talloc_strdup(state, path);
		state->files[1].path = talloc_asprintf(state, "%s-wal", path);
		state_moved(state);
	}
	*ret = state;
	return 0;
}

int state_limit(struct state *state, uint32_t pages)
{
	char sql[64];
	int got;

	sqlite3_snprintf(sizeof(sql), sql, "PRAGMA max_page_count = %u", pages);
	return pragma_int(state->db, sql, &got);
}

void state_batch_begin(struct state *state)
{
	state->batch = true;
	state->batch_events = 0;
	state->batch_error = state_errno(sqlite3_exec(state->db, "BEGIN IMMEDIATE", NULL, NULL, NULL));
}

int state_batch_end(struct state *state)
{
	int r = state->batch_error;

	if (r == 0)
		r = state_errno(sqlite3_exec(state->db, "COMMIT", NULL, NULL, NULL));
	if (!sqlite3_get_autocommit(state->db))
		sqlite3_exec(state->db, "ROLLBACK", NULL, NULL, NULL);
	if (r < 0)
		state_lose(state, state->batch_events, r);
	state->batch = false;
	state->batch_error = 0;
	return r;
}

void state_lose(struct state *state, uint32_t n, int error)
{
	state->lost += n;
	state->lost_error = error;
}

uint64_t state_lost(const struct state *state, int *ret_error)
{
	*ret_error = state->lost_error;
	return state->lost;
}

/* The journal may come later than the database. */
static bool is_there(struct state_file *f)
{
	struct stat st;

	if (stat(f->path, &st) < 0)
		return errno != ENOENT || f->inode == 0;
	if (f->inode == 0) {
		f->device = st.st_dev;
		f->inode = st.st_ino;
	}
	return st.st_dev == f->device && st.st_ino == f->inode;
}

const char *state_moved(struct state *state)
{
	for (size_t i = 0; i < sizeof(state->files) / sizeof(state->files[0]); i++)
		if (state->files[i].path != NULL && !is_there(&state->files[i]))
			return state->files[i].path;
	return NULL;
}

int state_get(struct state *state, void *parent, const char *key, char **ret)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_GET);
	int rc;

	*ret = NULL;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, key);
	rc = sqlite3_step(stmt);
	if (rc == SQLITE_ROW)
		*ret = column_text(parent, stmt, 0);
	sqlite3_reset(stmt);
	return rc == SQLITE_DONE ? 1 : state_errno(rc);
}

int state_put(struct state *state, const char *key, const char *value)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_PUT);

	if (stmt) {
		bind_text(stmt, 1, key);
		bind_whole(stmt, 2, value);
	}
	return state_store(state, stmt);
}

int state_list(struct state *state, void *parent, const char *prefix, struct state_fact **ret, uint32_t *ret_n)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_LIST);
	struct state_fact *v = NULL;
	uint32_t n = 0;
	int rc;

	*ret = NULL;
	*ret_n = 0;
	if (!stmt)
		return state_errno(sqlite3_errcode(state->db));
	bind_text(stmt, 1, prefix);
	while ((rc = sqlite3_step(stmt)) == SQLITE_ROW) {
		v = talloc_realloc(parent, v, struct state_fact, n + 1);
		v[n++] = (struct state_fact){ column_text(v, stmt, 0), column_text(v, stmt, 1) };
	}
	sqlite3_reset(stmt);
	*ret = v;
	*ret_n = n;
	return state_errno(rc);
}

int state_delete(struct state *state, const char *key)
{
	sqlite3_stmt *stmt = state_statement(state, SQL_DELETE);

	if (stmt)
		bind_text(stmt, 1, key);
	return state_run(state, stmt);
}
