/* SPDX-License-Identifier: PostgreSQL */
/*
 * The inside of a session, shared by the files of this folder only. connect.c brings it to READY, batch.c and script.c run
 * batches, pin.c knows the settings, message.c turns what servers say into struct error.
 */
#ifndef DBR_SESSION_PRIVATE_H
#define DBR_SESSION_PRIVATE_H

#include <libpq-fe.h>
#include <stddef.h>

#include "base/text.h"
#include "session/lookup.h"
#include "session/session.h"

/* What a server may make us keep, whatever it sends. */
#define SERVER_TEXT_MAX 1000u                  /* of one message, hint or notice */
#define ANSWER_ROWS_MAX 5000000u
#define ANSWER_BYTES_MAX (200u << 20)
#define MESSAGE_BYTES_MAX (64u << 20)          /* of one row, error or notice, on the wire */
#define STATEMENT_BYTES_MAX (1u << 20)         /* far below where 32-bit message lengths could wrap */
#define SCRIPT_BYTES_MAX (64u << 20)
/* What one turn may do before others get theirs. */
#define RESULTS_PER_TURN 2048u
#define STATEMENTS_PER_TURN 512u
#define COPY_BYTES_PER_TURN (1u << 20)

struct candidate {
	const char *host, *hostaddr, *port;    /* any may be NULL: libpq's default */
};

/* One name of a comma separated host list. */
struct host {
	const char *name, *hostaddr, *port;
	bool look_up;
};

struct connecting {
	struct host *hosts;
	unsigned n_hosts, host;                /* host: the one that is being looked up */
	struct lookup *lookup;
	struct candidate *candidates;
	unsigned n, next;
	msec_t attempt_deadline;
};

enum piece { PIECE_PREPARE, PIECE_EXECUTE, PIECE_SYNC };

/* What was sent and waits for its answer, in order. */
struct flight {
	enum piece piece;
	unsigned index;
	bool answered;                         /* its outcome exists: whatever follows is only the end of it */
};

struct prepared {
	const char *name;
	uint64_t hash;                         /* of the text: one name is one text */
	bool ready;                            /* the server said so; else its Parse is under way */
	struct prepared *next;
};

struct queued {
	struct outcome *outcome;
	struct queued *next;
};

struct running {
	struct batch batch;
	struct flight *flights;
	unsigned n_flights, head;              /* sent; answered */
	unsigned to_send;                      /* next statement of the batch */
	unsigned next_index;                   /* script: number of the next outcome */
	bool all_sent;
	struct outcome *held;                  /* given out only when it is known whether it is the last */
	struct rows *rows;                     /* of the statement whose rows are coming */
	char *notice;
	char notice_sqlstate[6];
	/* script */
	unsigned next_copy;                    /* of the batch's copies */
	size_t copied;                         /* bytes of it that libpq has */
	bool copying_in, copying_out;
};

struct session {
	struct session_config config;          /* own copies of the texts */
	enum session_state state;
	PGconn *conn;
	int server_version;                    /* as it connected: what the server says later may be anything */
	int fd;
	unsigned wants, epoch;
	msec_t deadline;
	struct connecting *connecting;
	struct running *running;
	struct prepared *prepared;
	struct queued *first, **last;
	struct pinned_setting *pinned;
	unsigned n_pinned;
	struct error error;
	enum failure failure;
	uint64_t received;                     /* bytes on the socket when the last result was complete */
	struct error farewell;                 /* a FATAL that came while nothing ran: why the socket closed afterwards */
};

/* session.c */
void session_fail(struct session *, enum failure, const struct error *);
void session_failf(struct session *, enum failure, const char *hint, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
void session_lost(struct session *);                   /* the connection broke: says why as well as libpq knows */
void session_give(struct session *, struct outcome *);
void session_ready(struct session *);

/* environment.c: NULL = not given, or empty */
const char *conninfo_value(const PQconninfoOption *, const char *keyword);

/* connect.c */
bool session_connect_turn(struct session *, unsigned ready, msec_t now);
void session_connect_timeout(struct session *, msec_t now);

/* batch.c */
bool session_batch_turn(struct session *);
struct outcome *session_outcome(struct session *, unsigned index, const PGresult *);
/* Takes the rows of a result over; false when the session failed because there are too many. */
bool session_keep_rows(struct session *, const PGresult *);
void session_hold(struct session *, struct outcome *);  /* gives the one that was held, holds this */
void session_end_batch(struct session *);

/* flood.c */
void session_flood_begin(struct session *);
bool session_is_flooded(const struct session *);

/* script.c: one turn of a batch that is not a pipeline. */
bool session_script_turn(struct session *);

/* pin.c */
void session_pin(struct session *);
char *session_options(void *parent, const struct session *);

/* message.c */
void message_from_result(const PGresult *, bool with_context, struct error *, unsigned *ret_position);
/* The text of a failed connection attempt, made with PQERRORS_VERBOSE so that the SQLSTATE is in it. */
enum failure message_from_connect(const char *message, struct error *);
void message_receive_notice(void *session, const PGresult *);

/* failure.c */
const char *failure_hint(enum failure);

/* rows.c */
struct rows *rows_new(void *parent, unsigned columns);
/* 0 ok; 1 over the limit. A row without columns counts too. */
int rows_add(struct rows *, const PGresult *, int row);
void rows_view(const struct rows *, struct rowset *ret);

static inline void pgresult_clear(PGresult **res)
{
	PQclear(*res);
}
#define _cleanup_pgresult_ __attribute__((cleanup(pgresult_clear)))

#endif
