/* SPDX-License-Identifier: PostgreSQL */
#include "support/model_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "support/tsv.h"

struct printer {
	void *parent;
	const struct names *names;
	struct text *line, *scratch;
	char **lines;
	size_t n;
};

static struct printer *printer_new(const struct names *names)
{
	struct printer *p = talloc_zero(NULL, struct printer);

	p->names = names;
	p->line = text_new(p);
	p->scratch = text_new(p);
	return p;
}

static void cell_len(struct printer *p, const char *value, size_t len)
{
	if (p->line->len)
		text_add_char(p->line, '\t');
	tsv_cell(p->line, value, len);
}

static void cell(struct printer *p, const char *value)
{
	cell_len(p, value, value ? strlen(value) : 0);
}

static void cell_name(struct printer *p, name_id name)
{
	cell(p, name == NAME_NONE ? NULL : names_text(p->names, name));
}

static void cell_bool(struct printer *p, bool value)
{
	cell(p, value ? "t" : "f");
}

static void cell_number(struct printer *p, long long value)
{
	char buf[32];

	snprintf(buf, sizeof buf, "%lld", value);
	cell(p, buf);
}

static void cell_char(struct printer *p, char value)
{
	cell_len(p, &value, 1);
}

static void line_end(struct printer *p)
{
	if ((p->n & (p->n + 1)) == 0)
		p->lines = talloc_realloc(p, p->lines, char *, (p->n + 1) * 2);
	p->lines[p->n++] = talloc_strdup(p->lines, p->line->s);
	text_clear(p->line);
}

static int compare_lines(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static char *printer_finish(struct printer *p, void *parent)
{
	struct text *all = text_new(parent);
	char *result;

	if (p->n)
		qsort(p->lines, p->n, sizeof *p->lines, compare_lines);
	for (size_t i = 0; i < p->n; i++) {
		text_add(all, p->lines[i]);
		text_add_char(all, '\n');
	}
	talloc_free(p);
	result = talloc_strdup(parent, all->s);
	talloc_free(all);
	return result;
}

/* "SELECT,INSERT*"; an asterisk is the grant option. */
static void cell_privs(struct printer *p, const struct acl_entry *e)
{
	char buf[512] = "";

	for (unsigned bit = 0; bit <= PRIV_COUNT; bit++) {
		privs_t one = 1u << bit;
		size_t len = strlen(buf);

		if (e->privs & one)
			snprintf(buf + len, sizeof buf - len, "%s%s%s", len ? "," : "", one == PRIV_UNKNOWN ? "?" : privilege_name(one),
				 e->grantable & one ? "*" : "");
	}
	cell(p, buf);
}

/* "table", schema, name, column */
struct object {
	const char *word;
	name_id schema;
	const char *name;
	size_t name_len;
	const char *column;
};

static void cells_object(struct printer *p, const char *what, const struct object *o)
{
	cell(p, what);
	cell(p, o->word);
	cell_name(p, o->schema);
	cell_len(p, o->name, o->name_len);
	cell(p, o->column);
}

static void lines_acl(struct printer *p, const char *what, const struct object *o, const struct acl *acl)
{
	for (uint32_t i = 0; i < acl->n; i++) {
		cells_object(p, what, o);
		cell_name(p, acl->v[i].grantee);
		cell_name(p, acl->v[i].grantor);
		cell_privs(p, &acl->v[i]);
		line_end(p);
	}
}

static void lines_group(struct printer *p, const struct object_group *g)
{
	struct object o = { .word = object_kind_word(g->kind, g->relkind), .schema = g->schema, .column = g->column };
	size_t cursor = 0;

	while ((o.name = object_group_next(g, &cursor, p->scratch, &o.name_len))) {
		cells_object(p, "object", &o);
		cell_name(p, g->owner);
		cell_bool(p, g->in_extension);
		cell_bool(p, g->row_security);
		cell_bool(p, g->force_row_security);
		cell(p, g->acl->is_null ? "default" : "explicit");
		cell(p, g->initial ? "initial" : NULL);
		line_end(p);
		lines_acl(p, "grant", &o, g->acl);
		if (g->initial)
			lines_acl(p, "initial", &o, g->initial);
	}
}

static void line_facts(struct printer *p, const struct server_facts *f)
{
	cell(p, "facts");
	cell_number(p, f->version_num);
	cell_bool(p, f->in_recovery);
	cell(p, f->system_identifier ? "identified" : NULL);
	cell_name(p, f->me);
	cell_bool(p, f->is_superuser);
	cell_bool(p, f->createrole);
	cell_bool(p, f->createdb);
	cell_bool(p, f->replication);
	cell_bool(p, f->bypassrls);
	cell_bool(p, f->can_read_verifiers);
	cell_name(p, f->bootstrap);
	cell_name(p, f->database);
	line_end(p);
}

static void line_role(struct printer *p, const struct role *r)
{
	cell(p, "role");
	cell_name(p, r->name);
	cell_number(p, r->oid);
	for (unsigned bit = 0; bit < ROLE_ATTRS; bit++)
		cell_bool(p, r->attrs & 1u << bit);
	cell_number(p, r->connection_limit);
	cell(p, r->valid_until);
	cell(p, r->verifier);
	cell(p, r->comment);
	line_end(p);
}

static void line_membership(struct printer *p, const struct membership *m)
{
	cell(p, "membership");
	cell_name(p, m->role);
	cell_name(p, m->member);
	cell_name(p, m->grantor);
	cell_bool(p, m->admin);
	cell_bool(p, m->inherit);
	cell_bool(p, m->set);
	line_end(p);
}

static void line_setting(struct printer *p, const struct setting *s)
{
	cell(p, "setting");
	cell_name(p, s->role);
	cell_name(p, s->database);
	cell(p, s->name);
	cell(p, s->value);
	line_end(p);
}

static void lines_database(struct printer *p, const struct database *d)
{
	const char *name = names_text(p->names, d->name);
	struct object o = { .word = "database", .name = name, .name_len = strlen(name) };

	cell(p, "database");
	cell_name(p, d->name);
	cell_number(p, d->oid);
	cell_name(p, d->owner);
	cell_bool(p, d->allow_connections);
	cell_number(p, d->connection_limit);
	cell(p, d->acl->is_null ? "default" : "explicit");
	line_end(p);
	lines_acl(p, "grant", &o, d->acl);
}

char *model_text_server(void *parent, const struct server_state *s)
{
	struct printer *p = printer_new(s->names);

	line_facts(p, &s->facts);
	for (uint32_t i = 0; i < s->n_roles; i++)
		line_role(p, &s->roles[i]);
	for (uint32_t i = 0; i < s->n_memberships; i++)
		line_membership(p, &s->memberships[i]);
	for (uint32_t i = 0; i < s->n_settings; i++)
		line_setting(p, &s->settings[i]);
	for (uint32_t i = 0; i < s->n_databases; i++)
		lines_database(p, &s->databases[i]);
	for (uint32_t i = 0; i < s->n_objects; i++)
		lines_group(p, &s->objects[i]);
	return printer_finish(p, parent);
}

static void lines_default_acl(struct printer *p, const struct default_acl *d)
{
	for (uint32_t i = 0; i <= d->acl->n; i++) {
		cell(p, i ? "default_grant" : "default_acl");
		cell_name(p, d->role);
		cell_name(p, d->schema);
		cell_char(p, d->objtype);
		if (i) {
			cell_name(p, d->acl->v[i - 1].grantee);
			cell_name(p, d->acl->v[i - 1].grantor);
			cell_privs(p, &d->acl->v[i - 1]);
		}
		line_end(p);
	}
}

static void line_event_trigger(struct printer *p, const struct event_trigger *e)
{
	cell(p, "event_trigger");
	cell(p, e->name);
	cell(p, e->function);
	cell_name(p, e->owner);
	cell_len(p, e->tags ? e->tags : "", e->tags ? e->tags_len : 0);
	line_end(p);
}

static void line_extension(struct printer *p, const struct extension *x)
{
	cell(p, "extension");
	cell(p, x->name);
	cell(p, x->version);
	cell(p, x->schema);
	cell_name(p, x->owner);
	cell_bool(p, x->relocatable);
	cell(p, x->default_version);
	line_end(p);
}

static void lines_policy(struct printer *p, const struct policy *y)
{
	size_t cursor = 0, len;
	const char *role;

	cell(p, "policy");
	cell_name(p, y->schema);
	cell(p, y->table);
	cell(p, y->name);
	cell_char(p, y->command);
	cell_bool(p, y->permissive);
	cell(p, y->using_expr);
	cell(p, y->check_expr);
	cell(p, y->comment);
	line_end(p);
	while ((role = array_next(y->roles, strlen(y->roles), &cursor, p->scratch, &len))) {
		cell(p, "policy_role");
		cell_name(p, y->schema);
		cell(p, y->table);
		cell(p, y->name);
		cell_len(p, role, len);
		line_end(p);
	}
}

static void line_ledger(struct printer *p, const struct ledger_relation *l)
{
	cell(p, "ledger");
	cell_bool(p, l->schema_exists);
	cell(p, l->schema_owner);
	cell_bool(p, l->exists);
	if (l->exists) {
		cell_char(p, l->relkind);
		cell_name(p, l->owner);
		cell_bool(p, l->plain);
		cell_bool(p, l->readable);
	}
	line_end(p);
}

char *model_text_database(void *parent, const struct database_state *d)
{
	struct printer *p = printer_new(d->names);

	line_facts(p, &d->facts);
	for (uint32_t i = 0; i < d->n_objects; i++)
		lines_group(p, &d->objects[i]);
	for (uint32_t i = 0; i < d->n_default_acls; i++)
		lines_default_acl(p, &d->default_acls[i]);
	for (uint32_t i = 0; i < d->n_event_triggers; i++)
		line_event_trigger(p, &d->event_triggers[i]);
	for (uint32_t i = 0; i < d->n_extensions; i++)
		line_extension(p, &d->extensions[i]);
	for (uint32_t i = 0; i < d->n_available; i++) {
		cell(p, "available");
		cell(p, d->available_extensions[i]);
		line_end(p);
	}
	for (uint32_t i = 0; i < d->n_policies; i++)
		lines_policy(p, &d->policies[i]);
	line_ledger(p, &d->ledger);
	return printer_finish(p, parent);
}
