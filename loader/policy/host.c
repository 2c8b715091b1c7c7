// SPDX-License-Identifier: Apache-2.0
/*
 * host.c - see host.h.
 */
#include "loader/policy/host.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "common/log.h"
#include "loader/dataplane.h"
#include "loader/iface_table.h"
#include "loader/mirror/host.h"
#include "loader/nic.h"
#include "weir/counters.h"

#define TICK_MS	   1000u
#define STALLED_MS 10000u /* a worker that does nothing so long is no worker */

static uint64_t mono_ms(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000 + (uint64_t)ts.tv_nsec / 1000000;
}

static struct policy_time time_of(struct dataplane *dp)
{
	struct policy_time t = {.unit_ns = dp->tick_ns << POLICY_JIFFIES_SHIFT};
	uint64_t tick, wall;

	dataplane_now(dp, &tick, &wall);
	t.now = (uint32_t)(tick >> POLICY_JIFFIES_SHIFT);
	t.wall_ns = wall;
	return t;
}

/* Addresses and routes: what they are now is asked for, when something has changed. */
static int watch_node(void)
{
	struct sockaddr_nl a = {.nl_family = AF_NETLINK,
				.nl_groups = RTMGRP_LINK | RTMGRP_IPV4_IFADDR | RTMGRP_IPV6_IFADDR |
					     RTMGRP_IPV4_ROUTE | RTMGRP_IPV6_ROUTE};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);

	if (fd >= 0 && bind(fd, (const struct sockaddr *)&a, sizeof(a))) {
		close(fd);
		fd = -1;
	}
	return fd;
}

int policy_host_start(struct policy_host *h, const struct policy_host_start *start)
{
	struct enforce_start es = {
		.cfg = start->cfg, .exports = start->exports, .n_exports = start->n_exports};
	int r;

	*h = (struct policy_host){.dp = start->dp,
				  .table = start->table,
				  .mirror = start->mirror,
				  .names = -1,
				  .node = -1};
	h->serve.listening = -1;
	if (!start->dp->cfg.policy_entries)
		return -ENOENT;
	dataplane_policy(start->dp, &es.fds);
	es.titles = &start->table->titles;
	es.agents = &start->table->agents;
	es.recorder = start->recorder;
	es.mirror = start->mirror;
	es.now = time_of(start->dp);
	r = enforce_new(&es, &h->e);
	if (r)
		return r;
	h->serve.e = h->e;
	h->serve.mirror = h->mirror;
	h->serve.cfg = start->cfg;
	h->progress_ms = mono_ms();
	return 0;
}

/* Those of our own network namespace by XDP that the kernel knows to send nothing: "va, vb". */
static void find_mute(const void *arg, char *names, size_t size)
{
	const struct iface_table *t = arg;
	struct iface_row row;
	size_t at = 0;

	names[0] = '\0';
	for (unsigned int i = 0; i < IFACE_ROWS && at < size; i++) {
		if (!iface_table_get(t, i, &row) || !row.attached || row.netns ||
		    strncmp(row.mode, "native XDP", 10) != 0 ||
		    nic_xdp_sends(row.ifindex, nic_is_veth(row.name)) != 0)
			continue;
		at += (size_t)snprintf(names + at, size - at, "%s%.15s", at ? ", " : "", row.name);
	}
}

void policy_host_open(struct policy_host *h, const struct control_cfg *control, int names)
{
	if (!h->e)
		return;
	h->names = names;
	serve_open(&h->serve, control);
	enforce_mute(h->e, find_mute, h->table);
	h->node = watch_node();
	enforce_node_changed(h->e); /* what has happened before */
	h->progress_ms = mono_ms();
}

void policy_host_stop(struct policy_host *h)
{
	if (!h->e)
		return;
	serve_close(&h->serve);
	if (h->node >= 0)
		close(h->node);
	enforce_leave(h->e);
	enforce_free(h->e);
	*h = (struct policy_host){};
}

enum { P_NAMES, P_NODE, P_SERVE };

void policy_host_poll(const struct policy_host *h, struct pollfd *p)
{
	p[P_NAMES] = (struct pollfd){.fd = h->e ? h->names : -1, .events = POLLIN};
	p[P_NODE] = (struct pollfd){.fd = h->e ? h->node : -1, .events = POLLIN};
	for (unsigned int i = 0; i < SERVE_FDS; i++)
		p[P_SERVE + i] = (struct pollfd){.fd = -1};
	if (h->e)
		serve_poll(&h->serve, p + P_SERVE);
}

int policy_host_ms(const struct policy_host *h)
{
	const uint64_t now = mono_ms();

	if (!h->e)
		return -1;
	return now - h->tick_ms >= TICK_MS ? 0 : (int)(TICK_MS - (now - h->tick_ms));
}

/* Some of what the worker has found; the rest is there at the next call. */
static void read_names(struct policy_host *h)
{
	union {
		struct enforce_name name;
		struct agent_hit hit;
	} m;

	_Static_assert(sizeof(m.name) != sizeof(m.hit), "told apart by their size");
	for (unsigned int i = 0; i < 64; i++) {
		const ssize_t len = recv(h->names, &m, sizeof(m), MSG_DONTWAIT);

		if (!len) {
			h->names = -1; /* the worker is gone */
			return;
		}
		if (len == sizeof(m.hit)) {
			if (enforce_hit(h->e, &m.hit) == -ENOSPC)
				log_warn("policy", "no room for what an agent's rule stops");
			continue;
		}
		if (len != sizeof(m.name))
			return;
		if (enforce_named(h->e, &m.name) == -ENOSPC)
			log_warn("policy", "no room to drop a flow by its name");
	}
}

static void read_node(struct policy_host *h)
{
	char buf[8192];

	while (recv(h->node, buf, sizeof(buf), MSG_DONTWAIT) > 0)
		;
	enforce_node_changed(h->e);
	mirror_host_tick(h->mirror);
}

static void tick(struct policy_host *h, uint64_t now)
{
	static const unsigned int hooks[] = {CNT_XDP_FRAMES, CNT_TC_INGRESS_FRAMES,
					     CNT_TC_EGRESS_FRAMES};
	const uint64_t progress = __atomic_load_n(&h->table->progress, __ATOMIC_RELAXED);
	const struct policy_time t = time_of(h->dp);
	static struct policy_state state;
	struct enforce_traffic traffic = {
		.dropped = dataplane_counter(h->dp, CNT_DROPPED_PACKETS) +
			   dataplane_counter(h->dp, CNT_DROPPED_IN_FLOWS),
		.dropped_bytes = dataplane_counter(h->dp, CNT_DROPPED_BYTES) +
				 dataplane_counter(h->dp, CNT_DROPPED_IN_FLOWS_BYTES),
	};

	if (progress != h->progress) {
		h->progress = progress;
		h->progress_ms = now;
	}
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++)
		traffic.frames += dataplane_counter(h->dp, hooks[i]);
	enforce_tick(h->e, &t, now - h->progress_ms < STALLED_MS, &traffic);
	enforce_state(h->e, &state);
	board_put(&h->table->policy, &state);
	mirror_host_tick(h->mirror);
	h->tick_ms = now;
}

void policy_host_wait(struct policy_host *h)
{
	const uint64_t now = mono_ms();

	if (!h->e || now - h->tick_ms < TICK_MS)
		return;
	h->progress_ms = now; /* nobody yet who could stall */
	tick(h, now);
}

/* Asked before each request: interfaces come and go. */
static bool all_mirrors(const struct iface_table *t)
{
	struct iface_row row;
	bool any = false;

	for (unsigned int i = 0; i < IFACE_ROWS; i++) {
		if (!iface_table_get(t, i, &row) || !row.attached)
			continue;
		if (row.role != ROLE_MIRROR)
			return false;
		any = true;
	}
	return any;
}

static bool is_asked(const struct pollfd *p)
{
	for (unsigned int i = 0; i < SERVE_FDS; i++)
		if (p[i].revents)
			return true;
	return false;
}

void policy_host_work(struct policy_host *h, const struct pollfd *p)
{
	const uint64_t now = mono_ms();

	if (!h->e)
		return;
	if (is_asked(p + P_SERVE))
		enforce_mirrors(h->e, all_mirrors(h->table));
	serve_work(&h->serve, p + P_SERVE); /* first: panic is among it */
	if (p[P_NAMES].revents)
		read_names(h);
	__atomic_store_n(&h->table->names_wanted, enforce_wants_names(h->e), __ATOMIC_RELAXED);
	if (p[P_NODE].revents)
		read_node(h);
	if (now - h->tick_ms >= TICK_MS)
		tick(h, now);
}
