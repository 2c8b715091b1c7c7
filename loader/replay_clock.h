/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_clock.h - capture time as the packet path and the drain see it: microsecond ticks, and
 * drains at whole intervals. Pure; one owner.
 *
 * A frame that is a little older than one before it keeps its time, but none from before the last
 * drain. Where the capture
 * steps back further (captures put together, a clock that was set), ticks go on as after a pause in
 * which all flows end, and only their meaning as wall clock changes.
 */
#ifndef WEIR_LOADER_REPLAY_CLOCK_H
#define WEIR_LOADER_REPLAY_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

#define REPLAY_TICK_NS 1000u

/* The pause that stands for a step back: longer than any timeout. */
#define REPLAY_PAUSE_NS (960 * UINT64_C(1000000000))

struct replay_clock {
	uint64_t tick;	     /* latest, full */
	uint64_t frame;	     /* tick of the frame at hand */
	uint64_t floor;	     /* no frame has a tick below this */
	uint64_t next_drain; /* tick at or behind which a drain is due */
	uint64_t interval;   /* ticks between drains */
	uint64_t shift_ns;   /* replay time - capture time, modulo 2^64; 0 until time steps back */
	bool running;	     /* false until the first frame */
};

enum replay_step {
	REPLAY_SAME = 0, /* nothing to do before the frame; its tick is set */
	REPLAY_DRAIN,	 /* a drain is due: then replay_clock_drained(), and ask again */
	REPLAY_BACK,	 /* time steps back: drain up to replay_clock_pause(), then _shift() */
};

/* Replay time of a frame: its capture time, but for steps back. */
uint64_t replay_clock_ns(const struct replay_clock *c, uint64_t capture_ns);

/* Wall clock (capture time) of a tick. */
uint64_t replay_clock_wall_ns(const struct replay_clock *c, uint64_t tick);

/**
 * replay_clock_step - what must happen before a frame
 * @ns: its replay time
 */
enum replay_step replay_clock_step(struct replay_clock *c, uint64_t ns);

/* One interval on. */
void replay_clock_drained(struct replay_clock *c);

/* Nothing is left that another drain before @ns could change. */
void replay_clock_skip(struct replay_clock *c, uint64_t ns);

/* Replay time at the end of the pause that stands for a step back. */
uint64_t replay_clock_pause(const struct replay_clock *c);

/* Replay time @ns is capture time @capture_ns from now on. */
void replay_clock_shift(struct replay_clock *c, uint64_t ns, uint64_t capture_ns);

#endif
