// SPDX-License-Identifier: Apache-2.0
/*
 * linktype_host.c - headers that operating systems put before packets: loopback, Linux cooked,
 * firewall logs, Darwin's PKTAP, and the tags between a host and its switch chip.
 */
#include <stdbool.h>
#include <stddef.h>

#include "loader/bytes.h"
#include "loader/linktype_int.h"

#define AF_ANY_INET	 2
#define AF_LINUX_INET6	 10
#define AF_NETBSD_INET6	 24 /* OpenBSD too */
#define AF_SOLARIS_INET6 26
#define AF_FREEBSD_INET6 28
#define AF_DARWIN_INET6	 30

/* Address family numbers differ between the systems that wrote the capture, and don't collide. */
static uint16_t family_ethertype(uint32_t family)
{
	switch (family) {
	case AF_ANY_INET:
		return ETHERTYPE_IPV4;
	case AF_LINUX_INET6:
	case AF_NETBSD_INET6:
	case AF_FREEBSD_INET6:
	case AF_DARWIN_INET6:
		return ETHERTYPE_IPV6;
	default:
		return 0;
	}
}

/* The family as the writer's host (NULL) or the network (LOOP) orders it; one of the two fits. */
static uint16_t family_ethertype_32(const uint8_t *p)
{
	uint16_t type = family_ethertype(get_le32(p));

	return type ? type : family_ethertype(get_be32(p));
}

enum link_result link_null(struct link_cursor *c)
{
	if (link_left(c) < 4)
		return LINK_TOO_SHORT;
	return link_layer3(c, 4, family_ethertype_32(link_at(c)));
}

/* OpenBSD's encapsulation device: family, SPI, flags. */
enum link_result link_enc(struct link_cursor *c)
{
	if (link_left(c) < 12)
		return LINK_TOO_SHORT;
	return link_layer3(c, 12, family_ethertype_32(link_at(c)));
}

/* pf's log device: its own length, padded to four bytes, then the family. */
enum link_result link_pflog(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 2)
		return LINK_TOO_SHORT;
	if (p[0] < 2)
		return LINK_MALFORMED;
	return link_layer3(c, (p[0] + 3u) & ~3u, family_ethertype(p[1]));
}

/* A cooked header's protocol field: an Ethertype, or Linux's number for 802.2 LLC. */
static enum link_result sll_payload(struct link_cursor *c, uint16_t protocol)
{
	if (protocol == 0x0004)
		return link_llc(c);
	c->ethertype = protocol;
	c->next = NEXT_LAYER3;
	return LINK_OK;
}

/* ARPHRD_ types whose protocol field is no Ethertype: netlink, GRE, frame relay access device. */
static bool sll_foreign(uint16_t arphrd)
{
	return arphrd == 824 || arphrd == 770;
}

#define ARPHRD_80211	      801
#define ARPHRD_80211_PRISM    802
#define ARPHRD_80211_RADIOTAP 803

static enum link_result sll_behind(struct link_cursor *c, uint16_t arphrd, uint16_t protocol)
{
	switch (arphrd) {
	case ARPHRD_80211:
		return link_inner(c, 0, LINKTYPE_IEEE802_11);
	case ARPHRD_80211_PRISM:
		return link_inner(c, 0, LINKTYPE_PRISM);
	case ARPHRD_80211_RADIOTAP:
		return link_inner(c, 0, LINKTYPE_RADIOTAP);
	default:
		return sll_foreign(arphrd) ? LINK_NO_ETHERTYPE : sll_payload(c, protocol);
	}
}

/* Packet type, ARPHRD_, address length, address of 8, protocol. */
enum link_result link_sll(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 16)
		return LINK_TOO_SHORT;
	if (get_be16(p + 4) == 6)
		c->src = p + 6;
	c->off += 16;
	return sll_behind(c, get_be16(p + 2), get_be16(p + 14));
}

/* Protocol, reserved, ifindex, ARPHRD_, packet type, address length, address of 8. */
enum link_result link_sll2(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 20)
		return LINK_TOO_SHORT;
	if (p[11] == 6)
		c->src = p + 12;
	c->off += 20;
	return sll_behind(c, get_be16(p + 8), get_be16(p));
}

#define NFULA_PAYLOAD 9

/* Walks the attributes; they are in the writer's byte order, which nothing else says. */
static bool nflog_payload(struct link_cursor *c, bool be)
{
	uint32_t at = c->off + 4;

	while (c->len - at >= 4) {
		uint32_t len = get_16(c->data + at, be);
		uint32_t type = get_16(c->data + at + 2, be) & 0x7fff;

		if (len < 4)
			return false;
		if (type == NFULA_PAYLOAD) {
			c->off = at + 4;
			len -= 4;
			if (len < link_left(c)) {
				c->behind = link_left(c) - len;
				c->len -= c->behind;
			}
			return true;
		}
		len = (len + 3) & ~3u;
		if (len > c->len - at)
			return false;
		at += len;
	}
	return false;
}

/* netfilter's log: family, version, group, then netlink attributes. */
enum link_result link_nflog(struct link_cursor *c)
{
	uint8_t family;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	family = link_at(c)[0];
	if (!nflog_payload(c, false) && !nflog_payload(c, true))
		return LINK_NO_DATA;
	return link_layer3(c, 0, family_ethertype(family));
}

#define PKTAP_HEADER 52u /* up to and with the two lengths; the length says what it really is */

/* Length, record type (1 = a packet), the DLT_ number behind; the writer's byte order. */
enum link_result link_pktap(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	uint32_t len;
	bool be;

	if (link_left(c) < PKTAP_HEADER)
		return LINK_TOO_SHORT;
	be = get_le32(p) > link_left(c);
	len = get_32(p, be);
	if (len < PKTAP_HEADER)
		return LINK_MALFORMED;
	if (get_32(p + 4, be) != 1)
		return LINK_NO_DATA;
	return link_inner(c, len, get_32(p + 8, be));
}

/* Solaris: version, family, then zones and interfaces. */
enum link_result link_ipnet(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 24)
		return LINK_TOO_SHORT;
	if (p[0] != 1)
		return LINK_MALFORMED;
	return link_layer3(c, 24,
			   p[1] == AF_SOLARIS_INET6 ? ETHERTYPE_IPV6 : family_ethertype(p[1]));
}

/*
 * Marvell's tag of four bytes between the addresses and the Ethertype: bit 5 of the first byte says
 * that the frame had a VLAN tag, whose priority and id then are in the last two (its CFI bit in the
 * second byte).
 */
static enum link_result dsa_tag(struct link_cursor *c, uint32_t tag_at)
{
	const uint8_t *p = link_at(c), *tag = p + tag_at;

	if (link_left(c) < tag_at + 6)
		return LINK_TOO_SHORT;
	c->dst = p;
	c->src = p + 6;
	if (tag[0] & 0x20) {
		c->has_vlan = 1;
		c->vlan_tci = (uint16_t)((get_be16(tag + 2) & ~0x1000) | (tag[1] & 1) << 12);
	}
	return link_layer3(c, tag_at + 6, get_be16(tag + 4));
}

enum link_result link_dsa(struct link_cursor *c)
{
	return dsa_tag(c, 12);
}

/* The same behind an Ethertype and two reserved bytes. */
enum link_result link_edsa(struct link_cursor *c)
{
	return dsa_tag(c, 16);
}

/* Broadcom's tag of four bytes at the same place. */
enum link_result link_brcm(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 18)
		return LINK_TOO_SHORT;
	c->dst = p;
	c->src = p + 6;
	return link_layer3(c, 18, get_be16(p + 16));
}
