/* SPDX-License-Identifier: Apache-2.0 */
/*
 * test_source.c - losses on the way to a mirror's target, told by the numbers of GRE and ERSPAN, as the packet path
 * counts them and the loader reads them: gaps, late packets, the turn at 2^32, senders that begin anew, two CPUs at a
 * time; and where nothing is known, that it is said so.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdlib.h>
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include "loader/dataplane.h"
#include "loader/source_loss.h"
#include "tests/unit/packets_tunnel.h"
#include "weir/counters.h"
#include "weir/source.h"

#define SENDER IP4(192, 0, 2, 7)
#define TARGET IP4(192, 0, 2, 1)
#define KEY    77u
#define TOGETHER \
	200u /* packets of a thread before it waits for the other: less than may come late */
#define ROUNDS 50u

static struct dataplane dp;
static enum weir_hook hook;

static void load(uint32_t sample, enum weir_hook h)
{
	struct dataplane_variant v = {.role = ROLE_MIRROR, .sample = sample, .decap_depth = -1};
	struct dataplane_cfg cfg = dataplane_cfg_default;

	cfg.flows = 4096;
	cfg.names = false;
	hook = h;
	cr_assert(eq(int, dataplane_load(&dp, &cfg, &v), 0));
}

static void open_xdp(void)
{
	load(1, HOOK_XDP);
}

static void open_tc(void)
{
	dataplane_done(&dp); /* of the suite's open_xdp() */
	load(1, HOOK_TC_INGRESS);
}

static void open_sampled(void)
{
	dataplane_done(&dp);
	load(4, HOOK_XDP);
}

static void close_it(void)
{
	dataplane_done(&dp);
}

TestSuite(source, .timeout = 300, .init = open_xdp, .fini = close_it);

/* ---- packets ---- */

static void inner(struct packet *p)
{
	pk_eth(p);
	pk_ip4(p, IP4(10, 0, 0, 1), IP4(10, 0, 0, 2));
	pk_udp(p, 4000, 53);
	pk_payload(p, 20);
	pk_end(p);
}

static struct packet outer(uint32_t sender)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, sender, TARGET);
	return p;
}

/* The sequence number is the last word of the GRE header. */
static struct packet gre(uint32_t sender, uint32_t key, uint32_t number)
{
	struct packet p = outer(sender);

	pk_gre(&p, 0x3000, key);
	pk_set32(&p, p.len - 4, number);
	inner(&p);
	return p;
}

static struct packet erspan(int version, uint16_t session, uint32_t number)
{
	struct packet p = outer(SENDER);

	pk_gre(&p, 0x1000, 0);
	pk_set32(&p, p.len - 4, number);
	if (version == 2)
		pk_erspan2(&p, session);
	else
		pk_erspan3(&p, session, 0);
	inner(&p);
	return p;
}

static int send_it(const struct packet *p)
{
	LIBBPF_OPTS(bpf_test_run_opts, o, .data_in = p->b, .data_size_in = p->len, .repeat = 1);

	return bpf_prog_test_run_opts(dp.object[0].prog[hook], &o);
}

static void numbers(uint32_t from, uint32_t n)
{
	for (uint32_t i = 0; i < n; i++) {
		const struct packet p = gre(SENDER, KEY, from + i);

		cr_assert(eq(int, send_it(&p), 0));
	}
}

/* ---- what is said of them ---- */

static unsigned int sources(void)
{
	struct source_loss s;
	unsigned int n = 0;

	for (unsigned int i = 0; i < WEIR_SOURCES; i++)
		n += source_loss_get(&dp, i, &s);
	return n;
}

static struct source_loss of(enum weir_tunnel type, uint32_t vni)
{
	struct source_loss s, found = {.unknown = "no such source"};

	for (unsigned int i = 0; i < WEIR_SOURCES; i++)
		if (source_loss_get(&dp, i, &s) && s.type == type && s.vni == vni)
			found = s;
	return found;
}

static void expect(uint64_t packets, uint64_t sent, uint64_t lost, uint64_t restarts)
{
	const struct source_loss s = of(TUN_GRE, KEY);

	cr_assert(s.unknown == NULL, "%s", s.unknown);
	cr_expect(eq(u64, s.packets, packets));
	cr_expect(eq(u64, s.sent, sent));
	cr_expect(eq(u64, s.lost, lost));
	cr_expect(eq(u64, s.restarts, restarts));
}

static void expect_unknown(enum weir_tunnel type, uint32_t vni, uint64_t packets, const char *why)
{
	const struct source_loss s = of(type, vni);

	cr_assert(s.unknown != NULL);
	cr_expect(eq(str, (char *)s.unknown, (char *)why));
	cr_expect(eq(u64, s.packets, packets));
	cr_expect(zero(u64, s.lost));
}

/* ---- numbers ---- */

Test(source, nothing_is_lost_where_no_number_is_missing)
{
	static const uint8_t sender[16] = {
		[10] = 0xff, [11] = 0xff, [12] = 192, [14] = 2, [15] = 7};
	struct source_loss s;

	numbers(5000, 300);
	expect(300, 300, 0, 0);
	s = of(TUN_GRE, KEY);
	cr_expect(zero(int, memcmp(s.addr, sender, sizeof(sender))));
	cr_expect(eq(uint, sources(), 1));
}

Test(source, gaps_are_lost_until_they_come_late)
{
	numbers(0, 10);
	numbers(20, 10);
	expect(20, 30, 10, 0);
	for (uint32_t i = 20; i > 10; i--)
		numbers(i - 1, 1);
	expect(30, 30, 0, 0);
	numbers(30 + WEIR_SOURCE_AHEAD - 1, 1);
	expect(31, 30 + WEIR_SOURCE_AHEAD, WEIR_SOURCE_AHEAD - 1, 0);
}

Test(source, numbers_turn_over)
{
	numbers(UINT32_MAX - 9, 8);
	numbers(UINT32_MAX, 1);
	numbers(0, 1);
	numbers(5, 10);
	expect(20, 25, 5, 0);
	numbers(UINT32_MAX - 1, 1);
	expect(21, 25, 4, 0);
}

Test(source, a_sender_begins_anew)
{
	numbers(2000000000, 50);
	numbers(2000000060, 1);
	numbers(0, 50);
	numbers(53, 1);
	expect(102, 61 + 54, 10 + 3, 1);
	numbers(53 - WEIR_SOURCE_BEHIND, 1); /* late, as far as can be */
	expect(103, 61 + 54, 9 + 3, 1);
	numbers(53 - WEIR_SOURCE_BEHIND - 1, 1);
	expect(104, 61 + 54 + 1, 9 + 3, 2);
}

Test(source, on_tc_too, .init = open_tc)
{
	numbers(1, 10);
	numbers(16, 5);
	expect(15, 20, 5, 0);
}

/* Each sequence is one of address, key and kind; sessions of ERSPAN, not the key of the GRE before it. */
Test(source, each_source_has_its_own)
{
	for (uint32_t i = 0; i < 40; i++) {
		const struct packet p[] = {gre(SENDER, KEY, i * 2), gre(SENDER, KEY + 1, 7 * i),
					   erspan(2, 5, i * 3), erspan(3, 6, i + 9),
					   gre(SENDER + 1, 99, 1000000 * i)};

		for (unsigned int k = 0; k < 5; k++)
			cr_assert(eq(int, send_it(&p[k]), 0));
	}
	expect(40, 79, 39, 0);
	cr_expect(eq(u64, of(TUN_GRE, KEY + 1).lost, 6 * 39));
	cr_expect(eq(u64, of(TUN_ERSPAN, 5).lost, 2 * 39));
	cr_expect(eq(u64, of(TUN_ERSPAN, 6).sent, 40));
	cr_expect(zero(u64, of(TUN_ERSPAN, 6).lost));
	cr_expect(eq(u64, of(TUN_GRE, 99).lost, 999999 * 39));
	cr_expect(eq(uint, sources(), 5));
}

Test(source, an_outer_of_ipv6)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip6(&p, 1, 2);
	pk_gre(&p, 0x1000, 0);
	pk_set32(&p, p.len - 4, 4);
	inner(&p);
	cr_assert(eq(int, send_it(&p), 0));
	pk_set32(&p, 14 + 40 + 4, 9);
	cr_assert(eq(int, send_it(&p), 0));
	cr_expect(eq(u64, of(TUN_GRE, 0).sent, 6));
	cr_expect(eq(u64, of(TUN_GRE, 0).lost, 4));
}

/* It has come, whatever is in it. */
Test(source, a_packet_that_cannot_be_opened_has_its_number)
{
	struct packet p = outer(SENDER);
	uint32_t at;

	pk_gre(&p, 0x3000, KEY);
	at = p.len - 4;
	pk_payload(&p, 30);
	pk_end(&p);
	pk_set16(&p, at - 6, 0x4242); /* Ethertype within */
	numbers(0, 3);
	pk_set32(&p, at, 3);
	cr_assert(eq(int, send_it(&p), 0));
	numbers(4, 2);
	expect(6, 6, 0, 0);
	cr_expect(eq(u64, dataplane_counter(&dp, CNT_DECAPSULATED), 5));
}

/* ---- two CPUs ---- */

struct half {
	pthread_barrier_t *together;
	int cpu, r;
};

/* Every second number; those that seven divides are lost. The two are never further apart than may be late. */
static void *send_half(void *arg)
{
	struct half *h = arg;
	cpu_set_t set;

	CPU_ZERO(&set);
	CPU_SET((size_t)h->cpu, &set);
	h->r = sched_setaffinity(0, sizeof(set), &set);
	for (uint32_t round = 0; round < ROUNDS; round++) {
		pthread_barrier_wait(h->together);
		for (uint32_t i = 0; i < TOGETHER; i++) {
			const uint32_t n = (round * TOGETHER + i) * 2 + (uint32_t)h->cpu;
			const struct packet p = gre(SENDER, KEY, n - 4000);

			h->r |= n && n % 7 == 0 ? 0 : send_it(&p);
		}
	}
	return NULL;
}

Test(source, two_cpus_at_a_time)
{
	const uint64_t sent = 2ull * TOGETHER * ROUNDS, lost = (sent - 1) / 7;
	pthread_barrier_t together;
	struct half h[2];
	pthread_t t;

	if (libbpf_num_possible_cpus() < 2)
		cr_skip_test("one CPU");
	/* the lowest and the highest come, whoever is first */
	numbers((uint32_t)-4001, 1);
	pthread_barrier_init(&together, NULL, 2);
	for (int i = 0; i < 2; i++)
		h[i] = (struct half){.together = &together, .cpu = i};
	cr_assert(eq(int, pthread_create(&t, NULL, send_half, &h[1]), 0));
	send_half(&h[0]);
	pthread_join(t, NULL);
	cr_assert(zero(int, h[0].r | h[1].r));
	numbers((uint32_t)sent - 4000, 1);
	expect(sent + 2 - lost, sent + 2, lost, 0);
}

/* ---- nothing is known ---- */

Test(source, no_numbers_no_loss)
{
	struct packet vxlan = outer(SENDER), plain = outer(SENDER), one = outer(SENDER);

	pk_udp(&vxlan, 1, 4789);
	pk_vxlan(&vxlan, 7);
	inner(&vxlan);
	pk_gre(&plain, 0x2000, 8);
	inner(&plain);
	pk_gre(&one, 0, 0);
	pk_erspan1(&one);
	inner(&one);
	for (int i = 0; i < 20; i++)
		cr_assert(zero(int, send_it(&vxlan) | send_it(&plain) | send_it(&one)));
	expect_unknown(TUN_VXLAN, 7, 20, "no sequence numbers");
	expect_unknown(TUN_GRE, 8, 20, "no sequence numbers");
	expect_unknown(TUN_ERSPAN, 0, 20, "no sequence numbers");
	cr_expect(eq(u64, source_loss_sum(&dp).unknown, 3));
	cr_expect(eq(u64, source_loss_sum(&dp).unknown_packets, 60));
	cr_expect(zero(u64, source_loss_sum(&dp).known));
}

Test(source, a_number_that_stands_still)
{
	for (int i = 0; i < 20; i++)
		numbers(0, 1);
	expect_unknown(TUN_GRE, KEY, 20, "the sequence number stands still");
}

Test(source, packets_twice_are_no_losses)
{
	for (uint32_t i = 0; i < 40; i++) {
		numbers(i + i / 10, 1);
		numbers(i + i / 10, 1);
	}
	expect(80, 43, 3, 0);
}

Test(source, several_senders_behind_one_address)
{
	for (uint32_t i = 0; i < 20; i++) {
		numbers(i, 1);
		numbers(5000000 + i, 1);
	}
	expect_unknown(TUN_GRE, KEY, 40, "sequence numbers of several senders");
}

Test(source, sampled_packets_tell_nothing, .init = open_sampled)
{
	numbers(0, 80);
	cr_expect(eq(str, (char *)of(TUN_GRE, KEY).unknown, "packets are sampled"));
}

Test(source, packets_in_no_tunnel_have_no_source)
{
	struct packet p = {};

	inner(&p);
	cr_assert(zero(int, send_it(&p)));
	cr_expect(zero(uint, sources()));
}

/* Whom there is no room for is counted with the others, and nobody twice. */
Test(source, more_sources_than_there_is_room_for)
{
	const uint32_t n = 3 * WEIR_SOURCES;
	struct source_loss worst[10];
	unsigned int more;

	for (uint32_t i = 0; i < n; i++) {
		struct packet p = gre(SENDER, i, 100);

		cr_assert(zero(int, send_it(&p)));
		p = gre(SENDER, i, 102);
		cr_assert(zero(int, send_it(&p)));
	}
	cr_expect(eq(u64, source_loss_sum(&dp).packets, 2 * n));
	cr_expect(gt(uint, sources(), WEIR_SOURCES - WEIR_SOURCES / 16));
	cr_expect(eq(u64, source_loss_sum(&dp).known, sources() - 1));
	cr_expect(eq(u64, source_loss_sum(&dp).lost, sources() - 1));
	cr_expect(eq(u64, of(TUN_NONE, 0).packets, 2 * (n + 1 - sources())));
	cr_expect(eq(str, (char *)of(TUN_NONE, 0).unknown, "no room for more sources"));
	cr_expect(eq(uint, source_loss_worst(&dp, worst, 10, &more), 10));
	cr_expect(eq(uint, more, sources() - 10));
	cr_expect(eq(u64, worst[9].lost, 1));
}

Test(source, the_worst_comes_first)
{
	struct source_loss worst[2];
	unsigned int more;

	for (uint32_t key = 1; key <= 5; key++)
		for (uint32_t i = 0; i < 3; i++) {
			const struct packet p = gre(SENDER, key, i * (key * 7 % 5 + 1));

			cr_assert(zero(int, send_it(&p)));
		}
	cr_expect(eq(uint, source_loss_worst(&dp, worst, 2, &more), 2));
	cr_expect(eq(uint, more, 3));
	cr_expect(eq(u32, worst[0].vni, 2)); /* 7 * 2 % 5 = 4 */
	cr_expect(eq(u32, worst[1].vni, 4));
}
