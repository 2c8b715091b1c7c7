/* SPDX-License-Identifier: Apache-2.0 */
/*
 * name_build.h - hellos, QUIC packets, DTLS records and ring events for the tests of loader/name.
 *
 * Written apart from what it tests: keys come from libcrypto's own HKDF, salts are typed again.
 */
#ifndef WEIR_TESTS_NAME_BUILD_H
#define WEIR_TESTS_NAME_BUILD_H

#include <stddef.h>
#include <stdint.h>
#include "weir/abi.h"

#define BUILD_MAX 20000u

struct build_bytes {
	size_t len;
	uint8_t b[BUILD_MAX];
};

void build_u8(struct build_bytes *o, unsigned int v);
void build_be(struct build_bytes *o, uint64_t v, unsigned int bytes);
void build_raw(struct build_bytes *o, const void *p, size_t n);
void build_hex(struct build_bytes *o, const char *hex);

/* ClientHello with its 4-byte header. */
struct build_hello {
	const char *sni;      /* NULL: no extension */
	const char *alpn;     /* "h3,h2"; NULL: none */
	uint16_t legacy;      /* client_version; 0 = 0x0303 */
	uint16_t versions[3]; /* supported_versions; first 0: no extension */
	size_t length;	      /* of the whole message, reached with a padding extension */
	uint8_t sni_last;     /* behind the padding */
	uint8_t ech;
	uint8_t dtls;	/* with the cookie field; no header */
	uint8_t cookie; /* its length */
};

void build_client_hello(struct build_bytes *o, const struct build_hello *h);

/* ServerHello with its header; @version of supported_versions, 0 = legacy 0x0303 alone. */
void build_server_hello(struct build_bytes *o, unsigned int version, int dtls);

/* A protected Initial packet. */
struct build_initial {
	uint32_t version;
	const char *odcid; /* keys come from this, as text of its bytes */
	const char *dcid;  /* NULL: odcid */
	uint64_t pn;
	unsigned int pn_len; /* 0 = 4 */
	unsigned int token;  /* length */
	size_t pad_to;	     /* length of the packet, by PADDING frames in front */
	uint8_t server;
};

void build_initial(struct build_bytes *o, const struct build_initial *b,
		   const struct build_bytes *frames);

/* The key schedule alone; the other end of quic_keys_derive(). */
struct build_keys {
	uint8_t key[16];
	uint8_t iv[12];
	uint8_t hp[16];
};

void build_keys(uint32_t version, const void *dcid, size_t dcid_len, int server,
		struct build_keys *ret);

/* Seal @payload under @header (packet number included, @pn_len bytes of it) with @keys. */
struct build_seal {
	const struct build_keys *keys;
	const struct build_bytes *header;
	uint64_t pn;
	unsigned int pn_len;
};

void build_seal(struct build_bytes *o, const struct build_seal *s,
		const struct build_bytes *payload);

void build_crypto_frame(struct build_bytes *o, const struct build_bytes *stream, size_t off,
			size_t len);

/* One DTLS record with one handshake fragment: bytes [off, off + len) of the message body. */
struct build_dtls {
	uint16_t version; /* of the record */
	uint16_t seq;
	uint8_t type;
	uint16_t epoch;
	const struct build_bytes *body;
	size_t off;
	size_t len;
};

void build_dtls_record(struct build_bytes *o, const struct build_dtls *d);

/* A QUIC-crypto CHLO with one tag before and one behind SNI. */
void build_chlo(struct build_bytes *o, const char *sni, size_t pad);

/* An event of flow number @flow; data as much as fits. */
void build_event(struct ev_payload *ev, unsigned int kind, unsigned int flow, unsigned int dir);
void build_event_data(struct ev_payload *ev, uint32_t offset, const void *data, size_t len);

#endif
