/* SPDX-License-Identifier: Apache-2.0 */
/*
 * num_text.h - numbers, addresses and times as text, without printf: a record has forty of them.
 * Nothing is terminated by 0 unless said; any thread.
 */
#ifndef WEIR_COMMON_NUM_TEXT_H
#define WEIR_COMMON_NUM_TEXT_H

#include <stddef.h>
#include <stdint.h>

#define U64_TEXT  20u
#define IP_TEXT	  46u /* "ffff:ffff:ffff:ffff:ffff:ffff:255.255.255.255" and a 0 */
#define TIME_TEXT 28u /* "2026-09-01T12:41:08.120113Z" and a 0 */

/* Decimal digits of @v into @buf (U64_TEXT bytes). Return: their number. */
size_t u64_text(uint64_t v, char *buf);

/**
 * ip_text - an address as people write it
 * @ip:     16 bytes; IPv4 as ::ffff:a.b.c.d
 * @family: 4, 6, or 0: 4 when the address is mapped IPv4
 * @buf:    IP_TEXT bytes; terminated
 *
 * Return: length. Source: RFC 5952.
 */
size_t ip_text(const uint8_t ip[16], int family, char *buf);

/**
 * time_text - RFC 3339 in UTC with microseconds, cut, not rounded
 * @ns:  since 1970 UTC
 * @buf: TIME_TEXT bytes; terminated
 *
 * Return: length, always TIME_TEXT - 1.
 */
size_t time_text(uint64_t ns, char *buf);

#endif
