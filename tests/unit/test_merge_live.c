// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge_live.c - flows that have not ended are shown without changing them; what is told of
 * them while they run (loader/control/live.h) adds up to what is written in the end.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "loader/control/live.h"
#include "merge_rig.h"

static struct rig g;
static struct live live;
static uint64_t told_packets[2], told_bytes[2];
static unsigned int told_live, told_written;

static void add(void *arg, const struct flow_record *r, const struct live_news *n)
{
	(void)arg;
	(void)r;
	for (int d = 0; d < 2; d++) {
		told_packets[d] += n->packets[d];
		told_bytes[d] += n->bytes[d];
	}
	told_live += n->live;
	told_written += !n->live;
}

static unsigned int written;
static struct flow_record last_written;

static void emit(void *arg, const struct flow_record *r)
{
	(void)arg;
	written++;
	last_written = *r;
	live_record(&live, r);
}

static void setup(void)
{
	struct merge_cfg cfg = merge_cfg_default;

	cfg.emit = emit;
	rig_init(&g, &cfg);
	live_init(&live, g.m, merge_cfg_default.max_flows, add, NULL);
}

static void teardown(void)
{
	live_done(&live);
	rig_done(&g);
}

TestSuite(merge_live, .init = setup, .fini = teardown, .timeout = 600);

static void sweep(void)
{
	live_begin(&live, 1);
	while (live.sweeping)
		live_step(&live);
}

static void connection(struct entry *a, struct entry *b)
{
	entry_init(a, &rig_key);
	entry_init(b, &rig_key);
	rig_connection(&g, a, b);
	entry_read(&g, a);
	entry_read(&g, b);
}

static unsigned int shown;
static struct flow_record last;

static void look(void *arg, uint32_t ref, const struct flow_record *r)
{
	(void)arg;
	cr_assert(gt(u32, ref, 0));
	shown++;
	last = *r;
}

Test(merge_live, shows_flows_as_they_are)
{
	struct entry a, b;
	uint32_t at = 0;

	connection(&a, &b);
	cr_expect(not(merge_live(g.m, &at, 1000, look, NULL)));
	cr_assert(eq(u32, shown, 1));
	cr_expect(eq(u64, last.packets, 5));
	cr_expect(eq(u64, last.bytes, 400));
	cr_expect(record_is(&last, FF_SRC_IP, "10.0.0.1"));
	cr_expect(record_is(&last, FF_STATE, "established"));
	cr_expect(record_is(&last, FF_REASON, NULL));
	cr_expect(eq(u32, written, 0), "nothing is written");
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, written, 1));
	cr_expect(eq(u64, last_written.packets, 5));
}

Test(merge_live, leaves_queries_without_an_answer_where_they_are)
{
	struct flow_key udp = rig_key;
	struct entry e;
	uint32_t at = 0;

	udp.proto = 17;
	entry_init(&e, &udp);
	entry_packet(&g, &e, 0, 0, 0);
	entry_read(&g, &e);
	rig_dns(&g, &udp, 7, "example.com", -1);
	for (int i = 0; i < 3; i++, at = 0)
		merge_live(g.m, &at, 1000, look, NULL);
	cr_expect(record_is(&last, FF_DNS_QNAME, "example.com"));
	/* The next record still waits for the answer, as it does when nobody has looked. */
	for (int i = 0; i < 7; i++) {
		rig_wait(&g, 10000);
		entry_packet(&g, &e, 0, 0, 0);
		entry_read(&g, &e);
		merge_tick(g.m);
	}
	cr_assert(eq(u32, written, 1));
	cr_expect(record_is(&last_written, FF_DNS_QNAME, NULL));
}

Test(merge_live, tells_each_packet_once)
{
	struct entry a, b;

	cr_assert(eq(int, live_want(&live, true), 0));
	connection(&a, &b);
	sweep();
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 5));
	cr_expect(eq(u64, told_bytes[0] + told_bytes[1], 400));
	sweep();
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 5), "nothing came since");
	entry_packet(&g, &a, 0, ACK, 0);
	entry_read(&g, &a);
	sweep();
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 6));
	cr_expect(eq(u32, told_live, 3));
	cr_expect(eq(u64, live.sweeps, 3));
	/* What has been told is not told again with its record; what came after, is. */
	entry_packet(&g, &b, 1, ACK, 0);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u32, told_written, 1));
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 7));
	cr_expect(eq(u64, last_written.packets, 7));
	/* The next flow in its place begins at 0. */
	connection(&a, &b);
	sweep();
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 12));
}

Test(merge_live, tells_records_alone_when_it_is_off)
{
	struct entry a, b;

	connection(&a, &b);
	sweep();
	cr_expect(eq(u32, told_live, 0));
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u32, told_written, 1));
	cr_expect(eq(u64, told_packets[0] + told_packets[1], 5));
}
