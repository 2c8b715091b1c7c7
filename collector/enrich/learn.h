/* SPDX-License-Identifier: Apache-2.0 */
/*
 * learn.h - names of servers, learnt from what clients asked for: address to name, the latest counts.
 * Bounded: four places for each set of addresses, of which the one that was not seen for longest is
 * given away. A name holds for so long before and after the flow that had it. Any thread.
 */
#ifndef WEIR_COLLECTOR_ENRICH_LEARN_H
#define WEIR_COLLECTOR_ENRICH_LEARN_H

#include <stdint.h>

#define LEARN_NAME 120u /* octets; longer ones are not learnt */

struct learn;

struct learn_ip {
	uint64_t hi, lo;
};

/* @names: how many at most, rounded up to a power of two. NULL: no memory. */
struct learn *learn_new(uint32_t names);
struct learn *learn_free(struct learn *l); /* NULL is fine; returns NULL */

/* @us: when, microseconds since 1970. */
void learn_put(struct learn *l, struct learn_ip ip, const char *name, uint32_t len, int64_t us);

/* @ip will be put or asked for soon: its place begins to be fetched into the cache. */
void learn_fetch(const struct learn *l, struct learn_ip ip);

/**
 * learn_find - the name of an address
 * @keep_us: how far from @us it may have been seen
 * @ret:     LEARN_NAME octets
 *
 * Return: its length, 0: none.
 */
uint32_t learn_find(struct learn *l, struct learn_ip ip, int64_t us, int64_t keep_us, char *ret);

struct learn_stats {
	uint64_t names;	   /* places taken */
	uint64_t replaced; /* names that had to go for those of other addresses */
	uint64_t too_long; /* names that were not taken */
};

void learn_stats(const struct learn *l, struct learn_stats *ret);

#endif
