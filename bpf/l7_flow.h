/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_flow.h - names: what happens to a packet whose payload is still wanted.
 *
 * xdp_l7() and tc_l7() are called with the packet's facts in the scratch. A message that came whole
 * is read from a buffer of this CPU's own; a piece of one goes to the shared table (assemble.h),
 * and the CPU whose piece completes it reads it. What the kernel doesn't read (hellos beyond
 * L7_BUF_SIZE or over several records, QUIC, DTLS) is handed to userspace. Never on the path of a
 * flow whose names are known; HTTP/1 connections keep a look at each request segment's first bytes.
 */
#ifndef WEIR_BPF_L7_FLOW_H
#define WEIR_BPF_L7_FLOW_H

#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include "l7_event.h"
#include "tcp.h"

#define L7_AGAIN_MAX 8 /* messages read from what one segment completes */
#define L7_PIECES    (2 * L7_RANGES + 2)
#define L7_FLUSHES   (L7_RANGES + L7_BUF_SIZE / WEIR_DATAGRAM_MAX + 1)
#define L7_HANDS     (WEIR_L7_USER_MAX / WEIR_DATAGRAM_MAX + 1)
#define L7_QUIC_COST 2u	  /* budget that a datagram for userspace takes: 8 of a direction */
#define L7_DNS_BYTES 512u /* of a UDP message: header, one name, its type */

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

static __always_inline int l7_is_dns(const struct flow_key *k)
{
	const __be16 dns = bpf_htons(53), mdns = bpf_htons(5353), llmnr = bpf_htons(5355);

	if (k->port[0] == dns || k->port[1] == dns)
		return 1;
	return k->proto == IPPROTO_UDP && (k->port[0] == mdns || k->port[1] == mdns ||
					   k->port[0] == llmnr || k->port[1] == llmnr);
}

/* ---- a message was read ---- */

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
			h->cold->l7_budget[!h->d] = L7_BUDGET;
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

/* ---- what to do with a TCP segment ---- */

/* Enter the segment as a new message, or piece of one; @state says for what. Return: enum l7_act. */
__noinline int l7_claim(__u32 state, __u32 need)
{
	struct l7_claim c = {};
	struct l7_bucket *b;
	struct l7_here h;
	struct l7_work *w;
	__u32 known, way;

	if (!l7_here_get(&h))
		return L7A_NONE;
	w = h.w;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return L7A_NONE;
	known = w->cls != L7C_NO && w->cls != L7C_MAYBE;
	c.seq = w->seq;
	c.start = known ? L7_BIAS + (state == L7S_DONE ? w->m.need : 0) : L7_NONE;
	c.need = need;
	c.now = h.s->now;
	c.state = state;
	c.proto = w->cls;
	c.restart = w->restart;
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
	if (known && state != L7S_DONE)
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

/* Does this segment come before one that was not seen yet? */
static __always_inline int l7_is_ahead(const struct l7_here *h)
{
	const struct flow_cold *c = h->cold;

	if (c->hole_start[h->d] != c->hole_end[h->d] && c->hole_end[h->d] == h->w->seq)
		return 1;
	return !(c->seq_known & TCP_BASE_KNOWN(h->d)) && c->l7_budget[h->d] == L7_BUDGET;
}

/* The capture holds less than the message. */
static __always_inline int l7_truncated(const struct l7_here *h)
{
	l7_no_name(NN_TRUNCATED, CNT_NAME_TRUNCATED);
	l7_unwant(h, 1u << h->d);
	return L7A_NONE;
}

/* A hello starts here and nothing of it is in the table. */
static __always_inline int l7_begin_tls(const struct l7_here *h)
{
	struct l7_work *w = h->w;
	enum l7_result r;

	if (w->head_len < TLS_PEEK)
		return l7_claim_or_tell(h, L7S_OPEN, TLS_PEEK);
	r = l7_tls_peek(w->head, &w->m);
	if (r == L7_NOT) {
		l7_spend(h, 1);
		return L7A_NONE;
	}
	if (r == L7_OK && w->m.need <= w->len)
		return L7A_OWN;
	if (w->cut)
		return l7_truncated(h);
	return l7_claim_or_tell(h, r == L7_OK ? L7S_OPEN : L7S_USER, w->m.need);
}

/* SSL 2.0 format: the version is all there is. */
static __always_inline int l7_begin_ssl2(const struct l7_here *h)
{
	struct l7_msg *m = &h->w->m;

	m->name_off = m->name_len = m->alpn_off = m->alpn_len = m->ech = 0;
	m->offered = 0;
	m->version = h->w->head[3] << 8 | h->w->head[4];
	l7_tls_version(m, m->version);
	m->type = TLS_CLIENT_HELLO;
	h->w->buf = l7_own_element();
	h->w->buf_way = 0;
	l7_emit(h, L7C_SSL2);
	return L7A_NONE;
}

/* The table has nothing of this message. */
static __always_inline int l7_begin_fresh(const struct l7_here *h)
{
	struct l7_work *w = h->w;

	switch (w->cls) {
	case L7C_TLS:
		return l7_begin_tls(h);
	case L7C_HTTP:
		return L7A_OWN;
	case L7C_DNS:
		h->hot->l7 |= L7_DNS;
		return l7_claim_or_tell(h, L7S_OPEN, 2 + DNS_HEADER);
	case L7C_SSL2:
		return l7_begin_ssl2(h);
	case L7C_H2: /* no names outside its own compression */
		l7_unwant(h, L7_WANT_0 | L7_WANT_1);
		return L7A_NONE;
	case L7C_NO:
		if (!l7_is_ahead(h)) {
			l7_spend(h, 1);
			return L7A_NONE;
		}
	}
	l7_spend(h, 1);
	/* bytes that start nothing are not looked at again (see l7_enter) */
	return l7_claim_or_tell(h, L7S_OPEN, w->cls == L7C_NO ? L7_BIAS : 0);
}

/* A message of this direction was read already: is this one old, part of its body, or the next? */
static __always_inline int l7_begin_after(const struct l7_here *h, const struct l7_entry *e)
{
	struct l7_work *w = h->w;
	int old = l7_is_old(e, w->seq);

	if (e->proto == L7C_HTTP) {
		h->hot->l7 |= L7_HTTP;
	} else if (old || w->cls == L7C_NO) {
		l7_unwant(h, 1u << h->d);
		return L7A_NONE;
	}
	if (old || w->cls == L7C_NO)
		return L7A_NONE;
	return l7_begin_fresh(h);
}

/* The range of this segment that belongs to the entry; nothing is changed yet. 0: none of it. */
static __always_inline int l7_window(struct l7_work *w, const struct l7_entry *e)
{
	__u32 low, high, lo, hi;

	if (e->start != L7_NONE) {
		lo = e->start;
		hi = lo + (e->state == L7S_USER ? e->need : L7_BUF_SIZE);
	} else {
		l7_extent(e, &low, &high);
		lo = low < w->base ? low : w->base;
		hi = lo + L7_BUF_SIZE;
		if (high > hi) /* what is there would be overwritten */
			return 0;
	}
	w->pos = w->base > lo ? w->base : lo;
	w->end = w->base + w->len < hi ? w->base + w->len : hi;
	w->cur = w->pos;
	w->copy = e->state != L7S_USER;
	w->start = e->start;
	return w->pos < w->end;
}

/* This segment starts the message of which later pieces may be there. */
static __always_inline void l7_set_start(const struct l7_here *h, struct l7_bucket *b,
					 struct l7_entry *e)
{
	struct l7_work *w = h->w;
	enum l7_result r = L7_OK;

	w->m.need = TLS_PEEK;
	if (w->cls == L7C_TLS && w->head_len >= TLS_PEEK)
		r = l7_tls_peek(w->head, &w->m);
	else if (w->cls == L7C_HTTP)
		w->m.need = 0;
	if (r == L7_NOT)
		return;
	bpf_spin_lock(&b->lock);
	if (e->state == L7S_OPEN && (e->start == L7_NONE || w->base < e->start)) {
		e->start = w->base;
		e->need = w->m.need;
		e->proto = w->cls;
		if (r != L7_OK)
			e->state = L7S_USER;
		l7_clip(e, w->base, w->base + (r == L7_OK ? L7_BUF_SIZE : w->m.need));
	}
	__builtin_memcpy(w->from, e->from, sizeof(w->from));
	__builtin_memcpy(w->to, e->to, sizeof(w->to));
	bpf_spin_unlock(&b->lock);
	l7_gap_set(h, L7_OPEN_0);
}

/* Part of a message that is in the table, pinned by the caller. */
static __always_inline int l7_begin_join(const struct l7_here *h, struct l7_bucket *b,
					 struct l7_entry *e)
{
	struct l7_work *w = h->w;
	int starts = w->cls == L7C_TLS || w->cls == L7C_HTTP;

	if (w->cls == L7C_NO && e->start == L7_NONE && h->cold->seq_known & TCP_BASE_KNOWN(h->d) &&
	    w->seq == h->cold->base_seq[h->d]) { /* the stream starts with something else */
		e->state = L7S_DONE;
		l7_spend(h, 1);
		return L7A_NONE;
	}
	if (e->start == L7_NONE)
		l7_spend(h, 1);
	if (starts && e->state == L7S_OPEN && e->proto != L7C_DNS &&
	    (e->start == L7_NONE || w->base < e->start)) {
		l7_set_start(h, b, e);
		w->flush = e->state == L7S_USER;
		w->piece = w->piece_pos = 0;
	}
	w->flags = e->flags;
	return l7_window(w, e) ? L7A_STORE : L7A_NONE;
}

/* Is the entry of another time: the segment far from all that it may hold? */
static __always_inline int l7_is_far(const struct l7_entry *e, __u32 base)
{
	__u32 around = e->start != L7_NONE ? e->start : L7_BIAS;

	if (e->segs >= L7_SEGS_MAX)
		return 1;
	if (e->proto == L7C_DNS && base > around + L7_BUF_SIZE) /* bytes in between were not seen */
		return 1;
	return base >= L7_OFF_MAX || base + L7_OLD_WINDOW < around ||
	       base > around + 4 * L7_OLD_WINDOW;
}

/* Decide what happens to the segment in w. Return: enum l7_act; L7A_STORE: an entry is pinned. */
__noinline int l7_begin(void)
{
	struct l7_here h;
	struct l7_bucket *b;
	struct l7_entry *e;
	__u32 way;
	int act;

	if (!l7_here_get(&h))
		return L7A_NONE;
	h.w->cls = l7_classify(h.w->head, h.w->head_len);
	if (h.w->cls != L7C_TLS && l7_is_dns(&h.cold->key))
		h.w->cls = L7C_DNS;
	h.w->flags = h.w->restart = h.w->flush = h.w->mine = h.w->given = 0;
	l7_locate(h.w, h.s->hash, h.d);
	b = l7_bucket_get(h.w->bucket);
	if (!b)
		return L7A_NONE;
	way = l7_find(b, h.w->tag);
	if (way == L7_NONE)
		return l7_begin_fresh(&h);
	e = l7_entry_get(b, way);
	if (e->state == L7S_DONE)
		return l7_begin_after(&h, e);
	h.w->base = h.w->seq - e->anchor;
	h.w->restart = l7_is_far(e, h.w->base);
	if (h.w->restart)
		return l7_begin_fresh(&h);
	h.w->way = way;
	e = l7_pin(b, way, h.w->tag);
	if (!e)
		return l7_begin_fresh(&h);
	act = l7_begin_join(&h, b, e);
	if (act != L7A_STORE)
		l7_unpin(e);
	return act;
}

#include "l7_store.h"

/* ---- the hooks ---- */

/* What the hooks do next; they hold no state of their own, to keep their stack small. */
enum l7_kind { L7K_NONE = 0, L7K_TCP = 1, L7K_DATAGRAM = 2, L7K_DNS = 3 };

/* Facts of the payload into w. Return: enum l7_kind. */
__noinline int l7_prepare(void)
{
	const struct l4 *l;
	struct l7_here h;
	struct l7_work *w;
	__u32 left;

	if (!l7_here_get(&h))
		return L7K_NONE;
	l = &h.s->l4;
	w = h.w;
	left = h.s->frame_len > l->payload_off ? h.s->frame_len - l->payload_off : 0;
	w->off = l->payload_off;
	w->len = l->payload_len < left ? l->payload_len : left;
	w->cut = l->payload_len > left;
	w->seq = l->seq + !!(l->tcp_flags & TCP_SYN);
	w->head_len = w->len < L7_HEAD ? w->len : L7_HEAD;
	w->cls = L7C_NO;
	if (l->proto != IPPROTO_TCP && l->proto != IPPROTO_UDP) {
		l7_unwant(&h, L7_WANT_0 | L7_WANT_1);
		return L7K_NONE;
	}
	if (w->len) {
		if (l->proto == IPPROTO_TCP)
			return L7K_TCP;
		return l7_is_dns(&h.cold->key) ? L7K_DNS : L7K_DATAGRAM;
	}
	if (w->cut) {
		count(CNT_NAME_TRUNCATED, 1);
		l7_spend(&h, 1);
	}
	return L7K_NONE;
}

static __always_inline int l7_tcp(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	__u8 *own;
	int act;

	if (l7_load(ctx, hook, w->off, w->head, w->head_len, L7_HEAD))
		return 0;
	act = l7_begin();
	if (act == L7A_AGAIN) /* another CPU entered the message at this moment */
		act = l7_begin();
	if (act == L7A_OWN) {
		own = l7_ring(l7_own_element(), 0);
		if (!own ||
		    l7_load(ctx, hook, w->off, own, l7_min(w->len, L7_BUF_SIZE), L7_BUF_SIZE))
			return 0;
		act = l7_own();
	}
	if (act != L7A_STORE)
		return 0;
	if (w->copy) {
		for (__u32 i = 0; i < L7_PIECES; i++)
			if (!(hook == HOOK_XDP ? xdp_l7_piece(ctx) : tc_l7_piece(ctx)))
				break;
	}
	act = l7_store();
	for (__u32 i = 0; act == L7A_AGAIN && i < L7_AGAIN_MAX; i++)
		act = l7_look();
	if (w->flush) {
		for (__u32 i = 0; i < L7_FLUSHES; i++)
			if (!l7_flush())
				break;
	}
	if (act == L7A_HAND) {
		for (__u32 i = 0; i < L7_HANDS; i++)
			if (!(hook == HOOK_XDP ? xdp_l7_hand(ctx) : tc_l7_hand(ctx)))
				break;
	}
	return l7_release();
}

static __always_inline int l7_udp(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	__u32 n = l7_min(w->len, WEIR_DATAGRAM_MAX);

	if (l7_load(ctx, hook, w->off, w->head, w->head_len, L7_HEAD) || !l7_datagram())
		return 0;
	if (l7_load(ctx, hook, w->off, w->ev.pay.data, n, WEIR_DATAGRAM_MAX))
		return 0;
	return l7_emit_datagram(n);
}

static __always_inline int l7_udp_name(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	void *own = l7_ring(l7_own_element(), 0);
	__u32 n = l7_min(w->len, L7_DNS_BYTES);

	w->m.len = n;
	if (!own || l7_load(ctx, hook, w->off, own, n, L7_DNS_BYTES))
		return 0;
	return l7_udp_dns();
}

/* Called from the slow path: payload there, and wanted. */
static __always_inline int l7_payload(void *ctx, const enum weir_hook hook)
{
	int kind = l7_prepare();
	struct l7_work *w = l7_work_get();

	if (!ctx || !w)
		return 0;
	if (kind == L7K_TCP)
		return l7_tcp(ctx, w, hook);
	if (kind == L7K_DATAGRAM)
		return l7_udp(ctx, w, hook);
	if (kind == L7K_DNS)
		return l7_udp_name(ctx, w, hook);
	return 0;
}

__noinline int xdp_l7(struct xdp_md *ctx)
{
	return l7_payload(ctx, HOOK_XDP);
}

__noinline int tc_l7(struct __sk_buff *ctx)
{
	return l7_payload(ctx, HOOK_TC_INGRESS);
}

#endif
