/* SPDX-License-Identifier: PostgreSQL */
/* The list of changes, and how equal ones on several objects become one. */
#include "reconcile/diff.h"

#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

struct change *differ_add(struct differ *d, enum change_op op, enum drift_kind kind, enum change_phase phase, struct source source)
{
	struct plan *plan = d->plan;
	struct change *change;

	if ((plan->n_changes & (plan->n_changes - 1)) == 0) {
		plan->changes = talloc_realloc(plan, plan->changes, struct change, plan->n_changes ? plan->n_changes * 2 : 1);
		if (!plan->changes)
			abort();
	}
	change = &plan->changes[plan->n_changes++];
	*change = (struct change){ .op = op, .kind = kind, .phase = phase, .source = source, .n = 1 };
	return change;
}

void change_block(struct change *change, const char *reason, const char *remedy)
{
	if (change->state == CHANGE_BLOCKED)
		return;
	change->state = CHANGE_BLOCKED;
	change->reason = reason;
	change->remedy = remedy;
}

void differ_warn(struct differ *d, const char *format, ...)
{
	struct plan *plan = d->plan;
	va_list ap;

	plan->warnings = talloc_realloc(plan, plan->warnings, const char *, plan->n_warnings + 1);
	if (!plan->warnings)
		abort();
	va_start(ap, format);
	plan->warnings[plan->n_warnings++] = talloc_vasprintf(plan, format, ap);
	va_end(ap);
}

char *differ_sql(struct differ *d, const char *begin, name_id first, const char *middle, name_id second, const char *end)
{
	struct text *sql = text_new(d->plan);

	text_add(sql, begin);
	quote_ident(sql, names_text(d->names, first));
	text_add(sql, middle);
	if (second)
		quote_ident(sql, names_text(d->names, second));
	text_add(sql, end);
	return sql->s;
}

char *become_sql(struct differ *d, const char *words, name_id role)
{
	return differ_sql(d, talloc_asprintf(d->plan, "%sGRANT ", words), role, " TO ", d->me,
			  d->version_num >= 160000 ? " WITH INHERIT TRUE, SET TRUE" : "");
}

static uint32_t mix(uint32_t h, uint64_t v)
{
	h ^= (uint32_t)v ^ (uint32_t)(v >> 32);
	return h * 16777619u;
}

static uint32_t hash_like(const struct change *c)
{
	uint32_t h = 2166136261u;

	h = mix(h, c->op);
	h = mix(h, c->object_kind << 8 | (unsigned char)c->relkind);
	h = mix(h, c->role);
	h = mix(h, (uint64_t)c->grantor << 32 | c->schema);
	h = mix(h, c->privs);
	h = mix(h, c->other);
	return h;
}

static bool alike(const struct change *a, const struct change *b)
{
	return a->op == b->op && a->phase == b->phase && a->object_kind == b->object_kind && a->relkind == b->relkind && a->role == b->role &&
	       a->grantor == b->grantor && a->schema == b->schema && a->privs == b->privs && a->grantable == b->grantable &&
	       a->other == b->other && a->state == b->state && a->was.privs == b->was.privs && a->was.options == b->was.options &&
	       a->was.named == b->was.named && a->was.own == b->was.own && a->was.own_options == b->was.own_options && a->was.no_inverse == b->was.no_inverse && a->source.line == b->source.line &&
	       text_same(a->column, b->column) && text_same(a->source.file, b->source.file) && text_same(a->reason, b->reason);
}

static void merge_table_grow(struct differ *d)
{
	uint32_t mask = d->merge_mask ? d->merge_mask * 2 + 1 : 255;
	uint32_t *merge = talloc_zero_array(d->temporary, uint32_t, mask + 1);

	if (!merge)
		abort();
	for (uint32_t i = 0; d->merge && i <= d->merge_mask; i++) {
		uint32_t at;

		if (!d->merge[i])
			continue;
		at = hash_like(&d->plan->changes[d->merge[i] - 1]) & mask;
		while (merge[at])
			at = (at + 1) & mask;
		merge[at] = d->merge[i];
	}
	talloc_free(d->merge);
	d->merge = merge;
	d->merge_mask = mask;
}

static void add_name(struct differ *d, struct change *change, const char *name, size_t len)
{
	if ((change->n & (change->n - 1)) == 0) {
		change->names = talloc_realloc(d->plan, change->names, const char *, change->n ? change->n * 2 : 1);
		if (!change->names)
			abort();
	}
	change->names[change->n] = talloc_strndup(change->names, name, len);
	change->n++;
}

void differ_object(struct differ *d, const struct change *like, const char *name, size_t len)
{
	struct change *change;
	uint32_t at;

	if (!d->merge || d->plan->n_changes * 2 > d->merge_mask)
		merge_table_grow(d);
	at = hash_like(like) & d->merge_mask;
	while (d->merge[at]) {
		change = &d->plan->changes[d->merge[at] - 1];
		if (alike(change, like)) {
			add_name(d, change, name, len);
			return;
		}
		at = (at + 1) & d->merge_mask;
	}
	change = differ_add(d, like->op, like->kind, like->phase, like->source);
	*change = *like;
	change->n = 0;
	change->names = NULL;
	add_name(d, change, name, len);
	d->merge[at] = d->plan->n_changes;
}
