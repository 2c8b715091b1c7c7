/* SPDX-License-Identifier: Apache-2.0 */
/*
 * rollup.h - sums kept while flows are written: by minute for nodes, interfaces, services, zones; by
 * five minutes for hosts, pairs and names. Windows are open in memory and written to state.db when
 * they are over; which are open, and from which batch on they are not written, is in state.db too, so
 * that their sums are read from the raw flows again when the store is opened. Coarser tables are made
 * of the finer ones, the same way. Writer thread.
 */
#ifndef WEIR_COLLECTOR_STORE_ROLLUP_H
#define WEIR_COLLECTOR_STORE_ROLLUP_H

#include "collector/store/store_int.h"

/* Columns of every roll-up table; in the order of struct rollup_counts. */
#define ROLLUP_COUNTS                                                                \
	"flows UBIGINT, out_packets UBIGINT, out_bytes UBIGINT, in_packets UBIGINT," \
	" in_bytes UBIGINT, est_packets UBIGINT, est_bytes UBIGINT"
#define ROLLUP_SUMS "flows, out_packets, out_bytes, in_packets, in_bytes, est_packets, est_bytes"

struct rollup_counts {
	uint64_t flows;
	uint64_t out_packets, out_bytes;
	uint64_t in_packets, in_bytes;
	uint64_t est_packets, est_bytes;
};

/* Which windows are kept apart. */
enum rollup_level {
	RL_1M,	 /* of raw flows, 60 s: dims */
	RL_HOST, /* of raw flows, 300 s: hosts, pairs, names */
	RL_5M,	 /* of rollup_1m */
	RL_1H,	 /* of rollup_5m */
	_RL_MAX
};

/* Dimensions of rollup_1m, _5m and _1h; the numbers are in the tables. */
enum rollup_dim {
	RD_INTERFACE = 1, /* stream << 32 | index: exporters, nodes and the total follow from it */
	RD_SERVICE = 2,	  /* proto << 16 | port: protocols follow; proto 256: not IP */
	RD_ZONE = 3,	  /* source << 16 | destination */
};

extern const uint32_t rollup_span[_RL_MAX];

/* Rows of a block that batch @batch will have. */
void rollup_add(struct rollup *r, const struct block *b, uint32_t batch);

/* Is a window over that nothing has been added to for a while? */
bool rollup_due(const struct rollup *r);

/* Write what is over, as part of the transaction of state_commit(). */
int rollup_save(struct rollup *r, uint32_t batch, char *error);

/* That transaction is durable. */
void rollup_saved(struct rollup *r);

/* Read open windows again. Before the writer runs. */
int rollup_recover(struct rollup *r, char *error);

/* All tables from the raw flows, where nothing is in them. Before the writer runs. */
int rollup_rebuild(struct rollup *r, char *error);

/* Write everything at the next save: the store is being closed. */
void rollup_close_all(struct rollup *r);

/* From and until when windows of @levels (a bit for each) are open: any thread. False: none is. */
bool rollup_open(struct rollup *r, uint32_t levels, int64_t *ret_from_s, int64_t *ret_to_s);

#endif
