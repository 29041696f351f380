/* SPDX-License-Identifier: PostgreSQL */
#include "session/resolve.h"

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

static const struct {
	const char *keyword, *why;
} refused[] = {
	{ "password", "a password does not belong there: use password_file, password_credential or password_command" },
	{ "sslpassword", "a secret does not belong there: use a key without a passphrase that only the daemon can read" },
	{ "passfile", "passwords come from password_file, password_credential or password_command" },
	{ "service", "it would read other settings from a file: write them out" },
	{ "options", "the daemon sets options itself" },
	{ "application_name", "the daemon sets application_name itself" },
	{ "fallback_application_name", "the daemon sets application_name itself" },
	{ "client_encoding", "the daemon sets client_encoding itself" },
	{ "replication", "the daemon does not replicate" },
	{ "gssencmode", "GSSAPI is not supported: its library would block the daemon" },
};

/* Words that libpq itself would only refuse when it connects. */
static const struct {
	const char *keyword;
	const char *const *words;
} choices[] = {
	{ "sslmode", (const char *const[]){ "disable", "allow", "prefer", "require", "verify-ca", "verify-full", NULL } },
	{ "target_session_attrs",
		(const char *const[]){ "any", "read-write", "read-only", "primary", "standby", "prefer-standby", NULL } },
	{ "channel_binding", (const char *const[]){ "disable", "prefer", "require", NULL } },
};

static bool is_uri(const char *conninfo)
{
	return strncmp(conninfo, "postgres://", strlen("postgres://")) == 0 ||
	       strncmp(conninfo, "postgresql://", strlen("postgresql://")) == 0;
}

static PQconninfoOption *parse(const char *conninfo)
{
	char *message = NULL;
	PQconninfoOption *options = PQconninfoParse(conninfo, &message);

	PQfreemem(message);                    /* it quotes words of the text, secret ones too */
	return options;
}

const char *conninfo_value(const PQconninfoOption *options, const char *keyword)
{
	for (const PQconninfoOption *o = options; o->keyword; o++)
		if (strcmp(o->keyword, keyword) == 0)
			return o->val && o->val[0] ? o->val : NULL;
	return NULL;
}

static int check_refused(const PQconninfoOption *options, struct error *err)
{
	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++) {
		if (!conninfo_value(options, refused[i].keyword))
			continue;
		error_set(err, "conninfo holds the keyword %s: %s", refused[i].keyword, refused[i].why);
		return 1;
	}
	return 0;
}

static int check_choices(const PQconninfoOption *options, struct error *err)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		const char *value = conninfo_value(options, choices[i].keyword);
		const char *const *word = choices[i].words;

		while (value && *word && strcmp(*word, value) != 0)
			word++;
		if (!value || *word)
			continue;
		error_set(err, "conninfo gives %s a value that libpq does not know", choices[i].keyword);
		error_hint(err, "one of %s, %s, %s, ...", choices[i].words[0], choices[i].words[1], choices[i].words[2]);
		return 1;
	}
	return 0;
}

/* "5432" or "5432,5433": each 1 to 65535 or empty. */
static int check_port(const PQconninfoOption *options, struct error *err)
{
	const char *port = conninfo_value(options, "port");

	while (port && *port) {
		const size_t len = strcspn(port, ",");
		char *end = NULL;
		const long number = len > 0 ? strtol(port, &end, 10) : 0;

		if (len > 0 && (end != port + len || number < 1 || number > 65535)) {
			error_set(err, "conninfo gives a port that is not a number from 1 to 65535");
			return 1;
		}
		port += len + (port[len] == ',');
	}
	return 0;
}

static int check_timeout(const PQconninfoOption *options, struct error *err)
{
	const char *timeout = conninfo_value(options, "connect_timeout");

	if (!timeout || (strspn(timeout, "0123456789") == strlen(timeout) && strlen(timeout) <= 5))
		return 0;
	error_set(err, "conninfo gives a connect_timeout that is not a number of seconds");
	return 1;
}

static unsigned count(const char *list)
{
	unsigned n = list != NULL;

	for (; list && *list; list++)
		n += *list == ',';
	return n;
}

static int check_lists(const PQconninfoOption *options, struct error *err)
{
	const unsigned hosts = count(conninfo_value(options, "host")), addresses = count(conninfo_value(options, "hostaddr"));
	const unsigned ports = count(conninfo_value(options, "port"));
	const unsigned most = hosts > addresses ? hosts : addresses;

	if ((hosts && addresses && hosts != addresses) || (ports > 1 && ports != most)) {
		error_set(err, "conninfo lists different numbers of host, hostaddr and port");
		return 1;
	}
	if (most > 16) {
		error_set(err, "conninfo lists more than 16 hosts");
		return 1;
	}
	return 0;
}

int conninfo_check(const char *conninfo, struct error *err)
{
	PQconninfoOption *options;
	int r;

	if (is_uri(conninfo)) {
		error_set(err, "conninfo is a URI: write it as keyword=value words");
		error_hint(err, "for example \"host=db1.internal dbname=postgres user=dbreconcile\"");
		return 1;
	}
	options = parse(conninfo);
	if (!options) {
		error_set(err, "conninfo is not valid: it must be keyword=value words with libpq's keywords");
		error_hint(err, "values with blanks or backslashes stand in single quotes, with \\' and \\\\ inside");
		return 1;
	}
	r = check_refused(options, err) || check_choices(options, err) || check_port(options, err) ||
	    check_timeout(options, err) || check_lists(options, err);
	PQconninfoFree(options);
	return r;
}

char *conninfo_get(void *parent, const char *conninfo, const char *keyword)
{
	PQconninfoOption *options = parse(conninfo);
	const char *value;
	char *copy;

	if (!options)
		return NULL;
	value = conninfo_value(options, keyword);
	copy = value ? talloc_strdup(parent, value) : NULL;
	PQconninfoFree(options);
	return copy;
}
