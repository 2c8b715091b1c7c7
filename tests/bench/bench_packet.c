// SPDX-License-Identifier: Apache-2.0
/*
 * bench_packet.c - what a packet costs, by BPF_PROG_TEST_RUN: weir's programs, the designs to compare
 * with, and nothing, in turn, on one CPU; the rings are drained on the other.
 * bench_packet [-n ROUNDS] [-p PACKETS] [-f FLOWS] [-s SCENARIO] [-d DESIGN]
 * Rows: see measure.h. Exit 1 if packets are unaccounted for.
 */
#include <bpf/libbpf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.skel.h"
#include "common/scan.h"
#include "filter.skel.h"
#include "peer.skel.h"
#include "tests/bench/lab.h"
#include "tests/bench/measure.h"
#include "tests/bench/peers.h"
#include "weir/counters.h"

#define CONTENDERS_MAX 10u
#define SIZES	       3u
#define PEER_MIN       1024u
#define LARGE	       (1u << 20) /* filling a PERCPU map of that takes longer than measuring it */
#define TC_FIRST       (GEN_FLOWS_MAX / 2) /* new flows on TC are not those on XDP */

enum hook { XDP, TC, _HOOKS };

static const char *const hook_names[_HOOKS] = {"xdp", "tc"};

struct scenario {
	const char *name;
	enum frame_kind kind;
	bool fresh; /* every connection is a new flow */
	bool tunnels;
	bool all; /* all designs at every size; else HASH alone where maps are large */
};

static const struct scenario scenarios[] = {
	{"tcp", FRAME_TCP, false, false, true},
	{"udp", FRAME_UDP, false, false, false},
	{"udp 1000", FRAME_UDP_LONG, false, false, false},
	{"ipv6", FRAME_IP6, false, false, false},
	{"vxlan", FRAME_VXLAN, false, true, false},
	{"syn flood", FRAME_SYN, true, false, true},
	{"tls hello", FRAME_HELLO, true, false, false},
	{"tls hello split", FRAME_HELLO_PQ, true, false, false},
};

struct options {
	uint32_t rounds;
	uint32_t packets; /* of one test run */
	uint32_t flows;	  /* 0 = all sizes */
	const char *scenario;
	const char *design; /* beside nothing; NULL = all */
};

/* One scenario at one number of flows. */
struct bout {
	const struct options *opt;
	const struct scenario *sc;
	struct lab *lab;
	struct filter *filter;
	struct peer_bpf *peer[_PEER_MAX];
	struct frame frame;
	struct frame established; /* fills the table before new flows come */
	struct contender c[CONTENDERS_MAX];
	unsigned int n;
	uint32_t flows;
	uint64_t sent;	  /* to weir since lab_clear() */
	uint64_t evicted; /* counters: before; after, since then */
	uint64_t lost;
	uint64_t names_lost;
};

/* Is the ring of the last packets measured there? */
static bool keeps_packets(const struct scenario *sc)
{
	return sc->kind == FRAME_TCP || sc->kind == FRAME_UDP_LONG;
}

static struct contender *add(struct bout *b, const char *name, const struct bpf_program *prog,
			     const struct bpf_map *gen)
{
	struct contender *c = &b->c[b->n++];

	*c = (struct contender){
		.name = name, .prog_fd = bpf_program__fd(prog), .gen_fd = bpf_map__fd(gen)};
	return c;
}

static bool wanted(const struct bout *b, const char *design)
{
	return !b->opt->design || !strcmp(b->opt->design, design);
}

static void line_up(struct bout *b, enum hook hook)
{
	struct bench_bpf *own = b->sc->tunnels ? b->lab->decap : b->lab->plain;
	struct bpf_map *gen = own->maps.gen;

	b->n = 0;
	add(b, "none", hook == XDP ? own->progs.none_xdp : own->progs.none_tc, gen);
	add(b, "weir", hook == XDP ? own->progs.weir_xdp : own->progs.weir_tc, gen);
	if (keeps_packets(b->sc))
		add(b, "weir, packets kept",
		    hook == XDP ? b->lab->kept->progs.weir_xdp : b->lab->kept->progs.weir_tc,
		    b->lab->kept->maps.gen);
	for (int i = 0; i < _PEER_MAX; i++)
		if (b->peer[i])
			add(b, peer_names[i],
			    hook == XDP ? b->peer[i]->progs.peer_xdp : b->peer[i]->progs.peer_tc,
			    b->peer[i]->maps.gen);
	if (b->sc->tunnels || b->opt->design)
		return;
	add(b, "parse", hook == XDP ? own->progs.parse_xdp : own->progs.parse_tc, gen);
	if (hook == XDP && b->filter->front) {
		add(b, "tail call", b->filter->empty->progs.filter_xdp, b->filter->empty->maps.gen);
		add(b, "xdp-filter", b->filter->front->progs.filter_xdp,
		    b->filter->front->maps.gen);
	}
}

static struct contender *find(struct bout *b, const char *name)
{
	for (unsigned int i = 0; i < b->n; i++)
		if (!strcmp(b->c[i].name, name))
			return &b->c[i];
	return NULL;
}

static bool keeps_flows(const struct contender *c)
{
	return !strcmp(c->name, "weir") || !strcmp(c->name, "hash") || !strcmp(c->name, "lru") ||
	       !strcmp(c->name, "percpu");
}

/* Every flow's first packets: afterwards all flows are live and established. */
static int fill(struct bout *b, const struct frame *f)
{
	double ns;
	int r;

	for (unsigned int i = 0; i < b->n; i++) {
		if (!keeps_flows(&b->c[i]))
			continue;
		for (int twice = 0; twice < 2; twice++) {
			contender_in_order(&b->c[i], f, b->flows, 0);
			r = contender_run(&b->c[i], f, b->flows, &ns);
			if (r < 0)
				return r;
		}
		if (!strcmp(b->c[i].name, "weir"))
			b->sent += 2 * b->flows;
	}
	return 0;
}

static void print(const struct bout *b, enum hook hook, const char *design, const char *metric,
		  double value)
{
	row_print(&(struct row){.section = "packet",
				.scenario = b->sc->name,
				.hook = hook_names[hook],
				.flows = b->flows,
				.design = design,
				.metric = metric,
				.value = value});
}

/* Net cost of each program: what it takes more than its empty companion. */
static void print_costs(struct bout *b, enum hook hook)
{
	double none = contender_median(&b->c[0]), weir = 0, net;

	print(b, hook, "none", "gross ns", none);
	for (unsigned int i = 1; i < b->n; i++) {
		const struct contender *c = &b->c[i];

		if (!strcmp(c->name, "tail call"))
			continue;
		net = contender_median(c) - none;
		if (!strcmp(c->name, "xdp-filter"))
			net = contender_median(c) - contender_median(find(b, "tail call"));
		print(b, hook, c->name, "net ns", net);
		if (!strcmp(c->name, "weir"))
			weir = net;
		else if (keeps_flows(c) && net > 0 &&
			 !b->frame.gen.phases) /* others read no names */
			print(b, hook, c->name, "ratio", weir / net);
	}
}

/* Part of a peer's flows that still fit its map when nobody empties it. */
static int print_kept(struct bout *b, int kind)
{
	double kept, max = 2.0 * b->flows > PEER_MIN ? 2.0 * b->flows : PEER_MIN;
	struct peer_stats st;
	int r = peer_read_stats(b->peer[kind], &st);

	if (r < 0)
		return r;
	kept = (double)st.inserted < max ? (double)st.inserted : max;
	print(b, XDP, peer_names[kind], "kept pct",
	      100 * kept / ((double)st.inserted + (double)st.lost));
	return 0;
}

/* Connections whose name is in a record; of others some are known to have found the ring full. */
static void print_names(const struct bout *b)
{
	double connections = 2.0 * b->opt->rounds * b->opt->packets / b->frame.gen.phases;

	print(b, XDP, "weir", "connections", connections);
	print(b, XDP, "weir", "named", (double)b->lab->named);
	print(b, XDP, "weir", "names lost", (double)b->names_lost);
}

/* What became of the packets sent. */
static int print_fates(struct bout *b)
{
	int64_t missing = b->sent - b->lab->packets - b->lost;
	double total = (double)b->evicted + (double)b->lost;
	int r = 0;

	print(b, XDP, "weir", "sent", (double)b->sent);
	print(b, XDP, "weir", "evicted", (double)b->evicted);
	print(b, XDP, "weir", "lost", (double)b->lost);
	print(b, XDP, "weir", "unaccounted", (double)missing);
	if (b->sc->fresh) {
		print(b, XDP, "weir", "delivered pct",
		      total > 0 ? 100 * (double)b->evicted / total : 100);
		if (b->frame.gen.phases)
			print_names(b);
		for (int i = 0; i < _PEER_MAX && !r; i++)
			r = b->peer[i] ? print_kept(b, i) : 0;
	}
	return r ?: missing ? -EBADMSG : 0;
}

static int measure(struct bout *b, enum hook hook)
{
	int r;

	line_up(b, hook);
	if (hook == XDP) {
		r = fill(b, b->sc->fresh ? &b->established : &b->frame);
		if (r < 0)
			return r;
	}
	for (unsigned int i = 0; i < b->n; i++) {
		if (b->sc->fresh)
			contender_in_order(&b->c[i], &b->frame, GEN_FLOWS_MAX,
					   hook == XDP ? 0 : TC_FIRST);
		else
			contender_random(&b->c[i], &b->frame, b->flows);
	}
	r = contenders_measure(b->c, b->n, &b->frame, b->opt->packets, b->opt->rounds);
	if (r < 0)
		return r;
	b->sent += (uint64_t)b->opt->packets * b->opt->rounds * (keeps_packets(b->sc) ? 2 : 1);
	print_costs(b, hook);
	return 0;
}

static int open_peers(struct bout *b)
{
	uint32_t entries = 2 * b->flows > PEER_MIN ? 2 * b->flows : PEER_MIN;
	int r = 0;

	for (int i = 0; i < _PEER_MAX && !r; i++)
		if (wanted(b, peer_names[i]) && (i == PEER_HASH || b->sc->all || b->flows < LARGE))
			r = peer_open(b->lab, i, entries, b->sc->tunnels, &b->peer[i]);
	return r;
}

static int run_bout(struct bout *b)
{
	const struct dataplane *dp = &b->lab->dp;
	int r;

	frame_build(&b->frame, b->sc->kind);
	frame_build(&b->established, FRAME_TCP);
	b->evicted = dataplane_counter(dp, CNT_EVICTED);
	b->lost = dataplane_counter(dp, CNT_LOST_PACKETS);
	b->names_lost = dataplane_counter(dp, CNT_NAME_RING_FULL);
	r = open_peers(b);
	r = r ?: lab_clear(b->lab);
	r = r ?: lab_drain_start(b->lab, b->sc->fresh);
	if (r)
		return r;
	for (enum hook hook = XDP; hook < _HOOKS && !r; hook++)
		r = measure(b, hook);
	lab_drain_stop(b->lab);
	lab_finish(b->lab);
	b->evicted = dataplane_counter(dp, CNT_EVICTED) - b->evicted;
	b->lost = dataplane_counter(dp, CNT_LOST_PACKETS) - b->lost;
	b->names_lost = dataplane_counter(dp, CNT_NAME_RING_FULL) - b->names_lost;
	return r ?: print_fates(b);
}

/* Return: 0, -EBADMSG: packets are unaccounted for, or what went wrong. */
static int run_size(const struct options *opt, uint32_t flows, struct filter *filter)
{
	static struct bout b;
	struct lab lab = {};
	int r = lab_open(&lab, flows), bad = 0;

	for (size_t i = 0; i < sizeof(scenarios) / sizeof(scenarios[0]) && !r; i++) {
		if (opt->scenario && strcmp(opt->scenario, scenarios[i].name))
			continue;
		fprintf(stderr, "bench: %s, %u flows\n", scenarios[i].name, flows);
		b = (struct bout){.opt = opt,
				  .sc = &scenarios[i],
				  .lab = &lab,
				  .filter = filter,
				  .flows = flows};
		r = run_bout(&b);
		if (r == -EBADMSG) {
			fprintf(stderr, "bench: packets unaccounted for\n");
			bad = r;
			r = 0;
		}
		for (int p = 0; p < _PEER_MAX; p++)
			peer_close(b.peer[p]);
	}
	lab_close(&lab);
	return r ?: bad;
}

static int parse_options(int argc, char **argv, struct options *opt)
{
	uint64_t v = 0;
	int c;

	while ((c = getopt(argc, argv, "n:p:f:s:d:")) != -1) {
		if (c == 's') {
			opt->scenario = optarg;
			continue;
		}
		if (c == 'd') {
			opt->design = optarg;
			continue;
		}
		if (c == '?' || scan_u64(optarg, 1, 1u << 24, &v))
			return -EINVAL;
		if (c == 'n')
			opt->rounds = v <= MEASURE_ROUNDS_MAX ? v : MEASURE_ROUNDS_MAX;
		else if (c == 'p')
			opt->packets = v;
		else
			opt->flows = v;
	}
	/* new flows have to differ from each other: both hooks share the numbers */
	return opt->rounds * opt->packets > TC_FIRST || opt->flows & (opt->flows - 1) ? -EINVAL : 0;
}

int main(int argc, char **argv)
{
	static const uint32_t sizes[SIZES] = {1, 1u << 16, 1u << 20};
	struct options opt = {.rounds = 5, .packets = 500000};
	struct filter filter;
	int r = 0, bad = 0;

	if (parse_options(argc, argv, &opt)) {
		fprintf(stderr,
			"usage: bench_packet [-n ROUNDS] [-p PACKETS] [-f FLOWS] [-s SCENARIO] "
			"[-d DESIGN]\n"
			"FLOWS is a power of two; ROUNDS times PACKETS at most %u\n",
			TC_FIRST);
		return 2;
	}
	quiet_libbpf();
	r = filter_open(false, &filter);
	if (r)
		fprintf(stderr, "bench: no xdp-filter to compare with: %s\n", strerror(-r));
	r = -pthread_setname_np(pthread_self(), "bench_packet") ?: pin_cpu(LAB_PACKET_CPU);
	for (unsigned int i = 0; i < SIZES && (!r || r == -EBADMSG); i++) {
		if (opt.flows && i)
			break;
		r = run_size(&opt, opt.flows ?: sizes[i], &filter);
		bad = r ?: bad;
	}
	filter_close(&filter);
	if (bad)
		fprintf(stderr, "bench_packet: %s\n", strerror(-bad));
	return bad ? 1 : 0;
}
