// SPDX-License-Identifier: Apache-2.0
/*
 * nic_xdp.c - can a device send what XDP gives it? Asked of the generic netlink family "netdev" (Linux
 * 6.3, Documentation/netlink/specs/netdev.yaml). Of a veth the answer is about the other end, in
 * whatever network namespace: it takes frames with GRO on, or with an XDP program of its own.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "loader/nic.h"

/* linux/netdev.h, which kernels before 6.3 have not */
#define NETDEV_FAMILY	"netdev"
#define NETDEV_DEV_GET	1
#define NETDEV_IFINDEX	1
#define NETDEV_FEATURES 3
#define ACT_BASIC	1u /* XDP_TX among others */
#define ACT_NDO_XMIT	4u

#define ANSWER_BYTES 8192

struct request {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	struct nlattr attr;
	char value[16];
};

static int ask(int fd, struct request *q, const void *value, uint16_t len)
{
	q->attr.nla_len = (uint16_t)(NLA_HDRLEN + len);
	memcpy(q->value, value, len);
	q->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN) + (uint32_t)NLA_ALIGN(q->attr.nla_len);
	q->nl.nlmsg_flags = NLM_F_REQUEST;
	return send(fd, q, q->nl.nlmsg_len, 0) < 0 ? -errno : 0;
}

static int get(int fd, uint16_t type, uint64_t *ret)
{
	_Alignas(struct nlmsghdr) char buf[ANSWER_BYTES];
	const ssize_t n = recv(fd, buf, sizeof(buf), 0);

	if (n < 0)
		return -errno;
	return nic_answer_get(buf, (size_t)n, type, ret) ? 0 : -ENOTSUP;
}

static int features(int fd, uint32_t ifindex, uint64_t *ret)
{
	struct request q = {.nl.nlmsg_type = GENL_ID_CTRL,
			    .genl = {.cmd = CTRL_CMD_GETFAMILY, .version = 1},
			    .attr.nla_type = CTRL_ATTR_FAMILY_NAME};
	uint64_t family;
	int r = ask(fd, &q, NETDEV_FAMILY, sizeof(NETDEV_FAMILY));

	r = r ?: get(fd, CTRL_ATTR_FAMILY_ID, &family);
	if (r)
		return r;
	q = (struct request){.nl.nlmsg_type = (uint16_t)family,
			     .genl = {.cmd = NETDEV_DEV_GET, .version = 1},
			     .attr.nla_type = NETDEV_IFINDEX};
	r = ask(fd, &q, &ifindex, sizeof(ifindex));
	return r ?: get(fd, NETDEV_FEATURES, ret);
}

int nic_xdp_sends(uint32_t ifindex, bool veth)
{
	const struct timeval limit = {.tv_sec = 1};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), r;
	uint64_t can = 0;

	if (fd < 0)
		return -errno;
	r = setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)) ? -errno : 0;
	r = r ?: features(fd, ifindex, &can);
	close(fd);
	return r ?: (can & (veth ? ACT_NDO_XMIT : ACT_BASIC)) != 0;
}
