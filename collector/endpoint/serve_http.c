// SPDX-License-Identifier: Apache-2.0
/*
 * serve_http.c - one scrape of the metrics: GET /metrics, an answer, the end.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/time.h>

#include "collector/endpoint/endpoint_int.h"

#define HEAD_MAX   4096u
#define PATIENCE_S 5

/* Until the empty line. Return: octets, or 0: it never came. */
static size_t read_head(int fd, char *buf)
{
	const struct timeval patience = {.tv_sec = PATIENCE_S};
	size_t len = 0;

	if (setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience)))
		return 0;
	while (len < HEAD_MAX) {
		const ssize_t n = recv(fd, buf + len, HEAD_MAX - len, 0);

		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return 0;
		len += (size_t)n;
		if (memmem(buf, len, "\r\n\r\n", 4))
			return len;
	}
	return 0;
}

static void answer(struct endpoint_client *c, const char *status, const char *body, size_t len)
{
	char head[256];
	const int n = snprintf(head, sizeof(head),
			       "HTTP/1.1 %s\r\nContent-Type: text/plain; version=0.0.4\r\n"
			       "Content-Length: %zu\r\nConnection: close\r\n\r\n",
			       status, len);

	if (!endpoint_send(c, head, (size_t)n))
		(void)endpoint_send(c, body, len); /* who is gone needs no answer */
	shutdown(c->fd, SHUT_WR);
}

void endpoint_http(struct endpoint_client *c)
{
	static const char missing[] = "there is /metrics\n", other[] = "GET only\n",
			  failed[] = "out of memory\n";
	char head[HEAD_MAX], *text;
	const size_t n = read_head(c->fd, head);
	size_t len;

	if (!n)
		return;
	if (n < 4 || memcmp(head, "GET ", 4) != 0) {
		answer(c, "405 Method Not Allowed", other, sizeof(other) - 1);
		return;
	}
	if (n < 13 || memcmp(head + 4, "/metrics", 8) != 0 || !strchr(" ?", head[12])) {
		answer(c, "404 Not Found", missing, sizeof(missing) - 1);
		return;
	}
	text = c->e->cfg.metrics(c->e->cfg.arg, &len);
	if (text)
		answer(c, "200 OK", text, len);
	else
		answer(c, "503 Service Unavailable", failed, sizeof(failed) - 1);
	free(text);
}
