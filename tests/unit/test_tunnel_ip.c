/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tunnel_ip.c - the full parser on tunnels straight over IP: GRE, NVGRE, ERSPAN, IP in IP.
 */
#include "tunnels.h"

TestSuite(tunnel_ip, .timeout = 120);

Test(tunnel_ip, opens_gre_with_any_of_its_optional_fields)
{
	for (int i = 0; i < 8; i++) {
		struct packet p = {};
		struct pkt k;
		__u16 flags = (i & 1 ? 0x8000 : 0) | (i & 2 ? 0x2000 : 0) | (i & 4 ? 0x1000 : 0);

		outer(&p);
		pk_gre(&p, flags, 0xdead);
		inner(&p);
		k = parsed_deep(&p, 1);
		expect_inner(&k, TUN_GRE, i & 2 ? 0xdead : 0,
			     38 + 4 * ((i & 1) + (i >> 1 & 1) + (i >> 2)));
	}
}

Test(tunnel_ip, opens_gre_that_carries_ethernet_ipv6_or_mpls)
{
	struct packet p = {};
	struct pkt k;

	outer(&p);
	pk_gre(&p, 0x2000, 0x1234);
	pk_eth(&p);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_GRE, 0x1234, 56);

	p = (struct packet){};
	outer(&p);
	pk_gre(&p, 0, 0);
	pk_mpls(&p, 99, 1);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_GRE, 0, 42);

	p = (struct packet){};
	outer(&p);
	pk_gre(&p, 0, 0);
	pk_ip6(&p, 3, 4);
	pk_sctp(&p, 5, 6);
	pk_end(&p);
	k = parsed_deep(&p, 1);
	expect_ip6(&k, 3, 4);
	expect_ports(&k, 132, 5, 6);
	expect_tunnel(&k, TUN_GRE, 0, A);
}

Test(tunnel_ip, takes_the_subnet_id_of_nvgre_without_the_flow_id)
{
	struct packet p = {};
	struct pkt k;

	outer(&p);
	pk_gre(&p, 0x2000, 0x123456 << 8 | 0x9a);
	pk_eth(&p);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_GRE, 0x123456, 56);
}

Test(tunnel_ip, counts_the_outer_flow_of_gre_that_it_cannot_open)
{
	static const struct {
		__u16 flags, type;
		enum counter why;
	} cases[] = {
		{0x4000, 0x0800, CNT_TUNNEL_MALFORMED}, /* routing */
		{0x3002, 0x0800, CNT_TUNNEL_MALFORMED}, /* version 2 */
		{0x0000, 0x0000, CNT_TUNNEL_INNER},	/* keepalive */
		{0x0000, 0x00fe, CNT_TUNNEL_INNER},	/* OSI */
	};

	for (int i = 0; i < 4; i++) {
		struct packet p = {};
		struct pkt k;

		outer(&p);
		pk_gre(&p, 0, 0);
		inner(&p);
		pk_set16(&p, 34, cases[i].flags);
		pk_set16(&p, 36, cases[i].type);
		k = parsed_deep(&p, 1);
		expect_outer(&k, 47);
		cr_expect(eq(u16, k.note, cases[i].why + 1));
	}
}

Test(tunnel_ip, counts_the_outer_flow_of_gre_cut_short)
{
	struct packet p = {};
	struct pkt k;

	outer(&p);
	pk_gre(&p, 0xb000, 1);
	inner(&p);
	for (__u32 n = 34; n < 50; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 1, &k), 0));
		expect_outer(&k, 47);
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

Test(tunnel_ip, opens_erspan_1_2_and_3)
{
	struct packet p = {};
	struct pkt k;

	outer(&p);
	pk_gre(&p, 0, 0);
	pk_erspan1(&p);
	pk_eth(&p);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_ERSPAN, 0, 52);

	p = (struct packet){};
	outer(&p);
	pk_gre(&p, 0x1000, 0);
	pk_erspan2(&p, 0x2abc | 0x1c00);
	pk_eth(&p);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_ERSPAN, 0x2bc, 64);

	for (int sub = 0; sub < 2; sub++) {
		p = (struct packet){};
		outer(&p);
		pk_gre(&p, 0x1000, 0);
		pk_erspan3(&p, 0xfc00 | 77, 0x8000 | sub);
		pk_eth(&p);
		inner(&p);
		k = parsed_deep(&p, 1);
		expect_inner(&k, TUN_ERSPAN, 77, 68 + 8 * sub);

		p = (struct packet){};
		outer(&p);
		pk_gre(&p, 0x1000, 0);
		pk_erspan3(&p, 77, 2 << 10 | sub);
		inner(&p);
		k = parsed_deep(&p, 1);
		expect_inner(&k, TUN_ERSPAN, 77, 54 + 8 * sub);
	}
}

Test(tunnel_ip, counts_the_outer_flow_of_broken_erspan)
{
	struct packet good = {}, p;
	struct pkt k;

	outer(&good);
	pk_gre(&good, 0x1000, 0);
	pk_erspan3(&good, 77, 1);
	pk_eth(&good);
	inner(&good);
	p = good;
	pk_set8(&p, 42, 0x30); /* version 3 */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 47);
	expect_note(&k, TUNNEL_MALFORMED);
	p = good;
	pk_set16(&p, 52, 2 << 10 | 1); /* says IP, but is Ethernet */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 47);
	expect_note(&k, TUNNEL_INNER);
	p = good;
	pk_set16(&p, 52, 5 << 10); /* frame type unknown */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_INNER);
	for (__u32 n = 42; n < 62; n++) {
		cr_assert(eq(int, parsed_cut(&good, n, 1, &k), 0));
		expect_outer(&k, 47);
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

Test(tunnel_ip, opens_ip_in_ip_of_every_combination)
{
	for (int i = 0; i < 4; i++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		if (i & 1)
			pk_ip6(&p, 1, 2);
		else
			pk_ip4(&p, A, B);
		if (i & 2)
			pk_ip6(&p, 3, 4);
		else
			pk_ip4(&p, IN1, IN2);
		pk_udp(&p, 5, 6);
		pk_payload(&p, 7);
		pk_end(&p);
		k = parsed_deep(&p, 1);
		expect_ports(&k, 17, 5, 6);
		cr_expect(eq(u8, k.key.tun_type, i == 2 ? TUN_6IN4 : TUN_IPIP));
		cr_expect(eq(u32, k.l4.payload_len, 7));
		if (i & 2)
			expect_ip6(&k, 3, 4);
		else
			expect_ip4(&k, IN1, IN2);
		cr_assert(eq(int, parsed_cut(&p, i & 1 ? 54 : 34, 1, &k), 0));
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

/* PPP in GRE version 1; @flags: 0x1000 it has a packet, 0x0080 it acknowledges one. */
static struct packet pptp(__u16 flags, int hdlc, int compressed, __u16 proto)
{
	struct packet p = {};
	__u32 gre;

	outer(&p);
	gre = pk_gre(&p, 0, 0);
	pk_set16(&p, gre, 0x2001 | flags);
	pk_set16(&p, gre + 2, 0x880b);
	p.next_kind = PK_NEXT_NONE;
	pk_set32(&p, pk_room(&p, 4), 0x00501780); /* length, call id */
	pk_room(&p, (flags & 0x1000 ? 4 : 0) + (flags & 0x80 ? 4 : 0));
	if (hdlc)
		pk_set16(&p, pk_room(&p, 2), 0xff03);
	if (compressed)
		pk_set8(&p, pk_room(&p, 1), proto);
	else
		pk_set16(&p, pk_room(&p, 2), proto);
	inner(&p);
	return p;
}

Test(tunnel_ip, opens_ppp_in_gre)
{
	for (int i = 0; i < 8; i++) {
		struct packet p = pptp(0x1000 | (i & 1 ? 0x80 : 0), i & 2, i & 4, 0x21);
		struct pkt k = parsed_deep(&p, 1);

		expect_inner(&k, TUN_GRE, 0x1780,
			     46 + (i & 1 ? 4 : 0) + (i & 2 ? 2 : 0) + (i & 4 ? 1 : 2));
	}
}

Test(tunnel_ip, counts_the_outer_flow_of_ppp_that_is_no_packet)
{
	struct packet p = pptp(0x1000, 1, 0, 0xc021);
	struct pkt k = parsed_deep(&p, 1);

	expect_outer(&k, 47);
	expect_note(&k, TUNNEL_INNER);
	p = pptp(0x0080, 0, 0, 0x21); /* acknowledgement alone */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 47);
	expect_clean(&k);
	p = pptp(0x1000, 1, 0, 0x21);
	for (__u32 n = 38; n < 50; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 1, &k), 0));
		expect_outer(&k, 47);
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

/* An 802.11 frame in GRE: frame control @type and @flags, then its other @more bytes, then SNAP. */
static struct packet wlan(__u8 type, __u8 flags, __u32 more)
{
	static const __u8 snap[8] = {0xaa, 0xaa, 3, 0, 0, 0, 8, 0};
	struct packet p = {};
	__u32 h;

	outer(&p);
	pk_gre(&p, 0, 0);
	pk_announce(&p, 0x8200, 0);
	h = pk_room(&p, 2 + more);
	pk_set8(&p, h, type);
	pk_set8(&p, h + 1, flags);
	pk_data(&p, snap, 8);
	inner(&p);
	return p;
}

Test(tunnel_ip, opens_802_11_data_frames_in_gre)
{
	static const struct {
		__u8 type, flags, more;
	} cases[] = {{0x08, 0x01, 22}, {0x08, 0x03, 28}, {0x88, 0x02, 24}, {0x88, 0x82, 28}};

	for (int i = 0; i < 4; i++) {
		struct packet p = wlan(cases[i].type, cases[i].flags, cases[i].more);
		struct pkt k = parsed_deep(&p, 1);

		expect_inner(&k, TUN_GRE, 0, 38 + 2 + cases[i].more + 8);
	}
}

Test(tunnel_ip, leaves_802_11_frames_without_a_readable_packet_to_the_outer_flow)
{
	struct packet p = wlan(0x80, 0, 22); /* beacon */
	struct pkt k = parsed_deep(&p, 1);

	expect_outer(&k, 47);
	expect_clean(&k);
	p = wlan(0x48, 0, 22); /* no data */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 47);
	expect_clean(&k);
	p = wlan(0x08, 0x40, 22); /* encrypted */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 47);
	expect_note(&k, TUNNEL_INNER);
	p = wlan(0x88, 0, 24);
	pk_set8(&p, 38 + 24, 0x80); /* several packets */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_INNER);
	p = wlan(0x08, 0, 22);
	pk_set8(&p, 38 + 24, 0x42); /* not SNAP */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_INNER);
	cr_assert(eq(int, parsed_cut(&p, 60, 1, &k), 0));
	expect_note(&k, TUNNEL_TRUNCATED);
}
