/* SPDX-License-Identifier: PostgreSQL */
/*
 * Who asks, and whether they may change something. The kernel says who
 * connected (SO_PEERCRED, fixed at connect); a pid proves nothing and is not
 * used. Writing needs root, the daemon's own user, or membership in one of
 * admin_groups.
 */
#include "config.h"

#include <errno.h>
#include <talloc.h>
#include <unistd.h>

#include "base/log.h"
#include "control/internal.h"
#include "control/names.h"

#define PEER_GROUPS_MAX 256

int peer_credentials(int fd, struct ucred *ret)
{
	socklen_t len = sizeof(*ret);

	return getsockopt(fd, SOL_SOCKET, SO_PEERCRED, ret, &len) < 0 ? -errno : 0;
}

/* Names become numbers once per settings generation, not once per request. */
static void resolve_groups(struct control *control, const struct settings *settings)
{
	const struct control_settings *own = &settings->control;

	if (control->groups && control->groups_generation == settings->generation)
		return;
	talloc_free(control->groups);
	control->groups = talloc_zero_array(control, gid_t, own->n_admin_groups + 1);
	control->n_groups = 0;
	control->groups_generation = settings->generation;
	for (uint32_t i = 0; i < own->n_admin_groups; i++) {
		if (group_number(own->admin_groups[i], &control->groups[control->n_groups]) == 0)
			control->n_groups++;
		else
			log_line(LOG_LEVEL_INFO, "control.admin_groups: there is no group '%s' on this machine, ignoring",
				 own->admin_groups[i]);
	}
}

static bool is_admin_group(const struct control *control, gid_t gid)
{
	for (unsigned i = 0; i < control->n_groups; i++)
		if (control->groups[i] == gid)
			return true;
	return false;
}

static bool in_any(const struct control *control, const gid_t *groups, int n)
{
	for (int i = 0; i < n; i++)
		if (is_admin_group(control, groups[i]))
			return true;
	return false;
}

/* The groups that the peer's process had at connect: from the kernel, without any look-up. */
static bool process_groups_match(const struct control *control, int fd)
{
#ifdef SO_PEERGROUPS
	gid_t groups[PEER_GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len) == 0)
		return in_any(control, groups, (int)(len / sizeof(gid_t)));
#endif
	return false;
}

/* The groups that the user's entry gives now: somebody added a minute ago need not log in again. */
static bool user_groups_match(const struct control *control, const struct ucred *peer)
{
	gid_t groups[PEER_GROUPS_MAX];

	return in_any(control, groups, user_groups(peer->uid, groups, PEER_GROUPS_MAX));
}

bool peer_may_write(struct control *control, int fd, const struct ucred *peer)
{
	if (peer->uid == 0 || peer->uid == geteuid())
		return true;
	resolve_groups(control, engine_settings(control->engine));
	if (control->n_groups == 0)
		return false;
	return is_admin_group(control, peer->gid) || process_groups_match(control, fd) || user_groups_match(control, peer);
}

char *peer_actor(void *parent, const struct ucred *peer)
{
	char *name = user_name(parent, peer->uid);

	if (!name)
		return talloc_asprintf(parent, "uid %u", (unsigned)peer->uid);
	return talloc_asprintf(parent, "uid %u (%s)", (unsigned)peer->uid, name);
}
