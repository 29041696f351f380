/* SPDX-License-Identifier: PostgreSQL */
/*
 * One generation of the configuration: everything the files said, checked as
 * a whole. Built by load.c, never changed afterwards; a pass keeps the
 * generation it began with (engine/hold.c counts). Everything is a talloc child of
 * struct settings.
 */
#ifndef DBR_CONFIG_SETTINGS_H
#define DBR_CONFIG_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/clock.h"
#include "config/manifest.h"
#include "model/change.h"
#include "model/ledger_format.h"

enum run_mode { MODE_OBSERVE, MODE_ENFORCE };

struct guard_settings {
	uint32_t max_revokes;         /* per pass and target, objects x grantees */
	uint32_t max_drops;
	uint32_t max_percent;         /* of the privileges that live in the target's scope */
	const char **protected_roles; /* globs; the built-in ones are added by the guard itself */
	uint32_t n_protected_roles;
	const char **ignored_roles;   /* globs: not ours to list or touch where no manifest names them */
	uint32_t n_ignored_roles;
	bool allow_privileged;        /* manifests may make superusers, replication and BYPASSRLS roles */
};

struct migration_settings {
	bool enabled;
	const char **directories;     /* absolute paths */
	uint32_t n_directories;
	int format;                   /* enum ledger_format; those of other tools are only read, and nothing runs */
	const char *user;             /* login that runs the files; NULL where nothing runs */
	struct secret_source password;/* NONE: the role's own source in the manifests, else as libpq finds it */
	const char *table_schema, *table_name;   /* default dbreconcile, migration_ledger */
	uint32_t wave;                /* 1 first */
	msec_t soak;                  /* how long later waves wait when this one is at the version */
	msec_t lock_timeout;          /* of the files' statements; <= 0: as the user's own setting says */
	const char *before, *after;   /* command lines, or NULL */
	msec_t hook_timeout;
	const char *seed;             /* absolute path of a directory, or NULL */
	struct name_value *placeholders; uint32_t n_placeholders;
	bool replace_placeholders;
	const char *placeholder_prefix, *placeholder_suffix;
	const char **ignore_patterns; /* Flyway's ignoreMigrationPatterns, of which the check knows a set */
	uint32_t n_ignore_patterns;
	const char **hold;            /* words of model/lint_rule.h: a pending file with such a finding waits for approval */
	uint32_t n_hold;
	int64_t hold_above;           /* bytes: smaller relations do not count, but where data goes */
	const char **schema_drift;    /* globs of schemas whose objects are compared with what migrations made; none = off */
	uint32_t n_schema_drift;
	const char **schema_drift_ignore;   /* globs of objects */
	uint32_t n_schema_drift_ignore;
	msec_t schema_drift_interval;
	struct source source;
};

struct database_settings {
	const char *name;             /* exact name, or NULL */
	bool create;                  /* make it where it is not there; the three below are for then, NULL = the server's default */
	const char *owner, *template, *encoding;
	const char *match;            /* glob over the server's databases, or NULL */
	enum run_mode mode;
	const struct manifest **manifests;
	uint32_t n_manifests;
	struct guard_settings guard;
	struct migration_settings migrations;
	struct source source;
};

struct server_settings {
	const char *name;
	const char *conninfo;         /* keyword form without a password; refused with one */
	struct secret_source password;
	enum run_mode mode;
	msec_t interval, full_interval;
	uint32_t max_connections;     /* of ours, at the same time, on this server */
	uint32_t max_migrations;      /* databases that run migrations at the same time */
	uint32_t keep_connections;    /* to its databases, between two passes */
	const struct manifest **manifests;      /* cluster-wide */
	uint32_t n_manifests;
	const struct manifest **all_manifests;  /* these and those of its databases, each once: who is managed here */
	uint32_t n_all_manifests;
	struct guard_settings guard;
	struct database_settings *databases;
	uint32_t n_databases;
	struct source source;
};

struct control_settings {
	const char *socket, *metrics_socket;
	const char *metrics_listen;   /* "" = none; "127.0.0.1:9187" loopback only */
	const char **admin_groups;
	uint32_t n_admin_groups;
};

struct settings {
	uint64_t generation;          /* set by the engine: 1, 2, ... */
	const char *file;             /* the main file */
	enum run_mode mode;
	msec_t interval, full_interval;
	const char *manifests_dir, *migrations_dir, *state_file;
	uint32_t max_connections;     /* of the whole daemon */
	msec_t connect_timeout, statement_timeout, lock_timeout, pass_timeout;
	msec_t backoff_max;
	int log_level;                /* enum log_level */
	bool end_marker;              /* of the file read last; of no use afterwards */
	struct guard_settings guard;
	struct control_settings control;
	struct server_settings *servers;
	uint32_t n_servers;
	struct manifest *manifests;   /* every manifest that a server or database names */
	uint32_t n_manifests;
};

#endif
