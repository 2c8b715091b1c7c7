/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * link.h - headers below IP: Ethernet, 802.3/LLC, VLAN, MPLS, PPPoE. What is not IP ends here. Pure.
 */
#ifndef WEIR_BPF_LINK_H
#define WEIR_BPF_LINK_H

#include "cursor.h"

#define ETH_P_QINQ_9100	 0x9100 /* QinQ before 802.1ad; the two above are if_ether.h's */
#define ETH_P_FABRICPATH 0x8903
#define ETH_P_ETAG	 0x893f
#define ETH_P_CMD	 0x8909
#define MACSEC_ENCRYPTED 0x0c /* E or C */
#define MACSEC_SCI	 0x20
#define MACSEC_SHORT	 0x3f
#define MACSEC_ICV	 16
#define VLAN_ID_MASK	 0x0fff
#define LLC_TYPE_MIN	 0x0600 /* IEEE 802.3 clause 3.2.6: below, it is a length */
#define LLC_SNAP	 0xaa
#define LLC_NOVELL	 0xff	  /* DSAP and SSAP: IPX straight on 802.3 */
#define OUI_BRIDGED	 0x0000f8 /* IEEE 802.1H */

/* Not IP: counted by Ethertype, without addresses. */
static __always_inline int parse_non_ip(struct parse *p, struct pkt *k, __u16 type)
{
	if (k->layers) { /* the tunnel's are still there */
		__builtin_memset(k->key.addr, 0, sizeof(k->key.addr));
		k->key.proto = k->l4.proto = 0;
		k->l4.ttl = k->l4.dscp = 0;
	}
	k->key.ethertype = type;
	k->l4.hdr_off = k->l4.payload_off = p->off;
	k->l4.ip_bytes = k->l4.payload_len = bytes_left(p);
	p->by_frame = 1;
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

/* Tags of @n bytes that tell nothing of the flow; the last two are the next Ethertype. */
static __always_inline int parse_shim(const struct frame *f, struct parse *p, __u32 n)
{
	const __u8 *h = pull_at(f, p, p->off + n - 2, 2);

	if (!h)
		return PARSE_SKIP(VLAN_TRUNCATED);
	if (p->tags++ >= PARSE_VLAN_MAX)
		return PARSE_SKIP(VLAN_DEPTH);
	p->off += n;
	set_type(p, be16_at(h));
	return PARSE_MORE;
}

/*
 * A frame in a frame: provider backbone bridging (the I-TAG and the customer's, IEEE 802.1Q clause
 * 9.7), FabricPath.
 */
static __always_inline int parse_mac_in_mac(struct parse *p, __u32 n)
{
	if (p->tags++ >= PARSE_VLAN_MAX)
		return PARSE_SKIP(VLAN_DEPTH);
	p->off += n;
	p->layer = LAYER_ETH;
	return PARSE_MORE;
}

/*
 * IEEE 802.1AE clause 9: a frame that is only authenticated is readable. Security tag, Ethertype
 * and what it announces, integrity check value; a short frame says where that begins.
 */
static __always_inline int parse_macsec(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 6);
	__u32 tag, end;

	if (!h || h[0] & MACSEC_ENCRYPTED)
		return parse_non_ip(p, k, ETH_P_MACSEC);
	tag = h[0] & MACSEC_SCI ? 14 : 6;
	end = h[1] & MACSEC_SHORT ? p->off + tag + (h[1] & MACSEC_SHORT) : p->end - MACSEC_ICV;
	if (end < p->end)
		set_end(p, end);
	if (!pull(f, p, tag + 2))
		return parse_non_ip(p, k, ETH_P_MACSEC);
	return parse_shim(f, p, tag + 2);
}

/* RFC 8300 section 2: what it says of the service path is not the flow's. */
static __always_inline int parse_nsh(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 8);
	__u32 len = h ? (h[1] & 0x3f) * 4 : 0;

	if (len < 8 || p->off + len > p->cap || h[0] >> 6 || !h[3] || h[3] > 5)
		return parse_non_ip(p, k, ETH_P_NSH);
	if (p->tags++ >= PARSE_VLAN_MAX)
		return PARSE_SKIP(VLAN_DEPTH);
	p->off += len;
	if (h[3] == 3)
		p->layer = LAYER_ETH;
	else
		set_type(p, h[3] == 1	? ETH_P_IP
			    : h[3] == 2 ? ETH_P_IPV6
			    : h[3] == 4 ? ETH_P_NSH
					: ETH_P_MPLS_UC);
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
	case ETH_P_ETAG: /* IEEE 802.1BR */
	case ETH_P_CMD:	 /* Cisco's, with a security group */
		return parse_shim(f, p, 8);
	case ETH_P_HSR: /* IEC 62439-3 */
		return parse_shim(f, p, 6);
	case ETH_P_8021AH:
		return parse_mac_in_mac(p, 4);
	case ETH_P_FABRICPATH:
		return parse_mac_in_mac(p, 2);
	case ETH_P_NSH:
		return parse_nsh(f, p, k);
	case ETH_P_MACSEC:
		return parse_macsec(f, p, k);
	default:
		if (p->type < LLC_TYPE_MIN)
			return parse_llc(f, p, k);
		return parse_non_ip(p, k, p->type);
	}
}

/* Is there an Ethernet header at @off, going by its type? */
static __always_inline int eth_is_likely(const struct frame *f, const struct parse *p, __u32 off)
{
	const __u8 *h = pull_at(f, p, off + 2 * ETH_ALEN, 2);
	__u16 type = h ? be16_at(h) : 0;

	return type == ETH_P_IP || type == ETH_P_IPV6 || type == ETH_P_ARP || type == ETH_P_8021Q ||
	       type == ETH_P_8021AD || type == ETH_P_MPLS_UC;
}

/*
 * Below the label stack nothing says what follows: the first nibble does (RFC 4928 section 2;
 * control word: RFC 4385 section 3, RFC 4448 section 4.6). A control word is optional: without one
 * an address begins with the same nibble, so the likely Ethernet header decides, and two zero bytes
 * (no flags, no length) where there are two.
 */
static __always_inline int parse_mpls_payload(const struct frame *f, struct parse *p, struct pkt *k)
{
	const __u8 *h = pull(f, p, 2);
	__u32 start = h ? be16_at(h) : 0, skip = 0;

	if (start >> 12 == 4 || start >> 12 == 6) {
		p->layer = start >> 12 == 4 ? LAYER_IP4 : LAYER_IP6;
		return PARSE_MORE;
	}
	if (!(start >> 12) && eth_is_likely(f, p, p->off + 4) &&
	    (!start || !eth_is_likely(f, p, p->off)))
		skip = 4;
	else if (!eth_is_likely(f, p, p->off))
		return parse_non_ip(p, k, p->type);
	p->off += skip;
	p->layer = LAYER_ETH;
	return PARSE_MORE;
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

#endif
