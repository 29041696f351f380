/* SPDX-License-Identifier: PostgreSQL */
/*
 * What can be granted on what: one table of object kinds and one of
 * privileges. Source: PostgreSQL documentation, "Privileges" (ddl-priv), and
 * the catalogs of 14 to 18.
 */
#ifndef DBR_MODEL_KIND_H
#define DBR_MODEL_KIND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum object_kind {
	OBJECT_NONE = 0,
	OBJECT_TABLE,             /* and views, materialized views, foreign and partitioned tables: see relkind */
	OBJECT_COLUMN,
	OBJECT_SEQUENCE,
	OBJECT_FUNCTION,          /* and aggregates, window functions */
	OBJECT_PROCEDURE,
	OBJECT_TYPE,
	OBJECT_DOMAIN,
	OBJECT_SCHEMA,
	OBJECT_DATABASE,
	OBJECT_LANGUAGE,
	OBJECT_FOREIGN_DATA_WRAPPER,
	OBJECT_FOREIGN_SERVER,
	OBJECT_TABLESPACE,
	OBJECT_LARGE_OBJECT,
	OBJECT_PARAMETER,         /* 15+ */
	OBJECT_KINDS
};

/* A set of privileges, one bit each. */
typedef uint32_t privs_t;

enum privilege {
	PRIV_SELECT = 1u << 0,       /* r */
	PRIV_INSERT = 1u << 1,       /* a */
	PRIV_UPDATE = 1u << 2,       /* w */
	PRIV_DELETE = 1u << 3,       /* d */
	PRIV_TRUNCATE = 1u << 4,     /* D */
	PRIV_REFERENCES = 1u << 5,   /* x */
	PRIV_TRIGGER = 1u << 6,      /* t */
	PRIV_MAINTAIN = 1u << 7,     /* m, 17+ */
	PRIV_EXECUTE = 1u << 8,      /* X */
	PRIV_USAGE = 1u << 9,        /* U */
	PRIV_CREATE = 1u << 10,      /* C */
	PRIV_CONNECT = 1u << 11,     /* c */
	PRIV_TEMPORARY = 1u << 12,   /* T */
	PRIV_SET = 1u << 13,         /* s, 15+ */
	PRIV_ALTER_SYSTEM = 1u << 14,/* A, 15+ */
	PRIV_UNKNOWN = 1u << 15,     /* a letter of a newer server: reported, never revoked */
};
#define PRIV_COUNT 15            /* known ones */

struct object_kind_info {
	const char *name;        /* in manifests and output: "table", "foreign data wrapper" */
	const char *plural;
	const char *sql;         /* after GRANT ... ON */
	privs_t privs;           /* all that can be granted, on the newest server */
	privs_t public_default;  /* what acldefault() gives PUBLIC */
	bool in_schema;
	bool shared;             /* belongs to the server target */
	char default_acl;        /* pg_default_acl.defaclobjtype, or 0 */
};

/* The row of a kind; static. */
const struct object_kind_info *object_kind_info(enum object_kind kind);

/* "table", "view", "materialized view", "foreign table", "partitioned table" narrow OBJECT_TABLE through
   *ret_relkind (0 = any); "routine" is not a kind. OBJECT_NONE when the word is unknown. */
enum object_kind object_kind_parse(const char *word, size_t len, char *ret_relkind);
/* The word for one object: kind narrowed by relkind ('v' -> "view"). */
const char *object_kind_word(enum object_kind kind, char relkind);

privs_t privilege_parse(const char *word);       /* case-insensitive; "TEMP" too; 0 when unknown */
const char *privilege_name(privs_t one);         /* exactly one bit */
privs_t privilege_from_letter(char letter);      /* PRIV_UNKNOWN when not known */
/* What can be granted on kind by this server: MAINTAIN from 170000, parameters from 150000. */
privs_t kind_privileges(enum object_kind kind, int version_num);
/* "SELECT, INSERT" into buf (>= 256), in the order above. Returns buf. */
const char *privileges_format(privs_t privs, char *buf, size_t size);

#endif
