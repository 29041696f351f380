/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rows are taken from libpq one by one and kept here: half the memory of a PGresult, and a limit that holds however much
 * the server sends.
 */
#include <stdint.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

struct cell {
	uint32_t at;
	int32_t len;                           /* -1 = NULL */
};

struct rows {
	unsigned columns, rows;
	size_t n_cells, max_cells, used, size;
	struct cell *cells;
	char *text;
};

struct rows *rows_new(void *parent, unsigned columns)
{
	struct rows *rows = talloc_zero(parent, struct rows);

	rows->columns = columns;
	return rows;
}

static void make_room(struct rows *rows, size_t cells, size_t bytes)
{
	if (rows->n_cells + cells > rows->max_cells) {
		rows->max_cells = (rows->n_cells + cells) * 2;
		rows->cells = talloc_realloc(rows, rows->cells, struct cell, rows->max_cells);
	}
	if (rows->used + bytes > rows->size) {
		rows->size = (rows->used + bytes) * 2;
		rows->text = talloc_realloc(rows, rows->text, char, rows->size);
	}
}

int rows_add(struct rows *rows, const PGresult *res, int row)
{
	const unsigned columns = (unsigned)PQnfields(res);
	size_t bytes = 0;

	if (columns != rows->columns || rows->rows >= ANSWER_ROWS_MAX)
		return 1;
	for (unsigned c = 0; c < columns; c++)
		bytes += (size_t)PQgetlength(res, row, (int)c) + 1;
	if (rows->used + bytes > ANSWER_BYTES_MAX)
		return 1;
	make_room(rows, columns, bytes);
	for (unsigned c = 0; c < columns; c++) {
		struct cell *cell = &rows->cells[rows->n_cells++];
		const int len = PQgetisnull(res, row, (int)c) ? -1 : PQgetlength(res, row, (int)c);

		*cell = (struct cell){ .at = (uint32_t)rows->used, .len = len };
		if (len < 0)
			continue;
		memcpy(rows->text + rows->used, PQgetvalue(res, row, (int)c), (size_t)len);
		rows->text[rows->used + (size_t)len] = '\0';
		rows->used += (size_t)len + 1;
	}
	rows->rows++;
	return 0;
}

static const char *rows_cell(const struct rowset *set, unsigned row, unsigned column, size_t *ret_len)
{
	const struct rows *rows = set->data;
	const struct cell *cell;

	if (ret_len)
		*ret_len = 0;
	if (row >= rows->rows || column >= rows->columns)
		return NULL;
	cell = &rows->cells[(size_t)row * rows->columns + column];
	if (cell->len < 0)
		return NULL;
	if (ret_len)
		*ret_len = (size_t)cell->len;
	return rows->text + cell->at;
}

void rows_view(const struct rows *rows, struct rowset *ret)
{
	*ret = (struct rowset){ .rows = rows->rows, .columns = rows->columns, .cell = rows_cell, .data = (void *)rows };
}
