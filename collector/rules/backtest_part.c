// SPDX-License-Identifier: Apache-2.0
#include "collector/rules/backtest_part.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/filter.h"

/* ---- what would have been done ---- */

static bool is_local(const struct backtest_part *p, const uint8_t ip[16])
{
	struct flow_record r = {};

	memcpy(r.src_ip, ip, 16);
	flow_set(&r, FF_SRC_IP);
	return p->local && filter_match(p->local, &r);
}

static const struct alert_value *by_value(const struct alert *a, unsigned int field)
{
	for (uint32_t i = 0; i < a->n_by; i++)
		if (a->by[i].field == field)
			return &a->by[i];
	return NULL;
}

static bool fill_hit(const struct backtest_part *p, const struct alert *a,
		     const struct rule_action *act, struct backtest_hit *h)
{
	const bool pair = act->scope == RULE_SCOPE_PAIR;
	const struct alert_value *v = by_value(a, pair ? FF_SRC_IP : act->scope);
	const struct alert_value *w = pair ? by_value(a, FF_DST_IP) : v;

	*h = (struct backtest_hit){.rule = (uint32_t)(a->rule - p->cfg->rules->v),
				   .action = act->type,
				   .scope = act->scope,
				   .exempt = a->exempt,
				   .first_ns = a->at_ns,
				   .alerts = 1};
	if (!v || !w)
		return false;
	memcpy(h->ip[0], v->ip, 16);
	if (pair)
		memcpy(h->ip[1], w->ip, 16);
	h->internal = is_local(p, h->ip[0]) || (pair && is_local(p, h->ip[1]));
	return true;
}

static uint32_t place_of(const struct backtest_part *p, const struct backtest_hit *h)
{
	uint64_t hash = ((uint64_t)h->rule << 16) + ((uint64_t)h->action << 8) + h->scope, v;
	uint32_t at;

	for (unsigned int i = 0; i < 4; i++) {
		memcpy(&v, (const uint8_t *)h->ip + 8 * i, 8);
		hash = (hash ^ v) * 0x9e3779b97f4a7c15u;
		hash ^= hash >> 29;
	}
	for (at = (uint32_t)hash & (2 * BACKTEST_HITS_MAX - 1); p->places[at];
	     at = (at + 1) & (2 * BACKTEST_HITS_MAX - 1)) {
		const struct backtest_hit *o = &p->hits[p->places[at] - 1];

		if (o->rule == h->rule && o->action == h->action && o->scope == h->scope &&
		    !memcmp(o->ip, h->ip, sizeof(h->ip)))
			break;
	}
	return at;
}

static void add_hit(struct backtest_part *p, const struct backtest_hit *h)
{
	const uint32_t at = place_of(p, h);

	if (p->places[at]) {
		p->hits[p->places[at] - 1].alerts++;
		return;
	}
	if (p->n_hits == BACKTEST_HITS_MAX) {
		p->unkept++;
		return;
	}
	if (p->n_hits == p->cap_hits) {
		const uint32_t cap = p->cap_hits ? p->cap_hits * 2 : 64;
		struct backtest_hit *to = reallocarray(p->hits, cap, sizeof(*to));

		if (!to) {
			p->no_memory = true;
			return;
		}
		p->hits = to;
		p->cap_hits = cap;
	}
	p->hits[p->n_hits++] = *h;
	p->places[at] = p->n_hits;
	p->rules[h->rule].hits++;
	p->rules[h->rule].internal += h->internal;
	p->rules[h->rule].exempt += h->exempt;
}

static void on_alert(void *arg, const struct alert *a)
{
	struct backtest_part *p = arg;
	struct backtest_hit h;

	if (a->state != ALERT_FIRING)
		return;
	p->rules[a->rule - p->cfg->rules->v].alerts++;
	for (uint32_t i = 0; i < a->rule->actions.n; i++)
		if (fill_hit(p, a, &a->rule->actions.v[i], &h))
			add_hit(p, &h);
}

/* ---- which rules ---- */

static bool runs(const struct rule_set *rules, const bool *only, uint32_t rule)
{
	return rule < rules->n && (!only || only[rule]);
}

/* All that have the number @from have @to instead. */
static void join(uint32_t *numbers, uint32_t n, uint32_t from, uint32_t to)
{
	for (uint32_t i = 0; i < n; i++)
		if (numbers[i] == from)
			numbers[i] = to;
}

/* Rules that a correlation joins, directly or not, have the same number. */
static void number(const struct rule_set *rules, uint32_t *numbers)
{
	for (uint32_t i = 0; i < rules->n; i++)
		numbers[i] = i;
	for (uint32_t i = 0; i < rules->n; i++) {
		const struct rule_correlate *c = &rules->v[i].correlate;

		for (uint32_t k = 0; c->at.line && k < c->rules.n; k++)
			join(numbers, rules->n, numbers[c->index[k]], numbers[i]);
	}
}

uint32_t backtest_deal(const struct rule_set *rules, const bool *only, uint32_t parts,
		       uint8_t *owner)
{
	uint32_t *numbers = calloc(rules->n ?: 1, sizeof(*numbers)), n = 0;

	memset(owner, 0, rules->n);
	if (!numbers)
		return 1; /* one thread for all of them will do */
	number(rules, numbers);
	for (uint32_t i = 0; i < rules->n; i++) {
		bool first = runs(rules, only, i);

		for (uint32_t k = 0; first && k < i; k++)
			first = !runs(rules, only, k) || numbers[k] != numbers[i];
		if (!first)
			continue;
		for (uint32_t k = i; k < rules->n; k++)
			if (numbers[k] == numbers[i])
				owner[k] = (uint8_t)(n % parts);
		n++;
	}
	free(numbers);
	return n < parts ? n ?: 1 : parts;
}

/* ---- set-up ---- */

int backtest_part_init(struct backtest_part *p, const uint8_t *owner)
{
	const struct rule_set *rules = p->cfg->rules;
	const struct engine_cfg cfg = {.rules = rules,
				       .alert = on_alert,
				       .arg = p,
				       .seed = 1,
				       .drafts = true,
				       .only = p->only = calloc(rules->n ?: 1, sizeof(*p->only))};

	p->places = calloc(2 * BACKTEST_HITS_MAX, sizeof(*p->places));
	if (!p->only || !p->places)
		return -ENOMEM;
	for (uint32_t i = 0; i < rules->n; i++)
		p->only[i] = owner[i] == p->taker && runs(rules, p->cfg->only, i);
	return engine_new(&cfg, &p->engine);
}

void backtest_part_done(struct backtest_part *p)
{
	engine_free(p->engine);
	free(p->only);
	free(p->places);
	free(p->hits);
}

/* ---- the thread ---- */

static void *take_blocks(void *arg)
{
	struct backtest_part *p = arg;
	const struct block *b;

	while ((b = relay_take(p->relay, p->taker))) {
		if (engine_block(p->engine, b, 0))
			p->no_memory = true;
		relay_done(p->relay, p->taker);
	}
	return NULL;
}

int backtest_part_start(struct backtest_part *p)
{
	p->running = !pthread_create(&p->thread, NULL, take_blocks, p);
	return p->running ? 0 : -EAGAIN;
}

void backtest_part_join(struct backtest_part *p)
{
	if (p->running)
		pthread_join(p->thread, NULL);
	p->running = false;
}
