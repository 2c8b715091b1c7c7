/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_quic_flights.c - flights of Initials built by hand: shuffled, coalesced, retried, cut, damaged.
 */
#include <errno.h>
#include <string.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "quic_rig.h"

TestSuite(quic_flights, .init = qr_setup, .fini = qr_teardown);

/* ---- flights ---- */

/* A Chrome-like flight: the hello in pieces, shuffled, over three datagrams with PING between. */
static void shuffled_flight(struct build_bytes d[3], const struct build_bytes *h)
{
	static const unsigned int order[3][4] = {{7, 0, 4, 9}, {2, 8, 5, 11}, {10, 1, 6, 3}};
	static struct build_bytes frames;
	size_t part = (h->len + 11) / 12;

	for (unsigned int i = 0; i < 3; i++) {
		frames.len = 0;
		for (unsigned int k = 0; k < 4; k++) {
			size_t off = order[i][k] * part;
			size_t len = off + part > h->len ? h->len - off : part;

			build_u8(&frames, 1);
			build_crypto_frame(&frames, h, off, len);
			build_u8(&frames, 0);
		}
		d[i].len = 0;
		build_initial(&d[i],
			      &(struct build_initial){.version = V1,
						      .odcid = CID,
						      .pn = i,
						      .pn_len = 1 + i,
						      .pad_to = 1250},
			      &frames);
	}
}

Test(quic_flights, assembles_shuffled_crypto_frames_of_three_datagrams_in_any_order)
{
	static const unsigned int perm[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2},
						{1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
	static struct build_bytes d[3];

	shuffled_flight(d, qr_hello("shuffled.example", CHROME_HELLO));
	for (unsigned int i = 0; i < 6; i++) {
		cr_assert(eq(int, qr_feed(&d[perm[i][0]], 0), 0));
		cr_assert(eq(int, qr_feed(&d[perm[i][0]], 0), 0), "a duplicate adds nothing");
		cr_assert(eq(int, qr_feed(&d[perm[i][1]], 0), 0));
		cr_assert(eq(int, qr_feed(&d[perm[i][2]], 0), QUIC_CLIENT_HELLO));
		cr_expect(eq(str, qr_sni(&qr_found.hello), "shuffled.example"));
		cr_expect(eq(u8, qr_found.conflict, 0));
		cr_expect(eq(int, qr_feed(&d[0], 0), 0), "told once");
		qr_forget();
	}
}

Test(quic_flights, opens_coalesced_packets_and_several_datagrams_in_one_buffer)
{
	static struct build_bytes d[3], all;

	shuffled_flight(d, qr_hello("gso.example", CHROME_HELLO));
	build_raw(&all, d[0].b, d[0].len);
	build_hex(&all, "e000000001");			 /* a Handshake packet between */
	build_hex(&all, "0474657374000361626300000000"); /* and zeros */
	build_raw(&all, d[1].b, d[1].len);
	build_raw(&all, d[2].b, d[2].len);
	cr_assert(eq(int, qr_feed(&all, 0), QUIC_CLIENT_HELLO));
	cr_expect(eq(str, qr_sni(&qr_found.hello), "gso.example"));
	cr_expect(eq(u64, qr_quic.stats.initials, 3));
}

Test(quic_flights, follows_a_client_that_took_the_server_s_connection_id)
{
	static struct build_bytes d, frames;
	const struct build_bytes *h = qr_hello("late.example", CHROME_HELLO);

	build_crypto_frame(&frames, h, 0, 900);
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_assert(eq(int, qr_feed(&d, 0), 0));
	d.len = frames.len = 0;
	build_crypto_frame(&frames, h, 900, h->len - 900);
	build_initial(
		&d, &(struct build_initial){.version = V1, .odcid = CID, .dcid = "srvcid", .pn = 3},
		&frames);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	cr_expect(eq(str, qr_sni(&qr_found.hello), "late.example"));
}

Test(quic_flights, keeps_what_no_key_opens_until_the_first_packet_comes)
{
	static struct build_bytes d[2], frames, server, sh;
	const struct build_bytes *h = qr_hello("early.example", CHROME_HELLO);

	build_crypto_frame(&frames, h, 900, h->len - 900);
	build_initial(
		&d[1],
		&(struct build_initial){.version = V1, .odcid = CID, .dcid = "srvcid", .pn = 3},
		&frames);
	frames.len = 0;
	build_crypto_frame(&frames, h, 0, 900);
	build_initial(&d[0], &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	frames.len = 0;
	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(&server,
		      &(struct build_initial){.version = V1, .odcid = CID, .dcid = "", .server = 1},
		      &frames);

	cr_assert(eq(int, qr_feed(&server, 1), 0));
	cr_assert(eq(int, qr_feed(&d[1], 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_DECRYPT));
	cr_assert(eq(int, qr_feed(&d[0], 0), QUIC_CLIENT_HELLO | QUIC_SERVER_HELLO));
	cr_expect(eq(str, qr_sni(&qr_found.hello), "early.example"));
	cr_expect(eq(u8, qr_flow.reason, NN_NONE));
	cr_expect(eq(u64, qr_quic.stats.decrypt_failed, 0));
}

Test(quic_flights, changes_keys_with_a_retry_and_reads_the_server_behind_it)
{
	static struct build_bytes d, frames, sh;
	const struct build_bytes *h = qr_hello("retry.example", CHROME_HELLO);

	build_crypto_frame(&frames, h, 0, 900);
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_assert(eq(int, qr_feed(&d, 0), 0));
	d.len = 0;
	build_hex(&d, "f0000000010006");
	build_raw(&d, "retcidtokentokentoken0123456789abcdef", 37);
	cr_assert(eq(int, qr_feed(&d, 1), 0));
	cr_expect(eq(u64, qr_quic.stats.retries, 1));

	for (unsigned int i = 0; i < 2; i++) {
		size_t off = i ? 900 : 0;

		d.len = frames.len = 0;
		build_crypto_frame(&frames, h, off, i ? h->len - off : 900);
		build_initial(&d,
			      &(struct build_initial){
				      .version = V1, .odcid = "retcid", .pn = 1 + i, .token = 21},
			      &frames);
		cr_assert(eq(int, qr_feed(&d, 0), i ? QUIC_CLIENT_HELLO : 0));
	}
	cr_expect(eq(str, qr_sni(&qr_found.hello), "retry.example"));

	d.len = frames.len = 0;
	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(
		&d,
		&(struct build_initial){.version = V1, .odcid = "retcid", .dcid = "", .server = 1},
		&frames);
	cr_expect(eq(int, qr_feed(&d, 1), QUIC_SERVER_HELLO));
}

Test(quic_flights, learns_the_server_s_keys_when_the_hello_came_before_the_retry)
{
	static struct build_bytes d, frames, sh;

	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "known.example");
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	quic_hello_done(&qr_quic, &qr_flow);
	d.len = 0;
	build_hex(&d, "f0000000010006");
	build_raw(&d, "retcidtokentokentoken0123456789abcdef", 37);
	cr_assert(eq(int, qr_feed(&d, 1), 0));
	d.len = 0;
	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = "retcid"}, "known.example");
	cr_assert(eq(int, qr_feed(&d, 0), 0));
	d.len = 0;
	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(
		&d,
		&(struct build_initial){.version = V1, .odcid = "retcid", .dcid = "", .server = 1},
		&frames);
	cr_expect(eq(int, qr_feed(&d, 1), QUIC_SERVER_HELLO));
	cr_expect(eq(int, qr_feed(&d, 1), 0), "told once");
}

Test(quic_flights, learns_of_a_retry_that_was_not_seen_by_its_token)
{
	static struct build_bytes d, frames, sh;

	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "known.example");
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	quic_hello_done(&qr_quic, &qr_flow);
	d.len = 0;
	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = "othercid"},
		   "known.example");
	cr_assert(eq(int, qr_feed(&d, 0), 0), "no token: not looked at");
	cr_expect(eq(u64, qr_quic.stats.initials, 1));
	d.len = 0;
	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = "retcid", .token = 9},
		   "known.example");
	cr_assert(eq(int, qr_feed(&d, 0), 0));
	d.len = 0;
	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(
		&d,
		&(struct build_initial){.version = V1, .odcid = "retcid", .dcid = "", .server = 1},
		&frames);
	cr_expect(eq(int, qr_feed(&d, 1), QUIC_SERVER_HELLO));
	cr_expect(eq(int, qr_feed(&d, 1), 0), "told once");
}

Test(quic_flights, reads_a_server_that_changed_the_version)
{
	static struct build_bytes d, frames, sh;

	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "compat.example");
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	d.len = 0;
	build_server_hello(&sh, 0x0304, 0);
	build_crypto_frame(&frames, &sh, 0, sh.len);
	build_initial(&d,
		      &(struct build_initial){.version = V2, .odcid = CID, .dcid = "", .server = 1},
		      &frames);
	cr_expect(eq(int, qr_feed(&d, 1), QUIC_SERVER_HELLO));
	cr_expect(eq(u32, qr_flow.version, V2));
}

Test(quic_flights, skips_ack_frames_and_stops_at_connection_close)
{
	static struct build_bytes d, frames;
	const struct build_bytes *h = qr_hello("ack.example", 0);

	build_hex(&frames, "02050001000300"); /* largest 5, delay 0, 1 more range, 0; gap 3, 0 */
	build_hex(&frames, "0305000000010203");
	build_crypto_frame(&frames, h, 0, h->len);
	build_hex(&frames, "1c0000");
	build_hex(&frames, "ffffff");
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	cr_expect(eq(u8, qr_flow.reason, NN_NONE));
}

Test(quic_flights, follows_packet_numbers_that_are_sent_short)
{
	static struct build_bytes d, frames;
	const struct build_bytes *h = qr_hello("numbers.example", CHROME_HELLO);

	for (unsigned int i = 0; i < 2; i++) {
		d.len = frames.len = 0;
		build_crypto_frame(&frames, h, i ? 900 : 0, i ? h->len - 900 : 900);
		build_initial(&d,
			      &(struct build_initial){.version = V1,
						      .odcid = CID,
						      .pn = 0x12fe + 3 * i,
						      .pn_len = i ? 1 : 2},
			      &frames);
		cr_assert(eq(int, qr_feed(&d, 0), i ? QUIC_CLIENT_HELLO : 0));
	}
}

Test(quic_flights, takes_a_hello_of_16_kilobytes_and_refuses_a_longer_one)
{
	static struct build_bytes d, frames;
	const struct build_bytes *h = qr_hello("long.example", STREAM_MAX);
	int r = 0;

	cr_assert(eq(sz, h->len, STREAM_MAX));
	for (size_t off = 0; off < h->len; off += 1024) {
		cr_assert(eq(int, r, 0));
		d.len = frames.len = 0;
		build_crypto_frame(&frames, h, off, 1024);
		build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID, .pn = off},
			      &frames);
		r = qr_feed(&d, 0);
	}
	cr_assert(eq(int, r, QUIC_CLIENT_HELLO));
	cr_expect(eq(str, qr_sni(&qr_found.hello), "long.example"));
	qr_forget();

	h = qr_hello("toolong.example", STREAM_MAX + 1);
	d.len = frames.len = 0;
	build_crypto_frame(&frames, h, 0, 1024);
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_TOO_LONG));
}

/* ---- damage ---- */

Test(quic_flights, says_why_a_packet_could_not_be_read)
{
	static struct build_bytes d, frames;

	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "x.example");
	d.b[d.len - 1] ^= 1;
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_DECRYPT));
	quic_flow_done(&qr_quic, &qr_flow);
	cr_expect(eq(u64, qr_quic.stats.decrypt_failed, 1));
	memset(&qr_flow, 0, sizeof(qr_flow));

	d.b[d.len - 1] ^= 1;
	d.len -= 100;
	cr_expect(eq(int, qr_feed_cut(&d, 0, (uint32_t)d.len + 100), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_TRUNCATED));
	memset(&qr_flow, 0, sizeof(qr_flow));
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_MALFORMED));
	memset(&qr_flow, 0, sizeof(qr_flow));

	d.len = 0;
	build_hex(&frames, "ff00");
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u8, qr_flow.reason, NN_MALFORMED));
}

Test(quic_flights, flags_pieces_that_contradict_each_other)
{
	static struct build_bytes d, frames, other;
	const struct build_bytes *h = qr_hello("first.example", 300);

	build_raw(&other, h->b, h->len);
	memcpy(other.b + other.len - 13, "other", 5);
	build_crypto_frame(&frames, h, 100, h->len - 100);
	build_crypto_frame(&frames, &other, 90, other.len - 90);
	build_crypto_frame(&frames, h, 0, 95);
	build_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, &frames);
	cr_assert(eq(int, qr_feed(&d, 0), QUIC_CLIENT_HELLO));
	cr_expect(eq(u8, qr_found.conflict, 1));
	cr_expect(eq(u64, qr_quic.stats.conflicts, 1));
	cr_expect(eq(str, qr_sni(&qr_found.hello), "first.example"), "the first bytes win");
}

Test(quic_flights, counts_what_does_not_fit_in_memory)
{
	static struct build_bytes d;

	qr_pool.limit = 100;
	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "x.example");
	cr_expect(eq(int, qr_feed(&d, 0), 0));
	cr_expect(eq(u64, qr_quic.stats.out_of_memory, 1));
}

Test(quic_flights, keeps_few_packets_that_nothing_opens)
{
	static struct build_bytes d;

	for (unsigned int i = 0; i < QUIC_STASH + 2; i++) {
		d.len = 0;
		qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID, .pn = i}, "x");
		d.b[d.len - 1] ^= 1;
		cr_assert(eq(int, qr_feed(&d, 0), 0));
	}
	cr_expect(eq(u64, qr_quic.stats.decrypt_failed, 2));
	cr_expect(lt(u64, qr_pool.used, (QUIC_STASH + 1) * 400));
}

Test(quic_flights, a_cut_or_flipped_datagram_never_yields_another_name)
{
	static struct build_bytes d, bad;

	qr_initial(&d, &(struct build_initial){.version = V1, .odcid = CID}, "safe.example");
	for (size_t i = 0; i < 2 * d.len; i++) {
		bad = d;
		if (i < d.len)
			bad.len = i;
		else
			bad.b[i - d.len] ^= 0x55;
		cr_assert(le(int, qr_feed(&bad, 0), 0), "byte %zu", i);
		qr_forget();
	}
}
