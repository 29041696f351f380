/* SPDX-License-Identifier: PostgreSQL */
#include "config.h"
#include "control/names.h"

#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <talloc.h>

#define NSS_BUFFER (16 * 1024)
#define NSS_BUFFER_MAX (16 * 1024 * 1024)

int group_number(const char *name, gid_t *ret)
{
	struct group group, *found = NULL;
	char *buf = NULL;
	int r = ERANGE;

	for (size_t size = NSS_BUFFER; r == ERANGE && size <= NSS_BUFFER_MAX; size *= 4) {
		buf = talloc_realloc(NULL, buf, char, size);
		r = getgrnam_r(name, &group, buf, size, &found);       /* all members of the group have to fit */
	}
	if (found)
		*ret = found->gr_gid;
	talloc_free(buf);
	return found ? 0 : 1;
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
