/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * policy_key.h - keys and places in the tables of the verdicts: what the programs look up and the
 * loader writes must agree to the bit. Keyed by policy_control.seed, so that nobody who does not know
 * it finds two names of one key, or fills one bucket. Pure.
 */
#ifndef WEIR_BPF_POLICY_KEY_H
#define WEIR_BPF_POLICY_KEY_H

#include "key.h"
#include "weir/policy_map.h"

#define NAME_MULT0 0xd6e8feb86659fd93ULL
#define NAME_MULT1 0xa0761d6478bd642fULL

/* Where a key is: tag and first bucket. */
struct policy_place {
	__u32 tag; /* never 0 */
	__u32 bucket;
};

/*
 * Buckets are taken from the low bits, and lists are full of sequences that one multiplication by an
 * unlucky seed leaves in few of them: two rounds.
 */
static __always_inline __u64 policy_finish(__u64 h)
{
	h ^= h >> 32;
	h *= KEY_HASH_MULT;
	h ^= h >> 29;
	h *= NAME_MULT0;
	return h ^ h >> 32;
}

static __always_inline __u64 policy_nh(const __u64 *key, const volatile __u64 *seed)
{
	return nh(key[0], key[0] >> 32, seed[0]) + nh(key[1], key[1] >> 32, seed[1]);
}

/* @kind: enum policy_kind | prefix length << 8 */
static __always_inline struct policy_place policy_place(const __u64 *key, __u32 kind,
							const volatile __u64 *seed)
{
	__u64 h = policy_finish(policy_nh(key, seed) + nh(kind, ~kind, seed[2]));
	struct policy_place p = {.tag = h >> 32, .bucket = h};

	p.tag |= !p.tag;
	return p;
}

static __always_inline __u32 policy_second(struct policy_place p)
{
	return p.bucket ^ ((p.tag * 0x9e3779b1u) >> 7 | 1);
}

/*
 * Where the decision of a host stands if it can, or else beside that (^ 1), of @n that there is room for:
 * no index is needed then. Of the addresses alone, and quickly: whoever finds two of one home without
 * the seed has them looked up by the index.
 */
static __always_inline __u32 policy_home(const __u64 *key, const volatile __u64 *seed, __u32 n)
{
	__u64 h = (key[0] * NAME_MULT1 + key[1] + seed[0]) * KEY_HASH_MULT;

	h = (h ^ h >> 32) * NAME_MULT0;
	return ((h >> 32) * ((n - 1) & ~1u) >> 32) + 2;
}

/* First @bits bits of a 16-byte address, as two words in memory order. */
static __always_inline void policy_mask(__u32 bits, __u64 *ret)
{
	__u64 hi = bits >= 64 ? ~0ull : bits ? ~0ull << (64 - bits) : 0;
	__u64 lo = bits >= 128 ? ~0ull : bits > 64 ? ~0ull << (128 - bits) : 0;

#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	hi = __builtin_bswap64(hi);
	lo = __builtin_bswap64(lo);
#endif
	ret[0] = hi;
	ret[1] = lo;
}

/* Address, port (network order) and protocol, to 128 bits. */
static __always_inline void policy_port_key(const __u64 *addr, __u16 port, __u8 proto,
					    const volatile __u64 *seed, __u64 *ret)
{
	__u32 end = (__u32)proto << 16 | port;

	ret[0] = policy_finish(policy_nh(addr, seed + 3) + nh(end, KIND_ADDR_PORT, seed[5]));
	ret[1] = policy_finish(policy_nh(addr, seed + 6) + nh(end, KIND_ADDR_PORT, seed[8]));
}

/* A flow: both endpoints as key_order() has them; @ports: port[0] in the low half. */
static __always_inline void policy_flow_key(const __u64 *addr0, const __u64 *addr1, __u32 ports,
					    __u8 proto, const volatile __u64 *seed, __u64 *ret)
{
	ret[0] = policy_finish(policy_nh(addr0, seed + 3) + policy_nh(addr1, seed + 5) +
			       nh(ports, proto, seed[7]));
	ret[1] = policy_finish(policy_nh(addr0, seed + 8) + policy_nh(addr1, seed + 10) +
			       nh(ports, proto, seed[0]));
}

/* Names are hashed from their end, a byte (lower case) at a time. */
static __always_inline void policy_name_begin(const volatile __u64 *seed, __u64 *h)
{
	h[0] = seed[9];
	h[1] = seed[10];
}

static __always_inline void policy_name_byte(__u64 *h, __u8 c)
{
	h[0] = (h[0] ^ c) * NAME_MULT0;
	h[0] ^= h[0] >> 29;
	h[1] = (h[1] + c) * NAME_MULT1;
	h[1] ^= h[1] >> 31;
}

/* Bit of the presence map that speaks of an IPv4 address (as loaded from the packet). */
static __always_inline __u32 policy_presence4(__u32 addr)
{
#if __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
	addr = __builtin_bswap32(addr);
#endif
	return addr >> 8;
}

#define PRESENCE_HALF (PRESENCE_WORDS * 64u)

/* Of an IPv6 address. */
static __always_inline __u32 policy_presence6(const __u64 *addr, const volatile __u64 *seed)
{
	__u64 net[2] = {addr[0], 0}, mask[2];

	policy_mask(PRESENCE_BITS6, mask);
	net[0] &= mask[0];
	return PRESENCE_HALF + (policy_finish(policy_nh(net, seed)) >> 40);
}

/* Of a key that is a hash. */
static __always_inline __u32 policy_presence_key(const __u64 *key)
{
	return PRESENCE_HALF + (key[0] >> 40);
}

#endif
