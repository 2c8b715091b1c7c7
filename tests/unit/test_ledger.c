// SPDX-License-Identifier: Apache-2.0
/*
 * test_ledger.c - the ledger under the hardest test there is: a process drains a cache that another
 * one fills, is killed at a random instruction, and a new one takes over, many times. The sum of the
 * records is the sum of what was counted. So it is when some of those processes come with other tables
 * and another number of flows. Also: records packed and unfolded again.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "loader/drain.h"
#include "loader/ledger.h"
#include "loader/merge.h"
#include "loader/outbox.h"
#include "cache_rig.h"

#define SETS	   32u
#define SLOTS	   (SETS * WEIR_WAYS)
#define FLOWS	   1024u
#define FLOWS_MAX  300u /* known to the merge at one time: fewer than there are */
#define RING_BYTES (1u << 17)
#define LOG_MAX	   4000000u
#define KILLS	   60 /* at least: until enough has happened, which hangs on the machine */
#define KILLS_MAX  2000
#define CHANGES	   10u /* of tables */
#define WALL_NS	   UINT64_C(1788266468000000000)

struct totals {
	uint64_t packets, bytes;
};

/* What one layout has. */
struct tables {
	struct flow_set set[SETS];
	struct flow_cold_set cold[SETS];
	struct control control;
	unsigned long consumer, producer, event_consumer, event_producer;
	uint8_t ring[2 * RING_BYTES];
	uint32_t flow[SLOTS];
	struct counter_row counters;
};

/* Shared by all processes. */
struct world {
	struct tables t[2];
	unsigned int counting; /* in which packets are counted */
	unsigned int parts; /* tables that are there: both until the older ones are at their end */
	uint64_t tick;
	struct totals sent[FLOWS];
	uint64_t reused, evicted, scans;
	uint64_t log_n; /* the file that the records go to */
	struct {
		uint32_t flow, packets;
		uint64_t bytes;
	} log[LOG_MAX];
};

static struct world *w;
static void *ledger_mem;
static uint32_t flows_max = FLOWS_MAX;
static struct ledger_part parts[2];
static uint64_t rng = 88172645463325252;

static uint32_t rnd(uint32_t below)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return (uint32_t)(rng >> 16) % below;
}

/* ---- the side of the kernel ---- */

static struct tables *counting(void)
{
	return &w->t[w->counting];
}

static struct flow_hot *hot_of(uint32_t slot)
{
	return &counting()->set[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

static struct flow_cold *cold_of(uint32_t slot)
{
	return &counting()->cold[slot / WEIR_WAYS].way[slot % WEIR_WAYS];
}

static bool evict(uint32_t slot)
{
	const struct flow_final f = {.slot = slot, .hot = *hot_of(slot), .cold = *cold_of(slot)};
	struct tables *t = counting();
	const struct rig_ring ring = {t->ring, RING_BYTES, &t->producer, &t->consumer};

	if (!rig_final(&ring, &f))
		return false;
	w->evicted++;
	return true;
}

static void insert(uint32_t slot, uint32_t flow)
{
	struct flow_hot *h = hot_of(slot);
	struct flow_cold *c = cold_of(slot);
	uint64_t old = __atomic_exchange_n(&h->tag, 0, __ATOMIC_SEQ_CST);
	uint64_t gen = (old + 1) & ((1u << WEIR_TAG_GEN_BITS) - 1);

	memset((char *)h + 8, 0, sizeof(*h) - 8);
	memset(c, 0, sizeof(*c));
	cache_rig_key(&c->key, flow, 17);
	c->first[0] = (uint32_t)w->tick;
	c->ttl_min[0] = c->ttl_max[0] = 64;
	h->cold_changes = 1;
	h->extra |= EXTRA_TAIL;
	h->packets[0] = 1;
	h->bytes[0] = 100;
	h->last[0] = (uint32_t)w->tick;
	w->sent[flow].packets++;
	w->sent[flow].bytes += 100;
	counting()->flow[slot] = flow;
	__atomic_exchange_n(&h->tag, (flow + 1ull) << 32 | (gen ? gen : 1), __ATOMIC_SEQ_CST);
}

static void packet(uint32_t slot)
{
	struct flow_hot *h = hot_of(slot);
	uint32_t len = 40 + rnd(1400);

	__atomic_store_n(&h->bytes[0], h->bytes[0] + len, __ATOMIC_RELEASE);
	__atomic_store_n(&h->packets[0], h->packets[0] + 1, __ATOMIC_RELEASE);
	__atomic_store_n(&h->last[0], (uint32_t)w->tick, __ATOMIC_RELAXED);
	w->sent[counting()->flow[slot]].packets++;
	w->sent[counting()->flow[slot]].bytes += len;
}

static bool is_read(const struct flow_hot *h)
{
	return __atomic_load_n(&counting()->control.reap_valid, __ATOMIC_ACQUIRE) &&
	       (int32_t)(h->last[0] - counting()->control.reap_before) < 0;
}

static void step(void)
{
	uint32_t slot = rnd(rnd(4) ? SLOTS / 8 : SLOTS); /* most is for a few */
	uint32_t flow = (slot + SLOTS * rnd(FLOWS / SLOTS)) % FLOWS;

	if (hot_of(slot)->tag && rnd(30)) {
		packet(slot);
		return;
	}
	if (hot_of(slot)->tag) {
		if (is_read(hot_of(slot)))
			w->reused++;
		else if (!evict(slot))
			return; /* a packet that is lost and was not sent */
	}
	insert(slot, flow);
}

/* ---- the side of the worker ---- */

static struct ledger ledger;

static void keep(void *arg, const struct flow_record *r)
{
	(void)arg;
	ledger_emit(&ledger, r);
}

static void to_log(void *arg, const struct flow_record *r)
{
	(void)arg;
	if (w->log_n == LOG_MAX)
		_exit(9);
	w->log[w->log_n].flow = r->src_port;
	w->log[w->log_n].packets = (uint32_t)r->packets;
	w->log[w->log_n].bytes = r->bytes;
	w->log_n++;
}

static void set_time(struct clock *c)
{
	uint64_t tick = __atomic_load_n(&w->tick, __ATOMIC_RELAXED);

	clock_set(c, tick, WALL_NS + tick * 1000000);
}

static struct dataplane dataplane_of(struct tables *t)
{
	struct dataplane dp = {
		.slots = SLOTS, .flows = t->set, .cold = t->cold, .control = &t->control};

	dp.evicted = (struct ring){.consumer = &t->consumer,
				   .producer = &t->producer,
				   .data = t->ring,
				   .size = RING_BYTES,
				   .pos = t->consumer};
	dp.events = (struct ring){.consumer = &t->event_consumer,
				  .producer = &t->event_producer,
				  .data = t->ring,
				  .size = RING_BYTES};
	return dp;
}

/* The drains of this process: of the tables that count, and of older ones. */
struct drains {
	struct dataplane dp[2];
	struct drain *d[2];
};

static int open_drains(struct drains *s, struct merge *m)
{
	const unsigned int n = w->parts;

	*s = (struct drains){};
	for (unsigned int i = 0; i < n; i++) {
		if (i && ledger_has_ended(&ledger, parts[i].id)) {
			w->parts = 1;
			continue;
		}
		s->dp[i] = dataplane_of(&w->t[i ? !w->counting : w->counting]);
		if (drain_new(&s->dp[i], m, NULL, &s->d[i]))
			return 1;
		drain_use_ledger(s->d[i], &ledger, &ledger.part[i]);
	}
	return 0;
}

static void drain(struct drains *s, struct merge *m, struct clock *clock, bool end)
{
	const uint64_t counters[WEIR_CNT_SLOTS] = {1};

	for (int k = 0; k < 10; k++) {
		set_time(clock);
		if (s->d[k % 2])
			drain_rings(s->d[k % 2]);
	}
	for (int i = 0; i < 2; i++)
		if (s->d[i])
			drain_scan(s->d[i], clock);
	merge_tick(m);
	ledger_commit(&ledger);
	ledger_confirm(&ledger, ledger.delivered_no, &w->log_n, sizeof(w->log_n));
	w->scans++;
	if (!s->d[1] || (!end && rnd(8)))
		return;
	if (drain_to_the_end(s->d[1], clock)) {
		ledger_end(&ledger, &ledger.part[1], counters);
		s->d[1] = NULL;
		w->parts = 1;
	}
}

/* @end: once through everything, and all flows out. */
static void work(bool end)
{
	struct clock clock = {.tick_ns = 1000000};
	struct merge_cfg cfg = merge_cfg_default;
	struct drains s;
	struct merge *m;

	rng ^= (uint64_t)getpid() << 20;
	if (ledger_open(&ledger, ledger_mem, flows_max, parts, w->parts))
		_exit(2);
	ledger.deliver = to_log;
	cfg.clock = &clock;
	cfg.emit = keep;
	cfg.max_flows = flows_max;
	cfg.active_ns = UINT64_C(300000000);
	cfg.idle_ns = UINT64_C(100000000);
	cfg.ledger = &ledger;
	set_time(&clock);
	if (merge_new(&cfg, &m) || open_drains(&s, m))
		_exit(3);
	memcpy(&w->log_n, ledger_done(&ledger)->note,
	       sizeof(w->log_n)); /* what was not confirmed is cut off, and comes again */
	ledger_redeliver(&ledger);
	for (int i = 0; !end || i < 4; i++)
		drain(&s, m, &clock, end);
	merge_flush(m, FLOW_SHUTDOWN);
	ledger_commit(&ledger);
	ledger_confirm(&ledger, ledger.delivered_no, &w->log_n, sizeof(w->log_n));
	_exit(ledger.head->undo_full ? 4 : ledger.head->unguarded ? 5 : 0);
}

static pid_t start_worker(bool end)
{
	pid_t p = fork();

	cr_assert(ge(int, p, 0));
	if (!p)
		work(end);
	return p;
}

static uint64_t now_ns(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

/* Traffic for so long; a tick goes by for each thousand packets. */
static void traffic(uint64_t ns)
{
	uint64_t end = now_ns() + ns;

	do {
		for (int i = 0; i < 200; i++)
			step();
		if (rnd(5) == 0)
			w->tick++;
	} while (now_ns() < end);
}

static void *shared(size_t bytes)
{
	void *p = mmap(NULL, bytes, PROT_READ | PROT_WRITE,
		       MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	cr_assert(p != MAP_FAILED);
	return p;
}

static struct ledger_part part_new(void)
{
	static uint32_t id;

	return (struct ledger_part){
		.mem = shared(ledger_tables_bytes(SLOTS, 0)), .slots = SLOTS, .id = ++id};
}

static void setup(void)
{
	w = shared(sizeof(*w));
	ledger_mem = shared(ledger_bytes(FLOWS_MAX));
	parts[0] = part_new();
	w->parts = 1;
	w->tick = UINT64_C(0xfffffe00);
}

/* The next process has other tables, empty ones, and room for another number of flows. */
static void other_tables(void)
{
	uint32_t live, most = FLOWS_MAX - 100 + rnd(200);
	struct ledger to;
	void *mem;

	parts[1] = parts[0];
	parts[0] = part_new();
	w->parts = 2;
	memset(&w->t[!w->counting], 0, sizeof(w->t[0]));
	w->counting = !w->counting;
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, flows_max, parts, 2), 0));
	live = merge_flows_in(&ledger);
	flows_max = live > most ? live : most;
	mem = shared(ledger_bytes(flows_max));
	ledger_move(&to, mem, flows_max, &ledger);
	merge_move_flows(&to, &ledger);
	ledger_moved(&to);
	munmap(ledger_mem, ledger_bytes(FLOWS_MAX - 100)); /* at least */
	ledger_mem = mem;
}

static void compare(void)
{
	static struct totals told[FLOWS];
	uint64_t sent = 0, got = 0;

	for (uint64_t i = 0; i < w->log_n; i++) {
		told[w->log[i].flow].packets += w->log[i].packets;
		told[w->log[i].flow].bytes += w->log[i].bytes;
	}
	for (uint32_t i = 0; i < FLOWS; i++) {
		sent += w->sent[i].packets;
		got += told[i].packets;
		cr_expect(eq(u64, told[i].packets, w->sent[i].packets), "flow %u", i);
		cr_expect(eq(u64, told[i].bytes, w->sent[i].bytes), "flow %u", i);
	}
	cr_expect(eq(u64, got, sent));
	cr_log_info("%lu packets, %lu records, %lu evicted, %lu reused, %lu scans", sent, w->log_n,
		    w->evicted, w->reused, w->scans);
}

TestSuite(ledger, .init = setup, .timeout = 600);

/* A slow machine does less between two kills. */
static bool seen_enough(int kills, bool change, unsigned int changes)
{
	return kills >= KILLS_MAX || (kills >= KILLS && w->evicted > 1000 && w->scans > 100 &&
				      (!change || changes > CHANGES));
}

/* Return: how often there were other tables. */
static unsigned int kill_again_and_again(bool change)
{
	unsigned int changes = 0;
	int status;
	pid_t p;

	for (int i = 0; !seen_enough(i, change, changes); i++) {
		if (change && w->parts == 1 && i % 3 == 2) {
			other_tables();
			changes++;
		}
		p = start_worker(false);
		traffic(3000000 + rnd(30000000));
		kill(p, SIGKILL);
		cr_assert(eq(int, waitpid(p, &status, 0), p));
		cr_assert(eq(int, !!WIFSIGNALED(status), 1), "worker ended by itself: %d",
			  WEXITSTATUS(status));
		traffic(rnd(2000000)); /* nobody drains */
	}
	p = start_worker(true);
	cr_assert(eq(int, waitpid(p, &status, 0), p));
	cr_assert(eq(int, status, 0), "status %d", status);
	cr_expect(gt(u64, w->evicted, 1000));
	cr_expect(gt(u64, w->scans, 100));
	compare();
	return changes;
}

Test(ledger, a_killed_process_loses_and_doubles_nothing)
{
	kill_again_and_again(false);
}

Test(ledger, nor_does_one_that_is_followed_by_one_with_other_tables)
{
	unsigned int changes = kill_again_and_again(true);

	cr_expect(gt(uint, changes, CHANGES));
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, flows_max, parts, 1), 0));
	cr_expect(eq(u64, ledger.now.counters[0], changes), "counters go on, each of them once");
	cr_expect(eq(u32, merge_flows_in(&ledger), 0));
}

/* A flow that begins anew where all of its former life had been read: the scan that finds out leaves
 * the slot for the next one, which is not to be waited for at the end.
 */
Test(ledger, the_last_scan_leaves_no_slot_unread)
{
	struct clock clock = {.tick_ns = 1000000};
	struct merge_cfg cfg = merge_cfg_default;
	struct drains s;
	struct merge *m;

	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, flows_max, parts, 1), 0));
	ledger.deliver = to_log;
	cfg.clock = &clock;
	cfg.emit = keep;
	cfg.max_flows = flows_max;
	cfg.ledger = &ledger;
	set_time(&clock);
	cr_assert(eq(int, merge_new(&cfg, &m), 0));
	cr_assert(eq(int, open_drains(&s, m), 0));
	insert(7, 7);
	for (int i = 0; i < 5; i++) {
		w->tick += 100;
		drain(&s, m, &clock, false);
	}
	cr_assert(is_read(hot_of(7)));
	insert(7, 7);
	packet(7);
	drain(&s, m, &clock, true);
	drain_rest(s.d[0], &clock);
	merge_flush(m, FLOW_SHUTDOWN);
	ledger_commit(&ledger);
	compare();
}

Test(ledger, memory_made_for_other_sizes_is_refused)
{
	struct ledger_part other = parts[0];
	uint32_t room;

	cr_assert(eq(int, ledger_room(ledger_mem, &room), 0));
	cr_assert(eq(u32, room, 0));
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, FLOWS_MAX, parts, 1), 0));
	cr_assert(ledger.fresh);
	cr_assert(ledger.part[0].fresh);
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, FLOWS_MAX, parts, 1), 0));
	cr_assert(not(ledger.fresh));
	cr_assert(not(ledger.part[0].fresh));
	cr_assert(eq(int, ledger_room(ledger_mem, &room), 0));
	cr_assert(eq(u32, room, FLOWS_MAX));
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, FLOWS_MAX - 1, parts, 1), -ESTALE));
	other.slots--;
	cr_assert(eq(int, ledger_open(&ledger, ledger_mem, FLOWS_MAX, &other, 1), -ESTALE));
}

/* ---- records ---- */

static void fill(struct flow_record *r, struct flow_str *hosts, struct flow_query *queries)
{
	*r = (struct flow_record){.packets = 7, .bytes = 700, .src_port = 1234};
	flow_set(r, FF_PACKETS);
	r->tls_sni = (struct flow_str){"example.com", 11};
	flow_set(r, FF_TLS_SNI);
	r->tls_alpn = (struct flow_str){"\2h2", 3};
	flow_set(r, FF_TLS_ALPN);
	r->http_path = (struct flow_str){"", 0};
	flow_set(r, FF_HTTP_PATH);
	hosts[0] = (struct flow_str){"a", 1};
	hosts[1] = (struct flow_str){"bcd", 3};
	r->http_hosts = (struct flow_strs){hosts, 2};
	flow_set(r, FF_HTTP_HOSTS);
	queries[0] = (struct flow_query){.qname = {"x.org", 5}, .qtype = 28, .latency_us = 99};
	queries[1] = (struct flow_query){.qname = {"", 0}, .rcode = 3, .has_rcode = 1};
	r->dns_queries = (struct flow_queries){queries, 2};
	flow_set(r, FF_DNS_QUERIES);
	r->node = (struct flow_str){"not there", 9}; /* its bit is not set */
}

Test(outbox, a_record_comes_back_as_it_was)
{
	struct flow_query queries[2];
	struct outbox_record got;
	struct flow_str hosts[2];
	struct flow_record r;
	_Alignas(8) uint8_t buf[4096];
	size_t len;

	fill(&r, hosts, queries);
	len = outbox_size(&r);
	cr_assert(le(sz, len, sizeof(buf)));
	outbox_pack(&r, buf);
	cr_assert(eq(int, outbox_unpack(buf, len, &got), 0));
	cr_expect(eq(u64, got.r.packets, 7));
	cr_expect(eq(int, got.r.src_port, 1234));
	cr_expect(zero(int, memcmp(got.r.tls_sni.s, "example.com", 11)));
	cr_expect(zero(int, memcmp(got.r.tls_alpn.s, "\2h2", 3)));
	cr_expect(eq(u32, got.r.http_hosts.n, 2));
	cr_expect(zero(int, memcmp(got.r.http_hosts.v[1].s, "bcd", 3)));
	cr_expect(zero(int, memcmp(got.r.dns_queries.v[0].qname.s, "x.org", 5)));
	cr_expect(eq(int, got.r.dns_queries.v[1].rcode, 3));
}

Test(outbox, every_cut_is_refused)
{
	struct flow_query queries[2];
	struct outbox_record got;
	struct flow_str hosts[2];
	struct flow_record r;
	_Alignas(8) uint8_t buf[4096];

	fill(&r, hosts, queries);
	outbox_pack(&r, buf);
	for (size_t len = 0; len + 8 < outbox_size(&r); len++)
		cr_expect(eq(int, outbox_unpack(buf, len, &got), -EBADMSG), "%zu bytes", len);
}

/* A list that this knows nothing of would be left behind. */
Test(outbox, no_other_kind_of_list_is_in_a_record)
{
	for (unsigned int f = 0; f < _FF_MAX; f++) {
		if (flow_fields[f].type == FT_QUERIES)
			cr_expect(eq(int, f, FF_DNS_QUERIES));
	}
}
