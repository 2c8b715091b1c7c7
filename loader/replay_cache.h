/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_cache.h - a replay's own hand in the flow cache, between two packets, when no program
 * runs: entries of long ago are kept from looking young again when the 32 bits of a tick come
 * round (71 minutes of microseconds).
 */
#ifndef WEIR_LOADER_REPLAY_CACHE_H
#define WEIR_LOADER_REPLAY_CACHE_H

#include <stdint.h>

#include "loader/dataplane.h"

/* Age the cache at least this often, in ticks: a sixth of what 32 bits can tell. */
#define REPLAY_AGE_TICKS (600u * 1000000u)

struct replay_cache {
	struct flow_set *flows; /* the map, writable */
	size_t bytes;
	size_t slots;
	uint64_t aged; /* tick of the last ageing */
};

/* 0 or -errno. */
int replay_cache_open(struct replay_cache *rc, const struct dataplane *dp);
void replay_cache_close(struct replay_cache *rc);

/**
 * replay_cache_age - let entries be no older than REPLAY_AGE_TICKS at @to
 * @from: the latest tick that packets have seen; all entries have been drained since
 * @to:   the tick that comes next
 */
void replay_cache_age(struct replay_cache *rc, uint64_t from, uint64_t to);

#endif
