// SPDX-License-Identifier: Apache-2.0
#include "loader/sighting.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "loader/dataplane.h"
#include "loader/key_hash.h"
#include "loader/pages.h"

#define TICKS_A_ROUND 16u

_Static_assert(sizeof(struct sighting) == 128, "two cache lines");

struct sightings {
	sighting_role_fn role;
	void *arg;
	uint64_t seed[2];
	uint32_t *chain; /* index + 1 of the first sighting */
	uint32_t mask;
	struct sighting *slab;
	uint32_t max;
	uint32_t used; /* ever touched */
	uint32_t free_head;
	uint32_t hand; /* of sightings_tick() */
	struct sighting_stats stats;
};

static uint32_t places_for(uint32_t max)
{
	uint32_t places = 64;

	while (places < max && places < UINT32_C(1) << 31)
		places *= 2;
	return places;
}

uint64_t sightings_memory(uint32_t max, uint32_t live)
{
	return (uint64_t)places_for(max) * sizeof(*((struct sightings *)0)->chain) +
	       (uint64_t)live * sizeof(struct sighting);
}

int sightings_new(uint32_t max, sighting_role_fn role, void *arg, struct sightings **ret)
{
	struct sightings *s = calloc(1, sizeof(*s));
	const uint32_t places = places_for(max);

	if (!s)
		return -ENOMEM;
	*s = (struct sightings){.role = role, .arg = arg, .mask = places - 1, .max = max};
	s->chain = pages_map(places * sizeof(*s->chain));
	s->slab = pages_map(max * sizeof(*s->slab));
	if (!s->chain || !s->slab) {
		sightings_free(s);
		return -ENOMEM;
	}
	if (getrandom(s->seed, sizeof(s->seed), 0) != sizeof(s->seed)) {
		sightings_free(s);
		return -EIO;
	}
	*ret = s;
	return 0;
}

void sightings_free(struct sightings *s)
{
	if (!s)
		return;
	pages_unmap(s->chain, ((size_t)s->mask + 1) * sizeof(*s->chain));
	pages_unmap(s->slab, s->max * sizeof(*s->slab));
	free(s);
}

static struct flow_key anywhere(const struct flow_key *key)
{
	struct flow_key k = *key;

	k.ifindex = 0;
	k.vlan[0] = k.vlan[1] = 0;
	return k;
}

static uint32_t *chain_of(struct sightings *s, const struct flow_key *k)
{
	return &s->chain[key_hash_user(k, s->seed) & s->mask];
}

static struct sighting *find(struct sightings *s, const struct flow_key *k)
{
	for (uint32_t at = *chain_of(s, k); at; at = s->slab[at - 1].next)
		if (!memcmp(&s->slab[at - 1].key, k, sizeof(*k)))
			return &s->slab[at - 1];
	return NULL;
}

static struct sighting *insert(struct sightings *s, const struct flow_key *k)
{
	uint32_t *chain = chain_of(s, k), at = s->free_head;

	if (at) {
		s->free_head = s->slab[at - 1].next;
	} else if (s->used < s->max) {
		at = ++s->used;
	} else {
		s->stats.full++;
		return NULL;
	}
	s->slab[at - 1] = (struct sighting){.key = *k, .next = *chain};
	*chain = at;
	return &s->slab[at - 1];
}

bool sighting_counts_all(const struct sightings *s, const struct flow_key *key)
{
	return s->role(s->arg, key) != ROLE_VETH;
}

void sighting_note(struct sightings *s, const struct flow_key *key, int dir, uint64_t tick)
{
	struct flow_key k = anywhere(key);
	int role = s->role(s->arg, key);
	struct sighting *e;
	unsigned int i;

	if (role != ROLE_UPLINK && role != ROLE_VETH)
		return;
	e = find(s, &k) ?: insert(s, &k);
	if (!e)
		return;
	e->asked = tick;
	if (role == ROLE_UPLINK)
		e->uplink_dirs |= (uint8_t)(1u << dir);
	for (i = 0; i < e->n && e->ifindex[i] != key->ifindex; i++)
		;
	if (i == SIGHTING_IFACES)
		return;
	if (i == e->n)
		e->n++;
	e->ifindex[i] = key->ifindex;
	e->dirs[i] |= (uint8_t)(1u << dir);
}

unsigned int sighting_elsewhere(struct sightings *s, const struct flow_key *key, uint64_t tick,
				const struct sighting **ret)
{
	struct flow_key k = anywhere(key);
	struct sighting *e = find(s, &k);
	unsigned int dirs;

	*ret = e;
	if (!e)
		return 0;
	e->asked = tick;
	if (sighting_counts_all(s, key))
		return 0;
	dirs = e->uplink_dirs;
	for (unsigned int i = 0; i < e->n; i++)
		if (e->ifindex[i] < key->ifindex)
			dirs |= e->dirs[i];
	return dirs;
}

static void forget(struct sightings *s, uint32_t ref)
{
	struct sighting *e = &s->slab[ref - 1];
	uint32_t *at = chain_of(s, &e->key);

	while (*at != ref)
		at = &s->slab[*at - 1].next;
	*at = e->next;
	*e = (struct sighting){.next = s->free_head};
	s->free_head = ref;
}

void sightings_tick(struct sightings *s, uint64_t tick, uint64_t keep)
{
	uint32_t n = s->used / TICKS_A_ROUND + 1;

	for (; n && s->used; n--) {
		struct sighting *e = &s->slab[s->hand];

		if (e->n && e->asked + keep < tick)
			forget(s, s->hand + 1);
		s->hand = s->hand + 1 < s->used ? s->hand + 1 : 0;
	}
}

const struct sighting_stats *sightings_stats(const struct sightings *s)
{
	return &s->stats;
}
