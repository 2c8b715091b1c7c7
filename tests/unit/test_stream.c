/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_stream.c - assembly of pieces in any order, and TLS records over it.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include "loader/name/stream.h"
#include "name_build.h"

static struct name_pool pool = {.limit = 1 << 20};
static struct stream s;

static void teardown(void)
{
	stream_done(&s, &pool);
	cr_expect(eq(u64, pool.used, 0));
}

TestSuite(stream, .fini = teardown);

static int put(uint32_t off, const char *text)
{
	return stream_put(&s, &pool, off, (const uint8_t *)text, strlen(text));
}

Test(stream, is_ready_up_to_the_first_hole)
{
	cr_expect(eq(sz, stream_ready(&s), 0));
	cr_expect(eq(int, put(5, "fghij"), 0));
	cr_expect(eq(sz, stream_ready(&s), 0));
	cr_expect(eq(int, put(0, "abc"), 0));
	cr_expect(eq(sz, stream_ready(&s), 3));
	cr_expect(eq(int, put(3, "de"), 0));
	cr_expect(eq(sz, stream_ready(&s), 10));
	cr_expect(memcmp(s.buf, "abcdefghij", 10) == 0);
	cr_expect(eq(u16, s.nr, 1));
	cr_expect(eq(int, put(3, ""), 0));
}

Test(stream, keeps_the_first_bytes_and_flags_a_difference)
{
	cr_expect(eq(int, put(2, "CDE"), 0));
	cr_expect(eq(int, put(8, "IJ"), 0));
	cr_expect(eq(int, put(3, "DE"), 0), "a duplicate");
	cr_expect(eq(u8, s.conflict, 0));
	cr_expect(eq(int, put(0, "abcdefghijkl"), 0));
	cr_expect(eq(u8, s.conflict, 1));
	cr_expect(eq(sz, stream_ready(&s), 12));
	cr_expect(memcmp(s.buf, "abCDEfghIJkl", 12) == 0);
}

/* Against a model of one byte a time. */
Test(stream, agrees_with_a_simple_model_on_random_pieces)
{
	static uint8_t model[2048], have[2048], data[300];
	uint64_t x = 88172645463325252ull;
	int conflict = 0;

	for (int i = 0; i < 4000; i++) {
		uint32_t off, len;
		size_t ready = 0;

		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		off = (uint32_t)(x >> 8) % 1700;
		len = (uint32_t)(x >> 40) % (i % 50 == 0 ? 300 : 9);
		if (i % 400 == 0) {
			stream_done(&s, &pool);
			memset(have, 0, sizeof(have));
			conflict = 0;
		}
		for (uint32_t k = 0; k < len; k++)
			data[k] = (uint8_t)(off + k + (x % 1000 == 0));
		if (stream_put(&s, &pool, off, data, len) < 0)
			continue;
		for (uint32_t k = 0; k < len; k++) {
			conflict |= have[off + k] && model[off + k] != data[k];
			if (!have[off + k])
				model[off + k] = data[k];
			have[off + k] = 1;
		}
		while (ready < sizeof(have) && have[ready])
			ready++;
		cr_assert(eq(sz, stream_ready(&s), ready));
		cr_assert(eq(int, s.conflict, conflict));
		for (unsigned int r = 0; r < s.nr; r++)
			cr_assert(memcmp(s.buf + s.range[r].start, model + s.range[r].start,
					 s.range[r].end - s.range[r].start) == 0);
	}
}

Test(stream, is_bounded_in_length_pieces_and_memory)
{
	static uint8_t big[STREAM_MAX + 10];

	cr_expect(eq(int, put(STREAM_MAX, "x"), -E2BIG));
	for (uint32_t i = 0; i < STREAM_RANGES; i++)
		cr_assert(eq(int, put(2 * i, "x"), 0));
	cr_expect(eq(int, put(2 * STREAM_RANGES, "x"), -ENOSPC));
	cr_expect(eq(int, put(1, "x"), 0), "one that closes a hole has room");
	cr_expect(eq(int, put(2 * STREAM_RANGES, "x"), 0));
	cr_expect(eq(int, stream_put(&s, &pool, 3, big, sizeof(big)), 0));
	cr_expect(eq(u8, s.clipped, 1));
	cr_expect(eq(sz, stream_ready(&s), STREAM_MAX));

	stream_done(&s, &pool);
	pool.limit = 1500;
	cr_expect(eq(int, put(0, "x"), 0));
	cr_expect(eq(int, put(1024, "x"), -ENOMEM));
	cr_expect(eq(sz, stream_ready(&s), 1));
	cr_expect(pool_alloc(&pool, 477) == NULL);
}

/* ---- records ---- */

static uint8_t scratch[STREAM_MAX];

static void record(struct build_bytes *o, unsigned int type, const void *p, size_t n)
{
	build_u8(o, type);
	build_be(o, 0x0301, 2);
	build_be(o, n, 2);
	build_raw(o, p, n);
}

static const struct build_bytes *message(size_t len)
{
	static struct build_bytes m;

	m.len = 0;
	build_u8(&m, 1);
	build_be(&m, len - 4, 3);
	while (m.len < len)
		build_u8(&m, (unsigned int)m.len);
	return &m;
}

Test(stream, finds_the_message_of_one_record_where_it_is)
{
	const struct build_bytes *m = message(300);
	static struct build_bytes o;
	struct handshake h;

	record(&o, 22, m->b, m->len);
	record(&o, 22, "more", 4);
	for (size_t cut = 0; cut <= o.len; cut++) {
		cr_assert(eq(int, tls_records_view(o.b, cut, scratch, &h), 0));
		cr_assert(eq(int, h.need &&h.len == h.need, cut >= 305), "cut at %zu", cut);
	}
	cr_expect(h.msg == o.b + 5);
	cr_expect(eq(u32, h.len, 300));
}

Test(stream, joins_a_message_over_several_records)
{
	static const size_t splits[] = {1, 3, 4, 100, 299};
	const struct build_bytes *m = message(300);
	static struct build_bytes o;
	struct handshake h;

	for (unsigned int i = 0; i < 5; i++) {
		o.len = 0;
		record(&o, 22, m->b, splits[i]);
		record(&o, 22, m->b + splits[i], 300 - splits[i]);
		for (size_t cut = 0; cut < o.len; cut++) {
			cr_assert(eq(int, tls_records_view(o.b, cut, scratch, &h), 0));
			cr_assert(eq(int, h.need &&h.len == h.need, 0));
		}
		cr_assert(eq(int, tls_records_view(o.b, o.len, scratch, &h), 0));
		cr_assert(eq(u32, h.need, 300));
		cr_assert(eq(u32, h.len, 300));
		cr_expect(memcmp(h.msg, m->b, 300) == 0);
	}
	/* a byte a record */
	o.len = 0;
	for (size_t k = 0; k < 300; k++)
		record(&o, 22, m->b + k, 1);
	cr_assert(eq(int, tls_records_view(o.b, o.len, scratch, &h), 0));
	cr_expect(eq(u32, h.len, 300));
	cr_expect(memcmp(h.msg, m->b, 300) == 0);
}

Test(stream, refuses_what_is_no_handshake)
{
	static struct build_bytes o;
	struct handshake h;

	record(&o, 23, "x", 1);
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -EPROTO));
	o.b[0] = 22;
	o.b[1] = 2;
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -EPROTO), "version 2.x");
	o.b[1] = 3;
	o.b[4] = 0;
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -EPROTO), "empty record");
	o.b[3] = 0xff;
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -EPROTO),
		  "longer than allowed");
	o.len = 0;
	record(&o, 22, "\1\1\0\0", 4);
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -E2BIG), "message of 64 KB");
	o.len = 0;
	record(&o, 22, "\1\0\1\0", 4);
	record(&o, 21, "xx", 2);
	cr_expect(eq(int, tls_records_view(o.b, o.len, scratch, &h), -EPROTO), "alert in between");
}
