/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/plan.h"

static bool state_is(const json_t *change, const char *state)
{
	return strcmp(ctl_raw(change, "state"), state) == 0;
}

static enum ctl_color color_of(const json_t *change)
{
	static const struct { const char *sign; enum ctl_color color; } colors[] = {
		{ "+", COLOR_GREEN }, { "~", COLOR_YELLOW }, { "-", COLOR_RED },
	};

	if (!state_is(change, "ready"))
		return COLOR_YELLOW;
	for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
		if (strcmp(colors[i].sign, ctl_raw(change, "sign")) == 0)
			return colors[i].color;
	return COLOR_NONE;
}

/* A target as it is typed into a shell. */
static const char *shell_word(struct ctl *ctl, const char *word)
{
	static const char plain[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_./-";

	return word[strspn(word, plain)] == '\0' || strchr(word, '\'') ? word : talloc_asprintf(ctl->scratch, "'%s'", word);
}

static void print_why(struct ctl *ctl, const char *target, const char *plan, const json_t *change)
{
	const char *reason = ctl_text(ctl, change, "reason", "no reason given");

	if (state_is(change, "blocked"))
		printf(" — blocked: %s", reason);
	else
		printf(" — held: %s (plan %s; dbreconcilectl approve %s %s)", reason, plan, shell_word(ctl, target), plan);
}

void plan_print_lint(struct ctl *ctl, const json_t *of, const char *indent, size_t max)
{
	const json_t *lint = json_object_get(of, "lint");
	json_t *f;
	size_t i;

	json_array_foreach(lint, i, f) {
		if (i == max) {
			printf("%s%zu more; `dbreconcilectl migrations TARGET` shows all\n", indent, json_array_size(lint) - max);
			break;
		}
		printf("%s%slint%s: %s:%d: %s\n", indent, ctl_paint(ctl, COLOR_YELLOW), ctl_plain(ctl), ctl_text(ctl, f, "script", "?"),
		       (int)ctl_int(f, "line"), ctl_text(ctl, f, "message", "?"));
	}
}

void plan_print_change(struct ctl *ctl, const char *target, const char *plan, const json_t *change, size_t width)
{
	const char *text = ctl_text(ctl, change, "description", "?"), *source = ctl_source(ctl, change), *remedy;
	size_t shown = utf8_count(text, strlen(text));
	bool ready = state_is(change, "ready");

	printf("  %s%s %s%s", ctl_paint(ctl, color_of(change)), ready ? ctl_text(ctl, change, "sign", "?") : "!", text, ctl_plain(ctl));
	if (!ready)
		print_why(ctl, target, plan, change);
	if (*source)
		printf("%*s%s%s%s", ready && width > shown ? (int)(width - shown + 5) : 5, "", ctl_paint(ctl, COLOR_DIM), source, ctl_plain(ctl));
	putchar('\n');
	remedy = state_is(change, "blocked") ? ctl_text(ctl, change, "remedy", "") : "";
	if (*remedy)
		printf("      to do: %s\n", remedy);
}

static size_t description_width(const json_t *changes)
{
	size_t width = 0, i;
	json_t *change;

	json_array_foreach(changes, i, change) {
		const char *text = ctl_raw(change, "description");
		size_t n = utf8_count(text, strlen(text));

		if (state_is(change, "ready") && n > width && n <= 90)
			width = n;
	}
	return width;
}

static void print_summary(const json_t *plan)
{
	const json_t *s = json_object_get(plan, "summary");

	printf("  %d to add, %d to change, %d to remove, %d held, %d blocked", (int)ctl_int(s, "add"), (int)ctl_int(s, "change"),
	       (int)ctl_int(s, "remove"), (int)ctl_int(s, "held"), (int)ctl_int(s, "blocked"));
	if (ctl_int(s, "unmanaged") > 0)
		printf(", %d unmanaged", (int)ctl_int(s, "unmanaged"));
	putchar('\n');
}

void plan_print(struct ctl *ctl, const json_t *plan, bool unmanaged)
{
	const json_t *changes = json_object_get(plan, "changes"), *others = json_object_get(plan, "unmanaged");
	const char *target = ctl_text(ctl, plan, "target", "?"), *id = ctl_text(ctl, plan, "plan", "-");
	size_t width = description_width(changes), i;
	json_t *item;

	printf("%s%s%s\n", ctl_paint(ctl, COLOR_BOLD), target, ctl_plain(ctl));
	json_array_foreach(changes, i, item) {
		plan_print_change(ctl, target, id, item, width);
		plan_print_lint(ctl, item, "      ", SIZE_MAX);
	}
	if (unmanaged)
		json_array_foreach(others, i, item)
			printf("  %s? %s — unmanaged%s\n", ctl_paint(ctl, COLOR_DIM), ctl_text(ctl, item, "description", "?"), ctl_plain(ctl));
	if (ctl->legend)
		print_summary(plan);
}

bool plan_has_ready(const json_t *plan)
{
	json_t *change;
	size_t i;

	json_array_foreach(json_object_get(plan, "changes"), i, change)
		if (state_is(change, "ready") && json_array_size(json_object_get(change, "statements")) > 0)
			return true;
	return false;
}

/* A statement as it would be sent; on a terminal each line of it is escaped, since names may hold anything. */
static void print_statement(struct ctl *ctl, const char *sql)
{
	if (!ctl->out_tty) {
		printf("%s;\n", sql);
		return;
	}
	for (;;) {
		size_t len = strcspn(sql, "\n");

		fputs(text_escape(ctl->scratch, sql, len, 1024 * 1024), stdout);
		if (sql[len] == '\0')
			break;
		putchar('\n');
		sql += len + 1;
	}
	puts(";");
}

/* Escaping keeps the comment on one line, so that nothing in it can run. */
static void print_comment(struct ctl *ctl, const char *why, const char *reason, const char *text)
{
	printf("-- %s%s%s: %s\n", why, *reason ? ", " : "", ctl_escape(ctl, reason), ctl_escape(ctl, text));
}

static void print_change_sql(struct ctl *ctl, const json_t *change)
{
	const json_t *statements = json_object_get(change, "statements");
	bool ready = state_is(change, "ready"), redacted = json_is_true(json_object_get(change, "redacted"));
	json_t *statement;
	size_t i;

	if (json_array_size(statements) == 0)
		print_comment(ctl, ready ? "run by the daemon" : ctl_raw(change, "state"), ctl_raw(change, "reason"), ctl_raw(change, "description"));
	json_array_foreach(statements, i, statement) {
		const char *sql = json_string_value(statement) ? json_string_value(statement) : "";

		if (ready && !redacted)
			print_statement(ctl, sql);
		else
			print_comment(ctl, ready ? "not shown whole, it holds a secret" : ctl_raw(change, "state"), ctl_raw(change, "reason"), sql);
	}
}

void plan_print_sql(struct ctl *ctl, const json_t *plan)
{
	json_t *change;
	size_t i;

	json_array_foreach(json_object_get(plan, "changes"), i, change)
		print_change_sql(ctl, change);
}
