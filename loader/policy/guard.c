// SPDX-License-Identifier: Apache-2.0
/*
 * guard.c - what the guard-rails refuse.
 */
#include "loader/policy/guard.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "common/num_text.h"
#include "weir/policy_map.h"

#define BREADTH_4 (96 + 24) /* the broadest that may be decided automatically */
#define BREADTH_6 48

const char *const guard_names[_GUARD_MAX] = {
	[GUARD_GATEWAY] = "gateway",	    [GUARD_RESOLVER] = "resolver",
	[GUARD_TARGET] = "target",	    [GUARD_METADATA] = "metadata",
	[GUARD_CONFIGURED] = "never-block", [GUARD_ADMIN] = "admin",
	[GUARD_SESSION] = "session",
};

/* Those that keep a node reachable, as Calico has them; for @admin alone. */
const uint32_t guard_failsafe[] = {
	POLICY_FAILSAFE(6, 22, 0),   POLICY_FAILSAFE(6, 179, 0),  POLICY_FAILSAFE(6, 2379, 0),
	POLICY_FAILSAFE(6, 2380, 0), POLICY_FAILSAFE(6, 6443, 0), POLICY_FAILSAFE(6, 10250, 0),
	POLICY_FAILSAFE(17, 68, 0),  POLICY_FAILSAFE(17, 53, 1),  POLICY_FAILSAFE(17, 67, 1),
};
const unsigned int guard_failsafe_n = sizeof(guard_failsafe) / sizeof(guard_failsafe[0]);

bool guard_holds(const uint8_t addr[16], unsigned int bits, const uint8_t inner[16],
		 unsigned int inner_bits)
{
	const unsigned int whole = bits / 8;
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};

	if (bits > inner_bits || memcmp(addr, inner, whole) != 0)
		return false;
	/* ::/0 is all of IPv6 and nothing of IPv4 */
	if (bits < 96 && inner_bits >= 96 && !memcmp(inner, mapped, sizeof(mapped)))
		return false;
	return bits % 8 == 0 || !((addr[whole] ^ inner[whole]) >> (8 - bits % 8));
}

static bool acts(const struct policy_rule *r)
{
	return r->action != POLICY_PASS && r->action != POLICY_NEVER && !(r->flags & RULE_SHADOW);
}

/* "198.51.100.0/24" */
static const char *prefix_text(const uint8_t addr[16], unsigned int bits, char buf[64])
{
	FILE *out = fmemopen(buf, 64, "w");

	buf[0] = '\0';
	if (out) {
		policy_print_prefix(out, addr, bits);
		fclose(out);
	}
	return buf;
}

static int refuse(struct guard_error *e, const char *guard, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static int refuse(struct guard_error *e, const char *guard, const char *fmt, ...)
{
	va_list ap;

	e->guard = guard;
	va_start(ap, fmt);
	vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	return -EPERM;
}

/* ---- addresses of this node ---- */

/* Nothing but addresses decides: then all that this node says or hears would go with its own. */
static bool by_address_alone(const struct policy_rule *r)
{
	return !(r->match.have & ~(COND_SRC | COND_DST | COND_IFACE));
}

static int check_own(const struct guard *g, const uint8_t addr[16], unsigned int bits,
		     struct guard_error *e)
{
	char net[64], own[64];

	for (uint32_t i = 0; i < g->n_own; i++)
		if (guard_holds(addr, bits, g->own[i].addr, 128))
			return refuse(e, "own-address", "%s holds %s, an address of this node",
				      prefix_text(addr, bits, net),
				      prefix_text(g->own[i].addr, 128, own));
	return 0;
}

static int check_own_rule(const struct guard *g, const struct policy_rule *r, struct guard_error *e)
{
	const struct policy_match *m = &r->match;
	const uint32_t ends = m->have & (COND_SRC | COND_DST);
	int n = 0;

	if (r->key != RULE_BY_NONE || !by_address_alone(r) || m->negate)
		return 0;
	if (ends == COND_SRC)
		n = check_own(g, m->src, m->src_bits, e);
	else if (ends == COND_DST)
		n = check_own(g, m->dst, m->dst_bits, e);
	return n;
}

/* ---- what is never blocked ---- */

const char *guard_exempts(const struct guard *g, const uint8_t addr[16], unsigned int bits,
			  bool *ret_failsafe)
{
	const struct policy_addr *a = (const void *)g->never.of[POLICY_ADDR].at;

	for (uint32_t i = 0; i < g->never.of[POLICY_ADDR].n; i++) {
		if (!guard_holds(a[i].addr, a[i].bits, addr, bits))
			continue;
		*ret_failsafe = a[i].rule > GUARD_CONFIGURED + 1;
		return guard_names[a[i].rule - 1];
	}
	return NULL;
}

static int check_exempt(const struct guard *g, const uint8_t addr[16], unsigned int bits,
			struct guard_error *e)
{
	bool failsafe;
	const char *why = guard_exempts(g, addr, bits, &failsafe);
	char text[64];

	if (!why || failsafe)
		return 0;
	return refuse(e, "never-block", "%s is never blocked here: %s",
		      prefix_text(addr, bits, text), why);
}

/* ---- breadth ---- */

bool guard_too_broad(const uint8_t addr[16], unsigned int bits)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	const bool v4 = bits >= 96 && !memcmp(addr, mapped, sizeof(mapped));

	return bits < (v4 ? BREADTH_4 : BREADTH_6);
}

static int check_breadth(const uint8_t addr[16], unsigned int bits, struct guard_error *e)
{
	char text[64];

	if (!guard_too_broad(addr, bits))
		return 0;
	return refuse(e, "breadth", "%s is broader than /24 (IPv6: /48), which takes a person",
		      prefix_text(addr, bits, text));
}

static int check_breadth_rule(const struct policy_rule *r, struct guard_error *e)
{
	const struct policy_match *m = &r->match;

	if (r->key != RULE_BY_NONE)
		return 0;
	if (m->have & COND_SRC && !(m->negate & COND_SRC) && !guard_too_broad(m->src, m->src_bits))
		return 0;
	if (m->have & COND_DST && !(m->negate & COND_DST) && !guard_too_broad(m->dst, m->dst_bits))
		return 0;
	return refuse(e, "breadth", "%.63s names no address: an automatic decision has to",
		      r->name);
}

/* ---- what is new ---- */

/* An automatic decision that is in force. */
struct known {
	uint8_t id[16]; /* of its rule */
	uint8_t addr[16];
	uint8_t bits; /* 255: the rule itself */
};

struct known_set {
	struct known *v;
	size_t n;
};

static int by_bytes(const void *a, const void *b)
{
	return memcmp(a, b, sizeof(struct known));
}

static void learn(struct known_set *k, const struct policy *p, uint32_t rule,
		  const uint8_t addr[16], unsigned int bits)
{
	const struct policy_rule *r = policy_rule(p, rule);

	if (!(r->flags & RULE_AUTOMATIC))
		return;
	memcpy(k->v[k->n].id, r->id, 16);
	memcpy(k->v[k->n].addr, addr, 16);
	k->v[k->n++].bits = (uint8_t)bits;
}

/* Without memory nothing is known, and all of it counts as new. */
static void learn_all(struct known_set *k, const struct policy *p)
{
	static const uint8_t none[16];

	k->v = calloc((size_t)p->n_rules + p->n_addrs + p->n_addr_ports + 2 * (size_t)p->n_flows +
			      1,
		      sizeof(*k->v));
	if (!k->v)
		return;
	for (uint32_t i = 0; i < p->n_rules; i++)
		learn(k, p, p->rules[i].number, none, 255);
	for (uint32_t i = 0; i < p->n_addrs; i++)
		learn(k, p, p->addrs[i].rule, p->addrs[i].addr, p->addrs[i].bits);
	for (uint32_t i = 0; i < p->n_addr_ports; i++)
		learn(k, p, p->addr_ports[i].rule, p->addr_ports[i].addr, 128);
	for (uint32_t i = 0; i < 2 * p->n_flows; i++)
		learn(k, p, p->flows[i / 2].rule, p->flows[i / 2].addr[i % 2], 128);
	qsort(k->v, k->n, sizeof(*k->v), by_bytes);
}

static bool is_known(const struct known_set *k, const uint8_t id[16], const uint8_t addr[16],
		     unsigned int bits)
{
	struct known key = {.bits = (uint8_t)bits};

	if (!k->n)
		return false;
	memcpy(key.id, id, 16);
	memcpy(key.addr, addr, 16);
	return bsearch(&key, k->v, k->n, sizeof(key), by_bytes) != NULL;
}

/* ---- all of it ---- */

struct checker {
	const struct guard *g;
	const struct policy *p;
	bool by_hand;
	uint32_t automatic;
	const struct policy_rule *rule; /* of the last entry */
	struct known_set known;
	struct guard_error *err;
};

/* One entry: an address, with what else belongs to it. */
static int check_entry(struct checker *c, uint32_t number, const uint8_t addr[16],
		       unsigned int bits)
{
	const struct policy_rule *r =
		c->rule && c->rule->number == number ? c->rule : policy_rule(c->p, number);
	int n = 0;

	c->rule = r;
	if (r->flags & RULE_AUTOMATIC) {
		c->automatic += !is_known(&c->known, r->id, addr, bits);
		n = check_breadth(addr, bits, c->err);
	}
	if (!n && acts(r) && r->key == RULE_BY_ADDR && by_address_alone(r))
		n = check_own(c->g, addr, bits, c->err);
	if (!n && acts(r) && c->by_hand)
		n = check_exempt(c->g, addr, bits, c->err);
	return n;
}

static int check_rules(struct checker *c)
{
	static const uint8_t none[16];
	int n = 0;

	for (uint32_t i = 0; i < c->p->n_rules && !n; i++) {
		const struct policy_rule *r = &c->p->rules[i];

		if (r->flags & RULE_AUTOMATIC) {
			c->automatic += r->key == RULE_BY_NONE &&
					!is_known(&c->known, r->id, none, 255);
			n = check_breadth_rule(r, c->err);
		}
		if (!n && r->action == POLICY_RESET && c->g->mirrors)
			n = refuse(c->err, "mirror",
				   "%.63s resets, and all interfaces have the role mirror: who is "
				   "heard there can't be answered",
				   r->name);
		if (!n && acts(r))
			n = check_own_rule(c->g, r, c->err);
	}
	return n;
}

static int check_rate(struct guard *g, uint32_t automatic, uint64_t now, struct guard_error *e)
{
	if (g->window != now / 60) {
		g->window = now / 60;
		g->automatic = 0;
	}
	if (!automatic || !g->cfg->rate)
		return 0;
	if (automatic > g->cfg->rate - (g->automatic < g->cfg->rate ? g->automatic : g->cfg->rate))
		return refuse(
			e, "rate",
			"%u automatic decisions and %u before them this minute: %u are allowed",
			automatic, g->automatic, g->cfg->rate);
	g->automatic += automatic;
	return 0;
}

int guard_check(struct guard *g, const struct policy *p, bool by_hand, uint64_t now,
		struct guard_error *reterr)
{
	struct checker c = {.g = g, .p = p, .by_hand = by_hand, .err = reterr};
	int n;

	if (g->before && g->cfg->rate)
		learn_all(&c.known, g->before);
	n = check_rules(&c);
	for (uint32_t i = 0; i < p->n_addrs && !n; i++)
		n = check_entry(&c, p->addrs[i].rule, p->addrs[i].addr, p->addrs[i].bits);
	for (uint32_t i = 0; i < p->n_addr_ports && !n; i++)
		n = check_entry(&c, p->addr_ports[i].rule, p->addr_ports[i].addr, 128);
	for (uint32_t i = 0; i < p->n_flows && !n; i++)
		n = check_entry(&c, p->flows[i].rule, p->flows[i].addr[0], 128)
			    ?: check_entry(&c, p->flows[i].rule, p->flows[i].addr[1], 128);
	for (uint32_t i = 0; i < p->n_names && !n; i++) {
		c.rule = policy_rule(p, p->names[i].rule);
		c.automatic += c.rule->flags & RULE_AUTOMATIC ? 1 : 0;
	}
	free(c.known.v);
	return n ?: check_rate(g, c.automatic, now, reterr);
}
