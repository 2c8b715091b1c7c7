// SPDX-License-Identifier: Apache-2.0
/*
 * joins.c - correlations: alerts of several rules about one host, or one value of a field, within some time.
 */
#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "collector/rules/engine_int.h"

#define BUCKETS	 1024u
#define TEXT_MAX 255u

/* One value that alerts were about. */
struct join {
	struct join *next; /* of the bucket */
	uint32_t rule;
	uint8_t state; /* ALERT_NONE or ALERT_FIRING */
	bool exempt;
	uint64_t hash;
	uint64_t last_ns; /* alert that counted */
	uint64_t true_ns; /* when the last one completed it */
	uint64_t fired_ns;
	uint64_t at[RULE_CHAIN_MAX]; /* temporal: the latest; ordered: start of the chain up to here; 0: none */
	struct alert_value value;
	char text[TEXT_MAX];
};

struct joins {
	struct join *buckets[BUCKETS];
	uint32_t *counts; /* of each rule */
	uint64_t looked_ns;
};

int joins_new(struct engine *e)
{
	e->joins = calloc(1, sizeof(*e->joins));
	if (!e->joins)
		return -ENOMEM;
	e->joins->counts = calloc(e->cfg.rules->n ?: 1, sizeof(*e->joins->counts));
	return e->joins->counts ? 0 : -ENOMEM;
}

void joins_free(struct engine *e)
{
	if (!e->joins)
		return;
	for (unsigned int b = 0; b < BUCKETS; b++) {
		for (struct join *j = e->joins->buckets[b], *next; j; j = next) {
			next = j->next;
			free(j);
		}
	}
	free(e->joins->counts);
	free(e->joins);
}

/* ---- finding ---- */

static uint64_t hash_value(const struct engine *e, uint32_t rule, const struct alert_value *v)
{
	uint64_t h = hash_add(e->cfg.seed, rule), ip[2];

	memcpy(ip, v->ip, sizeof(ip));
	h = hash_add(hash_add(h, ip[0]), ip[1]);
	return hash_bytes(hash_add(h, v->number), v->text.s, v->text.len);
}

static bool same_value(const struct alert_value *a, const struct alert_value *b)
{
	return !memcmp(a->ip, b->ip, 16) && a->number == b->number && a->text.len == b->text.len &&
	       (!a->text.len || !memcmp(a->text.s, b->text.s, a->text.len));
}

/* Of all values of the rule the one whose last alert is oldest goes. */
static void evict(struct engine *e, uint32_t rule)
{
	struct join **worst = NULL, *j;

	for (unsigned int b = 0; b < BUCKETS; b++)
		for (struct join **link = &e->joins->buckets[b]; *link; link = &(*link)->next)
			if ((*link)->rule == rule &&
			    (!worst || (*link)->last_ns < (*worst)->last_ns))
				worst = link;
	j = *worst;
	*worst = j->next;
	e->states[rule].stats.evicted++;
	e->joins->counts[rule]--;
	free(j);
}

static struct join *find(struct engine *e, uint32_t rule, const struct alert_value *v)
{
	const uint64_t h = hash_value(e, rule, v);
	struct join **bucket = &e->joins->buckets[h % BUCKETS], *j;

	for (j = *bucket; j; j = j->next)
		if (j->hash == h && j->rule == rule && same_value(&j->value, v))
			return j;
	if (e->joins->counts[rule] >= e->cfg.rules->v[rule].groups_max)
		evict(e, rule);
	j = calloc(1, sizeof(*j));
	if (!j) {
		e->stats.lost++;
		return NULL;
	}
	j->rule = rule;
	j->hash = h;
	j->value = *v;
	if (v->text.len)
		memcpy(j->text, v->text.s, v->text.len);
	j->value.text.s = j->text;
	j->next = *bucket;
	*bucket = j;
	e->joins->counts[rule]++;
	return j;
}

/* ---- what has come together ---- */

static bool all_within(const struct rule_correlate *c, const struct join *j)
{
	uint64_t first = UINT64_MAX, last = 0;

	for (uint32_t i = 0; i < c->rules.n; i++) {
		if (!j->at[i])
			return false;
		first = j->at[i] < first ? j->at[i] : first;
		last = j->at[i] > last ? j->at[i] : last;
	}
	return last - first <= c->within_ns;
}

/* Chains: at[i] is the latest begin of one whose part up to @i is complete. */
static bool next_link(const struct rule_correlate *c, struct join *j, uint32_t i, uint64_t now)
{
	if (!i) {
		j->at[0] = now;
		return false;
	}
	if (!j->at[i - 1] || now - j->at[i - 1] > c->within_ns)
		return false;
	if (j->at[i - 1] > j->at[i])
		j->at[i] = j->at[i - 1];
	return i == c->rules.n - 1;
}

static void say(struct engine *e, const struct join *j, uint64_t now, enum alert_state state,
		bool known)
{
	const struct rule *r = &e->cfg.rules->v[j->rule];
	struct alert a = {.rule = r,
			  .state = (uint8_t)state,
			  .known = known,
			  .exempt = j->exempt,
			  .at_ns = now,
			  .since_ns = j->fired_ns,
			  .fired_ns = j->fired_ns,
			  .value = r->correlate.rules.n,
			  .n_by = 1};

	a.by[0] = j->value;
	a.by[0].field = r->correlate.field;
	e->cfg.alert(e->cfg.arg, &a);
}

static void tell(struct engine *e, const struct join *j, uint64_t now, enum alert_state state)
{
	say(e, j, now, state, false);
}

static void count_alert(struct engine *e, uint32_t rule, uint32_t i, const struct alert *a,
			const struct alert_value *v)
{
	const struct rule_correlate *c = &e->cfg.rules->v[rule].correlate;
	struct join *j = v->text.len <= TEXT_MAX ? find(e, rule, v) : NULL;
	bool complete;

	if (!j)
		return;
	j->last_ns = a->at_ns;
	j->exempt |= a->exempt;
	if (c->type == RT_ORDERED) {
		complete = next_link(c, j, i, a->at_ns);
	} else {
		j->at[i] = a->at_ns;
		complete = all_within(c, j);
	}
	if (!complete)
		return;
	j->true_ns = a->at_ns;
	if (j->state == ALERT_FIRING)
		return;
	j->state = ALERT_FIRING;
	j->fired_ns = a->at_ns;
	e->states[rule].stats.fired++;
	e->states[rule].stats.firing++;
	tell(e, j, a->at_ns, ALERT_FIRING);
}

void joins_alert(struct engine *e, const struct alert *a)
{
	const uint32_t from = (uint32_t)(a->rule - e->cfg.rules->v);

	for (uint32_t k = 0; a->state == ALERT_FIRING && k < e->cfg.rules->n; k++) {
		const struct rule *r = &e->cfg.rules->v[k];
		const struct rule_correlate *c = &r->correlate;

		if (!c->at.line || !engine_runs(e, k))
			continue;
		for (uint32_t i = 0; i < c->rules.n; i++) {
			if (c->index[i] != from)
				continue;
			for (uint32_t v = 0; v < a->n_by; v++) {
				const unsigned int f = a->by[v].field;

				if (c->field == _FF_MAX ? flow_fields[f].type == FT_IP
							: c->field == f)
					count_alert(e, k, i, a, &a->by[v]);
			}
		}
	}
}

/* ---- going ---- */

/* Return: it is over, and may go. */
static bool look(struct engine *e, struct join *j, uint64_t now)
{
	const struct rule *r = &e->cfg.rules->v[j->rule];

	if (j->state == ALERT_FIRING && now - j->true_ns >= r->keep_ns) {
		j->state = ALERT_NONE;
		e->states[j->rule].stats.firing--;
		tell(e, j, j->true_ns + r->keep_ns, ALERT_RESOLVED);
	}
	return j->state == ALERT_NONE && now - j->last_ns > r->correlate.within_ns;
}

void joins_advance(struct engine *e, uint64_t now)
{
	if (now / 1000000000 == e->joins->looked_ns / 1000000000)
		return; /* once a second */
	e->joins->looked_ns = now;
	for (unsigned int b = 0; b < BUCKETS; b++) {
		struct join **link = &e->joins->buckets[b];

		while (*link) {
			struct join *j = *link;

			if (!look(e, j, now)) {
				link = &j->next;
				continue;
			}
			*link = j->next;
			e->joins->counts[j->rule]--;
			free(j);
		}
	}
}

/* ---- going on ---- */

void joins_adopt(struct engine *e, uint32_t i, struct engine *from, uint32_t k)
{
	for (unsigned int b = 0; b < BUCKETS; b++) {
		struct join **link = &from->joins->buckets[b];

		while (*link) {
			struct join *j = *link, **to;

			if (j->rule != k) {
				link = &j->next;
				continue;
			}
			*link = j->next;
			from->joins->counts[k]--;
			j->rule = i;
			j->hash = hash_value(e, i, &j->value);
			to = &e->joins->buckets[j->hash % BUCKETS];
			j->next = *to;
			*to = j;
			e->joins->counts[i]++;
		}
	}
}

void joins_retell(struct engine *e)
{
	for (unsigned int b = 0; b < BUCKETS; b++)
		for (const struct join *j = e->joins->buckets[b]; j; j = j->next)
			if (j->state == ALERT_FIRING)
				say(e, j, j->true_ns, ALERT_FIRING, true);
}
