/* SPDX-License-Identifier: PostgreSQL */
#include "world.h"

#include <assert.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <talloc.h>

#include "base/text.h"

struct world *world_new(void *parent, int version_num)
{
	struct world *w = talloc_zero(parent, struct world);

	w->names = names_new(w);
	w->version_num = version_num;
	w->superuser = world_role(w, "postgres", ROLE_SUPERUSER | ROLE_LOGIN | ROLE_INHERIT);
	return w;
}

name_id world_role(struct world *w, const char *name, unsigned attrs)
{
	name_id id = names_put(w->names, name);

	for (uint32_t i = 0; i < w->n_roles; i++)
		if (w->roles[i].name == id)
			return id;
	assert(w->n_roles < 32);
	w->roles[w->n_roles++] = (struct role){ .name = id, .attrs = attrs, .connection_limit = -1 };
	return id;
}

struct world_object *world_object(struct world *w, enum object_kind kind, const char *schema, const char *name, const char *owner)
{
	struct world_object *o = &w->objects[w->n_objects++];

	assert(w->n_objects <= 64);
	*o = (struct world_object){ .kind = kind, .relkind = kind == OBJECT_TABLE ? 'r' : 0, .schema = names_put(w->names, schema),
				    .name = name, .owner = names_put(w->names, owner) };
	o->acl.is_null = true;
	return o;
}

/* --- access control lists ------------------------------------------------------------------------------------------ */

static void materialise(struct world *w, struct world_acl *acl, enum object_kind kind, name_id owner)
{
	struct acl *dflt;

	if (!acl->is_null)
		return;
	dflt = acl_default(NULL, kind, owner, w->version_num);
	acl->is_null = false;
	acl->n = dflt->n;
	memcpy(acl->v, dflt->v, dflt->n * sizeof *acl->v);
	talloc_free(dflt);
}

static void compact(struct world_acl *acl)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].privs)
			acl->v[n++] = acl->v[i];
	acl->n = n;
}

void world_grant(struct world *w, struct world_acl *acl, enum object_kind kind, name_id owner, name_id grantor, name_id grantee,
		 privs_t privs, bool option)
{
	materialise(w, acl, kind, owner);
	for (uint32_t i = 0; i < acl->n; i++) {
		if (acl->v[i].grantee == grantee && acl->v[i].grantor == grantor) {
			acl->v[i].privs |= privs;
			acl->v[i].grantable |= option ? privs : 0;
			return;
		}
	}
	assert(acl->n < 64);
	acl->v[acl->n++] = (struct acl_entry){ grantee, grantor, privs, option ? privs : 0 };
}

static privs_t options_of(const struct world_acl *acl, name_id owner, name_id role)
{
	privs_t options = role == owner ? ~(privs_t)0 : 0;

	for (uint32_t i = 0; i < acl->n; i++)
		if (acl->v[i].grantee == role)
			options |= acl->v[i].grantable;
	return options;
}

static int revoke(struct world *w, struct world_acl *acl, enum object_kind kind, name_id owner, name_id grantor, name_id grantee,
		  privs_t privs, bool option_only, const char **ret_why)
{
	materialise(w, acl, kind, owner);
	if ((options_of(acl, owner, grantor) & privs) != privs) {
		*ret_why = "the grantor holds no grant option any more";
		return 1;
	}
	for (uint32_t i = 0; i < acl->n; i++) {
		struct acl_entry before = acl->v[i];
		privs_t lost;

		if (acl->v[i].grantee != grantee || acl->v[i].grantor != grantor)
			continue;
		acl->v[i].grantable &= ~privs;
		if (!option_only)
			acl->v[i].privs &= ~privs;
		lost = before.grantable & ~options_of(acl, owner, grantee);
		for (uint32_t j = 0; j < acl->n; j++) {
			if (acl->v[j].grantor == grantee && (acl->v[j].privs & lost) && grantee != owner) {
				acl->v[i] = before;
				*ret_why = "2BP01 dependent privileges exist";
				return 1;
			}
		}
	}
	compact(acl);
	return 0;
}

static int change_acl(struct world *w, struct world_acl *acl, enum object_kind kind, name_id owner, const struct change *c, const char **ret_why)
{
	name_id grantor = c->grantor ? c->grantor : owner;

	if (c->op == CHANGE_GRANT) {
		world_grant(w, acl, kind, owner, grantor, c->role, c->privs, c->grantable);
		return 0;
	}
	return revoke(w, acl, kind, owner, grantor, c->role, c->privs, c->op == CHANGE_REVOKE_GRANT_OPTION, ret_why);
}

static struct world_acl *column_acl(struct world_object *o, const char *column)
{
	for (uint32_t i = 0; i < o->n_columns; i++)
		if (strcmp(o->columns[i].name, column) == 0)
			return &o->columns[i].acl;
	return NULL;
}

/* aclnewowner(): old owner -> new owner everywhere, duplicates merged. */
static void new_owner(struct world_acl *acl, name_id old, name_id new)
{
	if (acl->is_null)
		return;
	for (uint32_t i = 0; i < acl->n; i++) {
		if (acl->v[i].grantee == old)
			acl->v[i].grantee = new;
		if (acl->v[i].grantor == old)
			acl->v[i].grantor = new;
	}
	for (uint32_t i = 0; i < acl->n; i++) {
		for (uint32_t j = i + 1; j < acl->n; j++) {
			if (acl->v[i].grantee != acl->v[j].grantee || acl->v[i].grantor != acl->v[j].grantor)
				continue;
			acl->v[i].privs |= acl->v[j].privs;
			acl->v[i].grantable |= acl->v[j].grantable;
			acl->v[j].privs = 0;
			acl->v[j].grantee = acl->v[j].grantor = ~(name_id)0;
		}
	}
	compact(acl);
}

static int change_object(struct world *w, struct world_object *o, const struct change *c, const char **ret_why)
{
	if (c->column) {
		struct world_acl *acl = column_acl(o, c->column);

		if (!acl) {
			*ret_why = "42703 no such column";
			return 1;
		}
		return change_acl(w, acl, OBJECT_COLUMN, o->owner, c, ret_why);
	}
	if (c->op == CHANGE_OWNER) {
		new_owner(&o->acl, o->owner, c->role);
		for (uint32_t i = 0; i < o->n_columns; i++)
			new_owner(&o->columns[i].acl, o->owner, c->role);
		o->owner = c->role;
		return 0;
	}
	/* a table-level REVOKE takes the privilege, or its grant option, from the columns too */
	for (uint32_t i = 0; (c->op == CHANGE_REVOKE || c->op == CHANGE_REVOKE_GRANT_OPTION) && i < o->n_columns; i++) {
		struct world_acl *acl = &o->columns[i].acl;
		struct change of_column = *c;

		of_column.privs &= options_of(acl, o->owner, c->grantor ? c->grantor : o->owner);
		if (!acl->is_null && change_acl(w, acl, OBJECT_COLUMN, o->owner, &of_column, ret_why))
			return 1;
	}
	return change_acl(w, &o->acl, o->kind, o->owner, c, ret_why);
}

/* --- applying ------------------------------------------------------------------------------------------------------ */

static int apply_grant(struct world *w, const struct change *c, const char **ret_why)
{
	enum object_kind kind = c->object_kind == OBJECT_COLUMN ? OBJECT_TABLE : c->object_kind;

	for (uint32_t k = 0; k < c->n; k++) {
		bool found = false;

		for (uint32_t i = 0; i < w->n_objects; i++) {
			struct world_object *o = &w->objects[i];
			int r;

			if (o->kind != kind || o->schema != c->schema || strcmp(o->name, c->names[k]) != 0)
				continue;
			found = true;
			r = change_object(w, o, c, ret_why);
			if (r)
				return r;
		}
		if (!found) {
			*ret_why = "42P01 no such object";
			return 1;
		}
	}
	return 0;
}

static enum object_kind kind_of(char objtype)
{
	return objtype == 'r' ? OBJECT_TABLE : objtype == 'S' ? OBJECT_SEQUENCE : objtype == 'f' ? OBJECT_FUNCTION :
	       objtype == 'T' ? OBJECT_TYPE : objtype == 'n' ? OBJECT_SCHEMA : OBJECT_LARGE_OBJECT;
}

static int apply_default(struct world *w, const struct change *c, const char **ret_why)
{
	struct world_default *row = NULL;

	for (uint32_t i = 0; i < w->n_defaults && !row; i++)
		if (w->defaults[i].role == c->other && w->defaults[i].schema == c->schema && w->defaults[i].objtype == c->objtype)
			row = &w->defaults[i];
	if (!row) {
		assert(w->n_defaults < 128);
		row = &w->defaults[w->n_defaults++];
		*row = (struct world_default){ .role = c->other, .schema = c->schema, .objtype = c->objtype };
		row->acl.is_null = c->schema == NAME_NONE;
	}
	if (c->op == CHANGE_DEFAULT_GRANT) {
		world_grant(w, &row->acl, kind_of(c->objtype), c->other, c->other, c->role, c->privs, c->grantable);
		return 0;
	}
	return revoke(w, &row->acl, kind_of(c->objtype), c->other, c->other, c->role, c->privs, c->grantable, ret_why);
}

static int apply_role(struct world *w, const struct change *c)
{
	struct role *role = NULL;

	if (c->op == CHANGE_CREATE_ROLE)
		world_role(w, names_text(w->names, c->role), ROLE_INHERIT);
	for (uint32_t i = 0; i < w->n_roles; i++)
		if (w->roles[i].name == c->role)
			role = &w->roles[i];
	if (!role)
		return 1;
	if (c->op == CHANGE_DROP_ROLE) {
		*role = w->roles[--w->n_roles];
		return 0;
	}
	role->attrs = (role->attrs & ~c->attrs_mask) | (c->attrs & c->attrs_mask);
	if (c->has_connection_limit)
		role->connection_limit = c->connection_limit;
	if (c->has_valid_until)
		role->valid_until = c->valid_until;
	if (c->op == CHANGE_COMMENT_ROLE)
		role->comment = c->value && *c->value ? c->value : NULL;
	return 0;
}

static int apply_membership(struct world *w, const struct change *c)
{
	name_id grantor = c->grantor ? c->grantor : w->superuser;

	for (uint32_t i = 0; i < w->n_memberships; i++) {
		struct membership *m = &w->memberships[i];

		if (m->role != c->other || m->member != c->role || (w->version_num >= 160000 && m->grantor != grantor))
			continue;
		if (c->op == CHANGE_REVOKE_MEMBERSHIP) {
			*m = w->memberships[--w->n_memberships];
		} else {
			if (w->version_num < 160000 && c->admin && !m->admin)
				m->grantor = grantor;
			m->admin = c->admin;
			if (w->version_num >= 160000) {
				m->inherit = c->inherit;
				m->set = c->set;
			}
		}
		return 0;
	}
	if (c->op == CHANGE_REVOKE_MEMBERSHIP)
		return 1;
	w->memberships[w->n_memberships++] = (struct membership){ c->other, c->role, grantor, c->admin,
								 w->version_num >= 160000 ? c->inherit : true,
								 w->version_num >= 160000 ? c->set : true };
	return 0;
}

static int apply_setting(struct world *w, const struct change *c)
{
	for (uint32_t i = 0; i < w->n_settings; i++) {
		struct setting *s = &w->settings[i];

		if (s->role != c->role || s->database != c->database || strcasecmp(s->name, c->name) != 0)
			continue;
		if (c->op == CHANGE_RESET_SETTING)
			*s = w->settings[--w->n_settings];
		else
			s->value = c->value;
		return 0;
	}
	if (c->op == CHANGE_SET_SETTING)
		w->settings[w->n_settings++] = (struct setting){ .role = c->role, .database = c->database, .name = c->name, .value = c->value };
	return 0;
}

int world_apply(struct world *w, const struct plan *plan, const struct change *c, const char **ret_why)
{
	*ret_why = "";
	(void)plan;
	switch (c->op) {
	case CHANGE_CREATE_ROLE: case CHANGE_ALTER_ROLE: case CHANGE_COMMENT_ROLE: case CHANGE_DROP_ROLE:
		return apply_role(w, c);
	case CHANGE_GRANT_MEMBERSHIP: case CHANGE_REVOKE_MEMBERSHIP:
		return apply_membership(w, c);
	case CHANGE_SET_SETTING: case CHANGE_RESET_SETTING:
		return apply_setting(w, c);
	case CHANGE_CREATE_SCHEMA:
		world_object(w, OBJECT_SCHEMA, NULL, c->name, names_text(w->names, c->role ? c->role : w->superuser));
		return 0;
	case CHANGE_DROP_SCHEMA:
		for (uint32_t i = 0; i < w->n_objects; i++) {
			if (w->objects[i].kind != OBJECT_SCHEMA || strcmp(w->objects[i].name, c->name) != 0)
				continue;
			w->objects[i] = w->objects[--w->n_objects];
			return 0;
		}
		*ret_why = "3F000 no such schema";
		return 1;
	case CHANGE_OWNER: case CHANGE_GRANT: case CHANGE_REVOKE: case CHANGE_REVOKE_GRANT_OPTION:
		return apply_grant(w, c, ret_why);
	case CHANGE_DEFAULT_GRANT: case CHANGE_DEFAULT_REVOKE:
		return apply_default(w, c, ret_why);
	default:
		*ret_why = "not in this model";
		return 1;
	}
}

/* --- comparing ----------------------------------------------------------------------------------------------------- */

struct lines {
	char *v[4096];
	uint32_t n;
};

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void add_line(struct lines *lines, void *parent, const char *format, ...) __attribute__((format(printf, 3, 4)));
static void add_line(struct lines *lines, void *parent, const char *format, ...)
{
	va_list ap;

	assert(lines->n < sizeof lines->v / sizeof *lines->v);
	va_start(ap, format);
	lines->v[lines->n++] = talloc_vasprintf(parent, format, ap);
	va_end(ap);
}

static bool is_default(struct world *w, const struct world_acl *acl, enum object_kind kind, name_id owner)
{
	struct world_acl dflt = { .is_null = true };
	uint32_t found = 0;

	materialise(w, &dflt, kind, owner);
	for (uint32_t i = 0; i < acl->n; i++)
		for (uint32_t k = 0; k < dflt.n; k++)
			found += memcmp(&acl->v[i], &dflt.v[k], sizeof *dflt.v) == 0;
	return acl->n == dflt.n && found == dflt.n;
}

static void acl_lines(struct world *w, struct lines *lines, void *parent, const char *of, struct world_acl acl, enum object_kind kind, name_id owner)
{
	materialise(w, &acl, kind, owner);
	for (uint32_t i = 0; i < acl.n; i++)
		add_line(lines, parent, "%s: %s by %s %x *%x", of, names_text(w->names, acl.v[i].grantee), names_text(w->names, acl.v[i].grantor),
			 acl.v[i].privs, acl.v[i].grantable);
}

static void object_lines(struct world *w, struct lines *lines, void *parent, const struct world_object *o)
{
	char *name = talloc_asprintf(parent, "%s %s.%s of %s", object_kind_info(o->kind)->name, names_text(w->names, o->schema), o->name,
				     names_text(w->names, o->owner));

	add_line(lines, parent, "%s", name);
	acl_lines(w, lines, parent, name, o->acl, o->kind, o->owner);
	for (uint32_t c = 0; c < o->n_columns; c++)
		acl_lines(w, lines, parent, talloc_asprintf(parent, "%s (%s)", name, o->columns[c].name), o->columns[c].acl, OBJECT_COLUMN, o->owner);
}

char *world_text(void *parent, struct world *w)
{
	struct lines *lines = talloc_zero(parent, struct lines);
	char *text = talloc_strdup(parent, "");

	for (uint32_t i = 0; i < w->n_roles; i++)
		add_line(lines, lines, "role %s %x %d %s '%s'", names_text(w->names, w->roles[i].name), w->roles[i].attrs, w->roles[i].connection_limit,
			 w->roles[i].valid_until ? w->roles[i].valid_until : "-", w->roles[i].comment ? w->roles[i].comment : "");
	for (uint32_t i = 0; i < w->n_memberships; i++)
		add_line(lines, lines, "member %s of %s by %s %d %d %d", names_text(w->names, w->memberships[i].member),
			 names_text(w->names, w->memberships[i].role), names_text(w->names, w->memberships[i].grantor), w->memberships[i].admin,
			 w->memberships[i].inherit, w->memberships[i].set);
	for (uint32_t i = 0; i < w->n_settings; i++)
		add_line(lines, lines, "setting of %s in %s %s=%s", names_text(w->names, w->settings[i].role), names_text(w->names, w->settings[i].database),
			 w->settings[i].name, w->settings[i].value);
	for (uint32_t i = 0; i < w->n_objects; i++)
		object_lines(w, lines, lines, &w->objects[i]);
	for (uint32_t i = 0; i < w->n_defaults; i++) {
		struct world_default *d = &w->defaults[i];

		if (d->acl.is_null || (d->schema == NAME_NONE && is_default(w, &d->acl, kind_of(d->objtype), d->role)))
			continue;
		acl_lines(w, lines, lines, talloc_asprintf(lines, "default %c of %s in %s", d->objtype, names_text(w->names, d->role),
							   names_text(w->names, d->schema)), d->acl, kind_of(d->objtype), d->role);
	}
	qsort(lines->v, lines->n, sizeof *lines->v, compare_lines);
	for (uint32_t i = 0; i < lines->n; i++)
		text = talloc_asprintf_append_buffer(text, "%s\n", lines->v[i]);
	talloc_free(lines);
	return text;
}

/* --- observing ----------------------------------------------------------------------------------------------------- */

static int by_name(const void *a, const void *b)
{
	const struct role *x = a, *y = b;

	return (x->name > y->name) - (x->name < y->name);
}

static int by_edge(const void *a, const void *b)
{
	const struct membership *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	if (x->member != y->member)
		return x->member < y->member ? -1 : 1;
	return (x->grantor > y->grantor) - (x->grantor < y->grantor);
}

static int by_setting(const void *a, const void *b)
{
	const struct setting *x = a, *y = b;

	if (x->role != y->role)
		return x->role < y->role ? -1 : 1;
	if (x->database != y->database)
		return x->database < y->database ? -1 : 1;
	return strcmp(x->name, y->name);
}

static struct server_facts facts(const struct world *w)
{
	return (struct server_facts){ .version_num = w->version_num, .system_identifier = 1, .me = w->superuser, .is_superuser = true,
				      .can_read_verifiers = true, .bootstrap = w->superuser, .now = "2026-11-21T00:00:00.000000Z" };
}

struct server_state *world_server(void *parent, struct world *w)
{
	struct server_state *s = talloc_zero(parent, struct server_state);

	s->facts = facts(w);
	s->names = w->names;
	s->roles = talloc_memdup(s, w->roles, sizeof *w->roles * w->n_roles);
	s->n_roles = w->n_roles;
	qsort(s->roles, s->n_roles, sizeof *s->roles, by_name);
	s->memberships = talloc_memdup(s, w->memberships, sizeof *w->memberships * (w->n_memberships + 1));
	s->n_memberships = w->n_memberships;
	qsort(s->memberships, s->n_memberships, sizeof *s->memberships, by_edge);
	s->settings = talloc_memdup(s, w->settings, sizeof *w->settings * (w->n_settings + 1));
	s->n_settings = w->n_settings;
	qsort(s->settings, s->n_settings, sizeof *s->settings, by_setting);
	return s;
}

static int compare_entries(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->grantee != y->grantee)
		return x->grantee < y->grantee ? -1 : 1;
	return (x->grantor > y->grantor) - (x->grantor < y->grantor);
}

static const struct acl *observe_acl(void *parent, const struct world *w, const struct world_acl *from, enum object_kind kind, name_id owner)
{
	struct acl *acl;

	if (from->is_null)
		return acl_default(parent, kind, owner, w->version_num);
	acl = talloc_zero_size(parent, sizeof *acl + sizeof *acl->v * (from->n + 1));
	acl->n = from->n;
	memcpy(acl->v, from->v, sizeof *acl->v * from->n);
	qsort(acl->v, acl->n, sizeof *acl->v, compare_entries);
	return acl;
}

static bool same_acl(const struct acl *a, const struct acl *b)
{
	return a->n == b->n && memcmp(a->v, b->v, sizeof *a->v * a->n) == 0;
}

/* Array text as the server writes it: every element quoted, which it also accepts. */
static void array_add(struct object_group *g, const char *name)
{
	struct text *t = text_new(NULL);

	if (g->names)
		text_add_len(t, g->names, g->names_len - 1);
	text_add(t, g->names ? ",\"" : "{\"");
	for (; *name; name++) {
		if (*name == '"' || *name == '\\')
			text_add_char(t, '\\');
		text_add_char(t, *name);
	}
	text_add(t, "\"}");
	g->names = talloc_strdup(NULL, t->s);
	g->names_len = t->len;
	g->names_array = true;
	g->n++;
	talloc_free(t);
}

static void add_group(struct database_state *s, enum object_kind kind, const struct world_object *o, const char *column,
		      const struct acl *acl, bool grouped)
{
	struct object_group *g;

	for (uint32_t i = 0; grouped && i < s->n_objects; i++) {
		g = &s->objects[i];
		if (g->kind == kind && g->relkind == o->relkind && g->schema == o->schema && g->owner == o->owner && same_acl(g->acl, acl) &&
		    (column == g->column || (column && g->column && strcmp(column, g->column) == 0))) {
			array_add(g, o->name);
			talloc_steal(s, g->names);
			return;
		}
	}
	g = &s->objects[s->n_objects++];
	*g = (struct object_group){ .kind = kind, .relkind = o->relkind, .schema = o->schema, .owner = o->owner, .column = column, .acl = acl };
	array_add(g, o->name);
	talloc_steal(s, g->names);
}

struct database_state *world_database(void *parent, struct world *w, bool grouped)
{
	struct database_state *s = talloc_zero(parent, struct database_state);

	s->facts = facts(w);
	s->names = w->names;
	s->objects = talloc_zero_array(s, struct object_group, w->n_objects * 5 + 1);
	for (uint32_t i = 0; i < w->n_objects; i++) {
		const struct world_object *o = &w->objects[i];

		add_group(s, o->kind, o, NULL, observe_acl(s, w, &o->acl, o->kind, o->owner), grouped);
		for (uint32_t c = 0; c < o->n_columns; c++)
			if (!o->columns[c].acl.is_null)
				add_group(s, OBJECT_COLUMN, o, o->columns[c].name,
					  observe_acl(s, w, &o->columns[c].acl, OBJECT_COLUMN, o->owner), grouped);
	}
	s->default_acls = talloc_zero_array(s, struct default_acl, w->n_defaults + 1);
	for (uint32_t i = 0; i < w->n_defaults; i++) {
		const struct world_default *row = &w->defaults[i];

		if (row->schema && row->acl.n == 0)
			continue;        /* a schema's empty row disappears */
		s->default_acls[s->n_default_acls++] = (struct default_acl){ row->role, row->schema, row->objtype,
			observe_acl(s, w, &row->acl, kind_of(row->objtype), row->role) };
	}
	return s;
}
