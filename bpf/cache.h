/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * cache.h - the flow cache: lookup, insert, eviction.
 *
 * A set-associative table per CPU; the owning CPU is the only writer, so there are no atomics and
 * no locks. Counters only grow and userspace only reads, so nothing can be lost between the two.
 * A slot changes hands as: tag = 0, body, tag = fingerprint and new generation; the reader checks
 * the tag before and after (the exchange below orders the stores on weakly ordered machines).
 *
 * Full set: a way that has been read for good (control.reap_before) is free to take; else the
 * oldest goes out through the `evicted` ring, one-packet SYN flows first; if the ring is full the
 * victim stays and the arriving packet is counted as lost. Nothing is counted twice.
 */
#ifndef WEIR_BPF_CACHE_H
#define WEIR_BPF_CACHE_H

#include "maps.h"
#include "key.h"
#include "tcp.h"

#define CACHE_MISS 0xffffffffu
#define SYN_ONLY_BONUS (1u << 30) /* in ticks: a lone SYN is older than anything alive */

static __always_inline __u32 cache_set(__u32 cpu, __u64 hash)
{
	return cpu << cfg_set_bits | hash >> (64 - cfg_set_bits);
}

/* Flows fill the ways from a different one each: at half load most are found at the first try. */
static __always_inline __u32 cache_way(__u64 hash, __u32 i)
{
	return ((hash >> 34) + i) & (WEIR_WAYS - 1);
}

static __always_inline int tag_matches(__u64 tag, __u64 hash)
{
	/* fingerprint equal and generation not 0 */
	return (tag ^ hash << WEIR_TAG_GEN_BITS) - 1 < (1u << WEIR_TAG_GEN_BITS) - 1;
}

/* A replayed packet may be a little older than the one before it: so much lies in the future. */
#define TICKS_AHEAD (1u << 20)

static __always_inline __u32 tick_age(__u32 last, __u32 now)
{
	__u32 age = now - last;

	return age > -TICKS_AHEAD ? 0 : age;
}

/* Ticks since the flow's last packet. */
static __always_inline __u32 hot_age(const struct flow_hot *h, __u32 now)
{
	__u32 a0 = tick_age(h->last[0], now), a1 = tick_age(h->last[1], now);

	if (!h->packets[0])
		return a1;
	if (!h->packets[1])
		return a0;
	return a0 < a1 ? a0 : a1;
}

/* Has the loader read everything this entry will ever have counted? */
static __always_inline int hot_is_read(const struct flow_hot *h, __u32 now)
{
	struct control *c = control_get();

	return c && c->reap_valid && hot_age(h, now) > now - c->reap_before;
}

static __always_inline int hot_is_lone_syn(const struct flow_hot *h)
{
	return h->packets[0] + h->packets[1] == 1 &&
	       (h->tcp_flags[0] | h->tcp_flags[1]) == TCP_SYN;
}

/* Final record of an entry to the ring. 0, or -1 when the ring is full. */
static __always_inline int cache_evict(const struct flow_hot *hot, const struct flow_cold *cold,
				       __u32 slot)
{
	struct flow_final *f = bpf_ringbuf_reserve(&evicted, sizeof(*f), 0);

	if (!f)
		return -1;
	f->slot = slot;
	f->pad = 0;
	f->hot = *hot;
	f->cold = *cold;
	bpf_ringbuf_submit(f, BPF_RB_NO_WAKEUP);
	return 0;
}

/* Begin a new life in a slot: everything zero but the tag, which is invalid until cache_open(). */
static __always_inline __u64 cache_close(struct flow_hot *hot)
{
	__u64 old = __sync_lock_test_and_set(&hot->tag, 0);

	hot->bytes[0] = hot->bytes[1] = 0;
	hot->packets[0] = hot->packets[1] = 0;
	hot->last[0] = hot->last[1] = 0;
	hot->next_seq[0] = hot->next_seq[1] = 0;
	*(__u64 *)hot->tcp_flags = 0; /* flags, ttl, dscp, l7, verdict */
	*(__u64 *)&hot->policy_gen = 0;
	return old;
}

static __always_inline void cache_open(struct flow_hot *hot, __u64 old, __u64 hash)
{
	__u32 gen = (old + 1) & ((1u << WEIR_TAG_GEN_BITS) - 1);

	__sync_lock_test_and_set(&hot->tag, hash << WEIR_TAG_GEN_BITS | (gen ? gen : 1));
}

static __always_inline void cold_clear(struct flow_cold *cold)
{
	__builtin_memset((void *)cold + sizeof(cold->key), 0, sizeof(*cold) - sizeof(cold->key));
	cold->l7_budget[0] = cold->l7_budget[1] = 16;
	cold->sampling = cfg_sample;
}

/*
 * Make room in a set. Returns the slot to write, or CACHE_MISS when the set is full and the ring
 * too. The generation that a free slot's last tenant had is lost with its tag (0), so generations
 * go on from the tenant that is replaced, and from 0 in a slot never used.
 */
static __always_inline __u32 cache_take(__u32 set, __u64 hash, __u32 now)
{
	__u32 victim = set * WEIR_WAYS + cache_way(hash, 0), oldest = 0;
	struct flow_hot *hot;
	struct flow_cold *cold;

	for (__u32 i = 0; i < WEIR_WAYS; i++) {
		__u32 slot = set * WEIR_WAYS + cache_way(hash, i), age;

		hot = hot_get(slot);
		if (!hot)
			return CACHE_MISS;
		if (!hot->tag)
			return slot;
		age = hot_age(hot, now);
		if (hot_is_read(hot, now)) {
			count(CNT_REUSED, 1);
			return slot;
		}
		if (hot_is_lone_syn(hot))
			age += SYN_ONLY_BONUS;
		if (age >= oldest) {
			oldest = age;
			victim = slot;
		}
	}
	hot = hot_get(victim);
	cold = cold_get(victim);
	if (!hot || !cold || cache_evict(hot, cold, victim))
		return CACHE_MISS;
	count(CNT_EVICTED, 1);
	return victim;
}

#endif
