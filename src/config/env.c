/* SPDX-License-Identifier: PostgreSQL */
/* ${NAME}, ${NAME:-default} and $${ in strings. */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"

static size_t name_length(const char *s)
{
	size_t n = 0;

	while (isalnum((unsigned char) s[n]) || s[n] == '_')
		n++;
	return n > 0 && !isdigit((unsigned char) s[0]) ? n : 0;
}

static const char *value_of(const char *name, const char *config_dir)
{
	/* Not of the environment: lets a configuration name files beside itself, wherever it lies. */
	if (strcmp(name, "CONFIG_DIR") == 0)
		return config_dir;
	return getenv(name);
}

/* s stands behind "${". Returns what follows "}", NULL with the reason in err. */
static const char *expand_one(struct text *out, const char *s, const char *config_dir, struct error *err)
{
	size_t n = name_length(s);
	const char *end = strchr(s, '}'), *value;
	char name[128];

	if (n == 0 || n >= sizeof(name) || !end || (s[n] != '}' && strncmp(s + n, ":-", 2) != 0)) {
		error_set(err, "\"${%.40s\" is not ${NAME} or ${NAME:-default}", s);
		error_hint(err, "write $${ for a plain ${");
		return NULL;
	}
	memcpy(name, s, n);
	name[n] = '\0';
	if (strncmp(name, "PG", 2) == 0) {
		/* gone when the daemon reads its files again: a default that steps in then would name another server */
		error_set(err, "the environment variable %s cannot be used here: the daemon removes libpq's variables (PG...)", name);
		error_hint(err, "use a name of your own, such as DBRECONCILE_HOST");
		return NULL;
	}
	value = value_of(name, config_dir);
	if (s[n] == ':' && (!value || *value == '\0')) {
		text_add_len(out, s + n + 2, (size_t) (end - (s + n + 2)));
	} else if (value) {
		text_add(out, value);
	} else {
		error_set(err, "the environment variable %s is not set", name);
		error_hint(err, "set it, or write ${%s:-default}", name);
		return NULL;
	}
	return end + 1;
}

char *env_expand(void *parent, const char *s, const char *config_dir, struct error *err)
{
	struct text *out = text_new(parent);

	while (*s) {
		if (strncmp(s, "$${", 3) == 0) {
			text_add(out, "${");
			s += 3;
		} else if (strncmp(s, "${", 2) == 0) {
			s = expand_one(out, s + 2, config_dir, err);
			if (!s) {
				talloc_free(out);
				return NULL;
			}
		} else {
			text_add_char(out, *s++);
		}
	}
	return out->s;
}

char *env_protect(void *parent, const char *s)
{
	struct text *out = text_new(parent);

	for (; *s; s++) {
		if (strncmp(s, "${", 2) == 0)
			text_add_char(out, '$');
		text_add_char(out, *s);
	}
	return out->s;
}
