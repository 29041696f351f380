/* SPDX-License-Identifier: PostgreSQL */
/* libevent's side of a target's socket: events only mark, the turn works. */
#include "engine/internal.h"

#include <event2/event.h>

static void socket_ready(evutil_socket_t fd, short what, void *data)
{
	struct target *t = data;

	(void)fd;
	t->watch.ready |= ((what & EV_READ) != 0 ? SESSION_READ : 0u) | ((what & EV_WRITE) != 0 ? SESSION_WRITE : 0u);
	if (t->engine->first_event == 0)
		t->engine->first_event = clock_monotonic();
	target_mark(t);
}

void watch_close(struct target *t)
{
	if (t->watch.event != NULL)
		event_free(t->watch.event);
	t->watch = (struct watch){ .fd = -1 };
}

/* libpq may close a socket and open another under the same number: the epoch tells. */
void watch_fd(struct target *t, int fd, unsigned wants, unsigned epoch)
{
	struct watch *w = &t->watch;
	short what = ((wants & SESSION_READ) != 0 ? EV_READ : 0) | ((wants & SESSION_WRITE) != 0 ? EV_WRITE : 0);

	if (w->event != NULL && w->fd == fd && w->epoch == epoch && w->wants == wants)
		return;
	if (w->event != NULL)
		event_free(w->event);
	w->event = NULL;
	w->fd = fd;
	w->epoch = epoch;
	w->wants = wants;
	if (fd < 0 || what == 0)
		return;
	w->event = event_new(t->engine->base, fd, what | EV_PERSIST, socket_ready, t);
	if (w->event == NULL || event_add(w->event, NULL) != 0)
		target_wake_at(t, t->engine->now + 100);      /* cannot watch: look again soon */
}

void watch_update(struct target *t)
{
	if (t->session == NULL)
		watch_close(t);
	else
		watch_fd(t, session_fd(t->session), session_wants(t->session), session_socket_epoch(t->session));
}
