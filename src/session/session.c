/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "session/session.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "session/private.h"

void session_environment_clear(void)
{
	bool again = true;

	while (again) {
		again = false;
		for (char **v = environ; v && *v && !again; v++) {
			char name[64];
			const size_t len = strcspn(*v, "=");

			if (strncmp(*v, "PG", 2) != 0 || len >= sizeof(name))
				continue;
			memcpy(name, *v, len);
			name[len] = '\0';
			again = unsetenv(name) == 0;
		}
	}
	setenv("KRB5CCNAME", "MEMORY:", 1);
	setenv("KRB5_CLIENT_KTNAME", "/dev/null", 1);
}

static void wipe(const char *secret)
{
	if (secret)
		explicit_bzero((char *)secret, strlen(secret));
}

static void drop_connection(struct session *s)
{
	TALLOC_FREE(s->connecting);
	TALLOC_FREE(s->running);
	while (s->prepared) {
		struct prepared *next = s->prepared->next;

		talloc_free(s->prepared);
		s->prepared = next;
	}
	if (s->conn)
		PQfinish(s->conn);
	s->conn = NULL;
	s->fd = -1;
	s->wants = 0;
	s->deadline = MSEC_NEVER;
}

static int session_destroy(struct session *s)
{
	drop_connection(s);
	wipe(s->config.password);
	return 0;
}

static void copy_text(struct session *s, const char **text)
{
	*text = *text ? talloc_strdup(s, *text) : NULL;
}

struct session *session_new(void *parent, const struct session_config *config)
{
	struct session *s = talloc_zero(parent, struct session);

	s->config = *config;
	copy_text(s, &s->config.name);
	copy_text(s, &s->config.conninfo);
	copy_text(s, &s->config.database);
	copy_text(s, &s->config.user);
	copy_text(s, &s->config.password);
	copy_text(s, &s->config.application_name);
	if (!s->config.application_name)
		s->config.application_name = s->config.for_migrations ? "dbreconciled migrations" : "dbreconciled";
	if (s->config.connect_timeout <= 0)
		s->config.connect_timeout = 10000;
	if (s->config.lock_timeout <= 0 && !s->config.for_migrations)
		s->config.lock_timeout = 500;
	if (s->config.statement_timeout <= 0 && !s->config.for_migrations)
		s->config.statement_timeout = 30000;
	s->fd = -1;
	s->deadline = MSEC_NEVER;
	s->last = &s->first;
	session_pin(s);
	talloc_set_destructor(s, session_destroy);
	return s;
}

void session_fail(struct session *s, enum failure failure, const struct error *err)
{
	drop_connection(s);
	s->state = SESSION_FAILED;
	s->failure = failure;
	s->error = *err;
}

void session_failf(struct session *s, enum failure failure, const char *hint, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	struct error err;
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_clear(&err);
	error_set(&err, "%s", text);
	if (hint)
		error_hint(&err, "%s", hint);
	session_fail(s, failure, &err);
}

void session_lost(struct session *s)
{
	struct error err = s->farewell;
	enum failure failure;

	if (error_is_set(&err)) {
		failure = failure_from_sqlstate(err.sqlstate, err.text);
		error_hint(&err, "%s", failure_hint(failure));
	} else {
		failure = message_from_connect(PQerrorMessage(s->conn), &err);
	}
	session_fail(s, failure, &err);
}

void session_give(struct session *s, struct outcome *outcome)
{
	struct queued *q = talloc_zero(s, struct queued);

	q->outcome = talloc_steal(q, outcome);
	*s->last = q;
	s->last = &q->next;
}

struct outcome *session_next(struct session *s, void *parent)
{
	struct queued *q = s->first;
	struct outcome *outcome;

	if (!q)
		return NULL;
	s->first = q->next;
	if (!s->first)
		s->last = &s->first;
	outcome = talloc_steal(parent, q->outcome);
	talloc_free(q);
	return outcome;
}

void session_ready(struct session *s)
{
	s->state = SESSION_READY;
	s->deadline = MSEC_NEVER;
	s->wants = SESSION_READ;
}

/* Nothing is under way: whatever comes is a notice, a setting that changed, or the end. */
static void idle_turn(struct session *s)
{
	PGnotify *notify;

	if (!PQconsumeInput(s->conn)) {
		PQisBusy(s->conn);             /* parses the FATAL that came before the end */
		session_lost(s);
		return;
	}
	PQisBusy(s->conn);
	while ((notify = PQnotifies(s->conn)))
		PQfreemem(notify);
	if (PQstatus(s->conn) == CONNECTION_BAD || error_is_set(&s->farewell))
		session_lost(s);
}

static void timed_out(struct session *s, msec_t now)
{
	const struct running *r = s->running;
	char span[32];

	if (s->state == SESSION_CONNECTING) {
		session_connect_timeout(s, now);
		return;
	}
	duration_format(r->batch.budget, span, sizeof(span));
	session_failf(s, FAILURE_TIMEOUT, failure_hint(FAILURE_TIMEOUT), "no answer within %s, the connection was dropped", span);
}

bool session_turn(struct session *s, unsigned ready, msec_t now)
{
	bool more = false;

	if (s->state == SESSION_CONNECTING)
		more = session_connect_turn(s, ready, now);
	else if (s->state == SESSION_RUNNING)
		more = session_batch_turn(s);
	else if (s->state == SESSION_READY && (ready & SESSION_READ))
		idle_turn(s);
	if ((s->state == SESSION_CONNECTING || s->state == SESSION_RUNNING) && now >= session_deadline(s)) {
		timed_out(s, now);
		more = s->state == SESSION_CONNECTING;
	}
	return more;
}

enum session_state session_state(const struct session *s)
{
	return s->state;
}

int session_fd(const struct session *s)
{
	return s->fd;
}

unsigned session_wants(const struct session *s)
{
	return s->wants;
}

unsigned session_socket_epoch(const struct session *s)
{
	return s->epoch;
}

msec_t session_deadline(const struct session *s)
{
	if (s->connecting && s->connecting->attempt_deadline < s->deadline)
		return s->connecting->attempt_deadline;
	return s->deadline;
}

const struct error *session_error(const struct session *s)
{
	return &s->error;
}

enum failure session_failure(const struct session *s)
{
	return s->failure;
}

int session_server_version(const struct session *s)
{
	return s->conn ? s->server_version : 0;
}

int session_backend_pid(const struct session *s)
{
	return s->conn ? PQbackendPID(s->conn) : 0;
}

char session_transaction(const struct session *s)
{
	switch (s->conn ? PQtransactionStatus(s->conn) : PQTRANS_UNKNOWN) {
	case PQTRANS_IDLE:
		return 'I';
	case PQTRANS_INTRANS:
		return 'T';
	case PQTRANS_INERROR:
		return 'E';
	default:
		return '?';
	}
}

const char *session_parameter(const struct session *s, const char *name)
{
	return s->conn ? PQparameterStatus(s->conn, name) : NULL;
}

void session_close(struct session *s)
{
	drop_connection(s);
	while (s->first) {
		struct queued *q = s->first;

		s->first = q->next;
		talloc_free(q);
	}
	s->last = &s->first;
	s->state = SESSION_CLOSED;
	s->failure = FAILURE_NONE;
	error_clear(&s->error);
}
