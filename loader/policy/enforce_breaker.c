// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_breaker.c - the blast-radius breaker: all rules only count from the moment on that too much of
 * the traffic is dropped, or that an internal source is hit by what no person decided. The core's alone.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "common/log.h"
#include "loader/policy/enforce_int.h"

#define BREAKER_LEAST 1000u /* packets dropped in five seconds, below which nothing is too much */

/* ---- what is watched ---- */

/* An automatic decision against @addr would stop an internal source. */
static bool is_inside(const struct guard_prefixes *internal, const uint8_t addr[16],
		      unsigned int bits)
{
	for (uint32_t i = 0; i < internal->n; i++) {
		const struct guard_prefix *p = &internal->v[i];

		if (guard_holds(p->addr, p->bits, addr, bits) ||
		    guard_holds(addr, bits, p->addr, p->bits))
			return true;
	}
	return false;
}

bool breaker_inside(const struct enforce *e, const uint8_t addr[16])
{
	return is_inside(&e->cfg->guard.internal, addr, 128);
}

static bool hits_by_itself(const struct policy_rule *r)
{
	return r->flags & RULE_AUTOMATIC && !(r->flags & RULE_SHADOW) && r->action >= POLICY_DROP;
}

static int add_inside(struct held *h, enum policy_type type, uint32_t at)
{
	struct inside *more;

	if (!(h->n_inside & (h->n_inside - 1))) { /* a power of two: full */
		more = reallocarray(h->inside, h->n_inside ? h->n_inside * 2 : 1, sizeof(*more));
		if (!more)
			return -ENOMEM;
		h->inside = more;
	}
	h->inside[h->n_inside++] = (struct inside){.type = type, .at = at};
	return 0;
}

/* Whom a rule without key stops: those that its condition names. */
static int find_inside_rules(struct held *h, const struct guard_prefixes *internal)
{
	int r = 0;

	for (uint32_t i = 0; i < h->p.n_rules && !r; i++) {
		const struct policy_rule *rule = &h->p.rules[i];
		const struct policy_match *m = &rule->match;

		if (hits_by_itself(rule) && rule->key == RULE_BY_NONE &&
		    (m->have & ~m->negate) & COND_SRC && is_inside(internal, m->src, m->src_bits))
			r = add_inside(h, POLICY_RULE, i);
	}
	return r;
}

static int find_inside(struct held *h, const struct guard_prefixes *internal)
{
	const struct policy *p = &h->p;
	const struct policy_rule *rule = NULL;
	int r = find_inside_rules(h, internal);

	for (uint32_t i = 0; i < p->n_addrs && !r; i++) {
		const struct policy_addr *a = &p->addrs[i];

		if (!rule || rule->number != a->rule)
			rule = policy_rule(p, a->rule);
		if (hits_by_itself(rule) && a->role & ROLE_SRC &&
		    is_inside(internal, a->addr, a->bits))
			r = add_inside(h, POLICY_ADDR, i);
	}
	for (uint32_t i = 0; i < p->n_addr_ports && !r; i++) {
		const struct policy_addr_port *a = &p->addr_ports[i];

		if (hits_by_itself(policy_rule(p, a->rule)) && a->role & ROLE_SRC &&
		    is_inside(internal, a->addr, 128))
			r = add_inside(h, POLICY_ADDR_PORT, i);
	}
	return r;
}

/*
 * A share of the traffic: of rules that no person decided, and those that a slip of the hand makes: without
 * addresses, or with large networks. A flood that is blocked source by source is no reason to stop.
 */
int breaker_watch(const struct enforce *e, struct held *h)
{
	const struct policy *p = &h->p;
	const struct policy_rule *r = NULL;

	h->watched = calloc(p->n_rules ?: 1, sizeof(*h->watched));
	if (!h->watched)
		return -ENOMEM;
	for (uint32_t i = 0; i < p->n_rules; i++)
		h->watched[i] = p->rules[i].flags & RULE_AUTOMATIC ||
				p->rules[i].key == RULE_BY_NONE;
	for (uint32_t i = 0; i < p->n_addrs; i++) {
		if (!guard_too_broad(p->addrs[i].addr, p->addrs[i].bits))
			continue;
		if (!r || r->number != p->addrs[i].rule)
			r = policy_rule(p, p->addrs[i].rule);
		h->watched[r - p->rules] = true;
	}
	return find_inside(h, &e->cfg->guard.internal);
}

/* ---- internal sources ---- */

static const struct policy_rule *rule_of(const struct policy *p, const struct inside *in)
{
	if (in->type == POLICY_RULE)
		return &p->rules[in->at];
	return policy_rule(p, in->type == POLICY_ADDR ? p->addrs[in->at].rule
						      : p->addr_ports[in->at].rule);
}

/* Packets that it has stopped so far; with its rule's element, which the next entry may share. */
static uint64_t hits_of(const struct enforce *e, const struct policy *p, const struct inside *in,
			uint32_t element)
{
	struct policy_set set = {};
	const struct policy_decision *d;
	struct policy_counters c;

	if (in->type == POLICY_RULE) {
		policy_table_counters(e->table, element, &c);
		return c.packets;
	}
	if (in->type == POLICY_ADDR) {
		set.addrs = &p->addrs[in->at];
		set.addrs_n = 1;
	} else {
		set.addr_ports = &p->addr_ports[in->at];
		set.addr_ports_n = 1;
	}
	d = policy_table_decision(e->table, element, &set);
	return d ? __atomic_load_n(&d->packets, __ATOMIC_RELAXED) : 0;
}

/* Read all of them. Return: one that has stopped packets since the last time, or NULL. */
static const struct inside *read_inside(const struct enforce *e, uint32_t slot,
					const struct held *h, uint64_t *ret_packets)
{
	const struct inside *found = NULL;
	const struct policy_rule *last = NULL;
	uint32_t element = 0;

	for (uint32_t i = 0; i < h->n_inside; i++) {
		struct inside *in = &h->inside[i];
		const struct policy_rule *r = rule_of(&h->p, in);
		uint64_t now;

		if (r != last)
			element = policy_table_rule(e->table, slot, r->id);
		last = r;
		now = element ? hits_of(e, &h->p, in, element) : 0;
		if (now > in->packets && !found) {
			found = in;
			*ret_packets = now - in->packets;
		}
		in->packets = now;
	}
	return found;
}

void breaker_begin(const struct enforce *e, uint32_t slot, const struct held *h)
{
	uint64_t packets;

	(void)read_inside(e, slot, h, &packets); /* what was before is no hit of these rules */
}

static void prefix_text(const struct policy *p, const struct inside *in, char *buf, size_t size)
{
	FILE *out = fmemopen(buf, size, "w");

	buf[0] = '\0';
	if (!out)
		return;
	if (in->type == POLICY_RULE)
		policy_print_prefix(out, p->rules[in->at].match.src,
				    p->rules[in->at].match.src_bits);
	else if (in->type == POLICY_ADDR)
		policy_print_prefix(out, p->addrs[in->at].addr, p->addrs[in->at].bits);
	else
		policy_print_prefix(out, p->addr_ports[in->at].addr, 128);
	fclose(out);
}

/* Has any been hit? Says which. */
static bool internal_hit(const struct enforce *e)
{
	const struct inside *found = NULL;
	const struct held *of = NULL;
	uint64_t packets = 0;
	char text[64];

	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++) {
		const struct held *h = &e->issuers[i].now;
		uint64_t n = 0;
		const struct inside *in = h->image ? read_inside(e, i, h, &n) : NULL;

		if (!in || found)
			continue;
		found = in;
		of = h;
		packets = n;
	}
	if (!found || e->shadow || e->stopped || !e->cfg->guard.breaker)
		return false;
	prefix_text(&of->p, found, text, sizeof(text));
	log_error("policy",
		  "BREAKER: the automatic rule '%.63s' has stopped %llu packets of %s, an internal "
		  "source (policy.internal): all rules only count from now on; 'weir panic --off' "
		  "enforces them again",
		  (const char *)rule_of(&of->p, found)->name, (unsigned long long)packets, text);
	return true;
}

/* ---- the share ---- */

/* Drops of five seconds beyond the share that was allowed? Says so. */
static bool too_much(struct enforce *e)
{
	const unsigned int at = e->n_past % 5;
	const uint64_t dropped = enforce_watched(e), frames = e->traffic.frames;
	const uint64_t all = frames - e->past[at].frames, ours = dropped - e->past[at].dropped;
	const bool full = e->n_past >= 5 && dropped >= e->watched;

	if (dropped < e->watched) /* rules have gone, and what they counted */
		e->n_past = 0;
	e->watched = dropped;
	e->past[e->n_past % 5].frames = frames;
	e->past[e->n_past % 5].dropped = dropped;
	e->n_past++;
	if (!full || !e->cfg->guard.breaker || e->shadow || e->stopped || ours < BREAKER_LEAST ||
	    ours * 100 <= all * e->cfg->guard.breaker)
		return false;
	log_error(
		"policy",
		"BREAKER: %llu of %llu packets of the last seconds were dropped, more than %u %%: "
		"all rules only count from now on; 'weir panic --off' enforces them again",
		(unsigned long long)ours, (unsigned long long)all, e->cfg->guard.breaker);
	return true;
}

bool breaker_check(struct enforce *e)
{
	const bool share = too_much(e), hit = !share && internal_hit(e);

	if (!share && !hit)
		return false;
	e->shadow = true;
	for (uint32_t i = SLOT_LOCAL; i < SLOT_NAMED; i++)
		if (e->issuers[i].now.image && enforce_put(e, i))
			policy_table_stop(e->table, true); /* no room for the change: stop */
	enforce_agents_changed(e);
	state_save_stopped(e);
	return true;
}
