/* SPDX-License-Identifier: Apache-2.0 */
/*
 * feed.h - rows of blocks into the tables of one partition, as one transaction. Writer thread.
 */
#ifndef WEIR_COLLECTOR_STORE_FEED_H
#define WEIR_COLLECTOR_STORE_FEED_H

#include "collector/store/duck.h"
#include "collector/store/layout.h"

struct feed;
struct feeder;

/* The functions by which an engine reads blocks; one for a store. NULL: no memory. */
struct feeder *feeder_new(void);
struct feeder *feeder_free(struct feeder *r);

/* Make them known to an engine that was opened. Return: 0, -ENOMEM. */
int feeder_register(struct feeder *r, duckdb_connection c);

/**
 * feed_begin - begin a transaction
 * @db:      of the store
 * @catalog: name under which the partition is attached
 * @error:   STORE_ERROR octets, as in all of these
 */
int feed_begin(struct feeder *r, duckdb_database db, const char *catalog, char *error,
	       struct feed **ret);

/**
 * feed_rows - some rows of a block
 * @b:      stays as it is until feed_commit() or feed_abort()
 * @number: the row number of the block's row 0
 * @rows:   which; their row numbers are @number + place in the block
 */
int feed_rows(struct feed *f, const struct block *b, uint64_t number,
	      const struct layout_rows *rows, char *error);

/* Make them durable. @f is gone in any case. */
int feed_commit(struct feed *f, char *error);

/* Forget them. */
void feed_abort(struct feed *f);

#endif
