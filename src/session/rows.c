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

struct block {
	struct block *next;
	size_t used, size;
	char at[];
};

struct rows {
	unsigned columns, rows, room;
	size_t bytes;                          /* of all rows */
	struct block *first, *last;
	const struct cell **row;
	int *len;                              /* of the row being added; -1 = NULL */
};

struct rows *rows_new(void *parent, unsigned columns)
{
	struct rows *rows = talloc_zero(parent, struct rows);

	rows->columns = columns;
	rows->len = talloc_array(rows, int, columns);
	return rows;
}

static struct block *new_block(struct rows *rows, size_t row)
{
	/* Small answers take small blocks. */
	const size_t usual = rows->last ? BLOCK_BYTES : 4096, size = row > usual ? row : usual;
	struct block *block = talloc_size(rows, sizeof(*block) + size);

	if (!block)
		return NULL;
	*block = (struct block){ .size = size };
	if (rows->last)
		rows->last->next = block;
	else
		rows->first = block;
	rows->last = block;
	return block;
}

/* Rows stand one after the other, padded with zeros: what rows_pieces() gives depends on nothing else. */
static struct cell *new_row(struct rows *rows, size_t bytes)
{
	const size_t padded = (bytes + sizeof(uint32_t) - 1) / sizeof(uint32_t) * sizeof(uint32_t);
	struct block *block = rows->last;
	char *row;

	if ((!block || block->used + padded > block->size) && !(block = new_block(rows, padded)))
		return NULL;
	if (rows->rows == rows->room) {
		rows->room = rows->room == 0 ? 32 : rows->room * 2;
		rows->row = talloc_realloc(rows, rows->row, const struct cell *, rows->room);
		if (!rows->row)
			return NULL;
	}
	row = block->at + block->used;
	memset(row + bytes, 0, padded - bytes);
	block->used += padded;
	rows->bytes += padded;
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
	for (unsigned c = 0; c < columns; c++) {
		rows->len[c] = PQgetisnull(res, row, (int)c) ? -1 : PQgetlength(res, row, (int)c);
		bytes += (size_t)(rows->len[c] + 1);
	}
	if (rows->bytes + bytes > ANSWER_BYTES_MAX)
		return 1;
	cells = new_row(rows, bytes);
	if (!cells)
		return 1;
	to = (char *)cells + head;
	for (unsigned c = 0; c < columns; c++) {
		const int len = rows->len[c];

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

static void rows_pieces(const struct rowset *set, void (*take)(void *arg, const void *bytes, size_t n), void *arg)
{
	const struct rows *rows = set->data;

	for (const struct block *block = rows->first; block; block = block->next)
		take(arg, block->at, block->used);
}

void rows_view(const struct rows *rows, struct rowset *ret)
{
	*ret = (struct rowset){ .rows = rows->rows, .columns = rows->columns, .cell = rows_cell, .pieces = rows_pieces, .data = (void *)rows };
}
