/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * parse.h - the full parser: one state machine that walks a frame header by header and fills
 * struct pkt. A step reads the headers that usually follow each other (link layer, IP, transport,
 * tunnel) and may be repeated; whoever drives it (parse_frame() below on a host, parse_bpf.h in the
 * kernel) calls parse_step() until it doesn't say PARSE_MORE. Pure.
 *
 * Lengths come from the innermost IP header, never from what was captured; Ethernet padding is
 * never counted.
 */
#ifndef WEIR_BPF_PARSE_H
#define WEIR_BPF_PARSE_H

#include "cursor.h"
#include "tunnel.h"

#define ETH_P_QINQ_9100 0x9100 /* QinQ before 802.1ad; the two above are if_ether.h's */
#define VLAN_ID_MASK	0x0fff
#define LLC_TYPE_MIN	0x0600 /* IEEE 802.3 clause 3.2.6: below, it is a length */
#define LLC_SNAP	0xaa
#define LLC_NOVELL	0xff /* DSAP and SSAP: IPX straight on 802.3 */
#define OUI_BRIDGED	0x0000f8 /* IEEE 802.1H */
#define PPP_IP		0x0021	 /* RFC 1332 */
#define PPP_IPV6	0x0057	 /* RFC 5072 */
#define IP_MF		0x2000
#define IP_OFFSET	0x1fff
#define UDP_BIG		65476u /* more is left where a length field says 0 for being too small */
#define OPT_PAD1	0
#define OPT_JUMBO	0xc2 /* RFC 2675 section 2 */
#define JUMBO_MIN	0x10000u
#define JUMBO_MAX	0x40000000u /* keeps offset arithmetic in 32 bits */

/* ---- link layer ---- */

/* Not IP: counted by Ethertype, without addresses. */
static __always_inline int parse_non_ip(struct parse *p, struct pkt *k, __u16 type)
{
	k->key.ethertype = type;
	k->l4.hdr_off = k->l4.payload_off = p->off;
	k->l4.ip_bytes = k->l4.payload_len = bytes_left(p);
	return PARSE_DONE;
}

static __always_inline int parse_eth(const struct frame *f, struct parse *p)
{
	const __u8 *h = pull(f, p, ETH_HLEN);

	if (!h)
		return PARSE_SKIP(ETH_TRUNCATED);
	p->off += ETH_HLEN;
	set_type(p, be16_at(h + 2 * ETH_ALEN));
	return PARSE_MORE;
}

/* Keep a VLAN id, outermost first. Tags inside a tunnel take the place of those outside. */
static __always_inline void keep_vlan(struct parse *p, struct pkt *k, __u16 id)
{
	if (!id || p->vlans > 1) /* id 0: priority tag, no VLAN (IEEE 802.1Q clause 9.6) */
		return;
	if (p->vlans) {
		k->key.vlan[1] = id;
	} else {
		k->key.vlan[0] = id;
		k->key.vlan[1] = 0;
	}
	p->vlans++;
}

static __always_inline int parse_vlan(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 4);

	if (!h)
		return PARSE_SKIP(VLAN_TRUNCATED);
	if (p->tags++ >= PARSE_VLAN_MAX)
		return PARSE_SKIP(VLAN_DEPTH);
	keep_vlan(p, k, be16_at(h) & VLAN_ID_MASK);
	p->off += 4;
	set_type(p, be16_at(h + 2));
	return PARSE_MORE;
}

/*
 * 802.3 with a length field (IEEE 802.2). SNAP: its protocol id stands for the Ethertype. Other
 * LLC frames are counted under ETH_P_802_2, raw IPX under ETH_P_802_3, as Linux numbers them.
 * A vendor's id that looks like IP is not IP, and goes with the other LLC frames.
 */
static __always_inline int parse_llc(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h;
	__u32 oui;
	__u16 id;

	if (p->type < bytes_left(p))
		set_end(p, p->off + p->type); /* padding follows */
	h = pull(f, p, 8);
	if (!h || h[0] != LLC_SNAP || h[1] != LLC_SNAP || h[2] != 3) {
		h = pull(f, p, 2);
		id = h && h[0] == LLC_NOVELL && h[1] == LLC_NOVELL ? ETH_P_802_3 : ETH_P_802_2;
		return parse_non_ip(p, k, id);
	}
	oui = be32_at(h + 2) & 0xffffff;
	id = be16_at(h + 6);
	if (id != ETH_P_IP && id != ETH_P_IPV6)
		return parse_non_ip(p, k, id);
	if (oui && oui != OUI_BRIDGED)
		return parse_non_ip(p, k, ETH_P_802_2);
	p->off += 8;
	set_type(p, id);
	return PARSE_MORE;
}

/* RFC 2516 section 4; the session's PPP frame may have its protocol field compressed. */
static __always_inline int parse_pppoe(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);
	__u32 end, proto, n;

	if (!h || h[0] != 0x11 || h[1])
		return parse_non_ip(p, k, ETH_P_PPP_SES);
	end = p->off + 6 + be16_at(h + 4);
	n = h[6] & 1 ? 1 : 2;
	proto = n == 1 ? h[6] : be16_at(h + 6);
	if (proto != PPP_IP && proto != PPP_IPV6)
		return parse_non_ip(p, k, ETH_P_PPP_SES);
	p->off += 6 + n;
	if (end < p->end)
		set_end(p, end);
	set_type(p, proto == PPP_IP ? ETH_P_IP : ETH_P_IPV6);
	return PARSE_MORE;
}

static __always_inline int parse_type(const struct frame *f, struct parse *p, struct pkt *k)
{
	switch (p->type) {
	case ETH_P_8021Q:
	case ETH_P_8021AD:
	case ETH_P_QINQ_9100:
		return parse_vlan(f, p, k);
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
		p->layer = LAYER_MPLS;
		return PARSE_MORE;
	case ETH_P_PPP_SES:
		return parse_pppoe(f, p, k);
	default:
		if (p->type < LLC_TYPE_MIN)
			return parse_llc(f, p, k);
		return parse_non_ip(p, k, p->type);
	}
}

/* What the inside of a pseudowire usually carries: tells whether it has a control word. */
static __always_inline int type_is_usual(__u16 type)
{
	return type == ETH_P_IP || type == ETH_P_IPV6 || type == ETH_P_ARP || type == ETH_P_8021Q ||
	       type == ETH_P_8021AD || type == ETH_P_MPLS_UC;
}

/*
 * Below the label stack nothing says what follows: the first nibble does (RFC 4928 section 2;
 * control word: RFC 4385 section 3, RFC 4448 section 4.6). Ethernet without a control word is taken
 * where its Ethertype is a usual one.
 */
static __always_inline int parse_mpls_payload(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 1);
	__u8 nibble = h ? h[0] >> 4 : 0;

	if (nibble == 4 || nibble == 6) {
		p->layer = nibble == 4 ? LAYER_IP4 : LAYER_IP6;
		return PARSE_MORE;
	}
	p->layer = LAYER_ETH;
	if (!nibble) {
		h = pull_at(f, p, p->off + 4, ETH_HLEN);
		if (h && (type_is_usual(be16_at(h + 2 * ETH_ALEN)) || be16_at(h + 12) < LLC_TYPE_MIN)) {
			p->off += 4;
			return PARSE_MORE;
		}
	}
	h = pull(f, p, ETH_HLEN);
	if (h && type_is_usual(be16_at(h + 2 * ETH_ALEN)))
		return PARSE_MORE;
	return parse_non_ip(p, k, p->type);
}

/* One label stack entry, RFC 3032 section 2.1. */
static __always_inline int parse_mpls(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 4);

	if (!h)
		return PARSE_SKIP(MPLS_TRUNCATED);
	if (p->labels++ >= PARSE_MPLS_MAX)
		return PARSE_SKIP(MPLS_DEPTH);
	p->off += 4;
	if (!(h[2] & 1))
		return PARSE_MORE;
	return parse_mpls_payload(f, p, k);
}

/* ---- IP ---- */

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
	if (!total)
		total = bytes_left(p);
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
	const __u8 *h = p->opt < p->opt_end ? pull_at(f, p, p->opt, 1) : 0;
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

/* ---- transport ---- */

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
		return tunnel_from_ip(p, k, cfg);
	}
}

/* ---- the machine ---- */

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

/**
 * parse_begin - stand before a frame
 * @cap:  bytes that can be read
 * @wire: bytes the frame had on the wire; less than @cap means @cap
 */
static __always_inline void parse_begin(struct parse *p, struct pkt *k, __u32 cap, __u32 wire)
{
	__builtin_memset(k, 0, sizeof(*k));
	p->off = 0;
	p->cap = cap;
	p->end = wire < cap ? cap : wire;
	p->layer = LAYER_ETH;
	p->vlans = p->tags = p->labels = p->exts = p->opts = p->jumbo = 0;
	p->result = PARSE_SKIP(MPLS_DEPTH); /* stands only if PARSE_STEPS_MAX were too few */
}

/*
 * The verdict once a step has had the last word: a frame whose inside is no packet counts by the
 * packet around it.
 */
static __always_inline int parse_end(struct parse *p, struct pkt *k)
{
	if (p->result == PARSE_DONE)
		return 0;
	if (!k->layers)
		return p->result;
	*k = p->outer;
	pkt_note(k, CNT_TUNNEL_INNER);
	return 0;
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
	struct parse p;

	parse_begin(&p, ret_pkt, len, wire_len);
	for (int i = 0; i < PARSE_STEPS_MAX; i++) {
		int r = parse_step(&f, &p, ret_pkt, cfg);

		if (r != PARSE_MORE) {
			p.result = r;
			break;
		}
	}
	return parse_end(&p, ret_pkt);
}
#endif

#endif
