// SPDX-License-Identifier: Apache-2.0
/*
 * batch_block.c - rows of an ingest block as a batch, as far as somebody asks: numbers widened, texts
 * where they are. What is a list becomes a record with that one member, row by row. node,
 * labels, iface and zones are numbers of the store's and absent here.
 */
#include <errno.h>
#include <string.h>

#include "collector/block.h"
#include "collector/query/column.h"
#include "collector/rules/engine_int.h"

#define ALPN_BYTES 1024u
#define LIST_MAX   64u

struct row_lists {
	struct flow_str strs[LIST_MAX];
	struct flow_query queries[FLOW_QUERIES_MAX];
	char alpn[ALPN_BYTES];
};

/* Column of a field in a block; -1: it has none of its own. */
static int column_of(enum flow_field f)
{
	return query_columns[f].column < _BC_MAX ? query_columns[f].column : -1;
}

/* ---- columns ---- */

/* Columns of blocks and batches are as long as a multiple of it. */
#define CHUNK 16u

#define WIDEN(type)                                                                            \
	static void widen_##type(uint64_t *restrict to, const type *restrict from, uint32_t n) \
	{                                                                                      \
		for (uint32_t i = 0; i < n; i += CHUNK)                                        \
			for (uint32_t k = 0; k < CHUNK; k++)                                   \
				to[i + k] = from[i + k];                                       \
	}
WIDEN(uint8_t)
WIDEN(uint16_t)
WIDEN(uint32_t)

static void widen(uint64_t *to, const struct block *b, enum block_column c, const uint32_t rows[2])
{
	switch (block_columns[c].size) {
	case 1:
		widen_uint8_t(to, BLOCK_COLUMN(b, const uint8_t, c) + rows[0], rows[1]);
		break;
	case 2:
		widen_uint16_t(to, BLOCK_COLUMN(b, const uint16_t, c) + rows[0], rows[1]);
		break;
	case 4:
		widen_uint32_t(to, BLOCK_COLUMN(b, const uint32_t, c) + rows[0], rows[1]);
		break;
	default:
		memcpy(to, BLOCK_COLUMN(b, const uint64_t, c) + rows[0], rows[1] * sizeof(*to));
	}
	if (block_columns[c].type == BT_TIME)
		for (uint32_t i = 0; i < rows[1]; i++)
			to[i] *= 1000;
}

static void widen_ips(uint64_t (*restrict to)[2], const uint64_t *restrict hi,
		      const uint64_t *restrict lo, uint32_t n)
{
	for (uint32_t i = 0; i < n; i += CHUNK) {
		for (uint32_t k = 0; k < CHUNK; k++) {
			to[i + k][0] = hi[i + k];
			to[i + k][1] = lo[i + k];
		}
	}
}

/* Bits of rows that the batch has. @rows: first, number. */
static void take_valid(uint64_t *to, const struct block *b, enum block_column c,
		       const uint32_t rows[2])
{
	for (uint32_t w = 0; w * 64 < rows[1]; w++) {
		to[w] = b->valid[c][rows[0] / 64 + w];
		if (rows[1] - w * 64 < 64)
			to[w] &= (UINT64_C(1) << (rows[1] - w * 64)) - 1;
	}
}

/* Adds those of 64 rows that are there. */
static void add_valid(uint64_t *restrict to, const uint64_t *restrict v, uint64_t valid)
{
	if (valid == UINT64_MAX) {
		for (uint32_t i = 0; i < 64; i++)
			to[i] += v[i];
		return;
	}
	for (; valid; valid &= valid - 1)
		to[__builtin_ctzll(valid)] += v[__builtin_ctzll(valid)];
}

/* packets, bytes: both directions; the way back may be missing. */
static void take_sum(struct batch_column *to, const struct block *b, enum block_column out,
		     const uint32_t rows[2])
{
	const enum block_column in = out + (BC_IN_PACKETS - BC_OUT_PACKETS);
	uint64_t valid[BATCH_WORDS];

	widen(to->numbers, b, out, rows);
	if (!block_is_used(b, in))
		return;
	take_valid(valid, b, in, rows);
	for (uint32_t w = 0; w * 64 < rows[1]; w++)
		add_valid(to->numbers + w * 64,
			  BLOCK_COLUMN(b, const uint64_t, in) + rows[0] + w * 64, valid[w]);
}

static void take_texts(struct batch_column *to, const struct block *b, enum block_column c,
		       const uint32_t rows[2])
{
	const struct block_str *s = BLOCK_COLUMN(b, const struct block_str, c) + rows[0];

	for (uint32_t w = 0; w * 64 < rows[1]; w++) {
		for (uint64_t rest = to->valid[w]; rest; rest &= rest - 1) {
			const uint32_t i = w * 64 + (uint32_t)__builtin_ctzll(rest);

			to->strs[i] = (struct flow_str){b->text + s[i].at, s[i].len};
		}
	}
}

/* The block's column that says of which rows there is something; -1: of none. */
static int source_of(const struct batch *to, enum flow_field f)
{
	const int from = f == FF_PACKETS ? BC_OUT_PACKETS
			 : f == FF_BYTES ? BC_OUT_BYTES
					 : column_of(f);

	if (from < 0 || !block_is_used(to->from, (enum block_column)from) ||
	    (to->columns[f].kind == BATCH_STR) != (block_columns[from].type == BT_STR))
		return -1;
	return from;
}

static void take_column(struct batch *to, enum flow_field f, const struct block *b,
			const uint32_t rows[2])
{
	struct batch_column *c = &to->columns[f];
	const int from = source_of(to, f);

	if (from < 0)
		return;
	if (f == FF_PACKETS || f == FF_BYTES)
		take_sum(c, b, (enum block_column)from, rows);
	else if (c->kind == BATCH_STR)
		take_texts(c, b, (enum block_column)from, rows);
	else if (c->kind == BATCH_IP)
		widen_ips(c->ips, BLOCK_COLUMN(b, const uint64_t, from) + rows[0],
			  BLOCK_COLUMN(b, const uint64_t, from + 1) + rows[0], rows[1]);
	else
		widen(c->numbers, b, (enum block_column)from, rows);
}

/* ---- lists ---- */

static struct flow_str text_at(const struct block *b, enum block_column c, uint32_t row)
{
	const struct block_str s = BLOCK_COLUMN(b, const struct block_str, c)[row];

	return (struct flow_str){b->text + s.at, s.len};
}

static void put_alpn(struct row_lists *l, struct flow_str s, struct flow_record *r)
{
	const uint32_t n = block_list(s.s, s.len, l->strs, LIST_MAX);
	uint32_t len = 0;

	for (uint32_t i = 0; i < n; i++) {
		if (l->strs[i].len > 255 || l->strs[i].len + 1 > ALPN_BYTES - len)
			break;
		l->alpn[len++] = (char)l->strs[i].len;
		if (l->strs[i].len)
			memcpy(l->alpn + len, l->strs[i].s, l->strs[i].len);
		len += l->strs[i].len;
	}
	r->tls_alpn = (struct flow_str){l->alpn, len};
}

static bool has(const struct block *b, enum block_column c, uint32_t row)
{
	return block_is_used(b, c) && block_is_valid(b, c, row);
}

static void put_list(struct row_lists *l, struct flow_str s, enum flow_field f,
		     struct flow_record *r)
{
	for (unsigned int i = 0; i < FLOW_LISTS; i++)
		if (flow_lists[i] == f)
			*flow_list(r, i) = (struct flow_strs){
				l->strs, block_list(s.s, s.len, l->strs, LIST_MAX)};
}

/* A record with this member alone; false: the row has none. */
static bool put_member(struct row_lists *l, const struct block *b, uint32_t row, enum flow_field f,
		       struct flow_record *r)
{
	const int c = column_of(f);

	if (flow_fields[f].type == FT_CID) {
		if (block_get_tuple(b, row, r))
			flow_set(r, FF_COMMUNITY_ID);
		return flow_has(r, FF_COMMUNITY_ID);
	}
	if (c < 0 || !has(b, (enum block_column)c, row))
		return false;
	flow_set(r, f);
	switch (flow_fields[f].type) {
	case FT_ALPN:
		put_alpn(l, text_at(b, (enum block_column)c, row), r);
		break;
	case FT_QUERIES: {
		const struct flow_str s = text_at(b, (enum block_column)c, row);

		r->dns_queries = (struct flow_queries){
			l->queries, block_queries(s.s, s.len, l->queries, FLOW_QUERIES_MAX)};
		break;
	}
	case FT_VLAN:
		r->vlan[0] = BLOCK_COLUMN(b, const uint16_t, BC_VLAN)[row];
		if (has(b, BC_VLAN1, row))
			r->vlan[1] = BLOCK_COLUMN(b, const uint16_t, BC_VLAN1)[row];
		break;
	default:
		put_list(l, text_at(b, (enum block_column)c, row), f, r);
	}
	return true;
}

bool batch_ask_block(const struct batch *b, const struct batch_test *t, uint32_t row)
{
	const enum flow_field f = t->test->field;
	const int c = column_of(f);
	struct flow_record r = {};
	struct row_lists l;

	if (flow_fields[f].type != FT_CID &&
	    (c < 0 || !has(b->from, (enum block_column)c, b->at + row)))
		return t->test->type == TEST_EXISTS && t->test->negate;
	put_member(&l, b->from, b->at + row, f, &r);
	return filter_test(t->filter, t->test, &r);
}

void batch_load_valid(struct batch *b, enum flow_field f)
{
	const int from = source_of(b, f);

	b->columns[f].known = true;
	if (from >= 0)
		take_valid(b->columns[f].valid, b->from, (enum block_column)from,
			   (const uint32_t[2]){b->at, b->n});
}

void batch_load(struct batch *b, enum flow_field f)
{
	const uint32_t rows[2] = {b->at, b->n};

	batch_valid(b, f);
	b->columns[f].loaded = true;
	take_column(b, f, b->from, rows);
}

/* Rows that repeat a flow: see FLOW_IDS. */
static void find_again(struct batch *b)
{
	const uint8_t *reasons = BLOCK_COLUMN(b->from, const uint8_t, BC_REASON) + b->at;
	const uint8_t *p = reasons;

	if (!block_is_used(b->from, BC_REASON))
		return;
	while ((p = memchr(p, FLOW_IDS, b->n - (size_t)(p - reasons)))) {
		const uint32_t row = (uint32_t)(p++ - reasons);

		if (!block_is_valid(b->from, BC_REASON, b->at + row))
			continue;
		b->again[row / 64] |= UINT64_C(1) << (row % 64);
		b->any_again = true;
	}
}

uint32_t batch_take(struct batch *b, const struct block *from, uint32_t at)
{
	const uint32_t left = from->rows - at;

	b->from = from;
	b->at = at;
	b->n = left < BATCH_ROWS ? left : BATCH_ROWS;
	if (b->n) {
		widen(b->end, from, BC_END, (const uint32_t[2]){at, b->n});
		find_again(b);
	}
	return b->n;
}
