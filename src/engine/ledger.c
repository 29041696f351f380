/* SPDX-License-Identifier: PostgreSQL */
/*
 * Reading the migration ledger on the reconciling connection. A table that an
 * owner of the database may swap for a view is locked first and judged again
 * under the lock, and only then read.
 */
#include "engine/internal.h"
#include "engine/seed.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/decode.h"
#include "catalog/query.h"
#include "migrate/foreign.h"
#include "migrate/progress.h"
#include "model/quote.h"

/* The table beside the ledger is judged and read in the same way, where there is one. */
enum { LEDGER_LOCK, LEDGER_ROWS, LEDGER_SIDE_ROWS, LEDGER_AWAY, LEDGER_SAME, LEDGER_AGAIN, LEDGER_NONE };

struct ledger_read {
	unsigned step;
	struct statement v[7];
	const char *params[4];            /* schema, ledger, schema, the table beside it */
	const char *seed;                 /* of the rows' hashes; NULL = without */
	bool side;                        /* it is there, and looks as we made it */
	uint32_t side_oid;
	const char *warning;              /* why it is not read */
	struct outcome *rows;             /* of the ledger */
	const struct outcome *leftovers;  /* invalid indexes */
};

char *ledger_lock_sql(void *parent, const char *schema, const char *table)
{
	struct text *text = text_new(parent);

	text_add(text, "LOCK TABLE ONLY ");
	quote_ident(text, schema);
	text_add_char(text, '.');
	quote_ident(text, table);
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
	error_name_target(&err, t->name);
	migrations_unknown(t, &err);
}

static void block_trap(struct target *t)
{
	block(t, "the migration ledger %s.%s is not a plain table (a view, triggers, rules, policies, inheritance or code of users): it is not read",
	      "somebody may be preparing a trap; look at it with \\d+ in psql");
}

static void ledger_key(const struct target *t, char *key, size_t size)
{
	snprintf(key, size, "ledger/%s", t->name);
}

/* Of another tool: read by its columns, with nothing beside it, and nothing of ours depends on it. */
static bool is_foreign(const struct target *t)
{
	return t->db->migrations.format != LEDGER_FLYWAY;
}

static char *own_name(const struct target *t, void *parent)
{
	return talloc_asprintf(parent, "%s.%s", t->db->migrations.table_schema, t->db->migrations.table_name);
}

static void note_seen(struct target *t)
{
	char key[300], *name = own_name(t, NULL);

	ledger_key(t, key, sizeof(key));
	if (!text_same(t->ledger_noted, name) && state_put(t->engine->state, key, name) == 0) {
		talloc_free(t->ledger_noted);
		t->ledger_noted = talloc_strdup(t, name);
	}
	talloc_free(name);
}

static void block_other(struct target *t, const char *known)
{
	struct error err;

	error_clear(&err);
	error_set(&err, "there is no migration ledger %s, and this database had another one, %s: nothing runs, it would run everything again",
		  own_name(t, t->pass), known);
	error_hint(&err, "name that one with table in its migrations; or say what the new one begins with: dbreconcilectl migrations TARGET baseline VERSION");
	error_name_target(&err, t->name);
	migrations_unknown(t, &err);
}

/* A ledger that was there and is gone is not an empty ledger, nor is one that has taken its place in the configuration. */
static bool is_gone(struct target *t)
{
	char key[300], *known = NULL;

	ledger_key(t, key, sizeof(key));
	if (is_foreign(t) || state_get(t->engine->state, t->pass, key, &known) != 0)
		return false;
	if (strcmp(known, "seen") != 0 && strcmp(known, own_name(t, t->pass)) != 0)       /* "seen": noted without its name */
		block_other(t, known);
	else
		block(t, "the migration ledger %s.%s was there and is gone: nothing runs, it would run everything again",
		      "restore the table, or write it anew with: dbreconcilectl migrations TARGET baseline VERSION");
	return true;
}

const char *ledger_tables(void *parent, const char *table)
{
	struct text *out = text_new(parent);
	char *seed = talloc_asprintf(parent, "%s_seed", table);

	quote_array_add(out, table);
	quote_array_add(out, seed);
	quote_array_add(out, progress_table(parent, table));
	quote_array_add(out, progress_table(parent, seed));
	text_add(out, "}");
	return out->s;
}

/* No ledger yet. Tables in the schema where it would be say that this is another database than was meant, or one whose history we
   cannot see: Flyway does not begin there, either. So does a history of Flyway's, wherever it is. What we have created ourselves
   has its tables from its template. */
static bool none_begin(struct target *t, msec_t now)
{
	struct ledger_read *l;

	if (is_gone(t))
		return false;
	if (is_foreign(t) || seed_is_ours(t)) {
		migrations_without_ledger(t, NULL);
		return false;
	}
	l = talloc_zero(t->pass, struct ledger_read);
	t->pass->ledger = l;
	l->step = LEDGER_NONE;
	l->params[0] = t->db->migrations.table_schema;
	l->params[1] = ledger_tables(l, t->db->migrations.table_name);
	l->v[0] = look_query(t, QUERY_USER_TABLES);
	l->v[0].n_params = 2;
	l->v[0].params = l->params;
	collect_begin(&t->pass->collect, l);
	return target_submit(t, BATCH_PIPELINE, l->v, 1, 0, now) == 0;
}

static void none_over(struct target *t, const struct rowset *rows)
{
	const struct migration_settings *m = &t->db->migrations;
	const char *schema = rows->rows > 0 ? rowset_text(rows, 0, 0) : "", *table = rows->rows > 0 ? rowset_text(rows, 0, 1) : "";
	bool flyway = strcmp(table, "flyway_schema_history") == 0 || strcmp(table, "schema_version") == 0;
	struct error err;

	error_clear(&err);
	if (flyway) {
		error_set(&err, "the database has a history of Flyway, %s.%s, and no ledger %s.%s: nothing runs, for files have run there already", schema,
			  table, m->table_schema, m->table_name);
		error_hint(&err, "to go on from it write table = \"%s.%s\" into its migrations; if it is of something else, say which files the database has, "
			   "0 for none of them: dbreconcilectl migrations TARGET baseline VERSION", schema, table);
	} else {
		error_set(&err, "schema %s holds tables (%s) and no ledger %s: nothing runs, for it may be another database than was meant, or one in which "
			  "files have run already", schema, table, m->table_name);
		error_hint(&err, "say which files it has, 0 for none of them: dbreconcilectl migrations TARGET baseline VERSION; a history that is "
			   "elsewhere is named with table in its migrations");
	}
	error_name_target(&err, t->name);
	migrations_without_ledger(t, flyway || strcmp(schema, m->table_schema) == 0 ? &err : NULL);
}

/* Our session takes bytes as they are, for names of roles may be in any encoding; what the ledger says is compared with files. */
static bool is_converted(const struct target *t)
{
	const char *encoding = session_parameter(t->session, "server_encoding");

	return encoding != NULL && strcmp(encoding, "UTF8") != 0 && strcmp(encoding, "SQL_ASCII") != 0;
}

static bool lock_begin(struct target *t, msec_t now)
{
	struct ledger_read *l = t->pass->ledger;

	l->step = LEDGER_LOCK;
	l->v[0] = (struct statement){ .sql = "BEGIN READ ONLY" };
	l->v[1] = (struct statement){ .sql = ledger_lock_sql(l, l->params[0], l->params[1]) };
	l->v[2] = look_query(t, QUERY_FACTS);
	l->v[3] = l->v[4] = look_query(t, QUERY_LEDGER_RELATION);
	l->v[3].n_params = l->v[4].n_params = 2;
	l->v[3].params = l->params;
	l->v[4].params = l->params + 2;
	l->v[5] = look_query(t, QUERY_INDEX_LEFTOVERS);
	l->v[6] = (struct statement){ .sql = "SET LOCAL client_encoding = 'UTF8'" };
	collect_begin(&t->pass->collect, l);
	return target_submit(t, BATCH_PIPELINE, l->v, is_converted(t) ? 7 : 6, 0, now) == 0;
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
	if (!relation->exists)
		return none_begin(t, now);
	if (!relation->plain) {
		block_trap(t);
		return false;
	}
	if (!relation->readable) {
		block(t, "the migration ledger %s.%s is not readable for this daemon's role", "GRANT SELECT on it to the role of conninfo");
		return false;
	}
	l = talloc_zero(t->pass, struct ledger_read);
	t->pass->ledger = l;
	l->params[0] = l->params[2] = t->db->migrations.table_schema;
	l->params[1] = t->db->migrations.table_name;
	l->params[3] = progress_table(l, t->db->migrations.table_name);
	if (ledger_same_begin(t, now)) {
		l->step = LEDGER_SAME;
		return true;
	}
	return lock_begin(t, now);
}

/* A transaction that failed is over first. */
static void read_again(struct target *t, msec_t now)
{
	struct ledger_read *l = t->pass->ledger;

	l->step = LEDGER_AGAIN;
	l->v[0] = (struct statement){ .sql = "ROLLBACK" };
	collect_begin(&t->pass->collect, l);
	target_submit(t, BATCH_PIPELINE, l->v, 1, 0, now);
}

/* What a relation is: the outcomes at of QUERY_FACTS and QUERY_LEDGER_RELATION. NULL: the pass has failed. */
static const struct ledger_relation *decode_relation(struct target *t, unsigned facts, unsigned relation, msec_t now)
{
	static const enum query_id ids[] = { QUERY_FACTS, QUERY_LEDGER_RELATION };
	const struct rowset answers[] = { t->pass->collect.v[facts]->rows, t->pass->collect.v[relation]->rows };
	struct database_state *state = NULL;
	struct error err;

	error_clear(&err);
	if (decode_database(t->pass->ledger, t->gen->names, ids, answers, 2, &state, &err) == 0)
		return &state->ledger;
	target_fail(t, FAILURE_INTERNAL, &err, now);
	return NULL;
}

static void leave(struct target *t, msec_t now)
{
	struct ledger_read *l = t->pass->ledger;

	l->step = LEDGER_AWAY;
	l->v[0] = (struct statement){ .sql = "ROLLBACK" };
	collect_begin(&t->pass->collect, l);
	target_submit(t, BATCH_PIPELINE, l->v, 1, 0, now);
}

static void go_away(struct target *t, msec_t now)
{
	block(t, "the migration ledger %s.%s was replaced while it was looked at", NULL);
	leave(t, now);
}

/* The runner, which is the migration user, reads it all the same, and does not go on before it can. */
static void judge_side(const struct target *t, struct ledger_read *l, const struct ledger_relation *side)
{
	if (is_foreign(t))
		return;
	l->side_oid = side->oid;
	l->side = side->exists && side->plain && side->readable;
	if (side->exists && !l->side)
		l->warning = talloc_asprintf(l, "%s.%s, which says how far migrations came, is not %s: what was interrupted is not shown",
					     l->params[2], l->params[3], side->plain ? "readable for this daemon's role" : "a plain table");
}

static struct statement rows_statement(struct target *t, struct ledger_read *l)
{
	if (is_foreign(t))
		return (struct statement){ .sql = foreign_sql_select(l, (enum ledger_format)t->db->migrations.format, l->params[0], l->params[1]) };
	l->seed = l->side ? NULL : ledger_same_seed(t, l);
	return (struct statement){ .sql = ledger_sql_select(l, l->params[0], l->params[1], l->seed != NULL), .n_params = l->seed != NULL,
				   .params = &l->seed };
}

static int decode_rows(const struct target *t, void *ctx, const struct rowset *answer, struct ledger_row **ret, uint32_t *ret_n,
		       struct error *err)
{
	if (is_foreign(t))
		return foreign_decode(ctx, (enum ledger_format)t->db->migrations.format, answer, ret, ret_n, err);
	return ledger_decode(ctx, answer, ret, ret_n, err);
}

/* Under the lock: still the same table, and plain? */
static void ledger_locked(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct ledger_read *l = p->ledger;
	const struct ledger_relation *before = &p->look->database_state->ledger, *again = decode_relation(t, 2, 3, now), *side;

	side = again != NULL ? decode_relation(t, 2, 4, now) : NULL;
	if (side == NULL)
		return;
	if (!again->exists || !again->readable || again->oid != before->oid) {
		go_away(t, now);
		return;
	}
	if (!again->plain) {
		block_trap(t);
		leave(t, now);
		return;
	}
	judge_side(t, l, side);
	l->leftovers = p->collect.v[5];
	l->step = LEDGER_ROWS;
	l->v[0] = rows_statement(t, l);
	l->v[1] = (struct statement){ .sql = l->side ? ledger_lock_sql(l, l->params[2], l->params[3]) : "COMMIT" };
	l->v[3] = l->v[4];                /* v[2] asks for facts again */
	collect_begin(&p->collect, l);
	target_submit(t, BATCH_PIPELINE, l->v, l->side ? 4 : 2, 0, now);
}

static void side_locked(struct target *t, msec_t now)
{
	struct ledger_read *l = t->pass->ledger;
	const struct ledger_relation *side = decode_relation(t, 2, 3, now);
	bool same;

	if (side == NULL)
		return;
	same = side->oid == l->side_oid;
	l->rows = t->pass->collect.v[0];
	judge_side(t, l, side);
	if (!l->side || !same) {
		go_away(t, now);
		return;
	}
	l->step = LEDGER_SIDE_ROWS;
	l->v[0] = (struct statement){ .sql = progress_sql_select(l, l->params[0], l->params[1]) };
	l->v[1] = (struct statement){ .sql = "COMMIT" };
	collect_begin(&t->pass->collect, l);
	target_submit(t, BATCH_PIPELINE, l->v, 2, 0, now);
}

/* What REINDEX calls its own until it is over: name_ccnew, name_ccold2. */
static bool is_of_reindex(const char *name)
{
	size_t len = strlen(name);

	while (len > 0 && name[len - 1] >= '0' && name[len - 1] <= '9')
		len--;
	return len > 6 && (strncmp(name + len - 6, "_ccnew", 6) == 0 || strncmp(name + len - 6, "_ccold", 6) == 0);
}

/* Slower with every write, and of use to nobody. Ours or not: nothing is dropped that nobody asked us to. */
static void warn_of_leftovers(struct target *t, const struct rowset *rows)
{
	for (unsigned i = 0; i < rows->rows; i++) {
		struct text *text = text_new(t->pass->ledger);

		text_addf(text, "index %s.%s is invalid: a %s table %s was interrupted or failed; every write still keeps it up. When nobody "
			  "is at it: DROP INDEX CONCURRENTLY ", rowset_text(rows, i, 0), rowset_text(rows, i, 1),
			  is_of_reindex(rowset_text(rows, i, 1)) ? "REINDEX CONCURRENTLY of" : "CREATE INDEX CONCURRENTLY on", rowset_text(rows, i, 2));
		quote_ident(text, rowset_text(rows, i, 0));
		text_add_char(text, '.');
		quote_ident(text, rowset_text(rows, i, 1));
		migrations_warn(t, text->s);
	}
}

/* side: the answer of the table beside the ledger, or NULL. */
static void ledger_rows(struct target *t, struct outcome *ledger, struct outcome *side)
{
	const struct ledger_read *l = t->pass->ledger;
	void *ctx = talloc_new(t);
	struct ledger_row *rows = NULL;
	struct migration_progress *progress = NULL;
	uint32_t n = 0, n_progress = 0;
	struct error err;

	error_clear(&err);
	talloc_steal(ctx, ledger);
	if (decode_rows(t, ctx, &ledger->rows, &rows, &n, &err) != 0 ||
	    (side != NULL && progress_decode(ctx, &side->rows, &progress, &n_progress, &err) != 0)) {
		talloc_free(ctx);
		migrations_unknown(t, &err);
		return;
	}
	if (!is_foreign(t))
		note_seen(t);
	migrations_compare(t, ctx, rows, n, progress, n_progress);
	warn_of_leftovers(t, &l->leftovers->rows);
	if (l->warning != NULL)
		migrations_warn(t, l->warning);
	else if (l->seed != NULL && l->side_oid == 0 && l->leftovers->rows.rows == 0)
		ledger_same_note(t, &ledger->rows);
}

/* A type without a hash function (json): the rows are read without. */
static bool is_unhashable(struct target *t)
{
	const struct ledger_read *l = t->pass->ledger;

	if (l->step != LEDGER_ROWS || l->seed == NULL || strcmp(t->pass->collect.error->error.sqlstate, "42883") != 0)
		return false;
	t->ledger_known.unhashable = true;
	return true;
}

static int same_turn(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	int r = ledger_same_turn(t, now);

	if (r == 3)
		lock_begin(t, now);
	else if (r == 4)
		read_again(t, now);
	return r < 3 ? r : t->pass == p ? 0 : 1;
}

void ledger_fail(struct target *t, const struct outcome *failed, msec_t now)
{
	struct error err = failed->error;

	if (failed->failure == FAILURE_LOCK)
		error_hint(&err, "somebody holds ACCESS EXCLUSIVE on the ledger %s.%s, or waits for it; it is tried again",
			   t->db->migrations.table_schema, t->db->migrations.table_name);
	target_fail(t, failed->failure, &err, now);
}

int ledger_turn(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	int r;

	if (p->ledger->step == LEDGER_SAME)
		return same_turn(t, now);
	r = collect_turn(t, &p->collect);
	if (r != 1)
		return r;
	if (p->collect.error != NULL && is_unhashable(t)) {
		read_again(t, now);
		return t->pass == p ? 0 : 1;
	}
	if (p->collect.error != NULL) {
		ledger_fail(t, p->collect.error, now);
		return 1;
	}
	switch (p->ledger->step) {
	case LEDGER_LOCK:
		ledger_locked(t, now);
		return t->pass == p ? 0 : 1;
	case LEDGER_ROWS:
		if (!p->ledger->side) {
			ledger_rows(t, p->collect.v[0], NULL);
			return 1;
		}
		side_locked(t, now);
		return t->pass == p ? 0 : 1;
	case LEDGER_SIDE_ROWS:
		ledger_rows(t, p->ledger->rows, p->collect.v[0]);
		return 1;
	case LEDGER_NONE:
		none_over(t, &p->collect.v[0]->rows);
		return 1;
	case LEDGER_AGAIN:
		lock_begin(t, now);
		return t->pass == p ? 0 : 1;
	}
	return 1;
}
