// SPDX-License-Identifier: Apache-2.0
/*
 * serve.c - see serve.h.
 */
#include "loader/policy/serve.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "common/log.h"
#include "common/peer.h"
#include "loader/mirror/host.h"

/* ---- the socket ---- */

int serve_open(struct serve *s, const struct control_cfg *control)
{
	struct sockaddr_un a = {.sun_family = AF_UNIX};
	mode_t old;
	int fd, r = 0;

	s->listening = -1;
	for (unsigned int i = 0; i < SERVE_CLIENTS; i++)
		s->clients[i] = -1;
	if (!control->path[0])
		return 0;
	if (strlen(control->path) + strlen(POLICY_SOCKET_SUFFIX) >= sizeof(a.sun_path))
		return -ENAMETOOLONG;
	snprintf(s->path, sizeof(s->path), "%s%s", control->path, POLICY_SOCKET_SUFFIX);
	memcpy(a.sun_path, s->path, strlen(s->path));
	/* the control socket beside it is ours: so is what an earlier process left here */
	(void)unlink(s->path);
	fd = socket(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return -errno;
	old = umask(0777);
	if (bind(fd, (const struct sockaddr *)&a, sizeof(a)))
		r = -errno;
	umask(old);
	if (!r && (chmod(s->path, control->mode) ||
		   (control->group[0] && chown(s->path, (uid_t)-1, peer_group(control->group))) ||
		   listen(fd, 16)))
		r = -errno;
	if (r) {
		close(fd);
		log_warn(s->path, "%s; policies can't be changed", strerror(-r));
		return r;
	}
	s->listening = fd;
	return 0;
}

void serve_close(struct serve *s)
{
	for (unsigned int i = 0; i < SERVE_CLIENTS; i++)
		if (s->clients[i] >= 0)
			close(s->clients[i]);
	if (s->listening >= 0) {
		close(s->listening);
		(void)unlink(s->path); /* one that is gone is as good */
	}
	s->listening = -1;
}

void serve_poll(const struct serve *s, struct pollfd *p)
{
	p[0] = (struct pollfd){.fd = s->listening, .events = POLLIN};
	for (unsigned int i = 0; i < SERVE_CLIENTS; i++)
		p[1 + i] = (struct pollfd){.fd = s->clients[i], .events = POLLIN};
}

static int identify(const struct serve *s, int fd, struct enforce_peer *ret)
{
	ret->may_change = peer_may(fd, geteuid(), peer_group(s->cfg->group), &ret->uid);
	return ret->uid == (uid_t)-1 ? -EPERM : 0;
}

/* ---- memory that comes along ---- */

/* Memory that nobody can change any more. */
static int map_sealed(int fd, struct enforce_image *ret)
{
	const int want = F_SEAL_WRITE | F_SEAL_SHRINK | F_SEAL_GROW;
	struct stat st;
	void *at;
	int seals;

	*ret = (struct enforce_image){};
	if (fd < 0)
		return 0;
	seals = fcntl(fd, F_GET_SEALS);
	if (seals < 0 || (seals & want) != want)
		return -EPERM;
	if (fstat(fd, &st) || st.st_size <= 0 || st.st_size > (off_t)POLICY_BYTES_MAX)
		return -E2BIG;
	at = mmap(NULL, (size_t)st.st_size, PROT_READ, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return -errno;
	*ret = (struct enforce_image){at, (size_t)st.st_size};
	return 0;
}

static int seal(const void *bytes, size_t len)
{
	int fd = memfd_create("weir-policy", MFD_CLOEXEC | MFD_ALLOW_SEALING);
	const uint8_t *at = bytes;

	while (fd >= 0 && len) {
		ssize_t n = write(fd, at, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0) {
			close(fd);
			return -EIO;
		}
		at += n;
		len -= (size_t)n;
	}
	return fd < 0 ? -errno : fd;
}

union fd_room {
	struct cmsghdr align;
	char bytes[CMSG_SPACE(sizeof(int))];
};

/* Return: bytes, 0: gone, -errno. *ret_fd: what came along, or -1. */
static ssize_t receive(int fd, struct policy_request *q, int *ret_fd)
{
	struct iovec iov = {q, sizeof(*q)};
	union fd_room room;
	struct msghdr m = {.msg_iov = &iov,
			   .msg_iovlen = 1,
			   .msg_control = &room,
			   .msg_controllen = sizeof(room)};
	struct cmsghdr *c;
	ssize_t n = recvmsg(fd, &m, MSG_DONTWAIT | MSG_CMSG_CLOEXEC);

	*ret_fd = -1;
	if (n <= 0)
		return n < 0 ? -errno : 0;
	c = CMSG_FIRSTHDR(&m);
	if (c && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof(int)))
		memcpy(ret_fd, CMSG_DATA(c), sizeof(*ret_fd));
	return m.msg_flags & MSG_TRUNC ? -EMSGSIZE : n;
}

static int seal_answer(const struct policy_answer *a)
{
	const size_t n = a->reply.n;

	if (a->decided)
		return seal(a->decided, n * sizeof(*a->decided));
	if (a->mirrors)
		return seal(a->mirrors, n * sizeof(*a->mirrors));
	if (a->hits)
		return seal(a->hits, n * sizeof(*a->hits));
	return seal(a->shown, n * sizeof(*a->shown));
}

static int answer(int fd, struct policy_answer *a)
{
	struct iovec iov = {&a->reply, sizeof(a->reply)};
	union fd_room room = {};
	struct msghdr m = {.msg_iov = &iov, .msg_iovlen = 1};
	int memory = -1, r;

	if (a->shown || a->decided || a->mirrors || a->hits) {
		struct cmsghdr *c;

		memory = seal_answer(a);
		if (memory < 0)
			return memory;
		m.msg_control = &room;
		m.msg_controllen = sizeof(room);
		c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(int));
		memcpy(CMSG_DATA(c), &memory, sizeof(memory));
	}
	r = sendmsg(fd, &m, MSG_DONTWAIT | MSG_NOSIGNAL) < 0 ? -errno : 0;
	if (memory >= 0)
		close(memory);
	return r;
}

/* ---- requests ---- */

/* Return: 0, or -errno: the client goes. */
static int handle(struct serve *s, int fd)
{
	struct policy_request q = {};
	struct enforce_image image = {};
	struct policy_answer a = {};
	struct enforce_peer peer;
	int memory, r;
	ssize_t n = receive(fd, &q, &memory);

	if (n == -EAGAIN || n == -EINTR)
		return 0;
	r = n == sizeof(q) ? identify(s, fd, &peer) : -EPIPE;
	r = r ?: map_sealed(memory, &image);
	if (memory >= 0)
		close(memory);
	if (r)
		return r;
	q.issuer[sizeof(q.issuer) - 1] = '\0';
	if (q.ask >= ASK_MIRROR_SHOW && q.ask <= ASK_MIRROR_END)
		mirror_host_answer(s->mirror, &q, &peer, &image, &a);
	else
		enforce_answer(s->e, &q, &peer, &image, &a);
	r = answer(fd, &a);
	free(a.shown);
	free(a.decided);
	free(a.mirrors);
	free(a.hits);
	if (image.at)
		munmap((void *)(uintptr_t)image.at, image.len);
	return r;
}

static bool is_idle(int fd)
{
	char c;

	return recv(fd, &c, sizeof(c), MSG_PEEK | MSG_DONTWAIT) < 0 && errno == EAGAIN;
}

/* A place for one more: who holds one and asks nothing goes, or nobody else could stop enforcement. */
static int find_place(struct serve *s)
{
	int oldest = -1;

	for (int i = 0; i < (int)SERVE_CLIENTS; i++) {
		if (s->clients[i] < 0)
			return i;
		if ((oldest < 0 || s->came[i] < s->came[oldest]) && is_idle(s->clients[i]))
			oldest = i;
	}
	if (oldest >= 0)
		close(s->clients[oldest]);
	return oldest;
}

static void welcome(struct serve *s)
{
	int fd = accept4(s->listening, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	int i = fd < 0 ? -1 : find_place(s);

	if (i < 0) {
		if (fd >= 0)
			close(fd);
		return;
	}
	s->clients[i] = fd;
	s->came[i] = ++s->n_came;
}

void serve_work(struct serve *s, const struct pollfd *p)
{
	for (unsigned int i = 0; i < SERVE_CLIENTS; i++) {
		if (!p[1 + i].revents || s->clients[i] < 0)
			continue;
		if (!(p[1 + i].revents & POLLIN) || handle(s, s->clients[i])) {
			close(s->clients[i]);
			s->clients[i] = -1;
		}
	}
	if (p[0].revents)
		welcome(s);
}
