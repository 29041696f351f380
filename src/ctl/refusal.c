/* SPDX-License-Identifier: PostgreSQL */
#include <errno.h>
#include <grp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "ctl/refusal.h"

int refusal_set(struct answer *answer, int code, const char *text, const char *hint)
{
	answer->exit = code;
	snprintf(answer->text, sizeof answer->text, "%s", text);
	snprintf(answer->hint, sizeof answer->hint, "%s", hint ? hint : "");
	return code;
}

/* The group that may use the socket: what the file says, or where it cannot be seen, what the packages create. */
static void name_group(const char *socket, char *buf, size_t size)
{
	const struct group *group = NULL;
	struct stat st;

	if (stat(socket, &st) == 0 && (st.st_mode & S_IWGRP) && st.st_gid != 0)
		group = getgrgid(st.st_gid);
	snprintf(buf, size, "%s", group ? group->gr_name : "dbreconcile-admin");
}

int refusal_connect(struct answer *answer, const char *socket, int os_errno)
{
	bool permission = os_errno == EACCES || os_errno == EPERM;
	char group[128];

	answer->exit = permission ? DBR_EXIT_PERMISSION : DBR_EXIT_UNREACHABLE;
	if (!permission) {
		snprintf(answer->text, sizeof answer->text, "is dbreconciled running? socket %s: %s", socket,
			 os_errno ? strerror(os_errno) : "cannot connect");
		return answer->exit;
	}
	name_group(socket, group, sizeof group);
	snprintf(answer->text, sizeof answer->text, "permission denied: socket %s: %s", socket, strerror(os_errno));
	snprintf(answer->hint, sizeof answer->hint,
		 "members of group %s (control.admin_groups) may use it: `usermod -aG %s USER`, then log in again; or run it as root", group,
		 group);
	return answer->exit;
}

int refusal_lost(struct answer *answer, const char *socket, const char *why)
{
	answer->exit = DBR_EXIT_UNREACHABLE;
	snprintf(answer->text, sizeof answer->text, "the daemon ended the connection: socket %s: %s", socket, why);
	snprintf(answer->hint, sizeof answer->hint, "is dbreconciled being stopped? `journalctl -u dbreconciled` says more");
	return answer->exit;
}

static int exit_of_http(long http)
{
	static const struct { long http; int exit; } map[] = {
		{ 400, DBR_EXIT_USAGE }, { 403, DBR_EXIT_PERMISSION }, { 404, DBR_EXIT_USAGE }, { 409, DBR_EXIT_FAILED },
		{ 422, DBR_EXIT_CONFIG }, { 503, DBR_EXIT_UNREACHABLE }, { 504, DBR_EXIT_TIMEOUT },
	};

	for (size_t i = 0; i < sizeof map / sizeof *map; i++)
		if (map[i].http == http)
			return map[i].exit;
	return DBR_EXIT_INTERNAL;
}

static int not_ours(struct answer *answer, const char *socket)
{
	snprintf(answer->text, sizeof answer->text, "socket %s answers with HTTP status %ld, but not as dbreconciled does", socket, answer->http);
	snprintf(answer->hint, sizeof answer->hint, "is it the control socket of dbreconciled?");
	return answer->exit;
}

/* "file:3:7: what is the matter", as far as the place is known. */
static void put_message(char *to, size_t size, const json_t *error)
{
	const char *file = ctl_raw(error, "file");
	int line = (int)ctl_int(error, "line"), column = (int)ctl_int(error, "column"), n = 0;

	if (*file)
		n = snprintf(to, size, "%s", file);
	if (*file && line > 0 && n > 0 && (size_t)n < size)
		n += snprintf(to + n, size - (size_t)n, column > 0 ? ":%d:%d" : ":%d", line, column);
	if (n >= 0 && (size_t)n < size)
		snprintf(to + n, size - (size_t)n, "%s%s", *file ? ": " : "", ctl_raw(error, "message"));
}

int refusal_http(struct answer *answer, const char *socket)
{
	const json_t *error = json_object_get(answer->doc, "error");

	answer->exit = exit_of_http(answer->http);
	if (!*ctl_raw(error, "message"))
		return not_ours(answer, socket);
	if (json_array_size(json_object_get(answer->doc, "errors")) == 0)
		put_message(answer->text, sizeof answer->text, error);
	else
		snprintf(answer->text, sizeof answer->text, "%s", ctl_raw(error, "message"));
	snprintf(answer->hint, sizeof answer->hint, "%s", ctl_raw(error, "hint"));
	return answer->exit;
}

int refusal_format(struct answer *answer, const char *format)
{
	const char *said = ctl_raw(answer->doc, "format"), *version = ctl_raw(answer->doc, "format_version");

	answer->exit = DBR_EXIT_INTERNAL;
	if (strncmp(said, "dbreconcile.", 12) != 0 || strcmp(said + 12, format) != 0)
		snprintf(answer->text, sizeof answer->text, "expected a document dbreconcile.%s, got %s%s", format,
			 *said ? said : "something else", answer->doc ? "" : " (not JSON)");
	else if (strtol(version, NULL, 10) != strtol(DBR_FORMAT_VERSION, NULL, 10))
		snprintf(answer->text, sizeof answer->text, "the daemon speaks version %s of %s, this dbreconcilectl %s: use those of one release",
			 version, said, DBR_FORMAT_VERSION);
	else
		answer->exit = DBR_EXIT_OK;
	return answer->exit;
}

int answer_complain(const struct answer *answer)
{
	const json_t *errors = json_object_get(answer->doc, "errors"), *error;
	size_t i;

	ctl_complain(answer->exit, "%s", answer->text);
	json_array_foreach(errors, i, error) {
		char line[2048];

		put_message(line, sizeof line, error);
		ctl_hint(line);
		if (*ctl_raw(error, "hint"))
			ctl_hint(ctl_raw(error, "hint"));
	}
	ctl_hint(answer->hint);
	return answer->exit;
}
