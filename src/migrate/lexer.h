/* SPDX-License-Identifier: PostgreSQL */
/*
 * Tokens of an SQL script, as psql sees it: only as fine as needed to find the
 * ends of statements, their first words, COPY data and backslash commands. For
 * script.c first; whoever must tell code from comments and strings uses it, too.
 *
 * Not libpg_query's scanner: that one is the grammar of one release (16's
 * 1_000 and 0xFF are errors to it), refuses a whole text that holds COPY data,
 * and knows nothing of where psql's data begins. A test compares the two on
 * text that both understand.
 */
#ifndef DBR_MIGRATE_LEXER_H
#define DBR_MIGRATE_LEXER_H

#include <stdbool.h>
#include <stddef.h>

enum token_kind {
	TOKEN_END,
	TOKEN_WORD,            /* unquoted identifier or keyword */
	TOKEN_QUOTED,          /* "identifier" */
	TOKEN_STRING,          /* any kind of string, dollar quotes too */
	TOKEN_NUMBER,
	TOKEN_SYMBOL,          /* one byte: ( ) ; and operators */
	TOKEN_BACKSLASH,       /* a psql command begins */
	TOKEN_OPEN_QUOTE,      /* begun at start, never closed */
	TOKEN_OPEN_COMMENT,
};

struct token {
	enum token_kind kind;
	size_t start, len;
};

struct lexer {
	const char *s;
	size_t len, at;
};

/* The next token; at the end of the text an end token, again and again. */
struct token lexer_next(struct lexer *);

#endif
