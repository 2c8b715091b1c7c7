/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_begin.h - what to do with a TCP segment, from its first bytes and from what the shared table
 * knows of its direction: read it whole, put it to others, hand it over, or leave it.
 */
#ifndef WEIR_BPF_L7_BEGIN_H
#define WEIR_BPF_L7_BEGIN_H

#include <linux/in.h>
#include <bpf/bpf_endian.h>
#include "l7_claim.h"
#include "tcp.h"

/* All three also over TCP: RFC 1035 section 4.2.2, RFC 6762 section 5.4, RFC 4795 section 2.4. */
static __always_inline int l7_is_dns(const struct flow_key *k)
{
	const __be16 dns = bpf_htons(53), mdns = bpf_htons(5353), llmnr = bpf_htons(5355);

	return k->port[0] == dns || k->port[1] == dns || k->port[0] == mdns || k->port[1] == mdns ||
	       k->port[0] == llmnr || k->port[1] == llmnr;
}

/* Does this segment come before one that was not seen yet? */
static __always_inline int l7_is_ahead(const struct l7_here *h)
{
	const struct flow_cold *c = h->cold;

	if (c->hole_start[h->d] != c->hole_end[h->d] && c->hole_end[h->d] == h->w->seq)
		return 1;
	return !(c->seq_known & TCP_BASE_KNOWN(h->d)) && c->l7_budget[h->d] == L7_SEGMENTS;
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
		return l7_claim_or_tell(h, L7S_OPEN, DNS_PREFIX + DNS_HEADER);
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
	l7_snapshot(e, w);
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

/*
 * Is what was read of another connection? Ports come again, and so may sequence numbers: by chance, or so
 * that a name is taken for one that was read before. Only a CPU that saw this one's SYN can tell; on others,
 * bytes that were read before are old.
 */
static __always_inline int l7_is_other(const struct l7_here *h, const struct l7_entry *e)
{
	if (!h->w->life)
		return 0;
	if (e->life)
		return e->life != h->w->life;
	return (__s32)(e->tick - h->cold->first[h->cold->init_dir & 1]) < 0;
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
	h.w->flags = h.w->restart = h.w->flush = h.w->mine = h.w->given = h.w->other = 0;
	l7_locate(h.w, h.s->hash, h.d);
	b = l7_bucket_get(h.w->bucket);
	if (!b)
		return L7A_NONE;
	way = l7_find(b, h.w->tag);
	if (way == L7_NONE)
		return l7_begin_fresh(&h);
	e = l7_entry_get(b, way);
	if (e->state == L7S_DONE) {
		h.w->other = l7_is_other(&h, e);
		return h.w->other ? l7_begin_fresh(&h) : l7_begin_after(&h, e);
	}
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

#endif
