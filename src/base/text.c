/* SPDX-License-Identifier: PostgreSQL */
#include "base/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct text *text_new(void *parent)
{
	struct text *text = talloc_zero(parent, struct text);

	if (!text)
		abort();
	text->cap = 64;
	text->s = talloc_size(text, text->cap);
	if (!text->s)
		abort();
	text->s[0] = '\0';
	return text;
}

static void reserve(struct text *text, size_t more)
{
	if (text->len + more + 1 <= text->cap)
		return;
	while (text->len + more + 1 > text->cap)
		text->cap *= 2;
	text->s = talloc_realloc_size(text, text->s, text->cap);
	if (!text->s)
		abort();
}

void text_add_len(struct text *text, const char *s, size_t len)
{
	reserve(text, len);
	memcpy(text->s + text->len, s, len);
	text->len += len;
	text->s[text->len] = '\0';
}

void text_add(struct text *text, const char *s)
{
	text_add_len(text, s, strlen(s));
}

void text_add_char(struct text *text, char c)
{
	text_add_len(text, &c, 1);
}

void text_addf(struct text *text, const char *format, ...)
{
	va_list ap, again;
	int n;

	va_start(ap, format);
	va_copy(again, ap);
	n = vsnprintf(NULL, 0, format, ap);
	va_end(ap);
	if (n > 0) {
		reserve(text, (size_t)n);
		vsnprintf(text->s + text->len, (size_t)n + 1, format, again);
		text->len += (size_t)n;
	}
	va_end(again);
}

void text_clear(struct text *text)
{
	text->len = 0;
	text->s[0] = '\0';
}

bool text_same(const char *a, const char *b)
{
	return a == b || (a && b && strcmp(a, b) == 0);
}

int text_compare(const void *a, const void *b)
{
	return strcmp(*(const char *const *)a, *(const char *const *)b);
}

/* Iterative, with one place to go back to: linear space, no recursion on hostile patterns. */
bool glob_match_len(const char *pattern, const char *s, size_t len)
{
	const char *end = s + len, *star = NULL, *resume = NULL;

	while (s < end) {
		if (*pattern == '*') {
			star = ++pattern;
			resume = s;
		} else if (*pattern && (*pattern == '?' || *pattern == *s)) {
			pattern++;
			s++;
			/* '?' is one character, not one byte */
			while (pattern[-1] == '?' && s < end && ((unsigned char)*s & 0xC0) == 0x80)
				s++;
		} else if (star) {
			pattern = star;
			s = ++resume;
		} else {
			return false;
		}
	}
	while (*pattern == '*')
		pattern++;
	return *pattern == '\0';
}

bool glob_match(const char *pattern, const char *s)
{
	return glob_match_len(pattern, s, strlen(s));
}

bool glob_is_literal(const char *pattern)
{
	return strpbrk(pattern, "*?") == NULL;
}

/* Levenshtein distance of short words; words over 63 bytes are never near. */
static size_t distance(const char *a, const char *b)
{
	size_t la = strlen(a), lb = strlen(b), row[64];

	if (la > 63 || lb > 63)
		return SIZE_MAX;
	for (size_t j = 0; j <= lb; j++)
		row[j] = j;
	for (size_t i = 1; i <= la; i++) {
		size_t diagonal = row[0];

		row[0] = i;
		for (size_t j = 1; j <= lb; j++) {
			size_t above = row[j], best = diagonal + (a[i - 1] != b[j - 1]);

			if (above + 1 < best)
				best = above + 1;
			if (row[j - 1] + 1 < best)
				best = row[j - 1] + 1;
			row[j] = best;
			diagonal = above;
		}
	}
	return row[lb];
}

const char *text_nearest(const char *word, const char *const *candidates, size_t n)
{
	const char *nearest = NULL;
	size_t best = strlen(word) / 3 + 2;

	for (size_t i = 0; i < n; i++) {
		size_t d = distance(word, candidates[i]);

		if (d < best) {
			best = d;
			nearest = candidates[i];
		}
	}
	return nearest;
}
