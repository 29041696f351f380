/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/verdict.h"

static const struct column columns[] = {
	{ "TARGET", 0 }, { "MODE", 0 }, { "STATE", 0 }, { "DRIFT", COL_RIGHT }, { "HELD", COL_RIGHT }, { "BLOCKED", COL_RIGHT },
	{ "LAST-SUCCESS", 0 }, { "NEXT", 0 }, { "LAST-ATTEMPT", COL_WIDE }, { "FAILURES", COL_WIDE | COL_RIGHT }, { "PLAN", COL_WIDE },
	{ "MESSAGE", COL_TRUNC },
};

static const char *count(struct ctl *ctl, const json_t *row, const char *key)
{
	if (ctl->output != OUTPUT_TSV && json_is_null(json_object_get(row, "last_attempt")))
		return "-";
	return talloc_asprintf(ctl->scratch, "%" JSON_INTEGER_FORMAT, ctl_int(row, key));
}

static const char *none(const struct ctl *ctl)
{
	return ctl->output == OUTPUT_TSV ? "" : "-";
}

static void add_row(struct ctl *ctl, struct table *table, const json_t *row)
{
	const char *state = ctl_raw(row, "state");

	table_row(table);
	table_cell(table, ctl_text(ctl, row, "target", ""), COLOR_BOLD);
	table_cell(table, ctl_text(ctl, row, "mode", ""), COLOR_NONE);
	table_cell(table, ctl->output == OUTPUT_TSV ? ctl_escape(ctl, state) : ctl_words(ctl, state), ctl_state_color(state));
	table_cell(table, count(ctl, row, "drift"), COLOR_NONE);
	table_cell(table, count(ctl, row, "held"), COLOR_NONE);
	table_cell(table, count(ctl, row, "blocked"), COLOR_NONE);
	table_cell(table, ctl_when(ctl, row, "last_success"), COLOR_NONE);
	table_cell(table, ctl_when(ctl, row, "next"), COLOR_NONE);
	table_cell(table, ctl_when(ctl, row, "last_attempt"), COLOR_NONE);
	table_cell(table, count(ctl, row, "consecutive_failures"), COLOR_NONE);
	table_cell(table, ctl_text(ctl, row, "plan", none(ctl)), COLOR_NONE);
	table_cell(table, ctl_text(ctl, row, "message", ""), COLOR_NONE);
}

static int print_rows(struct ctl *ctl, const json_t *rows)
{
	struct table *table = table_new(ctl, columns, sizeof columns / sizeof *columns);
	json_t *row;
	size_t i;

	json_array_foreach(rows, i, row)
		add_row(ctl, table, row);
	return table_print(table);
}

int command_status(struct ctl *ctl)
{
	json_auto_t *status = NULL, *rows = NULL;
	int code = select_fetch(ctl, 0, &status, &rows);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON) {
		verdict_narrow(status, rows);
		code = ctl_print_json(ctl, status);
	} else {
		if (json_array_size(rows) == 0 && ctl->output != OUTPUT_TSV)
			ctl_complain(0, "no targets are configured");
		code = print_rows(ctl, rows);
	}
	return code == 0 && ctl_option(ctl, "exit-code") ? verdict_rows(rows) : code;
}
