/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_transport.c - the full parser on transport headers, whole and broken.
 */
#include "parsed.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 0, 2)

TestSuite(transport, .timeout = 120);

static void eth_ip4(struct packet *p)
{
	pk_eth(p);
	pk_ip4(p, A, B);
}

Test(transport, notes_a_tcp_header_cut_short_and_keeps_what_ports_there_are)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_end(&p);
	for (__u32 n = 34; n < 54; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 0, &k), 0));
		expect_note(&k, TCP_TRUNCATED);
		expect_ports(&k, 6, n < 38 ? 0 : 1, n < 38 ? 0 : 2);
		cr_expect(eq(u32, k.l4.payload_len, 0));
		cr_expect(eq(u32, k.l4.ip_bytes, 40));
	}
	pk_set16(&p, 16, 30); /* the header goes beyond the packet, though bytes follow */
	k = parsed(&p);
	expect_note(&k, TCP_TRUNCATED);
	expect_ports(&k, 6, 1, 2);
}

Test(transport, notes_a_tcp_data_offset_out_of_range)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_payload(&p, 10);
	pk_end(&p);
	pk_set8(&p, 46, 0x40);
	k = parsed(&p);
	expect_note(&k, TCP_DOFF);
	expect_ports(&k, 6, 1, 2);
	expect_layout(&k, 14, 50, 54, 0);
	pk_set8(&p, 46, 0x80);
	k = parsed(&p);
	expect_note(&k, TCP_DOFF);
}

Test(transport, notes_a_udp_length_out_of_range)
{
	static const __u16 lengths[] = {0, 7, 19, 65535};
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_udp(&p, 1, 2);
	pk_payload(&p, 10);
	pk_end(&p);
	for (int i = 0; i < 4; i++) {
		pk_set16(&p, 38, lengths[i]);
		k = parsed(&p);
		expect_note(&k, UDP_LENGTH);
		expect_ports(&k, 17, 1, 2);
		expect_layout(&k, 14, 38, 42, 10);
	}
	for (__u32 n = 34; n < 42; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 0, &k), 0));
		expect_note(&k, UDP_TRUNCATED);
		expect_ports(&k, 17, n < 38 ? 0 : 1, n < 38 ? 0 : 2);
	}
}

Test(transport, accepts_udp_length_0_where_the_datagram_is_too_big_for_it)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_udp(&p, 1, 2);
	pk_end(&p);
	pk_set16(&p, 16, 0);
	pk_set16(&p, 38, 0);
	p.len = 14 + 70000;
	cr_assert(eq(int, parsed_cut(&p, 42, 0, &k), 0));
	expect_clean(&k);
	expect_layout(&k, 14, 70000, 42, 70000 - 28);
}

Test(transport, reads_udp_lite_ports_and_not_its_coverage_as_a_length)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_udplite(&p, 1, 4789);
	pk_payload(&p, 10);
	pk_end(&p);
	pk_set16(&p, 38, 7);
	k = parsed_deep(&p, 1);
	expect_ports(&k, 136, 1, 4789);
	expect_layout(&k, 14, 38, 42, 10);
	expect_clean(&k);
}

Test(transport, reads_sctp_ports)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_sctp(&p, 2905, 2906);
	pk_payload(&p, 16);
	pk_end(&p);
	k = parsed(&p);
	expect_ports(&k, 132, 2905, 2906);
	expect_layout(&k, 14, 48, 46, 16);
	cr_assert(eq(int, parsed_cut(&p, 45, 0, &k), 0));
	expect_note(&k, SCTP_TRUNCATED);
	expect_ports(&k, 132, 2905, 2906);
}

Test(transport, reads_dccp_ports)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_dccp(&p, 5001, 5002);
	pk_payload(&p, 16);
	pk_end(&p);
	k = parsed(&p);
	expect_ports(&k, 33, 5001, 5002);
	expect_layout(&k, 14, 52, 50, 16);
	cr_assert(eq(int, parsed_cut(&p, 45, 0, &k), 0));
	expect_note(&k, DCCP_TRUNCATED);
	pk_set8(&p, 38, 2);
	k = parsed(&p);
	expect_note(&k, DCCP_TRUNCATED);
	expect_ports(&k, 33, 5001, 5002);
}

Test(transport, gives_icmp_request_and_reply_one_key)
{
	static const struct {
		__u8 v6, type, request;
	} cases[] = {
		{0, 8, 8},     {0, 0, 8},     {0, 13, 13},   {0, 14, 13},   {0, 15, 15},
		{0, 16, 15},   {0, 17, 17},   {0, 18, 17},   {0, 3, 3},	    {0, 11, 11},
		{1, 128, 128}, {1, 129, 128}, {1, 133, 133}, {1, 134, 133}, {1, 135, 135},
		{1, 136, 135}, {1, 1, 1},     {1, 143, 143},
	};

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(*cases); i++) {
		struct packet p = {};
		struct pkt k;
		__u16 port = cases[i].request << 8 | 4;

		pk_eth(&p);
		if (cases[i].v6) {
			pk_ip6(&p, 1, 2);
			pk_icmp6(&p, cases[i].type, 4);
		} else {
			pk_ip4(&p, A, B);
			pk_icmp(&p, cases[i].type, 4);
		}
		pk_payload(&p, 30);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, cases[i].v6 ? 58 : 1, port, port);
		cr_expect(eq(u8, k.l4.icmp_type, cases[i].type));
		cr_expect(eq(u8, k.l4.icmp_code, 4));
		cr_expect(eq(u32, k.l4.payload_len, 30));
	}
}

Test(transport, notes_an_icmp_header_cut_short)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_icmp(&p, 3, 1);
	pk_end(&p);
	for (__u32 n = 34; n < 42; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 0, &k), 0));
		expect_note(&k, ICMP_TRUNCATED);
		expect_ports(&k, 1, n < 36 ? 0 : 0x0301, n < 36 ? 0 : 0x0301);
	}
}

Test(transport, counts_other_protocols_by_address_alone)
{
	static const __u8 protos[] = {2, 4, 41, 47, 50, 89, 103, 112, 253};

	for (unsigned int i = 0; i < sizeof(protos); i++) {
		struct packet p = {};
		struct pkt k;

		eth_ip4(&p);
		pk_announce(&p, 0, protos[i]);
		pk_payload(&p, 24);
		pk_end(&p);
		k = parsed(&p);
		expect_ip4(&k, A, B);
		expect_ports(&k, protos[i], 0, 0);
		expect_layout(&k, 14, 44, 34, 24);
		expect_clean(&k);
		cr_expect(eq(u8, k.key.tun_type, TUN_NONE));
	}
}
