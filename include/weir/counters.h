/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* counters.h - indexes into struct counter_row, from counters.def. */
#ifndef WEIR_COUNTERS_H
#define WEIR_COUNTERS_H

#include "weir/abi.h"

enum counter {
#define COUNTER(name, class, help) CNT_##name,
#include "weir/counters.def"
#undef COUNTER
	_CNT_MAX
};

_Static_assert(_CNT_MAX <= WEIR_CNT_SLOTS, "counter_row is full");

#endif
