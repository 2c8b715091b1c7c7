/* SPDX-License-Identifier: Apache-2.0 */
/*
 * parsed.h - what the tests of the parser ask of it: parse a built packet, with tunnels opened to a
 * depth, and compare with what is wanted.
 */
#ifndef WEIR_TESTS_PARSED_H
#define WEIR_TESTS_PARSED_H

#include <criterion/criterion.h>
#include <criterion/new/assert.h>
#include "packets.h"
#include "parse.h"

static inline struct parse_cfg parsed_cfg(__u32 depth)
{
	return (struct parse_cfg){.depth = depth, .vxlan_ports = {4789, 8472}, .geneve_port = 6081};
}

/* The result of parse_frame(), of which @len bytes were captured. */
static inline int parsed_cut(const struct packet *p, __u32 len, __u32 depth, struct pkt *ret)
{
	struct parse_cfg cfg = parsed_cfg(depth);
	__u8 *exact = malloc(len ? len : 1); /* so that a sanitizer sees a byte too much */
	int r;

	memcpy(exact, p->b, len);
	r = parse_frame(exact, len, p->len, &cfg, ret);
	free(exact);
	return r;
}

static inline struct pkt parsed_deep(const struct packet *p, __u32 depth)
{
	struct pkt k;

	cr_assert(eq(int, parsed_cut(p, p->len, depth, &k), 0));
	return k;
}

static inline struct pkt parsed(const struct packet *p)
{
	return parsed_deep(p, 0);
}

static inline void expect_ports(const struct pkt *k, __u8 proto, __u16 sport, __u16 dport)
{
	cr_expect(eq(u8, k->key.proto, proto));
	cr_expect(eq(u8, k->l4.proto, proto));
	cr_expect(eq(u16, host16(k->key.port[0]), sport));
	cr_expect(eq(u16, host16(k->key.port[1]), dport));
}

static inline void expect_ip4(const struct pkt *k, __u32 src, __u32 dst)
{
	__u8 want[2][16] = {{[10] = 0xff, [11] = 0xff}, {[10] = 0xff, [11] = 0xff}};

	for (int i = 0; i < 4; i++) {
		want[0][12 + i] = src >> (24 - 8 * i);
		want[1][12 + i] = dst >> (24 - 8 * i);
	}
	cr_expect(eq(u16, k->key.ethertype, 0x0800));
	cr_expect(memcmp(k->key.addr, want, sizeof(want)) == 0);
}

static inline void expect_ip6(const struct pkt *k, __u16 src, __u16 dst)
{
	__u8 want[16] = {0x20, 0x01, 0x0d, 0xb8};

	cr_expect(eq(u16, k->key.ethertype, 0x86dd));
	want[14] = src >> 8;
	want[15] = src;
	cr_expect(memcmp(k->key.addr[0], want, 16) == 0);
	want[14] = dst >> 8;
	want[15] = dst;
	cr_expect(memcmp(k->key.addr[1], want, 16) == 0);
}

/* Where the innermost packet stands in the frame. */
static inline void expect_layout(const struct pkt *k, __u32 hdr_off, __u32 ip_bytes,
				 __u32 payload_off, __u32 payload_len)
{
	cr_expect(eq(u32, k->l4.hdr_off, hdr_off));
	cr_expect(eq(u32, k->l4.ip_bytes, ip_bytes));
	cr_expect(eq(u32, k->l4.payload_off, payload_off));
	cr_expect(eq(u32, k->l4.payload_len, payload_len));
}

#define expect_note(k, c) cr_expect(eq(u16, (k)->note, CNT_##c + 1))
#define expect_clean(k)	  cr_expect(eq(u16, (k)->note, 0))

/* Rejected, for the reason. */
#define expect_skip(p, c)                                                                \
	do {                                                                             \
		struct pkt skip_k;                                                       \
		cr_expect(eq(int, parsed_cut(p, (p)->len, 0, &skip_k), -(CNT_##c + 1))); \
	} while (0)

#define expect_skip_cut(p, len, c)                                                  \
	do {                                                                        \
		struct pkt skip_k;                                                  \
		cr_expect(eq(int, parsed_cut(p, len, 0, &skip_k), -(CNT_##c + 1))); \
	} while (0)

#endif
