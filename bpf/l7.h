/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7.h - what the first payload bytes of a flow say: TLS hellos, HTTP/1 requests, DNS messages.
 *
 * Pure parsers over a buffer of L7_BUF_SIZE bytes used as a ring: a message begins at position
 * .start, bytes beyond the end continue at 0. Every access is masked, so no input leaves the
 * buffer. Loops keep their state in struct l7_msg, never in locals: the verifier then walks them
 * once. Compiles for BPF, unit tests, fuzzers and the loader (there L7_BUF_SIZE may be larger).
 */
#ifndef WEIR_BPF_L7_H
#define WEIR_BPF_L7_H

#include "weir/abi.h"

#undef __always_inline /* linux/stddef.h makes it a mere hint */
#define __always_inline inline __attribute__((__always_inline__))

#ifndef L7_BUF_SIZE
#define L7_BUF_SIZE WEIR_L7_BUF
#endif
#define L7_BUF_PAD   8u	 /* readable bytes after the buffer: a copy of its first ones (l7_mirror) */
#define L7_HEAD	     16u /* bytes that classification looks at */
#define L7_NONE	     (~0u)
#define L7_HOST_MAX  WEIR_NAME_MAX
#define L7_QNAME_MAX 255u /* RFC 1035 section 3.1 */

/* In BPF bpf_loop() (set by the includer); fn returns 1 to stop. */
#ifndef L7_LOOP
#define L7_LOOP(n, fn, ctx) l7_loop_host(n, fn, ctx)
static inline void l7_loop_host(__u32 n, long (*fn)(__u32, void *), void *ctx)
{
	for (__u32 i = 0; i < n; i++)
		if (fn(i, ctx))
			return;
}
#endif

#ifdef __clang__
#define L7_UNROLL _Pragma("clang loop unroll(full)")
#define L7_ROLLED _Pragma("clang loop unroll(disable)")
#else
#define L7_UNROLL
#define L7_ROLLED
#endif

/* Keeps the compiler from proving a mask away that the verifier needs. */
#ifdef __bpf__
#define L7_OPAQUE(x) asm volatile("" : "+r"(x))
#else
#define L7_OPAQUE(x) ((void)(x))
#endif

enum l7_result {
	L7_OK = 0,
	L7_MORE = 1,	/* .need says how many bytes */
	L7_NOT = 2,	/* another protocol */
	L7_BAD = 3,	/* contradicts itself */
	L7_LONG = 4,	/* does not fit the buffer; .need says how many bytes */
	L7_SPLIT = 5,	/* handshake message over several records; .need is an upper bound */
	L7_RUNNING = 6, /* within a loop */
};

enum l7_class {
	L7C_NO = 0,    /* no message of ours starts here */
	L7C_MAYBE = 1, /* too few bytes to tell */
	L7C_TLS = 2,
	L7C_HTTP = 3,
	L7C_DNS = 4,  /* by port */
	L7C_SSL2 = 5, /* ClientHello in the format of SSL 2.0 (RFC 5246 appendix E.2) */
	L7C_H2 = 6,   /* HTTP/2 connection preface (RFC 9113 section 3.4) */
};

enum { TLS_CLIENT_HELLO = 1, TLS_SERVER_HELLO = 2 };

/* A message while it is read, and what was found: offsets are from .start. */
struct l7_msg {
	__u32 start; /* in: position in the buffer */
	__u32 len;   /* in: bytes there without a hole, at most L7_BUF_SIZE */
	__u32 need;  /* L7_OK: length of the message; else see enum l7_result */
	__u32 result;
	__u32 pos;
	__u32 end;
	__u32 line;
	__u32 lines;
	__u32 type;	/* TLS: handshake type */
	__u32 name_off; /* SNI, Host or qname */
	__u32 name_len;
	__u32 alpn_off;
	__u32 alpn_len;
	__u32 path_off;
	__u32 path_len;
	__u32 method_len;
	__u32 version; /* TLS: highest offered, or negotiated */
	__u32 offered; /* TLS: bits as in struct ev_tls */
	__u32 ech;
	__u32 id; /* DNS header */
	__u32 flags;
	__u32 qtype;
	__u32 total; /* DNS over TCP: length of the message, its prefix included */
	__u32 found; /* HTTP: a Host line was seen; TLS: supported_versions */
};

/* Callback context: never changes while a loop runs. */
struct l7_ctx {
	const __u8 *buf;
	struct l7_msg *m;
};

static __always_inline __u32 l7_u8(const __u8 *buf, __u32 pos)
{
	L7_OPAQUE(pos);
	return buf[pos & (L7_BUF_SIZE - 1)];
}

static __always_inline __u32 l7_u16(const __u8 *buf, __u32 pos)
{
	return l7_u8(buf, pos) << 8 | l7_u8(buf, pos + 1);
}

/* Eight bytes, the first one lowest. */
static __always_inline __u64 l7_word(const __u8 *buf, __u32 pos)
{
	__u64 w;

	L7_OPAQUE(pos);
#ifdef __bpf__
	w = *(const __u64 *)(buf + (pos & (L7_BUF_SIZE - 1)));
#else
	__builtin_memcpy(&w, buf + (pos & (L7_BUF_SIZE - 1)), sizeof(w));
#endif
#if __BYTE_ORDER__ == __ORDER_BIG_ENDIAN__
	w = __builtin_bswap64(w);
#endif
	return w;
}

/* Before words are read: the first bytes again behind the last one. */
static __always_inline void l7_mirror(__u8 *buf)
{
	__builtin_memcpy(buf + L7_BUF_SIZE, buf, L7_BUF_PAD);
}

#define L7_ONES 0x0101010101010101ull
#define L7_WORD(a, b, c, d, e, f, g, h)                                                          \
	((__u64)(a) | (__u64)(b) << 8 | (__u64)(c) << 16 | (__u64)(d) << 24 | (__u64)(e) << 32 | \
	 (__u64)(f) << 40 | (__u64)(g) << 48 | (__u64)(h) << 56)

/* Index of the first byte of @w that is @byte, 8 if none. */
static __always_inline __u32 l7_find_byte(__u64 w, __u8 byte)
{
	__u64 x = w ^ (L7_ONES * byte);
	__u64 hit = (x - L7_ONES) & ~x & (L7_ONES << 7);

	if (!hit)
		return 8;
	/* ones below the lowest hit, one a byte, summed into the top byte */
	return (((((hit & -hit) >> 7) - 1) & L7_ONES) * L7_ONES) >> 56;
}

static __always_inline long l7_stop(struct l7_msg *m, enum l7_result r)
{
	m->result = r;
	return 1;
}

/* ---- what starts here? ---- */

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

/* RFC 9000 section 17.2: long header of an Initial or 0-RTT packet; other versions: any long one. */
static __always_inline int l7_is_quic(const __u8 *h, __u32 n, __u32 len)
{
	__u32 version = (__u32)h[1] << 24 | h[2] << 16 | h[3] << 8 | h[4];
	__u32 type = h[0] >> 4 & 3;

	if (n < 7 || (h[0] & 0xc0) != 0xc0)
		return 0;
	if (h[1] == 'Q') /* gQUIC Q046 to Q050 */
		return 1;
	if (h[5] > 20)
		return 0;
	if (version == 0x00000001 || version >> 8 == 0xff0000)
		return type <= 1;
	if (version == 0x6b3343cf) /* RFC 9369 section 3.2 */
		return type == 1 || type == 2;
	/* reserved for negotiation (RFC 9000 section 15), and mvfst: as long as an Initial must be */
	return len >= 1200 && ((version & 0x0f0f0f0f) == 0x0a0a0a0a || version >> 12 == 0xfaceb);
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

/* ---- TLS ---- */

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

/* ---- HTTP/1 ---- */

/* "GET /path HTTP/1.1": the target is all between the first space and the version. */
static __always_inline long l7_http_request_line(const __u8 *buf, struct l7_msg *m, __u32 len)
{
	__u32 n = m->method_len;

	if (len < n + 11 ||
	    l7_word(buf, m->start + len - 9) != L7_WORD(' ', 'H', 'T', 'T', 'P', '/', '1', '.'))
		return l7_stop(m, L7_NOT);
	m->path_off = n + 1;
	m->path_len = len - 9 - m->path_off;
	return 0;
}

/* A line of the head, [m->line, eol). */
static __always_inline long l7_http_line(const __u8 *buf, struct l7_msg *m, __u32 eol)
{
	const __u64 host = L7_WORD('h', 'o', 's', 't', ':', 0, 0, 0), mask = 0xffffffffffull;
	const __u64 lower = L7_WORD(0x20, 0x20, 0x20, 0x20, 0, 0, 0, 0);
	__u32 line = m->line, len = eol - line;

	if (len && l7_u8(buf, m->start + eol - 1) == '\r')
		len--;
	m->line = eol + 1;
	if (!m->lines++)
		return l7_http_request_line(buf, m, len);
	if (!len)
		return l7_stop(m, L7_OK);
	if (len < 5 || m->found || ((l7_word(buf, m->start + line) | lower) & mask) != host)
		return 0;
	m->found = 1;
	m->name_off = line + 5;
	m->name_len = len - 5;
	return 0;
}

/* One step looks at eight bytes, or ends at the first line feed among them. */
static inline long l7_http_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 pos = m->pos, n;

	(void)i;
	if (pos >= m->len)
		return l7_stop(m, L7_MORE);
	n = l7_find_byte(l7_word(c->buf, m->start + pos), '\n');
	if (n == 8 || n >= m->len - pos) {
		m->pos = pos + 8;
		return 0;
	}
	m->pos = pos + n + 1;
	return l7_http_line(c->buf, m, pos + n);
}

static inline long l7_method_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	if (i >= m->len)
		return l7_stop(m, L7_MORE);
	b = l7_u8(c->buf, m->start + i);
	m->method_len = i;
	if (b == ' ')
		return l7_stop(m, i ? L7_OK : L7_NOT);
	return l7_is_method_char(b) ? 0 : l7_stop(m, L7_NOT);
}

/* Optional white space around a field value is not part of it (RFC 9110 section 5.5). */
static inline long l7_trim_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	(void)i;
	if (!m->name_len)
		return 1;
	b = l7_u8(c->buf, m->start + m->name_off);
	if (b == ' ' || b == '\t') {
		m->name_off++;
		m->name_len--;
		return 0;
	}
	b = l7_u8(c->buf, m->start + m->name_off + m->name_len - 1);
	if (b != ' ' && b != '\t')
		return 1;
	m->name_len--;
	return 0;
}

/* Where the authority of an absolute-form target ends. */
static inline long l7_authority_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 b;

	(void)i;
	if (m->pos >= m->end)
		return 1;
	b = l7_u8(c->buf, m->start + m->pos);
	if (b == '/' || b == '?' || b == '#')
		return 1;
	m->pos++;
	return 0;
}

/* RFC 9112 section 3.2: absolute-form and authority-form name the host; Host wins if there is one. */
static __always_inline void l7_http_target(const struct l7_ctx *c)
{
	struct l7_msg *m = c->m;
	__u32 p = m->start + m->path_off, off = 0;
	__u64 lower = L7_ONES * 0x20, w = l7_word(c->buf, p) | lower;

	m->pos = m->path_off;
	m->end = m->path_off + m->path_len;
	if (m->method_len == 7 &&
	    l7_word(c->buf, m->start) == L7_WORD('C', 'O', 'N', 'N', 'E', 'C', 'T', ' ')) {
		m->pos = m->end;
	} else if (m->path_len > 7 && !((w ^ L7_WORD('h', 't', 't', 'p', ':', '/', '/', 0)) << 8)) {
		off = 7;
	} else if (m->path_len > 8 &&
		   w == (L7_WORD('h', 't', 't', 'p', 's', ':', '/', '/') | lower)) {
		off = 8;
	} else {
		return;
	}
	if (off) {
		m->pos += off;
		L7_LOOP(WEIR_PATH_MAX, l7_authority_step, (void *)c);
	}
	if (!m->found) {
		m->found = 1;
		m->name_off = m->path_off + off;
		m->name_len = m->pos - m->name_off;
	}
	m->path_off = m->pos;
	m->path_len = m->end - m->pos;
}

/**
 * l7_http - read an HTTP/1 request
 * @buf: L7_BUF_SIZE + L7_BUF_PAD bytes, mirrored
 * @m:   .start, .len; the rest is overwritten
 *
 * Return: L7_OK: method_len, path, name (Host, or the target's authority); .found = there is one;
 *         .need = length of the head, or of what was seen when the Host is known and the head goes
 *         on (then .need == .len); L7_MORE, L7_LONG, L7_NOT, L7_BAD (Host too long).
 * Source: RFC 9112 sections 3 and 5.
 */
static __always_inline enum l7_result l7_http(const __u8 *buf, struct l7_msg *m)
{
	struct l7_ctx c = {.buf = buf, .m = m};

	m->found = m->lines = m->line = m->pos = m->method_len = 0;
	m->name_off = m->name_len = m->path_off = m->path_len = 0;
	m->result = L7_NOT;
	L7_LOOP(WEIR_METHOD_MAX + 1, l7_method_step, &c);
	if (m->result == L7_OK) {
		m->result = L7_MORE;
		L7_LOOP(L7_BUF_SIZE / 4, l7_http_step, &c);
	}
	m->need = m->pos;
	if (m->result == L7_MORE) {
		m->need = m->len + 1;
		if (!m->found) /* the Host line is complete, or there is none yet */
			return m->len >= L7_BUF_SIZE ? L7_LONG : L7_MORE;
		m->need = m->len;
	} else if (m->result != L7_OK) {
		return m->result;
	}
	L7_LOOP(L7_BUF_SIZE, l7_trim_step, &c);
	l7_http_target(&c);
	if (m->name_len > L7_HOST_MAX)
		return L7_BAD;
	if (!m->name_len)
		m->found = 0;
	return L7_OK;
}

/* ---- DNS ---- */

#define DNS_HEADER 12u
#define DNS_LABELS 128u

static inline long l7_label_step(__u32 i, void *arg)
{
	const struct l7_ctx *c = arg;
	struct l7_msg *m = c->m;
	__u32 n;

	(void)i;
	if (m->pos >= m->end)
		return l7_stop(m, L7_MORE);
	n = l7_u8(c->buf, m->start + m->pos);
	m->pos += 1 + n;
	m->name_len = m->pos - m->name_off;
	if (n > 63 || m->name_len > L7_QNAME_MAX) /* compression (section 4.1.4) points backwards */
		return l7_stop(m, L7_BAD);
	return n ? 0 : l7_stop(m, L7_OK);
}

/**
 * l7_dns - read header and first question of a DNS message
 * @buf: as above
 * @m:   .start, .len; the rest is overwritten
 * @tcp: the message has its two-byte length in front (RFC 7766 section 8)
 *
 * Return: L7_OK: id, flags, qtype, name = qname in wire form (empty when there is no question);
 *         .need = TCP: length of the whole message, prefix included (it may exceed .len);
 *         L7_MORE with .need (of UDP: cut short), L7_BAD.
 * Source: RFC 1035 section 4.1.
 */
static __always_inline enum l7_result l7_dns(const __u8 *buf, struct l7_msg *m, int tcp)
{
	struct l7_ctx c = {.buf = buf, .m = m};
	__u32 off = tcp ? 2 : 0, p = m->start + off;

	m->name_off = m->name_len = m->qtype = 0;
	m->need = off + DNS_HEADER;
	if (m->len < m->need)
		return L7_MORE;
	m->total = tcp ? 2 + l7_u16(buf, m->start) : m->len;
	if (m->total < m->need)
		return L7_BAD;
	m->id = l7_u16(buf, p);
	m->flags = l7_u16(buf, p + 2);
	m->pos = m->name_off = m->need;
	m->need = m->total;
	if (!l7_u16(buf, p + 4)) /* no question */
		return L7_OK;
	m->end = m->len < m->total ? m->len : m->total;
	m->result = L7_BAD;
	L7_LOOP(DNS_LABELS, l7_label_step, &c);
	if (m->result == L7_OK && m->pos + 4 > m->end)
		m->result = L7_MORE;
	if (m->result == L7_MORE) {
		m->need = m->len + 1;
		return m->end == m->total ? L7_BAD : L7_MORE;
	}
	if (m->result == L7_OK)
		m->qtype = l7_u16(buf, m->start + m->pos);
	return m->result;
}

#endif
