/* SPDX-License-Identifier: PostgreSQL */
/* Writing calls: each is passed to the engine with who asked. */
#include "config.h"

#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "control/internal.h"

#define WAIT_DEFAULT_MS (5 * 60 * 1000)
#define PLAN_ID_LEN 16

struct reconcile_wait {
	struct pass_wait *pass;
	msec_t deadline;
};

static void answer_reconcile(struct request *request, const struct pass_wait *pass, bool waited, bool timed_out)
{
	json_t *document = json_document("dbreconcile.reconcile");

	put_bool(document, "waited", waited);
	put_bool(document, "timed_out", timed_out);
	json_object_set_new(document, "targets", pass_wait_rows(pass, request->control->engine, waited));
	reply_json(request, waited ? 200 : 202, document);
}

static void poll_reconcile(struct request *request, msec_t now)
{
	struct reconcile_wait *wait = request->waiting;
	bool done = pass_wait_done(wait->pass, request->control->engine);

	if (done || now >= wait->deadline)
		answer_reconcile(request, wait->pass, true, !done);
}

/* The names asked for, each once; all when none is named. NULL: answered with 404. */
static const char **asked_targets(struct request *request, unsigned *ret_n, bool *ret_all)
{
	struct engine *engine = request->control->engine;
	const char **v = talloc_array(request, const char *, 0), *name;
	unsigned cursor = 0, n = 0;

	while ((name = request_param_next(request, "target", &cursor))) {
		const struct target_view *view;
		bool again = false;

		talloc_free(request->segment);
		request->segment = talloc_strdup(request, name);
		view = request_target(request);
		if (!view)
			return NULL;
		for (unsigned i = 0; i < n; i++)
			again = again || strcmp(v[i], view->name) == 0;
		if (again)
			continue;
		v = talloc_realloc(request, v, const char *, n + 1);
		v[n++] = view->name;
	}
	*ret_all = n == 0;
	if (n == 0) {
		n = engine_targets(engine);
		v = talloc_realloc(request, v, const char *, n + 1);      /* with 0 there would be nothing, which means: answered */
		for (unsigned i = 0; i < n; i++)
			v[i] = engine_view(engine, i)->name;
	}
	*ret_n = n;
	return v;
}

/* wait=1 waits as long as timeout says; another number, or a span, is itself the timeout. */
static int wait_span(struct request *request, bool *ret_wait, msec_t *ret_span)
{
	const char *wait = request_param(request, "wait"), *timeout = request_param(request, "timeout");

	*ret_wait = request_flag(request, "wait");
	*ret_span = WAIT_DEFAULT_MS;
	if (timeout)
		return parse_span(timeout, ret_span);
	if (*ret_wait && strcmp(wait, "1") != 0 && strcmp(wait, "true") != 0)
		return parse_span(wait, ret_span);
	return 0;
}

static int give_order(struct request *request, const char *const *names, unsigned n, bool all)
{
	struct engine *engine = request->control->engine;
	int (*order)(struct engine *, const char *, const char *) = request_flag(request, "dry_run") ? engine_look : engine_reconcile;
	int r = 0;

	if (all)
		return order(engine, NULL, request->actor);
	for (unsigned i = 0; i < n && r == 0; i++)
		r = order(engine, names[i], request->actor);
	return r;
}

void post_reconcile(struct request *request)
{
	struct reconcile_wait *wait = talloc_zero(request, struct reconcile_wait);
	const char **names;
	unsigned n;
	bool all, waits;
	msec_t span;

	if (wait_span(request, &waits, &span) != 0)
		return reply_error(request, 400, "for example wait=1&timeout=30, or wait=2min", "wait or timeout is not a span of time");
	names = asked_targets(request, &n, &all);
	if (!names)
		return;
	wait->pass = pass_wait_new(wait, request->control->engine, names, n);
	wait->deadline = request->control->now + span;
	if (give_order(request, names, n, all) != 0)
		return reply_error(request, 409, NULL, "the daemon takes no orders now: it is stopping, or a target went away");
	if (!waits)
		return answer_reconcile(request, wait->pass, false, false);
	request->waiting = wait;
	request->poll = poll_reconcile;
}

static void note_restart(json_t *notes, const char *what, const char *before, const char *after)
{
	if (strcmp(before ? before : "", after ? after : "") != 0)
		json_array_append_new(notes, json_sprintf("%s: the new value takes effect at a restart", what));
}

/* What was bound or opened at the start stays as it is. */
static json_t *restart_notes(const struct control *control)
{
	const struct settings *settings = engine_settings(control->engine);
	json_t *notes = json_array();

	note_restart(notes, "control.socket", control->first.socket, settings->control.socket);
	note_restart(notes, "control.metrics_socket", control->first.metrics_socket, settings->control.metrics_socket);
	note_restart(notes, "control.metrics_listen", control->first.metrics_listen, settings->control.metrics_listen);
	note_restart(notes, "daemon.state", control->first_state_file, settings->state_file);
	return notes;
}

void post_reload(struct request *request)
{
	struct control *control = request->control;
	struct config_errors *errors = NULL;
	int r = engine_reload(control->engine, request->actor, request, &errors);
	json_t *document;

	if (r == 1 && errors)
		return reply_config_errors(request, errors);
	if (r != 0)
		return reply_error(request, 500, NULL, "the configuration could not be read: %s", strerror(r < 0 ? -r : EINVAL));
	document = json_document("dbreconcile.reload");
	put_int(document, "generation", (int64_t)engine_settings(control->engine)->generation);
	put_int(document, "targets", engine_targets(control->engine));
	json_object_set_new(document, "notes", restart_notes(control));
	reply_json(request, 200, document);
}

static void acknowledge(struct request *request, const char *plan, int64_t until_ms, const char *message)
{
	json_t *document = json_document("dbreconcile.ack");

	put_text(document, "action", request->route->verb);
	put_text(document, "target", request->segment);
	put_text(document, "plan", plan);
	put_text(document, "actor", request->actor);
	put_time(document, "until", until_ms);
	put_text(document, "message", message);
	reply_json(request, 200, document);
}

void post_suspend(struct request *request)
{
	const char *reason = request_param(request, "reason"), *span_text = request_param(request, "for");
	struct error err = { 0 };
	msec_t span = 0;

	if (!request_target(request))
		return;
	if (span_text && (parse_span(span_text, &span) != 0 || span <= 0))
		return reply_error(request, 400, "for example 7200 or \"2h\"", "for is not a span of time");
	if (engine_suspend(request->control->engine, request->segment, reason, span, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, NULL, span ? clock_wall() + span : 0,
		    error_is_set(&err) ? err.text : "corrections are suspended; looking goes on");
}

void post_resume(struct request *request)
{
	struct error err = { 0 };

	if (!request_target(request))
		return;
	if (engine_resume(request->control->engine, request->segment, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, NULL, 0, error_is_set(&err) ? err.text : "corrections are on again");
}

void post_release(struct request *request)
{
	struct error err = { 0 };

	if (!request_target(request))
		return;
	if (engine_release(request->control->engine, request->segment, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, NULL, 0, "released: other databases no longer wait for it, until its files change");
}

void post_accept_schema(struct request *request)
{
	struct error err = { 0 };

	if (!request_target(request))
		return;
	if (engine_accept_schema(request->control->engine, request->segment, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, NULL, 0, "accepted: later looks are compared with the schemas as they were seen last");
}

static const char *plan_argument(struct request *request)
{
	const char *plan = request_param(request, "plan");

	if (!plan || strlen(plan) != PLAN_ID_LEN || strspn(plan, "0123456789abcdef") != PLAN_ID_LEN) {
		reply_error(request, 400, "GET /v1/targets/{target}/plan shows it as \"plan\"",
			    "plan must be the id of the held plan: %d hexadecimal digits in lower case", PLAN_ID_LEN);
		return NULL;
	}
	return plan;
}

static int64_t expiry(struct request *request, const char *plan)
{
	struct approval approval = { 0 };
	struct state *state = engine_state(request->control->engine);

	if (!state || state_approval(state, request, request->segment, plan, clock_wall(), &approval) != 0)
		return 0;
	return approval.expires_ms;
}

void post_approve(struct request *request)
{
	const struct target_view *view = request_target(request);
	struct error err = { 0 };
	const char *plan;

	if (!view || !(plan = plan_argument(request)))
		return;
	if (engine_approve(request->control->engine, request->segment, plan, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, plan, expiry(request, plan),
		    view->suspended ? "approved: exactly this plan is applied, once, when corrections are on again" :
		    view->mode == MODE_OBSERVE ? "approved: exactly this plan is applied, once, when the mode is enforce; now it is observe" :
		    "approved: the next pass applies exactly this plan, once");
}

void post_reject(struct request *request)
{
	struct error err = { 0 };
	const char *plan;

	if (!request_target(request) || !(plan = plan_argument(request)))
		return;
	if (engine_reject(request->control->engine, request->segment, plan, request->actor, &err) != 0)
		return reply_refusal(request, 409, &err);
	acknowledge(request, plan, 0, "rejected: the plan stays held");
}

static void answer_undo(struct request *request, const struct undo_answer *answer)
{
	json_t *document = json_document("dbreconcile.undo"), *statements = json_array();
	const char *next = talloc_asprintf(request, "dbreconcilectl approve %s %s", answer->target, answer->plan);

	for (uint32_t i = 0; i < answer->n_statements; i++)
		json_array_append_new(statements, json_text(answer->statements[i]));
	put_int(document, "change", answer->change);
	put_text(document, "target", answer->target);
	put_text(document, "plan", answer->plan);
	put_text(document, "description", answer->description);
	json_object_set_new(document, "statements", statements);
	put_bool(document, "already", answer->already);
	put_text(document, "actor", request->actor);
	put_text(document, "next", next);
	put_text(document, "message", talloc_asprintf(request, "undoing change %" PRId64 " %s for approval: %s", answer->change,
						      answer->already ? "waits already" : "waits", next));
	reply_json(request, 200, document);
}

void post_undo(struct request *request)
{
	struct undo_answer answer;
	struct error err = { 0 };
	char *end;
	long long change;
	int r;

	errno = 0;
	change = strtoll(request->segment, &end, 10);
	if (strspn(request->segment, "0123456789") == 0 || *end != '\0' || errno != 0)
		return reply_error(request, 400, "GET /v1/events shows it as \"id\"", "the number of a change is a number");
	if (!engine_state(request->control->engine))
		return reply_error(request, 503, "the log says why the state file could not be opened", "there is no history");
	r = engine_undo(request->control->engine, change, request->actor, request, &answer, &err);
	if (r != 0)
		return reply_refusal(request, r == 2 ? 404 : 409, &err);
	answer_undo(request, &answer);
}
