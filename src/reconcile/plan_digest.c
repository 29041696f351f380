/* SPDX-License-Identifier: PostgreSQL */
#include "reconcile/plan.h"

#include <openssl/sha.h>
#include <stdio.h>

void plan_digest(const void *bytes, size_t len, char id[17])
{
	unsigned char digest[SHA256_DIGEST_LENGTH];

	SHA256(bytes, len, digest);
	for (int i = 0; i < 8; i++)
		snprintf(id + 2 * i, 3, "%02x", digest[i]);
}
