// SPDX-License-Identifier: Apache-2.0
/*
 * test_recent.c - the last packets as the programs leave them: of every length, on every hook, whatever
 * becomes of them, and what is left when there are more than fit.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <bpf/libbpf.h>
#include <sched.h>
#include <string.h>
#include "loader/capture/recent.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/policy_map.h"

#define A	IP4(10, 0, 0, 1)
#define B	IP4(10, 0, 9, 2)
#define ACK	16
#define SNAPLEN 256u
#define FULL	4096u
#define EARLY	3000u
#define BLOCKS	4u

static struct verdict_rig r;
static struct recent_reader *reader;

static void open_rig(void)
{
	r.recent_bytes = (uint64_t)BLOCKS * RECENT_BLOCK * (uint64_t)libbpf_num_possible_cpus();
	r.recent_len = SNAPLEN;
	r.recent_full = FULL;
	r.recent_early = EARLY;
	vr_open(&r, true);
	cr_assert(zero(int, recent_open(&r.dp, 0, &reader)));
}

static void close_rig(void)
{
	recent_close(reader);
	vr_close(&r);
}

TestSuite(recent, .timeout = 600, .init = open_rig, .fini = close_rig);

/* A UDP frame of @len bytes in all, that no other is equal to. */
static struct packet udp(uint16_t sport, uint32_t len)
{
	static uint32_t number;
	struct packet p = {};
	uint32_t off;

	pk_eth(&p);
	pk_ip4(&p, A, B);
	off = pk_udp(&p, sport, 9) + 8;
	pk_payload(&p, len - off);
	pk_end(&p);
	for (uint32_t i = off; i < len; i++)
		p.b[i] = (uint8_t)(i * 7 + number);
	number++;
	return p;
}

static struct recent_packet next(void)
{
	struct recent_packet got = {};

	cr_assert(eq(int, recent_next(reader, UINT64_MAX, &got), 1));
	return got;
}

static void expect_none(void)
{
	struct recent_packet got;

	cr_expect(zero(int, recent_next(reader, UINT64_MAX, &got)));
}

static void expect_packet(const struct packet *p, enum weir_hook hook, uint32_t len)
{
	const struct recent_packet got = next();

	cr_expect(eq(u32, got.head.wire_len, p->len));
	cr_expect(eq(u16, got.head.len, len), "of %u", p->len);
	cr_expect(eq(u8, got.head.hook, hook));
	cr_expect(zero(int, memcmp(got.bytes, p->b, len)), "bytes of %u", p->len);
}

/* A flow that is neither new nor looked at for names any more. */
static void settle(enum vr_way way, uint16_t sport)
{
	struct packet p = udp(sport, 1000);

	for (int i = 0; i < 40; i++) {
		vr_send(&r, way, &p);
		next();
	}
}

/* Each length on both sides of every step in which bytes are copied. */
Test(recent, of_every_length)
{
	static const enum weir_hook hooks[] = {
		[VR_XDP] = HOOK_XDP, [VR_TC_IN] = HOOK_TC_INGRESS, [VR_TC_OUT] = HOOK_TC_EGRESS};

	for (enum vr_way way = VR_XDP; way <= VR_TC_OUT; way++) {
		settle(way, 1000 + way);
		for (uint32_t len = 42; len < 320; len++) {
			struct packet p = udp(1000 + way, len);

			vr_send(&r, way, &p);
			expect_packet(&p, hooks[way], len < SNAPLEN ? len : SNAPLEN);
		}
	}
	expect_none();
	cr_expect(zero(u64, recent_lost(reader)));
}

/* A new flow's packets are kept longer, and so is what no parser takes. */
Test(recent, what_is_early_in_full)
{
	struct packet p = udp(77, 1400), bad = {};

	for (int i = 0; i < 2; i++) {
		vr_send(&r, VR_XDP, &p);
		expect_packet(&p, HOOK_XDP, 1400);
	}
	settle(VR_XDP, 77);
	vr_send(&r, VR_XDP, &p);
	expect_packet(&p, HOOK_XDP, SNAPLEN);
	pk_eth(&bad);
	pk_ip4(&bad, A, B);
	pk_payload(&bad, 600);
	pk_end(&bad);
	pk_set8(&bad, 14, 0x42); /* a header shorter than any */
	vr_send(&r, VR_XDP, &bad);
	expect_packet(&bad, HOOK_XDP, bad.len);
}

Test(recent, what_was_dropped_says_so)
{
	struct packet p = udp(5, 100), q = {};
	struct recent_packet got;

	vr_rule(&r, POLICY_DROP, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.1", 32, ROLE_SRC);
	vr_rule(&r, POLICY_RESET, RULE_BY_ADDR);
	vr_addr(&r, "10.0.0.7", 32, ROLE_SRC);
	cr_assert(zero(int, vr_apply(&r)));
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 1));
	got = next();
	cr_expect(eq(u8, got.head.verdict, VERDICT_DROP));
	cr_expect(zero(int, memcmp(got.bytes, p.b, p.len)));
	cr_expect(eq(int, vr_send(&r, VR_TC_IN, &p), 1));
	cr_expect(eq(u8, next().head.verdict, VERDICT_DROP));
	pk_eth(&q);
	pk_ip4(&q, IP4(10, 0, 0, 7), B);
	pk_tcp(&q, 1000, 80, ACK);
	pk_end(&q);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &q), 2));
	got = next();
	cr_expect(eq(u8, got.head.verdict, VERDICT_RESET));
	cr_expect(zero(int, memcmp(got.bytes, q.b, q.len)), "as it came, not the reset");
	expect_none();
}

Test(recent, a_gso_packet_says_so)
{
	struct packet p = udp(5, 1042);

	r.gso = 500;
	vr_send(&r, VR_TC_OUT, &p);
	cr_expect(eq(u16, next().head.gso_size, 500));
}

/* More than fit: the last ones are there, and the others are counted. */
Test(recent, the_oldest_go)
{
	const uint32_t sent = 4 * BLOCKS * RECENT_BLOCK / (SNAPLEN + sizeof(struct recent_record));
	struct recent_packet got;
	uint32_t read = 0, last = 0;
	struct packet p = udp(5, 600);
	uint64_t lost;
	cpu_set_t one;

	CPU_ZERO(&one);
	CPU_SET(0, &one);
	cr_assert(zero(int, sched_setaffinity(0, sizeof(one), &one)));
	for (uint32_t i = 0; i < sent; i++) {
		memcpy(p.b + 100, &i, sizeof(i));
		vr_send(&r, VR_XDP, &p);
	}
	while (recent_next(reader, UINT64_MAX, &got)) {
		uint32_t n;

		memcpy(&n, got.bytes + 100, sizeof(n));
		cr_assert(read == 0 || n == last + 1, "%u after %u", n, last);
		last = n;
		read++;
	}
	cr_expect(eq(u32, last, sent - 1));
	cr_expect(gt(u32, read, (BLOCKS - 2) * RECENT_BLOCK / 300));
	cr_expect(eq(u64, recent_lost(reader) + read, sent));
	lost = recent_lost(reader);
	for (uint32_t i = 0; i < sent; i++)
		vr_send(&r, VR_XDP, &p);
	read = 0;
	while (recent_next(reader, UINT64_MAX, &got))
		read++;
	cr_expect(eq(u64, recent_lost(reader) - lost + read, sent));
}

/* Where it is off nothing is kept, and nobody can read. */
Test(recent_off, nothing_is_kept)
{
	r.recent_bytes = 0;
	vr_open(&r, true);
	cr_expect(eq(int, recent_open(&r.dp, 0, &reader), -2));
	vr_close(&r);
}
