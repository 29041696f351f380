/* SPDX-License-Identifier: PostgreSQL */
/*
 * dbreconciled: the composition root. Starts the parts in order, turns them,
 * stops them in reverse. Nothing is decided here.
 *
 *  *.conf - config -> settings + manifests -+
 *  *.sql  - migrate -> migration list ------+ desired -+
 *                                           |          +- diff -> drift - plan -> changes | held | blocked - sql -> batches - session -> server
 *  pg_catalog - session - catalog ----------+ observed +                                                              |
 *                             ^                                                                                       |
 *                             +-------------- verify: look again; drift must be gone --------------------------------+
 *  engine: one state machine per target decides WHEN;  control + service: show what the engine publishes
 *
 * One thread, one event loop. Callbacks only mark what is ready; each turn then
 * does all work in a fixed order: engine, control, service.
 */
#include "config.h"

#include <errno.h>
#include <event2/event.h>
#include <fcntl.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "config/load.h"
#include "control/control.h"
#include "dbreconcile/protocol.h"
#include "engine/engine.h"
#include "engine/target_fsm.h"
#include "service/container.h"
#include "service/service.h"
#include "session/session.h"
#include "state/state.h"

#define DEFAULT_FILE SYSCONFDIR "/dbreconcile/dbreconciled.conf"
#define EXAMPLE_FILE DATADIR "/examples/dbreconciled.conf"
#define STOP_GRACE 10000        /* ms: what is under way is finished or rolled back */

struct options {
	const char *file;
	bool check, print, print_states, once, observe, version, help, verbose;
};

struct daemon {
	struct options options;
	struct event_base *base;
	struct event *signals[3], *service_timer;
	struct settings *settings;
	struct state *state;
	struct engine *engine;
	struct control *control;
	struct service *service;
	int lock_fd;
	bool stop, reload;
};

/* ---- options ---- */

enum { OPTION_OBSERVE = 256, OPTION_ONCE, OPTION_FOREGROUND, OPTION_STATES };

static const struct option long_options[] = {
	{ "config", required_argument, NULL, 'c' }, { "test", no_argument, NULL, 't' }, { "print", no_argument, NULL, 'T' },
	{ "once", no_argument, NULL, OPTION_ONCE }, { "observe", no_argument, NULL, OPTION_OBSERVE },
	{ "foreground", no_argument, NULL, OPTION_FOREGROUND }, { "print-states", no_argument, NULL, OPTION_STATES },
	{ "verbose", no_argument, NULL, 'v' }, { "help", no_argument, NULL, 'h' }, { "version", no_argument, NULL, 'V' }, { NULL, 0, NULL, 0 },
};

static const char usage[] =
	"Usage: dbreconciled [OPTION]...\n"
	"Keeps PostgreSQL servers as their manifests say.\n\n"
	"  -c, --config FILE   the configuration (" DEFAULT_FILE ")\n"
	"  -t, --test          check the configuration, without any connection, and exit\n"
	"  -T, --print         print the effective configuration, secrets redacted, and exit\n"
	"      --once          one pass over every target, print the result, exit\n"
	"      --observe       never write, whatever the configuration says\n"
	"      --foreground    accepted: this is the only way it runs\n"
	"      --print-states  print the states of a target as Markdown, and exit\n"
	"  -v, --verbose       log what happens in detail\n"
	"  -h, --help          print this and exit\n"
	"  -V, --version       print the version and exit\n\n"
	"Exit status: 0 ok, 1 drift remains (--once), 2 usage, 5 a target failed or is blocked (--once),\n"
	"6 not configured or configuration invalid, 70 internal error.\n";

/* 0 ok; 2 usage. */
static int options_parse(int argc, char **argv, struct options *o)
{
	int c;

	while ((c = getopt_long(argc, argv, "c:tTvhV", long_options, NULL)) != -1) {
		switch (c) {
		case 'c': o->file = optarg; break;
		case 't': o->check = true; break;
		case 'T': o->print = true; break;
		case 'v': o->verbose = true; break;
		case 'h': o->help = true; break;
		case 'V': o->version = true; break;
		case OPTION_ONCE: o->once = true; break;
		case OPTION_OBSERVE: o->observe = true; break;
		case OPTION_FOREGROUND: break;
		case OPTION_STATES: o->print_states = true; break;
		default:
			fputs("Try 'dbreconciled --help'.\n", stderr);
			return DBR_EXIT_USAGE;
		}
	}
	if (optind < argc) {
		fprintf(stderr, "dbreconciled: unexpected argument '%s'\nTry 'dbreconciled --help'.\n", argv[optind]);
		return DBR_EXIT_USAGE;
	}
	return 0;
}

/* ---- configuration ---- */

static struct config_paths config_paths(const struct options *o)
{
	return (struct config_paths){ .file = o->file != NULL ? o->file : DEFAULT_FILE };
}

/* 0 loaded; 6 said why not. */
static int configure(void *parent, const struct options *o, struct settings **ret)
{
	struct config_paths paths = config_paths(o);
	struct config_errors *errors = NULL;
	int r;

	if (access(paths.file, F_OK) != 0) {
		fprintf(stderr, "dbreconciled: not configured: looked for %s: %s\nAn example is %s; see dbreconciled.conf(5).\n", paths.file,
			strerror(errno), EXAMPLE_FILE);
		return DBR_EXIT_CONFIG_DAEMON;
	}
	r = config_load(parent, &paths, ret, &errors);
	if (r == 0)
		return 0;
	if (errors != NULL)
		config_errors_print(errors, stderr);
	else
		fprintf(stderr, "dbreconciled: %s: %s\n", paths.file, strerror(r < 0 ? -r : EINVAL));
	return r < 0 ? DBR_EXIT_INTERNAL : DBR_EXIT_CONFIG_DAEMON;
}

static int print_settings(const struct settings *settings)
{
	char *text = config_print(NULL, settings);
	int r = text != NULL && fputs(text, stdout) >= 0 && fflush(stdout) == 0 ? DBR_EXIT_OK : DBR_EXIT_INTERNAL;

	talloc_free(text);
	return r;
}

/* ---- one daemon per state ---- */

/* 0 the lock is ours, or there is no place for it (said); 70 another daemon has it. */
static int lock_state(struct daemon *d)
{
	char *path = talloc_asprintf(d, "%s.lock", d->settings->state_file);

	d->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (d->lock_fd < 0) {
		log_line(LOG_LEVEL_WARNING, "no lock file %s (%s): a second daemon with this configuration would not be noticed", path,
			 strerror(errno));
		return 0;
	}
	if (flock(d->lock_fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	log_line(LOG_LEVEL_ERROR, "another dbreconciled runs with the state file %s; stop it first, or give this one a state of its own",
		 d->settings->state_file);
	return DBR_EXIT_INTERNAL;
}

/* State is memory, never authority: without a file it goes on, and says so once. In one that cannot be read it may stand who is
   suspended, what is rejected and what people undid: then nothing is corrected. */
static int open_state(struct daemon *d)
{
	struct error err;
	char line[ERROR_TEXT_MAX + 1024];

	error_clear(&err);
	if (state_open(d, d->settings->state_file, &d->state, &err) == 0)
		return 0;
	error_format(&err, line, sizeof(line));
	if (access(d->settings->state_file, F_OK) == 0) {
		d->options.observe = true;
		log_line(LOG_LEVEL_ERROR, "%s; only observing, as it may say what is suspended, rejected or undone: mend it, or move it away to "
			 "begin without, and start again", line);
	} else {
		log_line(LOG_LEVEL_ERROR, "%s; going on without: history, suspensions and approvals end with this process", line);
	}
	error_clear(&err);
	if (state_open(d, ":memory:", &d->state, &err) == 0)
		return 0;
	log_line(LOG_LEVEL_ERROR, "%s", error_format(&err, line, sizeof(line)));
	return DBR_EXIT_INTERNAL;
}

/* ---- signals: the loop hears them, nothing happens in a handler ---- */

static void on_stop(evutil_socket_t sig, short what, void *data)
{
	(void)sig;
	(void)what;
	((struct daemon *)data)->stop = true;
}

static void on_reload(evutil_socket_t sig, short what, void *data)
{
	(void)sig;
	(void)what;
	((struct daemon *)data)->reload = true;
}

static void on_service_timer(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)data;
}

static int start_signals(struct daemon *d)
{
	static const struct { int number; event_callback_fn run; } table[] = { { SIGTERM, on_stop }, { SIGINT, on_stop }, { SIGHUP, on_reload } };

	signal(SIGPIPE, SIG_IGN);
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++) {
		d->signals[i] = evsignal_new(d->base, table[i].number, table[i].run, d);
		if (d->signals[i] == NULL || event_add(d->signals[i], NULL) != 0)
			return DBR_EXIT_INTERNAL;
	}
	d->service_timer = event_new(d->base, -1, 0, on_service_timer, NULL);
	return d->service_timer != NULL ? 0 : DBR_EXIT_INTERNAL;
}

/* ---- start ---- */

static int start_engine(struct daemon *d)
{
	struct engine_options options = { .paths = config_paths(&d->options), .observe_only = d->options.observe, .once = d->options.once,
					   .verbose = d->options.verbose };
	struct error err;

	error_clear(&err);
	if (engine_new(d, d->base, &options, d->state, d->settings, &d->engine, &err) == 0)
		return 0;
	log_line(LOG_LEVEL_ERROR, "%s", err.text);
	return DBR_EXIT_INTERNAL;
}

static int start_control(struct daemon *d)
{
	struct error err;
	char line[ERROR_TEXT_MAX + 1024];

	error_clear(&err);
	if (d->options.once)
		return 0;
	if (control_start(d, d->base, d->engine, service_listen_fd(d->service, "control"), service_listen_fd(d->service, "metrics"), &d->control,
			  &err) == 0)
		return 0;
	log_line(LOG_LEVEL_ERROR, "%s", error_format(&err, line, sizeof(line)));
	return DBR_EXIT_INTERNAL;
}

static int start_base(struct daemon *d)
{
	d->base = event_base_new();
	return d->base != NULL ? 0 : DBR_EXIT_INTERNAL;
}

static int start_service(struct daemon *d)
{
	d->service = service_new(d, d->base);
	return d->service != NULL ? 0 : DBR_EXIT_INTERNAL;
}

static int start(struct daemon *d)
{
	static int (*const steps[])(struct daemon *) = { lock_state, open_state, start_base, start_signals, start_service, start_engine,
							 start_control };

	for (size_t i = 0; i < sizeof(steps) / sizeof(steps[0]); i++) {
		int r = steps[i](d);

		if (r != 0)
			return r;
	}
	return 0;
}

/* ---- run ---- */

static void reload(struct daemon *d)
{
	struct config_errors *errors = NULL;

	d->reload = false;
	service_reloading(d->service);
	if (engine_reload(d->engine, "signal SIGHUP", d, &errors) != 0 && errors != NULL)
		for (uint32_t i = 0; i < errors->n; i++) {
			char line[ERROR_TEXT_MAX + 1024];

			log_line(LOG_LEVEL_ERROR, "%s", error_format(&errors->v[i], line, sizeof(line)));
		}
	talloc_free(errors);
	service_ready(d->service);
}

static void arm_service_timer(struct daemon *d, msec_t now)
{
	msec_t when = service_deadline(d->service);
	struct timeval tv;

	if (when == MSEC_NEVER)
		return;
	when = when > now ? when - now : 0;
	tv = (struct timeval){ .tv_sec = when / 1000, .tv_usec = when % 1000 * 1000 };
	event_add(d->service_timer, &tv);
}

static void run(struct daemon *d)
{
	bool going = true, stopping = false;

	service_ready(d->service);
	engine_turn(d->engine, clock_monotonic());
	while (going) {
		msec_t now;

		arm_service_timer(d, clock_monotonic());
		event_base_loop(d->base, EVLOOP_ONCE);
		now = clock_monotonic();
		if (d->stop && !stopping) {
			stopping = true;
			log_line(LOG_LEVEL_NOTICE, "stopping");
			service_stopping(d->service, STOP_GRACE);
			engine_stop(d->engine, now, STOP_GRACE);
		}
		if (d->reload && !stopping)
			reload(d);
		going = engine_turn(d->engine, now);
		if (d->control != NULL)
			control_turn(d->control, now);
		service_turn(d->service, d->engine, now);
	}
}

/* ---- stop ---- */

static void stop(struct daemon *d)
{
	if (d->control != NULL)
		control_stop(d->control);
	talloc_free(d->engine);
	talloc_free(d->service);
	talloc_free(d->state);
	for (size_t i = 0; i < sizeof(d->signals) / sizeof(d->signals[0]); i++)
		if (d->signals[i] != NULL)
			event_free(d->signals[i]);
	if (d->service_timer != NULL)
		event_free(d->service_timer);
	if (d->base != NULL)
		event_base_free(d->base);
	if (d->lock_fd >= 0)
		close(d->lock_fd);
}

/* ---- --once ---- */

static void print_result(const struct engine *engine)
{
	printf("%-32s %-8s %-12s %6s %6s %8s  %s\n", "TARGET", "MODE", "STATE", "DRIFT", "HELD", "BLOCKED", "MESSAGE");
	for (uint32_t i = 0; i < engine_targets(engine); i++) {
		const struct target_view *v = engine_view(engine, i);

		printf("%-32s %-8s %-12s %6u %6u %8u  %s\n", v->name, v->mode == MODE_ENFORCE ? "enforce" : "observe",
		       target_status_name(v->status), v->plan != NULL ? v->plan->drift_objects : 0, v->plan != NULL ? v->plan->held_objects : 0,
		       v->plan != NULL ? v->plan->blocked_objects : 0, v->message);
	}
	fflush(stdout);
}

static int daemon_main(struct daemon *d)
{
	int r = start(d);

	if (r == 0) {
		run(d);
		if (d->options.once) {
			print_result(d->engine);
			r = engine_once_result(d->engine);
		}
	}
	stop(d);
	return r;
}

/* Nothing from outside may change connections, files or dumps behind the configuration's back. */
static void harden(void)
{
	umask(0077);
	prctl(PR_SET_DUMPABLE, 0, 0, 0, 0);
	session_environment_clear();
}

static int configured_main(struct daemon *d)
{
	int r = configure(d, &d->options, &d->settings);

	if (r != 0)
		return r;
	if (d->options.print)
		return print_settings(d->settings);
	if (d->options.check) {
		printf("%s: the configuration is valid\n", d->settings->file);
		return DBR_EXIT_OK;
	}
	container_begin();
	service_log_init();
	log_set_level(d->options.verbose ? LOG_LEVEL_DEBUG : (enum log_level)d->settings->log_level);
	return daemon_main(d);
}

int main(int argc, char **argv)
{
	struct options options = { 0 };
	struct daemon *d;
	int r = options_parse(argc, argv, &options);

	if (r != 0)
		return r;
	if (options.help || options.version || options.print_states) {
		if (options.print_states)
			target_fsm_print(stdout);
		else
			fputs(options.help ? usage : PACKAGE_STRING "\n", stdout);
		return DBR_EXIT_OK;
	}
	harden();
	d = talloc_zero(NULL, struct daemon);
	d->options = options;
	d->lock_fd = -1;
	r = configured_main(d);
	talloc_free(d);
	return r;
}
