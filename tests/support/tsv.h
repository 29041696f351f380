/* SPDX-License-Identifier: PostgreSQL */
/* Answers of a server as files: COPY's text format (tab, newline, \t \n \\ and \N). For unit tests and fuzzing. */
#ifndef DBR_TESTS_TSV_H
#define DBR_TESTS_TSV_H

#include "base/text.h"
#include "model/rowset.h"

/* A rowset over a copy of the text, a talloc child of parent. Rows may differ in length in the text: the first row says
   how many columns there are, missing cells are NULL. No rows: `columns` columns. */
struct rowset *tsv_rows(void *parent, const char *text, size_t len, unsigned columns);
/* The whole file, or NULL; a talloc child of parent. */
char *tsv_read_file(void *parent, const char *path, size_t *ret_len);
/* One cell as it stands in such a file; NULL is \N. */
void tsv_cell(struct text *, const char *value, size_t len);

#endif
