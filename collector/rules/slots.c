// SPDX-License-Identifier: Apache-2.0
/*
 * slots.c - where a rule's groups are: side by side in one arena, found by an index of open addressing
 * that is half empty at least. What goes when there is
 * no room is decided on a byte of each group, as a clock's hand does (second chance): who was seen
 * again since the hand last came by stays, and so do alerts, while there are others.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "collector/rules/engine_int.h"

#define LOOK_OLD   2u	/* groups that an insertion looks at, so that old ones go */
#define LOOK_EVICT 256u /* groups of which one is found to go */
#define AHEAD	   32u	/* groups that go soon are asked for */
#define CAP	   64u
#define HUGE_PAGE  (2u << 20)
#define HUGE_FROM  (1u << 20) /* octets from which on pages are large: fewer misses of the TLB */
#define NONE	   UINT32_MAX

/* ---- memory ---- */

static void *take_arena(size_t *bytes)
{
	const bool huge = *bytes >= HUGE_FROM;
	void *p;

	if (!huge)
		return calloc(1, *bytes);
	*bytes = (*bytes + HUGE_PAGE - 1) / HUGE_PAGE * HUGE_PAGE;
	p = aligned_alloc(HUGE_PAGE, *bytes);
	if (!p)
		return NULL;
	madvise(p, *bytes, MADV_HUGEPAGE); /* no matter if there are none to be had */
	memset(p, 0, *bytes);
	return p;
}

static void put_index(uint64_t *index, uint32_t size, uint64_t entry)
{
	uint32_t i = (uint32_t)(entry >> 32) & (size - 1);

	while (index[i])
		i = (i + 1) & (size - 1);
	index[i] = entry;
}

/* Room for @cap groups: everything into a new arena. */
static int set_cap(struct rule_state *s, uint32_t cap)
{
	const size_t slab = ((size_t)cap * s->stride + 63) / 64 * 64;
	uint32_t n_index = 2 * CAP;
	uint64_t *index;
	size_t bytes;
	uint8_t *to;

	while (n_index < 2 * (uint64_t)cap)
		n_index *= 2;
	bytes = slab + n_index * sizeof(*index) + cap;
	to = take_arena(&bytes);
	if (!to)
		return -ENOMEM;
	index = (uint64_t *)(void *)(to + slab);
	if (s->n_slots) {
		memcpy(to, s->slab, (size_t)s->n_slots * s->stride);
		memcpy(to + slab + n_index * sizeof(*index), s->marks, s->n_slots);
	}
	for (uint32_t i = 0; i < s->n_index; i++)
		if (s->index[i])
			put_index(index, n_index, s->index[i]);
	free(s->arena);
	s->stats.bytes += bytes - s->arena_bytes;
	s->arena = s->slab = to;
	s->arena_bytes = bytes;
	s->index = index;
	s->n_index = n_index;
	s->marks = to + slab + n_index * sizeof(*index);
	s->cap = cap;
	return 0;
}

static uint32_t most_slots(const struct rule_state *s)
{
	return s->rule->by.n ? (uint32_t)s->rule->groups_max : 1;
}

int slots_init(struct rule_state *s)
{
	if (s->rule->groups_max >= NONE / 4)
		return -ENOMEM;
	s->free = NONE;
	return set_cap(s, most_slots(s) < CAP ? most_slots(s) : CAP);
}

void slots_done(struct rule_state *s)
{
	free(s->arena);
}

/* ---- the index ---- */

uint32_t slots_find(const struct rule_state *s, const struct batch *b, uint32_t row, uint32_t hash)
{
	for (uint32_t i = hash & (s->n_index - 1); s->index[i]; i = (i + 1) & (s->n_index - 1)) {
		const uint32_t slot = (uint32_t)s->index[i] - 1;

		if (s->index[i] >> 32 == hash && groups_is(s, slot_group(s, slot), b, row))
			return slot;
	}
	return NONE;
}

/* Entries behind the gap move up where that is nearer to their place. */
static void drop_index(struct rule_state *s, uint32_t hash, uint32_t slot)
{
	const uint32_t mask = s->n_index - 1;
	const uint64_t entry = (uint64_t)hash << 32 | (slot + 1);
	uint32_t gap = hash & mask;

	while (s->index[gap] != entry)
		gap = (gap + 1) & mask;
	for (uint32_t i = (gap + 1) & mask; s->index[i]; i = (i + 1) & mask) {
		const uint32_t home = (uint32_t)(s->index[i] >> 32) & mask;

		if (((i - home) & mask) < ((i - gap) & mask))
			continue;
		s->index[gap] = s->index[i];
		gap = i;
	}
	s->index[gap] = 0;
}

/* ---- going ---- */

void slots_give(struct rule_state *s, uint32_t slot)
{
	struct group *g = slot_group(s, slot);

	drop_index(s, g->hash, slot);
	s->marks[slot] = MARK_FREE;
	g->hash = s->free;
	s->free = slot;
	s->n_groups--;
}

/* Has it been out of the window for sure? */
static bool is_old(const struct rule_state *s, uint8_t mark)
{
	const uint32_t ages = (s->age + MARK_AGES - (mark & MARK_AGE)) % MARK_AGES;

	return !(mark & MARK_WATCH) && ages > s->panes / s->age_unit + 1;
}

/* The group's place in the index will be asked for. */
static void ask_index(const struct rule_state *s, uint32_t slot)
{
	__builtin_prefetch(&s->index[slot_group(s, slot)->hash & (s->n_index - 1)], 1);
}

static void look_for_old(struct rule_state *s)
{
	for (unsigned int i = 0; i < LOOK_OLD; i++) {
		const uint32_t soon = s->old_hand + AHEAD;

		if (s->old_hand >= s->n_slots)
			s->old_hand = 0;
		if (soon < s->n_slots && is_old(s, s->marks[soon]))
			ask_index(s, soon);
		if (s->n_slots && is_old(s, s->marks[s->old_hand]))
			groups_remove(s, s->old_hand);
		s->old_hand++;
	}
}

static bool may_go(const struct rule_state *s, uint32_t slot)
{
	return !(s->marks[slot] & (MARK_AGAIN | MARK_WATCH));
}

/* What goes soon is asked for: the group first, then its place in the index. */
static void ask_ahead(const struct rule_state *s)
{
	const uint32_t far = (s->hand + AHEAD) % s->n_slots;
	const uint32_t near = (s->hand + AHEAD / 2) % s->n_slots;

	if (may_go(s, far))
		__builtin_prefetch(slot_group(s, far), 1);
	if (may_go(s, near))
		ask_index(s, near);
}

static uint32_t find_victim(struct rule_state *s)
{
	uint32_t watched = NONE, again = NONE;

	for (unsigned int i = 0; i < LOOK_EVICT; i++) {
		const uint32_t at = s->hand;
		uint8_t *mark = &s->marks[at];

		ask_ahead(s);
		s->hand = at + 1 < s->n_slots ? at + 1 : 0;
		if (*mark == MARK_FREE)
			continue;
		if (may_go(s, at))
			return at;
		if (!(*mark & MARK_WATCH) && again == NONE)
			again = at;
		else if (watched == NONE)
			watched = at;
		*mark &= (uint8_t)~MARK_AGAIN;
	}
	return again != NONE ? again : watched;
}

/* No room: the hand goes on to one that goes. */
static void evict(struct rule_state *s)
{
	const uint32_t slot = find_victim(s);
	struct group *g = slot_group(s, slot);

	if (!groups_gone(s, g, s->pane))
		s->stats.evicted++;
	if (g->watch)
		alert_evict(s, watch_of(s, g), s->engine->clock);
	groups_remove(s, slot);
}

/* ---- coming ---- */

static int more_slots(struct rule_state *s)
{
	const uint32_t most = most_slots(s);

	if (s->n_slots == s->cap && set_cap(s, s->cap < most / 2 ? s->cap * 2 : most))
		return -ENOMEM;
	s->marks[s->n_slots] = MARK_FREE;
	slot_group(s, s->n_slots)->hash = s->free;
	s->free = s->n_slots++;
	return 0;
}

uint32_t slots_take(struct rule_state *s, uint32_t hash)
{
	uint32_t slot;

	look_for_old(s);
	if (s->free == NONE && s->n_slots >= most_slots(s))
		evict(s);
	if (s->free == NONE && more_slots(s))
		return NONE;
	slot = s->free;
	s->free = slot_group(s, slot)->hash;
	s->n_groups++;
	s->marks[slot] = s->age;
	put_index(s->index, s->n_index, (uint64_t)hash << 32 | (slot + 1));
	return slot;
}
