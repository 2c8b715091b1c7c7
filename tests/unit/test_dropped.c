/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_dropped.c - the drain's part about policy against tables in memory: rows and slots as the programs
 * write them, scans at any time, and every packet told exactly once, by its rule where that is known.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "loader/dataplane.h"
#include "loader/dropped.h"
#include "loader/policy/titles.h"
#include "merge_rig.h"
#include "weir/counters.h"
#include "weir/policy_map.h"

#define CPUS  2
#define SLOTS 64u
#define RULES 8u

/* What the kernel would have. */
static struct drop_row rows[CPUS * DROP_ROWS];
static struct flow_dropped slots[SLOTS];
static struct counter_row counters[CPUS];
static struct policy_titles *titles;
static struct dataplane dp;
static struct dropped *d;
static struct rig g;

/* What was told: by rule, 0 is none; and of which it had a source. */
static uint64_t told_packets[RULES], told_bytes[RULES];
static unsigned int records, with_source;

static const char *rule_name(void *arg, uint32_t rule, uint32_t generation)
{
	static char name[2] = "0";

	(void)arg;
	(void)generation;
	name[0] = (char)('0' + rule);
	return name;
}

static void told(void *arg, const struct flow_record *r)
{
	const unsigned int rule = flow_has(r, FF_RULE) ? (unsigned int)(r->rule.s[0] - '0') : 0;

	(void)arg;
	cr_assert(lt(u32, rule, RULES));
	cr_expect(eq(u8, r->reason, FLOW_DROPPED));
	cr_expect(eq(u64, r->packets, r->dropped_packets));
	cr_expect(eq(u64, r->bytes, r->dropped_bytes));
	told_packets[rule] += r->packets;
	told_bytes[rule] += r->bytes;
	records++;
	with_source += flow_has(r, FF_SRC_IP);
}

static void begin(void)
{
	struct merge_cfg cfg = merge_cfg_default;

	memset(rows, 0, sizeof(rows));
	memset(slots, 0, sizeof(slots));
	memset(counters, 0, sizeof(counters));
	memset(told_packets, 0, sizeof(told_packets));
	memset(told_bytes, 0, sizeof(told_bytes));
	records = with_source = 0;
	titles = calloc(1, sizeof(*titles));
	dp = (struct dataplane){.cpus = CPUS,
				.slots = SLOTS,
				.dropped = slots,
				.drops = rows,
				.counters = counters,
				.titles = titles};
	cfg.emit = told;
	cfg.rule = rule_name;
	rig_init(&g, &cfg);
	cr_assert(zero(int, dropped_new(&dp, &d)));
	cr_assert(not(zero(ptr, d)));
}

static void end(void)
{
	dropped_free(d);
	rig_done(&g);
	free(titles);
}

TestSuite(dropped, .init = begin, .fini = end, .timeout = 120);

static void scan(void)
{
	rig_wait(&g, 10);
	dropped_rows(d, g.m, &g.clock);
}

/* ---- the kernel's side: as drop_new() in bpf/verdict_act.h ---- */

struct who {
	uint16_t rule;
	uint32_t generation;
	uint8_t last; /* of 192.0.2.x */
};

static void drop(int cpu, unsigned int place, struct who w, uint32_t packets, uint32_t bytes)
{
	struct drop_row *r = &rows[cpu * (int)DROP_ROWS + (int)place];
	const uint8_t src[16] = {[10] = 0xff, 0xff, 192, 0, 2, w.last};

	counters[cpu].v[CNT_DROPPED_PACKETS] += packets;
	counters[cpu].v[CNT_DROPPED_BYTES] += bytes;
	if (!r->packets || r->rule != w.rule || memcmp(r->src, src, sizeof(src)) != 0) {
		r->seq++;
		if (r->rule != w.rule || r->generation != w.generation)
			r->rule_seq = r->seq + 1;
		r->rule = w.rule;
		r->generation = w.generation;
		memcpy(r->src, src, sizeof(src));
		r->proto = 6;
		r->port = 80;
		r->hook = POLICY_DROP << 4;
		r->from_packets = (uint32_t)r->packets;
		r->from_bytes = (uint32_t)r->bytes;
		r->seq++;
	}
	r->bytes += bytes;
	r->packets += packets;
}

/* A listed host's: no row at all. */
static void drop_early(int cpu, uint32_t packets, uint32_t bytes)
{
	counters[cpu].v[CNT_DROPPED_PACKETS] += packets;
	counters[cpu].v[CNT_DROPPED_BYTES] += bytes;
}

#define A ((struct who){.rule = 1, .generation = 5, .last = 1})
#define B ((struct who){.rule = 1, .generation = 5, .last = 2})
#define C ((struct who){.rule = 2, .generation = 5, .last = 3})

static void expect_told(unsigned int rule, uint64_t packets, uint64_t bytes)
{
	cr_expect(eq(u64, told_packets[rule], packets), "rule %u", rule);
	cr_expect(eq(u64, told_bytes[rule], bytes), "rule %u", rule);
}

/* ---- before the cache ---- */

Test(dropped, a_row_is_told_once_and_then_what_is_new)
{
	drop(0, 3, A, 5, 500);
	drop(1, 3, A, 2, 90);
	scan();
	expect_told(1, 7, 590);
	cr_expect(eq(u32, records, 2));
	scan();
	cr_expect(eq(u32, records, 2), "nothing new");
	drop(0, 3, A, 1, 40);
	scan();
	expect_told(1, 8, 630);
	cr_expect(eq(u32, with_source, 3));
	expect_told(0, 0, 0);
}

Test(dropped, a_row_taken_over_loses_nothing_and_keeps_the_rule)
{
	drop(0, 9, A, 6, 600);
	scan();
	drop(0, 9, A, 4, 400);
	drop(0, 9, B, 3, 300);
	scan();
	expect_told(1, 13, 1300);
	cr_expect(eq(u32, records, 3), "A; B; and the rest of A without its source");
	cr_expect(eq(u32, with_source, 2));
	drop(0, 9, C, 2,
	     200); /* of another rule: what came of B is nobody's any more, had there been any */
	scan();
	expect_told(2, 2, 200);
	expect_told(0, 0, 0);
	drop(0, 9, C, 1, 100);
	drop(0, 9, A, 1, 100);
	scan();
	expect_told(1, 14, 1400);
	expect_told(2, 2, 200);
	expect_told(0, 1, 100);
}

Test(dropped, what_has_no_row_is_told_without_a_source)
{
	drop_early(0, 1000, 60000);
	drop(0, 1, A, 1, 60);
	scan();
	expect_told(0, 1000, 60000);
	expect_told(1, 1, 60);
	cr_expect(eq(u32, with_source, 1));
	scan();
	expect_told(0, 1000, 60000);
}

Test(dropped, a_row_at_work_waits_for_the_next_scan)
{
	drop(0, 1, A, 5, 500);
	rows[1].seq++;
	drop_early(0, 7, 700);
	scan();
	cr_expect(eq(u32, records, 0), "nor is it taken for what has no row");
	rows[1].seq--;
	scan();
	expect_told(1, 5, 500);
	expect_told(0, 7, 700);
}

Test(dropped, of_tables_of_an_earlier_weir_no_rule_is_named)
{
	dp.titles = NULL;
	drop(0, 1, A, 5, 500);
	scan();
	expect_told(0, 5, 500);
	expect_told(1, 0, 0);
}

Test(dropped, counters_that_come_round_are_read_on)
{
	rows[4] = (struct drop_row){.packets = UINT32_MAX - 2, .bytes = UINT64_MAX / 2};
	counters[0].v[CNT_DROPPED_PACKETS] = UINT32_MAX - 2;
	counters[0].v[CNT_DROPPED_BYTES] = UINT64_MAX / 2;
	drop(0, 4, A, 1, 100);
	scan();
	memset(told_packets, 0, sizeof(told_packets));
	memset(told_bytes, 0, sizeof(told_bytes));
	drop(0, 4, A, 5, 500);
	scan();
	expect_told(1, 5, 500);
	drop(0, 4, B, 4, 400);
	scan();
	expect_told(1, 9, 900);
	expect_told(0, 0, 0);
}

/* Whoever takes whose row, and whenever it is read: sums are exact, and no rule gets another's. */
Test(dropped, whatever_happens_every_packet_is_told_once)
{
	uint64_t sent_packets[RULES] = {}, sent_bytes[RULES] = {}, sent = 0, bytes = 0, all = 0,
		 all_bytes = 0;
	unsigned int seed = 4711;

	for (unsigned int i = 0; i < 200000; i++) {
		const uint32_t x = (uint32_t)rand_r(&seed), n = 1 + x % 3, len = 40 + x % 1400;
		const struct who w = {.rule = (uint16_t)(1 + x / 7 % (RULES - 1)),
				      .generation = 1 + i / 20000,
				      .last = (uint8_t)(x / 64 % 5)};

		if (x % 11 == 0)
			drop_early((int)(x / 16 % CPUS), n, n * len);
		else
			drop((int)(x / 16 % CPUS), x / 512 % 4, w, n, n * len);
		sent += n;
		bytes += n * len;
		if (x % 11) {
			sent_packets[w.rule] += n;
			sent_bytes[w.rule] += n * len;
		}
		if (rand_r(&seed) % 40 == 0)
			scan();
	}
	scan();
	for (unsigned int i = 0; i < RULES; i++) {
		all += told_packets[i];
		all_bytes += told_bytes[i];
		if (!i)
			continue;
		cr_expect(le(u64, told_packets[i], sent_packets[i]), "rule %u", i);
		cr_expect(le(u64, told_bytes[i], sent_bytes[i]), "rule %u", i);
		cr_expect(gt(u64, told_packets[i], 0), "rule %u", i);
	}
	cr_expect(eq(u64, all, sent));
	cr_expect(eq(u64, all_bytes, bytes));
}

/* ---- beside the cache's entries ---- */

static bool delta(uint32_t slot, uint32_t gen, struct merge_did *ret)
{
	const struct dropped_entry e = {.slot = slot, .gen = gen, .now = &slots[slot]};

	return dropped_delta(d, &e, NULL, ret);
}

Test(dropped, a_slot_gives_what_came_since)
{
	struct flow_hot hot = {.extra = EXTRA_DROPPED};
	struct flow_dropped copy;
	struct merge_did did;

	slots[5] = (struct flow_dropped){
		.packets = 3, .bytes = 300, .rule = {0, 2}, .generation = 9, .acts = POLICY_DROP};
	cr_assert(dropped_copy(d, &hot, 5, &copy));
	cr_expect(eq(u32, copy.packets, 3));
	hot.extra = 0;
	cr_expect(not(dropped_copy(d, &hot, 5, &copy)), "policy has had nothing to do with it");
	cr_assert(delta(5, 1, &did));
	cr_expect(eq(u32, did.packets, 3));
	cr_expect(eq(u64, did.bytes, 300));
	cr_expect(eq(u32, did.rule, 2));
	cr_expect(eq(u32, did.generation, 9));
	cr_expect(eq(u32, did.action, POLICY_DROP));
	cr_expect(not(did.shadow));
	cr_expect(not(delta(5, 1, &did)), "nothing new");
	slots[5].packets += 2;
	slots[5].bytes += 80;
	cr_assert(delta(5, 1, &did));
	cr_expect(eq(u32, did.packets, 2));
	cr_expect(eq(u64, did.bytes, 80));
}

Test(dropped, a_slot_of_another_flow_begins_at_nothing)
{
	struct merge_did did;
	struct dropped_mark was;

	slots[5] =
		(struct flow_dropped){.packets = 3, .bytes = 300, .rule = {1}, .acts = POLICY_DROP};
	cr_assert(delta(5, 1, &did));
	was = *dropped_mark(d, 5);
	dropped_begin(d, 5);
	slots[5] =
		(struct flow_dropped){.packets = 1, .bytes = 60, .rule = {3}, .acts = POLICY_DROP};
	cr_assert(delta(5, 2, &did));
	cr_expect(eq(u32, did.packets, 1));
	cr_expect(eq(u32, did.rule, 3));
	/* what was evicted of the tenant before, with its own mark */
	slots[6] =
		(struct flow_dropped){.packets = 4, .bytes = 400, .rule = {1}, .acts = POLICY_DROP};
	cr_assert(dropped_delta(d, &(struct dropped_entry){.slot = 5, .gen = 1, .now = &slots[6]},
				&was, &did));
	cr_expect(eq(u32, did.packets, 1));
	cr_expect(eq(u64, did.bytes, 100));
	cr_expect(not(delta(5, 2, &did)), "the slot's own mark is as it was");
}

Test(dropped, what_a_shadow_rule_would_have_done_is_told_as_that)
{
	struct merge_did did;

	slots[5] = (struct flow_dropped){
		.shadow = 4, .acts = POLICY_LIMIT << 4, .woulds = 255, .generation = 9};
	cr_assert(delta(5, 1, &did));
	cr_expect(did.shadow);
	cr_expect(eq(u32, did.rule, 4));
	cr_expect(eq(u32, did.action, POLICY_LIMIT));
	cr_expect(zero(u32, did.packets));
	cr_expect(not(delta(5, 1, &did)));
	slots[5].woulds++; /* comes round */
	cr_assert(delta(5, 1, &did));
	cr_expect(did.shadow);
}

Test(dropped, tables_without_verdicts_have_no_state)
{
	struct dropped *none = d;

	dp.drops = NULL;
	cr_expect(zero(u64, dropped_marks(&dp)));
	cr_assert(zero(int, dropped_new(&dp, &none)));
	cr_expect(zero(ptr, none));
	dp.drops = rows;
}
