// SPDX-License-Identifier: Apache-2.0
#include "common/peer.h"

#include <grp.h>
#include <stddef.h>
#include <sys/socket.h>

#define GROUPS_MAX 1024

gid_t peer_group(const char *name)
{
	const struct group *g = *name ? getgrnam(name) : NULL;

	return g ? g->gr_gid : PEER_NO_GROUP;
}

static bool in_group(int fd, const struct ucred *who, gid_t group)
{
	gid_t groups[GROUPS_MAX];
	socklen_t len = sizeof(groups);

	if (group == PEER_NO_GROUP)
		return false;
	if (who->gid == group)
		return true;
	if (getsockopt(fd, SOL_SOCKET, SO_PEERGROUPS, groups, &len))
		return false;
	for (size_t i = 0; i < len / sizeof(groups[0]); i++)
		if (groups[i] == group)
			return true;
	return false;
}

bool peer_may(int fd, uid_t self, gid_t group, uid_t *ret_uid)
{
	struct ucred who = {.uid = (uid_t)-1};
	socklen_t len = sizeof(who);
	const bool known = !getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &len);

	if (ret_uid)
		*ret_uid = known ? who.uid : (uid_t)-1;
	return known && (!who.uid || who.uid == self || in_group(fd, &who, group));
}
