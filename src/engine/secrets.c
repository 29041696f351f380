/* SPDX-License-Identifier: PostgreSQL */
/* password_command beside the loop: its descriptors are watched, whoever waits for an answer is marked when one is there. */
#include "engine/internal.h"

#include <event2/event.h>
#include <string.h>
#include <talloc.h>

#include "session/secret_command.h"

#define WATCHED 16              /* commands beyond are noticed at their deadline */

struct secrets {
	struct engine *engine;
	struct secret_commands *commands;
	struct event *events[WATCHED];
	int fds[WATCHED];
	unsigned n;
};

static void readable(evutil_socket_t fd, short what, void *data)
{
	(void)fd;
	(void)what;
	(void)data;                   /* waking up is all: secrets_turn() looks */
}

static void unwatch(struct secrets *s)
{
	for (unsigned i = 0; i < s->n; i++)
		if (s->events[i] != NULL)
			event_free(s->events[i]);
	s->n = 0;
}

static int secrets_done(struct secrets *s)
{
	unwatch(s);
	return 0;
}

struct secrets *secrets_new(struct engine *e)
{
	struct secrets *s = talloc_zero(e, struct secrets);

	s->engine = e;
	s->commands = secret_commands_new(s, 0);
	talloc_set_destructor(s, secrets_done);
	return s;
}

int secrets_ask(struct engine *e, void *parent, const struct secret_source *source, char **ret, struct error *err)
{
	*ret = NULL;
	return source->kind == SECRET_NONE ? 0 : secret_get(e->secrets->commands, parent, source, e->now, ret, err);
}

int secrets_get(struct target *t, void *parent, const struct secret_source *source, char **ret, struct error *err)
{
	int r;

	*ret = NULL;
	if (source->kind == SECRET_NONE)
		return 0;
	r = secret_get(t->engine->secrets->commands, parent, source, t->engine->now, ret, err);
	t->waiting_secret |= r == 2;
	return r;
}

void secrets_forget(struct engine *e, const struct secret_source *source)
{
	if (source->kind != SECRET_NONE)
		secret_forget(e->secrets->commands, source);
}

static void watch(struct secrets *s)
{
	int fds[WATCHED];
	unsigned n = secret_commands_fds(s->commands, fds, WATCHED);

	if (n > WATCHED)
		n = WATCHED;
	if (n == s->n && memcmp(fds, s->fds, n * sizeof(*fds)) == 0)
		return;
	unwatch(s);
	s->n = n;
	memcpy(s->fds, fds, n * sizeof(*fds));
	for (unsigned i = 0; i < n; i++) {
		s->events[i] = event_new(s->engine->base, fds[i], EV_READ | EV_PERSIST, readable, s);
		if (s->events[i] != NULL)
			event_add(s->events[i], NULL);
	}
}

void secrets_turn(struct engine *e, msec_t now)
{
	if (secret_commands_turn(e->secrets->commands, now))
		for (uint32_t i = 0; i < e->n_order; i++) {
			if (!e->order[i]->waiting_secret)
				continue;
			e->order[i]->waiting_secret = false;
			target_mark(e->order[i]);
		}
}

/* At the end of a turn: what was started in it is watched. */
void secrets_watch(struct engine *e)
{
	watch(e->secrets);
}

msec_t secrets_deadline(const struct engine *e)
{
	return secret_commands_deadline(e->secrets->commands);
}
