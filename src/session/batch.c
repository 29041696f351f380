/* SPDX-License-Identifier: PostgreSQL */
/*
 * Batches as pipelines: everything is sent as fast as the socket takes it, answers are taken as they come, one sync ends it.
 * libpq may hold several answers while the socket is silent, so answers are taken until it says busy.
 */
#include <errno.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

static uint64_t hash_text(const char *s)
{
	uint64_t hash = 14695981039346656037u;         /* FNV-1a */

	for (; *s; s++)
		hash = (hash ^ (unsigned char)*s) * 1099511628211u;
	return hash;
}

static struct prepared *find_prepared(const struct session *s, const char *name)
{
	struct prepared *p = s->prepared;

	while (p && strcmp(p->name, name) != 0)
		p = p->next;
	return p;
}

/* One name, one text: within the batch and with what the server has. */
static bool names_are_sound(const struct session *s, const struct batch *batch)
{
	for (unsigned i = 0; i < batch->n; i++) {
		const struct statement *st = &batch->statements[i];
		const struct prepared *p = st->name ? find_prepared(s, st->name) : NULL;

		if (p && p->hash != hash_text(st->sql))
			return false;
	}
	return true;
}

static int check_batch(const struct session *s, const struct batch *batch)
{
	const size_t max = batch->mode == BATCH_PIPELINE ? STATEMENT_BYTES_MAX : SCRIPT_BYTES_MAX;

	if (batch->n == 0 || (batch->mode != BATCH_PIPELINE && batch->n != 1))
		return -EINVAL;
	for (unsigned i = 0; i < batch->n; i++)
		if (!batch->statements[i].sql || strlen(batch->statements[i].sql) > max)
			return -EINVAL;
	return names_are_sound(s, batch) ? 0 : -EINVAL;
}

static int begin_batch(struct session *s, const struct batch *batch)
{
	const struct statement *st = &batch->statements[0];

	switch (batch->mode) {
	case BATCH_PIPELINE:
		return PQenterPipelineMode(s->conn);
	case BATCH_SCRIPT:
		return PQsendQuery(s->conn, st->sql) && PQsetSingleRowMode(s->conn);
	default:
		return PQsendQueryParams(s->conn, st->sql, (int)st->n_params, NULL, st->params, NULL, NULL, 0) &&
		       PQsetSingleRowMode(s->conn);
	}
}

int session_submit(struct session *s, const struct batch *batch, msec_t now)
{
	struct running *r;
	int status;

	if (s->state != SESSION_READY)
		return 1;
	status = check_batch(s, batch);
	if (status < 0)
		return status;
	r = talloc_zero(s, struct running);
	r->batch = *batch;
	if (r->batch.budget <= 0)
		r->batch.budget = (s->config.statement_timeout > 0 ? s->config.statement_timeout : 30000) + 5000;
	r->flights = talloc_array(r, struct flight, 2 * batch->n + 1);
	s->running = r;
	s->state = SESSION_RUNNING;
	s->deadline = now + r->batch.budget;
	s->wants = SESSION_READ | SESSION_WRITE;
	session_flood_begin(s);
	if (!begin_batch(s, batch))
		session_lost(s);
	else if (batch->mode != BATCH_PIPELINE && PQflush(s->conn) == 0)
		s->wants = SESSION_READ;       /* it is out: most texts are small */
	return 0;
}

static void flew(struct running *r, enum piece piece, unsigned index)
{
	r->flights[r->n_flights++] = (struct flight){ .piece = piece, .index = index };
}

/* Rows one by one, so that their number is bounded. Only possible before the first of them was parsed. */
static void begin_head(struct session *s)
{
	const struct running *r = s->running;

	if (r->head < r->n_flights && r->flights[r->head].piece == PIECE_EXECUTE)
		PQsetSingleRowMode(s->conn);
}

static bool send_prepare(struct session *s, const struct statement *st)
{
	struct prepared *p = talloc_zero(s, struct prepared);

	p->name = talloc_strdup(p, st->name);
	p->hash = hash_text(st->sql);
	p->next = s->prepared;
	s->prepared = p;
	if (!PQsendPrepare(s->conn, st->name, st->sql, (int)st->n_params, NULL))
		return false;
	flew(s->running, PIECE_PREPARE, s->running->to_send);
	return true;
}

static bool send_statement(struct session *s, const struct statement *st)
{
	struct running *r = s->running;
	const bool first = r->head == r->n_flights;
	int sent;

	if (st->name && !find_prepared(s, st->name) && !send_prepare(s, st))
		return false;
	if (st->name)
		sent = PQsendQueryPrepared(s->conn, st->name, (int)st->n_params, st->params, NULL, NULL, 0);
	else
		sent = PQsendQueryParams(s->conn, st->sql, (int)st->n_params, NULL, st->params, NULL, NULL, 0);
	if (!sent)
		return false;
	flew(r, PIECE_EXECUTE, r->to_send++);
	if (first)
		begin_head(s);
	return true;
}

static bool send_piece(struct session *s)
{
	struct running *r = s->running;

	if (r->to_send < r->batch.n)
		return send_statement(s, &r->batch.statements[r->to_send]);
	r->all_sent = true;
	flew(r, PIECE_SYNC, r->batch.n - 1);
	return PQpipelineSync(s->conn) == 1;
}

/* As much as the socket takes. True when it would take more, but others must have their turn. */
static bool send_pieces(struct session *s)
{
	struct running *r = s->running;

	for (unsigned sent = 0; sent < STATEMENTS_PER_TURN; sent++) {
		if (r->all_sent)
			break;
		if (!send_piece(s)) {
			session_lost(s);
			return false;
		}
		if (sent % 32 == 31 && PQflush(s->conn) != 0)
			break;
	}
	switch (PQflush(s->conn)) {
	case 0:
		s->wants = SESSION_READ;
		return !r->all_sent;
	case 1:
		s->wants = SESSION_READ | SESSION_WRITE;
		return false;
	default:
		return false;                  /* lost: there may still be a FATAL to read */
	}
}

/* A FATAL says why the connection will end, before it does. */
static void keep_farewell(struct session *s, const PGresult *res)
{
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);

	if (severity && (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0))
		message_from_result(res, false, &s->farewell, NULL);
}

struct outcome *session_outcome(struct session *s, unsigned index, const PGresult *res)
{
	struct outcome *o = talloc_zero(s->running, struct outcome);

	o->index = index;
	switch (PQresultStatus(res)) {
	case PGRES_TUPLES_OK:
		o->status = OUTCOME_ROWS;
		break;
	case PGRES_PIPELINE_ABORTED:
		o->status = OUTCOME_SKIPPED;
		break;
	case PGRES_COMMAND_OK:
	case PGRES_EMPTY_QUERY:
		o->status = OUTCOME_DONE;
		break;
	default:
		o->status = OUTCOME_ERROR;
		message_from_result(res, s->config.for_migrations, &o->error, &o->position);
		o->failure = failure_from_sqlstate(o->error.sqlstate, o->error.text);
		keep_farewell(s, res);
	}
	o->command_tag = talloc_strndup(o, PQcmdStatus((PGresult *)res), 64);
	if (o->status == OUTCOME_ROWS && s->running->rows) {
		struct rows *rows = talloc_steal(o, s->running->rows);

		s->running->rows = NULL;
		rows_view(rows, &o->rows);
	}
	TALLOC_FREE(s->running->rows);
	return o;
}

bool session_keep_rows(struct session *s, const PGresult *res)
{
	struct running *r = s->running;

	if (!r->rows)
		r->rows = rows_new(r, (unsigned)PQnfields(res));
	for (int row = 0; row < PQntuples(res); row++) {
		if (rows_add(r->rows, res, row) == 0)
			continue;
		session_failf(s, FAILURE_SQL, NULL, "an answer has more than %u rows or %u MiB, the connection was dropped",
			      ANSWER_ROWS_MAX, ANSWER_BYTES_MAX >> 20);
		return false;
	}
	return true;
}

static void take_notice(struct running *r, struct outcome *o)
{
	if (!r->notice)
		return;
	o->notice = talloc_steal(o, r->notice);
	memcpy(o->notice_sqlstate, r->notice_sqlstate, sizeof(o->notice_sqlstate));
	r->notice = NULL;
}

void session_hold(struct session *s, struct outcome *o)
{
	struct running *r = s->running;

	if (r->held)
		session_give(s, r->held);
	r->held = o;
	take_notice(r, o);
}

void session_end_batch(struct session *s)
{
	struct running *r = s->running;

	if (r->held) {
		if (!r->held->notice)
			take_notice(r, r->held);
		r->held->last = true;
		session_give(s, r->held);
		r->held = NULL;
	}
	TALLOC_FREE(s->running);
	session_ready(s);
}

static void forget(struct session *s, const char *name)
{
	for (struct prepared **p = &s->prepared; *p; p = &(*p)->next) {
		struct prepared *gone = *p;

		if (strcmp(gone->name, name) != 0)
			continue;
		*p = gone->next;
		talloc_free(gone);
		return;
	}
}

/* The Parse of a named statement: its failure is the statement's outcome, its success is nobody's. */
static void parsed(struct session *s, struct flight *f, const PGresult *res)
{
	const char *name = s->running->batch.statements[f->index].name;

	if (PQresultStatus(res) == PGRES_COMMAND_OK) {
		struct prepared *p = find_prepared(s, name);

		if (p)
			p->ready = true;
		return;
	}
	if (PQresultStatus(res) == PGRES_FATAL_ERROR) {
		session_hold(s, session_outcome(s, f->index, res));
		f[1].answered = true;          /* its Execute follows in the queue */
	}
}

static void executed(struct session *s, struct flight *f, const PGresult *res)
{
	const struct statement *st = &s->running->batch.statements[f->index];
	struct outcome *o;

	if (f->answered)
		return;
	o = session_outcome(s, f->index, res);
	f->answered = true;
	if (st->name && strcmp(o->error.sqlstate, "26000") == 0)
		forget(s, st->name);           /* somebody deallocated it: parsed anew next time */
	session_hold(s, o);
}

static void end_pipeline(struct session *s)
{
	for (struct prepared **p = &s->prepared; *p;) {
		struct prepared *gone = *p;

		if (gone->ready) {
			p = &gone->next;
			continue;
		}
		*p = gone->next;               /* skipped after an error */
		talloc_free(gone);
	}
	if (!PQexitPipelineMode(s->conn)) {
		session_failf(s, FAILURE_INTERNAL, NULL, "the pipeline did not end as it should");
		return;
	}
	session_end_batch(s);
}

/* The implicit transaction could not be committed: nothing of the batch is true. */
static void commit_failed(struct session *s, const PGresult *res)
{
	struct running *r = s->running;
	struct outcome *o = session_outcome(s, r->batch.n - 1, res);

	TALLOC_FREE(r->held);
	session_hold(s, o);
}

static void take_result(struct session *s, const PGresult *res)
{
	struct running *r = s->running;
	struct flight *f = &r->flights[r->head];

	switch (PQresultStatus(res)) {
	case PGRES_PIPELINE_SYNC:
		r->head++;
		end_pipeline(s);
		return;
	case PGRES_SINGLE_TUPLE:
		session_keep_rows(s, res);
		return;
	case PGRES_TUPLES_OK:
		if (!session_keep_rows(s, res))
			return;
		break;
	case PGRES_COPY_IN:
	case PGRES_COPY_OUT:
	case PGRES_COPY_BOTH:
		session_failf(s, FAILURE_SQL, NULL, "COPY cannot run in a pipeline");
		return;
	default:
		break;
	}
	if (f->piece == PIECE_PREPARE)
		parsed(s, f, res);
	else if (f->piece == PIECE_EXECUTE)
		executed(s, f, res);
	else
		commit_failed(s, res);
}

/* True when libpq holds more than one turn may take. */
static bool take_results(struct session *s)
{
	struct running *r = s->running;

	for (unsigned taken = 0; taken < RESULTS_PER_TURN; taken++) {
		_cleanup_pgresult_ PGresult *res = NULL;

		if (taken == 1)
			session_flood_begin(s);
		if (r->head >= r->n_flights || PQisBusy(s->conn))
			return false;
		res = PQgetResult(s->conn);
		if (res) {
			take_result(s, res);
		} else if (r->flights[r->head].piece != PIECE_SYNC) {   /* after an error at COMMIT, the sync is still to come */
			r->head++;
			begin_head(s);
		}
		if (s->state != SESSION_RUNNING)
			return false;
	}
	return true;
}

/* What came before the end may tell why: the last error of the server is the session's. */
static void lost_in_batch(struct session *s)
{
	struct running *r = s->running;

	for (unsigned i = 0; i < 2 * r->batch.n + 64 && !PQisBusy(s->conn); i++) {
		_cleanup_pgresult_ PGresult *res = PQgetResult(s->conn);

		keep_farewell(s, res);
	}
	session_lost(s);
}

static bool pipeline_turn(struct session *s)
{
	bool more = false;

	if (!s->running->all_sent || (s->wants & SESSION_WRITE))
		more = send_pieces(s);
	if (s->state == SESSION_RUNNING)
		more |= take_results(s);
	return more;
}

bool session_batch_turn(struct session *s)
{
	bool more;

	if (!PQconsumeInput(s->conn)) {
		lost_in_batch(s);
		return false;
	}
	more = s->running->batch.mode == BATCH_PIPELINE ? pipeline_turn(s) : session_script_turn(s);
	if (s->state != SESSION_RUNNING)
		return false;
	if (PQstatus(s->conn) == CONNECTION_BAD) {
		lost_in_batch(s);
		return false;
	}
	if (!more && session_is_flooded(s))
		session_failf(s, FAILURE_SQL, NULL, "the server sends a message of more than %u MiB, the connection was dropped",
			      MESSAGE_BYTES_MAX >> 20);
	return more && s->state == SESSION_RUNNING;
}
