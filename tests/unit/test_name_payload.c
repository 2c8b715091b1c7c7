/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_name_payload.c - payload of the ring to names: TCP segments, QUIC, DTLS, and how flows end.
 */
#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "name_rig.h"

TestSuite(name_payload, .init = nr_setup, .fini = nr_teardown);

/* ---- TCP ---- */

static const struct build_bytes *tls_hello(const struct build_hello *h, size_t record)
{
	static struct build_bytes m, o;

	m.len = o.len = 0;
	build_client_hello(&m, h);
	for (size_t off = 0; off < m.len; off += record) {
		size_t len = m.len - off < record ? m.len - off : record;

		build_be(&o, 0x160301, 3);
		build_be(&o, len, 2);
		build_raw(&o, m.b + off, len);
	}
	return &o;
}

/* Segments of @size bytes, from the last to the first. */
static int feed_backwards(const struct build_bytes *o, size_t size)
{
	int got = 0;

	for (size_t i = (o->len + size - 1) / size; i-- > 0;) {
		size_t len = o->len - i * size < size ? o->len - i * size : size;

		cr_assert(eq(int, got, 0));
		build_event(&nr_ev, EV_SEGMENT, 1, 0);
		build_event_data(&nr_ev, (uint32_t)(i * size), o->b + i * size, len);
		got = nr_feed();
	}
	return got;
}

Test(name_payload, assembles_a_long_hello_from_segments)
{
	struct build_hello h = {.sni = "long.example",
				.alpn = "h2,http/1.1",
				.versions = {0x0304, 0x0303},
				.length = 11000,
				.sni_last = 1};

	cr_assert(eq(int, feed_backwards(tls_hello(&h, 16384), 1460), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_CLIENT));
	cr_expect(eq(u8, nr.proto, L7P_TLS));
	cr_expect(nr_sni_is("long.example"));
	cr_expect(eq(u16, nr.tls.offered, 24));
	cr_expect(eq(u16, nr.tls.version, 0x0304));
	cr_expect(memcmp(nr.tls.alpn, "\2h2\10http/1.1", 12) == 0);
	cr_expect(eq(int, nr_feed(), 0), "what follows is of no interest");
	cr_expect(eq(int, nr_end(), 0));
	cr_expect(eq(u64, names_memory(nr_names), 0));
}

Test(name_payload, reads_the_next_connection_of_a_key_before_the_first_one_s_end)
{
	struct build_hello h = {.sni = "one.example", .length = 6000};
	static struct build_bytes o;

	cr_assert(eq(int, feed_backwards(tls_hello(&h, 16384), 1460), 1));
	cr_expect(nr_sni_is("one.example"));
	h.sni = "two.example";
	build_raw(&o, tls_hello(&h, 16384)->b, 6005);
	for (uint32_t off = 0; off < o.len; off += 2000) {
		build_event_data(&nr_ev, off, o.b + off, o.len - off < 2000 ? o.len - off : 2000);
		cr_assert(eq(int, nr_feed(), off == 6000));
	}
	cr_expect(nr_sni_is("two.example"));
	cr_expect(eq(int, nr_end(), 0));
}

Test(name_payload, reads_a_hello_over_several_records)
{
	struct build_hello h = {.sni = "records.example", .length = 3000, .sni_last = 1};

	cr_assert(eq(int, feed_backwards(tls_hello(&h, 100), 700), 1));
	cr_expect(nr_sni_is("records.example"));
}

Test(name_payload, says_why_a_stream_has_no_name)
{
	struct build_hello h = {.sni = "x.example", .length = 3000, .sni_last = 1};
	const struct build_bytes *o;
	static struct build_bytes junk;

	o = tls_hello(&h, 16384);
	build_event(&nr_ev, EV_SEGMENT, 1, 0);
	build_event_data(&nr_ev, 0, o->b, 1000);
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, nr_end(), 1));
	cr_expect(eq(u8, nr.kind, NAME_MISSING));
	cr_expect(eq(u8, nr.no_name, NN_INCOMPLETE));
	cr_expect(eq(u8, nr.proto, L7P_TLS));

	h.length = 20000 - 100;
	o = tls_hello(&h, 16384);
	build_event_data(&nr_ev, 0, o->b, 1000);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.no_name, NN_TOO_LONG));
	nr_ev.offset = 1000;
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(int, nr_end(), 0), "told already");

	h.length = WEIR_L7_USER_MAX;
	o = tls_hello(&h, 16384);
	for (uint32_t off = 0; off < o->len; off += 2000) {
		build_event_data(&nr_ev, off, o->b + off,
				 o->len - off < 2000 ? o->len - off : 2000);
		if (nr_feed())
			break;
	}
	cr_expect(eq(u8, nr.no_name, NN_TOO_LONG), "the record header makes it too long");
	nr_end();

	build_hex(&junk, "1603010030"
			 "05000028");
	while (junk.len < 60)
		build_u8(&junk, 0);
	build_event_data(&nr_ev, 0, junk.b, junk.len);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.no_name, NN_MALFORMED));
	nr_end();

	junk.len = 0;
	build_hex(&junk, "160301003001000028");
	while (junk.len < 60)
		build_u8(&junk, 0xff);
	build_event_data(&nr_ev, 0, junk.b, junk.len);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.no_name, NN_MALFORMED));
}

Test(name_payload, finds_a_name_in_the_part_of_a_hello_that_came)
{
	struct build_hello h = {.sni = "early.example", .length = 3000};
	const struct build_bytes *o = tls_hello(&h, 16384);

	build_event(&nr_ev, EV_SEGMENT, 1, 0);
	build_event_data(&nr_ev, 0, o->b, 1000);
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, nr_end(), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_CLIENT));
	cr_expect(nr_sni_is("early.example"));
}

Test(name_payload, flags_segments_that_contradict_each_other)
{
	struct build_hello h = {.sni = "first.example", .length = 3000};
	const struct build_bytes *o = tls_hello(&h, 16384);
	static struct build_bytes other;

	build_raw(&other, o->b, o->len);
	other.b[1500] ^= 1;
	build_event(&nr_ev, EV_SEGMENT, 1, 0);
	build_event_data(&nr_ev, 0, o->b, 1600);
	cr_assert(eq(int, nr_feed(), 0));
	build_event_data(&nr_ev, 1400, other.b + 1400, o->len - 1400);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(nr_sni_is("first.example"));
	cr_expect(eq(u8, nr.tls.flags & TLSF_CONFLICT, TLSF_CONFLICT));
	cr_expect(eq(u64, nr_stats()->conflicts, 1));
}

Test(name_payload, reads_both_hellos_of_a_connection)
{
	struct build_hello h = {.sni = "both.example", .length = 3000};
	static struct build_bytes sh, o;

	cr_assert(eq(int, feed_backwards(tls_hello(&h, 16384), 1400), 1));
	build_server_hello(&sh, 0x0304, 0);
	build_be(&o, 0x160303, 3);
	build_be(&o, sh.len, 2);
	build_raw(&o, sh.b, sh.len);
	build_event(&nr_ev, EV_SEGMENT, 1, 1);
	build_event_data(&nr_ev, 0, o.b, 20);
	cr_assert(eq(int, nr_feed(), 0));
	build_event_data(&nr_ev, 20, o.b + 20, o.len - 20);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_SERVER));
	cr_expect(eq(u8, nr.dir, 1));
	cr_expect(eq(u16, nr.tls.version, 0x0304));
	nr_end();

	build_event_data(&nr_ev, 0, o.b, 20);
	cr_assert(eq(int, nr_feed(), 0));
	cr_expect(eq(int, nr_end(), 0), "half a ServerHello is no name that misses");
}

Test(name_payload, a_server_that_answers_with_an_alert_takes_no_name_away)
{
	struct build_hello h = {.sni = "alert.example", .length = 3000, .sni_last = 1};
	const struct build_bytes *o = tls_hello(&h, 16384);

	build_event(&nr_ev, EV_SEGMENT, 1, 1);
	build_event_data(&nr_ev, 0, "\25\3\3\0\2\2\50", 7);
	cr_assert(eq(int, nr_feed(), 0));
	build_event_data(&nr_ev, 0, "\26\3\3\0\5\2\0\0\1\0",
			 10); /* told of this direction: nothing */
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, feed_backwards(o, 1400), 1));
	cr_expect(nr_sni_is("alert.example"));
	nr_end();

	build_event(&nr_ev, EV_SEGMENT, 1, 1);
	build_event_data(&nr_ev, 0, "\26\3\3\0\5\2\0\0\1\0", 10);
	cr_assert(eq(int, nr_feed(), 0), "a ServerHello that can't be read");
	cr_assert(eq(int, feed_backwards(o, 1400), 1));
	cr_expect(nr_sni_is("alert.example"));
}

Test(name_payload, reads_the_host_of_a_request_with_a_long_head)
{
	static struct build_bytes o;

	build_raw(&o, "GET /path HTTP/1.1\r\nCookie: ", 28);
	while (o.len < 9000)
		build_u8(&o, 'c');
	build_raw(&o, "\r\nHost: late.example\r\n\r\n", 24);
	build_event(&nr_ev, EV_SEGMENT, 1, 0);
	for (uint32_t off = 0; off < o.len; off += 2000) {
		build_event_data(&nr_ev, off, o.b + off, o.len - off < 2000 ? o.len - off : 2000);
		if (nr_feed())
			break;
	}
	cr_expect(eq(u8, nr.kind, NAME_HTTP));
	cr_expect(eq(u8, nr.proto, L7P_HTTP));
	cr_assert(eq(u16, nr.http.host_len, 12));
	cr_expect(memcmp(nr.http.host, "late.example", 12) == 0);
	cr_expect(eq(u16, nr.http.path_len, 5));
	cr_expect(eq(int, nr_end(), 0));

	build_event_data(&nr_ev, 0, "SSH-2.0-OpenSSH", 15);
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(u64, nr_stats()->not_recognised, 1));
	cr_expect(eq(int, nr_end(), 0), "nothing is missing");
}

/* ---- UDP ---- */

Test(name_payload, reads_quic_and_remembers_that_the_flow_is_named)
{
	nr_quic(1, "quic.example", 0, 800);
	cr_assert(eq(int, nr_feed(), 0));
	cr_expect(eq(u32, names_flows(nr_names), 1));
	nr_quic(1, "quic.example", 800, 0);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_CLIENT));
	cr_expect(eq(u8, nr.proto, L7P_QUIC));
	cr_expect(eq(u32, nr.quic_version, 1));
	cr_expect(nr_sni_is("quic.example"));
	cr_expect(memcmp(nr.tls.alpn, "\2h3", 3) == 0);
	nr_quic(1, "quic.example", 0, 0);
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(int, nr_end(), 0));
	cr_expect(eq(u32, names_flows(nr_names), 0));
	cr_expect(eq(u64, names_memory(nr_names), 0));
	cr_expect(eq(int, nr_end(), 0), "not known any more");
	cr_expect(eq(u64, nr_stats()->quic, 1));
	cr_expect(eq(u64, nr_stats()->quic_initials, 2));
}

Test(name_payload, says_why_a_quic_flow_has_no_name)
{
	nr_quic(1, "x.example", 800, 0);
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, nr_end(), 1));
	cr_expect(eq(u8, nr.no_name, NN_INCOMPLETE));
	cr_expect(eq(u32, nr.quic_version, 1));

	nr_quic(1, "x.example", 0, 0);
	nr_ev.data[nr_ev.len - 1] ^= 1;
	cr_assert(eq(int, nr_feed(), 0));
	cr_assert(eq(int, nr_end(), 1));
	cr_expect(eq(u8, nr.no_name, NN_DECRYPT));
	cr_expect(eq(u64, nr_stats()->quic_decrypt_failed, 0), "counted with the next packet");

	nr_quic(1, NULL, 0, 0);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_CLIENT));
	cr_expect(eq(u8, nr.no_name, NN_NO_SNI));
	nr_end();

	build_event_data(&nr_ev, 0,
			 "\xc0\x1a\x2a\x3a\x4a\x08"
			 "01234567"
			 "\0",
			 15);
	nr_ev.orig_len = 1200;
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.kind, NAME_MISSING));
	cr_expect(eq(u8, nr.no_name, NN_QUIC_VERSION));
	cr_expect(eq(u32, nr.quic_version, 0x1a2a3a4a));
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(int, nr_end(), 0), "told already");

	build_event_data(&nr_ev, 0, "\0\1\2\3", 4);
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(int, nr_end(), 0), "that was no QUIC");
	cr_expect(eq(u64, nr_stats()->not_recognised, 1));
}

Test(name_payload, hands_a_second_result_of_one_event_out_afterwards)
{
	static struct build_bytes d, frames, sh;
	struct ev_payload server;

	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(
		&d,
		&(struct build_initial){.version = 1, .odcid = "initialx", .dcid = "", .server = 1},
		&frames);
	build_event(&server, EV_DATAGRAM, 1, 1);
	build_event_data(&server, 0, d.b, d.len);
	cr_assert(eq(int, name_feed(nr_names, &server.h, sizeof(server), &nr), 0),
		  "client not seen yet");
	nr_quic(1, "order.example", 0, 0);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(nr_sni_is("order.example"));
	cr_assert(eq(int, names_next(nr_names, &nr), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_SERVER));
	cr_expect(eq(u16, nr.tls.version, 0x0304));
	cr_expect(eq(int, names_next(nr_names, &nr), 0));
}

Test(name_payload, reads_dtls)
{
	struct build_hello h = {.sni = "dtls.example", .dtls = 1, .versions = {0xfefc, 0xfefd}};
	static struct build_bytes body, d;

	build_client_hello(&body, &h);
	build_dtls_record(
		&d, &(struct build_dtls){.version = 0xfefd, .type = 1, .body = &body, .len = 60});
	build_event(&nr_ev, EV_DATAGRAM, 1, 1);
	build_event_data(&nr_ev, 0, d.b, d.len);
	cr_assert(eq(int, nr_feed(), 0));
	d.len = 0;
	build_dtls_record(&d, &(struct build_dtls){.version = 0xfefd,
						   .type = 1,
						   .body = &body,
						   .off = 60,
						   .len = body.len - 60});
	build_event_data(&nr_ev, 0, d.b, d.len);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.proto, L7P_DTLS));
	cr_expect(nr_sni_is("dtls.example"));
	cr_expect(eq(u16, nr.tls.version, 0xfefc));
	cr_expect(eq(u16, nr.tls.offered, 24));

	d.len = body.len = 0;
	build_server_hello(&body, 0, 1);
	build_dtls_record(
		&d,
		&(struct build_dtls){.version = 0xfefd, .type = 2, .body = &body, .len = body.len});
	build_event(&nr_ev, EV_DATAGRAM, 1, 0);
	build_event_data(&nr_ev, 0, d.b, d.len);
	cr_assert(eq(int, nr_feed(), 1));
	cr_expect(eq(u8, nr.kind, NAME_TLS_SERVER));
	cr_expect(eq(u16, nr.tls.version, 0xfefd));
	cr_expect(eq(int, nr_end(), 0));
	cr_expect(eq(u64, names_memory(nr_names), 0));
}

Test(name_payload, a_dtls_server_whose_version_is_none_is_told_as_nothing)
{
	static struct build_bytes body, d;

	/* SSL 3.0 in a ServerHello of DTLS: no version of DTLS is that one. */
	build_server_hello(&body, 0, 1);
	body.b[0] = 3;
	body.b[1] = 0;
	build_dtls_record(
		&d,
		&(struct build_dtls){.version = 0xfefd, .type = 2, .body = &body, .len = body.len});
	build_event(&nr_ev, EV_DATAGRAM, 1, 1);
	build_event_data(&nr_ev, 0, d.b, d.len);
	cr_expect(eq(int, nr_feed(), 0));
	cr_expect(eq(u64, nr_stats()->servers, 0));
}
