// SPDX-License-Identifier: Apache-2.0
/*
 * slots.c - where a rule's groups are: side by side in one arena, in buckets of WAYS places. Eight bits
 * of each one's hash and what is known of its age stand together in half a line of the cache, so
 * that a group is found, or one that may go, before the memory of any is touched. What goes
 * when there is no room is decided among the groups of a bucket, as a clock's hand does (second
 * chance): who was seen again since the hand last came by stays, and so do alerts.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/rules/engine_int.h"

#define CAP	   64u
#define LOOK_OLD   8u  /* insertions after which a bucket is looked through for old ones */
#define LOOK_EVICT 16u /* buckets in which one is found to go that is no alert */
#define HUGE_PAGE  (2u << 20)
#define HUGE_FROM  (1u << 20) /* octets from which on pages are large: fewer misses of the TLB */
#define NONE	   UINT32_MAX

/* ---- memory ---- */

void *slots_memory(size_t *bytes)
{
	const bool huge = *bytes >= HUGE_FROM;
	const size_t unit = huge ? HUGE_PAGE : 64;
	void *p;

	*bytes = (*bytes + unit - 1) / unit * unit;
	p = aligned_alloc(unit, *bytes);
	if (!p)
		return NULL;
	if (huge)
		madvise(p, *bytes, MADV_HUGEPAGE); /* no matter if there are none to be had */
	memset(p, 0, *bytes);
	return p;
}

static uint32_t next_bucket(const struct rule_state *s, uint32_t at)
{
	return at + 1 < s->n_buckets ? at + 1 : 0;
}

/* A free place; there is one. */
static uint32_t place(struct rule_state *s, uint32_t hash)
{
	for (uint32_t i = slots_home(s, hash);; i = next_bucket(s, i)) {
		struct bucket *b = &s->buckets[i];
		const uint32_t free_ways = bucket_ways(b, 0);

		if (free_ways) {
			const uint32_t way = (uint32_t)__builtin_ctz(free_ways);

			b->tags[way] = hash_tag(hash);
			return i * (WAYS + 1) + way;
		}
		if (b->spilled < UINT8_MAX)
			b->spilled++;
	}
}

static void move_groups(struct rule_state *s, const struct rule_state *from)
{
	for (uint32_t i = 0; i < slots_end(from); i++) {
		struct group *g;
		uint32_t slot;

		if (!slot_used(from, i))
			continue;
		g = slot_group(from, i);
		slot = place(s, g->hash);
		*slot_mark(s, slot) = *slot_mark(from, i);
		memcpy(slot_group(s, slot), g, s->stride);
		if (g->watch)
			s->watches[g->watch - 1]->slot = slot;
	}
}

/* Room for @cap groups, with a quarter of the places free: everything into a new arena. */
static int set_cap(struct rule_state *s, uint32_t cap)
{
	const struct rule_state from = *s;
	/* even: so that groups begin at a line of the cache */
	const uint32_t n = (uint32_t)((uint64_t)cap * 4 / 3 / WAYS + 2) & ~1u;
	size_t bytes = (size_t)n * (WAYS * (size_t)s->stride + sizeof(struct bucket));
	uint8_t *to = slots_memory(&bytes);

	if (!to)
		return -ENOMEM;
	s->arena = to;
	s->arena_bytes = bytes;
	s->buckets = (struct bucket *)(void *)to;
	s->slab = to + n * sizeof(struct bucket);
	s->n_buckets = n;
	s->cap = cap;
	s->stats.bytes += bytes - from.arena_bytes;
	move_groups(s, &from);
	memset(s->engine->slots, 0xff, sizeof(s->engine->slots)); /* they are of the old arena */
	free(from.arena);
	return 0;
}

static uint32_t most_slots(const struct rule_state *s)
{
	return s->rule->by.n ? (uint32_t)s->rule->groups_max : 1;
}

int slots_init(struct rule_state *s)
{
	s->old_from = s->panes / s->age_unit + 2;
	s->oldest = UINT64_MAX;
	if (s->rule->groups_max >= NONE / 4)
		return -ENOMEM;
	return set_cap(s, most_slots(s) < CAP ? most_slots(s) : CAP);
}

void slots_done(struct rule_state *s)
{
	free(s->arena);
}

/* ---- finding ---- */

uint32_t slots_find(const struct rule_state *s, const struct batch *b, uint32_t row, uint32_t hash)
{
	uint32_t at = slots_home(s, hash);

	for (uint32_t n = 0; n < s->n_buckets; n++, at = next_bucket(s, at)) {
		uint32_t ways = bucket_ways(&s->buckets[at], hash_tag(hash));

		for (; ways; ways &= ways - 1) {
			const uint32_t slot = at * (WAYS + 1) + (uint32_t)__builtin_ctz(ways);
			const struct group *g = slot_group(s, slot);

			if (g->hash == hash && groups_is(s, g, b, row))
				return slot;
		}
		if (!s->buckets[at].spilled)
			break;
	}
	return NONE;
}

/* ---- going ---- */

void slots_give(struct rule_state *s, uint32_t slot)
{
	struct group *g = slot_group(s, slot);
	const uint32_t at = slot / (WAYS + 1);

	for (uint32_t i = slots_home(s, g->hash); i != at; i = next_bucket(s, i))
		if (s->buckets[i].spilled < UINT8_MAX) /* of more it is not known how many */
			s->buckets[i].spilled--;
	s->buckets[at].tags[slot % (WAYS + 1)] = 0;
	g->hash =
		~g->hash; /* a row that was told of the slot does not find its key here any more */
	s->n_groups--;
}

static uint32_t age_of(const struct rule_state *s, uint8_t mark)
{
	const uint32_t then = mark & MARK_AGE, now = s->age;

	return now >= then ? now - then : now + MARK_AGES - then;
}

/* All buckets have been looked through: when will one of them have something old? */
static void rest(struct rule_state *s)
{
	s->look_tick = s->oldest + s->old_from;
	s->oldest = s->tick;
}

/*
 * Now and then those of one bucket. Marks only get younger, so that the oldest of a round says when the
 * next may begin.
 */
static void look_for_old(struct rule_state *s)
{
	uint32_t at;

	if (s->tick < s->look_tick || ++s->looks % LOOK_OLD)
		return;
	at = s->old_hand < s->n_buckets ? s->old_hand : 0;
	for (uint32_t way = 0; way < WAYS; way++) {
		const struct bucket *b = &s->buckets[at];
		const uint32_t age = age_of(s, b->marks[way]);

		if (!b->tags[way] || b->marks[way] & MARK_WATCH)
			continue;
		if (age >= s->old_from)
			groups_remove(s, at * (WAYS + 1) + way);
		else if (s->tick - age < s->oldest)
			s->oldest = s->tick - age;
	}
	s->old_hand = next_bucket(s, at);
	if (!s->old_hand)
		rest(s);
}

/* The hand goes on to one that goes; NONE: there are only alerts. */
static uint32_t find_in_bucket(struct rule_state *s, uint32_t at, uint32_t *watched)
{
	struct bucket *b = &s->buckets[at];

	for (uint32_t n = 0; n < 2 * WAYS; n++) {
		const uint32_t way = b->hand;

		b->hand = way + 1 < WAYS ? (uint8_t)(way + 1) : 0;
		if (!b->tags[way])
			continue;
		if (b->marks[way] & MARK_WATCH) {
			if (*watched == NONE)
				*watched = at * (WAYS + 1) + way;
			continue;
		}
		if (!(b->marks[way] & MARK_AGAIN))
			return at * (WAYS + 1) + way;
		b->marks[way] &= (uint8_t)~MARK_AGAIN;
	}
	return NONE;
}

/* Of the bucket in which the new one's place is, or the next that has any. */
static uint32_t find_victim(struct rule_state *s, uint32_t hash)
{
	uint32_t watched = NONE, at = slots_home(s, hash);

	for (uint32_t n = 0; n < LOOK_EVICT || watched == NONE; n++, at = next_bucket(s, at)) {
		const uint32_t slot = find_in_bucket(s, at, &watched);

		if (slot != NONE)
			return slot;
	}
	return watched;
}

static void evict(struct rule_state *s, uint32_t slot)
{
	const struct group *g = slot_group(s, slot);

	if (!groups_gone(s, g, s->pane))
		s->stats.evicted++;
	if (g->watch)
		alert_evict(s, watch_of(s, g), s->engine->clock);
	groups_remove(s, slot);
}

uint32_t slots_soon(const struct rule_state *s, uint32_t hash)
{
	const uint32_t at = slots_home(s, hash);
	const struct bucket *b = &s->buckets[at];

	if (s->n_groups < most_slots(s)) {
		const uint32_t free_ways = bucket_ways(b, 0);

		return free_ways ? at * (WAYS + 1) + (uint32_t)__builtin_ctz(free_ways) : NONE;
	}
	for (uint32_t n = 0, way = b->hand; n < WAYS; n++, way = way + 1 < WAYS ? way + 1 : 0)
		if (b->tags[way] && !(b->marks[way] & (MARK_AGAIN | MARK_WATCH)))
			return at * (WAYS + 1) + way;
	return NONE;
}

/* ---- coming ---- */

uint32_t slots_take(struct rule_state *s, uint32_t hash)
{
	const uint32_t most = most_slots(s);
	uint32_t slot = NONE;

	look_for_old(s);
	if (s->n_groups == most) {
		slot = find_victim(s, hash);
		evict(s, slot);
	} else if (s->n_groups == s->cap && set_cap(s, s->cap < most / 2 ? s->cap * 2 : most)) {
		return NONE;
	}
	if (slot != NONE && slot / (WAYS + 1) == slots_home(s, hash))
		s->buckets[slot / (WAYS + 1)].tags[slot % (WAYS + 1)] = hash_tag(hash);
	else
		slot = place(s, hash);
	s->n_groups++;
	*slot_mark(s, slot) = s->age;
	return slot;
}
