/* SPDX-License-Identifier: PostgreSQL */
/*
 * What servers say, made fit for people. Every field may be missing, long, in any language and full of escapes.
 */
#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "session/private.h"

static void copy_sqlstate(char *to, const char *from)
{
	to[0] = '\0';
	if (!from || strlen(from) != 5)
		return;
	for (unsigned i = 0; i < 5; i++)
		if (!isdigit((unsigned char)from[i]) && !(from[i] >= 'A' && from[i] <= 'Z'))
			return;
	memcpy(to, from, 6);
}

/* The innermost line of the context, and that of the function it is in: "SQL statement ..." alone says not where. */
static size_t context_len(const char *context)
{
	size_t first = strcspn(context, "\n"), more = context[first] == '\n' ? strcspn(context + first + 1, "\n") : 0;

	return strncmp(context, "SQL ", 4) == 0 && more > 0 ? first + 1 + more : first;
}

/* Lines joined with "; ", without a final one. */
static void add_joined(struct text *to, const char *s, size_t len)
{
	while (len > 0 && (s[len - 1] == '\n' || s[len - 1] == ' '))
		len--;
	for (size_t i = 0; i < len && to->len < 2 * SERVER_TEXT_MAX; i++) {
		if (s[i] == '\n')
			text_add(to, "; ");
		else
			text_add_char(to, s[i]);
		while (s[i] == '\n' && i + 1 < len && (s[i + 1] == '\t' || s[i + 1] == ' ' || s[i + 1] == '\n'))
			i++;
	}
}

static size_t bounded(const char *s)
{
	return strnlen(s, 2 * SERVER_TEXT_MAX);
}

void message_from_result(const PGresult *res, bool with_context, struct error *err, unsigned *ret_position)
{
	const char *primary = PQresultErrorField(res, PG_DIAG_MESSAGE_PRIMARY);
	const char *detail = PQresultErrorField(res, PG_DIAG_MESSAGE_DETAIL);
	const char *hint = PQresultErrorField(res, PG_DIAG_MESSAGE_HINT);
	const char *context = with_context ? PQresultErrorField(res, PG_DIAG_CONTEXT) : NULL;
	const char *position = PQresultErrorField(res, PG_DIAG_STATEMENT_POSITION);
	struct text *text = text_new(NULL);

	error_clear(err);
	if (!primary)
		primary = PQresultErrorMessage(res);       /* libpq's own: the connection was lost */
	add_joined(text, primary && primary[0] ? primary : "the server sent an error without a text",
		   bounded(primary && primary[0] ? primary : "the server sent an error without a text"));
	if (detail) {
		text_add(text, ": ");
		add_joined(text, detail, bounded(detail));
	}
	if (context) {
		text_add(text, " [");
		add_joined(text, context, context_len(context));
		text_add(text, "]");
	}
	error_set(err, "%s", text_escape(text, text->s, text->len, SERVER_TEXT_MAX));
	if (hint) {
		text_clear(text);
		add_joined(text, hint, bounded(hint));
		error_hint(err, "%s", text_escape(text, text->s, text->len, sizeof(err->hint) - 8));
	}
	copy_sqlstate(err->sqlstate, PQresultErrorField(res, PG_DIAG_SQLSTATE));
	if (ret_position && (!position || sscanf(position, "%9u", ret_position) != 1))
		*ret_position = 0;
	talloc_free(text);
}

/* "FATAL:  28P01: password ..." : libpq shows no PGresult for a connection that failed, but the verbose text holds the code. */
static const char *find_sqlstate(const char *message, char *sqlstate)
{
	for (const char *p = strstr(message, ":  "); p; p = strstr(p + 1, ":  ")) {
		char code[6] = "";

		if (strnlen(p + 3, 7) < 7 || p[8] != ':' || p[9] != ' ')
			continue;
		memcpy(code, p + 3, 5);
		copy_sqlstate(sqlstate, code);
		if (sqlstate[0])
			return p + 3;
	}
	return NULL;
}

/* What libpq itself says, where it means more than "cannot connect". */
static const struct {
	const char *text;
	enum failure failure;
	const char *hint;
} own_words[] = {
	{ "no password supplied", FAILURE_AUTH, "give password_file, password_credential or password_command" },
	{ "server is in hot standby mode", FAILURE_IDENTITY, NULL },
	{ "server is not in hot standby mode", FAILURE_IDENTITY, NULL },
	{ "session is read-only", FAILURE_IDENTITY, NULL },
	{ "session is not read-only", FAILURE_IDENTITY, NULL },
	{ "authentication method requirement", FAILURE_AUTH,
		"the server asks for the password in another way than conninfo allows (require_auth)" },
	{ "channel binding", FAILURE_AUTH, NULL },
	{ "root certificate file", FAILURE_CONNECT,
		"sslmode is verify-full unless conninfo says otherwise: give sslrootcert=FILE, or another sslmode" },
	{ "server closed the connection unexpectedly", FAILURE_CONNECT,
		"the server crashed or was restarted, or something in between cut the connection; it is tried again" },
	{ "certificate", FAILURE_CONNECT, "check sslrootcert, and that the certificate is for the host in conninfo" },
	{ "server does not support SSL", FAILURE_CONNECT,
		"sslmode is verify-full unless conninfo says otherwise: switch TLS on in the server, or give another sslmode" },
};

static enum failure own_failure(const char *message, struct error *err)
{
	for (size_t i = 0; i < sizeof(own_words) / sizeof(own_words[0]); i++) {
		if (!strstr(message, own_words[i].text))
			continue;
		error_hint(err, "%s", own_words[i].hint ? own_words[i].hint : failure_hint(own_words[i].failure));
		return own_words[i].failure;
	}
	error_hint(err, "%s", failure_hint(FAILURE_CONNECT));
	return FAILURE_CONNECT;
}

enum failure message_from_connect(const char *message, struct error *err)
{
	char sqlstate[6] = "";
	const char *code = find_sqlstate(message, sqlstate);
	const char *location = code ? strstr(code, "\nLOCATION:") : NULL;
	struct text *text = text_new(NULL);
	enum failure failure;

	error_clear(err);
	if (code) {
		const char *said = code + strlen("28P01: ");

		add_joined(text, message, (size_t)(code - message) < bounded(message) ? (size_t)(code - message) : bounded(message));
		text_add_char(text, ' ');
		add_joined(text, said, location ? (size_t)(location - said) : bounded(said));
	} else {
		const char *explained = strstr(message, "\n\tThis probably means");   /* libpq's guess, twice as long as the fact */

		add_joined(text, message, explained ? (size_t)(explained - message) : bounded(message));
	}
	error_set(err, "%s", text->len > 0 ? text_escape(text, text->s, text->len, SERVER_TEXT_MAX) : "the connection failed");
	talloc_free(text);
	memcpy(err->sqlstate, sqlstate, sizeof(sqlstate));
	if (!code)
		return own_failure(message, err);
	failure = failure_from_sqlstate(sqlstate, err->text);
	error_hint(err, "%s", failure_hint(failure));
	return failure;
}

/* The first WARNING of a statement is kept; a FATAL while nothing runs is the server's reason to go. */
void message_receive_notice(void *data, const PGresult *res)
{
	struct session *s = data;
	const char *severity = PQresultErrorField(res, PG_DIAG_SEVERITY_NONLOCALIZED);
	struct error err;

	if (!severity)
		return;
	if (strcmp(severity, "FATAL") == 0 || strcmp(severity, "PANIC") == 0) {
		message_from_result(res, false, &s->farewell, NULL);
		return;
	}
	if (strcmp(severity, "WARNING") != 0 || !s->running || s->running->notice)
		return;
	message_from_result(res, false, &err, NULL);
	s->running->notice = talloc_strdup(s->running, err.text);
	memcpy(s->running->notice_sqlstate, err.sqlstate, sizeof(err.sqlstate));
}
