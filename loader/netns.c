// SPDX-License-Identifier: Apache-2.0
#include "loader/netns.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#ifndef SO_NETNS_COOKIE
#define SO_NETNS_COOKIE 71 /* kernel 5.14 */
#endif

static int home = -1; /* our own; open from the first netns_open() on */

int netns_label(const char *iface, char ret[NETNS_LABEL_MAX])
{
	const char *slash = strrchr(iface, '/');
	size_t n = slash ? (size_t)(slash - iface) : 0;

	if (n >= NETNS_LABEL_MAX)
		return -ENAMETOOLONG;
	memcpy(ret, iface, n);
	ret[n] = '\0';
	return 0;
}

static void path_of(const char *label, char *ret, size_t room)
{
	snprintf(ret, room, "%s%s", label[0] == '/' ? "" : NETNS_DIR "/", label);
}

/* Never used again as long as the machine runs, unlike the inode. */
static int read_cookie(uint64_t *ret)
{
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0), r;
	socklen_t n = sizeof(*ret);

	if (fd < 0)
		return -errno;
	r = getsockopt(fd, SOL_SOCKET, SO_NETNS_COOKIE, ret, &n) ? -errno : 0;
	close(fd);
	return r;
}

static int look(struct netns *ns)
{
	uint64_t cookie;
	struct statfs fs;
	struct stat st, own;
	int r;

	if (fstatfs(ns->fd, &fs) || fstat(ns->fd, &st) || fstat(home, &own))
		return -errno;
	if ((unsigned long)fs.f_type != NSFS_MAGIC)
		return -EINVAL;
	if (st.st_ino == own.st_ino && st.st_dev == own.st_dev)
		return -ENOTUNIQ;
	ns->dev = st.st_dev;
	ns->ino = st.st_ino;
	r = netns_enter(ns);
	if (r)
		return r;
	r = read_cookie(&cookie);
	netns_leave();
	ns->id = r == -ENOPROTOOPT ? (uint32_t)st.st_ino : (uint32_t)cookie;
	return r == -ENOPROTOOPT ? 0 : r;
}

int netns_open(const char *label, struct netns *ret)
{
	char path[NETNS_LABEL_MAX + sizeof(NETNS_DIR) + 1];
	int r;

	*ret = (struct netns){.fd = -1};
	if (home < 0)
		home = open("/proc/self/ns/net", O_RDONLY | O_CLOEXEC);
	if (home < 0)
		return -errno;
	snprintf(ret->label, sizeof(ret->label), "%s", label);
	path_of(label, path, sizeof(path));
	ret->fd = open(path, O_RDONLY | O_CLOEXEC);
	if (ret->fd < 0)
		return errno == EACCES ? -EPERM : -errno;
	r = look(ret);
	if (r)
		netns_close(ret);
	return r;
}

void netns_close(struct netns *ns)
{
	if (ns->fd >= 0)
		close(ns->fd);
	ns->fd = -1;
}

bool netns_is_there(const struct netns *ns)
{
	char path[NETNS_LABEL_MAX + sizeof(NETNS_DIR) + 1];
	struct stat st;

	path_of(ns->label, path, sizeof(path));
	return !stat(path, &st) && st.st_dev == ns->dev && st.st_ino == ns->ino;
}

int netns_enter(const struct netns *ns)
{
	return setns(ns->fd, CLONE_NEWNET) ? -errno : 0;
}

void netns_leave(void)
{
	if (setns(home, CLONE_NEWNET)) {
		fputs("weir: the way back into the own network namespace is barred\n", stderr);
		abort(); /* whatever came now would be done in the wrong place */
	}
}
