/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_tls.h - TLS ClientHello and ServerHello: names, versions, ECH. Pure.
 * RFC 8446 section 4.1, RFC 5246 section 7.4.1, RFC 6066 section 3, RFC 7301, RFC 9849.
 */
#ifndef WEIR_BPF_L7_TLS_H
#define WEIR_BPF_L7_TLS_H

#include "l7_class.h"

#define TLS_RECORD_HDR	  5u
#define TLS_HANDSHAKE_HDR 4u
#define TLS_PEEK	  (TLS_RECORD_HDR + TLS_HANDSHAKE_HDR)
#define TLS_RECORD_MAX	  (16384u + 2048u)
#define TLS_HELLO_MIN	  38u /* ServerHello without session id */
#define TLS_HELLO_MAX	  65535u
#define TLS_EXT_MAX	  (L7_BUF_SIZE / 4)

/* RFC 6066, 7301, 8446, 9849, and the draft of ESNI. */
enum tls_extension {
	TLSX_SERVER_NAME = 0,
	TLSX_ALPN = 16,
	TLSX_SUPPORTED_VERSIONS = 43,
	TLSX_ECH = 0xfe0d,
	TLSX_ESNI = 0xffce,
};

/**
 * l7_tls_peek - how long is the hello whose first TLS_PEEK bytes are @h?
 *
 * Return: L7_OK with m->need = record and handshake header and message, L7_LONG, L7_SPLIT, or
 *         L7_NOT.
 */
static __always_inline enum l7_result l7_tls_peek(const __u8 *h, struct l7_msg *m)
{
	__u32 record = h[3] << 8 | h[4], hello = (__u32)h[6] << 16 | h[7] << 8 | h[8];

	if (l7_classify_tls(h, TLS_PEEK) != L7C_TLS || !record || record > TLS_RECORD_MAX)
		return L7_NOT;
	if (record < TLS_HANDSHAKE_HDR) { /* the next record header is in what was read as length */
		m->need = WEIR_L7_USER_MAX;
		return L7_SPLIT;
	}
	if (hello < TLS_HELLO_MIN || hello > TLS_HELLO_MAX)
		return L7_NOT;
	m->need = TLS_PEEK + hello;
	if (hello + TLS_HANDSHAKE_HDR > record) {
		m->need = 2 * m->need + 64; /* the records' headers: as many as the peer likes */
		if (m->need > WEIR_L7_USER_MAX)
			m->need = WEIR_L7_USER_MAX;
		return L7_SPLIT;
	}
	return m->need > L7_BUF_SIZE ? L7_LONG : L7_OK;
}

/* RFC 8446 section 4.2.1; drafts of 1.3 count as 1.3, GREASE (RFC 8701) and others don't. */
static __always_inline void l7_tls_version(struct l7_msg *m, __u32 v)
{
	if (v >> 8 == 0x7f)
		v = 0x0304;
	if (v < 0x0300 || v > 0x0304)
		return;
	m->offered |= 1u << (v & 7);
	if (v > m->version)
		m->version = v;
}

static inline long l7_tls_version_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;

	(void)i;
	if (m->pos + 2 > m->end)
		return 1;
	l7_tls_version(m, l7_u16(c->buf, m->start + m->pos));
	m->pos += 2;
	return 0;
}

/* RFC 6066 section 3: the first name of the list; other types than host_name never came to be. */
static __always_inline long l7_tls_sni(const __u8 *buf, struct l7_msg *m, __u32 pos, __u32 len)
{
	__u32 p = m->start + pos, n;

	if (m->name_off || !len) /* empty: no name */
		return 0;
	if (len < 5 || l7_u16(buf, p) + 2 > len)
		return l7_stop(m, L7_BAD);
	if (l7_u8(buf, p + 2))
		return 0;
	n = l7_u16(buf, p + 3);
	if (n + 5 > len)
		return l7_stop(m, L7_BAD);
	m->name_off = pos + 5;
	m->name_len = n;
	return 0;
}

/* What of an extension matters later; its body is within the message. */
static __always_inline long l7_tls_extension(const __u8 *buf, struct l7_msg *m, __u32 pos)
{
	__u32 type = l7_u16(buf, m->start + pos), len = l7_u16(buf, m->start + pos + 2), n;

	pos += 4;
	switch (type) {
	case TLSX_SERVER_NAME:
		return m->type == TLS_CLIENT_HELLO ? l7_tls_sni(buf, m, pos, len) : 0;
	case TLSX_ALPN:
		n = l7_u16(buf, m->start + pos);
		if (len < 2 || n + 2 > len)
			return l7_stop(m, L7_BAD);
		if (!m->alpn_off) {
			m->alpn_off = pos + 2;
			m->alpn_len = n;
		}
		return 0;
	case TLSX_SUPPORTED_VERSIONS:
		if (!m->found) {
			m->found = pos;
			m->total = len;
		}
		return 0;
	case TLSX_ECH:
		m->ech = 1;
		return 0;
	case TLSX_ESNI:
		if (!m->ech)
			m->ech = 2;
		return 0;
	}
	return 0;
}

static inline long l7_tls_extension_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 pos = m->pos, len;

	(void)i;
	if (pos >= m->end)
		return l7_stop(m, L7_OK);
	if (m->end - pos < 4)
		return l7_stop(m, L7_BAD);
	len = l7_u16(c->buf, m->start + pos + 2);
	if (len > m->end - pos - 4)
		return l7_stop(m, L7_BAD);
	m->pos = pos + 4 + len;
	return l7_tls_extension(c->buf, m, pos);
}

/* The list in .found: one length byte and pairs (client), or the one chosen (server). */
static __always_inline void l7_tls_versions(const struct l7_ctx *c)
{
	struct l7_msg *m = c->m;
	__u32 p = m->start + m->found, n;

	if (!m->found || m->total < 2)
		return;
	m->offered = m->version = 0; /* supersedes the legacy field */
	if (m->type == TLS_SERVER_HELLO) {
		l7_tls_version(m, l7_u16(c->buf, p));
		return;
	}
	n = l7_u8(c->buf, p);
	if (n > m->total - 1)
		n = m->total - 1;
	m->pos = m->found + 1;
	m->end = m->pos + n;
	L7_LOOP(127, l7_tls_version_step, (void *)c);
}

/* Fixed part of a hello. @pos: after the session id. Leaves .pos and .end around the extensions. */
static __always_inline enum l7_result l7_tls_fixed(const __u8 *buf, struct l7_msg *m, __u32 pos)
{
	__u32 n;

	if (m->type == TLS_CLIENT_HELLO) {
		n = l7_u16(buf, m->start + pos); /* cipher suites */
		pos += 2 + n;
		if (n < 2 || n & 1 || pos >= m->end)
			return L7_BAD;
		pos += 1 + l7_u8(buf, m->start + pos); /* compression methods */
	} else {
		pos += 3; /* the chosen suite and method */
	}
	if (pos > m->end)
		return L7_BAD;
	m->pos = pos;
	if (pos == m->end) /* no extensions at all: SSL 3.0, TLS 1.0 */
		return L7_OK;
	if (m->end - pos < 2)
		return L7_BAD;
	n = l7_u16(buf, m->start + pos);
	if (n > m->end - pos - 2)
		return L7_BAD;
	m->pos = pos + 2;
	m->end = m->pos + n;
	return L7_OK;
}

/**
 * l7_tls_handshake - read a ClientHello or ServerHello
 * @buf: L7_BUF_SIZE + L7_BUF_PAD bytes
 * @m:   .start, .len; the rest is overwritten
 * @off: where the handshake header is, from .start (TLS_RECORD_HDR, or 0 without record layer)
 *
 * Return: L7_OK: type, version, offered, ech, name (SNI), alpn set, .need = bytes up to the end;
 *         L7_MORE, L7_LONG with .need; L7_NOT neither hello; L7_BAD.
 * Source: RFC 8446 section 4.1.2 and 4.1.3.
 */
static __always_inline enum l7_result l7_tls_handshake(const __u8 *buf, struct l7_msg *m, __u32 off)
{
	struct l7_ctx c = {.buf = buf, .m = m};
	__u32 p = m->start + off, hello;

	m->found = m->total = m->ech = m->offered = m->version = 0;
	m->name_off = m->name_len = m->alpn_off = m->alpn_len = 0;
	m->need = off + TLS_HANDSHAKE_HDR;
	if (m->len < m->need)
		return L7_MORE;
	m->type = l7_u8(buf, p);
	hello = l7_u8(buf, p + 1) << 16 | l7_u16(buf, p + 2);
	if (m->type != TLS_CLIENT_HELLO && m->type != TLS_SERVER_HELLO)
		return L7_NOT;
	if (hello < TLS_HELLO_MIN || hello > TLS_HELLO_MAX)
		return L7_BAD;
	m->need += hello;
	if (m->len < m->need)
		return m->need > L7_BUF_SIZE ? L7_LONG : L7_MORE;
	m->end = m->need;
	if (l7_u8(buf, p + 38) > 32) /* session id: after version and random */
		return L7_BAD;
	m->result = l7_tls_fixed(buf, m, off + 39 + l7_u8(buf, p + 38));
	if (m->result == L7_OK && m->pos < m->end) {
		m->result = L7_BAD; /* unless the last extension ends where it should */
		L7_LOOP(TLS_EXT_MAX + 1, l7_tls_extension_step, &c);
	}
	if (m->result != L7_OK)
		return m->result;
	if (m->name_len > WEIR_NAME_MAX)
		return L7_BAD;
	l7_tls_version(m, l7_u16(buf, p + 4));
	l7_tls_versions(&c);
	return L7_OK;
}

/* The same, in the first TLS record. Several records: L7_SPLIT. */
static __always_inline enum l7_result l7_tls(const __u8 *buf, struct l7_msg *m)
{
	enum l7_result r;
	__u8 h[TLS_PEEK];

	m->need = TLS_PEEK;
	if (m->len < TLS_PEEK)
		return L7_MORE;
	L7_UNROLL
	for (__u32 i = 0; i < TLS_PEEK; i++)
		h[i] = l7_u8(buf, m->start + i);
	r = l7_tls_peek(h, m);
	if (r != L7_OK)
		return r;
	return m->len < m->need ? L7_MORE : l7_tls_handshake(buf, m, TLS_RECORD_HDR);
}

#endif
