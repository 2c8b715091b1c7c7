// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict_frag.c - verdicts on fragments and on what is in tunnels: a rule by port stops every
 * fragment of the datagram, one by ICMP type those of that type alone; of a tunnel that is opened, rules
 * mean the packet inside, of one that isn't, the one around it.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "tests/bpf/verdict_rig.h"
#include "tests/unit/packets_tunnel.h"
#include "weir/counters.h"

TestSuite(verdict_frag, .timeout = 600);

static struct verdict_rig r;

#define PIECE 64u /* bytes of each fragment */
#define A     IP4(10, 0, 0, 1)
#define B     IP4(10, 0, 9, 2)

/* Fragment @part of 3 of a datagram from @src, @proto UDP (to port 53) or ICMP of @type. */
static struct packet piece4(__u32 src, __u8 proto, __u8 type, __u16 id, unsigned int part)
{
	struct packet p = {};
	__u32 ip;

	pk_eth(&p);
	ip = pk_ip4(&p, src, B);
	pk_set16(&p, ip + 4, id);
	pk_set16(&p, ip + 6, (__u16)(part * PIECE / 8 | (part < 2) << 13));
	if (part == 0 && proto == 17) {
		pk_udp(&p, 4000, 53);
		p.layer[p.layers - 1].kind = PK_OTHER;
		pk_set16(&p, p.len - 4, 3 * PIECE);
	} else if (part == 0) {
		pk_icmp(&p, type, 0);
	} else {
		pk_set8(&p, ip + 9, proto);
		pk_payload(&p, 8);
	}
	pk_payload(&p, PIECE - 8);
	pk_end(&p);
	return p;
}

static struct packet piece6(__u16 src, __u16 id, unsigned int part)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip6(&p, src, 2);
	pk_fragment6(&p, (__u16)(part * PIECE), part < 2, id);
	if (part == 0) {
		pk_udp(&p, 4000, 53);
		p.layer[p.layers - 1].kind = PK_OTHER;
		pk_set16(&p, p.len - 4, 3 * PIECE);
		pk_payload(&p, PIECE - 8);
	} else {
		pk_set8(&p, p.len - 8, 17);
		pk_payload(&p, PIECE);
	}
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

static void drop_port(__u16 port)
{
	struct policy_rule *rule;

	vr_policy(&r);
	rule = vr_rule(&r, POLICY_DROP, RULE_BY_NONE);
	rule->match.have = COND_PROTO | COND_DST_PORT;
	rule->match.proto = 17;
	rule->match.dst_port[0] = rule->match.dst_port[1] = port;
	cr_assert(eq(int, vr_apply(&r), 0));
}

/* All of a datagram's fragments, first to last, or otherwise as @order says. Return: dropped ones. */
static int dropped4(__u32 src, __u8 proto, __u8 type, __u16 id)
{
	int n = 0;

	for (unsigned int part = 0; part < 3; part++)
		n += xdp(piece4(src, proto, type, id, part));
	return n;
}

Test(verdict_frag, a_blocked_port_is_blocked_in_every_fragment, .init = open_replay,
     .fini = close_rig)
{
	int n = 0;

	drop_port(53);
	cr_expect(eq(int, dropped4(A, 17, 0, 1), 3));
	for (unsigned int part = 0; part < 3; part++)
		n += xdp(piece6(1, 2, part));
	cr_expect(eq(int, n, 3), "IPv6");
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 6));
	drop_port(54);
	cr_expect(eq(int, dropped4(A, 17, 0, 3), 0), "another port");
}

Test(verdict_frag, fragments_of_an_established_flow_are_blocked, .init = open_replay,
     .fini = close_rig)
{
	cr_expect(eq(int, dropped4(A, 17, 0, 1), 0));
	cr_expect(eq(int, xdp(piece4(A, 17, 0, 2, 0)), 0));
	drop_port(53);
	cr_expect(eq(int, xdp(piece4(A, 17, 0, 2, 1)), 1), "its first one came before the rule");
	cr_expect(eq(int, dropped4(A, 17, 0, 3), 3));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 4));
}

Test(verdict_frag, a_listed_source_is_blocked_in_every_fragment, .init = open_replay,
     .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, xdp(piece4(A, 17, 0, 1, 2)), 1), "the last one first");
	cr_expect(eq(int, xdp(piece4(A, 17, 0, 1, 1)), 1));
	cr_expect(eq(int, xdp(piece4(A, 17, 0, 1, 0)), 1));
	cr_expect(eq(int, dropped4(A + 1, 17, 0, 1), 0), "its neighbour");
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 3));
}

Test(verdict_frag, an_icmp_type_is_that_of_the_first_fragment, .init = open_replay,
     .fini = close_rig)
{
	struct policy_rule *rule = vr_rule(&r, POLICY_DROP, RULE_BY_NONE);

	rule->match.have = COND_PROTO | COND_ICMP_TYPE;
	rule->match.proto = 1;
	rule->match.icmp_type = 0; /* echo reply */
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, dropped4(A, 1, 8, 1), 0), "requests");
	cr_expect(eq(int, dropped4(A, 1, 0, 2), 3), "replies");
	cr_expect(eq(int, xdp(piece4(A, 1, 0, 3, 1)), 0), "of a datagram nobody knows the type of");
	rule->match.icmp_type = 8;
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(int, dropped4(A, 1, 8, 4), 3));
	cr_expect(eq(int, dropped4(A, 1, 0, 5), 0));
}

/* ---- tunnels ---- */

enum tunnel { VXLAN, GENEVE, GRE, IPIP, TUNNELS };
static const char *const names[] = {"VXLAN", "Geneve", "GRE", "IPIP"};

#define OUTER IP4(192, 0, 2, 1)

static struct packet inside(enum tunnel how, __u32 vni, __u32 src, __u16 dport)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, OUTER, OUTER + 1);
	if (how == VXLAN) {
		pk_udp(&p, 5000, 4789);
		pk_vxlan(&p, vni);
		pk_eth(&p);
	} else if (how == GENEVE) {
		pk_udp(&p, 5000, 6081);
		pk_geneve(&p, vni, 0, 0);
		pk_eth(&p);
	} else if (how == GRE) {
		pk_gre(&p, 0x2000, vni);
	}
	pk_ip4(&p, src, B);
	pk_udp(&p, 4000, dport);
	pk_payload(&p, 32);
	pk_end(&p);
	return p;
}

Test(verdict_frag, of_an_opened_tunnel_rules_mean_what_is_inside, .init = open_replay,
     .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "192.0.2.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (enum tunnel t = 0; t < TUNNELS; t++) {
		cr_expect(eq(int, xdp(inside(t, 7, A, 53)), 1), "%s", names[t]);
		cr_expect(eq(int, xdp(inside(t, 7, A + 1, 53)), 0), "%s: its neighbour", names[t]);
	}
	cr_expect(eq(u64, vr_counters(&r, 1).packets, TUNNELS));
	cr_expect(zero(u64, vr_counters(&r, 2).packets));
}

Test(verdict_frag, a_vni_tells_tenants_apart, .init = open_replay, .fini = close_rig)
{
	struct policy_rule *rule = vr_rule(&r, POLICY_DROP, RULE_BY_NONE);

	rule->match.have = COND_VNI | COND_DST_PORT;
	rule->match.vni = 7;
	rule->match.dst_port[0] = rule->match.dst_port[1] = 53;
	cr_assert(eq(int, vr_apply(&r), 0));
	for (enum tunnel t = 0; t < IPIP; t++) {
		cr_expect(eq(int, xdp(inside(t, 7, A, 53)), 1), "%s", names[t]);
		cr_expect(eq(int, xdp(inside(t, 8, A, 53)), 0), "%s: another tenant", names[t]);
		cr_expect(eq(int, xdp(inside(t, 7, A, 54)), 0), "%s: another port", names[t]);
	}
}

static void open_live(void)
{
	vr_open(&r, true);
}

Test(verdict_frag, of_a_closed_tunnel_rules_mean_what_is_around, .init = open_live,
     .fini = close_rig)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (enum tunnel t = 0; t < TUNNELS; t++)
		cr_expect(eq(int, xdp(inside(t, 7, A, 53)), 0), "%s", names[t]);
	vr_addr(&r, "192.0.2.1", 32, ROLE_SRC);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (enum tunnel t = 0; t < TUNNELS; t++)
		cr_expect(eq(int, xdp(inside(t, 7, A, 53)), 1), "%s", names[t]);
}
