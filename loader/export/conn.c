// SPDX-License-Identifier: Apache-2.0
/*
 * conn.c - sockets to a collector; see conn.h.
 */
#include "loader/export/conn.h"

#include <errno.h>
#include <linux/tcp.h>
#include <netdb.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <unistd.h>

#include "loader/export/sink_int.h"

#define LAST_TRY_NS    (2 * EXPORT_NS_PER_S) /* for a collector that does not even refuse */
#define BACKOFF_MIN_NS (EXPORT_NS_PER_S / 4)
#define BACKOFF_MAX_NS (30 * EXPORT_NS_PER_S)
#define CONNECT_NS     (10 * EXPORT_NS_PER_S) /* until an attempt is given up */
#define UDP_BUFFER     (4 << 20)

static bool is_v4(const struct conn *c)
{
	return c->addr[c->at].sin6_family == AF_INET;
}

static int resolve(struct conn *c, const struct export_cfg *cfg, char *reterr)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM, .ai_flags = AI_NUMERICSERV}, *list, *a;
	char port[8];
	int r;

	snprintf(port, sizeof(port), "%u", (unsigned int)cfg->port);
	r = getaddrinfo(cfg->host, port, &hints, &list);
	if (r) {
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: host '%.80s': %s", cfg->name,
			 cfg->host, gai_strerror(r));
		return -EHOSTUNREACH;
	}
	for (a = list; a && c->n_addr < CONN_ADDRESSES; a = a->ai_next)
		if (a->ai_addrlen <= sizeof(c->addr[0]))
			memcpy(&c->addr[c->n_addr++], a->ai_addr, a->ai_addrlen);
	freeaddrinfo(list);
	return 0;
}

static int connect_socket(struct conn *c)
{
	const int type = c->type == EXPORT_IPFIX_UDP ? SOCK_DGRAM : SOCK_STREAM;
	const struct sockaddr *to = (const struct sockaddr *)&c->addr[c->at];
	const socklen_t len = is_v4(c) ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6);
	int fd = socket(to->sa_family, type | SOCK_NONBLOCK | SOCK_CLOEXEC, 0), r;

	if (fd < 0)
		return -errno;
	c->fd = fd;
	c->written = 0;
	if (!connect(fd, to, len))
		return 0;
	r = -errno;
	if (r == -EINPROGRESS)
		return r;
	close(fd);
	c->fd = -1;
	return r;
}

int conn_open(struct conn *c, const struct export_cfg *cfg, char *reterr)
{
	const int buffer = UDP_BUFFER;
	int r;

	c->fd = -1;
	c->type = cfg->type;
	c->backoff_ns = BACKOFF_MIN_NS;
	r = resolve(c, cfg, reterr);
	if (!r && c->type == EXPORT_IPFIX_TLS)
		r = tls_new(cfg, &c->tls, reterr);
	if (r || c->type != EXPORT_IPFIX_UDP)
		return r;
	r = connect_socket(c);
	if (r) {
		snprintf(reterr, EXPORT_ERR_MAX, "export %s: socket: %s", cfg->name, strerror(-r));
		return r;
	}
	/* as much as is allowed; a burst of datagrams should not wait */
	if (setsockopt(c->fd, SOL_SOCKET, SO_SNDBUF, &buffer, sizeof(buffer)))
		return -errno;
	c->state = CONN_UP;
	return 0;
}

void conn_close(struct conn *c)
{
	if (c->tls)
		tls_end(c->tls, c->state == CONN_UP);
	tls_free(c->tls);
	c->tls = NULL;
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	c->state = CONN_DOWN;
}

/* Half to three halves of @ns: collectors that come back are not met by all at once. */
static uint64_t jitter(uint64_t ns)
{
	uint32_t random = UINT32_MAX / 2;

	if (getrandom(&random, sizeof(random), GRND_NONBLOCK) < 0)
		random = UINT32_MAX / 2;
	return ns / 2 + (ns >> 16) * (random >> 16);
}

void conn_proved(struct conn *c)
{
	c->backoff_ns = BACKOFF_MIN_NS;
}

void conn_down(struct conn *c, uint64_t now, const char *why, int err)
{
	if (err)
		snprintf(c->error, sizeof(c->error), "%s: %s", why, strerror(err));
	else
		snprintf(c->error, sizeof(c->error), "%s", why);
	if (c->tls)
		tls_end(c->tls, false);
	if (c->fd >= 0)
		close(c->fd);
	c->fd = -1;
	/* one that was up for a while is tried again soon */
	if (c->state == CONN_UP && now - c->since_ns > c->backoff_ns)
		c->backoff_ns = BACKOFF_MIN_NS;
	c->state = CONN_DOWN;
	c->at = (c->at + 1) % c->n_addr;
	c->retry_ns = now + jitter(c->backoff_ns);
	c->backoff_ns = c->backoff_ns * 2 < BACKOFF_MAX_NS ? c->backoff_ns * 2 : BACKOFF_MAX_NS;
}

static int failed(struct conn *c, uint64_t now, const char *why, int r)
{
	conn_down(c, now, why, -r);
	return r;
}

static int start(struct conn *c, uint64_t now)
{
	int r = connect_socket(c);

	if (r && r != -EINPROGRESS)
		return failed(c, now, "connect", r);
	c->state = CONN_CONNECTING;
	c->since_ns = now;
	return 0;
}

static int connected(struct conn *c, uint64_t now)
{
	struct pollfd p = {.fd = c->fd, .events = POLLOUT};
	socklen_t len = sizeof(int);
	int err = 0, r;

	if (poll(&p, 1, 0) <= 0)
		return now - c->since_ns < CONNECT_NS ? 0 : failed(c, now, "connect", -ETIMEDOUT);
	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &err, &len))
		err = errno;
	if (err)
		return failed(c, now, "connect", -err);
	c->since_ns = now;
	c->state = CONN_UP;
	if (!c->tls)
		return 1;
	c->state = CONN_HANDSHAKE;
	r = tls_start(c->tls, c->fd);
	return r ? failed(c, now, "TLS", r) : 0;
}

static int shake(struct conn *c, uint64_t now)
{
	char why[sizeof(c->error)];
	int r = tls_handshake(c->tls, &c->want_read, why, sizeof(why));

	if (r == -EAGAIN)
		return now - c->since_ns < CONNECT_NS ? 0 : failed(c, now, "TLS", -ETIMEDOUT);
	if (r) {
		conn_down(c, now, why, 0);
		return r;
	}
	c->since_ns = now;
	c->state = CONN_UP;
	return 1;
}

int conn_work(struct conn *c, uint64_t now)
{
	int r = 0;

	if (c->state == CONN_DOWN && now >= c->retry_ns)
		r = start(c, now);
	if (!r && c->state == CONN_CONNECTING)
		r = connected(c, now);
	if (!r && c->state == CONN_HANDSHAKE)
		r = shake(c, now);
	return r;
}

bool conn_last_try(struct conn *c, uint64_t now)
{
	if (c->state == CONN_UP)
		return false;
	if (!c->last_ns) {
		c->last_ns = now + LAST_TRY_NS;
		c->tries = c->n_addr;
	}
	if (c->state == CONN_DOWN && c->tries) {
		c->tries--;
		c->retry_ns = now;
		return false;
	}
	return c->state == CONN_DOWN || now >= c->last_ns;
}

ssize_t conn_write(struct conn *c, const void *p, size_t len)
{
	ssize_t n;

	if (c->tls)
		return tls_write(c->tls, p, len, &c->want_read);
	n = send(c->fd, p, len, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (n < 0)
		return -errno;
	c->written += (uint64_t)n;
	return n;
}

ssize_t conn_read(struct conn *c, void *p, size_t len)
{
	ssize_t n;

	if (c->tls)
		return tls_read(c->tls, p, len);
	n = recv(c->fd, p, len, MSG_DONTWAIT);
	return n < 0 ? -errno : n;
}

uint64_t conn_offset(const struct conn *c)
{
	return c->tls ? tls_octets(c->tls) : c->written;
}

uint64_t conn_confirmed(const struct conn *c)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	memset(&info, 0, sizeof(info));
	if (getsockopt(c->fd, IPPROTO_TCP, TCP_INFO, &info, &len) || !info.tcpi_bytes_acked)
		return 0;
	return info.tcpi_bytes_acked - 1; /* the SYN counts as one */
}

short conn_events(const struct conn *c, bool more)
{
	switch (c->state) {
	case CONN_CONNECTING:
		return POLLOUT;
	case CONN_HANDSHAKE:
		return c->want_read ? POLLIN : POLLOUT;
	case CONN_UP:
		return (short)(POLLIN | (more && !c->want_read ? POLLOUT : 0));
	default:
		return 0;
	}
}

uint32_t conn_message_max(const struct conn *c)
{
	const int headers = is_v4(c) ? 20 + 8 : 40 + 8;
	int mtu = 0;
	socklen_t len = sizeof(mtu);
	int r = is_v4(c) ? getsockopt(c->fd, IPPROTO_IP, IP_MTU, &mtu, &len)
			 : getsockopt(c->fd, IPPROTO_IPV6, IPV6_MTU, &mtu, &len);

	return r || mtu < 512 + headers ? 512 : (uint32_t)(mtu - headers);
}
