/* SPDX-License-Identifier: PostgreSQL */
/* What a client program needs in its environment to connect as a session would. */
#include "config.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>
#include <unistd.h>

#include "session/private.h"

struct list {
	void *parent;
	char **v;
	unsigned n;
};

static void add(struct list *l, const char *name, const char *value)
{
	l->v = talloc_realloc(l->parent, l->v, char *, l->n + 2);
	l->v[l->n++] = talloc_asprintf(l->v, "%s=%s", name, value);
	l->v[l->n] = NULL;
}

/* The program must not meet what is meant for us: how systemd talks to us, and a connection of somebody else. */
static bool inherited(const char *entry)
{
	static const char *const not_ours[] = { "PG", "LISTEN_", "NOTIFY_SOCKET=", "WATCHDOG_", "CREDENTIALS_DIRECTORY=", "INVOCATION_ID=",
						"JOURNAL_STREAM=" };

	for (size_t i = 0; i < sizeof(not_ours) / sizeof(not_ours[0]); i++)
		if (strncmp(entry, not_ours[i], strlen(not_ours[i])) == 0)
			return false;
	return true;
}

const char *conninfo_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && o->val[0] ? o->val : NULL;
	return NULL;
}

static void add_options(struct list *l, const PQconninfoOption *options)
{
	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (o->envvar && o->val && o->val[0] && strcmp(o->keyword, "user") != 0 && strcmp(o->keyword, "dbname") != 0 &&
		    strcmp(o->keyword, "password") != 0 && strcmp(o->keyword, "passfile") != 0)
			add(l, o->envvar, o->val);
}

char **session_environment(void *parent, const struct session_config *config, const char *passfile)
{
	PQconninfoOption *options = PQconninfoParse(config->conninfo ? config->conninfo : "", NULL);
	struct list l = { .parent = parent };
	const char *host, *sslmode, *user;

	if (!options)
		return NULL;
	for (char **entry = environ; entry && *entry; entry++)
		if (inherited(*entry)) {
			l.v = talloc_realloc(parent, l.v, char *, l.n + 2);
			l.v[l.n++] = talloc_strdup(l.v, *entry);
		}
	add_options(&l, options);
	host = conninfo_value(options, "host");
	sslmode = conninfo_value(options, "sslmode");
	user = config->user ? config->user : conninfo_value(options, "user");
	if (!sslmode && (conninfo_value(options, "hostaddr") || (host && host[0] != '/' && host[0] != '@')))
		add(&l, "PGSSLMODE", "verify-full");       /* as every session of ours */
	if (user)
		add(&l, "PGUSER", user);
	add(&l, "PGDATABASE", config->database ? config->database : "postgres");
	add(&l, "PGAPPNAME", config->application_name ? config->application_name : "dbreconciled");
	add(&l, "PGPASSFILE", passfile ? passfile : "/dev/null/none");
	PQconninfoFree(options);
	return l.v;
}
