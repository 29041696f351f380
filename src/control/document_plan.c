/* SPDX-License-Identifier: PostgreSQL */
/* The plan document: desired against live, as the engine last saw it. */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "control/internal.h"

#define FRESH_DEFAULT_MS (60 * 1000)

static const char *state_name(enum change_state state)
{
	return state == CHANGE_HELD ? "held" : state == CHANGE_BLOCKED ? "blocked" : "ready";
}

static json_t *statements_of(void *parent, const struct plan *plan, const struct change *change, int version_num)
{
	struct statements statements = { 0 };
	json_t *list = json_array();

	if (change_sql_display(parent, plan, change, version_num, &statements) == 0)
		for (uint32_t i = 0; i < statements.n; i++)
			json_array_append_new(list, json_text(statements.v[i]));
	return list;
}

static json_t *source_of(const struct change *change)
{
	json_t *object;

	if (!change->source.file || !*change->source.file)
		return json_null();
	object = json_object();
	put_text(object, "file", change->source.file);
	put_int(object, "line", change->source.line);
	return object;
}

static void put_lint(json_t *object, const struct change *change)
{
	json_object_set_new(object, "lint", document_findings(change->findings, change->n_findings, change->extra));
	json_object_set_new(object, "oldest_transaction_seconds", change->oldest_transaction_s > 0 ?
			    json_integer(change->oldest_transaction_s) : json_null());
}

json_t *document_change(void *parent, const struct plan *plan, const struct change *change, int version_num, bool sql)
{
	void *scratch = talloc_new(parent);
	char sign[2] = { change_sign(change), '\0' };
	json_t *object = json_object();

	put_text(object, "sign", sign);
	put_text(object, "op", change_op_name(change->op));
	put_text(object, "kind", drift_kind_name(change->kind));
	put_text(object, "state", state_name(change->state));
	put_text(object, "description", change_describe(scratch, plan, change));
	put_text(object, "reason", change->reason);
	put_text(object, "remedy", change->remedy);
	put_int(object, "objects", change->n ? change->n : 1);
	json_object_set_new(object, "source", source_of(change));
	json_object_set_new(object, "statements", sql ? statements_of(scratch, plan, change, version_num) : json_array());
	put_bool(object, "redacted", change->op == CHANGE_SET_PASSWORD);
	if (change->op == CHANGE_MIGRATE)
		put_lint(object, change);
	talloc_free(scratch);
	return object;
}

static json_t *summary(const struct plan *plan)
{
	json_t *object = json_object();
	uint32_t add = 0, change = 0, drop = 0;

	for (uint32_t i = 0; plan && i < plan->n_changes; i++) {
		char sign = change_sign(&plan->changes[i]);

		if (plan->changes[i].state != CHANGE_READY)
			continue;
		add += sign == '+';
		change += sign == '~';
		drop += sign == '-';
	}
	put_int(object, "add", add);
	put_int(object, "change", change);
	put_int(object, "remove", drop);
	put_int(object, "held", plan ? plan->held : 0);
	put_int(object, "blocked", plan ? plan->blocked : 0);
	put_int(object, "unmanaged", plan ? plan->n_unmanaged : 0);
	return object;
}

static json_t *privileges(privs_t privs)
{
	json_t *list = json_array();

	for (unsigned bit = 0; bit < PRIV_COUNT; bit++)
		if (privs & (1u << bit))
			json_array_append_new(list, json_string(privilege_name(1u << bit)));
	if (privs & PRIV_UNKNOWN)
		json_array_append_new(list, json_string("unknown"));
	return list;
}

static json_t *unmanaged_row(const struct plan *plan, const struct unmanaged *u)
{
	const char *grantee = u->grantee == NAME_NONE ? "PUBLIC" : names_text(plan->names, u->grantee);
	const char *schema = u->schema == NAME_NONE ? NULL : names_text(plan->names, u->schema);
	const char *word = object_kind_word(u->kind, u->relkind);
	char privs[256];
	char *description;
	json_t *object = json_object();

	privileges_format(u->privs, privs, sizeof(privs));
	description = talloc_asprintf(NULL, "%s holds %s on %s%s%s%s%s", grantee, privs, u->n > 1 ? "" : word, u->n > 1 ? "" : " ",
				      u->names ? u->names : "", schema ? " in schema " : "", schema ? schema : "");
	put_text(object, "grantee", grantee);
	put_text(object, "grantor", u->grantor == NAME_NONE ? NULL : names_text(plan->names, u->grantor));
	put_text(object, "kind", word);
	put_text(object, "schema", schema);
	put_text(object, "names", u->names ? u->names : "");
	put_int(object, "objects", u->n);
	json_object_set_new(object, "privileges", privileges(u->privs));
	put_text(object, "description", description);
	talloc_free(description);
	return object;
}

json_t *document_names(const struct name_list *list)
{
	json_t *object = json_object(), *names = json_array();

	for (uint32_t i = 0; list != NULL && i < list->listed; i++)
		json_array_append_new(names, json_text(list->v[i]));
	put_int(object, "count", list != NULL ? list->n : 0);
	json_object_set_new(object, "names", names);
	return object;
}

static void put_lists(void *parent, json_t *document, const struct target_view *view, bool sql)
{
	const struct plan *plan = view->plan;
	json_t *changes = json_array(), *unmanaged = json_array(), *warnings = json_array();

	for (uint32_t i = 0; plan && i < plan->n_changes; i++)
		json_array_append_new(changes, document_change(parent, plan, &plan->changes[i], view->server_version, sql));
	for (uint32_t i = 0; plan && i < plan->n_unmanaged; i++)
		json_array_append_new(unmanaged, unmanaged_row(plan, &plan->unmanaged[i]));
	for (uint32_t i = 0; plan && i < plan->n_warnings; i++)
		json_array_append_new(warnings, json_text(plan->warnings[i]));
	json_object_set_new(document, "changes", changes);
	json_object_set_new(document, "unmanaged", unmanaged);
	json_object_set_new(document, "unmanaged_roles", document_names(plan ? &plan->unmanaged_roles : NULL));
	json_object_set_new(document, "unmanaged_schemas", document_names(plan ? &plan->unmanaged_schemas : NULL));
	json_object_set_new(document, "warnings", warnings);
}

static void answer_plan(struct request *request)
{
	const struct target_view *view = request_target(request);
	const struct plan *plan;
	json_t *document;

	if (!view)
		return;
	plan = view->plan;
	document = json_document("dbreconcile.plan");
	put_text(document, "target", view->name);
	put_text(document, "server", view->server);
	put_text(document, "database", view->database);
	put_text(document, "mode", mode_name(view->mode));
	put_text(document, "state", target_status_name(view->status));
	json_object_set_new(document, "plan", document_plan_id(plan));
	put_text(document, "held_reason", plan ? plan->held_reason : NULL);
	put_time(document, "looked_at", plan ? (view->looked_ms ? view->looked_ms : view->last_success_ms) : 0);
	put_text(document, "message", view->message ? view->message : "");
	json_object_set_new(document, "summary", summary(plan));
	put_lists(request, document, view, !request_param(request, "sql") || request_flag(request, "sql"));
	reply_json(request, 200, document);
}

struct fresh_wait {
	struct pass_wait *pass;
	msec_t deadline;
};

static void poll_fresh(struct request *request, msec_t now)
{
	struct fresh_wait *wait = request->waiting;

	if (pass_wait_done(wait->pass, request->control->engine) || now >= wait->deadline)
		answer_plan(request);           /* looked_at says how old it is */
}

void get_plan(struct request *request)
{
	struct engine *engine = request->control->engine;
	const struct target_view *view = request_target(request);
	const char *timeout = request_param(request, "timeout"), *name;
	struct fresh_wait *wait;
	msec_t span = FRESH_DEFAULT_MS;

	if (!view)
		return;
	if (timeout && parse_span(timeout, &span) != 0)
		return reply_error(request, 400, "for example 30 or \"2min\"", "timeout is not a span of time");
	if (!request_flag(request, "fresh"))
		return answer_plan(request);
	wait = talloc_zero(request, struct fresh_wait);
	name = view->name;
	wait->pass = pass_wait_new(wait, engine, &name, 1);
	wait->deadline = request->control->now + span;
	request->waiting = wait;
	request->poll = poll_fresh;
	engine_look(engine, request->segment, "a reader");
}
