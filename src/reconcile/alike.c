/* SPDX-License-Identifier: PostgreSQL */
/* Two changes beside each other: does one do again what the other did, did both touch the same thing? */
#include "reconcile/inverse.h"

#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/text.h"

/* What a change is about. */
enum about { ABOUT_ROLE, ABOUT_ATTRIBUTES, ABOUT_COMMENT, ABOUT_SETTING, ABOUT_MEMBERSHIP, ABOUT_NAMED, ABOUT_OWNER, ABOUT_PRIVILEGE,
	     ABOUT_DEFAULT, ABOUT_ROW_SECURITY, ABOUT_POLICY, ABOUT_NOTHING };

static enum about about(const struct change *c)
{
	switch (c->op) {
	case CHANGE_CREATE_ROLE: case CHANGE_RENAME_ROLE: case CHANGE_DROP_ROLE:
		return ABOUT_ROLE;
	case CHANGE_ALTER_ROLE:
		return ABOUT_ATTRIBUTES;
	case CHANGE_COMMENT_ROLE:
		return ABOUT_COMMENT;
	case CHANGE_SET_SETTING: case CHANGE_RESET_SETTING:
		return ABOUT_SETTING;
	case CHANGE_GRANT_MEMBERSHIP: case CHANGE_REVOKE_MEMBERSHIP:
		return ABOUT_MEMBERSHIP;
	case CHANGE_CREATE_DATABASE: case CHANGE_CREATE_SCHEMA: case CHANGE_DROP_SCHEMA: case CHANGE_CREATE_EXTENSION:
	case CHANGE_UPDATE_EXTENSION: case CHANGE_MOVE_EXTENSION: case CHANGE_DROP_EXTENSION:
		return ABOUT_NAMED;
	case CHANGE_OWNER: case CHANGE_REASSIGN_OWNED:
		return ABOUT_OWNER;
	case CHANGE_GRANT: case CHANGE_REVOKE: case CHANGE_REVOKE_GRANT_OPTION:
		return ABOUT_PRIVILEGE;
	case CHANGE_DEFAULT_GRANT: case CHANGE_DEFAULT_REVOKE:
		return ABOUT_DEFAULT;
	case CHANGE_ROW_SECURITY:
		return ABOUT_ROW_SECURITY;
	case CHANGE_CREATE_POLICY: case CHANGE_ALTER_POLICY: case CHANGE_REPLACE_POLICY: case CHANGE_DROP_POLICY: case CHANGE_COMMENT_POLICY:
		return ABOUT_POLICY;
	default:
		return ABOUT_NOTHING;
	}
}

void change_sort_names(struct change *c)
{
	if (c->names && c->n > 1)
		qsort(c->names, c->n, sizeof *c->names, text_compare);
}

bool change_names_object(const struct change *made, const char *name)
{
	if (!made->names)
		return true;             /* of what they are was not kept: it may be */
	return bsearch(&name, made->names, made->n, sizeof *made->names, text_compare) != NULL;
}

static bool share_a_name(const struct change *a, const struct change *b)
{
	if (!a->names || !b->names)
		return true;
	for (uint32_t i = 0; i < a->n; i++)
		if (change_names_object(b, a->names[i]))
			return true;
	return false;
}

/* A function and a procedure of one name and arguments cannot stand side by side, nor a type and a domain. */
static enum object_kind family(enum object_kind kind)
{
	return kind == OBJECT_PROCEDURE ? OBJECT_FUNCTION : kind == OBJECT_DOMAIN ? OBJECT_TYPE : kind;
}

static bool same_objects(const struct change *a, const struct change *b)
{
	return family(a->object_kind) == family(b->object_kind) && a->schema == b->schema && share_a_name(a, b);
}

static bool same_setting(const struct change *a, const struct change *b)
{
	return a->role == b->role && a->database == b->database && strcasecmp(a->name, b->name) == 0;
}

static bool same_default(const struct change *a, const struct change *b)
{
	return a->objtype == b->objtype && a->other == b->other && a->schema == b->schema && a->role == b->role && (a->privs & b->privs);
}

static bool same_attributes(const struct change *a, const struct change *b)
{
	return a->object_kind == b->object_kind && a->role == b->role && a->database == b->database &&
	       ((a->attrs_mask & b->attrs_mask) || (a->has_connection_limit && b->has_connection_limit) ||
		(a->has_valid_until && b->has_valid_until));
}

/* Of one attribute, limit or date at least the same value. */
static bool same_values(const struct change *a, const struct change *b)
{
	return (a->attrs_mask & b->attrs_mask & ~(a->attrs ^ b->attrs)) ||
	       (a->has_connection_limit && b->has_connection_limit && a->connection_limit == b->connection_limit) ||
	       (a->has_valid_until && b->has_valid_until && text_same(a->valid_until, b->valid_until));
}

bool change_repeats(const struct change *planned, const struct change *made)
{
	if (planned->op != made->op)
		return false;
	switch (about(made)) {
	case ABOUT_ROLE:
		return planned->role == made->role && planned->other == made->other;
	case ABOUT_ATTRIBUTES:
		return same_attributes(planned, made) && same_values(planned, made);
	case ABOUT_COMMENT:
		return planned->role == made->role && text_same(planned->value, made->value);
	case ABOUT_SETTING:
		return same_setting(planned, made) && (made->op == CHANGE_RESET_SETTING || text_same(planned->value, made->value));
	case ABOUT_MEMBERSHIP:
		return planned->role == made->role && planned->other == made->other;
	case ABOUT_NAMED:
		return text_same(planned->name, made->name);
	case ABOUT_OWNER:
		return planned->role == made->role && same_objects(planned, made);
	case ABOUT_PRIVILEGE:
		return planned->role == made->role && same_objects(planned, made) && text_same(planned->column, made->column) &&
		       (planned->privs & made->privs);
	case ABOUT_DEFAULT:
		return same_default(planned, made);
	case ABOUT_ROW_SECURITY:
		return same_objects(planned, made) && ((planned->has_enable && made->has_enable && planned->enable == made->enable) ||
						       (planned->has_force && made->has_force && planned->force == made->force));
	case ABOUT_POLICY:
		return same_objects(planned, made) && text_same(planned->name, made->name);
	default:
		return false;
	}
}

static bool speaks_of(const struct change *c, name_id role)
{
	return role != NAME_NONE && (c->role == role || c->other == role);
}

/* A role that was made goes with all that is its own, and a name that was given is in what came after. */
static bool about_that_role(const struct change *later, const struct change *role)
{
	return speaks_of(later, role->role) || (role->op == CHANGE_RENAME_ROLE && speaks_of(later, role->other));
}

/* A REVOKE on a table reaches its columns, and an owner is written into every entry of the list. */
static bool same_list(const struct change *a, const struct change *b)
{
	bool of_table = (a->object_kind == OBJECT_COLUMN && b->object_kind == OBJECT_TABLE) ||
			(a->object_kind == OBJECT_TABLE && b->object_kind == OBJECT_COLUMN);

	return of_table ? a->schema == b->schema && share_a_name(a, b) : same_objects(a, b);
}

static bool a_schema_of(const struct change *a, const struct change *b)
{
	return (a->op == CHANGE_CREATE_SCHEMA || a->op == CHANGE_DROP_SCHEMA) && b->object_kind == OBJECT_SCHEMA &&
	       (about(b) == ABOUT_OWNER || about(b) == ABOUT_PRIVILEGE) && change_names_object(b, a->name);
}

static bool same_thing(enum about what, const struct change *a, const struct change *b)
{
	switch (what) {
	case ABOUT_ATTRIBUTES:
		return same_attributes(a, b);
	case ABOUT_COMMENT:
		return a->role == b->role;
	case ABOUT_SETTING:
		return same_setting(a, b);
	case ABOUT_MEMBERSHIP:
		return a->role == b->role && a->other == b->other;
	case ABOUT_NAMED:
		return text_same(a->name, b->name);
	case ABOUT_OWNER: case ABOUT_ROW_SECURITY:
		return same_objects(a, b);
	case ABOUT_PRIVILEGE:
		return a->role == b->role && same_list(a, b) && (!a->column || !b->column || text_same(a->column, b->column)) && (a->privs & b->privs);
	case ABOUT_DEFAULT:
		return same_default(a, b);
	case ABOUT_POLICY:
		return same_objects(a, b) && text_same(a->name, b->name);
	default:
		return false;
	}
}

bool change_touches(const struct change *later, const struct change *earlier)
{
	enum about one = about(later), two = about(earlier);

	if (later->op == CHANGE_SET_PASSWORD || one == ABOUT_NOTHING || two == ABOUT_NOTHING)
		return false;            /* a password goes with its role, and there is no way back to the one before */
	if (two == ABOUT_ROLE)
		return about_that_role(later, earlier);
	if (one == ABOUT_ROLE)
		return about_that_role(earlier, later);
	if ((one == ABOUT_OWNER && two == ABOUT_PRIVILEGE) || (one == ABOUT_PRIVILEGE && two == ABOUT_OWNER))
		return same_list(later, earlier);
	if (a_schema_of(later, earlier) || a_schema_of(earlier, later))
		return true;
	return one == two && same_thing(one, later, earlier);
}
