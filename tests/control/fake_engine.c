/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"
#include "tests/control/fake_engine.h"

#include "migrate/lint.h"
#include "migrate/schema.h"

#include <string.h>
#include <talloc.h>
#include <unistd.h>

#define PLAN_ID "0123456789abcdef"
#define WALL INT64_C(1795253400000)      /* 2026-11-21T09:30:00Z */

struct engine {
	struct state *state;
	struct settings settings;
	struct target_view *views;
	uint32_t n, capacity;
	struct names *names;
	const char *broken;
	uint64_t reloads, reload_failures;
	bool last_ok, busy;
};

static struct target_view *add(struct engine *e, const char *server, const char *database, enum target_status status)
{
	struct target_view *v = &e->views[e->n++];

	v->server = talloc_strdup(e, server);
	v->database = database ? talloc_strdup(e, database) : NULL;
	v->name = database ? talloc_asprintf(e, "%s/%s", server, database) : v->server;
	v->mode = MODE_ENFORCE;
	v->status = status;
	v->phase = "idle";
	v->message = "";
	v->last_attempt_ms = WALL;
	v->reachable = true;
	v->passes = v->passes_begun = 3;
	v->last_duration_us = 120000;
	return v;
}

static struct change grant(struct engine *e, enum change_state state, const char *table, unsigned line)
{
	const char **names = talloc_array(e, const char *, 1);

	names[0] = table;
	return (struct change){
		.op = CHANGE_GRANT, .kind = DRIFT_GRANT, .phase = PHASE_GRANTS, .state = state, .role = names_put(e->names, "app"),
		.object_kind = OBJECT_TABLE, .relkind = 'r', .schema = names_put(e->names, "app"), .names = names, .n = 1,
		.privs = PRIV_SELECT | PRIV_INSERT, .source = { "/etc/dbreconcile/manifests/orders.conf", line },
	};
}

static struct plan *make_plan(struct engine *e)
{
	static const char *warnings[] = { "role migrator may create in schema app, but has no default privileges" };
	struct plan *plan = talloc_zero(e, struct plan);

	memcpy(plan->id, PLAN_ID, sizeof(plan->id));
	plan->names = e->names;
	plan->n_changes = 4;
	plan->changes = talloc_zero_array(plan, struct change, plan->n_changes);
	plan->changes[0] = grant(e, CHANGE_READY, "users", 7);
	plan->changes[1] = grant(e, CHANGE_HELD, "odd \"name\"", 8);
	plan->changes[1].op = CHANGE_REVOKE;
	plan->changes[1].phase = PHASE_REVOKES;
	plan->changes[1].reason = "21 revokes in one pass, max_revokes is 20";
	plan->changes[1].remedy = "dbreconcilectl approve prod/orders " PLAN_ID;
	plan->changes[2] = grant(e, CHANGE_BLOCKED, "latin\xe9", 9);
	plan->changes[2].reason = "granted by \xff\xfe, whom we are not a member of";
	plan->changes[3] = (struct change){
		.op = CHANGE_SET_PASSWORD, .kind = DRIFT_ROLE, .phase = PHASE_ROLES, .role = names_put(e->names, "app"), .n = 1,
		.value = "SCRAM-SHA-256$4096:canary-salt$canary-stored:canary-server",
	};
	plan->ready = 2;
	plan->held = plan->blocked = 1;
	plan->drift[DRIFT_GRANT] = 3;
	plan->drift[DRIFT_ROLE] = 1;
	plan->drift_objects = 4;
	plan->held_objects = plan->blocked_objects = 1;
	plan->blocked_by_kind[DRIFT_GRANT] = 1;
	plan->held_reason = plan->changes[1].reason;
	plan->n_unmanaged = 1;
	plan->unmanaged = talloc_zero(plan, struct unmanaged);
	*plan->unmanaged = (struct unmanaged){
		.grantee = names_put(e->names, "intern"), .kind = OBJECT_TABLE, .relkind = 'r', .schema = names_put(e->names, "app"),
		.names = "12 tables", .n = 12, .privs = PRIV_SELECT,
	};
	plan->warnings = warnings;
	plan->n_warnings = 1;
	return plan;
}

static struct migration_list *make_migrations(struct engine *e)
{
	static const struct ledger_row row = {
		.rank = 1, .version = "001", .description = "users", .type = "SQL", .script = "V001__users.sql", .installed_by = "migrator",
		.installed_on = "2026-11-20 10:00:00.123", .has_checksum = true, .checksum = -12345, .execution_time_ms = 15, .success = true,
	};
	static const struct migration_file file = {
		.type = MIGRATION_VERSIONED, .version = "001", .description = "users", .script = "V001__users.sql", .checksum = -12345,
	};
	static const struct migration_file next = {
		.type = MIGRATION_REPEATABLE, .description = "views", .script = "R__views.sql", .checksum = 99,
	};
	struct migration_list *list = talloc_zero(e, struct migration_list);

	list->n = 3;
	list->v = talloc_zero_array(list, struct migration, list->n);
	list->v[0] = (struct migration){ .state = MIGRATION_CHECKSUM_MISMATCH, .file = &file, .row = &row, .note = "only line ends differ" };
	list->v[1] = (struct migration){ .state = MIGRATION_PENDING, .file = &next };
	list->v[2] = (struct migration){ .state = MIGRATION_MISSING, .row = &row };
	list->counts[MIGRATION_CHECKSUM_MISMATCH] = list->counts[MIGRATION_PENDING] = list->counts[MIGRATION_MISSING] = 1;
	list->current_version = "001";
	list->blocked = true;
	error_set(&list->why, "V001__users.sql was changed after it was applied");
	error_hint(&list->why, "put the file back, or dbreconcilectl migrations repair");
	return list;
}

static struct schema_part parts_of_total[] = {
	{ .name = "type", .before = "integer", .after = "bigint", .told = true }, { .name = "default", .before = "0", .told = true },
};
static struct schema_part parts_of_view[] = { { .name = "definition" } };
static struct schema_change schema_changes[] = {
	{ SCHEMA_CHANGED, "column", "app.orders.total", parts_of_total, 2 }, { SCHEMA_CHANGED, "view", "app.\"odd\tname\"", parts_of_view, 1 },
	{ SCHEMA_ADDED, "index", "app.by_hand", NULL, 0 },
};
static const struct schema_diff schema_drift = { schema_changes, 3, 250 }, schema_differs = { schema_changes, 1, 1 };
static const struct schema_view schema_of_orders = {
	.looked_ms = WALL, .baseline_ms = WALL - 60000, .baseline_version = "001", .objects = 1234, .drift = &schema_drift, .peers = 12,
	.reference = "prod/first", .differs = &schema_differs,
};

static const char *orders_directories[] = { "/etc/dbreconcile/migrations/orders" };
static const char *orders_schemas[] = { "app" };
static const struct migration_settings settings_of_orders = {
	.enabled = true, .directories = orders_directories, .n_directories = 1, .user = "migrator", .wave = 2, .soak = 600000,
	.schema_drift = orders_schemas, .n_schema_drift = 1,
};

static void add_named(struct engine *e)
{
	struct target_view *v = add(e, "prod", NULL, TARGET_IN_SYNC);

	v->in_sync_since_ms = v->last_success_ms = WALL;
	v->next_ms = WALL + 60000;
	v->server_version = 150008;
	v = add(e, "prod", "orders", TARGET_HELD);
	v->plan = make_plan(e);
	v->migrations = make_migrations(e);
	v->migration_settings = &settings_of_orders;
	v->schema = &schema_of_orders;
	v->waiting = (struct wave_wait){ .why = WAVE_SOAKING, .name = "prod/first", .wave = 1, .n = 3, .until_ms = WALL + 600000 };
	v->message = "1 change waits for approval";
	v->server_version = 150008;
	v->looked_ms = WALL;
	v->applied_by[DRIFT_GRANT] = 5;
	v->changes_applied = 5;
	add(e, "prod", "stuck", TARGET_RUNNING)->phase = "look";
	v = add(e, "prod", "Ünï \"q\"\\\n\xff", TARGET_UNREACHABLE);
	v->reachable = false;
	v->failure = failure_name(FAILURE_AUTH);
	v->failures_by[FAILURE_AUTH] = 3;
	v->sqlstate = "28P01";
	v->last_error = "password authentication failed for user \"\xff\"";
	v->last_error_ms = WALL;
	v->consecutive_failures = 3;
	v->passes = v->passes_begun = 0;
	v = add(e, "stage", NULL, TARGET_SUSPENDED);
	v->mode = MODE_OBSERVE;
	v->suspended = true;
	v->suspend_reason = "release";
	v->last_attempt_ms = 0;
}

struct settings *fake_engine_settings(struct engine *e)
{
	return &e->settings;
}

struct engine *fake_engine_new(void *parent, struct state *state, const char *directory, uint32_t extra)
{
	struct engine *e = talloc_zero(parent, struct engine);
	struct settings *s = &e->settings;

	e->state = state;
	e->names = names_new(e);
	e->capacity = 5 + extra;
	e->views = talloc_zero_array(e, struct target_view, e->capacity);
	e->broken = talloc_asprintf(e, "%s/broken", directory);
	e->last_ok = true;
	s->generation = 1;
	s->file = "/etc/dbreconcile/dbreconciled.conf";
	s->interval = s->full_interval = 60000;
	s->manifests_dir = s->migrations_dir = s->state_file = directory;
	s->control.socket = talloc_asprintf(e, "%s/control.sock", directory);
	s->control.metrics_socket = talloc_asprintf(e, "%s/metrics.sock", directory);
	s->control.metrics_listen = "";
	add_named(e);
	for (uint32_t i = 0; i < extra; i++)
		add(e, "fleet", talloc_asprintf(e, "db%05u", i), TARGET_IN_SYNC);
	return e;
}

void fake_engine_turn(struct engine *e)
{
	e->busy = false;
	for (uint32_t i = 0; i < e->n; i++) {
		struct target_view *v = &e->views[i];

		if (v->database && strcmp(v->database, "stuck") == 0)
			continue;
		v->passes = v->passes_begun;
	}
}

bool fake_engine_busy(const struct engine *e)
{
	return e->busy;
}

static void record(struct engine *e, const char *target, const char *kind, const char *actor, const char *object)
{
	struct event event = {
		.at_ms = clock_wall(), .target = target, .kind = kind, .actor = actor, .object = object, .result = "ok",
		.message = "caf\xe9",
	};

	state_event_add(e->state, &event, NULL);
}

const struct settings *engine_settings(const struct engine *e)
{
	return &e->settings;
}

uint32_t engine_targets(const struct engine *e)
{
	return e->n;
}

const struct target_view *engine_view(const struct engine *e, uint32_t index)
{
	return &e->views[index];
}

static struct target_view *find(const struct engine *e, const char *target)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (strcmp(e->views[i].name, target) == 0)
			return &e->views[i];
	return NULL;
}

const struct target_view *engine_find(const struct engine *e, const char *target)
{
	return find(e, target);
}

struct state *engine_state(struct engine *e)
{
	return e->state;
}

static int begin(struct engine *e, const char *target, const char *actor, const char *kind)
{
	for (uint32_t i = 0; i < e->n; i++)
		if (!target || strcmp(e->views[i].name, target) == 0)
			e->views[i].passes_begun++;
	e->busy = true;
	record(e, target ? target : "", kind, actor, "pass");
	return target && !find(e, target);
}

int engine_reconcile(struct engine *e, const char *target, const char *actor)
{
	return begin(e, target, actor, "reconcile");
}

int engine_look(struct engine *e, const char *target, const char *actor)
{
	return begin(e, target, actor, "look");
}

int engine_suspend(struct engine *e, const char *target, const char *reason, int64_t for_ms, const char *actor, struct error *err)
{
	struct target_view *v = find(e, target);

	(void)err;
	v->suspended = true;
	v->suspend_reason = reason ? talloc_strdup(e, reason) : NULL;
	v->suspend_until_ms = for_ms ? clock_wall() + for_ms : 0;
	record(e, target, "suspended", actor, "corrections");
	return 0;
}

int engine_resume(struct engine *e, const char *target, const char *actor, struct error *err)
{
	struct target_view *v = find(e, target);

	if (!v->suspended) {
		error_set(err, "it was not suspended");
		return 0;
	}
	v->suspended = false;
	record(e, target, "resumed", actor, "corrections");
	return 0;
}

static int decide(struct engine *e, const char *target, const char *plan, const char *actor, bool rejected, struct error *err)
{
	struct target_view *v = find(e, target);
	struct approval approval = { target, plan, actor, clock_wall(), clock_wall() + 3600000, rejected };

	if (!v->plan || strcmp(v->plan->id, plan) != 0) {
		error_set(err, "plan %s is not held on '%s'", plan, target);
		error_hint(err, "look at the plan again");
		return 1;
	}
	record(e, target, rejected ? "rejected" : "approved", actor, plan);
	return state_approve(e->state, &approval);
}

int engine_approve(struct engine *e, const char *target, const char *plan, const char *actor, struct error *err)
{
	return decide(e, target, plan, actor, false, err);
}

int engine_reject(struct engine *e, const char *target, const char *plan, const char *actor, struct error *err)
{
	return decide(e, target, plan, actor, true, err);
}

int engine_undo(struct engine *e, int64_t change, const char *actor, void *parent, struct undo_answer *ret, struct error *err)
{
	static const char *statements[] = { "REVOKE SELECT ON TABLE \"app\".\"users\" FROM \"reporting\"" };

	(void)parent;
	if (change > 7) {
		error_set(err, "there is no change %lld in the history", (long long)change);
		return 2;
	}
	if (change < 7) {
		error_set(err, "change %lld touched the same object later", (long long)change + 1);
		return 1;
	}
	record(e, "prod/orders", "undo", actor, "change 7");
	*ret = (struct undo_answer){ .change = 7, .target = "prod/orders", .plan = PLAN_ID, .statements = statements, .n_statements = 1,
				     .description = "GRANT SELECT ON table app.users TO reporting" };
	return 0;
}

int engine_release(struct engine *e, const char *target, const char *actor, struct error *err)
{
	if (find(e, target)->migrations == NULL) {
		error_set(err, "%s has no migrations that anybody could wait for", target);
		return 1;
	}
	record(e, target, "released", actor, "");
	return 0;
}

int engine_accept_schema(struct engine *e, const char *target, const char *actor, struct error *err)
{
	if (find(e, target)->schema == NULL) {
		error_set(err, "the schemas of %s are not watched", target);
		return 1;
	}
	record(e, target, "schema_accepted", actor, "");
	return 0;
}

static struct mend_action mended[] = { { .text = "delete the failed row of version 001 (rank 1)" } };
static const struct migration_file undo_file = { .type = MIGRATION_UNDO, .version = "001", .description = "users", .script = "U001__users.sql" };
static struct migration_finding undo_finding = {
	.line = 1, .rule = "drop-table", .relation = "users", .lock = LOCK_ACCESS_EXCLUSIVE, .destroys = true, .tuples = -1,
	.message = "ACCESS EXCLUSIVE on users: blocks reads and writes; its data is gone",
};
static const struct mending mending = { .v = mended, .n = 1, .file = &undo_file, .findings = &undo_finding, .n_findings = 1 };

/* Over at once; a version "9" is refused. */
int engine_ledger_order(struct engine *e, const char *target, const struct ledger_order *order, const char *actor, uint64_t *ret_id,
			struct error *err)
{
	if (order->version && strcmp(order->version, "9") == 0) {
		error_set(err, "there is no migration 9, neither as a file nor in the ledger");
		return 1;
	}
	if (!order->dry_run)
		record(e, target, "ledger", actor, ledger_verb_name(order->verb));
	*ret_id = 7;
	return 0;
}

bool engine_ledger_answer(const struct engine *e, uint64_t id, struct ledger_answer *ret)
{
	(void)e;
	*ret = (struct ledger_answer){ .over = true, .ok = true, .mending = &mending };
	return id == 7;
}

void engine_ledger_forget(struct engine *e, uint64_t id)
{
	(void)e;
	(void)id;
}

int engine_reload(struct engine *e, const char *actor, void *parent, struct config_errors **ret_errors)
{
	struct config_errors *errors;

	e->reloads++;
	e->last_ok = access(e->broken, F_OK) != 0;
	record(e, "", "reload", actor, "configuration");
	if (e->last_ok) {
		e->settings.generation++;
		return 0;
	}
	e->reload_failures++;
	errors = talloc_zero(parent, struct config_errors);
	errors->n = 2;
	errors->v = talloc_zero_array(errors, struct error, 2);
	error_set_at(&errors->v[0], "/etc/dbreconcile/dbreconciled.conf", 3, "setting 'daemon.intervall': unknown setting");
	error_hint(&errors->v[0], "did you mean 'interval'?");
	error_set_at(&errors->v[1], "/etc/dbreconcile/dbreconciled.conf", 9, "setting 'servers.[0].name': missing");
	*ret_errors = errors;
	return 1;
}

void engine_numbers(const struct engine *e, struct engine_numbers *ret)
{
	*ret = (struct engine_numbers){
		.targets = e->n, .workers_max = 8, .connections_open = 2, .loop_lag_seconds = 0.001, .loop_lag_max = 12,
		.reloads = e->reloads, .reload_failures = e->reload_failures, .last_reload_ok = e->last_ok, .accepted_ms = clock_wall(),
		.duration_buckets = { 1, 2, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1 }, .duration_count = 4, .duration_sum = 301.5,
		.full_cycle_done = true, .last_cycle_ms = clock_wall(),
	};
}

const char *target_status_name(enum target_status status)
{
	static const char *const names[TARGET_STATUSES] = {
		"in_sync", "drift", "pending", "running", "held", "blocked", "suspended", "unreachable", "failed",
	};

	return names[status];
}
