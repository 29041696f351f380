/* SPDX-License-Identifier: PostgreSQL */
/*
 * File names, as Flyway reads them: suffix (any case), then the longest prefix
 * (V, R, B, U, or a callback's name), then the first "__". Stricter in one thing:
 * a name that ends in .sql and is none of these is an error, never skipped.
 */
#include "config.h"       /* memmem */

#include "migrate/migration.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"

#define VERSION_MAX 50       /* varchar(50) */

/* Flyway's events (org.flywaydb.core.api.callback.Event): a file named so is a callback. */
static const char *const callbacks[] = {
	"afterBaseline", "afterBaselineError", "afterBaselineOperationFinish", "afterClean", "afterCleanError", "afterConnect",
	"afterDeploy", "afterEachMigrate", "afterEachMigrateError", "afterEachMigrateStatement", "afterEachMigrateStatementError",
	"afterEachUndo", "afterEachUndoError", "afterEachUndoStatement", "afterEachUndoStatementError", "afterInfo", "afterInfoError",
	"afterMigrate", "afterMigrateApplied", "afterMigrateError", "afterRepair", "afterRepairError", "afterRepeatables", "afterUndo",
	"afterUndoError", "afterValidate", "afterValidateError", "afterVersioned", "beforeBaseline", "beforeClean", "beforeConnect",
	"beforeCreateSchema", "beforeDeploy", "beforeEachMigrate", "beforeEachMigrateStatement", "beforeEachUndo",
	"beforeEachUndoStatement", "beforeInfo", "beforeMigrate", "beforeRepair", "beforeRepeatables", "beforeUndo", "beforeValidate",
	"beforeVersioned", "createSchema",
};

static bool is_callback(const char *s, size_t len)
{
	for (size_t i = 0; i < sizeof callbacks / sizeof *callbacks; i++)
		if (strlen(callbacks[i]) == len && !memcmp(callbacks[i], s, len))
			return true;
	return false;
}

static int bad(struct error *err, const char *script, const char *name, const char *why)
{
	error_set_at(err, script, 0, "file name '%s' is not a migration's: %s", name, why);
	error_hint(err, "use V<version>__<description>.sql, R__<description>.sql, B<version>__<description>.sql or "
		   "U<version>__<description>.sql, or give the file another suffix");
	return MIGRATION_NAME_BAD;
}

static char *replace_underscores(void *parent, const char *s, size_t len, char with)
{
	char *copy = talloc_strndup(parent, s, len);

	for (char *p = copy; p && *p; p++)
		if (*p == '_')
			*p = with;
	return copy;
}

/* The text between the prefix and "__" of a V, B or U file. */
static int parse_version(void *parent, const char *script, const char *name, const char *version, size_t len,
			 struct migration_file *ret, struct error *err)
{
	if (!len)
		return bad(err, script, name, "there is no version after the prefix");
	if (!migration_version_valid(version, len))
		return bad(err, script, name, "the version before '__' must be numbers joined by '.' or '_', such as 7, 001 or 1.2");
	if (len > VERSION_MAX)
		return bad(err, script, name, "the version is longer than 50 characters");
	ret->version = replace_underscores(parent, version, len, '.');
	return MIGRATION_NAME_OK;
}

static bool parse_type(char prefix, enum migration_type *ret)
{
	switch (prefix) {
	case 'V': *ret = MIGRATION_VERSIONED; return true;
	case 'B': *ret = MIGRATION_BASELINE; return true;
	case 'R': *ret = MIGRATION_REPEATABLE; return true;
	case 'U': *ret = MIGRATION_UNDO; return true;
	}
	return false;
}

int migration_name_parse(void *parent, const char *script, struct migration_file *ret, struct error *err)
{
	const char *slash = strrchr(script, '/'), *name = slash ? slash + 1 : script, *separator, *rest;
	size_t len = strlen(name), head;
	int r = MIGRATION_NAME_OK;

	*ret = (struct migration_file){ .transactional = true };
	if (len < 4 || strcasecmp(name + len - 4, ".sql"))
		return MIGRATION_NAME_OTHER;
	if (!utf8_valid(script, strlen(script)) || text_has_control(script, strlen(script))) {
		char *shown = text_escape(parent, name, len, 200);

		r = bad(err, shown, shown, "it holds a control character or is not UTF-8");
		talloc_free(shown);
		return r;
	}
	len -= 4;
	separator = memmem(name, len, "__", 2);
	head = separator ? (size_t)(separator - name) : len;
	if (is_callback(name, head))
		return MIGRATION_NAME_CALLBACK;
	if (!len || !parse_type(name[0], &ret->type))
		return bad(err, script, name, "it does not begin with V, R, B or U (upper case)");
	if (ret->type != MIGRATION_REPEATABLE)
		r = parse_version(parent, script, name, name + 1, head - 1, ret, err);
	else if (head != 1)
		r = bad(err, script, name, "a repeatable migration has no version: 'R' is followed by '__'");
	if (r)
		return r;
	rest = separator ? separator + 2 : name + len;
	ret->description = replace_underscores(parent, rest, (size_t)(name + len - rest), ' ');
	ret->script = talloc_strdup(parent, script);
	return ret->type == MIGRATION_UNDO ? MIGRATION_NAME_UNDO : MIGRATION_NAME_OK;
}
