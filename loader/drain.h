/* SPDX-License-Identifier: Apache-2.0 */
/*
 * drain.h - reads the flow cache and the rings, and hands what changed to merge and name.
 *
 * Nothing in the cache is deleted or reset: for each slot the totals last read are kept here, and
 * the difference goes on. A generation that ended between two scans is settled by its final record
 * in the `evicted` ring, or had been read for good before (control.reap_before says up to when).
 * No system call; works on the mappings alone. One thread.
 */
#ifndef WEIR_LOADER_DRAIN_H
#define WEIR_LOADER_DRAIN_H

#include <stdbool.h>
#include <stdint.h>
#include "common/clock.h"
#include "loader/dataplane.h"
#include "loader/merge.h"
#include "loader/name/name.h"

struct drain;
struct ledger;
struct ledger_part;

/* Cumulative, never reset. */
struct drain_stats {
	uint64_t scans;
	uint64_t entries;     /* changed entries read by scans */
	uint64_t finals;      /* final records read from the ring */
	uint64_t torn;	      /* entries that changed hands while they were read: next scan */
	uint64_t bad_records; /* ring records that are not what they should be */
};

/* Bytes that a drain of so many slots takes when all have been used. */
uint64_t drain_memory(uint64_t slots);

/**
 * drain_new - make the state, see drain_memory(); touched as slots are used
 * @names: NULL = no names
 *
 * Return: 0 or -ENOMEM.
 */
int drain_new(struct dataplane *dp, struct merge *m, struct names *names, struct drain **ret);
void drain_free(struct drain *d);

/**
 * drain_use_ledger - keep the totals of slots in a ledger, and go on where it says
 * @l: the merge has it too
 * @p: one of l->part[], made for dp->slots. Before the first read
 */
void drain_use_ledger(struct drain *d, struct ledger *l, struct ledger_part *p);

/* Called for every name that userspace had to read: the kernel has decided nothing by it. NULL: nobody. */
void drain_on_name(struct drain *d, void (*fn)(void *arg, const struct name_result *name),
		   void *arg);

/**
 * drain_rings - read both rings up to where they are now
 *
 * Cheap when they are empty; call it often (a ring that fills up loses packets or names).
 * Return: records read.
 */
unsigned int drain_rings(struct drain *d);

/**
 * drain_scan - read every entry that changed, then the rings, and tell the packet path which
 * entries it may take over
 * @c: set to now by the caller
 */
void drain_scan(struct drain *d, const struct clock *c);

/* The same between scans, but for packets dropped before they were in a flow: those are told of at times. */
void drain_look(struct drain *d, const struct clock *c);

/**
 * drain_rest - what the last scan has left for the next one, when there will be none
 * @c: set to now by the caller
 */
void drain_rest(struct drain *d, const struct clock *c);

/**
 * drain_to_the_end - read everything once more, entry by entry, now that no packet comes any more
 * @c: set to now by the caller
 *
 * Return: true; false: a record is still being written, which does not happen when no program runs.
 */
bool drain_to_the_end(struct drain *d, const struct clock *c);

/* Forget all slots (replay, when the cache itself has been cleared). */
void drain_forget(struct drain *d);

const struct drain_stats *drain_stats(const struct drain *d);

#endif
