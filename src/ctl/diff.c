/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/plan.h"

struct diff {
	struct ctl *ctl;
	json_t *rows;
	struct answer *answers;        /* one plan for each row */
	size_t n;
	int64_t asked_ms;
};

static const char *const summary_keys[] = { "add", "change", "remove", "held", "blocked", "unmanaged" };
#define SUMMARY_KEYS (sizeof summary_keys / sizeof *summary_keys)

static void fetch(struct diff *diff)
{
	struct ctl *ctl = diff->ctl;
	const char **paths = talloc_zero_array(ctl->scratch, const char *, diff->n + 1);
	char limit[32];
	json_t *row;
	size_t i;

	/* The daemon gives up a little earlier than we do, and answers with what it has. */
	duration_format(ctl->timeout > 2000 ? ctl->timeout - 1000 : ctl->timeout > 0 ? ctl->timeout / 2 : 25000, limit, sizeof limit);
	json_array_foreach(diff->rows, i, row) {
		struct text *path = client_path(ctl, DBR_PATH_TARGETS, ctl_raw(row, "target"), "plan");

		if (!ctl_option(ctl, "cached")) {
			client_query(path, "fresh", "1");
			client_query(path, "timeout", limit);
		}
		paths[i] = path->s;
	}
	diff->asked_ms = clock_wall();
	diff->answers = client_get_all(ctl, paths, (unsigned)diff->n, "plan");
}

static const json_t *plan_of(const struct diff *diff, size_t i)
{
	return diff->answers[i].exit == 0 ? diff->answers[i].doc : NULL;
}

/* A new look was asked for, and the pass of it failed: the plan may be an old one. */
static bool failed(const struct diff *diff, const json_t *plan)
{
	const char *state = ctl_raw(plan, "state");

	return !ctl_option(diff->ctl, "cached") && (strcmp(state, "unreachable") == 0 || strcmp(state, "failed") == 0);
}

/* What people must know before they trust the lines: on stderr. */
static void remark(const struct diff *diff, const json_t *plan)
{
	const char *target = ctl_raw(plan, "target"), *looked = ctl_raw(plan, "looked_at"), *message = ctl_raw(plan, "message");
	json_t *warning;
	int64_t looked_ms;
	char age[32];
	size_t i;

	if (when_parse(looked, &looked_ms) != 0)
		ctl_complain(0, "%s: not looked at yet%s%s", target, *message ? ": " : "", message);
	else if (!ctl_option(diff->ctl, "cached") && looked_ms + 1000 < diff->asked_ms)
		ctl_complain(0, "%s: as it was %s%s%s", target, when_relative(looked, clock_wall(), age, sizeof age), *message ? ": " : "", message);
	else if (failed(diff, plan))
		ctl_complain(0, "%s: %s", target, message);
	json_array_foreach(json_object_get(plan, "warnings"), i, warning)
		ctl_complain(0, "%s: warning: %s", target, json_string_value(warning) ? json_string_value(warning) : "");
}

/* The exit code of one target. */
static int judge(const struct diff *diff, size_t i)
{
	const json_t *plan = plan_of(diff, i), *summary = json_object_get(plan, "summary");

	if (!plan)
		return diff->answers[i].exit;
	if (json_is_null(json_object_get(plan, "looked_at")) || ctl_int(summary, "blocked") > 0 || failed(diff, plan))
		return DBR_EXIT_FAILED;
	return json_array_size(json_object_get(plan, "changes")) > 0 ? DBR_EXIT_DRIFT : DBR_EXIT_OK;
}

/* Of one target that cannot be asked the code is its own; among several it is "a target failed". */
static int worst(const struct diff *diff)
{
	int code = DBR_EXIT_OK;

	for (size_t i = 0; i < diff->n; i++) {
		int one = judge(diff, i);

		if (diff->n == 1 || one == DBR_EXIT_UNREACHABLE || one == DBR_EXIT_PERMISSION)
			return one;
		if (one > DBR_EXIT_DRIFT)
			one = DBR_EXIT_FAILED;
		if (one > code)
			code = one;
	}
	return code;
}

static bool worth_showing(const json_t *plan)
{
	return json_array_size(json_object_get(plan, "changes")) > 0 || json_array_size(json_object_get(plan, "unmanaged")) > 0;
}

static void print_people(const struct diff *diff)
{
	struct ctl *ctl = diff->ctl;
	size_t shown = 0;

	for (size_t i = 0; i < diff->n; i++) {
		const json_t *plan = plan_of(diff, i);

		if (!plan || !worth_showing(plan))
			continue;
		if (shown++ > 0)
			putchar('\n');
		plan_print(ctl, plan, diff->n == 1 || ctl->output == OUTPUT_WIDE);
	}
	if (shown == 0 && ctl->legend && worst(diff) == DBR_EXIT_OK)
		printf("no difference: %zu target%s in sync\n", diff->n, diff->n == 1 ? "" : "s");
}

static void print_tsv(const struct diff *diff)
{
	static const struct column columns[] = {
		{ "TARGET", 0 }, { "SIGN", 0 }, { "STATE", 0 }, { "KIND", 0 }, { "OBJECTS", 0 }, { "DESCRIPTION", 0 }, { "REASON", 0 },
		{ "SOURCE", 0 },
	};
	struct ctl *ctl = diff->ctl;
	struct table *table = table_new(ctl, columns, sizeof columns / sizeof *columns);
	json_t *change;
	size_t c;

	for (size_t i = 0; i < diff->n; i++) {
		json_array_foreach(json_object_get(plan_of(diff, i), "changes"), c, change) {
			table_row(table);
			table_cell(table, ctl_text(ctl, plan_of(diff, i), "target", ""), COLOR_NONE);
			table_cell(table, ctl_text(ctl, change, "sign", ""), COLOR_NONE);
			table_cell(table, ctl_text(ctl, change, "state", ""), COLOR_NONE);
			table_cell(table, ctl_text(ctl, change, "kind", ""), COLOR_NONE);
			table_cell(table, talloc_asprintf(ctl->scratch, "%d", (int)ctl_int(change, "objects")), COLOR_NONE);
			table_cell(table, ctl_text(ctl, change, "description", ""), COLOR_NONE);
			table_cell(table, ctl_text(ctl, change, "reason", ""), COLOR_NONE);
			table_cell(table, ctl_source(ctl, change), COLOR_NONE);
		}
	}
	table_print(table);
}

static int print_json(const struct diff *diff)
{
	json_auto_t *doc = json_pack("{s:s, s:s, s:{}, s:[]}", "format", "dbreconcile.diff", "format_version", DBR_FORMAT_VERSION,
				     "summary", "plans");
	json_t *summary = json_object_get(doc, "summary"), *plans = json_object_get(doc, "plans");

	for (size_t k = 0; k < SUMMARY_KEYS; k++) {
		json_int_t sum = 0;

		for (size_t i = 0; i < diff->n; i++)
			sum += ctl_int(json_object_get(plan_of(diff, i), "summary"), summary_keys[k]);
		json_object_set_new(summary, summary_keys[k], json_integer(sum));
	}
	for (size_t i = 0; i < diff->n; i++)
		if (plan_of(diff, i))
			json_array_append(plans, diff->answers[i].doc);
	return ctl_print_json(diff->ctl, doc);
}

/* Statements of several databases: psql has to change between them. The conninfo form, because a name may look like one. */
static void print_connect(struct ctl *ctl, const char *database)
{
	struct text *quoted = text_new(ctl->scratch);

	if (text_has_control(database, strlen(database))) {
		printf("-- the next statements are for database %s\n", ctl_escape(ctl, database));
		return;
	}
	for (const char *p = database; *p; p++) {      /* conninfo quotes inside psql's: \ and ' twice over */
		if (*p == '\\' || *p == '\'')
			text_add(quoted, *p == '\\' ? "\\\\" : "\\'");
		else
			text_add(quoted, *p == '"' ? "\"\"" : (char[]){ *p, '\0' });
	}
	printf("\\connect -reuse-previous=on \"dbname='%s'\"\n", quoted->s);
}

static void print_sql(const struct diff *diff)
{
	const char *server = NULL, *database = "";
	size_t sections = 0;

	for (size_t i = 0; i < diff->n; i++)
		sections += plan_of(diff, i) && json_array_size(json_object_get(plan_of(diff, i), "changes")) > 0;
	for (size_t i = 0; i < diff->n; i++) {
		const json_t *plan = plan_of(diff, i), *row = json_array_get(diff->rows, i);

		if (!plan || json_array_size(json_object_get(plan, "changes")) == 0)
			continue;
		if (server && strcmp(server, ctl_raw(row, "server")) != 0)
			printf("-- server %s: run what follows there, not on %s\n\\quit\n", ctl_text(diff->ctl, row, "server", ""),
			       ctl_escape(diff->ctl, server));
		server = ctl_raw(row, "server");
		if (sections > 1 && plan_has_ready(plan) && *ctl_raw(row, "database") && strcmp(database, ctl_raw(row, "database")) != 0)
			print_connect(diff->ctl, database = ctl_raw(row, "database"));
		plan_print_sql(diff->ctl, plan);
	}
}

static int show(const struct diff *diff)
{
	int code = DBR_EXIT_OK;

	for (size_t i = 0; i < diff->n; i++) {
		if (plan_of(diff, i)) {
			remark(diff, plan_of(diff, i));
			continue;
		}
		answer_complain(&diff->answers[i]);
		if (diff->n > 1)
			ctl_hint(ctl_text(diff->ctl, json_array_get(diff->rows, i), "target", ""));
	}
	if (ctl_option(diff->ctl, "sql"))
		print_sql(diff);
	else if (diff->ctl->output == OUTPUT_JSON)
		code = print_json(diff);
	else if (diff->ctl->output == OUTPUT_TSV)
		print_tsv(diff);
	else
		print_people(diff);
	return code;
}

int command_diff(struct ctl *ctl)
{
	json_auto_t *rows = NULL;
	struct diff diff = { .ctl = ctl };
	int code;

	if (ctl_option(ctl, "sql") && ctl->output != OUTPUT_TABLE)
		return ctl_complain(DBR_EXIT_USAGE, "--sql is a format of its own: leave out --output");
	code = select_fetch(ctl, 0, NULL, &rows);
	if (code != 0)
		return code;
	diff.rows = rows;
	diff.n = json_array_size(rows);
	fetch(&diff);
	code = show(&diff);
	if (code == 0)
		code = worst(&diff);
	answer_free(diff.answers);
	return code;
}
