/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_parse_bpf.c - the full parser in the kernel: says of every frame what the same parser says
 * on the host, on XDP and TC, at every tunnel depth; and what only the kernel has: packets in
 * several buffers, fragments, tags beside the frame, counters.
 */
#include <dirent.h>
#include <ftw.h>
#include <sched.h>
#include <stdio.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "parse_test.skel.h"
#include "tests/bpf/parse_test.h"
#include "tests/unit/tunnels.h"

#define CORPUS		"tests/fuzz/corpus/parse"
#define LOOPBACK	1	  /* interface of a test run */
#define TC_FRAME_MIN	(14 + 40) /* test runs on TC want an IP header where the Ethertype says so */
#define TC_FRAME_MAX	3000	  /* and have no room for more */
#define TEST_VLAN	77
#define XDP_FRAME_MAX	65536
#define PCAP_MAGIC	0xa1b2c3d4 /* little-endian, microseconds: most are */
#define PCAP_ETHERNET	1
#define FRAMES_PER_FILE 500

TestSuite(parse_bpf, .timeout = 600);

static struct parse_test_bpf *skel;
static __u32 cpus;

static void load(__u32 depth, int replay)
{
	cpus = libbpf_num_possible_cpus();
	skel = parse_test_bpf__open();
	cr_assert(skel != NULL);
	for (int i = 0; i < 12; i++)
		skel->rodata->cfg_seed[i] = 0x9e3779b97f4a7c15ull * (i + 1);
	skel->rodata->cfg_decap_depth = depth;
	skel->rodata->cfg_replay = replay;
	bpf_map__set_max_entries(skel->maps.counters, cpus);
	cr_assert(eq(int, parse_test_bpf__load(skel), 0));
}

static void unload(void)
{
	parse_test_bpf__destroy(skel);
	skel = NULL;
}

static void on_cpu(__u32 cpu)
{
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET(cpu, &set);
	cr_assert(eq(int, sched_setaffinity(0, sizeof(set), &set), 0));
}

/* Run a program over a frame; the result is what it reported. */
static struct parse_result run(struct bpf_program *prog, const __u8 *frame, __u32 len)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);
	struct parse_result r = {.ret = -99};
	__u32 zero = 0;
	int fd = bpf_map__fd(skel->maps.result), err;

	cr_assert(eq(int, bpf_map_update_elem(fd, &zero, &r, BPF_ANY), 0));
	err = bpf_prog_test_run_opts(bpf_program__fd(prog), &opts);
	cr_assert(eq(int, err, 0), "%u bytes", len);
	cr_assert(eq(int, bpf_map_lookup_elem(fd, &zero, &r), 0));
	cr_assert(ne(int, r.ret, -99));
	return r;
}

static struct pkt run_packet(struct bpf_program *prog, const struct packet *p)
{
	return run(prog, p->b, p->len).pkt;
}

static __u64 counted(enum counter c)
{
	struct counter_row row;
	__u64 sum = 0;

	for (__u32 cpu = 0; cpu < cpus; cpu++) {
		cr_assert(eq(int, bpf_map_lookup_elem(bpf_map__fd(skel->maps.counters), &cpu, &row),
			     0));
		sum += row.v[c];
	}
	return sum;
}

/* Kernel and host must agree bytewise; a later fragment may have found its ports in the kernel. */
static void expect_same(const __u8 *frame, __u32 len, __u32 depth)
{
	struct bpf_program *progs[] = {skel->progs.parse_on_xdp, skel->progs.parse_on_tc};
	struct parse_cfg cfg = parsed_cfg(depth);
	struct pkt want;
	int r = parse_frame(frame, len, len, &cfg, &want);

	want.key.ifindex = LOOPBACK;
	for (int i = 0; i < 2; i++) {
		struct parse_result got;

		if (i && (len < TC_FRAME_MIN || len > TC_FRAME_MAX))
			continue;
		got = run(progs[i], frame, len);
		cr_assert(eq(int, got.ret, -r));
		cr_assert(eq(u32, got.reason, -r));
		cr_assert(eq(u32, got.frame_len, len));
		if (r || want.frag == FRAG_LATER)
			continue;
		cr_assert(memcmp(&got.pkt, &want, sizeof(want)) == 0, "%u bytes, depth %u, way %d",
			  len, depth, i);
		cr_assert(memcmp(&got.l4, &want.l4, sizeof(want.l4)) == 0);
	}
}

/* ---- the same as the host ---- */

static void chain(struct packet *p, int which)
{
	pk_eth(p);
	if (which & 1) {
		pk_vlan(p, 0x88a8, 5);
		pk_vlan(p, 0x8100, 6);
	}
	if (which & 2) {
		pk_ip6(p, 1, 2);
		pk_ext(p, 0, 0);
	} else {
		pk_ip4(p, A, B);
		pk_ip4_options(p, which & 1 ? 2 : 0);
	}
}

static void tunnel(struct packet *p, int which)
{
	static const __u16 ports[] = {4789, 6081, 2152, 4790};

	if (which < 4)
		pk_udp(p, 1, ports[which]);
	switch (which) {
	case 0:
		pk_vxlan(p, 77);
		pk_eth(p);
		break;
	case 1:
		pk_geneve(p, 78, 0x0108, 8);
		break;
	case 2:
		pk_gtpu(p, 79, 4, 0x85);
		pk_gtpu_ext(p, 1, 0);
		break;
	case 3:
		pk_vxlan_gpe(p, 80);
		break;
	case 4:
		pk_gre(p, 0x2000, 81);
		break;
	case 5:
		pk_gre(p, 0x1000, 0);
		pk_erspan3(p, 5, 1);
		pk_eth(p);
		break;
	case 6:
		break; /* IP in IP */
	}
}

/* Call @check for Ethernet frames of classic captures under WEIR_PCAPS. Return how many. */
static __u32 captured_in(const char *path, void (*check)(const __u8 *, __u32, __u32), __u32 depth)
{
	static __u8 buf[65536];
	__u32 head[6], rec[4], n = 0;
	FILE *f = fopen(path, "rb");

	if (!f)
		return 0;
	if (fread(head, sizeof(head), 1, f) != 1 || head[0] != PCAP_MAGIC ||
	    head[5] != PCAP_ETHERNET)
		goto out;
	while (n < FRAMES_PER_FILE && fread(rec, sizeof(rec), 1, f) == 1) {
		__u32 len = rec[2];

		if (len > sizeof(buf) || fread(buf, 1, len, f) != len)
			break;
		n++;
		if (len >= ETH_HLEN && len <= XDP_FRAME_MAX)
			check(buf, len, depth);
	}
out:
	fclose(f);
	return n;
}

static void (*captured_check)(const __u8 *, __u32, __u32);
static __u32 captured_depth, captured;

static int captured_visit(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)ftw;
	if (type == FTW_F)
		captured += captured_in(path, captured_check, captured_depth);
	return 0;
}

static __u32 each_captured(void (*check)(const __u8 *, __u32, __u32), __u32 depth)
{
	const char *dir = getenv("WEIR_PCAPS");

	captured = 0;
	captured_check = check;
	captured_depth = depth;
	if (nftw(dir ? dir : "../shared/pcaps", captured_visit, 16, FTW_PHYS))
		return 0;
	return captured;
}

/* Call @check for every outer chain with every tunnel, TCP or UDP in it, cut everywhere. */
static void each_built(void (*check)(const __u8 *frame, __u32 len, __u32 depth), __u32 depth)
{
	for (int i = 0; i < 4 * 9; i++) {
		struct packet p = {};

		chain(&p, i & 3);
		if (i < 4 * 7) {
			tunnel(&p, i >> 2);
			inner(&p);
		} else {
			if (i >> 2 & 1)
				pk_tcp(&p, 7000 + i, 443, 0x18);
			else
				pk_udp(&p, 7000 + i, 443);
			pk_payload(&p, 21);
			pk_end(&p);
		}
		for (__u32 n = ETH_HLEN; n <= p.len; n += n + 5 < p.len ? 5 : 1)
			check(p.b, n, depth);
	}
}

/* Call @check for each input of the fuzz corpus; elsewhere than in the source tree there is none. */
static void each_of_corpus(void (*check)(const __u8 *frame, __u32 len, __u32 depth), __u32 depth)
{
	DIR *dir = opendir(CORPUS);
	struct dirent *e;
	__u8 buf[4096];
	char path[512];
	size_t n;
	FILE *f;

	while (dir && (e = readdir(dir))) {
		snprintf(path, sizeof(path), "%s/%s", CORPUS, e->d_name);
		f = e->d_name[0] == '.' ? NULL : fopen(path, "rb");
		if (!f)
			continue;
		n = fread(buf, 1, sizeof(buf), f);
		fclose(f);
		if (n >= 2 + ETH_HLEN)
			check(buf + 2, n - 2, depth);
	}
	if (dir)
		closedir(dir);
}

Test(parse_bpf, says_the_same_as_on_the_host_at_any_depth)
{
	static const __u32 depths[] = {0, 1, 8};

	for (int i = 0; i < 3; i++) {
		load(depths[i], 0);
		each_built(expect_same, depths[i]);
		each_of_corpus(expect_same, depths[i]);
		unload();
	}
}

/* ---- the same as the fast parser ---- */

static __u32 taken, offered;

/* What the fast parser takes, the full one must see likewise, and have nothing to note. */
static void expect_fast_agrees(const __u8 *frame, __u32 len, __u32 depth)
{
	LIBBPF_OPTS(bpf_test_run_opts, opts, .data_in = frame, .data_size_in = len, .repeat = 1);
	int map = bpf_map__fd(skel->maps.fast_result);
	struct fast_result r;
	__u32 zero = 0;

	cr_assert(eq(int, bpf_prog_test_run_opts(bpf_program__fd(skel->progs.fast_on_xdp), &opts),
		     0));
	cr_assert(eq(int, bpf_map_lookup_elem(map, &zero, &r), 0));
	offered++;
	if (!r.taken)
		return;
	taken++;
	cr_assert(eq(u32, r.reason, 0), "%u bytes, depth %u", len, depth);
	cr_assert(eq(u32, r.note, 0), "%u bytes, depth %u", len, depth);
	cr_assert(memcmp(&r.fast.l4, &r.full.l4, sizeof(r.fast.l4)) == 0, "%u bytes", len);
	cr_assert(eq(u32, r.fast.dir, r.full.dir));
	cr_assert(eq(u64, r.fast.hash, r.full.hash));
}

Test(parse_bpf, fast_parser_agrees_on_every_frame_it_takes)
{
	for (__u32 depth = 0; depth < 2; depth++) {
		load(depth, 0);
		each_built(expect_fast_agrees, depth);
		each_of_corpus(expect_fast_agrees, depth);
		unload();
	}
	cr_expect(gt(u32, taken, 20));
	cr_expect(lt(u32, taken, offered));
}

/* ---- captures ---- */

/* Not only built and fuzzed frames: all that the public captures hold. */
Test(parse_bpf, both_parsers_agree_with_the_host_on_captured_frames, .timeout = 600)
{
	load(4, 0);
	if (!each_captured(expect_fast_agrees, 4)) {
		unload();
		cr_skip_test("no captures: set WEIR_PCAPS");
	}
	cr_assert(gt(u32, each_captured(expect_same, 4), 10000));
	cr_expect(gt(u32, taken, 10000));
	unload();
}

/* ---- several buffers ---- */

/* Extension headers push the transport header over the border between the first two buffers. */
Test(parse_bpf, reads_headers_that_lie_in_or_across_further_buffers)
{
	__u32 across = 0;

	load(0, 0);
	for (__u32 more = 140; more < 250; more++) {
		struct packet p = {};
		__u32 tcp;

		pk_eth(&p);
		pk_ip6(&p, 1, 2);
		pk_ext(&p, 60, 200);
		pk_ext(&p, 60, more);
		tcp = pk_tcp(&p, 31, 32, 2);
		pk_end(&p);
		expect_same(p.b, p.len, 0);
		across += tcp > 3400;
	}
	cr_expect(gt(u32, across, 10)); /* a first buffer holds less than that (xdp test run) */
	unload();
}

/* Where a length is the frame's, every buffer counts. */
Test(parse_bpf, takes_all_buffers_for_the_frames_length)
{
	struct packet p = {};

	load(1, 0);
	pk_eth(&p);
	pk_announce(&p, 0x88b7, 0);
	pk_payload(&p, 4000);
	expect_same(p.b, p.len, 1);
	p = (struct packet){};
	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_tcp(&p, 1, 2, 16);
	pk_payload(&p, 4000);
	pk_end(&p);
	pk_set16(&p, 16, 0); /* segmentation offload */
	expect_same(p.b, p.len, 1);
	p = (struct packet){};
	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_udp(&p, 1, 4789);
	pk_vxlan(&p, 1);
	pk_eth(&p);
	pk_announce(&p, 0x88b7, 0);
	pk_payload(&p, 3900);
	pk_end(&p);
	expect_same(p.b, p.len, 1);
	unload();
}

/* ---- fragments ---- */

static struct packet fragment4(__u16 id, __u16 frag, __u16 sport)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_udp(&p, sport, 53);
	pk_payload(&p, 64);
	pk_end(&p);
	pk_set16(&p, 18, id);
	pk_set16(&p, 20, frag);
	return p;
}

Test(parse_bpf, later_fragments_find_their_ports_on_any_cpu)
{
	struct packet first = fragment4(9, 0x2000, 4000), later = fragment4(9, 0x0009, 0);
	struct pkt k;

	load(0, 0);
	on_cpu(0);
	k = run_packet(skel->progs.parse_on_xdp, &first);
	expect_ports(&k, 17, 4000, 53);
	on_cpu(cpus - 1);
	k = run_packet(skel->progs.parse_on_tc, &later);
	expect_ports(&k, 17, 4000, 53);
	expect_clean(&k);
	cr_expect(eq(u8, k.frag, FRAG_LATER));
	cr_expect(eq(u32, k.l4.payload_len, 0));
	cr_expect(eq(u64, counted(CNT_FRAGMENT_NO_PORTS), 0));
	unload();
}

Test(parse_bpf, notes_a_later_fragment_whose_first_was_not_seen)
{
	struct packet later = fragment4(10, 0x0009, 0), other = fragment4(11, 0x2000, 4000);
	struct pkt k;

	load(0, 0);
	run_packet(skel->progs.parse_on_xdp, &other); /* another datagram */
	k = run_packet(skel->progs.parse_on_xdp, &later);
	expect_ports(&k, 17, 0, 0);
	expect_note(&k, FRAGMENT_NO_PORTS);
	cr_expect(eq(u64, counted(CNT_FRAGMENT_NO_PORTS), 1));
	pk_set8(&later, 23, 50); /* ESP has no ports to find */
	k = run_packet(skel->progs.parse_on_xdp, &later);
	expect_clean(&k);
	unload();
}

Test(parse_bpf, keeps_fragments_of_two_vlans_apart)
{
	struct packet first = fragment4(9, 0x2000, 4000), later = fragment4(9, 0x0009, 0);
	struct pkt k;

	load(0, 0);
	run_packet(skel->progs.parse_on_tc, &first);
	k = run_packet(skel->progs.parse_tagged, &later);
	expect_note(&k, FRAGMENT_NO_PORTS);
	run_packet(skel->progs.parse_tagged, &first);
	k = run_packet(skel->progs.parse_tagged, &later);
	expect_clean(&k);
	expect_ports(&k, 17, 4000, 53);
	unload();
}

static struct packet fragment6(__u16 offset, int more)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip6(&p, 1, 2);
	pk_fragment6(&p, offset, more, 0x01020304);
	pk_ext(&p, 60, 0);
	pk_udp(&p, 4000, 53);
	pk_payload(&p, 64);
	pk_end(&p);
	return p;
}

Test(parse_bpf, ipv6_fragments_take_the_protocol_from_the_first)
{
	struct packet first = fragment6(0, 1), later = fragment6(80, 0);
	struct pkt k;

	load(0, 0);
	k = run_packet(skel->progs.parse_on_xdp, &later);
	expect_ports(&k, 60, 0, 0);
	expect_note(&k, FRAGMENT_NO_PORTS);
	run_packet(skel->progs.parse_on_xdp, &first);
	k = run_packet(skel->progs.parse_on_xdp, &later);
	expect_ports(&k, 17, 4000, 53);
	expect_clean(&k);
	unload();
}

Test(parse_bpf, the_rest_of_a_fragmented_tunnel_packet_belongs_to_the_tunnel)
{
	struct packet first = {}, later = fragment4(9, 0x0009, 0);
	struct pkt k;

	pk_eth(&first);
	pk_ip4(&first, A, B);
	pk_udp(&first, 50000, 4789);
	pk_vxlan(&first, 7);
	pk_eth(&first);
	inner(&first);
	pk_set16(&first, 18, 9);
	pk_set16(&first, 20, 0x2000);
	load(1, 0);
	k = run_packet(skel->progs.parse_on_xdp, &first);
	expect_inner(&k, TUN_VXLAN, 7, 64);
	k = run_packet(skel->progs.parse_on_xdp, &later);
	expect_outer(&k, 17);
	expect_ports(&k, 17, 50000, 4789);
	expect_clean(&k);
	unload();
}

/* ---- beside the frame ---- */

Test(parse_bpf, takes_a_tag_beside_the_frame_for_the_outermost)
{
	struct packet p = {};
	struct pkt k;

	load(0, 0);
	pk_eth(&p);
	pk_vlan(&p, 0x8100, 5);
	pk_vlan(&p, 0x8100, 6);
	pk_ip4(&p, A, B);
	pk_udp(&p, 1, 2);
	pk_end(&p);
	pk_room(&p, 32);
	k = run_packet(skel->progs.parse_on_tc, &p);
	cr_expect(eq(u16, k.key.vlan[0], 5));
	p = fragment4(1, 0, 7);
	k = run_packet(skel->progs.parse_tagged, &p);
	expect_ports(&k, 17, 7, 53);
	cr_expect(eq(u16, k.key.vlan[0], TEST_VLAN));
	cr_expect(eq(u16, k.key.vlan[1], 0));
	expect_layout(&k, 14, 92, 42, 64);
	unload();
}

Test(parse_bpf, takes_the_wire_length_of_a_replayed_frame)
{
	struct packet p = {};
	struct control c = {.replay_wire_len = 1014};
	__u32 zero = 0;
	struct pkt k;

	pk_eth(&p);
	pk_announce(&p, 0x88cc, 0);
	pk_payload(&p, 60);
	load(0, 1);
	cr_assert(eq(int, bpf_map_update_elem(bpf_map__fd(skel->maps.control), &zero, &c, 0), 0));
	k = run_packet(skel->progs.parse_on_xdp, &p);
	cr_expect(eq(u32, k.l4.ip_bytes, 1000));
	c.replay_wire_len = 0;
	cr_assert(eq(int, bpf_map_update_elem(bpf_map__fd(skel->maps.control), &zero, &c, 0), 0));
	k = run_packet(skel->progs.parse_on_xdp, &p);
	cr_expect(eq(u32, k.l4.ip_bytes, 60));
	unload();
}

Test(parse_bpf, counts_reasons_notes_and_events)
{
	struct packet p = {};

	load(1, 0);
	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_udp(&p, 1, 4789);
	pk_vxlan(&p, 7);
	pk_eth(&p);
	inner(&p);
	run_packet(skel->progs.parse_on_xdp, &p);
	cr_expect(eq(u64, counted(CNT_DECAPSULATED), 1));
	pk_set8(&p, 64, 0);
	run_packet(skel->progs.parse_on_xdp, &p);
	cr_expect(eq(u64, counted(CNT_DECAPSULATED), 1));
	cr_expect(eq(u64, counted(CNT_TUNNEL_INNER), 1));
	pk_set8(&p, 14, 0x42);
	run_packet(skel->progs.parse_on_xdp, &p);
	run_packet(skel->progs.parse_on_tc, &p);
	cr_expect(eq(u64, counted(CNT_IP4_IHL), 2));
	pk_set16(&p, 12, 0x0806);
	run_packet(skel->progs.parse_on_tc, &p);
	cr_expect(eq(u64, counted(CNT_NON_IP), 1));
	unload();
}
