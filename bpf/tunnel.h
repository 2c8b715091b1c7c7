/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * tunnel.h - the tunnels that the full parser opens: VXLAN, VXLAN-GPE, Geneve, GRE, NVGRE, ERSPAN,
 * IP in IP, Teredo, GTP-U. Where there is no packet inside, the one around is counted. Nested tunnels: key.tun_src, tun_type and vni are the innermost opened one's.
 * Pure.
 */
#ifndef WEIR_BPF_TUNNEL_H
#define WEIR_BPF_TUNNEL_H

#include "cursor.h"

#define PORT_VXLAN_GPE	 4790
#define PORT_GTPU	 2152
#define PORT_TEREDO	 3544
#define VXLAN_I		 0x08 /* RFC 7348 section 5 */
#define GENEVE_VERSION	 0xc0 /* RFC 8926 section 3.4 */
#define GENEVE_OPT_LEN	 0x3f
#define GRE_C		 0x8000 /* RFC 2784, RFC 2890 */
#define GRE_R		 0x4000 /* RFC 1701, never used */
#define GRE_K		 0x2000
#define GRE_S		 0x1000
#define GRE_VERSION	 0x0007
#define GRE_A		 0x0080 /* version 1 */
#define GRE_PPTP	 0x880b
#define GRE_ARUBA_MIN	 0x8200
#define GRE_ARUBA_MAX	 0x8370
#define WLAN_TYPE	 0x0f /* first byte of frame control, with the version */
#define WLAN_DATA	 0x08
#define WLAN_NULL	 0x40
#define WLAN_QOS	 0x80
#define WLAN_DS		 0x03 /* second byte */
#define WLAN_PROTECTED	 0x40
#define WLAN_ORDER	 0x80
#define WLAN_AMSDU	 0x80	    /* first byte of QoS control */
#define WLAN_SNAP	 0xaaaa0300 /* and two more zero bytes */
#define GRE_NVGRE_MIN	 0x1000	    /* RFC 7637 section 3.2: lower VSIDs are reserved */
#define ETH_P_ERSPAN_1_2 0x88be	    /* draft-foschiano-erspan */
#define ETH_P_ERSPAN_3	 0x22eb
#define ERSPAN_SESSION	 0x03ff
#define ERSPAN3_P	 0x8000 /* with the frame type below: the last two bytes of the header */
#define ERSPAN3_FT_SHIFT 10
#define ERSPAN3_FT_IP	 2
#define ERSPAN3_O	 0x0001 /* platform subheader follows */
#define GTPU_VERSION_PT	 0xf0	/* 3GPP TS 29.281 section 5.1: version 1, protocol type GTP */
#define GTPU_V1		 0x30
#define GTPU_E		 0x04
#define GTPU_OPTIONS	 0x07 /* E, S or PN: four more bytes */
#define GTPU_GPDU	 255

/* ---- which packets are tunnels ---- */

static __always_inline int tunnel_follow(struct parse *p, struct pkt *k, enum tunnel_head head)
{
	if (!p->depth && !p->closed)
		return PARSE_DONE;
	if (k->layers >= p->depth) {
		pkt_note(k, p->closed ? CNT_TUNNEL_INNER : CNT_TUNNEL_DEPTH);
		return PARSE_DONE;
	}
	p->tunnel = head;
	p->layer = LAYER_TUNNEL;
	return PARSE_MORE;
}

/* @ports: source << 16 | destination. p->off is at the UDP payload. */
static __always_inline int tunnel_from_udp(struct parse *p, struct pkt *k,
					   const struct parse_cfg *cfg, __u32 ports)
{
	__u16 dport = ports, sport = ports >> 16;
	enum tunnel_head head = HEAD_NONE;

	if (cfg_is_vxlan(cfg, dport))
		head = HEAD_VXLAN;
	else if (cfg_is_geneve(cfg, dport))
		head = HEAD_GENEVE;
	else if (dport == PORT_GTPU)
		head = HEAD_GTPU;
	else if (dport == PORT_VXLAN_GPE)
		head = HEAD_VXLAN_GPE;
	else if (dport == PORT_TEREDO || sport == PORT_TEREDO)
		head = HEAD_TEREDO;
	if (head == HEAD_NONE)
		return PARSE_DONE;
	return tunnel_follow(p, k, head);
}

static __always_inline int tunnel_from_ip(struct parse *p, struct pkt *k)
{
	if (p->proto == PROTO_GRE)
		return tunnel_follow(p, k, HEAD_GRE);
	if (p->proto == PROTO_IPIP || p->proto == PROTO_IPV6)
		return tunnel_follow(p, k, HEAD_IP);
	return PARSE_DONE;
}

/* ---- going in ---- */

static __always_inline int tunnel_note(struct pkt *k, enum counter why)
{
	pkt_note(k, why);
	return PARSE_DONE;
}

/* Where lengths inside must have ended: with this packet, or, in a first fragment, later. */
static __always_inline __u32 tunnel_end(const struct parse *p, const struct pkt *k)
{
	return k->frag == FRAG_FIRST ? ~0u : p->end;
}

/*
 * The packet so far was the outer one; the next header, at p->off, is the inner's first. What the
 * inner packet overwrites in any case is left standing (see parse_non_ip).
 */
static __always_inline int tunnel_enter(struct parse *p, struct pkt *k, enum weir_tunnel type,
					__u32 vni)
{
	if (k->frag == FRAG_FIRST) { /* the rest of the datagram is the outer flow's */
		p->outer = *k;
		p->fragment = 1;
	}
	copy16(k->key.tun_src, k->key.addr[0]);
	k->key.port[0] = k->key.port[1] = 0;
	k->key.vni = vni;
	k->key.tun_type = type;
	k->frag = FRAG_NONE;
	k->frag_id = 0;
	k->layers++;
	p->vlans = p->tags = p->labels = p->exts = p->opts = p->jumbo = 0;
	return PARSE_MORE;
}

/* What an Ethertype in a tunnel header announces. Return 0 if it can be followed. */
static __always_inline int tunnel_inner_type(struct parse *p, __u16 type)
{
	switch (type) {
	case ETH_P_TEB:
		p->layer = LAYER_ETH;
		return 0;
	case ETH_P_IP:
	case ETH_P_IPV6:
	case ETH_P_MPLS_UC:
	case ETH_P_MPLS_MC:
	case ETH_P_8021Q:
	case ETH_P_NSH:
		set_type(p, type);
		return 0;
	}
	return -1;
}

/* The inside is IP of the version that its first nibble says. Return 0 if there is one. */
static __always_inline int tunnel_inner_ip(const struct frame *f, struct parse *p)
{
	const __u8 *h = pull(f, p, 1);

	if (!h || (*h >> 4 != 4 && *h >> 4 != 6))
		return -1;
	p->layer = *h >> 4 == 4 ? LAYER_IP4 : LAYER_IP6;
	return 0;
}

/* ---- over UDP ---- */

static __always_inline int tunnel_vxlan(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (!(h[0] & VXLAN_I))
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	p->off += 8;
	p->layer = LAYER_ETH;
	return tunnel_enter(p, k, TUN_VXLAN, be32_at(h + 4) >> 8);
}

/*
 * Next protocols: 1 IPv4, 2 IPv6, 3 Ethernet, 4 NSH, 5 MPLS. None: it is plain VXLAN. The P bit that
 * should announce one is not waited for, not everybody sets it.
 */
static __always_inline int tunnel_vxlan_gpe(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);
	__u8 next;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (!(h[0] & VXLAN_I))
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	next = h[3];
	if (next == 1)
		p->layer = LAYER_IP4;
	else if (next == 2)
		p->layer = LAYER_IP6;
	else if (!next || next == 3)
		p->layer = LAYER_ETH;
	else if (next == 4)
		set_type(p, ETH_P_NSH);
	else if (next == 5)
		set_type(p, ETH_P_MPLS_UC);
	else
		return tunnel_note(k, CNT_TUNNEL_INNER);
	p->off += 8;
	return tunnel_enter(p, k, TUN_VXLAN, be32_at(h + 4) >> 8);
}

/* Options, whoever's class they are of, are skipped by their common length. */
static __always_inline int tunnel_geneve(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);
	__u32 len;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (h[0] & GENEVE_VERSION)
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	len = 8 + (h[0] & GENEVE_OPT_LEN) * 4;
	if (p->off + len > tunnel_end(p, k))
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	if (p->off + len > p->cap)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (tunnel_inner_type(p, be16_at(h + 2)))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	p->off += len;
	return tunnel_enter(p, k, TUN_GENEVE, be32_at(h + 4) >> 8);
}

/*
 * RFC 4380 section 5.1.1: an authentication header and an origin indication may precede the IPv6
 * packet, which must fit into the datagram (RFC 6081 trailers may follow it).
 */
static __always_inline int tunnel_teredo(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 4);
	__u32 off = p->off;

	if (h && !h[0] && h[1] == 1) {
		off += 13 + h[2] + h[3];
		h = pull_at(f, p, off, 4);
	}
	if (h && !h[0] && !h[1]) {
		off += 8;
		h = pull_at(f, p, off, 4);
	}
	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	h = pull_at(f, p, off, 40);
	if (!h || h[0] >> 4 != 6 || off + 40 + be16_at(h + 4) > tunnel_end(p, k))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	p->off = off;
	p->layer = LAYER_IP6;
	return tunnel_enter(p, k, TUN_TEREDO, 0);
}

static __always_inline int tunnel_gtpu_inner(const struct frame *f, struct parse *p, struct pkt *k)
{
	if (tunnel_inner_ip(f, p))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	return tunnel_enter(p, k, TUN_GTPU, p->vni);
}

/* 3GPP TS 29.281 section 5.1. Other messages than G-PDU carry no packet: nothing amiss. */
static __always_inline int tunnel_gtpu(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);
	__u32 end;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	end = p->off + 8 + be16_at(h + 2);
	if ((h[0] & GTPU_VERSION_PT) != GTPU_V1 || end > tunnel_end(p, k))
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	if (h[1] != GTPU_GPDU)
		return PARSE_DONE;
	p->vni = be32_at(h + 4);
	p->off += 8;
	if (end < p->end)
		set_end(p, end);
	if (!(h[0] & GTPU_OPTIONS))
		return tunnel_gtpu_inner(f, p, k);
	h = pull_at(f, p, p->off - 8, 12); /* flags again: the header may be a copy */
	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	p->off += 4;
	if (!(h[0] & GTPU_E) || !h[11])
		return tunnel_gtpu_inner(f, p, k);
	p->layer = LAYER_GTP_EXT;
	p->opts = 0;
	return PARSE_MORE;
}

/* Section 5.2: length in units of four bytes first, type of the next one last. */
static __always_inline int tunnel_gtpu_ext(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 1);
	__u32 len;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	len = *h * 4;
	if (!len || p->opts++ >= PARSE_GTP_EXT_MAX)
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	h = pull_at(f, p, p->off + len - 1, 1);
	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	p->off += len;
	return *h ? PARSE_MORE : tunnel_gtpu_inner(f, p, k);
}

/* ---- over IP ---- */

/* Version 2 has 12 bytes, the session id in the same place, and says what it carries. */
static __always_inline int tunnel_erspan3(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 12);
	__u32 flags, type;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	flags = be16_at(h + 10);
	p->vni = be16_at(h + 2) & ERSPAN_SESSION;
	type = flags >> ERSPAN3_FT_SHIFT & 0x1f;
	p->off += flags & ERSPAN3_O ? 20 : 12;
	if (p->off > p->cap)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	p->layer = LAYER_ETH;
	if (type && (type != ERSPAN3_FT_IP || tunnel_inner_ip(f, p)))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	return tunnel_enter(p, k, TUN_ERSPAN, p->vni);
}

static __always_inline int tunnel_erspan(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (h[0] >> 4 == 2)
		return tunnel_erspan3(f, p, k);
	if (h[0] >> 4 != 1)
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	p->vni = be16_at(h + 2) & ERSPAN_SESSION;
	p->off += 8;
	p->layer = LAYER_ETH;
	return tunnel_enter(p, k, TUN_ERSPAN, p->vni);
}

/*
 * GRE between Aruba access points and controllers: an 802.11 data frame (IEEE 802.11 clause 9.3.2)
 * as the radio had it. What is encrypted, or holds several packets, stays closed; what holds none
 * is the outer flow's.
 */
static __always_inline int tunnel_wlan(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 26);
	__u32 len = 24;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if ((h[0] & WLAN_TYPE) != WLAN_DATA || h[0] & WLAN_NULL)
		return PARSE_DONE;
	if ((h[1] & WLAN_DS) == WLAN_DS)
		len += 6; /* fourth address */
	if (h[0] & WLAN_QOS)
		len += h[1] & WLAN_ORDER ? 6 : 2;
	if (h[1] & WLAN_PROTECTED || (h[0] & WLAN_QOS && len == 26 && h[24] & WLAN_AMSDU))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	h = pull_at(f, p, p->off + len, 8);
	if (!h || be32_at(h) != WLAN_SNAP || be16_at(h + 4))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	p->off += len + 8;
	set_type(p, be16_at(h + 6));
	return tunnel_enter(p, k, TUN_GRE, p->vni);
}

/* PPTP (RFC 2637 section 4.1): PPP in GRE version 1, the key is its length and a call id. */
static __always_inline int tunnel_pptp(const struct frame *f, struct parse *p, struct pkt *k,
				       __u32 flags)
{
	const __u8 *h = pull(f, p, 8);
	__u32 proto;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (!(flags & GRE_S))
		return PARSE_DONE; /* acknowledges, carries nothing */
	p->vni = be16_at(h + 6);
	p->off += flags & GRE_A ? 16 : 12;
	h = pull(f, p, 4);
	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (be16_at(h) == PPP_HDLC) {
		p->off += 2;
		h += 2;
	}
	proto = h[0] & 1 ? h[0] : be16_at(h);
	if (proto != PPP_IP && proto != PPP_IPV6)
		return tunnel_note(k, CNT_TUNNEL_INNER);
	p->off += h[0] & 1 ? 1 : 2;
	set_type(p, proto == PPP_IP ? ETH_P_IP : ETH_P_IPV6);
	return tunnel_enter(p, k, TUN_GRE, p->vni);
}

/* ERSPAN I has no header of its own and no GRE sequence number. */
static __always_inline int tunnel_gre_inner(const struct frame *f, struct parse *p, struct pkt *k,
					    __u32 flags)
{
	if (p->type == ETH_P_ERSPAN_3 || (p->type == ETH_P_ERSPAN_1_2 && flags & GRE_S))
		return tunnel_erspan(f, p, k);
	if (p->type == ETH_P_ERSPAN_1_2) {
		p->layer = LAYER_ETH;
		return tunnel_enter(p, k, TUN_ERSPAN, p->vni);
	}
	if (p->type >= GRE_ARUBA_MIN && p->type <= GRE_ARUBA_MAX)
		return tunnel_wlan(f, p, k);
	/* NVGRE's key is a VSID and eight bits that differ from flow to flow */
	if (p->type == ETH_P_TEB && !(flags & (GRE_C | GRE_S)) && p->vni >> 8 >= GRE_NVGRE_MIN)
		p->vni >>= 8;
	if (tunnel_inner_type(p, p->type))
		return tunnel_note(k, CNT_TUNNEL_INNER);
	return tunnel_enter(p, k, TUN_GRE, p->vni);
}

/*
 * The number stays that of the packet even if nothing in it can be read. @type: of the header that has it, whose
 * source is still the packet's.
 */
static __always_inline void tunnel_number(struct parse *p, const struct pkt *k,
					  enum weir_tunnel type, __u32 number)
{
	copy16(p->from, k->key.addr[0]);
	p->from_vni = p->vni;
	p->number = number;
	p->numbered = type;
}

/* RFC 2784 section 2, RFC 2890 section 2. */
static __always_inline int tunnel_gre(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 4);
	__u32 flags, number, len = 4;
	enum weir_tunnel type = TUN_GRE;
	int r;

	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	flags = be16_at(h);
	p->type = be16_at(h + 2);
	if ((flags & GRE_VERSION) == 1 && p->type == GRE_PPTP)
		return tunnel_pptp(f, p, k, flags);
	if (flags & (GRE_R | GRE_VERSION))
		return tunnel_note(k, CNT_TUNNEL_MALFORMED);
	if (flags & GRE_C)
		len += 4;
	p->vni = 0;
	if (flags & GRE_K) {
		h = pull_at(f, p, p->off + len, 4);
		if (!h)
			return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
		p->vni = be32_at(h);
		len += 4;
	}
	if (!(flags & GRE_S)) {
		p->off += len;
		if (p->off > p->cap)
			return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
		return tunnel_gre_inner(f, p, k, flags);
	}
	h = pull_at(f, p, p->off + len, 4);
	if (!h)
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	number = be32_at(h);
	p->off += len + 4;
	if (p->type == ETH_P_ERSPAN_1_2 || p->type == ETH_P_ERSPAN_3)
		type = TUN_ERSPAN;
	r = tunnel_gre_inner(f, p, k, flags);
	tunnel_number(p, k, type, number);
	return r;
}

/* RFC 2003, RFC 2473, RFC 4213: nothing between the headers. */
static __always_inline int tunnel_ip(const struct frame *f, struct parse *p, struct pkt *k)
{
	enum weir_tunnel type = TUN_IPIP;

	if (!pull(f, p, 1))
		return tunnel_note(k, CNT_TUNNEL_TRUNCATED);
	if (p->proto == PROTO_IPV6 && !p->v6)
		type = TUN_6IN4;
	p->layer = p->proto == PROTO_IPV6 ? LAYER_IP6 : LAYER_IP4;
	return tunnel_enter(p, k, type, 0);
}

/* One tunnel header, from p->off; the outer packet is complete in @k. */
static __always_inline int tunnel_step(const struct frame *f, struct parse *p, struct pkt *k)
{
	if (p->layer == LAYER_GTP_EXT)
		return tunnel_gtpu_ext(f, p, k);
	switch (p->tunnel) {
	case HEAD_VXLAN:
		return tunnel_vxlan(f, p, k);
	case HEAD_GENEVE:
		return tunnel_geneve(f, p, k);
	case HEAD_GRE:
		return tunnel_gre(f, p, k);
	case HEAD_IP:
		return tunnel_ip(f, p, k);
	case HEAD_GTPU:
		return tunnel_gtpu(f, p, k);
	case HEAD_VXLAN_GPE:
		return tunnel_vxlan_gpe(f, p, k);
	default:
		return tunnel_teredo(f, p, k);
	}
}

#endif
