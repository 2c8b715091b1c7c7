// SPDX-License-Identifier: Apache-2.0
/*
 * alerts.c - what becomes of a group: nothing, pending, firing, resolved.
 */
#include <math.h>

#include "collector/rules/engine_int.h"

#define SECOND 1e9

struct look {
	struct rule_state *s;
	struct group *g;
};

static double value_of(void *arg, unsigned int agg)
{
	const struct look *l = arg;
	const struct having_agg *a = &l->s->rule->test->aggs[agg];
	double n, d;

	if (a->type != HA_RATIO) {
		n = groups_leaf(l->s, l->g, l->s->leaf_of[agg]);
		return a->type == HA_RATE ? n / ((double)l->s->rule->window.size_ns / SECOND) : n;
	}
	n = value_of(arg, a->fields[0]);
	d = value_of(arg, a->fields[1]);
	return d == 0 ? NAN : n / d;
}

/* The leftmost comparison's aggregate. */
static unsigned int first_agg(const struct having *h)
{
	uint32_t node = h->root;

	while (h->nodes[node].type != HN_CMP)
		node = h->nodes[node].first;
	return h->nodes[node].agg;
}

static void tell(struct rule_state *s, struct group *g, uint64_t now, enum alert_end why)
{
	struct look l = {s, g};
	struct alert a = {
		.rule = s->rule,
		.state = g->state == ALERT_NONE ? ALERT_RESOLVED : g->state,
		.end = (uint8_t)why,
		.exempt = g->exempt,
		.at_ns = now,
		.since_ns = g->since_ns,
		.fired_ns = g->fired_ns,
		.value = s->rule->test ? value_of(&l, first_agg(s->rule->test))
				       : groups_leaf(s, g, 0),
	};

	groups_key(s, g, &a);
	s->engine->cfg.alert(s->engine->cfg.arg, &a);
	joins_alert(s->engine, &a);
}

static void link_alert(struct rule_state *s, struct group *g)
{
	g->prev_alert = NULL;
	g->next_alert = s->alerts;
	if (s->alerts)
		s->alerts->prev_alert = g;
	s->alerts = g;
	s->all[g->at].alert = true;
}

static void unlink_alert(struct rule_state *s, struct group *g)
{
	if (g->prev_alert)
		g->prev_alert->next_alert = g->next_alert;
	else
		s->alerts = g->next_alert;
	if (g->next_alert)
		g->next_alert->prev_alert = g->prev_alert;
	s->all[g->at].alert = false;
}

void alert_end(struct rule_state *s, struct group *g, uint64_t now, enum alert_end why)
{
	if (g->state == ALERT_FIRING)
		s->stats.firing--;
	g->state = ALERT_NONE;
	unlink_alert(s, g);
	tell(s, g, now, why);
}

static void fire(struct rule_state *s, struct group *g, uint64_t now)
{
	g->state = ALERT_FIRING;
	g->fired_ns = now;
	s->stats.fired++;
	s->stats.firing++;
	tell(s, g, now, ALERT_ENDED);
}

static void begin(struct rule_state *s, struct group *g, uint64_t now)
{
	g->since_ns = g->true_ns = now;
	g->fired_ns = 0;
	link_alert(s, g);
	if (!s->rule->for_ns) {
		fire(s, g, now);
		return;
	}
	g->state = ALERT_PENDING;
	tell(s, g, now, ALERT_ENDED);
}

static bool holds(struct rule_state *s, struct group *g)
{
	struct look l = {s, g};

	if (g->seen <= g->pane - s->panes)
		return false; /* no flow in the window */
	return !s->rule->test || having_true(s->rule->test, value_of, &l);
}

void alert_look(struct rule_state *s, struct group *g, uint64_t now)
{
	const bool now_true = holds(s, g);

	if (g->state == ALERT_NONE) {
		if (now_true)
			begin(s, g, now);
		return;
	}
	if (now_true) {
		g->true_ns = now;
		if (g->state == ALERT_PENDING && now - g->since_ns >= s->rule->for_ns)
			fire(s, g, now);
	} else if (g->state == ALERT_PENDING || now - g->true_ns >= s->rule->keep_ns) {
		alert_end(s, g, now, ALERT_ENDED);
	}
}
