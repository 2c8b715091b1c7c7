/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_claim.h - steps that all ways of a segment share: reading a message, telling it, and taking an
 * entry of the shared table. One segment is on its way, in l7_work; global functions find it there.
 */
#ifndef WEIR_BPF_L7_CLAIM_H
#define WEIR_BPF_L7_CLAIM_H

#include "l7_event.h"

enum l7_act {
	L7A_NONE = 0,
	L7A_OWN = 1,   /* looks whole: read it from this CPU's buffer */
	L7A_STORE = 2, /* enter it in the pinned entry */
	L7A_HAND = 3,  /* [w->pos, w->end) goes to userspace */
	L7A_AGAIN = 4, /* there is another message to read */
};

/* @n: 1 to @max, a power of two: said so that the verifier sees it too. */
static __always_inline long l7_load(void *ctx, const enum weir_hook hook, __u32 off, void *to,
				    __u32 n, const __u32 max)
{
	n -= 1;
	L7_OPAQUE(n);
	n &= max - 1;
	L7_OPAQUE(n);
	n += 1;
	if (hook == HOOK_XDP)
		return bpf_xdp_load_bytes(ctx, off, to, n);
	return bpf_skb_load_bytes(ctx, off, to, n);
}

/* Two places in memory and the loop's state, which is in w. */
struct l7_pair {
	const __u8 *old;
	const __u8 *new;
	struct l7_work *w;
};

/* A name for the direction: what is wanted from now on. */
static __always_inline void l7_found(const struct l7_here *h, __u32 cls, __u32 type)
{
	__u32 d = 1u << h->d;

	l7_gap_clear(h, L7_OPEN_0);
	switch (cls) {
	case L7C_HTTP:
		h->hot->l7 = (h->hot->l7 & ~(d ^ 3)) | L7_HTTP;
		break;
	case L7C_DNS:
		h->hot->l7 |= L7_DNS;
		break;
	default:
		l7_unwant(h, d | L7_HTTP);
		if (type == TLS_CLIENT_HELLO) { /* the answer may come much later than it began */
			h->hot->l7 |= d ^ 3;
			h->cold->l7_budget[!h->d] = L7_SEGMENTS;
		}
	}
}

/* Read the message at w->m.start of ring (w->buf, w->buf_way). Return: enum l7_result. */
__noinline int l7_read(__u32 cls)
{
	struct l7_work *w = l7_work_get();
	__u8 *buf;

	if (!w)
		return L7_BAD;
	buf = l7_ring(w->buf, w->buf_way);
	if (!buf)
		return L7_BAD;
	l7_mirror(buf);
	if (cls == L7C_HTTP)
		return l7_http(buf, &w->m);
	if (cls == L7C_DNS)
		return l7_dns(buf, &w->m, 1);
	return l7_tls(buf, &w->m);
}

/* Tell what w->m says. */
static __always_inline void l7_emit(const struct l7_here *h, __u32 cls)
{
	if (cls == L7C_HTTP)
		l7_emit_http();
	else if (cls == L7C_DNS)
		l7_emit_dns();
	else
		l7_emit_tls();
	l7_found(h, cls, h->w->m.type);
}

/* Enter the segment as a new message, or piece of one; @state says for what. Return: enum l7_act. */
__noinline int l7_claim(__u32 state, __u32 need)
{
	struct l7_claim c = {};
	struct l7_bucket *b;
	struct l7_work *w = l7_work_get();
	struct l7_here h;
	__u32 known, way;

	if (!w)
		return L7A_NONE;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return L7A_NONE;
	known = w->cls != L7C_NO && w->cls != L7C_MAYBE;
	c.seq = w->seq;
	c.start = known ? L7_BIAS + (state == L7S_DONE ? w->m.need : 0) : L7_NONE;
	c.need = need;
	c.now = w->now;
	c.state = state;
	c.proto = w->cls;
	c.restart = w->restart;
	c.other = w->other;
	c.life = w->life;
	bpf_spin_lock(&b->lock);
	way = l7_claim_locked(b, w->tag, &c);
	bpf_spin_unlock(&b->lock);
	w->way = way;
	if (way >= L7_WAYS)
		return way == L7_CLAIM_BUSY ? L7A_AGAIN : L7A_NONE;
	if (c.took)
		count(CNT_NAME_GAVE_UP, 1);
	w->base = w->pos = w->cur = w->start = L7_BIAS;
	w->end = L7_BIAS + l7_min(w->len, state == L7S_USER ? need : L7_BUF_SIZE);
	w->copy = state == L7S_OPEN;
	if (known && state != L7S_DONE && l7_here_get(&h))
		l7_gap_set(&h, L7_OPEN_0);
	return L7A_STORE;
}

/* Claim, and say so where there's no room. */
static __always_inline int l7_claim_or_tell(const struct l7_here *h, __u8 state, __u32 need)
{
	int act = l7_claim(state, need);
	__u32 cls = h->w->cls;

	if (act != L7A_NONE)
		return act;
	if (h->w->way == L7_CLAIM_OLD) {
		if (cls == L7C_TLS)
			l7_unwant(h, 1u << h->d);
		return L7A_NONE;
	}
	if (cls != L7C_NO && cls != L7C_MAYBE)
		l7_no_name(NN_NO_SLOT, CNT_NAME_NO_SLOT);
	l7_spend(h, 1);
	return L7A_NONE;
}

/* The capture holds less than the message. */
static __always_inline int l7_truncated(const struct l7_here *h)
{
	l7_no_name(NN_TRUNCATED, CNT_NAME_TRUNCATED);
	l7_unwant(h, 1u << h->d);
	return L7A_NONE;
}

#endif
