/* SPDX-License-Identifier: PostgreSQL */
/*
 * Batches outside a pipeline: one statement alone, or a whole script in one message, which the server splits. The data of
 * COPY ... FROM stdin is fed when the server asks for it; what COPY ... TO stdout sends is thrown away.
 */
#include <string.h>
#include <talloc.h>

#include "session/private.h"

/* True when all is out. */
static bool flush(struct session *s)
{
	const int r = PQflush(s->conn);

	s->wants = r == 1 ? SESSION_READ | SESSION_WRITE : SESSION_READ;
	return r == 0;
}

/* Hands the data over in pieces, none before the last one is out: libpq would keep everything in memory. */
static bool copy_in(struct session *s)
{
	struct running *r = s->running;
	const struct copy_data *copy = r->next_copy < r->batch.n_copies ? &r->batch.copies[r->next_copy] : NULL;
	size_t turn = 0;

	while (copy && r->copied < copy->len) {
		const size_t left = copy->len - r->copied, piece = left < 65536 ? left : 65536;

		if (!flush(s))
			return false;
		if (turn >= COPY_BYTES_PER_TURN)
			return true;
		switch (PQputCopyData(s->conn, copy->data + r->copied, (int)piece)) {
		case 0:
			return false;          /* no room for it: wants says WRITE */
		case 1:
			break;
		default:
			r->copying_in = false; /* lost: the next read says why */
			return true;
		}
		r->copied += piece;
		turn += piece;
	}
	PQputCopyEnd(s->conn, copy ? NULL : "the script has no data for this COPY");
	r->next_copy++;
	r->copied = 0;
	r->copying_in = false;
	flush(s);
	return true;
}

static bool copy_out(struct session *s)
{
	for (unsigned rows = 0; rows < RESULTS_PER_TURN; rows++) {
		char *data = NULL;
		const int r = PQgetCopyData(s->conn, &data, 1);

		PQfreemem(data);
		if (rows == 1)
			session_flood_begin(s);
		if (r == 0)
			return false;
		if (r < 0) {
			s->running->copying_out = false;
			return true;
		}
	}
	return true;
}

static void take_result(struct session *s, const PGresult *res)
{
	struct running *r = s->running;

	switch (PQresultStatus(res)) {
	case PGRES_COPY_IN:
		r->copying_in = true;
		return;
	case PGRES_COPY_OUT:
		r->copying_out = true;
		return;
	case PGRES_COPY_BOTH:
		session_failf(s, FAILURE_SQL, NULL, "replication commands cannot run here");
		return;
	case PGRES_SINGLE_TUPLE:
		session_keep_rows(s, res);
		return;
	case PGRES_TUPLES_OK:
		if (!session_keep_rows(s, res))
			return;
		break;
	default:
		break;
	}
	session_hold(s, session_outcome(s, r->next_index++, res));
}

static bool take_results(struct session *s)
{
	for (unsigned taken = 0; taken < RESULTS_PER_TURN; taken++) {
		_cleanup_pgresult_ PGresult *res = NULL;

		if (taken == 1)
			session_flood_begin(s);
		if (PQisBusy(s->conn))
			return false;
		res = PQgetResult(s->conn);
		if (!res) {
			session_end_batch(s);
			return false;
		}
		take_result(s, res);
		if (s->state != SESSION_RUNNING || s->running->copying_in || s->running->copying_out)
			return s->state == SESSION_RUNNING;
	}
	return true;
}

bool session_script_turn(struct session *s)
{
	struct running *r = s->running;

	if (r->copying_in)
		return copy_in(s);
	if (r->copying_out)
		return copy_out(s);
	if ((s->wants & SESSION_WRITE) && !flush(s) && PQstatus(s->conn) == CONNECTION_OK)
		return false;
	return take_results(s);
}
