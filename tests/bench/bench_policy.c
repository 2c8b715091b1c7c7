// SPDX-License-Identifier: Apache-2.0
/*
 * bench_policy.c - what verdicts cost: established flows and new ones with and without a million
 * listed addresses, 100,000 prefixes and 100,000 names; dropping listed sources beside xdp-filter and
 * beside parsing alone; loading and switching all of it.
 * bench_policy [-n ROUNDS] [-p PACKETS]. Rows: see measure.h.
 */
#include <arpa/inet.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.skel.h"
#include "common/scan.h"
#include "filter.skel.h"
#include "loader/policy/table.h"
#include "tests/bench/lab.h"
#include "tests/bench/measure.h"
#include "tests/bench/peers.h"

#define FLOWS	 (1u << 16)
#define ADDRS	 1000000u
#define PREFIXES 100000u
#define NAMES	 100000u
#define ENTRIES	 (1u << 21)
#define ONE_PCT	 (FLOWS / 100)

struct options {
	uint32_t rounds;
	uint32_t packets;
};

/* The policy at hand. */
struct lists {
	struct policy_rule rules[3];
	struct policy_addr *addrs;
	struct policy_name *names;
	struct policy_set set;
};

struct bench {
	struct options opt;
	struct lab off, on;
	struct policy_table *table;
	struct filter filter;
	struct lists lists;
	struct frame frame;
};

static void print(const char *scenario, uint32_t flows, const char *design, const char *metric,
		  double value)
{
	row_print(&(struct row){.section = "policy",
				.scenario = scenario,
				.hook = "xdp",
				.flows = flows,
				.design = design,
				.metric = metric,
				.value = value});
}

static double now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
}

/* ---- lists ---- */

static void set_addr(struct policy_addr *a, uint32_t addr, uint32_t bits, uint32_t rule)
{
	uint32_t be = htonl(addr);

	*a = (struct policy_addr){.bits = (uint8_t)(96 + bits), .role = ROLE_SRC, .rule = rule};
	a->addr[10] = a->addr[11] = 0xff;
	memcpy(a->addr + 12, &be, 4);
}

/* The generator's source address number @n. */
static uint32_t source(uint32_t n)
{
	return 10u << 24 | (n & 255) << 16 | (n >> 8 & 255) << 8 | (n >> 16 & 255);
}

static void begin_set(struct lists *l)
{
	static const uint8_t keys[3] = {RULE_BY_ADDR, RULE_BY_ADDR, RULE_BY_NAME};

	l->set = (struct policy_set){
		.rules = l->rules, .rules_n = 3, .addrs = l->addrs, .names = l->names};
	for (uint32_t i = 0; i < 3; i++) {
		l->rules[i] = (struct policy_rule){.number = i + 1,
						   .action = POLICY_DROP,
						   .direction = DIR_BOTH,
						   .key = keys[i],
						   .expires = (uint64_t)time(NULL) + 86400};
		l->rules[i].id[0] = (uint8_t)(i + 1);
	}
}

/* @listed of the generator's sources, then strangers up to @addrs, prefixes and names. */
static void fill(struct lists *l, uint32_t listed, uint32_t addrs, uint32_t prefixes,
		 uint32_t names)
{
	begin_set(l);
	for (uint32_t i = 0; i < listed; i++)
		set_addr(&l->addrs[l->set.addrs_n++], source(i), 32, 1);
	for (uint32_t i = listed; i < addrs; i++)
		set_addr(&l->addrs[l->set.addrs_n++], 0x2d000000u + i * 331, 32, 1);
	for (uint32_t i = 0; i < prefixes; i++)
		set_addr(&l->addrs[l->set.addrs_n++], 0x50000000u + (i << 9), 24 - i % 3, 2);
	for (uint32_t i = 0; i < names; i++) {
		struct policy_name *n = &l->names[l->set.names_n++];

		*n = (struct policy_name){.kinds = 7, .how = 1 + i % 2, .rule = 3};
		n->length = (uint16_t)snprintf((char *)n->name, sizeof(n->name),
					       "host-%u.listed.test", i);
	}
}

static void tell_time(struct bench *b)
{
	struct policy_time t = {.unit_ns = b->on.dp.tick_ns << POLICY_JIFFIES_SHIFT};
	uint64_t tick;

	dataplane_now(&b->on.dp, &tick, &t.wall_ns);
	t.now = (uint32_t)(tick >> POLICY_JIFFIES_SHIFT);
	policy_table_time(b->table, &t);
}

/* Return: ms that it took, or -errno. What was there before is gone then, as it is a second later. */
static double apply(struct bench *b)
{
	double from, took;
	int r;

	tell_time(b);
	from = now_ms();
	r = policy_table_apply(b->table, 0, &b->lists.set, NULL);
	took = now_ms() - from;
	policy_table_reclaim(b->table);
	policy_table_reclaim(b->table);
	return r ? r : took;
}

/* ---- packets ---- */

static struct contender contender(const char *name, const struct bpf_program *prog,
				  const struct bpf_map *gen)
{
	return (struct contender){
		.name = name, .prog_fd = bpf_program__fd(prog), .gen_fd = bpf_map__fd(gen)};
}

/* All in turn over @flows sources; each one's net cost under its name. */
static int measure(struct bench *b, const char *scenario, struct contender *c, unsigned int n,
		   uint32_t flows)
{
	double ns, none;
	int r;

	for (unsigned int i = 0; i < n; i++) {
		contender_in_order(&c[i], &b->frame, flows, 0);
		for (int twice = 0; twice < 2; twice++) {
			r = contender_run(&c[i], &b->frame, flows, &ns);
			if (r)
				return r;
		}
		contender_random(&c[i], &b->frame, flows);
	}
	r = contenders_measure(c, n, &b->frame, b->opt.packets, b->opt.rounds);
	if (r)
		return r;
	none = contender_median(&c[0]);
	for (unsigned int i = 1; i < n; i++)
		if (strcmp(c[i].name, "tail call") != 0)
			print(scenario, flows, c[i].name, "net ns",
			      contender_median(&c[i]) - (strcmp(c[i].name, "xdp-filter") != 0
								 ? none
								 : contender_median(&c[n - 2])));
	return 0;
}

static int established(struct bench *b, const char *scenario, uint32_t flows)
{
	struct bench_bpf *off = b->off.plain, *on = b->on.plain;
	struct contender c[] = {
		contender("none", off->progs.none_xdp, off->maps.gen),
		contender("no verdicts", off->progs.weir_xdp, off->maps.gen),
		contender("verdicts", on->progs.weir_xdp, on->maps.gen),
	};

	return measure(b, scenario, c, 3, flows);
}

static int dropping(struct bench *b, const char *scenario, uint32_t flows)
{
	struct bench_bpf *on = b->on.plain;
	struct contender c[] = {
		contender("none", on->progs.none_xdp, on->maps.gen),
		contender("weir", on->progs.weir_xdp, on->maps.gen),
		contender("parse", on->progs.parse_xdp, on->maps.gen),
		{},
		{},
	};
	unsigned int n = 3;

	if (b->filter.front) {
		c[n++] = contender("tail call", b->filter.empty->progs.filter_xdp,
				   b->filter.empty->maps.gen);
		c[n++] = contender("xdp-filter", b->filter.front->progs.filter_xdp,
				   b->filter.front->maps.gen);
	}
	return measure(b, scenario, c, n, flows);
}

static int loading(struct bench *b)
{
	double ms;

	fill(&b->lists, ONE_PCT, ADDRS, PREFIXES, NAMES);
	ms = apply(b);
	if (ms < 0)
		return (int)ms;
	print("load all", 0, "weir", "ms", ms);
	b->lists.addrs[0].addr[15] ^= 1;
	ms = apply(b);
	if (ms < 0)
		return (int)ms;
	print("change one of all", 0, "weir", "ms", ms);
	b->lists.addrs[0].addr[15] ^= 1;
	ms = apply(b);
	return ms < 0 ? (int)ms : 0;
}

/* Another policy, and no flows of before. */
static int change(struct bench *b, uint32_t listed, uint32_t addrs, uint32_t others)
{
	fill(&b->lists, listed, addrs, others ? PREFIXES : 0, others ? NAMES : 0);
	return apply(b) < 0 ? -EIO : lab_clear(&b->on);
}

static int run_established(struct bench *b)
{
	int r = established(b, "established, no policy", 1);

	r = r ?: established(b, "established, no policy", FLOWS);
	r = r ?: loading(b);
	r = r ?: established(b, "established, all loaded, 1 % listed", FLOWS);
	r = r ?: change(b, 0, ADDRS, 1);
	r = r ?: established(b, "established, all loaded", 1);
	return r ?: established(b, "established, all loaded", FLOWS);
}

static int run_drops(struct bench *b)
{
	int r = change(b, 1024, ADDRS, 1);

	r = r ?: dropping(b, "drop, all loaded", 1024);
	r = r ?: change(b, 0, 0, 0);
	r = r ?: established(b, "established, nothing listed", 1024);
	fill(&b->lists, 1024, 1024, 0, 0);
	r = r ?: apply(b) < 0 ? -EIO : 0;
	r = r ?: dropping(b, "drop, flows of before, 1 k listed", 1);
	r = r ?: dropping(b, "drop, flows of before, 1 k listed", 1024);
	r = r ?: lab_clear(&b->on);
	r = r ?: dropping(b, "drop, 1 k listed", 1);
	r = r ?: dropping(b, "drop, 1 k listed", 1024);
	r = r ?: change(b, 1u << 20, 1u << 20, 0);
	return r ?: dropping(b, "drop, 1 M listed", 1u << 20);
}

static int run(struct bench *b)
{
	policy_table_lease(b->table, 86400);
	return run_established(b) ?: run_drops(b);
}

static int open_all(struct bench *b)
{
	struct policy_fds fds;
	int r;

	b->on.policy_entries = ENTRIES;
	b->lists.addrs = calloc((1u << 20) + PREFIXES, sizeof(*b->lists.addrs));
	b->lists.names = calloc(NAMES, sizeof(*b->lists.names));
	if (!b->lists.addrs || !b->lists.names)
		return -ENOMEM;
	frame_build(&b->frame, FRAME_TCP);
	r = filter_open(true, &b->filter);
	if (r)
		fprintf(stderr, "bench: no xdp-filter to compare with: %s\n", strerror(-r));
	r = lab_open(&b->off, FLOWS);
	r = r ?: lab_open(&b->on, FLOWS);
	if (r)
		return r;
	dataplane_policy(&b->on.dp, &fds);
	r = policy_table_open(&fds, &b->table);
	if (!r)
		tell_time(b);
	return r;
}

int main(int argc, char **argv)
{
	static struct bench b = {.opt = {.rounds = 5, .packets = 500000}};
	uint64_t v;
	int c, r;

	while ((c = getopt(argc, argv, "n:p:")) != -1) {
		if (c == '?' || scan_u64(optarg, 1, 1u << 24, &v)) {
			fprintf(stderr, "usage: bench_policy [-n ROUNDS] [-p PACKETS]\n");
			return 2;
		}
		if (c == 'n')
			b.opt.rounds = v <= MEASURE_ROUNDS_MAX ? v : MEASURE_ROUNDS_MAX;
		else
			b.opt.packets = v;
	}
	quiet_libbpf();
	r = -pthread_setname_np(pthread_self(), "bench_policy") ?: pin_cpu(LAB_PACKET_CPU);
	r = r ?: open_all(&b);
	r = r ?: run(&b);
	policy_table_free(b.table);
	lab_close(&b.on);
	lab_close(&b.off);
	filter_close(&b.filter);
	if (r)
		fprintf(stderr, "bench_policy: %s\n", strerror(-r));
	return r ? 1 : 0;
}
