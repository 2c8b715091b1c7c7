/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dtls.c - the ClientHello and ServerHello of a DTLS association, out of its datagrams.
 */
#include "loader/name/dtls.h"
#include "loader/name/hello.h"

#include <errno.h>
#include <string.h>

#define RECORD_HEADER	       13u /* type, version, epoch, sequence number, length */
#define FRAGMENT_HEADER	       12u /* type, length, message_seq, fragment offset and length */
#define CONTENT_FIRST	       20u /* change_cipher_spec */
#define CONTENT_LAST	       26u /* ack (RFC 9147) */
#define CONTENT_HANDSHAKE      22u
#define CLIENT_HELLO	       1u
#define SERVER_HELLO	       2u
#define VERSION_OPENSSL	       0x0100u /* before the RFC; OpenSSL's DTLS1_BAD_VER */
#define VERSION_10	       0xfeffu
#define VERSION_12	       0xfefdu
#define VERSION_13	       0xfefcu
#define EXT_SUPPORTED_VERSIONS 43u
#define HANDSHAKE_HEADER       4u

struct fragment {
	uint8_t type;
	uint16_t seq;
	uint32_t msg_len;
	uint32_t off;
	uint32_t len; /* bytes of it that are there */
	const uint8_t *data;
};

static uint32_t be16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t be24(const uint8_t *p)
{
	return (uint32_t)p[0] << 16 | (uint32_t)p[1] << 8 | p[2];
}

int dtls_detect(const uint8_t *data, size_t len)
{
	if (len < RECORD_HEADER || data[0] < CONTENT_FIRST || data[0] > CONTENT_LAST)
		return 0;
	return data[1] == 0xfe || be16(data + 1) == VERSION_OPENSSL;
}

uint16_t dtls_version(uint16_t tls)
{
	switch (tls) {
	case 0x0302:
		return VERSION_10;
	case 0x0303:
		return VERSION_12;
	case 0x0304:
		return VERSION_13;
	default:
		return 0;
	}
}

static void message_free(struct dtls *d, struct dtls_message **m)
{
	if (!*m)
		return;
	stream_done(&(*m)->body, d->pool);
	pool_free(d->pool, *m, sizeof(**m));
	*m = NULL;
}

void dtls_flow_done(struct dtls *d, struct dtls_flow *f)
{
	for (unsigned int i = 0; i < 2 * DTLS_MESSAGES; i++)
		message_free(d, &f->msg[i / DTLS_MESSAGES][i % DTLS_MESSAGES]);
}

/* Assembly of the message a fragment belongs to; a later message takes the oldest's place. */
static struct dtls_message *message_get(struct dtls *d, struct dtls_flow *f, unsigned int dir,
					const struct fragment *fr)
{
	struct dtls_message **slot = &f->msg[dir][fr->seq % DTLS_MESSAGES];
	struct dtls_message *m = *slot;

	if (m && m->seq == fr->seq && m->type == fr->type && m->len == fr->msg_len)
		return m;
	if (m && fr->seq < m->seq)
		return NULL;
	message_free(d, slot);
	m = pool_alloc(d->pool, sizeof(*m));
	if (!m) {
		d->stats.out_of_memory++;
		return NULL;
	}
	m->seq = fr->seq;
	m->type = fr->type;
	m->len = fr->msg_len;
	*slot = m;
	return m;
}

/* ---- DTLS form to TLS form ---- */

struct out {
	uint8_t *p;
	uint32_t len;
};

static void put(struct out *o, const uint8_t *p, size_t n)
{
	memcpy(o->p + o->len, p, n);
	o->len += (uint32_t)n;
}

/* DTLS 1.0 is TLS 1.1 (RFC 4347 section 1), 1.2 and 1.3 are their namesakes. */
static void map_version(uint8_t *p)
{
	uint32_t v = be16(p);
	uint32_t tls = v;

	if (v == VERSION_10 || v == VERSION_OPENSSL)
		tls = 0x0302;
	else if (v == VERSION_12)
		tls = 0x0303;
	else if (v == VERSION_13)
		tls = 0x0304;
	p[0] = (uint8_t)(tls >> 8);
	p[1] = (uint8_t)tls;
}

/* The versions inside supported_versions, wherever the extensions in [p, end) have it. */
static void map_extensions(uint8_t *p, const uint8_t *end, unsigned int type)
{
	while (end - p >= 4) {
		uint32_t ext = be16(p), len = be16(p + 2);

		p += 4;
		if (len > (size_t)(end - p))
			len = (uint32_t)(end - p);
		/* The client's is a list behind a length byte (RFC 8446 section 4.2.1). */
		for (uint32_t i = type == CLIENT_HELLO;
		     ext == EXT_SUPPORTED_VERSIONS && i + 2 <= len; i += 2)
			map_version(p + i);
		p += len;
	}
}

/* @len bytes of the body of message @m are there. Leaves a hello without cookie in @out. */
static void as_tls(const struct dtls_message *m, uint32_t len, uint8_t *out, struct handshake *ret)
{
	const uint8_t *p = m->body.buf;
	struct out o = {out, HANDSHAKE_HEADER};
	uint32_t off = 34, cookie = 0, body_len;

	memset(ret, 0, sizeof(*ret));
	if (len < off + 1)
		return;
	off += 1u + p[off];
	if (off > len)
		return;
	put(&o, p, off);
	if (m->type == CLIENT_HELLO && off < len) {
		cookie = 1u + p[off];
		off += cookie;
	}
	if (off < len)
		put(&o, p + off, len - off);
	if (cookie > m->len) /* contradicts itself: the parser will say so */
		cookie = m->len;
	body_len = m->len - cookie;
	out[0] = m->type;
	out[1] = (uint8_t)(body_len >> 16);
	out[2] = (uint8_t)(body_len >> 8);
	out[3] = (uint8_t)body_len;
	map_version(out + HANDSHAKE_HEADER);
	off = hello_extensions(out + HANDSHAKE_HEADER, o.len - HANDSHAKE_HEADER,
			       m->type == SERVER_HELLO);
	map_extensions(out + HANDSHAKE_HEADER + off, out + o.len, m->type);
	ret->msg = out;
	ret->len = o.len;
	ret->need = HANDSHAKE_HEADER + body_len;
}

/* ---- records ---- */

static int message_check(struct dtls *d, struct dtls_flow *f, const struct dtls_message *m,
			 struct dtls_found *ret)
{
	unsigned int server = m->type == SERVER_HELLO;
	int bit = server ? DTLS_SERVER_HELLO : DTLS_CLIENT_HELLO;

	if ((f->found & bit) || stream_ready(&m->body) < m->len)
		return 0;
	as_tls(m, m->len, d->tls[server], server ? &ret->server : &ret->hello);
	if (!server)
		ret->conflict = m->body.conflict;
	f->found |= (uint8_t)bit;
	return bit;
}

static int take_fragment(struct dtls *d, struct dtls_flow *f, unsigned int dir,
			 const struct fragment *fr, struct dtls_found *ret)
{
	struct dtls_message *m;
	uint8_t conflict;
	int r;

	if (fr->type != CLIENT_HELLO && fr->type != SERVER_HELLO)
		return 0;
	if (f->found & (fr->type == CLIENT_HELLO ? DTLS_CLIENT_HELLO : DTLS_SERVER_HELLO))
		return 0;
	if (fr->msg_len > STREAM_MAX) {
		f->reason = NN_TOO_LONG;
		return 0;
	}
	m = message_get(d, f, dir, fr);
	if (!m)
		return 0;
	conflict = m->body.conflict;
	r = stream_put(&m->body, d->pool, fr->off, fr->data, fr->len);
	d->stats.conflicts += m->body.conflict != conflict;
	if (r == -ENOMEM)
		d->stats.out_of_memory++;
	else if (r < 0)
		d->stats.pieces_dropped++;
	return message_check(d, f, m, ret);
}

/* Handshake fragments of one record's payload. Return: as dtls_feed(). */
static int take_record(struct dtls *d, struct dtls_flow *f, const struct dtls_datagram *rec,
		       struct dtls_found *ret)
{
	const uint8_t *p = rec->data;
	uint32_t left = rec->len;
	int found = 0;

	while (left >= FRAGMENT_HEADER) {
		struct fragment fr = {
			.type = p[0],
			.msg_len = be24(p + 1),
			.seq = (uint16_t)be16(p + 4),
			.off = be24(p + 6),
			.len = be24(p + 9),
			.data = p + FRAGMENT_HEADER,
		};

		if (fr.off > fr.msg_len || fr.len > fr.msg_len - fr.off)
			return found ? found : -EPROTO;
		left -= FRAGMENT_HEADER;
		if (fr.len > left && rec->wire_len <= rec->len)
			return found ? found : -EPROTO;
		if (fr.len > left)
			fr.len = left;
		p += FRAGMENT_HEADER + fr.len;
		left -= fr.len;
		found |= take_fragment(d, f, rec->dir, &fr, ret);
	}
	return found;
}

int dtls_feed(struct dtls *d, struct dtls_flow *f, const struct dtls_datagram *dg,
	      struct dtls_found *ret)
{
	const uint8_t *p = dg->data;
	uint32_t left = dg->len;
	int found = 0, r;

	memset(ret, 0, sizeof(*ret));
	/* Protected records of 1.3 have a header of their own: nothing to read in them. */
	if (!dtls_detect(p, left))
		return f->seen ? 0 : -EPROTO;
	f->seen = 1;
	while (left && dtls_detect(p, left)) {
		struct dtls_datagram rec = {
			.data = p + RECORD_HEADER,
			.len = be16(p + 11),
			.wire_len = be16(p + 11),
			.dir = dg->dir,
		};
		int plain = p[0] == CONTENT_HANDSHAKE && be16(p + 3) == 0;

		left -= RECORD_HEADER;
		if (rec.len > left) {
			rec.len = left;
			if (dg->wire_len <= dg->len)
				rec.wire_len = left;
			if (plain && f->reason == NN_NONE && !(f->found & DTLS_CLIENT_HELLO))
				f->reason = dg->wire_len > dg->len ? NN_TRUNCATED : NN_MALFORMED;
		}
		r = plain ? take_record(d, f, &rec, ret) : 0;
		if (r < 0) {
			f->reason = NN_MALFORMED;
			break;
		}
		found |= r;
		p += RECORD_HEADER + rec.len;
		left -= rec.len;
	}
	return found;
}

void dtls_partial(struct dtls *d, const struct dtls_flow *f, struct handshake *ret)
{
	const struct dtls_message *best = NULL;

	memset(ret, 0, sizeof(*ret));
	for (unsigned int i = 0; i < 2 * DTLS_MESSAGES; i++) {
		const struct dtls_message *m = f->msg[i / DTLS_MESSAGES][i % DTLS_MESSAGES];

		if (!m || m->type != CLIENT_HELLO)
			continue;
		if (!best || stream_ready(&m->body) > stream_ready(&best->body))
			best = m;
	}
	if (best)
		as_tls(best, (uint32_t)stream_ready(&best->body), d->tls[0], ret);
}
