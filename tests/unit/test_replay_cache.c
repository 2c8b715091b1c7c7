// SPDX-License-Identifier: Apache-2.0
/*
 * test_replay_cache.c - entries of long ago stay old when the 32 bits of a tick come round.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/replay_cache.h"
#include "weir/lone_syn.h"

TestSuite(replay_cache, .timeout = 120);

#define MINUTE (60 * UINT64_C(1000000))

static struct flow_set sets[2];
static struct replay_cache cache = {.flows = sets, .slots = 2 * WEIR_WAYS};

static uint32_t age_at(uint64_t now, size_t slot, int d)
{
	return (uint32_t)now - sets[slot / WEIR_WAYS].way[slot % WEIR_WAYS].last[d];
}

static void put(size_t slot, uint64_t last0, uint64_t last1)
{
	struct flow_hot *h = &sets[slot / WEIR_WAYS].way[slot % WEIR_WAYS];

	h->tag = 1;
	h->last[0] = (uint32_t)last0;
	h->last[1] = (uint32_t)last1;
}

Test(replay_cache, keeps_what_is_young_as_it_is)
{
	uint64_t now = UINT64_C(0x5fffffff0); /* about to wrap */

	put(0, now - 9 * MINUTE, now);
	put(5, now - 5 * MINUTE, now - MINUTE);
	replay_cache_age(&cache, now, now + MINUTE / 2);
	cr_assert(eq(u32, age_at(now, 0, 0), 9 * MINUTE));
	cr_assert(eq(u32, age_at(now, 0, 1), 0));
	cr_assert(eq(u32, age_at(now, 5, 0), 5 * MINUTE));
	cr_assert(eq(u64, cache.aged, now + MINUTE / 2));
}

Test(replay_cache, holds_the_age_of_what_is_old)
{
	uint64_t now = UINT64_C(0x5fffffff0), later = now + 70 * MINUTE;

	put(0, now - 20 * MINUTE, now);
	replay_cache_age(&cache, now, later);
	cr_assert(eq(u32, age_at(later, 0, 0), REPLAY_AGE_TICKS));
	cr_assert(eq(u32, age_at(later, 0, 1), REPLAY_AGE_TICKS), "old by the pause alone");
	for (int i = 0; i < 20; i++) { /* for hours, step by step */
		replay_cache_age(&cache, later, later + 15 * MINUTE);
		later += 15 * MINUTE;
		cr_assert(eq(u32, age_at(later, 0, 0), REPLAY_AGE_TICKS));
	}
}

Test(replay_cache, survives_a_pause_of_years)
{
	uint64_t now = UINT64_C(1700000000000000),
		 later = now + UINT64_C(100) * 365 * 1440 * MINUTE;

	put(3, now - 1, now);
	replay_cache_age(&cache, now, later);
	cr_assert(eq(u32, age_at(later, 3, 0), REPLAY_AGE_TICKS));
	cr_assert(eq(u32, age_at(later, 3, 1), REPLAY_AGE_TICKS));
}

Test(replay_cache, a_lone_syn_has_a_time_of_one_direction_alone)
{
	const struct lone_syn syn = {.ports = 0x00020001};
	struct flow_hot *h = &sets[0].way[7];

	*h = (struct flow_hot){.tag = 1};
	lone_syn_pack(h, &syn);
	replay_cache_age(&cache, 1000 * MINUTE, 2000 * MINUTE);
	cr_assert(eq(u32, age_at(2000 * MINUTE, 7, 0), REPLAY_AGE_TICKS));
	cr_assert(eq(u32, h->last[1], 0x00020001), "the ports");
}

Test(replay_cache, leaves_free_slots_alone)
{
	sets[0].way[1] = (struct flow_hot){};
	replay_cache_age(&cache, 1000 * MINUTE, 2000 * MINUTE);
	cr_assert(eq(u32, sets[0].way[1].last[0], 0));
	cr_assert(sets[0].way[1].tag == 0);
}
