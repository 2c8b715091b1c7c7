// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * l7_test.bpf.c - names alone: the packet's facts come out of a map, the payload out of the frame.
 * In place of parser and flow cache, so that test_l7 can say what each CPU knows of the flow.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include "l7_flow.h"
#include "tests/bpf/l7_given.h"

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* What the test wants the scratch to hold. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct l7_given);
} given SEC(".maps");

static __always_inline void vary(struct scratch *s, struct l7_given *g)
{
	__u64 run = g->runs++, flow = g->split > 1 ? run / 2 : run;

	s->hash = (flow + 1) * 0x9e3779b97f4a7c15ull;
	s->now = g->now + flow * L7_TEST_STEP; /* what is left unfinished is stale at once */
	if (g->split == 1)
		return;
	if (run & 1) {
		s->l4.payload_off += g->split;
		s->l4.payload_len -= g->split;
		s->l4.seq += g->split;
	} else {
		s->l4.payload_len = g->split;
	}
}

static __always_inline int prepare(__u32 len)
{
	__u32 zero = 0;
	struct l7_given *g = bpf_map_lookup_elem(&given, &zero);
	struct scratch *s = scratch_get();

	if (!s || !g)
		return 0;
	s->l4 = g->l4;
	s->slot = g->slot;
	s->dir = g->dir;
	s->now = g->now;
	s->hash = g->hash;
	s->frame_len = len;
	if (g->split)
		vary(s, g);
	return 1;
}

SEC("xdp.frags")
int l7_on_xdp(struct xdp_md *ctx)
{
	if (prepare(bpf_xdp_get_buff_len(ctx)))
		xdp_l7(ctx);
	return XDP_PASS;
}

SEC("tc")
int l7_on_tc(struct __sk_buff *skb)
{
	if (prepare(skb->len))
		tc_l7(skb);
	return TC_ACT_OK;
}
