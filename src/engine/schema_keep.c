/* SPDX-License-Identifier: PostgreSQL */
/* What is kept of the looks at a database's schemas, and what is told of them. */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/hash.h"
#include "base/log.h"
#include "base/message.h"
#include "engine/schema.h"
#include "migrate/progress.h"

#define EVENTS_MAX 50                   /* of one look; the rest is a number */
#define FORMAT 1                        /* of what the query returns: another one is compared as after a migration */

bool schema_is_watched(const struct target *t)
{
	return t->database != NULL && t->db != NULL && t->db->migrations.enabled && t->db->migrations.n_schema_drift > 0;
}

uint32_t schema_drift(const struct target *t)
{
	return t->schema != NULL && t->schema->drift != NULL ? t->schema->drift->total : 0;
}

/* ---- what stands for what ---- */

static uint64_t mix_texts(uint64_t hash, const char *const *v, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		hash = hash_mix_text(hash, v[i]);
	return hash_mix(hash, &n, sizeof n);
}

/* What is looked at, and in whose words: definitions read differently on another major version. */
static uint64_t scope_of(const struct target *t)
{
	const struct migration_settings *m = &t->db->migrations;
	int major = t->view.server_version / 10000;
	uint64_t hash = HASH_START + FORMAT;

	hash = mix_texts(hash, m->schema_drift, m->n_schema_drift);
	hash = mix_texts(hash, m->schema_drift_ignore, m->n_schema_drift_ignore);
	return hash_mix(hash, &major, sizeof major);
}

static uint64_t mix_entry(uint64_t hash, const struct migration *m)
{
	if (m->row != NULL) {
		hash = hash_mix(hash, &m->row->rank, sizeof m->row->rank);
		hash = hash_mix_text(hash, m->row->version);
		hash = hash_mix_text(hash, m->row->description);
		hash = hash_mix(hash, &m->row->success, sizeof m->row->success);
	}
	if (m->progress != NULL) {
		hash = hash_mix_text(hash, m->progress->script);
		hash = hash_mix(hash, &m->progress->done, sizeof m->progress->done);
	}
	return hash;
}

/* Where the ledger stands. One that cannot be read stands where it stood. */
char *schema_mark(void *parent, const struct target *t)
{
	const struct migration_list *list = t->migrations;
	uint64_t ledger = HASH_START;
	char was[17] = "";

	if (list == NULL || (list->n == 0 && list->blocked)) {
		if (t->schema != NULL)
			sscanf(t->schema->mark, "%16s", was);
		return talloc_asprintf(parent, "%s %016" PRIx64, was[0] != '\0' ? was : "-", scope_of(t));
	}
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].state != MIGRATION_UNDONE)       /* has its place by its file */
			ledger = mix_entry(ledger, &list->v[i]);
	if (list->last_undo > 0)
		ledger = hash_mix(ledger, &list->last_undo, sizeof list->last_undo);
	return talloc_asprintf(parent, "%016" PRIx64 " %016" PRIx64, ledger, scope_of(t));
}

/* The same files, the same version, seen in the same way; ranks and dates are each database's own. */
static uint64_t kin_of(const struct target *t)
{
	const struct migration_settings *m = &t->db->migrations;
	const struct migration_list *list = t->migrations;
	uint64_t hash = scope_of(t);

	if (list == NULL || list->blocked)
		return 0;
	hash = hash_mix(hash, &m->format, sizeof m->format);
	hash = mix_texts(hash, m->directories, m->n_directories);
	hash = hash_mix_text(hash, list->current_version);
	for (uint32_t i = 0; i < list->n; i++)
		if (list->v[i].state == MIGRATION_APPLIED && list->v[i].file != NULL && list->v[i].file->type == MIGRATION_REPEATABLE) {
			hash = hash_mix_text(hash, list->v[i].file->description);
			hash = hash_mix(hash, &list->v[i].file->checksum, sizeof list->v[i].file->checksum);
		}
	return hash;
}

/* ---- the state file ---- */

static void take_baseline(struct schema_watch *w, const struct schema_ref *ref)
{
	snprintf(w->baseline, sizeof w->baseline, "%s", ref->digest);
	w->view.baseline_ms = ref->at_ms;
	talloc_free((char *)w->view.baseline_version);
	w->view.baseline_version = ref->note != NULL ? talloc_strdup(w, ref->note) : NULL;
}

static void take_last(struct schema_watch *w, const struct schema_ref *ref)
{
	snprintf(w->last, sizeof w->last, "%s", ref->digest);
	snprintf(w->mark, sizeof w->mark, "%s", ref->note != NULL ? ref->note : "");
}

void schema_load(struct target *t)
{
	struct state *state = t->engine->state;
	struct schema_ref ref;
	void *scratch;

	if (t->schema != NULL)
		return;
	scratch = talloc_new(NULL);
	t->schema = talloc_zero(t, struct schema_watch);
	if (state_schema_ref(state, scratch, t->name, "baseline", &ref) == 0)
		take_baseline(t->schema, &ref);
	if (state_schema_ref(state, scratch, t->name, "last", &ref) == 0)
		take_last(t->schema, &ref);
	talloc_free(scratch);
}

void schema_point(struct target *t, const char *role, const char *digest, const char *note)
{
	struct schema_ref ref = { digest, note, clock_wall() };
	int r = state_schema_point(t->engine->state, t->name, role, digest != NULL ? &ref : NULL);

	if (r < 0)
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_STATE_NOT_STORED, "what was seen of the schemas could not be stored: %s",
			   state_reason(r));
	if (strcmp(role, "baseline") == 0)
		take_baseline(t->schema, &ref);
	else if (strcmp(role, "last") == 0)
		take_last(t->schema, &ref);
}

/* A look may be under way: the watch stays where it is, and the look finds that it is another one. */
void schema_forget(struct target *t)
{
	static const char *const roles[] = { "baseline", "last", "writing", "merging" };
	struct schema_watch *w = t->schema;

	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++)
		state_schema_point(t->engine->state, t->name, roles[i], NULL);
	if (w == NULL)
		return;
	w->baseline[0] = w->last[0] = w->seen[0] = w->mark[0] = '\0';
	w->looked = false;
	w->kin = 0;
	w->serial++;
	TALLOC_FREE(w->drift);
	w->view = (struct schema_view){ 0 };
	schema_peers_moved(t->engine);
}

void schema_loading_begin(struct schema_loading *l, void *parent, const char *digest)
{
	l->list = schema_new(parent);
	snprintf(l->digest, sizeof l->digest, "%s", digest);
	l->part = 0;
}

int schema_loading_turn(struct schema_loading *l, struct engine *e)
{
	size_t len;
	char *piece;
	int r = state_schema_has(e->state, l->digest) == 0 ? state_schema_get(e->state, l->list, l->digest, l->part, &piece, &len) : -1;

	if (r == 1 && l->part > 0)
		return 1;
	if (r == 0) {
		r = schema_read(l->list, piece, len);
		talloc_free(piece);
		l->part++;
	}
	return r == 0 ? 0 : 2;
}

/* ---- what is told ---- */

static void record(struct target *t, const char *kind, const char *actor, const char *object, const char *message)
{
	struct event event = { .at_ms = clock_wall(), .target = t->name, .kind = kind, .actor = actor, .object = object, .result = "ok",
			       .message = message };

	state_event_add(t->engine->state, &event, NULL);
}

void schema_failed(struct target *t, const char *format, ...)
{
	struct schema_watch *w = t->schema;
	void *old = w->error_ctx;
	va_list args;

	w->error_ctx = talloc_new(w);
	va_start(args, format);
	w->view.error = talloc_vasprintf(w->error_ctx, format, args);
	va_end(args);
	if (old == NULL)
		log_target(LOG_LEVEL_WARNING, t->name, NULL, "the schemas could not be looked at: %s", w->view.error);
	talloc_free(old);
	w->failed_at = t->engine->now > 0 ? t->engine->now : 1;
}

void schema_tell_baseline(struct target *t, uint32_t objects, const char *why)
{
	char *object = talloc_asprintf(NULL, "%u objects", objects);
	char *message = talloc_asprintf(object, "%s: what is there is taken to be as migrations made it", why);

	if (objects > 0)
		record(t, "schema_baseline", "daemon", object, message);
	log_target(objects > 0 ? LOG_LEVEL_NOTICE : LOG_LEVEL_DEBUG, t->name, NULL,
		   "the schemas as they are now (%s) are what later looks are compared with; %s", object, message);
	talloc_free(object);
}

static const struct schema_change *find(const struct schema_diff *diff, const struct schema_change *c)
{
	for (uint32_t i = 0; diff != NULL && i < diff->n; i++)
		if (strcmp(diff->v[i].kind, c->kind) == 0 && strcmp(diff->v[i].name, c->name) == 0)
			return &diff->v[i];
	return NULL;
}

static bool same(void *scratch, const struct schema_change *a, const struct schema_change *b)
{
	return a->difference == b->difference && strcmp(schema_change_text(scratch, a), schema_change_text(scratch, b)) == 0;
}

/* Drift that was not there, or was another; gone: what is not there any more. */
static uint32_t tell(struct target *t, const struct schema_diff *was, const struct schema_diff *is, bool gone)
{
	const struct schema_diff *these = gone ? was : is, *those = gone ? is : was;
	void *scratch = talloc_new(NULL);
	uint32_t n = 0;

	for (uint32_t i = 0; these != NULL && i < these->n; i++) {
		const struct schema_change *c = &these->v[i], *other = find(those, c);

		if (other != NULL && (gone || same(scratch, c, other)))
			continue;
		if (n++ < EVENTS_MAX)
			record(t, gone ? "schema_restored" : "schema_drift", "daemon", talloc_asprintf(scratch, "%s %s", c->kind, c->name),
			       gone ? "is as migrations made it" : schema_change_text(scratch, c));
	}
	if (n > EVENTS_MAX)
		record(t, gone ? "schema_restored" : "schema_drift", "daemon", talloc_asprintf(scratch, "%u more objects", n - EVENTS_MAX), NULL);
	talloc_free(scratch);
	return n;
}

static void tell_all(struct target *t, const struct schema_diff *was, const struct schema_diff *is)
{
	uint32_t come, gone;

	if ((was == NULL || was->total == 0) && is->total == 0)
		return;
	state_batch_begin(t->engine->state);
	come = tell(t, was, is, false);
	gone = tell(t, was, is, true);
	state_batch_end(t->engine->state);
	if (come > 0)
		log_target(LOG_LEVEL_WARNING, t->name, MESSAGE_SCHEMA_DRIFT, "%u object%s changed outside of migrations: %s %s %s", is->total,
			   is->total == 1 ? " was" : "s were", is->v[0].kind, is->v[0].name, is->total > 1 ? "and others" : schema_difference_name(is->v[0].difference));
	else if (gone > 0 && is->total == 0)
		log_target(LOG_LEVEL_NOTICE, t->name, NULL, "the schemas are as migrations made them again");
}

void schema_publish(struct target *t, struct schema_diff *drift, uint32_t objects)
{
	struct schema_watch *w = t->schema;
	uint64_t kin = kin_of(t);

	tell_all(t, w->drift, drift);
	talloc_free(w->drift);
	w->drift = talloc_steal(w, drift);
	w->view.drift = w->drift;
	w->view.looked_ms = clock_wall();
	w->view.objects = objects;
	w->view.error = NULL;
	TALLOC_FREE(w->error_ctx);
	w->looked = true;
	/* peers 0: it was not there when the others were set beside each other, say in a pass of the configuration before. */
	if (kin != w->kin || strcmp(w->last, w->seen) != 0 || (kin != 0 && w->view.peers == 0))
		schema_peers_moved(t->engine);
	w->kin = kin;
	memcpy(w->seen, w->last, sizeof w->seen);
}

int schema_accept(struct target *t, const char *actor, struct error *err)
{
	struct schema_watch *w = t->schema;
	char *object;

	if (!schema_is_watched(t)) {
		error_set(err, "the schemas of %s are not watched", t->name);
		error_hint(err, "name them in schema_drift of its migrations");
		return 1;
	}
	if (w == NULL || !w->looked) {
		error_set(err, "the schemas of %s were not looked at yet", t->name);
		error_hint(err, "dbreconcilectl reconcile %s looks at them", t->name);
		return 1;
	}
	if (w->drift->total == 0) {
		error_set(err, "there is nothing to accept: the schemas of %s are as migrations made them", t->name);
		return 1;
	}
	object = talloc_asprintf(NULL, "%u object%s", w->drift->total, w->drift->total == 1 ? "" : "s");
	state_batch_begin(t->engine->state);
	for (uint32_t i = 0; i < w->drift->n && i < EVENTS_MAX; i++)
		record(t, "schema_accepted", actor, talloc_asprintf(object, "%s %s", w->drift->v[i].kind, w->drift->v[i].name),
		       schema_change_text(object, &w->drift->v[i]));
	state_batch_end(t->engine->state);
	log_target(LOG_LEVEL_NOTICE, t->name, MESSAGE_ORDER, "schema accepted by %s: %s", actor, object);
	talloc_free(object);
	schema_point(t, "baseline", w->last, t->migrations != NULL ? t->migrations->current_version : NULL);
	w->serial++;
	talloc_free(w->drift);
	w->drift = talloc_zero(w, struct schema_diff);
	w->view.drift = w->drift;
	schema_peers_moved(t->engine);
	return 0;
}
