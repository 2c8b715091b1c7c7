/* SPDX-License-Identifier: Apache-2.0 */
/*
 * quic_crypto.h - keys of QUIC Initial packets, and opening them.
 *
 * Initial packets are protected with keys that anyone on the path can derive from the version's
 * salt and the client's first Destination Connection ID (RFC 9001 section 5.2). libcrypto contexts
 * are made once; per packet nothing is fetched or allocated. Drain thread only.
 */
#ifndef WEIR_LOADER_NAME_QUIC_CRYPTO_H
#define WEIR_LOADER_NAME_QUIC_CRYPTO_H

#include <stddef.h>
#include <stdint.h>

#define QUIC_SECRET_LEN 32u
#define QUIC_TAG_LEN	16u
#define QUIC_CID_MAX	20u /* RFC 9000 section 17.2 */

struct quic_crypto;

struct quic_cid {
	uint8_t len;
	uint8_t b[QUIC_CID_MAX];
};

enum quic_side { QUIC_CLIENT, QUIC_SERVER };

struct quic_keys {
	uint8_t key[16];
	uint8_t iv[12];
	uint8_t hp[16];
};

/* What differs between versions that share the Initial's layout. */
struct quic_version {
	uint32_t first; /* version numbers [first, last] */
	uint32_t last;
	uint8_t salt[20];
	uint8_t v2;	      /* RFC 9369: other labels, other packet types */
	uint8_t gquic_frames; /* gQUIC frame types inside (CRYPTO is 8) */
	uint8_t chlo;	      /* the handshake is QUIC crypto (CHLO), not TLS */
};

/* Facts of a version; NULL when its keys are not known. */
const struct quic_version *quic_version_find(uint32_t version);

/* Return: 0, -ENOMEM or -EIO (libcrypto lacks an algorithm). */
int quic_crypto_new(struct quic_crypto **ret);
void quic_crypto_free(struct quic_crypto *c);

/**
 * quic_keys_derive - keys of one side's Initial packets
 * @dcid: Destination Connection ID of the client's first Initial (after Retry: the new one)
 *
 * Return:  0 or -EIO.
 * Source:  RFC 9001 section 5.2, RFC 9369 section 3.3, RFC 5869.
 */
int quic_keys_derive(struct quic_crypto *c, const struct quic_version *v,
		     const struct quic_cid *dcid, enum quic_side side, struct quic_keys *ret);

/* One protected packet; all of it is there. */
struct quic_sealed {
	const uint8_t *data;
	size_t len;	      /* header, packet number, payload, tag */
	size_t pn_off;	      /* where the packet number starts */
	uint64_t expected_pn; /* highest seen + 1 */
};

struct quic_opened {
	uint64_t pn;
	const uint8_t *payload; /* into the caller's buffer */
	size_t len;
};

/**
 * quic_open - remove header protection and decrypt
 * @out: at least @p->len bytes: header and payload in the clear
 *
 * Return:  0, -EBADMSG (does not authenticate, or too short to).
 * Source:  RFC 9001 sections 5.3 and 5.4, RFC 9000 appendix A.3.
 */
int quic_open(struct quic_crypto *c, const struct quic_keys *k, const struct quic_sealed *p,
	      uint8_t *out, struct quic_opened *ret);

#endif
