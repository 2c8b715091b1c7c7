// SPDX-License-Identifier: Apache-2.0
#include "loader/attach.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <linux/if_arp.h>
#include <linux/if_link.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include "loader/nic.h"
#include "loader/pin.h"

#define LOCK_BACKLOG 128

__attribute__((format(printf, 2, 3))) static void say(struct attachment *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->error, sizeof(a->error), fmt, ap);
	va_end(ap);
}

/* ---- links that stay ---- */

/* A link that an earlier weir left runs our program from now on. -1: there is none. */
static int held_link(struct attachment *a, const char *hook, int prog_fd)
{
	int fd = a->pin ? pin_link_take(a->pin, a->v.netns, a->ifindex, hook, prog_fd) : -1;

	if (fd >= 0)
		a->taken_over = true;
	return fd < 0 ? -1 : fd;
}

static int keep_link(struct attachment *a, const char *hook, int fd)
{
	int r = a->pin ? pin_link_keep(a->pin, a->v.netns, a->ifindex, hook, fd) : 0;

	if (r)
		say(a, "%s: pin the link: %s", a->label, strerror(-r));
	return r;
}

/* What runs on a hook, loaded now if it has not been. */
static int program(struct attachment *a, struct dataplane *dp, enum weir_hook hook)
{
	int fd = dataplane_program(dp, &a->v, hook);

	if (fd < 0)
		say(a, "%s: load programs for it: %s", a->label, strerror(-fd));
	return fd;
}

/* ---- XDP ---- */

static uint32_t foreign_xdp(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query(ifindex, 0, &q))
		return 0;
	return q.prog_id ?: q.drv_prog_id ?: q.skb_prog_id ?: q.hw_prog_id;
}

static const char *xdp_hook(bool generic)
{
	return generic ? "xdpgeneric" : "xdp";
}

/* The programs of an interface that stay (--pin) are found again under these names. */
static const char *const tc_hook[2] = {"ingress", "egress"};

static int attach_xdp(struct attachment *a, struct dataplane *dp, bool generic)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	int prog = program(a, dp, HOOK_XDP), fd;
	uint32_t id;

	if (prog < 0)
		return prog;

	a->xdp = true;
	a->xdp_fd = held_link(a, xdp_hook(generic), prog);
	if (a->xdp_fd >= 0)
		return 0;
	a->xdp = false;
	id = foreign_xdp(a->ifindex);
	if (id) {
		say(a,
		    "%s: XDP program %u is attached already; remove it (bpftool net detach xdp dev %s), "
		    "or run with --hook tc",
		    a->label, id, a->ifname);
		return -EBUSY;
	}
	fd = bpf_link_create(prog, a->ifindex, BPF_XDP, &opts);
	if (fd < 0) {
		say(a, "%s: attach XDP: %s; retry with --hook tc", a->label, strerror(-fd));
		return fd;
	}
	a->xdp_fd = fd;
	a->xdp = true;
	return keep_link(a, xdp_hook(generic), fd);
}

/* ---- TC ---- */

/* Ingress: before others, so that what they drop or redirect is counted; egress: after them, so that what is
 * counted is what leaves.
 */
static struct tc_place place_of(const struct attachment *a, bool egress)
{
	return (struct tc_place){.ifindex = a->ifindex,
				 .egress = egress,
				 .first = !egress,
				 .priority = TC_FILTER_PRIORITY};
}

static int attach_tc(struct attachment *a, struct dataplane *dp, bool egress)
{
	int prog = program(a, dp, egress ? HOOK_TC_EGRESS : HOOK_TC_INGRESS), r;
	const struct tc_place at = place_of(a, egress);

	if (prog < 0)
		return prog;
	r = held_link(a, tc_hook[egress], prog);
	if (r >= 0) {
		a->tc[egress].link_fd = r;
		a->tcx = true;
		/* of a weir that was killed under another kernel */
		tc_filter_remove(&at);
		return 0;
	}
	r = tc_hold(&at, prog, &a->tc[egress]);
	if (r) {
		say(a, "%s: attach TC %s: %s", a->label, tc_hook[egress], strerror(-r));
		return r;
	}
	if (a->tc[egress].filter)
		return 0;
	a->tcx = true;
	return keep_link(a, tc_hook[egress], a->tc[egress].link_fd);
}

/* ---- choice of the ingress hook ---- */

/* Why XDP is not the right place here, or NULL. */
static const char *xdp_is_unfit(const struct nic *nic, enum role role)
{
	if (role == ROLE_VETH && nic_costs_gso(nic))
		return "XDP would take GSO from the other end of the pair, and copy its frames";
	if (nic->lro)
		return "LRO is on: XDP would not see single packets";
	if (nic->rx_vlan_offload && (nic->vlan_devices || role == ROLE_MIRROR))
		return "the NIC takes VLAN tags out of frames (rx-vlan-offload), XDP would not see them";
	return NULL;
}

static int attach_auto(struct attachment *a, struct dataplane *dp)
{
	const char *unfit;
	struct nic nic;
	int r = nic_read(a->ifname, a->v.netns != 0, &nic);

	if (r) {
		say(a, "%s: %s", a->label, strerror(-r));
		return r;
	}
	unfit = xdp_is_unfit(&nic, a->v.role);
	if (!unfit) {
		r = attach_xdp(a, dp, false);
		if (!r || r == -EBUSY) {
			snprintf(a->why, sizeof(a->why), "driver %s, MTU %u%s", nic.driver, nic.mtu,
				 a->taken_over ? ", taken over" : "");
			return r;
		}
	}
	if (unfit)
		snprintf(a->why, sizeof(a->why), "%s", unfit);
	else
		snprintf(a->why, sizeof(a->why), "driver %s at MTU %u takes no native XDP: %s",
			 nic.driver, nic.mtu, strerror(-r));
	return attach_tc(a, dp, false);
}

static int attach_ingress(struct attachment *a, struct dataplane *dp, enum hook_mode mode)
{
	snprintf(a->why, sizeof(a->why), "as asked");
	switch (mode) {
	case HOOK_MODE_XDP:
		return attach_xdp(a, dp, false);
	case HOOK_MODE_GENERIC:
		return attach_xdp(a, dp, true);
	case HOOK_MODE_TC:
		return attach_tc(a, dp, false);
	case HOOK_AUTO:
		break;
	}
	return attach_auto(a, dp);
}

/* Devices whose frames begin with the IP header: the programs look for Ethernet first. */
static const struct {
	uint16_t type;
	const char *what;
} bare_types[] = {
	{ARPHRD_NONE, "a tun, WireGuard or other device of layer 3"},
	{ARPHRD_RAWIP, "a raw IP device"},
	{ARPHRD_PPP, "a PPP device"},
	{ARPHRD_SLIP, "a SLIP device"},
	{ARPHRD_TUNNEL, "an IPIP tunnel"},
	{ARPHRD_TUNNEL6, "an IPv6 tunnel"},
	{ARPHRD_SIT, "a 6in4 tunnel"},
	{ARPHRD_IPGRE, "a GRE tunnel"},
	{ARPHRD_IP6GRE, "a GRE tunnel over IPv6"},
};

static int check_type(struct attachment *a)
{
	if (a->type == ARPHRD_ETHER || a->type == ARPHRD_LOOPBACK)
		return 0;
	for (size_t i = 0; i < sizeof(bare_types) / sizeof(bare_types[0]); i++) {
		if (bare_types[i].type != a->type)
			continue;
		say(a,
		    "%s: %s: its frames have no Ethernet header, which weir needs; watch the interface "
		    "that its packets leave by (a tunnel is opened there with --decap), or the one they "
		    "come from",
		    a->label, bare_types[i].what);
		return -EOPNOTSUPP;
	}
	say(a, "%s: link type %u is not Ethernet", a->label, a->type);
	return -EOPNOTSUPP;
}

/*
 * Two weirs on one interface would both count it. A socket of an abstract name (unix(7)), of which each
 * network namespace has its own, is the lock: it goes with the process, and says whose it is.
 */
static int lock_interface(struct attachment *a)
{
	struct sockaddr_un addr = {.sun_family = AF_UNIX};
	int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), r = 0;
	struct ucred who = {};
	socklen_t n = sizeof(who);

	if (fd < 0)
		return -errno;
	snprintf(addr.sun_path + 1, sizeof(addr.sun_path) - 1, "weir-interface-%u", a->ifindex);
	if (!bind(fd, (struct sockaddr *)&addr, sizeof(addr)) && !listen(fd, LOCK_BACKLOG)) {
		a->lock_fd = fd;
		return 0;
	}
	r = -errno;
	if (r == -EADDRINUSE) {
		/* nobody accepts: when the queue is full of those who asked, the pid is not told */
		if (!connect(fd, (struct sockaddr *)&addr, sizeof(addr)))
			(void)getsockopt(fd, SOL_SOCKET, SO_PEERCRED, &who, &n);
		say(a, "%s: another weir is at work here (pid %d); stop it first", a->label,
		    who.pid);
		r = -EBUSY;
	} else {
		say(a, "%s: lock: %s", a->label, strerror(-r));
	}
	close(fd);
	return r;
}

/* Links of hooks that are not used any more. */
static void drop_others(const struct attachment *a)
{
	if (!a->pin)
		return;
	if (a->xdp)
		pin_link_drop(a->pin, a->v.netns, a->ifindex, tc_hook[0]);
	for (int generic = 0; generic < 2; generic++)
		if (!a->xdp || (a->hook == HOOK_MODE_GENERIC) != generic)
			pin_link_drop(a->pin, a->v.netns, a->ifindex, xdp_hook(generic));
}

int attach_interface(struct attachment *a, struct dataplane *dp, enum hook_mode mode)
{
	int r;

	a->xdp_fd = a->tc[0].link_fd = a->tc[1].link_fd = a->lock_fd = -1;
	a->pin = dp->pin;
	r = check_type(a);
	r = r ?: lock_interface(a);
	r = r ?: attach_ingress(a, dp, mode);
	if (!r)
		r = attach_tc(a, dp, true);
	if (r)
		attach_drop(a);
	else
		drop_others(a);
	return r;
}

void attach_done(struct attachment *a)
{
	int *fds[] = {&a->xdp_fd, &a->tc[0].link_fd, &a->tc[1].link_fd, &a->lock_fd};

	for (int egress = 0; egress < 2; egress++) {
		const struct tc_place at = place_of(a, egress);

		if (a->tc[egress].filter && !a->pin)
			tc_filter_remove(&at);
		a->tc[egress].filter = false;
	}
	for (size_t i = 0; i < sizeof(fds) / sizeof(fds[0]); i++) {
		if (*fds[i] >= 0)
			close(*fds[i]);
		*fds[i] = -1;
	}
}

void attach_drop(struct attachment *a)
{
	if (a->pin) {
		pin_link_drop(a->pin, a->v.netns, a->ifindex, xdp_hook(false));
		pin_link_drop(a->pin, a->v.netns, a->ifindex, xdp_hook(true));
		pin_link_drop(a->pin, a->v.netns, a->ifindex, tc_hook[0]);
		pin_link_drop(a->pin, a->v.netns, a->ifindex, tc_hook[1]);
	}
	a->pin = NULL;
	attach_done(a);
}
