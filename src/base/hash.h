/* SPDX-License-Identifier: PostgreSQL */
/* FNV-1a: for tables, and to see whether something is as it was. Not for what somebody may want to forge. */
#ifndef DBR_BASE_HASH_H
#define DBR_BASE_HASH_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/* Some of these are kept in state.db, and one is the key of a lock that daemons share: they stay as they are. */
#define HASH_START UINT64_C(0xcbf29ce484222325)

static inline uint64_t hash_mix(uint64_t hash, const void *bytes, size_t len)
{
	for (size_t i = 0; i < len; i++)
		hash = (hash ^ ((const unsigned char *)bytes)[i]) * UINT64_C(0x100000001b3);
	return hash;
}

/* With its end, so that "a", "bc" is not "ab", "c". NULL is as "". */
static inline uint64_t hash_mix_text(uint64_t hash, const char *s)
{
	return s ? hash_mix(hash, s, strlen(s) + 1) : hash_mix(hash, "", 1);
}

/* Of a name, for a table in memory. */
static inline uint32_t hash_name(const char *name, size_t len)
{
	uint32_t hash = 2166136261u;

	for (size_t i = 0; i < len; i++)
		hash = (hash ^ (unsigned char)name[i]) * 16777619u;
	return hash ^ hash >> 15;
}

#endif
