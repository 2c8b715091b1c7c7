// SPDX-License-Identifier: Apache-2.0
/*
 * test_busy.c - PREEMPT_RT: a program that finds another one of its CPU at work steps back. Its packet and
 * bytes are counted as seen and as not accounted; when the other one is through, the next is accounted.
 */
#include <bpf/bpf.h>
#include <bpf/btf.h>
#include <bpf/libbpf.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <linux/bpf.h>
#include <sched.h>
#include <stdlib.h>
#include "tests/unit/packets.h"
#include "weir.skel.h"
#include "weir/abi.h"
#include "weir/counters.h"

#define SEGMENTS 3u
#define SET_BITS 2
#define SETS	 (1u << SET_BITS)

static struct weir_bpf *skel;
static uint8_t *scratches; /* of all CPUs */
static uint32_t busy_at;   /* byte of struct scratch */

static uint32_t place_of_busy(void)
{
	const struct btf *btf = bpf_object__btf(skel->obj);
	const int id = btf__find_by_name_kind(btf, "scratch", BTF_KIND_STRUCT);
	const struct btf_type *t = btf__type_by_id(btf, (uint32_t)id);

	cr_assert(gt(int, id, 0));
	for (uint16_t i = 0; i < btf_vlen(t); i++)
		if (!strcmp(btf__name_by_offset(btf, btf_members(t)[i].name_off), "busy"))
			return btf_member_bit_offset(t, i) / 8;
	cr_fatal("struct scratch has no busy");
}

static void set_up(void)
{
	cpu_set_t first;

	CPU_ZERO(&first);
	CPU_SET(0, &first); /* the maps are for one */
	cr_assert(zero(int, sched_setaffinity(0, sizeof(first), &first)));
	skel = weir_bpf__open();
	cr_assert(ne(ptr, skel, NULL));
	skel->rodata->cfg_rt = skel->rodata->cfg_rare = 1;
	skel->rodata->cfg_set_bits = SET_BITS;
	skel->rodata->cfg_syn_set = SETS;
	cr_assert(zero(int, bpf_map__set_max_entries(skel->maps.flows, SETS + 1)));
	cr_assert(zero(int, bpf_map__set_max_entries(skel->maps.flows_cold, SETS)));
	cr_assert(zero(int, bpf_map__set_max_entries(skel->maps.marks, SETS)));
	cr_assert(zero(int, weir_bpf__load(skel)));
	busy_at = place_of_busy();
	scratches = calloc((size_t)libbpf_num_possible_cpus(),
			   (bpf_map__value_size(skel->maps.scratch) + 7) & ~7u);
	cr_assert(ne(ptr, scratches, NULL));
}

static void tear_down(void)
{
	free(scratches);
	weir_bpf__destroy(skel);
}

TestSuite(busy, .timeout = 300, .init = set_up, .fini = tear_down);

/* CPU 0's flag; it is the first. */
static uint32_t *flag(void)
{
	return (uint32_t *)(void *)(scratches + busy_at);
}

static void set_busy(uint32_t busy)
{
	const uint32_t zero = 0;

	*flag() = busy;
	cr_assert(zero(int, bpf_map_update_elem(bpf_map__fd(skel->maps.scratch), &zero, scratches,
						BPF_ANY)));
}

static uint32_t is_busy(void)
{
	const uint32_t zero = 0;

	cr_assert(
		zero(int, bpf_map_lookup_elem(bpf_map__fd(skel->maps.scratch), &zero, scratches)));
	return *flag();
}

static void send(const struct bpf_program *prog, const struct packet *p)
{
	const struct __sk_buff gso = {.gso_size = 500, .gso_segs = SEGMENTS};
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->b, .data_size_in = p->len, .repeat = 1);

	if (prog != skel->progs.xdp_flows) {
		o.ctx_in = &gso;
		o.ctx_size_in = sizeof(gso);
	}
	cr_assert(zero(int, bpf_prog_test_run_opts(bpf_program__fd(prog), &o)));
}

static struct counter_row counters(void)
{
	const uint32_t zero = 0;
	struct counter_row row;

	cr_assert(zero(int, bpf_map_lookup_elem(bpf_map__fd(skel->maps.counters), &zero, &row)));
	return row;
}

static struct packet tcp(void)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2));
	pk_tcp(&p, 1000, 443, 16);
	pk_payload(&p, SEGMENTS * 500);
	pk_end(&p);
	return p;
}

Test(busy, packets_and_their_bytes_are_counted)
{
	const struct {
		const struct bpf_program *prog;
		unsigned int seen;
		uint32_t segs;
	} hooks[] = {
		{skel->progs.xdp_flows, CNT_XDP_FRAMES, 1},
		{skel->progs.tc_ingress, CNT_TC_INGRESS_FRAMES, SEGMENTS},
		{skel->progs.tc_egress, CNT_TC_EGRESS_FRAMES, SEGMENTS},
	};
	const struct packet p = tcp();
	uint64_t packets = 0, bytes = 0;

	set_busy(1);
	for (size_t i = 0; i < sizeof(hooks) / sizeof(hooks[0]); i++) {
		struct counter_row row;

		for (int times = 0; times < 2; times++)
			send(hooks[i].prog, &p);
		packets += 2 * hooks[i].segs;
		bytes += 2 * p.len;
		row = counters();
		cr_expect(eq(u64, row.v[CNT_BUSY_PACKETS], packets));
		cr_expect(eq(u64, row.v[CNT_BUSY_BYTES], bytes));
		cr_expect(eq(u64, row.v[hooks[i].seen], 2 * hooks[i].segs));
		cr_expect(eq(u64, row.v[hooks[i].seen + 1], 2 * p.len));
		cr_expect(zero(u64, row.v[CNT_INSERTS]));
		cr_expect(eq(u32, is_busy(), 1), "it is the other one's");
	}
}

Test(busy, the_next_is_accounted_when_the_other_is_through)
{
	const struct packet p = tcp();

	set_busy(0);
	for (int times = 0; times < 2; times++)
		send(skel->progs.xdp_flows, &p);
	cr_expect(zero(u64, counters().v[CNT_BUSY_PACKETS]));
	cr_expect(zero(u64, counters().v[CNT_BUSY_BYTES]));
	cr_expect(eq(u64, counters().v[CNT_INSERTS], 1));
	cr_expect(eq(u64, counters().v[CNT_XDP_FRAMES], 2));
	cr_expect(zero(u32, is_busy()));
}
