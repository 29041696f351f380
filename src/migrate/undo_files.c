/* SPDX-License-Identifier: PostgreSQL */
/*
 * U files. They are no part of what runs by itself, so nothing that is wrong
 * with one keeps migrations from running: it is warned of, and said again to
 * whoever orders the undo.
 */
#include "migrate/reading.h"

#include <errno.h>
#include <stdlib.h>
#include <talloc.h>

static void warn(struct reading *reading, const struct migration_file *file, const char *why)
{
	char *text = talloc_asprintf(NULL, "it cannot undo anything: %s", why);

	reading_warn(reading, file->path, text);
	talloc_free(text);
}

int reading_undo(struct reading *reading, struct migration_file *file)
{
	struct migration_files *files = reading->files;
	struct reading own = { .parent = files, .files = files };
	int r = reading_script(&own, file);

	if (r < 0)
		return r;
	if (r > 0) {
		file->refused = own.errs[0];
		file->text = file->sql = "";
		file->len = 0;
		warn(reading, file, file->refused.text);
	}
	files->undo = talloc_realloc(files, files->undo, struct migration_file, files->n_undo + 1);
	if (!files->undo)
		return -ENOMEM;
	files->undo[files->n_undo++] = *file;
	return 0;
}

static int by_version(const void *a, const void *b)
{
	const struct migration_file *left = a, *right = b;

	return migration_version_compare(left->version, right->version);
}

static void refuse_twin(struct reading *reading, struct migration_file *file, const struct migration_file *other)
{
	error_clear(&file->refused);
	error_set_at(&file->refused, file->path, 0, "version %s has two undo files: also %s", file->version, other->path);
	error_hint(&file->refused, "take one of the two away");
	warn(reading, file, file->refused.text);
}

/* Both are in the order of versions; at is where the search goes on with the next one. */
static bool is_alone(const struct migration_files *files, const struct migration_file *undo, uint32_t *at)
{
	const struct migration_file *v = files->v;
	uint32_t i = *at;

	while (i < files->n && v[i].version && migration_version_compare(v[i].version, undo->version) < 0)
		i++;
	*at = i;
	for (; i < files->n && v[i].version && !migration_version_compare(v[i].version, undo->version); i++)
		if (v[i].type == MIGRATION_VERSIONED)
			return false;
	return true;
}

void reading_undo_end(struct reading *reading)
{
	struct migration_file *v = reading->files->undo;
	uint32_t n = reading->files->n_undo, at = 0;

	if (n > 0)
		qsort(v, n, sizeof *v, by_version);
	for (uint32_t i = 0; i < n; i++) {
		if (is_alone(reading->files, &v[i], &at))
			warn(reading, &v[i], "there is no V file of its version");
		if (i > 0 && !by_version(&v[i - 1], &v[i]))
			refuse_twin(reading, &v[i], &v[i - 1]);
		if (i + 1 < n && !by_version(&v[i], &v[i + 1]))
			refuse_twin(reading, &v[i], &v[i + 1]);
	}
}
