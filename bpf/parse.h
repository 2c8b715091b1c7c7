/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - the full parser: one state machine that walks a frame header by header and fills
 * struct pkt. A step reads the headers that usually follow each other (link layer, IP, transport,
 * tunnel) and may be repeated; whoever drives it (parse_frame() below on a host, parse_bpf.h in the
 * kernel) calls parse_more() until that is all. Pure.
 *
 * Lengths come from the innermost IP header, never from what was captured; Ethernet padding is
 * never counted.
 */
#ifndef WEIR_BPF_PARSE_H
#define WEIR_BPF_PARSE_H

#include "link.h"
#include "network.h"
#include "transport.h"
#include "tunnel.h"

static __always_inline int parse_link(const struct frame *f, struct parse *p, struct pkt *k)
{
	int r = PARSE_MORE;

	if (p->layer == LAYER_ETH)
		r = parse_eth(f, p);
	if (p->layer == LAYER_TYPE)
		r = parse_type(f, p, k);
	else if (p->layer == LAYER_MPLS)
		r = parse_mpls(f, p, k);
	return r;
}

static __always_inline int parse_network(const struct frame *f, struct parse *p, struct pkt *k)
{
	if (p->layer == LAYER_IP4)
		return parse_ip4(f, p, k);
	if (p->layer == LAYER_IP6)
		return parse_ip6(f, p, k);
	if (p->layer == LAYER_EXT)
		return parse_ext(f, p, k);
	return parse_jumbo(f, p, k);
}

/**
 * parse_step - read some headers
 * @f:   the frame
 * @p:   from parse_begin()
 * @k:   filled; complete when PARSE_DONE is returned
 * @cfg: host: which tunnels are opened; BPF: unused, NULL
 *
 * Return: PARSE_MORE   call again
 *         PARSE_DONE   @k is a flow's packet
 *         otherwise    PARSE_SKIP(counter)
 */
static __always_inline int parse_step(const struct frame *f, struct parse *p, struct pkt *k,
				      const struct parse_cfg *cfg)
{
	int r = PARSE_MORE;

	if (p->layer <= LAYER_MPLS)
		r = parse_link(f, p, k);
	if (r == PARSE_MORE && p->layer >= LAYER_IP4 && p->layer <= LAYER_JUMBO)
		r = parse_network(f, p, k);
	if (r == PARSE_MORE && p->layer == LAYER_L4)
		r = parse_l4(f, p, k, cfg);
	if (r == PARSE_MORE && p->layer >= LAYER_TUNNEL)
		r = tunnel_step(f, p, k);
	return r;
}

/* From the Ethernet header on. */
static __always_inline void parse_start(struct parse *p, struct pkt *k)
{
	pkt_clear(k);
	k->key.ifindex = p->ifindex;
	p->off = 0;
	p->cap = p->frame_cap;
	p->end = p->frame_end;
	p->layer = LAYER_ETH;
	p->vlans = p->tags = p->labels = p->exts = p->opts = p->jumbo = 0;
	p->fragment = p->by_frame = 0;
	p->result = PARSE_SKIP(MPLS_DEPTH); /* stands only if PARSE_STEPS_MAX were too few */
	keep_vlan(p, k, p->tag);
}

/**
 * parse_begin - stand before a frame
 * @cap:  bytes that can be read
 * @wire: bytes the frame had on the wire; less than @cap means @cap
 *
 * p->ifindex and p->tag are the caller's to set before.
 */
static __always_inline void parse_begin(struct parse *p, struct pkt *k, const struct parse_cfg *cfg,
					__u32 cap, __u32 wire)
{
	__u32 depth = cfg_depth(cfg);

	p->frame_cap = cap;
	p->frame_end = wire < cap ? cap : wire;
	p->whole = 1;
	p->numbered = TUN_NONE;
	p->depth = depth < PARSE_DECAP_MAX ? depth : PARSE_DECAP_MAX;
	p->closed = 0;
	parse_start(p, k);
}

/*
 * There is no packet in the innermost tunnel: start again, and leave that one closed. The second
 * walk is the first one up to there, so it always ends well.
 * Return: 1 if there is something to do again.
 */
static __always_inline int parse_again(struct parse *p, struct pkt *k)
{
	if (p->result == PARSE_DONE || !k->layers)
		return 0;
	p->depth = k->layers - 1;
	p->closed = 1;
	parse_start(p, k);
	return 1;
}

/* A step, and what follows from it. Return: 1 to be called again, 0 when p->result stands. */
static __always_inline int parse_more(const struct frame *f, struct parse *p, struct pkt *k,
				      const struct parse_cfg *cfg)
{
	int r = parse_step(f, p, k, cfg);

	if (r == PARSE_MORE)
		return 1;
	p->result = r;
	return parse_again(p, k);
}

#ifndef __bpf__
/**
 * parse_frame - parse a frame in memory, as the BPF programs do
 * @frame:    from the Ethernet header on
 * @len:      bytes captured
 * @wire_len: bytes the frame had on the wire
 * @cfg:      tunnels to open
 * @ret_pkt:  filled if 0 is returned; key.ifindex is the caller's
 *
 * Return: 0, or -(counter + 1) of class SKIPPED: the frame is in no flow.
 * Thread: any.
 */
static inline int parse_frame(const __u8 *frame, __u32 len, __u32 wire_len,
			      const struct parse_cfg *cfg, struct pkt *ret_pkt)
{
	struct frame f = {.data = frame, .len = len};
	struct parse p = {};

	parse_begin(&p, ret_pkt, cfg, len, wire_len);
	for (int i = 0; i < PARSE_STEPS_MAX; i++)
		if (!parse_more(&f, &p, ret_pkt, cfg))
			break;
	return p.result == PARSE_DONE ? 0 : p.result;
}
#endif

#endif
