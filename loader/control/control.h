/* SPDX-License-Identifier: Apache-2.0 */
/*
 * control.h - the local side of a running weir: a unix stream socket for `weir status`, `flows` and
 * `top` (docs/control.md), and Prometheus text over HTTP. The core opens the sockets, the worker
 * serves them on its drain thread: in small steps, never waiting for anybody. Clients, what they may
 * send and what is kept for them are bounded.
 */
#ifndef WEIR_LOADER_CONTROL_H
#define WEIR_LOADER_CONTROL_H

#include <poll.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "common/flow.h"

#define CONTROL_VERSION	       1u
#define CONTROL_SOCKET	       "/run/weir/weir.sock"
#define CONTROL_CLIENTS	       16u /* at one time, on the socket */
#define CONTROL_HTTP_CLIENTS   4u
#define CONTROL_HEALTH_CLIENTS 8u
#define CONTROL_LISTENING      3u
#define CONTROL_FDS \
	(CONTROL_LISTENING + CONTROL_CLIENTS + CONTROL_HTTP_CLIENTS + CONTROL_HEALTH_CLIENTS)
#define CONTROL_PATH_MAX 108u

struct dataplane;
struct drain;
struct exports;
struct iface_table;
struct ledger;
struct merge;

/* What is configured. Empty path: no socket; empty host: no metrics. */
struct control_cfg {
	char path[CONTROL_PATH_MAX];
	bool optional;	/* nobody asked for this path: do without if it can't be */
	char group[64]; /* empty: as it comes */
	uint32_t mode;
	uint32_t history;	/* ended flows kept for `weir flows` */
	char capture_group[64]; /* may have packets, beside root and weir itself; empty: nobody */
	gid_t capture_gid;	/* control_new(): of that, or PEER_NO_GROUP */
	char host[64];		/* metrics: a numeric address */
	uint16_t port;
	uint16_t health_port;
	bool health_refuse;	   /* while it is not healthy nobody can connect */
	char health_host[64];	   /* as host */
	uint64_t health_window_ns; /* a loss counts so long */
};

/* Listening descriptors, -1 = none. */
struct control_fds {
	int socket;
	int http;
	int health;
};

#define CONTROL_FDS_NONE ((struct control_fds){.socket = -1, .http = -1, .health = -1})

/**
 * control_listen - make the sockets; for the core, before it forks
 *
 * A socket file whose weir is gone is replaced; one that answers is somebody else's.
 * Return: 0; -EADDRINUSE another weir listens there; -errno. What went wrong has been said on
 *         standard error.
 */
int control_listen(const struct control_cfg *cfg, struct control_fds *ret);

/* Close, and remove the socket file. Core. */
void control_unlisten(const struct control_cfg *cfg, struct control_fds *fds);

/* What the answers are about; must outlive the control. */
struct control_env {
	struct merge *merge;
	const struct drain *drain;
	const struct dataplane *dp;
	const struct iface_table *ifaces;
	const struct exports *exports;
	const struct ledger *ledger; /* with --pin, else NULL */
	const struct watch *watch;
	const char *node;
	uint32_t flows_max; /* flows that merge has room for */
};

struct control_server;

/**
 * control_new - get ready, before system calls are given up
 * @fds: taken over
 *
 * Return: 0, -ENOMEM, -EIO (no SHA-1).
 */
int control_new(const struct control_cfg *cfg, const struct control_fds *fds,
		const struct control_env *env, struct control_server **ret);
void control_free(struct control_server *c);

/* From now on a load balancer is to send elsewhere: its checks are refused. Core and worker. */
void control_leave(const struct control_fds *fds);

/* A record has been written. Call it from merge's emit(). NULL is fine in all that follow. */
void control_flow(struct control_server *c, const struct flow_record *r);

/* The cache has been read: the flows that merge knows are as they are now. */
void control_tick(struct control_server *c);

/* Descriptors to wait for. @p: CONTROL_FDS of them. Return: how many. */
unsigned int control_poll(struct control_server *c, struct pollfd *p);

/**
 * control_work - do what can be done now, about a millisecond of it
 * @p, @n: as control_poll() left them, with revents; n = 0: nobody looked
 *
 * Return: true: there is more to do, don't wait.
 */
bool control_work(struct control_server *c, const struct pollfd *p, unsigned int n);

#endif
