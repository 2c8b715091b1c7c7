/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * maps.h - all maps of the packet path, and the helpers to reach per-CPU state.
 * Sizes marked "loader" are set before load.
 */
#ifndef WEIR_BPF_MAPS_H
#define WEIR_BPF_MAPS_H

#include <linux/bpf.h>
#include <bpf/bpf_helpers.h>
#include "weir/abi.h"
#include "weir/counters.h"
#include "config.h"
#include "pkt.h"

/* Flow cache. Key: cpu * sets + set; behind all of these, cpu * sets + set of lone SYNs (syn.h).
 * Writer: that CPU. Reader: the loader, through mmap. Memory: 1 KiB a set. Full set: see cache.h.
 * Size: loader.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_set);
} flows SEC(".maps");

/* Where to look in a set: eight bits of the hash of whoever was the last in each way, 0 if none was.
 * Key: as `flows`, without the sets of lone SYNs. Writer and reader: the owning CPU. Memory: 16 bytes
 * a set: small enough to stay in the CPU's cache. Size: loader.
 */
struct set_marks {
	union {
		__u8 way[WEIR_WAYS];
		__u64 half[WEIR_WAYS / 8];
	};
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct set_marks);
} marks SEC(".maps");

/* The cold half, same index, 3 KiB a set; lone SYNs have none. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct flow_cold_set);
} flows_cold SEC(".maps");

/* What policy dropped of the flows, same index, 32 bytes a way. Touched by drops. Size: loader. */
struct dropped_set {
	struct flow_dropped way[WEIR_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct dropped_set);
} flows_dropped SEC(".maps");

/* Final records of flows that lost their place (struct flow_final). Writer: all CPUs. Reader: the
 * loader, polling, see ring_wakeup(). Full: the victim keeps its place and the arriving packet is counted as lost.
 */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 24);
} evicted SEC(".maps");

/* Names and payload (struct event_hdr first). Full: counted, the flow says why it has no name. */
struct {
	__uint(type, BPF_MAP_TYPE_RINGBUF);
	__uint(max_entries, 1 << 22);
} events SEC(".maps");

/* One element per CPU, never reset. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter_row);
} counters SEC(".maps");

/* What the loader tells the programs while they run. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct control);
} control SEC(".maps");

/* Exchange between the entry program and its global functions; one packet at a time per CPU. */
struct scratch {
	struct pkt pkt;	 /* filled by the full parser */
	struct l4 l4;	 /* the packet at hand, filled before any slow call */
	__u32 slot;	 /* set index * WEIR_WAYS + way of the flow's entry */
	__u32 dir;	 /* direction of the packet in that entry */
	__u32 now;	 /* ticks */
	__u32 frame_len; /* bytes of the frame that can be read */
	__u32 segs;	 /* wire segments of a GSO packet, else 1 */
	__u32 reason;	 /* the full parser's verdict: 0, or counter + 1 of class SKIPPED */
	__u32 hook;	 /* enum weir_hook */
	__u32 parsed;	 /* pkt holds this packet */
	__u32 sampled;	 /* packets since the last one that was accounted, cfg_sample */
	__u32 busy;	 /* cfg_rt: a program on this CPU is at work */
	__u64 ns;	 /* fine clock, of a bare SYN */
	__u64 active;	 /* policy_control.active, read once a packet */
	__u32 verdict;	 /* enum packet_verdict */
	__u32 cached;	 /* enum policy_cached: what a new flow keeps of it */
	__u64 bytes;	 /* IP bytes on the wire: every segment with its headers */
	__u64 hash;
	__u32 would;	/* a shadow rule would have acted on the packet */
	__u32 dropping; /* the last lone SYN was of a listed source, and dropped */
	__u32 tunneled; /* the full parser has opened a tunnel, or found one's number */
	__u32 pad;
	__u8 hdr[128]; /* headers copied out of non-linear packets */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct scratch);
} scratch SEC(".maps");

static __always_inline struct scratch *scratch_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&scratch, &zero);
}

static __always_inline struct control *control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&control, &zero);
}

/* Flags for what goes to a ring now. A wake-up costs more than what it tells of: there is one only where the
 * loader waits for it, and it need not be exact, since that looks by itself before long.
 */
static __always_inline __u64 ring_wakeup(void)
{
	struct control *c = control_get();

	if (likely(!c || !c->asleep))
		return BPF_RB_NO_WAKEUP;
	c->asleep = 0;
	return BPF_RB_FORCE_WAKEUP;
}

/* The region of the CPU we run on. A replay has one, wherever it is pinned. */
static __always_inline __u32 region_id(void)
{
	return cfg_replay ? 0 : bpf_get_smp_processor_id();
}

static __always_inline struct counter_row *counters_get(void)
{
	__u32 cpu = region_id();

	return bpf_map_lookup_elem(&counters, &cpu);
}

/* Slow path only: the fast path keeps the row it looked up. */
static __always_inline void count(enum counter c, __u64 n)
{
	struct counter_row *row = counters_get();

	if (row)
		row->v[c] += n;
}

static __always_inline __u32 now_tick(void)
{
	if (cfg_replay) {
		struct control *c = control_get();

		return c ? c->replay_tick : 0;
	}
	return bpf_jiffies64();
}

static __always_inline __u64 now_ns(void)
{
	if (cfg_replay) {
		struct control *c = control_get();

		return c ? c->replay_ns : 0;
	}
	return bpf_ktime_get_ns();
}

/* Entry of a slot, or NULL. slot = set index * WEIR_WAYS + way. */
static __always_inline struct flow_hot *hot_get(__u32 slot)
{
	__u32 set = slot / WEIR_WAYS;
	struct flow_set *s = bpf_map_lookup_elem(&flows, &set);

	if (!s)
		return 0;
	asm volatile("" : "+r"(slot)); /* no address before the check */
	return &s->way[slot % WEIR_WAYS];
}

static __always_inline struct flow_cold *cold_get(__u32 slot)
{
	__u32 set = slot / WEIR_WAYS;
	struct flow_cold_set *s = bpf_map_lookup_elem(&flows_cold, &set);

	if (!s)
		return 0;
	asm volatile("" : "+r"(slot)); /* no address before the check */
	return &s->way[slot % WEIR_WAYS];
}

static __always_inline struct flow_dropped *dropped_get(__u32 slot)
{
	__u32 set = slot / WEIR_WAYS;
	struct dropped_set *s = bpf_map_lookup_elem(&flows_dropped, &set);

	if (!s)
		return 0;
	asm volatile("" : "+r"(slot)); /* no address before the check */
	return &s->way[slot % WEIR_WAYS];
}

static __always_inline void dropped_clear(__u32 slot)
{
	struct flow_dropped *d = dropped_get(slot);

	if (d)
		__builtin_memset(d, 0, sizeof(*d));
}

#endif
