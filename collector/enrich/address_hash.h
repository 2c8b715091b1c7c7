/* SPDX-License-Identifier: Apache-2.0 */
/*
 * address_hash.h - a keyed hash of an address for tables in memory. Pure but for the key.
 */
#ifndef WEIR_COLLECTOR_ENRICH_ADDRESS_HASH_H
#define WEIR_COLLECTOR_ENRICH_ADDRESS_HASH_H

#include <stdint.h>
#include <sys/random.h>

static inline uint64_t address_hash_key(void)
{
	uint64_t key = 0;

	/* without entropy it is 0: still a hash */
	(void)!getrandom(&key, sizeof(key), GRND_NONBLOCK);
	return key;
}

static inline uint64_t address_hash(uint64_t hi, uint64_t lo, uint64_t key)
{
	const unsigned __int128 m = (unsigned __int128)(hi ^ key ^ UINT64_C(0x9e3779b97f4a7c15)) *
				    (lo ^ UINT64_C(0xd6e8feb86659fd93) ^ (key << 32 | key >> 32));
	uint64_t h = (uint64_t)m ^ (uint64_t)(m >> 64);

	h ^= h >> 32;
	return h * UINT64_C(0x9e3779b97f4a7c15);
}

#endif
