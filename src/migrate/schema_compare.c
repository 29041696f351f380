/* SPDX-License-Identifier: PostgreSQL */
/* Two lists walked beside each other: what differs; and three: what is expected after a migration. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "migrate/schema.h"

#define FIELD_PARENT 2
#define FIELD_PARTS 3
#define POSITION 7                       /* the part of a column that its neighbours move */

struct place {
	uint32_t before, after;
};

struct schema_compare {
	const struct schema *from, *to;
	uint32_t at_from, at_to;
	struct schema_diff *diff;
	/* columns of one table that both have, in the order of their names */
	const struct schema_object *table;
	struct place *places;
	uint32_t n_places;
};

const char *schema_difference_name(enum schema_difference d)
{
	return d == SCHEMA_ADDED ? "added" : d == SCHEMA_REMOVED ? "removed" : "changed";
}

char *schema_change_text(void *parent, const struct schema_change *c)
{
	struct text *out = text_new(parent);

	text_add(out, schema_difference_name(c->difference));
	for (uint32_t i = 0; i < c->n_parts; i++) {
		const struct schema_part *p = &c->parts[i];

		text_addf(out, "%s %s", i == 0 ? ":" : ",", p->name);
		if (p->told)
			text_addf(out, " %s -> %s", p->before != NULL ? p->before : "(none)", p->after != NULL ? p->after : "(none)");
	}
	return out->s;
}

struct schema_compare *schema_compare_new(void *parent, const struct schema *from, const struct schema *to)
{
	struct schema_compare *c = talloc_zero(parent, struct schema_compare);

	c->from = from;
	c->to = to;
	c->diff = talloc_zero(c, struct schema_diff);
	return c;
}

/* ---- what is reported ---- */

static struct schema_change *report(struct schema_compare *c, enum schema_difference difference, char kind, const char *name, size_t len)
{
	struct schema_diff *d = c->diff;

	if (d->total++ >= SCHEMA_CHANGES_MAX)
		return NULL;
	if (d->v == NULL)
		d->v = talloc_zero_array(d, struct schema_change, SCHEMA_CHANGES_MAX);
	d->v[d->n] = (struct schema_change){ .difference = difference, .kind = schema_kind_name(kind), .name = schema_unescape(d, name, len) };
	return &d->v[d->n++];
}

/* With its table: that one is reported. */
static bool goes_with_parent(const struct schema_compare *c, const struct schema_object *o)
{
	size_t len;
	const char *parent = schema_field(o, FIELD_PARENT, &len);

	return len > 0 && schema_has_relation(c->from, parent, len) != schema_has_relation(c->to, parent, len);
}

static void only_one(struct schema_compare *c, enum schema_difference difference, const struct schema_object *o)
{
	size_t len;
	const char *name = schema_field(o, 1, &len);

	if (!goes_with_parent(c, o))
		report(c, difference, o->line[0], name, len);
}

/* "=text", "#digest" or "" for none. */
static const char *told(void *parent, const char *s, size_t len)
{
	return len > 0 && *s == '=' ? schema_unescape(parent, s + 1, len - 1) : NULL;
}

static void add_part(struct schema_diff *d, struct schema_change *change, char kind, unsigned part, const char *a, size_t a_len, const char *b,
		     size_t b_len)
{
	struct schema_part *p;

	if (change->parts == NULL)
		change->parts = talloc_zero_array(d, struct schema_part, SCHEMA_PARTS);
	p = &change->parts[change->n_parts++];
	*p = (struct schema_part){ .name = schema_part_name(kind, part), .told = (a_len == 0 || *a == '=') && (b_len == 0 || *b == '=') };
	if (p->told) {
		p->before = told(d, a, a_len);
		p->after = told(d, b, b_len);
	}
}

static void both(struct schema_compare *c, const struct schema_object *from, const struct schema_object *to)
{
	struct schema_change *change = NULL;
	bool counted = false;

	for (unsigned part = 0; part < SCHEMA_PARTS; part++) {
		size_t a_len, b_len, len;
		const char *a = schema_field(from, FIELD_PARTS + part, &a_len), *b = schema_field(to, FIELD_PARTS + part, &b_len), *name;

		if ((a_len == b_len && memcmp(a, b, a_len) == 0) || (from->line[0] == 'C' && part == POSITION))
			continue;
		name = schema_field(from, 1, &len);
		if (!counted)
			change = report(c, SCHEMA_CHANGED, from->line[0], name, len);
		counted = true;
		if (change != NULL)
			add_part(c->diff, change, from->line[0], part, a, a_len, b, b_len);
	}
}

/* ---- the order of columns ---- */

static uint32_t number(const struct schema_object *o)
{
	size_t len;
	const char *s = schema_field(o, FIELD_PARTS + POSITION, &len);
	uint32_t n = 0;

	for (size_t i = 1; i < len && s[i] >= '0' && s[i] <= '9' && n < 100000; i++)
		n = n * 10 + (uint32_t)(s[i] - '0');
	return n;
}

static int by_before(const void *a, const void *b)
{
	const struct place *x = a, *y = b;

	return x->before < y->before ? -1 : x->before > y->before;
}

/* The columns of a table are over: those that are in both must stand in the same order. */
static void end_table(struct schema_compare *c)
{
	struct schema_change *change;
	const char *name;
	size_t len;

	if (c->table == NULL)
		return;
	name = schema_field(c->table, FIELD_PARENT, &len);
	qsort(c->places, c->n_places, sizeof(*c->places), by_before);
	for (uint32_t i = 1; i < c->n_places; i++) {
		if (c->places[i].after > c->places[i - 1].after)
			continue;
		change = report(c, SCHEMA_CHANGED, 'A', name, len);
		if (change != NULL) {
			change->parts = talloc_zero_array(c->diff, struct schema_part, 1);
			change->parts[change->n_parts++] = (struct schema_part){ .name = "order of columns" };
		}
		break;
	}
	c->table = NULL;
	c->n_places = 0;
}

static bool same_parent(const struct schema_object *a, const struct schema_object *b)
{
	size_t a_len, b_len;
	const char *x = schema_field(a, FIELD_PARENT, &a_len), *y = schema_field(b, FIELD_PARENT, &b_len);

	return a_len == b_len && memcmp(x, y, a_len) == 0;
}

static void note_column(struct schema_compare *c, const struct schema_object *from, const struct schema_object *to)
{
	if (c->table != NULL && !same_parent(c->table, from))
		end_table(c);
	c->table = from;
	if (c->n_places % 64 == 0)
		c->places = talloc_realloc(c, c->places, struct place, c->n_places + 64);
	c->places[c->n_places++] = (struct place){ number(from), number(to) };
}

/* ---- the walk ---- */

static void step(struct schema_compare *c)
{
	const struct schema_object *from = schema_object(c->from, c->at_from), *to = schema_object(c->to, c->at_to);
	int order = from == NULL ? 1 : to == NULL ? -1 : schema_object_compare(from, to);

	c->at_from += order <= 0;
	c->at_to += order >= 0;
	if (order < 0) {
		only_one(c, SCHEMA_REMOVED, from);
	} else if (order > 0) {
		only_one(c, SCHEMA_ADDED, to);
	} else {
		if (from->line[0] == 'C')
			note_column(c, from, to);
		if (strcmp(from->line, to->line) != 0)
			both(c, from, to);
	}
}

bool schema_compare_turn(struct schema_compare *c, uint32_t slice)
{
	for (; slice > 0; slice--) {
		if (schema_object(c->from, c->at_from) == NULL && schema_object(c->to, c->at_to) == NULL) {
			end_table(c);
			return true;
		}
		step(c);
	}
	return false;
}

struct schema_diff *schema_compare_take(void *parent, struct schema_compare *c)
{
	return talloc_steal(parent, c->diff);
}

/* ---- after a migration ---- */

struct schema_merge {
	const struct schema *expected, *before, *after;
	uint32_t at_expected, at_before, at_after;
	struct schema *result;
	struct text *line;
};

struct schema_merge *schema_merge_new(void *parent, const struct schema *expected, const struct schema *before,
				      const struct schema *after)
{
	struct schema_merge *m = talloc_zero(parent, struct schema_merge);

	m->expected = expected;
	m->before = before;
	m->after = after;
	m->result = schema_new(m);
	m->line = text_new(m);
	return m;
}

/* All three have it: each part from after where the migration changed it, else as it was expected. */
static void merge_parts(struct schema_merge *m, const struct schema_object *expected, const struct schema_object *before,
			const struct schema_object *after)
{
	text_clear(m->line);
	text_add_len(m->line, expected->line, expected->key);
	for (unsigned field = FIELD_PARENT; field < SCHEMA_COLUMNS; field++) {
		size_t e_len, b_len, a_len;
		const char *e = schema_field(expected, field, &e_len), *b = schema_field(before, field, &b_len);
		const char *a = schema_field(after, field, &a_len);
		bool touched = b_len != a_len || memcmp(b, a, a_len) != 0;

		text_add_char(m->line, '\t');
		text_add_len(m->line, touched ? a : e, touched ? a_len : e_len);
	}
	schema_append(m->result, m->line->s, m->line->len);
}

static const struct schema_object *least(const struct schema_object *a, const struct schema_object *b)
{
	return a == NULL ? b : b == NULL || schema_object_compare(a, b) <= 0 ? a : b;
}

static const struct schema_object *take(const struct schema *s, uint32_t *at, const struct schema_object *key)
{
	const struct schema_object *o = schema_object(s, *at);

	if (o == NULL || schema_object_compare(o, key) != 0)
		return NULL;
	(*at)++;
	return o;
}

/* false: the lists are over. */
static bool merge_one(struct schema_merge *m)
{
	const struct schema_object *key = least(schema_object(m->expected, m->at_expected),
						least(schema_object(m->before, m->at_before), schema_object(m->after, m->at_after)));
	const struct schema_object *expected, *before, *after, *result;

	if (key == NULL)
		return false;
	expected = take(m->expected, &m->at_expected, key);
	before = take(m->before, &m->at_before, key);
	after = take(m->after, &m->at_after, key);
	if (expected != NULL && before != NULL && after != NULL) {
		merge_parts(m, expected, before, after);
		return true;
	}
	result = before != NULL && after != NULL && strcmp(before->line, after->line) == 0 ? expected :     /* not touched */
		 before == NULL && after == NULL ? expected : after;
	if (result != NULL)
		schema_append(m->result, result->line, strlen(result->line));
	return true;
}

bool schema_merge_turn(struct schema_merge *m, uint32_t slice)
{
	for (; slice > 0; slice--)
		if (!merge_one(m))
			return true;
	return false;
}

struct schema *schema_merge_take(void *parent, struct schema_merge *m)
{
	return talloc_steal(parent, m->result);
}
