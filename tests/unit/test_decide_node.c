// SPDX-License-Identifier: Apache-2.0
/*
 * test_decide_node.c - what nodes have decided by themselves, at the collector: written down once, taken back
 * where it is exempt or somebody says so, no burden on what is decided here.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>
#include <time.h>

#include "book_rig.h"
#include "collector/rules/node_rule.h"

#define ID "9b0e6b0e-6c1c-4f6e-9a54-0b5f8f2d8a2"
#define RULE(n, name, mode)                                                                     \
	"  - id: " ID n "\n    name: " name "\n    version: 1.0.0\n    mode: " mode "\n"        \
	"    where: proto == tcp and dst.port == 23 and state == established\n    by: src.ip\n" \
	"    evidence: {handshake: required}\n    exempt: [ 192.0.2.50 ]\n"                     \
	"    actions: [ { drop: { scope: src.ip, direction: ingress, ttl: 10m } } ]\n"

static const char agents_rules[] = "groups:\n- name: g\n  rules:\n" RULE("1", "act", "prevent")
	RULE("2", "some", "canary") RULE("3", "look", "detect");

static void begin(void)
{
	rig.rules = agents_rules;
	rig_begin();
}

TestSuite(decide_node, .init = begin, .fini = rig_end, .timeout = 120);

/* @node has stopped 192.0.2.@host by rule number @rule, at its second @at. */
static void tell(const char *node, const char *name, uint8_t host, int64_t at)
{
	struct node_decision d = {.node = node,
				  .rule = name,
				  .addr = {[10] = 0xff, 0xff, 192, 0, 2, host},
				  .to = {[10] = 0xff, 0xff, 10, 0, 0, 1},
				  .has_to = true,
				  .port = 23,
				  .made_us = at * 1000000,
				  .took_us = 120,
				  .ttl_us = INT64_C(600000000)};
	const struct rule *r = rules_find(ruleset_rules(rig.book->set), name);

	if (r)
		node_rule_id(r, 0, d.id);
	cr_assert(eq(int, book_node_decided(rig.book, &d), 0));
}

/* Exemptions of agents' rules in the policy. */
static uint32_t exempt_of(const char *file)
{
	static struct policy_header h;
	char path[128];
	FILE *f;

	snprintf(path, sizeof(path), "%s/policy/%s", rig.dir, file);
	f = fopen(path, "r");
	cr_assert(f != NULL);
	cr_assert(eq(sz, fread(&h, 1, sizeof(h), f), sizeof(h)));
	fclose(f);
	cr_expect(eq(u32, h.count[POLICY_AGENT_RULE], 2), "one that only detects is not sent");
	return h.count[POLICY_AGENT_EXEMPT];
}

Test(decide_node, rules_go_along_with_the_policy)
{
	rig_expect_policy("policy.bin", 0, 1);
	rig_expect_policy("canary.bin", 0, 2);
	exempt_of("policy.bin");
}

Test(decide_node, is_written_down_once)
{
	const int64_t generation = rig.book->publish.generation;

	tell("north", "act", 7, 1);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("active"), "enforce "));
	tell("north", "act", 7, 1);
	cr_expect(eq(u32, rig_number_of("all"), 1), "told twice");
	tell("south", "act", 7, 1);
	cr_expect(eq(u32, rig_number_of("all"), 2), "another node");
	cr_expect(eq(i64, rig.book->publish.generation, generation), "nodes need no policy for it");
	rig_expect_policy("policy.bin", 0, 1);
	rig_expire();
	cr_expect(eq(u32, rig_number_of("expired"), 2));
	cr_expect(eq(i64, rig.book->publish.generation, generation));
}

Test(decide_node, is_no_burden_on_what_is_decided_here)
{
	for (uint8_t i = 1; i <= 30; i++) /* the rate is 5, and 20 may be in force */
		tell("north", "act", i, i);
	cr_expect(eq(u32, rig_number_of("active"), 30));
	rig_fire("act", 90, true);
	cr_expect(eq(u32, rig_number_of("active"), 31));
	rig_fire("act", 1, true);
	cr_expect(eq(u32, rig_number_of("active"), 32), "for all nodes, beside the one of north");
	rig_expect_policy("policy.bin", 2, 2);
	cr_expect(not(decide_breaker(rig.book)));
}

Test(decide_node, who_is_exempt_is_let_go_at_once)
{
	const uint32_t before = exempt_of("policy.bin");

	tell("north", "act", 50, 1);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce exempt"));
	tell("north", "act", 200, 2);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce never_block"));
	tell("north", "act", 100, 3);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce agent"));
	cr_expect(eq(u32, rig_number_of("active"), 0));
	cr_expect(eq(u32, exempt_of("policy.bin"), before + 3));
}

Test(decide_node, somebody_takes_it_back)
{
	const uint32_t before = exempt_of("policy.bin");
	const int64_t generation = rig.book->publish.generation;

	tell("north", "act", 7, 1);
	json_decref(rig_ask("decisions", "withdraw", "id", "1"));
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce operator"));
	cr_expect(gt(i64, rig.book->publish.generation, generation), "nodes hear of it");
	cr_expect(eq(u32, exempt_of("policy.bin"), before + 1));
	cr_expect(eq(u32, exempt_of("canary.bin"), before + 1));
}

Test(decide_node, by_a_rule_that_is_not_here_any_more)
{
	tell("north", "gone", 7, 1);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce rule"));
	tell("north", "look", 8, 2);
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce mode"));
}

Test(decide_node, ends_with_its_rule)
{
	tell("north", "act", 7, 1);
	rig_at_work(rig_load("[rule act]\nmode = detect\n"));
	cr_expect(eq(str, (char *)(uintptr_t)rig_latest("withdrawn"), "enforce mode"));
	rig_expect_policy("policy.bin", 0, 0);
}
