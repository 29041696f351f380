/* SPDX-License-Identifier: PostgreSQL */
/*
 * The documents that have a row for each target: status and targets. A large
 * fleet is written in portions, some hundred rows in a turn of the loop, so
 * that asking for it delays no database.
 */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "control/internal.h"

#define ROWS_PER_TURN 500

struct listing {
	json_t *(*row)(const struct target_view *);
	struct evbuffer *out;
	uint32_t next;
	bool any;
	const struct target_view **chosen;     /* of target= arguments: all of them in one turn */
};

json_t *document_plan_id(const struct plan *plan)
{
	return plan && plan->id[0] ? json_string(plan->id) : json_null();
}

static json_t *suspended(const struct target_view *view)
{
	json_t *object;

	if (!view->suspended)
		return json_null();
	object = json_object();
	put_text(object, "reason", view->suspend_reason);
	put_time(object, "until", view->suspend_until_ms);
	return object;
}

/* Why pending migrations do not run. */
json_t *document_waiting(const struct wave_wait *wait)
{
	char *message;
	json_t *object;

	if (wait->why == WAVE_GO)
		return json_null();
	object = json_object();
	put_text(object, "reason", wave_why_name(wait->why));
	put_text(object, "for", wait->name);
	json_object_set_new(object, "wave", wait->wave ? json_integer(wait->wave) : json_null());
	put_int(object, "count", wait->n);
	put_time(object, "until", wait->until_ms);
	message = wave_message(NULL, wait);
	put_text(object, "message", message);
	talloc_free(message);
	return object;
}

json_t *document_row(const struct target_view *view)
{
	const struct plan *plan = view->plan;
	json_t *row = json_object();

	put_text(row, "target", view->name);
	put_text(row, "server", view->server);
	put_text(row, "database", view->database);
	put_text(row, "mode", mode_name(view->mode));
	put_text(row, "state", target_status_name(view->status));
	put_text(row, "phase", view->phase);
	put_int(row, "drift", plan ? plan->drift_objects : 0);
	put_int(row, "held", plan ? plan->held_objects : 0);
	put_int(row, "blocked", plan ? plan->blocked_objects : 0);
	put_time(row, "last_attempt", view->last_attempt_ms);
	put_time(row, "last_success", view->last_success_ms);
	put_time(row, "next", view->next_ms);
	put_time(row, "in_sync_since", view->in_sync_since_ms);
	put_text(row, "message", view->message ? view->message : "");
	json_object_set_new(row, "plan", document_plan_id(plan));
	json_object_set_new(row, "suspended", suspended(view));
	json_object_set_new(row, "waiting", document_waiting(&view->waiting));
	put_bool(row, "reachable", view->reachable);
	put_text(row, "failure", view->failure);
	put_text(row, "sqlstate", view->sqlstate && *view->sqlstate ? view->sqlstate : NULL);
	put_int(row, "consecutive_failures", view->consecutive_failures);
	put_int(row, "passes", (int64_t)view->passes);
	put_int(row, "pass_failures", (int64_t)view->pass_failures);
	put_int(row, "changes_applied", (int64_t)view->changes_applied);
	put_int(row, "change_failures", (int64_t)view->change_failures);
	return row;
}

static json_t *short_row(const struct target_view *view)
{
	json_t *row = json_object();

	put_text(row, "target", view->name);
	put_text(row, "server", view->server);
	put_text(row, "database", view->database);
	put_text(row, "mode", mode_name(view->mode));
	put_text(row, "state", target_status_name(view->status));
	return row;
}

static json_t *status_summary(const struct engine *engine, const struct target_view *const *chosen)
{
	uint32_t n = chosen ? (uint32_t)talloc_array_length(chosen) : engine_targets(engine);
	uint32_t counts[TARGET_STATUSES] = { 0 };
	json_t *summary = json_object();

	for (uint32_t i = 0; i < n; i++)
		counts[(chosen ? chosen[i] : engine_view(engine, i))->status]++;
	put_int(summary, "targets", n);
	for (unsigned i = 0; i < TARGET_STATUSES; i++)
		put_int(summary, target_status_name((enum target_status)i), counts[i]);
	return summary;
}

static json_t *daemon_facts(const struct control *control)
{
	json_t *daemon = json_object();
	struct engine_numbers numbers;

	engine_numbers(control->engine, &numbers);
	put_text(daemon, "version", PACKAGE_VERSION);
	put_time(daemon, "started_at", control->started_wall);
	put_int(daemon, "config_generation", (int64_t)engine_settings(control->engine)->generation);
	put_bool(daemon, "config_last_reload_ok", numbers.last_reload_ok);
	put_time(daemon, "config_last_reload", numbers.last_reload_ms);
	return daemon;
}

static int listing_free(struct listing *listing)
{
	evbuffer_free(listing->out);
	return 0;
}

static int add_json_piece(const char *text, size_t len, void *arg)
{
	return evbuffer_add(arg, text, len);
}

static void add_row(struct listing *listing, const struct target_view *view)
{
	json_t *row = listing->row(view);

	if (!row)
		return;                /* not of this listing */
	if (listing->any)
		evbuffer_add(listing->out, ",", 1);
	listing->any = true;
	json_dump_callback(row, add_json_piece, listing->out, DOCUMENT_FLAGS);
	json_decref(row);
}

static void write_rows(struct request *request, msec_t now)
{
	struct listing *listing = request->waiting;
	const struct engine *engine = request->control->engine;
	uint32_t end = listing->next + ROWS_PER_TURN, n = engine_targets(engine);

	(void)now;
	for (; listing->next < n && listing->next < end; listing->next++)
		add_row(listing, engine_view(engine, listing->next));
	if (listing->next < n) {
		control_again(request->control);
		return;
	}
	evbuffer_add(listing->out, "]}\n", 3);
	reply_buffer(request, 200, "application/json", listing->out);
}

/* Writes head without its closing brace, then the array of rows; head is stolen. */
static void begin_listing(struct request *request, json_t *head, const struct target_view **chosen,
			  json_t *(*row)(const struct target_view *))
{
	struct listing *listing = talloc_zero(request, struct listing);
	char *text = json_dumps(head, DOCUMENT_FLAGS);

	json_decref(head);
	listing->row = row;
	listing->out = evbuffer_new();
	talloc_set_destructor(listing, listing_free);
	evbuffer_add(listing->out, text, strlen(text) - 1);
	free(text);
	evbuffer_add_printf(listing->out, ",\"targets\":[");
	request->waiting = listing;
	if (chosen) {
		for (size_t i = 0; i < talloc_array_length(chosen); i++)
			add_row(listing, chosen[i]);
		listing->next = UINT32_MAX - ROWS_PER_TURN;
	}
	request->poll = write_rows;
	write_rows(request, 0);
}

/* The views of the target= arguments, NULL when there are none. false: answered with 404. */
static bool choose_targets(struct request *request, const struct target_view ***ret)
{
	const struct target_view **v = NULL;
	unsigned cursor = 0, n = 0;
	const char *name;

	while ((name = request_param_next(request, "target", &cursor))) {
		talloc_free(request->segment);
		request->segment = talloc_strdup(request, name);
		v = talloc_realloc(request, v, const struct target_view *, n + 1);
		v[n] = request_target(request);
		if (!v[n++])
			return false;
	}
	*ret = v;
	return true;
}

void get_status(struct request *request)
{
	const struct target_view **chosen;
	json_t *head;

	if (!choose_targets(request, &chosen))
		return;
	head = json_document("dbreconcile.status");
	put_time(head, "generated_at", clock_wall());
	json_object_set_new(head, "summary", status_summary(request->control->engine, chosen));
	json_object_set_new(head, "daemon", daemon_facts(request->control));
	begin_listing(request, head, chosen, document_row);
}

void get_fleet(struct request *request)
{
	const struct target_view **chosen;

	if (choose_targets(request, &chosen))
		begin_listing(request, json_document("dbreconcile.fleet"), chosen, document_fleet_row);
}

void get_targets(struct request *request)
{
	begin_listing(request, json_document("dbreconcile.targets"), NULL, short_row);
}
