/* SPDX-License-Identifier: PostgreSQL */
#include <stdio.h>
#include <string.h>

#include "base/text.h"
#include "config/levels.h"

#define TABLE_ALL (PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE | PRIV_TRUNCATE | PRIV_REFERENCES | PRIV_TRIGGER | PRIV_MAINTAIN)

const struct level level_pending = { .name = "" };

static const struct level builtin[] = {
	{ .name = "read-only", .schema = PRIV_USAGE, .table = PRIV_SELECT, .sequence = PRIV_SELECT },
	{ .name = "read-write", .schema = PRIV_USAGE, .table = PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE,
	  .sequence = PRIV_SELECT | PRIV_USAGE, .routine = PRIV_EXECUTE },
	{ .name = "admin", .schema = PRIV_USAGE | PRIV_CREATE, .table = TABLE_ALL, .sequence = PRIV_SELECT | PRIV_UPDATE | PRIV_USAGE,
	  .routine = PRIV_EXECUTE, .type = PRIV_USAGE },
};
#define N_BUILTIN (sizeof(builtin) / sizeof(builtin[0]))

const struct level *level_builtin(const char *name)
{
	for (size_t i = 0; i < N_BUILTIN; i++)
		if (strcmp(builtin[i].name, name) == 0)
			return &builtin[i];
	return NULL;
}

static struct level *level_in(const struct manifest *m, const char *name)
{
	for (uint32_t i = 0; i < m->n_levels; i++)
		if (m->levels[i].name && strcmp(m->levels[i].name, name) == 0)
			return &m->levels[i];
	return NULL;
}

/* A level of the manifest itself goes before one of another manifest. */
static struct level *level_find(struct reader *r, const struct manifest *m, const char *name)
{
	struct level *found = level_in(m, name);

	for (uint32_t i = 0; !found && i < r->settings->n_manifests; i++)
		found = level_in(&r->settings->manifests[i], name);
	return found;
}

static void no_level(struct reader *r, const struct manifest *m, const struct source *at, const char *path, const char *name)
{
	const char *names[64];
	size_t n = 0;

	for (; n < N_BUILTIN; n++)
		names[n] = builtin[n].name;
	for (uint32_t i = 0; i < m->n_levels && n < 64; i++)
		if (m->levels[i].name)
			names[n++] = m->levels[i].name;
	struct error *err = reader_error_at(r, at, path, "there is no level \"%.64s\"", name);
	const char *near = text_nearest(name, names, n);
	if (!err)
		return;
	if (near)
		error_hint(err, "did you mean \"%s\"?", near);
	else
		error_hint(err, "declare it in 'levels', or use read-only, read-write or admin");
}

static void inherit(struct level *level, const struct level *from)
{
	level->schema |= from->schema;
	level->table |= from->table;
	level->sequence |= from->sequence;
	level->routine |= from->routine;
	level->type |= from->type;
}

/* depth counts the steps of one chain: more than there are levels means a circle. */
static void complete(struct reader *r, const struct manifest *m, struct level *level, unsigned depth)
{
	struct level *from;
	char path[48] = "levels";

	if (level >= m->levels && level < m->levels + m->n_levels)
		snprintf(path, sizeof(path), "levels.[%u].extends", (unsigned) (level - m->levels));

	if (!level->extends || level->complete)
		return;
	level->complete = true;
	if (level_builtin(level->extends)) {
		inherit(level, level_builtin(level->extends));
		return;
	}
	from = level_find(r, m, level->extends);
	if (!from) {
		no_level(r, m, &level->source, path, level->extends);
		return;
	}
	for (const struct level *step = from; step && step->extends; step = level_find(r, m, step->extends)) {
		if (step == level || depth++ > 1000) {
			reader_error_at(r, &level->source, path, "the level \"%s\" extends itself through \"%s\"", level->name, level->extends);
			return;
		}
	}
	complete(r, m, from, depth);
	inherit(level, from);
}

void levels_resolve(struct reader *r)
{
	for (uint32_t i = 0; i < r->settings->n_manifests; i++) {
		struct manifest *m = &r->settings->manifests[i];

		for (uint32_t k = 0; k < m->n_levels; k++)
			complete(r, m, &m->levels[k], 0);
	}
	for (struct reference *ref = r->levels; ref; ref = ref->next) {
		const struct level *level = level_find(r, ref->manifest, ref->name);

		if (level)
			*(const struct level **) ref->slot = level;
		else
			no_level(r, ref->manifest, &ref->source, ref->path, ref->name);
	}
}
