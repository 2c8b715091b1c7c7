// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * parse_test.bpf.c - the full parser alone, on each kind of context, and the fast one beside it:
 * their results go into maps, so that test_parse_bpf can compare them with the host's.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_endian.h>
#include "fast.h"
#include "parse_bpf.h"
#include "tests/bpf/parse_test.h"

#define TEST_VLAN 77

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct parse_result);
} result SEC(".maps");

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct fast_result);
} fast_result SEC(".maps");

static __always_inline void report(int ret)
{
	__u32 zero = 0;
	struct parse_result *r = bpf_map_lookup_elem(&result, &zero);
	struct scratch *s = scratch_get();

	if (!r || !s)
		return;
	r->pkt = s->pkt;
	r->l4 = s->l4;
	r->reason = s->reason;
	r->frame_len = s->frame_len;
	r->ret = ret;
}

SEC("xdp.frags")
int parse_on_xdp(struct xdp_md *ctx)
{
	report(xdp_parse_full(ctx));
	return XDP_PASS;
}

SEC("tc")
int parse_on_tc(struct __sk_buff *skb)
{
	report(tc_parse_full(skb));
	return TC_ACT_OK;
}

/* With a tag beside the frame, as after VLAN offload. */
SEC("tc")
int parse_tagged(struct __sk_buff *skb)
{
	if (bpf_skb_vlan_push(skb, bpf_htons(ETH_P_8021Q), 3 << 13 | TEST_VLAN))
		return TC_ACT_SHOT;
	report(tc_parse_full(skb));
	return TC_ACT_OK;
}

/* What both parsers say of one frame. */
static __always_inline void compare(struct fast_result *r, const struct fast *f)
{
	struct scratch *s = scratch_get();

	if (!s)
		return;
	r->fast.l4 = f->l4;
	r->fast.hash = f->hash;
	r->fast.dir = f->dir;
	r->full.l4 = s->pkt.l4;
	r->full.dir = key_dir(&s->pkt.key);
	r->full.hash = key_hash(&s->pkt.key, r->full.dir, cfg_seed);
	r->note = s->pkt.note;
	r->reason = s->reason;
}

SEC("xdp.frags")
int fast_on_xdp(struct xdp_md *ctx)
{
	void *data = (void *)(long)ctx->data, *data_end = (void *)(long)ctx->data_end;
	struct fast f = {};
	__u32 zero = 0;
	struct fast_result *r = bpf_map_lookup_elem(&fast_result, &zero);

	if (!r)
		return XDP_DROP;
	r->taken = !parse_fast(data, data_end, 0, ctx->ingress_ifindex, &f);
	xdp_parse_full(ctx);
	compare(r, &f);
	return XDP_PASS;
}
