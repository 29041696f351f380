/* SPDX-License-Identifier: PostgreSQL */
/* The roles of one server while its manifests are checked together. Inside config/ only. */
#ifndef DBR_CONFIG_FLEET_H
#define DBR_CONFIG_FLEET_H

#include "base/names.h"
#include "config/reader.h"

struct fleet_role {
	const struct role_wish *wish;      /* NULL = not declared */
	const struct manifest *manifest;
	bool group;                        /* some role is a member_of it */
};

struct fleet {
	struct reader *r;
	const struct server_settings *server;
	struct names *names;
	struct fleet_role *roles;          /* by name id */
	uint32_t n_roles;
	bool incomplete;                   /* some manifest could not be read: what is declared is not known */
};

/* circles.c: memberships that lead back to where they began. */
void check_circles(struct fleet *);

#endif
