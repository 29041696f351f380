/* SPDX-License-Identifier: PostgreSQL */
/*
 * Most passes find the ledger as it was. Then sums of hashes of its rows, taken by the server under the same lock and the same
 * judgement as the rows would be, are equal to those of the rows the list was made of, and the list stands: no row is sent,
 * decoded or compared. Only for a list in which nothing is pending and nothing blocks, made with the same files and
 * settings, without warnings that the database itself gives cause for.
 * The seed of the hashes is random, so that nobody can make up rows that sum up to the same.
 */
#include "engine/internal.h"

#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "catalog/query.h"
#include "migrate/progress.h"

enum { SAME_BEGIN, SAME_LOCK, SAME_JUDGE, SAME_SUM, SAME_LEFTOVERS, SAME_COMMIT, SAME_STATEMENTS };

struct same {
	struct statement v[SAME_STATEMENTS];
	const char *judged[4];            /* schema, ledger, its oid, the table beside it */
	const char *seed;
};

static bool may_be(const struct target *t)
{
	const struct ledger_known *known = &t->ledger_known;

	return known->valid && known->oid == t->pass->look->database_state->ledger.oid && known->generation == target_settings(t)->generation &&
	       t->files == t->pass->files && t->migrations != NULL && !t->migrations->blocked && migrations_pending(t) == 0 &&
	       known->superuser == migrations_superuser(t);
}

static const char *seed_text(void *parent, uint64_t seed)
{
	return talloc_asprintf(parent, "%" PRId64, (int64_t)seed);
}

/* Parsed once where the connection stays; the name tells the tables apart, should the configuration change. */
static struct statement sum_statement(const struct target *t, struct same *s)
{
	struct statement st = { .sql = ledger_sql_sum(s, s->judged[0], s->judged[1]), .n_params = 1, .params = &s->seed };

	if (target_server_settings(t)->keep_connections > 0)
		st.name = talloc_asprintf(s, "ledger_sum_%" PRIx64, (uint64_t)ledger_lock_key(s->judged[0], s->judged[1]));
	return st;
}

/* The snapshot is taken after the lock was got: nobody has replaced the table that is judged. */
bool ledger_same_begin(struct target *t, msec_t now)
{
	const struct migration_settings *m = &t->db->migrations;
	struct same *s;

	if (!may_be(t))
		return false;
	s = talloc_zero(t->pass->ledger, struct same);
	s->judged[0] = m->table_schema;
	s->judged[1] = m->table_name;
	s->judged[2] = talloc_asprintf(s, "%" PRIu32, t->ledger_known.oid);
	s->judged[3] = progress_table(s, m->table_name);
	s->seed = seed_text(s, t->ledger_known.seed);
	s->v[SAME_BEGIN].sql = "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY";
	s->v[SAME_LOCK].sql = ledger_lock_sql(s, s->judged[0], s->judged[1]);
	s->v[SAME_JUDGE] = look_query(t, QUERY_LEDGER_SAME);
	s->v[SAME_JUDGE].n_params = 4;
	s->v[SAME_JUDGE].params = s->judged;
	s->v[SAME_SUM] = sum_statement(t, s);
	s->v[SAME_LEFTOVERS] = look_query(t, QUERY_INDEX_LEFTOVERS);
	s->v[SAME_COMMIT].sql = "COMMIT";
	collect_begin(&t->pass->collect, s);
	return target_submit(t, BATCH_PIPELINE, s->v, SAME_STATEMENTS, 0, now) == 0;
}

int ledger_same_turn(struct target *t, msec_t now)
{
	struct collect *c = &t->pass->collect;
	struct ledger_sum sum;
	int r = collect_turn(t, c);

	if (r != 1)
		return r;
	if (c->error != NULL && c->error->index < SAME_JUDGE) {
		ledger_fail(t, c->error, now);
		return 1;
	}
	if (c->error != NULL)
		return 4;
	if (!ledger_sum_decode(&c->v[SAME_SUM]->rows, &sum) || !ledger_sum_same(&sum, &t->ledger_known.sum) ||
	    c->v[SAME_LEFTOVERS]->rows.rows > 0)
		return 3;
	migrations_keep(t);
	return 1;
}

const char *ledger_same_seed(struct target *t, void *parent)
{
	t->ledger_known.valid = false;
	if (t->ledger_known.unhashable)
		return NULL;
	t->ledger_known.seed = engine_random(t->engine);
	return seed_text(parent, t->ledger_known.seed);
}

void ledger_same_note(struct target *t, const struct rowset *rows)
{
	struct ledger_known *known = &t->ledger_known;

	known->valid = ledger_sum_rows(rows, &known->sum);
	known->oid = t->pass->look->database_state->ledger.oid;
	known->generation = target_settings(t)->generation;
	known->superuser = migrations_superuser(t);
}
