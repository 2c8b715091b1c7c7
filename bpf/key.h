/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * key.h - order and hash of flow keys. Pure.
 *
 * The hash is NH (UMAC, RFC 4418 section 5.2.2): a sum of 32x32-bit products of keyed words, so
 * whoever does not know the seed can't aim flows at one set; two rounds of multiply and shift
 * spread it. The fast path hashes from registers with the same terms, so both must agree:
 * tests/bpf compares them on every frame.
 */
#ifndef WEIR_BPF_KEY_H
#define WEIR_BPF_KEY_H

#include "pkt.h"

#define KEY_HASH_MULT 0x9e3779b97f4a7c15ULL

#define KEY_ETH_IP6 0x86dd

static __always_inline __u64 nh(__u32 a, __u32 b, __u64 k)
{
	return (__u64)(__u32)(a + (__u32)k) * (__u32)(b + (__u32)(k >> 32));
}

static __always_inline __u64 key_finish(__u64 h)
{
	h ^= h >> 32;
	h *= KEY_HASH_MULT;
	return h ^ h >> 29;
}

/* Terms every key has. ports: port[0] in the low half; meta: proto and both VLAN ids. */
static __always_inline __u64 key_terms(__u32 addr0, __u32 addr1, __u32 ports, __u32 meta,
				       __u32 ifindex, __u32 ethertype, const volatile __u64 *seed)
{
	return nh(addr0, addr1, seed[0]) + nh(ports, meta, seed[1]) +
	       nh(ifindex, ethertype, seed[2]);
}

static __always_inline __u32 key_meta(__u8 proto, __u16 vlan0, __u16 vlan1)
{
	return proto | (__u32)vlan0 << 8 | (__u32)vlan1 << 20;
}

/* Addresses in a flow_key are 4-byte aligned; saying so spares the BPF target byte loads. */
typedef __u64 __attribute__((may_alias, aligned(4))) key_u64;
typedef __u32 __attribute__((may_alias, aligned(4))) key_u32;

static __always_inline __u64 key_load64(const __u8 *p)
{
	return *(const key_u64 *)p;
}

static __always_inline __u32 key_load32(const __u8 *p)
{
	return *(const key_u32 *)p;
}

/* 1 if @a > @b, without a branch: which endpoint comes first is a coin toss for the predictor. */
static __always_inline __u32 key_greater(__u32 a, __u32 b)
{
	__u64 d = (__u64)b - a;

	asm("" : "+r"(d)); /* else the compiler makes it a branch again */
	return d >> 63;
}

/* Order of endpoints: last word of the address, then the words before it, then the port. */
static __always_inline __u32 key_swapped(const key_u32 *a, const key_u32 *b, __u16 port0,
					 __u16 port1)
{
	if (a[3] != b[3])
		return key_greater(a[3], b[3]);
	if (a[2] != b[2])
		return key_greater(a[2], b[2]);
	if (a[1] != b[1])
		return key_greater(a[1], b[1]);
	if (a[0] != b[0])
		return key_greater(a[0], b[0]);
	return port0 > port1;
}

/* Direction of a packet whose key is as on the wire: 1 if the flow's key has it reversed. */
static __always_inline int key_dir(const struct flow_key *k)
{
	return key_swapped((const key_u32 *)k->addr[0], (const key_u32 *)k->addr[1], k->port[0],
			   k->port[1]);
}

/**
 * key_order - make the key of a packet the key of its flow
 * @k: source first, as on the wire; ordered on return
 *
 * Return: direction of the packet in the ordered key: 0, or 1 if the endpoints were exchanged.
 */
static __always_inline int key_order(struct flow_key *k)
{
	__u64 hi0 = key_load64(k->addr[0]), lo0 = key_load64(k->addr[0] + 8);
	__u64 hi1 = key_load64(k->addr[1]), lo1 = key_load64(k->addr[1] + 8);
	__u16 port = k->port[0];

	if (!key_dir(k))
		return 0;
	*(key_u64 *)k->addr[0] = hi1;
	*(key_u64 *)(k->addr[0] + 8) = lo1;
	*(key_u64 *)k->addr[1] = hi0;
	*(key_u64 *)(k->addr[1] + 8) = lo0;
	k->port[0] = k->port[1];
	k->port[1] = port;
	return 1;
}

/**
 * key_hash - hash of a flow
 * @k:    ordered, or as on the wire
 * @dir:  0 if ordered, else key_dir(k)
 * @seed: 12 words, random per boot
 */
static __always_inline __u64 key_hash(const struct flow_key *k, int dir, const volatile __u64 *seed)
{
	const __u8 *a = k->addr[dir & 1], *b = k->addr[!dir], *t = k->tun_src;
	__u64 h = key_terms(key_load32(a + 12), key_load32(b + 12),
			    k->port[dir & 1] | (__u32)k->port[!dir] << 16,
			    key_meta(k->proto, k->vlan[0], k->vlan[1]), k->ifindex, k->ethertype,
			    seed);

	if (k->ethertype == KEY_ETH_IP6) {
		h += nh(key_load32(a), key_load32(b), seed[3]);
		h += nh(key_load32(a + 4), key_load32(b + 4), seed[4]);
		h += nh(key_load32(a + 8), key_load32(b + 8), seed[5]);
	}
	if (k->tun_type) {
		h += nh(k->vni, k->tun_type, seed[6]);
		h += nh(key_load32(t), key_load32(t + 4), seed[7]);
		h += nh(key_load32(t + 8), key_load32(t + 12), seed[8]);
	}
	return key_finish(h);
}

#endif
