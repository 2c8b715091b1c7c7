// SPDX-License-Identifier: Apache-2.0
/*
 * adopt.c - rules were read anew, and most of them are what they were: their windows and alerts go on in the new
 * engine, where they are, without a copy.
 */
#include <string.h>

#include "collector/rules/engine_int.h"

/* Does a rule do the same as before, with the same room? What is in lists and who is exempt may be different. */
static bool is_same(const struct rule *a, const struct rule *b)
{
	uint8_t x[RULE_HASH], y[RULE_HASH];

	return a->groups_max == b->groups_max && !rule_hash(a, x) && !rule_hash(b, y) &&
	       !memcmp(x, y, RULE_HASH);
}

/* Are groups laid out alike? Aggregates of lists are one where the lists are the same. */
static bool fits(const struct rule_state *s, const struct rule_state *from)
{
	bool ok = s->n_leaves == from->n_leaves && s->n_cells == from->n_cells &&
		  s->stride == from->stride && s->panes == from->panes &&
		  !memcmp(s->leaf_of, from->leaf_of, sizeof(s->leaf_of)) &&
		  !memcmp(s->leaf_at, from->leaf_at, sizeof(s->leaf_at));

	for (uint32_t i = 0; ok && i < s->n_leaves; i++)
		ok = s->leaves[i].type == from->leaves[i].type &&
		     s->leaves[i].cap == from->leaves[i].cap;
	return ok;
}

/* All that is not of the rule and the batch. @from has nothing then. */
static void move_state(struct rule_state *s, struct rule_state *from)
{
	groups_done(s);
	s->pane = from->pane;
	s->begin_ns = from->begin_ns;
	s->ring_now = from->ring_now;
	s->age = from->age;
	s->arena = from->arena;
	s->arena_bytes = from->arena_bytes;
	s->buckets = from->buckets;
	s->slab = from->slab;
	s->n_buckets = from->n_buckets;
	s->cap = from->cap;
	s->n_groups = from->n_groups;
	s->looks = from->looks;
	s->old_hand = from->old_hand;
	s->tick = from->tick;
	s->look_tick = from->look_tick;
	s->oldest = from->oldest;
	s->rings = from->rings;
	s->watching = from->watching;
	s->resting = from->resting;
	s->watches = from->watches;
	s->n_watches = from->n_watches;
	s->cap_watches = from->cap_watches;
	s->stats = from->stats;
	from->arena = NULL;
	from->n_buckets = 0;
	from->rings = (struct rings){};
	from->watches = NULL;
	from->n_watches = 0;
	for (uint32_t i = 0; i < s->n_watches; i++)
		s->watches[i]->exempt = groups_exempt(s, slot_group(s, s->watches[i]->slot));
}

void engine_adopt(struct engine *e, struct engine *from)
{
	const struct rule_set *rules = e->cfg.rules;

	if (e->cfg.seed != from->cfg.seed)
		return; /* groups are where their hash is */
	e->clock = from->clock;
	for (uint32_t i = 0; i < rules->n; i++) {
		const struct rule *was = rules_find(from->cfg.rules, rules->v[i].id);
		const uint32_t k = was ? (uint32_t)(was - from->cfg.rules->v) : 0;

		if (!was || !engine_runs(e, i) || !engine_runs(from, k) ||
		    !is_same(&rules->v[i], was))
			continue;
		if (was->correlate.at.line) {
			joins_adopt(e, i, from, k);
			e->states[i].stats = from->states[k].stats;
		} else if (fits(&e->states[i], &from->states[k])) {
			move_state(&e->states[i], &from->states[k]);
		}
	}
}

void engine_retell(struct engine *e)
{
	for (uint32_t i = 0; i < e->cfg.rules->n; i++)
		for (uint32_t k = 0; k < e->states[i].n_watches; k++)
			alert_retell(&e->states[i], e->states[i].watches[k]);
	joins_retell(e);
}
