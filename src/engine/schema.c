/* SPDX-License-Identifier: PostgreSQL */
/* When a database's schemas are looked at, and the steps of one such look: each a few milliseconds of a turn. */
#include "engine/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/query.h"
#include "engine/schema.h"
#include "migrate/progress.h"
#include "model/quote.h"

#define SLICE 500                       /* objects between two looks at the clock */
#define BUDGET 8                        /* ms of one turn */
#define RETRY (30 * 1000)               /* ms until a look that failed is tried again */
#define LOST_MAX 2                      /* connections in a row that looks cost; then they keep to the interval */

struct schema_job {
	struct statement statements[3];
	const char *params[3], *lock[2];
	unsigned step;
	unsigned row;
	struct schema *now, *expected, *last;
	struct schema_loading loading;
	struct schema_writer writer;
	uint32_t part;
	bool wrote, moved, known;             /* known: a baseline was there, and could be read */
	struct text *piece;
	struct schema_merge *merge;
	struct schema_compare *compare;
	char digest[SCHEMA_DIGEST + 1];       /* of now */
	char baseline[SCHEMA_DIGEST + 1];     /* as it will be */
	char *mark;
	unsigned serial;
	struct schema_diff *drift;
};

/* ---- when ---- */

static bool interval_over(const struct target *t, msec_t now)
{
	const struct schema_watch *w = t->schema;

	if (w == NULL || (!w->looked && w->failed_at == 0))
		return true;
	if (w->failed_at != 0 && w->lost < LOST_MAX)
		return now - w->failed_at >= RETRY;
	return now - w->at >= t->db->migrations.schema_drift_interval;
}

bool schema_due(const struct target *t, msec_t now)
{
	const struct schema_watch *w = t->schema;

	if (!schema_is_watched(t) || !interval_over(t, now))
		return false;
	return w == NULL || !w->looked || w->failed_at != 0 || t->look == NULL || w->at < t->look->at;
}

/* What is there just before a migration is not what it made. */
static bool about_to_migrate(const struct target *t)
{
	struct wave_wait wait;

	if (t->pass->migrated || t->pass->observed_only || t->suspended || target_mode(t) != MODE_ENFORCE)
		return false;
	if (!migrations_wants(t) || brake_holds(t))
		return false;
	waves_ask(t, &wait);
	return wait.why == WAVE_GO;
}

static bool wanted(struct target *t, msec_t now)
{
	const struct schema_watch *w = t->schema;
	bool moved;
	char *mark;

	if (!schema_is_watched(t) || (t->pass->schema_looked && t->pass->schema_migrated == t->pass->migrated))
		return false;
	if (interval_over(t, now))
		return true;
	if (w->lost >= LOST_MAX)
		return false;
	if (t->pass->ordered || t->pass->migrated || about_to_migrate(t))
		return true;
	if (w->failed_at != 0)
		return false;
	mark = schema_mark(t->pass, t);
	moved = strcmp(mark, w->mark) != 0;
	talloc_free(mark);
	return moved;
}

/* ---- the question ---- */

static void add_like(struct text *out, const char *glob)
{
	struct text *like = text_new(out);

	for (; *glob != '\0'; glob++) {
		if (strchr("%_\\", *glob) != NULL)
			text_add_char(like, '\\');
		text_add_char(like, *glob == '*' ? '%' : *glob == '?' ? '_' : *glob);
	}
	quote_array_add(out, like->s);
	talloc_free(like);
}

static const char *patterns(void *parent, const struct migration_settings *m)
{
	struct text *out = text_new(parent);

	for (uint32_t i = 0; i < m->n_schema_drift; i++)
		add_like(out, m->schema_drift[i]);
	text_add_char(out, '}');
	return out->s;
}

/* Before the question and after it: does somebody migrate? What is half done would be taken for drift. */
static void ask(const struct target *t, struct schema_job *job)
{
	static const enum query_id ids[] = { QUERY_ADVISORY_LOCK, QUERY_SCHEMA_OBJECTS, QUERY_ADVISORY_LOCK };
	uint64_t key = (uint64_t)ledger_lock_key(t->db->migrations.table_schema, t->db->migrations.table_name);

	job->lock[0] = talloc_asprintf(job, "%" PRIu32, (uint32_t)(key >> 32));
	job->lock[1] = talloc_asprintf(job, "%" PRIu32, (uint32_t)key);
	for (size_t i = 0; i < sizeof ids / sizeof *ids; i++) {
		const struct query *query = query_get(ids[i], session_server_version(t->session), false);

		job->statements[i] = (struct statement){ .sql = query->sql, .n_params = query->params, .params = i == 1 ? job->params : job->lock };
	}
}

bool schema_begin(struct target *t, msec_t now)
{
	struct schema_job *job;

	if (!wanted(t, now))
		return false;
	schema_load(t);
	job = talloc_zero(t->pass, struct schema_job);
	job->params[0] = patterns(job, &t->db->migrations);
	job->params[1] = t->db->migrations.table_schema;
	job->params[2] = ledger_tables(job, t->db->migrations.table_name);
	ask(t, job);
	job->piece = text_new(job);
	talloc_free(t->pass->schema);
	t->pass->schema = job;
	t->pass->schema_looked = true;
	t->pass->schema_migrated = t->pass->migrated;
	collect_begin(&t->pass->collect, job);
	return target_submit(t, BATCH_PIPELINE, job->statements, 3, 0, now) == 0;
}

/* ---- the steps: 0 more of it, 1 the next one, 2 the look cannot be made, 3 judge again ---- */

static int step_decode(struct target *t, struct schema_job *job)
{
	const struct rowset *rows = &t->pass->collect.v[1]->rows;
	const struct migration_settings *m = &t->db->migrations;

	if (rows->rows > SCHEMA_OBJECTS_MAX) {
		schema_failed(t, "there are more than %d objects: watch fewer schemas (schema_drift), or leave some out (schema_drift_ignore)",
			      SCHEMA_OBJECTS_MAX);
		return 2;
	}
	if (job->now == NULL)
		job->now = schema_new(job);
	for (unsigned end = job->row + SLICE; job->row < rows->rows && job->row < end; job->row++)
		if (schema_add(job->now, rows, job->row, m->schema_drift_ignore, m->n_schema_drift_ignore) != 0) {
			schema_failed(t, "the answer of the server is not understood (row %u)", job->row + 1);
			return 2;
		}
	if (job->row < rows->rows)
		return 0;
	TALLOC_FREE(t->pass->collect.v[1]);
	job->writer = (struct schema_writer){ 0 };
	return 1;
}

static int seal(struct schema_job *job, const struct schema *list, char *digest)
{
	if (schema_write(list, &job->writer, job->piece))
		return 0;
	memcpy(digest, job->writer.digest, SCHEMA_DIGEST + 1);
	job->writer = (struct schema_writer){ 0 };
	job->part = 0;
	return 1;
}

/* Piece by piece; role, of each list its own, keeps what is there until this look is over. */
static int store(struct target *t, struct schema_job *job, const struct schema *list, const char *digest, const char *role)
{
	struct state *state = t->engine->state;
	int r = 0;

	if (job->part == 0) {
		if (state_schema_has(state, digest) == 0)
			return 1;
		schema_point(t, role, digest, NULL);
		job->wrote = true;
	}
	if (!schema_write(list, &job->writer, job->piece))
		r = state_schema_whole(state, digest);
	else if ((r = state_schema_put(state, digest, job->part++, job->piece->s, job->piece->len)) == 0)
		return 0;
	if (r < 0) {
		schema_failed(t, "what was seen cannot be kept in the state file: %s", state_reason(r));
		return 2;
	}
	job->writer = (struct schema_writer){ 0 };
	return 1;
}

static int step_seal(struct target *t, struct schema_job *job)
{
	(void)t;
	return seal(job, job->now, job->digest);
}

static int step_store(struct target *t, struct schema_job *job)
{
	return store(t, job, job->now, job->digest, "writing");
}

/* What has to be read: the lists are large, and mostly all of them are the same. */
static int step_decide(struct target *t, struct schema_job *job)
{
	const struct schema_watch *w = t->schema;

	job->serial = w->serial;
	job->expected = job->last = NULL;
	job->merge = NULL;
	job->mark = schema_mark(job, t);
	job->known = w->baseline[0] != '\0' && w->last[0] != '\0';
	job->moved = t->pass->files_ran || strcmp(job->mark, w->mark) != 0;
	if (!job->known)
		return 1;
	if (strcmp(w->baseline, w->last) == 0 ? !job->moved && strcmp(w->baseline, job->digest) != 0 :
	    w->drift == NULL || strcmp(w->baseline, job->digest) != 0)
		schema_loading_begin(&job->loading, job, w->baseline);
	return 1;
}

static int load(struct target *t, struct schema_job *job, struct schema **ret)
{
	int r;

	if (job->loading.list == NULL)
		return 1;
	r = schema_loading_turn(&job->loading, t->engine);
	if (r == 0)
		return 0;
	if (r == 1)
		*ret = job->loading.list;
	else
		job->known = false;           /* lost: what is there now is all that is known */
	job->loading.list = NULL;
	return 1;
}

static int step_load_expected(struct target *t, struct schema_job *job)
{
	const struct schema_watch *w = t->schema;
	int r = load(t, job, &job->expected);

	if (r == 1 && job->expected != NULL && strcmp(w->baseline, w->last) != 0)
		schema_loading_begin(&job->loading, job, w->last);
	return r;
}

static int step_load_last(struct target *t, struct schema_job *job)
{
	return load(t, job, &job->last);
}

static int compare(struct schema_job *job, const struct schema *from, const struct schema *to, struct schema_diff **ret)
{
	if (job->compare == NULL)
		job->compare = schema_compare_new(job, from, to);
	if (!schema_compare_turn(job->compare, SLICE))
		return 0;
	*ret = schema_compare_take(job, job->compare);
	TALLOC_FREE(job->compare);
	return 1;
}

/* After a restart: what was drift before it is told no second time. */
static int step_recall(struct target *t, struct schema_job *job)
{
	struct schema_diff *drift;

	if (!job->known || t->schema->drift != NULL || job->expected == NULL || job->last == NULL)
		return 1;
	if (compare(job, job->expected, job->last, &drift) == 0)
		return 0;
	t->schema->drift = talloc_steal(t->schema, drift);
	return 1;
}

static int step_merge(struct target *t, struct schema_job *job)
{
	const struct schema_watch *w = t->schema;

	if (!job->known || (job->moved && strcmp(w->baseline, w->last) == 0)) {
		memcpy(job->baseline, job->digest, sizeof(job->baseline));       /* no drift before: all of it is the migration's */
		return 1;
	}
	if (!job->moved || strcmp(w->last, job->digest) == 0 || strcmp(w->baseline, job->digest) == 0) {
		memcpy(job->baseline, w->baseline, sizeof(job->baseline));
		return 1;
	}
	if (job->merge == NULL)
		job->merge = schema_merge_new(job, job->expected, job->last, job->now);
	if (!schema_merge_turn(job->merge, SLICE))
		return 0;
	job->expected = schema_merge_take(job, job->merge);
	return 1;
}

static int step_seal_merged(struct target *t, struct schema_job *job)
{
	(void)t;
	return job->merge == NULL ? 1 : seal(job, job->expected, job->baseline);
}

static int step_store_merged(struct target *t, struct schema_job *job)
{
	return job->merge == NULL ? 1 : store(t, job, job->expected, job->baseline, "merging");
}

static int step_compare(struct target *t, struct schema_job *job)
{
	(void)t;
	if (strcmp(job->baseline, job->digest) != 0)
		return compare(job, job->expected, job->now, &job->drift);
	job->drift = talloc_zero(job, struct schema_diff);
	return 1;
}

static int step_keep(struct target *t, struct schema_job *job)
{
	struct schema_watch *w = t->schema;
	const struct migration_list *list = t->migrations;

	if (w->serial != job->serial)         /* somebody accepted what was seen before this look */
		return 3;
	if (!job->known) {
		TALLOC_FREE(w->drift);        /* of a baseline that is lost */
		schema_tell_baseline(t, schema_count(job->now), w->baseline[0] == '\0' ? "this is the first look at it" :
				     "what was known of it is lost");
	}
	if (!job->known || strcmp(w->baseline, job->baseline) != 0)
		schema_point(t, "baseline", job->baseline, list != NULL ? list->current_version : NULL);
	if (strcmp(w->last, job->digest) != 0 || strcmp(w->mark, job->mark) != 0)
		schema_point(t, "last", job->digest, job->mark);
	if (job->wrote) {
		schema_point(t, "writing", NULL, NULL);
		schema_point(t, "merging", NULL, NULL);
	}
	schema_publish(t, job->drift, schema_count(job->now));
	return 1;
}

static int step_sweep(struct target *t, struct schema_job *job)
{
	return job->wrote && state_schema_sweep(t->engine->state) == 0 ? 0 : 1;
}

#define STEP_DECIDE 3
static int (*const steps[])(struct target *, struct schema_job *) = {
	step_decode, step_seal, step_store, [STEP_DECIDE] = step_decide, step_load_expected, step_load_last, step_recall, step_merge,
	step_seal_merged, step_store_merged, step_compare, step_keep, step_sweep,
};

static bool is_locked(const struct collect *c, unsigned at)
{
	return c->v[at]->rows.rows == 1 && strcmp(rowset_text(&c->v[at]->rows, 0, 0), "t") == 0;
}

/* After migrations of our own, the backend that ran them may be about to end. */
static void answered(struct target *t)
{
	const struct collect *c = &t->pass->collect;

	if (c->error != NULL)
		schema_failed(t, "%s", c->error->error.text);
	else if (c->n != 3)
		schema_failed(t, "the server did not answer");
	else if (!t->pass->migrated && (is_locked(c, 0) || is_locked(c, 2)))
		schema_failed(t, "somebody holds the lock of the ledger: migrations run at this moment");
}

/* An answer of hundreds of megabytes costs the connection, and so the pass: not every pass. */
static void connection_lost(struct target *t)
{
	const struct error *err = session_error(t->session);

	t->schema->lost++;
	t->schema->at = t->engine->now;
	schema_failed(t, "%s", error_is_set(err) ? err->text : "the connection was lost");
}

int schema_turn(struct target *t, msec_t now)
{
	struct schema_job *job = t->pass->schema;
	msec_t began = clock_monotonic();

	if (!t->pass->collect.over) {
		int r = collect_turn(t, &t->pass->collect);

		if (r == 2)
			connection_lost(t);
		if (r != 1)
			return r;
		t->schema->failed_at = 0;
		t->schema->lost = 0;
		answered(t);
	}
	t->schema->at = now;
	while (t->schema->failed_at == 0 && job->step < sizeof steps / sizeof *steps) {
		int r = steps[job->step](t, job);

		job->step = r == 3 ? STEP_DECIDE : job->step + (r == 1);
		if (r == 0 && clock_monotonic() - began >= BUDGET) {
			target_mark(t);
			return 0;
		}
	}
	t->pass->schema = NULL;
	talloc_free(job);
	return 1;
}
