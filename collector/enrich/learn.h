/* SPDX-License-Identifier: Apache-2.0 */
/*
 * learn.h - names of addresses, learnt from what clients asked for there (TLS, HTTP) and from the answers
 * that DNS gave: address to name, the latest counts. Bounded: four places for each set of addresses,
 * of which the one that was learnt longest ago is given away. Any thread.
 *
 * What a client asked for holds for so long before and after the flow that had it. An answer holds from
 * when it was given until its TTL is over (a minute at least: clients keep it, and clocks differ), and
 * as long as a flow that began in that time goes on.
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

struct learn_name {
	const char *text;
	uint32_t len;
	uint32_t hold_s; /* of DNS: from @us until the answer's TTL is over; else 0 */
	uint8_t from;	 /* enum flow_named */
	int64_t us;	 /* when, microseconds since 1970 */
};

void learn_put(struct learn *l, struct learn_ip ip, const struct learn_name *name);

/* @ip will be put or asked for soon: its place begins to be fetched into the cache. */
void learn_fetch(const struct learn *l, struct learn_ip ip);

struct learnt {
	uint32_t len;
	uint32_t since_s; /* it holds for flows from here to there, seconds since 1970 */
	uint32_t until_s;
	uint8_t from;
	char text[LEARN_NAME];
};

/**
 * learn_find - the name of an address
 * @keep_us: how far from the flow that had it a name holds that a client asked for
 *
 * Return: its length, 0: none.
 */
uint32_t learn_find(struct learn *l, struct learn_ip ip, int64_t keep_us, struct learnt *ret);

/* A flow that has the answer of this address goes on until @us. Return: until when it holds now, seconds. */
uint32_t learn_extend(struct learn *l, struct learn_ip ip, int64_t us);

struct learn_stats {
	uint64_t names;	   /* places taken */
	uint64_t answers;  /* names learnt from DNS, again too */
	uint64_t replaced; /* names that had to go for those of other addresses */
	uint64_t too_long; /* names that were not taken */
};

void learn_stats(const struct learn *l, struct learn_stats *ret);

#endif
