/* SPDX-License-Identifier: Apache-2.0 */
/*
 * counters.h - weir/counters.def as a table: names in lower case, as they are in answers and
 * metrics. Read-only.
 */
#ifndef WEIR_LOADER_CONTROL_COUNTERS_H
#define WEIR_LOADER_CONTROL_COUNTERS_H

struct counter_text {
	char name[32];
	const char *class; /* "SEEN", "LOST" ... */
	const char *help;
};

/* Indexed by enum counter; filled by counter_rows_init(). */
extern struct counter_text counter_rows[];
extern const unsigned int counter_rows_n;

/* Once, before the first use. */
void counter_rows_init(void);

#endif
