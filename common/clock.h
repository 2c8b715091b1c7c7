/* SPDX-License-Identifier: Apache-2.0 */
/*
 * clock.h - ticks of the packet path to wall clock; the only place that converts.
 *
 * A tick is a jiffy (live) or a microsecond (replay). Maps and rings carry the low 32 bits; the
 * owner of the clock says now and then what the full tick and the wall clock are, and times are
 * unwrapped relative to that. One thread owns a clock.
 */
#ifndef WEIR_COMMON_CLOCK_H
#define WEIR_COMMON_CLOCK_H

#include <stdint.h>

struct clock {
	uint64_t tick_ns;     /* length of a tick */
	uint64_t now_tick;    /* the latest reading, all 64 bits */
	uint64_t now_wall_ns; /* the same moment, ns since 1970 UTC */
};

/**
 * clock_set - take a new reading
 * @tick: full tick count; @wall_ns: the same moment in ns since 1970 UTC
 *
 * Call it before each drain, and in a replay before ticks wrap (4,294 s) without one.
 */
static inline void clock_set(struct clock *c, uint64_t tick, uint64_t wall_ns)
{
	c->now_tick = tick;
	c->now_wall_ns = wall_ns;
}

/* A packet may be a little younger than the reading: so much of the range lies in the future. */
#define CLOCK_AHEAD (UINT32_C(1) << 28)

/**
 * clock_unwrap - all 64 bits of a tick seen at most 2^32 - 2^28 ticks ago
 *
 * Return: full tick; 0 when that would lie before tick 0.
 */
static inline uint64_t clock_unwrap(const struct clock *c, uint32_t tick)
{
	uint64_t top = c->now_tick + CLOCK_AHEAD;
	uint32_t age = (uint32_t)top - tick;

	return top > age ? top - age : 0;
}

/**
 * clock_wall_ns - wall clock of a full tick
 *
 * Return: ns since 1970 UTC; 0 when that would lie before 1970.
 */
uint64_t clock_wall_ns(const struct clock *c, uint64_t tick);

/**
 * clock_ticks - a duration in ticks, rounded up, at least 1
 */
uint64_t clock_ticks(const struct clock *c, uint64_t ns);

#endif
