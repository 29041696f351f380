/* SPDX-License-Identifier: PostgreSQL */
/* Roles, memberships and settings, as a server has them and as a manifest wants them. */
#ifndef DBR_MODEL_ROLE_H
#define DBR_MODEL_ROLE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/names.h"

enum role_attr {
	ROLE_SUPERUSER = 1 << 0,
	ROLE_INHERIT = 1 << 1,
	ROLE_CREATEROLE = 1 << 2,
	ROLE_CREATEDB = 1 << 3,
	ROLE_LOGIN = 1 << 4,
	ROLE_REPLICATION = 1 << 5,
	ROLE_BYPASSRLS = 1 << 6,
};
#define ROLE_ATTRS 7
/* "SUPERUSER"; index 0..ROLE_ATTRS-1 is the bit number. */
extern const char *const role_attr_names[ROLE_ATTRS];

/* A role as the server has it. Strings point into the rows it was decoded from. */
struct role {
	name_id name;
	uint32_t oid;
	unsigned attrs;            /* enum role_attr */
	int32_t connection_limit;  /* -1 no limit */
	const char *valid_until;   /* "2027-01-01T00:00:00.000000Z"; NULL = no end (NULL and infinity are the same) */
	const char *verifier;      /* pg_authid.rolpassword; NULL = none, or not readable (server_facts.can_read_verifiers) */
	const char *comment;       /* NULL = none */
};

struct membership {
	name_id role, member, grantor;
	bool admin, inherit, set;
};

/* One setting of pg_db_role_setting. */
struct setting {
	name_id role;              /* NAME_NONE = all roles */
	name_id database;          /* NAME_NONE = all databases */
	const char *name;          /* as the server spells it */
	const char *value;         /* as stored */
	uint32_t at;               /* grows in the order in which the server has those of one role and database */
};

#endif
