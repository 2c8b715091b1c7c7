/* SPDX-License-Identifier: Apache-2.0 */
/*
 * layout.h - how the columns of columns.def lie in the tables of a partition: one main table, in
 * which small numbers share columns, and one table for each kind of rare thing. Rows of all of them
 * have a number, `flow_id`: the batch in the upper 32 bits, the place in the batch in the lower.
 */
#ifndef WEIR_COLLECTOR_STORE_LAYOUT_H
#define WEIR_COLLECTOR_STORE_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>
#include "collector/block.h"

enum layout_table { LT_FLOWS, LT_DNS, LT_WEB, LT_MORE, _LT_MAX };

enum layout_kind {
	LK_ROW,	   /* the row number */
	LK_COLUMN, /* a column as it is */
	LK_PACK,   /* the columns of a part in 64 bits */
};

struct layout_column {
	const char *name;
	uint8_t kind;
	uint8_t of;   /* LK_COLUMN: enum block_column; LK_PACK: enum block_part */
	uint8_t type; /* enum block_type */
};

#define LAYOUT_COLUMNS_MAX 48u

struct layout {
	const char *name; /* of the table */
	uint32_t n;
	struct layout_column column[LAYOUT_COLUMNS_MAX];
};

const struct layout *layout_of(enum layout_table t);
enum layout_table layout_table_of(enum block_column c);

/* Is it part of a shared column? */
bool layout_packed(enum block_column c);

/* Place in its shared column. An absent value is 0; others are one more than they are unless @ret_zero. */
void layout_bits(enum block_column c, uint32_t *ret_shift, uint32_t *ret_width, bool *ret_zero);
const char *layout_pack_name(enum block_part p);

/* SQL type of a column's values. */
const char *layout_sql_type(enum block_type t);

/**
 * layout_pack - values of a shared column
 * @rows: numbers of the rows, or NULL: @n rows from @from
 */
struct layout_rows {
	const uint32_t *rows;
	uint32_t from;
	uint32_t n;
};

void layout_pack(const struct block *b, enum block_part p, const struct layout_rows *r,
		 uint64_t *to);

/* Has the block any value of the part? */
bool layout_part_used(const struct block *b, enum block_part p);

/* Rows of the block that a side table has: bitmap of BLOCK_WORDS. False: none. */
bool layout_side_rows(const struct block *b, enum layout_table t, uint64_t *bits);

#endif
