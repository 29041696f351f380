/* SPDX-License-Identifier: PostgreSQL */
#include "migrate/subject.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "migrate/lexer.h"

#define NAME_MAX_BYTES 63

struct reader {
	void *parent;
	struct lexer lexer;
	struct token token;       /* the next one */
};

static void step(struct reader *r)
{
	r->token = lexer_next(&r->lexer);
}

static bool skip_word(struct reader *r, const char *word)
{
	if (r->token.kind != TOKEN_WORD || r->token.len != strlen(word) || strncasecmp(r->lexer.s + r->token.start, word, r->token.len))
		return false;
	step(r);
	return true;
}

static bool skip_symbol(struct reader *r, char c)
{
	if (r->token.kind != TOKEN_SYMBOL || r->lexer.s[r->token.start] != c)
		return false;
	step(r);
	return true;
}

/* As the server does: longer names are cut at a character. */
static void cut(char *name)
{
	size_t len = strlen(name);

	if (len <= NAME_MAX_BYTES)
		return;
	for (len = NAME_MAX_BYTES; len && ((unsigned char)name[len] & 0xC0) == 0x80; len--)
		;
	name[len] = '\0';
}

static char *unquote(void *parent, const char *s, size_t len)
{
	struct text *name = text_new(parent);

	for (size_t i = 1; i + 1 < len; i++) {
		text_add_char(name, s[i]);
		i += s[i] == '"';
	}
	return name->s;
}

/* NULL: no name is here. */
static char *take_name(struct reader *r)
{
	const char *s = r->lexer.s + r->token.start;
	char *name;

	if (r->token.kind == TOKEN_QUOTED) {
		name = unquote(r->parent, s, r->token.len);
	} else if (r->token.kind == TOKEN_WORD) {
		name = talloc_strndup(r->parent, s, r->token.len);
		for (char *c = name; *c; c++)
			*c = *c >= 'A' && *c <= 'Z' ? (char)(*c + 32) : *c;
	} else {
		return NULL;
	}
	cut(name);
	step(r);
	return name;
}

static bool take_qualified(struct reader *r, char **ret_schema, char **ret_name)
{
	*ret_schema = NULL;
	*ret_name = take_name(r);
	if (!*ret_name || !skip_symbol(r, '.'))
		return *ret_name != NULL;
	*ret_schema = *ret_name;
	*ret_name = take_name(r);
	return *ret_name != NULL;
}

static bool take_new_index(struct reader *r, struct script_subject *ret)
{
	if (!skip_word(r, "on")) {
		ret->name = take_name(r);
		if (!ret->name || !skip_word(r, "on"))
			return false;
	}
	skip_word(r, "only");
	return take_qualified(r, &ret->table_schema, &ret->table) && (r->token.kind == TOKEN_WORD || skip_symbol(r, '('));
}

bool script_subject(void *parent, const struct migration_file *file, uint32_t statement, struct script_subject *ret)
{
	const struct script_statement *s = &file->statements[statement];
	struct reader r = { parent, { file->text, s->start + s->len, s->start }, { 0 } };
	bool index = s->kind == SCRIPT_CREATE_INDEX || s->kind == SCRIPT_DROP_INDEX;

	*ret = (struct script_subject){ 0 };
	if (s->kind < SCRIPT_CREATE_INDEX)
		return false;
	step(&r);
	step(&r);                  /* CREATE, DROP */
	skip_word(&r, "unique");
	step(&r);                  /* INDEX, DATABASE, TABLESPACE */
	if (index && !skip_word(&r, "concurrently"))
		return false;
	if (skip_word(&r, "if")) {
		skip_word(&r, "not");
		if (!skip_word(&r, "exists"))
			return false;
		ret->if_exists = true;
	}
	if (s->kind == SCRIPT_CREATE_INDEX)
		return take_new_index(&r, ret);
	if (!take_qualified(&r, &ret->schema, &ret->name) || (!index && ret->schema))
		return false;
	/* U&"x", database.schema.x: not the name that was read */
	return r.token.kind != TOKEN_SYMBOL || (r.lexer.s[r.token.start] != '&' && r.lexer.s[r.token.start] != '.');
}

bool script_can_find_out(const struct migration_file *file, uint32_t statement)
{
	void *scratch;
	struct script_subject subject;
	bool can;

	if (statement >= file->n_statements)
		return false;
	if (file->statements[statement].kind <= SCRIPT_ONCE)
		return false;
	if (file->statements[statement].kind == SCRIPT_AGAIN)
		return true;
	scratch = talloc_new(NULL);
	can = script_subject(scratch, file, statement, &subject) && subject.name;
	talloc_free(scratch);
	return can;
}
