/* SPDX-License-Identifier: Apache-2.0 */
/*
 * store_rows.h - flows for tests and benchmarks of the store: the same for the same seed, skewed as
 * traffic is (few hosts make most flows), with names, sampling, IPv6 and rare columns now and then.
 */
#ifndef WEIR_TESTS_STORE_ROWS_H
#define WEIR_TESTS_STORE_ROWS_H

#include "collector/block.h"

struct rows {
	uint64_t state;	   /* of the random numbers */
	int64_t end_us;	   /* of the next flow */
	int64_t step_us;   /* between flows */
	uint32_t exporter; /* of the next flow; 1 .. exporters */
	uint32_t exporters;
	bool plain; /* addresses, ports and counts only */
	/* sums of all that were made */
	uint64_t n, out_bytes, in_bytes, out_packets, in_packets, est_bytes;
};

void rows_init(struct rows *r, uint64_t seed, int64_t first_end_us, int64_t step_us);

/* Up to @n more rows into the block; fewer: it is full. Return: how many. */
uint32_t rows_fill(struct rows *r, struct block *b, uint32_t n);

#endif
