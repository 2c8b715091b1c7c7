// SPDX-License-Identifier: Apache-2.0
/*
 * bench_live.c - frames a second through a veth pair: generated in batches in the kernel, sent as XDP
 * frames, accounted (or not) and dropped at the other end. bench_live DEV PEER, two ends of a veth
 * pair in a network namespace of its own, both up.
 * First everything on one CPU, so that nothing is lost between sender and receiver, with sources that a
 * policy lists and drops too; then the sender
 * on one CPU against the receiver on the other, as fast as it goes: whatever the pair can't carry,
 * it drops and counts, and sent = accounted + dropped must hold exactly.
 */
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <dirent.h>
#include <errno.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "bench.skel.h"
#include "common/scan.h"
#include "peer.skel.h"
#include "tests/bench/lists.h"
#include "tests/bench/measure.h"
#include "tests/bench/peers.h"
#include "weir/counters.h"

#define FLOWS	  (1u << 16)
#define FRAMES	  2000000u
#define FLOOD	  8000000u
#define BATCH	  64u
#define ROUNDS	  5u
#define RECEIVERS 4u

struct receiver {
	const char *name;
	int prog_fd;
	double mpps[ROUNDS];
};

struct live {
	struct lab lab;
	struct lab on; /* with verdicts */
	struct lists lists;
	struct peer_bpf *hash;
	struct filter filter;
	struct frame frame;
	struct receiver r[RECEIVERS];
	unsigned int n;
	const char *dev;
	const char *peer;
};

static uint32_t flows = FLOWS; /* of the generator */

static void print(const char *scenario, const char *design, const char *metric, double value)
{
	row_print(&(struct row){.section = "live",
				.scenario = scenario,
				.hook = "xdp",
				.flows = flows,
				.design = design,
				.metric = metric,
				.value = value});
}

static int write_sys(const char *dev, const char *file, const char *text)
{
	char path[128];
	FILE *f;
	int r;

	snprintf(path, sizeof(path), "/sys/class/net/%s/%s", dev, file);
	f = fopen(path, "we");
	if (!f)
		return -errno;
	r = fputs(text, f) < 0 ? -EIO : 0;
	return fclose(f) ? -errno : r;
}

static uint64_t read_sys(const char *dev, const char *file)
{
	char path[128], line[32] = "";
	uint64_t v = 0;
	FILE *f;
	size_t len;

	snprintf(path, sizeof(path), "/sys/class/net/%s/statistics/%s", dev, file);
	f = fopen(path, "re");
	if (!f)
		return 0;
	len = fread(line, 1, sizeof(line) - 1, f);
	fclose(f);
	if (len && line[len - 1] == '\n')
		line[len - 1] = '\0';
	return scan_u64(line, 0, UINT64_MAX, &v) ? 0 : v;
}

/* The kernel thread that polls the receiving end. Return: its id or -ENOENT. */
static int napi_thread(const char *dev)
{
	char want[32], path[300], comm[32] = "";
	DIR *dir = opendir("/proc");
	struct dirent *e;
	uint64_t pid = 0;
	int r = -ENOENT;

	snprintf(want, sizeof(want), "napi/%s-", dev);
	while (dir && r < 0 && (e = readdir(dir))) {
		FILE *f;

		if (scan_u64(e->d_name, 1, INT32_MAX, &pid))
			continue;
		snprintf(path, sizeof(path), "/proc/%s/comm", e->d_name);
		f = fopen(path, "re");
		if (f && fgets(comm, sizeof(comm), f) && !strncmp(comm, want, strlen(want)))
			r = (int)pid;
		if (f)
			fclose(f);
	}
	if (dir)
		closedir(dir);
	return r;
}

/* Send @n frames out of the device. Return: 0 or -errno. */
static int send_frames(struct live *l, uint32_t n)
{
	struct xdp_md ctx = {.data_end = l->frame.len, .ingress_ifindex = if_nametoindex(l->dev)};
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = l->frame.data, .data_size_in = l->frame.len,
		    .ctx_in = &ctx, .ctx_size_in = sizeof(ctx), .repeat = n,
		    .flags = BPF_F_TEST_XDP_LIVE_FRAMES, .batch_size = BATCH);

	return bpf_prog_test_run_opts(bpf_program__fd(l->lab.plain->progs.live_send), &opts);
}

static int set_generator(struct live *l)
{
	const uint32_t zero = 0;
	struct contender c;

	contender_random(&c, &l->frame, flows);
	return bpf_map_update_elem(bpf_map__fd(l->lab.plain->maps.gen), &zero, &c.gen, BPF_ANY)
		       ? -errno
		       : 0;
}

static int attach(const char *dev, int prog_fd)
{
	return bpf_xdp_attach(if_nametoindex(dev), prog_fd, 0, NULL);
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

static uint64_t received(const struct live *l)
{
	return read_sys(l->peer, "rx_packets");
}

/* Wait until the counters of the receiving end stand still. */
static void settle(const struct live *l)
{
	uint64_t n, prev = UINT64_MAX;

	for (int i = 0; i < 100 && (n = received(l)) != prev; i++) {
		prev = n;
		usleep(20000);
	}
}

/* One CPU sends and receives: CPU time of both. */
static int measure_rate(struct live *l, struct receiver *r, unsigned int round)
{
	uint64_t before = received(l);
	double begin;
	int e = attach(l->peer, r->prog_fd);

	begin = cpu_ns();
	e = e ?: send_frames(l, FRAMES);
	begin = cpu_ns() - begin;
	if (e)
		return e;
	settle(l);
	r->mpps[round] = (double)(received(l) - before) / begin * 1e3;
	return 0;
}

static int measure_rates(struct live *l, const char *scenario)
{
	int e = set_generator(l);

	/* once to fill the tables */
	for (unsigned int i = 0; i < l->n && !e; i++)
		e = measure_rate(l, &l->r[i], 0);
	for (unsigned int round = 0; round < ROUNDS && !e; round++)
		for (unsigned int i = 0; i < l->n && !e; i++)
			e = measure_rate(l, &l->r[i], round);
	for (unsigned int i = 0; i < l->n && !e; i++) {
		print(scenario, l->r[i].name, "mpps", median(l->r[i].mpps, ROUNDS));
		fprintf(stderr, "bench: live, %s\n", l->r[i].name);
	}
	return e;
}

/* The receiver has a CPU of its own; the sender does not wait for it. */
static int measure_loss(struct live *l)
{
	const struct dataplane *dp = &l->lab.dp;
	uint64_t before = dataplane_counter(dp, CNT_XDP_FRAMES), accounted, dropped, t;
	uint64_t drops = read_sys(l->peer, "rx_dropped"), lost, recorded;
	cpu_set_t set;
	int e, pid;

	e = write_sys(l->peer, "threaded", "1");
	pid = napi_thread(l->peer);
	if (e || pid < 0)
		return e ?: pid;
	CPU_ZERO(&set);
	CPU_SET(LAB_DRAIN_CPU, &set);
	if (sched_setaffinity(pid, sizeof(set), &set))
		return -errno;
	e = lab_clear(&l->lab);
	lost = dataplane_counter(dp, CNT_LOST_PACKETS);
	e = e ?: attach(l->peer, bpf_program__fd(l->lab.plain->progs.live_weir));
	e = e ?: lab_drain_start(&l->lab, true);
	if (e)
		return e;
	t = now_ns();
	e = send_frames(l, FLOOD);
	t = now_ns() - t;
	settle(l);
	lab_drain_stop(&l->lab);
	lab_finish(&l->lab);
	accounted = dataplane_counter(dp, CNT_XDP_FRAMES) - before;
	lost = dataplane_counter(dp, CNT_LOST_PACKETS) - lost;
	recorded = l->lab.packets;
	dropped = read_sys(l->peer, "rx_dropped") - drops;
	print("overload", "weir", "sent", FLOOD);
	print("overload", "weir", "offered mpps", (double)FLOOD / (double)t * 1e3);
	print("overload", "weir", "carried mpps", (double)accounted / (double)t * 1e3);
	print("overload", "weir", "recorded", (double)recorded);
	print("overload", "weir", "lost", (double)lost);
	print("overload", "weir", "dropped by veth", (double)dropped);
	print("overload", "weir", "unaccounted",
	      (double)(int64_t)(FLOOD - recorded - lost - dropped));
	return e ?: FLOOD == recorded + lost + dropped ? 0 : -EBADMSG;
}

static void add(struct live *l, const char *name, int prog_fd)
{
	l->r[l->n++] = (struct receiver){.name = name, .prog_fd = prog_fd};
}

/* Sources that are listed, all of them, dropped by weir; beside a program that parses and drops. */
static int measure_drops(struct live *l, uint32_t listed)
{
	struct receiver *own = &l->r[1], *bare = &l->r[0];
	int e;

	l->n = 0;
	add(l, "parse", bpf_program__fd(l->lab.plain->progs.live_parse));
	add(l, "weir", bpf_program__fd(l->on.plain->progs.live_judge));
	lists_fill(&l->lists, &(struct lists_size){listed, listed, 0, 0});
	e = lists_apply(&l->lists) < 0 ? -EIO : 0;
	flows = listed;
	e = e ?: measure_rates(l, "listed sources");
	if (!e)
		print("listed sources", "weir", "ratio",
		      median(own->mpps, ROUNDS) / median(bare->mpps, ROUNDS));
	flows = FLOWS;
	return e;
}

static int run_drops(struct live *l)
{
	int e;

	l->on.policy_entries = LISTS_ENTRIES;
	e = lab_open(&l->on, FLOWS);
	e = e ?: lists_open(&l->lists, &l->on);
	e = e ?: measure_drops(l, 1024);
	return e ?: measure_drops(l, 1u << 20);
}

static int run(struct live *l, bool drops_alone)
{
	int e = lab_open(&l->lab, FLOWS);

	frame_build(&l->frame, FRAME_TCP);
	e = e ?: attach(l->dev, bpf_program__fd(l->lab.plain->progs.live_pass));
	e = e ?: pin_cpu(LAB_PACKET_CPU);
	if (drops_alone)
		return e ?: run_drops(l);
	e = e ?: peer_open(&l->lab, PEER_HASH, 2 * FLOWS, false, &l->hash);
	if (e)
		return e;
	add(l, "parse", bpf_program__fd(l->lab.plain->progs.live_parse));
	add(l, "weir", bpf_program__fd(l->lab.plain->progs.live_weir));
	add(l, "hash", bpf_program__fd(l->hash->progs.peer_drop));
	if (!filter_open(true, &l->filter))
		add(l, "xdp-filter", l->filter.prog_fd);
	e = lab_drain_start(&l->lab, false);
	if (e)
		return e;
	e = measure_rates(l, "one CPU");
	lab_drain_stop(&l->lab);
	e = e ?: run_drops(l);
	return e ?: measure_loss(l);
}

int main(int argc, char **argv)
{
	static struct live l;
	int r;

	bool drops = argc == 4 && !strcmp(argv[1], "-d");

	argv += drops;
	if (argc - drops != 3 || !if_nametoindex(argv[1]) || !if_nametoindex(argv[2])) {
		fprintf(stderr, "usage: bench_live [-d] DEV PEER (a veth pair, up, in its own "
				"namespace; -d: only drops)\n");
		return 2;
	}
	quiet_libbpf();
	l.dev = argv[1];
	l.peer = argv[2];
	r = run(&l, drops);
	attach(l.dev, -1);
	attach(l.peer, -1);
	peer_close(l.hash);
	filter_close(&l.filter);
	lists_close(&l.lists);
	if (l.on.dp.objects)
		lab_close(&l.on);
	lab_close(&l.lab);
	if (r)
		fprintf(stderr, "bench_live: %s\n", strerror(-r));
	return r ? 1 : 0;
}
