/* SPDX-License-Identifier: PostgreSQL */
/*
 * Orders on ledgers: each is a job with a migration runner of its own, beside
 * the passes; the lock of the ledger keeps the two apart. When one is over, a
 * pass looks again. Who ordered it, and what it did, is history.
 */
#include "engine/internal.h"

#include <event2/event.h>
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/migrator.h"

#define ANSWER_KEPT 600000      /* ms: who asked may have gone */

struct ledger_job {
	struct ledger_job *next;
	struct engine *engine;
	uint64_t id;
	char *target, *actor;
	struct ledger_order order;
	struct source_files *files;
	struct migrator_params params;
	struct secret_source secret;
	struct migrator *migrator;      /* NULL while the password is asked for */
	struct watch watch;
	bool over, ok, forgotten;
	bool again;                     /* there is more to do without waiting */
	msec_t over_at;
	struct error error;
	int64_t event;                  /* of the file that runs */
};

/* ---- its socket ---- */

static void socket_ready(evutil_socket_t fd, short what, void *data)
{
	struct ledger_job *job = data;

	(void)fd;
	job->watch.ready |= ((what & EV_READ) != 0 ? SESSION_READ : 0u) | ((what & EV_WRITE) != 0 ? SESSION_WRITE : 0u);
}

static void unwatch(struct ledger_job *job)
{
	if (job->watch.event != NULL)
		event_free(job->watch.event);
	job->watch = (struct watch){ .fd = -1 };
}

static void watch(struct ledger_job *job)
{
	struct session *session = migrator_session(job->migrator);
	struct watch *w = &job->watch;
	unsigned wants = session_wants(session), epoch = session_socket_epoch(session);
	short what = ((wants & SESSION_READ) != 0 ? EV_READ : 0) | ((wants & SESSION_WRITE) != 0 ? EV_WRITE : 0);
	int fd = session_fd(session);

	if (w->event != NULL && w->fd == fd && w->epoch == epoch && w->wants == wants)
		return;
	unwatch(job);
	*w = (struct watch){ .fd = fd, .epoch = epoch, .wants = wants };
	if (fd < 0 || what == 0)
		return;
	w->event = event_new(job->engine->base, fd, what | EV_PERSIST, socket_ready, job);
	if (w->event != NULL)
		event_add(w->event, NULL);
}

static int job_done(struct ledger_job *job)
{
	struct ledger_job **at = &job->engine->ledger_jobs;

	unwatch(job);
	source_files_unref(job->files);
	if (!job->over)
		job->engine->open--;
	while (*at != job)
		at = &(*at)->next;
	*at = job->next;
	return 0;
}

/* ---- history ---- */

static char *describe(struct ledger_job *job)
{
	const struct ledger_order *o = &job->order;
	const char *how = o->verb != LEDGER_RESOLVE ? "" : o->how == RESOLVE_APPLIED ? " --applied" : o->how == RESOLVE_NOT_APPLIED ? " --not-applied" : "";
	char *text = talloc_asprintf(job, "%s%s%s%s", ledger_verb_name(o->verb), o->version != NULL ? " " : "", o->version != NULL ? o->version : "", how);

	if (o->verb == LEDGER_RESOLVE && o->how == RESOLVE_FROM)
		text = talloc_asprintf_append(text, " --from-statement %" PRIu32, o->from);
	return o->out_of_order ? talloc_asprintf_append(text, " --out-of-order") : text;
}

static void record(struct ledger_job *job, const char *result, const char *sqlstate, const char *message)
{
	char *object = describe(job), *done = talloc_strdup(job, "");
	const struct mending *mending = job->migrator != NULL ? migrator_mending(job->migrator) : NULL;
	struct event event = {
		.at_ms = clock_wall(), .target = job->target, .kind = "ledger", .actor = job->actor, .object = object, .result = result,
		.sqlstate = sqlstate,
	};

	for (uint32_t i = 0; mending != NULL && i < mending->n; i++)
		done = talloc_asprintf_append(done, "%s%s", i > 0 ? "; " : "", mending->v[i].text);
	event.message = message != NULL ? message : done;
	state_event_add(job->engine->state, &event, NULL);
	log_target(message != NULL ? LOG_LEVEL_ERROR : LOG_LEVEL_NOTICE, job->target, MESSAGE_ORDER, "%s by %s: %s", object, job->actor,
		   event.message);
	talloc_free(object);
	talloc_free(done);
}

static void record_file(struct ledger_job *job, const struct migrator_event *step)
{
	struct event event = {
		.at_ms = clock_wall(), .target = job->target, .kind = "migration", .actor = job->actor, .object = step->file->script,
		.result = "started",
	};
	char why[ERROR_TEXT_MAX + 320];

	if (step->kind == MIGRATOR_STARTED || job->event == 0)       /* else it was only looked up what had become of it */
		state_event_add(job->engine->state, &event, &job->event);
	if (step->kind == MIGRATOR_STARTED)
		return;
	if (step->kind == MIGRATOR_APPLIED) {
		state_event_close(job->engine->state, job->event, "ok", NULL, NULL);
	} else {
		error_summary(step->error, why, sizeof(why));
		state_event_close(job->engine->state, job->event, step->kind == MIGRATOR_UNKNOWN ? "unknown" : "failed", step->error->sqlstate, why);
	}
	job->event = 0;
}

/* ---- one job ---- */

static void job_over(struct ledger_job *job, bool ok, const struct error *err, msec_t now)
{
	struct target *t = fleet_target(job->engine, job->target);
	char why[ERROR_TEXT_MAX + 320];

	job->over = true;
	job->ok = ok;
	job->over_at = now;
	if (!ok) {
		job->error = *err;
		error_name_target(&job->error, job->target);
	}
	unwatch(job);
	job->engine->open--;
	if (job->order.dry_run)
		return;
	if (ok)
		record(job, "ok", NULL, NULL);
	else
		record(job, "failed", err->sqlstate, error_summary(err, why, sizeof(why)));
	if (t == NULL || !ok)
		return;
	brake_release(t);
	t->plan_stale = true;
	order_pass(t, false, now);
}

/* The password may come from a command. */
static bool job_begin(struct ledger_job *job, msec_t now)
{
	char *password = NULL;
	struct error err;
	int r;

	error_clear(&err);
	r = secrets_ask(job->engine, job, &job->secret, &password, &err);
	if (r == 2)
		return false;
	if (r != 0) {
		job_over(job, false, &err, now);
		return false;
	}
	job->params.session.password = password;
	job->migrator = migrator_new(job, &job->params, now);
	job->params.session.password = NULL;
	talloc_free(password);
	return true;
}

static void job_turn(struct ledger_job *job, msec_t now)
{
	struct migrator_progress progress;
	struct migrator_event step;
	unsigned ready = job->watch.ready;

	if (job->migrator == NULL && !job_begin(job, now))
		return;
	job->watch.ready = 0;
	job->again = migrator_turn(job->migrator, ready, now);
	while (migrator_next(job->migrator, &step))
		record_file(job, &step);
	migrator_progress(job->migrator, &progress);
	if (progress.failure == FAILURE_AUTH)
		secrets_forget(job->engine, &job->secret);
	if (progress.status != MIGRATOR_RUNNING)
		job_over(job, progress.status == MIGRATOR_DONE, progress.error, now);
	else
		watch(job);
}

void ledger_orders_turn(struct engine *e, msec_t now)
{
	struct ledger_job *next;

	for (struct ledger_job *job = e->ledger_jobs; job != NULL; job = next) {
		next = job->next;
		if (!job->over)
			job_turn(job, now);
		else if (job->forgotten || now - job->over_at > ANSWER_KEPT)
			talloc_free(job);
	}
}

msec_t ledger_orders_deadline(const struct engine *e)
{
	msec_t when = MSEC_NEVER;

	for (const struct ledger_job *job = e->ledger_jobs; job != NULL; job = job->next)
		if (!job->over && job->migrator != NULL && (job->again || migrator_deadline(job->migrator) < when))
			when = job->again ? e->now : migrator_deadline(job->migrator);
	return when;
}

void ledger_orders_stop(struct engine *e, msec_t now)
{
	for (struct ledger_job *job = e->ledger_jobs; job != NULL; job = job->next)
		if (!job->over && job->migrator != NULL)
			migrator_cancel(job->migrator, now);
}

bool ledger_orders_over(const struct engine *e)
{
	for (const struct ledger_job *job = e->ledger_jobs; job != NULL; job = job->next)
		if (!job->over && job->migrator != NULL)
			return false;
	return true;
}

/* ---- the order ---- */

static int refuse(const struct engine *e, const struct target *t, const char *name, const struct ledger_order *order, struct error *err)
{
	if (t == NULL || t->removed)
		error_set(err, "there is no target '%s'", name);
	else if (t->db == NULL || !t->db->migrations.enabled)
		error_set(err, "'%s' has no migrations", name);
	else if (t->db->migrations.format != LEDGER_FLYWAY)
		error_set(err, "the migrations of '%s' have a read-only ledger: %s alone writes it", name,
			  ledger_tool((enum ledger_format)t->db->migrations.format)->name);
	else if (e->stopping)
		error_set(err, "the daemon is stopping");
	else if (t->look == NULL || t->look->database_state == NULL)
		error_set(err, "'%s' has not been looked at yet; try again after its first look", name);
	else if (!order->dry_run && target_mode(t) == MODE_OBSERVE)
		error_set(err, "'%s' is in observe mode: nothing is written there (--dry-run shows what would be)", name);
	for (const struct ledger_job *job = e->ledger_jobs; job != NULL && !error_is_set(err); job = job->next)
		if (!job->over && strcmp(job->target, name) == 0)
			error_set(err, "another order on the ledger of '%s' is under way: %s by %s", name, ledger_verb_name(job->order.verb), job->actor);
	return error_is_set(err) ? 1 : 0;
}

static void fill(struct ledger_job *job, struct target *t)
{
	const struct migration_settings *m = &t->db->migrations;
	const struct database_state *state = t->look->database_state;
	const struct secret_source *secret = password_source_of_migrations(target_server_settings(t), m);

	job->secret = *secret;
	job->secret.value = secret->value != NULL ? talloc_strdup(job, secret->value) : NULL;
	job->secret.source.file = secret->source.file != NULL ? talloc_strdup(job, secret->source.file) : NULL;
	job->params = (struct migrator_params){
		.session = {
			.name = job->target, .conninfo = talloc_strdup(job, target_server_settings(t)->conninfo),
			.database = talloc_strdup(job, t->database), .user = talloc_strdup(job, m->user),
			.version_num = t->server->version_num, .for_migrations = true, .connect_timeout = target_settings(t)->connect_timeout,
		},
		.schema = talloc_strdup(job, m->table_schema), .table = talloc_strdup(job, m->table_name),
		.files = job->files->files, .order = &job->order, .lock_timeout = m->lock_timeout,
		.database_oid = state->facts.database_oid, .system_identifier = state->facts.system_identifier,
	};
}

int engine_ledger_order(struct engine *e, const char *target, const struct ledger_order *order, const char *actor, uint64_t *ret_id,
			struct error *err)
{
	struct target *t = fleet_target(e, target);
	struct source_files *files;
	struct ledger_job *job;

	if (refuse(e, t, target, order, err) != 0)
		return 1;
	source_files_ask_again(e, &t->db->migrations);
	files = source_files_view(e, &t->db->migrations, t->database);
	if (files->files == NULL) {
		*err = files->error;
		source_files_unref(files);
		return 1;
	}
	job = talloc_zero(e, struct ledger_job);
	job->engine = e;
	job->id = ++e->next_ledger_job;
	job->target = talloc_strdup(job, target);
	job->actor = talloc_strdup(job, actor);
	job->order = *order;
	job->order.version = order->version != NULL ? talloc_strdup(job, order->version) : NULL;
	job->files = files;
	job->watch.fd = -1;
	fill(job, t);
	job->next = e->ledger_jobs;
	e->ledger_jobs = job;
	e->open++;
	talloc_set_destructor(job, job_done);
	*ret_id = job->id;
	job_turn(job, clock_monotonic());
	engine_arm(e, clock_monotonic());
	return 0;
}

static struct ledger_job *find_job(const struct engine *e, uint64_t id)
{
	struct ledger_job *job = e->ledger_jobs;

	while (job != NULL && job->id != id)
		job = job->next;
	return job;
}

bool engine_ledger_answer(const struct engine *e, uint64_t id, struct ledger_answer *ret)
{
	const struct ledger_job *job = find_job(e, id);

	*ret = (struct ledger_answer){ .over = true };
	if (job == NULL)
		return false;
	ret->over = job->over;
	ret->ok = job->ok;
	ret->error = &job->error;
	ret->mending = job->over && job->migrator != NULL ? migrator_mending(job->migrator) : NULL;
	return true;
}

void engine_ledger_forget(struct engine *e, uint64_t id)
{
	struct ledger_job *job = find_job(e, id);

	if (job != NULL)
		job->forgotten = true;
}
