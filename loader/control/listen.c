// SPDX-License-Identifier: Apache-2.0
/*
 * listen.c - the listening sockets; privileged core, before it forks.
 */
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <libgen.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/control/control.h"
#include "common/log.h"

static int say(const char *what, int err, const char *hint)
{
	log_warn(what, "%s%s%s", strerror(-err), hint[0] ? " — " : "", hint);
	return err;
}

/* Does a weir answer there? */
static bool answers(const struct sockaddr_un *a)
{
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
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
	char copy[CONTROL_PATH_MAX];

	snprintf(copy, sizeof(copy), "%s", path);
	/* What is wrong with it, bind() will say. */
	(void)mkdir(dirname(copy), 0755);
}

static int set_owner(const struct control_cfg *cfg)
{
	const struct group *g;

	if (chmod(cfg->path, cfg->mode))
		return say(cfg->path, -errno, "");
	if (!cfg->group[0])
		return 0;
	g = getgrnam(cfg->group);
	if (!g)
		return say(cfg->group, -ENOENT, "no such group; see control.group");
	return chown(cfg->path, (uid_t)-1, g->gr_gid) ? say(cfg->path, -errno, "") : 0;
}

static int listen_unix(const struct control_cfg *cfg, int *ret)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, r;

	snprintf(a.sun_path, sizeof(a.sun_path), "%s", cfg->path);
	if (answers(&a))
		return say(cfg->path, -EADDRINUSE,
			   "another weir is running; --control-socket names another path");
	make_directory(cfg->path);
	if (unlink(cfg->path) && errno != ENOENT)
		return say(cfg->path, -errno, "");
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say(cfg->path, -errno, "");
	old = umask(0777); /* nobody until set_owner() */
	r = bind(fd, (const struct sockaddr *)&a, sizeof(a)) ? -errno : 0;
	umask(old);
	if (r)
		say(cfg->path, r, "--control-socket none does without");
	r = r ?: set_owner(cfg);
	if (!r && listen(fd, 64))
		r = say(cfg->path, -errno, "");
	if (r) {
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

static int listen_tcp(const struct control_cfg *cfg, int *ret)
{
	struct sockaddr_in6 a6 = {.sin6_family = AF_INET6, .sin6_port = htons(cfg->port)};
	struct sockaddr_in a4 = {.sin_family = AF_INET, .sin_port = htons(cfg->port)};
	const bool v6 = strchr(cfg->host, ':');
	const struct sockaddr *a = v6 ? (void *)&a6 : (void *)&a4;
	const int one = 1;
	int fd, r = 0;

	if (inet_pton(v6 ? AF_INET6 : AF_INET, cfg->host,
		      v6 ? (void *)&a6.sin6_addr : (void *)&a4.sin_addr) != 1)
		return say(cfg->host, -EINVAL, "metrics listen on a numeric address");
	fd = socket(v6 ? AF_INET6 : AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return say("metrics", -errno, "");
	if (setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(fd, a, v6 ? sizeof(a6) : sizeof(a4)) || listen(fd, 16))
		r = say("metrics", -errno, "see metrics.listen");
	if (r) {
		close(fd);
		return r;
	}
	*ret = fd;
	return 0;
}

int control_listen(const struct control_cfg *cfg, struct control_fds *ret)
{
	int r = 0;

	*ret = (struct control_fds){.socket = -1, .http = -1};
	if (cfg->path[0])
		r = listen_unix(cfg, &ret->socket);
	if (r && cfg->optional) {
		log_warn(NULL, "going on without a control socket");
		r = 0;
	}
	if (!r && cfg->host[0])
		r = listen_tcp(cfg, &ret->http);
	if (r)
		control_unlisten(cfg, ret);
	return r;
}

void control_unlisten(const struct control_cfg *cfg, struct control_fds *fds)
{
	if (fds->socket >= 0) {
		/* A file that is gone already is as good. */
		(void)unlink(cfg->path);
		close(fds->socket);
	}
	if (fds->http >= 0)
		close(fds->http);
	*fds = (struct control_fds){.socket = -1, .http = -1};
}
