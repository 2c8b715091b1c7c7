/* SPDX-License-Identifier: Apache-2.0 */
/*
 * dropped.h - the drain's part about policy: what verdicts did to the packets of flows, beside the
 * cache's entries, and the rows of packets that were dropped before they were in any flow. Nothing in the
 * kernel's tables is reset: totals last read are kept here (marks), differences go to the merge. Only
 * entries and rows that policy had to do with are touched. One thread, the drain's.
 */
#ifndef WEIR_LOADER_DROPPED_H
#define WEIR_LOADER_DROPPED_H

#include <stdbool.h>
#include <stdint.h>
#include "weir/abi.h"

struct clock;
struct dataplane;
struct ledger;
struct ledger_part;
struct merge;
struct merge_did;

/* Totals last read of a slot or a row. */
struct dropped_mark {
	uint64_t bytes;
	uint32_t packets;
	uint32_t of; /* slot: generation | woulds << 16; row: seq */
};

struct dropped;

/* How many marks there are for such tables; 0: they have no verdicts. */
uint64_t dropped_marks(const struct dataplane *dp);

/**
 * dropped_new - make the state
 * @ret: NULL where the tables have no verdicts
 *
 * Return: 0 or -ENOMEM.
 */
int dropped_new(const struct dataplane *dp, struct dropped **ret);
void dropped_free(struct dropped *d);
void dropped_use_ledger(struct dropped *d, struct ledger *l, struct ledger_part *p);
/* Forget what was read (replay). */
void dropped_forget(struct dropped *d);

/* The slot is another flow's from now on. */
void dropped_begin(struct dropped *d, uint32_t slot);

/* A copy of what stands beside a slot, made before the slot itself is copied. False: nothing. */
bool dropped_copy(const struct dropped *d, const struct flow_hot *h, uint32_t slot,
		  struct flow_dropped *ret);

/* What stands beside a slot, and its tenant. */
struct dropped_entry {
	uint32_t slot;
	uint32_t gen; /* generation of the tenant that it is of */
	const struct flow_dropped *now;
};

/**
 * dropped_delta - what came since it was last read
 * @was: NULL: the slot's own mark, which becomes @e; else a copy of it, of an earlier tenant
 *
 * Return: true, and *ret; false: nothing new.
 */
bool dropped_delta(struct dropped *d, const struct dropped_entry *e, const struct dropped_mark *was,
		   struct merge_did *ret);

/* The mark of a slot, for one whose totals are set aside. */
const struct dropped_mark *dropped_mark(const struct dropped *d, uint32_t slot);

/* Packets dropped before they were in a flow, as records. */
void dropped_rows(struct dropped *d, struct merge *m, const struct clock *c);

#endif
