/* SPDX-License-Identifier: PostgreSQL */
/* What the parts of import share. Private to this folder. */
#ifndef DBR_RECONCILE_IMPORT_INTERNAL_H
#define DBR_RECONCILE_IMPORT_INTERNAL_H

#include "base/text.h"
#include "reconcile/import.h"

struct import {
	void *mem;                   /* of the manifest and everything in it */
	struct manifest *manifest;
	const struct server_state *server;
	const struct database_state *database;   /* NULL for a server */
	const struct guard_settings *guard;
	struct names *names;
	int version_num;
	struct text *notes, *scratch;
};

enum import_role {
	IMPORT_ROLE_NOBODY,          /* cannot be named: predefined, ignored, gone, or no name that a manifest can hold */
	IMPORT_ROLE_EXTERNAL,        /* named and never altered: our own, protected, privileged */
	IMPORT_ROLE_MANAGED,
};
enum import_role import_role(const struct import *, name_id);

/* A comment line of the manifest. */
void import_note(struct import *, const char *format, ...) __attribute__((format(printf, 2, 3)));
/* Can a manifest hold it? A note says when not. */
bool import_name_fits(struct import *, const char *what, const char *name, size_t len);
bool import_id_fits(struct import *, const char *what, name_id);
/* Makes room for one more in a list of the manifest and clears it. */
void *import_grow(struct import *, void *v, uint32_t *n, size_t size);
#define IMPORT_ADD(import, list, n) (&((list) = import_grow((import), (list), &(n), sizeof *(list)))[(n) - 1])
void import_string(struct import *, struct strings *, const char *);

/* Everything that is granted on the groups, and who owns them; equal grants on many objects become one. */
void import_grants(struct import *, const struct object_group *, uint32_t n);
void import_owners(struct import *, const struct object_group *, uint32_t n);
void import_defaults(struct import *);

#endif
