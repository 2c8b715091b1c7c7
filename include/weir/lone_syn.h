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

/* What is kept of a SYN. Addresses and ports as they are on the wire, source first. */
struct lone_syn {
	__u32 src;
	__u32 dst;
	__u32 ports; /* the source's in the low half */
	__u32 ifindex;
	__u32 dir;   /* in the flow's key */
	__u32 bytes; /* of the IP packet */
	__u32 now;   /* tick */
	__u32 seq;
	__u64 ns; /* fine clock */
	__u8 ttl;
	__u8 dscp;
	__u8 hook; /* enum weir_hook */
};

/* All of an entry but its tag. */
static inline __attribute__((__always_inline__)) void lone_syn_pack(struct flow_hot *h,
								    const struct lone_syn *syn)
{
	__u32 d = syn->dir & 1, back = d ^ 1, ports = syn->ports;
	__u32 swap = (syn->src ^ syn->dst) & -d; /* as the key has them, without a branch */

	h->bytes[d] = syn->bytes;
	h->bytes[back] = (syn->src ^ swap) | (__u64)(syn->dst ^ swap) << 32;
	h->packets[d] = 1;
	h->packets[back] = syn->ns >> LONE_SYN_SHIFT;
	h->last[d] = syn->now;
	h->last[back] = ports << (d << 4) | (__u64)ports >> (32 - (d << 4));
	h->next_seq[d] = syn->seq + 1;
	h->next_seq[back] = syn->ifindex;
	h->tcp_flags[d] = 2;
	h->tcp_flags[back] = 0;
	h->ttl[d] = syn->ttl;
	h->ttl[back] = syn->dscp << 2 | syn->hook;
	h->dscp[0] = h->dscp[1] = LONE_SYN_DSCP;
	h->l7 = L7_WANT_0 | L7_WANT_1;
	h->extra = EXTRA_LONE;
	h->policy = 0;
	h->cold_changes = 1;
}

/* Its time by the fine clock, by which it is @now, not much later. */
static inline __attribute__((__always_inline__)) __u64 lone_syn_ns(const struct flow_hot *h,
								   __u64 now)
{
	__u32 age = (__u32)(now >> LONE_SYN_SHIFT) - h->packets[(lone_syn_dir(h) & 1) ^ 1];

	return ((now >> LONE_SYN_SHIFT) - age) << LONE_SYN_SHIFT;
}

/**
 * lone_syn_cold - the cold half that a packed entry stands for
 * @c:   all zero, or the key's key and else zero
 * @now: fine clock, not much later than the SYN's
 */
static inline __attribute__((__always_inline__)) void lone_syn_cold(const struct flow_hot *h,
								    struct flow_cold *c, __u64 now)
{
	__u32 d = lone_syn_dir(h) & 1, back = d ^ 1;

	for (int i = 0; i < 2; i++) {
		c->key.addr[i][10] = c->key.addr[i][11] = 0xff;
		*(lone_syn_u32 *)(c->key.addr[i] + 12) = h->bytes[back] >> 32 * i;
	}
	c->key.port[0] = h->last[back];
	c->key.port[1] = h->last[back] >> 16;
	c->key.ifindex = h->next_seq[back];
	c->key.ethertype = 0x0800;
	c->key.proto = 6;
	c->syn_ns = lone_syn_ns(h, now);
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
