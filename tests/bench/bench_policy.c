// SPDX-License-Identifier: Apache-2.0
/*
 * bench_policy.c - what verdicts cost: established flows and new ones with and without a million
 * listed addresses, 100,000 prefixes and 100,000 names; dropping listed sources beside xdp-filter and
 * beside parsing alone; loading and switching all of it.
 * bench_policy [-d] [-n ROUNDS] [-p PACKETS], -d: only drops. Rows: see measure.h.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.skel.h"
#include "common/scan.h"
#include "filter.skel.h"
#include "tests/bench/lists.h"
#include "tests/bench/measure.h"
#include "tests/bench/peers.h"

#define FLOWS	 (1u << 16)
#define ADDRS	 1000000u
#define PREFIXES 100000u
#define NAMES	 100000u
#define ONE_PCT	 (FLOWS / 100)

struct options {
	uint32_t rounds;
	uint32_t packets;
	bool drops; /* nothing else */
};

struct bench {
	struct options opt;
	struct lab off, on;
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

static void fill(struct bench *b, uint32_t listed, uint32_t addrs, bool others)
{
	lists_fill(&b->lists,
		   &(struct lists_size){listed, addrs, others ? PREFIXES : 0, others ? NAMES : 0});
}

static int loading(struct bench *b)
{
	double ms;

	fill(b, ONE_PCT, ADDRS, true);
	ms = lists_apply(&b->lists);
	if (ms < 0)
		return (int)ms;
	print("load all", 0, "weir", "ms", ms);
	b->lists.addrs[0].addr[15] ^= 1;
	ms = lists_apply(&b->lists);
	if (ms < 0)
		return (int)ms;
	print("change one of all", 0, "weir", "ms", ms);
	b->lists.addrs[0].addr[15] ^= 1;
	ms = lists_apply(&b->lists);
	return ms < 0 ? (int)ms : 0;
}

/* Another policy, and no flows of before. */
static int change(struct bench *b, uint32_t listed, uint32_t addrs, bool others)
{
	fill(b, listed, addrs, others);
	return lists_apply(&b->lists) < 0 ? -EIO : lab_clear(&b->on);
}

static int run_established(struct bench *b)
{
	int r = established(b, "established, no policy", 1);

	r = r ?: established(b, "established, no policy", FLOWS);
	r = r ?: loading(b);
	r = r ?: established(b, "established, all loaded, 1 % listed", FLOWS);
	r = r ?: change(b, 0, ADDRS, true);
	r = r ?: established(b, "established, all loaded", 1);
	return r ?: established(b, "established, all loaded", FLOWS);
}

static int run_drops(struct bench *b)
{
	int r = change(b, 1024, ADDRS, true);

	r = r ?: dropping(b, "drop, all loaded", 1024);
	r = r ?: change(b, 0, 0, false);
	r = r ?: established(b, "established, nothing listed", 1024);
	fill(b, 1024, 1024, false);
	r = r ?: lists_apply(&b->lists) < 0 ? -EIO : 0;
	r = r ?: dropping(b, "drop, flows of before, 1 k listed", 1);
	r = r ?: dropping(b, "drop, flows of before, 1 k listed", 1024);
	r = r ?: lab_clear(&b->on);
	r = r ?: dropping(b, "drop, 1 k listed", 1);
	r = r ?: dropping(b, "drop, 1 k listed", 1024);
	r = r ?: change(b, 1u << 20, 1u << 20, false);
	return r ?: dropping(b, "drop, 1 M listed", 1u << 20);
}

static int run(struct bench *b)
{
	int r = b->opt.drops ? 0 : run_established(b);

	return r ?: run_drops(b);
}

static int open_all(struct bench *b)
{
	int r;

	b->on.policy_entries = LISTS_ENTRIES;
	frame_build(&b->frame, FRAME_TCP);
	r = filter_open(true, &b->filter);
	if (r)
		fprintf(stderr, "bench: no xdp-filter to compare with: %s\n", strerror(-r));
	r = lab_open(&b->off, FLOWS);
	r = r ?: lab_open(&b->on, FLOWS);
	return r ?: lists_open(&b->lists, &b->on);
}

int main(int argc, char **argv)
{
	static struct bench b = {.opt = {.rounds = 5, .packets = 500000}};
	uint64_t v;
	int c, r;

	while ((c = getopt(argc, argv, "dn:p:")) != -1) {
		if (c == 'd') {
			b.opt.drops = true;
			continue;
		}
		if (c == '?' || scan_u64(optarg, 1, 1u << 24, &v)) {
			fprintf(stderr, "usage: bench_policy [-d] [-n ROUNDS] [-p PACKETS]\n");
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
	lists_close(&b.lists);
	lab_close(&b.on);
	lab_close(&b.off);
	filter_close(&b.filter);
	if (r)
		fprintf(stderr, "bench_policy: %s\n", strerror(-r));
	return r ? 1 : 0;
}
