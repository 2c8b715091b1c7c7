/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain_int.h - what the parts of the drain share: drain.c (the cache and the ring of entries that lost
 * their place), drain_name.c (the ring of names and payload).
 */
#ifndef WEIR_LOADER_DRAIN_INT_H
#define WEIR_LOADER_DRAIN_INT_H

#include "loader/drain.h"
#include "loader/dropped.h"
#include "loader/ledger.h"

#define BATCH 64u

/* Totals of a slot when it was last read. */
struct shadow {
	uint64_t bytes[2];
	uint32_t packets[2];
	uint32_t retransmits[2];
	uint32_t out_of_order[2];
	uint32_t zero_windows[2];
	uint32_t gen; /* 0 = never read, or settled by its final record */
	uint32_t flow_ref;
	uint32_t cold_changes; /* of flow_hot, when the cold half was read */
	uint8_t cold_settled;  /* it was read twice since, and says what it will say */
	uint8_t replaced;      /* with a ledger: a scan found another generation in the slot */
	uint16_t settled;      /* gen == 0: the generation whose final record has been read */
};

_Static_assert(sizeof(struct shadow) == LEDGER_SLOT_BYTES, "one cache line");

/* Totals of a generation that a scan found replaced, until its final record has been read. */
struct orphan {
	uint32_t slot;
	struct shadow s;
	struct dropped_mark mark; /* with verdicts */
};

struct drain {
	struct dataplane *dp;
	struct merge *merge;
	struct names *names;
	struct shadow *shadow;
	struct ledger *ledger;	  /* or NULL */
	struct ledger_part *part; /* of the ledger, holds shadow */
	size_t shadow_bytes;
	struct orphan *orphan; /* sorted by slot, as the scan finds them */
	size_t orphans, orphans_cap;
	struct dropped *dropped; /* with verdicts, else NULL */
	struct flow_dropped policed[BATCH];
	bool is_policed[BATCH]; /* of entries found changed: policed[] is set */
	struct merge_did did[BATCH];
	struct merge_delta delta[BATCH];
	struct flow_hot hot[BATCH]; /* of entries found changed: `taken` of them */
	uint32_t slot[BATCH];
	unsigned int taken;
	struct flow_cold cold[BATCH]; /* of entries that are read in full: `n` of them */
	unsigned int n;
	uint64_t packet_ns;    /* the packet path's fine clock, read for each batch */
	bool since_ever;       /* a scan passes over nothing */
	uint32_t scan_tick[3]; /* start of the last complete scans, the oldest first */
	unsigned int left; /* slots for the next scan; all, if the last one did not get to them */
	struct name_result name;
	void (*on_name)(void *arg, const struct name_result *name);
	void *on_name_arg;
	struct drain_stats stats;
};

/* ---- drain_name.c ---- */

/* The ring of events up to @end. Return: events read. */
unsigned int drain_events(struct drain *d, unsigned long end);

#endif
