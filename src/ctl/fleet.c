/* SPDX-License-Identifier: PostgreSQL */
/* migrations --all: the versions of the whole fleet, a row per database. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/schema.h"

#define COLUMNS_BEFORE \
	{ "TARGET", 0 }, { "DIRECTORY", 0 }, { "WAVE", COL_RIGHT }, { "VERSION", 0 }, { "PENDING", COL_RIGHT }, { "STATE", 0 }, { "LAST", 0 }
#define COLUMNS_AFTER { "SINCE", COL_WIDE }, { "WAITS-FOR", COL_WIDE }, { "MESSAGE", COL_TRUNC }
static const struct column columns[] = { COLUMNS_BEFORE, COLUMNS_AFTER };
/* Where at least one is watched for schema drift; programs find it always, behind what they knew before. */
static const struct column columns_schema[] = { COLUMNS_BEFORE, { "SCHEMA", 0 }, COLUMNS_AFTER };
static const struct column columns_tsv[] = { COLUMNS_BEFORE, COLUMNS_AFTER, { "SCHEMA", 0 } };

static enum ctl_color color_of(const char *state)
{
	static const struct { const char *state; enum ctl_color color; } colors[] = {
		{ "current", COLOR_GREEN }, { "running", COLOR_BLUE }, { "pending", COLOR_YELLOW }, { "waiting", COLOR_YELLOW }, { "held", COLOR_YELLOW },
		{ "blocked", COLOR_RED }, { "failed", COLOR_RED }, { "unreachable", COLOR_RED },
	};

	for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return COLOR_NONE;
}

/* People get the last component of each path, programs the whole ones. */
static const char *directories(struct ctl *ctl, const json_t *row)
{
	char *s = talloc_strdup(ctl->scratch, "");
	json_t *v;
	size_t i;

	json_array_foreach(json_object_get(row, "directories"), i, v) {
		const char *path = json_string_value(v) ? json_string_value(v) : "", *slash = strrchr(path, '/');

		s = talloc_asprintf_append(s, "%s%s", i ? "," : "", ctl_escape(ctl, ctl->output == OUTPUT_TABLE && slash ? slash + 1 : path));
	}
	return s;
}

static const char *number(struct ctl *ctl, const json_t *row, const char *key)
{
	const char *none = ctl->output == OUTPUT_TSV ? "" : "-";

	return json_is_integer(json_object_get(row, key)) ? talloc_asprintf(ctl->scratch, "%" JSON_INTEGER_FORMAT, ctl_int(row, key)) : none;
}

static bool any_schema(const json_t *rows)
{
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		if (json_is_object(json_object_get(row, "schema")))
			return true;
	return false;
}

static void add_schema(struct ctl *ctl, struct table *table, const json_t *row)
{
	enum ctl_color color;
	const char *text = schema_summary(ctl, json_object_get(row, "schema"), &color);

	table_cell(table, text, color);
}

static void add_row(struct ctl *ctl, struct table *table, const json_t *row, bool schema)
{
	const char *none = ctl->output == OUTPUT_TSV ? "" : "-", *state = ctl_raw(row, "state");

	table_row(table);
	table_cell(table, ctl_text(ctl, row, "target", ""), COLOR_BOLD);
	table_cell(table, directories(ctl, row), COLOR_NONE);
	table_cell(table, number(ctl, row, "wave"), COLOR_NONE);
	table_cell(table, ctl_text(ctl, row, "version", none), COLOR_NONE);
	table_cell(table, number(ctl, row, "pending"), COLOR_NONE);
	table_cell(table, ctl->output == OUTPUT_TSV ? ctl_escape(ctl, state) : ctl_words(ctl, state), color_of(state));
	table_cell(table, ctl_text(ctl, row, "last_installed_on", none), COLOR_NONE);
	if (schema && ctl->output != OUTPUT_TSV)
		add_schema(ctl, table, row);
	table_cell(table, ctl_when(ctl, row, "at_version_since"), COLOR_NONE);
	table_cell(table, ctl_text(ctl, json_object_get(row, "waiting"), "for", none), COLOR_NONE);
	table_cell(table, ctl_text(ctl, row, "message", ""), COLOR_NONE);
	if (ctl->output == OUTPUT_TSV)
		add_schema(ctl, table, row);
}

int command_fleet(struct ctl *ctl)
{
	struct table *table;
	json_auto_t *doc = NULL;
	bool schema;
	json_t *row;
	size_t i;
	int code = client_get(ctl, DBR_PATH_MIGRATIONS, "fleet", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	if (json_array_size(json_object_get(doc, "targets")) == 0 && ctl->output != OUTPUT_TSV)
		ctl_complain(0, "no database has migrations configured");
	schema = any_schema(json_object_get(doc, "targets"));
	schema |= ctl->output == OUTPUT_TSV;
	table = table_new(ctl, ctl->output == OUTPUT_TSV ? columns_tsv : schema ? columns_schema : columns,
			  sizeof columns / sizeof *columns + schema);
	json_array_foreach(json_object_get(doc, "targets"), i, row)
		add_row(ctl, table, row, schema);
	return table_print(table);
}
