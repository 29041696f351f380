/* SPDX-License-Identifier: PostgreSQL */
/*
 * Text: growing strings, globs, spans of time, UTF-8 and escaping for display.
 * Knows nothing of SQL; quoting for the server is model/quote.h.
 */
#ifndef DBR_BASE_TEXT_H
#define DBR_BASE_TEXT_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/clock.h"
#include "base/error.h"

/* A string that grows; talloc child of the parent it was made with. Always terminated. */
struct text {
	char *s;
	size_t len, cap;
};

/* They end the program when memory does; s stays valid until the next call that adds. */
struct text *text_new(void *parent);
void text_add(struct text *, const char *s);
void text_add_len(struct text *, const char *s, size_t len);
void text_add_char(struct text *, char c);
void text_addf(struct text *, const char *format, ...) __attribute__((format(printf, 2, 3)));
void text_clear(struct text *);

/* Equal, or both NULL. */
bool text_same(const char *a, const char *b);
/* For qsort() and bsearch() over pointers to strings, by bytes. */
int text_compare(const void *a, const void *b);

/* '*' any run, '?' one character; case-sensitive; no escapes. */
bool glob_match(const char *pattern, const char *s);
bool glob_match_len(const char *pattern, const char *s, size_t len);
bool glob_is_literal(const char *pattern);

/* "250ms", "30s", "5min" or "5m", "2h", "1d"; 0 ok, 1 not a duration or out of range (0..10 years). */
int duration_parse(const char *s, msec_t *ret_ms);
/* Shortest exact form that duration_parse() reads back. buf >= 32. */
const char *duration_format(msec_t ms, char *buf, size_t size);
/* "64kB", "1MB", "2GB" (binary multiples as PostgreSQL), plain bytes "0"; 0 ok, 1 not a size. */
int size_parse(const char *s, uint64_t *ret_bytes);

/* UTF-8 as RFC 3629 has it: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool utf8_valid(const char *s, size_t len);
size_t utf8_count(const char *s, size_t len);          /* code points; s is valid UTF-8 */
bool text_has_control(const char *s, size_t len);      /* C0, DEL, C1 */
/* s with control characters, bidirectional overrides and invalid UTF-8 written as \xNN or \uNNNN,
   at most max bytes and "…" when cut. A talloc child of parent. */
char *text_escape(void *parent, const char *s, size_t len, size_t max);
/* Nearest of the n candidates by edit distance, or NULL when none is near: "did you mean". */
const char *text_nearest(const char *word, const char *const *candidates, size_t n);

#endif
