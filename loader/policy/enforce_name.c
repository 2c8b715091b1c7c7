// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_name.c - names that only userspace could read (QUIC, long hellos), and those of flows that were
 * there before the rule: looked up among the rules by name; what is found becomes a decision on that
 * flow, which ends with the rule.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "loader/policy/enforce_int.h"

#define TWIN 0x80u /* in id[2]: the rule that such decisions stand under */

struct named {
	const struct policy_name *n;
	const struct policy_rule *rule;
	uint32_t slot;
};

static int text_order(const uint8_t *a, size_t a_len, const uint8_t *b, size_t b_len)
{
	if (a_len != b_len)
		return a_len < b_len ? -1 : 1;
	return memcmp(a, b, a_len);
}

static int named_order(const void *a, const void *b)
{
	const struct policy_name *x = ((const struct named *)a)->n,
				 *y = ((const struct named *)b)->n;

	return text_order(x->name, x->length, y->name, y->length);
}

void enforce_names_free(struct enforce *e)
{
	free(e->names);
	e->names = NULL;
	e->n_names = 0;
}

static void make_id(const struct policy_rule *r, uint8_t id[16])
{
	memcpy(id, r->id, 16);
	id[2] ^= TWIN;
}

/* Decisions whose rule has gone go with it. */
static void drop_orphans(struct enforce *e)
{
	struct policy_array *made = &e->named.of[POLICY_RULE];
	struct policy_rule *rules = (void *)made->at;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < made->n; i++) {
		bool there = false;
		uint8_t id[16];

		for (uint32_t k = 0; k < e->n_names && !there; k++) {
			make_id(e->names[k].rule, id);
			there = !memcmp(id, rules[i].id, 16);
		}
		if (there)
			rules[kept++] = rules[i];
		else
			policy_table_remove(e->table, SLOT_NAMED, rules[i].id);
	}
	made->n = kept;
}

void enforce_names_changed(struct enforce *e)
{
	size_t n = 0;

	enforce_names_free(e);
	for (uint32_t s = SLOT_LOCAL; s < SLOT_NAMED; s++)
		n += e->issuers[s].now.image ? e->issuers[s].now.p.n_names : 0;
	e->names = n ? calloc(n, sizeof(*e->names)) : NULL;
	for (uint32_t s = SLOT_LOCAL; s < SLOT_NAMED && e->names; s++) {
		const struct policy *p = &e->issuers[s].now.p;

		for (uint32_t i = 0; e->issuers[s].now.image && i < p->n_names; i++)
			e->names[e->n_names++] =
				(struct named){&p->names[i], policy_rule(p, p->names[i].rule), s};
	}
	if (e->n_names)
		qsort(e->names, e->n_names, sizeof(*e->names), named_order);
	e->names_changes++;
	drop_orphans(e);
}

uint64_t enforce_wants_names(const struct enforce *e)
{
	return e->n_names ? e->names_changes : 0;
}

void enforce_names_forget(struct enforce *e)
{
	const uint64_t now = enforce_wall_s(e);
	struct policy_array *made = &e->named.of[POLICY_RULE];
	struct policy_rule *rules = (void *)made->at;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < made->n; i++) {
		if (rules[i].expires > now)
			rules[kept++] = rules[i];
		else
			policy_table_remove(e->table, SLOT_NAMED, rules[i].id);
	}
	made->n = kept;
}

/* ---- does it hold? ---- */

static bool in_range(uint16_t v, const uint16_t r[2])
{
	return v >= r[0] && v <= r[1];
}

/* Conditions on the flow from the client's side; what is not known here is taken as false. */
static bool conditions_hold(const struct policy_rule *r, const struct enforce_name *n)
{
	const struct policy_match *m = &r->match;
	const uint32_t known = COND_SRC | COND_DST | COND_PROTO | COND_SRC_PORT | COND_DST_PORT |
			       COND_ANY_PORT;
	uint32_t is = 0;

	if (m->have & ~known)
		return false;
	is |= guard_holds(m->src, m->src_bits, n->addr[0], 128) ? COND_SRC : 0;
	is |= guard_holds(m->dst, m->dst_bits, n->addr[1], 128) ? COND_DST : 0;
	is |= m->proto == n->proto ? COND_PROTO : 0;
	is |= in_range(n->port[0], m->src_port) ? COND_SRC_PORT : 0;
	is |= in_range(n->port[1], m->dst_port) ? COND_DST_PORT : 0;
	is |= in_range(n->port[0], m->src_port) || in_range(n->port[1], m->src_port) ? COND_ANY_PORT
										     : 0;
	return ((is ^ m->negate) & m->have) == m->have;
}

static bool fits(const struct named *c, const struct enforce_name *n, uint32_t at)
{
	if (!(c->n->kinds & n->kind))
		return false;
	if (at && c->n->how == NAME_EXACT)
		return false;
	if (at && c->n->how == NAME_BELOW && n->name[at - 1] != '.')
		return false;
	return conditions_hold(c->rule, n);
}

static bool comes_before(const struct named *a, const struct named *b)
{
	if (!b)
		return true;
	return a->rule->number != b->rule->number ? a->rule->number < b->rule->number
						  : a->slot < b->slot;
}

/* Among the entries of this text, the one whose rule comes first. */
static const struct named *look_at(const struct enforce *e, const struct enforce_name *n,
				   uint32_t at, const struct named *best)
{
	const uint8_t *text = n->name + at;
	const size_t len = n->length - at;
	uint32_t lo = 0, hi = e->n_names;

	while (lo < hi) {
		const uint32_t mid = lo + (hi - lo) / 2;
		const struct policy_name *m = e->names[mid].n;

		if (text_order(m->name, m->length, text, len) < 0)
			lo = mid + 1;
		else
			hi = mid;
	}
	for (; lo < e->n_names; lo++) {
		const struct named *c = &e->names[lo];

		if (text_order(c->n->name, c->n->length, text, len) != 0)
			break;
		if (fits(c, n, at) && comes_before(c, best))
			best = c;
	}
	return best;
}

static bool is_name(const struct enforce_name *n)
{
	if (!n->length || n->length >= POLICY_NAME_MAX ||
	    (n->kind != NAME_SNI && n->kind != NAME_HOST && n->kind != NAME_DNS))
		return false;
	return n->proto == 6 || n->proto == 17;
}

/* The rule that decisions stand under: as the one by name, reached by flows. */
static int remember(struct enforce *e, const struct policy_rule *r)
{
	const struct policy_rule *have = (const void *)e->named.of[POLICY_RULE].at;

	for (uint32_t i = 0; i < e->named.of[POLICY_RULE].n; i++)
		if (!memcmp(have[i].id, r->id, 16))
			return 0;
	return policy_add(&e->named, POLICY_RULE, r);
}

int enforce_named(struct enforce *e, const struct enforce_name *n)
{
	const uint64_t now = enforce_wall_s(e);
	const struct named *best = NULL;
	struct policy_flow f = {.proto = n->proto};
	struct policy_rule twin;
	struct policy_set set = {.flows = &f, .flows_n = 1, .rules = &twin, .rules_n = 1};
	int r;

	if (!is_name(n))
		return -EINVAL;
	for (uint32_t at = 0; at < n->length; at++)
		best = look_at(e, n, at, best);
	if (!best || best->rule->action == POLICY_PASS || best->rule->expires <= now)
		return 0;
	twin = *best->rule;
	make_id(best->rule, twin.id);
	twin.key = RULE_BY_FLOW;
	twin.match = (struct policy_match){};
	memcpy(f.addr, n->addr, sizeof(f.addr));
	memcpy(f.port, n->port, sizeof(f.port));
	f.rule = twin.number;
	if (best->n->expires && best->n->expires < twin.expires)
		f.expires = best->n->expires;
	if (e->shadow)
		twin.flags |= RULE_SHADOW;
	r = remember(e, &twin);
	r = r ?: policy_table_add(e->table, SLOT_NAMED, &set, NULL);
	return r ?: 1;
}
