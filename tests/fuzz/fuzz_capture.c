// SPDX-License-Identifier: Apache-2.0
/*
 * fuzz_capture.c - any bytes as a capture file: read to the end, each frame turned into Ethernet.
 *
 * Checked beside memory: frames stay within their limits, the stream ends, an error has a sentence
 * and is final, and the same bytes read in small pieces give the same frames.
 * Covers: loader/byte_source.c loader/capture_file.c loader/capture_pcapng.c loader/linktype.c loader/linktype_host.c loader/linktype_wan.c loader/linktype_wlan.c
 * Options: -max_len=16384
 */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "loader/byte_source.h"
#include "loader/capture_file.h"
#include "loader/linktype.h"

/* A gzip bomb is legal input: it is only left early here, so that an input stays quick. */
#define FRAMES_MAX 20000

struct memory {
	const uint8_t *data;
	size_t left;
	size_t piece;
};

struct outcome {
	uint64_t frames;
	uint64_t sum; /* of everything delivered */
	int r;
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static ssize_t read_memory(void *ctx, void *buf, size_t len)
{
	struct memory *m = ctx;

	if (len > m->left)
		len = m->left;
	if (len > m->piece)
		len = m->piece;
	memcpy(buf, m->data, len);
	m->data += len;
	m->left -= len;
	return (ssize_t)len;
}

static uint64_t add(uint64_t sum, uint64_t v)
{
	return (sum ^ v) * UINT64_C(0x100000001b3);
}

static void use_frame(const struct capture_frame *f, uint8_t *buf, struct outcome *o)
{
	struct ether_frame e;
	enum link_result r;
	/* In memory of its own size, so that reading beyond the frame is seen. */
	uint8_t *copy = malloc(f->caplen ? f->caplen : 1);
	struct capture_frame exact = *f;

	if (!copy)
		abort();
	if (f->caplen > CAPTURE_FRAME_MAX || f->wire_len < f->caplen)
		abort();
	memcpy(copy, f->data, f->caplen);
	exact.data = copy;
	r = linktype_to_ether(&exact, buf, &e);
	if (r < 0 || r >= _LINK_MAX || !*linktype_reason(r))
		abort();
	o->sum = add(add(add(o->sum, f->time_ns), f->caplen), (uint64_t)r);
	if (r == LINK_OK) {
		if (e.len < LINK_ETH_HEADER || e.len > LINK_BUFFER_BYTES || e.wire_len < e.len)
			abort();
		/* all of an ordinary frame, a sample of a giant one */
		for (uint32_t i = 0; i < e.len; i += 1 + e.len / 4096)
			o->sum = add(o->sum, e.data[i]);
	}
	free(copy);
}

static struct outcome read_all(const uint8_t *data, size_t size, size_t piece, uint8_t *buf)
{
	struct memory m = {.data = data, .left = size, .piece = piece};
	struct byte_reader reader = {.read = read_memory, .ctx = &m};
	struct outcome o = {.r = 1};
	struct capture_frame f;
	struct capture *c;

	o.r = capture_new(reader, &c);
	if (o.r < 0)
		return o;
	while (o.frames < FRAMES_MAX && (o.r = capture_next(c, &f)) > 0) {
		o.frames++;
		use_frame(&f, buf, &o);
	}
	if (o.r < 0 && (!*capture_error(c) || capture_next(c, &f) != o.r))
		abort();
	if (o.r == 0 && *capture_error(c))
		abort();
	capture_free(c);
	return o;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint8_t *buf;
	struct outcome whole, pieces;

	if (!buf)
		buf = malloc(LINK_BUFFER_BYTES);
	if (!buf)
		abort();
	whole = read_all(data, size, SIZE_MAX, buf);
	pieces = read_all(data, size, 1 + size / 7, buf);
	if (whole.frames != pieces.frames || whole.sum != pieces.sum || whole.r != pieces.r)
		abort();
	return 0;
}
