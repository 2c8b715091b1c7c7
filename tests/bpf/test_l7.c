// SPDX-License-Identifier: Apache-2.0
/*
 * test_l7.c - names under BPF_PROG_TEST_RUN: hellos, requests and DNS messages cut into segments,
 * in every order, with sequence wrap, each segment on either CPU, through XDP and TC.
 */
#include <criterion/criterion.h>
#include <stdio.h>
#include "hello.h"
#include "l7_rig.h"

#define SEGS_MAX 48u

enum order { IN_ORDER, REVERSED, ROTATED, OVERLAPPING, SHUFFLED, _ORDER_MAX };
enum spread { ONE_CPU, SYN_ELSEWHERE, ALTERNATING, _SPREAD_MAX };

static const char *const order_names[] = {"in order", "reversed", "rotated", "overlapping",
					  "shuffled"};
static const char *const spread_names[] = {"one CPU", "SYN elsewhere", "alternating"};

static struct rig rig;
static struct msg msg;

static void load(void)
{
	rig_load(&rig, 15);
}

TestSuite(l7, .init = load, .timeout = 600);

struct plan {
	__u32 piece;
	enum order order;
	enum spread spread;
	__u32 base; /* sequence number of the first byte */
	__u32 dir;
	__u32 cpu;
};

static void feed_at(const struct plan *p, __u32 i, __u32 off, __u32 len)
{
	struct rig_seg s = {
		.cpu = p->cpu + (p->spread == ALTERNATING ? i : 0),
		.dir = p->dir,
		.seq = p->base + off,
		.flags = 0x10,
		.data = msg.b + off,
		.len = len,
	};

	rig_feed(&rig, &s);
}

/* The order's i-th segment of n. */
static __u32 nth(enum order o, __u32 i, __u32 n)
{
	switch (o) {
	case REVERSED:
		return n - 1 - i;
	case ROTATED:
		return (i + n / 2) % n;
	case SHUFFLED:
		return (i * 7 + 3) % n;
	default:
		return i;
	}
}

static void feed_all(const struct plan *p)
{
	__u32 n = (msg.len + p->piece - 1) / p->piece;

	if (p->order == SHUFFLED && n % 7 == 0)
		n++; /* coprime; the extra one is empty */
	rig_syn(&rig, p->cpu + (p->spread == SYN_ELSEWHERE), p->dir, p->base - 1);
	for (__u32 i = 0; i < n; i++) {
		__u32 k = nth(p->order, i, n), off = k * p->piece, len = p->piece;

		if (off >= msg.len)
			continue;
		if (p->order == OVERLAPPING && k) { /* half of the one before again */
			off -= p->piece / 2;
			len += p->piece / 2;
		}
		if (off + len > msg.len)
			len = msg.len - off;
		feed_at(p, i, off, len);
		if (p->order == OVERLAPPING) /* and the whole of it on whatever CPU is next */
			feed_at(p, i + 1, off, len);
	}
}

static const __u16 v13_12[] = {0x3a3a, 0x0304, 0x0303, 0};

static const struct hello hellos[] = {
	{.sni = "www.example.com", .alpn = "\2h2\10http/1.1", .versions = v13_12},
	{.sni = "a.example", .no_extensions = 0, .legacy = 0x0301},
	{.sni = "split.example.net", .versions = v13_12, .size = 1722},
	{.sni = "late.example.net", .versions = v13_12, .size = 2269, .sni_last = 1, .alpn = "\2h2"},
	{.sni = "edge.example.org", .versions = v13_12, .size = 4096, .sni_last = 1},
	{.sni = "x", .versions = v13_12, .size = 1461, .ech = 0xfe0d},
};

static const __u32 pieces[] = {5000, 1460, 700, 536, 290};

static int tls_is(const union rig_event *e, const struct hello *h)
{
	return e->h.dir == 1 && e->tls.sni_len == strlen(h->sni) &&
	       !memcmp(e->tls.sni, h->sni, e->tls.sni_len) && !(e->tls.flags & TLSF_NO_SNI) &&
	       e->tls.alpn_len == (h->alpn ? strlen(h->alpn) : 0) &&
	       (!h->alpn || !memcmp(e->tls.alpn, h->alpn, e->tls.alpn_len)) &&
	       e->tls.version == (h->versions ? 0x0304 : h->legacy) &&
	       e->tls.offered == (h->versions ? 0x18 : 0x02) && e->tls.ech == (h->ech == 0xfe0d) &&
	       !memcmp(&e->h.key, &rig.key, sizeof(rig.key));
}

/* One plan: exactly one event, with everything in it. */
static int hello_arrives(const struct hello *h, const struct plan *p)
{
	const union rig_event *e = NULL;

	rig_flow(&rig, 6, 40000, 443);
	feed_all(p);
	if (rig_count(&rig, EV_TLS_CLIENT, &e) == 1 && rig.events == 1 && tls_is(e, h) &&
	    !(e->tls.flags & TLSF_CONFLICT) && rig_counter(CNT_NAME_TLS) == 1)
		return 1;
	fprintf(stderr, "%s: %u bytes in %u, %s, %s, base %x, hook %d: %u events, runs %u\n",
		h->sni, msg.len, p->piece, order_names[p->order], spread_names[p->spread], p->base,
		(int)rig.hook, rig.events, rig.runs);
	return 0;
}

static void hellos_in_every_way(enum rig_hook hook)
{
	static const __u32 bases[] = {1000, 0xfffffc00, 0xffffffff, 0x7ffffff0};
	__u32 tried = 0, right = 0;

	rig.hook = hook;
	for (__u32 i = 0; i < sizeof(hellos) / sizeof(hellos[0]); i++) {
		msg.len = 0;
		msg_hello(&msg, &hellos[i]);
		for (__u32 j = 0; j < 5 * _ORDER_MAX * _SPREAD_MAX * 4; j++) {
			struct plan p = {
				.piece = pieces[j % 5],
				.order = j / 5 % _ORDER_MAX,
				.spread = j / (5 * _ORDER_MAX) % _SPREAD_MAX,
				.base = bases[j / (5 * _ORDER_MAX * _SPREAD_MAX)],
				.dir = 1,
				.cpu = j & 1,
			};

			if (hook == RIG_TC && msg.len > 3600 && p.piece > 3600)
				continue; /* a TC test run takes a page */
			tried++;
			right += hello_arrives(&hellos[i], &p);
		}
	}
	printf("names,%s,%u of %u\n", hook == RIG_TC ? "tc" : "xdp", right, tried);
	cr_assert_eq(right, tried, "%u of %u", right, tried);
}

Test(l7, reads_hellos_in_every_way_through_xdp)
{
	hellos_in_every_way(RIG_XDP);
}

Test(l7, reads_hellos_in_every_way_through_tc)
{
	hellos_in_every_way(RIG_TC);
}
