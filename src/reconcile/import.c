/* SPDX-License-Identifier: PostgreSQL */
#include "reconcile/import_internal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "config/load.h"
#include "reconcile/plan.h"

#define NOTE_BYTES 1000
#define PRIVILEGED (ROLE_SUPERUSER | ROLE_REPLICATION | ROLE_BYPASSRLS)
/* What CREATE ROLE gives when nothing is said; login is always said. */
#define USUAL ROLE_INHERIT

void *import_grow(struct import *im, void *v, uint32_t *n, size_t size)
{
	if ((*n & (*n - 1)) == 0)
		v = talloc_realloc_size(im->mem, v, (*n ? *n * 2 : 1) * size);
	if (!v)
		abort();
	memset((char *)v + (*n)++ * size, 0, size);
	return v;
}

void import_string(struct import *im, struct strings *list, const char *s)
{
	*IMPORT_ADD(im, list->v, list->n) = s;
}

void import_note(struct import *im, const char *format, ...)
{
	va_list args;
	char *line;

	va_start(args, format);
	line = talloc_vasprintf(im->mem, format, args);
	va_end(args);
	/* names of others are in it: a line end of theirs would end the comment, and begin what they want to be declared */
	text_addf(im->notes, "# %s\n", text_escape(im->mem, line, strlen(line), NOTE_BYTES));
}

bool import_name_fits(struct import *im, const char *what, const char *name, size_t len)
{
	const char *copy = talloc_strndup(im->mem, name, len), *reason;

	if (object_name_check(copy, &reason) == 0)
		return true;
	import_note(im, "left out: %s \"%s\", whose name a manifest cannot hold", what, copy);
	return false;
}

bool import_id_fits(struct import *im, const char *what, name_id name)
{
	const char *text = names_text(im->names, name);

	return import_name_fits(im, what, text, strlen(text));
}

/* A value of a catalog that every database writes into, each in its own encoding. */
static bool text_fits(struct import *im, const char *what, const char *of, const char *text)
{
	if (!text || utf8_valid(text, strlen(text)))
		return true;
	import_note(im, "left out: %s %s, which is not UTF-8", what, of);
	return false;
}

/* One that is left out has the others left out as well: an exact manifest resets what it does not name beside them. */
static bool settings_fit(struct import *im, const struct setting *s, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		if (setting_name_check(s[i].name) && utf8_valid(s[i].value, strlen(s[i].value)))
			continue;
		import_note(im, "left out: the settings of %s%s%s, one of which, %s, a manifest cannot hold",
			    s->role ? names_text(im->names, s->role) : "every role", s->database ? " in database " : "",
			    s->database ? names_text(im->names, s->database) : "", s[i].name);
		return false;
	}
	return true;
}

static void add_settings(struct import *im, const struct setting *s, uint32_t n, struct name_value **v, uint32_t *ret_n)
{
	for (uint32_t i = 0; i < n; i++)
		*IMPORT_ADD(im, *v, *ret_n) = (struct name_value){ .name = s[i].name, .value = s[i].value };
}

/* Those of every role: in a database, or (NAME_NONE) in each. */
static void settings_of_all(struct import *im, name_id database, struct name_value **v, uint32_t *ret_n)
{
	uint32_t n;
	const struct setting *s = server_settings_of(im->server, NAME_NONE, database, &n);

	if (settings_fit(im, s, n))
		add_settings(im, s, n, v, ret_n);
}

enum import_role import_role(const struct import *im, name_id name)
{
	const struct role *role = server_role(im->server, name);
	const char *text = names_text(im->names, name), *reason;

	if (!role || strncmp(text, "pg_", 3) == 0 || role_name_check(text, &reason) != 0)
		return IMPORT_ROLE_NOBODY;
	for (uint32_t i = 0; i < im->guard->n_ignored_roles; i++)
		if (glob_match(im->guard->ignored_roles[i], text))
			return IMPORT_ROLE_NOBODY;
	if (name == im->server->facts.me || name == im->server->facts.bootstrap || guard_protects(im->guard, text) ||
	    (role->attrs & PRIVILEGED))
		return IMPORT_ROLE_EXTERNAL;
	return IMPORT_ROLE_MANAGED;
}

/* ---- roles ---- */

static bool database_fits(struct import *im, name_id database)
{
	const char *name = names_text(im->names, database), *reason;

	if (name_check(name, &reason) == 0)
		return true;
	import_note(im, "left out: database \"%s\" and the settings of roles in it: %s", name, reason);
	return false;
}

static void role_settings(struct import *im, struct role_wish *wish, name_id role)
{
	uint32_t n;
	const struct setting *s = server_settings_of(im->server, role, NAME_NONE, &n), *end = im->server->settings + im->server->n_settings;

	for (; s < end && s->role == role; s += n) {
		struct setting_block *block;

		server_settings_of(im->server, role, s->database, &n);
		if ((s->database && !database_fits(im, s->database)) || !settings_fit(im, s, n))
			continue;
		block = IMPORT_ADD(im, wish->settings, wish->n_settings);
		block->database = s->database ? names_text(im->names, s->database) : NULL;
		add_settings(im, s, n, &block->v, &block->n);
	}
}

static bool valid_until_fits(struct import *im, const struct role *role)
{
	char text[32];

	if (!role->valid_until || timestamp_parse(role->valid_until, text) == 0)
		return role->valid_until != NULL;
	import_note(im, "left out: valid_until of role %s, %s, which a manifest cannot hold", names_text(im->names, role->name), role->valid_until);
	return false;
}

static void one_role(struct import *im, const struct role *role)
{
	enum import_role as = import_role(im, role->name);
	struct role_wish *wish;

	if (as == IMPORT_ROLE_NOBODY)
		return;
	wish = IMPORT_ADD(im, im->manifest->roles, im->manifest->n_roles);
	wish->name = names_text(im->names, role->name);
	wish->external = as == IMPORT_ROLE_EXTERNAL;
	if (wish->external)
		return;
	wish->attrs = role->attrs;
	wish->attrs_mask = ROLE_LOGIN | ((role->attrs ^ USUAL) & (ROLE_INHERIT | ROLE_CREATEROLE | ROLE_CREATEDB));
	wish->has_connection_limit = role->connection_limit != -1;
	wish->connection_limit = role->connection_limit;
	wish->has_valid_until = valid_until_fits(im, role);
	wish->valid_until = wish->has_valid_until ? role->valid_until : NULL;
	wish->comment = text_fits(im, "the comment of role", wish->name, role->comment) ? role->comment : NULL;
	role_settings(im, wish, role->name);
}

static int by_name(const void *a, const void *b)
{
	return strcmp(((const struct role_wish *)a)->name, ((const struct role_wish *)b)->name);
}

static void roles(struct import *im)
{
	for (uint32_t i = 0; i < im->server->n_roles; i++)
		one_role(im, &im->server->roles[i]);
	if (im->manifest->n_roles > 1)
		qsort(im->manifest->roles, im->manifest->n_roles, sizeof *im->manifest->roles, by_name);
}

/* ---- memberships ---- */

static bool membership_counts(const struct import *im, const struct membership *m)
{
	const char *group = names_text(im->names, m->role);

	/* what every creator of a role gets from 16 on is nobody's wish */
	if (membership_of_creator(im->server, m))
		return false;
	if (m->member == im->server->facts.me || import_role(im, m->member) == IMPORT_ROLE_NOBODY)
		return false;
	return import_role(im, m->role) != IMPORT_ROLE_NOBODY || strncmp(group, "pg_", 3) == 0;
}

/* One role's rows by one member: what he has by any of them. They are neighbours. */
static uint32_t one_membership(struct import *im, uint32_t at)
{
	const struct membership *rows = im->server->memberships;
	bool admin = false, inherit = false, set = false, any = false;
	uint32_t i = at;
	struct membership_wish *wish = NULL;

	for (; i < im->server->n_memberships && rows[i].role == rows[at].role && rows[i].member == rows[at].member; i++) {
		if (!membership_counts(im, &rows[i]))
			continue;
		any = true;
		admin |= rows[i].admin;
		inherit |= rows[i].inherit;
		set |= rows[i].set;
	}
	if (!any)
		return i;
	for (uint32_t k = 0; k < im->manifest->n_memberships && !wish; k++) {
		struct membership_wish *there = &im->manifest->memberships[k];

		if (strcmp(there->role, names_text(im->names, rows[at].role)) == 0 && there->admin == admin &&
		    (!there->has_inherit || (there->inherit == inherit && there->set == set)))
			wish = there;
	}
	if (!wish) {
		wish = IMPORT_ADD(im, im->manifest->memberships, im->manifest->n_memberships);
		*wish = (struct membership_wish){ .role = names_text(im->names, rows[at].role), .has_admin = admin, .admin = admin,
						  .has_inherit = im->version_num >= 160000, .inherit = inherit,
						  .has_set = im->version_num >= 160000, .set = set };
	}
	import_string(im, &wish->members, names_text(im->names, rows[at].member));
	return i;
}

static void memberships(struct import *im)
{
	for (uint32_t i = 0; i < im->server->n_memberships;)
		i = one_membership(im, i);
}

/* ---- databases ---- */

static bool is_template(const char *name)
{
	return strcmp(name, "template0") == 0 || strcmp(name, "template1") == 0;
}

static void databases(struct import *im)
{
	for (uint32_t i = 0; i < im->server->n_databases; i++) {
		const struct database *db = &im->server->databases[i];
		const char *name = names_text(im->names, db->name);
		struct object_group group = { .kind = OBJECT_DATABASE, .owner = db->owner, .acl = db->acl, .n = 1, .names = name, .names_len = strlen(name) };
		struct database_wish wish = { .name = name };

		if (is_template(name) || database_is_invalid(db) || !database_fits(im, db->name))
			continue;
		if (import_role(im, db->owner) != IMPORT_ROLE_NOBODY)
			wish.owner = names_text(im->names, db->owner);
		wish.has_connection_limit = db->connection_limit != -1;
		wish.connection_limit = db->connection_limit;
		settings_of_all(im, db->name, &wish.settings, &wish.n_settings);
		if (wish.owner || wish.has_connection_limit || wish.n_settings)
			*IMPORT_ADD(im, im->manifest->databases, im->manifest->n_databases) = wish;
		import_grants(im, &group, 1);
	}
}

/* ---- inside of a database ---- */

static void schemas(struct import *im)
{
	for (uint32_t i = 0; i < im->database->n_objects; i++) {
		const struct object_group *g = &im->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_SCHEMA || g->in_extension)
			continue;
		while ((name = object_group_next(g, &cursor, im->scratch, &len))) {
			struct schema_wish *wish;

			if (!import_name_fits(im, "schema", name, len))
				continue;
			wish = IMPORT_ADD(im, im->manifest->schemas, im->manifest->n_schemas);
			wish->name = talloc_strndup(im->mem, name, len);
			if (import_role(im, g->owner) != IMPORT_ROLE_NOBODY)
				wish->owner = names_text(im->names, g->owner);
		}
	}
}

/* Without versions: who updates one would find it wanted back. */
static void extensions(struct import *im)
{
	for (uint32_t i = 0; i < im->database->n_extensions; i++)
		*IMPORT_ADD(im, im->manifest->extensions, im->manifest->n_extensions) =
			(struct extension_wish){ .name = im->database->extensions[i].name, .schema = im->database->extensions[i].schema };
}

static struct row_security_wish *row_security_of(struct import *im, const char *schema, const char *table, size_t len)
{
	struct row_security_wish *wish;

	for (uint32_t i = 0; i < im->manifest->n_row_security; i++) {
		wish = &im->manifest->row_security[i];
		if (strcmp(wish->schema, schema) == 0 && strlen(wish->table) == len && memcmp(wish->table, table, len) == 0)
			return wish;
	}
	wish = IMPORT_ADD(im, im->manifest->row_security, im->manifest->n_row_security);
	wish->schema = schema;
	wish->table = talloc_strndup(im->mem, table, len);
	return wish;
}

static void row_security_flags(struct import *im)
{
	for (uint32_t i = 0; i < im->database->n_objects; i++) {
		const struct object_group *g = &im->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_TABLE || g->in_extension || (!g->row_security && !g->force_row_security))
			continue;
		if (!import_id_fits(im, "row security in schema", g->schema))
			continue;
		while ((name = object_group_next(g, &cursor, im->scratch, &len))) {
			struct row_security_wish *wish;

			if (!import_name_fits(im, "row security of table", name, len))
				continue;
			wish = row_security_of(im, names_text(im->names, g->schema), name, len);
			wish->has_enable = true;
			wish->enable = g->row_security;
			wish->has_force = g->force_row_security;
			wish->force = g->force_row_security;
		}
	}
}

static bool policy_roles(struct import *im, const struct policy *policy, struct strings *to)
{
	size_t cursor = 0, len;
	const char *name;

	while ((name = array_next(policy->roles, strlen(policy->roles), &cursor, im->scratch, &len))) {
		if (len == strlen("PUBLIC") && memcmp(name, "PUBLIC", len) == 0)
			return true;
		if (import_role(im, names_find(im->names, name, len)) == IMPORT_ROLE_NOBODY && strncmp(name, "pg_", 3) != 0)
			return false;
		import_string(im, to, talloc_strndup(im->mem, name, len));
	}
	return true;
}

static void policies(struct import *im)
{
	for (uint32_t i = 0; i < im->database->n_policies; i++) {
		const struct policy *policy = &im->database->policies[i];
		const char *schema = names_text(im->names, policy->schema);
		struct policy_wish wish = { .name = policy->name, .command = policy->command, .permissive = policy->permissive,
					    .using_expr = policy->using_expr, .check_expr = policy->check_expr };
		struct row_security_wish *of;

		if (!import_id_fits(im, "policies in schema", policy->schema) ||
		    !import_name_fits(im, "policies of table", policy->table, strlen(policy->table)) ||
		    !import_name_fits(im, "policy", policy->name, strlen(policy->name)))
			continue;
		if (!policy->using_expr && !policy->check_expr) {
			import_note(im, "left out: policy %s of table %s.%s, which has no expression", policy->name, schema, policy->table);
			continue;
		}
		if (!text_fits(im, "policy", policy->name, policy->using_expr) || !text_fits(im, "policy", policy->name, policy->check_expr))
			continue;
		if (!policy_roles(im, policy, &wish.to)) {
			import_note(im, "left out: policy %s of table %s.%s, for a role that is not declared here", policy->name, schema, policy->table);
			continue;
		}
		of = row_security_of(im, schema, policy->table, strlen(policy->table));
		*IMPORT_ADD(im, of->policies, of->n_policies) = wish;
	}
}

/* ---- the whole ---- */

static struct import begin(void *parent, const struct server_state *server, const struct database_state *database, const struct guard_settings *guard,
			   const char *target)
{
	void *mem = talloc_new(parent);
	struct import im = { .mem = mem, .server = server, .database = database, .guard = guard, .names = server->names,
			     .version_num = server->facts.version_num };

	im.manifest = talloc_zero(mem, struct manifest);
	im.notes = text_new(mem);
	im.scratch = text_new(mem);
	if (!im.manifest)
		abort();
	im.manifest->authority = AUTHORITY_EXACT;
	text_addf(im.notes, "# What was found in %s.\n", target);
	return im;
}

static char *finish(struct import *im, void *parent)
{
	/* an exact manifest has to say that nobody shall have any privilege */
	const char *none = im->manifest->n_schemas && !im->manifest->n_grants ? "grants: ( );\n" : "";
	char *text = manifest_print(im->mem, im->manifest), *out = talloc_asprintf(parent, "%s\n%s%s", im->notes->s, text, none);

	talloc_free(im->mem);
	return out;
}

char *import_server(void *parent, const struct server_state *server, const struct guard_settings *guard, const char *target)
{
	struct import im = begin(parent, server, NULL, guard, target);

	import_note(&im, "Passwords are not read: name where they come from (password_credential, password_file) or leave them as they are.");
	import_note(&im, "Roles with ensure = \"external\" are never altered: those of the daemon, the provider and the superusers.");
	roles(&im);
	memberships(&im);
	settings_of_all(&im, NAME_NONE, &im.manifest->settings, &im.manifest->n_settings);
	databases(&im);
	import_grants(&im, server->objects, server->n_objects);
	return finish(&im, parent);
}

char *import_database(void *parent, const struct server_state *server, const struct database_state *database, const struct guard_settings *guard,
		      const char *target)
{
	struct import im = begin(parent, server, database, guard, target);

	schemas(&im);
	extensions(&im);
	import_owners(&im, database->objects, database->n_objects);
	import_grants(&im, database->objects, database->n_objects);
	import_defaults(&im);
	row_security_flags(&im);
	policies(&im);
	return finish(&im, parent);
}
