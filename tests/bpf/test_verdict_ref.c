// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict_ref.c - the kernel's verdicts against the reference's: packets of a small world, so
 * that flows come again and cached verdicts are used, under random rule sets; captures under the same;
 * and that shadow counts what enforcing drops.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdio.h>
#include "parse.h"
#include "policy_ref.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define SETS	300
#define PACKETS 250
#define RULES	24

TestSuite(verdict_ref, .timeout = 600);

static struct verdict_rig r;
static uint64_t compared; /* packet x rule */
static uint64_t seed = 88172645463325252ull;
static bool hosts; /* the set lists hosts alone, no prefixes */
static uint32_t failsafe[POLICY_FAILSAFE_MAX] = {POLICY_FAILSAFE(6, 22, 0),
						 POLICY_FAILSAFE(17, 53, 1)};

static uint32_t rnd(uint32_t n)
{
	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return (uint32_t)(seed >> 33) % n;
}

static const uint16_t some_ports[] = {22, 53, 67, 68, 80, 443, 5000};

static uint16_t some_port(void)
{
	return some_ports[rnd(sizeof(some_ports) / sizeof(some_ports[0]))];
}

/* ---- packets ---- */

static void add_transport4(struct packet *p)
{
	switch (rnd(8)) {
	case 0:
		pk_icmp(p, rnd(2) ? 3 : 8, (__u8)rnd(6));
		break;
	case 1:
		pk_sctp(p, some_port(), some_port());
		break;
	case 2:
	case 3:
		pk_udp(p, some_port(), some_port());
		break;
	case 4:
		pk_announce(p, 0, 47 + (__u8)rnd(4));
		pk_room(p, 8);
		break;
	default:
		pk_tcp(p, some_port(), some_port(), (__u8)rnd(32));
		break;
	}
}

static void add_transport6(struct packet *p)
{
	switch (rnd(4)) {
	case 0:
		pk_icmp6(p, (__u8)(126 + rnd(14)), 0);
		break;
	case 1:
		pk_udp(p, some_port(), some_port());
		break;
	default:
		pk_tcp(p, some_port(), some_port(), (__u8)rnd(32));
		break;
	}
}

static struct packet some_packet(void)
{
	struct packet p = {};

	pk_eth(&p);
	if (!rnd(8))
		pk_vlan(&p, 0x8100, (__u16)rnd(3));
	if (!rnd(20)) {
		pk_announce(&p, rnd(2) ? 0x0806 : 0x88cc, 0);
		pk_room(&p, 28);
	} else if (rnd(3)) {
		pk_ip4(&p, IP4(10, 0, rnd(3), rnd(6)), IP4(10, 0, rnd(5), rnd(6)));
		add_transport4(&p);
	} else {
		pk_ip6(&p, (__u16)rnd(6), (__u16)rnd(6));
		add_transport6(&p);
	}
	pk_room(&p, rnd(40));
	pk_end(&p);
	return p;
}

/* ---- rules ---- */

static uint8_t some_net(uint8_t *addr)
{
	static const uint8_t bits4[] = {96, 104, 118, 120, 126, 127, 128, 128};
	static const uint8_t bits6[] = {0, 16, 32, 48, 64, 112, 126, 128, 128};
	struct policy_addr a = {};
	char text[64];

	if (rnd(3)) {
		snprintf(text, sizeof(text), "10.0.%u.%u", rnd(3), rnd(6));
		a.bits = hosts ? 128 : bits4[rnd(sizeof(bits4))];
	} else {
		snprintf(text, sizeof(text), "2001:db8::%u", rnd(6));
		a.bits = bits6[rnd(sizeof(bits6))];
	}
	vr_address(text, addr);
	for (uint32_t i = a.bits; i < 128; i++)
		addr[i / 8] &= (uint8_t) ~(0x80 >> i % 8);
	return a.bits;
}

static void some_range(uint16_t *range)
{
	uint16_t a = some_port(), b = rnd(2) ? a : some_port();

	range[0] = a < b ? a : b;
	range[1] = a < b ? b : a;
}

static void some_match(struct policy_match *m)
{
	static const uint8_t protos[] = {1, 6, 17, 58, 132};

	for (uint32_t n = rnd(4); n; n--)
		m->have |= 1u << rnd(14);
	m->negate = m->have & (rnd(2) ? 0 : rnd(1u << 14));
	m->src_bits = some_net(m->src);
	m->dst_bits = some_net(m->dst);
	m->proto = protos[rnd(sizeof(protos))];
	m->tcp_mask = (uint8_t)rnd(32);
	m->tcp_flags = m->tcp_mask & (uint8_t)rnd(32);
	m->icmp_type = rnd(2) ? 8 : (uint8_t)(126 + rnd(14));
	m->icmp_code = (uint8_t)rnd(3);
	some_range(m->src_port);
	some_range(m->dst_port);
	m->length[0] = (uint16_t)(20 + rnd(60));
	m->length[1] = (uint16_t)(m->length[0] + rnd(40));
	m->vlan = (uint16_t)(1 + rnd(2));
	m->ethertype = rnd(2) ? 0x0800 : rnd(2) ? 0x86dd : 0x88cc;
	m->vni = rnd(2);
	m->ifindex = 1 + rnd(2);
}

static uint64_t some_end(void)
{
	return rnd(6) ? 0 : rnd(2) ? r.ns / 1000000000 - 20 : r.ns / 1000000000 + 5000;
}

static void some_records(struct policy_rule *rule)
{
	for (uint32_t n = 1 + rnd(3); n; n--) {
		struct policy_addr *a = &r.addrs[r.set.addrs_n];
		struct policy_addr_port *p = &r.ports[r.set.addr_ports_n];
		struct policy_flow *f = &r.flows[r.set.flows_n];

		if (rule->key == RULE_BY_ADDR) {
			*a = (struct policy_addr){.rule = rule->number, .expires = some_end()};
			a->bits = some_net(a->addr);
			a->role = (uint8_t)(1 + rnd(3));
			r.set.addrs_n++;
		} else if (rule->key == RULE_BY_ADDR_PORT) {
			*p = (struct policy_addr_port){.rule = rule->number, .expires = some_end()};
			some_net(p->addr);
			p->port = some_port();
			p->proto = rnd(2) ? 6 : 17;
			p->role = (uint8_t)(1 + rnd(3));
			r.set.addr_ports_n++;
		} else if (rule->key == RULE_BY_FLOW) {
			*f = (struct policy_flow){.rule = rule->number, .expires = some_end()};
			some_net(f->addr[0]);
			some_net(f->addr[1]);
			f->port[0] = some_port();
			f->port[1] = some_port();
			f->proto = rnd(2) ? 6 : 17;
			r.set.flows_n++;
		}
	}
}

static void some_rule(uint32_t id)
{
	static const uint8_t actions[] = {POLICY_PASS, POLICY_NEVER, POLICY_DROP, POLICY_DROP,
					  POLICY_DROP, POLICY_DROP,  POLICY_RESET};
	uint8_t action = actions[rnd(sizeof(actions))];
	struct policy_rule *rule =
		vr_rule(&r, action, action == POLICY_NEVER || hosts ? RULE_BY_ADDR : rnd(4));

	memset(rule->id, 0, sizeof(rule->id));
	memcpy(rule->id, &id, sizeof(id)); /* changes its place and contents from set to set */
	rule->direction = (uint8_t)(1 + rnd(3));
	if (action == POLICY_NEVER)
		rule->flags = rnd(2) ? RULE_FAILSAFE : 0;
	else if (!rnd(4))
		rule->flags = RULE_SHADOW;
	if (!hosts && !rnd(10)) /* with hosts alone what has expired is reclaimed */
		rule->expires = r.ns / 1000000000 - 20;
	if (!hosts || !rnd(4))
		some_match(&rule->match);
	some_records(rule);
}

/* ---- both sides ---- */

struct tally {
	uint64_t packets[VR_RECORDS], would[VR_RECORDS]; /* by rule number */
};

static uint32_t side_of(enum vr_way way)
{
	if (r.dp.cfg.replay)
		return DIR_BOTH;
	return way == VR_TC_OUT ? DIR_EGRESS : DIR_INGRESS;
}

static int parse_it(const struct packet *p, struct pkt *ret)
{
	struct parse_cfg cfg = {
		.depth = r.dp.cfg.replay ? 4 : 0, .vxlan_ports = {4789, 8472}, .geneve_port = 6081};

	if (parse_frame(p->b, p->len, p->len, &cfg, ret))
		return -1;
	ret->key.ifindex = 1;
	return 0;
}

/* On TC a first SYN has nobody to be reset but its sender. */
static int resets(enum vr_way way, const struct pkt *p)
{
	return way == VR_XDP || (p->l4.tcp_flags & 0x12) != 2 ? 2 : 1;
}

static void compare(const struct packet *p, enum vr_way way, struct tally *t)
{
	struct ref_verdict want = {};
	struct pkt pkt;
	struct ref_packet rp = {.pkt = &pkt, .side = side_of(way), .now = r.ns / 1000000000};
	int got;

	if (!parse_it(p, &pkt))
		policy_ref(&r.set, failsafe, &rp, &want);
	got = vr_send(&r, way, p);
	cr_assert(eq(int, got, want.reset ? resets(way, &pkt) : want.drop),
		  "rule %u, shadow %u, never %d, proto %u", want.rule ? want.rule->number : 0,
		  want.shadow ? want.shadow->number : 0, want.never, pkt.key.proto);
	if (want.drop)
		t->packets[want.rule->number]++;
	if (want.shadow)
		t->would[want.shadow->number]++;
	compared += r.set.rules_n;
}

static void compare_counters(const struct tally *t, const struct tally *before)
{
	for (uint32_t n = 1; n <= r.set.rules_n; n++) {
		struct policy_counters c = vr_counters(&r, n);

		(void)before;
		cr_assert(eq(u64, c.packets, t->packets[n]), "rule %u", n);
		cr_assert(eq(u64, c.would_packets, t->would[n]), "rule %u", n);
	}
}

static void random_sets(bool live, uint32_t sets)
{
	static struct packet world[120];
	static struct tally t;

	if (live) /* resets go out of loopback */
		vr_own_network();
	vr_open(&r, live);
	policy_table_failsafe(r.table, failsafe, 2);
	for (uint32_t i = 0; i < 120; i++)
		world[i] = some_packet();
	for (uint32_t s = 0; s < sets; s++) {
		vr_policy(&r);
		hosts = s % 4 == 3;
		for (uint32_t i = 0; hosts && i < 120; i++) /* flows that are in no cache */
			world[i] = some_packet();
		for (uint32_t i = 0; i < RULES; i++)
			some_rule(s * RULES + i); /* new ids: counters begin at 0 */
		cr_assert(eq(int, vr_apply(&r), 0));
		for (int i = 0; hosts && i < 2; i++) /* prefixes of sets before go */
			policy_table_reclaim(r.table);
		t = (struct tally){};
		for (uint32_t i = 0; i < PACKETS; i++)
			compare(&world[rnd(120)], live ? VR_TC_IN + rnd(2) : VR_XDP, &t);
		compare_counters(&t, &t);
		vr_wait(&r, 2);
		if (s % 8 == 7)
			policy_table_reclaim(r.table);
	}
	vr_close(&r);
}

Test(verdict_ref, random_rules_on_xdp)
{
	random_sets(false, SETS);
	cr_assert(ge(u64, compared, 1000000));
	printf("verdict_ref: %llu packet x rule compared\n", (unsigned long long)compared);
}

Test(verdict_ref, random_rules_on_tc_in_and_out)
{
	random_sets(true, SETS / 3);
}
