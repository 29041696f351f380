/* SPDX-License-Identifier: PostgreSQL */
/* The keys of manifests, a row each. */
#include "config/checks.h"
#include "config/manifest.h"
#include "config/option.h"
#include "model/role.h"

#define ROWS(rows) (rows), sizeof(rows) / sizeof((rows)[0])
#define LIST(type_, field) .offset = offsetof(type_, field), .extra = offsetof(type_, n_##field)
#define NAMES(type_, field) .offset = offsetof(type_, field.v), .extra = offsetof(type_, field.n)
#define FLAGGED(type_, field) .offset = offsetof(type_, field), .extra = offsetof(type_, has_##field)

static const struct option_word ensure_words[] = { { "present", 0 }, { "absent", 1 }, { NULL, 0 } };
static const struct option_word role_ensure_words[] = { { "present", 0 }, { "absent", 1 }, { "external", 2 }, { NULL, 0 } };
static const struct option_word authorities[] = { { "additive", AUTHORITY_ADDITIVE }, { "exact", AUTHORITY_EXACT }, { NULL, 0 } };
static const struct option_word unmanaged_words[] = { { "report", 0 }, { "revoke", 1 }, { NULL, 0 } };
static const struct option_word default_kinds[] = {
	{ "tables", 'r' }, { "sequences", 'S' }, { "functions", 'f' }, { "routines", 'f' }, { "types", 'T' }, { "schemas", 'n' },
	{ "large objects", 'L' }, { NULL, 0 }
};
static const struct option_word commands[] = {
	{ "ALL", '*' }, { "SELECT", 'r' }, { "INSERT", 'a' }, { "UPDATE", 'w' }, { "DELETE", 'd' }, { NULL, 0 }
};

/* --- roles */

#define IN(field) .offset = offsetof(struct setting_block, field)
static const struct option database_settings_rows[] = {
	{ .key = "database", .type = &type_string, .flags = OPT_REQUIRED | OPT_NAME, IN(database), .help = "The database." },
	{ .key = "settings", .type = &type_settings, .flags = OPT_REQUIRED, IN(v), .extra = offsetof(struct setting_block, n),
	  .help = "The role's settings in that database only." },
};
#undef IN
static const struct option_group database_settings_group = {
	.name = "database_settings", ROWS(database_settings_rows), sizeof(struct setting_block), offsetof(struct setting_block, source),
	NULL, NULL
};

#define ATTRIBUTE(bit) .type = &type_attribute, .offset = offsetof(struct role_wish, attrs), \
	.extra = offsetof(struct role_wish, attrs_mask), .min = (bit)
#define IN(field) .offset = offsetof(struct role_wish, field)
static const struct option role_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_ROLE, IN(name), .help = "The name of the role." },
	{ .key = "renamed_from", .type = &type_string, .flags = OPT_ROLE, IN(renamed_from),
	  .help = "A former name: a role of that name is renamed instead of creating a new one; one that logs in only after approval." },
	{ .key = "ensure", .type = &type_ensure, IN(absent), .extra = offsetof(struct role_wish, external), .words = role_ensure_words,
	  .help = "present (the default), absent (dropped, under the guard) or external (may be named, is never altered)." },
	{ .key = "login", ATTRIBUTE(ROLE_LOGIN), .help = "Whether the role may log in." },
	{ .key = "inherit", ATTRIBUTE(ROLE_INHERIT), .help = "Whether the role uses the privileges of its groups without SET ROLE." },
	{ .key = "createdb", ATTRIBUTE(ROLE_CREATEDB), .help = "Whether the role may create databases." },
	{ .key = "createrole", ATTRIBUTE(ROLE_CREATEROLE), .help = "Whether the role may create roles." },
	{ .key = "superuser", ATTRIBUTE(ROLE_SUPERUSER), .help = "Whether the role is a superuser; needs guard.allow_privileged." },
	{ .key = "replication", ATTRIBUTE(ROLE_REPLICATION), .help = "Whether the role may replicate; needs guard.allow_privileged." },
	{ .key = "bypassrls", ATTRIBUTE(ROLE_BYPASSRLS), .help = "Whether the role bypasses row security; needs guard.allow_privileged." },
	{ .key = "connection_limit", .type = &type_limit, FLAGGED(struct role_wish, connection_limit), .min = -1, .max = 1000000,
	  .help = "How many connections the role may have; -1 is no limit." },
	{ .key = "valid_until", .type = &type_time, FLAGGED(struct role_wish, valid_until),
	  .help = "When the password ends: a date (midnight UTC), an RFC 3339 time, or infinity." },
	{ .key = "comment", .type = &type_string, .flags = OPT_EMPTY | OPT_TEXT, IN(comment), .help = "The comment; empty for none." },
	{ .key = "password_credential", .type = &type_secret, .flags = OPT_WORD, IN(password), .min = SECRET_CREDENTIAL,
	  .help = "The systemd credential that holds the role's password." },
	{ .key = "password_file", .type = &type_secret, .flags = OPT_PATH, IN(password), .min = SECRET_FILE,
	  .help = "The file that holds the role's password." },
	{ .key = "password_command", .type = &type_secret, IN(password), .min = SECRET_COMMAND,
	  .help = "A command that prints the role's password." },
	{ .key = "settings", .type = &type_role_settings, LIST(struct role_wish, settings),
	  .help = "Settings of the role in every database (ALTER ROLE ... SET)." },
	{ .key = "database_settings", .type = &type_database_settings, LIST(struct role_wish, settings), .group = &database_settings_group,
	  .help = "Settings of the role in single databases." },
	{ .key = "member_of", .type = &type_strings, .flags = OPT_ROLE, NAMES(struct role_wish, member_of),
	  .help = "Roles that this role is a member of; they need not be declared." },
	{ .key = "reassign_owned_to", .type = &type_string, .flags = OPT_ROLE, IN(reassign_owned_to),
	  .help = "With ensure = absent: the role that receives what this one owns." },
};
#undef IN
static const struct option_group role_group = {
	.name = "roles", ROWS(role_rows), sizeof(struct role_wish), offsetof(struct role_wish, source), NULL, check_role
};

#define IN(field) .offset = offsetof(struct membership_wish, field)
static const struct option membership_rows[] = {
	{ .key = "role", .type = &type_string, .flags = OPT_REQUIRED | OPT_ROLE, IN(role), .help = "The group." },
	{ .key = "members", .type = &type_strings, .flags = OPT_REQUIRED | OPT_ROLE, NAMES(struct membership_wish, members),
	  .help = "Its members." },
	{ .key = "admin", .type = &type_bool, FLAGGED(struct membership_wish, admin), .help = "WITH ADMIN OPTION." },
	{ .key = "inherit", .type = &type_bool, FLAGGED(struct membership_wish, inherit), .help = "WITH INHERIT (PostgreSQL 16 and newer)." },
	{ .key = "set", .type = &type_bool, FLAGGED(struct membership_wish, set), .help = "WITH SET (PostgreSQL 16 and newer)." },
	{ .key = "until", .type = &type_time, IN(until), .help = "When the membership is withdrawn." },
};
#undef IN
static const struct option_group membership_group = {
	.name = "memberships", ROWS(membership_rows), sizeof(struct membership_wish), offsetof(struct membership_wish, source), NULL,
	NULL
};

/* --- things inside a database */

#define IN(field) .offset = offsetof(struct extension_wish, field)
static const struct option extension_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_NAME, IN(name), .help = "The name of the extension." },
	{ .key = "ensure", .type = &type_word, .flags = OPT_QUIET, IN(ensure), .words = ensure_words, .fallback = "present",
	  .help = "present, or absent (dropped, under the guard)." },
	{ .key = "version", .type = &type_string, .flags = OPT_NAME, IN(version), .help = "The version to install or update to." },
	{ .key = "schema", .type = &type_string, .flags = OPT_NAME | OPT_TEXT, IN(schema), .help = "The schema it lives in." },
};
#undef IN
static const struct option_group extension_group = {
	.name = "extensions", ROWS(extension_rows), sizeof(struct extension_wish), offsetof(struct extension_wish, source), NULL,
	check_extension
};

#define IN(field) .offset = offsetof(struct schema_wish, field)
static const struct option schema_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_NAME | OPT_TEXT, IN(name), .help = "The name of the schema." },
	{ .key = "owner", .type = &type_string, .flags = OPT_ROLE, IN(owner), .help = "Its owner; not managed when not written." },
};
#undef IN
static const struct option_group schema_group = {
	.name = "schemas", ROWS(schema_rows), sizeof(struct schema_wish), offsetof(struct schema_wish, source), NULL, check_schema
};

#define IN(field) .offset = offsetof(struct grant_wish, field)
static const struct option grant_rows[] = {
	{ .key = "to", .type = &type_strings, .flags = OPT_REQUIRED | OPT_GRANTEE, NAMES(struct grant_wish, to),
	  .help = "Who: role names, or PUBLIC." },
	{ .key = "level", .type = &type_level, IN(level),
	  .help = "A level: read-only, read-write, admin or one of levels; with schema." },
	{ .key = "schema", .type = &type_strings, .flags = OPT_NAME | OPT_TEXT, NAMES(struct grant_wish, schemas),
	  .help = "The schemas that a level is for." },
	{ .key = "privileges", .type = &type_grant_privileges, IN(privs), .extra = offsetof(struct grant_wish, all),
	  .help = "Instead of a level: privileges, ALL, or an empty list for exactly nothing; with on." },
	{ .key = "on", .type = &type_selectors, .flags = OPT_TEXT, LIST(struct grant_wish, on), .help = "The objects that the privileges are for." },
	{ .key = "except", .type = &type_selectors, .flags = OPT_TEXT, LIST(struct grant_wish, except), .help = "Objects that are left out of on." },
	{ .key = "columns", .type = &type_strings, .flags = OPT_NAME | OPT_TEXT, NAMES(struct grant_wish, columns),
	  .help = "The privileges are for these columns of the tables only." },
	{ .key = "grant_option", .type = &type_bool, IN(grant_option), .help = "Whether the grantee may pass them on." },
};
#undef IN
static const struct option_group grant_group = {
	.name = "grants", ROWS(grant_rows), sizeof(struct grant_wish), offsetof(struct grant_wish, source), NULL, check_grant
};

#define IN(field) .offset = offsetof(struct default_wish, field)
static const struct option default_rows[] = {
	{ .key = "for", .type = &type_strings, .flags = OPT_ROLE, NAMES(struct default_wish, creators),
	  .help = "Whose future objects; every role that can create in the schema when not written." },
	{ .key = "schema", .type = &type_string, .flags = OPT_NAME | OPT_TEXT, IN(schema), .help = "The schema; every schema when not written." },
	{ .key = "on", .type = &type_letter, .flags = OPT_REQUIRED, IN(objtype), .words = default_kinds,
	  .help = "tables, sequences, functions, types, schemas or large objects." },
	{ .key = "to", .type = &type_strings, .flags = OPT_REQUIRED | OPT_GRANTEE, NAMES(struct default_wish, to),
	  .help = "Who: role names, or PUBLIC." },
	{ .key = "privileges", .type = &type_privileges, .flags = OPT_REQUIRED | OPT_EMPTY, IN(privs),
	  .extra = offsetof(struct default_wish, all), .help = "The privileges, ALL, or an empty list for exactly nothing." },
	{ .key = "grant_option", .type = &type_bool, IN(grant_option), .help = "Whether the grantee may pass them on." },
};
#undef IN
static const struct option_group default_group = {
	.name = "default_privileges", ROWS(default_rows), sizeof(struct default_wish), offsetof(struct default_wish, source), NULL,
	check_default
};

#define IN(field) .offset = offsetof(struct owner_wish, field)
static const struct option owner_rows[] = {
	{ .key = "on", .type = &type_selector, .flags = OPT_TEXT | OPT_REQUIRED, IN(on), .help = "The objects." },
	{ .key = "owner", .type = &type_string, .flags = OPT_REQUIRED | OPT_ROLE, IN(owner), .help = "Their owner." },
};
#undef IN
static const struct option_group owner_group = {
	.name = "owners", ROWS(owner_rows), sizeof(struct owner_wish), offsetof(struct owner_wish, source), NULL, check_owner
};

#define IN(field) .offset = offsetof(struct database_wish, field)
static const struct option database_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_NAME, IN(name),
	  .help = "The database; when not written the one that the manifest is used for, or each that its pattern means." },
	{ .key = "owner", .type = &type_string, .flags = OPT_ROLE, IN(owner), .help = "Its owner." },
	{ .key = "connection_limit", .type = &type_limit, FLAGGED(struct database_wish, connection_limit), .min = -1, .max = 1000000,
	  .help = "How many connections it takes; -1 is no limit." },
	{ .key = "settings", .type = &type_settings, LIST(struct database_wish, settings),
	  .help = "Settings of the database (ALTER DATABASE ... SET)." },
};
#undef IN
static const struct option_group database_group = {
	.name = "databases", ROWS(database_rows), sizeof(struct database_wish), offsetof(struct database_wish, source), NULL,
	check_database_wish
};

#define IN(field) .offset = offsetof(struct policy_wish, field)
static const struct option policy_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_NAME | OPT_TEXT, IN(name), .help = "The name of the policy." },
	{ .key = "ensure", .type = &type_word, .flags = OPT_QUIET, IN(ensure), .words = ensure_words, .fallback = "present",
	  .help = "present, or absent (dropped, under the guard)." },
	{ .key = "command", .type = &type_letter, .flags = OPT_QUIET, IN(command), .words = commands, .fallback = "ALL",
	  .help = "ALL, SELECT, INSERT, UPDATE or DELETE." },
	{ .key = "permissive", .type = &type_bool, .flags = OPT_QUIET, IN(permissive), .fallback = "true", .help = "false for a restrictive policy." },
	{ .key = "to", .type = &type_strings, .flags = OPT_GRANTEE, NAMES(struct policy_wish, to),
	  .help = "The roles it applies to; everybody when not written. They need not be declared." },
	{ .key = "using", .type = &type_string, .flags = OPT_TEXT, IN(using_expr),
	  .help = "The expression for rows that are there. A literal in it that begins with {, [ or ( has to say its type, one of PostgreSQL's own, as in "
		  "'{a,b}'::text[]." },
	{ .key = "check", .type = &type_string, .flags = OPT_TEXT, IN(check_expr), .help = "The expression for rows that are written." },
};
#undef IN
static const struct option_group policy_group = {
	.name = "policies", ROWS(policy_rows), sizeof(struct policy_wish), offsetof(struct policy_wish, source), NULL, check_policy
};

#define IN(field) .offset = offsetof(struct row_security_wish, field)
static const struct option row_security_rows[] = {
	{ .key = "table", .type = &type_table, .flags = OPT_TEXT | OPT_REQUIRED, IN(schema), .extra = offsetof(struct row_security_wish, table),
	  .help = "The table." },
	{ .key = "enable", .type = &type_bool, FLAGGED(struct row_security_wish, enable), .help = "Whether row security is on." },
	{ .key = "force", .type = &type_bool, FLAGGED(struct row_security_wish, force), .help = "Whether it holds for the owner as well." },
	{ .key = "policies", .type = &type_list, LIST(struct row_security_wish, policies), .group = &policy_group, .help = "Its policies." },
};
#undef IN
static const struct option_group row_security_group = {
	.name = "row_security", ROWS(row_security_rows), sizeof(struct row_security_wish), offsetof(struct row_security_wish, source), NULL,
	check_row_security
};

#define IN(field) .offset = offsetof(struct level, field)
static const struct option level_rows[] = {
	{ .key = "name", .type = &type_string, .flags = OPT_REQUIRED | OPT_WORD, IN(name), .help = "The name of the level." },
	{ .key = "extends", .type = &type_string, .flags = OPT_WORD, IN(extends), .help = "A level whose privileges it has as well." },
	{ .key = "schema", .type = &type_privileges, IN(schema), .min = OBJECT_SCHEMA, .help = "Privileges on the schema." },
	{ .key = "table", .type = &type_privileges, IN(table), .min = OBJECT_TABLE, .help = "Privileges on its tables and views." },
	{ .key = "sequence", .type = &type_privileges, IN(sequence), .min = OBJECT_SEQUENCE, .help = "Privileges on its sequences." },
	{ .key = "routine", .type = &type_privileges, IN(routine), .min = OBJECT_FUNCTION,
	  .help = "Privileges on its functions and procedures." },
	{ .key = "type", .type = &type_privileges, IN(type), .min = OBJECT_TYPE, .help = "Privileges on its types and domains." },
};
#undef IN
static const struct option_group level_group = {
	.name = "levels", ROWS(level_rows), sizeof(struct level), offsetof(struct level, source), NULL, check_level
};

/* --- the whole */

static const struct option root_rows[] = {
	{ .key = "authority", .type = &type_word, .offset = offsetof(struct manifest, authority), .words = authorities,
	  .fallback = "additive", .help = "additive only adds; exact also removes what is not declared, within the manifest's scope." },
	{ .key = "unmanaged_grantees", .type = &type_flag, .offset = offsetof(struct manifest, revoke_unmanaged_grantees),
	  .words = unmanaged_words,
	  .help = "With exact: report (the default) or revoke what roles hold that no manifest names." },
	{ .key = "levels", .type = &type_list, LIST(struct manifest, levels), .group = &level_group,
	  .help = "Own levels beside read-only, read-write and admin." },
	{ .key = "roles", .type = &type_list, LIST(struct manifest, roles), .group = &role_group, .help = "Roles." },
	{ .key = "memberships", .type = &type_list, LIST(struct manifest, memberships), .group = &membership_group,
	  .help = "Who is a member of which role." },
	{ .key = "databases", .type = &type_list, LIST(struct manifest, databases), .group = &database_group,
	  .help = "Owner, limit and settings of databases; databases are never created or dropped." },
	{ .key = "settings", .type = &type_settings, LIST(struct manifest, settings),
	  .help = "What every role of the server begins with in every database (ALTER ROLE ALL SET); settings of databases and roles are stronger." },
	{ .key = "extensions", .type = &type_list, LIST(struct manifest, extensions), .group = &extension_group, .help = "Extensions." },
	{ .key = "schemas", .type = &type_list, LIST(struct manifest, schemas), .group = &schema_group, .help = "Schemas." },
	{ .key = "owners", .type = &type_list, LIST(struct manifest, owners), .group = &owner_group, .help = "Owners of other objects: an exact name is stronger than a pattern, what stands first than what comes later; the owner in databases or schemas than both." },
	{ .key = "grants", .type = &type_list, LIST(struct manifest, grants), .group = &grant_group, .help = "Privileges." },
	{ .key = "default_privileges", .type = &type_list, .offset = offsetof(struct manifest, defaults),
	  .extra = offsetof(struct manifest, n_defaults), .group = &default_group, .help = "Privileges on objects still to come." },
	{ .key = "row_security", .type = &type_list, LIST(struct manifest, row_security), .group = &row_security_group,
	  .help = "Row security and its policies, by table." },
	{ .key = "end_marker", .type = &type_bool, .flags = OPT_SILENT, .offset = offsetof(struct manifest, end_marker),
	  .help = "When true, the last line of the file must be \"# end\", so that a file that was cut is always noticed." },
};
const struct option_group manifest_root = { .name = "", ROWS(root_rows), sizeof(struct manifest), -1, NULL, check_manifest };
