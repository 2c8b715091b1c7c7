// SPDX-License-Identifier: Apache-2.0
/*
 * test_replay_clock.c - what a replay makes of capture times: drains, pauses, disorder, steps back.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "loader/replay_clock.h"

TestSuite(replay_clock, .timeout = 120);

#define US	 UINT64_C(1000)
#define S	 UINT64_C(1000000000)
#define START_NS (1700000000 * S + 300 * 1000 * US)

static struct replay_clock begin(void)
{
	struct replay_clock c = {.interval = 1000000};

	cr_assert(replay_clock_step(&c, START_NS) == REPLAY_SAME);
	return c;
}

Test(replay_clock, drains_at_whole_intervals)
{
	struct replay_clock c = begin();
	int drains = 0;

	cr_assert(replay_clock_step(&c, START_NS + 699 * 1000 * US) == REPLAY_SAME);
	cr_assert(eq(u64, c.frame, START_NS / US + 699000));
	while (replay_clock_step(&c, START_NS + 2700 * 1000 * US) == REPLAY_DRAIN) {
		drains++;
		cr_assert(eq(u64, c.next_drain % 1000000, 0));
		replay_clock_drained(&c);
	}
	cr_assert(eq(int, drains, 3));
	cr_assert(eq(u64, c.frame, START_NS / US + 2700000));
	cr_assert(eq(u64, c.next_drain, START_NS / US + 3700000));
}

Test(replay_clock, drains_first_when_a_frame_is_on_the_boundary)
{
	struct replay_clock c = begin();

	cr_assert(replay_clock_step(&c, 1700000001 * S) == REPLAY_DRAIN);
	replay_clock_drained(&c);
	cr_assert(replay_clock_step(&c, 1700000001 * S) == REPLAY_SAME);
}

Test(replay_clock, lets_a_frame_out_of_order_keep_its_time)
{
	struct replay_clock c = begin();

	cr_assert(replay_clock_step(&c, START_NS - 50 * US) == REPLAY_SAME);
	cr_assert(eq(u64, c.frame, START_NS / US - 50));
	cr_assert(eq(u64, c.tick, START_NS / US), "the latest stays");
	cr_assert(replay_clock_step(&c, START_NS + 3 * US) == REPLAY_SAME);
	cr_assert(eq(u64, c.frame, START_NS / US + 3));
}

Test(replay_clock, gives_no_frame_a_time_before_the_last_drain)
{
	struct replay_clock c = begin();

	cr_assert(replay_clock_step(&c, 1700000001 * S + 9 * US) == REPLAY_DRAIN);
	replay_clock_drained(&c);
	cr_assert(replay_clock_step(&c, 1700000001 * S + 9 * US) == REPLAY_SAME);
	cr_assert(replay_clock_step(&c, 1700000001 * S - 5 * US) == REPLAY_SAME);
	cr_assert(eq(u64, c.frame, 1700000001 * S / US));
}

Test(replay_clock, skips_a_pause_in_which_nothing_can_happen)
{
	struct replay_clock c = begin();

	cr_assert(replay_clock_step(&c, START_NS + 86400 * S) == REPLAY_DRAIN);
	replay_clock_skip(&c, START_NS + 86400 * S);
	cr_assert(replay_clock_step(&c, START_NS + 86400 * S) == REPLAY_SAME);
	cr_assert(eq(u64, c.tick, START_NS / US + 86400000000));
}

Test(replay_clock, turns_a_step_back_into_a_pause)
{
	struct replay_clock c = begin();
	uint64_t back = START_NS - 3600 * S, pause;

	cr_assert(replay_clock_step(&c, START_NS - 999 * 1000 * US) == REPLAY_SAME);
	cr_assert(replay_clock_step(&c, back) == REPLAY_BACK);
	pause = replay_clock_pause(&c);
	cr_assert(eq(u64, pause, START_NS + REPLAY_PAUSE_NS));
	cr_assert(eq(u64, replay_clock_wall_ns(&c, c.tick), START_NS),
		  "wall clock as before, as yet");
	replay_clock_skip(&c, pause);
	replay_clock_shift(&c, pause, back);
	cr_assert(eq(u64, replay_clock_ns(&c, back), pause));
	cr_assert(replay_clock_step(&c, replay_clock_ns(&c, back)) == REPLAY_SAME);
	cr_assert(eq(u64, replay_clock_wall_ns(&c, c.tick), back));
	cr_assert(replay_clock_step(&c, replay_clock_ns(&c, back + 5 * US)) == REPLAY_SAME);
	cr_assert(eq(u64, replay_clock_wall_ns(&c, c.tick), back + 5 * US));
}

Test(replay_clock, keeps_ticks_whole_over_a_step_back)
{
	struct replay_clock c = begin();
	uint64_t back = 5 * S + 123 * US + 456, pause;

	cr_assert(replay_clock_step(&c, back) == REPLAY_BACK);
	pause = replay_clock_pause(&c);
	replay_clock_skip(&c, pause);
	replay_clock_shift(&c, pause, back);
	while (replay_clock_step(&c, replay_clock_ns(&c, back)) == REPLAY_DRAIN)
		replay_clock_drained(&c);
	cr_assert(eq(u64, replay_clock_wall_ns(&c, c.frame), 5 * S + 123 * US));
}

Test(replay_clock, survives_the_ends_of_time)
{
	struct replay_clock c = {.interval = 1000000};

	cr_assert(replay_clock_step(&c, 0) == REPLAY_SAME);
	cr_assert(replay_clock_step(&c, INT64_MAX) == REPLAY_DRAIN);
	replay_clock_skip(&c, INT64_MAX);
	cr_assert(replay_clock_step(&c, INT64_MAX) == REPLAY_SAME);
	cr_assert(replay_clock_step(&c, 0) == REPLAY_BACK);
}
