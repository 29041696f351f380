/* SPDX-License-Identifier: PostgreSQL */
/* The rules are those of src/backend/parser/scan.l; each function names its own. */
#include "config.h"       /* memmem */

#include "migrate/lexer.h"

#include <string.h>

static bool is_space(char c)
{
	return c == ' ' || c == '\t' || c == '\n' || c == '\r' || c == '\f' || c == '\v';
}

static bool is_digit(char c)
{
	return c >= '0' && c <= '9';
}

static bool is_ident_start(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_' || (unsigned char)c >= 0x80;
}

static bool is_ident(char c)
{
	return is_ident_start(c) || is_digit(c) || c == '$';
}

static char peek(const struct lexer *lexer, size_t ahead)
{
	return lexer->at + ahead < lexer->len ? lexer->s[lexer->at + ahead] : '\0';
}

/* "--" ends at LF or at a lone CR. */
static void skip_line(struct lexer *lexer)
{
	while (lexer->at < lexer->len && lexer->s[lexer->at] != '\n' && lexer->s[lexer->at] != '\r')
		lexer->at++;
}

/* Comments nest. false when it never ends. */
static bool skip_comment(struct lexer *lexer)
{
	unsigned depth = 0;

	do {
		if (peek(lexer, 0) == '/' && peek(lexer, 1) == '*') {
			depth++;
			lexer->at += 2;
		} else if (peek(lexer, 0) == '*' && peek(lexer, 1) == '/') {
			depth--;
			lexer->at += 2;
		} else {
			lexer->at++;
		}
	} while (depth && lexer->at < lexer->len);
	return !depth;
}

/* A string goes on after white space that holds a line end: 'a'<newline>'b' is one, of the same kind. */
static bool continues(struct lexer *lexer)
{
	size_t back = lexer->at;
	bool newline = false;

	while (lexer->at < lexer->len) {
		char c = lexer->s[lexer->at];

		if (c == '-' && peek(lexer, 1) == '-') {
			skip_line(lexer);
		} else if (is_space(c)) {
			newline |= c == '\n' || c == '\r';
			lexer->at++;
		} else {
			break;
		}
	}
	if (newline && peek(lexer, 0) == '\'')
		return true;
	lexer->at = back;
	return false;
}

/* at is on the opening quote. A doubled quote is one of the text; backslashes escape in E'' only, because
   standard_conforming_strings is pinned on. */
static bool skip_quoted(struct lexer *lexer, char quote, bool escapes)
{
	lexer->at++;
	while (lexer->at < lexer->len) {
		char c = lexer->s[lexer->at++];

		if (c == '\\' && escapes && lexer->at < lexer->len) {
			lexer->at++;
		} else if (c == quote) {
			if (peek(lexer, 0) == quote || (escapes && continues(lexer)))
				lexer->at++;
			else
				return true;
		}
	}
	return false;
}

/* Length of "$tag$" at the cursor, or 0. A tag is an identifier without '$'. */
static size_t dollar_tag(const struct lexer *lexer)
{
	size_t n = 1;

	if (peek(lexer, n) != '$') {
		if (!is_ident_start(peek(lexer, n)))
			return 0;
		while (is_ident(peek(lexer, n)) && peek(lexer, n) != '$')
			n++;
	}
	return peek(lexer, n) == '$' ? n + 1 : 0;
}

static bool skip_dollar(struct lexer *lexer, size_t tag)
{
	const char *start = lexer->s + lexer->at, *close;

	lexer->at += tag;
	close = memmem(lexer->s + lexer->at, lexer->len - lexer->at, start, tag);
	lexer->at = close ? (size_t)(close - lexer->s) + tag : lexer->len;
	return close != NULL;
}

static enum token_kind word(struct lexer *lexer)
{
	if ((peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') && peek(lexer, 1) == '\'') {
		lexer->at++;
		return skip_quoted(lexer, '\'', true) ? TOKEN_STRING : TOKEN_OPEN_QUOTE;
	}
	while (lexer->at < lexer->len && is_ident(lexer->s[lexer->at]))
		lexer->at++;
	return TOKEN_WORD;
}

static void skip_digits(struct lexer *lexer)
{
	while (is_digit(peek(lexer, 0)))
		lexer->at++;
}

static enum token_kind dollar(struct lexer *lexer)
{
	size_t tag = dollar_tag(lexer);

	if (tag)
		return skip_dollar(lexer, tag) ? TOKEN_STRING : TOKEN_OPEN_QUOTE;
	lexer->at++;
	if (!is_digit(peek(lexer, 0)))
		return TOKEN_SYMBOL;
	skip_digits(lexer);       /* $1 */
	return TOKEN_NUMBER;
}

/* With its exponent: in 1e5$a$ a dollar quote begins, and not the rest of a word. */
static enum token_kind number(struct lexer *lexer)
{
	skip_digits(lexer);
	if (peek(lexer, 0) == '.') {
		lexer->at++;
		skip_digits(lexer);
	}
	if (peek(lexer, 0) == 'e' || peek(lexer, 0) == 'E') {
		size_t sign = peek(lexer, 1) == '+' || peek(lexer, 1) == '-';

		if (is_digit(peek(lexer, 1 + sign))) {
			lexer->at += 1 + sign;
			skip_digits(lexer);
		}
	}
	return TOKEN_NUMBER;
}

static enum token_kind token(struct lexer *lexer)
{
	char c = lexer->s[lexer->at];

	if (is_ident_start(c))
		return word(lexer);
	switch (c) {
	case '\'': return skip_quoted(lexer, '\'', false) ? TOKEN_STRING : TOKEN_OPEN_QUOTE;
	case '"': return skip_quoted(lexer, '"', false) ? TOKEN_QUOTED : TOKEN_OPEN_QUOTE;
	case '$': return dollar(lexer);
	case '\\': lexer->at++; return TOKEN_BACKSLASH;
	}
	if (is_digit(c))
		return number(lexer);
	lexer->at++;
	return TOKEN_SYMBOL;
}

struct token lexer_next(struct lexer *lexer)
{
	struct token t = { TOKEN_END, 0, 0 };

	for (; lexer->at < lexer->len; ) {
		char c = lexer->s[lexer->at];

		t.start = lexer->at;
		if (is_space(c)) {
			lexer->at++;
		} else if (c == '-' && peek(lexer, 1) == '-') {
			skip_line(lexer);
		} else if (c == '/' && peek(lexer, 1) == '*') {
			if (!skip_comment(lexer)) {
				t.kind = TOKEN_OPEN_COMMENT;
				t.len = lexer->len - t.start;
				return t;
			}
		} else {
			t.kind = token(lexer);
			t.len = lexer->at - t.start;
			return t;
		}
	}
	t.start = lexer->len;
	return t;
}
