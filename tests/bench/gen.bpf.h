/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/* gen.bpf.h - see gen.h. */
#ifndef WEIR_BENCH_GEN_BPF_H
#define WEIR_BENCH_GEN_BPF_H

#include <linux/bpf.h>
#include <bpf/bpf_endian.h>
#include <bpf/bpf_helpers.h>
#include "pkt.h"
#include "tests/bench/gen.h"

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct gen);
} gen SEC(".maps");

static __always_inline void gen_next_phase(struct gen *g, void *data, void *data_end)
{
	struct gen_phase *p = &g->phase_of[g->phase & (GEN_PHASES - 1)];
	__u8 *ip = data + 14;

	if (data + 54 > data_end)
		return;
	*(__be16 *)(ip + 2) = bpf_htons(p->total_len);
	*(__be32 *)(ip + 24) = bpf_htonl(p->seq);
	ip[32] = p->doff << 4;
	ip[33] = p->flags;
}

/* Make the frame the next one. */
static __always_inline void gen_next(void *data, void *data_end)
{
	__u32 zero = 0, offset;
	struct gen *g = bpf_map_lookup_elem(&gen, &zero);
	__u64 x;

	if (!g)
		return;
	if (g->phases > 1) {
		if (++g->phase >= g->phases)
			g->phase = 0;
		gen_next_phase(g, data, data_end);
		if (g->phase)
			return;
	}
	x = g->state;
	if (g->order == GEN_IN_ORDER) {
		x++;
		g->state = x;
	} else {
		x ^= x << 13;
		x ^= x >> 7;
		x ^= x << 17;
		g->state = x;
		x >>= 20;
	}
	offset = g->offset & GEN_OFFSET_MAX;
	if (data + offset + 4 > data_end)
		return;
	*(__u32 *)(data + offset) = GEN_IP4_ADDR | ((__u32)x & g->mask) << 8;
}

static __always_inline void gen_next_xdp(struct xdp_md *ctx)
{
	gen_next((void *)(long)ctx->data, (void *)(long)ctx->data_end);
}

static __always_inline void gen_next_tc(struct __sk_buff *skb)
{
	gen_next((void *)(long)skb->data, (void *)(long)skb->data_end);
}

#endif
