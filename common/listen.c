// SPDX-License-Identifier: Apache-2.0
#include "common/listen.h"

#include <errno.h>
#include <grp.h>
#include <libgen.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/program.h"

/* Does somebody answer there? */
static bool answers(const struct sockaddr_un *a, int type)
{
	int fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	bool yes;

	if (fd < 0)
		return false;
	yes = !connect(fd, (const struct sockaddr *)a, sizeof(*a)) || errno == EAGAIN;
	close(fd);
	return yes;
}

/* Its directory, if only that is missing. */
static void make_directory(const char *path)
{
	char copy[LISTEN_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	/* What is wrong with it, bind() will say. */
	(void)mkdir(dirname(copy), 0755);
}

static int say(const char *what, int err)
{
	log_warn(what, "%s", strerror(-err));
	return err;
}

static int set_owner(const struct listen_local *l)
{
	const struct group *g;

	if (chmod(l->path, l->mode))
		return say(l->path, -errno);
	if (!l->group[0])
		return 0;
	g = getgrnam(l->group);
	if (!g) {
		log_warn(l->group, "%s — no such group", strerror(ENOENT));
		return -ENOENT;
	}
	return chown(l->path, (uid_t)-1, g->gr_gid) ? say(l->path, -errno) : 0;
}

static int bind_local(const struct listen_local *l, const struct sockaddr_un *a, int fd)
{
	const mode_t old = umask(0777); /* nobody until set_owner() */
	int r = bind(fd, (const struct sockaddr *)a, sizeof(*a)) ? -errno : 0;

	umask(old);
	if (r)
		log_warn(l->path, "%s — %s none does without", strerror(-r), l->option);
	r = r ?: set_owner(l);
	if (!r && !l->datagrams && listen(fd, 64))
		r = say(l->path, -errno);
	return r;
}

int listen_local(const struct listen_local *l, int *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	const int type = l->datagrams ? SOCK_DGRAM : SOCK_STREAM;
	int fd, r;

	if (strlen(l->path) >= sizeof(a.sun_path))
		return say(l->path, -ENAMETOOLONG);
	memcpy(a.sun_path, l->path, strlen(l->path));
	if (answers(&a, type)) {
		log_warn(l->path, "%s — another %s is running; %s names another path",
			 strerror(EADDRINUSE), program_name(), l->option);
		return -EADDRINUSE;
	}
	make_directory(l->path);
	if (unlink(l->path) && errno != ENOENT)
		return say(l->path, -errno);
	fd = socket(AF_UNIX, type | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(l->path, -errno);
	r = bind_local(l, &a, fd);
	if (r) {
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int listen_tcp(const struct address *a, const char *setting, int *ret)
{
	const int one = 1;
	int fd, r = 0;

	fd = socket(a->sa.sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(setting, -errno);
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, &a->sa, a->len) || listen(fd, 16)) {
		r = -errno;
		log_warn(setting, "%s", strerror(-r));
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}
