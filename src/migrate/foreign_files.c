/* SPDX-License-Identifier: PostgreSQL */
/* The files of other tools, by their names and rules; of dbmate and golang-migrate nothing but the names is needed. */
#include "migrate/foreign.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "migrate/reading.h"

void foreign_warn(struct migration_files *files, const char *text)
{
	files->warnings = talloc_realloc(files, files->warnings, const char *, files->n_warnings + 1);
	if (!files->warnings)
		abort();
	files->warnings[files->n_warnings++] = talloc_strdup(files->warnings, text);
}

struct migration_file *foreign_add(struct migration_files *files)
{
	files->v = talloc_realloc(files, files->v, struct migration_file, files->n + 1);
	if (!files->v)
		return NULL;
	files->v[files->n] = (struct migration_file){ .type = MIGRATION_VERSIONED, .text = "", .description = "", .transactional = true };
	return &files->v[files->n++];
}

static bool ends_with(const char *s, const char *end)
{
	size_t len = strlen(s), n = strlen(end);

	return len >= n && strcmp(s + len - n, end) == 0;
}

static char *words_of(void *parent, const char *s, size_t len)
{
	char *words = talloc_strndup(parent, s, len);

	for (char *p = words; p && *p; p++)
		if (*p == '_')
			*p = ' ';
	return words;
}

static int add_named(struct reading *reading, const char *path, const char *name, size_t digits, size_t end)
{
	struct migration_file *file = foreign_add(reading->files);
	size_t from = digits + (name[digits] == '_' && end > digits);

	if (!file)
		return -ENOMEM;
	file->path = path;
	file->script = talloc_strdup(reading->files, name);
	file->version = talloc_strndup(reading->files, name, digits);
	file->description = words_of(reading->files, name + from, end - from);
	return 0;
}

/* ^(\d+).*\.sql$ */
static int take_dbmate(struct reading *reading, const char *path, const char *name)
{
	size_t digits = strspn(name, "0123456789");

	if (!ends_with(name, ".sql"))
		return 0;
	if (digits == 0) {
		reading_warn(reading, path, "dbmate leaves it alone: its name does not begin with digits");
		return 0;
	}
	return add_named(reading, path, name, digits, strlen(name) - strlen(".sql"));
}

/* ^([0-9]+)_(.*)\.(down|up)\.(.*)$ */
static int take_golang(struct reading *reading, const char *path, const char *name)
{
	size_t digits = strspn(name, "0123456789");
	const char *up = NULL, *down = NULL;
	char *end;

	for (const char *p = name + digits; (p = strstr(p, ".up.")) != NULL; p++)
		up = p;
	for (const char *p = name + digits; (p = strstr(p, ".down.")) != NULL; p++)
		down = p;
	if (digits == 0 || name[digits] != '_' || (!up && !down)) {
		if (ends_with(name, ".sql"))
			reading_warn(reading, path, "golang-migrate leaves it alone: expected a name such as 000001_title.up.sql");
		return 0;
	}
	if (!up || (down && down > up))
		return 0;
	errno = 0;
	(void)strtoll(name, &end, 10);
	if (errno != 0) {
		error_set_at(reading_error(reading), path, 0, "the version is too large for the ledger, whose column is a bigint");
		return 1;
	}
	return add_named(reading, path, name, digits, (size_t)(up - name));
}

static int take_alembic(struct reading *reading, const char *path, const char *name)
{
	struct foreign_files *foreign = talloc_get_type_abort(reading->files->foreign, struct foreign_files);
	struct error err = { 0 };
	struct migration_file *file;
	char *text;
	size_t len;
	int r;

	if (!ends_with(name, ".py") || strncmp(name, "__init__.", 9) == 0)
		return 0;
	r = reading_bytes(reading, path, &text, &len);
	if (r == 0)
		r = reading_check_text(reading, path, text, len);
	if (r != 0)
		return r;
	file = foreign_add(reading->files);
	foreign->revisions = talloc_realloc(foreign, foreign->revisions, struct foreign_revision, reading->files->n);
	if (!file || !foreign->revisions)
		return -ENOMEM;
	file->path = path;
	file->script = talloc_strdup(reading->files, name);
	foreign->revisions[reading->files->n - 1] = (struct foreign_revision){ .path = path };
	r = alembic_parse(reading->files, path, text, file, &foreign->revisions[reading->files->n - 1], &err);
	if (r > 0)
		*reading_error(reading) = err;
	talloc_free(text);
	return r;
}

static int take_sqitch(struct reading *reading, const char *path, const char *name)
{
	struct foreign_files *foreign = talloc_get_type_abort(reading->files->foreign, struct foreign_files);
	struct error err = { 0 };
	char *text;
	size_t len;
	int r;

	if (strcmp(name, "sqitch.plan") != 0)
		return 0;
	if (foreign->project) {
		error_set_at(reading_error(reading), path, 0, "a second plan: one database has one");
		return 1;
	}
	r = reading_bytes(reading, path, &text, &len);
	if (r == 0)
		r = reading_check_text(reading, path, text, len);
	if (r == 0)
		r = sqitch_parse(reading->files, foreign, path, text, &err);
	if (error_is_set(&err))
		*reading_error(reading) = err;
	return r;
}

static int (*const takers[LEDGER_FORMATS])(struct reading *, const char *path, const char *name) = {
	[LEDGER_DBMATE] = take_dbmate, [LEDGER_GOLANG_MIGRATE] = take_golang, [LEDGER_ALEMBIC] = take_alembic, [LEDGER_SQITCH] = take_sqitch,
};

static int take_entry(struct reading *reading, const char *path, const char *name, const void *data)
{
	const enum ledger_format *format = data;
	struct stat st;

	if (stat(path, &st))
		return reading_io_error(reading, path, "stat");
	if (!S_ISREG(st.st_mode))
		return 0;
	if (reading_check_mode(reading, path, &st))
		return 1;
	return takers[*format](reading, path, name);
}

static int by_script(const void *a, const void *b)
{
	return strcmp(((const struct migration_file *)a)->script, ((const struct migration_file *)b)->script);
}

static int by_number(const void *a, const void *b)
{
	long long left = strtoll(((const struct migration_file *)a)->version, NULL, 10);
	long long right = strtoll(((const struct migration_file *)b)->version, NULL, 10);

	return left < right ? -1 : left > right ? 1 : by_script(a, b);
}

static int by_version(const void *a, const void *b)
{
	return strcmp(((const struct migration_file *)a)->version, ((const struct migration_file *)b)->version);
}

/* dbmate takes versions as text and runs by name; golang-migrate takes both as numbers. */
static void order_by_name(struct reading *reading, enum ledger_format format)
{
	struct migration_files *files = reading->files;
	bool numbers = format == LEDGER_GOLANG_MIGRATE;

	if (files->n < 2)
		return;
	qsort(files->v, files->n, sizeof(*files->v), numbers ? by_number : by_version);
	for (uint32_t i = 1; i < files->n; i++) {
		const struct migration_file *a = &files->v[i - 1], *b = &files->v[i];

		if (numbers ? strtoll(a->version, NULL, 10) == strtoll(b->version, NULL, 10) : by_version(a, b) == 0)
			error_set_at(reading_error(reading), b->path, 0, "version %s is there twice: also %s", b->version, a->path);
	}
	if (!numbers)
		qsort(files->v, files->n, sizeof(*files->v), by_script);
}

static int complete(struct reading *reading, struct foreign_files *foreign, const char *directory)
{
	struct error err = { 0 };
	int r = 0;

	if (foreign->format == LEDGER_DBMATE || foreign->format == LEDGER_GOLANG_MIGRATE)
		order_by_name(reading, foreign->format);
	else if (foreign->format == LEDGER_ALEMBIC && reading->n_errs == 0)
		r = alembic_order(reading->files, foreign, &err);
	else if (foreign->format == LEDGER_SQITCH && !foreign->project && reading->n_errs == 0)
		error_set_at(&err, directory, 0, "there is no sqitch.plan");
	if (error_is_set(&err))
		*reading_error(reading) = err;
	return r;
}

int foreign_files_read(void *parent, enum ledger_format format, const char *const *directories, uint32_t n, struct migration_files **ret,
		       struct error **errs, uint32_t *n_errs)
{
	struct reading reading = { .parent = parent, .files = talloc_zero(parent, struct migration_files) };
	struct foreign_files *foreign = talloc_zero(reading.files, struct foreign_files);
	int r = 0;

	if (!reading.files || !foreign)
		return -ENOMEM;
	foreign->format = format;
	reading.files->foreign = foreign;
	reading.files->tolerate = MIGRATION_TOLERATE_FUTURE;
	for (uint32_t i = 0; i < n && r >= 0; i++)
		r = reading_directory(&reading, directories[i], take_entry, &format);
	if (r >= 0)
		r = complete(&reading, foreign, n > 0 ? directories[0] : "");
	return reading_end(&reading, r, ret, errs, n_errs);
}
