/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_look.h - reading a message once its bytes are there, from the shared table (l7_look) or, when
 * one segment brought it whole, from this CPU's own buffer (l7_own); and what comes after it.
 */
#ifndef WEIR_BPF_L7_LOOK_H
#define WEIR_BPF_L7_LOOK_H

#include "l7_claim.h"

/* The entry goes on from @start; 1 if there is enough to read now: then it's this CPU's. */
static __always_inline int l7_resume(struct l7_work *w, struct l7_bucket *b, struct l7_entry *e,
				     __u32 start, __u32 need)
{
	__u32 n;
	int again;

	bpf_spin_lock(&b->lock);
	l7_clip(e, start, start + L7_BUF_SIZE);
	n = l7_prefix(e, start);
	again = n && n >= need;
	if (e->start != start)
		e->segs = 0;
	e->start = start;
	e->need = need;
	e->proto = w->cls;
	e->state = again ? L7S_BUSY : L7S_OPEN;
	bpf_spin_unlock(&b->lock);
	w->m.start = start;
	w->m.len = n;
	return again;
}

/* Userspace goes on from @start: what is there is its to have. */
static __always_inline int l7_to_user(const struct l7_here *h, struct l7_bucket *b,
				      struct l7_entry *e, __u32 start, __u32 need)
{
	struct l7_work *w = h->w;
	__u32 end = w->base + w->len, pos = w->end, upto;

	if (need > WEIR_L7_USER_MAX || w->cls == L7C_HTTP)
		need = WEIR_L7_USER_MAX;
	if (end > start + need)
		end = start + need;
	upto = end;
	bpf_spin_lock(&b->lock);
	l7_snapshot(e, w);
	e->state = L7S_USER;
	e->need = need;
	if (pos < end)
		l7_merge(e, &pos, &upto);
	bpf_spin_unlock(&b->lock);
	w->start = start;
	w->flush = 1;
	w->piece = w->piece_pos = 0;
	w->pos = w->end; /* of this segment, what didn't fit the ring */
	w->end = end;
	return L7A_HAND;
}

/* After a message of w->m.need bytes at @start. */
static __always_inline int l7_next(struct l7_work *w, struct l7_bucket *b, struct l7_entry *e,
				   const __u8 *buf, __u32 start)
{
	__u32 next = start + w->m.need, left = w->m.len - w->m.need;

	if (w->cls == L7C_DNS)
		return l7_resume(w, b, e, next, DNS_PREFIX + DNS_HEADER) ? L7A_AGAIN : L7A_NONE;
	if (w->cls == L7C_HTTP && w->m.need < w->m.len) { /* another request behind it, or a body */
		L7_UNROLL
		for (__u32 i = 0; i < L7_HEAD; i++)
			w->head[i] = l7_u8(buf, next + i);
		w->cls = l7_classify(w->head, left < L7_HEAD ? left : L7_HEAD);
		if (w->cls == L7C_MAYBE || w->cls == L7C_HTTP) {
			w->cls = L7C_HTTP;
			return l7_resume(w, b, e, next, 0) ? L7A_AGAIN : L7A_NONE;
		}
		w->cls = L7C_HTTP;
	}
	e->start = next;
	e->state = L7S_DONE;
	return L7A_NONE;
}

/* No message starts here after all. */
static __always_inline int l7_not(const struct l7_here *h, struct l7_bucket *b)
{
	__u32 way = h->w->way;

	L7_OPAQUE(way);
	bpf_spin_lock(&b->lock);
	b->tag[way & (L7_WAYS - 1)] = 0;
	bpf_spin_unlock(&b->lock);
	l7_gap_clear(h, L7_OPEN_0);
	l7_spend(h, 1);
	return L7A_NONE;
}

static __always_inline int l7_bad(const struct l7_here *h, struct l7_bucket *b, struct l7_entry *e)
{
	l7_no_name(NN_MALFORMED, CNT_NAME_MALFORMED);
	if (h->w->cls != L7C_DNS) {
		e->state = L7S_DONE;
		l7_unwant(h, 1u << h->d);
		return L7A_NONE;
	}
	if (h->cold->l7_budget[h->d] <= 1)
		l7_unwant(h, 1u << h->d);
	return l7_not(h, b);
}

/* Start not known: does the lowest range start a message? */
static __always_inline int l7_recognise(const struct l7_here *h, struct l7_bucket *b,
					struct l7_entry *e, const __u8 *buf)
{
	struct l7_work *w = h->w;
	__u32 low = w->m.start;

	L7_UNROLL
	for (__u32 i = 0; i < L7_HEAD; i++)
		w->head[i] = l7_u8(buf, low + i);
	w->cls = l7_classify(w->head, w->m.len < L7_HEAD ? w->m.len : L7_HEAD);
	if (w->cls == L7C_TLS || w->cls == L7C_HTTP) {
		l7_gap_set(h, L7_OPEN_0);
		return l7_resume(w, b, e, low, 0);
	}
	bpf_spin_lock(&b->lock);
	e->need = w->cls == L7C_NO ? low : 0; /* not looked at again until something lower comes */
	e->state = L7S_OPEN;
	bpf_spin_unlock(&b->lock);
	return 0;
}

/* Read the message that starts at w->m.start; the entry is this CPU's. Return: enum l7_act. */
__noinline int l7_look(void)
{
	struct l7_here h;
	struct l7_bucket *b;
	struct l7_entry *e;
	__u8 *buf;
	__u32 start;
	int r;

	if (!l7_here_get(&h))
		return L7A_NONE;
	b = l7_bucket_get(h.w->bucket);
	buf = l7_ring(h.w->bucket, h.w->way);
	if (!b || !buf)
		return L7A_NONE;
	e = l7_entry_get(b, h.w->way);
	if (e->start == L7_NONE && !l7_recognise(&h, b, e, buf))
		return L7A_NONE;
	start = h.w->m.start;
	h.w->cls = e->proto;
	h.w->flags = e->flags;
	h.w->buf = h.w->bucket;
	h.w->buf_way = h.w->way;
	r = l7_read(h.w->cls);
	switch (r) {
	case L7_OK:
		l7_emit(&h, h.w->cls);
		return l7_next(h.w, b, e, buf, start);
	case L7_MORE:
		return l7_resume(h.w, b, e, start, h.w->m.need) ? L7A_AGAIN : L7A_NONE;
	case L7_NOT:
		return l7_not(&h, b);
	case L7_LONG:
	case L7_SPLIT:
		return l7_to_user(&h, b, e, start, h.w->m.need);
	}
	return l7_bad(&h, b, e);
}

/* What is behind a message that came whole: another request, that is entered; else nothing. */
static __always_inline int l7_own_rest(const struct l7_here *h, struct l7_entry *e)
{
	struct l7_work *w = h->w;
	const __u8 *buf = l7_ring(w->buf, 0);
	__u32 next = w->m.need, left = w->m.len - next, cls;

	if (buf && w->cls == L7C_HTTP && next < w->m.len) {
		L7_UNROLL
		for (__u32 i = 0; i < L7_HEAD; i++)
			w->head[i] = l7_u8(buf, next + i);
		cls = l7_classify(w->head, left < L7_HEAD ? left : L7_HEAD);
		if (cls == L7C_HTTP || cls == L7C_MAYBE) {
			next += w->base;
			w->pos = w->cur = next;
			w->end = l7_min(w->base + w->len, next + L7_BUF_SIZE);
			w->copy = 1;
			e->need = 0;
			e->state = L7S_OPEN;
			return L7A_STORE;
		}
	}
	l7_unpin(e);
	return L7A_NONE;
}

/* A message that looked whole, in this CPU's way 0. Return: enum l7_act. */
__noinline int l7_own(void)
{
	struct l7_here h;
	struct l7_bucket *b;
	__u32 len;
	int r;

	if (!l7_here_get(&h))
		return L7A_NONE;
	len = h.w->len < L7_BUF_SIZE ? h.w->len : L7_BUF_SIZE;
	h.w->buf = l7_own_element();
	h.w->buf_way = 0;
	h.w->m.start = 0;
	h.w->m.len = len;
	r = l7_read(h.w->cls);
	if (r == L7_NOT) {
		l7_spend(&h, 1);
		return L7A_NONE;
	}
	if (r == L7_BAD) {
		l7_no_name(NN_MALFORMED, CNT_NAME_MALFORMED);
		l7_unwant(&h, 1u << h.d);
		return L7A_NONE;
	}
	if (r != L7_OK) {
		if (h.w->cut)
			return l7_truncated(&h);
		if (r == L7_LONG || r == L7_SPLIT)
			return l7_claim_or_tell(&h, L7S_USER, WEIR_L7_USER_MAX);
		return l7_claim_or_tell(&h, L7S_OPEN, h.w->m.need);
	}
	r = l7_claim(L7S_DONE, 0);
	if (r == L7A_NONE && h.w->way == L7_CLAIM_OLD) {
		l7_unwant(&h, h.w->cls == L7C_TLS ? 1u << h.d : 0);
		return L7A_NONE;
	}
	l7_emit(&h, h.w->cls);
	b = l7_bucket_get(h.w->bucket);
	if (r != L7A_STORE || !b)
		return L7A_NONE;
	return l7_own_rest(&h, l7_entry_get(b, h.w->way));
}

#endif
