// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict_capture.c - captures under random rules: every frame's verdict is the reference's; what
 * shadow rules count is what the same rules drop when they are enforced; frames that no parser takes
 * are never dropped. Captures of tests/data, and those under WEIR_PCAPS.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include "loader/capture_file.h"
#include "loader/linktype.h"
#include "parse.h"
#include "policy_ref.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define FILES_MAX  512u
#define FRAMES_MAX 2000u /* of one capture */
#define FRAME_MAX  16384u
#define RULES	   10u
#define SHADOWED   24u /* captures; each takes loading the programs twice */

TestSuite(verdict_capture, .timeout = 600);

static struct verdict_rig r;
static char *files[FILES_MAX];
static uint32_t files_n;
static uint64_t seed = 7;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 40) % n;
}

static int take_file(const char *path, const struct stat *st, int flag)
{
	(void)st;
	if (flag == FTW_F && strstr(path, ".pcap") && files_n < FILES_MAX)
		files[files_n++] = strdup(path);
	return 0;
}

static void find_files(void)
{
	const char *more = getenv("WEIR_PCAPS");

	ftw("tests/data", take_file, 8);
	if (more)
		ftw(more, take_file, 8);
	cr_assert(gt(u32, files_n, 3));
}

/* ---- the frames of a capture ---- */

struct frame_of {
	uint8_t *data;
	uint32_t len;
	bool parsed;
	bool compared; /* the reference can tell */
	struct pkt pkt;
};

static struct frame_of frames[FRAMES_MAX];
static uint32_t frames_n;

static void keep_frame(const struct ether_frame *e)
{
	struct parse_cfg cfg = {.depth = 4, .vxlan_ports = {4789, 8472}, .geneve_port = 6081};
	struct frame_of *f = &frames[frames_n];

	if (e->len > FRAME_MAX || e->len < 14)
		return;
	free(f->data);
	f->data = malloc(e->len);
	cr_assert(f->data != NULL);
	memcpy(f->data, e->data, e->len);
	f->len = e->len;
	f->parsed = !parse_frame(f->data, f->len, f->len, &cfg, &f->pkt);
	f->pkt.key.ifindex = 1;
	f->compared = f->pkt.frag != FRAG_LATER; /* its ports are with another frame */
	frames_n++;
}

static void read_frames(const char *path)
{
	static uint8_t buf[LINK_BUFFER_BYTES];
	struct capture_frame f;
	struct ether_frame e;
	struct capture *c;

	frames_n = 0;
	if (capture_open(path, &c))
		return;
	while (frames_n < FRAMES_MAX && capture_next(c, &f) > 0)
		if (linktype_to_ether(&f, buf, &e) == LINK_OK)
			keep_frame(&e);
	capture_free(c);
}

/* ---- rules about what is in the capture ---- */

static const struct pkt *some_frame(void)
{
	for (int i = 0; i < 20; i++) {
		const struct frame_of *f = &frames[rnd(frames_n)];

		if (f->parsed)
			return &f->pkt;
	}
	return &frames[0].pkt;
}

static uint16_t host_order(uint16_t be)
{
	return (uint16_t)(be >> 8 | be << 8);
}

static void some_match(struct policy_match *m)
{
	const struct pkt *p = some_frame();

	for (uint32_t n = rnd(3); n; n--)
		m->have |= 1u << rnd(14);
	m->negate = m->have & (rnd(2) ? 0 : rnd(1u << 14));
	memcpy(m->src, p->key.addr[rnd(2)], 16);
	memcpy(m->dst, p->key.addr[rnd(2)], 16);
	m->src_bits = m->dst_bits = 128;
	m->proto = p->key.proto;
	m->tcp_mask = (uint8_t)rnd(32);
	m->tcp_flags = m->tcp_mask & p->l4.tcp_flags;
	m->icmp_type = p->l4.icmp_type;
	m->icmp_code = p->l4.icmp_code;
	m->src_port[0] = m->src_port[1] = host_order(p->key.port[rnd(2)]);
	m->dst_port[0] = m->dst_port[1] = host_order(p->key.port[rnd(2)]);
	m->length[0] = (uint16_t)rnd(200);
	m->length[1] = (uint16_t)(m->length[0] + rnd(1400));
	m->vlan = p->key.vlan[0];
	m->ethertype = p->key.ethertype;
	m->vni = p->key.vni;
	m->ifindex = 1;
}

static void some_record(uint32_t key, uint32_t rule)
{
	const struct pkt *p = some_frame();
	int end = (int)rnd(2);

	if (key == RULE_BY_ADDR) {
		struct policy_addr *a = &r.addrs[r.set.addrs_n++];

		*a = (struct policy_addr){.bits = 128, .role = (uint8_t)(1 + rnd(3)), .rule = rule};
		memcpy(a->addr, p->key.addr[end], 16);
		if (rnd(2)) {
			a->bits = 120;
			a->addr[15] = 0;
		}
	} else if (key == RULE_BY_ADDR_PORT) {
		struct policy_addr_port *a = &r.ports[r.set.addr_ports_n++];

		*a = (struct policy_addr_port){.proto = p->key.proto, .role = 3, .rule = rule};
		memcpy(a->addr, p->key.addr[end], 16);
		a->port = host_order(p->key.port[end]);
	} else if (key == RULE_BY_FLOW) {
		struct policy_flow *f = &r.flows[r.set.flows_n++];

		*f = (struct policy_flow){.proto = p->key.proto, .rule = rule};
		memcpy(f->addr, p->key.addr, sizeof(f->addr));
		f->port[0] = host_order(p->key.port[0]);
		f->port[1] = host_order(p->key.port[1]);
	}
}

static void random_rules(bool names)
{
	vr_policy(&r);
	for (uint32_t i = 0; i < RULES; i++) {
		struct policy_rule *rule = vr_rule(&r, rnd(4) ? POLICY_DROP : POLICY_PASS, rnd(4));

		rule->id[8] = (uint8_t)rnd(256);
		rule->id[9] = (uint8_t)rnd(256);
		some_match(&rule->match);
		for (uint32_t n = rule->key ? 1 : 0; n; n--)
			some_record(rule->key, rule->number);
	}
	if (!names)
		return;
	for (const char *c = "moctesn"; *c; c++) {
		char text[2] = {*c};

		vr_rule(&r, rnd(3) ? POLICY_DROP : POLICY_PASS, RULE_BY_NAME);
		vr_name(&r, text, NAME_SUFFIX);
	}
}

/* ---- the tests ---- */

static void compare_file(const char *path)
{
	const uint32_t none[POLICY_FAILSAFE_MAX] = {0};

	for (uint32_t i = 0; i < frames_n; i++) {
		const struct frame_of *f = &frames[i];
		struct ref_packet rp = {.pkt = &f->pkt, .side = DIR_BOTH, .now = r.ns / 1000000000};
		struct ref_verdict want = {};
		int got;

		if (!f->compared && f->parsed)
			continue;
		if (f->parsed)
			policy_ref(&r.set, none, &rp, &want);
		got = vr_send_bytes(&r, VR_XDP, f->data, f->len);
		cr_assert(eq(int, got, want.drop), "%s, frame %u, rule %u", path, i,
			  want.rule ? want.rule->number : 0);
	}
}

Test(verdict_capture, every_frame_as_the_reference_has_it)
{
	uint64_t compared = 0;

	find_files();
	vr_open(&r, false);
	for (uint32_t i = 0; i < files_n; i++) {
		read_frames(files[i]);
		if (!frames_n)
			continue;
		for (int n = 0; n < 2; n++) {
			random_rules(false);
			cr_assert(eq(int, vr_apply(&r), 0));
			compare_file(files[i]);
			compared += (uint64_t)frames_n * RULES;
		}
	}
	vr_close(&r);
	printf("verdict_capture: %u captures, %llu frame x rule compared\n", files_n,
	       (unsigned long long)compared);
}

/* One pass of the capture under the rules there are; what was counted of each. */
static void count_pass(bool shadow, struct policy_counters *ret)
{
	vr_open(&r, false);
	for (uint32_t i = 0; i < r.set.rules_n; i++)
		r.rules[i].flags = shadow ? RULE_SHADOW : 0;
	cr_assert(eq(int, vr_apply(&r), 0));
	for (uint32_t i = 0; i < frames_n; i++) {
		int got = vr_send_bytes(&r, VR_XDP, frames[i].data, frames[i].len);

		cr_assert(eq(int, shadow &&got, 0));
	}
	for (uint32_t n = 1; n <= r.set.rules_n; n++)
		ret[n] = vr_counters(&r, n);
	vr_close(&r);
}

Test(verdict_capture, shadow_counts_what_enforcing_drops)
{
	static struct policy_counters hard[32], soft[32];
	static struct policy_set set;
	uint64_t dropped = 0;

	find_files();
	for (uint32_t i = 0; i < files_n; i += 1 + files_n / SHADOWED) {
		read_frames(files[i]);
		if (!frames_n)
			continue;
		random_rules(true);
		for (uint32_t n = 0; n < r.set.rules_n; n++) /* shadow has no exemptions to give */
			if (r.rules[n].action == POLICY_PASS)
				r.rules[n].action = POLICY_DROP;
		set = r.set;
		count_pass(false, hard);
		count_pass(true, soft);
		for (uint32_t n = 1; n <= set.rules_n; n++) {
			cr_assert(eq(u64, soft[n].would_packets, hard[n].packets), "%s, rule %u",
				  files[i], n);
			cr_assert(eq(u64, soft[n].would_bytes, hard[n].bytes), "%s, rule %u",
				  files[i], n);
			cr_assert(zero(u64, soft[n].packets));
			dropped += hard[n].packets;
		}
	}
	cr_assert(gt(u64, dropped, 100));
}
