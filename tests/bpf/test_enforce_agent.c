// SPDX-License-Identifier: Apache-2.0
/*
 * test_enforce_agent.c - what the node decides by agents' rules, in the kernel's tables: hits become entries that
 * stop packets, under the guard-rails; they change, stay and go with their rule, and end by themselves.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "loader/policy/enforce.h"
#include "tests/bpf/verdict_rig.h"

#define TTL 600u

TestSuite(enforce_agent, .timeout = 600);

static struct verdict_rig r;
static struct enforce *e;
static struct enforce_cfg cfg;
static struct agent_board board;
static uint64_t generation;

/* The packet path's clock and the wall clock of the rules belong together. */
static struct policy_time now(void)
{
	return (struct policy_time){.unit_ns = UINT64_C(1) << POLICY_REPLAY_SHIFT,
				    .now = (uint32_t)(r.ns >> POLICY_REPLAY_SHIFT),
				    .wall_ns = (uint64_t)time(NULL) * 1000000000};
}

static void begin(void)
{
	struct enforce_start start = {.cfg = &cfg, .agents = &board};

	vr_own_network();
	vr_open(&r, false);
	memset(&board, 0, sizeof(board));
	cfg.lease_s = 1u << 20;
	cfg.expires_max_s = 86400;
	start.now = now();
	dataplane_policy(&r.dp, &start.fds);
	cr_assert(eq(int, enforce_new(&start, &e), 0));
}

static void end(void)
{
	enforce_free(e);
	vr_close(&r);
}

/* ---- policies ---- */

static void id_of(uint32_t rule, uint8_t id[16])
{
	memset(id, 0, 16);
	id[0] = 0xa0;
	id[8] = (uint8_t)rule;
}

/* @n rules for agents, numbered from 1; of the first, @exempt is left alone (NULL: nobody). */
static void apply(const char *issuer, uint32_t n, uint8_t flags, const char *exempt)
{
	const uint64_t t = (uint64_t)time(NULL);
	struct policy_draft d = {.head = {.generation = ++generation, .not_after = t + 3600}};
	struct policy_request q = {.version = POLICY_WIRE_VERSION, .ask = ASK_APPLY};
	const struct enforce_peer root = {.may_change = true};
	struct policy_answer a;
	uint8_t *image;
	size_t len;

	snprintf((char *)d.head.issuer, sizeof(d.head.issuer), "%s", issuer);
	for (uint32_t i = 1; i <= n; i++) {
		struct policy_rule rule = {.number = i,
					   .action = POLICY_DROP,
					   .flags = RULE_AUTOMATIC | flags,
					   .direction = DIR_INGRESS,
					   .key = RULE_BY_ADDR,
					   .expires = t + 3600,
					   .name = "one",
					   .origin = "test"};
		struct policy_agent agent = {.rule = i, .ttl = TTL, .length = 5, .where = "bytes"};

		id_of(i, rule.id);
		cr_assert(eq(int, policy_add(&d, POLICY_RULE, &rule), 0));
		cr_assert(eq(int, policy_add(&d, POLICY_AGENT_RULE, &agent), 0));
	}
	if (exempt) {
		struct policy_addr x = {.bits = 128, .role = ROLE_SRC, .rule = 1};

		vr_address(exempt, x.addr);
		cr_assert(eq(int, policy_add(&d, POLICY_AGENT_EXEMPT, &x), 0));
	}
	cr_assert(eq(int, policy_image(&d, &image, &len), 0));
	enforce_answer(e, &q, &root, &(struct enforce_image){image, len}, &a);
	cr_assert(eq(int, a.reply.r, 0), "%s", a.reply.text);
	free(image);
	policy_draft_done(&d);
}

/* Slots are given as issuers come. */
static int hit(uint32_t slot, uint32_t rule, const char *addr)
{
	struct agent_hit h = {.slot = slot, .port = 23, .proto = 6};
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	h.seen_ns = (uint64_t)t.tv_sec * 1000000000 + (uint64_t)t.tv_nsec;
	id_of(rule, h.id);
	vr_address(addr, h.addr);
	vr_address("10.2.0.1", h.to);
	return enforce_hit(e, &h);
}

#define FIRST	2u /* slot of the first issuer */
#define SECOND	3u
#define BAD	"192.0.2.7"
#define BAD_IP	IP4(192, 0, 2, 7)
#define GOOD_IP IP4(192, 0, 2, 8)

static bool stopped(uint32_t from)
{
	static uint16_t port;
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, from, IP4(10, 2, 0, 1));
	pk_tcp(&p, ++port, 80, 2);
	pk_end(&p);
	return vr_send(&r, VR_XDP, &p) == 1;
}

static struct policy_answer ask(enum policy_ask what, uint64_t after)
{
	struct policy_request q = {
		.version = POLICY_WIRE_VERSION, .ask = what, .after = after, .issuer = "first"};
	struct policy_answer a;

	enforce_answer(e, &q, &(struct enforce_peer){}, &(struct enforce_image){}, &a);
	cr_assert(eq(int, a.reply.r, 0));
	return a;
}

/* ---- deciding ---- */

Test(enforce_agent, a_hit_stops_its_source_until_it_ends)
{
	begin();
	apply("first", 1, 0, NULL);
	cr_expect(not(stopped(BAD_IP)));
	cr_expect(eq(int, hit(FIRST, 1, BAD), 1));
	cr_expect(stopped(BAD_IP));
	cr_expect(not(stopped(GOOD_IP)));
	cr_expect(eq(int, hit(FIRST, 1, BAD), 0), "it is there");
	cr_expect(eq(int, hit(FIRST, 2, BAD), 0), "no such rule");
	cr_expect(eq(int, hit(SECOND, 1, BAD), 0), "no such issuer");
	cr_expect(eq(int, hit(99999, 1, BAD), 0));
	r.ns += (TTL + 10) * UINT64_C(1000000000); /* nobody else does anything */
	r.dp.control->replay_ns = r.ns;
	cr_expect(not(stopped(BAD_IP)));
	end();
}

Test(enforce_agent, what_the_worker_reads_is_what_holds)
{
	static struct agent_rows rows;
	uint32_t seq = 0;

	begin();
	cr_expect(not(agent_board_is_new(&board, 0)));
	apply("first", 2, 0, NULL);
	cr_assert(agent_board_is_new(&board, 0));
	cr_assert(agent_board_get(&board, &rows, &seq));
	cr_expect(eq(u32, rows.n, 2));
	cr_expect(eq(u32, rows.row[1].slot, FIRST));
	cr_expect(eq(str, rows.row[1].where, "bytes"));
	apply("first", 0, 0, NULL);
	cr_assert(agent_board_is_new(&board, seq));
	cr_assert(agent_board_get(&board, &rows, &seq));
	cr_expect(eq(u32, rows.n, 0));
	end();
}

Test(enforce_agent, guard_rails_hold)
{
	cfg.guard.rate = 2;
	cfg.guard.breaker = 50;
	cfg.guard.never.n = cfg.guard.internal.n = 1;
	vr_address("192.0.2.64", cfg.guard.never.v[0].addr);
	cfg.guard.never.v[0].bits = 96 + 28;
	vr_address("172.16.0.0", cfg.guard.internal.v[0].addr);
	cfg.guard.internal.v[0].bits = 96 + 12;
	begin();
	apply("first", 1, 0, "192.0.2.9");
	cr_expect(eq(int, hit(FIRST, 1, "192.0.2.9"), 0), "its rule exempts it");
	cr_expect(eq(int, hit(FIRST, 1, "192.0.2.65"), -EPERM), "never-block");
	cr_expect(eq(int, hit(FIRST, 1, "172.20.0.1"), -EPERM), "internal");
	/* of a minute, which may end in between */
	for (unsigned int i = 0; i < 2; i++)
		cr_expect(eq(int, hit(FIRST, 1, i ? "192.0.2.11" : "192.0.2.10"), 1));
	cr_expect(ne(int,
		     hit(FIRST, 1, "192.0.2.12") + hit(FIRST, 1, "192.0.2.13") +
			     hit(FIRST, 1, "192.0.2.14"),
		     3),
		  "no more than the rate allows");
	end();
}

/* ---- rules change ---- */

Test(enforce_agent, decisions_stay_with_their_rule_and_go_with_it)
{
	begin();
	apply("first", 2, RULE_SHADOW, NULL);
	cr_expect(eq(int, hit(FIRST, 1, BAD), 1));
	cr_expect(not(stopped(BAD_IP)), "shadow counts");
	apply("first", 2, 0, NULL);
	cr_expect(stopped(BAD_IP), "and acts when its rule does");
	apply("first", 2, 0, NULL);
	cr_expect(stopped(BAD_IP));
	cr_expect(eq(int, hit(FIRST, 2, BAD), 1), "another rule's too");
	apply("first", 2, 0, BAD);
	cr_expect(stopped(BAD_IP), "exempt from the first, not from the second");
	apply("first", 1, 0, BAD);
	cr_expect(not(stopped(BAD_IP)), "the second is gone");
	apply("first", 1, 0, NULL);
	cr_expect(not(stopped(BAD_IP)), "what is taken back does not come again by itself");
	cr_expect(eq(int, hit(FIRST, 1, BAD), 1));
	cr_expect(stopped(BAD_IP));
	end();
}

Test(enforce_agent, the_same_rule_of_two_issuers_is_two_rules)
{
	begin();
	apply("first", 1, 0, NULL);
	apply("second", 1, 0, NULL);
	cr_expect(eq(int, hit(FIRST, 1, BAD), 1));
	cr_expect(eq(int, hit(SECOND, 1, BAD), 1));
	apply("first", 1, 0, BAD);
	cr_expect(stopped(BAD_IP));
	apply("first", 0, 0, NULL);
	cr_expect(stopped(BAD_IP));
	apply("second", 0, 0, NULL);
	cr_expect(not(stopped(BAD_IP)));
	end();
}

/* ---- telling ---- */

Test(enforce_agent, each_is_told_in_turn)
{
	struct policy_answer a;
	uint64_t last;
	char addr[32];

	begin();
	apply("first", 1, 0, NULL);
	apply("second", 1, 0, NULL);
	for (unsigned int i = 1; i <= 3; i++) {
		snprintf(addr, sizeof(addr), "192.0.2.%u", i);
		cr_expect(eq(int, hit(FIRST, 1, addr), 1));
	}
	cr_expect(eq(int, hit(SECOND, 1, BAD), 1), "another issuer's business");
	a = ask(ASK_DECIDED, 0);
	cr_assert(eq(u32, a.reply.n, 3));
	for (unsigned int i = 0; i < 3; i++) {
		cr_expect(eq(u32, a.decided[i].addr[15], i + 1));
		cr_expect(eq(u32, a.decided[i].ttl_s, TTL));
		cr_expect(lt(u64, a.decided[i].took_ns, UINT64_C(60000000000)));
		cr_expect(i == 0 || a.decided[i].made_us > a.decided[i - 1].made_us);
	}
	last = a.decided[1].made_us;
	free(a.decided);
	a = ask(ASK_DECIDED, last);
	cr_expect(eq(u32, a.reply.n, 1), "those since then");
	last = a.decided[0].made_us;
	free(a.decided);
	a = ask(ASK_HELD, 0);
	cr_expect(eq(u64, a.reply.decided_us, last));
	end();
}

Test(enforce_agent, is_shown_with_its_rule)
{
	struct policy_answer a;

	begin();
	apply("first", 1, 0, NULL);
	cr_expect(eq(int, hit(FIRST, 1, BAD), 1));
	cr_expect(stopped(BAD_IP));
	a = ask(ASK_SHOW, 0);
	cr_assert(eq(u32, a.reply.n, 1));
	cr_expect(eq(u32, a.shown[0].entries, 1));
	cr_expect(eq(u64, a.shown[0].packets, 1));
	free(a.shown);
	end();
}

/* One decision is some stores, whatever else there is. */
Test(enforce_agent, a_thousand_of_them)
{
	char addr[32];

	begin();
	apply("first", 1, 0, NULL);
	for (unsigned int i = 0; i < 5000; i++) {
		snprintf(addr, sizeof(addr), "192.0.%u.%u", i / 250, 1 + i % 250);
		cr_expect(eq(int, hit(FIRST, 1, addr), i < 4096 ? 1 : -EPERM), "%s", addr);
	}
	cr_expect(stopped(IP4(192, 0, 0, 1)));
	cr_expect(stopped(IP4(192, 0, 16, 96)));
	cr_expect(not(stopped(IP4(192, 0, 16, 97))), "at the bound it is refused");
	end();
}
