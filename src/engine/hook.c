/* SPDX-License-Identifier: PostgreSQL */
#include "engine/hook.h"

#include <dirent.h>
#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "base/message.h"
#include "base/words.h"
#include "engine/internal.h"
#include "session/child.h"

struct hook {
	struct target *target;
	const char *when;              /* "before", "after" */
	char *what;                    /* for people: "the hook before the migrations (/usr/bin/pg_dump)" */
	char *passfile;                /* NULL = none */
	struct child *child;
	struct event *events[CHILD_FDS];
	int fds[CHILD_FDS];
	unsigned n;
	int64_t event;
	bool stopped;
};

/* ---- the password, in a file that only we can read ---- */

static char *directory_of(void *parent, const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash == NULL || slash == path ? talloc_strdup(parent, "/") : talloc_strndup(parent, path, (size_t)(slash - path));
}

static void escape(char **s, const char *text)
{
	for (; *text != '\0'; text++)
		*s = talloc_asprintf_append(*s, "%s%c", *text == ':' || *text == '\\' ? "\\" : "", *text);
}

static int write_all(int fd, const char *s)
{
	size_t len = strlen(s);

	return write(fd, s, len) == (ssize_t)len ? 0 : 1;
}

/* It stands in the directory of the control socket, which is memory and ours; without one (--once) beside state.db. NULL: nowhere else. */
static const char *passfile_beside(const struct settings *settings, unsigned i)
{
	return i == 0 ? settings->control.socket : i == 1 ? settings->state_file : NULL;
}

static int passfile_open(struct hook *h, const struct settings *settings)
{
	int fd = -1;

	for (unsigned i = 0; fd < 0 && passfile_beside(settings, i) != NULL; i++) {
		char *dir = directory_of(h, passfile_beside(settings, i));

		talloc_free(h->passfile);
		h->passfile = talloc_asprintf(h, "%s/hook-%ld-%u.pgpass", dir, (long)getpid(), (unsigned)engine_random(h->target->engine));
		talloc_free(dir);
		fd = open(h->passfile, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600);
	}
	return fd;
}

static int passfile_write(struct hook *h, const char *password, struct error *err)
{
	const struct target *t = h->target;
	int fd = passfile_open(h, target_settings(t)), r;
	char *line;

	if (fd < 0) {
		error_set(err, "the password file of the hook, %s, cannot be written: %s", h->passfile, strerror(errno));
		TALLOC_FREE(h->passfile);
		return 1;
	}
	line = talloc_strdup(NULL, "*:*:*:");
	escape(&line, t->db->migrations.user);
	line = talloc_asprintf_append(line, ":");
	escape(&line, password);
	r = write_all(fd, line);
	explicit_bzero(line, strlen(line));
	talloc_free(line);
	close(fd);
	if (r != 0)
		error_set(err, "the password file of the hook, %s, cannot be written", h->passfile);
	return r;
}

static void sweep(const char *beside)
{
	char *dir_path = directory_of(NULL, beside);
	DIR *dir = opendir(dir_path);
	struct dirent *entry;
	long pid;
	unsigned serial;
	int end;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		end = 0;
		if (sscanf(entry->d_name, "hook-%ld-%u.pgpass%n", &pid, &serial, &end) == 2 && end > 0 && entry->d_name[end] == '\0' &&
		    pid > 0 && kill((pid_t)pid, 0) != 0 && errno == ESRCH)
			unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir != NULL)
		closedir(dir);
	talloc_free(dir_path);
}

void hook_sweep(const struct settings *settings)
{
	for (unsigned i = 0; passfile_beside(settings, i) != NULL; i++)
		sweep(passfile_beside(settings, i));
}

/* ---- may it be run ---- */

static int check_owner(const char *path, const struct stat *st, struct error *err)
{
	if (st->st_uid != 0 && st->st_uid != geteuid())
		error_set(err, "%s belongs neither to root nor to the daemon's user: it is not run", path);
	else if (st->st_mode & (S_IWGRP | S_IWOTH) && !(S_ISDIR(st->st_mode) && st->st_mode & S_ISVTX))
		error_set(err, "%s can be written by group or others: it is not run", path);
	else
		return 0;
	error_hint(err, "chown root %s; chmod go-w %s", path, path);
	return 1;
}

static int check_directory_of(const char *path, struct error *err)
{
	char *dir = directory_of(NULL, path);
	struct stat st;
	int r = 1;

	if (stat(dir, &st) != 0)
		error_set(err, "the directory %s cannot be looked at: %s", dir, strerror(errno));
	else
		r = check_owner(dir, &st, err);
	talloc_free(dir);
	return r;
}

/* The file itself and the directory of each end of a link to it. */
static int check_program(const char *path, struct error *err)
{
	char *real = realpath(path, NULL);
	struct stat st;
	int r = 1;

	if (real == NULL || stat(real, &st) != 0)
		error_set(err, "the hook %s cannot be run: %s", path, strerror(errno));
	else if (!S_ISREG(st.st_mode))
		error_set(err, "the hook %s is not a file", path);
	else if (check_owner(real, &st, err) == 0 && check_directory_of(path, err) == 0)
		r = check_directory_of(real, err);
	free(real);
	return r;
}

/* ---- its environment ---- */

static void add(char ***env, const char *name, const char *value)
{
	size_t n = 0;

	while ((*env)[n] != NULL)
		n++;
	*env = talloc_realloc(talloc_parent(*env), *env, char *, n + 2);
	(*env)[n] = talloc_asprintf(*env, "%s=%s", name, value);
	(*env)[n + 1] = NULL;
}

/* The version that the database has when everything that may run now has run. */
static const char *version_to_be(const struct migration_list *list)
{
	const char *version = list->current_version;

	for (uint32_t i = 0; i < list->n && &list->v[i] != list->stop; i++)
		if (migration_runs(&list->v[i]) && list->v[i].file->version != NULL)
			version = list->v[i].file->version;
	return version != NULL ? version : "";
}

static char **environment(struct hook *h)
{
	const struct target *t = h->target;
	struct session_config config = {
		.conninfo = target_server_settings(t)->conninfo, .database = t->database, .user = t->db->migrations.user,
		.application_name = "dbreconciled hook",
	};
	char **env = session_environment(h, &config, h->passfile);

	if (env == NULL)
		return NULL;
	add(&env, "DBRECONCILE_TARGET", t->name);
	add(&env, "DBRECONCILE_HOOK", h->when);
	add(&env, "DBRECONCILE_FROM_VERSION", t->migrations->current_version != NULL ? t->migrations->current_version : "");
	add(&env, "DBRECONCILE_TO_VERSION", version_to_be(t->migrations));
	return env;
}

/* ---- it runs ---- */

static void readable(evutil_socket_t fd, short what, void *data)
{
	struct hook *h = data;

	(void)fd;
	(void)what;
	target_mark(h->target);
}

static void unwatch(struct hook *h)
{
	for (unsigned i = 0; i < h->n; i++)
		if (h->events[i] != NULL)
			event_free(h->events[i]);
	h->n = 0;
}

static void watch(struct hook *h)
{
	int fds[CHILD_FDS];
	unsigned n = child_fds(h->child, fds);

	if (n == h->n && memcmp(fds, h->fds, n * sizeof(*fds)) == 0)
		return;
	unwatch(h);
	h->n = n;
	memcpy(h->fds, fds, n * sizeof(*fds));
	for (unsigned i = 0; i < n; i++) {
		h->events[i] = event_new(h->target->engine->base, fds[i], EV_READ | EV_PERSIST, readable, h);
		if (h->events[i] != NULL)
			event_add(h->events[i], NULL);
	}
}

static int hook_done(struct hook *h)
{
	unwatch(h);
	if (h->event != 0)
		state_event_close(h->target->engine->state, h->event, "failed", NULL, "ended with the daemon");
	TALLOC_FREE(h->child);
	if (h->passfile != NULL)
		unlink(h->passfile);
	return 0;
}

static void record(struct hook *h)
{
	struct event event = {
		.at_ms = clock_wall(), .target = h->target->name, .kind = "hook", .actor = "daemon", .object = h->what, .result = "started",
	};

	state_event_add(h->target->engine->state, &event, &h->event);
}

static int start(struct hook *h, const char *command, const char *password, msec_t now, struct error *err)
{
	char **argv, **env;
	const char *reason;

	if (words_split(h, command, &argv, &reason) != 0) {
		error_set(err, "the hook %s the migrations: %s", h->when, reason);
		return 1;
	}
	h->what = talloc_asprintf(h, "the hook %s the migrations (%s)", h->when, argv[0]);
	if (check_program(argv[0], err) != 0 || (password != NULL && passfile_write(h, password, err) != 0))
		return 1;
	env = environment(h);
	if (env == NULL) {
		error_set(err, "conninfo is not valid");
		return 1;
	}
	record(h);
	return child_start(h, argv, env, h->target->db->migrations.hook_timeout, now, &h->child, err);
}

int hook_new(struct target *t, bool before, const char *password, msec_t now, struct hook **ret, struct error *err)
{
	struct hook *h = talloc_zero(t->pass, struct hook);

	h->target = t;
	h->when = before ? "before" : "after";
	talloc_set_destructor(h, hook_done);
	if (start(h, before ? t->db->migrations.before : t->db->migrations.after, password, now, err) == 0) {
		watch(h);
		*ret = h;
		return 0;
	}
	if (h->event != 0)
		state_event_close(t->engine->state, h->event, "failed", NULL, err->text);
	h->event = 0;
	talloc_free(h);
	return 1;
}

int hook_turn(struct hook *h, msec_t now, struct error *err)
{
	int r;

	if (!child_turn(h->child, now)) {
		watch(h);
		return 0;
	}
	unwatch(h);
	r = child_result(h->child, h->what, err);
	state_event_close(h->target->engine->state, h->event, r == 0 ? "ok" : "failed", NULL, r == 0 ? NULL : err->text);
	h->event = 0;
	log_target(r == 0 ? LOG_LEVEL_INFO : LOG_LEVEL_ERROR, h->target->name, MESSAGE_HOOK, "%s", r == 0 ? talloc_asprintf(h, "%s has ended well",
		   h->what) : err->text);
	return r == 0 ? 1 : 2;
}

void hook_terminate(struct hook *h)
{
	if (!h->stopped)
		child_terminate(h->child);
	h->stopped = true;
}

msec_t hook_deadline(const struct hook *h, msec_t now)
{
	return child_deadline(h->child, now);
}
