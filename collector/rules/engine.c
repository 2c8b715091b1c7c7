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
#define EXACT  9e15 /* up to here a double is exact to the one */

#define STEPS_OF_KEEP 60u /* in which a rule without a window lets an alert fire on */
#define STEP_MOST     (60 * SECOND)

/* ---- set-up ---- */

static bool same_filter(const struct batch_filter *a, const struct batch_filter *b)
{
	const struct filter *f = a->filter, *g = b->filter;

	if (!f || !g)
		return f == g;
	if (f->n_tests != g->n_tests || f->entry != g->entry)
		return false;
	for (uint32_t i = f->entry; i < f->n_tests; i++)
		if (a->tests[i] != b->tests[i] || f->tests[i].if_true != g->tests[i].if_true ||
		    f->tests[i].if_false != g->tests[i].if_false)
			return false;
	return true;
}

/* Do both count the same? */
static bool same_leaf(const struct leaf *a, const struct leaf *b)
{
	return a == b || (a->type == b->type && a->n_fields == b->n_fields &&
			  !memcmp(a->fields, b->fields, a->n_fields) &&
			  a->filtered == b->filtered && same_filter(&a->where, &b->where));
}

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
	for (s->leaf_of[agg] = 0; !same_leaf(&s->leaves[s->leaf_of[agg]], l);)
		s->leaf_of[agg]++;
	if (s->leaf_of[agg] == s->n_leaves)
		s->n_leaves++;
	else
		batch_filter_done(&l->where);
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
		uint32_t cap;

		if (h->aggs[i].type == HA_RATIO)
			continue;
		r = add_leaf(s, &h->aggs[i], i);
		cap = distinct_cap(threshold(h, i));
		if (cap > s->leaves[s->leaf_of[i]].cap)
			s->leaves[s->leaf_of[i]].cap = cap;
	}
	return r;
}

/* The first comparison that must hold for all to hold; of a not or an or there is none. */
static const struct having_node *find_gate(const struct having *h, uint32_t node)
{
	const struct having_node *n = &h->nodes[node], *found = NULL;

	if (n->type == HN_CMP)
		return n->op == FO_GT || n->op == FO_GE || n->op == FO_EQ ? n : NULL;
	for (uint32_t i = n->type == HN_AND ? n->first : 0; i && !found; i = h->nodes[i].next) {
		found = find_gate(h, i);
		if (found && h->aggs[found->agg].type == HA_RATIO)
			found = NULL;
	}
	return found;
}

/* The smallest whole number that is as large as the comparison with @value asks for, or larger. */
static uint64_t least(const struct having_node *n, double value)
{
	const uint64_t whole = (uint64_t)value;

	return n->op == FO_GT || (double)whole < value ? whole + 1 : whole;
}

static void add_gate(struct rule_state *s)
{
	const struct having *h = s->rule->test;
	const struct having_node *n = h ? find_gate(h, h->root) : NULL;

	if (!n || h->aggs[n->agg].type == HA_RATIO)
		return;
	s->gated = true;
	s->gate = s->leaf_of[n->agg];
	s->gate_value = n->value;
	if (h->aggs[n->agg].type == HA_RATE) /* no more than a filter: roundings do no harm */
		s->gate_value *= (double)s->rule->window.size_ns / (double)SECOND * 0.999999;
	if (s->leaves[s->gate].type <= HA_SUM && s->gate_value >= 1 && s->gate_value < EXACT)
		s->gate_total = least(n, s->gate_value);
	s->gate_is_all = s->gate_total && n == &h->nodes[h->root] && n->op != FO_EQ &&
			 h->aggs[n->agg].type != HA_RATE;
}

static bool asks_ids(const struct filter *f)
{
	for (uint32_t i = f ? f->entry : 0; f && i < f->n_tests; i++)
		if (f->tests[i].field >= FF_IDS_TIME && f->tests[i].field <= FF_IDS_ACTION)
			return true;
	return false;
}

static bool has_ids(const uint8_t *fields, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++)
		if (fields[i] >= FF_IDS_TIME && fields[i] <= FF_IDS_ACTION)
			return true;
	return false;
}

/* Does the rule look at what an IDS said? */
static bool wants_ids(const struct rule_state *s)
{
	bool yes = asks_ids(s->rule->filter) || has_ids(s->rule->by.v, s->rule->by.n);

	for (uint32_t i = 0; !yes && i < s->n_leaves; i++)
		yes = asks_ids(s->leaves[i].where.filter) ||
		      has_ids(s->leaves[i].fields, s->leaves[i].n_fields);
	return yes;
}

/*
 * Of a rule without a window the step says no more than how soon it's seen that no flow came: what fires on for an
 * hour need not be looked at each second.
 */
static uint64_t step_of(const struct rule *r)
{
	uint64_t step = r->keep_ns / STEPS_OF_KEEP / SECOND * SECOND;

	if (r->window.slide_ns)
		return r->window.slide_ns;
	if (r->for_ns || step < SECOND)
		return SECOND;
	return step < STEP_MOST ? step : STEP_MOST;
}

static int state_init(struct engine *e, const struct rule *rule, struct rule_state *s)
{
	uint32_t key;
	int r;

	*s = (struct rule_state){
		.rule = rule, .engine = e, .pane = INT64_MIN, .begin_ns = UINT64_C(1) << 63};
	s->slide = step_of(rule);
	s->panes = rule->window.size_ns ? (uint32_t)(rule->window.size_ns / s->slide) : 1;
	s->monotone = !rule->test || rule->test->monotone;
	s->once = !rule->test && !rule->for_ns;
	r = batch_add_filter(&e->batch, rule->filter, &s->where);
	if (!r)
		r = batch_add_key(&e->batch, &rule->by, &key);
	if (!r)
		r = add_leaves(s);
	if (r)
		return r;
	s->key = e->batch.keys[key];
	s->ids = wants_ids(s);
	add_gate(s);
	return groups_init(s);
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
		if (!cfg->rules->v[i].correlate.at.line && engine_runs(e, i))
			r = state_init(e, &cfg->rules->v[i], &e->states[i]);
	e->batch.seed = batch_seed(e->cfg.seed);
	if (!r)
		r = batch_prepare(&e->batch);
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

/* ---- flows ---- */

static void run_batch(struct engine *e)
{
	struct batch *b = &e->batch;

	if (!b->n)
		return;
	e->stats.flows += b->n;
	b->first = UINT64_MAX;
	for (uint32_t i = 0; i < b->n; i++) {
		if (b->end[i] < b->first)
			b->first = b->end[i];
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
	uint32_t at = 0, n;

	run_batch(e);
	for (n = batch_take(&e->batch, b, at); n; n = batch_take(&e->batch, b, at)) {
		at += n;
		for (uint32_t i = 0; now_ns && i < n; i++) {
			if (e->batch.end[i] <= now_ns + e->cfg.ahead_ns)
				continue;
			e->batch.end[i] = now_ns;
			e->stats.future++;
		}
		run_batch(e);
	}
	batch_clear(&e->batch);
	return 0;
}

void engine_advance(struct engine *e, uint64_t ns)
{
	run_batch(e);
	if (ns > e->clock)
		e->clock = ns;
	for (uint32_t i = 0; i < e->cfg.rules->n; i++)
		if (e->states[i].rule)
			advance_to(&e->states[i], e->clock);
	joins_advance(e, e->clock);
}

uint64_t engine_clock(const struct engine *e)
{
	return e->clock;
}

/* Does it group by the value, or add it up? */
static bool takes_value(const struct rule_state *s, enum flow_field f)
{
	bool yes = s->rule && memchr(s->rule->by.v, (int)f, s->rule->by.n);

	for (uint32_t i = 0; !yes && i < s->n_leaves; i++)
		yes = memchr(s->leaves[i].fields, (int)f, s->leaves[i].n_fields);
	return yes;
}

enum engine_use engine_uses(const struct engine *e, enum flow_field f)
{
	/* rows that repeat a flow are known by it */
	enum engine_use use = f == FF_REASON ? ENGINE_VALUE : ENGINE_NOT;

	for (uint32_t i = 0; i < e->cfg.rules->n; i++)
		if (takes_value(&e->states[i], f))
			return ENGINE_VALUE;
	for (uint32_t i = 0; i < e->batch.n_tests && use != ENGINE_VALUE; i++)
		if (e->batch.tests[i].test->field == f)
			use = batch_asks_value(&e->batch.tests[i]) ? ENGINE_VALUE : ENGINE_IF_THERE;
	return use;
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
	uint64_t bytes = (2 + panes) * sizeof(uint64_t);
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
	const uint64_t slide = step_of(r);
	const uint32_t panes = r->window.size_ns ? (uint32_t)(r->window.size_ns / slide) : 1;

	/* a bucket's octets are two and some for each place; a quarter of the places is free */
	*ret = (struct rule_cost){.group_bytes = sizeof(struct group) + sizeof(uint64_t) + 3 + 16};
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
