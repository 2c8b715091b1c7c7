// SPDX-License-Identifier: Apache-2.0
/*
 * columns.c - records of a set, numbers, addresses and times; see columns.h.
 */
#include "collector/ingest/columns_int.h"

#include <errno.h>
#include <string.h>

#include "common/ipfix_int.h"

#define IP4_MAPPED UINT64_C(0xffff00000000)

/* ---- where the records are ---- */

static uint32_t room_of(const struct template *t)
{
	const uint32_t n = t->anchors ? RECORD_REFS / t->anchors : RECORDS_AT_ONCE;

	return n < RECORDS_AT_ONCE ? n : RECORDS_AT_ONCE;
}

void records_begin(struct records *r, const struct template *t)
{
	r->n = 0;
	r->stride = room_of(t);
}

static int walk_fixed(struct records *r, const struct template *t, const uint8_t **p,
		      const uint8_t *end)
{
	const uint8_t *at = *p;

	while (r->n < RECORDS_AT_ONCE && (size_t)(end - at) >= t->min) {
		r->at[r->n++] = at;
		at += t->min;
	}
	*p = at;
	return 0;
}

/* One record with fields of variable length. Return: its end, NULL: beyond that of the set. */
static const uint8_t *walk_one(struct records *r, const struct template *t, const uint8_t *p,
			       const uint8_t *end)
{
	const uint32_t *fixed = t->fixed, *const behind = fixed + t->anchors;
	const uint32_t stride = r->stride;

	for (size_t ref = r->n; fixed < behind; fixed++, ref += stride) {
		uint32_t len;

		if ((size_t)(end - p) < *fixed + 1u)
			return NULL;
		p += *fixed;
		len = *p++;
		if (len == 255) {
			if (end - p < 2)
				return NULL;
			len = get16(p);
			p += 2;
		}
		if ((size_t)(end - p) < len)
			return NULL;
		p += len;
		r->end[ref] = p;
		r->len[ref] = (uint16_t)len;
	}
	return (size_t)(end - p) < *behind ? NULL : p + *behind;
}

int records_walk(struct records *r, const struct template *t, const uint8_t **p, const uint8_t *end)
{
	const uint8_t *at = *p;

	if (!t->anchors)
		return walk_fixed(r, t, p, end);
	while (r->n < r->stride && (size_t)(end - at) >= t->min) {
		const uint8_t *next = walk_one(r, t, at, end);

		if (!next)
			return -EBADMSG;
		r->at[r->n++] = at;
		*p = at = next;
	}
	return 0;
}

/* ---- numbers: see columns_number.c ---- */

static void fill_typecode(const struct fill *f, const struct template_op *op)
{
	const uint8_t *const *base = fill_base(f, op);

	for (uint32_t i = 0; i < f->r->n; i++) {
		const uint64_t v = fill_load(base[i] + op->off, op->len);

		BLOCK_COLUMN(f->b, uint8_t, BC_ICMP_TYPE)[f->row + i] = (uint8_t)(v >> 8);
		BLOCK_COLUMN(f->b, uint8_t, BC_ICMP_CODE)[f->row + i] = (uint8_t)v;
	}
	block_set_valid_range(f->b, BC_ICMP_TYPE, f->row, f->r->n);
	block_set_valid_range(f->b, BC_ICMP_CODE, f->row, f->r->n);
}

/* ---- addresses ---- */

static void fill_ip(const struct fill *f, const struct template_op *op)
{
	const uint8_t *const *base = fill_base(f, op);
	uint64_t *hi = BLOCK_COLUMN(f->b, uint64_t, op->to) + f->row;
	uint64_t *lo = BLOCK_COLUMN(f->b, uint64_t, op->to + 1) + f->row;
	const uint32_t n = f->r->n, off = op->off;

	if (op->len == 4) {
		for (uint32_t i = 0; i < n; i++) {
			hi[i] = 0;
			lo[i] = IP4_MAPPED | fill_load(base[i] + off, 4);
		}
	} else {
		for (uint32_t i = 0; i < n; i++) {
			hi[i] = fill_load(base[i] + off, 8);
			lo[i] = fill_load(base[i] + off + 8, 8);
		}
	}
	block_set_valid_range(f->b, op->to, f->row, n);
	block_set_valid_range(f->b, op->to + 1u, f->row, n);
}

/* Only where it is not zero: others may have filled those rows. */
static void fill_hop(const struct fill *f, const struct template_op *op)
{
	static const uint8_t none[16];

	for (uint32_t i = 0; i < f->r->n; i++) {
		const uint8_t *p = fill_base(f, op)[i] + op->off;

		if (!memcmp(p, none, op->len))
			continue;
		if (op->len == 4)
			block_put_ip4(f->b, op->to, f->row + i, (uint32_t)fill_load(p, 4));
		else
			block_put_ip(f->b, op->to, f->row + i, p);
	}
}

/* ---- times ---- */

/* END from START and how long it took. */
static void fill_lasts(const struct fill *f, const struct template_op *op)
{
	const uint8_t *const *base = fill_base(f, op);
	const int64_t unit = op->kind == EK_LASTS_MS ? 1000 : 1;

	for (uint32_t i = 0; i < f->r->n; i++) {
		const uint32_t row = f->row + i;
		const uint64_t v = fill_load(base[i] + op->off, op->len);
		const bool is = template_has(f->t, BC_START) &&
				block_is_valid(f->b, BC_START, row) && v <= UINT32_MAX;

		BLOCK_COLUMN(f->b, int64_t, BC_END)
		[row] = is ? BLOCK_COLUMN(f->b, int64_t, BC_START)[row] + (int64_t)v * unit : 0;
		fill_valid(f, BC_END, i, is);
	}
	fill_used(f, BC_END);
}

/* The exporter's start in each record: all of a set have the same. */
static void take_init(const struct fill *f, struct columns_cfg *cfg)
{
	for (unsigned int k = 0; k < f->t->ops_n; k++) {
		const struct template_op *op = &f->t->ops[k];
		uint64_t ms;

		if (op->kind != EK_INIT_MS)
			continue;
		ms = fill_load(fill_base(f, op)[0] + op->off, op->len);
		cfg->boot_known = ms && ms < (uint64_t)INT64_MAX / 1000;
		cfg->boot_us = cfg->boot_known ? (int64_t)ms * 1000 : 0;
	}
}

/* ---- sampling ---- */

static void fill_sampler(const struct fill *f, const struct template_op *op)
{
	const struct sampling *s = f->cfg->sampling;

	for (uint32_t i = 0; i < f->r->n; i++) {
		const uint64_t id = fill_load(fill_base(f, op)[i] + op->off, op->len);
		uint32_t rate = 0, k = 0;

		while (s && k < s->n && s->sampler[k].id != id)
			k++;
		if (s && k < s->n)
			rate = s->sampler[k].rate;
		BLOCK_COLUMN(f->b, uint32_t, BC_SAMPLING)[f->row + i] = rate;
		/* sampler 0 is none; one whose rate was not told yet is "unknown" */
		fill_valid(f, BC_SAMPLING, i, id || rate);
	}
	fill_used(f, BC_SAMPLING);
}

static void forget_if_none(struct block *b, enum block_column hi, uint32_t row)
{
	const uint64_t lo = BLOCK_COLUMN(b, uint64_t, hi + 1)[row];

	/* 0.0.0.0, or :: */
	if (BLOCK_COLUMN(b, uint64_t, hi)[row] || (lo && lo != UINT64_C(0xffff) << 32))
		return;
	b->valid[hi][row / 64] &= ~(UINT64_C(1) << row % 64);
	b->valid[hi + 1][row / 64] &= ~(UINT64_C(1) << row % 64);
}

/*
 * weir's verdicts. forwardingStatus says less of the same. A verdict without reason is of packets that
 * were dropped before they were in a flow.
 */
static void find_dropped(const struct fill *f)
{
	struct block *b = f->b;

	for (uint32_t row = f->row; row < f->row + f->r->n; row++) {
		if (!block_is_valid(b, BC_VERDICT, row))
			continue;
		b->valid[BC_FORWARDING][row / 64] &= ~(UINT64_C(1) << row % 64);
		if (block_is_valid(b, BC_REASON, row))
			continue;
		BLOCK_COLUMN(b, uint8_t, BC_REASON)[row] = FLOW_DROPPED;
		block_set_valid(b, BC_REASON, row);
		if (block_is_valid(b, BC_SRC_HI, row))
			forget_if_none(b, BC_SRC_HI, row);
		if (block_is_valid(b, BC_DST_HI, row))
			forget_if_none(b, BC_DST_HI, row);
		if (block_is_valid(b, BC_SRC_PORT, row) &&
		    !BLOCK_COLUMN(b, uint16_t, BC_SRC_PORT)[row])
			b->valid[BC_SRC_PORT][row / 64] &= ~(UINT64_C(1) << row % 64);
	}
}

static void (*const fills[_EK_MAX])(const struct fill *f, const struct template_op *op) = {
	[EK_NUMBER] = fill_number,
	[EK_INDEX] = fill_number,
	[EK_RATE] = fill_number,
	[EK_IP] = fill_ip,
	[EK_HOP] = fill_hop,
	[EK_NTP] = fill_time,
	[EK_MILLI] = fill_time,
	[EK_SECONDS] = fill_time,
	[EK_UPTIME] = fill_time,
	[EK_BEFORE_US] = fill_time,
	[EK_LASTS_MS] = fill_lasts,
	[EK_LASTS_US] = fill_lasts,
	[EK_OUT_FLAGS] = fill_flags,
	[EK_IN_FLAGS] = fill_flags,
	[EK_REASON] = fill_reason,
	[EK_TOS] = fill_changed,
	[EK_LABEL] = fill_changed,
	[EK_SEGMENT] = fill_changed,
	[EK_TTL] = fill_ttl,
	[EK_TYPECODE] = fill_typecode,
	[EK_US32] = fill_or_none,
	[EK_VNI] = fill_or_none,
	[EK_RCODE] = fill_or_none,
	[EK_SAMPLER] = fill_sampler,
	[EK_STRING] = fill_strings,
	[EK_BASICLIST] = fill_basic_lists,
	[EK_SUBTEMPLATELIST] = fill_queries,
};

void columns_fill(struct block *b, const struct columns_cfg *cfg, const struct template *t,
		  const struct records *r)
{
	struct columns_cfg own = *cfg;
	struct fill f = {.b = b, .cfg = &own, .t = t, .r = r, .row = b->rows};
	bool unknown = false;

	if (!r->n)
		return;
	take_init(&f, &own);
	for (unsigned int k = fill_windows(&f); k < t->ops_n; k++) {
		const struct template_op *op = &t->ops[k];

		unknown |= op->kind == EK_UNKNOWN;
		if (fills[op->kind])
			fills[op->kind](&f, op);
	}
	if (unknown)
		fill_unknown(&f);
	if (template_has(t, BC_VERDICT) && template_has(t, BC_REASON))
		find_dropped(&f);
	fill_finish(&f);
	b->rows += r->n;
}
