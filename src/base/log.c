/* SPDX-License-Identifier: PostgreSQL */
#include "base/log.h"

#include <stdio.h>
#include <talloc.h>

#include "base/text.h"

#define LINE_MAX_BYTES 4096

/* The log is the one thing that is global: where it goes and how much of it. */
static log_sink sink;
static enum log_level threshold = LOG_LEVEL_INFO;

void log_set_sink(log_sink new_sink)
{
	sink = new_sink;
}

void log_set_level(enum log_level level)
{
	threshold = level;
}

bool log_enabled(enum log_level level)
{
	return level <= threshold;
}

static void to_stderr(enum log_level level, const char *target, const char *text)
{
	(void)level;
	if (target)
		fprintf(stderr, "%s: %s\n", target, text);
	else
		fprintf(stderr, "%s\n", text);
}

static void log_v(enum log_level level, const char *target, const char *message_id, const char *format, va_list ap)
{
	char *raw, *safe, *safe_target = NULL;

	if (!log_enabled(level))
		return;
	raw = talloc_vasprintf(NULL, format, ap);
	if (!raw)
		return;
	safe = text_escape(raw, raw, talloc_get_size(raw) - 1, LINE_MAX_BYTES);
	if (target)
		safe_target = text_escape(raw, target, __builtin_strlen(target), 256);
	if (sink)
		sink(level, safe_target, message_id, safe);
	else
		to_stderr(level, safe_target, safe);
	talloc_free(raw);
}

void log_line(enum log_level level, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_v(level, NULL, NULL, format, ap);
	va_end(ap);
}

void log_target(enum log_level level, const char *target, const char *message_id, const char *format, ...)
{
	va_list ap;

	va_start(ap, format);
	log_v(level, target && *target ? target : NULL, message_id, format, ap);
	va_end(ap);
}
