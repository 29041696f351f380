/* SPDX-License-Identifier: PostgreSQL */
/* Who can do what, target by target: one in each turn of the loop. */
#include "config.h"

#include <string.h>
#include <talloc.h>

#include "control/internal.h"
#include "reconcile/access.h"

struct access_wait {
	json_t *targets;
	const char *role, *object;
	struct selector on;
	uint32_t next;
	bool any, role_found;
};

static json_t *names_of(const struct names *names, const name_id *v, uint32_t n)
{
	json_t *list = json_array();

	for (uint32_t i = 0; i < n; i++)
		json_array_append_new(list, json_text(names_text(names, v[i])));
	return list;
}

static json_t *privileges(privs_t privs)
{
	json_t *list = json_array();

	for (int bit = 0; bit < PRIV_COUNT; bit++)
		if (privs & 1u << bit)
			json_array_append_new(list, json_string(privilege_name(1u << bit)));
	return list;
}

static json_t *entry_of(const struct names *names, const struct access_entry *e)
{
	json_t *object = json_object(), *objects = json_array();

	put_text(object, "role", e->role ? names_text(names, e->role) : "PUBLIC");
	put_text(object, "how", access_how_name(e->how));
	put_text(object, "through", e->through ? names_text(names, e->through) : "PUBLIC");
	json_object_set_new(object, "chain", names_of(names, e->chain, e->n_chain));
	put_text(object, "set_role", e->set_role ? names_text(names, e->set_role) : NULL);
	put_text(object, "kind", e->kind ? object_kind_word(e->kind == OBJECT_COLUMN ? OBJECT_TABLE : e->kind, e->relkind) : NULL);
	put_text(object, "schema", e->schema ? names_text(names, e->schema) : NULL);
	put_text(object, "column", e->column);
	for (uint32_t i = 0; i < e->n_names; i++)
		json_array_append_new(objects, json_text(e->names[i]));
	json_object_set_new(object, "objects", objects);
	put_int(object, "count", e->n);
	json_object_set_new(object, "privileges", privileges(e->privs));
	json_object_set_new(object, "grantable", privileges(e->grantable));
	put_bool(object, "schema_usage", !e->no_usage);
	put_bool(object, "row_security", e->row_security);
	return object;
}

static void add_target(struct request *request, struct access_wait *wait, const struct target_view *view)
{
	const struct target_view *root = engine_find(request->control->engine, view->server);
	const struct server_state *server = root ? root->server_state : NULL;
	json_t *object, *entries;
	struct access_list *list = NULL;

	if (!server || (view->database && !view->database_state)) {
		object = json_object();
		put_text(object, "target", view->name);
		put_time(object, "looked_at", 0);
		put_bool(object, "truncated", false);
		json_object_set_new(object, "entries", json_array());
		json_array_append_new(wait->targets, object);
		return;
	}
	if (wait->role && access_of_role(request, server, view->database_state, wait->role, &list) != 0)
		return;
	wait->role_found |= wait->role != NULL;
	if (!list)
		list = access_to_object(request, server, view->database_state, wait->object ? &wait->on : NULL);
	object = json_object();
	entries = json_array();
	for (uint32_t i = 0; i < list->n; i++)
		json_array_append_new(entries, entry_of(server->names, &list->v[i]));
	put_text(object, "target", view->name);
	put_time(object, "looked_at", view->looked_ms);
	put_bool(object, "truncated", list->truncated);
	json_object_set_new(object, "entries", entries);
	json_array_append_new(wait->targets, object);
	talloc_free(list);
}

static bool is_chosen(const struct request *request, const struct target_view *view)
{
	bool any = false;

	for (unsigned i = 0; i < request->n_params; i++) {
		const char *name = request->params[i].value;

		if (strcmp(request->params[i].key, "target") != 0)
			continue;
		any = true;
		if (strcmp(view->name, name) == 0 || strcmp(view->server, name) == 0)
			return true;
	}
	return !any;
}

static void answer(struct request *request, struct access_wait *wait)
{
	json_t *document;

	if (!wait->any && request_param(request, "target"))
		return reply_error(request, 404, "`dbreconcilectl status` (GET /v1/targets) lists them", "there is no such target");
	if (wait->role && !wait->role_found && json_array_size(wait->targets) == 0)
		return reply_error(request, 404, "names are taken as they are, case and all", "there is no role '%s' there", wait->role);
	document = json_document("dbreconcile.access");
	put_text(document, "role", wait->role);
	put_text(document, "object", wait->object);
	json_object_set(document, "targets", wait->targets);
	reply_json(request, 200, document);
}

static void poll_access(struct request *request, msec_t now)
{
	struct access_wait *wait = request->waiting;
	struct engine *engine = request->control->engine;

	(void)now;
	while (wait->next < engine_targets(engine)) {
		const struct target_view *view = engine_view(engine, wait->next++);

		if (!is_chosen(request, view))
			continue;
		wait->any = true;
		add_target(request, wait, view);
		control_again(request->control);
		return;
	}
	answer(request, wait);
}

static int forget(struct access_wait *wait)
{
	json_decref(wait->targets);
	return 0;
}

void get_access(struct request *request)
{
	struct access_wait *wait = talloc_zero(request, struct access_wait);
	struct error err = { 0 };

	wait->targets = json_array();
	talloc_set_destructor(wait, forget);
	wait->role = request_param(request, "role");
	wait->object = request_param(request, "object");
	if (wait->role && wait->object)
		return reply_error(request, 400, "ask for the one or the other", "a role and an object");
	if (wait->object && selector_parse(wait, wait->object, &wait->on, &err) != 0)
		return reply_error(request, 400, "for example \"table app.users\" or \"schema app\"", "%s", err.text);
	request->waiting = wait;
	request->poll = poll_access;
	control_again(request->control);
}
