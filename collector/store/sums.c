// SPDX-License-Identifier: Apache-2.0
/*
 * sums.c - see sums.h.
 */
#include "collector/store/sums.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#define SIZE_MIN 64u /* entries */

_Static_assert(sizeof(struct rollup_counts) == 7 * sizeof(uint64_t), "an entry is words");

/*
 * Memory of tables that are gone, for those that come: a window's is tens of megabytes, and the kernel
 * would clear all of it each time. A few, for all stores of the process.
 */
#define SPARES	    12u
#define SPARE_BYTES (1u << 20) /* at least */
#define HUGE_SIZE   (1u << 15) /* entries: nearly every access is to another page */

static struct {
	pthread_mutex_t lock;
	struct {
		void *p;
		size_t bytes;
	} v[SPARES];
} spares = {.lock = PTHREAD_MUTEX_INITIALIZER};

/* What is in it is anything. */
static void *take(size_t bytes)
{
	void *p = NULL;

	pthread_mutex_lock(&spares.lock);
	for (unsigned int i = 0; i < SPARES && !p; i++) {
		if (spares.v[i].bytes != bytes)
			continue;
		p = spares.v[i].p;
		spares.v[i].p = NULL;
		spares.v[i].bytes = 0;
	}
	pthread_mutex_unlock(&spares.lock);
	if (p)
		return p;
	p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		 -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	madvise(p, bytes, MADV_NOHUGEPAGE); /* most are nearly empty */
	return p;
}

static void give(void *p, size_t bytes)
{
	if (!p)
		return;
	pthread_mutex_lock(&spares.lock);
	for (unsigned int i = 0; i < SPARES && p && bytes >= SPARE_BYTES; i++) {
		if (spares.v[i].p)
			continue;
		spares.v[i].p = p;
		spares.v[i].bytes = bytes;
		p = NULL;
	}
	pthread_mutex_unlock(&spares.lock);
	if (p)
		munmap(p, bytes);
}

void sums_init(struct sums *s, uint32_t words, uint32_t extra, uint32_t max)
{
	*s = (struct sums){.words = words, .extra = extra, .max = max};
	s->stride = words + 7 + extra;
}

static size_t index_bytes(uint32_t size)
{
	return size * sizeof(uint64_t);
}

/* For as many as there may ever be: pages that nobody touches are not there. */
static size_t entry_bytes(const struct sums *s)
{
	return (size_t)s->max / 2 * s->stride * sizeof(uint64_t);
}

void sums_done(struct sums *s)
{
	give(s->index, index_bytes(s->size));
	give(s->entry, entry_bytes(s));
	s->index = s->entry = NULL;
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

static struct rollup_counts *counts_of(const struct sums *s, uint32_t i)
{
	return (struct rollup_counts *)(sums_entry(s, i) + s->words);
}

static bool same_key(const struct sums *s, uint32_t i, const uint64_t *key)
{
	const uint64_t *e = sums_entry(s, i);

	for (uint32_t k = 0; k < s->words; k++) {
		if (e[k] != key[k])
			return false;
	}
	return true;
}

/* The slot of the key, or the empty one for it. */
static uint64_t *find(const struct sums *s, const uint64_t *key, uint64_t hash)
{
	for (uint64_t at = hash >> s->shift;; at = (at + 1) & (s->size - 1)) {
		uint64_t *slot = s->index + at;

		if (!*slot)
			return slot;
		if ((*slot ^ hash) <= SUMS_NUMBER &&
		    same_key(s, (uint32_t)((*slot & SUMS_NUMBER) - 1), key))
			return slot;
	}
}

#define GONE UINT32_MAX

/* An index of @size of the entries that are there; their numbers have become @number, or are as they were. */
static bool reindex(struct sums *s, uint32_t size, const uint32_t *number)
{
	const uint32_t shift = 64 - (uint32_t)__builtin_ctz(size);
	uint64_t *to = take(index_bytes(size));

	if (!to)
		return false;
	memset(to, 0, index_bytes(size));
	for (uint32_t i = 0; i < s->size; i++) {
		const uint64_t slot = s->index[i];
		const uint32_t was = (uint32_t)(slot & SUMS_NUMBER) - 1;
		const uint32_t is = number && slot ? number[was] : was;
		uint64_t at = slot >> shift;

		if (!slot || is == GONE)
			continue;
		while (to[at])
			at = (at + 1) & (size - 1);
		to[at] = (slot & ~SUMS_NUMBER) | (is + 1);
	}
	give(s->index, index_bytes(s->size));
	s->index = to;
	s->size = size;
	s->shift = shift;
	return true;
}

/* Entries with est_bytes below @least become part of the other. */
static void drop_below(struct sums *s, uint64_t least)
{
	uint32_t *number = s->n ? malloc(s->n * sizeof(*number)) : NULL, n = 0;

	if (!number)
		return;
	for (uint32_t i = 0; i < s->n; i++)
		number[i] = counts_of(s, i)->est_bytes < least ? GONE : n++;
	if (n < s->n && reindex(s, s->size, number)) {
		for (uint32_t i = 0; i < s->n; i++) {
			if (number[i] == GONE)
				counts_add(&s->other, counts_of(s, i));
			else if (number[i] != i)
				memcpy(sums_entry(s, number[i]), sums_entry(s, i),
				       s->stride * sizeof(uint64_t));
		}
		s->n = n;
		s->has_other = true;
	}
	free(number);
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
	for (n = 0; n < s->n; n++)
		all[n] = counts_of(s, n)->est_bytes;
	qsort(all, n, sizeof(*all), descending);
	least = keep ? all[keep - 1] : UINT64_MAX;
	while (above < n && all[above] > least)
		above++;
	/* of many equal ones none stays, unless it would leave next to nothing */
	if (n > keep && all[keep] == least && above >= keep / 2)
		least++;
	free(all);
	drop_below(s, least);
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

	for (uint32_t i = 0; i < s->n; i++)
		n[class_of(counts_of(s, i)->est_bytes)]++;
	while (c > 0 && kept + n[c - 1] <= keep)
		kept += n[--c];
	log = c / 4;
	drop_below(s, c == 256 ? UINT64_MAX
			       : (UINT64_C(1) << log) +
					 (log >= 2 ? (uint64_t)(c % 4) << (log - 2) : 0));
}

static bool make_room(struct sums *s)
{
	if (!s->entry)
		s->entry = take(entry_bytes(s));
	if (!s->entry)
		return false;
	if (!s->size)
		return reindex(s, SIZE_MIN < s->max ? SIZE_MIN : s->max, NULL);
	if (s->n < s->size / 2)
		return true;
	if (s->size == HUGE_SIZE)
		madvise(s->entry, entry_bytes(s), MADV_HUGEPAGE);
	if (s->size < s->max)
		return reindex(s, s->size * 2, NULL);
	sums_shrink(s, s->size / 8);
	return s->n < s->size / 2;
}

struct rollup_counts *sums_at(struct sums *s, const uint64_t *key, uint64_t hash)
{
	uint64_t *slot, *e;

	slot = s->size ? find(s, key, hash) : NULL;
	if (slot && *slot)
		return counts_of(s, (uint32_t)(*slot & SUMS_NUMBER) - 1);
	if (!make_room(s)) {
		s->has_other = true;
		return &s->other;
	}
	slot = find(s, key, hash);
	*slot = (hash & ~SUMS_NUMBER) | (s->n + 1);
	e = sums_entry(s, s->n);
	memset(e, 0, s->stride * sizeof(*e));
	memcpy(e, key, s->words * sizeof(*e));
	return counts_of(s, s->n++);
}
