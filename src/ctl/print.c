/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "ctl/ctl.h"

/* Every line of s escaped: messages of several lines stay readable, and nothing else moves the cursor. */
static void put_lines(const char *prefix, const char *s)
{
	while (*s) {
		size_t len = strcspn(s, "\n");
		char *line = text_escape(NULL, s, len, 8192);

		fprintf(stderr, "%s%s\n", prefix, line);
		talloc_free(line);
		prefix = "  ";
		s += len + (s[len] == '\n');
	}
}

int ctl_complain(int code, const char *format, ...)
{
	char *text;
	va_list ap;

	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	fflush(stdout);
	put_lines("dbreconcilectl: ", text ? text : "out of memory");
	talloc_free(text);
	return code;
}

void ctl_hint(const char *text)
{
	if (text && *text)
		put_lines("  ", text);
}

const char *ctl_escape(struct ctl *ctl, const char *s)
{
	return text_escape(ctl->scratch, s, strlen(s), 1024 * 1024);
}

const char *ctl_raw(const json_t *object, const char *key)
{
	const char *s = json_string_value(json_object_get(object, key));

	return s ? s : "";
}

const char *ctl_text(struct ctl *ctl, const json_t *object, const char *key, const char *otherwise)
{
	const char *s = ctl_raw(object, key);

	return *s ? ctl_escape(ctl, s) : otherwise;
}

json_int_t ctl_int(const json_t *object, const char *key)
{
	return json_integer_value(json_object_get(object, key));
}

static const char *const sequences[COLORS] = {
	[COLOR_NONE] = "", [COLOR_RED] = "\033[31m", [COLOR_GREEN] = "\033[32m", [COLOR_YELLOW] = "\033[33m",
	[COLOR_BLUE] = "\033[34m", [COLOR_DIM] = "\033[2m", [COLOR_BOLD] = "\033[1m",
};

const char *ctl_paint(const struct ctl *ctl, enum ctl_color color)
{
	return ctl->color ? sequences[color] : "";
}

const char *ctl_plain(const struct ctl *ctl)
{
	return ctl->color ? "\033[0m" : "";
}

int ctl_print_json(struct ctl *ctl, const json_t *doc)
{
	size_t flags = (ctl->watching ? JSON_COMPACT : JSON_INDENT(2)) | JSON_ENCODE_ANY | JSON_REAL_PRECISION(DBR_REAL_DIGITS);

	/* JSON escapes C0 only: C1 and bidirectional characters reach a terminal unless everything is ASCII. */
	if (ctl->out_tty)
		flags |= JSON_ENSURE_ASCII;
	if (json_dumpf(doc, stdout, flags) < 0)
		return ctl_complain(DBR_EXIT_INTERNAL, "cannot write the JSON document");
	putchar('\n');
	return DBR_EXIT_OK;
}

enum ctl_color ctl_state_color(const char *state)
{
	static const struct { const char *state; enum ctl_color color; } colors[] = {
		{ "in_sync", COLOR_GREEN }, { "drift", COLOR_YELLOW }, { "held", COLOR_YELLOW }, { "blocked", COLOR_RED },
		{ "suspended", COLOR_BLUE }, { "unreachable", COLOR_RED }, { "failed", COLOR_RED },
	};

	for (size_t i = 0; i < sizeof colors / sizeof *colors; i++)
		if (strcmp(colors[i].state, state) == 0)
			return colors[i].color;
	return COLOR_NONE;
}

const char *ctl_words(struct ctl *ctl, const char *enum_word)
{
	char *s = text_escape(ctl->scratch, enum_word, strlen(enum_word), 256);

	for (char *p = s; *p; p++)
		if (*p == '_')
			*p = ' ';
	return s;
}

const char *ctl_source(struct ctl *ctl, const json_t *change)
{
	const json_t *source = json_object_get(change, "source");
	const char *file = ctl_raw(source, "file"), *start = file + strlen(file);
	int slashes = 0;

	if (!*file)
		return "";
	while (start > file && !(start[-1] == '/' && ++slashes == 2))
		start--;
	return talloc_asprintf(ctl->scratch, "%s:%d", ctl_escape(ctl, start), (int)ctl_int(source, "line"));
}
