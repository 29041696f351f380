/* SPDX-License-Identifier: PostgreSQL */
/*
 * A file that cannot run in one transaction: statement by statement, each in
 * one message of the extended protocol, so that a text that was cut wrongly is
 * an error. What can run in a transaction runs in one of its own, together with
 * the note that it is done; around what cannot, an intent and its end are
 * committed, and nothing of ours is open while it runs: CREATE INDEX
 * CONCURRENTLY would wait for our snapshot.
 *
 * A run that ends anywhere is taken up by the next one: progress.h says where,
 * migrator_lookup.c what became of the statement under way.
 */
#include "engine/migrator_internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define SHOWN_MAX 200

static const struct script_statement *current(const struct migrator *m)
{
	return &m->file->statements[m->at];
}

bool split_is_alone(const struct migrator *m)
{
	return m->at < m->file->n_statements && current(m)->kind >= SCRIPT_ONCE;
}

/* ---- the table beside the ledger ---- */

void split_table_begin(struct migrator *m, msec_t now)
{
	migrator_create(m, progress_sql_create(m->step, m->params.schema, m->params.table), now);
}

void split_table_over(struct migrator *m, msec_t now)
{
	m->progress_exists = true;
	migrator_go(m, MS_SETUP, now);
}

/* The key of the file's row: the one that is there, though the file may have got another description since, or 2.0 for 2. */
static void put_key(struct migrator *m, const char **params)
{
	const struct migration_progress *p = m->list->v[m->next].progress;

	params[0] = p ? p->version : progress_version(m->file);
	params[1] = p ? p->description : ledger_description(m->step, m->file);
}

/* The row of the file: m->at statements are done. */
void split_add_put(struct migrator *m, enum progress_state state, const char *message)
{
	const struct migration_file *file = m->file;
	const char **params = talloc_array(m->step, const char *, PROGRESS_PARAMS);
	unsigned line;
	char *text = NULL;

	migration_statement(m->step, file, m->at, &line, &text);
	put_key(m, params);
	params[2] = ledger_script(m->step, file);
	params[3] = talloc_asprintf(m->step, "%d", file->checksum);
	params[4] = talloc_asprintf(m->step, "%" PRIu32, file->n_statements);
	params[5] = talloc_asprintf(m->step, "%" PRIu32, m->at);
	params[6] = talloc_asprintf(m->step, "%d", progress_prefix(file, m->at));
	params[7] = progress_state_name(state);
	params[8] = text ? text : "";
	params[9] = message ? message : "";
	migrator_add(m, progress_sql_put(m->step, m->params.schema, m->params.table), PROGRESS_PARAMS, params);
}

/* ---- the session: what every statement of the file finds ---- */

static void add_setting(struct migrator *m, const char *name, msec_t ms)
{
	migrator_add(m, talloc_asprintf(m->step, "SET %s = %" PRId64, name, ms), 0, NULL);
}

void split_setup_begin(struct migrator *m, msec_t now)
{
	const struct migration *entry = &m->list->v[m->next];

	m->began = now;
	m->dirty = true;               /* what is set here outlives a lookup, after which another file may come first */
	m->at = entry->from;
	m->replay = 0;
	add_setting(m, "lock_timeout", m->params.lock_timeout);
	migrator_add(m, "SET default_transaction_read_only = off", 0, NULL);      /* as in the transaction of any other file */
	if (m->watchful)
		add_setting(m, "client_connection_check_interval", 2000);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

static void after_setup(struct migrator *m, msec_t now)
{
	if (m->list->v[m->next].find_out)
		migrator_go(m, MS_LOOK, now);
	else
		split_next(m, now);
}

/* What earlier statements set for their session is set again in this one. */
static void replay_next(struct migrator *m, msec_t now)
{
	while (m->replay < m->at && m->file->statements[m->replay].kind != SCRIPT_SESSION)
		m->replay++;
	if (m->replay < m->at)
		migrator_go(m, MS_REPLAY, now);
	else
		after_setup(m, now);
}

void split_setup_over(struct migrator *m, msec_t now)
{
	replay_next(m, now);
}

static char *text_of(struct migrator *m, uint32_t statement)
{
	const struct script_statement *s = &m->file->statements[statement];

	return talloc_strndup(m->step, m->file->text + s->start, s->len);
}

void split_replay_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, text_of(m, m->replay), 0, NULL);
	migrator_submit(m, BATCH_ALONE, m->params.file_timeout, now);
}

void split_replay_over(struct migrator *m, msec_t now)
{
	m->replay++;
	replay_next(m, now);
}

/* What was set before cannot be set any more: that is no failure of the statement that is next. */
void split_replay_error(struct migrator *m, msec_t now)
{
	struct error err;

	(void)now;
	file_describe(m, m->failed, &err);
	file_fail(m, m->failed->failure, &err);
}

void split_next(struct migrator *m, msec_t now)
{
	if (m->at == m->file->n_statements) {
		m->execution_time_ms = now - m->began > INT32_MAX ? INT32_MAX : (int)(now - m->began);
		migrator_go(m, MS_FINISH, now);
	} else if (m->cancelled) {
		struct error err = { 0 };

		error_set_at(&err, m->file->path, 0, "stopped after statement %" PRIu32 " of %" PRIu32, m->at, m->file->n_statements);
		error_hint(&err, "it goes on with the next one after the next start");
		migrator_note(m, MIGRATOR_FAILED_FILE, &err);
		migrator_end(m, MIGRATOR_CANCELLED, FAILURE_NONE, &err);
	} else if (!split_is_alone(m)) {
		migrator_go(m, MS_OPEN, now);
	} else {
		m->lookup = LOOKUP_BEFORE;
		m->building_since = 0;
		migrator_go(m, current(m)->kind == SCRIPT_CREATE_INDEX ? MS_LOOK : MS_INTENT, now);
	}
}

/* ---- a statement outside of a transaction ---- */

void split_intent_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	migrator_add(m, "SELECT pg_catalog.current_setting('lock_timeout'), pg_catalog.current_setting('statement_timeout')", 0, NULL);
	file_pin(m);
	split_add_put(m, PROGRESS_RUNNING, NULL);
	migrator_add(m, "COMMIT", 0, NULL);
	/* The wait for old snapshots counts as waiting for a lock: a time limit would leave an invalid index. */
	if (current(m)->patient) {
		add_setting(m, "lock_timeout", 0);
		add_setting(m, "statement_timeout", m->params.file_timeout > INT32_MAX ? INT32_MAX : m->params.file_timeout);
	}
	/* If we go, the server shall finish it: half of it is worse. */
	if (m->watchful)
		add_setting(m, "client_connection_check_interval", 0);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void split_intent_over(struct migrator *m, msec_t now)
{
	const char *lock = migrator_cell(m, 1, 0), *statement = migrator_cell(m, 1, 1);

	talloc_free(m->saved_lock_timeout);
	talloc_free(m->saved_statement_timeout);
	m->saved_lock_timeout = talloc_strdup(m, lock ? lock : "0");
	m->saved_statement_timeout = talloc_strdup(m, statement ? statement : "0");
	migrator_go(m, m->cancelled ? MS_DONE : MS_ALONE, now);
}

void split_run_begin(struct migrator *m, msec_t now)
{
	const struct script_statement *s = current(m);
	uint32_t copies = (m->at + 1 < m->file->n_statements ? s[1].copies : m->file->n_copies) - s->copies;
	struct copy_data *copy = talloc(m->step, struct copy_data);

	migrator_add(m, text_of(m, m->at), 0, NULL);
	if (copies) {
		*copy = (struct copy_data){ m->file->copies[s->copies].data, m->file->copies[s->copies].len };
		m->batch.copies = copy;
		m->batch.n_copies = 1;
	}
	migrator_submit(m, BATCH_ALONE, m->params.file_timeout, now);
}

void split_alone_over(struct migrator *m, msec_t now)
{
	if (current(m)->kind == SCRIPT_CREATE_INDEX) {
		m->lookup = LOOKUP_AFTER;
		m->building_since = 0;
		migrator_go(m, MS_LOOK, now);
		return;
	}
	m->at++;
	migrator_go(m, MS_DONE, now);
}

static void add_restore(struct migrator *m, const char *name, const char *value)
{
	const char **params = talloc_array(m->step, const char *, 2);

	params[0] = name;
	params[1] = value;
	migrator_add(m, "SELECT pg_catalog.set_config($1, $2, false)", 2, params);
}

/* Also for one that was not begun after all. */
void split_done_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	file_pin(m);
	split_add_put(m, PROGRESS_BETWEEN, NULL);
	file_add_lock_check(m);
	migrator_add(m, "COMMIT", 0, NULL);
	add_restore(m, "lock_timeout", m->saved_lock_timeout);
	add_restore(m, "statement_timeout", m->saved_statement_timeout);
	if (m->watchful)
		add_setting(m, "client_connection_check_interval", 2000);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void split_done_over(struct migrator *m, msec_t now)
{
	const char *locked = migrator_cell(m, 6, 1);

	m->attempts = 0;
	if (!locked || *locked != 't')
		file_lock_was_released(m);
	else
		split_next(m, now);
}

/* ---- a statement in a transaction of its own ---- */

void split_open_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	migrator_submit(m, BATCH_ALONE, 0, now);
}

void split_open_over(struct migrator *m, msec_t now)
{
	migrator_go(m, MS_STATEMENT, now);
}

void split_statement_over(struct migrator *m, msec_t now)
{
	migrator_go(m, message_defines(m->outcomes[0] ? m->outcomes[0]->command_tag : NULL) ? MS_NOTE : MS_DEFERRED, now);
}

/* What it deferred, as whom the file put on: see message_add_record(). */
void split_deferred_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "SET CONSTRAINTS ALL IMMEDIATE", 0, NULL);
	migrator_submit(m, BATCH_ALONE, m->params.file_timeout, now);
}

void split_deferred_over(struct migrator *m, msec_t now)
{
	migrator_go(m, MS_NOTE, now);
}

/* A client_encoding that the statement set for the session is taken back for good: the file stays UTF-8. */
void split_note_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "SET client_encoding = 'UTF8'", 0, NULL);
	file_pin(m);
	file_add_lock_check(m);
	m->at++;
	split_add_put(m, PROGRESS_BETWEEN, NULL);
	m->at--;
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void split_note_over(struct migrator *m, msec_t now)
{
	const char *locked = migrator_cell(m, 5, 1);

	if (session_transaction(m->session) != 'T' || !locked || *locked != 't')
		file_lock_was_released(m);
	else
		migrator_go(m, MS_CLOSE, now);
}

void split_close_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_ALONE, m->params.file_timeout, now);
}

void split_close_over(struct migrator *m, msec_t now)
{
	const char *tag = m->outcomes[0] ? m->outcomes[0]->command_tag : NULL;

	m->attempts = 0;
	if (!tag || strcmp(tag, "COMMIT")) {
		struct error err = { 0 };

		error_set_at(&err, m->file->path, 0, "the server rolled statement %" PRIu32 " back at COMMIT", m->at + 1);
		file_fail(m, FAILURE_SQL, &err);
		return;
	}
	m->at++;
	split_next(m, now);
}

/* ---- errors ---- */

/* May it be tried again? What the server takes back as a whole did not happen. */
static bool is_taken_back(const struct migrator *m)
{
	return !split_is_alone(m) || current(m)->kind == SCRIPT_AGAIN || current(m)->kind > SCRIPT_DROP_INDEX;
}

void split_statement_error(struct migrator *m, msec_t now)
{
	bool lock = file_wants_lock(m) && is_taken_back(m) && m->state != MS_CLOSE;

	file_describe(m, m->failed, &m->reason);
	m->reason_failure = m->failed->failure;
	if (lock && ++m->attempts < FILE_ATTEMPTS_MAX) {
		migrator_go(m, MS_AGAIN, now);
	} else if (lock) {
		blocker_find(m, m->reason_failure, &m->reason, now);
	} else {
		migrator_go(m, MS_FAIL, now);
	}
}

void split_again_over(struct migrator *m, msec_t now)
{
	migrator_wait(m, split_is_alone(m) ? MS_ALONE : MS_OPEN, file_backoff(m->attempts), now);
}

/* The server said that it failed: Flyway's row with success = false stops everybody until somebody has repaired it. */
void split_fail_begin(struct migrator *m, msec_t now)
{
	m->execution_time_ms = now - m->began > INT32_MAX ? INT32_MAX : (int)(now - m->began);
	migrator_add(m, "ROLLBACK", 0, NULL);
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	file_pin(m);
	split_add_put(m, PROGRESS_FAILED, m->reason.text);
	file_add_record(m, false);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void split_fail_over(struct migrator *m, msec_t now)
{
	(void)now;
	m->rank++;
	file_fail(m, m->reason_failure, &m->reason);
}

/* It could not be recorded: the next run finds the intent, or begins with this statement again. */
void split_fail_error(struct migrator *m, msec_t now)
{
	(void)now;
	file_fail(m, m->reason_failure, &m->reason);
}

/* Of a statement of ours. */
void split_own_error(struct migrator *m, msec_t now)
{
	struct error err = { 0 };

	(void)now;
	error_set_at(&err, m->file->path, 0, "%s (noting how far the file came, in %s.%s)", m->failed->error.text, m->params.schema,
		     progress_table(m->step, m->params.table));
	memcpy(err.sqlstate, m->failed->error.sqlstate, sizeof err.sqlstate);
	if (m->failed->failure == FAILURE_PERMISSION)
		error_hint(&err, "the migration user needs CREATE on schema %s, and to own what it made there", m->params.schema);
	file_fail(m, m->failed->failure, &err);
}

/* What was under way is in a transaction: the server rolls it back, or its end is noted with it. */
void split_lost(struct migrator *m, msec_t now)
{
	struct error err = { 0 };

	(void)now;
	error_set_at(&err, m->file->path, 0, "%s, at statement %" PRIu32 " of %" PRIu32, session_error(m->session)->text, m->at + 1,
		     m->file->n_statements);
	memcpy(err.sqlstate, session_error(m->session)->sqlstate, sizeof err.sqlstate);
	error_hint(&err, "the next run goes on where it stopped");
	file_fail(m, session_failure(m->session), &err);
}

void split_alone_lost(struct migrator *m, msec_t now)
{
	struct error err = { 0 };
	unsigned line = 0;
	char *text = NULL;

	(void)now;
	migration_statement(m->step, m->file, m->at, &line, &text);
	error_set_at(&err, m->file->path, line, "%s; it is not known what became of statement %" PRIu32 " of %" PRIu32 ": %s",
		     session_error(m->session)->text, m->at + 1, m->file->n_statements, text);
	memcpy(err.sqlstate, session_error(m->session)->sqlstate, sizeof err.sqlstate);
	error_hint(&err, "it is looked up before migrations run again");
	migrator_note(m, MIGRATOR_UNKNOWN, &err);
	migrator_end(m, MIGRATOR_FAILED, session_failure(m->session), &err);
}

/* ---- the end of the file ---- */

static void add_forget(struct migrator *m)
{
	const char **params = talloc_array(m->step, const char *, 2);

	put_key(m, params);
	migrator_add(m, progress_sql_delete(m->step, m->params.schema, m->params.table), 2, params);
}

void split_finish_begin(struct migrator *m, msec_t now)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	file_pin(m);
	file_add_record(m, true);
	add_forget(m);
	migrator_add(m, "COMMIT", 0, NULL);
	migrator_submit(m, BATCH_PIPELINE, 0, now);
}

void split_finish_over(struct migrator *m, msec_t now)
{
	file_applied(m);
	m->rank++;
	m->next++;
	if (m->cancelled)
		file_end_cancelled(m);
	else
		migrator_go(m, MS_CLEAN, now);
}
