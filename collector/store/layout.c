// SPDX-License-Identifier: Apache-2.0
/*
 * layout.c - see layout.h.
 */
#include "collector/store/layout.h"

#include <pthread.h>
#include <string.h>

static struct layout layouts[_LT_MAX] = {
	[LT_FLOWS] = {.name = "flows"},
	[LT_DNS] = {.name = "dns"},
	[LT_WEB] = {.name = "web"},
	[LT_MORE] = {.name = "more"},
};
static uint8_t shifts[_BC_MAX];
static pthread_once_t once = PTHREAD_ONCE_INIT;

static const struct {
	uint8_t table;
	bool packed;
	bool zero; /* 0 is no value */
	const char *pack;
} parts[_BP_MAX] = {
	[BP_MAIN] = {LT_FLOWS, false, false, NULL},
	[BP_FLAGS] = {LT_FLOWS, true, false, "flags"},
	[BP_HOPS] = {LT_FLOWS, true, false, "hops"},
	[BP_HELLO] = {LT_FLOWS, true, false, "hello"},
	[BP_PLACE] = {LT_FLOWS, true, false, "place"},
	[BP_GEO] = {LT_FLOWS, true, true, "geo"},
	[BP_ASN] = {LT_FLOWS, true, true, "asn"},
	[BP_DNS] = {LT_DNS, false, false, NULL},
	[BP_WEB] = {LT_WEB, false, false, NULL},
	[BP_COUNT] = {LT_MORE, false, true, NULL},
	[BP_MORE] = {LT_MORE, false, false, NULL},
};

static void add(enum layout_table t, const struct layout_column *c)
{
	layouts[t].column[layouts[t].n++] = *c;
}

static uint32_t width(enum block_column c)
{
	return block_columns[c].size * 8u + !parts[block_columns[c].part].zero;
}

static void make(void)
{
	uint32_t used[_BP_MAX] = {0};

	for (unsigned int t = 0; t < _LT_MAX; t++)
		add(t, &(struct layout_column){.name = "flow_id", .kind = LK_ROW, .type = BT_U64});
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		enum block_part p = block_columns[c].part;

		if (!parts[p].packed) {
			add(parts[p].table, &(struct layout_column){.name = block_columns[c].name,
								    .kind = LK_COLUMN,
								    .of = (uint8_t)c,
								    .type = block_columns[c].type});
			continue;
		}
		if (!used[p])
			add(parts[p].table, &(struct layout_column){.name = parts[p].pack,
								    .kind = LK_PACK,
								    .of = (uint8_t)p,
								    .type = BT_U64});
		shifts[c] = (uint8_t)used[p];
		used[p] += width(c);
	}
}

const struct layout *layout_of(enum layout_table t)
{
	pthread_once(&once, make);
	return &layouts[t];
}

enum layout_table layout_table_of(enum block_column c)
{
	return parts[block_columns[c].part].table;
}

bool layout_packed(enum block_column c)
{
	return parts[block_columns[c].part].packed;
}

void layout_bits(enum block_column c, uint32_t *ret_shift, uint32_t *ret_width, bool *ret_zero)
{
	pthread_once(&once, make);
	*ret_shift = shifts[c];
	*ret_width = width(c);
	*ret_zero = parts[block_columns[c].part].zero;
}

const char *layout_pack_name(enum block_part p)
{
	return parts[p].pack;
}

const char *layout_sql_type(enum block_type t)
{
	static const char *const names[] = {
		[BT_U8] = "UTINYINT", [BT_U16] = "USMALLINT", [BT_U32] = "UINTEGER",
		[BT_U64] = "UBIGINT", [BT_TIME] = "BIGINT",   [BT_STR] = "VARCHAR",
	};

	return names[t];
}

bool layout_part_used(const struct block *b, enum block_part p)
{
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (block_columns[c].part == p && block_is_used(b, c))
			return true;
	}
	return false;
}

/* Values are small, loops long: one per width, so that the compiler can do several at a time. */
#define PACK_LOOP(type)                                                                    \
	for (uint32_t i = 0; i < r->n; i++) {                                              \
		uint32_t row = r->rows ? r->rows[i] : r->from + i;                         \
		uint64_t has = valid[row / 64] >> (row % 64) & 1;                          \
                                                                                           \
		to[i] |= ((uint64_t)((const type *)b->data[c])[row] + one) * has << shift; \
	}

static void pack_column(const struct block *b, enum block_column c, const struct layout_rows *r,
			uint64_t *to)
{
	const uint64_t *valid = b->valid[c];
	uint32_t shift = shifts[c];
	uint64_t one = !parts[block_columns[c].part].zero;

	switch (block_columns[c].type) {
	case BT_U8:
		PACK_LOOP(uint8_t)
		break;
	case BT_U16:
		PACK_LOOP(uint16_t)
		break;
	default:
		PACK_LOOP(uint32_t)
		break;
	}
}

void layout_pack(const struct block *b, enum block_part p, const struct layout_rows *r,
		 uint64_t *to)
{
	pthread_once(&once, make);
	memset(to, 0, r->n * sizeof(*to));
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (block_columns[c].part == p && block_is_used(b, c))
			pack_column(b, c, r, to);
	}
}

/* Rows where a count is there and not 0. */
static void count_rows(const struct block *b, enum block_column c, uint64_t *bits)
{
	const uint32_t *v = b->data[c];

	for (uint32_t w = 0; w < (b->rows + 63) / 64; w++) {
		uint64_t valid = b->valid[c][w], set = 0;

		for (uint32_t i = 0; valid && i < 64; i++)
			set |= (uint64_t)(v[w * 64 + i] != 0) << i;
		bits[w] |= set & valid;
	}
}

bool layout_side_rows(const struct block *b, enum layout_table t, uint64_t *bits)
{
	uint64_t any = 0;

	memset(bits, 0, BLOCK_WORDS * sizeof(*bits));
	for (unsigned int c = 0; c < _BC_MAX; c++) {
		if (layout_table_of(c) != t || !block_is_used(b, c))
			continue;
		if (block_columns[c].part == BP_COUNT) {
			count_rows(b, c, bits);
			continue;
		}
		for (uint32_t w = 0; w < BLOCK_WORDS; w++)
			bits[w] |= b->valid[c][w];
	}
	for (uint32_t w = 0; w < BLOCK_WORDS; w++)
		any |= bits[w];
	return any != 0;
}
