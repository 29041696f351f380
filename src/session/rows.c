/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rows are taken from libpq one by one and kept here: half the memory of a PGresult, and a limit that holds however much
 * the server sends. In blocks that never move: growing one array would copy hundreds of megabytes in one turn.
 */
#include <stdint.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

#define BLOCK_BYTES (512u << 10)

/* A row is an array of these, one for each column, and then the texts, each terminated. */
struct cell {
	uint32_t at;                           /* from the beginning of the row */
	int32_t len;                           /* -1 = NULL */
};

struct rows {
	unsigned columns, rows, room;
	size_t bytes;                          /* of all rows */
	char *block;                           /* the last one: the rows before are in others */
	size_t used, size;
	const struct cell **row;
};

struct rows *rows_new(void *parent, unsigned columns)
{
	struct rows *rows = talloc_zero(parent, struct rows);

	rows->columns = columns;
	return rows;
}

static struct cell *new_row(struct rows *rows, size_t bytes)
{
	char *row;

	bytes = (bytes + sizeof(uint32_t)) / sizeof(uint32_t) * sizeof(uint32_t);
	if (rows->used + bytes > rows->size) {
		/* Small answers take small blocks. */
		const size_t usual = rows->size == 0 ? 4096 : BLOCK_BYTES;

		rows->size = bytes > usual ? bytes : usual;
		rows->used = 0;
		rows->block = talloc_array(rows, char, rows->size);
	}
	if (rows->rows == rows->room) {
		rows->room = rows->room == 0 ? 32 : rows->room * 2;
		rows->row = talloc_realloc(rows, rows->row, const struct cell *, rows->room);
	}
	if (!rows->block || !rows->row)
		return NULL;
	row = rows->block + rows->used;
	rows->used += bytes;
	rows->bytes += bytes;
	rows->row[rows->rows++] = (struct cell *)row;
	return (struct cell *)row;
}

int rows_add(struct rows *rows, const PGresult *res, int row)
{
	const unsigned columns = (unsigned)PQnfields(res);
	const size_t head = columns * sizeof(struct cell);
	size_t bytes = head;
	struct cell *cells;
	char *to;

	if (columns != rows->columns || rows->rows >= ANSWER_ROWS_MAX)
		return 1;
	for (unsigned c = 0; c < columns; c++)
		bytes += (size_t)PQgetlength(res, row, (int)c) + 1;
	if (rows->bytes + bytes > ANSWER_BYTES_MAX)
		return 1;
	cells = new_row(rows, bytes);
	if (!cells)
		return 1;
	to = (char *)cells + head;
	for (unsigned c = 0; c < columns; c++) {
		const int len = PQgetisnull(res, row, (int)c) ? -1 : PQgetlength(res, row, (int)c);

		cells[c] = (struct cell){ .at = (uint32_t)(to - (char *)cells), .len = len };
		if (len < 0)
			continue;
		memcpy(to, PQgetvalue(res, row, (int)c), (size_t)len);
		to[len] = '\0';
		to += len + 1;
	}
	return 0;
}

static const char *rows_cell(const struct rowset *set, unsigned row, unsigned column, size_t *ret_len)
{
	const struct rows *rows = set->data;
	const struct cell *cells;

	if (ret_len)
		*ret_len = 0;
	if (row >= rows->rows || column >= rows->columns)
		return NULL;
	cells = rows->row[row];
	if (cells[column].len < 0)
		return NULL;
	if (ret_len)
		*ret_len = (size_t)cells[column].len;
	return (const char *)cells + cells[column].at;
}

void rows_view(const struct rows *rows, struct rowset *ret)
{
	*ret = (struct rowset){ .rows = rows->rows, .columns = rows->columns, .cell = rows_cell, .data = (void *)rows };
}
