/* SPDX-License-Identifier: PostgreSQL */
/* Roles, memberships, settings, databases. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/look.h"

static int compare_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_roles(const void *a, const void *b)
{
	const struct role *x = a, *y = b;

	return compare_u32(x->name, y->name);
}

static void read_role(struct reader *reader, struct role *role)
{
	role->oid = (uint32_t)cell_number(reader, 0, 1, UINT32_MAX);
	role->name = cell_name(reader, 1);
	role->attrs = (unsigned)cell_number(reader, 2, 0, (1 << ROLE_ATTRS) - 1);
	role->connection_limit = (int32_t)cell_number(reader, 3, INT32_MIN, INT32_MAX);
	role->valid_until = cell_text_or_null(reader, 4);
	role->verifier = cell_text_or_null(reader, 5);
	role->comment = cell_text_or_null(reader, 6);
}

void decode_roles(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct role *v = talloc_zero_array(look->server, struct role, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++)
		read_role(reader, &v[reader->row]);
	if (reader->failed)
		return;
	qsort(v, n, sizeof *v, compare_roles);
	for (uint32_t i = 1; i < n; i++)
		if (v[i].name == v[i - 1].name)
			reader_fail(reader, 1, "role \"%s\" comes twice", names_text(look->names, v[i].name));
	look->server->roles = v;
	look->server->n_roles = n;
}

static int compare_memberships(const void *a, const void *b)
{
	const struct membership *x = a, *y = b;
	int c = compare_u32(x->role, y->role);

	if (c == 0)
		c = compare_u32(x->member, y->member);
	return c ? c : compare_u32(x->grantor, y->grantor);
}

/* One row: the members that have a role by the same grantor, with the same options. */
static void read_memberships(struct reader *reader, struct membership *v, const char *members, size_t len, struct text *scratch)
{
	struct membership like = { .role = cell_name(reader, 0), .grantor = cell_name_or_none(reader, 1), .admin = cell_bool(reader, 2),
				   .inherit = cell_bool(reader, 3), .set = cell_bool(reader, 4) };
	size_t cursor = 0, name_len;
	const char *name;

	while ((name = array_next(members, len, &cursor, scratch, &name_len))) {
		*v = like;
		v++->member = name_intern_decodable(reader->names, name, name_len);
	}
}

void decode_memberships(struct look *look, enum query_id id, struct reader *reader)
{
	struct text *scratch = text_new(NULL);
	struct membership *v = NULL;
	uint32_t n = 0, more;

	(void)id;
	for (; reader->row < reader->rows->rows && !reader->failed; reader->row++) {
		size_t len;
		const char *members = cell_members(reader, 6, 5, &len, &more);

		v = grow_array(look->server, v, sizeof *v, n, more);
		read_memberships(reader, v + n, members, len, scratch);
		n += more;
	}
	talloc_free(scratch);
	if (reader->failed)
		return;
	if (n > 1)
		qsort(v, n, sizeof *v, compare_memberships);
	for (uint32_t i = 1; i < n; i++)
		if (compare_memberships(&v[i], &v[i - 1]) == 0)
			reader_fail(reader, 0, "membership of \"%s\" in \"%s\" by one grantor comes twice",
				    names_text(look->names, v[i].member), names_text(look->names, v[i].role));
	look->server->memberships = v;
	look->server->n_memberships = n;
}

static int compare_settings(const void *a, const void *b)
{
	const struct setting *x = a, *y = b;
	int c = compare_u32(x->role, y->role);

	if (c == 0)
		c = compare_u32(x->database, y->database);
	return c ? c : strcmp(x->name, y->name);
}

static void read_setting(struct reader *reader, struct setting *v, struct setting *setting)
{
	const char *text, *equals;

	setting->role = cell_name_or_none(reader, 0);
	setting->database = cell_name_or_none(reader, 1);
	text = cell_text(reader, 2);
	equals = strchr(text, '=');
	if (!equals || equals == text) {
		reader_fail(reader, 2, "name=value expected");
		return;
	}
	setting->name = talloc_strndup(v, text, (size_t)(equals - text));
	setting->value = equals + 1;
	setting->at = reader->row;
	if (!setting->name)
		abort();
}

void decode_settings(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct setting *v = talloc_zero_array(look->server, struct setting, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++)
		read_setting(reader, v, &v[reader->row]);
	if (reader->failed)
		return;
	qsort(v, n, sizeof *v, compare_settings);
	for (uint32_t i = 1; i < n; i++)
		if (compare_settings(&v[i], &v[i - 1]) == 0)
			reader_fail(reader, 2, "a setting comes twice for one role and database");
	look->server->settings = v;
	look->server->n_settings = n;
}

static int compare_databases(const void *a, const void *b)
{
	const struct database *x = a, *y = b;

	return compare_u32(x->name, y->name);
}

void decode_databases(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct database *v = talloc_zero_array(look->server, struct database, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		struct database *d = &v[reader->row];

		d->oid = (uint32_t)cell_number(reader, 0, 1, UINT32_MAX);
		d->name = cell_name(reader, 1);
		d->owner = cell_name(reader, 2);
		d->allow_connections = cell_bool(reader, 3);
		d->connection_limit = (int32_t)cell_number(reader, 4, INT32_MIN, INT32_MAX);
		d->acl = acl_cache_cell(look->acls, reader, 5, OBJECT_DATABASE, d->owner);
	}
	if (reader->failed)
		return;
	if (comes_twice(v, n, sizeof *v, compare_databases))
		reader_fail(reader, 1, "a database comes twice");
	look->server->databases = v;
	look->server->n_databases = n;
}

void decode_role_dependencies(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	void *parent = look->server ? (void *)look->server : look->database;
	struct role_dependency *v = talloc_zero_array(parent, struct role_dependency, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++)
		v[reader->row] = (struct role_dependency){
			.role = cell_name(reader, 0), .database = cell_name_or_none(reader, 1), .type = cell_char(reader, 2),
			.catalog = cell_text_or_null(reader, 3), .n = (uint32_t)cell_number(reader, 4, 0, UINT32_MAX),
			.objects = cell_text_or_null(reader, 5),
		};
	if (reader->failed)
		return;
	if (look->server) {
		look->server->dependencies = v;
		look->server->n_dependencies = n;
	} else {
		look->database->dependencies = v;
		look->database->n_dependencies = n;
	}
}
