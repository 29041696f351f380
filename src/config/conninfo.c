/* SPDX-License-Identifier: PostgreSQL */
/*
 * libpq's keyword = value strings, looked at without libpq: which keywords are
 * there, and is it well-formed. Reasons never quote any of it: libpq's own
 * messages repeat the whole text, with a password that someone put there.
 */
#include <ctype.h>
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
static const char *const secrets[] = { "password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key" };

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

/* Behind the value, by libpq's rules for quotes and backslashes; NULL when a quote does not end. */
static const char *skip_value(const char *s)
{
	bool quoted = *s == '\'';

	for (s += quoted; *s && (quoted ? *s != '\'' : !isspace((unsigned char) *s)); s++) {
		if (*s == '\\' && s[1])
			s++;
	}
	if (quoted && *s != '\'')
		return NULL;
	return s + quoted;
}

int conninfo_check(void *parent, const char *conninfo, const char **ret_reason)
{
	const char *s = skip_space(conninfo);

	if (strstr(s, "://")) {
		const char *scheme_end = strstr(s, "://");

		for (const char *p = s; p < scheme_end; p++)
			if (!isalnum((unsigned char) *p))
				scheme_end = p;      /* not a scheme: "://" stands inside a value */
		if (strncmp(scheme_end, "://", 3) == 0) {
			*ret_reason = "a connection URI is not accepted: write \"host=... user=... dbname=...\" (a URI tends to hold a password)";
			return 1;
		}
	}
	while (*s) {
		const char *begin = s;
		char word[64];

		while (isalnum((unsigned char) *s) || *s == '_')
			s++;
		size_t len = (size_t) (s - begin);
		s = skip_space(s);
		if (len == 0 || len >= sizeof(word) || *s != '=') {
			*ret_reason = "this is not \"keyword=value ...\" as libpq reads it";
			return 1;
		}
		memcpy(word, begin, len);
		word[len] = '\0';
		if (among(word, secrets, sizeof(secrets) / sizeof(secrets[0]))) {
			*ret_reason = talloc_asprintf(parent, "it holds '%s': use password_credential, password_file or password_command instead",
						      word);
			return 1;
		}
		if (!among(word, keywords, sizeof(keywords) / sizeof(keywords[0]))) {
			const char *near = text_nearest(word, keywords, sizeof(keywords) / sizeof(keywords[0]));

			/* even an unknown keyword may be a piece of a secret: it is named only when it resembles a known one */
			*ret_reason = near ? talloc_asprintf(parent, "libpq has no such keyword: did you mean '%s'?", near)
					   : "it holds a keyword that libpq does not have";
			return 1;
		}
		s = skip_value(skip_space(s + 1));
		if (!s) {
			*ret_reason = "a quoted value does not end";
			return 1;
		}
		s = skip_space(s);
	}
	return 0;
}
