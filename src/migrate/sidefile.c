/* SPDX-License-Identifier: PostgreSQL */
/*
 * Flyway's script configuration: NAME.sql.conf beside NAME.sql, lines of
 * key=value. What Flyway's own editions do with a key is done, refused with
 * the reason, or an error: never ignored.
 */
#include "migrate/migration.h"

#include <string.h>
#include <strings.h>

#include "base/text.h"

static int bad(struct error *err, const char *path, unsigned line, const char *text, const char *hint)
{
	error_set_at(err, path, line, "%s", text);
	error_hint(err, "%s", hint);
	return 1;
}

static int truth(const char *value, bool *ret)
{
	*ret = strcasecmp(value, "true") == 0;
	return !*ret && strcasecmp(value, "false") != 0;
}

static int take_pair(struct migration_file *file, const char *key, const char *value, const char *path, unsigned line, struct error *err)
{
	bool flag;

	if (strcmp(key, "encoding") == 0) {
		if (strcasecmp(value, "UTF-8") == 0 || strcasecmp(value, "UTF8") == 0)
			return 0;
		return bad(err, path, line, "only UTF-8 files are read", "convert the file to UTF-8 and take the line away");
	}
	if (strcmp(key, "executeInTransaction") != 0 && strcmp(key, "placeholderReplacement") != 0 && strcmp(key, "shouldExecute") != 0)
		return bad(err, path, line, "unknown key", "known are executeInTransaction, placeholderReplacement, encoding and shouldExecute");
	if (truth(value, &flag))
		return bad(err, path, line, "the value is neither true nor false", strcmp(key, "shouldExecute") == 0 ?
			   "conditions are not evaluated here: put the file into a directory that only these databases use" : "write true or false");
	if (strcmp(key, "executeInTransaction") == 0)
		file->side = flag ? SIDE_TRUE : SIDE_FALSE;
	else if (strcmp(key, "placeholderReplacement") == 0)
		file->verbatim = !flag;
	else if (!flag)
		return bad(err, path, line, "shouldExecute=false is not supported", "take the migration out of the directory until it should run");
	return 0;
}

static int take_line(struct migration_file *file, const char *start, size_t len, const char *path, unsigned line, struct error *err)
{
	char pair[512], *equals, *value;
	size_t n;

	while (len && strchr(" \t\r", start[len - 1]))
		len--;
	while (len && strchr(" \t", *start)) {
		start++;
		len--;
	}
	if (!len || *start == '#' || *start == '!')
		return 0;
	if (len >= sizeof pair)
		return bad(err, path, line, "a line of more than 511 bytes", "write key=value");
	memcpy(pair, start, len);
	pair[len] = '\0';
	equals = strpbrk(pair, "=:");
	if (!equals)
		return bad(err, path, line, "a line without '='", "write key=value");
	value = equals + 1 + strspn(equals + 1, " \t");
	*equals = '\0';
	for (n = strlen(pair); n && strchr(" \t", pair[n - 1]); n--)
		pair[n - 1] = '\0';
	return take_pair(file, pair, value, path, line, err);
}

int migration_side_file(struct migration_file *file, const char *path, const char *text, size_t len, struct error *err)
{
	const char *end = text + len;
	int r = 0;

	for (unsigned line = 1; text < end && r == 0; line++) {
		const char *newline = memchr(text, '\n', (size_t)(end - text));

		newline = newline ? newline : end;
		r = take_line(file, text, (size_t)(newline - text), path, line, err);
		text = newline + 1;
	}
	return r;
}
