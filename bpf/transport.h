/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * transport.h - TCP, UDP, UDP-Lite, ICMP, ICMPv6, SCTP, DCCP. What can't be read here is noted: the
 * flow is known by its addresses. Pure.
 */
#ifndef WEIR_BPF_TRANSPORT_H
#define WEIR_BPF_TRANSPORT_H

#include "cursor.h"
#include "network.h"
#include "tunnel.h"

#define UDP_BIG 65476u /* more is left where a length field says 0 for being too small */

/* Ports are the first four bytes of TCP, UDP, UDP-Lite, SCTP and DCCP. */
static __always_inline void put_ports(struct pkt *k, const __u8 *h)
{
	copy4((__u8 *)k->key.port, h);
}

/* The header is cut short, but the ports may be there. */
static __always_inline int parse_ports_only(const struct frame *f, struct parse *p, struct pkt *k,
					    enum counter why)
{
	const __u8 *h = pull(f, p, 4);

	if (h)
		put_ports(k, h);
	k->l4.payload_len = 0; /* where it begins is not known */
	pkt_note(k, why);
	return PARSE_DONE;
}

static __always_inline void set_payload(struct parse *p, struct pkt *k, __u32 header_len)
{
	p->off += header_len;
	k->l4.payload_off = p->off;
	k->l4.payload_len = bytes_left(p);
}

/* RFC 9293 section 3.1. */
static __always_inline int parse_tcp(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 20);
	__u32 doff;

	if (!h)
		return parse_ports_only(f, p, k, CNT_TCP_TRUNCATED);
	put_ports(k, h);
	k->l4.seq = be32_at(h + 4);
	k->l4.tcp_flags = h[13];
	k->l4.window = be16_at(h + 14);
	doff = (h[12] >> 4) * 4;
	if (doff < 20 || doff > bytes_left(p)) {
		pkt_note(k, CNT_TCP_DOFF);
		set_payload(p, k, 20);
		k->l4.payload_len = 0; /* where it begins is not known */
		return PARSE_DONE;
	}
	set_payload(p, k, doff);
	return PARSE_DONE;
}

/* RFC 768; length 0 is a jumbogram's (RFC 2675 section 4) or segmentation offload's. */
static __always_inline int parse_udp(const struct frame *f, struct parse *p, struct pkt *k,
				     const struct parse_cfg *cfg)
{
	const __u8 *h = pull(f, p, 8);
	__u32 len, left;
	__u16 sport, dport;

	if (!h)
		return parse_ports_only(f, p, k, CNT_UDP_TRUNCATED);
	put_ports(k, h);
	sport = be16_at(h);
	dport = be16_at(h + 2);
	len = be16_at(h + 4);
	left = bytes_left(p);
	set_payload(p, k, 8);
	/* UDP-Lite has its checksum coverage there, the first fragment the whole datagram's length */
	if (p->proto != PROTO_UDP)
		return PARSE_DONE;
	if (k->frag == FRAG_NONE && (len < 8 || len > left) && (len || left < UDP_BIG))
		pkt_note(k, CNT_UDP_LENGTH);
	return tunnel_from_udp(p, k, cfg, (__u32)sport << 16 | dport);
}

static __always_inline int parse_sctp(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 12);

	if (!h)
		return parse_ports_only(f, p, k, CNT_SCTP_TRUNCATED);
	put_ports(k, h);
	set_payload(p, k, 12);
	return PARSE_DONE;
}

/* RFC 4340 section 5.1. */
static __always_inline int parse_dccp(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 12);

	if (!h || h[4] < 3 || h[4] * 4u > bytes_left(p))
		return parse_ports_only(f, p, k, CNT_DCCP_TRUNCATED);
	put_ports(k, h);
	set_payload(p, k, h[4] * 4u);
	return PARSE_DONE;
}

/* Type of the request that a reply belongs to, so that both have one key. */
static __always_inline __u8 icmp_request_type(__u8 proto, __u8 type)
{
	if (proto == PROTO_ICMP) {
		if (type == 0)
			return 8;
		return type == 14 || type == 16 || type == 18 ? type - 1 : type;
	}
	return type == 129 || type == 134 || type == 136 ? type - 1 : type;
}

/* RFC 792, RFC 4443: eight bytes, the first two are type and code. */
static __always_inline int parse_icmp(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 2);

	if (!h) {
		pkt_note(k, CNT_ICMP_TRUNCATED);
		return PARSE_DONE;
	}
	k->l4.icmp_type = h[0];
	k->l4.icmp_code = h[1];
	k->key.port[0] = host16(icmp_request_type(p->proto, h[0]) << 8 | h[1]);
	k->key.port[1] = k->key.port[0];
	if (!pull(f, p, 8)) {
		pkt_note(k, CNT_ICMP_TRUNCATED);
		return PARSE_DONE;
	}
	set_payload(p, k, 8);
	return PARSE_DONE;
}

static __always_inline int parse_l4(const struct frame *f, struct parse *p, struct pkt *k,
				    const struct parse_cfg *cfg)
{
	parse_no_l4(p, k);
	switch (p->proto) {
	case PROTO_TCP:
		return parse_tcp(f, p, k);
	case PROTO_UDP:
	case PROTO_UDPLITE:
		return parse_udp(f, p, k, cfg);
	case PROTO_ICMP:
	case PROTO_ICMPV6:
		return parse_icmp(f, p, k);
	case PROTO_SCTP:
		return parse_sctp(f, p, k);
	case PROTO_DCCP:
		return parse_dccp(f, p, k);
	default:
		return tunnel_from_ip(p, k);
	}
}

#endif
