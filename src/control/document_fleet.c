/* SPDX-License-Identifier: PostgreSQL */
/* The versions of the whole fleet: a row for each target that has migrations. */
#include "config.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"
#include "migrate/schema.h"

static uint32_t pending_of(const struct migration_list *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; list && i < list->n; i++)
		n += migration_runs(&list->v[i]);
	return n;
}

static const char *state_of(const struct target_view *view)
{
	const struct migration_list *list = view->migrations;

	if (view->migration_failed)
		return "failed";
	if (view->phase && strcmp(view->phase, "migrate") == 0)
		return "running";
	if (view->status == TARGET_UNREACHABLE)
		return "unreachable";
	if (!list)
		return "unknown";
	if (list->blocked)
		return "blocked";
	if (pending_of(list) == 0)
		return "current";
	if (view->waiting.why != WAVE_GO)
		return "waiting";
	return list->stop ? "held" : "pending";
}

static char *message_of(const struct target_view *view, const char *state)
{
	char why[ERROR_TEXT_MAX + 320];

	if (strcmp(state, "blocked") == 0)
		return talloc_strdup(NULL, error_summary(&view->migrations->why, why, sizeof(why)));
	if (strcmp(state, "waiting") == 0)
		return wave_message(NULL, &view->waiting);
	if (strcmp(state, "current") == 0 || strcmp(state, "running") == 0)
		return talloc_strdup(NULL, "");
	return talloc_strdup(NULL, view->message ? view->message : "");
}

/* When the newest row was written, as the ledger says it. */
static const char *last_of(const struct migration_list *list)
{
	const struct ledger_row *newest = NULL;

	for (uint32_t i = 0; list && i < list->n; i++)
		if (list->v[i].row && (!newest || list->v[i].row->rank > newest->rank))
			newest = list->v[i].row;
	return newest && newest->installed_on[0] ? newest->installed_on : NULL;
}

/* Null where it is not watched, or was not looked at yet. */
static json_t *schema_of(const struct target_view *view)
{
	const struct schema_view *schema = view->schema;
	json_t *object;

	if (!schema || !schema->drift)
		return json_null();
	object = json_object();
	put_int(object, "drift", schema->drift->total);
	put_int(object, "differs", schema->differs ? schema->differs->total : 0);
	put_text(object, "reference", schema->reference);
	return object;
}

json_t *document_fleet_row(const struct target_view *view)
{
	const struct migration_settings *own = view->migration_settings;
	const char *state = state_of(view);
	json_t *row, *directories = json_array();
	char *message;

	if (!own) {
		json_decref(directories);
		return NULL;
	}
	row = json_object();
	put_text(row, "target", view->name);
	for (uint32_t i = 0; i < own->n_directories; i++)
		json_array_append_new(directories, json_text(own->directories[i]));
	json_object_set_new(row, "directories", directories);
	put_int(row, "wave", own->wave);
	json_object_set_new(row, "soak_seconds", json_seconds(own->soak));
	put_text(row, "version", view->migrations ? view->migrations->current_version : NULL);
	json_object_set_new(row, "pending", view->migrations ? json_integer(pending_of(view->migrations)) : json_null());
	put_text(row, "state", state);
	put_text(row, "last_installed_on", last_of(view->migrations));
	put_time(row, "at_version_since", view->version_since_ms);
	json_object_set_new(row, "waiting", document_waiting(&view->waiting));
	json_object_set_new(row, "schema", schema_of(view));
	message = message_of(view, state);
	put_text(row, "message", message);
	talloc_free(message);
	return row;
}
