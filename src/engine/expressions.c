/* SPDX-License-Identifier: PostgreSQL */
/*
 * Do a declared and a live policy expression mean the same? The server prints
 * a deparse of the parsed tree, so texts that differ prove nothing. Both are
 * made the condition of a temporary view, printed, and fed back until the text
 * no longer changes: equal fixed points are equal expressions (tried on 40
 * expressions and five major versions; at most three rounds). Everything is
 * rolled back; nothing is evaluated, only parsed. What was found is remembered
 * by the digest of both texts, so a pair is compared once.
 * CREATE VIEW fires event triggers as GRANT does: where one of their functions
 * may not run as we, nothing is compared.
 *
 * It needs a transaction that can write, so it is not done while observing.
 */
#include "engine/internal.h"

#include <openssl/sha.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "model/quote.h"

#define FEED_ROUNDS 4
#define STATEMENTS 7

enum { STEP_BEGIN, STEP_TIMEOUT, STEP_PATH, STEP_WANTED, STEP_LIVE, STEP_READ, STEP_ROLLBACK };

struct expressions {
	struct expression_pair *pairs;
	uint32_t n, at;
	unsigned round;
	char *wanted, *live;           /* as fed in this round */
	struct statement v[STATEMENTS];
};

static void pair_key(const struct target *t, const char *schema, const char *table, const char *wanted, const char *live, char *key,
		     size_t size)
{
	char *all = talloc_asprintf(NULL, "%s\n%d\n%s\n%s\n%s\n%s", t->name, t->server->version_num / 10000, schema, table, wanted, live);
	unsigned char digest[SHA256_DIGEST_LENGTH];
	size_t len = 0;

	SHA256((const unsigned char *)all, strlen(all), digest);
	talloc_free(all);
	len = (size_t)snprintf(key, size, "expression/");
	for (int i = 0; i < 16 && len + 3 < size; i++)
		len += (size_t)snprintf(key + len, size - len, "%02x", digest[i]);
}

enum expression_state expression_state(void *data, const char *schema, const char *table, const char *wanted, const char *live,
				       const char **ret_reason)
{
	struct target *t = data;
	char key[64], *value = NULL;
	enum expression_state state;

	pair_key(t, schema, table, wanted, live, key, sizeof(key));
	if (state_get(t->engine->state, t, key, &value) != 0) {
		*ret_reason = target_mode(t) == MODE_OBSERVE ? "not while observing: comparing needs a transaction that can write" : NULL;
		return EXPRESSION_UNKNOWN;
	}
	state = strcmp(value, "same") == 0 ? EXPRESSION_SAME : strcmp(value, "differs") == 0 ? EXPRESSION_DIFFERS : EXPRESSION_UNKNOWN;
	if (state == EXPRESSION_UNKNOWN)
		*ret_reason = talloc_strdup(t->pass != NULL ? (void *)t->pass : (void *)t, value);
	talloc_free(value);
	return state;
}

static bool known(struct target *t, const struct expression_pair *pair)
{
	const char *reason = NULL;

	return expression_state(t, pair->schema, pair->table, pair->wanted, pair->live, &reason) != EXPRESSION_UNKNOWN;
}

static void remember(struct target *t, const struct expression_pair *pair, const char *value)
{
	char key[64];

	pair_key(t, pair->schema, pair->table, pair->wanted, pair->live, key, sizeof(key));
	state_put(t->engine->state, key, value);
}

static const char *view_sql(struct expressions *e, const char *view, const char *expression)
{
	const struct expression_pair *pair = &e->pairs[e->at];
	struct text *sql = text_new(e);

	text_addf(sql, "CREATE TEMPORARY VIEW %s AS SELECT 1 AS x FROM ", view);
	quote_ident(sql, pair->schema);
	text_add_char(sql, '.');
	quote_ident(sql, pair->table);
	/* the newline ends a trailing comment; the extended protocol refuses a second statement */
	text_addf(sql, " WHERE (%s\n)", expression);
	return sql->s;
}

/* The printed condition of "SELECT 1 AS x FROM s.t WHERE ...;" */
static char *condition_of(void *parent, const struct rowset *rows, unsigned column)
{
	static const char where[] = "\n  WHERE ";
	size_t len = 0;
	const char *text = rows->rows == 1 && rows->columns == 2 ? rows->cell(rows, 0, column, &len) : NULL;
	const char *at = text != NULL ? strstr(text, where) : NULL;

	if (at == NULL)
		return NULL;
	at += sizeof(where) - 1;
	len -= (size_t)(at - text);
	while (len > 0 && (at[len - 1] == ';' || at[len - 1] == '\n' || at[len - 1] == ' '))
		len--;
	return talloc_strndup(parent, at, len);
}

static int feed(struct target *t, msec_t now)
{
	struct expressions *e = t->pass->expressions;

	e->v[STEP_BEGIN].sql = "BEGIN";
	e->v[STEP_TIMEOUT].sql = "SET LOCAL lock_timeout TO '2s'";
	e->v[STEP_PATH].sql = "SET LOCAL search_path TO pg_catalog, pg_temp";
	e->v[STEP_WANTED].sql = view_sql(e, "pg_temp.dbreconcile_wanted", e->wanted);
	e->v[STEP_LIVE].sql = view_sql(e, "pg_temp.dbreconcile_live", e->live);
	e->v[STEP_READ].sql = "SELECT pg_catalog.pg_get_viewdef('pg_temp.dbreconcile_wanted'::pg_catalog.regclass), "
			      "pg_catalog.pg_get_viewdef('pg_temp.dbreconcile_live'::pg_catalog.regclass)";
	e->v[STEP_ROLLBACK].sql = "ROLLBACK";
	collect_begin(&t->pass->collect, e);
	return target_submit(t, BATCH_PIPELINE, e->v, STATEMENTS, 0, now);
}

/* The next pair that nobody has compared; false when there is none. */
static bool next_pair(struct target *t, msec_t now)
{
	struct expressions *e = t->pass->expressions;

	while (e->at < e->n && known(t, &e->pairs[e->at]))
		e->at++;
	if (e->at == e->n)
		return false;
	e->round = 0;
	e->wanted = talloc_strdup(e, e->pairs[e->at].wanted);
	e->live = talloc_strdup(e, e->pairs[e->at].live);
	return feed(t, now) == 0;
}

static bool would_run_others(const struct target *t)
{
	const struct look *server = t->server->look;

	return server == NULL || server->gen != t->gen || untrusted_event_trigger(server->server_state, t->pass->look->database_state, false) != NULL;
}

bool expressions_begin(struct target *t, msec_t now)
{
	struct expressions *e;

	if (target_is_root(t) || target_mode(t) == MODE_OBSERVE || t->pass->observed_only || t->desired == NULL || would_run_others(t))
		return false;
	e = talloc_zero(t->pass, struct expressions);
	e->pairs = plan_expressions(e, t->desired, t->pass->look->database_state, &e->n);
	t->pass->expressions = e;
	if (!next_pair(t, now))
		return false;
	t->plan_stale = true;          /* it will know more */
	return true;
}

/* One answer: equal now, changed and to be fed again, or settled as different. */
static void judge(struct target *t)
{
	struct expressions *e = t->pass->expressions;
	const struct rowset *rows = &t->pass->collect.v[STEP_READ]->rows;
	char *wanted = condition_of(e, rows, 0), *live = condition_of(e, rows, 1);
	bool settled;

	if (wanted == NULL || live == NULL) {
		remember(t, &e->pairs[e->at++], "the server printed a view in a form that is not understood");
		return;
	}
	if (strcmp(wanted, live) == 0) {
		remember(t, &e->pairs[e->at++], "same");
		return;
	}
	settled = strcmp(wanted, e->wanted) == 0 && strcmp(live, e->live) == 0;
	e->wanted = wanted;
	e->live = live;
	if (settled || ++e->round == FEED_ROUNDS)
		remember(t, &e->pairs[e->at++], "differs");
}

/* After an error the pipeline skipped ROLLBACK: the transaction must be ended before the next pair. */
static void failed(struct target *t, msec_t now)
{
	struct expressions *e = t->pass->expressions;
	char reason[ERROR_TEXT_MAX];

	snprintf(reason, sizeof(reason), "%s", t->pass->collect.error->error.text);
	remember(t, &e->pairs[e->at++], reason);
	e->v[0] = (struct statement){ .sql = "ROLLBACK" };
	collect_begin(&t->pass->collect, e);
	target_submit(t, BATCH_PIPELINE, e->v, 1, 0, now);
}

int expressions_turn(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct expressions *e = p->expressions;
	uint32_t before = e->at;
	int r = collect_turn(t, &p->collect);

	if (r != 1)
		return r;
	if (p->collect.error != NULL) {
		failed(t, now);
		return 0;
	}
	if (p->collect.n == STATEMENTS)
		judge(t);
	if (e->at == before && p->collect.n == STATEMENTS)
		return feed(t, now) == 0 ? 0 : 1;
	return next_pair(t, now) ? 0 : 1;
}
