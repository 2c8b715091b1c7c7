/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.h - bounded assembly of bytes that come in pieces with an offset.
 *
 * One primitive for TCP segments, QUIC CRYPTO frames and DTLS handshake fragments: any order,
 * duplicates, overlaps (the first bytes win, a difference is flagged). And the TLS record layer
 * over such a buffer. Memory comes out of a pool with a limit. Drain thread only.
 */
#ifndef WEIR_LOADER_NAME_STREAM_H
#define WEIR_LOADER_NAME_STREAM_H

#include <stddef.h>
#include <stdint.h>
#include "weir/abi.h"

#define STREAM_MAX    WEIR_L7_USER_MAX
#define STREAM_RANGES 64u /* disjoint pieces at one time */

/* What all state together may take. */
struct name_pool {
	uint64_t used;
	uint64_t limit;
};

struct stream_range {
	uint16_t start;
	uint16_t end;
};

/* Zeroed = empty. */
struct stream {
	uint8_t *buf;
	uint32_t cap;
	uint16_t nr;
	uint8_t conflict;			  /* a piece contradicted bytes that were there */
	uint8_t clipped;			  /* a piece reached beyond STREAM_MAX */
	struct stream_range range[STREAM_RANGES]; /* sorted, apart from each other */
};

/* Zeroed memory out of @pool; NULL when the limit or the system says no. */
void *pool_alloc(struct name_pool *pool, size_t size);
void pool_free(struct name_pool *pool, void *p, size_t size);

/**
 * stream_put - take a piece of @len bytes that belongs at @off
 *
 * What is beyond STREAM_MAX is left out.
 * Return:  0, -E2BIG (all of it is beyond STREAM_MAX), -ENOSPC (too scattered), -ENOMEM; on error
 *          nothing was taken.
 */
int stream_put(struct stream *s, struct name_pool *pool, uint32_t off, const uint8_t *data,
	       size_t len);

/* Bytes from offset 0 without a hole. */
size_t stream_ready(const struct stream *s);

/* Give the memory back; the stream is empty and usable afterwards. */
void stream_done(struct stream *s, struct name_pool *pool);

/* A handshake message, as the layers below it carried it. */
struct handshake {
	const uint8_t *msg; /* with its 4-byte header (RFC 8446 section 4) */
	uint32_t len;	    /* bytes of msg that are there */
	uint32_t need;	    /* length of the whole message, 0 = not known yet */
};

/**
 * handshake_view - the handshake message at the start of @buf
 *
 * For layers without records (QUIC CRYPTO). Points into @buf.
 * Return:  0; complete when ret->len == ret->need. -E2BIG when longer than STREAM_MAX.
 */
int handshake_view(const uint8_t *buf, size_t len, struct handshake *ret);

/**
 * tls_records_view - the first handshake message of a TLS byte stream
 * @buf, @len: from the first stream byte
 * @scratch:   STREAM_MAX bytes; used when the message spans records
 *
 * Return:  0 (complete or not, as above), -EPROTO not a TLS handshake record, -E2BIG.
 * Source:  RFC 8446 section 5.1, RFC 5246 section 6.2.1.
 */
int tls_records_view(const uint8_t *buf, size_t len, uint8_t *scratch, struct handshake *ret);

#endif
