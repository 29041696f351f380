/* SPDX-License-Identifier: PostgreSQL */
/*
 * From a new connection to the comparison under the lock. Nothing is believed
 * that was read before the lock was held.
 */
#include "engine/migrator_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/decode.h"
#include "model/quote.h"

#define LOCK_POLL 250
#define HOLDER_AFTER 1000       /* who waits longer says for whom */
#define LOCK_TIMEOUT 500        /* readers queue behind us that long */

static void fail(struct migrator *m, enum migrator_status status, enum failure failure, const char *hint, const char *format, ...)
	__attribute__((format(printf, 5, 6)));

static void fail(struct migrator *m, enum migrator_status status, enum failure failure, const char *hint, const char *format, ...)
{
	struct error err = { 0 };
	char *text;
	va_list args;

	va_start(args, format);
	text = talloc_vasprintf(m->step, format, args);
	va_end(args);
	error_set(&err, "%s", text);
	if (hint)
		error_hint(&err, "%s", hint);
	migrator_end(m, status, failure, &err);
}

/* ---- the right database, the primary, no pooler ---- */

void identity_begin(struct migrator *m, msec_t now)
{
	migrator_begin_own(m);
	migrator_add(m, query_get(QUERY_PLACE, session_server_version(m->session), false)->sql, 0, NULL);
	migrator_add(m, "SHOW lock_timeout", 0, NULL);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

/* A pooler answers with the number of another process, or of none that there is. */
static bool is_own_pid(const struct migrator *m, const char *pid)
{
	char own[16];

	snprintf(own, sizeof own, "%d", session_backend_pid(m->session));
	return pid && !strcmp(pid, own);
}

static uint64_t number(const char *cell)
{
	return cell ? strtoull(cell, NULL, 10) : 0;
}

static bool is_true(const char *cell)
{
	return cell && *cell == 't';
}

/* Columns: in recovery, database, cluster (unknown where it may not be asked), backend. */
static void check_identity(struct migrator *m)
{
	static const char *const hint = "check host, port and dbname in conninfo: migrations run only where the daemon has looked";
	uint32_t database = (uint32_t)number(migrator_cell(m, MIGRATOR_OWN, 1));
	uint64_t cluster = number(migrator_cell(m, MIGRATOR_OWN, 2));

	if (is_true(migrator_cell(m, MIGRATOR_OWN, 0)))
		fail(m, MIGRATOR_FAILED, FAILURE_IDENTITY, hint, "the migration connection leads to a standby");
	else if (m->params.database_oid && database != m->params.database_oid)
		fail(m, MIGRATOR_FAILED, FAILURE_IDENTITY, hint, "the migration connection leads to another database (oid %" PRIu32
		     " instead of %" PRIu32 ")", database, m->params.database_oid);
	else if (m->params.system_identifier && cluster && cluster != m->params.system_identifier)
		fail(m, MIGRATOR_FAILED, FAILURE_IDENTITY, hint, "the migration connection leads to another cluster");
	else if (!is_own_pid(m, migrator_cell(m, MIGRATOR_OWN, 3)))
		fail(m, MIGRATOR_FAILED, FAILURE_IDENTITY, "connect to PostgreSQL itself: the lock of the ledger belongs to a session",
		     "there is a connection pooler in between");
}

void identity_over(struct migrator *m, msec_t now)
{
	const char *login = session_parameter(m->session, "session_authorization"), *own = migrator_cell(m, MIGRATOR_OWN + 1, 0);

	talloc_free(m->login);
	m->login = talloc_strdup(m, login ? login : "");      /* not reported: like no other */
	if (m->params.lock_timeout <= 0 && own && duration_parse(own, &m->params.lock_timeout))
		m->params.lock_timeout = 0;
	if (m->params.lock_timeout <= 0)
		m->params.lock_timeout = LOCK_TIMEOUT;
	check_identity(m);
	migrator_go(m, m->in_doubt ? MS_ASK : MS_WATCHFUL, now);
}

/* A server that works on a long statement notices that we are gone only when it is told to look. Not every platform can. */
void watchful_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "SET client_connection_check_interval = '2s'", 0, NULL);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void watchful_over(struct migrator *m, msec_t now)
{
	m->watchful = true;
	migrator_go(m, MS_LOCK, now);
}

void watchful_error(struct migrator *m, msec_t now)
{
	m->watchful = false;
	migrator_go(m, MS_LOCK, now);
}

/* ---- Flyway's lock, held by the session; polled, because waiting for it inside the server would hold a snapshot. Held twice:
   one can be given back and taken again, which tells for next to nothing whether it is still ours (pg_locks would cost as much
   as a small file) ---- */

void lock_begin(struct migrator *m, msec_t now)
{
	const char **params = talloc_array(m->step, const char *, 1);

	if (m->lock_deadline == MSEC_NEVER)
		m->lock_deadline = now + m->params.lock_wait;
	params[0] = talloc_asprintf(m->step, "%" PRId64, ledger_lock_key(m->params.schema, m->params.table));
	migrator_add(m, "SELECT pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8) AND pg_catalog.pg_try_advisory_lock($1::pg_catalog.int8)",
		     1, params);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void lock_over(struct migrator *m, msec_t now)
{
	const char *got = migrator_cell(m, 0, 0);

	if (got && *got == 't') {
		m->lock_deadline = MSEC_NEVER;
		migrator_go(m, MS_RELATION, now);
	} else if (now >= m->lock_deadline || (!m->holder && now >= m->lock_deadline - m->params.lock_wait + HOLDER_AFTER)) {
		migrator_go(m, MS_HOLDER, now);
	} else {
		/* not all at the same moment */
		migrator_wait(m, MS_LOCK, LOCK_POLL + session_backend_pid(m->session) % 100, now);
	}
}

void holder_begin(struct migrator *m, msec_t now)
{
	uint64_t key = (uint64_t)ledger_lock_key(m->params.schema, m->params.table);
	const char **params = talloc_array(m->step, const char *, 2);

	params[0] = talloc_asprintf(m->step, "%" PRIu32, (uint32_t)(key >> 32));
	params[1] = talloc_asprintf(m->step, "%" PRIu32, (uint32_t)key);
	migrator_begin_own(m);
	migrator_add(m, "SELECT l.pid, a.usename, a.application_name FROM pg_catalog.pg_locks l"
			" LEFT JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid"
			" WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1"
			" AND l.classid = $1::pg_catalog.oid AND l.objid = $2::pg_catalog.oid"
			" AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database())"
			" LIMIT 1", 2, params);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void holder_over(struct migrator *m, msec_t now)
{
	const char *pid = migrator_cell(m, MIGRATOR_OWN, 0), *user = migrator_cell(m, MIGRATOR_OWN, 1),
		   *program = migrator_cell(m, MIGRATOR_OWN, 2);

	talloc_free(m->holder);
	m->holder = !pid ? talloc_strdup(m, "somebody") :
		    talloc_asprintf(m, "process %s (user %s, application '%s')", pid, user ? user : "?", program ? program : "");
	if (now < m->lock_deadline)
		migrator_wait(m, MS_LOCK, LOCK_POLL, now);
	else if (!pid)
		fail(m, MIGRATOR_FAILED, FAILURE_LOCK, NULL, "the lock of the ledger was held all the time; it is tried again");
	else
		fail(m, MIGRATOR_FAILED, FAILURE_LOCK, "if that is a Flyway run or another daemon, let it end; it is tried again",
		     "the lock of the ledger is held by %s", m->holder);
}

/* ---- the ledger ---- */

/* Which of them are there; planning the judgement costs some milliseconds in a new session. */
void relation_begin(struct migrator *m, msec_t now)
{
	const char **params = talloc_array(m->step, const char *, 3);

	params[0] = m->params.schema;
	params[1] = m->params.table;
	params[2] = progress_table(m->step, m->params.table);
	migrator_begin_own(m);
	migrator_add(m, query_get(QUERY_LEDGER_OIDS, session_server_version(m->session), false)->sql, 3, params);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

static const char none[] = "SELECT";

void judge_begin(struct migrator *m, msec_t now)
{
	const char *sql = query_get(QUERY_LEDGER_RELATION, session_server_version(m->session), false)->sql;
	const char **params = talloc_array(m->step, const char *, 4);

	params[0] = params[2] = m->params.schema;
	params[1] = m->params.table;
	params[3] = progress_table(m->step, m->params.table);
	migrator_begin_own(m);
	migrator_add(m, m->ledger_exists ? sql : none, m->ledger_exists ? 2 : 0, params);
	migrator_add(m, m->progress_exists ? sql : none, m->progress_exists ? 2 : 0, params + 2);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

static void fail_plain(struct migrator *m, const char *table)
{
	fail(m, MIGRATOR_BLOCKED, FAILURE_NONE, "take triggers, rules, policies, inheritance and own types off it",
	     "%s.%s is not a plain table and is not used as a ledger", m->params.schema, table);
}

static void compare(struct migrator *m, const struct ledger_row *rows, uint32_t n, const struct migration_progress *progress,
		    uint32_t n_progress, msec_t now);

void relation_over(struct migrator *m, msec_t now)
{
	const char *schema = m->params.schema, *table = m->params.table;

	m->ledger_exists = migrator_cell(m, MIGRATOR_OWN, 1) != NULL;
	m->progress_exists = migrator_cell(m, MIGRATOR_OWN, 2) != NULL;
	if (!is_true(migrator_cell(m, MIGRATOR_OWN, 0)))
		fail(m, MIGRATOR_BLOCKED, FAILURE_NONE, "declare the schema in a manifest, or create it",
		     "schema %s for the ledger does not exist", schema);
	else if (!m->ledger_exists && m->params.ledger_expected)
		fail(m, MIGRATOR_BLOCKED, FAILURE_NONE, "restore it, or find out who dropped it: a missing ledger is not an empty one",
		     "the ledger %s.%s was there and is missing", schema, table);
	else if (m->ledger_exists || m->progress_exists)
		migrator_go(m, MS_JUDGE, now);
	else
		compare(m, NULL, 0, NULL, 0, now);
}

/* Columns: schema exists, its owner, oid, relkind, owner, plain, readable. */
static bool judged_as(const struct migrator *m, unsigned column)
{
	return (!m->ledger_exists || is_true(migrator_cell(m, MIGRATOR_OWN, column))) &&
	       (!m->progress_exists || is_true(migrator_cell(m, MIGRATOR_OWN + 1, column)));
}

void judge_over(struct migrator *m, msec_t now)
{
	const char *schema = m->params.schema, *table = m->params.table;

	if (!judged_as(m, 5))
		fail_plain(m, m->ledger_exists && !is_true(migrator_cell(m, MIGRATOR_OWN, 5)) ? table : progress_table(m->step, table));
	else if (!judged_as(m, 6))
		fail(m, MIGRATOR_FAILED, FAILURE_PERMISSION, "grant the migration user USAGE on the schema and SELECT, INSERT on the table",
		     "the migration user may not read the ledger %s.%s", schema, table);
	else
		migrator_go(m, MS_READ, now);
}

/* The one that is not there answers with no rows. */
void read_begin(struct migrator *m, msec_t now)
{
	migrator_begin_own(m);
	migrator_add(m, m->ledger_exists ? ledger_sql_select(m->step, m->params.schema, m->params.table, false) : none, 0, NULL);
	migrator_add(m, m->progress_exists ? progress_sql_select(m->step, m->params.schema, m->params.table) : none, 0, NULL);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void read_over(struct migrator *m, msec_t now)
{
	struct ledger_row *rows = NULL;
	struct migration_progress *progress = NULL;
	struct error err = { 0 };
	uint32_t n = 0, n_progress = 0;
	bool bad = !m->outcomes[MIGRATOR_OWN] || !m->outcomes[MIGRATOR_OWN + 1];

	if (!bad && m->ledger_exists)
		bad = ledger_decode(m->step, &m->outcomes[MIGRATOR_OWN]->rows, &rows, &n, &err) != 0;
	if (!bad && m->progress_exists)
		bad = progress_decode(m->step, &m->outcomes[MIGRATOR_OWN + 1]->rows, &progress, &n_progress, &err) != 0;
	if (bad)
		migrator_end(m, MIGRATOR_BLOCKED, FAILURE_NONE, &err);
	else
		compare(m, rows, n, progress, n_progress, now);
}

/* Was it in the plan, with the same text? */
static bool was_planned(const struct migrator *m, const struct migration_file *file)
{
	const struct migration_list *planned = m->params.planned;

	for (uint32_t i = 0; planned && i < planned->n; i++)
		if (planned->v[i].file && migration_runs(&planned->v[i]) && planned->v[i].file->checksum == file->checksum &&
		    !strcmp(planned->v[i].file->script, file->script))
			return true;
	return !planned;
}

/* Where the plan stops, or behind that: whoever has run the file that is held, what came after it was not judged without it. */
bool migrator_is_end(const struct migrator *m, uint32_t entry)
{
	const struct migration_list *planned = m->params.planned;

	if (!planned || !planned->stop || !migration_runs(&m->list->v[entry]))
		return false;
	for (const struct migration *p = planned->stop; p < planned->v + planned->n; p++)
		if (p->file == m->list->v[entry].file)
			return true;
	return false;
}

static const struct migration_file *find_unplanned(const struct migrator *m, uint32_t *ret_n)
{
	const struct migration_file *unplanned = NULL;

	*ret_n = 0;
	for (uint32_t i = 0; i < m->list->n && !migrator_is_end(m, i); i++) {
		if (!migration_runs(&m->list->v[i]))
			continue;
		++*ret_n;
		if (!unplanned && !was_planned(m, m->list->v[i].file))
			unplanned = m->list->v[i].file;
	}
	return unplanned;
}

static uint32_t find_interrupted(const struct migrator *m)
{
	uint32_t i = 0;

	while (i < m->list->n && !m->list->v[i].find_out)
		if (migrator_is_end(m, i++))
			return m->list->n;
	return i;
}

/* rows belong to the step; the list points to them. */
static void compare(struct migrator *m, const struct ledger_row *rows, uint32_t n, const struct migration_progress *progress,
		    uint32_t n_progress, msec_t now)
{
	const struct migration_file *unplanned;
	uint32_t pending, interrupted;

	talloc_free(m->run);
	m->run = talloc_new(m);
	if (rows)
		talloc_steal(m->run, rows);
	if (progress)
		talloc_steal(m->run, progress);
	m->list = migration_compare(m->run, m->params.files, rows, n);
	if (!m->list)
		abort();
	progress_apply(m->list, progress, n_progress);
	m->rank = m->list->last_rank;
	m->next = 0;
	if (m->params.order) {
		mend_begin(m, rows, n, now);
		return;
	}
	if (m->list->blocked) {
		migrator_end(m, MIGRATOR_BLOCKED, FAILURE_NONE, &m->list->why);
		return;
	}
	unplanned = find_unplanned(m, &pending);
	m->total = m->done + pending;
	interrupted = find_interrupted(m);
	if (unplanned)
		fail(m, MIGRATOR_BLOCKED, FAILURE_NONE, "it is planned again with the next look",
		     "%s is pending, but was not when the plan was made", unplanned->script);
	else if (interrupted < m->list->n)
		lookup_interrupted(m, interrupted, now);
	else if (pending && !m->ledger_exists)
		migrator_go(m, MS_CREATE, now);
	else
		file_next(m, now);
}

void create_begin(struct migrator *m, msec_t now)
{
	migrator_create(m, ledger_sql_create(m->step, m->params.schema, m->params.table), now);
}

void create_over(struct migrator *m, msec_t now)
{
	m->ledger_exists = true;
	if (m->params.order)
		mend_created(m, now);
	else
		file_next(m, now);
}

void create_error(struct migrator *m, msec_t now)
{
	struct error err = { 0 };

	(void)now;
	memcpy(err.sqlstate, m->failed->error.sqlstate, sizeof err.sqlstate);
	error_set(&err, "the ledger %s.%s cannot be created: %s", m->params.schema, m->params.table, m->failed->error.text);
	if (m->failed->failure == FAILURE_PERMISSION)
		error_hint(&err, "the migration user needs CREATE on schema %s: own it, or be granted it in a manifest", m->params.schema);
	migrator_end(m, MIGRATOR_FAILED, m->failed->failure, &err);
}

void unlock_begin(struct migrator *m, msec_t now)
{
	const char **params = talloc_array(m->step, const char *, 1);

	params[0] = talloc_asprintf(m->step, "%" PRId64, ledger_lock_key(m->params.schema, m->params.table));
	migrator_add(m, "SELECT pg_catalog.pg_advisory_unlock($1::pg_catalog.int8), pg_catalog.pg_advisory_unlock($1::pg_catalog.int8)", 1, params);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void unlock_over(struct migrator *m, msec_t now)
{
	(void)now;
	if (is_true(migrator_cell(m, 0, 0)))
		migrator_end(m, MIGRATOR_DONE, FAILURE_NONE, NULL);
	else
		fail(m, MIGRATOR_FAILED, FAILURE_INTERNAL, "look for pg_advisory_unlock in the files",
		     "the lock of the ledger was lost while migrations ran");
}
