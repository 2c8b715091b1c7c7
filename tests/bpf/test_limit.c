// SPDX-License-Identifier: Apache-2.0
/*
 * test_limit.c - limits: rate and burst by packets and by bits, for a rule as a whole and for each
 * source; after idle, after the clock was set, after the limit was changed, and on several CPUs at once.
 * All but the last go by the capture clock, so that every packet's verdict is known beforehand.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <bpf/bpf.h>
#include <pthread.h>
#include <sched.h>
#include <time.h>
#include <unistd.h>
#include "tests/bpf/verdict_rig.h"
#include "weir.skel.h"

TestSuite(limit, .timeout = 600);

static struct verdict_rig r;

#define SOURCE IP4(10, 0, 0, 1)
#define TARGET IP4(10, 0, 9, 2)
#define HEADER 28u /* IPv4 and UDP */

static struct packet udp(__u32 src, __u32 ip_bytes)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, src, TARGET);
	pk_udp(&p, 4000, 53);
	pk_payload(&p, ip_bytes - HEADER);
	pk_end(&p);
	return p;
}

/* One limit on all UDP. */
static void limit(__u32 how, __u64 rate, __u32 burst)
{
	struct policy_rule *rule;

	vr_policy(&r);
	rule = vr_rule(&r, POLICY_LIMIT, RULE_BY_NONE);
	rule->limit = how;
	rule->rate = rate;
	rule->burst = burst;
	rule->match.have = COND_PROTO;
	rule->match.proto = 17;
	cr_assert(eq(int, vr_apply(&r), 0));
}

/* @n packets, evenly over @seconds. Return: those that passed. */
static __u32 passed_of(__u32 n, double seconds, __u32 src, __u32 ip_bytes)
{
	struct packet p = udp(src, ip_bytes);
	__u32 passed = 0;

	for (__u32 i = 0; i < n; i++) {
		passed += !vr_send(&r, VR_XDP, &p);
		r.ns += (__u64)(seconds * 1e9 / n) - 1000; /* sending takes a microsecond */
	}
	return passed;
}

static void open_replay(void)
{
	vr_open(&r, false);
}

static void close_rig(void)
{
	vr_close(&r);
}

/* Burst + rate * seconds, within one packet. */
static void expect_about(__u32 got, __u32 want)
{
	cr_expect(ge(u32, got + 1, want), "passed");
	cr_expect(le(u32, got, want + 1), "passed");
}

Test(limit, packets_a_second_with_burst, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 100, 10);
	cr_expect(eq(u32, passed_of(50, 0.0001, SOURCE, 100), 10), "the burst, at once");
	expect_about(passed_of(10000, 10, SOURCE, 100), 1000);
	cr_expect(eq(u64, vr_counters(&r, 1).passed + vr_counters(&r, 1).packets, 10050));
}

Test(limit, bits_a_second_with_burst_in_bytes, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_BPS, 80000, 1000);
	cr_expect(eq(u32, passed_of(50, 0.0001, SOURCE, 100), 10));
	expect_about(passed_of(10000, 10, SOURCE, 100), 1000);
	expect_about(passed_of(10000, 10, SOURCE, 1000), 100);
}

Test(limit, below_the_rate_everything_passes, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 100, 1);
	cr_expect(eq(u32, passed_of(990, 10, SOURCE, 100), 990));
	cr_expect(zero(u64, vr_counters(&r, 1).packets));
}

Test(limit, each_source_has_its_own, .init = open_replay, .fini = close_rig)
{
	__u32 first = 0, second = 0;

	limit(LIMIT_PPS | LIMIT_PER_SOURCE, 10, 5);
	for (int i = 0; i < 100; i++) {
		first += passed_of(10, 0.005, SOURCE, 100);
		second += passed_of(1, 0.005, SOURCE + 1, 100);
	}
	expect_about(first, 5 + 10);
	expect_about(second, 5 + 10);
	limit(LIMIT_PPS, 10, 5);
	first = passed_of(1, 0.001, SOURCE, 100) + passed_of(20, 0.001, SOURCE + 1, 100) +
		passed_of(20, 0.001, SOURCE + 2, 100);
	cr_expect(le(u32, first, 5), "together, without per source");
}

Test(limit, idle_time_gives_no_more_than_the_burst, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 100, 10);
	passed_of(50, 0.0001, SOURCE, 100);
	vr_wait(&r, 3600);
	cr_expect(eq(u32, passed_of(50, 0.0001, SOURCE, 100), 10));
	vr_wait(&r, 0.05);
	expect_about(passed_of(50, 0.0001, SOURCE, 100), 5);
}

Test(limit, a_clock_that_goes_back_stops_nobody, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 100, 10);
	passed_of(50, 0.0001, SOURCE, 100);
	r.ns -= 3600ull * 1000000000;
	expect_about(passed_of(10000, 10, SOURCE, 100), 1000);
	limit(LIMIT_PPS | LIMIT_PER_SOURCE, 100, 10);
	passed_of(50, 0.0001, SOURCE, 100);
	r.ns -= 3600ull * 1000000000;
	expect_about(passed_of(10000, 10, SOURCE, 100), 1000);
}

Test(limit, a_changed_rate_holds_at_once, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 1, 3000);
	cr_expect(eq(u32, passed_of(4000, 0.1, SOURCE, 100), 3000));
	limit(LIMIT_PPS, 1000, 10);
	expect_about(passed_of(10000, 1, SOURCE, 100), 1000 + 10);
	limit(LIMIT_PPS | LIMIT_PER_SOURCE, 1, 3000);
	cr_expect(eq(u32, passed_of(4000, 0.1, SOURCE, 100), 3000));
	limit(LIMIT_PPS | LIMIT_PER_SOURCE, 1000, 10);
	expect_about(passed_of(10000, 1, SOURCE, 100), 1000);
}

Test(limit, a_packet_larger_than_the_burst_passes_at_the_rate, .init = open_replay,
     .fini = close_rig)
{
	limit(LIMIT_BPS, 80000, 100);
	expect_about(passed_of(10000, 10, SOURCE, 1000), 100);
	expect_about(passed_of(1000, 10, SOURCE, 100), 1000);
}

Test(limit, the_extremes_do_not_wrap, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_BPS, 1, UINT32_MAX);
	cr_expect(eq(u32, passed_of(1000, 1, SOURCE, 1400), 1000), "4 GB of burst");
	limit(LIMIT_BPS, 1, 1400);
	cr_expect(eq(u32, passed_of(1000, 1, SOURCE, 1400), 1), "eight seconds a byte");
	limit(LIMIT_BPS, 1000000000000, UINT32_MAX);
	cr_expect(eq(u32, passed_of(1000, 0.001, SOURCE, 1400), 1000));
	limit(LIMIT_PPS, 1000000000000, 1);
	cr_expect(eq(u32, passed_of(1000, 0.002, SOURCE, 1400), 1000));
}

Test(limit, in_shadow_counts_what_it_would_have_dropped, .init = open_replay, .fini = close_rig)
{
	limit(LIMIT_PPS, 100, 10);
	vr_flags(&r, RULE_SHADOW);
	cr_assert(eq(int, vr_apply(&r), 0));
	cr_expect(eq(u32, passed_of(50, 0.0001, SOURCE, 100), 50));
	cr_expect(eq(u64, vr_counters(&r, 1).would_packets, 40));
	cr_expect(eq(u64, vr_counters(&r, 1).would_bytes, 4000));
}

Test(limit, more_sources_than_there_are_buckets, .init = open_replay, .fini = close_rig)
{
	__u32 loud = 0, strangers = getenv("WEIR_SLOW") ? 20000 : 200000;

	limit(LIMIT_PPS | LIMIT_PER_SOURCE, 10, 5);
	for (__u32 i = 0; i < strangers; i++) {
		struct packet p = udp(IP4(11, 0, 0, 0) + i, 100);

		cr_assert(eq(int, vr_send(&r, VR_XDP, &p), 0), "a stranger's first packet passes");
		if (i % 100)
			continue;
		p = udp(SOURCE, 100);
		loud += !vr_send(&r, VR_XDP, &p);
	}
	/* 0.2 s: 2 of its rate, and what it was given anew with its place, if it lost it */
	cr_expect(le(u32, loud, 5 + 2 + 20), "%u of 2000 passed", loud);
}

/* ---- on all CPUs at once, by the kernel's clock ---- */

#define CPUS_MAX 8u

struct sender {
	pthread_t thread;
	int cpu;
	const volatile bool *stop;
	__u64 sent;
};

static void *send_until(void *arg)
{
	struct sender *s = arg;
	struct packet p = udp(SOURCE, 100);
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p.b, .data_size_in = p.len,
		    .repeat = getenv("WEIR_SLOW") ? 500 : 20000);
	int prog = bpf_program__fd(r.dp.object[0].skel->progs.xdp_flows);
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)s->cpu, &set);
	if (pthread_setaffinity_np(pthread_self(), sizeof(set), &set))
		return "affinity";
	while (!*s->stop) {
		if (bpf_prog_test_run_opts(prog, &o))
			return "test run";
		s->sent += o.repeat;
	}
	return NULL;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Over every CPU there is, for a third of a second. What passes is what the rate allows in the time that
 * really went by, and at most one packet more for each million: those that lost their bucket to
 * other CPUs four times running.
 */
static void flood(__u32 how, __u64 rate, __u32 burst)
{
	long cpus = sysconf(_SC_NPROCESSORS_ONLN);
	__u32 n = cpus < (long)CPUS_MAX ? (__u32)cpus : CPUS_MAX;
	struct sender s[CPUS_MAX] = {};
	volatile bool stop = false;
	struct policy_counters c, before;
	__u64 sent = 0, passed, most;
	double from, took;

	limit(how, rate, burst);
	before = vr_counters(&r, 1);
	from = now_s();
	for (__u32 i = 0; i < n; i++) {
		s[i].cpu = (int)i;
		s[i].stop = &stop;
		cr_assert(zero(int, pthread_create(&s[i].thread, NULL, send_until, &s[i])));
	}
	nanosleep(&(struct timespec){.tv_nsec = 300000000}, NULL);
	stop = true;
	for (__u32 i = 0; i < n; i++) {
		void *why;

		pthread_join(s[i].thread, &why);
		cr_assert(zero(ptr, why));
		sent += s[i].sent;
	}
	took = now_s() - from;
	c = vr_counters(&r, 1);
	passed = c.passed - before.passed;
	most = burst + (__u64)((double)rate * took) + 1;
	cr_expect(eq(u64, passed + c.packets - before.packets, sent), "each one was judged");
	cr_expect(le(u64, passed, most + sent / 1000000 + 1), "of %llu in %.3f s", sent, took);
	if (most > 1000 && sent > 2 * most) /* else the machine was too slow for the rate to show */
		cr_expect(ge(u64, passed * 2, most), "of %llu in %.3f s", sent, took);
}

static void open_live(void)
{
	vr_open(&r, true);
}

Test(limit, all_cpus_share_one_rate, .init = open_live, .fini = close_rig)
{
	flood(LIMIT_PPS, 100000, 20000);
	flood(LIMIT_PPS | LIMIT_PER_SOURCE, 100000, 20000);
	flood(LIMIT_PPS, 10, 1);
}
