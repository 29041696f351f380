/* SPDX-License-Identifier: PostgreSQL */
/* Settings of roles and databases: { name = value; } or, for names with a dot and for absence, ( { name; value; ensure } ). */
#include <ctype.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"

struct item {
	struct name_value nv;
	bool absent;
};

static const struct option_word ensure_words[] = { { "present", 0 }, { "absent", 1 }, { NULL, 0 } };
static const struct option item_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED, .offset = offsetof(struct item, nv.name), .help = "" },
	{ .key = "value", .type = &type_string, .flags = OPT_EMPTY | OPT_TEXT, .offset = offsetof(struct item, nv.value), .help = "" },
	{ .key = "ensure", .type = &type_ensure, .offset = offsetof(struct item, absent), .words = ensure_words, .help = "" },
};
static const struct option_group item_group = {
	.name = "settings", .rows = item_rows, .n = sizeof(item_rows) / sizeof(item_rows[0]), .size = sizeof(struct item),
	.source = offsetof(struct item, nv.source),
};
static const struct option value_row = { .key = "", .type = &type_string, .flags = OPT_EMPTY | OPT_TEXT };

bool setting_name_check(const char *s)
{
	if (!utf8_valid(s, strlen(s)) || text_has_control(s, strlen(s)))
		return false;
	if (!isalpha((unsigned char) *s) && *s != '_' && !((unsigned char) *s & 0x80))
		return false;
	for (; *s; s++)
		if (!isalnum((unsigned char) *s) && !strchr("_.$-", *s) && !((unsigned char) *s & 0x80))
			return false;
	return true;
}

struct settings_list {
	struct name_value **v;
	uint32_t *n;
};

static void add_setting(struct reader *r, struct settings_list *list, const config_setting_t *s, struct name_value nv)
{
	if (!setting_name_check(nv.name)) {
		reader_error(r, s, "\"%.64s\" is not the name of a setting of PostgreSQL", nv.name);
		return;
	}
	for (uint32_t i = 0; i < *list->n; i++) {
		if (strcasecmp((*list->v)[i].name, nv.name) == 0) {
			reader_error(r, s, "'%s' is written twice (also at line %u)", nv.name, (*list->v)[i].source.line);
			return;
		}
	}
	*list->v = reader_grow(r, *list->v, sizeof(nv), *list->n);
	(*list->v)[(*list->n)++] = nv;
}

/* Numbers and booleans may stand without quotes: the server reads all of them as text. */
static const char *member_value(struct reader *r, const config_setting_t *s)
{
	char number[16];

	switch (config_setting_type(s)) {
	case CONFIG_TYPE_BOOL:
		return config_setting_get_bool(s) == CONFIG_TRUE ? "on" : "off";
	case CONFIG_TYPE_INT:
		snprintf(number, sizeof(number), "%d", config_setting_get_int(s));
		return reader_strdup(r, number);
	case CONFIG_TYPE_STRING:
		return reader_string(r, &value_row, s);
	default:
		reader_wrong_type(r, &value_row, s);
		return NULL;
	}
}

static void read_members(struct reader *r, struct settings_list *list, const config_setting_t *s)
{
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *member = config_setting_get_elem(s, (unsigned) i);
		const char *value = member_value(r, member);

		if (value)
			add_setting(r, list, member, (struct name_value) { .name = reader_strdup(r, config_setting_name(member)),
									  .value = value, .source = reader_source(r, member) });
	}
}

static void read_items(struct reader *r, struct settings_list *list, const config_setting_t *s)
{
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *elem = config_setting_get_elem(s, (unsigned) i);
		struct item item = { 0 };

		if (config_setting_type(elem) != CONFIG_TYPE_GROUP) {
			reader_error(r, elem, "expected a group { name = ...; value = ...; }");
			continue;
		}
		reader_group(r, &item_group, elem, &item);
		if (!item.nv.name)
			continue;
		if (item.absent == (item.nv.value != NULL)) {
			reader_error(r, elem, "expected either a value or ensure = \"absent\"");
			continue;
		}
		add_setting(r, list, elem, item.nv);
	}
}

/* An empty one is written, too: *v is NULL only where nothing is. */
static void read_both(struct reader *r, const struct option *o, const config_setting_t *s, struct name_value **v, uint32_t *n)
{
	struct settings_list list = { .v = v, .n = n };

	if (!*v)
		*v = reader_keep(r, sizeof(**v));
	if (config_setting_type(s) == CONFIG_TYPE_GROUP)
		read_members(r, &list, s);
	else if (config_setting_type(s) == CONFIG_TYPE_LIST)
		read_items(r, &list, s);
	else
		reader_wrong_type(r, o, s);
}

static void print_both(struct text *out, const struct name_value *v, uint32_t n, unsigned indent)
{
	bool plain = true;

	for (uint32_t i = 0; i < n; i++)
		plain &= v[i].value && !strpbrk(v[i].name, ".$") && isalpha((unsigned char) v[i].name[0]);
	text_add(out, plain ? "{\n" : "(\n");
	for (uint32_t i = 0; i < n; i++) {
		option_print_indent(out, indent + 1);
		if (plain) {
			text_addf(out, "%s = ", v[i].name);
			option_print_string(out, v[i].value);
			text_add(out, ";\n");
			continue;
		}
		text_add(out, "{ name = ");
		option_print_string(out, v[i].name);
		text_add(out, v[i].value ? "; value = " : "; ensure = \"absent\"");
		if (v[i].value)
			option_print_string(out, v[i].value);
		text_add(out, i + 1 < n ? "; },\n" : "; }\n");
	}
	option_print_indent(out, indent);
	text_add(out, plain ? "}" : ")");
}

#define EXPECTED_SETTINGS "a group { setting = \"value\"; } or a list ( { name = \"...\"; value = \"...\"; } )"

/* --- of a database, or of a block */

static void read_settings(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	read_both(r, o, s, FIELD(base, o->offset, struct name_value *), FIELD(base, o->extra, uint32_t));
}

static void print_settings(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct name_value *v = *CONST_FIELD(base, o->offset, struct name_value *);

	if (v)
		print_both(out, v, *CONST_FIELD(base, o->extra, uint32_t), indent);
}

const struct option_type type_settings = { "settings", EXPECTED_SETTINGS, read_settings, NULL, print_settings };

/* --- of a role everywhere: a block without a database */

static void read_role_settings(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	struct setting_block **v = FIELD(base, o->offset, struct setting_block *);
	uint32_t *n = FIELD(base, o->extra, uint32_t);
	struct setting_block *block;

	*v = reader_grow(r, *v, sizeof(**v), *n);
	block = &(*v)[(*n)++];
	block->source = reader_source(r, s);
	read_both(r, o, s, &block->v, &block->n);
}

static void print_role_settings(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct setting_block *v = *CONST_FIELD(base, o->offset, struct setting_block *);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);

	for (uint32_t i = 0; i < n; i++)
		if (!v[i].database)
			print_both(out, v[i].v, v[i].n, indent);
}

const struct option_type type_role_settings = { "settings", EXPECTED_SETTINGS, read_role_settings, NULL, print_role_settings };

/* --- of a role in some database: the other blocks of the same array */

static void check_block(struct reader *r, const struct setting_block *v, uint32_t n, const config_setting_t *s)
{
	for (uint32_t i = 0; i + 1 < n; i++)
		if (v[i].database && strcmp(v[i].database, v[n - 1].database) == 0)
			reader_error(r, s, "database \"%s\" is written twice (also at line %u)", v[i].database, v[i].source.line);
}

static void read_database_settings(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	struct setting_block **v = FIELD(base, o->offset, struct setting_block *);
	uint32_t *n = FIELD(base, o->extra, uint32_t);

	if (config_setting_type(s) != CONFIG_TYPE_LIST) {
		reader_wrong_type(r, o, s);
		return;
	}
	for (int i = 0; i < config_setting_length(s); i++) {
		const config_setting_t *elem = config_setting_get_elem(s, (unsigned) i);
		struct setting_block block = { 0 };

		if (config_setting_type(elem) != CONFIG_TYPE_GROUP) {
			reader_error(r, elem, "expected a group { database = ...; settings: { }; }");
			continue;
		}
		reader_group(r, o->group, elem, &block);
		if (!block.database)
			continue;
		*v = reader_grow(r, *v, sizeof(**v), *n);
		(*v)[(*n)++] = block;
		check_block(r, *v, *n, elem);
	}
}

static void print_database_settings(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct setting_block *v = *CONST_FIELD(base, o->offset, struct setting_block *);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);
	bool first = true;

	for (uint32_t i = 0; i < n; i++) {
		if (!v[i].database)
			continue;
		text_add(out, first ? "(\n" : ",\n");
		first = false;
		option_print_indent(out, indent + 1);
		text_add(out, "{\n");
		option_group_print(out, o->group, &v[i], indent + 2);
		option_print_indent(out, indent + 1);
		text_add(out, "}");
	}
	if (first)
		return;
	text_add(out, "\n");
	option_print_indent(out, indent);
	text_add(out, ")");
}

const struct option_type type_database_settings = {
	"list", "a list of groups ( { database = \"...\"; settings: { }; } )", read_database_settings, NULL, print_database_settings
};
