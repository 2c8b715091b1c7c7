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
							   __u32 src, __u32 generation, __u32 now)
{
	const __u64 key[2] = {0, (__u64)src << 32 | bpf_htonl(0xffff)};
	const __u32 either = ROLE_DST << 16, what = KIND_ADDR | 128 << 8 | ROLE_EITHER << 16;
	__u32 n = policy_home(key, c->seed, cfg_decisions);
	struct policy_decision *d = bpf_map_lookup_elem(&policy_decisions, &n);

	if (!d)
		return 0;
	if (d->key[1] != key[1]) {
		n ^= 1;
		d = bpf_map_lookup_elem(&policy_decisions, &n);
	}
	if (!d || d->key[1] != key[1] || d->key[0] != key[0] ||
	    (*(__u32 *)&d->kind | either) != what)
		return 0;
	if (d->from > generation || generation >= d->until || now >= d->expires || d->shared)
		return 0;
	return d;
}

/* Does the rule drop all that leads to it before any other rule has a say? The writer knows. */
static __always_inline int listed_is_plain(const struct way *w, __u32 rule)
{
	const __u64 *plain = w->control->plain[w->hook == HOOK_TC_EGRESS];

	return w->policy_now < w->control->plain_until &&
	       plain[rule / 64 % (POLICY_RULES / 64)] >> rule % 64 & 1;
}

/* Drop the packet and count it, if its source is listed and nothing else matters. Return: 1 if dropped. */
static __always_inline int listed_drop(const struct way *w)
{
	const struct policy_control *c = w->control;
	__u32 generation = w->active >> 8, now = w->policy_now, rule, row;
	struct policy_decision *d;
	struct policy_count *n;

	if (!c)
		return 0;
	d = listed_host(c, w->f.src4, generation, now);
	if (!d)
		return 0;
	rule = d->rule;
	row = w->cpu * POLICY_RULES + rule;
	n = bpf_map_lookup_elem(&policy_counts, &row);
	if (!n || !listed_is_plain(w, rule))
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

/* The same with prefixes and listed destinations: a call, and more to look up. */
static __always_inline int listed_early4(const struct way *w, __u32 ifindex, __u32 where)
{
	struct scratch *s = scratch_get();

	if (!s)
		return 0;
	s->hook = w->hook;
	s->pkt.key.ifindex = ifindex;
	s->l4.proto = w->f.l4.proto;
	s->l4.tcp_flags = w->f.l4.tcp_flags;
	s->segs = w->segs;
	s->bytes = w->bytes;
	s->active = w->active;
	return verdict_early4(w->f.src4, w->f.dst4, w->f.ports, where);
}

static __always_inline int listed_maybe_dhcp(const struct fast *f)
{
	return f->l4.proto == IPPROTO_UDP && bpf_ntohs(f->ports >> 16) - 67u <= 1;
}

/**
 * way_listed4 - is the packet to be dropped for its addresses alone, and no more?
 * @w:       what parse_fast() took, and no flow in the cache has
 * @ifindex: of the interface
 *
 * Return: 1: dropped and counted; 0: no, not over IPv4, or in doubt.
 */
static __always_inline int way_listed4(struct way *w, __u32 ifindex)
{
	const __u32 src = policy_presence4(w->f.src4), dst = policy_presence4(w->f.dst4);
	const struct policy_presence *p;
	__u32 where = 0, nets = 0, done;

	if (!cfg_enforce || !w->active || !w->f.src4)
		return 0;
	p = presence_at(src);
	if (p && p->any >> (src & 63) & 1) {
		where = EARLY_SRC;
		nets = p->nets >> (src & 63) & 1;
	}
	if (is_present(dst))
		where |= EARLY_DST;
	if (!where || listed_maybe_dhcp(&w->f))
		return 0;
	done = where == EARLY_SRC && !nets && listed_drop(w);
	if (!done && !listed_early4(w, ifindex, where))
		return 0;
	w->verdict = VERDICT_DROP;
	way_clock_spare(w);
	return 1;
}

#endif
