// SPDX-License-Identifier: Apache-2.0
/*
 * udp.c - receiving datagrams: one socket per listener and thread. The kernel chooses the socket by
 * the sender's address, so that an exporter's templates, whatever its ports, stay with one thread.
 */
#include <errno.h>
#include <linux/filter.h>
#include <linux/sock_diag.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/ingest/ingest_int.h"

#define BATCH	  64u
#define DATAGRAM  65536u
#define STRIDE	  (DATAGRAM + 24u * 64u) /* not a power of two: their heads would share cache lines */
#define BATCHES	  8u			 /* of one socket, before another one's turn */
#define TICK_MS	  100
#define EXPIRE_US 10000000
#define RCVBUF	  (64u << 20)
#define EVENTS	  16
#define NAP_US	  5000u
#define WIRE_RATE \
	4096u /* octets of the socket's buffer that a link fills in a microsecond, at most */

struct udp_worker {
	struct ingest *g;
	uint32_t i;
	pthread_t thread;
	bool running;
	bool ending; /* atomic */
	int epoll, stop;
	struct decoder *d;
	uint64_t saved_generation;
	int64_t saved_us, expired_us, woken_us;
	struct mmsghdr msg[BATCH];
	struct iovec iov[BATCH];
	struct sockaddr_storage from[BATCH];
	uint8_t *buf; /* BATCH times STRIDE */
};

/* ---- sockets ---- */

/*
 * The number of the socket, of @n: a hash of the sender's address. The filter sees the network header
 * at SKF_NET_OFF (Documentation/networking/filter.rst; socket(7), SO_ATTACH_REUSEPORT_CBPF).
 */
static int attach_choice(int fd, uint32_t n)
{
	const uint32_t net = (uint32_t)SKF_NET_OFF;
	struct sock_filter code[] = {
		BPF_STMT(BPF_LD | BPF_B | BPF_ABS, net),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 4),
		BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, 6, 2, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 12),
		BPF_JUMP(BPF_JMP | BPF_JA, 10, 0, 0), /* to the multiplication */
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 8),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 12),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 16),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_MISC | BPF_TAX, 0),
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS, net + 20),
		BPF_STMT(BPF_ALU | BPF_XOR | BPF_X, 0),
		BPF_STMT(BPF_ALU | BPF_MUL | BPF_K, 0x9e3779b1),
		BPF_STMT(BPF_ALU | BPF_RSH | BPF_K, 16),
		BPF_STMT(BPF_ALU | BPF_MOD | BPF_K, n),
		BPF_STMT(BPF_RET | BPF_A, 0),
	};
	const struct sock_fprog prog = {.len = sizeof(code) / sizeof(code[0]), .filter = code};

	if (n < 2)
		return 0;
	return setsockopt(fd, SOL_SOCKET, SO_ATTACH_REUSEPORT_CBPF, &prog, sizeof(prog)) ? -errno
											 : 0;
}

static void size_buffer(struct ingest *g, struct listener *l, int fd)
{
	int size = (int)(g->cfg.rcvbuf ?: RCVBUF), got = 0;
	socklen_t len = sizeof(got);

	if (setsockopt(fd, SOL_SOCKET, SO_RCVBUFFORCE, &size, sizeof(size)))
		/* without the capability: as much as net.core.rmem_max lets it be */
		(void)setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &size, sizeof(size));
	if (!getsockopt(fd, SOL_SOCKET, SO_RCVBUF, &got, &len))
		l->rcvbuf += (uint32_t)got;
}

static int open_one(struct listener *l, bool share, int *ret)
{
	const struct sockaddr *a = (const struct sockaddr *)&l->cfg.address;
	const socklen_t len = a->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6);
	int fd = socket(a->sa_family, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0), one = 1, r;

	if (fd < 0)
		return -errno;
	if (share && setsockopt(fd, SOL_SOCKET, SO_REUSEPORT, &one, sizeof(one)))
		goto fail;
	if (bind(fd, a, len))
		goto fail;
	*ret = fd;
	return 0;
fail:
	r = -errno;
	close(fd);
	return r;
}

/* The port that the kernel chose, for the other sockets too. */
static void learn_port(struct listener *l, int fd)
{
	struct sockaddr_storage a;
	socklen_t len = sizeof(a);

	if (getsockname(fd, (struct sockaddr *)&a, &len))
		return;
	if (a.ss_family == AF_INET) {
		l->port = ntohs(((struct sockaddr_in *)&a)->sin_port);
		((struct sockaddr_in *)&l->cfg.address)->sin_port = htons(l->port);
	} else {
		l->port = ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
		((struct sockaddr_in6 *)&l->cfg.address)->sin6_port = htons(l->port);
	}
}

int udp_open(struct ingest *g, struct listener *l, char *error)
{
	int fd, r;

	/* two collectors of one user could share a port without a word: see that it is free */
	r = open_one(l, false, &fd);
	if (r)
		return socket_error(error, &l->cfg, "bind", r);
	learn_port(l, fd);
	close(fd);
	for (uint32_t i = 0; i < g->threads; i++) {
		r = open_one(l, true, &l->fd[i]);
		if (r)
			return socket_error(error, &l->cfg, "bind", r);
		size_buffer(g, l, l->fd[i]);
	}
	r = attach_choice(l->fd[0], g->threads);
	return r ? socket_error(error, &l->cfg, "SO_ATTACH_REUSEPORT_CBPF", r) : 0;
}

/* ---- receiving ---- */

/*
 * Do the sockets have room for what comes while the store is busy? As long as they are not half full nothing
 * is lost by waiting for it; then flows must go, so that they are counted against their exporters.
 */
static bool is_patient(void *arg)
{
	struct udp_worker *w = arg;
	uint32_t info[SK_MEMINFO_VARS];

	for (uint32_t k = 0; k < w->g->cfg.listeners_n; k++) {
		const struct listener *l = &w->g->l[k];
		socklen_t len = sizeof(info);

		if (l->cfg.transport != INGEST_UDP)
			continue;
		if (getsockopt(l->fd[w->i], SOL_SOCKET, SO_MEMINFO, info, &len) ||
		    info[SK_MEMINFO_RMEM_ALLOC] >= info[SK_MEMINFO_RCVBUF] / 2)
			return false;
	}
	return !__atomic_load_n(&w->ending, __ATOMIC_RELAXED);
}

/*
 * Asked of the socket and not read with a datagram (SO_RXQ_OVFL), which would tell what was dropped before
 * that one: the last ones of an exporter that falls silent would be missing without a word.
 */
uint64_t udp_drops(const struct listener *l, uint32_t i)
{
	const uint64_t before = read_atomic(&l->drops[i]);
	uint32_t info[SK_MEMINFO_VARS];
	socklen_t len = sizeof(info);

	if (l->fd[i] < 0 || getsockopt(l->fd[i], SOL_SOCKET, SO_MEMINFO, info, &len) ||
	    len < sizeof(info))
		return before;
	/* the kernel's number has 32 bits */
	return before + (uint32_t)(info[SK_MEMINFO_DROPS] - (uint32_t)before);
}

static int receive(struct udp_worker *w, struct listener *l, int64_t now_us)
{
	uint64_t octets = 0;
	int n;

	for (unsigned int k = 0; k < BATCH; k++) {
		w->msg[k].msg_hdr.msg_namelen = sizeof(w->from[k]);
	}
	n = recvmmsg(l->fd[w->i], w->msg, BATCH, MSG_DONTWAIT, NULL);
	for (int k = 0; k < n; k++) {
		struct source from = {};

		source_of(&w->from[k], &from);
		octets += w->msg[k].msg_len;
		/* malformed: counted there */
		(void)decoder_message(w->d, &from, w->buf + (size_t)k * STRIDE, w->msg[k].msg_len,
				      now_us);
	}
	decoder_settle(w->d);
	if (n <= 0)
		return 0;
	add_atomic(&l->datagrams[w->i], (uint64_t)n);
	add_atomic(&l->octets[w->i], octets);
	return n;
}

/* Templates have changed: hand them to the thread that writes files. */
static void hand_over(struct udp_worker *w, int64_t now_us)
{
	const uint64_t generation = decoder_generation(w->d);
	struct saved *s = NULL;
	uint8_t *p;
	size_t len;

	if (!w->g->state || generation == w->saved_generation ||
	    now_us - w->saved_us < STATE_EVERY_US || decoder_save(w->d, &p, &len))
		return;
	s = malloc(sizeof(*s) + len);
	if (s) {
		s->len = len;
		memcpy(s->p, p, len);
		free(__atomic_exchange_n(&w->g->saved[w->i], s, __ATOMIC_ACQ_REL));
		w->saved_generation = generation;
		w->saved_us = now_us;
	}
	free(p);
}

static void tick(struct udp_worker *w, int64_t now_us)
{
	const uint32_t flush_ms = w->g->cfg.flush_ms ?: 1000;

	decoder_flush(w->d, now_us - (int64_t)flush_ms * 1000);
	for (uint32_t k = 0; k < w->g->cfg.listeners_n; k++)
		if (w->g->l[k].cfg.transport == INGEST_UDP)
			__atomic_store_n(&w->g->l[k].drops[w->i], udp_drops(&w->g->l[k], w->i),
					 __ATOMIC_RELAXED);
	hand_over(w, now_us);
	publish_strays(w->g, w->i, w->d);
	if (now_us - w->expired_us > EXPIRE_US) {
		decoder_expire(w->d, now_us);
		w->expired_us = now_us;
	}
}

/*
 * Datagrams that come one by one are taken some at a time: to be woken costs more than to decode, and
 * columns of one value are no columns. As long as the sockets surely have the room for it.
 */
static void gather(struct udp_worker *w)
{
	const int64_t now_us = ingest_now_us();
	uint32_t nap_us = NAP_US;

	for (uint32_t k = 0; k < w->g->cfg.listeners_n; k++) {
		const struct listener *l = &w->g->l[k];
		const uint32_t safe = l->rcvbuf / w->g->threads / WIRE_RATE;

		if (l->cfg.transport == INGEST_UDP && safe < nap_us)
			nap_us = safe;
	}
	if (now_us - w->woken_us < 2 * (int64_t)NAP_US && now_us >= w->woken_us)
		nanosleep(&(struct timespec){.tv_nsec = nap_us * 1000l}, NULL);
	w->woken_us = ingest_now_us();
}

static void *run(void *arg)
{
	struct udp_worker *w = arg;
	int64_t ticked_us = 0;

	for (;;) {
		struct epoll_event e[EVENTS];
		const int n = epoll_wait(w->epoll, e, EVENTS, TICK_MS);
		int64_t now_us = ingest_now_us();

		for (int k = 0; k < n; k++) {
			unsigned int batches = 0;

			if (!e[k].data.ptr) {
				w->saved_us = 0; /* at the end: what has changed, at once */
				hand_over(w, now_us);
				return NULL;
			}
			while (batches++ < BATCHES &&
			       receive(w, e[k].data.ptr, now_us) == (int)BATCH)
				now_us = ingest_now_us();
		}
		if (now_us - ticked_us >= TICK_MS * 1000 / 2 || now_us < ticked_us) {
			tick(w, now_us);
			ticked_us = now_us;
		}
		if (n > 0)
			gather(w);
	}
}

/* ---- thread ---- */

static int add_fd(struct udp_worker *w, int fd, void *what)
{
	struct epoll_event e = {.events = EPOLLIN, .data.ptr = what};

	return epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e) ? -errno : 0;
}

static void prepare(struct udp_worker *w)
{
	for (unsigned int k = 0; k < BATCH; k++) {
		w->iov[k] = (struct iovec){w->buf + (size_t)k * STRIDE, DATAGRAM};
		w->msg[k].msg_hdr = (struct msghdr){
			.msg_name = &w->from[k], .msg_iov = &w->iov[k], .msg_iovlen = 1};
	}
}

int udp_new(struct ingest *g, uint32_t i, const struct saved *loaded)
{
	struct decoder_cfg cfg = decoder_cfg_of(g, false);
	struct udp_worker *w = calloc(1, sizeof(*w));
	int r;

	if (!w)
		return -ENOMEM;
	cfg.patient = is_patient;
	cfg.patient_arg = w;
	g->udp[i] = w;
	w->g = g;
	w->i = i;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->stop = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->buf = malloc((size_t)BATCH * STRIDE);
	w->d = decoder_new(&cfg);
	if (!w->buf || !w->d)
		return -ENOMEM;
	prepare(w);
	/* each has them all: which exporters will be its own, the kernel decides */
	if (loaded)
		(void)decoder_load(w->d, loaded->p, loaded->len);
	w->saved_generation = decoder_generation(w->d);
	r = w->epoll < 0 || w->stop < 0 ? -EMFILE : add_fd(w, w->stop, NULL);
	for (uint32_t k = 0; k < g->cfg.listeners_n && !r; k++)
		if (g->l[k].cfg.transport == INGEST_UDP)
			r = add_fd(w, g->l[k].fd[i], &g->l[k]);
	return r;
}

int udp_start(struct udp_worker *w)
{
	int r = -pthread_create(&w->thread, NULL, run, w);

	w->running = !r;
	return r;
}

struct udp_worker *udp_free(struct udp_worker *w)
{
	const uint64_t one = 1;

	if (!w)
		return NULL;
	__atomic_store_n(&w->ending, true, __ATOMIC_RELAXED);
	if (w->running && write(w->stop, &one, sizeof(one)) == sizeof(one))
		pthread_join(w->thread, NULL);
	if (w->d)
		publish_strays(w->g, w->i, w->d);
	decoder_free(w->d);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->stop >= 0)
		close(w->stop);
	free(w->buf);
	free(w);
	return NULL;
}
