/* SPDX-License-Identifier: PostgreSQL */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "ctl/ctl.h"

static bool wanted(const struct ctl *ctl)
{
	return ctl->err_tty && !ctl->quiet;
}

void progress_show(const struct ctl *ctl, const char *format, ...)
{
	char *text, *shown;
	va_list ap;

	if (!wanted(ctl))
		return;
	va_start(ap, format);
	text = talloc_vasprintf(NULL, format, ap);
	va_end(ap);
	shown = text_escape(text, text, strlen(text), 120);
	fprintf(stderr, "\r\033[K%s", shown);
	fflush(stderr);
	talloc_free(text);
}

void progress_clear(const struct ctl *ctl)
{
	if (wanted(ctl))
		fputs("\r\033[K", stderr);
}
