/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * lone_syn.h - a flow of which nothing has come but the SYN that begins it. Over plain IPv4 all there
 * is to say of it fits the hot line, in the place of the direction that nothing came from: a SYN flood
 * touches no cold line. The flow's second packet gives it a cold half as any other has.
 *
 * Its DSCP is one that no packet has, so that no packet is an ordinary one of such a flow. Pure: the
 * programs pack and unpack, the loader unpacks what it has copied.
 */
#ifndef WEIR_LONE_SYN_H
#define WEIR_LONE_SYN_H

#include "weir/abi.h"

#define LONE_SYN_DSCP 0xff
typedef __u32 __attribute__((may_alias, aligned(4))) lone_syn_u32;

#define LONE_SYN_SHIFT 8 /* its time is kept in 256 ns, modulo 1,100 s: for round trips */

/* Can a flow with this key begin so? */
static inline __attribute__((__always_inline__)) int lone_syn_fits(const struct flow_key *k)
{
	return k->ethertype == 0x0800 && !k->tun_type && !k->vlan[0] && !k->netns;
}

static inline __attribute__((__always_inline__)) int lone_syn_is(const struct flow_hot *h)
{
	return !!(h->extra & EXTRA_LONE);
}

/* Direction of the SYN. */
static inline __attribute__((__always_inline__)) __u32 lone_syn_dir(const struct flow_hot *h)
{
	return h->tcp_flags[1] != 0;
}

/**
 * lone_syn_pack - make an entry that holds the SYN's counts, sequence, flags and TTL complete
 * @k:    the packet's key, source first, one that fits
 * @ns:   fine clock of the SYN
 * @hook: enum weir_hook
 */
static inline __attribute__((__always_inline__)) void lone_syn_pack(struct flow_hot *h,
								    const struct flow_key *k,
								    __u64 ns, __u8 dscp, __u8 hook)
{
	__u32 d = lone_syn_dir(h) & 1, back = d ^ 1;

	h->bytes[back] = *(const lone_syn_u32 *)(k->addr[d] + 12) |
			 (__u64) * (const lone_syn_u32 *)(k->addr[back] + 12) << 32;
	h->packets[back] = ns >> LONE_SYN_SHIFT;
	h->last[back] = k->port[d] | (__u32)k->port[back] << 16;
	h->next_seq[back] = k->ifindex;
	h->ttl[back] = dscp << 2 | hook;
	h->dscp[0] = h->dscp[1] = LONE_SYN_DSCP;
	h->extra |= EXTRA_LONE;
}

/**
 * lone_syn_cold - the cold half that a packed entry stands for
 * @c:   all zero, or the key's key and else zero
 * @now: fine clock, not much later than the SYN's
 */
static inline __attribute__((__always_inline__)) void lone_syn_cold(const struct flow_hot *h,
								    struct flow_cold *c, __u64 now)
{
	__u32 d = lone_syn_dir(h) & 1, back = d ^ 1, age;

	for (int i = 0; i < 2; i++) {
		c->key.addr[i][10] = c->key.addr[i][11] = 0xff;
		*(lone_syn_u32 *)(c->key.addr[i] + 12) = h->bytes[back] >> 32 * i;
	}
	c->key.port[0] = h->last[back];
	c->key.port[1] = h->last[back] >> 16;
	c->key.ifindex = h->next_seq[back];
	c->key.ethertype = 0x0800;
	c->key.proto = 6;
	age = (__u32)(now >> LONE_SYN_SHIFT) - h->packets[back];
	c->syn_ns = ((now >> LONE_SYN_SHIFT) - age) << LONE_SYN_SHIFT;
	c->first[d] = h->last[d];
	c->base_seq[d] = h->next_seq[d];
	c->ttl_min[d] = c->ttl_max[d] = h->ttl[d];
	c->init_dir = d;
	c->init_why = INIT_SYN;
	c->seq_known = 1u << d | 1u << (d + 2);
	c->hooks = 1u << (h->ttl[back] & 3);
}

/* DSCP of the SYN. */
static inline __attribute__((__always_inline__)) __u8 lone_syn_dscp(const struct flow_hot *h)
{
	return h->ttl[lone_syn_dir(h) ^ 1] >> 2;
}

/* Both halves; @h: packed, as any other entry on return. Else as lone_syn_cold(). */
static inline __attribute__((__always_inline__)) void lone_syn_unpack(struct flow_hot *h,
								      struct flow_cold *c,
								      __u64 now)
{
	__u32 d = lone_syn_dir(h) & 1, back = d ^ 1;

	lone_syn_cold(h, c, now);
	h->dscp[d] = lone_syn_dscp(h);
	h->dscp[back] = 0;
	h->ttl[back] = 0;
	h->bytes[back] = 0;
	h->packets[back] = 0;
	h->last[back] = 0;
	h->next_seq[back] = 0;
	h->extra &= EXTRA_MOVED;
}

#endif
