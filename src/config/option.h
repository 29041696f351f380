/* SPDX-License-Identifier: PostgreSQL */
/*
 * The table of options: one row for each key of the daemon's files
 * (options.c) and of manifests (manifest_options.c). Rows drive reading,
 * defaults, unknown-key hints, printing and the tables of the man pages.
 * Inside config/, and for the program that writes the man page tables.
 */
#ifndef DBR_CONFIG_OPTION_H
#define DBR_CONFIG_OPTION_H

#include <stddef.h>
#include <stdint.h>

#include "base/text.h"

struct reader;
struct config_setting_t;
struct option;

struct option_word {
	const char *word;
	int value;
};

struct option_type {
	const char *name;        /* for the man page: "duration" */
	const char *expected;    /* in errors: "a duration such as \"30s\""; NULL = read() says it */
	/* Puts the value into *base; errors go to the reader. */
	void (*read)(struct reader *, const struct option *, const struct config_setting_t *, void *base);
	/* The same from text, for defaults; false when the text is not a value. NULL = the type has no defaults. */
	bool (*set)(struct reader *, const struct option *, const char *text, void *base);
	/* The value as it is written after "key = "; prints nothing when there is nothing to say. */
	void (*print)(struct text *, const struct option *, const void *base, unsigned indent);
};

struct option_group {
	const char *name;        /* heading in the man page: "servers" */
	const struct option *rows;
	size_t n;
	size_t size;             /* of the struct the rows fill */
	int source;              /* offset of its struct source, or -1 */
	/* Before the rows are read, for values inherited from the outer group. May be NULL. */
	void (*init)(struct reader *, const void *outer, void *base);
	/* After: what no row can say by itself. May be NULL. */
	void (*check)(struct reader *, const struct config_setting_t *, void *base);
};

enum option_flags {
	OPT_REQUIRED = 1 << 0,
	OPT_TEXT = 1 << 1,       /* what a server holds as text: control characters are allowed, a file writes them as \x01 */
	OPT_NAME = 1 << 2,       /* an identifier of PostgreSQL */
	OPT_ROLE = 1 << 3,       /* a role name: reserved ones are refused */
	OPT_GRANTEE = 1 << 4,    /* a role name, or PUBLIC */
	OPT_PATH = 1 << 5,       /* absolute */
	OPT_WORD = 1 << 6,       /* letters, digits, '.', '_' and '-' only */
	OPT_UNION = 1 << 7,      /* a list that adds to what an outer or earlier place says */
	OPT_INHERITS = 1 << 8,   /* a nested group that begins as a copy of the outer one */
	OPT_SOCKET = 1 << 9,     /* a path that fits into a socket address */
	OPT_EMPTY = 1 << 10,     /* "" is a value */
	OPT_PER_SERVER = 1 << 11,/* top-level rows: read after all files' daemon, guard and control */
	OPT_SILENT = 1 << 12,    /* never printed */
	OPT_QUIET = 1 << 13,     /* not printed when it is the default */
};

struct option {
	const char *key;
	const struct option_type *type;
	unsigned flags;
	size_t offset;           /* of the value in the group's struct */
	size_t extra;            /* of its "was written" flag, count, mask or second part; 0 = none */
	int64_t min, max;        /* numbers, durations in ms; a bit for attributes; a kind for secrets */
	const char *fallback;    /* default, as text; NULL = none */
	const struct option_word *words;
	const struct option_group *group;
	const char *help;        /* one sentence in mdoc, for the man page */
};

#define FIELD(base, offset, type) ((type *) ((char *) (base) + (offset)))
#define CONST_FIELD(base, offset, type) ((type const *) ((const char *) (base) + (offset)))

/* Types (values.c, lists.c, wishes.c). */
extern const struct option_type type_bool, type_flag, type_ensure, type_attribute, type_count, type_limit, type_duration, type_size, type_word, type_letter, type_string,
	type_strings, type_secret, type_group, type_list, type_settings, type_role_settings, type_database_settings, type_table,
	type_selector, type_selectors, type_privileges, type_grant_privileges, type_level, type_time, type_manifests;

extern const struct option_group config_root;      /* struct settings */
extern const struct option_group manifest_root;    /* struct manifest */

/* "text" with the escapes that libconfig reads back. */
void option_print_string(struct text *, const char *s);
void option_print_indent(struct text *, unsigned indent);

/* Fills the defaults of a group's own rows (not of nested lists). */
void option_group_defaults(struct reader *, const struct option_group *, void *base);
void option_group_print(struct text *, const struct option_group *, const void *base, unsigned indent);

#endif
