/* SPDX-License-Identifier: PostgreSQL */
#include <string.h>

#include "session/private.h"

static const struct {
	const char *name;
	bool transient;
	const char *hint;                      /* when the session could not be opened */
} failures[] = {
	[FAILURE_NONE] = { "none", false, "" },
	[FAILURE_CONNECT] = { "connect", true, "check host and port in conninfo, and that the server runs and listens there" },
	[FAILURE_TIMEOUT] = { "timeout", true, "the server or the network does not answer; it is tried again" },
	[FAILURE_AUTH] = { "auth", false, "check the user and its password source, and pg_hba.conf on the server" },
	[FAILURE_TOO_MANY] = { "too_many_connections", true,
		"raise max_connections, or the CONNECTION LIMIT that is named, or keep slots free with reserved_connections (PostgreSQL 16 and later)" },
	[FAILURE_STARTING] = { "starting", true, "the server starts, stops or recovers; it is tried again" },
	[FAILURE_PERMISSION] = { "permission", false, "give the daemon's role the right it lacks" },
	[FAILURE_LOCK] = { "lock", true, "somebody else holds a lock; it is tried again" },
	[FAILURE_CONFLICT] = { "conflict", true, "somebody else changed the same thing; it is tried again" },
	[FAILURE_IDENTITY] = { "identity", false, "connect directly to the primary of the right cluster, without a pooler" },
	[FAILURE_NO_DATABASE] = { "no_database", false, "create the database, or correct its name" },
	[FAILURE_SQL] = { "sql", false, "" },
	[FAILURE_INTERNAL] = { "internal", false, "" },
};

const char *failure_name(enum failure failure)
{
	return (size_t)failure < sizeof(failures) / sizeof(failures[0]) ? failures[failure].name : "internal";
}

bool failure_is_transient(enum failure failure)
{
	return (size_t)failure < sizeof(failures) / sizeof(failures[0]) && failures[failure].transient;
}

const char *failure_hint(enum failure failure)
{
	return failures[failure].hint;
}

/* First match wins. A shorter code stands for its class; text, when there, must be in the message as well. */
static const struct {
	const char *sqlstate, *text;
	enum failure failure;
} causes[] = {
	{ "28", NULL, FAILURE_AUTH },
	{ "3D000", NULL, FAILURE_NO_DATABASE },
	{ "53300", NULL, FAILURE_TOO_MANY },
	{ "57P01", NULL, FAILURE_STARTING },           /* admin_shutdown */
	{ "57P02", NULL, FAILURE_STARTING },           /* crash_shutdown */
	{ "57P03", NULL, FAILURE_STARTING },           /* cannot_connect_now */
	{ "57P04", NULL, FAILURE_NO_DATABASE },        /* database_dropped */
	{ "57P05", NULL, FAILURE_TIMEOUT },            /* idle_session_timeout */
	{ "25P03", NULL, FAILURE_TIMEOUT },            /* idle_in_transaction_session_timeout */
	{ "25P04", NULL, FAILURE_TIMEOUT },            /* transaction_timeout */
	{ "57014", "statement timeout", FAILURE_TIMEOUT },
	{ "57014", "conflict with recovery", FAILURE_STARTING },
	{ "08P01", "unsupported startup parameter", FAILURE_IDENTITY },   /* pgbouncer */
	{ "08", NULL, FAILURE_CONNECT },
	{ "42501", NULL, FAILURE_PERMISSION },
	{ "55P03", NULL, FAILURE_LOCK },
	{ "40P01", NULL, FAILURE_LOCK },
	{ "40", NULL, FAILURE_CONFLICT },
	{ "55006", NULL, FAILURE_LOCK },               /* object_in_use */
	{ "25006", NULL, FAILURE_IDENTITY },           /* read_only_sql_transaction: it has become a standby */
	{ "XX000", "tuple concurrently", FAILURE_CONFLICT },
	{ "XX000", "cache lookup failed", FAILURE_CONFLICT },
	{ "XX000", "could not open relation with OID", FAILURE_CONFLICT },
	{ "23505", "\"pg_", FAILURE_CONFLICT },        /* two sessions wrote the same catalog row */
	{ "53", NULL, FAILURE_SQL },
};

enum failure failure_from_sqlstate(const char *sqlstate, const char *message)
{
	if (!sqlstate || !sqlstate[0])
		return FAILURE_CONNECT;
	for (size_t i = 0; i < sizeof(causes) / sizeof(causes[0]); i++) {
		if (strncmp(sqlstate, causes[i].sqlstate, strlen(causes[i].sqlstate)) != 0)
			continue;
		if (!causes[i].text || (message && strstr(message, causes[i].text)))
			return causes[i].failure;
	}
	return FAILURE_SQL;
}
