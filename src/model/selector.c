/* SPDX-License-Identifier: PostgreSQL */
#include "model/selector.h"

#include <ctype.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

/* The longest run of leading words that names a kind; *rest is what follows it. */
static enum object_kind leading_kind(const char *text, char *relkind, const char **rest)
{
	enum object_kind found = OBJECT_NONE;
	const char *p = text;

	for (int words = 0; words < 3; words++) {
		size_t n = strcspn(p, " ");
		enum object_kind kind;
		char narrowed;

		if (n == 0)
			break;
		kind = object_kind_parse(text, (size_t)(p + n - text), &narrowed);
		if (kind != OBJECT_NONE) {
			found = kind;
			*relkind = narrowed;
			*rest = p + n;
		}
		p += n + strspn(p + n, " ");
	}
	return found;
}

/* One part of a dotted name: up to '.', '(' or the end, or in double quotes. Sets *literal when it is no glob. */
static const char *parse_part(const char *p, struct text *part, bool *literal)
{
	text_clear(part);
	if (*p == '"') {
		*literal = true;
		for (p++; *p; p++) {
			if (*p == '"' && p[1] == '"')
				p++;
			else if (*p == '"')
				return p + 1;
			text_add_char(part, *p);
		}
		return NULL;
	}
	while (*p && *p != '.' && *p != '(')
		text_add_char(part, *p++);
	while (part->len && part->s[part->len - 1] == ' ')
		part->s[--part->len] = '\0';
	*literal = glob_is_literal(part->s);
	return p;
}

static int parse_args(void *parent, const char *p, const char **ret, struct error *err)
{
	struct text *out;
	const char *start;
	bool quoted = false;
	int depth = 0;

	if (*p != '(' || p[strlen(p) - 1] != ')') {
		error_set(err, "expected the argument types in parentheses, as in \"function app.f(integer, text)\"");
		return 1;
	}
	out = text_new(parent);
	for (start = ++p; *p; p++) {
		quoted ^= *p == '"';
		if (quoted)
			continue;
		if (*p == '(')
			depth++;
		if ((*p == ')' && depth-- == 0) || (*p == ',' && depth == 0)) {
			char *type = type_canonical(out, start, (size_t)(p - start));

			if (*type == '\0' && (out->len || *p == ',')) {
				error_set(err, "an argument type is empty");
				return 1;
			}
			text_addf(out, "%s%s", out->len ? ", " : "", type);
			talloc_free(type);
			start = p + 1;
		}
	}
	*ret = out->s;
	return 0;
}

int selector_parse(void *parent, const char *text, struct selector *ret, struct error *err)
{
	struct text *first = text_new(NULL), *second = text_new(first);
	bool first_literal, second_literal = false;
	const struct object_kind_info *info;
	const char *p = text;
	int r = 1;

	*ret = (struct selector){ 0 };
	ret->kind = leading_kind(text, &ret->relkind, &p);
	if (ret->kind == OBJECT_NONE) {
		error_set(err, "\"%.100s\" does not begin with a kind of object (table, view, sequence, function, procedure, type, domain, "
			  "schema, database, language, foreign data wrapper, foreign server, tablespace, large object, parameter)", text);
		goto out;
	}
	info = object_kind_info(ret->kind);
	p += strspn(p, " ");
	if (*p == '\0' && ret->kind == OBJECT_DATABASE) {
		/* the manifest's own database: filled in when the manifest is used for one */
		ret->name = NULL;
		r = 0;
		goto out;
	}
	if (*p == '\0') {
		error_set(err, "\"%.100s\" names no %s", text, info->name);
		goto out;
	}
	if (ret->kind == OBJECT_PARAMETER) {
		/* custom parameters have a dot in their name */
		ret->name = talloc_strdup(parent, p);
		ret->name_literal = glob_is_literal(p);
		r = 0;
		goto out;
	}
	p = parse_part(p, first, &first_literal);
	if (p && info->in_schema && *p == '.')
		p = parse_part(p + 1, second, &second_literal);
	else if (p && info->in_schema) {
		error_set(err, "\"%.100s\" needs a schema: write \"%s SCHEMA.%s\"", text, info->name, first->s);
		goto out;
	}
	if (!p || first->len == 0 || (info->in_schema && second->len == 0)) {
		error_set(err, "\"%.100s\" is not a name", text);
		goto out;
	}
	if (info->in_schema) {
		ret->schema = talloc_strdup(parent, first->s);
		ret->schema_literal = first_literal;
		ret->name = talloc_strdup(parent, second->s);
		ret->name_literal = second_literal;
	} else {
		ret->name = talloc_strdup(parent, first->s);
		ret->name_literal = first_literal;
	}
	if (*p && (ret->kind == OBJECT_FUNCTION || ret->kind == OBJECT_PROCEDURE)) {
		r = parse_args(parent, p, &ret->args, err);
		goto out;
	}
	if (*p) {
		error_set(err, "\"%.100s\": unexpected \"%.50s\" after the name", text, p);
		goto out;
	}
	r = 0;
out:
	talloc_free(first);
	return r;
}

const char *routine_arguments(const char *name, size_t len)
{
	bool quoted = false;

	for (size_t i = len; i-- > 0;) {
		if (name[i] == '"')
			quoted = !quoted;
		else if (name[i] == '(' && !quoted)
			return name + i;
	}
	return NULL;
}

bool selector_matches(const struct selector *selector, char relkind, const char *schema, const char *name, size_t name_len)
{
	const char *paren;

	if (selector->relkind && relkind && selector->relkind != relkind)
		return false;
	if (selector->schema) {
		if (!schema)
			return false;
		if (selector->schema_literal ? strcmp(selector->schema, schema) != 0 : !glob_match(selector->schema, schema))
			return false;
	}
	if (!selector->name)
		return false;
	if (selector->kind == OBJECT_FUNCTION || selector->kind == OBJECT_PROCEDURE) {
		size_t args_len = selector->args ? strlen(selector->args) : 0;

		if (selector->args) {
			if (name_len < args_len + 2 || name[name_len - 1] != ')' || name[name_len - args_len - 2] != '(' ||
			    memcmp(name + name_len - args_len - 1, selector->args, args_len) != 0)
				return false;
			name_len -= args_len + 2;
		} else {
			paren = routine_arguments(name, name_len);
			if (paren)
				name_len = (size_t)(paren - name);
		}
	}
	if (selector->name_literal)
		return strlen(selector->name) == name_len && memcmp(selector->name, name, name_len) == 0;
	return glob_match_len(selector->name, name, name_len);
}

static void add_part(struct text *out, const char *part, bool literal)
{
	bool quote = literal && (!glob_is_literal(part) || strpbrk(part, ".\"( "));

	if (!quote) {
		text_add(out, part);
		return;
	}
	text_add_char(out, '"');
	for (; *part; part++) {
		if (*part == '"')
			text_add_char(out, '"');
		text_add_char(out, *part);
	}
	text_add_char(out, '"');
}

char *selector_format(void *parent, const struct selector *selector)
{
	struct text *out = text_new(NULL);
	char *result;

	text_add(out, selector->relkind ? object_kind_word(selector->kind, selector->relkind) : object_kind_info(selector->kind)->name);
	if (selector->relkind == 'r') {
		text_clear(out);
		text_add(out, "ordinary table");
	}
	if (selector->name) {
		text_add_char(out, ' ');
		if (selector->schema) {
			add_part(out, selector->schema, selector->schema_literal);
			text_add_char(out, '.');
		}
		if (selector->kind == OBJECT_PARAMETER)
			text_add(out, selector->name);
		else
			add_part(out, selector->name, selector->name_literal);
		if (selector->args)
			text_addf(out, "(%s)", selector->args);
	}
	result = talloc_strdup(parent, out->s);
	talloc_free(out);
	return result;
}

/* Other spellings of the names that format_type() prints (PostgreSQL documentation, table "Data Types"). */
static const struct {
	const char *alias, *canonical;
} type_aliases[] = {
	{ "int", "integer" }, { "int4", "integer" }, { "int2", "smallint" }, { "int8", "bigint" }, { "float4", "real" },
	{ "float8", "double precision" }, { "float", "double precision" }, { "bool", "boolean" }, { "decimal", "numeric" }, { "dec", "numeric" },
	{ "varchar", "character varying" }, { "char varying", "character varying" }, { "char", "character" }, { "bpchar", "character" },
	{ "timestamp", "timestamp without time zone" }, { "timestamptz", "timestamp with time zone" },
	{ "time", "time without time zone" }, { "timetz", "time with time zone" }, { "varbit", "bit varying" },
	{ "serial", "integer" }, { "bigserial", "bigint" },
};

/* Lower-cases outside quotes, drops modifiers "(10, 2)", squeezes blanks; "name type" pairs are not understood. */
static void normalise(struct text *out, const char *text, size_t len)
{
	bool quoted = false;
	int depth = 0;

	for (size_t i = 0; i < len; i++) {
		char c = text[i];

		if (c == '"')
			quoted = !quoted;
		if (!quoted && c == '(')
			depth++;
		if (depth == 0) {
			bool blank = c == ' ' || c == '\t' || c == '\n';

			if (quoted || c == '"')
				text_add_char(out, c);
			else if (!blank)
				text_add_char(out, (char)tolower((unsigned char)c));
			else if (out->len && out->s[out->len - 1] != ' ')
				text_add_char(out, ' ');
		}
		if (!quoted && c == ')' && depth > 0)
			depth--;
	}
	while (out->len && out->s[out->len - 1] == ' ')
		out->s[--out->len] = '\0';
}

char *type_canonical(void *parent, const char *text, size_t len)
{
	struct text *out = text_new(NULL);
	const char *base;
	char *result;
	int dimensions = 0;

	normalise(out, text, len);
	while (out->len >= 2 && strcmp(out->s + out->len - 2, "[]") == 0) {
		out->len -= 2;
		out->s[out->len] = '\0';
		while (out->len && out->s[out->len - 1] == ' ')
			out->s[--out->len] = '\0';
		dimensions = 1;              /* PostgreSQL keeps no number of dimensions */
	}
	base = strncmp(out->s, "pg_catalog.", 11) == 0 ? out->s + 11 : out->s;
	for (size_t i = 0; i < sizeof type_aliases / sizeof *type_aliases; i++) {
		if (strcmp(base, type_aliases[i].alias) == 0) {
			base = type_aliases[i].canonical;
			break;
		}
	}
	result = talloc_asprintf(parent, "%s%s", base, dimensions ? "[]" : "");
	talloc_free(out);
	return result;
}
