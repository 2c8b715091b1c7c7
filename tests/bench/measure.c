// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/measure.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

void row_print(const struct row *r)
{
	const char *path = getenv("WEIR_BENCH_CSV");
	FILE *f = path ? fopen(path, "ae") : stdout;

	if (!f)
		return;
	fprintf(f, "%s,%s,%s,%u,%s,%s,%.6g\n", r->section, r->scenario, r->hook, r->flows,
		r->design, r->metric, r->value);
	if (path)
		fclose(f);
}

static int print_warning(enum libbpf_print_level level, const char *fmt, va_list ap)
{
	return level == LIBBPF_WARN ? vfprintf(stderr, fmt, ap) : 0;
}

void quiet_libbpf(void)
{
	libbpf_set_print(print_warning);
}

int pin_cpu(int cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

void contender_random(struct contender *c, const struct frame *f, uint32_t flows)
{
	c->gen = f->gen;
	c->gen.order = GEN_RANDOM;
	c->gen.mask = flows - 1;
	c->gen.state = UINT64_C(88172645463325252);
}

void contender_in_order(struct contender *c, const struct frame *f, uint32_t flows, uint32_t last)
{
	c->gen = f->gen;
	c->gen.order = GEN_IN_ORDER;
	c->gen.mask = flows - 1;
	c->gen.state = last;
}

double cpu_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

int contender_run(struct contender *c, const struct frame *f, uint32_t repeat, double *ret_ns)
{
	static uint8_t out[FRAME_MAX + 64];
	const uint32_t zero = 0;
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = f->data, .data_size_in = f->len,
		    .data_out = out, .data_size_out = sizeof(out), .repeat = repeat);
	double begin;
	int r;

	if (bpf_map_update_elem(c->gen_fd, &zero, &c->gen, BPF_ANY))
		return -errno;
	begin = cpu_ns();
	r = bpf_prog_test_run_opts(c->prog_fd, &opts);
	if (r < 0)
		return r;
	*ret_ns = (cpu_ns() - begin) / repeat;
	return bpf_map_lookup_elem(c->gen_fd, &zero, &c->gen) ? -errno : 0;
}

int contenders_measure(struct contender *c, unsigned int n, const struct frame *f, uint32_t repeat,
		       unsigned int rounds)
{
	int r;

	for (unsigned int round = 0; round < rounds; round++) {
		for (unsigned int i = 0; i < n; i++) {
			r = contender_run(&c[i], f, repeat, &c[i].ns[round]);
			if (r < 0)
				return r;
			c[i].rounds = round + 1;
		}
	}
	return 0;
}

static int compare_double(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

double median(const double *v, unsigned int n)
{
	double s[MEASURE_ROUNDS_MAX];

	if (!n)
		return 0;
	memcpy(s, v, n * sizeof(*s));
	qsort(s, n, sizeof(*s), compare_double);
	return n % 2 ? s[n / 2] : (s[n / 2 - 1] + s[n / 2]) / 2;
}

double contender_median(const struct contender *c)
{
	return median(c->ns, c->rounds);
}
