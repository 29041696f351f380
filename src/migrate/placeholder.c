/* SPDX-License-Identifier: PostgreSQL */
/*
 * Placeholders, as Flyway replaces them: everywhere in the text, comments and
 * strings too, names without regard to case, a name without a value an error.
 * The text that comes out is what runs; positions in it are led back to the
 * file through the spans.
 */
#include "config.h"       /* strcasestr */

#include "migrate/migration.h"

#include <errno.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"

#define NAME_MAX_LEN 200

struct rendering {
	struct migration_files *files;
	const struct migration_view *view;
	const struct migration_file *raw;
	struct migration_file *file;
	struct text *out;
};

static unsigned line_at(const char *text, const char *at)
{
	unsigned line = 1;

	for (const char *p = text; p < at; p++)
		line += *p == '\n' || (*p == '\r' && p[1] != '\n');
	return line;
}

static const char *base_name(const char *script)
{
	const char *slash = strrchr(script, '/');

	return slash ? slash + 1 : script;
}

/* NULL: *ret_why says what is the matter. */
static const char *value_of(const struct rendering *r, const char *name, size_t len, const char **ret_why)
{
	static const char timestamp[] = "flyway:timestamp", filename[] = "flyway:filename";

	*ret_why = "there is no value for it";
	if (len == strlen(filename) && strncasecmp(name, filename, len) == 0)
		return base_name(r->raw->script);
	if (len == strlen(timestamp) && strncasecmp(name, timestamp, len) == 0 && r->raw->type == MIGRATION_REPEATABLE) {
		*ret_why = "a repeatable migration with it would run in every pass";
		return NULL;
	}
	for (uint32_t i = 0; i < r->view->n; i++)
		if (strlen(r->view->placeholders[i].name) == len && strncasecmp(r->view->placeholders[i].name, name, len) == 0)
			return r->view->placeholders[i].value;
	return NULL;
}

static void refuse_at(struct rendering *r, const char *at, size_t len, const char *why)
{
	struct error *err = &r->file->refused;

	error_set_at(err, r->raw->path ? r->raw->path : r->raw->script, line_at(r->raw->text, at), "placeholder %.*s: %s",
		     (int)(len > NAME_MAX_LEN ? NAME_MAX_LEN : len), at, why);
	error_hint(err, "give it a value in migrations.placeholders; when it is none: placeholder_replacement = false there, or "
		   "placeholderReplacement=false in '%s.conf'", base_name(r->raw->script));
}

static void add_span(struct migration_file *file, struct text *out, size_t len, size_t raw_at, size_t raw_len)
{
	struct placeholder_span *spans = talloc_realloc(out, file->spans, struct placeholder_span, file->n_spans + 1);

	spans[file->n_spans++] = (struct placeholder_span){ .at = out->len, .len = len, .raw_at = raw_at, .raw_len = raw_len };
	file->spans = spans;
}

/* 0 replaced; 1 refused. */
static int replace(struct rendering *r)
{
	const char *from = r->raw->text, *at;
	size_t prefix = strlen(r->view->prefix), suffix = strlen(r->view->suffix);

	while ((at = strstr(from, r->view->prefix))) {
		const char *name = at + prefix, *end = strstr(name, r->view->suffix), *value, *why;

		if (!end || memchr(name, '\n', (size_t)(end - name))) {
			refuse_at(r, at, prefix, "it begins here and does not end on this line");
			return 1;
		}
		value = value_of(r, name, (size_t)(end - name), &why);
		if (!value) {
			refuse_at(r, at, (size_t)(end - at) + suffix, why);
			return 1;
		}
		text_add_len(r->out, from, (size_t)(at - from));
		add_span(r->file, r->out, strlen(value), (size_t)(at - r->raw->text), (size_t)(end - at) + suffix);
		text_add(r->out, value);
		from = end + suffix;
	}
	text_add(r->out, from);
	return 0;
}

static bool wanted(const struct migration_view *view, const struct migration_file *file)
{
	return view->replace && !file->verbatim && strstr(file->text, view->prefix);
}

static int render(struct rendering *r)
{
	int refused;

	r->out = text_new(r->files);
	r->file->spans = NULL;
	refused = replace(r);
	if (refused) {
		r->file->spans = NULL;
		r->file->n_spans = 0;
		return 0;
	}
	r->file->raw = r->raw->text;
	r->file->raw_len = r->raw->len;
	r->file->text = r->out->s;
	r->file->len = r->out->len;
	r->file->raw_checksum = r->raw->checksum;
	if (r->file->type == MIGRATION_REPEATABLE)
		r->file->checksum = migration_checksum(r->file->text, r->file->len);
	r->file->transactional = r->file->side != SIDE_FALSE;
	return migration_script_check(r->files, r->file);
}

static int render_all(struct rendering *r, const struct migration_file *raw, uint32_t n, struct migration_file **ret)
{
	struct migration_file *v = talloc_array(r->files, struct migration_file, n + 1);
	int error = 0;

	if (!v)
		return -ENOMEM;
	for (uint32_t i = 0; i < n && error >= 0; i++) {
		v[i] = raw[i];
		r->raw = &raw[i];
		r->file = &v[i];
		if (wanted(r->view, r->raw))
			error = render(r);
	}
	*ret = v;
	return error;
}

int migration_files_render(void *parent, const struct migration_files *raw, const struct migration_view *view, struct migration_files **ret)
{
	struct rendering r = { .files = talloc_zero(parent, struct migration_files), .view = view };
	int error;

	if (!r.files)
		return -ENOMEM;
	*r.files = *raw;
	r.files->tolerate = view->tolerate;
	error = render_all(&r, raw->v, raw->n, &r.files->v);
	if (error >= 0)
		error = render_all(&r, raw->undo, raw->n_undo, &r.files->undo);
	if (error < 0) {
		talloc_free(r.files);
		return error;
	}
	*ret = r.files;
	return 0;
}

static bool mentions(const struct migration_file *v, uint32_t n, const char *word)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcasestr(v[i].text, word))
			return true;
	return false;
}

bool migration_files_mention(const struct migration_files *files, const char *word)
{
	return mentions(files->v, files->n, word) || mentions(files->undo, files->n_undo, word);
}

size_t migration_raw_offset(const struct migration_file *file, size_t at)
{
	size_t moved = at;

	for (uint32_t i = 0; i < file->n_spans; i++) {
		const struct placeholder_span *span = &file->spans[i];

		if (at < span->at)
			break;
		if (at < span->at + span->len)
			return span->raw_at;
		moved = span->raw_at + span->raw_len + (at - span->at - span->len);
	}
	return moved;
}
