/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"
#include "control/names.h"

#include <grp.h>
#include <pwd.h>
#include <talloc.h>

#define NSS_BUFFER (16 * 1024)

int group_number(const char *name, gid_t *ret)
{
	char buf[NSS_BUFFER];
	struct group group, *found = NULL;

	if (getgrnam_r(name, &group, buf, sizeof(buf), &found) != 0 || !found)
		return 1;
	*ret = found->gr_gid;
	return 0;
}

char *user_name(void *parent, uid_t uid)
{
	char buf[NSS_BUFFER];
	struct passwd user, *found = NULL;

	if (getpwuid_r(uid, &user, buf, sizeof(buf), &found) != 0 || !found)
		return NULL;
	return talloc_strdup(parent, found->pw_name);
}

int user_groups(uid_t uid, gid_t *ret, int max)
{
	char buf[NSS_BUFFER];
	struct passwd user, *found = NULL;
	int n = max;

	if (getpwuid_r(uid, &user, buf, sizeof(buf), &found) != 0 || !found)
		return 0;
	return getgrouplist(found->pw_name, found->pw_gid, ret, &n) < 0 ? max : n;
}
