/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse_bpf.h - the full parser in the kernel: one global function per kind of context. They
 * answer in the per-CPU scratch, resolve fragments, and count what the parser has to say.
 */
#ifndef WEIR_BPF_PARSE_BPF_H
#define WEIR_BPF_PARSE_BPF_H

#include "frag.h"
#include "maps.h"
#include "parse.h"

/* Where the parser of this CPU stands. Reader and writer: that CPU, within one call. */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct parse);
} parser SEC(".maps");

/* What the loop's callback gets; never written in the loop. */
struct parse_loop {
	void *ctx;
	struct scratch *s;
	struct parse *p;
};

/*
 * Two steps at a time on XDP, where mirrored traffic arrives: a packet in a tunnel takes as many,
 * and a call of its own for each costs more than the reading. (TC: one, its callback is verified
 * for two functions.)
 */
static __always_inline long parse_loop_step(const struct parse_loop *l, const enum access access)
{
	struct frame f = {.ctx = l->ctx, .copy = l->s->hdr, .access = access};
	const int steps = access == ACCESS_XDP ? 2 : 1;

#pragma clang loop unroll(disable)
	for (int i = 0; i < steps; i++)
		if (!parse_more(&f, l->p, &l->s->pkt, 0))
			return 1;
	return 0;
}

/* The frame's length on the wire; a replayed capture may hold less of it. */
static __always_inline __u32 parse_wire_len(__u32 len)
{
	struct control *c;

	if (!cfg_replay)
		return len;
	c = control_get();
	return c && c->replay_wire_len > len ? c->replay_wire_len : len;
}

/* Might the packet look otherwise if there were more of the frame than frame_cap? */
static __always_inline int parse_is_doubtful(const struct parse *p, const struct pkt *k)
{
	return p->result != PARSE_DONE || k->note || p->by_frame ||
	       k->l4.hdr_off + k->l4.ip_bytes > p->frame_cap;
}

/*
 * XDP frames are parsed as if the first buffer were all of them: asking costs a call, and most have
 * no other. Return: 1 if there are more after all, and the frame has to be walked again.
 */
static __always_inline int parse_has_more(const struct parse_loop *l)
{
	struct parse *p = l->p;
	__u32 len;

	if (p->whole || !parse_is_doubtful(p, &l->s->pkt))
		return 0;
	p->whole = 1;
	len = bpf_xdp_get_buff_len(l->ctx);
	if (len == p->frame_cap)
		return 0;
	parse_begin(p, &l->s->pkt, 0, len, parse_wire_len(len));
	return 1;
}

static long parse_loop_xdp(__u32 i, struct parse_loop *l)
{
	(void)i;
	return parse_loop_step(l, ACCESS_XDP) && !parse_has_more(l);
}

static long parse_loop_tc(__u32 i, struct parse_loop *l)
{
	(void)i;
	return parse_loop_step(l, ACCESS_TC);
}

static __always_inline void parse_fragments(const struct parse *p, struct pkt *k)
{
	if (k->frag == FRAG_FIRST)
		frag_first(k);
	else if (k->frag == FRAG_LATER && frag_later(k))
		pkt_note(k, CNT_FRAGMENT_NO_PORTS);
	if (p->fragment)
		frag_first(&p->outer);
}

/* A counter whose number comes from the parser: its range is checked where the verifier sees it. */
static __always_inline void parse_count_reason(struct counter_row *row, __u32 reason)
{
	__u64 c = reason - 1;

	asm volatile("" : "+r"(c));
	if (c < WEIR_CNT_SLOTS)
		row->v[c]++;
}

static __always_inline void parse_count(const struct pkt *k)
{
	__u32 ip = k->key.ethertype == ETH_P_IP || k->key.ethertype == ETH_P_IPV6;
	struct counter_row *row;

	if (ip && !k->note && !k->layers)
		return;
	row = counters_get();
	if (!row)
		return;
	parse_count_reason(row, k->note);
	row->v[CNT_DECAPSULATED] += k->layers != 0;
	row->v[CNT_NON_IP] += !ip;
}

static __always_inline int parse_skipped(__u32 reason)
{
	struct counter_row *row = counters_get();

	if (row)
		parse_count_reason(row, reason);
	return reason;
}

/* After the loop: 0, or the counter + 1 that says why the frame is in no flow. */
static __always_inline int parse_finish(struct scratch *s, struct parse *p)
{
	if (p->result != PARSE_DONE) {
		s->reason = -p->result;
		return parse_skipped(s->reason);
	}
	s->reason = 0;
	s->tunneled = s->pkt.layers | p->numbered;
	parse_fragments(p, &s->pkt);
	parse_count(&s->pkt);
	s->l4 = s->pkt.l4;
	return 0;
}

/**
 * xdp_parse_full - parse any frame
 *
 * Fills scratch: pkt (endpoints as on the wire), l4, reason, tunneled, frame_len (of XDP frames in several
 * buffers only if the packet needed more than the first). Counts the reason, what pkt.note says,
 * decapsulated packets and non-IP frames: call it once per packet.
 *
 * Return: 0, or counter + 1 of class SKIPPED: the frame is in no flow. -1: no scratch.
 */
__noinline int xdp_parse_full(struct xdp_md *ctx)
{
	__u32 zero = 0, len;
	struct parse *p = bpf_map_lookup_elem(&parser, &zero);
	struct scratch *s = scratch_get();
	struct parse_loop l = {.ctx = ctx, .s = s, .p = p};
	const __u8 *data, *end;

	if (!p || !s)
		return -1;
	FRAME_LOAD(data, struct xdp_md, ctx, data);
	FRAME_LOAD(end, struct xdp_md, ctx, data_end);
	len = end - data;
	p->ifindex = ctx->ingress_ifindex;
	p->tag = 0;
	parse_begin(p, &s->pkt, 0, len, parse_wire_len(len));
	p->whole = 0;
	bpf_loop(PARSE_STEPS_MAX, parse_loop_xdp, &l, 0);
	s->frame_len = p->frame_cap;
	return parse_finish(s, p);
}

/**
 * tc_parse_full - xdp_parse_full() for TC; a VLAN tag in the packet's metadata is the outermost
 */
__noinline int tc_parse_full(struct __sk_buff *ctx)
{
	__u32 zero = 0, len = ctx->len;
	struct parse *p = bpf_map_lookup_elem(&parser, &zero);
	struct scratch *s = scratch_get();
	struct parse_loop l = {.ctx = ctx, .s = s, .p = p};

	if (!p || !s)
		return -1;
	s->frame_len = len;
	p->ifindex = ctx->ifindex;
	p->tag = ctx->vlan_present ? ctx->vlan_tci & VLAN_ID_MASK : 0;
	parse_begin(p, &s->pkt, 0, len, parse_wire_len(len));
	bpf_loop(PARSE_STEPS_MAX, parse_loop_tc, &l, 0);
	return parse_finish(s, p);
}

/**
 * tc_inner_payload - where the innermost transport payload begins, whatever the interface's role
 *
 * For GSO packets, whose segments repeat all headers up to there. Overwrites scratch->pkt; counts
 * nothing.
 * Return: offset in the frame, or 0 when it can't be said.
 */
__noinline int tc_inner_payload(struct __sk_buff *ctx)
{
	__u32 zero = 0, len = ctx->len;
	struct parse *p = bpf_map_lookup_elem(&parser, &zero);
	struct scratch *s = scratch_get();
	struct parse_loop l = {.ctx = ctx, .s = s, .p = p};

	if (!p || !s)
		return 0;
	p->ifindex = 0;
	p->tag = 0;
	parse_begin(p, &s->pkt, 0, len, len);
	p->depth = PARSE_DECAP_MAX;
	bpf_loop(PARSE_STEPS_MAX, parse_loop_tc, &l, 0);
	return p->result == PARSE_DONE ? s->pkt.l4.payload_off : 0;
}

#endif
