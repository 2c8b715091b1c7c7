// SPDX-License-Identifier: Apache-2.0
/*
 * test_merge_sums.c - no count is lost or made: random entries of random flows on several CPUs are
 * read, evicted, renewed, named, timed out; per flow and direction the sum of its records is the
 * sum of its packets. A tick is a millisecond.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <stdlib.h>
#include <string.h>

#include "merge_rig.h"

#define FLOWS 200u
#define CPUS  4u
#define STEPS 60000u

struct totals {
	uint64_t packets[2], bytes[2];
	uint32_t retransmits[2], out_of_order[2], zero_windows[2];
};

struct world {
	struct clock clock;
	struct merge *m;
	uint64_t rng;
	struct flow_key key[FLOWS];
	struct entry entry[FLOWS][CPUS];
	bool used[FLOWS][CPUS];
	struct totals sent[FLOWS], told[FLOWS];
	uint64_t records, backwards, bad;
	uint64_t newest_end[FLOWS];
};

static struct world *w;

static uint32_t rnd(uint32_t below)
{
	w->rng ^= w->rng << 13;
	w->rng ^= w->rng >> 7;
	w->rng ^= w->rng << 17;
	return (uint32_t)(w->rng >> 20) % below;
}

static void take(void *arg, const struct flow_record *r)
{
	unsigned int n, flip;
	struct totals *t;

	(void)arg;
	/* The second address' last two bytes are the flow's number. */
	flip = r->src_ip[13] != 1;
	n = flip ? r->src_ip[14] << 8 | r->src_ip[15] : r->dst_ip[14] << 8 | r->dst_ip[15];
	t = &w->told[n];
	for (unsigned int i = 0; i < 2; i++) {
		const struct flow_dir *d = i == flip ? &r->out : &r->in;

		t->packets[i] += d->packets;
		t->bytes[i] += d->bytes;
		t->retransmits[i] += d->retransmits;
		t->out_of_order[i] += d->out_of_order;
		t->zero_windows[i] += d->zero_windows;
	}
	w->records++;
	w->backwards += r->end_ns < r->start_ns;
	w->bad += r->packets != r->out.packets + r->in.packets ||
		  r->bytes != r->out.bytes + r->in.bytes || !r->packets;
}

static void make(uint64_t seed, uint32_t max_flows)
{
	struct merge_cfg cfg = merge_cfg_default;

	w = calloc(1, sizeof(*w));
	cr_assert(w != NULL);
	w->rng = seed;
	w->clock.tick_ns = RIG_TICK_NS;
	clock_set(&w->clock, RIG_START, RIG_WALL_NS);
	cfg.max_flows = max_flows;
	cfg.clock = &w->clock;
	cfg.emit = take;
	cfg.active_ns = UINT64_C(5000000000);
	cfg.idle_ns = UINT64_C(2000000000);
	cfg.syn_ns = UINT64_C(1000000000);
	cr_assert(eq(int, merge_new(&cfg, &w->m), 0));
	for (unsigned int i = 0; i < FLOWS; i++) {
		w->key[i] = rig_key;
		w->key[i].addr[0][13] = 1;
		w->key[i].addr[1][13] = 2;
		w->key[i].addr[1][14] = (uint8_t)(i >> 8);
		w->key[i].addr[1][15] = (uint8_t)i;
		w->key[i].proto = i % 3 ? 6 : 17;
	}
}

static void begin(unsigned int f, unsigned int cpu)
{
	struct entry *e = &w->entry[f][cpu];

	entry_init(e, &w->key[f]);
	e->cold.init_why = (uint8_t)rnd(3);
	e->cold.init_dir = (uint8_t)rnd(2);
	w->used[f][cpu] = true;
}

static void packet(unsigned int f, unsigned int cpu)
{
	static const uint8_t flags[] = {SYN, SYN | ACK, ACK, ACK, PSH | ACK, FIN | ACK, RST};
	struct entry *e = &w->entry[f][cpu];
	unsigned int dir = rnd(2), len = 20 + rnd(1480);
	uint32_t tick = (uint32_t)w->clock.now_tick;
	uint64_t ns = w->clock.now_tick * RIG_TICK_NS;
	uint8_t fl = flags[rnd(sizeof(flags))];

	if (!w->used[f][cpu])
		begin(f, cpu);
	if (!e->hot.packets[dir])
		e->cold.first[dir] = tick;
	e->hot.packets[dir]++;
	e->hot.bytes[dir] += len;
	e->hot.last[dir] = tick;
	e->hot.tcp_flags[dir] |= fl;
	if (fl == SYN && !e->cold.syn_ns)
		e->cold.syn_ns = ns;
	if (fl == (SYN | ACK) && !e->cold.synack_ns)
		e->cold.synack_ns = ns;
	if (fl == ACK && !e->cold.ack_ns)
		e->cold.ack_ns = ns;
	w->sent[f].packets[dir]++;
	w->sent[f].bytes[dir] += len;
	if (rnd(4))
		return;
	e->cold.retransmits[dir]++;
	e->cold.out_of_order[dir] += 2;
	e->cold.zero_windows[dir] += 3;
	w->sent[f].retransmits[dir]++;
	w->sent[f].out_of_order[dir] += 2;
	w->sent[f].zero_windows[dir] += 3;
}

static struct merge_delta delta_of(struct entry *e)
{
	struct merge_delta d = {.hot = &e->hot, .cold = &e->cold, .flow_ref = &e->ref};

	for (int i = 0; i < 2; i++) {
		d.bytes[i] = e->hot.bytes[i] - e->read_hot.bytes[i];
		d.packets[i] = e->hot.packets[i] - e->read_hot.packets[i];
		d.retransmits[i] = e->cold.retransmits[i] - e->read_cold.retransmits[i];
		d.out_of_order[i] = e->cold.out_of_order[i] - e->read_cold.out_of_order[i];
		d.zero_windows[i] = e->cold.zero_windows[i] - e->read_cold.zero_windows[i];
	}
	e->read_hot = e->hot;
	e->read_cold = e->cold;
	return d;
}

/* Entries as a scan finds them: all of a random CPU, in one batch. */
static void scan(unsigned int cpu)
{
	static struct merge_delta d[FLOWS];
	unsigned int n = 0;

	for (unsigned int f = 0; f < FLOWS; f++) {
		struct entry *e = &w->entry[f][cpu];

		if (w->used[f][cpu] && memcmp(&e->hot, &e->read_hot, sizeof(e->hot)) != 0)
			d[n++] = delta_of(e);
	}
	merge_entries(w->m, d, n);
}

static void evict(unsigned int f, unsigned int cpu)
{
	struct merge_delta d;

	if (!w->used[f][cpu])
		return;
	d = delta_of(&w->entry[f][cpu]);
	if (rnd(2))
		d.flow_ref = NULL;
	merge_finals(w->m, &d, 1);
	w->used[f][cpu] = false;
}

static void name(unsigned int f)
{
	static const char *const names[] = {"one.test", "two.test", "three.test"};
	struct name_result nr = {.kind = (uint8_t)(1 + rnd(5)), .dir = (uint8_t)rnd(2)};
	const char *text = names[rnd(3)];

	nr.key = w->key[f];
	nr.tick = (uint32_t)w->clock.now_tick - rnd(300);
	nr.time_ns = w->clock.now_tick * RIG_TICK_NS;
	nr.no_name = (uint8_t)rnd(3);
	if (nr.kind == NAME_TLS_CLIENT) {
		nr.tls.sni_len = (uint16_t)strlen(text);
		memcpy(nr.tls.sni, text, strlen(text));
	} else if (nr.kind == NAME_HTTP) {
		nr.http.host_len = (uint16_t)strlen(text);
		memcpy(nr.http.host, text, strlen(text));
	} else if (nr.kind == NAME_DNS_QUERY) {
		nr.dns.id = (uint16_t)rnd(3);
		nr.dns.flags = rnd(2) ? NAME_DNS_RESPONSE : 0;
		nr.dns.qname_len = (uint16_t)strlen(text);
		memcpy(nr.dns.qname, text, strlen(text));
	}
	merge_name(w->m, &nr);
}

static void step(void)
{
	unsigned int f = rnd(FLOWS), cpu = rnd(CPUS), what = rnd(100);

	if (what < 60)
		packet(f, cpu);
	else if (what < 70)
		scan(cpu);
	else if (what < 80)
		evict(f, cpu);
	else if (what < 88)
		name(f);
	else if (what < 96)
		clock_set(&w->clock, w->clock.now_tick + rnd(100), w->clock.now_wall_ns + 50000000);
	else if (what < 99 || rnd(100))
		merge_tick(w->m);
	else if (rnd(5))
		clock_set(&w->clock, w->clock.now_tick + rnd(100000), w->clock.now_wall_ns + 1);
	else
		merge_flush(w->m, FLOW_ACTIVE);
}

static void run(uint64_t seed, uint32_t max_flows)
{
	make(seed, max_flows);
	for (unsigned int i = 0; i < STEPS; i++)
		step();
	for (unsigned int cpu = 0; cpu < CPUS; cpu++)
		scan(cpu);
	merge_flush(w->m, FLOW_SHUTDOWN);
	for (unsigned int f = 0; f < FLOWS; f++) {
		cr_expect(eq(int, memcmp(&w->sent[f], &w->told[f], sizeof(w->sent[f])), 0),
			  "flow %u of seed %llu: %llu + %llu packets sent, %llu + %llu told", f,
			  (unsigned long long)seed, (unsigned long long)w->sent[f].packets[0],
			  (unsigned long long)w->sent[f].packets[1],
			  (unsigned long long)w->told[f].packets[0],
			  (unsigned long long)w->told[f].packets[1]);
	}
	cr_expect(gt(u64, w->records, FLOWS));
	cr_expect(eq(u64, w->records, merge_stats(w->m)->records));
	cr_expect(eq(u64, w->backwards, 0), "a record ends before it starts");
	cr_expect(eq(u64, w->bad, 0), "a record without packets, or that does not add up");
	cr_expect(eq(u32, merge_flows(w->m), 0));
	merge_free(w->m);
	free(w);
}

TestSuite(merge_sums, .timeout = 120);

Test(merge_sums, records_add_up_to_what_was_sent)
{
	for (uint64_t seed = 1; seed <= 8; seed++)
		run(seed * 7919, 1000);
}

Test(merge_sums, records_add_up_with_a_table_that_is_too_small)
{
	for (uint64_t seed = 1; seed <= 8; seed++)
		run(seed * 104729, seed < 3 ? 1 : 10 * (uint32_t)seed);
}
