/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * verdict_maps.h - the tables of policy_map.h, and what a verdict needs while it is found. All are
 * written by the loader's core (policy/table.c), but for counters, limits, names found, and drops.
 */
#ifndef WEIR_BPF_VERDICT_MAPS_H
#define WEIR_BPF_VERDICT_MAPS_H

#include "maps.h"
#include "policy_key.h"

/* Generation, lease, and what kinds of things are listed at all. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_control);
} policy_control SEC(".maps");

/* 2 MiB when verdicts are on. Size: loader, POLICY_RULES or 1. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_slot);
} policy_rules SEC(".maps");

/* Key: cpu * POLICY_RULES + rule. Writer: that CPU. 256 KiB a CPU. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_count);
} policy_counts SEC(".maps");

/* Where a key's decision is. 16 bytes for each that there is room for. Full: the writer refuses the
 * policy. Size: loader, a power of two.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_bucket);
} policy_index SEC(".maps");

/* Decisions; element 0 is none. 64 bytes each. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_decision);
} policy_decisions SEC(".maps");

/* A bit for each /24 and for hashes: 8 MiB when verdicts are on. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct policy_presence);
} policy_presence SEC(".maps");

/* Flows whose name was found and acted on; all CPUs hold to it. Four of them in a line, the oldest
 * makes room. Writers and readers: all CPUs. Size: loader, a power of two.
 */
#define NAMED_WAYS 4u

struct named_flow {
	__u64 tag;	/* hash of the flow, never 0 */
	__u32 decision; /* that its name led to */
	__u32 from;	/* of that decision: another one may have its place */
};

struct named_line {
	struct named_flow way[NAMED_WAYS];
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct named_line);
} policy_named SEC(".maps");

const volatile __u32 cfg_decisions = 0;	 /* policy_decisions, the first left out */
const volatile __u32 cfg_named_mask = 0; /* lines of policy_named - 1 */

/* Token buckets of single sources, by hash; the fullest one makes room. Writers: all CPUs. */
#define METER_WAYS 4u

struct meter_line {
	__u64 tag[METER_WAYS];	/* hash of rule and source, 0 = free */
	__u64 full[METER_WAYS]; /* ns: when the bucket is full again */
};

struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct meter_line);
} policy_meters SEC(".maps");

const volatile __u32 cfg_meter_mask = 0; /* lines of policy_meters - 1 */

/* Drops before the cache, see drop_row. Key: cpu * DROP_ROWS + hash. Reader: the loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct drop_row);
} policy_drops SEC(".maps");

/* The rule that acts, or would: the lowest so far. */
struct acting {
	__u32 order; /* NO_ORDER: none */
	__u32 rule;
	__u32 decision; /* 0: it has no key */
	__u32 action;
	__u32 by_name; /* found by a name that was just read */
	__u32 pad;
};

#define NO_ORDER 0xffffffffu

/* One verdict on its way; per CPU. */
struct verdict_work {
	__u64 src[2]; /* addresses, network order */
	__u64 dst[2];
	__u64 key[2]; /* looked for */
	__u32 kind;   /* enum policy_kind | prefix length << 8 */
	__u32 role;   /* enum policy_role, or enum policy_name_kind */
	__u32 how;    /* KIND_NAME: bit per enum policy_name_how that would do */
	__u32 generation;
	__u32 now;   /* policy clock */
	__u32 side;  /* enum policy_direction: bits of the hook */
	__u32 can;   /* enum policy_condition: what the packet has */
	__u32 check; /* other packets of the flow may be judged otherwise */
	__u32 never;
	struct acting rule;
	struct acting shadow;
	__u32 first;   /* counts as a flow */
	__u32 kept;    /* the rule's conditions held when the name was found */
	__u32 by_name; /* names are being looked for */
	__u32 pad;
	__u64 hash[2]; /* of a name's end, so far */
	__u32 pos;     /* bytes before it */
	__u32 taken;   /* bytes of it */
	__u32 digits;  /* it may still be a port */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct verdict_work);
} verdict_works SEC(".maps");

static __always_inline struct verdict_work *verdict_work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&verdict_works, &zero);
}

static __always_inline struct policy_control *policy_control_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&policy_control, &zero);
}

static __always_inline __u32 policy_now(void)
{
	struct control *c;

	if (!cfg_replay)
		return bpf_jiffies64() >> POLICY_JIFFIES_SHIFT;
	c = control_get();
	return c ? c->replay_ns >> POLICY_REPLAY_SHIFT : 0;
}

#endif
