/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"
#include "service/service.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <talloc.h>
#include <time.h>
#include <unistd.h>

#include "base/log.h"
#include "base/text.h"
#include "service/journal.h"

#define JOURNAL_SOCKET "/run/systemd/journal/socket"
#define STATUS_PERIOD 1000        /* ms: counting a large fleet is no work for every turn */
#define STATUS_REPEAT 30000       /* ms: the time of the next pass changes all the time, which is worth no message */
#define STOP_MARGIN 5000

struct service {
	bool notifies;            /* somebody listens to us */
	bool stopping;
	char **names;             /* of the sockets handed over; released with free() */
	int n_fds;
	msec_t watchdog;          /* 0 = none */
	msec_t feed;              /* when WATCHDOG=1 is due */
	msec_t counted;           /* when the status line was made */
	bool stale;               /* the loop has turned since */
	msec_t told;
	char *status;
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
	s->feed = s->watchdog > 0 ? 0 : MSEC_NEVER;
	s->notifies = getenv("NOTIFY_SOCKET") != NULL;
	talloc_set_destructor(s, service_done);
	return s;
}

/* "control" of FileDescriptorName=, or "dbreconciled-control.socket", the name of a unit that sets none. */
static bool is_named(const char *given, const char *name)
{
	static const char prefix[] = "dbreconciled-", suffix[] = ".socket";
	size_t len = strlen(name);

	if (strcmp(given, name) == 0)
		return true;
	return strncmp(given, prefix, sizeof(prefix) - 1) == 0 && strncmp(given + sizeof(prefix) - 1, name, len) == 0 &&
	       strcmp(given + sizeof(prefix) - 1 + len, suffix) == 0;
}

int service_listen_fd(struct service *s, const char *name)
{
	for (int i = 0; i < s->n_fds; i++) {
		int fd = SD_LISTEN_FDS_START + i;

		if (!is_named(s->names[i], name))
			continue;
		s->names[i][0] = '\0';
		if (sd_is_socket(fd, AF_UNSPEC, SOCK_STREAM, 1) > 0)
			return fd;
		log_line(LOG_LEVEL_WARNING, "the socket '%s' that was passed is not a listening stream socket, ignoring", name);
	}
	return -1;
}

void service_ready(struct service *s)
{
	(void)s;
	sd_notify(0, "READY=1");
}

void service_reloading(struct service *s)
{
	struct timespec now;

	(void)s;
	/* In microseconds as systemd reads the clock itself: a rounded value would be older than its own request. */
	clock_gettime(CLOCK_MONOTONIC, &now);
	sd_notifyf(0, "RELOADING=1\nMONOTONIC_USEC=%" PRIu64, (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000);
}

void service_stopping(struct service *s, msec_t grace)
{
	s->stopping = true;
	sd_notifyf(0, "STOPPING=1\nSTATUS=stopping: statements under way are finished or rolled back\nEXTEND_TIMEOUT_USEC=%" PRId64,
		   (grace + STOP_MARGIN) * 1000);
}

char *service_status_line(void *parent, const struct engine *engine)
{
	uint32_t counts[TARGET_STATUSES] = { 0 }, n = engine_targets(engine);
	struct engine_numbers numbers;
	struct text *text = text_new(parent);
	int64_t next = 0;
	char when[40], *line;

	for (uint32_t i = 0; i < n; i++) {
		const struct target_view *view = engine_view(engine, i);

		counts[view->status]++;
		if (view->next_ms > 0 && (next == 0 || view->next_ms < next))
			next = view->next_ms;
	}
	text_addf(text, "%" PRIu32 " database%s", n, n == 1 ? "" : "s");
	for (unsigned i = 0, shown = 0; i < TARGET_STATUSES; i++)
		if (counts[i] > 0)
			text_addf(text, "%s%" PRIu32 " %s", shown++ ? ", " : ": ", counts[i],
				  i == TARGET_IN_SYNC ? "in sync" : target_status_name((enum target_status)i));
	if (next > 0) {
		clock_rfc3339(next, when, sizeof(when));
		text_addf(text, "; next pass %s", strchr(when, 'T') ? strchr(when, 'T') + 1 : when);
	}
	engine_numbers(engine, &numbers);
	if (numbers.reload_failures > 0 && !numbers.last_reload_ok)
		text_add(text, "; the last reload was refused, see the log");
	line = talloc_steal(parent, text->s);
	talloc_free(text);
	return line;
}

/* But for the time of the next pass. */
static bool same_status(const char *a, const char *b)
{
	size_t n = strcspn(a, ";");

	return n == strcspn(b, ";") && strncmp(a, b, n) == 0 && (strstr(a, "refused") != NULL) == (strstr(b, "refused") != NULL);
}

static void tell_status(struct service *s, const struct engine *engine, msec_t now)
{
	char *line;

	s->stale = now - s->counted < STATUS_PERIOD && s->counted > 0;
	if (s->stale)
		return;
	s->counted = now;
	line = service_status_line(s, engine);
	if (s->status && same_status(line, s->status) && now < s->told + STATUS_REPEAT) {
		talloc_free(line);
		return;
	}
	sd_notifyf(0, "STATUS=%s", line);
	s->told = now;
	talloc_free(s->status);
	s->status = line;
}

void service_turn(struct service *s, const struct engine *engine, msec_t now)
{
	if (s->notifies && !s->stopping)
		tell_status(s, engine, now);
	if (s->watchdog == 0 || now < s->feed)
		return;
	sd_notify(0, "WATCHDOG=1");
	s->feed = now + s->watchdog / 2;
}

msec_t service_deadline(const struct service *s)
{
	msec_t count = s->notifies && !s->stopping && s->stale ? s->counted + STATUS_PERIOD : MSEC_NEVER;

	return count < s->feed ? count : s->feed;
}

void service_log_init(void)
{
	if (journal_is_stderr(getenv("JOURNAL_STREAM")) && journal_open(JOURNAL_SOCKET) == 0)
		log_set_sink(journal_sink);
}
