// SPDX-License-Identifier: Apache-2.0
/*
 * capture_pcapng.c - the blocks of pcapng (draft-ietf-opsawg-pcapng): sections of either byte order,
 * interfaces with their clocks, and the three blocks that carry frames. All others are skipped.
 */
#include <errno.h>
#include <stdlib.h>

#include "loader/byte_source.h"
#include "loader/bytes.h"
#include "loader/capture_int.h"

/* Block types (section 4 of the draft, and appendix A for the obsolete one). */
enum {
	BLOCK_INTERFACE = 1,
	BLOCK_PACKET = 2,
	BLOCK_SIMPLE = 3,
	BLOCK_ENHANCED = 6,
};

#define BYTE_ORDER_MAGIC 0x1a2b3c4du

#define BLOCK_HEADER   8u /* type, total length */
#define BLOCK_TRAILER  4u /* total length again */
#define BLOCK_MIN      12u
#define BLOCK_MAX      (1u << 28)
#define SECTION_BODY   16u /* byte order magic, version, section length */
#define INTERFACE_BODY 8u
#define ENHANCED_BODY  20u
#define SIMPLE_BODY    4u

/* A whole block of at most this size is looked at in one piece; of longer ones the beginning. */
#define BLOCK_WHOLE (CAPTURE_FRAME_MAX + 65536u)

#define OPT_END	     0
#define OPT_TSRESOL  9
#define OPT_TSOFFSET 14

#define SECOND_NS 1000000000u

struct block {
	uint32_t type;
	uint32_t total;	     /* as in the file */
	uint32_t body_len;   /* bytes of the body that can be looked at */
	uint32_t body_total; /* bytes of the body in the file */
	const uint8_t *body;
};

static uint64_t resolution_units(uint8_t tsresol)
{
	uint32_t exponent = tsresol & 0x7f;
	uint64_t units = 1;

	if (tsresol & 0x80)
		return exponent < 64 ? UINT64_C(1) << exponent : 0;
	if (exponent > 19)
		return 0;
	while (exponent--)
		units *= 10;
	return units;
}

static void read_interface_option(struct capture_interface *iface, uint16_t code, const uint8_t *p,
				  uint32_t len, bool be)
{
	uint64_t units;

	if (code == OPT_TSRESOL && len >= 1) {
		/* A resolution beyond 64 bits can't be: microseconds then, the default. */
		units = resolution_units(p[0]);
		if (units)
			iface->units = units;
	}
	if (code == OPT_TSOFFSET && len >= 8) {
		uint64_t hi = get_32(p + (be ? 0 : 4), be), lo = get_32(p + (be ? 4 : 0), be);

		iface->offset_s = (int64_t)(hi << 32 | lo);
	}
}

static void read_interface_options(struct capture_interface *iface, const struct block *b, bool be)
{
	uint32_t at = INTERFACE_BODY;

	while (b->body_len - at >= 4) {
		uint16_t code = get_16(b->body + at, be);
		uint32_t len = get_16(b->body + at + 2, be);

		at += 4;
		if (code == OPT_END || len > b->body_len - at)
			return;
		read_interface_option(iface, code, b->body + at, len, be);
		len = (len + 3) & ~3u;
		at += len < b->body_len - at ? len : b->body_len - at;
	}
}

static int grow_interfaces(struct capture *c)
{
	uint32_t room = c->interface_room ? c->interface_room * 2 : 4;
	struct capture_interface *p;

	if (c->interface_count < c->interface_room)
		return 0;
	if (c->interface_count >= CAPTURE_INTERFACE_MAX)
		return capture_fail(c, -EBADMSG, "more than %u interfaces in a section",
				    CAPTURE_INTERFACE_MAX);
	p = realloc(c->interfaces, room * sizeof(*p));
	if (!p)
		return capture_fail(c, -ENOMEM, "interface table: out of memory");
	c->interfaces = p;
	c->interface_room = room;
	return 0;
}

static int interface_block(struct capture *c, const struct block *b)
{
	struct capture_interface *iface;
	int r;

	if (b->body_len < INTERFACE_BODY)
		return capture_fail(c, -EBADMSG, "interface block of %u bytes: too short",
				    b->total);
	r = grow_interfaces(c);
	if (r < 0)
		return r;
	iface = &c->interfaces[c->interface_count++];
	*iface = (struct capture_interface){
		.linktype = get_16(b->body, c->big_endian),
		.snaplen = get_32(b->body + 4, c->big_endian),
		.units = 1000000,
	};
	read_interface_options(iface, b, c->big_endian);
	return 0;
}

/* Time units of an interface to nanoseconds since 1970, held within what 64 bits can say. */
static uint64_t time_to_ns(const struct capture_interface *iface, uint64_t stamp)
{
	__int128 ns = (__int128)(stamp / iface->units) * SECOND_NS;

	ns += (__int128)(stamp % iface->units) * SECOND_NS / iface->units;
	ns += (__int128)iface->offset_s * SECOND_NS;
	if (ns < 0)
		return 0;
	return ns > UINT64_MAX ? UINT64_MAX : (uint64_t)ns;
}

/* The part that all frame blocks share. @at: where the frame begins in the body. */
static int deliver(struct capture *c, const struct block *b, uint32_t at, struct capture_frame *f)
{
	if (f->interface >= c->interface_count)
		return capture_fail(c, -EBADMSG, "frame of interface %u, of which nothing is said",
				    f->interface);
	if (f->caplen > b->body_total - at)
		return capture_fail(c, -EBADMSG, "frame of %u bytes in a block of %u", f->caplen,
				    b->total);
	if (f->wire_len < f->caplen)
		f->wire_len = f->caplen;
	if (f->caplen > CAPTURE_FRAME_MAX)
		f->caplen = CAPTURE_FRAME_MAX;
	f->linktype = c->interfaces[f->interface].linktype;
	f->data = b->body + at;
	c->last_ns = f->time_ns;
	return 1;
}

/* Enhanced Packet Block, and the obsolete Packet Block: they differ in the first word alone. */
static int packet_block(struct capture *c, const struct block *b, struct capture_frame *f)
{
	bool be = c->big_endian;

	if (b->body_len < ENHANCED_BODY)
		return capture_fail(c, -EBADMSG, "packet block of %u bytes: too short", b->total);
	f->interface = b->type == BLOCK_PACKET ? get_16(b->body, be) : get_32(b->body, be);
	f->caplen = get_32(b->body + 12, be);
	f->wire_len = get_32(b->body + 16, be);
	f->time_ns = 0;
	if (f->interface < c->interface_count)
		f->time_ns = time_to_ns(&c->interfaces[f->interface],
					(uint64_t)get_32(b->body + 4, be) << 32 |
						get_32(b->body + 8, be));
	return deliver(c, b, ENHANCED_BODY, f);
}

/* Has neither a time nor a captured length: that is what the snap length leaves of the frame. */
static int simple_block(struct capture *c, const struct block *b, struct capture_frame *f)
{
	uint32_t snaplen;

	if (b->body_len < SIMPLE_BODY)
		return capture_fail(c, -EBADMSG, "packet block of %u bytes: too short", b->total);
	f->interface = 0;
	f->wire_len = get_32(b->body, c->big_endian);
	f->caplen = f->wire_len;
	f->time_ns = c->last_ns;
	snaplen = c->interface_count ? c->interfaces[0].snaplen : 0;
	if (snaplen && f->caplen > snaplen)
		f->caplen = snaplen;
	if (f->caplen > b->body_total - SIMPLE_BODY)
		f->caplen = b->body_total - SIMPLE_BODY;
	return deliver(c, b, SIMPLE_BODY, f);
}

/* A section says its byte order behind the length, which can't be read before that. */
static int section_order(struct capture *c)
{
	const uint8_t *p;
	int r = capture_need(c, BLOCK_HEADER + 4, "section header", &p);

	if (r < 0)
		return r;
	if (get_be32(p + BLOCK_HEADER) != BYTE_ORDER_MAGIC &&
	    get_le32(p + BLOCK_HEADER) != BYTE_ORDER_MAGIC)
		return capture_fail(c, -EBADMSG, "section header without its byte order");
	c->big_endian = get_be32(p + BLOCK_HEADER) == BYTE_ORDER_MAGIC;
	c->interface_count = 0;
	return 0;
}

static int section_block(struct capture *c, const struct block *b)
{
	if (b->body_len < SECTION_BODY)
		return capture_fail(c, -EBADMSG, "section header of %u bytes: too short", b->total);
	if (get_16(b->body + 4, c->big_endian) != 1)
		return capture_fail(c, -EBADMSG, "pcapng version %u.%u, which is not known",
				    get_16(b->body + 4, c->big_endian),
				    get_16(b->body + 6, c->big_endian));
	return 0;
}

/* Some writers leave the padding out of the length, but not out of the file. */
static uint32_t padded(uint32_t len)
{
	return (len + 3) & ~3u;
}

static int read_block(struct capture *c, struct block *ret_block)
{
	const uint8_t *p;
	uint32_t total, shown;
	int r;

	r = capture_need(c, BLOCK_HEADER, "block header", &p);
	if (r < 0)
		return r;
	ret_block->type = get_32(p, c->big_endian);
	if (get_be32(p) == PCAPNG_SECTION) {
		r = section_order(c);
		if (r < 0)
			return r;
		r = capture_need(c, BLOCK_HEADER, "block header", &p);
		if (r < 0)
			return r;
		ret_block->type = PCAPNG_SECTION;
	}
	total = get_32(p + 4, c->big_endian);
	if (total < BLOCK_MIN || total > BLOCK_MAX)
		return capture_fail(c, -EBADMSG, "block of %u bytes: damaged", total);
	shown = padded(total) <= BLOCK_WHOLE ? padded(total) : BLOCK_WHOLE;
	r = capture_need(c, shown, "block", &p);
	if (r < 0)
		return r;
	if (shown == padded(total) && get_32(p + shown - BLOCK_TRAILER, c->big_endian) != total)
		return capture_fail(c, -EBADMSG, "block of %u bytes ends with another length",
				    total);
	ret_block->total = total;
	ret_block->body = p + BLOCK_HEADER;
	ret_block->body_total = padded(total) - BLOCK_MIN;
	ret_block->body_len = shown == padded(total) ? shown - BLOCK_MIN : shown - BLOCK_HEADER;
	c->pending = padded(total);
	return 0;
}

static int use_block(struct capture *c, const struct block *b, struct capture_frame *ret_frame)
{
	switch (b->type) {
	case PCAPNG_SECTION:
		return section_block(c, b);
	case BLOCK_INTERFACE:
		return interface_block(c, b);
	case BLOCK_PACKET:
	case BLOCK_ENHANCED:
		return packet_block(c, b, ret_frame);
	case BLOCK_SIMPLE:
		return simple_block(c, b, ret_frame);
	default:
		return 0;
	}
}

int pcapng_next(struct capture *c, struct capture_frame *ret_frame)
{
	for (;;) {
		struct capture_frame frame = {};
		struct block b;
		int r = capture_block_begin(c);

		if (r <= 0)
			return r;
		r = read_block(c, &b);
		if (r < 0)
			return r;
		r = use_block(c, &b, &frame);
		if (r > 0)
			*ret_frame = frame;
		if (r != 0)
			return r;
	}
}
