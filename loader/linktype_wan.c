// SPDX-License-Identifier: Apache-2.0
/*
 * linktype_wan.c - PPP, Cisco HDLC, frame relay, ATM and SLIP.
 */
#include <stddef.h>

#include "loader/bytes.h"
#include "loader/linktype_int.h"

#define NLPID_SNAP 0x80
#define NLPID_IPV6 0x8e
#define NLPID_IPV4 0xcc

/* IANA's PPP numbers: of the network protocols, those that have an Ethertype. */
static uint16_t ppp_ethertype(uint16_t protocol)
{
	switch (protocol) {
	case 0x0021:
		return ETHERTYPE_IPV4;
	case 0x0057:
		return ETHERTYPE_IPV6;
	case 0x0281:
		return ETHERTYPE_MPLS;
	case 0x0283:
		return ETHERTYPE_MPLS_M;
	default:
		return 0;
	}
}

/* RFC 1661 section 6.5: a number of one byte is odd, and its high byte was left out. */
static enum link_result ppp_protocol(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 1)
		return LINK_TOO_SHORT;
	if (p[0] & 1)
		return link_layer3(c, 1, ppp_ethertype(p[0]));
	if (link_left(c) < 2)
		return LINK_TOO_SHORT;
	return link_layer3(c, 2, ppp_ethertype(get_be16(p)));
}

enum link_result link_ppp(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) >= 2 && p[0] == 0xff && p[1] == 0x03)
		c->off += 2;
	return ppp_protocol(c);
}

/* Address and control field of PPP (RFC 1662), or those of Cisco HDLC. */
enum link_result link_ppp_hdlc(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 2)
		return LINK_TOO_SHORT;
	if ((p[0] == 0x0f || p[0] == 0x8f) && p[1] == 0)
		return link_chdlc(c);
	return link_ppp(c);
}

/* Like PPP_HDLC, but the direction took the place of the address: 0 in, 1 out. */
enum link_result link_ppp_pppd(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) < 2)
		return LINK_TOO_SHORT;
	c->off += p[1] == 0x03 ? 2 : 1;
	return ppp_protocol(c);
}

/* Address, control, then an Ethertype; 0x8035 is not RARP here but Cisco's keepalive. */
enum link_result link_chdlc(struct link_cursor *c)
{
	uint16_t type;

	if (link_left(c) < 4)
		return LINK_TOO_SHORT;
	type = get_be16(link_at(c) + 2);
	if (type == ETHERTYPE_RARP || type == 0xfefe)
		return LINK_NO_ETHERTYPE;
	return link_layer3(c, 4, type);
}

/* RFC 2427: organisation and protocol behind NLPID 0x80. The cursor is behind that byte. */
static enum link_result nlpid_snap(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	uint32_t oui;

	if (link_left(c) < 5)
		return LINK_TOO_SHORT;
	oui = (uint32_t)p[0] << 16 | get_be16(p + 1);
	if (oui == 0)
		return link_layer3(c, 5, get_be16(p + 3));
	if (oui == 0x0080c2 && (get_be16(p + 3) == 1 || get_be16(p + 3) == 7))
		return link_inner(c, 5, LINKTYPE_ETHERNET);
	return LINK_NO_ETHERTYPE;
}

static enum link_result nlpid(struct link_cursor *c)
{
	if (link_left(c) < 1)
		return LINK_TOO_SHORT;
	switch (*link_at(c)) {
	case NLPID_IPV4:
		return link_layer3(c, 1, ETHERTYPE_IPV4);
	case NLPID_IPV6:
		return link_layer3(c, 1, ETHERTYPE_IPV6);
	case NLPID_SNAP:
		c->off++;
		return nlpid_snap(c);
	default:
		return LINK_NO_ETHERTYPE;
	}
}

/* Q.922 address of 2 to 4 bytes (the last has bit 0 set), then RFC 2427, or Cisco's Ethertype. */
enum link_result link_frelay(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	uint32_t address = 1, left = link_left(c);

	while (address < 4 && address <= left && !(p[address - 1] & 1))
		address++;
	if (left < address + 2)
		return LINK_TOO_SHORT;
	if (address < 2 || !(p[address - 1] & 1))
		return LINK_MALFORMED;
	if (p[address] != 0x03)
		return link_layer3(c, address + 2, get_be16(p + address));
	c->off += address + 1;
	if (*link_at(c) == 0) /* padding before NLPID */
		c->off++;
	return nlpid(c);
}

/* RFC 2684: LLC, where NLPID may stand behind service access points fe fe. */
enum link_result link_rfc1483(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);

	if (link_left(c) >= 3 && p[0] == 0xfe && p[1] == 0xfe && p[2] == 0x03) {
		c->off += 3;
		return nlpid(c);
	}
	return link_llc(c);
}

/* Flags, VPI, VCI; the low bits of the flags say what follows: 1 LAN emulation, 2 LLC. */
enum link_result link_sunatm(struct link_cursor *c)
{
	if (link_left(c) < 4)
		return LINK_TOO_SHORT;
	switch (*link_at(c) & 0x0f) {
	case 1:
		return link_inner(c, 6, LINKTYPE_ETHERNET);
	case 2:
		return link_inner(c, 4, LINKTYPE_ATM_RFC1483);
	default:
		return LINK_NO_DATA;
	}
}

/* BSD: direction, and 15 bytes that tell how the header was compressed; behind, it no longer is. */
enum link_result link_slip(struct link_cursor *c)
{
	if (link_left(c) < 17)
		return LINK_TOO_SHORT;
	c->off += 16;
	return link_raw_ip(c);
}
