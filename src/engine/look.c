/* SPDX-License-Identifier: PostgreSQL */
/*
 * The batches that read: facts and assertion after connecting, then one look
 * as one pipeline in one READ ONLY snapshot.
 */
#include "engine/internal.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/decode.h"
#include "catalog/query.h"
#include "engine/schema.h"
#include "engine/seed.h"
#include "model/quote.h"

#define BEGIN_LOOK "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY"

/* ---- facts and assertion ---- */

enum { FACTS_FACTS, FACTS_ASSERT, FACTS_XACT_STATUS };

int facts_begin(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	int version = session_server_version(t->session);

	p->statements = talloc_zero_array(p, struct statement, 3);
	p->statements[FACTS_FACTS].sql = query_get(QUERY_FACTS, version, false)->sql;
	p->statements[FACTS_ASSERT].sql = query_get(QUERY_ASSERT_SESSION, version, false)->sql;
	p->n_statements = 2;
	if (t->doubt != NULL) {
		const char **params = talloc_array(p->statements, const char *, 1);

		params[0] = t->doubt->xid;
		p->statements[FACTS_XACT_STATUS] = (struct statement){
			.sql = query_get(QUERY_XACT_STATUS, version, false)->sql, .n_params = 1, .params = params };
		p->n_statements = 3;
	}
	collect_begin(&p->collect, p->statements);
	return target_submit(t, BATCH_PIPELINE, p->statements, p->n_statements, 0, now);
}

static const char *asserted(const struct rowset *rows, const char *name)
{
	for (unsigned i = 0; i < rows->rows; i++)
		if (strcmp(rowset_text(rows, i, 0), name) == 0)
			return rowset_text(rows, i, 1);
	return NULL;
}

/* 1: something between us and the server took our startup options away, or answers with another backend. */
static int assert_session(struct target *t, const struct rowset *rows, struct error *err)
{
	const char *pid = asserted(rows, "pg_backend_pid()");
	unsigned n;
	const struct pinned_setting *pinned = session_pinned(t->session, &n);

	for (unsigned i = 0; i < n; i++) {
		const char *is = asserted(rows, pinned[i].name);     /* NULL: not among those that matter */

		if (is == NULL || pinned[i].shown == NULL || strcmp(is, pinned[i].shown) == 0)
			continue;
		error_set(err, "setting %s is '%s' in this session, though it was started with '%s'", pinned[i].name, is, pinned[i].shown);
		error_hint(err, "a connection pooler or proxy seems to be in between: point conninfo at the server itself");
		return 1;
	}
	if (pid == NULL || strtol(pid, NULL, 10) != session_backend_pid(t->session)) {
		error_set(err, "the backend that answers is not the one that was connected to");
		error_hint(err, "a connection pooler seems to be in between: point conninfo at the server itself");
		return 1;
	}
	return 0;
}

/* Version and rights decide which settings can be pinned: learned on the first connection to a server. */
static bool facts_learn(struct target *t)
{
	struct server *s = t->server;
	const struct server_facts *facts = &t->pass->facts;

	t->view.server_version = facts->version_num;
	if (s->version_num == facts->version_num && s->superuser == facts->is_superuser)
		return false;
	s->version_num = facts->version_num;
	s->superuser = facts->is_superuser;
	return true;
}

/* Only the cluster that got the COMMIT can tell. Even it may not: after a failover that lost the transaction its number is one
   of the future, which is an error. */
static void ask_doubt(struct target *t)
{
	const struct outcome *o = t->pass->n_statements == 3 ? t->pass->collect.v[FACTS_XACT_STATUS] : NULL;

	if (o != NULL)
		doubt_settle(t, o->status == OUTCOME_ROWS && o->rows.rows == 1 ? rowset_text(&o->rows, 0, 0) : NULL);
}

static void facts_judge(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct error err;

	error_clear(&err);
	if (p->collect.error != NULL && p->collect.error->index != FACTS_XACT_STATUS) {
		target_fail(t, p->collect.error->failure, &p->collect.error->error, now);
		return;
	}
	if (decode_facts(t->gen->names, &p->collect.v[FACTS_FACTS]->rows, &p->facts, &err) != 0) {
		target_fail(t, FAILURE_INTERNAL, &err, now);
	} else if (facts_learn(t)) {
		target_event(t, TE_LEARNED, now);
	} else if (assert_session(t, &p->collect.v[FACTS_ASSERT]->rows, &err) != 0 || identity_check(t, &p->facts, &err) != 0) {
		target_fail(t, FAILURE_IDENTITY, &err, now);
	} else {
		t->asserted = true;
		ask_doubt(t);
		if (target_is_root(t))
			t->server->down = false;
		target_event(t, TE_ASSERTED, now);
	}
}

void facts_turn(struct target *t, msec_t now)
{
	switch (collect_turn(t, &t->pass->collect)) {
	case 1:
		facts_judge(t, now);
		break;
	case 2:
		connection_failed(t, now);
		break;
	default:
		break;
	}
}

/* ---- the look ---- */

static bool wants_available_extensions(const struct target *t)
{
	for (uint32_t i = 0; i < t->db->n_manifests; i++)
		if (t->db->manifests[i]->n_extensions > 0)
			return true;
	return false;
}

/* Roles declared absent that may still be there, as array text; NULL when none. */
static const char *retiring_roles(struct target *t)
{
	const struct server_settings *server = target_server_settings(t);
	const struct look *look = t->server->look;
	struct text *out = NULL;

	for (uint32_t m = 0; m < server->n_all_manifests; m++)
		for (uint32_t i = 0; i < server->all_manifests[m]->n_roles; i++) {
			const struct role_wish *wish = &server->all_manifests[m]->roles[i];

			if (!wish->absent || (!target_is_root(t) && look != NULL &&
					      server_role(look->server_state, names_put(look->server_state->names, wish->name)) == NULL))
				continue;
			if (out == NULL)
				out = text_new(t->pass);
			quote_array_add(out, wish->name);
		}
	if (out != NULL)
		text_add(out, "}");
	return out != NULL ? out->s : NULL;
}

static void look_queries(struct target *t)
{
	struct pass *p = t->pass;
	int version = session_server_version(t->session);

	p->ids = talloc_zero_array(p, enum query_id, QUERIES);
	p->n_ids = target_is_root(t) ? query_server_look(version, p->facts.can_read_verifiers, p->ids)
				     : query_database_look(version, t->db->migrations.enabled, wants_available_extensions(t), p->ids);
	p->retiring = retiring_roles(t);
	if (p->retiring != NULL)
		p->ids[p->n_ids++] = QUERY_ROLE_DEPENDENCIES;
}

struct statement look_query(const struct target *t, enum query_id id)
{
	bool foreign = id == QUERY_LEDGER_RELATION && t->db->migrations.format != LEDGER_FLYWAY;
	const struct query *q = query_get(foreign ? QUERY_FOREIGN_LEDGER : id, session_server_version(t->session), t->pass->facts.can_read_verifiers);
	struct statement s = { .sql = q->sql };

	if (target_is_root(t) || target_server_settings(t)->keep_connections > 0)
		s.name = q->name;             /* the connection is kept: parse once */
	return s;
}

static struct statement look_statement(struct target *t, enum query_id id)
{
	struct statement s = look_query(t, id);

	if (id == QUERY_LEDGER_FOUND) {
		const char **params = talloc_array(t->pass->statements, const char *, 2);

		params[0] = t->db->migrations.table_schema;
		params[1] = t->db->migrations.table_name;
		s.n_params = 2;
		s.params = params;
	} else if (id == QUERY_ROLE_DEPENDENCIES) {
		s.n_params = 1;
		s.params = &t->pass->retiring;
	}
	return s;
}

int look_begin(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct target *root = t->server->root;

	if (t->look != NULL && p->facts.version_num == 0)
		p->facts = target_is_root(t) ? t->look->server_state->facts : t->look->database_state->facts;      /* a kept connection: what was asserted when it was made */
	look_unref(p->look);
	p->look = look_new(t->engine, t->gen);
	p->look->at = now;
	p->look->epoch = root->session != NULL && (root == t || session_state(root->session) == SESSION_READY) ? t->server->epoch : 0;
	p->look_step = 0;
	look_queries(t);
	p->n_statements = p->n_ids + 2;
	p->statements = talloc_zero_array(p, struct statement, p->n_statements);
	p->statements[0].sql = BEGIN_LOOK;
	for (unsigned i = 0; i < p->n_ids; i++)
		p->statements[i + 1] = look_statement(t, p->ids[i]);
	p->statements[p->n_statements - 1].sql = "COMMIT";
	collect_begin(&p->collect, p->look);
	if (target_submit(t, BATCH_PIPELINE, p->statements, p->n_statements, 0, now) != 0)
		return 1;
	session_turn(t->session, 0, now);      /* off with it: there is work that needs no answer */
	migrations_look_ahead(t);
	return 0;
}

static int look_decode(struct target *t, struct error *err)
{
	struct pass *p = t->pass;
	struct rowset *answers = talloc_array(p->look, struct rowset, p->n_ids);
	struct look *look = p->look;
	int r;

	for (unsigned i = 0; i < p->n_ids; i++)
		answers[i] = p->collect.v[i + 1]->rows;
	if (target_is_root(t)) {
		r = decode_server(look, t->gen->names, p->ids, answers, p->n_ids, &look->server_state, err);
		if (r == 0)
			look->snapshot = look->server_state->facts.snapshot;
	} else {
		r = decode_database(look, t->gen->names, p->ids, answers, p->n_ids, &look->database_state, err);
		if (r == 0)
			look->snapshot = look->database_state->facts.snapshot;
	}
	return r;
}

static const struct server_facts *look_facts(const struct look *look)
{
	return look->server_state != NULL ? &look->server_state->facts : &look->database_state->facts;
}

static void look_accept(struct target *t)
{
	struct pass *p = t->pass;

	t->view.looked_ms = clock_wall();
	if (p->unchanged) {
		look_unref(p->look);
		p->look = NULL;
		look_renew(t);
		return;
	}
	TALLOC_FREE(t->plan);         /* it points into the old look */
	t->view.plan = NULL;
	look_unref(t->look);
	t->look = p->look;
	p->look = NULL;
	t->view.server_state = t->look->server_state;
	t->view.database_state = t->look->database_state;
	if (!target_is_root(t))
		return;
	look_unref(t->server->look);
	t->server->look = look_ref(t->look);
}

static bool batch_whole(const struct pass *p)
{
	return p->collect.n == p->n_statements && p->collect.error == NULL;
}

/* The catalogs are in. 0 go on; 1 failed (event raised). */
static int look_catalogs(struct target *t, msec_t now)
{
	struct pass *p = t->pass;
	struct error err;

	error_clear(&err);
	if (!batch_whole(p)) {
		error_set(&err, "the server did not answer every question of a look");
		target_fail(t, p->collect.error != NULL ? p->collect.error->failure : FAILURE_INTERNAL,
			    p->collect.error != NULL ? &p->collect.error->error : &err, now);
		return 1;
	}
	if (look_recognise(t, &err) != 0 || (!p->unchanged && look_decode(t, &err) != 0)) {
		target_fail(t, FAILURE_INTERNAL, &err, now);
		return 1;
	}
	/* on a kept connection too: nothing is planned from a look at a stranger */
	if (identity_check(t, look_facts(p->look), &err) != 0) {
		t->asserted = false;
		target_fail(t, FAILURE_IDENTITY, &err, now);
		return 1;
	}
	return 0;
}

/* After the catalogs: the ledger, then the secrets (slow on purpose), then the plan. */
static void look_finish(struct target *t, msec_t now)
{
	if (target_is_root(t) && !passwords_prepare(t, t->pass->look->server_state, 10)) {
		if (!t->waiting_secret)
			target_mark(t);       /* more to derive; let others have a turn first */
		return;
	}
	look_accept(t);
	if (target_is_root(t)) {
		seed_identify(t->server);
		fleet_expand(t->server, now);
	}
	target_event(t, TE_LOOKED, now);
}

enum { STEP_CATALOGS, STEP_LEDGER, STEP_SIZES, STEP_EXPRESSIONS, STEP_SCHEMA, STEP_SECRETS };

static unsigned after_expressions(struct target *t, msec_t now)
{
	return schema_begin(t, now) ? STEP_SCHEMA : STEP_SECRETS;
}

static unsigned after_sizes(struct target *t, msec_t now)
{
	return expressions_begin(t, now) ? STEP_EXPRESSIONS : after_expressions(t, now);
}

static unsigned after_ledger(struct target *t, msec_t now)
{
	return sizes_begin(t, now) ? STEP_SIZES : after_sizes(t, now);
}

void look_turn(struct target *t, msec_t now)
{
	struct pass *p = t->pass;

	if (p->look_step == STEP_CATALOGS) {
		switch (collect_turn(t, &p->collect)) {
		case 0:
			return;
		case 2:
			connection_failed(t, now);
			return;
		}
		if (look_catalogs(t, now) != 0)
			return;
		p->look_step = ledger_begin(t, now) ? STEP_LEDGER : after_ledger(t, now);
		if (t->pass != p)
			return;
	}
	if (p->look_step == STEP_LEDGER) {
		switch (ledger_turn(t, now)) {
		case 0:
			return;
		case 2:
			connection_failed(t, now);
			return;
		}
		if (t->pass != p)
			return;
		p->look_step = after_ledger(t, now);
	}
	if (p->look_step == STEP_SIZES) {
		switch (sizes_turn(t)) {
		case 0:
			return;
		case 2:
			connection_failed(t, now);
			return;
		}
		p->look_step = after_sizes(t, now);
	}
	if (p->look_step == STEP_EXPRESSIONS) {
		switch (expressions_turn(t, now)) {
		case 0:
			return;
		case 2:
			connection_failed(t, now);
			return;
		}
		if (t->pass != p)
			return;
		p->look_step = after_expressions(t, now);
	}
	if (p->look_step == STEP_SCHEMA) {
		switch (schema_turn(t, now)) {
		case 0:
			return;
		case 2:
			connection_failed(t, now);
			return;
		}
		p->look_step = STEP_SECRETS;
	}
	look_finish(t, now);
}
