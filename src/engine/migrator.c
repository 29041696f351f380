/* SPDX-License-Identifier: PostgreSQL */
/*
 * The machine: a table of states, each with what it sends and what its answer
 * means. One batch at a time; between batches there is nothing to remember but
 * the struct.
 */
#include "engine/migrator_internal.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define OWN_BUDGET 30000       /* our own statements; a file has its own deadline */
#define HOUR (60 * 60 * 1000)

static void connect_begin(struct migrator *m, msec_t now)
{
	session_close(m->session);
	m->dirty = m->may_prepare = false;
	m->prepared = 0;
	session_connect(m->session, now);
}

static void connect_over(struct migrator *m, msec_t now)
{
	migrator_go(m, MS_IDENTITY, now);
}

static const struct migrator_step steps[MIGRATOR_STATES] = {
	[MS_CONNECT] = { "connect", connect_begin, connect_over, NULL, doubt_lost },
	[MS_IDENTITY] = { "identity", identity_begin, identity_over, NULL, doubt_lost },
	[MS_WATCHFUL] = { "identity", watchful_begin, watchful_over, watchful_error, doubt_lost },
	[MS_ASK] = { "ask", ask_begin, ask_over, NULL, doubt_lost },
	[MS_LOCK] = { "lock", lock_begin, lock_over, NULL, NULL },
	[MS_HOLDER] = { "lock", holder_begin, holder_over, NULL, NULL },
	[MS_RELATION] = { "ledger", relation_begin, relation_over, NULL, NULL },
	[MS_JUDGE] = { "ledger", judge_begin, judge_over, NULL, NULL },
	[MS_READ] = { "ledger", read_begin, read_over, NULL, NULL },
	[MS_CREATE] = { "ledger", create_begin, create_over, create_error, NULL },
	[MS_BEGIN] = { "begin", file_begin, file_begun, file_error, file_lost },
	[MS_SCRIPT] = { "script", script_begin, script_over, file_error, file_lost },
	[MS_RECORD] = { "record", record_begin, record_over, file_error, file_lost },
	[MS_COMMIT] = { "commit", commit_begin, commit_over, commit_error, commit_lost },
	[MS_CLEAN] = { "clean", clean_begin, clean_over, NULL, NULL },
	[MS_BLOCKER] = { "rollback", blocker_begin, blocker_over, blocker_error, blocker_error },
	[MS_ROLLBACK] = { "rollback", rollback_begin, rollback_over, NULL, NULL },
	[MS_TABLE] = { "ledger", split_table_begin, split_table_over, split_own_error, split_lost },
	[MS_SETUP] = { "begin", split_setup_begin, split_setup_over, split_own_error, split_lost },
	[MS_REPLAY] = { "begin", split_replay_begin, split_replay_over, split_replay_error, split_lost },
	[MS_LOOK] = { "look", lookup_begin, lookup_over, split_own_error, split_lost },
	[MS_VERDICT] = { "look", verdict_begin, verdict_over, split_own_error, split_lost },
	[MS_INTENT] = { "intent", split_intent_begin, split_intent_over, split_own_error, split_lost },
	[MS_ALONE] = { "alone", split_run_begin, split_alone_over, split_statement_error, split_alone_lost },
	[MS_DONE] = { "record", split_done_begin, split_done_over, split_own_error, split_lost },
	[MS_OPEN] = { "begin", split_open_begin, split_open_over, split_own_error, split_lost },
	[MS_STATEMENT] = { "statement", split_run_begin, split_statement_over, split_statement_error, split_lost },
	[MS_DEFERRED] = { "statement", split_deferred_begin, split_deferred_over, split_statement_error, split_lost },
	[MS_NOTE] = { "record", split_note_begin, split_note_over, split_own_error, split_lost },
	[MS_CLOSE] = { "commit", split_close_begin, split_close_over, split_statement_error, split_lost },
	[MS_AGAIN] = { "rollback", rollback_begin, split_again_over, split_own_error, split_lost },
	[MS_FAIL] = { "record", split_fail_begin, split_fail_over, split_fail_error, split_fail_error },
	[MS_FINISH] = { "record", split_finish_begin, split_finish_over, split_own_error, split_lost },
	[MS_MEND_TABLE] = { "ledger", mend_table_begin, mend_table_over, mend_error, NULL },
	[MS_MEND] = { "mend", mend_write_begin, mend_write_over, mend_error, mend_lost },
	[MS_UNLOCK] = { "unlock", unlock_begin, unlock_over, NULL, NULL },
	[MS_END] = { "end", NULL, NULL, NULL, NULL },
};

void migrator_add(struct migrator *m, const char *sql, unsigned n_params, const char *const *params)
{
	if (m->batch.n == MIGRATOR_STATEMENTS)
		abort();
	m->statements[m->batch.n++] = (struct statement){ NULL, sql, n_params, params };
}

void migrator_begin_own(struct migrator *m)
{
	migrator_add(m, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE", 0, NULL);
	migrator_add(m, "SET LOCAL ROLE NONE", 0, NULL);
	migrator_add(m, "SET LOCAL search_path = pg_catalog, pg_temp", 0, NULL);
}

void migrator_create(struct migrator *m, const char *sql, msec_t now)
{
	migrator_add(m, talloc_asprintf(m->step, "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE; SET LOCAL ROLE NONE;\n%s;\nCOMMIT", sql), 0, NULL);
	migrator_submit(m, BATCH_SCRIPT, 0, now);
}

void migrator_submit(struct migrator *m, enum batch_mode mode, msec_t budget, msec_t now)
{
	struct error err = { 0 };

	m->batch.mode = mode;
	m->batch.statements = m->statements;
	m->batch.budget = budget > 0 ? budget : OWN_BUDGET;
	if (!session_submit(m->session, &m->batch, now))
		return;
	error_set(&err, "the session took no statements in step %s", steps[m->state].name);
	migrator_end(m, MIGRATOR_FAILED, FAILURE_INTERNAL, &err);
}

static void clear_step(struct migrator *m)
{
	talloc_free(m->step);
	m->step = talloc_new(m);
	m->batch = (struct batch){ 0 };
	m->message = NULL;
	memset(m->outcomes, 0, sizeof m->outcomes);
	m->failed = NULL;
}

void migrator_go(struct migrator *m, enum migrator_state state, msec_t now)
{
	if (m->status != MIGRATOR_RUNNING)
		return;
	clear_step(m);
	m->state = state;
	m->waiting = false;
	steps[state].begin(m, now);
}

void migrator_wait(struct migrator *m, enum migrator_state state, msec_t span, msec_t now)
{
	clear_step(m);
	m->state = state;
	m->waiting = true;
	m->wake = now + span;
}

void migrator_end(struct migrator *m, enum migrator_status status, enum failure failure, const struct error *err)
{
	if (m->status != MIGRATOR_RUNNING)
		return;
	m->status = status;
	m->failure = failure;
	if (err)
		m->error = *err;
	m->state = MS_END;
	m->waiting = false;
	session_close(m->session);        /* lets the lock go, and what is not committed */
}

void migrator_note(struct migrator *m, enum migrator_event_kind kind, const struct error *err)
{
	struct migrator_queued *queued = talloc_zero(m, struct migrator_queued);

	if (!queued)
		abort();
	queued->event = (struct migrator_event){ kind, clock_wall(), m->file, kind == MIGRATOR_APPLIED ? m->execution_time_ms : 0, NULL };
	if (err) {
		queued->error = *err;
		queued->event.error = &queued->error;
	}
	*m->last = queued;
	m->last = &queued->next;
}

bool migrator_has_news(const struct migrator *m)
{
	return m->first != NULL;
}

bool migrator_next(struct migrator *m, struct migrator_event *ret)
{
	struct migrator_queued *queued = m->first;

	if (!queued)
		return false;
	m->first = queued->next;
	if (!m->first)
		m->last = &m->first;
	*ret = queued->event;
	if (!queued->event.error)         /* which lives as long as the migrator */
		talloc_free(queued);
	return true;
}

const char *migrator_cell(const struct migrator *m, unsigned statement, unsigned column)
{
	const struct outcome *outcome = m->outcomes[statement];
	size_t len;

	if (!outcome || outcome->status != OUTCOME_ROWS || !outcome->rows.rows || column >= outcome->rows.columns)
		return NULL;
	return outcome->rows.cell(&outcome->rows, 0, column, &len);
}

struct migrator *migrator_new(void *parent, const struct migrator_params *params, msec_t now)
{
	struct migrator *m = talloc_zero(parent, struct migrator);
	struct session_config config = params->session;

	if (!m)
		abort();
	/* Timeouts of ours would be pinned for the whole session; a file has its own lock_timeout, the rest is the user's. */
	config.for_migrations = true;
	config.lock_timeout = config.statement_timeout = 0;
	m->params = *params;
	m->params.schema = talloc_strdup(m, params->schema);
	m->params.table = talloc_strdup(m, params->table);
	m->params.session = (struct session_config){ 0 };     /* the session has its own copy */
	if (m->params.lock_wait <= 0)
		m->params.lock_wait = 30000;
	if (m->params.file_timeout <= 0)
		m->params.file_timeout = 24 * (msec_t)HOUR;
	m->last = &m->first;
	m->lock_deadline = MSEC_NEVER;
	m->session = session_new(m, &config);
	migrator_go(m, MS_CONNECT, now);
	return m;
}

/* Of a file only the first error is kept: its answers may be large. */
static void keep(struct migrator *m, struct outcome *outcome)
{
	bool script = m->batch.mode == BATCH_SCRIPT && !m->message;

	if (script && !message_defines(outcome->command_tag))
		m->may_prepare = true;
	if (outcome->status == OUTCOME_ERROR && !m->failed)
		m->failed = outcome;
	else if (script)
		talloc_free(outcome);
	else if (outcome->index < MIGRATOR_OUTCOMES)
		m->outcomes[outcome->index] = outcome;
}

static void batch_over(struct migrator *m, msec_t now)
{
	const struct migrator_step *step = &steps[m->state];

	if (!m->failed)
		step->over(m, now);
	else if (step->error)
		step->error(m, now);
	else
		migrator_end(m, MIGRATOR_FAILED, m->failed->failure, &m->failed->error);
}

static void lost(struct migrator *m, msec_t now)
{
	const struct migrator_step *step = &steps[m->state];

	if (step->lost)
		step->lost(m, now);
	else
		migrator_end(m, MIGRATOR_FAILED, session_failure(m->session), session_error(m->session));
}

/* True when something happened. */
static bool advance(struct migrator *m, msec_t now)
{
	struct outcome *outcome;

	if (m->waiting) {
		if (now < m->wake)
			return false;
		migrator_go(m, m->state, now);
		return true;
	}
	while ((outcome = session_next(m->session, m->step))) {
		bool last = outcome->last;

		keep(m, outcome);
		if (last) {
			batch_over(m, now);
			return true;
		}
	}
	if (session_state(m->session) == SESSION_FAILED) {
		lost(m, now);
		return true;
	}
	if (m->state == MS_CONNECT && session_state(m->session) == SESSION_READY) {
		steps[m->state].over(m, now);
		return true;
	}
	return false;
}

bool migrator_turn(struct migrator *m, unsigned ready, msec_t now)
{
	bool more;

	if (m->status != MIGRATOR_RUNNING)
		return false;
	more = session_turn(m->session, ready, now);
	if (advance(m, now)) {
		more = session_turn(m->session, 0, now);        /* what was submitted goes out at once */
		more |= session_state(m->session) != SESSION_RUNNING;
	}
	return more && m->status == MIGRATOR_RUNNING;
}

struct session *migrator_session(struct migrator *m)
{
	return m->session;
}

msec_t migrator_deadline(const struct migrator *m)
{
	msec_t deadline = session_deadline(m->session);

	if (m->status != MIGRATOR_RUNNING)
		return MSEC_NEVER;
	return m->waiting && m->wake < deadline ? m->wake : deadline;
}

void migrator_cancel(struct migrator *m, msec_t now)
{
	struct error err = { 0 };

	(void)now;
	m->cancelled = true;
	if (m->status != MIGRATOR_RUNNING || m->state == MS_COMMIT || m->state == MS_MEND || m->in_doubt)
		return;                /* soon over, and then certain */
	/* What runs outside of a transaction is not cut in two: it ends, is noted, and the next one does not begin. */
	if (m->file && !m->file->transactional && !m->waiting && m->state != MS_STATEMENT && m->state != MS_DEFERRED)
		return;
	if (m->file) {
		error_set_at(&err, m->file->path, 0, m->file->transactional ? "stopped while it ran: it was rolled back" :
			     "stopped: the statement that ran was rolled back, those before it are done");
		error_hint(&err, "%s", m->params.order ? "order it again after the next start" : "it runs again after the next start");
		migrator_note(m, MIGRATOR_FAILED_FILE, &err);
	} else {
		error_set(&err, "stopped before the end");
	}
	migrator_end(m, MIGRATOR_CANCELLED, FAILURE_NONE, &err);
}

void migrator_enough(struct migrator *m)
{
	m->enough = true;
}

void migrator_progress(const struct migrator *m, struct migrator_progress *ret)
{
	*ret = (struct migrator_progress){
		.status = m->status, .phase = steps[m->state].name, .done = m->done, .total = m->total, .current = m->file,
		.list = m->list, .failure = m->failure, .error = &m->error,
		.statement = m->file && !m->file->transactional ? m->at + 1 : 0, .holder = m->lock_deadline == MSEC_NEVER ? NULL : m->holder,
	};
}
