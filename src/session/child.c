/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "session/child.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/text.h"

#define KEEP 4096u
#define SHOWN_LINES 6
#define SHOWN 500u
#define REAP_POLL 50
#define READS_PER_TURN 16

struct child {
	pid_t pid;                     /* 0 = has ended */
	int pidfd, out;                /* -1 = none */
	bool late;
	msec_t deadline, timeout;
	int status;                    /* of waitpid() */
	char output[KEEP];             /* the last that it wrote */
	size_t used;
};

int child_spawn(char *const *argv, char *const *env, int out, int err, pid_t *ret_pid)
{
	posix_spawn_file_actions_t files;
	posix_spawnattr_t attr;
	sigset_t none, all;
	int r;

	sigemptyset(&none);
	sigfillset(&all);
	posix_spawn_file_actions_init(&files);
	posix_spawnattr_init(&attr);
	posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&files, out, STDOUT_FILENO);
	if (err >= 0)
		posix_spawn_file_actions_adddup2(&files, err, STDERR_FILENO);
	posix_spawnattr_setpgroup(&attr, 0);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setsigdefault(&attr, &all);
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETPGROUP | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
	r = posix_spawnp(ret_pid, argv[0], &files, &attr, argv, env ? env : environ);
	posix_spawnattr_destroy(&attr);
	posix_spawn_file_actions_destroy(&files);
	return r;
}

int child_pidfd(pid_t pid)
{
	int fd = (int)syscall(SYS_pidfd_open, pid, 0);

	if (fd >= 0)
		fcntl(fd, F_SETFD, FD_CLOEXEC);
	return fd;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

static void end_group(const struct child *c, int sig)
{
	if (c->pid > 0)
		kill(-c->pid, sig);
}

static int child_destroy(struct child *c)
{
	end_group(c, SIGKILL);
	if (c->pid > 0)
		waitpid(c->pid, NULL, 0);      /* killed: does not last */
	close_fd(&c->out);
	close_fd(&c->pidfd);
	return 0;
}

int child_start(void *parent, char *const *argv, char *const *env, msec_t timeout, msec_t now, struct child **ret, struct error *err)
{
	struct child *c = talloc_zero(parent, struct child);
	int ends[2] = { -1, -1 }, r;

	c->out = c->pidfd = -1;
	c->timeout = timeout;
	c->deadline = now + timeout;
	r = pipe2(ends, O_CLOEXEC) < 0 ? errno : child_spawn(argv, env, ends[1], ends[1], &c->pid);
	close_fd(&ends[1]);
	if (r != 0) {
		error_set(err, "\"%s\" cannot be started: %s", argv[0], strerror(r));
		close_fd(&ends[0]);
		c->pid = 0;
		talloc_free(c);
		return 1;
	}
	c->out = ends[0];
	fcntl(c->out, F_SETFL, O_NONBLOCK);
	c->pidfd = child_pidfd(c->pid);
	talloc_set_destructor(c, child_destroy);
	*ret = c;
	return 0;
}

/* Makes room by forgetting the oldest half. */
static void keep(struct child *c, const char *bytes, size_t n)
{
	if (c->used + n > KEEP) {
		size_t drop = c->used + n - KEEP;

		memmove(c->output, c->output + drop, c->used - drop);
		c->used -= drop;
	}
	memcpy(c->output + c->used, bytes, n);
	c->used += n;
}

/* Not for ever: who writes without an end must not hold the loop. */
static void read_output(struct child *c)
{
	char buf[KEEP / 2];
	ssize_t n = 1;

	for (unsigned i = 0; c->out >= 0 && n > 0 && i < READS_PER_TURN; i++) {
		n = read(c->out, buf, sizeof(buf));
		if (n > 0)
			keep(c, buf, (size_t)n);
	}
	if (n == 0)
		close_fd(&c->out);
}

bool child_turn(struct child *c, msec_t now)
{
	siginfo_t info = { .si_pid = 0 };

	if (c->pid == 0)
		return true;
	read_output(c);
	if (now >= c->deadline && !c->late) {
		c->late = true;
		end_group(c, SIGKILL);
	}
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		return false;
	read_output(c);
	end_group(c, SIGKILL);                 /* before it is reaped: the number is still ours */
	waitpid(c->pid, &c->status, WNOHANG);
	c->pid = 0;
	close_fd(&c->out);
	close_fd(&c->pidfd);
	return true;
}

void child_terminate(struct child *c)
{
	end_group(c, SIGTERM);
}

/* The last lines, joined; what is not text of people becomes '?'. */
static void last_lines(const struct child *c, char *ret, size_t size)
{
	size_t end = c->used, begin, n = 0;
	int lines = 0;

	while (end > 0 && (c->output[end - 1] == '\n' || c->output[end - 1] == '\r'))
		end--;
	for (begin = end; begin > 0 && end - begin < SHOWN; begin--)
		if (c->output[begin - 1] == '\n' && ++lines == SHOWN_LINES)
			break;
	while (begin < end && ((unsigned char)c->output[begin] & 0xC0) == 0x80)       /* the rest of a character */
		begin++;
	for (size_t i = begin; i < end && n + 1 < size; i++) {
		unsigned char byte = (unsigned char)c->output[i];

		ret[n++] = byte == '\n' || byte == '\t' ? ' ' : byte < 32 || byte == 127 ? '?' : (char)byte;
	}
	ret[n] = '\0';
	if (!utf8_valid(ret, n))
		for (size_t i = 0; i < n; i++)
			ret[i] = (unsigned char)ret[i] > 126 ? '?' : ret[i];
}

int child_result(const struct child *c, const char *what, struct error *err)
{
	char said[SHOWN + 1];
	const char *colon;

	last_lines(c, said, sizeof(said));
	colon = said[0] != '\0' ? ": " : "";
	if (c->late)
		error_set(err, "%s did not end within %lld s%s%s", what, (long long)(c->timeout / 1000), colon, said);
	else if (WIFSIGNALED(c->status))
		error_set(err, "%s was ended by signal %d%s%s", what, WTERMSIG(c->status), colon, said);
	else if (!WIFEXITED(c->status) || WEXITSTATUS(c->status) != 0)
		error_set(err, "%s ended with exit code %d%s%s", what, WIFEXITED(c->status) ? WEXITSTATUS(c->status) : -1, colon, said);
	else
		return 0;
	return 1;
}

unsigned child_fds(const struct child *c, int fds[CHILD_FDS])
{
	unsigned n = 0;

	if (c->pid > 0 && c->out >= 0)
		fds[n++] = c->out;
	if (c->pid > 0 && c->pidfd >= 0)
		fds[n++] = c->pidfd;
	return n;
}

msec_t child_deadline(const struct child *c, msec_t now)
{
	if (c->pid == 0)
		return now;
	/* Without a pidfd nothing tells of the end after the pipe was closed: look again soon. */
	return c->pidfd >= 0 && !c->late ? c->deadline : now + REAP_POLL;
}
