/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include "session/secret_command.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <talloc.h>
#include <unistd.h>

#include "base/words.h"
#include "session/child.h"

#define OUTPUT_MAX 8192u
#define RUN_MAX 30000
#define KEEP_DEFAULT 600000
#define KEEP_FAILURE 30000
#define REAP_POLL 50

struct command {
	struct command *next;
	char *line;
	pid_t pid;                             /* 0 = does not run */
	int pidfd, out;                        /* -1 = none; pidfd may be missing on old kernels */
	bool killed;                           /* too slow or too talkative */
	msec_t deadline, expires;
	size_t used;
	char *output;                          /* while it runs; wiped */
	char *secret;                          /* NULL = the last run failed: why */
	struct error why;                      /* without a place: it may be configured at several */
};

struct secret_commands {
	struct command *first;
	msec_t ttl;
};

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Ends the whole group: what a command started in the background must not outlive it. */
static void end_group(struct command *c)
{
	if (c->pid > 0)
		kill(-c->pid, SIGKILL);
}

static void stop_watching(struct command *c)
{
	close_fd(&c->out);
	close_fd(&c->pidfd);
	TALLOC_FREE(c->output);
	c->pid = 0;
}

static int command_destroy(struct command *c)
{
	if (c->pid > 0) {
		end_group(c);
		waitpid(c->pid, NULL, 0);      /* killed: does not last */
	}
	stop_watching(c);
	return 0;
}

struct secret_commands *secret_commands_new(void *parent, msec_t ttl)
{
	struct secret_commands *all = talloc_zero(parent, struct secret_commands);

	all->ttl = ttl > 0 ? ttl : KEEP_DEFAULT;
	return all;
}

static struct command *find(const struct secret_commands *all, const char *line)
{
	struct command *c = all->first;

	while (c && strcmp(c->line, line) != 0)
		c = c->next;
	return c;
}

int secret_command_split(void *parent, const char *line, char ***ret, struct error *err)
{
	const char *reason;

	if (words_split(parent, line, ret, &reason) == 0)
		return 0;
	error_set(err, "password_command: %s", reason);
	return 1;
}

__attribute__((format(printf, 2, 3))) static void explain(struct command *c, const char *format, ...)
{
	char text[ERROR_TEXT_MAX];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	error_set(&c->why, "%s", text);
}

static void start(struct command *c, msec_t now)
{
	struct error wrong = { .line = 0 };
	int ends[2] = { -1, -1 }, r;
	char **argv = NULL;

	TALLOC_FREE(c->secret);
	error_clear(&c->why);
	c->expires = now + KEEP_FAILURE;
	if (secret_command_split(c, c->line, &argv, &wrong) != 0) {
		explain(c, "%s", wrong.text);
		return;
	}
	/* stderr stays the daemon's: its messages belong to the log */
	r = pipe2(ends, O_CLOEXEC) < 0 ? errno : child_spawn(argv, NULL, ends[1], -1, &c->pid);
	close_fd(&ends[1]);
	if (r != 0) {
		explain(c, "password_command: \"%s\" cannot be started: %s", argv[0], strerror(r));
		error_hint(&c->why, "give the program's full path; there is no shell");
		close_fd(&ends[0]);
		c->pid = 0;
	} else {
		c->out = ends[0];
		fcntl(c->out, F_SETFL, O_NONBLOCK);
		c->pidfd = child_pidfd(c->pid);
		c->output = secret_copy(c, NULL, OUTPUT_MAX);
		c->used = 0;
		c->killed = false;
		c->deadline = now + RUN_MAX;
	}
	talloc_free(argv);
}

static int answer(struct command *c, void *parent, const struct source *where, char **ret, struct error *err)
{
	if (c->pid > 0)
		return 2;
	if (!c->secret) {
		if (err && !error_is_set(err)) {
			error_set_at(err, where->file, where->line, "%s", c->why.text);
			error_hint(err, "%s", c->why.hint);
		}
		return 1;
	}
	*ret = secret_copy(parent, c->secret, strlen(c->secret));
	return 0;
}

int secret_get(struct secret_commands *all, void *parent, const struct secret_source *source, msec_t now, char **ret,
	       struct error *err)
{
	struct command *c;

	if (source->kind != SECRET_COMMAND)
		return secret_read(parent, source, ret, err);
	c = find(all, source->value);
	if (!c) {
		c = talloc_zero(all, struct command);
		c->line = talloc_strdup(c, source->value);
		c->out = c->pidfd = -1;
		c->expires = now;
		c->next = all->first;
		all->first = c;
		talloc_set_destructor(c, command_destroy);
	}
	if (c->pid == 0 && now >= c->expires)
		start(c, now);
	return answer(c, parent, &source->source, ret, err);
}

void secret_forget(struct secret_commands *all, const struct secret_source *source)
{
	struct command *c = source->kind == SECRET_COMMAND ? find(all, source->value) : NULL;

	if (c)
		c->expires = 0;
}

/* After exit, take what the pipe still holds; the group may go on holding it open. */
static void read_output(struct command *c)
{
	char rest[256];
	ssize_t n = 1;

	while (c->out >= 0 && n > 0) {
		n = c->used < OUTPUT_MAX ? read(c->out, c->output + c->used, OUTPUT_MAX - c->used) : read(c->out, rest, sizeof(rest));
		if (n > 0 && c->used >= OUTPUT_MAX)
			c->killed = true;
		if (n > 0 && c->used < OUTPUT_MAX)
			c->used += (size_t)n;
		if (n > 0 && c->killed) {
			explicit_bzero(rest, sizeof(rest));
			explain(c, "password_command wrote more than 8 KiB");
			end_group(c);
			close_fd(&c->out);
		}
	}
	if (n == 0)
		close_fd(&c->out);
}

static void judge(struct command *c, int status, msec_t now, msec_t ttl)
{
	size_t len = c->used;
	const char *reason;

	c->expires = now + KEEP_FAILURE;
	if (error_is_set(&c->why))
		return;
	if (WIFSIGNALED(status))
		explain(c, "password_command was ended by signal %d", WTERMSIG(status));
	else if (!WIFEXITED(status) || WEXITSTATUS(status) != 0)
		explain(c, "password_command ended with exit code %d", WIFEXITED(status) ? WEXITSTATUS(status) : -1);
	else if (secret_trim(c->output, &len, &reason) != 0)
		explain(c, "the output of password_command %s", reason);
	if (error_is_set(&c->why)) {
		error_hint(&c->why, "run it by hand as the daemon's user; it must write the password on one line and end with 0");
		return;
	}
	c->secret = secret_copy(c, c->output, len);
	c->expires = now + ttl;
}

/* True when it has ended. */
static bool command_turn(struct command *c, msec_t now, msec_t ttl)
{
	siginfo_t info = { .si_pid = 0 };
	int status = 0;

	read_output(c);
	if (now >= c->deadline && !c->killed) {
		c->killed = true;
		explain(c, "password_command did not end within 30 s");
		end_group(c);
	}
	if (waitid(P_PID, (id_t)c->pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0 && info.si_pid == 0)
		return false;
	read_output(c);
	end_group(c);                          /* before it is reaped: the number is still ours */
	if (waitpid(c->pid, &status, WNOHANG) != c->pid)
		explain(c, "the end of password_command was lost: %s", strerror(errno));
	judge(c, status, now, ttl);
	stop_watching(c);
	return true;
}

bool secret_commands_turn(struct secret_commands *all, msec_t now)
{
	bool ended = false;

	for (struct command *c = all->first; c; c = c->next)
		if (c->pid > 0)
			ended |= command_turn(c, now, all->ttl);
	return ended;
}

unsigned secret_commands_fds(const struct secret_commands *all, int *fds, unsigned max)
{
	unsigned n = 0;

	for (const struct command *c = all->first; c; c = c->next) {
		if (c->pid > 0 && c->out >= 0 && n++ < max)
			fds[n - 1] = c->out;
		if (c->pid > 0 && c->pidfd >= 0 && n++ < max)
			fds[n - 1] = c->pidfd;
	}
	return n;
}

msec_t secret_commands_deadline(const struct secret_commands *all)
{
	msec_t earliest = MSEC_NEVER;

	for (const struct command *c = all->first; c; c = c->next) {
		/* Without a pidfd nothing tells of the end after the pipe was closed: look again soon. */
		const msec_t due = c->pidfd >= 0 && !c->killed ? c->deadline : clock_monotonic() + REAP_POLL;

		if (c->pid > 0 && due < earliest)
			earliest = due;
	}
	return earliest;
}
