/* SPDX-License-Identifier: PostgreSQL */
#include "catalog/cells.h"

#include <errno.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/observed.h"

void reader_begin(struct reader *reader, const char *query, const struct rowset *rows, unsigned columns, struct names *names,
		  struct error *err)
{
	*reader = (struct reader){ .query = query, .rows = rows, .names = names, .err = err };
	if (rows->columns != columns) {
		error_set(err, "query %s: the answer has %u columns instead of %u", query, rows->columns, columns);
		reader->failed = true;
	} else if (rows->rows > ANSWER_ROWS_MAX) {
		error_set(err, "query %s: the answer has more than %u rows", query, ANSWER_ROWS_MAX);
		reader->failed = true;
	}
}

void reader_fail(struct reader *reader, unsigned column, const char *format, ...)
{
	char what[512];
	va_list args;

	if (reader->failed)
		return;
	reader->failed = true;
	va_start(args, format);
	vsnprintf(what, sizeof what, format, args);
	va_end(args);
	error_set(reader->err, "query %s, row %u, column %u: %s", reader->query, reader->row + 1, column + 1, what);
	error_hint(reader->err, "the server's answer cannot be understood: is it PostgreSQL 14 to 18, with unchanged catalogs?");
}

static void fail_value(struct reader *reader, unsigned column, const char *wanted, const char *value, size_t len)
{
	char *shown = text_escape(NULL, value, len, 120);

	reader_fail(reader, column, "%s expected, \"%s\" found", wanted, shown);
	talloc_free(shown);
}

/* NULL, and *ret_len 0, for SQL NULL and after a failure. */
static const char *cell(struct reader *reader, unsigned column, size_t max, size_t *ret_len)
{
	const char *value = NULL;
	size_t len = 0;

	if (!reader->failed)
		value = reader->rows->cell(reader->rows, reader->row, column, &len);
	/* PostgreSQL never sends a zero byte, but the protocol could carry it, and everybody after us takes it for the end. */
	if (value && len > max)
		reader_fail(reader, column, "a value of %zu bytes, more than the %zu that are allowed", len, max);
	else if (value && memchr(value, '\0', len))
		reader_fail(reader, column, "a text with a zero byte");
	if (reader->failed)
		value = NULL;
	*ret_len = value ? len : 0;
	return value;
}

static const char *cell_present(struct reader *reader, unsigned column, size_t max, size_t *ret_len)
{
	const char *value = cell(reader, column, max, ret_len);

	if (!value)
		reader_fail(reader, column, "NULL where a value must be");
	return value ? value : "";
}

const char *cell_text(struct reader *reader, unsigned column)
{
	size_t len;

	return cell_present(reader, column, CELL_TEXT_MAX, &len);
}

const char *cell_text_or_null(struct reader *reader, unsigned column)
{
	size_t len;

	return cell(reader, column, CELL_TEXT_MAX, &len);
}

/* Every byte is kept, so two such names never become one. */
static name_id intern_undecodable(struct names *names, const char *name, size_t len)
{
	struct text *text = text_new(NULL);
	name_id id;

	for (size_t i = 0; i < len; i++) {
		unsigned char c = (unsigned char)name[i];

		if (c < 0x20 || c > 0x7e || c == '\\')
			text_addf(text, "\\x%02x", c);
		else
			text_add_char(text, (char)c);
	}
	text_add(text, " (this name has bytes that are not valid UTF-8: cannot be managed)");
	id = names_intern(names, text->s, text->len);
	talloc_free(text);
	return id;
}

name_id name_intern_decodable(struct names *names, const char *name, size_t len)
{
	return utf8_valid(name, len) ? names_intern(names, name, len) : intern_undecodable(names, name, len);
}

name_id cell_name_or_none(struct reader *reader, unsigned column)
{
	size_t len;
	const char *value = cell(reader, column, CELL_NAME_MAX, &len);

	if (!value)
		return NAME_NONE;
	if (len == 0)
		reader_fail(reader, column, "an empty name");
	return name_intern_decodable(reader->names, value, len);
}

name_id cell_name(struct reader *reader, unsigned column)
{
	name_id name = cell_name_or_none(reader, column);

	if (name == NAME_NONE)
		reader_fail(reader, column, "NULL where a name must be");
	return name;
}

bool cell_bool(struct reader *reader, unsigned column)
{
	size_t len;
	const char *value = cell_present(reader, column, CELL_TEXT_MAX, &len);

	if (len != 1 || (*value != 't' && *value != 'f'))
		fail_value(reader, column, "t or f", value, len);
	return *value == 't';
}

char cell_char(struct reader *reader, unsigned column)
{
	size_t len;
	const char *value = cell_present(reader, column, CELL_TEXT_MAX, &len);

	if (len != 1)
		fail_value(reader, column, "one letter", value, len);
	return *value;
}

int64_t cell_number(struct reader *reader, unsigned column, int64_t min, int64_t max)
{
	size_t len;
	const char *value = cell_present(reader, column, CELL_TEXT_MAX, &len);
	char *end = NULL;
	long long number;

	errno = 0;
	number = strtoll(value, &end, 10);
	/* strtoll takes leading blanks and signs: a number is digits, after at most one minus */
	if (errno || len == 0 || end != value + len || !strchr("-0123456789", *value) || number < min || number > max) {
		fail_value(reader, column, "a number in range", value, len);
		return 0;
	}
	return number;
}

uint64_t cell_number_u64(struct reader *reader, unsigned column)
{
	size_t len;
	const char *value = cell(reader, column, CELL_TEXT_MAX, &len);
	char *end = NULL;
	unsigned long long number;

	if (!value)
		return 0;
	errno = 0;
	number = strtoull(value, &end, 10);
	if (errno || len == 0 || end != value + len || !strchr("0123456789", *value)) {
		fail_value(reader, column, "a number", value, len);
		return 0;
	}
	return number;
}

/* Most arrays need no quotes: elements are what lies between commas. False when it is not that simple, or not an array. */
static bool count_plain(const char *array, size_t len, uint32_t *ret_n)
{
	uint32_t n = 1;
	size_t start = 1;

	if (len < 3 || array[0] != '{' || array[len - 1] != '}' || memchr(array, '"', len) || memchr(array + 1, '{', len - 1) ||
	    memchr(array, '}', len - 1))
		return false;
	for (size_t i = 1; i < len; i++) {
		if (array[i] != ',' && i < len - 1)
			continue;
		if (i == start || (i - start == 4 && memcmp(array + start, "NULL", 4) == 0))
			return false;
		n += i < len - 1;
		start = i + 1;
	}
	*ret_n = n;
	return true;
}

/* How many elements; false when the text is not "{a,b}". array_next() itself is lenient. */
static bool count_elements(const char *array, size_t len, uint32_t *ret_n)
{
	struct text *scratch = text_new(NULL);
	size_t cursor = 0, element_len;
	bool good = len >= 2 && array[0] == '{' && array[len - 1] == '}';

	*ret_n = 0;
	while (good && array_next(array, len, &cursor, scratch, &element_len)) {
		++*ret_n;
		good = cursor < len && (array[cursor] == ',' || array[cursor] == '}') && element_len;
	}
	talloc_free(scratch);
	if (*ret_n == 0)
		return good && len == 2;
	return good && cursor == len - 1;
}

const char *cell_array_or_null(struct reader *reader, unsigned column, size_t *ret_len, uint32_t *ret_n)
{
	const char *value = cell(reader, column, CELL_ARRAY_MAX, ret_len);

	*ret_n = 0;
	if (value && !count_plain(value, *ret_len, ret_n) && !count_elements(value, *ret_len, ret_n)) {
		fail_value(reader, column, "an array", value, *ret_len);
		return NULL;
	}
	return value;
}

const char *cell_array(struct reader *reader, unsigned column, size_t *ret_len, uint32_t *ret_n)
{
	const char *value = cell_array_or_null(reader, column, ret_len, ret_n);

	if (!value)
		reader_fail(reader, column, "NULL where an array must be");
	return value ? value : "";
}

const char *cell_members(struct reader *reader, unsigned column, unsigned count_column, size_t *ret_len, uint32_t *ret_n)
{
	uint32_t n = (uint32_t)cell_number(reader, count_column, 1, UINT32_MAX);
	const char *array = cell_array(reader, column, ret_len, ret_n);

	if (*ret_n != n)
		reader_fail(reader, column, "%u names instead of %u", *ret_n, n);
	return array;
}

void *grow_array(void *parent, void *v, size_t size, uint32_t n, uint32_t more)
{
	size_t room = talloc_get_size(v) / size;

	if (room >= (size_t)n + more)
		return v;
	room = room * 2 > (size_t)n + more ? room * 2 : (size_t)n + more;
	v = talloc_realloc_size(parent, v, room * size);
	if (!v)
		abort();
	return v;
}

bool comes_twice(const void *v, size_t n, size_t size, int (*compare)(const void *, const void *))
{
	char *copy;
	bool twice = false;

	if (n < 2)
		return false;
	copy = talloc_memdup(NULL, v, n * size);
	if (!copy)
		abort();
	qsort(copy, n, size, compare);
	for (size_t i = 1; i < n && !twice; i++)
		twice = compare(copy + (i - 1) * size, copy + i * size) == 0;
	talloc_free(copy);
	return twice;
}
