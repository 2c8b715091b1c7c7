/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * l7_event.h - what L7 tells userspace: elements of the `events` ring, put together in the per-CPU
 * l7_work and copied out in one go. The consumer polls; it is woken only when the ring fills up.
 */
#ifndef WEIR_BPF_L7_EVENT_H
#define WEIR_BPF_L7_EVENT_H

#include <stddef.h>
#include "assemble.h"
#include "cache.h"
#include "weir/policy.h"

/* All that the functions of one packet need; on the stack, pointers only. */
struct l7_here {
	struct scratch *s;
	struct l7_work *w;
	struct flow_hot *hot;
	struct flow_cold *cold;
	__u32 d;
};

static __always_inline int l7_here_get(struct l7_here *h)
{
	h->s = scratch_get();
	h->w = l7_work_get();
	if (!h->s || !h->w)
		return 0;
	h->hot = hot_get(h->s->slot);
	h->cold = cold_get(h->s->slot);
	h->d = h->s->dir & 1;
	return h->hot && h->cold;
}

/* Bits of flow_cold.l7_gap, once for each direction. */
static __always_inline void l7_gap_set(const struct l7_here *h, enum l7_gap bit)
{
	h->cold->l7_gap |= bit << h->d;
	h->hot->cold_changes++;
}

static __always_inline void l7_gap_clear(const struct l7_here *h, enum l7_gap bit)
{
	h->cold->l7_gap &= ~(bit << h->d);
	h->hot->cold_changes++;
}

static __always_inline void l7_unwant(const struct l7_here *h, __u32 dirs)
{
	h->hot->l7 &= ~dirs;
}

/* A segment that led to nothing. */
static __always_inline void l7_spend(const struct l7_here *h, __u32 n)
{
	__u8 left = h->cold->l7_budget[h->d];

	left = left > n ? left - n : 0;
	h->cold->l7_budget[h->d] = left;
	if (!left && !(h->hot->l7 & (L7_HTTP | L7_DNS)))
		l7_unwant(h, 1u << h->d);
}

/* @size: bytes of w->ev that make the element. */
static __always_inline int l7_output(const struct l7_here *h, enum event_kind kind,
				     enum l7_proto proto, __u64 size)
{
	struct event_hdr *e = &h->w->ev.h;

	e->kind = kind;
	e->dir = h->d;
	e->proto_hint = proto;
	if (kind != EV_NO_NAME)
		e->reason = NN_NONE;
	e->tick = h->s->now;
	e->time_ns = now_ns();
	e->key = h->cold->key;
	if (!bpf_ringbuf_output(&events, e, size, ring_wakeup()))
		return 0;
	count(CNT_NAME_RING_FULL, 1);
	l7_gap_set(h, L7_LOST_0);
	return -1;
}

static __always_inline enum l7_proto l7_proto_of(__u32 cls)
{
	switch (cls) {
	case L7C_TLS:
	case L7C_SSL2:
		return L7P_TLS;
	case L7C_HTTP:
		return L7P_HTTP;
	case L7C_DNS:
		return L7P_DNS;
	}
	return L7P_NONE;
}

/* The flow, or this message, has no name, and why. */
__noinline int l7_no_name(__u32 reason, __u32 counter)
{
	struct l7_here h;

	if (!l7_here_get(&h))
		return 0;
	h.w->ev.h.reason = reason;
	l7_output(&h, EV_NO_NAME, l7_proto_of(h.w->cls), sizeof(struct event_hdr));
	if (counter < WEIR_CNT_SLOTS)
		count(counter, 1);
	l7_gap_clear(&h, L7_OPEN_0);
	return 0;
}

/* Whole words from the ring; what follows the last byte is noise. @max: multiple of 8. */
static __always_inline void l7_take(__u8 *to, const __u8 *buf, __u32 pos, __u32 len,
				    const __u32 max)
{
	L7_UNROLL
	for (__u32 i = 0; i < max; i += 8) {
		__u32 p = pos + i;

		L7_OPAQUE(len); /* else both bounds become one, which is no constant */
		if (i >= len)
			break;
		L7_OPAQUE(p);
		*(__u64 *)(to + i) = *(const __u64 *)(buf + (p & (L7_BUF_SIZE - 1)));
	}
}

/* A name for the verdict: where in w->ev it is. */
static __always_inline void l7_name_is(struct l7_work *w, __u32 kind, __u32 at, __u32 len)
{
	if (!cfg_enforce)
		return;
	w->named = len ? kind : 0;
	w->name_at = at;
	w->name_len = len;
}

/* A ClientHello or ServerHello in w->m. */
__noinline int l7_emit_tls(void)
{
	struct l7_here h;
	struct ev_tls *e;
	struct l7_msg *m;
	__u8 *buf;

	if (!l7_here_get(&h))
		return 0;
	m = &h.w->m;
	e = &h.w->ev.tls;
	buf = l7_ring(h.w->buf, h.w->buf_way);
	if (!buf)
		return 0;
	e->version = m->version;
	e->offered = m->offered;
	e->ech = m->ech;
	e->flags = (h.w->flags & L7F_CONFLICT ? TLSF_CONFLICT : 0) |
		   (m->name_len ? 0 : TLSF_NO_SNI);
	e->sni_len = m->name_len;
	e->alpn_len = m->alpn_len;
	if (m->alpn_len > WEIR_ALPN_MAX) {
		e->alpn_len = WEIR_ALPN_MAX;
		e->flags |= TLSF_ALPN_CUT;
	}
	if (m->type == TLS_SERVER_HELLO) {
		e->sni_len = e->alpn_len = 0;
		e->flags &= TLSF_CONFLICT;
		l7_output(&h, EV_TLS_SERVER, L7P_TLS, sizeof(*e));
		return 0;
	}
	l7_take(e->sni, buf, m->start + m->name_off, m->name_len, WEIR_NAME_MAX);
	l7_take(e->alpn, buf, m->start + m->alpn_off, e->alpn_len, WEIR_ALPN_MAX);
	count(CNT_NAME_TLS, 1);
	if (!m->name_len)
		count(CNT_NAME_NO_SNI, 1);
	if (e->flags & TLSF_CONFLICT)
		count(CNT_NAME_CONFLICT, 1);
	l7_output(&h, EV_TLS_CLIENT, L7P_TLS, sizeof(*e));
	l7_name_is(h.w, NAME_SNI, offsetof(struct ev_tls, sni), e->sni_len);
	return 0;
}

/* An HTTP/1 request in w->m. */
__noinline int l7_emit_http(void)
{
	struct l7_here h;
	struct ev_http *e;
	struct l7_msg *m;
	__u8 *buf;

	if (!l7_here_get(&h))
		return 0;
	m = &h.w->m;
	e = &h.w->ev.http;
	buf = l7_ring(h.w->buf, h.w->buf_way);
	if (!buf)
		return 0;
	e->flags = (h.w->flags & L7F_CONFLICT ? HTTPF_CONFLICT : 0) |
		   (m->found ? 0 : HTTPF_NO_HOST);
	e->pad = 0;
	e->method_len = m->method_len;
	e->host_len = m->name_len;
	e->path_len = m->path_len;
	if (m->path_len > WEIR_PATH_MAX) {
		e->path_len = WEIR_PATH_MAX;
		e->flags |= HTTPF_PATH_CUT;
	}
	l7_take(e->method, buf, m->start, m->method_len, WEIR_METHOD_MAX);
	l7_take(e->host, buf, m->start + m->name_off, m->name_len, WEIR_NAME_MAX);
	l7_take(e->path, buf, m->start + m->path_off, e->path_len, WEIR_PATH_MAX);
	count(CNT_NAME_HTTP, 1);
	if (!m->found)
		count(CNT_NAME_NO_HOST, 1);
	if (e->flags & HTTPF_CONFLICT)
		count(CNT_NAME_CONFLICT, 1);
	l7_output(&h, EV_HTTP, L7P_HTTP, sizeof(*e));
	l7_name_is(h.w, NAME_HOST, offsetof(struct ev_http, host), e->host_len);
	return 0;
}

/* A DNS message in w->m. */
__noinline int l7_emit_dns(void)
{
	struct l7_here h;
	struct ev_dns *e;
	struct l7_msg *m;
	__u8 *buf;

	if (!l7_here_get(&h))
		return 0;
	m = &h.w->m;
	e = &h.w->ev.dns;
	buf = l7_ring(h.w->buf, h.w->buf_way);
	if (!buf)
		return 0;
	e->id = m->id;
	e->flags = m->flags;
	e->qtype = m->qtype;
	e->rcode = m->flags & 15;
	e->qname_len = m->name_len;
	e->pad[0] = e->pad[1] = e->pad[2] = 0;
	l7_take(e->qname, buf, m->start + m->name_off, m->name_len, WEIR_NAME_MAX);
	count(CNT_NAME_DNS, 1);
	l7_output(&h, EV_DNS, L7P_DNS, sizeof(*e));
	l7_name_is(h.w, NAME_DNS, offsetof(struct ev_dns, qname), e->qname_len);
	return 0;
}

/* w->ev.pay.data holds @n bytes. */
static __always_inline int l7_emit_payload(const struct l7_here *h, enum event_kind kind,
					   enum l7_proto proto, __u32 n)
{
	__u64 size;

	if (n > WEIR_DATAGRAM_MAX)
		return -1;
	h->w->ev.pay.len = n;
	size = n;
	L7_OPAQUE(size);
	if (size > WEIR_DATAGRAM_MAX)
		return -1;
	count(CNT_NAME_TO_USER, 1);
	return l7_output(h, kind, proto, offsetof(struct ev_payload, data) + size);
}

#endif
