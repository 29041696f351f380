/* SPDX-License-Identifier: PostgreSQL */
/* What systemd is told, as far as the daemon needs it to run: ready, reloading, stopping, watchdog, sockets by name. */
#include "service/service.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"

struct service {
	char **names;             /* of the sockets handed over; released with free() */
	int n_fds;
	msec_t watchdog;          /* 0 = none */
	msec_t next;
};

static int service_done(struct service *s)
{
	for (int i = 0; i < s->n_fds; i++)
		free(s->names[i]);
	free(s->names);
	return 0;
}

struct service *service_new(void *parent, struct event_base *base)
{
	struct service *s = talloc_zero(parent, struct service);
	uint64_t usec = 0;

	(void)base;
	s->n_fds = sd_listen_fds_with_names(1, &s->names);
	if (s->n_fds < 0)
		s->n_fds = 0;
	if (sd_watchdog_enabled(1, &usec) > 0)
		s->watchdog = (msec_t)(usec / 1000);
	s->next = s->watchdog > 0 ? 0 : MSEC_NEVER;
	talloc_set_destructor(s, service_done);
	return s;
}

int service_listen_fd(struct service *s, const char *name)
{
	for (int i = 0; i < s->n_fds; i++)
		if (strcmp(s->names[i], name) == 0)
			return SD_LISTEN_FDS_START + i;
	return -1;
}

void service_ready(struct service *s)
{
	(void)s;
	sd_notify(0, "READY=1");
}

void service_reloading(struct service *s)
{
	(void)s;
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRId64, clock_monotonic() * 1000);
}

void service_stopping(struct service *s, msec_t grace)
{
	(void)s;
	sd_notifyf(0, "STOPPING=1\nEXTEND_TIMEOUT_USEC=%" PRId64, (grace + 5000) * 1000);
}

void service_turn(struct service *s, const struct engine *engine, msec_t now)
{
	(void)engine;
	if (s->watchdog == 0 || now < s->next)
		return;
	sd_notify(0, "WATCHDOG=1");
	s->next = now + s->watchdog / 2;
}

msec_t service_deadline(const struct service *s)
{
	return s->next;
}

/* The default sink writes to stderr, which systemd reads. */
void service_log_init(void)
{
}
