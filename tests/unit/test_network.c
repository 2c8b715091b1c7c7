/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_network.c - the full parser on IPv4 and IPv6, whole and broken.
 */
#include "parsed.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 0, 2)

TestSuite(network, .timeout = 120);

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

/* ---- IPv4 ---- */

Test(network, finds_ports_behind_ipv4_options)
{
	for (int words = 1; words <= 10; words++) {
		struct packet p = {};
		struct pkt k;

		eth_ip4(&p);
		pk_ip4_options(&p, words);
		pk_udp(&p, 9, 10);
		pk_payload(&p, 3);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 17, 9, 10);
		expect_layout(&k, 14, 31 + words * 4, 42 + words * 4, 3);
	}
}

Test(network, rejects_ipv4_headers_that_contradict_themselves)
{
	struct packet good = {}, p;

	eth_ip4(&good);
	pk_ip4_options(&good, 2);
	pk_udp(&good, 9, 10);
	pk_end(&good);
	p = good;
	pk_set8(&p, 14, 0x57);
	expect_skip(&p, IP4_VERSION);
	p = good;
	pk_set8(&p, 14, 0x44);
	expect_skip(&p, IP4_IHL);
	p = good;
	pk_set16(&p, 16, 27);
	expect_skip(&p, IP4_LENGTH);
	for (__u32 n = 14; n < 42; n++)
		expect_skip_cut(&good, n, IP4_TRUNCATED);
}

Test(network, takes_the_frame_for_the_packet_when_ipv4_total_length_is_0)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_payload(&p, 3000);
	pk_end(&p);
	pk_set16(&p, 16, 0);
	k = parsed(&p);
	expect_layout(&k, 14, 3040, 54, 3000);
	p.len = 80014; /* the rest was not captured */
	cr_assert(eq(int, parsed_cut(&p, 3000, 0, &k), 0));
	expect_layout(&k, 14, 80000, 54, 79960);
}

Test(network, keeps_the_headers_length_when_captured_short)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_payload(&p, 1000);
	pk_end(&p);
	cr_assert(eq(int, parsed_cut(&p, 54, 0, &k), 0));
	expect_layout(&k, 14, 1040, 54, 1000);
	expect_clean(&k);
}

Test(network, looks_through_an_authentication_header)
{
	for (int v6 = 0; v6 < 2; v6++) {
		struct packet p = {};
		struct pkt k;

		pk_eth(&p);
		if (v6)
			pk_ip6(&p, 1, 2);
		else
			pk_ip4(&p, A, B);
		pk_ah(&p);
		pk_tcp(&p, 21, 22, 2);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 21, 22);
		cr_expect(eq(u32, k.l4.payload_len, 0));
	}
}

Test(network, does_not_follow_ipv6_extension_numbers_in_ipv4)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_ext(&p, 60, 0);
	pk_tcp(&p, 21, 22, 2);
	pk_end(&p);
	k = parsed(&p);
	expect_ports(&k, 60, 0, 0);
}

Test(network, first_fragment_has_ports_and_later_ones_have_none)
{
	struct packet p = {};
	struct pkt k;

	eth_ip4(&p);
	pk_udp(&p, 9, 10);
	pk_payload(&p, 100);
	pk_end(&p);
	pk_set16(&p, 38, 4000); /* UDP length: of the whole datagram */
	pk_set16(&p, 20, 0x2000);
	k = parsed(&p);
	expect_ports(&k, 17, 9, 10);
	cr_expect(eq(u8, k.frag, FRAG_FIRST));
	cr_expect(eq(u32, k.frag_id, 0x1234));
	expect_layout(&k, 14, 128, 42, 100);
	expect_clean(&k);
	pk_set16(&p, 20, 0x2010);
	k = parsed(&p);
	expect_ports(&k, 17, 0, 0);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
	cr_expect(eq(u32, k.frag_id, 0x1234));
	expect_layout(&k, 14, 128, 34, 0);
	pk_set16(&p, 20, 0x0010);
	k = parsed(&p);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
	pk_set16(&p, 20, 0x4000); /* don't fragment */
	k = parsed(&p);
	cr_expect(eq(u8, k.frag, FRAG_NONE));
	cr_expect(eq(u32, k.frag_id, 0));
}

/* ---- IPv6 ---- */

Test(network, walks_ipv6_extension_headers)
{
	static const __u8 protos[] = {0, 43, 60, 135, 139, 140};

	for (unsigned int i = 0; i < sizeof(protos); i++) {
		struct packet p = {};
		struct pkt k;

		eth_ip6(&p);
		pk_ext(&p, protos[i], i);
		pk_ext(&p, 60, 1);
		pk_tcp(&p, 31, 32, 2);
		pk_payload(&p, 5);
		pk_end(&p);
		k = parsed(&p);
		expect_ports(&k, 6, 31, 32);
		expect_layout(&k, 14, 89 + 8 * i, 98 + 8 * i, 5);
		expect_clean(&k);
	}
}

Test(network, notes_too_many_ipv6_extension_headers)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	for (int i = 0; i < PARSE_EXT_MAX; i++)
		pk_ext(&p, 60, 0);
	pk_tcp(&p, 31, 32, 2);
	pk_end(&p);
	k = parsed(&p);
	expect_ports(&k, 6, 31, 32);
	expect_clean(&k);

	p = (struct packet){};
	eth_ip6(&p);
	for (int i = 0; i <= PARSE_EXT_MAX; i++)
		pk_ext(&p, 60, 0);
	pk_tcp(&p, 31, 32, 2);
	pk_end(&p);
	k = parsed(&p);
	expect_ip6(&k, 1, 2);
	expect_ports(&k, 60, 0, 0);
	expect_note(&k, IP6_EXT_DEPTH);
}

Test(network, notes_an_ipv6_extension_header_cut_short)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	pk_ext(&p, 60, 1);
	pk_tcp(&p, 31, 32, 2);
	pk_end(&p);
	for (__u32 n = 54; n < 70; n++) {
		cr_assert(eq(int, parsed_cut(&p, n, 0, &k), 0));
		expect_ports(&k, 60, 0, 0);
		expect_note(&k, IP6_EXT_TRUNCATED);
	}
	pk_set8(&p, 55, 200); /* longer than the packet */
	k = parsed(&p);
	expect_note(&k, IP6_EXT_TRUNCATED);
}

Test(network, rejects_broken_ipv6_headers)
{
	struct packet p = {};

	eth_ip6(&p);
	pk_udp(&p, 1, 2);
	pk_end(&p);
	for (__u32 n = 14; n < 54; n++)
		expect_skip_cut(&p, n, IP6_TRUNCATED);
	pk_set8(&p, 14, 0x45);
	expect_skip(&p, IP6_VERSION);
}

Test(network, reads_ipv6_fragments)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	pk_fragment6(&p, 0, 1, 0xdeadbeef);
	pk_ext(&p, 60, 0);
	pk_udp(&p, 9, 10);
	pk_payload(&p, 100);
	pk_end(&p);
	k = parsed(&p);
	expect_ports(&k, 17, 9, 10);
	cr_expect(eq(u8, k.frag, FRAG_FIRST));
	cr_expect(eq(u32, k.frag_id, 0xdeadbeef));
	pk_set16(&p, 56, 104);
	k = parsed(&p);
	expect_ports(&k, 60, 0, 0);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
	cr_expect(eq(u32, k.frag_id, 0xdeadbeef));
	expect_layout(&k, 14, 164, 62, 0);
	pk_set16(&p, 56, 0); /* atomic, RFC 6946 */
	k = parsed(&p);
	expect_ports(&k, 17, 9, 10);
	cr_expect(eq(u8, k.frag, FRAG_NONE));
}

Test(network, packet_without_next_header_has_no_payload)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	pk_end(&p);
	pk_room(&p, 6);
	k = parsed(&p);
	expect_ports(&k, 59, 0, 0);
	expect_layout(&k, 14, 40, 54, 0);
}

Test(network, takes_the_frame_for_the_packet_when_ipv6_payload_length_is_0)
{
	struct packet p = {};
	struct pkt k;

	eth_ip6(&p);
	pk_tcp(&p, 1, 2, 0x10);
	pk_payload(&p, 2000);
	pk_end(&p);
	pk_set16(&p, 18, 0);
	k = parsed(&p);
	expect_layout(&k, 14, 2060, 74, 2000);
}

/* A jumbogram of @len bytes of payload, of which 1000 are there; @pad bytes of Pad1 before. */
static struct packet jumbogram(__u32 len, __u32 pad)
{
	struct packet p = {};
	__u32 opt;

	eth_ip6(&p);
	opt = pk_ext(&p, 0, 1) + 2;
	memset(p.b + opt, 0, 14);
	opt += pad;
	pk_set8(&p, opt, 0xc2);
	pk_set8(&p, opt + 1, 4);
	pk_set32(&p, opt + 2, len);
	pk_tcp(&p, 1, 2, 0x10);
	pk_payload(&p, 1000);
	pk_end(&p);
	pk_set16(&p, 18, 0);
	return p;
}

Test(network, takes_a_jumbograms_length_from_its_option)
{
	for (__u32 pad = 0; pad <= 8; pad++) {
		struct packet p = jumbogram(100000, pad);
		struct pkt k;

		k = parsed(&p);
		expect_ports(&k, 6, 1, 2);
		expect_layout(&k, 14, 100040, 90, 100000 - 16 - 20);
	}
}

Test(network, skips_other_options_before_the_jumbo_payload)
{
	struct packet p = jumbogram(100000, 6);
	struct pkt k;

	pk_set32(&p, 56, 0x05020000); /* router alert */
	k = parsed(&p);
	expect_layout(&k, 14, 100040, 90, 100000 - 16 - 20);
}

Test(network, ignores_a_jumbo_payload_that_is_none)
{
	static const __u32 lengths[] = {0, 65535, 0xffffffff};

	for (int i = 0; i < 3; i++) {
		struct packet p = jumbogram(lengths[i], 0);
		struct pkt k = parsed(&p);

		expect_ports(&k, 6, 1, 2);
		expect_layout(&k, 14, 1076, 90, 1000);
	}
}

Test(network, ends_the_search_for_a_jumbo_payload_with_its_header)
{
	struct packet p = jumbogram(100000, 0);
	struct pkt k;

	pk_set8(&p, 55, 3); /* longer, with no option but Pad1 in it */
	memset(p.b + 56, 0, 30);
	k = parsed(&p);
	cr_expect(eq(u32, k.l4.ip_bytes, 1076));
	memset(p.b + 56, 1, 30); /* PadN */
	k = parsed(&p);
	cr_expect(eq(u32, k.l4.ip_bytes, 1076));
}
