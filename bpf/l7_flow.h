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

#include "l7_hand.h"
#include "l7_look.h"
#include "l7_store.h"
#include "verdict_name.h"

#define L7_WINDOWS   4 /* of a segment longer than L7_BUF_SIZE */
#define L7_AGAIN_MAX 8 /* messages read from what one segment completes */
#define L7_PIECES    (2 * L7_RANGES + 2)
#define L7_FLUSHES   (L7_RANGES + L7_BUF_SIZE / WEIR_DATAGRAM_MAX + 1)
#define L7_HANDS     (WEIR_L7_USER_MAX / WEIR_DATAGRAM_MAX + 1)

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
	w->now = h.s->now;
	w->off = l->payload_off;
	w->len = l->payload_len < left ? l->payload_len : left;
	w->wire = l->payload_len;
	w->cut = l->payload_len > left;
	w->seq = l->seq + !!(l->tcp_flags & TCP_SYN);
	w->head_len = w->len < L7_HEAD ? w->len : L7_HEAD;
	w->cls = L7C_NO;
	w->life = h.cold->syn_ns ? (__u32)(h.cold->syn_ns >> 10) | 1 : 0;
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

/* A message was read: has policy something to say about its name? */
static __always_inline void l7_judge(struct l7_work *w)
{
	if (!cfg_enforce || !w->named)
		return;
	verdict_name();
	w->named = 0;
}

/* Bytes into the ring, a piece a call: around what is there, and around the ring's end. */
static __always_inline void l7_copy(void *ctx, const enum weir_hook hook)
{
	for (__u32 i = 0; i < L7_PIECES; i++)
		if (!(hook == HOOK_XDP ? xdp_l7_piece(ctx) : tc_l7_piece(ctx)))
			return;
}

static __always_inline void l7_hand_over(void *ctx, const enum weir_hook hook)
{
	for (__u32 i = 0; i < L7_HANDS; i++)
		if (!(hook == HOOK_XDP ? xdp_l7_hand(ctx) : tc_l7_hand(ctx)))
			return;
}

static __always_inline void l7_flush_all(void)
{
	for (__u32 i = 0; i < L7_FLUSHES; i++)
		if (!l7_flush())
			return;
}

/* The segment belongs to a pinned entry. */
static __always_inline int l7_tcp_store(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	int act = L7A_NONE;

	for (__u32 k = 0; k < L7_WINDOWS; k++) {
		if (w->copy)
			l7_copy(ctx, hook);
		act = l7_store();
		for (__u32 i = 0; act == L7A_AGAIN && i < L7_AGAIN_MAX; i++) {
			act = l7_look();
			l7_judge(w);
		}
		if (act != L7A_NONE || !l7_advance())
			break;
	}
	if (w->flush)
		l7_flush_all();
	if (act == L7A_HAND)
		l7_hand_over(ctx, hook);
	return l7_release();
}

/* A DNS message with answers, behind @prefix bytes. */
static __always_inline int l7_hand_dns(void *ctx, struct l7_work *w, const enum weir_hook hook,
				       __u32 prefix)
{
	const __u32 n = l7_min(w->len - prefix, WEIR_DATAGRAM_MAX);

	w->flags = L7P_DNS;
	w->wire -= prefix;
	if (l7_load(ctx, hook, w->off + prefix, w->ev.pay.data, n, WEIR_DATAGRAM_MAX))
		return 0;
	return l7_emit_datagram(n);
}

static __always_inline int l7_tcp(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	__u8 *own;
	int act;

	if (l7_load(ctx, hook, w->off, w->head, w->head_len, L7_HEAD))
		return 0;
	if (l7_tcp_answers())
		l7_hand_dns(ctx, w, hook, DNS_PREFIX);
	act = l7_begin();
	if (act == L7A_AGAIN) /* another CPU entered the message at this moment */
		act = l7_begin();
	if (act == L7A_OWN) {
		own = l7_ring(l7_own_element(), 0);
		if (!own ||
		    l7_load(ctx, hook, w->off, own, l7_min(w->len, L7_BUF_SIZE), L7_BUF_SIZE))
			return 0;
		act = l7_own();
		l7_judge(w);
	}
	return act == L7A_STORE ? l7_tcp_store(ctx, w, hook) : 0;
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

/* Of datagrams sent as one buffer (UDP GSO), that many are looked at. */
#define L7_GSO_DATAGRAMS 4

/* The buffer holds several: cut off the first. */
static __always_inline void l7_first_datagram(struct l7_work *w, __u32 gso)
{
	w->gso = gso;
	w->rest = 0;
	if (!gso || w->len <= gso)
		return;
	w->rest = w->len - gso;
	w->len = w->wire = gso;
}

/* On to the next datagram of the buffer. Return: 1 if there is one and it is wanted. */
__noinline int l7_next_datagram(void)
{
	struct l7_here h;
	struct l7_work *w;

	if (!l7_here_get(&h) || !h.w->rest || !(h.hot->l7 & 1u << h.d))
		return 0;
	w = h.w;
	w->off += w->gso;
	w->len = w->wire = l7_min(w->rest, w->gso);
	w->rest -= w->len;
	w->head_len = l7_min(w->len, L7_HEAD);
	return 1;
}

static __always_inline int l7_datagrams(void *ctx, struct l7_work *w, const enum weir_hook hook,
					__u32 gso)
{
	l7_first_datagram(w, gso);
	for (__u32 i = 0; i < L7_GSO_DATAGRAMS; i++) {
		l7_udp(ctx, w, hook);
		if (!l7_next_datagram())
			break;
	}
	return 0;
}

static __always_inline int l7_udp_name(void *ctx, struct l7_work *w, const enum weir_hook hook)
{
	void *own = l7_ring(l7_own_element(), 0);
	__u32 n = l7_min(w->len, L7_DNS_BYTES);

	w->m.len = n;
	if (!own || l7_load(ctx, hook, w->off, own, n, L7_DNS_BYTES))
		return 0;
	n = l7_udp_dns();
	l7_judge(w);
	return n ? l7_hand_dns(ctx, w, hook, 0) : 0;
}

/* Called from the slow path: payload there, and wanted. @gso: bytes of each datagram, 0: one. */
static __always_inline int l7_payload(void *ctx, const enum weir_hook hook, __u32 gso)
{
	int kind = l7_prepare();
	struct l7_work *w = l7_work_get();

	if (!ctx || !w)
		return 0;
	if (cfg_enforce)
		w->named = 0;
	if (kind == L7K_TCP)
		return l7_tcp(ctx, w, hook);
	if (kind == L7K_DATAGRAM)
		return l7_datagrams(ctx, w, hook, gso);
	if (kind == L7K_DNS)
		return l7_udp_name(ctx, w, hook);
	return 0;
}

__noinline int xdp_l7(struct xdp_md *ctx)
{
	return l7_payload(ctx, HOOK_XDP, 0);
}

__noinline int tc_l7(struct __sk_buff *ctx)
{
	return l7_payload(ctx, HOOK_TC_INGRESS, ctx->gso_size);
}

#endif
