// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * bench.bpf.c - weir's own programs behind the packet generator of gen.h, and the programs whose
 * cost is subtracted. Includes the product's source: what is measured is the very same inlined code.
 */
#include "weir.bpf.c"
#include "tests/bench/gen.bpf.h"

/* Nothing but the generator. */
SEC("xdp.frags")
int none_xdp(struct xdp_md *ctx)
{
	gen_next_xdp(ctx);
	return XDP_PASS;
}

SEC("tc")
int none_tc(struct __sk_buff *skb)
{
	gen_next_tc(skb);
	return TC_ACT_UNSPEC;
}

/* The fast parser alone; its result is used so that it can't be left out. */
SEC("xdp.frags")
int parse_xdp(struct xdp_md *ctx)
{
	struct fast f = {};

	gen_next_xdp(ctx);
	if (parse_fast((void *)(long)ctx->data, (void *)(long)ctx->data_end, 0,
		       ctx->ingress_ifindex, &f))
		return XDP_ABORTED;
	return f.hash & 1 ? XDP_PASS : XDP_DROP;
}

SEC("tc")
int parse_tc(struct __sk_buff *skb)
{
	struct fast f = {};

	gen_next_tc(skb);
	if (parse_fast((void *)(long)skb->data, (void *)(long)skb->data_end, 0, skb->ifindex, &f))
		return TC_ACT_SHOT;
	return f.hash & 1 ? TC_ACT_OK : TC_ACT_UNSPEC;
}

SEC("xdp.frags")
int weir_xdp(struct xdp_md *ctx)
{
	gen_next_xdp(ctx);
	return xdp_entry(ctx);
}

SEC("tc")
int weir_tc(struct __sk_buff *skb)
{
	gen_next_tc(skb);
	return tc_entry(skb, HOOK_TC_EGRESS);
}

/* ---- live frames: a sender, and receivers that account or parse and then drop ---- */

SEC("xdp")
int live_send(struct xdp_md *ctx)
{
	gen_next_xdp(ctx);
	return XDP_TX;
}

SEC("xdp.frags")
int live_weir(struct xdp_md *ctx)
{
	xdp_entry(ctx);
	return XDP_DROP;
}

/* As a node has it. */
SEC("xdp.frags")
int live_judge(struct xdp_md *ctx)
{
	return xdp_entry(ctx);
}

SEC("xdp.frags")
int live_parse(struct xdp_md *ctx)
{
	struct fast f = {};

	if (parse_fast((void *)(long)ctx->data, (void *)(long)ctx->data_end, 0,
		       ctx->ingress_ifindex, &f))
		return XDP_PASS;
	return f.hash ? XDP_DROP : XDP_ABORTED;
}

/* Accepts frames, so that the other end of a veth pair may send them as XDP frames. */
SEC("xdp.frags")
int live_pass(struct xdp_md *ctx)
{
	return ctx->data == ctx->data_end ? XDP_ABORTED : XDP_PASS;
}
