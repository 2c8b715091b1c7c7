// SPDX-License-Identifier: Apache-2.0
/*
 * policy_prefix.c - addresses, networks and ranges as prefixes of 128 bits, as the records have them.
 */
#include <string.h>

#include "common/policy_int.h"

typedef unsigned __int128 u128;

static u128 load(const uint8_t ip[16])
{
	u128 v = 0;

	for (unsigned int i = 0; i < 16; i++)
		v = v << 8 | ip[i];
	return v;
}

static void store(u128 v, uint8_t ip[16])
{
	for (unsigned int i = 16; i-- > 0; v >>= 8)
		ip[i] = (uint8_t)v;
}

/* The largest prefix that begins at @lo and ends at @hi at the latest, again and again. */
static int range(const uint8_t from[16], const uint8_t to[16], prefix_fn *fn, void *arg)
{
	u128 lo = load(from), hi = load(to);
	uint8_t ip[16];
	int r = 0;

	for (;;) {
		unsigned int size = 0; /* log2 */

		while (size < 127 && !(lo & (((u128)1 << (size + 1)) - 1)) &&
		       lo + (((u128)1 << (size + 1)) - 1) <= hi)
			size++;
		store(lo, ip);
		r = fn(arg, ip, (uint8_t)(128 - size));
		lo += (u128)1 << size;
		if (r || !lo || lo > hi)
			return r;
	}
}

int policy_prefixes(const struct filter_value *v, prefix_fn *fn, void *arg)
{
	switch (v->type) {
	case FV_IP:
		return fn(arg, v->ip, 128);
	case FV_NET:
		return fn(arg, v->ip, (uint8_t)(v->prefix + (v->family == 4 ? 96 : 0)));
	default:
		return range(v->ip, v->ip_hi, fn, arg);
	}
}
