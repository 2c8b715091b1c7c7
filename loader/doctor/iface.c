// SPDX-License-Identifier: Apache-2.0
/*
 * iface.c - one interface: driver, native XDP, queues, MTU, offloads that hide packets or tags,
 * programs of others. Reads only: nothing is attached to find out.
 */
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <linux/ethtool.h>

#include <linux/sockios.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/attach.h"
#include "loader/command.h"
#include "loader/doctor/doctor.h"
#include "loader/nic.h"

#define XDP_ONE_BUFFER 3498u /* a page less headroom, frame end and VLAN: what most drivers take */

struct facts {
	struct nic nic;
	bool gro, gso, tso;
	unsigned int queues;
	int type; /* ARPHRD_x */
	uint32_t xdp_prog;
	uint64_t xdp; /* NETDEV_XDP_x */
	bool xdp_known;
};

static bool ethtool_flag(int fd, const char *ifname, uint32_t cmd)
{
	struct ethtool_value v = {.cmd = cmd};
	struct ifreq ifr = {.ifr_data = (char *)&v};

	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	return !ioctl(fd, SIOCETHTOOL, &ifr) && v.data;
}

/* Directories rx-N of the device: its receive queues. */
static unsigned int count_queues(const char *ifname)
{
	char path[64];
	struct dirent *e;
	unsigned int n = 0;
	DIR *dir;

	snprintf(path, sizeof(path), "/sys/class/net/%.15s/queues", ifname);
	dir = opendir(path);
	while (dir && (e = readdir(dir)))
		n += !strncmp(e->d_name, "rx-", 3);
	if (dir)
		closedir(dir);
	return n;
}

static int read_facts(const char *ifname, struct facts *ret)
{
	LIBBPF_OPTS(bpf_xdp_query_opts, q);
	struct ifreq ifr = {};
	unsigned int ifindex = if_nametoindex(ifname);
	int fd, r = nic_read(ifname, false, &ret->nic);

	if (r)
		return r;
	fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (fd < 0)
		return -errno;
	ret->gro = ethtool_flag(fd, ifname, ETHTOOL_GGRO);
	ret->gso = ethtool_flag(fd, ifname, ETHTOOL_GGSO);
	ret->tso = ethtool_flag(fd, ifname, ETHTOOL_GTSO);
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	ret->type = ioctl(fd, SIOCGIFHWADDR, &ifr) ? -1 : ifr.ifr_hwaddr.sa_family;
	close(fd);
	ret->queues = count_queues(ifname);
	ret->xdp_known = !netdev_xdp_features(ifindex, &ret->xdp);
	if (!bpf_xdp_query((int)ifindex, 0, &q))
		ret->xdp_prog = q.prog_id ?: q.drv_prog_id ?: q.skb_prog_id ?: q.hw_prog_id;
	return 0;
}

/* What else people ask about: queues, MTU, offloads. */
static void describe(const struct facts *f, char *buf, size_t cap)
{
	snprintf(buf, cap, "%u %s, MTU %u%s%s%s%s", f->queues, f->queues == 1 ? "queue" : "queues",
		 f->nic.mtu, f->gro ? ", GRO" : "",
		 f->tso	  ? ", TSO"
		 : f->gso ? ", GSO"
			  : "",
		 f->nic.lro ? ", LRO" : "", f->nic.rx_vlan_offload ? ", rx-vlan-offload" : "");
}

/* Why native XDP is not to be had, or NULL; what to do about it in @todo. */
static const char *no_xdp(const struct facts *f, const char *ifname, bool mirror, char *todo,
			  size_t cap)
{
	*todo = 0;
	if (f->nic.lro) {
		snprintf(todo, cap, "ethtool -K %s lro off, for XDP", ifname);
		return "LRO glues packets together";
	}
	if (f->nic.rx_vlan_offload && (f->nic.vlan_devices || mirror)) {
		snprintf(todo, cap, "ethtool -K %s rxvlan off, for XDP", ifname);
		return "rx-vlan-offload takes VLAN tags out of frames";
	}
	if (f->xdp_known && !(f->xdp & NETDEV_XDP_BASIC))
		return "the driver has none";
	if (f->xdp_known && !(f->xdp & NETDEV_XDP_RX_SG) && f->nic.mtu > XDP_ONE_BUFFER) {
		snprintf(todo, cap, "an MTU of %u at most, for XDP", XDP_ONE_BUFFER);
		return "the driver takes XDP only for frames of one buffer";
	}
	return NULL;
}

static void hook_verdict(struct doctor *d, const char *subject, const char *ifname,
			 const struct facts *f, const struct iface_settings *how)
{
	char what[120], todo[120];
	const char *why = no_xdp(f, ifname, how->role == ROLE_MIRROR, todo, sizeof(todo));

	describe(f, what, sizeof(what));
	if (how->hook == HOOK_MODE_TC) {
		doctor_say(d, VERDICT_OK, subject, "TC as asked; %s", what);
	} else if (how->hook == HOOK_MODE_GENERIC) {
		doctor_say(d, VERDICT_WARN, subject,
			   "generic XDP as asked, which costs about twice as much as TC; %s", what);
		doctor_todo(d, "--hook tc sees the same packets for less");
	} else if (how->hook == HOOK_AUTO && how->role == ROLE_VETH && nic_costs_gso(&f->nic)) {
		doctor_say(d, VERDICT_OK, subject,
			   "TC, since XDP would take GSO from the other end of the pair; %s", what);
	} else if (!why) {
		doctor_say(d, VERDICT_OK, subject, "%s; %s",
			   f->xdp_known ? "native XDP"
					: "native XDP is tried, TC if the driver refuses",
			   what);
		if (nic_costs_gso(&f->nic))
			doctor_todo(d,
				    "XDP takes GSO from the other end of a veth pair: role veth or "
				    "--hook tc where speed between the two counts");
	} else if (how->hook == HOOK_MODE_XDP) {
		doctor_say(d, VERDICT_FAIL, subject, "no native XDP: %s; %s", why, what);
		doctor_todo(d, "%s%s--hook auto or tc", todo, *todo ? "; or " : "");
		doctor_exit(d, EXIT_NOSUPPORT);
	} else {
		doctor_say(d, VERDICT_WARN, subject, "no native XDP: %s; ingress is read in TC; %s",
			   why, what);
		doctor_todo(d, "%s",
			    *todo ? todo
				  : "nothing: TC sees every packet, after more of the "
				    "stack's work");
	}
}

static void xdp_occupied(struct doctor *d, const char *subject, const char *ifname, uint32_t id)
{
	const bool ours = attach_is_ours(id);

	if (ours && d->running) {
		doctor_say(d, VERDICT_OK, subject, "a weir is at work here (XDP program %u)", id);
		return;
	}
	if (ours) {
		doctor_say(d, VERDICT_WARN, subject,
			   "XDP program %u of a weir that does not answer is attached", id);
		doctor_todo(d, "weir detach -i %s takes off what nobody holds", ifname);
		return;
	}
	doctor_say(d, VERDICT_WARN, subject, "XDP program %u is attached already", id);
	doctor_todo(d, "if it is not a running weir: bpftool net detach xdp dev %s, or --hook tc",
		    ifname);
}

void doctor_iface(struct doctor *d, const char *ifname)
{
	struct iface_settings how = {};
	struct facts f = {};
	char subject[40];
	unsigned int before = d->n;
	int r = read_facts(ifname, &f);

	settings_iface(d->settings, ifname, &how);
	snprintf(subject, sizeof(subject), "%.15s%s%.18s%s", ifname, *f.nic.driver ? " (" : "",
		 f.nic.driver, *f.nic.driver ? ")" : "");
	if (r) {
		doctor_say(d, VERDICT_FAIL, ifname, "%s",
			   r == -ENODEV ? "no such interface" : strerror(-r));
		doctor_todo(d, "ip link lists those that are there");
		doctor_exit(d, EXIT_FAILED);
	} else if (f.type != ARPHRD_ETHER && f.type != ARPHRD_LOOPBACK) {
		doctor_say(d, VERDICT_FAIL, subject, "frames have no Ethernet header (type %d)",
			   f.type);
		doctor_todo(d, "watch the interface below it");
		doctor_exit(d, EXIT_NOSUPPORT);
	} else {
		hook_verdict(d, subject, ifname, &f, &how);
		if (f.xdp_prog)
			xdp_occupied(d, subject, ifname, f.xdp_prog);
	}
	for (; before < d->n; before++)
		snprintf(d->list[before].iface, sizeof(d->list[before].iface), "%s", ifname);
}
