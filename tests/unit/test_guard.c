// SPDX-License-Identifier: Apache-2.0
/*
 * test_guard.c - the guard-rails without a kernel: what is refused and by whose name, what netlink and
 * resolv.conf say of the node.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <arpa/inet.h>
#include <errno.h>
#include <linux/inet_diag.h>
#include <linux/netlink.h>
#include <linux/rtnetlink.h>
#include <linux/sock_diag.h>
#include <stdlib.h>
#include <string.h>

#include "loader/policy/guard.h"
#include "policy_rig.h"
#include "weir/policy_map.h"

static void ip(const char *text, uint8_t addr[16])
{
	memset(addr, 0, 16);
	addr[10] = addr[11] = 0xff;
	if (inet_pton(AF_INET, text, addr + 12) != 1)
		cr_assert(eq(int, inet_pton(AF_INET6, text, addr), 1));
}

/* A node with 10.0.0.5, the gateway 10.0.0.1, and 192.0.2.0/28 of administrators. */
static struct guard *node(const struct guard_cfg *cfg)
{
	static struct guard g;
	static const struct {
		const char *addr;
		uint8_t bits;
		enum guard_why why;
	} never[] = {{"10.0.0.1", 128, GUARD_GATEWAY},
		     {"192.0.2.0", 124, GUARD_ADMIN},
		     {"2001:db8:1::", 48, GUARD_CONFIGURED}};

	guard_done(&g);
	g = (struct guard){.cfg = cfg, .n_own = 1};
	ip("10.0.0.5", g.own[0].addr);
	g.own[0].bits = 128;
	for (size_t i = 0; i < sizeof(never) / sizeof(never[0]); i++) {
		struct policy_addr a = {.bits = never[i].bits, .role = ROLE_EITHER};

		ip(never[i].addr, a.addr);
		a.rule = never[i].why + 1u;
		cr_assert(eq(int, policy_add(&g.never, POLICY_ADDR, &a), 0));
	}
	return &g;
}

static const char *said(struct guard *g, const char *source, bool by_hand, bool automatic)
{
	static char text[320];
	struct guard_error err = {.guard = ""};
	struct policy p;
	size_t len;
	uint8_t *image = policy_rig_image(source, &p, &len);

	for (uint32_t i = 0; automatic && i < p.n_rules; i++)
		((struct policy_rule *)(uintptr_t)&p.rules[i])->flags |= RULE_AUTOMATIC;
	text[0] = '\0';
	if (guard_check(g, &p, by_hand, RIG_NOW, &err))
		snprintf(text, sizeof(text), "%s: %s", err.guard, err.text);
	free(image);
	return text;
}

Test(guard, refuses_by_name)
{
	static const struct guard_cfg cfg = {};
	static const struct {
		const char *source;
		bool by_hand;
		const char *want;
	} rows[] = {
		{"drop src.ip == 198.51.100.1 for 1m", true, ""},
		{"drop host 10.0.0.5 for 1m", true,
		 "own-address: 10.0.0.5 holds 10.0.0.5, an address of this node"},
		{"drop net 10.0.0.0/8 for 1m", false,
		 "own-address: 10.0.0.0/8 holds 10.0.0.5, an address of this node"},
		{"drop src.ip in 0.0.0.0/0 for 1m", true,
		 "own-address: 0.0.0.0/0 holds 10.0.0.5, an address of this node"},
		{"drop src.ip in ::/0 for 1m", true, ""}, /* no IPv4 address is in there */
		{"drop dst.ip == 10.0.0.5 and dst.port == 22 for 1m", true, ""},
		{"drop shadow net 10.0.0.0/8 for 1m", true, ""},
		{"pass net 10.0.0.0/8 for 1m", true, ""},
		{"drop host 10.0.0.1 for 1m", true,
		 "never-block: 10.0.0.1 is never blocked here: gateway"},
		{"drop host 10.0.0.1 for 1m", false,
		 ""}, /* a list may have it: the kernel exempts */
		{"drop net 2001:db8:1:2::/64 for 1m", true,
		 "never-block: 2001:db8:1:2::/64 is never blocked here: never-block"},
		{"drop host 192.0.2.3 for 1m", true, ""}, /* its failsafe ports alone are exempt */
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)said(node(&cfg), rows[i].source, rows[i].by_hand, false),
			     (char *)rows[i].want),
			  "%s", rows[i].source);
}

Test(guard, nobody_is_reset_on_mirrors_alone)
{
	static const struct guard_cfg cfg = {};
	struct guard *g = node(&cfg);

	cr_expect(eq(str, (char *)said(g, "reset dst.port == 80 for 1m as x", true, false), ""));
	g->mirrors = true;
	cr_expect(
		eq(str, (char *)said(g, "reset dst.port == 80 for 1m as x", true, false),
		   "mirror: x resets, and all interfaces have the role mirror: who is heard there "
		   "can't be answered"));
	cr_expect(eq(str, (char *)said(g, "drop dst.port == 80 for 1m", true, false), ""));
}

Test(guard, automatic_decisions_are_narrow)
{
	static const struct guard_cfg cfg = {};
	static const struct {
		const char *source, *want;
	} rows[] = {
		{"drop src.ip in 198.51.100.0/24 for 1m", ""},
		{"drop src.ip in 198.51.100.0/23 for 1m",
		 "breadth: 198.51.100.0/23 is broader than /24 (IPv6: /48), which takes a person"},
		{"drop src.ip in 2001:db8::/48 for 1m", ""},
		{"drop src.ip in 2001:db8::/47 for 1m",
		 "breadth: 2001:db8::/47 is broader than /24 (IPv6: /48), which takes a person"},
		{"drop proto udp for 1m as x",
		 "breadth: x names no address: an automatic decision has to"},
		{"drop tls.sni == \"a.test\" for 1m", ""},
	};

	for (size_t i = 0; i < sizeof(rows) / sizeof(rows[0]); i++)
		cr_expect(eq(str, (char *)said(node(&cfg), rows[i].source, false, true),
			     (char *)rows[i].want),
			  "%s", rows[i].source);
}

Test(guard, automatic_decisions_have_a_rate)
{
	static const struct guard_cfg cfg = {.rate = 5};
	static const char three[] = "drop src.ip in {192.0.2.1, 192.0.2.3, 192.0.2.5} for 1m";
	struct guard *g = node(&cfg);

	cr_expect(eq(str, (char *)said(g, three, false, true), ""));
	cr_expect(eq(str, (char *)said(g, three, false, true),
		     "rate: 3 automatic decisions and 3 before them this minute: 5 are allowed"));
	cr_expect(eq(str, (char *)said(g, three, true, false), "")); /* people are not counted */
	g->window = 0;						     /* the next minute */
	cr_expect(eq(str, (char *)said(g, three, false, true), ""));
}

Test(guard, what_is_in_force_already_is_not_new)
{
	static const struct guard_cfg cfg = {.rate = 5};
	static const char three[] = "drop src.ip in {192.0.2.1, 192.0.2.3, 192.0.2.5} for 1m",
			  others[] = "drop src.ip in {192.0.2.7, 192.0.2.9, 192.0.2.11} for 1m";
	struct guard *g = node(&cfg);
	struct policy before;
	size_t len;
	uint8_t *image = policy_rig_image(three, &before, &len);

	for (uint32_t i = 0; i < before.n_rules; i++)
		((struct policy_rule *)(uintptr_t)&before.rules[i])->flags |= RULE_AUTOMATIC;
	cr_expect(eq(str, (char *)said(g, three, false, true), ""));
	g->before = &before;
	for (unsigned int i = 0; i < 10; i++)
		cr_expect(eq(str, (char *)said(g, three, false, true), ""));
	cr_expect(eq(str, (char *)said(g, others, false, true),
		     "rate: 3 automatic decisions and 3 before them this minute: 5 are allowed"));
	free(image);
}

Test(guard, says_what_is_exempt)
{
	static const struct guard_cfg cfg = {};
	struct guard *g = node(&cfg);
	bool failsafe;
	uint8_t addr[16];

	ip("192.0.2.3", addr);
	cr_expect(eq(str, (char *)guard_exempts(g, addr, 128, &failsafe), "admin"));
	cr_expect(failsafe == true);
	ip("10.0.0.1", addr);
	cr_expect(eq(str, (char *)guard_exempts(g, addr, 128, &failsafe), "gateway"));
	cr_expect(failsafe == false);
	ip("10.0.0.2", addr);
	cr_expect(guard_exempts(g, addr, 128, &failsafe) == NULL);
}

/* ---- the node ---- */

static char seen[512];

static void note(void *arg, enum node_what what, const uint8_t addr[16])
{
	FILE *out = fmemopen(seen + strlen(seen), sizeof(seen) - strlen(seen), "w");

	(void)arg;
	fputs(what == NODE_GATEWAY ? " via " : " ", out);
	policy_print_prefix(out, addr, 128);
	fclose(out);
}

Test(guard, reads_resolv_conf)
{
	static const char text[] =
		"# nameserver 192.0.2.9\nsearch a.test\nnameserver 192.0.2.1\n"
		"nameserver\t2001:db8::1 ; x\nnameserver fe80::1%eth0\nnameserver bad\n"
		"nameserverx 192.0.2.8\nnameserver 192.0.2.2";

	seen[0] = '\0';
	resolvers_parse(text, sizeof(text) - 1, note, NULL);
	cr_expect(eq(str, seen, " 192.0.2.1 2001:db8::1 fe80::1 192.0.2.2"));
}

Test(guard, reads_addresses_and_gateways)
{
	struct {
		struct nlmsghdr h;
		struct ifaddrmsg m;
		struct rtattr a;
		uint8_t ip[4];
		struct nlmsghdr h2;
		struct rtmsg r;
		struct rtattr a2;
		uint8_t ip2[4];
		struct nlmsghdr done;
	} msg = {
		.h = {.nlmsg_len = offsetof(__typeof__(msg), h2), .nlmsg_type = RTM_NEWADDR},
		.m = {.ifa_family = AF_INET},
		.a = {.rta_len = RTA_LENGTH(4), .rta_type = IFA_LOCAL},
		.ip = {10, 0, 0, 5},
		.h2 = {.nlmsg_len = offsetof(__typeof__(msg), done) - offsetof(__typeof__(msg), h2),
		       .nlmsg_type = RTM_NEWROUTE},
		.r = {.rtm_family = AF_INET, .rtm_type = RTN_UNICAST},
		.a2 = {.rta_len = RTA_LENGTH(4), .rta_type = RTA_GATEWAY},
		.ip2 = {10, 0, 0, 1},
		.done = {.nlmsg_len = sizeof(struct nlmsghdr), .nlmsg_type = NLMSG_DONE},
	};

	seen[0] = '\0';
	cr_expect(node_parse(&msg, sizeof(msg), note, NULL) == true);
	cr_expect(eq(str, seen, " 10.0.0.5 via 10.0.0.1"));
	cr_expect(node_parse(&msg, sizeof(msg) - 1, note, NULL) == false);
}

Test(guard, reads_sessions_of_failsafe_ports)
{
	struct {
		struct nlmsghdr h;
		struct inet_diag_msg m;
	} msg[2] = {};

	for (unsigned int i = 0; i < 2; i++) {
		msg[i].h = (struct nlmsghdr){.nlmsg_len = sizeof(msg[i]),
					     .nlmsg_type = SOCK_DIAG_BY_FAMILY};
		msg[i].m.idiag_family = AF_INET;
		msg[i].m.id.idiag_sport = htons(i ? 80 : 22);
		msg[i].m.id.idiag_dst[0] = htonl(0xc0000207);
	}
	seen[0] = '\0';
	sessions_parse(msg, sizeof(msg), note, NULL);
	cr_expect(eq(str, seen, " 192.0.2.7"));
}
