// SPDX-License-Identifier: Apache-2.0
/*
 * test_capture_pcapng.c - the blocks of pcapng: clocks, sections, options, and every damage.
 */
#include <errno.h>
#include <string.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "capture_bytes.h"
#include "loader/capture/pcapng.h"
#include "loader/capture_file.h"

TestSuite(pcapng, .timeout = 120);

#define OPT(be, code, len)                                       \
	(be) ? (uint8_t)((code) >> 8) : (uint8_t)(code),         \
		(be) ? (uint8_t)(code) : (uint8_t)((code) >> 8), \
		(be) ? (uint8_t)((len) >> 8) : (uint8_t)(len),   \
		(be) ? (uint8_t)(len) : (uint8_t)((len) >> 8)

/* A block of every kind that carries frames, and one of a kind that nobody knows. */
static void put_all_kinds(struct capture_bytes *b)
{
	struct capture_bytes body = {.big_endian = b->big_endian};

	cb_section(b);
	cb_interface(b, 1, 0, NULL, 0);
	cb_interface(b, 101, 0, NULL, 0);
	cb_put(&body, "anything", 8);
	cb_block(b, 0x0bad, &body); /* unknown: skipped */
	cb_enhanced(b, 1, 1700000000123456, 21, 1500);
	body.len = 0;
	cb_put32(&body, 6); /* simple block */
	cb_put(&body, "\1\2\3\4\5\6", 6);
	cb_block(b, 3, &body);
	body.len = 0;
	cb_put16(&body, 1); /* obsolete packet block: interface, drops */
	cb_put16(&body, 99);
	cb_put32(&body, 0);
	cb_put32(&body, 7);
	cb_put32(&body, 3);
	cb_put32(&body, 2); /* wire length below the captured one */
	cb_put(&body, "\1\2\3", 3);
	cb_block(b, 2, &body);
	cb_done(&body);
}

Test(pcapng, reads_all_frame_blocks_of_pcapng)
{
	for (int big = 0; big < 2; big++) {
		struct capture_bytes b = {.big_endian = big};
		struct capture_frame f;
		struct capture *c;

		put_all_kinds(&b);
		c = cb_open(&b);
		cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
		cr_assert(eq(u64, f.time_ns, UINT64_C(1700000000123456000)));
		cr_assert(eq(u32, f.caplen, 21));
		cr_assert(eq(u32, f.wire_len, 1500));
		cr_assert(eq(u32, f.linktype, 101));
		cr_assert(eq(u32, f.interface, 1));
		cb_expect_counting(&f);
		cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
		cr_assert(eq(u64, f.time_ns, UINT64_C(1700000000123456000)),
			  "time of the one before");
		cr_assert(eq(u32, f.caplen, 6));
		cr_assert(eq(u32, f.linktype, 1));
		cb_expect_counting(&f);
		cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
		cr_assert(eq(u64, f.time_ns, 7000));
		cr_assert(eq(u32, f.caplen, 3));
		cr_assert(eq(u32, f.wire_len, 3));
		cr_assert(eq(u32, f.linktype, 101));
		cr_assert(eq(int, capture_next(c, &f), 0));
		capture_free(c);
		cb_done(&b);
	}
}

Test(pcapng, keeps_interfaces_of_sections_apart)
{
	struct capture_bytes b = {};
	struct capture_frame f;
	struct capture *c;

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_enhanced(&b, 0, 1, 4, 4);
	b.big_endian = true;
	cb_section(&b);
	cb_interface(&b, 113, 0, NULL, 0);
	cb_enhanced(&b, 0, 2, 4, 4);
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.linktype, 1));
	cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
	cr_assert(eq(u32, f.linktype, 113));
	cr_assert(eq(u64, f.time_ns, 2000));
	cr_assert(eq(int, capture_next(c, &f), 0));
	capture_free(c);
	cb_done(&b);
}

static uint64_t stamp_to_ns(uint8_t tsresol, int64_t tsoffset, uint64_t stamp, bool be)
{
	struct capture_bytes b = {.big_endian = be};
	uint8_t options[4 + 4 + 4 + 4 + 4 + 8 + 4] = {
		OPT(be, 2, 3), 'e', 't', 'h', 0, OPT(be, 9, 1), tsresol, 0, 0, 0, OPT(be, 14, 8)};
	struct capture_frame f;
	struct capture *c;

	for (int i = 0; i < 8; i++)
		options[20 + (be ? 7 - i : i)] = (uint8_t)((uint64_t)tsoffset >> (8 * i));
	cb_section(&b);
	cb_interface(&b, 1, 0, options, sizeof(options));
	cb_enhanced(&b, 0, stamp, 4, 4);
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
	capture_free(c);
	cb_done(&b);
	return f.time_ns;
}

Test(pcapng, applies_time_resolution_and_offset)
{
	cr_assert(eq(u64, stamp_to_ns(6, 0, 1500000, false), UINT64_C(1500000000)));
	cr_assert(eq(u64, stamp_to_ns(9, 0, 1700000000123456789, true),
		     UINT64_C(1700000000123456789)));
	cr_assert(eq(u64, stamp_to_ns(0, 5, 7, false), UINT64_C(12000000000)));
	cr_assert(eq(u64, stamp_to_ns(0, -5, 7, true), UINT64_C(2000000000)));
	cr_assert(eq(u64, stamp_to_ns(0, -8, 7, true), 0), "not before 1970");
	cr_assert(eq(u64, stamp_to_ns(0x80 | 10, 0, 1536, false), UINT64_C(1500000000)));
	cr_assert(eq(u64, stamp_to_ns(12, 0, 1500000000000, false), UINT64_C(1500000000)));
	cr_assert(eq(u64, stamp_to_ns(0, 0, UINT64_MAX, false), UINT64_MAX), "held, not wrapped");
	cr_assert(eq(u64, stamp_to_ns(0x80 | 64, 0, 5, false), 5000), "beyond 64 bits: default");
	cr_assert(eq(u64, stamp_to_ns(20, 0, 5, false), 5000), "beyond 64 bits: default");
}

Test(pcapng, stops_at_options_that_run_out_of_the_block)
{
	static const uint8_t overlong[] = {9, 0, 0xff, 0xff, 9, 0, 1, 0, 9, 0, 0, 0};
	static const uint8_t ended[] = {0, 0, 0, 0, 9, 0, 1, 0, 9, 0, 0, 0};
	static const uint8_t unpadded[] = {9, 0, 1, 0, 9};
	static const uint8_t empty[] = {9, 0, 0, 0, 14, 0, 1, 0, 1, 0, 0, 0};
	static const struct {
		const uint8_t *p;
		size_t len;
		uint64_t want;
	} cases[] = {{overlong, sizeof(overlong), 5000},
		     {ended, sizeof(ended), 5000},
		     {unpadded, sizeof(unpadded), 5},
		     {empty, sizeof(empty), 5000}};

	for (size_t i = 0; i < 4; i++) {
		struct capture_bytes b = {};
		struct capture_frame f;
		struct capture *c;

		cb_section(&b);
		cb_interface(&b, 1, 0, cases[i].p, cases[i].len);
		cb_enhanced(&b, 0, 5, 4, 4);
		c = cb_open(&b);
		cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
		cr_assert(eq(u64, f.time_ns, cases[i].want), "case %zu", i);
		capture_free(c);
		cb_done(&b);
	}
}

Test(pcapng, holds_a_simple_block_to_the_snap_length)
{
	struct capture_bytes b = {}, body = {};
	struct capture_frame f;
	struct capture *c;

	cb_section(&b);
	cb_interface(&b, 1, 5, NULL, 0);
	cb_put32(&body, 1500);
	cb_put(&body, "\1\2\3\4\5", 5);
	cb_block(&b, 3, &body);
	body.len = 0;
	cb_put32(&body, 4); /* claims less than the block holds: the rest is padding */
	cb_put(&body, "\1\2\3\4\5\6\7\10", 8);
	cb_block(&b, 3, &body);
	cb_done(&body);
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.caplen, 5));
	cr_assert(eq(u32, f.wire_len, 1500));
	cb_expect_counting(&f);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.caplen, 4));
	cr_assert(eq(int, capture_next(c, &f), 0));
	capture_free(c);
	cb_done(&b);
}

Test(pcapng, cuts_a_block_longer_than_the_limit_and_goes_on)
{
	struct capture_bytes b = {};
	struct capture_frame f;
	struct capture *c;

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_enhanced(&b, 0, 1, 1000000, 1000000);
	cb_enhanced(&b, 0, 2, 9, 9);
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
	cr_assert(eq(u32, f.caplen, CAPTURE_FRAME_MAX));
	cr_assert(eq(u32, f.wire_len, 1000000));
	cb_expect_counting(&f);
	cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
	cr_assert(eq(u32, f.caplen, 9));
	capture_free(c);
	cb_done(&b);
}

Test(pcapng, accepts_a_block_length_without_its_padding)
{
	struct capture_bytes b = {};

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_put32(&b, 6);
	cb_put32(&b, 33); /* 8 + 20 + 1 + 4; three bytes of padding follow all the same */
	for (int i = 0; i < 3; i++)
		cb_put32(&b, 0);
	cb_put32(&b, 1);
	cb_put32(&b, 1);
	cb_put(&b, "\1\0\0\0", 4);
	cb_put32(&b, 33);
	cb_enhanced(&b, 0, 2, 9, 9);
	cb_expect_frames(&b, 2);
}

Test(pcapng, names_every_damage_of_pcapng)
{
	struct capture_bytes b = {};

	cb_section(&b);
	cb_enhanced(&b, 0, 1, 4, 4);
	cb_expect_damage(&b, 0, "interface 0, of which nothing is said");

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_enhanced(&b, 0, 1, 4, 4);
	cb_enhanced(&b, 0, 1, 4, 4);
	b.data[b.len - 4 - 4 - 8] = 200; /* captured length */
	cb_expect_damage(&b, 1, "frame of 200 bytes in a block of 36");

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_enhanced(&b, 0, 1, 4, 4);
	b.data[b.len - 4] ^= 4;
	cb_expect_damage(&b, 0, "ends with another length");
}

Test(pcapng, names_every_damage_of_headers)
{
	struct capture_bytes b = {}, body = {};

	cb_section(&b);
	cb_put32(&b, 7);
	cb_put32(&b, 8);
	cb_expect_damage(&b, 0, "block of 8 bytes");

	cb_section(&b);
	cb_put32(&b, 7);
	cb_put32(&b, 0x7ffffff0);
	cb_expect_damage(&b, 0, "block of 2147483632 bytes");

	cb_section(&b);
	cb_put32(&b, 7);
	cb_expect_damage(&b, 0, "block header cut short");

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	b.len -= 1;
	cb_expect_damage(&b, 0, "block cut short");

	cb_section(&b);
	b.data[8] = 0;
	cb_expect_damage(&b, 0, "without its byte order");

	cb_section(&b);
	b.data[12] = 2;
	cb_expect_damage(&b, 0, "version 2.0");

	cb_section(&b);
	b.len = 10;
	cb_expect_damage(&b, 0, "section header cut short");

	cb_put32(&body, 0x1a2b3c4d);
	cb_block(&b, 0x0a0d0d0a, &body);
	cb_expect_damage(&b, 0, "section header of 16 bytes");

	for (uint32_t type = 1; type <= 6; type++) {
		if (type == 4 || type == 5)
			continue;
		cb_section(&b);
		body.len = 0;
		cb_block(&b, type, &body);
		cb_expect_damage(&b, 0, "too short");
	}
	cb_done(&body);
}

Test(pcapng, bounds_the_interface_table)
{
	struct capture_bytes b = {};

	cb_section(&b);
	for (uint32_t i = 0; i <= CAPTURE_INTERFACE_MAX; i++)
		cb_interface(&b, 1, 0, NULL, 0);
	cb_expect_damage(&b, 0, "more than 65536 interfaces");
}

Test(pcapng, survives_every_cut_of_a_pcapng_file)
{
	struct capture_bytes b = {};
	size_t len;

	cb_section(&b);
	cb_interface(&b, 1, 0, NULL, 0);
	cb_enhanced(&b, 0, 1, 23, 23);
	cb_enhanced(&b, 0, 2, 23, 23);
	len = b.len;
	for (size_t cut = 4; cut < len; cut++) {
		struct capture *c;
		int r, n, want = cut >= len - 56 ? 1 : 0;

		b.len = cut;
		b.read_at = 0;
		c = cb_open(&b);
		n = cb_read_all(c, &r);
		cr_assert(eq(int, n, want), "cut at %zu", cut);
		cr_assert(eq(int, r, cut == 28 || cut == 48 || cut == len - 56 ? 0 : -EBADMSG),
			  "cut at %zu", cut);
		capture_free(c);
	}
	cb_done(&b);
}

/* ---- what weir writes ---- */

/* What the product writes its reader reads; lengths of every remainder, with and without a tag. */
Test(pcapng, reads_what_is_written)
{
	static const uint8_t tag[4] = {0x81, 0, 0, 7};
	static uint8_t buf[PCAPNG_BLOCK_MAX + 64], bytes[64];
	const char *comment = "rule scan, decision 7";

	for (uint32_t i = 0; i < sizeof(bytes); i++)
		bytes[i] = (uint8_t)i;
	for (uint32_t len = 1; len <= sizeof(bytes); len++) {
		const uint32_t more = len >= 12 && len & 1 ? 4 : 0;
		const struct pcapng_packet p = {.ns = UINT64_C(1700000000123456789),
						.wire_len = 1500,
						.len = len,
						.bytes = bytes,
						.tag = len & 1 ? tag : NULL,
						.direction = len % 3,
						.verdict_by = len % 4 == 0 ? 2 : 0,
						.comment = len % 5 ? NULL : comment};
		const struct pcapng_totals t = {.received = 5, .dropped = 1, .taken = 3};
		struct capture_bytes b = {};
		struct capture_frame f;
		struct capture *c;

		cb_put(&b, buf, pcapng_section(buf, "weir test", "Linux", NULL));
		cb_put(&b, buf, pcapng_interface(buf, "eth0", 256));
		cb_put(&b, buf, pcapng_packet(buf, &p));
		cb_put(&b, buf, pcapng_totals(buf, &t));
		c = cb_open(&b);
		cr_assert(eq(int, capture_next(c, &f), 1), "%s", capture_error(c));
		cr_expect(eq(u64, f.time_ns, p.ns));
		cr_expect(eq(u32, f.linktype, 1));
		cr_expect(eq(u32, f.caplen, len + more));
		cr_expect(eq(u32, f.wire_len, 1500 + more));
		cr_expect(zero(int, memcmp(f.data, bytes, more ? 12 : len)));
		if (more)
			cr_expect(zero(int, memcmp(f.data + 12, tag, 4) ||
						    memcmp(f.data + 16, bytes + 12, len - 12)));
		cr_expect(eq(int, capture_next(c, &f), 0), "%s", capture_error(c));
		capture_free(c);
		cb_done(&b);
	}
}
