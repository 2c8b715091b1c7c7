/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_packet.h - long headers of QUIC packets: where one ends, and what its header says.
 *
 * Pure: no state, no cryptography. Nothing of it is protected but the packet number.
 */
#ifndef WEIR_LOADER_NAME_QUIC_PACKET_H
#define WEIR_LOADER_NAME_QUIC_PACKET_H

#include <stddef.h>
#include <stdint.h>
#include "loader/name/quic_crypto.h"

#define QUIC_LONG_HEADER 0x80u

enum quic_type { QT_INITIAL, QT_0RTT, QT_HANDSHAKE, QT_RETRY };

struct quic_packet {
	const struct quic_version *v; /* NULL: keys unknown */
	uint32_t version;
	uint8_t type; /* enum quic_type */
	uint8_t dir;
	uint8_t dcid_len;
	const uint8_t *dcid;
	const uint8_t *data;
	uint32_t pn_off;
	uint64_t token_len;   /* of an Initial */
	uint32_t len;	      /* of the packet; the datagram may hold more */
	struct quic_opened o; /* once it is decrypted */
};

/* What is left of a datagram, or of a packet's payload. */
struct quic_cur {
	const uint8_t *p;
	size_t left;
};

/* Variable-length integer (RFC 9000 section 16). Return: 0 or -EPROTO. */
int quic_get_varint(struct quic_cur *c, uint64_t *ret);

/* Return: 0, or -EPROTO when there's less than @n left. */
int quic_skip(struct quic_cur *c, uint64_t n);

/**
 * quic_parse_packet - header of the packet at the cursor, which moves to the packet's end
 * @p: .dir is left alone; of an unknown version only .version and .dcid are set
 *
 * Return:  0, -EPROTO (no long header, or it contradicts itself), -ENODATA (the packet goes on
 *          behind the end of the datagram).
 * Source:  RFC 8999 section 5.1, RFC 9000 section 17.2, RFC 9369 section 3.2.
 */
int quic_parse_packet(struct quic_cur *c, struct quic_packet *p);

#endif
