// SPDX-License-Identifier: Apache-2.0
/*
 * test_drain.c - the drain over a cache in plain memory: entries grow, change their cold half or not,
 * lose their place to others (final record in the ring) and are scanned in between. Sum of the records
 * = sum of what was counted, per flow, also of what only the cold half tells. A tick is a millisecond.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "loader/drain.h"
#include "weir/counters.h"
#include "weir/lone_syn.h"
#include "cache_rig.h"

#define SETS	   4u
#define SLOTS	   (SETS * WEIR_WAYS)
#define FLOWS	   64u
#define ROUNDS	   400u
#define STEPS	   200u
#define RING_BYTES (1u << 16)
#define WALL_NS	   UINT64_C(1788266468000000000)
#define START_TICK UINT64_C(0xffffff00) /* 32 bits come round during the test */

struct totals {
	uint64_t packets, bytes, retransmits, zero_windows;
};

struct world {
	struct dataplane dp;
	struct clock clock;
	struct merge *m;
	struct drain *d;
	struct flow_set set[SETS];
	struct flow_cold_set cold[SETS];
	struct control control;
	struct counter_row counters;
	unsigned long consumer, producer, event_consumer, event_producer;
	uint8_t ring[2 * RING_BYTES]; /* the mapping of a ring goes twice round */
	uint32_t flow[SLOTS];	      /* who is there */
	struct totals sent[FLOWS], told[FLOWS];
	uint64_t rng;
};

static struct world *w;

static uint32_t rnd(uint32_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 16) % below;
}

static struct flow_hot *hot_of(uint32_t slot)
{
	return &w->set[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

static struct flow_cold *cold_of(uint32_t slot)
{
	return &w->cold[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

static void keep(void *arg, const struct flow_record *r)
{
	struct totals *t = &w->told[r->src_port];

	(void)arg;
	t->packets += r->out.packets;
	t->bytes += r->out.bytes;
	t->retransmits += r->out.retransmits;
	t->zero_windows += r->out.zero_windows;
}

static void evict(uint32_t slot)
{
	const struct flow_final f = {.slot = slot, .hot = *hot_of(slot), .cold = *cold_of(slot)};
	const struct rig_ring ring = {w->ring, RING_BYTES, &w->producer, &w->consumer};

	cr_assert(rig_final(&ring, &f));
}

static void insert(uint32_t slot, uint32_t flow)
{
	struct flow_hot *h = hot_of(slot);
	struct flow_cold *c = cold_of(slot);
	uint64_t gen = (h->tag + 1) & ((1u << WEIR_TAG_GEN_BITS) - 1);

	*h = (struct flow_hot){.tag = (flow + 1ull) << 32 | (gen ? gen : 1)};
	*c = (struct flow_cold){};
	cache_rig_key(&c->key, flow, 6);
	c->first[0] = (uint32_t)w->clock.now_tick;
	c->ttl_min[0] = c->ttl_max[0] = 64;
	h->cold_changes = 1;
	w->flow[slot] = flow;
}

/* A SYN of 60 bytes with this key, source first. */
static struct lone_syn lone_syn_of(const struct flow_key *k)
{
	struct lone_syn syn = {.ports = k->port[0] | (uint32_t)k->port[1] << 16,
			       .ifindex = k->ifindex,
			       .bytes = 60,
			       .ttl = 64,
			       .dscp = 46,
			       .hook = HOOK_TC_EGRESS};

	memcpy(&syn.src, k->addr[0] + 12, 4);
	memcpy(&syn.dst, k->addr[1] + 12, 4);
	return syn;
}

/* Its SYN has come and nothing more: the cold half is whatever the slot's last tenant left. */
static void insert_lone_syn(uint32_t slot, uint32_t flow)
{
	struct flow_hot *h = hot_of(slot);
	struct flow_cold *c = cold_of(slot);
	struct lone_syn syn;

	insert(slot, flow);
	syn = lone_syn_of(&c->key);
	syn.now = (uint32_t)w->clock.now_tick;
	syn.ns = w->clock.now_tick * 1000000;
	syn.seq = flow * 7;
	memset(c, 0xa5, sizeof(*c));
	lone_syn_pack(h, &syn);
	w->sent[flow].packets++;
	w->sent[flow].bytes += 60;
}

/* One packet of the flow in a slot; now and then one that the cold half has to tell of. */
static void packet(uint32_t slot)
{
	struct flow_hot *h = hot_of(slot);
	struct flow_cold *c = cold_of(slot);
	struct totals *t = &w->sent[w->flow[slot]];
	uint32_t len = 40 + rnd(1400);

	if (lone_syn_is(h)) {
		*c = (struct flow_cold){};
		lone_syn_unpack(h, c, w->clock.now_tick * 1000000);
	}
	if (rnd(8) == 0) {
		c->retransmits[0]++;
		t->retransmits++;
		h->extra |= EXTRA_TAIL;
		h->cold_changes++;
	} else if (rnd(8) == 0) {
		c->zero_windows[0]++;
		t->zero_windows++;
		h->extra |= EXTRA_TAIL;
		h->cold_changes++;
	}
	h->tcp_flags[0] |= 0x18;
	h->packets[0]++;
	h->bytes[0] += len;
	h->last[0] = (uint32_t)w->clock.now_tick;
	t->packets++;
	t->bytes += len;
}

static void step(void)
{
	uint32_t slot = rnd(SLOTS);
	uint32_t flow = (slot + SLOTS * rnd(FLOWS / SLOTS)) % FLOWS; /* at home in one slot each */

	if (!hot_of(slot)->tag) {
		insert(slot, flow);
	} else if (rnd(40) == 0) {
		evict(slot);
		if (rnd(3) == 0) {
			insert_lone_syn(slot, flow);
			return;
		}
		insert(slot, flow);
	}
	for (uint32_t n = 1 + rnd(3); n; n--)
		packet(slot);
}

static void setup(void)
{
	struct merge_cfg cfg = merge_cfg_default;

	w = calloc(1, sizeof(*w));
	cr_assert(w != NULL);
	w->rng = 88172645463325252;
	w->clock = (struct clock){.tick_ns = 1000000};
	clock_set(&w->clock, START_TICK, WALL_NS);
	cfg.clock = &w->clock;
	cfg.emit = keep;
	cfg.max_flows = FLOWS;
	cfg.active_ns = UINT64_C(3000000000); /* records in between, too */
	w->dp = (struct dataplane){.slots = SLOTS,
				   .flows = w->set,
				   .cold = w->cold,
				   .control = &w->control,
				   .counters = &w->counters};
	w->dp.evicted = (struct ring){.consumer = &w->consumer,
				      .producer = &w->producer,
				      .data = w->ring,
				      .size = RING_BYTES};
	w->dp.events = (struct ring){.consumer = &w->event_consumer,
				     .producer = &w->event_producer,
				     .data = w->ring,
				     .size = RING_BYTES};
	cr_assert(eq(int, merge_new(&cfg, &w->m), 0));
	cr_assert(eq(int, drain_new(&w->dp, w->m, NULL, &w->d), 0));
}

static void teardown(void)
{
	drain_free(w->d);
	merge_free(w->m);
	free(w);
}

static void scan(void)
{
	drain_scan(w->d, &w->clock);
	merge_tick(w->m);
}

static void pass(uint64_t ms)
{
	clock_set(&w->clock, w->clock.now_tick + ms, w->clock.now_wall_ns + ms * 1000000);
}

static void compare(void)
{
	merge_flush(w->m, FLOW_SHUTDOWN);
	for (uint32_t i = 0; i < FLOWS; i++) {
		cr_expect(eq(u64, w->told[i].packets, w->sent[i].packets), "flow %u", i);
		cr_expect(eq(u64, w->told[i].bytes, w->sent[i].bytes), "flow %u", i);
		cr_expect(eq(u64, w->told[i].retransmits, w->sent[i].retransmits), "flow %u", i);
		cr_expect(eq(u64, w->told[i].zero_windows, w->sent[i].zero_windows), "flow %u", i);
	}
}

TestSuite(drain, .init = setup, .fini = teardown, .timeout = 120);

Test(drain, records_add_up_to_what_was_counted)
{
	uint64_t sent = 0;

	for (uint32_t round = 0; round < ROUNDS; round++) {
		for (uint32_t i = rnd(STEPS); i; i--) {
			step();
			if (rnd(50) == 0)
				drain_rings(w->d);
			/* the ring of a test has no room for a second's evictions */
			if (w->producer - w->consumer > RING_BYTES / 2)
				drain_rings(w->d);
		}
		pass(1000);
		scan();
	}
	scan();
	for (uint32_t i = 0; i < FLOWS; i++)
		sent += w->sent[i].packets;
	cr_expect(gt(u64, drain_stats(w->d)->finals, 300));
	cr_expect(gt(u64, sent, 10000));
	compare();
}

Test(drain, a_lone_syn_becomes_the_entry_it_stands_for)
{
	struct flow_cold c = {}, want;
	struct lone_syn syn;
	struct flow_hot h;
	const uint64_t ns = 987654321012345;

	for (uint32_t d = 0; d < 2; d++) {
		struct flow_key k = {.addr = {[0] = {[10] = 0xff, 0xff, 10, 0, 0, 1},
					      [1] = {[10] = 0xff, 0xff, 10, 9, 8, 7}},
				     .port = {0x1234, 0x5678},
				     .ifindex = 123456,
				     .ethertype = 0x0800,
				     .proto = 6};
		struct flow_key wire = k;

		if (d) {
			memcpy(wire.addr[0], k.addr[1], 16);
			memcpy(wire.addr[1], k.addr[0], 16);
			wire.port[0] = k.port[1];
			wire.port[1] = k.port[0];
		}
		cr_assert(lone_syn_fits(&k));
		h = (struct flow_hot){.tag = 5};
		syn = lone_syn_of(&wire);
		syn.dir = d;
		syn.now = 77;
		syn.seq = 1000;
		syn.ns = ns;
		lone_syn_pack(&h, &syn);
		cr_expect(lone_syn_is(&h));
		cr_expect(eq(u32, lone_syn_dir(&h), d));
		c = (struct flow_cold){};
		lone_syn_unpack(&h, &c, ns + 15000000000);
		want = (struct flow_cold){.key = k,
					  .syn_ns = ns / 256 * 256,
					  .init_dir = d,
					  .init_why = INIT_SYN,
					  .hooks = 1 << HOOK_TC_EGRESS};
		want.seq_known = 1 << d | 4 << d;
		want.first[d] = 77;
		want.base_seq[d] = 1001;
		want.ttl_min[d] = want.ttl_max[d] = 64;
		cr_expect(zero(int, memcmp(&c, &want, sizeof(c))));
		cr_expect(eq(u8, h.dscp[d], 46));
		cr_expect(eq(u8, h.ttl[d], 64));
		cr_expect(eq(u64, h.bytes[d], 60));
		cr_expect(zero(u32, h.packets[!d] | h.last[!d] | h.next_seq[!d] | h.ttl[!d] |
					    h.dscp[!d]));
		cr_expect(zero(u64, h.bytes[!d]));
		cr_expect(not(lone_syn_is(&h)));
	}
}

/* Entries read by their hot half alone: the flow behind the reference has been forgotten meanwhile. */
Test(drain, finds_the_flow_again_that_merge_has_forgotten)
{
	for (uint32_t slot = 0; slot < SLOTS; slot++)
		insert(slot, slot);
	for (int round = 0; round < 6; round++) {
		for (uint32_t slot = 0; slot < SLOTS; slot++) {
			hot_of(slot)->packets[0]++;
			hot_of(slot)->bytes[0] += 100;
			hot_of(slot)->last[0] = (uint32_t)w->clock.now_tick;
			w->sent[slot].packets++;
			w->sent[slot].bytes += 100;
		}
		pass(1000);
		scan();
		/* idle for merge, while the entry lives on */
		if (round == 3)
			pass(merge_cfg_default.idle_ns / 1000000 + 1000);
		merge_tick(w->m);
	}
	compare();
}

Test(drain, takes_a_change_of_the_cold_half_that_comes_late)
{
	insert(3, 3);
	for (int round = 0; round < 8; round++) {
		hot_of(3)->packets[0]++;
		hot_of(3)->last[0] = (uint32_t)w->clock.now_tick;
		w->sent[3].packets++;
		if (round == 6) {
			cold_of(3)->retransmits[0]++;
			hot_of(3)->cold_changes++;
			w->sent[3].retransmits++;
		}
		pass(1000);
		scan();
	}
	compare();
}

/* The wall clock is set forth and back while flows go on: ticks are what counts. */
Test(drain, a_clock_that_is_stepped_loses_nothing)
{
	for (uint32_t round = 0; round < 200; round++) {
		for (uint32_t i = rnd(STEPS); i; i--) {
			step();
			if (w->producer - w->consumer > RING_BYTES / 2)
				drain_rings(w->d);
		}
		pass(1000);
		if (round % 20 == 5)
			w->clock.now_wall_ns += UINT64_C(7200000000000);
		if (round % 20 == 15)
			w->clock.now_wall_ns -= UINT64_C(9000000000000);
		scan();
	}
	compare();
}
