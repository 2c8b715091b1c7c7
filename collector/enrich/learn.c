// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/learn.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/enrich/address_hash.h"

#define WAYS  4u
#define LOCKS 64u
#define SEEN  16u /* bits of `seen` for each place */

/* Beside the others of its set: to see which it is takes two lines of the cache. */
struct place {
	struct learn_ip ip;
	int64_t us; /* when it was last seen; 0: the place is free */
	uint32_t len;
};

struct learn {
	pthread_mutex_t lock[LOCKS];
	uint64_t key; /* of the hash: nobody outside can choose who meets whom */
	uint32_t sets;
	uint64_t *seen; /* atomic; a bit for hashes of what was learnt: most others stop here */
	struct place *places; /* and texts: one mapping; pages that nobody touches are never there */
	char *texts;	      /* LEARN_NAME octets for each place */
	struct learn_stats stats; /* atomic */
};

static size_t mapping(const struct learn *l)
{
	return (size_t)l->sets * WAYS * (sizeof(struct place) + LEARN_NAME);
}

static char *text_of(const struct learn *l, const struct place *p)
{
	return l->texts + (size_t)(p - l->places) * LEARN_NAME;
}

struct learn *learn_new(uint32_t names)
{
	struct learn *l = calloc(1, sizeof(*l));

	if (!l)
		return NULL;
	for (l->sets = 1; l->sets * WAYS < names;)
		l->sets *= 2;
	l->places = mmap(NULL, mapping(l), PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	l->seen = calloc((size_t)l->sets * WAYS * SEEN / 64, sizeof(*l->seen));
	if (l->places == MAP_FAILED || !l->seen) {
		free(l->seen);
		free(l);
		return NULL;
	}
	l->texts = (char *)(l->places + (size_t)l->sets * WAYS);
	l->key = address_hash_key();
	for (unsigned int i = 0; i < LOCKS; i++)
		pthread_mutex_init(&l->lock[i], NULL);
	return l;
}

struct learn *learn_free(struct learn *l)
{
	if (!l)
		return NULL;
	free(l->seen);
	munmap(l->places, mapping(l));
	for (unsigned int i = 0; i < LOCKS; i++)
		pthread_mutex_destroy(&l->lock[i]);
	free(l);
	return NULL;
}

static uint32_t set_of(const struct learn *l, struct learn_ip ip)
{
	return (uint32_t)(address_hash(ip.hi, ip.lo, l->key) >> 32) & (l->sets - 1);
}

static uint64_t *seen_word(const struct learn *l, struct learn_ip ip, uint64_t *ret_bit)
{
	const uint64_t h = address_hash(ip.hi, ip.lo, ~l->key) &
			   ((uint64_t)l->sets * WAYS * SEEN - 1);

	*ret_bit = UINT64_C(1) << h % 64;
	return &l->seen[h / 64];
}

void learn_fetch(const struct learn *l, struct learn_ip ip)
{
	const struct place *p = l->places + (size_t)set_of(l, ip) * WAYS;
	uint64_t bit;

	/* four places of 32 octets */
	__builtin_prefetch(p, 1);
	__builtin_prefetch(p + 2, 1);
	__builtin_prefetch(seen_word(l, ip, &bit));
}

static struct place *look(struct place *set, struct learn_ip ip)
{
	for (unsigned int i = 0; i < WAYS; i++)
		if (set[i].us && set[i].ip.hi == ip.hi && set[i].ip.lo == ip.lo)
			return &set[i];
	return NULL;
}

/* A free place, or the one that was not seen for longest. */
static struct place *make(struct learn *l, struct place *set)
{
	struct place *to = set;

	for (unsigned int i = 1; i < WAYS; i++)
		if (set[i].us < to->us)
			to = &set[i];
	__atomic_add_fetch(to->us ? &l->stats.replaced : &l->stats.names, 1, __ATOMIC_RELAXED);
	return to;
}

void learn_put(struct learn *l, struct learn_ip ip, const char *name, uint32_t len, int64_t us)
{
	const uint32_t set = set_of(l, ip);
	struct place *p;
	uint64_t bit, *word = seen_word(l, ip, &bit);

	if (!len || us <= 0)
		return;
	if (len > LEARN_NAME) {
		__atomic_add_fetch(&l->stats.too_long, 1, __ATOMIC_RELAXED);
		return;
	}
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_or_fetch(word, bit, __ATOMIC_RELAXED);
	pthread_mutex_lock(&l->lock[set % LOCKS]);
	p = look(l->places + (size_t)set * WAYS, ip);
	if (!p) {
		p = make(l, l->places + (size_t)set * WAYS);
		p->ip = ip;
		p->us = 0;
	}
	if (us >= p->us) {
		p->us = us;
		p->len = len;
		memcpy(text_of(l, p), name, len);
	}
	pthread_mutex_unlock(&l->lock[set % LOCKS]);
}

uint32_t learn_find(struct learn *l, struct learn_ip ip, int64_t us, int64_t keep_us, char *ret)
{
	const uint32_t set = set_of(l, ip);
	const struct place *p;
	uint64_t bit;
	const uint64_t *word = seen_word(l, ip, &bit);
	uint32_t len = 0;

	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		return 0;
	pthread_mutex_lock(&l->lock[set % LOCKS]);
	p = look(l->places + (size_t)set * WAYS, ip);
	if (p && us - p->us <= keep_us && p->us - us <= keep_us) {
		len = p->len;
		memcpy(ret, text_of(l, p), len);
	}
	pthread_mutex_unlock(&l->lock[set % LOCKS]);
	return len;
}

void learn_stats(const struct learn *l, struct learn_stats *ret)
{
	ret->names = __atomic_load_n(&l->stats.names, __ATOMIC_RELAXED);
	ret->replaced = __atomic_load_n(&l->stats.replaced, __ATOMIC_RELAXED);
	ret->too_long = __atomic_load_n(&l->stats.too_long, __ATOMIC_RELAXED);
}
