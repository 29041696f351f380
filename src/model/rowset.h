/* SPDX-License-Identifier: PostgreSQL */
/*
 * Rows as the pure folders see them: a table of text cells, whoever holds it.
 * The session's view of a PGresult, a golden file and a fuzz input are all rowsets.
 */
#ifndef DBR_MODEL_ROWSET_H
#define DBR_MODEL_ROWSET_H

#include <stddef.h>

struct rowset {
	unsigned rows, columns;
	/* NULL for SQL NULL; else terminated text of *ret_len bytes, valid as long as the rowset. */
	const char *(*cell)(const struct rowset *, unsigned row, unsigned column, size_t *ret_len);
	void *data;
	/* All rows in as few pieces as the holder has: with the same numbers above, the same bytes are the same rows. May be NULL. */
	void (*pieces)(const struct rowset *, void (*take)(void *arg, const void *bytes, size_t n), void *arg);
};

/* A cell where NULL and "" are the same. */
static inline const char *rowset_text(const struct rowset *rows, unsigned row, unsigned column)
{
	size_t len;
	const char *s = rows->cell(rows, row, column, &len);

	return s != NULL ? s : "";
}

#endif
