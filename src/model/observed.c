/* SPDX-License-Identifier: PostgreSQL */
#include "model/observed.h"

#include <string.h>

#include "base/text.h"

const struct role *server_role(const struct server_state *server, name_id name)
{
	uint32_t low = 0, high = server->n_roles;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;

		if (server->roles[mid].name < name)
			low = mid + 1;
		else
			high = mid;
	}
	return low < server->n_roles && server->roles[low].name == name ? &server->roles[low] : NULL;
}

const struct setting *server_settings_of(const struct server_state *server, name_id role, name_id database, uint32_t *ret_n)
{
	uint32_t low = 0, high = server->n_settings, n = 0;

	while (low < high) {
		uint32_t mid = low + (high - low) / 2;
		const struct setting *s = &server->settings[mid];

		if (s->role < role || (s->role == role && s->database < database))
			low = mid + 1;
		else
			high = mid;
	}
	while (low + n < server->n_settings && server->settings[low + n].role == role && server->settings[low + n].database == database)
		n++;
	*ret_n = n;
	return server->settings + low;
}

bool membership_of_creator(const struct server_state *server, const struct membership *m)
{
	const struct role *member = server_role(server, m->member);

	return server->facts.version_num >= 160000 && m->grantor == server->facts.bootstrap && m->admin && !m->inherit && !m->set && member && (member->attrs & ROLE_CREATEROLE);
}

const struct database *server_database(const struct server_state *server, const struct database_state *here)
{
	for (uint32_t i = 0; here && i < server->n_databases; i++)
		if (server->databases[i].name == here->facts.database)
			return &server->databases[i];
	return NULL;
}

/* A quoted element, with its escapes undone into scratch; p is after the opening quote. */
static const char *quoted_element(const char *p, const char *end, struct text *scratch)
{
	text_clear(scratch);
	for (; p < end && *p != '"'; p++) {
		if (*p == '\\' && p + 1 < end)
			p++;
		text_add_char(scratch, *p);
	}
	return p < end ? p + 1 : end;
}

const char *array_next(const char *array, size_t len, size_t *cursor, struct text *scratch, size_t *ret_len)
{
	const char *p = array + *cursor, *end = array + len, *start;

	if (len == 0 || (*cursor == 0 && *p != '{'))
		return NULL;
	if (p >= end || *p == '}')
		return NULL;
	p++;                                 /* '{' the first time, ',' afterwards */
	if (p >= end || (*p == '}' && *cursor == 0))
		return NULL;
	if (*p == '"') {
		p = quoted_element(p + 1, end, scratch);
		*cursor = (size_t)(p - array);
		*ret_len = scratch->len;
		return scratch->s;
	}
	start = p;
	while (p < end && *p != ',' && *p != '}')
		p++;
	*cursor = (size_t)(p - array);
	*ret_len = (size_t)(p - start);
	if (*ret_len == 4 && memcmp(start, "NULL", 4) == 0)
		*ret_len = 0;
	return start;
}

const char *object_group_next(const struct object_group *group, size_t *cursor, struct text *scratch, size_t *ret_len)
{
	if (group->names_array)
		return array_next(group->names, group->names_len, cursor, scratch, ret_len);
	if (*cursor)
		return NULL;
	*cursor = 1;
	*ret_len = group->names_len;
	return group->names;
}
