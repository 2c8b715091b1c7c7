/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic.h - the ClientHello of a QUIC connection, out of the datagrams that carry it.
 *
 * Initial packets of v1, v2 and the drafts are decrypted and their CRYPTO frames assembled; of
 * Google's versions the CHLO. Nothing after the handshake's first two messages is looked at. What
 * the ClientHello says is not read here. Drain thread only.
 */
#ifndef WEIR_LOADER_NAME_QUIC_H
#define WEIR_LOADER_NAME_QUIC_H

#include <stddef.h>
#include <stdint.h>
#include "loader/name/quic_crypto.h"
#include "loader/name/stream.h"

#define QUIC_CONNS 3u /* first Destination Connection IDs kept of one flow: Retry makes a new one */
#define QUIC_STASH 4u /* packets kept that no key opened yet */

enum quic_found_bits {
	QUIC_CLIENT_HELLO = 1, /* .hello: TLS ClientHello */
	QUIC_SERVER_HELLO = 2, /* .server: TLS ServerHello */
	QUIC_CHLO = 4,	       /* .hello: CHLO of QUIC crypto, for gquic_chlo() */
};

/* Keys for one version, made when a side's first packet comes; a connection can change its version
 * once (RFC 9368 section 2.3).
 */
struct quic_keyset {
	uint32_t version; /* 0 = unused */
	uint8_t have[2];  /* by enum quic_side */
	uint8_t pad[2];
	struct quic_keys keys[2];
};

struct quic_conn {
	uint8_t used;
	uint8_t client_dir;
	struct quic_cid dcid;
	uint8_t pad;
	uint64_t next_pn[2]; /* by enum quic_side */
	struct quic_keyset set[2];
	struct stream *crypto[2];
};

struct quic_stash {
	uint8_t *data;
	uint16_t len;
	uint8_t dir;
};

/* State of one flow. Zeroed = empty. */
struct quic_flow {
	uint32_t version;   /* of the last long header that mattered */
	uint8_t reason;	    /* enum no_name, as far as known */
	uint8_t found;	    /* enum quic_found_bits seen */
	uint8_t client_dir; /* once found says that the client's hello is known */
	uint8_t next_conn;
	uint8_t next_stash;
	uint8_t retry; /* the server sent one */
	uint8_t pad[2];
	uint32_t chlo_base; /* gQUIC: where in its stream the CHLO starts */
	struct quic_conn conn[QUIC_CONNS];
	struct quic_stash stash[QUIC_STASH];
};

struct quic_stats {
	uint64_t initials;
	uint64_t decrypt_failed;
	uint64_t retries;
	uint64_t pieces_dropped;
	uint64_t out_of_memory;
	uint64_t conflicts;
};

/* One per drain thread. */
struct quic {
	struct quic_crypto *crypto;
	struct name_pool *pool;
	struct quic_stats stats;
	uint8_t clear[WEIR_DATAGRAM_MAX]; /* of the packet at hand */
};

struct quic_datagram {
	const uint8_t *data;
	uint32_t len;
	uint32_t wire_len; /* more than len: captured short */
	uint8_t dir;
};

/* Valid until the next call with the same flow. */
struct quic_found {
	struct handshake hello;
	struct handshake server;
	uint8_t conflict; /* pieces of .hello contradicted each other */
};

/**
 * quic_feed - take one UDP payload of a flow
 *
 * Return:  enum quic_found_bits of what is complete now (each once), 0, or -EPROTO (not QUIC).
 *          f->version and f->reason are kept up to date.
 * Source:  RFC 9000 sections 12.2, 17.2, 19; RFC 9001 section 5; RFC 9369.
 */
int quic_feed(struct quic *q, struct quic_flow *f, const struct quic_datagram *d,
	      struct quic_found *ret);

/* Best that is there of an unfinished ClientHello; len 0 if nothing. */
void quic_partial(const struct quic_flow *f, struct handshake *ret);

/* What quic_feed() returned of the client has been read: give the memory back. */
void quic_hello_done(struct quic *q, struct quic_flow *f);

void quic_flow_done(struct quic *q, struct quic_flow *f);

/* ---- gquic.c: Google's versions before Q050 ---- */

/* Does the payload start with the public header of Q024 ... Q046, version included? */
int gquic_detect(const uint8_t *data, size_t len);

/* A piece of the crypto stream. */
struct gquic_piece {
	uint32_t version;
	uint32_t offset;
	const uint8_t *data;
	uint32_t len;
};

/**
 * gquic_parse - the crypto stream's bytes in a packet of Q024 ... Q046
 *
 * Return:  0, -ENODATA (none in this packet), -ENOTSUP (version whose layout is not known),
 *          -EPROTO (contradicts itself).
 */
int gquic_parse(const uint8_t *data, size_t len, struct gquic_piece *ret);

/**
 * gquic_chlo - length of the message, and the server name, of a CHLO that starts at @buf
 * @ret_len: of the whole message, 0 while the index of tags isn't complete
 * @ret_sni: .data, .len; NULL when it has none, or it is not there yet
 *
 * Return:  0 or -EPROTO.
 */
int gquic_chlo(const uint8_t *buf, size_t len, uint32_t *ret_len, struct gquic_piece *ret_sni);

#endif
