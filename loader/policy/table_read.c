// SPDX-License-Identifier: Apache-2.0
/*
 * table_read.c - what the tables hold and have counted.
 */
#include <errno.h>
#include <openssl/sha.h>
#include <stdlib.h>
#include <string.h>

#include "loader/policy/table_int.h"

void policy_table_usage(const struct policy_table *t, struct policy_usage *ret)
{
	*ret = (struct policy_usage){
		.generation = t->generation,
		.rules = t->rules,
		.rules_max = POLICY_RULES - POLICY_LINEAR + POLICY_LINEAR_MAX,
		.linear = t->linear,
		.decisions = t->live,
		.decisions_max = t->max,
		.dead = t->dead,
		.active = t->generation && !t->stopped,
	};
}

struct known {
	const struct policy_table *t;
	uint32_t n;
	uint16_t element[POLICY_NUMBER_MAX + 1]; /* of each rule number, 0: to come */
};

static int count_known(void *arg, struct listing *l)
{
	struct known *k = arg;

	l->rule = k->element[l->number & POLICY_NUMBER_MAX];
	k->n += l->rule && decision_find(k->t, l);
	return 0;
}

/* Entries that need a place: those that are there already keep theirs. */
static uint32_t new_listings(const struct policy_table *t, uint32_t issuer,
			     const struct policy_set *set)
{
	const uint32_t all = set_listings(set);
	struct known *k;
	uint32_t n;

	if (all <= t->free_n)
		return all;
	k = calloc(1, sizeof(*k));
	if (!k)
		return all;
	k->t = t;
	for (uint32_t i = 0; i < set->rules_n; i++)
		k->element[set->rules[i].number & POLICY_NUMBER_MAX] =
			(uint16_t)rule_find(t, issuer, set->rules[i].id);
	listings_each(t, set, count_known, k);
	n = all - k->n;
	free(k);
	return n;
}

int policy_table_fits(const struct policy_table *t, uint32_t issuer, const struct policy_set *set,
		      struct policy_usage *ret)
{
	const uint32_t decisions = new_listings(t, issuer, set);
	uint32_t linear = t->linear, rules = t->rules, wanted = 0;
	struct policy_usage u;

	policy_table_usage(t, &u);
	for (uint32_t i = 0; i < set->rules_n; i++) {
		if (rule_find(t, issuer, set->rules[i].id))
			continue;
		if (set->rules[i].key == RULE_BY_NONE)
			linear++;
		else
			wanted++;
		rules++;
	}
	u.rules = rules;
	u.linear = linear;
	u.decisions = t->live + decisions;
	if (ret)
		*ret = u;
	if (linear > POLICY_LINEAR_MAX ||
	    wanted + t->rules - t->linear > POLICY_RULES - POLICY_LINEAR)
		return -ENOSPC;
	return decisions > t->free_n + t->dead ? -ENOSPC : 0;
}

uint32_t policy_table_rule(const struct policy_table *t, uint32_t issuer, const uint8_t id[16])
{
	return rule_find(t, issuer, id);
}

const struct policy_rule *policy_table_rule_at(const struct policy_table *t, uint32_t rule,
					       uint32_t *ret_issuer)
{
	if (rule >= POLICY_RULES || !t->rule[rule].used)
		return NULL;
	*ret_issuer = t->rule[rule].issuer;
	return &t->rule[rule].rec;
}

void policy_table_counters(const struct policy_table *t, uint32_t rule, struct policy_counters *ret)
{
	*ret = (struct policy_counters){};
	for (uint32_t cpu = 0; cpu < t->cpus && rule < POLICY_RULES; cpu++) {
		const struct policy_count *c = &t->counts[cpu * POLICY_RULES + rule];

#define COUNTED(member, metric, help) ret->member += __atomic_load_n(&c->member, __ATOMIC_RELAXED);
#include "weir/policy_counts.def"
#undef COUNTED
		if (c->last > ret->last)
			ret->last = c->last;
	}
}

static bool speaks_of(const struct policy_decision *d, const uint64_t *addr)
{
	__u64 mask[2];

	if (d->kind != KIND_ADDR)
		return false;
	policy_mask(d->bits, mask);
	return !(((addr[0] & mask[0]) ^ d->key[0]) | ((addr[1] & mask[1]) ^ d->key[1]));
}

void policy_table_decisions(const struct policy_table *t, const uint8_t *addr, policy_visit *fn,
			    void *arg)
{
	uint64_t a[2] = {};

	if (addr)
		memcpy(a, addr, sizeof(a));
	for (uint32_t n = 1; n <= t->max; n++) {
		if (t->meta[n].state != DECISION_LIVE)
			continue;
		if ((!addr || speaks_of(&t->decisions[n], a)) && fn(arg, n, &t->decisions[n]))
			return;
	}
}

void policy_table_each(const struct policy_table *t, uint32_t issuer, policy_each_fn *fn, void *arg)
{
	for (uint32_t n = 1; n <= t->max; n++) {
		const struct policy_decision *d = &t->decisions[n];

		if (t->meta[n].state == DECISION_LIVE && t->meta[n].issuer == issuer &&
		    fn(arg, issuer, &t->rule[d->rule].rec, d))
			return;
	}
}

uint32_t policy_table_life(const struct policy_table *t)
{
	uint8_t hash[SHA256_DIGEST_LENGTH]; /* the seed itself is nobody's business */
	uint32_t life;

	SHA256((const uint8_t *)t->control->seed, sizeof(t->control->seed), hash);
	memcpy(&life, hash, sizeof(life));
	return (life & INT32_MAX) ?: 1;
}

const struct policy_decision *policy_table_decision(const struct policy_table *t, uint32_t rule,
						    const struct policy_set *set)
{
	struct listing l = {.rule = (uint16_t)rule};
	uint32_t n;

	if (!listing_at(t, set, 0, &l))
		return NULL;
	n = decision_find(t, &l);
	return n ? &t->decisions[n] : NULL;
}

const struct policy_decision *policy_table_find(const struct policy_table *t, uint32_t issuer,
						const struct policy_set *set)
{
	struct listing l = {};

	if (!listing_at(t, set, 0, &l))
		return NULL;
	for (uint32_t i = 1; i < POLICY_RULES; i++) {
		uint32_t n;

		if (!t->rule[i].used || t->rule[i].issuer != issuer)
			continue;
		l.rule = (uint16_t)i;
		n = decision_find(t, &l);
		if (n)
			return &t->decisions[n];
	}
	return NULL;
}
