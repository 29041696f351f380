/* SPDX-License-Identifier: PostgreSQL */
#include "catalog/acl_cache.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

struct slot {
	const char *text;              /* NULL: the default of (kind, owner) */
	size_t len;
	enum object_kind kind;
	name_id owner;
	const struct acl *acl;         /* NULL: the slot is free */
};

struct acl_cache {
	void *parent;
	int version_num;
	struct slot *slots;            /* open addressing; a power of two, at most half full */
	uint32_t mask, used;
};

struct acl_cache *acl_cache_new(void *parent, int version_num)
{
	struct acl_cache *cache = talloc_zero(NULL, struct acl_cache);

	if (!cache)
		abort();
	cache->parent = parent;
	cache->version_num = version_num;
	cache->mask = 255;
	cache->slots = talloc_zero_array(cache, struct slot, cache->mask + 1);
	if (!cache->slots)
		abort();
	return cache;
}

static uint32_t hash(const struct slot *key)
{
	uint32_t h = 2166136261u ^ (uint32_t)key->kind ^ (key->owner * 2654435761u);

	for (size_t i = 0; i < key->len; i++)
		h = (h ^ (unsigned char)key->text[i]) * 16777619u;
	return h ^ (h >> 15);
}

static bool same(const struct slot *a, const struct slot *b)
{
	if (!a->text || !b->text)
		return a->text == b->text && a->kind == b->kind && a->owner == b->owner;
	return a->len == b->len && memcmp(a->text, b->text, a->len) == 0;
}

static struct slot *find(struct slot *slots, uint32_t mask, const struct slot *key)
{
	uint32_t i = hash(key) & mask;

	while (slots[i].acl && !same(&slots[i], key))
		i = (i + 1) & mask;
	return &slots[i];
}

static void grow(struct acl_cache *cache)
{
	uint32_t mask = cache->mask * 2 + 1;
	struct slot *slots = talloc_zero_array(cache, struct slot, mask + 1);

	if (!slots)
		abort();
	for (uint32_t i = 0; i <= cache->mask; i++)
		if (cache->slots[i].acl)
			*find(slots, mask, &cache->slots[i]) = cache->slots[i];
	talloc_free(cache->slots);
	cache->slots = slots;
	cache->mask = mask;
}

static const struct acl *remember(struct acl_cache *cache, struct slot *slot, struct slot key, const struct acl *acl)
{
	key.acl = acl;
	*slot = key;
	if (++cache->used > cache->mask / 2)
		grow(cache);
	return acl;
}

static name_id decodable(struct names *names, name_id id)
{
	const char *name = names_text(names, id);

	return name_intern_decodable(names, name, strlen(name));
}

/* The same names as everywhere else for roles whose names are not valid here. */
static void make_decodable(struct acl *acl, struct names *names)
{
	for (uint32_t i = 0; i < acl->n; i++) {
		acl->v[i].grantee = decodable(names, acl->v[i].grantee);
		acl->v[i].grantor = decodable(names, acl->v[i].grantor);
	}
	acl_sort(acl);
}

/* text may be NULL */
static const struct acl *look_up(struct acl_cache *cache, struct reader *reader, unsigned column, struct slot key)
{
	struct slot *slot = find(cache->slots, cache->mask, &key);
	struct error err = { 0 };
	struct acl *acl;

	if (slot->acl)
		return slot->acl;
	if (!key.text)
		return remember(cache, slot, key, acl_default(cache->parent, key.kind, key.owner, cache->version_num));
	if (acl_parse(cache->parent, reader->names, key.text, key.len, &acl, &err)) {
		char *shown = text_escape(NULL, err.text, strlen(err.text), 300);

		reader_fail(reader, column, "%s", shown);
		talloc_free(shown);
		return NULL;
	}
	if (!utf8_valid(key.text, key.len))
		make_decodable(acl, reader->names);
	return remember(cache, slot, key, acl);
}

const struct acl *acl_cache_cell(struct acl_cache *cache, struct reader *reader, unsigned column, enum object_kind kind,
				 name_id owner)
{
	struct slot key = { .kind = kind, .owner = owner };
	uint32_t n;

	key.text = cell_array_or_null(reader, column, &key.len, &n);
	if (key.text) {
		key.kind = OBJECT_NONE;        /* a text means the same whoever owns the object */
		key.owner = NAME_NONE;
	}
	return reader->failed ? NULL : look_up(cache, reader, column, key);
}

const struct acl *acl_cache_cell_or_null(struct acl_cache *cache, struct reader *reader, unsigned column)
{
	struct slot key = { 0 };
	uint32_t n;

	key.text = cell_array_or_null(reader, column, &key.len, &n);
	return key.text && !reader->failed ? look_up(cache, reader, column, key) : NULL;
}
