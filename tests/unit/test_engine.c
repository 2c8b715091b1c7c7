// SPDX-License-Identifier: Apache-2.0
/*
 * test_engine.c - what the random comparison does not reach: bounds, estimates, lateness, correlations,
 * exemptions, blocks.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "block_dirt.h"
#include "collector/block.h"
#include "collector/rules/alert_json.h"
#include "rules_rig.h"

#define SECOND UINT64_C(1000000000)
#define BEGIN  (UINT64_C(1767225600) * SECOND)
#define SEEN   4096u

struct seen {
	struct alert v[SEEN];
	uint32_t n;
	char json[ALERT_JSON];
};

static struct seen seen;
static struct rule_set set;
static struct engine *engine;

static void on_alert(void *arg, const struct alert *a)
{
	(void)arg;
	cr_assert(seen.n < SEEN);
	seen.v[seen.n++] = *a;
	cr_assert(alert_json(a, seen.json) > 0);
}

static void begin(const char *rules)
{
	struct engine_cfg cfg = {.rules = &set, .alert = on_alert, .seed = 1, .ahead_ns = SECOND};

	rules_rig_read(rules, &set);
	cr_assert(eq(int, engine_new(&cfg, &engine), 0));
}

static void end(void)
{
	engine_free(engine);
	rules_done(&set);
}

TestSuite(engine, .fini = end, .timeout = 120);

static struct flow_record flow(uint32_t src, uint32_t dst, uint16_t port, uint64_t at)
{
	static const enum flow_field there[] = {FF_END,	  FF_SRC_IP,  FF_DST_IP, FF_DST_PORT,
						FF_PROTO, FF_PACKETS, FF_BYTES};
	struct flow_record r = {
		.family = 4, .end_ns = at, .dst_port = port, .proto = 6, .packets = 1, .bytes = 100};

	for (unsigned int i = 0; i < 4; i++) {
		r.src_ip[12 + i] = (uint8_t)(src >> (24 - 8 * i));
		r.dst_ip[12 + i] = (uint8_t)(dst >> (24 - 8 * i));
	}
	r.src_ip[10] = r.src_ip[11] = r.dst_ip[10] = r.dst_ip[11] = 0xff;
	for (size_t i = 0; i < sizeof(there) / sizeof(there[0]); i++)
		flow_set(&r, there[i]);
	return r;
}

static void feed(uint32_t src, uint32_t dst, uint16_t port, uint64_t at)
{
	const struct flow_record r = flow(src, dst, port, at);

	cr_assert(eq(int, engine_flow(engine, &r), 0));
}

#define HEAD                             \
	"groups:\n- name: g\n  rules:\n" \
	"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n    name: a\n    version: 1.0.0\n"
#define NEXT "  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a0%u\n    name: %s\n    version: 1.0.0\n"

static uint32_t count(const char *rule, unsigned int state)
{
	uint32_t n = 0;

	for (uint32_t i = 0; i < seen.n; i++)
		n += !strcmp(seen.v[i].rule->name, rule) && seen.v[i].state == state;
	return n;
}

Test(engine, keeps_groups_max_groups_and_counts_what_goes)
{
	struct engine_rule_stats st;

	begin(HEAD
	      "    window: {size: 60s}\n    by: src.ip\n    having: count() >= 2\n    groups_max: 100\n");
	for (uint32_t i = 0; i < 1000; i++)
		feed(0x0a000000 + i, 1, 80, BEGIN);
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.groups, 100));
	cr_expect(eq(u64, st.evicted, 900));
	cr_expect(eq(u64, st.matched, 1000));
	cr_expect(eq(u32, seen.n, 0));
}

Test(engine, resolves_an_alert_whose_group_must_go)
{
	begin(HEAD
	      "    window: {size: 60s}\n    by: src.ip\n    having: count() >= 1\n    groups_max: 16\n");
	for (uint32_t i = 0; i < 17; i++)
		feed(0x0a000000 + i, 1, 80, BEGIN);
	engine_flush(engine);
	cr_expect(eq(u32, count("a", ALERT_FIRING), 17));
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 1));
	for (uint32_t i = 0; i < seen.n; i++)
		if (seen.v[i].state == ALERT_RESOLVED)
			cr_expect(eq(u8, seen.v[i].end, ALERT_EVICTED));
}

Test(engine, keeps_no_group_that_is_long_gone)
{
	struct engine_rule_stats st;
	uint64_t bytes = 0;

	begin(HEAD
	      "    window: {size: 10s}\n    by: src.ip\n    having: distinct(dst.port) >= 5\n");
	for (uint32_t i = 0; i < 20000; i++) {
		feed(i, 1, 80, BEGIN + i * SECOND / 100);
		if (i == 5000) {
			engine_flush(engine);
			engine_rule_stats(engine, 0, &st);
			bytes = st.bytes;
		}
	}
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(st.groups < 2500, "%llu groups", (unsigned long long)st.groups);
	cr_expect(st.bytes < 2 * bytes);
	cr_expect(eq(u64, st.evicted, 0));
}

/* Groups move to other memory when there are more: their alerts go with them, each once. */
Test(engine, keeps_alerts_while_its_table_grows)
{
	struct engine_rule_stats st;

	begin(HEAD
	      "    window: {size: 60s, slide: 5s}\n    by: src.ip\n    having: count() >= 2\n    keep_firing_for: 30s\n");
	for (uint32_t i = 0; i < 3000; i++) {
		feed(0x0a000000 + i, 1, 80, BEGIN + i * SECOND / 1000);
		feed(0x0a000000 + i, 1, 80, BEGIN + i * SECOND / 1000);
	}
	engine_flush(engine);
	cr_assert(eq(u32, count("a", ALERT_FIRING), 3000));
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.groups, 3000));
	cr_expect(eq(u64, st.firing, 3000));
	cr_expect(eq(u64, st.evicted, 0));
	for (uint32_t i = 0; i < 3000; i++) /* each is found again */
		feed(0x0a000000 + i, 1, 80, BEGIN + 4 * SECOND);
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.groups, 3000));
	cr_assert(eq(u32, seen.n, 3000));
	seen.n = 0;
	engine_advance(engine, BEGIN + 200 * SECOND);
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 3000));
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.firing, 0));
}

/* What comes and goes at the bound: never more groups than allowed, none lost and none counted twice. */
Test(engine, stays_at_its_bound_whatever_comes)
{
	struct engine_rule_stats st;
	struct engine_stats es;
	uint32_t chance = 1;

	begin(HEAD
	      "    window: {size: 10s, slide: 1s}\n    by: [src.ip, dst.port]\n    having: count() >= 3 and distinct(dst.ip) >= 1\n"
	      "    keep_firing_for: 5s\n    groups_max: 90\n");
	for (uint32_t i = 0; i < 20000; i++) {
		seen.n = 0;
		chance = chance * 1664525 + 1013904223;
		feed(chance >> 24, chance >> 20 & 3, (uint16_t)(chance >> 16 & 1),
		     BEGIN + i * SECOND / 100 - (chance >> 12 & 7) * SECOND / 4);
		if (i % 512 == 0)
			engine_flush(engine);
		engine_rule_stats(engine, 0, &st);
		cr_assert(st.groups <= 90);
		cr_assert(st.firing <= st.groups);
	}
	engine_advance(engine, BEGIN + 1000 * SECOND);
	engine_rule_stats(engine, 0, &st);
	engine_stats(engine, &es);
	cr_expect(eq(u64, st.matched, 20000));
	cr_expect(eq(u64, st.firing, 0));
	cr_expect(eq(u64, es.lost, 0));
	cr_expect(st.fired > 100, "%llu alerts", (unsigned long long)st.fired);
	cr_expect(st.evicted > 1000, "%llu evicted", (unsigned long long)st.evicted);
}

/* An alert that holds no more rests; it ends on time, and not while flows make it true again. */
Test(engine, ends_an_alert_so_long_after_it_held_last)
{
	begin(HEAD
	      "    window: {size: 10s, slide: 1s}\n    by: src.ip\n    having: count() >= 2\n    keep_firing_for: 60s\n");
	feed(1, 1, 80, BEGIN);
	feed(1, 1, 80, BEGIN);
	feed(2, 1, 80, BEGIN + 1 * SECOND);
	feed(2, 1, 80, BEGIN + 1 * SECOND);
	feed(2, 1, 80, BEGIN + 30 * SECOND); /* one: holds no more */
	feed(1, 1, 80, BEGIN + 40 * SECOND);
	feed(1, 1, 80, BEGIN + 41 * SECOND); /* holds again, until 50 s */
	engine_flush(engine);
	cr_assert(eq(u32, count("a", ALERT_FIRING), 2));
	engine_advance(engine, BEGIN + 68 * SECOND);
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 0));
	engine_advance(engine, BEGIN + 300 * SECOND);
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 2));
	for (uint32_t i = 0; i < seen.n; i++) {
		if (seen.v[i].state != ALERT_RESOLVED)
			continue;
		/* both flows of 2 were in the window to 11 s, those of 1 to 50 s */
		if (seen.v[i].by[0].ip[15] == 2)
			cr_expect(eq(u64, seen.v[i].at_ns, BEGIN + 71 * SECOND));
		else
			cr_expect(eq(u64, seen.v[i].at_ns, BEGIN + 110 * SECOND));
	}
}

/* The clock jumps by a year: what is over ends, what comes then counts, what comes late does not. */
Test(engine, survives_a_jump_of_the_clock)
{
	const uint64_t later = BEGIN + 365 * 86400 * SECOND;
	struct engine_rule_stats st;

	begin(HEAD
	      "    window: {size: 10s, slide: 1s}\n    by: src.ip\n    having: count() >= 2\n    keep_firing_for: 60s\n");
	feed(1, 1, 80, BEGIN);
	feed(1, 1, 80, BEGIN);
	feed(1, 1, 80, later);
	feed(1, 1, 80, BEGIN + SECOND);
	engine_flush(engine);
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 1));
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.late, 1));
	feed(1, 1, 80, later - 9 * SECOND);
	engine_flush(engine);
	cr_expect(eq(u32, count("a", ALERT_FIRING), 2));
}

Test(engine, counts_what_is_too_late)
{
	struct engine_rule_stats st;

	begin(HEAD
	      "    window: {size: 60s, slide: 5s}\n    by: src.ip\n    having: count() >= 3\n");
	feed(1, 1, 80, BEGIN + 100 * SECOND);
	feed(1, 1, 80, BEGIN + 45 * SECOND); /* 55 s old: within the window */
	feed(1, 1, 80, BEGIN + 39 * SECOND); /* not */
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.late, 1));
	cr_expect(eq(u32, seen.n, 0));
	feed(1, 1, 80, BEGIN + 50 * SECOND);
	engine_flush(engine);
	cr_expect(eq(u32, count("a", ALERT_FIRING), 1));
}

Test(engine, knows_no_late_flow_where_there_is_no_window)
{
	struct engine_rule_stats st;

	begin(HEAD "    where: dst.port == 25\n    by: src.ip\n");
	feed(1, 1, 80, BEGIN + 100 * SECOND);
	feed(1, 1, 25, BEGIN + 40 * SECOND);
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.late, 0));
	cr_expect(eq(u32, count("a", ALERT_FIRING), 1));
}

/* A minute is a step of an hour's alert: what comes within one is one alert, which ends an hour after it. */
Test(engine, looks_each_minute_at_what_fires_on_for_an_hour)
{
	begin(HEAD "    where: dst.port == 25\n    by: src.ip\n    keep_firing_for: 1h\n");
	for (uint32_t i = 0; i < 10; i++)
		feed(1, 1, 25, BEGIN + (10 + 10 * i) * SECOND);
	engine_advance(engine, BEGIN + 3719 * SECOND);
	cr_assert(eq(u32, seen.n, 1), "one alert, which has not ended");
	cr_expect(eq(u64, seen.v[0].at_ns, BEGIN + 10 * SECOND));
	feed(1, 1, 25, BEGIN + 3720 * SECOND);
	engine_flush(engine);
	cr_assert(eq(u32, seen.n, 3), "it ends, and another begins");
	cr_expect(eq(u8, seen.v[1].state, ALERT_RESOLVED));
	cr_expect(eq(u64, seen.v[1].at_ns, BEGIN + 3720 * SECOND));
	cr_expect(eq(u8, seen.v[2].state, ALERT_FIRING));
	engine_advance(engine, BEGIN + 7380 * SECOND);
	cr_assert(eq(u32, count("a", ALERT_RESOLVED), 2));
}

/* A clumsy hash makes this take minutes: values that have much in common, and a small seed. */
Test(engine, finds_a_hundred_thousand_pairs_soon)
{
	struct engine_rule_stats st;

	begin(HEAD "    window: {size: 60s}\n    by: [src.ip, dst.ip]\n    having: count() >= 4\n"
		   "    groups_max: 200000\n");
	for (uint32_t round = 0; round < 3; round++)
		for (uint32_t i = 0; i < 100000; i++)
			feed(0x0a000000 + i % 1000, 0x0a010000 + i / 1000, 80, BEGIN);
	engine_flush(engine);
	engine_rule_stats(engine, 0, &st);
	cr_expect(eq(u64, st.groups, 100000));
	cr_expect(eq(u64, st.evicted, 0));
	cr_expect(eq(u32, seen.n, 0));
}

Test(engine, counts_distinct_exactly_up_to_the_threshold_and_nearly_beyond)
{
	struct rule_cost cost;
	double worst = 0;

	begin(HEAD
	      "    window: {size: 60s}\n    by: src.ip\n    having: distinct(dst.ip) >= 100\n    keep_firing_for: 1s\n");
	rule_cost(&set.v[0], &cost);
	cr_expect(eq(u32, cost.distinct_exact, 128));
	for (uint32_t src = 0; src < 40; src++) {
		for (uint32_t i = 0; i < 99; i++)
			feed(src, 1000 * src + i, 80, BEGIN);
		engine_flush(engine);
		cr_assert(eq(u32, seen.n, src));
		feed(src, 1000 * src + 98, 80, BEGIN); /* one of those before */
		engine_flush(engine);
		cr_assert(eq(u32, seen.n, src));
		feed(src, 1000 * src + 99, 80, BEGIN);
		engine_flush(engine);
		cr_assert(eq(u32, seen.n, src + 1));
		cr_assert(eq(dbl, seen.v[src].value, 100.0));
		for (uint32_t i = 0; i < 5000; i++)
			feed(src, 0x10000 * (src + 1) + i, 80, BEGIN);
	}
	/* what is said at the end is the estimate of about 5100 */
	seen.n = 0;
	engine_advance(engine, BEGIN + 200 * SECOND);
	cr_assert(eq(u32, seen.n, 40));
	for (uint32_t i = 0; i < seen.n; i++)
		worst = fabs(seen.v[i].value) > worst ? fabs(seen.v[i].value) : worst;
	cr_expect(eq(dbl, worst, 0.0)); /* the window is empty by then */
}

Test(engine, estimates_with_the_error_it_states)
{
	struct rule_cost cost;
	double square = 0;

	/* looked at when a step is over: the value is that of whole steps */
	begin(HEAD
	      "    window: {size: 60s}\n    by: src.ip\n    having: distinct(dst.ip) >= 100 and not count() < 10\n");
	rule_cost(&set.v[0], &cost);
	for (uint32_t src = 0; src < 200; src++)
		for (uint32_t i = 0; i < 3000; i++)
			feed(src, 0x10000 * (src + 1) + i, 80, BEGIN);
	engine_advance(engine, BEGIN + 6 * SECOND);
	cr_assert(eq(u32, seen.n, 200));
	for (uint32_t i = 0; i < seen.n; i++)
		square += pow(seen.v[i].value / 3000 - 1, 2);
	square = sqrt(square / 200);
	cr_expect(square < 1.25 * cost.distinct_error, "error %.3f, stated %.3f", square,
		  cost.distinct_error);
	cr_expect(square > 0.2 * cost.distinct_error, "error %.3f, stated %.3f", square,
		  cost.distinct_error);
}

/* Three rules with alerts, and "chain" of them. */
static void begin_joined(const char *correlate)
{
	char text[2048];

	snprintf(
		text, sizeof(text),
		HEAD
		"    where: dst.port == 1\n    by: dst.ip\n    keep_firing_for: 1s\n" NEXT
		"    where: dst.port == 2\n    by: [src.ip, dst.ip]\n    keep_firing_for: 1s\n" NEXT
		"    where: dst.port == 3\n    by: src.ip\n    keep_firing_for: 1s\n" NEXT
		"    correlate: {type: %s}\n",
		2, "b", 3, "c", 4, "chain", correlate);
	begin(text);
}

static void begin_chain(const char *type)
{
	char text[128];

	snprintf(text, sizeof(text), "%s, rules: [a, b, c], by: host, within: 1h", type);
	begin_joined(text);
}

Test(engine, joins_alerts_in_their_order)
{
	begin_chain("temporal_ordered");
	feed(7, 99, 1, BEGIN);
	feed(8, 99, 2, BEGIN + 600 * SECOND);
	feed(99, 5, 3, BEGIN + 1200 * SECOND); /* 99, now as a client */
	feed(50, 60, 3, BEGIN + 2000 * SECOND);
	feed(50, 60, 2, BEGIN + 2100 * SECOND);
	feed(50, 60, 1, BEGIN + 2200 * SECOND); /* the wrong way round */
	engine_flush(engine);
	cr_assert(eq(u32, count("chain", ALERT_FIRING), 1));
	engine_advance(engine, BEGIN + 3 * 3600 * SECOND);
	cr_expect(eq(u32, count("chain", ALERT_RESOLVED), 1));
	cr_expect(strstr(seen.json, "\"host\":\"0.0.0.99\"") != NULL, "%s", seen.json);
}

Test(engine, joins_nothing_that_took_too_long)
{
	begin_chain("temporal_ordered");
	feed(7, 99, 1, BEGIN);
	feed(8, 99, 2, BEGIN + 600 * SECOND);
	feed(99, 5, 3, BEGIN + 3601 * SECOND);
	engine_flush(engine);
	cr_expect(eq(u32, count("chain", ALERT_FIRING), 0));
}

Test(engine, joins_alerts_in_any_order)
{
	begin_chain("temporal");
	feed(99, 5, 3, BEGIN);
	feed(8, 99, 2, BEGIN + 600 * SECOND);
	feed(7, 99, 1, BEGIN + 1200 * SECOND);
	engine_flush(engine);
	cr_expect(eq(u32, count("chain", ALERT_FIRING), 1));
}

Test(engine, marks_what_is_exempt)
{
	begin(HEAD
	      "    where: dst.port == 1\n    by: src.ip\n    exempt: [10.1.0.0/16, \"@empty\"]\n");
	feed(0x0a010203, 1, 1, BEGIN);
	feed(0x0a020203, 1, 1, BEGIN);
	engine_flush(engine);
	cr_assert(eq(u32, seen.n, 2));
	cr_expect(seen.v[0].exempt);
	cr_expect(seen.v[1].exempt == false);
}

Test(engine, joins_alerts_that_share_a_field)
{
	begin_joined("temporal, rules: [a, b], by: dst.ip, within: 1h");
	feed(7, 99, 1, BEGIN);
	feed(8, 98, 2, BEGIN + SECOND);
	engine_flush(engine);
	cr_expect(eq(u32, count("chain", ALERT_FIRING), 0));
	feed(8, 99, 2, BEGIN + 2 * SECOND);
	engine_flush(engine);
	cr_assert(eq(u32, count("chain", ALERT_FIRING), 1));
	cr_expect(eq(u8, seen.v[seen.n - 1].by[0].ip[15], 99));
}

Test(engine, joins_for_groups_max_values_and_counts_what_goes)
{
	struct engine_rule_stats st;

	begin_joined("temporal, rules: [a, b], by: host, within: 1h}\n    groups_max: 16\n"
		     "    labels: {x: y");
	for (uint32_t i = 0; i < 20; i++) /* 17, and one after the other the oldest goes */
		feed(7, 100 + i, 1, BEGIN + i * SECOND);
	feed(7, 100, 2, BEGIN + 100 * SECOND);
	feed(7, 119, 2, BEGIN + 101 * SECOND);
	engine_flush(engine);
	engine_rule_stats(engine, 3, &st);
	cr_expect(st.evicted >= 4, "%llu", (unsigned long long)st.evicted);
	cr_expect(eq(u64, st.fired, count("chain", ALERT_FIRING)));
	for (uint32_t i = 0; i < seen.n; i++)
		cr_expect(strcmp(seen.v[i].rule->name, "chain") || seen.v[i].by[0].ip[15] != 100,
			  "what went was joined");
}

/* Two alerts keep a join going as long as keep_firing_for says, counted from the last that made it true. */
Test(engine, ends_a_join_so_long_after_it_was_complete_last)
{
	begin_joined("temporal, rules: [a, b], by: host, within: 1h}\n    keep_firing_for: 10m\n"
		     "    labels: {x: y");
	feed(7, 99, 1, BEGIN);
	feed(8, 99, 2, BEGIN + 60 * SECOND);
	engine_advance(engine, BEGIN + 120 * SECOND);
	feed(8, 99, 2, BEGIN + 300 * SECOND);
	engine_advance(engine, BEGIN + 899 * SECOND);
	cr_expect(eq(u32, count("chain", ALERT_RESOLVED), 0));
	engine_advance(engine, BEGIN + 901 * SECOND);
	cr_expect(eq(u32, count("chain", ALERT_FIRING), 1));
	cr_assert(eq(u32, count("chain", ALERT_RESOLVED), 1));
	cr_expect(eq(u64, seen.v[seen.n - 1].at_ns, BEGIN + 900 * SECOND));
}

Test(engine, evaluates_no_draft_unless_it_shall)
{
	struct engine_cfg cfg = {.rules = &set, .alert = on_alert, .seed = 1, .drafts = true};

	begin(HEAD "    where: dst.port == 1\n    mode: draft\n");
	feed(1, 1, 1, BEGIN);
	engine_flush(engine);
	cr_expect(eq(u32, seen.n, 0));
	engine_free(engine);
	cr_assert(eq(int, engine_new(&cfg, &engine), 0));
	feed(1, 1, 1, BEGIN);
	engine_flush(engine);
	cr_expect(eq(u32, seen.n, 1));
}

static void feed_both(struct block *b, const struct flow_record *r, bool blocks)
{
	if (blocks)
		cr_assert(eq(int, block_add_flow(b, r, 1), 0));
	else
		cr_assert(eq(int, engine_flow(engine, r), 0));
}

/* The same flows by one and as blocks. */
static uint32_t run_both(bool blocks, struct alert *ret)
{
	struct block_pool *pool = block_pool_new(1);
	struct block *b = block_dirty(block_get(pool));
	const struct flow_str host = {"x.example", 9}, hosts[] = {{"y.example", 9}};
	uint32_t n;

	begin(HEAD
	      "    where: bytes == 100 and (http.hosts suffix \"y.example\" or vlan == 7 or src.ip in 10.0.0.0/30 or tls.sni == \"x.example\")\n"
	      "    window: {size: 60s}\n    by: [src.ip, dst.port]\n    having: count() >= 3 and sum(packets) >= 3 and distinct(dst.ip) >= 2\n");
	for (uint32_t i = 0; i < 5000; i++) {
		struct flow_record r = flow(0x0a000000 + i % 97, i % 7, (uint16_t)(i % 3),
					    BEGIN + i * SECOND / 50);

		r.tls_sni = host;
		r.http_hosts = (struct flow_strs){hosts, 1};
		r.vlan[0] = 7;
		r.out.packets = r.packets;
		r.out.bytes = r.bytes = i % 11 ? 100 : 99;
		flow_set(&r, FF_OUT_PACKETS);
		flow_set(&r, FF_OUT_BYTES);
		if (i % 13 == 1)
			flow_set(&r, FF_TLS_SNI);
		if (i % 17 == 1)
			flow_set(&r, FF_HTTP_HOSTS);
		if (i % 19 == 1)
			flow_set(&r, FF_VLAN);
		feed_both(b, &r, blocks);
	}
	if (blocks)
		cr_assert(eq(int, engine_block(engine, b, 0), 0));
	engine_flush(engine);
	n = seen.n;
	memcpy(ret, seen.v, n * sizeof(*ret));
	seen.n = 0;
	block_put(pool, b);
	block_pool_free(pool);
	return n;
}

Test(engine, says_the_same_of_blocks)
{
	static struct alert one[SEEN], other[SEEN];
	const uint32_t n = run_both(false, one);

	end();
	set = (struct rule_set){};
	cr_assert(n > 20, "%u alerts", n);
	cr_assert(eq(u32, run_both(true, other), n));
	for (uint32_t i = 0; i < n; i++) {
		cr_expect(eq(u8, one[i].state, other[i].state));
		cr_expect(eq(u64, one[i].at_ns, other[i].at_ns));
		cr_expect(eq(int, memcmp(one[i].by[0].ip, other[i].by[0].ip, 16), 0));
	}
}

Test(engine, believes_no_flow_of_the_future)
{
	struct block_pool *pool = block_pool_new(1);
	struct block *b = block_get(pool);
	struct engine_stats st;
	struct flow_record r = flow(1, 1, 1, BEGIN + 86400 * SECOND);

	begin(HEAD "    where: dst.port == 1\n");
	block_add_flow(b, &r, 1);
	r.end_ns = BEGIN;
	block_add_flow(b, &r, 1);
	cr_assert(eq(int, engine_block(engine, b, BEGIN), 0));
	engine_stats(engine, &st);
	cr_expect(eq(u64, st.future, 1));
	cr_expect(eq(u64, engine_clock(engine), BEGIN));
	block_put(pool, b);
	block_pool_free(pool);
}
