/* SPDX-License-Identifier: PostgreSQL */
/*
 * libpq's keyword = value strings, looked at without libpq: is it well-formed,
 * which keywords are there, and would libpq take their values. Reasons never
 * quote any of it: libpq's own messages repeat the whole text, with a password
 * that someone put there.
 */
#include <ctype.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "config/reader.h"

static const char *const keywords[] = {
	"application_name", "channel_binding", "client_encoding", "connect_timeout", "dbname", "fallback_application_name", "gssdelegation",
	"gssencmode", "gsslib", "host", "hostaddr", "keepalives", "keepalives_count", "keepalives_idle", "keepalives_interval",
	"krbsrvname", "load_balance_hosts", "max_protocol_version", "min_protocol_version", "oauth_client_id", "oauth_issuer",
	"oauth_scope", "options", "passfile", "port", "replication", "require_auth", "requirepeer", "service", "servicefile",
	"ssl_max_protocol_version", "ssl_min_protocol_version", "sslcert", "sslcertmode", "sslcompression", "sslcrl", "sslcrldir",
	"sslkey", "sslkeylogfile", "sslmode", "sslnegotiation", "sslrootcert", "sslsni", "target_session_attrs", "tcp_user_timeout", "user",
};
#define SOURCES "use password_credential, password_file or password_command instead"

static const struct refused {
	const char *keyword, *why;
} refused[] = {
	{ "password", SOURCES },
	{ "sslpassword", "use a key without a passphrase that only the daemon can read" },
	{ "oauth_client_secret", SOURCES },
	{ "scram_client_key", SOURCES },
	{ "scram_server_key", SOURCES },
	{ "passfile", SOURCES },
	{ "service", "it would read other settings from a file; write them out" },
	{ "servicefile", "it would read other settings from a file; write them out" },
	{ "options", "the daemon sets options itself" },
	{ "application_name", "the daemon sets application_name itself" },
	{ "fallback_application_name", "the daemon sets application_name itself" },
	{ "client_encoding", "the daemon sets client_encoding itself" },
	{ "replication", "the daemon does not replicate" },
};

/* Words that libpq itself would only refuse when it connects. */
static const struct choice {
	const char *keyword, *words[7];
} choices[] = {
	{ "sslmode", { "disable", "allow", "prefer", "require", "verify-ca", "verify-full" } },
	{ "target_session_attrs", { "any", "read-write", "read-only", "primary", "standby", "prefer-standby" } },
	{ "channel_binding", { "disable", "prefer", "require" } },
	{ "gssencmode", { "disable" } },        /* the library of GSSAPI would block the daemon */
};

/* What other values are compared with. */
struct lists {
	unsigned hosts, addresses, ports;
};

static bool among(const char *word, const char *const *list, size_t n)
{
	for (size_t i = 0; i < n; i++)
		if (strcmp(word, list[i]) == 0)
			return true;
	return false;
}

static const char *skip_space(const char *s)
{
	while (isspace((unsigned char) *s))
		s++;
	return s;
}

/* Behind the value, by libpq's rules for quotes and backslashes, and *ret what it means; NULL when a quote does not end. */
static const char *take_value(void *parent, const char *s, char **ret)
{
	bool quoted = *s == '\'';
	char *out = *ret = talloc_zero_array(parent, char, strlen(s) + 1);

	for (s += quoted; *s && (quoted ? *s != '\'' : !isspace((unsigned char) *s)); s++) {
		if (*s == '\\' && s[1])
			s++;
		*out++ = *s;
	}
	if (quoted && *s != '\'')
		return NULL;
	return s + quoted;
}

static bool is_uri(const char *s)
{
	const char *end = strstr(s, "://");

	for (const char *p = s; end && p < end; p++)
		if (!isalnum((unsigned char) *p))
			return false;           /* not a scheme: "://" stands inside a value */
	return end != NULL;
}

static const char *keyword_reason(void *parent, const char *word)
{
	const char *near;

	for (size_t i = 0; i < sizeof(refused) / sizeof(refused[0]); i++)
		if (strcmp(word, refused[i].keyword) == 0)
			return talloc_asprintf(parent, "it holds '%s': %s", word, refused[i].why);
	if (among(word, keywords, sizeof(keywords) / sizeof(keywords[0])))
		return NULL;
	near = text_nearest(word, keywords, sizeof(keywords) / sizeof(keywords[0]));
	/* even an unknown keyword may be a piece of a secret: it is named only when it resembles a known one */
	return near ? talloc_asprintf(parent, "libpq has no such keyword: did you mean '%s'?", near) : "it holds a keyword that libpq does not have";
}

static const char *choice_reason(void *parent, const char *word, const char *value)
{
	for (size_t i = 0; i < sizeof(choices) / sizeof(choices[0]); i++) {
		const char *const *words = choices[i].words;
		char *all = NULL;
		size_t n = 0;

		if (strcmp(word, choices[i].keyword) != 0)
			continue;
		for (; words[n]; n++)
			all = all ? talloc_asprintf_append(all, ", %s", words[n]) : talloc_strdup(parent, words[n]);
		return among(value, words, n) ? NULL : talloc_asprintf(parent, "the value of '%s' is not possible (possible: %s)", word, all);
	}
	return NULL;
}

static unsigned count(const char *list)
{
	unsigned n = 1;

	for (; *list; list++)
		n += *list == ',';
	return n;
}

/* "5432" or "5432,5433": each 1 to 65535 or empty. */
static bool is_port(const char *port)
{
	while (*port) {
		const size_t len = strcspn(port, ",");
		char *end = NULL;
		const long number = len > 0 ? strtol(port, &end, 10) : 0;

		if (len > 0 && (!isdigit((unsigned char) *port) || end != port + len || number < 1 || number > 65535))
			return false;
		port += len + (port[len] == ',');
	}
	return true;
}

/* An empty value is libpq's default. */
static const char *value_reason(void *parent, const char *word, const char *value, struct lists *l)
{
	if (!*value)
		return NULL;
	if (strcmp(word, "host") == 0)
		l->hosts = count(value);
	if (strcmp(word, "hostaddr") == 0)
		l->addresses = count(value);
	if (strcmp(word, "port") == 0) {
		l->ports = count(value);
		return is_port(value) ? NULL : "the value of 'port' is not a number from 1 to 65535";
	}
	if (strcmp(word, "connect_timeout") == 0 && (strspn(value, "0123456789") != strlen(value) || strlen(value) > 5))
		return "the value of 'connect_timeout' is not a number of seconds (daemon.connect_timeout takes a duration)";
	return choice_reason(parent, word, value);
}

static const char *lists_reason(const struct lists *l)
{
	const unsigned most = l->hosts > l->addresses ? l->hosts : l->addresses;

	if ((l->hosts && l->addresses && l->hosts != l->addresses) || (l->ports > 1 && l->ports != most))
		return "it lists different numbers of host, hostaddr and port";
	return most > 16 ? "it lists more than 16 hosts" : NULL;
}

static const char *find_reason(void *parent, const char *s)
{
	struct lists lists = { 0 };
	const char *reason = NULL;

	while (!reason && *(s = skip_space(s))) {
		const char *begin = s;
		char word[64], *value;

		while (isalnum((unsigned char) *s) || *s == '_')
			s++;
		size_t len = (size_t) (s - begin);
		s = skip_space(s);
		if (len == 0 || len >= sizeof(word) || *s != '=')
			return "this is not \"keyword=value ...\" as libpq reads it";
		memcpy(word, begin, len);
		word[len] = '\0';
		reason = keyword_reason(parent, word);
		s = take_value(parent, skip_space(s + 1), &value);
		if (!reason && !s)
			return "a quoted value does not end";
		if (!reason)
			reason = value_reason(parent, word, value, &lists);
	}
	return reason ? reason : lists_reason(&lists);
}

int conninfo_check(void *parent, const char *conninfo, const char **ret_reason)
{
	void *scratch = talloc_new(parent);
	const char *reason = is_uri(skip_space(conninfo))
		? "a connection URI is not accepted: write \"host=... user=... dbname=...\" (a URI tends to hold a password)"
		: find_reason(scratch, conninfo);

	*ret_reason = reason ? talloc_strdup(parent, reason) : NULL;
	talloc_free(scratch);
	return reason ? 1 : 0;
}
