// SPDX-License-Identifier: Apache-2.0
/*
 * capture_file.c - the file header, classic pcap records, and which of the formats it is.
 *
 * A record is delivered only when all of it is there. Lengths in the file are never trusted: they
 * are held against fixed limits, and what is longer is skipped without being stored.
 */
#include "loader/capture_file.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "loader/byte_source.h"
#include "loader/bytes.h"
#include "loader/capture_int.h"

/* A record that claims more than this is damage, not a frame. */
#define PCAP_RECORD_MAX (1u << 24)
#define PCAP_HEADER	24u
#define PCAP_RECORD	16u

/* The variants of the classic format; magic as a big-endian file has it. */
static const struct pcap_variant {
	uint32_t magic;
	bool nanoseconds;
	uint8_t header_extra; /* bytes behind the file header */
	uint8_t record_extra; /* bytes behind each record header */
} pcap_variants[] = {
	{0xa1b2c3d4, false, 0, 0}, {0xa1b23c4d, true, 0, 0},
	{0xa1b2cd34, false, 0, 8}, /* Kuznetzov: ifindex, protocol, packet type */
	{0xa12b3c4d, true, 0, 0},  /* Navtel */
	{0x1c0001ac, true, 4, 0},  /* Ixia lcap, time from the card: total length behind header */
	{0x1c0001ab, true, 4, 0},  /* the same, time from the host */
};

int capture_fail(struct capture *c, int r, const char *fmt, ...)
{
	uint64_t at = byte_source_offset(c->source);
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	vsnprintf(c->error, sizeof(c->error), fmt, ap);
	va_end(ap);
	n = strlen(c->error);
	snprintf(c->error + n, sizeof(c->error) - n, ", at byte %" PRIu64, at);
	c->failed = r;
	return r;
}

int capture_need(struct capture *c, uint32_t len, const char *what, const uint8_t **ret_data)
{
	int r = byte_source_need(c->source, len, ret_data);

	if (r == -ENODATA)
		return capture_fail(c, -EBADMSG, "%s cut short: %u of %u bytes", what,
				    byte_source_left(c->source), len);
	if (r == -EBADMSG)
		return capture_fail(c, r, "%s cut short: gzip stream damaged or incomplete", what);
	if (r < 0)
		return capture_fail(c, r, "%s: %s", what, strerror(-r));
	return 0;
}

/* 1 when the stream has more, 0 at its proper end. */
static int capture_more(struct capture *c)
{
	const uint8_t *p;
	int r = byte_source_need(c->source, 1, &p);

	if (r == -ENODATA)
		return 0;
	if (r == -EBADMSG)
		return capture_fail(c, r, "gzip stream damaged or incomplete");
	if (r < 0)
		return capture_fail(c, r, "%s", strerror(-r));
	return 1;
}

/* Gets rid of what the previous frame left: its bytes stay valid until the next call. */
static int take_pending(struct capture *c)
{
	uint64_t len = c->pending;
	int r;

	c->pending = 0;
	r = byte_source_skip(c->source, len);
	if (r == -ENODATA || r == -EBADMSG)
		return capture_fail(c, -EBADMSG, "frame cut short");
	if (r < 0)
		return capture_fail(c, r, "%s", strerror(-r));
	return 0;
}

/*
 * Before version 2.3 the two lengths stood the other way round, and with 2.3 some writers still did
 * that: there the greater one is the length on the wire.
 */
static void order_lengths(const struct capture *c, uint32_t *caplen, uint32_t *wire_len)
{
	uint32_t tmp = *caplen;

	if (c->version_major != 2 || c->version_minor > 3)
		return;
	if (c->version_minor == 3 && *caplen <= *wire_len)
		return;
	*caplen = *wire_len;
	*wire_len = tmp;
}

static int pcap_next(struct capture *c, struct capture_frame *ret_frame)
{
	uint32_t header = PCAP_RECORD + c->record_extra, caplen, wire_len, shown;
	bool be = c->big_endian;
	const uint8_t *p;
	int r;

	r = capture_need(c, header, "record header", &p);
	if (r < 0)
		return r;
	caplen = get_32(p + 8, be);
	wire_len = get_32(p + 12, be);
	order_lengths(c, &caplen, &wire_len);
	if (caplen > PCAP_RECORD_MAX)
		return capture_fail(c, -EBADMSG, "record of %u bytes: damaged", caplen);
	shown = caplen < CAPTURE_FRAME_MAX ? caplen : CAPTURE_FRAME_MAX;
	r = capture_need(c, header + shown, "record", &p);
	if (r < 0)
		return r;
	ret_frame->time_ns = get_32(p, be) * UINT64_C(1000000000) +
			     get_32(p + 4, be) * (c->nanoseconds ? UINT64_C(1) : UINT64_C(1000));
	ret_frame->caplen = shown;
	ret_frame->wire_len = wire_len < caplen ? caplen : wire_len;
	ret_frame->linktype = c->linktype;
	ret_frame->interface = 0;
	ret_frame->data = p + header;
	c->pending = (uint64_t)header + caplen;
	return 1;
}

/* Returns 1 when the header is one of the classic ones, else 0. */
static int pcap_begin(struct capture *c, const uint8_t *p)
{
	for (size_t i = 0; i < sizeof(pcap_variants) / sizeof(pcap_variants[0]); i++) {
		const struct pcap_variant *v = &pcap_variants[i];

		if (get_be32(p) != v->magic && get_le32(p) != v->magic)
			continue;
		c->big_endian = get_be32(p) == v->magic;
		c->nanoseconds = v->nanoseconds;
		c->record_extra = v->record_extra;
		c->pending = v->header_extra;
		return 1;
	}
	return 0;
}

static int pcap_header(struct capture *c)
{
	const uint8_t *p;
	int r = capture_need(c, PCAP_HEADER, "pcap file header", &p);

	if (r < 0)
		return r;
	c->version_major = get_16(p + 4, c->big_endian);
	c->version_minor = get_16(p + 6, c->big_endian);
	/* The upper six bits are for the frame check sequence, which nobody here looks at. */
	c->linktype = get_32(p + 20, c->big_endian) & 0x03ffffff;
	c->pending += PCAP_HEADER;
	return 0;
}

static int begin(struct capture *c)
{
	const uint8_t *p;
	int r;

	c->begun = true;
	r = capture_more(c);
	if (r < 0)
		return r;
	if (r == 0)
		return capture_fail(c, -EPROTO, "empty file: no pcap or pcapng header");
	r = byte_source_need(c->source, 4, &p);
	if (r < 0)
		return capture_fail(c, -EPROTO, "no pcap or pcapng header");
	if (get_be32(p) == PCAPNG_SECTION) {
		c->pcapng = true;
		return 0;
	}
	if (!pcap_begin(c, p))
		return capture_fail(c, -EPROTO, "neither pcap nor pcapng: begins with %08x",
				    get_be32(p));
	return pcap_header(c);
}

int capture_next(struct capture *c, struct capture_frame *ret_frame)
{
	int r = c->failed;

	if (r < 0)
		return r;
	if (!c->begun)
		r = begin(c);
	if (r < 0)
		return r;
	if (c->pcapng)
		return pcapng_next(c, ret_frame);
	r = take_pending(c);
	if (r < 0)
		return r;
	r = capture_more(c);
	return r > 0 ? pcap_next(c, ret_frame) : r;
}

int capture_block_begin(struct capture *c)
{
	int r = take_pending(c);

	return r < 0 ? r : capture_more(c);
}

const char *capture_error(const struct capture *c)
{
	return c->error;
}

int capture_new(struct byte_reader reader, struct capture **ret_capture)
{
	struct capture *c = calloc(1, sizeof(*c));
	int r;

	if (!c)
		return -ENOMEM;
	c->fd = -EBADF;
	r = byte_source_new(reader, &c->source);
	if (r < 0) {
		capture_free(c);
		return r;
	}
	*ret_capture = c;
	return 0;
}

/* An interrupted read ends it, with -EINTR: whoever catches signals wants to stop. */
static ssize_t read_fd(void *ctx, void *buf, size_t len)
{
	ssize_t n = read((int)(intptr_t)ctx, buf, len);

	return n < 0 ? -errno : n;
}

int capture_open(const char *path, struct capture **ret_capture)
{
	bool standard_input = strcmp(path, "-") == 0;
	int fd = STDIN_FILENO, r;
	struct byte_reader reader;

	if (!standard_input)
		fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY);
	if (fd < 0)
		return -errno;
	reader = (struct byte_reader){.read = read_fd, .ctx = (void *)(intptr_t)fd};
	r = capture_new(reader, ret_capture);
	if (standard_input)
		return r;
	if (r < 0)
		close(fd);
	else
		(*ret_capture)->fd = fd;
	return r;
}

struct capture *capture_free(struct capture *c)
{
	if (!c)
		return NULL;
	byte_source_free(c->source);
	if (c->fd >= 0)
		close(c->fd);
	free(c->interfaces);
	free(c);
	return NULL;
}
