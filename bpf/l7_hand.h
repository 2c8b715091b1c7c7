/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_hand.h - payload that userspace reads: pieces of a long hello out of the table or the packet,
 * and datagrams. And the end of a segment's way.
 */
#ifndef WEIR_BPF_L7_HAND_H
#define WEIR_BPF_L7_HAND_H

#include "l7_begin.h"

#define L7_GIVEN     8u	  /* datagrams of a direction handed over: a long hello, and again */
#define L7_GIVING    128u /* l7_budget above this: that many more are */
#define L7_DNS_BYTES 512u /* of a UDP message: header, one name, its type */

static long l7_flush_step(__u32 i, void *arg)
{
	const struct l7_pair *p = arg;
	struct l7_work *w = p->w;
	__u32 at = i * 8;

	if (at >= w->cur)
		return 1;
	*(__u64 *)(w->ev.pay.data + (at & (WEIR_DATAGRAM_MAX - 8))) =
		*(const __u64 *)(p->old + ((w->piece_pos + at) & (L7_BUF_SIZE - 1)));
	return 0;
}

/* One more piece of what the ring holds, as w->from and w->to say. Return: 1 if there may be more. */
__noinline int l7_flush(void)
{
	struct l7_here h;
	struct l7_pair p = {};
	__u32 i, pos, n;
	__u8 *buf;

	if (!l7_here_get(&h))
		return 0;
	buf = l7_ring(h.w->bucket, h.w->way);
	i = h.w->piece;
	if (!buf || i >= L7_RANGES || i >= h.w->ranges)
		return 0;
	L7_OPAQUE(i);
	i &= L7_RANGES - 1;
	pos = h.w->from[i];
	n = h.w->to[i] - pos;
	if (h.w->to[i] <= pos || pos < h.w->start) {
		h.w->piece++;
		return 1;
	}
	if (n > WEIR_DATAGRAM_MAX)
		n = WEIR_DATAGRAM_MAX;
	l7_mirror(buf);
	p.old = buf;
	p.w = h.w;
	h.w->piece_pos = pos;
	h.w->cur = n;
	bpf_loop(WEIR_DATAGRAM_MAX / 8, l7_flush_step, &p, 0);
	h.w->ev.pay.offset = pos - h.w->start;
	h.w->ev.pay.orig_len = n;
	l7_emit_payload(&h, EV_SEGMENT, l7_proto_of(h.w->cls), n);
	h.w->from[i] = pos + n;
	return 1;
}

/* One more piece of [w->pos, w->end), out of the packet. Return: 1 if there may be more. */
static __always_inline int l7_hand(void *ctx, const enum weir_hook hook)
{
	struct l7_here h;
	__u32 pos, n, wire;

	if (!ctx || !l7_here_get(&h))
		return 0;
	pos = h.w->pos;
	if (pos >= h.w->end)
		return 0;
	n = h.w->end - pos;
	if (n > WEIR_DATAGRAM_MAX)
		n = WEIR_DATAGRAM_MAX;
	if (l7_load(ctx, hook, h.w->off + (pos - h.w->base), h.w->ev.pay.data, n,
		    WEIR_DATAGRAM_MAX))
		return 0;
	wire = h.s->l4.payload_len;
	h.w->ev.pay.offset = pos - h.w->start;
	h.w->ev.pay.orig_len = wire < 0xffff ? wire : 0xffff;
	l7_emit_payload(&h, EV_SEGMENT, l7_proto_of(h.w->cls), n);
	h.w->pos = pos + n;
	return 1;
}

__noinline int xdp_l7_hand(struct xdp_md *ctx)
{
	return l7_hand(ctx, HOOK_XDP);
}

__noinline int tc_l7_hand(struct __sk_buff *ctx)
{
	return l7_hand(ctx, HOOK_TC_INGRESS);
}

/*
 * A segment longer than the window: after what was read of it, the window may have moved on.
 * Return: 1 if there is more to store.
 */
__noinline int l7_advance(void)
{
	struct l7_work *w = l7_work_get();
	struct l7_bucket *b;
	struct l7_entry *e;
	__u32 end, to;

	if (!w || !w->copy)
		return 0;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return 0;
	e = l7_entry_get(b, w->way);
	end = w->base + w->len;
	if (e->state != L7S_OPEN || e->start == L7_NONE || w->end >= end || e->start >= end)
		return 0;
	to = l7_min(end, e->start + L7_BUF_SIZE);
	w->pos = w->cur = l7_max(w->end, e->start);
	w->end = to;
	return w->pos < to;
}

/* The segment completes what userspace gets, or the capture holds too little of it. */
__noinline int l7_release_last(void)
{
	struct l7_here h;
	struct l7_bucket *b;
	struct l7_entry *e;

	if (!l7_here_get(&h))
		return 0;
	b = l7_bucket_get(h.w->bucket);
	if (!b)
		return 0;
	e = l7_entry_get(b, h.w->way);
	if (h.w->given && e->state == L7S_DONE) {
		e->start += e->need;
		l7_found(&h, e->proto, TLS_CLIENT_HELLO); /* no ServerHello is that long */
	}
	if (h.w->cut && e->state == L7S_OPEN && e->start != L7_NONE) {
		h.w->cls = e->proto;
		l7_no_name(NN_TRUNCATED, CNT_NAME_TRUNCATED);
		l7_unwant(&h, 1u << h.d);
		e->state = L7S_DONE;
	}
	return 0;
}

/* The segment is done with, the entry others' again. */
__noinline int l7_release(void)
{
	struct l7_work *w = l7_work_get();
	struct l7_bucket *b;
	struct l7_entry *e;

	if (!w)
		return 0;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return 0;
	e = l7_entry_get(b, w->way);
	if (w->mine && e->state == L7S_BUSY) /* enough for one packet: the next one goes on */
		e->state = L7S_OPEN;
	if (w->given || w->cut)
		l7_release_last();
	l7_unpin(e);
	return 0;
}

/* A datagram was looked at: @given, or of no use. Once one was given, others count like it. */
static __always_inline void l7_spend_datagram(const struct l7_here *h, int given)
{
	__u8 left = h->cold->l7_budget[h->d];

	if (given && left < L7_GIVING)
		left = L7_GIVING + L7_GIVEN;
	if (left <= L7_GIVING) {
		l7_spend(h, 1);
		return;
	}
	left--;
	h->cold->l7_budget[h->d] = left;
	if (left == L7_GIVING)
		l7_unwant(h, 1u << h->d);
}

/* What the first bytes of a datagram in w->head are. Return: 1: hand it over. */
__noinline int l7_datagram(void)
{
	struct l7_here h;

	if (!l7_here_get(&h))
		return 0;
	h.w->flags = l7_classify_datagram(h.w->head, h.w->head_len, h.w->len);
	if (h.w->flags != L7P_NONE)
		return 1;
	l7_spend_datagram(&h, 0);
	return 0;
}

/* The datagram of which w->ev.pay.data holds the first @n bytes. DNS tells itself when it is enough. */
__noinline int l7_emit_datagram(__u32 n)
{
	struct l7_here h;

	if (!l7_here_get(&h))
		return 0;
	h.w->ev.pay.offset = 0;
	h.w->ev.pay.orig_len = h.w->wire;
	l7_emit_payload(&h, EV_DATAGRAM, h.w->flags, n);
	if (h.w->flags != L7P_DNS)
		l7_spend_datagram(&h, 1);
	return 0;
}

/* A positive answer to a question for addresses: what is in it is for userspace to read. */
static __always_inline int l7_has_answers(const struct l7_msg *m, const __u8 *buf)
{
	if (!(m->flags & DNS_RESPONSE) || m->flags & DNS_RCODE || !m->name_len)
		return 0;
	return (m->qtype == DNS_A || m->qtype == DNS_AAAA) && l7_u16(buf, DNS_ANCOUNT);
}

/*
 * Is the segment with w->head one whole response over TCP that has answers? For which question is not looked at
 * here, nor at one that comes in several pieces: those have header and question alone. Return: 1: hand it over.
 */
__noinline int l7_tcp_answers(void)
{
	const __u32 at = DNS_PREFIX;
	struct l7_here h;
	const __u8 *p;

	if (!l7_here_get(&h))
		return 0;
	p = h.w->head;
	if (h.w->cut || h.w->head_len < at + DNS_HEADER || !l7_is_dns(&h.cold->key))
		return 0;
	if ((__u32)(p[0] << 8 | p[1]) + at != h.w->len || !(p[at + 2] & DNS_RESPONSE >> 8) ||
	    p[at + 3] & DNS_RCODE)
		return 0;
	return p[at + DNS_ANCOUNT] || p[at + DNS_ANCOUNT + 1];
}

/* A DNS message over UDP, in this CPU's way 0. Return: 1: hand it over too. */
__noinline int l7_udp_dns(void)
{
	struct l7_here h;
	__u8 *buf;
	int r;

	if (!l7_here_get(&h))
		return 0;
	h.w->cls = L7C_DNS;
	h.w->buf = l7_own_element();
	h.w->buf_way = 0;
	buf = l7_ring(h.w->buf, 0);
	if (!buf)
		return 0;
	h.w->m.start = 0;
	l7_mirror(buf);
	r = l7_dns(buf, &h.w->m, 0);
	if (r == L7_OK) {
		if (h.w->m.name_len || h.cold->key.port[0] == bpf_htons(53) ||
		    h.cold->key.port[1] == bpf_htons(53)) /* mDNS announces without a question */
			l7_emit(&h, L7C_DNS);
		return l7_has_answers(&h.w->m, buf);
	}
	if (h.w->cut)
		l7_no_name(NN_TRUNCATED, CNT_NAME_TRUNCATED);
	else
		l7_no_name(NN_MALFORMED, CNT_NAME_MALFORMED);
	l7_spend(&h, 1);
	if (!h.cold->l7_budget[h.d])
		l7_unwant(&h, 1u << h.d);
	return 0;
}

#endif
