// SPDX-License-Identifier: Apache-2.0
/*
 * replay_clock.c - when to drain, and what to make of frames out of order.
 */
#include "loader/replay_clock.h"

/* Frames of several queues are out of order by less than this; steps of a clock are greater. */
#define REORDER_TICKS (1000000000u / REPLAY_TICK_NS)

static uint64_t whole_interval_after(const struct replay_clock *c, uint64_t tick)
{
	uint64_t n = tick / c->interval;

	return n < UINT64_MAX / c->interval ? (n + 1) * c->interval : UINT64_MAX;
}

enum replay_step replay_clock_step(struct replay_clock *c, uint64_t ns)
{
	uint64_t tick = ns / REPLAY_TICK_NS;

	if (!c->running) {
		c->running = true;
		c->tick = c->frame = tick;
		c->floor = tick > REORDER_TICKS ? tick - REORDER_TICKS : 0;
		c->next_drain = whole_interval_after(c, tick);
		return REPLAY_SAME;
	}
	if (tick < c->tick) {
		c->frame = tick > c->floor ? tick : c->floor;
		return c->tick - tick < REORDER_TICKS ? REPLAY_SAME : REPLAY_BACK;
	}
	if (tick >= c->next_drain)
		return REPLAY_DRAIN;
	c->tick = c->frame = tick;
	return REPLAY_SAME;
}

void replay_clock_drained(struct replay_clock *c)
{
	c->tick = c->floor = c->next_drain;
	c->next_drain = whole_interval_after(c, c->tick);
}

void replay_clock_skip(struct replay_clock *c, uint64_t ns)
{
	uint64_t tick = ns / REPLAY_TICK_NS;

	if (tick > c->tick)
		c->tick = tick;
	c->floor = c->tick;
	c->next_drain = whole_interval_after(c, c->tick);
}

uint64_t replay_clock_ns(const struct replay_clock *c, uint64_t capture_ns)
{
	return capture_ns + c->shift_ns;
}

uint64_t replay_clock_wall_ns(const struct replay_clock *c, uint64_t tick)
{
	return tick * REPLAY_TICK_NS - c->shift_ns;
}

uint64_t replay_clock_pause(const struct replay_clock *c)
{
	return c->tick * REPLAY_TICK_NS + REPLAY_PAUSE_NS;
}

void replay_clock_shift(struct replay_clock *c, uint64_t ns, uint64_t capture_ns)
{
	/* whole ticks, so that a tick is the same microsecond as in the capture, and none before @ns */
	c->shift_ns = (ns - capture_ns + REPLAY_TICK_NS - 1) / REPLAY_TICK_NS * REPLAY_TICK_NS;
}
