/* SPDX-License-Identifier: PostgreSQL */
/* What a database has besides objects: default privileges, extensions, policies, the ledger's table. */
#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "catalog/look.h"

static int compare_u32(uint32_t a, uint32_t b)
{
	return (a > b) - (a < b);
}

static int compare_default_acls(const void *a, const void *b)
{
	const struct default_acl *x = a, *y = b;
	int c = compare_u32(x->role, y->role);

	if (c == 0)
		c = compare_u32(x->schema, y->schema);
	return c ? c : x->objtype - y->objtype;
}

void decode_default_acls(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct default_acl *v = talloc_zero_array(look->database, struct default_acl, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		struct default_acl *d = &v[reader->row];

		d->role = cell_name(reader, 0);
		d->schema = cell_name_or_none(reader, 1);
		d->objtype = cell_char(reader, 2);
		d->acl = acl_cache_cell_or_null(look->acls, reader, 3);
		if (!d->acl)
			reader_fail(reader, 3, "NULL where an access control list must be");
	}
	if (!reader->failed && comes_twice(v, n, sizeof *v, compare_default_acls))
		reader_fail(reader, 0, "default privileges for one role, schema and kind come twice");
	look->database->default_acls = v;
	look->database->n_default_acls = n;
}

void decode_event_triggers(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows, n_tags;
	struct event_trigger *v = talloc_zero_array(look->database, struct event_trigger, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		struct event_trigger *e = &v[reader->row];

		e->name = cell_text(reader, 0);
		e->function = cell_text(reader, 1);
		e->owner = cell_name(reader, 2);
		e->tags = cell_array_or_null(reader, 3, &e->tags_len, &n_tags);
	}
	look->database->event_triggers = v;
	look->database->n_event_triggers = n;
}

static int compare_extensions(const void *a, const void *b)
{
	return strcmp(((const struct extension *)a)->name, ((const struct extension *)b)->name);
}

void decode_extensions(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	struct extension *v = talloc_zero_array(look->database, struct extension, n);

	(void)id;
	if (!v)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		struct extension *x = &v[reader->row];

		x->name = cell_text(reader, 0);
		x->version = cell_text(reader, 1);
		x->schema = cell_text(reader, 2);
		x->owner = cell_name(reader, 3);
		x->relocatable = cell_bool(reader, 4);
	}
	if (!reader->failed && comes_twice(v, n, sizeof *v, compare_extensions))
		reader_fail(reader, 0, "an extension comes twice");
	look->database->extensions = v;
	look->database->n_extensions = n;
}

void decode_available_extensions(struct look *look, enum query_id id, struct reader *reader)
{
	uint32_t n = reader->rows->rows;
	const char **v = talloc_zero_array(look->database, const char *, n + 1);
	bool *untrusted = talloc_zero_array(look->database, bool, n + 1);

	(void)id;
	if (!v || !untrusted)
		abort();
	for (; reader->row < n && !reader->failed; reader->row++) {
		v[reader->row] = cell_text(reader, 0);
		/* sorted without duplicates: decode_default_versions() searches it */
		if (reader->row && strcmp(v[reader->row - 1], v[reader->row]) >= 0)
			reader_fail(reader, 0, "extensions out of order");
		(void)cell_text_or_null(reader, 1);
		untrusted[reader->row] = cell_bool(reader, 2);
	}
	look->database->available_extensions = v;
	look->database->untrusted_extensions = untrusted;
	look->database->n_available = n;
	look->available = reader->rows;
}

void decode_default_versions(struct look *look)
{
	struct database_state *database = look->database;
	size_t len;

	if (!look->available)
		return;
	for (uint32_t i = 0; i < database->n_extensions; i++) {
		const char **found = bsearch(&database->extensions[i].name, database->available_extensions,
					     database->n_available, sizeof *found, text_compare);

		if (found)
			database->extensions[i].default_version = look->available->cell(
				look->available, (unsigned)(found - database->available_extensions), 1, &len);
	}
}

/* False when the table went away between the snapshot and pg_get_expr(): the next look will not see the policy. */
static bool read_policy(struct reader *reader, struct policy *p)
{
	bool has_using, has_check;
	uint32_t n;
	size_t len;

	*p = (struct policy){ .schema = cell_name(reader, 0) };
	p->name = cell_text(reader, 2);
	p->command = cell_char(reader, 3);
	p->permissive = cell_bool(reader, 4);
	p->roles = cell_array(reader, 5, &len, &n);
	if (n == 0)
		reader_fail(reader, 5, "a policy for no role");
	has_using = cell_bool(reader, 6);
	p->using_expr = cell_text_or_null(reader, 7);
	has_check = cell_bool(reader, 8);
	p->check_expr = cell_text_or_null(reader, 9);
	p->comment = cell_text_or_null(reader, 10);
	return has_using == (p->using_expr != NULL) && has_check == (p->check_expr != NULL);
}

static int compare_policies(const void *a, const void *b)
{
	const struct policy *x = a, *y = b;
	int c = compare_u32(x->schema, y->schema);

	if (c == 0)
		c = strcmp(x->table, y->table);
	return c ? c : strcmp(x->name, y->name);
}

/* The same policy on each of the tables; their names are copied to where they end in a zero byte. */
static void spread_policy(struct look *look, struct policy *v, const struct policy *like, const char *tables, size_t len)
{
	char *texts = talloc_size(look->database, len);
	struct text *scratch = text_new(NULL);
	size_t cursor = 0, name_len;
	const char *name;

	if (!texts)
		abort();
	while ((name = array_next(tables, len, &cursor, scratch, &name_len))) {
		*v = *like;
		v++->table = memcpy(texts, name, name_len);
		texts += name_len;
		*texts++ = '\0';
	}
	talloc_free(scratch);
}

void decode_policies(struct look *look, enum query_id id, struct reader *reader)
{
	struct policy *v = NULL, like;
	uint32_t n = 0, more;

	(void)id;
	for (; reader->row < reader->rows->rows && !reader->failed; reader->row++) {
		size_t len;
		const char *tables = cell_members(reader, 1, 11, &len, &more);

		if (!read_policy(reader, &like) || reader->failed)
			continue;
		v = grow_array(look->database, v, sizeof *v, n, more);
		spread_policy(look, v + n, &like, tables, len);
		n += more;
	}
	if (n > 1)
		qsort(v, n, sizeof *v, compare_policies);
	for (uint32_t i = 1; i < n && !reader->failed; i++)
		if (compare_policies(&v[i], &v[i - 1]) == 0)
			reader_fail(reader, 2, "a policy comes twice");
	look->database->policies = v;
	look->database->n_policies = n;
}

void decode_ledger_relation(struct look *look, enum query_id id, struct reader *reader)
{
	struct ledger_relation *ledger = &look->database->ledger;

	(void)id;
	if (reader->rows->rows != 1) {
		reader_fail(reader, 0, "%u rows instead of one", reader->rows->rows);
		return;
	}
	ledger->schema_exists = cell_bool(reader, 0);
	ledger->schema_owner = cell_text_or_null(reader, 1);
	ledger->oid = (uint32_t)cell_number_u64(reader, 2);
	ledger->exists = ledger->oid != 0;
	if (!ledger->exists)
		return;
	ledger->relkind = cell_char(reader, 3);
	ledger->owner = cell_name(reader, 4);
	ledger->plain = cell_bool(reader, 5);
	/* NULL when the table is gone meanwhile */
	ledger->readable = cell_text_or_null(reader, 6) && cell_bool(reader, 6);
}
