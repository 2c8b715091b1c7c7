/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ops.h - what ingest asks of the store, and of whoever looks at blocks before the store does. Tests
 * and benchmarks put their own in place. Called from receiving threads.
 */
#ifndef WEIR_COLLECTOR_INGEST_OPS_H
#define WEIR_COLLECTOR_INGEST_OPS_H

#include <stdint.h>
#include "common/flow.h"

struct block;
struct store_exporter;

struct ingest_ops {
	/* As store_exporter(), store_committed(), store_interface(); any may be NULL: exporters are
	 * then numbered from 1.
	 */
	int (*exporter)(void *arg, const struct store_exporter *e, uint32_t *ret_id,
			uint32_t *ret_stream);
	int (*committed)(void *arg, uint32_t stream, uint64_t epoch, uint64_t *ret_to);
	int (*interface)(void *arg, uint32_t exporter, uint32_t index, struct flow_str name);
	/* A block is full, or old enough: before it goes to the writer. May add to its columns. */
	void (*before_send)(void *arg, struct block *b);
};

#endif
