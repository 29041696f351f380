/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/errors.h"

/* The same manifest is checked for each server that names it: say it once. */
static bool is_known(const struct config_errors *errors, const char *file, unsigned line, const char *text)
{
	for (uint32_t i = 0; i < errors->n; i++)
		if (errors->v[i].line == line && strcmp(errors->v[i].text, text) == 0 && strcmp(errors->v[i].file, file) == 0)
			return true;
	return false;
}

struct error *config_errors_addv(struct config_errors *errors, const char *file, unsigned line, const char *format, va_list args)
{
	char text[ERROR_TEXT_MAX];

	if (!errors->v)
		errors->v = talloc_zero_array(errors, struct error, CONFIG_ERRORS_MAX);
	if (!errors->v)
		abort();
	vsnprintf(text, sizeof(text), format, args);
	if (is_known(errors, file, line, text))
		return NULL;
	if (errors->n == CONFIG_ERRORS_MAX) {
		errors->more = true;
		return NULL;
	}
	struct error *err = &errors->v[errors->n++];
	error_set_at(err, file, line, "%s", text);
	err->column = errors->n;     /* order of arrival: makes the sort stable, cleared there */
	return err;
}

struct error *config_errors_add(struct config_errors *errors, const char *file, unsigned line, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct error *err = config_errors_addv(errors, file, line, format, args);
	va_end(args);
	return err;
}

static int error_compare(const void *a, const void *b)
{
	const struct error *x = a, *y = b;
	int order = strcmp(x->file, y->file);

	if (order != 0)
		return order;
	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->column < y->column ? -1 : x->column > y->column;
}

void config_errors_sort(struct config_errors *errors)
{
	if (errors->n == 0)
		return;
	qsort(errors->v, errors->n, sizeof(errors->v[0]), error_compare);
	for (uint32_t i = 0; i < errors->n; i++)
		errors->v[i].column = 0;
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
	char line[ERROR_TEXT_MAX + 1024];

	for (uint32_t i = 0; i < errors->n; i++)
		fprintf(out, "%s\n", error_format(&errors->v[i], line, sizeof(line)));
	if (errors->more)
		fprintf(out, "... and more: only the first %d errors are shown\n", CONFIG_ERRORS_MAX);
}
