/* SPDX-License-Identifier: Apache-2.0 */
/*
 * key_hash.h - keyed hash of a flow's key, for tables in userspace: nobody who does not know the
 * seed can aim at one place. Nine words by multiply and fold.
 */
#ifndef WEIR_LOADER_KEY_HASH_H
#define WEIR_LOADER_KEY_HASH_H

#include <stdint.h>
#include <string.h>
#include "weir/abi.h"

/* Both halves of a 64 x 64 bit product, folded. */
static inline uint64_t key_fold(uint64_t a, uint64_t b)
{
	unsigned __int128 p = (unsigned __int128)a * b;

	return (uint64_t)p ^ (uint64_t)(p >> 64);
}

static inline uint32_t key_hash_user(const struct flow_key *key, const uint64_t seed[2])
{
	uint64_t w[9];
	uint64_t h;

	memcpy(w, key, sizeof(w));
	h = key_fold(w[0] ^ seed[0], w[1] ^ seed[1]);
	h ^= key_fold(w[2] ^ seed[1], w[3] ^ h);
	h ^= key_fold(w[4] ^ seed[0], w[5] ^ h ^ seed[1]);
	h = key_fold(h ^ w[6], w[7] ^ seed[0]) ^ h;
	h = key_fold(h ^ w[8], h ^ seed[1]);
	return (uint32_t)(h ^ h >> 32);
}

_Static_assert(sizeof(struct flow_key) == 9 * sizeof(uint64_t), "key_hash_user takes nine words");

#endif
