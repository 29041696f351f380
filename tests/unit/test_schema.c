/* SPDX-License-Identifier: PostgreSQL */
/* Lists of objects: read, written, compared and merged, in slices of any size. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include <cmocka.h>

#include "migrate/schema.h"

/* Rows as text: kind, name, parent and parts, '|' between them, missing ones NULL. */
struct answer {
	const char *const *rows;
	char cells[SCHEMA_COLUMNS][512];
};

static const char *cell(const struct rowset *set, unsigned row, unsigned column, size_t *ret_len)
{
	struct answer *a = set->data;
	const char *s = a->rows[row];
	char *out = a->cells[column];
	size_t len;

	for (; column > 0 && s != NULL; column--)
		s = (s = strchr(s, '|')) != NULL ? s + 1 : NULL;
	len = s != NULL ? strcspn(s, "|") : 0;
	*ret_len = len;
	if (len == 0)
		return NULL;
	memcpy(out, s, len);
	out[len] = '\0';
	return out;
}

static struct schema *list(void *parent, const char *const *rows)
{
	struct answer answer = { .rows = rows };
	struct rowset set = { .columns = SCHEMA_COLUMNS, .cell = cell, .data = &answer };
	struct schema *s = schema_new(parent);

	for (; rows[set.rows] != NULL; set.rows++)
		assert_int_equal(schema_add(s, &set, set.rows, NULL, 0), 0);
	return s;
}
#define LIST(...) list(scratch, (const char *const[]){ __VA_ARGS__, NULL })
#define EMPTY list(scratch, (const char *const[]){ NULL })

static char *text_of(void *parent, const struct schema *s)
{
	struct schema_writer w = { 0 };
	struct text *piece = text_new(parent), *all = text_new(parent);

	while (schema_write(s, &w, piece))
		text_add(all, piece->s);
	return all->s;
}

/* "kind name text" of each, a line each. */
static char *diff_text(void *parent, const struct schema *from, const struct schema *to, uint32_t slice)
{
	struct schema_compare *c = schema_compare_new(parent, from, to);
	struct text *out = text_new(parent);
	struct schema_diff *d;

	while (!schema_compare_turn(c, slice))
		;
	d = schema_compare_take(parent, c);
	assert_int_equal(d->n, d->total);
	for (uint32_t i = 0; i < d->n; i++)
		text_addf(out, "%s %s %s\n", d->v[i].kind, d->v[i].name, schema_change_text(parent, &d->v[i]));
	return out->s;
}

static struct schema *merged(void *parent, const struct schema *expected, const struct schema *before, const struct schema *after, uint32_t slice)
{
	struct schema_merge *m = schema_merge_new(parent, expected, before, after);

	while (!schema_merge_turn(m, slice))
		;
	return schema_merge_take(parent, m);
}

static void expect(void *scratch, const struct schema *from, const struct schema *to, const char *wanted)
{
	for (uint32_t slice = 1; slice < 8; slice += 3)
		assert_string_equal(diff_text(scratch, from, to, slice), wanted);
}

static int set_up(void **state)
{
	*state = talloc_new(NULL);
	return 0;
}

static int tear_down(void **state)
{
	talloc_free(*state);
	return 0;
}

#define T "A|app.t||=table|=permanent"
#define C(name, type, position) "C|app.t." name "|app.t|=" type "|=no||||||=" position

static void what_differs_is_named(void **state)
{
	void *scratch = *state;

	expect(scratch, EMPTY, EMPTY, "");
	expect(scratch, LIST(T, C("a", "int", "1")), LIST(T, C("a", "int", "1")), "");
	expect(scratch, LIST(T, C("a", "int", "1")), LIST(T, C("a", "bigint", "1")), "column app.t.a changed: type int -> bigint\n");
	expect(scratch, LIST(T, C("a", "int", "1")), LIST(T, C("a", "int", "1"), C("b", "int", "2")), "column app.t.b added\n");
	expect(scratch, LIST(T, C("a", "int", "1")), LIST(T), "column app.t.a removed\n");
	expect(scratch, LIST("I|app.s||=int|=1"), LIST("I|app.s||=int"), "sequence app.s changed: start 1 -> (none)\n");
	/* a digest says that, and not what */
	expect(scratch, LIST("J|app.f()||=function||||||||#aa"), LIST("J|app.f()||=function||||||||#bb"), "function app.f() changed: body\n");
	expect(scratch, LIST("E|app.i|app.t|=x"), LIST("E|app.i|app.t|#bb|=no"), "index app.i changed: definition, valid (none) -> no\n");
}

static void what_goes_with_its_table_is_not_told(void **state)
{
	void *scratch = *state;
	struct schema *without = LIST("A|app.u||=table", "E|app.u_i|app.u|=x");
	struct schema *with = LIST("A|app.u||=table", "E|app.u_i|app.u|=x", T, C("a", "int", "1"), "D|app.t.k|app.t|=CHECK", "E|app.t_i|app.t|=y",
				   "I|app.t_seq|app.t|=int");

	expect(scratch, without, with, "table app.t added\n");
	expect(scratch, with, without, "table app.t removed\n");
	expect(scratch, LIST("A|app.u||=table"), LIST("B|app.u||=view", "F|app.u.g|app.u|=yes"),
	       "table app.u removed\nview app.u added\ntrigger app.u.g added\n");
}

static void columns_that_move_up_have_not_changed(void **state)
{
	void *scratch = *state;
	struct schema *three = LIST(T, C("a", "int", "1"), C("b", "int", "2"), C("c", "int", "3"));

	expect(scratch, three, LIST(T, C("b", "int", "1"), C("c", "int", "2")), "column app.t.a removed\n");
	expect(scratch, three, LIST(T, C("a", "int", "3"), C("b", "int", "1"), C("c", "int", "2")), "table app.t changed: order of columns\n");
	expect(scratch, three, LIST(T, C("a", "int", "1"), C("b", "text", "3"), C("c", "int", "2")),
	       "column app.t.b changed: type int -> text\ntable app.t changed: order of columns\n");
}

static void a_migration_takes_what_it_touches(void **state)
{
	void *scratch = *state;
	struct schema *expected = LIST(T, C("a", "int", "1"), C("b", "int", "2"), "J|app.gone()||=function");
	/* by hand: a became text, b has a default, gone() went, x came */
	struct schema *before = LIST(T, C("a", "text", "1"), "C|app.t.b|app.t|=int|=no|=5|||||=2", C("x", "int", "3"));
	struct schema *after = LIST(T, C("a", "text", "1"), "C|app.t.b|app.t|=bigint|=no|=5|||||=2", C("x", "int", "3"), C("y", "int", "4"),
				    "J|app.new()||=function");

	for (uint32_t slice = 1; slice < 9; slice += 4)
		expect(scratch, merged(scratch, expected, before, after, slice), after,
		       "column app.t.a changed: type int -> text\ncolumn app.t.b changed: default (none) -> 5\ncolumn app.t.x added\n"
		       "function app.gone() removed\n");
	/* it takes back what was done by hand, or does the same */
	expect(scratch, merged(scratch, expected, before, expected, 3), expected, "");
	expect(scratch, merged(scratch, expected, expected, after, 3), after, "");
	expect(scratch, merged(scratch, expected, before, EMPTY, 3), EMPTY, "function app.gone() removed\n");
}

static void what_is_written_is_read_again(void **state)
{
	void *scratch = *state;
	struct schema *s = LIST("C|app.\"odd\\\t\n\r\"||=a\tb", T), *again = schema_new(scratch);
	char *text = text_of(scratch, s);

	assert_int_equal(schema_read(again, text, strlen(text)), 0);
	assert_int_equal(schema_count(again), 2);
	assert_string_equal(text_of(scratch, again), text);
	expect(scratch, s, EMPTY, "table app.t removed\ncolumn app.\"odd\\\t\n\r\" removed\n");
}

static void what_is_damaged_is_not_read(void **state)
{
	static const char *const bad[] = { "A\tapp.t", "A\tapp.t\t\t\n", "Z\tapp.t\t\t\t\t\t\t\t\t\t\t\n", "\n", "A\tapp.t\t\t\t\t\t\t\t\t\t\t\t\n" };
	void *scratch = *state;
	const char *const row[] = { "A||" };
	struct answer answer = { .rows = row };
	struct rowset set = { .rows = 1, .columns = SCHEMA_COLUMNS, .cell = cell, .data = &answer };

	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_int_equal(schema_read(schema_new(scratch), bad[i], strlen(bad[i])), 1);
	assert_int_equal(schema_add(schema_new(scratch), &set, 0, NULL, 0), 1);
	set.columns = 3;
	answer.rows = (const char *const[]){ "A|app.t|" };
	assert_int_equal(schema_add(schema_new(scratch), &set, 0, NULL, 0), 1);
}

static void the_order_of_rows_does_not_matter(void **state)
{
	void *scratch = *state;

	assert_string_equal(text_of(scratch, LIST("K|b||=enum", C("a", "int", "1"), T, "A|a||=table", T)),
			    text_of(scratch, LIST("A|a||=table", T, C("a", "int", "1"), "K|b||=enum")));
}

static void what_is_ignored_takes_what_belongs_to_it(void **state)
{
	static const char *const ignored[] = { "app.t", "app.e_*" };
	static const char *const rows[] = { T, C("a", "int", "1"), "E|app.t_i|app.t|=x", "A|app.e_1||=table", "D|app.e_1.k|app.e_1|=x", "A|app.u||=table" };
	void *scratch = *state;
	struct answer answer = { .rows = rows };
	struct rowset set = { .rows = 6, .columns = SCHEMA_COLUMNS, .cell = cell, .data = &answer };
	struct schema *s = schema_new(scratch);

	for (unsigned i = 0; i < set.rows; i++)
		assert_int_equal(schema_add(s, &set, i, ignored, 2), 0);
	expect(scratch, EMPTY, s, "table app.u added\n");
}

static struct schema *many(void *parent, unsigned n, unsigned without, const char *type)
{
	struct schema *s = schema_new(parent);
	char line[128];

	for (unsigned i = 0; i < n; i++) {
		int len = snprintf(line, sizeof line, "C\tapp.t%06u.c\tapp.t%06u\t=%s\t\t\t\t\t\t\t=1\t", i, i, i % 1000 == 7 ? type : "int");

		if (i != without)
			schema_append(s, line, (size_t)len);
	}
	return s;
}

static void a_large_list_is_cut_and_counted(void **state)
{
	void *scratch = *state;
	struct schema *a = many(scratch, 100000, 100001, "int"), *b = many(scratch, 100000, 99999, "bigint"), *again = schema_new(scratch);
	struct schema_compare *c = schema_compare_new(scratch, a, b);
	struct schema_writer w = { 0 };
	struct text *piece = text_new(scratch);
	struct schema_diff *d;
	unsigned turns = 1, pieces = 0;

	while (!schema_compare_turn(c, 1000))
		turns++;
	d = schema_compare_take(scratch, c);
	assert_int_equal(turns, 101);
	assert_int_equal(d->total, 101);
	d = NULL;
	c = schema_compare_new(scratch, a, EMPTY);
	while (!schema_compare_turn(c, 1000))
		;
	d = schema_compare_take(scratch, c);
	assert_int_equal(d->total, 100000);
	assert_int_equal(d->n, SCHEMA_CHANGES_MAX);
	for (; schema_write(b, &w, piece); pieces++)
		assert_int_equal(schema_read(again, piece->s, piece->len), 0);
	assert_in_range(pieces, 10, 1000);
	assert_int_equal(schema_count(again), 99999);
	assert_int_equal(strlen(w.digest), SCHEMA_DIGEST);
}

static void a_digest_is_of_the_whole_list(void **state)
{
	void *scratch = *state;
	const struct schema *lists[] = { EMPTY, LIST(T), LIST(T, C("a", "int", "1")), LIST(T, C("a", "int", "2")), many(scratch, 20000, 3, "int"),
					 many(scratch, 20000, 19999, "int") };
	struct schema_writer w[6] = { { 0 } };
	struct text *piece = text_new(scratch);

	for (unsigned i = 0; i < 6; i++)
		while (schema_write(lists[i], &w[i], piece))
			;
	for (unsigned i = 0; i < 6; i++)
		for (unsigned k = 0; k < i; k++)
			assert_string_not_equal(w[i].digest, w[k].digest);
}

/* ---- random lists: a few tables, columns and functions, each with parts of two values ---- */

struct thing {
	bool there;
	unsigned parts;                  /* bits */
};
#define THINGS 12

static uint64_t dice;

static unsigned roll(unsigned n)
{
	dice = dice * UINT64_C(6364136223846793005) + UINT64_C(1442695040888963407);
	return (unsigned)(dice >> 33) % n;
}

static void change(struct thing *things, unsigned odds)
{
	for (unsigned i = 0; i < THINGS; i++)
		if (roll(odds) == 0)
			things[i] = (struct thing){ roll(3) > 0, roll(8) };
}

/* Functions only: what goes with a table has its own test. */
static struct schema *made(void *parent, const struct thing *things)
{
	struct schema *s = schema_new(parent);
	char line[160];

	for (unsigned i = 0; i < THINGS; i++) {
		unsigned p = things[i].parts;
		int len = snprintf(line, sizeof line, "J\tapp.f%02u()\t\t=%s\t\t%s\t\t\t\t\t\t#%c", i, p & 1 ? "function" : "procedure", p & 2 ? "=int" : "",
				   p & 4 ? 'a' : 'b');

		if (things[i].there)
			schema_append(s, line, (size_t)len);
	}
	return s;
}

static bool same_thing(const struct thing *a, const struct thing *b)
{
	return a->there == b->there && (!a->there || a->parts == b->parts);
}

/* What merging must give, object by object, said in another way. */
static struct thing wanted(const struct thing *e, const struct thing *b, const struct thing *a)
{
	if (same_thing(b, a))
		return *e;
	if (!e->there || !b->there || !a->there)
		return *a;
	return (struct thing){ true, (e->parts & ~(b->parts ^ a->parts)) | (a->parts & (b->parts ^ a->parts)) };
}

static uint32_t differences(void *parent, const struct schema *a, const struct schema *b)
{
	struct schema_compare *c = schema_compare_new(parent, a, b);

	while (!schema_compare_turn(c, 1 + roll(5)))
		;
	return schema_compare_take(parent, c)->total;
}

static void merging_and_comparing_agree(void **state)
{
	for (unsigned round = 0; round < 3000; round++) {
		struct thing expected[THINGS] = { { 0 } }, before[THINGS], after[THINGS], result[THINGS];
		struct schema *e, *b, *a, *m;
		void *scratch = talloc_new(*state);
		uint32_t differ = 0;

		dice = round;
		change(expected, 1);
		memcpy(before, expected, sizeof before);
		change(before, 3);
		memcpy(after, before, sizeof after);
		change(after, 1 + roll(6));
		for (unsigned i = 0; i < THINGS; i++) {
			result[i] = wanted(&expected[i], &before[i], &after[i]);
			differ += !same_thing(&result[i], &after[i]);
		}
		e = made(scratch, expected), b = made(scratch, before), a = made(scratch, after);
		m = merged(scratch, e, b, a, 1 + roll(5));
		assert_string_equal(text_of(scratch, m), text_of(scratch, made(scratch, result)));
		assert_int_equal(differences(scratch, m, a), differ);
		assert_int_equal(differences(scratch, a, m), differ);
		assert_int_equal(differences(scratch, m, m), 0);
		talloc_free(scratch);
	}
}

int main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		TEST(what_differs_is_named), TEST(what_goes_with_its_table_is_not_told), TEST(columns_that_move_up_have_not_changed),
		TEST(a_migration_takes_what_it_touches), TEST(what_is_written_is_read_again), TEST(what_is_damaged_is_not_read),
		TEST(the_order_of_rows_does_not_matter), TEST(what_is_ignored_takes_what_belongs_to_it), TEST(a_large_list_is_cut_and_counted),
		TEST(a_digest_is_of_the_whole_list), TEST(merging_and_comparing_agree),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
