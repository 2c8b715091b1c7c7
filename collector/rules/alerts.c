// SPDX-License-Identifier: Apache-2.0
/*
 * alerts.c - what becomes of a group: nothing, pending, firing, resolved.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>

#include "collector/rules/engine_int.h"

#define SECOND 1e9

struct look {
	const struct rule_state *s;
	const struct group *g;
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

static void fill(struct rule_state *s, const struct watch *w, uint64_t now, struct alert *ret)
{
	const struct group *g = slot_group(s, w->slot);
	struct look l = {s, g};

	*ret = (struct alert){
		.rule = s->rule,
		.state = w->state == ALERT_NONE ? ALERT_RESOLVED : w->state,
		.exempt = w->exempt,
		.at_ns = now,
		.since_ns = w->since_ns,
		.fired_ns = w->fired_ns,
		.value = s->rule->test ? value_of(&l, first_agg(s->rule->test))
				       : groups_leaf(s, g, 0),
	};

	groups_key(s, g, ret);
}

static void tell(struct rule_state *s, const struct watch *w, uint64_t now, enum alert_end why)
{
	struct alert a;

	fill(s, w, now, &a);
	a.end = (uint8_t)why;
	s->engine->cfg.alert(s->engine->cfg.arg, &a);
	joins_alert(s->engine, &a);
}

/* Correlations have heard of it. */
void alert_retell(struct rule_state *s, const struct watch *w)
{
	struct alert a;

	if (w->state != ALERT_FIRING)
		return;
	fill(s, w, w->true_ns, &a);
	a.known = true;
	s->engine->cfg.alert(s->engine->cfg.arg, &a);
}

/* ---- watches ---- */

static void append(struct watches *to, struct watch *w)
{
	w->prev = to->last;
	w->next = NULL;
	if (to->last)
		to->last->next = w;
	else
		to->first = w;
	to->last = w;
}

static void cut(struct watches *from, struct watch *w)
{
	if (w->prev)
		w->prev->next = w->next;
	else
		from->first = w->next;
	if (w->next)
		w->next->prev = w->prev;
	else
		from->last = w->prev;
}

static void set_resting(struct rule_state *s, struct watch *w, bool resting, uint64_t now)
{
	if (w->resting == resting)
		return;
	cut(w->resting ? &s->resting : &s->watching, w);
	append(resting ? &s->resting : &s->watching, w);
	w->resting = resting;
	w->rest_ns = now;
}

static int more_watches(struct rule_state *s)
{
	const uint32_t cap = s->cap_watches ? s->cap_watches * 2 : 16;
	struct watch **to = reallocarray(s->watches, cap, sizeof(*to));

	if (!to)
		return -ENOMEM;
	s->watches = to;
	s->cap_watches = cap;
	return 0;
}

struct watch *watch_get(struct rule_state *s, uint32_t slot)
{
	struct group *g = slot_group(s, slot);
	struct watch *w = watch_of(s, g);

	if (w)
		return w;
	if (s->n_watches == s->cap_watches && more_watches(s))
		return NULL;
	w = malloc(sizeof(*w));
	if (!w)
		return NULL;
	*w = (struct watch){.slot = slot, .at = s->n_watches};
	w->exempt = groups_exempt(s, g);
	append(&s->watching, w);
	s->watches[s->n_watches++] = w;
	s->stats.bytes += sizeof(*w);
	g->watch = s->n_watches;
	*slot_mark(s, slot) |= MARK_WATCH;
	return w;
}

void watch_free(struct rule_state *s, struct watch *w)
{
	struct watch *last = s->watches[--s->n_watches];

	cut(w->resting ? &s->resting : &s->watching, w);
	last->at = w->at;
	s->watches[w->at] = last;
	slot_group(s, last->slot)->watch = w->at + 1;
	slot_group(s, w->slot)->watch = 0;
	*slot_mark(s, w->slot) &= (uint8_t)~MARK_WATCH;
	s->stats.bytes -= sizeof(*w);
	free(w);
}

/* ---- states ---- */

static void end(struct rule_state *s, struct watch *w, uint64_t now, enum alert_end why)
{
	if (w->state == ALERT_FIRING)
		s->stats.firing--;
	w->state = ALERT_NONE;
	tell(s, w, now, why);
}

void alert_evict(struct rule_state *s, struct watch *w, uint64_t now)
{
	if (w->state != ALERT_NONE)
		end(s, w, now, ALERT_EVICTED);
}

static void fire(struct rule_state *s, struct watch *w, uint64_t now)
{
	w->state = ALERT_FIRING;
	w->fired_ns = now;
	s->stats.fired++;
	s->stats.firing++;
	tell(s, w, now, ALERT_ENDED);
}

static void begin(struct rule_state *s, uint32_t slot, uint64_t now)
{
	struct watch *w = watch_get(s, slot);

	if (!w) {
		s->engine->stats.lost++;
		return;
	}
	w->since_ns = w->true_ns = now;
	w->fired_ns = 0;
	if (!s->rule->for_ns) {
		fire(s, w, now);
		return;
	}
	w->state = ALERT_PENDING;
	tell(s, w, now, ALERT_ENDED);
}

static bool holds(struct rule_state *s, const struct group *g)
{
	struct look l = {s, g};

	if (g->ago >= s->panes)
		return false; /* no flow in the window */
	return !s->rule->test ||
	       (groups_near(s, g) && (s->gate_is_all || having_true(s->rule->test, value_of, &l)));
}

/* Where the group was looked at: is it watched on, and among which? */
static void place_watch(struct rule_state *s, struct watch *w, bool now_true, uint64_t now)
{
	if (!w)
		return;
	if (w->state == ALERT_NONE &&
	    !(s->gated && !s->monotone && groups_near(s, slot_group(s, w->slot))))
		watch_free(s, w);
	else if (s->monotone)
		set_resting(s, w, w->state == ALERT_FIRING && !now_true, now);
}

void alert_look(struct rule_state *s, uint32_t slot, uint64_t now)
{
	const struct group *g = slot_group(s, slot);
	const bool now_true = holds(s, g);
	struct watch *w = watch_of(s, g);

	if (!w || w->state == ALERT_NONE) {
		if (now_true)
			begin(s, slot, now);
	} else if (now_true) {
		w->true_ns = now;
		if (w->state == ALERT_PENDING && now - w->since_ns >= s->rule->for_ns)
			fire(s, w, now);
	} else if (w->state == ALERT_PENDING || now - w->true_ns >= s->rule->keep_ns) {
		end(s, w, now, ALERT_ENDED);
	}
	place_watch(s, watch_of(s, g), now_true, now);
}
