/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tunnel_ip.c - the full parser on tunnels straight over IP: GRE, NVGRE, ERSPAN, IP in IP.
 */
#include "tunnels.h"

TestSuite(tunnel_ip, .timeout = 10);

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
		{0x3001, 0x880b, CNT_TUNNEL_MALFORMED}, /* version 1: PPTP */
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
