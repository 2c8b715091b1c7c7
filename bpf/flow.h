/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * flow.h - the rare things in a flow's life: its first packet (flow_insert), and whatever is not
 * the next ordinary packet (flow_event). Called through global functions, with the packet's facts
 * in the per-CPU scratch.
 */
#ifndef WEIR_BPF_FLOW_H
#define WEIR_BPF_FLOW_H

#include <linux/in.h>
#include <linux/in6.h>
#include "cache.h"

static __always_inline void flow_lost(const struct scratch *s)
{
	count(CNT_LOST_PACKETS, s->segs);
	count(CNT_LOST_BYTES, s->bytes);
}

/* An echo request (or its like) says who asked. */
static __always_inline int icmp_is_request(__u8 proto, __u8 type)
{
	if (proto == IPPROTO_ICMP)
		return type == 8 || type == 13 || type == 15 || type == 17;
	return proto == IPPROTO_ICMPV6 && (type == 128 || type == 133 || type == 135);
}

/* First packet of a direction. */
static __always_inline void flow_first(struct flow_hot *h, struct flow_cold *c,
				       const struct scratch *s, __u32 d)
{
	c->first[d] = s->now;
	c->ttl_min[d] = c->ttl_max[d] = s->l4.ttl;
	h->ttl[d] = s->l4.ttl;
	h->dscp[d] = s->l4.dscp;
	if (icmp_is_request(s->l4.proto, s->l4.icmp_type)) {
		c->init_dir = d;
		c->init_why = INIT_ICMP;
		c->icmp_type = s->l4.icmp_type;
		c->icmp_code = s->l4.icmp_code;
	}
}

/* What a TCP header says. Without flags it was cut short, or no stack sent it: it has no say. */
static __always_inline void flow_tcp(struct flow_hot *h, struct flow_cold *c,
				     const struct scratch *s, __u32 d)
{
	const struct l4 *l = &s->l4;

	if (l->proto != IPPROTO_TCP || !l->tcp_flags)
		return;
	if (l->tcp_flags & ~h->tcp_flags[d] || l->tcp_flags & TCP_SYN)
		tcp_handshake(h, c, l, d, now_ns());
	tcp_sequence(h, c, l, d, s->segs);
	if (!l->window && !(l->tcp_flags & (TCP_SYN | TCP_RST)))
		c->zero_windows[d]++;
	h->tcp_flags[d] |= l->tcp_flags;
}

/* Is it the SYN that begins a direction, and nothing more? */
static __always_inline int flow_is_bare_syn(const struct flow_hot *h, const struct l4 *l, __u32 d)
{
	return l->proto == IPPROTO_TCP && l->tcp_flags == TCP_SYN && !l->payload_len &&
	       !h->packets[d];
}

/* Account the packet in an open entry; everything that the fast path leaves out. */
static __always_inline void flow_account(struct flow_hot *h, struct flow_cold *c,
					 const struct scratch *s, __u32 d)
{
	const struct l4 *l = &s->l4;

	if (!h->packets[d])
		flow_first(h, c, s, d);
	if (l->ttl != h->ttl[d]) {
		h->ttl[d] = l->ttl;
		if (l->ttl < c->ttl_min[d])
			c->ttl_min[d] = l->ttl;
		if (l->ttl > c->ttl_max[d])
			c->ttl_max[d] = l->ttl;
	}
	h->dscp[d] = l->dscp;
	c->hooks |= 1u << (s->hook & 7);
	flow_tcp(h, c, s, d);
	if (l->payload_len && !c->payload_ns[d])
		c->payload_ns[d] = now_ns();
	if (!flow_is_bare_syn(h, l, d))
		h->extra |= EXTRA_TAIL;
	h->bytes[d] += s->bytes;
	h->packets[d] += s->segs;
	h->last[d] = s->now;
	h->cold_changes++;
}

/* First packet of a new life in an entry; @c has the flow's key, @old: what cache_close() returned. */
static __always_inline void flow_begin(struct flow_hot *h, struct flow_cold *c,
				       const struct scratch *s, __u32 d, __u64 old)
{
	__u8 budget = s->l4.proto == IPPROTO_UDP ? L7_DATAGRAMS : L7_SEGMENTS;

	cache_clear(h, c, s->slot);
	c->l7_budget[0] = c->l7_budget[1] = budget;
	c->sampling = cfg_sample;
	c->init_dir = d;
	c->icmp_type = s->l4.icmp_type;
	c->icmp_code = s->l4.icmp_code;
	h->l7 = L7_WANT_0 | L7_WANT_1;
	flow_account(h, c, s, d);
	cache_open(h, old, s->hash);
}

/* Does the flow begin in its hot line alone? @k: its key. */
static __always_inline int flow_is_lone_syn(const struct flow_key *k, const struct l4 *l,
					    __u32 segs)
{
	return cfg_sample <= 1 && segs == 1 && l->proto == IPPROTO_TCP && l->tcp_flags == TCP_SYN &&
	       !l->payload_len && lone_syn_fits(k);
}

static __always_inline void flow_begin_lone(struct flow_hot *h, const struct scratch *s, __u32 d,
					    __u64 old)
{
	h->bytes[d] = s->bytes;
	h->packets[d] = 1;
	h->last[d] = s->now;
	h->next_seq[d] = s->l4.seq + 1;
	h->tcp_flags[d] = TCP_SYN;
	h->ttl[d] = s->l4.ttl;
	h->l7 = L7_WANT_0 | L7_WANT_1;
	h->cold_changes = 1;
	lone_syn_pack(h, &s->pkt.key, now_ns(), s->l4.dscp, s->hook & 3);
	cache_open(h, old, s->hash);
}

/* A second packet has come: two halves. Readers see nothing in between; the generation stays. */
static __always_inline void flow_unpack(struct flow_hot *h, struct flow_cold *c, __u32 slot)
{
	__u64 tag = __sync_lock_test_and_set(&h->tag, 0);

	cache_clear(h, c, slot);
	__builtin_memset(&c->key, 0, sizeof(c->key));
	lone_syn_unpack(h, c, now_ns());
	c->l7_budget[0] = c->l7_budget[1] = L7_SEGMENTS;
	c->sampling = cfg_sample;
	__sync_lock_test_and_set(&h->tag, tag);
}

/* Start anew in place: the old life is over and read, or its final record is in the ring. */
static __always_inline void flow_renew(struct flow_hot *h, struct flow_cold *c,
				       const struct scratch *s, __u32 d)
{
	if (hot_is_read(h, s->now)) {
		count(CNT_REUSED, 1);
	} else if (cache_evict(h, s->slot)) {
		flow_account(h, c, s, d); /* no room for the record: the old life goes on */
		return;
	}
	count(CNT_RENEWED, 1);
	flow_begin(h, c, s, d, cache_close(h));
}

/* Insert the flow of the packet in scratch->pkt. Returns 1 if an entry was written. */
static __always_inline int flow_insert(struct scratch *s)
{
	__u32 index = cache_set(region_id(), s->hash), own = cache_own_way(s->hash), way, d;
	struct flow_set *set = bpf_map_lookup_elem(&flows, &index);
	struct flow_hot *h;
	struct flow_cold *c;
	__u64 old;

	s->slot = CACHE_MISS;
	if (!set)
		return 0;
	way = cache_take(set, index, own, s->now);
	if (way >= WEIR_WAYS) {
		flow_lost(s);
		return 0;
	}
	way = way_bound(way);
	s->slot = index * WEIR_WAYS + way;
	c = cold_get(s->slot);
	if (!c)
		return 0;
	cache_move_in(set, way, own);
	h = &set->way[way];
	old = cache_close(h);
	s->pkt.key.netns = cfg_netns;
	d = key_dir(&s->pkt.key) & 1;
	s->dir = d;
	count(CNT_INSERTS, 1);
	if (flow_is_lone_syn(&s->pkt.key, &s->l4, s->segs)) {
		flow_begin_lone(h, s, d, old);
		return 1;
	}
	c->key = s->pkt.key;
	key_order(&c->key);
	flow_begin(h, c, s, d, old);
	return 1;
}

/* A packet of a known flow that is out of the ordinary. */
static __always_inline void flow_update(struct scratch *s)
{
	struct flow_hot *h = hot_get(s->slot);
	struct flow_cold *c = cold_get(s->slot);
	__u32 d = s->dir & 1;

	if (!h || !c)
		return;
	if (lone_syn_is(h))
		flow_unpack(h, c, s->slot);
	if (hot_age(h, s->now) > cfg_idle_ticks ||
	    (s->l4.proto == IPPROTO_TCP && tcp_is_new_connection(h, &s->l4, d)))
		flow_renew(h, c, s, d);
	else
		flow_account(h, c, s, d);
}

/* Does L7 want this packet's payload? */
static __always_inline int flow_wants_payload(const struct scratch *s)
{
	struct flow_hot *h = hot_get(s->slot);

	if (!h || !s->l4.payload_len || !(h->l7 & 1u << (s->dir & 1)))
		return 0;
	if (cfg_names)
		return 1;
	h->l7 &= ~(1u << (s->dir & 1));
	return 0;
}

#endif
