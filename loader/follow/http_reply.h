/* SPDX-License-Identifier: Apache-2.0 */
/*
 * http_reply.h - an answer of HTTP/1.1 as it comes in pieces: status, Date, a body whose length is said
 * before it. Nothing else is taken: no chunks, no answers without a length. Pure; one thread.
 * Source: RFC 9112.
 */
#ifndef WEIR_LOADER_FOLLOW_HTTP_REPLY_H
#define WEIR_LOADER_FOLLOW_HTTP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HTTP_REPLY_HEAD 8192u

struct http_reply {
	int status;
	int64_t date_s; /* since 1970; 0: it has none */
	bool close;	/* the other side will */
	uint8_t *body;	/* @length octets and a 0 */
	size_t length, have;
	size_t head_len;
	bool in_body;
	char head[HTTP_REPLY_HEAD + 1];
};

/* For the next answer; frees the body. */
void http_reply_init(struct http_reply *r);

/**
 * http_reply_feed - more of it
 * @max:      octets of the body, at most
 * @ret_used: of the @len octets; the rest is of no use to this answer
 *
 * Return: 1 it is complete, 0 more is wanted, -EBADMSG, -E2BIG, -ENOMEM.
 */
int http_reply_feed(struct http_reply *r, const uint8_t *bytes, size_t len, size_t max,
		    size_t *ret_used);

#endif
