/* SPDX-License-Identifier: PostgreSQL */
/*
 * Reads the migration directories once: what is hashed here is what runs.
 * Symbolic links are followed (that is how Kubernetes mounts a ConfigMap), names
 * that begin with '.' are not looked at (that is where it keeps the old ones).
 */
#include "migrate/reading.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/text.h"

#define FILE_MAX_BYTES (64u << 20)
#define DEPTH_MAX 4
#define ERRORS_MAX 200

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

struct error *reading_error(struct reading *reading)
{
	if (reading->n_errs == ERRORS_MAX)
		return &reading->dropped;
	reading->errs = talloc_realloc(reading->parent, reading->errs, struct error, reading->n_errs + 1);
	if (!reading->errs)
		abort();
	error_clear(&reading->errs[reading->n_errs]);
	return &reading->errs[reading->n_errs++];
}

void reading_warn(struct reading *reading, const char *path, const char *what)
{
	struct migration_files *files = reading->files;

	files->warnings = talloc_realloc(files, files->warnings, const char *, files->n_warnings + 1);
	if (!files->warnings)
		abort();
	files->warnings[files->n_warnings++] = talloc_asprintf(files->warnings, "%s: %s", path, what);
}

/* Who may write the file decides what runs on the database. */
int reading_check_mode(struct reading *reading, const char *path, const struct stat *st)
{
	struct error *err;

	if (!(st->st_mode & (S_IWGRP | S_IWOTH)))
		return 0;
	err = reading_error(reading);
	error_set_at(err, path, 0, "mode %04o: %s can write it", (unsigned)(st->st_mode & 07777),
		     st->st_mode & S_IWOTH ? "everybody" : "its group");
	error_hint(err, "chmod go-w '%s'", path);
	return 1;
}

int reading_io_error(struct reading *reading, const char *path, const char *what)
{
	error_set_at(reading_error(reading), path, 0, "cannot %s: %s", what, strerror(errno));
	return 1;
}

static int slurp(struct reading *reading, int fd, const char *path, size_t size, char **ret, size_t *ret_len)
{
	char *bytes = talloc_size(reading->files, size + 2);
	size_t len = 0;
	ssize_t got;

	if (!bytes)
		return -ENOMEM;
	while (len <= size && (got = read(fd, bytes + len, size + 1 - len)) != 0) {
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return reading_io_error(reading, path, "read");
		len += (size_t)got;
	}
	if (len != size) {
		error_set_at(reading_error(reading), path, 0, "the file changed while it was read");
		return 1;
	}
	bytes[len] = '\0';
	*ret = bytes;
	*ret_len = len;
	return 0;
}

int reading_bytes(struct reading *reading, const char *path, char **ret, size_t *ret_len)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;

	if (fd < 0)
		return reading_io_error(reading, path, "open");
	if (fstat(fd, &st))
		return reading_io_error(reading, path, "stat");
	if (!S_ISREG(st.st_mode)) {
		error_set_at(reading_error(reading), path, 0, "not a regular file");
		return 1;
	}
	if (reading_check_mode(reading, path, &st))
		return 1;
	if (st.st_size > FILE_MAX_BYTES) {
		struct error *err = reading_error(reading);

		error_set_at(err, path, 0, "larger than 64 MiB");
		error_hint(err, "split it, or load the data by other means");
		return 1;
	}
	return slurp(reading, fd, path, (size_t)st.st_size, ret, ret_len);
}

/* libpq sends C strings: what follows a NUL would silently not run. */
int reading_check_text(struct reading *reading, const char *path, const char *text, size_t len)
{
	const char *nul = memchr(text, '\0', len), *bad = NULL;
	struct error *err;
	unsigned line = 1;

	if (!nul && utf8_valid(text, len))
		return 0;
	for (const char *start = text; !nul && start < text + len; line++) {
		const char *end = memchr(start, '\n', (size_t)(text + len - start));

		end = end ? end + 1 : text + len;
		if (!utf8_valid(start, (size_t)(end - start))) {
			bad = start;
			break;
		}
		start = end;
	}
	if (nul)
		for (const char *p = text; p < nul; p++)
			line += *p == '\n';
	err = reading_error(reading);
	error_set_at(err, path, line, bad ? "bytes that are not UTF-8" : "a NUL byte");
	error_hint(err, bad ? "convert the file to UTF-8" : "save the file as UTF-8 text");
	return 1;
}

/* NAME.sql.conf, when there is one. */
static int read_side_file(struct reading *reading, struct migration_file *file)
{
	char *path = talloc_asprintf(reading->files, "%s.conf", file->path), *bytes;
	struct error err = { 0 };
	struct stat st;
	size_t len;
	int r;

	if (!path)
		return -ENOMEM;
	if (stat(path, &st) && errno == ENOENT)
		return 0;
	r = reading_bytes(reading, path, &bytes, &len);
	if (r)
		return r;
	if (reading_check_text(reading, path, bytes, len))
		return 1;
	r = migration_side_file(file, path, bytes, len, &err);
	if (r > 0)
		*reading_error(reading) = err;
	return r;
}

int reading_script(struct reading *reading, struct migration_file *file)
{
	char *bytes;
	size_t len, mark;
	int r = reading_bytes(reading, file->path, &bytes, &len);

	if (r)
		return r;
	if (reading_check_text(reading, file->path, bytes, len))
		return 1;
	mark = len >= 3 && !memcmp(bytes, "\xEF\xBB\xBF", 3) ? 3 : 0;
	r = read_side_file(reading, file);
	if (r)
		return r;
	file->checksum = file->raw_checksum = migration_checksum(bytes, len);
	file->text = bytes + mark;
	file->len = len - mark;
	file->transactional = file->side != SIDE_FALSE;
	r = migration_script_check(reading->files, file);
	return r < 0 ? r : 0;
}

static int add_file(struct reading *reading, struct migration_file *file)
{
	struct migration_files *files = reading->files;
	int r = reading_script(reading, file);

	if (r)
		return r;
	files->v = talloc_realloc(files, files->v, struct migration_file, files->n + 1);
	if (!files->v)
		return -ENOMEM;
	files->v[files->n++] = *file;
	return 0;
}

/* V1__x.sql.conf without V1__x.sql: somebody misspelt one of them. */
static void lonely_side_file(struct reading *reading, const char *path)
{
	static const char suffix[] = ".sql.conf";
	size_t len = strlen(path);
	struct stat st;
	char *script;

	if (len < strlen(suffix) || strcasecmp(path + len - strlen(suffix), suffix) != 0)
		return;
	script = talloc_strndup(reading->files, path, len - strlen(".conf"));
	if (script && stat(script, &st))
		reading_warn(reading, path, "there is no file that it belongs to");
}

/* One name in a directory that is not a directory itself. */
static int take(struct reading *reading, const char *path, const char *script)
{
	struct migration_file file;
	struct error err = { 0 };

	switch (migration_name_parse(reading->files, script, &file, &err)) {
	case MIGRATION_NAME_OK:
		file.path = path;
		return add_file(reading, &file);
	case MIGRATION_NAME_BAD:
		snprintf(err.file, sizeof err.file, "%s", path);
		*reading_error(reading) = err;
		return 1;
	case MIGRATION_NAME_UNDO:
		file.path = path;
		return reading_undo(reading, &file);
	case MIGRATION_NAME_OTHER:
		lonely_side_file(reading, path);
		return 0;
	case MIGRATION_NAME_CALLBACK:
		reading_warn(reading, path, "Flyway callbacks are left alone: it will not run");
		return 0;
	}
	return 0;
}

static int by_name(const struct dirent **a, const struct dirent **b)
{
	return strcmp((*a)->d_name, (*b)->d_name);
}

static int visible(const struct dirent *entry)
{
	return entry->d_name[0] != '.';
}

int reading_directory(struct reading *reading, const char *path, reading_take *each, const void *data)
{
	struct dirent **entries = NULL;
	struct stat st;
	int n, r = 0;

	if (stat(path, &st))
		return reading_io_error(reading, path, "open the migration directory");
	if (reading_check_mode(reading, path, &st))
		return 1;
	n = scandir(path, &entries, visible, by_name);
	if (n < 0)
		return reading_io_error(reading, path, "read the migration directory");
	for (int i = 0; i < n; i++) {
		if (r >= 0) {
			char *entry = talloc_asprintf(reading->files, "%s/%s", path, entries[i]->d_name);
			int one = entry ? each(reading, entry, entries[i]->d_name, data) : -ENOMEM;

			r = one ? one : r;
		}
		free(entries[i]);
	}
	free(entries);
	return r;
}

/* A folder, as its files are called by. */
struct folder {
	const char *below;        /* of the directory that was configured; "" = itself */
	unsigned depth;
};

static int take_entry(struct reading *reading, const char *path, const char *name, const void *data)
{
	const struct folder *in = data;
	char *script = talloc_asprintf(reading->files, "%s%s%s", in->below, *in->below ? "/" : "", name);
	struct folder deeper = { script, in->depth + 1 };
	struct stat st;

	if (!script)
		return -ENOMEM;
	if (stat(path, &st))
		return reading_io_error(reading, path, "stat");
	if (!S_ISDIR(st.st_mode))
		return take(reading, path, script);
	if (deeper.depth > DEPTH_MAX) {
		error_set_at(reading_error(reading), path, 0, "more than %d folders deep", DEPTH_MAX);
		return 1;
	}
	return reading_directory(reading, path, take_entry, &deeper);
}

/* The order of running: versions, a baseline before the version it stands for, then repeatable ones by description. */
static int in_order(const void *a, const void *b)
{
	const struct migration_file *left = a, *right = b;
	int order;

	if (!left->version != !right->version)
		return left->version ? -1 : 1;
	if (!left->version)
		return strcmp(left->description, right->description);
	order = migration_version_compare(left->version, right->version);
	return order ? order : (left->type == MIGRATION_VERSIONED) - (right->type == MIGRATION_VERSIONED);
}

static void find_duplicates(struct reading *reading)
{
	struct migration_files *files = reading->files;

	for (uint32_t i = 1; i < files->n; i++) {
		const struct migration_file *a = &files->v[i - 1], *b = &files->v[i];
		struct error *err;

		if (in_order(a, b))
			continue;
		err = reading_error(reading);
		if (b->version)
			error_set_at(err, b->path, 0, "version %s is there twice: %s has it as %s", b->version, a->path, a->version);
		else
			error_set_at(err, b->path, 0, "repeatable migration '%s' is there twice: also %s", b->description, a->path);
		error_hint(err, "give one of the two files another %s", b->version ? "version" : "description");
	}
}

int reading_end(struct reading *reading, int r, struct migration_files **ret, struct error **errs, uint32_t *n_errs)
{
	*errs = reading->errs;
	*n_errs = reading->n_errs;
	if (r >= 0 && !reading->n_errs) {
		*ret = reading->files;
		return 0;
	}
	talloc_free(reading->files);
	return r < 0 ? r : 1;
}

int migration_files_read(void *parent, const char *const *directories, uint32_t n, struct migration_files **ret,
			 struct error **errs, uint32_t *n_errs)
{
	struct reading reading = { .parent = parent, .files = talloc_zero(parent, struct migration_files) };
	int r = 0;

	if (!reading.files)
		return -ENOMEM;
	reading.files->tolerate = MIGRATION_TOLERATE_FUTURE;
	for (uint32_t i = 0; i < n && r >= 0; i++)
		r = reading_directory(&reading, directories[i], take_entry, &(struct folder){ "", 0 });
	if (r >= 0) {
		if (reading.files->n)
			qsort(reading.files->v, reading.files->n, sizeof *reading.files->v, in_order);
		find_duplicates(&reading);
		reading_undo_end(&reading);
	}
	return reading_end(&reading, r, ret, errs, n_errs);
}
