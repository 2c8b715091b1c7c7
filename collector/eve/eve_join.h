/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_join.h - alerts of an IDS and the flows that they are of, whichever comes first. Both are remembered for
 * a time: an alert waits for the record of its flow, a record's columns are kept for an alert that comes late.
 * Each alert becomes part of one record: the first whose tuple is the alert's (community_tuple(), so what the
 * Community ID is a hash of) and whose span has the alert's time in it, a difference of clocks allowed for. A
 * record has one alert; the next one of that flow, and one that came late, get a record of their own, with
 * reason `ids` and without packets.
 *
 * Receiving threads give blocks, one thread gives alerts and takes records; a mutex is between them.
 */
#ifndef WEIR_COLLECTOR_EVE_JOIN_H
#define WEIR_COLLECTOR_EVE_JOIN_H

#include "collector/block.h"
#include "collector/eve/eve_line.h"

struct eve_join;

struct eve_join_cfg {
	uint64_t window_ms; /* how long an alert and a record are remembered */
	uint64_t skew_us;   /* of clocks */
	uint32_t waiting;   /* alerts */
	uint64_t history;   /* octets of columns that are kept */
	uint32_t sources;
};

/* Return: NULL: no memory. */
struct eve_join *eve_join_new(const struct eve_join_cfg *cfg);
void eve_join_free(struct eve_join *j); /* NULL is fine */

/**
 * eve_join_block - give its rows the alerts that wait for them, and remember it
 *
 * Before it is shared or sent. Any thread. @now_ms: a clock that only grows.
 */
void eve_join_block(struct eve_join *j, struct block *b, uint64_t now_ms);

/* An alert, of source @source; its texts are copied. One thread. */
void eve_join_alert(struct eve_join *j, const struct eve_alert *a, uint32_t source,
		    uint64_t now_ms);

/* Are there alerts that eve_join_late() has not looked for yet? The same thread. */
bool eve_join_is_fresh(struct eve_join *j);

/**
 * eve_join_late - look for the flows of new alerts among the records that came before them
 * @b: empty; further records of these flows
 *
 * The same thread. Where @b gets full the rest is looked for by the next call.
 */
void eve_join_late(struct eve_join *j, struct block *b);

/* Forget what is older than the window. The same thread. */
void eve_join_expire(struct eve_join *j, uint64_t now_ms);

/* These have been joined before: hashes of eve_join_hash(), sorted, taken over. Before the first alert. */
void eve_join_seen(struct eve_join *j, uint64_t *hashes, size_t n);
uint64_t eve_join_hash(const struct flow_record *r, uint32_t sid, uint64_t time_us);

struct eve_join_stats {
	uint32_t waiting;
	uint64_t rows, bytes; /* remembered */
	uint64_t span_ms;     /* for how long back */
};

void eve_join_stats(struct eve_join *j, uint64_t now_ms, struct eve_join_stats *ret);
/* Counts of a source that are made here. Any thread. */
uint64_t eve_join_count(struct eve_join *j, uint32_t source, enum eve_count c);

#endif
