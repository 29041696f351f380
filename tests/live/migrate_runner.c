/* SPDX-License-Identifier: PostgreSQL */
/*
 * The migration runner by itself, for test_migrator.py: reads one directory and
 * runs it, with a JSON object on standard output for each step and for the end.
 *   migrate_runner CONNINFO SCHEMA TABLE DIRECTORY [LOCK_TIMEOUT_MS [LOCK_WAIT_MS]]
 * SIGTERM cancels. Exit 0 when the run is done, 1 otherwise.
 */
#include "config.h"

#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include <jansson.h>

#include "engine/migrator.h"

static volatile sig_atomic_t stop;

static void on_signal(int signo)
{
	(void)signo;
	stop = 1;
}

static void print(json_t *object)
{
	json_dumpf(object, stdout, JSON_COMPACT);
	putchar('\n');
	fflush(stdout);
	json_decref(object);
}

static json_t *describe(const struct error *err)
{
	if (!err || !error_is_set(err))
		return json_null();
	return json_pack("{s:s,s:i,s:i,s:s,s:s,s:s}", "file", err->file, "line", err->line, "column", err->column, "sqlstate", err->sqlstate,
			 "text", err->text, "hint", err->hint);
}

static void print_events(struct migrator *migrator)
{
	static const char *const kinds[] = { "started", "applied", "failed", "unknown" };
	struct migrator_event event;

	while (migrator_next(migrator, &event))
		print(json_pack("{s:s,s:s,s:o}", "event", kinds[event.kind], "script", event.file->script, "error", describe(event.error)));
}

static unsigned wait_for_session(struct migrator *migrator)
{
	struct session *session = migrator_session(migrator);
	msec_t deadline = migrator_deadline(migrator), now = clock_monotonic();
	struct pollfd fd = { .fd = session_fd(session) };
	unsigned wants = session_wants(session), ready = 0;

	fd.events = (short)((wants & SESSION_READ ? POLLIN : 0) | (wants & SESSION_WRITE ? POLLOUT : 0));
	poll(&fd, 1, deadline <= now ? 0 : deadline - now > 1000 ? 1000 : (int)(deadline - now));
	if (fd.revents & (POLLIN | POLLERR | POLLHUP))
		ready |= SESSION_READ;
	if (fd.revents & POLLOUT)
		ready |= SESSION_WRITE;
	return ready;
}

static int run(void *mem, const struct migrator_params *params)
{
	static const char *const words[] = { "running", "done", "blocked", "failed", "cancelled" };
	struct migrator *migrator = migrator_new(mem, params, clock_monotonic());
	struct migrator_progress progress;
	const char *phase = "";
	unsigned ready = 0;

	for (;;) {
		bool more = migrator_turn(migrator, ready, clock_monotonic());

		ready = 0;
		if (stop == 1) {
			stop = 2;
			migrator_cancel(migrator, clock_monotonic());
		}
		print_events(migrator);
		migrator_progress(migrator, &progress);
		if (strcmp(phase, progress.phase)) {
			phase = progress.phase;
			print(json_pack("{s:s}", "phase", phase));
		}
		if (progress.status != MIGRATOR_RUNNING)
			break;
		if (!more)
			ready = wait_for_session(migrator);
	}
	print(json_pack("{s:s,s:i,s:i,s:s,s:o}", "status", words[progress.status], "done", progress.done, "total", progress.total, "failure",
			failure_name(progress.failure), "error", describe(progress.error)));
	return progress.status == MIGRATOR_DONE ? 0 : 1;
}

int main(int argc, char **argv)
{
	void *mem = talloc_new(NULL);
	struct migration_files *files = NULL;
	struct error *errs = NULL;
	uint32_t n_errs = 0;
	int result = 1;

	if (argc < 5)
		return 2;
	signal(SIGTERM, on_signal);
	if (migration_files_read(mem, (const char *const[]){ argv[4] }, 1, &files, &errs, &n_errs)) {
		for (uint32_t i = 0; i < n_errs; i++)
			print(json_pack("{s:s,s:o}", "status", "unreadable", "error", describe(&errs[i])));
	} else {
		struct migrator_params params = { .session = { .name = "test", .conninfo = argv[1] }, .schema = argv[2], .table = argv[3],
						  .files = files, .lock_timeout = argc > 5 ? strtol(argv[5], NULL, 10) : 0,
						  .lock_wait = argc > 6 ? strtol(argv[6], NULL, 10) : 0 };

		result = run(mem, &params);
	}
	talloc_free(mem);
	return result;
}
