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
#include "weir/lone_syn.h"

/* Is it a SYN that a flow may begin with, and nothing more? */
static __always_inline int syn_is_bare(const struct l4 *l)
{
	return unlikely(l->tcp_flags == TCP_SYN) && l->proto == IPPROTO_TCP && !l->payload_len;
}

/* Slot of a flow's first place; the other is its neighbour. */
static __always_inline __u32 syn_slot(__u64 hash)
{
	__u32 set = cfg_syn_set + (region_id() << cfg_syn_bits);

	return set * WEIR_WAYS + (hash >> (60 - cfg_syn_bits));
}

/* Ticks since the SYN in an entry. */
static __always_inline __u32 syn_age(const struct flow_hot *h, __u32 now)
{
	return tick_age(lone_syn_dir(h) ? h->last[1] : h->last[0], now);
}

/* Entry of the flow's SYN, or NULL: it is not here. */
static __always_inline struct flow_hot *syn_find(__u64 hash, __u32 *ret_slot)
{
	__u32 slot = syn_slot(hash);
	struct flow_hot *h;

	for (__u32 i = 0; i < 2; i++) {
		*ret_slot = slot ^ i;
		h = hot_get(slot ^ i);
		if (h && tag_matches(h->tag, hash) && !(h->extra & EXTRA_MOVED))
			return h;
	}
	return 0;
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

/* May it be written over? All has been read of it, or there is nothing. */
static __always_inline int syn_is_free(const struct flow_hot *h, __u32 now)
{
	struct control *c = control_get();

	return !h->tag || h->extra & EXTRA_MOVED ||
	       (c && c->reap_valid && syn_age(h, now) > now - c->reap_before);
}

/* A place for a new SYN, or NULL: none without a loss. @ret_slot: which */
static __always_inline struct flow_hot *syn_take(const struct scratch *s, __u32 *ret_slot)
{
	__u32 slot = syn_slot(s->hash);
	struct flow_hot *h = hot_get(slot), *other = hot_get(slot ^ 1);

	if (!h || !other)
		return 0;
	*ret_slot = slot;
	if (syn_is_free(h, s->now))
		return h;
	if (syn_is_free(other, s->now) || syn_age(other, s->now) > syn_age(h, s->now)) {
		*ret_slot = slot ^ 1;
		h = other;
		if (syn_is_free(h, s->now))
			return h;
	}
	if (syn_evict(h, *ret_slot, 0))
		return 0;
	count(CNT_EVICTED, 1);
	return h;
}

/* A flow begins. 0, or -1: there is no room for it. */
static __always_inline int syn_insert(struct scratch *s)
{
	__u32 d = s->dir & 1;
	struct flow_hot *h = syn_take(s, &s->slot);
	__u64 old;

	if (!h) {
		s->slot = CACHE_MISS;
		return -1;
	}
	old = cache_close(h);
	h->bytes[d] = s->bytes;
	h->packets[d] = 1;
	h->last[d] = s->now;
	h->next_seq[d] = s->l4.seq + 1;
	h->tcp_flags[d] = TCP_SYN;
	h->ttl[d] = s->l4.ttl;
	h->l7 = L7_WANT_0 | L7_WANT_1;
	h->extra = 0;
	h->cold_changes = 1;
	lone_syn_pack(h, &s->pkt.key, s->ns, s->l4.dscp, s->hook & 3);
	cache_open(h, old, s->hash);
	return 0;
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
