// SPDX-License-Identifier: Apache-2.0
#include "loader/broker.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

struct request {
	uint32_t sink;
	uint32_t what; /* enum export_file */
	uint32_t n;
	uint32_t pad;
};

struct answer {
	int32_t r; /* 0, -errno, or 1: a descriptor comes along */
	uint32_t pad;
};

union fd_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

static int send_answer(int fd, int r)
{
	struct answer a = {.r = r > 0 ? 1 : r};
	struct iovec iov = {&a, sizeof(a)};
	union fd_room room = {};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};

	if (r > 0) {
		struct cmsghdr *c;

		m.msg_control = &room;
		m.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &r, sizeof(r));
	}
	return sendmsg(fd, &m, MSG_NOSIGNAL) < 0 ? -errno : 0;
}

int broker_answer(int fd, const struct export_cfg *cfgs, unsigned int n)
{
	struct request req;
	ssize_t len = recv(fd, &req, sizeof(req), MSG_DONTWAIT);
	int r, sent;

	if (len < 0)
		return errno == EAGAIN || errno == EINTR ? 0 : -EPIPE;
	if (!len)
		return -EPIPE;
	if (len != sizeof(req) || req.sink >= n || !req.what || req.what >= _XF_MAX)
		return send_answer(fd, -EPERM) ? -EPIPE : 0;
	r = export_file(&cfgs[req.sink], req.what, req.n);
	sent = send_answer(fd, r);
	if (r > 0)
		close(r);
	return sent ? -EPIPE : 0;
}

static int recv_answer(int fd)
{
	struct answer a;
	struct iovec iov = {&a, sizeof(a)};
	union fd_room room;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &room,
			   .msg_controllen = sizeof(room)};
	struct cmsghdr *c;
	ssize_t n;
	int got;

	do
		n = recvmsg(fd, &m, MSG_CMSG_CLOEXEC);
	while (n < 0 && errno == EINTR);
	if (n != sizeof(a))
		return -EPIPE;
	if (a.r <= 0)
		return a.r;
	c = CMSG_FIRSTHDR(&m);
	if (!c || c->cmsg_type != SCM_RIGHTS || c->cmsg_len != CMSG_LEN(sizeof(int)))
		return -EMFILE; /* the kernel had no number left for it */
	memcpy(&got, CMSG_DATA(c), sizeof(got));
	return got;
}

int broker_ask(int fd, unsigned int sink, uint32_t what, uint32_t n)
{
	const struct request req = {.sink = sink, .what = what, .n = n};

	if (send(fd, &req, sizeof(req), MSG_NOSIGNAL) != sizeof(req))
		return -EPIPE;
	return recv_answer(fd);
}
