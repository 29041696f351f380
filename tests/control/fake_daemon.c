/* SPDX-License-Identifier: PostgreSQL */
/*
 * Serves control/ over a fake engine, for tests/control/test_control.py:
 *   fake_daemon DIRECTORY [EXTRA-TARGETS] [ADMIN-GROUP] [METRICS-LISTEN]
 * Prints "ready", then after SIGTERM the longest turn of its loop in milliseconds. Takes sockets of systemd when there are.
 */
#include "config.h"

#include <event2/event.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <talloc.h>
#include <time.h>

#include "control/control.h"
#include "service/service.h"
#include "tests/control/fake_engine.h"

static void ended(evutil_socket_t fd, short what, void *arg)
{
	(void)fd;
	(void)what;
	*(bool *)arg = true;
}

/* Of the processor: how long others keep it is no business of a turn. */
static msec_t cpu_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (msec_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static msec_t serve(struct event_base *base, struct engine *engine, struct control *control)
{
	bool end = false;
	struct event *term = evsignal_new(base, SIGTERM, ended, &end);
	msec_t longest = 0;

	event_add(term, NULL);
	puts("ready");
	fflush(stdout);
	while (!end) {
		msec_t before;

		event_base_loop(base, fake_engine_busy(engine) ? EVLOOP_ONCE | EVLOOP_NONBLOCK : EVLOOP_ONCE);
		before = cpu_ms();
		fake_engine_turn(engine);
		control_turn(control, clock_monotonic());
		if (cpu_ms() - before > longest)
			longest = cpu_ms() - before;
	}
	event_free(term);
	return longest;
}

int main(int argc, char **argv)
{
	void *root = talloc_new(NULL);
	struct event_base *base = event_base_new();
	struct error err = { 0 };
	struct state *state;
	struct engine *engine;
	struct control *control;
	struct service *service;
	const char *group;
	char text[2048];

	if (argc < 2 || state_open(root, ":memory:", &state, &err) != 0)
		return 2;
	engine = fake_engine_new(root, state, argv[1], argc > 2 ? (uint32_t)strtoul(argv[2], NULL, 10) : 0);
	group = argc > 3 ? argv[3] : "";
	fake_engine_settings(engine)->control.admin_groups = &group;
	fake_engine_settings(engine)->control.n_admin_groups = *group != '\0';
	if (argc > 4)
		fake_engine_settings(engine)->control.metrics_listen = argv[4];
	service = service_new(root, base);
	if (control_start(root, base, engine, service_listen_fd(service, "control"), service_listen_fd(service, "metrics"), &control,
			  &err) != 0) {
		fprintf(stderr, "%s\n", error_format(&err, text, sizeof(text)));
		return 1;
	}
	printf("longest turn %lld ms\n", (long long)serve(base, engine, control));
	control_stop(control);
	event_base_free(base);
	talloc_free(root);
	return 0;
}
