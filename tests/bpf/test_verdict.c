// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict.c - verdicts on packets, one rule at a time: what is dropped, what is not, and what is
 * counted of it.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

TestSuite(verdict, .timeout = 600);

static struct verdict_rig r;

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 9, 2)

static struct packet tcp4(__u32 src, __u32 dst, __u16 sport, __u16 dport, __u8 flags)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, src, dst);
	pk_tcp(&p, sport, dport, flags);
	pk_end(&p);
	return p;
}

static struct packet tcp6(__u16 src, __u16 dst, __u16 sport, __u16 dport, __u8 flags)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip6(&p, src, dst);
	pk_tcp(&p, sport, dport, flags);
	pk_end(&p);
	return p;
}

static int xdp(struct packet p)
{
	return vr_send(&r, VR_XDP, &p);
}

static void open_replay(void)
{
	vr_open(&r, false);
}

static void close_rig(void)
{
	vr_close(&r);
}

Test(verdict, a_listed_source_is_dropped_and_takes_no_room, .init = open_replay, .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 1));
	cr_expect(eq(int, xdp(tcp4(A + 1, B, 1000, 80, 2)), 0), "its neighbour");
	cr_expect(eq(int, xdp(tcp4(B, A, 80, 2000, 2)), 0), "as destination");
	cr_expect(eq(u64, vr_count(&r, CNT_INSERTS), 2));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 1));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_BYTES), 40));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 1));
	cr_expect(eq(u64, vr_counters(&r, 1).flows, 1));
}

Test(verdict, prefixes_of_both_families, .init = open_replay, .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.9.0", 24, ROLE_DST);
	vr_addr(&r, "172.16.0.0", 12, ROLE_SRC);
	vr_addr(&r, "2001:db8::5", 128, ROLE_SRC);
	vr_addr(&r, "2001:db8::9:0", 112, ROLE_DST);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 1));
	cr_expect(eq(int, xdp(tcp4(A, IP4(10, 0, 10, 2), 1000, 80, 2)), 0));
	cr_expect(eq(int, xdp(tcp4(IP4(172, 31, 255, 255), A, 1000, 80, 2)), 1));
	cr_expect(eq(int, xdp(tcp4(IP4(172, 32, 0, 0), A, 1000, 80, 2)), 0));
	cr_expect(eq(int, xdp(tcp6(5, 6, 1000, 80, 2)), 1));
	cr_expect(eq(int, xdp(tcp6(6, 5, 1000, 80, 2)), 0));
}

Test(verdict, an_established_flow_is_stopped_and_let_go_again, .init = open_replay,
     .fini = close_rig)
{
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, i ? 16 : 2)), 0));
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR)->expires = r.ns / 1000000000 + 10;
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 1));
	cr_expect(eq(int, xdp(tcp4(B, A, 80, 1000, 16)), 0), "the other direction goes on");
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_IN_FLOWS), 3));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 3));
	cr_expect(eq(u64, vr_counters(&r, 1).flows, 0), "it was there before the policy");
	vr_wait(&r, 12);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 0), "expired, though nobody cleaned up");
}

Test(verdict, never_block_beats_all, .init = open_replay, .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_NONE);
	vr_rule(&r, POLICY_NEVER, RULE_BY_ADDR)->expires = 0;
	vr_addr(&r, "10.0.9.2", 32, ROLE_EITHER);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(tcp4(A, A + 1, 1000, 80, 2)), 1));
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 0));
	cr_expect(eq(int, xdp(tcp4(B, A, 80, 1000, 18)), 0));
}

Test(verdict, an_exemption_beats_every_rule_for_established_flows_too, .init = open_replay,
     .fini = close_rig)
{
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, i ? 16 : 2)), 0));
	vr_rule(&r, POLICY_DROP, RULE_BY_NONE);
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_EITHER);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 1), "dropped, and so kept in the flow");
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 1));
	vr_rule(&r, POLICY_NEVER, RULE_BY_ADDR)->expires = 0;
	vr_addr(&r, "10.0.9.2", 32, ROLE_EITHER);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 0), "with the next packet");
	cr_expect(eq(int, xdp(tcp4(B, A, 80, 1000, 16)), 0), "both ways");
	cr_expect(eq(int, xdp(tcp4(A, A + 1, 1000, 80, 16)), 1), "nobody else");
}

Test(verdict, without_lease_everything_passes, .init = open_replay, .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_NONE);
	cr_assert(eq(int, vr_apply(&r), 0));
	policy_table_lease(r.table, 5);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 1));
	vr_wait(&r, 8);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 0));
	policy_table_lease(r.table, 5);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 1));
	policy_table_stop(r.table, true);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 0));
	policy_table_stop(r.table, false);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 2)), 1));
}

/* The only entry there is. */
static const struct flow_hot *only_flow(void)
{
	for (size_t i = 0; i < r.dp.slots; i++)
		if (r.dp.flows[i / WEIR_WAYS].way[i % WEIR_WAYS].tag)
			return &r.dp.flows[i / WEIR_WAYS].way[i % WEIR_WAYS];
	cr_fatal("no entry");
}

/* Packets of a known flow; how many of them went beyond its hot line. */
static uint32_t beyond_the_line(void)
{
	struct packet p = {};
	uint32_t changes, packets;

	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_udp(&p, 1000, 9);
	pk_end(&p);
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, xdp(p), 0));
	changes = only_flow()->cold_changes;
	packets = only_flow()->packets[0] + only_flow()->packets[1];
	for (int i = 0; i < 5; i++)
		cr_expect(eq(int, xdp(p), 0));
	cr_expect(eq(u32, only_flow()->packets[0] + only_flow()->packets[1], packets + 5));
	return only_flow()->cold_changes - changes;
}

/* As a node begins: tables that are published, but nothing that was ever put in force. */
Test(verdict, known_flows_cost_nothing_more_whatever_is_in_force, .init = open_replay,
     .fini = close_rig)
{
	policy_table_lease(r.table, 0);
	policy_table_sweep(r.table);
	cr_expect(eq(u32, beyond_the_line(), 0), "no policy");
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.99", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(u32, beyond_the_line(), 0), "a policy whose lease is over");
	policy_table_lease(r.table, 1000);
	cr_expect(eq(u32, beyond_the_line(), 0), "a policy that holds");
	policy_table_stop(r.table, true);
	cr_expect(eq(u32, beyond_the_line(), 0), "a policy that was stopped");
}

/* What once a second takes back: an exemption that has ended, and the flows that it let pass. */
Test(verdict, an_exemption_that_has_ended_is_taken_back, .init = open_replay, .fini = close_rig)
{
	struct policy_usage u;

	vr_rule(&r, POLICY_PASS, RULE_BY_ADDR)->expires = r.ns / 1000000000 + 10;
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_addr(&r, "2001:db8::5", 128, ROLE_SRC);
	vr_rule(&r, POLICY_DROP, RULE_BY_NONE);
	cr_assert(eq(int, vr_apply(&r), 0));
	policy_table_usage(r.table, &u);
	cr_expect(eq(u32, u.rules, 2));
	cr_expect(eq(u32, u.decisions, 2));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, i ? 16 : 2)), 0), "exempt");
	cr_expect(eq(int, xdp(tcp4(A + 1, B, 1000, 80, 2)), 1));
	vr_wait(&r, 12);
	policy_table_reclaim(r.table);
	cr_expect(eq(int, xdp(tcp4(A, B, 1000, 80, 16)), 1), "the flow that it let pass, too");
	policy_table_usage(r.table, &u);
	cr_expect(eq(u32, u.rules, 1));
	cr_expect(eq(u32, u.decisions, 0));
	policy_table_reclaim(r.table);
	policy_table_usage(r.table, &u);
	cr_expect(eq(u32, u.dead, 0), "its place is free again");
	cr_expect(eq(u32, policy_table_reclaim(r.table), 0));
}

static void open_live(void)
{
	vr_open(&r, true);
}

Test(verdict, every_hook_drops_in_its_direction, .init = open_live, .fini = close_rig)
{
	struct packet p = tcp4(A, B, 1000, 80, 2), q = tcp4(B, A, 80, 1000, 2);
	struct policy_rule *rule = vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);

	rule->direction = DIR_EGRESS;
	vr_addr(&r, "10.0.9.2", 32, ROLE_DST);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	cr_expect(eq(int, vr_send(&r, VR_TC_IN, &p), 0));
	cr_expect(eq(int, vr_send(&r, VR_TC_OUT, &p), 1), "the same flow, the other way");
	cr_expect(eq(int, vr_send(&r, VR_TC_OUT, &q), 0));
	rule->direction = DIR_INGRESS;
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 1));
	cr_expect(eq(int, vr_send(&r, VR_TC_IN, &p), 1));
	cr_expect(eq(int, vr_send(&r, VR_TC_OUT, &p), 0));
}
