// SPDX-License-Identifier: Apache-2.0
/*
 * netdev.c - asks the kernel's netdev family (generic netlink, 6.3 and later) what a driver can do
 * with XDP. Its numbers are written here: headers of the kernels we build on lack them.
 */
#include <errno.h>
#include <linux/genetlink.h>
#include <linux/netlink.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/doctor/doctor.h"

#define NETDEV_CMD_DEV_GET	  1
#define NETDEV_A_DEV_IFINDEX	  1
#define NETDEV_A_DEV_XDP_FEATURES 3
#define ANSWER_MAX		  8192

struct request {
	struct nlmsghdr nl;
	struct genlmsghdr genl;
	char attrs[64];
};

static void begin(struct request *q, uint16_t family, uint8_t cmd)
{
	*q = (struct request){};
	q->nl.nlmsg_len = NLMSG_LENGTH(GENL_HDRLEN);
	q->nl.nlmsg_type = family;
	q->nl.nlmsg_flags = NLM_F_REQUEST;
	q->genl.cmd = cmd;
	q->genl.version = 1;
}

static void add(struct request *q, uint16_t type, const void *data, uint16_t len)
{
	struct nlattr a = {.nla_len = (uint16_t)(NLA_HDRLEN + len), .nla_type = type};
	char *to = (char *)q + q->nl.nlmsg_len;

	memcpy(to, &a, sizeof(a));
	memcpy(to + NLA_HDRLEN, data, len);
	q->nl.nlmsg_len += NLA_HDRLEN + NLA_ALIGN(len);
}

/* Attribute @type of the answer, copied to @ret as far as it goes. */
static int find(const char *buf, size_t len, uint16_t type, void *ret, size_t cap)
{
	struct nlmsghdr nl;
	size_t at = NLMSG_LENGTH(GENL_HDRLEN);

	if (len < sizeof(nl))
		return -EBADMSG;
	memcpy(&nl, buf, sizeof(nl));
	if (nl.nlmsg_type == NLMSG_ERROR) {
		int r;

		if (len < sizeof(nl) + sizeof(r))
			return -EBADMSG;
		memcpy(&r, buf + sizeof(nl), sizeof(r));
		return r ?: -EBADMSG;
	}
	while (at + NLA_HDRLEN <= len) {
		struct nlattr a;

		memcpy(&a, buf + at, sizeof(a));
		if (a.nla_len < NLA_HDRLEN || at + a.nla_len > len)
			return -EBADMSG;
		if ((a.nla_type & NLA_TYPE_MASK) == type) {
			size_t n = a.nla_len - NLA_HDRLEN;

			memcpy(ret, buf + at + NLA_HDRLEN, n < cap ? n : cap);
			return 0;
		}
		at += NLA_ALIGN(a.nla_len);
	}
	return -ENOENT;
}

static int ask(int fd, const struct request *q, uint16_t type, void *ret, size_t cap)
{
	char buf[ANSWER_MAX];
	ssize_t n;

	if (send(fd, q, q->nl.nlmsg_len, 0) < 0)
		return -errno;
	n = recv(fd, buf, sizeof(buf), 0);
	return n < 0 ? -errno : find(buf, (size_t)n, type, ret, cap);
}

int netdev_xdp_features(unsigned int ifindex, uint64_t *ret)
{
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC, NETLINK_GENERIC), r;
	uint16_t family = 0;
	uint32_t index = ifindex;
	struct request q;

	if (fd < 0)
		return -errno;
	begin(&q, GENL_ID_CTRL, CTRL_CMD_GETFAMILY);
	add(&q, CTRL_ATTR_FAMILY_NAME, "netdev", sizeof("netdev"));
	r = ask(fd, &q, CTRL_ATTR_FAMILY_ID, &family, sizeof(family));
	if (!r) {
		begin(&q, family, NETDEV_CMD_DEV_GET);
		add(&q, NETDEV_A_DEV_IFINDEX, &index, sizeof(index));
		*ret = 0;
		r = ask(fd, &q, NETDEV_A_DEV_XDP_FEATURES, ret, sizeof(*ret));
	} else if (r == -ENOENT) {
		r = -EOPNOTSUPP;
	}
	close(fd);
	return r;
}
