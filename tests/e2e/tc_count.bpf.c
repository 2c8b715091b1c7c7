// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * tc_count.bpf.c - somebody else's TC program, for the tests of living together: counts packets and
 * leaves the verdict to whoever comes after.
 */
#include <linux/bpf.h>
#include <linux/pkt_cls.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

SEC("tc")
int tc_count(struct __sk_buff *skb)
{
	__u32 zero = 0;
	__u64 *v = bpf_map_lookup_elem(&seen, &zero);

	(void)skb;
	if (v)
		__sync_fetch_and_add(v, 1);
	return TC_ACT_UNSPEC;
}
