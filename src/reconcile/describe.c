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

/* ---- roles ---- */

static void role(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->role);
}

static void role_options(struct text *out, const struct change *c)
{
	for (int i = 0; i < ROLE_ATTRS; i++)
		if (c->attrs_mask & 1u << i)
			text_addf(out, " %s%s", c->attrs & 1u << i ? "" : "NO", role_attr_names[i]);
	if (c->has_connection_limit)
		text_addf(out, " CONNECTION LIMIT %d", c->connection_limit);
	if (c->has_valid_until)
		text_addf(out, " VALID UNTIL %s", c->valid_until ? c->valid_until : "infinity");
}

static void created_role(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->role);
	role_options(out, c);
}

static void altered(struct text *out, const struct plan *plan, const struct change *c)
{
	bool database = c->object_kind == OBJECT_DATABASE;

	text_add(out, database ? "DATABASE " : "ROLE ");
	name(out, plan, database ? c->database : c->role);
	role_options(out, c);
}

static void other_to_role(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->other);
	text_add(out, " TO ");
	name(out, plan, c->role);
}

static void role_to_other(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->role);
	if (c->other) {
		text_add(out, " TO ");
		name(out, plan, c->other);
	}
}

static void role_comment(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->role);
	if (c->value)
		text_addf(out, " IS '%s'", c->value);
	else
		text_add(out, " IS NULL");
}

static void ended_sessions(struct text *out, const struct plan *plan, const struct change *c)
{
	text_addf(out, "%u SESSION%s OF ", c->n, c->n == 1 ? "" : "S");
	name(out, plan, c->role);
}

static void granted_membership(struct text *out, const struct plan *plan, const struct change *c)
{
	other_to_role(out, plan, c);
	if (c->admin)
		text_add(out, " WITH ADMIN");
}

static void revoked_membership(struct text *out, const struct plan *plan, const struct change *c)
{
	name(out, plan, c->other);
	text_add(out, " FROM ");
	name(out, plan, c->role);
}

/* ---- settings ---- */

static void set_for(struct text *out, const struct plan *plan, const struct change *c)
{
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

static void setting(struct text *out, const struct plan *plan, const struct change *c)
{
	text_addf(out, "%s = %s", c->name, c->value);
	set_for(out, plan, c);
}

static void reset_setting(struct text *out, const struct plan *plan, const struct change *c)
{
	text_add(out, c->name);
	set_for(out, plan, c);
}

/* ---- databases, schemas, extensions, migrations ---- */

static void named(struct text *out, const struct plan *plan, const struct change *c)
{
	(void)plan;
	quote_ident_display(out, c->name);
}

static void named_and_owned(struct text *out, const struct plan *plan, const struct change *c)
{
	quote_ident_display(out, c->name);
	if (c->role) {
		text_add(out, " OWNED BY ");
		name(out, plan, c->role);
	}
}

static void updated_extension(struct text *out, const struct plan *plan, const struct change *c)
{
	named(out, plan, c);
	text_addf(out, " UPDATE TO %s", c->value);
}

static void moved_extension(struct text *out, const struct plan *plan, const struct change *c)
{
	named(out, plan, c);
	text_addf(out, " SET SCHEMA %s", c->extra);
}

static void migration(struct text *out, const struct plan *plan, const struct change *c)
{
	(void)plan;
	text_add(out, c->extra ? c->extra : c->name);
}

/* ---- owners and privileges ---- */

static void owner(struct text *out, const struct plan *plan, const struct change *c)
{
	objects(out, plan, c);
	text_add(out, " TO ");
	name(out, plan, c->role);
}

static void granted(struct text *out, const struct plan *plan, const struct change *c)
{
	privileges(out, c);
	text_add(out, " ON ");
	objects(out, plan, c);
	text_add(out, " TO ");
	name(out, plan, c->role);
	if (c->grantable)
		text_add(out, " WITH GRANT OPTION");
}

static void revoked(struct text *out, const struct plan *plan, const struct change *c)
{
	privileges(out, c);
	text_add(out, " ON ");
	objects(out, plan, c);
	text_add(out, " FROM ");
	name(out, plan, c->role);
	if (c->grantor) {
		text_add(out, " (granted by ");
		name(out, plan, c->grantor);
		text_add(out, ")");
	}
}

static void future_objects(struct text *out, const struct plan *plan, const struct change *c)
{
	static const struct { char objtype; const char *word; } kinds[] = { { 'r', "tables" }, { 'S', "sequences" }, { 'f', "functions" },
									    { 'T', "types" }, { 'n', "schemas" }, { 'L', "large objects" } };
	const char *word = "objects";

	for (size_t i = 0; i < sizeof kinds / sizeof *kinds; i++)
		if (kinds[i].objtype == c->objtype)
			word = kinds[i].word;
	privileges(out, c);
	text_addf(out, " ON future %s", word);
	if (c->schema) {
		text_add(out, " in schema ");
		name(out, plan, c->schema);
	}
	text_add(out, " of ");
	name(out, plan, c->other);
}

static void granted_default(struct text *out, const struct plan *plan, const struct change *c)
{
	future_objects(out, plan, c);
	text_add(out, " TO ");
	name(out, plan, c->role);
	if (c->grantable)
		text_add(out, " WITH GRANT OPTION");
}

static void revoked_default(struct text *out, const struct plan *plan, const struct change *c)
{
	if (c->grantable)
		text_add(out, "GRANT OPTION FOR ");
	future_objects(out, plan, c);
	text_add(out, " FROM ");
	name(out, plan, c->role);
}

/* ---- row security ---- */

static void row_security(struct text *out, const struct plan *plan, const struct change *c)
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

static void policy(struct text *out, const struct plan *plan, const struct change *c)
{
	quote_ident_display(out, c->name);
	text_add(out, " ON ");
	objects(out, plan, c);
}

/* ---- every kind ---- */

static void undone(struct text *out, const struct plan *plan, const struct change *c);

/* What each operation is to a reader of a diff, the words that it begins with, and who says the rest. */
static const struct wording {
	char sign;
	const char *words;
	void (*rest)(struct text *, const struct plan *, const struct change *);
} wordings[CHANGE_OPS] = {
	[CHANGE_CREATE_ROLE] = { '+', "CREATE ROLE ", created_role },
	[CHANGE_RENAME_ROLE] = { '~', "RENAME ROLE ", other_to_role },
	[CHANGE_ALTER_ROLE] = { '~', "ALTER ", altered },
	[CHANGE_SET_PASSWORD] = { '~', "SET PASSWORD of role ", role },
	[CHANGE_COMMENT_ROLE] = { '~', "COMMENT ON ROLE ", role_comment },
	[CHANGE_SET_SETTING] = { '~', "SET ", setting },
	[CHANGE_RESET_SETTING] = { '-', "RESET ", reset_setting },
	[CHANGE_GRANT_MEMBERSHIP] = { '+', "GRANT ROLE ", granted_membership },
	[CHANGE_REVOKE_MEMBERSHIP] = { '-', "REVOKE ROLE ", revoked_membership },
	[CHANGE_CREATE_DATABASE] = { '+', "CREATE DATABASE ", named_and_owned },
	[CHANGE_CREATE_SCHEMA] = { '+', "CREATE SCHEMA ", named_and_owned },
	[CHANGE_CREATE_EXTENSION] = { '+', "CREATE EXTENSION ", named },
	[CHANGE_UPDATE_EXTENSION] = { '~', "ALTER EXTENSION ", updated_extension },
	[CHANGE_MOVE_EXTENSION] = { '~', "ALTER EXTENSION ", moved_extension },
	[CHANGE_DROP_EXTENSION] = { '-', "DROP EXTENSION ", named },
	[CHANGE_MIGRATE] = { '+', "MIGRATE ", migration },
	[CHANGE_OWNER] = { '~', "OWNER OF ", owner },
	[CHANGE_GRANT] = { '+', "GRANT ", granted },
	[CHANGE_REVOKE] = { '-', "REVOKE ", revoked },
	[CHANGE_REVOKE_GRANT_OPTION] = { '-', "REVOKE GRANT OPTION FOR ", revoked },
	[CHANGE_DEFAULT_GRANT] = { '+', "DEFAULT GRANT ", granted_default },
	[CHANGE_DEFAULT_REVOKE] = { '-', "DEFAULT REVOKE ", revoked_default },
	[CHANGE_ROW_SECURITY] = { '~', "", row_security },
	[CHANGE_CREATE_POLICY] = { '+', "CREATE POLICY ", policy },
	[CHANGE_ALTER_POLICY] = { '~', "ALTER POLICY ", policy },
	[CHANGE_REPLACE_POLICY] = { '~', "REPLACE POLICY ", policy },
	[CHANGE_DROP_POLICY] = { '-', "DROP POLICY ", policy },
	[CHANGE_REASSIGN_OWNED] = { '~', "REASSIGN OWNED BY ", role_to_other },
	[CHANGE_END_SESSIONS] = { '-', "END ", ended_sessions },
	[CHANGE_DROP_ROLE] = { '-', "DROP ROLE ", role },
	[CHANGE_DROP_SCHEMA] = { '-', "DROP SCHEMA ", named },
	[CHANGE_COMMENT_POLICY] = { '~', "COMMENT ON POLICY ", policy },
	[CHANGE_UNDO] = { '~', "UNDO ", undone },
};

static void describe(struct text *out, const struct plan *plan, const struct change *c)
{
	text_add(out, wordings[c->op].words);
	wordings[c->op].rest(out, plan, c);
}

static void undone(struct text *out, const struct plan *plan, const struct change *c)
{
	text_addf(out, "%" PRId64 ": ", c->undo->id);
	describe(out, plan, &c->undo->parts[0]);
	if (c->undo->n_parts > 1)
		text_addf(out, ", and %u more", c->undo->n_parts - 1);
}

char *change_describe(void *parent, const struct plan *plan, const struct change *change)
{
	struct text *out = text_new(NULL);
	char *result;

	describe(out, plan, change);
	result = talloc_strdup(parent, out->s);
	talloc_free(out);
	return result;
}

char change_sign(const struct change *change)
{
	return wordings[change->op].sign;
}
