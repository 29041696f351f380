/* SPDX-License-Identifier: PostgreSQL */
/* What people see of a target: verdict, message, counters, log lines. */
#include "engine/held.h"
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "engine/schema.h"

const char *target_status_name(enum target_status status)
{
	static const char *const names[TARGET_STATUSES] = {
		[TARGET_IN_SYNC] = "in_sync", [TARGET_DRIFT] = "drift", [TARGET_PENDING] = "pending", [TARGET_RUNNING] = "running",
		[TARGET_HELD] = "held", [TARGET_BLOCKED] = "blocked", [TARGET_SUSPENDED] = "suspended",
		[TARGET_UNREACHABLE] = "unreachable", [TARGET_FAILED] = "failed",
	};

	return (unsigned)status < TARGET_STATUSES ? names[status] : "unknown";
}

/* A failure decides more than the status: what it means for the target, and what an operator does about it. */
static const struct {
	enum target_status status;
	bool reached;             /* the server answered */
	const char *hint;
} failures[FAILURE_INTERNAL + 1] = {
	[FAILURE_CONNECT] = { TARGET_UNREACHABLE, false, "is the server running, and are host and port of conninfo right?" },
	[FAILURE_TIMEOUT] = { TARGET_UNREACHABLE, false, "the server or the network is slow or frozen" },
	[FAILURE_AUTH] = { TARGET_FAILED, true, "check user, password and pg_hba.conf" },
	[FAILURE_TOO_MANY] = { TARGET_UNREACHABLE, true, "raise max_connections, or reserve connections for this role (reserved_connections)" },
	[FAILURE_STARTING] = { TARGET_UNREACHABLE, true, "nothing to do: it is tried again" },
	[FAILURE_PERMISSION] = { TARGET_FAILED, true, "the role of conninfo has not the right" },
	[FAILURE_LOCK] = { TARGET_FAILED, true, "nothing to do: it is tried again" },
	[FAILURE_CONFLICT] = { TARGET_FAILED, true, "nothing to do: it is tried again" },
	[FAILURE_IDENTITY] = { TARGET_FAILED, true, NULL },
	[FAILURE_NO_DATABASE] = { TARGET_FAILED, true, "create the database, or take it out of the configuration" },
	[FAILURE_SQL] = { TARGET_FAILED, true, NULL },
	[FAILURE_INTERNAL] = { TARGET_FAILED, true, NULL },
};

enum run_mode target_mode(const struct target *t)
{
	const struct database_settings *db = t->db;
	bool match;

	if (t->engine->options.observe_only || t->gen == NULL)
		return MODE_OBSERVE;
	if (target_is_root(t))
		return t->gen->server->mode;
	if (db == NULL)              /* before its first pass */
		db = settings_database(t->gen->server, t->database, &match);
	return db != NULL ? db->mode : MODE_OBSERVE;
}

bool target_applies(const struct target *t)
{
	return target_mode(t) == MODE_ENFORCE && !t->suspended;
}

static const char *view_text(struct target *t, const char *s)
{
	return s != NULL && s[0] != '\0' ? talloc_strdup(t->view_ctx, s) : NULL;
}

/* Every text of the view is replaced as a whole. */
static void view_texts(struct target *t, const char *message, const char *sqlstate, const char *last_error)
{
	void *old = t->view_ctx;

	t->view_ctx = talloc_new(t);
	t->view.message = talloc_strdup(t->view_ctx, message);
	t->view.sqlstate = view_text(t, sqlstate);
	t->view.last_error = view_text(t, last_error);
	t->view.suspend_reason = view_text(t, t->suspend_reason);
	t->view.waiting.name = view_text(t, t->view.waiting.name);
	talloc_free(old);
}

void publish_start(struct target *t)
{
	t->view.last_attempt_ms = clock_wall();
	t->view.passes_begun++;
	t->view.busy = true;
}

void publish_state(struct target *t)
{
	t->view.phase = target_state_name(t->state);
	t->view.mode = target_mode(t);
	if (t->pass != NULL && (t->state == TS_APPLY || t->state == TS_MIGRATE) && t->pass->wrote)
		t->view.status = TARGET_RUNNING;
}

void publish_doing(struct target *t, const char *message)
{
	view_texts(t, message, t->view.sqlstate, t->view.last_error);
}

static char *message_suspended(const struct target *t, void *parent)
{
	return talloc_asprintf(parent, "suspended%s%s", t->suspend_reason != NULL ? ": " : "", t->suspend_reason != NULL ? t->suspend_reason : "");
}

void publish_suspension(struct target *t)
{
	char *message = t->suspended ? message_suspended(t, NULL) : talloc_strdup(NULL, t->view.message);

	t->view.suspended = t->suspended;
	t->view.suspend_until_ms = t->suspend_until;
	if (t->suspended && t->view.status < TARGET_SUSPENDED)
		t->view.status = TARGET_SUSPENDED;
	view_texts(t, message, t->view.sqlstate, t->view.last_error);
	talloc_free(message);
}

static void publish_migrations(struct target *t)
{
	t->view.migration_failed = t->brake.kind != BRAKE_NONE;
	t->view.version_since_ms = t->at_version ? t->version_since_ms : 0;
	t->view.schema = NULL;
	if (!schema_is_watched(t))
		return;
	schema_load(t);
	t->view.schema = &t->schema->view;
}

/* ---- the verdict of a plan ---- */

static enum target_status plan_status(const struct target *t)
{
	const struct plan *plan = t->plan;

	if (plan->n_changes == 0)
		return t->suspended ? TARGET_SUSPENDED : TARGET_IN_SYNC;
	if (t->suspended)
		return TARGET_SUSPENDED;
	/* a pass that only looked (diff) leaves what could be made; what is held or blocked is so for every pass */
	if (target_mode(t) == MODE_OBSERVE || (t->pass->observed_only && plan->ready > 0))
		return TARGET_DRIFT;
	if (brake_holds(t) && plan->drift[DRIFT_LEDGER] > 0)
		return t->brake.kind == BRAKE_BEFORE ? TARGET_BLOCKED : TARGET_FAILED;
	if (plan->blocked > 0)
		return TARGET_BLOCKED;
	return plan->held > 0 ? TARGET_HELD : TARGET_DRIFT;
}

static const struct change *first_blocked(const struct plan *plan)
{
	for (uint32_t i = 0; i < plan->n_changes; i++)
		if (plan->changes[i].state == CHANGE_BLOCKED)
			return &plan->changes[i];
	return NULL;
}

static const char *plural(uint32_t n)
{
	return n == 1 ? "" : "s";
}

static char *message_held(const struct target *t, void *parent)
{
	const struct plan *plan = t->plan;

	if (t->rejected_by != NULL)
		return talloc_asprintf(parent, "plan %s was rejected by %s", plan->id, t->rejected_by);
	return talloc_asprintf(parent, "plan %s waits for approval: %s; dbreconcilectl approve %s %s", plan->id,
			       plan->held_reason != NULL ? plan->held_reason : "over budget", t->name, plan->id);
}

static char *message_blocked(const struct target *t, void *parent)
{
	const struct change *c = first_blocked(t->plan);

	return talloc_asprintf(parent, "%u change%s blocked: %s%s%s", t->plan->blocked, plural(t->plan->blocked),
			       c->reason != NULL ? c->reason : "no reason was given", c->remedy != NULL ? "; " : "",
			       c->remedy != NULL ? c->remedy : "");
}

/* What is blocked is not to be made, whoever allows it. */
static char *message_drift(const struct target *t, void *parent)
{
	const struct plan *plan = t->plan;
	const uint32_t n = plan->n_changes - plan->blocked;
	char *s = talloc_strdup(parent, "");

	if (n > 0)
		s = talloc_asprintf_append(s, "%u change%s to make", n, plural(n));
	if (plan->held > 0)
		s = talloc_asprintf_append(s, ", %u of them held", plan->held);
	if (plan->blocked > 0)
		s = talloc_asprintf_append(s, "%s%s", n > 0 ? "; " : "", message_blocked(t, s));
	return target_mode(t) == MODE_OBSERVE ? talloc_asprintf_append(s, " (observe mode: nothing is written)") : s;
}

static char *message_brake(const struct target *t, void *parent)
{
	char line[ERROR_TEXT_MAX + 1024];

	return talloc_strdup(parent, error_format(&t->brake.error, line, sizeof(line)));
}

/* What is no drift of the manifests, and still worth a word. */
static char *message_in_sync(const struct target *t, void *parent)
{
	uint32_t drift = schema_is_watched(t) ? schema_drift(t) : 0;

	if (t->plan->n_warnings > 0)
		return talloc_strdup(parent, t->plan->warnings[0]);
	if (drift == 0)
		return talloc_strdup(parent, "in sync");
	return talloc_asprintf(parent, "in sync; %u object%s changed outside of migrations, see dbreconcilectl migrations %s", drift,
			       drift == 1 ? " was" : "s were", t->name);
}

static char *message_plan(const struct target *t, enum target_status status, void *parent)
{
	const struct plan *plan = t->plan;

	if (brake_holds(t) && (status == TARGET_FAILED || status == TARGET_BLOCKED) && plan->drift[DRIFT_LEDGER] > 0)
		return message_brake(t, parent);
	switch (status) {
	case TARGET_IN_SYNC:
		return message_in_sync(t, parent);
	case TARGET_SUSPENDED:
		return message_suspended(t, parent);
	case TARGET_BLOCKED:
		return plan->held > 0 ? talloc_asprintf(parent, "%s; %s", message_held(t, parent), message_blocked(t, parent))
				      : message_blocked(t, parent);
	case TARGET_HELD:
		return message_held(t, parent);
	default:
		if (t->wait.why != WAVE_GO)
			return wave_message(parent, &t->wait);
		return message_drift(t, parent);
	}
}

void publish_rest(struct target *t, msec_t now)
{
	enum target_status was = t->view.status, status = plan_status(t);
	void *scratch = talloc_new(NULL);
	int64_t wall = clock_wall();

	(void)now;
	if (status == TARGET_IN_SYNC && (was != TARGET_IN_SYNC || t->view.in_sync_since_ms == 0))
		t->view.in_sync_since_ms = wall;
	if (status != TARGET_IN_SYNC)
		t->view.in_sync_since_ms = 0;
	t->view.status = status;
	t->view.mode = target_mode(t);
	t->view.suspended = t->suspended;
	t->view.suspend_until_ms = t->suspend_until;
	t->view.failure = NULL;
	t->view.consecutive_failures = 0;
	t->view.reachable = true;
	t->view.last_success_ms = wall;
	t->view.passes++;
	waves_rest(t);
	held_record(t);
	t->view.waiting = t->wait;
	publish_migrations(t);
	view_texts(t, message_plan(t, status, scratch), NULL, t->view.last_error);
	if (was != status || t->pass->wrote)
		log_target(status >= TARGET_HELD ? LOG_LEVEL_WARNING : LOG_LEVEL_NOTICE, t->name, MESSAGE_STATUS, "%s: %s", target_status_name(status),
			   t->view.message);
	talloc_free(scratch);
}

/* ---- failures ---- */

static bool power_of_two(unsigned n)
{
	return (n & (n - 1)) == 0;
}

void publish_failure(struct target *t, enum failure failure, const struct error *err, msec_t now)
{
	char line[ERROR_TEXT_MAX + 1024];
	const char *hint = err->hint[0] == '\0' ? failures[failure].hint : NULL;
	char *message;

	(void)now;
	error_format(err, line, sizeof(line));
	message = hint != NULL ? talloc_asprintf(NULL, "%s (%s)", line, hint) : talloc_strdup(NULL, line);
	t->view.status = failures[failure].status;
	t->view.failure = failure_name(failure);
	t->view.reachable = failures[failure].reached;
	t->view.in_sync_since_ms = 0;
	t->view.consecutive_failures = t->failures;
	t->view.passes++;
	t->view.pass_failures++;
	t->view.failures_by[failure]++;
	t->view.last_error_ms = clock_wall();
	t->wait = t->view.waiting = (struct wave_wait){ .why = WAVE_GO };
	publish_migrations(t);
	view_texts(t, message, err->sqlstate, message);
	if (power_of_two(t->failures))       /* a long outage is not a long log */
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_PASS_FAILED, "%s: %s%s", t->view.failure, message, t->failures > 1 ? " (again)" : "");
	talloc_free(message);
}

/* The databases of a server that does not answer do not try for themselves: they say what the server says. */
void publish_server_down(struct server *s, msec_t now)
{
	char *message = talloc_asprintf(NULL, "server %s is not reachable: %s", s->name, s->root->view.message);

	(void)now;
	for (uint32_t i = 0; i < s->n_databases; i++) {
		struct target *t = s->databases[i];

		if (t->pass != NULL)
			continue;
		if (t->ordered) {     /* whoever waits for this pass hears that it failed */
			t->ordered = t->order_observed = false;
			t->view.passes_begun++;
			t->view.passes++;
			t->view.pass_failures++;
		}
		t->view.busy = false;
		t->view.status = s->root->view.status;
		t->view.failure = s->root->view.failure;
		t->view.reachable = s->root->view.reachable;
		t->view.in_sync_since_ms = 0;
		view_texts(t, message, s->root->view.sqlstate, t->view.last_error);
		if (t->engine->options.once)
			t->once_done = true;
	}
	talloc_free(message);
}
