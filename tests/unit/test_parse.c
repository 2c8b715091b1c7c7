/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_parse.c - the full parser on what stands below IP, whole and broken. The rest of it:
 * test_network.c, test_transport.c, test_tunnel.c.
 */
#include "parsed.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 0, 2)

TestSuite(parse, .timeout = 120);

static void eth_ip4(struct packet *p)
{
	pk_eth(p);
	pk_ip4(p, A, B);
}

static void eth_ip6(struct packet *p)
{
	pk_eth(p);
	pk_ip6(p, 1, 2);
}

Test(parse, reads_tcp_over_ipv4)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_set8(&p, 15, 46 << 2 | 3);
	pk_tcp(&p, 40000, 443, 0x18);
	pk_tcp_options(&p, 3);
	pk_payload(&p, 11);
	pk_end(&p);
	k = parsed(&p);
	expect_ip4(&k, A, B);
	expect_ports(&k, 6, 40000, 443);
	expect_layout(&k, 14, 63, 66, 11);
	expect_clean(&k);
	cr_expect(eq(u8, k.l4.tcp_flags, 0x18));
	cr_expect(eq(u32, k.l4.seq, 1000));
	cr_expect(eq(u16, k.l4.window, 8192));
	cr_expect(eq(u8, k.l4.ttl, 64));
	cr_expect(eq(u8, k.l4.dscp, 46));
	cr_expect(eq(u8, k.frag, FRAG_NONE));
}

Test(parse, reads_udp_over_ipv6)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	pk_set16(&p, 14, 0x6000 | 10 << 6);
	pk_udp(&p, 5353, 53);
	pk_payload(&p, 20);
	pk_end(&p);
	k = parsed(&p);
	expect_ip6(&k, 1, 2);
	expect_ports(&k, 17, 5353, 53);
	expect_layout(&k, 14, 68, 62, 20);
	cr_expect(eq(u8, k.l4.dscp, 10));
	expect_clean(&k);
}

Test(parse, rejects_frame_shorter_than_ethernet_header)
{
	struct packet p = {};

	pk_eth(&p);
	for (__u32 n = 0; n < 14; n++)
		expect_skip_cut(&p, n, ETH_TRUNCATED);
}

Test(parse, never_counts_ethernet_padding)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_end(&p);
	pk_room(&p, 6);
	k = parsed(&p);
	expect_layout(&k, 14, 40, 54, 0);
}

Test(parse, keeps_the_first_two_vlan_ids_of_any_number)
{
	for (int tags = 1; tags <= PARSE_VLAN_MAX; tags++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		for (int i = 0; i < tags; i++)
			pk_vlan(&p, i ? 0x8100 : tags > 2 ? 0x9100 : 0x88a8, 0xe000 | (100 + i));
		pk_ip4(&p, A, B);
		pk_udp(&p, 1, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 17, 1, 2);
		cr_expect(eq(u16, k.key.vlan[0], 100));
		cr_expect(eq(u16, k.key.vlan[1], tags > 1 ? 101 : 0));
		cr_expect(eq(u32, k.l4.ip_bytes, 28));
	}
}

Test(parse, counts_too_many_vlan_tags_by_reason)
{
	struct packet p = {};

	pk_eth(&p);
	for (int i = 0; i <= PARSE_VLAN_MAX; i++)
		pk_vlan(&p, 0x8100, 5);
	pk_ip4(&p, A, B);
	pk_end(&p);
	expect_skip(&p, VLAN_DEPTH);
}

Test(parse, does_not_keep_a_priority_tag)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	pk_vlan(&p, 0x8100, 0xa000);
	pk_vlan(&p, 0x8100, 9);
	pk_ip4(&p, A, B);
	pk_end(&p);
	k = parsed(&p);
	cr_expect(eq(u16, k.key.vlan[0], 9));
	cr_expect(eq(u16, k.key.vlan[1], 0));
}

Test(parse, rejects_vlan_tag_cut_short)
{
	struct packet p = {};

	pk_eth(&p);
	pk_vlan(&p, 0x8100, 9);
	pk_ip4(&p, A, B);
	pk_end(&p);
	for (__u32 n = 14; n < 18; n++)
		expect_skip_cut(&p, n, VLAN_TRUNCATED);
	expect_skip_cut(&p, 18, IP4_TRUNCATED);
}

Test(parse, counts_non_ip_frames_by_ethertype)
{
	static const __u16 types[] = {0x0806, 0x88cc, 0x88b8, 0x8863, 0x888e, 0xffff};

	for (unsigned int i = 0; i < sizeof(types) / sizeof(*types); i++) {
		struct packet p = {};
		struct pkt k;
		__u8 zero[32] = {};

		pk_eth(&p);
		pk_vlan(&p, 0x8100, 7);
		pk_announce(&p, types[i], 0);
		pk_payload(&p, 46);
		pk_end(&p);
		k = parsed(&p);
		cr_expect(eq(u16, k.key.ethertype, types[i]));
		expect_ports(&k, 0, 0, 0);
		cr_expect(memcmp(k.key.addr, zero, 32) == 0);
		cr_expect(eq(u16, k.key.vlan[0], 7));
		expect_layout(&k, 18, 46, 18, 46);
	}
}

Test(parse, takes_the_wire_length_for_non_ip_frames_captured_short)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	pk_announce(&p, 0x88cc, 0);
	pk_payload(&p, 100);
	cr_assert(eq(int, parsed_cut(&p, 20, 0, &k), 0));
	cr_expect(eq(u32, k.l4.ip_bytes, 100));
}

Test(parse, reads_ip_behind_snap)
{
	static const __u32 ouis[] = {0, OUI_BRIDGED};

	for (int i = 0; i < 2; i++) {
		struct packet p = {};
		struct pkt k;

		pk_eth_len(&p);
		pk_snap(&p, ouis[i]);
		pk_ip4(&p, A, B);
		pk_tcp(&p, 1, 2, 2);
		pk_end(&p);
		pk_room(&p, 5);
		k = parsed(&p);
		expect_ip4(&k, A, B);
		expect_ports(&k, 6, 1, 2);
		expect_layout(&k, 22, 40, 62, 0);
	}
}

Test(parse, counts_snap_frames_by_protocol_id)
{
	struct packet p = {};
	struct pkt k;

	pk_eth_len(&p);
	pk_snap(&p, 0x00000c);
	pk_announce(&p, 0x2000, 0);
	pk_payload(&p, 20);
	pk_end(&p);
	pk_room(&p, 30);
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x2000));
	expect_layout(&k, 14, 28, 14, 28);
}

Test(parse, does_not_take_a_vendors_protocol_id_for_ip)
{
	struct packet p = {};
	struct pkt k;

	pk_eth_len(&p);
	pk_snap(&p, 0x00000c);
	pk_ip4(&p, A, B);
	pk_end(&p);
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, ETH_P_802_2));
	expect_ports(&k, 0, 0, 0);
}

Test(parse, counts_other_llc_frames_under_one_type)
{
	static const struct {
		__u8 sap;
		__u16 type;
	} cases[] = {{0x42, ETH_P_802_2}, {0xfe, ETH_P_802_2}, {0xff, ETH_P_802_3}};

	for (int i = 0; i < 3; i++) {
		struct packet p = {};
		struct pkt k;

		pk_eth_len(&p);
		pk_llc(&p, cases[i].sap, cases[i].sap);
		pk_payload(&p, 35);
		pk_end(&p);
		pk_room(&p, 8);
		k = parsed(&p);
		cr_expect(eq(u16, k.key.ethertype, cases[i].type));
		cr_expect(eq(u32, k.l4.ip_bytes, 38));
		cr_assert(eq(int, parsed_cut(&p, 14, 0, &k), 0));
		cr_expect(eq(u16, k.key.ethertype, ETH_P_802_2));
	}
}

Test(parse, skips_an_mpls_label_stack)
{
	for (int labels = 1; labels <= PARSE_MPLS_MAX; labels++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		for (int i = 1; i <= labels; i++)
			pk_mpls(&p, 1000 + i, i == labels);
		if (labels & 1)
			pk_ip4(&p, A, B);
		else
			pk_ip6(&p, 1, 2);
		pk_udp(&p, 3, 4);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 17, 3, 4);
		cr_expect(eq(u32, k.l4.hdr_off, 14 + 4 * labels));
	}
}

Test(parse, counts_a_label_stack_that_is_too_deep_or_cut_by_reason)
{
	struct packet p = {};

	pk_eth(&p);
	for (int i = 0; i <= PARSE_MPLS_MAX; i++)
		pk_mpls(&p, 16, i == PARSE_MPLS_MAX);
	pk_ip4(&p, A, B);
	pk_end(&p);
	expect_skip(&p, MPLS_DEPTH);
	for (__u32 n = 14; n < 18; n++)
		expect_skip_cut(&p, n, MPLS_TRUNCATED);
}

Test(parse, reads_ethernet_in_an_mpls_pseudowire)
{
	for (int control_word = 0; control_word < 2; control_word++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_mpls(&p, 77, 1);
		if (control_word)
			pk_room(&p, 4);
		pk_eth(&p);
		pk_vlan(&p, 0x8100, 12);
		pk_ip4(&p, A, B);
		pk_tcp(&p, 5, 6, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 5, 6);
		cr_expect(eq(u16, k.key.vlan[0], 12));
		cr_expect(eq(u32, k.l4.ip_bytes, 40));
	}
}

Test(parse, counts_mpls_with_anything_else_inside_by_ethertype)
{
	static const __u8 first[] = {0x00, 0x10, 0x50, 0xff};

	for (int i = 0; i < 4; i++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_mpls(&p, 77, 1);
		memset(p.b + pk_room(&p, 40), 0xff, 40);
		pk_set8(&p, 18, first[i]);
		k = parsed(&p);
		cr_expect(eq(u16, k.key.ethertype, 0x8847));
		cr_expect(eq(u32, k.l4.ip_bytes, 40));
		cr_assert(eq(int, parsed_cut(&p, 18, 0, &k), 0));
		cr_expect(eq(u16, k.key.ethertype, 0x8847));
	}
}

Test(parse, reads_ip_in_a_pppoe_session)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_pppoe(&p);
		if (v6)
			pk_ip6(&p, 1, 2);
		else
			pk_ip4(&p, A, B);
		pk_udp(&p, 7, 8);
		pk_end(&p);
		pk_room(&p, 9);
		k = parsed(&p);
		expect_ports(&k, 17, 7, 8);
		expect_layout(&k, 22, v6 ? 48 : 28, v6 ? 70 : 50, 0);
	}
}

Test(parse, reads_a_compressed_ppp_protocol_field)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	pk_pppoe(&p);
	p.len--;
	p.next_kind = PK_NEXT_NONE;
	pk_ip4(&p, A, B);
	pk_udp(&p, 7, 8);
	pk_end(&p);
	pk_set8(&p, 20, 0x21);
	k = parsed(&p);
	expect_ports(&k, 17, 7, 8);
	cr_expect(eq(u32, k.l4.hdr_off, 21));
}

Test(parse, counts_other_ppp_frames_as_pppoe)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	pk_pppoe(&p);
	pk_payload(&p, 10);
	pk_end(&p);
	pk_set16(&p, 20, 0xc021);
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x8864));
	cr_expect(eq(u32, k.l4.ip_bytes, 18));
	pk_set8(&p, 15, 9); /* not session data */
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x8864));
	cr_assert(eq(int, parsed_cut(&p, 18, 0, &k), 0));
	cr_expect(eq(u16, k.key.ethertype, 0x8864));
}

Test(parse, steps_over_tags_that_tell_nothing_of_the_flow)
{
	static const struct {
		__u16 type;
		__u8 len;
	} cases[] = {{0x893f, 8}, {0x8909, 8}, {0x892f, 6}};

	for (int i = 0; i < 3; i++) {
		struct packet p = {};
		struct pkt k;
		__u32 tag;

		pk_eth(&p);
		pk_announce(&p, cases[i].type, 0);
		tag = pk_room(&p, cases[i].len);
		pk_names_next(&p, PK_NEXT_TYPE, tag + cases[i].len - 2);
		pk_vlan(&p, 0x8100, 33);
		pk_ip4(&p, A, B);
		pk_tcp(&p, 1, 2, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 1, 2);
		cr_expect(eq(u16, k.key.vlan[0], 33));
		expect_skip_cut(&p, tag + cases[i].len - 1, VLAN_TRUNCATED);
	}
}

Test(parse, counts_too_many_of_any_tags_by_reason)
{
	static const __u16 types[] = {0x893f, 0x88e7, 0x894f};

	for (int i = 0; i < 3; i++) {
		struct packet p = {};

		pk_eth(&p);
		for (int j = 0; j <= PARSE_VLAN_MAX; j++) {
			pk_announce(&p, types[i], 0);
			if (types[i] == 0x894f)
				pk_nsh(&p, 3);
			else
				pk_names_next(&p, PK_NEXT_TYPE, pk_room(&p, i ? 4 : 8) + 6);
			if (i)
				pk_eth(&p);
		}
		pk_ip4(&p, A, B);
		pk_end(&p);
		expect_skip(&p, VLAN_DEPTH);
	}
}

Test(parse, reads_the_frame_in_a_frame)
{
	static const struct {
		__u16 type;
		__u8 len;
	} cases[] = {{0x88e7, 4}, {0x8903, 2}};

	for (int i = 0; i < 2; i++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_vlan(&p, 0x88a8, 3);
		pk_announce(&p, cases[i].type, 0);
		pk_room(&p, cases[i].len);
		pk_eth(&p);
		pk_vlan(&p, 0x8100, 4);
		pk_ip4(&p, A, B);
		pk_tcp(&p, 1, 2, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 1, 2);
		cr_expect(eq(u16, k.key.vlan[0], 3));
		cr_expect(eq(u16, k.key.vlan[1], 4));
	}
}

/* MACsec with tag control @tci; @after: bytes behind the secured ones. */
static struct packet macsec(__u8 tci, __u8 short_len, __u32 after)
{
	struct packet p = {};
	__u32 tag;

	pk_eth(&p);
	pk_announce(&p, 0x88e5, 0);
	tag = pk_room(&p, tci & 0x20 ? 14 : 6);
	pk_set8(&p, tag, tci);
	pk_set8(&p, tag + 1, short_len);
	pk_names_next(&p, PK_NEXT_TYPE, pk_room(&p, 2));
	pk_announce(&p, 0x88cc, 0);
	pk_payload(&p, 30);
	pk_end(&p);
	pk_room(&p, after);
	return p;
}

Test(parse, reads_macsec_that_is_not_encrypted_without_its_check_value)
{
	struct packet p = macsec(0x20, 0, 16);
	struct pkt k = parsed(&p);

	cr_expect(eq(u16, k.key.ethertype, 0x88cc));
	expect_layout(&k, 30, 30, 30, 30);
	p = macsec(0x00, 32, 16 + 9); /* short: padded behind the check value */
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x88cc));
	expect_layout(&k, 22, 30, 22, 30);
	p = macsec(0x2c, 0, 16);
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x88e5));
	expect_layout(&k, 14, 62, 14, 62);
	p = macsec(0x20, 0, 16);
	p.len = 40;
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x88e5));
}

Test(parse, looks_behind_a_network_service_header)
{
	for (int next = 1; next <= 5; next++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		pk_nsh(&p, next);
		if (next == 4)
			pk_nsh(&p, 1);
		if (next == 3)
			pk_eth(&p);
		if (next == 5)
			pk_mpls(&p, 16, 1);
		if (next == 2)
			pk_ip6(&p, 1, 2);
		else
			pk_ip4(&p, A, B);
		pk_tcp(&p, 1, 2, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 1, 2);
		pk_set8(&p, 17, 6);
		k = parsed(&p);
		cr_expect(eq(u16, k.key.ethertype, 0x894f));
	}
}

Test(parse, does_not_follow_a_service_header_beyond_the_frame)
{
	struct packet p = {};
	struct pkt k;

	pk_eth(&p);
	pk_nsh(&p, 4);
	pk_payload(&p, 40);
	pk_set8(&p, 15, 0xff); /* 252 bytes */
	k = parsed(&p);
	cr_expect(eq(u16, k.key.ethertype, 0x894f));
	expect_layout(&k, 14, 48, 14, 48);
}

Test(parse, leaves_nothing_of_the_previous_packet)
{
	struct packet a = {}, b = {};
	struct parse_cfg cfg = parsed_cfg(1);
	struct pkt k, fresh;

	pk_eth(&a);
	pk_vlan(&a, 0x8100, 3);
	pk_vlan(&a, 0x8100, 4);
	pk_ip6(&a, 1, 2);
	pk_udp(&a, 1, 4789);
	pk_vxlan(&a, 5);
	eth_ip6(&a);
	pk_tcp(&a, 1, 2, 0xff);
	pk_end(&a);
	pk_eth(&b);
	pk_announce(&b, 0x0806, 0);
	pk_payload(&b, 46);
	memset(&fresh, 0, sizeof(fresh));
	cr_assert(eq(int, parse_frame(a.b, a.len, a.len, &cfg, &k), 0));
	cr_assert(eq(int, parse_frame(b.b, b.len, b.len, &cfg, &k), 0));
	cr_assert(eq(int, parse_frame(b.b, b.len, b.len, &cfg, &fresh), 0));
	cr_expect(memcmp(&k, &fresh, sizeof(k)) == 0);
}
