// SPDX-License-Identifier: Apache-2.0
/*
 * rows.c - rows of a batch through a rule: which it counts, what they add to their groups, and what is looked
 * at when a step of its time is over.
 */
#include "collector/rules/engine_int.h"

#define ALWAYS inline __attribute__((always_inline))
#define AHEAD  16u /* rows that memory is asked for ahead */

/* ---- time ---- */

/* How one group stands over whole steps. */
static void look_at(struct rule_state *s, uint32_t slot, int64_t pane)
{
	groups_advance(s, slot_group(s, slot), pane - 1);
	alert_look(s, slot, (uint64_t)pane * s->slide);
}

/* Alerts that rest and end with step @pane. */
static void look_at_resting(struct rule_state *s, int64_t pane)
{
	const uint64_t now = (uint64_t)pane * s->slide, keep = s->rule->keep_ns;

	for (struct watch *w = s->resting.first, *next; w; w = next) {
		next = w->next;
		if (w->rest_ns + keep > now + s->slide)
			break;
		if (now - w->true_ns >= keep)
			look_at(s, w->slot, pane);
	}
}

/* Step @pane has begun. Where there is a gate, only who passed it can hold now and did not before. */
static void look_back(struct rule_state *s, int64_t pane)
{
	look_at_resting(s, pane);
	if (s->monotone || s->gated) {
		for (struct watch *w = s->watching.first, *next; w; w = next) {
			next = w->next;
			look_at(s, w->slot, pane);
		}
		return;
	}
	for (uint32_t i = 0; i < slots_end(s); i++) {
		if (!slot_used(s, i))
			continue;
		look_at(s, i, pane);
		if (!slot_group(s, i)->watch && groups_gone(s, slot_group(s, i), pane - 1))
			groups_remove(s, i);
	}
}

/* The step after the one at hand at whose begin something may happen. */
static int64_t next_pane(const struct rule_state *s)
{
	uint64_t ns;

	if (s->watching.first || (!s->monotone && !s->gated && s->n_groups))
		return s->pane + 1;
	if (!s->resting.first)
		return INT64_MAX;
	ns = s->resting.first->rest_ns + s->rule->keep_ns;
	ns = ns > s->slide ? ns - s->slide : 0;
	return (int64_t)(ns / s->slide) > s->pane ? (int64_t)(ns / s->slide) : s->pane + 1;
}

static void set_pane(struct rule_state *s, int64_t pane)
{
	s->pane = pane;
	s->begin_ns = (uint64_t)pane * s->slide;
	s->ring_now = (1 + (uint32_t)pane % s->panes) * s->n_leaves;
	s->tick = (uint64_t)pane / s->age_unit;
	s->age = (uint8_t)(s->tick % MARK_AGES);
}

void advance_to(struct rule_state *s, uint64_t clock)
{
	const int64_t to = (int64_t)(clock / s->slide);

	if (s->pane == INT64_MIN)
		set_pane(s, to);
	for (int64_t next = next_pane(s); next <= to; next = next_pane(s)) {
		look_back(s, next);
		set_pane(s, next);
	}
	if (s->pane < to)
		set_pane(s, to);
}

/* ---- rows ---- */

/* A row of the step at hand into plain totals; the rest is groups_add()'s. */
static ALWAYS int count_row(struct rule_state *s, struct group *g, const struct batch *b,
			    uint32_t row, int64_t pane)
{
	const uint32_t word = row / 64, bit = row % 64;

	if (!s->plain || pane != s->pane)
		return groups_add(s, g, b, row, pane);
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		const struct leaf *l = &s->leaves[i];

		if (l->bits.v[word] >> bit & 1)
			g->cells[s->leaf_at[i]] += l->values ? l->values[row] : 1;
	}
	g->ago = 0;
	return 0;
}

/* The row is counted in its group. */
static ALWAYS void add_row(struct rule_state *s, const struct batch *b, uint32_t row, uint32_t slot,
			   bool calm)
{
	const uint64_t end = b->end[row];
	/* without a window no flow is late: it counts when it comes */
	const int64_t pane = calm || end - s->begin_ns < s->slide || !s->rule->test
				     ? s->pane
				     : (int64_t)(end / s->slide);
	struct group *g = slot_group(s, slot);

	groups_advance(s, g, s->pane);
	if (count_row(s, g, b, row, pane))
		s->engine->stats.lost++;
	if (s->monotone) {
		if (s->once ? g->cells[s->leaf_at[0]] == 1 : g->watch || groups_near(s, g))
			alert_look(s, slot, b->clock[row]);
	} else if (s->gated && !g->watch && groups_near(s, g) && !watch_get(s, slot)) {
		s->engine->stats.lost++;
	}
}

/* The slot was looked up ahead: it may be another's by now, or there is one now. */
static ALWAYS uint32_t find_row(struct rule_state *s, const struct batch *b, uint32_t row,
				uint32_t ahead)
{
	const uint32_t hash = s->key->hashes[row];
	uint32_t slot = ahead;

	if (slot == UINT32_MAX || slot_group(s, slot)->hash != hash ||
	    !groups_is(s, slot_group(s, slot), b, row)) {
		if (!slots_may_have(s, hash))
			return groups_new(s, b, row, hash);
		slot = slots_find(s, b, row, hash);
		if (slot == UINT32_MAX)
			return groups_new(s, b, row, hash);
	}
	slots_touch(s, slot);
	return slot;
}

/* @calm: its end and the clock are in the step at hand, as those of all of the batch. */
static ALWAYS void take_row(struct rule_state *s, const struct batch *b, uint32_t at, bool calm)
{
	const uint32_t row = s->engine->rows[at];
	uint32_t slot;

	if (!calm && b->clock[row] - s->begin_ns >= s->slide)
		advance_to(s, b->clock[row]);
	if (!calm && b->end[row] < s->begin_ns && s->rule->test &&
	    (int64_t)(b->end[row] / s->slide) <= s->pane - s->panes) {
		s->stats.late++;
		return;
	}
	slot = find_row(s, b, row, s->engine->slots[at]);
	if (slot == UINT32_MAX)
		s->engine->stats.lost++;
	else
		add_row(s, b, row, slot, calm);
}

/*
 * Groups are all over the memory, so what rows need is asked for some rows ahead, in three rounds: the
 * buckets, the groups that they name or would take, what these have besides. @at: first and behind the last.
 */
static void ask_buckets(const struct rule_state *s, const uint32_t at[2])
{
	const uint32_t *hashes = s->key->hashes;
	const uint16_t *rows = s->engine->rows;

	for (uint32_t i = at[0]; i < at[1]; i++)
		__builtin_prefetch(&s->buckets[slots_home(s, hashes[rows[i]])]);
}

static void ask_groups(const struct rule_state *s, const uint32_t at[2])
{
	const uint32_t *hashes = s->key->hashes;
	const uint16_t *rows = s->engine->rows;
	const bool wide = s->stride > 64;

	for (uint32_t i = at[0]; i < at[1]; i++) {
		const uint32_t hash = hashes[rows[i]], slot = slots_near(s, hash);
		const uint32_t soon = slot != UINT32_MAX ? slot : slots_soon(s, hash);

		s->engine->slots[i] = slot;
		if (soon == UINT32_MAX)
			continue;
		__builtin_prefetch(slot_group(s, soon), 1);
		if (wide)
			__builtin_prefetch((char *)slot_group(s, soon) + 64, 1);
	}
}

static void ask_rest(const struct rule_state *s, const uint32_t at[2])
{
	for (uint32_t i = at[0]; i < at[1]; i++)
		if (s->engine->slots[i] != UINT32_MAX)
			groups_ask_rest(s, slot_group(s, s->engine->slots[i]));
}

static void take_rows(struct rule_state *s, const struct batch *b, const uint32_t at[2], bool calm)
{
	if (calm)
		for (uint32_t i = at[0]; i < at[1]; i++)
			take_row(s, b, i, true);
	else
		for (uint32_t i = at[0]; i < at[1]; i++)
			take_row(s, b, i, false);
}

/* Rows that the leaf counts. */
static void pick_leaf(struct leaf *l, struct batch *b, const struct batch_bits *rows)
{
	struct batch_bits there = *rows;

	for (uint32_t i = 0; i < l->n_fields; i++) {
		const struct batch_column *c = batch_need(b, l->fields[i]);

		for (uint32_t w = 0; w < BATCH_WORDS; w++)
			there.v[w] &= c->valid[w];
		l->values = l->type == HA_DISTINCT ? NULL : c->numbers;
	}
	if (l->filtered)
		batch_match(b, &l->where, &there, &l->bits);
	else
		l->bits = there;
}

/* Rows that the rule counts, their buckets asked for. Return: how many. */
static uint32_t pick_rows(struct rule_state *s, struct batch *b)
{
	struct batch_bits all = batch_rows(b);
	uint16_t *to = s->engine->rows;
	struct batch_bits rows;
	uint32_t n = 0;

	if (b->any_again && !s->ids)
		for (uint32_t w = 0; w < BATCH_WORDS; w++)
			all.v[w] &= ~b->again[w];
	batch_match(b, &s->where, &all, &rows);
	batch_hash_rows(b, s->key, &rows);
	for (uint32_t w = 0; w < BATCH_WORDS; w++) {
		for (uint64_t left = rows.v[w]; left; left &= left - 1) {
			const uint32_t row = w * 64 + (uint32_t)__builtin_ctzll(left);

			to[n++] = (uint16_t)row;
		}
	}
	for (uint32_t i = 0; n && i < s->n_leaves; i++)
		pick_leaf(&s->leaves[i], b, &rows);
	return n;
}

void run_rule(struct rule_state *s, struct batch *b)
{
	const uint32_t n = pick_rows(s, b);
	const bool calm = n && b->clock[b->n - 1] - s->begin_ns < s->slide &&
			  (b->first >= s->begin_ns || !s->rule->test);

	s->stats.matched += n;
	for (uint32_t i = 0; n && i < n + 3 * AHEAD; i += AHEAD) {
		const uint32_t to = i + AHEAD;
		uint32_t at[4][2];

		/* of each round, which is behind the one before */
		for (uint32_t k = 0; k < 4; k++) {
			at[k][0] = i > k * AHEAD ? i - k * AHEAD : 0;
			at[k][1] = to > k * AHEAD ? to - k * AHEAD : 0;
			at[k][0] = at[k][0] < n ? at[k][0] : n;
			at[k][1] = at[k][1] < n ? at[k][1] : n;
		}
		ask_buckets(s, at[0]);
		ask_groups(s, at[1]);
		ask_rest(s, at[2]);
		take_rows(s, b, at[3], calm);
	}
}
