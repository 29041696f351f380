/* SPDX-License-Identifier: PostgreSQL */
/*
 * Across the manifests of one server: who is declared, who is named, what is
 * there twice, and what stands where it cannot work.
 */
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/names.h"
#include "base/text.h"
#include "config/checks.h"
#include "config/fleet.h"
#include "model/role.h"

static struct fleet_role *role_of(struct fleet *f, const char *name)
{
	name_id id = names_put(f->names, name);

	while (f->n_roles <= id) {
		f->roles = talloc_realloc(f, f->roles, struct fleet_role, f->n_roles + 64);
		memset(f->roles + f->n_roles, 0, 64 * sizeof(*f->roles));
		f->n_roles += 64;
	}
	return &f->roles[id];
}

static void declare_role(struct fleet *f, const struct manifest *m, const struct role_wish *wish, uint32_t i)
{
	struct fleet_role *role = role_of(f, wish->name);
	char path[64];

	if (role->wish && role->manifest != m) {
		snprintf(path, sizeof(path), "roles.[%u].name", i);
		reader_error_at(f->r, &wish->source, path, "the role \"%s\" is declared twice (also at %s:%u)", wish->name,
				role->wish->source.file, role->wish->source.line);
		return;
	}
	role->wish = wish;
	role->manifest = m;
}

static void declare_roles(struct fleet *f)
{
	for (uint32_t i = 0; i < f->server->n_all_manifests; i++) {
		const struct manifest *m = f->server->all_manifests[i];

		f->incomplete |= m->doubtful;
		for (uint32_t k = 0; k < m->n_roles; k++) {
			const struct role_wish *wish = &m->roles[k];

			if (wish->name)
				declare_role(f, m, wish, k);
			for (uint32_t g = 0; g < wish->member_of.n; g++)
				role_of(f, wish->member_of.v[g])->group = true;
		}
	}
}

static bool is_protected(const struct fleet *f, const char *name)
{
	const struct guard_settings *guard = &f->server->guard;

	for (uint32_t i = 0; i < guard->n_protected_roles; i++)
		if (glob_match(guard->protected_roles[i], name))
			return true;
	return false;
}

static void undeclared(struct fleet *f, const struct source *at, const char *path, const char *name)
{
	struct error *err = reader_error_at(f->r, at, path, "no manifest of the server declares the role \"%s\"", name);
	const char *names[256], *near;
	size_t n = 0;

	for (uint32_t i = 0; i < f->n_roles && n < 256; i++)
		if (f->roles[i].wish)
			names[n++] = f->roles[i].wish->name;
	near = text_nearest(name, names, n);
	if (err && near)
		error_hint(err, "did you mean \"%s\"?", near);
	else if (err)
		error_hint(err, "declare it in 'roles', with ensure = \"external\" when somebody else manages it");
}

/* A role that is named must be one that some manifest of the server declares, or one that is known to be there: predefined,
   named in member_of (a provider's role such as rds_iam), or protected by the guard. */
static void refer(struct fleet *f, const struct source *at, const char *section, uint32_t i, const char *key, const char *name)
{
	char path[96];

	if (!name || strcmp(name, "PUBLIC") == 0)
		return;
	snprintf(path, sizeof(path), "%s.[%u].%s", section, i, key);
	const struct fleet_role *role = role_of(f, name);
	if (role->wish && role->wish->absent)
		reader_error_at(f->r, at, path, "the role \"%s\" is declared with ensure = \"absent\" (at %s:%u)", name, role->wish->source.file,
				role->wish->source.line);
	else if (!role->wish && !role->group && !f->incomplete && strncmp(name, "pg_", 3) != 0 && !is_protected(f, name))
		undeclared(f, at, path, name);
}

static void refer_all(struct fleet *f, const struct source *at, const char *section, uint32_t i, const char *key, const struct strings *names)
{
	for (uint32_t k = 0; k < names->n; k++)
		refer(f, at, section, i, key, names->v[k]);
}

static void check_references(struct fleet *f, const struct manifest *m)
{
	for (uint32_t i = 0; i < m->n_roles; i++) {
		refer(f, &m->roles[i].source, "roles", i, "reassign_owned_to", m->roles[i].reassign_owned_to);
		refer_all(f, &m->roles[i].source, "roles", i, "member_of", &m->roles[i].member_of);
	}
	for (uint32_t i = 0; i < m->n_memberships; i++) {
		refer(f, &m->memberships[i].source, "memberships", i, "role", m->memberships[i].role);
		refer_all(f, &m->memberships[i].source, "memberships", i, "members", &m->memberships[i].members);
	}
	for (uint32_t i = 0; i < m->n_schemas; i++)
		refer(f, &m->schemas[i].source, "schemas", i, "owner", m->schemas[i].owner);
	for (uint32_t i = 0; i < m->n_owners; i++)
		refer(f, &m->owners[i].source, "owners", i, "owner", m->owners[i].owner);
	for (uint32_t i = 0; i < m->n_databases; i++)
		refer(f, &m->databases[i].source, "databases", i, "owner", m->databases[i].owner);
	for (uint32_t i = 0; i < m->n_grants; i++)
		refer_all(f, &m->grants[i].source, "grants", i, "to", &m->grants[i].to);
	for (uint32_t i = 0; i < m->n_defaults; i++) {
		refer_all(f, &m->defaults[i].source, "default_privileges", i, "to", &m->defaults[i].to);
		refer_all(f, &m->defaults[i].source, "default_privileges", i, "for", &m->defaults[i].creators);
	}
}

static void check_privileged(struct fleet *f, const struct manifest *m)
{
	const unsigned privileged = ROLE_SUPERUSER | ROLE_REPLICATION | ROLE_BYPASSRLS;

	if (f->server->guard.allow_privileged)
		return;
	for (uint32_t i = 0; i < m->n_roles; i++) {
		unsigned wanted = m->roles[i].attrs & privileged;
		char path[64];

		if (!wanted)
			continue;
		snprintf(path, sizeof(path), "roles.[%u].%s", i, wanted & ROLE_SUPERUSER ? "superuser" : wanted & ROLE_REPLICATION ? "replication" : "bypassrls");
		struct error *err = reader_error_at(f->r, &m->roles[i].source, path, "such a role can take over the server, and the guard does not allow it");
		if (err)
			error_hint(err, "write allow_privileged = true in 'guard' when it is meant");
	}
}

/* Schemas and extensions that two manifests of the same database declare. */
static void check_shared_database(struct fleet *f, const struct manifest *a, const struct manifest *b)
{
	char path[64];

	for (uint32_t i = 0; i < b->n_schemas; i++) {
		for (uint32_t k = 0; k < a->n_schemas; k++) {
			if (!b->schemas[i].name || !a->schemas[k].name || strcmp(a->schemas[k].name, b->schemas[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "schemas.[%u].name", i);
			reader_error_at(f->r, &b->schemas[i].source, path, "the schema \"%s\" is declared twice for one database (also at %s:%u)",
					b->schemas[i].name, a->schemas[k].source.file, a->schemas[k].source.line);
		}
	}
	for (uint32_t i = 0; i < b->n_extensions; i++) {
		for (uint32_t k = 0; k < a->n_extensions; k++) {
			if (!b->extensions[i].name || !a->extensions[k].name || strcmp(a->extensions[k].name, b->extensions[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "extensions.[%u].name", i);
			reader_error_at(f->r, &b->extensions[i].source, path, "the extension \"%s\" is declared twice for one database (also at %s:%u)",
					b->extensions[i].name, a->extensions[k].source.file, a->extensions[k].source.line);
		}
	}
}

/* What belongs to the whole server, said by two manifests: neither could win. */
static void check_shared_server(struct fleet *f, const struct manifest *a, const struct manifest *b)
{
	char path[96];

	for (uint32_t i = 0; i < b->n_databases; i++) {
		for (uint32_t k = 0; k < a->n_databases; k++) {
			if (!b->databases[i].name || !a->databases[k].name || strcmp(a->databases[k].name, b->databases[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "databases.[%u].name", i);
			reader_error_at(f->r, &b->databases[i].source, path, "the database \"%s\" is declared twice (also at %s:%u)",
					b->databases[i].name, a->databases[k].source.file, a->databases[k].source.line);
		}
	}
	for (uint32_t i = 0; i < b->n_settings; i++) {
		for (uint32_t k = 0; k < a->n_settings; k++) {
			if (strcasecmp(a->settings[k].name, b->settings[i].name) != 0)
				continue;
			snprintf(path, sizeof(path), "settings.%.64s", b->settings[i].name);
			reader_error_at(f->r, &b->settings[i].source, path, "the setting is declared twice for one server (also at %s:%u)",
					a->settings[k].source.file, a->settings[k].source.line);
		}
	}
}

static void check_databases(struct fleet *f)
{
	for (uint32_t d = 0; d < f->server->n_databases; d++) {
		const struct database_settings *database = &f->server->databases[d];

		for (uint32_t i = 0; i < database->n_manifests; i++)
			for (uint32_t k = 0; k < i; k++)
				check_shared_database(f, database->manifests[k], database->manifests[i]);
		char section[48];

		snprintf(section, sizeof(section), "servers.[%u].databases", (unsigned) (f->server - f->r->settings->servers));
		refer(f, &database->source, section, d, "owner", database->owner);
		if (database->migrations.enabled)
			refer(f, &database->migrations.source, section, d, "migrations.user", database->migrations.user);
	}
}

/* --- wishes about the inside of a database, in a manifest that is used for the whole server only */

static bool used_in_database(const struct server_settings *server, const struct manifest *m)
{
	for (uint32_t d = 0; d < server->n_databases; d++)
		for (uint32_t i = 0; i < server->databases[d].n_manifests; i++)
			if (server->databases[d].manifests[i] == m)
				return true;
	return false;
}

static void misplaced(struct fleet *f, const struct source *at, const char *section, uint32_t i)
{
	char path[64];

	snprintf(path, sizeof(path), "%s.[%u]", section, i);
	struct error *err = reader_error_at(f->r, at, path, "this is inside a database, but the manifest is used for the whole server only");
	if (err)
		error_hint(err, "name the manifest at a database of the server \"%s\"", f->server->name ? f->server->name : "");
}

static bool inside_database(const struct selector *on)
{
	return !object_kind_info(on->kind)->shared || (on->kind == OBJECT_DATABASE && !on->name);
}

static void check_placement(struct fleet *f, const struct manifest *m)
{
	if (used_in_database(f->server, m))
		return;
	for (uint32_t i = 0; i < m->n_extensions; i++)
		misplaced(f, &m->extensions[i].source, "extensions", i);
	for (uint32_t i = 0; i < m->n_schemas; i++)
		misplaced(f, &m->schemas[i].source, "schemas", i);
	for (uint32_t i = 0; i < m->n_defaults; i++)
		misplaced(f, &m->defaults[i].source, "default_privileges", i);
	for (uint32_t i = 0; i < m->n_row_security; i++)
		misplaced(f, &m->row_security[i].source, "row_security", i);
	for (uint32_t i = 0; i < m->n_databases; i++)
		if (!m->databases[i].name)
			misplaced(f, &m->databases[i].source, "databases", i);
	for (uint32_t i = 0; i < m->n_owners; i++)
		if (m->owners[i].on.kind != OBJECT_NONE && inside_database(&m->owners[i].on))
			misplaced(f, &m->owners[i].source, "owners", i);
	for (uint32_t i = 0; i < m->n_grants; i++) {
		bool inside = m->grants[i].level != NULL;

		for (uint32_t k = 0; k < m->grants[i].n_on; k++)
			inside |= inside_database(&m->grants[i].on[k]);
		if (inside)
			misplaced(f, &m->grants[i].source, "grants", i);
	}
}

static void check_server_manifests(struct reader *r, const struct server_settings *server)
{
	struct fleet *f = talloc_zero(NULL, struct fleet);

	f->r = r;
	f->server = server;
	f->names = names_new(f);
	declare_roles(f);
	check_databases(f);
	for (uint32_t i = 0; i < server->n_all_manifests; i++)
		for (uint32_t k = 0; k < i; k++)
			check_shared_server(f, server->all_manifests[k], server->all_manifests[i]);
	for (uint32_t i = 0; i < server->n_all_manifests; i++) {
		check_references(f, server->all_manifests[i]);
		check_privileged(f, server->all_manifests[i]);
		check_placement(f, server->all_manifests[i]);
	}
	check_circles(f);
	talloc_free(f);
}

void check_fleet(struct reader *r)
{
	for (uint32_t i = 0; i < r->settings->n_servers; i++)
		check_server_manifests(r, &r->settings->servers[i]);
}
