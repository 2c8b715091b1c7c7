/* SPDX-License-Identifier: Apache-2.0 */
/*
 * https.h - a connection to a collector: TLS 1.3, one POST after another. The collector is known by its
 * authority, which a token or an earlier enrolment names; its certificate's dates are not looked at, so
 * that a node whose clock is wrong still hears of its policy. One thread for each.
 */
#ifndef WEIR_LOADER_FOLLOW_HTTPS_H
#define WEIR_LOADER_FOLLOW_HTTPS_H

#include <stdint.h>

#include "loader/follow/http_reply.h"

#define HTTPS_ERROR 240u

struct https;

struct https_cfg {
	const char *host, *port;
	const char *ca;		/* file of the authority; NULL: pin says */
	const uint8_t *pin;	/* SHA-256 of its certificate, 32 bytes */
	const char *cert, *key; /* files of ours; NULL: none */
};

/* "https://HOST[:PORT]", nothing behind it. Texts are @text's, which is changed. 0 or -EINVAL. */
int https_url(char *text, const char **ret_host, const char **ret_port);

/**
 * https_open - connect, and see that it is the collector
 * @ms:    how long it may take
 * @error: HTTPS_ERROR bytes
 *
 * Return: 0; -EACCES: it is somebody else; -errno; with @error.
 */
int https_open(const struct https_cfg *cfg, int ms, char *error, struct https **ret);
void https_close(struct https *h); /* NULL is fine */

/* The authority's certificate in PEM, free() it; NULL: no memory. After https_open(). */
char *https_authority(struct https *h);

/* Send a question with a body. 0, -errno. */
int https_post(struct https *h, const char *path, const char *body, int ms);

/* The same of a body in two parts. */
struct https_body {
	const char *text;
	const uint8_t *octets;
	size_t n;
};
int https_post_octets(struct https *h, const char *path, const struct https_body *body, int ms);

/**
 * https_wait - for its answer
 * @ms:  at most
 * @max: octets of the body
 *
 * Return: 1 with *ret (valid until the next question), 0 not yet, -errno: the connection is of no use any more.
 */
int https_wait(struct https *h, int ms, size_t max, const struct http_reply **ret);

#endif
