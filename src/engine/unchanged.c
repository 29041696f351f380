/* SPDX-License-Identifier: PostgreSQL */
/*
 * Most looks find what the one before found. Rows are kept as they came, so a digest of them costs a tenth of what decoding
 * and comparing them costs: equal answers to equal questions are the look that is there, and a plan without changes that was
 * made from it stands, unless something else that it depends on has moved: the server's look, the clock, a password.
 * SHA-256, because whoever can name a table has a hand in what is compared.
 */
#include "engine/internal.h"

#include <openssl/evp.h>
#include <string.h>
#include <talloc.h>

#include "catalog/decode.h"
#include "catalog/query.h"

struct look_time {
	struct server_facts facts;
	msec_t at;
	unsigned epoch;
};

static void take(void *arg, const void *bytes, size_t n)
{
	EVP_DigestUpdate(arg, bytes, n);
}

static void take_cells(EVP_MD_CTX *ctx, const struct rowset *rows, unsigned columns)
{
	for (unsigned row = 0; row < rows->rows; row++)
		for (unsigned column = 0; column < columns; column++) {
			size_t len = 0;
			const char *text = rows->cell(rows, row, column, &len);
			int64_t head = text != NULL ? (int64_t)len : -1;

			take(ctx, &head, sizeof(head));
			if (text != NULL)
				take(ctx, text, len);
		}
}

static void take_answer(EVP_MD_CTX *ctx, enum query_id id, const struct rowset *rows)
{
	const uint32_t head[] = { (uint32_t)id, rows->rows, rows->columns };

	take(ctx, head, sizeof(head));
	if (id == QUERY_FACTS)
		take_cells(ctx, rows, rows->columns < FACTS_STEADY ? rows->columns : FACTS_STEADY);
	else if (rows->pieces != NULL)
		rows->pieces(rows, take, ctx);
	else
		take_cells(ctx, rows, rows->columns);
}

/* False: no digest, which is like no other. */
static bool digest_answers(const struct pass *p, unsigned char digest[32])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	bool ok = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1;

	for (unsigned i = 0; ok && i < p->n_ids; i++)
		take_answer(ctx, p->ids[i], &p->collect.v[i + 1]->rows);
	if (ok && p->retiring != NULL)
		take(ctx, p->retiring, strlen(p->retiring));
	ok = ok && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	return ok;
}

static int read_time(struct target *t, struct error *err)
{
	struct pass *p = t->pass;
	struct look_time *time = talloc_zero(p, struct look_time);

	for (unsigned i = 0; i < p->n_ids; i++)
		if (p->ids[i] == QUERY_FACTS && decode_facts(t->gen->names, &p->collect.v[i + 1]->rows, &time->facts, err) != 0)
			return 1;
	time->facts.snapshot = talloc_strdup(time, time->facts.snapshot);
	time->facts.now = talloc_strdup(time, time->facts.now);
	time->at = p->look->at;
	time->epoch = p->look->epoch;
	p->time = time;
	return 0;
}

int look_recognise(struct target *t, struct error *err)
{
	struct pass *p = t->pass;

	p->unchanged = false;
	if (!digest_answers(p, p->look->digest) || t->look == NULL || t->look->gen != t->gen ||
	    memcmp(p->look->digest, t->look->digest, sizeof(p->look->digest)) != 0)
		return 0;
	if (read_time(t, err) != 0)
		return 1;
	look_unref(p->look);
	p->look = look_ref(t->look);
	p->unchanged = true;
	return 0;
}

void look_renew(struct target *t)
{
	struct look *look = t->look;
	struct look_time *time = talloc_steal(look, t->pass->time);

	t->pass->time = NULL;
	talloc_free(look->time);
	look->time = time;
	look->at = time->at;
	look->epoch = time->epoch;
	look->snapshot = time->facts.snapshot;
	t->view.looks_unchanged++;
	if (look->server_state != NULL)
		look->server_state->facts = time->facts;
	else
		look->database_state->facts = time->facts;
}

static bool something_ended(const struct plan *plan, const struct look *look)
{
	const char *now = look->server_state != NULL ? look->server_state->facts.now : NULL;

	return plan->next_until != NULL && now != NULL && strcmp(plan->next_until, now) <= 0;
}

bool plan_stands(const struct target *t)
{
	const struct plan *plan = t->plan;

	return t->pass->unchanged && plan != NULL && plan->n_changes == 0 && !t->plan_stale && t->pass->retiring == NULL &&
	       t->plan_applies == target_applies(t) && (target_is_root(t) || t->plan_look == t->server->look) &&
	       !something_ended(plan, t->look);
}
