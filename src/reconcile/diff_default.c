/* SPDX-License-Identifier: PostgreSQL */
/*
 * Default privileges: what objects that do not exist yet will be granted. They
 * bind to the role that creates, so a level's promise needs an entry for every
 * role that can create in the schema.
 */
#include "reconcile/candidates.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

static void add_id(struct differ *d, struct id_list *list, uint8_t *seen, name_id id)
{
	if (id == NAME_NONE || seen[id])
		return;
	seen[id] = 1;
	if ((list->n & (list->n - 1)) == 0)
		list->v = talloc_realloc(d->temporary, list->v, name_id, list->n ? list->n * 2 : 1);
	if (!list->v)
		abort();
	list->v[list->n++] = id;
}

/* The memberships of one role; they are sorted by it. */
static const struct membership *members_of(const struct server_state *server, name_id role)
{
	uint32_t low = 0, high = server->n_memberships;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (server->memberships[mid].role < role)
			low = mid + 1;
		else
			high = mid;
	}
	return server->memberships + low;
}

/* Members that have the privileges of the listed roles, and so create under their own name. The list grows meanwhile. */
static void add_members(struct differ *d, struct id_list *list, uint8_t *seen)
{
	const struct membership *end = d->server->memberships + d->server->n_memberships;

	for (uint32_t i = 0; i < list->n; i++) {
		name_id role = list->v[i];

		for (const struct membership *m = members_of(d->server, role); m < end && m->role == role; m++)
			if (m->inherit)
				add_id(d, list, seen, m->member);
	}
}

const struct object_group *schema_group(struct differ *d, name_id schema)
{
	const char *wanted = names_text(d->names, schema), *name;
	size_t want_len = strlen(wanted), len;

	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0;

		if (g->kind != OBJECT_SCHEMA)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len)))
			if (len == want_len && memcmp(name, wanted, len) == 0)
				return g;
	}
	return NULL;
}

static const struct schema_wish *schema_wish(const struct differ *d, name_id schema)
{
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t m = 0; m < n; m++)
		for (uint32_t i = 0; i < manifests[m]->n_schemas; i++)
			if (strcmp(manifests[m]->schemas[i].name, names_text(d->names, schema)) == 0)
				return &manifests[m]->schemas[i];
	return NULL;
}

/* Does this plan take this CREATE on the schema away? Then it is no reason for defaults any more. */
static bool loses_create(const struct differ *d, const char *schema, name_id owner, const struct acl_entry *entry)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op != CHANGE_REVOKE || c->object_kind != OBJECT_SCHEMA || c->role != entry->grantee ||
		    !(c->privs & PRIV_CREATE) || c->state == CHANGE_BLOCKED || (c->grantor ? c->grantor : owner) != entry->grantor)
			continue;
		for (uint32_t k = 0; k < c->n; k++)
			if (strcmp(c->names[k], schema) == 0)
				return true;
	}
	return false;
}

static void add_granted_creators(struct differ *d, struct id_list *list, uint8_t *seen, name_id schema, const struct object_group *g)
{
	const char *name = names_text(d->names, schema);
	uint32_t n;
	const struct rule_key *key = desired_rules(d->desired, OBJECT_SCHEMA, NAME_NONE, &n);

	for (uint32_t i = 0; g && i < g->acl->n; i++)
		if ((g->acl->v[i].privs & PRIV_CREATE) && !loses_create(d, names_text(d->names, schema), g->owner, &g->acl->v[i]))
			add_id(d, list, seen, role_really(d, g->acl->v[i].grantee));
	for (uint32_t i = 0; i < n; i++) {
		const struct rule *rule = &d->desired->rules[key[i].rule];

		if (((rule->privs & PRIV_CREATE) || rule->all) && rule_speaks_of(rule, 0, NULL, name, strlen(name)))
			add_id(d, list, seen, rule->grantee);
	}
}

static bool public_may_create(const struct object_group *g)
{
	for (uint32_t i = 0; g && i < g->acl->n; i++)
		if (g->acl->v[i].grantee == NAME_NONE && (g->acl->v[i].privs & PRIV_CREATE))
			return true;
	return false;
}

struct id_list schema_creators(struct differ *d, name_id schema)
{
	uint8_t *seen = talloc_zero_array(d->temporary, uint8_t, names_count(d->names) + 1);
	const struct object_group *g = schema_group(d, schema);
	const struct schema_wish *wish = schema_wish(d, schema);
	struct id_list list = { NULL, 0 }, creators = { NULL, 0 };
	name_id owner = NAME_NONE;

	if ((wish && wish->owner) || g)
		owner = role_really(d, wish && wish->owner ? names_put(d->names, wish->owner) : g->owner);
	add_id(d, &list, seen, owner);
	add_granted_creators(d, &list, seen, schema, g);
	add_members(d, &list, seen);
	if (public_may_create(g))
		differ_warn(d, "schema %s: PUBLIC may create there; objects that other roles create get no default privileges",
			    names_text(d->names, schema));
	/* predefined roles own nothing; superusers create everywhere and are left alone, except the owner where we may speak for him */
	for (uint32_t i = 0; i < list.n; i++) {
		const char *name = names_text(d->names, list.v[i]);
		const struct role *role = server_role(d->server, list.v[i]);
		bool is_owner = list.v[i] == owner && (d->server->facts.is_superuser || (wish && wish->owner));

		if (strncmp(name, "pg_", 3) == 0)
			continue;
		if ((role && (role->attrs & ROLE_SUPERUSER) && !is_owner) || retiring(d, list.v[i]))
			continue;
		if ((creators.n & (creators.n - 1)) == 0)
			creators.v = talloc_realloc(d->temporary, creators.v, name_id, creators.n ? creators.n * 2 : 1);
		creators.v[creators.n++] = list.v[i];
	}
	return creators;
}

/* --- comparing ----------------------------------------------------------------------------------------------------- */

static enum object_kind kind_of_objtype(char objtype)
{
	switch (objtype) {
	case 'r': return OBJECT_TABLE;
	case 'S': return OBJECT_SEQUENCE;
	case 'f': return OBJECT_FUNCTION;
	case 'T': return OBJECT_TYPE;
	case 'n': return OBJECT_SCHEMA;
	default: return OBJECT_LARGE_OBJECT;
	}
}

static void emit_default(void *data, const struct change *like)
{
	struct differ *d = data;
	struct change *change = differ_add(d, like->op, like->kind, like->phase, like->source);

	*change = *like;
	change->n = 1;
}

struct default_key {
	name_id creator, schema;
	char objtype;
	const struct acl *live;      /* of the row that is there, or NULL */
	struct wanted *v;
	uint32_t n;
	bool exact, public_named, everyone, revoke_unmanaged;
	struct source source;
};

/* Thousands of schemas have some ten keys each. */
struct default_keys {
	struct default_key *v;
	uint32_t n;
	uint32_t *index;             /* open addressing by (creator, schema, objtype): key + 1; 0 = free */
	uint32_t mask;
};

static uint32_t *key_place(const struct default_keys *keys, name_id creator, name_id schema, char objtype)
{
	uint32_t h = creator * 2654435761u ^ schema * 2246822519u ^ (unsigned char)objtype * 3266489917u, i = (h ^ h >> 15) & keys->mask;

	for (; keys->index[i]; i = (i + 1) & keys->mask) {
		const struct default_key *key = &keys->v[keys->index[i] - 1];

		if (key->creator == creator && key->schema == schema && key->objtype == objtype)
			break;
	}
	return &keys->index[i];
}

static struct default_key *find_key(const struct default_keys *keys, name_id creator, name_id schema, char objtype)
{
	uint32_t place = keys->n ? *key_place(keys, creator, schema, objtype) : 0;

	return place ? &keys->v[place - 1] : NULL;
}

static void grow_keys(struct differ *d, struct default_keys *keys)
{
	uint32_t room = keys->index ? (keys->mask + 1) * 2 : 128;

	talloc_free(keys->index);
	keys->mask = room - 1;
	keys->index = talloc_zero_array(d->temporary, uint32_t, room);
	keys->v = talloc_realloc(d->temporary, keys->v, struct default_key, room / 2);
	if (!keys->index || !keys->v)
		abort();
	for (uint32_t i = 0; i < keys->n; i++)
		*key_place(keys, keys->v[i].creator, keys->v[i].schema, keys->v[i].objtype) = i + 1;
}

static struct default_key *key_for(struct differ *d, struct default_keys *keys, name_id creator, name_id schema, char objtype)
{
	uint32_t *place;

	if (keys->n * 2 >= (keys->index ? keys->mask : 0))
		grow_keys(d, keys);
	place = key_place(keys, creator, schema, objtype);
	if (!*place) {
		keys->v[keys->n++] = (struct default_key){ .creator = creator, .schema = schema, .objtype = objtype };
		*place = keys->n;
	}
	return &keys->v[*place - 1];
}

static void want_default(struct differ *d, struct default_key *key, const struct default_rule *rule)
{
	privs_t possible = kind_privileges(kind_of_objtype(rule->objtype), d->version_num);
	privs_t privs = rule->all ? possible : rule->privs & possible;
	struct wanted *w = NULL;

	for (uint32_t i = 0; i < key->n && !w; i++)
		if (key->v[i].grantee == rule->grantee)
			w = &key->v[i];
	if (!w) {
		key->v = talloc_realloc(d->temporary, key->v, struct wanted, key->n + 1);
		if (!key->v)
			abort();
		w = &key->v[key->n++];
		*w = (struct wanted){ .grantee = rule->grantee, .source = rule->source };
	}
	w->privs |= privs;
	if (rule->grantable)
		w->grantable |= privs;
	key->exact |= rule->exact;
	key->revoke_unmanaged |= rule->exact && rule->revoke_unmanaged;
	key->public_named |= rule->grantee == NAME_NONE;
	if (!key->source.file)
		key->source = rule->source;
}

/* Creators of each schema, found once. */
struct creator_cache {
	struct creators {
		name_id schema;
		struct id_list list;
		bool judged;                 /* by warn_forgotten_creators() */
	} *v;
	uint32_t n;
};

/* Good until the next schema is asked for. */
static struct creators *creators_of(struct differ *d, struct creator_cache *cache, name_id schema)
{
	for (uint32_t i = 0; i < cache->n; i++)
		if (cache->v[i].schema == schema)
			return &cache->v[i];
	if ((cache->n & (cache->n - 1)) == 0)
		cache->v = talloc_realloc(d->temporary, cache->v, struct creators, cache->n ? cache->n * 2 : 1);
	if (!cache->v)
		abort();
	cache->v[cache->n] = (struct creators){ schema, schema_creators(d, schema), false };
	return &cache->v[cache->n++];
}

static void collect_keys(struct differ *d, struct default_keys *keys, struct creator_cache *cache)
{
	for (uint32_t i = 0; i < d->desired->n_defaults; i++) {
		const struct default_rule *rule = &d->desired->defaults[i];
		const struct id_list *creators;

		if (rule->objtype == 'L' && d->version_num < 180000)
			continue;
		if (rule->creator) {
			want_default(d, key_for(d, keys, rule->creator, rule->schema, rule->objtype), rule);
			continue;
		}
		creators = &creators_of(d, cache, rule->schema)->list;
		for (uint32_t c = 0; c < creators->n; c++)
			if (creators->v[c] != rule->grantee)
				want_default(d, key_for(d, keys, creators->v[c], rule->schema, rule->objtype), rule);
	}
}

static bool has_key(const struct default_keys *keys, name_id creator, name_id schema)
{
	for (const char *objtype = "rSfTnL"; *objtype; objtype++) {
		const struct default_key *key = find_key(keys, creator, schema, *objtype);

		if (key && key->n)
			return true;
	}
	return false;
}

/* Written-out creators may leave somebody out who can create in the same schema: what he makes is granted to nobody. */
static void warn_forgotten_creators(struct differ *d, const struct default_keys *keys, struct creator_cache *cache)
{
	for (uint32_t i = 0; i < d->desired->n_defaults; i++) {
		const struct default_rule *rule = &d->desired->defaults[i];
		struct creators *creators = rule->creator && rule->schema ? creators_of(d, cache, rule->schema) : NULL;

		if (!creators || creators->judged)
			continue;
		creators->judged = true;
		for (uint32_t c = 0; c < creators->list.n; c++)
			if (!has_key(keys, creators->list.v[c], rule->schema))
				differ_warn(d, "schema %s: %s may create there, but no default privileges are declared for what it creates (%s:%u)",
					    names_text(d->names, rule->schema), names_text(d->names, creators->list.v[c]), rule->source.file,
					    rule->source.line);
	}
}

/* What a creator that is to go gives to others ends as if it had never said anything: only then its row vanishes. */
static void end_defaults(struct differ *d, struct default_key *key, const struct retiring *r)
{
	const struct acl *builtin;

	key->everyone = true;
	key->source = r->wish->source;
	builtin = key->schema ? NULL : acl_default(d->temporary, kind_of_objtype(key->objtype), key->creator, d->version_num);
	for (uint32_t i = 0; builtin && i < builtin->n; i++) {
		if (builtin->v[i].grantee == key->creator)
			continue;
		key->v = talloc_realloc(d->temporary, key->v, struct wanted, key->n + 1);
		if (!key->v)
			abort();
		key->v[key->n++] = (struct wanted){ .grantee = builtin->v[i].grantee, .privs = builtin->v[i].privs, .source = r->wish->source };
	}
}

static void collect_retiring(struct differ *d, struct default_keys *keys)
{
	for (uint32_t i = 0; d->n_retiring && i < d->database->n_default_acls; i++) {
		const struct default_acl *row = &d->database->default_acls[i];
		const struct retiring *r = retiring(d, row->role);

		if (r)
			end_defaults(d, key_for(d, keys, row->role, row->schema, row->objtype), r);
		else if (names_retiring(d, row->acl))
			key_for(d, keys, row->role, row->schema, row->objtype);
	}
}

/* Rows of schemas that are in scope as a whole, for which nothing is wanted: their entries are surplus. */
static void collect_surplus(struct differ *d, struct default_keys *keys)
{
	for (uint32_t i = 0; i < d->database->n_default_acls; i++) {
		const struct default_acl *row = &d->database->default_acls[i];
		const struct scope_schema *scope = row->schema ? desired_scope(d->desired, row->schema) : NULL;
		struct default_key *key;

		if (!scope)
			continue;
		key = key_for(d, keys, row->role, row->schema, row->objtype);
		key->exact = true;
		key->revoke_unmanaged |= scope->revoke_unmanaged;
	}
}

static void attach_rows(struct differ *d, const struct default_keys *keys)
{
	for (uint32_t i = 0; i < d->database->n_default_acls; i++) {
		const struct default_acl *row = &d->database->default_acls[i];
		struct default_key *key = find_key(keys, row->role, row->schema, row->objtype);

		if (key)
			key->live = row->acl;
	}
}

/* The row that is there, else the baseline: built-in defaults for a global key, nothing for a schema's. */
static const struct acl *live_default(struct differ *d, const struct default_key *key)
{
	static const struct acl nothing = { .n = 0 };

	if (key->live)
		return key->live;
	return key->schema ? &nothing : acl_default(d->temporary, kind_of_objtype(key->objtype), key->creator, d->version_num);
}

void diff_defaults(struct differ *d)
{
	struct default_keys keys = { .n = 0 };
	struct creator_cache creators = { NULL, 0 };

	collect_keys(d, &keys, &creators);
	warn_forgotten_creators(d, &keys, &creators);
	collect_surplus(d, &keys);
	collect_retiring(d, &keys);
	attach_rows(d, &keys);
	for (uint32_t i = 0; i < keys.n; i++) {
		struct default_key *key = &keys.v[i];
		struct acl_context context = {
			.kind = kind_of_objtype(key->objtype), .objtype = key->objtype, .schema = key->schema, .creator = key->creator,
			.owner = key->creator, .exact = key->exact, .everyone = key->everyone,
			.revoke_unmanaged = key->revoke_unmanaged, .public_named = key->public_named, .as_default = true,
			.scope_source = key->source,
		};

		diff_acl(d, live_default(d, key), &context, key->v, key->n, 1, emit_default, d);
	}
}
