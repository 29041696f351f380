/* SPDX-License-Identifier: PostgreSQL */
/*
 * Has anything changed at all? pg_current_snapshot() on the server's kept
 * connection, compared with the one taken inside the last look: equal means
 * that no transaction has written anywhere in the cluster. A proof on one
 * unbroken connection only; one answer serves every target of the server that
 * waits for it.
 */
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>
#include <time.h>

#include "catalog/query.h"
#include "engine/schema.h"

#define ASK_TIMEOUT 2000        /* ms: a frozen backend must not delay the databases, they look for themselves */

static bool root_can_answer(const struct server *s)
{
	const struct target *root = s->root;

	return root->session != NULL && (s->asking || (session_state(root->session) == SESSION_READY && root->pass == NULL));
}

/* Time changes nothing on the server, but memberships end by it. By our clock; the look that follows asks the server's. */
static bool something_ended(const struct plan *plan)
{
	int64_t wall = clock_wall();
	time_t seconds = (time_t)(wall / 1000);
	struct tm tm;
	char text[40];

	if (plan->next_until == NULL)
		return false;
	gmtime_r(&seconds, &tm);
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%S.999999Z", &tm);
	return strcmp(plan->next_until, text) <= 0;
}

bool quiet_possible(const struct target *t, msec_t now)
{
	const struct server *s = t->server;

	if (t->look == NULL || t->plan == NULL || t->gen != s->gen || t->look->epoch == 0 || t->look->epoch != s->epoch)
		return false;
	if (now - t->look->at >= target_server_settings(t)->full_interval || t->failures > 0 || t->doubt != NULL)
		return false;
	return root_can_answer(s) && !something_ended(t->plan) && !schema_due(t, now) && !migrations_changed((struct target *)t);
}

static void wait_for_answer(struct target *t)
{
	t->waiting_quiet = true;
	t->quiet_next = t->server->waiting;
	t->server->waiting = t;
}

void quiet_forget(struct target *t)
{
	struct target **at = &t->server->waiting;

	if (!t->waiting_quiet)
		return;
	while (*at != t)
		at = &(*at)->quiet_next;
	*at = t->quiet_next;
	t->waiting_quiet = false;
}

/* A target that asks is in state QUIET with a pass of its own; root's own pass may be the one that asks. */
void quiet_ask(struct target *t, msec_t now)
{
	struct server *s = t->server;
	struct collect *c = &s->ask_collect;

	if (s->asking) {
		wait_for_answer(t);
		return;
	}
	s->ask_statement = (struct statement){ .name = "snapshot", .sql = query_get(QUERY_SNAPSHOT, s->version_num, false)->sql };
	s->ask_batch = (struct batch){ .mode = BATCH_PIPELINE, .statements = &s->ask_statement, .n = 1 };
	collect_begin(c, talloc_new(s));
	if (s->root->session == NULL || session_submit(s->root->session, &s->ask_batch, now) != 0) {
		TALLOC_FREE(c->parent);
		target_event(t, TE_CHANGED, now);
		return;
	}
	wait_for_answer(t);
	s->asking = true;
	s->ask_deadline = now + ASK_TIMEOUT;
	target_mark(s->root);
}

/* The look still holds: judge it again, for what is not in the catalogs (approvals, suspensions, secrets). */
static void review(struct target *t, msec_t now)
{
	struct error err;
	bool stale = t->plan_stale || t->view.suspended != t->suspended;

	error_clear(&err);
	if (target_is_root(t) && !passwords_prepare(t, t->look->server_state, 0))
		stale = true;         /* a secret has changed */
	if (stale) {
		target_event(t, TE_CHANGED, now);
		return;
	}
	t->verdict = plan_verdict(t);
	if (t->verdict == TE_CORRECT || t->verdict == TE_PENDING || t->verdict == TE_FAILED)
		target_event(t, TE_CHANGED, now);
	else
		target_event(t, t->verdict, now);
}

static void answer(struct target *t, const char *snapshot, msec_t now)
{
	if (snapshot != NULL && t->look != NULL && t->look->epoch == t->server->epoch && t->look->snapshot != NULL &&
	    strcmp(t->look->snapshot, snapshot) == 0)
		review(t, now);
	else
		target_event(t, TE_CHANGED, now);
}

static void answer_all(struct server *s, const char *snapshot, msec_t now)
{
	struct target *t;

	s->asking = false;
	while ((t = s->waiting) != NULL) {
		quiet_forget(t);
		answer(t, snapshot, now);
	}
}

void quiet_lost(struct server *s, msec_t now)
{
	s->epoch++;
	if (!s->asking)
		return;
	TALLOC_FREE(s->ask_collect.parent);
	answer_all(s, NULL, now);
}

void quiet_turn(struct server *s, msec_t now)
{
	struct collect *c = &s->ask_collect;
	const char *snapshot = NULL;
	void *parent;
	size_t len;

	if (!s->asking)
		return;
	switch (collect_turn(s->root, c)) {
	case 0:
		if (now >= s->ask_deadline)
			target_disconnect(s->root);       /* frozen: everybody looks for himself */
		return;
	case 1:
		if (c->error == NULL && c->v[0]->rows.rows == 1)
			snapshot = c->v[0]->rows.cell(&c->v[0]->rows, 0, 0, &len);
		break;
	default:
		break;
	}
	parent = c->parent;
	c->parent = NULL;
	answer_all(s, snapshot, now);
	talloc_free(parent);
}
