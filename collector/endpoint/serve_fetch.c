// SPDX-License-Identifier: Apache-2.0
/*
 * serve_fetch.c - the octets of a capture for a client of the local socket: they go through a socket of their
 * own, whose other end the client gets.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/endpoint/endpoint_int.h"
#include "collector/nodes/captures.h"

#define BLOCK	    (64u << 10)
#define PATIENCE_MS 30000 /* of one who takes nothing */

static int refuse(struct endpoint_client *c, const char *code, const char *text)
{
	json_t *o = json_pack("{s:s,s:s,s:s}", "type", "error", "code", code, "message", text);
	const int r = endpoint_send_object(c, o);

	json_decref(o);
	return r;
}

/* All of it, or -EPIPE: the client has gone, or takes nothing. */
static int put(const struct endpoint_client *c, int to, const uint8_t *s, size_t len)
{
	struct pollfd p[2] = {{.fd = to, .events = POLLOUT}, {.fd = c->fd, .events = POLLRDHUP}};

	while (len) {
		const ssize_t n = send(to, s, len, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (n < 0 && errno != EAGAIN && errno != EINTR)
			return -EPIPE;
		if (n > 0) {
			s += n;
			len -= (size_t)n;
		} else if (poll(p, 2, PATIENCE_MS) == 0 || p[1].revents) {
			return -EPIPE;
		}
	}
	return 0;
}

/* Return: 0, -EPIPE, what fetch_read() says. */
static int copy(const struct endpoint_client *c, int to, struct fetch *f)
{
	uint8_t *block = malloc(BLOCK);
	ssize_t n = block ? 1 : -EIO;
	int r = 0;

	while (n > 0 && !r) {
		n = fetch_read(f, block, BLOCK);
		if (n > 0)
			r = put(c, to, block, (size_t)n);
	}
	free(block);
	return r ?: n < 0 ? (int)n : 0;
}

static int answer(struct endpoint_client *c, struct fetch *f, const struct fetch_of *of)
{
	char line[256];
	int pair[2], r;

	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair))
		return refuse(c, "store", "no more descriptors");
	snprintf(line, sizeof(line), "{\"type\":\"file\",\"size\":%llu,\"name\":\"%s\"}\n",
		 (unsigned long long)of->size, of->name);
	r = endpoint_send_fd(c, line, pair[1]);
	close(pair[1]);
	r = r ?: copy(c, pair[0], f);
	close(pair[0]);
	if (r == -EPIPE)
		return r;
	if (r)
		return refuse(c, r == -ENOENT ? "gone" : "offline",
			      r == -ENOENT ? "it has been removed on its node while it was fetched"
					   : "the node has gone: what came is not all of it");
	return endpoint_send(c, "{\"type\":\"end\"}\n", sizeof("{\"type\":\"end\"}\n") - 1);
}

int endpoint_fetch(struct endpoint_client *c, const json_t *request,
		   const struct endpoint_peer *peer)
{
	const struct fetch_wish w = {.id = json_integer_value(json_object_get(request, "id")),
				     .actor = peer->name};
	struct fetch_refusal why;
	struct fetch_of of;
	struct fetch *f;
	int r;

	if (peer->uid && peer->uid != geteuid())
		return refuse(
			c, "permission",
			"packets are for root and the collector's user; others take a token with "
			"capture.read");
	if (c->e->cfg.fetch(c->e->cfg.arg, &w, &f, &of, &why))
		return refuse(c, why.code, why.text);
	r = answer(c, f, &of);
	fetch_close(f);
	return r;
}
