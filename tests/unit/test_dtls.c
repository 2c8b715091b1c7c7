/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dtls.c - DTLS hellos in fragments, of every version, with and without cookie.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <string.h>
#include "loader/name/dtls.h"
#include "loader/name/hello.h"
#include "name_build.h"

static struct name_pool pool = {.limit = 1 << 20};
static struct dtls dtls;
static struct dtls_flow flow;
static struct dtls_found found;
static struct hello_buf scratch;
static struct name_tls tls;

static void setup(void)
{
	dtls.pool = &pool;
}

static void teardown(void)
{
	dtls_flow_done(&dtls, &flow);
	cr_expect(eq(u64, pool.used, 0));
}

TestSuite(dtls, .init = setup, .fini = teardown);

static int feed_cut(const struct build_bytes *d, unsigned int dir, uint32_t wire_len)
{
	struct dtls_datagram dg = {
		.data = d->b, .len = (uint32_t)d->len, .wire_len = wire_len, .dir = (uint8_t)dir};

	return dtls_feed(&dtls, &flow, &dg, &found);
}

static int feed(const struct build_bytes *d, unsigned int dir)
{
	return feed_cut(d, dir, (uint32_t)d->len);
}

static void forget(void)
{
	dtls_flow_done(&dtls, &flow);
	memset(&flow, 0, sizeof(flow));
}

static int read_hello(void)
{
	memset(&tls, 0, sizeof(tls));
	return hello_read_client(&found.hello, &scratch, &tls);
}

static int sni_is(const char *name)
{
	return tls.sni_len == strlen(name) && memcmp(tls.sni, name, tls.sni_len) == 0;
}

static const struct build_bytes *body_of(const struct build_hello *h)
{
	static struct build_bytes o;

	o.len = 0;
	build_client_hello(&o, h);
	return &o;
}

static void record(struct build_bytes *o, const struct build_bytes *body, size_t off, size_t len)
{
	build_dtls_record(
		o, &(struct build_dtls){
			   .version = 0xfefd, .type = 1, .body = body, .off = off, .len = len});
}

Test(dtls, reads_versions_in_the_numbers_of_tls)
{
	static const struct {
		uint16_t record, legacy, versions[3];
		unsigned int offered, highest;
	} cases[] = {
		{0xfeff, 0xfeff, {0}, 1 << 2, 0xfeff},
		{0x0100, 0x0100, {0}, 1 << 2, 0xfeff},
		{0xfeff, 0xfefd, {0}, 1 << 3, 0xfefd},
		{0xfefd, 0xfefd, {0xfefc, 0xfefd}, 1 << 4 | 1 << 3, 0xfefc},
		{0xfefd, 0xfefd, {0x3a3a, 0xfefc, 0xfeff}, 1 << 4 | 1 << 2, 0xfefc},
	};
	static struct build_bytes d;

	for (unsigned int i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct build_hello h = {.sni = "v.example", .dtls = 1, .legacy = cases[i].legacy};
		const struct build_bytes *body;

		memcpy(h.versions, cases[i].versions, sizeof(h.versions));
		body = body_of(&h);
		d.len = 0;
		build_dtls_record(&d, &(struct build_dtls){.version = cases[i].record,
							   .type = 1,
							   .body = body,
							   .len = body->len});
		cr_assert(eq(int, feed(&d, 0), DTLS_CLIENT_HELLO));
		cr_assert(eq(int, read_hello(), NN_NONE));
		cr_expect(sni_is("v.example"));
		cr_expect(eq(u16, tls.offered, cases[i].offered), "case %u", i);
		cr_expect(eq(u16, dtls_version(tls.version), cases[i].highest));
		forget();
	}
}

Test(dtls, has_no_number_for_versions_that_never_were)
{
	cr_expect(eq(u16, dtls_version(0x0300), 0));
	cr_expect(eq(u16, dtls_version(0x0301), 0));
}

Test(dtls, assembles_fragments_in_any_order_and_overlapping)
{
	static const unsigned int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	const struct build_bytes *body = body_of(&(struct build_hello){
		.sni = "pieces.example", .dtls = 1, .length = 1500, .sni_last = 1, .cookie = 32});
	static struct build_bytes d[3];

	record(&d[0], body, 0, 600);
	record(&d[1], body, 500, 600);
	record(&d[2], body, 1100, 400);
	for (unsigned int i = 0; i < 6; i++) {
		cr_assert(eq(int, feed(&d[perm[i][0]], 1), 0));
		cr_assert(eq(int, feed(&d[perm[i][0]], 1), 0));
		cr_assert(eq(int, feed(&d[perm[i][1]], 1), 0));
		cr_assert(eq(int, feed(&d[perm[i][2]], 1), DTLS_CLIENT_HELLO));
		cr_assert(eq(int, read_hello(), NN_NONE));
		cr_expect(sni_is("pieces.example"));
		cr_expect(eq(u8, found.conflict, 0));
		cr_expect(eq(int, feed(&d[0], 1), 0), "told once");
		forget();
	}
}

Test(dtls, reads_the_second_hello_when_the_first_was_lost_in_part)
{
	struct build_hello h = {.sni = "cookie.example", .dtls = 1, .length = 900};
	static struct build_bytes d, verify;
	const struct build_bytes *body = body_of(&h);

	record(&d, body, 0, 300);
	cr_assert(eq(int, feed(&d, 0), 0));
	d.len = 0;
	build_hex(&verify, "feff04aabbccdd");
	build_dtls_record(
		&d, &(struct build_dtls){.version = 0xfeff, .type = 3, .body = &verify, .len = 7});
	cr_assert(eq(int, feed(&d, 1), 0), "HelloVerifyRequest");
	h.cookie = 4;
	body = body_of(&h);
	d.len = 0;
	build_dtls_record(
		&d,
		&(struct build_dtls){
			.version = 0xfefd, .type = 1, .seq = 1, .body = body, .len = body->len});
	cr_assert(eq(int, feed(&d, 0), DTLS_CLIENT_HELLO));
	cr_assert(eq(int, read_hello(), NN_NONE));
	cr_expect(sni_is("cookie.example"));
}

Test(dtls, a_later_message_takes_the_place_of_one_two_before)
{
	const struct build_bytes *body =
		body_of(&(struct build_hello){.sni = "third.example", .dtls = 1, .length = 900});
	static struct build_bytes d;

	for (uint16_t seq = 0; seq < 3; seq++) {
		d.len = 0;
		build_dtls_record(&d, &(struct build_dtls){.version = 0xfefd,
							   .type = 1,
							   .seq = seq,
							   .body = body,
							   .len = seq == 2 ? body->len : 300});
		cr_assert(eq(int, feed(&d, 0), seq == 2 ? DTLS_CLIENT_HELLO : 0));
	}
	cr_assert(eq(int, read_hello(), NN_NONE));
	forget();
	/* ... and the earlier one doesn't take its place back. */
	for (int seq = 2; seq >= 0; seq -= 2) {
		d.len = 0;
		build_dtls_record(&d, &(struct build_dtls){.version = 0xfefd,
							   .type = 1,
							   .seq = (uint16_t)seq,
							   .body = body,
							   .len = 300});
		cr_assert(eq(int, feed(&d, 0), 0));
	}
	cr_expect(eq(u16, flow.msg[0][0]->seq, 2));
}

Test(dtls, reads_the_negotiated_version)
{
	static struct build_bytes d, sh;

	for (unsigned int i = 0; i < 2; i++) {
		d.len = sh.len = 0;
		build_server_hello(&sh, i ? 0xfefc : 0, 1);
		build_dtls_record(
			&d, &(struct build_dtls){
				    .version = 0xfefd, .type = 2, .body = &sh, .len = sh.len});
		cr_assert(eq(int, feed(&d, 1), DTLS_SERVER_HELLO));
		cr_expect(eq(u16, hello_read_server(&found.server, &scratch), i ? 0x0304 : 0x0303));
		cr_expect(eq(int, feed(&d, 1), 0), "told once");
		forget();
	}
}

Test(dtls, an_empty_server_hello_is_read_as_nothing)
{
	static struct build_bytes d, sh;

	build_dtls_record(&d, &(struct build_dtls){.version = 0xfefd, .type = 2, .body = &sh});
	cr_assert(eq(int, feed(&d, 1), DTLS_SERVER_HELLO));
	cr_expect(eq(u16, hello_read_server(&found.server, &scratch), 0));
}

Test(dtls, reads_several_records_and_several_fragments_of_one_datagram)
{
	const struct build_bytes *body =
		body_of(&(struct build_hello){.sni = "many.example", .dtls = 1, .length = 400});
	static struct build_bytes d, one;
	size_t at;

	build_hex(&d, "14fefd0000000000000001000101"); /* ChangeCipherSpec */
	record(&d, body, 200, 200);
	at = d.len;
	record(&d, body, 0, 100);
	record(&one, body, 100, 100);
	build_raw(&d, one.b + 13, one.len - 13); /* a second fragment in the last record */
	d.b[at + 12] = (uint8_t)(2 * 112);
	cr_assert(eq(int, feed(&d, 0), DTLS_CLIENT_HELLO));
	cr_assert(eq(int, read_hello(), NN_NONE));
	cr_expect(sni_is("many.example"));
}

Test(dtls, leaves_encrypted_records_alone)
{
	const struct build_bytes *body =
		body_of(&(struct build_hello){.sni = "secret.example", .dtls = 1});
	static struct build_bytes d;

	build_dtls_record(
		&d,
		&(struct build_dtls){
			.version = 0xfefd, .type = 1, .epoch = 1, .body = body, .len = body->len});
	cr_expect(eq(int, feed(&d, 0), 0));
	d.len = 0;
	build_hex(&d, "2f0001020304050607080900010203040506"); /* unified header of 1.3 */
	cr_expect(eq(int, feed(&d, 0), 0));
	memset(&flow, 0, sizeof(flow));
	cr_expect(eq(int, feed(&d, 0), -EPROTO), "unless no record was seen before");
}

Test(dtls, says_what_is_wrong)
{
	const struct build_bytes *body =
		body_of(&(struct build_hello){.sni = "cut.example", .dtls = 1, .length = 900});
	static struct build_bytes d;

	record(&d, body, 0, 900);
	d.len -= 400;
	cr_expect(eq(int, feed_cut(&d, 0, 925), 0));
	cr_expect(eq(u8, flow.reason, NN_TRUNCATED));
	dtls_partial(&dtls, &flow, &found.hello);
	cr_expect(eq(int, read_hello(), NN_NONE), "the name was in the part that came");
	cr_expect(sni_is("cut.example"));
	forget();

	cr_expect(eq(int, feed(&d, 0), 0));
	cr_expect(eq(u8, flow.reason, NN_MALFORMED), "record longer than its datagram");
	forget();

	d.len = 0;
	record(&d, body, 0, 900);
	d.b[13 + 9] = 1; /* fragment longer than the message */
	cr_expect(eq(int, feed(&d, 0), 0));
	cr_expect(eq(u8, flow.reason, NN_MALFORMED));
	forget();

	d.len = 0;
	record(&d, body, 0, 900);
	d.b[13 + 1] = 1; /* message of more than 65536 bytes */
	cr_expect(eq(int, feed(&d, 0), 0));
	cr_expect(eq(u8, flow.reason, NN_TOO_LONG));
}

Test(dtls, flags_fragments_that_contradict_each_other)
{
	const struct build_bytes *body =
		body_of(&(struct build_hello){.sni = "first.example", .dtls = 1, .length = 300});
	static struct build_bytes d, other;

	record(&d, body, 0, 200);
	cr_assert(eq(int, feed(&d, 0), 0));
	build_raw(&other, body->b, body->len);
	memset(other.b + 150, 'x', 100);
	d.len = 0;
	record(&d, &other, 100, 200);
	cr_assert(eq(int, feed(&d, 0), DTLS_CLIENT_HELLO));
	cr_expect(eq(u8, found.conflict, 1));
	cr_expect(eq(u64, dtls.stats.conflicts, 1));
	cr_expect(eq(int, read_hello(), NN_NONE));
	cr_expect(sni_is("first.example"), "the first bytes win");
}

Test(dtls, counts_what_does_not_fit_in_memory_or_is_too_scattered)
{
	const struct build_bytes *body = body_of(&(struct build_hello){.dtls = 1, .length = 900});
	static struct build_bytes d;

	pool.limit = 100;
	record(&d, body, 0, 200);
	cr_expect(eq(int, feed(&d, 0), 0));
	cr_expect(eq(u64, dtls.stats.out_of_memory, 1), "no message");
	pool.limit = sizeof(struct dtls_message) + 100;
	cr_expect(eq(int, feed(&d, 0), 0));
	cr_expect(eq(u64, dtls.stats.out_of_memory, 2), "no bytes for it");
	pool.limit = 1 << 20;
	for (size_t i = 0; i <= STREAM_RANGES; i++) {
		d.len = 0;
		record(&d, body, 2 * i, 1);
		cr_expect(eq(int, feed(&d, 0), 0));
	}
	cr_expect(eq(u64, dtls.stats.pieces_dropped, 1));
}

Test(dtls, a_cut_or_flipped_datagram_never_crashes)
{
	const struct build_bytes *body = body_of(&(struct build_hello){.sni = "safe.example",
								       .dtls = 1,
								       .cookie = 8,
								       .versions = {0xfefc, 0xfefd},
								       .alpn = "a,b"});
	static struct build_bytes d, bad;

	record(&d, body, 0, body->len);
	for (size_t i = 0; i < d.len; i++) {
		bad = d;
		bad.len = i;
		cr_assert(le(int, feed(&bad, 0), 0), "cut at %zu", i);
		forget();
		for (unsigned int flip = 1; flip < 256; flip += 127) {
			bad = d;
			bad.b[i] ^= (uint8_t)flip;
			if (feed(&bad, 0) & DTLS_CLIENT_HELLO)
				read_hello();
			dtls_partial(&dtls, &flow, &found.hello);
			read_hello();
			forget();
		}
	}
}
