// SPDX-License-Identifier: Apache-2.0
#include "tests/bench/lab.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <time.h>

#include "bench.skel.h"
#include "tests/bench/measure.h"
#include "weir.skel.h"

#define SCAN_NS	     UINT64_C(1000000000)
#define PAUSE_NS     50000
#define FLOWS_MIN    1024u
#define MERGE_MIN    (1u << 18)
#define IDLE_NS	     UINT64_C(3600000000000) /* other designs' turns don't make a flow idle */
#define RECENT_BYTES (64u << 20)
#define RECENT_LEN   256u
#define OWN_CPUS     2 /* regions: CPUs 0 and 1 */

/* The same settings in the same places: bench.bpf.c includes weir.bpf.c and has none of its own. */
_Static_assert(sizeof(struct bench_bpf__rodata) == sizeof(struct weir_bpf__rodata),
	       "settings differ");

const struct weir_bpf__rodata *lab_settings(const struct lab *l)
{
	return l->dp.object[0].skel->rodata;
}

int lab_share_maps(struct bpf_object *obj, const struct bpf_object *donor)
{
	struct bpf_map *map;
	int fd, r;

	bpf_object__for_each_map(map, obj)
	{
		if (bpf_map__is_internal(map))
			continue;
		fd = bpf_object__find_map_fd_by_name(donor, bpf_map__name(map));
		if (fd < 0)
			continue;
		r = bpf_map__reuse_fd(map, fd);
		if (r < 0)
			return r;
	}
	return 0;
}

static int load_bench(struct lab *l, uint32_t depth, bool keep, struct bench_bpf **ret)
{
	struct bench_bpf *b = bench_bpf__open();
	struct bpf_program *prog;
	int r;

	if (!b)
		return -errno;
	*ret = b;
	/* the product's own programs are measured by their copies */
	bpf_object__for_each_program(
		prog, b->obj) if (!strchr(bpf_program__name(prog), '_') ||
				  bpf_object__find_program_by_name(l->dp.object[0].skel->obj,
								   bpf_program__name(prog)))
		bpf_program__set_autoload(prog, false);
	memcpy(b->rodata, lab_settings(l), sizeof(*b->rodata));
	b->rodata->cfg_decap_depth = depth;
	if (!keep)
		b->rodata->cfg_recent_blocks = b->rodata->cfg_rare = 0;
	r = lab_share_maps(b->obj, l->dp.object[0].skel->obj);
	if (!r && l->plain && l->plain != b)
		r = lab_share_maps(b->obj, l->plain->obj);
	return r ?: bench_bpf__load(b);
}

static void emit(void *arg, const struct flow_record *rec)
{
	struct lab *l = arg;

	l->records++;
	l->packets += rec->packets;
	l->named += flow_has(rec, FF_TLS_SNI);
}

static int end_of_names(void *arg, const struct flow_key *key, struct name_result *ret)
{
	return names_flow_end(arg, key, ret);
}

void lab_tell_time(struct lab *l)
{
	uint64_t tick, wall_ns;

	dataplane_now(&l->dp, &tick, &wall_ns);
	l->clock.tick_ns = l->dp.tick_ns;
	clock_set(&l->clock, tick, wall_ns);
}

static int consumer_new(struct lab *l)
{
	struct merge_cfg cfg = merge_cfg_default;
	int r;

	lab_tell_time(l);
	cfg.max_flows = l->merge_flows;
	cfg.clock = &l->clock;
	cfg.emit = emit;
	cfg.arg = l;
	r = merge_new(&cfg, &l->merge);
	r = r ?: names_new(NULL, &l->names);
	r = r ?: drain_new(&l->dp, l->merge, l->names, &l->drain);
	if (!r)
		merge_on_end(l->merge, end_of_names, l->names);
	return r;
}

static void consumer_free(struct lab *l)
{
	drain_free(l->drain);
	names_free(l->names);
	merge_free(l->merge);
	l->drain = NULL;
	l->names = NULL;
	l->merge = NULL;
}

int lab_open(struct lab *l, uint32_t flows)
{
	struct dataplane_cfg cfg = dataplane_cfg_default;
	int r;

	cfg.cpus = OWN_CPUS;
	cfg.flows = OWN_CPUS * flows > FLOWS_MIN ? OWN_CPUS * flows : FLOWS_MIN;
	cfg.idle_ns = IDLE_NS;
	cfg.recent_bytes = RECENT_BYTES;
	cfg.recent_len = cfg.recent_full = RECENT_LEN;
	cfg.policy_entries = l->policy_entries;
	l->merge_flows = cfg.flows > MERGE_MIN ? cfg.flows : MERGE_MIN;
	r = dataplane_load(&l->dp, &cfg, &dataplane_variant_default);
	r = r ?: load_bench(l, 0, false, &l->plain);
	r = r ?: load_bench(l, 4, false, &l->decap);
	r = r ?: load_bench(l, 0, true, &l->kept);
	return r ?: consumer_new(l);
}

void lab_close(struct lab *l)
{
	consumer_free(l);
	bench_bpf__destroy(l->plain);
	bench_bpf__destroy(l->decap);
	bench_bpf__destroy(l->kept);
	dataplane_done(&l->dp);
}

/* Of what is the programs' alone. */
static int clear_own(const struct bpf_map *map)
{
	uint32_t n = bpf_map__max_entries(map), *keys = calloc(n, sizeof(*keys));
	void *rows = calloc(n, bpf_map__value_size(map));
	int r = keys && rows ? 0 : -ENOMEM;

	for (uint32_t i = 0; i < n && !r; i++)
		keys[i] = i;
	r = r ?: bpf_map_update_batch(bpf_map__fd(map), keys, rows, &n, NULL);
	free(keys);
	free(rows);
	return r;
}

static int clear_map(const struct bpf_map *map, size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, bpf_map__fd(map), 0);

	if (p == MAP_FAILED)
		return -errno;
	memset(p, 0, bytes);
	munmap(p, bytes);
	return 0;
}

int lab_clear(struct lab *l)
{
	const struct weir_bpf *skel = l->dp.object[0].skel;
	int r = clear_map(skel->maps.flows, l->dp.map_bytes[0]);

	r = r ?: clear_map(skel->maps.flows_cold, l->dp.map_bytes[1]);
	r = r ?: clear_own(skel->maps.marks);
	if (r)
		return r;
	drain_rings(l->drain);
	l->dp.control->reap_valid = 0;
	consumer_free(l);
	l->records = l->packets = l->named = 0;
	return consumer_new(l);
}

static uint64_t monotonic_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static void scan(struct lab *l)
{
	lab_tell_time(l);
	drain_scan(l->drain, &l->clock);
	names_tick(l->names, monotonic_ns());
	merge_tick(l->merge);
}

static void *drain_thread(void *arg)
{
	const struct timespec pause = {.tv_nsec = PAUSE_NS};
	struct lab *l = arg;
	uint64_t next = monotonic_ns() + SCAN_NS;

	pin_cpu(LAB_DRAIN_CPU);
	while (!atomic_load(&l->stop)) {
		if (l->scans && monotonic_ns() >= next) {
			scan(l);
			next += SCAN_NS;
		}
		if (!drain_rings(l->drain))
			nanosleep(&pause, NULL);
	}
	return NULL;
}

int lab_drain_start(struct lab *l, bool scans)
{
	atomic_store(&l->stop, false);
	l->scans = scans;
	return -pthread_create(&l->thread, NULL, drain_thread, l);
}

void lab_drain_stop(struct lab *l)
{
	atomic_store(&l->stop, true);
	pthread_join(l->thread, NULL);
}

void lab_finish(struct lab *l)
{
	scan(l);
	merge_flush(l->merge, FLOW_SHUTDOWN);
}
