/* SPDX-License-Identifier: PostgreSQL */
#include "model/role.h"

const char *const role_attr_names[ROLE_ATTRS] = {
	"SUPERUSER", "INHERIT", "CREATEROLE", "CREATEDB", "LOGIN", "REPLICATION", "BYPASSRLS",
};
