/* SPDX-License-Identifier: Apache-2.0 */
/*
 * hello.h - builds TLS hellos, HTTP requests and DNS messages for tests, in a bounded buffer.
 * Lengths are filled in when a part is closed, so that a test can break any of them afterwards.
 */
#ifndef WEIR_TESTS_HELLO_H
#define WEIR_TESTS_HELLO_H

#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define MSG_MAX 32768u

struct msg {
	__u32 len;
	__u8 b[MSG_MAX];
};

static inline void msg_put(struct msg *m, const void *data, __u32 n)
{
	if (n > MSG_MAX - m->len)
		abort();
	memcpy(m->b + m->len, data, n);
	m->len += n;
}

static inline void msg_text(struct msg *m, const char *s)
{
	msg_put(m, s, strlen(s));
}

/* @n bytes of @v, highest first. */
static inline void msg_be(struct msg *m, __u32 v, __u32 n)
{
	for (__u32 i = n; i-- > 0;) {
		__u8 b = v >> (8 * i);

		msg_put(m, &b, 1);
	}
}

static inline void msg_fill(struct msg *m, __u8 v, __u32 n)
{
	while (n--)
		msg_put(m, &v, 1);
}

/* A length field of @n bytes: returns its place for msg_close(). */
static inline __u32 msg_open(struct msg *m, __u32 n)
{
	msg_be(m, 0, n);
	return m->len;
}

static inline void msg_close(struct msg *m, __u32 at, __u32 n)
{
	__u32 len = m->len - at;

	for (__u32 i = 0; i < n; i++)
		m->b[at - 1 - i] = len >> (8 * i);
}

struct hello {
	const char *sni;       /* NULL: no extension */
	const char *alpn;      /* wire form, NULL: none */
	const __u16 *versions; /* supported_versions, 0 at the end; NULL: none */
	__u16 legacy;	       /* 0 = 0x0303 */
	__u16 ech;	       /* extension type, 0 = none */
	__u8 server;
	__u8 no_extensions;
	__u8 sni_last; /* the name behind the padding */
	__u32 size;    /* whole record, by a padding extension; 0: as it comes */
	__u32 record;  /* split into records of this many bytes, 0: one */
};

static inline void hello_extension(struct msg *m, __u16 type, const void *data, __u32 len)
{
	msg_be(m, type, 2);
	msg_be(m, len, 2);
	msg_put(m, data, len);
}

static inline void hello_sni(struct msg *m, const struct hello *h)
{
	__u32 ext, list;

	if (!h->sni)
		return;
	msg_be(m, 0, 2);
	ext = msg_open(m, 2);
	list = msg_open(m, 2);
	msg_be(m, 0, 1);
	msg_be(m, strlen(h->sni), 2);
	msg_text(m, h->sni);
	msg_close(m, list, 2);
	msg_close(m, ext, 2);
}

static inline void hello_versions(struct msg *m, const struct hello *h)
{
	__u32 ext, list;

	if (!h->versions)
		return;
	msg_be(m, 43, 2);
	ext = msg_open(m, 2);
	list = h->server ? 0 : msg_open(m, 1);
	for (const __u16 *v = h->versions; *v; v++)
		msg_be(m, *v, 2);
	if (!h->server)
		msg_close(m, list, 1);
	msg_close(m, ext, 2);
}

static inline void hello_extensions(struct msg *m, const struct hello *h, __u32 start)
{
	__u32 all = msg_open(m, 2), ext, list, rest;

	hello_extension(m, 0x3a3a, "", 0); /* GREASE */
	if (!h->sni_last)
		hello_sni(m, h);
	hello_extension(m, 23, "", 0);
	if (h->alpn) {
		msg_be(m, 16, 2);
		ext = msg_open(m, 2);
		list = msg_open(m, 2);
		msg_text(m, h->alpn);
		msg_close(m, list, 2);
		msg_close(m, ext, 2);
	}
	hello_versions(m, h);
	if (h->ech)
		hello_extension(m, h->ech, "\0\0\1\0\1", 5);
	rest = h->sni && h->sni_last ? strlen(h->sni) + 9 : 0;
	if (h->size) {
		rest = start + h->size - m->len - rest - 4;
		if (rest > 20000)
			abort();
		msg_be(m, 0x0015, 2);
		msg_be(m, rest, 2);
		for (__u32 i = 0; i < rest; i++) /* no two places look alike */
			msg_be(m, (i * 2654435761u) >> 13, 1);
	}
	if (h->sni_last)
		hello_sni(m, h);
	msg_close(m, all, 2);
}

/* The handshake message alone. */
static inline void msg_handshake(struct msg *m, const struct hello *h, __u32 start)
{
	__u32 body;

	msg_be(m, h->server ? 2 : 1, 1);
	body = msg_open(m, 3);
	msg_be(m, h->legacy ? h->legacy : 0x0303, 2);
	for (__u32 i = 0; i < 32; i++)
		msg_be(m, 7 * i + 3, 1);
	msg_be(m, 32, 1);
	msg_fill(m, 0x5e, 32);
	if (h->server) {
		msg_be(m, 0x1301, 2);
	} else {
		msg_be(m, 6, 2);
		msg_put(m, "\x5a\x5a\x13\x01\xc0\x2f", 6);
		msg_be(m, 1, 1);
	}
	msg_be(m, 0, 1);
	if (!h->no_extensions)
		hello_extensions(m, h, start);
	msg_close(m, body, 3);
}

/* Append a hello in its record or records. */
static inline void msg_hello(struct msg *m, const struct hello *h)
{
	static struct msg plain;
	__u32 at, record;

	if (!h->record) {
		at = m->len;
		msg_put(m, "\x16\x03\x01", 3);
		record = msg_open(m, 2);
		msg_handshake(m, h, at);
		msg_close(m, record, 2);
		return;
	}
	plain.len = 0;
	msg_handshake(&plain, h, 0);
	for (at = 0; at < plain.len; at += h->record) {
		__u32 n = plain.len - at < h->record ? plain.len - at : h->record;

		msg_put(m, "\x16\x03\x03", 3);
		msg_be(m, n, 2);
		msg_put(m, plain.b + at, n);
	}
}

/* Append a DNS message with one question; @name in presentation form without escapes. */
static inline void msg_dns(struct msg *m, __u16 id, __u16 flags, const char *name, __u16 qtype)
{
	msg_be(m, id, 2);
	msg_be(m, flags, 2);
	msg_be(m, 1, 2);
	msg_fill(m, 0, 6);
	while (*name) {
		__u32 n = strcspn(name, ".");

		msg_be(m, n, 1);
		msg_put(m, name, n);
		name += n + !!name[n];
	}
	msg_be(m, 0, 1);
	msg_be(m, qtype, 2);
	msg_be(m, 1, 2);
}

#endif
