/* SPDX-License-Identifier: PostgreSQL */
#include "model/kind.h"

#include <stdio.h>
#include <string.h>
#include <strings.h>

#define PRIVS_TABLE (PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE | PRIV_TRUNCATE | PRIV_REFERENCES | PRIV_TRIGGER | PRIV_MAINTAIN)
#define PRIVS_COLUMN (PRIV_SELECT | PRIV_INSERT | PRIV_UPDATE | PRIV_REFERENCES)

static const struct object_kind_info kinds[OBJECT_KINDS] = {
	[OBJECT_TABLE] = { "table", "tables", "TABLE", PRIVS_TABLE, 0, true, false, 'r' },
	[OBJECT_COLUMN] = { "column", "columns", "TABLE", PRIVS_COLUMN, 0, true, false, 0 },
	[OBJECT_SEQUENCE] = { "sequence", "sequences", "SEQUENCE", PRIV_SELECT | PRIV_UPDATE | PRIV_USAGE, 0, true, false, 'S' },
	[OBJECT_FUNCTION] = { "function", "functions", "FUNCTION", PRIV_EXECUTE, PRIV_EXECUTE, true, false, 'f' },
	[OBJECT_PROCEDURE] = { "procedure", "procedures", "PROCEDURE", PRIV_EXECUTE, PRIV_EXECUTE, true, false, 'f' },
	[OBJECT_TYPE] = { "type", "types", "TYPE", PRIV_USAGE, PRIV_USAGE, true, false, 'T' },
	[OBJECT_DOMAIN] = { "domain", "domains", "DOMAIN", PRIV_USAGE, PRIV_USAGE, true, false, 'T' },
	[OBJECT_SCHEMA] = { "schema", "schemas", "SCHEMA", PRIV_USAGE | PRIV_CREATE, 0, false, false, 'n' },
	[OBJECT_DATABASE] = { "database", "databases", "DATABASE", PRIV_CREATE | PRIV_CONNECT | PRIV_TEMPORARY,
			      PRIV_CONNECT | PRIV_TEMPORARY, false, true, 0 },
	[OBJECT_LANGUAGE] = { "language", "languages", "LANGUAGE", PRIV_USAGE, PRIV_USAGE, false, false, 0 },
	[OBJECT_FOREIGN_DATA_WRAPPER] = { "foreign data wrapper", "foreign data wrappers", "FOREIGN DATA WRAPPER", PRIV_USAGE, 0, false,
					  false, 0 },
	[OBJECT_FOREIGN_SERVER] = { "foreign server", "foreign servers", "FOREIGN SERVER", PRIV_USAGE, 0, false, false, 0 },
	[OBJECT_TABLESPACE] = { "tablespace", "tablespaces", "TABLESPACE", PRIV_CREATE, 0, false, true, 0 },
	[OBJECT_LARGE_OBJECT] = { "large object", "large objects", "LARGE OBJECT", PRIV_SELECT | PRIV_UPDATE, 0, false, false, 'L' },
	[OBJECT_PARAMETER] = { "parameter", "parameters", "PARAMETER", PRIV_SET | PRIV_ALTER_SYSTEM, 0, false, true, 0 },
};

/* In the order of the bits. */
static const struct {
	const char *name;
	char letter;
} privileges[PRIV_COUNT] = {
	{ "SELECT", 'r' }, { "INSERT", 'a' }, { "UPDATE", 'w' }, { "DELETE", 'd' }, { "TRUNCATE", 'D' }, { "REFERENCES", 'x' },
	{ "TRIGGER", 't' }, { "MAINTAIN", 'm' }, { "EXECUTE", 'X' }, { "USAGE", 'U' }, { "CREATE", 'C' }, { "CONNECT", 'c' },
	{ "TEMPORARY", 'T' }, { "SET", 's' }, { "ALTER SYSTEM", 'A' },
};

static const struct {
	const char *word;
	char relkind;
} relation_words[] = {
	{ "ordinary table", 'r' }, { "partitioned table", 'p' }, { "view", 'v' }, { "materialized view", 'm' }, { "foreign table", 'f' },
};

#define COUNT(a) (sizeof(a) / sizeof *(a))

const struct object_kind_info *object_kind_info(enum object_kind kind)
{
	return &kinds[kind > OBJECT_NONE && kind < OBJECT_KINDS ? kind : OBJECT_TABLE];
}

static bool word_is(const char *word, size_t len, const char *name)
{
	return strlen(name) == len && strncasecmp(word, name, len) == 0;
}

enum object_kind object_kind_parse(const char *word, size_t len, char *ret_relkind)
{
	*ret_relkind = 0;
	for (size_t i = 0; i < COUNT(relation_words); i++) {
		if (word_is(word, len, relation_words[i].word)) {
			*ret_relkind = relation_words[i].relkind;
			return OBJECT_TABLE;
		}
	}
	for (int k = OBJECT_NONE + 1; k < OBJECT_KINDS; k++)
		if (k != OBJECT_COLUMN && word_is(word, len, kinds[k].name))
			return (enum object_kind)k;
	return OBJECT_NONE;
}

const char *object_kind_word(enum object_kind kind, char relkind)
{
	/* 'r' is plainly a table to people */
	for (size_t i = 1; kind == OBJECT_TABLE && i < COUNT(relation_words); i++)
		if (relation_words[i].relkind == relkind)
			return relation_words[i].word;
	return object_kind_info(kind)->name;
}

privs_t privilege_parse(const char *word)
{
	for (int i = 0; i < PRIV_COUNT; i++)
		if (strcasecmp(privileges[i].name, word) == 0)
			return 1u << i;
	return strcasecmp(word, "TEMP") == 0 ? PRIV_TEMPORARY : 0;
}

const char *privilege_name(privs_t one)
{
	for (int i = 0; i < PRIV_COUNT; i++)
		if (one == 1u << i)
			return privileges[i].name;
	return "unknown privilege";
}

privs_t privilege_from_letter(char letter)
{
	for (int i = 0; i < PRIV_COUNT; i++)
		if (privileges[i].letter == letter)
			return 1u << i;
	return PRIV_UNKNOWN;
}

privs_t kind_privileges(enum object_kind kind, int version_num)
{
	privs_t privs = object_kind_info(kind)->privs;

	if (version_num < 170000)
		privs &= ~(privs_t)PRIV_MAINTAIN;
	if (version_num < 150000 && kind == OBJECT_PARAMETER)
		privs = 0;
	return privs;
}

const char *privileges_format(privs_t privs, char *buf, size_t size)
{
	size_t len = 0;

	buf[0] = '\0';
	for (int i = 0; i <= PRIV_COUNT; i++) {
		if (!(privs & 1u << i))
			continue;
		len += (size_t)snprintf(buf + len, size - len, "%s%s", len ? ", " : "", privilege_name(1u << i));
		if (len >= size)
			break;
	}
	return buf;
}
