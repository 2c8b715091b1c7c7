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
#include "syn.h"

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
	return syn_is_bare(l) && !h->packets[d];
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

/* First packet of a new life in an entry; @c has the flow's key, @syn: what there was of it, or NULL. */
static __always_inline void flow_begin(struct flow_hot *h, struct flow_cold *c,
				       const struct scratch *s, const struct flow_hot *syn)
{
	__u8 budget = s->l4.proto == IPPROTO_UDP ? L7_DATAGRAMS : L7_SEGMENTS;
	__u64 old = cache_close(h);
	__u32 d = s->dir & 1;

	cache_clear(h, c, s->slot);
	c->l7_budget[0] = c->l7_budget[1] = budget;
	c->sampling = cfg_sample;
	c->init_dir = d;
	c->icmp_type = s->l4.icmp_type;
	c->icmp_code = s->l4.icmp_code;
	h->l7 = L7_WANT_0 | L7_WANT_1;
	if (syn)
		syn_resume(h, c, syn);
	flow_account(h, c, s, d);
	cache_open(h, old, s->hash);
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
	flow_begin(h, c, s, 0);
}

/*
 * First entry in the cache of the flow of the packet in scratch->pkt. @from: slot of its SYN, or
 * CACHE_MISS. Return 1 if it was written. Global: verified once, not for every way that leads here.
 */
__noinline int flow_enter(__u32 from)
{
	struct scratch *s = scratch_get();
	struct set_marks *m;
	struct flow_set *set;
	struct flow_cold *c;
	__u32 index, way;

	if (!s)
		return 0;
	index = cache_set(region_id(), s->hash);
	set = bpf_map_lookup_elem(&flows, &index);
	m = bpf_map_lookup_elem(&marks, &index);
	if (!set || !m)
		return 0;
	way = cache_take(set, m, index, s);
	if (way >= WEIR_WAYS) {
		flow_lost(s);
		return 0;
	}
	way = way_bound(way);
	s->slot = index * WEIR_WAYS + way;
	c = cold_get(s->slot);
	if (!c)
		return 0;
	m->way[way] = cache_mark(s->hash);
	c->key = s->pkt.key;
	key_order(&c->key);
	flow_begin(&set->way[way], c, s, from == CACHE_MISS ? 0 : hot_get(from));
	return 1;
}

/* Is this packet of another connection than the SYN that waits? */
static __always_inline int flow_is_other(const struct flow_hot *syn, const struct scratch *s)
{
	return syn_age(syn, s->now) > cfg_idle_ticks;
}

/* A SYN alone, that nothing but its count is to be remembered of. */
static __always_inline int flow_may_wait(const struct scratch *s)
{
	return syn_is_bare(&s->l4) && s->segs == 1 && cfg_sample <= 1 && !(cfg_enforce && s->would);
}

/*
 * It waits for the second packet of its flow. Return 0, or 1: the ring is full. Global: its frame is on no
 * other way.
 */
__noinline int flow_wait(void)
{
	struct scratch *s = scratch_get();
	struct lone_syn syn;
	struct flow_key *k;
	struct syn_pair p;
	struct flow_hot *h;

	if (!s || syn_pair(s->hash, &p))
		return 1;
	h = syn_take(&p, s->now, &s->slot);
	if (!h)
		return 1;
	k = &s->pkt.key;
	syn = (struct lone_syn){.src = key_load32(k->addr[0] + 12),
				.dst = key_load32(k->addr[1] + 12),
				.ports = k->port[0] | (__u32)k->port[1] << 16,
				.ifindex = k->ifindex,
				.dir = s->dir,
				.bytes = s->bytes,
				.now = s->now,
				.seq = s->l4.seq,
				.ns = s->ns,
				.ttl = s->l4.ttl,
				.dscp = s->l4.dscp,
				.hook = s->hook & 3};
	syn_write(h, s->hash, &syn);
	return 0;
}

/*
 * The packet in scratch->pkt is of no flow of the cache. It may be the second of one whose SYN waits.
 * Return 1 if an entry was written.
 */
static __always_inline int flow_insert(struct scratch *s)
{
	struct flow_hot *syn = 0;
	struct syn_pair p;
	__u32 slot;

	s->slot = CACHE_MISS;
	s->pkt.key.netns = cfg_netns;
	s->dir = key_dir(&s->pkt.key) & 1;
	if (s->l4.proto == IPPROTO_TCP && lone_syn_fits(&s->pkt.key) && !syn_pair(s->hash, &p)) {
		syn = syn_find(&p, s->hash, &slot);
		if (syn && flow_is_other(syn, s)) {
			/* over: its record goes out, and its place is free */
			if (syn_evict(syn, slot, 0)) {
				flow_lost(s);
				return 0;
			}
			count(CNT_EVICTED, 1);
			syn->extra |= EXTRA_MOVED;
			syn = 0;
		}
		if (syn && syn_leave(syn, slot)) {
			flow_lost(s);
			return 0;
		}
		if (!syn && flow_may_wait(s)) {
			if (!flow_wait())
				return 1;
			flow_lost(s);
			return 0;
		}
	}
	if (!syn)
		count(CNT_INSERTS, 1);
	return flow_enter(syn ? slot : CACHE_MISS);
}

/* Would the SYN that waits begin another connection than the entry's? */
static __always_inline int flow_is_before(const struct flow_hot *h, const struct flow_hot *syn,
					  __u32 now)
{
	const struct l4 l = {.tcp_flags = TCP_SYN};

	return hot_age(h, now) > cfg_idle_ticks ||
	       tcp_is_new_connection(h, &l, lone_syn_dir(syn) & 1);
}

/* A SYN that waited was one more of the entry's connection: all that is to say of it but its counts. */
static __always_inline void flow_repeat(struct flow_hot *h, struct flow_cold *c,
					const struct flow_hot *syn)
{
	__u32 d = lone_syn_dir(syn) & 1;
	const struct l4 l = {.seq = syn->next_seq[d] - 1, .tcp_flags = TCP_SYN};

	h->extra |= EXTRA_TAIL;
	tcp_handshake(h, c, &l, d, lone_syn_ns(syn, now_ns()));
	tcp_sequence(h, c, &l, d, 1);
	h->tcp_flags[d] |= TCP_SYN;
	h->cold_changes++;
}

/*
 * An entry of the cache, and a packet that isn't the next: a SYN of its flow that took the short way goes
 * along. Return: 1 if the packet is accounted, in a life that began with that SYN. Global: its frame is on
 * no other way.
 */
__noinline int flow_rejoin(void)
{
	struct scratch *s = scratch_get();
	struct flow_hot *h, *syn;
	struct flow_cold *c;
	struct syn_pair p;
	__u32 slot;

	if (!s || syn_pair(s->hash, &p))
		return 0;
	syn = syn_find(&p, s->hash, &slot);
	h = hot_get(s->slot);
	c = cold_get(s->slot);
	if (!syn || !h || !c || flow_is_other(syn, s))
		return 0;
	if (!flow_is_before(h, syn, s->now)) {
		if (!syn_leave(syn, slot))
			flow_repeat(h, c, syn);
		return 0;
	}
	/* the old life goes out first: its end tells the loader that the SYN is of another */
	if (hot_is_read(h, s->now))
		count(CNT_REUSED, 1);
	else if (cache_evict(h, s->slot))
		return 0;
	count(CNT_RENEWED, 1);
	flow_begin(h, c, s, syn_leave(syn, slot) ? 0 : syn);
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
	if (s->l4.proto == IPPROTO_TCP && flow_rejoin())
		return;
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
