/* SPDX-License-Identifier: Apache-2.0 */
/*
 * units.h - numbers for people: grouped, with SI prefixes, durations. Any thread.
 */
#ifndef WEIR_COMMON_UNITS_H
#define WEIR_COMMON_UNITS_H

#include <stdint.h>

#define UNITS_TEXT 32u

/* "18,223,104" into @buf (UNITS_TEXT bytes). Return: @buf. */
const char *units_grouped(uint64_t v, char *buf);

/* "812.4 M", "71.2 k", "999". */
const char *units_si(uint64_t v, char *buf);

/* "2h14m", "3d4h", "41s". */
const char *units_duration(uint64_t ns, char *buf);

#endif
