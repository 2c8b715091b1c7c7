/* SPDX-License-Identifier: Apache-2.0 */
/*
 * live.h - what the flows that have not ended are doing: a sweep over all that merge knows after each
 * drain, a slice at a time, as long as somebody wants to know.
 *
 * For each flow it keeps how much of what waits for the next record it has told already. What is
 * told is therefore exact: each packet once, in the sweep after it came or when its record is
 * written, whichever is first. One thread (the drain's).
 */
#ifndef WEIR_LOADER_CONTROL_LIVE_H
#define WEIR_LOADER_CONTROL_LIVE_H

#include "common/flow.h"
#include "loader/merge.h"

/* What came of one flow since it was last told of, and how: [0] src to dst, [1] back. */
struct live_news {
	uint64_t packets[2];
	uint64_t bytes[2];
	uint64_t copied_packets
		[2]; /* found to be in another record too: may be of packets told before */
	uint64_t copied_bytes[2];
	uint32_t ref;
	bool live; /* seen by the sweep; else it has just been written */
};

typedef void (*live_fn)(void *arg, const struct flow_record *r, const struct live_news *news);

struct live {
	struct merge *merge;
	uint32_t max;
	struct live_counted *counted; /* by flow number; NULL: nobody wants to know */
	live_fn tell;
	void *arg;
	bool sweeping;
	uint32_t at;
	uint64_t sweeps;     /* complete ones since it was switched on; the first has no rate */
	uint64_t started_ns; /* the sweep under way or the last one; monotonic */
	uint64_t prev_ns;    /* the one before */
};

/**
 * live_init - switched off
 * @max:  flows that merge has room for
 * @tell: called for each flow of a sweep, and for each record
 */
void live_init(struct live *l, struct merge *m, uint32_t max, live_fn tell, void *arg);
void live_done(struct live *l);

/* Bytes that it takes while it is on. */
uint64_t live_memory(uint32_t max);

/* Switch it on or off. Return: 0 or -ENOMEM. */
int live_want(struct live *l, bool on);

/* A record has been written: call it from merge's emit(). */
void live_record(struct live *l, const struct flow_record *r);

/* Begin a sweep, unless one is under way. */
void live_begin(struct live *l, uint64_t now_ns);

/* Look at some flows. Return: true: this was the last slice of a sweep. */
bool live_step(struct live *l);

#endif
