/* SPDX-License-Identifier: PostgreSQL */
/*
 * Pending migrations beside the live database: how big are the tables that
 * they lock, and who would make a lock wait. Asked only while something that
 * was found is pending; what cannot be found out is left out, it fails nothing.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/query.h"
#include "migrate/lint.h"
#include "model/quote.h"

enum { SIZES_RELATIONS, SIZES_WAITERS, SIZES };

struct sizes {
	struct statement v[SIZES];
	const char *names;                /* array text */
};

/* Relations of the findings as array text; NULL when there is none. */
static const char *relations(void *parent, const struct migration_list *list)
{
	struct text *out = NULL;

	for (uint32_t i = 0; i < list->n; i++)
		for (uint32_t k = 0; k < list->v[i].n_findings; k++) {
			if (list->v[i].findings[k].relation == NULL)
				continue;
			if (out == NULL)
				out = text_new(parent);
			text_add(out, out->len > 0 ? "," : "{");
			quote_array_element(out, list->v[i].findings[k].relation);
		}
	if (out != NULL)
		text_add(out, "}");
	return out != NULL ? out->s : NULL;
}

bool sizes_begin(struct target *t, msec_t now)
{
	struct sizes *s;

	if (target_is_root(t) || !t->db->migrations.enabled || t->migrations == NULL)
		return false;
	s = talloc_zero(t->pass, struct sizes);
	s->names = relations(s, t->migrations);
	if (s->names == NULL) {
		talloc_free(s);
		return false;
	}
	s->v[SIZES_RELATIONS] = look_query(t, QUERY_RELATION_SIZES);
	s->v[SIZES_RELATIONS].n_params = 1;
	s->v[SIZES_RELATIONS].params = &s->names;
	s->v[SIZES_WAITERS] = look_query(t, QUERY_OLD_TRANSACTIONS);
	collect_begin(&t->pass->collect, s);
	return target_submit(t, BATCH_PIPELINE, s->v, SIZES, 0, now) == 0;
}

/* The row of a finding's relation: by schema, or the only one of the name. */
static int row_of(const struct rowset *rows, const struct migration_finding *f)
{
	int found = -1;

	for (unsigned i = 0; i < rows->rows; i++) {
		if (strcmp(rowset_text(rows, i, 1), f->relation) != 0 || (f->schema != NULL && strcmp(rowset_text(rows, i, 0), f->schema) != 0))
			continue;
		if (found >= 0)
			return -1;
		found = (int)i;
	}
	return found;
}

static char *size_words(void *parent, int64_t bytes)
{
	static const char *const units[] = { "bytes", "kB", "MB", "GB", "TB" };
	unsigned unit = 0;

	for (; bytes >= 10240 && unit + 1 < sizeof(units) / sizeof(units[0]); unit++)
		bytes /= 1024;
	return talloc_asprintf(parent, "%" PRId64 " %s", bytes, units[unit]);
}

static void measure(struct migration_list *list, struct migration_finding *f, const struct rowset *rows)
{
	int row = f->relation != NULL ? row_of(rows, f) : -1;

	if (row < 0)
		return;
	f->measured = true;
	f->bytes = strtoll(rowset_text(rows, (unsigned)row, 2), NULL, 10);
	f->tuples = strtoll(rowset_text(rows, (unsigned)row, 3), NULL, 10);
	f->message = talloc_asprintf(list, "%s (%s%s)", f->message, size_words(list, f->bytes),
				     f->tuples < 0 ? "" : talloc_asprintf(list, ", about %" PRId64 " rows", f->tuples));
}

static void warn_of_waiters(struct target *t, const struct rowset *rows)
{
	long n = rows->rows == 1 ? strtol(rowset_text(rows, 0, 0), NULL, 10) : 0;
	char age[32], *text;

	if (n == 0)
		return;
	duration_format(strtol(rowset_text(rows, 0, 1), NULL, 10) * 1000, age, sizeof(age));
	text = talloc_asprintf(NULL, "%ld transaction%s older than a minute, the oldest %s (pid %s): a lock that conflicts waits for %s, and everybody "
			       "else behind it", n, n == 1 ? " is" : "s are", age, rowset_text(rows, 0, 2), n == 1 ? "it" : "them");
	migrations_warn(t, text);
	talloc_free(text);
}

int sizes_turn(struct target *t)
{
	struct collect *c = &t->pass->collect;
	int r = collect_turn(t, c);

	if (r != 1)
		return r;
	if (c->error != NULL || c->n != SIZES)
		return 1;
	for (uint32_t i = 0; i < t->migrations->n; i++)
		for (uint32_t k = 0; k < t->migrations->v[i].n_findings; k++)
			measure(t->migrations, &t->migrations->v[i].findings[k], &c->v[SIZES_RELATIONS]->rows);
	warn_of_waiters(t, &c->v[SIZES_WAITERS]->rows);
	return 1;
}
