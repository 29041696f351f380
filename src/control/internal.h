/* SPDX-License-Identifier: PostgreSQL */
/*
 * Inside of control/: endpoints, clients, requests, and what routes use to
 * answer. Callbacks of libevent only note what came; control_turn() works.
 */
#ifndef DBR_CONTROL_INTERNAL_H
#define DBR_CONTROL_INTERNAL_H

#include <event2/buffer.h>
#include <event2/bufferevent.h>
#include <event2/event.h>
#include <event2/http.h>
#include <event2/listener.h>
#include <jansson.h>
#include <sys/socket.h>
#include <sys/types.h>

#include "control/control.h"
#include "dbreconcile/protocol.h"

/* How long a client may take from connect to the end of its request, and to read the answer. */
#define REQUEST_DEADLINE_MS (10 * 1000)
#define ANSWER_DEADLINE_MS  (30 * 1000)
/* While somebody is connected the loop turns at least this often, else once a second. */
#define TICK_MS             250
#define TICK_IDLE_MS        1000
/* One uid may hold this many of the DBR_CLIENTS_MAX connections of a socket. */
#define CLIENTS_PER_UID     48
/* A follower that reads slower than events come is dropped at this much unread output. */
#define STREAM_UNREAD_MAX   (1024 * 1024)

enum reject_reason { REJECT_EVICTED, REJECT_UID_LIMIT, REJECT_DEADLINE, REJECT_DESCRIPTORS, REJECT_SLOW_READER, REJECT_GONE, REJECT_REASONS };

struct control;
struct request;

struct param {
	const char *key, *value;
};

/* One row of the API. */
struct route {
	const char *method;            /* "GET" (HEAD as well) or "POST" */
	const char *path;              /* "{...}" is one percent-encoded segment */
	const char *verb;              /* the label of the request counter */
	bool writes;                   /* the peer needs authority */
	bool on_metrics;               /* served by the metrics sockets, too */
	const char *params;            /* names that are known, each followed by a space; '*' = may be repeated */
	void (*handler)(struct request *);
};
extern const struct route routes[];
extern const unsigned n_routes;

struct endpoint {
	struct control *control;
	const char *name;              /* "control", "metrics", "metrics_listen" */
	bool full;                     /* all routes, and peers have credentials */
	struct evhttp *http;
	struct evconnlistener *listener;
	bool waited;                   /* somebody waited to be accepted at the last tick */
	char *unlink_path;             /* bound by us */
	struct client *clients;
	unsigned n_clients;
	msec_t descriptors_logged;
};

struct client {
	struct client *next;
	struct endpoint *endpoint;
	struct bufferevent *bev;       /* our own reference; evhttp has let go when its callbacks are unset */
	uint64_t serial;               /* order of arrival */
	msec_t deadline;
	bool met;                      /* was looked at after accept */
	bool known;                    /* its uid is known */
	uid_t uid;
	bool answered, doomed;
	struct request *request;       /* complete and not answered yet */
	struct request *finished;      /* answered; freed when its handler has returned */
};

struct request {
	struct client *client;
	struct control *control;
	struct evhttp_request *http;
	const struct route *route;
	bool started, head;
	char *segment;                 /* decoded {…} of the path */
	struct param *params;
	unsigned n_params;
	char *actor;                   /* "uid 1000 (alice)" */
	/* Called once per turn until it answers. */
	void (*poll)(struct request *, msec_t now);
	void *waiting;                 /* what poll keeps, a talloc child of the request */
	bool streaming;
};

struct control {
	struct event_base *base;
	struct engine *engine;
	struct event *tick;
	msec_t tick_period;
	bool ticked;
	int lock_fd, metrics_lock_fd;
	msec_t now, started;
	int64_t started_wall;
	struct endpoint endpoints[3];
	unsigned n_endpoints;
	uint64_t serial;
	uint64_t rejected[REJECT_REASONS];
	uint64_t *counts;              /* [n_routes + 1][CODES] */
	/* what was bound or opened at the start: a reload cannot change it */
	struct control_settings first;
	const char *first_state_file;
	/* admin_groups of one settings generation as numbers */
	uint64_t groups_generation;
	gid_t *groups;
	unsigned n_groups;
};

/* bind.c: a listening socket at path, or 1 with err. lock: take the lock beside it first and keep it. */
int bind_unix(void *parent, const char *path, mode_t mode, int *lock_fd, int *ret_fd, struct error *err);
mode_t bind_metrics_mode(const char *path);
void bind_give_to_group(const char *path, const char *group);
int bind_loopback(const char *address, int *ret_fd, struct error *err);

/* server.c */
int endpoint_start(struct control *, const char *name, bool full, int fd, const char *unlink_path, struct error *err);
void endpoint_stop(struct endpoint *);
void endpoint_turn(struct endpoint *, msec_t now, bool ticked);

/* control.c */
void control_again(struct control *);           /* turn once more without waiting */

/* request.c: path and arguments. 0 ok; 1 not acceptable: err says why. */
const struct route *route_find(const struct route *table, unsigned n, const char *method, const char *path, void *parent,
			       char **ret_segment, const char **ret_allow, struct error *err);
int params_parse_query(void *parent, const char *query, struct param **v, unsigned *n, struct error *err);
int params_parse_json(void *parent, const char *body, size_t len, struct param **v, unsigned *n, struct error *err);
int params_check(const char *known, const struct param *v, unsigned n, struct error *err);
const char *request_param(const struct request *, const char *key);      /* NULL when absent */
bool request_flag(const struct request *, const char *key);              /* present and not 0, false, no, off */
/* Values of a repeated parameter: walks from *cursor = 0; NULL at the end. */
const char *request_param_next(const struct request *, const char *key, unsigned *cursor);
/* Seconds ("90") or a span ("90s", "2h"). 1 when neither. */
int parse_span(const char *text, msec_t *ret);

/* authority.c */
int peer_credentials(int fd, struct ucred *ret);
bool peer_may_write(struct control *, int fd, const struct ucred *);
char *peer_actor(void *parent, const struct ucred *);

/* dispatch.c */
void request_begin(struct request *, msec_t now);

/* reply.c: the columns of the counter of answers */
#define CODES 14
unsigned code_column(int code);
int code_of_column(unsigned column);

/* reply.c: each answers once and ends the request, which lives until the handler returns; documents are stolen. */
void reply_json(struct request *, int code, json_t *document);
void reply_buffer(struct request *, int code, const char *content_type, struct evbuffer *);
void reply_text(struct request *, int code, const char *text);
void reply_error(struct request *, int code, const char *hint, const char *format, ...) __attribute__((format(printf, 4, 5)));
void reply_refusal(struct request *, int code, const struct error *);    /* text and hint of an error */
void reply_config_errors(struct request *, const struct config_errors *);
const struct target_view *request_target(struct request *);             /* of the path; answers 404 itself and returns NULL */
/* Streams: begin, lines, end. */
void stream_begin(struct request *, const char *content_type);
void stream_line(struct request *, json_t *document);
void stream_keep_alive(struct request *);

/* How documents are written. */
#define DOCUMENT_FLAGS (JSON_COMPACT | JSON_REAL_PRECISION(DBR_REAL_DIGITS))
/* json.c: values. Texts from servers become valid UTF-8, NULL becomes null. */
json_t *json_document(const char *format);
json_t *json_text(const char *);
json_t *json_time(int64_t wall_ms);
json_t *json_seconds(msec_t);
json_t *json_microseconds(int64_t us);    /* as seconds */
void put_text(json_t *object, const char *key, const char *value);
void put_int(json_t *object, const char *key, int64_t value);
void put_bool(json_t *object, const char *key, bool value);
void put_time(json_t *object, const char *key, int64_t wall_ms);
const char *mode_name(enum run_mode);
const char *version_text(int version_num, char *buf, size_t size);       /* "15.8" */

/* document_*.c, events.c */
json_t *document_row(const struct target_view *);
json_t *document_waiting(const struct wave_wait *);
json_t *document_fleet_row(const struct target_view *);    /* NULL: it has no migrations */
json_t *document_findings(const struct migration_finding *, uint32_t n, const char *script);
json_t *document_change(void *parent, const struct plan *, const struct change *, int version_num, bool sql);
json_t *document_plan_id(const struct plan *);
/* {"count", "names"}; NULL is none. */
json_t *document_names(const struct name_list *);
/* NULL is none; the other is null where nothing is watched. */
json_t *document_schema_changes(const struct schema_diff *);
json_t *document_schema(const struct target_view *, const struct migration_settings *);
json_t *document_migration_counts(const struct migration_list *);
void event_fill(json_t *object, const struct event *);
const struct migration_settings *migration_settings_of(const struct settings *, const struct target_view *);

/* handlers of the table */
void get_status(struct request *);
void get_fleet(struct request *);
void post_release(struct request *);
void post_accept_schema(struct request *);
void get_targets(struct request *);
void get_target(struct request *);
void get_access(struct request *);
void get_import(struct request *);
void get_plan(struct request *);
void get_migrations(struct request *);
void get_events(struct request *);
void get_config(struct request *);
void get_ping(struct request *);
void get_version(struct request *);
void post_reconcile(struct request *);
void post_reload(struct request *);
void post_suspend(struct request *);
void post_resume(struct request *);
void post_approve(struct request *);
void post_reject(struct request *);
void post_undo(struct request *);
void post_ledger_order(struct request *);
void get_metrics(struct request *);
void get_livez(struct request *);
void get_readyz(struct request *);

/* wait.c: waits until passes that begin from now on have ended on all the targets. */
struct pass_wait;
struct pass_wait *pass_wait_new(void *parent, struct engine *, const char *const *targets, unsigned n);
bool pass_wait_done(struct pass_wait *, const struct engine *);
json_t *pass_wait_rows(const struct pass_wait *, const struct engine *, bool waited);

#endif
