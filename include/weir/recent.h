/* SPDX-License-Identifier: GPL-2.0-only OR BSD-2-Clause */
/*
 * recent.h - the last packets of a node, as the programs leave them and the loader reads them: per CPU
 * a ring of blocks, in each block records one after another. A new packet takes the place of the
 * oldest block when there is no other; nobody waits for a reader.
 *
 * To read a block: its number, `used`, the records up to there, then its number again. If that is
 * another one now, or 0, the block was begun anew meanwhile, and what was read is not of one piece.
 */
#ifndef WEIR_RECENT_H
#define WEIR_RECENT_H

#include <linux/types.h>

#define RECENT_BLOCK   65536u /* bytes, with the head */
#define RECENT_LEN_MAX 16384u /* bytes of a packet at most */
#define RECENT_VLAN \
	0x1000u /* of recent_record.tci: there is a tag (bit of the DEI, which is not kept) */

/* One packet; its bytes follow, and the next record at the next multiple of eight. */
struct recent_record {
	__u64 ns; /* CLOCK_MONOTONIC (replay: capture time) */
	__u32 ifindex;
	__u32 netns;	/* as of flow_key */
	__u32 wire_len; /* bytes of the frame, without what the NIC took out of it */
	__u16 len;	/* of these, bytes that follow */
	__u16 tci;	/* VLAN id and priority that the NIC took out | RECENT_VLAN; 0: none */
	__u16 gso_size; /* a GSO packet of segments with that much payload; 0: a packet */
	__u8 hook;	/* enum weir_hook */
	__u8 verdict;	/* enum packet_verdict: what became of it */
	__u32 pad;
};

struct recent_block {
	__u64 number; /* 1, 2, ... of the CPU's blocks in time; 0: none yet, or being begun */
	__u64 first;  /* packets of the CPU before those in it */
	__u32 used;   /* bytes of records that are complete */
	__u32 pad;
	__u8 data[RECENT_BLOCK - 24];
};

/* Where a CPU writes. */
struct recent_now {
	__u64 number;  /* of the block; 0: nothing came yet */
	__u64 packets; /* kept until now */
};

_Static_assert(sizeof(struct recent_record) == 32, "recent_record");
_Static_assert(sizeof(struct recent_block) == RECENT_BLOCK, "recent_block");

#endif
