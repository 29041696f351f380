/* SPDX-License-Identifier: PostgreSQL */
/*
 * The way back: what a look found, as the text of a manifest with authority exact. When it is used for the target it was made
 * of, there is no drift. Passwords are not read; what a manifest cannot say stands as a comment above it. Pure.
 */
#ifndef DBR_RECONCILE_IMPORT_H
#define DBR_RECONCILE_IMPORT_H

#include "config/settings.h"
#include "model/observed.h"

/* Roles, memberships, settings, databases and what is granted on shared objects. A talloc child of parent. */
char *import_server(void *parent, const struct server_state *, const struct guard_settings *, const char *target);
/* What is inside of one database. The manifest of its server has to declare the roles, as import_server() does. */
char *import_database(void *parent, const struct server_state *, const struct database_state *, const struct guard_settings *,
		      const char *target);

#endif
