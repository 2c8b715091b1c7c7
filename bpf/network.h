/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * network.h - IPv4, IPv6, and what stands between them and the transport header. Pure.
 */
#ifndef WEIR_BPF_NETWORK_H
#define WEIR_BPF_NETWORK_H

#include "cursor.h"

#define IP_MF	  0x2000
#define IP_OFFSET 0x1fff
#define OPT_PAD1  0
#define OPT_JUMBO 0xc2 /* RFC 2675 section 2 */
#define JUMBO_MIN 0x10000u
#define JUMBO_MAX 0x40000000u /* keeps offset arithmetic in 32 bits */

/* The flow is known by its addresses and protocol alone. */
static __always_inline int parse_no_l4(struct parse *p, struct pkt *k)
{
	k->key.proto = k->l4.proto = p->proto;
	k->l4.payload_off = p->off;
	k->l4.payload_len = k->frag == FRAG_LATER ? 0 : bytes_left(p);
	return PARSE_DONE;
}

static __always_inline void put_ip4(__u8 *addr, const __u8 *from)
{
	*(__u32 *)addr = 0;
	*(__u32 *)(addr + 4) = 0;
	*(__u32 *)(addr + 8) = host32(0x0000ffffu);
	copy4(addr + 12, from);
}

/* RFC 791 section 3.1. Total length 0: segmentation offload, the frame is the packet. */
static __always_inline int parse_ip4(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 20);
	__u32 ihl, total, frag;

	if (!h)
		return PARSE_SKIP(IP4_TRUNCATED);
	if (h[0] >> 4 != 4)
		return PARSE_SKIP(IP4_VERSION);
	ihl = (h[0] & 15) * 4;
	if (ihl < 20)
		return PARSE_SKIP(IP4_IHL);
	total = be16_at(h + 2);
	if (!total) {
		total = bytes_left(p);
		p->by_frame = 1;
	}
	if (total < ihl)
		return PARSE_SKIP(IP4_LENGTH);
	frag = be16_at(h + 6);
	if (frag & (IP_MF | IP_OFFSET)) {
		k->frag = frag & IP_OFFSET ? FRAG_LATER : FRAG_FIRST;
		k->frag_id = be16_at(h + 4);
	}
	k->key.ethertype = ETH_P_IP;
	put_ip4(k->key.addr[0], h + 12);
	put_ip4(k->key.addr[1], h + 16);
	k->l4.ip_bytes = total;
	k->l4.hdr_off = p->off;
	k->l4.ttl = h[8];
	k->l4.dscp = h[1] >> 2;
	p->proto = h[9];
	p->v6 = 0;
	set_end(p, p->off + total);
	p->off += ihl;
	if (p->off > p->cap)
		return PARSE_SKIP(IP4_TRUNCATED);
	p->layer = p->proto == PROTO_AH ? LAYER_EXT : LAYER_L4;
	return k->frag == FRAG_LATER ? parse_no_l4(p, k) : PARSE_MORE;
}

static __always_inline int proto_is_ext(const struct parse *p)
{
	switch (p->proto) {
	case PROTO_AH:
		return 1;
	case PROTO_HOPOPTS:
	case PROTO_ROUTING:
	case PROTO_FRAGMENT:
	case PROTO_DSTOPTS:
	case PROTO_MH:
	case PROTO_HIP:
	case PROTO_SHIM6:
		return p->v6;
	}
	return 0;
}

/*
 * RFC 8200 section 3. Payload length 0: a jumbogram says how long it is in a hop-by-hop option
 * (RFC 2675), a packet without next header has none, anything else is segmentation offload.
 */
static __always_inline int parse_ip6(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 40);
	__u32 total;

	if (!h)
		return PARSE_SKIP(IP6_TRUNCATED);
	if (h[0] >> 4 != 6)
		return PARSE_SKIP(IP6_VERSION);
	p->proto = h[6];
	total = be16_at(h + 4) + 40;
	p->jumbo = 0;
	if (total == 40 && p->proto != PROTO_NONE) {
		total = bytes_left(p);
		p->by_frame = 1;
		p->jumbo = p->proto == PROTO_HOPOPTS;
	}
	k->key.ethertype = ETH_P_IPV6;
	copy16(k->key.addr[0], h + 8);
	copy16(k->key.addr[1], h + 24);
	k->l4.ip_bytes = total;
	k->l4.hdr_off = p->off;
	k->l4.ttl = h[7];
	k->l4.dscp = be16_at(h) >> 6 & 0x3f;
	p->v6 = 1;
	set_end(p, p->off + total);
	p->off += 40;
	p->layer = proto_is_ext(p) ? LAYER_EXT : LAYER_L4;
	return PARSE_MORE;
}

/* One hop-by-hop option of a packet that may be a jumbogram. */
static __always_inline int parse_jumbo(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = p->opt < p->opt_end ? pull_at(f, p, p->opt, 1) : (const __u8 *)0;
	__u32 len;

	p->layer = LAYER_EXT;
	p->jumbo = 0;
	if (!h || p->opts++ >= PARSE_OPT_MAX)
		return PARSE_MORE;
	if (*h == OPT_JUMBO) {
		h = pull_at(f, p, p->opt, 6);
		len = h ? be32_at(h + 2) : 0;
		if (len < JUMBO_MIN || len > JUMBO_MAX)
			return PARSE_MORE; /* not a jumbogram's: the frame's length stands */
		k->l4.ip_bytes = 40 + len;
		set_end(p, k->l4.hdr_off + 40 + len);
		return PARSE_MORE;
	}
	p->layer = LAYER_JUMBO;
	if (*h == OPT_PAD1) {
		p->opt++;
		return PARSE_MORE;
	}
	h = pull_at(f, p, p->opt, 2);
	p->opt += h ? 2 + h[1] : 2;
	return PARSE_MORE;
}

/* RFC 8200 section 4.5. Offset 0 without more fragments is a whole packet. */
static __always_inline void parse_fragment(struct pkt *k, const __u8 *h)
{
	__u32 frag = be16_at(h + 2);

	if (!(frag & 0xfff9))
		return;
	k->frag = frag & 0xfff8 ? FRAG_LATER : FRAG_FIRST;
	k->frag_id = be32_at(h + 4);
}

/* RFC 8200 section 4, AH: RFC 4302 section 2. */
static __always_inline int parse_ext(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h;
	__u32 len;

	h = pull(f, p, 8);
	if (!h) {
		pkt_note(k, CNT_IP6_EXT_TRUNCATED);
		return parse_no_l4(p, k);
	}
	len = (h[1] + 1) * 8;
	if (p->proto == PROTO_AH)
		len = (h[1] + 2) * 4;
	if (p->jumbo) {
		p->opt = p->off + 2;
		p->opt_end = p->off + len;
		p->layer = LAYER_JUMBO;
		return PARSE_MORE;
	}
	if (p->exts++ >= PARSE_EXT_MAX) {
		pkt_note(k, CNT_IP6_EXT_DEPTH);
		return parse_no_l4(p, k);
	}
	if (p->proto == PROTO_FRAGMENT) {
		len = 8;
		parse_fragment(k, h);
	}
	if (p->off + len > p->cap) {
		pkt_note(k, CNT_IP6_EXT_TRUNCATED);
		return parse_no_l4(p, k);
	}
	p->off += len;
	p->proto = h[0];
	if (k->frag == FRAG_LATER)
		return parse_no_l4(p, k);
	if (!proto_is_ext(p))
		p->layer = LAYER_L4;
	return PARSE_MORE;
}

#endif
