/* SPDX-License-Identifier: PostgreSQL */
/*
 * Files -> settings. Reads dbreconciled.conf, the conf.d files and the manifests
 * that are named, checks everything, and reports every error at once. No
 * network, no side effects. Called by the daemon (start, reload, -t, -T) and
 * by dbreconcilectl config check.
 */
#ifndef DBR_CONFIG_LOAD_H
#define DBR_CONFIG_LOAD_H

#include <stdio.h>

#include "config/settings.h"

struct config_errors {
	struct error *v;
	uint32_t n;
	bool more;                    /* over 200 were found */
};

struct config_paths {
	const char *file;             /* the main file */
	const char *conf_d;           /* NULL = "conf.d" beside the main file */
};

/* 0: *ret is a whole generation, a talloc child of parent. 1: refused, every reason in *ret_errors (a talloc child of
   parent, in order of file and line). Negative: -ENOMEM and the like. Files that group or others can write are refused. */
int config_load(void *parent, const struct config_paths *, struct settings **ret, struct config_errors **ret_errors);

/* The same from memory, without conf.d: a daemon file, or a manifest as the only one of a server. text is terminated at len.
   For tests and fuzzing, and for what has a text instead of a file. */
int config_load_text(void *parent, const char *text, size_t len, bool manifest, struct settings **ret, struct config_errors **ret_errors);

/* "file:line: setting 'path': reason" lines. */
void config_errors_print(const struct config_errors *, FILE *out);

/* The effective configuration in its own syntax, with defaults, secrets as "<redacted>"; it can be loaded again.
   A talloc child of parent. */
char *config_print(void *parent, const struct settings *);
/* A manifest in its own syntax, from the same table: what import writes. A talloc child of parent. */
char *manifest_print(void *parent, const struct manifest *);

/* Manifest lookup by name; NULL when unknown. */
const struct manifest *settings_manifest(const struct settings *, const char *name);
const struct server_settings *settings_server(const struct settings *, const char *name);
/* What is configured for a database of the server; *ret_match: by a pattern, which template0 and template1 never match. NULL:
   it is no target. */
const struct database_settings *settings_database(const struct server_settings *, const char *database, bool *ret_match);

#endif
