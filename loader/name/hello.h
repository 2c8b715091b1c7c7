/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.h - messages that were assembled in userspace, read by the parsers that the packet path
 * uses too (bpf/l7.h). They want a buffer of fixed size: each call copies the message into one that
 * the caller owns.
 */
#ifndef WEIR_LOADER_NAME_HELLO_H
#define WEIR_LOADER_NAME_HELLO_H

#include "loader/name/name.h"
#include "loader/name/stream.h"

struct hello_buf {
	uint8_t b[STREAM_MAX + 8];
};

/**
 * hello_read_client - what a ClientHello says
 * @h:   whole, or its first part: then only the server name, if it is there, counts
 * @buf: scratch
 * @ret: zeroed by the caller
 *
 * Return:  enum no_name: NN_NONE with a name, NN_NO_SNI and NN_ENCRYPTED without, NN_INCOMPLETE
 *          when it ends before the name, NN_MALFORMED.
 * Source:  RFC 8446 section 4.1.2, RFC 6066 section 3, RFC 7301.
 */
int hello_read_client(const struct handshake *h, struct hello_buf *buf, struct name_tls *ret);

/* Negotiated version of a ServerHello, 0 when it can't be read (RFC 8446 section 4.2.1). */
uint16_t hello_read_server(const struct handshake *h, struct hello_buf *buf);

/**
 * hello_extensions - where a hello's list of extensions begins
 * @body, @len: message without its 4-byte header, or the first part of it
 * @server:     it is a ServerHello
 *
 * Return:  offset of the first extension, behind the length of all; @len when it isn't there.
 */
uint32_t hello_extensions(const uint8_t *body, uint32_t len, int server);

enum hello_http {
	HELLO_HTTP_NOT,	 /* no HTTP/1 request */
	HELLO_HTTP_MORE, /* the Host line is not there yet */
	HELLO_HTTP_OK,
	HELLO_HTTP_BAD,
	HELLO_HTTP_LONG, /* no Host line within STREAM_MAX */
};

/* A request whose head the kernel found too long (RFC 9112). @ret is zeroed by the caller. */
enum hello_http hello_read_http(const uint8_t *data, size_t len, struct hello_buf *buf,
				struct name_http *ret);

#endif
