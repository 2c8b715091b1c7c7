// SPDX-License-Identifier: Apache-2.0
/*
 * bench_drain.c - what it costs to drain a cache of 1 Mi live flows, half of them on each of two CPUs:
 * CPU time and system calls of drain_scan() with the real merge behind it; records are counted, not
 * encoded. Each packet must come out exactly once.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "bench.skel.h"
#include "tests/bench/lab.h"
#include "tests/bench/measure.h"
#include "tests/bench/syscalls.h"
#include "weir/counters.h"

#define FLOWS  (1u << 20)
#define PART   (1u << 16) /* flows that change in "1/16 changed" */
#define ROUNDS 5u

struct drainer {
	struct lab lab;
	struct frame frame;
	int syscalls_fd;
	uint64_t sent;
};

static void print(const char *scenario, const char *metric, double value)
{
	row_print(&(struct row){.section = "drain",
				.scenario = scenario,
				.hook = "",
				.flows = FLOWS,
				.design = "weir",
				.metric = metric,
				.value = value});
}

/* One packet of each of @n flows from @first on, on one CPU. */
static int send_part(struct drainer *d, int cpu, uint32_t first, uint32_t n)
{
	const struct bench_bpf *own = d->lab.plain;
	struct contender c = {.name = "weir",
			      .prog_fd = bpf_program__fd(own->progs.weir_xdp),
			      .gen_fd = bpf_map__fd(own->maps.gen)};
	double ns;
	int r = pin_cpu(cpu);

	contender_in_order(&c, &d->frame, FLOWS, first);
	r = r ?: contender_run(&c, &d->frame, n, &ns);
	d->sent += n;
	return r;
}

/* One packet of the first @n flows of each CPU; the scan's clock moves on. */
static int send_packets(struct drainer *d, uint32_t n)
{
	int r = send_part(d, 0, 0, n / 2);

	r = r ?: send_part(d, 1, FLOWS / 2, n / 2);
	usleep(2 * d->lab.dp.tick_ns / 1000);
	return r ?: pin_cpu(LAB_DRAIN_CPU);
}

struct cost {
	double ms[ROUNDS];
	double merged[ROUNDS];
	uint64_t calls;
};

static void scan(struct drainer *d, struct cost *c, unsigned int round)
{
	struct lab *l = &d->lab;
	uint64_t entries = drain_stats(l->drain)->entries, calls = 0;
	double begin;

	lab_tell_time(l);
	if (d->syscalls_fd >= 0)
		calls = syscalls_read(d->syscalls_fd);
	begin = cpu_ns();
	drain_scan(l->drain, &l->clock);
	c->ms[round] = (cpu_ns() - begin) / 1e6;
	/* the reading itself and both of the clock's are calls too */
	if (d->syscalls_fd >= 0)
		c->calls += syscalls_read(d->syscalls_fd) - calls - 3;
	c->merged[round] = (double)(drain_stats(l->drain)->entries - entries);
	merge_tick(l->merge);
}

static void print_cost(const struct drainer *d, const char *scenario, const struct cost *c,
		       unsigned int rounds)
{
	print(scenario, "cpu ms", median(c->ms, rounds));
	print(scenario, "entries merged", median(c->merged, rounds));
	if (d->syscalls_fd >= 0)
		print(scenario, "system calls", (double)c->calls / rounds);
}

/* Every round: @n flows change (0: none), one scan. */
static int measure(struct drainer *d, const char *scenario, uint32_t n, unsigned int rounds)
{
	struct cost c = {};
	int r = 0;

	/* twice more what did not change: then it is known that it did not */
	for (int i = 0; i < 2 && !n; i++) {
		usleep(2 * d->lab.dp.tick_ns / 1000);
		scan(d, &c, 0);
	}
	c.calls = 0;
	for (unsigned int i = 0; i < rounds && !r; i++) {
		r = n ? send_packets(d, n) : 0;
		scan(d, &c, i);
	}
	if (!r)
		print_cost(d, scenario, &c, rounds);
	return r;
}

static int run(struct drainer *d)
{
	int r;

	frame_build(&d->frame, FRAME_TCP);
	r = lab_open(&d->lab, FLOWS / 2);
	r = r ?: lab_clear(&d->lab);
	r = r ?: measure(d, "all new", FLOWS, 1);
	r = r ?: measure(d, "all changed", FLOWS, ROUNDS);
	r = r ?: measure(d, "1/16 changed", PART, ROUNDS);
	r = r ?: measure(d, "none changed", 0, ROUNDS);
	return r;
}

int main(void)
{
	static struct drainer d;
	int64_t missing;
	int r;

	quiet_libbpf();
	d.syscalls_fd = syscalls_open();
	if (d.syscalls_fd < 0)
		fprintf(stderr, "bench: system calls are not counted: %s\n",
			strerror(-d.syscalls_fd));
	fprintf(stderr, "bench: drain, %u flows\n", FLOWS);
	r = run(&d);
	if (!r) {
		lab_finish(&d.lab);
		missing = d.sent - d.lab.packets - dataplane_counter(&d.lab.dp, CNT_LOST_PACKETS);
		print("all", "unaccounted", (double)missing);
		r = missing ? -EBADMSG : 0;
	}
	lab_close(&d.lab);
	if (r)
		fprintf(stderr, "bench_drain: %s\n", strerror(-r));
	return r ? 1 : 0;
}
