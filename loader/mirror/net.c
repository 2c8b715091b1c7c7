// SPDX-License-Identifier: Apache-2.0
/*
 * net.c - see net.h.
 */
#include "loader/mirror/net.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_link.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/veth.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "common/scan.h"

#define PAIR_MTU    65535u /* whatever a frame of another interface may have */
#define PATIENCE_US 500000 /* the kernel answers at once */

static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

static bool is_v4(const uint8_t addr[16])
{
	return !memcmp(addr, mapped, sizeof(mapped));
}

static void to_mapped(int family, const void *bytes, uint8_t addr[16])
{
	memset(addr, 0, 16);
	if (family == AF_INET)
		memcpy(addr, mapped, sizeof(mapped));
	memcpy(addr + (family == AF_INET ? 12 : 0), bytes, family == AF_INET ? 4 : 16);
}

/* ---- messages ---- */

struct message {
	struct nlmsghdr h;
	char body[512];
};

static void *begin(struct message *m, uint16_t type, uint16_t flags, size_t head)
{
	memset(m, 0, sizeof(*m));
	m->h.nlmsg_len = (uint32_t)NLMSG_LENGTH(head);
	m->h.nlmsg_type = type;
	m->h.nlmsg_flags = NLM_F_REQUEST | flags;
	return NLMSG_DATA(&m->h);
}

/* Room for attributes is a matter of this file: what is put in fits. */
static struct rtattr *put(struct message *m, unsigned short type, const void *data, size_t len)
{
	struct rtattr *a = (void *)((char *)m + NLMSG_ALIGN(m->h.nlmsg_len));

	a->rta_type = type;
	a->rta_len = (unsigned short)RTA_LENGTH(len);
	if (len)
		memcpy(RTA_DATA(a), data, len);
	m->h.nlmsg_len = NLMSG_ALIGN(m->h.nlmsg_len) + RTA_ALIGN(a->rta_len);
	return a;
}

static void put_u32(struct message *m, unsigned short type, uint32_t v)
{
	put(m, type, &v, sizeof(v));
}

static void put_text(struct message *m, unsigned short type, const char *s)
{
	put(m, type, s, strlen(s) + 1);
}

/* Attributes that follow are within this one, until nest_end(). */
static struct rtattr *nest(struct message *m, unsigned short type)
{
	return put(m, type, NULL, 0);
}

static void nest_end(struct message *m, struct rtattr *a)
{
	a->rta_len = (unsigned short)((char *)m + m->h.nlmsg_len - (char *)a);
}

/* One question, one answer. Return: bytes of *ret, 0: an acknowledgement; -errno. */
static ssize_t ask(struct message *m, void *ret, size_t room)
{
	const struct timeval patience = {.tv_usec = PATIENCE_US};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_ROUTE);
	const struct nlmsghdr *h = ret;
	ssize_t n = -1;

	if (fd < 0)
		return -errno;
	if (!setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)) &&
	    send(fd, &m->h, m->h.nlmsg_len, 0) == (ssize_t)m->h.nlmsg_len)
		n = recv(fd, ret, room, 0);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return n;
	if ((size_t)n < sizeof(*h) || h->nlmsg_len > (size_t)n)
		return -EBADMSG;
	if (h->nlmsg_type != NLMSG_ERROR)
		return h->nlmsg_len;
	if (h->nlmsg_len < NLMSG_LENGTH(sizeof(struct nlmsgerr)))
		return -EBADMSG;
	return ((const struct nlmsgerr *)NLMSG_DATA(h))->error;
}

static int tell(struct message *m)
{
	_Alignas(struct nlmsghdr) char answer[2048];
	ssize_t r = ask(m, answer, sizeof(answer));

	return r < 0 ? (int)r : 0;
}

/* ---- the pair ---- */

bool mirror_is_pair(const char *ifname)
{
	return !strncmp(ifname, MIRROR_PAIR, strlen(MIRROR_PAIR));
}

static int pair_new(void)
{
	const struct ifinfomsg peer = {};
	struct rtattr *info, *data, *other;
	struct message m;

	begin(&m, RTM_NEWLINK, NLM_F_ACK | NLM_F_CREATE | NLM_F_EXCL, sizeof(struct ifinfomsg));
	put_text(&m, IFLA_IFNAME, MIRROR_PAIR_NEAR);
	put_u32(&m, IFLA_MTU, PAIR_MTU);
	info = nest(&m, IFLA_LINKINFO);
	put_text(&m, IFLA_INFO_KIND, "veth");
	data = nest(&m, IFLA_INFO_DATA);
	other = put(&m, VETH_INFO_PEER, &peer, sizeof(peer));
	put_text(&m, IFLA_IFNAME, MIRROR_PAIR_FAR);
	put_u32(&m, IFLA_MTU, PAIR_MTU);
	nest_end(&m, other);
	nest_end(&m, data);
	nest_end(&m, info);
	return tell(&m);
}

/* No address comes to be, so nothing is said by the device itself. */
static int without_addresses(unsigned int ifindex)
{
	const uint8_t none = IN6_ADDR_GEN_MODE_NONE;
	struct rtattr *spec, *inet6;
	struct ifinfomsg *i;
	struct message m;

	i = begin(&m, RTM_NEWLINK, NLM_F_ACK, sizeof(*i));
	i->ifi_index = (int)ifindex;
	spec = nest(&m, IFLA_AF_SPEC);
	inet6 = nest(&m, AF_INET6);
	put(&m, IFLA_INET6_ADDR_GEN_MODE, &none, sizeof(none));
	nest_end(&m, inet6);
	nest_end(&m, spec);
	return tell(&m);
}

static int set_up(unsigned int ifindex)
{
	struct ifinfomsg *i;
	struct message m;

	(void)without_addresses(ifindex); /* a kernel without IPv6 has none anyway */
	i = begin(&m, RTM_NEWLINK, NLM_F_ACK, sizeof(*i));
	i->ifi_index = (int)ifindex;
	i->ifi_flags = IFF_UP | IFF_NOARP;
	i->ifi_change = IFF_UP | IFF_NOARP;
	return tell(&m);
}

/* Segments and checksums are made before frames get through: without checksum offload there is no other. */
static int without_offloads(const char *ifname)
{
	struct ethtool_value v = {.cmd = ETHTOOL_STXCSUM};
	struct ifreq ifr = {.ifr_data = (void *)&v};
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0), r = 0;

	if (fd < 0)
		return -errno;
	snprintf(ifr.ifr_name, sizeof(ifr.ifr_name), "%s", ifname);
	if (ioctl(fd, SIOCETHTOOL, &ifr))
		r = -errno;
	close(fd);
	return r;
}

int mirror_pair_make(unsigned int ret[2])
{
	int r = pair_new();

	if (r)
		return r;
	ret[0] = if_nametoindex(MIRROR_PAIR_NEAR);
	ret[1] = if_nametoindex(MIRROR_PAIR_FAR);
	r = ret[0] && ret[1] ? without_offloads(MIRROR_PAIR_NEAR) : -ENODEV;
	r = r ?: set_up(ret[0]);
	r = r ?: set_up(ret[1]);
	if (r)
		mirror_pair_remove();
	return r;
}

int mirror_pair_remove(void)
{
	struct ifinfomsg *i;
	struct message m;
	int r;

	i = begin(&m, RTM_DELLINK, NLM_F_ACK, sizeof(*i));
	i->ifi_index = (int)if_nametoindex(MIRROR_PAIR_NEAR);
	if (!i->ifi_index)
		return 0;
	r = tell(&m);
	return r ?: 1;
}

/* ---- the way to a target ---- */

static unsigned int mtu_of_metrics(const struct rtattr *metrics)
{
	const struct rtattr *a = RTA_DATA(metrics);
	int left = (int)RTA_PAYLOAD(metrics);
	unsigned int mtu = 0;

	for (; RTA_OK(a, left); a = RTA_NEXT(a, left))
		if (a->rta_type == RTAX_MTU && RTA_PAYLOAD(a) >= sizeof(mtu))
			memcpy(&mtu, RTA_DATA(a), sizeof(mtu));
	return mtu;
}

static void take_via(const struct rtattr *a, struct mirror_way *w)
{
	const struct rtvia *via = RTA_DATA(a);

	if (RTA_PAYLOAD(a) < sizeof(*via) + 16 || via->rtvia_family != AF_INET6)
		return;
	w->nh_v6 = true;
	to_mapped(AF_INET6, via->rtvia_addr, w->nh);
}

static void take_attribute(int family, const struct rtattr *a, struct mirror_way *w)
{
	const size_t want = family == AF_INET ? 4 : 16;

	switch (a->rta_type) {
	case RTA_OIF:
		if (RTA_PAYLOAD(a) >= sizeof(w->out))
			memcpy(&w->out, RTA_DATA(a), sizeof(w->out));
		break;
	case RTA_GATEWAY:
		if (RTA_PAYLOAD(a) >= want)
			to_mapped(family, RTA_DATA(a), w->nh);
		break;
	case RTA_PREFSRC:
		if (RTA_PAYLOAD(a) >= want)
			to_mapped(family, RTA_DATA(a), w->src);
		break;
	case RTA_VIA:
		take_via(a, w);
		break;
	case RTA_METRICS:
		w->mtu = mtu_of_metrics(a);
		break;
	}
}

/* Ask for the route to @dst. Bytes of the answer, a struct rtmsg in it; or -errno. */
static ssize_t ask_route(const uint8_t dst[16], void *answer, size_t room)
{
	const int family = is_v4(dst) ? AF_INET : AF_INET6;
	struct message m;
	struct rtmsg *q;
	ssize_t n;

	q = begin(&m, RTM_GETROUTE, 0, sizeof(*q));
	q->rtm_family = (unsigned char)family;
	q->rtm_dst_len = family == AF_INET ? 32 : 128;
	put(&m, RTA_DST, family == AF_INET ? dst + 12 : dst, family == AF_INET ? 4 : 16);
	n = ask(&m, answer, room);
	return n < 0 || (size_t)n >= NLMSG_LENGTH(sizeof(*q)) ? n : -EBADMSG;
}

static bool is_usable(const struct rtmsg *q, const struct mirror_way *w)
{
	return q->rtm_type == RTN_UNICAST && w->out &&
	       !(q->rtm_flags & (RTNH_F_DEAD | RTNH_F_LINKDOWN));
}

int mirror_way_to(const uint8_t dst[16], struct mirror_way *ret)
{
	_Alignas(struct nlmsghdr) char answer[4096];
	const struct nlmsghdr *h = (const void *)answer;
	const struct rtmsg *q = NLMSG_DATA(h);
	struct mirror_way w = {.nh_v6 = !is_v4(dst)};
	const struct rtattr *a;
	unsigned int mtu;
	ssize_t n = ask_route(dst, answer, sizeof(answer));
	int left;

	if (n < 0)
		return (int)n;
	memcpy(w.nh, dst, sizeof(w.nh));
	a = RTM_RTA(q);
	for (left = (int)RTM_PAYLOAD(h); RTA_OK(a, left); a = RTA_NEXT(a, left))
		take_attribute(q->rtm_family, a, &w);
	w.local = q->rtm_type == RTN_LOCAL;
	if (!w.local && !is_usable(q, &w))
		return -ENETUNREACH;
	mtu = mirror_mtu(w.out);
	if (mtu && (!w.mtu || mtu < w.mtu))
		w.mtu = mtu;
	*ret = w;
	return 0;
}

/* ---- neighbours ---- */

static void put_neighbour(struct message *m, const struct mirror_way *w, struct ndmsg *n)
{
	n->ndm_family = w->nh_v6 ? AF_INET6 : AF_INET;
	n->ndm_ifindex = (int)w->out;
	put(m, NDA_DST, w->nh_v6 ? w->nh : w->nh + 12, w->nh_v6 ? 16 : 4);
}

/* As a packet to it would do. */
static void wake_neighbour(const struct mirror_way *w)
{
	struct ndmsg *n;
	struct message m;

	n = begin(&m, RTM_NEWNEIGH, NLM_F_ACK | NLM_F_CREATE, sizeof(*n));
	n->ndm_flags = NTF_USE;
	put_neighbour(&m, w, n);
	(void)tell(&m); /* the next look says what came of it */
}

static unsigned int flags_of(unsigned int ifindex)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};
	unsigned int flags = 0;

	if (fd < 0)
		return 0;
	if (if_indextoname(ifindex, ifr.ifr_name) && !ioctl(fd, SIOCGIFFLAGS, &ifr))
		flags = (unsigned int)(unsigned short)ifr.ifr_flags;
	close(fd);
	return flags;
}

bool mirror_neighbour_is_there(const struct mirror_way *w)
{
	_Alignas(struct nlmsghdr) char answer[2048];
	unsigned int flags = flags_of(w->out);
	struct message m;
	struct ndmsg *n;
	ssize_t len;

	if (!(flags & IFF_RUNNING))
		return false;
	if (flags & (IFF_NOARP | IFF_POINTOPOINT | IFF_LOOPBACK))
		return true;
	n = begin(&m, RTM_GETNEIGH, 0, sizeof(*n));
	put_neighbour(&m, w, n);
	len = ask(&m, answer, sizeof(answer));
	n = NLMSG_DATA((struct nlmsghdr *)answer);
	if (len >= (ssize_t)NLMSG_LENGTH(sizeof(*n)) &&
	    n->ndm_state & (NUD_PERMANENT | NUD_NOARP | NUD_REACHABLE))
		return true;
	wake_neighbour(w);
	return len >= (ssize_t)NLMSG_LENGTH(sizeof(*n)) &&
	       n->ndm_state & (NUD_STALE | NUD_DELAY | NUD_PROBE);
}

/* ---- what an interface is ---- */

unsigned int mirror_mtu(unsigned int ifindex)
{
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	struct ifreq ifr = {};
	unsigned int mtu = 0;

	if (fd < 0)
		return 0;
	if (if_indextoname(ifindex, ifr.ifr_name) && !ioctl(fd, SIOCGIFMTU, &ifr))
		mtu = (unsigned int)ifr.ifr_mtu;
	close(fd);
	return mtu;
}

uint64_t mirror_bits_per_second(unsigned int ifindex)
{
	char name[IF_NAMESIZE], path[64], text[24] = "";
	uint64_t mbits;
	ssize_t n;
	int fd;

	if (!if_indextoname(ifindex, name))
		return 0;
	snprintf(path, sizeof(path), "/sys/class/net/%s/speed", name);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0)
		return 0;
	n = read(fd, text, sizeof(text) - 1);
	close(fd);
	if (n < 2 || text[n - 1] != '\n')
		return 0;
	text[n - 1] = '\0';
	return scan_u64(text, 1, UINT32_MAX, &mbits) ? 0 : mbits * 1000000;
}
