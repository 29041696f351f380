/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/mend.h"
#include "ctl/plan.h"
#include "ctl/schema.h"

static enum ctl_color color_of(const char *state)
{
	static const struct { const char *state; enum ctl_color color; } colors[] = {
		{ "applied", COLOR_GREEN }, { "pending", COLOR_YELLOW }, { "outdated", COLOR_YELLOW }, { "missing", COLOR_RED },
		{ "failed", COLOR_RED }, { "checksum_mismatch", COLOR_RED }, { "out_of_order", COLOR_RED }, { "indeterminate", COLOR_RED },
		{ "undone", COLOR_YELLOW }, { "unknown", COLOR_YELLOW },
	};

	for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return COLOR_NONE;
}

static void add_row(struct ctl *ctl, struct table *table, const json_t *m)
{
	const json_t *seconds = json_object_get(m, "execution_seconds");
	const char *state = ctl_raw(m, "state");

	table_row(table);
	table_cell(table, ctl_text(ctl, m, "version", ""), COLOR_NONE);
	table_cell(table, ctl->output == OUTPUT_TSV ? ctl_escape(ctl, state) : ctl_words(ctl, state), color_of(state));
	table_cell(table, ctl_text(ctl, m, "description", ""), COLOR_NONE);
	table_cell(table, ctl_text(ctl, m, "script", ""), COLOR_NONE);
	table_cell(table, ctl_text(ctl, m, "installed_on", ""), COLOR_NONE);
	table_cell(table, ctl_text(ctl, m, "installed_by", ""), COLOR_NONE);
	table_cell(table, json_is_number(seconds) ? talloc_asprintf(ctl->scratch, "%.3fs", json_number_value(seconds)) : "", COLOR_NONE);
	table_cell(table, ctl_text(ctl, m, "note", ""), COLOR_NONE);
}

static int print_list(struct ctl *ctl, const json_t *doc)
{
	static const struct column columns[] = {
		{ "VERSION", 0 }, { "STATE", 0 }, { "DESCRIPTION", 0 }, { "SCRIPT", 0 }, { "INSTALLED-ON", 0 }, { "INSTALLED-BY", COL_WIDE },
		{ "TIME", COL_WIDE | COL_RIGHT }, { "NOTE", COL_TRUNC },
	};
	struct table *table = table_new(ctl, columns, sizeof columns / sizeof *columns);
	json_t *m;
	size_t i;
	int code;

	json_array_foreach(json_object_get(doc, "migrations"), i, m)
		add_row(ctl, table, m);
	code = table_print(table);
	if (ctl->output == OUTPUT_TSV || code != 0)
		return code;
	if (json_array_size(json_object_get(doc, "migrations")) == 0 && ctl->legend)
		puts("no migrations");
	if (json_is_object(json_object_get(doc, "waiting")))
		puts(ctl_text(ctl, json_object_get(doc, "waiting"), "message", ""));
	json_array_foreach(json_object_get(doc, "migrations"), i, m)
		plan_print_lint(ctl, m, "", SIZE_MAX);
	if (json_is_true(json_object_get(doc, "blocked"))) {
		printf("%sblocked%s: %s\n", ctl_paint(ctl, COLOR_RED), ctl_plain(ctl), ctl_text(ctl, doc, "reason", "no reason given"));
		if (*ctl_raw(doc, "hint"))
			printf("  to do: %s\n", ctl_text(ctl, doc, "hint", ""));
	}
	json_array_foreach(json_object_get(doc, "warnings"), i, m)
		printf("%swarning%s: %s\n", ctl_paint(ctl, COLOR_YELLOW), ctl_plain(ctl), ctl_escape(ctl, json_string_value(m)));
	schema_print(ctl, doc, "");
	return code;
}

int command_migrations(struct ctl *ctl)
{
	json_auto_t *doc = NULL;
	int code;

	if (mend_is_order(ctl))
		return mend_order(ctl);
	if (ctl->n_args == 0)
		return command_fleet(ctl);
	if (ctl->n_args > 1 || ctl_option(ctl, "all"))
		return ctl_complain(DBR_EXIT_USAGE, "usage: dbreconcilectl migrations %s", ctl->command->usage);
	code = client_get(ctl, client_path(ctl, DBR_PATH_TARGETS, ctl->args[0], "migrations")->s, "migrations", &doc);
	if (code != 0)
		return code;
	return ctl->output == OUTPUT_JSON ? ctl_print_json(ctl, doc) : print_list(ctl, doc);
}
