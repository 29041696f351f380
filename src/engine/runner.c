/* SPDX-License-Identifier: PostgreSQL */
/*
 * Runs the pending migrations of a target inside its pass, with the hooks
 * before and after them and the seed data. The reconciling connection is
 * closed first, so that its slot serves the migration user's.
 */
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/held.h"
#include "engine/hook.h"
#include "engine/migrator.h"
#include "engine/seed.h"

#define FILE_TIMEOUT (INT64_C(24) * 3600 * 1000)
#define RECORD_EVERY 100        /* ms: writing the history costs more than a small file; the ledger tells what ran */

/* What is not read again while a pass runs: the list is the one from before its first step. */
static bool step_wanted(const struct target *t, enum run_step step)
{
	const struct migration_settings *m = &t->db->migrations;
	bool files = held_free(t) > 0, all = t->migrations == NULL || t->migrations->stop == NULL;

	if (t->suspended)                     /* meanwhile */
		return step == RUN_OVER;
	switch (step) {
	case RUN_BEFORE:
		return m->before != NULL && files;
	case RUN_FILES:
		return files;
	case RUN_AFTER:
		return m->after != NULL && all && (files || t->brake.kind == BRAKE_AFTER || held_owes_after(t));
	case RUN_SEED:
		return all && seed_wanted(t);
	default:
		return true;
	}
}

static int start_files(struct target *t, const char *password, msec_t now, struct error *err)
{
	const struct migration_settings *m = &t->db->migrations;
	bool seed = t->pass->run == RUN_SEED;
	struct migrator_params params = {
		.session = {
			.name = t->name, .conninfo = target_server_settings(t)->conninfo, .database = t->database, .user = m->user,
			.version_num = t->server->version_num, .for_migrations = true, .password = password,
			.connect_timeout = target_settings(t)->connect_timeout,
		},
		.schema = m->table_schema, .table = m->table_name,
		.files = t->files->files, .planned = t->migrations,
		.database_oid = t->look->database_state->facts.database_oid,
		.system_identifier = t->look->database_state->facts.system_identifier,
		.ledger_expected = t->look->database_state->ledger.exists,
		.lock_timeout = m->lock_timeout, .file_timeout = FILE_TIMEOUT,
	};

	if (seed && seed_begin(t, &params, err) != 0)
		return 1;
	t->pass->migrator = migrator_new(t->pass, &params, now);
	t->pass->files_ran = true;
	return 0;
}

static int start_step(struct target *t, msec_t now, struct error *err)
{
	struct pass *p = t->pass;
	void *scratch = talloc_new(p);
	char *password = NULL;
	int r = secrets_get(t, scratch, password_source_of_migrations(target_server_settings(t), &t->db->migrations), &password, err);

	if (r == 0 && (p->run == RUN_FILES || p->run == RUN_SEED))
		r = start_files(t, password, now, err) != 0 ? 3 : 0;
	else if (r == 0)
		r = hook_new(t, p->run == RUN_BEFORE, password, now, &p->hook, err) != 0 ? 3 : 0;
	talloc_free(scratch);
	return r;
}

static const enum brake_kind brakes[] = { [RUN_BEFORE] = BRAKE_BEFORE, [RUN_FILES] = BRAKE_FILE, [RUN_AFTER] = BRAKE_AFTER,
					  [RUN_SEED] = BRAKE_SEED };

/* A failure does not end the pass: the grants that can be made are made, then it is reported. */
static void run_failed(struct target *t, enum failure failure, struct error *err, bool stop)
{
	if (stop) {
		brake_set(t, brakes[t->pass->run], err);
		*err = t->brake.error;
	}
	if (t->pass->run == RUN_FILES)
		migrations_note_failure(t, err);
	if (!stop || t->pass->run != RUN_BEFORE)      /* where nothing was begun, nothing has failed: it is blocked */
		pass_note_failure(t->pass, failure == FAILURE_NONE ? FAILURE_SQL : failure, err);
	t->pass->run = RUN_OVER;
}

static void run_over(struct target *t, msec_t now)
{
	watch_close(t);
	TALLOC_FREE(t->pass->migrator);
	TALLOC_FREE(t->pass->hook);
	waves_leave(t);
	target_event(t, TE_MIGRATED, now);
}

static void next_step(struct target *t, msec_t now)
{
	struct error err;
	int r;

	while (t->pass->run != RUN_OVER && !step_wanted(t, t->pass->run))
		t->pass->run++;
	if (t->pass->run == RUN_OVER || t->state == TS_DRAIN) {
		run_over(t, now);
		return;
	}
	error_clear(&err);
	r = start_step(t, now, &err);
	if (r == 0) {
		target_mark(t);
	} else if (r == 3) {
		run_failed(t, FAILURE_SQL, &err, true);
		run_over(t, now);
	} else if (r != 2) {
		error_hint(&err, "the password of the migration user %s is needed", t->db->migrations.user);
		target_fail(t, FAILURE_AUTH, &err, now);
	}
}

static void step_done(struct target *t, msec_t now)
{
	if (t->brake.kind == brakes[t->pass->run])
		brake_release(t);
	if (t->pass->run == RUN_SEED)
		seed_done(t);
	if (t->pass->run == RUN_FILES || t->pass->run == RUN_AFTER)
		held_owe_after(t, t->pass->run == RUN_FILES && t->db->migrations.after != NULL);
	TALLOC_FREE(t->pass->migrator);
	TALLOC_FREE(t->pass->hook);
	t->pass->told = 0;
	t->pass->run++;
	next_step(t, now);
}

void migrations_run(struct target *t, msec_t now)
{
	t->pass->migrated = true;
	if (!migrations_runnable(t)) {        /* since the plan was made the line was stopped, or others of the server began */
		target_event(t, TE_MIGRATED, now);
		return;
	}
	waves_enter(t);
	t->pass->wrote = true;
	t->pass->deadline = MSEC_NEVER;       /* files have their own deadlines */
	watch_close(t);
	TALLOC_FREE(t->session);              /* the slot stays ours */
	publish_state(t);
	next_step(t, now);
}

/* A file that has begun and is not in the history yet; file NULL: none. */
struct begun {
	const struct migration_file *file;
	int64_t at_ms;
	const char *plan;                 /* that somebody approved */
};

/* Its begin, and its end when both are written together. */
static void store(struct target *t, const struct begun *begun, const char *result, const char *sqlstate, const char *message)
{
	struct event event = {
		.at_ms = begun->at_ms, .target = t->name, .kind = "migration", .actor = "daemon", .object = begun->file->script,
		.result = result, .sqlstate = sqlstate, .message = message, .plan = begun->plan,
	};

	state_event_add(t->engine->state, &event, &t->pass->migration_event);
}

static void store_end(struct target *t, const struct begun *begun, const char *result, const char *sqlstate, const char *message)
{
	if (begun->file != NULL)
		store(t, begun, result, sqlstate, message);
	else
		state_event_close(t->engine->state, t->pass->migration_event, result, sqlstate, message);
}

static void record_event(struct target *t, struct begun *begun, const struct migrator_event *step)
{
	char why[ERROR_TEXT_MAX + 320];

	t->pass->file_failed = step->kind == MIGRATOR_FAILED_FILE || step->kind == MIGRATOR_UNKNOWN;
	if (begun->file == NULL && t->pass->migration_event == 0)       /* it was only looked up what had become of it */
		*begun = (struct begun){ step->file, step->at_ms, NULL };
	switch (step->kind) {
	case MIGRATOR_STARTED:
		*begun = (struct begun){ step->file, step->at_ms, held_plan(t, step->file->script) };
		return;
	case MIGRATOR_APPLIED:
		store_end(t, begun, "ok", NULL, held_applied(t, step->file->script));
		log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_MIGRATION_APPLIED, "migration %s applied in %d ms", step->file->script, step->execution_time_ms);
		t->view.changes_applied++;
		t->view.applied_by[DRIFT_LEDGER]++;
		break;
	case MIGRATOR_FAILED_FILE:
	case MIGRATOR_UNKNOWN:
		error_summary(step->error, why, sizeof(why));
		store_end(t, begun, step->kind == MIGRATOR_UNKNOWN ? "unknown" : "failed", step->error->sqlstate, why);
		log_target(LOG_LEVEL_ERROR, t->name, MESSAGE_MIGRATION_FAILED, "migration %s failed: %s", step->file->script, why);
		t->view.change_failures++;
		t->view.change_failures_by[DRIFT_LEDGER]++;
		break;
	}
	*begun = (struct begun){ 0 };
	t->pass->migration_event = 0;
}

/* In one write. */
static void record_events(struct target *t, msec_t now)
{
	struct migrator *m = t->pass->migrator;
	struct migrator_event step;
	struct begun begun = { 0 };

	t->pass->recorded = now;
	if (!migrator_has_news(m))
		return;
	state_batch_begin(t->engine->state);
	while (migrator_next(m, &step))
		record_event(t, &begun, &step);
	if (begun.file != NULL)
		store(t, &begun, "started", NULL, NULL);
	if (state_batch_end(t->engine->state) < 0)
		t->pass->migration_event = 0;
}

static void files_over(struct target *t, const struct migrator_progress *progress, msec_t now)
{
	struct error err = *progress->error;
	enum failure failure;
	bool stop = progress->status == MIGRATOR_FAILED && !brake_harmless(progress->failure, t->pass->file_failed);

	watch_close(t);
	if (progress->status == MIGRATOR_DONE) {
		step_done(t, now);
		return;
	}
	if (progress->failure == FAILURE_AUTH)
		secrets_forget(t->engine, password_source_of_migrations(target_server_settings(t), &t->db->migrations));
	error_set(&err, "the migrations did not run");
	failure = progress->failure == FAILURE_TIMEOUT && err.sqlstate[0] != '\0' ? FAILURE_SQL : progress->failure;     /* the server is there */
	if (t->pass->run == RUN_SEED && progress->status == MIGRATOR_BLOCKED)
		stop = true;                  /* nobody compares these files before they run */
	run_failed(t, failure, &err, stop);
	run_over(t, now);
}

static void migrator_step(struct target *t, msec_t now)
{
	struct migrator *m = t->pass->migrator;
	struct migrator_progress progress;
	struct session *session;

	if (t->state == TS_DRAIN && !t->pass->cancelled) {
		t->pass->cancelled = true;
		migrator_cancel(m, now);
	}
	if (t->suspended)
		migrator_enough(m);
	if (migrator_turn(m, t->pass->ready, now))
		target_mark(t);
	migrator_progress(m, &progress);
	if (progress.status != MIGRATOR_RUNNING || now - t->pass->recorded >= RECORD_EVERY)
		record_events(t, now);
	if (progress.status != MIGRATOR_RUNNING) {
		files_over(t, &progress, now);
		return;
	}
	session = migrator_session(m);
	if (session != NULL)
		watch_fd(t, session_fd(session), session_wants(session), session_socket_epoch(session));
	else
		watch_close(t);
	t->pass->runner_deadline = migrator_deadline(m);
	if (migrator_has_news(m) && t->pass->recorded + RECORD_EVERY < t->pass->runner_deadline)
		t->pass->runner_deadline = t->pass->recorded + RECORD_EVERY;
	runner_tell(t, &progress, now);
}

static void hook_step(struct target *t, msec_t now)
{
	struct error err;

	error_clear(&err);
	if (t->state == TS_DRAIN)
		hook_terminate(t->pass->hook);
	switch (hook_turn(t->pass->hook, now, &err)) {
	case 0:
		runner_tell_hook(t, now);
		t->pass->runner_deadline = hook_deadline(t->pass->hook, now);
		break;
	case 1:
		step_done(t, now);
		break;
	default:
		if (t->state != TS_DRAIN)
			run_failed(t, FAILURE_SQL, &err, true);
		run_over(t, now);
		break;
	}
}

void migrations_turn(struct target *t, msec_t now)
{
	if (t->pass->migrator != NULL)
		migrator_step(t, now);
	else if (t->pass->hook != NULL)
		hook_step(t, now);
	else if (!t->waiting_secret)
		next_step(t, now);
}

void migrations_forget(struct target *t)
{
	waves_leave(t);
	if (t->pass == NULL || (t->pass->migrator == NULL && t->pass->hook == NULL))
		return;
	if (t->pass->migrator != NULL)
		record_events(t, t->engine->now);
	watch_close(t);
	TALLOC_FREE(t->pass->migrator);
	TALLOC_FREE(t->pass->hook);
}
