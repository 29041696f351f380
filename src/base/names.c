/* SPDX-License-Identifier: PostgreSQL */
#include "base/hash.h"
#include "base/names.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#define BLOCK 4096

struct names {
	char **texts;            /* by id; [0] is "" */
	uint32_t *hashes, *lengths;
	char *block;             /* texts lie in blocks: thousands of small ones */
	size_t block_left;
	uint32_t count, capacity;
	uint32_t *slots;         /* open addressing; 0 = empty; the number of slots is a power of two */
	uint32_t mask;
};

struct names *names_new(void *parent)
{
	struct names *names = talloc_zero(parent, struct names);

	if (!names)
		abort();
	names->capacity = 64;
	names->texts = talloc_array(names, char *, names->capacity + 1);
	names->hashes = talloc_array(names, uint32_t, names->capacity + 1);
	names->lengths = talloc_array(names, uint32_t, names->capacity + 1);
	names->mask = 255;
	names->slots = talloc_zero_array(names, uint32_t, names->mask + 1);
	if (!names->texts || !names->hashes || !names->lengths || !names->slots)
		abort();
	names->texts[0] = talloc_strdup(names, "");
	names->hashes[0] = names->lengths[0] = 0;
	return names;
}

static uint32_t *find_slot(const struct names *names, const char *text, size_t len, uint32_t h)
{
	uint32_t i = h & names->mask;

	while (names->slots[i]) {
		uint32_t id = names->slots[i];

		if (names->hashes[id] == h && names->lengths[id] == len && memcmp(names->texts[id], text, len) == 0)
			break;
		i = (i + 1) & names->mask;
	}
	return &names->slots[i];
}

static void grow(struct names *names)
{
	names->capacity *= 2;
	names->texts = talloc_realloc(names, names->texts, char *, names->capacity + 1);
	names->hashes = talloc_realloc(names, names->hashes, uint32_t, names->capacity + 1);
	names->lengths = talloc_realloc(names, names->lengths, uint32_t, names->capacity + 1);
	talloc_free(names->slots);
	names->mask = names->capacity * 4 - 1;
	names->slots = talloc_zero_array(names, uint32_t, names->mask + 1);
	if (!names->texts || !names->hashes || !names->lengths || !names->slots)
		abort();
	for (uint32_t id = 1; id <= names->count; id++) {
		uint32_t i = names->hashes[id] & names->mask;

		while (names->slots[i])
			i = (i + 1) & names->mask;
		names->slots[i] = id;
	}
}

static char *keep_text(struct names *names, const char *text, size_t len)
{
	char *kept;

	if (names->block_left < len + 1) {
		names->block_left = len + 1 > BLOCK ? len + 1 : BLOCK;
		names->block = talloc_size(names, names->block_left);
		if (!names->block)
			abort();
	}
	kept = memcpy(names->block, text, len);
	kept[len] = '\0';
	names->block += len + 1;
	names->block_left -= len + 1;
	return kept;
}

name_id names_intern(struct names *names, const char *text, size_t len)
{
	uint32_t h, *slot;

	if (len == 0)
		return NAME_NONE;
	h = hash_name(text, len);
	slot = find_slot(names, text, len, h);
	if (*slot)
		return *slot;
	if (names->count == names->capacity) {
		grow(names);
		slot = find_slot(names, text, len, h);
	}
	names->count++;
	names->texts[names->count] = keep_text(names, text, len);
	names->hashes[names->count] = h;
	names->lengths[names->count] = (uint32_t)len;
	*slot = names->count;
	return names->count;
}

name_id names_put(struct names *names, const char *text)
{
	return text ? names_intern(names, text, strlen(text)) : NAME_NONE;
}

name_id names_find(const struct names *names, const char *text, size_t len)
{
	return len ? *find_slot(names, text, len, hash_name(text, len)) : NAME_NONE;
}

const char *names_text(const struct names *names, name_id id)
{
	return id <= names->count ? names->texts[id] : "";
}

uint32_t names_count(const struct names *names)
{
	return names->count;
}
