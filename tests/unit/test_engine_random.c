// SPDX-License-Identifier: Apache-2.0
/*
 * test_engine_random.c - sets of random rules over random flows, one by one or in blocks, by the engine and by
 * a reference that keeps every flow and adds all of them up again each time: the same alerts of each rule, also when
 * another engine takes over in between.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_dirt.h"
#include "collector/block.h"
#include "common/flow_text.h"
#include "rules_rig.h"

#define SECOND	    UINT64_C(1000000000)
#define BEGIN	    (UINT64_C(1767225600) * SECOND)
#define FLOWS	    400u
#define EVENTS_MAX  4096u
#define GROUPS_MAX  64u
#define ROUNDS	    400u
#define RULES	    3u
#define HAVING_TEXT 200u
#define RULE_TEXT   1024u

static uint64_t state;

static uint32_t below(uint32_t n)
{
	state = state * 6364136223846793005u + 1442695040888963407u;
	return (uint32_t)(state >> 33) % n;
}

/* ---- what came out ---- */

struct event {
	uint8_t state;
	uint8_t key[32];
	uint64_t at_ns, since_ns, fired_ns;
	double value;
};

struct events {
	struct event v[EVENTS_MAX];
	uint32_t n;
};

static void add_event(struct events *to, const struct event *e)
{
	cr_assert(to->n < EVENTS_MAX);
	to->v[to->n++] = *e;
}

static void key_of_alert(const struct alert *a, uint8_t key[32])
{
	memset(key, 0, 32);
	for (uint32_t i = 0; i < a->n_by; i++) {
		if (flow_fields[a->by[i].field].type == FT_IP)
			memcpy(key + 16 * i, a->by[i].ip, 16);
		else
			memcpy(key + 16 * i, &a->by[i].number, 8);
	}
}

static struct rule_set set;
static struct events got[RULES], want[RULES];

static void on_alert(void *arg, const struct alert *a)
{
	struct event e = {.state = a->state,
			  .at_ns = a->at_ns,
			  .since_ns = a->since_ns,
			  .fired_ns = a->fired_ns,
			  .value = a->value};

	(void)arg;
	if (a->known)
		return;
	key_of_alert(a, e.key);
	add_event(&got[a->rule - set.v], &e);
}

/* ---- the reference ---- */

struct ref_group {
	uint8_t key[32];
	uint8_t state;
	uint64_t since, fired, last_true;
};

struct ref {
	const struct rule *rule;
	struct flow_record flows[FLOWS];
	bool in[FLOWS]; /* matched, and not late */
	uint32_t n;
	uint64_t clock;
	int64_t pane;
	struct ref_group groups[GROUPS_MAX];
	uint32_t n_groups;
	struct events *out;
	int64_t last; /* of the window that is looked at */
	const uint8_t *key;
};

static bool key_of_flow(const struct rule *rule, const struct flow_record *r, uint8_t key[32])
{
	memset(key, 0, 32);
	for (uint32_t i = 0; i < rule->by.n; i++) {
		const enum flow_field f = rule->by.v[i];
		uint64_t n;

		if (!flow_has(r, f))
			return false;
		if (flow_fields[f].type == FT_IP) {
			memcpy(key + 16 * i, (const char *)r + flow_fields[f].offset, 16);
		} else {
			n = flow_number(r, f);
			memcpy(key + 16 * i, &n, 8);
		}
	}
	return true;
}

static bool in_window(const struct ref *f, uint32_t i)
{
	const struct rule_window *w = &f->rule->window;
	const int64_t pane = (int64_t)(f->flows[i].end_ns / w->slide_ns);
	uint8_t key[32];

	return f->in[i] && pane <= f->last &&
	       pane > f->last - (int64_t)(w->size_ns / w->slide_ns) &&
	       key_of_flow(f->rule, &f->flows[i], key) && !memcmp(key, f->key, 32);
}

static bool same_field(const struct flow_record *a, const struct flow_record *b, enum flow_field f)
{
	return !memcmp((const char *)a + flow_fields[f].offset,
		       (const char *)b + flow_fields[f].offset,
		       flow_fields[f].type == FT_IP ? 16 : flow_number_width(flow_fields[f].type));
}

static bool has_all(const struct flow_record *r, const struct having_agg *a)
{
	for (uint32_t i = 0; i < a->n_fields; i++)
		if (!flow_has(r, a->fields[i]))
			return false;
	return true;
}

static bool seen_before(const struct ref *f, uint32_t i, const struct having_agg *a)
{
	for (uint32_t k = 0; k < i; k++) {
		bool same = in_window(f, k) && has_all(&f->flows[k], a) &&
			    (!a->where || filter_match(a->where, &f->flows[k]));

		for (uint32_t n = 0; same && n < a->n_fields; n++)
			same = same_field(&f->flows[k], &f->flows[i], a->fields[n]);
		if (same)
			return true;
	}
	return false;
}

static double ref_value(void *arg, unsigned int agg)
{
	const struct ref *f = arg;
	const struct having_agg *a = &f->rule->test->aggs[agg];
	double sum = 0, most = NAN, v;

	if (a->type == HA_RATIO) {
		v = ref_value(arg, a->fields[1]);
		return v == 0 ? NAN : ref_value(arg, a->fields[0]) / v;
	}
	for (uint32_t i = 0; i < f->n; i++) {
		if (!in_window(f, i) || (a->where && !filter_match(a->where, &f->flows[i])) ||
		    !has_all(&f->flows[i], a))
			continue;
		if (a->type == HA_COUNT) {
			sum++;
		} else if (a->type == HA_DISTINCT) {
			sum += !seen_before(f, i, a);
		} else {
			v = (double)flow_number(&f->flows[i], a->fields[0]);
			sum += v;
			most = isnan(most) || v > most ? v : most;
		}
	}
	if (a->type == HA_RATE)
		return sum / ((double)f->rule->window.size_ns / 1e9);
	return a->type == HA_MAX ? most : sum;
}

static unsigned int leftmost(const struct having *h)
{
	uint32_t n = h->root;

	while (h->nodes[n].type != HN_CMP)
		n = h->nodes[n].first;
	return h->nodes[n].agg;
}

static void ref_tell(struct ref *f, const struct ref_group *g, uint8_t what, uint64_t now)
{
	struct event e = {.state = what, .at_ns = now, .since_ns = g->since, .fired_ns = g->fired};

	memcpy(e.key, g->key, 32);
	e.value = ref_value(f, leftmost(f->rule->test));
	add_event(f->out, &e);
}

static bool any_in_window(const struct ref *f)
{
	for (uint32_t i = 0; i < f->n; i++)
		if (in_window(f, i))
			return true;
	return false;
}

static void ref_look(struct ref *f, struct ref_group *g, uint64_t now, int64_t last)
{
	bool holds;

	f->last = last;
	f->key = g->key;
	holds = any_in_window(f) && having_true(f->rule->test, ref_value, f);
	if (holds)
		g->last_true = now;
	if (g->state == ALERT_NONE && holds) {
		g->since = now;
		g->fired = 0;
		g->state = ALERT_PENDING;
		if (f->rule->for_ns) {
			ref_tell(f, g, ALERT_PENDING, now);
			return;
		}
	}
	if (g->state == ALERT_PENDING && holds && now - g->since >= f->rule->for_ns) {
		g->state = ALERT_FIRING;
		g->fired = now;
		ref_tell(f, g, ALERT_FIRING, now);
	} else if ((g->state == ALERT_PENDING && !holds) ||
		   (g->state == ALERT_FIRING && !holds && now - g->last_true >= f->rule->keep_ns)) {
		g->state = ALERT_NONE;
		ref_tell(f, g, ALERT_RESOLVED, now);
	}
}

static struct ref_group *ref_group(struct ref *f, const uint8_t key[32])
{
	for (uint32_t i = 0; i < f->n_groups; i++)
		if (!memcmp(f->groups[i].key, key, 32))
			return &f->groups[i];
	cr_assert(f->n_groups < GROUPS_MAX);
	f->groups[f->n_groups] = (struct ref_group){};
	memcpy(f->groups[f->n_groups].key, key, 32);
	return &f->groups[f->n_groups++];
}

/* Every step that is over, one after the other. */
static void ref_advance(struct ref *f, uint64_t clock)
{
	const uint64_t slide = f->rule->window.slide_ns;
	const int64_t to = (int64_t)(clock / slide);

	if (f->pane < 0)
		f->pane = to;
	for (; f->pane < to; f->pane++)
		for (uint32_t i = 0; i < f->n_groups; i++)
			if (f->groups[i].state != ALERT_NONE || !f->rule->test->monotone)
				ref_look(f, &f->groups[i], (uint64_t)(f->pane + 1) * slide,
					 f->pane);
}

static void ref_flow(struct ref *f, const struct flow_record *r)
{
	const struct rule_window *w = &f->rule->window;
	const int64_t pane = (int64_t)(r->end_ns / w->slide_ns);
	uint8_t key[32];

	f->clock = r->end_ns > f->clock ? r->end_ns : f->clock;
	ref_advance(f, f->clock);
	f->flows[f->n] = *r;
	f->in[f->n] = filter_match(f->rule->filter, r) && key_of_flow(f->rule, r, key) &&
		      pane > f->pane - (int64_t)(w->size_ns / w->slide_ns);
	f->n++;
	if (f->in[f->n - 1]) {
		struct ref_group *g = ref_group(f, key);

		if (f->rule->test->monotone)
			ref_look(f, g, f->clock, f->pane);
	}
}

/* ---- by chance ---- */

static const char *one_of(const char *const *v, uint32_t n)
{
	return v[below(n)];
}
#define ONE_OF(...)                                \
	one_of((const char *const[]){__VA_ARGS__}, \
	       sizeof((const char *const[]){__VA_ARGS__}) / sizeof(const char *))

struct parts {
	const char *where, *by;
	unsigned int slide, panes;
};

/* Rules of a set are alike more often than chance would have it: what is alike may be done once. */
static void choose_parts(struct parts *p, bool first)
{
	if (first || below(2)) {
		p->where = ONE_OF("proto tcp", "dst.port < 3", "not dst.port == 2", "exists(bytes)",
				  "src.ip in 10.0.0.0/30 or dst.port in {1, 3}");
		p->by = ONE_OF("src.ip", "src.ip, dst.port", "dst.ip", "proto", "");
	}
	if (first || below(2)) {
		p->slide = 1 + below(4);
		p->panes = 1 + below(6);
	}
}

static void random_rule(uint32_t number, struct parts *p, char *text, size_t cap)
{
	char having[2][HAVING_TEXT];

	choose_parts(p, !number);
	for (unsigned int i = 0; i < 2; i++) {
		const char *agg = ONE_OF("count()", "count(dst.port == 1)", "sum(bytes)",
					 "max(bytes)", "distinct(dst.ip)",
					 "distinct(dst.port, dst.ip)", "rate(packets)",
					 "ratio(count(proto tcp), count())",
					 "ratio(sum(bytes), sum(packets))", "distinct(src.port)");

		snprintf(having[i], HAVING_TEXT, "%s%s %s %u", below(8) ? "" : "not ", agg,
			 ONE_OF(">=", ">", ">=", ">", "<", "<=", "==", "!="), below(7));
	}
	snprintf(
		text, cap,
		"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0%u\n    name: r%u\n    version: 1.0.0\n"
		"    where: %s\n    window: {size: %us, slide: %us}\n    by: [%s]\n"
		"    having: %s %s %s\n    for: %us\n    keep_firing_for: %us\n",
		number, number, p->where, p->slide * p->panes, p->slide, p->by, having[0],
		ONE_OF("and", "or"), having[1], below(2) ? 0 : below(6), below(2) ? 0 : below(9));
}

static struct flow_record random_flow_of(uint64_t *now)
{
	static const uint8_t mapped[12] = {[10] = 0xff, [11] = 0xff};
	struct flow_record r = {.family = 4, .src_port = (uint16_t)below(5)};
	const uint64_t back = below(10) ? 0 : below(20);

	*now += below(4) ? below(2) * SECOND / 2 : below(30) * SECOND / 4;
	r.end_ns = *now - back * SECOND;
	memcpy(r.src_ip, mapped, 12);
	memcpy(r.dst_ip, mapped, 12);
	r.src_ip[12] = r.dst_ip[12] = 10;
	r.src_ip[15] = (uint8_t)below(6);
	r.dst_ip[15] = (uint8_t)below(6);
	r.dst_port = (uint16_t)below(4);
	r.proto = below(3) ? 6 : 17;
	r.bytes = r.out.bytes = below(6);
	r.packets = r.out.packets = below(4);
	for (unsigned int f = 0; f < _FF_MAX; f++)
		if (f == FF_END || f == FF_PROTO || f == FF_SRC_IP || f == FF_DST_IP ||
		    f == FF_DST_PORT || f == FF_PACKETS || (f == FF_BYTES && below(5)) ||
		    (f == FF_SRC_PORT && below(2)))
			flow_set(&r, f);
	return r;
}

/* Rules that look at all groups do so in an order of their own. */
static int by_time(const void *a, const void *b)
{
	const struct event *x = a, *y = b;

	if (x->at_ns != y->at_ns)
		return x->at_ns < y->at_ns ? -1 : 1;
	return memcmp(x->key, y->key, 32);
}

static bool same_event(const struct event *a, const struct event *b)
{
	return a->state == b->state && a->at_ns == b->at_ns && a->since_ns == b->since_ns &&
	       a->fired_ns == b->fired_ns && !memcmp(a->key, b->key, 32) &&
	       (isnan(a->value) ? isnan(b->value) : fabs(a->value - b->value) < 1e-9);
}

static void read_rules(uint32_t seed)
{
	char text[64 + RULES * RULE_TEXT] = "groups:\n- name: g\n  rules:\n";
	struct parts parts;

	state = seed * 7919 + 1;
	for (uint32_t i = 0; i < RULES; i++)
		random_rule(i, &parts, text + strlen(text), RULE_TEXT);
	set = (struct rule_set){};
	rules_rig_read(text, &set);
	cr_assert(eq(u32, set.n, RULES));
}

/* Flows one by one, or by the block. */
struct feed {
	struct engine *e;
	struct block_pool *pool;
	struct block *b; /* NULL: one by one */
};

static void feed_flush(struct feed *f)
{
	if (f->b) {
		cr_assert(eq(int, engine_block(f->e, f->b, 0), 0));
		block_put(f->pool, f->b);
		f->b = block_dirty(block_get(f->pool));
	}
	engine_flush(f->e);
}

/* Another engine goes on, as after a reload. */
static void hand_over(struct feed *f, const struct engine_cfg *cfg)
{
	struct engine *next;

	cr_assert(eq(int, engine_new(cfg, &next), 0));
	engine_adopt(next, f->e);
	engine_free(f->e);
	engine_retell(next);
	f->e = next;
}

static void feed_flow(struct feed *f, const struct flow_record *r)
{
	struct flow_record both = *r;

	/* blocks have each direction, and not their sums */
	flow_set(&both, FF_OUT_PACKETS);
	if (flow_has(r, FF_BYTES))
		flow_set(&both, FF_OUT_BYTES);
	if (f->b)
		cr_assert(eq(int, block_add_flow(f->b, &both, 1), 0));
	else
		cr_assert(eq(int, engine_flow(f->e, r), 0));
}

static void compare(struct events *a, struct events *b, uint32_t seed, uint32_t rule)
{
	qsort(a->v, a->n, sizeof(a->v[0]), by_time);
	qsort(b->v, b->n, sizeof(b->v[0]), by_time);
	cr_assert(eq(u32, a->n, b->n), "seed %u, rule %u", seed, rule);
	for (uint32_t i = 0; i < a->n; i++)
		cr_assert(same_event(&a->v[i], &b->v[i]), "seed %u, rule %u, event %u of %u", seed,
			  rule, i, a->n);
}

/* Return: alerts of all rules. */
static uint32_t round_of(uint32_t seed)
{
	static struct ref refs[RULES];
	const struct engine_cfg cfg = {.rules = &set, .alert = on_alert, .seed = seed + 1};
	struct feed f = {.pool = block_pool_new(1)};
	uint64_t now = BEGIN;
	uint32_t events = 0;

	read_rules(seed);
	for (uint32_t i = 0; i < RULES; i++) {
		memset(&refs[i], 0, sizeof(refs[i]));
		refs[i].rule = &set.v[i];
		refs[i].out = &want[i];
		refs[i].pane = -1;
		got[i].n = want[i].n = 0;
	}
	if (seed % 2)
		f.b = block_dirty(block_get(f.pool));
	cr_assert(eq(int, engine_new(&cfg, &f.e), 0));
	for (uint32_t i = 0; i < FLOWS; i++) {
		const struct flow_record r = random_flow_of(&now);

		feed_flow(&f, &r);
		for (uint32_t k = 0; k < RULES; k++)
			ref_flow(&refs[k], &r);
		if (!below(50)) {
			feed_flush(&f);
			if (below(2))
				hand_over(&f, &cfg);
		}
	}
	feed_flush(&f);
	engine_advance(f.e, now + 120 * SECOND);
	engine_free(f.e);
	for (uint32_t i = 0; i < RULES; i++) {
		ref_advance(&refs[i], now + 120 * SECOND);
		compare(&got[i], &want[i], seed, i);
		events += got[i].n;
	}
	if (f.b)
		block_put(f.pool, f.b);
	block_pool_free(f.pool);
	rules_done(&set);
	return events;
}

Test(engine, says_what_a_naive_evaluation_says, .timeout = 600)
{
	uint32_t events = 0, rounds = 0;

	for (uint32_t seed = 0; seed < ROUNDS; seed++) {
		const uint32_t n = round_of(seed);

		events += n;
		rounds += n > 0;
	}
	/* by chance, but not about nothing */
	cr_expect(rounds > ROUNDS / 2, "%u rounds with alerts", rounds);
	cr_expect(events > 20 * ROUNDS, "%u alerts", events);
}
