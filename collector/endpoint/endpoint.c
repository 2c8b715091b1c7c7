// SPDX-License-Identifier: Apache-2.0
#include "collector/endpoint/endpoint.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include "collector/endpoint/endpoint_int.h"

#define SEND_S 60 /* a client that takes nothing for so long is let go */

static bool is_http(const struct endpoint *e, int listening)
{
	return listening == e->cfg.http;
}

/* ---- clients ---- */

static void client_gone(struct endpoint_client *c)
{
	struct endpoint *e = c->e;

	pthread_mutex_lock(&e->lock);
	for (struct endpoint_client **p = &e->clients; *p; p = &(*p)->next)
		if (*p == c) {
			*p = c->next;
			break;
		}
	e->n_clients--;
	close(c->fd);
	pthread_mutex_destroy(&c->write_lock);
	free(c);
	pthread_cond_signal(&e->all_gone);
	pthread_mutex_unlock(&e->lock);
}

static void *client_thread(void *arg)
{
	struct endpoint_client *c = arg;

	if (c->http)
		endpoint_http(c);
	else
		endpoint_serve(c);
	client_gone(c);
	return NULL;
}

static void refuse(struct endpoint *e, int fd, bool http)
{
	static const char busy[] = "{\"type\":\"error\",\"code\":\"busy\",\"message\":\"too many "
				   "clients; see query.max\"}\n";

	__atomic_fetch_add(&e->stats.refused, 1, __ATOMIC_RELAXED);
	/* Whether it hears that does not matter. */
	if (!http)
		(void)!send(fd, busy, sizeof(busy) - 1, MSG_DONTWAIT | MSG_NOSIGNAL);
	close(fd);
}

static void start_client(struct endpoint *e, int fd, bool http)
{
	struct endpoint_client *c = calloc(1, sizeof(*c));
	const struct timeval patience = {.tv_sec = SEND_S};
	pthread_attr_t attr;
	pthread_t thread;
	int r;

	if (!c) {
		close(fd);
		return;
	}
	*c = (struct endpoint_client){.e = e, .fd = fd, .http = http};
	pthread_mutex_init(&c->write_lock, NULL);
	/* Without it a client could keep its thread for ever: no harm but to itself. */
	(void)setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof(patience));
	pthread_mutex_lock(&e->lock);
	c->next = e->clients;
	e->clients = c;
	e->n_clients++;
	pthread_mutex_unlock(&e->lock);
	pthread_attr_init(&attr);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	r = pthread_create(&thread, &attr, client_thread, c);
	pthread_attr_destroy(&attr);
	if (r)
		client_gone(c);
}

static void accept_client(struct endpoint *e, int listening)
{
	const bool http = is_http(e, listening);
	const int fd = accept4(listening, NULL, NULL, SOCK_CLOEXEC);
	bool full;

	if (fd < 0)
		return;
	pthread_mutex_lock(&e->lock);
	full = e->n_clients >= e->cfg.clients;
	pthread_mutex_unlock(&e->lock);
	if (full)
		refuse(e, fd, http);
	else
		start_client(e, fd, http);
}

static void *accepting(void *arg)
{
	struct endpoint *e = arg;
	struct pollfd p[3] = {{.fd = e->wake, .events = POLLIN},
			      {.fd = e->cfg.socket, .events = POLLIN},
			      {.fd = e->cfg.http, .events = POLLIN}};

	for (;;) {
		if (poll(p, 3, -1) < 0 && errno != EINTR)
			break;
		if (p[0].revents)
			break;
		for (int i = 1; i < 3; i++)
			if (p[i].revents & POLLIN)
				accept_client(e, p[i].fd);
	}
	return NULL;
}

/* ---- life ---- */

int endpoint_start(const struct endpoint_cfg *cfg, struct endpoint **ret)
{
	struct endpoint *e = calloc(1, sizeof(*e));

	if (!e)
		return -ENOMEM;
	e->cfg = *cfg;
	e->cfg.dir = e->dir = strdup(cfg->dir); /* settings go with a reload */
	e->timeout_ms = cfg->timeout_ms;
	e->wake = eventfd(0, EFD_CLOEXEC);
	pthread_mutex_init(&e->lock, NULL);
	pthread_cond_init(&e->all_gone, NULL);
	if (!e->dir || e->wake < 0 || pthread_create(&e->thread, NULL, accepting, e)) {
		if (e->wake >= 0)
			close(e->wake);
		free(e->dir);
		free(e);
		return -EAGAIN;
	}
	*ret = e;
	return 0;
}

void endpoint_stop(struct endpoint *e)
{
	const uint64_t one = 1;

	if (!e)
		return;
	if (write(e->wake, &one, sizeof(one)) != sizeof(one))
		abort(); /* an eventfd at 0 takes a 1 */
	pthread_join(e->thread, NULL);
	pthread_mutex_lock(&e->lock);
	for (const struct endpoint_client *c = e->clients; c; c = c->next)
		shutdown(c->fd, SHUT_RDWR);
	while (e->n_clients)
		pthread_cond_wait(&e->all_gone, &e->lock);
	pthread_mutex_unlock(&e->lock);
	if (e->cfg.socket >= 0)
		close(e->cfg.socket);
	if (e->cfg.http >= 0)
		close(e->cfg.http);
	close(e->wake);
	pthread_cond_destroy(&e->all_gone);
	pthread_mutex_destroy(&e->lock);
	free(e->dir);
	free(e);
}

void endpoint_set_timeout(struct endpoint *e, uint32_t timeout_ms)
{
	__atomic_store_n(&e->timeout_ms, timeout_ms, __ATOMIC_RELAXED);
}

void endpoint_stats(struct endpoint *e, struct endpoint_stats *ret)
{
	const struct endpoint_stats *s = &e->stats;

	/* first: what runs no more is in the others */
	const uint64_t running = __atomic_load_n(&s->running, __ATOMIC_ACQUIRE);

	*ret = (struct endpoint_stats){
		.queries = __atomic_load_n(&s->queries, __ATOMIC_RELAXED),
		.failed = __atomic_load_n(&s->failed, __ATOMIC_RELAXED),
		.cancelled = __atomic_load_n(&s->cancelled, __ATOMIC_RELAXED),
		.refused = __atomic_load_n(&s->refused, __ATOMIC_RELAXED),
		.query_us = __atomic_load_n(&s->query_us, __ATOMIC_RELAXED),
		.running = running,
	};
}
