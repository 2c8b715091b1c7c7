/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_class.h - which message, if any, starts with these bytes? Looks at L7_HEAD bytes at most; pure.
 */
#ifndef WEIR_BPF_L7_CLASS_H
#define WEIR_BPF_L7_CLASS_H

#include "l7_buf.h"

static __always_inline int l7_is_method_char(__u32 c)
{
	return (c >= 'A' && c <= 'Z') || c == '-' || c == '_';
}

static __always_inline enum l7_class l7_classify_method(const __u8 *h, __u32 n)
{
	L7_UNROLL
	for (__u32 i = 0; i < L7_HEAD; i++) {
		L7_OPAQUE(n); /* else both bounds become one, which is no constant */
		if (i >= n)
			return L7C_MAYBE;
		if (h[i] == ' ')
			return i >= 3 ? L7C_HTTP : L7C_NO;
		if (!l7_is_method_char(h[i]))
			return L7C_NO;
	}
	return L7C_NO;
}

/* RFC 8446 section 5.1, RFC 5246 section 6.2.1: record header, then the handshake type. */
static __always_inline enum l7_class l7_classify_tls(const __u8 *h, __u32 n)
{
	if ((n > 1 && h[1] != 3) || (n > 2 && h[2] > 4))
		return L7C_NO;
	if (n < 6)
		return L7C_MAYBE;
	return h[5] == TLS_CLIENT_HELLO || h[5] == TLS_SERVER_HELLO ? L7C_TLS : L7C_NO;
}

/* RFC 5246 appendix E.2: two-byte length, type, version, three lengths that add up. */
static __always_inline enum l7_class l7_classify_ssl2(const __u8 *h, __u32 n)
{
	__u32 len = (h[0] & 0x7f) << 8 | h[1];
	__u32 ciphers = h[5] << 8 | h[6], session = h[7] << 8 | h[8], challenge = h[9] << 8 | h[10];

	if (n < 11 || h[2] != TLS_CLIENT_HELLO || (h[3] << 8 | h[4]) > 0x0304)
		return L7C_NO;
	if ((h[3] << 8 | h[4]) < 0x0300 && (h[3] << 8 | h[4]) != 0x0002)
		return L7C_NO;
	if (!ciphers || ciphers % 3 || (session && session != 16) || challenge < 16)
		return L7C_NO;
	return len == 9 + ciphers + session + challenge ? L7C_SSL2 : L7C_NO;
}

/**
 * l7_classify - does a message start with these bytes?
 * @h: L7_HEAD readable bytes, those from @n on are ignored
 */
static __always_inline enum l7_class l7_classify(const __u8 *h, __u32 n)
{
	enum l7_class c;

	if (!n)
		return L7C_MAYBE;
	if (h[0] == 0x16)
		return l7_classify_tls(h, n);
	if (h[0] & 0x80)
		return l7_classify_ssl2(h, n);
	c = l7_classify_method(h, n);
	if (c == L7C_HTTP && n >= 14 && h[0] == 'P' && h[1] == 'R' && h[2] == 'I' && h[4] == '*' &&
	    h[6] == 'H' && h[11] == '2')
		return L7C_H2;
	return c;
}

/* Versions are written by the client: 1 and drafts, 2 (RFC 9369 section 3.2), and others, which must
 * look like a first datagram at least: reserved for negotiation (RFC 9000 section 15), mvfst.
 */
static __always_inline int l7_is_quic_first(__u32 version, __u32 type, __u32 len)
{
	if (version == 0x00000001 || version >> 8 == 0xff0000)
		return type <= 1;			    /* Initial, 0-RTT */
	if (version == 0x6b3343cf || version == 0x709a50c4) /* and its draft */
		return type == 1 || type == 2;
	return len >= 1200 && ((version & 0x0f0f0f0f) == 0x0a0a0a0a || version >> 12 == 0xfaceb);
}

/* RFC 9000 section 17.2: long header. */
static __always_inline int l7_is_quic(const __u8 *h, __u32 n, __u32 len)
{
	__u32 version = (__u32)h[1] << 24 | h[2] << 16 | h[3] << 8 | h[4];

	if (n >= 13 && (h[0] & 0x8b) == 0x09 && h[9] == 'Q' && h[10] == '0') /* gQUIC to Q043 */
		return 1;
	if (n < 7 || (h[0] & 0xc0) != 0xc0)
		return 0;
	if ((h[1] == 'Q' || h[1] == 'T') && h[2] == '0') /* gQUIC Q046 to Q050, T050, T051 */
		return 1;
	return h[5] <= 20 && l7_is_quic_first(version, h[0] >> 4 & 3, len);
}

/* RFC 9147 section 4: unencrypted handshake record; DTLS 1.0, 1.2, OpenSSL's pre-standard one. */
static __always_inline int l7_is_dtls(const __u8 *h, __u32 n)
{
	if (n < 14 || h[0] != 0x16 || h[3] || h[4])
		return 0;
	if (!(h[1] == 0xfe && h[2] >= 0xfc) && !(h[1] == 1 && !h[2]))
		return 0;
	return h[13] == TLS_CLIENT_HELLO || h[13] == TLS_SERVER_HELLO;
}

static __always_inline enum l7_proto l7_classify_datagram(const __u8 *h, __u32 n, __u32 len)
{
	if (l7_is_quic(h, n, len))
		return L7P_QUIC;
	return l7_is_dtls(h, n) ? L7P_DTLS : L7P_NONE;
}

#endif
