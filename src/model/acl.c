/* SPDX-License-Identifier: PostgreSQL */
#include "model/acl.h"

#include <stdlib.h>
#include <string.h>
#include <talloc.h>

#include "base/text.h"
#include "model/observed.h"

/* A name of an aclitem: plain up to a delimiter, or in double quotes with "" for one quote (PostgreSQL's putid()). */
static const char *item_name(const char *p, const char *end, struct text *name, const char **ret, size_t *ret_len)
{
	const char *start = p;

	if (p < end && *p == '"') {
		text_clear(name);
		for (p++; p < end; p++) {
			if (*p == '"' && p + 1 < end && p[1] == '"') {
				p++;
			} else if (*p == '"') {
				*ret = name->s;
				*ret_len = name->len;
				return p + 1;
			}
			text_add_char(name, *p);
		}
		return NULL;
	}
	while (p < end && *p != '=' && *p != '/')
		p++;
	*ret = start;
	*ret_len = (size_t)(p - start);
	return p;
}

/* "grantee=privileges/grantor" */
static int parse_item(struct names *names, const char *item, size_t len, struct text *name, struct acl_entry *ret)
{
	const char *p = item, *end = item + len, *role;
	size_t role_len;

	*ret = (struct acl_entry){ 0 };
	p = item_name(p, end, name, &role, &role_len);
	if (!p || p >= end || *p != '=')
		return 1;
	ret->grantee = names_intern(names, role, role_len);
	for (p++; p < end && *p != '/'; p++) {
		privs_t one = privilege_from_letter(*p);

		ret->privs |= one;
		if (p + 1 < end && p[1] == '*') {
			ret->grantable |= one;
			p++;
		}
	}
	if (p >= end)
		return 1;
	p = item_name(p + 1, end, name, &role, &role_len);
	if (p != end || role_len == 0)
		return 1;
	ret->grantor = names_intern(names, role, role_len);
	return 0;
}

static int compare_entries(const void *a, const void *b)
{
	const struct acl_entry *x = a, *y = b;

	if (x->grantee != y->grantee)
		return x->grantee < y->grantee ? -1 : 1;
	return (x->grantor > y->grantor) - (x->grantor < y->grantor);
}

void acl_sort(struct acl *acl)
{
	if (acl->n > 1)
		qsort(acl->v, acl->n, sizeof *acl->v, compare_entries);
}

int acl_parse(void *parent, struct names *names, const char *text, size_t len, struct acl **ret, struct error *err)
{
	struct text *element = text_new(NULL), *name = text_new(element);
	uint32_t room = 4;
	struct acl *acl = talloc_size(parent, sizeof *acl + room * sizeof *acl->v);
	size_t cursor = 0, item_len;
	const char *item;

	acl->n = 0;
	acl->is_null = false;
	while ((item = array_next(text, len, &cursor, element, &item_len))) {
		if (acl->n == room) {
			room *= 2;
			acl = talloc_realloc_size(parent, acl, sizeof *acl + room * sizeof *acl->v);
		}
		if (parse_item(names, item, item_len, name, &acl->v[acl->n])) {
			error_set(err, "not an access control list item: %.200s", text);
			talloc_free(element);
			talloc_free(acl);
			return 1;
		}
		acl->n++;
	}
	talloc_free(element);
	acl_sort(acl);
	*ret = acl;
	return 0;
}

struct acl *acl_default(void *parent, enum object_kind kind, name_id owner, int version_num)
{
	struct acl *acl = talloc_size(parent, sizeof *acl + 2 * sizeof *acl->v);
	privs_t public_privs = object_kind_info(kind)->public_default;

	acl->n = 0;
	acl->is_null = true;
	if (kind == OBJECT_COLUMN)
		return acl;
	if (public_privs)
		acl->v[acl->n++] = (struct acl_entry){ .grantee = NAME_NONE, .grantor = owner, .privs = public_privs };
	acl->v[acl->n++] = (struct acl_entry){ .grantee = owner, .grantor = owner, .privs = kind_privileges(kind, version_num) };
	return acl;
}

void acl_held(const struct acl *acl, name_id grantee, privs_t *ret_privs, privs_t *ret_grantable)
{
	*ret_privs = *ret_grantable = 0;
	for (uint32_t i = 0; i < acl->n; i++) {
		if (acl->v[i].grantee != grantee)
			continue;
		*ret_privs |= acl->v[i].privs;
		*ret_grantable |= acl->v[i].grantable;
	}
}
