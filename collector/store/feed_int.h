/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed_int.h - what the files of feed.h share.
 */
#ifndef WEIR_COLLECTOR_STORE_FEED_INT_H
#define WEIR_COLLECTOR_STORE_FEED_INT_H

#include "collector/store/feed.h"

#define CHUNK	      2048u /* rows of the engine's vectors */
#define FEED_PIECES   64u
#define FEED_ROWS     122880u /* that one statement inserts, about: a row group of the engine */
#define FEED_FUNCTION "rows_of_%s"

/* Some rows of a block, which the store holds until the flush is over. */
struct feed_piece {
	const struct block *b;
	uint64_t number; /* of the block's row 0 */
	struct layout_rows rows;
	uint32_t *list; /* rows.rows, ours */
	bool ascii;	/* all of the block's text */
};

struct feed {
	struct feeder *feeder;
	duckdb_connection c;
	char catalog[32];
	duckdb_prepared_statement insert[_LT_MAX];
	bool any[_LT_MAX]; /* some piece has rows of it */
	uint32_t pieces;
	uint64_t rows;
	struct feed_piece piece[FEED_PIECES];
};

/* Where the engine is in the pieces of the current feed; one statement runs at a time. */
struct feed_scan {
	struct feeder *feeder;
	enum layout_table table;
	uint32_t piece;
	uint32_t done; /* of its rows */
	struct layout_rows rows;
	uint32_t list[BLOCK_ROWS];
};

struct feeder {
	duckdb_value none;    /* NULL */
	struct feed *current; /* whose statement runs; NULL: functions have no rows */
	struct feed_scan scan[_LT_MAX];
};

#endif
