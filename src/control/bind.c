/* SPDX-License-Identifier: PostgreSQL */
/*
 * Listening sockets that we make ourselves. A stale socket file is removed
 * only under a lock of our own and only when nobody answers behind it; the
 * mode is right from the first moment, by umask, never by a later chmod.
 */
#include "config.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "control/internal.h"
#include "control/names.h"

#define BACKLOG 64

static int make_address(const char *path, struct sockaddr_un *ret, struct error *err)
{
	size_t len = strlen(path);

	memset(ret, 0, sizeof(*ret));
	ret->sun_family = AF_UNIX;
	if (path[0] != '/' || len >= sizeof(ret->sun_path)) {
		error_set(err, "socket path '%s' must be absolute and at most %zu bytes long", path, sizeof(ret->sun_path) - 1);
		return 1;
	}
	memcpy(ret->sun_path, path, len + 1);
	return 0;
}

static int check_directory(void *parent, const char *path, struct error *err)
{
	char *directory = talloc_strndup(parent, path, (size_t)(strrchr(path, '/') - path) + 1);
	struct stat st;
	int r = 0;

	if (stat(directory, &st) < 0) {
		error_set(err, "cannot put a socket into '%s': %s", directory, strerror(errno));
		error_hint(err, "create the directory, owned by the daemon's user (systemd: RuntimeDirectory=), or set control.socket");
		r = 1;
	} else if ((st.st_mode & S_IWOTH) && !(st.st_mode & S_ISVTX)) {
		error_set(err, "directory '%s' can be written by everybody: others could replace the socket", directory);
		error_hint(err, "chmod o-w '%s'", directory);
		r = 1;
	}
	talloc_free(directory);
	return r;
}

static int take_lock(void *parent, const char *path, int *ret_fd, struct error *err)
{
	char *name = talloc_asprintf(parent, "%s.lock", path);
	int fd = open(name, O_RDWR | O_CREAT | O_NOFOLLOW | O_CLOEXEC, 0600);
	int r = 0;

	if (fd < 0) {
		error_set(err, "cannot open lock file '%s': %s", name, strerror(errno));
		r = 1;
	} else if (flock(fd, LOCK_EX | LOCK_NB) < 0) {
		error_set(err, "another dbreconciled runs with socket '%s' (lock file '%s')", path, name);
		error_hint(err, "stop it, or give this one its own control.socket and state");
		close(fd);
		fd = -1;
		r = 1;
	}
	*ret_fd = fd;
	talloc_free(name);
	return r;
}

/* The lock keeps other daemons away; a socket unit of systemd holds no lock, so ask whether somebody answers, too. */
static int remove_stale(const struct sockaddr_un *address, struct error *err)
{
	const char *path = address->sun_path;
	struct stat st;
	int fd, answered;

	if (lstat(path, &st) < 0)
		return 0;
	if (!S_ISSOCK(st.st_mode)) {
		error_set(err, "'%s' exists and is not a socket", path);
		error_hint(err, "move it away, or set another path");
		return 1;
	}
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		error_set(err, "cannot make a socket: %s", strerror(errno));
		return 1;
	}
	answered = connect(fd, (const struct sockaddr *)address, sizeof(*address)) == 0 || errno != ECONNREFUSED;
	close(fd);
	if (answered) {
		error_set(err, "somebody listens on '%s' already", path);
		error_hint(err, "stop the other daemon or its systemd socket unit");
		return 1;
	}
	if (unlink(path) < 0 && errno != ENOENT) {
		error_set(err, "cannot remove the stale socket '%s': %s", path, strerror(errno));
		return 1;
	}
	return 0;
}

int bind_unix(void *parent, const char *path, mode_t mode, int *lock_fd, int *ret_fd, struct error *err)
{
	struct sockaddr_un address;
	mode_t old;
	int fd, r;

	*ret_fd = -1;
	if (make_address(path, &address, err) != 0 || check_directory(parent, path, err) != 0)
		return 1;
	if (lock_fd && take_lock(parent, path, lock_fd, err) != 0)
		return 1;
	if (remove_stale(&address, err) != 0)
		return 1;
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0) {
		error_set(err, "cannot make a socket: %s", strerror(errno));
		return 1;
	}
	old = umask(~mode & 0777);
	r = bind(fd, (const struct sockaddr *)&address, sizeof(address));
	umask(old);
	if (r < 0 || listen(fd, BACKLOG) < 0) {
		error_set(err, "cannot listen on '%s': %s", path, strerror(errno));
		close(fd);
		return 1;
	}
	*ret_fd = fd;
	return 0;
}

/* Numbers may be read by whom the directory lets in. */
mode_t bind_metrics_mode(const char *path)
{
	const char *slash = strrchr(path, '/');
	char *directory = slash ? talloc_strndup(NULL, path, (size_t)(slash - path) + 1) : NULL;
	struct stat st;
	mode_t mode = directory && stat(directory, &st) == 0 && (st.st_mode & S_IXOTH) ? 0666 : 0660;

	talloc_free(directory);
	return mode;
}

/* Without systemd the operators' group must be able to connect. Only root or a member may give a file to a group: when
   that fails, root and the daemon's user can still connect. */
void bind_give_to_group(const char *path, const char *group)
{
	gid_t gid;

	if (group_number(group, &gid) != 0)
		return;
	if (fchownat(AT_FDCWD, path, (uid_t)-1, gid, AT_SYMLINK_NOFOLLOW) < 0)
		log_line(LOG_LEVEL_INFO, "socket '%s' cannot be given to group '%s' (%s): its members cannot connect", path, group,
			 strerror(errno));
}

struct loopback {
	union {
		struct sockaddr any;
		struct sockaddr_in v4;
		struct sockaddr_in6 v6;
	} u;
	socklen_t len;
};

static int parse_port(const char *text, in_port_t *ret)
{
	unsigned port = 0;

	if (*text == '\0')
		return 1;
	for (; *text; text++) {
		if (*text < '0' || *text > '9' || port > 65535)
			return 1;
		port = port * 10 + (unsigned)(*text - '0');
	}
	*ret = htons((uint16_t)port);
	return port > 65535;
}

/* 127.x.x.x:PORT or [::1]:PORT */
static int parse_loopback(const char *address, struct loopback *ret)
{
	const char *colon = strrchr(address, ':');
	char host[INET6_ADDRSTRLEN + 2];

	if (!colon || (size_t)(colon - address) >= sizeof(host))
		return 1;
	memcpy(host, address, (size_t)(colon - address));
	host[colon - address] = '\0';
	memset(ret, 0, sizeof(*ret));
	if (strcmp(host, "[::1]") == 0) {
		ret->u.v6.sin6_family = AF_INET6;
		ret->u.v6.sin6_addr = in6addr_loopback;
		ret->len = sizeof(ret->u.v6);
		return parse_port(colon + 1, &ret->u.v6.sin6_port);
	}
	ret->u.v4.sin_family = AF_INET;
	ret->len = sizeof(ret->u.v4);
	if (inet_pton(AF_INET, host, &ret->u.v4.sin_addr) != 1 || ntohl(ret->u.v4.sin_addr.s_addr) >> 24 != 127)
		return 1;
	return parse_port(colon + 1, &ret->u.v4.sin_port);
}

int bind_loopback(const char *address, int *ret_fd, struct error *err)
{
	struct loopback at;
	const int on = 1;
	int fd;

	*ret_fd = -1;
	if (parse_loopback(address, &at) != 0) {
		error_set(err, "control.metrics_listen: '%s' is not a loopback address with a port", address);
		error_hint(err, "for example \"127.0.0.1:9187\"; other machines read the numbers through a proxy that checks who asks");
		return 1;
	}
	fd = socket(at.u.any.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, &at.u.any, at.len) < 0 || listen(fd, BACKLOG) < 0) {
		error_set(err, "cannot listen on %s: %s", address, strerror(errno));
		if (fd >= 0)
			close(fd);
		return 1;
	}
	*ret_fd = fd;
	return 0;
}
