// SPDX-License-Identifier: Apache-2.0
/*
 * groups.c - the groups of a rule: what they are, and what their windows add up to. Where they are
 * is slots.c's.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"

#define STRIDE 16u /* groups begin at multiples of it */
#define LINE   64u /* of the cache: a small group is in one */
#define AGES   16u /* ages that a window is divided into */

/* ---- layout ---- */

int groups_init(struct rule_state *s)
{
	const struct rule_fields *by = &s->rule->by;
	bool text = false;

	for (uint32_t i = 0; i < by->n; i++) {
		s->key_at[i] = s->n_cells;
		s->n_cells += flow_fields[by->v[i]].type == FT_IP ? 2 : 1;
		text |= flow_fields[by->v[i]].type == FT_STR;
		s->parts[i] = (struct key_part){
			.values = s->engine->batch.columns[by->v[i]].numbers,
			.words = flow_fields[by->v[i]].type == FT_IP ? 2 : 1,
		};
	}
	s->n_parts = by->n;
	s->ring_at = s->n_cells++;
	if (text)
		s->text_at = s->n_cells++;
	s->plain = true;
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		s->plain &= s->leaves[i].type <= HA_SUM;
		s->distinct |= s->leaves[i].type == HA_DISTINCT;
		if (s->leaves[i].type == HA_DISTINCT)
			s->n_cells++;
		s->leaf_at[i] = s->n_cells++;
	}
	s->stride = (uint32_t)(sizeof(struct group) + s->n_cells * sizeof(uint64_t));
	s->stride = (s->stride + STRIDE - 1) / STRIDE * STRIDE;
	if (s->stride > LINE / 2 && s->stride < LINE)
		s->stride = LINE;
	s->age_unit = (s->panes + AGES - 1) / AGES;
	return slots_init(s);
}

/* Pointers in cells. */
static void *get_pointer(const struct group *g, uint32_t cell)
{
	return (void *)(uintptr_t)g->cells[cell];
}

static struct distinct *distinct_of(const struct rule_state *s, const struct group *g,
				    uint32_t leaf)
{
	return get_pointer(g, s->leaf_at[leaf] - 1);
}

/* Is the step at hand in the total alone? */
static bool is_sum(const struct leaf *l)
{
	return l->type <= HA_SUM;
}

/* ---- going ---- */

static void drop_ring(struct rule_state *s, struct group *g)
{
	if (!g->cells[s->ring_at])
		return;
	rings_give(s, get_pointer(g, s->ring_at));
	g->cells[s->ring_at] = 0;
}

static void drop_sets(struct rule_state *s, struct group *g)
{
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		if (s->leaves[i].type == HA_DISTINCT)
			distinct_free(distinct_of(s, g, i), &s->stats.bytes);
	}
}

/* All that it holds besides itself. */
static void empty(struct rule_state *s, struct group *g)
{
	if (s->distinct)
		drop_sets(s, g);
	if (g->cells[s->ring_at])
		drop_ring(s, g);
	if (s->text_at)
		free(get_pointer(g, s->text_at));
}

void groups_remove(struct rule_state *s, uint32_t slot)
{
	struct group *g = slot_group(s, slot);

	if (g->watch)
		watch_free(s, watch_of(s, g));
	empty(s, g);
	slots_give(s, slot);
}

void groups_done(struct rule_state *s)
{
	for (uint32_t i = 0; i < slots_end(s); i++)
		if (slot_used(s, i))
			empty(s, slot_group(s, i));
	while (s->n_watches)
		free(s->watches[--s->n_watches]);
	free(s->watches);
	rings_done(s);
	slots_done(s);
}

bool groups_gone(const struct rule_state *s, const struct group *g, int64_t pane)
{
	return g->ago + ((uint32_t)pane - g->pane) >= s->panes;
}

/* ---- coming ---- */

/* Values of by into the cells; texts into memory of the group's own. */
static int fill_key(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row)
{
	const struct rule_fields *by = &s->rule->by;
	uint32_t len = 0, at = 0;
	char *text;

	for (uint32_t i = 0; s->text_at && i < by->n; i++)
		if (b->columns[by->v[i]].kind == BATCH_STR)
			len += b->columns[by->v[i]].strs[row].len;
	text = len ? malloc(len) : NULL;
	if (len && !text)
		return -ENOMEM;
	if (s->text_at)
		g->cells[s->text_at] = (uintptr_t)text;
	for (uint32_t i = 0; i < by->n; i++) {
		const struct batch_column *c = &b->columns[by->v[i]];
		uint64_t *cell = g->cells + s->key_at[i];

		if (c->kind == BATCH_IP) {
			memcpy(cell, c->ips[row], 16);
		} else if (c->kind == BATCH_NUMBER) {
			*cell = c->numbers[row];
		} else {
			*cell = (uint64_t)at << 32 | c->strs[row].len;
			if (c->strs[row].len)
				memcpy(text + at, c->strs[row].s, c->strs[row].len);
			at += c->strs[row].len;
		}
	}
	return 0;
}

bool groups_is_text(const struct rule_state *s, const struct group *g, const struct batch *b,
		    uint32_t row)
{
	const struct rule_fields *by = &s->rule->by;

	for (uint32_t i = 0; i < by->n; i++) {
		const struct batch_column *c = &b->columns[by->v[i]];
		const uint64_t *cell = g->cells + s->key_at[i];
		bool same;

		if (c->kind == BATCH_IP) {
			same = cell[0] == c->ips[row][0] && cell[1] == c->ips[row][1];
		} else if (c->kind == BATCH_NUMBER) {
			same = *cell == c->numbers[row];
		} else {
			const char *text = get_pointer(g, s->text_at);

			same = (uint32_t)*cell == c->strs[row].len &&
			       (!c->strs[row].len ||
				!memcmp(text + (*cell >> 32), c->strs[row].s, c->strs[row].len));
		}
		if (!same)
			return false;
	}
	return true;
}

uint32_t groups_new(struct rule_state *s, const struct batch *b, uint32_t row, uint32_t hash)
{
	const uint32_t slot = slots_take(s, hash);
	struct group *g;

	if (slot == UINT32_MAX)
		return slot;
	g = slot_group(s, slot);
	memset(g, 0, s->stride);
	g->hash = hash;
	g->pane = (uint32_t)s->pane;
	g->ago = UINT8_MAX;
	if (fill_key(s, g, b, row)) {
		groups_remove(s, slot);
		return UINT32_MAX;
	}
	return slot;
}

bool groups_exempt(const struct rule_state *s, const struct group *g)
{
	const struct rule_fields *by = &s->rule->by;

	for (uint32_t i = 0; s->rule->exempt.filter && i < by->n; i++) {
		struct flow_record r = {};
		const uint64_t *cell = g->cells + s->key_at[i];
		uint64_t ip[2];

		if (flow_fields[by->v[i]].type != FT_IP)
			continue;
		ip[0] = htobe64(cell[0]);
		ip[1] = htobe64(cell[1]);
		memcpy(r.src_ip, ip, sizeof(ip));
		flow_set(&r, FF_SRC_IP);
		if (filter_match(s->rule->exempt.filter, &r))
			return true;
	}
	return false;
}

/* ---- windows ---- */

/* The total goes on being that of all steps; of max there is none. */
static int make_ring(struct rule_state *s, struct group *g)
{
	uint64_t *ring = rings_take(s);

	if (!ring)
		return -ENOMEM;
	g->cells[s->ring_at] = (uintptr_t)ring;
	for (uint32_t i = 0; i < s->n_leaves; i++)
		if (!is_sum(&s->leaves[i]))
			ring[ring_cell(s, g->pane) + i] = g->cells[s->leaf_at[i]];
	return 0;
}

static bool any_total(const struct rule_state *s, const struct group *g)
{
	for (uint32_t i = 0; i < s->n_leaves; i++)
		if (g->cells[s->leaf_at[i]])
			return true;
	return false;
}

static void no_totals(struct rule_state *s, struct group *g)
{
	for (uint32_t i = 0; i < s->n_leaves; i++)
		g->cells[s->leaf_at[i]] = 0;
	drop_ring(s, g);
}

/* The step at hand goes into the ring, and what leaves the window out of the totals. */
static void move_ring(struct rule_state *s, struct group *g, uint64_t *ring, uint32_t steps)
{
	uint64_t *last = &ring[ring_cell(s, g->pane)];

	for (uint32_t i = 0; i < s->n_leaves; i++)
		if (is_sum(&s->leaves[i]))
			last[i] = g->cells[s->leaf_at[i]] - ring[i];
	for (uint32_t p = 1; p <= steps; p++) {
		uint64_t *cells = &ring[ring_cell(s, g->pane + p)];

		for (uint32_t i = 0; i < s->n_leaves; i++) {
			if (s->leaves[i].type != HA_MAX)
				g->cells[s->leaf_at[i]] -= cells[i];
			cells[i] = 0;
		}
	}
	for (uint32_t i = 0; i < s->n_leaves; i++)
		ring[i] = g->cells[s->leaf_at[i]];
}

void groups_advance_to(struct rule_state *s, struct group *g, int64_t pane)
{
	const uint32_t steps = (uint32_t)pane - g->pane;
	uint64_t *ring;

	if (steps > INT32_MAX)
		return;
	g->ago = steps + g->ago < UINT8_MAX ? (uint8_t)(steps + g->ago) : UINT8_MAX;
	if (g->ago >= s->panes) {
		no_totals(s, g);
	} else if (any_total(s, g) && !g->cells[s->ring_at] && make_ring(s, g)) {
		no_totals(s, g);
		s->engine->stats.lost++;
	}
	ring = get_pointer(g, s->ring_at);
	if (ring)
		move_ring(s, g, ring, steps);
	g->pane = (uint32_t)pane;
}

static int add_distinct(struct rule_state *s, struct group *g, uint32_t leaf, const struct batch *b,
			const uint32_t at[2])
{
	const struct leaf *l = &s->leaves[leaf];
	uint64_t *total = g->cells + s->leaf_at[leaf], *ring = get_pointer(g, s->ring_at);
	struct distinct *set = distinct_of(s, g, leaf);
	const struct distinct_window w = {
		.counts = ring ? ring + s->n_leaves + leaf : NULL,
		.stride = s->n_leaves,
		.total = total,
		.panes = s->panes,
		.first = g->pane - s->panes + 1,
		.cap = l->cap,
		.bytes = &s->stats.bytes,
	};
	uint64_t h = b->seed;
	int r;

	for (unsigned int i = 0; i < l->n_fields; i++)
		batch_hash(b, l->fields[i], at[0], &h);
	/* neighbours differ in all bits: a sample is taken by some of them */
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	r = distinct_add(&set, &w, h ^ h >> 32, at[1]);
	total[-1] = (uintptr_t)set;
	return r;
}

/* The largest so far, and one: 0 is none. */
static void add_max(uint64_t *total, uint64_t *cell, uint64_t v)
{
	cell = cell ?: total;
	*cell = v + 1 > *cell ? v + 1 : *cell;
	*total |= *cell; /* of a ring no more than whether there was one */
}

int groups_add(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row,
	       int64_t pane)
{
	const uint32_t at[2] = {row, (uint32_t)pane}, ago = g->pane - at[1];
	uint64_t *cells, *ring;
	int r = 0;

	if (ago && !g->cells[s->ring_at] && make_ring(s, g))
		return -ENOMEM;
	ring = get_pointer(g, s->ring_at);
	cells = ring ? ring + ring_cell(s, at[1]) : NULL;
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		const struct leaf *l = &s->leaves[i];
		uint64_t *total = g->cells + s->leaf_at[i], v;

		if (!(l->bits.v[row / 64] >> (row % 64) & 1))
			continue;
		v = l->values ? l->values[row] : 1;
		if (l->type == HA_DISTINCT) {
			if (add_distinct(s, g, i, b, at))
				r = -ENOMEM;
		} else if (l->type == HA_MAX) {
			add_max(total, cells ? cells + i : NULL, v);
		} else {
			*total += v;
			if (ago) { /* then there is a ring */
				ring[i] += v;
				cells[i] += v;
			}
		}
	}
	if (ago < g->ago)
		g->ago = (uint8_t)ago;
	return r;
}

double groups_leaf(const struct rule_state *s, const struct group *g, uint32_t leaf)
{
	const uint64_t total = g->cells[s->leaf_at[leaf]];
	const uint64_t *ring = get_pointer(g, s->ring_at);
	uint64_t most = 0;

	if (s->leaves[leaf].type == HA_DISTINCT)
		return distinct_of(s, g, leaf) ? distinct_value(distinct_of(s, g, leaf), total) : 0;
	if (s->leaves[leaf].type != HA_MAX)
		return (double)total;
	most = ring ? 0 : total;
	for (uint32_t p = 1; ring && p <= s->panes; p++)
		most = ring[p * s->n_leaves + leaf] > most ? ring[p * s->n_leaves + leaf] : most;
	return most ? (double)(most - 1) : __builtin_nan("");
}

/* ---- for alerts ---- */

void groups_key(const struct rule_state *s, const struct group *g, struct alert *ret)
{
	const struct rule_fields *by = &s->rule->by;
	const char *text = s->text_at ? get_pointer(g, s->text_at) : NULL;

	ret->n_by = by->n;
	for (uint32_t i = 0; i < by->n; i++) {
		struct alert_value *v = &ret->by[i];
		const uint64_t *cell = g->cells + s->key_at[i];
		uint64_t ip[2];

		*v = (struct alert_value){.field = by->v[i], .present = true};
		if (flow_fields[by->v[i]].type == FT_IP) {
			ip[0] = htobe64(cell[0]);
			ip[1] = htobe64(cell[1]);
			memcpy(v->ip, ip, sizeof(ip));
		} else if (flow_fields[by->v[i]].type == FT_STR) {
			v->text.s = text ? text + (*cell >> 32) : "";
			v->text.len = (uint32_t)*cell;
		} else {
			v->number = *cell;
		}
	}
}
