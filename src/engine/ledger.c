/* SPDX-License-Identifier: PostgreSQL */
/*
 * Reading the migration ledger on the reconciling connection. A table that an
 * owner of the database may swap for a view is locked first and judged again
 * under the lock, and only then read (facts: hazards H4, H6).
 */
#include "engine/internal.h"

#include <string.h>
#include <talloc.h>

#include "catalog/decode.h"
#include "catalog/query.h"
#include "model/quote.h"

enum { LEDGER_LOCK, LEDGER_ROWS, LEDGER_AWAY };

struct ledger_read {
	unsigned step;
	struct statement v[4];
	const char *params[2];
};

static char *lock_sql(void *parent, const struct migration_settings *m)
{
	struct text *text = text_new(parent);

	text_add(text, "LOCK TABLE ONLY ");
	quote_ident(text, m->table_schema);
	text_add_char(text, '.');
	quote_ident(text, m->table_name);
	text_add(text, " IN ACCESS SHARE MODE");
	return text->s;
}

static void block(struct target *t, const char *format, const char *hint)
{
	struct error err;

	error_clear(&err);
	error_set(&err, format, t->db->migrations.table_schema, t->db->migrations.table_name);
	if (hint != NULL)
		error_hint(&err, "%s", hint);
	migrations_unknown(t, &err);
}

static void ledger_key(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "ledger/%s", t->name);
}

/* H24: a ledger that was there and is gone is not an empty ledger. */
static void ledger_missing(struct target *t)
{
	char key[300], *known = NULL;

	ledger_key(t, key, sizeof(key));
	if (state_get(t->engine->state, t->pass, key, &known) == 0) {
		block(t, "the migration ledger %s.%s was there and is gone: nothing runs, it would run everything again",
		      "restore the table, or write it anew with: dbreconcilectl migrations TARGET baseline");
		return;
	}
	migrations_compare(t, talloc_new(t), NULL, 0);
}

bool ledger_begin(struct target *t, msec_t now)
{
	const struct ledger_relation *relation;
	struct ledger_read *l;

	if (target_is_root(t) || !t->db->migrations.enabled)
		return false;
	relation = &t->pass->look->database_state->ledger;
	if (!migrations_refresh(t))
		return false;
	if (!relation->exists) {
		ledger_missing(t);
		return false;
	}
	if (!relation->plain) {
		block(t, "the migration ledger %s.%s is not a plain table (a view, triggers, rules, policies, inheritance or code of users): "
		      "it is not read", "somebody may be preparing a trap; look at it with \\d+ in psql");
		return false;
	}
	if (!relation->readable) {
		block(t, "the migration ledger %s.%s is not readable for this daemon's role", "GRANT SELECT on it to the role of conninfo");
		return false;
	}
	l = talloc_zero(t->pass, struct ledger_read);
	t->pass->ledger = l;
	l->params[0] = t->db->migrations.table_schema;
	l->params[1] = t->db->migrations.table_name;
	l->v[0].sql = "BEGIN READ ONLY";
	l->v[1].sql = lock_sql(l, &t->db->migrations);
	l->v[2].sql = query_get(QUERY_FACTS, session_server_version(t->session), false)->sql;
	l->v[3] = (struct statement){ .sql = query_get(QUERY_LEDGER_RELATION, session_server_version(t->session), false)->sql,
				      .n_params = 2, .params = l->params };
	collect_begin(&t->pass->collect, l);
	return target_submit(t, BATCH_PIPELINE, l->v, 4, 0, now) == 0;
}

/* Under the lock: still the same plain table? */
static void ledger_locked(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct ledger_read *l = p->ledger;
	const struct ledger_relation *before = &p->look->database_state->ledger;
	static const enum query_id ids[] = { QUERY_FACTS, QUERY_LEDGER_RELATION };
	const struct rowset answers[] = { p->collect.v[2]->rows, p->collect.v[3]->rows };
	struct database_state *again = NULL;
	struct error err;

	error_clear(&err);
	if (decode_database(l, t->gen->names, ids, answers, 2, &again, &err) != 0) {
		target_fail(t, FAILURE_INTERNAL, &err, now);
		return;
	}
	if (!again->ledger.exists || !again->ledger.plain || !again->ledger.readable || again->ledger.oid != before->oid) {
		block(t, "the migration ledger %s.%s was replaced while it was looked at", NULL);
		l->step = LEDGER_AWAY;
		l->v[0].sql = "ROLLBACK";
		collect_begin(&p->collect, l);
		target_submit(t, BATCH_PIPELINE, l->v, 1, 0, now);
		return;
	}
	l->step = LEDGER_ROWS;
	l->v[0] = (struct statement){ .sql = ledger_sql_select(l, l->params[0], l->params[1]) };
	l->v[1] = (struct statement){ .sql = "COMMIT" };
	collect_begin(&p->collect, l);
	target_submit(t, BATCH_PIPELINE, l->v, 2, 0, now);
}

static void ledger_rows(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	void *ctx = talloc_new(t);
	struct ledger_row *rows = NULL;
	uint32_t n = 0;
	struct error err;
	char key[300];

	error_clear(&err);
	talloc_steal(ctx, p->collect.v[0]);
	if (ledger_decode(ctx, &p->collect.v[0]->rows, &rows, &n, &err) != 0) {
		talloc_free(ctx);
		migrations_unknown(t, &err);
		return;
	}
	ledger_key(t, key, sizeof(key));
	state_put(t->engine->state, key, "seen");
	migrations_compare(t, ctx, rows, n);
	(void)now;
}

int ledger_turn(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	int r = collect_turn(t, &p->collect);

	if (r != 1)
		return r;
	if (p->collect.error != NULL) {
		target_fail(t, p->collect.error->failure, &p->collect.error->error, now);
		return 1;
	}
	if (p->ledger->step == LEDGER_LOCK) {
		ledger_locked(t, now);
		return t->pass == p ? 0 : 1;
	}
	if (p->ledger->step == LEDGER_ROWS)
		ledger_rows(t, now);
	return 1;
}
