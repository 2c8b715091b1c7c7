/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * entry.h - the way of a packet, the same on every hook: parse, find the flow, account. An
 * ordinary packet of a known flow touches its hot line and nothing else; the rest goes through the
 * scratch to the hook's slow function.
 */
#ifndef WEIR_BPF_ENTRY_H
#define WEIR_BPF_ENTRY_H

#include "fast.h"
#include "flow.h"
#include "gso.h"
#include "verdict.h"

/*
 * Facts of a packet on its way, on the stack of the entry program. Its address is given to a call (cpu, as a key), so
 * the compiler keeps it there: in registers, with what they spill, the frames of a chain of calls are too large.
 */
struct way {
	struct fast f;
	struct counter_row *row;
	__u32 cpu;
	__u32 now;
	__u32 segs;
	__u32 need;   /* bytes of the frame that its headers speak of; 0: no parser takes it */
	__u32 hook;   /* enum weir_hook */
	__u32 parsed; /* the full parser took it: scratch->pkt holds it */
	__u32 pass;   /* nibble of flow_hot.policy that lets the hook's packets pass */
	__u64 bytes;

	/* if cfg_enforce */
	__u32 verdict; /* enum packet_verdict */
	int answer;    /* VERDICT_RESET: what the program returns */
	__u64 active;  /* policy_control.active, read once; 0: nothing is in force */
	const struct policy_control *control;
	__u32 policy_now; /* policy clock, where there is a control */

	/* for recent.h */
	__u32 early; /* not just another packet of a long flow */
	__u32 noted; /* it is there already */

	__u32 layers; /* if cfg_rare: tunnels that were opened */
};

/* The full parser's result in place of parse_fast's. */
static __always_inline void way_from_full(struct way *w, const struct scratch *s)
{
	w->layers = s->pkt.layers;
	w->f.l4 = s->pkt.l4;
	w->f.dir = key_dir(&s->pkt.key);
	w->f.hash = key_hash(&s->pkt.key, w->f.dir, cfg_seed);
	w->f.src4 = 0;
	w->parsed = 1;
}

/* Has the flow no verdict of this generation, or one that isn't to pass? */
static __always_inline int hot_is_judged(const struct flow_hot *h, const struct way *w, __u32 d)
{
	return !cfg_enforce || !w->active ||
	       !((h->policy ^ ((__u32)w->active | w->pass << 4 * d)) & CACHED_MASK(d));
}

/* An entry seen from direction @d: element 0 of its arrays of @size bytes an element is that direction's. */
static __always_inline struct flow_hot *hot_side(const struct flow_hot *h, __u32 d, __u32 size)
{
	return (void *)h + d * size;
}

/* Is this packet something else than the next one of its direction? */
static __always_inline int hot_is_unusual(const struct flow_hot *h, const struct way *w, __u32 d)
{
	const struct flow_hot *h1 = hot_side(h, d, 1), *h4 = hot_side(h, d, 4);
	const struct l4 *l = &w->f.l4;

	if (!h4->packets[0] || l->ttl != h1->ttl[0] || l->dscp != h1->dscp[0] ||
	    w->now - h4->last[0] > cfg_idle_ticks)
		return 1;
	if (l->payload_len && h->l7 & 1u << d)
		return 1;
	return l->proto == IPPROTO_TCP && (l->tcp_flags & (~h1->tcp_flags[0] | TCP_SYN) ||
					   l->seq != h4->next_seq[0] || !l->window);
}

/*
 * Entry of a flow, or NULL. The marks name the way, so that what the CPU does next waits for no line of
 * the table: where its own way bears the flow's mark it is there but for one in some hundreds.
 */
static __always_inline struct flow_hot *way_find(const struct set_marks *m, const __u32 *index,
						 __u64 hash, __u32 *ret_n)
{
	__u32 n = cache_own_way(hash), own = m->way[n] == cache_mark(hash);
	struct flow_set *set;
	__u64 ways;

	if (unlikely(!own) && !marks_with(m, cache_mark(hash)))
		return 0;
	set = bpf_map_lookup_elem(&flows, index);
	if (!set)
		return 0;
	if (likely(own)) {
		*ret_n = n;
		if (likely(tag_matches(set->way[n].tag, hash)))
			return &set->way[n];
	}
	ways = marks_with(m, cache_mark(hash));
	for (__u32 i = 0; i < WEIR_WAYS && ways; i++) {
		n = marks_first(ways);
		*ret_n = n;
		if (likely(tag_matches(set->way[n].tag, hash)))
			return &set->way[n];
		ways &= ways - 1;
	}
	return 0;
}

/* Hand the packet to the slow function. */
static __always_inline void way_to_scratch(const struct way *w, struct scratch *s, __u32 slot)
{
	s->l4 = w->f.l4;
	s->hook = w->hook;
	s->parsed = w->parsed;
	s->slot = slot;
	s->dir = w->f.dir;
	s->now = w->now;
	s->segs = w->segs;
	s->bytes = w->bytes;
	s->hash = w->f.hash;
	if (cfg_enforce) {
		if (syn_is_bare(&w->f.l4) && !s->ns)
			s->ns = now_ns();
		s->active = w->active;
		s->verdict = VERDICT_PASS;
		s->would = 0;
	}
}

/* Is the flow dropped, by what still stands? Then the packet is counted as dropped. */
static __always_inline int way_drops(struct way *w, const struct flow_hot *h, __u32 slot)
{
	__u32 d = w->f.dir & 1;
	struct scratch *s;

	if (!cfg_enforce || (h->policy ^ (__u32)w->active) & CACHED_GENERATION ||
	    (h->policy >> 4 * d & 0xf) != (w->pass ^ CACHED_PASS ^ CACHED_DROP))
		return 0;
	s = scratch_get();
	if (!s)
		return 0;
	way_to_scratch(w, s, slot);
	if (!verdict_again())
		return 0;
	w->verdict = VERDICT_DROP;
	return 1;
}

/*
 * Account the packet if its flow is known and nothing is unusual about it.
 * Return: 1 if done; else 0 and @ret_slot names the entry, or is CACHE_MISS.
 */
static __always_inline int way_hit(struct way *w, __u32 *ret_slot)
{
	__u32 index = cache_set(w->cpu, w->f.hash), d = w->f.dir & 1, n;
	struct set_marks *m = bpf_map_lookup_elem(&marks, &index);
	struct flow_hot *h, *h4, *h8;

	*ret_slot = CACHE_MISS;
	if (!m)
		return 0;
	h = way_find(m, &index, w->f.hash, &n);
	if (!h)
		return 0;
	if (unlikely(hot_is_unusual(h, w, d) ||
		     (!hot_is_judged(h, w, d) && !way_drops(w, h, index * WEIR_WAYS + n)))) {
		*ret_slot = index * WEIR_WAYS + n;
		return 0;
	}
	h4 = hot_side(h, d, 4);
	h8 = hot_side(h, d, 8);
	/* in this order: who reads them the other way round never has a packet without its bytes */
	h8->bytes[0] += w->bytes;
	h4->packets[0] += w->segs;
	h4->last[0] = w->now;
	if (w->f.l4.proto == IPPROTO_TCP)
		h4->next_seq[0] = w->f.l4.seq + w->f.l4.payload_len + (w->f.l4.tcp_flags & TCP_FIN);
	if (cfg_rare)
		w->early = h8->bytes[0] <= cfg_recent_early;
	return 1;
}

/*
 * A SYN. Its fine clock is read before anything is waited for: it waits for every load under way. After a
 * drop it may not be needed, way_to_scratch() has it then: listed sources send many packets.
 * @tag: VLAN id that the NIC took out of the frame. Return: 1 if it is done with.
 */
static __always_inline int way_syn(const struct way *w, __u16 tag, __u32 ifindex)
{
	struct scratch *s;

	if (likely(!syn_is_bare(&w->f.l4)))
		return 0;
	s = scratch_get();
	if (!s)
		return 0;
	s->ns = cfg_enforce && s->dropping ? 0 : now_ns();
	s->dropping = 0;
	if (!w->f.src4 || w->f.l4.hdr_off != ETH_HLEN || tag || w->segs != 1 || cfg_netns ||
	    cfg_sample > 1 || (cfg_enforce && w->active))
		return 0;
	return syn_short(&w->f, ifindex, w->now, w->hook);
}

/*
 * What is enforced, for all that becomes of the packet. Nothing is when the lease is over: then a verdict has
 * nothing to find, and no packet shall look for it.
 */
static __always_inline void way_policy(struct way *w)
{
	w->verdict = 0;
	w->active = 0;
	w->control = policy_control_get();
	w->policy_now = policy_now();
	if (w->control && w->policy_now < w->control->lease_until)
		w->active = *(volatile const __u64 *)&w->control->active;
}

/* A listed source's packet was dropped: the next SYN is its too, as like as not. */
static __always_inline void way_clock_spare(const struct way *w)
{
	struct scratch *s = likely(!syn_is_bare(&w->f.l4)) ? 0 : scratch_get();

	if (s)
		s->dropping = 1;
}

/* Where and when, and what is read though nothing may have been written there. */
static __always_inline void way_begin(struct way *w, enum weir_hook hook)
{
	w->cpu = bpf_get_smp_processor_id();
	w->now = bpf_jiffies64();
	w->hook = hook;
	w->parsed = 0;
	w->pass = CACHED_PASS | (hook == HOOK_XDP ? 0 : cached_side(hook));
	if (cfg_rare) {
		w->cpu = region_id();
		w->now = now_tick();
		w->early = 1;
		w->noted = 0;
		w->layers = 0;
	}
	if (cfg_enforce)
		way_policy(w);
}

/* 1:N sampling: systematic, per CPU. Return 1 if this packet is passed over. */
static __always_inline int way_sampled_out(void)
{
	struct scratch *s;

	if (cfg_sample <= 1)
		return 0;
	s = scratch_get();
	if (!s || ++s->sampled < cfg_sample)
		return 1;
	s->sampled = 0;
	return 0;
}

/* PREEMPT_RT: programs on one CPU can preempt each other; the later one steps back. */
static __always_inline int way_enter(void)
{
	struct scratch *s;

	if (!cfg_rt)
		return 1;
	s = scratch_get();
	return s && !__sync_lock_test_and_set(&s->busy, 1);
}

enum way_stop { WAY_GOES_ON, WAY_SAMPLED_OUT, WAY_BUSY };

/* Is the packet not to be accounted? Then way_stopped() is for it. */
static __always_inline enum way_stop way_stops(void)
{
	if (way_sampled_out())
		return WAY_SAMPLED_OUT;
	return way_enter() ? WAY_GOES_ON : WAY_BUSY;
}

/* It is not, with @segs on the wire, @bytes of frames: counted by what keeps it out. */
static __always_inline void way_stopped(const struct way *w, enum way_stop why, __u32 segs,
					__u64 bytes)
{
	if (why == WAY_SAMPLED_OUT) {
		w->row->v[CNT_SAMPLED_OUT] += segs;
		return;
	}
	w->row->v[CNT_BUSY_PACKETS] += segs;
	w->row->v[CNT_BUSY_BYTES] += bytes;
}

static __always_inline void way_leave(void)
{
	struct scratch *s;

	if (!cfg_rt)
		return;
	s = scratch_get();
	if (s)
		__sync_lock_test_and_set(&s->busy, 0);
}

#endif
