/* SPDX-License-Identifier: PostgreSQL */
/* The list of everything that is wrong with a configuration. Inside config/ only; load.h shows the result. */
#ifndef DBR_CONFIG_ERRORS_H
#define DBR_CONFIG_ERRORS_H

#include <stdarg.h>

#include "config/load.h"

#define CONFIG_ERRORS_MAX 200

/* A new error, or NULL when it is there already or there are too many (then errors->more is set). */
struct error *config_errors_add(struct config_errors *, const char *file, unsigned line, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
struct error *config_errors_addv(struct config_errors *, const char *file, unsigned line, const char *format, va_list args)
	__attribute__((format(printf, 4, 0)));
/* By file and line. */
void config_errors_sort(struct config_errors *);

#endif
