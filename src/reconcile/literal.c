/* SPDX-License-Identifier: PostgreSQL */
/*
 * An expression that is only parsed runs no function, with one exception: the
 * parser hands a string literal to the input function of its type, and those
 * of arrays, rows and ranges read their elements, and a domain among them
 * calls what its CHECK calls. So
 *
 *   '{1}'::app.d[]
 *
 * in the policy of somebody's table would run his function as us as soon as we
 * compare that policy with the declared one (tried on PostgreSQL 14 to 18).
 * A literal of a domain itself is not checked before the expression runs.
 */
#include "reconcile/diff.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "migrate/lexer.h"

#define OPENING "{[(\\"       /* a backslash may stand for one of the others */

static bool is(const struct token *t, const char *s, char symbol)
{
	return t->kind == TOKEN_SYMBOL && s[t->start] == symbol;
}

/* Could it be the text of an array, a row or a range? */
static bool opens(const char *token, size_t len)
{
	if (token[0] != '\'') {                          /* E'...', $$...$$: not worth decoding */
		for (size_t i = 0; i < len; i++)
			if (strchr(OPENING, token[i]))
				return true;
		return false;
	}
	for (size_t i = 1; i < len; i++)
		if (!strchr(" \t\n\r\v\f", token[i]))
			return strchr(OPENING, token[i]) != NULL;
	return false;
}

/* U&'!007B1}' UESCAPE '!' */
static bool has_own_escape(const char *s, struct lexer after)
{
	const struct token t = lexer_next(&after);

	return t.kind == TOKEN_WORD && t.len == strlen("UESCAPE") && strncasecmp(s + t.start, "UESCAPE", t.len) == 0;
}

/* Is it cast at once to a type that only PostgreSQL itself can have made? The path of our sessions is pg_catalog alone. */
static bool is_cast_to_builtin(const char *s, struct lexer after)
{
	const struct token one = lexer_next(&after), two = lexer_next(&after);
	struct token type = lexer_next(&after), dot = lexer_next(&after);

	if (!is(&one, s, ':') || !is(&two, s, ':') || (type.kind != TOKEN_WORD && type.kind != TOKEN_QUOTED))
		return false;
	if (is(&dot, s, '.')) {
		if (type.len != strlen("pg_catalog") || strncmp(s + type.start, "pg_catalog", type.len) != 0)
			return false;
		type = lexer_next(&after);
	}
	if (type.kind == TOKEN_QUOTED)
		return type.len != strlen("\"unknown\"") || strncmp(s + type.start, "\"unknown\"", type.len) != 0;
	return type.len != strlen("unknown") || strncasecmp(s + type.start, "unknown", type.len) != 0;
}

const char *expression_trap(void *parent, const char *expression)
{
	struct lexer lexer = { .s = expression, .len = expression ? strlen(expression) : 0 };

	for (struct token t = lexer_next(&lexer); t.kind != TOKEN_END; t = lexer_next(&lexer)) {
		if (t.kind == TOKEN_OPEN_QUOTE || t.kind == TOKEN_OPEN_COMMENT)
			return "";                       /* no expression at all; the server will say so */
		if (t.kind != TOKEN_STRING)
			continue;
		if (has_own_escape(expression, lexer) || (opens(expression + t.start, t.len) && !is_cast_to_builtin(expression, lexer)))
			return talloc_strndup(parent, expression + t.start, t.len);
	}
	return NULL;
}
