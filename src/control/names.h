/* SPDX-License-Identifier: PostgreSQL */
/* Users and groups of this machine by name and number (NSS): apart, because <grp.h> has a struct group, as plan.h has. */
#ifndef DBR_CONTROL_NAMES_H
#define DBR_CONTROL_NAMES_H

#include <sys/types.h>

/* 0 found; 1 there is no such group. */
int group_number(const char *name, gid_t *ret);
/* A talloc child of parent; NULL when the uid has no entry. */
char *user_name(void *parent, uid_t uid);
/* The groups that the user's entry gives now, at most max; 0 when there is no such user. */
int user_groups(uid_t uid, gid_t *ret, int max);

#endif
