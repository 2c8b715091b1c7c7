// SPDX-License-Identifier: Apache-2.0
/*
 * test_verdict_name.c - verdicts by name: the packet that completes the name is dropped, and the flow
 * with it, on whatever CPU its packets are handled; other names go on. And random names against the
 * reference.
 */
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <bpf/libbpf.h>
#include <stdio.h>
#include "hello.h"
#include "parse.h"
#include "policy_ref.h"
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"

#define CLIENT	  IP4(192, 0, 2, 1)
#define SERVER	  IP4(198, 51, 100, 1)
#define NAME_ROOM 64u
#define SYN	  2
#define RST	  4
#define ACK	  16

TestSuite(verdict_name, .timeout = 600);

static struct verdict_rig r;

/* A connection between two hosts; sequence numbers go on. */
struct conn {
	__u16 port;
	__u32 seq[2];
	int cpu; /* its packets are handled on */
	enum vr_way way;
};

static struct packet segment(struct conn *c, int from_server, __u8 flags, const void *data,
			     __u32 len)
{
	struct packet p = {};
	__u32 off;

	pk_eth(&p);
	if (from_server)
		pk_ip4(&p, SERVER, CLIENT);
	else
		pk_ip4(&p, CLIENT, SERVER);
	off = from_server ? pk_tcp(&p, 443, c->port, flags) : pk_tcp(&p, c->port, 443, flags);
	pk_set32(&p, off + 4, c->seq[from_server]);
	if (len)
		pk_data(&p, data, len);
	pk_end(&p);
	c->seq[from_server] += len + !!(flags & SYN);
	return p;
}

static int send_it(struct conn *c, int from_server, __u8 flags, const void *data, __u32 len)
{
	struct packet p = segment(c, from_server, flags, data, len);

	return vr_send_on(&r, c->way, &p, c->cpu);
}

static struct conn begin(__u16 port, enum vr_way way)
{
	struct conn c = {.port = port, .seq = {1000, 5000}, .way = way};

	cr_assert(eq(int, send_it(&c, 0, SYN, NULL, 0), 0));
	cr_assert(eq(int, send_it(&c, 1, SYN | ACK, NULL, 0), 0));
	cr_assert(eq(int, send_it(&c, 0, ACK, NULL, 0), 0));
	return c;
}

static struct msg hello_of(const char *name, __u32 size)
{
	struct hello h = {.sni = name, .size = size};
	struct msg m = {};

	msg_hello(&m, &h);
	return m;
}

static struct msg request_of(const char *host)
{
	struct msg m = {};

	msg_text(&m, "GET / HTTP/1.1\r\nHost: ");
	msg_text(&m, host);
	msg_text(&m, "\r\n\r\n");
	return m;
}

static void block(const char *name, enum policy_name_how how)
{
	vr_rule(&r, POLICY_DROP, RULE_BY_NAME);
	vr_name(&r, name, how);
}

static void open_live(void)
{
	vr_open(&r, true);
}

static void open_replay(void)
{
	vr_open(&r, false);
}

static void close_rig(void)
{
	vr_close(&r);
}

Test(verdict_name, the_hello_is_dropped_and_its_neighbour_is_not, .init = open_live,
     .fini = close_rig)
{
	struct msg bad = hello_of("www.blocked.test", 0), good = hello_of("www.other.test", 0);
	struct conn c;

	block("blocked.test", NAME_BELOW);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (int way = VR_XDP; way <= VR_TC_OUT; way++) {
		c = begin((__u16)(10000 + way), way);
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1), "way %d", way);
		c.seq[0] -= bad.len;
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1), "again");
		cr_expect(eq(int, send_it(&c, 1, ACK, NULL, 0), 1), "the server's side too");
		c = begin((__u16)(20000 + way), way);
		cr_expect(eq(int, send_it(&c, 0, ACK, good.b, good.len), 0));
		cr_expect(eq(int, send_it(&c, 1, ACK, good.b, 50), 0));
	}
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 9));
	cr_expect(eq(u64, vr_counters(&r, 1).flows, 3));
}

/* Every piece of the hello, the retransmission and the reply on another CPU. */
Test(verdict_name, holds_on_every_cpu, .init = open_live, .fini = close_rig)
{
	struct msg bad = hello_of("www.blocked.test", 1500);
	struct conn c;
	int passed = 0;

	if (libbpf_num_possible_cpus() < 2)
		cr_skip_test("one CPU");
	block("www.blocked.test", NAME_EXACT);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (int way = VR_XDP; way <= VR_TC_OUT; way++) {
		c = begin((__u16)(30000 + way), way);
		c.cpu = 1; /* that saw no SYN */
		passed += !send_it(&c, 0, ACK, bad.b, 700);
		c.cpu = 0;
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b + 700, bad.len - 700), 1), "way %d",
			  way);
		c.cpu = 1;
		cr_expect(eq(int, send_it(&c, 1, ACK, bad.b, 60), 1), "reply");
		c.seq[0] -= bad.len;
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, 700), 1), "first piece again");
		c.seq[0] = 1001;
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, 700), 1), "and again");
		cr_expect(eq(int, send_it(&c, 0, ACK, bad.b + 700, bad.len - 700), 1));
	}
	cr_expect(eq(int, passed, 3));
}

/* The same ports and sequence numbers again: a connection of its own, and no repetition of the old one's bytes. */
Test(verdict_name, a_connection_like_one_that_ended_is_read_anew, .init = open_live,
     .fini = close_rig)
{
	static const __u32 sizes[] = {0, 1500};
	struct conn c;

	block("www.blocked.test", NAME_EXACT);
	cr_assert(eq(int, vr_apply(&r), 0));
	for (int way = VR_XDP; way <= VR_TC_OUT; way++)
		for (int i = 0; i < 2; i++) {
			struct msg good = hello_of("www.allowed.test", sizes[i]),
				   bad = hello_of("www.blocked.test", sizes[i]);
			__u32 half = i ? 700 : bad.len;
			__u16 port = (__u16)(31000 + 2 * way + i);

			c = begin(port, way);
			cr_expect(eq(int, send_it(&c, 0, ACK, good.b, good.len), 0), "allowed");
			cr_expect(eq(int, send_it(&c, 0, RST | ACK, NULL, 0), 0));
			c = begin(port, way);
			cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, half), !i), "way %d", way);
			if (i)
				cr_expect(eq(int, send_it(&c, 0, ACK, bad.b + half, bad.len - half),
					     1),
					  "way %d, in pieces", way);
			cr_expect(eq(int, send_it(&c, 1, ACK, NULL, 0), 1), "the server's side");
		}
	cr_expect(eq(u64, vr_count(&r, CNT_NAME_TLS), 12));
}

/* The same of HTTP, and what is sent again within a connection is still read once. */
Test(verdict_name, what_is_sent_again_is_read_once, .init = open_live, .fini = close_rig)
{
	struct msg good = request_of("fine.test"), bad = request_of("evil.test");
	struct msg hello = hello_of("www.allowed.test", 0);
	struct conn c;

	block("evil.test", NAME_EXACT);
	cr_assert(eq(int, vr_apply(&r), 0));
	c = begin(41000, VR_XDP);
	for (int i = 0; i < 3; i++) {
		cr_expect(eq(int, send_it(&c, 0, ACK, good.b, good.len), 0));
		c.seq[0] -= good.len;
	}
	cr_expect(eq(u64, vr_count(&r, CNT_NAME_HTTP), 1));
	cr_expect(eq(int, send_it(&c, 0, RST | ACK, NULL, 0), 0));
	c = begin(41000, VR_XDP);
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1));
	c = begin(41001, VR_XDP);
	for (int i = 0; i < 3; i++) {
		c.cpu = i & (libbpf_num_possible_cpus() > 1);
		cr_expect(eq(int, send_it(&c, 0, ACK, hello.b, hello.len), 0));
		c.seq[0] -= hello.len;
	}
	cr_expect(eq(u64, vr_count(&r, CNT_NAME_TLS), 1));
}

Test(verdict_name, a_kept_alive_connection_is_checked_at_every_request, .init = open_live,
     .fini = close_rig)
{
	struct msg bad = request_of("BLOCKED.test.:8080"), good = request_of("fine.test");
	struct conn c;

	block("blocked.test", NAME_EXACT);
	cr_assert(eq(int, vr_apply(&r), 0));
	c = begin(40000, VR_XDP);
	for (int i = 0; i < 30; i++) {
		cr_expect(eq(int, send_it(&c, 0, ACK, good.b, good.len), 0), "request %d", i);
		cr_expect(eq(int, send_it(&c, 1, ACK, "HTTP/1.1 204 No Content\r\n\r\n", 27), 0));
	}
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1));
	cr_expect(eq(int, send_it(&c, 0, ACK, good.b, good.len), 1), "the connection is done for");
}

Test(verdict_name, expires_and_the_name_is_reached_again, .init = open_replay, .fini = close_rig)
{
	struct msg bad = hello_of("blocked.test", 0);
	struct conn c;

	block("blocked.test", NAME_BELOW);
	r.rules[0].expires = r.ns / 1000000000 + 60;
	cr_assert(eq(int, vr_apply(&r), 0));
	c = begin(50000, VR_XDP);
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1));
	vr_wait(&r, 10);
	c.seq[0] -= bad.len;
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 1));
	vr_wait(&r, 52);
	c.seq[0] -= bad.len;
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 0));
	c = begin(50001, VR_XDP);
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 0));
}

Test(verdict_name, never_block_beats_names, .init = open_live, .fini = close_rig)
{
	struct msg bad = hello_of("blocked.test", 0);
	struct conn c;

	block("blocked.test", NAME_BELOW);
	vr_rule(&r, POLICY_NEVER, RULE_BY_ADDR)->expires = 0;
	vr_addr(&r, "198.51.100.1", 32, ROLE_EITHER);
	cr_assert(eq(int, vr_apply(&r), 0));
	c = begin(50000, VR_XDP);
	cr_expect(eq(int, send_it(&c, 0, ACK, bad.b, bad.len), 0));
}

/* ---- random names, as DNS queries ---- */

static uint64_t seed = 42;

static uint32_t rnd(uint32_t n)
{
	seed = seed * 6364136223846793005ull + 1442695040888963407ull;
	return (uint32_t)(seed >> 40) % n;
}

static void some_name(char *ret)
{
	static const char *const labels[] = {"a", "bb", "ads", "test", "example", "x-1", "Ads"};
	uint32_t n = 1 + rnd(4);
	size_t at = 0;

	*ret = '\0';
	for (uint32_t i = 0; i < n; i++)
		at += (size_t)snprintf(ret + at, NAME_ROOM - at, "%s%s", i ? "." : "",
				       labels[rnd(sizeof(labels) / sizeof(labels[0]))]);
}

static void random_rules(void)
{
	char name[NAME_ROOM];

	vr_policy(&r);
	for (uint32_t i = 0; i < 8; i++) {
		vr_rule(&r, rnd(3) ? POLICY_DROP : POLICY_PASS, RULE_BY_NAME);
		r.rules[i].flags = rnd(4) ? 0 : RULE_SHADOW;
		for (uint32_t n = 1 + rnd(3); n; n--) {
			some_name(name);
			for (char *p = name; *p; p++)
				*p |= *p >= 'A' && *p <= 'Z' ? 0x20 : 0;
			vr_name(&r, name, NAME_EXACT + rnd(3));
			r.names[r.set.names_n - 1].kinds = (uint8_t)(1 + rnd(7));
		}
	}
	cr_assert(eq(int, vr_apply(&r), 0));
}

static void query_one(__u16 port)
{
	struct parse_cfg cfg = {.depth = 4};
	struct ref_verdict want;
	struct packet p = {};
	struct msg m = {};
	struct pkt pkt;
	char name[NAME_ROOM];
	struct ref_packet rp = {.pkt = &pkt, .side = DIR_BOTH, .now = r.ns / 1000000000};
	int got;

	some_name(name);
	msg_dns(&m, port, 0x0100, name, 1);
	pk_eth(&p);
	pk_ip4(&p, CLIENT, SERVER);
	pk_udp(&p, port, 53);
	pk_data(&p, m.b, m.len);
	pk_end(&p);
	cr_assert(eq(int, parse_frame(p.b, p.len, p.len, &cfg, &pkt), 0));
	rp.name = name;
	rp.name_len = (uint32_t)strlen(name);
	rp.name_kind = NAME_DNS;
	policy_ref(&r.set, (uint32_t[POLICY_FAILSAFE_MAX]){0}, &rp, &want);
	got = vr_send(&r, VR_XDP, &p);
	cr_assert(eq(int, got, want.drop), "%s", name);
}

Test(verdict_name, random_names_as_the_reference_has_them, .init = open_replay, .fini = close_rig)
{
	for (uint32_t set = 0; set < 40; set++) {
		random_rules();
		for (__u16 i = 0; i < 100; i++)
			query_one((__u16)(1024 + set * 100 + i));
		policy_table_reclaim(r.table);
	}
}
