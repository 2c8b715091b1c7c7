// SPDX-License-Identifier: Apache-2.0
/*
 * columns_finish.c - columns that follow from others, or from the message; see columns.h.
 */
#include "collector/ingest/columns_int.h"

#define PROTO_ICMP   1
#define PROTO_ICMPV6 58

/* A number for all rows. */
static void all_rows(const struct fill *f, unsigned int c, int64_t v)
{
	int64_t *wide = BLOCK_COLUMN(f->b, int64_t, c) + f->row;
	uint32_t *narrow = BLOCK_COLUMN(f->b, uint32_t, c) + f->row;

	if (block_columns[c].size == 8)
		for (uint32_t i = 0; i < f->r->n; i++)
			wide[i] = v;
	else
		for (uint32_t i = 0; i < f->r->n; i++)
			narrow[i] = (uint32_t)v;
	block_set_valid_range(f->b, c, f->row, f->r->n);
}

static bool all_valid(const struct fill *f, unsigned int c)
{
	const uint32_t end = f->row + f->r->n;

	for (uint32_t row = f->row; row < end;) {
		const uint32_t next = (row | 63) + 1, stop = next < end ? next : end;
		const uint64_t want = UINT64_MAX >> (64 - (stop - row)) << row % 64;

		if ((f->b->valid[c][row / 64] & want) != want)
			return false;
		row = stop;
	}
	return true;
}

/* The flow's end chooses where it is kept: there is always one. */
static void finish_end(const struct fill *f)
{
	int64_t *end = BLOCK_COLUMN(f->b, int64_t, BC_END) + f->row;

	if (!template_has(f->t, BC_END)) {
		all_rows(f, BC_END, f->cfg->received_us);
		return;
	}
	if (all_valid(f, BC_END))
		return;
	for (uint32_t i = 0; i < f->r->n; i++) {
		if (block_is_valid(f->b, BC_END, f->row + i))
			continue;
		end[i] = f->cfg->received_us;
		block_set_valid(f->b, BC_END, f->row + i);
	}
}

static bool is_icmp(const struct fill *f, uint32_t i)
{
	const uint8_t proto = BLOCK_COLUMN(f->b, uint8_t, BC_PROTO)[f->row + i];

	return template_has(f->t, BC_PROTO) && (proto == PROTO_ICMP || proto == PROTO_ICMPV6);
}

/* Is there a record at all whose ports are none, or not only ports? */
static bool odd_ports(const struct fill *f, const uint16_t *src, const uint16_t *dst, bool two)
{
	const uint8_t *proto = BLOCK_COLUMN(f->b, uint8_t, BC_PROTO) + f->row;
	const bool has = template_has(f->t, BC_PROTO);
	uint32_t odd = 0;

	for (uint32_t i = 0; has && i < f->r->n; i++)
		odd |= (proto[i] == PROTO_ICMP) | (proto[i] == PROTO_ICMPV6);
	for (uint32_t i = 0; two && i < f->r->n; i++)
		odd |= !(src[i] | dst[i]);
	return odd;
}

/* Ports are set together; where an exporter has no place of its own for ICMP's type and code (v5, and
 * v9 of many) they are in the destination port.
 */
static void finish_ports(const struct fill *f)
{
	const uint16_t *src = BLOCK_COLUMN(f->b, uint16_t, BC_SRC_PORT) + f->row;
	const uint16_t *dst = BLOCK_COLUMN(f->b, uint16_t, BC_DST_PORT) + f->row;
	const bool two = template_has(f->t, BC_SRC_PORT) && template_has(f->t, BC_DST_PORT);

	if (!odd_ports(f, src, dst, two))
		return;
	for (uint32_t i = 0; i < f->r->n; i++) {
		const bool icmp = is_icmp(f, i);

		if (icmp || (two && !src[i] && !dst[i])) {
			fill_invalid(f, BC_SRC_PORT, i);
			fill_invalid(f, BC_DST_PORT, i);
		}
		if (!icmp || template_has(f->t, BC_ICMP_TYPE))
			continue;
		BLOCK_COLUMN(f->b, uint8_t, BC_ICMP_TYPE)[f->row + i] = (uint8_t)(dst[i] >> 8);
		BLOCK_COLUMN(f->b, uint8_t, BC_ICMP_CODE)[f->row + i] = (uint8_t)dst[i];
		block_set_valid(f->b, BC_ICMP_TYPE, f->row + i);
		block_set_valid(f->b, BC_ICMP_CODE, f->row + i);
	}
}

/* Templates for all protocols have them in all records. */
static void finish_icmp(const struct fill *f)
{
	for (uint32_t i = 0; i < f->r->n; i++) {
		if (is_icmp(f, i))
			continue;
		fill_invalid(f, BC_ICMP_TYPE, i);
		fill_invalid(f, BC_ICMP_CODE, i);
	}
}

/* What the records do not tell themselves; a configured rate is better than anything told. */
static void finish_sampling(const struct fill *f)
{
	const struct sampling *s = f->cfg->sampling;
	const uint32_t rate = !s ? 0 : s->override ? s->override : s->rate;
	const bool told = template_has(f->t, BC_SAMPLING) && !(s && s->override);

	for (uint32_t i = 0; rate && i < f->r->n; i++) {
		if (told && block_is_valid(f->b, BC_SAMPLING, f->row + i))
			continue;
		BLOCK_COLUMN(f->b, uint32_t, BC_SAMPLING)[f->row + i] = rate;
		fill_invalid(f, BC_SAMPLING, i);
		fill_valid(f, BC_SAMPLING, i, rate > 1);
		fill_used(f, BC_SAMPLING);
	}
}

/* Type 0 is one, where there is a name. */
static void finish_dns(const struct fill *f)
{
	for (uint32_t i = 0; i < f->r->n; i++)
		if (block_is_valid(f->b, BC_DNS_QNAME, f->row + i))
			block_set_valid(f->b, BC_DNS_QTYPE, f->row + i);
}

void fill_finish(const struct fill *f)
{
	all_rows(f, BC_EXPORTER, f->cfg->exporter);
	finish_end(f);
	finish_sampling(f);
	if (template_has(f->t, BC_SRC_PORT) || template_has(f->t, BC_DST_PORT))
		finish_ports(f);
	if (template_has(f->t, BC_ICMP_TYPE) && template_has(f->t, BC_PROTO))
		finish_icmp(f);
	if (template_has(f->t, BC_DNS_QNAME) && template_has(f->t, BC_DNS_QTYPE))
		finish_dns(f);
}
