// SPDX-License-Identifier: Apache-2.0
/*
 * engine.c - flows in, rules over them, one after the other.
 */
#include "collector/rules/engine.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

#include "collector/rules/engine_int.h"

#define SECOND UINT64_C(1000000000)

/* ---- set-up ---- */

static int add_leaf(struct rule_state *s, const struct having_agg *a, uint32_t agg)
{
	struct leaf *l = &s->leaves[s->n_leaves];
	struct batch *b = &s->engine->batch;
	int r = 0;

	*l = (struct leaf){.type = a->type, .n_fields = a->n_fields, .agg = agg};
	if (l->type == HA_RATE)
		l->type = HA_SUM;
	memcpy(l->fields, a->fields, sizeof(l->fields));
	for (uint32_t i = 0; !r && i < l->n_fields; i++)
		r = batch_use(b, l->fields[i]);
	if (!r && a->where) {
		l->filtered = true;
		r = batch_add_filter(b, a->where, &l->where);
	}
	s->leaf_of[agg] = s->n_leaves++;
	return r;
}

/* The largest number that an aggregate is compared with, also within a ratio. */
static double threshold(const struct having *h, uint32_t agg)
{
	double most = 0;

	for (uint32_t i = 1; i < h->n_nodes; i++) {
		const struct having_node *n = &h->nodes[i];

		if (n->type == HN_CMP && n->agg == agg && n->value > most)
			most = n->value;
	}
	return most;
}

static int add_leaves(struct rule_state *s)
{
	static const struct having_agg count = {.type = HA_COUNT};
	const struct having *h = s->rule->test;
	int r = 0;

	if (!h)
		return add_leaf(s, &count, 0);
	for (uint32_t i = 0; !r && i < h->n_aggs; i++) {
		if (h->aggs[i].type == HA_RATIO)
			continue;
		r = add_leaf(s, &h->aggs[i], i);
		s->leaves[s->leaf_of[i]].cap = distinct_cap(threshold(h, i));
	}
	return r;
}

static int state_init(struct engine *e, const struct rule *rule, struct rule_state *s)
{
	int r;

	*s = (struct rule_state){.rule = rule, .engine = e, .pane = INT64_MIN};
	s->slide = rule->window.slide_ns ?: SECOND;
	s->panes = rule->window.size_ns ? (uint32_t)(rule->window.size_ns / s->slide) : 1;
	s->monotone = !rule->test || rule->test->monotone;
	r = batch_add_filter(&e->batch, rule->filter, &s->where);
	for (uint32_t i = 0; !r && i < rule->by.n; i++)
		r = batch_use(&e->batch, rule->by.v[i]);
	if (!r)
		r = add_leaves(s);
	return r ?: groups_init(s);
}

int engine_new(const struct engine_cfg *cfg, struct engine **ret)
{
	struct engine *e = calloc(1, sizeof(*e));
	int r = 0;

	if (!e)
		return -ENOMEM;
	e->cfg = *cfg;
	if (!e->cfg.seed && getrandom(&e->cfg.seed, sizeof(e->cfg.seed), 0) < 0)
		e->cfg.seed = (uint64_t)(uintptr_t)e;
	e->states = calloc(cfg->rules->n ?: 1, sizeof(*e->states));
	r = e->states ? joins_new(e) : -ENOMEM;
	for (uint32_t i = 0; !r && i < cfg->rules->n; i++)
		if (!cfg->rules->v[i].correlate.at.line && cfg->rules->v[i].mode != RM_DRAFT)
			r = state_init(e, &cfg->rules->v[i], &e->states[i]);
	if (r) {
		engine_free(e);
		return r;
	}
	*ret = e;
	return 0;
}

struct engine *engine_free(struct engine *e)
{
	if (!e)
		return NULL;
	for (uint32_t i = 0; e->states && i < e->cfg.rules->n; i++) {
		struct rule_state *s = &e->states[i];

		groups_done(s);
		batch_filter_done(&s->where);
		for (uint32_t l = 0; l < s->n_leaves; l++)
			batch_filter_done(&s->leaves[l].where);
	}
	free(e->states);
	joins_free(e);
	batch_done(&e->batch);
	free(e);
	return NULL;
}

/* ---- time ---- */

/* Step @pane has begun: how the groups stand over whole steps. */
static void look_back(struct rule_state *s, int64_t pane)
{
	const uint64_t now = (uint64_t)pane * s->slide;

	if (s->monotone) {
		for (struct group *g = s->alerts, *next; g; g = next) {
			next = g->next_alert;
			groups_advance(s, g, pane - 1);
			alert_look(s, g, now);
		}
		return;
	}
	for (uint32_t i = 0; i < s->n_groups;) {
		struct group *g = s->all[i].group;

		groups_advance(s, g, pane - 1);
		alert_look(s, g, now);
		if (g->state == ALERT_NONE && g->seen <= pane - 1 - s->panes)
			groups_remove(s, i);
		else
			i++;
	}
}

static void advance(struct rule_state *s, uint64_t clock)
{
	const int64_t to = (int64_t)(clock / s->slide);

	if (s->pane == INT64_MIN)
		s->pane = to;
	while (s->pane < to && (s->alerts || (!s->monotone && s->n_groups))) {
		look_back(s, s->pane + 1);
		s->pane++;
	}
	if (s->pane < to)
		s->pane = to;
}

/* ---- rows ---- */

static bool hash_row(const struct rule_state *s, const struct batch *b, uint32_t row,
		     struct hash128 *ret)
{
	const struct rule_fields *by = &s->rule->by;

	ret->a = s->engine->cfg.seed;
	ret->b = ~s->engine->cfg.seed;
	for (uint32_t i = 0; i < by->n; i++)
		if (!batch_hash(b, by->v[i], row, &ret->a) ||
		    !batch_hash(b, by->v[i], row, &ret->b))
			return false;
	return true;
}

static void take_row(struct rule_state *s, const struct batch *b, uint32_t row,
		     const struct hash128 *h)
{
	const int64_t pane = (int64_t)(b->end[row] / s->slide);
	struct group *g;

	advance(s, b->clock[row]);
	s->stats.matched++;
	if (pane <= s->pane - s->panes) {
		s->stats.late++;
		return;
	}
	g = groups_get(s, b, row, h);
	if (!g) {
		s->engine->stats.lost++;
		return;
	}
	groups_advance(s, g, s->pane);
	if (groups_add(s, g, b, row, pane))
		s->engine->stats.lost++;
	if (s->monotone)
		alert_look(s, g, b->clock[row]);
}

/* Rows of a rule, their groups asked for ahead: they are all over the memory. */
static void take_rows(struct rule_state *s, const struct batch *b, const uint64_t *bits)
{
	struct hash128 hashes[64];

	for (uint32_t w = 0; w * 64 < b->n; w++) {
		uint64_t rows = bits[w];

		for (uint64_t rest = rows; rest; rest &= rest - 1) {
			const unsigned int i = (unsigned int)__builtin_ctzll(rest);

			if (!hash_row(s, b, w * 64 + i, &hashes[i]))
				rows &= ~(UINT64_C(1) << i);
			else
				__builtin_prefetch(&s->buckets[hashes[i].a & (s->n_buckets - 1)]);
		}
		for (uint64_t rest = rows; rest; rest &= rest - 1) {
			const unsigned int i = (unsigned int)__builtin_ctzll(rest);
			struct group *g = s->buckets[hashes[i].a & (s->n_buckets - 1)];

			if (g)
				__builtin_prefetch(g);
		}
		for (; rows; rows &= rows - 1) {
			const unsigned int i = (unsigned int)__builtin_ctzll(rows);

			take_row(s, b, w * 64 + i, &hashes[i]);
		}
	}
}

static void run_rule(struct rule_state *s, struct batch *b)
{
	uint64_t bits[BATCH_WORDS];

	batch_match(b, &s->where, bits);
	for (uint32_t i = 0; i < s->n_leaves; i++)
		if (s->leaves[i].filtered)
			batch_match(b, &s->leaves[i].where, s->leaves[i].bits);
	take_rows(s, b, bits);
}

static void run_batch(struct engine *e)
{
	struct batch *b = &e->batch;

	if (!b->n)
		return;
	e->stats.flows += b->n;
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->end[i] > e->clock)
			e->clock = b->end[i];
		b->clock[i] = e->clock;
	}
	for (uint32_t i = 0; i < e->cfg.rules->n; i++)
		if (e->states[i].rule)
			run_rule(&e->states[i], b);
	batch_clear(b);
	engine_advance(e, e->clock);
}

/* ---- interface ---- */

void engine_flush(struct engine *e)
{
	run_batch(e);
}

int engine_flow(struct engine *e, const struct flow_record *r)
{
	int rc = e->batch.n == BATCH_ROWS ? -ENOSPC : batch_add(&e->batch, r);

	if (rc == -ENOSPC) {
		run_batch(e);
		rc = batch_add(&e->batch, r);
	}
	if (rc)
		e->stats.lost++;
	return rc;
}

int engine_block(struct engine *e, const struct block *b, uint64_t now_ns)
{
	uint32_t at = 0;
	int n;

	run_batch(e);
	for (n = batch_take(&e->batch, b, at); n > 0; n = batch_take(&e->batch, b, at)) {
		at += (uint32_t)n;
		for (uint32_t i = 0; now_ns && i < e->batch.n; i++) {
			if (e->batch.end[i] <= now_ns + e->cfg.ahead_ns)
				continue;
			e->batch.end[i] = now_ns;
			e->stats.future++;
		}
		run_batch(e);
	}
	return n;
}

void engine_advance(struct engine *e, uint64_t ns)
{
	run_batch(e);
	if (ns > e->clock)
		e->clock = ns;
	for (uint32_t i = 0; i < e->cfg.rules->n; i++)
		if (e->states[i].rule)
			advance(&e->states[i], e->clock);
	joins_advance(e, e->clock);
}

uint64_t engine_clock(const struct engine *e)
{
	return e->clock;
}

void engine_stats(const struct engine *e, struct engine_stats *ret)
{
	*ret = e->stats;
}

void engine_rule_stats(const struct engine *e, uint32_t rule, struct engine_rule_stats *ret)
{
	*ret = e->states[rule].stats;
	ret->groups = e->states[rule].n_groups;
}

/* ---- cost ---- */

static uint64_t leaf_bytes(const struct rule *r, uint32_t agg, uint32_t panes,
			   struct rule_cost *ret)
{
	const struct having_agg *a = &r->test->aggs[agg];
	uint64_t bytes = (1 + panes) * sizeof(uint64_t);
	uint32_t cap;

	if (a->type == HA_RATIO)
		return 0;
	if (a->type != HA_DISTINCT)
		return bytes;
	cap = distinct_cap(threshold(r->test, agg));
	if (!ret->distinct_exact || cap < ret->distinct_exact) {
		ret->distinct_exact = cap;
		ret->distinct_error = 1.2 / __builtin_sqrt((double)cap);
	}
	return bytes + sizeof(struct distinct) + (uint64_t)cap * 4 * 12;
}

void rule_cost(const struct rule *r, struct rule_cost *ret)
{
	const uint64_t slide = r->window.slide_ns ?: SECOND;
	const uint32_t panes = r->window.size_ns ? (uint32_t)(r->window.size_ns / slide) : 1;

	*ret = (struct rule_cost){.group_bytes = sizeof(struct group) + 2 * sizeof(void *)};
	for (uint32_t i = 0; i < r->by.n; i++)
		ret->group_bytes += flow_fields[r->by.v[i]].type == FT_IP ? 16 : 8;
	for (uint32_t i = 0; r->test && i < r->test->n_aggs; i++)
		ret->group_bytes += leaf_bytes(r, i, panes, ret);
	if (!r->test)
		ret->group_bytes += 2 * sizeof(uint64_t);
	ret->state_bytes = ret->group_bytes * (r->by.n ? r->groups_max : 1);
	if (r->class == RC_KERNEL)
		ret->reaction_ns = 0;
	else
		ret->reaction_ns = r->for_ns			   ? r->for_ns + slide
				   : !r->test || r->test->monotone ? 0
								   : slide;
}
