/* SPDX-License-Identifier: PostgreSQL */
/*
 * One file: BEGIN, its text, its row, COMMIT; two messages, because the row,
 * COMMIT and the BEGIN of the next file travel together. Certain is only what
 * the server confirmed: an error rolls the whole file back, and after a lost
 * connection the transaction's id tells what became of a COMMIT.
 */
#include "engine/migrator_internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define RECONNECTS_MAX 10
#define DOUBTS_MAX 5            /* lost at COMMIT and rolled back, in one run */
#define ASKED_MAX 60            /* half a second apart, while the transaction is in progress */

msec_t file_backoff(unsigned attempt)
{
	msec_t span = (msec_t)200 << attempt;

	return span > 5000 ? 5000 : span;
}

/* The only answer to what runs next: from this entry on; the length of the list when nothing may. */
static uint32_t next_to_run(const struct migrator *m, uint32_t entry)
{
	while (entry < m->list->n && !migration_runs(&m->list->v[entry]))
		entry++;
	return entry < m->list->n && migrator_is_end(m, entry) ? m->list->n : entry;
}

void file_next(struct migrator *m, msec_t now)
{
	m->file = NULL;
	if (m->cancelled) {
		file_end_cancelled(m);
		return;
	}
	m->next = next_to_run(m, m->next);
	if (m->next == m->list->n || m->enough) {
		migrator_go(m, MS_UNLOCK, now);
		return;
	}
	/* a transactional file begins with it, see file_begin() */
	if (m->dirty && !m->list->v[m->next].file->transactional) {
		migrator_go(m, MS_CLEAN, now);
		return;
	}
	m->file = m->list->v[m->next].file;
	m->attempts = 0;
	migrator_note(m, MIGRATOR_STARTED, NULL);
	if (m->file->transactional)
		migrator_go(m, MS_BEGIN, now);
	else
		migrator_go(m, m->progress_exists ? MS_SETUP : MS_TABLE, now);
}

/* What the file before left is cleaned up in the same message; when this one is rolled back, so is that, and the next try
   begins with it again. */
void file_begin(struct migrator *m, msec_t now)
{
	message_begin(m);
	message_add_begin(m);
	message_submit(m, 0, now);
}

static void begun(struct migrator *m, msec_t now)
{
	const char *xid = migrator_cell(m, m->xid_at, 0);

	talloc_free(m->xid);
	m->xid = talloc_strdup(m, xid ? xid : "");
	migrator_go(m, MS_SCRIPT, now);
}

void file_begun(struct migrator *m, msec_t now)
{
	begun(m, now);
}

void script_begin(struct migrator *m, msec_t now)
{
	struct copy_data *copies = talloc_array(m->step, struct copy_data, m->file->n_copies + 1);

	if (!copies)
		abort();
	for (uint32_t i = 0; i < m->file->n_copies; i++)
		copies[i] = (struct copy_data){ m->file->copies[i].data, m->file->copies[i].len };
	m->began = now;
	m->dirty = true;
	migrator_add(m, m->file->sql, 0, NULL);
	m->batch.copies = copies;
	m->batch.n_copies = m->file->n_copies;
	migrator_submit(m, BATCH_SCRIPT, m->params.file_timeout, now);
}

/* The file is over: the run ends here, what is not committed goes with the connection. */
void file_fail(struct migrator *m, enum failure failure, const struct error *err)
{
	migrator_note(m, MIGRATOR_FAILED_FILE, err);
	migrator_end(m, MIGRATOR_FAILED, failure, err);
}

/* Only a COMMIT that nobody could see beforehand gets here. */
static void fail_escaped(struct migrator *m)
{
	struct error err = { 0 };

	error_set_at(&err, m->file->path, 0, "the file ended the transaction it runs in; what it did before that is committed, and not in "
					     "the ledger");
	error_hint(&err, "find the COMMIT or ROLLBACK and take it out, and put the database right by hand before it runs again");
	file_fail(m, FAILURE_SQL, &err);
}

void script_over(struct migrator *m, msec_t now)
{
	m->execution_time_ms = now - m->began > INT32_MAX ? INT32_MAX : (int)(now - m->began);
	if (session_transaction(m->session) != 'T')
		fail_escaped(m);
	else
		migrator_go(m, message_is_safe(m) ? MS_COMMIT : MS_RECORD, now);
}

/* Columns: the transaction's id, is the lock of the ledger still ours. */
void file_add_lock_check(struct migrator *m)
{
	const char **key = talloc_array(m->step, const char *, 2);
	uint64_t lock = (uint64_t)ledger_lock_key(m->params.schema, m->params.table);

	key[0] = talloc_asprintf(m->step, "%" PRIu32, (uint32_t)(lock >> 32));
	key[1] = talloc_asprintf(m->step, "%" PRIu32, (uint32_t)lock);
	migrator_add(m, "SELECT pg_catalog.pg_current_xact_id(), EXISTS (SELECT FROM pg_catalog.pg_locks l WHERE l.locktype = 'advisory'"
			" AND l.granted AND l.pid = pg_catalog.pg_backend_pid() AND l.objsubid = 1"
			" AND l.classid = $1::pg_catalog.oid AND l.objid = $2::pg_catalog.oid)", 2, key);
}

/* Its row in the ledger. */
void file_add_record(struct migrator *m, bool success)
{
	const struct migration_file *file = m->file;
	const char **params = talloc_array(m->step, const char *, 8);

	params[0] = talloc_asprintf(m->step, "%d", m->rank + 1);
	params[1] = file->version;
	params[2] = ledger_description(m->step, file);
	params[3] = ledger_type(file);
	params[4] = ledger_script(m->step, file);
	params[5] = talloc_asprintf(m->step, "%d", file->checksum);
	params[6] = talloc_asprintf(m->step, "%d", m->execution_time_ms);
	params[7] = success ? "t" : "f";
	migrator_add(m, ledger_sql_insert(m->step, m->params.schema, m->params.table), 8, params);
}

void file_lock_was_released(struct migrator *m)
{
	struct error err = { 0 };

	error_set_at(&err, m->file->path, 0, m->file->transactional ? "the file released the lock of the ledger; it was rolled back" :
		     "the file released the lock of the ledger; it stops there");
	error_hint(&err, "take pg_advisory_unlock_all() out of it");
	file_fail(m, FAILURE_SQL, &err);
}

/* The file made the server read texts otherwise than we write them: that is taken back before the next message comes. */
void record_begin(struct migrator *m, msec_t now)
{
	file_pin(m);
	migrator_add(m, "SET LOCAL standard_conforming_strings = on", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void record_over(struct migrator *m, msec_t now)
{
	migrator_go(m, MS_COMMIT, now);
}

/* The next one whose transaction can begin in the message that ends this one; the length of the list when there is none. */
static uint32_t following(const struct migrator *m)
{
	uint32_t i = next_to_run(m, m->next + 1);

	return i < m->list->n && !m->cancelled && !m->enough && m->list->v[i].file->transactional ? i : m->list->n;
}

/* What the file deferred is done here, which may take as long as the file itself. */
void commit_begin(struct migrator *m, msec_t now)
{
	m->follows = following(m);
	message_begin(m);
	message_add_record(m);
	m->commit_at = message_add(m, "COMMIT");
	if (m->follows < m->list->n)
		message_add_begin(m);
	message_submit(m, m->params.file_timeout, now);
}

void file_applied(struct migrator *m)
{
	migrator_note(m, MIGRATOR_APPLIED, NULL);
	m->file = NULL;
	m->done++;
	m->in_doubt = false;
}

void file_end_cancelled(struct migrator *m)
{
	struct error err = { 0 };

	error_set(&err, "stopped after %" PRIu32 " of %" PRIu32 " migrations", m->done, m->total);
	migrator_end(m, MIGRATOR_CANCELLED, FAILURE_NONE, &err);
}

static void applied(struct migrator *m)
{
	file_applied(m);
	m->rank++;
	m->next++;
}

/* The next file, in whose transaction we are. */
static void follow(struct migrator *m)
{
	m->next = m->follows;
	m->file = m->list->v[m->next].file;
	m->attempts = 0;
	migrator_note(m, MIGRATOR_STARTED, NULL);
}

void commit_over(struct migrator *m, msec_t now)
{
	const char *tag = m->outcomes[m->commit_at] ? m->outcomes[m->commit_at]->command_tag : NULL;

	if (!tag || strcmp(tag, "COMMIT")) {
		struct error err = { 0 };

		error_set_at(&err, m->file->path, 0, "the server rolled the file back at COMMIT");
		file_fail(m, FAILURE_SQL, &err);
		return;
	}
	applied(m);
	if (m->follows == m->list->n || m->cancelled || m->enough || migrator_is_end(m, m->follows)) {
		file_next(m, now);            /* what has begun is empty, and goes with the connection */
		return;
	}
	follow(m);
	begun(m, now);
}

/* Which of the statements it was says what became of the file. */
void commit_error(struct migrator *m, msec_t now)
{
	const struct error *said = &m->failed->error;
	bool ours = m->failed->index != m->commit_at && m->failed->index != m->deferred_at;
	bool taken = ours && m->prepared && !strcmp(said->sqlstate, "26000");       /* the file took away what we had prepared */

	m->prepared = 0;
	m->may_prepare = true;         /* nobody cleaned up: the message was skipped from there on */
	if (m->failed->index > m->commit_at) {
		applied(m);
		follow(m);
		m->state = MS_BEGIN;
	} else if (ours) {
		m->state = MS_RECORD;
		if (strstr(said->text, MESSAGE_OTHER_TRANSACTION))
			fail_escaped(m);
		else if (strstr(said->text, MESSAGE_NO_LOCK))
			file_lock_was_released(m);
	}
	if (taken && ++m->attempts < FILE_ATTEMPTS_MAX)
		migrator_go(m, MS_ROLLBACK, now);
	else if (m->status == MIGRATOR_RUNNING)
		file_error(m, now);
}

void clean_begin(struct migrator *m, msec_t now)
{
	message_begin(m);
	m->may_prepare = true;
	message_add_clean(m);
	message_submit(m, 0, now);
}

void clean_over(struct migrator *m, msec_t now)
{
	m->dirty = false;
	file_next(m, now);
}

/* ---- errors ---- */

/* "COPY t, line 7, column a": the data line, and not the statement's. */
static void find_data_line(const struct migration_file *file, const char *said, unsigned *line)
{
	const char *copy = strstr(said, "[COPY "), *number = copy ? strstr(copy, ", line ") : NULL;
	unsigned data_line = 0;

	if (!number || sscanf(number, ", line %9u", &data_line) != 1)
		return;
	for (uint32_t i = 0; i < file->n_copies; i++)
		if (file->copies[i].line > *line) {
			*line = file->copies[i].line + data_line - 1;
			return;
		}
}

/* Which statement of the file, and which character of it (0 = not said). False: it was none of the file's. */
static bool place_of(const struct migrator *m, const struct outcome *failed, unsigned *ret_index, unsigned *ret_position)
{
	bool split = m->state == MS_ALONE || m->state == MS_STATEMENT || m->state == MS_DEFERRED || m->state == MS_CLOSE || m->state == MS_REPLAY;

	*ret_index = split ? m->at : failed->index;
	*ret_position = failed->position;
	if (m->state == MS_REPLAY)
		*ret_index = m->replay;
	if (split && failed->position)
		*ret_position += (unsigned)utf8_count(m->file->text, m->file->statements[*ret_index].start);
	return split || m->state == MS_SCRIPT;
}

/* How much of the file is in the database now; and whether it should run otherwise. */
static const char *how_much(const struct migrator *m, const char *sqlstate)
{
	if (!m->file->transactional)
		return m->at ? talloc_asprintf(m->step, "statements 1 to %" PRIu32 " of %" PRIu32 " are done", m->at, m->file->n_statements) :
			       "no statement of the file is done";
	if (m->file->type == MIGRATION_UNDO)
		return "nothing of the file was applied, and nothing was undone";
	if (!strcmp(sqlstate, "25001") || !strcmp(sqlstate, "2D000") || !strcmp(sqlstate, "55P04"))
		return "nothing of the file was applied; it works outside of a transaction only: write -- dbreconcile:transaction=false above "
		       "its first statement";
	return "nothing of the file was applied";
}

/* What the server said, with the place in the file and the line itself. */
void file_describe(struct migrator *m, const struct outcome *failed, struct error *ret)
{
	const struct error *said = &failed->error;
	unsigned index, position, line = 0, column = 0;
	char *text = NULL;
	int len = (int)strlen(said->text);

	error_clear(ret);
	if (place_of(m, failed, &index, &position) && !migration_position(m->step, m->file, position, &line, &column, &text) &&
	    migration_statement(m->step, m->file, index, &line, &text))
		find_data_line(m->file, said->text, &line);
	if (text)
		error_set_at(ret, m->file->path, line, "%.*s, at: %s", len && said->text[len - 1] == '.' ? len - 1 : len, said->text,
			     text + strspn(text, " \t"));
	else
		error_set_at(ret, m->file->path, 0, "%s%s", said->text, m->state == MS_COMMIT ? " (at COMMIT)" :
			     m->state == MS_RECORD ? " (writing its row to the ledger)" : "");
	ret->column = column;
	memcpy(ret->sqlstate, said->sqlstate, sizeof ret->sqlstate);
	error_hint(ret, "%s%s%s", said->hint, *said->hint ? " " : "", how_much(m, said->sqlstate));
}

bool file_wants_lock(const struct migrator *m)
{
	const char *sqlstate = m->failed->error.sqlstate;

	return !strcmp(sqlstate, "55P03") || !strcmp(sqlstate, "40P01");
}

void file_error(struct migrator *m, msec_t now)
{
	bool lock = file_wants_lock(m);
	struct error err;

	file_describe(m, m->failed, &err);
	if (lock && m->state != MS_COMMIT && ++m->attempts < FILE_ATTEMPTS_MAX) {
		migrator_go(m, MS_ROLLBACK, now);
		return;
	}
	if (lock)
		blocker_find(m, m->failed->failure, &err, now);
	else
		file_fail(m, m->failed->failure, &err);
}

void rollback_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "ROLLBACK", 0, NULL);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void rollback_over(struct migrator *m, msec_t now)
{
	migrator_wait(m, MS_BEGIN, file_backoff(m->attempts), now);
}

/* COMMIT was not sent, so the server rolls back, whatever became of it. */
void file_lost(struct migrator *m, msec_t now)
{
	struct error err = { 0 };

	(void)now;
	error_set_at(&err, m->file->path, 0, "%s; the file was rolled back", session_error(m->session)->text);
	memcpy(err.sqlstate, session_error(m->session)->sqlstate, sizeof err.sqlstate);
	if (session_failure(m->session) == FAILURE_TIMEOUT && err.sqlstate[0])
		error_hint(&err, "it is a setting of the migration user or of the database: take it off, or set it in the file");
	else
		error_hint(&err, "%s", session_error(m->session)->hint);
	file_fail(m, session_failure(m->session), &err);
}

/* ---- a COMMIT without an answer ---- */

void commit_lost(struct migrator *m, msec_t now)
{
	m->in_doubt = true;
	m->reconnects = m->asked = 0;
	m->error = *session_error(m->session);
	migrator_wait(m, MS_CONNECT, 100, now);
}

static void fail_unknown(struct migrator *m, const char *why)
{
	struct error err = { 0 };

	error_set_at(&err, m->file->path, 0, "it is not known whether the file was committed: %s", why);
	error_hint(&err, "the next run compares with the ledger, which was written in the same transaction");
	migrator_note(m, MIGRATOR_UNKNOWN, &err);
	migrator_end(m, MIGRATOR_FAILED, FAILURE_CONNECT, &err);
}

/* While connecting, and until the question is answered. */
void doubt_lost(struct migrator *m, msec_t now)
{
	struct error err = *session_error(m->session);

	if (session_failure(m->session) == FAILURE_PERMISSION)
		error_hint(&err, "the migration user needs CONNECT on the database");
	if (!m->in_doubt)
		migrator_end(m, MIGRATOR_FAILED, session_failure(m->session), &err);
	else if (m->reconnects++ == RECONNECTS_MAX)
		fail_unknown(m, session_error(m->session)->text);
	else
		migrator_wait(m, MS_CONNECT, file_backoff(m->reconnects), now);
}

void ask_begin(struct migrator *m, msec_t now)
{
	const char **params = talloc_array(m->step, const char *, 1);

	params[0] = m->xid;
	migrator_add(m, "SELECT pg_catalog.pg_xact_status($1::pg_catalog.xid8)", 1, params);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void ask_over(struct migrator *m, msec_t now)
{
	const char *answer = migrator_cell(m, 0, 0);
	struct error err = { 0 };

	if (answer && !strcmp(answer, "in progress") && m->asked++ < ASKED_MAX) {
		migrator_wait(m, MS_ASK, 500, now);
		return;
	}
	if (!answer || !strcmp(answer, "in progress")) {
		fail_unknown(m, answer ? "its transaction is still in progress" : "the server no longer knows its transaction");
		return;
	}
	if (!strcmp(answer, "committed")) {
		file_applied(m);
	} else {
		error_set_at(&err, m->file->path, 0, "the connection was lost at COMMIT, and the server rolled the file back");
		migrator_note(m, MIGRATOR_FAILED_FILE, &err);
		m->file = NULL;
		m->in_doubt = false;
		if (++m->doubts == DOUBTS_MAX)
			migrator_end(m, MIGRATOR_FAILED, FAILURE_CONNECT, &err);
	}
	error_clear(&m->error);
	if (m->cancelled && m->status == MIGRATOR_RUNNING)
		file_end_cancelled(m);
	else
		migrator_go(m, MS_WATCHFUL, now);       /* a new session: the lock again, and a new comparison */
}
