/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_buf.h - the buffer that messages are read from, and what all readers share.
 *
 * A buffer of L7_BUF_SIZE bytes is used as a ring: a message begins at position .start, bytes beyond
 * the end continue at 0. Every access is masked, so no input leaves the buffer. Loops keep their
 * state in struct l7_msg, never in locals: the verifier then walks them once. Pure: compiles for
 * BPF, unit tests, fuzzers and the loader (there L7_BUF_SIZE may be larger).
 */
#ifndef WEIR_BPF_L7_BUF_H
#define WEIR_BPF_L7_BUF_H

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

#endif
