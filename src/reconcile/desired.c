/* SPDX-License-Identifier: PostgreSQL */
/* Manifests -> compiled wishes. */
#include "reconcile/desired_internal.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/load.h"

/* Appends one zeroed element to a talloc array that doubles; evaluates to its address. */
static void *append(void *parent, void *array_ptr, uint32_t *n, size_t size)
{
	void **array = array_ptr;
	char *grown;

	if ((*n & (*n - 1)) == 0) {
		*array = talloc_realloc_size(parent, *array, size * (*n ? (size_t)*n * 2 : 1));
		if (!*array)
			abort();
	}
	grown = (char *)*array + size * (*n)++;
	memset(grown, 0, size);
	return grown;
}
#define APPEND(desired, array) append((desired), &(desired)->array, &(desired)->n_##array, sizeof *(desired)->array)

const struct manifest *const *desired_manifests(const struct desired *desired, uint32_t *ret_n)
{
	if (desired->database) {
		*ret_n = desired->database->n_manifests;
		return desired->database->manifests;
	}
	*ret_n = desired->server->n_all_manifests;
	return desired->server->all_manifests;
}

static void manage(struct desired *desired, name_id role, uint8_t how)
{
	if (role >= desired->n_managed) {
		uint32_t n = role * 2 + 64;

		desired->managed = talloc_realloc(desired, desired->managed, uint8_t, n);
		if (!desired->managed)
			abort();
		memset(desired->managed + desired->n_managed, 0, n - desired->n_managed);
		desired->n_managed = n;
	}
	if (how == 1 || !desired->managed[role])
		desired->managed[role] = how;
}

/* Who is managed here: every role that some manifest of the server declares. */
static void collect_roles(struct desired *desired)
{
	const struct server_settings *server = desired->server;

	for (uint32_t m = 0; m < server->n_all_manifests; m++) {
		const struct manifest *manifest = server->all_manifests[m];

		for (uint32_t i = 0; i < manifest->n_roles; i++)
			manage(desired, names_put(desired->names, manifest->roles[i].name), manifest->roles[i].external ? 2 : 1);
	}
}

static name_id grantee_id(struct desired *desired, const char *to)
{
	return strcmp(to, "PUBLIC") == 0 ? NAME_NONE : names_put(desired->names, to);
}

/* The wishes about roles are the server's, whichever of its manifests they stand in. */
static void add_memberships(struct desired *desired, const struct manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->n_memberships; i++) {
		const struct membership_wish *wish = &manifest->memberships[i];

		for (uint32_t j = 0; j < wish->members.n; j++) {
			struct membership_want *want = APPEND(desired, memberships);

			*want = (struct membership_want){
				.role = names_put(desired->names, wish->role), .member = names_put(desired->names, wish->members.v[j]),
				.has_admin = wish->has_admin, .admin = wish->admin, .has_inherit = wish->has_inherit,
				.inherit = wish->inherit, .has_set = wish->has_set, .set = wish->set, .until = wish->until,
				.source = wish->source,
			};
		}
	}
}

static void add_settings(struct desired *desired, const struct role_wish *role, name_id id, bool exact)
{
	for (uint32_t i = 0; i < role->n_settings; i++) {
		const struct setting_block *block = &role->settings[i];
		name_id database = names_put(desired->names, block->database);

		for (uint32_t j = 0; j < block->n; j++) {
			struct setting_want *want = APPEND(desired, settings);

			*want = (struct setting_want){ .role = id, .database = database, .name = block->v[j].name,
						       .value = block->v[j].value, .source = block->v[j].source };
		}
		if (exact) {
			struct setting_scope *scope = APPEND(desired, setting_scopes);

			scope->role = id;
			scope->database = database;
		}
	}
}

static void add_roles(struct desired *desired, const struct manifest *manifest)
{
	bool exact = manifest->authority == AUTHORITY_EXACT;

	for (uint32_t i = 0; i < manifest->n_roles; i++) {
		const struct role_wish *wish = &manifest->roles[i];
		struct role_want *want = APPEND(desired, roles);

		want->name = names_put(desired->names, wish->name);
		want->renamed_from = names_put(desired->names, wish->renamed_from);
		want->reassign_to = names_put(desired->names, wish->reassign_owned_to);
		want->wish = wish;
		want->exact = exact;
		for (uint32_t j = 0; j < wish->member_of.n; j++) {
			struct membership_want *membership = APPEND(desired, memberships);

			membership->role = names_put(desired->names, wish->member_of.v[j]);
			membership->member = want->name;
			membership->source = wish->source;
		}
		add_settings(desired, wish, want->name, exact);
	}
}

static void add_database(struct desired *desired, const struct manifest *manifest, const struct database_wish *wish, const char *name)
{
	struct database_want *want = APPEND(desired, databases);

	want->name = names_put(desired->names, name);
	want->owner = names_put(desired->names, wish->owner);
	want->wish = wish;
	for (uint32_t j = 0; j < wish->n_settings; j++) {
		struct setting_want *setting = APPEND(desired, settings);

		*setting = (struct setting_want){ .database = want->name, .name = wish->settings[j].name,
						  .value = wish->settings[j].value, .source = wish->settings[j].source };
	}
	if (manifest->authority == AUTHORITY_EXACT && wish->settings) {
		struct setting_scope *scope = APPEND(desired, setting_scopes);

		scope->database = want->name;
	}
}

static void add_databases(struct desired *desired, const struct manifest *manifest, const char *own)
{
	for (uint32_t i = 0; i < manifest->n_databases; i++) {
		const char *name = manifest->databases[i].name ? manifest->databases[i].name : own;

		if (name)
			add_database(desired, manifest, &manifest->databases[i], name);
	}
}

/* Of every role in every database; whichever manifest of the server says it. */
static void add_server_settings(struct desired *desired, const struct manifest *manifest)
{
	for (uint32_t i = 0; i < manifest->n_settings; i++) {
		struct setting_want *want = APPEND(desired, settings);

		*want = (struct setting_want){ .name = manifest->settings[i].name, .value = manifest->settings[i].value,
					       .source = manifest->settings[i].source };
	}
	if (manifest->authority == AUTHORITY_EXACT && manifest->settings)
		(void)APPEND(desired, setting_scopes);      /* a zeroed one: no role, no database */
}

static struct rule *add_rule(struct desired *desired, const struct manifest *manifest, const char *to, const struct selector *on,
			     const struct grant_wish *wish)
{
	struct rule *rule = APPEND(desired, rules);

	rule->grantee = grantee_id(desired, to);
	rule->on = *on;
	rule->schema = on->schema && on->schema_literal ? names_put(desired->names, on->schema) : NAME_NONE;
	rule->except = wish->except;
	rule->n_except = wish->n_except;
	rule->privs = wish->privs;
	rule->all = wish->all;
	rule->grantable = wish->grant_option;
	rule->exact = manifest->authority == AUTHORITY_EXACT;
	rule->revoke_unmanaged = manifest->revoke_unmanaged_grantees;
	rule->source = wish->source;
	return rule;
}

/* What a level means for one kind of object. */
static const struct {
	enum object_kind kind;
	size_t offset;
	char objtype;
} level_parts[] = {
	{ OBJECT_TABLE, offsetof(struct level, table), 'r' },
	{ OBJECT_SEQUENCE, offsetof(struct level, sequence), 'S' },
	{ OBJECT_FUNCTION, offsetof(struct level, routine), 'f' },
	{ OBJECT_PROCEDURE, offsetof(struct level, routine), 0 },
	{ OBJECT_TYPE, offsetof(struct level, type), 'T' },
	{ OBJECT_DOMAIN, offsetof(struct level, type), 0 },
};

static void add_level_default(struct desired *desired, const struct manifest *manifest, const struct grant_wish *wish, name_id grantee,
			      const char *schema, char objtype, privs_t privs)
{
	struct default_rule *rule = APPEND(desired, defaults);

	*rule = (struct default_rule){ .schema = names_put(desired->names, schema), .objtype = objtype, .grantee = grantee,
				       .privs = privs, .grantable = wish->grant_option,
				       .exact = manifest->authority == AUTHORITY_EXACT,
				       .revoke_unmanaged = manifest->revoke_unmanaged_grantees, .source = wish->source };
}

static void add_level(struct desired *desired, const struct manifest *manifest, const struct grant_wish *wish, const char *to,
		      const char *schema)
{
	struct selector on = { .kind = OBJECT_SCHEMA, .name = schema, .name_literal = true };
	struct rule *rule;

	if (wish->level->schema) {
		rule = add_rule(desired, manifest, to, &on, wish);
		rule->privs = wish->level->schema;
	}
	for (size_t i = 0; i < sizeof level_parts / sizeof *level_parts; i++) {
		privs_t privs = *(const privs_t *)((const char *)wish->level + level_parts[i].offset);

		if (!privs)
			continue;
		on = (struct selector){ .kind = level_parts[i].kind, .schema = schema, .schema_literal = true, .name = "*" };
		rule = add_rule(desired, manifest, to, &on, wish);
		rule->privs = privs;
		rule->level = true;
		rule->whole = wish->n_except == 0;
		if (level_parts[i].objtype)
			add_level_default(desired, manifest, wish, grantee_id(desired, to), schema, level_parts[i].objtype, privs);
	}
}

/* Rules on shared objects belong to the server target, all others to databases. */
static void add_explicit(struct desired *desired, const struct manifest *manifest, const struct grant_wish *wish, const char *to,
			 const struct database_settings *own)
{
	bool server = !desired->database;

	for (uint32_t i = 0; i < wish->n_on; i++) {
		struct selector on = wish->on[i];
		struct rule *rule;

		if (object_kind_info(on.kind)->shared != server)
			continue;
		if (on.kind == OBJECT_DATABASE && !on.name) {
			if (!own)
				continue;
			on.name = own->name ? own->name : own->match;
			on.name_literal = own->name != NULL;
		}
		for (uint32_t c = 0; c < wish->columns.n; c++) {
			rule = add_rule(desired, manifest, to, &on, wish);
			rule->on.kind = OBJECT_COLUMN;
			rule->column = wish->columns.v[c];
		}
		rule = add_rule(desired, manifest, to, &on, wish);
		if (wish->columns.n) {
			/* who may have these columns only must not have all of them: the table is named too, with nothing */
			rule->privs = 0;
			rule->all = rule->grantable = false;
		}
		rule->whole = on.name && !on.name_literal && strcmp(on.name, "*") == 0 && !on.args && !on.relkind && !wish->n_except &&
			      (!on.schema || on.schema_literal);
	}
}

static void add_grants(struct desired *desired, const struct manifest *manifest, const struct database_settings *own)
{
	for (uint32_t i = 0; i < manifest->n_grants; i++) {
		const struct grant_wish *wish = &manifest->grants[i];

		for (uint32_t t = 0; t < wish->to.n; t++) {
			if (!wish->level)
				add_explicit(desired, manifest, wish, wish->to.v[t], own);
			for (uint32_t s = 0; wish->level && desired->database && s < wish->schemas.n; s++)
				add_level(desired, manifest, wish, wish->to.v[t], wish->schemas.v[s]);
		}
	}
}

static void add_default_wish(struct desired *desired, const struct manifest *manifest, const struct default_wish *wish)
{
	for (uint32_t t = 0; t < wish->to.n; t++) {
		for (uint32_t c = 0; c < (wish->creators.n ? wish->creators.n : 1); c++) {
			struct default_rule *rule = APPEND(desired, defaults);

			*rule = (struct default_rule){
				.creator = wish->creators.n ? names_put(desired->names, wish->creators.v[c]) : NAME_NONE,
				.schema = names_put(desired->names, wish->schema), .objtype = wish->objtype,
				.grantee = grantee_id(desired, wish->to.v[t]), .privs = wish->privs, .all = wish->all,
				.grantable = wish->grant_option, .exact = manifest->authority == AUTHORITY_EXACT,
				.revoke_unmanaged = manifest->revoke_unmanaged_grantees, .source = wish->source,
			};
		}
	}
}

static void add_scope(struct desired *desired, const struct manifest *manifest, const char *schema)
{
	name_id id = names_put(desired->names, schema);
	struct scope_schema *scope;

	for (uint32_t i = 0; i < desired->n_scopes; i++) {
		if (desired->scopes[i].schema == id) {
			desired->scopes[i].revoke_unmanaged |= manifest->revoke_unmanaged_grantees;
			return;
		}
	}
	scope = APPEND(desired, scopes);
	scope->schema = id;
	scope->revoke_unmanaged = manifest->revoke_unmanaged_grantees;
}

/* An exact manifest has in scope, as a whole, the schemas that it declares or gives a level on. */
static void add_scopes(struct desired *desired, const struct manifest *manifest)
{
	if (manifest->authority != AUTHORITY_EXACT)
		return;
	for (uint32_t i = 0; i < manifest->n_schemas; i++)
		add_scope(desired, manifest, manifest->schemas[i].name);
	for (uint32_t i = 0; i < manifest->n_grants; i++)
		for (uint32_t s = 0; manifest->grants[i].level && s < manifest->grants[i].schemas.n; s++)
			add_scope(desired, manifest, manifest->grants[i].schemas.v[s]);
}

static int compare_keys(const void *a, const void *b)
{
	const struct rule_key *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return (x->rule > y->rule) - (x->rule < y->rule);
}

static int compare_memberships(const void *a, const void *b)
{
	const struct membership_want *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	return (x->member > y->member) - (x->member < y->member);
}

static void merge_option(bool *has, bool *value, bool more_has, bool more)
{
	*value = (*has && *value) || (more_has && more);
	*has |= more_has;
}

/* member_of and memberships may both name one membership: it has what any of them says, as long as any of them says. */
static void merge_memberships(struct desired *desired)
{
	uint32_t n = 0;

	if (desired->n_memberships > 1)
		qsort(desired->memberships, desired->n_memberships, sizeof *desired->memberships, compare_memberships);
	for (uint32_t i = 0; i < desired->n_memberships; i++) {
		struct membership_want *want = &desired->memberships[n - (n > 0)], *more = &desired->memberships[i];

		if (n == 0 || compare_memberships(want, more) != 0) {
			desired->memberships[n++] = *more;
			continue;
		}
		merge_option(&want->has_admin, &want->admin, more->has_admin, more->admin);
		merge_option(&want->has_inherit, &want->inherit, more->has_inherit, more->inherit);
		merge_option(&want->has_set, &want->set, more->has_set, more->set);
		if (!want->until || !more->until || strcmp(want->until, more->until) < 0)
			want->until = want->until ? more->until : NULL;
	}
	desired->n_memberships = n;
}

static int compare_scopes(const void *a, const void *b)
{
	const struct scope_schema *x = a, *y = b;

	return (x->schema > y->schema) - (x->schema < y->schema);
}

static uint64_t key_of(enum object_kind kind, name_id schema)
{
	return (uint64_t)kind << 32 | schema;
}

static void index_rules(struct desired *desired)
{
	desired->n_keys = desired->n_rules;
	desired->keys = talloc_array(desired, struct rule_key, desired->n_rules + 1);
	if (!desired->keys)
		abort();
	for (uint32_t i = 0; i < desired->n_rules; i++)
		desired->keys[i] = (struct rule_key){ key_of(desired->rules[i].on.kind, desired->rules[i].schema), i };
	if (desired->n_keys > 1)
		qsort(desired->keys, desired->n_keys, sizeof *desired->keys, compare_keys);
}

const struct rule_key *desired_rules(const struct desired *desired, enum object_kind kind, name_id schema, uint32_t *ret_n)
{
	uint64_t key = key_of(kind, schema);
	uint32_t low = 0, high = desired->n_keys, n = 0;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (desired->keys[mid].key < key)
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < desired->n_keys && desired->keys[low + n].key == key)
		n++;
	*ret_n = n;
	return desired->keys + low;
}

const struct scope_schema *desired_scope(const struct desired *desired, name_id schema)
{
	uint32_t low = 0, high = desired->n_scopes;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (desired->scopes[mid].schema < schema)
			low = mid + 1;
		else
			high = mid;
	}
	return low < desired->n_scopes && desired->scopes[low].schema == schema ? &desired->scopes[low] : NULL;
}

static struct desired *begin(void *parent, struct names *names, const struct server_settings *server,
			     const struct database_settings *database)
{
	struct desired *desired = talloc_zero(parent, struct desired);

	if (!desired)
		abort();
	desired->names = names;
	desired->server = server;
	desired->database = database;
	collect_roles(desired);
	return desired;
}

/* What a manifest says of the database that it is used for; those of a pattern are known when the server was looked at. */
static void add_database_manifests(struct desired *desired, const struct database_settings *database)
{
	for (uint32_t m = 0; m < database->n_manifests; m++) {
		add_databases(desired, database->manifests[m], database->name);
		add_grants(desired, database->manifests[m], database);
	}
}

int desired_server(void *parent, struct names *names, const struct server_settings *server, struct desired **ret, struct error *err)
{
	struct desired *desired = begin(parent, names, server, NULL);

	(void)err;
	for (uint32_t m = 0; m < server->n_all_manifests; m++) {
		add_roles(desired, server->all_manifests[m]);
		add_memberships(desired, server->all_manifests[m]);
		add_server_settings(desired, server->all_manifests[m]);
	}
	for (uint32_t m = 0; m < server->n_manifests; m++) {
		add_databases(desired, server->manifests[m], NULL);
		add_grants(desired, server->manifests[m], NULL);
	}
	for (uint32_t d = 0; d < server->n_databases; d++)
		add_database_manifests(desired, &server->databases[d]);
	merge_memberships(desired);
	index_rules(desired);
	*ret = desired;
	return 0;
}

/* An array of the copy's own, with the room that append() expects. */
static void *own_array(void *parent, const void *v, uint32_t n, size_t size)
{
	uint32_t room = 1;
	void *copy;

	while (room < n)
		room *= 2;
	copy = talloc_zero_size(parent, room * size);
	if (!copy)
		abort();
	if (n)
		memcpy(copy, v, n * size);
	return copy;
}
#define OWN_ARRAY(desired, array) own_array((desired), (desired)->array, (desired)->n_##array, sizeof *(desired)->array)

static bool says_of_its_database(const struct database_settings *database)
{
	for (uint32_t m = 0; m < database->n_manifests; m++)
		for (uint32_t i = 0; i < database->manifests[m]->n_databases; i++)
			if (!database->manifests[m]->databases[i].name)
				return true;
	return false;
}

static void add_of_pattern(struct desired *desired, const struct database_settings *database, const char *name)
{
	for (uint32_t m = 0; m < database->n_manifests; m++)
		for (uint32_t i = 0; i < database->manifests[m]->n_databases; i++)
			if (!database->manifests[m]->databases[i].name)
				add_database(desired, database->manifests[m], &database->manifests[m]->databases[i], name);
}

static bool any_pattern_says(const struct server_settings *server)
{
	for (uint32_t i = 0; i < server->n_databases; i++)
		if (server->databases[i].match && says_of_its_database(&server->databases[i]))
			return true;
	return false;
}

struct desired *desired_with_patterns(void *parent, struct desired *desired, const struct server_state *live)
{
	struct desired *copy;

	if (!any_pattern_says(desired->server))
		return desired;
	copy = talloc_memdup(parent, desired, sizeof *desired);
	if (!copy)
		abort();
	copy->databases = OWN_ARRAY(copy, databases);
	copy->settings = OWN_ARRAY(copy, settings);
	copy->setting_scopes = OWN_ARRAY(copy, setting_scopes);
	for (uint32_t i = 0; i < live->n_databases; i++) {
		const char *name = names_text(desired->names, live->databases[i].name);
		bool match;
		const struct database_settings *database = settings_database(desired->server, name, &match);

		if (database && match)
			add_of_pattern(copy, database, name);
	}
	return copy;
}

/* Who is to run migrations must reach the ledger, whatever the manifests take from PUBLIC. The ledger's own default schema
   belongs to the migration user anyway. */
static void add_ledger_access(struct desired *desired, const struct migration_settings *m)
{
	struct rule *rule;

	if (!m->enabled || !m->user || !m->table_schema || strcmp(m->table_schema, "dbreconcile") == 0)
		return;
	rule = APPEND(desired, rules);
	rule->grantee = names_put(desired->names, m->user);
	rule->on = (struct selector){ .kind = OBJECT_SCHEMA, .name = m->table_schema, .name_literal = true };
	rule->privs = PRIV_USAGE;
	rule->level = rule->ledger = true;
	rule->source = m->source;
}

int desired_database(void *parent, struct names *names, const struct server_settings *server, const struct database_settings *database,
		     const char *name, struct desired **ret, struct error *err)
{
	struct desired *desired = begin(parent, names, server, database);

	(void)err;
	(void)name;
	for (uint32_t m = 0; m < database->n_manifests; m++) {
		const struct manifest *manifest = database->manifests[m];

		add_grants(desired, manifest, NULL);
		add_scopes(desired, manifest);
		for (uint32_t i = 0; i < manifest->n_defaults; i++)
			add_default_wish(desired, manifest, &manifest->defaults[i]);
	}
	add_ledger_access(desired, &database->migrations);
	if (desired->n_scopes > 1)
		qsort(desired->scopes, desired->n_scopes, sizeof *desired->scopes, compare_scopes);
	index_rules(desired);
	*ret = desired;
	return 0;
}
