// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge_keys.c - several connections of one key, evicted entries, and a full table.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <string.h>

#include "merge_rig.h"

static struct rig g;
static struct entry a, b;

static void setup(void)
{
	rig_init(&g, NULL);
	entry_init(&a, &rig_key);
	entry_init(&b, &rig_key);
}

static void teardown(void)
{
	rig_done(&g);
}

TestSuite(merge_keys, .init = setup, .fini = teardown, .timeout = 120);

/* ---- one key, several connections ---- */

Test(merge_keys, a_port_used_again_is_another_record)
{
	struct entry c, d;

	rig_connection(&g, &a, &b);
	rig_close(&g, &a, &b);
	entry_read(&g, &a);
	entry_read(&g, &b);
	rig_wait(&g, 20);
	entry_init(&c, &rig_key);
	entry_init(&d, &rig_key);
	entry_packet(&g, &c, 0, SYN, 0);
	entry_packet(&g, &d, 1, SYN | ACK, 100);
	entry_packet(&g, &c, 0, ACK, 200);
	entry_read(&g, &d); /* the answer's CPU is read first */
	entry_read(&g, &c);
	entry_packet(&g, &a, 0, ACK, 0); /* what trails comes late */
	a.hot.last[0] -= 15;
	entry_read(&g, &a);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_STATE, "closed"));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "8"), "late trailer included");
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	cr_expect(record_is(rig_last(&g), FF_STATE, "established"));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "3"));
}

Test(merge_keys, a_new_handshake_ends_a_connection_that_was_not_closed)
{
	rig_connection(&g, &a, &b);
	entry_read(&g, &a);
	entry_read(&g, &b);
	rig_wait(&g, 3000);
	entry_init(&a, &rig_key);
	entry_packet(&g, &a, 0, SYN, 0);
	entry_read(&g, &a);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_REASON, "end"));
	cr_expect(record_is(rig_last(&g), FF_STATE, "established"));
	cr_expect(eq(u32, merge_flows(g.m), 1));
}

Test(merge_keys, a_refused_connection_tried_again_is_another_record)
{
	entry_packet(&g, &a, 0, SYN, 0);
	entry_packet(&g, &a, 1, RST | ACK, 0);
	entry_read(&g, &a);
	rig_wait(&g, 500);
	entry_packet(&g, &b, 0, SYN, 0);
	entry_packet(&g, &b, 1, RST | ACK, 0);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	for (unsigned int i = 0; i < 2; i++) {
		cr_expect(record_is(&g.kept[i].r, FF_STATE, "reset"));
		cr_expect(record_is(&g.kept[i].r, FF_PACKETS, "2"));
	}
}

Test(merge_keys, an_evicted_entry_from_before_a_pause_is_a_record_of_its_own)
{
	struct flow_key key = rig_key;

	key.proto = 17;
	entry_init(&a, &key);
	entry_init(&b, &key);
	entry_payload(&g, &a, 0, 0);
	rig_wait(&g, 15001);
	entry_payload(&g, &b, 0, 0);
	entry_payload(&g, &b, 1, 0);
	entry_read(&g, &b);
	entry_evict(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	cr_expect(record_is(&g.kept[0].r, FF_PACKETS, "1"));
	cr_expect(eq(u64, g.kept[1].r.start_ns, RIG_WALL_NS + UINT64_C(15001000000)));
}

Test(merge_keys, a_pause_longer_than_the_idle_timeout_parts_two_flows)
{
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	rig_wait(&g, 15001);
	entry_payload(&g, &b, 0, 0);
	entry_read(&g, &b); /* before any tick */
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_REASON, "idle"));
	cr_expect(eq(u64, rig_last(&g)->end_ns, RIG_WALL_NS));
}

Test(merge_keys, an_evicted_entry_of_the_connection_before_does_not_mix_with_the_new_one)
{
	struct entry c;

	rig_connection(&g, &a, &b);
	rig_close(&g, &a, &b);
	rig_wait(&g, 10);
	entry_init(&c, &rig_key);
	entry_packet(&g, &c, 0, SYN, 0);
	entry_read(&g, &c);
	entry_evict(&g, &a); /* never read before */
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "4"));
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "1"));
}

/* ---- eviction and limits ---- */

Test(merge_keys, an_evicted_lone_syn_is_a_record_at_once)
{
	entry_packet(&g, &a, 0, SYN, 0);
	entry_evict(&g, &a);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_REASON, "evicted"));
	cr_expect(record_is(rig_last(&g), FF_STATE, "new"));
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.1"));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "1"));
	cr_expect(eq(u32, merge_flows(g.m), 0));
}

Test(merge_keys, an_evicted_entry_of_a_known_flow_goes_into_its_record)
{
	rig_connection(&g, &a, &b);
	entry_read(&g, &a);
	entry_evict(&g, &b);
	entry_payload(&g, &a, 0, 0);
	entry_evict(&g, &a);
	cr_assert(eq(u32, g.n, 0));
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "6"));
}

Test(merge_keys, a_full_table_exports_the_oldest)
{
	struct merge_cfg cfg = merge_cfg_default;
	struct entry e[5];

	rig_done(&g);
	cfg.max_flows = 4;
	rig_init(&g, &cfg);
	for (int i = 0; i < 5; i++) {
		struct flow_key key = rig_key;

		key.port[0] = (uint16_t)(i + 1);
		entry_init(&e[i], &key);
		entry_payload(&g, &e[i], 0, 0);
		entry_read(&g, &e[i]);
		rig_wait(&g, 1);
		if (i == 3) {
			entry_payload(&g, &e[0], 0, 0); /* the first is not the oldest any more */
			entry_read(&g, &e[0]);
		}
	}
	cr_assert(eq(u32, g.n, 1));
	cr_expect(eq(u16, rig_last(&g)->src_port, 512)); /* 2, in network order */
	cr_expect(record_is(rig_last(&g), FF_REASON, "evicted"));
	cr_expect(eq(u64, merge_stats(g.m)->table_full, 1));
	cr_expect(eq(u32, merge_flows(g.m), 4));

	/* Its entry goes on: a record that begins after the one written. */
	rig_wait(&g, 1000);
	merge_tick(g.m);
	rig_wait(&g, 1000);
	entry_payload(&g, &e[1], 0, 0);
	entry_payload(&g, &e[1], 0, 0);
	entry_read(&g, &e[1]);
	merge_flush(g.m, FLOW_SHUTDOWN);
	for (unsigned int i = 0; i < g.n; i++) {
		const struct flow_record *r = &g.kept[i].r;

		if (r->src_port == 512 && i) {
			cr_expect(eq(u64, r->packets, 2));
			cr_expect(eq(u64, r->start_ns, g.clock.now_wall_ns - 1000000000));
		}
	}
	cr_expect(eq(u32, g.n, 6));
}
