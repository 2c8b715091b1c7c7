/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * mirror_maps.h - the tables of weir/mirror.h, and how a session's packets are counted: for the session and,
 * in the counters of the packet path, for all of them.
 */
#ifndef WEIR_BPF_MIRROR_MAPS_H
#define WEIR_BPF_MIRROR_MAPS_H

#include "verdict_match.h"
#include "weir/mirror.h"

const volatile __u32 cfg_mirror_pair = 0; /* interface of the private pair that clones go to */

/* Sessions and what is never mirrored. Writer: the core; `full` of a session: the programs. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mirror_table);
} mirror_table SEC(".maps");

/* Entries of the filters. Key: session * MIRROR_RULES + entry, 184 KiB. Writer: the core, while the session is
 * off. action: POLICY_DO_MIRROR accepts, POLICY_PASS rejects.
 */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, MIRROR_SESSIONS *MIRROR_RULES);
	__type(key, __u32);
	__type(value, struct policy_version);
} mirror_rules SEC(".maps");

/* Writer: that CPU. Size: loader. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mirror_count);
} mirror_counts SEC(".maps");

/* The packet path's own `counters`: the parser's reasons are counted there by its programs, and once. */
struct {
	__uint(type, BPF_MAP_TYPE_ARRAY);
	__uint(map_flags, BPF_F_MMAPABLE);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct counter_row);
} mirror_totals SEC(".maps");

/* One packet on its way; per CPU, and nothing of it is needed once a clone is on its own. */
struct mirror_work {
	__u32 hash; /* the same both ways: the outer source port is made of it */
	__u32 segs;
	__u64 bytes;  /* IP bytes on the wire */
	__u32 exempt; /* never to be mirrored */
	__u32 pad;
	__u8 head[128];	 /* headers of the tunnel's packet */
	__u8 chunk[512]; /* of the packet, for its checksum */
};

struct {
	__uint(type, BPF_MAP_TYPE_PERCPU_ARRAY);
	__uint(max_entries, 1);
	__type(key, __u32);
	__type(value, struct mirror_work);
} mirror_works SEC(".maps");

static __always_inline struct mirror_work *mirror_work_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mirror_works, &zero);
}

static __always_inline struct mirror_table *mirror_table_get(void)
{
	__u32 zero = 0;

	return bpf_map_lookup_elem(&mirror_table, &zero);
}

static __always_inline struct mirror_session *mirror_session_get(struct mirror_table *t,
								 __u32 session)
{
	asm volatile("" : "+r"(session)); /* the masked register is the one that is used */
	return &t->session[session & MIRROR_SESSIONS];
}

static __always_inline struct mirror_count *mirror_count_get(__u32 session)
{
	__u32 row = bpf_get_smp_processor_id() * MIRROR_SESSIONS + session;

	return bpf_map_lookup_elem(&mirror_counts, &row);
}

static __always_inline void mirror_total(enum counter c, __u64 n)
{
	__u32 cpu = bpf_get_smp_processor_id();
	struct counter_row *row = bpf_map_lookup_elem(&mirror_totals, &cpu);

	if (row)
		row->v[c] += n;
}

/* @n packets or bytes more of what mirror_counts.def has. */
#define MIRROR_TALLY(count, member, counter, n)          \
	do {                                             \
		(count)->member += (n);                  \
		mirror_total(CNT_##counter, (__u64)(n)); \
	} while (0)

#endif
