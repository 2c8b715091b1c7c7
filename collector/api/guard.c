// SPDX-License-Identifier: Apache-2.0
#include "collector/api/guard.h"

#include <string.h>

void guard_init(struct guard *g, uint64_t seed)
{
	*g = (struct guard){.seed = seed};
}

static uint32_t bucket_of(const struct guard *g, const uint8_t ip[16])
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	uint64_t half = 0, hash;

	if (memcmp(ip, mapped, sizeof(mapped)) != 0)
		memcpy(&half, ip, 8);
	else
		memcpy(&half, ip + 12, 4);
	hash = (half ^ g->seed) * UINT64_C(0x9e3779b97f4a7c15);
	return (uint32_t)(hash >> 32) % GUARD_BUCKETS;
}

unsigned int guard_bad(struct guard *g, const uint8_t ip[16], int64_t now_us)
{
	const uint32_t at = bucket_of(g, ip);

	if (now_us - g->v[at].since_us >= GUARD_WINDOW_US || now_us < g->v[at].since_us) {
		g->v[at].since_us = now_us;
		g->v[at].n = 0;
	}
	if (g->v[at].n < GUARD_TRIES) {
		g->v[at].n++;
		return 0;
	}
	return (unsigned int)((g->v[at].since_us + GUARD_WINDOW_US - now_us + 999999) / 1000000);
}
