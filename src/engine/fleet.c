/* SPDX-License-Identifier: PostgreSQL */
/* Which targets there are: from the settings, and from the databases that a server shows. */
#include "engine/held.h"
#include "engine/internal.h"
#include "engine/undo.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/log.h"
#include "base/message.h"
#include "base/text.h"
#include "engine/schema.h"
#include "engine/seed.h"

static struct server *server_find(const struct engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->n_servers; i++)
		if (!e->servers[i]->removed && strcmp(e->servers[i]->name, name) == 0)
			return e->servers[i];
	return NULL;
}

struct target *fleet_target(const struct engine *e, const char *name)
{
	for (uint32_t i = 0; i < e->n_order; i++)
		if (strcmp(e->order[i]->name, name) == 0)
			return e->order[i];
	return NULL;
}

/* ---- targets come ---- */

static void load_suspension(struct target *t)
{
	struct suspension s;
	void *scratch = talloc_new(NULL);

	t->suspended = state_suspension(t->engine->state, scratch, t->name, &s) == 0;
	if (t->suspended) {
		t->suspend_until = s.until_ms;
		t->suspend_reason = s.reason != NULL && s.reason[0] != '\0' ? talloc_strdup(t, s.reason) : NULL;
	}
	talloc_free(scratch);
}

static void configure(struct target *t, const struct database_settings *db)
{
	t->configured = db;
	t->view.migration_settings = db != NULL && db->migrations.enabled ? &db->migrations : NULL;
}

static struct target *target_new(struct server *s, const char *database)
{
	struct target *t = talloc_zero(s, struct target);
	bool match;

	t->engine = s->engine;
	t->server = s;
	t->database = database != NULL ? talloc_strdup(t, database) : NULL;
	t->name = database != NULL ? talloc_asprintf(t, "%s/%s", s->name, database) : talloc_strdup(t, s->name);
	t->state = TS_IDLE;
	t->due = MSEC_NEVER;
	t->wake = MSEC_NEVER;
	t->watch.fd = -1;
	t->gen = generation_ref(s->gen);
	t->view = (struct target_view){ .name = t->name, .server = s->name, .database = t->database, .status = TARGET_PENDING };
	if (database != NULL)
		configure(t, settings_database(s->gen->server, database, &match));
	t->view.message = "waits for its first pass";
	load_suspension(t);
	waves_load(t);
	held_load(t);
	undo_load(t);
	brake_load(t);
	seed_load(t);
	if (t->suspended)
		publish_suspension(t);
	publish_state(t);
	return t;
}

static int by_name(const void *a, const void *b)
{
	return strcmp((*(struct target *const *)a)->name, (*(struct target *const *)b)->name);
}

static int database_compare(const void *name, const void *target)
{
	return strcmp(name, (*(struct target *const *)target)->database);
}

/* Among the first n of the list, which are sorted. */
static struct target *database_find(const struct server *s, uint32_t n, const char *database)
{
	struct target **found = n > 0 ? bsearch(database, s->databases, n, sizeof(*s->databases), database_compare) : NULL;

	return found != NULL ? *found : NULL;
}

/* The list is sorted by name; new ones are appended and sorted in by fleet_order(). */
static struct target *database_add(struct server *s, const char *database)
{
	struct target *t = target_new(s, database);

	s->databases = talloc_realloc(s, s->databases, struct target *, s->n_databases + 1);
	s->databases[s->n_databases++] = t;
	return t;
}

/* A server that was taken out of the configuration and put back is there twice until the old one has stopped. */
static bool server_is_replaced(const struct engine *e, const struct server *s)
{
	return s->removed && server_find(e, s->name) != NULL;
}

static void order_servers(struct engine *e, bool replaced)
{
	for (uint32_t i = 0; i < e->n_servers; i++) {
		struct server *s = e->servers[i];

		if (server_is_replaced(e, s) != replaced)
			continue;
		if (s->n_databases > 1)
			qsort(s->databases, s->n_databases, sizeof(*s->databases), by_name);
		e->order[e->n_order++] = s->root;
		for (uint32_t k = 0; k < s->n_databases; k++)
			e->order[e->n_order++] = s->databases[k];
	}
}

static void fleet_order(struct engine *e)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->n_servers; i++)
		n += 1 + e->servers[i]->n_databases;
	talloc_free(e->order);
	e->order = talloc_zero_array(e, struct target *, n + 1);
	e->n_order = 0;
	order_servers(e, false);
	e->n_shown = e->n_order;
	order_servers(e, true);
	e->numbers.targets = e->n_shown;
}

static void database_due(struct target *t, msec_t now)
{
	if (!target_state_at_rest(t->state))
		return;
	t->due = now;
	target_wake_at(t, now);
}

static void target_remove(struct target *t, msec_t now)
{
	configure(t, NULL);
	if (t->removed)
		return;
	t->removed = true;
	target_event(t, TE_STOP, now);
}

/* ---- databases appear and vanish ---- */

static bool connectable(const struct database *db)
{
	return db->allow_connections && !database_is_invalid(db);
}

/* What the server shows, sorted. */
static const char **shown_databases(void *parent, const struct server_state *state, uint32_t *ret_n)
{
	const char **v = talloc_array(parent, const char *, state->n_databases);
	uint32_t n = 0;

	for (uint32_t i = 0; i < state->n_databases; i++)
		if (connectable(&state->databases[i]))
			v[n++] = names_text(state->names, state->databases[i].name);
	if (n > 1)
		qsort(v, n, sizeof(*v), text_compare);
	*ret_n = n;
	return v;
}

/* known: how many there were before the first was added. */
static bool expand_add(struct server *s, uint32_t known, const char *name, msec_t now)
{
	bool match;
	struct target *t;

	if (database_find(s, known, name) != NULL || settings_database(s->gen->server, name, &match) == NULL || !match)
		return false;
	t = database_add(s, name);
	t->from_match = true;
	log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_DATABASE_FOUND, "database found");
	if (s->released)
		database_due(t, now);
	return true;
}

void fleet_expand(struct server *s, msec_t now)
{
	bool changed = false;
	uint32_t before = s->n_databases, n;
	const char **shown;

	if (s->look->gen != s->gen)
		return;
	shown = shown_databases(NULL, s->look->server_state, &n);
	for (uint32_t i = 0; i < before; i++) {
		struct target *t = s->databases[i];

		if (!t->from_match || t->removed || (n > 0 && bsearch(&t->database, shown, n, sizeof(*shown), text_compare) != NULL))
			continue;
		log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_DATABASE_GONE, "the database is gone");
		target_remove(t, now);
	}
	for (uint32_t i = 0; i < n; i++)
		changed |= expand_add(s, before, shown[i], now);
	talloc_free(shown);
	if (changed)
		fleet_order(s->engine);
}

void fleet_release(struct server *s, msec_t now)
{
	bool ready = s->look != NULL && s->look->gen == s->gen && !s->down;

	if (!ready) {
		if (s->engine->options.once)
			for (uint32_t i = 0; i < s->n_databases; i++)
				s->databases[i]->once_done = true;
		return;
	}
	s->released = true;
	for (uint32_t i = 0; i < s->n_databases; i++) {
		struct target *t = s->databases[i];

		if (t->due == MSEC_NEVER && target_state_at_rest(t->state) && !(s->engine->options.once && t->once_done))
			database_due(t, now);
	}
}

/* ---- targets go ---- */

static void target_free(struct target *t)
{
	schema_peers_forget(t->engine);
	target_unmark(t);
	target_wake_at(t, MSEC_NEVER);
	watch_close(t);
	talloc_free(t->plan);
	look_unref(t->look);
	look_unref(t->plan_look);
	source_files_unref(t->files);
	talloc_free(t->desired);
	generation_unref(t->gen);
	talloc_free(t);
}

/* A reload may have named it again while it stopped: it begins anew. (One that a pattern finds is found by the next look.) */
static struct target *replacement(struct server *s, const struct target *t)
{
	return t->configured != NULL && !t->from_match ? target_new(s, t->database) : NULL;
}

static bool reap_databases(struct server *s)
{
	uint32_t kept = 0;
	bool reaped = false;

	for (uint32_t i = 0; i < s->n_databases; i++) {
		struct target *t = s->databases[i], *next = t;

		if (t->removed && t->state == TS_STOPPED) {
			next = replacement(s, t);
			target_free(t);
			reaped = true;
		}
		if (next != NULL)
			s->databases[kept++] = next;
		if (next != NULL && next != t && s->released)
			database_due(next, s->engine->now);
	}
	s->n_databases = kept;
	return reaped;
}

static void server_free(struct server *s)
{
	target_free(s->root);
	look_unref(s->look);
	generation_unref(s->gen);
	talloc_free(s);
}

void fleet_reap(struct engine *e)
{
	uint32_t kept = 0;
	bool reaped = false;

	if (e->reap == 0)
		return;
	e->reap = 0;
	for (uint32_t i = 0; i < e->n_servers; i++) {
		struct server *s = e->servers[i];

		reaped |= reap_databases(s);
		if (s->removed && s->n_databases == 0 && s->root->state == TS_STOPPED) {
			server_free(s);
			reaped = true;
		} else {
			e->servers[kept++] = s;
		}
	}
	e->n_servers = kept;
	if (reaped)
		fleet_order(e);
}

/* ---- a new generation of settings ---- */

static struct server *server_new(struct engine *e, const struct server_settings *settings, struct settings_hold *hold)
{
	struct server *s = talloc_zero(e, struct server);

	s->engine = e;
	s->name = talloc_strdup(s, settings->name);
	s->queue_tail = &s->queue;
	s->gen = generation_new(e, hold, settings);
	s->passwords = passwords_new(s);
	s->root = target_new(s, NULL);
	e->servers = talloc_realloc(e, e->servers, struct server *, e->n_servers + 1);
	e->servers[e->n_servers++] = s;
	return s;
}

static void server_configure(struct engine *e, struct settings_hold *hold, const struct server_settings *settings, msec_t now)
{
	struct server *s = server_find(e, settings->name);
	uint32_t known;
	bool match;

	if (s == NULL) {
		s = server_new(e, settings, hold);
	} else {
		generation_unref(s->gen);
		s->gen = generation_new(e, hold, settings);
		s->released = false;
	}
	for (uint32_t i = 0; i < s->n_databases; i++) {
		configure(s->databases[i], settings_database(settings, s->databases[i]->database, &match));
		if (s->databases[i]->configured == NULL)
			target_remove(s->databases[i], now);
		else
			s->databases[i]->from_match = match;
	}
	known = s->n_databases;
	for (uint32_t i = 0; i < settings->n_databases; i++)
		if (settings->databases[i].name != NULL && database_find(s, known, settings->databases[i].name) == NULL)
			database_add(s, settings->databases[i].name);
	for (uint32_t i = 0; i < s->n_databases; i++)
		if (target_state_at_rest(s->databases[i]->state))
			s->databases[i]->due = MSEC_NEVER;       /* after the server's first look under the new settings */
	if (target_state_at_rest(s->root->state)) {
		s->root->due = now;
		target_wake_at(s->root, now);
	} else {
		s->root->again = true;
	}
}

void fleet_configure(struct engine *e, struct settings_hold *hold, msec_t now)
{
	const struct settings *settings = hold->settings;

	for (uint32_t i = 0; i < e->n_servers; i++) {
		struct server *s = e->servers[i];

		if (settings_server(settings, s->name) != NULL)
			continue;
		s->removed = true;
		for (uint32_t k = 0; k < s->n_databases; k++)
			target_remove(s->databases[k], now);
		target_remove(s->root, now);
	}
	for (uint32_t i = 0; i < settings->n_servers; i++)
		server_configure(e, hold, &settings->servers[i], now);
	fleet_order(e);
}

/* ---- a target takes the newest generation ---- */

/* A connection of the one would be as one of the other: all that a session is made of but its password, which is asked for once. */
static bool connect_alike(const struct generation *a, const struct generation *b)
{
	const struct settings *x = a->hold->settings, *y = b->hold->settings;

	return strcmp(a->server->conninfo, b->server->conninfo) == 0 && x->statement_timeout == y->statement_timeout &&
	       x->lock_timeout == y->lock_timeout;
}

bool target_rebase(struct target *t, msec_t now)
{
	struct generation *gen = t->server->gen;
	struct error err;
	bool match;

	error_clear(&err);
	if (t->gen != gen) {
		if (t->session != NULL && !connect_alike(t->gen, gen))
			target_disconnect(t);
		if (t->plan != NULL && t->desired != NULL)
			talloc_steal(t->plan, t->desired);       /* the plan that is shown points into it */
		else
			talloc_free(t->desired);
		t->desired = NULL;
		generation_unref(t->gen);
		t->gen = generation_ref(gen);
	}
	if (target_is_root(t)) {
		if (gen->desired != NULL)
			return true;
		target_fail(t, FAILURE_INTERNAL, &gen->error, now);
		return false;
	}
	t->db = settings_database(gen->server, t->database, &match);
	if (t->desired == NULL && desired_database(t, gen->names, gen->server, t->db, t->database, &t->desired, &err) != 0) {
		t->desired = NULL;
		error_set(&err, "the manifests of %s could not be compiled", t->name);
		target_fail(t, FAILURE_INTERNAL, &err, now);
		return false;
	}
	return true;
}
