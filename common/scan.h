/* SPDX-License-Identifier: Apache-2.0 */
/*
 * scan.h - numbers, sizes, durations and times from text: whole string, range checked. No locale.
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
 * scan_hex - hexadecimal digits, without 0x before them
 *
 * Return: 0, -EINVAL, -ERANGE.
 */
int scan_hex(const char *s, uint64_t max, uint64_t *ret);

/* Value of one digit, or -1. */
int scan_hex_digit(char c);

/**
 * scan_duration_ns - a decimal number with us, ms, s, m, h or d; several may follow each other (1h30m)
 *
 * Return: 0, -EINVAL (no number, or no unit), -ERANGE.
 */
int scan_duration_ns(const char *s, uint64_t min_ns, uint64_t max_ns, uint64_t *ret);

/**
 * scan_time_us - "2026-09-01T12:41:08.120113Z", or with an offset ("+02:00"); seconds may have a
 * fraction
 *
 * Return: 0 and microseconds since 1970 UTC, -EINVAL, -ERANGE: before 1970. Source: RFC 3339 5.6.
 */
int scan_time_us(const char *s, uint64_t *ret);

#endif
