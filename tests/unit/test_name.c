/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_name.c - events that are names, limits of the state behind them, names as text.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "name_rig.h"

TestSuite(name, .init = nr_setup, .fini = nr_teardown);

/* ---- events that are names ---- */

Test(name, passes_a_client_hello_of_the_kernel_on)
{
	struct ev_tls e = {.h.kind = EV_TLS_CLIENT, .h.dir = 1, .h.tick = 5, .h.time_ns = 6};

	e.version = 0x0304;
	e.offered = 24;
	e.ech = 1;
	e.sni_len = 9;
	memcpy(e.sni, "A.example", 9);
	e.alpn_len = 12;
	memcpy(e.alpn, "\2h2\10http/1.1", 12);
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_CLIENT));
	cr_expect(eq(u8, nr.dir, 1));
	cr_expect(eq(u8, nr.proto, L7P_TLS));
	cr_expect(eq(u32, nr.tick, 5));
	cr_expect(eq(u64, nr.time_ns, 6));
	cr_expect(nr_sni_is("A.example"), "case is kept");
	cr_expect(eq(u8, nr.tls.printable, 1));
	cr_expect(eq(u16, nr.tls.alpn_len, 12));
	cr_expect(eq(u16, nr.tls.version, 0x0304));
	cr_expect(eq(u16, nr.tls.offered, 24));
	cr_expect(eq(u8, nr.no_name, NN_NONE));

	e.sni[1] = '\n';
	e.alpn_len = 10; /* the second protocol is cut */
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.tls.printable, 0));
	cr_expect(eq(u16, nr.tls.alpn_len, 3));
	cr_expect(eq(u8, nr.tls.flags, TLSF_ALPN_CUT));

	e.sni_len = 0;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.no_name, NN_ENCRYPTED));
	e.ech = 0;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.no_name, NN_NO_SNI));

	e.h.kind = EV_TLS_SERVER;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_SERVER));
	cr_expect(eq(u16, nr.tls.version, 0x0304));
	cr_expect(eq(u64, nr_stats()->tls, 4));
	cr_expect(eq(u64, nr_stats()->servers, 1));
	cr_expect(eq(u64, nr_stats()->no_name, 2));
}

Test(name, passes_a_request_of_the_kernel_on)
{
	struct ev_http e = {.h.kind = EV_HTTP, .host_len = 4, .path_len = 2, .method_len = 3};

	memcpy(e.method, "GET", 3);
	memcpy(e.host, "host", 4);
	memcpy(e.path, "/x", 2);
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_HTTP));
	cr_expect(memcmp(nr.http.host, "host", 4) == 0);
	cr_expect(memcmp(nr.http.method, "GET", 3) == 0);
	cr_expect(memcmp(nr.http.path, "/x", 2) == 0);
	cr_expect(eq(u8, nr.no_name, NN_NONE));
	e.host_len = 0;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.no_name, NN_NO_HOST));
}

Test(name, turns_a_dns_name_into_text)
{
	struct ev_dns e = {.h.kind = EV_DNS, .id = 7, .qtype = 28, .rcode = 3, .flags = 0x8183};

	e.qname_len = 13;
	memcpy(e.qname, "\3www\7Exampl\1", 13);
	e.qname[12] = 0;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_DNS_QUERY));
	cr_expect(eq(str, nr.dns.qname, "www.Exampl\\001"));
	cr_expect(eq(u16, nr.dns.qname_len, 14));
	cr_expect(eq(u16, nr.dns.id, 7));
	cr_expect(eq(u16, nr.dns.qtype, 28));
	cr_expect(eq(u16, nr.dns.rcode, 3));
	cr_expect(ne(u16, nr.dns.flags & NAME_DNS_RESPONSE, 0));
	e.qname[4] = 200;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_MISSING));
	cr_expect(eq(u8, nr.no_name, NN_MALFORMED));
	cr_expect(eq(u64, nr_stats()->dns_malformed, 1));
	e.qname_len = 0;
	cr_assert(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_DNS_QUERY));
	cr_expect(eq(str, nr.dns.qname, ""));
}

Test(name, passes_the_kernel_s_reason_on)
{
	struct event_hdr e = {.kind = EV_NO_NAME, .reason = NN_RING_FULL, .proto_hint = L7P_TLS};

	cr_assert(eq(int, name_feed(nr_names, &e, sizeof(e), &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_MISSING));
	cr_expect(eq(u8, nr.no_name, NN_RING_FULL));
	cr_expect(eq(u8, nr.proto, L7P_TLS));
}

Test(name, refuses_events_that_are_cut_or_contradict_themselves)
{
	union {
		struct event_hdr h;
		struct ev_tls tls;
		struct ev_http http;
		struct ev_dns dns;
		struct ev_payload payload;
	} e;

	memset(&e, 0, sizeof(e));
	for (unsigned int kind = 0; kind < 256; kind++) {
		e.h.kind = (uint8_t)kind;
		cr_expect(eq(int, name_feed(nr_names, &e.h, sizeof(e.h) - 1, &nr), -EINVAL));
		if (kind != EV_NO_NAME)
			cr_expect(
				eq(int, name_feed(nr_names, &e.h, sizeof(e.h) + 7, &nr), -EINVAL));
	}
	memset((uint8_t *)&e + sizeof(e.h), 0xff, sizeof(e) - sizeof(e.h));
	for (unsigned int kind = 0; kind < 256; kind++) {
		e.h.kind = (uint8_t)kind;
		if (kind != EV_NO_NAME && kind != EV_TLS_SERVER)
			cr_expect(eq(int, name_feed(nr_names, &e.h, sizeof(e), &nr), -EINVAL), "%u",
				  kind);
	}
	cr_expect(gt(u64, nr_stats()->bad_events, 700));
	e.h.kind = EV_DATAGRAM;
	e.payload.len = 100;
	cr_expect(eq(int, name_feed(nr_names, &e.h, offsetof(struct ev_payload, data) + 99, &nr),
		     -EINVAL));
	cr_expect(eq(int, name_feed(nr_names, &e.h, offsetof(struct ev_payload, data) + 100, &nr),
		     0));
}

/* ---- limits ---- */

Test(name, refuses_limits_that_make_no_sense)
{
	struct name_limits bad[] = {{0, 1 << 20, 1}, {1, 1000, 1}, {1, 1 << 20, 0}};
	struct names *other = NULL;

	for (unsigned int i = 0; i < 3; i++)
		cr_expect(eq(int, names_new(&bad[i], &other), -EINVAL));
	cr_expect(other == NULL);
}

Test(name, evicts_the_least_recently_used_flow_and_says_so)
{
	nr_limits(3, 1 << 20);
	for (unsigned int i = 1; i <= 3; i++) {
		nr_quic(i, "x.example", 800, 0);
		cr_assert(eq(int, nr_feed(), 0));
	}
	nr_quic(1, "x.example", 900, 0);
	cr_assert(eq(int, nr_feed(), 0));
	nr_quic(4, "x.example", 800, 0);
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, names_next(nr_names, &nr), 1));
	cr_expect(eq(u32, nr.key.vni, 2));
	cr_expect(eq(u8, nr.no_name, NN_INCOMPLETE));
	cr_expect(eq(int, names_next(nr_names, &nr), 0));
	cr_expect(eq(u32, names_flows(nr_names), 3));
	cr_expect(eq(u64, nr_stats()->flows_evicted, 1));
	nr_quic(1, "x.example", 0, 900);
	cr_expect(eq(int, nr_feed(), 1), "the others go on");
}

Test(name, stays_within_its_memory_and_counts_every_flow_that_goes)
{
	uint64_t told = 0;

	nr_limits(100000, NAME_BYTES_MIN);
	for (unsigned int i = 1; i <= 500; i++) {
		nr_quic(i, "x.example", 800, 0);
		cr_assert(eq(int, nr_feed(), 0));
		cr_assert(le(u64, names_memory(nr_names), NAME_BYTES_MIN));
	}
	while (names_next(nr_names, &nr))
		told++;
	cr_expect(eq(u64, nr_stats()->flows_evicted + names_flows(nr_names), 500));
	cr_expect(eq(u64, told + nr_stats()->results_lost, nr_stats()->flows_evicted));
	cr_expect(gt(u64, nr_stats()->results_lost, 0), "256 results wait at most");
}

Test(name, drops_flows_that_nobody_touches)
{
	nr_limits(100, 1 << 20);
	nr_quic(1, "x.example", 800, 0);
	cr_assert(eq(int, nr_feed(), 0));
	names_tick(nr_names, nr_ev.h.time_ns + 999);
	cr_expect(eq(u32, names_flows(nr_names), 1));
	names_tick(nr_names, nr_ev.h.time_ns - 5);
	cr_expect(eq(u32, names_flows(nr_names), 1), "a clock behind the packet's");
	names_tick(nr_names, nr_ev.h.time_ns + 1000);
	cr_expect(eq(u32, names_flows(nr_names), 0));
	cr_expect(eq(u64, names_memory(nr_names), 0));
	cr_expect(eq(u64, nr_stats()->flows_stale, 1));
	cr_assert(eq(int, names_next(nr_names, &nr), 1));
	cr_expect(eq(u8, nr.no_name, NN_INCOMPLETE));
	cr_expect(eq(u64, nr.time_ns, nr_ev.h.time_ns));
}

/* ---- text ---- */

Test(name, writes_domain_names_as_text)
{
	static const struct {
		const char *wire;
		size_t len;
		const char *text; /* NULL: refused */
	} cases[] = {
		{"\0", 1, "."},
		{"\1a\0", 3, "a"},
		{"\3www\7example\3com\0", 17, "www.example.com"},
		{"\4a.b\\\0", 6, "a\\.b\\\\"},
		{"\3\0 \xff\0", 5, "\\000\\032\\255"},
		{"", 0, NULL},
		{"\1a", 2, NULL},
		{"\5a\0", 3, NULL},
		{"\0\0", 2, NULL},
		{"\1a\0x", 4, NULL},
		{"\100aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\0", 66,
		 NULL},
		{"\300\14\0", 3, NULL},
	};
	char out[NAME_QNAME_TEXT_MAX];

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		int len = dns_name_text((const uint8_t *)cases[i].wire, cases[i].len, out,
					sizeof(out));

		if (!cases[i].text) {
			cr_expect(eq(int, len, -EINVAL), "case %u", i);
			continue;
		}
		cr_expect(eq(str, out, (char *)cases[i].text));
		cr_expect(eq(int, len, (int)strlen(cases[i].text)));
	}
}

Test(name, has_room_for_the_longest_text_and_says_when_there_is_none)
{
	char out[NAME_QNAME_TEXT_MAX];
	uint8_t wire[255];

	memset(wire, 1, sizeof(wire));
	for (unsigned int i = 0; i < 255; i += 64)
		wire[i] = i == 192 ? 61 : 63;
	wire[254] = 0;
	cr_expect(eq(int, dns_name_text(wire, 255, out, sizeof(out)), 250 * 4 + 3));
	for (size_t cap = 0; cap <= 250 * 4 + 3; cap++)
		cr_assert(eq(int, dns_name_text(wire, 255, out, cap), -ENOSPC));
	cr_expect(eq(int, dns_name_text(wire + 254, 1, out, 1), -ENOSPC));
}
