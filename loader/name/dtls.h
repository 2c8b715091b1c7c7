/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtls.h - the ClientHello and ServerHello of a DTLS association, out of its datagrams.
 *
 * DTLS 1.0, 1.2, 1.3, and OpenSSL's 0x0100. Fragments are assembled by message_seq and
 * fragment_offset. A finished hello is turned into the TLS form, so that one parser reads them
 * all; what it says is not read here. Drain thread only.
 */
#ifndef WEIR_LOADER_NAME_DTLS_H
#define WEIR_LOADER_NAME_DTLS_H

#include <stddef.h>
#include <stdint.h>
#include "loader/name/stream.h"

#define DTLS_MESSAGES 2u /* of a direction: the hello without and the one with a cookie */

enum dtls_found_bits {
	DTLS_CLIENT_HELLO = 1,
	DTLS_SERVER_HELLO = 2,
};

struct dtls_message {
	uint32_t len; /* of the body */
	uint16_t seq;
	uint8_t type;
	uint8_t pad;
	struct stream body;
};

/* State of one flow. Zeroed = empty. */
struct dtls_flow {
	struct dtls_message *msg[2][DTLS_MESSAGES]; /* by direction */
	uint8_t found;				    /* enum dtls_found_bits seen */
	uint8_t reason;				    /* enum no_name, as far as known */
	uint8_t seen;				    /* a DTLS record was there */
	uint8_t pad[5];
};

struct dtls_stats {
	uint64_t pieces_dropped;
	uint64_t out_of_memory;
	uint64_t conflicts;
};

/* One per drain thread. */
struct dtls {
	struct name_pool *pool;
	struct dtls_stats stats;
	uint8_t tls[2][STREAM_MAX + 4]; /* hellos in TLS form: client, server */
};

struct dtls_datagram {
	const uint8_t *data;
	uint32_t len;
	uint32_t wire_len; /* more than len: captured short */
	uint8_t dir;
};

/* In TLS form; valid until the next call. */
struct dtls_found {
	struct handshake hello;
	struct handshake server;
	uint8_t conflict; /* pieces of .hello contradicted each other */
};

/* Does the payload start with a DTLS record of epoch 0 or later? */
int dtls_detect(const uint8_t *data, size_t len);

/**
 * dtls_feed - take one UDP payload of a flow
 *
 * Return:  enum dtls_found_bits of what is complete now (each once), 0, or -EPROTO (not DTLS).
 *          f->reason is kept up to date.
 * Source:  RFC 6347 sections 4.1, 4.2; RFC 9147 sections 4, 5.
 */
int dtls_feed(struct dtls *d, struct dtls_flow *f, const struct dtls_datagram *dg,
	      struct dtls_found *ret);

/* Best that is there of an unfinished ClientHello, in TLS form; len 0 if nothing. */
void dtls_partial(struct dtls *d, const struct dtls_flow *f, struct handshake *ret);

/* The DTLS version, as on the wire, that is TLS version @tls; 0 if there's none. */
uint16_t dtls_version(uint16_t tls);

void dtls_flow_done(struct dtls *d, struct dtls_flow *f);

#endif
