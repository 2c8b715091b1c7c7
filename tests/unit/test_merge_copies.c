// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge_copies.c - flows that were mirrored more than once: what is found to be a copy of what, and that all
 * records together count the largest of the copies, however they are read, lost and written.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "common/flow_words.h"
#include "loader/ledger.h"
#include "merge_rig.h"

static struct rig g;

/* What the records so far have. */
struct sums {
	uint64_t packets, bytes, once_packets, once_bytes;
};

static void setup(void)
{
	rig_init(&g, NULL);
}

static void teardown(void)
{
	rig_done(&g);
}

TestSuite(copies, .init = setup, .fini = teardown, .timeout = 120);

/* The rig's flow (or another protocol's), mirrored by 10.0.0.@source with that VNI. */
static struct flow_key mirrored(uint8_t proto, uint8_t source, uint32_t vni)
{
	struct flow_key k = rig_key;

	k.proto = proto;
	k.tun_type = TUN_VXLAN;
	k.vni = vni;
	memcpy(k.tun_src, (uint8_t[16]){[10] = 0xff, 0xff, 10, 0, 0, source}, 16);
	return k;
}

static void begin(struct entry *e, uint8_t proto, uint8_t source, uint32_t vni)
{
	const struct flow_key k = mirrored(proto, source, vni);

	entry_init(e, &k);
}

/* Its SYN or SYN-ACK in that direction had this sequence number. */
static void sequence(struct entry *e, int dir, uint32_t base)
{
	e->cold.base_seq[dir] = base;
	e->cold.seq_known |= (uint8_t)(5u << dir);
	e->hot.next_seq[dir] = base;
}

static void packets(struct entry *e, int dir, unsigned int n)
{
	while (n--)
		entry_payload(&g, e, dir, 0);
}

static void add(struct sums *s, const struct flow_dir *d, bool has)
{
	s->packets += d->packets;
	s->bytes += d->bytes;
	s->once_packets += d->packets - (has ? d->copied_packets : 0);
	s->once_bytes += d->bytes - (has ? d->copied_bytes : 0);
}

static struct sums sums_of(void)
{
	struct sums s = {};

	cr_assert(le(u32, g.n, RIG_RECORDS));
	for (unsigned int i = 0; i < g.n; i++) {
		const struct flow_record *r = &g.kept[i].r;

		add(&s, &r->out, flow_has(r, FF_OUT_COPIED_PACKETS));
		add(&s, &r->in, flow_has(r, FF_IN_COPIED_PACKETS));
	}
	return s;
}

static void expect_sums(uint64_t all, uint64_t once)
{
	const struct sums s = sums_of();

	cr_expect(eq(u64, s.packets, all));
	cr_expect(eq(u64, s.once_packets, once));
	cr_expect(eq(u64, s.bytes, all * 140));
	cr_expect(eq(u64, s.once_bytes, once * 140));
	cr_expect(eq(u64, merge_stats(g.m)->copied_packets, all - once));
	cr_expect(eq(u64, merge_stats(g.m)->copied_bytes, (all - once) * 140));
}

Test(copies, of_tcp_are_what_has_the_same_sequence_numbers)
{
	struct entry a, b;

	begin(&a, 6, 7, 1);
	begin(&b, 6, 8, 2);
	sequence(&a, 0, 4711);
	sequence(&b, 0, 4711);
	packets(&a, 0, 3);
	packets(&a, 1, 2);
	packets(&b, 0, 3);
	packets(&b, 1, 2);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_assert(eq(u32, g.n, 2));
	expect_sums(10, 5);
	cr_expect(record_is(&g.kept[0].r, FF_OUT_COPIED_PACKETS, NULL), "one has no copies");
	cr_expect(record_is(&g.kept[1].r, FF_OUT_COPIED_PACKETS, "3"),
		  "the other has nothing else");
	cr_expect(record_is(&g.kept[1].r, FF_OUT_COPIED_BYTES, "420"));
	cr_expect(record_is(&g.kept[1].r, FF_IN_COPIED_PACKETS, "2"));
	cr_expect(record_is(&g.kept[1].r, FF_IN_COPIED_BYTES, "280"));
}

Test(copies, are_not_what_other_tenants_with_the_same_addresses_have)
{
	struct entry a, b;

	begin(&a, 6, 7, 1);
	begin(&b, 6, 8, 2);
	sequence(&a, 0, 4711);
	sequence(&b, 0, 4712);
	packets(&a, 0, 3);
	packets(&b, 0, 3);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(6, 6);
}

Test(copies, of_connections_that_began_before_show_when_both_are_at_the_same_byte)
{
	struct entry a, b;

	begin(&a, 6, 7, 1);
	begin(&b, 6, 8, 2);
	a.hot.next_seq[0] = 100;
	b.hot.next_seq[0] = 200; /* its packet was not here yet */
	packets(&a, 0, 1);
	packets(&b, 0, 2);
	entry_read(&g, &a);
	entry_read(&g, &b);
	rig_wait(&g, 1000);
	merge_tick(g.m);
	a.hot.next_seq[0] = b.hot.next_seq[0] = 300;
	packets(&a, 0, 2);
	packets(&b, 0, 1);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(6, 3);
}

/* A connection that both sources have seen. */
static void show_connection(uint8_t source_a, uint8_t source_b)
{
	struct entry a, b;

	begin(&a, 6, source_a, 1);
	begin(&b, 6, source_b, 2);
	sequence(&a, 0, 4711);
	sequence(&b, 0, 4711);
	packets(&a, 0, 1);
	packets(&b, 0, 1);
	entry_read(&g, &a);
	entry_read(&g, &b);
}

static void two_of_udp(uint8_t source_a, uint8_t source_b)
{
	struct entry a, b;

	begin(&a, 17, source_a, 1);
	begin(&b, 17, source_b, 2);
	packets(&a, 0, 5);
	packets(&b, 0, 5);
	entry_read(&g, &a);
	entry_read(&g, &b);
}

Test(copies, of_udp_are_from_both_ends_of_the_flow)
{
	two_of_udp(2, 1);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(10, 5);
}

Test(copies, of_udp_are_not_known_where_nothing_tells_the_networks_apart)
{
	two_of_udp(7, 8);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(10, 10);
}

Test(copies, of_udp_are_from_sources_that_have_shown_a_connection)
{
	show_connection(7, 8);
	two_of_udp(7, 8);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(12, 6);
}

Test(copies, of_udp_are_found_when_sources_show_it_before_the_record)
{
	two_of_udp(7, 8);
	show_connection(7, 8);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(12, 6);
}

Test(copies, count_the_larger_where_one_way_lost_packets)
{
	struct entry a, b;

	begin(&a, 17, 1, 1);
	begin(&b, 17, 2, 2);
	packets(&a, 0, 95);
	packets(&b, 0, 100);
	packets(&a, 1, 40);
	packets(&b, 1, 30);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(265, 140);
}

Test(copies, are_of_each_direction_by_itself)
{
	struct entry a, b;

	begin(&a, 17, 1, 1);
	begin(&b, 17, 2, 2);
	packets(&a, 0, 4); /* each machine's own alone */
	packets(&b, 1, 6);
	entry_read(&g, &a);
	entry_read(&g, &b);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(10, 10);
}

Test(copies, three_of_one_packet_count_once_too)
{
	struct entry a, b, c;

	show_connection(1, 9);
	begin(&a, 17, 1, 1);
	begin(&b, 17, 2, 2);
	begin(&c, 17, 9, 2);
	packets(&a, 0, 5);
	packets(&b, 0, 5);
	packets(&c, 0, 5);
	entry_read(&g, &a);
	entry_read(&g, &b);
	entry_read(&g, &c);
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(17, 6);
}

Test(copies, begin_anew_after_a_silence)
{
	struct entry a, b;

	for (unsigned int i = 0; i < 3; i++) {
		begin(&a, 1, 1, 1);
		begin(&b, 1, 2, 2);
		packets(&a, 0, 5);
		packets(&b, 0, 5);
		entry_read(&g, i & 1 ? &b : &a); /* whichever comes first */
		entry_read(&g, i & 1 ? &a : &b);
		rig_wait(&g, 16000);
		merge_tick(g.m);
	}
	cr_expect(eq(u32, g.n, 6));
	expect_sums(30, 15);
}

Test(copies, a_mirror_that_comes_later_takes_nothing_away)
{
	struct entry a, b;

	begin(&a, 17, 1, 1);
	packets(&a, 0, 100);
	entry_read(&g, &a);
	rig_wait(&g, 10000);
	merge_tick(g.m);
	begin(&b, 17, 2, 2);
	packets(&b, 0, 10); /* and the first one ends */
	packets(&a, 0, 10);
	entry_read(&g, &a);
	entry_read(&g, &b);
	for (unsigned int i = 0; i < 3; i++) {
		rig_wait(&g, 10000);
		packets(&b, 0, 10);
		entry_read(&g, &b);
		merge_tick(g.m);
	}
	merge_flush(g.m, FLOW_SHUTDOWN);
	/* what came while the first one was silent, but not yet over, counts too */
	expect_sums(150, 140);
}

Test(copies, two_connections_with_the_same_ports_are_two)
{
	struct entry a[2], b[2];

	for (unsigned int i = 0; i < 2; i++) {
		begin(&a[i], 6, 1, 1);
		begin(&b[i], 6, 2, 2);
		sequence(&a[i], 0, 100 + i);
		sequence(&b[i], 0, 100 + i);
		a[i].cold.syn_ns = b[i].cold.syn_ns = rig_ns(&g);
		packets(&a[i], 0, 5 + i);
		packets(&b[i], 0, 5 + i);
		a[i].hot.tcp_flags[0] = b[i].hot.tcp_flags[0] = SYN | RST;
		entry_read(&g, &a[i]);
		entry_read(&g, &b[i]);
		rig_wait(&g, 10);
	}
	merge_tick(g.m);
	merge_tick(g.m);
	cr_expect(eq(u32, g.n, 4));
	expect_sums(22, 11);
}

static uint64_t rng;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16) % below;
}

/* Read in any order, lost on either way, records at any time. */
static void lose_and_read(uint64_t seed, unsigned int mirrors)
{
	uint64_t most[2] = {}, total[3][2] = {}, all = 0, want;
	struct entry e[3];

	rng = seed;
	for (unsigned int i = 0; i < mirrors; i++) {
		begin(&e[i], 6, (uint8_t)(1 + i), i);
		sequence(&e[i], 0, 1);
		packets(&e[i], 0, 1);
		total[i][0] = 1;
	}
	for (unsigned int round = 0; round < 300; round++) {
		const unsigned int n = rnd(20), dir = rnd(2);

		for (unsigned int i = 0; i < mirrors; i++) {
			const unsigned int here = rnd(4) ? n : n - n / 3;

			packets(&e[i], (int)dir, here);
			total[i][dir] += here;
		}
		for (unsigned int i = 0, first = rnd(mirrors); i < mirrors; i++)
			if (round == 0 || rnd(5))
				entry_read(&g, &e[(first + i) % mirrors]);
		rig_wait(&g, 1000);
		merge_tick(g.m);
	}
	for (unsigned int i = 0; i < mirrors; i++) {
		entry_read(&g, &e[i]);
		for (unsigned int d = 0; d < 2; d++) {
			all += total[i][d];
			most[d] = total[i][d] > most[d] ? total[i][d] : most[d];
		}
	}
	want = most[0] + most[1];
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(gt(u32, g.n, 3 * mirrors), "records while it went on");
	expect_sums(all, want);
}

Test(copies, all_records_count_the_largest_of_two)
{
	lose_and_read(88172645463325252, 2);
}

Test(copies, all_records_count_the_largest_of_three)
{
	lose_and_read(362436069, 3);
}

Test(copies, a_flood_of_networks_with_one_flow_is_no_work_without_end)
{
	struct entry e;

	for (uint32_t vni = 0; vni < 20000; vni++) {
		begin(&e, 17, 1, vni);
		packets(&e, 0, 1);
		entry_read(&g, &e);
	}
	merge_flush(g.m, FLOW_SHUTDOWN);
	cr_expect(eq(u64, merge_stats(g.m)->copied_packets, 0), "none is from the other end");
}

/* ---- another process goes on ---- */

#define ROOM 64u

static void *shared(size_t size)
{
	void *p = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);

	cr_assert(ne(ptr, p, MAP_FAILED));
	return p;
}

Test(copies, are_known_to_the_process_that_goes_on)
{
	const struct ledger_part part = {
		.mem = shared(ledger_tables_bytes(16, 0)), .slots = 16, .id = 1};
	void *mem = shared(ledger_bytes(ROOM));
	struct merge_cfg cfg = merge_cfg_default;
	struct ledger first = {}, second = {};
	struct entry a, b;

	rig_done(&g);
	cfg.max_flows = ROOM;
	cfg.ledger = &first;
	cr_assert(eq(int, ledger_open(&first, mem, ROOM, &part, 1), 0));
	rig_init(&g, &cfg);
	begin(&a, 6, 7, 1);
	begin(&b, 6, 8, 2);
	sequence(&a, 0, 4711);
	sequence(&b, 0, 4711);
	packets(&a, 0, 4);
	packets(&b, 0, 5);
	entry_read(&g, &a);
	entry_read(&g, &b);
	ledger_commit(&first);
	rig_done(&g);
	cfg.ledger = &second;
	cr_assert(eq(int, ledger_open(&second, mem, ROOM, &part, 1), 0));
	rig_init(&g, &cfg);
	cr_assert(eq(u32, merge_flows(g.m), 2));
	merge_flush(g.m, FLOW_SHUTDOWN);
	expect_sums(9, 5);
}

/* ---- which way ---- */

static const char *direction_of(uint8_t source, unsigned int first)
{
	static char number[WORD_TEXT];
	struct entry e;

	begin(&e, 17, source, 1);
	e.cold.init_dir = (uint8_t)first;
	packets(&e, (int)first, 1);
	entry_read(&g, &e);
	merge_flush(g.m, FLOW_SHUTDOWN);
	return flow_has(rig_last(&g), FF_DIRECTION)
		       ? direction_word(rig_last(&g)->direction, number)
		       : "";
}

Test(copies, direction_is_that_of_the_machine_whose_tunnel_it_is)
{
	cr_expect(eq(str, (char *)direction_of(1, 0), "egress"));
	cr_expect(eq(str, (char *)direction_of(2, 0), "ingress"));
	cr_expect(eq(str, (char *)direction_of(1, 1), "ingress"));
	cr_expect(eq(str, (char *)direction_of(9, 0), ""));
}

/* A source whose address is not the machine's: it is the one that its flows have in common. */
Test(copies, direction_is_that_of_the_machine_that_all_flows_have)
{
	struct flow_key k = mirrored(17, 9, 1);
	struct entry e;

	for (unsigned int i = 0; i < 20; i++) {
		k.addr[0][15] = (uint8_t)(100 + i);
		entry_init(&e, &k);
		entry_payload(&g, &e, 0, 0);
		entry_read(&g, &e);
	}
	cr_expect(eq(str, (char *)direction_of(9, 0), "ingress"), "10.0.0.2 is in all of them");
	cr_expect(eq(str, (char *)direction_of(9, 1), "egress"));
	cr_expect(eq(str, (char *)direction_of(8, 0), ""), "of another source nothing is known");
}
