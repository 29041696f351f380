/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/lint_names.h"

#include <stdint.h>
#include <string.h>
#include <talloc.h>

#include "migrate/lint.h"

struct made_name {
	const char *schema, *name;
};

struct renaming {
	struct made_name now, live;
};

struct lint_made {
	struct made_name *v;
	uint32_t n;
	struct renaming *renamed;
	uint32_t n_renamed;
};

struct lint_made *lint_made_new(void *parent)
{
	return talloc_zero(parent, struct lint_made);
}

static struct made_name keep(struct lint_made *made, const char *schema, const char *name)
{
	return (struct made_name){ talloc_strdup(made, schema), talloc_strdup(made, name) };
}

static bool is(const struct made_name *a, const char *schema, const char *name)
{
	return strcmp(a->name, name) == 0 && strcmp(a->schema, schema) == 0;
}

void lint_made_add(struct lint_made *made, const char *schema, const char *name)
{
	made->v = talloc_realloc(made, made->v, struct made_name, made->n + 1);
	made->v[made->n++] = keep(made, schema, name);
}

bool lint_made_has(const struct lint_made *made, const char *schema, const char *name)
{
	for (uint32_t i = 0; i < made->n; i++)
		if (is(&made->v[i], schema, name))
			return true;
	return false;
}

static void forget(struct lint_made *made, const char *schema, const char *name)
{
	for (uint32_t i = 0; i < made->n;)
		if (is(&made->v[i], schema, name))
			made->v[i] = made->v[--made->n];
		else
			i++;
}

/* The newest renaming to this name. */
static const struct renaming *renaming_to(const struct lint_made *made, const char *schema, const char *name)
{
	const struct renaming *found = NULL;

	for (uint32_t i = 0; i < made->n_renamed; i++)
		if (is(&made->renamed[i].now, schema, name))
			found = &made->renamed[i];
	return found;
}

void lint_made_live_name(const struct lint_made *made, const char **schema, const char **name)
{
	const struct renaming *r = renaming_to(made, *schema, *name);

	if (!r)
		return;
	*schema = r->live.schema;
	*name = r->live.name;
}

void lint_made_rename(struct lint_made *made, const char *schema, const char *name, const char *to_schema, const char *to_name)
{
	struct renaming r = { keep(made, to_schema, to_name), { schema, name } };

	if (lint_made_has(made, schema, name)) {
		forget(made, schema, name);
		lint_made_add(made, to_schema, to_name);
		return;
	}
	forget(made, to_schema, to_name);      /* what was made under that name has gone since */
	lint_made_live_name(made, &r.live.schema, &r.live.name);
	r.live = keep(made, r.live.schema, r.live.name);
	made->renamed = talloc_realloc(made, made->renamed, struct renaming, made->n_renamed + 1);
	made->renamed[made->n_renamed++] = r;
}

void migration_list_lint(struct migration_list *list, uint32_t max)
{
	struct lint_made *made = lint_made_new(list);
	uint32_t linted = 0;

	for (uint32_t i = 0; i < list->n && linted < max; i++) {
		struct migration *m = &list->v[i];

		if (!migration_runs(m) || error_is_set(&m->file->refused))
			continue;
		migration_lint(list, m->file, made, &m->findings, &m->n_findings);
		linted++;
	}
	talloc_free(made);
}

struct migration_finding *migration_findings_copy(void *parent, const struct migration_finding *v, uint32_t n)
{
	struct migration_finding *copy = talloc_array(parent, struct migration_finding, n);

	for (uint32_t i = 0; i < n; i++) {
		copy[i] = v[i];
		copy[i].schema = v[i].schema ? talloc_strdup(copy, v[i].schema) : NULL;
		copy[i].relation = v[i].relation ? talloc_strdup(copy, v[i].relation) : NULL;
		copy[i].live_schema = copy[i].live_relation = NULL;
		copy[i].message = talloc_strdup(copy, v[i].message);
	}
	return copy;
}
