/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets_tunnel.h - tunnel headers for the packet builder; included by packets.h. Those over UDP
 * come after a pk_udp() to their port.
 */
#ifndef WEIR_TESTS_PACKETS_TUNNEL_H
#define WEIR_TESTS_PACKETS_TUNNEL_H

#include "packets.h"

static inline __u32 pk_vxlan(struct packet *p, __u32 vni)
{
	__u32 off = pk_layer(p, PK_OTHER, 8);

	pk_set8(p, off, 0x08);
	pk_set32(p, off + 4, vni << 8);
	return off;
}

static inline __u32 pk_vxlan_gpe(struct packet *p, __u32 vni)
{
	__u32 off = pk_vxlan(p, vni);

	pk_set8(p, off, 0x0c);
	pk_names_next(p, PK_NEXT_GPE, off + 3);
	return off;
}

/* One option of @class with @words words of data; no option if @class is 0. */
static inline __u32 pk_geneve(struct packet *p, __u32 vni, __u16 class, __u8 words)
{
	__u32 off = pk_layer(p, PK_OTHER, 8);

	pk_set32(p, off + 4, vni << 8);
	if (class) {
		__u32 opt = pk_room(p, 4 + words * 4);

		pk_set16(p, opt, class);
		pk_set8(p, opt + 2, 1);
		pk_set8(p, opt + 3, words);
		pk_set8(p, off, 1 + words);
	}
	pk_names_next(p, PK_NEXT_TYPE, off + 2);
	return off;
}

/* @flags: 0x8000 checksum, 0x2000 key, 0x1000 sequence number */
static inline __u32 pk_gre(struct packet *p, __u16 flags, __u32 key)
{
	__u32 off;

	pk_announce(p, 0, 47);
	off = pk_layer(p, PK_OTHER, 4);
	pk_set16(p, off, flags);
	if (flags & 0x8000)
		pk_room(p, 4);
	if (flags & 0x2000)
		pk_set32(p, pk_room(p, 4), key);
	if (flags & 0x1000)
		pk_set32(p, pk_room(p, 4), 1);
	pk_names_next(p, PK_NEXT_TYPE, off + 2);
	return off;
}

/* After pk_gre(); ERSPAN I is the Ethertype alone, and Ethernet follows. */
static inline void pk_erspan1(struct packet *p)
{
	pk_announce(p, 0x88be, 0);
}

static inline __u32 pk_erspan2(struct packet *p, __u16 session)
{
	__u32 off;

	pk_announce(p, 0x88be, 0);
	off = pk_layer(p, PK_OTHER, 8);
	pk_set16(p, off, 1 << 12 | 7);
	pk_set16(p, off + 2, session);
	return off;
}

/* @flags: the last two bytes; bit 0 adds the platform subheader */
static inline __u32 pk_erspan3(struct packet *p, __u16 session, __u16 flags)
{
	__u32 off;

	pk_announce(p, 0x22eb, 0);
	off = pk_layer(p, PK_OTHER, flags & 1 ? 20 : 12);
	pk_set16(p, off, 2 << 12 | 7);
	pk_set16(p, off + 2, session);
	pk_set16(p, off + 10, flags);
	return off;
}

/* @flags: E = 4, S = 2, PN = 1; @ext: type of the first extension header */
static inline __u32 pk_gtpu(struct packet *p, __u32 teid, __u8 flags, __u8 ext)
{
	__u32 off = pk_layer(p, PK_GTPU, 8);

	pk_set8(p, off, 0x30 | flags);
	pk_set8(p, off + 1, 255);
	pk_set32(p, off + 4, teid);
	if (flags & 7)
		pk_set8(p, pk_room(p, 4) + 3, ext);
	return off;
}

static inline __u32 pk_gtpu_ext(struct packet *p, __u8 words, __u8 next)
{
	__u32 off = pk_room(p, words * 4);

	pk_set8(p, off, words);
	pk_set8(p, off + words * 4 - 1, next);
	return off;
}

static inline __u32 pk_teredo_auth(struct packet *p, __u8 id_len, __u8 value_len)
{
	__u32 off = pk_room(p, 13 + id_len + value_len);

	pk_set16(p, off, 1);
	pk_set8(p, off + 2, id_len);
	pk_set8(p, off + 3, value_len);
	return off;
}

static inline __u32 pk_teredo_origin(struct packet *p)
{
	return pk_room(p, 8);
}

#endif
