// SPDX-License-Identifier: Apache-2.0
/*
 * groups.c - the groups of a rule: found by hash, each with its window of steps; bounded by groups_max.
 */
#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"

#define LOOK_OLD   2u  /* groups that an insertion looks at, so that old ones go */
#define LOOK_EVICT 16u /* groups of which one goes when there is no room */
#define BUCKETS	   256u

#define DISTINCT_CELLS (sizeof(struct distinct) / sizeof(uint64_t))
_Static_assert(sizeof(struct distinct) % sizeof(uint64_t) == 0, "cells");

/* ---- layout ---- */

int groups_init(struct rule_state *s)
{
	const struct rule_fields *by = &s->rule->by;

	for (uint32_t i = 0; i < by->n; i++) {
		s->key_at[i] = s->n_cells;
		s->n_cells += flow_fields[by->v[i]].type == FT_IP ? 2 : 1;
	}
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		if (s->leaves[i].type == HA_DISTINCT)
			s->n_cells += DISTINCT_CELLS;
		s->leaf_at[i] = s->n_cells;
		s->n_cells += 1 + s->panes;
	}
	s->n_buckets = BUCKETS;
	s->buckets = calloc(s->n_buckets, sizeof(*s->buckets));
	return s->buckets ? 0 : -ENOMEM;
}

static struct distinct *distinct_of(const struct rule_state *s, struct group *g, uint32_t leaf)
{
	return (struct distinct *)(void *)(g->cells + s->leaf_at[leaf] - DISTINCT_CELLS);
}

static size_t group_bytes(const struct rule_state *s)
{
	return sizeof(struct group) + s->n_cells * sizeof(uint64_t);
}

/* ---- going ---- */

static void group_free(struct rule_state *s, struct group *g)
{
	for (uint32_t i = 0; i < s->n_leaves; i++)
		if (s->leaves[i].type == HA_DISTINCT)
			distinct_done(distinct_of(s, g, i), &s->stats.bytes);
	s->stats.bytes -= group_bytes(s);
	free(g->text);
	free(g);
}

void groups_remove(struct rule_state *s, uint32_t at)
{
	struct group *g = s->all[at].group, **link = &s->buckets[g->hash & (s->n_buckets - 1)];

	while (*link != g)
		link = &(*link)->next;
	*link = g->next;
	s->all[at] = s->all[--s->n_groups];
	s->all[at].group->at = at;
	group_free(s, g);
}

void groups_done(struct rule_state *s)
{
	while (s->n_groups)
		group_free(s, s->all[--s->n_groups].group);
	free(s->all);
	free(s->buckets);
}

static bool is_old(const struct rule_state *s, const struct group_slot *g)
{
	return !g->alert && g->seen <= s->pane - s->panes;
}

static void look_for_old(struct rule_state *s)
{
	for (unsigned int i = 0; i < LOOK_OLD && s->n_groups; i++) {
		if (s->hand >= s->n_groups)
			s->hand = 0;
		if (is_old(s, &s->all[s->hand]))
			groups_remove(s, s->hand);
		else
			s->hand++;
	}
}

/* No room: of some groups the one that was not seen for longest, those with an alert last. */
static void evict(struct rule_state *s)
{
	uint32_t worst = 0;

	for (unsigned int i = 0; i < LOOK_EVICT; i++) {
		const uint32_t at = (s->hand + i) % s->n_groups;
		const struct group_slot *g = &s->all[at], *w;

		if (!i)
			worst = at;
		w = &s->all[worst];
		if (g->alert != w->alert ? !g->alert : g->seen < w->seen)
			worst = at;
	}
	s->hand = (s->hand + LOOK_EVICT) % s->n_groups;
	if (!is_old(s, &s->all[worst]))
		s->stats.evicted++;
	if (s->all[worst].alert)
		alert_end(s, s->all[worst].group, s->engine->clock, ALERT_EVICTED);
	groups_remove(s, worst);
}

/* ---- coming ---- */

static int more_buckets(struct rule_state *s)
{
	const uint32_t n = s->n_buckets * 2;
	struct group **to = calloc(n, sizeof(*to));

	if (!to)
		return -ENOMEM;
	for (uint32_t i = 0; i < s->n_groups; i++) {
		struct group *g = s->all[i].group, **link = &to[g->hash & (n - 1)];

		g->next = *link;
		*link = g;
	}
	free(s->buckets);
	s->buckets = to;
	s->n_buckets = n;
	return 0;
}

static int make_room(struct rule_state *s)
{
	struct group_slot *to;
	uint32_t cap;

	look_for_old(s);
	if (s->n_groups >= s->rule->groups_max)
		evict(s);
	if (s->n_groups >= s->n_buckets && more_buckets(s))
		return -ENOMEM;
	if (s->n_groups < s->cap_groups)
		return 0;
	cap = s->cap_groups ? s->cap_groups * 2 : 64;
	to = reallocarray(s->all, cap, sizeof(*to));
	if (!to)
		return -ENOMEM;
	s->all = to;
	s->cap_groups = cap;
	return 0;
}

/* Values of by into the cells; texts into memory of the group's own. */
static int fill_key(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row)
{
	const struct rule_fields *by = &s->rule->by;
	uint32_t len = 0, at = 0;

	for (uint32_t i = 0; i < by->n; i++)
		if (b->columns[by->v[i]].kind == BATCH_STR)
			len += b->columns[by->v[i]].strs[row].len;
	g->text = len ? malloc(len) : NULL;
	if (len && !g->text)
		return -ENOMEM;
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
				memcpy(g->text + at, c->strs[row].s, c->strs[row].len);
			at += c->strs[row].len;
		}
	}
	return 0;
}

static bool is_exempt(const struct rule_state *s, const struct group *g)
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

static struct group *make_group(struct rule_state *s, const struct batch *b, uint32_t row,
				const struct hash128 *h)
{
	struct group *g, **bucket;

	if (make_room(s))
		return NULL;
	g = calloc(1, group_bytes(s));
	if (!g)
		return NULL;
	if (fill_key(s, g, b, row)) {
		free(g);
		return NULL;
	}
	s->stats.bytes += group_bytes(s);
	g->hash = h->a;
	g->hash2 = h->b;
	g->pane = s->pane;
	g->seen = INT64_MIN;
	g->at = s->n_groups;
	g->exempt = is_exempt(s, g);
	bucket = &s->buckets[g->hash & (s->n_buckets - 1)];
	g->next = *bucket;
	*bucket = g;
	s->all[s->n_groups++] = (struct group_slot){g, g->seen, false};
	return g;
}

struct group *groups_get(struct rule_state *s, const struct batch *b, uint32_t row,
			 const struct hash128 *h)
{
	struct group *g = s->buckets[h->a & (s->n_buckets - 1)];

	while (g && (g->hash != h->a || g->hash2 != h->b))
		g = g->next;
	return g ?: make_group(s, b, row, h);
}

/* ---- windows ---- */

void groups_advance(struct rule_state *s, struct group *g, int64_t pane)
{
	if (pane <= g->pane)
		return;
	for (uint32_t i = 0; i < s->n_leaves; i++) {
		uint64_t *total = g->cells + s->leaf_at[i], *cells = total + 1;

		if (pane - g->pane >= s->panes) {
			memset(total, 0, (1 + s->panes) * sizeof(*total));
			continue;
		}
		for (int64_t p = g->pane + 1; p <= pane; p++) {
			uint64_t *cell = &cells[p % s->panes];

			*total -= *cell;
			*cell = 0;
		}
	}
	g->pane = pane;
}

static int add_distinct(struct rule_state *s, struct group *g, uint32_t leaf, const struct batch *b,
			const uint32_t at[2])
{
	const struct leaf *l = &s->leaves[leaf];
	uint64_t *total = g->cells + s->leaf_at[leaf];
	const struct distinct_window w = {
		.counts = total + 1,
		.total = total,
		.panes = s->panes,
		.first = (uint32_t)(g->pane - s->panes + 1),
		.cap = l->cap,
		.bytes = &s->stats.bytes,
	};
	uint64_t h = s->engine->cfg.seed;

	for (unsigned int i = 0; i < l->n_fields; i++)
		if (!batch_hash(b, l->fields[i], at[0], &h))
			return 0;
	/* neighbours differ in all bits: a sample is taken by some of them */
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	h = (h ^ h >> 32) * 0xd6e8feb86659fd93u;
	return distinct_add(distinct_of(s, g, leaf), &w, h ^ h >> 32, at[1]);
}

/* @row into step @pane of the group. */
int groups_add(struct rule_state *s, struct group *g, const struct batch *b, uint32_t row,
	       int64_t pane)
{
	const uint32_t at[2] = {row, (uint32_t)pane};
	int r = 0;

	for (uint32_t i = 0; i < s->n_leaves; i++) {
		const struct leaf *l = &s->leaves[i];
		uint64_t *total = g->cells + s->leaf_at[i], *cell = &total[1 + pane % s->panes];
		uint64_t v = 1;

		if (l->filtered && !(l->bits[row / 64] >> (row % 64) & 1))
			continue;
		if (l->type == HA_DISTINCT) {
			if (add_distinct(s, g, i, b, at))
				r = -ENOMEM;
			continue;
		}
		if (l->type != HA_COUNT && !batch_has(b, l->fields[0], row))
			continue;
		if (l->type != HA_COUNT)
			v = b->columns[l->fields[0]].numbers[row];
		if (l->type == HA_MAX) {
			*cell = v + 1 > *cell ? v + 1 : *cell; /* 0: there was none */
		} else {
			*cell += v;
			*total += v;
		}
	}
	if (pane > g->seen)
		g->seen = s->all[g->at].seen = pane;
	return r;
}

double groups_leaf(const struct rule_state *s, struct group *g, uint32_t leaf)
{
	const uint64_t *total = g->cells + s->leaf_at[leaf];
	uint64_t most = 0;

	if (s->leaves[leaf].type == HA_DISTINCT)
		return distinct_value(distinct_of(s, g, leaf), *total);
	if (s->leaves[leaf].type != HA_MAX)
		return (double)*total;
	for (uint32_t i = 0; i < s->panes; i++)
		most = total[1 + i] > most ? total[1 + i] : most;
	return most ? (double)(most - 1) : __builtin_nan("");
}

/* ---- for alerts ---- */

void groups_key(const struct rule_state *s, const struct group *g, struct alert *ret)
{
	const struct rule_fields *by = &s->rule->by;

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
			v->text.s = g->text ? g->text + (*cell >> 32) : "";
			v->text.len = (uint32_t)*cell;
		} else {
			v->number = *cell;
		}
	}
}
