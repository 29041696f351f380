/* SPDX-License-Identifier: PostgreSQL */
/*
 * Passwords of roles. Deriving a SCRAM key takes milliseconds on purpose, so
 * it is done before the plan, some at a time, and remembered: by the digest of
 * the secret and the verifier it was compared with, never the secret itself.
 */
#include "engine/internal.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "session/secret.h"

#define DIGEST_LEN 32
#define SALT_LEN 16

struct known {
	struct known *next;
	const char *role;
	unsigned char secret[DIGEST_LEN];         /* keyed digest of the secret */
	char *stored;                             /* the verifier that was compared; NULL = not readable or none */
	enum password_state state;
	char *verifier, *reason;
	bool seen;                                /* the role was there */
};

struct passwords {
	unsigned char key[DIGEST_LEN];            /* of this process: digests mean nothing outside */
	struct known *known;
};

struct passwords *passwords_new(void *parent)
{
	struct passwords *p = talloc_zero(parent, struct passwords);

	if (RAND_bytes(p->key, sizeof(p->key)) != 1)
		TALLOC_FREE(p);
	return p;
}

static void digest(const unsigned char *key, size_t key_len, const char *secret, unsigned char out[DIGEST_LEN])
{
	unsigned len = DIGEST_LEN;

	HMAC(EVP_sha256(), key, (int)key_len, (const unsigned char *)secret, strlen(secret), out, &len);
}

static struct known *known_find(struct passwords *p, const char *role)
{
	struct known *k = p->known;

	while (k != NULL && strcmp(k->role, role) != 0)
		k = k->next;
	return k;
}

/* ---- without the right to read verifiers: a digest of what was set, in state ---- */

static void source_key(const struct target *t, const char *role, char *key, size_t size)
{
	snprintf(key, size, "password/%s/%s", t->server->name, role);
}

static void hex(const unsigned char *bytes, size_t n, char *out)
{
	for (size_t i = 0; i < n; i++)
		snprintf(out + 2 * i, 3, "%02x", bytes[i]);
}

/* "salt:digest" of the secret; salt NULL makes a new one. */
static char *fingerprint(void *parent, const char *salt, const char *secret)
{
	unsigned char raw[SALT_LEN], mac[DIGEST_LEN];
	char salt_text[2 * SALT_LEN + 1], mac_text[2 * DIGEST_LEN + 1];

	if (salt == NULL) {
		if (RAND_bytes(raw, sizeof(raw)) != 1)
			return NULL;
		hex(raw, sizeof(raw), salt_text);
		salt = salt_text;
	}
	digest((const unsigned char *)salt, 2 * SALT_LEN, secret, mac);
	hex(mac, sizeof(mac), mac_text);
	return talloc_asprintf(parent, "%.*s:%s", 2 * SALT_LEN, salt, mac_text);
}

static bool source_unchanged(struct target *t, const char *role, const char *secret)
{
	char key[300], *stored = NULL;
	void *scratch = talloc_new(NULL);
	bool same = false;

	source_key(t, role, key, sizeof(key));
	if (state_get(t->engine->state, scratch, key, &stored) == 0 && strlen(stored) > 2 * SALT_LEN)
		same = text_same(stored, fingerprint(scratch, stored, secret));
	talloc_free(scratch);
	return same;
}

/* ---- one role ---- */

static void known_reset(struct known *k)
{
	TALLOC_FREE(k->stored);
	TALLOC_FREE(k->verifier);
	TALLOC_FREE(k->reason);
}

static void set_unavailable(struct known *k, const struct error *err)
{
	k->state = PASSWORD_UNAVAILABLE;
	k->reason = talloc_asprintf(k, "%s%s%s", err->text, err->hint[0] != '\0' ? "; " : "", err->hint);
}

static bool secret_matches(struct target *t, const struct server_state *server, const struct role *live, const char *role, const char *secret)
{
	if (live == NULL)
		return false;
	if (!server->facts.can_read_verifiers)
		return source_unchanged(t, role, secret);
	return live->verifier != NULL && scram_check(live->verifier) == 0 && scram_verify(secret, live->verifier) == 0;
}

static void known_decide(struct target *t, struct known *k, const struct server_state *server, const struct role *live, const char *secret)
{
	struct error err;

	error_clear(&err);
	if (secret_matches(t, server, live, k->role, secret))
		k->state = PASSWORD_IN_SYNC;
	else if (scram_verifier(k, secret, &k->verifier, &err) == 0)
		k->state = PASSWORD_DIFFERS;
	else
		set_unavailable(k, &err);
}

static struct known *known_get(struct passwords *p, const char *role)
{
	struct known *k = known_find(p, role);

	if (k != NULL)
		return k;
	k = talloc_zero(p, struct known);
	k->role = talloc_strdup(k, role);
	k->state = PASSWORD_UNAVAILABLE;
	k->next = p->known;
	p->known = k;
	return k;
}

/* 0 nothing to derive; 1 derived; 2 there would be something to derive, and may_work is false. */
static int prepare_one(struct target *t, const struct server_state *server, const struct role_wish *wish, bool may_work)
{
	struct passwords *p = t->server->passwords;
	const struct role *live = server_role(server, names_find(t->gen->names, wish->name, strlen(wish->name)));
	const char *stored = live != NULL ? live->verifier : NULL;
	struct known *k = known_get(p, wish->name);
	unsigned char mac[DIGEST_LEN];
	struct error err;
	char *secret = NULL;
	int r = 0;

	error_clear(&err);
	r = secrets_get(t, p, &wish->password, &secret, &err);
	if (r == 2)
		return 2;
	if (r != 0) {
		known_reset(k);
		set_unavailable(k, &err);
		t->plan_stale = true;
		memset(k->secret, 0, sizeof(k->secret));
		return 0;
	}
	digest(p->key, sizeof(p->key), secret, mac);
	if (!server->facts.can_read_verifiers && k->state == PASSWORD_DIFFERS && live != NULL && source_unchanged(t, wish->name, secret)) {
		k->state = PASSWORD_IN_SYNC;      /* set meanwhile */
		t->plan_stale = true;
	}
	if (k->state == PASSWORD_UNAVAILABLE || memcmp(mac, k->secret, sizeof(mac)) != 0 || !text_same(stored, k->stored) ||
	    (live != NULL) != k->seen) {
		r = may_work ? 1 : 2;
		if (may_work) {
			known_reset(k);
			t->plan_stale = true;
			memcpy(k->secret, mac, sizeof(mac));
			k->stored = stored != NULL ? talloc_strdup(k, stored) : NULL;
			k->seen = live != NULL;
			known_decide(t, k, server, live, secret);
		}
	}
	talloc_free(secret);
	return r;
}

bool passwords_prepare(struct target *t, const struct server_state *server, msec_t budget)
{
	const struct server_settings *settings = target_server_settings(t);
	msec_t began = clock_monotonic();

	for (uint32_t m = 0; m < settings->n_manifests; m++) {
		const struct manifest *manifest = settings->manifests[m];

		for (uint32_t i = 0; i < manifest->n_roles; i++) {
			const struct role_wish *wish = &manifest->roles[i];

			if (wish->password.kind == SECRET_NONE || wish->absent || wish->external)
				continue;
			if (prepare_one(t, server, wish, clock_monotonic() - began < budget) == 2)
				return false;
		}
	}
	return true;
}

/* The plan asks; everything was prepared. */
enum password_state password_state(void *data, const struct role_wish *wish, const struct role *live, const char **ret_verifier,
				   const char **ret_reason)
{
	struct target *t = data;
	struct known *k = known_find(t->server->passwords, wish->name);

	(void)live;
	if (k == NULL) {
		*ret_reason = "its password was not read yet";
		return PASSWORD_UNAVAILABLE;
	}
	*ret_verifier = k->verifier;
	*ret_reason = k->reason;
	return k->state;
}

/* Remembered for servers whose verifiers we may not read. */
void passwords_applied(struct target *t, const struct plan *plan, const struct change *c)
{
	const struct server_settings *settings = target_server_settings(t);
	const char *role = names_text(plan->names, c->role);
	const struct known *k = known_find(t->server->passwords, role);
	unsigned char mac[DIGEST_LEN];
	struct error err;
	char key[300], *secret = NULL;

	if (t->look == NULL || t->look->server_state == NULL || t->look->server_state->facts.can_read_verifiers)
		return;
	error_clear(&err);
	for (uint32_t m = 0; m < settings->n_manifests; m++)
		for (uint32_t i = 0; i < settings->manifests[m]->n_roles; i++) {
			const struct role_wish *wish = &settings->manifests[m]->roles[i];

			if (strcmp(wish->name, role) != 0 || secrets_get(t, NULL, &wish->password, &secret, &err) != 0)
				continue;
			digest(t->server->passwords->key, DIGEST_LEN, secret, mac);
			source_key(t, role, key, sizeof(key));
			if (k != NULL && memcmp(mac, k->secret, sizeof(mac)) == 0)       /* else it is another one by now */
				state_put(t->engine->state, key, fingerprint(secret, NULL, secret));
			talloc_free(secret);
			return;
		}
}

const struct secret_source *password_source_of_migrations(const struct server_settings *server, const struct migration_settings *m)
{
	if (m->password.kind != SECRET_NONE)
		return &m->password;
	for (uint32_t i = 0; i < server->n_all_manifests; i++)
		for (uint32_t k = 0; k < server->all_manifests[i]->n_roles; k++)
			if (strcmp(server->all_manifests[i]->roles[k].name, m->user) == 0)
				return &server->all_manifests[i]->roles[k].password;
	return &m->password;
}
