// SPDX-License-Identifier: Apache-2.0
#include "loader/dataplane.h"

#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <errno.h>
#include <fcntl.h>
#include <malloc.h>
#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/random.h>
#include <time.h>
#include <unistd.h>

#include "loader/dataplane_int.h"
#include "loader/key_hash.h"
#include "loader/pin.h"
#include "loader/policy/table.h"
#include "weir.skel.h"
#include "weir/counters.h"

/* Assembly of first payload bytes, see bpf/assemble.h: messages of four directions a bucket. */
#define L7_HOLD_NS    1000000000u /* an unfinished one left alone that long makes room */
#define SEED_WORDS    12
#define CLOCK_STEP_NS 1000000 /* offsets closer than that are one: reading them takes time */

const struct dataplane_cfg dataplane_cfg_default = {
	.flows = 262144,
	.evicted_bytes = 16u << 20,
	.events_bytes = 4u << 20,
	.idle_ns = 15000000000,
	.names = true,
};

const struct dataplane_variant dataplane_variant_default = {
	.role = ROLE_UPLINK,
	.sample = 1,
	.decap_depth = -1,
};

static int configure(struct dataplane *dp, struct weir_bpf *skel, const struct dataplane_variant *v)
{
	const struct dataplane_cfg *cfg = &dp->cfg;
	uint64_t idle = cfg->idle_ns / dp->tick_ns;

	skel->rodata->cfg_set_bits = dp->set_bits;
	skel->rodata->cfg_syn_set = (uint32_t)dp->cpus << dp->set_bits;
	skel->rodata->cfg_syn_bits = dp->syn_bits;
	skel->rodata->cfg_idle_ticks = idle > UINT32_MAX / 2 ? UINT32_MAX / 2 : idle;
	skel->rodata->cfg_decap_depth = v->decap_depth >= 0	 ? (uint32_t)v->decap_depth
					: v->role == ROLE_MIRROR ? 4
								 : 0;
	skel->rodata->cfg_consume = v->role == ROLE_MIRROR;
	skel->rodata->cfg_sample = v->sample;
	skel->rodata->cfg_veth = v->veth;
	skel->rodata->cfg_netns = v->netns;
	skel->rodata->cfg_names = cfg->names;
	skel->rodata->cfg_l7_mask = L7_BUCKETS - 1;
	skel->rodata->cfg_l7_hold = L7_HOLD_NS / dp->tick_ns;
	/* what sampling passes over would have no verdict */
	skel->rodata->cfg_enforce = cfg->policy_entries != 0 && v->sample == 1;
	skel->rodata->cfg_decisions = cfg->policy_entries;
	skel->rodata->cfg_named_mask = cfg->policy_entries ? NAMED_LINES - 1 : 0;
	skel->rodata->cfg_meter_mask = cfg->policy_entries ? METER_LINES - 1 : 0;
	skel->rodata->cfg_replay = cfg->replay;
	skel->rodata->cfg_recent_blocks = dp->recent_blocks;
	skel->rodata->cfg_recent_len = cfg->recent_len;
	skel->rodata->cfg_recent_full = cfg->recent_full > cfg->recent_len ? cfg->recent_full
									   : cfg->recent_len;
	skel->rodata->cfg_recent_early = cfg->recent_early;
#ifdef __x86_64__
	skel->rodata->cfg_tso = 1;
#endif
	skel->rodata->cfg_rt = access("/sys/kernel/realtime", F_OK) == 0;
	skel->rodata->cfg_rare = v->sample > 1 || v->role == ROLE_MIRROR || cfg->replay ||
				 dp->recent_blocks || skel->rodata->cfg_rt;
	return 0;
}

static int make_seed(struct weir_bpf *skel)
{
	for (size_t i = 0; i < SEED_WORDS; i++)
		if (getrandom((void *)&skel->rodata->cfg_seed[i], 8, 0) != 8)
			return -EIO;
	return 0;
}

/* Maps and seed of an earlier process, if there are any. */
static int take_pinned(struct dataplane *dp, struct weir_bpf *skel)
{
	int r = dp->pin ? pin_reuse(dp->pin, skel->obj) : 0;

	for (size_t i = 0; r > 0 && i < SEED_WORDS; i++)
		skel->rodata->cfg_seed[i] = dp->pin->seed[i];
	for (size_t i = 0; r == 0 && dp->pin && i < SEED_WORDS; i++)
		dp->pin->seed[i] = skel->rodata->cfg_seed[i];
	return r < 0 ? r : 0;
}

/* Objects after the first use its maps and its seed. */
static int share_maps(struct weir_bpf *first, struct weir_bpf *skel)
{
	struct bpf_map *map;
	int r;

	for (size_t i = 0; i < SEED_WORDS; i++)
		skel->rodata->cfg_seed[i] = first->rodata->cfg_seed[i];
	bpf_object__for_each_map(map, skel->obj)
	{
		const char *name = bpf_map__name(map);

		if (bpf_map__is_internal(map))
			continue;
		r = bpf_map__reuse_fd(map, bpf_object__find_map_fd_by_name(first->obj, name));
		if (r)
			return r;
	}
	return 0;
}

/*
 * Flows of two namespaces may have the same addresses and the same interface index. The index goes into
 * the hash as (index + low half of cfg_seed[2]), so each namespace has another low half: nobody who does
 * not know the seed knows which two would meet. The same namespace has the same one for ever (--pin).
 */
static void seed_netns(struct weir_bpf *skel, uint32_t netns)
{
	uint64_t seed = skel->rodata->cfg_seed[2], mix = skel->rodata->cfg_seed[SEED_WORDS - 1];

	if (!netns)
		return;
	mix = key_fold(mix ^ netns, skel->rodata->cfg_seed[SEED_WORDS - 2] | 1);
	skel->rodata->cfg_seed[2] = (seed & ~(uint64_t)UINT32_MAX) | (uint32_t)(seed + mix);
}

static void *map_array(const struct bpf_map *map, int prot, size_t *ret_bytes)
{
	size_t page = sysconf(_SC_PAGESIZE);
	size_t bytes = (size_t)bpf_map__max_entries(map) * ((bpf_map__value_size(map) + 7) / 8 * 8);
	void *p;

	bytes = (bytes + page - 1) / page * page;
	p = mmap(NULL, bytes, prot, MAP_SHARED, bpf_map__fd(map), 0);
	*ret_bytes = bytes;
	return p == MAP_FAILED ? NULL : p;
}

static int map_sources(struct dataplane *dp, const struct weir_bpf *skel)
{
	dp->sources = map_array(skel->maps.sources, PROT_READ, &dp->map_bytes[8]);
	dp->source_counts = map_array(skel->maps.source_counts, PROT_READ, &dp->map_bytes[9]);
	return dp->sources && dp->source_counts ? 0 : -ENOMEM;
}

static int map_all(struct dataplane *dp, struct weir_bpf *skel)
{
	int r;

	dp->flows = map_array(skel->maps.flows, PROT_READ, &dp->map_bytes[0]);
	dp->cold = map_array(skel->maps.flows_cold, PROT_READ, &dp->map_bytes[1]);
	dp->counters = map_array(skel->maps.counters, PROT_READ, &dp->map_bytes[2]);
	dp->control = map_array(skel->maps.control, PROT_READ | PROT_WRITE, &dp->map_bytes[3]);
	if (dp->cfg.policy_entries) {
		dp->dropped = map_array(skel->maps.flows_dropped, PROT_READ, &dp->map_bytes[4]);
		dp->drops = map_array(skel->maps.policy_drops, PROT_READ, &dp->map_bytes[5]);
	}
	if (dp->recent_blocks) {
		dp->recent = map_array(skel->maps.recent, PROT_READ, &dp->map_bytes[6]);
		dp->recent_now = map_array(skel->maps.recent_now, PROT_READ, &dp->map_bytes[7]);
	}
	if (!dp->flows || !dp->cold || !dp->counters || !dp->control ||
	    (dp->cfg.policy_entries && (!dp->dropped || !dp->drops)) ||
	    (dp->recent_blocks && (!dp->recent || !dp->recent_now)))
		return -ENOMEM;
	r = ring_open(&dp->evicted, bpf_map__fd(skel->maps.evicted), dp->cfg.evicted_bytes);
	r = r ?: ring_open(&dp->events, bpf_map__fd(skel->maps.events), dp->cfg.events_bytes);
	if (r)
		return r;
	dp->evicted.fd = bpf_map__fd(skel->maps.evicted); /* as long as the object is there */
	dp->events.fd = bpf_map__fd(skel->maps.events);
	return 0;
}

/* Find a moment at which jiffies turns over, in terms of CLOCK_MONOTONIC: both run in step. */
static int read_clock(struct dataplane *dp, struct weir_bpf *skel)
{
	struct clock_sample s = {}, prev = {};

	for (int i = 0; i < 100000; i++) {
		LIBBPF_OPTS(bpf_test_run_opts, opts, .ctx_in = &s, .ctx_size_in = sizeof(s));
		int r = bpf_prog_test_run_opts(bpf_program__fd(skel->progs.read_clock), &opts);

		if (r < 0)
			return r;
		dp->tick_base = s.jiffies;
		dp->tick_base_ns = s.ns;
		if (i && s.jiffies != prev.jiffies)
			break;
		prev = s;
	}
	return 0;
}

static bool same_variant(const struct dataplane_variant *a, const struct dataplane_variant *b)
{
	return a->role == b->role && a->netns == b->netns && a->sample == b->sample &&
	       a->decap_depth == b->decap_depth && a->veth == b->veth;
}

static struct dataplane_object *find_object(const struct dataplane *dp,
					    const struct dataplane_variant *v)
{
	for (unsigned int i = 0; i < dp->objects; i++)
		if (same_variant(&dp->object[i].v, v))
			return &dp->object[i];
	return NULL;
}

/* Its programs, without what libbpf knows of them, which is some twenty times as much. */
static int keep_programs(struct dataplane_object *o, const struct weir_bpf *skel)
{
	const struct bpf_program *prog[_HOOK_MAX] = {
		[HOOK_XDP] = skel->progs.xdp_flows,
		[HOOK_TC_INGRESS] = skel->progs.tc_ingress,
		[HOOK_TC_EGRESS] = skel->progs.tc_egress,
	};

	for (int i = 0; i < _HOOK_MAX; i++) {
		int fd = bpf_program__fd(prog[i]);

		o->prog[i] = fd < 0 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 0);
		if (fd >= 0 && o->prog[i] < 0)
			return -errno;
	}
	return 0;
}

static void drop_programs(struct dataplane_object *o)
{
	for (int i = 0; i < _HOOK_MAX; i++)
		if (o->prog[i] >= 0)
			close(o->prog[i]);
	weir_bpf__destroy(o->skel);
}

void dataplane_unload(struct dataplane *dp, uint32_t netns)
{
	for (unsigned int i = dp->objects; i-- > 1;) {
		if (dp->object[i].v.netns != netns)
			continue;
		drop_programs(&dp->object[i]);
		dp->object[i] = dp->object[--dp->objects];
	}
}

#define MMAP_THRESHOLD (128 << 10) /* malloc's own at the start */
#define ALL_HOOKS      (1u << HOOK_XDP | 1u << HOOK_TC_INGRESS | 1u << HOOK_TC_EGRESS)

/* Of those there are: verifying them is most of the time that loading takes. */
static void choose_programs(struct weir_bpf *skel, unsigned int hooks, bool clock)
{
	bpf_program__set_autoload(skel->progs.xdp_flows, hooks & 1u << HOOK_XDP);
	bpf_program__set_autoload(skel->progs.tc_ingress, hooks & 1u << HOOK_TC_INGRESS);
	bpf_program__set_autoload(skel->progs.tc_egress, hooks & 1u << HOOK_TC_EGRESS);
	bpf_program__set_autoload(skel->progs.read_clock, clock);
}

/* Sizes, maps and configuration of an object, then with some of its programs into the kernel. */
static int make_object(struct dataplane *dp, struct weir_bpf *first, struct weir_bpf *skel,
		       const struct dataplane_variant *v, unsigned int hooks)
{
	int r = configure(dp, skel, v);

	choose_programs(skel, hooks, !first && !dp->cfg.replay);
	if (first)
		r = r ?: share_maps(first, skel);
	else
		r = r ?: dataplane_sizes(dp, skel) ?: make_seed(skel) ?: take_pinned(dp, skel);
	if (!r)
		seed_netns(skel, v->netns);
	return r ?: weir_bpf__load(skel);
}

/* What is done once, when the maps are there. */
static int use_maps(struct dataplane *dp, struct weir_bpf *skel)
{
	int r = map_all(dp, skel) ?: map_sources(dp, skel);

	if (!r && dp->pin)
		r = pin_keep(dp->pin, skel->obj, dp);
	if (!r && !dp->cfg.replay)
		r = read_clock(dp, skel);
	return r;
}

/* Load what is open, and keep what is needed of it. */
static int add_object(struct dataplane *dp, struct weir_bpf *skel,
		      const struct dataplane_variant *v)
{
	struct dataplane_object *o = &dp->object[dp->objects];
	struct weir_bpf *first = dp->objects ? dp->object[0].skel : NULL;
	const unsigned int hooks = dp->cfg.replay ? 1u << HOOK_XDP : ALL_HOOKS;
	int r = make_object(dp, first, skel, v, dp->cfg.on_demand ? 0 : hooks);

	*o = (struct dataplane_object){.v = *v, .prog = {-1, -1, -1}};
	if (!r && !first)
		r = use_maps(dp, skel);
	r = r ?: keep_programs(o, skel);
	if (!first) {
		o->skel = skel;
		dp->objects++; /* failed or not: dataplane_done() is for it */
		return r;
	}
	weir_bpf__destroy(skel);
	if (r)
		drop_programs(o);
	else
		dp->objects++;
	return r;
}

int dataplane_load(struct dataplane *dp, const struct dataplane_cfg *cfg,
		   const struct dataplane_variant *v)
{
	struct dataplane_object *o;
	struct weir_bpf *skel;
	int r = 0;

	if (find_object(dp, v))
		return 0;
	if (!v->sample || (!dp->objects && v->netns))
		return -EINVAL; /* what the first one has is the seed of all */
	if (!dp->objects)
		r = dataplane_layout(dp, cfg);
	if (r)
		return r;
	o = reallocarray(dp->object, dp->objects + 1, sizeof(*o));
	if (!o)
		return -ENOMEM;
	dp->object = o;
	if (dp->objects && dp->cfg.on_demand) {
		dp->object[dp->objects++] =
			(struct dataplane_object){.v = *v, .prog = {-1, -1, -1}};
		return 0;
	}
	skel = weir_bpf__open();
	return skel ? add_object(dp, skel, v) : -errno;
}

/* ---- programs on demand ---- */

/* One program that is to be loaded. */
struct loading {
	struct dataplane *dp;
	const struct dataplane_variant *v;
	enum weir_hook hook;
	int r; /* its descriptor, or -errno */
	pthread_t thread;
	bool started;
};

static int load_program(struct dataplane *dp, const struct dataplane_variant *v,
			enum weir_hook hook)
{
	struct dataplane_object one = {.v = *v, .prog = {-1, -1, -1}};
	struct weir_bpf *skel = weir_bpf__open();
	int r;

	if (!skel)
		return -errno;
	r = make_object(dp, dp->object[0].skel, skel, v, 1u << hook);
	r = r ?: keep_programs(&one, skel);
	weir_bpf__destroy(skel);
	return r ?: one.prog[hook];
}

int dataplane_program(struct dataplane *dp, const struct dataplane_variant *v, enum weir_hook hook)
{
	struct dataplane_object *o = find_object(dp, v);
	int r;

	if (!o)
		return -ENOENT;
	if (o->prog[hook] >= 0)
		return o->prog[hook];
	r = load_program(dp, v, hook);
	if (r >= 0)
		o->prog[hook] = r;
	return r;
}

static void *loading_thread(void *arg)
{
	struct loading *l = arg;

	l->r = load_program(l->dp, l->v, l->hook);
	return NULL;
}

int dataplane_prepare(struct dataplane *dp, const struct dataplane_variant *v, unsigned int hooks)
{
	struct dataplane_object *o = find_object(dp, v);
	struct loading l[_HOOK_MAX] = {};
	int r = o ? 0 : -ENOENT;

	/* else it grows with what libbpf frees, and tables that are touched bit by bit come zeroed */
	mallopt(M_MMAP_THRESHOLD, MMAP_THRESHOLD);
	for (int i = 0; o && i < _HOOK_MAX; i++) {
		l[i] = (struct loading){.dp = dp, .v = v, .hook = (enum weir_hook)i};
		if (hooks & 1u << i && o->prog[i] < 0)
			l[i].started = !pthread_create(&l[i].thread, NULL, loading_thread, &l[i]);
	}
	for (int i = 0; o && i < _HOOK_MAX; i++) {
		if (!l[i].started)
			continue; /* not wanted; or no thread, and it is loaded when it is */
		pthread_join(l[i].thread, NULL);
		if (l[i].r >= 0)
			o->prog[i] = l[i].r;
		else
			r = r ?: l[i].r;
	}
	malloc_trim(0); /* each thread has had memory of its own, which the worker would inherit */
	return r;
}

void dataplane_done(struct dataplane *dp)
{
	void *maps[] = {(void *)dp->flows,    (void *)dp->cold,
			(void *)dp->counters, dp->control,
			(void *)dp->dropped,  (void *)dp->drops,
			(void *)dp->recent,   (void *)dp->recent_now,
			(void *)dp->sources,  (void *)dp->source_counts};

	ring_close(&dp->evicted);
	ring_close(&dp->events);
	for (size_t i = 0; i < sizeof(maps) / sizeof(maps[0]); i++)
		if (maps[i])
			munmap(maps[i], dp->map_bytes[i]);
	for (unsigned int i = 0; i < dp->objects; i++)
		drop_programs(&dp->object[i]);
	free(dp->object);
	*dp = (struct dataplane){};
}

static uint64_t clock_read(clockid_t id)
{
	struct timespec ts;

	clock_gettime(id, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + ts.tv_nsec;
}

/* CLOCK_REALTIME - CLOCK_MONOTONIC; off by as long as this thread was stopped between the reads. */
static int64_t wall_offset(void)
{
	uint64_t before = clock_read(CLOCK_MONOTONIC), wall = clock_read(CLOCK_REALTIME);
	uint64_t after = clock_read(CLOCK_MONOTONIC);

	return (int64_t)(wall - before - (after - before) / 2);
}

void dataplane_now(struct dataplane *dp, uint64_t *ret_tick, uint64_t *ret_wall_ns)
{
	uint64_t mono = clock_read(CLOCK_MONOTONIC);
	uint64_t since = mono > dp->tick_base_ns ? mono - dp->tick_base_ns : 0;
	int64_t offset = wall_offset();

	/* both clocks run at one rate: only a step moves them apart, and one tick stays one time */
	if (llabs(offset - dp->wall_offset_ns) > CLOCK_STEP_NS)
		dp->wall_offset_ns = offset;
	*ret_tick = dp->tick_base + since / dp->tick_ns;
	*ret_wall_ns = mono + (uint64_t)dp->wall_offset_ns - since % dp->tick_ns;
}

void dataplane_policy(const struct dataplane *dp, struct policy_fds *ret)
{
	const struct weir_bpf *skel = dp->object[0].skel;

	ret->policy_control = bpf_map__fd(skel->maps.policy_control);
	ret->policy_rules = bpf_map__fd(skel->maps.policy_rules);
	ret->policy_counts = bpf_map__fd(skel->maps.policy_counts);
	ret->policy_index = bpf_map__fd(skel->maps.policy_index);
	ret->policy_decisions = bpf_map__fd(skel->maps.policy_decisions);
	ret->policy_presence = bpf_map__fd(skel->maps.policy_presence);
}

int dataplane_counters_fd(const struct dataplane *dp)
{
	return bpf_map__fd(dp->object[0].skel->maps.counters);
}

uint64_t dataplane_counter(const struct dataplane *dp, unsigned int c)
{
	uint64_t sum = dp->counted ? dp->counted[c] : 0;

	for (int i = 0; i < dp->cpus; i++)
		sum += __atomic_load_n(&dp->counters[i].v[c], __ATOMIC_RELAXED);
	return sum;
}
