// SPDX-License-Identifier: Apache-2.0
/*
 * dataplane_size.c - how large the tables are: from what is asked for, the number of CPUs and the
 * kernel's tick.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <time.h>
#include <unistd.h>

#include "loader/dataplane_int.h"
#include "weir.skel.h"
#include "weir/policy_map.h"
#include "weir/recent.h"
#include "weir/source.h"

#define FLOWS_MIN	   1024u
#define FLOWS_MAX	   (64u << 20)
#define SYN_BITS_MAX	   8 /* of lone SYNs: 4,096, 256 KiB */
#define POLICY_ENTRIES_MAX (1u << 24)

/* Sets per CPU, log2, so that @flows fill at most half of all ways. */
static uint32_t set_bits(uint32_t flows, int cpus)
{
	uint64_t ways = 2ull * flows / cpus;
	uint32_t bits = 4;

	while ((uint64_t)WEIR_WAYS << bits < ways)
		bits++;
	return bits;
}

/* Sets of lone SYNs per CPU, log2: what stays in its cache, and less where flows are few. */
static uint32_t syn_bits(uint32_t set_bits)
{
	return set_bits < SYN_BITS_MAX ? set_bits : SYN_BITS_MAX;
}

/* Blocks of recent packets per CPU, a power of two, so that all take @bytes at most; two at least. */
static uint32_t recent_blocks(uint64_t bytes, int cpus)
{
	uint64_t n = bytes / RECENT_BLOCK / (uint64_t)cpus;
	uint32_t blocks = 2;

	if (!bytes)
		return 0;
	while (blocks * 2ull <= n)
		blocks *= 2;
	return blocks;
}

static uint64_t kernel_tick_ns(void)
{
	struct timespec ts = {};

	/* the coarse clocks advance once a tick */
	if (clock_getres(CLOCK_MONOTONIC_COARSE, &ts) || !ts.tv_nsec)
		return 4000000;
	return ts.tv_nsec;
}

int dataplane_layout(struct dataplane *dp, const struct dataplane_cfg *cfg)
{
	if (cfg->flows < FLOWS_MIN || cfg->flows > FLOWS_MAX)
		return -EINVAL;
	if (cfg->policy_entries > POLICY_ENTRIES_MAX)
		return -EINVAL;
	if (cfg->recent_bytes && (!cfg->recent_len || cfg->recent_len > RECENT_LEN_MAX ||
				  !cfg->recent_full || cfg->recent_full > RECENT_LEN_MAX))
		return -EINVAL;
	dp->cfg = *cfg;
	dp->cpus = cfg->cpus ?: libbpf_num_possible_cpus();
	dp->set_bits = set_bits(cfg->flows, dp->cpus);
	dp->syn_bits = syn_bits(dp->set_bits);
	dp->slots = (size_t)WEIR_WAYS * dp->cpus * ((1u << dp->set_bits) + (1u << dp->syn_bits));
	dp->recent_blocks = cfg->replay ? 0 : recent_blocks(cfg->recent_bytes, dp->cpus);
	dp->tick_ns = cfg->tick_ns ?: kernel_tick_ns();
	return 0;
}

/* Tables of the verdicts; one element each where there are none. */
static int set_policy_sizes(struct dataplane *dp, struct weir_bpf *skel)
{
	const uint32_t n = dp->cfg.policy_entries, cpus = (uint32_t)dp->cpus;
	uint32_t buckets = 1;
	int r = 0;

	while (buckets < n / 4)
		buckets *= 2;
	const struct {
		struct bpf_map *map;
		uint32_t entries;
	} sizes[] = {
		{skel->maps.flows_dropped, cpus << dp->set_bits},
		{skel->maps.policy_rules, POLICY_RULES},
		{skel->maps.policy_counts, cpus * POLICY_RULES},
		{skel->maps.policy_index, buckets},
		{skel->maps.policy_decisions, n + 1},
		{skel->maps.policy_presence, PRESENCE_ALL},
		{skel->maps.policy_named, NAMED_LINES},
		{skel->maps.policy_meters, METER_LINES},
		{skel->maps.policy_drops, cpus * DROP_ROWS},
	};

	for (size_t i = 0; !r && i < sizeof(sizes) / sizeof(sizes[0]); i++)
		r = bpf_map__set_max_entries(sizes[i].map, n ? sizes[i].entries : 1);
	return r;
}

/* Blocks of the last packets; one element each where none are kept. */
static int set_recent_sizes(const struct dataplane *dp, struct weir_bpf *skel)
{
	const uint32_t cpus = dp->recent_blocks ? (uint32_t)dp->cpus : 1;
	int r = bpf_map__set_max_entries(skel->maps.recent, cpus * (dp->recent_blocks ?: 1));

	return r ?: bpf_map__set_max_entries(skel->maps.recent_now, cpus);
}

int dataplane_sizes(struct dataplane *dp, struct weir_bpf *skel)
{
	uint32_t sets = (uint32_t)dp->cpus << dp->set_bits;
	int r;

	r = bpf_map__set_max_entries(skel->maps.flows, sets + ((uint32_t)dp->cpus << dp->syn_bits));
	r = r ?: bpf_map__set_max_entries(skel->maps.marks, sets);
	r = r ?: bpf_map__set_max_entries(skel->maps.flows_cold, sets);
	r = r ?: bpf_map__set_max_entries(skel->maps.counters, dp->cpus);
	r = r
		    ?: bpf_map__set_max_entries(skel->maps.source_counts,
						WEIR_SOURCES * (uint32_t)dp->cpus);
	r = r ?: bpf_map__set_max_entries(skel->maps.l7_dir, L7_BUCKETS);
	r = r ?: bpf_map__set_max_entries(skel->maps.l7_bytes, L7_BUCKETS + dp->cpus);
	r = r ?: bpf_map__set_max_entries(skel->maps.evicted, dp->cfg.evicted_bytes);
	r = r ?: bpf_map__set_max_entries(skel->maps.events, dp->cfg.events_bytes);
	r = r ?: set_recent_sizes(dp, skel);
	return r ?: set_policy_sizes(dp, skel);
}

/* What the kernel takes for a map: kernel/bpf/arraymap.c, ringbuf.c. */
static uint64_t map_memory(const struct bpf_map *map, int cpus)
{
	const uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE), n = bpf_map__max_entries(map);
	uint64_t bytes = n * ((bpf_map__value_size(map) + 7) / 8 * 8);

	if (bpf_map__type(map) == BPF_MAP_TYPE_RINGBUF)
		bytes = n;
	else if (bpf_map__type(map) == BPF_MAP_TYPE_PERCPU_ARRAY)
		bytes *= (uint64_t)cpus;
	return (bytes + page - 1) / page * page + page;
}

int dataplane_memory(const struct dataplane_cfg *cfg, uint64_t *ret_bytes, uint64_t *ret_slots)
{
	struct dataplane dp = {};
	struct weir_bpf *skel = weir_bpf__open();
	int r = skel ? dataplane_layout(&dp, cfg) : -errno;

	r = r ?: dataplane_sizes(&dp, skel);
	*ret_bytes = 0;
	*ret_slots = dp.slots;
	for (const struct bpf_map *map = r ? NULL : bpf_object__next_map(skel->obj, NULL); map;
	     map = bpf_object__next_map(skel->obj, map))
		*ret_bytes += map_memory(map, dp.cpus);
	weir_bpf__destroy(skel);
	return r;
}
