// SPDX-License-Identifier: Apache-2.0
/*
 * capture_bytes.c - builds captures byte by byte, independent of the reader's code.
 */
#include "capture_bytes.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/byte_source.h"
#include "loader/capture_file.h"

void cb_done(struct capture_bytes *b)
{
	free(b->data);
	*b = (struct capture_bytes){};
}

void cb_put(struct capture_bytes *b, const void *p, size_t len)
{
	if (b->room - b->len < len) {
		b->room = (b->len + len) * 2;
		b->data = realloc(b->data, b->room);
		cr_assert(b->data != NULL);
	}
	if (len)
		memcpy(b->data + b->len, p, len);
	b->len += len;
}

void cb_put16(struct capture_bytes *b, uint16_t v)
{
	uint8_t p[2] = {(uint8_t)v, (uint8_t)(v >> 8)};
	uint8_t q[2] = {p[1], p[0]};

	cb_put(b, b->big_endian ? q : p, 2);
}

void cb_put32(struct capture_bytes *b, uint32_t v)
{
	cb_put16(b, (uint16_t)(b->big_endian ? v >> 16 : v));
	cb_put16(b, (uint16_t)(b->big_endian ? v : v >> 16));
}

static void put_counting(struct capture_bytes *b, uint32_t len)
{
	for (uint32_t i = 0; i < len; i++) {
		uint8_t v = (uint8_t)(i + 1);

		cb_put(b, &v, 1);
	}
}

void cb_pcap_header(struct capture_bytes *b, uint32_t magic, uint32_t linktype)
{
	cb_put32(b, magic);
	cb_put16(b, 2);
	cb_put16(b, 4);
	cb_put32(b, 0);
	cb_put32(b, 0);
	cb_put32(b, 65535);
	cb_put32(b, linktype);
}

void cb_pcap_record(struct capture_bytes *b, uint32_t sec, uint32_t frac, uint32_t caplen,
		    uint32_t wire_len)
{
	cb_put32(b, sec);
	cb_put32(b, frac);
	cb_put32(b, caplen);
	cb_put32(b, wire_len);
	put_counting(b, caplen);
}

void cb_block(struct capture_bytes *b, uint32_t type, const struct capture_bytes *body)
{
	uint32_t pad = (4 - body->len % 4) % 4, total = (uint32_t)body->len + pad + 12;

	cb_put32(b, type);
	cb_put32(b, total);
	cb_put(b, body->data, body->len);
	cb_put(b, "\0\0\0", pad);
	cb_put32(b, total);
}

void cb_section(struct capture_bytes *b)
{
	struct capture_bytes body = {.big_endian = b->big_endian};

	cb_put32(&body, 0x1a2b3c4d);
	cb_put16(&body, 1);
	cb_put16(&body, 0);
	cb_put32(&body, 0xffffffff);
	cb_put32(&body, 0xffffffff);
	cb_block(b, 0x0a0d0d0a, &body);
	cb_done(&body);
}

void cb_interface(struct capture_bytes *b, uint16_t linktype, uint32_t snaplen, const void *options,
		  size_t options_len)
{
	struct capture_bytes body = {.big_endian = b->big_endian};

	cb_put16(&body, linktype);
	cb_put16(&body, 0);
	cb_put32(&body, snaplen);
	cb_put(&body, options, options_len);
	cb_block(b, 1, &body);
	cb_done(&body);
}

void cb_enhanced(struct capture_bytes *b, uint32_t interface, uint64_t stamp, uint32_t caplen,
		 uint32_t wire_len)
{
	struct capture_bytes body = {.big_endian = b->big_endian};

	cb_put32(&body, interface);
	cb_put32(&body, (uint32_t)(stamp >> 32));
	cb_put32(&body, (uint32_t)stamp);
	cb_put32(&body, caplen);
	cb_put32(&body, wire_len);
	put_counting(&body, caplen);
	cb_block(b, 6, &body);
	cb_done(&body);
}

void cb_gzip(struct capture_bytes *b)
{
	uLong room = compressBound(b->len) + 64;
	uint8_t *out = malloc(room);
	z_stream z = {};

	cr_assert(out != NULL);
	cr_assert(deflateInit2(&z, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY) == Z_OK);
	z.next_in = b->data;
	z.avail_in = (uInt)b->len;
	z.next_out = out;
	z.avail_out = (uInt)room;
	cr_assert(deflate(&z, Z_FINISH) == Z_STREAM_END);
	b->len = room - z.avail_out;
	deflateEnd(&z);
	free(b->data);
	b->data = out;
	b->room = room;
}

static ssize_t read_bytes(void *ctx, void *buf, size_t len)
{
	struct capture_bytes *b = ctx;
	size_t left = b->len - b->read_at;

	if (!left)
		return b->fail;
	if (b->piece && len > b->piece)
		len = b->piece;
	if (len > left)
		len = left;
	memcpy(buf, b->data + b->read_at, len);
	b->read_at += len;
	return (ssize_t)len;
}

struct capture *cb_open(struct capture_bytes *b)
{
	struct byte_reader reader = {.read = read_bytes, .ctx = b};
	struct capture *c = NULL;

	cr_assert(capture_new(reader, &c) == 0);
	return c;
}

void cb_expect_counting(const struct capture_frame *f)
{
	for (uint32_t i = 0; i < f->caplen; i++)
		cr_assert(f->data[i] == (uint8_t)(i + 1), "byte %u", i);
}

/* Reads to the end: number of frames; the last result in *ret_r. */
int cb_read_all(struct capture *c, int *ret_r)
{
	struct capture_frame f;
	int n = 0, r;

	while ((r = capture_next(c, &f)) > 0)
		n++;
	*ret_r = r;
	return n;
}

/* Reads to the end and expects damage after @frames frames, with @words in the sentence. */
void cb_expect_damage(struct capture_bytes *b, int frames, const char *words)
{
	struct capture *c = cb_open(b);
	int r, n = cb_read_all(c, &r);
	struct capture_frame f;

	cr_assert(eq(int, n, frames));
	cr_assert(eq(int, r, -EBADMSG));
	cr_assert(strstr(capture_error(c), words) != NULL, "'%s' lacks '%s'", capture_error(c),
		  words);
	cr_assert(strstr(capture_error(c), "at byte ") != NULL);
	cr_assert(eq(int, capture_next(c, &f), -EBADMSG), "an error is final");
	capture_free(c);
	cb_done(b);
}

void cb_expect_frames(struct capture_bytes *b, int frames)
{
	struct capture *c = cb_open(b);
	int r, n = cb_read_all(c, &r);

	cr_assert(eq(int, r, 0), "%s", capture_error(c));
	cr_assert(eq(int, n, frames));
	cr_assert(eq(int, (int)strlen(capture_error(c)), 0));
	capture_free(c);
	cb_done(b);
}
