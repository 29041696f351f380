/* SPDX-License-Identifier: PostgreSQL */
/* The history, at once or followed. */
#include "config.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "base/text.h"
#include "control/internal.h"

#define LIMIT_DEFAULT 1000u
#define LIMIT_MAX 10000u
#define FOLLOW_PORTION 200u
#define KEEP_ALIVE_MS (15 * 1000)

struct query {
	int64_t since_ms, after;
	bool has_after;
	uint32_t limit;
	const char **targets;
	unsigned n_targets;
};

struct follow {
	struct query query;
	uint64_t seen;                 /* state_events_changed() of the last look */
	msec_t last_sent;
	bool more;
};

void event_fill(json_t *object, const struct event *event)
{
	put_int(object, "id", event->id);
	put_time(object, "at", event->at_ms);
	put_text(object, "target", event->target && *event->target ? event->target : NULL);
	put_text(object, "kind", event->kind ? event->kind : "");
	put_text(object, "actor", event->actor ? event->actor : "daemon");
	put_text(object, "object", event->object ? event->object : "");
	put_text(object, "statement", event->statement);
	put_text(object, "inverse", event->inverse);
	put_text(object, "result", event->result ? event->result : "unknown");
	put_text(object, "sqlstate", event->sqlstate && *event->sqlstate ? event->sqlstate : NULL);
	put_text(object, "message", event->message);
	put_text(object, "plan", event->plan && *event->plan ? event->plan : NULL);
}

/* "2h" ago, or "2026-11-21T09:30:00Z", with or without the time and Z. */
static int parse_since(const char *text, int64_t *ret_ms)
{
	static const char *const formats[] = { "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%d %H:%M:%S", "%Y-%m-%dT%H:%MZ", "%Y-%m-%d" };
	msec_t span;

	if (duration_parse(text, &span) == 0) {
		*ret_ms = clock_wall() - span;
		return 0;
	}
	for (size_t i = 0; i < sizeof(formats) / sizeof(formats[0]); i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, formats[i], &tm);

		if (end && *end == '\0') {
			*ret_ms = (int64_t)timegm(&tm) * 1000;
			return 0;
		}
	}
	return 1;
}

static int parse_number(const char *text, int64_t max, int64_t *ret)
{
	char *end;
	long long value;

	if (*text < '0' || *text > '9' || strlen(text) > 18)
		return 1;
	value = strtoll(text, &end, 10);
	*ret = value;
	return *end != '\0' || value > max;
}

static bool is_named(const struct query *query, const char *target)
{
	for (unsigned i = 0; i < query->n_targets; i++)
		if (strcmp(query->targets[i], target) == 0)
			return true;
	return false;
}

static int parse_query(struct request *request, void *parent, struct query *ret, struct error *err)
{
	const char *since = request_param(request, "since"), *after = request_param(request, "after");
	const char *limit = request_param(request, "limit"), *target;
	unsigned cursor = 0;
	int64_t number = LIMIT_DEFAULT;

	if (since && parse_since(since, &ret->since_ms) != 0)
		error_set(err, "since is neither a span of time (\"2h\") nor a time (\"2026-11-21T09:30:00Z\")");
	if (after && parse_number(after, INT64_MAX, &ret->after) != 0)
		error_set(err, "after is not the id of an event");
	if (limit && (parse_number(limit, LIMIT_MAX, &number) != 0 || number == 0))
		error_set(err, "limit must be a number from 1 to %u", LIMIT_MAX);
	ret->has_after = after != NULL;
	ret->limit = (uint32_t)number;
	while ((target = request_param_next(request, "target", &cursor))) {
		if (is_named(ret, target))
			continue;              /* twice would be every event twice */
		ret->targets = talloc_realloc(parent, ret->targets, const char *, ret->n_targets + 1);
		ret->targets[ret->n_targets++] = talloc_strdup(parent, target);
	}
	return error_is_set(err);
}

static int compare_ids(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	return (x->id > y->id) - (x->id < y->id);
}

static int fetch_one(struct state *state, void *parent, const struct query *query, const char *target, struct event **ret, uint32_t *n)
{
	/* Without a place to go on from, the newest are wanted. */
	if (!query->has_after)
		return state_events_last(state, parent, query->since_ms, target, query->limit, ret, n);
	return state_events(state, parent, query->after, query->since_ms, target, query->limit, ret, n);
}

/* Of several targets: each one's, merged by id and cut to the limit at the end that is not wanted. */
static int fetch(struct state *state, void *parent, const struct query *query, struct event **ret, uint32_t *ret_n)
{
	struct event *all = NULL, *part;
	uint32_t n = 0, n_part;

	if (query->n_targets <= 1)
		return fetch_one(state, parent, query, query->n_targets ? query->targets[0] : NULL, ret, ret_n);
	for (unsigned i = 0; i < query->n_targets; i++) {
		int r = fetch_one(state, parent, query, query->targets[i], &part, &n_part);

		if (r < 0)
			return r;
		all = talloc_realloc(parent, all, struct event, n + n_part);
		if (n_part > 0)
			memcpy(all + n, part, n_part * sizeof(*part));
		n += n_part;
	}
	if (n > 0)
		qsort(all, n, sizeof(*all), compare_ids);
	*ret = n > query->limit && !query->has_after ? all + (n - query->limit) : all;
	*ret_n = n > query->limit ? query->limit : n;
	return 0;
}

static void answer_events(struct request *request, const struct query *query)
{
	json_t *document, *list;
	struct event *v;
	uint32_t n;
	int r = fetch(engine_state(request->control->engine), request, query, &v, &n);

	if (r < 0)
		return reply_error(request, 500, NULL, "the history cannot be read: %s", state_reason(r));
	document = json_document("dbreconcile.events");
	list = json_array();
	for (uint32_t i = 0; i < n; i++) {
		json_t *object = json_object();

		event_fill(object, &v[i]);
		json_array_append_new(list, object);
	}
	json_object_set_new(document, "events", list);
	json_object_set_new(document, "last_id", n ? json_integer(v[n - 1].id) : query->has_after ? json_integer(query->after) : json_null());
	reply_json(request, 200, document);
}

/* Sends one portion of what is new. */
static void send_new(struct request *request, struct follow *follow, msec_t now)
{
	struct state *state = engine_state(request->control->engine);
	void *scratch = talloc_new(request);
	struct event *v = NULL;
	uint32_t n = 0;

	follow->seen = state_events_changed(state);
	if (fetch(state, scratch, &follow->query, &v, &n) < 0)
		n = 0;
	for (uint32_t i = 0; i < n; i++) {
		json_t *line = json_document("dbreconcile.event");

		event_fill(line, &v[i]);
		follow->query.after = v[i].id;
		stream_line(request, line);
	}
	if (n > 0)
		follow->last_sent = now;
	follow->more = n == follow->query.limit;
	follow->query.has_after = true;
	follow->query.limit = FOLLOW_PORTION;
	talloc_free(scratch);
}

static void poll_follow(struct request *request, msec_t now)
{
	struct follow *follow = request->waiting;

	if (follow->more || follow->seen != state_events_changed(engine_state(request->control->engine)))
		send_new(request, follow, now);
	if (follow->more)
		control_again(request->control);
	if (now - follow->last_sent >= KEEP_ALIVE_MS) {
		stream_keep_alive(request);
		follow->last_sent = now;
	}
}

static void begin_follow(struct request *request, const struct query *query)
{
	struct follow *follow = talloc_zero(request, struct follow);
	struct event *last;
	uint32_t n;

	follow->query = *query;
	follow->last_sent = request->control->now;
	if (!query->has_after && !request_param(request, "since") && !request_param(request, "limit")) {
		/* Only what comes: begin behind the newest. */
		if (state_events_last(engine_state(request->control->engine), follow, 0, NULL, 1, &last, &n) == 0 && n == 1)
			follow->query.after = last->id;
		follow->query.has_after = true;
	}
	request->waiting = follow;
	request->poll = poll_follow;
	stream_begin(request, "application/x-ndjson");
	send_new(request, follow, request->control->now);
}

void get_events(struct request *request)
{
	struct query query = { 0 };
	struct error err = { 0 };

	if (parse_query(request, request, &query, &err) != 0)
		return reply_refusal(request, 400, &err);
	if (!engine_state(request->control->engine))
		return reply_error(request, 503, "the log says why the state file could not be opened", "there is no history");
	if (request_flag(request, "follow"))
		return begin_follow(request, &query);
	answer_events(request, &query);
}
