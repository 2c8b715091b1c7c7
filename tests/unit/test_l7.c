// SPDX-License-Identifier: Apache-2.0
/*
 * test_l7.c - the readers of TLS hellos, HTTP/1 requests and DNS messages, on the host: every
 * length, every place in the ring, every byte changed.
 */
#include <criterion/criterion.h>
#include "hello.h"
#include "l7.h"

static __u8 ring[L7_BUF_SIZE + L7_BUF_PAD];
static struct msg msg;
static const __u16 v13_12[] = {0x3a3a, 0x0304, 0x0303, 0x7f1c, 0};

enum reader { TLS, HTTP, DNS_TCP, DNS_UDP };

/* Read the first @len bytes of msg, which are at @start of the ring. */
static enum l7_result parse(enum reader what, __u32 start, __u32 len, struct l7_msg *ret)
{
	memset(ring, 0xaa, sizeof(ring));
	for (__u32 i = 0; i < len; i++)
		ring[(start + i) % L7_BUF_SIZE] = msg.b[i];
	l7_mirror(ring);
	memset(ret, 0x55, sizeof(*ret));
	ret->start = start;
	ret->len = len;
	switch (what) {
	case TLS:
		return l7_tls(ring, ret);
	case HTTP:
		return l7_http(ring, ret);
	case DNS_TCP:
		return l7_dns(ring, ret, 1);
	default:
		return l7_dns(ring, ret, 0);
	}
}

static int name_is(const struct l7_msg *m, const char *want)
{
	return m->name_len == strlen(want) && !memcmp(msg.b + m->name_off, want, m->name_len);
}

static void hello(const struct hello *h)
{
	msg.len = 0;
	msg_hello(&msg, h);
}

Test(l7, reads_a_hello_at_every_place_of_the_ring)
{
	const struct hello h = {
		.sni = "www.example.com", .versions = v13_12, .alpn = "\2h2", .ech = 0xfe0d};
	struct l7_msg m;

	hello(&h);
	for (__u32 start = 0; start < L7_BUF_SIZE; start++) {
		cr_assert_eq(parse(TLS, start, msg.len, &m), L7_OK, "at %u", start);
		cr_assert(name_is(&m, "www.example.com"));
		cr_assert_eq(m.need, msg.len);
		cr_assert_eq(m.version, 0x0304);
		cr_assert_eq(m.offered, 0x18, "GREASE left out, the draft counts as 1.3");
		cr_assert_eq(m.ech, 1);
		cr_assert_eq(m.alpn_len, 3);
		cr_assert(!memcmp(msg.b + m.alpn_off, "\2h2", 3));
	}
}

Test(l7, asks_for_more_until_a_hello_is_complete)
{
	const struct hello h = {.sni = "www.example.com", .versions = v13_12, .size = 1900};
	struct l7_msg m;

	hello(&h);
	for (__u32 len = 0; len < msg.len; len++) {
		cr_assert_eq(parse(TLS, 0, len, &m), L7_MORE, "%u", len);
		cr_assert_eq(m.need, len < TLS_PEEK ? TLS_PEEK : msg.len);
	}
	cr_assert_eq(parse(TLS, 4000, msg.len, &m), L7_OK);
}

Test(l7, tells_long_and_split_hellos)
{
	const struct hello fits = {.sni = "a.example", .size = 4096};
	const struct hello beyond = {.sni = "a.example", .size = 4097};
	const struct hello split = {.sni = "a.example", .record = 100};
	const struct hello tiny = {.sni = "a.example", .record = 2};
	struct l7_msg m;

	hello(&fits);
	cr_assert_eq(parse(TLS, 17, msg.len, &m), L7_OK);
	hello(&beyond);
	cr_assert_eq(parse(TLS, 0, 100, &m), L7_LONG);
	cr_assert_eq(m.need, 4097);
	hello(&split);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_SPLIT);
	cr_assert_geq(m.need, msg.len);
	hello(&tiny);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_SPLIT);
	cr_assert_eq(m.need, WEIR_L7_USER_MAX);
}

Test(l7, reads_hellos_without_extensions)
{
	const struct hello none = {.no_extensions = 1, .legacy = 0x0300};
	const struct hello server = {.no_extensions = 1, .legacy = 0x0303, .server = 1};
	struct l7_msg m;

	hello(&none);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.version, 0x0300);
	cr_assert_eq(m.offered, 1);
	cr_assert_eq(m.name_len, 0);
	hello(&server);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.type, TLS_SERVER_HELLO);
	cr_assert_eq(m.version, 0x0303);
}

Test(l7, reads_the_version_a_server_chose)
{
	static const __u16 chosen[] = {0x0304, 0};
	const struct hello h = {.server = 1, .versions = chosen};
	struct l7_msg m;

	hello(&h);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.version, 0x0304);
	cr_assert_eq(m.ech, 0);
}

Test(l7, reads_a_handshake_without_records)
{
	const struct hello h = {.sni = "quic.example", .versions = v13_12};
	struct l7_msg m = {};

	msg.len = 0;
	msg_handshake(&msg, &h, 0);
	memcpy(ring, msg.b, msg.len);
	l7_mirror(ring);
	m.len = msg.len;
	cr_assert_eq(l7_tls_handshake(ring, &m, 0), L7_OK);
	cr_assert(name_is(&m, "quic.example"));
	m.len = 3;
	cr_assert_eq(l7_tls_handshake(ring, &m, 0), L7_MORE);
	m.len = msg.len - 1;
	cr_assert_eq(l7_tls_handshake(ring, &m, 0), L7_MORE);
	ring[0] = 11;
	cr_assert_eq(l7_tls_handshake(ring, &m, 0), L7_NOT);
}

Test(l7, wrong_lengths_are_malformed)
{
	const struct hello h = {.sni = "www.example.com", .versions = v13_12, .alpn = "\2h2"};
	struct l7_msg m;
	__u32 name, bad = 0;

	hello(&h);
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	name = m.name_off;
	msg.b[43] = 33; /* session id */
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_BAD);
	hello(&h);
	msg.b[name - 1]++; /* the name, longer than its list */
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_BAD);
	hello(&h);
	msg.b[name - 3] = 7; /* another type of name */
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.name_len, 0);
	for (__u32 at = 0; at < 140 && at < name; at++) { /* whatever comes out, it lies within */
		for (__u32 v = 0; v < 256; v += 15) {
			enum l7_result r;

			hello(&h);
			msg.b[at] = v;
			r = parse(TLS, 4090, msg.len, &m);
			bad += r == L7_BAD;
			if (r != L7_OK)
				continue;
			cr_assert_leq(m.name_off + m.name_len, msg.len);
			cr_assert_leq(m.alpn_off + m.alpn_len, msg.len);
		}
	}
	cr_assert_gt(bad, 100);
}

Test(l7, an_extension_may_hide_behind_many)
{
	const struct hello h = {.sni = "www.example.com"};
	struct l7_msg m;
	__u32 at, all;

	hello(&h);
	at = msg.len - (2 + 4 + 9 + 15 + 4); /* the extensions' length field */
	all = msg.b[at] << 8 | msg.b[at + 1];
	memmove(msg.b + at + 2 + 3200, msg.b + at + 2, all);
	for (__u32 i = 0; i < 800; i++) /* empty ones in front */
		memcpy(msg.b + at + 2 + 4 * i, "\x12\x34\0\0", 4);
	msg.len += 3200;
	all += 3200;
	msg.b[at] = all >> 8;
	msg.b[at + 1] = all;
	msg.b[3] = (msg.len - 5) >> 8;
	msg.b[4] = msg.len - 5;
	msg.b[7] = (msg.len - 9) >> 8;
	msg.b[8] = msg.len - 9;
	cr_assert_eq(parse(TLS, 0, msg.len, &m), L7_OK);
	cr_assert(name_is(&m, "www.example.com"));
}

static enum l7_class class_of(const char *bytes, __u32 n)
{
	__u8 h[L7_HEAD] = {};

	memcpy(h, bytes, n);
	return l7_classify(h, n);
}

#define CLASS(text) class_of(text, sizeof(text) - 1)

Test(l7, tells_protocols_by_their_first_bytes)
{
	cr_assert_eq(CLASS(""), L7C_MAYBE);
	cr_assert_eq(CLASS("\x16"), L7C_MAYBE);
	cr_assert_eq(CLASS("\x16\x03\x01\x02\x00"), L7C_MAYBE);
	cr_assert_eq(CLASS("\x16\x03\x01\x02\x00\x01"), L7C_TLS);
	cr_assert_eq(CLASS("\x16\x03\x03\x02\x00\x02"), L7C_TLS);
	cr_assert_eq(CLASS("\x16\x03\x03\x02\x00\x0b"), L7C_NO);
	cr_assert_eq(CLASS("\x16\x02"), L7C_NO);
	cr_assert_eq(CLASS("\x16\x03\x05"), L7C_NO);
	cr_assert_eq(CLASS("\x17\x03\x03"), L7C_NO);
	cr_assert_eq(CLASS("G"), L7C_MAYBE);
	cr_assert_eq(CLASS("GET /"), L7C_HTTP);
	cr_assert_eq(CLASS("GE /"), L7C_NO);
	cr_assert_eq(CLASS("VERSION-CONTROL "), L7C_HTTP);
	cr_assert_eq(CLASS("ABCDEFGHIJKLMNOP"), L7C_NO);
	cr_assert_eq(CLASS("Get /"), L7C_NO);
	cr_assert_eq(CLASS("PRI * HTTP/2.0\r\n"), L7C_H2);
	cr_assert_eq(CLASS("PRI * HTTP/1.1\r\n"), L7C_HTTP);
	cr_assert_eq(CLASS("\x80\x1c\x01\x03\x01\x00\x03\x00\x00\x00\x10"), L7C_SSL2);
	cr_assert_eq(CLASS("\x80\x1c\x01\x00\x02\x00\x03\x00\x00\x00\x10"), L7C_SSL2);
	cr_assert_eq(CLASS("\x80\x1d\x01\x03\x01\x00\x03\x00\x00\x00\x10"), L7C_NO);
	cr_assert_eq(CLASS("\x80\x1c\x01\x02\x01\x00\x03\x00\x00\x00\x10"), L7C_NO);
	cr_assert_eq(CLASS("\x80\x1c\x01\x03\x01\x00\x04\x00\x00\x00\x0f"), L7C_NO);
	cr_assert_eq(CLASS("\x80\x1c"), L7C_NO);
}

static enum l7_proto datagram(const char *bytes, __u32 n, __u32 len)
{
	__u8 h[L7_HEAD] = {};

	memcpy(h, bytes, n);
	return l7_classify_datagram(h, n, len);
}

#define DGRAM(text, len) datagram(text, sizeof(text) - 1, len)

Test(l7, tells_quic_and_dtls)
{
	cr_assert_eq(DGRAM("\xc3\0\0\0\1\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xe3\0\0\0\1\x08q", 1200), L7P_NONE, "Handshake");
	cr_assert_eq(DGRAM("\xd3\x6b\x33\x43\xcf\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xc3\x6b\x33\x43\xcf\x08q", 1200), L7P_NONE, "version 2: Retry");
	cr_assert_eq(DGRAM("\xc3\xff\0\0\x1d\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xd3\x70\x9a\x50\xc4\x08q", 1200), L7P_QUIC, "its draft");
	cr_assert_eq(DGRAM("\x09"
			   "12345678Q043\1",
			   1200),
		     L7P_QUIC, "public header");
	cr_assert_eq(DGRAM("\x0d"
			   "12345678Q024\1",
			   1200),
		     L7P_QUIC);
	cr_assert_eq(DGRAM("\x08"
			   "12345678Q043\1",
			   1200),
		     L7P_NONE, "no version in it");
	cr_assert_eq(DGRAM("\x09"
			   "12345678Q04",
			   1200),
		     L7P_NONE);
	cr_assert_eq(DGRAM("\xc3T051\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xc3Q150\x08q", 1200), L7P_NONE);
	cr_assert_eq(DGRAM("\xc3Q050\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xc3\x1a\x2a\x3a\x4a\x08q", 1200), L7P_QUIC);
	cr_assert_eq(DGRAM("\xc3\x1a\x2a\x3a\x4a\x08q", 1199), L7P_NONE);
	cr_assert_eq(DGRAM("\xc3\xfa\xce\xb0\x02\x08q", 1232), L7P_QUIC);
	cr_assert_eq(DGRAM("\xc3\0\0\0\1\x15q", 1200), L7P_NONE, "connection id too long");
	cr_assert_eq(DGRAM("\xc3\0\0\0\1\x08", 1200), L7P_NONE);
	cr_assert_eq(DGRAM("\x43\0\0\0\1\x08q", 1200), L7P_NONE);
	cr_assert_eq(DGRAM("\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x50\1", 100), L7P_DTLS);
	cr_assert_eq(DGRAM("\x16\xfe\xfd\0\0\0\0\0\0\0\0\0\x50\2", 100), L7P_DTLS);
	cr_assert_eq(DGRAM("\x16\1\0\0\0\0\0\0\0\0\0\0\x50\1", 100), L7P_DTLS);
	cr_assert_eq(DGRAM("\x16\xfe\xff\0\1\0\0\0\0\0\0\0\x50\1", 100), L7P_NONE, "encrypted");
	cr_assert_eq(DGRAM("\x16\xfe\xff\0\0\0\0\0\0\0\0\0\x50\x0e", 100), L7P_NONE);
	cr_assert_eq(DGRAM("\x16\3\1\0\0\0\0\0\0\0\0\0\x50\1", 100), L7P_NONE);
}

Test(l7, reads_a_request_at_every_place_and_length)
{
	struct l7_msg m;
	__u32 first = 0;

	msg.len = 0;
	msg_text(&msg, "DELETE /a?b HTTP/1.1\r\nX: y\r\nhOSt:\t a.example:81 \r\nZ: 1\r\n\r\n");
	for (__u32 start = 0; start < L7_BUF_SIZE; start += 13) {
		for (__u32 len = 0; len <= msg.len; len++) {
			enum l7_result r = parse(HTTP, start, len, &m);

			if (r == L7_MORE) {
				cr_assert_eq(m.need, len + 1);
				cr_assert(!first || len < first);
				continue;
			}
			cr_assert_eq(r, L7_OK, "%u of %u", len, msg.len);
			if (!first)
				first = len;
			cr_assert_geq(len, first);
			cr_assert(name_is(&m, "a.example:81"));
			cr_assert_eq(m.method_len, 6);
			cr_assert_eq(m.path_off, 7);
			cr_assert_eq(m.path_len, 4);
			cr_assert_eq(m.need, len);
		}
	}
	cr_assert_eq(first, msg.len - 8, "as soon as the Host line is complete");
}

Test(l7, a_request_ends_where_its_head_does)
{
	struct l7_msg m;

	msg.len = 0;
	msg_text(&msg, "GET / HTTP/1.1\nHost: a\n\nGET /2 HTTP/1.1\r\n");
	cr_assert_eq(parse(HTTP, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.need, 24);
	msg.len = 0;
	msg_text(&msg, "GET http:///x HTTP/1.1\r\n\r\n");
	cr_assert_eq(parse(HTTP, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.found, 0, "an empty authority names nobody");
}

Test(l7, a_request_longer_than_the_buffer)
{
	struct l7_msg m;

	msg.len = 0;
	msg_text(&msg, "GET /");
	msg_fill(&msg, 'x', 5000);
	cr_assert_eq(parse(HTTP, 0, L7_BUF_SIZE, &m), L7_LONG);
	cr_assert_eq(parse(HTTP, 0, L7_BUF_SIZE - 1, &m), L7_MORE);
	msg.len = 0;
	msg_text(&msg, "METHODTHATISTOOLONG / HTTP/1.1\r\n\r\n");
	cr_assert_eq(parse(HTTP, 0, msg.len, &m), L7_NOT);
	msg.b[0] = ' ';
	cr_assert_eq(parse(HTTP, 0, msg.len, &m), L7_NOT);
	msg.len = 0;
	msg_text(&msg, "GET / HTTP/1.1\r\nHost: ");
	msg_fill(&msg, 'h', 256);
	msg_text(&msg, "\r\n");
	cr_assert_eq(parse(HTTP, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.name_len, 256);
}

Test(l7, reads_dns_at_every_place_and_length)
{
	struct l7_msg m;
	__u32 len;

	for (__u32 start = 0; start < L7_BUF_SIZE; start += 7) {
		msg.len = 0;
		len = msg_open(&msg, 2);
		msg_dns(&msg, 0xabcd, 0x8583, "a.b.example", 65);
		msg_close(&msg, len, 2);
		for (len = 0; len < msg.len; len++) {
			cr_assert_eq(parse(DNS_TCP, start, len, &m), L7_MORE, "%u", len);
			cr_assert_gt(m.need, len);
		}
		cr_assert_eq(parse(DNS_TCP, start, msg.len, &m), L7_OK);
		cr_assert_eq(m.need, msg.len);
		cr_assert_eq(m.id, 0xabcd);
		cr_assert_eq(m.flags, 0x8583);
		cr_assert_eq(m.qtype, 65);
		cr_assert_eq(m.name_len, 13);
		cr_assert(!memcmp(msg.b + m.name_off, "\1a\1b\7example", 13));
	}
}

Test(l7, tells_malformed_dns)
{
	struct l7_msg m;

	msg.len = 0;
	msg_dns(&msg, 1, 0, "", 1);
	cr_assert_eq(parse(DNS_UDP, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.name_len, 1);
	cr_assert_eq(parse(DNS_UDP, 0, 11, &m), L7_MORE);
	cr_assert_eq(parse(DNS_UDP, 0, msg.len - 4, &m), L7_BAD, "type and class are missing");
	msg.b[12] = 0xc0;
	cr_assert_eq(parse(DNS_UDP, 0, msg.len, &m), L7_BAD);
	msg.b[5] = 0; /* no question at all */
	cr_assert_eq(parse(DNS_UDP, 0, msg.len, &m), L7_OK);
	cr_assert_eq(m.name_len, 0);
	msg.len = 0;
	msg_fill(&msg, 0, 2 + 12);
	msg.b[1] = 11; /* shorter than a header */
	cr_assert_eq(parse(DNS_TCP, 0, msg.len, &m), L7_BAD);
}

/* 255 bytes are a name, 256 are not. */
Test(l7, holds_names_to_their_limit)
{
	char name[300];
	struct l7_msg m;

	for (__u32 last = 61; last < 63; last++) {
		memset(name, 'a', sizeof(name));
		name[63] = name[127] = name[191] = '.';
		name[192 + last] = 0;
		msg.len = 0;
		msg_dns(&msg, 1, 0, name, 1);
		cr_assert_eq(parse(DNS_UDP, 0, msg.len, &m), last == 61 ? L7_OK : L7_BAD);
	}
	cr_assert_eq(l7_find_byte(L7_WORD('a', 'b', '\n', 1, '\n', 0, 0, 0), '\n'), 2);
	cr_assert_eq(l7_find_byte(L7_WORD(11, 0x8a, 9, 1, 5, 0, 0, '\n'), '\n'), 7);
	cr_assert_eq(l7_find_byte(L7_WORD(11, 0x8a, 9, 1, 5, 0, 0, 0), '\n'), 8);
}
