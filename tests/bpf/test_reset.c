// SPDX-License-Identifier: Apache-2.0
/*
 * test_reset.c - what a reset rule makes of a packet, byte for byte: RFC 9293 section 3.10.7.1 says
 * which numbers a reset has, RFC 5961 which ones the receiver takes.
 */
#include <arpa/inet.h>
#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include <criterion/parameterized.h>
#include <linux/if_packet.h>
#include <netinet/in.h>
#include <stdio.h>
#include <sys/socket.h>
#include <unistd.h>
#include "tests/bpf/verdict_rig.h"
#include "weir/counters.h"
#include "weir/policy_map.h"

#define A IP4(10, 0, 0, 1)
#define B IP4(10, 0, 9, 2)

#define FIN 1
#define SYN 2
#define RST 4
#define PSH 8
#define ACK 16

#define SEQ   0xfffffff0u /* wraps within the payload */
#define ACKED 0x80001234u /* what the packet acknowledges */

TestSuite(reset, .timeout = 600); /* loading takes minutes in an emulated machine */

static struct verdict_rig r;

/* ---- packets ---- */

struct shape {
	const char *name;
	bool v6;
	uint8_t vlans;
	uint8_t ip_words, tcp_words; /* options */
	uint8_t flags;
	uint16_t payload;
};

static const struct shape shapes[] = {
	{"SYN", false, 0, 0, 5, SYN, 0},
	{"SYN with data", false, 0, 0, 5, SYN, 33},
	{"SYN-ACK", false, 0, 0, 5, SYN | ACK, 0},
	{"ACK", false, 0, 0, 3, ACK, 0},
	{"data", false, 0, 0, 3, ACK | PSH, 1400},
	{"a byte", false, 0, 0, 0, ACK | PSH, 1},
	{"FIN", false, 0, 0, 3, ACK | FIN, 0},
	{"FIN with data", false, 0, 0, 0, ACK | FIN | PSH, 7},
	{"data without ACK", false, 0, 0, 0, PSH, 9},
	{"IPv4 options", false, 0, 3, 3, ACK | PSH, 100},
	{"most IPv4 options", false, 0, 10, 10, ACK, 0},
	{"VLAN", false, 1, 0, 3, ACK | PSH, 64},
	{"QinQ", false, 2, 0, 3, ACK, 0},
	{"IPv6 SYN", true, 0, 0, 5, SYN, 0},
	{"IPv6 SYN-ACK", true, 0, 0, 5, SYN | ACK, 0},
	{"IPv6 data", true, 0, 0, 3, ACK | PSH, 900},
	{"IPv6 FIN", true, 0, 0, 3, ACK | FIN, 0},
	{"IPv6 VLAN", true, 1, 0, 0, ACK, 0},
	{"IPv6 QinQ", true, 2, 0, 0, PSH | ACK, 11},
};

static uint32_t shape_l2(const struct shape *s)
{
	return 14 + 4u * s->vlans;
}

static uint32_t shape_ip(const struct shape *s)
{
	return s->v6 ? 40 : 20;
}

static void shape_packet(const struct shape *s, struct packet *p)
{
	__u32 ip, tcp;

	*p = (struct packet){};
	pk_eth(p);
	for (uint16_t i = 0; i < s->vlans; i++)
		pk_vlan(p, s->vlans == 2 && !i ? 0x88a8 : 0x8100, 0x6000 + 10 + i);
	if (s->v6) {
		ip = pk_ip6(p, 1, 2);
		pk_set32(p, ip, 0x60000000 | 0xbb << 20 | 0x12345); /* class and flow label */
		pk_set8(p, ip + 7, 99);
	} else {
		ip = pk_ip4(p, A, B);
		pk_set8(p, ip + 1, 0xbb);
		pk_set8(p, ip + 8, 99);
		if (s->ip_words)
			pk_ip4_options(p, s->ip_words);
	}
	tcp = pk_tcp(p, 40000, 443, s->flags);
	pk_set32(p, tcp + 4, SEQ);
	pk_set32(p, tcp + 8, s->flags & ACK ? ACKED : 0);
	if (s->tcp_words)
		pk_tcp_options(p, s->tcp_words);
	pk_payload(p, s->payload);
	pk_end(p);
	if (p->len < 60)
		pk_room(p, 60 - p->len); /* padding of the Ethernet frame */
}

/* ---- resets ---- */

static uint32_t get16(const uint8_t *p)
{
	return (uint32_t)p[0] << 8 | p[1];
}

static uint32_t get32(const uint8_t *p)
{
	return get16(p) << 16 | get16(p + 2);
}

static uint32_t sum16(const uint8_t *p, uint32_t n)
{
	uint32_t sum = 0;

	for (uint32_t i = 0; i + 1 < n; i += 2)
		sum += get16(p + i);
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

static void expect_ip(const struct shape *s, const uint8_t *in, const uint8_t *ip, bool turned)
{
	const uint32_t a = s->v6 ? 16 : 4, at = s->v6 ? 8 : 12;
	const uint8_t ttl = ip[s->v6 ? 7 : 8];

	cr_expect(eq(int, memcmp(ip + at, in + at + (turned ? a : 0), a), 0), "%s: src", s->name);
	cr_expect(eq(int, memcmp(ip + at + a, in + at + (turned ? 0 : a), a), 0), "%s: dst",
		  s->name);
	cr_expect(eq(u8, ttl, turned ? 64 : 99), "%s", s->name);
	if (s->v6) {
		cr_expect(eq(u32, get32(ip), 0x60000000 | 0xb8 << 20), "%s", s->name);
		cr_expect(eq(u32, get16(ip + 4), 20), "%s", s->name);
		cr_expect(eq(u8, ip[6], 6), "%s", s->name);
		return;
	}
	cr_expect(eq(u32, get16(ip), 0x45b8), "%s", s->name); /* no options; DSCP stays, ECN goes */
	cr_expect(eq(u32, get16(ip + 2), 40), "%s", s->name);
	cr_expect(eq(u32, get16(ip + 6), 0x4000), "%s", s->name);
	cr_expect(eq(u8, ip[9], 6), "%s", s->name);
	cr_expect(eq(u32, sum16(ip, 20), 0xffff), "%s: IPv4 checksum", s->name);
}

static void expect_tcp(const struct shape *s, const uint8_t *tcp, bool turned)
{
	const uint32_t len = s->payload + !!(s->flags & SYN) + !!(s->flags & FIN);
	const bool ack = s->flags & ACK;

	cr_expect(eq(u32, get16(tcp), turned ? 443 : 40000), "%s", s->name);
	cr_expect(eq(u32, get16(tcp + 2), turned ? 40000 : 443), "%s", s->name);
	if (turned) {
		cr_expect(eq(u32, get32(tcp + 4), ack ? ACKED : 0), "%s: seq", s->name);
		cr_expect(eq(u32, get32(tcp + 8), ack ? 0 : SEQ + len), "%s: ack", s->name);
		cr_expect(eq(u32, get16(tcp + 12), 0x5000 | (ack ? RST : RST | ACK)), "%s",
			  s->name);
	} else {
		cr_expect(eq(u32, get32(tcp + 4), SEQ), "%s: seq", s->name);
		cr_expect(eq(u32, get32(tcp + 8), ack ? ACKED : 0), "%s: ack", s->name);
		cr_expect(eq(u32, get16(tcp + 12), 0x5000 | (ack ? RST | ACK : RST)), "%s",
			  s->name);
	}
	cr_expect(eq(u32, get16(tcp + 14), 0), "%s", s->name);
	cr_expect(eq(u32, get16(tcp + 18), 0), "%s", s->name);
}

/* The frame is the reset that the shape's packet is answered by, or turned into. */
static void expect_reset(const struct shape *s, const uint8_t *f, uint32_t len, bool turned)
{
	const uint32_t l2 = shape_l2(s), ip = shape_ip(s), want = l2 + ip + 20;
	uint32_t sum;
	struct packet p;

	shape_packet(s, &p);
	cr_assert(ge(u32, len, want), "%s", s->name);
	cr_expect(eq(int, memcmp(f, p.b + (turned ? 6 : 0), 6), 0), "%s: to", s->name);
	cr_expect(eq(int, memcmp(f + 6, p.b + (turned ? 0 : 6), 6), 0), "%s: from", s->name);
	cr_expect(eq(int, memcmp(f + 12, p.b + 12, l2 - 12), 0), "%s: tags and type", s->name);
	expect_ip(s, p.b + l2, f + l2, turned);
	expect_tcp(s, f + l2 + ip, turned);
	sum = sum16(f + l2 + (s->v6 ? 8 : 12), (s->v6 ? 32 : 8) + 20) + 6 + 20;
	cr_expect(eq(u32, (sum & 0xffff) + (sum >> 16), 0xffff), "%s: TCP checksum", s->name);
	for (uint32_t i = want; i < len; i++)
		cr_expect(eq(u8, f[i], 0), "%s: padding", s->name);
}

/* ---- set-up ---- */

static void reset_all(void)
{
	vr_policy(&r);
	vr_rule(&r, POLICY_RESET, RULE_BY_NONE);
	cr_assert(eq(int, vr_apply(&r), 0));
}

static void open_replay(void)
{
	vr_open(&r, false);
	reset_all();
}

static void open_live(void)
{
	vr_own_network();
	vr_open(&r, true);
	reset_all();
}

static void close_rig(void)
{
	vr_close(&r);
}

/* Everything that goes over loopback from now on. */
static int listen_lo(void)
{
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK, htons(0x0003));

	cr_assert(ge(int, fd, 0));
	return fd;
}

/* The next frame that goes out, or comes in. 0: none in a minute. */
static uint32_t hear(int fd, bool out, uint8_t *ret, uint32_t cap)
{
	struct sockaddr_ll from;
	socklen_t n_from = sizeof(from);
	ssize_t n;

	for (int i = 0; i < 60000; i++) {
		n = recvfrom(fd, ret, cap, 0, (struct sockaddr *)&from, &n_from);
		if (n > 0 && (from.sll_pkttype == PACKET_OUTGOING) == out)
			return (uint32_t)n;
		if (n < 0)
			usleep(1000);
	}
	return 0;
}

/* ---- tests ---- */

Test(reset, on_xdp_the_packet_goes_back_as_a_reset, .init = open_replay, .fini = close_rig)
{
	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *s = &shapes[i];
		const uint32_t want = shape_l2(s) + shape_ip(s) + 20;
		struct packet p;

		shape_packet(s, &p);
		cr_assert(eq(int, vr_send(&r, VR_XDP, &p), 2), "%s", s->name);
		cr_expect(eq(u32, r.out_len, want < 60 ? 60 : want), "%s", s->name);
		expect_reset(s, r.out, r.out_len, true);
	}
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), sizeof(shapes) / sizeof(shapes[0])));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_NOT_MADE), 0));
}

static void both_ways(enum vr_way way)
{
	static uint8_t frame[PACKET_MAX];
	uint64_t sent = 0;
	int fd = listen_lo();

	for (size_t i = 0; i < sizeof(shapes) / sizeof(shapes[0]); i++) {
		const struct shape *s = &shapes[i];
		bool first = (s->flags & (SYN | ACK)) == SYN;
		struct packet p;
		uint32_t len;

		shape_packet(s, &p);
		cr_assert(eq(int, vr_send(&r, way, &p), first ? 1 : 2), "%s", s->name);
		len = hear(fd, way == VR_TC_IN, frame, sizeof(frame));
		if (way == VR_TC_IN || !s->vlans) /* what comes in has lost its tag before */
			expect_reset(s, frame, len, true);
		else
			cr_expect(eq(u32, len, shape_l2(s) - 4 + shape_ip(s) + 20));
		if (!first)
			expect_reset(s, r.out, r.out_len, false);
		sent += first ? 1 : 2;
	}
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), sent));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_NOT_MADE), 0));
	close(fd);
}

Test(reset, on_tc_egress_both_ends_get_one, .init = open_live, .fini = close_rig)
{
	both_ways(VR_TC_OUT);
}

Test(reset, on_tc_ingress_both_ends_get_one, .init = open_live, .fini = close_rig)
{
	both_ways(VR_TC_IN);
}

Test(reset, a_reset_passes_and_is_not_answered, .init = open_replay, .fini = close_rig)
{
	struct shape s = {"RST", false, 0, 0, 0, RST | ACK, 0};
	struct policy_counters c;
	struct packet p;

	shape_packet(&s, &p);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	cr_expect(eq(int, memcmp(r.out, p.b, p.len), 0));
	s.payload = 10; /* data that says it is a reset does not */
	shape_packet(&s, &p);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 1));
	c = vr_counters(&r, 1);
	cr_expect(eq(u64, c.packets, 1));
	cr_expect(eq(u64, c.passed, 1));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), 0));
}

Test(reset, what_is_no_tcp_is_dropped, .init = open_replay, .fini = close_rig)
{
	struct packet p = {};

	pk_eth(&p);
	pk_ip4(&p, A, B);
	pk_udp(&p, 1000, 2000);
	pk_end(&p);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 1));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT) + vr_count(&r, CNT_RESETS_NOT_MADE), 0));
}

Test(reset, what_can_not_be_answered_is_dropped_and_counted, .init = open_replay, .fini = close_rig)
{
	struct packet later = {}, ext = {}, inner = {};
	__u32 ip;

	pk_eth(&later);
	ip = pk_ip4(&later, A, B);
	pk_set16(&later, ip + 6, 100);
	pk_announce(&later, 0, 6);
	pk_payload(&later, 60);
	pk_end(&later);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &later), 1));

	pk_eth(&ext);
	pk_ip6(&ext, 1, 2);
	pk_ext(&ext, 60, 0);
	pk_tcp(&ext, 1, 2, ACK);
	pk_end(&ext);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &ext), 1));

	pk_eth(&inner);
	pk_ip4(&inner, A, B);
	pk_ip4(&inner, A, B);
	pk_tcp(&inner, 1, 2, ACK);
	pk_end(&inner);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &inner), 1)); /* a replay opens tunnels */
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_NOT_MADE), 3));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), 0));
}

Test(reset, a_flood_is_answered_at_a_bounded_rate, .init = open_replay, .fini = close_rig)
{
	const struct shape s = {"SYN", false, 0, 0, 0, SYN, 0};
	uint32_t answered = 0, dropped = 0;
	struct packet p;

	shape_packet(&s, &p);
	for (uint32_t i = 0; i < 3 * POLICY_RESETS; i++) {
		pk_set16(&p, 34, (__u16)(1024 + i)); /* another port each: no flow is known */
		switch (vr_send(&r, VR_XDP, &p)) {
		case 1:
			dropped++;
			break;
		case 2:
			answered++;
			break;
		}
	}
	/* a microsecond for each packet: three more in these three milliseconds */
	cr_expect(ge(u32, answered, POLICY_RESETS));
	cr_expect(le(u32, answered, POLICY_RESETS + 4));
	cr_expect(eq(u32, answered + dropped, 3 * POLICY_RESETS));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), answered));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_LIMITED), dropped));
	cr_expect(eq(u64, vr_counters(&r, 1).packets, 3 * POLICY_RESETS));
	vr_wait(&r, 0.5);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 2));
}

Test(reset, shadow_counts_what_would_be_reset_and_lets_it_pass, .init = open_replay,
     .fini = close_rig)
{
	const struct shape s = {"data", false, 0, 0, 0, ACK, 5}, rst = {"RST", .flags = RST};
	struct policy_counters c;
	struct packet p;

	vr_flags(&r, RULE_SHADOW);
	cr_assert(eq(int, vr_apply(&r), 0));
	shape_packet(&s, &p);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	shape_packet(&rst, &p);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0));
	c = vr_counters(&r, 1);
	cr_expect(eq(u64, c.would_packets, 2));
	cr_expect(eq(u64, c.packets, 0));
	cr_expect(eq(u64, vr_count(&r, CNT_RESETS_SENT), 0));
}

/* ---- a socket of this host ---- */

struct connection {
	int listener, client, server;
	struct sockaddr_in from, to; /* of the client, of the listener */
};

static void connect_lo(struct connection *c)
{
	socklen_t n = sizeof(c->to);

	c->to = (struct sockaddr_in){.sin_family = AF_INET,
				     .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	c->listener = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, bind(c->listener, (struct sockaddr *)&c->to, sizeof(c->to)), 0));
	cr_assert(eq(int, listen(c->listener, 1), 0));
	cr_assert(eq(int, getsockname(c->listener, (struct sockaddr *)&c->to, &n), 0));
	c->client = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	cr_assert(eq(int, connect(c->client, (struct sockaddr *)&c->to, sizeof(c->to)), 0));
	cr_assert(eq(int, getsockname(c->client, (struct sockaddr *)&c->from, &n), 0));
	c->server = accept(c->listener, NULL, NULL);
	cr_assert(ge(int, c->server, 0));
}

static struct packet from_client(const struct connection *c, uint8_t flags, uint32_t payload)
{
	struct packet p = {};
	__u32 tcp;

	pk_eth(&p);
	pk_ip4(&p, INADDR_LOOPBACK, INADDR_LOOPBACK);
	tcp = pk_tcp(&p, ntohs(c->from.sin_port), ntohs(c->to.sin_port), flags);
	pk_set32(&p, tcp + 4, SEQ);
	pk_set32(&p, tcp + 8, ACKED);
	pk_payload(&p, payload);
	pk_end(&p);
	return p;
}

Test(reset, on_xdp_data_for_a_socket_here_ends_that_first, .init = open_live, .fini = close_rig)
{
	struct connection c;
	struct packet p;

	connect_lo(&c);
	p = from_client(&c, ACK | PSH, 100);
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 0)); /* on to the socket ... */
	cr_expect(eq(u32, r.out_len, 60));
	cr_expect(eq(u32, get16(r.out + 46), 0x5000 | RST | ACK)); /* ... which it ends */
	cr_expect(eq(u32, get32(r.out + 38), SEQ));
	cr_expect(eq(int, memcmp(r.out, p.b, 12), 0));
	p = from_client(&c, ACK, 0); /* does not come again */
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 2));
	close(c.server);
	close(c.client);
	p = from_client(&c, ACK | PSH, 100); /* a listener is none, nor is what it had */
	cr_expect(eq(int, vr_send(&r, VR_XDP, &p), 2));
	close(c.listener);
}
