/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/lint_skip.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lexer.h"

/* The start of the line before this one's; *end is its end. */
static size_t line_above(const char *text, size_t start, size_t *end)
{
	*end = start;
	while (*end && strchr(" \t\r\n", text[*end - 1]))
		--*end;
	for (start = *end; start && text[start - 1] != '\n'; start--)
		;
	return start;
}

const char *lint_ignored_above(void *parent, const struct migration_file *file, size_t start)
{
	static const char words[] = "-- dbreconcile:lint-ignore";
	struct text *rules = NULL;
	size_t end, line;

	for (line = line_above(file->text, start, &end); end > line; line = line_above(file->text, line, &end)) {
		size_t at = line + strlen(words), rest;

		if (end < at || strncmp(file->text + line, words, strlen(words)) != 0 || (at < end && !strchr(" \t", file->text[at])))
			break;
		at += strspn(file->text + at, " \t");
		if (at >= end)
			return "";
		rules = rules ? rules : text_new(parent);
		for (; at < end; at += rest + strspn(file->text + at + rest, " \t")) {
			rest = strcspn(file->text + at, " \t\r\n");
			rest = at + rest > end ? end - at : rest;
			text_addf(rules, " %.*s ", (int)rest, file->text + at);
		}
	}
	return rules ? rules->s : NULL;
}

bool lint_ignores(const char *ignored, const char *rule)
{
	char *word;
	bool found;

	if (!ignored || !*ignored)
		return ignored;
	word = talloc_asprintf(NULL, " %s ", rule);
	found = strstr(ignored, word);
	talloc_free(word);
	return found;
}

static bool begins_with(const char *text, size_t len, const char *word)
{
	size_t n = strlen(word);

	return len > n && strncasecmp(text, word, n) == 0 && strchr(" \t\r\n", text[n]);
}

/* A WHERE of the statement itself: in no parentheses, no name after a dot, and before RETURNING, where it may be a label. */
static bool has_where(const char *text, size_t len)
{
	struct lexer lexer = { text, len, 0 };
	unsigned depth = 0;
	bool dot = false;

	for (struct token t = lexer_next(&lexer); t.kind != TOKEN_END && t.kind < TOKEN_BACKSLASH; t = lexer_next(&lexer)) {
		const char *s = text + t.start;

		if (t.kind == TOKEN_WORD && depth == 0 && !dot && t.len == 5 && strncasecmp(s, "WHERE", 5) == 0)
			return true;
		if (t.kind == TOKEN_WORD && depth == 0 && t.len == 9 && strncasecmp(s, "RETURNING", 9) == 0)
			return false;
		if (t.kind == TOKEN_SYMBOL)
			depth += (*s == '(') - (*s == ')' && depth > 0);
		dot = t.kind == TOKEN_SYMBOL && *s == '.';
	}
	return false;
}

bool lint_changes_some_rows(const char *text, size_t len)
{
	if (begins_with(text, len, "INSERT") || begins_with(text, len, "COPY"))
		return true;
	return (begins_with(text, len, "UPDATE") || begins_with(text, len, "DELETE")) && has_where(text, len);
}
