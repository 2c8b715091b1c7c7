/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - numbers, sizes and durations from text: whole string, range checked. No locale.
 */
#ifndef WEIR_COMMON_SCAN_H
#define WEIR_COMMON_SCAN_H

#include <stdint.h>

/**
 * scan_u64 - a decimal number, optionally with k, M, G (1000) or Ki, Mi, Gi (1024)
 * @min, @max: inclusive
 *
 * Return: 0, -EINVAL (not a number), -ERANGE.
 */
int scan_u64(const char *s, uint64_t min, uint64_t max, uint64_t *ret);

/**
 * scan_duration_ns - a decimal number with ms, s, m, h or d; several may follow each other (1h30m)
 *
 * Return: 0, -EINVAL (no number, or no unit), -ERANGE.
 */
int scan_duration_ns(const char *s, uint64_t min_ns, uint64_t max_ns, uint64_t *ret);

#endif
