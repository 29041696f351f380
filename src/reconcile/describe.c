/* SPDX-License-Identifier: PostgreSQL */
/* A change as one line for people, in a plan, a diff and the history. */
#include <inttypes.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"
#include "model/selector.h"
#include "reconcile/plan.h"

#define NAMES_SHOWN 3

static void name(struct text *out, const struct plan *plan, name_id id)
{
	if (id == NAME_NONE)
		text_add(out, "PUBLIC");
	else
		quote_ident_display(out, names_text(plan->names, id));
}

/* A routine comes as name(arguments): only the name may need quotes. */
static void object_display(struct text *out, const struct change *c, const char *object)
{
	bool routine = c->object_kind == OBJECT_FUNCTION || c->object_kind == OBJECT_PROCEDURE;
	const char *paren = routine ? routine_arguments(object, strlen(object)) : NULL;
	char *copy;

	if (!paren) {
		quote_ident_display(out, object);
		return;
	}
	copy = talloc_strndup(out, object, (size_t)(paren - object));
	quote_ident_display(out, copy);
	text_add(out, paren);
	talloc_free(copy);
}

/* "table app.users", or "12 tables in schema app (a, b, c, …)" */
static void objects(struct text *out, const struct plan *plan, const struct change *c)
{
	const struct object_kind_info *info = object_kind_info(c->object_kind);
	const char *word = object_kind_word(c->object_kind, c->relkind);

	if (c->object_kind == OBJECT_COLUMN) {
		text_add(out, "column ");
		quote_ident_display(out, c->column);
		text_add(out, " of ");
		word = "table";
		info = object_kind_info(OBJECT_TABLE);
	}
	if (c->n == 1 && c->names) {
		text_addf(out, "%s ", word);
		if (info->in_schema) {
			name(out, plan, c->schema);
			text_add_char(out, '.');
		}
		object_display(out, c, c->names[0]);
		return;
	}
	text_addf(out, "%u %s", c->n, c->object_kind == OBJECT_TABLE && c->relkind != 'r' ? "relations" : info->plural);
	if (info->in_schema) {
		text_add(out, " in schema ");
		name(out, plan, c->schema);
	}
	for (uint32_t i = 0; c->names && i < c->n && i < NAMES_SHOWN; i++) {
		text_add(out, i ? ", " : " (");
		object_display(out, c, c->names[i]);
	}
	if (c->names)
		text_add(out, c->n > NAMES_SHOWN ? ", …)" : ")");
}

static void privileges(struct text *out, const struct change *c)
{
	char buf[256];

	if (c->privs == (object_kind_info(c->object_kind)->privs & ~(privs_t)PRIV_MAINTAIN) && (c->privs & (c->privs - 1)))
		text_add(out, "ALL");
	else
		text_add(out, privileges_format(c->privs, buf, sizeof buf));
}

static void describe_grant(struct text *out, const struct plan *plan, const struct change *c)
{
	bool grant = c->op == CHANGE_GRANT;

	text_add(out, grant ? "GRANT " : c->op == CHANGE_REVOKE ? "REVOKE " : "REVOKE GRANT OPTION FOR ");
	privileges(out, c);
	text_add(out, " ON ");
	objects(out, plan, c);
	text_add(out, grant ? " TO " : " FROM ");
	name(out, plan, c->role);
	if (grant && c->grantable)
		text_add(out, " WITH GRANT OPTION");
	if (!grant && c->grantor) {
		text_add(out, " (granted by ");
		name(out, plan, c->grantor);
		text_add(out, ")");
	}
}

static void describe_role_options(struct text *out, const struct change *c)
{
	for (int i = 0; i < ROLE_ATTRS; i++)
		if (c->attrs_mask & 1u << i)
			text_addf(out, " %s%s", c->attrs & 1u << i ? "" : "NO", role_attr_names[i]);
	if (c->has_connection_limit)
		text_addf(out, " CONNECTION LIMIT %d", c->connection_limit);
	if (c->has_valid_until)
		text_addf(out, " VALID UNTIL %s", c->valid_until ? c->valid_until : "infinity");
}

static void describe_setting(struct text *out, const struct plan *plan, const struct change *c)
{
	text_addf(out, "%s %s", c->op == CHANGE_SET_SETTING ? "SET" : "RESET", c->name);
	if (c->op == CHANGE_SET_SETTING)
		text_addf(out, " = %s", c->value);
	if (c->role) {
		text_add(out, " for role ");
		name(out, plan, c->role);
	}
	if (c->database) {
		text_add(out, " in database ");
		name(out, plan, c->database);
	}
	if (!c->role && !c->database)
		text_add(out, " for every role");
}

static void describe_policy(struct text *out, const struct plan *plan, const struct change *c, const char *verb)
{
	text_addf(out, "%s ", verb);
	quote_ident_display(out, c->name);
	text_add(out, " ON ");
	objects(out, plan, c);
}

static void describe_row_security(struct text *out, const struct plan *plan, const struct change *c)
{
	if (c->has_enable)
		text_add(out, c->enable ? "ENABLE" : "DISABLE");
	if (c->has_enable && c->has_force)
		text_add(out, ", ");
	if (c->has_force)
		text_add(out, c->force ? "FORCE" : "NO FORCE");
	text_add(out, c->has_enable || c->has_force ? " ROW LEVEL SECURITY on " : "ROW LEVEL SECURITY on ");
	objects(out, plan, c);
}

static void describe_default(struct text *out, const struct plan *plan, const struct change *c)
{
	static const char kinds[][2][16] = { { "r", "tables" }, { "S", "sequences" }, { "f", "functions" }, { "T", "types" },
					     { "n", "schemas" }, { "L", "large objects" } };
	const char *word = "objects";

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i][0][0] == c->objtype)
			word = kinds[i][1];
	text_add(out, c->op == CHANGE_DEFAULT_GRANT ? "DEFAULT GRANT " : c->grantable ? "DEFAULT REVOKE GRANT OPTION FOR " : "DEFAULT REVOKE ");
	privileges(out, c);
	text_addf(out, " ON future %s", word);
	if (c->schema) {
		text_add(out, " in schema ");
		name(out, plan, c->schema);
	}
	text_add(out, " of ");
	name(out, plan, c->other);
	text_add(out, c->op == CHANGE_DEFAULT_GRANT ? " TO " : " FROM ");
	name(out, plan, c->role);
	if (c->op == CHANGE_DEFAULT_GRANT && c->grantable)
		text_add(out, " WITH GRANT OPTION");
}

static void describe_membership(struct text *out, const struct plan *plan, const struct change *c)
{
	bool grant = c->op == CHANGE_GRANT_MEMBERSHIP;

	text_add(out, grant ? "GRANT ROLE " : "REVOKE ROLE ");
	name(out, plan, c->other);
	text_add(out, grant ? " TO " : " FROM ");
	name(out, plan, c->role);
	if (grant && c->admin)
		text_add(out, " WITH ADMIN");
}

static void described(struct text *out, const struct plan *plan, const struct change *c)
{
	switch (c->op) {
	case CHANGE_CREATE_ROLE:
		text_add(out, "CREATE ROLE ");
		name(out, plan, c->role);
		describe_role_options(out, c);
		break;
	case CHANGE_ALTER_ROLE:
		text_add(out, c->object_kind == OBJECT_DATABASE ? "ALTER DATABASE " : "ALTER ROLE ");
		name(out, plan, c->object_kind == OBJECT_DATABASE ? c->database : c->role);
		describe_role_options(out, c);
		break;
	case CHANGE_RENAME_ROLE:
		text_add(out, "RENAME ROLE ");
		name(out, plan, c->other);
		text_add(out, " TO ");
		name(out, plan, c->role);
		break;
	case CHANGE_SET_PASSWORD:
		text_add(out, "SET PASSWORD of role ");
		name(out, plan, c->role);
		break;
	case CHANGE_COMMENT_ROLE:
		text_add(out, "COMMENT ON ROLE ");
		name(out, plan, c->role);
		if (c->value)
			text_addf(out, " IS '%s'", c->value);
		else
			text_add(out, " IS NULL");
		break;
	case CHANGE_SET_SETTING: case CHANGE_RESET_SETTING:
		describe_setting(out, plan, c);
		break;
	case CHANGE_GRANT_MEMBERSHIP: case CHANGE_REVOKE_MEMBERSHIP:
		describe_membership(out, plan, c);
		break;
	case CHANGE_CREATE_DATABASE: case CHANGE_CREATE_SCHEMA:
		text_add(out, c->op == CHANGE_CREATE_DATABASE ? "CREATE DATABASE " : "CREATE SCHEMA ");
		quote_ident_display(out, c->name);
		if (c->role) {
			text_add(out, " OWNED BY ");
			name(out, plan, c->role);
		}
		break;
	case CHANGE_CREATE_EXTENSION: case CHANGE_UPDATE_EXTENSION: case CHANGE_MOVE_EXTENSION: case CHANGE_DROP_EXTENSION:
		text_add(out, c->op == CHANGE_CREATE_EXTENSION ? "CREATE EXTENSION " : c->op == CHANGE_DROP_EXTENSION ? "DROP EXTENSION " :
			 "ALTER EXTENSION ");
		quote_ident_display(out, c->name);
		if (c->op == CHANGE_UPDATE_EXTENSION)
			text_addf(out, " UPDATE TO %s", c->value);
		if (c->op == CHANGE_MOVE_EXTENSION)
			text_addf(out, " SET SCHEMA %s", c->extra);
		break;
	case CHANGE_MIGRATE:
		text_addf(out, "MIGRATE %s", c->extra ? c->extra : c->name);
		break;
	case CHANGE_OWNER:
		text_add(out, "OWNER OF ");
		objects(out, plan, c);
		text_add(out, " TO ");
		name(out, plan, c->role);
		break;
	case CHANGE_GRANT: case CHANGE_REVOKE: case CHANGE_REVOKE_GRANT_OPTION:
		describe_grant(out, plan, c);
		break;
	case CHANGE_DEFAULT_GRANT: case CHANGE_DEFAULT_REVOKE:
		describe_default(out, plan, c);
		break;
	case CHANGE_ROW_SECURITY:
		describe_row_security(out, plan, c);
		break;
	case CHANGE_CREATE_POLICY: describe_policy(out, plan, c, "CREATE POLICY"); break;
	case CHANGE_ALTER_POLICY: describe_policy(out, plan, c, "ALTER POLICY"); break;
	case CHANGE_REPLACE_POLICY: describe_policy(out, plan, c, "REPLACE POLICY"); break;
	case CHANGE_DROP_POLICY: describe_policy(out, plan, c, "DROP POLICY"); break;
	case CHANGE_REASSIGN_OWNED:
		text_add(out, "REASSIGN OWNED BY ");
		name(out, plan, c->role);
		if (c->other) {
			text_add(out, " TO ");
			name(out, plan, c->other);
		}
		break;
	case CHANGE_END_SESSIONS:
		text_addf(out, "END %u SESSION%s OF ", c->n, c->n == 1 ? "" : "S");
		name(out, plan, c->role);
		break;
	case CHANGE_DROP_ROLE:
		text_add(out, "DROP ROLE ");
		name(out, plan, c->role);
		break;
	case CHANGE_DROP_SCHEMA:
		text_add(out, "DROP SCHEMA ");
		quote_ident_display(out, c->name);
		break;
	case CHANGE_COMMENT_POLICY: describe_policy(out, plan, c, "COMMENT ON POLICY"); break;
	case CHANGE_UNDO:
		text_addf(out, "UNDO %" PRId64 ": ", c->undo->id);
		described(out, plan, &c->undo->parts[0]);
		if (c->undo->n_parts > 1)
			text_addf(out, ", and %u more", c->undo->n_parts - 1);
		break;
	case CHANGE_OPS:
		break;
	}
}

char *change_describe(void *parent, const struct plan *plan, const struct change *change)
{
	struct text *out = text_new(NULL);
	char *result;

	described(out, plan, change);
	result = talloc_strdup(parent, out->s);
	talloc_free(out);
	return result;
}

/* What each operation is to a reader of a diff. */
static const char signs[CHANGE_OPS] = {
	[CHANGE_CREATE_ROLE] = '+', [CHANGE_RENAME_ROLE] = '~', [CHANGE_ALTER_ROLE] = '~', [CHANGE_SET_PASSWORD] = '~',
	[CHANGE_COMMENT_ROLE] = '~', [CHANGE_SET_SETTING] = '~', [CHANGE_RESET_SETTING] = '-', [CHANGE_GRANT_MEMBERSHIP] = '+',
	[CHANGE_REVOKE_MEMBERSHIP] = '-', [CHANGE_CREATE_SCHEMA] = '+', [CHANGE_CREATE_DATABASE] = '+', [CHANGE_CREATE_EXTENSION] = '+',
	[CHANGE_UPDATE_EXTENSION] = '~', [CHANGE_MOVE_EXTENSION] = '~', [CHANGE_DROP_EXTENSION] = '-', [CHANGE_MIGRATE] = '+',
	[CHANGE_OWNER] = '~', [CHANGE_GRANT] = '+', [CHANGE_REVOKE] = '-', [CHANGE_REVOKE_GRANT_OPTION] = '-', [CHANGE_DEFAULT_GRANT] = '+',
	[CHANGE_DEFAULT_REVOKE] = '-', [CHANGE_ROW_SECURITY] = '~', [CHANGE_CREATE_POLICY] = '+', [CHANGE_ALTER_POLICY] = '~',
	[CHANGE_REPLACE_POLICY] = '~', [CHANGE_DROP_POLICY] = '-', [CHANGE_REASSIGN_OWNED] = '~', [CHANGE_END_SESSIONS] = '-',
	[CHANGE_DROP_ROLE] = '-', [CHANGE_DROP_SCHEMA] = '-', [CHANGE_COMMENT_POLICY] = '~', [CHANGE_UNDO] = '~',
};

char change_sign(const struct change *change)
{
	return signs[change->op];
}
