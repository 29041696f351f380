/* SPDX-License-Identifier: PostgreSQL */
/*
 * The words after "on" in a manifest: which objects a rule is about.
 *   table app.users · table app.* · view app.v_* · function app.f(integer, text) · function app.*
 *   schema app · database orders · sequence app.* · type app.mood · language plpgsql · parameter work_mem
 *   foreign server s · foreign data wrapper w · tablespace t · large object 16401
 * Names are taken as they stand (case-sensitive, no quotes needed); double quotes around a part
 * allow dots, spaces and the characters of globs literally.
 */
#ifndef DBR_MODEL_SELECTOR_H
#define DBR_MODEL_SELECTOR_H

#include <stdbool.h>

#include "base/error.h"
#include "model/kind.h"

struct selector {
	enum object_kind kind;
	char relkind;          /* narrows OBJECT_TABLE: 'r' 'p' 'v' 'm' 'f'; 0 = all */
	const char *schema;    /* glob; NULL when the kind lives in no schema */
	const char *name;      /* glob; for routines without the arguments */
	const char *args;      /* routines: canonical argument types "integer, text"; NULL = every overload */
	bool schema_literal, name_literal;   /* no '*' or '?' in it */
};

/* Strings are talloc children of parent. 1 when the text is not a selector: err->text says why. */
int selector_parse(void *parent, const char *text, struct selector *ret, struct error *err);
/* Does the object match? name of a routine comes as "f(integer, text)". */
bool selector_matches(const struct selector *, char relkind, const char *schema, const char *name, size_t name_len);
/* Where the argument list of "name(integer, \"odd(type\")" begins: a name may hold parentheses, so it is looked for from the
   end, outside double quotes. NULL when there is none. */
const char *routine_arguments(const char *name, size_t len);
/* Canonical text, accepted by selector_parse() again. A talloc child of parent. */
char *selector_format(void *parent, const struct selector *);
/* "int4" -> "integer", "timestamptz" -> "timestamp with time zone", "varchar(10)[]" -> "character varying[]";
   the names format_type() prints. A talloc child of parent. */
char *type_canonical(void *parent, const char *text, size_t len);

#endif
