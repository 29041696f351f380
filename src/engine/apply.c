/* SPDX-License-Identifier: PostgreSQL */
/*
 * Applies the ready changes of a plan: group by group, each one transaction.
 *
 *   PREFLIGHT   BEGIN, lock_timeout, the target's lock, still the primary?
 *   STATEMENTS  the changes and pg_current_xact_id(), one pipeline
 *   END         COMMIT when every statement passed without error or WARNING, else ROLLBACK
 *
 * What is intended stands in the history before it is sent, how it went after;
 * when the connection breaks between COMMIT and its answer, the next
 * connection asks pg_xact_status().
 */
#include "engine/apply.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/message.h"
#include "base/text.h"
#include "engine/seed.h"

/*
 * Any user can hold any advisory lock: only a holder who is superuser or logged in as we are counts as another
 * daemon at work, others are ignored.
 */
static const char preflight_sql[] =
	"SELECT pg_catalog.pg_try_advisory_xact_lock($1::pg_catalog.int8), pg_catalog.pg_is_in_recovery(), "
	"EXISTS (SELECT FROM pg_catalog.pg_locks l JOIN pg_catalog.pg_stat_activity a ON a.pid = l.pid "
	"JOIN pg_catalog.pg_roles r ON r.oid = a.usesysid WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
	"AND l.pid <> pg_catalog.pg_backend_pid() "
	"AND l.database = (SELECT d.oid FROM pg_catalog.pg_database d WHERE d.datname = pg_catalog.current_database()) "
	"AND l.classid::pg_catalog.int8 = ($1::pg_catalog.int8 >> 32) & 4294967295 "
	"AND l.objid::pg_catalog.int8 = $1::pg_catalog.int8 & 4294967295 "
	"AND (r.rolsuper OR r.rolname = current_user))";

static const char xid_sql[] = "SELECT pg_catalog.pg_current_xact_id()::pg_catalog.text";

/* Verifiers must not be written to the server's log; only a superuser may turn these off. */
static const char *const quiet_log_sql[] = {
	"SET LOCAL log_statement = 'none'", "SET LOCAL log_min_error_statement = 'panic'", "SET LOCAL log_min_duration_statement = -1",
	"SET LOCAL log_min_duration_sample = -1", "SET LOCAL log_duration = off", "SET LOCAL pg_stat_statements.track_utility = off",
};
#define QUIET_LOG (sizeof(quiet_log_sql) / sizeof(quiet_log_sql[0]))

/* Both daemons of one cluster must come to the same key, whatever they call the target; locks are per database. */
static int64_t lock_key(const struct target *t)
{
	const char *s = target_is_root(t) ? "dbreconcile server" : "dbreconcile database";

	return (int64_t)hash_mix(HASH_START, s, strlen(s));
}

static struct group *group_now(struct apply *a)
{
	return &a->groups[a->at];
}

static bool group_has_password(const struct target *t, const struct group *g)
{
	for (uint32_t i = 0; i < g->n; i++)
		if (t->plan->changes[g->first + i].op == CHANGE_SET_PASSWORD)
			return true;
	return false;
}

static void submit(struct target *t, unsigned n, enum apply_step step, msec_t now)
{
	struct apply *a = t->pass->apply;

	a->step = step;
	a->n_statements = n;
	talloc_free(a->outcomes);
	a->outcomes = talloc_new(a);
	collect_begin(&t->pass->collect, a->outcomes);
	target_submit(t, BATCH_PIPELINE, a->statements, n, 0, now);
}

/* ---- a group begins ---- */

static void preflight(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	unsigned n = 0;

	talloc_free(a->texts);
	a->texts = talloc_new(a);
	a->statements = talloc_zero_array(a->texts, struct statement, 4 + QUIET_LOG);
	a->statements[n++].sql = "BEGIN";
	a->statements[n++].sql = talloc_asprintf(a->texts, "SET LOCAL lock_timeout = %" PRId64, target_settings(t)->lock_timeout);
	if (t->server->superuser && group_has_password(t, group_now(a)))
		for (unsigned i = 0; i < QUIET_LOG; i++)
			a->statements[n++].sql = quiet_log_sql[i];
	a->key = talloc_asprintf(a->texts, "%" PRId64, lock_key(t));
	a->params[0] = a->key;
	a->statements[n++] = (struct statement){ .sql = preflight_sql, .n_params = 1, .params = a->params };
	submit(t, n, APPLY_PREFLIGHT, now);
}

static char first_char(const struct rowset *rows, unsigned column)
{
	size_t len;
	const char *s = rows->rows == 1 && column < rows->columns ? rows->cell(rows, 0, column, &len) : NULL;

	return s != NULL ? s[0] : '\0';
}

/* 0 go on; 1 not now: err says why. */
static int preflight_check(struct target *t, struct error *err)
{
	struct apply *a = t->pass->apply;
	const struct rowset *rows;

	if (t->pass->collect.error != NULL) {
		*err = t->pass->collect.error->error;
		a->failure = t->pass->collect.error->failure;
		return 1;
	}
	rows = &t->pass->collect.v[a->n_statements - 1]->rows;
	if (first_char(rows, 1) != 'f') {
		a->failure = FAILURE_IDENTITY;
		error_set(err, "the server is not the primary any more");
		return 1;
	}
	if (first_char(rows, 0) == 't')
		return 0;
	if (first_char(rows, 2) == 't') {
		a->failure = FAILURE_LOCK;
		error_set(err, "another dbreconciled is changing the same target");
		return 1;
	}
	log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_LOCK_HELD, "somebody without the right holds this daemon's advisory lock; going on without it");
	return 0;
}

/* ---- statements ---- */

static void intent(struct target *t, uint32_t slot, const struct change *c, const struct statements *shown)
{
	struct apply *a = t->pass->apply;
	struct statements inverse = { 0 };
	struct text *sql = text_new(a->texts), *undo = text_new(a->texts);
	int version = session_server_version(t->session);

	for (uint32_t i = 0; i < shown->n; i++)
		text_addf(sql, "%s%s", i > 0 ? ";\n" : "", shown->v[i]);
	if (change_inverse_sql(a->texts, t->plan, c, version, &inverse) == 0)
		for (uint32_t i = 0; i < inverse.n; i++)
			text_addf(undo, "%s%s", i > 0 ? ";\n" : "", inverse.v[i]);
	a->described[slot] = change_describe(a->texts, t->plan, c);
	apply_event_add(t, slot, sql->s, undo->len > 0 ? undo->s : NULL);
}

static void add_change(struct target *t, uint32_t slot, const struct change *c, unsigned *n)
{
	struct apply *a = t->pass->apply;
	struct statements sql = { 0 }, shown = { 0 };
	int version = session_server_version(t->session);

	change_sql(a->texts, t->plan, c, version, &sql);
	change_sql_display(a->texts, t->plan, c, version, &shown);
	a->statements = talloc_realloc(a->texts, a->statements, struct statement, *n + sql.n + 1);
	a->owner = talloc_realloc(a->texts, a->owner, uint32_t, *n + sql.n + 1);
	for (uint32_t i = 0; i < sql.n; i++) {
		a->owner[*n] = slot;
		a->statements[(*n)++] = (struct statement){ .sql = sql.v[i] };
	}
	intent(t, slot, c, &shown);
}

static void intents_begin(struct target *t)
{
	struct apply *a = t->pass->apply;
	uint32_t n = group_now(a)->n;

	talloc_free(a->texts);
	a->texts = talloc_new(a);
	a->statements = talloc_zero_array(a->texts, struct statement, 1);
	a->owner = talloc_zero_array(a->texts, uint32_t, 1);
	a->events = talloc_zero_array(a->texts, int64_t, n);
	a->intents = talloc_zero_array(a->texts, struct event, n);
	a->described = talloc_zero_array(a->texts, char *, n);
	a->n_events = n;
	a->culprit = 0;
	state_batch_begin(t->engine->state);
}

static void statements(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	struct group *g = group_now(a);
	unsigned n = 0;

	intents_begin(t);
	for (uint32_t i = 0; i < g->n; i++)
		add_change(t, i, &t->plan->changes[g->first + i], &n);
	apply_events_stored(t);
	a->owner[n] = 0;
	a->statements[n++] = (struct statement){ .sql = xid_sql };
	t->pass->wrote = true;
	publish_state(t);
	submit(t, n, APPLY_STATEMENTS, now);
}

/* CREATE DATABASE: no transaction, no lock of ours; the server itself allows it once. */
static bool group_is_alone(const struct target *t, const struct group *g)
{
	return t->plan->changes[g->first].op == CHANGE_CREATE_DATABASE;
}

static void alone(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	unsigned n = 0;

	intents_begin(t);
	add_change(t, 0, &t->plan->changes[group_now(a)->first], &n);
	apply_events_stored(t);
	t->pass->wrote = true;
	publish_state(t);
	a->step = APPLY_ALONE;
	a->n_statements = n;
	talloc_free(a->outcomes);
	a->outcomes = talloc_new(a);
	collect_begin(&t->pass->collect, a->outcomes);
	target_submit(t, BATCH_ALONE, a->statements, 1, 0, now);
}

static void alone_over(struct target *t)
{
	struct apply *a = t->pass->apply;
	const struct outcome *failed = t->pass->collect.error;

	a->step = failed == NULL ? APPLY_COMMIT : APPLY_ROLLBACK;
	if (failed == NULL) {
		seed_created(t->server, t->plan->changes[group_now(a)->first].name);
		return;
	}
	a->error = failed->error;
	a->failure = failed->failure;
	a->any_failed = true;
}

/* Where the change is asked for that the server refused; and which one it is, where nothing better is to be said. */
static void name_culprit(struct target *t, struct error *err)
{
	const struct apply *a = t->pass->apply;
	const struct source *source = &t->plan->changes[a->groups[a->at].first + a->culprit].source;

	if (source->file != NULL) {
		snprintf(err->file, sizeof(err->file), "%s", source->file);
		err->line = source->line;
	}
	if (a->failure == FAILURE_SQL && err->hint[0] == '\0')
		error_hint(err, "refused: %s", a->described[a->culprit]);
}

/* 0 every statement passed; 1: err, a->culprit. A WARNING is a failure: the server said ok and did nothing. */
static int statements_check(struct target *t, struct error *err)
{
	struct apply *a = t->pass->apply;
	const struct collect *c = &t->pass->collect;

	for (unsigned i = 0; i < c->n; i++) {
		const struct outcome *o = c->v[i];

		if (o->status != OUTCOME_ERROR && o->notice == NULL)
			continue;
		a->culprit = o->index < a->n_statements ? a->owner[o->index] : 0;
		if (o->status == OUTCOME_ERROR) {
			*err = o->error;
			a->failure = o->failure;
		} else {
			error_set(err, "%s", o->notice);
			snprintf(err->sqlstate, sizeof(err->sqlstate), "%s", o->notice_sqlstate);
			error_hint(err, "a warning means that the server did less than it was told");
			a->failure = FAILURE_PERMISSION;
		}
		name_culprit(t, err);
		return 1;
	}
	return 0;
}

static void end(struct target *t, const char *sql, enum apply_step step, msec_t now)
{
	struct apply *a = t->pass->apply;

	a->end_statement = (struct statement){ .sql = sql };
	a->statements = &a->end_statement;
	submit(t, 1, step, now);
}

static void keep_xid(struct target *t)
{
	struct apply *a = t->pass->apply;
	const struct rowset *rows = &t->pass->collect.v[t->pass->collect.n - 1]->rows;
	size_t len;
	const char *xid = rows->rows == 1 ? rows->cell(rows, 0, 0, &len) : NULL;

	talloc_free(a->xid);
	a->xid = talloc_strdup(a, xid != NULL ? xid : "");
}

/* ---- from group to group ---- */

static void finish(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	bool staged = a->staged && !a->any_failed;

	if (a->at == a->n && !a->any_failed && t->pass->approved != NULL && !a->staged)
		state_approval_used(t->engine->state, t->name, t->pass->approved);
	TALLOC_FREE(t->pass->apply);
	target_event(t, staged ? TE_STAGED : TE_APPLIED, now);
}

/* Another owner stands in the grants of an object wherever the old one stood, so what is granted and revoked there is
   planned anew after it. What an operator approved is done as he saw it. */
static bool owners_first(const struct target *t)
{
	for (uint32_t i = 0; t->pass->approved == NULL && i < t->plan->n_changes; i++) {
		const struct change *c = &t->plan->changes[i];

		if (c->op == CHANGE_OWNER && c->state == CHANGE_READY && !c->retires)
			return true;
	}
	return false;
}

/* Before the migrations, or with an owner, something failed: migrations wait for the next pass, but the grants that can be
   made are. */
static bool continue_without(struct target *t)
{
	struct apply *a = t->pass->apply;
	uint32_t n;
	struct group *later;

	if (!(a->staged || a->owners_first) || !a->any_failed)
		return false;
	later = plan_groups(a, t->plan, a->staged ? PHASE_OWNERS : PHASE_GRANTS, PHASE_DROPS, &n);
	a->staged = a->owners_first = false;
	if (n == 0)
		return false;
	a->groups = talloc_realloc(a, a->groups, struct group, a->n + n);
	memcpy(&a->groups[a->n], later, n * sizeof(*later));
	a->n += n;
	return true;
}

static void next_group(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;

	if (t->state == TS_DRAIN || t->suspended || !(a->at < a->n || continue_without(t)))
		finish(t, now);
	else if (group_is_alone(t, group_now(a)))
		alone(t, now);
	else
		preflight(t, now);
}

/* One bad change must not keep its neighbours from being made: the group is tried again change by change. Not row security:
   switched on without all of its policies it would hide the rows from those who need them. */
static void split(struct target *t)
{
	struct apply *a = t->pass->apply;
	struct group bad = *group_now(a);

	if (bad.n < 2 || failure_is_transient(a->failure))
		return;
	a->groups = talloc_realloc(a, a->groups, struct group, a->n + bad.n);
	memmove(&a->groups[a->at + 1 + bad.n], &a->groups[a->at + 1], (a->n - a->at - 1) * sizeof(struct group));
	for (uint32_t i = 0; i < bad.n; i++)
		a->groups[a->at + 1 + i] = (struct group){ .first = bad.first + i, .n = 1, .phase = bad.phase };
	a->n += bad.n;
	a->any_failed = a->failed_before_split;
}

static void group_failed(struct target *t, const struct error *err, msec_t now)
{
	struct apply *a = t->pass->apply;

	a->error = *err;
	a->failed_before_split = a->any_failed;
	a->any_failed = true;
	end(t, "ROLLBACK", APPLY_ROLLBACK, now);
}

static void group_over(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	bool retried;

	if (a->step == APPLY_COMMIT) {
		apply_events_committed(t);
		t->pass->progress = true;
		t->pass->applied_us = clock_monotonic_us() - t->pass->started_us;
	} else {
		retried = group_now(a)->n > 1 && group_now(a)->phase != PHASE_ROW_SECURITY && !failure_is_transient(a->failure) && a->n_events > 0;
		apply_events_failed(t, &a->error, retried);
		if (retried)
			split(t);
		else
			pass_note_failure(t->pass, a->failure, &a->error);
	}
	a->n_events = 0;
	a->at++;
	next_group(t, now);
}

/* ---- what the files of the engine call ---- */

static struct group *concatenate(struct apply *a, struct group *one, uint32_t n, struct group *two, uint32_t m)
{
	one = talloc_realloc(a, one, struct group, n + m);
	if (m > 0)
		memcpy(&one[n], two, m * sizeof(*two));
	return one;
}

void apply_begin(struct target *t, msec_t now)
{
	struct apply *a = talloc_zero(t->pass, struct apply);
	uint32_t n = 0, m = 0;
	struct group *first, *second = NULL;

	t->pass->apply = a;
	t->pass->progress = false;
	a->staged = plan_stage_first(t);
	a->owners_first = !a->staged && owners_first(t);
	first = plan_groups(a, t->plan, PHASE_ROLES, PHASE_SETTINGS, &n);
	if (!a->staged)
		second = plan_groups(a, t->plan, PHASE_OWNERS, a->owners_first ? PHASE_OWNERS : PHASE_DROPS, &m);
	a->groups = concatenate(a, first, n, second, m);
	a->n = n + m;
	next_group(t, now);
}

/* The connection went: before COMMIT was sent the server rolls back, after it nobody knows yet. */
void apply_lost(struct target *t)
{
	struct apply *a = t->pass->apply;
	struct error err;

	if (a == NULL || a->n_events == 0)
		return;
	if (a->step == APPLY_COMMIT) {
		apply_doubt(t);
	} else if (a->step == APPLY_ALONE) {
		state_event_close(t->engine->state, a->events[0], "unknown", NULL, "the connection was lost: the next look tells whether it is there");
	} else {
		error_clear(&err);
		error_set(&err, "the connection was lost before COMMIT: rolled back");
		a->failure = FAILURE_CONNECT;
		apply_events_failed(t, &err, false);
	}
	a->n_events = 0;
}

static void step_over(struct target *t, msec_t now)
{
	struct apply *a = t->pass->apply;
	struct error err;

	error_clear(&err);
	switch (a->step) {
	case APPLY_PREFLIGHT:
		if (preflight_check(t, &err) != 0)
			group_failed(t, &err, now);
		else
			statements(t, now);
		break;
	case APPLY_STATEMENTS:
		if (statements_check(t, &err) != 0) {
			group_failed(t, &err, now);
			break;
		}
		keep_xid(t);
		end(t, "COMMIT", APPLY_COMMIT, now);
		break;
	case APPLY_COMMIT:
		if (t->pass->collect.error != NULL) {
			a->error = t->pass->collect.error->error;
			a->failure = t->pass->collect.error->failure;
			a->any_failed = true;
			a->step = APPLY_ROLLBACK;
		}
		group_over(t, now);
		break;
	case APPLY_ALONE:
		alone_over(t);
		group_over(t, now);
		break;
	case APPLY_ROLLBACK:
		group_over(t, now);
		break;
	}
}

void apply_turn(struct target *t, msec_t now)
{
	switch (collect_turn(t, &t->pass->collect)) {
	case 1:
		step_over(t, now);
		break;
	case 2:
		apply_lost(t);
		connection_failed(t, now);
		break;
	default:
		break;
	}
}
