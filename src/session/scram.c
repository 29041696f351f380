/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"

#include <errno.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <stringprep.h>
#include <talloc.h>

#include "session/secret.h"

#define KEY_LEN 32
#define SALT_LEN 16
#define SALT_MAX 192
#define ITERATIONS 4096
/* A verifier is the server's word; more than this would hold the loop for longer than it may. */
#define ITERATIONS_MAX 1000000

struct verifier {
	long iterations;
	unsigned char salt[SALT_MAX];
	size_t salt_len;
	unsigned char stored[KEY_LEN], server[KEY_LEN];
};

struct keys {
	unsigned char stored[KEY_LEN], server[KEY_LEN];
};

static bool hmac(const unsigned char *key, const char *text, unsigned char *to)
{
	unsigned len = 0;

	return HMAC(EVP_sha256(), key, KEY_LEN, (const unsigned char *)text, strlen(text), to, &len) && len == KEY_LEN;
}

static bool is_ascii(const char *s)
{
	while (*s != '\0' && (unsigned char)*s < 0x80)
		s++;
	return *s == '\0';
}

/* SASLprep (RFC 4013) as PostgreSQL and libpq do it (pg_saslprep()): ASCII stays as it is, and so does what is no UTF-8, has
   forbidden or unassigned characters, or would be empty. To be wiped and freed with free(). */
static char *prepared(const char *password)
{
	char *out = NULL;

	if (is_ascii(password) || stringprep_profile(password, &out, "SASLprep", STRINGPREP_NO_UNASSIGNED) != STRINGPREP_OK)
		return strdup(password);
	if (*out != '\0')
		return out;
	free(out);
	return strdup(password);
}

/* RFC 5802. */
static bool derive_prepared(const char *password, const unsigned char *salt, size_t salt_len, long iterations, struct keys *ret)
{
	unsigned char salted[KEY_LEN], client[KEY_LEN];
	bool ok;

	ok = PKCS5_PBKDF2_HMAC(password, (int)strlen(password), salt, (int)salt_len, (int)iterations, EVP_sha256(), KEY_LEN,
			       salted) == 1 &&
	     hmac(salted, "Client Key", client) &&
	     EVP_Digest(client, KEY_LEN, ret->stored, NULL, EVP_sha256(), NULL) == 1 && hmac(salted, "Server Key", ret->server);
	explicit_bzero(salted, sizeof(salted));
	explicit_bzero(client, sizeof(client));
	return ok;
}

static bool derive(const char *password, const unsigned char *salt, size_t salt_len, long iterations, struct keys *ret)
{
	char *ready = prepared(password);
	bool ok = ready && derive_prepared(ready, salt, salt_len, iterations, ret);

	if (ready)
		explicit_bzero(ready, strlen(ready));
	free(ready);
	return ok;
}

/* The part up to the delimiter, decoded; strict: canonical length, no blanks. Returns the length or -1. */
static int decode(const char **p, char delimiter, unsigned char *to, size_t size)
{
	const char *end = delimiter ? strchr(*p, delimiter) : *p + strlen(*p);
	unsigned char buf[SALT_MAX + 8];
	size_t len = end ? (size_t)(end - *p) : 0;
	int decoded;

	if (!end || len == 0 || len % 4 != 0 || len / 4 * 3 > sizeof(buf) ||
	    strspn(*p, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/=") < len)
		return -1;
	decoded = EVP_DecodeBlock(buf, (const unsigned char *)*p, (int)len);
	if (decoded < 0)
		return -1;
	for (unsigned i = 1; i <= 2 && len >= i && (*p)[len - i] == '='; i++)
		decoded--;
	if ((size_t)decoded > size)
		return -1;
	memcpy(to, buf, (size_t)decoded);
	*p = end + (delimiter != '\0');
	return decoded;
}

static bool parse(const char *text, struct verifier *ret)
{
	static const char prefix[] = "SCRAM-SHA-256$";
	int salt_len, consumed = 0;
	const char *p = text;

	if (!p || strncmp(p, prefix, strlen(prefix)) != 0)
		return false;
	p += strlen(prefix);
	if (strspn(p, "0123456789") == 0 || strspn(p, "0123456789") > 10 || sscanf(p, "%10ld:%n", &ret->iterations, &consumed) != 1 ||
	    consumed == 0)
		return false;
	p += consumed;
	salt_len = decode(&p, '$', ret->salt, sizeof(ret->salt));
	if (salt_len <= 0 || decode(&p, ':', ret->stored, KEY_LEN) != KEY_LEN || decode(&p, '\0', ret->server, KEY_LEN) != KEY_LEN)
		return false;
	ret->salt_len = (size_t)salt_len;
	return ret->iterations >= 1 && ret->iterations <= ITERATIONS_MAX;
}

int scram_verify(const char *password, const char *text)
{
	struct verifier verifier;
	struct keys keys;
	int differs;

	if (!parse(text, &verifier) || !derive(password, verifier.salt, verifier.salt_len, verifier.iterations, &keys))
		return 2;
	differs = CRYPTO_memcmp(keys.stored, verifier.stored, KEY_LEN) | CRYPTO_memcmp(keys.server, verifier.server, KEY_LEN);
	explicit_bzero(&keys, sizeof(keys));
	return differs ? 1 : 0;
}

int scram_check(const char *text)
{
	struct verifier verifier;

	return parse(text, &verifier) && verifier.iterations >= ITERATIONS ? 0 : 1;
}

static void encode(const unsigned char *data, size_t len, char *to)
{
	EVP_EncodeBlock((unsigned char *)to, data, (int)len);
}

int scram_verifier(void *parent, const char *password, char **ret, struct error *err)
{
	char salt64[SALT_LEN * 2], stored64[KEY_LEN * 2], server64[KEY_LEN * 2];
	unsigned char salt[SALT_LEN];
	struct keys keys;

	if (RAND_bytes(salt, sizeof(salt)) != 1 || !derive(password, salt, sizeof(salt), ITERATIONS, &keys)) {
		error_set(err, "the crypto library failed to make a SCRAM-SHA-256 verifier");
		return -EIO;
	}
	encode(salt, sizeof(salt), salt64);
	encode(keys.stored, KEY_LEN, stored64);
	encode(keys.server, KEY_LEN, server64);
	*ret = talloc_asprintf(parent, "SCRAM-SHA-256$%d:%s$%s:%s", ITERATIONS, salt64, stored64, server64);
	explicit_bzero(&keys, sizeof(keys));
	return *ret ? 0 : -ENOMEM;
}

int md5_verify(const char *password, const char *role, const char *verifier)
{
	unsigned char digest[EVP_MAX_MD_SIZE];
	char text[36] = "md5";
	EVP_MD_CTX *ctx;
	bool ok;

	if (!verifier || strlen(verifier) != 35 || strncmp(verifier, "md5", 3) != 0)
		return 2;
	ctx = EVP_MD_CTX_new();
	ok = ctx && EVP_DigestInit_ex(ctx, EVP_md5(), NULL) == 1 && EVP_DigestUpdate(ctx, password, strlen(password)) == 1 &&
	     EVP_DigestUpdate(ctx, role, strlen(role)) == 1 && EVP_DigestFinal_ex(ctx, digest, NULL) == 1;
	EVP_MD_CTX_free(ctx);
	if (!ok)
		return 2;                      /* FIPS mode knows no md5 */
	for (unsigned i = 0; i < 16; i++)
		snprintf(text + 3 + 2 * i, 3, "%02x", digest[i]);
	return CRYPTO_memcmp(text, verifier, 35) ? 1 : 0;
}
