// SPDX-License-Identifier: Apache-2.0
/*
 * test_l7_flow.c - what names do to a flow: budgets, answers, retransmissions, long hellos and
 * datagrams for userspace, full tables, captures cut short. Under BPF_PROG_TEST_RUN.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "hello.h"
#include "l7_rig.h"

static struct rig rig;
static struct msg msg;
static const __u16 v13_12[] = {0x3a3a, 0x0304, 0x0303, 0};

static void load(void)
{
	rig_load(&rig, 1); /* eight entries */
}

TestSuite(l7_flow, .init = load, .timeout = 600);

static int feed(__u32 cpu, __u32 dir, __u32 seq, const void *data, __u32 len)
{
	struct rig_seg s = {
		.cpu = cpu, .dir = dir, .seq = seq, .flags = 0x10, .data = data, .len = len};

	return rig_feed(&rig, &s);
}

static void start(void)
{
	rig_flow(&rig, 6, 40000, 443);
	rig_syn(&rig, 0, 0, 999);
}

static void hello(const struct hello *h)
{
	msg.len = 0;
	msg_hello(&msg, h);
}

static int sni_is(const union rig_event *e, const char *want)
{
	return e->h.kind == EV_TLS_CLIENT && e->tls.sni_len == strlen(want) &&
	       !memcmp(e->tls.sni, want, e->tls.sni_len);
}

Test(l7_flow, reads_what_the_server_chose)
{
	static const __u16 chosen[] = {0x0304, 0};
	const struct hello client = {.sni = "s.example", .versions = v13_12};
	const struct hello server = {.server = 1, .versions = chosen};
	const struct hello old = {.server = 1, .legacy = 0x0302, .no_extensions = 1};

	for (__u32 i = 0; i < 2; i++) {
		start();
		hello(&client);
		feed(0, 0, 1000, msg.b, msg.len);
		hello(i ? &old : &server);
		msg_put(&msg, "\x17\x03\x03\x40\x00", 5); /* more records behind it */
		feed(i, 1, 7000, msg.b, msg.len);
		feed(i, 1, 7000, msg.b, msg.len);
		cr_assert_eq(rig.events, 2);
		cr_assert_eq(rig.ev[1].h.kind, EV_TLS_SERVER);
		cr_assert_eq(rig.ev[1].h.dir, 1);
		cr_assert_eq(rig.ev[1].tls.version, i ? 0x0302 : 0x0304);
		cr_assert_eq(rig_hot(i % rig.cpus).l7 & L7_WANT_1, 0);
	}
}

Test(l7_flow, wants_the_answer_anew_after_a_hello)
{
	const struct hello client = {.sni = "s.example"};

	start();
	for (__u32 i = 0; i < 20; i++) /* a banner that goes on for long */
		feed(0, 1, 7000 + i, "x", 1);
	cr_assert_eq(rig_hot(0).l7, L7_WANT_0);
	hello(&client);
	feed(0, 0, 1000, msg.b, msg.len);
	cr_assert_eq(rig_hot(0).l7, L7_WANT_1);
	cr_assert_eq(rig_cold(0).l7_budget[1], 16);
}

Test(l7_flow, finds_a_hello_after_starttls)
{
	const struct hello h = {.sni = "mail.example", .size = 1900};
	__u32 seq = 1000;

	start();
	feed(0, 0, seq, "EHLO a.example\r\n", 16);
	feed(0, 0, seq + 16, "STARTTLS\r\n", 10);
	hello(&h);
	feed(0, 0, seq + 26 + 1000, msg.b + 1000, 900);
	feed(1, 0, seq + 26, msg.b, 1000);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "mail.example"));
}

Test(l7_flow, says_what_a_hello_lacks)
{
	const struct hello none = {.versions = v13_12};
	const struct hello bare = {.no_extensions = 1, .legacy = 0x0300};
	const struct hello ech = {.versions = v13_12, .ech = 0xfe0d};
	const struct hello esni = {.versions = v13_12, .ech = 0xffce};
	const struct hello *const all[] = {&none, &bare, &ech, &esni};

	for (__u32 i = 0; i < 4; i++) {
		start();
		hello(all[i]);
		feed(0, 0, 1000, msg.b, msg.len);
		cr_assert_eq(rig.events, 1);
		cr_assert_eq(rig.ev[0].tls.flags, TLSF_NO_SNI);
		cr_assert_eq(rig.ev[0].tls.ech, i < 2 ? 0 : i - 1);
		cr_assert_eq(rig.ev[0].tls.offered, i == 1 ? 0x01 : 0x18);
		cr_assert_eq(rig_counter(CNT_NAME_NO_SNI), 1);
	}
}

Test(l7_flow, reads_the_version_of_an_sslv2_hello)
{
	start();
	feed(0, 0, 1000,
	     "\x80\x1c\x01\x03\x01\x00\x03\x00\x00\x00\x10"
	     "abc0123456789abcdef",
	     30);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].h.kind, EV_TLS_CLIENT);
	cr_assert_eq(rig.ev[0].tls.version, 0x0301);
	cr_assert_eq(rig.ev[0].tls.flags, TLSF_NO_SNI);
}

Test(l7_flow, malformed_hellos_have_a_reason)
{
	const struct hello h = {.sni = "m.example"};
	__u32 sni;

	for (__u32 i = 0; i < 3; i++) {
		hello(&h);
		sni = msg.len - 4 - 9; /* the SNI extension's name length is before it */
		while (msg.b[sni] != 'm')
			sni--;
		msg.b[i == 0 ? 43 : i == 1 ? sni - 1 : sni - 6] += 100;
		start();
		feed(0, 0, 1000, msg.b, msg.len);
		cr_assert_eq(rig.events, 1, "%u: %u events", i, rig.events);
		cr_assert_eq(rig.ev[0].h.kind, EV_NO_NAME);
		cr_assert_eq(rig.ev[0].h.reason, NN_MALFORMED);
		cr_assert_eq(rig.ev[0].h.proto_hint, L7P_TLS);
		cr_assert_eq(rig_hot(0).l7 & L7_WANT_0, 0);
	}
}

Test(l7_flow, first_bytes_win_and_a_conflict_is_flagged)
{
	static __u8 other[1400];
	const struct hello h = {.sni = "first.example", .size = 1400};

	hello(&h);
	memcpy(other, msg.b, msg.len);
	for (__u32 i = 0; i + 5 < msg.len; i++)
		if (!memcmp(other + i, "first", 5))
			memcpy(other + i, "other", 5);
	start();
	feed(0, 0, 1000, msg.b, 700);
	feed(1, 0, 1000, other, 900); /* from the start, and beyond */
	cr_assert_eq(rig.events, 0);
	feed(0, 0, 1900, msg.b + 900, msg.len - 900);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "first.example"));
	cr_assert_eq(rig.ev[0].tls.flags, TLSF_CONFLICT);
	cr_assert_eq(rig_counter(CNT_NAME_CONFLICT), 1);
}

Test(l7_flow, an_unfinished_hello_leaves_its_mark)
{
	const struct hello h = {.sni = "u.example", .size = 1800};

	hello(&h);
	start();
	feed(0, 0, 1000, msg.b, 1000);
	cr_assert_eq(rig.events, 0);
	cr_assert_eq(rig_cold(0).l7_gap, L7_OPEN_0);
	feed(0, 0, 2000, msg.b + 1000, 800);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig_cold(0).l7_gap, 0);
}

/* Fed in pieces; then every byte of the hello has come as EV_SEGMENT with its place. */
static void long_hello(const struct hello *h, __u32 piece, int swap)
{
	static __u8 got[WEIR_L7_USER_MAX], seen[WEIR_L7_USER_MAX];
	__u32 n, missing = 0;

	rig.now += 5000; /* entries of the flows before are free */
	memset(seen, 0, sizeof(seen));
	hello(h);
	n = (msg.len + piece - 1) / piece;
	start();
	for (__u32 i = 0; i < n; i++) {
		__u32 k = swap && (i ^ 1) < n ? i ^ 1 : i, off = k * piece;

		feed(i, 0, 1000 + off, msg.b + off, msg.len - off < piece ? msg.len - off : piece);
	}
	cr_assert_leq(rig.events, RIG_EVENTS);
	for (__u32 i = 0; i < rig.events; i++) {
		const struct ev_payload *p = &rig.ev[i].pay;

		cr_assert_eq(p->h.kind, EV_SEGMENT,
			     "%s, pieces of %u, swapped %d: event %u is %u/%u", h->sni, piece, swap,
			     i, p->h.kind, p->h.reason);
		cr_assert_eq(p->h.proto_hint, L7P_TLS);
		cr_assert_leq(p->offset + p->len, WEIR_L7_USER_MAX);
		memcpy(got + p->offset, p->data, p->len);
		memset(seen + p->offset, 1, p->len);
	}
	for (__u32 i = 0; i < msg.len && i < WEIR_L7_USER_MAX; i++)
		missing += !seen[i] || got[i] != msg.b[i];
	cr_assert_eq(missing, 0, "pieces of %u, swapped %d: %u of %u bytes missing", piece, swap,
		     missing, msg.len);
	cr_assert_eq(rig_counter(CNT_NAME_TO_USER), rig.events);
}

Test(l7_flow, long_hellos_go_to_userspace_complete)
{
	const struct hello h = {
		.sni = "long.example", .versions = v13_12, .size = 11000, .sni_last = 1};
	const struct hello two = {
		.sni = "two.example", .versions = v13_12, .size = 2000, .record = 600};
	const struct hello tiny = {.sni = "tiny.example", .versions = v13_12, .record = 3};
	static const __u32 sizes[] = {536, 1000, 1460, 4000};

	for (__u32 i = 0; i < 8; i++) {
		long_hello(&h, sizes[i / 2], i & 1);
		long_hello(&two, sizes[i / 2] / 2, i & 1);
		long_hello(&tiny, sizes[i / 2] / 4, i & 1);
	}
	long_hello(&h, 20000, 0); /* one GSO packet */
	long_hello(&h, 4097, 0);
}

Test(l7_flow, hands_over_quic_and_dtls)
{
	static __u8 d[2300] = {0xc3, 0, 0, 0, 1, 8};

	rig_flow(&rig, 17, 40000, 443);
	for (__u32 i = 0; i < 12; i++) /* the first was noise */
		feed(0, 0, 0, i ? d : (const __u8 *)"noise!!", i ? 1200 : 7);
	cr_assert_eq(rig.events, 8, "bounded");
	cr_assert_eq(rig.runs, 9);
	cr_assert_eq(rig.ev[0].h.kind, EV_DATAGRAM);
	cr_assert_eq(rig.ev[0].h.proto_hint, L7P_QUIC);
	cr_assert_eq(rig.ev[0].pay.len, 1200);
	cr_assert_eq(rig.ev[0].pay.orig_len, 1200);
	cr_assert(!memcmp(rig.ev[0].pay.data, d, 1200));
	feed(0, 1, 0, d, 2300);
	cr_assert_eq(rig.ev[8].pay.len, WEIR_DATAGRAM_MAX);
	cr_assert_eq(rig.ev[8].pay.orig_len, 2300);
	memcpy(d, "\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x50\1", 14);
	rig_flow(&rig, 17, 40000, 4433);
	feed(0, 0, 0, d, 100);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].h.proto_hint, L7P_DTLS);
	rig_flow(&rig, 17, 40000, 4433);
	for (__u32 i = 0; i < 30; i++)
		feed(0, 0, 0, "\x80voice", 6);
	cr_assert_eq(rig.events, 0);
	cr_assert_eq(rig.runs, 16);
}

/* A client hands the kernel the two Initials of a long hello as one buffer. */
Test(l7_flow, hands_over_each_datagram_of_a_gso_buffer)
{
	static __u8 d[2 * 1200 + 300];

	for (__u32 i = 0; i < 3; i++) {
		memset(d + i * 1200, i + 1, 300);
		memcpy(d + i * 1200, "\xc3\0\0\0\1\x8", 6);
	}
	rig.hook = RIG_TC;
	rig_flow(&rig, 17, 40000, 443);
	rig.gso = 1200;
	feed(0, 0, 0, d, sizeof(d));
	cr_assert_eq(rig.events, 3);
	for (__u32 i = 0; i < 3; i++) {
		cr_expect_eq(rig.ev[i].h.kind, EV_DATAGRAM);
		cr_expect_eq(rig.ev[i].pay.len, i < 2 ? 1200 : 300);
		cr_expect_eq(rig.ev[i].pay.orig_len, rig.ev[i].pay.len);
		cr_expect(!memcmp(rig.ev[i].pay.data, d + i * 1200, 300));
	}
	rig_flow(&rig, 17, 40000, 443);
	feed(0, 0, 0, d, sizeof(d));
	cr_expect_eq(rig.events, 1, "one datagram, cut to what is handed over");
}

Test(l7_flow, a_full_table_costs_split_hellos_alone)
{
	const struct hello h = {.sni = "f.example", .size = 1800};
	const struct hello small = {.sni = "small.example"};
	__u32 told = 0;

	hello(&h);
	for (__u32 i = 0; i < 40; i++) {
		start();
		feed(0, 0, 1000, msg.b, 1000);
		told += rig_count(&rig, EV_NO_NAME, NULL);
		if (rig.events) {
			cr_assert_eq(rig.ev[0].h.reason, NN_NO_SLOT);
			cr_assert_eq(rig_counter(CNT_NAME_NO_SLOT), 1);
		}
	}
	cr_assert_eq(told, 32, "%u: eight entries are all there are", told);
	hello(&small);
	start();
	feed(0, 0, 1000, msg.b, msg.len);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "small.example"), "what comes whole needs no entry");
	rig.now += 2000; /* longer than cfg_l7_hold */
	hello(&h);
	start();
	feed(0, 0, 1000, msg.b, 1000);
	feed(0, 0, 2000, msg.b + 1000, 800);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "f.example"));
	cr_assert_eq(rig_counter(CNT_NAME_GAVE_UP), 1);
}

Test(l7_flow, a_connection_on_the_same_ports_starts_anew)
{
	const struct hello a = {.sni = "one.example", .size = 1800};
	const struct hello b = {.sni = "two.example", .size = 1800};

	hello(&a);
	start();
	feed(0, 0, 1000, msg.b, 1000); /* never completed */
	rig_renew(&rig);
	hello(&b);
	feed(0, 0, 0x40000000, msg.b, 1000);
	feed(1, 0, 0x40000000 + 1000, msg.b + 1000, 800);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "two.example"));
	rig_renew(&rig);
	hello(&a);
	feed(1, 0, 0x80000000, msg.b, msg.len);
	cr_assert_eq(rig.events, 2);
	cr_assert(sni_is(&rig.ev[1], "one.example"));
}

Test(l7_flow, a_retransmission_elsewhere_is_not_another_name)
{
	const struct hello h = {.sni = "r.example", .size = 1800};

	hello(&h);
	start();
	feed(0, 0, 1000, msg.b, 1000);
	feed(0, 0, 2000, msg.b + 1000, 800);
	feed(1, 0, 1000, msg.b, 1000);
	feed(1, 0, 2000, msg.b + 1000, 800);
	rig_renew(&rig);
	feed(0, 0, 1000, msg.b, msg.len);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig_hot(0).l7 & L7_WANT_0, 0, "and nothing more is wanted there");
}

Test(l7_flow, captures_cut_short_say_so)
{
	const struct hello h = {.sni = "cut.example", .size = 1800};

	hello(&h);
	start();
	rig.cut = 500;
	feed(0, 0, 1000, msg.b, msg.len);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].h.reason, NN_TRUNCATED);
	cr_assert_eq(rig_counter(CNT_NAME_TRUNCATED), 1);
	start();
	rig.cut = 0;
	feed(0, 0, 1000, msg.b, 1000);
	rig.cut = 500;
	feed(0, 0, 2000, msg.b + 1000, 800);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].h.reason, NN_TRUNCATED);
	start();
	rig.cut = 400; /* no payload at all */
	feed(0, 0, 1000, msg.b, 400);
	cr_assert_eq(rig.events, 0);
	cr_assert_eq(rig_counter(CNT_NAME_TRUNCATED), 1);
}

Test(l7_flow, fast_open_data_starts_after_the_syn)
{
	const struct hello h = {.sni = "tfo.example", .size = 900};
	struct rig_seg s = {.seq = 999, .flags = 2, .data = msg.b, .len = 500};

	hello(&h);
	rig_flow(&rig, 6, 40000, 443);
	rig_feed(&rig, &s);
	feed(0, 0, 1500, msg.b + 500, 400);
	cr_assert_eq(rig.events, 1);
	cr_assert(sni_is(&rig.ev[0], "tfo.example"));
}

/* Lines for people: ns a packet, test program included; every run is of a flow of its own. */
static void cost(const char *what, __u32 split)
{
	struct rig_seg s = {.seq = 1000, .data = msg.b, .flags = 0x10, .len = msg.len};
	__u32 best[2] = {~0u, ~0u};

	for (__u32 i = 0; i < 10; i++) {
		for (rig.hook = RIG_XDP; rig.hook < _RIG_HOOK_MAX; rig.hook++) {
			__u32 ns = rig_time(&rig, &s, split, 2000);

			best[rig.hook] = ns < best[rig.hook] ? ns : best[rig.hook];
		}
	}
	rig.hook = RIG_XDP;
	printf("cost,%s,%u bytes,xdp %u,tc %u\n", what, msg.len, best[RIG_XDP], best[RIG_TC]);
}

Test(l7_flow, prints_what_it_costs)
{
	const struct hello h = {.sni = "www.example.com", .versions = v13_12, .alpn = "\2h2"};
	const struct hello big = {.sni = "www.example.com", .versions = v13_12, .size = 1800};

	rig_flow(&rig, 6, 40000, 443);
	msg.len = 0;
	msg_fill(&msg, 0x17, 500);
	cost("nothing starts", 1);
	hello(&h);
	cost("hello whole", 1);
	hello(&big);
	msg.len = 1400;
	cost("hello, first segment", 1);
	hello(&big);
	cost("hello, mean of two segments", 1400);
	msg.len = 0;
	msg_text(&msg, "GET /index.html HTTP/1.1\r\nHost: www.example.com\r\nUser-Agent: curl/8\r\n"
		       "Accept: */*\r\n\r\n");
	cost("request", 1);
	cr_assert_gt(rig.events, 10000u);
}
