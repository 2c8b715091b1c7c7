/* SPDX-License-Identifier: Apache-2.0 */
/*
 * conn.h - a connection to a collector: UDP, TCP or TLS, never blocking. Sink thread; conn_open()
 * before the sandbox.
 */
#ifndef WEIR_LOADER_EXPORT_CONN_H
#define WEIR_LOADER_EXPORT_CONN_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include "loader/export/sink.h"

#define CONN_ADDRESSES 8u

struct tls;

enum conn_phase { CONN_DOWN, CONN_CONNECTING, CONN_HANDSHAKE, CONN_UP };

struct conn {
	enum export_type type;
	enum conn_phase state;
	int fd;
	struct sockaddr_in6 addr[CONN_ADDRESSES]; /* IPv4 ones too, as sockaddr_in */
	unsigned int n_addr, at;
	uint64_t retry_ns;   /* monotonic: when to try again */
	uint64_t since_ns;   /* monotonic: of this state */
	uint64_t backoff_ns; /* what the next failure waits */
	uint64_t last_ns;    /* monotonic: until then a last try may go on; 0 = none yet */
	unsigned int tries;  /* left of the last ones */
	uint64_t written;    /* octets of the stream given to the kernel */
	bool want_read;	     /* TLS: writing waits for reading */
	struct tls *tls;
	char error[96]; /* of the last failure */
};

/**
 * conn_open - resolve the name, read certificates; UDP: make the socket
 *
 * Return: 0, or -errno with @reterr.
 */
int conn_open(struct conn *c, const struct export_cfg *cfg, char *reterr);
void conn_close(struct conn *c);

/**
 * conn_work - go on with connecting
 *
 * Return: 1: now up (told once), 0: as before, -errno: failed, c->error says how; it is tried again
 *         at c->retry_ns.
 */
int conn_work(struct conn *c, uint64_t now_ns);

/**
 * conn_last_try - before conn_work(), when the end is near: each address is tried once more, at once
 *
 * Return: true: that was of no use, or took more than two seconds.
 */
bool conn_last_try(struct conn *c, uint64_t now_ns);

/* The other side has stored what it was given: should this connection break, the first wait is short. */
void conn_proved(struct conn *c);

/* The connection broke, or the other side ended it: wait, with jitter, and connect again. */
void conn_down(struct conn *c, uint64_t now_ns, const char *why, int err);

/* Stream only. Return: octets taken, or -EAGAIN, or -errno. */
ssize_t conn_write(struct conn *c, const void *p, size_t len);

/* Stream only. Return: octets, 0: the other side has ended it, -EAGAIN, -errno. */
ssize_t conn_read(struct conn *c, void *p, size_t len);

/* Octets of c->written that the other side's kernel has confirmed. */
uint64_t conn_confirmed(const struct conn *c);

/* Octets of the stream so far, TLS's own included. */
uint64_t conn_offset(const struct conn *c);

/* poll() events to wait for in this state; @more: there is something to write. */
short conn_events(const struct conn *c, bool more);

/* Largest message that fits the path without being cut up, as far as the kernel knows; UDP. */
uint32_t conn_message_max(const struct conn *c);

/* ---- tls.c ---- */

int tls_new(const struct export_cfg *cfg, struct tls **ret, char *reterr);
void tls_free(struct tls *t);
int tls_start(struct tls *t, int fd);
/* Return: 0 done, -EAGAIN with *want_read, -EPROTO with a reason in @why. */
int tls_handshake(struct tls *t, bool *want_read, char *why, size_t cap);
ssize_t tls_write(struct tls *t, const void *p, size_t len, bool *want_read);
ssize_t tls_read(struct tls *t, void *p, size_t len);
uint64_t tls_octets(const struct tls *t); /* given to the kernel on this connection */
void tls_end(struct tls *t, bool clean);

#endif
