/* SPDX-License-Identifier: PostgreSQL */
/*
 * What cannot be done is blocked instead of tried and failed in every pass.
 *
 * What we cannot do because we are no superuser comes with the statement
 * that an administrator can run once.
 * Grants and revokes on objects are judged in diff_acl.c, entry by entry.
 *
 * The rules are those of PostgreSQL (its documentation, CREATE ROLE, GRANT and
 * "Role Attributes"): to 15, CREATEROLE administers every role that is no superuser;
 * from 16 on it takes ADMIN on the role too, and only attributes that one has
 * oneself can be given. A managed service may allow more to its own admin role
 * (extensions above all): where we are a member of one it is tried.
 */
#include "reconcile/diff.h"

#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"

/* Why a change cannot be made, and what helps; both NULL = it can be made, as far as can be known. */
struct lack {
	const char *reason, *remedy;
};

/* --- words --------------------------------------------------------------------------------------------------------- */

static const char *name_of(const struct differ *d, name_id role)
{
	return names_text(d->names, role);
}

static struct lack cannot_act_as(struct differ *d, name_id role)
{
	role = role_really(d, role);
	return (struct lack){
		talloc_asprintf(d->plan, "dbreconcile is no superuser and cannot act as role %s", name_of(d, role)),
		become_sql(d, "", role),
	};
}

/* Nothing that could be granted helps: the change itself is for a superuser. */
static struct lack superusers_only(struct differ *d, const struct change *c, const char *what)
{
	struct statements sql;
	struct text *remedy = text_new(d->plan);

	change_sql_display(d->temporary, d->plan, c, d->version_num, &sql);
	text_add(remedy, "as a superuser, run once: ");
	for (uint32_t i = 0; i < sql.n; i++)
		text_addf(remedy, "%s%s", i ? "; " : "", sql.v[i]);
	return (struct lack){ talloc_asprintf(d->plan, "only a superuser may %s", what), remedy->s };
}

/* --- roles --------------------------------------------------------------------------------------------------------- */

static bool has_admin(const struct differ *d, name_id role, enum reach how)
{
	for (uint32_t i = 0; i < d->server->n_memberships; i++) {
		const struct membership *m = &d->server->memberships[i];

		if (m->role == role && m->admin && reaches(d, m->member, how))
			return true;
	}
	return false;
}

static struct lack needs_createrole(struct differ *d)
{
	if (d->server->facts.createrole)
		return (struct lack){ NULL, NULL };
	return (struct lack){ "dbreconcile's login has no CREATEROLE", differ_sql(d, "ALTER ROLE ", d->me, " CREATEROLE", NAME_NONE, "") };
}

static struct lack needs_admin(struct differ *d, name_id role, enum reach how)
{
	if (has_admin(d, role, how))
		return (struct lack){ NULL, NULL };
	return (struct lack){ talloc_asprintf(d->plan, "dbreconcile's login has no ADMIN option on role %s", name_of(d, role)),
			      differ_sql(d, "GRANT ", role, " TO ", d->me, " WITH ADMIN OPTION") };
}

/* May we alter this role at all? One that this plan makes is ours to alter. */
static struct lack administer(struct differ *d, const struct change *c, name_id name)
{
	const struct role *live = server_role(d->server, name);
	struct lack lack = { NULL, NULL };

	if (!live || name == d->me)
		return lack;
	if (live->attrs & ROLE_SUPERUSER)
		return superusers_only(d, c, "change a superuser");
	if ((live->attrs & ROLE_REPLICATION) && d->version_num < 160000)
		return superusers_only(d, c, "change a role with REPLICATION");
	lack = needs_createrole(d);
	return lack.reason || d->version_num < 160000 ? lack : needs_admin(d, name, REACH_MEMBER);
}

/* Attributes that only who has them may give, from 16 on; before, a superuser (CREATEDB: anybody with CREATEROLE). */
static struct lack attributes(struct differ *d, const struct change *c, unsigned mask)
{
	const struct server_facts *facts = &d->server->facts;
	const struct { unsigned bit; bool mine; } own[] = {
		{ ROLE_SUPERUSER, false }, { ROLE_REPLICATION, d->version_num >= 160000 && facts->replication },
		{ ROLE_BYPASSRLS, d->version_num >= 160000 && facts->bypassrls }, { ROLE_CREATEDB, d->version_num < 160000 || facts->createdb },
	};

	for (size_t i = 0; i < sizeof own / sizeof *own; i++) {
		int bit = ffs((int)own[i].bit) - 1;

		if (!(mask & own[i].bit) || own[i].mine)
			continue;
		if (own[i].bit == ROLE_CREATEDB)
			return (struct lack){ "only who has CREATEDB may give or take it", differ_sql(d, "ALTER ROLE ", d->me, " CREATEDB", NAME_NONE, "") };
		return superusers_only(d, c, talloc_asprintf(d->plan, "give or take %s", role_attr_names[bit]));
	}
	return (struct lack){ NULL, NULL };
}

static struct lack create_role(struct differ *d, const struct change *c)
{
	struct lack lack = needs_createrole(d);

	return lack.reason ? lack : attributes(d, c, c->attrs & c->attrs_mask);
}

static struct lack own_database(struct differ *d, name_id database)
{
	for (uint32_t i = 0; i < d->server->n_databases; i++)
		if (d->server->databases[i].name == database && !reaches(d, d->server->databases[i].owner, REACH_PRIVILEGES))
			return cannot_act_as(d, d->server->databases[i].owner);
	return (struct lack){ NULL, NULL };
}

static struct lack alter_role(struct differ *d, const struct change *c)
{
	struct lack lack;

	if (c->object_kind == OBJECT_DATABASE)
		return own_database(d, c->database);
	lack = administer(d, c, c->role);
	return lack.reason ? lack : attributes(d, c, c->attrs_mask);
}

static struct lack administer_role(struct differ *d, const struct change *c)
{
	return administer(d, c, c->role);
}

static struct lack rename_role(struct differ *d, const struct change *c)
{
	return administer(d, c, c->other);
}

static struct lack membership(struct differ *d, const struct change *c)
{
	const struct role *role = server_role(d->server, c->other);
	struct lack none = { NULL, NULL };

	if (!role)
		return none;
	if (d->version_num < 160000 && c->op == CHANGE_GRANT_MEMBERSHIP && c->grantor && c->grantor != d->me)
		return superusers_only(d, c, talloc_asprintf(d->plan, "grant a membership in the name of %s", name_of(d, c->grantor)));
	if (d->version_num < 160000)
		return d->server->facts.createrole && !(role->attrs & ROLE_SUPERUSER) ? none : needs_admin(d, c->other, REACH_MEMBER);
	if (c->grantor && !reaches(d, c->grantor, REACH_PRIVILEGES))
		return superusers_only(d, c, talloc_asprintf(d->plan, "change a membership that %s granted", name_of(d, c->grantor)));
	return c->grantor ? none : needs_admin(d, c->other, REACH_PRIVILEGES);
}

static struct lack end_sessions(struct differ *d, const struct change *c)
{
	name_id signals = names_find(d->names, "pg_signal_backend", strlen("pg_signal_backend"));

	if (reaches(d, c->role, REACH_PRIVILEGES) || (signals && reaches(d, signals, REACH_PRIVILEGES)))
		return (struct lack){ NULL, NULL };
	return (struct lack){ talloc_asprintf(d->plan, "dbreconcile may not end sessions of role %s", name_of(d, c->role)),
			      differ_sql(d, "GRANT pg_signal_backend TO ", d->me, "", NAME_NONE, "") };
}

/* --- settings ------------------------------------------------------------------------------------------------------ */

/* pg_settings.context = 'superuser', PostgreSQL 14 to 18; sorted. */
static const char *const superuser_settings[] = {
	"allow_in_place_tablespaces", "allow_system_table_mods", "backtrace_functions", "commit_delay", "compute_query_id", "deadlock_timeout",
	"debug_discard_caches", "dynamic_library_path", "event_triggers", "extension_control_path", "ignore_checksum_failure",
	"jit_dump_bitcode", "lc_messages", "lo_compat_privileges", "log_duration", "log_error_verbosity", "log_executor_stats",
	"log_lock_failures", "log_lock_waits", "log_min_duration_sample", "log_min_duration_statement", "log_min_error_statement",
	"log_min_messages", "log_parameter_max_length", "log_parser_stats", "log_planner_stats", "log_replication_commands",
	"log_statement", "log_statement_sample_rate", "log_statement_stats", "log_temp_files", "log_transaction_sample_rate",
	"max_stack_depth", "output_plugin_libraries", "session_preload_libraries", "session_replication_role", "temp_file_limit",
	"track_activities", "track_cost_delay_timing", "track_counts", "track_functions", "track_io_timing", "track_wal_io_timing",
	"update_process_title", "wal_compression", "wal_consistency_checking", "wal_init_zero", "wal_recycle", "zero_damaged_pages",
};

static bool superuser_setting(const char *name)
{
	for (size_t i = 0; i < sizeof superuser_settings / sizeof *superuser_settings; i++)
		if (strcasecmp(superuser_settings[i], name) == 0)
			return true;
	return false;
}

/* GRANT SET ON PARAMETER, 15+, to us, to one whose privileges we have, or to PUBLIC. */
static bool parameter_granted(struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->server->n_objects; i++) {
		const struct object_group *g = &d->server->objects[i];
		size_t cursor = 0, len;
		const char *member;
		bool ours = false;

		for (uint32_t e = 0; g->kind == OBJECT_PARAMETER && e < g->acl->n; e++)
			ours |= (g->acl->v[e].privs & PRIV_SET) &&
				(g->acl->v[e].grantee == NAME_NONE || reaches(d, g->acl->v[e].grantee, REACH_PRIVILEGES));
		while (ours && (member = object_group_next(g, &cursor, d->scratch, &len)))
			if (strlen(name) == len && strncasecmp(member, name, len) == 0)
				return true;
	}
	return false;
}

static struct lack setting(struct differ *d, const struct change *c)
{
	struct lack lack = { NULL, NULL };

	if (!c->role && !c->database)
		return superusers_only(d, c, "change a server's default for every role");
	lack = c->role ? administer(d, c, c->role) : own_database(d, c->database);
	if (lack.reason || !superuser_setting(c->name) || parameter_granted(d, c->name))
		return lack;
	lack = superusers_only(d, c, talloc_asprintf(d->plan, "set %s", c->name));
	if (d->version_num >= 150000)
		lack.remedy = differ_sql(d, talloc_asprintf(d->plan, "GRANT SET ON PARAMETER %s TO ", c->name), d->me, "", NAME_NONE, "");
	return lack;
}

/* --- in a database ------------------------------------------------------------------------------------------------- */

static bool may_create_here(const struct differ *d)
{
	const struct database *db = server_database(d->server, d->database);

	if (!db || reaches(d, db->owner, REACH_PRIVILEGES))
		return true;
	for (uint32_t i = 0; i < db->acl->n; i++)
		if ((db->acl->v[i].privs & PRIV_CREATE) &&
		    (db->acl->v[i].grantee == NAME_NONE || reaches(d, db->acl->v[i].grantee, REACH_PRIVILEGES)))
			return true;
	return false;
}

static struct lack needs_create_here(struct differ *d)
{
	if (may_create_here(d))
		return (struct lack){ NULL, NULL };
	return (struct lack){ "dbreconcile's login may not create in this database",
			      differ_sql(d, "GRANT CREATE ON DATABASE ", server_database(d->server, d->database)->name, " TO ", d->me, "") };
}

static struct lack create_schema(struct differ *d, const struct change *c)
{
	struct lack lack = needs_create_here(d);

	if (lack.reason || !c->role || reaches(d, role_really(d, c->role), REACH_SET))
		return lack;
	return cannot_act_as(d, c->role);
}

static struct lack create_database(struct differ *d, const struct change *c)
{
	if (!d->server->facts.createdb)
		return (struct lack){ "dbreconcile may not create databases", differ_sql(d, "ALTER ROLE ", d->me, " CREATEDB", NAME_NONE, "") };
	return c->role && !reaches(d, c->role, REACH_SET) ? cannot_act_as(d, c->role) : (struct lack){ NULL, NULL };
}

/* The owner is a role that the plan itself may be making: then nobody has asked for it yet. */
static struct lack owner(struct differ *d, const struct change *c)
{
	if (c->other && !reaches(d, role_really(d, c->other), REACH_PRIVILEGES))
		return cannot_act_as(d, c->other);
	return c->role && !reaches(d, role_really(d, c->role), REACH_SET) ? cannot_act_as(d, c->role) : (struct lack){ NULL, NULL };
}

static struct lack defaults(struct differ *d, const struct change *c)
{
	return c->other && !reaches(d, c->other, REACH_PRIVILEGES) ? cannot_act_as(d, c->other) : (struct lack){ NULL, NULL };
}

static struct lack reassign(struct differ *d, const struct change *c)
{
	if (!reaches(d, c->role, REACH_PRIVILEGES))
		return cannot_act_as(d, c->role);
	return c->other && !reaches(d, c->other, REACH_PRIVILEGES) ? cannot_act_as(d, c->other) : (struct lack){ NULL, NULL };
}

/* The admin roles of managed services, whose members may do more than the catalogs say. */
static bool provider_admin(const struct differ *d)
{
	static const char *const roles[] = { "rds_superuser", "cloudsqlsuperuser", "azure_pg_admin", "alloydbsuperuser" };

	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		name_id role = names_find(d->names, roles[i], strlen(roles[i]));

		if (role && reaches(d, role, REACH_MEMBER))
			return true;
	}
	return false;
}

static struct lack create_extension(struct differ *d, const struct change *c)
{
	if (provider_admin(d))
		return (struct lack){ NULL, NULL };
	for (uint32_t i = 0; i < d->database->n_available; i++)
		if (strcmp(d->database->available_extensions[i], c->name) == 0 && d->database->untrusted_extensions[i])
			return superusers_only(d, c, "create this extension: it is not trusted");
	return needs_create_here(d);
}

static struct lack own_extension(struct differ *d, const struct change *c)
{
	for (uint32_t i = 0; i < d->database->n_extensions && !provider_admin(d); i++) {
		const struct extension *x = &d->database->extensions[i];

		if (strcmp(x->name, c->name) != 0 || reaches(d, role_really(d, x->owner), REACH_PRIVILEGES))
			continue;
		return superusers_only(d, c, talloc_asprintf(d->plan, "change an extension of %s", name_of(d, x->owner)));
	}
	return (struct lack){ NULL, NULL };
}

static struct lack own_table(struct differ *d, const struct change *c)
{
	for (uint32_t i = 0; i < d->database->n_objects; i++) {
		const struct object_group *g = &d->database->objects[i];
		size_t cursor = 0, len;
		const char *name;

		if (g->kind != OBJECT_TABLE || g->schema != c->schema || reaches(d, role_really(d, g->owner), REACH_PRIVILEGES))
			continue;
		while ((name = object_group_next(g, &cursor, d->scratch, &len)))
			if (strlen(c->names[0]) == len && memcmp(name, c->names[0], len) == 0)
				return cannot_act_as(d, g->owner);
	}
	return (struct lack){ NULL, NULL };
}

/* --- all of them --------------------------------------------------------------------------------------------------- */

static struct lack (*const checks[CHANGE_OPS])(struct differ *, const struct change *) = {
	[CHANGE_CREATE_ROLE] = create_role, [CHANGE_RENAME_ROLE] = rename_role, [CHANGE_ALTER_ROLE] = alter_role,
	[CHANGE_SET_PASSWORD] = administer_role, [CHANGE_COMMENT_ROLE] = administer_role, [CHANGE_DROP_ROLE] = administer_role,
	[CHANGE_SET_SETTING] = setting, [CHANGE_RESET_SETTING] = setting, [CHANGE_GRANT_MEMBERSHIP] = membership,
	[CHANGE_REVOKE_MEMBERSHIP] = membership, [CHANGE_END_SESSIONS] = end_sessions, [CHANGE_CREATE_SCHEMA] = create_schema,
	[CHANGE_CREATE_DATABASE] = create_database,
	[CHANGE_OWNER] = owner, [CHANGE_DEFAULT_GRANT] = defaults, [CHANGE_DEFAULT_REVOKE] = defaults, [CHANGE_REASSIGN_OWNED] = reassign,
	[CHANGE_CREATE_EXTENSION] = create_extension, [CHANGE_UPDATE_EXTENSION] = own_extension, [CHANGE_MOVE_EXTENSION] = own_extension,
	[CHANGE_DROP_EXTENSION] = own_extension, [CHANGE_ROW_SECURITY] = own_table, [CHANGE_CREATE_POLICY] = own_table,
	[CHANGE_ALTER_POLICY] = own_table, [CHANGE_REPLACE_POLICY] = own_table, [CHANGE_DROP_POLICY] = own_table,
};

/* The change that makes the schema; NULL when this plan makes none of that name. */
static const struct change *schema_made(const struct differ *d, const char *name)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++)
		if (d->plan->changes[i].op == CHANGE_CREATE_SCHEMA && strcmp(d->plan->changes[i].name, name) == 0)
			return &d->plan->changes[i];
	return NULL;
}

static void wait_for_schema(struct differ *d, struct change *c, const struct change *schema)
{
	change_block(c, talloc_asprintf(d->plan, "schema %s does not exist and %s", schema->name,
					schema->state == CHANGE_HELD ? "waits for approval" : "cannot be made"),
		     "see what blocks the schema");
}

/* Grants on a schema that is not made in this pass, and what objects in one are to have. */
static void follow_schema(struct differ *d, struct change *c)
{
	const struct change *schema;

	if (c->state != CHANGE_READY)
		return;
	for (uint32_t i = 0; c->op == CHANGE_GRANT && c->object_kind == OBJECT_SCHEMA && i < c->n; i++) {
		schema = schema_made(d, c->names[i]);
		if (schema && schema->state != CHANGE_READY)
			wait_for_schema(d, c, schema);
	}
	if (c->op != CHANGE_DEFAULT_GRANT || !c->schema || schema_group(d, c->schema))
		return;
	schema = schema_made(d, name_of(d, c->schema));
	if (!schema)
		change_block(c, talloc_asprintf(d->plan, "schema %s does not exist", name_of(d, c->schema)),
			     "declare it in 'schemas', create it (a migration?) or correct the name");
	else if (schema->state != CHANGE_READY)
		wait_for_schema(d, c, schema);
}

enum { MAKES = 1, MAKES_LATER = 2, RENAMES = 4 };

/* By name id: what this plan does to make the role. Asked for each change, so it is found once for all of them. */
static uint8_t *made_roles(struct differ *d)
{
	uint8_t *made = talloc_zero_array(d->temporary, uint8_t, names_count(d->names) + 1);

	if (!made)
		abort();
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_CREATE_ROLE || c->op == CHANGE_RENAME_ROLE)
			made[c->role] |= (c->state == CHANGE_READY ? MAKES : MAKES_LATER) | (c->op == CHANGE_RENAME_ROLE ? RENAMES : 0);
	}
	return made;
}

/* Who would be named and is not there. The server's plan makes roles; by the time that a database's is made they stand, or
   something keeps them. A plan that only shows what would be done speaks of roles that are still to come. */
static bool role_is_missing(const struct differ *d, const uint8_t *made, name_id role)
{
	if (!role || server_role(d->server, role) || !desired_manages(d->desired, role))
		return false;
	if (d->database)
		return d->context->applies;
	return made[role] & MAKES_LATER;
}

/* The role that was undone: what belongs to it waits for the same word. NULL when something else keeps it. */
static const struct change *undone_role(const struct differ *d, name_id role)
{
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		const struct change *c = &d->plan->changes[i];

		if (c->op == CHANGE_CREATE_ROLE && c->role == role && c->undone && c->state == CHANGE_HELD)
			return c;
	}
	return NULL;
}

static void follow_role(struct differ *d, const uint8_t *made, struct change *c)
{
	const name_id roles[] = { c->role, c->other };

	if (c->op == CHANGE_CREATE_ROLE || c->op == CHANGE_RENAME_ROLE || c->state == CHANGE_BLOCKED)
		return;
	for (size_t i = 0; i < sizeof roles / sizeof *roles; i++) {
		const struct change *role;

		if (!role_is_missing(d, made, roles[i]))
			continue;
		role = d->database ? NULL : undone_role(d, roles[i]);
		if (role) {
			c->state = CHANGE_HELD;
			c->reason = role->reason;
			c->undone = true;
			return;
		}
		change_block(c, talloc_asprintf(d->plan, "role %s does not exist yet", name_of(d, roles[i])),
			     d->database ? talloc_asprintf(d->plan, "see the plan of target %s", d->context->server) : "see what keeps the role");
		return;
	}
}

/* What a role has under its old name it will have under the new one: only a look after the renaming tells what is missing. */
static void leave_renamed(struct differ *d)
{
	const uint8_t *made = d->database ? NULL : made_roles(d);
	uint32_t kept = 0;

	for (uint32_t i = 0; made && i < d->plan->n_changes; i++) {
		const struct change c = d->plan->changes[i];
		bool renamed = (made[c.role] & RENAMES && !server_role(d->server, c.role)) || (made[c.other] & RENAMES && !server_role(d->server, c.other));

		if (!renamed || c.op == CHANGE_RENAME_ROLE)
			d->plan->changes[kept++] = c;
	}
	if (made)
		d->plan->n_changes = kept;
}

static void check_rights(struct differ *d, struct change *c)
{
	struct lack lack;

	if (c->state == CHANGE_BLOCKED || !checks[c->op])
		return;
	lack = checks[c->op](d, c);
	if (lack.reason)
		change_block(c, lack.reason, lack.remedy);
}

void rights_apply(struct differ *d)
{
	const uint8_t *made;

	leave_renamed(d);
	for (uint32_t i = 0; !d->server->facts.is_superuser && i < d->plan->n_changes; i++)
		check_rights(d, &d->plan->changes[i]);
	made = made_roles(d);                    /* what was just blocked makes nobody */
	for (uint32_t i = 0; i < d->plan->n_changes; i++) {
		follow_role(d, made, &d->plan->changes[i]);
		follow_schema(d, &d->plan->changes[i]);
	}
}
