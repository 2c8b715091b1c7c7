/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_listed.h - the shortest way to a drop: the packet's IPv4 source is listed as a host, no prefix
 * is listed that could say otherwise, and the rule wants nothing but that. In the entry itself: where
 * returns are guarded (Safe RET and the like) each call costs as much as the rest. In any doubt the
 * answer is no, and verdict_early4() has the word.
 */
#ifndef WEIR_BPF_VERDICT_LISTED_H
#define WEIR_BPF_VERDICT_LISTED_H

#include "verdict_act.h"
#include "verdict_find.h"

/* The decision of a host that holds for a source now, or NULL. */
static __always_inline struct policy_decision *listed_host(const struct policy_control *c,
							   __u64 mapped, __u32 generation,
							   __u32 now)
{
	const __u64 key[2] = {0, mapped};
	const __u32 kind = KIND_ADDR | 128 << 8;
	struct policy_place p = policy_place(key, kind, c->seed);
	const struct policy_bucket *b;
	struct policy_decision *d;
	__u32 n = p.bucket & c->index_mask, found;

	b = bpf_map_lookup_elem(&policy_index, &n);
	if (!b)
		return 0;
	found = bucket_scan(b, p.tag);
	if (!found || found & (found - 1))
		return 0; /* none, several, or more in the second bucket */
	n = low_bit(found) & (INDEX_WAYS - 1);
	asm volatile("" : "+r"(n));
	n = b->way[n & (INDEX_WAYS - 1)] & INDEX_NUMBER;
	d = bpf_map_lookup_elem(&policy_decisions, &n);
	if (!n || !d || d->key[0] || d->key[1] != mapped || (d->kind | (__u32)d->bits << 8) != kind)
		return 0;
	if (d->from > generation || generation >= d->until || now >= d->expires ||
	    !(d->role & ROLE_SRC))
		return 0;
	return d;
}

/* Number of the rule that drops all of its sources before any other rule has a say, or 0. */
static __always_inline __u32 listed_rule(const struct policy_control *c, __u32 rule,
					 __u32 generation, __u32 now, __u32 side)
{
	struct policy_slot *slot = bpf_map_lookup_elem(&policy_rules, &rule);
	const struct policy_version *v = slot ? policy_version(slot, generation) : 0;

	if (!v || now >= v->expires || !(v->direction & side) || v->order >= c->other_order)
		return 0;
	return v->have || v->action != POLICY_DROP || v->flags & RULE_SHADOW ? 0 : rule;
}

/**
 * listed_drop - drop the packet and count it, if its source is listed and nothing else matters
 * @src:    address, network order
 * @active: policy_active()
 * @row:    counters of this CPU
 *
 * Return: 1 if dropped.
 */
static __always_inline int listed_drop(__u32 src, const struct l4 *l, __u64 active, __u32 side,
				       struct counter_row *row, __u32 segs, __u64 bytes)
{
	const struct policy_control *c = policy_control_get();
	__u32 generation = active >> 8, now = policy_now(), rule;
	struct policy_decision *d;
	struct policy_count *n;

	if (!c || c->lengths4 != 1ull << 32 || now >= c->lease_until)
		return 0;
	d = listed_host(c, (__u64)src << 32 | bpf_htonl(0xffff), generation, now);
	if (!d)
		return 0;
	rule = listed_rule(c, d->rule, generation, now, side);
	n = rule_counts(rule);
	if (!rule || !n)
		return 0;
	n->packets += segs;
	n->bytes += bytes;
	n->flows += is_first_syn(l);
	n->last = now;
	__sync_fetch_and_add(&d->packets, segs);
	__sync_fetch_and_add(&d->bytes, bytes);
	if (is_first_syn(l))
		__sync_fetch_and_add(&d->flows, 1);
	if (d->last != now)
		d->last = now;
	row->v[CNT_DROPPED_PACKETS] += segs;
	row->v[CNT_DROPPED_BYTES] += bytes;
	return 1;
}

#endif
