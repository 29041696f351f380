/* SPDX-License-Identifier: PostgreSQL */
/*
 * Migration files, read once for all targets that name the same directories
 * and read again when anything about them has changed on disk. Whoever holds
 * a reading keeps exactly those bytes.
 */
#include "engine/internal.h"

#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#define CHECK_EVERY 1000        /* ms: a thousand databases of one directory do not stat it a thousand times */

struct migration_source {
	struct migration_source *next;
	char *key;
	uint64_t signature;
	msec_t checked;
	struct source_files *files;
};

static uint64_t mix(uint64_t hash, const void *bytes, size_t len)
{
	const unsigned char *p = bytes;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ p[i]) * UINT64_C(0x100000001b3);
	return hash;
}

static uint64_t stat_signature(int dirfd, const char *name)
{
	struct stat st;
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	hash = mix(hash, name, strlen(name));
	if (fstatat(dirfd, name, &st, 0) != 0)
		return hash;
	hash = mix(hash, &st.st_mtim, sizeof(st.st_mtim));
	hash = mix(hash, &st.st_size, sizeof(st.st_size));
	hash = mix(hash, &st.st_ino, sizeof(st.st_ino));
	return mix(hash, &st.st_mode, sizeof(st.st_mode));
}

/* The order of readdir() does not matter: sums of hashes. Two levels deep, as the files are read. */
static uint64_t directory_signature(const char *path, unsigned depth)
{
	uint64_t sum = stat_signature(AT_FDCWD, path);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *child;

		if (entry->d_name[0] == '.')
			continue;
		sum += stat_signature(dirfd(dir), entry->d_name);
		if (depth == 0 || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK))
			continue;
		child = talloc_asprintf(NULL, "%s/%s", path, entry->d_name);
		sum += directory_signature(child, depth - 1);
		talloc_free(child);
	}
	if (dir != NULL)
		closedir(dir);
	return sum;
}

static struct source_files *read_files(struct engine *e, const struct migration_settings *m)
{
	struct source_files *f = talloc_zero(e, struct source_files);
	struct error *errs = NULL;
	uint32_t n = 0;

	f->refs = 1;
	if (migration_files_read(f, (const char *const *)m->directories, m->n_directories, &f->files, &errs, &n) == 0)
		return f;
	f->files = NULL;
	if (n > 0)
		f->error = errs[0];
	error_set(&f->error, "the migration files could not be read");
	if (n > 1)
		error_hint(&f->error, "and %u more errors; dbreconciled -t shows them all", n - 1);
	return f;
}

uint64_t source_files_digest(struct source_files *f)
{
	uint64_t hash = UINT64_C(0xcbf29ce484222325);

	if (f->files == NULL)
		return 0;
	for (uint32_t i = 0; f->digest == 0 && i < f->files->n; i++) {
		const struct migration_file *file = &f->files->v[i];

		hash = mix(hash, file->script, strlen(file->script) + 1);
		hash = mix(hash, &file->len, sizeof(file->len));
		hash = mix(hash, &file->checksum, sizeof(file->checksum));
	}
	if (f->digest == 0)
		f->digest = hash;
	return f->digest;
}

void source_files_unref(struct source_files *f)
{
	if (f != NULL && --f->refs == 0)
		talloc_free(f);
}

/* As the key of source_find(), without making it. */
bool source_same(const struct migration_settings *a, const struct migration_settings *b)
{
	if (a->n_directories != b->n_directories)
		return false;
	for (uint32_t i = 0; i < a->n_directories; i++)
		if (strcmp(a->directories[i], b->directories[i]) != 0)
			return false;
	return true;
}

static struct migration_source *source_find(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s;
	char *key = talloc_strdup(NULL, "");

	for (uint32_t i = 0; i < m->n_directories; i++)
		key = talloc_asprintf_append(key, "%s\n", m->directories[i]);
	for (s = e->sources; s != NULL && strcmp(s->key, key) != 0; s = s->next)
		;
	if (s == NULL) {
		s = talloc_zero(e, struct migration_source);
		s->key = talloc_steal(s, key);
		s->checked = -CHECK_EVERY;
		s->next = e->sources;
		e->sources = s;
	} else {
		talloc_free(key);
	}
	return s;
}

void source_files_ask_again(struct engine *e, const struct migration_settings *m)
{
	source_find(e, m)->checked = -CHECK_EVERY;
}

struct source_files *source_files_get(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s = source_find(e, m);
	uint64_t signature = 0;

	if (s->files == NULL || e->now - s->checked >= CHECK_EVERY) {
		for (uint32_t i = 0; i < m->n_directories; i++)
			signature = signature * 31 + directory_signature(m->directories[i], 4);
		s->checked = e->now;
		if (s->files == NULL || signature != s->signature) {
			source_files_unref(s->files);
			s->files = read_files(e, m);
			s->signature = signature;
		}
	}
	s->files->refs++;
	return s->files;
}
