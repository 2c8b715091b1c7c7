// SPDX-License-Identifier: Apache-2.0
/*
 * byte_source.c - the window over the stream, and gzip under it.
 *
 * The window holds the bytes between the caller's position and what has been read; it is moved to
 * the front only when the next piece wouldn't fit behind it, so most pieces are never copied.
 */
#include "loader/byte_source.h"

#include <errno.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

struct byte_source {
	struct byte_reader reader;
	uint64_t offset; /* of window[start] in the stream */
	uint32_t start;	 /* next byte for the caller */
	uint32_t end;	 /* behind the last byte read */
	bool eof;
	bool gzip;
	bool between_members; /* gzip: a member is complete, the next not begun */
	z_stream z;
	uint8_t *in; /* gzip: compressed input */
	uint8_t window[BYTE_SOURCE_WINDOW];
};

static int refill_gzip_input(struct byte_source *s)
{
	ssize_t n = s->reader.read(s->reader.ctx, s->in, BYTE_SOURCE_WINDOW);

	if (n < 0)
		return (int)n;
	s->z.next_in = s->in;
	s->z.avail_in = (uInt)n;
	return n == 0 ? -ENODATA : 0;
}

/* One member is complete: another may follow; anything else behind it is padding and ignored. */
static int begin_member(struct byte_source *s)
{
	if (s->z.next_in[0] != 0x1f || inflateReset(&s->z) != Z_OK)
		return -ENODATA;
	s->between_members = false;
	return 0;
}

static ssize_t read_gzip(struct byte_source *s, uint8_t *buf, uint32_t len)
{
	s->z.next_out = buf;
	s->z.avail_out = len;
	while (s->z.avail_out == len) {
		int r, z;

		if (s->z.avail_in == 0) {
			r = refill_gzip_input(s);
			if (r == -ENODATA)
				return s->between_members ? 0 : -EBADMSG;
			if (r < 0)
				return r;
		}
		if (s->between_members && begin_member(s) < 0)
			return 0;
		z = inflate(&s->z, Z_NO_FLUSH);
		if (z == Z_STREAM_END)
			s->between_members = true;
		else if (z != Z_OK && s->z.avail_out == len)
			return z == Z_MEM_ERROR ? -ENOMEM : -EBADMSG;
	}
	return len - s->z.avail_out;
}

/* Reads once into the free end of the window. */
static int fill(struct byte_source *s)
{
	uint32_t room = BYTE_SOURCE_WINDOW - s->end;
	ssize_t n;

	if (s->eof)
		return -ENODATA;
	if (s->gzip)
		n = read_gzip(s, s->window + s->end, room);
	else
		n = s->reader.read(s->reader.ctx, s->window + s->end, room);
	if (n < 0)
		return (int)n;
	s->eof = n == 0;
	s->end += (uint32_t)n;
	return s->eof ? -ENODATA : 0;
}

int byte_source_need(struct byte_source *s, uint32_t len, const uint8_t **ret_data)
{
	if (len > BYTE_SOURCE_WINDOW)
		return -EINVAL;
	if (BYTE_SOURCE_WINDOW - s->start < len) {
		memmove(s->window, s->window + s->start, s->end - s->start);
		s->end -= s->start;
		s->start = 0;
	}
	while (s->end - s->start < len) {
		int r = fill(s);

		if (r < 0)
			return r;
	}
	*ret_data = s->window + s->start;
	return 0;
}

void byte_source_take(struct byte_source *s, uint32_t len)
{
	s->start += len;
	s->offset += len;
	if (s->start == s->end)
		s->start = s->end = 0;
}

int byte_source_skip(struct byte_source *s, uint64_t len)
{
	while (len) {
		uint32_t n = byte_source_left(s);
		int r;

		if (n > len)
			n = (uint32_t)len;
		byte_source_take(s, n);
		len -= n;
		if (!len)
			break;
		r = fill(s);
		if (r < 0)
			return r;
	}
	return 0;
}

uint64_t byte_source_offset(const struct byte_source *s)
{
	return s->offset;
}

uint32_t byte_source_left(const struct byte_source *s)
{
	return s->end - s->start;
}

/* The first two bytes decide: what was read moves to the compressed side if they say gzip. */
static int probe_gzip(struct byte_source *s)
{
	const uint8_t *p;
	int r = byte_source_need(s, 2, &p);

	if (r < 0)
		return r == -ENODATA ? 0 : r;
	if (p[0] != 0x1f || p[1] != 0x8b)
		return 0;
	s->in = malloc(BYTE_SOURCE_WINDOW);
	if (!s->in)
		return -ENOMEM;
	memcpy(s->in, p, byte_source_left(s));
	s->z.next_in = s->in;
	s->z.avail_in = byte_source_left(s);
	if (inflateInit2(&s->z, 16 + MAX_WBITS) != Z_OK)
		return -ENOMEM;
	s->gzip = true;
	s->start = s->end = 0;
	s->eof = false;
	return 0;
}

int byte_source_new(struct byte_reader reader, struct byte_source **ret_source)
{
	struct byte_source *s = malloc(sizeof(*s));
	int r;

	if (!s)
		return -ENOMEM;
	/* The window is left as it is: half a megabyte that is written before it is read. */
	memset(s, 0, offsetof(struct byte_source, window));
	s->reader = reader;
	r = probe_gzip(s);
	if (r < 0) {
		byte_source_free(s);
		return r;
	}
	*ret_source = s;
	return 0;
}

struct byte_source *byte_source_free(struct byte_source *s)
{
	if (!s)
		return NULL;
	if (s->gzip)
		inflateEnd(&s->z);
	free(s->in);
	free(s);
	return NULL;
}
