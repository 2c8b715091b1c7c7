// SPDX-License-Identifier: Apache-2.0
#include "loader/capture/pcapng.h"

#include <endian.h>
#include <string.h>

/* Block types and options: sections 4.1 to 4.6 of the draft. */
enum {
	BLOCK_SECTION = 0x0a0d0d0a,
	BLOCK_INTERFACE = 1,
	BLOCK_STATISTICS = 5,
	BLOCK_PACKET = 6,
};

enum {
	OPT_END = 0,
	OPT_COMMENT = 1,
	SHB_OS = 3,
	SHB_APPLICATION = 4,
	IF_NAME = 2,
	IF_TSRESOL = 9,
	EPB_FLAGS = 2,
	EPB_VERDICT = 7,
	ISB_RECEIVED = 4,
	ISB_DROPPED = 5,
	ISB_TAKEN = 8, /* usrdeliv */
};

#define BYTE_ORDER_MAGIC  0x1a2b3c4du
#define LINKTYPE_ETHERNET 1
#define TSRESOL_NS	  9
#define ADDRESSES	  12u /* Ethernet's two, before the type */
#define TAG		  4u

struct out {
	uint8_t *buf;
	size_t n;
};

static void put(struct out *o, const void *p, size_t n)
{
	memcpy(o->buf + o->n, p, n);
	o->n += n;
}

static void put16(struct out *o, uint16_t v)
{
	v = htole16(v);
	put(o, &v, sizeof(v));
}

static void put32(struct out *o, uint32_t v)
{
	v = htole32(v);
	put(o, &v, sizeof(v));
}

static void put64(struct out *o, uint64_t v)
{
	v = htole64(v);
	put(o, &v, sizeof(v));
}

/* Up to a multiple of four. */
static void fill(struct out *o)
{
	while (o->n & 3)
		o->buf[o->n++] = 0;
}

static void begin(struct out *o, uint32_t type)
{
	put32(o, type);
	put32(o, 0); /* the length, by end() */
}

static size_t end(struct out *o)
{
	const uint32_t len = htole32((uint32_t)o->n + 4);

	memcpy(o->buf + 4, &len, sizeof(len));
	put(o, &len, sizeof(len));
	return o->n;
}

static void option(struct out *o, uint16_t code, const void *p, size_t n)
{
	put16(o, code);
	put16(o, (uint16_t)n);
	put(o, p, n);
	fill(o);
}

static void option_text(struct out *o, uint16_t code, const char *text)
{
	if (text && *text)
		option(o, code, text, strnlen(text, PCAPNG_TEXT_MAX));
}

static void option_u64(struct out *o, uint16_t code, uint64_t v)
{
	v = htole64(v);
	option(o, code, &v, sizeof(v));
}

size_t pcapng_section(uint8_t *buf, const char *application, const char *os, const char *comment)
{
	struct out o = {.buf = buf};

	begin(&o, BLOCK_SECTION);
	put32(&o, BYTE_ORDER_MAGIC);
	put16(&o, 1); /* version 1.0 */
	put16(&o, 0);
	put64(&o, UINT64_MAX); /* length of the section: not said */
	option_text(&o, OPT_COMMENT, comment);
	option_text(&o, SHB_OS, os);
	option_text(&o, SHB_APPLICATION, application);
	put32(&o, OPT_END);
	return end(&o);
}

size_t pcapng_interface(uint8_t *buf, const char *name, uint32_t snaplen)
{
	const uint8_t resolution = TSRESOL_NS;
	struct out o = {.buf = buf};

	begin(&o, BLOCK_INTERFACE);
	put16(&o, LINKTYPE_ETHERNET);
	put16(&o, 0);
	put32(&o, snaplen);
	option_text(&o, IF_NAME, name);
	option(&o, IF_TSRESOL, &resolution, 1);
	put32(&o, OPT_END);
	return end(&o);
}

/* The time of a block, in the interface's resolution: the upper half first. */
static void put_time(struct out *o, uint64_t ns)
{
	put32(o, (uint32_t)(ns >> 32));
	put32(o, (uint32_t)ns);
}

static void put_verdict(struct out *o, const struct pcapng_packet *p)
{
	const uint64_t v = htole64((uint64_t)p->verdict);
	uint8_t value[9] = {p->verdict_by};

	memcpy(value + 1, &v, sizeof(v));
	option(o, EPB_VERDICT, value, sizeof(value));
}

size_t pcapng_packet(uint8_t *buf, const struct pcapng_packet *p)
{
	const uint32_t tag = p->tag && p->len >= ADDRESSES ? TAG : 0, head = tag ? ADDRESSES : 0;
	const uint32_t flags = htole32(p->direction);
	struct out o = {.buf = buf};

	begin(&o, BLOCK_PACKET);
	put32(&o, p->iface);
	put_time(&o, p->ns);
	put32(&o, p->len + tag);
	put32(&o, p->wire_len + tag);
	put(&o, p->bytes, head);
	if (tag)
		put(&o, p->tag, tag);
	put(&o, p->bytes + head, p->len - head);
	fill(&o);
	if (p->direction)
		option(&o, EPB_FLAGS, &flags, sizeof(flags));
	if (p->verdict_by)
		put_verdict(&o, p);
	option_text(&o, OPT_COMMENT, p->comment);
	if (p->direction || p->verdict_by || (p->comment && *p->comment))
		put32(&o, OPT_END);
	return end(&o);
}

size_t pcapng_totals(uint8_t *buf, const struct pcapng_totals *t)
{
	struct out o = {.buf = buf};

	begin(&o, BLOCK_STATISTICS);
	put32(&o, t->iface);
	put_time(&o, t->ns);
	option_u64(&o, ISB_RECEIVED, t->received);
	option_u64(&o, ISB_DROPPED, t->dropped);
	option_u64(&o, ISB_TAKEN, t->taken);
	put32(&o, OPT_END);
	return end(&o);
}
