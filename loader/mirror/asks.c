// SPDX-License-Identifier: Apache-2.0
/*
 * asks.c - see asks.h.
 */
#include "loader/mirror/asks.h"

#include <stdio.h>
#include <string.h>

#include "common/log.h"
#include "common/num_text.h"
#include "loader/mirror/host_int.h"

#define SAY_MS 60000u

/* ---- what is asked for ---- */

static bool same(const struct mirror_ask *a, const struct mirror_ask *b)
{
	return a->slot == b->slot && a->decision == b->decision &&
	       !memcmp(a->id, b->id, sizeof(a->id)) && !memcmp(a->addr, b->addr, sizeof(a->addr)) &&
	       !strcmp(a->to, b->to);
}

static void value_text(const struct mirror_ask *a, char ret[2 * IP_TEXT + 4])
{
	char from[IP_TEXT], to[IP_TEXT];

	ip_text(a->addr[0], 0, from);
	ip_text(a->addr[1], 0, to);
	snprintf(ret, 2 * IP_TEXT + 4, "%s%s%s", from, a->pair ? " - " : "", a->pair ? to : "");
}

static void count(struct mirror_asks *q, enum mirror_ask_state state)
{
	struct mirror_rule_counts *c = q->counts;
	uint64_t *const of[] = {[MIRROR_ASK_OPEN] = &c->begun,
				[MIRROR_ASK_NO_TARGET] = &c->no_target,
				[MIRROR_ASK_FULL] = &c->full,
				[MIRROR_ASK_FAILED] = &c->failed};

	if (state != MIRROR_ASK_NEW)
		__atomic_fetch_add(of[state], 1, __ATOMIC_RELAXED);
}

/* Said once a minute, as other refusals; counted always. */
static void say_refused(struct mirror_asks *q, const struct mirror_ask *a, const char *why)
{
	const uint64_t now = mirror_mono_ms();
	char value[2 * IP_TEXT + 4];

	if (q->said_ms && now - q->said_ms < SAY_MS)
		return;
	q->said_ms = now ?: 1;
	value_text(a, value);
	log_warn("mirror", "the rule '%s' asks for %s to '%s': refused: %s", a->rule, value, a->to,
		 why);
}

static void become(struct mirror_asks *q, struct mirror_ask *a, enum mirror_ask_state state,
		   const char *why)
{
	char value[2 * IP_TEXT + 4];

	if (a->state == state)
		return;
	if (a->state == MIRROR_ASK_OPEN)
		q->counts->ended++;
	a->state = (uint8_t)state;
	count(q, state);
	value_text(a, value);
	if (state == MIRROR_ASK_OPEN)
		log_info("mirror", "the rule '%s' has %s mirrored to '%s'", a->rule, value, a->to);
	else
		say_refused(q, a, why);
}

void mirror_ask(struct mirror_host *h, const struct mirror_ask *a)
{
	struct mirror_asks *q = &h->asks;

	for (uint32_t i = 0; i < q->n; i++)
		if (same(&q->of[i], a))
			return;
	if (!q->counts)
		return;
	if (q->n == MIRROR_ASKS) {
		count(q, MIRROR_ASK_FULL);
		say_refused(q, a, "there are as many mirrors as there can be");
		return;
	}
	q->of[q->n] = *a;
	q->of[q->n++].state = MIRROR_ASK_NEW;
}

static void end(struct mirror_asks *q, const struct mirror_ask *a, const char *why)
{
	char value[2 * IP_TEXT + 4];

	if (a->state != MIRROR_ASK_OPEN)
		return;
	q->counts->ended++;
	value_text(a, value);
	log_info("mirror", "the mirror of %s to '%s' has ended: %s", value, a->to, why);
}

void mirror_asks_keep(struct mirror_host *h, mirror_keep_fn *keep, const void *arg)
{
	struct mirror_asks *q = &h->asks;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < q->n; i++)
		if (keep(arg, &q->of[i]))
			q->of[kept++] = q->of[i];
		else
			end(q, &q->of[i], "the policy asks no more");
	q->n = kept;
}

/* ---- sessions ---- */

/* Packets from one to the other; without @dst: all from, without @src: all to. */
static struct policy_rule entry(const struct mirror_ask *a, const uint8_t *src, const uint8_t *dst,
				uint32_t number)
{
	struct policy_rule r = {.number = number,
				.action = POLICY_DO_MIRROR,
				.direction = DIR_BOTH,
				.key = RULE_BY_NONE,
				.name = "mirror",
				.origin = "rule"};

	memcpy(r.id, a->id, sizeof(r.id));
	if (src) {
		r.match.have |= COND_SRC;
		r.match.src_bits = 128;
		memcpy(r.match.src, src, 16);
	}
	if (dst) {
		r.match.have |= COND_DST;
		r.match.dst_bits = 128;
		memcpy(r.match.dst, dst, 16);
	}
	return r;
}

static void add_entries(const struct mirror_ask *a, struct mirror_image *m)
{
	struct mirror_want *w = &m->want;
	const size_t at = strlen((char *)w->filter);
	char value[2 * IP_TEXT + 4];

	m->rules[w->rules] = entry(a, a->addr[0], a->pair ? a->addr[1] : NULL, w->rules + 1);
	w->rules++;
	m->rules[w->rules] = entry(a, a->pair ? a->addr[1] : NULL, a->addr[0], w->rules + 1);
	w->rules++;
	value_text(a, value);
	snprintf((char *)w->filter + at, sizeof(w->filter) - at, "%s%s (%s)",
		 w->rules > 2 ? ", " : "", value, a->rule);
}

static bool is_to(const struct mirror_ask *a, const struct mirror_target *t)
{
	return !strcmp(a->to, (const char *)t->name);
}

/* Behind those of people and of the configuration. */
static uint32_t last_number(const struct mirror_host *h)
{
	uint32_t number = MIRROR_NUMBER_MAX;

	while (mirror_find(h, number) >= 0 || mirror_conf_has(h, number))
		number--;
	return number;
}

/* What the target's session is now; entries 0: none. Return: when the last of it ends. */
static uint64_t make(struct mirror_host *h, const struct mirror_target *t, struct mirror_image *ret)
{
	struct mirror_asks *q = &h->asks;
	uint64_t until = 0;

	memset(ret, 0, sizeof(*ret));
	ret->want = t->want;
	ret->want.also = 1;
	for (uint32_t i = 0; i < q->n; i++) {
		struct mirror_ask *a = &q->of[i];

		if (!is_to(a, t))
			continue;
		if (ret->want.rules + 2 > MIRROR_RULES) {
			become(q, a, MIRROR_ASK_FULL, "the target has as many addresses as it can");
			continue;
		}
		add_entries(a, ret);
		until = a->until_ms > until ? a->until_ms : until;
	}
	return until;
}

static int begin(struct mirror_host *h, uint32_t at, int instead, struct mirror_image *m,
		 struct policy_reply *reply)
{
	struct mirror_way way;
	const struct mirror_begin b = {.want = &m->want,
				       .rules = m->rules,
				       .way = &way,
				       .from = MIRROR_BY_RULE,
				       .instead = instead};
	int r;

	if (mirror_find_way(&m->want, &way) || way.local)
		way = (struct mirror_way){};
	m->want.number = instead < 0 ? last_number(h) : h->asks.number[at];
	r = mirror_begin(h, &b, reply);
	h->asks.number[at] = r ? 0 : reply->added;
	if (r && instead >= 0)
		mirror_end(h, (unsigned int)instead);
	return r;
}

static void put_target(struct mirror_host *h, uint32_t at)
{
	static struct mirror_image m;
	struct mirror_asks *q = &h->asks;
	const struct mirror_target *t = &h->conf.target[at];
	const uint64_t until = make(h, t, &m);
	struct policy_reply reply = {};
	int e = q->number[at] ? mirror_find(h, q->number[at]) : -1, r = 0;

	if (e >= 0 && !m.want.rules) {
		mirror_end(h, (unsigned int)e);
		q->number[at] = 0;
	}
	if (!m.want.rules)
		return;
	if (e < 0 || memcmp(&m, &q->put[at], sizeof(m)) != 0) {
		q->put[at] = m;
		r = begin(h, at, e, &m, &reply);
	}
	e = r ? r : mirror_find(h, q->number[at]);
	if (e >= 0)
		h->live[e].until_ms = until;
	for (uint32_t i = 0, n = 0; i < q->n && n < MIRROR_ASKS_EACH; i++) {
		if (!is_to(&q->of[i], t))
			continue;
		n++;
		become(q, &q->of[i], r ? MIRROR_ASK_FAILED : MIRROR_ASK_OPEN, reply.text);
	}
}

/* Nobody knows the name here: a rule can't make up where packets go. */
static void refuse_unknown(struct mirror_host *h)
{
	for (uint32_t i = 0; i < h->asks.n; i++) {
		struct mirror_ask *a = &h->asks.of[i];
		bool known = false;
		char why[120];

		for (uint32_t t = 0; t < h->conf.n_targets; t++)
			known |= is_to(a, &h->conf.target[t]);
		snprintf(why, sizeof(why),
			 "there is no [mirror-target %s] in this node's configuration", a->to);
		if (!known)
			become(&h->asks, a, MIRROR_ASK_NO_TARGET, why);
	}
}

void mirror_asks_put(struct mirror_host *h)
{
	struct mirror_asks *q = &h->asks;
	uint64_t open = 0;

	if (!q->counts)
		return;
	for (uint32_t t = 0; t < h->conf.n_targets; t++)
		put_target(h, t);
	refuse_unknown(h);
	for (uint32_t i = 0; i < q->n; i++)
		open += q->of[i].state == MIRROR_ASK_OPEN;
	__atomic_store_n(&q->counts->open, open, __ATOMIC_RELAXED);
	__atomic_store_n(&q->counts->refused, q->n - open, __ATOMIC_RELAXED);
}

void mirror_asks_refusal(const struct mirror_host *h, uint32_t slot, char *buf, size_t size)
{
	static const char *const why[] = {
		[MIRROR_ASK_NO_TARGET] = "there is no mirror-target of that name",
		[MIRROR_ASK_FULL] = "the target has as many addresses as it can",
		[MIRROR_ASK_FAILED] = "no session could begin, the log says why"};
	const struct mirror_ask *first = NULL;
	char value[2 * IP_TEXT + 4];
	uint32_t n = 0;

	buf[0] = '\0';
	for (uint32_t i = 0; i < h->asks.n; i++) {
		const struct mirror_ask *a = &h->asks.of[i];

		if (a->slot != slot || a->state <= MIRROR_ASK_OPEN)
			continue;
		first = first ?: a;
		n++;
	}
	if (!first)
		return;
	value_text(first, value);
	snprintf(buf, size, "mirrors refused: %u: the rule '%.63s' asks for %s to '%s': %s", n,
		 first->rule, value, first->to, why[first->state]);
}

void mirror_asks_targets(struct mirror_host *h, const struct mirror_images *was)
{
	struct mirror_asks *q = &h->asks;

	if (was->n_targets == h->conf.n_targets &&
	    !memcmp(was->target, h->conf.target, sizeof(was->target)))
		return;
	for (uint32_t t = 0; t < was->n_targets; t++) {
		const int e = q->number[t] ? mirror_find(h, q->number[t]) : -1;

		if (e >= 0)
			mirror_end(h, (unsigned int)e);
		q->number[t] = 0;
	}
	mirror_asks_put(h);
}

/* ---- time ---- */

void mirror_asks_tick(struct mirror_host *h, uint64_t now_ms)
{
	struct mirror_asks *q = &h->asks;
	uint32_t kept = 0;

	for (uint32_t i = 0; i < q->n; i++)
		if (q->of[i].until_ms > now_ms)
			q->of[kept++] = q->of[i];
		else
			end(q, &q->of[i], "its time is over");
	q->n = kept;
	mirror_asks_put(h);
	for (uint32_t t = 0; t < h->conf.n_targets; t++) {
		const struct mirror_want *w = &h->conf.target[t].want;
		const int e = q->number[t] ? mirror_find(h, q->number[t]) : -1;
		struct mirror_way way;

		if (e >= 0)
			mirror_lease(h, (unsigned int)e);
		else if (w->to != MIRROR_TO_IFACE && !mirror_find_way(w, &way) && !way.local)
			mirror_neighbour_is_there(&way); /* so that the first packets find it */
	}
}
