/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "session/secret.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#define SECRET_MAX 1024u

static int wipe(char *secret)
{
	explicit_bzero(secret, talloc_get_size(secret));
	return 0;
}

char *secret_copy(void *parent, const char *s, size_t len)
{
	char *secret = talloc_zero_size(parent, len + 1);

	talloc_set_name_const(secret, "secret");
	if (s)
		memcpy(secret, s, len);
	talloc_set_destructor(secret, wipe);
	return secret;
}

int secret_trim(const char *s, size_t *len, const char **ret_reason)
{
	if (*len > 0 && s[*len - 1] == '\n')
		(*len)--;
	if (*len > 0 && s[*len - 1] == '\r')
		(*len)--;
	*ret_reason = *len == 0 ? "is empty" : memchr(s, '\0', *len) ? "holds a NUL byte" :
		      memchr(s, '\n', *len) ? "holds more than one line" : NULL;
	return *ret_reason ? 1 : 0;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

/* Symbolic links are followed: that is how Kubernetes mounts secrets. What counts is the file that was opened. */
static int check_file(int fd, const char *path, const struct source *where, struct error *err)
{
	struct stat st;

	if (fstat(fd, &st) < 0)
		error_set_at(err, where->file, where->line, "secret file \"%s\" cannot be examined: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		error_set_at(err, where->file, where->line, "secret file \"%s\" is not a regular file", path);
	else if (st.st_mode & S_IROTH)
		error_set_at(err, where->file, where->line, "secret file \"%s\" can be read by everybody", path);
	else if (st.st_mode & (S_IWGRP | S_IWOTH))
		error_set_at(err, where->file, where->line, "secret file \"%s\" can be written by others", path);
	else if (st.st_uid != 0 && st.st_uid != geteuid())
		error_set_at(err, where->file, where->line, "secret file \"%s\" belongs to another user", path);
	else
		return 0;
	error_hint(err, "make it a file of root or of the daemon's user, mode 0400 or 0440");
	return 1;
}

static int read_file(void *parent, const char *path, const struct source *where, char **ret, struct error *err)
{
	__attribute__((cleanup(close_fd))) int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY);
	char buf[SECRET_MAX + 2];
	const char *reason;
	size_t len = 0;
	ssize_t n = 1;
	int r;

	if (fd < 0) {
		error_set_at(err, where->file, where->line, "secret file \"%s\" cannot be opened: %s", path, strerror(errno));
		error_hint(err, "put the password there, in a file that the daemon's user may read");
		return 1;
	}
	if (check_file(fd, path, where, err) != 0)
		return 1;
	while (n > 0 && len < sizeof(buf)) {
		n = read(fd, buf + len, sizeof(buf) - len);
		len += n > 0 ? (size_t)n : 0;
	}
	r = secret_trim(buf, &len, &reason);
	if (n < 0)
		reason = "cannot be read";
	else if (len > SECRET_MAX)
		reason = "is longer than 1 KiB";
	if (n < 0 || r != 0 || len > SECRET_MAX) {
		error_set_at(err, where->file, where->line, "secret file \"%s\" %s", path, reason);
		error_hint(err, "it must hold the password on one line");
	} else {
		*ret = secret_copy(parent, buf, len);
	}
	explicit_bzero(buf, sizeof(buf));
	return n < 0 || r != 0 || len > SECRET_MAX;
}

static int read_credential(void *parent, const struct secret_source *source, char **ret, struct error *err)
{
	const char *directory = getenv("CREDENTIALS_DIRECTORY");
	char *path;
	int r;

	if (!directory || !directory[0]) {
		error_set_at(err, source->source.file, source->source.line,
			     "credential \"%s\": the service manager passed no credentials", source->value);
		error_hint(err, "add LoadCredential=%s:PATH to the unit, or use password_file", source->value);
		return 1;
	}
	if (strchr(source->value, '/') || strcmp(source->value, "..") == 0 || strcmp(source->value, ".") == 0) {
		error_set_at(err, source->source.file, source->source.line, "\"%s\" is not a name of a credential", source->value);
		error_hint(err, "a name, not a path; for a path use password_file");
		return 1;
	}
	path = talloc_asprintf(NULL, "%s/%s", directory, source->value);
	r = read_file(parent, path, &source->source, ret, err);
	talloc_free(path);
	return r;
}

int secret_read(void *parent, const struct secret_source *source, char **ret, struct error *err)
{
	switch (source->kind) {
	case SECRET_FILE:
		return read_file(parent, source->value, &source->source, ret, err);
	case SECRET_CREDENTIAL:
		return read_credential(parent, source, ret, err);
	case SECRET_COMMAND:
		error_set_at(err, source->source.file, source->source.line, "the output of password_command is not there yet");
		return 1;
	default:
		error_set(err, "no password is configured");
		error_hint(err, "give password_file, password_credential or password_command");
		return 1;
	}
}
