/* SPDX-License-Identifier: PostgreSQL */
/* Rows and columns: aligned by libsmartcols for people, tab-separated for programs. */
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include <libsmartcols.h>

#include "ctl/ctl.h"

#define ROOM_MIN 50

struct cell {
	const char *text;
	enum ctl_color color;
};

struct table {
	struct ctl *ctl;
	const struct column *columns;
	unsigned n_columns;
	struct cell *cells;            /* n_rows x n_columns */
	unsigned n_rows, next;
};

struct table *table_new(struct ctl *ctl, const struct column *columns, unsigned n)
{
	struct table *table = talloc_zero(ctl->scratch, struct table);

	*table = (struct table){ .ctl = ctl, .columns = columns, .n_columns = n };
	return table;
}

void table_row(struct table *table)
{
	unsigned n = table->n_columns;

	table->n_rows++;
	if (talloc_array_length(table->cells) < (size_t)table->n_rows * n)
		table->cells = talloc_realloc(table, table->cells, struct cell, (size_t)table->n_rows * 2 * n);
	memset(&table->cells[(size_t)(table->n_rows - 1) * n], 0, n * sizeof(struct cell));
	table->next = 0;
}

void table_cell(struct table *table, const char *text, enum ctl_color color)
{
	struct cell *row = &table->cells[(size_t)(table->n_rows - 1) * table->n_columns];

	row[table->next++] = (struct cell){ text, color };
}

static const char *cell_text(const struct table *table, unsigned row, unsigned column)
{
	const char *text = table->cells[(size_t)row * table->n_columns + column].text;

	return text ? text : "";
}

static int print_tsv(const struct table *table)
{
	if (table->ctl->legend)
		for (unsigned c = 0; c < table->n_columns; c++)
			printf("%s%s", table->columns[c].name, c + 1 < table->n_columns ? "\t" : "\n");
	for (unsigned r = 0; r < table->n_rows; r++)
		for (unsigned c = 0; c < table->n_columns; c++)
			printf("%s%s", cell_text(table, r, c), c + 1 < table->n_columns ? "\t" : "\n");
	return DBR_EXIT_OK;
}

static bool visible(const struct table *table, unsigned column)
{
	return !(table->columns[column].flags & COL_WIDE) || table->ctl->output == OUTPUT_WIDE;
}

static void paint(const struct table *table, unsigned row, unsigned column, struct libscols_cell *cell)
{
	enum ctl_color color = table->cells[(size_t)row * table->n_columns + column].color;

	if (table->ctl->color && color != COLOR_NONE)
		scols_cell_set_color(cell, ctl_paint(table->ctl, color));
}

static size_t width_of(const struct table *table, unsigned column)
{
	size_t width = utf8_count(table->columns[column].name, strlen(table->columns[column].name));

	for (unsigned r = 0; r < table->n_rows; r++) {
		const char *text = cell_text(table, r, column);
		size_t n = utf8_count(text, strlen(text));

		width = n > width ? n : width;
	}
	return width;
}

/* What the column that may be cut has left on this terminal; never so little that its text says nothing. */
static size_t room(const struct table *table, size_t terminal, unsigned column)
{
	size_t others = 0;

	for (unsigned c = 0; c < table->n_columns; c++)
		if (c != column && visible(table, c))
			others += width_of(table, c) + 1;
	return terminal > others + ROOM_MIN ? terminal - others - 1 : ROOM_MIN;
}

static const char *cut(const struct table *table, const char *text, size_t max)
{
	size_t len = 0;

	if (utf8_count(text, strlen(text)) <= max)
		return text;
	for (size_t n = 0; text[len] && (n < max - 1 || ((unsigned char)text[len] & 0xC0) == 0x80); len++)
		n += ((unsigned char)text[len + 1] & 0xC0) != 0x80;
	return talloc_asprintf(table->ctl->scratch, "%.*s…", (int)len, text);
}

/* On a terminal, and not in wide, long texts are cut; `show` has them whole. */
static void fit(struct table *table, size_t terminal)
{
	if (!table->ctl->out_tty || table->ctl->output == OUTPUT_WIDE)
		return;
	for (unsigned c = 0; c < table->n_columns; c++) {
		size_t max = table->columns[c].flags & COL_TRUNC ? room(table, terminal, c) : 0;

		for (unsigned r = 0; max > 0 && r < table->n_rows; r++) {
			struct cell *cell = &table->cells[(size_t)r * table->n_columns + c];

			cell->text = cut(table, cell->text ? cell->text : "", max);
		}
	}
}

static int fill(const struct table *table, struct libscols_table *out)
{
	for (unsigned c = 0; c < table->n_columns; c++) {
		unsigned flags = table->columns[c].flags;

		if (visible(table, c) && !scols_table_new_column(out, table->columns[c].name, 0, flags & COL_RIGHT ? SCOLS_FL_RIGHT : 0))
			return 1;
	}
	for (unsigned r = 0; r < table->n_rows; r++) {
		struct libscols_line *line = scols_table_new_line(out, NULL);
		size_t shown = 0;

		if (!line)
			return 1;
		for (unsigned c = 0; c < table->n_columns; c++) {
			if (!visible(table, c))
				continue;
			if (scols_line_set_data(line, shown, cell_text(table, r, c)) != 0)
				return 1;
			paint(table, r, c, scols_line_get_cell(line, shown++));
		}
	}
	return 0;
}

int table_print(struct table *table)
{
	struct libscols_table *out;
	int failed;

	if (table->ctl->output == OUTPUT_TSV)
		return print_tsv(table);
	if (table->n_rows == 0)
		return DBR_EXIT_OK;
	out = scols_new_table();
	if (!out)
		return ctl_complain(DBR_EXIT_INTERNAL, "out of memory");
	scols_table_set_stream(out, stdout);
	scols_table_enable_noheadings(out, !table->ctl->legend);
	scols_table_enable_colors(out, table->ctl->color);
	scols_table_enable_noencoding(out, 1);     /* everything was escaped by our own rules */
	fit(table, scols_table_get_termwidth(out));
	scols_table_set_termforce(out, SCOLS_TERMFORCE_NEVER);     /* nothing else is cut or squeezed */
	failed = fill(table, out) || scols_print_table(out) < 0;
	scols_unref_table(out);
	return failed ? ctl_complain(DBR_EXIT_INTERNAL, "cannot print the table") : DBR_EXIT_OK;
}
