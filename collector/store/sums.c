// SPDX-License-Identifier: Apache-2.0
/*
 * sums.c - see sums.h.
 */
#include "collector/store/sums.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE_MIN 64u /* entries */

_Static_assert(sizeof(struct rollup_counts) == 7 * sizeof(uint64_t), "an entry is words");

void sums_init(struct sums *s, uint32_t words, uint32_t extra, uint32_t max)
{
	*s = (struct sums){.words = words, .extra = extra, .max = max};
	s->stride = 1 + words + 7 + extra;
}

/* Memory of its own, so that it can be of huge pages: nearly every access is to another page. */
static uint64_t *table_new(const struct sums *s, uint32_t size)
{
	size_t bytes = (size_t)size * s->stride * sizeof(uint64_t);
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_HUGEPAGE);
	return p;
}

static void table_free(struct sums *s)
{
	if (s->entry)
		munmap(s->entry, (size_t)s->size * s->stride * sizeof(uint64_t));
}

void sums_done(struct sums *s)
{
	table_free(s);
	s->entry = NULL;
	s->size = s->n = 0;
}

static uint64_t mix(uint64_t h)
{
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	h ^= h >> 32;
	h *= UINT64_C(0xd6e8feb86659fd93);
	return h ^ h >> 32;
}

uint64_t sums_hash(const uint64_t *key, uint32_t words)
{
	uint64_t h = 0;

	for (uint32_t i = 0; i < words; i++)
		h = mix(h + key[i] + UINT64_C(0x9e3779b97f4a7c15));
	return h;
}

void sums_hash_text(const char *p, uint32_t len, uint64_t ret[static 2])
{
	uint64_t a = len, b = ~(uint64_t)len, word;

	for (; len >= 8; len -= 8, p += 8) {
		memcpy(&word, p, 8);
		a = (a ^ word) * UINT64_C(0xd6e8feb86659fd93);
		b = (b + word) * UINT64_C(0x9fb21c651e98df25);
		a ^= a >> 32;
		b ^= b >> 29;
	}
	word = 0;
	memcpy(&word, p, len);
	ret[0] = mix(a ^ word);
	ret[1] = mix(b + word);
}

static struct rollup_counts *counts_of(const struct sums *s, uint64_t *e)
{
	return (struct rollup_counts *)(e + 1 + s->words);
}

static bool same_key(const struct sums *s, const uint64_t *e, const uint64_t *key)
{
	for (uint32_t i = 0; i < s->words; i++) {
		if (e[1 + i] != key[i])
			return false;
	}
	return true;
}

/* The entry of the key, or the empty place for it. */
static uint64_t *find(const struct sums *s, const uint64_t *key, uint64_t hash)
{
	for (uint64_t i = hash & (s->size - 1);; i = (i + 1) & (s->size - 1)) {
		uint64_t *e = s->entry + i * s->stride;

		if (!e[0] || (e[0] == hash && same_key(s, e, key)))
			return e;
	}
}

/* All entries with est_bytes of @least or more into a table of @size. */
static bool rehash(struct sums *s, uint32_t size, uint64_t least)
{
	struct sums to = *s;

	to.entry = table_new(&to, size);
	if (!to.entry)
		return false;
	to.size = size;
	to.n = 0;
	for (uint32_t i = 0; i < s->size; i++) {
		uint64_t *e = s->entry + (uint64_t)i * s->stride;

		if (!e[0])
			continue;
		if (counts_of(s, e)->est_bytes < least) {
			counts_add(&to.other, counts_of(s, e));
			to.has_other = true;
			continue;
		}
		memcpy(find(&to, e + 1, e[0]), e, s->stride * sizeof(*e));
		to.n++;
	}
	table_free(s);
	*s = to;
	return true;
}

static int descending(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x < y) - (x > y);
}

void sums_prune(struct sums *s, uint32_t keep)
{
	uint64_t *all, least;
	uint32_t n = 0, above = 0;

	if (s->n <= keep)
		return;
	all = malloc(s->n * sizeof(*all));
	if (!all)
		return;
	for (uint32_t i = 0; i < s->size; i++) {
		uint64_t *e = s->entry + (uint64_t)i * s->stride;

		if (e[0])
			all[n++] = counts_of(s, e)->est_bytes;
	}
	qsort(all, n, sizeof(*all), descending);
	least = keep ? all[keep - 1] : UINT64_MAX;
	while (above < n && all[above] > least)
		above++;
	/* of many equal ones none stays, unless it would leave next to nothing */
	if (n > keep && all[keep] == least && above >= keep / 2)
		least++;
	free(all);
	rehash(s, s->size, least);
}

/* Quarters of a power of two: 256 classes of size. */
static uint32_t class_of(uint64_t v)
{
	uint32_t log = v ? 63 - (uint32_t)__builtin_clzll(v) : 0;

	return log * 4 + (log >= 2 ? (v >> (log - 2) & 3) : 0);
}

void sums_shrink(struct sums *s, uint32_t keep)
{
	uint32_t n[256] = {0}, kept = 0, c = 256, log;

	for (uint32_t i = 0; i < s->size; i++) {
		uint64_t *e = s->entry + (uint64_t)i * s->stride;

		if (e[0])
			n[class_of(counts_of(s, e)->est_bytes)]++;
	}
	while (c > 0 && kept + n[c - 1] <= keep)
		kept += n[--c];
	log = c / 4;
	rehash(s, s->size,
	       c == 256 ? UINT64_MAX
			: (UINT64_C(1) << log) + (log >= 2 ? (uint64_t)(c % 4) << (log - 2) : 0));
}

static bool make_room(struct sums *s)
{
	if (!s->size)
		return rehash(s, SIZE_MIN, 0);
	if (s->n < s->size / 2)
		return true;
	if (s->size < s->max && rehash(s, s->size * 2, 0))
		return true;
	sums_shrink(s, s->size / 8);
	return s->n < s->size / 2 + s->size / 4;
}

struct rollup_counts *sums_at(struct sums *s, const uint64_t *key, uint64_t hash)
{
	uint64_t *e;

	hash += hash == 0;
	e = s->size ? find(s, key, hash) : NULL;
	if (e && e[0])
		return counts_of(s, e);
	if (!make_room(s)) {
		s->has_other = true;
		return &s->other;
	}
	e = find(s, key, hash);
	memset(e, 0, s->stride * sizeof(*e));
	e[0] = hash;
	memcpy(e + 1, key, s->words * sizeof(*e));
	s->n++;
	return counts_of(s, e);
}
