/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/plan.h"
#include "ctl/schema.h"

#define NAMES_SHOWN 20
#define LINT_SHOWN 20

static void line(const char *name, const char *text)
{
	if (*text)
		printf("  %-13s %s\n", name, text);
}

/* "12s ago (2026-11-21T09:30:00Z)" */
static void time_line(struct ctl *ctl, const char *name, const json_t *object, const char *key)
{
	const char *time = ctl_text(ctl, object, key, "");

	if (*time)
		line(name, talloc_asprintf(ctl->scratch, "%s (%s)", ctl_when(ctl, object, key), time));
}

static void counts_line(struct ctl *ctl, const char *name, const json_t *counts)
{
	struct text *text = text_new(ctl->scratch);
	const char *kind;
	json_t *n;

	json_object_foreach((json_t *)counts, kind, n)
		if (json_integer_value(n) > 0)
			text_addf(text, "%s%s %" JSON_INTEGER_FORMAT, text->len ? ", " : "", ctl_words(ctl, kind), json_integer_value(n));
	line(name, text->s);
}

static void print_head(struct ctl *ctl, const json_t *doc, const json_t *row)
{
	const char *state = ctl_raw(row, "state");

	printf("%s%s%s  %s%s%s\n", ctl_paint(ctl, COLOR_BOLD), ctl_text(ctl, row, "target", "?"), ctl_plain(ctl),
	       ctl_paint(ctl, ctl_state_color(state)), ctl_words(ctl, state), ctl_plain(ctl));
	line("message", ctl_text(ctl, row, "message", ""));
	line("mode", ctl_text(ctl, row, "mode", ""));
	line("server", talloc_asprintf(ctl->scratch, "%s, PostgreSQL %s", ctl_text(ctl, row, "server", "?"),
				       ctl_text(ctl, doc, "server_version", "of unknown version")));
	line("database", ctl_text(ctl, row, "database", ""));
	line("now", ctl_text(ctl, row, "phase", ""));
	time_line(ctl, "last success", row, "last_success");
	time_line(ctl, "last attempt", row, "last_attempt");
	time_line(ctl, "next", row, "next");
	time_line(ctl, "in sync since", row, "in_sync_since");
}

static void print_suspended(struct ctl *ctl, const json_t *row)
{
	const json_t *suspended = json_object_get(row, "suspended");
	const char *until;

	if (!json_is_object(suspended))
		return;
	until = ctl_when(ctl, suspended, "until");
	line("suspended", talloc_asprintf(ctl->scratch, "%s; ends %s", ctl_text(ctl, suspended, "reason", "no reason given"),
					  strcmp(until, "-") == 0 ? "when it is resumed" : until));
}

static void print_conditions(struct ctl *ctl, const json_t *doc)
{
	const json_t *conditions = json_object_get(doc, "conditions");
	json_t *c;
	size_t i;

	if (json_array_size(conditions) > 0)
		puts("  conditions");
	json_array_foreach(conditions, i, c) {
		const json_t *status = json_object_get(c, "status");
		enum ctl_color color = json_is_true(status) ? COLOR_GREEN : json_is_false(status) ? COLOR_RED : COLOR_NONE;
		const char *word = json_is_true(status) ? "yes" : json_is_false(status) ? "no" : "unknown";

		printf("    %-10s %s%-7s%s %s\n", ctl_words(ctl, ctl_raw(c, "type")), ctl_paint(ctl, color), word, ctl_plain(ctl),
		       ctl_text(ctl, c, "message", ctl_words(ctl, ctl_raw(c, "reason"))));
	}
}

static void print_changes(struct ctl *ctl, const json_t *doc, const json_t *row, const char *key)
{
	const json_t *changes = json_object_get(doc, key);
	json_t *change;
	size_t i;

	if (json_array_size(changes) > 0)
		printf("  %s\n", key);
	json_array_foreach(changes, i, change) {
		fputs("  ", stdout);
		plan_print_change(ctl, ctl_text(ctl, row, "target", "?"), ctl_text(ctl, row, "plan", "-"), change, 0);
	}
}

static void print_migrations(struct ctl *ctl, const json_t *doc)
{
	const json_t *migrations = json_object_get(doc, "migrations");
	const char *schema = schema_line(ctl, json_object_get(doc, "schema"));

	if (!json_is_object(migrations))
		return;
	line("version", ctl_text(ctl, migrations, "current_version", "none"));
	counts_line(ctl, "migrations", json_object_get(migrations, "counts"));
	if (json_is_true(json_object_get(migrations, "blocked")))
		line("", talloc_asprintf(ctl->scratch, "blocked: %s", ctl_text(ctl, migrations, "reason", "no reason given")));
	plan_print_lint(ctl, migrations, "  ", LINT_SHOWN);
	if (schema)
		line("schema", schema);
	if (json_is_object(json_object_get(json_object_get(doc, "status"), "waiting")))
		line("waiting", ctl_text(ctl, json_object_get(json_object_get(doc, "status"), "waiting"), "message", ""));
}

/* "3 that no manifest names: a, b, c" */
static void names_line(struct ctl *ctl, const char *label, const json_t *list)
{
	struct text *out;
	json_t *name;
	size_t i;

	if (ctl_int(list, "count") == 0)
		return;
	out = text_new(ctl->scratch);
	text_addf(out, "%d that no manifest names: ", (int)ctl_int(list, "count"));
	json_array_foreach(json_object_get(list, "names"), i, name) {
		if (i == NAMES_SHOWN) {
			text_add(out, ", ...");
			break;
		}
		text_addf(out, "%s%s", i ? ", " : "", ctl_escape(ctl, json_string_value(name) ? json_string_value(name) : ""));
	}
	line(label, out->s);
}

static void print_tail(struct ctl *ctl, const json_t *doc)
{
	const json_t *error = json_object_get(doc, "last_error");
	json_t *warning;
	size_t i;

	if (ctl_int(doc, "unmanaged") > 0)
		line("unmanaged", talloc_asprintf(ctl->scratch, "%d privileges that nobody declared; `dbreconcilectl diff %s` lists them",
						  (int)ctl_int(doc, "unmanaged"), ctl_text(ctl, doc, "target", "")));
	names_line(ctl, "roles", json_object_get(doc, "unmanaged_roles"));
	names_line(ctl, "schemas", json_object_get(doc, "unmanaged_schemas"));
	json_array_foreach(json_object_get(doc, "warnings"), i, warning)
		line("warning", ctl_escape(ctl, json_string_value(warning) ? json_string_value(warning) : ""));
	if (json_is_object(error))
		line("last error", talloc_asprintf(ctl->scratch, "%s: %s%s%s", ctl_when(ctl, error, "at"), ctl_text(ctl, error, "message", "?"),
						   *ctl_raw(error, "sqlstate") ? ", SQLSTATE " : "", ctl_text(ctl, error, "sqlstate", "")));
}

/* Programs get pairs: the path of a value and the value. */
static void print_pairs(struct ctl *ctl, const char *path, const json_t *value)
{
	const char *key;
	json_t *v;
	size_t i;
	char *s;

	json_object_foreach((json_t *)value, key, v)
		print_pairs(ctl, talloc_asprintf(ctl->scratch, "%s%s%s", path, *path ? "." : "", ctl_escape(ctl, key)), v);
	json_array_foreach(value, i, v)
		print_pairs(ctl, talloc_asprintf(ctl->scratch, "%s[%zu]", path, i), v);
	if (json_is_object(value) || json_is_array(value))
		return;
	if (json_is_string(value)) {
		printf("%s\t%s\n", path, ctl_escape(ctl, json_string_value(value)));
		return;
	}
	s = json_is_null(value) ? NULL : json_dumps(value, JSON_ENCODE_ANY);
	printf("%s\t%s\n", path, s ? s : "");
	free(s);
}

static void print_people(struct ctl *ctl, const json_t *doc)
{
	const json_t *row = json_object_get(doc, "status");

	print_head(ctl, doc, row);
	print_suspended(ctl, row);
	counts_line(ctl, "drift", json_object_get(doc, "drift_by_kind"));
	print_migrations(ctl, doc);
	print_tail(ctl, doc);
	schema_print(ctl, doc, "  ");
	print_conditions(ctl, doc);
	print_changes(ctl, doc, row, "held");
	print_changes(ctl, doc, row, "blocked");
}

int command_show(struct ctl *ctl)
{
	json_auto_t *doc = NULL;
	int code = client_get(ctl, client_path(ctl, DBR_PATH_TARGETS, ctl->args[0], NULL)->s, "target", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	if (ctl->output == OUTPUT_TSV)
		print_pairs(ctl, "", doc);
	else
		print_people(ctl, doc);
	return DBR_EXIT_OK;
}
