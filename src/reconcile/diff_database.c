/* SPDX-License-Identifier: PostgreSQL */
/* Schemas and extensions of one database. */
#include "reconcile/diff.h"

#include <string.h>
#include <talloc.h>

#include "base/text.h"

void owner_was(struct change *c, const struct acl *acl)
{
	for (uint32_t i = 0; i < acl->n; i++) {
		const struct acl_entry *entry = &acl->v[i];

		if (entry->grantee == c->other && entry->grantor == c->other) {
			c->was.own |= entry->privs;
			c->was.own_options |= entry->grantable;
		}
		if (entry->grantee == c->role && entry->grantor == c->other) {
			c->was.named = true;
			c->was.privs |= entry->privs;
			c->was.options |= entry->grantable;
		} else if (entry->grantor == c->role || entry->grantee == c->role) {
			c->was.no_inverse = "the new owner had granted on it himself, or was granted on it by others than the old owner: whose word "
					    "each privilege was cannot be told any more";
		}
	}
}

static bool schema_exists(struct differ *d, const char *wanted, name_id *ret_owner)
{
	size_t want_len = strlen(wanted), len;
	const char *name;

	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0;

		if (g->kind != OBJECT_SCHEMA)
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len))) {
			if (len == want_len && memcmp(name, wanted, len) == 0) {
				*ret_owner = g->owner;
				return true;
			}
		}
	}
	return false;
}

static void one_name(struct differ *d, struct change *change, const char *name)
{
	change->names = talloc_array(d->plan, const char *, 1);
	change->names[0] = name;
}

/* Two manifests may declare a schema, or one the schema that the ledger needs. */
static bool schema_is_planned(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++)
		if (d->plan->changes[i].op == CHANGE_CREATE_SCHEMA && strcmp(d->plan->changes[i].name, name) == 0)
			return true;
	return false;
}

static void want_schema(struct differ *d, const char *name, const char *owner, struct source source)
{
	name_id live_owner = NAME_NONE;
	struct change *change;

	if (!schema_exists(d, name, &live_owner)) {
		if (schema_is_planned(d, name))
			return;
		change = differ_add(d, CHANGE_CREATE_SCHEMA, DRIFT_SCHEMA, PHASE_SCHEMAS, source);
		change->name = name;
		change->role = names_put(d->names, owner);
		return;
	}
	if (!owner || names_put(d->names, owner) == live_owner)
		return;
	/* before the migrations: what they create there is made as this owner */
	change = differ_add(d, CHANGE_OWNER, DRIFT_OWNER, PHASE_SCHEMAS, source);
	change->object_kind = OBJECT_SCHEMA;
	one_name(d, change, name);
	change->role = names_put(d->names, owner);
	change->other = live_owner;
	owner_was(change, schema_group(d, names_put(d->names, name))->acl);
	if (strncmp(name, "pg_", 3) == 0 || strcmp(name, "information_schema") == 0)
		change_block(change, "a system schema", "remove it from the manifest");
}

/* The migration user writes the ledger in a schema of its own: made here when it is ours by default. */
static void want_ledger_schema(struct differ *d)
{
	const struct migration_settings *m = &d->desired->database->migrations;
	name_id owner;
	struct change *change;

	if (!m->enabled || m->format != LEDGER_FLYWAY || !m->table_schema || strcmp(m->table_schema, "dbreconcile") != 0)
		return;
	if (!schema_exists(d, m->table_schema, &owner)) {
		want_schema(d, m->table_schema, m->user, m->source);
		return;
	}
	if (m->user && owner != names_put(d->names, m->user)) {
		/* somebody was there before us: never write into a schema of another owner */
		change = differ_add(d, CHANGE_CREATE_SCHEMA, DRIFT_LEDGER, PHASE_SCHEMAS, m->source);
		change->name = m->table_schema;
		change->role = names_put(d->names, m->user);
		change_block(change, talloc_asprintf(d->plan, "schema %s exists and is owned by %s, not by the migration user", m->table_schema,
						     names_text(d->names, owner)),
			     "change its owner after looking at what is in it, or name another ledger table");
	}
}

void diff_schemas(struct differ *d)
{
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t m = 0; m < n; m++)
		for (uint32_t i = 0; i < manifests[m]->n_schemas; i++)
			want_schema(d, manifests[m]->schemas[i].name, manifests[m]->schemas[i].owner, manifests[m]->schemas[i].source);
	want_ledger_schema(d);
}

/* --- extensions ---------------------------------------------------------------------------------------------------- */

static const struct extension *live_extension(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->database->n_extensions; i++)
		if (strcmp(d->database->extensions[i].name, name) == 0)
			return &d->database->extensions[i];
	return NULL;
}

static bool available(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->database->n_available; i++)
		if (strcmp(d->database->available_extensions[i], name) == 0)
			return true;
	return d->database->available_extensions == NULL;
}

static struct change *extension_change(struct differ *d, enum change_op op, const struct extension_wish *wish)
{
	struct change *change = differ_add(d, op, DRIFT_EXTENSION, op == CHANGE_DROP_EXTENSION ? PHASE_DROPS : PHASE_EXTENSIONS, wish->source);

	change->name = wish->name;
	return change;
}

static void want_extension(struct differ *d, const struct extension_wish *wish)
{
	const struct extension *live = live_extension(d, wish->name);
	struct change *change;

	if (wish->ensure == ENSURE_ABSENT) {
		if (live) {
			change = extension_change(d, CHANGE_DROP_EXTENSION, wish);
			change->from = live->version;
			change->state = CHANGE_HELD;
			change->reason = "drops need approval";
		}
		return;
	}
	if (!live) {
		change = extension_change(d, CHANGE_CREATE_EXTENSION, wish);
		change->value = wish->version;
		change->extra = wish->schema;
		if (!available(d, wish->name))
			change_block(change, "the extension is not installed on the server", "install its package on the database server");
		return;
	}
	if (wish->version && strcmp(wish->version, live->version) != 0) {
		change = extension_change(d, CHANGE_UPDATE_EXTENSION, wish);
		change->value = wish->version;
		change->from = live->version;
	}
	if (wish->schema && strcmp(wish->schema, live->schema) != 0) {
		change = extension_change(d, CHANGE_MOVE_EXTENSION, wish);
		change->extra = wish->schema;
		change->from = live->schema;
		if (!live->relocatable)
			change_block(change, "the extension cannot be moved to another schema", "drop and create it, or declare its schema as it is");
	}
}

void diff_extensions(struct differ *d)
{
	uint32_t n;
	const struct manifest *const *manifests = desired_manifests(d->desired, &n);

	for (uint32_t m = 0; m < n; m++)
		for (uint32_t i = 0; i < manifests[m]->n_extensions; i++)
			want_extension(d, &manifests[m]->extensions[i]);
}
