/* SPDX-License-Identifier: Apache-2.0 */
/*
 * linktype_int.h - the cursor that the decoders of link headers share; included by them alone.
 */
#ifndef WEIR_LOADER_LINKTYPE_INT_H
#define WEIR_LOADER_LINKTYPE_INT_H

#include <stdint.h>

#include "loader/linktype.h"

#define LINKTYPE_NULL	      0
#define LINKTYPE_ETHERNET     1
#define LINKTYPE_IEEE802_5    6
#define LINKTYPE_ARCNET_BSD   7
#define LINKTYPE_SLIP	      8
#define LINKTYPE_PPP	      9
#define LINKTYPE_FDDI	      10
#define LINKTYPE_DLT_RAW      12 /* the number DLT_RAW has on most systems ... */
#define LINKTYPE_DLT_RAW_BSD  14 /* ... and on OpenBSD: both are found in files */
#define LINKTYPE_PPP_HDLC     50
#define LINKTYPE_PPP_ETHER    51
#define LINKTYPE_ATM_RFC1483  100
#define LINKTYPE_RAW	      101
#define LINKTYPE_C_HDLC	      104
#define LINKTYPE_IEEE802_11   105
#define LINKTYPE_FRELAY	      107
#define LINKTYPE_LOOP	      108
#define LINKTYPE_ENC	      109
#define LINKTYPE_LINUX_SLL    113
#define LINKTYPE_PFLOG	      117
#define LINKTYPE_PRISM	      119
#define LINKTYPE_IP_OVER_FC   122
#define LINKTYPE_SUNATM	      123
#define LINKTYPE_RADIOTAP     127
#define LINKTYPE_ARCNET_LINUX 129
#define LINKTYPE_APPLE_1394   138
#define LINKTYPE_USER2	      149
#define LINKTYPE_AVS	      163
#define LINKTYPE_PPP_PPPD     166
#define LINKTYPE_PPI	      192
#define LINKTYPE_PPP_DIR      204
#define LINKTYPE_C_HDLC_DIR   205
#define LINKTYPE_FRELAY_DIR   206
#define LINKTYPE_MPLS	      219
#define LINKTYPE_IPNET	      226
#define LINKTYPE_IPV4	      228
#define LINKTYPE_IPV6	      229
#define LINKTYPE_NFLOG	      239
#define LINKTYPE_NETANALYZER  240
#define LINKTYPE_IPOIB	      242
#define LINKTYPE_PKTAP	      258
#define LINKTYPE_LINUX_SLL2   276
#define LINKTYPE_DSA_BRCM     281
#define LINKTYPE_DSA_BRCM_PRE 282
#define LINKTYPE_DSA	      284
#define LINKTYPE_EDSA	      285

#define ETHERTYPE_IPV4	 0x0800
#define ETHERTYPE_ARP	 0x0806
#define ETHERTYPE_RARP	 0x8035
#define ETHERTYPE_VLAN	 0x8100
#define ETHERTYPE_IPV6	 0x86dd
#define ETHERTYPE_MPLS	 0x8847
#define ETHERTYPE_MPLS_M 0x8848
#define ETHERTYPE_PPPOE	 0x8864
#define ETHERTYPE_MIN	 0x0600 /* below: an 802.3 length */

/* What a decoder found behind the header it knows. */
enum link_next {
	NEXT_LAYER3 = 0, /* ethertype is set, off is where its packet begins */
	NEXT_LINKTYPE,	 /* another link header begins at off */
};

/**
 * struct link_cursor - where decoding stands
 * @data, @len: the captured frame
 * @off:        first byte that is not decoded yet, at most @len
 * @tail:       bytes to leave off at the end (frame check sequence), when captured
 * @behind:     bytes of the frame that follow the packet and are not part of it
 * @src, @dst:  Ethernet-like addresses, or NULL
 * @vlan_tci:   tag that the link header held, when @has_vlan
 * @pad_802_11: 802.11 header padded to four bytes (radiotap says so)
 */
struct link_cursor {
	const uint8_t *data;
	uint32_t len;
	uint32_t off;
	uint32_t tail;
	uint32_t behind;
	uint32_t linktype;
	const uint8_t *src;
	const uint8_t *dst;
	uint16_t ethertype;
	uint16_t vlan_tci;
	uint8_t next; /* enum link_next */
	uint8_t has_vlan;
	uint8_t pad_802_11;
};

static inline uint32_t link_left(const struct link_cursor *c)
{
	return c->len - c->off;
}

static inline const uint8_t *link_at(const struct link_cursor *c)
{
	return c->data + c->off;
}

/* The packet of @ethertype begins @skip bytes on. */
static inline enum link_result link_layer3(struct link_cursor *c, uint32_t skip, uint16_t ethertype)
{
	if (link_left(c) < skip)
		return LINK_TOO_SHORT;
	c->off += skip;
	c->ethertype = ethertype;
	c->next = NEXT_LAYER3;
	return LINK_OK;
}

/* Another link header begins @skip bytes on. */
static inline enum link_result link_inner(struct link_cursor *c, uint32_t skip, uint32_t linktype)
{
	if (link_left(c) < skip)
		return LINK_TOO_SHORT;
	c->off += skip;
	c->linktype = linktype;
	c->next = NEXT_LINKTYPE;
	return LINK_OK;
}

/* The version nibble decides between IPv4 and IPv6. */
enum link_result link_raw_ip(struct link_cursor *c);

/* IEEE 802.2 LLC, with SNAP (RFC 1042). */
enum link_result link_llc(struct link_cursor *c);

/* RFC 1661 protocol number, one byte or two, address and control field or none. */
enum link_result link_ppp(struct link_cursor *c);

/* linktype_wlan.c: 802.11 and the headers before it. */
enum link_result link_802_11(struct link_cursor *c);
enum link_result link_radiotap(struct link_cursor *c);
enum link_result link_prism(struct link_cursor *c);
enum link_result link_avs(struct link_cursor *c);
enum link_result link_ppi(struct link_cursor *c);

/* linktype_wan.c: frame relay, ATM, Cisco HDLC, SLIP and other point-to-point links. */
enum link_result link_frelay(struct link_cursor *c);
enum link_result link_chdlc(struct link_cursor *c);
enum link_result link_ppp_hdlc(struct link_cursor *c);
enum link_result link_ppp_pppd(struct link_cursor *c);
enum link_result link_sunatm(struct link_cursor *c);
enum link_result link_rfc1483(struct link_cursor *c);
enum link_result link_slip(struct link_cursor *c);

/* linktype_host.c: headers that hosts put before packets: loopback, cooked, log, switch tags. */
enum link_result link_null(struct link_cursor *c);
enum link_result link_enc(struct link_cursor *c);
enum link_result link_pflog(struct link_cursor *c);
enum link_result link_sll(struct link_cursor *c);
enum link_result link_sll2(struct link_cursor *c);
enum link_result link_nflog(struct link_cursor *c);
enum link_result link_pktap(struct link_cursor *c);
enum link_result link_ipnet(struct link_cursor *c);
enum link_result link_dsa(struct link_cursor *c);
enum link_result link_edsa(struct link_cursor *c);
enum link_result link_brcm(struct link_cursor *c);

#endif
