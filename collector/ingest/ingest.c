// SPDX-License-Identifier: Apache-2.0
/*
 * ingest.c - listeners, threads and what they say of themselves; see ingest.h.
 */
#include "collector/ingest/ingest.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "collector/block.h"
#include "collector/ingest/ingest_int.h"

#define EXPORTERS_MAX 4096u

int64_t ingest_now_us(void)
{
	struct timespec t;

	clock_gettime(CLOCK_REALTIME, &t);
	return (int64_t)t.tv_sec * 1000000 + t.tv_nsec / 1000;
}

void source_of(const struct sockaddr_storage *a, struct source *ret)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)a;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)a;

	if (a->ss_family == AF_INET) {
		memcpy(ret->address, mapped, sizeof(mapped));
		memcpy(ret->address + 12, &v4->sin_addr, 4);
		ret->port = ntohs(v4->sin_port);
	} else {
		memcpy(ret->address, &v6->sin6_addr, 16);
		ret->port = ntohs(v6->sin6_port);
	}
}

int socket_error(char *error, const struct ingest_listener *l, const char *what, int e)
{
	static const char *const names[_INGEST_TRANSPORTS] = {"udp", "tcp", "tls", "dir"};
	const struct sockaddr_in *v4 = (const struct sockaddr_in *)&l->address;
	const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)&l->address;
	const bool is4 = l->address.ss_family == AF_INET;
	char text[INET6_ADDRSTRLEN] = "?";

	inet_ntop(l->address.ss_family, is4 ? (const void *)&v4->sin_addr : &v6->sin6_addr, text,
		  sizeof(text));
	snprintf(error, INGEST_ERROR, "%s %s port %u: %s: %s%s", names[l->transport], text,
		 ntohs(is4 ? v4->sin_port : v6->sin6_port), what, strerror(-e),
		 e == -EADDRINUSE ? "; is another collector running?" : "");
	return e;
}

struct decoder_cfg decoder_cfg_of(const struct ingest *g, bool wait)
{
	return (struct decoder_cfg){
		.exporters = g->exporters,
		.pool = g->cfg.pool,
		.ops = g->cfg.ops,
		.arg = g->cfg.arg,
		.own_pen = g->cfg.own_pen,
		.wait = wait,
		.batch = true,
	};
}

void publish_strays(struct ingest *g, uint32_t row, const struct decoder *d)
{
	const uint64_t *counts = decoder_counts(d);

	for (unsigned int i = 0; i < _IC_MAX; i++)
		__atomic_store_n(&g->strays[row][i], counts[i], __ATOMIC_RELAXED);
}

/* ---- opening ---- */

static int copy_listeners(struct ingest *g, const struct ingest_cfg *cfg)
{
	g->l = calloc(cfg->listeners_n ?: 1, sizeof(*g->l));
	if (!g->l)
		return -ENOMEM;
	for (uint32_t i = 0; i < cfg->listeners_n; i++) {
		g->l[i].cfg = cfg->listeners[i];
		for (unsigned int k = 0; k < UDP_THREADS_MAX; k++)
			g->l[i].fd[k] = -EBADF;
	}
	return 0;
}

static uint32_t threads_of(const struct ingest_cfg *cfg)
{
	const long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	const uint32_t n = cfg->threads ?: cpus > 0 ? (uint32_t)cpus : 1;

	return n < UDP_THREADS_MAX ? n : UDP_THREADS_MAX;
}

static int open_listeners(struct ingest *g, char *error)
{
	int r = 0;

	for (uint32_t i = 0; i < g->cfg.listeners_n && !r; i++) {
		struct listener *l = &g->l[i];

		if (l->cfg.transport == INGEST_UDP)
			r = udp_open(g, l, error);
		else if (l->cfg.transport != INGEST_DIR)
			r = stream_open(g, l, error);
	}
	return r;
}

static int take_overrides(struct ingest *g, const struct ingest_cfg *cfg)
{
	int r = 0;

	for (uint32_t i = 0; i < cfg->overrides_n && !r; i++)
		r = exporters_override(g->exporters, cfg->overrides[i].address,
				       cfg->overrides[i].name, cfg->overrides[i].sampling);
	return r;
}

static int make_workers(struct ingest *g, char *error)
{
	struct saved *loaded = NULL;
	int e = 0, r;

	if (g->state) {
		loaded = saved_read(g->state, &e);
		if (e) {
			snprintf(error, INGEST_ERROR, "%.180s: %s", g->state, strerror(-e));
			return e;
		}
	}
	r = stream_new(g);
	for (uint32_t i = 0; i < g->threads && !r; i++)
		r = udp_new(g, i, loaded);
	free(loaded);
	if (r)
		snprintf(error, INGEST_ERROR, "receiving threads: %s", strerror(-r));
	return r ?: watcher_new(g, error);
}

int ingest_new(const struct ingest_cfg *cfg, char *error, struct ingest **ret)
{
	struct ingest *g = calloc(1, sizeof(*g));
	int r;

	*error = 0;
	if (!g)
		return -ENOMEM;
	g->cfg = *cfg;
	g->threads = threads_of(cfg);
	g->exporters = exporters_new(cfg->ops, cfg->arg, cfg->exporters_max ?: EXPORTERS_MAX);
	g->state = cfg->state ? strdup(cfg->state) : NULL;
	r = !g->exporters || (cfg->state && !g->state) ? -ENOMEM : 0;
	r = r ?: take_overrides(g, cfg);
	r = r ?: copy_listeners(g, cfg);
	if (r && !*error)
		snprintf(error, INGEST_ERROR, "%s", strerror(-r));
	r = r ?: open_listeners(g, error);
	r = r ?: make_workers(g, error);
	if (r) {
		ingest_free(g);
		return r;
	}
	*ret = g;
	return 0;
}

uint16_t ingest_port(const struct ingest *g, uint32_t i)
{
	return g->l[i].port;
}

int ingest_start(struct ingest *g)
{
	int r = watcher_start(g->watcher);

	r = r ?: stream_start(g->stream);
	for (uint32_t i = 0; i < g->threads && !r; i++)
		r = udp_start(g->udp[i]);
	return r;
}

void ingest_stop(struct ingest *g)
{
	for (uint32_t i = 0; i < g->threads; i++)
		g->udp[i] = udp_free(g->udp[i]);
	stream_stop(g->stream);
	/* last: it writes what the others have handed over */
	g->watcher = watcher_free(g->watcher);
}

struct ingest *ingest_free(struct ingest *g)
{
	if (!g)
		return NULL;
	ingest_stop(g);
	stream_free(g->stream);
	for (uint32_t i = 0; g->l && i < g->cfg.listeners_n; i++) {
		for (unsigned int k = 0; k < UDP_THREADS_MAX; k++)
			if (g->l[i].fd[k] >= 0)
				close(g->l[i].fd[k]);
		stream_tls_free(g->l[i].tls);
	}
	for (unsigned int i = 0; i < UDP_THREADS_MAX; i++)
		free(g->saved[i]);
	exporters_free(g->exporters);
	free(g->state);
	free(g->l);
	free(g);
	return NULL;
}

void ingest_committed(struct ingest *g, uint32_t stream, uint64_t epoch, uint64_t to)
{
	if (exporters_committed(g->exporters, stream, epoch, to))
		stream_wake(g->stream);
}

/* ---- how it is ---- */

void ingest_listener_stats(const struct ingest *g, uint32_t i, struct ingest_listener_stats *ret)
{
	const struct listener *l = &g->l[i];

	*ret = (struct ingest_listener_stats){
		.rcvbuf = l->rcvbuf,
		.connections = read_atomic(&l->connections),
		.refused = read_atomic(&l->refused),
		.open = __atomic_load_n(&l->open, __ATOMIC_RELAXED),
		.files = read_atomic(&l->files),
	};
	for (unsigned int k = 0; k < UDP_THREADS_MAX; k++) {
		ret->datagrams += read_atomic(&l->datagrams[k]);
		ret->octets += read_atomic(&l->octets[k]);
		ret->kernel_drops += udp_drops(l, k);
	}
}

struct exporter *ingest_exporters(const struct ingest *g, const struct exporter *e)
{
	return exporters_next(g->exporters, e);
}

void ingest_exporter_name(const struct ingest *g, const struct exporter *e,
			  char ret[static EXPORTER_NAME])
{
	exporters_names(g->exporters, e, ret);
}

void ingest_strays(const struct ingest *g, uint64_t ret[static _IC_MAX])
{
	memset(ret, 0, _IC_MAX * sizeof(*ret));
	for (unsigned int row = 0; row < UDP_THREADS_MAX + 2; row++)
		for (unsigned int i = 0; i < _IC_MAX; i++)
			ret[i] += read_atomic(&g->strays[row][i]);
}
