// SPDX-License-Identifier: Apache-2.0
/*
 * eve_sockets.c - the sockets that Suricata writes to: `filetype: unix_stream`, lines; `unix_dgram`, a line in
 * each datagram.
 */
#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "collector/eve/eve_int.h"
#include "collector/eve/eve_line.h"
#include "common/listen.h"

#define DATAGRAMS_AT_ONCE 1024u /* before files have their turn */

static int open_socket(struct eve *e, struct eve_source *s)
{
	const struct listen_local local = {
		.path = s->name,
		.group = e->cfg.group,
		.mode = e->cfg.mode,
		.datagrams = s->kind == EVE_DATAGRAM,
		.option = s->kind == EVE_DATAGRAM ? "eve.datagram" : "eve.stream",
	};

	return s->kind == EVE_FILE ? 0 : listen_local(&local, &s->fd);
}

int eve_sockets_open(struct eve *e)
{
	int r = 0;

	e->datagram = malloc(EVE_LINE_MAX + 2);
	if (!e->datagram)
		return -ENOMEM;
	for (uint32_t i = 0; i < e->n && !r; i++)
		r = open_socket(e, &e->sources[i]);
	return r;
}

static void conn_end(struct eve_conn *c)
{
	const struct eve_sink to = {eve_take_line, c->source};

	if (c->fd < 0)
		return;
	eve_lines_end(&c->lines, &to);
	eve_lines_done(&c->lines);
	close(c->fd);
	c->fd = -EBADF;
}

void eve_sockets_close(struct eve *e)
{
	for (uint32_t i = 0; i < EVE_CONNS; i++)
		conn_end(&e->conns[i]);
	for (uint32_t i = 0; i < e->n; i++) {
		if (e->sources[i].fd < 0)
			continue;
		close(e->sources[i].fd);
		unlink(e->sources[i].name);
	}
	free(e->datagram);
}

static void take_connection(struct eve *e, struct eve_source *s)
{
	const int fd = accept4(s->fd, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK);
	struct eve_conn *c = e->conns;

	if (fd < 0)
		return;
	while (c < e->conns + EVE_CONNS && c->fd >= 0)
		c++;
	if (c == e->conns + EVE_CONNS || eve_lines_init(&c->lines)) {
		close(fd); /* Suricata says so, and tries again */
		return;
	}
	c->fd = fd;
	c->source = s;
}

static void take_datagrams(struct eve *e, struct eve_source *s)
{
	for (unsigned int i = 0; i < DATAGRAMS_AT_ONCE; i++) {
		ssize_t n = recv(s->fd, e->datagram, EVE_LINE_MAX + 2, 0);

		if (n <= 0)
			return;
		if (e->datagram[n - 1] == '\n')
			n--;
		eve_take_line(s, n > (ssize_t)EVE_LINE_MAX ? NULL : e->datagram, (size_t)n);
	}
}

static void take_stream(struct eve_conn *c)
{
	const struct eve_sink to = {eve_take_line, c->source};
	size_t room;
	char *p = eve_lines_room(&c->lines, &room);
	const ssize_t n = read(c->fd, p, room);

	if (n > 0)
		eve_lines_took(&c->lines, (size_t)n, &to);
	else if (!n || (errno != EAGAIN && errno != EINTR))
		conn_end(c);
}

bool eve_sockets_wait(struct eve *e, int timeout_ms)
{
	struct pollfd fds[1 + 2 + EVE_CONNS] = {{e->stop, POLLIN, 0}};
	struct eve_source *sources[3] = {};
	nfds_t n = 1;

	for (uint32_t i = 0; i < e->n; i++) {
		if (e->sources[i].kind == EVE_FILE)
			continue;
		sources[n] = &e->sources[i];
		fds[n++] = (struct pollfd){e->sources[i].fd, POLLIN, 0};
	}
	for (uint32_t i = 0; i < EVE_CONNS; i++) /* negative ones are passed over */
		fds[n + i] = (struct pollfd){e->conns[i].fd, POLLIN, 0};
	(void)poll(fds, n + EVE_CONNS, timeout_ms); /* interrupted: nothing has come */
	if (fds[0].revents)
		return false;
	for (uint32_t i = 0; i < EVE_CONNS; i++)
		if (fds[n + i].revents)
			take_stream(&e->conns[i]);
	for (nfds_t i = 1; i < n; i++) {
		if (!fds[i].revents)
			continue;
		if (sources[i]->kind == EVE_STREAM)
			take_connection(e, sources[i]);
		else
			take_datagrams(e, sources[i]);
	}
	return true;
}
