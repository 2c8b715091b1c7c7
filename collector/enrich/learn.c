// SPDX-License-Identifier: Apache-2.0
#include "collector/enrich/learn.h"

#include <pthread.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/enrich/address_hash.h"
#include "common/flow.h"

#define WAYS  4u
#define LOCKS 64u
#define SEEN  16u /* bits of `seen` for each place */

#define SECOND	   INT64_C(1000000)
#define BEFORE_US  (5 * SECOND) /* an answer holds so long before it was seen: clocks differ */
#define HOLD_MIN_S 60u
#define GOES_ON_S  120u /* after a record of a flow that has an answer's name: until its next one */

/* Beside the others of its set: to see which it is takes two lines of the cache. */
struct place {
	struct learn_ip ip;
	int64_t us;	 /* when it was last seen; 0: the place is free */
	uint32_t hold_s; /* DNS: holds for so long */
	uint16_t len;
	uint8_t from; /* enum flow_named */
};

_Static_assert(sizeof(struct place) == 32, "two to a line of the cache");

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

static int64_t until_us(const struct place *p, int64_t keep_us)
{
	const int64_t answer = p->hold_s * SECOND, asked = p->from == FLOW_NAMED_DNS ? 0 : keep_us;

	return p->us + (answer > asked ? answer : asked);
}

static void hold(struct place *p, uint64_t s)
{
	if (s > p->hold_s)
		p->hold_s = s < UINT32_MAX ? (uint32_t)s : UINT32_MAX;
}

/*
 * The same name, asked for and answered, in either order: that it was asked for there says more, the answer
 * says that it holds for longer.
 */
static bool join(const struct learn *l, struct place *p, const struct learn_name *name,
		 uint64_t hold_s)
{
	const bool answer = name->from == FLOW_NAMED_DNS;

	if (!p->us || answer == (p->from == FLOW_NAMED_DNS) || p->len != name->len ||
	    memcmp(text_of(l, p), name->text, name->len) != 0)
		return false;
	if (answer && name->us >= p->us) {
		hold(p, (uint64_t)(name->us - p->us) / SECOND + hold_s);
	} else if (!answer && name->us <= p->us) {
		hold(p, (uint64_t)(p->us - name->us) / SECOND + p->hold_s);
		p->us = name->us;
		p->from = name->from;
	} else {
		return false;
	}
	return true;
}

static void set(struct learn *l, struct place *p, const struct learn_name *name)
{
	uint64_t hold_s = 0;

	if (name->from == FLOW_NAMED_DNS)
		hold_s = name->hold_s > HOLD_MIN_S ? name->hold_s : HOLD_MIN_S;
	if (join(l, p, name, hold_s) || name->us < p->us)
		return;
	p->us = name->us;
	p->hold_s = (uint32_t)hold_s;
	p->from = name->from;
	p->len = (uint16_t)name->len;
	memcpy(text_of(l, p), name->text, name->len);
}

void learn_put(struct learn *l, struct learn_ip ip, const struct learn_name *name)
{
	const uint32_t at = set_of(l, ip);
	struct place *p;
	uint64_t bit, *word = seen_word(l, ip, &bit);

	if (!name->len || name->us <= 0)
		return;
	if (name->len > LEARN_NAME) {
		__atomic_add_fetch(&l->stats.too_long, 1, __ATOMIC_RELAXED);
		return;
	}
	if (name->from == FLOW_NAMED_DNS)
		__atomic_add_fetch(&l->stats.answers, 1, __ATOMIC_RELAXED);
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		__atomic_or_fetch(word, bit, __ATOMIC_RELAXED);
	pthread_mutex_lock(&l->lock[at % LOCKS]);
	p = look(l->places + (size_t)at * WAYS, ip);
	if (!p) {
		p = make(l, l->places + (size_t)at * WAYS);
		p->ip = ip;
		p->us = 0;
	}
	set(l, p, name);
	pthread_mutex_unlock(&l->lock[at % LOCKS]);
}

static uint32_t seconds(int64_t us)
{
	return us <= 0 ? 0 : us / SECOND >= UINT32_MAX ? UINT32_MAX : (uint32_t)(us / SECOND);
}

uint32_t learn_find(struct learn *l, struct learn_ip ip, int64_t keep_us, struct learnt *ret)
{
	const uint32_t at = set_of(l, ip);
	const struct place *p;
	uint64_t bit;
	const uint64_t *word = seen_word(l, ip, &bit);

	ret->len = 0;
	if (!(__atomic_load_n(word, __ATOMIC_RELAXED) & bit))
		return 0;
	pthread_mutex_lock(&l->lock[at % LOCKS]);
	p = look(l->places + (size_t)at * WAYS, ip);
	if (p) {
		ret->len = p->len;
		ret->from = p->from;
		ret->since_s = seconds(p->us - (p->from == FLOW_NAMED_DNS ? BEFORE_US : keep_us));
		ret->until_s = seconds(until_us(p, keep_us) + SECOND - 1);
		memcpy(ret->text, text_of(l, p), p->len);
	}
	pthread_mutex_unlock(&l->lock[at % LOCKS]);
	return ret->len;
}

uint32_t learn_extend(struct learn *l, struct learn_ip ip, int64_t us)
{
	const uint32_t at = set_of(l, ip);
	uint32_t until_s = 0;
	struct place *p;

	pthread_mutex_lock(&l->lock[at % LOCKS]);
	p = look(l->places + (size_t)at * WAYS, ip);
	if (p && p->from == FLOW_NAMED_DNS) {
		hold(p, (uint64_t)seconds(us - p->us) + GOES_ON_S);
		until_s = seconds(until_us(p, 0));
	}
	pthread_mutex_unlock(&l->lock[at % LOCKS]);
	return until_s;
}

void learn_stats(const struct learn *l, struct learn_stats *ret)
{
	ret->names = __atomic_load_n(&l->stats.names, __ATOMIC_RELAXED);
	ret->answers = __atomic_load_n(&l->stats.answers, __ATOMIC_RELAXED);
	ret->replaced = __atomic_load_n(&l->stats.replaced, __ATOMIC_RELAXED);
	ret->too_long = __atomic_load_n(&l->stats.too_long, __ATOMIC_RELAXED);
}
