// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_hits.c - what entries of issuers' policies, and those that agents' rules have led to, have hit: as they
 * are now, and the last word of those that have gone, for the collector (docs/nodes.md).
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "loader/policy/enforce_int.h"

#define SLACK 2u /* units of the policy clock: counted first, dated then */

/* ---- whose they are ---- */

void enforce_twin_note(struct enforce *e, const struct agent_twin *t)
{
	struct hits *h = &e->hits;

	for (uint32_t i = 0; i < HITS_TWINS; i++)
		if (!memcmp(h->twin[i].twin, t->twin, sizeof(t->twin)))
			return;
	h->twin[h->n_twins++ % HITS_TWINS] = *t;
}

/* The issuer's slot and its rule, of an element of the tables. False: not to be told. */
static bool owner(const struct enforce *e, uint32_t issuer, const uint8_t id[16],
		  uint32_t *ret_slot, uint8_t ret[16])
{
	if (issuer >= SLOT_FIRST && issuer < SLOT_NAMED) {
		*ret_slot = issuer;
		memcpy(ret, id, 16);
		return true;
	}
	for (uint32_t i = 0; issuer == SLOT_AGENT && i < HITS_TWINS; i++) {
		const struct agent_twin *t = &e->hits.twin[i];

		if (memcmp(t->twin, id, 16) != 0)
			continue;
		*ret_slot = t->slot;
		memcpy(ret, t->id, 16);
		return t->slot;
	}
	return false;
}

/* Decisions are about hosts. */
static bool is_told(const struct policy_decision *d)
{
	return d->kind == KIND_ADDR && d->bits == 128 &&
	       __atomic_load_n(&d->packets, __ATOMIC_RELAXED);
}

static struct policy_hit hit_of(const struct enforce *e, const struct policy_decision *d,
				const uint8_t id[16])
{
	struct policy_hit h = {
		.entry = (uint64_t)e->hits.life << 32 | d->from,
		.packets = __atomic_load_n(&d->packets, __ATOMIC_RELAXED),
		.bytes = __atomic_load_n(&d->bytes, __ATOMIC_RELAXED),
		.flows = __atomic_load_n(&d->flows, __ATOMIC_RELAXED),
		.at = e->time.now,
	};
	const int64_t ago = (int32_t)(e->time.now - d->last); /* negative: since the last tick */

	memcpy(h.id, id, sizeof(h.id));
	memcpy(h.addr, d->key, sizeof(h.addr));
	h.last_us = (uint64_t)((int64_t)e->time.wall_ns - ago * (int64_t)e->time.unit_ns) / 1000;
	return h;
}

/* ---- those that have gone ---- */

static int on_gone(void *arg, uint32_t issuer, const struct policy_rule *rule,
		   const struct policy_decision *d)
{
	struct enforce *e = arg;
	struct hits *h = &e->hits;
	uint8_t id[16];
	uint32_t slot;

	if (!is_told(d) || !owner(e, issuer, rule->id, &slot, id))
		return 0;
	h->gone = h->gone ?: calloc(HITS_GONE, sizeof(*h->gone));
	if (!h->gone)
		return 0; /* what was told before stays */
	h->gone[h->n_gone % HITS_GONE].slot = slot;
	h->gone[h->n_gone++ % HITS_GONE].hit = hit_of(e, d, id);
	return 0;
}

void enforce_hits_begin(struct enforce *e)
{
	e->hits.life = policy_table_life(e->table);
	policy_table_gone(e->table, on_gone, e);
}

void enforce_hits_done(struct enforce *e)
{
	free(e->hits.gone);
	e->hits.gone = NULL;
}

/* ---- asked ---- */

struct gathering {
	struct enforce *e;
	uint32_t slot, since;
	struct policy_hit *v;
	uint32_t n, cap;
	bool no_memory;
};

static void add(struct gathering *g, const struct policy_hit *h)
{
	if (g->n == g->cap) {
		const uint32_t cap = g->cap ? g->cap * 2 : 64;
		struct policy_hit *to = reallocarray(g->v, cap, sizeof(*to));

		if (!to) {
			g->no_memory = true;
			return;
		}
		g->v = to;
		g->cap = cap;
	}
	g->v[g->n++] = *h;
}

static int add_live(void *arg, uint32_t issuer, const struct policy_rule *rule,
		    const struct policy_decision *d)
{
	struct gathering *g = arg;
	uint32_t slot;
	uint8_t id[16];

	if (is_told(d) && d->last + SLACK >= g->since && owner(g->e, issuer, rule->id, &slot, id) &&
	    slot == g->slot) {
		const struct policy_hit h = hit_of(g->e, d, id);

		add(g, &h);
	}
	return g->no_memory;
}

int enforce_ask_hits(struct enforce *e, const struct policy_request *q, struct policy_answer *ret)
{
	struct gathering g = {.e = e, .slot = SLOT_FIRST, .since = (uint32_t)q->after};
	const struct hits *h = &e->hits;

	while (g.slot < SLOT_NAMED && strcmp(e->issuers[g.slot].name, (const char *)q->issuer) != 0)
		g.slot++;
	ret->reply.clock = e->time.now;
	if (g.slot == SLOT_NAMED)
		return 0;
	for (uint64_t i = h->n_gone > HITS_GONE ? h->n_gone - HITS_GONE : 0; i < h->n_gone; i++)
		if (h->gone[i % HITS_GONE].slot == g.slot &&
		    h->gone[i % HITS_GONE].hit.at + SLACK >= g.since)
			add(&g, &h->gone[i % HITS_GONE].hit);
	policy_table_each(e->table, g.slot, add_live, &g);
	policy_table_each(e->table, SLOT_AGENT, add_live, &g);
	if (g.no_memory) {
		free(g.v);
		return -ENOMEM;
	}
	ret->hits = g.v;
	ret->reply.n = g.n;
	return 0;
}
