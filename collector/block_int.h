/* SPDX-License-Identifier: Apache-2.0 */
/*
 * block_int.h - what the files of block.h share.
 */
#ifndef WEIR_COLLECTOR_BLOCK_INT_H
#define WEIR_COLLECTOR_BLOCK_INT_H

#include "collector/block.h"

#define LIST_SEPARATOR	0x1f /* between the elements of a list */
#define QUERY_SEPARATOR 0x1e /* between the members of a query */

/* A block that has no rows yet: validity of the columns that were used, and counts. */
void block_reset(struct block *b);

#endif
