// SPDX-License-Identifier: Apache-2.0
/*
 * test_l7_text.c - HTTP/1 requests and DNS messages under BPF_PROG_TEST_RUN: cut into segments,
 * pipelined, kept alive, on two CPUs.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "hello.h"
#include "l7_rig.h"

static struct rig rig;
static struct msg msg;

static void load(void)
{
	rig_load(&rig, 15);
}

TestSuite(l7_text, .init = load, .timeout = 600);

#define GET                                                                                 \
	"GET /a/b?c=d HTTP/1.1\r\nUser-Agent: test/1.0\r\nHost:  www.example.com:8080 \r\n" \
	"Accept: */*\r\nCookie: x=y\r\n\r\n"

static int feed(__u32 cpu, __u32 dir, __u32 seq, const void *data, __u32 len)
{
	struct rig_seg s = {
		.cpu = cpu, .dir = dir, .seq = seq, .flags = 0x10, .data = data, .len = len};

	return rig_feed(&rig, &s);
}

static int feed_text(__u32 cpu, __u32 dir, __u32 seq, const char *text)
{
	return feed(cpu, dir, seq, (const __u8 *)text, strlen(text));
}

static void start(__u16 port)
{
	rig_flow(&rig, 6, 40000, port);
	rig_syn(&rig, 0, 0, 999);
}

static int is(const __u8 *p, __u32 len, const char *want)
{
	return len == strlen(want) && !memcmp(p, want, len);
}

static int http_is(const union rig_event *e, const char *method, const char *host, const char *path)
{
	return e->h.kind == EV_HTTP && is(e->http.method, e->http.method_len, method) &&
	       is(e->http.host, e->http.host_len, host) && is(e->http.path, e->http.path_len, path);
}

Test(l7_text, reads_a_request_cut_anywhere_in_any_order_on_two_cpus)
{
	__u32 len = strlen(GET), right = 0, tried = 0;

	for (__u32 i = 0; i < 4 * (len - 1); i++) {
		__u32 cut = i / 4 + 1, second = i & 1, base = i & 2 ? 0xfffffff0 : 1000;

		for (__u32 back = 0; back < 2; back++) {
			rig_flow(&rig, 6, 40000, 80);
			rig_syn(&rig, 0, 0, base - 1);
			if (back)
				feed(second, 0, base + cut, (const __u8 *)GET + cut, len - cut);
			feed(0, 0, base, (const __u8 *)GET, cut);
			if (!back)
				feed(second, 0, base + cut, (const __u8 *)GET + cut, len - cut);
			feed(1, 0, base, (const __u8 *)GET, len); /* all of it again */
			tried++;
			if (rig.events == 1 &&
			    http_is(&rig.ev[0], "GET", "www.example.com:8080", "/a/b?c=d") &&
			    rig_counter(CNT_NAME_HTTP) == 1)
				right++;
			else
				printf("cut %u, second on %u, base %x, back %u: %u events\n", cut,
				       second, base, back, rig.events);
		}
	}
	cr_assert_eq(right, tried, "%u of %u", right, tried);
}

Test(l7_text, reads_a_request_a_byte_at_a_time)
{
	start(80);
	for (__u32 i = 0; i < strlen(GET); i++)
		feed(i / 3, 0, 1000 + i, (const __u8 *)GET + i, 1);
	cr_assert_eq(rig.events, 1);
	cr_assert(http_is(&rig.ev[0], "GET", "www.example.com:8080", "/a/b?c=d"));
}

struct form {
	const char *text;
	const char *method;
	const char *host;
	const char *path;
	__u8 flags;
};

static const struct form forms[] = {
	{"POST http://proxy.example:3128/x?y HTTP/1.1\r\nA: b\r\n\r\n", "POST",
	 "proxy.example:3128", "/x?y", 0},
	{"GET http://other.example/x HTTP/1.1\r\nHOST:real.example\r\n\r\n", "GET", "real.example",
	 "/x", 0},
	{"GET HTTPS://s.example?q HTTP/1.0\n\n", "GET", "s.example", "?q", 0},
	{"CONNECT tls.example:443 HTTP/1.1\r\n\r\n", "CONNECT", "tls.example:443", "", 0},
	{"CONNECT mail.example:25 / HTTP/1.0\r\n\r\n", "CONNECT", "mail.example:25", "", 0},
	{"OPTIONS * HTTP/1.1\r\nhost:\thost.example\t\r\n\r\n", "OPTIONS", "host.example", "*", 0},
	{"M-SEARCH /s HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n", "M-SEARCH", "a", "/s", 0},
	{"GET / HTTP/1.0\r\nX-Host: no\r\n\r\n", "GET", "", "/", HTTPF_NO_HOST},
	{"GET / HTTP/1.1\r\nHost:\r\n\r\n", "GET", "", "/", HTTPF_NO_HOST},
	{"PUT /two words HTTP/1.1\r\nHost: h\r\n\r\n", "PUT", "h", "/two words", 0},
};

Test(l7_text, reads_every_form_of_request)
{
	for (__u32 i = 0; i < sizeof(forms) / sizeof(forms[0]); i++) {
		const struct form *f = &forms[i];

		start(8000);
		feed_text(0, 0, 1000, f->text);
		cr_assert_eq(rig.events, 1, "%s: %u events", f->text, rig.events);
		cr_assert(http_is(&rig.ev[0], f->method, f->host, f->path), "%s", f->text);
		cr_assert_eq(rig.ev[0].http.flags, f->flags, "%s", f->text);
		cr_assert_eq(rig_counter(CNT_NAME_NO_HOST), !!f->flags);
	}
}

Test(l7_text, other_protocols_are_not_http)
{
	static const char *const texts[] = {
		"EHLO client.example\r\n",
		"USER anonymous\r\n",
		"GET / HTTP/2.0\r\nHost: x\r\n\r\n",
		"INVITE sip:a@b SIP/2.0\r\n",
		"HTTP/1.1 200 OK\r\nHost: x\r\n\r\n",
		"get / HTTP/1.1\r\nHost: x\r\n\r\n",
		"SSH-2.0-OpenSSH_9.2\r\n",
		"\r\n\r\n",
		"GE\n",
	};

	for (__u32 i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		start(25);
		for (__u32 k = 0; k < 20; k++)
			feed_text(0, 0, 1000 + k * strlen(texts[i]), texts[i]);
		cr_assert_eq(rig.events, 0, "%s", texts[i]);
		cr_assert_eq(rig.runs, 16, "%s: looked at %u times", texts[i], rig.runs);
		cr_assert_eq(rig_cold(0).l7_gap, 0);
	}
}

Test(l7_text, stops_at_the_http2_preface)
{
	start(80);
	feed_text(0, 0, 1000, "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n");
	cr_assert_eq(rig.events, 0);
	cr_assert_eq(rig_hot(0).l7, 0);
}

Test(l7_text, reads_each_request_of_a_connection_once)
{
	static const char body[] = "0123456789 GET / HTTP/1.1\r\nHost: body.example\r\n\r\n";
	__u32 seq = 1000;

	start(80);
	for (__u32 i = 0; i < 20; i++) {
		char text[128];
		__u32 n = snprintf(text, sizeof(text), "POST /%u HTTP/1.1\r\nHost: h%u\r\n\r\n", i,
				   i);

		feed(i & 1, 0, seq, (const __u8 *)text, n);
		feed(i & 1, 0, seq, (const __u8 *)text, n);	   /* again */
		feed(!(i & 1), 0, seq, (const __u8 *)text, n / 2); /* and elsewhere, in part */
		seq += n;
		feed_text(0, 0, seq, body);
		seq += strlen(body);
		feed_text(0, 1, 5000 + 30 * i, "HTTP/1.1 200 OK\r\n\r\n");
	}
	cr_assert_eq(rig.events, 20, "%u", rig.events);
	cr_assert(http_is(&rig.ev[0], "POST", "h0", "/0"));
	cr_assert(http_is(&rig.ev[19], "POST", "h19", "/19"));
	cr_assert_eq(rig_hot(0).l7 & (L7_HTTP | L7_WANT_0 | L7_WANT_1), L7_HTTP | L7_WANT_0);
	cr_assert_eq(rig_hot(1 % rig.cpus).l7 & L7_HTTP, L7_HTTP,
		     "the other CPU knows it from the table");
}

Test(l7_text, reads_pipelined_requests)
{
	char text[1024] = "";
	__u32 n = 0, half;

	for (__u32 i = 0; i < 6; i++)
		n += snprintf(text + n, sizeof(text) - n, "GET /%u HTTP/1.1\r\nHost: p%u\r\n\r\n",
			      i, i);
	start(80);
	feed_text(0, 0, 1000, text);
	cr_assert_eq(rig.events, 6, "%u", rig.events);
	cr_assert(http_is(&rig.ev[5], "GET", "p5", "/5"));
	half = n / 2 + 5; /* in the middle of one */
	start(80);
	feed(0, 0, 1000, (const __u8 *)text, half);
	feed(1, 0, 1000 + half, (const __u8 *)text + half, n - half);
	cr_assert_eq(rig.events, 6, "%u", rig.events);
	cr_assert(http_is(&rig.ev[3], "GET", "p3", "/3"));
}

Test(l7_text, tls_behind_a_proxy_is_found)
{
	const struct hello h = {.sni = "inner.example"};

	start(3128);
	feed_text(0, 0, 1000, "CONNECT inner.example:443 HTTP/1.1\r\n\r\n");
	feed_text(0, 1, 7000, "HTTP/1.1 200 Connection established\r\n\r\n");
	msg.len = 0;
	msg_hello(&msg, &h);
	feed(0, 0, 1038, msg.b, msg.len);
	cr_assert_eq(rig.events, 2);
	cr_assert(is(rig.ev[1].tls.sni, rig.ev[1].tls.sni_len, "inner.example"));
	cr_assert_eq(rig_hot(0).l7, L7_WANT_1, "the answer is wanted, requests no more");
}

Test(l7_text, cuts_a_long_path_and_says_so)
{
	msg.len = 0;
	msg_text(&msg, "GET /");
	msg_fill(&msg, 'x', 3000);
	msg_text(&msg, " HTTP/1.1\r\nHost: long.example\r\n\r\n");
	for (__u32 piece = 400; piece < 4000; piece += 400) {
		start(80);
		for (__u32 i = 0; i < msg.len; i += piece)
			feed(i & 1, 0, 1000 + i, msg.b + i,
			     msg.len - i < piece ? msg.len - i : piece);
		cr_assert_eq(rig.events, 1);
		cr_assert(is(rig.ev[0].http.host, rig.ev[0].http.host_len, "long.example"));
		cr_assert_eq(rig.ev[0].http.path_len, WEIR_PATH_MAX);
		cr_assert_eq(rig.ev[0].http.path[WEIR_PATH_MAX - 1], 'x');
		cr_assert_eq(rig.ev[0].http.flags, HTTPF_PATH_CUT);
	}
}

Test(l7_text, a_host_that_is_too_long_is_malformed)
{
	msg.len = 0;
	msg_text(&msg, "GET / HTTP/1.1\r\nHost: ");
	msg_fill(&msg, 'x', 257);
	msg_text(&msg, "\r\n\r\n");
	start(80);
	feed(0, 0, 1000, msg.b, msg.len);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].h.kind, EV_NO_NAME);
	cr_assert_eq(rig.ev[0].h.reason, NN_MALFORMED);
	cr_assert_eq(rig.ev[0].h.proto_hint, L7P_HTTP);
	cr_assert_eq(rig_counter(CNT_NAME_MALFORMED), 1);
}

Test(l7_text, a_longer_head_goes_to_userspace)
{
	__u32 want = 0;

	msg.len = 0;
	msg_text(&msg, "GET / HTTP/1.1\r\nCookie: ");
	msg_fill(&msg, 'x', 6000);
	msg_text(&msg, "\r\nHost: far.example\r\n\r\n");
	start(80);
	for (__u32 i = 0; i < msg.len; i += 1400)
		feed(0, 0, 1000 + i, msg.b + i, msg.len - i < 1400 ? msg.len - i : 1400);
	for (__u32 i = 0; i < rig.events; i++) {
		const struct ev_payload *p = &rig.ev[i].pay;

		cr_assert_eq(p->h.kind, EV_SEGMENT);
		cr_assert_eq(p->h.proto_hint, L7P_HTTP);
		cr_assert_eq(p->offset, want);
		cr_assert(!memcmp(p->data, msg.b + p->offset, p->len));
		want += p->len;
	}
	cr_assert_eq(want, msg.len);
}

/* @wire without the root label. */
static int dns_is(const union rig_event *e, __u16 id, __u16 flags, __u16 qtype, const char *wire)
{
	__u32 len = strlen(wire) + 1;

	return e->h.kind == EV_DNS && e->dns.id == id && e->dns.flags == flags &&
	       e->dns.qtype == qtype && e->dns.rcode == (flags & 15) && e->dns.qname_len == len &&
	       !memcmp(e->dns.qname, wire, len);
}

Test(l7_text, reads_dns_over_udp_both_ways)
{
	static const __u16 ports[] = {53, 5353, 5355};

	for (__u32 i = 0; i < 3; i++) {
		rig_flow(&rig, 17, 40000, ports[i]);
		msg.len = 0;
		msg_dns(&msg, 0x1234, 0x0100, "www.Example.com", 28);
		feed(0, 0, 0, msg.b, msg.len);
		msg.len = 0;
		msg_dns(&msg, 0x1234, 0x8183, "www.Example.com", 28);
		msg_fill(&msg, 0xc0, 1500); /* answers */
		feed(1, 1, 0, msg.b, msg.len);
		for (__u32 k = 0; k < 30; k++) {
			msg.len = 0;
			msg_dns(&msg, k, 0, "", 2);
			feed(0, 0, 0, msg.b, msg.len);
		}
		cr_assert_eq(rig.events, 32);
		cr_assert(dns_is(&rig.ev[0], 0x1234, 0x0100, 28, "\3www\7Example\3com"));
		cr_assert(dns_is(&rig.ev[1], 0x1234, 0x8183, 28, "\3www\7Example\3com"));
		cr_assert_eq(rig.ev[1].h.dir, 1);
		cr_assert(dns_is(&rig.ev[31], 29, 0, 2, ""));
		cr_assert_eq(rig_counter(CNT_NAME_DNS), 32);
	}
}

/* A response to a question for addresses that has some is handed over as well, whole. */
Test(l7_text, hands_over_dns_answers_with_addresses)
{
	static const struct {
		__u16 flags, qtype, answers, fill, handed;
	} cases[] = {
		{0x8180, 1, 1, 16, 1},	{0x8180, 28, 2, 1400, 1}, {0x8180, 1, 1, 3000, 1},
		{0x8183, 1, 1, 16, 0},	{0x8180, 1, 0, 16, 0},	  {0x0100, 1, 1, 16, 0},
		{0x8180, 16, 1, 16, 0},
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u32 head;

		rig_flow(&rig, 17, 40000 + i, 53);
		msg.len = 0;
		msg_dns(&msg, 7, cases[i].flags, "www.example.com", cases[i].qtype);
		msg.b[6] = cases[i].answers >> 8;
		msg.b[7] = cases[i].answers & 255;
		head = msg.len;
		msg_fill(&msg, 0xc0, cases[i].fill);
		feed(0, 1, 0, msg.b, msg.len);
		cr_assert_eq(rig.events, 1u + cases[i].handed, "case %u", i);
		cr_assert_eq(rig.ev[0].h.kind, EV_DNS);
		if (!cases[i].handed)
			continue;
		cr_assert_eq(rig.ev[1].h.kind, EV_DATAGRAM);
		cr_assert_eq(rig.ev[1].h.proto_hint, L7P_DNS);
		cr_assert_eq(rig.ev[1].pay.orig_len, head + cases[i].fill);
		cr_assert_eq(rig.ev[1].pay.len,
			     msg.len < WEIR_DATAGRAM_MAX ? msg.len : WEIR_DATAGRAM_MAX);
		cr_assert(!memcmp(rig.ev[1].pay.data, msg.b, rig.ev[1].pay.len));
	}
}

/* Over TCP, where one segment is one response; of others there are header and question. */
Test(l7_text, hands_over_dns_answers_of_a_segment)
{
	static const struct {
		__u16 flags, answers, fill, after, cut, handed;
	} cases[] = {
		{0x8180, 1, 16, 0, 0, 1}, {0x8180, 2, 1300, 0, 0, 1}, {0x8180, 1, 3000, 0, 0, 1},
		{0x8183, 1, 16, 0, 0, 0}, {0x8180, 0, 16, 0, 0, 0},   {0x0100, 1, 16, 0, 0, 0},
		{0x8180, 1, 16, 5, 0, 0}, {0x8180, 1, 16, 0, 8, 0},
	};

	for (__u32 i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		__u32 len;

		rig_flow(&rig, 6, 40000 + i, 53);
		rig_syn(&rig, 0, 1, 999);
		msg.len = 0;
		len = msg_open(&msg, 2);
		msg_dns(&msg, 7, cases[i].flags, "www.example.com", 1);
		msg.b[8] = cases[i].answers >> 8;
		msg.b[9] = cases[i].answers & 255;
		msg_fill(&msg, 0xc0, cases[i].fill);
		msg_close(&msg, len, 2);
		len = msg.len;
		msg_fill(&msg, 0, cases[i].after);
		feed(0, 1, 1000, msg.b, msg.len - cases[i].cut);
		cr_assert_eq(rig.events, 1u + cases[i].handed, "case %u: %u", i, rig.events);
		cr_assert_eq(rig.ev[cases[i].handed].h.kind, EV_DNS);
		if (!cases[i].handed)
			continue;
		len -= 2;
		cr_assert_eq(rig.ev[0].h.kind, EV_DATAGRAM);
		cr_assert_eq(rig.ev[0].h.proto_hint, L7P_DNS);
		cr_assert_eq(rig.ev[0].h.dir, 1);
		cr_assert_eq(rig.ev[0].pay.orig_len, len);
		cr_assert_eq(rig.ev[0].pay.len, len < WEIR_DATAGRAM_MAX ? len : WEIR_DATAGRAM_MAX);
		cr_assert(!memcmp(rig.ev[0].pay.data, msg.b + 2, rig.ev[0].pay.len));
	}
}

Test(l7_text, malformed_dns_is_counted_and_given_up)
{
	rig_flow(&rig, 17, 40000, 53);
	for (__u32 i = 0; i < 30; i++) {
		msg.len = 0;
		msg_dns(&msg, 1, 0, "a.example", 1);
		msg.b[12] = i & 1 ? 0xc0 : 0x40; /* a pointer in the question, a label of 64 */
		feed(0, 0, 0, msg.b, msg.len);
	}
	cr_assert_eq(rig_count(&rig, EV_NO_NAME, NULL), 16);
	cr_assert_eq(rig_counter(CNT_NAME_MALFORMED), 16);
	cr_assert_eq(rig_hot(0).l7 & L7_WANT_0, 0);
}

Test(l7_text, announcements_without_a_question_are_silent)
{
	rig_flow(&rig, 17, 5353, 5353);
	msg.len = 0;
	msg_fill(&msg, 0, 12);
	msg_fill(&msg, 1, 100);
	feed(0, 0, 0, msg.b, msg.len);
	cr_assert_eq(rig.events, 0);
	rig_flow(&rig, 17, 40000, 53);
	feed(0, 0, 0, msg.b, msg.len);
	cr_assert_eq(rig.events, 1);
	cr_assert_eq(rig.ev[0].dns.qname_len, 0);
}

/* Three messages, the second longer than what is assembled. */
static void dns_stream(void)
{
	static const char *const names[] = {"first.example", "second.example", "third.example"};

	msg.len = 0;
	for (__u32 i = 0; i < 3; i++) {
		__u32 len = msg_open(&msg, 2);

		msg_dns(&msg, i, 0x8180, names[i], 1);
		msg_fill(&msg, 0x16, i == 1 ? 9000 : 40);
		msg_close(&msg, len, 2);
	}
}

Test(l7_text, reads_dns_over_tcp_in_any_pieces)
{
	static const __u32 sizes[] = {1, 3, 100, 512, 1460, 20000};

	dns_stream();
	for (__u32 i = 0; i < 2 * sizeof(sizes) / sizeof(sizes[0]); i++) {
		__u32 piece = sizes[i / 2], base = i & 1 ? 0xfffffff0 : 1000;

		rig_flow(&rig, 6, 40000, 53);
		rig_syn(&rig, 0, 1, base - 1);
		for (__u32 k = 0; k < msg.len; k += piece)
			feed(k / piece, 1, base + k, msg.b + k,
			     msg.len - k < piece ? msg.len - k : piece);
		cr_assert_eq(rig.events, 3, "pieces of %u: %u events", piece, rig.events);
		cr_assert(dns_is(&rig.ev[0], 0, 0x8180, 1, "\5first\7example"));
		cr_assert(dns_is(&rig.ev[2], 2, 0x8180, 1, "\5third\7example"));
	}
}
