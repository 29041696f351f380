/* SPDX-License-Identifier: PostgreSQL */
#include "base/error.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/text.h"

/* What is too long ends with a whole character: it goes on to servers and into documents, which take no half of one. */
static void print(char *buf, size_t size, const char *format, va_list ap)
{
	size_t end = size - 1, start = end;

	if (vsnprintf(buf, size, format, ap) < (int)size)
		return;
	while (start > 0 && end - start < 3 && ((unsigned char)buf[start - 1] & 0xC0) == 0x80)
		start--;
	if (start > 0 && !utf8_valid(buf + start - 1, end - start + 1))
		buf[start - 1] = '\0';
}

void error_clear(struct error *err)
{
	if (err)
		memset(err, 0, sizeof *err);
}

void error_set(struct error *err, const char *format, ...)
{
	va_list ap;

	if (!err || error_is_set(err))
		return;
	va_start(ap, format);
	print(err->text, sizeof err->text, format, ap);
	va_end(ap);
}

void error_set_at(struct error *err, const char *file, unsigned line, const char *format, ...)
{
	va_list ap;

	if (!err || error_is_set(err))
		return;
	snprintf(err->file, sizeof err->file, "%s", file ? file : "");
	err->line = line;
	va_start(ap, format);
	print(err->text, sizeof err->text, format, ap);
	va_end(ap);
}

void error_hint(struct error *err, const char *format, ...)
{
	va_list ap;

	if (!err)
		return;
	va_start(ap, format);
	print(err->hint, sizeof err->hint, format, ap);
	va_end(ap);
}

void error_name_target(struct error *err, const char *target)
{
	static const char word[] = " TARGET ";
	const char *at = strstr(err->hint, word);
	char rest[sizeof err->hint];

	if (!at)
		return;
	snprintf(rest, sizeof rest, "%s", at + sizeof word - 1);
	snprintf(err->hint + (at - err->hint), sizeof err->hint - (size_t)(at - err->hint), " %s %s", target, rest);
}

const char *error_summary(const struct error *err, char *buf, size_t size)
{
	char where[320] = "";

	if (err->file[0] && err->line && err->column)
		snprintf(where, sizeof where, "%s:%u:%u: ", err->file, err->line, err->column);
	else if (err->file[0] && err->line)
		snprintf(where, sizeof where, "%s:%u: ", err->file, err->line);
	else if (err->file[0])
		snprintf(where, sizeof where, "%s: ", err->file);
	snprintf(buf, size, "%s%s", where, err->text);
	return buf;
}

const char *error_format(const struct error *err, char *buf, size_t size)
{
	size_t len = strlen(error_summary(err, buf, size));

	if (err->hint[0])
		snprintf(buf + len, size - len, " (%s)", err->hint);
	return buf;
}
