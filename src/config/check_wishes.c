/* SPDX-License-Identifier: PostgreSQL */
/* What must hold inside one wish, and inside one manifest. */
#include <string.h>

#include "base/text.h"
#include "config/checks.h"
#include "config/levels.h"
#include "model/role.h"

static bool written(const config_setting_t *s, const char *key)
{
	return config_setting_get_member(s, key) != NULL;
}

static void hint(struct error *err, const char *text)
{
	if (err)
		error_hint(err, "%s", text);
}

/* Complains about each of the keys that is written. */
static void not_with(struct reader *r, const config_setting_t *s, const char *const *keys, const char *reason)
{
	for (; *keys; keys++)
		if (written(s, *keys))
			reader_error(r, config_setting_get_member(s, *keys), "this cannot be written %s", reason);
}

/* --- roles */

void check_role(struct reader *r, const config_setting_t *s, void *base)
{
	static const char *const managed[] = { "renamed_from", "login", "inherit", "createdb", "createrole", "superuser", "replication", "bypassrls",
					       "connection_limit", "valid_until", "comment", "password_credential", "password_file",
					       "password_command", "settings", "database_settings", NULL };
	static const char *const member[] = { "member_of", NULL };
	static const char *const retiring[] = { "reassign_owned_to", NULL };
	const struct role_wish *role = base;

	if (role->name && strncmp(role->name, "pg_", 3) == 0)
		hint(reader_error(r, config_setting_get_member(s, "name"), "names that begin with \"pg_\" are PostgreSQL's own"),
		     "predefined roles may be named anywhere without being declared");
	if (role->absent || role->external)
		not_with(r, s, managed, role->absent ? "with ensure = \"absent\"" : "with ensure = \"external\": such a role is never altered");
	if (role->absent)
		not_with(r, s, member, "with ensure = \"absent\"");
	else
		not_with(r, s, retiring, "without ensure = \"absent\"");
	if (role->name && role->reassign_owned_to && strcmp(role->name, role->reassign_owned_to) == 0)
		reader_error(r, config_setting_get_member(s, "reassign_owned_to"), "a role cannot receive what it owns itself");
	if (role->name && role->renamed_from && strcmp(role->name, role->renamed_from) == 0)
		reader_error(r, config_setting_get_member(s, "renamed_from"), "this is the role's present name");
}

/* --- extensions, schemas, databases */

void check_extension(struct reader *r, const config_setting_t *s, void *base)
{
	static const char *const keys[] = { "version", "schema", NULL };
	const struct extension_wish *extension = base;

	if (extension->ensure == ENSURE_ABSENT)
		not_with(r, s, keys, "with ensure = \"absent\"");
}

void check_schema(struct reader *r, const config_setting_t *s, void *base)
{
	const struct schema_wish *schema = base;

	if (schema->name && (strncmp(schema->name, "pg_", 3) == 0 || strcmp(schema->name, "information_schema") == 0))
		reader_error(r, config_setting_get_member(s, "name"), "the schema \"%s\" is PostgreSQL's own", schema->name);
}

void check_owner(struct reader *r, const config_setting_t *s, void *base)
{
	const struct owner_wish *owner = base;

	if (owner->on.kind == OBJECT_DATABASE && !owner->on.name)
		reader_error(r, config_setting_get_member(s, "on"), "name the database, or write its owner in 'databases'");
	if (owner->on.kind == OBJECT_PARAMETER)
		reader_error(r, config_setting_get_member(s, "on"), "a parameter has no owner");
}

void check_database_wish(struct reader *r, const config_setting_t *s, void *base)
{
	const struct database_wish *database = base;

	if (!database->owner && !database->has_connection_limit && database->n_settings == 0 && !written(s, "owner") &&
	    !written(s, "connection_limit") && !written(s, "settings"))
		reader_error(r, s, "there is nothing to do for this database: write owner, connection_limit or settings");
}

/* --- grants */

static bool has_public(const struct strings *names)
{
	for (uint32_t i = 0; i < names->n; i++)
		if (strcmp(names->v[i], "PUBLIC") == 0)
			return true;
	return false;
}

static void check_grantees(struct reader *r, const config_setting_t *s, const struct strings *to, bool grant_option)
{
	const config_setting_t *member = config_setting_get_member(s, "to");

	if (member && to->n == 0 && !reader_has_error(r, member))
		reader_error(r, member, "the list is empty");
	if (grant_option && has_public(to))
		reader_error(r, config_setting_get_member(s, "grant_option"), "PUBLIC cannot have a grant option");
}

static void check_level_grant(struct reader *r, const config_setting_t *s, const struct grant_wish *grant)
{
	static const char *const keys[] = { "privileges", "on", "columns", NULL };

	not_with(r, s, keys, "together with 'level'");
	if (!written(s, "schema"))
		reader_error(r, s, "'schema' is missing: a level is for the objects of schemas");
	for (uint32_t i = 0; i < grant->schemas.n; i++)
		if (!glob_is_literal(grant->schemas.v[i]))
			reader_error(r, config_setting_get_member(s, "schema"), "\"%s\" is a pattern: name each schema", grant->schemas.v[i]);
}

static void check_kind(struct reader *r, const config_setting_t *s, const struct grant_wish *grant, const struct selector *on)
{
	enum object_kind kind = grant->columns.n > 0 ? OBJECT_COLUMN : on->kind;
	const struct object_kind_info *info = object_kind_info(kind);
	privs_t wrong = grant->privs & ~info->privs;
	char list[256];

	if (grant->columns.n > 0 && on->kind != OBJECT_TABLE) {
		reader_error(r, config_setting_get_member(s, "columns"), "a %s has no columns", object_kind_info(on->kind)->name);
		return;
	}
	if (wrong == 0)
		return;
	struct error *err = reader_error(r, config_setting_get_member(s, "privileges"), "%s cannot be granted on a %s",
					 privileges_format(wrong, list, sizeof(list)), info->name);
	if (err)
		error_hint(err, "possible are %s", privileges_format(info->privs, list, sizeof(list)));
}

static void check_explicit_grant(struct reader *r, const config_setting_t *s, const struct grant_wish *grant)
{
	if (written(s, "schema")) {
		hint(reader_error(r, config_setting_get_member(s, "schema"), "this cannot be written without 'level'"),
		     "for privileges on the schema itself write on = \"schema NAME\"");
	}
	if (!written(s, "privileges"))
		reader_error(r, s, "expected 'level' and 'schema', or 'privileges' and 'on'");
	else if (!written(s, "on"))
		reader_error(r, s, "'on' is missing");
	else if (grant->n_on == 0 && !reader_has_error(r, config_setting_get_member(s, "on")))
		reader_error(r, config_setting_get_member(s, "on"), "the list is empty");
	for (uint32_t i = 0; i < grant->n_on; i++)
		check_kind(r, s, grant, &grant->on[i]);
	if (written(s, "privileges") && grant->grant_option && grant->privs == 0 && !grant->all && !reader_has_error(r, config_setting_get_member(s, "privileges")))
		reader_error(r, config_setting_get_member(s, "grant_option"), "there is no privilege to pass on");
}

void check_grant(struct reader *r, const config_setting_t *s, void *base)
{
	const struct grant_wish *grant = base;

	check_grantees(r, s, &grant->to, grant->grant_option);
	if (written(s, "level"))
		check_level_grant(r, s, grant);
	else
		check_explicit_grant(r, s, grant);
}

static enum object_kind default_kind(char objtype)
{
	switch (objtype) {
	case 'r': return OBJECT_TABLE;
	case 'S': return OBJECT_SEQUENCE;
	case 'f': return OBJECT_FUNCTION;
	case 'T': return OBJECT_TYPE;
	case 'n': return OBJECT_SCHEMA;
	case 'L': return OBJECT_LARGE_OBJECT;
	default: return OBJECT_NONE;
	}
}

void check_default(struct reader *r, const config_setting_t *s, void *base)
{
	const struct default_wish *wish = base;
	enum object_kind kind = default_kind(wish->objtype);
	char list[256];

	check_grantees(r, s, &wish->to, wish->grant_option);
	if (written(s, "schema") && (wish->objtype == 'n' || wish->objtype == 'L'))
		reader_error(r, config_setting_get_member(s, "schema"), "default privileges on %s are for the whole database",
			     object_kind_info(kind)->plural);
	if (kind == OBJECT_NONE || !(wish->privs & ~object_kind_info(kind)->privs))
		return;
	struct error *err = reader_error(r, config_setting_get_member(s, "privileges"), "%s cannot be granted on a %s",
					 privileges_format(wish->privs & ~object_kind_info(kind)->privs, list, sizeof(list)),
					 object_kind_info(kind)->name);
	if (err)
		error_hint(err, "possible are %s", privileges_format(object_kind_info(kind)->privs, list, sizeof(list)));
}

/* --- row security */

void check_policy(struct reader *r, const config_setting_t *s, void *base)
{
	static const char *const body[] = { "command", "permissive", "to", "using", "check", NULL };
	static const char *const using_key[] = { "using", NULL }, *const check_key[] = { "check", NULL };
	struct policy_wish *policy = base;

	if (policy->ensure == ENSURE_ABSENT) {
		not_with(r, s, body, "with ensure = \"absent\"");
		return;
	}
	if (has_public(&policy->to)) {
		if (policy->to.n > 1)
			reader_error(r, config_setting_get_member(s, "to"), "PUBLIC is everybody: name it alone");
		policy->to.n = 0;
	}
	if (policy->command == 'a')
		not_with(r, s, using_key, "with command = \"INSERT\": there is no row yet; write 'check'");
	if (policy->command == 'r' || policy->command == 'd')
		not_with(r, s, check_key, "with a command that writes no row; write 'using'");
	if (!policy->using_expr && !policy->check_expr && !written(s, "using") && !written(s, "check"))
		reader_error(r, s, "'using' or 'check' is missing");
}

/* What may be there once: an array of structs that begin where name says, with a struct source. */
struct once {
	const config_setting_t *list;
	const void *v;
	uint32_t n;
	size_t size, name, name2, source;    /* offsets; name2 = 0: none */
};

static bool same_name(const struct once *o, const char *a, const char *b)
{
	const char *x = *CONST_FIELD(a, o->name, const char *), *y = *CONST_FIELD(b, o->name, const char *);

	if (!x || !y || strcmp(x, y) != 0)
		return false;
	if (o->name2 == 0)
		return true;
	x = *CONST_FIELD(a, o->name2, const char *);
	y = *CONST_FIELD(b, o->name2, const char *);
	return x && y && strcmp(x, y) == 0;
}

static void check_once(struct reader *r, const struct once *o)
{
	for (uint32_t i = 0; i < o->n; i++) {
		const char *late = (const char *) o->v + o->size * i;

		for (uint32_t k = 0; k < i; k++) {
			const char *early = (const char *) o->v + o->size * k;
			const struct source *other = CONST_FIELD(early, o->source, struct source);

			if (!same_name(o, early, late))
				continue;
			reader_error(r, config_setting_get_elem(o->list, i), "\"%s%s%s\" is there twice (also at %s:%u)", *CONST_FIELD(late, o->name, const char *),
					o->name2 ? "." : "", o->name2 ? *CONST_FIELD(late, o->name2, const char *) : "", other->file, other->line);
			break;
		}
	}
}

#define ONCE(key, array, count, type, field) \
	check_once(r, &(struct once) { .list = config_setting_get_member(s, key), .v = (array), .n = (count), .size = sizeof(type), .name = offsetof(type, field), \
				       .source = offsetof(type, source) })

void check_row_security(struct reader *r, const config_setting_t *s, void *base)
{
	const struct row_security_wish *wish = base;

	ONCE("policies", wish->policies, wish->n_policies, struct policy_wish, name);
	if (!wish->has_enable && !wish->has_force && !written(s, "policies"))
		reader_error(r, s, "there is nothing to do for this table: write enable, force or policies");
}

void check_level(struct reader *r, const config_setting_t *s, void *base)
{
	const struct level *level = base;

	if (level->name && level_builtin(level->name))
		reader_error(r, config_setting_get_member(s, "name"), "the level \"%s\" is built in", level->name);
	if (!level->extends && !written(s, "extends") && !level->schema && !level->table && !level->sequence && !level->routine &&
	    !level->type && !reader_has_error(r, s))
		reader_error(r, s, "this level gives nothing");
}

/* --- the manifest as a whole */

static void check_duplicates(struct reader *r, const config_setting_t *s, const struct manifest *m)
{
	ONCE("roles", m->roles, m->n_roles, struct role_wish, name);
	ONCE("extensions", m->extensions, m->n_extensions, struct extension_wish, name);
	ONCE("schemas", m->schemas, m->n_schemas, struct schema_wish, name);
	ONCE("levels", m->levels, m->n_levels, struct level, name);
	ONCE("databases", m->databases, m->n_databases, struct database_wish, name);
	check_once(r, &(struct once) { .list = config_setting_get_member(s, "row_security"), .v = m->row_security, .n = m->n_row_security,
				       .size = sizeof(struct row_security_wish), .name = offsetof(struct row_security_wish, schema),
				       .name2 = offsetof(struct row_security_wish, table), .source = offsetof(struct row_security_wish, source) });
}

void check_manifest(struct reader *r, const config_setting_t *s, void *base)
{
	static const char *const content[] = { "levels", "roles", "memberships", "databases", "settings", "extensions", "schemas", "owners", "grants",
					       "default_privileges", "row_security" };
	const struct manifest *m = base;
	bool found = false;

	check_duplicates(r, s, m);
	for (size_t i = 0; i < sizeof(content) / sizeof(content[0]); i++)
		found |= written(s, content[i]);
	if (!found)
		hint(config_errors_add(r->errors, r->file, 1, "the manifest declares nothing"),
		     "an empty manifest is refused: remove its name from the configuration, or restore what it held");
	if (m->revoke_unmanaged_grantees && m->authority != AUTHORITY_EXACT)
		hint(reader_error(r, config_setting_get_member(s, "unmanaged_grantees"), "an additive manifest never revokes"),
		     "write authority = \"exact\" as well");
	/* exact and nothing granted would take everything away: it must be meant, not be what a cut file left over */
	if (m->authority == AUTHORITY_EXACT && m->n_schemas > 0 && !written(s, "grants"))
		hint(reader_error(r, config_setting_get_member(s, "authority"), "the manifest is exact and names schemas, but 'grants' is missing"),
		     "write grants: ( ); when really nobody shall have any privilege there");
}
