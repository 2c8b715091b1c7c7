/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_listed.h - the shortest way to a drop: the packet's source is listed as a host, no prefix that
 * could say otherwise is near it, and the rule wants nothing but that. In the entry itself: where
 * returns are guarded (Safe RET and the like) each call costs as much as the rest. A host's decision is
 * looked for where it stands at home, and nowhere else: one line that nothing else is waited for. In
 * any doubt the answer is no, and the slower ways have the word.
 */
#ifndef WEIR_BPF_VERDICT_LISTED_H
#define WEIR_BPF_VERDICT_LISTED_H

#include "entry.h"

/* The one decision of a host that holds for a source now, or NULL. */
static __always_inline struct policy_decision *listed_host(const struct policy_control *c,
							   const __u64 *key, __u32 generation,
							   __u32 now)
{
	const __u32 kind = KIND_ADDR | 128 << 8;
	__u32 n = policy_home(policy_place(key, kind, c->seed), cfg_decisions);
	struct policy_decision *d = bpf_map_lookup_elem(&policy_decisions, &n);

	if (!d)
		return 0;
	if (d->key[1] != key[1]) {
		n ^= 1;
		d = bpf_map_lookup_elem(&policy_decisions, &n);
	}
	if (!d || d->key[1] != key[1] || d->key[0] != key[0] || *(__u16 *)&d->kind != kind)
		return 0;
	if (d->from > generation || generation >= d->until || now >= d->expires || d->shared ||
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
 * @src:  address, network order
 * @w:    the packet
 * @side: hook_side()
 *
 * Return: 1 if dropped.
 */
static __always_inline int listed_drop(__u32 src, const struct way *w, __u32 side)
{
	const __u64 key[2] = {0, (__u64)src << 32 | bpf_htonl(0xffff)};
	const struct policy_control *c = policy_control_get();
	__u32 generation = w->active >> 8, now = policy_now(), rule, row;
	struct policy_decision *d;
	struct policy_count *n;

	if (!c || now >= c->lease_until)
		return 0;
	if ((__u32)c->lengths4 && is_present(PRESENCE_NETS + policy_presence4(src)))
		return 0;
	d = listed_host(c, key, generation, now);
	if (!d)
		return 0;
	rule = listed_rule(c, d->rule, generation, now, side);
	row = w->cpu * POLICY_RULES + rule;
	n = bpf_map_lookup_elem(&policy_counts, &row);
	if (!rule || !n)
		return 0;
	n->packets += w->segs;
	n->bytes += w->bytes;
	n->last = now;
	__sync_fetch_and_add(&d->packets, w->segs);
	__sync_fetch_and_add(&d->bytes, w->bytes);
	if (is_first_syn(&w->f.l4)) {
		n->flows++;
		__sync_fetch_and_add(&d->flows, 1);
	}
	if (d->last != now)
		d->last = now;
	w->row->v[CNT_DROPPED_PACKETS] += w->segs;
	w->row->v[CNT_DROPPED_BYTES] += w->bytes;
	return 1;
}

#endif
