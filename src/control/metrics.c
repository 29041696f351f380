/* SPDX-License-Identifier: PostgreSQL */
/*
 * GET /metrics, Prometheus text format 0.0.4. One row per family; families
 * of targets are written in portions over several turns of the loop, so that
 * a large fleet is scraped without delaying anybody. The label `database` is
 * the name of the target. Never a role name as a label.
 */
#include "config.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "control/internal.h"
#include "control/metrics.h"
#include "migrate/schema.h"

#define CONTENT_TYPE "text/plain; version=0.0.4; charset=utf-8"
#define TARGETS_PER_TURN 2000

struct scrape {
	struct evbuffer *out;
	struct text *label;            /* database="...", escaped */
	unsigned family;
	uint32_t target;
	uint64_t generation;
	struct engine_numbers numbers;
};

struct family {
	const char *name, *type, *help;
	void (*once)(const struct control *, const struct family *, struct scrape *);
	void (*each)(const struct family *, struct scrape *, const struct target_view *);
};

static void add_label_value(struct text *out, const char *value)
{
	char *safe = NULL;

	if (!utf8_valid(value, strlen(value)))
		value = safe = text_escape(out, value, strlen(value), 1024);
	for (; *value; value++) {
		if (*value == '\\' || *value == '"')
			text_add_char(out, '\\');
		if (*value == '\n')
			text_add(out, "\\n");
		else
			text_add_char(out, *value);
	}
	talloc_free(safe);
}

static void number(const struct family *f, struct scrape *s, double value)
{
	evbuffer_add_printf(s->out, "%s %.15g\n", f->name, value);
}

static void sample(const struct family *f, struct scrape *s, double value)
{
	evbuffer_add_printf(s->out, "%s{%s} %.15g\n", f->name, s->label->s, value);
}

static void sample_by(const struct family *f, struct scrape *s, const char *key, const char *word, double value)
{
	evbuffer_add_printf(s->out, "%s{%s,%s=\"%s\"} %.15g\n", f->name, s->label->s, key, word, value);
}

static double seconds(int64_t ms)
{
	return (double)ms / 1000.0;
}

/* --- of the daemon */

static void build_info(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	evbuffer_add_printf(s->out, "%s{version=\"%s\",libpq=\"%s\",libevent=\"%s\"} 1\n", f->name, PACKAGE_VERSION,
			    session_library_version(), event_get_version());
}

static void reload_ok(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, s->numbers.last_reload_ok || s->numbers.reload_failures == 0);
}

static void reload_time(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, seconds(s->numbers.accepted_ms));
}

static void reloads(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, (double)s->numbers.reloads);
}

static void reload_failures(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, (double)s->numbers.reload_failures);
}

static void databases(const struct control *c, const struct family *f, struct scrape *s)
{
	number(f, s, engine_targets(c->engine));
}

static void interval(const struct control *c, const struct family *f, struct scrape *s)
{
	number(f, s, seconds(engine_settings(c->engine)->interval));
}

static void queue_depth(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, s->numbers.queue_depth);
}

static void workers_active(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, s->numbers.workers_active);
}

static void workers_max(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, s->numbers.workers_max);
}

static void longest_running(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, seconds(s->numbers.longest_running));
}

static void connections(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	evbuffer_add_printf(s->out, "%s{state=\"open\"} %u\n", f->name, s->numbers.connections_open);
}

static void loop_lag(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, s->numbers.loop_lag_seconds);
}

static void loop_lag_max(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	number(f, s, seconds(s->numbers.loop_lag_max));
}

static void histogram(const struct family *f, struct scrape *s, const uint64_t *buckets, uint64_t count, double sum)
{
	static const char *const bounds[] = { "0.05", "0.1", "0.25", "0.5", "1", "2.5", "5", "10", "30", "60", "300" };
	uint64_t below = 0;

	for (size_t i = 0; i < sizeof(bounds) / sizeof(bounds[0]); i++) {
		below += buckets[i];
		evbuffer_add_printf(s->out, "%s_bucket{le=\"%s\"} %llu\n", f->name, bounds[i], (unsigned long long)below);
	}
	evbuffer_add_printf(s->out, "%s_bucket{le=\"+Inf\"} %llu\n%s_sum %.15g\n%s_count %llu\n", f->name, (unsigned long long)count,
			    f->name, sum, f->name, (unsigned long long)count);
}

static void duration(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	histogram(f, s, s->numbers.duration_buckets, s->numbers.duration_count, s->numbers.duration_sum);
}

static void queue_wait(const struct control *c, const struct family *f, struct scrape *s)
{
	(void)c;
	histogram(f, s, s->numbers.wait_buckets, s->numbers.wait_count, s->numbers.wait_sum);
}

static void requests(const struct control *c, const struct family *f, struct scrape *s)
{
	for (unsigned i = 0; i <= n_routes; i++) {
		for (unsigned j = 0; j < CODES - 1; j++) {
			uint64_t n = c->counts[i * CODES + j];

			if (n > 0 || (i < n_routes && j == 0))
				evbuffer_add_printf(s->out, "%s{verb=\"%s\",code=\"%d\"} %llu\n", f->name,
						    i < n_routes ? routes[i].verb : "other", code_of_column(j), (unsigned long long)n);
		}
	}
}

static void rejections(const struct control *c, const struct family *f, struct scrape *s)
{
	static const char *const reasons[] = {
		[REJECT_EVICTED] = "evicted", [REJECT_UID_LIMIT] = "uid_limit", [REJECT_DEADLINE] = "deadline",
		[REJECT_DESCRIPTORS] = "descriptors", [REJECT_SLOW_READER] = "slow_reader",
	};

	for (size_t i = 0; i < sizeof(reasons) / sizeof(reasons[0]); i++)
		evbuffer_add_printf(s->out, "%s{reason=\"%s\"} %llu\n", f->name, reasons[i], (unsigned long long)c->rejected[i]);
}

static void process(const struct control *c, const struct family *f, struct scrape *s)
{
	number(f, s, process_number(f->name + strlen("process_"), c->started_wall));
}

/* --- of each target */

static void in_sync(const struct family *f, struct scrape *s, const struct target_view *v)
{
	bool busy = v->status == TARGET_RUNNING || v->status == TARGET_SUSPENDED;

	sample(f, s, v->status == TARGET_IN_SYNC || (busy && v->plan && v->plan->drift_objects == 0 && v->consecutive_failures == 0));
}

static void reachable(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, v->reachable);
}

static void is_suspended(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, v->suspended);
}

static void failures_in_row(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, v->consecutive_failures);
}

static void last_attempt(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, seconds(v->last_attempt_ms));
}

static void last_success(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, seconds(v->last_success_ms));
}

static void held(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, v->plan ? v->plan->held_objects : 0);
}

static void drift(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = 0; i < DRIFT_KINDS; i++)
		sample_by(f, s, "kind", drift_kind_name((enum drift_kind)i), v->plan ? v->plan->drift[i] : 0);
}

static void blocked(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = 0; i < DRIFT_KINDS; i++)
		sample_by(f, s, "kind", drift_kind_name((enum drift_kind)i), v->plan ? v->plan->blocked_by_kind[i] : 0);
}

static void applied(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = 0; i < DRIFT_KINDS; i++)
		sample_by(f, s, "kind", drift_kind_name((enum drift_kind)i), (double)v->applied_by[i]);
}

static void change_failures(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = 0; i < DRIFT_KINDS; i++)
		sample_by(f, s, "kind", drift_kind_name((enum drift_kind)i), (double)v->change_failures_by[i]);
}

static void passes(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, (double)v->passes);
}

static void looks_unchanged(const struct family *f, struct scrape *s, const struct target_view *v)
{
	sample(f, s, (double)v->looks_unchanged);
}

static void pass_failures(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = FAILURE_NONE + 1; i <= FAILURE_INTERNAL; i++)
		sample_by(f, s, "reason", failure_name((enum failure)i), (double)v->failures_by[i]);
}

static void ledger(const struct family *f, struct scrape *s, const struct target_view *v)
{
	for (unsigned i = 0; v->migrations && i < MIGRATION_STATES; i++)
		sample_by(f, s, "state", migration_state_name((enum migration_state)i), v->migrations->counts[i]);
}

static void migrations_failed(const struct family *f, struct scrape *s, const struct target_view *v)
{
	if (v->migration_settings)
		sample(f, s, v->migration_failed);
}

static void migrations_waiting(const struct family *f, struct scrape *s, const struct target_view *v)
{
	if (v->migration_settings)
		sample(f, s, v->waiting.why != WAVE_GO);
}

static void schema_drift(const struct family *f, struct scrape *s, const struct target_view *v)
{
	if (v->schema && v->schema->drift)
		sample(f, s, v->schema->drift->total);
}

static void schema_differs(const struct family *f, struct scrape *s, const struct target_view *v)
{
	if (v->schema && v->schema->drift)
		sample(f, s, v->schema->differs ? v->schema->differs->total : 0);
}

#define NAME(x) "dbreconcile_" x
static const struct family families[] = {
	{ NAME("build_info"), "gauge", "Version of the daemon and of the libraries it runs with.", build_info, NULL },
	{ NAME("config_last_reload_successful"), "gauge", "1 when the last reload of the configuration was accepted.", reload_ok, NULL },
	{ NAME("config_last_reload_success_timestamp_seconds"), "gauge", "When a configuration was last accepted.", reload_time, NULL },
	{ NAME("config_reloads_total"), "counter", "Reloads that were asked for.", reloads, NULL },
	{ NAME("config_reload_failures_total"), "counter", "Reloads that were refused.", reload_failures, NULL },
	{ NAME("databases"), "gauge", "Targets: databases, and servers for their cluster-wide part.", databases, NULL },
	{ NAME("reconcile_interval_seconds"), "gauge", "Configured time between two passes.", interval, NULL },
	{ NAME("database_in_sync"), "gauge", "1 when the last look found nothing that differs.", NULL, in_sync },
	{ NAME("database_reachable"), "gauge", "1 when the last attempt got a connection.", NULL, reachable },
	{ NAME("database_suspended"), "gauge", "1 while an operator has suspended corrections.", NULL, is_suspended },
	{ NAME("database_consecutive_failures"), "gauge", "Passes that failed since the last that succeeded.", NULL, failures_in_row },
	{ NAME("database_last_attempt_timestamp_seconds"), "gauge", "When the last pass ended; 0 = never.", NULL, last_attempt },
	{ NAME("database_last_success_timestamp_seconds"), "gauge", "When the last pass succeeded; 0 = never.", NULL, last_success },
	{ NAME("database_drift_objects"), "gauge", "Objects that differ from the manifests.", NULL, drift },
	{ NAME("database_blocked_objects"), "gauge", "Objects that differ and that the daemon cannot correct.", NULL, blocked },
	{ NAME("database_held_objects"), "gauge", "Objects that differ and wait for an approval.", NULL, held },
	{ NAME("changes_applied_total"), "counter", "Objects corrected.", NULL, applied },
	{ NAME("change_failures_total"), "counter", "Corrections that failed.", NULL, change_failures },
	{ NAME("reconciles_total"), "counter", "Passes that have ended, well or not.", NULL, passes },
	{ NAME("reconcile_failures_total"), "counter", "Passes that failed.", NULL, pass_failures },
	{ NAME("looks_unchanged_total"), "counter", "Looks whose answers were those of the look before.", NULL, looks_unchanged },
	{ NAME("reconcile_duration_seconds"), "histogram", "How long passes took.", duration, NULL },
	{ NAME("ledger_migrations"), "gauge", "Migrations by state.", NULL, ledger },
	{ NAME("migrations_failed"), "gauge", "1 while a migration, hook or seed that failed waits for other files or an order.", NULL,
	  migrations_failed },
	{ NAME("migrations_waiting"), "gauge", "1 while pending migrations wait for other databases.", NULL, migrations_waiting },
	{ NAME("schema_drift_objects"), "gauge", "Objects of watched schemas that were changed outside of migrations.", NULL, schema_drift },
	{ NAME("schema_peer_differences"), "gauge", "Objects of watched schemas that differ from most databases at the same version.", NULL,
	  schema_differs },
	{ NAME("queue_depth"), "gauge", "Targets that are due and wait for their turn.", queue_depth, NULL },
	{ NAME("queue_wait_seconds"), "histogram", "How long targets waited for their turn.", queue_wait, NULL },
	{ NAME("workers_active"), "gauge", "Passes under way.", workers_active, NULL },
	{ NAME("workers_max"), "gauge", "Passes that may be under way at the same time.", workers_max, NULL },
	{ NAME("longest_running_reconcile_seconds"), "gauge", "Age of the oldest pass under way.", longest_running, NULL },
	{ NAME("pg_connections"), "gauge", "Connections to PostgreSQL.", connections, NULL },
	{ NAME("control_requests_total"), "counter", "Requests answered on the sockets.", requests, NULL },
	{ NAME("control_connections_rejected_total"), "counter", "Connections to the sockets that were ended by a limit.", rejections, NULL },
	{ NAME("event_loop_lag_seconds"), "gauge", "Time from ready to handled in the last turn of the loop.", loop_lag, NULL },
	{ NAME("event_loop_lag_max_seconds"), "gauge", "Longest such time since the start.", loop_lag_max, NULL },
	{ "process_start_time_seconds", "gauge", "When the daemon started.", process, NULL },
	{ "process_cpu_seconds_total", "counter", "User and system time.", process, NULL },
	{ "process_resident_memory_bytes", "gauge", "Resident memory.", process, NULL },
	{ "process_virtual_memory_bytes", "gauge", "Virtual memory.", process, NULL },
	{ "process_open_fds", "gauge", "Open file descriptors.", process, NULL },
	{ "process_max_fds", "gauge", "Limit of open file descriptors.", process, NULL },
};
#define FAMILIES (sizeof(families) / sizeof(families[0]))

static void set_label(struct scrape *s, const struct target_view *view)
{
	text_clear(s->label);
	text_add(s->label, "database=\"");
	add_label_value(s->label, view->name);
	text_add_char(s->label, '"');
}

static void restart(struct scrape *s, const struct control *control)
{
	evbuffer_drain(s->out, evbuffer_get_length(s->out));
	s->family = 0;
	s->target = 0;
	s->generation = engine_settings(control->engine)->generation;
}

/* Writes at most TARGETS_PER_TURN targets; true when all is written. */
static bool scrape_portion(struct scrape *s, struct control *control)
{
	const uint32_t n = engine_targets(control->engine);
	uint32_t budget = TARGETS_PER_TURN;

	for (; s->family < FAMILIES; s->family++, s->target = 0) {
		const struct family *f = &families[s->family];

		if (s->target == 0)
			evbuffer_add_printf(s->out, "# HELP %s %s\n# TYPE %s %s\n", f->name, f->help, f->name, f->type);
		if (f->once)
			f->once(control, f, s);
		for (; f->each && s->target < n; s->target++) {
			if (budget-- == 0)
				return false;
			set_label(s, engine_view(control->engine, s->target));
			f->each(f, s, engine_view(control->engine, s->target));
		}
	}
	return true;
}

static void poll_metrics(struct request *request, msec_t now)
{
	struct control *control = request->control;
	struct scrape *s = request->waiting;

	(void)now;
	if (s->generation != engine_settings(control->engine)->generation)
		restart(s, control);            /* other targets now: a series must not come twice */
	if (scrape_portion(s, control))
		reply_buffer(request, 200, CONTENT_TYPE, s->out);
	else
		control_again(control);
}

static int scrape_free(struct scrape *s)
{
	evbuffer_free(s->out);
	return 0;
}

void get_metrics(struct request *request)
{
	struct control *control = request->control;
	struct scrape *s = talloc_zero(request, struct scrape);

	s->out = evbuffer_new();
	talloc_set_destructor(s, scrape_free);
	s->label = text_new(s);
	engine_numbers(control->engine, &s->numbers);
	restart(s, control);
	request->waiting = s;
	request->poll = poll_metrics;
	poll_metrics(request, 0);
}
