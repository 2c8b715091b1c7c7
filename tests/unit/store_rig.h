/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rig.h - a store in a folder of its own, for tests.
 */
#ifndef WEIR_TESTS_STORE_RIG_H
#define WEIR_TESTS_STORE_RIG_H

#include <sys/types.h>
#include "collector/store/schema.h"
#include "collector/store/store.h"
#include "store_rows.h"

struct store_rig {
	char dir[64];
	struct store_cfg cfg;
	struct block_pool *pool;
	struct store *s;
	char error[STORE_ERROR];
	int64_t from, to;  /* of store_rig_number() and store_rig_rollup() */
	char said[8][256]; /* complaints */
	uint32_t said_n;
	uint64_t committed[8]; /* by stream */
};

/* Open a store with exporters 1 to 3. False: there is no engine, the test is skipped. */
bool store_rig_open(struct store_rig *g, const struct store_cfg *cfg);

/* Close it and open it again. */
void store_rig_reopen(struct store_rig *g);
void store_rig_close(struct store_rig *g);
int store_rig_open_again(struct store_rig *g);
void store_rig_done(struct store_rig *g); /* the folder too */

/* @n flows in blocks, with marks of stream 1, epoch 7. */
void store_rig_send(struct store_rig *g, struct rows *rows, uint32_t n);

#define STORE_RIG_T0 INT64_C(1790000000000000)

/* 30,000 flows of an hour from STORE_RIG_T0 on and 10,000 of the next. */
void store_rig_fill_two(struct store_rig *g);

/* Write over @n octets at @at of the first file that @pattern finds. */
void store_rig_spoil(const struct store_rig *g, const char *pattern, off_t at, size_t n);

/* One number; %s is the FROM clause of all columns. */
uint64_t store_rig_number(struct store_rig *g, const char *sql);
uint64_t store_rig_rollup(struct store_rig *g, enum rollup_by by, uint32_t step, const char *what);

#endif
