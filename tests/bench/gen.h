/* SPDX-License-Identifier: Apache-2.0 */
/*
 * gen.h - how the benchmark programs make one packet of the last one: a test run hands the same
 * buffer to every repetition, so each program first writes the next flow's number into it. The cost
 * of that is in the program `none` too, and is subtracted. Compiles for BPF and for the host.
 */
#ifndef WEIR_BENCH_GEN_H
#define WEIR_BENCH_GEN_H

#include <linux/types.h>

#define GEN_PHASES     4u
#define GEN_OFFSET_MAX 127u
#define GEN_IP4_ADDR   0x0au /* 10.x.x.x, in network order */
#define GEN_FLOWS_MAX  (1u << 24)

enum gen_order { GEN_RANDOM = 0, GEN_IN_ORDER = 1 };

/* One packet of a connection that is several packets long, IPv4 and TCP behind plain Ethernet. */
struct gen_phase {
	__u32 seq;	 /* host order */
	__u16 total_len; /* of the IP packet */
	__u8 doff;	 /* TCP header length in words */
	__u8 flags;
};

/* The only element of map `gen`. One thread runs programs at a time. */
struct gen {
	__u64 state;  /* xorshift, never 0; in order: the last number */
	__u32 mask;   /* flows - 1 */
	__u32 order;  /* enum gen_order */
	__u32 offset; /* in the frame: 4 bytes that tell flows apart */
	__u32 phases; /* packets of a connection; 0 and 1: every packet alike */
	__u32 phase;  /* of the next packet */
	__u32 pad;
	struct gen_phase phase_of[GEN_PHASES];
};

#endif
