/* SPDX-License-Identifier: PostgreSQL */
/* Options whose values are PostgreSQL's: objects, privileges, levels, tables. */
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"
#include "config/levels.h"

/* --- "schema.table" */

/* One part, with or without double quotes; returns what follows, NULL when it is malformed. */
static const char *table_part(const char *s, struct text *part)
{
	text_clear(part);
	if (*s != '"') {
		size_t n = strcspn(s, ".\"");

		text_add_len(part, s, n);
		return s[n] == '"' ? NULL : s + n;
	}
	for (s++; *s; s++) {
		if (*s == '"' && s[1] != '"')
			return s + 1;
		s += *s == '"';
		text_add_char(part, *s);
	}
	return NULL;
}

static const char *table_parse(const char *s, struct text *schema, struct text *name)
{
	const char *reason;

	s = table_part(s, schema);
	if (!s || *s != '.')
		return "expected \"schema.table\"";
	s = table_part(s + 1, name);
	if (!s || *s)
		return "expected \"schema.table\"";
	if (object_name_check(schema->s, &reason) != 0 || object_name_check(name->s, &reason) != 0)
		return reason;
	return NULL;
}

static bool set_table(struct reader *r, const struct option *o, const char *text, void *base)
{
	struct text *schema = text_new(NULL), *name = text_new(schema);
	bool ok = table_parse(text, schema, name) == NULL;

	if (ok) {
		*FIELD(base, o->offset, const char *) = reader_strdup(r, schema->s);
		*FIELD(base, o->extra, const char *) = reader_strdup(r, name->s);
	}
	talloc_free(schema);
	return ok;
}

static void read_table(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *value = reader_string(r, o, s);
	struct text *schema = text_new(NULL), *name = text_new(schema);
	const char *problem = value ? table_parse(value, schema, name) : NULL;

	if (problem)
		reader_error(r, s, "%s", problem);
	else if (value)
		set_table(r, o, value, base);
	talloc_free(schema);
}

static void add_table_part(struct text *out, const char *part)
{
	if (!strpbrk(part, ".\"")) {
		text_add(out, part);
		return;
	}
	text_add_char(out, '"');
	for (; *part; part++)
		text_addf(out, *part == '"' ? "\"\"" : "%c", *part);
	text_add_char(out, '"');
}

static void print_table(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const char *schema = *CONST_FIELD(base, o->offset, const char *), *name = *CONST_FIELD(base, o->extra, const char *);
	struct text *value;

	(void) indent;
	if (!schema || !name)
		return;
	value = text_new(out);
	add_table_part(value, schema);
	text_add_char(value, '.');
	add_table_part(value, name);
	option_print_string(out, value->s);
	talloc_free(value);
}

const struct option_type type_table = { "table", "\"schema.table\"", read_table, set_table, print_table };

/* --- objects */

static bool read_one_selector(struct reader *r, const struct option *o, const config_setting_t *s, struct selector *ret)
{
	const char *value = reader_string(r, o, s);
	struct error why = { 0 };

	if (!value)
		return false;
	if (selector_parse(r->settings, value, ret, &why) != 0) {
		reader_error(r, s, "%s", why.text);
		return false;
	}
	return true;
}

static void read_selector(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	read_one_selector(r, o, s, FIELD(base, o->offset, struct selector));
}

static void print_one_selector(struct text *out, const struct selector *selector)
{
	char *text = selector_format(out, selector);

	option_print_string(out, text);
	talloc_free(text);
}

static void print_selector(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	(void) indent;
	if (CONST_FIELD(base, o->offset, struct selector)->kind != OBJECT_NONE)
		print_one_selector(out, CONST_FIELD(base, o->offset, struct selector));
}

const struct option_type type_selector = { "object", "an object such as \"table app.users\"", read_selector, NULL, print_selector };

static void read_selectors(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	struct selector **v = FIELD(base, o->offset, struct selector *);
	uint32_t *n = FIELD(base, o->extra, uint32_t);
	int length = reader_list_length(s);

	if (length < 0)
		reader_wrong_type(r, o, s);
	for (int i = 0; i < length; i++) {
		struct selector one;

		if (!read_one_selector(r, o, reader_list_elem(s, (unsigned) i), &one))
			continue;
		*v = reader_grow(r, *v, sizeof(**v), *n);
		(*v)[(*n)++] = one;
	}
}

static void print_selectors(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct selector *v = *CONST_FIELD(base, o->offset, struct selector *);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);

	(void) indent;
	if (n == 0)
		return;
	text_add(out, "[");
	for (uint32_t i = 0; i < n; i++) {
		text_add(out, i == 0 ? " " : ", ");
		print_one_selector(out, &v[i]);
	}
	text_add(out, " ]");
}

const struct option_type type_selectors = {
	"objects", "an object such as \"table app.users\", or a list of them", read_selectors, NULL, print_selectors
};

/* --- privileges */

static void unknown_privilege(struct reader *r, const config_setting_t *s, const char *word)
{
	const char *names[PRIV_COUNT + 1];
	size_t n = 0;

	for (; n < PRIV_COUNT; n++)
		names[n] = privilege_name(1u << n);
	names[n++] = "ALL";
	struct error *err = reader_error(r, s, "\"%.64s\" is no privilege", word);
	const char *near = text_nearest(word, names, n);
	if (err && near)
		error_hint(err, "did you mean \"%s\"?", near);
}

/* Rows with a kind in min take what that kind can have, and "ALL" means all of it; others have their "all" flag in extra. */
static void read_privileges(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	privs_t possible = o->min ? object_kind_info((enum object_kind) o->min)->privs : (privs_t) -1, privs = 0;
	int length = reader_list_length(s);
	bool all = false;

	if (length < 0)
		reader_wrong_type(r, o, s);
	for (int i = 0; i < length; i++) {
		const config_setting_t *elem = reader_list_elem(s, (unsigned) i);
		const char *word = reader_string(r, o, elem);
		privs_t one = word ? privilege_parse(word) : 0;

		if (!word)
			continue;
		if (strcasecmp(word, "ALL") == 0 || strcasecmp(word, "ALL PRIVILEGES") == 0)
			all = true;
		else if (one == 0)
			unknown_privilege(r, elem, word);
		else if (!(one & possible))
			reader_error(r, elem, "%s cannot be granted on a %s", privilege_name(one),
				     object_kind_info((enum object_kind) o->min)->name);
		else
			privs |= one;
	}
	if (all && privs != 0)
		reader_error(r, s, "\"ALL\" stands alone");
	if (o->extra)
		*FIELD(base, o->extra, bool) = all;
	else if (all)
		privs = possible;
	*FIELD(base, o->offset, privs_t) = privs;
}

static void add_privileges(struct text *out, privs_t privs, bool all)
{
	const char *separator = " ";

	if (all) {
		text_add(out, "[ \"ALL\" ]");
		return;
	}
	text_add(out, "[");
	for (unsigned i = 0; i < PRIV_COUNT; i++) {
		if (!(privs & (1u << i)))
			continue;
		text_addf(out, "%s\"%s\"", separator, privilege_name(1u << i));
		separator = ", ";
	}
	text_add(out, " ]");
}

static void print_privileges(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	privs_t privs = *CONST_FIELD(base, o->offset, privs_t);
	bool all = o->extra && *CONST_FIELD(base, o->extra, bool);

	(void) indent;
	if (privs || all || o->flags & OPT_EMPTY)
		add_privileges(out, privs, all);
}

/* A grant by level has none of its own; one without a level may have an empty list, which means exactly nothing. */
static void print_grant_privileges(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct grant_wish *grant = base;

	(void) o;
	(void) indent;
	if (!grant->level)
		add_privileges(out, grant->privs, grant->all);
}

const struct option_type type_privileges = { "privileges", "a privilege such as \"SELECT\", or a list of them",
					     read_privileges, NULL, print_privileges };
const struct option_type type_grant_privileges = { "privileges", "a privilege such as \"SELECT\", or a list of them",
						   read_privileges, NULL, print_grant_privileges };

/* --- levels and manifests: names that are looked up when everything has been read */

static void read_level(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	const char *name = reader_string(r, o, s);
	const struct level **slot = FIELD(base, o->offset, const struct level *);

	if (!name)
		return;
	*slot = level_builtin(name);
	if (*slot)
		return;
	*slot = &level_pending;
	reader_refer(r, &r->levels_tail, slot, name, s);
}

static void print_level(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct level *level = *CONST_FIELD(base, o->offset, const struct level *);

	(void) indent;
	if (level)
		option_print_string(out, level->name);
}

const struct option_type type_level = { "word", "the name of a level", read_level, NULL, print_level };

static void read_manifests(struct reader *r, const struct option *o, const config_setting_t *s, void *base)
{
	int length = reader_list_length(s);
	const struct manifest **slots;
	uint32_t n = 0;

	if (length < 0) {
		reader_wrong_type(r, o, s);
		return;
	}
	slots = length > 0 ? reader_keep(r, sizeof(*slots) * (size_t) length) : NULL;
	const char **names = length > 0 ? reader_keep(r, sizeof(*names) * (size_t) length) : NULL;
	for (int i = 0; i < length; i++) {
		const config_setting_t *elem = reader_list_elem(s, (unsigned) i);
		const char *name = reader_string(r, o, elem);
		bool twice = false;

		for (uint32_t k = 0; name && k < n; k++)
			twice |= strcmp(names[k], name) == 0;
		if (twice)
			reader_error(r, elem, "\"%s\" is listed twice", name);
		if (!name || twice)
			continue;
		names[n] = name;
		reader_refer(r, &r->manifests_tail, &slots[n++], name, elem);
	}
	*FIELD(base, o->offset, const struct manifest **) = slots;
	*FIELD(base, o->extra, uint32_t) = n;
}

static void print_manifests(struct text *out, const struct option *o, const void *base, unsigned indent)
{
	const struct manifest *const *v = *CONST_FIELD(base, o->offset, const struct manifest **);
	uint32_t n = *CONST_FIELD(base, o->extra, uint32_t);

	(void) indent;
	if (n == 0)
		return;
	text_add(out, "[");
	for (uint32_t i = 0; i < n; i++) {
		text_add(out, i == 0 ? " " : ", ");
		option_print_string(out, v[i]->name);
	}
	text_add(out, " ]");
}

const struct option_type type_manifests = { "list", "the name of a manifest or a list of them", read_manifests, NULL, print_manifests };
