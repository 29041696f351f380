/* SPDX-License-Identifier: PostgreSQL */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/errors.h"

struct error *config_errors_addv(struct config_errors *errors, const char *file, unsigned line, const char *format, va_list args)
{
	char text[ERROR_TEXT_MAX];

	if (errors->n == CONFIG_ERRORS_MAX) {
		errors->more = true;
		return NULL;
	}
	if (!errors->v)
		errors->v = talloc_zero_array(errors, struct error, CONFIG_ERRORS_MAX);
	if (!errors->v) {
		errors->more = true;
		return NULL;
	}
	vsnprintf(text, sizeof(text), format, args);
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
	uint32_t kept = 0;

	if (errors->n == 0)
		return;
	qsort(errors->v, errors->n, sizeof(errors->v[0]), error_compare);
	for (uint32_t i = 0; i < errors->n; i++) {
		struct error *err = &errors->v[i];

		err->column = 0;
		if (kept > 0 && errors->v[kept - 1].line == err->line && strcmp(errors->v[kept - 1].text, err->text) == 0 &&
		    strcmp(errors->v[kept - 1].file, err->file) == 0)
			continue;
		if (kept != i)
			errors->v[kept] = *err;
		kept++;
	}
	errors->n = kept;
}

void config_errors_print(const struct config_errors *errors, FILE *out)
{
	char line[ERROR_TEXT_MAX + 1024];

	for (uint32_t i = 0; i < errors->n; i++)
		fprintf(out, "%s\n", error_format(&errors->v[i], line, sizeof(line)));
	if (errors->more)
		fprintf(out, "... and more: only the first %d errors are shown\n", CONFIG_ERRORS_MAX);
}
