/* SPDX-License-Identifier: PostgreSQL */
#include "config/reader.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define SUGGESTIONS_MAX 64

void *reader_keep(struct reader *r, size_t size)
{
	void *p = talloc_zero_size(r->settings, size);

	if (!p)
		abort();
	return p;
}

const char *reader_strdup(struct reader *r, const char *s)
{
	char *copy = talloc_strdup(r->settings, s);

	if (!copy)
		abort();
	return copy;
}

void *reader_grow(struct reader *r, void *array, size_t size, uint32_t n)
{
	char *grown = talloc_realloc_size(r->settings, array, size * (n + 1));

	if (!grown)
		abort();
	memset(grown + size * n, 0, size);
	return grown;
}

/* "servers.[0].interval" */
static void path_build_behind(struct text *out, size_t prefix, const config_setting_t *s)
{
	const config_setting_t *parent = config_setting_parent(s);

	if (!parent)
		return;
	path_build_behind(out, prefix, parent);
	if (out->len > prefix)
		text_add_char(out, '.');
	if (config_setting_name(s))
		text_add(out, config_setting_name(s));
	else
		text_addf(out, "[%d]", config_setting_index(s));
}

static void path_build(struct text *out, const config_setting_t *s)
{
	path_build_behind(out, 0, s);
}

static struct error *add_error(struct reader *r, const char *file, unsigned line, const char *path, const char *format, va_list args)
{
	struct text *text = text_new(NULL);
	char reason[ERROR_TEXT_MAX];

	vsnprintf(reason, sizeof(reason), format, args);
	if (path && *path)
		text_addf(text, "setting '%s': ", path);
	text_add(text, reason);
	struct error *err = config_errors_add(r->errors, file, line, "%s", text->s);
	talloc_free(text);
	return err;
}

struct error *reader_error(struct reader *r, const config_setting_t *s, const char *format, ...)
{
	struct text *path = text_new(NULL);
	va_list args;

	path_build(path, s);
	va_start(args, format);
	struct error *err = add_error(r, r->file, config_setting_source_line(s), path->s, format, args);
	va_end(args);
	talloc_free(path);
	return err;
}

struct error *reader_error_at(struct reader *r, const struct source *at, const char *path, const char *format, ...)
{
	va_list args;

	va_start(args, format);
	struct error *err = add_error(r, at->file, at->line, path, format, args);
	va_end(args);
	return err;
}

static const char *type_words(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_GROUP: return "a group { }";
	case CONFIG_TYPE_LIST: return "a list ( )";
	case CONFIG_TYPE_ARRAY: return "an array [ ]";
	case CONFIG_TYPE_STRING: return "a string";
	case CONFIG_TYPE_BOOL: return "true or false";
	case CONFIG_TYPE_FLOAT: return "a fraction";
	default: return "a number";
	}
}

void reader_wrong_type(struct reader *r, const struct option *o, const config_setting_t *s)
{
	reader_error(r, s, "expected %s, found %s", o->type->expected, type_words(s));
}

struct source reader_source(const struct reader *r, const config_setting_t *s)
{
	return (struct source) { .file = r->file, .line = config_setting_source_line(s) };
}

int reader_list_length(const config_setting_t *s)
{
	switch (config_setting_type(s)) {
	case CONFIG_TYPE_STRING: return 1;
	case CONFIG_TYPE_LIST:
	case CONFIG_TYPE_ARRAY: return config_setting_length(s);
	default: return -1;
	}
}

const config_setting_t *reader_list_elem(const config_setting_t *s, unsigned i)
{
	return config_setting_type(s) == CONFIG_TYPE_STRING ? s : config_setting_get_elem(s, i);
}

void reader_refer(struct reader *r, struct reference ***tail, void *slot, const char *name, const config_setting_t *s)
{
	struct reference *ref = reader_keep(r, sizeof(*ref));
	struct text *path = text_new(ref);

	path_build(path, s);
	*ref = (struct reference) { .slot = slot, .name = name, .source = reader_source(r, s), .path = path->s, .manifest = r->manifest };
	**tail = ref;
	*tail = &ref->next;
}

bool reader_has_error(const struct reader *r, const config_setting_t *s)
{
	struct text *path = text_new(NULL);
	bool found = false;

	text_add(path, "setting '");
	path_build_behind(path, path->len, s);
	for (uint32_t i = 0; i < r->errors->n && !found; i++) {
		const struct error *err = &r->errors->v[i];

		found = strncmp(err->text, path->s, path->len) == 0 && strchr("'.", err->text[path->len]) && strcmp(err->file, r->file) == 0;
	}
	talloc_free(path);
	return found;
}

static const struct option *find_row(const struct option_group *group, const char *key)
{
	for (size_t i = 0; i < group->n; i++)
		if (strcmp(group->rows[i].key, key) == 0)
			return &group->rows[i];
	return NULL;
}

void reader_unknown_keys(struct reader *r, const struct option_group *group, const config_setting_t *s)
{
	const char *keys[SUGGESTIONS_MAX];
	size_t n = 0;

	for (; n < group->n && n < SUGGESTIONS_MAX; n++)
		keys[n] = group->rows[n].key;
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned) i);

		if (find_row(group, config_setting_name(member)))
			continue;
		struct error *err = reader_error(r, member, "there is no such setting");
		const char *near = text_nearest(config_setting_name(member), keys, n);
		if (err && near)
			error_hint(err, "did you mean '%s'?", near);
	}
}

void option_group_defaults(struct reader *r, const struct option_group *group, void *base)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct option *o = &group->rows[i];

		if (o->type == &type_group && !(o->flags & OPT_INHERITS))
			option_group_defaults(r, o->group, (char *) base + o->offset);
		else if (o->fallback && o->type->set)
			o->type->set(r, o, o->fallback, base);
	}
}

void reader_group(struct reader *r, const struct option_group *group, const config_setting_t *s, void *base)
{
	if (group->source >= 0)
		*FIELD(base, group->source, struct source) = reader_source(r, s);
	reader_unknown_keys(r, group, s);
	for (size_t i = 0; i < group->n; i++) {
		const struct option *o = &group->rows[i];
		const config_setting_t *member = config_setting_get_member(s, o->key);

		if (member)
			o->type->read(r, o, member, base);
		else if (o->flags & OPT_REQUIRED)
			reader_error(r, s, "'%s' is missing", o->key);
	}
	if (group->check)
		group->check(r, s, base);
}
