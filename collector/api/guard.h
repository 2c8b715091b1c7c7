/* SPDX-License-Identifier: Apache-2.0 */
/*
 * guard.h - how often wrong tokens are taken from one address: a number a minute, beyond which the answer is to
 * wait. Tokens that are good are never kept out: who guesses finds none of 256 bits, and nobody is locked out
 * by a neighbour. Bounded memory; the caller's lock.
 */
#ifndef WEIR_COLLECTOR_API_GUARD_H
#define WEIR_COLLECTOR_API_GUARD_H

#include <stdbool.h>
#include <stdint.h>

#define GUARD_BUCKETS	1024u /* addresses share them by hash */
#define GUARD_TRIES	10u   /* a minute */
#define GUARD_WINDOW_US INT64_C(60000000)

struct guard {
	uint64_t seed;
	struct {
		int64_t since_us;
		uint32_t n;
	} v[GUARD_BUCKETS];
};

void guard_init(struct guard *g, uint64_t seed);

/**
 * guard_bad - a wrong token has come
 * @ip: whose, IPv4 as ::ffff:a.b.c.d; of IPv6 the /64
 *
 * Return: 0: it is told so; else the seconds after which one is told again.
 */
unsigned int guard_bad(struct guard *g, const uint8_t ip[16], int64_t now_us);

#endif
