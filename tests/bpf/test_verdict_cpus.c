/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_verdict_cpus.c - all CPUs judge packets of the same flows at the same time, while the policy changes
 * under them: each packet is in a flow or counted as dropped before one, exactly once, and what was dropped is
 * what rules, decisions and flows say.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <linux/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>
#include "hello.h"
#include "tests/bpf/verdict_rig.h"
#include "weir.skel.h"
#include "weir/counters.h"

#define CPUS_MAX 8u
#define PER_CPU	 40000u
#define HOSTS	 40u
#define SERVER	 IP4(198, 51, 100, 1)
#define ACK	 16

static struct verdict_rig r;

enum {
	RULE_HOST = 1,
	RULE_NET,
	RULE_PORT,
	RULE_SHADOWED,
	RULE_LIMITED,
	RULE_NAMED,
	RULES = RULE_NAMED
};

/* Of 192.0.2.x: 1 to 9 are listed one by one, 32 to 39 as a network; ports and names decide on the others. */
static struct packet packet_of(unsigned int *seed)
{
	static const char *const names[] = {"www.allowed.test", "www.blocked.test"};
	const unsigned int x = (unsigned int)rand_r(seed), host = x % HOSTS, flow = x / 64 % 8;
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, IP4(192, 0, 2, 0) + host, SERVER);
	if (x / 512 % 3 == 0) { /* port 9: a rule without key; 10: in shadow; 11: a limit */
		pk_udp(&p, (__u16)(1000 + flow), (__u16)(8 + x / 4096 % 4));
		pk_data(&p, "0123456789", x / 65536 % 10);
	} else {
		const __u32 off = pk_tcp(&p, (__u16)(2000 + flow), 80, ACK);

		pk_set32(&p, off + 4, 1000 + x / 65536 % 1000);
		if (x / 512 % 3 == 1) {
			struct msg m = {};

			msg_text(&m, "GET / HTTP/1.1\r\nHost: ");
			msg_text(&m, names[flow & 1]);
			msg_text(&m, "\r\n\r\n");
			pk_data(&p, m.b, m.len);
		}
	}
	pk_end(&p);
	return p;
}

struct sender {
	pthread_t thread;
	int cpu;
	uint32_t packets;
	uint64_t bytes, dropped, dropped_bytes;
};

static atomic_uint ended;

static const char *send_some(struct sender *s)
{
	const int prog = bpf_program__fd(r.dp.object[0].skel->progs.xdp_flows);
	const unsigned int n = getenv("WEIR_SLOW") ? PER_CPU / 20 : PER_CPU;
	unsigned int seed = 17 + (unsigned int)s->cpu;

	for (unsigned int i = 0; i < n; i++) {
		struct packet p = packet_of(&seed);
		LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p.b, .data_size_in = p.len,
			    .repeat = 1);

		if (bpf_prog_test_run_opts(prog, &o))
			return "test run";
		s->packets++;
		s->bytes += p.len - 14;
		if (o.retval != XDP_DROP)
			continue;
		s->dropped++;
		s->dropped_bytes += p.len - 14;
	}
	return NULL;
}

static void *sender(void *arg)
{
	struct sender *s = arg;
	const char *why = "affinity";
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)s->cpu, &set);
	if (!pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		why = send_some(s);
	atomic_fetch_add(&ended, 1);
	return (void *)(uintptr_t)why;
}

/* Whose numbers are those above; with another host each time, so that all verdicts are found anew. */
static void change(unsigned int turn)
{
	static const char *const more[] = {"203.0.113.1", "203.0.113.2"};
	struct policy_rule *rule;

	vr_policy(&r);
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	for (unsigned int i = 1; i < 10; i++) {
		char text[16];

		snprintf(text, sizeof(text), "192.0.2.%u", i);
		vr_addr(&r, text, 32, ROLE_SRC);
	}
	vr_addr(&r, more[turn % 2], 32, ROLE_SRC);
	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "192.0.2.32", 29, ROLE_SRC);
	for (__u16 port = 9; port < 12; port++) {
		rule = vr_rule(&r, port == 11 ? POLICY_LIMIT : POLICY_DROP, RULE_BY_NONE);
		rule->match.have = COND_PROTO | COND_DST_PORT;
		rule->match.proto = 17;
		rule->match.dst_port[0] = rule->match.dst_port[1] = port;
		rule->flags = port == 10 ? RULE_SHADOW : 0;
		rule->limit = LIMIT_PPS;
		rule->rate = 10; /* fewer than the slowest machine sends */
		rule->burst = 10;
	}
	vr_rule(&r, POLICY_DROP, RULE_BY_NAME);
	vr_name(&r, "www.blocked.test", NAME_EXACT);
	cr_assert(zero(int, vr_apply(&r)));
}

struct sums {
	uint64_t packets, bytes;
};

/* Of all entries of the cache, or of what policy did to them. */
static void sum_flows(struct sums *ret_flows, struct sums *ret_dropped)
{
	for (size_t i = 0; i < r.dp.slots; i++) {
		const struct flow_hot *h = &r.dp.flows[i / WEIR_WAYS].way[i % WEIR_WAYS];

		if (!h->tag)
			continue;
		ret_flows->packets += (uint64_t)h->packets[0] + h->packets[1];
		ret_flows->bytes += h->bytes[0] + h->bytes[1];
		if (!(h->extra & EXTRA_DROPPED))
			continue;
		ret_dropped->packets += r.dp.dropped[i].packets;
		ret_dropped->bytes += r.dp.dropped[i].bytes;
	}
}

static int add_decision(void *arg, uint32_t number, const struct policy_decision *d)
{
	struct sums *of = arg;

	(void)number;
	if (d->kind != KIND_ADDR)
		return 0;
	of->packets += d->packets;
	of->bytes += d->bytes;
	return 0;
}

static void expect_conserved(const struct sender *all)
{
	const uint64_t before = vr_count(&r, CNT_DROPPED_PACKETS),
		       bytes = vr_count(&r, CNT_DROPPED_BYTES);
	struct sums flows = {}, dropped = {}, decisions = {}, rules = {};

	cr_assert(zero(u64, vr_count(&r, CNT_LOST_PACKETS)));
	cr_assert(zero(u64, vr_count(&r, CNT_EVICTED)), "the cache holds them all");
	sum_flows(&flows, &dropped);
	cr_expect(eq(u64, flows.packets + before, all->packets),
		  "sent = in flows + dropped before them");
	cr_expect(eq(u64, flows.bytes + bytes, all->bytes));
	cr_expect(eq(u64, dropped.packets, vr_count(&r, CNT_DROPPED_IN_FLOWS)));
	cr_expect(eq(u64, dropped.bytes, vr_count(&r, CNT_DROPPED_IN_FLOWS_BYTES)));
	cr_expect(eq(u64, dropped.packets + before, all->dropped), "as the programs answered");
	cr_expect(eq(u64, dropped.bytes + bytes, all->dropped_bytes));
	for (uint32_t i = 1; i <= RULES; i++) {
		const struct policy_counters c = vr_counters(&r, i);

		rules.packets += c.packets;
		rules.bytes += c.bytes;
		if (i != RULE_SHADOWED)
			cr_expect(gt(u64, c.packets, 0), "rule %u", i);
	}
	cr_expect(eq(u64, rules.packets, all->dropped), "rules");
	cr_expect(eq(u64, rules.bytes, all->dropped_bytes));
	cr_expect(gt(u64, vr_counters(&r, RULE_SHADOWED).would_packets, 0));
	cr_expect(zero(u64, vr_counters(&r, RULE_SHADOWED).packets));
	policy_table_decisions(r.table, NULL, add_decision, &decisions);
	cr_expect(eq(u64, decisions.packets,
		     vr_counters(&r, RULE_HOST).packets + vr_counters(&r, RULE_NET).packets));
	cr_expect(eq(u64, decisions.bytes,
		     vr_counters(&r, RULE_HOST).bytes + vr_counters(&r, RULE_NET).bytes));
}

static void open_live(void)
{
	vr_open(&r, true);
}

static void close_rig(void)
{
	vr_close(&r);
}

TestSuite(verdict_cpus, .timeout = 600);

Test(verdict_cpus, each_packet_is_in_a_flow_or_dropped_and_counted_once, .init = open_live,
     .fini = close_rig)
{
	const long online = sysconf(_SC_NPROCESSORS_ONLN);
	const unsigned int n = online < (long)CPUS_MAX ? (unsigned int)online : CPUS_MAX;
	struct sender s[CPUS_MAX] = {}, all = {};

	change(0);
	for (unsigned int i = 0; i < n; i++) {
		s[i].cpu = (int)i;
		cr_assert(zero(int, pthread_create(&s[i].thread, NULL, sender, &s[i])));
	}
	for (unsigned int turn = 1; atomic_load(&ended) < n; turn++) {
		change(turn);
		policy_table_reclaim(r.table);
		nanosleep(&(struct timespec){.tv_nsec = 5000000}, NULL);
	}
	for (unsigned int i = 0; i < n; i++) {
		void *why;

		pthread_join(s[i].thread, &why);
		cr_assert(zero(ptr, why));
		all.packets += s[i].packets;
		all.bytes += s[i].bytes;
		all.dropped += s[i].dropped;
		all.dropped_bytes += s[i].dropped_bytes;
	}
	cr_assert(gt(u64, all.dropped, 0));
	cr_assert(lt(u64, all.dropped, all.packets));
	expect_conserved(&all);
}
