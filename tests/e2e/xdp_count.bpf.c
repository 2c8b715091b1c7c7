// SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause
/*
 * xdp_count.bpf.c - the witness of the end-to-end tests: counts the frames that reach an interface
 * and their bytes, in the simplest way there is. It shares no line with weir's own programs.
 */
#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>

char LICENSE[] SEC("license") = "Dual BSD/GPL";

/* [0] frames, [1] bytes with Ethernet headers */
struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 2);
	__type(key, __u32);
	__type(value, __u64);
} seen SEC(".maps");

static void add(__u32 key, __u64 n)
{
	__u64 *v = bpf_map_lookup_elem(&seen, &key);

	if (v)
		*v += n;
}

SEC("xdp.frags")
int xdp_count(struct xdp_md *ctx)
{
	add(0, 1);
	add(1, bpf_xdp_get_buff_len(ctx));
	return XDP_PASS;
}
