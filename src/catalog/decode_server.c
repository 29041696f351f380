/* SPDX-License-Identifier: PostgreSQL */
/* Roles, memberships, settings, databases. */
#include <limits.h>
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "catalog/look.h"

/* The columns of QUERY_ROLES from the third on are the attributes, in the order of their bits. */
#define ROLE_ATTR_COLUMN 2

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
	for (unsigned bit = 0; bit < ROLE_ATTRS; bit++)
		if (cell_bool(reader, ROLE_ATTR_COLUMN + bit))
			role->attrs |= 1u << bit;
	role->connection_limit = (int32_t)cell_number(reader, 9, INT32_MIN, INT32_MAX);
	role->valid_until = cell_text_or_null(reader, 10);
	role->verifier = cell_text_or_null(reader, 11);
	role->comment = cell_text_or_null(reader, 12);
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

void decode_memberships(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct membership *v = talloc_zero_array(look->server, struct membership, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		struct membership *m = &v[reader->row];

		m->role = cell_name(reader, 0);
		m->member = cell_name(reader, 1);
		m->grantor = cell_name_or_none(reader, 2);
		m->admin = cell_bool(reader, 3);
		m->inherit = cell_bool(reader, 4);
		m->set = cell_bool(reader, 5);
	}
	if (reader->failed)
		return;
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
