/* SPDX-License-Identifier: PostgreSQL */
/* UTF-8 and escaping for display: the second half of text.h. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

/* Length of the valid sequence at s (at most left bytes) and its code point; 0 when invalid. Overlong forms, surrogates
   and what lies above U+10FFFF are invalid, as in PostgreSQL's pg_utf8_islegal(). */
static size_t decode(const unsigned char *s, size_t left, uint32_t *ret)
{
	static const uint32_t least[5] = { 0, 0, 0x80, 0x800, 0x10000 };
	size_t n = s[0] < 0x80 ? 1 : (s[0] & 0xE0) == 0xC0 ? 2 : (s[0] & 0xF0) == 0xE0 ? 3 : (s[0] & 0xF8) == 0xF0 ? 4 : 0;
	uint32_t c;

	if (n == 0 || n > left)
		return 0;
	c = n == 1 ? s[0] : s[0] & (0x7Fu >> n);
	for (size_t i = 1; i < n; i++) {
		if ((s[i] & 0xC0) != 0x80)
			return 0;
		c = c << 6 | (s[i] & 0x3Fu);
	}
	if (c < least[n] || c > 0x10FFFF || (c >= 0xD800 && c <= 0xDFFF))
		return 0;
	*ret = c;
	return n;
}

bool utf8_valid(const char *s, size_t len)
{
	uint32_t c;

	for (size_t i = 0; i < len;) {
		size_t n = decode((const unsigned char *)s + i, len - i, &c);

		if (n == 0)
			return false;
		i += n;
	}
	return true;
}

size_t utf8_count(const char *s, size_t len)
{
	size_t count = 0;

	for (size_t i = 0; i < len; i++)
		count += ((unsigned char)s[i] & 0xC0) != 0x80;
	return count;
}

static bool is_control(uint32_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0);
}

/* Characters that change how their neighbours are shown: bidirectional marks and overrides, zero width, line separators. */
static bool is_deceptive(uint32_t c)
{
	return (c >= 0x200B && c <= 0x200F) || (c >= 0x2028 && c <= 0x202E) || (c >= 0x2060 && c <= 0x2069) || c == 0xFEFF ||
	       c == 0x061C;
}

bool text_has_control(const char *s, size_t len)
{
	uint32_t c;

	for (size_t i = 0; i < len;) {
		size_t n = decode((const unsigned char *)s + i, len - i, &c);

		if (n == 0) {
			i++;
			continue;
		}
		if (is_control(c))
			return true;
		i += n;
	}
	return false;
}

char *text_escape(void *parent, const char *s, size_t len, size_t max)
{
	struct text *out = text_new(NULL);
	char *result;
	uint32_t c;

	for (size_t i = 0; i < len;) {
		size_t n = decode((const unsigned char *)s + i, len - i, &c);

		if (out->len + 6 > max) {
			text_add(out, "…");
			break;
		}
		if (n == 0) {
			text_addf(out, "\\x%02x", (unsigned char)s[i]);
			i++;
			continue;
		}
		if (is_control(c))
			text_addf(out, "\\x%02x", c);
		else if (is_deceptive(c))
			text_addf(out, "\\u%04x", c);
		else
			text_add_len(out, s + i, n);
		i += n;
	}
	result = talloc_strndup(parent, out->s, out->len);
	talloc_free(out);
	return result;
}
