/* SPDX-License-Identifier: PostgreSQL */
/* A change -> statements. Every name is quoted, every statement stands alone (extended protocol). */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"
#include "model/quote.h"
#include "reconcile/diff.h"
#include "reconcile/plan.h"

#define OBJECTS_PER_STATEMENT 1000

struct writer {
	const struct plan *plan;
	const struct change *change;
	int version_num;
	bool display;                /* for people: no verifier */
	struct statements *out;
	struct text *text;
};

static void finish(struct writer *w)
{
	struct statements *out = w->out;

	out->v = talloc_realloc(talloc_parent(w->text), out->v, const char *, out->n + 1);
	if (!out->v)
		abort();
	out->v[out->n++] = talloc_strdup(out->v, w->text->s);
	text_clear(w->text);
}

static void role(struct writer *w, name_id id)
{
	if (id == NAME_NONE)
		text_add(w->text, "PUBLIC");
	else
		quote_ident(w->text, names_text(w->plan->names, id));
}

static void add(struct writer *w, const char *s)
{
	text_add(w->text, s);
}

/* "schema"."name"; a routine's name comes with its arguments, which format_type() has already quoted. */
static void object_name(struct writer *w, const char *name)
{
	const struct change *c = w->change;
	const char *paren = NULL;

	if (object_kind_info(c->object_kind)->in_schema) {
		role(w, c->schema);
		text_add_char(w->text, '.');
	}
	if (c->object_kind == OBJECT_FUNCTION || c->object_kind == OBJECT_PROCEDURE)
		paren = routine_arguments(name, strlen(name));
	if (paren) {
		quote_ident_len(w->text, name, (size_t)(paren - name));
		add(w, paren);
	} else if (c->object_kind == OBJECT_LARGE_OBJECT) {
		add(w, name);
	} else {
		quote_ident(w->text, name);
	}
}

static void privileges(struct writer *w)
{
	const struct change *c = w->change;
	bool first = true;

	for (int i = 0; i < PRIV_COUNT; i++) {
		if (!(c->privs & 1u << i))
			continue;
		add(w, first ? "" : ", ");
		add(w, privilege_name(1u << i));
		if (c->column) {
			add(w, " (");
			quote_ident(w->text, c->column);
			add(w, ")");
		}
		first = false;
	}
}

static void speak_as(struct writer *w, name_id who)
{
	add(w, who ? "SET LOCAL ROLE " : "RESET ROLE");
	if (who)
		role(w, who);
	finish(w);
}

/* For the length of the transaction: nobody else ever sees it. */
static void lend_usage(struct writer *w, bool begin)
{
	const struct change *c = w->change;

	if (!c->lends_usage)
		return;
	if (c->lender)
		speak_as(w, c->lender);
	add(w, begin ? "GRANT USAGE ON SCHEMA " : "REVOKE USAGE ON SCHEMA ");
	role(w, c->schema);
	add(w, begin ? " TO " : " FROM ");
	role(w, c->grantor);
	finish(w);
	if (c->lender)
		speak_as(w, NAME_NONE);
}

static void as_grantor(struct writer *w, bool begin)
{
	if (w->change->grantor == NAME_NONE)
		return;
	if (begin)
		lend_usage(w, true);
	speak_as(w, begin ? w->change->grantor : NAME_NONE);
	if (!begin)
		lend_usage(w, false);
}

static const char *grant_word(const struct change *c)
{
	/* GRANT ... ON TYPE covers domains too, and a domain may be granted on as DOMAIN */
	return object_kind_info(c->object_kind)->sql;
}

static void write_grant(struct writer *w)
{
	const struct change *c = w->change;
	bool revoke = c->op != CHANGE_GRANT;

	as_grantor(w, true);
	for (uint32_t at = 0; at < c->n;) {
		uint32_t end = c->n - at > OBJECTS_PER_STATEMENT ? at + OBJECTS_PER_STATEMENT : c->n;

		add(w, revoke ? "REVOKE " : "GRANT ");
		if (c->op == CHANGE_REVOKE_GRANT_OPTION)
			add(w, "GRANT OPTION FOR ");
		privileges(w);
		text_addf(w->text, " ON %s ", grant_word(c));
		for (uint32_t i = at; i < end; i++) {
			add(w, i > at ? ", " : "");
			object_name(w, c->names[i]);
		}
		add(w, revoke ? " FROM " : " TO ");
		role(w, c->role);
		if (!revoke && c->grantable)
			add(w, " WITH GRANT OPTION");
		finish(w);
		at = end;
	}
	as_grantor(w, false);
}

static const char *default_plural(char objtype)
{
	switch (objtype) {
	case 'r': return "TABLES";
	case 'S': return "SEQUENCES";
	case 'f': return "FUNCTIONS";
	case 'T': return "TYPES";
	case 'n': return "SCHEMAS";
	default: return "LARGE OBJECTS";
	}
}

static void write_default(struct writer *w)
{
	const struct change *c = w->change;

	add(w, "ALTER DEFAULT PRIVILEGES FOR ROLE ");
	role(w, c->other);
	if (c->schema) {
		add(w, " IN SCHEMA ");
		role(w, c->schema);
	}
	add(w, c->op == CHANGE_DEFAULT_GRANT ? " GRANT " : c->grantable ? " REVOKE GRANT OPTION FOR " : " REVOKE ");
	privileges(w);
	text_addf(w->text, " ON %s %s ", default_plural(c->objtype), c->op == CHANGE_DEFAULT_GRANT ? "TO" : "FROM");
	role(w, c->role);
	if (c->op == CHANGE_DEFAULT_GRANT && c->grantable)
		add(w, " WITH GRANT OPTION");
	finish(w);
}

static void role_options(struct writer *w)
{
	const struct change *c = w->change;

	for (int i = 0; i < ROLE_ATTRS; i++)
		if (c->attrs_mask & 1u << i)
			text_addf(w->text, " %s%s", c->attrs & 1u << i ? "" : "NO", role_attr_names[i]);
	if (c->has_connection_limit)
		text_addf(w->text, " CONNECTION LIMIT %d", c->connection_limit);
	if (c->has_valid_until) {
		add(w, " VALID UNTIL ");
		quote_literal(w->text, c->valid_until ? c->valid_until : "infinity");
	}
}

static void write_role(struct writer *w)
{
	const struct change *c = w->change;

	if (c->object_kind == OBJECT_DATABASE) {
		add(w, "ALTER DATABASE ");
		role(w, c->database);
	} else {
		add(w, c->op == CHANGE_CREATE_ROLE ? "CREATE ROLE " : "ALTER ROLE ");
		role(w, c->role);
	}
	role_options(w);
	finish(w);
}

static void write_rename(struct writer *w)
{
	add(w, "ALTER ROLE ");
	role(w, w->change->other);
	add(w, " RENAME TO ");
	role(w, w->change->role);
	finish(w);
}

static void write_password(struct writer *w)
{
	add(w, "ALTER ROLE ");
	role(w, w->change->role);
	add(w, " PASSWORD ");
	if (w->display || !w->change->value)
		add(w, "'<redacted>'");
	else
		quote_literal(w->text, w->change->value);
	finish(w);
}

static void write_comment(struct writer *w)
{
	add(w, "COMMENT ON ROLE ");
	role(w, w->change->role);
	add(w, " IS ");
	if (w->change->value)
		quote_literal(w->text, w->change->value);
	else
		add(w, "NULL");
	finish(w);
}

static void write_setting(struct writer *w)
{
	const struct change *c = w->change;

	if (c->role) {
		add(w, "ALTER ROLE ");
		role(w, c->role);
		if (c->database) {
			add(w, " IN DATABASE ");
			role(w, c->database);
		}
	} else if (c->database) {
		add(w, "ALTER DATABASE ");
		role(w, c->database);
	} else {
		add(w, "ALTER ROLE ALL");
	}
	add(w, c->op == CHANGE_SET_SETTING ? " SET " : " RESET ");
	setting_write_name(w->text, c->name);
	if (c->op == CHANGE_SET_SETTING) {
		add(w, " TO ");
		if (setting_is_list(c->name))
			setting_write_list(w->text, c->name, c->value);
		else
			quote_literal(w->text, c->value);
	}
	finish(w);
}

static void write_membership(struct writer *w)
{
	const struct change *c = w->change;
	bool grant = c->op == CHANGE_GRANT_MEMBERSHIP;

	add(w, grant ? "GRANT " : "REVOKE ");
	role(w, c->other);
	add(w, grant ? " TO " : " FROM ");
	role(w, c->role);
	if (grant && w->version_num >= 160000)
		text_addf(w->text, " WITH ADMIN %s, INHERIT %s, SET %s", c->admin ? "TRUE" : "FALSE", c->inherit ? "TRUE" : "FALSE",
			  c->set ? "TRUE" : "FALSE");
	else if (grant && c->admin)
		add(w, " WITH ADMIN OPTION");
	if (c->grantor && (grant || w->version_num >= 160000)) {
		add(w, " GRANTED BY ");
		role(w, c->grantor);
	}
	finish(w);
	/* before 16 a GRANT never lowers the option */
	if (grant && w->version_num < 160000 && !c->admin && c->from) {
		add(w, "REVOKE ADMIN OPTION FOR ");
		role(w, c->other);
		add(w, " FROM ");
		role(w, c->role);
		finish(w);
	}
}

static void write_schema(struct writer *w)
{
	add(w, "CREATE SCHEMA ");
	quote_ident(w->text, w->change->name);
	if (w->change->role) {
		add(w, " AUTHORIZATION ");
		role(w, w->change->role);
	}
	finish(w);
}

static void write_database(struct writer *w)
{
	const struct change *c = w->change;

	add(w, "CREATE DATABASE ");
	quote_ident(w->text, c->name);
	if (c->role) {
		add(w, " OWNER ");
		role(w, c->role);
	}
	if (c->extra) {
		add(w, " TEMPLATE ");
		quote_ident(w->text, c->extra);
	}
	if (c->value) {
		add(w, " ENCODING ");
		quote_literal(w->text, c->value);
	}
	finish(w);
}

static void write_extension(struct writer *w)
{
	const struct change *c = w->change;
	/* without a schema the extension goes where a user's session would put it, not into our pinned pg_catalog */
	bool anywhere = c->op == CHANGE_CREATE_EXTENSION && !c->extra;

	if (anywhere) {
		add(w, "SET LOCAL search_path TO public");
		finish(w);
	}
	add(w, c->op == CHANGE_CREATE_EXTENSION ? "CREATE EXTENSION " : c->op == CHANGE_DROP_EXTENSION ? "DROP EXTENSION " : "ALTER EXTENSION ");
	quote_ident(w->text, c->name);
	if (c->op == CHANGE_CREATE_EXTENSION && c->extra) {
		add(w, " SCHEMA ");
		quote_ident(w->text, c->extra);
	}
	if (c->op == CHANGE_CREATE_EXTENSION && c->value) {
		add(w, " VERSION ");
		quote_literal(w->text, c->value);
	}
	if (c->op == CHANGE_UPDATE_EXTENSION) {
		add(w, " UPDATE TO ");
		quote_literal(w->text, c->value);
	}
	if (c->op == CHANGE_MOVE_EXTENSION) {
		add(w, " SET SCHEMA ");
		quote_ident(w->text, c->extra);
	}
	finish(w);
	if (anywhere) {
		add(w, "SET LOCAL search_path TO pg_catalog, pg_temp");
		finish(w);
	}
}

static const char *owner_word(const struct change *c)
{
	if (c->object_kind == OBJECT_FOREIGN_SERVER)
		return "SERVER";                 /* only GRANT says FOREIGN SERVER */
	if (c->object_kind != OBJECT_TABLE)
		return object_kind_info(c->object_kind)->sql;
	switch (c->relkind) {
	case 'v': return "VIEW";
	case 'm': return "MATERIALIZED VIEW";
	case 'f': return "FOREIGN TABLE";
	default: return "TABLE";
	}
}

static void write_owner(struct writer *w)
{
	const struct change *c = w->change;

	for (uint32_t i = 0; i < c->n; i++) {
		text_addf(w->text, "ALTER %s ", owner_word(c));
		object_name(w, c->names[i]);
		add(w, " OWNER TO ");
		role(w, c->role);
		finish(w);
	}
}

static void write_row_security(struct writer *w)
{
	const struct change *c = w->change;

	for (int flag = 0; flag < 2; flag++) {
		if (!(flag ? c->has_force : c->has_enable))
			continue;
		add(w, "ALTER TABLE ");
		object_name(w, c->names[0]);
		if (flag)
			add(w, c->force ? " FORCE" : " NO FORCE");
		else
			add(w, c->enable ? " ENABLE" : " DISABLE");
		add(w, " ROW LEVEL SECURITY");
		finish(w);
	}
}

static const char *command_word(char command)
{
	switch (command) {
	case 'r': return "SELECT";
	case 'a': return "INSERT";
	case 'w': return "UPDATE";
	case 'd': return "DELETE";
	default: return "ALL";
	}
}

static void policy_head(struct writer *w, const char *verb)
{
	text_addf(w->text, "%s POLICY ", verb);
	quote_ident(w->text, w->change->name);
	add(w, " ON ");
	object_name(w, w->change->names[0]);
}

static void write_policy(struct writer *w)
{
	const struct change *c = w->change;

	if (c->op == CHANGE_DROP_POLICY || c->op == CHANGE_REPLACE_POLICY) {
		policy_head(w, "DROP");
		finish(w);
	}
	if (c->op == CHANGE_DROP_POLICY)
		return;
	policy_head(w, c->op == CHANGE_ALTER_POLICY ? "ALTER" : "CREATE");
	if (c->op != CHANGE_ALTER_POLICY)
		text_addf(w->text, " AS %s FOR %s", c->permissive ? "PERMISSIVE" : "RESTRICTIVE", command_word(c->command));
	text_addf(w->text, " TO %s", c->roles);
	/* a newline before the closing parenthesis, so that a trailing comment ends */
	if (c->value)
		text_addf(w->text, " USING (%s\n)", c->value);
	if (c->extra)
		text_addf(w->text, " WITH CHECK (%s\n)", c->extra);
	finish(w);
}

static void write_reassign(struct writer *w)
{
	add(w, "REASSIGN OWNED BY ");
	role(w, w->change->role);
	add(w, " TO ");
	role(w, w->change->other);
	finish(w);
}

static void write_end_sessions(struct writer *w)
{
	add(w, "SELECT pg_catalog.pg_terminate_backend(pid) FROM pg_catalog.pg_stat_activity WHERE usename = ");
	quote_literal(w->text, names_text(w->plan->names, w->change->role));
	finish(w);
}

static void write_drop_role(struct writer *w)
{
	add(w, "DROP ROLE ");
	role(w, w->change->role);
	finish(w);
}

/* Never CASCADE: what has come into it since stays, and the server says so. */
static void write_drop_schema(struct writer *w)
{
	add(w, "DROP SCHEMA ");
	quote_ident(w->text, w->change->name);
	finish(w);
}

static void write_comment_policy(struct writer *w)
{
	policy_head(w, "COMMENT ON");
	add(w, " IS ");
	quote_literal(w->text, w->change->value);
	finish(w);
}

static void write_undo(struct writer *);

static void write_nothing(struct writer *w)
{
	(void)w;
}

static void (*const writers[CHANGE_OPS])(struct writer *) = {
	[CHANGE_CREATE_ROLE] = write_role, [CHANGE_RENAME_ROLE] = write_rename, [CHANGE_ALTER_ROLE] = write_role,
	[CHANGE_SET_PASSWORD] = write_password, [CHANGE_COMMENT_ROLE] = write_comment, [CHANGE_SET_SETTING] = write_setting,
	[CHANGE_RESET_SETTING] = write_setting, [CHANGE_GRANT_MEMBERSHIP] = write_membership,
	[CHANGE_REVOKE_MEMBERSHIP] = write_membership, [CHANGE_CREATE_SCHEMA] = write_schema,
	[CHANGE_CREATE_DATABASE] = write_database,
	[CHANGE_CREATE_EXTENSION] = write_extension, [CHANGE_UPDATE_EXTENSION] = write_extension,
	[CHANGE_MOVE_EXTENSION] = write_extension, [CHANGE_DROP_EXTENSION] = write_extension, [CHANGE_MIGRATE] = write_nothing,
	[CHANGE_OWNER] = write_owner, [CHANGE_GRANT] = write_grant, [CHANGE_REVOKE] = write_grant,
	[CHANGE_REVOKE_GRANT_OPTION] = write_grant, [CHANGE_DEFAULT_GRANT] = write_default, [CHANGE_DEFAULT_REVOKE] = write_default,
	[CHANGE_ROW_SECURITY] = write_row_security, [CHANGE_CREATE_POLICY] = write_policy, [CHANGE_ALTER_POLICY] = write_policy,
	[CHANGE_REPLACE_POLICY] = write_policy, [CHANGE_DROP_POLICY] = write_policy, [CHANGE_REASSIGN_OWNED] = write_reassign,
	[CHANGE_END_SESSIONS] = write_end_sessions, [CHANGE_DROP_ROLE] = write_drop_role, [CHANGE_DROP_SCHEMA] = write_drop_schema,
	[CHANGE_COMMENT_POLICY] = write_comment_policy, [CHANGE_UNDO] = write_undo,
};

static void write_undo(struct writer *w)
{
	const struct undo_change *undo = w->change->undo;

	for (uint32_t i = 0; i < undo->n_parts; i++) {
		w->change = &undo->parts[i];
		writers[w->change->op](w);
	}
}

/* Does it say something that holds for the length of a transaction only? */
static bool needs_transaction(const struct change *c)
{
	for (uint32_t i = 0; c->undo && i < c->undo->n_parts; i++)
		if (c->undo->n_parts > 1 || needs_transaction(&c->undo->parts[i]))
			return true;
	return (c->grantor || (c->op == CHANGE_CREATE_EXTENSION && !c->extra)) && c->kind != DRIFT_MEMBERSHIP;
}

static int write_change(void *parent, const struct plan *plan, const struct change *change, int version_num, bool display,
			struct statements *ret)
{
	struct writer w = { .plan = plan, .change = change, .version_num = version_num, .display = display, .out = ret };

	bool block;

	*ret = (struct statements){ NULL, 0 };
	w.text = text_new(parent);
	/* an apply is a transaction; whoever runs the displayed statements by hand needs one for SET LOCAL */
	block = display && needs_transaction(change);
	if (block) {
		add(&w, "BEGIN");
		finish(&w);
	}
	writers[change->op](&w);
	if (block) {
		add(&w, "COMMIT");
		finish(&w);
	}
	talloc_free(w.text);
	return 0;
}

int change_sql(void *parent, const struct plan *plan, const struct change *change, int version_num, struct statements *ret)
{
	return write_change(parent, plan, change, version_num, false, ret);
}

int change_sql_display(void *parent, const struct plan *plan, const struct change *change, int version_num, struct statements *ret)
{
	return write_change(parent, plan, change, version_num, true, ret);
}
