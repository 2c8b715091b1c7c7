// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge.c - entries of several CPUs to biflow records: directions, timeouts, states, sums.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
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

TestSuite(merge, .init = setup, .fini = teardown, .timeout = 120);

Test(merge, sums_the_entries_of_two_cpus_into_one_biflow)
{
	const struct flow_record *r;

	rig_connection(&g, &a, &b);
	a.cold.retransmits[0] = 2;
	b.cold.zero_windows[1] = 3;
	entry_read(&g, &b);
	entry_read(&g, &a);
	cr_assert(eq(u32, g.n, 0));
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 1));
	r = rig_last(&g);
	cr_expect(record_is(r, FF_SRC_IP, "10.0.0.1"));
	cr_expect(record_is(r, FF_SRC_PORT, "40000"));
	cr_expect(record_is(r, FF_DST_IP, "10.0.0.2"));
	cr_expect(record_is(r, FF_DST_PORT, "443"));
	cr_expect(record_is(r, FF_PROTO, "tcp"));
	cr_expect(record_is(r, FF_PACKETS, "5"));
	cr_expect(record_is(r, FF_BYTES, "400"));
	cr_expect(record_is(r, FF_OUT_PACKETS, "3"));
	cr_expect(record_is(r, FF_OUT_BYTES, "220"));
	cr_expect(record_is(r, FF_IN_PACKETS, "2"));
	cr_expect(record_is(r, FF_IN_BYTES, "180"));
	cr_expect(record_is(r, FF_OUT_RETRANSMITS, "2"));
	cr_expect(record_is(r, FF_IN_RETRANSMITS, NULL));
	cr_expect(record_is(r, FF_IN_ZERO_WINDOWS, "3"));
	cr_expect(record_is(r, FF_OUT_TTL_MIN, "64"));
	cr_expect(record_is(r, FF_IN_TTL_MAX, "57"));
	cr_expect(record_is(r, FF_OUT_DSCP, NULL));
	cr_expect(record_is(r, FF_TCP_FLAGS, "SPA"));
	cr_expect(record_is(r, FF_STATE, "established"));
	cr_expect(record_is(r, FF_RTT_SERVER_US, "300"));
	cr_expect(record_is(r, FF_RTT_CLIENT_US, "50"));
	cr_expect(record_is(r, FF_RESPONSE_US, "500"));
	cr_expect(record_is(r, FF_IFACE, "eth7"));
	cr_expect(record_is(r, FF_REASON, "shutdown"));
	cr_expect(record_is(r, FF_NODE, NULL));
	cr_expect(record_is(r, FF_VLAN, NULL));
	cr_expect(record_is(r, FF_NO_NAME, NULL));
	cr_expect(record_is(r, FF_ETHERTYPE, NULL));
}

Test(merge, times_are_exact_to_a_tick_over_the_wrap_of_32_bits)
{
	entry_payload(&g, &a, 0, 0);
	rig_wait(&g, 4500); /* 0xfffff000 + 4500 > 2^32 */
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	rig_wait(&g, 14999);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 0));
	rig_wait(&g, 1);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(eq(u64, rig_last(&g)->start_ns, RIG_WALL_NS));
	cr_expect(eq(u64, rig_last(&g)->end_ns, RIG_WALL_NS + UINT64_C(4500000000)));
	cr_expect(record_is(rig_last(&g), FF_REASON, "idle"));
	cr_expect(eq(u32, merge_flows(g.m), 0));
}

/* ---- who began ---- */

struct first {
	const char *name;
	int syn_dir; /* -1: none */
	int synack_dir;
	int first_dir; /* seen a tick before the other */
	const char *src;
};

Test(merge, src_is_the_syns_sender_else_the_synacks_receiver_else_the_first_seen)
{
	static const struct first cases[] = {
		{"SYN", 1, -1, 0, "10.0.0.2"},
		{"SYN over SYN-ACK", 0, 0, 1, "10.0.0.1"},
		{"SYN-ACK", -1, 0, 0, "10.0.0.2"},
		{"first seen", -1, -1, 1, "10.0.0.2"},
		{"first seen, other way", -1, -1, 0, "10.0.0.1"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		const struct first *c = &cases[i];
		struct entry e[2];

		for (int order = 0; order < 2; order++) {
			for (int n = 0; n < 2; n++) {
				int dir = n ? !c->first_dir : c->first_dir;

				entry_init(&e[dir], &rig_key);
				if (c->syn_dir == dir)
					entry_packet(&g, &e[dir], dir, SYN, 0);
				else if (c->synack_dir == dir)
					entry_packet(&g, &e[dir], dir, SYN | ACK, 0);
				else
					entry_packet(&g, &e[dir], dir, ACK, 0);
				rig_wait(&g, 1);
			}
			entry_read(&g, &e[order]);
			entry_read(&g, &e[!order]);
			merge_flush(g.m, FLOW_SHUTDOWN);
			cr_expect(record_is(rig_last(&g), FF_SRC_IP, c->src), "%s, entry %d first",
				  c->name, order);
		}
	}
	cr_expect(eq(u32, g.n, 10));
}

Test(merge, settles_a_tie_of_two_cpus_by_the_fine_clock_then_by_port)
{
	struct flow_key key = rig_key;

	key.proto = 17;
	entry_init(&a, &key);
	entry_init(&b, &key);
	entry_payload(&g, &a, 0, 200);
	entry_payload(&g, &b, 1, 100);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.2"));

	entry_init(&a, &key);
	entry_init(&b, &key);
	entry_packet(&g, &b, 1, 0, 0);
	entry_packet(&g, &a, 0, 0, 0);
	entry_read(&g, &b);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.1"), "443 is the service");

	/* The answer, then more of the question on one CPU; the question on another. */
	for (int order = 0; order < 2; order++) {
		entry_init(&a, &key);
		entry_init(&b, &key);
		entry_payload(&g, &a, 1, 200);
		rig_wait(&g, 20);
		entry_payload(&g, &a, 0, 0);
		entry_payload(&g, &b, 0, 0);
		b.cold.first[0] = b.hot.last[0] = a.cold.first[1];
		b.cold.payload_ns[0] = a.cold.payload_ns[1] - 100;
		entry_read(&g, order ? &b : &a);
		entry_read(&g, order ? &a : &b);
		merge_flush(g.m, FLOW_SHUTDOWN);
		cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.1"), "order %d", order);
	}

	/* Without payload an entry that saw both knows. */
	entry_init(&a, &key);
	entry_init(&b, &key);
	entry_packet(&g, &a, 1, 0, 0);
	entry_packet(&g, &a, 0, 0, 0);
	entry_packet(&g, &b, 0, 0, 0);
	entry_read(&g, &b);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.2"));
}

Test(merge, a_flow_keeps_its_direction_in_later_records)
{
	entry_packet(&g, &b, 1, ACK, 0);
	entry_read(&g, &b);
	rig_wait(&g, 10000);
	for (int i = 0; i < 6; i++) {
		entry_packet(&g, &b, 1, ACK, 0);
		entry_read(&g, &b);
		rig_wait(&g, 10000);
		merge_tick(g.m);
	}
	cr_assert(eq(u32, g.n, 1));
	entry_packet(&g, &a, 0, SYN, 0); /* better evidence, too late */
	a.cold.syn_ns = 0;
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.2"));
	cr_expect(record_is(rig_last(&g), FF_IN_PACKETS, "1"));
}

Test(merge, icmp_has_type_and_code_of_the_request_and_no_ports)
{
	struct flow_key key = rig_key;

	key.proto = 1;
	key.port[0] = key.port[1] = 0x0008; /* type 8, code 0, in network order */
	entry_init(&a, &key);
	a.cold.init_why = INIT_ICMP;
	a.cold.init_dir = 0;
	entry_packet(&g, &a, 1, 0, 0);
	entry_packet(&g, &a, 0, 0, 0);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, "10.0.0.1"));
	cr_expect(record_is(rig_last(&g), FF_SRC_PORT, NULL));
	cr_expect(record_is(rig_last(&g), FF_ICMP_TYPE, "8"));
	cr_expect(record_is(rig_last(&g), FF_ICMP_CODE, "0"));
	cr_expect(record_is(rig_last(&g), FF_STATE, "established"));
	cr_expect(record_is(rig_last(&g), FF_TCP_FLAGS, NULL));
}

Test(merge, frames_that_are_not_ip_have_an_ethertype_and_no_more)
{
	struct flow_key key = {.ethertype = 0x88cc};

	entry_init(&a, &key);
	entry_packet(&g, &a, 0, 0, 0);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_ETHERTYPE, "35020"));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "1"));
	cr_expect(record_is(rig_last(&g), FF_PROTO, NULL));
	cr_expect(record_is(rig_last(&g), FF_SRC_IP, NULL));
	cr_expect(record_is(rig_last(&g), FF_STATE, NULL));
	cr_expect(record_is(rig_last(&g), FF_OUT_TTL_MIN, NULL));
	cr_expect(not(flow_has(rig_last(&g), FF_COMMUNITY_ID)));
}

Test(merge, tunnel_vlan_and_sampling_are_in_the_record)
{
	struct flow_key key = rig_key;

	key.tun_type = TUN_VXLAN;
	memcpy(key.tun_src, (uint8_t[16]){[10] = 0xff, 0xff, 192, 0, 2, 1}, 16);
	key.vlan[0] = 100;
	key.vlan[1] = 200;
	key.ifindex = 8;
	entry_init(&a, &key);
	a.cold.sampling = 10;
	entry_packet(&g, &a, 0, ACK, 0);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(record_is(rig_last(&g), FF_TUNNEL_TYPE, "vxlan"));
	cr_expect(record_is(rig_last(&g), FF_TUNNEL_SRC, "192.0.2.1"));
	cr_expect(record_is(rig_last(&g), FF_VNI, "0"), "VXLAN has a network of that number");
	cr_expect(eq(u16, rig_last(&g)->vlan[0], 100));
	cr_expect(eq(u16, rig_last(&g)->vlan[1], 200));
	cr_expect(flow_has(rig_last(&g), FF_VLAN));
	cr_expect(record_is(rig_last(&g), FF_SAMPLING, "10"));
	cr_expect(record_is(rig_last(&g), FF_IFACE, NULL), "nobody knows interface 8");
}

/* ---- when records are due ---- */

Test(merge, a_busy_flow_has_a_record_at_each_active_timeout_with_what_is_new)
{
	uint64_t sum = 0, last_end = 0;

	for (int s = 0; s <= 130; s++) {
		entry_payload(&g, &a, s & 1, 0);
		entry_read(&g, &a);
		merge_tick(g.m);
		rig_wait(&g, 1000);
	}
	cr_assert(eq(u32, g.n, 2));
	for (unsigned int i = 0; i < g.n; i++) {
		const struct flow_record *r = &g.kept[i].r;

		cr_expect(record_is(r, FF_REASON, "active"));
		cr_expect(eq(u64, r->packets, i ? 60 : 61));
		cr_expect(eq(u64, r->start_ns, i ? last_end : RIG_WALL_NS));
		cr_expect(eq(u64, r->end_ns, RIG_WALL_NS + (i + 1) * UINT64_C(60000000000)));
		last_end = r->end_ns;
		sum += r->packets;
	}
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u64, sum + rig_last(&g)->packets, 131));
}

Test(merge, a_flow_without_news_since_its_record_ends_silently)
{
	for (int s = 0; s <= 60; s += 10) {
		entry_payload(&g, &a, 0, 0);
		entry_read(&g, &a);
		merge_tick(g.m);
		rig_wait(&g, 10000);
	}
	cr_assert(eq(u32, g.n, 1));
	rig_wait(&g, 10000);
	merge_tick(g.m);
	cr_expect(eq(u32, g.n, 1));
	cr_expect(eq(u32, merge_flows(g.m), 0));
}

Test(merge, a_closed_connection_is_written_at_the_drain_after_with_what_trails)
{
	rig_connection(&g, &a, &b);
	rig_close(&g, &a, &b);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 0));
	entry_packet(&g, &a, 0, ACK, 0);
	rig_wait(&g, 1000);
	entry_read(&g, &a);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "8"));
	cr_expect(record_is(rig_last(&g), FF_STATE, "closed"));
	cr_expect(record_is(rig_last(&g), FF_REASON, "end"));
	cr_expect(record_is(rig_last(&g), FF_TCP_FLAGS, "FSPA"));
	cr_expect(eq(u32, merge_flows(g.m), 0));
}

Test(merge, an_unanswered_syn_is_written_after_five_seconds)
{
	entry_packet(&g, &a, 0, SYN, 0);
	entry_read(&g, &a);
	rig_wait(&g, 3000);
	entry_packet(&g, &a, 0, SYN, 0);
	entry_read(&g, &a);
	rig_wait(&g, 1999);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 0));
	rig_wait(&g, 1);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 1));
	cr_expect(record_is(rig_last(&g), FF_STATE, "no_reply"));
	cr_expect(record_is(rig_last(&g), FF_REASON, "idle"));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "2"));
	cr_expect(record_is(rig_last(&g), FF_IN_PACKETS, "0"));
	cr_expect(record_is(rig_last(&g), FF_IN_TTL_MIN, NULL));

	/* Its next SYN, in the same entry, is a record that begins with that SYN. */
	rig_wait(&g, 2000);
	entry_packet(&g, &a, 0, SYN, 0);
	entry_read(&g, &a);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	cr_expect(record_is(rig_last(&g), FF_PACKETS, "1"));
	cr_expect(eq(u64, rig_last(&g)->start_ns, g.clock.now_wall_ns));
	cr_expect(record_is(rig_last(&g), FF_STATE, "new"));
}

struct state_case {
	const char *name;
	uint8_t flags[2]; /* seen in each direction; 0 = no packets */
	const char *state;
	const char *reason; /* of a flush */
};

Test(merge, states_are_what_fields_def_says)
{
	static const struct state_case cases[] = {
		{"lone SYN", {SYN, 0}, "new", "shutdown"},
		{"SYN, SYN-ACK", {SYN, SYN | ACK}, "new", "shutdown"},
		{"handshake", {SYN | ACK, SYN | ACK}, "established", "shutdown"},
		{"no handshake seen", {ACK, ACK}, "established", "shutdown"},
		{"one side's FIN", {SYN | ACK | FIN, SYN | ACK}, "established", "shutdown"},
		{"both FIN", {SYN | ACK | FIN, SYN | ACK | FIN}, "closed", "end"},
		{"both FIN, then RST", {ACK | FIN | RST, ACK | FIN}, "closed", "end"},
		{"refused", {SYN, RST | ACK}, "reset", "end"},
		{"answer without question", {SYN | ACK, 0}, "one_way", "shutdown"},
		{"only half of it seen", {0, ACK | PSH}, "one_way", "shutdown"},
		{"SYN and more, one side", {SYN | ACK, 0}, "one_way", "shutdown"},
	};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		entry_init(&a, &rig_key);
		for (int dir = 0; dir < 2; dir++) {
			if (!cases[i].flags[dir])
				continue;
			entry_packet(&g, &a, dir, 0, 0);
			a.hot.tcp_flags[dir] = cases[i].flags[dir];
		}
		entry_read(&g, &a);
		merge_flush(g.m, FLOW_SHUTDOWN);
		cr_expect(record_is(rig_last(&g), FF_STATE, cases[i].state), "%s", cases[i].name);
		cr_expect(record_is(rig_last(&g), FF_REASON, cases[i].reason), "%s", cases[i].name);
	}
}

Test(merge, after_a_flush_time_may_be_earlier)
{
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	merge_tick(g.m);
	merge_flush(g.m, FLOW_SHUTDOWN);
	clock_set(&g.clock, 5000, RIG_WALL_NS - 1000000000);
	entry_init(&a, &rig_key);
	entry_payload(&g, &a, 0, 0);
	entry_read(&g, &a);
	merge_tick(g.m);
	rig_wait(&g, 15000);
	merge_tick(g.m);
	cr_assert(eq(u32, g.n, 2));
	cr_expect(eq(u64, rig_last(&g)->start_ns, RIG_WALL_NS - 1000000000));
}

Test(merge, refuses_a_configuration_without_limits_or_clock)
{
	struct merge_cfg cfg = merge_cfg_default;
	struct merge *m = NULL;

	cr_expect(eq(int, merge_new(&cfg, &m), -EINVAL));
	cr_expect(m == NULL);
	merge_free(NULL);
}
