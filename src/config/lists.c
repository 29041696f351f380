/* SPDX-License-Identifier: PostgreSQL */
/* Options that hold several values: lists of names, groups, lists of groups. */
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"

/* --- lists of names */

static bool contains(const char *const *v, uint32_t n, const char *s)
{
	for (uint32_t i = 0; i < n; i++)
		if (strcmp(v[i], s) == 0)
			return true;
	return false;
}

static void read_strings(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char ***v = FIELD(base, o->offset, const char **);
	uint32_t *n = FIELD(base, o->extra, uint32_t), first = 0;
	int length = reader_list_length(s);
	const char **list = NULL;
	uint32_t count = 0;

	if (length < 0) {
		reader_wrong_type(r, o, s);
		return;
	}
	if (o->flags & OPT_UNION) {
		for (; count < *n; count++) {
			list = reader_grow(r, list, sizeof(*list), count);
			list[count] = (*v)[count];
		}
		first = count;
	}
	for (int i = 0; i < length; i++) {
		const config_setting_t *elem = reader_list_elem(s, (unsigned) i);
		const char *value = reader_string(r, o, elem);

		if (!value || contains(list, first, value))
			continue;
		if (contains(list, count, value)) {
			reader_error(r, elem, "\"%s\" is listed twice", value);
			continue;
		}
		list = reader_grow(r, list, sizeof(*list), count);
		list[count++] = value;
	}
	*v = list;
	*n = count;
}

/* Defaults have one element, or none. */
static bool set_strings(struct reader *r, const struct option *o, const char *text, void *base)
{
	const char **list = NULL;

	if (*text) {
		list = reader_grow(r, NULL, sizeof(*list), 0);
		list[0] = reader_strdup(r, text);
	}
	*FIELD(base, o->offset, const char **) = list;
	*FIELD(base, o->extra, uint32_t) = *text != '\0';
	return true;
}

static void print_strings(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const char *const *v = *CONST_FIELD(base, o->offset, const char **);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);

	(void) indent;
	if (n == 0 && !o->fallback)
		return;
	text_add(out, "[");
	for (uint32_t i = 0; i < n; i++) {
		text_add(out, i == 0 ? " " : ", ");
		option_print_string(out, v[i]);
	}
	text_add(out, " ]");
}

const struct option_type type_strings = { "list", "a string or a list of strings", read_strings, set_strings, print_strings };

/* --- groups */

static void read_group(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	if (config_setting_type(s) != CONFIG_TYPE_GROUP) {
		reader_wrong_type(r, o, s);
		return;
	}
	if (o->extra)
		*FIELD(base, o->extra, bool) = true;
	reader_group(r, o->group, s, (char *) base + o->offset);
}

static void print_group(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	if (o->extra && !*CONST_FIELD(base, o->extra, bool))
		return;
	text_add(out, "{\n");
	option_group_print(out, o->group, (const char *) base + o->offset, indent + 1);
	option_print_indent(out, indent);
	text_add(out, "}");
}

const struct option_type type_group = { "group", "a group { }", read_group, NULL, print_group };

/* As a default is written in its row: without quotes. */
static bool is_default(const struct option *o, const char *printed)
{
	size_t quoted = *printed == '"', len = strlen(printed);

	return o->fallback && len == strlen(o->fallback) + 2 * quoted && strncmp(printed + quoted, o->fallback, len - 2 * quoted) == 0;
}

void option_group_print(struct text *out, const struct option_group *group, const void *base, unsigned indent)
{
	for (size_t i = 0; i < group->n; i++) {
		const struct option *o = &group->rows[i];
		size_t before = out->len, key;

		option_print_indent(out, indent);
		text_addf(out, "%s%s ", o->key, o->type == &type_group || o->type == &type_list ? ":" : " =");
		key = out->len;
		if (!(o->flags & OPT_SILENT))
			o->type->print(out, o, base, indent);
		if (out->len == key || (o->flags & OPT_QUIET && is_default(o, out->s + key))) {
			out->len = before;
			out->s[before] = '\0';
		} else {
			text_add(out, ";\n");
		}
	}
}

/* --- lists of groups */

static void read_list(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	void **v = FIELD(base, o->offset, void *);
	uint32_t *n = FIELD(base, o->extra, uint32_t);
	int type = config_setting_type(s), length;

	if (type != CONFIG_TYPE_LIST && !(type == CONFIG_TYPE_ARRAY && config_setting_length(s) == 0)) {
		reader_wrong_type(r, o, s);
		return;
	}
	length = config_setting_length(s);
	/* all at once: members keep addresses into their elements */
	if (length > 0)
		*v = reader_grow(r, *v, o->group->size, *n + (uint32_t) length - 1);
	for (int i = 0; i < length; i++) {
		const config_setting_t *elem = config_setting_get_elem(s, (unsigned) i);
		char *item = (char *) *v + o->group->size * *n;

		if (config_setting_type(elem) != CONFIG_TYPE_GROUP) {
			reader_error(r, elem, "expected a group { }");
			continue;
		}
		memset(item, 0, o->group->size);
		option_group_defaults(r, o->group, item);
		if (o->group->init)
			o->group->init(r, base, item);
		(*n)++;
		reader_group(r, o->group, elem, item);
	}
}

static void print_list(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const char *v = *CONST_FIELD(base, o->offset, void *);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);

	if (n == 0 && !o->fallback)
		return;
	text_add(out, "(\n");
	for (uint32_t i = 0; i < n; i++) {
		option_print_indent(out, indent + 1);
		text_add(out, "{\n");
		option_group_print(out, o->group, v + o->group->size * i, indent + 2);
		option_print_indent(out, indent + 1);
		text_add(out, i + 1 < n ? "},\n" : "}\n");
	}
	option_print_indent(out, indent);
	text_add(out, ")");
}

const struct option_type type_list = { "list", "a list of groups ( { }, { } )", read_list, NULL, print_list };
