/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_tunnel.c - the full parser on tunnels over UDP: what is inside, under which key, and what is
 * counted where the inside is no packet. Tunnels over IP: test_tunnel_ip.c.
 */
#include "tunnels.h"

TestSuite(tunnel, .timeout = 120);

static struct packet vxlan(__u16 port, __u32 vni)
{
	struct packet p = {};

	outer_udp(&p, port);
	pk_vxlan(&p, vni);
	pk_eth(&p);
	inner(&p);
	return p;
}

Test(tunnel, opens_vxlan_on_each_configured_port)
{
	struct packet p = vxlan(4789, 0xabcdef);
	struct pkt k = parsed_deep(&p, 1);

	expect_inner(&k, TUN_VXLAN, 0xabcdef, 64);
	p = vxlan(8472, 5);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 5, 64);
	p = vxlan(4788, 5);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_clean(&k);
}

Test(tunnel, counts_the_outer_flow_when_tunnels_are_not_opened)
{
	struct packet p = vxlan(4789, 1);
	struct pkt k = parsed(&p);

	expect_outer(&k, 17);
	expect_ports(&k, 17, 50000, 4789);
	expect_clean(&k);
}

Test(tunnel, ignores_reserved_bits_of_vxlan_but_wants_the_vni_flag)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	pk_set32(&p, 42, 0xffffffff);
	pk_set8(&p, 49, 0xff);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 7, 64);
	pk_set8(&p, 42, 0xf7);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_MALFORMED);
}

Test(tunnel, takes_the_inner_length_of_a_truncated_mirror)
{
	struct packet p = {};
	struct pkt k;

	outer_udp(&p, 4789);
	pk_vxlan(&p, 9);
	pk_eth(&p);
	pk_ip4(&p, IN1, IN2);
	pk_tcp(&p, 1111, 80, 0x18);
	pk_payload(&p, 20);
	pk_end(&p);
	pk_set16(&p, 64 + 2, 1500);
	k = parsed_deep(&p, 1);
	expect_layout(&k, 64, 1500, 104, 1460);
	expect_ports(&k, 6, 1111, 80);
	expect_clean(&k);
}

Test(tunnel, inner_vlan_ids_take_the_place_of_outer_ones)
{
	for (int tagged = 0; tagged < 3; tagged++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_vlan(&p, 0x88a8, 10);
		pk_vlan(&p, 0x8100, 11);
		pk_ip4(&p, A, B);
		pk_udp(&p, 1, 4789);
		pk_vxlan(&p, 9);
		pk_eth(&p);
		for (int i = 0; i < tagged; i++)
			pk_vlan(&p, 0x8100, 20 + i);
		inner(&p);
		k = parsed_deep(&p, 1);
		cr_expect(eq(u16, k.key.vlan[0], tagged ? 20 : 10));
		cr_expect(eq(u16, k.key.vlan[1], tagged == 0 ? 11 : tagged == 1 ? 0 : 21));
		expect_tunnel(&k, TUN_VXLAN, 9, A);
	}
}

Test(tunnel, counts_an_inner_non_ip_frame_by_ethertype_under_the_tunnels_key)
{
	struct packet p = {};
	struct pkt k;
	__u8 zero[32] = {};

	outer_udp(&p, 4789);
	pk_vxlan(&p, 9);
	pk_eth(&p);
	pk_announce(&p, 0x0806, 0);
	pk_payload(&p, 28);
	pk_end(&p);
	k = parsed_deep(&p, 1);
	cr_expect(eq(u16, k.key.ethertype, 0x0806));
	expect_ports(&k, 0, 0, 0);
	cr_expect(memcmp(k.key.addr, zero, 32) == 0);
	expect_tunnel(&k, TUN_VXLAN, 9, A);
	expect_layout(&k, 64, 28, 64, 28);
}

Test(tunnel, counts_the_outer_flow_of_a_vxlan_packet_cut_anywhere)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	for (__u32 n = 42; n < 84; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 1, &k), 0));
		expect_outer(&k, 17);
		expect_ports(&k, 17, 50000, 4789);
		if (n < 50)
			expect_note(&k, TUNNEL_TRUNCATED);
		else
			expect_note(&k, TUNNEL_INNER);
	}
	for (__u32 n = 84; n < 104; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 1, &k), 0));
		expect_tunnel(&k, TUN_VXLAN, 7, A);
		expect_note(&k, TCP_TRUNCATED);
	}
}

Test(tunnel, does_not_read_beyond_the_outer_packets_length)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	pk_set16(&p, 16, 64 - 14 + 10); /* ends within the inner IP header, though bytes follow */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, UDP_LENGTH); /* noticed first */
}

Test(tunnel, counts_the_outer_flow_when_the_inside_is_broken)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	pk_set8(&p, 64, 0x65);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_ports(&k, 17, 50000, 4789);
	expect_layout(&k, 14, 99, 42, 71);
	expect_note(&k, TUNNEL_INNER);
}

Test(tunnel, follows_nested_tunnels_to_the_depth_and_no_further)
{
	struct packet p = {};
	struct pkt k;

	outer_udp(&p, 4789);
	pk_vxlan(&p, 1);
	pk_eth(&p);
	pk_ip4(&p, IP4(172, 16, 0, 1), IP4(172, 16, 0, 2));
	pk_gre(&p, 0x2000, 2);
	pk_ip4(&p, IP4(172, 16, 1, 1), IP4(172, 16, 1, 2));
	inner(&p);
	k = parsed_deep(&p, 3);
	expect_ip4(&k, IN1, IN2);
	expect_tunnel(&k, TUN_IPIP, 0, IP4(172, 16, 1, 1));
	cr_expect(eq(u8, k.layers, 3));
	k = parsed_deep(&p, 2);
	expect_ip4(&k, IP4(172, 16, 1, 1), IP4(172, 16, 1, 2));
	expect_tunnel(&k, TUN_GRE, 2, IP4(172, 16, 0, 1));
	expect_note(&k, TUNNEL_DEPTH);
	k = parsed_deep(&p, 1);
	expect_ip4(&k, IP4(172, 16, 0, 1), IP4(172, 16, 0, 2));
	expect_ports(&k, 47, 0, 0);
	expect_tunnel(&k, TUN_VXLAN, 1, A);
	expect_note(&k, TUNNEL_DEPTH);
	pk_set8(&p, p.len - 49, 0x30); /* the innermost is broken */
	k = parsed_deep(&p, 3);
	expect_ip4(&k, IP4(172, 16, 1, 1), IP4(172, 16, 1, 2));
	expect_tunnel(&k, TUN_GRE, 2, IP4(172, 16, 0, 1));
	expect_note(&k, TUNNEL_INNER);
}

Test(tunnel, never_follows_more_tunnels_than_its_own_limit)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	for (int i = 0; i < 20; i++)
		pk_ip4(&p, IP4(10, 1, 0, i), B);
	inner(&p);
	k = parsed_deep(&p, 100);
	cr_expect(eq(u8, k.layers, PARSE_DECAP_MAX));
	expect_ip4(&k, IP4(10, 1, 0, PARSE_DECAP_MAX), B);
	expect_note(&k, TUNNEL_DEPTH);
}

Test(tunnel, opens_vxlan_gpe_by_its_next_protocol)
{
	struct packet p = {};
	struct pkt k;

	outer_udp(&p, 4790);
	pk_vxlan_gpe(&p, 3);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 3, 50);
	pk_set8(&p, 45, 9); /* nothing known */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_INNER);
	pk_set8(&p, 42, 0x04); /* no VNI */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_MALFORMED);
	cr_assert(eq(int, parsed_cut(&p, 49, 1, &k), 0));
	expect_note(&k, TUNNEL_TRUNCATED);

	p = (struct packet){};
	outer_udp(&p, 4790);
	pk_vxlan_gpe(&p, 3);
	pk_ip6(&p, 1, 2);
	pk_udp(&p, 5, 6);
	pk_end(&p);
	k = parsed_deep(&p, 1);
	expect_ip6(&k, 1, 2);
	expect_ports(&k, 17, 5, 6);

	p = (struct packet){};
	outer_udp(&p, 4790);
	pk_vxlan_gpe(&p, 3);
	pk_mpls(&p, 16, 1);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 3, 54);

	for (int plain = 0; plain < 2; plain++) {
		p = (struct packet){};
		outer_udp(&p, 4790);
		pk_vxlan_gpe(&p, 3);
		pk_eth(&p);
		inner(&p);
		if (plain)
			pk_set32(&p, 42, 0x08000000); /* plain VXLAN */
		k = parsed_deep(&p, 1);
		expect_inner(&k, TUN_VXLAN, 3, 64);
	}
}

Test(tunnel, opens_geneve_with_and_without_options_and_ethernet)
{
	static const __u16 classes[] = {0, 0x0108, 0x0132};

	for (int c = 0; c < 3; c++) {
		__u32 options = c ? 4 + 8 * 4 : 0;

		for (int ethernet = 0; ethernet < 2; ethernet++) {
			struct packet p = {};
			struct pkt k;

			outer_udp(&p, 6081);
			pk_geneve(&p, 0x123456, classes[c], 8);
			if (ethernet)
				pk_eth(&p);
			inner(&p);
			k = parsed_deep(&p, 1);
			expect_inner(&k, TUN_GENEVE, 0x123456, 50 + options + 14 * ethernet);
		}
	}
}

Test(tunnel, opens_geneve_that_carries_ipv6)
{
	struct packet p = {};
	struct pkt k;

	outer_udp(&p, 6081);
	pk_geneve(&p, 1, 0x0108, 6);
	pk_ip6(&p, 7, 8);
	pk_udp(&p, 5, 443);
	pk_payload(&p, 4);
	pk_end(&p);
	k = parsed_deep(&p, 1);
	expect_ip6(&k, 7, 8);
	expect_ports(&k, 17, 5, 443);
	expect_layout(&k, 78, 52, 126, 4);
}

Test(tunnel, counts_the_outer_flow_of_broken_geneve)
{
	struct packet good = {}, p;
	struct pkt k;

	outer_udp(&good, 6081);
	pk_geneve(&good, 1, 0x0108, 6);
	inner(&good);
	p = good;
	pk_set8(&p, 42, 0x47); /* version 1 */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_MALFORMED);
	p = good;
	pk_set8(&p, 42, 0x3f); /* options longer than the packet */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_MALFORMED);
	p = good;
	pk_set16(&p, 44, 0x1234);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_INNER);
	for (__u32 n = 42; n < 78; n++) {
		cr_assert(eq(int, parsed_cut(&good, n, 1, &k), 0));
		expect_outer(&k, 17);
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

static struct packet teredo(int auth, int origin, int reverse)
{
	struct packet p = {};

	outer(&p);
	pk_udp(&p, reverse ? 3544 : 50000, reverse ? 50000 : 3544);
	if (auth)
		pk_teredo_auth(&p, 3, 5);
	if (origin)
		pk_teredo_origin(&p);
	pk_ip6(&p, 1, 2);
	pk_icmp6(&p, 128, 0);
	pk_payload(&p, 4);
	pk_end(&p);
	return p;
}

Test(tunnel, opens_teredo_with_its_headers_in_both_directions)
{
	for (int i = 0; i < 8; i++) {
		struct packet p = teredo(i & 1, i & 2, i & 4);
		struct pkt k = parsed_deep(&p, 1);

		expect_ip6(&k, 1, 2);
		expect_ports(&k, 58, 0x8000, 0x8000);
		expect_tunnel(&k, TUN_TEREDO, 0, A);
		cr_expect(eq(u32, k.l4.ip_bytes, 52));
		expect_clean(&k);
	}
}

Test(tunnel, wants_an_ipv6_packet_that_fits_in_teredo)
{
	struct packet p = teredo(0, 0, 0);
	struct pkt k;

	pk_set16(&p, 46, 13); /* IPv6 payload length, one too many */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_INNER);
	p = teredo(0, 0, 0);
	pk_set8(&p, 42, 0x45);
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_INNER);
	p = teredo(1, 1, 0);
	cr_assert(eq(int, parsed_cut(&p, 50, 1, &k), 0));
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_TRUNCATED);
	cr_assert(eq(int, parsed_cut(&p, 90, 1, &k), 0));
	expect_note(&k, TUNNEL_INNER);
}

static struct packet gtpu(__u8 flags, int extensions)
{
	struct packet p = {};

	outer_udp(&p, 2152);
	pk_gtpu(&p, 0xcafe0001, flags, extensions ? 0x85 : 0);
	for (int i = extensions; i > 0; i--)
		pk_gtpu_ext(&p, i, i > 1 ? 0x84 : 0);
	inner(&p);
	return p;
}

Test(tunnel, opens_gtpu_with_optional_fields_and_extension_headers)
{
	for (int flags = 0; flags < 8; flags++) {
		int extensions = flags & 4 ? flags : 0;
		struct packet p = gtpu(flags, extensions);
		struct pkt k = parsed_deep(&p, 1);

		expect_inner(&k, TUN_GTPU, 0xcafe0001,
			     50 + (flags ? 4 : 0) + 2 * extensions * (extensions + 1));
	}
}

Test(tunnel, leaves_other_gtpu_messages_to_the_outer_flow)
{
	struct packet p = gtpu(2, 0);
	struct pkt k;

	pk_set8(&p, 43, 1); /* echo request */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_clean(&k);
}

Test(tunnel, counts_the_outer_flow_of_broken_gtpu)
{
	struct packet p = gtpu(0, 0);
	struct pkt k;

	pk_set8(&p, 42, 0x20); /* GTP' */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_MALFORMED);
	p = gtpu(0, 0);
	pk_set16(&p, 44, 50); /* longer than the datagram */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_MALFORMED);
	p = gtpu(0, 0);
	pk_set8(&p, 50, 0xff); /* neither IPv4 nor IPv6 */
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_INNER);
	p = gtpu(4, 1);
	pk_set8(&p, 54, 0); /* extension header of no length */
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_MALFORMED);
	p = gtpu(4, 1);
	pk_set8(&p, 54, 200);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_note(&k, TUNNEL_TRUNCATED);
	p = gtpu(4, PARSE_GTP_EXT_MAX + 1);
	k = parsed_deep(&p, 1);
	expect_note(&k, TUNNEL_MALFORMED);
	p = gtpu(4, 1);
	for (__u32 n = 42; n < 54; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 1, &k), 0));
		expect_note(&k, TUNNEL_TRUNCATED);
	}
}

Test(tunnel, follows_vxlan_gpe_into_nsh)
{
	struct packet p = {};
	struct pkt k;

	outer_udp(&p, 4790);
	pk_vxlan_gpe(&p, 3);
	pk_nsh(&p, 3);
	pk_eth(&p);
	inner(&p);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 3, 72);
}

Test(tunnel, opens_the_first_fragment_of_what_has_a_length_of_its_own)
{
	struct packet p = gtpu(0, 0);
	struct pkt k;

	pk_set16(&p, 44, 1400); /* more than this fragment holds */
	pk_set16(&p, 20, 0x2000);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_GTPU, 0xcafe0001, 50);
	p = teredo(0, 0, 0);
	pk_set16(&p, 46, 1200);
	pk_set16(&p, 20, 0x2000);
	k = parsed_deep(&p, 1);
	expect_ip6(&k, 1, 2);
	cr_expect(eq(u32, k.l4.ip_bytes, 1240));
}

Test(tunnel, opens_the_first_fragment_and_leaves_the_rest_to_the_outer_flow)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	pk_set16(&p, 20, 0x2000);
	k = parsed_deep(&p, 1);
	expect_inner(&k, TUN_VXLAN, 7, 64);
	cr_expect(eq(u8, k.frag, FRAG_NONE));
	pk_set16(&p, 20, 0x0010);
	k = parsed_deep(&p, 1);
	expect_outer(&k, 17);
	expect_ports(&k, 17, 0, 0);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
}

Test(tunnel, reads_a_fragment_inside)
{
	struct packet p = vxlan(4789, 7);
	struct pkt k;

	pk_set16(&p, 70, 0x0010);
	k = parsed_deep(&p, 1);
	expect_tunnel(&k, TUN_VXLAN, 7, A);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
	expect_ports(&k, 6, 0, 0);
}
