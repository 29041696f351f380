/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/hold.h"

#include <string.h>

#include "model/lint_rule.h"

static unsigned classes_of(const struct migration_finding *f)
{
	return LINT_ALL | (f->destroys ? LINT_DESTROY : 0u) | (strncmp(f->rule, "drop-", 5) == 0 ? LINT_DROP : 0u) |
	       (f->lock >= LOCK_SHARE ? LINT_LOCK : 0u) | (f->rewrites ? LINT_REWRITE : 0u) | (f->scans ? LINT_SCAN : 0u);
}

bool hold_names(const struct hold_policy *policy, const struct migration_finding *f)
{
	unsigned classes = classes_of(f);

	for (uint32_t i = 0; i < policy->n; i++)
		if ((lint_class_of(policy->words[i]) & classes) != 0 || strcmp(policy->words[i], f->rule) == 0)
			return true;
	return false;
}

/* Of another database nothing is known, however empty this one is. */
static bool is_elsewhere(const struct migration_finding *f)
{
	return strcmp(f->rule, "drop-database") == 0;
}

bool hold_applies(const struct hold_policy *policy, const struct migration_finding *f, bool empty)
{
	if (f->made || f->absent || !hold_names(policy, f))
		return false;
	if (f->relation == NULL)
		return !empty || is_elsewhere(f);
	return f->destroys || !f->measured || f->bytes >= policy->above;
}

static const struct migration_finding *first_that_applies(const struct hold_policy *policy, const struct migration *m, bool empty)
{
	for (uint32_t i = 0; i < m->n_findings; i++)
		if (m->findings[i].statement >= m->from && hold_applies(policy, &m->findings[i], empty))
			return &m->findings[i];
	return NULL;
}

void hold_mark(struct migration_list *list, const struct hold_policy *policy)
{
	for (uint32_t i = 0; i < list->n; i++) {
		struct migration *m = &list->v[i];

		m->hold = migration_runs(m) && !m->find_out ? first_that_applies(policy, m, list->empty) : NULL;
		m->released = false;
	}
}

void hold_stop(struct migration_list *list)
{
	list->stop = NULL;
	for (uint32_t i = 0; i < list->n && list->stop == NULL; i++)
		if (list->v[i].hold != NULL && !list->v[i].released)
			list->stop = &list->v[i];
}

uint32_t hold_free(const struct migration_list *list)
{
	uint32_t n = 0;

	for (uint32_t i = 0; list != NULL && i < list->n && &list->v[i] != list->stop; i++)
		n += migration_runs(&list->v[i]);
	return n;
}
