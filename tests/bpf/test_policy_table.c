// SPDX-License-Identifier: Apache-2.0
/*
 * test_policy_table.c - the tables of the verdicts against a naive model: rules and entries come, change,
 * expire and go at random, by whole sets and one at a time; after each step some addresses are looked
 * for through the programs. And: what doesn't fit changes nothing, and no packet falls between two policies.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <bpf/bpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"
#include "weir.skel.h"

#define ISSUERS 3u
#define RULES	6u
#define HOSTS	64u
#define NETS	(HOSTS / 8) /* prefixes, each of eight of them */
#define LISTED	(HOSTS + NETS)
#define NEVER	(RULES - 1) /* this rule of each issuer's lets pass */
#define STEPS	1500u

TestSuite(policy_table, .timeout = 600);

static struct verdict_rig r;
static uint64_t seed = 99;
static uint16_t port;

/* What should be: of each issuer's rule, until when it holds and what it lists until when; 0: not. */
static struct {
	uint64_t rule;
	uint64_t host[LISTED];
} model[ISSUERS][RULES];

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 40) % n;
}

static uint64_t now(void)
{
	return r.ns / 1000000000;
}

static struct packet from_host(uint32_t host)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, IP4(10, 1, host / 8, host % 8), IP4(10, 2, 0, 1));
	pk_tcp(&p, ++port, 80, 2);
	pk_end(&p);
	return p;
}

/* Does a rule hold for a host, by its address or its prefix? */
static bool rule_has(uint32_t issuer, uint32_t rule, uint32_t host)
{
	return model[issuer][rule].rule > now() &&
	       (model[issuer][rule].host[host] > now() ||
		model[issuer][rule].host[HOSTS + host / 8] > now());
}

static void check_some(uint32_t n)
{
	for (; n; n--) {
		uint32_t host = rnd(HOSTS);
		struct packet p = from_host(host);
		bool drop = false, never = false;

		for (uint32_t i = 0; i < ISSUERS * RULES; i++)
			*(i % RULES == NEVER ? &never : &drop) |=
				rule_has(i / RULES, i % RULES, host);
		cr_assert(eq(int, vr_send(&r, VR_XDP, &p), drop && !never), "host %u", host);
	}
}

/* Far enough from now that the clock's coarseness does not matter, either way. */
static uint64_t some_end(void)
{
	return now() + (rnd(3) ? 1000 : 10 * (1 + rnd(4)));
}

static void rule_to_set(uint32_t rule, uint64_t expires)
{
	struct policy_rule *p = &r.rules[r.set.rules_n++];

	*p = (struct policy_rule){.number = rule + 1,
				  .action = rule == NEVER ? POLICY_NEVER : POLICY_DROP,
				  .key = RULE_BY_ADDR,
				  .direction = DIR_BOTH,
				  .expires = expires};
	p->id[0] = (uint8_t)(rule + 1);
}

/* Hosts, and sometimes a prefix. */
static uint32_t some_listed(void)
{
	return rnd(20) ? rnd(HOSTS) : HOSTS + rnd(NETS);
}

static void host_to_set(uint32_t rule, uint32_t host, uint64_t expires)
{
	struct policy_addr *a = &r.addrs[r.set.addrs_n++];
	char text[32];

	if (host < HOSTS)
		snprintf(text, sizeof(text), "10.1.%u.%u", host / 8, host % 8);
	else
		snprintf(text, sizeof(text), "10.1.%u.0", host - HOSTS);
	*a = (struct policy_addr){.bits = host < HOSTS ? 128 : 96 + 24,
				  .role = ROLE_SRC,
				  .rule = rule + 1,
				  .expires = expires};
	vr_address(text, a->addr);
}

/* All that an issuer wants, anew. */
static void step_apply(uint32_t issuer)
{
	memset(model[issuer], 0, sizeof(model[issuer]));
	for (uint32_t i = 0; i < RULES; i++) {
		if (!rnd(3))
			continue;
		model[issuer][i].rule = some_end();
		rule_to_set(i, model[issuer][i].rule);
		for (uint32_t n = rnd(20); n; n--) {
			uint32_t host = some_listed();
			uint64_t end = some_end(), *have = &model[issuer][i].host[host];

			host_to_set(i, host, end);
			*have = end > *have ? end : *have;
		}
	}
	cr_assert(eq(int, policy_table_apply(r.table, issuer, &r.set, NULL), 0));
}

static void step_add(uint32_t issuer)
{
	uint32_t rule = rnd(RULES), host = some_listed();

	if (model[issuer][rule].rule <= now()) {
		memset(&model[issuer][rule], 0, sizeof(model[issuer][rule]));
		policy_table_reclaim(r.table); /* what expired has gone */
		model[issuer][rule].rule = now() + 2000;
		rule_to_set(rule, now() + 2000);
	}
	model[issuer][rule].host[host] = some_end();
	host_to_set(rule, host, model[issuer][rule].host[host]);
	cr_assert(eq(int, policy_table_add(r.table, issuer, &r.set, NULL), 0));
}

static void step_remove(uint32_t issuer)
{
	uint32_t rule = rnd(RULES);
	uint8_t id[16] = {(uint8_t)(rule + 1)};

	policy_table_remove(r.table, issuer, id);
	memset(&model[issuer][rule], 0, sizeof(model[issuer][rule]));
}

static void step_unlist(uint32_t issuer)
{
	uint32_t host = some_listed();

	host_to_set(0, host, 0);
	policy_table_unlist(r.table, issuer, &r.set);
	for (uint32_t i = 0; i < RULES; i++)
		model[issuer][i].host[host] = 0;
}

static void set_clock(void)
{
	vr_wait(&r, rnd(4) ? 0.01 : 5);
	/* no end lies within a unit of the clock: wait until none does */
	for (uint32_t i = 0; i < ISSUERS * RULES * (LISTED + 1); i++) {
		uint32_t h = i % (LISTED + 1), rule = i / (LISTED + 1);
		uint64_t end = h ? model[rule / RULES][rule % RULES].host[h - 1]
				 : model[rule / RULES][rule % RULES].rule;

		if (end + 3 > now() && end < now() + 3) {
			vr_wait(&r, 6);
			i = 0;
		}
	}
}

Test(policy_table, holds_what_a_naive_model_holds)
{
	void (*const steps[])(uint32_t) = {step_apply, step_add,    step_add,
					   step_add,   step_remove, step_unlist};

	vr_open(&r, false);
	for (uint32_t i = 0; i < STEPS; i++) {
		set_clock();
		vr_policy(&r);
		steps[rnd(6)](rnd(ISSUERS));
		if (!rnd(5))
			policy_table_reclaim(r.table);
		check_some(20);
	}
	vr_close(&r);
}

Test(policy_table, what_does_not_fit_changes_nothing)
{
	static struct policy_addr many[VR_ENTRIES + 1];
	struct policy_usage before, after;
	struct packet p;

	vr_open(&r, false);
	vr_policy(&r);
	rule_to_set(0, now() + 1000);
	host_to_set(0, 3, now() + 1000);
	cr_assert(eq(int, policy_table_apply(r.table, 0, &r.set, NULL), 0));
	policy_table_usage(r.table, &before);
	vr_policy(&r);
	rule_to_set(1, now() + 1000);
	for (uint32_t i = 0; i <= VR_ENTRIES; i++) {
		many[i] = (struct policy_addr){.bits = 128, .role = ROLE_SRC, .rule = 2};
		memcpy(many[i].addr + 12, &i, sizeof(i));
	}
	r.set.addrs = many;
	r.set.addrs_n = VR_ENTRIES + 1;
	cr_expect(eq(int, policy_table_fits(r.table, 1, &r.set, NULL), -28));
	cr_expect(eq(int, policy_table_apply(r.table, 1, &r.set, NULL), -28));
	policy_table_usage(r.table, &after);
	cr_expect(eq(u32, after.rules, before.rules));
	cr_expect(eq(u32, after.decisions, before.decisions));
	cr_expect(eq(u32, after.generation, before.generation));
	p = from_host(3);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 1));
	p = from_host(4);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	vr_close(&r);
}

/* ---- one generation ---- */

#define FLIPS 300u /* at least, and until so many packets have been judged meanwhile */
#define PAIRS 100u

static atomic_bool flipping;

/* Ends the flips too when it ends. Return: NULL, or what went wrong. */
static const char *send_until_over(atomic_uint_least64_t *sent)
{
	struct packet p = from_host(0);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p.b, .data_size_in = p.len, .repeat = 1);
	int prog = bpf_program__fd(r.dp.object[0].skel->progs.xdp_flows);

	while (flipping) {
		if (bpf_prog_test_run_opts(prog, &o))
			return "test run";
		if (o.retval != XDP_DROP)
			return "a packet saw neither policy";
		++*sent;
	}
	return NULL;
}

static void *send_pairs(void *arg)
{
	const char *why = send_until_over(arg);

	flipping = false;
	return (void *)(uintptr_t)why;
}

/* One policy stops the source, the other the destination: whoever sees either whole is stopped. */
static void flip(bool source)
{
	struct policy_rule *rule;

	vr_policy(&r);
	rule = vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	rule->id[8] = source;
	vr_addr(&r, source ? "10.1.0.0" : "10.2.0.1", 32, source ? ROLE_SRC : ROLE_DST);
	cr_assert(zero(int, vr_apply(&r)));
	policy_table_reclaim(r.table);
}

Test(policy_table, a_packet_sees_exactly_one_generation)
{
	atomic_uint_least64_t sent = 0;
	pthread_t thread;
	void *why;

	vr_open(&r, true);
	flip(false);
	flipping = true;
	cr_assert(zero(int, pthread_create(&thread, NULL, send_pairs, &sent)));
	for (uint32_t i = 0; flipping && (i < FLIPS || sent <= PAIRS); i++)
		flip(i % 2);
	flipping = false;
	pthread_join(thread, &why);
	cr_expect(zero(ptr, why), "%s after %llu packets", (const char *)why,
		  (unsigned long long)sent);
	cr_expect(gt(u64, sent, PAIRS));
	vr_close(&r);
}
