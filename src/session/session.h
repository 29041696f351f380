/* SPDX-License-Identifier: PostgreSQL */
/*
 * One connection to one database. The only folder that includes libpq-fe.h.
 * A session is pulled: submit work, turn it when its socket is ready or its
 * deadline has come, take outcomes; it never calls up.
 *
 *   closed -> connecting -> ready <-> running;  any -> failed -> closed
 *
 * libpq's and the server's own timeouts are not enough (a frozen peer is not
 * noticed by either): every wait has a monotonic deadline here.
 */
#ifndef DBR_SESSION_SESSION_H
#define DBR_SESSION_SESSION_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"
#include "model/rowset.h"

enum session_state { SESSION_CLOSED, SESSION_CONNECTING, SESSION_READY, SESSION_RUNNING, SESSION_FAILED };

/* Why a session or a statement failed, for backoff, metrics and what to tell people. */
enum failure {
	FAILURE_NONE,
	FAILURE_CONNECT,          /* refused, unreachable, name not found, lost */
	FAILURE_TIMEOUT,          /* our deadline */
	FAILURE_AUTH,             /* 28xxx */
	FAILURE_TOO_MANY,         /* 53300 */
	FAILURE_STARTING,         /* 57P03, 57P01: later */
	FAILURE_PERMISSION,       /* 42501 */
	FAILURE_LOCK,             /* 55P03, 40P01 */
	FAILURE_CONFLICT,         /* 40001, XX000 "tuple concurrently ...", 23505 in pg_catalog */
	FAILURE_IDENTITY,         /* not the primary, other cluster, pooler in between */
	FAILURE_NO_DATABASE,      /* 3D000 */
	FAILURE_SQL,              /* any other SQLSTATE */
	FAILURE_INTERNAL,
};
/* "connect", "timeout", "auth", ...: the metrics label. */
const char *failure_name(enum failure);
/* May the same work be tried again by itself? */
bool failure_is_transient(enum failure);
enum failure failure_from_sqlstate(const char *sqlstate, const char *message);

struct session_config;
/* The environment of a client program (pg_dump in a hook) that is to connect as a session with this configuration would: ours
   without what is meant for us alone, and PGHOST, PGPORT, PGUSER, PGDATABASE, PGSSLMODE ... The password comes from passfile
   (NULL = none), never from here. A NULL-terminated talloc array; NULL when conninfo is not valid. */
char **session_environment(void *parent, const struct session_config *, const char *passfile);

/* "15.8": the libpq that runs. */
const char *session_library_version(void);

struct session_config {
	const char *name;              /* for messages: "prod/orders" */
	const char *conninfo;          /* keyword form, as conninfo_check() of config/conninfo.c accepts it. What it does not say: sslmode is
	                                  verify-full unless host is a Unix socket; passwords are never sent in clear text where the
	                                  server is not verified (libpq 16 and later); keepalives after 30 s; no ~/.pgpass, no GSSAPI.
	                                  Its connect_timeout, when there, replaces the one below. */
	const char *database;          /* overrides dbname; NULL = as in conninfo, else postgres */
	const char *user;              /* overrides user; NULL = as in conninfo */
	const char *password;          /* NULL = none; copied, wiped when the session is freed */
	const char *application_name;  /* NULL = "dbreconciled", or "dbreconciled migrations" */
	int version_num;               /* 0 = not known yet: a first, short list of pinned settings, for a database whose owner is
	                                  trusted (the maintenance database): the owner of another one could end the connection by
	                                  transaction_timeout. A server that was downgraded since refuses unknown ones: 42704 */
	bool superuser;                /* known to be: pins what only a superuser may */
	bool for_migrations;           /* the migration user's own connection: search_path and most settings stay the user's */
	/* connect_timeout: look-up, TCP, TLS and authentication of all addresses together; <= 0 is 10 s. The other two are set on
	   the server; <= 0 is 500 ms and 30 s, for migrations: as the user has them. */
	msec_t connect_timeout, lock_timeout, statement_timeout;
};

/*
 * client_encoding is SQL_ASCII: bytes come and go as they are stored. Names in shared catalogs have no encoding of their own,
 * and one role that was created in a LATIN1 database makes every read of pg_roles fail under UTF8;
 * so nothing is converted, what is not valid UTF-8 is escaped when shown, and in a database with another encoding names beyond
 * ASCII are compared as bytes. For migrations it is UTF8, as the files are.
 */

struct session;

/* Once, at start: PG* variables would otherwise change every connection behind the configuration's back. Also keeps GSSAPI from
   finding credentials, because its library would talk to the network while the loop waits. */
void session_environment_clear(void);

/* Copies the configuration. Closed until session_connect(). Freed with talloc_free: closes the socket. */
struct session *session_new(void *parent, const struct session_config *);
/* 0 connecting (or failed already: see session_state); 1 not closed or failed. */
int session_connect(struct session *, msec_t now);
enum session_state session_state(const struct session *);
/* The socket and what to wait for (EV-independent bits); the fd may change while connecting, even under the same number. */
#define SESSION_READ 1
#define SESSION_WRITE 2
int session_fd(const struct session *);
unsigned session_wants(const struct session *);
/* Counts up each time the socket is a new one: watchers must be registered anew (libpq reuses fd numbers). */
unsigned session_socket_epoch(const struct session *);
msec_t session_deadline(const struct session *);       /* MSEC_NEVER when nothing is under way */
/* Moves bytes and the state; true when it must be turned again without waiting. Never blocks. Host names are looked up in a
   thread; several hosts or addresses are tried one after the other, each for its share of connect_timeout. In READY it notices
   that the server went away. When a deadline passes the socket is closed and the session is FAILED with FAILURE_TIMEOUT. */
bool session_turn(struct session *, unsigned ready, msec_t now);
const struct error *session_error(const struct session *);
enum failure session_failure(const struct session *);
int session_server_version(const struct session *);
int session_backend_pid(const struct session *);
void session_close(struct session *);

/* The settings that startup options pin for this connection, so that `ALTER DATABASE ... SET` by a database's owner is without
   effect. shown is what current_setting(name) must return; NULL = do not compare (depends on the socket). */
struct pinned_setting {
	const char *name, *value, *shown;
};
const struct pinned_setting *session_pinned(const struct session *, unsigned *n);

struct statement {
	const char *name;              /* BATCH_PIPELINE: prepared under this name on first use and kept; NULL = unprepared */
	const char *sql;
	unsigned n_params;
	const char *const *params;
};

enum batch_mode {
	BATCH_PIPELINE,                /* all statements and one sync: an error skips the rest */
	BATCH_SCRIPT,                  /* one text by the simple protocol: the server splits it; COPY data is fed from copies */
	BATCH_ALONE,                   /* one statement by the extended protocol, outside a pipeline */
};

/* Data of one COPY ... FROM stdin of a script, in the order of the statements. The caller took it out of the text
   (migrate/: struct script_copy), so that the text holds SQL only and positions in it stay true. */
struct copy_data {
	const char *data;
	size_t len;
};

struct batch {
	enum batch_mode mode;
	const struct statement *statements;
	unsigned n;
	const struct copy_data *copies;   /* BATCH_SCRIPT: fed one at each COPY IN; more COPYs than data = that COPY fails */
	unsigned n_copies;
	msec_t budget;                 /* our deadline for the whole batch; <= 0 = the session's statement_timeout + 5 s */
};

enum outcome_status { OUTCOME_ROWS, OUTCOME_DONE, OUTCOME_ERROR, OUTCOME_SKIPPED };

/* One finished statement, in order. Belongs to the caller: talloc_free releases the PGresult and the rowset over it. */
struct outcome {
	unsigned index;                /* of the statement in its batch; script: of the statement in the text */
	bool last;                     /* the batch is over */
	enum outcome_status status;
	struct rowset rows;            /* OUTCOME_ROWS; at most 5 million rows, 200 MiB: the session fails beyond */
	const char *command_tag;
	struct error error;            /* OUTCOME_ERROR: text, sqlstate; script: position */
	unsigned position;             /* 1-based character of the text, 0 = none */
	enum failure failure;
	const char *notice;            /* first WARNING of the statement, or NULL: in an apply it is a failure. In a script it
	                                  may stand at the statement before, as libpq reads ahead. */
	char notice_sqlstate[6];
};

/* Copies nothing: statements and their texts must live until the last outcome. 0 ok; 1 busy or not ready; -EINVAL no or too
   many statements for the mode, a statement over 1 MiB (outside a pipeline, where statements of files run: 64 MiB), or two texts under one name.
   An error at the very end of a pipeline (COMMIT of its implicit transaction failed) is the last outcome's.
   A session that fails in the middle gives the outcomes it has and no last one: look at session_state(). */
int session_submit(struct session *, const struct batch *, msec_t now);
/* The next outcome as a talloc child of parent, or NULL when there is none yet. */
struct outcome *session_next(struct session *, void *parent);
/* The status of the transaction: 'I' idle, 'T' in a transaction, 'E' failed, '?' unknown. */
char session_transaction(const struct session *);
/* A setting that the server reports with its answers (client_encoding ...), or NULL. */
const char *session_parameter(const struct session *, const char *name);

#endif
