// SPDX-License-Identifier: Apache-2.0
/*
 * listen.c - the listening sockets; privileged core, before it forks.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "common/address.h"
#include "common/listen.h"
#include "common/log.h"
#include "loader/control/control.h"

static int listen_clients(const struct control_cfg *cfg, int *ret)
{
	const struct listen_local local = {
		.path = cfg->path,
		.group = cfg->group,
		.mode = cfg->mode,
		.option = "--control-socket",
	};

	return listen_local(&local, ret);
}

static int listen_http(const char *host, uint16_t port, const char *setting, int *ret)
{
	const char *v6 = strchr(host, ':');
	char text[sizeof(((struct control_cfg *)NULL)->host) + 16];
	struct address a;
	int r;

	snprintf(text, sizeof(text), v6 ? "[%s]:%u" : "%s:%u", host, port);
	r = address_parse(text, &a);
	if (r) {
		log_warn(host, "%s — %s wants a numeric address", strerror(EINVAL), setting);
		return -EINVAL;
	}
	return listen_tcp(&a, setting, ret);
}

int control_listen(const struct control_cfg *cfg, struct control_fds *ret)
{
	int r = 0;

	*ret = CONTROL_FDS_NONE;
	if (cfg->path[0])
		r = listen_clients(cfg, &ret->socket);
	if (r && cfg->optional) {
		log_warn(NULL, "going on without a control socket");
		r = 0;
	}
	if (!r && cfg->host[0])
		r = listen_http(cfg->host, cfg->port, "metrics.listen", &ret->http);
	if (!r && cfg->health_host[0])
		r = listen_http(cfg->health_host, cfg->health_port, "health.listen", &ret->health);
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
	if (fds->health >= 0)
		close(fds->health);
	*fds = CONTROL_FDS_NONE;
}
