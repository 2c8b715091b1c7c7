/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_store.h - bytes of a segment into the shared table, and the range they are entered as.
 */
#ifndef WEIR_BPF_L7_STORE_H
#define WEIR_BPF_L7_STORE_H

#include "l7_claim.h"

/* Words that differ in what is there and what came again. Loop state: w->piece_pos. */
static long l7_compare_step(__u32 i, void *arg)
{
	const struct l7_pair *p = arg;
	struct l7_work *w = p->w;
	__u32 at = w->piece_pos, left = w->piece - at;
	__u64 x;

	(void)i;
	if (at >= w->piece)
		return 1;
	x = l7_word(p->old, w->cur + at) ^ l7_word(p->new, at);
	if (left < 8)
		x <<= (8 - left) * 8;
	w->piece_pos = at + 8;
	if (!x)
		return 0;
	w->flags |= L7F_CONFLICT;
	return 1;
}

/* Bytes that are there from w->cur on against w->piece bytes in this CPU's way 1: the first ones
 * stay, a difference is remembered.
 */
__noinline int l7_compare(void)
{
	struct l7_work *w = l7_work_get();
	struct l7_bucket *b;
	struct l7_pair p;
	__u8 *old;

	if (!w)
		return 0;
	b = l7_bucket_get(w->bucket);
	old = l7_ring(w->bucket, w->way);
	p.new = l7_ring(l7_own_element(), 1);
	if (!b || !old || !p.new)
		return 0;
	l7_mirror(old);
	p.old = old;
	p.w = w;
	w->piece_pos = 0;
	bpf_loop(L7_BUF_SIZE / 8 + 1, l7_compare_step, &p, 0);
	if (w->flags & L7F_CONFLICT)
		l7_entry_get(b, w->way)->flags = L7F_CONFLICT;
	return 0;
}

/* Take over one more piece of [w->cur, w->end). Return: 1 if there may be more. */
static __always_inline int l7_piece(void *ctx, const enum weir_hook hook)
{
	struct l7_work *w = l7_work_get();
	struct l7_bucket *b;
	struct l7_entry *e;
	__u32 cur, next, have = 0, n, at, used;
	__u8 *to;

	if (!ctx || !w || w->cur >= w->end)
		return 0;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return 0;
	e = l7_entry_get(b, w->way);
	cur = w->cur;
	next = w->end;
	used = e->used;
	L7_EACH_RANGE(i, used)
	{
		__u32 f = e->from[i], t = e->to[i];

		have = l7_pick(l7_less(cur, t) & (l7_less(cur, f) ^ 1), t, have);
		next = l7_pick(l7_less(cur, f) & l7_less(f, next), f, next);
	}
	if (have && have < next)
		next = have;
	n = next - cur;
	at = cur & (L7_BUF_SIZE - 1);
	if (!have && n > L7_BUF_SIZE - at)
		n = L7_BUF_SIZE - at;
	to = have ? l7_ring(l7_own_element(), 1) : l7_ring(w->bucket, w->way);
	if (!to)
		return 0;
	if (have)
		at = 0;
	L7_OPAQUE(at);
	if (l7_load(ctx, hook, w->off + (cur - w->base), to + (at & (L7_BUF_SIZE - 1)), n,
		    L7_BUF_SIZE)) {
		w->end = cur;
		return 0;
	}
	if (have) {
		w->piece = n;
		l7_compare();
	}
	w->cur = cur + n;
	return 1;
}

__noinline int xdp_l7_piece(struct xdp_md *ctx)
{
	return l7_piece(ctx, HOOK_XDP);
}

__noinline int tc_l7_piece(struct __sk_buff *ctx)
{
	return l7_piece(ctx, HOOK_TC_INGRESS);
}

/* Enter the segment's range under the lock. Return: L7A_AGAIN: read it, L7A_HAND, or L7A_NONE. */
static __always_inline int l7_enter(struct l7_work *w, struct l7_entry *e)
{
	__u32 a = w->pos, z = w->copy ? w->cur : w->end, low, high, old;

	old = l7_prefix(e, a);
	if (a >= z || !l7_merge(e, &a, &z))
		return L7A_NONE;
	e->tick = w->now;
	e->segs++;
	if (e->state == L7S_USER) {
		if (l7_prefix(e, e->start) >= e->need) {
			e->state = L7S_DONE;
			w->given = 1;
		}
		return old >= w->end - w->pos ? L7A_NONE : L7A_HAND;
	}
	if (e->state != L7S_OPEN)
		return L7A_NONE;
	if (e->start == L7_NONE) {
		l7_extent(e, &low, &high);
		if (a != low || e->need == low)
			return L7A_NONE;
	} else if (a > e->start || z <= e->start || z - e->start < e->need) {
		return L7A_NONE;
	} else {
		a = e->start;
	}
	w->m.start = a;
	w->m.len = z - a;
	w->mine = 1;
	e->state = L7S_BUSY;
	return L7A_AGAIN;
}

/* Enter the segment. Return: L7A_AGAIN: read on, L7A_HAND: to userspace, L7A_NONE. */
__noinline int l7_store(void)
{
	struct l7_work *w = l7_work_get();
	struct l7_bucket *b;
	struct l7_entry *e;
	int act;

	if (!w)
		return L7A_NONE;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return L7A_NONE;
	e = l7_entry_get(b, w->way);
	bpf_spin_lock(&b->lock);
	act = l7_enter(w, e);
	bpf_spin_unlock(&b->lock);
	if (act == L7A_HAND || w->flush)
		w->cls = e->proto;
	return act;
}

#endif
