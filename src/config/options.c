/* SPDX-License-Identifier: PostgreSQL */
/* The options of dbreconciled.conf and conf.d, a row each. */
#include "config/checks.h"
#include "config/option.h"
#include "config/settings.h"
#include "model/ledger_format.h"

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])
#define SECOND INT64_C(1000)
#define MINUTE (60 * SECOND)
#define HOUR (60 * MINUTE)
#define DAY (24 * HOUR)
#define ETC SYSCONFDIR "/dbreconcile"
#define RUN RUNSTATEDIR "/dbreconcile"
#define VAR LOCALSTATEDIR "/lib/dbreconcile"

static const struct option_word modes[] = { { "observe", MODE_OBSERVE }, { "enforce", MODE_ENFORCE }, { NULL, 0 } };
static const struct option_word log_levels[] = {
	{ "error", 3 }, { "warning", 4 }, { "notice", 5 }, { "info", 6 }, { "debug", 7 }, { NULL, 0 }
};

static const struct option_word ledger_formats[] = {
	{ "flyway", LEDGER_FLYWAY }, { "dbmate", LEDGER_DBMATE }, { "golang-migrate", LEDGER_GOLANG_MIGRATE }, { "alembic", LEDGER_ALEMBIC },
	{ "sqitch", LEDGER_SQITCH }, { NULL, 0 }
};

#define IN(field) .offset = offsetof(struct guard_settings, field)
static const struct option guard_rows[] = {
	{ .key = "max_revokes", .type = &type_count, IN(max_revokes), .max = 1000000000, .fallback = "20",
	  .help = "How many privileges (objects times grantees) one pass over one target may take away without approval." },
	{ .key = "max_drops", .type = &type_count, IN(max_drops), .max = 1000000, .fallback = "0",
	  .help = "How many roles, extensions and policies one pass over one target may drop without approval." },
	{ .key = "max_percent", .type = &type_count, IN(max_percent), .max = 100, .fallback = "10",
	  .help = "How many percent of the privileges in the scope of a target one pass may take away without approval." },
	{ .key = "protected_roles", .type = &type_strings, .flags = OPT_UNION, IN(protected_roles),
	  .extra = offsetof(struct guard_settings, n_protected_roles), .fallback = "",
	  .help = "Names, with * and ?, of roles that are never altered; each place adds to what the outer one says. Built-in roles and the "
		  "daemon's own are always protected." },
	{ .key = "ignored_roles", .type = &type_strings, .flags = OPT_UNION, IN(ignored_roles),
	  .extra = offsetof(struct guard_settings, n_ignored_roles), .fallback = "",
	  .help = "Names, with * and ?, of roles that no manifest names and that are somebody else's business: not listed as unmanaged, and what "
		  "they hold is not revoked by unmanaged_grantees; nor is membership in them." },
	{ .key = "allow_privileged", .type = &type_bool, IN(allow_privileged), .fallback = "false",
	  .help = "Whether manifests may ask for superuser, replication and bypassrls." },
};
#undef IN
static const struct option_group guard_group = { .name = "guard", ROWS(guard_rows), sizeof(struct guard_settings), -1, NULL, NULL };

#define IN(field) .offset = offsetof(struct migration_settings, field)
static const struct option migration_rows[] = {
	{ .key = "format", .type = &type_word, .flags = OPT_QUIET, IN(format), .words = ledger_formats, .fallback = "flyway",
	  .help = "Whose ledger it is. Those of dbmate, golang-migrate, Alembic and Sqitch are only read and compared with the tool's own files "
		  "in directory, and nothing runs; then only directory, table and those of schema drift may be written beside it." },
	{ .key = "directory", .type = &type_strings, .flags = OPT_REQUIRED, IN(directories),
	  .extra = offsetof(struct migration_settings, n_directories),
	  .help = "Where the files are: a directory below daemon.migrations, a whole path, or a list of these." },
	{ .key = "user", .type = &type_string, .flags = OPT_ROLE, IN(user),
	  .help = "The login that runs the files, on a connection of its own; required where files run." },
	{ .key = "password_credential", .type = &type_secret, .flags = OPT_WORD, IN(password), .min = SECRET_CREDENTIAL,
	  .help = "The systemd credential that holds the user's password; without any source, that of the role in the manifests is used." },
	{ .key = "password_file", .type = &type_secret, .flags = OPT_PATH, IN(password), .min = SECRET_FILE,
	  .help = "The file that holds the user's password." },
	{ .key = "password_command", .type = &type_secret, IN(password), .min = SECRET_COMMAND,
	  .help = "A command that prints the user's password." },
	{ .key = "table", .type = &type_table, IN(table_schema), .extra = offsetof(struct migration_settings, table_name),
	  .fallback = "dbreconcile.migration_ledger", .help = "The ledger; the name of an existing Flyway history continues that. With another format the default is where that tool has it." },
	{ .key = "placeholders", .type = &type_settings, IN(placeholders), .extra = offsetof(struct migration_settings, n_placeholders),
	  .help = "Values for ${name} in the files, without regard to case. Flyway's own are there: flyway:defaultSchema, flyway:table, "
		  "flyway:user, flyway:database, flyway:filename and flyway:timestamp. A file with a name that has no value does not run." },
	{ .key = "placeholder_replacement", .type = &type_bool, IN(replace_placeholders), .fallback = "true",
	  .help = "Whether values are put in at all." },
	{ .key = "placeholder_prefix", .type = &type_string, IN(placeholder_prefix), .fallback = "${", .help = "What a placeholder begins with." },
	{ .key = "placeholder_suffix", .type = &type_string, IN(placeholder_suffix), .fallback = "}", .help = "What it ends with." },
	{ .key = "ignore_migration_patterns", .type = &type_strings, .flags = OPT_EMPTY, IN(ignore_patterns),
	  .extra = offsetof(struct migration_settings, n_ignore_patterns), .fallback = "*:future",
	  .help = "What does not block, as Flyway writes it: *:future (the ledger is ahead of the files), *:missing, versioned:missing, "
		  "repeatable:missing (no file for a row) and *:ignored (a new file below the newest version, never applied)." },
	{ .key = "hold", .type = &type_strings, .flags = OPT_WORD, IN(hold), .extra = offsetof(struct migration_settings, n_hold),
	  .help = "Pending files that wait for approval, with all after them: rules of the lint (drop-table, alter-type, ...) or classes of "
		  "them, which are destroy, drop, lock, rewrite, scan and all. Without it nothing is held." },
	{ .key = "hold_above", .type = &type_size, .flags = OPT_QUIET, IN(hold_above), .fallback = "0B",
	  .help = "Relations smaller than this, with indexes and TOAST, are no reason to hold a file; where data goes the size does not count." },
	{ .key = "wave", .type = &type_count, IN(wave), .min = 1, .max = 1000, .fallback = "1",
	  .help = "Databases of wave 2 are migrated when all of wave 1 that share a directory are at the version and have soaked, and so on, "
		  "over all servers; a failure stops its own wave and all later ones." },
	{ .key = "lock_timeout", .type = &type_duration, .flags = OPT_QUIET, IN(lock_timeout), .max = HOUR, .fallback = "0s",
	  .help = "How long a statement of a file may wait for a lock, and others behind it; then it is tried again. With 0s it is what the "
		  "migration user's own setting says, or 500ms when that is off. A file may set its own, and CONCURRENTLY runs without." },
	{ .key = "before", .type = &type_string, IN(before),
	  .help = "A command that runs before the first pending migration of a pass, pg_dump for example: a whole path and arguments, without "
		  "a shell, as the migration user. When it fails nothing runs." },
	{ .key = "after", .type = &type_string, IN(after),
	  .help = "A command that runs after the last one. When it fails the line of waves stops." },
	{ .key = "hook_timeout", .type = &type_duration, IN(hook_timeout), .min = SECOND, .max = 7 * DAY, .fallback = "10min",
	  .help = "How long each of the two may take; then it and everything that it has started is killed." },
	{ .key = "seed", .type = &type_string, IN(seed),
	  .help = "A directory of seed data, named as migrations, below daemon.migrations or a whole path. It runs once, after the migrations, "
		  "and only in a database that the daemon itself has created." },
	{ .key = "soak", .type = &type_duration, IN(soak), .max = 30 * DAY, .fallback = "0s",
	  .help = "How long a database has to be at the version before those of later waves are migrated." },
	{ .key = "schema_drift", .type = &type_strings, IN(schema_drift),
	  .extra = offsetof(struct migration_settings, n_schema_drift),
	  .help = "Names, with * and ?, of schemas that are watched: what is changed there outside of migrations, and what differs from other "
		  "databases at the same version, is shown. Nothing is ever corrected. Without it nothing of this is asked." },
	{ .key = "schema_drift_ignore", .type = &type_strings, IN(schema_drift_ignore),
	  .extra = offsetof(struct migration_settings, n_schema_drift_ignore),
	  .help = "Names, with * and ?, of objects there that come and go without migrations, such as app.events_2*; a table stands for all "
		  "that belongs to it." },
	{ .key = "schema_drift_interval", .type = &type_duration, .flags = OPT_QUIET, IN(schema_drift_interval), .min = SECOND, .max = 30 * DAY,
	  .fallback = "1h", .help = "How often these schemas are looked at beside the looks after migrations and in passes that are ordered." },
};
#undef IN
static const struct option_group migration_group = {
	.name = "migrations", ROWS(migration_rows), sizeof(struct migration_settings), offsetof(struct migration_settings, source), NULL,
	check_migrations
};

#define IN(field) .offset = offsetof(struct database_settings, field)
static const struct option database_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_NAME, IN(name), .help = "The name of one database." },
	{ .key = "match", .type = &type_string, .flags = OPT_NAME, IN(match),
	  .help = "Instead of a name: a pattern with * and ? for all databases of the server that no name stands for." },
	{ .key = "create", .type = &type_bool, IN(create), .help = "Whether the daemon creates the database where it is not there; only with a name." },
	{ .key = "owner", .type = &type_string, .flags = OPT_ROLE, IN(owner),
	  .help = "Who owns the database that is created; without it the owner that a manifest declares, else the daemon's own role." },
	{ .key = "template", .type = &type_string, .flags = OPT_NAME, IN(template),
	  .help = "What the database that is created is a copy of, such as template0." },
	{ .key = "encoding", .type = &type_string, .flags = OPT_WORD, IN(encoding), .help = "The encoding of the database that is created." },
	{ .key = "mode", .type = &type_word, IN(mode), .words = modes, .help = "As daemon.mode, for this database." },
	{ .key = "manifests", .type = &type_manifests, .flags = OPT_WORD, IN(manifests),
	  .extra = offsetof(struct database_settings, n_manifests), .help = "The manifests for what is inside the database." },
	{ .key = "migrations", .type = &type_group, IN(migrations), .extra = offsetof(struct database_settings, migrations.enabled),
	  .group = &migration_group, .help = "Migration files to apply." },
	{ .key = "guard", .type = &type_group, .flags = OPT_INHERITS, IN(guard), .group = &guard_group,
	  .help = "As the guard of the server, for this database." },
};
#undef IN
static const struct option_group database_group = {
	.name = "databases", ROWS(database_rows), sizeof(struct database_settings), offsetof(struct database_settings, source),
	init_database, check_database
};

#define IN(field) .offset = offsetof(struct server_settings, field)
static const struct option server_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_WORD, IN(name),
	  .help = "The name of the server in targets, metrics and messages." },
	{ .key = "conninfo", .type = &type_string, .flags = OPT_REQUIRED, IN(conninfo),
	  .help = "How libpq reaches the server, as keyword=value; the database named here (postgres when none is) is the maintenance "
		  "database. Passwords are refused here, and what the daemon sets itself (options, application_name, client_encoding)." },
	{ .key = "password_credential", .type = &type_secret, .flags = OPT_WORD, IN(password), .min = SECRET_CREDENTIAL,
	  .help = "The systemd credential that holds the daemon's password." },
	{ .key = "password_file", .type = &type_secret, .flags = OPT_PATH, IN(password), .min = SECRET_FILE,
	  .help = "The file that holds the daemon's password." },
	{ .key = "password_command", .type = &type_secret, IN(password), .min = SECRET_COMMAND,
	  .help = "A command that prints the daemon's password, for tokens that expire; its output is cached." },
	{ .key = "mode", .type = &type_word, IN(mode), .words = modes, .help = "As daemon.mode, for this server." },
	{ .key = "interval", .type = &type_duration, IN(interval), .min = SECOND, .max = 7 * DAY,
	  .help = "As daemon.interval, for this server." },
	{ .key = "full_interval", .type = &type_duration, IN(full_interval), .min = SECOND, .max = 30 * DAY,
	  .help = "As daemon.full_interval, for this server." },
	{ .key = "max_connections", .type = &type_count, IN(max_connections), .min = 1, .max = 1000, .fallback = "8",
	  .help = "How many connections to this server may be open at the same time." },
	{ .key = "max_migrations", .type = &type_count, IN(max_migrations), .min = 1, .max = 1000, .fallback = "2",
	  .help = "How many databases of this server run migrations at the same time." },
	{ .key = "keep_connections", .type = &type_count, IN(keep_connections), .min = 0, .max = 1000, .fallback = "0",
	  .help = "How many connections to databases of this server stay open between two passes, besides the one to its maintenance "
		  "database: looking is cheaper with them, but a database that somebody is connected to can be neither dropped nor "
		  "copied." },
	{ .key = "manifests", .type = &type_manifests, .flags = OPT_WORD, IN(manifests),
	  .extra = offsetof(struct server_settings, n_manifests),
	  .help = "The manifests for what belongs to the whole server: roles, memberships, databases." },
	{ .key = "guard", .type = &type_group, .flags = OPT_INHERITS, IN(guard), .group = &guard_group,
	  .help = "As the guard at the top, for this server." },
	{ .key = "databases", .type = &type_list, IN(databases), .extra = offsetof(struct server_settings, n_databases),
	  .group = &database_group, .help = "The databases that are looked after." },
};
#undef IN
static const struct option_group server_group = {
	.name = "servers", ROWS(server_rows), sizeof(struct server_settings), offsetof(struct server_settings, source),
	init_server, check_server
};

#define IN(field) .offset = offsetof(struct control_settings, field)
static const struct option control_rows[] = {
	{ .key = "socket", .type = &type_string, .flags = OPT_PATH | OPT_SOCKET, IN(socket), .fallback = RUN "/control.sock",
	  .help = "The socket that dbreconcilectl talks to." },
	{ .key = "metrics_socket", .type = &type_string, .flags = OPT_PATH | OPT_SOCKET, IN(metrics_socket), .fallback = RUN "/metrics.sock",
	  .help = "The socket that serves /metrics, /livez and /readyz." },
	{ .key = "metrics_listen", .type = &type_string, .flags = OPT_EMPTY, IN(metrics_listen), .fallback = "",
	  .help = "A loopback address such as 127.0.0.1:9187 or [::1]:9187 that serves the same; empty for none." },
	{ .key = "admin_groups", .type = &type_strings, .flags = OPT_WORD, IN(admin_groups),
	  .extra = offsetof(struct control_settings, n_admin_groups), .fallback = "dbreconcile-admin",
	  .help = "Groups of the operating system whose members may change things through the socket." },
};
#undef IN
static const struct option_group control_group = {
	.name = "control", ROWS(control_rows), sizeof(struct control_settings), -1, NULL, check_control
};

#define IN(field) .offset = offsetof(struct settings, field)
static const struct option daemon_rows[] = {
	{ .key = "mode", .type = &type_word, IN(mode), .words = modes, .fallback = "observe",
	  .help = "observe never writes; enforce corrects. What servers and databases do that say nothing else." },
	{ .key = "interval", .type = &type_duration, IN(interval), .min = SECOND, .max = 7 * DAY, .fallback = "60s",
	  .help = "The time between two looks at a target." },
	{ .key = "full_interval", .type = &type_duration, IN(full_interval), .min = SECOND, .max = 30 * DAY, .fallback = "10min",
	  .help = "The longest time between two full looks, when the server says that nothing changed." },
	{ .key = "manifests", .type = &type_string, .flags = OPT_PATH, IN(manifests_dir), .fallback = ETC "/manifests",
	  .help = "The directory of the manifests; manifest NAME is the file NAME.conf there." },
	{ .key = "migrations", .type = &type_string, .flags = OPT_PATH, IN(migrations_dir), .fallback = ETC "/migrations",
	  .help = "The directory that holds the directories of migration files." },
	{ .key = "state", .type = &type_string, .flags = OPT_PATH, IN(state_file), .fallback = VAR "/state.db",
	  .help = "The file that keeps history, approvals and suspensions." },
	{ .key = "max_connections", .type = &type_count, IN(max_connections), .min = 1, .max = 10000, .fallback = "64",
	  .help = "How many connections the daemon may have open at the same time." },
	{ .key = "connect_timeout", .type = &type_duration, IN(connect_timeout), .min = 100, .max = HOUR, .fallback = "10s",
	  .help = "How long connecting may take, from name lookup to the first answer." },
	{ .key = "statement_timeout", .type = &type_duration, IN(statement_timeout), .min = 100, .max = DAY, .fallback = "60s",
	  .help = "How long one statement may take." },
	{ .key = "lock_timeout", .type = &type_duration, IN(lock_timeout), .min = 10, .max = HOUR, .fallback = "2s",
	  .help = "How long a correction may wait for a lock, and others behind it." },
	{ .key = "pass_timeout", .type = &type_duration, IN(pass_timeout), .min = SECOND, .max = 7 * DAY, .fallback = "10min",
	  .help = "How long one pass over one target may take." },
	{ .key = "backoff_max", .type = &type_duration, IN(backoff_max), .min = SECOND, .max = DAY, .fallback = "5min",
	  .help = "The longest pause after repeated failures." },
	{ .key = "log_level", .type = &type_word, IN(log_level), .words = log_levels, .fallback = "info",
	  .help = "Which messages are logged: this level and the more severe ones." },
};
static const struct option_group daemon_group = { .name = "daemon", ROWS(daemon_rows), sizeof(struct settings), -1, NULL, NULL };

static const struct option root_rows[] = {
	{ .key = "daemon", .type = &type_group, .group = &daemon_group, .help = "The daemon itself, and what servers inherit." },
	{ .key = "guard", .type = &type_group, IN(guard), .group = &guard_group, .help = "Budgets: what exceeds them is held for approval." },
	{ .key = "control", .type = &type_group, IN(control), .group = &control_group, .help = "Sockets." },
	{ .key = "servers", .type = &type_list, .flags = OPT_PER_SERVER, IN(servers), .extra = offsetof(struct settings, n_servers),
	  .fallback = "", .group = &server_group, .help = "The servers that are looked after." },
	{ .key = "end_marker", .type = &type_bool, .flags = OPT_SILENT, IN(end_marker),
	  .help = "When true, the last line of the file must be \"# end\", so that a file that was cut is always noticed." },
};
#undef IN
const struct option_group config_root = { .name = "", ROWS(root_rows), sizeof(struct settings), -1, NULL, NULL };
