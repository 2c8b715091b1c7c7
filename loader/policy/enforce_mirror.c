// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_mirror.c - mirrors: what policies ask for, and what agents' rules pick, goes to the mirror, and ends there
 * with its policy, with its rule, or with panic. Tables of policies have no part in it.
 */
#include <string.h>

#include "loader/mirror/host.h"
#include "loader/mirror/host_int.h"
#include "loader/policy/enforce_int.h"

static struct mirror_ask ask_of(uint32_t slot, const struct policy_rule *r,
				const struct policy_mirror *m, uint64_t seconds)
{
	struct mirror_ask a = {.slot = slot,
			       .pair = m->scope == CAPTURE_PAIR,
			       .decision = m->decision,
			       .until_ms = mirror_mono_ms() + seconds * 1000};

	memcpy(a.id, r->id, sizeof(a.id));
	memcpy(a.rule, r->name, sizeof(a.rule));
	memcpy(a.to, m->to, sizeof(a.to));
	memcpy(a.addr, m->addr, sizeof(a.addr));
	return a;
}

/* What of an agent's rule is mirrored; NULL: nothing. */
static const struct policy_mirror *of_rule(const struct policy *p, uint32_t rule)
{
	for (uint32_t i = 0; i < p->n_mirrors; i++)
		if (!p->mirrors[i].ends && p->mirrors[i].rule == rule)
			return &p->mirrors[i];
	return NULL;
}

bool enforce_mirror_hit(struct enforce *e, const struct agent *a, const struct agent_hit *h)
{
	const struct policy_mirror *m = of_rule(&e->issuers[a->slot].now.p, a->rule->number);
	const uint64_t left = a->rule->expires - enforce_wall_s(e);
	struct mirror_ask x;

	if (!m || !e->mirror || e->stopped)
		return false;
	x = ask_of(a->slot, a->rule, m, m->ttl < left ? m->ttl : left);
	memcpy(x.addr[0], m->scope == CAPTURE_DST ? h->to : h->addr, 16);
	if (x.pair)
		memcpy(x.addr[1], h->to, 16);
	mirror_ask(e->mirror, &x);
	mirror_asks_put(e->mirror);
	return true;
}

/* Is there still a record that asks for it? */
static bool is_asked(const void *arg, const struct mirror_ask *a)
{
	const struct enforce *e = arg;
	const struct policy *p = &e->issuers[a->slot].now.p;

	for (uint32_t i = 0; !e->stopped && e->issuers[a->slot].now.image && i < p->n_mirrors;
	     i++) {
		const struct policy_mirror *m = &p->mirrors[i];

		if (m->decision == a->decision && !m->ends == !a->decision &&
		    !strcmp((const char *)m->to, a->to) &&
		    !memcmp(policy_rule(p, m->rule)->id, a->id, sizeof(a->id)))
			return true;
	}
	return false;
}

static void ask_all(struct enforce *e, uint32_t slot)
{
	const struct policy *p = &e->issuers[slot].now.p;
	const uint64_t now = enforce_wall_s(e);

	for (uint32_t i = 0; e->issuers[slot].now.image && i < p->n_mirrors; i++) {
		const struct policy_mirror *m = &p->mirrors[i];
		const struct policy_rule *r = policy_rule(p, m->rule);
		uint64_t end = m->made + m->ttl;
		struct mirror_ask a;

		end = end < r->expires ? end : r->expires;
		if (!m->ends || end <= now)
			continue;
		a = ask_of(slot, r, m, end - now);
		mirror_ask(e->mirror, &a);
	}
}

void enforce_mirrors_changed(struct enforce *e)
{
	if (!e->mirror)
		return;
	mirror_asks_keep(e->mirror, is_asked, e);
	for (uint32_t s = SLOT_LOCAL; s < SLOT_NAMED && !e->stopped; s++)
		ask_all(e, s);
	mirror_asks_put(e->mirror);
}

void enforce_refused_mirrors(const struct enforce *e, uint32_t slot, char *buf, size_t size)
{
	buf[0] = '\0';
	if (e->mirror)
		mirror_asks_refusal(e->mirror, slot, buf, size);
}
