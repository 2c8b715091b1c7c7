// SPDX-License-Identifier: Apache-2.0
/*
 * test_capture_file.c - the reader of pcap and pcapng: every variant, and every way to be damaged.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "capture_bytes.h"
#include "loader/byte_source.h"
#include "loader/capture_file.h"

TestSuite(capture, .timeout = 120);

static const struct variant {
	uint32_t magic;
	uint32_t header_extra;
	uint32_t record_extra;
	uint64_t fraction_ns;
} variants[] = {
	{0xa1b2c3d4, 0, 0, 1000}, {0xa1b23c4d, 0, 0, 1}, {0xa1b2cd34, 0, 8, 1000},
	{0xa12b3c4d, 0, 0, 1},	  {0x1c0001ac, 4, 0, 1}, {0x1c0001ab, 4, 0, 1},
};

static void check_variant(const struct variant *v, bool big_endian, size_t piece)
{
	struct capture_bytes b = {.big_endian = big_endian, .piece = piece};
	struct capture_frame f;
	struct capture *c;

	cb_pcap_header(&b, v->magic, 113 | 0x30000000);
	cb_put(&b, "\0\0\0\0", v->header_extra);
	for (int i = 0; i < 3; i++) {
		uint8_t counting[5] = {1, 2, 3, 4, 5};

		cb_put32(&b, 1700000000);
		cb_put32(&b, 23);
		cb_put32(&b, 5);
		cb_put32(&b, 1500);
		cb_put(&b, "\xff\xff\xff\xff\xff\xff\xff\xff", v->record_extra);
		cb_put(&b, counting, 5);
	}
	c = cb_open(&b);
	for (int i = 0; i < 3; i++) {
		cr_assert(eq(int, capture_next(c, &f), 1));
		cr_assert(eq(u64, f.time_ns,
			     1700000000 * UINT64_C(1000000000) + 23 * v->fraction_ns));
		cr_assert(eq(u32, f.caplen, 5));
		cr_assert(eq(u32, f.wire_len, 1500));
		cr_assert(eq(u32, f.linktype, 113), "bits of the check sequence are masked");
		cr_assert(eq(u32, f.interface, 0));
		cb_expect_counting(&f);
	}
	cr_assert(eq(int, capture_next(c, &f), 0));
	capture_free(c);
	cb_done(&b);
}

Test(capture, reads_every_pcap_variant_in_both_byte_orders)
{
	for (size_t i = 0; i < sizeof(variants) / sizeof(variants[0]); i++) {
		check_variant(&variants[i], false, 0);
		check_variant(&variants[i], true, 0);
		check_variant(&variants[i], true, 1);
	}
}

Test(capture, swaps_the_lengths_of_old_versions)
{
	struct capture_bytes b = {};
	struct capture_frame f;
	struct capture *c;

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	b.data[6] = 3;
	cb_pcap_record(&b, 1, 1, 20, 30); /* in order already */
	cb_put32(&b, 1);
	cb_put32(&b, 2);
	cb_put32(&b, 30);
	cb_put32(&b, 20);
	cb_put(&b, "abcdefghijklmnopqrst", 20);
	c = cb_open(&b);
	for (int i = 0; i < 2; i++) {
		cr_assert(eq(int, capture_next(c, &f), 1));
		cr_assert(eq(u32, f.caplen, 20));
		cr_assert(eq(u32, f.wire_len, 30));
	}
	cr_assert(eq(int, capture_next(c, &f), 0));
	capture_free(c);

	b.data[6] = 2; /* 2.2: always the other way round */
	b.read_at = 0;
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.caplen, 30));
	cr_assert(eq(u32, f.wire_len, 30), "never below what was captured");
	capture_free(c);
	cb_done(&b);
}

Test(capture, delivers_what_is_before_a_cut_record)
{
	/* 24 + 36 bytes are complete; cut anywhere in the second record. */
	for (size_t cut = 61; cut < 96; cut++) {
		struct capture_bytes b = {};

		cb_pcap_header(&b, 0xa1b2c3d4, 1);
		cb_pcap_record(&b, 1, 1, 20, 20);
		cb_pcap_record(&b, 2, 1, 20, 20);
		b.len = cut;
		cb_expect_damage(&b, 1, cut < 76 ? "record header cut short" : "record cut short");
	}
}

Test(capture, names_the_offset_of_the_damage)
{
	struct capture_bytes b = {};
	struct capture *c;
	int r;

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 20, 20);
	cb_pcap_record(&b, 2, 1, 20, 20);
	b.len -= 1;
	c = cb_open(&b);
	cr_assert(eq(int, cb_read_all(c, &r), 1));
	cr_assert(
		eq(str, (char *)capture_error(c), "record cut short: 35 of 36 bytes, at byte 60"));
	capture_free(c);
	cb_done(&b);
}

Test(capture, refuses_what_is_no_capture)
{
	static const char *const texts[] = {"", "a", "abc", "hello, world", "\x1f\x8b"};

	for (size_t i = 0; i < sizeof(texts) / sizeof(texts[0]); i++) {
		struct capture_bytes b = {};
		struct capture_frame f;
		struct capture *c;

		cb_put(&b, texts[i], strlen(texts[i]));
		c = cb_open(&b);
		cr_assert(eq(int, capture_next(c, &f), i == 4 ? -EBADMSG : -EPROTO), "text %zu", i);
		cr_assert(strlen(capture_error(c)) > 10);
		capture_free(c);
		cb_done(&b);
	}
}

Test(capture, refuses_a_record_of_absurd_length)
{
	struct capture_bytes b = {};

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 20, 20);
	cb_put32(&b, 1);
	cb_put32(&b, 1);
	cb_put32(&b, 0x7fffffff);
	cb_put32(&b, 0x7fffffff);
	cb_expect_damage(&b, 1, "record of 2147483647 bytes");
}

Test(capture, cuts_a_frame_longer_than_the_limit_and_goes_on)
{
	struct capture_bytes b = {};
	struct capture_frame f;
	struct capture *c;

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 1000000, 1000000);
	cb_pcap_record(&b, 2, 1, 7, 7);
	b.piece = 4096;
	c = cb_open(&b);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.caplen, CAPTURE_FRAME_MAX));
	cr_assert(eq(u32, f.wire_len, 1000000));
	cb_expect_counting(&f);
	cr_assert(eq(int, capture_next(c, &f), 1));
	cr_assert(eq(u32, f.caplen, 7));
	cb_expect_counting(&f);
	cr_assert(eq(int, capture_next(c, &f), 0));
	capture_free(c);

	b.len = 24 + 16 + 999999; /* cut in the part that nobody looks at */
	b.read_at = 0;
	cb_expect_damage(&b, 1, "frame cut short");
}

Test(capture, passes_on_a_read_error)
{
	struct capture_bytes b = {.fail = -EIO};
	struct capture_frame f;
	struct capture *c;
	int r;

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 20, 20);
	c = cb_open(&b);
	cr_assert(eq(int, cb_read_all(c, &r), 1));
	cr_assert(eq(int, r, -EIO));
	cr_assert(strstr(capture_error(c), strerror(EIO)) != NULL);
	cr_assert(eq(int, capture_next(c, &f), -EIO));
	capture_free(c);
	cb_done(&b);
}

Test(capture, opens_files_and_says_why_not)
{
	char path[] = "/tmp/weir-test-capture-XXXXXX";
	struct capture_bytes b = {};
	struct capture *c = NULL;
	int fd, r;

	cr_assert(eq(int, capture_open("/nonexistent/file.pcap", &c), -ENOENT));
	cr_assert(eq(int, capture_open("/tmp", &c), -EISDIR));
	fd = mkstemp(path);
	cr_assert(fd >= 0);
	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 20, 20);
	cr_assert(eq(i64, write(fd, b.data, b.len), (ssize_t)b.len));
	cr_assert(eq(int, capture_open(path, &c), 0));
	cr_assert(eq(int, cb_read_all(c, &r), 1));
	cr_assert(eq(int, r, 0));
	capture_free(c);

	cr_assert(lseek(fd, 0, SEEK_SET) == 0);
	cr_assert(dup2(fd, STDIN_FILENO) == STDIN_FILENO);
	cr_assert(eq(int, capture_open("-", &c), 0));
	cr_assert(eq(int, cb_read_all(c, &r), 1));
	capture_free(c);
	close(fd);
	unlink(path);
	cb_done(&b);
}

/* ---- gzip ---- */

Test(capture, reads_gzip_in_any_pieces)
{
	for (size_t piece = 0; piece < 30; piece++) {
		struct capture_bytes b = {};

		cb_pcap_header(&b, 0xa1b2c3d4, 1);
		for (int i = 0; i < 101; i++)
			cb_pcap_record(&b, 1, 1, 1500, 1500);
		cb_gzip(&b);
		b.piece = piece;
		cb_expect_frames(&b, 101);
	}
}

Test(capture, reads_several_gzip_members_and_ignores_what_follows)
{
	struct capture_bytes b = {}, more = {};

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	cb_pcap_record(&b, 1, 1, 20, 20);
	cb_gzip(&b);
	cb_pcap_record(&more, 2, 1, 30, 30);
	cb_gzip(&more);
	cb_put(&b, more.data, more.len);
	cb_put(&b, "\0\0\0\0padding", 11);
	cb_done(&more);
	b.piece = 7;
	cb_expect_frames(&b, 2);
}

Test(capture, delivers_what_is_before_damage_in_gzip)
{
	uint32_t lcg = 1;
	struct capture_bytes b = {};
	struct capture *c;
	int r, n;

	cb_pcap_header(&b, 0xa1b2c3d4, 1);
	for (int i = 0; i < 101; i++) {
		cb_pcap_record(&b, 1, 1, 1500, 1500);
		for (int j = 0; j < 1500; j++) /* so that it does not compress to nothing */
			b.data[b.len - 1500 + (size_t)j] =
				(uint8_t)((lcg = lcg * 1103515245 + 12345) >> 16);
	}
	cb_gzip(&b);
	b.len = b.len / 2;
	c = cb_open(&b);
	n = cb_read_all(c, &r);
	cr_assert(eq(int, r, -EBADMSG));
	cr_assert(n >= 45 && n <= 55, "%d frames", n);
	cr_assert(strstr(capture_error(c), "gzip stream damaged or incomplete") != NULL);
	capture_free(c);

	memset(b.data + b.len / 2, 0xff, 64);
	b.read_at = 0;
	c = cb_open(&b);
	n = cb_read_all(c, &r);
	cr_assert(eq(int, r, -EBADMSG));
	cr_assert(n < 50, "%d frames", n);
	capture_free(c);
	cb_done(&b);
}
