// SPDX-License-Identifier: Apache-2.0
/*
 * clock.c - see clock.h.
 */
#include "common/clock.h"

uint64_t clock_wall_ns(const struct clock *c, uint64_t tick)
{
	if (tick >= c->now_tick)
		return c->now_wall_ns + (tick - c->now_tick) * c->tick_ns;

	uint64_t age = (c->now_tick - tick) * c->tick_ns;

	return age < c->now_wall_ns ? c->now_wall_ns - age : 0;
}

uint64_t clock_ticks(const struct clock *c, uint64_t ns)
{
	uint64_t t = ns / c->tick_ns + (ns % c->tick_ns != 0);

	return t ? t : 1;
}
