// SPDX-License-Identifier: Apache-2.0
/*
 * linktype_wlan.c - IEEE 802.11 data frames, and the per-packet headers that capture programs put
 * before them: radiotap (radiotap.org), Prism, AVS, PPI.
 */
#include <stdbool.h>
#include <stddef.h>

#include "loader/bytes.h"
#include "loader/linktype_int.h"

#define DOT11_HEADER 24u /* frame control, duration, three addresses, sequence control */

/* First byte of frame control (IEEE 802.11-2020, 9.2.4.1), then flags of the second. */
#define DOT11_TYPE(fc0)	  ((fc0) >> 2 & 3)
#define DOT11_DATA	  2
#define DOT11_SUB_NO_DATA 0x40
#define DOT11_SUB_QOS	  0x80
#define DOT11_TO_DS	  0x01
#define DOT11_FROM_DS	  0x02
#define DOT11_PROTECTED	  0x40
#define DOT11_ORDER	  0x80
#define DOT11_QOS_AMSDU	  0x80

/* Where source and destination stand depends on who forwards the frame (table 9-30). */
static void set_addresses(struct link_cursor *c, const uint8_t *p, uint8_t ds)
{
	c->dst = p + (ds & DOT11_TO_DS ? 16 : 4);
	switch (ds) {
	case DOT11_FROM_DS:
		c->src = p + 16;
		break;
	case DOT11_TO_DS | DOT11_FROM_DS:
		c->src = p + DOT11_HEADER;
		break;
	default:
		c->src = p + 10;
	}
}

enum link_result link_802_11(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	uint32_t header = DOT11_HEADER, left = link_left(c), qos_at;
	uint8_t ds;

	if (left < 2)
		return LINK_TOO_SHORT;
	if ((p[0] & 3) != 0) /* protocol version */
		return LINK_MALFORMED;
	if (DOT11_TYPE(p[0]) != DOT11_DATA || p[0] & DOT11_SUB_NO_DATA)
		return LINK_NO_DATA;
	ds = p[1] & (DOT11_TO_DS | DOT11_FROM_DS);
	if (ds == (DOT11_TO_DS | DOT11_FROM_DS))
		header += 6;
	qos_at = header;
	if (p[0] & DOT11_SUB_QOS)
		header += p[1] & DOT11_ORDER ? 6 : 2; /* with HT control */
	if (left < header)
		return LINK_TOO_SHORT;
	if (p[1] & DOT11_PROTECTED)
		return LINK_ENCRYPTED;
	if (get_le16(p + 22) & 0x0f) /* only the first fragment has the LLC header */
		return LINK_FRAGMENT;
	if (p[0] & DOT11_SUB_QOS && p[qos_at] & DOT11_QOS_AMSDU)
		return LINK_FRAGMENT;
	if (c->pad_802_11)
		header = (header + 3) & ~3u;
	if (left < header)
		return LINK_TOO_SHORT;
	set_addresses(c, p, ds);
	c->off += header;
	return link_llc(c);
}

/* The flags field is the second, behind the 8-byte aligned time when that is there. */
static enum link_result radiotap_flags(const uint8_t *p, uint32_t len, uint8_t *ret_flags)
{
	uint32_t at = 4, present = get_le32(p + 4), word = present;

	*ret_flags = 0;
	for (at = 8; word & 0x80000000u; at += 4) {
		if (len < at + 4)
			return LINK_MALFORMED;
		word = get_le32(p + at);
	}
	if (!(present & 2))
		return LINK_OK;
	if (present & 1)
		at = ((at + 7) & ~7u) + 8;
	if (len < at + 1)
		return LINK_MALFORMED;
	*ret_flags = p[at];
	return LINK_OK;
}

enum link_result link_radiotap(struct link_cursor *c)
{
	const uint8_t *p = link_at(c);
	enum link_result r;
	uint32_t len;
	uint8_t flags;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	len = get_le16(p + 2);
	if (p[0] != 0 || len < 8)
		return LINK_MALFORMED;
	if (link_left(c) < len)
		return LINK_TOO_SHORT;
	r = radiotap_flags(p, len, &flags);
	if (r != LINK_OK)
		return r;
	if (flags & 0x10) /* frame check sequence at the end */
		c->tail += 4;
	c->pad_802_11 = (flags & 0x20) != 0;
	return link_inner(c, len, LINKTYPE_IEEE802_11);
}

enum link_result link_avs(struct link_cursor *c)
{
	uint32_t len;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	len = get_be32(link_at(c) + 4);
	if (len < 8)
		return LINK_MALFORMED;
	return link_inner(c, len, LINKTYPE_IEEE802_11);
}

/* Some drivers write AVS headers under this number: its magic tells. */
enum link_result link_prism(struct link_cursor *c)
{
	uint32_t len;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	if ((get_be32(link_at(c)) & 0xfffff000) == 0x80211000)
		return link_avs(c);
	len = get_le32(link_at(c) + 4);
	if (len < 8)
		return LINK_MALFORMED;
	return link_inner(c, len, LINKTYPE_IEEE802_11);
}

enum link_result link_ppi(struct link_cursor *c)
{
	uint32_t len;

	if (link_left(c) < 8)
		return LINK_TOO_SHORT;
	len = get_le16(link_at(c) + 2);
	if (len < 8)
		return LINK_MALFORMED;
	return link_inner(c, len, get_le32(link_at(c) + 4));
}
