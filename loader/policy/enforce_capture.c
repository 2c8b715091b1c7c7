// SPDX-License-Identifier: Apache-2.0
/*
 * enforce_capture.c - captures: what a policy asks for, and what agents' rules pick, goes to the recorder as an
 * order. The kernel has no part in it.
 */
#include <string.h>
#include <time.h>

#include "loader/capture/recorder.h"
#include "loader/policy/enforce_int.h"

#define NS_PER_S UINT64_C(1000000000)

static uint64_t mono_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * NS_PER_S + (uint64_t)ts.tv_nsec;
}

static void order(struct enforce *e, uint32_t slot, const struct policy_rule *r,
		  const struct policy_capture *k, struct record_order *o)
{
	o->slot = slot;
	o->ends = k->scope == CAPTURE_PAIR ? 2 : 1;
	o->scope = k->scope;
	o->pre_s = k->pre;
	o->post_s = k->post;
	o->max_bytes = k->max_bytes;
	o->alert = k->alert;
	o->decision = k->decision;
	memcpy(o->rule, r->id, sizeof(o->rule));
	memcpy(o->name, r->name, sizeof(o->name));
	memcpy(o->origin, r->origin, sizeof(o->origin));
	recorder_order(e->recorder, o);
}

bool enforce_capture_hit(struct enforce *e, const struct agent *a, const struct agent_hit *h)
{
	const struct policy *p = &e->issuers[a->slot].now.p;
	struct record_order o = {.fired_ns = h->seen_ns};
	uint32_t i = 0;

	while (i < p->n_captures && (p->captures[i].ends || p->captures[i].rule != a->rule->number))
		i++;
	if (i == p->n_captures || !e->recorder)
		return false;
	memcpy(o.addr[0], p->captures[i].scope == CAPTURE_DST ? h->to : h->addr, 16);
	if (p->captures[i].scope == CAPTURE_PAIR)
		memcpy(o.addr[1], h->to, 16);
	order(e, a->slot, a->rule, &p->captures[i], &o);
	return true;
}

/* Has it been told of? A policy comes again with each change of it. */
static bool is_new(struct enforce *e, uint32_t slot, const struct policy_capture *k)
{
	struct captures_told *t = &e->told;

	for (uint32_t i = 0; i < CAPTURES_TOLD; i++)
		if (t->of[i].decision == k->decision && t->of[i].made == k->made &&
		    t->of[i].slot == slot)
			return false;
	t->of[t->n++ % CAPTURES_TOLD].decision = k->decision;
	t->of[(t->n - 1) % CAPTURES_TOLD].made = k->made;
	t->of[(t->n - 1) % CAPTURES_TOLD].slot = slot;
	return true;
}

void enforce_captures_changed(struct enforce *e, uint32_t slot)
{
	const struct policy *p = &e->issuers[slot].now.p;
	const uint64_t now = enforce_wall_s(e), mono = mono_ns();

	for (uint32_t i = 0; e->recorder && e->issuers[slot].now.image && i < p->n_captures; i++) {
		const struct policy_capture *k = &p->captures[i];
		const uint64_t ago = now > k->made ? now - k->made : 0;
		struct record_order o = {};

		if (!k->ends || ago > k->post || !is_new(e, slot, k))
			continue;
		o.fired_ns = mono > ago * NS_PER_S ? mono - ago * NS_PER_S : 0;
		memcpy(o.addr, k->addr, sizeof(o.addr));
		order(e, slot, policy_rule(p, k->rule), k, &o);
	}
}
