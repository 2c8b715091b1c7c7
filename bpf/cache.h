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
#include <stddef.h>
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
	__u32 bits = cfg_set_bits;

	return cpu << bits | hash >> (64 - bits);
}

/* A flow's own way: it is looked for there first, and goes there if it can. */
static __always_inline __u32 cache_own_way(__u64 hash)
{
	return hash >> 34 & (WEIR_WAYS - 1);
}

/* A way that the verifier can see is one: kernels before 6.2 forget what a comparison has shown. */
static __always_inline __u32 way_bound(__u32 way)
{
	asm volatile("" : "+r"(way));
	return way & (WEIR_WAYS - 1);
}

static __always_inline int tag_matches(__u64 tag, __u64 hash)
{
	/* fingerprint equal and generation not 0 */
	return (tag ^ hash << WEIR_TAG_GEN_BITS) - 1 < (1u << WEIR_TAG_GEN_BITS) - 1;
}

/* ---- marks: which ways of a set are worth a look, before any of their lines is read ---- */

_Static_assert(WEIR_WAYS == 16, "two words hold the marks of a set");

#define MARK_ONES 0x0101010101010101ULL

/* A flow's mark, never 0: that says a way has had nobody. */
static __always_inline __u8 cache_mark(__u64 hash)
{
	__u64 mark = hash & 0xff;

	return mark + ((mark - 1) >> 63); /* without a branch */
}

/* Ways that bear @mark, four bits each, way w at bit 8 * (w & 7) + 4 * (w >> 3); the lowest is right,
 * those above it may be wrong (a borrow goes upwards).
 */
static __always_inline __u64 marks_with(const struct set_marks *m, __u8 mark)
{
	__u64 a = m->half[0] ^ mark * MARK_ONES, b = m->half[1] ^ mark * MARK_ONES;

	return ((a - MARK_ONES) & ~a & MARK_ONES << 7) >> 7 |
	       ((b - MARK_ONES) & ~b & MARK_ONES << 7) >> 3;
}

/* The way of the lowest of @ways. BPF has no instruction that counts zeros: the one bit moves the digit
 * of its place to the top.
 */
static __always_inline __u32 marks_first(__u64 ways)
{
	return (ways & -ways) * 0x08192a3b4c5d6e7fULL >> 60;
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

static __always_inline int cache_evict_head(const struct flow_hot *hot,
					    const struct flow_cold *cold, __u32 slot)
{
	struct flow_final *f = bpf_ringbuf_reserve(
		&evicted, offsetof(struct flow_final, dropped) - WEIR_COLD_TAIL, 0);

	if (!f)
		return -1;
	f->slot = slot;
	f->pad = 0;
	f->hot = *hot;
	__builtin_memcpy(&f->cold, cold, WEIR_COLD_HEAD);
	bpf_ringbuf_submit(f, ring_wakeup());
	return 0;
}

static __always_inline int cache_evict_tail(const struct flow_hot *hot,
					    const struct flow_cold *cold, __u32 slot)
{
	struct flow_final *f =
		bpf_ringbuf_reserve(&evicted, offsetof(struct flow_final, dropped), 0);

	if (!f)
		return -1;
	f->slot = slot;
	f->pad = 0;
	f->hot = *hot;
	f->cold = *cold;
	bpf_ringbuf_submit(f, ring_wakeup());
	return 0;
}

static __always_inline int cache_evict_dropped(const struct flow_hot *hot,
					       const struct flow_cold *cold, __u32 slot)
{
	const struct flow_dropped *d = dropped_get(slot);
	struct flow_final *f = d ? bpf_ringbuf_reserve(&evicted, sizeof(*f), 0) : 0;

	if (!f)
		return -1;
	f->slot = slot;
	f->pad = 0;
	f->hot = *hot;
	f->cold = *cold;
	f->dropped = *d;
	bpf_ringbuf_submit(f, ring_wakeup());
	return 0;
}

/* Final record of an entry to the ring, as much as there is of it. 0, or -1 when the ring is full. */
static __always_inline int cache_evict(const struct flow_hot *hot, __u32 slot)
{
	const struct flow_cold *cold = cold_get(slot);

	if (!cold)
		return -1;
	if (cfg_enforce && hot->extra & EXTRA_DROPPED)
		return cache_evict_dropped(hot, cold, slot);
	if (hot->extra & EXTRA_TAIL)
		return cache_evict_tail(hot, cold, slot);
	return cache_evict_head(hot, cold, slot);
}

/* Store what others see only after all that was stored before it, and before all that will be. An
 * exchange waits for every load still under way, a cache miss among them: where plain stores will do,
 * a new flow costs a fifth less.
 */
static __always_inline void tag_store(__u64 *tag, __u64 v)
{
	if (!cfg_tso) {
		__sync_lock_test_and_set(tag, v);
		return;
	}
	asm volatile("" ::: "memory");
	*(volatile __u64 *)tag = v;
	asm volatile("" ::: "memory");
}

/* Begin a new life in a slot: the hot half is zero but for the tag, which is invalid until
 * cache_open(), and for what it knows of the other tables. Return: the tag that was.
 */
static __always_inline __u64 cache_close(struct flow_hot *hot)
{
	__u64 old = hot->tag;
	__u8 extra = hot->extra;

	tag_store(&hot->tag, 0);

	hot->bytes[0] = hot->bytes[1] = 0;
	hot->packets[0] = hot->packets[1] = 0;
	hot->last[0] = hot->last[1] = 0;
	hot->next_seq[0] = hot->next_seq[1] = 0;
	*(__u64 *)hot->tcp_flags = 0; /* flags, ttl, dscp, l7, extra */
	hot->policy = 0;
	hot->cold_changes = 0;
	hot->extra = extra;
	return old;
}

/* The rest of the slot for the life that begins: zero but for the key. */
static __always_inline void cache_clear(struct flow_hot *hot, struct flow_cold *cold, __u32 slot)
{
	__builtin_memset((void *)cold + sizeof(cold->key), 0, WEIR_COLD_HEAD - sizeof(cold->key));
	if (hot->extra & EXTRA_TAIL)
		__builtin_memset((void *)cold + WEIR_COLD_HEAD, 0, WEIR_COLD_TAIL);
	if (cfg_enforce && hot->extra & EXTRA_DROPPED)
		dropped_clear(slot);
	hot->extra = 0;
}

static __always_inline void cache_open(struct flow_hot *hot, __u64 old, __u64 hash)
{
	__u32 gen = (old + 1) & ((1u << WEIR_TAG_GEN_BITS) - 1);

	tag_store(&hot->tag, hash << WEIR_TAG_GEN_BITS | (gen ? gen : 1));
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
 * Which way of a full set goes. Each one that is looked at is a cache line: the first that is free, or
 * a lone SYN, beginning with the flow's own way, will do.
 */
static __always_inline __u32 cache_victim(const struct flow_set *set, __u32 own, __u32 now,
					  __u32 *ret_worth)
{
	__u32 way = own, best = cache_worth(&set->way[own], now), worth;

	for (__u32 i = 1; i < WEIR_WAYS && best < SYN_ONLY_BONUS; i++) {
		__u32 n = (own ^ i) & (WEIR_WAYS - 1);

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
 * A way for a new flow; its final record, if it needs one, is in the ring. Returns WEIR_WAYS when
 * the set is full and the ring too. Generations go on from the tenant that is replaced.
 */
static __always_inline __u32 cache_take(struct flow_set *set, const struct set_marks *m,
					__u32 index, const struct scratch *s)
{
	__u32 own = cache_own_way(s->hash), way, worth;
	__u64 empty;

	if (!m->way[own])
		return own;
	empty = marks_with(m, 0);
	if (empty && !hot_is_read(&set->way[own], s->now))
		return marks_first(empty);
	way = way_bound(cache_victim(set, own, s->now, &worth));
	if (worth == CACHE_FREE) {
		count(CNT_REUSED, 1);
		return way;
	}
	if (cache_evict(&set->way[way], index * WEIR_WAYS + way))
		return WEIR_WAYS;
	count(CNT_EVICTED, 1);
	return way;
}

#endif
