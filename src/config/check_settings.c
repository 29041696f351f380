/* SPDX-License-Identifier: PostgreSQL */
/* Servers, databases, migrations and sockets: what is inherited, and what must hold together. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "base/words.h"
#include "config/checks.h"
#include "model/lint_rule.h"

void init_server(struct reader *r, const void *outer, void *base)
{
	const struct settings *settings = outer;
	struct server_settings *server = base;

	(void) r;
	server->mode = settings->mode;
	server->interval = settings->interval;
	server->full_interval = settings->full_interval;
	server->guard = settings->guard;
}

void init_database(struct reader *r, const void *outer, void *base)
{
	const struct server_settings *server = outer;
	struct database_settings *database = base;

	(void) r;
	database->mode = server->mode;
	database->guard = server->guard;
}

/* Databases are read after the server's own rows, so two of one name are seen here. */
static void check_databases(struct reader *r, const config_setting_t *list, const struct server_settings *server)
{
	for (uint32_t i = 0; i < server->n_databases; i++) {
		for (uint32_t k = 0; k < i; k++) {
			const struct database_settings *a = &server->databases[k], *b = &server->databases[i];
			const char *x = a->name ? a->name : a->match, *y = b->name ? b->name : b->match;

			if (x && y && !a->name == !b->name && strcmp(x, y) == 0)
				reader_error(r, config_setting_get_elem(list, i), "\"%s\" is there twice (also at %s:%u)", x, a->source.file, a->source.line);
		}
	}
}

void check_server(struct reader *r, const config_setting_t *s, void *base)
{
	struct server_settings *server = base;
	const config_setting_t *conninfo = config_setting_get_member(s, "conninfo");
	const char *reason;

	if (server->conninfo && conninfo_check(r->settings, server->conninfo, &reason) != 0) {
		reader_error(r, conninfo, "%s", reason);
		server->conninfo = NULL;
	}
	for (uint32_t i = 0; server->name && i < r->settings->n_servers; i++) {
		const struct server_settings *other = &r->settings->servers[i];

		if (other != server && other->name && strcmp(other->name, server->name) == 0)
			reader_error(r, s, "the server \"%s\" is there twice (also at %s:%u)", server->name, other->source.file, other->source.line);
	}
	check_databases(r, config_setting_get_member(s, "databases"), server);
}

void check_database(struct reader *r, const config_setting_t *s, void *base)
{
	static const char *const for_creating[] = { "owner", "template", "encoding" };
	const struct database_settings *database = base;

	if (database->create && database->match)
		reader_error(r, config_setting_get_member(s, "create"), "a pattern names no database that could be created: write name =");
	for (size_t i = 0; !database->create && i < sizeof(for_creating) / sizeof(for_creating[0]); i++)
		if (config_setting_get_member(s, for_creating[i]))
			reader_error(r, config_setting_get_member(s, for_creating[i]), "this is for a database with create = true");
	if (!database->create && database->migrations.seed)
		reader_error(r, config_setting_get_member(config_setting_get_member(s, "migrations"), "seed"),
			     "seed data is for databases that the daemon creates: write create = true at the database");

	if (!config_setting_get_member(s, "name") == !config_setting_get_member(s, "match"))
		reader_error(r, s, "expected either 'name' or 'match'");
	if (database->match && glob_is_literal(database->match))
		reader_error(r, config_setting_get_member(s, "match"), "there is no * or ? in \"%s\": write name = instead", database->match);
}

static bool leaves_directory(const char *path)
{
	for (const char *p = path; p; p = strchr(p, '/')) {
		p += *p == '/';
		if (strncmp(p, "..", 2) == 0 && (p[2] == '/' || p[2] == '\0'))
			return true;
	}
	return false;
}

/* There is no shell to look a program up, and no directory that "here" would be. */
static void check_hook(struct reader *r, const config_setting_t *s, const char *key, const char *command)
{
	const config_setting_t *setting = config_setting_get_member(s, key);
	void *scratch = talloc_new(NULL);
	const char *reason;
	char **words;

	if (command && words_split(scratch, command, &words, &reason) != 0) {
		reader_error(r, setting, "%s", reason);
	} else if (command && *words[0] != '/') {
		struct error *err = reader_error(r, setting, "the program \"%s\" is not a whole path", words[0]);

		if (err)
			error_hint(err, "write it from '/'; there is no shell: for pipes and variables write a script and name it here");
	}
	talloc_free(scratch);
}

static void whole_path(struct reader *r, const config_setting_t *setting, const char **directory)
{
	if (leaves_directory(*directory))
		reader_error(r, setting, "\"%s\" holds \"..\"", *directory);
	if (**directory != '/')
		*directory = talloc_asprintf(r->settings, "%s/%s", r->settings->migrations_dir, *directory);
}

static void check_patterns(struct reader *r, const config_setting_t *s, const struct migration_settings *migrations)
{
	static const char *const known[] = { "*:future", "versioned:future", "*:missing", "versioned:missing", "repeatable:missing", "*:ignored",
					     "versioned:ignored" };

	for (uint32_t i = 0; i < migrations->n_ignore_patterns; i++) {
		bool found = false;

		for (size_t k = 0; k < sizeof(known) / sizeof(known[0]); k++)
			found |= strcmp(known[k], migrations->ignore_patterns[i]) == 0;
		if (!found)
			reader_error(r, config_setting_get_member(s, "ignore_migration_patterns"), "\"%.64s\" is none of *:future, *:missing, "
				     "versioned:missing, repeatable:missing and *:ignored", migrations->ignore_patterns[i]);
	}
}

/* What a policy holds, by the names that the lint gives: one that is misspelt would hold nothing. */
static void check_hold(struct reader *r, const config_setting_t *s, const struct migration_settings *migrations)
{
	const config_setting_t *hold = config_setting_get_member(s, "hold"), *above = config_setting_get_member(s, "hold_above");
	bool whole = hold && reader_list_length(hold) == (int)migrations->n_hold;
	size_t n;
	const char *const *words = lint_words(&n);

	for (uint32_t i = 0; i < migrations->n_hold; i++) {
		const char *word = migrations->hold[i], *near = text_nearest(word, words, n);
		struct error *err;

		if (lint_class_of(word) != 0 || lint_rule_known(word))
			continue;
		err = reader_error(r, whole ? reader_list_elem(hold, i) : hold, "\"%.64s\" is neither a rule of the lint nor one of the classes all, destroy, drop, lock, rewrite and scan", word);
		if (err && near)
			error_hint(err, "did you mean \"%s\"?", near);
	}
	if (above && migrations->n_hold == 0 && migrations->hold_above > 0 && !(hold && reader_has_error(r, hold)))
		reader_error(r, above, "it means something only beside hold, which says what is held");
}

/* A line end in a value would move every line behind it. */
static void check_placeholders(struct reader *r, const config_setting_t *s, const struct migration_settings *migrations)
{
	const config_setting_t *at = config_setting_get_member(s, "placeholders");

	for (uint32_t i = 0; i < migrations->n_placeholders; i++) {
		const struct name_value *p = &migrations->placeholders[i];

		if (!p->value)
			reader_error(r, at, "'%s' has no value", p->name);
		else if (strpbrk(p->value, "\r\n"))
			reader_error(r, at, "the value of '%s' has a line end in it", p->name);
	}
}

/* What runs files has no meaning where none run. */
static void check_format(struct reader *r, const config_setting_t *s, struct migration_settings *migrations)
{
	const struct ledger_tool *tool = ledger_tool((enum ledger_format)migrations->format);
	const config_setting_t *format = config_setting_get_member(s, "format");
	const struct { const char *key; bool used; } idle[] = {
		{ "user", true }, { "password_credential", true }, { "password_file", true }, { "password_command", true }, { "placeholders", true },
		{ "before", true }, { "after", true }, { "seed", true }, { "hold", true }, { "hold_above", migrations->hold_above != 0 }, { "wave", migrations->wave != 1 }, { "soak", migrations->soak != 0 },
	};

	if (migrations->format == LEDGER_FLYWAY) {
		if (!config_setting_get_member(s, "user") && !(format && reader_has_error(r, format)))
			reader_error(r, s, "'user' is missing");
		return;
	}
	for (size_t i = 0; i < sizeof(idle) / sizeof(idle[0]); i++)
		if (idle[i].used && config_setting_get_member(s, idle[i].key))
			reader_error(r, config_setting_get_member(s, idle[i].key), "the ledger of %s is only read and nothing runs: only "
				     "directory and table mean something there", tool->name);
	migrations->user = NULL;
	if (!config_setting_get_member(s, "table")) {
		migrations->table_schema = tool->schema;
		migrations->table_name = tool->table;
	}
}

/* Behind the name of the ledger come "_seed" and "_progress", and the server cuts what is longer than 63 bytes: the tables would be one. */
static void check_seed(struct reader *r, const config_setting_t *s, struct migration_settings *migrations)
{
	const config_setting_t *table = config_setting_get_member(s, "table");

	if (!migrations->seed)
		return;
	whole_path(r, config_setting_get_member(s, "seed"), &migrations->seed);
	if (table && migrations->table_name && strlen(migrations->table_name) > 53)
		reader_error(r, table, "with seed data the ledger's name may have 53 bytes: other tables are named by it, and the server cuts names at 63");
}

void check_migrations(struct reader *r, const config_setting_t *s, void *base)
{
	struct migration_settings *migrations = base;

	if (config_setting_get_member(s, "directory") && migrations->n_directories == 0 && !reader_has_error(r, config_setting_get_member(s, "directory")))
		reader_error(r, config_setting_get_member(s, "directory"), "the list is empty");
	for (uint32_t i = 0; i < migrations->n_directories; i++)
		whole_path(r, config_setting_get_member(s, "directory"), &migrations->directories[i]);
	check_format(r, s, migrations);
	check_patterns(r, s, migrations);
	check_placeholders(r, s, migrations);
	check_hold(r, s, migrations);
	check_seed(r, s, migrations);
	check_hook(r, s, "before", migrations->before);
	check_hook(r, s, "after", migrations->after);
}

/* "127.x.y.z:port" or "[::1]:port": whoever can reach the address can read the metrics. */
static bool is_loopback(const char *s)
{
	const char *port = strrchr(s, ':');
	char *end;

	if (!port || port[1] < '1' || port[1] > '9')
		return false;
	long number = strtol(port + 1, &end, 10);
	if (*end || number > 65535)
		return false;
	size_t host = (size_t) (port - s);
	if (host == 5 && strncmp(s, "[::1]", 5) == 0)
		return true;
	unsigned parts[4], n = 0;
	for (const char *p = s; n < 4; p++) {
		char *stop;

		if (*p < '0' || *p > '9')
			return false;
		parts[n++] = (unsigned) strtoul(p, &stop, 10);
		p = stop;
		if (p == port)
			break;
		if (*p != '.')
			return false;
	}
	return n == 4 && parts[0] == 127 && parts[1] < 256 && parts[2] < 256 && parts[3] < 256 &&
	       strspn(s, "0123456789.") == host;
}

void check_control(struct reader *r, const config_setting_t *s, void *base)
{
	const struct control_settings *control = base;
	const config_setting_t *listen = config_setting_get_member(s, "metrics_listen");

	if (*control->metrics_listen && !is_loopback(control->metrics_listen)) {
		struct error *err = reader_error(r, listen, "expected a loopback address and port, such as \"127.0.0.1:9187\" or \"[::1]:9187\"");

		if (err)
			error_hint(err, "to let others scrape, put a proxy in front of metrics_socket");
	}
	if (strcmp(control->socket, control->metrics_socket) == 0)
		reader_error(r, s, "socket and metrics_socket are the same path");
}
