/* SPDX-License-Identifier: PostgreSQL */
/* Everything about one target, and its migrations. */
#include "config.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"
#include "migrate/lint.h"
#include "migrate/schema.h"

static json_t *by_kind(const uint32_t *counts)
{
	json_t *object = json_object();

	for (unsigned i = 0; counts && i < DRIFT_KINDS; i++)
		if (counts[i] > 0)
			put_int(object, drift_kind_name((enum drift_kind)i), counts[i]);
	return object;
}

static json_t *changes_in(struct request *request, const struct target_view *view, enum change_state state)
{
	json_t *list = json_array();

	for (uint32_t i = 0; view->plan && i < view->plan->n_changes; i++)
		if (view->plan->changes[i].state == state)
			json_array_append_new(list, document_change(request, view->plan, &view->plan->changes[i],
								    view->server_version, true));
	return list;
}

struct condition {
	const char *type;
	bool known, status;
	const char *reason;            /* one word */
	const char *message;
	int64_t since_ms;
};

static void add_condition(json_t *list, const struct condition *condition)
{
	json_t *object = json_object();

	put_text(object, "type", condition->type);
	json_object_set_new(object, "status", condition->known ? json_boolean(condition->status) : json_null());
	put_text(object, "reason", condition->reason);
	put_text(object, "message", condition->message ? condition->message : "");
	put_time(object, "since", condition->since_ms);
	json_array_append_new(list, object);
}

static const char *first_reason(const struct plan *plan, enum change_state state)
{
	for (uint32_t i = 0; plan && i < plan->n_changes; i++)
		if (plan->changes[i].state == state && plan->changes[i].reason)
			return plan->changes[i].reason;
	return NULL;
}

/* Only where it is watched. */
static void add_schema_condition(json_t *list, const struct schema_view *schema)
{
	uint32_t drift = schema && schema->drift ? schema->drift->total : 0, differs = schema && schema->differs ? schema->differs->total : 0;
	char message[200] = "";

	if (!schema)
		return;
	if (drift)
		snprintf(message, sizeof message, "%u object%s changed outside of migrations", drift, drift == 1 ? " was" : "s were");
	else if (differs)
		snprintf(message, sizeof message, "%u object%s than in most databases at its version", differs, differs == 1 ? " is another" :
			 "s are others");
	add_condition(list, &(struct condition){ "schema", schema->drift, !drift && !differs, !schema->drift ? "not_looked" : drift ? "drift" :
		differs ? "differs" : "as_migrated", *message ? message : schema->error, 0 });
}

static json_t *conditions(const struct target_view *view)
{
	const struct plan *plan = view->plan;
	const struct migration_list *migrations = view->migrations;
	bool tried = view->last_attempt_ms > 0;
	bool pending = migrations && migrations->counts[MIGRATION_PENDING] + migrations->counts[MIGRATION_OUTDATED] > 0;
	char why[ERROR_TEXT_MAX + 320];
	json_t *list = json_array();

	add_condition(list, &(struct condition){ "reachable", tried, view->reachable, !tried ? "not_tried" : view->reachable ?
		"connected" : view->failure ? view->failure : "unreachable", view->reachable ? NULL : view->last_error, 0 });
	add_condition(list, &(struct condition){ "in_sync", plan, plan && plan->drift_objects == 0, !plan ? "not_looked" :
		plan->drift_objects == 0 ? "in_sync" : "drift", view->message, view->in_sync_since_ms });
	add_condition(list, &(struct condition){ "approved", plan, plan && plan->held == 0, !plan ? "not_looked" :
		plan->held == 0 ? "nothing_held" : "held", plan ? plan->held_reason : NULL, 0 });
	add_condition(list, &(struct condition){ "unblocked", plan, plan && plan->blocked == 0, !plan ? "not_looked" :
		plan->blocked == 0 ? "nothing_blocked" : "blocked", first_reason(plan, CHANGE_BLOCKED), 0 });
	add_condition(list, &(struct condition){ "migrated", migrations, migrations && !migrations->blocked && !pending, !migrations ?
		"none" : migrations->blocked ? "blocked" : pending ? "pending" : "applied",
		migrations && migrations->blocked ? error_summary(&migrations->why, why, sizeof why) : NULL, 0 });
	add_condition(list, &(struct condition){ "active", true, !view->suspended, view->suspended ? "suspended" : "active",
		view->suspend_reason, 0 });
	add_schema_condition(list, view->schema);
	return list;
}

json_t *document_migration_counts(const struct migration_list *list)
{
	json_t *counts = json_object();

	for (unsigned i = 0; i < MIGRATION_STATES; i++)
		put_int(counts, migration_state_name((enum migration_state)i), list->counts[i]);
	return counts;
}

/* Of every file that is to run. */
static json_t *lint_of(const struct migration_list *list)
{
	json_t *all = json_array();

	for (uint32_t i = 0; i < list->n; i++) {
		const struct migration *m = &list->v[i];
		json_t *findings = document_findings(m->findings, m->n_findings, m->file ? m->file->script : NULL);

		json_array_extend(all, findings);
		json_decref(findings);
	}
	return all;
}

static json_t *migrations_summary(const struct migration_list *list)
{
	char why[ERROR_TEXT_MAX + 320];
	json_t *object;

	if (!list)
		return json_null();
	object = json_object();
	put_text(object, "current_version", list->current_version);
	put_bool(object, "blocked", list->blocked);
	put_text(object, "reason", list->blocked ? error_summary(&list->why, why, sizeof why) : NULL);
	json_object_set_new(object, "counts", document_migration_counts(list));
	json_object_set_new(object, "lint", lint_of(list));
	return object;
}

static json_t *last_error(const struct target_view *view)
{
	json_t *object;

	if (!view->last_error)
		return json_null();
	object = json_object();
	put_text(object, "message", view->last_error);
	put_time(object, "at", view->last_error_ms);
	put_text(object, "sqlstate", view->sqlstate && *view->sqlstate ? view->sqlstate : NULL);
	put_text(object, "failure", view->failure);
	return object;
}

static void add_migration_warnings(json_t *to, const struct migration_list *list)
{
	for (uint32_t i = 0; list && i < list->n_warnings; i++)
		json_array_append_new(to, json_text(list->warnings[i]));
}

static json_t *warnings(const struct plan *plan, const struct migration_list *migrations)
{
	json_t *list = json_array();

	for (uint32_t i = 0; plan && i < plan->n_warnings; i++)
		json_array_append_new(list, json_text(plan->warnings[i]));
	add_migration_warnings(list, migrations);
	return list;
}

void get_target(struct request *request)
{
	const struct target_view *view = request_target(request);
	char version[32];
	json_t *document;

	if (!view)
		return;
	document = json_document("dbreconcile.target");
	put_text(document, "target", view->name);
	json_object_set_new(document, "status", document_row(view));
	json_object_set_new(document, "conditions", conditions(view));
	json_object_set_new(document, "drift_by_kind", by_kind(view->plan ? view->plan->drift : NULL));
	json_object_set_new(document, "blocked_by_kind", by_kind(view->plan ? view->plan->blocked_by_kind : NULL));
	json_object_set_new(document, "blocked", changes_in(request, view, CHANGE_BLOCKED));
	json_object_set_new(document, "held", changes_in(request, view, CHANGE_HELD));
	put_text(document, "held_reason", view->plan ? view->plan->held_reason : NULL);
	json_object_set_new(document, "warnings", warnings(view->plan, view->migrations));
	put_int(document, "unmanaged", view->plan ? view->plan->n_unmanaged : 0);
	json_object_set_new(document, "unmanaged_roles", document_names(view->plan ? &view->plan->unmanaged_roles : NULL));
	json_object_set_new(document, "unmanaged_schemas", document_names(view->plan ? &view->plan->unmanaged_schemas : NULL));
	json_object_set_new(document, "migrations", migrations_summary(view->migrations));
	json_object_set_new(document, "schema", document_schema(view, view->migration_settings));
	json_object_set_new(document, "schema_drift", document_schema_changes(view->schema ? view->schema->drift : NULL));
	json_object_set_new(document, "last_error", last_error(view));
	put_text(document, "server_version", view->server_version ?
		 version_text(view->server_version, version, sizeof(version)) : NULL);
	json_object_set_new(document, "last_duration_seconds", view->passes ? json_microseconds(view->last_duration_us) : json_null());
	json_object_set_new(document, "last_cpu_seconds", view->passes ? json_microseconds(view->last_cpu_us) : json_null());
	json_object_set_new(document, "last_applied_seconds", view->last_applied_us ? json_microseconds(view->last_applied_us) : json_null());
	reply_json(request, 200, document);
}

static const char *const migration_types[] = {
	[MIGRATION_VERSIONED] = "versioned", [MIGRATION_REPEATABLE] = "repeatable", [MIGRATION_BASELINE] = "baseline",
	[MIGRATION_UNDO] = "undo",
};

static enum migration_type type_of(const struct migration *migration)
{
	const struct ledger_row *row = migration->row;

	if (migration->file)
		return migration->file->type;
	if (row && row->type && strstr(row->type, "BASELINE"))
		return MIGRATION_BASELINE;
	return row && row->version ? MIGRATION_VERSIONED : MIGRATION_REPEATABLE;
}

static json_t *migration_row(const struct migration *migration, bool foreign)
{
	const struct migration_file *file = migration->file;
	const struct ledger_row *row = migration->row;
	json_t *object = json_object();

	put_text(object, "state", migration_state_name(migration->state));
	put_text(object, "type", migration_types[type_of(migration)]);
	put_text(object, "version", file ? file->version : row ? row->version : NULL);
	put_text(object, "description", file && file->description ? file->description : row && row->description ? row->description : "");
	put_text(object, "script", file ? file->script : row ? row->script : NULL);
	json_object_set_new(object, "rank", row && row->rank >= 0 ? json_integer(row->rank) : json_null());
	json_object_set_new(object, "checksum", row && row->has_checksum ? json_integer(row->checksum) :
			    file && !foreign ? json_integer(file->checksum) : json_null());
	put_text(object, "installed_by", row && *row->installed_by ? row->installed_by : NULL);
	put_text(object, "installed_on", row && *row->installed_on ? row->installed_on : NULL);
	json_object_set_new(object, "execution_seconds", row && row->execution_time_ms >= 0 ?
			    json_seconds(row->execution_time_ms) : json_null());
	put_text(object, "undo", migration->undo ? migration->undo->script : NULL);
	put_text(object, "note", migration->note);
	json_object_set_new(object, "lint", document_findings(migration->findings, migration->n_findings, file ? file->script : NULL));
	return object;
}

/* Where the target's ledger is configured; NULL when it has no migrations. */
const struct migration_settings *migration_settings_of(const struct settings *settings, const struct target_view *view)
{
	const struct server_settings *server = view->database ? settings_server(settings, view->server) : NULL;
	const struct database_settings *found = NULL;

	for (uint32_t i = 0; server && i < server->n_databases; i++) {
		const struct database_settings *database = &server->databases[i];

		if (database->name && strcmp(database->name, view->database) == 0)
			found = database;
		else if (!found && database->match && glob_match(database->match, view->database))
			found = database;
	}
	return found && found->migrations.enabled ? &found->migrations : NULL;
}

void get_migrations(struct request *request)
{
	const struct target_view *view = request_target(request);
	const struct migration_settings *own = view ? migration_settings_of(engine_settings(request->control->engine), view) : NULL;
	const struct migration_list *list = view ? view->migrations : NULL;
	json_t *document, *rows;
	char why[ERROR_TEXT_MAX + 320];

	if (!view)
		return;
	if (!list && own)
		return reply_error(request, 409, "try again after its first look", "the migrations of '%s' were not read yet%s%s", view->name,
				   view->last_error ? ": " : "", view->last_error ? view->last_error : "");
	if (!list)
		return reply_error(request, 404, "migrations stand in the configuration of a database", "'%s' has no migrations", view->name);
	document = json_document("dbreconcile.migrations");
	put_text(document, "target", view->name);
	if (own)
		put_text(document, "ledger_format", ledger_tool((enum ledger_format)own->format)->name);
	if (own)
		json_object_set_new(document, "table", json_sprintf("%s.%s", own->table_schema, own->table_name));
	put_text(document, "current_version", list->current_version);
	put_bool(document, "blocked", list->blocked);
	put_text(document, "reason", list->blocked ? error_summary(&list->why, why, sizeof why) : NULL);
	put_text(document, "hint", list->blocked && list->why.hint[0] ? list->why.hint : NULL);
	json_object_set_new(document, "wave", own ? json_integer(own->wave) : json_null());
	json_object_set_new(document, "waiting", document_waiting(&view->waiting));
	json_object_set_new(document, "counts", document_migration_counts(list));
	rows = json_array();
	for (uint32_t i = 0; i < list->n; i++)
		json_array_append_new(rows, migration_row(&list->v[i], own && own->format != LEDGER_FLYWAY));
	json_object_set_new(document, "migrations", rows);
	rows = json_array();
	add_migration_warnings(rows, list);
	json_object_set_new(document, "warnings", rows);
	json_object_set_new(document, "schema", document_schema(view, view->migration_settings));
	json_object_set_new(document, "schema_drift", document_schema_changes(view->schema ? view->schema->drift : NULL));
	reply_json(request, 200, document);
}
