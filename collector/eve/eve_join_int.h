/* SPDX-License-Identifier: Apache-2.0 */
/*
 * eve_join_int.h - what the two halves of eve_join.h share: alerts that wait (eve_join.c) and records that
 * have gone by (eve_past.c).
 */
#ifndef WEIR_COLLECTOR_EVE_JOIN_INT_H
#define WEIR_COLLECTOR_EVE_JOIN_INT_H

#include <pthread.h>
#include "collector/eve/eve_join.h"

/*
 * Two addresses in 16 bits, the same in both directions: most rows have no alert that could be theirs, and need
 * no more than this to see it.
 */
#define EVE_PLACES 65536u

static inline uint16_t eve_place(uint64_t src_hi, uint64_t src_lo, uint64_t dst_hi, uint64_t dst_lo)
{
	const uint64_t lo = src_lo ^ dst_lo, hi = src_hi ^ dst_hi;

	return (uint16_t)((lo * 0x9e3779b97f4a7c15u + hi * 0xc2b2ae3d27d4eb4fu) >> 48);
}

/* Lists of alerts that wait: all, as they came; and those that records gone by have yet to be looked through for. */
enum eve_list { EVE_ALL, EVE_FRESH, _EVE_LISTS };

struct eve_ends {
	struct eve_wait *first, *last;
};

struct eve_link {
	struct eve_wait *prev, *next;
};

/* An alert that waits. */
struct eve_wait {
	struct eve_wait *chain; /* of its bucket */
	struct eve_link link[_EVE_LISTS];
	uint64_t hash; /* of the tuple */
	uint64_t time_us, came_ms;
	uint8_t tuple[COMMUNITY_TUPLE];
	uint32_t source, sid;
	uint16_t place;
	uint8_t severity;
	bool fresh; /* in EVE_FRESH */
	uint32_t len[3];
	char text[]; /* signature, category, action */
};

/* Columns of a block that went by. */
struct eve_past {
	struct eve_past *next;
	uint64_t came_ms;
	size_t size;	  /* octets of all of it */
	uint16_t *places; /* of each row */
	struct block b;	  /* points behind it */
	_Alignas(16) uint8_t data[];
};

struct eve_join {
	struct eve_join_cfg cfg;
	pthread_mutex_t lock;
	struct eve_wait **buckets;
	uint32_t mask;
	struct eve_ends list[_EVE_LISTS];
	uint32_t waiting;
	uint32_t *places[_EVE_LISTS];	  /* how many wait at each */
	struct eve_past *past, *past_end; /* oldest first */
	uint64_t past_bytes, past_rows;
	uint64_t *seen;
	size_t seen_n;
	uint64_t (*counts)[_EC_MAX];
};

/* A copy of what may be asked of @b later; NULL: no memory, or the block is larger than the bound. */
struct eve_past *eve_past_new(const struct eve_join *j, const struct block *b, uint16_t *places);

/* Row @row of @p as a row of @to with the alert: 0, or -ENOSPC. */
int eve_past_again(const struct eve_past *p, uint32_t row, const struct eve_wait *w,
		   struct block *to);

/* The alert's columns. Return: 0, or -ENOSPC: there is no room for its texts. */
int eve_put_alert(struct block *b, uint32_t row, const struct eve_wait *w);

/* Does @w belong to this row? */
bool eve_is_of(const struct eve_join *j, const struct eve_wait *w, const struct block *b,
	       uint32_t row, const uint8_t *tuple);

#endif
