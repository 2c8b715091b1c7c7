// SPDX-License-Identifier: Apache-2.0
/* l7_rig.c - see l7_rig.h. */
#include <errno.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "l7_rig.h"
#include "l7_test.skel.h"
#include "tests/bpf/l7_given.h"
#include "tcp.h"

#define HDR	  54u
#define FRAME_MAX (HDR + 65000u)

static struct l7_test_bpf *skel;
static struct ring_buffer *ring;
static __u8 frame[FRAME_MAX];

static void die(const char *what)
{
	fprintf(stderr, "l7_rig: %s: %s\n", what, strerror(errno));
	exit(1);
}

static int on_event(void *ctx, void *data, size_t size)
{
	struct rig *r = ctx;

	if (r->events < RIG_EVENTS) {
		memset(&r->ev[r->events], 0, sizeof(r->ev[0]));
		memcpy(&r->ev[r->events], data, size < sizeof(r->ev[0]) ? size : sizeof(r->ev[0]));
	}
	r->events++;
	return 0;
}

static void on_cpu(__u32 cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	if (sched_setaffinity(0, sizeof(set), &set))
		die("sched_setaffinity");
}

void rig_load(struct rig *r, __u32 mask)
{
	__u32 cpus = libbpf_num_possible_cpus();

	memset(r, 0, sizeof(*r));
	r->cpus = cpus < RIG_CPUS ? cpus : RIG_CPUS;
	skel = l7_test_bpf__open();
	if (!skel)
		die("open");
	skel->rodata->cfg_l7_mask = mask;
	skel->rodata->cfg_l7_hold = 1000;
	bpf_map__set_max_entries(skel->maps.l7_dir, mask + 1);
	bpf_map__set_max_entries(skel->maps.l7_bytes, mask + 1 + cpus);
	bpf_map__set_max_entries(skel->maps.flows, cpus);
	bpf_map__set_max_entries(skel->maps.flows_cold, cpus);
	bpf_map__set_max_entries(skel->maps.counters, cpus);
	if (l7_test_bpf__load(skel))
		die("load");
	ring = ring_buffer__new(bpf_map__fd(skel->maps.events), on_event, r, NULL);
	if (!ring)
		die("ring buffer");
	r->hash = 0x9e3779b97f4a7c15ull;
	r->now = 5000;
}

static int fd_of(struct bpf_map *m)
{
	return bpf_map__fd(m);
}

static void get(struct bpf_map *m, __u32 key, void *value)
{
	if (bpf_map_lookup_elem(fd_of(m), &key, value))
		die(bpf_map__name(m));
}

static void put(struct bpf_map *m, __u32 key, const void *value)
{
	if (bpf_map_update_elem(fd_of(m), &key, value, BPF_ANY))
		die(bpf_map__name(m));
}

struct flow_hot rig_hot(__u32 cpu)
{
	struct flow_set set;

	get(skel->maps.flows, cpu, &set);
	return set.way[0];
}

struct flow_cold rig_cold(__u32 cpu)
{
	struct flow_cold_set set;

	get(skel->maps.flows_cold, cpu, &set);
	return set.way[0];
}

static void set_entry(__u32 cpu, const struct flow_hot *hot, const struct flow_cold *cold)
{
	static struct flow_set hots;
	static struct flow_cold_set colds;

	hots.way[0] = *hot;
	colds.way[0] = *cold;
	put(skel->maps.flows, cpu, &hots);
	put(skel->maps.flows_cold, cpu, &colds);
}

void rig_renew(struct rig *r)
{
	struct flow_cold cold = {.key = r->key, .l7_budget = {16, 16}};
	struct flow_hot hot = {.tag = 1, .l7 = L7_WANT_0 | L7_WANT_1};

	for (__u32 i = 0; i < r->cpus; i++)
		set_entry(i, &hot, &cold);
}

void rig_flow(struct rig *r, __u8 proto, __u16 sport, __u16 dport)
{
	struct counter_row zero = {};

	r->hash = (r->hash ^ r->hash >> 29) * 0xbf58476d1ce4e5b9ull + 1;
	r->key = (struct flow_key){.proto = proto, .ethertype = 0x0800};
	r->key.port[0] = __builtin_bswap16(sport);
	r->key.port[1] = __builtin_bswap16(dport);
	r->events = r->runs = r->cut = r->gso = 0;
	for (__u32 i = 0; i < r->cpus; i++)
		put(skel->maps.counters, i, &zero);
	rig_renew(r);
}

static void fill(struct rig *r, const struct rig_seg *s, __u32 cpu, __u32 split)
{
	struct l7_given g = {.split = split};

	g.l4.payload_off = HDR;
	g.l4.payload_len = s->len;
	g.l4.seq = s->seq;
	g.l4.tcp_flags = s->flags;
	g.l4.proto = r->key.proto;
	g.slot = cpu * WEIR_WAYS;
	g.dir = s->dir;
	g.now = r->now;
	g.hash = r->hash;
	put(skel->maps.given, 0, &g);
	memcpy(frame + HDR, s->data, s->len);
}

/* What the packet path notes before it asks for names. Return: is the payload wanted? */
static int account(struct rig *r, const struct rig_seg *s, __u32 cpu)
{
	struct flow_hot hot = rig_hot(cpu);
	struct flow_cold cold = rig_cold(cpu);
	struct l4 l = {.seq = s->seq, .payload_len = s->len, .tcp_flags = s->flags};

	if (r->key.proto == 6) {
		if (s->flags & TCP_SYN)
			tcp_handshake(&hot, &cold, &l, s->dir, 1);
		tcp_sequence(&hot, &cold, &l, s->dir, 1);
		set_entry(cpu, &hot, &cold);
	}
	return s->len && hot.l7 & 1u << s->dir;
}

int rig_feed(struct rig *r, const struct rig_seg *s)
{
	__u32 cpu = s->cpu % r->cpus;
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = HDR + s->len - r->cut,
		    .repeat = 1);
	int fd = bpf_program__fd(r->hook == RIG_TC ? skel->progs.l7_on_tc : skel->progs.l7_on_xdp);
	struct __sk_buff skb = {.gso_size = r->gso};

	if (r->hook == RIG_TC) {
		o.ctx_in = &skb;
		o.ctx_size_in = sizeof(skb);
	}
	r->now++;
	if (!account(r, s, cpu))
		return 0;
	fill(r, s, cpu, 0);
	on_cpu(cpu);
	if (bpf_prog_test_run_opts(fd, &o))
		die("test run");
	r->runs++;
	ring_buffer__consume(ring);
	return 1;
}

void rig_syn(struct rig *r, __u32 cpu, __u32 dir, __u32 isn)
{
	struct rig_seg s = {.cpu = cpu, .dir = dir, .seq = isn, .flags = TCP_SYN};

	rig_feed(r, &s);
}

__u64 rig_counter(enum counter c)
{
	struct counter_row row;
	__u64 sum = 0;

	for (int i = 0; i < libbpf_num_possible_cpus(); i++) {
		get(skel->maps.counters, i, &row);
		sum += row.v[c];
	}
	return sum;
}

__u32 rig_count(const struct rig *r, enum event_kind kind, const union rig_event **ret_last)
{
	__u32 n = 0;

	for (__u32 i = 0; i < r->events && i < RIG_EVENTS; i++) {
		if (r->ev[i].h.kind != kind)
			continue;
		n++;
		if (ret_last)
			*ret_last = &r->ev[i];
	}
	return n;
}

__u32 rig_time(struct rig *r, const struct rig_seg *s, __u32 split, __u32 repeat)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = frame, .data_size_in = HDR + s->len,
		    .repeat = repeat);
	int fd = bpf_program__fd(r->hook == RIG_TC ? skel->progs.l7_on_tc : skel->progs.l7_on_xdp);

	on_cpu(0);
	fill(r, s, 0, split);
	ring_buffer__consume(ring);
	if (bpf_prog_test_run_opts(fd, &o))
		die("test run");
	ring_buffer__consume(ring);
	r->now += repeat * L7_TEST_STEP;
	return o.duration;
}
