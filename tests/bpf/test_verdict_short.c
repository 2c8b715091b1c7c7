// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict_short.c - packets that are dropped for their addresses alone, before anything is made of
 * them: what is counted of them, what their rows say, and all that keeps them from going that way.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include <sys/mman.h>
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define A	 IP4(10, 0, 0, 1)
#define B	 IP4(10, 0, 9, 2)
#define SYN	 2
#define ACK	 16
#define LOOPBACK 1u /* the interface of a test run */

static struct verdict_rig r;

static void open_replay(void)
{
	vr_open(&r, false);
}

/* A capture has no direction: this takes the kernel's own clock and hooks. */
static void open_live(void)
{
	vr_open(&r, true);
}

static void close_rig(void)
{
	vr_close(&r);
}

TestSuite(verdict_short, .timeout = 600, .init = open_replay, .fini = close_rig);

static struct packet tcp4(__u32 src, __u32 dst, __u16 dport, __u8 flags)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, src, dst);
	pk_tcp(&p, 1000, dport, flags);
	pk_end(&p);
	return p;
}

static struct packet udp4(__u32 src, __u32 dst, __u16 sport, __u16 dport)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, src, dst);
	pk_udp(&p, sport, dport);
	pk_end(&p);
	return p;
}

static struct packet udp6(__u16 src, __u16 dst, __u16 dport)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip6(&p, src, dst);
	pk_udp(&p, 1000, dport);
	pk_end(&p);
	return p;
}

static int xdp(struct packet p)
{
	return vr_send(&r, VR_XDP, &p);
}

/* The n-th entry of the policy as the kernel has it. */
static struct policy_decision decision(uint32_t n)
{
	const struct policy_addr *a = &r.addrs[n];
	struct policy_set one = {.addrs = a, .addrs_n = 1};
	uint32_t rule = policy_table_rule(r.table, 0, r.rules[a->rule - 1].id);
	const struct policy_decision *d = policy_table_decision(r.table, rule, &one);

	cr_assert(d != NULL);
	return *d;
}

/* ---- what is counted ---- */

Test(verdict_short, a_host_is_counted_by_its_rule_and_by_itself)
{
	struct packet syn = tcp4(A, B, 80, SYN), ack = tcp4(A, B, 81, ACK);
	struct policy_counters c;
	struct policy_decision d;

	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_addr(&r, "10.0.1.1", 32, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	for (int i = 0; i < 3; i++)
		cr_expect(eq(int, xdp(ack), 1));
	for (int i = 0; i < 2; i++)
		cr_expect(eq(int, xdp(syn), 1));
	c = vr_counters(&r, 1);
	cr_expect(eq(u64, c.packets, 5));
	cr_expect(eq(u64, c.bytes, 200));
	cr_expect(eq(u64, c.flows, 2));
	cr_expect(eq(u32, c.last, (uint32_t)(r.ns >> POLICY_REPLAY_SHIFT)));
	d = decision(0);
	cr_expect(eq(u64, d.packets, 5));
	cr_expect(eq(u64, d.bytes, 200));
	cr_expect(eq(u32, d.flows, 2));
	cr_expect(eq(u32, d.last, (uint32_t)(r.ns >> POLICY_REPLAY_SHIFT)));
	d = decision(1);
	cr_expect(zero(u64, d.packets), "its neighbour on the list");
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 5));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_BYTES), 200));
	cr_expect(zero(u64, vr_count(&r, CNT_INSERTS)));
}

/* What the network will carry is counted, not the one buffer that the stack hands down. */
Test(verdict_short, segments_of_a_gso_packet_are_packets, .init = open_live)
{
	struct packet host = {}, net = {};
	struct policy_decision d;

	for (int i = 0; i < 2; i++) {
		struct packet *p = i ? &net : &host;

		pk_eth(p);
		pk_ip4(p, A + 256 * i, B);
		pk_tcp(p, 1000, 80, ACK);
		pk_payload(p, 500);
		pk_end(p);
	}
	r.gso = 200;
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, vr_send(&r, VR_TC_IN, &host), 1));
	d = decision(0);
	cr_expect(eq(u64, d.packets, 3));
	cr_expect(eq(u64, d.bytes, 500 + 3 * 40));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 3));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 3));
	cr_expect(eq(int, vr_send(&r, VR_TC_IN, &net), 1), "of a listed prefix");
	cr_expect(eq(u64, decision(1).packets, 3));
	cr_expect(eq(u64, decision(1).bytes, 500 + 3 * 40));
	cr_expect(eq(u64, vr_counters(&r, 1).bytes, 2 * (500 + 3 * 40)));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 6));
}

/* The only row there is. */
static struct drop_row only_row(void)
{
	const struct drop_row *found = NULL;

	for (uint32_t i = 0; i < DROP_ROWS; i++) {
		if (!r.dp.drops[i].packets)
			continue;
		cr_assert(found == NULL, "two rows");
		found = &r.dp.drops[i];
	}
	cr_assert(found != NULL, "no row");
	return *found;
}

static void expect_row(const char *src, __u8 proto, __u16 port, __u64 packets, __u64 bytes)
{
	struct drop_row row = only_row();
	uint8_t addr[16];

	vr_address(src, addr);
	cr_expect(zero(int, memcmp(row.src, addr, sizeof(addr))), "%s", src);
	cr_expect(eq(u32, row.ifindex, LOOPBACK));
	cr_expect(eq(u8, row.proto, proto));
	cr_expect(eq(u16, row.port, port));
	cr_expect(eq(u8, row.hook, HOOK_XDP | POLICY_DROP << 4));
	cr_expect(eq(u16, row.rule, (__u16)policy_table_rule(r.table, 0, r.rules[0].id)));
	cr_expect(eq(u64, row.packets, packets));
	cr_expect(eq(u64, row.bytes, bytes));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), packets));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, packets));
}

/* Nothing of the packet that went the long way before is left in the row. */
Test(verdict_short, a_row_of_a_listed_prefix_is_of_its_own_packets)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, xdp(tcp4(A, B, 81, SYN)), 1), "of a scratch that was never used");
	expect_row("10.0.0.1", 6, 81, 1, 40);
	cr_expect(zero(int, xdp(udp4(B, B + 1, 7, 9))), "the long way");
	cr_expect(eq(int, xdp(tcp4(A, B, 81, SYN)), 1));
	expect_row("10.0.0.1", 6, 81, 2, 80);
	cr_expect(eq(u64, vr_counters(&r, 1).flows, 2));
	cr_expect(eq(u64, decision(0).bytes, 80));
}

Test(verdict_short, a_row_of_a_listed_destination)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.9.0", 24, ROLE_DST);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, A + 1, 7, ACK))), "the long way");
	cr_expect(eq(int, xdp(udp4(A, B, 5, 9)), 1));
	cr_expect(eq(int, xdp(udp4(A, B, 6, 9)), 1));
	expect_row("10.0.0.1", 17, 9, 2, 2 * 28);
	cr_expect(zero(int, xdp(udp4(B, A, 9, 5))), "as source it is not listed");
}

Test(verdict_short, a_row_of_ipv6_host_and_prefix)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "2001:db8::5", 128, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, B, 81, SYN))), "something else before");
	cr_expect(eq(int, xdp(udp6(5, 6, 9)), 1));
	cr_expect(eq(int, xdp(udp6(5, 6, 9)), 1));
	expect_row("2001:db8::5", 17, 9, 2, 2 * 48);
	cr_expect(eq(u64, decision(0).packets, 2));
	cr_expect(eq(u64, decision(0).bytes, 2 * 48));
	cr_expect(zero(int, xdp(udp6(6, 5, 9))), "as destination it is not listed");
	vr_policy(&r);
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "2001:db8::", 64, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, xdp(udp6(5, 6, 9)), 1), "the prefix, now");
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 3));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 3));
}

/* ---- what keeps a packet from going that way ---- */

static void list_a(void)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
}

static int from_a(void)
{
	return xdp(tcp4(A, B, 80, SYN));
}

Test(verdict_short, an_entry_ends_before_its_rule)
{
	list_a();
	r.addrs[0].expires = r.ns / 1000000000 + 10;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, from_a(), 1));
	vr_wait(&r, 13);
	cr_expect(zero(int, from_a()));
}

Test(verdict_short, a_rule_ends_before_its_entry)
{
	list_a();
	r.rules[0].expires = r.ns / 1000000000 + 10;
	r.addrs[0].expires = r.ns / 1000000000 + 1000;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, from_a(), 1));
	vr_wait(&r, 13);
	cr_expect(zero(int, from_a()));
}

Test(verdict_short, the_lease_ends)
{
	list_a();
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	policy_table_lease(r.table, 5);
	cr_expect(eq(int, from_a(), 1));
	cr_expect(eq(int, xdp(tcp4(A + 256, B, 80, SYN)), 1));
	vr_wait(&r, 8);
	cr_expect(zero(int, from_a()));
	cr_expect(zero(int, xdp(tcp4(A + 256, B, 80, SYN))));
}

Test(verdict_short, a_rule_of_the_other_direction, .init = open_live)
{
	struct packet host = tcp4(A, B, 80, SYN), net = tcp4(A + 256, B, 80, SYN);

	list_a();
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	r.rules[0].direction = DIR_EGRESS;
	cr_assert(zero(int, vr_apply(&r)));
	for (enum vr_way way = VR_XDP; way <= VR_TC_OUT; way++) {
		cr_expect(eq(int, vr_send(&r, way, &host), way == VR_TC_OUT), "hook %u", way);
		cr_expect(eq(int, vr_send(&r, way, &net), way == VR_TC_OUT), "hook %u", way);
	}
}

/* A rule that comes first and is reached otherwise lets the packet pass. */
Test(verdict_short, a_port_that_is_let_pass_before)
{
	struct policy_addr_port *p;

	vr_rule(&r, POLICY_PASS, RULE_BY_ADDR_PORT);
	p = &r.ports[r.set.addr_ports_n++];
	*p = (struct policy_addr_port){.port = 80, .proto = 6, .role = ROLE_DST, .rule = 1};
	vr_address("10.0.9.2", p->addr);
	list_a();
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, from_a()));
	cr_expect(zero(int, xdp(tcp4(A + 256, B, 80, SYN))), "of a listed prefix");
	cr_expect(eq(int, xdp(tcp4(A, B, 81, SYN)), 1), "another port");
}

/* The same entry in two rules: the one that comes first has its say. */
Test(verdict_short, a_host_in_two_rules)
{
	vr_rule(&r, POLICY_PASS, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	list_a();
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.1.1", 32, ROLE_SRC);
	vr_rule(&r, POLICY_PASS, RULE_BY_ADDR);
	vr_addr(&r, "10.0.1.1", 32, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, from_a()), "the first passes");
	cr_expect(eq(int, xdp(tcp4(A + 256, B, 80, SYN)), 1), "the first drops");
}

Test(verdict_short, a_prefix_around_the_host_is_exempt)
{
	list_a();
	vr_rule(&r, POLICY_NEVER, RULE_BY_ADDR)->expires = 0;
	vr_addr(&r, "10.0.0.0", 16, ROLE_EITHER);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, from_a()));
}

Test(verdict_short, the_other_end_is_exempt)
{
	list_a();
	vr_rule(&r, POLICY_NEVER, RULE_BY_ADDR)->expires = 0;
	vr_addr(&r, "10.0.9.2", 32, ROLE_EITHER);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, from_a()));
	cr_expect(eq(int, xdp(tcp4(A, B + 1, 80, SYN)), 1), "to others it is not");
}

Test(verdict_short, shadow_limit_and_conditions_go_the_long_way)
{
	list_a();
	r.rules[0].flags = RULE_SHADOW;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, from_a()), "a shadow stops nothing");
	cr_expect(eq(u64, vr_counters(&r, 1).would_packets, 1));
	vr_policy(&r);
	list_a();
	r.rules[0].match = (struct policy_match){.have = COND_DST_PORT, .dst_port = {81, 81}};
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, B, 82, SYN))), "its condition does not hold");
	cr_expect(eq(int, xdp(tcp4(A, B, 81, SYN)), 1));
}

Test(verdict_short, dhcp_of_a_listed_host_passes)
{
	list_a();
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(udp4(A, B, 68, 67))));
	cr_expect(zero(int, xdp(udp4(A, B, 67, 68))));
	cr_expect(zero(int, xdp(udp4(A + 256, B, 67, 68))));
	cr_expect(eq(int, xdp(udp4(A, B, 68, 66)), 1));
	cr_expect(eq(int, xdp(udp4(A, B, 68, 69)), 1));
}

Test(verdict_short, a_known_flow_is_told_in_its_record)
{
	for (int i = 0; i < 2; i++)
		cr_expect(zero(int, xdp(tcp4(A, B, 80, i ? ACK : SYN))));
	list_a();
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, xdp(tcp4(A, B, 80, ACK)), 1));
	cr_expect(eq(int, xdp(tcp4(A, B, 81, ACK)), 1), "another one of its connections");
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_IN_FLOWS), 1));
	cr_expect(eq(u64, vr_count(&r, CNT_DROPPED_PACKETS), 1));
}

/* What was entered for a policy that then did not fit was never in force. */
Test(verdict_short, entries_of_a_refused_change_stop_nobody)
{
	static struct policy_addr many[VR_ENTRIES + 8];
	struct policy_set set;

	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.7.7", 32, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	for (uint32_t i = 0; i < VR_ENTRIES + 8; i++) {
		uint32_t be = __builtin_bswap32(A + i);

		many[i] = (struct policy_addr){.bits = 128, .role = ROLE_SRC, .rule = 1};
		vr_address("10.0.0.1", many[i].addr);
		memcpy(many[i].addr + 12, &be, sizeof(be));
	}
	set = (struct policy_set){
		.rules = r.rules, .rules_n = 1, .addrs = many, .addrs_n = VR_ENTRIES + 8};
	cr_expect(eq(int, policy_table_add(r.table, 0, &set, NULL), -28));
	cr_expect(zero(int, from_a()));
	cr_expect(zero(int, xdp(tcp4(A + 300, B, 80, ACK))));
	cr_expect(eq(int, xdp(tcp4(IP4(10, 0, 7, 7), B, 80, SYN)), 1), "what was there holds");
}

static struct policy_control *control(void)
{
	struct policy_fds fds;
	void *p;

	dataplane_policy(&r.dp, &fds);
	p = mmap(NULL, sizeof(struct policy_control), PROT_READ | PROT_WRITE, MAP_SHARED,
		 fds.policy_control, 0);
	cr_assert(p != MAP_FAILED);
	return p;
}

/* The moment before the switch, in which a writer may die: its entries are there and not in force. */
Test(verdict_short, what_has_not_been_switched_to_is_not_in_force)
{
	struct policy_control *c;

	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.7.7", 32, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_addr(&r, "10.0.1.0", 24, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	c = control();
	c->active -= 1 << 8;
	cr_expect(zero(int, from_a()));
	cr_expect(zero(int, xdp(tcp4(A + 256, B, 80, SYN))));
	cr_expect(eq(int, xdp(tcp4(IP4(10, 0, 7, 7), B, 80, SYN)), 1), "what was there holds");
	c->active += 1 << 8;
	cr_expect(eq(int, from_a(), 1));
	cr_expect(eq(int, xdp(tcp4(A + 256, B, 81, SYN)), 1));
	munmap(c, sizeof(*c));
}

/* The entries of a rule stay where they are when the rule becomes another one. */
Test(verdict_short, a_rule_that_changes_while_its_entries_stay)
{
	list_a();
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, from_a(), 1));
	r.rules[0].action = POLICY_PASS;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, B, 82, SYN))), "it lets pass now");
	r.rules[0].action = POLICY_DROP;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, xdp(tcp4(A, B, 83, SYN)), 1), "and drops again");
	policy_table_reclaim(r.table);
	cr_expect(eq(int, xdp(tcp4(A, B, 84, SYN)), 1), "when its version of before has gone, too");
	r.rules[0].match = (struct policy_match){.have = COND_DST_PORT, .dst_port = {85, 85}};
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, B, 86, SYN))), "it has a condition now");
}

/* A rule that is reached otherwise comes later, and has the first say. */
Test(verdict_short, another_rule_comes_before_it)
{
	struct policy_rule *first;

	vr_rule(&r, POLICY_PASS, RULE_BY_NONE)->match =
		(struct policy_match){.have = COND_DST_PORT, .dst_port = {81, 81}};
	list_a();
	first = &r.rules[0];
	r.set.rules = &r.rules[1];
	r.set.rules_n = 1;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, from_a(), 1));
	r.set.rules = first;
	r.set.rules_n = 2;
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(zero(int, xdp(tcp4(A, B, 81, SYN))));
	cr_expect(eq(int, from_a(), 1));
}
