// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * none.bpf.c - a program for TC that does nothing: what the kernel's run-time statistics take for themselves
 * there. (For XDP: filter_none.) By itself, so that tc can load it.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

SEC("tc")
int none_ingress(struct __sk_buff *skb)
{
	return skb->len ? TC_ACT_UNSPEC : TC_ACT_SHOT;
}
