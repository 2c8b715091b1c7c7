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

#include <linux/in.h>
#include "maps.h"
#include "key.h"
#include "tcp.h"

#define CACHE_MISS 0xffffffffu
#define CACHE_FREE ~0u

/* Payloads of each direction that are looked at before L7 gives up. A datagram stands for itself; a
 * stream may talk for a while before it starts TLS.
 */
#define L7_SEGMENTS  16u
#define L7_DATAGRAMS 4u

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

#define DIR_ONES  0x0101010101010101ULL
#define DIR_TOPS  0x8080808080808080ULL
#define DIR_LANES 0x0001020304050607ULL

_Static_assert(WEIR_WAYS == 8, "a directory word has a byte for each way");

/* A way's byte in the directory: eight bits of the fingerprint, never 0. */
static __always_inline __u64 dir_byte(__u64 hash)
{
	__u64 b = hash >> 16 & 0xff;

	return b | !b;
}

/* Way whose byte in @dir is @byte (the lowest of several), or WEIR_WAYS. No branch, no loop. */
static __always_inline __u32 dir_find(__u64 dir, __u64 byte)
{
	__u64 x = dir ^ byte * DIR_ONES;
	__u64 hit = (x - DIR_ONES) & ~x & DIR_TOPS; /* exact up to the lowest match */

	hit = (hit & -hit) >> 7; /* 1 << 8 * way */
	return hit ? hit * DIR_LANES >> 56 : WEIR_WAYS;
}

/* A way never used, the first from the flow's own on, or WEIR_WAYS. */
static __always_inline __u32 dir_free(__u64 dir, __u64 hash)
{
	__u32 own = cache_way(hash, 0), bits = own * 8, way;

	way = dir_find(bits ? dir >> bits | dir << (64 - bits) : dir, 0);
	return way == WEIR_WAYS ? way : (way + own) & (WEIR_WAYS - 1);
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
	return h->packets[0] + h->packets[1] == 1 && (h->tcp_flags[0] | h->tcp_flags[1]) == TCP_SYN;
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

static __always_inline void cold_clear(struct flow_cold *cold, __u8 proto)
{
	__u8 budget = proto == IPPROTO_UDP ? L7_DATAGRAMS : L7_SEGMENTS;

	__builtin_memset((void *)cold + sizeof(cold->key), 0, sizeof(*cold) - sizeof(cold->key));
	cold->l7_budget[0] = cold->l7_budget[1] = budget;
	cold->sampling = cfg_sample;
}

/* How gladly a way is given up: 0 free of charge, else the higher the better. */
static __always_inline __u32 cache_worth(const struct flow_hot *hot, __u32 now)
{
	if (hot_is_read(hot, now))
		return CACHE_FREE;
	return hot_is_lone_syn(hot) ? SYN_ONLY_BONUS + hot_age(hot, now)
				    : hot_age(hot, now) & (SYN_ONLY_BONUS - 1);
}

/*
 * Which way of a full set goes. In a SYN flood nearly any will do, and each one that is looked at is
 * a cache line: so the flow's own way and the next one first, all of them only if both hold flows
 * that live.
 */
static __always_inline __u32 cache_victim(const struct flow_set *set, __u64 hash, __u32 now,
					  __u32 *ret_worth)
{
	__u32 way = cache_way(hash, 0), best = cache_worth(&set->way[way], now), worth;

	for (__u32 i = 1; i < WEIR_WAYS; i++) {
		__u32 n = cache_way(hash, i);

		if (i >= 2 && best >= SYN_ONLY_BONUS)
			break;
		worth = cache_worth(&set->way[n], now);
		if (worth > best) {
			best = worth;
			way = n;
		}
	}
	*ret_worth = best;
	return way;
}

/*
 * Make room in a set. Returns the slot to write, or CACHE_MISS when the set is full and the ring
 * too. Generations go on from the tenant that is replaced.
 */
static __always_inline __u32 cache_take(__u32 index, __u64 dir, __u64 hash, __u32 now)
{
	struct flow_set *set = bpf_map_lookup_elem(&flows, &index);
	__u32 way = dir_free(dir, hash), worth;
	struct flow_cold *cold;

	if (!set)
		return CACHE_MISS;
	if (way < WEIR_WAYS)
		return index * WEIR_WAYS + way;
	way = cache_victim(set, hash, now, &worth) & (WEIR_WAYS - 1);
	if (worth == CACHE_FREE) {
		count(CNT_REUSED, 1);
		return index * WEIR_WAYS + way;
	}
	cold = cold_get(index * WEIR_WAYS + way);
	if (!cold || cache_evict(&set->way[way], cold, index * WEIR_WAYS + way))
		return CACHE_MISS;
	count(CNT_EVICTED, 1);
	return index * WEIR_WAYS + way;
}

#endif
