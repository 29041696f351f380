/* SPDX-License-Identifier: PostgreSQL */
/* What takes a change back: changes again, so that the guard, the rights and the SQL of every other change hold for them. */
#include "reconcile/inverse.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

struct back {
	void *parent;
	struct changes *out;
	int version_num;
};

static struct change bare(const struct change *c)
{
	struct change copy = *c;

	copy.state = CHANGE_READY;
	copy.reason = copy.remedy = copy.approval = copy.from = NULL;
	copy.findings = NULL;
	copy.n_findings = 0;
	copy.lends_usage = copy.retires = copy.undone = false;
	copy.lender = NAME_NONE;
	copy.was = (struct change_was){ .attrs = 0 };
	copy.undo = NULL;
	return copy;
}

static struct change *add(struct back *b, const struct change *like, enum change_op op)
{
	struct changes *out = b->out;

	out->v = talloc_realloc(b->parent, out->v, struct change, out->n + 1);
	if (!out->v)
		abort();
	out->v[out->n] = bare(like);
	out->v[out->n].op = op;
	return &out->v[out->n++];
}

static void add_privs(struct back *b, const struct change *like, enum change_op op, privs_t privs, bool grantable)
{
	struct change *part;

	if (!privs)
		return;
	part = add(b, like, op);
	part->privs = privs;
	part->grantable = grantable;
}

/* --- roles --------------------------------------------------------------------------------------------------------- */

static void back_create_role(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_DROP_ROLE);
}

static void back_rename(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, CHANGE_RENAME_ROLE);

	part->role = c->other;
	part->other = c->role;
}

static void back_alter(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, CHANGE_ALTER_ROLE);

	part->attrs = c->was.attrs;
	part->connection_limit = c->was.connection_limit;
	part->valid_until = c->was.valid_until;
}

static void back_comment(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_COMMENT_ROLE)->value = c->from;
}

static void back_setting(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, c->from ? CHANGE_SET_SETTING : CHANGE_RESET_SETTING);

	part->value = c->from;
	part->behind = c->was.behind;
}

static void grant_as_it_was(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, CHANGE_GRANT_MEMBERSHIP);

	part->admin = c->was.admin;
	part->inherit = c->was.inherit;
	part->set = c->was.set;
	if (b->version_num < 160000 || c->op == CHANGE_REVOKE_MEMBERSHIP)
		part->grantor = c->was.grantor;
}

/* Before 16 there is one row whoever grants, a GRANT that adds ADMIN takes it over, and none takes ADMIN away. */
static void back_membership(struct back *b, const struct change *c)
{
	if (c->op == CHANGE_GRANT_MEMBERSHIP && (!c->was.member || b->version_num < 160000))
		add(b, c, CHANGE_REVOKE_MEMBERSHIP);
	if (c->was.member)
		grant_as_it_was(b, c);
}

/* --- privileges ---------------------------------------------------------------------------------------------------- */

/* A grant option that was added to a privilege that was there is taken back alone. */
static void back_grant(struct back *b, const struct change *c)
{
	privs_t there = c->grantable ? c->privs & c->was.privs : 0;

	if (c->op == CHANGE_DEFAULT_GRANT) {
		add_privs(b, c, CHANGE_DEFAULT_REVOKE, there, true);
		add_privs(b, c, CHANGE_DEFAULT_REVOKE, c->privs & ~there, false);
	} else {
		add_privs(b, c, CHANGE_REVOKE_GRANT_OPTION, there, false);
		add_privs(b, c, CHANGE_REVOKE, c->privs & ~there, false);
	}
}

static void back_column(struct back *b, const struct change *c, const struct column_taken *taken)
{
	struct change like = bare(c);

	like.object_kind = OBJECT_COLUMN;
	like.relkind = 0;
	like.column = taken->column;
	like.n = 1;
	like.names = talloc_array(b->parent, const char *, 1);
	like.names[0] = taken->table;
	add_privs(b, &like, CHANGE_GRANT, taken->privs & ~taken->options, false);
	add_privs(b, &like, CHANGE_GRANT, taken->options, true);
}

static void back_revoke(struct back *b, const struct change *c)
{
	enum change_op grant = c->op == CHANGE_DEFAULT_REVOKE ? CHANGE_DEFAULT_GRANT : CHANGE_GRANT;
	bool option_alone = c->op == CHANGE_REVOKE_GRANT_OPTION || (c->op == CHANGE_DEFAULT_REVOKE && c->grantable);
	privs_t options = option_alone ? c->privs : c->privs & c->was.options;

	add_privs(b, c, grant, c->privs & ~options, false);
	add_privs(b, c, grant, options, true);
	for (uint32_t i = 0; i < c->was.n_columns; i++)
		if (change_names_object(c, c->was.columns[i].table))
			back_column(b, c, &c->was.columns[i]);
}

/* OWNER TO writes the new owner over the old one wherever he stands in the list, and adds up what both held. */
static void back_owner(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, CHANGE_OWNER), like;

	part->role = c->other;
	part->other = c->role;
	if (!c->was.named)
		return;
	like = bare(c);
	like.other = NAME_NONE;
	like.kind = DRIFT_GRANT;
	like.role = c->other;
	like.own = true;
	add_privs(b, &like, CHANGE_REVOKE, c->was.privs & ~c->was.own, false);
	add_privs(b, &like, CHANGE_REVOKE_GRANT_OPTION, c->was.options & c->was.own & ~c->was.own_options, false);
	like.role = c->role;
	like.own = false;
	add_privs(b, &like, CHANGE_GRANT, c->was.privs & ~c->was.options, false);
	add_privs(b, &like, CHANGE_GRANT, c->was.options, true);
}

/* --- the rest ------------------------------------------------------------------------------------------------------ */

static void back_schema(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_DROP_SCHEMA);
}

static void back_extension(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_DROP_EXTENSION);
}

static void back_move(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_MOVE_EXTENSION)->extra = c->from;
}

static void back_row_security(struct back *b, const struct change *c)
{
	struct change *part = add(b, c, CHANGE_ROW_SECURITY);

	part->enable = !c->enable;
	part->force = !c->force;
}

static void back_create_policy(struct back *b, const struct change *c)
{
	add(b, c, CHANGE_DROP_POLICY);
}

static void back_policy(struct back *b, const struct change *c)
{
	if (!c->was.policy)
		return;
	add(b, c->was.policy, c->op == CHANGE_DROP_POLICY ? CHANGE_CREATE_POLICY : CHANGE_REPLACE_POLICY);
	if (c->was.comment)
		add(b, c->was.policy, CHANGE_COMMENT_POLICY)->value = c->was.comment;
}

static void back_undo(struct back *b, const struct change *c)
{
	for (uint32_t i = 0; i < c->undo->n_forward; i++)
		add(b, &c->undo->forward[i], c->undo->forward[i].op);
}

static const struct {
	void (*make)(struct back *, const struct change *);
	const char *none;            /* why there is none */
} inverses[CHANGE_OPS] = {
	[CHANGE_CREATE_ROLE] = { back_create_role, NULL }, [CHANGE_RENAME_ROLE] = { back_rename, NULL }, [CHANGE_ALTER_ROLE] = { back_alter, NULL },
	[CHANGE_SET_PASSWORD] = { NULL, "the password before it is not known: only its verifier was, and that is never kept" },
	[CHANGE_COMMENT_ROLE] = { back_comment, NULL }, [CHANGE_SET_SETTING] = { back_setting, NULL },
	[CHANGE_RESET_SETTING] = { back_setting, NULL }, [CHANGE_GRANT_MEMBERSHIP] = { back_membership, NULL },
	[CHANGE_REVOKE_MEMBERSHIP] = { back_membership, NULL },
	[CHANGE_CREATE_DATABASE] = { NULL, "a database is never dropped by dbreconcile: DROP DATABASE by hand" },
	[CHANGE_CREATE_SCHEMA] = { back_schema, NULL }, [CHANGE_CREATE_EXTENSION] = { back_extension, NULL },
	[CHANGE_UPDATE_EXTENSION] = { NULL, "PostgreSQL has no way back to an older version of an extension" },
	[CHANGE_MOVE_EXTENSION] = { back_move, NULL },
	[CHANGE_DROP_EXTENSION] = { NULL, "what the extension held is gone with it: declare it again" },
	[CHANGE_MIGRATE] = { NULL, "a migration is taken back by another migration" },
	[CHANGE_OWNER] = { back_owner, NULL }, [CHANGE_GRANT] = { back_grant, NULL }, [CHANGE_REVOKE] = { back_revoke, NULL },
	[CHANGE_REVOKE_GRANT_OPTION] = { back_revoke, NULL }, [CHANGE_DEFAULT_GRANT] = { back_grant, NULL },
	[CHANGE_DEFAULT_REVOKE] = { back_revoke, NULL }, [CHANGE_ROW_SECURITY] = { back_row_security, NULL },
	[CHANGE_CREATE_POLICY] = { back_create_policy, NULL }, [CHANGE_ALTER_POLICY] = { back_policy, NULL },
	[CHANGE_REPLACE_POLICY] = { back_policy, NULL }, [CHANGE_DROP_POLICY] = { back_policy, NULL },
	[CHANGE_REASSIGN_OWNED] = { NULL, "which of its new owner's objects were handed over was not kept" },
	[CHANGE_END_SESSIONS] = { NULL, "sessions that were ended do not come back" },
	[CHANGE_DROP_ROLE] = { NULL, "the role's password and its identity are gone: declare it again" },
	[CHANGE_DROP_SCHEMA] = { NULL, "it is part of an undo" }, [CHANGE_COMMENT_POLICY] = { NULL, "it is part of an undo" },
	[CHANGE_UNDO] = { back_undo, NULL },
};

const char *change_inverse(void *parent, const struct change *c, int version_num, struct changes *ret)
{
	struct back b = { parent, ret, version_num };

	*ret = (struct changes){ NULL, 0 };
	if (c->was.no_inverse)
		return c->was.no_inverse;
	if (!inverses[c->op].make)
		return inverses[c->op].none;
	inverses[c->op].make(&b, c);
	return ret->n ? NULL : "what was there before it was not kept";
}

void change_forward(void *parent, const struct change *c, struct changes *ret)
{
	const struct change *v = c->undo ? c->undo->parts : c;

	ret->n = c->undo ? c->undo->n_parts : 1;
	ret->v = talloc_array(parent, struct change, ret->n);
	if (!ret->v)
		abort();
	for (uint32_t i = 0; i < ret->n; i++)
		ret->v[i] = bare(&v[i]);
}

int change_inverse_sql(void *parent, const struct plan *plan, const struct change *c, int version_num, struct statements *ret)
{
	struct changes parts;

	*ret = (struct statements){ NULL, 0 };
	if (change_inverse(parent, c, version_num, &parts))
		return 0;
	return changes_sql_display(parent, plan, parts.v, parts.n, version_num, ret);
}

int changes_sql_display(void *parent, const struct plan *plan, const struct change *v, uint32_t n, int version_num, struct statements *ret)
{
	struct undo_change undo = { .parts = v, .n_parts = n };
	struct change whole = { .op = CHANGE_UNDO, .undo = &undo };

	return change_sql_display(parent, plan, &whole, version_num, ret);
}
