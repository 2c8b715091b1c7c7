// SPDX-License-Identifier: Apache-2.0
/*
 * stream.c - IPFIX over TCP and TLS (RFC 7011 section 10.4): messages by the length in their header,
 * one thread for all connections. When the store does not keep up the thread waits, nothing is read,
 * and the exporters' own queues take it. A weir's records are acknowledged on the same connection
 * once they are durable (docs/export.md).
 */
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/ingest/ingest_int.h"
#include "common/ack.h"
#include "common/ipfix.h"
#include "common/ipfix_get.h"

#define CONNS_MAX 1024u
#define ROOM	  (256u << 10) /* octets read at once, and at least one message */
#define RECORD	  (16u << 10)  /* octets of a record of TLS at most (RFC 8446 section 5.1) */
#define ACKS_MAX  64u	       /* observation domains of one connection */
#define OUT_MAX	  (ACKS_MAX * ACK_BYTES * 2)
#define TICK_MS	  100
#define EVENTS	  32
#define NAP_US	  4000

struct acked {
	struct numbering *n;
	uint64_t to;
	bool said; /* one was sent */
};

struct conn {
	struct conn *next;
	struct listener *l;
	int fd;
	void *ssl;
	struct source from;
	uint32_t have;
	bool wants_write;
	bool closed;
	uint32_t out_len;
	uint32_t acks_n;
	struct acked acks[ACKS_MAX];
	uint8_t out[OUT_MAX];
	uint8_t in[ROOM];
};

struct stream_worker {
	struct ingest *g;
	pthread_t thread;
	bool running;
	bool stopping;
	int epoll, event;
	struct decoder *d;
	struct conn *conns, *current;
	uint32_t n;
	uint64_t octets; /* read since it woke */
	int64_t woken_us;
};

/* ---- sockets ---- */

int stream_open(struct ingest *g, struct listener *l, char *error)
{
	const struct sockaddr *a = (const struct sockaddr *)&l->cfg.address;
	const socklen_t len = a->sa_family == AF_INET ? sizeof(struct sockaddr_in)
						      : sizeof(struct sockaddr_in6);
	struct sockaddr_storage got;
	socklen_t got_len = sizeof(got);
	int one = 1;

	(void)g;
	l->fd[0] = socket(a->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (l->fd[0] < 0)
		return socket_error(error, &l->cfg, "socket", -errno);
	if (setsockopt(l->fd[0], SOL_SOCKET, SO_REUSEADDR, &one, sizeof(one)) ||
	    bind(l->fd[0], a, len) || listen(l->fd[0], 128))
		return socket_error(error, &l->cfg, "bind", -errno);
	if (!getsockname(l->fd[0], (struct sockaddr *)&got, &got_len))
		l->port = ntohs(got.ss_family == AF_INET
					? ((struct sockaddr_in *)&got)->sin_port
					: ((struct sockaddr_in6 *)&got)->sin6_port);
	if (l->cfg.transport != INGEST_TLS)
		return 0;
	return stream_tls_new(&l->cfg, error, &l->tls);
}

static void want(struct stream_worker *w, struct conn *c, bool write)
{
	struct epoll_event e = {.events = EPOLLIN | (write ? EPOLLOUT : 0), .data.ptr = c};

	if (c->wants_write == write)
		return;
	c->wants_write = write;
	if (epoll_ctl(w->epoll, EPOLL_CTL_MOD, c->fd, &e))
		c->closed = true;
}

static ssize_t conn_read(struct conn *c, bool *ret_write)
{
	ssize_t n;

	*ret_write = false;
	if (c->ssl)
		return stream_tls_read(c->ssl, c->in + c->have, ROOM - c->have, ret_write);
	n = recv(c->fd, c->in + c->have, ROOM - c->have, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

static ssize_t conn_write(struct conn *c, bool *ret_write)
{
	ssize_t n;

	*ret_write = true;
	if (c->ssl)
		return stream_tls_write(c->ssl, c->out, c->out_len, ret_write);
	n = send(c->fd, c->out, c->out_len, MSG_DONTWAIT | MSG_NOSIGNAL);
	return n < 0 ? -errno : n;
}

/* ---- acknowledgements ---- */

static void send_out(struct stream_worker *w, struct conn *c)
{
	bool write = false;

	while (c->out_len && !c->closed) {
		const ssize_t n = conn_write(c, &write);

		if (n == -EAGAIN || n == -EINTR)
			break;
		if (n <= 0) {
			c->closed = true;
			break;
		}
		c->out_len -= (uint32_t)n;
		memmove(c->out, c->out + n, c->out_len);
	}
	want(w, c, c->out_len && write);
}

/* What is stored of a numbering, if that is news. */
static void acknowledge(struct conn *c, struct acked *a)
{
	const uint64_t to = read_atomic(&a->n->committed);

	if ((a->said && to == a->to) || c->out_len + ACK_BYTES > OUT_MAX)
		return;
	ack_put(c->out + c->out_len, a->n->e->domain, (uint32_t)to, to ? a->n->epoch : 0);
	c->out_len += ACK_BYTES;
	a->to = to;
	a->said = true;
}

static void acknowledge_all(struct stream_worker *w)
{
	for (struct conn *c = w->conns; c; c = c->next) {
		for (uint32_t i = 0; i < c->acks_n; i++)
			acknowledge(c, &c->acks[i]);
		if (c->out_len)
			send_out(w, c);
	}
}

/* From the decoder: the connection's exporter asks what is stored of a numbering. */
static void asked(void *arg, struct numbering *n)
{
	struct stream_worker *w = arg;
	struct conn *c = w->current;
	uint32_t i = 0;

	while (i < c->acks_n && c->acks[i].n != n)
		i++;
	if (i == ACKS_MAX)
		return;
	if (i == c->acks_n)
		c->acks[c->acks_n++] = (struct acked){.n = n};
	acknowledge(c, &c->acks[i]);
}

/* ---- connections ---- */

static void conn_free(struct stream_worker *w, struct conn *c)
{
	struct conn **at = &w->conns;

	while (*at != c)
		at = &(*at)->next;
	*at = c->next;
	w->n--;
	decoder_end(w->d, &c->from);
	stream_tls_close(c->ssl);
	close(c->fd);
	__atomic_fetch_sub(&c->l->open, 1, __ATOMIC_RELAXED);
	free(c);
}

static int conn_new(struct stream_worker *w, struct listener *l, int fd,
		    const struct sockaddr_storage *a)
{
	struct epoll_event e = {.events = EPOLLIN};
	struct conn *c = w->n < CONNS_MAX ? malloc(sizeof(*c)) : NULL;
	int one = 1;

	if (!c)
		return -ENOMEM;
	memset(c, 0, offsetof(struct conn, in));
	c->l = l;
	c->fd = fd;
	source_of(a, &c->from);
	c->from.stream = true;
	e.data.ptr = c;
	if (l->tls)
		c->ssl = stream_tls_accept(l->tls, fd);
	/* an acknowledgement does not wait for another; keepalive finds hosts that are gone */
	if ((l->tls && !c->ssl) || setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof(one)) ||
	    setsockopt(fd, SOL_SOCKET, SO_KEEPALIVE, &one, sizeof(one)) ||
	    epoll_ctl(w->epoll, EPOLL_CTL_ADD, fd, &e)) {
		stream_tls_close(c->ssl);
		free(c);
		return -EIO;
	}
	c->next = w->conns;
	w->conns = c;
	w->n++;
	add_atomic(&l->connections, 1);
	__atomic_fetch_add(&l->open, 1, __ATOMIC_RELAXED);
	return 0;
}

static void take_connections(struct stream_worker *w, struct listener *l)
{
	for (;;) {
		struct sockaddr_storage a;
		socklen_t len = sizeof(a);
		const int fd = accept4(l->fd[0], (struct sockaddr *)&a, &len,
				       SOCK_CLOEXEC | SOCK_NONBLOCK);

		if (fd < 0)
			return;
		if (conn_new(w, l, fd, &a)) {
			add_atomic(&l->refused, 1);
			close(fd);
		}
	}
}

/* Whole messages of what has come. Return: false: this is no IPFIX. */
static bool take_messages(struct stream_worker *w, struct conn *c, int64_t now_us)
{
	uint32_t at = 0;
	bool good = true;

	w->current = c;
	while (good && c->have - at >= IPFIX_HEADER) {
		struct ipfix_header h;

		if (ipfix_read_header(c->in + at, c->have - at, &h)) {
			/* counted as what it is */
			decoder_message(w->d, &c->from, c->in + at, c->have - at, now_us);
			good = false;
			break;
		}
		if (h.len > c->have - at)
			break;
		good = !decoder_message(w->d, &c->from, c->in + at, h.len, now_us);
		add_atomic(&c->l->octets[0], h.len);
		at += h.len;
	}
	decoder_settle(w->d);
	c->have -= at;
	memmove(c->in, c->in + at, c->have);
	return good;
}

/* What there is, as far as there is room: of TLS record by record. Return: what the last reading gave. */
static ssize_t fill(struct conn *c, uint32_t *ret_octets, bool *ret_write)
{
	const uint32_t before = c->have;
	ssize_t n;

	do {
		n = conn_read(c, ret_write);
		c->have += n > 0 ? (uint32_t)n : 0;
	} while (n > 0 && c->ssl && ROOM - c->have >= RECORD);
	*ret_octets = c->have - before;
	return n;
}

static void serve(struct stream_worker *w, struct conn *c)
{
	uint32_t octets;
	bool write;
	const ssize_t n = fill(c, &octets, &write);

	w->octets += octets;
	if (octets && !take_messages(w, c, ingest_now_us()))
		c->closed = true;
	else if (octets && c->out_len)
		send_out(w, c);
	if (n == -EAGAIN || n == -EINTR) {
		want(w, c, write || c->out_len);
		return;
	}
	if (n == -EPROTO && !octets && !c->have)
		add_atomic(&c->l->refused, 1);
	c->closed |= n <= 0;
}

/* ---- thread ---- */

static void handle(struct stream_worker *w, const struct epoll_event *e)
{
	uint64_t count;

	if (!e->data.ptr) {
		if (read(w->event, &count, sizeof(count)) > 0)
			acknowledge_all(w);
		return;
	}
	for (uint32_t i = 0; i < w->g->cfg.listeners_n; i++) {
		if (e->data.ptr == &w->g->l[i]) {
			take_connections(w, &w->g->l[i]);
			return;
		}
	}
	if (e->events & EPOLLOUT)
		send_out(w, e->data.ptr);
	/* what TLS has read already has no event of its own: its records are smaller than the room */
	serve(w, e->data.ptr);
}

static void close_those_that_are(struct stream_worker *w)
{
	for (struct conn *c = w->conns, *next; c; c = next) {
		next = c->next;
		if (c->closed)
			conn_free(w, c);
	}
}

/* What comes in small pieces is taken some at a time: to be woken costs more than to decode. */
static void gather(struct stream_worker *w)
{
	const int64_t now_us = ingest_now_us();

	if (w->octets && w->octets < ROOM / 2 && now_us >= w->woken_us &&
	    now_us - w->woken_us < 2 * NAP_US)
		nanosleep(&(struct timespec){.tv_nsec = NAP_US * 1000}, NULL);
	w->octets = 0;
	w->woken_us = ingest_now_us();
}

static void *run(void *arg)
{
	struct stream_worker *w = arg;
	const int64_t flush_us = (int64_t)(w->g->cfg.flush_ms ?: 1000) * 1000;

	while (!__atomic_load_n(&w->stopping, __ATOMIC_ACQUIRE)) {
		struct epoll_event e[EVENTS];
		const int n = epoll_wait(w->epoll, e, EVENTS, TICK_MS);

		for (int k = 0; k < n; k++)
			handle(w, &e[k]);
		close_those_that_are(w);
		if (n > 0)
			gather(w);
		decoder_flush(w->d, ingest_now_us() - flush_us);
		publish_strays(w->g, UDP_THREADS_MAX, w->d);
	}
	return NULL;
}

int stream_new(struct ingest *g)
{
	struct decoder_cfg cfg = decoder_cfg_of(g, true);
	struct stream_worker *w = calloc(1, sizeof(*w));
	struct epoll_event e = {.events = EPOLLIN};

	if (!w)
		return -ENOMEM;
	g->stream = w;
	w->g = g;
	cfg.numbering = asked;
	cfg.numbering_arg = w;
	w->epoll = epoll_create1(EPOLL_CLOEXEC);
	w->event = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	w->d = decoder_new(&cfg);
	if (!w->d || w->epoll < 0 || w->event < 0)
		return -ENOMEM;
	if (epoll_ctl(w->epoll, EPOLL_CTL_ADD, w->event, &e))
		return -errno;
	for (uint32_t i = 0; i < g->cfg.listeners_n; i++) {
		const enum ingest_transport t = g->l[i].cfg.transport;

		e.data.ptr = &g->l[i];
		if ((t == INGEST_TCP || t == INGEST_TLS) &&
		    epoll_ctl(w->epoll, EPOLL_CTL_ADD, g->l[i].fd[0], &e))
			return -errno;
	}
	return 0;
}

int stream_start(struct stream_worker *w)
{
	int r = -pthread_create(&w->thread, NULL, run, w);

	w->running = !r;
	return r;
}

void stream_wake(struct stream_worker *w)
{
	const uint64_t one = 1;

	if (write(w->event, &one, sizeof(one)) < 0)
		return; /* full: it is about to wake already */
}

void stream_stop(struct stream_worker *w)
{
	if (!w)
		return;
	__atomic_store_n(&w->stopping, true, __ATOMIC_RELEASE);
	if (w->running) {
		stream_wake(w);
		pthread_join(w->thread, NULL);
		w->running = false;
	}
	while (w->conns)
		conn_free(w, w->conns);
	if (w->d)
		publish_strays(w->g, UDP_THREADS_MAX, w->d);
	w->d = decoder_free(w->d);
}

struct stream_worker *stream_free(struct stream_worker *w)
{
	if (!w)
		return NULL;
	stream_stop(w);
	if (w->epoll >= 0)
		close(w->epoll);
	if (w->event >= 0)
		close(w->event);
	free(w);
	return NULL;
}
