/* SPDX-License-Identifier: PostgreSQL */
/*
 * Log lines of the daemon. The folders below session never log: they return a
 * struct error. Every line passes the escaper of text.h, so names and messages
 * that servers send cannot forge lines or move a terminal's cursor.
 */
#ifndef DBR_BASE_LOG_H
#define DBR_BASE_LOG_H

#include <stdarg.h>
#include <stdbool.h>

enum log_level { LOG_LEVEL_ERROR = 3, LOG_LEVEL_WARNING = 4, LOG_LEVEL_NOTICE = 5, LOG_LEVEL_INFO = 6, LOG_LEVEL_DEBUG = 7 };

/* Where lines go; the default writes "<N>text" or "text" to stderr. service/ sets the journal's. */
typedef void (*log_sink)(enum log_level level, const char *target, const char *message_id, const char *text);

/* The sink and the level hold for the whole process; set by the composition root. */
void log_set_sink(log_sink sink);
void log_set_level(enum log_level level);
bool log_enabled(enum log_level level);
void log_line(enum log_level level, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* A line about one target ("server" or "server/database"; NULL or "" = the daemon); message_id: base/message.h, or NULL. */
void log_target(enum log_level level, const char *target, const char *message_id, const char *format, ...)
	__attribute__((format(printf, 4, 5)));

#endif
