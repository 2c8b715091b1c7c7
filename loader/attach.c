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
#include <sys/syscall.h>
#include <unistd.h>

#include "loader/nic.h"
#include "weir.skel.h"

/* Kernel 6.6, include/uapi/linux/bpf.h; older headers lack them. */
#define ATTACH_TCX_INGRESS 46
#define ATTACH_TCX_EGRESS  47
#define FLAG_BEFORE	   (1u << 3)

__attribute__((format(printf, 2, 3))) static void say(struct attachment *a, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(a->error, sizeof(a->error), fmt, ap);
	va_end(ap);
}

/* ---- XDP ---- */

static uint32_t foreign_xdp(unsigned int ifindex)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);

	if (bpf_xdp_query(ifindex, 0, &q))
		return 0;
	return q.prog_id ?: q.drv_prog_id ?: q.skb_prog_id ?: q.hw_prog_id;
}

static int attach_xdp(struct attachment *a, struct weir_bpf *skel, bool generic)
{
	LIBBPF_OPTS(bpf_link_create_opts, opts,
		    .flags = generic ? XDP_FLAGS_SKB_MODE : XDP_FLAGS_DRV_MODE);
	uint32_t id = foreign_xdp(a->ifindex);
	int fd;

	if (id) {
		say(a,
		    "%s: XDP program %u is attached already; remove it (bpftool net detach xdp dev %s), "
		    "or run with --hook tc",
		    a->ifname, id, a->ifname);
		return -EBUSY;
	}
	fd = bpf_link_create(bpf_program__fd(skel->progs.xdp_flows), a->ifindex, BPF_XDP, &opts);
	if (fd < 0) {
		say(a, "%s: attach XDP: %s; retry with --hook tc", a->ifname, strerror(-fd));
		return fd;
	}
	a->xdp_fd = fd;
	a->xdp = true;
	return 0;
}

/* ---- TC ---- */

static int tcx_link(int prog_fd, unsigned int ifindex, bool egress)
{
	union bpf_attr attr = {};
	int fd;

	/* ingress: before others, so that what they drop or redirect is counted; egress: after
	 * them, so that what is counted is what leaves
	 */
	attr.link_create.prog_fd = prog_fd;
	attr.link_create.target_ifindex = ifindex;
	attr.link_create.attach_type = egress ? ATTACH_TCX_EGRESS : ATTACH_TCX_INGRESS;
	attr.link_create.flags = egress ? 0 : FLAG_BEFORE;
	fd = syscall(SYS_bpf, BPF_LINK_CREATE, &attr, sizeof(attr));
	return fd < 0 ? -errno : fd;
}

/* The clsact qdisc stays: others may have put filters there since. */
static int clsact_filter(struct attachment *a, int prog_fd, bool egress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = a->ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .prog_fd = prog_fd, .handle = ATTACH_FILTER_HANDLE,
		    .priority = ATTACH_FILTER_PRIORITY);
	int r = bpf_tc_hook_create(&hook);

	if (r && r != -EEXIST)
		return r;
	r = bpf_tc_attach(&hook, &opts);
	if (r)
		return r;
	a->tc[egress].filter = true;
	a->tc[egress].handle = opts.handle;
	a->tc[egress].priority = opts.priority;
	return 0;
}

static int attach_tc(struct attachment *a, struct weir_bpf *skel, bool egress)
{
	int prog = bpf_program__fd(egress ? skel->progs.tc_egress : skel->progs.tc_ingress);
	int r = tcx_link(prog, a->ifindex, egress);

	if (r >= 0) {
		a->tc[egress].link_fd = r;
		a->tcx = true;
		return 0;
	}
	/* a kernel without TCX does not know the attach type */
	r = clsact_filter(a, prog, egress);
	if (r)
		say(a, "%s: attach TC %s: %s%s", a->ifname, egress ? "egress" : "ingress",
		    strerror(-r), r == -EEXIST ? "; another weir is at work here" : "");
	return r;
}

/* ---- choice of the ingress hook ---- */

/* Why XDP is not the right place here, or NULL. */
static const char *xdp_is_unfit(const struct nic *nic, enum role role)
{
	if (nic->lro)
		return "LRO is on: XDP would not see single packets";
	if (nic->rx_vlan_offload && (nic->vlan_devices || role == ROLE_MIRROR))
		return "the NIC takes VLAN tags out of frames (rx-vlan-offload), XDP would not see them";
	return NULL;
}

static int attach_auto(struct attachment *a, struct weir_bpf *skel)
{
	const char *unfit;
	struct nic nic;
	int r = nic_read(a->ifname, &nic);

	if (r) {
		say(a, "%s: %s", a->ifname, strerror(-r));
		return r;
	}
	unfit = xdp_is_unfit(&nic, a->role);
	if (!unfit) {
		r = attach_xdp(a, skel, false);
		if (!r || r == -EBUSY) {
			snprintf(a->why, sizeof(a->why), "driver %s, MTU %u", nic.driver, nic.mtu);
			return r;
		}
	}
	if (unfit)
		snprintf(a->why, sizeof(a->why), "%s", unfit);
	else
		snprintf(a->why, sizeof(a->why), "driver %s at MTU %u takes no native XDP: %s",
			 nic.driver, nic.mtu, strerror(-r));
	return attach_tc(a, skel, false);
}

static int attach_ingress(struct attachment *a, struct weir_bpf *skel, enum hook_mode mode)
{
	snprintf(a->why, sizeof(a->why), "as asked");
	switch (mode) {
	case HOOK_MODE_XDP:
		return attach_xdp(a, skel, false);
	case HOOK_MODE_GENERIC:
		return attach_xdp(a, skel, true);
	case HOOK_MODE_TC:
		return attach_tc(a, skel, false);
	case HOOK_AUTO:
		break;
	}
	return attach_auto(a, skel);
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
		    a->ifname, bare_types[i].what);
		return -EOPNOTSUPP;
	}
	say(a, "%s: link type %u is not Ethernet", a->ifname, a->type);
	return -EOPNOTSUPP;
}

int attach_interface(struct attachment *a, const struct dataplane *dp, enum hook_mode mode)
{
	struct weir_bpf *skel = dp->skel[a->role];
	int r;

	a->xdp_fd = a->tc[0].link_fd = a->tc[1].link_fd = -1;
	r = check_type(a);
	r = r ?: attach_ingress(a, skel, mode);
	if (!r)
		r = attach_tc(a, skel, true);
	if (r)
		attach_done(a);
	return r;
}

static void detach_filter(struct attachment *a, int egress)
{
	LIBBPF_OPTS(bpf_tc_hook, hook, .ifindex = a->ifindex,
		    .attach_point = egress ? BPF_TC_EGRESS : BPF_TC_INGRESS);
	LIBBPF_OPTS(bpf_tc_opts, opts, .handle = a->tc[egress].handle,
		    .priority = a->tc[egress].priority);

	bpf_tc_detach(&hook, &opts);
	a->tc[egress].filter = false;
}

void attach_done(struct attachment *a)
{
	if (a->xdp_fd >= 0)
		close(a->xdp_fd);
	for (int egress = 0; egress < 2; egress++) {
		if (a->tc[egress].link_fd >= 0)
			close(a->tc[egress].link_fd);
		if (a->tc[egress].filter)
			detach_filter(a, egress);
	}
	a->xdp_fd = a->tc[0].link_fd = a->tc[1].link_fd = -1;
}
