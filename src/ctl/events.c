/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <stdio.h>
#include <string.h>
#include <talloc.h>
#include <time.h>

#include "ctl/client.h"

static const struct column columns[] = {
	{ "ID", COL_RIGHT }, { "TIME", 0 }, { "TARGET", 0 }, { "KIND", 0 }, { "RESULT", 0 }, { "ACTOR", 0 }, { "OBJECT", 0 },
	{ "SQLSTATE", COL_WIDE }, { "PLAN", COL_WIDE }, { "MESSAGE", COL_WIDE }, { "STATEMENT", COL_TRUNC },
};
#define COLUMNS (sizeof columns / sizeof *columns)

static enum ctl_color color_of(const char *result)
{
	return strcmp(result, "failed") == 0 ? COLOR_RED : strcmp(result, "ok") == 0 ? COLOR_GREEN : COLOR_YELLOW;
}

static void cells(struct ctl *ctl, const json_t *event, const char *ret[COLUMNS])
{
	static const char *const keys[COLUMNS] = { "", "at", "target", "kind", "result", "actor", "object", "sqlstate", "plan", "message", "statement" };

	ret[0] = talloc_asprintf(ctl->scratch, "%" JSON_INTEGER_FORMAT, ctl_int(event, "id"));
	for (size_t i = 1; i < COLUMNS; i++)
		ret[i] = ctl_text(ctl, event, keys[i], "");
	/* A failure is told by its message where there is no room for both. */
	if (ctl->output == OUTPUT_TABLE && *ret[9] && (strcmp(ret[4], "failed") == 0 || !*ret[10]))
		ret[10] = ret[9];
}

/* One line as it comes, when there is no table to align. */
static void print_line(struct ctl *ctl, const json_t *event)
{
	static const int widths[COLUMNS] = { 6, 20, 24, 10, 8, 20, 0, 5, 16, 0, 0 };
	const char *c[COLUMNS], *sep = "";

	cells(ctl, event, c);
	for (size_t i = 0; i < COLUMNS; i++) {
		if (ctl->output == OUTPUT_TSV) {
			printf("%s%s", i ? "\t" : "", c[i]);
			continue;
		}
		if ((columns[i].flags & COL_WIDE) && ctl->output != OUTPUT_WIDE)
			continue;
		printf("%s%s%*s%s", sep, i == 4 ? ctl_paint(ctl, color_of(c[i])) : "", i == 0 ? widths[i] : -widths[i], c[i],
		       i == 4 ? ctl_plain(ctl) : "");
		sep = "  ";
	}
	putchar('\n');
}

static bool wanted(const struct ctl *ctl, const json_t *event)
{
	for (int i = 0; i < ctl->n_args; i++)
		if (glob_match(ctl->args[i], ctl_raw(event, "target")))
			return true;
	return ctl->n_args == 0;
}

static bool on_line(void *data, const char *line, size_t len)
{
	struct ctl *ctl = data;
	json_auto_t *event = json_loadb(line, len, 0, NULL);
	void *scratch = ctl->scratch;

	if (!event || !wanted(ctl, event))
		return true;
	ctl->scratch = talloc_new(NULL);
	if (ctl->output == OUTPUT_JSON)
		json_dumpf(event, stdout, JSON_COMPACT | JSON_REAL_PRECISION(DBR_REAL_DIGITS) | (ctl->out_tty ? JSON_ENSURE_ASCII : 0));
	else
		print_line(ctl, event);
	if (ctl->output == OUTPUT_JSON)
		putchar('\n');
	talloc_free(ctl->scratch);
	ctl->scratch = scratch;
	return fflush(stdout) == 0;
}

static int follow(struct ctl *ctl, struct text *path)
{
	struct answer *answer;
	int code;

	client_query(path, "follow", "1");
	answer = client_send(ctl, &(struct request){ .method = "GET", .path = path->s, .unlimited = true, .line = on_line, .data = ctl });
	code = answer->exit == 0 && !ferror(stdout) ? ctl_complain(DBR_EXIT_UNREACHABLE, "the daemon has ended the stream of events") :
	       answer->exit != 0 ? answer_complain(answer) : DBR_EXIT_INTERNAL;
	answer_free(answer);
	return code;
}

static int print_list(struct ctl *ctl, const json_t *doc)
{
	struct table *table = table_new(ctl, columns, COLUMNS);
	const char *c[COLUMNS];
	json_t *event;
	size_t i;

	json_array_foreach(json_object_get(doc, "events"), i, event) {
		table_row(table);
		cells(ctl, event, c);
		for (size_t k = 0; k < COLUMNS; k++)
			table_cell(table, c[k], k == 4 ? color_of(c[k]) : COLOR_NONE);
	}
	return table_print(table);
}

static void narrow(const struct ctl *ctl, json_t *doc)
{
	json_t *kept = json_array(), *event;
	size_t i;

	json_array_foreach(json_object_get(doc, "events"), i, event)
		if (wanted(ctl, event))
			json_array_append(kept, event);
	json_object_set_new(doc, "events", kept);
}

/* What the daemon takes too: a span, a date, a time with or without its Z, all in UTC. */
static bool is_since(const char *text)
{
	static const char *const formats[] = { "%Y-%m-%d", "%Y-%m-%dT%H:%MZ", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%SZ", "%Y-%m-%d %H:%M:%S" };
	msec_t span;

	for (size_t i = 0; i < sizeof formats / sizeof formats[0]; i++) {
		struct tm tm = { 0 };
		const char *end = strptime(text, formats[i], &tm);

		if (end && *end == '\0')
			return true;
	}
	return duration_parse(text, &span) == 0;
}

static int build_path(struct ctl *ctl, struct text *path)
{
	const char *since = ctl_option(ctl, "since"), *limit = ctl_option(ctl, "limit");

	if (since && !is_since(since))
		return ctl_complain(DBR_EXIT_USAGE, "--since: \"%s\" is neither a span such as 2h nor a time such as 2026-11-21T09:30:00Z", since);
	if (limit && (!*limit || strlen(limit) > 9 || limit[strspn(limit, "0123456789")] != '\0'))
		return ctl_complain(DBR_EXIT_USAGE, "--limit: \"%s\" is not a number", limit);
	if (since)
		client_query(path, "since", since);
	if (limit)
		client_query(path, "limit", limit);
	for (int i = 0; i < ctl->n_args; i++)
		if (!glob_is_literal(ctl->args[i]))
			return 0;              /* patterns are matched here, over everything */
	for (int i = 0; i < ctl->n_args; i++)
		client_query(path, "target", ctl->args[i]);
	return 0;
}

int command_events(struct ctl *ctl)
{
	struct text *path = client_path(ctl, DBR_PATH_EVENTS, NULL, NULL);
	json_auto_t *rows = NULL, *doc = NULL;
	int code = build_path(ctl, path);

	if (code != 0)
		return code;
	/* A misspelt target would look like a quiet one. */
	code = ctl->n_args > 0 ? select_fetch(ctl, 0, NULL, &rows) : 0;
	if (code != 0)
		return code;
	if (ctl_option(ctl, "follow"))
		return follow(ctl, path);
	code = client_get(ctl, path->s, "events", &doc);
	if (code != 0)
		return code;
	narrow(ctl, doc);
	return ctl->output == OUTPUT_JSON ? ctl_print_json(ctl, doc) : print_list(ctl, doc);
}
