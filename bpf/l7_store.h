/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_store.h - the middle of l7_flow.h: bytes into the shared table, reading a message once it is
 * complete, and handing over what userspace assembles. Global functions, one segment in l7_work.
 */
#ifndef WEIR_BPF_L7_STORE_H
#define WEIR_BPF_L7_STORE_H

/* ---- bytes into the ring ---- */

/* Words that differ in what is there and what came again. Loop state: w->piece_pos. */
struct l7_pair {
	const __u8 *old;
	const __u8 *new;
	struct l7_work *w;
};

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
	__u32 cur, next, have = 0, n, at;
	__u8 *to;

	if (!ctx || !w || w->cur >= w->end)
		return 0;
	b = l7_bucket_get(w->bucket);
	if (!b)
		return 0;
	e = l7_entry_get(b, w->way);
	cur = w->cur;
	next = w->end;
	L7_ROLLED
	for (__u32 i = 0; i < L7_RANGES; i++) {
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

/* ---- reading what is complete ---- */

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
	__builtin_memcpy(w->from, e->from, sizeof(w->from));
	__builtin_memcpy(w->to, e->to, sizeof(w->to));
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
		return l7_resume(w, b, e, next, 2 + DNS_HEADER) ? L7A_AGAIN : L7A_NONE;
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

/* Enter the segment's range under the lock. Return: L7A_AGAIN: read it, L7A_HAND, or L7A_NONE. */
static __always_inline int l7_enter(const struct l7_here *h, struct l7_entry *e)
{
	struct l7_work *w = h->w;
	__u32 a = w->pos, z = w->copy ? w->cur : w->end, low, high, old;

	old = l7_prefix(e, a);
	if (a >= z || !l7_merge(e, &a, &z))
		return L7A_NONE;
	e->tick = h->s->now;
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
	struct l7_here h;
	struct l7_bucket *b;
	struct l7_entry *e;
	int act;

	if (!l7_here_get(&h))
		return L7A_NONE;
	b = l7_bucket_get(h.w->bucket);
	if (!b)
		return L7A_NONE;
	e = l7_entry_get(b, h.w->way);
	bpf_spin_lock(&b->lock);
	act = l7_enter(&h, e);
	bpf_spin_unlock(&b->lock);
	if (act == L7A_HAND || h.w->flush)
		h.w->cls = e->proto;
	return act;
}

/* ---- payload for userspace ---- */

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
	if (!buf || i >= L7_RANGES)
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

/* The segment is done with, the entry others' again. */
__noinline int l7_release(void)
{
	struct l7_here h;
	struct l7_bucket *b;
	struct l7_entry *e;
	__u32 way;

	if (!l7_here_get(&h))
		return 0;
	b = l7_bucket_get(h.w->bucket);
	if (!b)
		return 0;
	way = h.w->way;
	e = l7_entry_get(b, way);
	if (h.w->given && e->state == L7S_DONE) { /* userspace has it all */
		e->start += e->need;
		l7_found(&h, e->proto, TLS_CLIENT_HELLO); /* no ServerHello is that long */
	}
	if (h.w->mine && e->state == L7S_BUSY) /* enough for one packet: the next one goes on */
		e->state = L7S_OPEN;
	if (h.w->cut && e->state == L7S_OPEN && e->start != L7_NONE) {
		h.w->cls = e->proto;
		l7_no_name(NN_TRUNCATED, CNT_NAME_TRUNCATED);
		l7_unwant(&h, 1u << h.d);
		e->state = L7S_DONE;
	}
	l7_unpin(e);
	return 0;
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
	l7_spend(&h, 1);
	return 0;
}

/* The datagram of which w->ev.pay.data holds the first @n bytes. */
__noinline int l7_emit_datagram(__u32 n)
{
	struct l7_here h;

	if (!l7_here_get(&h))
		return 0;
	h.w->ev.pay.offset = 0;
	h.w->ev.pay.orig_len = h.s->l4.payload_len;
	l7_emit_payload(&h, EV_DATAGRAM, h.w->flags, n);
	l7_spend(&h, L7_QUIC_COST);
	return 0;
}

/* A DNS message over UDP, in this CPU's way 0. */
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
		return 0;
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
