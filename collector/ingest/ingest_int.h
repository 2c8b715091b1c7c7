/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ingest_int.h - what the receiving threads share.
 */
#ifndef WEIR_COLLECTOR_INGEST_INT_H
#define WEIR_COLLECTOR_INGEST_INT_H

#include <pthread.h>
#include "collector/ingest/decoder.h"
#include "collector/ingest/ingest.h"

#define UDP_THREADS_MAX 8u
#define STATE_EVERY_US	2000000 /* templates are handed over for saving at most this often */

/* Counts of a listener; each field has one writer, all are atomic. */
struct listener {
	struct ingest_listener cfg;
	int fd[UDP_THREADS_MAX]; /* UDP: one per thread; streams: the first */
	uint16_t port;
	uint64_t datagrams[UDP_THREADS_MAX];
	uint64_t octets[UDP_THREADS_MAX];
	uint64_t drops[UDP_THREADS_MAX]; /* see udp_drops() */
	uint64_t connections;
	uint64_t refused;
	uint64_t files;
	uint32_t open;
	uint32_t rcvbuf;
	struct stream_tls *tls;
};

/* Templates on their way to the file: swapped atomically, freed by who takes them out. */
struct saved {
	size_t len;
	uint8_t p[];
};

struct udp_worker;
struct stream_worker;
struct watcher;

struct ingest {
	struct ingest_cfg cfg;
	struct listener *l;
	struct exporters *exporters;
	uint32_t threads; /* UDP */
	struct udp_worker *udp[UDP_THREADS_MAX];
	struct stream_worker *stream;
	struct watcher *watcher;
	struct saved *saved[UDP_THREADS_MAX];
	uint64_t strays[UDP_THREADS_MAX + 2][_IC_MAX]; /* written by their threads; atomic */
	char *state;
};

static inline void add_atomic(uint64_t *to, uint64_t n)
{
	__atomic_store_n(to, *to + n, __ATOMIC_RELAXED); /* one writer */
}

static inline uint64_t read_atomic(const uint64_t *v)
{
	return __atomic_load_n(v, __ATOMIC_RELAXED);
}

/* Settings of a decoder for receiving thread. */
struct decoder_cfg decoder_cfg_of(const struct ingest *g, bool wait);

/* Microseconds since 1970. */
int64_t ingest_now_us(void);

/* An address as 16 octets. */
void source_of(const struct sockaddr_storage *a, struct source *ret);
int socket_error(char *error, const struct ingest_listener *l, const char *what, int e);

/* Show a decoder's counts of strays. */
void publish_strays(struct ingest *g, uint32_t row, const struct decoder *d);

/* Sockets of a listener; UDP: as many as threads, in the order of threads. Return: 0 or -errno. */
int udp_open(struct ingest *g, struct listener *l, char *error);
int stream_open(struct ingest *g, struct listener *l, char *error);

/* Datagrams that socket @i of a listener had no room for, up to now. Any thread. */
uint64_t udp_drops(const struct listener *l, uint32_t i);

/* Threads. @loaded: templates of before, may be NULL. */
int udp_new(struct ingest *g, uint32_t i, const struct saved *loaded);
int udp_start(struct udp_worker *w);
struct udp_worker *udp_free(struct udp_worker *w); /* stops; returns NULL */

int stream_new(struct ingest *g);
int stream_start(struct stream_worker *w);
void stream_wake(struct stream_worker *w); /* something was committed */
void stream_stop(struct stream_worker *w); /* the store may still wake it */
struct stream_worker *stream_free(struct stream_worker *w);

int watcher_new(struct ingest *g, char *error);
int watcher_start(struct watcher *w);
struct watcher *watcher_free(struct watcher *w);

/* The file of templates. Return: NULL: there is none, or it can't be read (ret_error). */
struct saved *saved_read(const char *path, int *ret_error);
int saved_write(const char *path, struct saved *const *parts, uint32_t n);

/* ---- TLS ---- */

struct stream_tls;

int stream_tls_new(const struct ingest_listener *l, char *error, struct stream_tls **ret);
struct stream_tls *stream_tls_free(struct stream_tls *t);

/* A connection's. NULL: no memory. */
void *stream_tls_accept(struct stream_tls *t, int fd);
void stream_tls_close(void *ssl);

/* Return: octets; 0: the other side has closed; -EAGAIN: @ret_write: when it can be written, else read;
 * or -EPROTO.
 */
ssize_t stream_tls_read(void *ssl, void *to, size_t room, bool *ret_write);
ssize_t stream_tls_write(void *ssl, const void *from, size_t len, bool *ret_write);

#endif
