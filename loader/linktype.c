// SPDX-License-Identifier: Apache-2.0
/*
 * linktype.c - the table of link types, the decoders of LAN headers, and the synthetic Ethernet
 * header. The other decoders are in linktype_wlan.c, linktype_wan.c and linktype_host.c.
 *
 * A decoder moves the cursor over the one header it knows and says what comes behind.
 */
#include "loader/linktype.h"

#include <stddef.h>
#include <string.h>

#include "loader/bytes.h"
#include "loader/linktype_int.h"

#define LINK_DEPTH_MAX 4 /* link headers in one frame: PKTAP, Ethernet and some to spare */

enum link_result link_raw_ip(struct link_cursor *c)
{
	if (link_left(c) < 1)
		return LINK_TOO_SHORT;
	switch (*link_at(c) >> 4) {
	case 4:
		return link_layer3(c, 0, ETHERTYPE_IPV4);
	case 6:
		return link_layer3(c, 0, ETHERTYPE_IPV6);
	default:
		return LINK_MALFORMED;
	}
}

/* These say what they carry, so that the packet path names what contradicts it. */
static enum link_result link_ipv4(struct link_cursor *c)
{
	return link_layer3(c, 0, ETHERTYPE_IPV4);
}

static enum link_result link_ipv6(struct link_cursor *c)
{
	return link_layer3(c, 0, ETHERTYPE_IPV6);
}

static enum link_result link_mpls(struct link_cursor *c)
{
	return link_layer3(c, 0, ETHERTYPE_MPLS);
}

/* RFC 1042; organisation 0000f8 is the bridge tunnel encapsulation of 802.1H, 0080c2 RFC 2684. */
static enum link_result link_snap(struct link_cursor *c)
{
	const uint8_t *p = link_at(c) + 3;
	uint32_t oui;
	uint16_t type;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	oui = (uint32_t)p[0] << 16 | get_be16(p + 1);
	type = get_be16(p + 3);
	if ((oui == 0 || oui == 0x0000f8) && type >= ETHERTYPE_MIN)
		return link_layer3(c, 8, type);
	if (oui == 0x0080c2 && (type == 1 || type == 7))
		return link_inner(c, 10, LINKTYPE_ETHERNET);
	return LINK_NO_ETHERTYPE;
}

enum link_result link_llc(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 3)
		return LINK_TOO_SHORT;
	if (p[0] == 0xaa && p[1] == 0xaa && p[2] == 0x03)
		return link_snap(c);
	if (p[0] == 0x06 && p[1] == 0x06 && p[2] == 0x03) /* IP's own service access point */
		return link_layer3(c, 3, ETHERTYPE_IPV4);
	return LINK_NO_ETHERTYPE;
}

/* Frame control and two addresses; asynchronous LLC frames alone carry packets. RFC 1390. */
static enum link_result link_fddi(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 13)
		return LINK_TOO_SHORT;
	if ((p[0] & 0xf8) != 0x50)
		return LINK_NO_DATA;
	c->dst = p + 1;
	c->src = p + 7;
	c->off += 13;
	return link_llc(c);
}

/* IEEE 802.5: access and frame control, two addresses, a source route when the source says so. */
static enum link_result link_token_ring(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	uint32_t header = 14;

	if (link_left(c) < header + 2)
		return LINK_TOO_SHORT;
	if ((p[1] & 0xc0) != 0x40)
		return LINK_NO_DATA;
	if (p[8] & 0x80)
		header += p[14] & 0x1f;
	if (link_left(c) < header)
		return LINK_TOO_SHORT;
	c->dst = p + 2;
	c->src = p + 8;
	c->off += header;
	return link_llc(c);
}

/* ARCnet protocol ids: RFC 1201, and the older ones of RFC 1051 whose packets are not split. */
static enum link_result link_arcnet(struct link_cursor *c, uint32_t type_at, bool linux_header)
{
	const uint8_t *p = link_at(c);
	uint32_t header = type_at + 1;

	if (link_left(c) < header)
		return LINK_TOO_SHORT;
	switch (p[type_at]) {
	case 240:
		return link_layer3(c, header, ETHERTYPE_IPV4);
	case 241:
		return link_layer3(c, header, ETHERTYPE_ARP);
	}
	if (link_left(c) < header + 3)
		return LINK_TOO_SHORT;
	if (p[header] == 0xff && !linux_header) /* exception packet: padding, then the flag again */
		header += 4;
	if (link_left(c) < header + 3)
		return LINK_TOO_SHORT;
	if (p[header] != 0)
		return LINK_FRAGMENT;
	switch (p[type_at]) {
	case 212:
		return link_layer3(c, header + 3, ETHERTYPE_IPV4);
	case 213:
		return link_layer3(c, header + 3, ETHERTYPE_ARP);
	case 196:
		return link_layer3(c, header + 3, ETHERTYPE_IPV6);
	default:
		return LINK_NO_ETHERTYPE;
	}
}

static enum link_result link_arcnet_bsd(struct link_cursor *c)
{
	return link_arcnet(c, 2, false);
}

static enum link_result link_arcnet_linux(struct link_cursor *c)
{
	return link_arcnet(c, 4, true);
}

/* RFC 2625: a network header of two 8-byte addresses. */
static enum link_result link_ip_over_fc(struct link_cursor *c)
{
	if (link_left(c) < 16)
		return LINK_TOO_SHORT;
	c->dst = link_at(c) + 2;
	c->src = link_at(c) + 10;
	c->off += 16;
	return link_llc(c);
}

/* Two EUI-64 addresses, then an Ethertype. */
static enum link_result link_apple_1394(struct link_cursor *c)
{
	if (link_left(c) < 18)
		return LINK_TOO_SHORT;
	return link_layer3(c, 18, get_be16(link_at(c) + 16));
}

/* A global route header of 40 bytes, then RFC 4391's Ethertype and two reserved bytes. */
static enum link_result link_ipoib(struct link_cursor *c)
{
	if (link_left(c) < 44)
		return LINK_TOO_SHORT;
	return link_layer3(c, 44, get_be16(link_at(c) + 40));
}

/* Hilscher's header of four bytes, then an Ethernet frame with its check sequence. */
static enum link_result link_netanalyzer(struct link_cursor *c)
{
	c->tail += 4;
	return link_inner(c, 4, LINKTYPE_ETHERNET);
}

/* RFC 2516: version and type, code, session, length, and PPP behind: the packet path knows it. */
static enum link_result link_pppoe(struct link_cursor *c)
{
	return link_layer3(c, 0, ETHERTYPE_PPPOE);
}

/* One byte for the direction before another link type. */
static enum link_result link_ppp_dir(struct link_cursor *c)
{
	return link_inner(c, 1, LINKTYPE_PPP_HDLC);
}

static enum link_result link_chdlc_dir(struct link_cursor *c)
{
	return link_inner(c, 1, LINKTYPE_C_HDLC);
}

static enum link_result link_frelay_dir(struct link_cursor *c)
{
	return link_inner(c, 1, LINKTYPE_FRELAY);
}

// clang-format off
static const struct link_decoder {
	uint32_t linktype;
	enum link_result (*decode)(struct link_cursor *c);
} link_decoders[] = {
	{ LINKTYPE_NULL, link_null },
	{ LINKTYPE_IEEE802_5, link_token_ring },
	{ LINKTYPE_ARCNET_BSD, link_arcnet_bsd },
	{ LINKTYPE_SLIP, link_slip },
	{ LINKTYPE_PPP, link_ppp },
	{ LINKTYPE_FDDI, link_fddi },
	{ LINKTYPE_DLT_RAW, link_raw_ip },
	{ LINKTYPE_DLT_RAW_BSD, link_raw_ip },
	{ LINKTYPE_PPP_HDLC, link_ppp_hdlc },
	{ LINKTYPE_PPP_ETHER, link_pppoe },
	{ LINKTYPE_ATM_RFC1483, link_rfc1483 },
	{ LINKTYPE_RAW, link_raw_ip },
	{ LINKTYPE_C_HDLC, link_chdlc },
	{ LINKTYPE_IEEE802_11, link_802_11 },
	{ LINKTYPE_FRELAY, link_frelay },
	{ LINKTYPE_LOOP, link_null },
	{ LINKTYPE_ENC, link_enc },
	{ LINKTYPE_LINUX_SLL, link_sll },
	{ LINKTYPE_PFLOG, link_pflog },
	{ LINKTYPE_PRISM, link_prism },
	{ LINKTYPE_IP_OVER_FC, link_ip_over_fc },
	{ LINKTYPE_SUNATM, link_sunatm },
	{ LINKTYPE_RADIOTAP, link_radiotap },
	{ LINKTYPE_ARCNET_LINUX, link_arcnet_linux },
	{ LINKTYPE_APPLE_1394, link_apple_1394 },
	{ LINKTYPE_USER2, link_pktap }, /* older Darwin systems write PKTAP with this number */
	{ LINKTYPE_AVS, link_avs },
	{ LINKTYPE_PPP_PPPD, link_ppp_pppd },
	{ LINKTYPE_PPI, link_ppi },
	{ LINKTYPE_PPP_DIR, link_ppp_dir },
	{ LINKTYPE_C_HDLC_DIR, link_chdlc_dir },
	{ LINKTYPE_FRELAY_DIR, link_frelay_dir },
	{ LINKTYPE_MPLS, link_mpls },
	{ LINKTYPE_IPNET, link_ipnet },
	{ LINKTYPE_IPV4, link_ipv4 },
	{ LINKTYPE_IPV6, link_ipv6 },
	{ LINKTYPE_NFLOG, link_nflog },
	{ LINKTYPE_NETANALYZER, link_netanalyzer },
	{ LINKTYPE_IPOIB, link_ipoib },
	{ LINKTYPE_PKTAP, link_pktap },
	{ LINKTYPE_LINUX_SLL2, link_sll2 },
	{ LINKTYPE_DSA_BRCM, link_brcm },
	{ LINKTYPE_DSA_BRCM_PRE, NULL }, /* four bytes before an Ethernet frame */
	{ LINKTYPE_DSA, link_dsa },
	{ LINKTYPE_EDSA, link_edsa },
};
// clang-format on

static enum link_result decode_one(struct link_cursor *c)
{
	for (size_t i = 0; i < sizeof(link_decoders) / sizeof(link_decoders[0]); i++) {
		const struct link_decoder *d = &link_decoders[i];

		if (d->linktype != c->linktype)
			continue;
		return d->decode ? d->decode(c) : link_inner(c, 4, LINKTYPE_ETHERNET);
	}
	return LINK_UNSUPPORTED;
}

static void put_be16(uint8_t *p, uint16_t v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

/* Ethernet header and, where the link layer had it in its own form, a VLAN tag before the payload. */
static void build_ether(const struct link_cursor *c, uint32_t wire_len, uint8_t *buf,
			struct ether_frame *ret_frame)
{
	uint32_t header = c->has_vlan ? LINK_SYNTHETIC : LINK_ETH_HEADER;
	uint32_t payload = link_left(c);

	memset(buf, 0, 12);
	if (c->dst)
		memcpy(buf, c->dst, 6);
	if (c->src)
		memcpy(buf + 6, c->src, 6);
	if (c->has_vlan) {
		put_be16(buf + 12, ETHERTYPE_VLAN);
		put_be16(buf + 14, c->vlan_tci);
	}
	put_be16(buf + header - 2, c->ethertype);
	memcpy(buf + header, link_at(c), payload);
	ret_frame->data = buf;
	ret_frame->len = header + payload;
	ret_frame->wire_len = wire_len - c->off - c->behind + header;
}

/* An Ethernet frame as it stands at the cursor. */
static enum link_result pass_ether(const struct link_cursor *c, uint32_t wire_len,
				   struct ether_frame *ret_frame)
{
	if (link_left(c) < LINK_ETH_HEADER)
		return LINK_TOO_SHORT;
	ret_frame->data = link_at(c);
	ret_frame->len = link_left(c);
	ret_frame->wire_len = wire_len - c->off;
	return LINK_OK;
}

static enum link_result decode_headers(struct link_cursor *c, uint32_t wire_len, uint8_t *buf,
				       struct ether_frame *ret_frame)
{
	for (int depth = 0; depth < LINK_DEPTH_MAX; depth++) {
		enum link_result r;

		if (c->linktype == LINKTYPE_ETHERNET)
			return pass_ether(c, wire_len, ret_frame);
		r = decode_one(c);
		if (r != LINK_OK)
			return r;
		if (c->next == NEXT_LINKTYPE)
			continue;
		if (c->ethertype < ETHERTYPE_MIN)
			return LINK_NO_ETHERTYPE;
		build_ether(c, wire_len, buf, ret_frame);
		return LINK_OK;
	}
	return LINK_MALFORMED;
}

enum link_result linktype_to_ether(const struct capture_frame *f, uint8_t *buf,
				   struct ether_frame *ret_frame)
{
	struct link_cursor c = {.data = f->data, .len = f->caplen, .linktype = f->linktype};
	enum link_result r;

	if (f->wire_len >
	    UINT32_MAX - LINK_SYNTHETIC) /* no link has it; a header would overflow it */
		return LINK_MALFORMED;
	r = decode_headers(&c, f->wire_len, buf, ret_frame);
	/* The frame check sequence is the end of the frame, which need not have been captured. */
	if (r != LINK_OK || !c.tail || ret_frame->wire_len < LINK_ETH_HEADER + c.tail)
		return r;
	ret_frame->wire_len -= c.tail;
	if (ret_frame->len > ret_frame->wire_len)
		ret_frame->len = ret_frame->wire_len;
	return LINK_OK;
}

const char *linktype_reason(enum link_result r)
{
	static const char *const words[_LINK_MAX] = {
		[LINK_OK] = "ok",
		[LINK_UNSUPPORTED] = "link_unsupported",
		[LINK_TOO_SHORT] = "link_too_short",
		[LINK_MALFORMED] = "link_malformed",
		[LINK_NO_ETHERTYPE] = "link_no_ethertype",
		[LINK_NO_DATA] = "link_no_data",
		[LINK_ENCRYPTED] = "link_encrypted",
		[LINK_FRAGMENT] = "link_fragment",
	};

	return r < _LINK_MAX && words[r] ? words[r] : "link_unknown";
}
