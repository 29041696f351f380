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
#include <time.h>
#include <unistd.h>

#include "base/hash.h"
#include "migrate/foreign.h"

#define CHECK_EVERY 1000        /* ms: a thousand databases of one directory do not stat it a thousand times */
#define SETTLED 500             /* ms: what was written later than that may be half of it */
#define SETTLE_MAX 30000        /* and who goes on writing for ever is not waited for */

struct view {
	struct view *next;
	char *key;
	struct source_files *files;
};

struct migration_source {
	struct migration_source *next;
	char *key;
	uint64_t signature;
	msec_t checked;
	msec_t unsettled;                 /* since when somebody is writing them; 0 = nobody */
	bool at_once;                     /* somebody has asked: as they are now */
	struct source_files *files;
	struct view *views;               /* of these files */
	char *prefix;                     /* what the two below were looked for with; NULL = not yet */
	bool placeholders;                /* does any file hold one */
	bool database;                    /* is ${flyway:database} among them: then every database sees other files */
};

/* newest: when anything was written last, ms of the wall clock. */
static uint64_t stat_signature(int dirfd, const char *name, int64_t *newest)
{
	struct stat st;
	uint64_t hash = HASH_START;

	hash = hash_mix(hash, name, strlen(name));
	if (fstatat(dirfd, name, &st, 0) != 0)
		return hash;
	if ((int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000 > *newest)
		*newest = (int64_t)st.st_ctim.tv_sec * 1000 + st.st_ctim.tv_nsec / 1000000;
	hash = hash_mix(hash, &st.st_mtim, sizeof(st.st_mtim));
	hash = hash_mix(hash, &st.st_size, sizeof(st.st_size));
	hash = hash_mix(hash, &st.st_ino, sizeof(st.st_ino));
	return hash_mix(hash, &st.st_mode, sizeof(st.st_mode));
}

/* The order of readdir() does not matter: sums of hashes. Two levels deep, as the files are read. */
static uint64_t directory_signature(const char *path, unsigned depth, int64_t *newest)
{
	uint64_t sum = stat_signature(AT_FDCWD, path, newest);
	DIR *dir = opendir(path);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		char *child;

		if (entry->d_name[0] == '.')
			continue;
		sum += stat_signature(dirfd(dir), entry->d_name, newest);
		if (depth == 0 || (entry->d_type != DT_DIR && entry->d_type != DT_UNKNOWN && entry->d_type != DT_LNK))
			continue;
		child = talloc_asprintf(NULL, "%s/%s", path, entry->d_name);
		sum += directory_signature(child, depth - 1, newest);
		talloc_free(child);
	}
	if (dir != NULL)
		closedir(dir);
	return sum;
}

static struct source_files *read_files(struct engine *e, const struct migration_settings *m)
{
	struct source_files *f = talloc_zero(e, struct source_files);
	const char *const *directories = (const char *const *)m->directories;
	struct error *errs = NULL;
	uint32_t n = 0;
	int r;

	f->refs = 1;
	if (m->format != LEDGER_FLYWAY)
		r = foreign_files_read(f, (enum ledger_format)m->format, directories, m->n_directories, &f->files, &errs, &n);
	else
		r = migration_files_read(f, directories, m->n_directories, &f->files, &errs, &n);
	if (r == 0)
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
	uint64_t hash = HASH_START;

	if (f->raw != NULL)
		return source_files_digest(f->raw);
	if (f->files == NULL)
		return 0;
	for (uint32_t i = 0; f->digest == 0 && i < f->files->n; i++) {
		const struct migration_file *file = &f->files->v[i];

		hash = hash_mix(hash, file->script, strlen(file->script) + 1);
		hash = hash_mix(hash, &file->len, sizeof(file->len));
		hash = hash_mix(hash, &file->checksum, sizeof(file->checksum));
		if (file->side != SIDE_SILENT || file->verbatim)       /* what its .conf says; without one the digest is what it always was */
			hash = hash_mix(hash, (const char[]){ (char)file->side, file->verbatim }, 2);
	}
	if (f->digest == 0)
		f->digest = hash;
	return f->digest;
}

uint64_t source_files_digest_shown(struct source_files *f)
{
	uint64_t hash = source_files_digest(f);

	return f->raw == NULL || hash == 0 ? hash : hash_mix(hash, &f->values, sizeof(f->values));
}

void source_files_unref(struct source_files *f)
{
	struct source_files *raw;

	if (f == NULL || --f->refs != 0)
		return;
	raw = f->raw;
	talloc_free(f);
	source_files_unref(raw);
}

bool source_files_of(const struct source_files *view, const struct source_files *files)
{
	return view == files || (view != NULL && view->raw == files);
}

static void views_forget(struct migration_source *s)
{
	while (s->views != NULL) {
		struct view *view = s->views;

		s->views = view->next;
		source_files_unref(view->files);
		talloc_free(view);
	}
}

/* As the key of source_find(), without making it. */
bool source_same(const struct migration_settings *a, const struct migration_settings *b)
{
	if (a->format != b->format || a->n_directories != b->n_directories)
		return false;
	for (uint32_t i = 0; i < a->n_directories; i++)
		if (strcmp(a->directories[i], b->directories[i]) != 0)
			return false;
	return true;
}

static struct migration_source *source_find(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s;
	char *key = talloc_asprintf(NULL, "%d\n", m->format);

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

static void ask_again(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s = source_find(e, m);

	s->checked = -CHECK_EVERY;
	s->at_once = true;
}

void source_files_ask_again(struct engine *e, const struct migration_settings *m)
{
	struct migration_settings seed = *m;
	const char *directory = m->seed;

	ask_again(e, m);
	if (directory == NULL)
		return;
	seed.directories = &directory;
	seed.n_directories = 1;
	ask_again(e, &seed);
}

static uint64_t signature_of(const struct migration_settings *m, int64_t *newest)
{
	uint64_t signature = 0;

	*newest = 0;
	for (uint32_t i = 0; i < m->n_directories; i++)
		signature = signature * 31 + directory_signature(m->directories[i], 4, newest);
	return signature;
}

/* A copy or a checkout that is under way: half of a file, or the later ones without the earlier. What was read before stays in force. */
static bool being_written(struct migration_source *s, msec_t now, int64_t newest)
{
	int64_t age = clock_wall() - newest;

	if (s->files == NULL || s->at_once || age < 0 || age >= SETTLED || (s->unsettled != 0 && now - s->unsettled >= SETTLE_MAX)) {
		s->unsettled = 0;
		return false;
	}
	if (s->unsettled == 0)
		s->unsettled = now;
	return true;
}

static void source_read(struct engine *e, struct migration_source *s, const struct migration_settings *m, uint64_t signature)
{
	struct source_files *files = read_files(e, m);
	int64_t newest;

	if (s->files != NULL && !s->at_once && signature_of(m, &newest) != signature) {
		source_files_unref(files);        /* changed while it was read */
		return;
	}
	views_forget(s);
	TALLOC_FREE(s->prefix);
	source_files_unref(s->files);
	s->files = files;
	s->signature = signature;
	s->at_once = false;
}

/* The files, read again when that is due. */
static struct migration_source *source_refresh(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s = source_find(e, m);
	uint64_t signature;
	int64_t newest;

	if (s->files != NULL && e->now - s->checked < CHECK_EVERY)
		return s;
	signature = signature_of(m, &newest);
	s->checked = e->now;
	if (s->files != NULL && signature == s->signature)
		s->at_once = false;
	else if (!being_written(s, e->now, newest))
		source_read(e, s, m, signature);
	return s;
}

struct source_files *source_files_get(struct engine *e, const struct migration_settings *m)
{
	struct migration_source *s = source_refresh(e, m);

	s->files->refs++;
	return s->files;
}

/* ---- views ---- */

static unsigned tolerance(const struct migration_settings *m)
{
	static const struct { const char *pattern; unsigned bits; } known[] = {
		{ "*:future", MIGRATION_TOLERATE_FUTURE }, { "versioned:future", MIGRATION_TOLERATE_FUTURE },
		{ "*:missing", MIGRATION_TOLERATE_MISSING | MIGRATION_TOLERATE_MISSING_REPEATABLE },
		{ "versioned:missing", MIGRATION_TOLERATE_MISSING }, { "repeatable:missing", MIGRATION_TOLERATE_MISSING_REPEATABLE },
		{ "*:ignored", MIGRATION_TOLERATE_IGNORED }, { "versioned:ignored", MIGRATION_TOLERATE_IGNORED },
	};
	unsigned bits = 0;

	for (uint32_t i = 0; i < m->n_ignore_patterns; i++)
		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			if (strcmp(known[k].pattern, m->ignore_patterns[i]) == 0)
				bits |= known[k].bits;
	return bits;
}

static bool replaces(const struct migration_settings *m)
{
	return m->replace_placeholders && m->format == LEDGER_FLYWAY;
}

static void add_placeholder(struct migration_view *view, struct migration_placeholder *v, const char *name, const char *value)
{
	v[view->n++] = (struct migration_placeholder){ name, value };
}

static char *now_text(void *parent)
{
	time_t now = clock_wall() / 1000;
	struct tm tm;
	char text[32];

	gmtime_r(&now, &tm);
	strftime(text, sizeof(text), "%Y-%m-%d %H:%M:%S", &tm);
	return talloc_strdup(parent, text);
}

/* What the configuration says comes first and wins. */
static struct migration_view view_of(void *parent, const struct migration_settings *m, const char *database)
{
	struct migration_placeholder *v = talloc_array(parent, struct migration_placeholder, m->n_placeholders + 5);
	struct migration_view view = { .placeholders = v, .prefix = m->placeholder_prefix, .suffix = m->placeholder_suffix,
				       .replace = replaces(m), .tolerate = tolerance(m) };

	for (uint32_t i = 0; i < m->n_placeholders; i++)
		add_placeholder(&view, v, m->placeholders[i].name, m->placeholders[i].value);
	add_placeholder(&view, v, "flyway:defaultSchema", m->table_schema);
	add_placeholder(&view, v, "flyway:table", m->table_name);
	add_placeholder(&view, v, "flyway:user", m->user != NULL ? m->user : "");
	add_placeholder(&view, v, "flyway:database", database);
	add_placeholder(&view, v, "flyway:timestamp", now_text(parent));
	return view;
}

/* Read once for a prefix: most directories hold no placeholder, and then everybody sees the files themselves. */
static void look_for_placeholders(struct migration_source *s, const char *prefix)
{
	if (s->prefix != NULL && strcmp(s->prefix, prefix) == 0)
		return;
	talloc_free(s->prefix);
	s->prefix = talloc_strdup(s, prefix);
	s->placeholders = migration_files_mention(s->files->files, prefix);
	s->database = s->placeholders && migration_files_mention(s->files->files, "flyway:database");
}

/* Asked in every pass, so nothing of a view is made for it. */
static bool sees_the_files(struct migration_source *s, const struct migration_settings *m)
{
	if (s->files->files == NULL)
		return true;
	if (replaces(m))
		look_for_placeholders(s, m->placeholder_prefix);
	return tolerance(m) == s->files->files->tolerate && !(replaces(m) && s->placeholders);
}

/* Equal keys, equal views. The time of day is no part of it: it is that of the first. */
static char *view_key(void *parent, bool database, const struct migration_view *view)
{
	char *key = talloc_asprintf(parent, "%u%c%s%c%s", view->tolerate, 1, view->prefix, 1, view->suffix);

	for (uint32_t i = 0; view->replace && i < view->n; i++)
		if (strcmp(view->placeholders[i].name, "flyway:timestamp") != 0 &&
		    (database || strcmp(view->placeholders[i].name, "flyway:database") != 0))
			key = talloc_asprintf_append(key, "%c%s%c%s", 1, view->placeholders[i].name, 2, view->placeholders[i].value);
	return key;
}

static struct source_files *view_make(struct engine *e, struct source_files *raw, const struct migration_view *view, const char *key)
{
	struct source_files *f = talloc_zero(e, struct source_files);

	f->refs = 1;
	f->raw = raw;
	f->values = hash_mix_text(HASH_START, key);
	raw->refs++;
	if (migration_files_render(f, raw->files, view, &f->files) != 0)
		error_set(&f->error, "no memory for the migration files with their placeholders");
	return f;
}

static struct source_files *view_find(struct engine *e, struct migration_source *s, const struct migration_settings *m, const char *database)
{
	void *scratch = talloc_new(NULL);
	struct migration_view view = view_of(scratch, m, database);
	char *key = view_key(scratch, s->database, &view);
	struct view *v;

	for (v = s->views; v != NULL && strcmp(v->key, key) != 0; v = v->next)
		;
	if (v == NULL) {
		v = talloc_zero(s, struct view);
		v->key = talloc_steal(v, key);
		v->files = view_make(e, s->files, &view, v->key);
		v->next = s->views;
		s->views = v;
	}
	talloc_free(scratch);
	return v->files;
}

struct source_files *source_files_view(struct engine *e, const struct migration_settings *m, const char *database)
{
	struct migration_source *s = source_refresh(e, m);
	struct source_files *files = sees_the_files(s, m) ? s->files : view_find(e, s, m, database);

	files->refs++;
	return files;
}
