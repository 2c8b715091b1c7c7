/* SPDX-License-Identifier: Apache-2.0 */
/*
 * packets.h - a packet builder for tests: headers are appended outermost first; each fills in what
 * the one before says about it (Ethertype, protocol), and pk_end() sets lengths and checksums.
 * Functions that append return the offset of what they appended, so that a test can break it
 * afterwards with pk_set8/16/32. Not for hostile input: running over PACKET_MAX aborts.
 */
#ifndef WEIR_TESTS_PACKETS_H
#define WEIR_TESTS_PACKETS_H

#include <stdlib.h>
#include <string.h>
#include <linux/types.h>

#define PACKET_MAX	4096
#define PK_LAYERS_MAX	64
#define IP4(a, b, c, d) ((__u32)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* How a header names the one that follows it. */
enum pk_next { PK_NEXT_NONE, PK_NEXT_TYPE, PK_NEXT_PROTO, PK_NEXT_PPP, PK_NEXT_GPE };

enum pk_kind {
	PK_OTHER,
	PK_ETH_LEN,
	PK_PPPOE,
	PK_IP4,
	PK_IP6,
	PK_TCP,
	PK_UDP,
	PK_UDPLITE,
	PK_ICMP,
	PK_ICMP6,
	PK_GTPU
};

struct pk_layer {
	__u32 off;
	enum pk_kind kind;
};

struct packet {
	__u8 b[PACKET_MAX];
	__u32 len;
	__u32 next; /* offset of the field that names the next header */
	enum pk_next next_kind;
	__u32 layers;
	struct pk_layer layer[PK_LAYERS_MAX];
};

/* ---- bytes ---- */

static inline void pk_set8(struct packet *p, __u32 off, __u8 v)
{
	p->b[off] = v;
}

static inline void pk_set16(struct packet *p, __u32 off, __u16 v)
{
	p->b[off] = v >> 8;
	p->b[off + 1] = v;
}

static inline void pk_set32(struct packet *p, __u32 off, __u32 v)
{
	pk_set16(p, off, v >> 16);
	pk_set16(p, off + 2, v);
}

/* @n bytes of zero. */
static inline __u32 pk_room(struct packet *p, __u32 n)
{
	__u32 off = p->len;

	if (off + n > PACKET_MAX)
		abort();
	memset(p->b + off, 0, n);
	p->len += n;
	return off;
}

/* Payload: @n bytes that differ from each other. */
static inline __u32 pk_payload(struct packet *p, __u32 n)
{
	__u32 off = pk_room(p, n);

	for (__u32 i = 0; i < n; i++)
		p->b[off + i] = i * 7 + 1;
	return off;
}

static inline __u32 pk_data(struct packet *p, const void *data, __u32 n)
{
	__u32 off = pk_room(p, n);

	memcpy(p->b + off, data, n);
	return off;
}

/* Ethertype @type or protocol @proto goes into the header before; there is a PPP or GPE number for
 * IP and Ethernet only.
 */
static inline void pk_announce(struct packet *p, __u16 type, __u8 proto)
{
	switch (p->next_kind) {
	case PK_NEXT_TYPE:
		pk_set16(p, p->next, type);
		break;
	case PK_NEXT_PROTO:
		pk_set8(p, p->next, proto);
		break;
	case PK_NEXT_PPP:
		pk_set16(p, p->next, type == 0x86dd ? 0x0057 : 0x0021);
		break;
	case PK_NEXT_GPE:
		pk_set8(p, p->next,
			type == 0x0800	 ? 1
			: type == 0x86dd ? 2
			: type == 0x894f ? 4
			: type == 0x8847 ? 5
					 : 3);
		break;
	case PK_NEXT_NONE:
		break;
	}
	p->next_kind = PK_NEXT_NONE;
}

/* Append a header of @n bytes. */
static inline __u32 pk_layer(struct packet *p, enum pk_kind kind, __u32 n)
{
	__u32 off = pk_room(p, n);

	if (p->layers == PK_LAYERS_MAX)
		abort();
	p->layer[p->layers++] = (struct pk_layer){.off = off, .kind = kind};
	return off;
}

static inline void pk_names_next(struct packet *p, enum pk_next kind, __u32 off)
{
	p->next_kind = kind;
	p->next = off;
}

/* ---- link layer ---- */

static inline __u32 pk_eth(struct packet *p)
{
	__u32 off;

	pk_announce(p, 0x6558, 97);
	off = pk_layer(p, PK_OTHER, 14);
	memcpy(p->b + off, "\x02\0\0\0\0\x02\x02\0\0\0\0\x01", 12);
	pk_names_next(p, PK_NEXT_TYPE, off + 12);
	return off;
}

/* 802.3: a length in the place of the Ethertype. */
static inline __u32 pk_eth_len(struct packet *p)
{
	__u32 off = pk_eth(p);

	p->next_kind = PK_NEXT_NONE;
	p->layer[p->layers - 1].kind = PK_ETH_LEN;
	return off;
}

static inline __u32 pk_llc(struct packet *p, __u8 dsap, __u8 ssap)
{
	__u32 off = pk_layer(p, PK_OTHER, 3);

	pk_set8(p, off, dsap);
	pk_set8(p, off + 1, ssap);
	pk_set8(p, off + 2, 3);
	return off;
}

static inline __u32 pk_snap(struct packet *p, __u32 oui)
{
	__u32 off = pk_llc(p, 0xaa, 0xaa);

	pk_room(p, 5);
	pk_set8(p, off + 3, oui >> 16);
	pk_set16(p, off + 4, oui);
	pk_names_next(p, PK_NEXT_TYPE, off + 6);
	return off;
}

static inline __u32 pk_vlan(struct packet *p, __u16 tpid, __u16 tci)
{
	__u32 off;

	pk_announce(p, tpid, 0);
	off = pk_layer(p, PK_OTHER, 4);
	pk_set16(p, off, tci);
	pk_names_next(p, PK_NEXT_TYPE, off + 2);
	return off;
}

static inline __u32 pk_mpls(struct packet *p, __u32 label, int bottom)
{
	__u32 off;

	pk_announce(p, 0x8847, 137);
	off = pk_layer(p, PK_OTHER, 4);
	pk_set32(p, off, label << 12 | (__u32) !!bottom << 8 | 64);
	return off;
}

static inline __u32 pk_pppoe(struct packet *p)
{
	__u32 off;

	pk_announce(p, 0x8864, 0);
	off = pk_layer(p, PK_PPPOE, 8);
	pk_set8(p, off, 0x11);
	pk_set16(p, off + 2, 0x77);
	pk_names_next(p, PK_NEXT_PPP, off + 6);
	return off;
}

/* Service header of MD type 2 without metadata; @next: 1 IPv4, 2 IPv6, 3 Ethernet, 5 MPLS */
static inline __u32 pk_nsh(struct packet *p, __u8 next)
{
	__u32 off;

	pk_announce(p, 0x894f, 0);
	off = pk_layer(p, PK_OTHER, 8);
	pk_set32(p, off, 0x0fc20200 | next);
	return off;
}

/* ---- IP ---- */

static inline __u32 pk_ip4(struct packet *p, __u32 src, __u32 dst)
{
	__u32 off;

	pk_announce(p, 0x0800, 4);
	off = pk_layer(p, PK_IP4, 20);
	pk_set8(p, off, 0x45);
	pk_set16(p, off + 4, 0x1234);
	pk_set8(p, off + 8, 64);
	pk_set32(p, off + 12, src);
	pk_set32(p, off + 16, dst);
	pk_names_next(p, PK_NEXT_PROTO, off + 9);
	return off;
}

/* Options (no-operation) of @words * 4 bytes, straight after pk_ip4(). */
static inline __u32 pk_ip4_options(struct packet *p, __u32 words)
{
	__u32 off = pk_room(p, words * 4);

	memset(p->b + off, 1, words * 4);
	p->b[p->layer[p->layers - 1].off] += words;
	return off;
}

/* 2001:db8::@src to 2001:db8::@dst */
static inline __u32 pk_ip6(struct packet *p, __u16 src, __u16 dst)
{
	__u32 off;

	pk_announce(p, 0x86dd, 41);
	off = pk_layer(p, PK_IP6, 40);
	pk_set8(p, off, 0x60);
	pk_set8(p, off + 6, 59);
	pk_set8(p, off + 7, 64);
	for (__u32 i = 0; i < 2; i++) {
		pk_set32(p, off + 8 + i * 16, 0x20010db8);
		pk_set16(p, off + 22 + i * 16, i ? dst : src);
	}
	pk_names_next(p, PK_NEXT_PROTO, off + 6);
	return off;
}

/* Extension header @proto of 8 + @more * 8 bytes, filled with one PadN option. */
static inline __u32 pk_ext(struct packet *p, __u8 proto, __u8 more)
{
	__u32 off;

	pk_announce(p, 0, proto);
	off = pk_layer(p, PK_OTHER, 8 + more * 8);
	pk_set8(p, off, 59);
	pk_set8(p, off + 1, more);
	pk_set8(p, off + 2, 1);
	pk_set8(p, off + 3, 4 + more * 8);
	pk_names_next(p, PK_NEXT_PROTO, off);
	return off;
}

/* Fragment header; @offset in bytes, a multiple of 8. */
static inline __u32 pk_fragment6(struct packet *p, __u16 offset, int more, __u32 id)
{
	__u32 off;

	pk_announce(p, 0, 44);
	off = pk_layer(p, PK_OTHER, 8);
	pk_set8(p, off, 59);
	pk_set16(p, off + 2, offset | !!more);
	pk_set32(p, off + 4, id);
	pk_names_next(p, PK_NEXT_PROTO, off);
	return off;
}

/* Authentication header with 12 bytes of ICV. */
static inline __u32 pk_ah(struct packet *p)
{
	__u32 off;

	pk_announce(p, 0, 51);
	off = pk_layer(p, PK_OTHER, 24);
	pk_set8(p, off, 59);
	pk_set8(p, off + 1, 24 / 4 - 2);
	pk_names_next(p, PK_NEXT_PROTO, off);
	return off;
}

/* ---- transport ---- */

static inline __u32 pk_ports(struct packet *p, enum pk_kind kind, __u16 sport, __u16 dport)
{
	__u32 off = pk_layer(p, kind, kind == PK_TCP ? 20 : 8);

	pk_set16(p, off, sport);
	pk_set16(p, off + 2, dport);
	return off;
}

static inline __u32 pk_tcp(struct packet *p, __u16 sport, __u16 dport, __u8 flags)
{
	__u32 off;

	pk_announce(p, 0, 6);
	off = pk_ports(p, PK_TCP, sport, dport);
	pk_set32(p, off + 4, 1000);
	pk_set8(p, off + 12, 0x50);
	pk_set8(p, off + 13, flags);
	pk_set16(p, off + 14, 8192);
	return off;
}

/* Options (no-operation) of @words * 4 bytes, straight after pk_tcp(). */
static inline __u32 pk_tcp_options(struct packet *p, __u32 words)
{
	__u32 off = pk_room(p, words * 4);

	memset(p->b + off, 1, words * 4);
	p->b[p->layer[p->layers - 1].off + 12] += words << 4;
	return off;
}

static inline __u32 pk_udp(struct packet *p, __u16 sport, __u16 dport)
{
	pk_announce(p, 0, 17);
	return pk_ports(p, PK_UDP, sport, dport);
}

static inline __u32 pk_udplite(struct packet *p, __u16 sport, __u16 dport)
{
	__u32 off;

	pk_announce(p, 0, 136);
	off = pk_ports(p, PK_UDPLITE, sport, dport);
	pk_set16(p, off + 4, 8);
	return off;
}

static inline __u32 pk_sctp(struct packet *p, __u16 sport, __u16 dport)
{
	__u32 off;

	pk_announce(p, 0, 132);
	off = pk_ports(p, PK_OTHER, sport, dport);
	pk_room(p, 4);
	return off;
}

static inline __u32 pk_dccp(struct packet *p, __u16 sport, __u16 dport)
{
	__u32 off;

	pk_announce(p, 0, 33);
	off = pk_ports(p, PK_OTHER, sport, dport);
	pk_room(p, 8);
	pk_set8(p, off + 4, 4);
	pk_set8(p, off + 8, 2 << 1 | 1);
	return off;
}

static inline __u32 pk_icmp(struct packet *p, __u8 type, __u8 code)
{
	__u32 off;

	pk_announce(p, 0, 1);
	off = pk_layer(p, PK_ICMP, 8);
	pk_set8(p, off, type);
	pk_set8(p, off + 1, code);
	return off;
}

static inline __u32 pk_icmp6(struct packet *p, __u8 type, __u8 code)
{
	__u32 off;

	pk_announce(p, 0, 58);
	off = pk_layer(p, PK_ICMP6, 8);
	pk_set8(p, off, type);
	pk_set8(p, off + 1, code);
	return off;
}

/* ---- the end ---- */

static inline __u32 pk_sum(const struct packet *p, __u32 off, __u32 n, __u32 sum)
{
	for (__u32 i = 0; i < n; i++)
		sum += i & 1 ? p->b[off + i] : (__u32)p->b[off + i] << 8;
	return sum;
}

static inline __u16 pk_fold(__u32 sum)
{
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return ~sum;
}

/* Checksum of the transport header in layer @i at @at, with its IP header's pseudo-header. */
static inline void pk_checksum(struct packet *p, __u32 i, __u32 at, __u8 proto)
{
	__u32 off = p->layer[i].off, len = p->len - off, sum = proto ? proto + len : 0, ip = i;

	while (ip && p->layer[ip].kind != PK_IP4 && p->layer[ip].kind != PK_IP6)
		ip--;
	if (proto && p->layer[ip].kind == PK_IP4)
		sum = pk_sum(p, p->layer[ip].off + 12, 8, sum);
	else if (proto && p->layer[ip].kind == PK_IP6)
		sum = pk_sum(p, p->layer[ip].off + 8, 32, sum);
	pk_set16(p, off + at, 0);
	sum = pk_fold(pk_sum(p, off, len, sum));
	pk_set16(p, off + at, sum ? sum : 0xffff);
}

static inline void pk_end_layer(struct packet *p, __u32 i)
{
	__u32 off = p->layer[i].off, len = p->len - off;

	switch (p->layer[i].kind) {
	case PK_ETH_LEN:
		pk_set16(p, off + 12, len - 14);
		break;
	case PK_PPPOE:
		pk_set16(p, off + 4, len - 6);
		break;
	case PK_IP4:
		pk_set16(p, off + 2, len);
		pk_set16(p, off + 10, 0);
		pk_set16(p, off + 10, pk_fold(pk_sum(p, off, (p->b[off] & 15) * 4, 0)));
		break;
	case PK_IP6:
		pk_set16(p, off + 4, len - 40);
		break;
	case PK_TCP:
		pk_checksum(p, i, 16, 6);
		break;
	case PK_UDP:
		pk_set16(p, off + 4, len);
		pk_checksum(p, i, 6, 17);
		break;
	case PK_ICMP:
		pk_checksum(p, i, 2, 0);
		break;
	case PK_ICMP6:
		pk_checksum(p, i, 2, 58);
		break;
	case PK_GTPU:
		pk_set16(p, off + 2, len - 8);
		break;
	default:
		break;
	}
}

/* Lengths and checksums, innermost first. What is appended later is padding. */
static inline void pk_end(struct packet *p)
{
	for (__u32 i = p->layers; i-- > 0;)
		pk_end_layer(p, i);
}

#include "packets_tunnel.h"

#endif
