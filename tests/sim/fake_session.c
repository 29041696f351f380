/* SPDX-License-Identifier: PostgreSQL */
/* session.h over the simulated world: everything takes world.latency, a frozen database never answers. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "session/session.h"
#include "tests/sim/world.h"

struct session {
	enum session_state state;
	struct world_database *db;
	unsigned epoch;
	msec_t ready_at, deadline, connect_timeout, statement_timeout;
	const struct batch *batch;
	unsigned next;
	bool answered, connected;
	char transaction;
	struct error error;
	enum failure failure;
	bool fix, unfix;                 /* the statement that corrects, or takes that back, is part of this transaction */
};

static void leave(struct session *s)
{
	if (!s->connected)
		return;
	s->connected = false;
	s->db->open--;
	s->db->server->open--;
	world.open--;
}

static int session_done(struct session *s)
{
	leave(s);
	return 0;
}

struct session *session_new(void *parent, const struct session_config *config)
{
	struct session *s = talloc_zero(parent, struct session);

	s->db = world_find(config->name);
	s->connect_timeout = config->connect_timeout;
	s->statement_timeout = config->statement_timeout;
	s->transaction = 'I';
	talloc_set_destructor(s, session_done);
	return s;
}

static void count_connect(struct world_server *server)
{
	server->connects++;
	if (world.now / 1000 != server->second) {
		server->second = world.now / 1000;
		server->in_second = 0;
	}
	if (++server->in_second > server->most_in_second)
		server->most_in_second = server->in_second;
}

int session_connect(struct session *s, msec_t now)
{
	struct world_server *server = s->db->server;

	s->state = SESSION_CONNECTING;
	s->epoch++;
	s->connected = true;
	s->db->open++;
	s->db->connects++;
	count_connect(server);
	if (++server->open > server->max_open)
		server->max_open = server->open;
	if (++world.open > world.max_open)
		world.max_open = world.open;
	s->deadline = now + s->connect_timeout;
	s->ready_at = s->db->frozen ? MSEC_NEVER : now + world.latency;
	return 0;
}

enum session_state session_state(const struct session *s) { return s->state; }
int session_fd(const struct session *s) { (void)s; return -1; }
unsigned session_wants(const struct session *s) { (void)s; return 0; }
unsigned session_socket_epoch(const struct session *s) { return s->epoch; }
const struct error *session_error(const struct session *s) { return &s->error; }
enum failure session_failure(const struct session *s) { return s->failure; }
int session_server_version(const struct session *s) { (void)s; return 160000; }
int session_backend_pid(const struct session *s) { (void)s; return 1; }
char session_transaction(const struct session *s) { return s->transaction; }
const char *session_parameter(const struct session *s, const char *name) { (void)s; (void)name; return NULL; }

const struct pinned_setting *session_pinned(const struct session *s, unsigned *n)
{
	(void)s;
	*n = 0;
	return NULL;
}

void session_environment_clear(void)
{
}

msec_t session_deadline(const struct session *s)
{
	if (s->state != SESSION_CONNECTING && s->state != SESSION_RUNNING)
		return MSEC_NEVER;
	return s->ready_at < s->deadline ? s->ready_at : s->deadline;
}

static void fail(struct session *s, enum failure failure, const char *text)
{
	leave(s);
	s->state = SESSION_FAILED;
	s->failure = failure;
	error_set(&s->error, "%s", text);
}

bool session_turn(struct session *s, unsigned ready, msec_t now)
{
	(void)ready;
	if (s->state != SESSION_CONNECTING && s->state != SESSION_RUNNING)
		return false;
	if (s->db->frozen && now >= s->ready_at)
		s->ready_at = MSEC_NEVER;        /* frozen since it was asked */
	if (s->db->server->down && now >= s->ready_at) {
		fail(s, FAILURE_CONNECT, "connection refused");
	} else if (now >= s->ready_at) {
		if (s->state == SESSION_CONNECTING && s->db->absent)
			fail(s, FAILURE_NO_DATABASE, "database does not exist");
		else if (s->state == SESSION_CONNECTING)
			s->state = SESSION_READY;
		else
			s->answered = true;
	} else if (now >= s->deadline) {
		fail(s, FAILURE_TIMEOUT, "deadline passed");
	}
	return false;
}

void session_close(struct session *s)
{
	leave(s);
	s->state = SESSION_CLOSED;
}

int session_submit(struct session *s, const struct batch *batch, msec_t now)
{
	if (s->state != SESSION_READY)
		return 1;
	s->state = SESSION_RUNNING;
	s->batch = batch;
	s->next = 0;
	s->answered = false;
	s->deadline = now + (batch->budget > 0 ? batch->budget : s->statement_timeout + 5000);
	s->ready_at = s->db->frozen ? MSEC_NEVER : now + world.latency;
	world.statements += batch->n;
	return 0;
}

/* ---- answers ---- */

struct answer {
	struct world_database *db;       /* first: what the fake decoders look at */
	char text[3][64];
};

static const char *answer_cell(const struct rowset *rows, unsigned row, unsigned column, size_t *ret_len)
{
	const struct answer *a = rows->data;

	(void)row;
	*ret_len = strlen(a->text[column]);
	return a->text[column];
}

static void commit(struct session *s)
{
	if (s->unfix) {
		s->unfix = false;
		s->db->unfixes++;
		s->db->drift = true;
		s->db->drift_since = world.now;
		s->db->server->version++;
	}
	if (!s->fix)
		return;
	s->fix = false;
	s->db->fixes++;
	s->db->server->version++;
	if (s->db->drift && world.now - s->db->drift_since > s->db->longest_drift)
		s->db->longest_drift = world.now - s->db->drift_since;
	s->db->drift = s->db->stubborn;
}

static void note_look(struct world_database *db)
{
	msec_t gap = world.now - db->last_look;

	if (gap > db->longest_gap)
		db->longest_gap = gap;
	db->last_look = world.now;
	db->looks++;
	world.looks++;
}

static void execute(struct session *s, const char *sql, struct answer *a)
{
	if (strncmp(sql, "BEGIN ISOLATION", 15) == 0)
		note_look(s->db);
	if (strncmp(sql, "BEGIN", 5) == 0)
		s->transaction = 'T';
	if (strcmp(sql, "FIX") == 0)
		s->fix = true;
	if (strcmp(sql, "UNFIX") == 0)
		s->unfix = true;
	if (strcmp(sql, "ROLLBACK") == 0)
		s->fix = s->unfix = false;
	if (strcmp(sql, "COMMIT") == 0)
		commit(s);
	if (strcmp(sql, "COMMIT") == 0 || strcmp(sql, "ROLLBACK") == 0)
		s->transaction = 'I';
	if (strstr(sql, "pg_backend_pid()'") != NULL) {
		snprintf(a->text[0], sizeof(a->text[0]), "pg_backend_pid()");
		snprintf(a->text[1], sizeof(a->text[1]), "1");
	} else if (strstr(sql, "pg_try_advisory_xact_lock") != NULL) {
		a->text[0][0] = 't';
		a->text[1][0] = a->text[2][0] = 'f';
	} else if (strstr(sql, "pg_current_snapshot()::") != NULL) {
		world.quiet++;
		snprintf(a->text[0], sizeof(a->text[0]), "%llu:%llu:", (unsigned long long)s->db->server->version,
			 (unsigned long long)s->db->server->version);
	} else {
		/* Whatever the decoders find in the world is in what they read. */
		uint64_t absent = 14695981039346656037u;

		for (unsigned i = 0; i < s->db->server->n; i++)
			absent = (absent ^ s->db->server->databases[i].absent) * 1099511628211u;
		snprintf(a->text[0], sizeof(a->text[0]), "100");
		snprintf(a->text[1], sizeof(a->text[1]), "%d", s->db->drift);
		snprintf(a->text[2], sizeof(a->text[2]), "%llx", (unsigned long long)absent);
	}
}

struct outcome *session_next(struct session *s, void *parent)
{
	struct outcome *o;
	struct answer *a;

	if (s->state != SESSION_RUNNING || !s->answered)
		return NULL;
	o = talloc_zero(parent, struct outcome);
	a = talloc_zero(o, struct answer);
	a->db = s->db;
	o->index = s->next;
	o->status = OUTCOME_ROWS;
	execute(s, s->batch->statements[s->next].sql, a);
	o->rows = (struct rowset){ .rows = 1, .columns = 3, .cell = answer_cell, .data = a };
	o->last = ++s->next == s->batch->n;
	if (o->last)
		s->state = SESSION_READY;
	return o;
}
