// SPDX-License-Identifier: Apache-2.0
#include "loader/links.h"

#include <errno.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <sys/socket.h>
#include <unistd.h>

#define RECEIVE_BYTES (1 << 20) /* of events the kernel keeps for us: some thousand */

int links_open(void)
{
	struct sockaddr_nl addr = {.nl_family = AF_NETLINK, .nl_groups = RTMGRP_LINK};
	int fd = socket(AF_NETLINK, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, NETLINK_ROUTE);
	int bytes = RECEIVE_BYTES, r;

	if (fd < 0)
		return -errno;
	/* refused above the machine's limit without CAP_NET_ADMIN; what is lost is asked for again */
	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &bytes, sizeof(bytes)))
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &bytes, sizeof(bytes));
	if (bind(fd, (struct sockaddr *)&addr, sizeof(addr))) {
		r = -errno;
		close(fd);
		return r;
	}
	return fd;
}

int links_ask(int fd)
{
	struct {
		struct nlmsghdr h;
		struct ifinfomsg info;
	} req = {
		.h = {.nlmsg_len = NLMSG_LENGTH(sizeof(struct ifinfomsg)),
		      .nlmsg_type = RTM_GETLINK,
		      .nlmsg_flags = NLM_F_REQUEST | NLM_F_DUMP},
		.info = {.ifi_family = AF_UNSPEC},
	};

	return send(fd, &req, req.h.nlmsg_len, 0) < 0 ? -errno : 0;
}

int links_read(int fd, void (*fn)(void *arg, const struct link_event *e), void *arg)
{
	static _Alignas(struct nlmsghdr) char buf[64 * 1024];
	struct sockaddr_nl from;
	struct link_event e;

	for (;;) {
		struct iovec iov = {buf, sizeof(buf)};
		struct msghdr m = {.msg_name = &from,
				   .msg_namelen = sizeof(from),
				   .msg_iov = &iov,
				   .msg_iovlen = 1};
		ssize_t n = recvmsg(fd, &m, 0);
		size_t pos = 0;

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return errno == EAGAIN ? 0 : -errno;
		if (from.nl_pid) /* only the kernel knows */
			continue;
		while (links_parse(buf, (size_t)n, &pos, &e))
			fn(arg, &e);
	}
}
