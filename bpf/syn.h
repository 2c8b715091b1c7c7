/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * syn.h - where flows wait of which nothing has come but the SYN: a small table of their own behind the
 * sets of the flow cache, one line each (lone_syn.h), small enough to stay in the CPU's cache. A flood
 * of SYNs costs the same whatever the number of live flows, and displaces none of them.
 *
 * Each flow has two places there; of two SYNs that stand in both the older goes out through the
 * `evicted` ring. The flow's next packet takes it to the flow cache: what has been counted of it goes
 * out the same way, marked EXTRA_MOVED, so that the loader counts it once wherever it has read it, and
 * what is known of it (times, sequence, who called) goes along.
 */
#ifndef WEIR_BPF_SYN_H
#define WEIR_BPF_SYN_H

#include "cache.h"
#include "fast.h"
#include "weir/lone_syn.h"

/* Is it a SYN that a flow may begin with, and nothing more? */
static __always_inline int syn_is_bare(const struct l4 *l)
{
	return unlikely(l->tcp_flags == TCP_SYN) && l->proto == IPPROTO_TCP && !l->payload_len;
}

/* The two places of a flow, in one set. */
struct syn_pair {
	struct flow_hot *own, *other;
	__u32 slot; /* of its own; the other's differs in the lowest bit */
};

/* 0, or -1: there are none. */
static __always_inline int syn_pair(__u64 hash, struct syn_pair *p)
{
	__u32 index = cfg_syn_set + (region_id() << cfg_syn_bits), way;
	struct flow_set *set;

	way = hash >> (60 - cfg_syn_bits);
	index += way / WEIR_WAYS;
	set = bpf_map_lookup_elem(&flows, &index);
	if (!set)
		return -1;
	way = way_bound(way);
	p->own = &set->way[way];
	p->other = &set->way[way ^ 1];
	p->slot = index * WEIR_WAYS + way;
	return 0;
}

/* Ticks since the SYN in an entry. */
static __always_inline __u32 syn_age(const struct flow_hot *h, __u32 now)
{
	return tick_age(lone_syn_dir(h) ? h->last[1] : h->last[0], now);
}

/* Is it the flow's? */
static __always_inline int syn_matches(const struct flow_hot *h, __u64 hash)
{
	return tag_matches(h->tag, hash) && !(h->extra & EXTRA_MOVED);
}

/* Entry of the flow's SYN, or NULL: it is not here. */
static __always_inline struct flow_hot *syn_find(const struct syn_pair *p, __u64 hash,
						 __u32 *ret_slot)
{
	*ret_slot = p->slot;
	if (syn_matches(p->own, hash))
		return p->own;
	*ret_slot ^= 1;
	return syn_matches(p->other, hash) ? p->other : 0;
}

/* Final record to the ring. 0, or -1: it is full. @extra: EXTRA_MOVED or 0 */
static __always_inline int syn_evict(const struct flow_hot *hot, __u32 slot, __u8 extra)
{
	struct flow_final *f = bpf_ringbuf_reserve(&evicted, offsetof(struct flow_final, cold), 0);

	if (!f)
		return -1;
	f->slot = slot;
	f->pad = 0;
	f->hot = *hot;
	f->hot.extra |= extra;
	bpf_ringbuf_submit(f, ring_wakeup());
	return 0;
}

/* May it be written over? All has been read of it, or there is nothing. @read: ticks after which all is */
static __always_inline int syn_is_free(const struct flow_hot *h, __u32 age, __u32 read)
{
	return !h->tag || h->extra & EXTRA_MOVED || age > read;
}

/*
 * A place for a new SYN: of the flow's two the first that is free, else that of the older, which goes out.
 * NULL: the ring is full.
 */
static __always_inline struct flow_hot *syn_take(const struct syn_pair *p, __u32 now,
						 __u32 *ret_slot)
{
	struct control *c = control_get();
	__u32 age = syn_age(p->own, now), other, read;

	if (!c)
		return 0;
	read = c->reap_valid ? now - c->reap_before : ~0u;
	*ret_slot = p->slot;
	if (syn_is_free(p->own, age, read))
		return p->own;
	other = syn_age(p->other, now);
	if (syn_is_free(p->other, other, read)) {
		*ret_slot ^= 1;
		return p->other;
	}
	*ret_slot ^= other > age;
	if (syn_evict(other > age ? p->other : p->own, *ret_slot, 0))
		return 0;
	count(CNT_EVICTED, 1);
	return other > age ? p->other : p->own;
}

/* A flow begins. */
static __always_inline void syn_write(struct flow_hot *h, __u64 hash, const struct lone_syn *syn)
{
	__u64 old = h->tag;

	tag_store(&h->tag, 0);
	lone_syn_pack(h, syn);
	cache_open(h, old, hash);
	count(CNT_INSERTS, 1);
}

/*
 * The short way of a bare SYN over plain IPv4, past all the rest. Whether the cache has its flow already is
 * not asked: where a million flows are live, that alone would cost as much as all else here. Of a flow that
 * went on from here lately this table knows; of any other the loader merges the SYN with the rest, as it
 * does with what another CPU has seen, unless the flow's next packet takes it along (flow_rejoin).
 * Global: verified once, for all hooks. Return: 1 if done; 0: there is more to it, or no room.
 */
__noinline int syn_short(const struct fast *f, __u32 ifindex, __u32 now, __u32 hook)
{
	struct scratch *s = scratch_get();
	struct syn_pair p;
	struct flow_hot *h;
	struct lone_syn syn;
	__u32 slot;

	if (!f || !s || syn_pair(f->hash, &p) || tag_matches(p.own->tag, f->hash) ||
	    tag_matches(p.other->tag, f->hash))
		return 0;
	h = syn_take(&p, now, &slot);
	if (!h)
		return 0;
	syn = (struct lone_syn){.src = f->src4,
				.dst = f->dst4,
				.ports = f->ports,
				.ifindex = ifindex,
				.dir = f->dir,
				.bytes = f->l4.ip_bytes,
				.now = now,
				.seq = f->l4.seq,
				.ns = s->ns,
				.ttl = f->l4.ttl,
				.dscp = f->l4.dscp,
				.hook = hook & 3};
	syn_write(h, f->hash, &syn);
	return 1;
}

/* The flow goes on in the flow cache. 0, or -1: the ring is full. */
static __always_inline int syn_leave(struct flow_hot *h, __u32 slot)
{
	if (syn_evict(h, slot, EXTRA_MOVED))
		return -1;
	h->extra |= EXTRA_MOVED;
	return 0;
}

/* What is known of a flow by its SYN, for its entry in the cache: all but what has been counted. */
static __always_inline void syn_resume(struct flow_hot *h, struct flow_cold *c,
				       const struct flow_hot *syn)
{
	__u32 d = lone_syn_dir(syn) & 1;

	lone_syn_cold(syn, c, now_ns());
	h->next_seq[d] = syn->next_seq[d];
	h->tcp_flags[d] = TCP_SYN;
	h->ttl[d] = syn->ttl[d];
	h->dscp[d] = lone_syn_dscp(syn);
	h->extra |= EXTRA_TAIL;
}

#endif
