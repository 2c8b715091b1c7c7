/* SPDX-License-Identifier: Apache-2.0 */
/*
 * tunnels.h - what the tests of tunnels share: the packet around, the packet inside, and what is
 * expected of each.
 */
#ifndef WEIR_TESTS_TUNNELS_H
#define WEIR_TESTS_TUNNELS_H

#include "parsed.h"

#define A   IP4(192, 0, 2, 1)
#define B   IP4(192, 0, 2, 2)
#define IN1 IP4(10, 0, 0, 1)
#define IN2 IP4(10, 0, 0, 2)

static inline void outer(struct packet *p)
{
	pk_eth(p);
	pk_ip4(p, A, B);
}

static inline void outer_udp(struct packet *p, __u16 dport)
{
	outer(p);
	pk_udp(p, 50000, dport);
}

static inline void inner(struct packet *p)
{
	pk_ip4(p, IN1, IN2);
	pk_tcp(p, 1111, 80, 2);
	pk_payload(p, 9);
	pk_end(p);
}

static inline void expect_tunnel(const struct pkt *k, __u8 type, __u32 vni, __u32 src)
{
	__u8 want[16] = {[10] = 0xff, [11] = 0xff, src >> 24, src >> 16, src >> 8, src};

	cr_expect(eq(u8, k->key.tun_type, type));
	cr_expect(eq(u32, k->key.vni, vni));
	cr_expect(memcmp(k->key.tun_src, want, 16) == 0);
}

/* The flow of inner(), whose IP header is at @hdr_off. */
static inline void expect_inner(const struct pkt *k, __u8 type, __u32 vni, __u32 hdr_off)
{
	expect_ip4(k, IN1, IN2);
	expect_ports(k, 6, 1111, 80);
	expect_layout(k, hdr_off, 49, hdr_off + 40, 9);
	expect_tunnel(k, type, vni, A);
	expect_clean(k);
	cr_expect(eq(u8, k->layers, 1));
}

/* The flow around, of protocol @proto. */
static inline void expect_outer(const struct pkt *k, __u8 proto)
{
	__u8 none[16] = {};

	expect_ip4(k, A, B);
	cr_expect(eq(u8, k->key.proto, proto));
	cr_expect(eq(u8, k->key.tun_type, TUN_NONE));
	cr_expect(eq(u32, k->key.vni, 0));
	cr_expect(memcmp(k->key.tun_src, none, 16) == 0);
	cr_expect(eq(u32, k->l4.hdr_off, 14));
	cr_expect(eq(u8, k->layers, 0));
}

#endif
