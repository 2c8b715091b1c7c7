// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_show.c - rules with what became of them: all, or those that speak of an address, a name or a
 * flow. One look at every entry.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/policy/enforce_int.h"

#define NS_PER_S UINT64_C(1000000000)

struct shower {
	struct enforce *e;
	const struct policy_request *q;
	struct policy_shown *shown;
	uint32_t n, cap;
	uint32_t slot;
	const struct policy *p;
	uint32_t *at; /* by rule number: place in shown + 1 */
};

static void add_counters(struct policy_counters *to, const struct policy_counters *c)
{
#define COUNTED(member, metric, help) to->member += c->member;
#include "weir/policy_counts.def"
#undef COUNTED
	if (c->last > to->last)
		to->last = c->last;
}

/* The rule's, and of the decisions on flows that it led to. */
static bool counters_of(const struct enforce *e, uint32_t slot, const struct policy_rule *r,
			struct policy_counters *ret)
{
	const uint32_t rule = policy_table_rule(e->table, slot, r->id);
	struct policy_counters more;
	uint8_t twin[16];
	uint32_t other;

	*ret = (struct policy_counters){};
	if (rule)
		policy_table_counters(e->table, rule, ret);
	if (r->key == RULE_BY_ADDR && enforce_agent_counters(e, slot, r, &more))
		add_counters(ret, &more);
	if (r->key != RULE_BY_NAME)
		return rule;
	memcpy(twin, r->id, sizeof(twin));
	twin[2] ^= 0x80;
	other = policy_table_rule(e->table, SLOT_NAMED, twin);
	if (other) {
		policy_table_counters(e->table, other, &more);
		add_counters(ret, &more);
	}
	return rule;
}

static uint64_t wall_of(const struct enforce *e, uint32_t units)
{
	const int64_t ago = (int32_t)(e->time.now - units); /* negative: since the last tick */

	if (!units)
		return 0;
	return (uint64_t)((int64_t)e->time.wall_ns - ago * (int64_t)e->time.unit_ns) / NS_PER_S;
}

uint64_t enforce_watched(const struct enforce *e)
{
	uint64_t packets = 0;

	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		const struct held *h = &e->issuers[i].now;

		for (uint32_t k = 0; h->image && k < h->p.n_rules; k++) {
			struct policy_counters c;

			if (!h->watched[k])
				continue;
			counters_of(e, i, &h->p.rules[k], &c);
			packets += c.packets;
		}
	}
	return packets;
}

/* ---- for the worker ---- */

static struct board_row *row_of(struct policy_state *s, const char *issuer,
				const struct policy_rule *r)
{
	const bool shadow = r->flags & RULE_SHADOW;

	for (uint32_t i = 0; i < s->n; i++)
		if (s->row[i].action == r->action && s->row[i].shadow == shadow &&
		    !strcmp(s->row[i].name, (const char *)r->name) &&
		    !strcmp(s->row[i].issuer, issuer))
			return &s->row[i];
	if (s->n == BOARD_ROWS)
		return NULL;
	s->row[s->n] = (struct board_row){.action = r->action, .shadow = shadow};
	memcpy(s->row[s->n].name, r->name, sizeof(r->name));
	memcpy(s->row[s->n].issuer, issuer, sizeof(s->row[s->n].issuer));
	return &s->row[s->n++];
}

static void put_row(const struct enforce *e, uint32_t slot, const struct policy_rule *r,
		    struct policy_state *s)
{
	struct board_row *row = row_of(s, e->issuers[slot].name, r);
	struct policy_counters c;
	uint64_t last;

	if (!row) {
		s->more++;
		return;
	}
	counters_of(e, slot, r, &c);
#define COUNTED(member, metric, help) row->member += c.member;
#include "weir/policy_counts.def"
#undef COUNTED
	last = wall_of(e, c.last);
	if (last > row->last)
		row->last = last;
}

void enforce_state(const struct enforce *e, struct policy_state *ret)
{
	struct policy_usage u = {};

	policy_table_usage(e->table, &u);
	*ret = (struct policy_state){
		.on = 1,
		.stopped = e->stopped,
		.breaker = e->shadow,
		.lease = e->guarding && enforce_mono_s() < e->lease_renewed + e->cfg->lease_s,
		.rules = u.rules,
		.rules_max = u.rules_max,
		.decisions = u.decisions,
		.decisions_max = u.decisions_max,
		.agent_made = e->agents.n_kept,
		.agent_refused = e->agents.refused,
	};
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++)
		for (uint32_t k = 0; e->issuers[i].now.image && k < e->issuers[i].now.p.n_rules;
		     k++)
			put_row(e, i, &e->issuers[i].now.p.rules[k], ret);
}

/* ---- one rule ---- */

static struct policy_shown *show_rule(struct shower *s, const struct policy_rule *r)
{
	const uint64_t now = enforce_wall_s(s->e);
	const struct issuer *is = &s->e->issuers[s->slot];
	struct policy_shown *to;
	struct policy_counters c;

	if (s->at[r->number])
		return &s->shown[s->at[r->number] - 1];
	if (s->n == s->cap) {
		const uint32_t cap = s->cap ? s->cap * 2 : 64;
		struct policy_shown *more = reallocarray(s->shown, cap, sizeof(*more));

		if (!more)
			return NULL;
		s->shown = more;
		s->cap = cap;
	}
	to = &s->shown[s->n++];
	s->at[r->number] = s->n;
	*to = (struct policy_shown){.rule = *r, .issuer_generation = is->generation};
	memcpy(to->issuer, is->name, sizeof(is->name));
	to->counted = counters_of(s->e, s->slot, r, &c);
#define COUNTED(member, metric, help) to->member = c.member;
#include "weir/policy_counts.def"
#undef COUNTED
	to->last = wall_of(s->e, c.last);
	to->expires = !r->expires ? UINT64_MAX : r->expires > now ? r->expires - now : 0;
	return to;
}

/* An entry; the first of a rule is shown, or the one that was asked about. */
static int show_entry(struct shower *s, uint32_t number, enum policy_type type, const void *entry)
{
	const struct policy_rule *r = policy_rule(s->p, number);
	struct policy_shown *to = show_rule(s, r);

	if (!to)
		return -ENOMEM;
	if (!to->entries++) {
		to->type = type;
		memcpy(&to->entry, entry, policy_record_size(type));
	}
	return 0;
}

static void show_decision(struct shower *s, struct policy_shown *to)
{
	struct policy_set set = {};
	const struct policy_decision *d;
	uint64_t until = 0; /* its own end */

	switch (to->type) {
	case POLICY_ADDR:
		set.addrs = &to->entry.addr;
		until = to->entry.addr.expires;
		set.addrs_n = 1;
		break;
	case POLICY_ADDR_PORT:
		set.addr_ports = &to->entry.addr_port;
		until = to->entry.addr_port.expires;
		set.addr_ports_n = 1;
		break;
	case POLICY_FLOW:
		set.flows = &to->entry.flow;
		until = to->entry.flow.expires;
		set.flows_n = 1;
		break;
	case POLICY_NAME:
		set.names = &to->entry.name;
		until = to->entry.name.expires;
		set.names_n = 1;
		break;
	default:
		return;
	}
	if (until)
		to->expires = until > enforce_wall_s(s->e) ? until - enforce_wall_s(s->e) : 0;
	set.rules = &to->rule;
	set.rules_n = 1;
	d = policy_table_find(s->e->table, s->slot, &set);
	if (!d && set.addrs_n)
		d = policy_table_find(s->e->table, SLOT_AGENT, &set);
	if (!d)
		return;
	to->entry_packets = d->packets;
	to->entry_bytes = d->bytes;
	to->entry_flows = d->flows;
	to->entry_last = wall_of(s->e, d->last);
}

/* ---- what is asked about ---- */

static bool speaks_of_addr(const struct policy_request *q, const uint8_t addr[16],
			   unsigned int bits)
{
	if (q->what == WHY_ADDR)
		return guard_holds(addr, bits, q->addr[0], q->bits);
	return q->what == WHY_FLOW && (guard_holds(addr, bits, q->addr[0], 128) ||
				       guard_holds(addr, bits, q->addr[1], 128));
}

/* Both directions are asked about: any role fits. */
static bool is_addr(const struct policy_request *q, const struct policy_addr *a)
{
	return speaks_of_addr(q, a->addr, a->bits);
}

static bool is_flow(const struct policy_request *q, const struct policy_flow *f)
{
	if (q->what == WHY_ADDR)
		return guard_holds(q->addr[0], q->bits, f->addr[0], 128) ||
		       guard_holds(q->addr[0], q->bits, f->addr[1], 128);
	if (q->what != WHY_FLOW || (q->proto && q->proto != f->proto))
		return false;
	for (unsigned int i = 0; i < 2; i++)
		if (!memcmp(f->addr[0], q->addr[i], 16) && !memcmp(f->addr[1], q->addr[!i], 16) &&
		    f->port[0] == q->port[i] && f->port[1] == q->port[!i])
			return true;
	return false;
}

static bool is_addr_port(const struct policy_request *q, const struct policy_addr_port *a)
{
	if (q->what == WHY_FLOW)
		return (!memcmp(a->addr, q->addr[0], 16) && a->port == q->port[0]) ||
		       (!memcmp(a->addr, q->addr[1], 16) && a->port == q->port[1]);
	return speaks_of_addr(q, a->addr, 128);
}

static bool is_name(const struct policy_request *q, const struct policy_name *n)
{
	const uint32_t at = n->length <= q->length ? (uint32_t)(q->length - n->length) : 0;

	if (q->what != WHY_NAME || n->length > q->length ||
	    memcmp(q->name + at, n->name, n->length) != 0)
		return false;
	if (n->how == NAME_EXACT)
		return !at;
	return n->how == NAME_SUFFIX || !at || q->name[at - 1] == '.';
}

/* A rule without key: its conditions speak of it, or don't exclude it. */
static bool is_rule(const struct policy_request *q, const struct policy_rule *r)
{
	const struct policy_match *m = &r->match;

	if (q->what == WHY_NAME)
		return false;
	if (m->have & COND_SRC &&
	    speaks_of_addr(q, m->src, m->src_bits) != !!(m->negate & COND_SRC))
		return true;
	if (m->have & COND_DST &&
	    speaks_of_addr(q, m->dst, m->dst_bits) != !!(m->negate & COND_DST))
		return true;
	return !(m->have & (COND_SRC | COND_DST));
}

/* ---- all of an issuer ---- */

/* What the agent has decided by the issuer's rules: entries of these rules. */
static int show_made(struct shower *s, bool all)
{
	const struct agents *g = &s->e->agents;
	int r = 0;

	for (uint32_t i = 0; i < g->n_made && !r; i++)
		if (g->made[i].slot == s->slot && (all || is_addr(s->q, &g->made[i].addr)))
			r = show_entry(s, g->made[i].addr.rule, POLICY_ADDR, &g->made[i].addr);
	return r;
}

#define EACH(array, n, type, asks)                \
	for (uint32_t i = 0; i < p->n && !r; i++) \
		if (all || asks(q, &p->array[i])) \
			r = show_entry(s, p->array[i].rule, type, &p->array[i]);

static int show_entries(struct shower *s)
{
	const struct policy_request *q = s->q;
	const struct policy *p = s->p;
	const bool all = q->ask == ASK_SHOW;
	int r = 0;

	EACH(addrs, n_addrs, POLICY_ADDR, is_addr)
	EACH(addr_ports, n_addr_ports, POLICY_ADDR_PORT, is_addr_port)
	EACH(flows, n_flows, POLICY_FLOW, is_flow)
	EACH(names, n_names, POLICY_NAME, is_name)
	return r ?: show_made(s, all);
}

static int show_issuer(struct shower *s, uint32_t slot)
{
	const uint64_t now = enforce_wall_s(s->e);
	const uint32_t first = s->n;
	int r;

	s->slot = slot;
	s->p = &s->e->issuers[slot].now.p;
	memset(s->at, 0, (POLICY_NUMBER_MAX + 1) * sizeof(*s->at));
	r = show_entries(s);
	for (uint32_t i = 0; i < s->p->n_rules && !r; i++) {
		const struct policy_rule *rule = &s->p->rules[i];

		if (s->q->ask == ASK_SHOW ? rule->expires && rule->expires <= now
					  : rule->key != RULE_BY_NONE || !is_rule(s->q, rule))
			continue;
		r = show_rule(s, rule) ? 0 : -ENOMEM;
	}
	for (uint32_t i = first; i < s->n && !r; i++)
		if (s->q->ask == ASK_WHY)
			show_decision(s, &s->shown[i]);
	return r;
}

/* What is never blocked is told where it is asked about. */
static int show_exempt(struct shower *s)
{
	const struct policy_array *never = &s->e->guard.never.of[POLICY_ADDR];
	const struct policy_addr *a = (const void *)never->at;
	int r = 0;

	s->slot = SLOT_GUARD;
	for (uint32_t i = 0; i < never->n && !r; i++) {
		const struct policy_rule *rules =
			(const void *)s->e->guard.never.of[POLICY_RULE].at;
		struct policy_shown *to;

		if (!speaks_of_addr(s->q, a[i].addr, a[i].bits))
			continue;
		memset(s->at, 0, (POLICY_NUMBER_MAX + 1) * sizeof(*s->at));
		to = show_rule(s, &rules[a[i].rule - 1]);
		r = to ? 0 : -ENOMEM;
		if (to) {
			to->type = POLICY_ADDR;
			to->entry.addr = a[i];
			to->entries = 1;
		}
	}
	return r;
}

int enforce_show(struct enforce *e, const struct policy_request *q, struct policy_shown **ret,
		 uint32_t *ret_n)
{
	struct shower s = {.e = e, .q = q};
	int r;

	if (q->ask == ASK_WHY && (q->what < WHY_ADDR || q->what > WHY_FLOW || q->bits > 128 ||
				  q->length >= POLICY_NAME_MAX))
		return -EINVAL;
	s.at = calloc(POLICY_NUMBER_MAX + 1, sizeof(*s.at));
	r = s.at ? 0 : -ENOMEM;
	if (!r && q->ask == ASK_WHY)
		r = show_exempt(&s);
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED && !r; i++)
		if (e->issuers[i].now.image)
			r = show_issuer(&s, i);
	free(s.at);
	if (r) {
		free(s.shown);
		return r;
	}
	*ret = s.shown;
	*ret_n = s.n;
	return 0;
}
