/* SPDX-License-Identifier: Apache-2.0 */
/*
 * sums.h - hash tables of sums by key, for the roll-ups: a key is one to four numbers. Entries lie
 * one behind the other, an open-addressed index with a part of each hash says where. Bounded: at the
 * bound the smaller three quarters become part of `other`. A table belongs to one thread.
 */
#ifndef WEIR_COLLECTOR_STORE_SUMS_H
#define WEIR_COLLECTOR_STORE_SUMS_H

#include <stdbool.h>
#include <stdint.h>
#include "collector/store/rollup.h"

#define SUMS_KEY_MAX 4u
#define SUMS_NUMBER  UINT64_C(0xffffff) /* of an entry, in the index */

struct sums {
	uint32_t words;	 /* of a key */
	uint32_t extra;	 /* words after the counts, of the caller; kept when tables grow */
	uint32_t stride; /* words of an entry */
	uint32_t max;	 /* of size */
	uint32_t n;
	uint32_t size;	 /* of the index: power of two, or 0; half of it may be entries */
	uint32_t shift;	 /* 64 less the bits of size */
	uint64_t *index; /* upper 40 bits of the hash, number of the entry + 1; 0: empty */
	uint64_t *entry; /* key, struct rollup_counts, extra */
	bool has_other;
	struct rollup_counts other;
};

/* @max: a power of two. */
void sums_init(struct sums *s, uint32_t words, uint32_t extra, uint32_t max);
void sums_done(struct sums *s);

uint64_t sums_hash(const uint64_t *key, uint32_t words);

/* Two hashes of a text, as a key of two words. */
void sums_hash_text(const char *p, uint32_t len, uint64_t ret[static 2]);

/* The hash of two things of their hashes. */
static inline uint64_t sums_mix(uint64_t a, uint64_t b)
{
	return (a ^ b >> 29) * UINT64_C(0x9e3779b97f4a7c15) ^ b;
}

/* Touch the place of a hash in the index, so that it is there when it is wanted. */
static inline void sums_prefetch(const struct sums *s, uint64_t hash)
{
	if (s->size)
		__builtin_prefetch(s->index + (hash >> s->shift));
}

/* The same for the entry, once the index is there. */
static inline void sums_prefetch_entry(const struct sums *s, uint64_t hash)
{
	const uint64_t slot = s->size ? s->index[hash >> s->shift] : 0;
	const uint64_t *e;

	if (!slot)
		return;
	e = s->entry + ((slot & SUMS_NUMBER) - 1) * s->stride;
	__builtin_prefetch(e, 1);
	__builtin_prefetch(e + 8, 1);
}

/**
 * sums_at - the entry of a key, made when it is not there
 * @hash: of the key; the same for the same key, always
 *
 * Return: its counts; the extra words follow them, 0 when the entry is new (flows is 0 until the
 * caller adds). When there is no memory: the counts of `other`, which have no extra words.
 */
struct rollup_counts *sums_at(struct sums *s, const uint64_t *key, uint64_t hash);

static inline bool sums_is_other(const struct sums *s, const struct rollup_counts *c)
{
	return c == &s->other;
}

static inline uint64_t *sums_extra(struct rollup_counts *c)
{
	return (uint64_t *)(c + 1);
}

static inline void counts_add(struct rollup_counts *to, const struct rollup_counts *c)
{
	to->flows += c->flows;
	to->out_packets += c->out_packets;
	to->out_bytes += c->out_bytes;
	to->in_packets += c->in_packets;
	to->in_bytes += c->in_bytes;
	to->est_packets += c->est_packets;
	to->est_bytes += c->est_bytes;
}

/* Leave about @keep entries, those with most est_bytes, fast. */
void sums_shrink(struct sums *s, uint32_t keep);

/* Leave the @keep entries with most est_bytes; the rest goes to `other`. */
void sums_prune(struct sums *s, uint32_t keep);

/* Key of entry number @i below s->n; its counts are behind it. */
static inline uint64_t *sums_entry(const struct sums *s, uint32_t i)
{
	return s->entry + (uint64_t)i * s->stride;
}

#endif
