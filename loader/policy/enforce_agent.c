// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_agent.c - what the node decides by itself: the worker says which flow an agent's rule picks, and its
 * source becomes an entry of that rule, unless a guard-rail is in the way. Entries stand under a twin of the
 * rule, beside what issuers want: they end by themselves, with their rule, or when it exempts them.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/log.h"
#include "common/num_text.h"
#include "loader/policy/enforce_int.h"

#define TWIN \
	0x40u /* in id[2]: the rule that such decisions stand under; id[1] tells issuers apart */

static void twin_id(uint32_t slot, const uint8_t id[16], uint8_t ret[16])
{
	memcpy(ret, id, 16);
	ret[1] ^= (uint8_t)slot;
	ret[2] ^= TWIN;
}

static struct policy_rule twin_of(const struct enforce *e, const struct agent *a)
{
	struct policy_rule r = *a->rule;

	twin_id(a->slot, a->rule->id, r.id);
	if (e->shadow)
		r.flags |= RULE_SHADOW;
	return r;
}

static const struct agent *find_agent(const struct enforce *e, uint32_t slot, const uint8_t id[16])
{
	for (uint32_t i = 0; i < e->agents.n; i++)
		if (e->agents.of[i].slot == slot && !memcmp(e->agents.of[i].rule->id, id, 16))
			return &e->agents.of[i];
	return NULL;
}

static bool is_exempt(const struct enforce *e, const struct agent *a, const uint8_t addr[16])
{
	const struct policy *p = &e->issuers[a->slot].now.p;
	const uint64_t now = enforce_wall_s(e);

	for (uint32_t i = 0; i < p->n_exempt; i++) {
		const struct policy_addr *x = &p->exempt[i];

		if (x->rule == a->a->rule && (!x->expires || x->expires > now) &&
		    guard_holds(x->addr, x->bits, addr, 128))
			return true;
	}
	return false;
}

/* ---- rules change ---- */

static void find_agents(struct enforce *e)
{
	uint32_t left_out = 0;

	e->agents.n = 0;
	for (uint32_t s = SLOT_LOCAL; s < SLOT_NAMED; s++) {
		const struct policy *p = &e->issuers[s].now.p;

		for (uint32_t i = 0; e->issuers[s].now.image && i < p->n_agents; i++) {
			if (e->agents.n == POLICY_AGENTS_MAX) {
				left_out++;
				continue;
			}
			e->agents.of[e->agents.n++] =
				(struct agent){s, &p->agents[i], policy_rule(p, p->agents[i].rule)};
		}
	}
	if (left_out)
		log_warn("policy", "%u agents' rules are left out: there are more than %u",
			 left_out, POLICY_AGENTS_MAX);
}

static void write_board(const struct enforce *e)
{
	static struct agent_rows rows;

	if (!e->agents.board || (!e->agents.n && !e->agents.board->rows.n))
		return;
	memset(&rows, 0, sizeof(rows));
	for (uint32_t i = 0; i < e->agents.n; i++) {
		const struct agent *a = &e->agents.of[i];

		rows.row[i].slot = a->slot;
		rows.row[i].any = a->rule->action >= POLICY_DO_MIRROR; /* nothing is stopped */
		memcpy(rows.row[i].id, a->rule->id, sizeof(rows.row[i].id));
		memcpy(rows.row[i].where, a->a->where, sizeof(rows.row[i].where));
	}
	rows.n = e->agents.n;
	agent_board_put(e->agents.board, &rows);
}

/* Entries under their rule, as that is now. */
static int put_made(struct enforce *e, const struct agent *a, struct policy_addr *addrs, uint32_t n)
{
	const struct policy_rule twin = twin_of(e, a);
	const struct policy_set set = {.rules = &twin, .rules_n = 1, .addrs = addrs, .addrs_n = n};

	struct agent_twin t = {.slot = a->slot};

	memcpy(t.twin, twin.id, sizeof(t.twin));
	memcpy(t.id, a->rule->id, sizeof(t.id));
	enforce_twin_note(e, &t);
	for (uint32_t i = 0; i < n; i++)
		addrs[i].rule = twin.number;
	return n ? policy_table_add(e->table, SLOT_AGENT, &set, NULL) : 0;
}

/* All that a rule has led to. */
static int put_all(struct enforce *e, const struct agent *a)
{
	static struct policy_addr addrs[AGENT_MADE_MAX];
	uint32_t n = 0;

	for (uint32_t i = 0; i < e->agents.n_made; i++) {
		struct agent_made *m = &e->agents.made[i];

		if (m->slot != a->slot || memcmp(m->id, a->rule->id, 16) != 0)
			continue;
		m->addr.rule = a->rule->number;
		addrs[n++] = m->addr;
	}
	return put_made(e, a, addrs, n);
}

/* Entries whose rule has gone, or exempts them now, go; the others stand under the rule as it is now. */
static void sort_out(struct enforce *e)
{
	struct agents *g = &e->agents;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->n_made; i++) {
		const struct agent_made *m = &g->made[i];
		const struct agent *a = find_agent(e, m->slot, m->id);
		uint8_t twin[16];

		if (a && !is_exempt(e, a, m->addr.addr)) {
			g->made[kept++] = *m;
		} else if (a) {
			const struct policy_set set = {.addrs = &m->addr, .addrs_n = 1};

			policy_table_unlist(e->table, SLOT_AGENT, &set);
		} else {
			twin_id(m->slot, m->id, twin);
			policy_table_remove(e->table, SLOT_AGENT,
					    twin); /* with the first of them */
		}
	}
	g->n_made = kept;
	/* an address that two rules list was let go of by both */
	for (uint32_t i = 0; i < g->n; i++)
		if (put_all(e, &g->of[i]))
			log_error("policy", "no room for what the agent has decided");
}

void enforce_agents_changed(struct enforce *e)
{
	find_agents(e);
	sort_out(e);
	write_board(e);
	enforce_mirrors_changed(e);
}

void enforce_agents_forget(struct enforce *e)
{
	const uint64_t now = enforce_wall_s(e);
	struct agents *g = &e->agents;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < g->n_made; i++)
		if (g->made[i].addr.expires > now) /* else the kernel has let go of it */
			g->made[kept++] = g->made[i];
	g->n_made = kept;
}

void enforce_agents_shift(struct enforce *e, int64_t by)
{
	for (uint32_t i = 0; i < e->agents.n_made; i++)
		e->agents.made[i].addr.expires += (uint64_t)by;
}

/* ---- deciding ---- */

static bool is_there(const struct enforce *e, const struct agent_hit *h)
{
	const uint64_t now = enforce_wall_s(e);

	for (uint32_t i = 0; i < e->agents.n_made; i++) {
		const struct agent_made *m = &e->agents.made[i];

		if (m->slot == h->slot && !memcmp(m->id, h->id, 16) &&
		    !memcmp(m->addr.addr, h->addr, 16) && m->addr.expires > now)
			return true;
	}
	return false;
}

/* Said once a minute: a flood of them is the log's business no more than the kernel's. */
static int refuse(struct enforce *e, const struct agent *a, const struct agent_hit *h,
		  const char *why)
{
	const uint64_t minute = enforce_mono_s() / 60 + 1;
	char addr[IP_TEXT];

	e->agents.refused++;
	if (e->agents.refused_minute == minute)
		return -EPERM;
	e->agents.refused_minute = minute;
	ip_text(h->addr, 0, addr);
	log_warn("policy", "the agent's rule '%.63s' would stop %s: refused: %s",
		 (const char *)a->rule->name, addr, why);
	return -EPERM;
}

static int check(struct enforce *e, const struct agent *a, const struct agent_hit *h,
		 const struct agent_made *m)
{
	struct policy_rule twin = twin_of(e, a);
	const struct policy p = {.rules = &twin, .n_rules = 1, .addrs = &m->addr, .n_addrs = 1};
	struct guard_error err = {};

	if (!(twin.flags & RULE_SHADOW) && e->cfg->guard.breaker && breaker_inside(e, h->addr))
		return refuse(e, a, h, "it is an internal source (policy.internal)");
	if (e->agents.n_made == AGENT_MADE_MAX)
		return refuse(e, a, h, "4096 of its decisions are in force");
	if (guard_check(&e->guard, &p, true, enforce_wall_s(e), &err))
		return refuse(e, a, h, err.text);
	return 0;
}

static void keep(struct enforce *e, const struct agent *a, const struct agent_hit *h,
		 const struct agent_made *m)
{
	struct agents *g = &e->agents;
	const uint64_t last = g->n_kept ? g->kept[(g->n_kept - 1) % AGENT_KEPT].made_us : 0;
	struct policy_decided *d = &g->kept[g->n_kept % AGENT_KEPT];
	struct timespec mono, wall;
	char addr[IP_TEXT];

	clock_gettime(CLOCK_MONOTONIC, &mono);
	clock_gettime(CLOCK_REALTIME, &wall);
	*d = (struct policy_decided){
		.made_us = (uint64_t)wall.tv_sec * 1000000 + (uint64_t)wall.tv_nsec / 1000,
		.took_ns = (uint64_t)mono.tv_sec * 1000000000 + (uint64_t)mono.tv_nsec - h->seen_ns,
		.ttl_s = (uint32_t)(m->addr.expires - enforce_wall_s(e)),
		.port = h->port,
		.proto = h->proto,
		.shadow = e->shadow || a->rule->flags & RULE_SHADOW,
	};
	if (d->made_us <= last)
		d->made_us = last + 1;
	memcpy(d->id, a->rule->id, sizeof(d->id));
	memcpy(d->name, a->rule->name, sizeof(d->name));
	memcpy(d->addr, h->addr, sizeof(d->addr));
	memcpy(d->to, h->to, sizeof(d->to));
	g->kept_slot[g->n_kept++ % AGENT_KEPT] = a->slot;
	ip_text(h->addr, 0, addr);
	log_info("policy", "the agent's rule '%.63s' stops %s for %u s%s",
		 (const char *)a->rule->name, addr, d->ttl_s, d->shadow ? ": it only counts" : "");
}

int enforce_hit(struct enforce *e, const struct agent_hit *h)
{
	const struct agent *a = find_agent(e, h->slot, h->id);
	const uint64_t now = enforce_wall_s(e);
	struct agent_made m = {.slot = h->slot, .addr = {.bits = 128}};
	int r;

	if (!a || a->rule->expires <= now || is_exempt(e, a, h->addr) || is_there(e, h))
		return 0;
	if (a->rule->action == POLICY_DO_CAPTURE)
		return enforce_capture_hit(e, a, h);
	if (a->rule->action == POLICY_DO_MIRROR)
		return enforce_mirror_hit(e, a, h);
	memcpy(m.id, h->id, sizeof(m.id));
	memcpy(m.addr.addr, h->addr, sizeof(m.addr.addr));
	m.addr.role = a->rule->direction == DIR_BOTH ? ROLE_EITHER : ROLE_SRC;
	m.addr.rule = a->rule->number;
	m.addr.expires = now + a->a->ttl < a->rule->expires ? now + a->a->ttl : a->rule->expires;
	r = check(e, a, h, &m);
	r = r ?: put_made(e, a, &m.addr, 1);
	if (r)
		return r;
	e->agents.made[e->agents.n_made++] = m;
	keep(e, a, h, &m);
	return 1;
}

/* ---- telling ---- */

bool enforce_agent_counters(const struct enforce *e, uint32_t slot, const struct policy_rule *r,
			    struct policy_counters *ret)
{
	uint8_t twin[16];
	uint32_t rule;

	if (!find_agent(e, slot, r->id))
		return false;
	twin_id(slot, r->id, twin);
	rule = policy_table_rule(e->table, SLOT_AGENT, twin);
	if (rule)
		policy_table_counters(e->table, rule, ret);
	return rule;
}

static const struct policy_decided *kept(const struct enforce *e, uint64_t i, uint32_t slot)
{
	return e->agents.kept_slot[i % AGENT_KEPT] == slot ? &e->agents.kept[i % AGENT_KEPT] : NULL;
}

uint64_t enforce_last_decided(const struct enforce *e, uint32_t slot)
{
	const uint64_t n = e->agents.n_kept;

	for (uint64_t i = n; i-- > (n > AGENT_KEPT ? n - AGENT_KEPT : 0);)
		if (kept(e, i, slot))
			return kept(e, i, slot)->made_us;
	return 0;
}

int enforce_decided(const struct enforce *e, const struct policy_request *q,
		    struct policy_answer *ret)
{
	const uint64_t n = e->agents.n_kept;
	uint32_t slot = SLOT_LOCAL;

	while (slot < SLOT_NAMED && strcmp(e->issuers[slot].name, (const char *)q->issuer) != 0)
		slot++;
	ret->decided = calloc(AGENT_KEPT, sizeof(*ret->decided));
	if (!ret->decided)
		return -ENOMEM;
	for (uint64_t i = n > AGENT_KEPT ? n - AGENT_KEPT : 0; i < n; i++) {
		const struct policy_decided *d = kept(e, i, slot);

		if (d && d->made_us > q->after)
			ret->decided[ret->reply.n++] = *d;
	}
	return 0;
}
