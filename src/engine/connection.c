/* SPDX-License-Identifier: PostgreSQL */
/* A target's connection: made with its password at hand or later, lost, given up. */
#include "engine/internal.h"

#include <talloc.h>

void connection_failed(struct target *t, msec_t now)
{
	struct error err = *session_error(t->session);
	enum failure failure = session_failure(t->session);

	if (!error_is_set(&err))
		error_set(&err, "the connection was lost");
	target_fail(t, failure == FAILURE_NONE ? FAILURE_CONNECT : failure, &err, now);
}

static int session_make(struct target *t, struct error *err)
{
	const struct settings *settings = target_settings(t);
	const struct server_settings *server = target_server_settings(t);
	void *scratch = talloc_new(t->pass);
	char *password = NULL;
	int r = secrets_get(t, scratch, &server->password, &password, err);

	if (r == 0) {
		struct session_config config = {
			.name = t->name, .conninfo = server->conninfo, .database = t->database, .password = password,
			.application_name = "dbreconciled", .version_num = t->server->version_num, .superuser = t->server->superuser,
			.connect_timeout = settings->connect_timeout, .lock_timeout = settings->lock_timeout,
			.statement_timeout = settings->statement_timeout,
		};

		t->session = session_new(t, &config);
	}
	talloc_free(scratch);
	return r;
}

/* With the password at hand at once, or later: a command may have to run for it. */
static void connect_begin(struct target *t, msec_t now)
{
	struct error err;
	int r;

	error_clear(&err);
	r = session_make(t, &err);
	if (r == 2)
		return;
	if (r != 0)
		target_fail(t, FAILURE_AUTH, &err, now);
	else if (session_connect(t->session, now) != 0)
		connection_failed(t, now);
	else
		target_mark(t);
}

void connection_open(struct target *t, msec_t now)
{
	watch_close(t);
	t->asserted = false;
	if (t->session != NULL && target_is_root(t))
		quiet_lost(t->server, now);
	TALLOC_FREE(t->session);
	pass_admitted(t, now);
	connect_begin(t, now);
}

void connection_turn(struct target *t, msec_t now)
{
	if (t->session == NULL) {
		if (!t->waiting_secret)
			connect_begin(t, now);
		return;
	}
	switch (session_state(t->session)) {
	case SESSION_READY:
		if (target_is_root(t))
			t->server->epoch++;
		target_event(t, TE_READY, now);
		break;
	case SESSION_FAILED:
	case SESSION_CLOSED:
		if (target_is_root(t))
			t->server->version_num = 0;      /* perhaps another version answers now: begin with the short list again */
		if (session_failure(t->session) == FAILURE_AUTH)
			secrets_forget(t->engine, &target_server_settings(t)->password);
		connection_failed(t, now);
		break;
	default:
		break;
	}
}

void target_disconnect(struct target *t)
{
	watch_close(t);
	slots_keep(t, false);
	t->asserted = false;
	if (t->session != NULL && target_is_root(t))
		quiet_lost(t->server, t->engine->now);
	talloc_free(t->session);
	t->session = NULL;
	slots_release(t);
}
