/* SPDX-License-Identifier: Apache-2.0 */
/*
 * columns_int.h - what the files of columns.h share.
 */
#ifndef WEIR_COLLECTOR_INGEST_COLUMNS_INT_H
#define WEIR_COLLECTOR_INGEST_COLUMNS_INT_H

#include <endian.h>
#include <string.h>

#include "collector/block.h"
#include "collector/ingest/columns.h"
#include "collector/ingest/element.h"
#include "collector/ingest/template.h"
#include "common/ipfix_get.h"

/* Rows [row, row + r->n) of @b are being filled. */
struct fill {
	struct block *b;
	const struct columns_cfg *cfg;
	const struct template *t;
	const struct records *r;
	uint32_t row;
};

/* Starts of a fixed operation's values lie op->off behind these. */
static inline const uint8_t *const *fill_base(const struct fill *f, const struct template_op *op)
{
	return op->anchor ? f->r->end + (size_t)(op->anchor - 1) * f->r->stride : f->r->at;
}

/* The value of record @i, of any operation. */
static inline const uint8_t *fill_value(const struct fill *f, const struct template_op *op,
					uint32_t i, uint32_t *ret_len)
{
	const uint8_t *base = fill_base(f, op)[i];

	*ret_len = op->len;
	if (op->len != TEMPLATE_VARIABLE)
		return base + op->off;
	*ret_len = f->r->len[(size_t)(op->anchor - 1) * f->r->stride + i];
	return base - *ret_len;
}

/* Row @i of the fill has a value in column @c if @is. */
static inline void fill_valid(const struct fill *f, unsigned int c, uint32_t i, bool is)
{
	const uint32_t row = f->row + i;

	f->b->valid[c][row / 64] |= (uint64_t)is << row % 64;
}

static inline void fill_invalid(const struct fill *f, unsigned int c, uint32_t i)
{
	const uint32_t row = f->row + i;

	f->b->valid[c][row / 64] &= ~(UINT64_C(1) << row % 64);
}

/* Some row of column @c may have one. */
static inline void fill_used(const struct fill *f, unsigned int c)
{
	f->b->used[c / 64] |= UINT64_C(1) << c % 64;
}

/* An unsigned number of @len octets; constant lengths are one instruction. */
static inline uint64_t fill_load(const uint8_t *p, uint32_t len)
{
	uint64_t v64;
	uint32_t v32;
	uint16_t v16;

	switch (len) {
	case 1:
		return *p;
	case 2:
		memcpy(&v16, p, sizeof(v16));
		return be16toh(v16);
	case 4:
		memcpy(&v32, p, sizeof(v32));
		return be32toh(v32);
	case 8:
		memcpy(&v64, p, sizeof(v64));
		return be64toh(v64);
	default:
		return get_number(p, len);
	}
}

/* Numbers and times. */
void fill_number(const struct fill *f, const struct template_op *op);
void fill_ttl(const struct fill *f, const struct template_op *op);
void fill_or_none(const struct fill *f, const struct template_op *op);
void fill_changed(const struct fill *f, const struct template_op *op);
void fill_flags(const struct fill *f, const struct template_op *op);
void fill_reason(const struct fill *f, const struct template_op *op);
void fill_time(const struct fill *f, const struct template_op *op);

/* Numbers that stand beside each other. Return: how many of the template's operations that were, the first
 * ones; 0: too few records.
 */
unsigned int fill_windows(const struct fill *f);

/* Texts, lists, elements without a column. */
void fill_strings(const struct fill *f, const struct template_op *op);
void fill_basic_lists(const struct fill *f, const struct template_op *op);
void fill_queries(const struct fill *f, const struct template_op *op);
void fill_unknown(const struct fill *f);

/* What follows from other columns, or from the message. */
void fill_finish(const struct fill *f);

#endif
