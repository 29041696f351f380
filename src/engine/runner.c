/* SPDX-License-Identifier: PostgreSQL */
/*
 * Runs the pending migrations of a target inside its pass. The reconciling
 * connection is closed first, so that its slot serves the migration user's.
 */
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/migrator.h"

#define FILE_TIMEOUT (INT64_C(24) * 3600 * 1000)

static int runner_make(struct target *t, struct error *err, msec_t now)
{
	const struct migration_settings *m = &t->db->migrations;
	void *scratch = talloc_new(t->pass);
	char *password = NULL;
	struct migrator_params params = {
		.session = {
			.name = t->name, .conninfo = target_server_settings(t)->conninfo, .database = t->database, .user = m->user,
			.version_num = t->server->version_num, .for_migrations = true,
			.connect_timeout = target_settings(t)->connect_timeout,
		},
		.schema = m->table_schema, .table = m->table_name,
		.files = t->files->files, .planned = t->migrations,
		.database_oid = t->look->database_state->facts.database_oid,
		.system_identifier = t->look->database_state->facts.system_identifier,
		.ledger_expected = t->look->database_state->ledger.exists,
		.file_timeout = FILE_TIMEOUT,
	};
	int r = secrets_get(t, scratch, password_source_of_migrations(target_server_settings(t), m), &password, err);

	params.session.password = password;
	if (r == 0)
		t->pass->migrator = migrator_new(t->pass, &params, now);
	talloc_free(scratch);
	return r;
}

static void runner_start(struct target *t, msec_t now)
{
	struct error err;
	int r;

	error_clear(&err);
	r = runner_make(t, &err, now);
	if (r == 0) {
		target_mark(t);
	} else if (r != 2) {
		error_hint(&err, "the password of the migration user %s is needed", t->db->migrations.user);
		target_fail(t, FAILURE_AUTH, &err, now);
	}
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
	runner_start(t, now);
}

static void record_event(struct target *t, const struct migrator_event *step)
{
	struct event event = {
		.at_ms = clock_wall(), .target = t->name, .kind = "migration", .actor = "daemon", .object = step->file->script, .result = "started",
	};
	char why[ERROR_TEXT_MAX + 320];

	t->pass->file_failed = step->kind == MIGRATOR_FAILED_FILE || step->kind == MIGRATOR_UNKNOWN;
	switch (step->kind) {
	case MIGRATOR_STARTED:
		state_event_add(t->engine->state, &event, &t->pass->migration_event);
		return;
	case MIGRATOR_APPLIED:
		state_event_close(t->engine->state, t->pass->migration_event, "ok", NULL, NULL);
		log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_MIGRATION_APPLIED, "migration %s applied in %d ms", step->file->script, step->execution_time_ms);
		t->view.changes_applied++;
		t->view.applied_by[DRIFT_LEDGER]++;
		return;
	case MIGRATOR_FAILED_FILE:
	case MIGRATOR_UNKNOWN:
		error_summary(step->error, why, sizeof(why));
		state_event_close(t->engine->state, t->pass->migration_event, step->kind == MIGRATOR_UNKNOWN ? "unknown" : "failed",
				  step->error->sqlstate, why);
		log_target(LOG_LEVEL_ERROR, t->name, MESSAGE_MIGRATION_FAILED, "migration %s failed: %s", step->file->script, why);
		t->view.change_failures++;
		t->view.change_failures_by[DRIFT_LEDGER]++;
		return;
	}
}

/* A failure does not end the pass: the grants that can be made are made, then it is reported. */
static void runner_over(struct target *t, const struct migrator_progress *progress, msec_t now)
{
	struct error err = *progress->error;

	if (progress->status == MIGRATOR_DONE)
		brake_release(t);
	if (progress->status == MIGRATOR_FAILED && !brake_harmless(progress->failure, t->pass->file_failed)) {
		brake_set(t, BRAKE_FILE, &err);
		err = t->brake.error;
	}
	if (progress->status != MIGRATOR_DONE) {
		error_set(&err, "the migrations did not run");
		pass_note_failure(t->pass, progress->failure == FAILURE_NONE ? FAILURE_SQL : progress->failure, &err);
	}
	watch_close(t);
	TALLOC_FREE(t->pass->migrator);
	waves_leave(t);
	target_event(t, TE_MIGRATED, now);
}

void migrations_turn(struct target *t, msec_t now)
{
	struct migrator *m = t->pass->migrator;
	struct migrator_progress progress;
	struct migrator_event step;
	struct session *session;

	if (m == NULL) {
		if (!t->waiting_secret)
			runner_start(t, now);
		return;
	}
	if (t->state == TS_DRAIN && !t->pass->cancelled) {
		t->pass->cancelled = true;
		migrator_cancel(m, now);
	}
	if (migrator_turn(m, t->pass->ready, now))
		target_mark(t);
	while (migrator_next(m, &step))
		record_event(t, &step);
	migrator_progress(m, &progress);
	if (progress.status != MIGRATOR_RUNNING) {
		runner_over(t, &progress, now);
		return;
	}
	session = migrator_session(m);
	if (session != NULL)
		watch_fd(t, session_fd(session), session_wants(session), session_socket_epoch(session));
	else
		watch_close(t);
	t->pass->runner_deadline = migrator_deadline(m);
}

void migrations_forget(struct target *t)
{
	waves_leave(t);
	if (t->pass == NULL || t->pass->migrator == NULL)
		return;
	watch_close(t);
	TALLOC_FREE(t->pass->migrator);
}
