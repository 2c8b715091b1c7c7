// SPDX-License-Identifier: Apache-2.0
/*
 * replay_run.c - one frame after another: capture time into `control`, the frame into the program,
 * a drain whenever capture time passes a whole interval.
 *
 * The only system call per frame is the test run itself. The rings are looked at every few hundred
 * frames, so that they can't fill up between two drains.
 */
#include "loader/replay_run.h"

#include <bpf/libbpf.h>
#include <errno.h>
#include <linux/bpf.h>
#include <sched.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "common/filter.h"
#include "common/output.h"
#include "loader/capture_file.h"
#include "loader/drain.h"
#include "loader/policy/titles.h"
#include "loader/replay_cache.h"
#include "loader/replay_clock.h"
#include "loader/replay_policy.h"
#include "weir.skel.h"

#define NS_PER_S   UINT64_C(1000000000)
#define TIME_MAX   INT64_MAX /* ns; later ones (damage) would overflow sums */
#define TEST_MAX   73152u    /* bytes of a frame that a test run takes, fragments included */
#define DRAINS_MAX 200	     /* in one pause: all timeouts are over by then */
#define RING_EVERY 512u	     /* frames; each adds at most one record to a ring */

struct replay {
	struct replay_cfg cfg;
	struct dataplane dp;
	struct replay_clock time;
	struct replay_cache cache;
	struct clock clock;
	struct merge *merge;
	struct names *names;
	struct drain *drain;
	struct output *out;
	char rule[TITLE_TEXT]; /* name of the record at hand */
	union bpf_attr attr;   /* of the test run; frame and length change */
	uint32_t since_rings;  /* frames since the rings were looked at */
	bool unread;	       /* frames since the last scan */
	uint8_t *frame;
	struct summary summary;
	struct replay_stats stats;
};

static volatile sig_atomic_t interrupted;

static void on_interrupt(int sig)
{
	(void)sig;
	interrupted = 1;
}

struct replay_cfg replay_cfg_default(void)
{
	struct replay_cfg cfg = {
		.dp = dataplane_cfg_default,
		.interval_ns = NS_PER_S,
		.active_ns = 60 * NS_PER_S,
		.idle_ns = 15 * NS_PER_S,
		.syn_ns = 5 * NS_PER_S,
	};

	cfg.dp.flows = 65536;
	cfg.programs = dataplane_variant_default;
	cfg.programs.decap_depth = 4;
	return cfg;
}

/* The CPU we are on: the per-CPU scratch stays the same. */
static int pin_to_cpu(void)
{
	int cpu = sched_getcpu();
	cpu_set_t set;

	if (cpu < 0)
		return -errno;
	CPU_ZERO(&set);
	CPU_SET((size_t)cpu, &set);
	return sched_setaffinity(0, sizeof(set), &set) ? -errno : 0;
}

static void emit(void *arg, const struct flow_record *rec)
{
	struct replay *r = arg;

	summary_add(&r->summary, rec);
	if (!filter_match(r->cfg.where, rec))
		return;
	r->stats.matched++;
	output_flow(r->out, rec);
}

static int flow_ended(void *arg, const struct flow_key *key, struct name_result *ret)
{
	return names_flow_end(((struct replay *)arg)->names, key, ret);
}

static const char *rule_name(void *arg, uint32_t rule, uint32_t generation)
{
	struct replay *r = arg;

	if (!r->dp.titles || !title_get(r->dp.titles, rule, generation, r->rule))
		return NULL;
	return r->rule;
}

static int load_programs(struct replay *r)
{
	struct dataplane_cfg *dp = &r->cfg.dp;
	int e = pin_to_cpu();

	if (e)
		return e;
	dp->cpus = 1;
	dp->replay = true;
	dp->tick_ns = REPLAY_TICK_NS;
	dp->idle_ns = r->cfg.idle_ns;
	e = dataplane_load(&r->dp, dp, &r->cfg.programs);
	if (!e && r->cfg.policy) {
		e = replay_policy_open(r->cfg.policy, &r->dp);
		r->dp.titles = replay_policy_titles(r->cfg.policy);
	}
	return e;
}

static int make_merge(struct replay *r)
{
	struct merge_cfg cfg = merge_cfg_default;
	int e;

	cfg.max_flows = r->cfg.dp.flows * 2;
	cfg.active_ns = r->cfg.active_ns;
	cfg.idle_ns = r->cfg.idle_ns;
	cfg.syn_ns = r->cfg.syn_ns;
	cfg.clock = &r->clock;
	cfg.rule = rule_name;
	cfg.emit = emit;
	cfg.arg = r;
	r->clock.tick_ns = REPLAY_TICK_NS;
	e = merge_new(&cfg, &r->merge);
	if (!e && r->cfg.dp.names)
		e = names_new(NULL, &r->names);
	if (!e && r->names)
		merge_on_end(r->merge, flow_ended, r);
	return e;
}

int replay_new(const struct replay_cfg *cfg, struct output *out, struct replay **ret)
{
	struct replay *r = calloc(1, sizeof(*r));
	int e;

	if (!r)
		return -ENOMEM;
	r->cfg = *cfg;
	r->out = out;
	r->time.interval = cfg->interval_ns / REPLAY_TICK_NS;
	r->frame = malloc(LINK_BUFFER_BYTES);
	e = r->frame ? load_programs(r) : -ENOMEM;
	e = e ?: replay_cache_open(&r->cache, &r->dp);
	e = e ?: make_merge(r);
	e = e ?: drain_new(&r->dp, r->merge, r->names, &r->drain);
	if (e) {
		replay_free(r);
		return e;
	}
	r->attr.test.prog_fd = (uint32_t)bpf_program__fd(r->dp.object[0].skel->progs.xdp_flows);
	r->attr.test.repeat = 1;
	*ret = r;
	return 0;
}

struct replay *replay_free(struct replay *r)
{
	if (!r)
		return NULL;
	drain_free(r->drain);
	merge_free(r->merge);
	names_free(r->names);
	replay_cache_close(&r->cache);
	dataplane_done(&r->dp);
	free(r->frame);
	free(r);
	return NULL;
}

/* ---- drains ---- */

static void set_clock(struct replay *r, uint64_t tick)
{
	clock_set(&r->clock, tick, replay_clock_wall_ns(&r->time, tick));
}

static void read_cache(struct replay *r)
{
	if (r->unread)
		drain_scan(r->drain, &r->clock);
	r->unread = false;
	r->since_rings = 0;
}

/* At whole intervals, as a live drain would. */
static void drain_at(struct replay *r, uint64_t tick)
{
	set_clock(r, tick);
	read_cache(r);
	if (r->names)
		names_tick(r->names, tick * REPLAY_TICK_NS);
	merge_tick(r->merge);
	r->stats.drains++;
}

/*
 * Nothing that is compared by 32 bits of a tick may be too old for that: entries, and what the drain
 * remembers of its last two scans.
 */
static void age_cache(struct replay *r, uint64_t from)
{
	replay_cache_age(&r->cache, from, r->time.tick);
	set_clock(r, r->time.tick);
	drain_scan(r->drain, &r->clock);
	drain_scan(r->drain, &r->clock);
}

/* Captures with long pauses: once no flow is left, nothing more can come of waiting. */
static void drain_until(struct replay *r, uint64_t ns)
{
	uint64_t from = r->time.tick;

	for (int n = 0; replay_clock_step(&r->time, ns) == REPLAY_DRAIN; n++) {
		drain_at(r, r->time.next_drain);
		if (merge_flows(r->merge) && n < DRAINS_MAX)
			replay_clock_drained(&r->time);
		else
			replay_clock_skip(&r->time, ns);
		if (r->time.tick - r->cache.aged >= REPLAY_AGE_TICKS) {
			age_cache(r, from);
			from = r->time.tick;
		}
	}
}

/* All flows so far end; what comes next has another time. */
static void step_back(struct replay *r, uint64_t capture_ns)
{
	uint64_t ns = replay_clock_pause(&r->time);

	drain_until(r, ns);
	replay_clock_shift(&r->time, ns, capture_ns);
	r->stats.clock_steps++;
}

/* ---- frames ---- */

static void advance(struct replay *r, uint64_t capture_ns)
{
	uint64_t ns = replay_clock_ns(&r->time, capture_ns);
	bool first = !r->time.running;

	switch (replay_clock_step(&r->time, ns)) {
	case REPLAY_SAME:
		break;
	case REPLAY_DRAIN:
		drain_until(r, ns);
		break;
	case REPLAY_BACK:
		step_back(r, capture_ns);
		ns = replay_clock_ns(&r->time, capture_ns);
		replay_clock_step(&r->time, ns);
		break;
	}
	if (first)
		r->cache.aged = r->time.tick;
	r->dp.control->replay_ns = ns;
	r->dp.control->replay_tick = (uint32_t)r->time.frame;
	if (r->cfg.policy && !r->stats.policy)
		r->stats.policy = replay_policy_time(r->cfg.policy, ns, capture_ns);
}

static void run_frame(struct replay *r, const struct ether_frame *e)
{
	r->dp.control->replay_wire_len = e->wire_len;
	r->attr.test.data_in = (uintptr_t)e->data;
	r->attr.test.data_size_in = e->len < TEST_MAX ? e->len : TEST_MAX;
	r->attr.test.data_size_out = 0; /* the kernel writes here; as input it would be a limit */
	if (syscall(SYS_bpf, BPF_PROG_TEST_RUN, &r->attr, sizeof(r->attr.test))) {
		r->stats.run_failed++;
		return;
	}
	r->stats.taken++;
	r->unread = true;
	if (++r->since_rings < RING_EVERY)
		return;
	r->since_rings = 0;
	set_clock(r, r->time.tick);
	drain_rings(r->drain);
}

static void take_frame(struct replay *r, const struct capture_frame *f)
{
	struct ether_frame e;
	enum link_result why = linktype_to_ether(f, r->frame, &e);

	r->stats.frames++;
	if (why != LINK_OK) {
		r->stats.refused[why]++;
		if (why == LINK_UNSUPPORTED)
			r->stats.unsupported = f->linktype;
		return;
	}
	advance(r, f->time_ns < TIME_MAX ? f->time_ns : TIME_MAX);
	run_frame(r, &e);
}

int replay_all(struct replay *r, struct capture *c)
{
	struct sigaction sa = {.sa_handler = on_interrupt, .sa_flags = (int)SA_RESETHAND};
	struct capture_frame f;
	int e = 0;

	sigaction(SIGINT, &sa, NULL);
	sigaction(SIGTERM, &sa, NULL);
	while (!interrupted) {
		e = capture_next(c, &f);
		if (e <= 0)
			break;
		take_frame(r, &f);
	}
	return e == -EINTR || e > 0 ? 0 : e;
}

int replay_finish(struct replay *r)
{
	set_clock(r, r->time.tick);
	read_cache(r);
	merge_flush(r->merge, FLOW_SHUTDOWN);
	return output_flush(r->out);
}

const struct replay_stats *replay_stats(const struct replay *r)
{
	return &r->stats;
}

const struct summary *replay_summary(struct replay *r)
{
	r->summary.merge = *merge_stats(r->merge);
	if (r->names)
		r->summary.names = *names_stats(r->names);
	r->summary.flows = r->summary.merge.flows;
	return &r->summary;
}

const struct dataplane *replay_dataplane(const struct replay *r)
{
	return &r->dp;
}
