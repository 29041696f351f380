/* SPDX-License-Identifier: PostgreSQL */
/*
 * Manifests -> what one target should look like, with names as ids and rules
 * indexed. Compiled once per settings generation and target and kept; the
 * names table is shared with the target's looks.
 */
#ifndef DBR_RECONCILE_DESIRED_H
#define DBR_RECONCILE_DESIRED_H

#include "config/settings.h"
#include "model/observed.h"

struct desired;        /* of a server or of a database: see desired_internal.h */

/* The cluster-wide wishes of a server: roles, memberships, settings, databases, tablespaces, parameters. */
int desired_server(void *parent, struct names *, const struct server_settings *, struct desired **ret, struct error *err);
/* The wishes inside one database. database is its name (for wishes without one). */
int desired_database(void *parent, struct names *, const struct server_settings *, const struct database_settings *,
		     const char *database, struct desired **ret, struct error *err);

#endif
