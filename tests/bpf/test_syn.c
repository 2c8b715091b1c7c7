// SPDX-License-Identifier: Apache-2.0
/*
 * test_syn.c - SYNs that take the short way past the flow cache, of flows that it has already: each packet
 * counts once, and a connection that begins anew on the same ports is a flow of its own.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>

#include "common/clock.h"
#include "loader/drain.h"
#include "loader/merge.h"
#include "loader/name/name.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define CLIENT	 IP4(10, 0, 0, 1)
#define SERVER	 IP4(10, 0, 0, 2)
#define FLOOD	 20000u /* more than there are places */
#define TICK_NS	 1000
#define RECORDS	 8u
#define SYN_ACK	 0x12
#define SYN	 2
#define ACK	 0x10
#define FIN_ACK	 0x11
#define SEQ_STEP 100000u

static struct verdict_rig r;
static struct clock now;
static struct merge *merge;
static struct names *names;
static struct drain *drain;

/* What came out: of port 443, and of all else. */
static struct flow_record flow[RECORDS];
static unsigned int flows;
static uint64_t flooded, sent;

static void emit(void *arg, const struct flow_record *rec)
{
	(void)arg;
	if (rec->dst_port != 443) {
		flooded += rec->packets;
		return;
	}
	cr_assert(lt(uint, flows, RECORDS));
	flow[flows++] = *rec;
}

static void set_clock(void)
{
	clock_set(&now, r.ns / TICK_NS, r.ns);
}

static void set_up(void)
{
	struct merge_cfg cfg = merge_cfg_default;

	memset(&r, 0, sizeof(r));
	vr_open(&r, false);
	now.tick_ns = TICK_NS;
	set_clock();
	cfg.clock = &now;
	cfg.emit = emit;
	cr_assert(zero(int, merge_new(&cfg, &merge)));
	cr_assert(zero(int, names_new(NULL, &names)));
	cr_assert(zero(int, drain_new(&r.dp, merge, names, &drain)));
	flows = 0;
	flooded = sent = 0;
}

static void tear_down(void)
{
	drain_free(drain);
	names_free(names);
	merge_free(merge);
	vr_close(&r);
}

TestSuite(syn, .timeout = 300, .init = set_up, .fini = tear_down);

static void segment(int back, uint8_t flags, uint32_t seq, uint32_t payload)
{
	struct packet p = {};
	uint32_t tcp;

	pk_eth(&p);
	pk_ip4(&p, back ? SERVER : CLIENT, back ? CLIENT : SERVER);
	tcp = pk_tcp(&p, back ? 443 : 5000, back ? 5000 : 443, flags);
	pk_set32(&p, tcp + 4, seq);
	pk_payload(&p, payload);
	pk_end(&p);
	cr_assert(zero(int, vr_send(&r, VR_XDP, &p)));
	sent++;
}

/* SYNs of other flows than any before, so many that nothing is left of those that have moved on. */
static void flood(void)
{
	static uint32_t n;

	for (uint32_t i = 0; i < FLOOD; i++, n++) {
		struct packet p = {};

		pk_eth(&p);
		pk_ip4(&p, IP4(11, 0, 0, 0) + n, SERVER);
		pk_tcp(&p, 6000, 80, SYN);
		pk_end(&p);
		cr_assert(zero(int, vr_send(&r, VR_XDP, &p)));
		if (i % 1024 == 0)
			drain_rings(drain);
	}
}

static void handshake(uint32_t seq)
{
	segment(0, SYN, seq, 0);
	segment(1, SYN_ACK, seq * 2, 0);
	segment(0, ACK, seq + 1, 0);
}

static void close_both(uint32_t seq)
{
	segment(0, FIN_ACK, seq + 1, 0);
	segment(1, FIN_ACK, seq * 2 + 1, 0);
	segment(0, ACK, seq + 2, 0);
}

static void scan(void)
{
	set_clock();
	drain_rings(drain);
	drain_scan(drain, &now);
	merge_tick(merge);
}

/* All that was sent has come out. */
static void finish(uint64_t floods)
{
	uint64_t packets = 0;

	scan();
	merge_flush(merge, FLOW_SHUTDOWN);
	for (unsigned int i = 0; i < flows; i++)
		packets += flow[i].packets;
	cr_expect(eq(u64, packets, sent));
	cr_expect(eq(u64, flooded, floods * FLOOD));
	cr_expect(zero(u64, vr_count(&r, CNT_LOST_PACKETS)));
}

static void one_after_the_other(bool scanned)
{
	const uint32_t first = SEQ_STEP, second = 7 * SEQ_STEP;

	handshake(first);
	close_both(first);
	flood();
	segment(0, SYN, second, 0);
	if (scanned)
		scan();
	segment(1, SYN_ACK, second * 2, 0);
	segment(0, ACK, second + 1, 0);
	segment(0, ACK, second + 1, 500);
	close_both(second + 500);
	finish(1);
	cr_assert(eq(uint, flows, 2));
	cr_expect(eq(u64, flow[0].packets, 6));
	cr_expect(eq(u64, flow[1].packets, 7));
	for (unsigned int i = 0; i < 2; i++) {
		cr_expect(eq(u32, flow[i].out.retransmits, 0));
		cr_expect(eq(u32, flow[i].in.retransmits, 0));
		cr_expect(eq(u16, flow[i].src_port, 5000));
	}
}

Test(syn, another_connection_on_the_same_ports_is_another_flow)
{
	one_after_the_other(false);
}

Test(syn, the_same_when_the_loader_has_read_the_syn_before_its_answer)
{
	one_after_the_other(true);
}

/* The answer got lost: both sides repeat. */
Test(syn, one_that_is_repeated_is_of_the_same_flow)
{
	segment(0, SYN, SEQ_STEP, 0);
	segment(1, SYN_ACK, 5000, 0);
	flood();
	segment(0, SYN, SEQ_STEP, 0);
	segment(1, SYN_ACK, 5000, 0);
	segment(0, ACK, SEQ_STEP + 1, 0);
	finish(1);
	cr_assert(eq(uint, flows, 1));
	cr_expect(eq(u64, flow[0].packets, 5));
	cr_expect(eq(u32, flow[0].out.retransmits, 1));
	cr_expect(eq(u32, flow[0].in.retransmits, 1));
	cr_expect(eq(u16, flow[0].src_port, 5000));
}

/* Without a flood between nothing of it is forgotten. */
Test(syn, repeated_again_and_again_without_an_answer)
{
	for (int i = 0; i < 5; i++)
		segment(0, SYN, SEQ_STEP, 0);
	finish(0);
	cr_assert(eq(uint, flows, 1));
	cr_expect(eq(u64, flow[0].packets, 5));
	cr_expect(eq(u32, flow[0].out.retransmits, 4));
}

/* Nobody asked for it, and nothing follows from it. */
Test(syn, a_stray_one_in_the_middle_of_a_connection_is_counted)
{
	handshake(SEQ_STEP);
	flood();
	segment(0, SYN, 9 * SEQ_STEP, 0);
	for (uint32_t i = 0; i < 10; i++)
		segment(0, ACK, SEQ_STEP + 1 + i * 100, 100);
	finish(1);
	cr_expect(le(uint, flows, 2));
}
