/* SPDX-License-Identifier: PostgreSQL */
#include "support/tsv.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct cell {
	const char *value;
	size_t len;
};

static const char *tsv_get(const struct rowset *rows, unsigned row, unsigned column, size_t *ret_len)
{
	const struct cell *cell = (const struct cell *)rows->data + (size_t)row * rows->columns + column;

	*ret_len = cell->len;
	return cell->value;
}

static char unescape(char c)
{
	return c == 't' ? '\t' : c == 'n' ? '\n' : c == 'r' ? '\r' : c;
}

/* Undoes the escapes in place; returns where the cell ends: at a tab, a newline or the end. */
static char *read_cell(char *p, char *end, struct cell *cell)
{
	char *out = p, *start = p;

	if (end - p >= 2 && p[0] == '\\' && p[1] == 'N' && (p + 2 == end || p[2] == '\t' || p[2] == '\n')) {
		*cell = (struct cell){ NULL, 0 };
		return p + 2;
	}
	for (; p < end && *p != '\t' && *p != '\n'; p++) {
		if (*p == '\\' && p + 1 < end)
			*out++ = unescape(*++p);
		else
			*out++ = *p;
	}
	*cell = (struct cell){ start, (size_t)(out - start) };
	return p;
}

static unsigned count(const char *p, const char *end, char what)
{
	unsigned n = 0;

	for (; p < end; p++)
		n += *p == what;
	return n;
}

struct rowset *tsv_rows(void *parent, const char *text, size_t len, unsigned columns)
{
	struct rowset *rows = talloc_zero(parent, struct rowset);
	char *p = talloc_zero_size(rows, len + 1), *end = p + len;
	const char *newline = memchr(text, '\n', len);
	struct cell *cells;

	if (!p)
		abort();
	memcpy(p, text, len);
	rows->cell = tsv_get;
	rows->columns = len ? count(text, newline ? newline : text + len, '\t') + 1 : columns;
	rows->rows = count(text, text + len, '\n') + (len && text[len - 1] != '\n');
	rows->data = cells = talloc_zero_array(rows, struct cell, (size_t)rows->rows * rows->columns + 1);
	if (!cells)
		abort();
	for (unsigned row = 0; row < rows->rows; row++) {
		for (unsigned column = 0;; column++) {
			struct cell cell;
			char stop;

			p = read_cell(p, end, &cell);
			stop = p < end ? *p : '\n';
			if (cell.value)
				((char *)cell.value)[cell.len] = '\0';
			if (column < rows->columns)
				cells[(size_t)row * rows->columns + column] = cell;
			p += p < end;
			if (stop == '\n')
				break;
		}
	}
	return rows;
}

char *tsv_read_file(void *parent, const char *path, size_t *ret_len)
{
	FILE *file = fopen(path, "rb");
	size_t cap = 65536, len = 0, got;
	char *data;

	if (!file)
		return NULL;
	data = talloc_size(parent, cap + 1);
	while (data && (got = fread(data + len, 1, cap - len, file)) > 0) {
		len += got;
		if (len == cap) {
			cap *= 2;
			data = talloc_realloc_size(parent, data, cap + 1);
		}
	}
	fclose(file);
	if (!data)
		abort();
	data[len] = '\0';
	*ret_len = len;
	return data;
}

void tsv_cell(struct text *out, const char *value, size_t len)
{
	if (!value) {
		text_add(out, "\\N");
		return;
	}
	for (size_t i = 0; i < len; i++) {
		switch (value[i]) {
		case '\t': text_add(out, "\\t"); break;
		case '\n': text_add(out, "\\n"); break;
		case '\r': text_add(out, "\\r"); break;
		case '\\': text_add(out, "\\\\"); break;
		default: text_add_char(out, value[i]);
		}
	}
}
