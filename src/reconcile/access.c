/* SPDX-License-Identifier: PostgreSQL */
#include "reconcile/access.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"

const char *access_how_name(enum access_how how)
{
	static const char *const names[ACCESS_HOWS] = {
		[ACCESS_GRANT] = "grant", [ACCESS_OWNER] = "owner", [ACCESS_PUBLIC] = "public", [ACCESS_PREDEFINED] = "predefined",
		[ACCESS_SUPERUSER] = "superuser",
	};

	return (unsigned)how < ACCESS_HOWS ? names[how] : "?";
}

/* How a role is reached from another one: by inheritance alone, by SET ROLE alone, by inheritance after SET ROLE. */
enum stage { INHERITED, SET, AFTER_SET, STAGES };

struct step {
	bool reached;
	name_id from;                /* the role before, NAME_NONE for the first */
	enum stage from_stage;
};

struct access {
	const struct server_state *server;
	const struct database_state *database;
	struct names *names;
	struct access_list *list;
	struct text *scratch;
	void *temporary;
	const struct object_group **groups; uint32_t n_groups;   /* those that are asked for */
	struct object_group *databases;                          /* as groups, of a server */
	struct membership *edges; uint32_t n_edges;      /* sorted by member */
	uint32_t *first;                                 /* of a member's edges, by name id */
	struct step *steps[STAGES];                      /* from the role that is asked for, by name id */
	name_id *queue;
	uint8_t *queue_stage;
	name_id *superusers; uint32_t n_superusers;
	name_id role;
	unsigned attrs;
};

/* ---- who reaches whom ---- */

static int by_member(const void *a, const void *b)
{
	name_id x = ((const struct membership *)a)->member, y = ((const struct membership *)b)->member;

	return x < y ? -1 : x > y;
}

static name_id name_of(const struct access *a, const char *name)
{
	return names_find(a->names, name, strlen(name));
}

static void edges_new(struct access *a)
{
	const struct database *here = server_database(a->server, a->database);
	name_id owners = name_of(a, "pg_database_owner");
	uint32_t n = a->server->n_memberships, names = names_count(a->names) + 2;

	a->edges = talloc_array(a->temporary, struct membership, n + 1);
	a->first = talloc_zero_array(a->temporary, uint32_t, names + 1);
	a->queue = talloc_array(a->temporary, name_id, (size_t)names * STAGES);
	a->queue_stage = talloc_array(a->temporary, uint8_t, (size_t)names * STAGES);
	for (int s = 0; s < STAGES; s++)
		a->steps[s] = talloc_zero_array(a->temporary, struct step, names);
	if (!a->edges || !a->first || !a->queue || !a->queue_stage || !a->steps[INHERITED] || !a->steps[SET] || !a->steps[AFTER_SET])
		abort();
	if (n)
		memcpy(a->edges, a->server->memberships, n * sizeof *a->edges);
	if (here && owners)
		a->edges[n++] = (struct membership){ .role = owners, .member = here->owner, .inherit = true, .set = false };
	qsort(a->edges, n, sizeof *a->edges, by_member);
	a->n_edges = n;
	for (uint32_t i = 0, id = 0; id < names; id++) {
		while (i < n && a->edges[i].member < id)
			i++;
		a->first[id] = i;
	}
}

static void reach(struct access *a, uint32_t *tail, name_id role, enum stage stage, name_id from, enum stage from_stage)
{
	struct step *step = &a->steps[stage][role];

	if (step->reached)
		return;
	*step = (struct step){ true, from, from_stage };
	a->queue[*tail] = role;
	a->queue_stage[(*tail)++] = (uint8_t)stage;
}

/* From 16 on each membership says whether it inherits and may be set; before, the look shows the member's rolinherit. */
static void reach_all(struct access *a, name_id role)
{
	uint32_t names = names_count(a->names) + 2, tail = 0;

	for (int s = 0; s < STAGES; s++)
		memset(a->steps[s], 0, names * sizeof *a->steps[s]);
	a->role = role;
	reach(a, &tail, role, INHERITED, NAME_NONE, INHERITED);
	reach(a, &tail, role, SET, NAME_NONE, SET);
	for (uint32_t head = 0; head < tail; head++) {
		name_id at = a->queue[head];
		enum stage stage = a->queue_stage[head];

		for (uint32_t i = a->first[at]; i < a->n_edges && a->edges[i].member == at; i++) {
			const struct membership *m = &a->edges[i];

			if (stage == INHERITED && m->inherit)
				reach(a, &tail, m->role, INHERITED, at, INHERITED);
			if (stage == SET && m->set)
				reach(a, &tail, m->role, SET, at, SET);
			if (stage != INHERITED && at != role && m->inherit)
				reach(a, &tail, m->role, AFTER_SET, at, stage);
		}
	}
}

static bool find_stage(const struct access *a, name_id through, enum stage *ret)
{
	for (int s = 0; s < STAGES; s++)
		if (a->steps[s][through].reached) {
			*ret = (enum stage)s;
			return true;
		}
	return false;
}

/* The roles between, and the one that SET ROLE has to name. */
static void tell_chain(struct access *a, struct access_entry *entry, enum stage stage)
{
	name_id at = entry->through;
	uint32_t n = 0;

	while (at != a->role) {
		const struct step *step = &a->steps[stage][at];

		if (stage == SET && !entry->set_role)
			entry->set_role = at;
		stage = step->from_stage;
		at = step->from;
		if (at == a->role || at == NAME_NONE)
			break;
		entry->chain = talloc_realloc(a->list, entry->chain, name_id, n + 1);
		memmove(entry->chain + 1, entry->chain, n * sizeof *entry->chain);
		entry->chain[0] = at;
		entry->n_chain = ++n;
	}
}

/* ---- entries ---- */

static privs_t held_at_once(const struct access *a, const struct acl *acl, enum stage upto)
{
	privs_t privs = 0;

	for (uint32_t i = 0; i < acl->n; i++)
		for (int s = 0; s <= (int)upto; s++)
			if (acl->v[i].grantee == NAME_NONE || a->steps[s][acl->v[i].grantee].reached)
				privs |= acl->v[i].privs;
	return privs;
}

static bool reaches_predefined(const struct access *a, const char *name, enum stage upto)
{
	name_id id = name_of(a, name);

	for (int s = 0; id && s <= (int)upto; s++)
		if (a->steps[s][id].reached)
			return true;
	return false;
}

static bool has_usage(struct access *a, name_id schema, enum stage stage)
{
	enum stage upto = stage == INHERITED ? INHERITED : AFTER_SET;
	const char *want = names_text(a->names, schema);
	size_t want_len = strlen(want), len;

	if (!schema || (a->attrs & ROLE_SUPERUSER) || reaches_predefined(a, "pg_read_all_data", upto) || reaches_predefined(a, "pg_write_all_data", upto))
		return true;
	for (uint32_t i = 0; i < a->database->n_objects; i++) {
		const struct object_group *g = &a->database->objects[i];
		size_t cursor = 0;
		const char *name;

		if (g->kind != OBJECT_SCHEMA)
			continue;
		while ((name = object_group_next(g, &cursor, a->scratch, &len)))
			if (len == want_len && memcmp(name, want, len) == 0)
				return (held_at_once(a, g->acl, upto) & PRIV_USAGE) != 0;
	}
	return true;
}

static void take_names(struct access *a, struct access_entry *entry, const struct object_group *g, const struct selector *on)
{
	size_t cursor = 0, len;
	const char *name;

	while ((name = object_group_next(g, &cursor, a->scratch, &len))) {
		if (on && !selector_matches(on, g->relkind, g->schema ? names_text(a->names, g->schema) : NULL, name, len))
			continue;
		if (entry->n++ >= ACCESS_NAMES_MAX)
			continue;
		entry->names = talloc_realloc(a->list, entry->names, const char *, entry->n_names + 1);
		entry->names[entry->n_names++] = talloc_strndup(a->list, name, len);
	}
}

static struct access_entry *add(struct access *a)
{
	struct access_list *list = a->list;

	if (list->n == ACCESS_ENTRIES_MAX) {
		list->truncated = true;
		return NULL;
	}
	if ((list->n & (list->n - 1)) == 0)
		list->v = talloc_realloc(list, list->v, struct access_entry, list->n ? list->n * 2 : 1);
	if (!list->v)
		abort();
	list->v[list->n] = (struct access_entry){ 0 };
	return &list->v[list->n++];
}

/* Is one of the columns' tables among those of the group? */
static bool columns_of(struct access *a, const struct object_group *columns, const struct object_group *tables)
{
	size_t cursor = 0, inner, len, other_len;
	const char *name, *other;
	bool found = false;

	while (!found && (name = object_group_next(columns, &cursor, a->scratch, &len))) {
		char *table = talloc_strndup(a->temporary, name, len);

		inner = 0;
		while (!found && (other = object_group_next(tables, &inner, a->scratch, &other_len)))
			found = other_len == len && memcmp(other, table, len) == 0;
		talloc_free(table);
	}
	return found;
}

static bool policies_decide(struct access *a, const struct object_group *g)
{
	/* what a column's table is like stands with the table */
	for (uint32_t i = 0; g->kind == OBJECT_COLUMN && i < a->database->n_objects; i++) {
		const struct object_group *t = &a->database->objects[i];

		if (t->kind == OBJECT_TABLE && t->row_security && t->schema == g->schema && t->owner == g->owner && columns_of(a, g, t) &&
		    policies_decide(a, t))
			return true;
	}
	if (g->kind != OBJECT_TABLE)
		return false;
	return g->row_security && !(a->attrs & (ROLE_SUPERUSER | ROLE_BYPASSRLS)) && (g->force_row_security || !a->steps[INHERITED][g->owner].reached);
}

/* One entry of a list, when the role has it by whatever path. */
static void tell_entry(struct access *a, const struct object_group *g, const struct acl_entry *acl, const struct selector *on)
{
	enum stage stage = INHERITED;
	struct access_entry like = { .role = a->role, .through = acl->grantee, .kind = g->kind, .relkind = g->relkind, .schema = g->schema, .column = g->column,
				     .privs = acl->privs, .grantable = acl->grantable }, *entry;

	if (acl->grantee != NAME_NONE && !find_stage(a, acl->grantee, &stage))
		return;
	like.how = acl->grantee == NAME_NONE ? ACCESS_PUBLIC : acl->grantee == g->owner ? ACCESS_OWNER : ACCESS_GRANT;
	take_names(a, &like, g, on);
	if (like.n == 0)
		return;
	if (acl->grantee != NAME_NONE)
		tell_chain(a, &like, stage);
	like.no_usage = !has_usage(a, g->schema, stage);
	like.row_security = policies_decide(a, g);
	entry = add(a);
	if (entry)
		*entry = like;
}

static void tell_group(struct access *a, const struct object_group *g, const struct selector *on, bool everybody)
{
	for (uint32_t i = 0; i < g->acl->n; i++)
		if (everybody || g->acl->v[i].grantee != NAME_NONE)
			tell_entry(a, g, &g->acl->v[i], on);
}

static bool is_asked_for(struct access *a, const struct object_group *g, const struct selector *on)
{
	size_t cursor = 0, len;
	const char *name;

	if (!on)
		return true;
	if (g->kind != on->kind && (g->kind != OBJECT_COLUMN || on->kind != OBJECT_TABLE))
		return false;
	while ((name = object_group_next(g, &cursor, a->scratch, &len)))
		if (selector_matches(on, g->relkind, g->schema ? names_text(a->names, g->schema) : NULL, name, len))
			return true;
	return false;
}

static void choose(struct access *a, const struct object_group *g, const struct selector *on)
{
	if (is_asked_for(a, g, on))
		a->groups[a->n_groups++] = g;
}

static void choose_groups(struct access *a, const struct selector *on)
{
	const struct object_group *groups = a->database ? a->database->objects : a->server->objects;
	uint32_t n = a->database ? a->database->n_objects : a->server->n_objects, n_databases = a->database ? 0 : a->server->n_databases;

	a->groups = talloc_array(a->temporary, const struct object_group *, n + n_databases + 1);
	a->databases = talloc_zero_array(a->temporary, struct object_group, n_databases + 1);
	if (!a->groups || !a->databases)
		abort();
	for (uint32_t i = 0; i < n_databases; i++) {
		const struct database *db = &a->server->databases[i];
		const char *name = names_text(a->names, db->name);

		a->databases[i] = (struct object_group){ .kind = OBJECT_DATABASE, .owner = db->owner, .acl = db->acl, .n = 1, .names = name,
							 .names_len = strlen(name) };
		choose(a, &a->databases[i], on);
	}
	for (uint32_t i = 0; i < n; i++)
		choose(a, &groups[i], on);
}

/* ---- what no list says ---- */

/* PostgreSQL documentation, "Predefined Roles". */
static const struct {
	const char *role;
	enum object_kind kind;
	privs_t privs;
	int since;
} predefined[] = {
	{ "pg_read_all_data", OBJECT_TABLE, PRIV_SELECT, 140000 }, { "pg_read_all_data", OBJECT_SEQUENCE, PRIV_SELECT, 140000 },
	{ "pg_read_all_data", OBJECT_SCHEMA, PRIV_USAGE, 140000 },
	{ "pg_write_all_data", OBJECT_TABLE, PRIV_INSERT | PRIV_UPDATE | PRIV_DELETE, 140000 },
	{ "pg_write_all_data", OBJECT_SEQUENCE, PRIV_UPDATE, 140000 },
	{ "pg_write_all_data", OBJECT_SCHEMA, PRIV_USAGE, 140000 },
	{ "pg_maintain", OBJECT_TABLE, PRIV_MAINTAIN, 170000 },
};

static bool any_policies_decide(struct access *a)
{
	for (uint32_t i = 0; i < a->n_groups; i++)
		if (policies_decide(a, a->groups[i]))
			return true;
	return false;
}

static void tell_predefined(struct access *a, const struct selector *on)
{
	for (size_t i = 0; a->database && i < sizeof predefined / sizeof *predefined; i++) {
		name_id role = name_of(a, predefined[i].role);
		struct access_entry like = { .role = a->role, .how = ACCESS_PREDEFINED, .through = role, .kind = predefined[i].kind, .privs = predefined[i].privs };
		struct access_entry *entry;
		enum stage stage;

		if (a->server->facts.version_num < predefined[i].since || !role || (on && on->kind != like.kind) || !find_stage(a, role, &stage))
			continue;
		tell_chain(a, &like, stage);
		like.row_security = like.kind == OBJECT_TABLE && like.privs != PRIV_MAINTAIN && any_policies_decide(a);
		entry = add(a);
		if (entry)
			*entry = like;
	}
}

/* Whose own right it is needs no other path; who can become one by SET ROLE has it too. */
static void tell_superuser(struct access *a)
{
	for (uint32_t i = 0; i < a->n_superusers; i++) {
		name_id superuser = a->superusers[i];
		struct access_entry like = { .role = a->role, .how = ACCESS_SUPERUSER, .through = superuser }, *entry;

		if ((a->attrs & ROLE_SUPERUSER) ? superuser != a->role : !a->steps[SET][superuser].reached)
			continue;
		tell_chain(a, &like, SET);
		entry = add(a);
		if (entry)
			*entry = like;
	}
}

static void superusers_new(struct access *a)
{
	a->superusers = talloc_array(a->temporary, name_id, a->server->n_roles + 1);
	if (!a->superusers)
		abort();
	for (uint32_t i = 0; i < a->server->n_roles; i++)
		if (a->server->roles[i].attrs & ROLE_SUPERUSER)
			a->superusers[a->n_superusers++] = a->server->roles[i].name;
}

/* ---- the two questions ---- */

static void begin(struct access *a, void *parent, const struct server_state *server, const struct database_state *database,
		  const struct selector *on)
{
	*a = (struct access){ .server = server, .database = database, .names = server->names, .list = talloc_zero(parent, struct access_list) };
	if (!a->list)
		abort();
	a->temporary = talloc_new(a->list);
	a->scratch = text_new(a->temporary);
	edges_new(a);
	superusers_new(a);
	choose_groups(a, on);
}

static void ask(struct access *a, const struct role *role, const struct selector *on, bool everybody)
{
	reach_all(a, role->name);
	a->attrs = role->attrs;
	tell_superuser(a);
	tell_predefined(a, on);
	for (uint32_t i = 0; i < a->n_groups && !a->list->truncated; i++)
		tell_group(a, a->groups[i], on, everybody);
}

/* What PUBLIC has is told once, not for every role. */
static void tell_public(struct access *a, const struct selector *on)
{
	uint32_t before = a->list->n;

	reach_all(a, (name_id)(names_count(a->names) + 1));      /* somebody who is a member of nothing */
	a->attrs = 0;
	for (uint32_t i = 0; i < a->n_groups; i++)
		tell_group(a, a->groups[i], on, true);
	for (uint32_t i = before; i < a->list->n; i++)
		a->list->v[i].role = NAME_NONE;
}

int access_of_role(void *parent, const struct server_state *server, const struct database_state *database, const char *name, struct access_list **ret)
{
	const struct role *role = server_role(server, names_find(server->names, name, strlen(name)));
	bool everybody = strcmp(name, "PUBLIC") == 0;
	struct access a;

	if (!role && !everybody)
		return 1;
	begin(&a, parent, server, database, NULL);
	if (everybody)
		tell_public(&a, NULL);
	else
		ask(&a, role, NULL, true);
	talloc_free(a.temporary);
	*ret = a.list;
	return 0;
}

struct access_list *access_to_object(void *parent, const struct server_state *server, const struct database_state *database, const struct selector *on)
{
	struct access a;

	begin(&a, parent, server, database, on);
	tell_public(&a, on);
	for (uint32_t i = 0; i < server->n_roles && !a.list->truncated; i++)
		ask(&a, &server->roles[i], on, false);
	talloc_free(a.temporary);
	return a.list;
}
