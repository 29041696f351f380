/* SPDX-License-Identifier: PostgreSQL */
/*
 * What reading knows while it goes: where results are kept, which document it
 * is in, the errors so far, and references that can only be resolved when
 * everything has been read. Inside config/ only.
 */
#ifndef DBR_CONFIG_READER_H
#define DBR_CONFIG_READER_H

#include <libconfig.h>

#include "config/document.h"
#include "config/errors.h"
#include "config/option.h"
#include "config/settings.h"

/* A manifest or level that was named, to be looked up at the end. */
struct reference {
	void *slot;                        /* const struct manifest ** or const struct level ** */
	const char *name;
	struct source source;
	const char *path;                  /* of the setting that named it */
	const struct manifest *manifest;   /* levels: where it was named */
	struct reference *next;
};

struct reader {
	struct settings *settings;         /* parent of everything that is kept */
	struct config_errors *errors;
	const struct document *doc;
	const char *file;                  /* its name, kept with the settings */
	struct manifest *manifest;         /* being read, or NULL */
	const char *config_dir;            /* what ${CONFIG_DIR} is */
	struct reference *manifests, **manifests_tail;
	struct reference *levels, **levels_tail;
};

/* An error about a setting: "setting 'servers.[0].interval': " and the reason. */
struct error *reader_error(struct reader *, const config_setting_t *, const char *format, ...)
	__attribute__((format(printf, 3, 4)));
/* An error at the place a wish was written; path may be NULL. */
struct error *reader_error_at(struct reader *, const struct source *, const char *path, const char *format, ...)
	__attribute__((format(printf, 4, 5)));
/* "expected a string, found a number" for the option's type. */
void reader_wrong_type(struct reader *, const struct option *, const config_setting_t *);

/* Memory that lives as long as the settings; never NULL (as base/text.h, out of memory ends the process). */
void *reader_keep(struct reader *, size_t size);
const char *reader_strdup(struct reader *, const char *s);
/* An array of n + 1 elements from one of n, the new one zeroed; array may be NULL. */
void *reader_grow(struct reader *, void *array, size_t size, uint32_t n);

/* Reads the members of a group into base: unknown keys, missing keys, defaults, then the group's own check. */
void reader_group(struct reader *, const struct option_group *, const config_setting_t *, void *base);
void reader_unknown_keys(struct reader *, const struct option_group *, const config_setting_t *);
/* Was something said about this setting, or a part of it, already? */
bool reader_has_error(const struct reader *, const config_setting_t *);

/* The string of a setting with ${...} replaced, checked for what flags demand; NULL when an error was reported. */
const char *reader_string(struct reader *, const struct option *, const config_setting_t *);
/* "a", ["a", "b"] and ("a", "b") are lists of strings: how many, and the setting of each. -1: it is no such list. */
int reader_list_length(const config_setting_t *);
const config_setting_t *reader_list_elem(const config_setting_t *, unsigned i);

/* Remembers that slot is to be filled with what name means, when everything has been read; tail is one of the reader's. */
void reader_refer(struct reader *, struct reference ***tail, void *slot, const char *name, const config_setting_t *);

/* Where the setting stands. */
struct source reader_source(const struct reader *, const config_setting_t *);

/* env.c: s with ${NAME} replaced, a talloc child of parent; NULL with the reason in err. */
char *env_expand(void *parent, const char *s, const char *config_dir, struct error *err);
/* The inverse: a text that env_expand() turns into s. */
char *env_protect(void *parent, const char *s);
/* conninfo.c: 0, or 1 with *ret_reason, which never quotes a value of it. */
int conninfo_check(void *parent, const char *conninfo, const char **ret_reason);

#endif
