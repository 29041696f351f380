/* SPDX-License-Identifier: PostgreSQL */
/*
 * One answer, read cell by cell. Private to this folder. The first cell that makes no sense fills the error, with the
 * query, row and column, and from then on every reader gives an empty value: a row is read without a check at each
 * cell, then reader.failed is asked once.
 */
#ifndef DBR_CATALOG_CELLS_H
#define DBR_CATALOG_CELLS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/error.h"
#include "base/names.h"
#include "model/rowset.h"

/* A name has at most 63 bytes; servers can be built for more. A text is what the queries cut at a megabyte of characters. */
#define CELL_NAME_MAX 255
#define CELL_TEXT_MAX (8u << 20)
#define CELL_ARRAY_MAX (512u << 20)
#define ANSWER_ROWS_MAX 1000000

struct reader {
	const char *query;             /* its name, for errors */
	const struct rowset *rows;
	struct names *names;
	struct error *err;
	unsigned row;
	bool failed;
};

/* Fails when the answer has another number of columns, or more rows than anybody can have. */
void reader_begin(struct reader *, const char *query, const struct rowset *, unsigned columns, struct names *, struct error *);
/* "query roles, row 3, column 2: ..." */
void reader_fail(struct reader *, unsigned column, const char *format, ...) __attribute__((format(printf, 3, 4)));

const char *cell_text(struct reader *, unsigned column);                       /* never NULL: "" after a failure */
const char *cell_text_or_null(struct reader *, unsigned column);
name_id cell_name(struct reader *, unsigned column);                           /* never NAME_NONE, but after a failure */
name_id cell_name_or_none(struct reader *, unsigned column);                   /* NULL is NAME_NONE */
bool cell_bool(struct reader *, unsigned column);
char cell_char(struct reader *, unsigned column);                              /* exactly one byte */
int64_t cell_number(struct reader *, unsigned column, int64_t min, int64_t max);
uint64_t cell_number_u64(struct reader *, unsigned column);                    /* NULL is 0 */
/* A one-dimensional array, none of its elements NULL or empty, and how many there are. */
const char *cell_array(struct reader *, unsigned column, size_t *ret_len, uint32_t *ret_n);
const char *cell_array_or_null(struct reader *, unsigned column, size_t *ret_len, uint32_t *ret_n);
/* The names of what was grouped, as many as another column says. */
const char *cell_members(struct reader *, unsigned column, unsigned count_column, size_t *ret_len, uint32_t *ret_n);

/* Room for more elements after the first n of an array that talloc may have made; the address may change. */
void *grow_array(void *parent, void *v, size_t size, uint32_t n, uint32_t more);
/* Is there an element that compares equal to another? The array stays as it is. */
bool comes_twice(const void *v, size_t n, size_t size, int (*compare)(const void *, const void *));

/*
 * The name as it is managed. Roles and databases may carry names in the encoding of another database; such a name is
 * kept, escaped and longer than any name can be, so that it equals nothing that a manifest or another role is called.
 */
name_id name_intern_decodable(struct names *, const char *name, size_t len);

#endif
