// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * filter.bpf.c - the packet generator in front of somebody else's XDP program, which is called by
 * tail call; and an empty program to be called in the same way, whose cost is subtracted.
 */
#include "tests/bench/gen.bpf.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_PROG_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u32);
} next SEC(".maps");

SEC("xdp")
int filter_xdp(struct xdp_md *ctx)
{
	gen_next_xdp(ctx);
	bpf_tail_call(ctx, &next, 0);
	return XDP_ABORTED;
}

SEC("xdp")
int filter_none(struct xdp_md *ctx)
{
	return ctx->data == ctx->data_end ? XDP_ABORTED : XDP_PASS;
}
