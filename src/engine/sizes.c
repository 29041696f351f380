/* SPDX-License-Identifier: PostgreSQL */
/*
 * Pending migrations beside the live database: how big are the tables that
 * they lock, and who would make a lock wait. Asked only while something that
 * was found is pending; what cannot be found out is left out, it fails nothing
 * (and counts as large where a policy asks, migrate/hold.h).
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/query.h"
#include "engine/held.h"
#include "migrate/lint.h"
#include "migrate/progress.h"
#include "model/quote.h"

enum { SIZES_RELATIONS, SIZES_WAITERS, SIZES_TABLES, SIZES };

struct sizes {
	struct statement v[SIZES];
	unsigned n;
	const char *names;                /* array text */
	const char *ours[2];              /* schema, array text: tables that are not the users' */
};

/* Relations of the findings as array text. */
static const char *relations(void *parent, const struct migration_list *list)
{
	struct text *out = text_new(parent);

	for (uint32_t i = 0; i < list->n; i++)
		for (uint32_t k = 0; k < list->v[i].n_findings; k++)
			if (list->v[i].findings[k].live_relation != NULL)
				quote_array_add(out, list->v[i].findings[k].live_relation);
	text_add(out, out->len > 0 ? "}" : "{}");
	return out->s;
}

static bool any_finding(const struct migration_list *list)
{
	for (uint32_t i = 0; list != NULL && i < list->n; i++)
		if (list->v[i].n_findings > 0)
			return true;
	return false;
}

bool sizes_begin(struct target *t, msec_t now)
{
	struct sizes *s;

	if (target_is_root(t) || !t->db->migrations.enabled || !any_finding(t->migrations))
		return false;
	s = talloc_zero(t->pass, struct sizes);
	s->names = relations(s, t->migrations);
	s->v[SIZES_RELATIONS] = look_query(t, t->db->migrations.hold_above > 0 ? QUERY_EXACT_SIZES : QUERY_RELATION_SIZES);
	s->v[SIZES_RELATIONS].n_params = 1;
	s->v[SIZES_RELATIONS].params = &s->names;
	s->v[SIZES_WAITERS] = look_query(t, QUERY_OLD_TRANSACTIONS);
	s->n = SIZES_TABLES;
	if (held_wanted(t)) {
		s->ours[0] = t->db->migrations.table_schema;
		s->ours[1] = ledger_tables(s, t->db->migrations.table_name);
		s->v[SIZES_TABLES] = look_query(t, QUERY_USER_TABLES);
		s->v[SIZES_TABLES].n_params = 2;
		s->v[SIZES_TABLES].params = s->ours;
		s->n = SIZES;
	}
	t->pass->sizes = s->n;
	collect_begin(&t->pass->collect, s);
	return target_submit(t, BATCH_PIPELINE, s->v, s->n, 0, now) == 0;
}

static bool is_row_of(const struct rowset *rows, unsigned i, const struct migration_finding *f)
{
	const char *schema = rowset_text(rows, i, 0), *name = rowset_text(rows, i, 1);

	if (strcmp(f->rule, "drop-schema") == 0)
		return name[0] == '\0' && strcmp(schema, f->live_relation) == 0;
	return strcmp(name, f->live_relation) == 0 && (f->live_schema == NULL || strcmp(schema, f->live_schema) == 0);
}

static int64_t bytes_of(const struct rowset *rows, unsigned i)
{
	return strtoll(rowset_text(rows, i, 2), NULL, 10);
}

/* The row of a finding's relation. Without a schema, and where several have the name, it may be any: the largest. */
static int row_of(const struct rowset *rows, const struct migration_finding *f)
{
	int found = -1;

	for (unsigned i = 0; i < rows->rows; i++)
		if (is_row_of(rows, i, f) && (found < 0 || bytes_of(rows, i) > bytes_of(rows, (unsigned)found)))
			found = (int)i;
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
	int row = f->live_relation != NULL ? row_of(rows, f) : -1;

	if (f->live_relation == NULL)
		return;
	f->absent = row < 0;
	f->made = f->made && f->absent;
	if (row < 0 || strcmp(f->rule, "drop-schema") == 0)
		return;
	f->measured = true;
	f->bytes = bytes_of(rows, (unsigned)row);
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
	t->migrations->oldest_s = strtoll(rowset_text(rows, 0, 1), NULL, 10);
	t->migrations->oldest_pid = strtoll(rowset_text(rows, 0, 2), NULL, 10);
	duration_format(t->migrations->oldest_s * 1000, age, sizeof(age));
	text = talloc_asprintf(NULL, "%ld transaction%s older than a minute, the oldest %s (pid %s): a lock that conflicts waits for %s, and everybody "
			       "else behind it", n, n == 1 ? " is" : "s are", age, rowset_text(rows, 0, 2), n == 1 ? "it" : "them");
	migrations_warn(t, text);
	talloc_free(text);
}

/* It could not be asked: what a file seems to have made itself may be there. */
static void trust_nothing(struct migration_list *list)
{
	for (uint32_t i = 0; i < list->n; i++)
		for (uint32_t k = 0; k < list->v[i].n_findings; k++)
			list->v[i].findings[k].made = false;
}

int sizes_turn(struct target *t)
{
	struct collect *c = &t->pass->collect;
	int r = collect_turn(t, c);

	if (r != 1)
		return r;
	if (c->error != NULL || c->n != t->pass->sizes) {
		trust_nothing(t->migrations);
		return 1;
	}
	for (uint32_t i = 0; i < t->migrations->n; i++)
		for (uint32_t k = 0; k < t->migrations->v[i].n_findings; k++)
			measure(t->migrations, &t->migrations->v[i].findings[k], &c->v[SIZES_RELATIONS]->rows);
	warn_of_waiters(t, &c->v[SIZES_WAITERS]->rows);
	if (c->n == SIZES)
		t->migrations->empty = c->v[SIZES_TABLES]->rows.rows == 0;
	return 1;
}
