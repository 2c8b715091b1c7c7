// SPDX-License-Identifier: Apache-2.0
/*
 * bench_merge.c - CPU time of merging, per flow, without encoding: new flows, known flows that
 * changed, evicted lone SYNs, and their end. bench_merge [FLOWS]
 *
 * The caller's part is as in a drain: entries lie in slot order in a big table and are copied
 * before they are handed over.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "common/scan.h"
#include "loader/merge.h"

#define BATCH 32u

struct source {
	struct flow_hot *hot;
	struct flow_cold *cold;
	uint32_t *ref;
	uint32_t n;
};

static uint64_t rng_state = 1;

static uint64_t rng(void)
{
	uint64_t z = rng_state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

static double cpu_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &ts);
	return (double)ts.tv_sec * 1e9 + (double)ts.tv_nsec;
}

static void emit(void *arg, const struct flow_record *r)
{
	uint64_t *packets = arg;

	packets[0] += r->packets;
	packets[1]++;
}

static void fill(struct source *s, uint8_t flags, uint32_t tick)
{
	for (uint32_t i = 0; i < s->n; i++) {
		struct flow_hot *h = &s->hot[i];
		struct flow_cold *c = &s->cold[i];
		uint64_t r = rng();

		memset(h, 0, sizeof(*h));
		memset(c, 0, sizeof(*c));
		h->tag = rng() << 16 | 1;
		h->packets[0] = 1;
		h->bytes[0] = 40;
		h->last[0] = c->first[0] = tick;
		h->tcp_flags[0] = flags;
		c->key.addr[0][10] = c->key.addr[0][11] = 0xff;
		c->key.addr[1][10] = c->key.addr[1][11] = 0xff;
		memcpy(&c->key.addr[0][12], &r, 4);
		memcpy(&c->key.addr[1][12], &i, 4);
		c->key.port[0] = (uint16_t)(r >> 32);
		c->key.port[1] = 443;
		c->key.ethertype = 0x0800;
		c->key.proto = 6;
		c->init_why = flags & 2 ? INIT_SYN : INIT_FIRST_SEEN;
		c->ttl_min[0] = c->ttl_max[0] = h->ttl[0] = 64;
		s->ref[i] = 0;
	}
}

/* One pass over all entries; every one has changed by one packet. */
static double pass(struct merge *m, struct source *s, int final)
{
	static struct flow_final copy[BATCH];
	static struct merge_delta d[BATCH];
	double t = cpu_now();
	unsigned int n = 0;

	for (uint32_t i = 0; i < s->n; i++) {
		copy[n].hot = s->hot[i];
		copy[n].cold = s->cold[i];
		d[n] = (struct merge_delta){.hot = &copy[n].hot,
					    .cold = &copy[n].cold,
					    .bytes = {40, 0},
					    .packets = {1, 0},
					    .flow_ref = final ? NULL : &s->ref[i]};
		if (++n < BATCH && i + 1 < s->n)
			continue;
		if (final)
			merge_finals(m, d, n);
		else
			merge_entries(m, d, n);
		n = 0;
	}
	return (cpu_now() - t) / s->n;
}

static double copy_only(struct source *s)
{
	static struct flow_final copy[BATCH];
	double t = cpu_now();

	for (uint32_t i = 0; i < s->n; i++) {
		copy[i % BATCH].hot = s->hot[i];
		copy[i % BATCH].cold = s->cold[i];
		__asm__ volatile("" : : "r"(copy) : "memory");
	}
	return (cpu_now() - t) / s->n;
}

static void touch(struct source *s, uint32_t tick)
{
	for (uint32_t i = 0; i < s->n; i++) {
		s->hot[i].packets[0]++;
		s->hot[i].bytes[0] += 40;
		s->hot[i].last[0] = tick;
	}
}

static void run(struct merge *m, struct clock *clock, struct source *s, uint64_t *sum)
{
	double base, fresh, known[3], t, lone;
	uint64_t fed = 0;

	fill(s, 0x18, (uint32_t)clock->now_tick);
	base = copy_only(s);
	fresh = pass(m, s, 0);
	fed += s->n;
	for (int i = 0; i < 3; i++) {
		clock_set(clock, clock->now_tick + 250, clock->now_wall_ns + 1000000000);
		touch(s, (uint32_t)clock->now_tick);
		known[i] = pass(m, s, 0);
		fed += s->n;
		t = cpu_now();
		merge_tick(m);
		t = cpu_now() - t;
	}
	printf("copy of an entry      %6.1f ns (in each of the next)\n", base);
	printf("new flow              %6.1f ns\n", fresh);
	printf("known flow, changed   %6.1f ns (%.1f, %.1f before)\n", known[2], known[1],
	       known[0]);
	printf("tick, nothing due     %6.2f ns a flow known\n", t / s->n);
	clock_set(clock, clock->now_tick + 250 * 30, clock->now_wall_ns + UINT64_C(30000000000));
	t = cpu_now();
	merge_tick(m);
	printf("idle: record, forget  %6.1f ns\n", (cpu_now() - t) / s->n);
	fill(s, 2, (uint32_t)clock->now_tick);
	lone = pass(m, s, 1);
	fed += s->n;
	printf("evicted lone SYN      %6.1f ns = %.1f M/s\n", lone, 1e3 / lone);
	fill(s, 0x18, (uint32_t)clock->now_tick);
	pass(m, s, 1); /* fills the table */
	fill(s, 0x18, (uint32_t)clock->now_tick);
	t = pass(m, s, 1);
	fed += 2 * (uint64_t)s->n;
	printf("new flow, table full  %6.1f ns (the oldest is written)\n", t);
	merge_flush(m, FLOW_SHUTDOWN);
	printf("packets fed %llu, in %llu records %llu: %s\n", (unsigned long long)fed,
	       (unsigned long long)sum[1], (unsigned long long)sum[0],
	       fed == sum[0] ? "equal" : "NOT EQUAL");
}

int main(int argc, char **argv)
{
	uint64_t flows = 1000000;
	struct clock clock = {.tick_ns = 4000000};
	struct merge_cfg cfg = merge_cfg_default;
	struct source s = {};
	uint64_t sum[2] = {0, 0};
	struct merge *m;

	if (argc > 1 && scan_u64(argv[1], 1, 1 << 24, &flows) < 0) {
		fputs("usage: bench_merge [FLOWS]\n", stderr);
		return 2;
	}
	s.n = (uint32_t)flows;
	clock_set(&clock, 1u << 20, UINT64_C(1700000000000000000));
	cfg.clock = &clock;
	cfg.emit = emit;
	cfg.arg = sum;
	cfg.max_flows = s.n;
	s.hot = calloc(flows, sizeof(*s.hot));
	s.cold = calloc(flows, sizeof(*s.cold));
	s.ref = calloc(flows, sizeof(*s.ref));
	if (!s.hot || !s.cold || !s.ref || merge_new(&cfg, &m) < 0) {
		fprintf(stderr, "bench_merge: no memory for %u flows\n", s.n);
		return 1;
	}
	run(m, &clock, &s, sum);
	merge_free(m);
	free(s.hot);
	free(s.cold);
	free(s.ref);
	return sum[0] ? 0 : 1;
}
