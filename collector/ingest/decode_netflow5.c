// SPDX-License-Identifier: Apache-2.0
/*
 * decode_netflow5.c - NetFlow v5: a header of 24 octets and up to 30 records of 48, read as if a
 * template described them.
 */
#include <errno.h>

#include "collector/ingest/decoder_int.h"
#include "common/ipfix_get.h"

#define V5_HEADER 24u
#define V5_RECORD 48u

/* The record, in numbers that v9 has for the same (RFC 3954 section 8; 210 = padding). */
static const struct template_field fields[] = {
	{.element = 8, .len = 4},  {.element = 12, .len = 4},  {.element = 15, .len = 4},
	{.element = 10, .len = 2}, {.element = 14, .len = 2},  {.element = 2, .len = 4},
	{.element = 1, .len = 4},  {.element = 22, .len = 4},  {.element = 21, .len = 4},
	{.element = 7, .len = 2},  {.element = 11, .len = 2},  {.element = 210, .len = 1},
	{.element = 6, .len = 1},  {.element = 4, .len = 1},   {.element = 5, .len = 1},
	{.element = 16, .len = 2}, {.element = 17, .len = 2},  {.element = 9, .len = 1},
	{.element = 13, .len = 1}, {.element = 210, .len = 2},
};

static const struct template *record(struct decoder *d)
{
	const struct template def = {.n = sizeof(fields) / sizeof(fields[0]),
				     .version = TEMPLATE_V9};

	if (!d->v5)
		d->v5 = template_compile(d->cfg.own_pen, &def, fields);
	return d->v5;
}

int decode_netflow5(struct decoder *d, const struct source *from, const uint8_t *p, size_t len,
		    int64_t now_us)
{
	struct message m = {.d = d, .now_us = now_us};
	const struct template *t = record(d);
	uint32_t n, engine, rate;
	int r;

	if (len < V5_HEADER)
		return message_bad(&m, IC_SHORT);
	n = get16(p + 2);
	engine = get16(p + 20);
	if (len < V5_HEADER + n * V5_RECORD)
		return message_bad(&m, IC_LENGTH);
	m.s = t ? session_get(d, from, engine, INGEST_NETFLOW5) : NULL;
	if (!m.s) {
		d->count[t ? IC_TOO_MANY : IC_NO_MEMORY]++;
		return 0;
	}
	m.uptime = get32(p + 4);
	m.export_us = (int64_t)get32(p + 8) * 1000000 + get32(p + 12) / 1000;
	m.number = get32(p + 16);
	/* two bits of mode, then the interval; some set no mode */
	rate = get16(p + 22) & 0x3fff;
	m.s->sampling.rate = rate;
	__atomic_store_n(&m.s->e->rate, m.s->sampling.override ?: rate, __ATOMIC_RELAXED);
	message_begin(&m, len);
	r = decode_records(&m, t, p + V5_HEADER, n * V5_RECORD);
	message_end(&m);
	return r;
}
