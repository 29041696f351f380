/* SPDX-License-Identifier: PostgreSQL */
/*
 * From CLOSED to READY. Names are looked up first, then every address is tried as a connection of its own, so that a frozen
 * address costs its share of the time and not all of it.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

#define VERSION_MIN 140000
#define VERSION_MAX 999999        /* later ones are tried: what they changed is an error of its own */

#define CANDIDATES_MAX 32u
#define ATTEMPT_MIN 1000

/* Keyword and value arrays for libpq; never a string that it must parse, and that it would quote in an error. */
struct params {
	const char *keywords[64], *values[64];
	unsigned n;
};

static void params_set(struct params *p, const char *keyword, const char *value)
{
	unsigned i = 0;

	while (i < p->n && strcmp(p->keywords[i], keyword) != 0)
		i++;
	if (i + 1 >= sizeof(p->keywords) / sizeof(p->keywords[0]))
		return;
	p->keywords[i] = keyword;
	p->values[i] = value;
	if (i == p->n)
		p->n++;
}

static void params_default(struct params *p, const char *keyword, const char *value)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->keywords[i], keyword) == 0)
			return;
	params_set(p, keyword, value);
}

static bool is_socket(const struct candidate *c)
{
	return !c->hostaddr && (!c->host || c->host[0] == '/' || c->host[0] == '@');
}

static bool is_verified(const struct params *p)
{
	for (unsigned i = 0; i < p->n; i++)
		if (strcmp(p->keywords[i], "sslmode") == 0)
			return strncmp(p->values[i], "verify-", strlen("verify-")) == 0;
	return false;
}

/* What the configuration did not say. */
static void set_defaults(struct params *p, const struct session *s, const struct candidate *c)
{
	params_default(p, "dbname", "postgres");
	params_default(p, "sslmode", is_socket(c) ? "prefer" : "verify-full");
	/* Never a password in clear text to a server that has not proved who it is; GSSAPI would block. */
	if (PQlibVersion() >= 160000)
		params_default(p, "require_auth", is_socket(c) || is_verified(p) ? "!gss,!sspi" : "!password,!gss,!sspi");
	params_default(p, "keepalives", "1");
	params_default(p, "keepalives_idle", "30");
	params_default(p, "keepalives_interval", "10");
	params_default(p, "keepalives_count", "3");
	params_default(p, "tcp_user_timeout", "30000");
	params_set(p, "gssencmode", "disable");        /* its library blocks */
	params_set(p, "passfile", "/dev/null/none");   /* cannot exist: "" would mean ~/.pgpass */
	params_set(p, "application_name", s->config.application_name);
	params_set(p, "client_encoding", s->config.for_migrations ? "UTF8" : "SQL_ASCII");
}

static PGconn *start(struct session *s, const PQconninfoOption *options, const struct candidate *c)
{
	struct params p = { .n = 0 };
	PGconn *conn;
	void *scratch = talloc_new(NULL);

	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (o->val && o->val[0] && strcmp(o->keyword, "connect_timeout") != 0)
			params_set(&p, o->keyword, o->val);
	params_set(&p, "host", c->host);
	params_set(&p, "hostaddr", c->hostaddr);
	params_set(&p, "port", c->port);
	if (s->config.database)
		params_set(&p, "dbname", s->config.database);
	if (s->config.user)
		params_set(&p, "user", s->config.user);
	set_defaults(&p, s, c);
	params_set(&p, "options", session_options(scratch, s));
	if (s->config.password)
		params_set(&p, "password", s->config.password);
	conn = PQconnectStartParams(p.keywords, p.values, 0);
	talloc_free(scratch);
	return conn;
}

static char *part(void *parent, const char *list, unsigned i)
{
	size_t len;

	if (!list)
		return NULL;
	for (; i > 0 && *list; list++)
		i -= *list == ',';
	len = i == 0 ? strcspn(list, ",") : 0;
	return len > 0 ? talloc_strndup(parent, list, len) : NULL;
}

static unsigned parts(const char *list)
{
	unsigned n = 1;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

static bool is_address(const char *host)
{
	unsigned char buf[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, host, buf) == 1 || inet_pton(AF_INET6, host, buf) == 1;
}

static void list_hosts(struct connecting *c, const PQconninfoOption *options)
{
	const char *host = conninfo_value(options, "host"), *hostaddr = conninfo_value(options, "hostaddr");
	const char *port = conninfo_value(options, "port");
	const unsigned n_ports = parts(port);

	c->n_hosts = parts(hostaddr) > parts(host) ? parts(hostaddr) : parts(host);
	if (c->n_hosts > CANDIDATES_MAX)
		c->n_hosts = CANDIDATES_MAX;
	c->hosts = talloc_zero_array(c, struct host, c->n_hosts);
	for (unsigned i = 0; i < c->n_hosts; i++) {
		struct host *h = &c->hosts[i];

		h->name = part(c, host, i);
		h->hostaddr = part(c, hostaddr, i);
		h->port = part(c, port, n_ports == 1 ? 0 : i);
		h->look_up = h->name && !h->hostaddr && h->name[0] != '/' && h->name[0] != '@' && !is_address(h->name);
	}
}

static void add_candidate(struct connecting *c, const struct host *h, const char *hostaddr)
{
	if (c->n >= CANDIDATES_MAX)
		return;
	c->candidates = talloc_realloc(c, c->candidates, struct candidate, c->n + 1);
	c->candidates[c->n++] = (struct candidate){ .host = h->name, .hostaddr = hostaddr, .port = h->port };
}

/* The configuration has checked it: what is left to refuse are keywords of a later libpq than the one that runs. */
static PQconninfoOption *parse(struct session *s)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(s->config.conninfo ? s->config.conninfo : "", &message);

	PQfreemem(message);                    /* it may quote a secret */
	if (!options)
		session_failf(s, FAILURE_INTERNAL, NULL, "conninfo has a keyword that this libpq (%s) does not know", session_library_version());
	return options;
}

static void attempt_failed(struct session *s, msec_t now);

/* Begins the attempt at the next address, or fails with what the last one said. */
static void next_attempt(struct session *s, msec_t now, enum failure failure, const struct error *err)
{
	struct connecting *c = s->connecting;
	PQconninfoOption *options;
	msec_t share;

	if (s->conn)
		PQfinish(s->conn);
	s->conn = NULL;
	s->fd = -1;
	if (c->next >= c->n || now >= s->deadline) {
		session_fail(s, failure, err);
		return;
	}
	if (err)
		s->error = *err, s->failure = failure;
	options = parse(s);
	if (!options)
		return;
	share = (s->deadline - now) / (c->n - c->next);
	c->attempt_deadline = now + (share > ATTEMPT_MIN ? share : ATTEMPT_MIN);
	s->conn = start(s, options, &c->candidates[c->next++]);
	PQconninfoFree(options);
	if (!s->conn) {
		session_failf(s, FAILURE_INTERNAL, NULL, "out of memory");
		return;
	}
	PQsetErrorVerbosity(s->conn, PQERRORS_VERBOSE);
	PQsetNoticeReceiver(s->conn, message_receive_notice, s);
	s->fd = PQsocket(s->conn);
	s->epoch++;
	s->wants = SESSION_WRITE;              /* libpq: as if the first poll had asked for it */
	if (PQstatus(s->conn) == CONNECTION_BAD)
		attempt_failed(s, now);        /* refused at once: no socket to wait for */
}

/* The server has spoken and will say the same at every address; a standby or a server that starts may have a better sibling. */
static bool is_final(enum failure failure, const struct error *err)
{
	return err->sqlstate[0] && failure != FAILURE_STARTING && failure != FAILURE_TOO_MANY;
}

static void attempt_failed(struct session *s, msec_t now)
{
	struct error err;
	const enum failure failure = message_from_connect(PQerrorMessage(s->conn), &err);

	if (is_final(failure, &err))
		session_fail(s, failure, &err);
	else
		next_attempt(s, now, failure, &err);
}

/* There is SQL for these, and for no others. */
static bool version_is_known(struct session *s)
{
	const char *text = PQparameterStatus(s->conn, "server_version");

	s->server_version = PQserverVersion(s->conn);
	if (s->server_version >= VERSION_MIN && s->server_version <= VERSION_MAX)
		return true;
	session_failf(s, FAILURE_INTERNAL, "PostgreSQL 14 to 18 are supported", "the server says that its version is '%.40s'", text ? text : "");
	return false;
}

static void connected(struct session *s)
{
	PQsetErrorVerbosity(s->conn, PQERRORS_DEFAULT);
	TALLOC_FREE(s->connecting);
	s->failure = FAILURE_NONE;
	error_clear(&s->error);
	if (PQsetnonblocking(s->conn, 1) != 0) {
		session_failf(s, FAILURE_INTERNAL, NULL, "the socket cannot be made non-blocking");
		return;
	}
	if (!version_is_known(s))
		return;
	s->fd = PQsocket(s->conn);
	s->epoch++;
	session_ready(s);
}

/* libpq may close the socket and open another one under the same number: every poll counts as a new one. */
static bool poll_attempt(struct session *s, msec_t now)
{
	const PostgresPollingStatusType status = PQconnectPoll(s->conn);

	s->fd = PQsocket(s->conn);
	s->epoch++;
	switch (status) {
	case PGRES_POLLING_READING:
		s->wants = SESSION_READ;
		return false;
	case PGRES_POLLING_WRITING:
		s->wants = SESSION_WRITE;
		return false;
	case PGRES_POLLING_OK:
		connected(s);
		return false;
	default:
		attempt_failed(s, now);
		return s->state == SESSION_CONNECTING;
	}
}

/* Hosts up to the first that must be looked up, and that one; true when it must be waited for. */
static bool collect_candidates(struct session *s)
{
	struct connecting *c = s->connecting;

	for (; c->host < c->n_hosts; c->host++) {
		const struct host *h = &c->hosts[c->host];
		int r;

		if (!h->look_up) {
			add_candidate(c, h, h->hostaddr);
			continue;
		}
		r = lookup_start(c, h->name, &c->lookup);
		if (r < 0) {
			error_clear(&s->error);
			error_set(&s->error, "cannot look up host \"%s\": %s", h->name, strerror(-r));
			s->failure = FAILURE_CONNECT;
			continue;
		}
		s->fd = lookup_fd(c->lookup);
		s->wants = SESSION_READ;
		s->epoch++;
		return true;
	}
	return false;
}

static void take_addresses(struct session *s)
{
	struct connecting *c = s->connecting;
	const struct host *h = &c->hosts[c->host];
	const char *reason = "";
	char **addresses;
	unsigned n;

	switch (lookup_result(c->lookup, c, &addresses, &n, &reason)) {
	case 0:
		for (unsigned i = 0; i < n; i++)
			add_candidate(c, h, addresses[i]);
		break;
	case 1:
		return;
	default:
		error_clear(&s->error);
		error_set(&s->error, "host \"%s\" was not found: %s", h->name, reason);
		error_hint(&s->error, "check host in conninfo, or give hostaddr");
		s->failure = FAILURE_CONNECT;
		break;
	}
	TALLOC_FREE(c->lookup);
	c->host++;
}

static void begin(struct session *s, msec_t now)
{
	const struct error err = s->error;

	if (!collect_candidates(s))
		next_attempt(s, now, s->failure, &err);
}

int session_connect(struct session *s, msec_t now)
{
	PQconninfoOption *options;
	const char *timeout;

	if (s->state != SESSION_CLOSED && s->state != SESSION_FAILED)
		return 1;
	session_close(s);
	options = parse(s);
	if (!options)
		return 0;
	s->state = SESSION_CONNECTING;
	error_clear(&s->farewell);
	timeout = conninfo_value(options, "connect_timeout");
	s->deadline = now + (timeout && strtol(timeout, NULL, 10) > 0 ? strtol(timeout, NULL, 10) * 1000
								      : s->config.connect_timeout);
	s->connecting = talloc_zero(s, struct connecting);
	s->connecting->attempt_deadline = MSEC_NEVER;
	list_hosts(s->connecting, options);
	PQconninfoFree(options);
	begin(s, now);
	return 0;
}

bool session_connect_turn(struct session *s, unsigned ready, msec_t now)
{
	if (!(ready & s->wants))
		return false;
	if (!s->connecting->lookup)
		return poll_attempt(s, now);
	take_addresses(s);
	if (s->connecting->lookup)
		return false;
	begin(s, now);
	return false;
}

void session_connect_timeout(struct session *s, msec_t now)
{
	struct connecting *c = s->connecting;
	const char *at = c->next > 0 ? c->candidates[c->next - 1].hostaddr : NULL;
	struct error err;

	if (!at && c->next > 0)
		at = c->candidates[c->next - 1].host;
	error_clear(&err);
	if (c->lookup)
		error_set(&err, "host \"%s\" was not found in time: the name server does not answer", c->hosts[c->host].name);
	else
		error_set(&err, "\"%s\" did not complete the connection in time", at ? at : "the local socket");
	error_hint(&err, "%s", failure_hint(FAILURE_TIMEOUT));
	next_attempt(s, now, FAILURE_TIMEOUT, &err);
}
