/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_dirt.h - a block whose cells hold what was there before, as in one that is used again: whoever reads
 * a cell that is not valid, because it was 0 in a new block, is found out.
 */
#ifndef WEIR_TESTS_BLOCK_DIRT_H
#define WEIR_TESTS_BLOCK_DIRT_H

#include <string.h>
#include "collector/block.h"

/* Rows from b->rows on. Return: @b. */
static inline struct block *block_dirty(struct block *b)
{
	for (unsigned int c = 0; c < _BC_MAX; c++)
		memset((char *)b->data[c] + (size_t)b->rows * block_columns[c].size, 0xa5,
		       (size_t)(BLOCK_ROWS - b->rows) * block_columns[c].size);
	return b;
}

#endif
