// SPDX-License-Identifier: Apache-2.0
#include "collector/alerts/proof.h"

#include <endian.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#define SETS 16384u
#define WAYS 4u
#define TCP  6u
/* The largest headers of IPv4 and TCP together: more octets a packet than that are payload. */
#define HEADERS_MAX 120u

struct entry {
	uint64_t tag; /* 0: free */
	uint64_t end_us;
};

struct proof {
	uint64_t seed[2];
	struct entry sets[SETS][WAYS]; /* a line each */
};

struct proof *proof_new(void)
{
	struct proof *p = calloc(1, sizeof(*p));

	if (p && getrandom(p->seed, sizeof(p->seed), 0) != sizeof(p->seed))
		p->seed[0] = (uint64_t)(uintptr_t)p;
	return p;
}

void proof_free(struct proof *p)
{
	free(p);
}

static uint64_t mix(uint64_t a, uint64_t b)
{
	const unsigned __int128 m = (unsigned __int128)a * b;

	return (uint64_t)m ^ (uint64_t)(m >> 64);
}

static uint64_t tag_of(const struct proof *p, uint64_t hi, uint64_t lo)
{
	const uint64_t h = mix(hi ^ p->seed[0] ^ UINT64_C(0x9e3779b97f4a7c15),
			       lo ^ p->seed[1] ^ UINT64_C(0xd1b54a32d192ed03));

	return mix(h, UINT64_C(0xff51afd7ed558ccd)) | 1;
}

static void note(struct proof *p, uint64_t tag, uint64_t end_us)
{
	struct entry *set = p->sets[tag >> 32 & (SETS - 1)], *to = set;

	for (unsigned int i = 0; i < WAYS; i++) {
		if (set[i].tag == tag) {
			if (set[i].end_us < end_us)
				set[i].end_us = end_us;
			return;
		}
		if (set[i].end_us < to->end_us)
			to = &set[i];
	}
	*to = (struct entry){tag, end_us};
}

/* Both columns have values in this row. */
static bool has(const struct block *b, enum block_column c, uint32_t row)
{
	return block_is_used(b, c) && block_is_valid(b, c, row);
}

static bool proves(const struct block *b, uint32_t row)
{
	uint64_t packets;

	if (!has(b, BC_PROTO, row) || BLOCK_COLUMN(b, const uint8_t, BC_PROTO)[row] != TCP)
		return false;
	if (has(b, BC_STATE, row) && BLOCK_COLUMN(b, const uint8_t, BC_STATE)[row] == FLOW_CLOSED)
		return true;
	if (!has(b, BC_IN_PACKETS, row) || !has(b, BC_IN_BYTES, row))
		return false;
	packets = BLOCK_COLUMN(b, const uint64_t, BC_IN_PACKETS)[row];
	return packets > 1 &&
	       BLOCK_COLUMN(b, const uint64_t, BC_IN_BYTES)[row] > packets * HEADERS_MAX;
}

void proof_block(struct proof *p, const struct block *b)
{
	if (!block_is_used(b, BC_SRC_HI))
		return;
	for (uint32_t i = 0; i < b->rows; i++)
		if (block_is_valid(b, BC_SRC_HI, i) && proves(b, i))
			note(p,
			     tag_of(p, BLOCK_COLUMN(b, const uint64_t, BC_SRC_HI)[i],
				    BLOCK_COLUMN(b, const uint64_t, BC_SRC_HI + 1)[i]),
			     (uint64_t)BLOCK_COLUMN(b, const int64_t, BC_END)[i]);
}

bool proof_has(const struct proof *p, const uint8_t ip[16], uint64_t since_ns)
{
	uint64_t half[2], tag;
	const struct entry *set;

	memcpy(half, ip, sizeof(half));
	tag = tag_of(p, be64toh(half[0]), be64toh(half[1]));
	set = p->sets[tag >> 32 & (SETS - 1)];
	for (unsigned int i = 0; i < WAYS; i++)
		if (set[i].tag == tag)
			return set[i].end_us >= since_ns / 1000;
	return false;
}
