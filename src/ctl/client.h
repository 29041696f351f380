/* SPDX-License-Identifier: PostgreSQL */
/*
 * HTTP requests to the daemon over its Unix sockets, several at a time where
 * that helps. The only file that includes curl. Answers are bounded and
 * checked for their format before anybody looks inside.
 */
#ifndef DBR_CTL_CLIENT_H
#define DBR_CTL_CLIENT_H

#include "ctl/ctl.h"

struct answer {
	int exit;              /* 0, or the exit code of what went wrong */
	long http;             /* 0 = no answer */
	json_t *doc;           /* owned by the answer; NULL when it is not JSON */
	char *body;            /* terminated; a talloc child of the answers' array */
	size_t len;
	char text[1024];       /* what went wrong, for people, not escaped */
	char hint[512];
};

struct request {
	const char *method;            /* "GET" or "POST" */
	const char *path;              /* with the query */
	const char *format;            /* "status": dbreconcile.status is expected; NULL = any text */
	bool metrics;                  /* on the metrics socket */
	bool unlimited;                /* no time limit of ours unless -t was given */
	/* Streams: called with each whole line; false ends the request. */
	bool (*line)(void *data, const char *line, size_t len);
	void *data;
	/* Called now and then while waiting, for progress. */
	void (*tick)(struct ctl *, void *data);
};

/* Before and after everything else here; start: 0, or an exit code, having complained. */
int client_start(struct ctl *);
void client_stop(struct ctl *);

/* Sends one request; never complains itself. Free with answer_free(). */
struct answer *client_send(struct ctl *, const struct request *);
/* n GETs of one format, some at a time; a talloc array of n answers, in order. */
struct answer *client_get_all(struct ctl *, const char *const *paths, unsigned n, const char *format);
void answer_free(struct answer *);
/* Says on stderr what went wrong, every reason of it. Returns answer->exit. */
int answer_complain(const struct answer *);

/* The usual case: 0 and a document to json_decref(), or an exit code, having complained. */
int client_get(struct ctl *, const char *path, const char *format, json_t **ret);
int client_post(struct ctl *, const char *path, const char *format, json_t **ret);

/* Paths: client_path(ctl, DBR_PATH_TARGETS, "prod/orders", "plan") -> "/v1/targets/prod%2Forders/plan". Lives in scratch. */
struct text *client_path(struct ctl *, const char *base, const char *segment, const char *suffix);
/* "?name=value" or "&name=value", encoded. */
void client_query(struct text *path, const char *name, const char *value);
/* Versions of the libraries, for `version`. */
const char *client_library(void);

#endif
