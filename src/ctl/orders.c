/* SPDX-License-Identifier: PostgreSQL */
/* Commands that ask the daemon to do something with targets: reconcile, approve, reject, suspend, resume, undo. */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/client.h"
#include "ctl/verdict.h"

struct waiting {
	msec_t since;
	size_t targets;
};

static void show_waiting(struct ctl *ctl, void *data)
{
	const struct waiting *w = data;

	progress_show(ctl, "reconciling %zu target%s, %ds", w->targets, w->targets == 1 ? "" : "s", (int)((clock_monotonic() - w->since) / 1000));
}

static int print_reconciled(struct ctl *ctl, const json_t *doc)
{
	static const struct column columns[] = {
		{ "TARGET", 0 }, { "STATE", 0 }, { "CHANGES", COL_RIGHT }, { "DRIFT", COL_RIGHT }, { "HELD", COL_RIGHT }, { "BLOCKED", COL_RIGHT },
		{ "MESSAGE", COL_TRUNC },
	};
	static const char *const counts[] = { "changes_applied", "drift", "held", "blocked" };
	struct table *table = table_new(ctl, columns, sizeof columns / sizeof *columns);
	bool waited = json_is_true(json_object_get(doc, "waited"));
	json_t *row;
	size_t i;

	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	if (!waited && ctl->output != OUTPUT_TSV) {
		size_t n = json_array_size(json_object_get(doc, "targets"));

		printf("asked for a pass of %zu target%s; --wait waits for it\n", n, n == 1 ? "" : "s");
		return DBR_EXIT_OK;
	}
	json_array_foreach(json_object_get(doc, "targets"), i, row) {
		const char *state = ctl_raw(row, "state");

		table_row(table);
		table_cell(table, ctl_text(ctl, row, "target", ""), COLOR_BOLD);
		table_cell(table, ctl->output == OUTPUT_TSV ? ctl_escape(ctl, state) : ctl_words(ctl, state), ctl_state_color(state));
		for (size_t c = 0; c < sizeof counts / sizeof *counts; c++)
			table_cell(table, talloc_asprintf(ctl->scratch, "%" JSON_INTEGER_FORMAT, ctl_int(row, counts[c])), COLOR_NONE);
		table_cell(table, ctl_text(ctl, row, "message", ""), COLOR_NONE);
	}
	return table_print(table);
}

static int judge_reconciled(const json_t *doc)
{
	if (!json_is_true(json_object_get(doc, "waited")))
		return DBR_EXIT_OK;
	if (json_is_true(json_object_get(doc, "timed_out")))
		return ctl_complain(DBR_EXIT_TIMEOUT, "timed out: not every pass is over");
	return verdict_rows(json_object_get(doc, "targets"));
}

/* Without arguments every target: the daemon is asked once, whatever is configured. */
static int reconcile_path(struct ctl *ctl, struct text *path, struct waiting *w)
{
	json_auto_t *rows = NULL;
	json_t *row;
	char limit[32];
	size_t i;
	int code = select_fetch(ctl, 0, NULL, &rows);

	if (code != 0)
		return code;
	w->targets = json_array_size(rows);
	if (ctl->n_args > 0)
		json_array_foreach(rows, i, row)
			client_query(path, "target", ctl_raw(row, "target"));
	if (ctl_option(ctl, "wait"))
		client_query(path, "wait", "1");
	if (ctl_option(ctl, "wait") && ctl->timeout > 0)
		client_query(path, "timeout", duration_format(ctl->timeout > 2000 ? ctl->timeout - 1000 : ctl->timeout, limit, sizeof limit));
	return 0;
}

int command_reconcile(struct ctl *ctl)
{
	struct text *path = client_path(ctl, DBR_PATH_RECONCILE, NULL, NULL);
	struct waiting w = { .since = clock_monotonic() };
	struct answer *answer;
	int code;

	if (ctl_option(ctl, "dry-run") && ctl_option(ctl, "wait"))
		return ctl_complain(DBR_EXIT_USAGE, "--dry-run waits by itself: leave out --wait");
	if (ctl_option(ctl, "dry-run"))
		return command_diff(ctl);
	code = reconcile_path(ctl, path, &w);
	if (code != 0)
		return code;
	answer = client_send(ctl, &(struct request){ .method = "POST", .path = path->s, .format = "reconcile",
						     .unlimited = ctl_option(ctl, "wait") != NULL, .tick = show_waiting, .data = &w });
	progress_clear(ctl);
	code = answer->exit != 0 ? answer_complain(answer) : print_reconciled(ctl, answer->doc);
	if (code == 0)
		code = judge_reconciled(answer->doc);
	answer_free(answer);
	return code;
}

/* Sends one order and says what the daemon says. */
static int order(struct ctl *ctl, const char *path)
{
	json_auto_t *doc = NULL;
	int code = client_post(ctl, path, "ack", &doc);

	if (code != 0)
		return code;
	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	if (ctl->output == OUTPUT_TSV)
		printf("%s\t%s\t%s\n", ctl_text(ctl, doc, "action", ""), ctl_text(ctl, doc, "target", ""), ctl_text(ctl, doc, "plan", ""));
	else
		printf("%s: %s\n", ctl_text(ctl, doc, "target", "dbreconciled"), ctl_text(ctl, doc, "message", "done"));
	return DBR_EXIT_OK;
}

static bool is_plan(const char *s)
{
	size_t n = strspn(s, "0123456789abcdef");

	return n >= 4 && n <= 16 && s[n] == '\0';
}

/* The whole id of the plan that begins so, when that is what the target holds: only a whole id is ever approved. */
static int whole_plan(struct ctl *ctl, const char *target, const char *begin, const char **ret)
{
	json_auto_t *rows = NULL;
	const char *plan;
	int code = select_fetch(ctl, ctl->n_args, NULL, &rows);
	json_t *row;
	size_t i;

	*ret = begin;
	if (code != 0)
		return code;
	json_array_foreach(rows, i, row) {
		if (strcmp(ctl_raw(row, "target"), target) != 0)
			continue;
		plan = ctl_raw(row, "plan");
		if (!*plan)
			return ctl_complain(DBR_EXIT_FAILED, "%s does not hold plan %s: nothing is held there", target, begin);
		if (strncmp(plan, begin, strlen(begin)) != 0)
			return ctl_complain(DBR_EXIT_FAILED, "%s does not hold plan %s: it holds %s, see `dbreconcilectl diff %s`", target, begin,
					    plan, target);
		*ret = talloc_strdup(ctl->scratch, plan);
	}
	return 0;
}

static int decide(struct ctl *ctl, const char *action)
{
	struct text *path = client_path(ctl, DBR_PATH_TARGETS, ctl->args[0], action);
	const char *plan = ctl->args[1];
	int code;

	if (!is_plan(plan))
		return ctl_complain(DBR_EXIT_USAGE, "\"%s\" is not the id of a plan: `dbreconcilectl diff %s` prints it", plan, ctl->args[0]);
	if (strlen(plan) < 16) {
		code = whole_plan(ctl, ctl->args[0], plan, &plan);
		if (code != 0)
			return code;
	}
	client_query(path, "plan", plan);
	return order(ctl, path->s);
}

int command_approve(struct ctl *ctl)
{
	return decide(ctl, "approve");
}

int command_reject(struct ctl *ctl)
{
	return decide(ctl, "reject");
}

static int print_undo(struct ctl *ctl, const json_t *doc)
{
	json_t *statement;
	size_t i;

	if (ctl->output == OUTPUT_JSON)
		return ctl_print_json(ctl, doc);
	if (ctl->output == OUTPUT_TSV) {
		printf("undo\t%s\t%s\n", ctl_text(ctl, doc, "target", ""), ctl_text(ctl, doc, "plan", ""));
		return DBR_EXIT_OK;
	}
	printf("%s: change %" JSON_INTEGER_FORMAT ", %s, would be undone by\n", ctl_text(ctl, doc, "target", ""), ctl_int(doc, "change"),
	       ctl_text(ctl, doc, "description", ""));
	json_array_foreach(json_object_get(doc, "statements"), i, statement)
		printf("    %s;\n", ctl_escape(ctl, json_string_value(statement) ? json_string_value(statement) : ""));
	printf("held as plan %s%s; to let it be done:\n    %s\n", ctl_text(ctl, doc, "plan", ""), json_is_true(json_object_get(doc, "already")) ?
	       ", as it was before" : "", ctl_text(ctl, doc, "next", ""));
	return DBR_EXIT_OK;
}

int command_undo(struct ctl *ctl)
{
	const char *change = ctl->args[0] + (*ctl->args[0] == '#');
	json_auto_t *doc = NULL;
	int code;

	if (!*change || change[strspn(change, "0123456789")] != '\0')
		return ctl_complain(DBR_EXIT_USAGE, "\"%s\" is not the number of a change: `dbreconcilectl events` prints them", ctl->args[0]);
	code = client_post(ctl, client_path(ctl, DBR_PATH_UNDO, change, NULL)->s, "undo", &doc);
	return code != 0 ? code : print_undo(ctl, doc);
}

/* The order for each of the named targets; goes on after one was refused. */
static int order_each(struct ctl *ctl, const char *action, const char *reason, const char *span)
{
	json_auto_t *rows = NULL;
	int code = select_fetch(ctl, 0, NULL, &rows);
	json_t *row;
	size_t i;

	if (code != 0)
		return code;
	json_array_foreach(rows, i, row) {
		struct text *path = client_path(ctl, DBR_PATH_TARGETS, ctl_raw(row, "target"), action);
		int one;

		if (reason)
			client_query(path, "reason", reason);
		if (span)
			client_query(path, "for", span);
		one = order(ctl, path->s);
		if (code == 0)
			code = one;
	}
	return code;
}

int command_suspend(struct ctl *ctl)
{
	const char *span = ctl_option(ctl, "for");
	msec_t ms;

	if (span && (duration_parse(span, &ms) != 0 || ms <= 0))
		return ctl_complain(DBR_EXIT_USAGE, "--for: \"%s\" is not a time such as 30min or 2h", span);
	return order_each(ctl, "suspend", ctl_option(ctl, "reason"), span);
}

int command_resume(struct ctl *ctl)
{
	return order_each(ctl, "resume", NULL, NULL);
}
