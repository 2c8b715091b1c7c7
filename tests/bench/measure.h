/* SPDX-License-Identifier: Apache-2.0 */
/*
 * measure.h - test runs, medians, and the rows of the result table. One thread.
 */
#ifndef WEIR_BENCH_MEASURE_H
#define WEIR_BENCH_MEASURE_H

#include <stddef.h>
#include <stdint.h>
#include "tests/bench/frames.h"

#define MEASURE_ROUNDS_MAX 31u

/* One program of a comparison: what it cost in each round, ns per packet. */
struct contender {
	const char *name; /* column of the table */
	int prog_fd;
	int gen_fd;	/* its generator, struct gen */
	struct gen gen; /* where the generator goes on */
	double ns[MEASURE_ROUNDS_MAX];
	unsigned int rounds;
};

/* A row of the CSV; also what the table is made of. */
struct row {
	const char *section;  /* "packet", "flood", "drain", "live", ... */
	const char *scenario; /* "tcp", "udp", ... */
	const char *hook;     /* "xdp", "tc" or "" */
	uint32_t flows;
	const char *design; /* "weir", "hash", ... */
	const char *metric; /* "ns", "ratio", "ms", "mpps", "pct", "packets" */
	double value;
};

/* Append a row to the file named by WEIR_BENCH_CSV, or to standard output. */
void row_print(const struct row *r);

/* Have libbpf say what is wrong, and nothing else. */
void quiet_libbpf(void);

/* Run this thread on one CPU. Return: 0 or -errno. */
int pin_cpu(int cpu);

/* Set what the generator does next: any of @flows (a power of two) in random order. */
void contender_random(struct contender *c, const struct frame *f, uint32_t flows);

/* One flow after the other, beginning behind number @last. */
void contender_in_order(struct contender *c, const struct frame *f, uint32_t flows, uint32_t last);

/**
 * contender_run - one test run
 * @f:      frame; stays as it is
 * @repeat: packets
 *
 * The kernel's own figure is wall clock; CPU time leaves out what other processes take.
 * Return: 0 with ns of CPU per packet, or -errno.
 */
int contender_run(struct contender *c, const struct frame *f, uint32_t repeat, double *ret_ns);

/**
 * contenders_measure - all programs in turn, round after round, so that what else the machine does
 * falls on all of them
 *
 * Return: 0 or -errno; c[i].ns filled.
 */
int contenders_measure(struct contender *c, unsigned int n, const struct frame *f, uint32_t repeat,
		       unsigned int rounds);

/* CPU time of this thread. */
double cpu_ns(void);

double median(const double *v, unsigned int n);
double contender_median(const struct contender *c);

#endif
