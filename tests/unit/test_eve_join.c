// SPDX-License-Identifier: Apache-2.0
/*
 * test_eve_join.c - alerts of an IDS and flows: joined in both orders, each once; what becomes of those that have no
 * flow; bounds; and what rules make of records that have an alert.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "collector/eve/eve_join.h"
#include "collector/rules/engine.h"
#include "eve_rig.h"
#include "rules_rig.h"

#define WINDOW_MS 60000u

static struct eve_join *j;
static struct block_pool *pool;

static void begin_with(uint32_t waiting, uint64_t history)
{
	const struct eve_join_cfg cfg = {.window_ms = WINDOW_MS,
					 .skew_us = 2000000,
					 .waiting = waiting,
					 .history = history,
					 .sources = 1};

	j = eve_join_new(&cfg);
	pool = block_pool_new(4);
	cr_assert(j && pool);
}

static void begin(void)
{
	begin_with(100, 8 << 20);
}

static void done(void)
{
	eve_join_free(j);
	block_pool_free(pool);
}

TestSuite(eve_join, .timeout = 600, .fini = done);

static uint64_t counted(enum eve_count c)
{
	return eve_join_count(j, 0, c);
}

static uint32_t waiting(void)
{
	struct eve_join_stats st;

	eve_join_stats(j, 0, &st);
	return st.waiting;
}

static const int web[2] = {1024, 80};
static const int at_once[2] = {0, 1000};

static struct eve_rig_line alert(uint32_t sid, int ms)
{
	return (struct eve_rig_line){.ms = ms,
				     .src = "192.0.2.1",
				     .dst = "10.0.0.1",
				     .src_port = web[0],
				     .dst_port = web[1],
				     .sid = sid,
				     .severity = 2};
}

/* A flow that the alerts are of, and two others, in a block. */
static struct block *flows(uint64_t now_ms)
{
	static const int other[2] = {1025, 80};
	struct block *b = block_get(pool);

	eve_rig_flow(b, "192.0.2.2", "10.0.0.1", web, at_once);
	eve_rig_flow(b, "192.0.2.1", "10.0.0.1", web, at_once);
	eve_rig_flow(b, "192.0.2.1", "10.0.0.1", other, at_once);
	eve_join_block(j, b, now_ms);
	return b;
}

/* sids of a block's rows, "0,5,0," */
static const char *sids(const struct block *b)
{
	static char text[128];
	size_t len = 0;

	text[0] = 0;
	for (uint32_t i = 0; i < b->rows; i++)
		len += (size_t)snprintf(text + len, sizeof(text) - len, "%u,",
					block_is_used(b, BC_IDS_SID) &&
							block_is_valid(b, BC_IDS_SID, i)
						? BLOCK_COLUMN(b, uint32_t, BC_IDS_SID)[i]
						: 0);
	return text;
}

static struct block *late(void)
{
	struct block *b = block_get(pool);

	eve_join_late(j, b);
	return b;
}

static const char *text_of(const struct block *b, enum block_column c, uint32_t row)
{
	const struct block_str s = BLOCK_COLUMN(b, struct block_str, c)[row];
	static char text[64];

	snprintf(text, sizeof(text), "%.*s", (int)s.len, b->text + s.at);
	return text;
}

Test(eve_join, an_alert_that_came_first_is_in_the_flow_s_record)
{
	const struct eve_rig_line l = alert(5, 500);
	struct block *b;

	begin();
	cr_assert(eve_rig_alert(j, &l, 1));
	b = flows(2);
	cr_expect(eq(str, (char *)sids(b), "0,5,0,"));
	cr_expect(eq(u64, (uint64_t)BLOCK_COLUMN(b, int64_t, BC_IDS_TIME)[1], EVE_RIG_T0 + 500000));
	cr_expect(eq(u8, BLOCK_COLUMN(b, uint8_t, BC_IDS_SEVERITY)[1], 2));
	cr_expect(eq(str, (char *)text_of(b, BC_IDS_SIGNATURE, 1), "TEST number 5"));
	cr_expect(eq(str, (char *)text_of(b, BC_IDS_ACTION, 1), "allowed"));
	cr_expect(eq(u64, BLOCK_COLUMN(b, uint64_t, BC_OUT_PACKETS)[1], 7));
	cr_expect(eq(u64, counted(EC_JOINED), 1));
	cr_expect(zero(u64, counted(EC_LATE)));
	cr_expect(zero(u32, waiting()));
	block_put(pool, b);
	b = late(); /* and in no other */
	cr_expect(zero(u32, b->rows));
	block_put(pool, b);
}

Test(eve_join, one_that_came_late_makes_a_further_record_without_packets)
{
	const struct eve_rig_line l = alert(6, 900);
	struct block *b;

	begin();
	b = flows(1);
	cr_expect(eq(str, (char *)sids(b), "0,0,0,"));
	block_put(pool, b);
	cr_assert(eve_rig_alert(j, &l, 2));
	cr_expect(eve_join_is_fresh(j));
	b = late();
	cr_expect(eq(str, (char *)sids(b), "6,"));
	cr_expect(eq(u64, (uint64_t)BLOCK_COLUMN(b, int64_t, BC_END)[0], EVE_RIG_T0 + 900000));
	cr_expect(eq(u8, BLOCK_COLUMN(b, uint8_t, BC_REASON)[0], FLOW_IDS));
	cr_expect(zero(u64, BLOCK_COLUMN(b, uint64_t, BC_OUT_PACKETS)[0]));
	cr_expect(zero(u64, BLOCK_COLUMN(b, uint64_t, BC_OUT_BYTES)[0]));
	cr_expect(eq(u16, BLOCK_COLUMN(b, uint16_t, BC_SRC_PORT)[0], 1024));
	cr_expect(eq(u8, BLOCK_COLUMN(b, uint8_t, BC_STATE)[0], FLOW_CLOSED));
	cr_expect(eq(u32, BLOCK_COLUMN(b, uint32_t, BC_EXPORTER)[0], 1));
	cr_expect(eq(str, (char *)text_of(b, BC_TLS_SNI, 0), "www.example"));
	block_put(pool, b);
	cr_expect(not(eve_join_is_fresh(j)));
	cr_expect(eq(u64, counted(EC_JOINED), 1));
	cr_expect(eq(u64, counted(EC_LATE), 1));
	b = flows(3); /* the next record of the flow has none */
	cr_expect(eq(str, (char *)sids(b), "0,0,0,"));
	block_put(pool, b);
}

Test(eve_join, each_of_several_alerts_has_a_record_the_most_severe_the_flow_s_own)
{
	struct eve_rig_line l[3] = {alert(1, 100), alert(2, 200), alert(3, 300)};
	struct block *b;

	begin();
	l[1].severity = 1;
	for (unsigned int i = 0; i < 3; i++)
		cr_assert(eve_rig_alert(j, &l[i], 1));
	b = flows(2);
	cr_expect(eq(str, (char *)sids(b), "0,2,0,"));
	block_put(pool, b);
	b = late();
	cr_expect(eq(u32, b->rows, 2));
	cr_expect(eq(u32,
		     BLOCK_COLUMN(b, uint32_t, BC_IDS_SID)[0] +
			     BLOCK_COLUMN(b, uint32_t, BC_IDS_SID)[1],
		     4));
	block_put(pool, b);
	cr_expect(eq(u64, counted(EC_JOINED), 3));
	cr_expect(zero(u32, waiting()));
}

Test(eve_join, an_alert_of_the_other_direction_is_the_flow_s_too)
{
	struct eve_rig_line l = alert(7, 500);
	struct block *b;

	begin();
	l = (struct eve_rig_line){.ms = 500,
				  .src = "10.0.0.1",
				  .dst = "192.0.2.1",
				  .src_port = 80,
				  .dst_port = 1024,
				  .sid = 7,
				  .severity = 3};
	cr_assert(eve_rig_alert(j, &l, 1));
	b = flows(2);
	cr_expect(eq(str, (char *)sids(b), "0,7,0,"));
	block_put(pool, b);
}

Test(eve_join, times_say_which_of_two_flows_with_the_same_ports_it_is_of)
{
	const struct eve_rig_line l = alert(8, 30000);
	static const int later[2] = {29000, 33000};
	struct block *b;

	begin();
	cr_assert(eve_rig_alert(j, &l, 1));
	b = flows(2); /* ended half a minute before it */
	eve_rig_flow(b, "192.0.2.1", "10.0.0.1", web, later);
	cr_expect(eq(str, (char *)sids(b), "0,0,0,0,"));
	eve_join_block(j, b, 3);
	cr_expect(eq(str, (char *)sids(b), "0,0,0,8,"));
	block_put(pool, b);
}

Test(eve_join, clocks_may_differ_by_as_much_as_is_said)
{
	const struct eve_rig_line near = alert(9, 2900), far = alert(10, 3100);
	struct block *b;

	begin();
	cr_assert(eve_rig_alert(j, &near, 1));
	cr_assert(eve_rig_alert(j, &far, 1));
	b = flows(2);
	cr_expect(eq(str, (char *)sids(b), "0,9,0,"));
	cr_expect(eq(u32, waiting(), 1));
	block_put(pool, b);
}

Test(eve_join, what_has_no_flow_is_given_up_and_counted)
{
	const struct eve_rig_line l = alert(11, 500);
	struct block *b;

	begin();
	cr_assert(eve_rig_alert(j, &l, 1000));
	eve_join_expire(j, 1000 + WINDOW_MS);
	cr_expect(eq(u32, waiting(), 1));
	eve_join_expire(j, 1001 + WINDOW_MS);
	cr_expect(zero(u32, waiting()));
	cr_expect(eq(u64, counted(EC_UNMATCHED), 1));
	b = flows(2000 + WINDOW_MS);
	cr_expect(eq(str, (char *)sids(b), "0,0,0,"));
	block_put(pool, b);
	/* nor is a record kept for longer */
	eve_join_expire(j, 2001 + 2 * WINDOW_MS);
	cr_assert(eve_rig_alert(j, &l, 2001 + 2 * WINDOW_MS));
	b = late();
	cr_expect(zero(u32, b->rows));
	block_put(pool, b);
}

Test(eve_join, no_more_wait_than_may)
{
	struct block *b;

	begin_with(16, 8 << 20);
	for (uint32_t i = 0; i < 20; i++) {
		const struct eve_rig_line l = alert(100 + i, 500 + (int)i);

		cr_assert(eve_rig_alert(j, &l, 1));
	}
	cr_expect(eq(u32, waiting(), 16));
	cr_expect(eq(u64, counted(EC_FULL), 4));
	b = flows(2);
	cr_expect(eq(str, (char *)sids(b), "0,104,0,"));
	block_put(pool, b);
}

Test(eve_join, records_are_kept_within_their_memory)
{
	struct eve_join_stats st;
	uint64_t one;
	struct block *b;

	begin();
	block_put(pool, flows(1));
	eve_join_stats(j, 1, &st);
	one = st.bytes;
	done();
	begin_with(100, 2 * one);
	for (unsigned int i = 0; i < 5; i++)
		block_put(pool, flows(10 + i));
	eve_join_stats(j, 14, &st);
	cr_expect(eq(u64, st.bytes, 2 * one));
	cr_expect(eq(u64, st.rows, 6));
	cr_expect(eq(u64, st.span_ms, 1));
	/* none at all: what came first is not found, and nothing else happens */
	done();
	begin_with(100, 0);
	block_put(pool, flows(1));
	eve_join_stats(j, 1, &st);
	cr_expect(zero(u64, st.rows));
	b = late();
	cr_expect(zero(u32, b->rows));
	block_put(pool, b);
}

Test(eve_join, what_a_stored_record_has_already_is_not_joined_again)
{
	const struct eve_rig_line l = alert(12, 500), next = alert(12, 501);
	struct flow_record r;
	uint64_t *seen;
	struct block *b;

	begin();
	b = flows(1);
	cr_assert(block_get_tuple(b, 1, &r));
	block_put(pool, b);
	done();
	begin();
	seen = malloc(2 * sizeof(*seen));
	seen[0] = 1;
	seen[1] = eve_join_hash(&r, 12, EVE_RIG_T0 + 500000);
	eve_join_seen(j, seen, 2);
	cr_assert(eve_rig_alert(j, &l, 1));
	cr_expect(zero(u32, waiting()));
	cr_expect(eq(u64, counted(EC_REPEATED), 1));
	cr_assert(eve_rig_alert(j, &next, 1));
	cr_expect(eq(u32, waiting(), 1));
}

/* ---- rules ---- */

#define RULES                                                                                                              \
	"groups:\n- name: a\n  rules:\n"                                                                                   \
	"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a01\n    name: every\n    version: 1.0.0\n"                              \
	"    where: proto == tcp\n    window: { size: 60s, slide: 5s }\n    by: [dst.ip]\n    having: count() >= 1\n"      \
	"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a02\n    name: signed\n    version: 1.0.0\n"                             \
	"    where: ids.sid == 5 and ids.severity <= 2 and ids.signature prefix \"TEST\" and tls.sni suffix \"example\"\n" \
	"    window: { size: 60s, slide: 5s }\n    by: [src.ip]\n    having: count() >= 1\n"                               \
	"  - id: 9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a03\n    name: unsigned\n    version: 1.0.0\n"                           \
	"    where: proto == tcp and not exists(ids.sid)\n    window: { size: 60s, slide: 5s }\n    by: [dst.ip]\n"        \
	"    having: count() >= 1\n"

static void on_alert(void *arg, const struct alert *al)
{
	(void)arg;
	(void)al;
}

static uint64_t matched(const struct engine *e, uint32_t rule)
{
	struct engine_rule_stats st;

	engine_rule_stats(e, rule, &st);
	return st.matched;
}

Test(eve_join, rules_see_the_signature_and_count_a_flow_once)
{
	const struct eve_rig_line l = alert(5, 900);
	struct rule_set set = {};
	struct engine_cfg cfg = {.rules = &set, .alert = on_alert};
	struct engine *e;
	struct block *b;

	begin();
	rules_rig_read(RULES, &set);
	cr_assert(zero(int, engine_new(&cfg, &e)));
	b = flows(1);
	cr_assert(zero(int, engine_block(e, b, 0)));
	block_put(pool, b);
	cr_expect(eq(u64, matched(e, 0), 3));
	cr_expect(eq(u64, matched(e, 1), 0));
	cr_expect(eq(u64, matched(e, 2), 3));
	cr_assert(eve_rig_alert(j, &l, 2));
	b = late();
	cr_assert(zero(int, engine_block(e, b, 0)));
	block_put(pool, b);
	cr_expect(eq(u64, matched(e, 0), 3),
		  "a rule that does not ask for it has counted the flow before");
	cr_expect(eq(u64, matched(e, 1), 1));
	cr_expect(eq(u64, matched(e, 2), 3));
	engine_free(e);
	rules_done(&set);
}
