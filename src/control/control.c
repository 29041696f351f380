/* SPDX-License-Identifier: PostgreSQL */
/* Starting, turning and stopping the sockets. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "control/internal.h"

static void tick(evutil_socket_t fd, short what, void *arg)
{
	struct control *control = arg;

	(void)fd;
	if (what & EV_TIMEOUT)
		control->ticked = true;
}

void control_again(struct control *control)
{
	event_active(control->tick, EV_READ, 0);
}

static void remember_first(struct control *control)
{
	const struct settings *settings = engine_settings(control->engine);

	control->first.socket = talloc_strdup(control, settings->control.socket);
	control->first.metrics_socket = talloc_strdup(control, settings->control.metrics_socket);
	control->first.metrics_listen = talloc_strdup(control, settings->control.metrics_listen);
	control->first_state_file = talloc_strdup(control, settings->state_file);
}

static int start_control(struct control *control, int fd, struct error *err)
{
	const struct control_settings *own = &engine_settings(control->engine)->control;
	const char *bound = NULL;
	int r;

	if (fd < 0) {
		r = bind_unix(control, own->socket, 0660, &control->lock_fd, &fd, err);
		if (r != 0)
			return r;
		bound = own->socket;
		if (own->n_admin_groups > 0)
			bind_give_to_group(bound, own->admin_groups[0]);
	}
	return endpoint_start(control, "control", true, fd, bound, err);
}

static int start_metrics(struct control *control, int fd, struct error *err)
{
	const struct control_settings *own = &engine_settings(control->engine)->control;
	const char *bound = NULL;
	int r;

	if (fd < 0 && own->metrics_socket && *own->metrics_socket) {
		r = bind_unix(control, own->metrics_socket, bind_metrics_mode(own->metrics_socket), &control->metrics_lock_fd, &fd, err);
		if (r != 0)
			return r;
		bound = own->metrics_socket;
	}
	return fd < 0 ? 0 : endpoint_start(control, "metrics", false, fd, bound, err);
}

static int start_loopback(struct control *control, struct error *err)
{
	const struct control_settings *own = &engine_settings(control->engine)->control;
	int fd, r;

	if (!own->metrics_listen || !*own->metrics_listen)
		return 0;
	r = bind_loopback(own->metrics_listen, &fd, err);
	return r != 0 ? r : endpoint_start(control, "metrics_listen", false, fd, NULL, err);
}

/* Deadlines and waits need turns, whatever else happens. */
static void keep_ticking(struct control *control)
{
	unsigned clients = 0;
	msec_t period;
	struct timeval tv;

	for (unsigned i = 0; i < control->n_endpoints; i++)
		clients += control->endpoints[i].n_clients;
	period = clients > 0 ? TICK_MS : TICK_IDLE_MS;
	if (period == control->tick_period)
		return;
	control->tick_period = period;
	tv = (struct timeval){ period / 1000, (period % 1000) * 1000 };
	event_add(control->tick, &tv);
}

int control_start(void *parent, struct event_base *base, struct engine *engine, int control_fd, int metrics_fd,
		  struct control **ret, struct error *err)
{
	struct control *control = talloc_zero(parent, struct control);
	int r;

	*ret = NULL;
	control->base = base;
	control->engine = engine;
	control->lock_fd = control->metrics_lock_fd = -1;
	control->started = control->now = clock_monotonic();
	control->started_wall = clock_wall();
	control->counts = talloc_zero_array(control, uint64_t, (n_routes + 1) * CODES);
	control->tick = event_new(base, -1, EV_PERSIST, tick, control);
	remember_first(control);
	signal(SIGPIPE, SIG_IGN);       /* a peer that leaves early is an error of one write, not the end */
	r = start_control(control, control_fd, err);
	if (r == 0)
		r = start_metrics(control, metrics_fd, err);
	if (r == 0)
		r = start_loopback(control, err);
	if (r != 0) {
		control_stop(control);
		return r;
	}
	keep_ticking(control);
	*ret = control;
	return 0;
}

void control_turn(struct control *control, msec_t now)
{
	control->now = now;
	for (unsigned i = 0; i < control->n_endpoints; i++)
		endpoint_turn(&control->endpoints[i], now, control->ticked);
	control->ticked = false;
	keep_ticking(control);
}

void control_stop(struct control *control)
{
	if (!control)
		return;
	for (unsigned i = 0; i < control->n_endpoints; i++)
		endpoint_stop(&control->endpoints[i]);
	event_free(control->tick);
	if (control->metrics_lock_fd >= 0)
		close(control->metrics_lock_fd);
	if (control->lock_fd >= 0)
		close(control->lock_fd);
	talloc_free(control);
}
