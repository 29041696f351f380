/* SPDX-License-Identifier: PostgreSQL */
/*
 * A change as it is kept in the history: lines "key value", each change begun by "do" or "back". Words, not numbers, so that
 * the next version, which may count otherwise, reads what this one wrote; a word that it does not know makes the record
 * unreadable, and unreadable means that nothing is undone.
 */
#include "reconcile/inverse.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

#define OBJECTS_MAX 10000000u
#define HEAD "dbreconcile change 1\n"

enum field_type { F_NAME, F_TEXT, F_BOOL, F_CHAR, F_INT, F_PRIVS, F_ATTRS, F_KIND, F_DRIFT };

#define FIELD(key, type, member) { key, type, offsetof(struct change, member) }
static const struct field {
	const char *key;
	enum field_type type;
	size_t offset;
} fields[] = {
	FIELD("drift", F_DRIFT, kind), FIELD("role", F_NAME, role), FIELD("other", F_NAME, other), FIELD("grantor", F_NAME, grantor),
	FIELD("kind", F_KIND, object_kind), FIELD("relkind", F_CHAR, relkind), FIELD("objtype", F_CHAR, objtype),
	FIELD("schema", F_NAME, schema), FIELD("database", F_NAME, database), FIELD("column", F_TEXT, column), FIELD("privileges", F_PRIVS, privs),
	FIELD("grantable", F_BOOL, grantable), FIELD("own", F_BOOL, own), FIELD("admin", F_BOOL, admin), FIELD("inherit", F_BOOL, inherit), FIELD("set", F_BOOL, set),
	FIELD("attributes", F_ATTRS, attrs), FIELD("of", F_ATTRS, attrs_mask), FIELD("limited", F_BOOL, has_connection_limit),
	FIELD("limit", F_INT, connection_limit), FIELD("dated", F_BOOL, has_valid_until), FIELD("until", F_TEXT, valid_until),
	FIELD("name", F_TEXT, name), FIELD("value", F_TEXT, value), FIELD("extra", F_TEXT, extra), FIELD("roles", F_TEXT, roles), FIELD("behind", F_TEXT, behind),
	FIELD("command", F_CHAR, command), FIELD("permissive", F_BOOL, permissive), FIELD("enables", F_BOOL, has_enable),
	FIELD("enable", F_BOOL, enable), FIELD("forces", F_BOOL, has_force), FIELD("force", F_BOOL, force),
};
#define FIELDS (sizeof fields / sizeof *fields)

/* --- writing ------------------------------------------------------------------------------------------------------- */

static void write_text(struct text *out, const char *key, const char *value)
{
	text_addf(out, "%s ", key);
	for (; *value; value++) {
		if (*value == '\\' || *value == '\n')
			text_add(out, *value == '\n' ? "\\n" : "\\\\");
		else
			text_add_char(out, *value);
	}
	text_add_char(out, '\n');
}

static void write_words(struct text *out, const char *key, unsigned bits, int n, const char *(*word)(int))
{
	text_addf(out, "%s ", key);
	for (int i = 0; i < n; i++)
		if (bits & 1u << i)
			text_addf(out, "%s,", word(i));
	text_add_char(out, '\n');
}

static const char *privilege_word(int i)
{
	return privilege_name(1u << i);
}

static const char *attribute_word(int i)
{
	return role_attr_names[i];
}

static void write_field(struct text *out, const struct names *names, const struct change *c, const struct field *f)
{
	const void *at = (const char *)c + f->offset;
	const char *text;

	switch (f->type) {
	case F_NAME:
		if (*(const name_id *)at)
			write_text(out, f->key, names_text(names, *(const name_id *)at));
		break;
	case F_TEXT:
		text = *(const char *const *)at;
		if (text && !(c->op == CHANGE_SET_PASSWORD && f->offset == offsetof(struct change, value)))
			write_text(out, f->key, text);
		break;
	case F_BOOL:
		if (*(const bool *)at)
			text_addf(out, "%s\n", f->key);
		break;
	case F_CHAR:
		if (*(const char *)at)
			text_addf(out, "%s %c\n", f->key, *(const char *)at);
		break;
	case F_INT:
		text_addf(out, "%s %" PRId32 "\n", f->key, *(const int32_t *)at);
		break;
	case F_PRIVS:
		if (*(const privs_t *)at)
			write_words(out, f->key, *(const privs_t *)at, PRIV_COUNT, privilege_word);
		break;
	case F_ATTRS:
		if (*(const unsigned *)at)
			write_words(out, f->key, *(const unsigned *)at, ROLE_ATTRS, attribute_word);
		break;
	case F_KIND:
		if (*(const enum object_kind *)at != OBJECT_NONE)
			text_addf(out, "%s %s\n", f->key, object_kind_info(*(const enum object_kind *)at)->name);
		break;
	case F_DRIFT:
		text_addf(out, "%s %s\n", f->key, drift_kind_name(*(const enum drift_kind *)at));
		break;
	}
}

static void write_changes(struct text *out, const struct names *names, const char *word, const struct changes *changes)
{
	for (uint32_t i = 0; i < changes->n; i++) {
		const struct change *c = &changes->v[i];

		text_addf(out, "%s %s\n", word, change_op_name(c->op));
		for (size_t f = 0; f < FIELDS; f++)
			write_field(out, names, c, &fields[f]);
		text_addf(out, "objects %" PRIu32 "\n", c->n);
		for (uint32_t k = 0; c->names && k < c->n; k++)
			write_text(out, "object", c->names[k]);
	}
}

char *change_record_write(void *parent, const struct names *names, const struct change_record *record)
{
	struct text *out = text_new(NULL);
	char *result;

	text_addf(out, HEAD "system %" PRIu64 "\noid %" PRIu32 "\nversion %d\nundoes %" PRId64 "\n", record->system_identifier,
		  record->database_oid, record->version_num, record->undoes);
	if (record->no_inverse)
		write_text(out, "none", record->no_inverse);
	write_changes(out, names, "do", &record->forward);
	write_changes(out, names, "back", &record->back);
	text_add(out, "end\n");
	result = talloc_strdup(parent, out->s);
	talloc_free(out);
	return result;
}

/* --- reading ------------------------------------------------------------------------------------------------------- */

struct reading {
	void *parent;
	struct names *names;
	struct change_record *record;
	bool ended;                  /* nothing was cut off */
	struct change *now;          /* the change whose fields come */
	uint32_t room;               /* of its names */
};

static char *unescaped(void *parent, const char *value)
{
	char *copy = talloc_strdup(parent, value), *to = copy;

	for (const char *s = copy; *s; s++) {
		if (*s == '\\' && s[1]) {
			s++;
			*to++ = (char)(*s == 'n' ? '\n' : *s);
		} else {
			*to++ = *s;
		}
	}
	*to = '\0';
	return copy;
}

static int read_words(const char *value, int n, const char *(*word)(int), unsigned *ret)
{
	while (*value) {
		size_t len = strcspn(value, ",");
		int i = 0;

		while (i < n && (strncmp(word(i), value, len) != 0 || word(i)[len] != '\0'))
			i++;
		if (i == n)
			return 1;
		*ret |= 1u << i;
		value += len + (value[len] == ',');
	}
	return 0;
}

static int read_kind(const char *value, enum object_kind *ret)
{
	for (int i = OBJECT_NONE + 1; i < OBJECT_KINDS; i++) {
		if (strcmp(object_kind_info((enum object_kind)i)->name, value) == 0) {
			*ret = (enum object_kind)i;
			return 0;
		}
	}
	return 1;
}

static int read_drift(const char *value, enum drift_kind *ret)
{
	for (int i = 0; i < DRIFT_KINDS; i++) {
		if (strcmp(drift_kind_name((enum drift_kind)i), value) == 0) {
			*ret = (enum drift_kind)i;
			return 0;
		}
	}
	return 1;
}

static int read_field(struct reading *r, const struct field *f, const char *value)
{
	void *at = (char *)r->now + f->offset;

	switch (f->type) {
	case F_NAME: {
		char *name = unescaped(r->parent, value);

		*(name_id *)at = names_put(r->names, name);
		talloc_free(name);
		return 0;
	}
	case F_TEXT:
		*(const char **)at = unescaped(r->parent, value);
		return 0;
	case F_BOOL:
		*(bool *)at = true;
		return 0;
	case F_CHAR:
		*(char *)at = value[0];
		return 0;
	case F_INT:
		*(int32_t *)at = (int32_t)strtol(value, NULL, 10);
		return 0;
	case F_PRIVS:
		return read_words(value, PRIV_COUNT, privilege_word, at);
	case F_ATTRS:
		return read_words(value, ROLE_ATTRS, attribute_word, at);
	case F_KIND:
		return read_kind(value, at);
	case F_DRIFT:
		return read_drift(value, at);
	}
	return 1;
}

static int begin_change(struct reading *r, struct changes *list, const char *op)
{
	for (int i = 0; i < CHANGE_OPS; i++) {
		if (i == CHANGE_UNDO || strcmp(change_op_name((enum change_op)i), op) != 0)
			continue;
		list->v = talloc_realloc(r->parent, list->v, struct change, list->n + 1);
		r->now = &list->v[list->n++];
		*r->now = (struct change){ .op = (enum change_op)i };
		r->room = 0;
		return 0;
	}
	return 1;
}

static int add_object(struct reading *r, const char *value)
{
	struct change *c = r->now;

	if (!c->names)
		c->names = talloc_zero_array(r->parent, const char *, c->n ? c->n : 1);
	if (r->room >= c->n)
		return 1;
	c->names[r->room++] = unescaped(c->names, value);
	return 0;
}

static int read_head(struct reading *r, const char *key, const char *value)
{
	struct change_record *record = r->record;

	if (strcmp(key, "system") == 0)
		record->system_identifier = strtoull(value, NULL, 10);
	else if (strcmp(key, "oid") == 0)
		record->database_oid = (uint32_t)strtoul(value, NULL, 10);
	else if (strcmp(key, "version") == 0)
		record->version_num = (int)strtol(value, NULL, 10);
	else if (strcmp(key, "undoes") == 0)
		record->undoes = strtoll(value, NULL, 10);
	else if (strcmp(key, "none") == 0)
		record->no_inverse = unescaped(r->parent, value);
	else
		return 1;
	return 0;
}

static int read_line(struct reading *r, const char *key, const char *value)
{
	bool forward = strcmp(key, "do") == 0;

	if (r->ended)
		return 1;
	if (strcmp(key, "end") == 0) {
		r->ended = true;
		return 0;
	}
	if (forward || strcmp(key, "back") == 0)
		return begin_change(r, forward ? &r->record->forward : &r->record->back, value);
	if (!r->now)
		return read_head(r, key, value);
	if (strcmp(key, "objects") == 0) {
		r->now->n = (uint32_t)strtoul(value, NULL, 10);
		return r->now->n > OBJECTS_MAX || r->now->names;       /* counted before they are named */
	}
	if (strcmp(key, "object") == 0)
		return add_object(r, value);
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(fields[i].key, key) == 0)
			return read_field(r, &fields[i], value);
	return 1;
}

/* Were all names that were counted there? They are sorted then. */
static bool whole(struct changes *list)
{
	for (uint32_t i = 0; i < list->n; i++) {
		for (uint32_t k = 0; list->v[i].names && k < list->v[i].n; k++)
			if (!list->v[i].names[k])
				return false;
		change_sort_names(&list->v[i]);
	}
	return true;
}

int change_record_read(void *parent, struct names *names, const char *text, struct change_record *ret)
{
	struct reading r = { .parent = parent, .names = names, .record = ret };
	char *copy, *line, *next;
	int bad = 0;

	*ret = (struct change_record){ .undoes = 0 };
	if (!text || strncmp(text, HEAD, strlen(HEAD)) != 0)
		return 1;
	copy = talloc_strdup(NULL, text + strlen(HEAD));
	for (line = copy; !bad && *line; line = next) {
		char *end = strchr(line, '\n'), *space;

		if (!end) {
			bad = 1;         /* cut off */
			break;
		}
		*end = '\0';
		next = end + 1;
		space = strchr(line, ' ');
		if (space)
			*space = '\0';
		bad = read_line(&r, line, space ? space + 1 : "");
	}
	talloc_free(copy);
	return bad || !r.ended || ret->forward.n == 0 || !whole(&ret->forward) || !whole(&ret->back);
}
