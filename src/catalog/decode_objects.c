/* SPDX-License-Identifier: PostgreSQL */
/* Everything that comes grouped: one layout for all kinds of objects. */
#include <stdlib.h>
#include <talloc.h>

#include "catalog/look.h"

enum { KIND, SCHEMA, OWNER, IN_EXTENSION, ACL, INITIAL_ACL, COUNT, MEMBERS, MORE, MORE2 };

/* The letter in the first column, by query: a relation's own relkind, else ours. */
static const struct kind_letter {
	enum query_id query;
	char letter;
	enum object_kind kind;
} kind_letters[] = {
	{ QUERY_TABLESPACES, 't', OBJECT_TABLESPACE },
	{ QUERY_PARAMETERS, 'p', OBJECT_PARAMETER },
	{ QUERY_SCHEMAS, 'n', OBJECT_SCHEMA },
	{ QUERY_RELATIONS, 'r', OBJECT_TABLE },
	{ QUERY_RELATIONS, 'p', OBJECT_TABLE },
	{ QUERY_RELATIONS, 'v', OBJECT_TABLE },
	{ QUERY_RELATIONS, 'm', OBJECT_TABLE },
	{ QUERY_RELATIONS, 'f', OBJECT_TABLE },
	{ QUERY_RELATIONS, 'S', OBJECT_SEQUENCE },
	{ QUERY_COLUMNS, 'r', OBJECT_COLUMN },
	{ QUERY_COLUMNS, 'p', OBJECT_COLUMN },
	{ QUERY_COLUMNS, 'v', OBJECT_COLUMN },
	{ QUERY_COLUMNS, 'm', OBJECT_COLUMN },
	{ QUERY_COLUMNS, 'f', OBJECT_COLUMN },
	{ QUERY_COLUMNS, 'S', OBJECT_COLUMN },
	{ QUERY_ROUTINES, 'R', OBJECT_FUNCTION },
	{ QUERY_ROUTINES, 'P', OBJECT_PROCEDURE },
	{ QUERY_TYPES, 'T', OBJECT_TYPE },
	{ QUERY_TYPES, 'd', OBJECT_DOMAIN },
	{ QUERY_LANGUAGES, 'l', OBJECT_LANGUAGE },
	{ QUERY_FOREIGN, 'F', OBJECT_FOREIGN_DATA_WRAPPER },
	{ QUERY_FOREIGN, 'S', OBJECT_FOREIGN_SERVER },
	{ QUERY_LARGE_OBJECTS, 'L', OBJECT_LARGE_OBJECT },
};

static enum object_kind kind_from_letter(enum query_id query, char letter)
{
	for (size_t i = 0; i < sizeof kind_letters / sizeof *kind_letters; i++)
		if (kind_letters[i].query == query && kind_letters[i].letter == letter)
			return kind_letters[i].kind;
	return OBJECT_NONE;
}

static void read_kind(struct reader *reader, enum query_id id, struct object_group *group)
{
	char letter = cell_char(reader, KIND);

	group->kind = kind_from_letter(id, letter);
	if (group->kind == OBJECT_NONE)
		reader_fail(reader, KIND, "kind of object 0x%02x is not known", (unsigned char)letter);
	if (group->kind == OBJECT_TABLE || group->kind == OBJECT_COLUMN)
		group->relkind = letter;
}

static void read_schema(struct reader *reader, struct object_group *group)
{
	group->schema = cell_name_or_none(reader, SCHEMA);
	if (!reader->failed && object_kind_info(group->kind)->in_schema != (group->schema != NAME_NONE))
		reader_fail(reader, SCHEMA, "a %s %s a schema", object_kind_info(group->kind)->name,
			    group->schema == NAME_NONE ? "without" : "in");
}

static void read_members(struct reader *reader, struct object_group *group)
{
	group->names = cell_members(reader, MEMBERS, COUNT, &group->names_len, &group->n);
	group->names_array = true;
}

static void read_group(struct look *look, enum query_id id, struct reader *reader, struct object_group *group)
{
	read_kind(reader, id, group);
	read_schema(reader, group);
	group->owner = cell_name(reader, OWNER);
	group->in_extension = cell_bool(reader, IN_EXTENSION);
	group->acl = acl_cache_cell(look->acls, reader, ACL, group->kind, group->owner);
	group->initial = acl_cache_cell_or_null(look->acls, reader, INITIAL_ACL);
	read_members(reader, group);
	if (id == QUERY_COLUMNS) {
		group->column = cell_text(reader, MORE);
	} else if (id == QUERY_RELATIONS) {
		group->row_security = cell_bool(reader, MORE);
		group->force_row_security = cell_bool(reader, MORE2);
	}
}

void decode_objects(struct look *look, enum query_id id, struct reader *reader)
{
	void *parent = look->server ? (void *)look->server : (void *)look->database;
	struct object_group **objects = look->server ? &look->server->objects : &look->database->objects;
	uint32_t *n = look->server ? &look->server->n_objects : &look->database->n_objects;

	*objects = talloc_realloc(parent, *objects, struct object_group, *n + reader->rows->rows);
	if (!*objects && *n + reader->rows->rows)
		abort();
	for (; reader->row < reader->rows->rows && !reader->failed; reader->row++) {
		struct object_group *group = &(*objects)[(*n)++];

		*group = (struct object_group){ 0 };
		read_group(look, id, reader, group);
	}
}
