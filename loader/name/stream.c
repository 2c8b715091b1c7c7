/* SPDX-License-Identifier: Apache-2.0 */
/*
 * stream.c - bounded assembly of bytes that come in pieces, and TLS records over them.
 */
#include "loader/name/stream.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define STREAM_CAP_MIN	      1024u
#define TLS_RECORD_HEADER     5u
#define TLS_RECORD_MAX	      (16384u + 2048u) /* RFC 5246 section 6.2.3, the laxer of the two */
#define TLS_CONTENT_HANDSHAKE 22u
#define HANDSHAKE_HEADER      4u

void *pool_alloc(struct name_pool *pool, size_t size)
{
	void *p;

	if (size > pool->limit - pool->used)
		return NULL;
	p = calloc(1, size);
	if (p)
		pool->used += size;
	return p;
}

void pool_free(struct name_pool *pool, void *p, size_t size)
{
	if (!p)
		return;
	free(p);
	pool->used -= size;
}

static int stream_grow(struct stream *s, struct name_pool *pool, uint32_t need)
{
	uint32_t cap = s->cap ? s->cap : STREAM_CAP_MIN;
	uint8_t *buf;

	if (need <= s->cap)
		return 0;
	while (cap < need)
		cap *= 2;
	if (cap - s->cap > pool->limit - pool->used)
		return -ENOMEM;
	buf = realloc(s->buf, cap);
	if (!buf)
		return -ENOMEM;
	pool->used += cap - s->cap;
	s->buf = buf;
	s->cap = cap;
	return 0;
}

/* Copy what of [start, end) is not there yet, compare the rest. Ranges [i, j) touch it. */
static void stream_copy(struct stream *s, unsigned int i, unsigned int j, struct stream_range in,
			const uint8_t *data)
{
	uint32_t cur = in.start;

	for (; i < j; i++) {
		struct stream_range *r = &s->range[i];
		uint32_t end = r->end < in.end ? r->end : in.end;

		if (r->start > cur) {
			memcpy(s->buf + cur, data + (cur - in.start), r->start - cur);
			cur = r->start;
		}
		if (end > cur) {
			if (memcmp(s->buf + cur, data + (cur - in.start), end - cur) != 0)
				s->conflict = 1;
			cur = end;
		}
	}
	if (cur < in.end)
		memcpy(s->buf + cur, data + (cur - in.start), in.end - cur);
}

int stream_put(struct stream *s, struct name_pool *pool, uint32_t off, const uint8_t *data,
	       size_t len)
{
	unsigned int i = 0, j;
	struct stream_range in;
	int r;

	if (len == 0)
		return 0;
	if (off >= STREAM_MAX)
		return -E2BIG;
	if (len > STREAM_MAX - off) {
		len = STREAM_MAX - off;
		s->clipped = 1;
	}
	in.start = (uint16_t)off;
	in.end = (uint16_t)(off + len);

	while (i < s->nr && s->range[i].end < in.start)
		i++;
	for (j = i; j < s->nr && s->range[j].start <= in.end; j++)
		;
	if (i == j && s->nr == STREAM_RANGES)
		return -ENOSPC;
	r = stream_grow(s, pool, in.end);
	if (r < 0)
		return r;

	stream_copy(s, i, j, in, data);
	if (i < j) {
		if (s->range[i].start < in.start)
			in.start = s->range[i].start;
		if (s->range[j - 1].end > in.end)
			in.end = s->range[j - 1].end;
	}
	/* Ranges [i, j) become one. */
	memmove(&s->range[i + 1], &s->range[j], (s->nr - j) * sizeof(s->range[0]));
	s->range[i] = in;
	s->nr = (uint16_t)(s->nr - (j - i) + 1);
	return 0;
}

size_t stream_ready(const struct stream *s)
{
	return s->nr && s->range[0].start == 0 ? s->range[0].end : 0;
}

void stream_done(struct stream *s, struct name_pool *pool)
{
	pool_free(pool, s->buf, s->cap);
	memset(s, 0, sizeof(*s));
}

int handshake_view(const uint8_t *buf, size_t len, struct handshake *ret)
{
	uint32_t need;

	ret->msg = buf;
	ret->len = (uint32_t)len;
	ret->need = 0;
	if (len < HANDSHAKE_HEADER)
		return 0;
	need = HANDSHAKE_HEADER + ((uint32_t)buf[1] << 16 | (uint32_t)buf[2] << 8 | buf[3]);
	if (need > STREAM_MAX)
		return -E2BIG;
	ret->need = need;
	if (ret->len > need)
		ret->len = need;
	return 0;
}

/* Header of the record at @p; its payload length, or -EPROTO, or -EAGAIN when it is cut. */
static int tls_record_length(const uint8_t *p, size_t left)
{
	uint32_t len;

	if (left >= 1 && p[0] != TLS_CONTENT_HANDSHAKE)
		return -EPROTO;
	if (left >= 2 && p[1] != 3)
		return -EPROTO;
	if (left < TLS_RECORD_HEADER)
		return -EAGAIN;
	len = (uint32_t)p[3] << 8 | p[4];
	if (len == 0 || len > TLS_RECORD_MAX)
		return -EPROTO;
	return (int)len;
}

int tls_records_view(const uint8_t *buf, size_t len, uint8_t *scratch, struct handshake *ret)
{
	size_t off = 0, have = 0;
	int r, rec;

	if (len > STREAM_MAX)
		len = STREAM_MAX;
	memset(ret, 0, sizeof(*ret));
	ret->msg = buf;
	while (off < len) {
		size_t part;

		rec = tls_record_length(buf + off, len - off);
		if (rec == -EAGAIN)
			break;
		if (rec < 0)
			return rec;
		off += TLS_RECORD_HEADER;
		part = len - off < (size_t)rec ? len - off : (size_t)rec;
		if (have == 0 && part < (size_t)rec)
			return handshake_view(buf + off, part, ret);
		if (have == 0) {
			r = handshake_view(buf + off, part, ret);
			if (r < 0 || (ret->need && ret->len == ret->need))
				return r;
		}
		memcpy(scratch + have, buf + off, part);
		have += part;
		off += part;
		r = handshake_view(scratch, have, ret);
		if (r < 0 || (ret->need && ret->len == ret->need))
			return r;
	}
	return 0;
}
